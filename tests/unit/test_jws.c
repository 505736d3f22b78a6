/* SPDX-License-Identifier: ISC */
/* link: authd/jws.c authd/jwk.c pledge/sandbox_linux.c */

/*
 * authd/jws.c: a token's form and header, the key that it means, and what is
 * no signature.  Every algorithm under every key, every bit and every cut
 * stand in test_jose.c.
 */

#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../authd/jose.h"
#include "../../pledge/sandbox.h"
#include "jose_make.h"

static EVP_PKEY *keys[KINDS], *others[KINDS];
static char token[TEXT_SIZE];

static struct jwks *
parse(const char *set)
{
	const char *error;
	struct jwks *parsed = jwks_parse(set, strlen(set), &error);

	assert_non_null(parsed);
	return parsed;
}

static struct jwks *
set_of(int k)
{
	static char set[TEXT_SIZE];

	(void)strlcpy(set, "{\"keys\":[", sizeof(set));
	add_jwk(set, k, keys[k], "");
	add(set, "]}");
	return parse(set);
}

static enum reason
judge(const char *text, struct jwks *set)
{
	static struct jws s;
	enum reason reason;
	struct jwk *key;

	if ((reason = jws_read(&s, slice_of(text))) != REASON_NONE)
		return reason;
	if ((key = jws_key(&s, set, &reason)) == NULL)
		return reason;
	return jws_verify(&s, key);
}

static const char *
header_of(int k)
{
	static char header[64];

	(void)snprintf(header, sizeof(header), "{\"alg\":\"%s\"}",
	    kinds[k].alg);
	return header;
}

/* ---- form -------------------------------------------------------------- */

#define HEAD	"eyJhbGciOiJFUzI1NiJ9"		/* {"alg":"ES256"} */

static void
a_token_has_three_parts(void **state)
{
	static const struct {
		const char	*text;
		enum reason	 wanted;
	} rows[] = {
		{ HEAD ".e30.AAAA", REASON_NONE },
		{ "", REASON_MALFORMED_TOKEN },
		{ ".", REASON_MALFORMED_TOKEN },
		{ "..", REASON_MALFORMED_TOKEN },
		{ "...", REASON_MALFORMED_TOKEN },
		{ HEAD, REASON_MALFORMED_TOKEN },
		{ HEAD ".", REASON_MALFORMED_TOKEN },
		{ HEAD "..", REASON_MALFORMED_TOKEN },
		{ HEAD ".e30", REASON_MALFORMED_TOKEN },
		{ HEAD ".e30.", REASON_MALFORMED_TOKEN },
		{ ".e30.AAAA", REASON_MALFORMED_TOKEN },
		{ "." HEAD ".e30.AAAA", REASON_MALFORMED_TOKEN },
		{ HEAD ".e30.AAAA.", REASON_MALFORMED_TOKEN },
		{ HEAD ".e30.AAAA.AAAA", REASON_MALFORMED_TOKEN },
		{ HEAD ".e30.AAAA.AAAA.AAAA", REASON_MALFORMED_TOKEN },
		{ HEAD ".e30..AAAA", REASON_MALFORMED_TOKEN },
		/* A payload may be empty (RFC 7515); no claims are in it. */
		{ HEAD "..AAAA", REASON_NONE },
		/* base64url */
		{ HEAD "=.e30.AAAA", REASON_MALFORMED_TOKEN },
		{ HEAD ".e30=.AAAA", REASON_MALFORMED_TOKEN },
		{ HEAD ".e30.AA==", REASON_MALFORMED_TOKEN },
		{ HEAD ".e31.AAAA", REASON_MALFORMED_TOKEN },
		{ HEAD ".e30.AAB", REASON_MALFORMED_TOKEN },
		{ HEAD ".e30.A", REASON_MALFORMED_TOKEN },
		{ HEAD ".e30.AA+A", REASON_MALFORMED_TOKEN },
		{ HEAD ".e30.AAAA ", REASON_MALFORMED_TOKEN },
		/* as a key begins: authd does not even come here with it */
		{ "sk_live_ab.e30.AAAA", REASON_MALFORMED_TOKEN },
		{ " " HEAD ".e30.AAAA", REASON_MALFORMED_TOKEN },
		{ HEAD ".e30.AAAA\n", REASON_MALFORMED_TOKEN },
		{ HEAD ".e 30.AAAA", REASON_MALFORMED_TOKEN },
		/* the JSON serialization, a JWE */
		{ "{\"payload\":\"e30\"}", REASON_MALFORMED_TOKEN },
		{ HEAD ".AA.AA.AA.AA", REASON_MALFORMED_TOKEN },
	};
	static struct jws s;
	enum reason got;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++)
		if ((got = jws_read(&s, slice_of(rows[i].text))) !=
		    rows[i].wanted)
			fail_msg("\"%s\": wanted %s, got %s", rows[i].text,
			    reason_name(rows[i].wanted), reason_name(got));
}

