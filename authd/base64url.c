/* SPDX-License-Identifier: ISC */

/* Base64url as JOSE uses it: RFC 4648 5, no padding, one spelling a value. */

#include "../common/compat.h"
#include "jose.h"

static int
value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

ssize_t
base64url_decode(uint8_t *out, size_t size, struct slice in)
{
	uint32_t bits = 0;
	unsigned int have = 0;
	size_t i, n = 0;
	int v;

	if (in.len % 4 == 1 || in.len / 4 * 3 + in.len % 4 * 3 / 4 > size)
		return -1;
	for (i = 0; i < in.len; i++) {
		if ((v = value((unsigned char)in.ptr[i])) == -1)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
		}
	}
	/* Stray bits would be a second spelling of the same bytes. */
	if ((bits & ((1U << have) - 1)) != 0)
		return -1;
	return (ssize_t)n;
}
