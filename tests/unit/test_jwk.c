/* SPDX-License-Identifier: ISC */
/* link: authd/jwk.c */

/*
 * authd/jwk.c: which keys of a set are taken and what each of them may then
 * verify; every other is ignored and counted.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../authd/jose.h"
#include "jose_make.h"

#define BIT(a)		(1U << (a))
#define ALL_RSA		(BIT(JWS_RS256) | BIT(JWS_RS384) | BIT(JWS_RS512) | \
			    BIT(JWS_PS256) | BIT(JWS_PS384) | BIT(JWS_PS512))

static EVP_PKEY *rsa, *p256, *p384, *p521, *ed;
static char text[TEXT_SIZE];

static EVP_PKEY *
key_of(int k)
{
	return k == ES256 ? p256 : k == ES384 ? p384 : k == ES512 ? p521 :
	    k == EDDSA ? ed : rsa;
}

static struct jwks *
parse(const char *set)
{
	const char *error = NULL;
	struct jwks *keys = jwks_parse(set, strlen(set), &error);

	assert_true(keys != NULL || error != NULL);
	return keys;
}

/* A set of one key; NULL where that is ignored. */
static struct jwks *
set_of(const char *jwk)
{
	static char set[TEXT_SIZE];

	(void)strlcpy(set, "{\"keys\":[", sizeof(set));
	add(set, jwk);
	add(set, "]}");
	return parse(set);
}

/* What the one key may verify; 0 where it is ignored. */
static uint32_t
algs_of(const char *jwk)
{
	struct jwks *keys = set_of(jwk);
	uint32_t algs = keys == NULL ? 0 : keys->key[0].algs;

	jwks_free(keys);
	return algs;
}

static uint32_t
algs_with(int k, const char *more)
{
	text[0] = '\0';
	add_jwk(text, k, key_of(k), more);
	return algs_of(text);
}

static void
the_kind_of_a_key_says_what_it_verifies(void **state)
{
	static const struct {
		int		 k;
		const char	*more;
		uint32_t	 wanted;
	} rows[] = {
		{ RS256, "", ALL_RSA },
		{ ES256, "", BIT(JWS_ES256) },
		{ ES384, "", BIT(JWS_ES384) },
		{ ES512, "", BIT(JWS_ES512) },
		{ EDDSA, "", BIT(JWS_EDDSA) },
		/* alg: that alone, and only where the kind has it. */
		{ RS256, ",\"alg\":\"RS256\"", BIT(JWS_RS256) },
		{ RS256, ",\"alg\":\"RS384\"", BIT(JWS_RS384) },
		{ RS256, ",\"alg\":\"RS512\"", BIT(JWS_RS512) },
		{ RS256, ",\"alg\":\"PS256\"", BIT(JWS_PS256) },
		{ RS256, ",\"alg\":\"PS384\"", BIT(JWS_PS384) },
		{ RS256, ",\"alg\":\"PS512\"", BIT(JWS_PS512) },
		{ ES256, ",\"alg\":\"ES256\"", BIT(JWS_ES256) },
		{ ES512, ",\"alg\":\"ES512\"", BIT(JWS_ES512) },
		{ EDDSA, ",\"alg\":\"EdDSA\"", BIT(JWS_EDDSA) },
		{ RS256, ",\"alg\":\"ES256\"", 0 },
		{ RS256, ",\"alg\":\"HS256\"", 0 },
		{ RS256, ",\"alg\":\"none\"", 0 },
		{ RS256, ",\"alg\":\"RSA-OAEP\"", 0 },
		{ RS256, ",\"alg\":\"rs256\"", 0 },
		{ RS256, ",\"alg\":\"\"", 0 },
		{ RS256, ",\"alg\":[\"RS256\"]", 0 },
		{ RS256, ",\"alg\":null", 0 },
		{ ES256, ",\"alg\":\"ES384\"", 0 },
		{ ES256, ",\"alg\":\"ES256K\"", 0 },
		{ ES256, ",\"alg\":\"ECDH-ES\"", 0 },
		{ EDDSA, ",\"alg\":\"ES256\"", 0 },
		{ EDDSA, ",\"alg\":\"RS256\"", 0 },
		/* use and key_ops */
		{ ES256, ",\"use\":\"sig\"", BIT(JWS_ES256) },
		{ ES256, ",\"use\":\"enc\"", 0 },
		{ ES256, ",\"use\":\"SIG\"", 0 },
		{ ES256, ",\"use\":\"\"", 0 },
		{ ES256, ",\"use\":null", 0 },
		{ ES256, ",\"use\":[\"sig\"]", 0 },
		{ ES256, ",\"key_ops\":[\"verify\"]", BIT(JWS_ES256) },
		{ ES256, ",\"key_ops\":[\"sign\",\"verify\"]", BIT(JWS_ES256) },
		{ ES256, ",\"key_ops\":[\"sign\"]", 0 },
		{ ES256, ",\"key_ops\":[]", 0 },
		{ ES256, ",\"key_ops\":\"verify\"", 0 },
		{ ES256, ",\"key_ops\":null", 0 },
		{ ES256, ",\"key_ops\":[[\"verify\"]]", 0 },
		{ ES256, ",\"key_ops\":{\"verify\":\"verify\"}", 0 },
		{ ES256, ",\"use\":\"enc\",\"key_ops\":[\"verify\"]", 0 },
		{ ES256, ",\"use\":\"sig\",\"key_ops\":[\"deriveKey\"]", 0 },
		/* what does not concern us */
		{ ES256, ",\"x5t\":\"AA\",\"x5c\":[\"MIIB\"],\"exp\":1",
		    BIT(JWS_ES256) },
	};
	uint32_t got;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++)
		if ((got = algs_with(rows[i].k, rows[i].more)) !=
		    rows[i].wanted)
			fail_msg("%s key with %s: wanted 0x%x, got 0x%x",
			    kinds[rows[i].k].key, rows[i].more, rows[i].wanted,
			    got);
}

