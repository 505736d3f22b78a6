/* SPDX-License-Identifier: ISC */
/* link: authd/jwk.c authd/jws.c authd/jwt.c */

/*
 * Any bytes as a token, under the example keys of RFC 7517 A.1 and RFC 8037
 * A.2: nothing in the corpus is signed by them, so nothing may be verified.
 * An input that begins with a line break is taken for the lines of a header
 * and a payload as they are before base64url, which no mutation gets through.
 */

#include "../../authd/jose.h"
#include "../../common/compat.h"
#include "../../common/crypt.h"

#define PART_MAX	5000	/* two of them and a signature fit a token */

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

/* What must be so of a token that was taken, whatever it was made of. */
static void
look_at(const struct jwt *t)
{
	if (t->iss[0] == '\0' || t->sub[0] == '\0' ||
	    memchr(t->sub, '\0', sizeof(t->sub)) == NULL ||
	    t->jws.alg == JWS_NONE || t->exp <= 1800000000 - 30 ||
	    t->exp > 1800000000 + 86400 + 30)
		abort();
}

static void
judge(struct slice token)
{
	static const struct slice audience[] = { { "a", 1 } };
	struct jwt_policy policy = { { "https://i/", 10 }, 1, audience,
	    { "", 0 }, 30, 86400 };
	struct jwks *set = keys();
	static struct jwt jwt;
	struct jwk *key;
	enum reason reason;

	if (jwt_read(&jwt, token) != REASON_NONE)
		return;
	if (jwt_claims(&jwt, &policy, 1800000000) == REASON_NONE)
		look_at(&jwt);
	(void)jwt_claim(&jwt, jwt.jws.payload);
	(void)jwt_claim(&jwt, slice_of("realm_access.roles"));
	if ((key = jws_key(&jwt.jws, set, &reason)) != NULL &&
	    jws_verify(&jwt.jws, key) == REASON_NONE)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char text[JWT_MAX];
	struct slice token = { (const char *)data, len };
	const uint8_t *end;
	size_t head;

	if (len == 0 || data[0] != '\n') {
		judge(token);
		return 0;
	}
	data++;
	len--;
	if ((end = len == 0 ? NULL : memchr(data, '\n', len)) == NULL)
		return 0;
	head = (size_t)(end - data);
	if (head > PART_MAX || len - head - 1 > PART_MAX)
		return 0;
	base64url_encode(text, data, head);
	(void)strlcat(text, ".", sizeof(text));
	base64url_encode(text + strlen(text), end + 1, len - head - 1);
	(void)strlcat(text, ".AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
	    "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ", sizeof(text));
	judge(slice_of(text));
	return 0;
}
