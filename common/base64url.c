/* SPDX-License-Identifier: ISC */

/* Base64url as JOSE uses it: RFC 4648 5, no padding, one spelling a value. */

#include "compat.h"
#include "crypt.h"

/* One more than what a character stands for; 0: nothing.  Made when first used. */
static uint8_t values[256];

static void
make_values(void)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t i;

	for (i = 0; i < sizeof(alphabet) - 1; i++)
		values[(unsigned char)alphabet[i]] = (uint8_t)(i + 1);
}

ssize_t
base64url_decode(uint8_t *out, size_t size, struct slice in)
{
	uint32_t bits = 0;
	unsigned int have = 0;
	size_t i, n = 0;
	uint32_t v;

	if (values['A'] == 0)
		make_values();
	if (in.len % 4 == 1 || in.len / 4 * 3 + in.len % 4 * 3 / 4 > size)
		return -1;
	for (i = 0; i < in.len; i++) {
		if ((v = values[(unsigned char)in.ptr[i]]) == 0)
			return -1;
		bits = bits << 6 | (v - 1);
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