static void
a_key_with_a_private_or_secret_part_is_ignored(void **state)
{
	static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi",
	    "oth", "k" };
	static const int of[] = { RS256, ES256, EDDSA };
	char more[64];
	size_t i, k;

	(void)state;
	for (i = 0; i < NROWS(names); i++)
		for (k = 0; k < NROWS(of); k++) {
			(void)snprintf(more, sizeof(more), ",\"%s\":\"AQAB\"",
			    names[i]);
			if (algs_with(of[k], more) != 0)
				fail_msg("%s key with %s: wanted it ignored",
				    kinds[of[k]].key, names[i]);
			/* Of another type, or under an escape, it is there too. */
			(void)snprintf(more, sizeof(more),
			    ",\"\\u%04x%s\":null", names[i][0], names[i] + 1);
			if (algs_with(of[k], more) != 0)
				fail_msg("%s key with %s: wanted it ignored",
				    kinds[of[k]].key, more);
		}
	assert_int_equal(algs_of("{\"kty\":\"oct\",\"k\":\"AAAA\"}"), 0);
	assert_int_equal(algs_of("{\"kty\":\"oct\",\"k\":\"AAAA\","
	    "\"alg\":\"HS256\"}"), 0);
	assert_int_equal(algs_of("{\"kty\":\"oct\"}"), 0);
}

/* An RSA key of so many bits (its factors do not matter here). */
static uint32_t
rsa_algs(int bits, int even, const char *e, int zeros)
{
	unsigned char bytes[4096];
	BIGNUM *n = BN_new();
	int len = (bits + 7) / 8 + zeros;

	must(n != NULL && BN_rand(n, bits, BN_RAND_TOP_ONE,
	    BN_RAND_BOTTOM_ODD) == 1 && BN_bn2binpad(n, bytes, len) == len);
	if (even)
		bytes[len - 1] ^= 1;
	BN_free(n);
	(void)strlcpy(text, "{\"kty\":\"RSA\",\"n\":\"", sizeof(text));
	add_bytes(text, bytes, (size_t)len);
	add(text, "\",\"e\":\"");
	add(text, e);
	add(text, "\"}");
	return algs_of(text);
}