static void
a_token_has_a_bounded_length(void **state)
{
	static char text[JWT_MAX + 8];
	static struct jws s;
	struct slice sl = { text, JWT_MAX };

	(void)state;
	memset(text, 'A', sizeof(text));
	memcpy(text, HEAD ".", sizeof(HEAD));
	/* Zeros in base64url, as long as may be; then one character more. */
	memcpy(text + JWT_MAX - 5, ".AAAA", 5);
	assert_int_equal(jws_read(&s, sl), REASON_NONE);
	assert_int_equal(s.payload.len, (JWT_MAX - sizeof(HEAD) - 5) * 3 / 4);
	memset(text + JWT_MAX - 5, 'A', 13);
	memcpy(text + JWT_MAX - 4, ".AAAA", 5);
	sl.len = JWT_MAX + 1;
	assert_int_equal(jws_read(&s, sl), REASON_MALFORMED_TOKEN);

	/* And so has a signature: 2,048 bytes are 2,731 characters. */
	memset(text, 'A', sizeof(text));
	memcpy(text, HEAD ".e30.", sizeof(HEAD ".e30.") - 1);
	sl.len = sizeof(HEAD ".e30.") - 1 + 2731;
	assert_int_equal(jws_read(&s, sl), REASON_NONE);
	assert_int_equal(s.signature_len, SIGNATURE_MAX);
	sl.len += 1;
	assert_int_equal(jws_read(&s, sl), REASON_MALFORMED_TOKEN);
}

/* ---- header ------------------------------------------------------------ */

static enum reason
header_is(struct jws *s, const char *header)
{
	make_signed_part(token, header, "{}");
	add(token, ".AAAA");
	return jws_read(s, slice_of(token));
}

