/* SPDX-License-Identifier: ISC */

/* W3C Trace Context, level 1: what is no traceparent is not passed on. */

#include "listener.h"

#define TRACE_LEN	55	/* 00-<32 hex>-<16 hex>-01 */

static int
is_hex(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f'))
			return 0;
	return 1;
}

/* Lower-case hex digits, not all of them 0. */
static int
is_id(const char *s, size_t len)
{
	return is_hex(s, len) && strspn(s, "0") < len;
}

int
trace_valid(struct slice sl)
{
	const char *s = sl.ptr;

	/* A later version may have more behind; what we keep must fit. */
	if (sl.len != TRACE_LEN)
		return 0;
	return is_hex(s, 2) && memcmp(s, "ff", 2) != 0 && s[2] == '-' &&
	    is_id(s + 3, 32) && s[35] == '-' && is_id(s + 36, 16) &&
	    s[52] == '-' && is_hex(s + 53, 2);
}