static void
an_rsa_key_is_of_a_sane_size(void **state)
{
	static const struct {
		int		 bits, even;
		const char	*e;
		int		 zeros;		/* bytes before the modulus */
		int		 taken;
	} rows[] = {
		{ 512, 0, "AQAB", 0, 0 },
		{ 1024, 0, "AQAB", 0, 0 },
		{ 2040, 0, "AQAB", 0, 0 },
		{ 2047, 0, "AQAB", 0, 0 },
		/* Zeros before it make no strong one of it. */
		{ 1024, 0, "AQAB", 128, 0 },
		{ 2048, 0, "AQAB", 0, 1 },
		{ 2048, 1, "AQAB", 0, 0 },
		{ 2049, 0, "AQAB", 0, 1 },
		{ 3072, 0, "AQAB", 0, 1 },
		{ 4096, 0, "AQAB", 0, 1 },
		{ 16384, 0, "AQAB", 0, 1 },
		{ 16385, 0, "AQAB", 0, 0 },
		{ 16392, 0, "AQAB", 0, 0 },
		{ 20000, 0, "AQAB", 0, 0 },
		/* the exponent */
		{ 2048, 0, "", 0, 0 },
		{ 2048, 0, "AA", 0, 0 },		/* 0 */
		{ 2048, 0, "AQ", 0, 0 },		/* 1 */
		{ 2048, 0, "Ag", 0, 0 },		/* 2 */
		{ 2048, 0, "Aw", 0, 0 },		/* 3 */
		{ 2048, 0, "EQ", 0, 0 },		/* 17 */
		{ 2048, 0, "AP__", 0, 0 },		/* 65535 */
		{ 2048, 0, "AQAA", 0, 0 },		/* 65536 */
		{ 2048, 0, "AQAC", 0, 0 },		/* 65538 */
		{ 2048, 0, "AQAD", 0, 1 },		/* 65539 */
		{ 2048, 0, "_____w", 0, 1 },		/* 2^32 - 1 */
		{ 2048, 0, "AQAAAAE", 0, 0 },		/* 2^32 + 1 */
		{ 2048, 0, "AQAAAAAAAQAB", 0, 0 },	/* nine bytes */
		{ 2048, 0, "AQAB=", 0, 0 },
	};
	size_t i;
	int taken;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		taken = rsa_algs(rows[i].bits, rows[i].even, rows[i].e,
		    rows[i].zeros) != 0;
		if (taken != rows[i].taken)
			fail_msg("row %zu, %d bits, e %s: wanted %d, got %d",
			    i, rows[i].bits, rows[i].e, rows[i].taken, taken);
	}
	assert_int_equal(algs_of("{\"kty\":\"RSA\",\"e\":\"AQAB\"}"), 0);
	assert_int_equal(algs_of("{\"kty\":\"RSA\",\"n\":17,\"e\":3}"), 0);
}

/* A P-256 key of these coordinates, of so many bytes each. */
static uint32_t
ec_algs(const char *crv, const unsigned char *x, size_t xlen,
    const unsigned char *y, size_t ylen)
{
	(void)strlcpy(text, "{\"kty\":\"EC\",\"crv\":\"", sizeof(text));
	add(text, crv);
	add(text, "\",\"x\":\"");
	add_bytes(text, x, xlen);
	add(text, "\",\"y\":\"");
	add_bytes(text, y, ylen);
	add(text, "\"}");
	return algs_of(text);
}

