/* SPDX-License-Identifier: ISC */
/* link: authd/base64url.c authd/jwk.c authd/jws.c authd/jwt.c */

/*
 * Any bytes as a token, under the example keys of RFC 7517 A.1 and RFC 8037
 * A.2: nothing in the corpus is signed by them, so nothing may be verified.
 */

#include "../../authd/jose.h"
#include "../../common/compat.h"
#include "../../common/crypt.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct jwks *
keys(void)
{
	static const char text[] = "{\"keys\":["
	    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\","
	    "\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
	    "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"},"
	    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"o\","
	    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
	static struct jwks *set;
	const char *error;

	if (set == NULL) {
		crypt_init();
		if (jose_init() == -1 ||
		    (set = jwks_parse(text, strlen(text), &error)) == NULL)
			abort();
	}
	return set;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct slice audience[] = { { "a", 1 } };
	struct jwt_policy policy = { { "https://i/", 10 }, 1, audience,
	    { "", 0 }, 30, 86400 };
	struct slice token = { (const char *)data, len };
	struct jwks *set = keys();
	static struct jwt jwt;
	struct jwk *key;
	enum reason reason;

	if (jwt_read(&jwt, token) != REASON_NONE)
		return 0;
	(void)jwt_claims(&jwt, &policy, 1800000000);
	(void)jwt_claim(&jwt, jwt.jws.payload);
	if ((key = jws_key(&jwt.jws, set, &reason)) != NULL &&
	    jws_verify(&jwt.jws, key) == REASON_NONE)
		abort();
	return 0;
}