static void
a_header_says_what_it_must_and_no_more(void **state)
{
	static const struct {
		const char	*header;
		enum reason	 wanted;
	} rows[] = {
		{ "{\"alg\":\"ES256\"}", REASON_NONE },
		{ " {\"alg\" : \"ES256\"} ", REASON_NONE },
		{ "{\"alg\":\"ES256\",\"kid\":\"k\",\"typ\":\"JWT\"}",
		    REASON_NONE },
		/* Entra's; cty; what nobody knows */
		{ "{\"alg\":\"RS256\",\"x5t\":\"AA\",\"x5t#S256\":\"AA\"}",
		    REASON_NONE },
		{ "{\"alg\":\"ES256\",\"cty\":\"JWT\"}", REASON_NONE },
		{ "{\"alg\":\"ES256\",\"x\":{\"crit\":1}}", REASON_NONE },
		/* no object of strict JSON */
		{ "[]", REASON_MALFORMED_TOKEN },
		{ "\"ES256\"", REASON_MALFORMED_TOKEN },
		{ "null", REASON_MALFORMED_TOKEN },
		{ "{\"alg\":\"ES256\"", REASON_MALFORMED_TOKEN },
		{ "{\"alg\":\"ES256\"}}", REASON_MALFORMED_TOKEN },
		{ "{\"alg\":\"ES256\",}", REASON_MALFORMED_TOKEN },
		{ "{'alg':'ES256'}", REASON_MALFORMED_TOKEN },
		{ "{\"alg\":\"none\",\"alg\":\"ES256\"}",
		    REASON_MALFORMED_TOKEN },
		{ "{\"alg\":\"ES256\",\"\\u0061lg\":\"ES256\"}",
		    REASON_MALFORMED_TOKEN },
		{ "\xef\xbb\xbf{\"alg\":\"ES256\"}", REASON_MALFORMED_TOKEN },
		{ "{\"alg\":\"ES256\",\"a\":\"\\u0000\"}",
		    REASON_MALFORMED_TOKEN },
		{ "{\"alg\":\"ES256\",\"a\":\"\xff\"}", REASON_MALFORMED_TOKEN },
		/* alg */
		{ "{}", REASON_BAD_ALGORITHM },
		{ "{\"kid\":\"k\"}", REASON_BAD_ALGORITHM },
		{ "{\"alg\":null}", REASON_BAD_ALGORITHM },
		{ "{\"alg\":7}", REASON_BAD_ALGORITHM },
		{ "{\"alg\":[\"ES256\"]}", REASON_BAD_ALGORITHM },
		{ "{\"alg\":\"\"}", REASON_BAD_ALGORITHM },
		{ "{\"alg\":\"none\"}", REASON_BAD_ALGORITHM },
		{ "{\"alg\":\"nOnE\"}", REASON_BAD_ALGORITHM },
		{ "{\"alg\":\"HS256\"}", REASON_BAD_ALGORITHM },
		{ "{\"alg\":\"HS512\"}", REASON_BAD_ALGORITHM },
		{ "{\"alg\":\"es256\"}", REASON_BAD_ALGORITHM },
		{ "{\"alg\":\"ES256 \"}", REASON_BAD_ALGORITHM },
		{ "{\"alg\":\"ES256K\"}", REASON_BAD_ALGORITHM },
		{ "{\"alg\":\"RS1\"}", REASON_BAD_ALGORITHM },
		{ "{\"Alg\":\"ES256\"}", REASON_BAD_ALGORITHM },
		{ "{\"x\":{\"alg\":\"ES256\"}}", REASON_BAD_ALGORITHM },
		/* what brings a key along or changes the meaning */
		{ "{\"alg\":\"ES256\",\"crit\":[]}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"crit\":[\"exp\"]}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"crit\":null}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"b64\":true}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"b64\":false}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"zip\":\"DEF\"}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"jwk\":{}}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"jku\":\"\"}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"x5c\":[]}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"x5u\":\"\"}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"enc\":\"A128GCM\"}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"j\\u0077k\":{}}", REASON_BAD_HEADER },
		/* kid and typ */
		{ "{\"alg\":\"ES256\",\"kid\":\"\"}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"kid\":7}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"kid\":null}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"kid\":[\"k\"]}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"typ\":7}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"typ\":null}", REASON_BAD_HEADER },
		{ "{\"alg\":\"ES256\",\"typ\":[\"JWT\"]}", REASON_BAD_HEADER },
	};
	char header[KID_MAX + 64], kid[KID_MAX + 2];
	static struct jws s;
	enum reason got;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++)
		if ((got = header_is(&s, rows[i].header)) != rows[i].wanted)
			fail_msg("%s: wanted %s, got %s", rows[i].header,
			    reason_name(rows[i].wanted), reason_name(got));
	memset(kid, 'k', sizeof(kid));
	kid[KID_MAX] = '\0';
	(void)snprintf(header, sizeof(header),
	    "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid);
	assert_int_equal(header_is(&s, header), REASON_NONE);
	assert_string_equal(s.kid, kid);
	kid[KID_MAX] = 'k';
	kid[KID_MAX + 1] = '\0';
	(void)snprintf(header, sizeof(header),
	    "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid);
	assert_int_equal(header_is(&s, header), REASON_BAD_HEADER);
	/* typ: the same whichever way it is written, and of bounded length. */
	assert_int_equal(header_is(&s,
	    "{\"alg\":\"ES256\",\"typ\":\"Application/AT+JWT\"}"), REASON_NONE);
	assert_string_equal(s.typ, "at+jwt");
	kid[sizeof(s.typ) - 1] = '\0';
	(void)snprintf(header, sizeof(header),
	    "{\"alg\":\"ES256\",\"typ\":\"application/%s\"}", kid);
	assert_int_equal(header_is(&s, header), REASON_NONE);
	(void)snprintf(header, sizeof(header),
	    "{\"alg\":\"ES256\",\"typ\":\"application/k%s\"}", kid);
	assert_int_equal(header_is(&s, header), REASON_BAD_HEADER);
}

static void
nothing_of_a_token_is_left_for_the_next(void **state)
{
	static struct jws s;
	static char secret[4096], header[8192];
	const char *decoded;
	size_t i;

	(void)state;
	memset(secret, 's', sizeof(secret) - 1);
	make_signed_part(token, "{\"alg\":\"ES256\",\"kid\":\"k\",\"typ\":\"x\"}",
	    secret);
	add(token, ".AAAA");
	assert_int_equal(jws_read(&s, slice_of(token)), REASON_NONE);
	assert_int_equal(s.payload.len, sizeof(secret) - 1);
	decoded = s.payload.ptr;
	/* After a good one, and after one that ends midway. */
	assert_int_equal(header_is(&s, "{\"alg\":\"ES256\"}"), REASON_NONE);
	assert_ptr_equal(s.payload.ptr, decoded);
	assert_true(slice_is(s.payload, "{}"));
	assert_int_equal(s.has_kid, 0);
	assert_int_equal(s.has_typ, 0);
	for (i = strlen("{\"alg\":\"ES256\"}"); i < sizeof(secret); i++)
		assert_int_equal(decoded[i], 0);
	/* After one whose header was the longer part. */
	(void)snprintf(header, sizeof(header),
	    "{\"alg\":\"ES256\",\"x\":\"%s\"}", secret);
	assert_int_equal(header_is(&s, header), REASON_NONE);
	assert_int_equal(header_is(&s, "{\"alg\":\"ES256\"}"), REASON_NONE);
	for (i = strlen("{\"alg\":\"ES256\"}"); i < sizeof(secret); i++)
		assert_int_equal(decoded[i], 0);
	make_signed_part(token, "{\"alg\":\"ES256\"}", secret);
	add(token, "*.AAAA");
	assert_int_equal(jws_read(&s, slice_of(token)), REASON_MALFORMED_TOKEN);
	assert_null(s.payload.ptr);
	assert_int_equal(jws_read(&s, slice_of("x")), REASON_MALFORMED_TOKEN);
	for (i = 0; i < sizeof(secret); i++)
		assert_int_equal(decoded[i], 0);
}

/* ---- the key ----------------------------------------------------------- */

static void
a_token_means_one_key(void **state)
{
	static const struct {
		const char	*header;
		const char	*wanted;	/* the key's kid; NULL: none */
		enum reason	 reason;
	} rows[] = {
		{ "{\"alg\":\"ES256\",\"kid\":\"e1\"}", "e1", REASON_NONE },
		{ "{\"alg\":\"ES256\",\"kid\":\"\\u0065\\u0031\"}", "e1",
		    REASON_NONE },
		{ "{\"alg\":\"ES256\",\"kid\":\"e2\"}", "e2", REASON_NONE },
		{ "{\"alg\":\"RS256\",\"kid\":\"r\"}", "r", REASON_NONE },
		{ "{\"alg\":\"PS512\",\"kid\":\"r\"}", "r", REASON_NONE },
		{ "{\"alg\":\"EdDSA\",\"kid\":\"both\"}", "both", REASON_NONE },
		{ "{\"alg\":\"ES384\",\"kid\":\"both\"}", "both", REASON_NONE },
		/* not there */
		{ "{\"alg\":\"ES256\",\"kid\":\"e\"}", NULL,
		    REASON_UNKNOWN_KID },
		{ "{\"alg\":\"ES256\",\"kid\":\"e11\"}", NULL,
		    REASON_UNKNOWN_KID },
		{ "{\"alg\":\"ES256\",\"kid\":\"E1\"}", NULL,
		    REASON_UNKNOWN_KID },
		/* there, and for another algorithm */
		{ "{\"alg\":\"ES384\",\"kid\":\"e1\"}", NULL,
		    REASON_BAD_ALGORITHM },
		{ "{\"alg\":\"RS256\",\"kid\":\"e1\"}", NULL,
		    REASON_BAD_ALGORITHM },
		{ "{\"alg\":\"ES256\",\"kid\":\"r\"}", NULL,
		    REASON_BAD_ALGORITHM },
		{ "{\"alg\":\"RS256\",\"kid\":\"ps\"}", NULL,
		    REASON_BAD_ALGORITHM },
		{ "{\"alg\":\"PS384\",\"kid\":\"ps\"}", NULL,
		    REASON_BAD_ALGORITHM },
		/* there twice */
		{ "{\"alg\":\"ES512\",\"kid\":\"twin\"}", NULL,
		    REASON_UNKNOWN_KID },
		/* no kid: where one key fits */
		{ "{\"alg\":\"EdDSA\"}", "both", REASON_NONE },
		{ "{\"alg\":\"ES384\"}", "both", REASON_NONE },
		{ "{\"alg\":\"RS512\"}", "r", REASON_NONE },
		{ "{\"alg\":\"PS256\"}", NULL, REASON_UNKNOWN_KID },
		{ "{\"alg\":\"ES256\"}", NULL, REASON_UNKNOWN_KID },
		{ "{\"alg\":\"ES512\"}", NULL, REASON_UNKNOWN_KID },
	};
	static char set[TEXT_SIZE];
	static struct jws s;
	enum reason reason;
	struct jwks *parsed;
	struct jwk *key;
	size_t i;

	(void)state;
	(void)strlcpy(set, "{\"keys\":[", sizeof(set));
	add_jwk(set, ES256, keys[ES256], ",\"kid\":\"e1\"");
	add(set, ",");
	add_jwk(set, ES256, others[ES256], ",\"kid\":\"e2\"");
	add(set, ",");
	add_jwk(set, RS256, keys[RS256], ",\"kid\":\"r\"");
	add(set, ",");
	add_jwk(set, PS256, others[PS256], ",\"kid\":\"ps\",\"alg\":\"PS256\"");
	add(set, ",");
	add_jwk(set, EDDSA, keys[EDDSA], ",\"kid\":\"both\"");
	add(set, ",");
	add_jwk(set, ES384, keys[ES384], ",\"kid\":\"both\"");
	add(set, ",");
	add_jwk(set, ES512, keys[ES512], ",\"kid\":\"twin\"");
	add(set, ",");
	add_jwk(set, ES512, others[ES512], ",\"kid\":\"twin\"");
	add(set, "]}");
	parsed = parse(set);
	assert_int_equal(parsed->n, 8);
	for (i = 0; i < NROWS(rows); i++) {
		assert_int_equal(header_is(&s, rows[i].header), REASON_NONE);
		reason = REASON_NONE;
		key = jws_key(&s, parsed, &reason);
		if (rows[i].wanted == NULL ? key != NULL || reason !=
		    rows[i].reason : key == NULL ||
		    strcmp(key->kid, rows[i].wanted) != 0)
			fail_msg("%s: wanted %s, got %s (%s)", rows[i].header,
			    rows[i].wanted == NULL ?
			    reason_name(rows[i].reason) : rows[i].wanted,
			    key == NULL ? "none" : key->kid,
			    reason_name(reason));
	}
	jwks_free(parsed);
}

/* A token that names a key is not verified by one that has no name. */
static void
a_key_without_a_name_is_not_named(void **state)
{
	struct jwks *set = set_of(ES256);

	(void)state;
	make_token(token, ES256, keys[ES256], "{\"alg\":\"ES256\"}", "{}");
	assert_int_equal(judge(token, set), REASON_NONE);
	make_token(token, ES256, keys[ES256],
	    "{\"alg\":\"ES256\",\"kid\":\"k\"}", "{}");
	assert_int_equal(judge(token, set), REASON_UNKNOWN_KID);
	jwks_free(set);
}

/* ---- signatures -------------------------------------------------------- */

static void
another_key_of_the_same_kind_does_not_verify(void **state)
{
	struct jwks *set;
	int k;

	(void)state;
	for (k = 0; k < KINDS; k++) {
		set = set_of(k);
		make_token(token, k, keys[k], header_of(k), "any \xff payload");
		assert_int_equal(judge(token, set), REASON_NONE);
		make_token(token, k, keys[k], header_of(k), "");
		assert_int_equal(judge(token, set), REASON_NONE);
		make_token(token, k, others[k], header_of(k), "{}");
		if (judge(token, set) != REASON_BAD_SIGNATURE)
			fail_msg("%s: wanted a refusal", kinds[k].alg);
		/* And the context is none the worse for it. */
		make_token(token, k, keys[k], header_of(k), "{}");
		assert_int_equal(judge(token, set), REASON_NONE);
		jwks_free(set);
	}
}

/* The header as it is named is what is signed: alg may not be another's. */
static void
an_algorithm_is_not_exchanged_for_another(void **state)
{
	static struct jws s;
	struct jwks *set = set_of(RS256);
	unsigned char sig[1024];
	size_t len;
	int as, by;

	(void)state;
	for (as = RS256; as <= PS512; as++)
		for (by = RS256; by <= PS512; by++) {
			make_signed_part(token, header_of(as), "{}");
			len = sign(sig, sizeof(sig), by, keys[RS256], token,
			    NULL);
			add(token, ".");
			add_bytes(token, sig, len);
			if ((judge(token, set) == REASON_NONE) != (as == by))
				fail_msg("%s signed as %s", kinds[as].alg,
				    kinds[by].alg);
		}
	/* What the caller took for a key's algorithm is looked at again. */
	make_token(token, ES256, keys[ES256], header_of(ES256), "{}");
	assert_int_equal(jws_read(&s, slice_of(token)), REASON_NONE);
	assert_int_equal(jws_verify(&s, &set->key[0]), REASON_BAD_SIGNATURE);
	make_token(token, PS256, keys[RS256], header_of(PS256), "{}");
	assert_int_equal(jws_read(&s, slice_of(token)), REASON_NONE);
	assert_int_equal(jws_verify(&s, &set->key[0]), REASON_NONE);
	set->key[0].algs = 1U << JWS_RS256;
	assert_int_equal(jws_verify(&s, &set->key[0]), REASON_BAD_SIGNATURE);
	s.alg = JWS_NONE;
	set->key[0].algs |= 1U << JWS_NONE;
	assert_int_equal(jws_verify(&s, &set->key[0]), REASON_BAD_SIGNATURE);
	jwks_free(set);
}

static enum reason
with_signature(int k, struct jwks *set, const unsigned char *sig, size_t len)
{
	make_signed_part(token, header_of(k), "{}");
	add(token, ".");
	add_bytes(token, sig, len);
	return judge(token, set);
}

static void
an_ecdsa_signature_is_two_numbers_of_full_length(void **state)
{
	unsigned char sig[160], bent[300];
	size_t field, len;
	struct jwks *set;
	EVP_MD_CTX *md;
	int k;

	(void)state;
	for (k = ES256; k <= ES512; k++) {
		set = set_of(k);
		field = kinds[k].field;
		make_signed_part(token, header_of(k), "{}");
		len = sign(sig, sizeof(sig), k, keys[k], token, NULL);
		assert_int_equal(len, 2 * field);
		assert_int_equal(with_signature(k, set, sig, len), REASON_NONE);
		/* Shorter, longer, a zero before or between or behind. */
		assert_int_equal(with_signature(k, set, sig, len - 1),
		    REASON_BAD_SIGNATURE);
		assert_int_equal(with_signature(k, set, sig, field),
		    REASON_BAD_SIGNATURE);
		memset(bent, 0, sizeof(bent));
		memcpy(bent, sig, len);
		assert_int_equal(with_signature(k, set, bent, len + 1),
		    REASON_BAD_SIGNATURE);
		assert_int_equal(with_signature(k, set, bent, len + 2),
		    REASON_BAD_SIGNATURE);
		memset(bent, 0, sizeof(bent));
		memcpy(bent + 1, sig, field);
		memcpy(bent + 2 + field, sig + field, field);
		assert_int_equal(with_signature(k, set, bent, len + 2),
		    REASON_BAD_SIGNATURE);
		/* r or s zero, both (CVE-2022-21449), exchanged. */
		memset(bent, 0, sizeof(bent));
		assert_int_equal(with_signature(k, set, bent, len),
		    REASON_BAD_SIGNATURE);
		memcpy(bent, sig, field);
		assert_int_equal(with_signature(k, set, bent, len),
		    REASON_BAD_SIGNATURE);
		memset(bent, 0, field);
		memcpy(bent + field, sig + field, field);
		assert_int_equal(with_signature(k, set, bent, len),
		    REASON_BAD_SIGNATURE);
		memcpy(bent, sig + field, field);
		memcpy(bent + field, sig, field);
		assert_int_equal(with_signature(k, set, bent, len),
		    REASON_BAD_SIGNATURE);
		memset(bent, 0xff, len);
		assert_int_equal(with_signature(k, set, bent, len),
		    REASON_BAD_SIGNATURE);
		/* As DER, which OpenSSL would take. */
		make_signed_part(token, header_of(k), "{}");
		len = sizeof(bent);
		md = EVP_MD_CTX_new();
		must(EVP_DigestSignInit_ex(md, NULL, kinds[k].digest, NULL,
		    NULL, keys[k], NULL) == 1 && EVP_DigestSign(md, bent, &len,
		    (unsigned char *)token, strlen(token)) == 1);
		EVP_MD_CTX_free(md);
		assert_int_equal(with_signature(k, set, bent, len),
		    REASON_BAD_SIGNATURE);
		jwks_free(set);
	}
}

static void
an_rsa_signature_is_as_long_as_its_modulus(void **state)
{
	unsigned char sig[1024], bent[1024];
	struct jwks *set = set_of(RS256);
	size_t len;
	int k;

	(void)state;
	for (k = RS256; k <= PS512; k++) {
		make_signed_part(token, header_of(k), "{}");
		len = sign(sig, sizeof(sig), k, keys[RS256], token, NULL);
		assert_int_equal(len, 256);
		assert_int_equal(with_signature(k, set, sig, len), REASON_NONE);
		memset(bent, 0, sizeof(bent));
		memcpy(bent + 1, sig, len);
		assert_int_equal(with_signature(k, set, bent, len + 1),
		    REASON_BAD_SIGNATURE);
		assert_int_equal(with_signature(k, set, sig, len - 1),
		    REASON_BAD_SIGNATURE);
		assert_int_equal(with_signature(k, set, sig + 1, len - 1),
		    REASON_BAD_SIGNATURE);
		memcpy(bent, sig, len);
		bent[len] = 0;
		assert_int_equal(with_signature(k, set, bent, len + 1),
		    REASON_BAD_SIGNATURE);
		memset(bent, 0, len);
		assert_int_equal(with_signature(k, set, bent, len),
		    REASON_BAD_SIGNATURE);
		bent[len - 1] = 1;
		assert_int_equal(with_signature(k, set, bent, len),
		    REASON_BAD_SIGNATURE);
		memset(bent, 0xff, len);
		assert_int_equal(with_signature(k, set, bent, len),
		    REASON_BAD_SIGNATURE);
	}
	jwks_free(set);
}

static void
the_salt_and_the_mask_of_pss_are_those_of_the_digest(void **state)
{
	static const struct {
		int		 k;
		struct pss	 pss;
		enum reason	 wanted;
	} rows[] = {
		{ PS256, { 32, "SHA256" }, REASON_NONE },
		{ PS384, { 48, "SHA384" }, REASON_NONE },
		{ PS512, { 64, "SHA512" }, REASON_NONE },
		{ PS256, { 0, NULL }, REASON_BAD_SIGNATURE },
		{ PS256, { 20, NULL }, REASON_BAD_SIGNATURE },
		{ PS256, { 31, NULL }, REASON_BAD_SIGNATURE },
		{ PS256, { 33, NULL }, REASON_BAD_SIGNATURE },
		{ PS256, { RSA_PSS_SALTLEN_MAX, NULL }, REASON_BAD_SIGNATURE },
		{ PS384, { 32, NULL }, REASON_BAD_SIGNATURE },
		{ PS512, { RSA_PSS_SALTLEN_MAX, NULL }, REASON_BAD_SIGNATURE },
		{ PS256, { 32, "SHA1" }, REASON_BAD_SIGNATURE },
		{ PS256, { 32, "SHA512" }, REASON_BAD_SIGNATURE },
		{ PS512, { 64, "SHA256" }, REASON_BAD_SIGNATURE },
	};
	struct jwks *set = set_of(RS256);
	unsigned char sig[1024];
	enum reason got;
	size_t i, len;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		make_signed_part(token, header_of(rows[i].k), "{}");
		len = sign(sig, sizeof(sig), rows[i].k, keys[RS256], token,
		    &rows[i].pss);
		if ((got = with_signature(rows[i].k, set, sig, len)) !=
		    rows[i].wanted)
			fail_msg("row %zu: wanted %s, got %s", i,
			    reason_name(rows[i].wanted), reason_name(got));
	}
	jwks_free(set);
}