static void
a_point_is_whole_and_on_its_curve(void **state)
{
	/* The prime of P-256: one that x may not reach. */
	static const unsigned char prime[32] = { 0xff, 0xff, 0xff, 0xff, 0, 0,
	    0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
	    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	unsigned char point[65], x[33], y[33];
	size_t len, bit;

	(void)state;
	must(EVP_PKEY_get_octet_string_param(p256, OSSL_PKEY_PARAM_PUB_KEY,
	    point, sizeof(point), &len) == 1 && len == sizeof(point));
	memset(x, 0, sizeof(x));
	memset(y, 0, sizeof(y));
	/* x and y + 1 hold them; a zero stands before each. */
	memcpy(x + 1, point + 1, 32);
	memcpy(y + 1, point + 33, 32);
	assert_int_equal(ec_algs("P-256", x + 1, 32, y + 1, 32),
	    BIT(JWS_ES256));
	assert_int_equal(ec_algs("P-256", x, 33, y + 1, 32), 0);
	assert_int_equal(ec_algs("P-256", x + 1, 32, y, 33), 0);
	assert_int_equal(ec_algs("P-256", x + 1, 31, y + 1, 32), 0);
	assert_int_equal(ec_algs("P-256", x + 2, 31, y + 1, 32), 0);
	assert_int_equal(ec_algs("P-256", x + 1, 32, y + 1, 0), 0);
	assert_int_equal(ec_algs("P-256", x + 1, 32, x + 1, 32), 0);
	assert_int_equal(ec_algs("P-256", y + 1, 32, x + 1, 32), 0);
	assert_int_equal(ec_algs("P-256", x, 32, y, 32), 0);
	assert_int_equal(ec_algs("P-256", prime, 32, y + 1, 32), 0);
	assert_int_equal(ec_algs("P-384", x + 1, 32, y + 1, 32), 0);
	assert_int_equal(ec_algs("secp256k1", x + 1, 32, y + 1, 32), 0);
	assert_int_equal(ec_algs("P-256K", x + 1, 32, y + 1, 32), 0);
	assert_int_equal(ec_algs("p-256", x + 1, 32, y + 1, 32), 0);
	assert_int_equal(ec_algs("prime256v1", x + 1, 32, y + 1, 32), 0);
	assert_int_equal(ec_algs("", x + 1, 32, y + 1, 32), 0);
	/* Any bit of y but the sign of the point takes it off the curve. */
	for (bit = 0; bit < 256; bit++) {
		y[1 + bit / 8] = (unsigned char)(y[1 + bit / 8] ^
		    (1 << bit % 8));
		if (ec_algs("P-256", x + 1, 32, y + 1, 32) != 0)
			fail_msg("bit %zu of y: wanted it off the curve", bit);
		y[1 + bit / 8] = (unsigned char)(y[1 + bit / 8] ^
		    (1 << bit % 8));
	}
	memset(x, 0, sizeof(x));
	assert_int_equal(ec_algs("P-256", x, 32, x, 32), 0);
	assert_int_equal(algs_of("{\"kty\":\"EC\",\"crv\":\"P-256\"}"), 0);
}

static void
of_the_edwards_curves_ed25519_alone(void **state)
{
	static const struct {
		const char	*crv;
		size_t		 len;
		int		 taken;
	} rows[] = {
		{ "Ed25519", 32, 1 }, { "Ed25519", 31, 0 },
		{ "Ed25519", 33, 0 }, { "Ed25519", 0, 0 },
		{ "X25519", 32, 0 }, { "Ed448", 57, 0 }, { "Ed448", 32, 0 },
		{ "ed25519", 32, 0 }, { "", 32, 0 },
	};
	unsigned char raw[64] = { 0 };
	size_t i, len = 32;

	(void)state;
	must(EVP_PKEY_get_raw_public_key(ed, raw, &len) == 1);
	for (i = 0; i < NROWS(rows); i++) {
		(void)snprintf(text, sizeof(text),
		    "{\"kty\":\"OKP\",\"crv\":\"%s\",\"x\":\"", rows[i].crv);
		add_bytes(text, raw, rows[i].len);
		add(text, "\"}");
		if ((algs_of(text) != 0) != rows[i].taken)
			fail_msg("%s of %zu bytes: wanted %d", rows[i].crv,
			    rows[i].len, rows[i].taken);
	}
}

static void
a_key_of_no_kind_of_ours_is_ignored(void **state)
{
	static const char *const rows[] = {
		"{}", "7", "null", "[]", "\"RSA\"", "{\"kty\":\"DSA\"}",
		"{\"kty\":\"\"}", "{\"kty\":null}", "{\"kty\":[\"EC\"]}",
		"{\"kty\":\"ec\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}",
		"{\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++)
		if (algs_of(rows[i]) != 0)
			fail_msg("%s: wanted it ignored", rows[i]);
}

static void
a_name_is_a_text_of_bounded_length(void **state)
{
	char more[KID_MAX + 32], kid[KID_MAX + 2];
	struct jwks *keys;

	(void)state;
	text[0] = '\0';
	add_jwk(text, ES256, p256, ",\"kid\":\"a\\u002fb \\u00ed\"");
	assert_non_null(keys = set_of(text));
	assert_string_equal(keys->key[0].kid, "a/b \xc3\xad");
	jwks_free(keys);
	text[0] = '\0';
	add_jwk(text, ES256, p256, "");
	assert_non_null(keys = set_of(text));
	assert_string_equal(keys->key[0].kid, "");
	jwks_free(keys);

	memset(kid, 'k', sizeof(kid));
	kid[KID_MAX] = '\0';
	(void)snprintf(more, sizeof(more), ",\"kid\":\"%s\"", kid);
	assert_int_not_equal(algs_with(ES256, more), 0);
	kid[KID_MAX] = 'k';
	kid[KID_MAX + 1] = '\0';
	(void)snprintf(more, sizeof(more), ",\"kid\":\"%s\"", kid);
	assert_int_equal(algs_with(ES256, more), 0);
	assert_int_equal(algs_with(ES256, ",\"kid\":\"\""), 0);
	assert_int_equal(algs_with(ES256, ",\"kid\":7"), 0);
	assert_int_equal(algs_with(ES256, ",\"kid\":null"), 0);
	assert_int_equal(algs_with(ES256, ",\"kid\":[\"k\"]"), 0);
}

static void
what_is_no_set_is_an_error(void **state)
{
	static const char *const rows[] = {
		"", " ", "null", "[]", "7", "\"keys\"", "{}", "{\"keys\":{}}",
		"{\"keys\":null}", "{\"Keys\":[]}", "{\"keys\":[]}",
		"{\"keys\":[7]}", "{\"keys\":[", "{\"keys\":[]}x",
		"<html>not found</html>",
	};
	char set[TEXT_SIZE];
	const char *error;
	struct jwks *keys;
	size_t i, len;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		error = NULL;
		keys = jwks_parse(rows[i], strlen(rows[i]), &error);
		if (keys != NULL || error == NULL)
			fail_msg("%s: wanted an error", rows[i]);
	}
	/* A name twice anywhere makes all of it doubtful. */
	text[0] = '\0';
	add_jwk(text, ES256, p256, ",\"kid\":\"a\",\"kid\":\"b\"");
	assert_null(set_of(text));
	(void)strlcpy(set, "{\"keys\":[", sizeof(set));
	add_jwk(set, ES256, p256, "");
	add(set, "],\"keys\":[]}");
	assert_null(parse(set));
	/* Cut anywhere, in an allocation of that length. */
	(void)strlcpy(set, "{\"keys\":[", sizeof(set));
	add_jwk(set, ES256, p256, ",\"kid\":\"a\"");
	add_jwk(set, EDDSA, ed, "");
	set[strlen(set)] = '\0';
	for (len = 0; len < strlen(set); len++) {
		char *exact = malloc(len + 1);

		assert_non_null(exact);
		memcpy(exact, set, len);
		assert_null(jwks_parse(exact, len, &error));
		free(exact);
	}
}

static void
keys_that_are_ignored_are_counted_and_the_others_stay(void **state)
{
	char set[TEXT_SIZE];
	struct jwks *keys;

	(void)state;
	(void)strlcpy(set, "{\"more\":1,\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"},",
	    sizeof(set));
	add_jwk(set, RS256, rsa, ",\"kid\":\"r\"");
	add(set, ",7,");
	add_jwk(set, ES256, p256, ",\"kid\":\"secret\",\"d\":\"AA\"");
	add(set, ",");
	add_jwk(set, EDDSA, ed, ",\"kid\":\"e\"");
	add(set, ",");
	add_jwk(set, ES384, p384, ",\"use\":\"enc\"");
	add(set, "]}");
	assert_non_null(keys = parse(set));
	assert_int_equal(keys->n, 2);
	assert_int_equal(keys->ignored, 4);
	assert_string_equal(keys->key[0].kid, "r");
	assert_int_equal(keys->key[0].algs, ALL_RSA);
	assert_string_equal(keys->key[1].kid, "e");
	assert_int_equal(keys->key[1].algs, BIT(JWS_EDDSA));
	jwks_free(keys);
}

