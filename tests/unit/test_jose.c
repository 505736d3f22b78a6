/* SPDX-License-Identifier: ISC */
/* link: authd/jws.c authd/jwk.c */

/*
 * Properties of signatures and keys: every algorithm verifies what it signed,
 * and no token that differs from it in any bit; a key that is a little wrong
 * is ignored; base64url has one spelling.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <stdio.h>

#include "../../authd/jose.h"
#include "../../common/compat.h"
#include "../../common/crypt.h"

#define TEXT_SIZE	4096
#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))

static const struct kind {
	const char	*alg;
	const char	*key;		/* "RSA", a curve, or "ED25519" */
	const char	*digest;
	size_t		 field;
} kinds[] = {
	{ "RS256", "RSA", "SHA256", 0 }, { "RS384", "RSA", "SHA384", 0 },
	{ "RS512", "RSA", "SHA512", 0 }, { "PS256", "RSA", "SHA256", 0 },
	{ "PS384", "RSA", "SHA384", 0 }, { "PS512", "RSA", "SHA512", 0 },
	{ "ES256", "P-256", "SHA256", 32 }, { "ES384", "P-384", "SHA384", 48 },
	{ "ES512", "P-521", "SHA512", 66 }, { "EdDSA", "ED25519", NULL, 0 },
};

static EVP_PKEY *keys[NROWS(kinds)];

static EVP_PKEY *
key_of(size_t k)
{
	size_t i;

	for (i = 0; i < k; i++)
		if (strcmp(kinds[i].key, kinds[k].key) == 0)
			return keys[i];
	if (strcmp(kinds[k].key, "RSA") == 0)
		return EVP_RSA_gen(2048);
	if (kinds[k].field > 0)
		return EVP_EC_gen(kinds[k].key);
	return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

static void
add_number(char *out, EVP_PKEY *key, const char *param, const char *name,
    size_t size)
{
	unsigned char bytes[512];
	char text[1024];
	BIGNUM *n = NULL;
	int len;

	assert_int_equal(EVP_PKEY_get_bn_param(key, param, &n), 1);
	len = size > 0 ? (int)size : BN_num_bytes(n);
	assert_true(BN_bn2binpad(n, bytes, len) == len);
	base64url_encode(text, bytes, (size_t)len);
	strlcat(out, ",\"", TEXT_SIZE);
	strlcat(out, name, TEXT_SIZE);
	strlcat(out, "\":\"", TEXT_SIZE);
	strlcat(out, text, TEXT_SIZE);
	strlcat(out, "\"", TEXT_SIZE);
	BN_free(n);
}

/* A set of one key, with more members behind its own. */
static const char *
set_of(size_t k, const char *more)
{
	static char out[TEXT_SIZE];
	unsigned char raw[32];
	size_t len = sizeof(raw);
	char text[64];

	(void)snprintf(out, sizeof(out), "{\"keys\":[{\"kty\":\"%s\"",
	    kinds[k].field > 0 ? "EC" :
	    strcmp(kinds[k].key, "RSA") == 0 ? "RSA" : "OKP");
	if (kinds[k].field > 0) {
		strlcat(out, ",\"crv\":\"", sizeof(out));
		strlcat(out, kinds[k].key, sizeof(out));
		strlcat(out, "\"", sizeof(out));
		add_number(out, keys[k], OSSL_PKEY_PARAM_EC_PUB_X, "x",
		    kinds[k].field);
		add_number(out, keys[k], OSSL_PKEY_PARAM_EC_PUB_Y, "y",
		    kinds[k].field);
	} else if (strcmp(kinds[k].key, "RSA") == 0) {
		add_number(out, keys[k], OSSL_PKEY_PARAM_RSA_N, "n", 0);
		add_number(out, keys[k], OSSL_PKEY_PARAM_RSA_E, "e", 0);
	} else {
		assert_int_equal(EVP_PKEY_get_raw_public_key(keys[k], raw,
		    &len), 1);
		base64url_encode(text, raw, len);
		strlcat(out, ",\"crv\":\"Ed25519\",\"x\":\"", sizeof(out));
		strlcat(out, text, sizeof(out));
		strlcat(out, "\"", sizeof(out));
	}
	strlcat(out, more, sizeof(out));
	strlcat(out, "}]}", sizeof(out));
	return out;
}

static size_t
to_raw(unsigned char *sig, size_t len, size_t field)
{
	const unsigned char *at = sig;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &at, (long)len);

	assert_non_null(s);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, (int)field),
	    field);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + field,
	    (int)field), field);
	ECDSA_SIG_free(s);
	return 2 * field;
}