/* test_jose.c takes every third bit in turn; these are any, of longer tokens. */
static void
any_bit_that_differs_is_noticed(void **state)
{
	char bent[TEXT_SIZE];
	uint32_t bit, n;
	struct jwks *set;
	int k;

	(void)state;
	for (k = 0; k < KINDS; k++) {
		set = set_of(k);
		make_token(token, k, keys[k], header_of(k),
		    "{\"iss\":\"https://one.example/\",\"sub\":\"alice\"}");
		for (n = 0; n < 500; n++) {
			random_bytes(&bit, sizeof(bit));
			bit %= (uint32_t)(8 * strlen(token));
			(void)strlcpy(bent, token, sizeof(bent));
			bent[bit / 8] = (char)(bent[bit / 8] ^ (1 << bit % 8));
			if (judge(bent, set) == REASON_NONE)
				fail_msg("%s: bit %u of %s", kinds[k].alg, bit,
				    token);
		}
		assert_int_equal(judge(token, set), REASON_NONE);
		jwks_free(set);
	}
}

/* ---- the sandbox ------------------------------------------------------- */

#define CONFINED	"confined"	/* argument: be the process below */

/*
 * A process of its own, that made no key and signed nothing: only
 * jose_init() had OpenSSL load what it needs before authd's sandbox closes.
 * Standard input: a set and a token of each kind, a line each.
 */