static void
a_set_has_a_bounded_number_of_keys(void **state)
{
	char set[TEXT_SIZE], more[32];
	struct jwks *keys;
	int n;

	(void)state;
	(void)strlcpy(set, "{\"keys\":[", sizeof(set));
	for (n = 0; n < JWKS_KEYS_MAX + 6; n++) {
		(void)snprintf(more, sizeof(more), ",\"kid\":\"%d\"", n);
		if (n > 0)
			add(set, ",");
		add_jwk(set, EDDSA, ed, more);
	}
	add(set, "]}");
	assert_non_null(keys = parse(set));
	assert_int_equal(keys->n, JWKS_KEYS_MAX);
	assert_int_equal(keys->ignored, 6);
	assert_string_equal(keys->key[JWKS_KEYS_MAX - 1].kid, "63");
	jwks_free(keys);
	jwks_free(NULL);
}

/* What remembers a token by its key must know that key under any name. */
static void
a_fingerprint_is_of_the_key_alone(void **state)
{
	static const int of[] = { RS256, ES256, ES384, ES512, EDDSA };
	struct jwks *a, *b;
	EVP_PKEY *other;
	size_t i, j;
	uint8_t seen[NROWS(of)][DIGEST_LEN];

	(void)state;
	for (i = 0; i < NROWS(of); i++) {
		text[0] = '\0';
		add_jwk(text, of[i], key_of(of[i]), "");
		assert_non_null(a = set_of(text));
		text[0] = '\0';
		add_jwk(text, of[i], key_of(of[i]),
		    ",\"kid\":\"x\",\"use\":\"sig\"");
		assert_non_null(b = set_of(text));
		assert_memory_equal(a->key[0].print, b->key[0].print,
		    DIGEST_LEN);
		jwks_free(b);
		other = make_key(of[i]);
		text[0] = '\0';
		add_jwk(text, of[i], other, "");
		assert_non_null(b = set_of(text));
		assert_memory_not_equal(a->key[0].print, b->key[0].print,
		    DIGEST_LEN);
		memcpy(seen[i], a->key[0].print, DIGEST_LEN);
		for (j = 0; j < i; j++)
			assert_memory_not_equal(seen[i], seen[j], DIGEST_LEN);
		jwks_free(a);
		jwks_free(b);
		EVP_PKEY_free(other);
	}
}