static const char *
token_of(size_t k)
{
	static char out[TEXT_SIZE];
	static const char claims[] = "{\"sub\":\"alice\"}";
	unsigned char sig[1024];
	size_t len = sizeof(sig);
	char text[TEXT_SIZE], header[64];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx;

	(void)snprintf(header, sizeof(header), "{\"alg\":\"%s\"}",
	    kinds[k].alg);
	base64url_encode(out, header, strlen(header));
	strlcat(out, ".", sizeof(out));
	base64url_encode(text, claims, strlen(claims));
	strlcat(out, text, sizeof(out));
	assert_int_equal(EVP_DigestSignInit_ex(md, &ctx, kinds[k].digest,
	    NULL, NULL, keys[k], NULL), 1);
	if (kinds[k].alg[0] == 'P') {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx,
		    RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx,
		    RSA_PSS_SALTLEN_DIGEST), 1);
	}
	assert_int_equal(EVP_DigestSign(md, sig, &len, (unsigned char *)out,
	    strlen(out)), 1);
	EVP_MD_CTX_free(md);
	if (kinds[k].field > 0)
		len = to_raw(sig, len, kinds[k].field);
	base64url_encode(text, sig, len);
	strlcat(out, ".", sizeof(out));
	strlcat(out, text, sizeof(out));
	return out;
}

static struct jwks *
parse(const char *text)
{
	const char *error;

	return jwks_parse(text, strlen(text), &error);
}

static int
valid(struct jwks *set, const char *token)
{
	static struct jws s;
	enum reason reason;
	struct jwk *key;

	return jws_read(&s, slice_of(token)) == REASON_NONE &&
	    (key = jws_key(&s, set, &reason)) != NULL &&
	    jws_verify(&s, key) == REASON_NONE;
}

static void
each_algorithm_verifies_what_it_signed(void **state)
{
	struct jwks *set;
	size_t k, other;

	(void)state;
	for (k = 0; k < NROWS(kinds); k++) {
		assert_non_null(set = parse(set_of(k, "")));
		for (other = 0; other < NROWS(kinds); other++)
			if (valid(set, token_of(other)) !=
			    (keys[k] == keys[other]))
				fail_msg("%s under the key of %s",
				    kinds[other].alg, kinds[k].alg);
		jwks_free(set);
	}
}

static void
no_bit_of_a_token_may_differ(void **state)
{
	char token[TEXT_SIZE];
	struct jwks *set;
	size_t k, bit;

	(void)state;
	for (k = 0; k < NROWS(kinds); k++) {
		assert_non_null(set = parse(set_of(k, "")));
		strlcpy(token, token_of(k), sizeof(token));
		for (bit = 0; bit < 8 * strlen(token); bit += 3) {
			token[bit / 8] = (char)(token[bit / 8] ^
			    (1 << bit % 8));
			if (token[bit / 8] != '\0' && valid(set, token))
				fail_msg("%s: bit %zu: %s", kinds[k].alg, bit,
				    token);
			token[bit / 8] = (char)(token[bit / 8] ^
			    (1 << bit % 8));
		}
		assert_true(valid(set, token));
		jwks_free(set);
	}
}

static void
a_token_cut_anywhere_is_refused(void **state)
{
	char token[TEXT_SIZE];
	struct jwks *set;
	size_t k, len;

	(void)state;
	for (k = 0; k < NROWS(kinds); k += 3) {
		assert_non_null(set = parse(set_of(k, "")));
		strlcpy(token, token_of(k), sizeof(token));
		for (len = strlen(token); len-- > 0; ) {
			token[len] = '\0';
			assert_false(valid(set, token));
		}
		jwks_free(set);
	}
}

