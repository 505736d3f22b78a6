/* SPDX-License-Identifier: ISC */
/* link: authd/jwk.c */

/* Any bytes as a JWK set: a key that is taken can verify, and has a name of its size. */

#include "../../authd/jose.h"
#include "../../common/compat.h"
#include "../../common/crypt.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *error = NULL;
	struct jwks *set;
	uint32_t n;

	crypt_init();
	if ((set = jwks_parse((const char *)data, len, &error)) == NULL) {
		if (error == NULL)
			abort();
		return 0;
	}
	if (set->n == 0 || set->n > JWKS_KEYS_MAX)
		abort();
	for (n = 0; n < set->n; n++)
		if (set->key[n].key == NULL || (set->key[n].algs &
		    ~(1U << JWS_NONE)) == 0 ||
		    strlen(set->key[n].kid) > KID_MAX)
			abort();
	jwks_free(set);
	return 0;
}