static void
names_of_algorithms_go_there_and_back(void **state)
{
	static const char *const none[] = { "none", "None", "", "HS256",
	    "HS384", "HS512", "rs256", "RS256 ", "RS25", "RS2566", "ES256K",
	    "Ed25519", "EDDSA", "RS1", "A128KW", "dir" };
	size_t i;
	int k;

	(void)state;
	for (k = 0; k < KINDS; k++)
		assert_string_equal(jws_alg_name(jws_alg_of(slice_of(
		    kinds[k].alg))), kinds[k].alg);
	for (i = 0; i < NROWS(none); i++)
		if (jws_alg_of(slice_of(none[i])) != JWS_NONE)
			fail_msg("\"%s\": wanted no algorithm", none[i]);
	assert_string_equal(jws_alg_name(JWS_ALG_MAX), "none");
}

static int
start(void **state)
{
	(void)state;
	crypt_init();
	rsa = make_key(RS256);
	p256 = make_key(ES256);
	p384 = make_key(ES384);
	p521 = make_key(ES512);
	ed = make_key(EDDSA);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kind_of_a_key_says_what_it_verifies),
		cmocka_unit_test(
		    a_key_with_a_private_or_secret_part_is_ignored),
		cmocka_unit_test(an_rsa_key_is_of_a_sane_size),
		cmocka_unit_test(a_point_is_whole_and_on_its_curve),
		cmocka_unit_test(of_the_edwards_curves_ed25519_alone),
		cmocka_unit_test(a_key_of_no_kind_of_ours_is_ignored),
		cmocka_unit_test(a_name_is_a_text_of_bounded_length),
		cmocka_unit_test(what_is_no_set_is_an_error),
		cmocka_unit_test(
		    keys_that_are_ignored_are_counted_and_the_others_stay),
		cmocka_unit_test(a_set_has_a_bounded_number_of_keys),
		cmocka_unit_test(a_fingerprint_is_of_the_key_alone),
		cmocka_unit_test(names_of_algorithms_go_there_and_back),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