static void
a_key_that_may_not_verify_is_ignored(void **state)
{
	static const char *const refused[] = {
		",\"use\":\"enc\"", ",\"use\":7", ",\"key_ops\":[\"sign\"]",
		",\"key_ops\":\"verify\"", ",\"alg\":\"HS256\"",
		",\"alg\":\"none\"", ",\"alg\":null", ",\"d\":\"AA\"",
		",\"kid\":\"\"", ",\"kid\":7", ",\"k\":\"AA\"",
	};
	static const char *const taken[] = {
		",\"use\":\"sig\"", ",\"key_ops\":[\"sign\",\"verify\"]",
		",\"kid\":\"x\"", ",\"x5t\":\"AA\"",
	};
	struct jwks *set;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(refused); i++)
		if ((set = parse(set_of(6, refused[i]))) != NULL)
			fail_msg("%s: taken", refused[i]);
	for (i = 0; i < NROWS(taken); i++) {
		if ((set = parse(set_of(6, taken[i]))) == NULL)
			fail_msg("%s: refused", taken[i]);
		jwks_free(set);
	}
	/* alg narrows an RSA key down to itself. */
	assert_non_null(set = parse(set_of(0, ",\"alg\":\"PS256\"")));
	assert_true(valid(set, token_of(3)));
	assert_false(valid(set, token_of(0)));
	assert_false(valid(set, token_of(4)));
	jwks_free(set);
}

static void
a_weak_or_bent_key_is_ignored(void **state)
{
	static const char *const sets[] = {
		/* Not on the curve; a short coordinate; x alone. */
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
		"\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\",\"y\":"
		"\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyN\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
		"\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7A\",\"y\":"
		"\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
		"\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\"}",
		"{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AA\",\"y\":\"AA\"}",
		"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":"
		"\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKx\"}",
		"{\"kty\":\"RSA\",\"n\":\"wQ\",\"e\":\"AQAB\"}",
		"{\"kty\":\"oct\",\"k\":\"AAAA\"}", "{}", "7",
	};
	char text[TEXT_SIZE];
	struct jwks *set;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(sets); i++) {
		(void)snprintf(text, sizeof(text), "{\"keys\":[%s]}", sets[i]);
		if ((set = parse(text)) != NULL)
			fail_msg("%s: taken", sets[i]);
	}
}

static void
base64url_has_one_spelling(void **state)
{
	static const char *const bad[] = {
		"A", "AB=", "AA==", "A A", "AB+", "AB/", "AB\n", "AAAAA",
		"AB", "AAB",	/* bits that no byte needs */
	};
	uint8_t bytes[64], back[64];
	char text[128];
	size_t i, len;

	(void)state;
	for (i = 0; i < NROWS(bad); i++)
		if (base64url_decode(back, sizeof(back), slice_of(bad[i])) !=
		    -1)
			fail_msg("\"%s\": taken", bad[i]);
	for (len = 0; len < sizeof(bytes); len++) {
		random_bytes(bytes, sizeof(bytes));
		base64url_encode(text, bytes, len);
		assert_int_equal(base64url_decode(back, len, slice_of(text)),
		    len);
		assert_memory_equal(back, bytes, len);
		if (len > 0)
			assert_int_equal(base64url_decode(back, len - 1,
			    slice_of(text)), -1);
	}
}

static int
start(void **state)
{
	size_t k;

	(void)state;
	crypt_init();
	for (k = 0; k < NROWS(kinds); k++)
		if ((keys[k] = key_of(k)) == NULL)
			return -1;
	return jose_init();
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_algorithm_verifies_what_it_signed),
		cmocka_unit_test(no_bit_of_a_token_may_differ),
		cmocka_unit_test(a_token_cut_anywhere_is_refused),
		cmocka_unit_test(a_key_that_may_not_verify_is_ignored),
		cmocka_unit_test(a_weak_or_bent_key_is_ignored),
		cmocka_unit_test(base64url_has_one_spelling),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