static int
confined(void)
{
	static char line[KINDS + 1][TEXT_SIZE];
	struct sandbox_needs needs;
	struct jwks *set;
	const char *error;
	int k;

	(void)alarm(60);
	for (k = 0; k <= KINDS; k++) {
		if (fgets(line[k], sizeof(line[k]), stdin) == NULL)
			return 99;
		line[k][strcspn(line[k], "\n")] = '\0';
	}
	crypt_init();
	sandbox_needs_init(&needs);
	if (jose_init() == -1 || sandbox_enter(ROLE_AUTHD, &needs) == -1)
		return 100;
	set = jwks_parse(line[0], strlen(line[0]), &error);
	if (set == NULL || set->n != 5 || set->ignored != 1)
		return 101;
	for (k = 0; k < KINDS; k++) {
		if (judge(line[k + 1], set) != REASON_NONE)
			return 1 + k;
		/* The last character might hold no bit at all. */
		line[k + 1][strlen(line[k + 1]) - 9] ^= 1;
		if (judge(line[k + 1], set) == REASON_NONE)
			return 50 + k;
	}
	jwks_free(set);
	return 0;
}

/* Less than a pipe holds: it is written before anybody reads. */
static void
write_lines(int fd)
{
	static char set[TEXT_SIZE];
	FILE *f = fdopen(fd, "w");
	int k;

	must(f != NULL);
	(void)strlcpy(set, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
	    "\"AA\",\"y\":\"AA\"}", sizeof(set));
	for (k = 0; k < KINDS; k++)
		if (k == RS256 || k >= ES256) {
			add(set, ",");
			add_jwk(set, k, keys[k], "");
		}
	fprintf(f, "%s]}\n", set);
	for (k = 0; k < KINDS; k++) {
		make_token(token, k, keys[k], header_of(k), "{}");
		fprintf(f, "%s\n", token);
	}
	must(fclose(f) == 0);
}

