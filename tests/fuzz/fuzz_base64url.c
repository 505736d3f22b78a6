/* SPDX-License-Identifier: ISC */

/* What decodes has one spelling: encoding it gives the input again. */

#include "../../authd/jose.h"
#include "../../common/compat.h"
#include "../../common/crypt.h"

#define INPUT_MAX	4096

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t out[INPUT_MAX];
	static char again[2 * INPUT_MAX];
	struct slice in = { (const char *)data, len };
	ssize_t n;

	if (len > INPUT_MAX || (n = base64url_decode(out, sizeof(out), in)) ==
	    -1)
		return 0;
	base64url_encode(again, out, (size_t)n);
	if (strlen(again) != len || memcmp(again, data, len) != 0)
		abort();
	return 0;
}