static void
all_is_loaded_before_the_sandbox(void **state)
{
	int fds[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	if ((pid = fork()) == 0) {
		(void)close(fds[1]);
		if (dup2(fds[0], STDIN_FILENO) != -1)
			(void)execl("/proc/self/exe", "test_jws", CONFINED,
			    (char *)NULL);
		_exit(102);
	}
	assert_int_not_equal(pid, -1);
	(void)close(fds[0]);
	write_lines(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("wanted it to judge them all, got status 0x%x",
		    (unsigned int)status);
}

static int
start(void **state)
{
	int k;

	(void)state;
	crypt_init();
	for (k = 0; k < KINDS; k++) {
		/* The RSA algorithms share two keys: making them takes time. */
		keys[k] = k > RS256 && k <= PS512 ? keys[RS256] : make_key(k);
		others[k] = k > RS256 && k <= PS512 ? others[RS256] :
		    make_key(k);
	}
	return jose_init() == 0 && jose_init() == 0 ? 0 : -1;
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_loaded_before_the_sandbox),
		cmocka_unit_test(a_token_has_three_parts),
		cmocka_unit_test(a_token_has_a_bounded_length),
		cmocka_unit_test(a_header_says_what_it_must_and_no_more),
		cmocka_unit_test(nothing_of_a_token_is_left_for_the_next),
		cmocka_unit_test(a_token_means_one_key),
		cmocka_unit_test(a_key_without_a_name_is_not_named),
		cmocka_unit_test(another_key_of_the_same_kind_does_not_verify),
		cmocka_unit_test(an_algorithm_is_not_exchanged_for_another),
		cmocka_unit_test(
		    an_ecdsa_signature_is_two_numbers_of_full_length),
		cmocka_unit_test(an_rsa_signature_is_as_long_as_its_modulus),
		cmocka_unit_test(
		    the_salt_and_the_mask_of_pss_are_those_of_the_digest),
		cmocka_unit_test(any_bit_that_differs_is_noticed),
	};

	if (argc == 2 && strcmp(argv[1], CONFINED) == 0)
		/* No exit(3): a leak checker may not run in there. */
		_exit(confined());
	return cmocka_run_group_tests(tests, start, NULL);
}
