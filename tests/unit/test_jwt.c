/* SPDX-License-Identifier: ISC */
/* link: authd/jwt.c authd/jws.c authd/jwk.c */

/*
 * authd/jwt.c: each rule of the claims with a token that breaks it alone, at
 * its bounds; claims by their paths.  No signature is looked at here.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../authd/jose.h"
#include "jose_make.h"

#define NOW		1800000000LL
#define LEEWAY		30
#define LIFE		3600
#define ISS		"https://one.example/"
#define HERE		"https://api.example/mcp"
#define THERE		"https://api.example/other"

#define S_(x)		#x
#define S(x)		S_(x)
#define AT(seconds)	"@" S(seconds) "@"	/* of NOW; see times_in() */

static struct jwt_policy policy;

/* Not NUL-terminated where they end: a slice says how long it is. */
static const char audience_text[] = HERE "and" THERE "and";
static const struct slice audiences[] = {
	{ audience_text, sizeof(HERE) - 1 },
	{ audience_text + sizeof(HERE "and") - 1, sizeof(THERE) - 1 },
};

static int
fresh(void **state)
{
	(void)state;
	memset(&policy, 0, sizeof(policy));
	policy.issuer = slice_of(ISS);
	policy.audiences = NROWS(audiences);
	policy.audience = audiences;
	policy.typ = slice_of("");
	policy.leeway_s = LEEWAY;
	policy.lifetime_s = LIFE;
	return 0;
}

/* Copies claims, with @n@ as the number NOW + n. */
static void
times_in(char *out, const char *claims)
{
	const char *c;
	char number[32], *end;

	out[0] = '\0';
	for (c = claims; *c != '\0'; c++) {
		if (*c != '@') {
			number[0] = *c;
			number[1] = '\0';
		} else {
			(void)snprintf(number, sizeof(number), "%lld",
			    NOW + strtoll(c + 1, &end, 10));
			must(*end == '@');
			c = end;
		}
		add(out, number);
	}
}

/* The verdict on claims under a header, as jwt_read() and jwt_claims() give it. */
static enum reason
judge(struct jwt *t, const char *header, const char *claims)
{
	static char payload[TEXT_SIZE], token[TEXT_SIZE];
	enum reason reason;

	times_in(payload, claims);
	make_signed_part(token, header, payload);
	add(token, ".AAAA");
	if ((reason = jwt_read(t, slice_of(token))) != REASON_NONE)
		return reason;
	return jwt_claims(t, &policy, NOW);
}

static enum reason
claims_are(const char *claims)
{
	static struct jwt t;

	return judge(&t, "{\"alg\":\"ES256\"}", claims);
}

struct row {
	const char	*what;
	const char	*claims;
	enum reason	 wanted;
};

static void
check(const struct row *rows, size_t n)
{
	enum reason got;
	size_t i;

	for (i = 0; i < n; i++)
		if ((got = claims_are(rows[i].claims)) != rows[i].wanted)
			fail_msg("%s: wanted %s, got %s", rows[i].what,
			    reason_name(rows[i].wanted), reason_name(got));
}

/* Each leaves one claim out, for the row to say it. */
#define NO_ISS	"\"aud\":\"" HERE "\",\"sub\":\"alice\",\"exp\":" AT(600)
#define NO_AUD	"\"iss\":\"" ISS "\",\"sub\":\"alice\",\"exp\":" AT(600)
#define NO_SUB	"\"iss\":\"" ISS "\",\"aud\":\"" HERE "\",\"exp\":" AT(600)
#define NO_EXP	"\"iss\":\"" ISS "\",\"aud\":\"" HERE "\",\"sub\":\"alice\""
#define ALL	NO_EXP ",\"exp\":" AT(600)

static void
a_token_with_what_it_needs_is_taken(void **state)
{
	static struct jwt t;

	(void)state;
	assert_int_equal(judge(&t, "{\"alg\":\"ES256\"}", "{" ALL "}"),
	    REASON_NONE);
	assert_string_equal(t.iss, ISS);
	assert_string_equal(t.sub, "alice");
	assert_true(t.exp == NOW + 600);
	/* The second audience of ours, and texts with escapes in them. */
	assert_int_equal(judge(&t, "{\"alg\":\"ES256\"}", "{" NO_AUD
	    ",\"aud\":\"https:\\/\\/api.example/othe\\u0072\"}"), REASON_NONE);
	assert_int_equal(judge(&t, "{\"alg\":\"ES256\"}", "{" NO_SUB
	    ",\"s\\u0075b\":\"\\u0061l\\u00edce\"}"), REASON_NONE);
	assert_string_equal(t.sub, "al\xc3\xad" "ce");
}

static void
a_payload_that_is_no_object_of_strict_json_is_malformed(void **state)
{
	static const struct row rows[] = {
		{ "nothing", "", REASON_MALFORMED_TOKEN },
		{ "a list", "[]", REASON_MALFORMED_TOKEN },
		{ "a text", "\"x\"", REASON_MALFORMED_TOKEN },
		{ "null", "null", REASON_MALFORMED_TOKEN },
		{ "cut short", "{" ALL, REASON_MALFORMED_TOKEN },
		{ "more behind it", "{" ALL "}x", REASON_MALFORMED_TOKEN },
		{ "two objects", "{" ALL "}{}", REASON_MALFORMED_TOKEN },
		{ "a comma too many", "{" ALL ",}", REASON_MALFORMED_TOKEN },
		{ "a name twice", "{" ALL ",\"sub\":\"bob\"}",
		    REASON_MALFORMED_TOKEN },
		{ "a name twice, once with an escape",
		    "{" ALL ",\"su\\u0062\":\"bob\"}", REASON_MALFORMED_TOKEN },
		{ "a name twice, deep down", "{" ALL ",\"a\":{\"b\":1,\"b\":1}}",
		    REASON_MALFORMED_TOKEN },
		{ "not UTF-8", "{" ALL ",\"a\":\"\xff\"}",
		    REASON_MALFORMED_TOKEN },
		{ "half a surrogate", "{" ALL ",\"a\":\"\\ud800\"}",
		    REASON_MALFORMED_TOKEN },
		{ "a NUL", "{" ALL ",\"a\":\"\\u0000\"}",
		    REASON_MALFORMED_TOKEN },
		{ "a byte order mark", "\xef\xbb\xbf{" ALL "}",
		    REASON_MALFORMED_TOKEN },
		{ "white space around", " {" ALL "}\n", REASON_NONE },
	};

	(void)state;
	check(rows, NROWS(rows));
}

static void
the_issuer_is_exactly_ours(void **state)
{
	static const struct row rows[] = {
		{ "none", "{" NO_ISS "}", REASON_BAD_CLAIM },
		{ "null", "{" NO_ISS ",\"iss\":null}", REASON_BAD_CLAIM },
		{ "a list", "{" NO_ISS ",\"iss\":[\"" ISS "\"]}",
		    REASON_BAD_CLAIM },
		{ "empty", "{" NO_ISS ",\"iss\":\"\"}", REASON_UNKNOWN_ISSUER },
		{ "another", "{" NO_ISS ",\"iss\":\"https://two.example/\"}",
		    REASON_UNKNOWN_ISSUER },
		{ "without the slash",
		    "{" NO_ISS ",\"iss\":\"https://one.example\"}",
		    REASON_UNKNOWN_ISSUER },
		{ "with more", "{" NO_ISS ",\"iss\":\"" ISS "x\"}",
		    REASON_UNKNOWN_ISSUER },
		{ "in capitals", "{" NO_ISS ",\"iss\":\"https://ONE.example/\"}",
		    REASON_UNKNOWN_ISSUER },
	};

	(void)state;
	check(rows, NROWS(rows));
}

static void
one_audience_is_exactly_ours(void **state)
{
	static const struct row rows[] = {
		{ "none", "{" NO_AUD "}", REASON_BAD_CLAIM },
		{ "null", "{" NO_AUD ",\"aud\":null}", REASON_BAD_CLAIM },
		{ "a number", "{" NO_AUD ",\"aud\":1}", REASON_BAD_CLAIM },
		{ "an object", "{" NO_AUD ",\"aud\":{\"" HERE "\":1}}",
		    REASON_BAD_CLAIM },
		{ "no audience", "{" NO_AUD ",\"aud\":[]}", REASON_BAD_CLAIM },
		{ "a number beside ours", "{" NO_AUD ",\"aud\":[\"" HERE
		    "\",1]}", REASON_BAD_CLAIM },
		{ "a list in the list", "{" NO_AUD ",\"aud\":[[\"" HERE
		    "\"]]}", REASON_BAD_CLAIM },
		{ "empty", "{" NO_AUD ",\"aud\":\"\"}", REASON_WRONG_AUDIENCE },
		{ "another", "{" NO_AUD ",\"aud\":\"https://x.example\"}",
		    REASON_WRONG_AUDIENCE },
		{ "the beginning", "{" NO_AUD ",\"aud\":\"https://api.example\"}",
		    REASON_WRONG_AUDIENCE },
		{ "ours and more", "{" NO_AUD ",\"aud\":\"" HERE "/\"}",
		    REASON_WRONG_AUDIENCE },
		{ "ours and what stands behind it in memory",
		    "{" NO_AUD ",\"aud\":\"" HERE "and" THERE "and\"}",
		    REASON_WRONG_AUDIENCE },
		{ "others", "{" NO_AUD ",\"aud\":[\"a\",\"b\"]}",
		    REASON_WRONG_AUDIENCE },
		{ "ours alone in a list", "{" NO_AUD ",\"aud\":[\"" HERE "\"]}",
		    REASON_NONE },
		{ "ours as the last", "{" NO_AUD ",\"aud\":[\"a\",\"" THERE
		    "\"]}", REASON_NONE },
	};
	char claims[4096];
	int n, audience;

	(void)state;
	check(rows, NROWS(rows));
	for (n = 64; n <= 65; n++) {
		(void)strlcpy(claims, "{" NO_AUD ",\"aud\":[\"" HERE "\"",
		    sizeof(claims));
		for (audience = 1; audience < n; audience++)
			(void)strlcat(claims, ",\"a\"", sizeof(claims));
		(void)strlcat(claims, "]}", sizeof(claims));
		assert_int_equal(claims_are(claims), n == 64 ? REASON_NONE :
		    REASON_BAD_CLAIM);
	}
	/* One that is longer than any that we could have. */
	(void)strlcpy(claims, "{" NO_AUD ",\"aud\":[\"", sizeof(claims));
	for (n = 0; n < URL_MAX + 10; n++)
		(void)strlcat(claims, "a", sizeof(claims));
	(void)strlcat(claims, "\",\"" HERE "\"]}", sizeof(claims));
	assert_int_equal(claims_are(claims), REASON_NONE);
}

static void
times_hold_to_the_second(void **state)
{
	static const struct row rows[] = {
		{ "no exp", "{" NO_EXP "}", REASON_BAD_CLAIM },
		{ "exp null", "{" NO_EXP ",\"exp\":null}", REASON_BAD_CLAIM },
		{ "exp as a text", "{" NO_EXP ",\"exp\":\"" AT(600) "\"}",
		    REASON_BAD_CLAIM },
		{ "exp true", "{" NO_EXP ",\"exp\":true}", REASON_BAD_CLAIM },
		{ "exp below zero", "{" NO_EXP ",\"exp\":-1}",
		    REASON_BAD_CLAIM },
		{ "exp too large", "{" NO_EXP ",\"exp\":9007199254740993}",
		    REASON_BAD_CLAIM },
		{ "exp of 2^64", "{" NO_EXP ",\"exp\":18446744073709551616}",
		    REASON_BAD_CLAIM },
		{ "exp beyond doubles", "{" NO_EXP ",\"exp\":1e999}",
		    REASON_BAD_CLAIM },
		{ "exp of many digits", "{" NO_EXP ",\"exp\":" AT(600)
		    "00000000000000000000000000000000000000}",
		    REASON_BAD_CLAIM },
		{ "exp at zero", "{" NO_EXP ",\"exp\":0}", REASON_EXPIRED },
		{ "exp with a fraction", "{" NO_EXP ",\"exp\":" AT(600) ".5}",
		    REASON_NONE },
		{ "exp with an exponent", "{" NO_EXP ",\"exp\":1.8000006e9}",
		    REASON_NONE },
		{ "ended by all leeway", "{" NO_EXP ",\"exp\":" AT(-30) "}",
		    REASON_EXPIRED },
		{ "and within it by a fraction", "{" NO_EXP ",\"exp\":" AT(-30)
		    ".9}", REASON_EXPIRED },
		{ "ended within the leeway", "{" NO_EXP ",\"exp\":" AT(-29)
		    "}", REASON_NONE },
		{ "nbf within the leeway", "{" ALL ",\"nbf\":" AT(30) "}",
		    REASON_NONE },
		{ "nbf beyond it", "{" ALL ",\"nbf\":" AT(31) "}",
		    REASON_NOT_YET_VALID },
		{ "nbf as a text", "{" ALL ",\"nbf\":\"1\"}", REASON_BAD_CLAIM },
		{ "nbf null", "{" ALL ",\"nbf\":null}", REASON_BAD_CLAIM },
		{ "nbf below zero", "{" ALL ",\"nbf\":-1}", REASON_BAD_CLAIM },
		{ "iat within the leeway", "{" ALL ",\"iat\":" AT(30) "}",
		    REASON_NONE },
		{ "iat beyond it", "{" ALL ",\"iat\":" AT(31) "}",
		    REASON_NOT_YET_VALID },
		{ "iat as a text", "{" ALL ",\"iat\":\"1\"}", REASON_BAD_CLAIM },
		{ "iat false", "{" ALL ",\"iat\":false}", REASON_BAD_CLAIM },
		{ "iat too large", "{" ALL ",\"iat\":1e300}", REASON_BAD_CLAIM },
		{ "a life of all that is allowed", "{" NO_EXP ",\"iat\":"
		    AT(-1000) ",\"exp\":" AT(2600) "}", REASON_NONE },
		{ "a life of a second more", "{" NO_EXP ",\"iat\":" AT(-1000)
		    ",\"exp\":" AT(2601) "}", REASON_LIFETIME },
		{ "without iat, from now", "{" NO_EXP ",\"exp\":" AT(3600) "}",
		    REASON_NONE },
		{ "without iat, a second more", "{" NO_EXP ",\"exp\":" AT(3601)
		    "}", REASON_LIFETIME },
		{ "iat ahead, within life and leeway", "{" NO_EXP ",\"iat\":"
		    AT(30) ",\"exp\":" AT(3630) "}", REASON_NONE },
		{ "iat ahead makes no longer life", "{" NO_EXP ",\"iat\":"
		    AT(30) ",\"exp\":" AT(3631) "}", REASON_LIFETIME },
		{ "the end of time", "{" NO_EXP ",\"exp\":9007199254740991}",
		    REASON_LIFETIME },
	};

	(void)state;
	check(rows, NROWS(rows));
	policy.leeway_s = 0;
	assert_int_equal(claims_are("{" NO_EXP ",\"exp\":" AT(0) "}"),
	    REASON_EXPIRED);
	assert_int_equal(claims_are("{" NO_EXP ",\"exp\":" AT(1) "}"),
	    REASON_NONE);
	assert_int_equal(claims_are("{" ALL ",\"nbf\":" AT(1) "}"),
	    REASON_NOT_YET_VALID);
	assert_int_equal(claims_are("{" ALL ",\"nbf\":" AT(0) "}"),
	    REASON_NONE);
}

static void
the_subject_is_a_text_without_controls(void **state)
{
	static const struct row rows[] = {
		{ "none", "{" NO_SUB "}", REASON_BAD_CLAIM },
		{ "null", "{" NO_SUB ",\"sub\":null}", REASON_BAD_CLAIM },
		{ "a number", "{" NO_SUB ",\"sub\":7}", REASON_BAD_CLAIM },
		{ "a list", "{" NO_SUB ",\"sub\":[\"a\"]}", REASON_BAD_CLAIM },
		{ "empty", "{" NO_SUB ",\"sub\":\"\"}", REASON_BAD_CLAIM },
		{ "a line break", "{" NO_SUB ",\"sub\":\"a\\nb\"}",
		    REASON_BAD_CLAIM },
		{ "an escape", "{" NO_SUB ",\"sub\":\"a\\u001b[2J\"}",
		    REASON_BAD_CLAIM },
		{ "DEL", "{" NO_SUB ",\"sub\":\"a\x7f\"}", REASON_BAD_CLAIM },
		{ "U+0080", "{" NO_SUB ",\"sub\":\"a\\u0080\"}",
		    REASON_BAD_CLAIM },
		{ "U+009B, an escape of one byte",
		    "{" NO_SUB ",\"sub\":\"\xc2\x9b" "2J\"}",
		    REASON_BAD_CLAIM },
		{ "U+009F", "{" NO_SUB ",\"sub\":\"\\u009f\"}",
		    REASON_BAD_CLAIM },
		{ "U+00A0", "{" NO_SUB ",\"sub\":\"\\u00a0\"}", REASON_NONE },
		{ "another letter with such a byte", "{" NO_SUB
		    ",\"sub\":\"\xc3\x9b\"}", REASON_NONE },
		{ "spaces and marks", "{" NO_SUB ",\"sub\":\"auth0|a b#c\"}",
		    REASON_NONE },
	};
	char claims[2048], sub[OWNER_MAX + 2];

	(void)state;
	check(rows, NROWS(rows));
	memset(sub, 'a', sizeof(sub));
	sub[OWNER_MAX] = '\0';
	(void)snprintf(claims, sizeof(claims), "{" NO_SUB ",\"sub\":\"%s\"}",
	    sub);
	assert_int_equal(claims_are(claims), REASON_NONE);
	sub[OWNER_MAX] = 'a';
	sub[OWNER_MAX + 1] = '\0';
	(void)snprintf(claims, sizeof(claims), "{" NO_SUB ",\"sub\":\"%s\"}",
	    sub);
	assert_int_equal(claims_are(claims), REASON_BAD_CLAIM);
}

static void
an_id_token_is_not_for_us(void **state)
{
	static const struct row rows[] = {
		{ "nonce", "{" ALL ",\"nonce\":\"n\"}", REASON_ID_TOKEN },
		{ "at_hash", "{" ALL ",\"at_hash\":\"h\"}", REASON_ID_TOKEN },
		{ "c_hash", "{" ALL ",\"c_hash\":\"h\"}", REASON_ID_TOKEN },
		{ "s_hash", "{" ALL ",\"s_hash\":\"h\"}", REASON_ID_TOKEN },
		{ "of another type", "{" ALL ",\"nonce\":null}",
		    REASON_ID_TOKEN },
		{ "with an escape", "{" ALL ",\"n\\u006fnce\":1}",
		    REASON_ID_TOKEN },
		{ "deeper it is no mark", "{" ALL ",\"a\":{\"nonce\":1}}",
		    REASON_NONE },
		/* RFC 9068 2.2.1 has these in access tokens. */
		{ "auth_time, acr, amr", "{" ALL ",\"auth_time\":1,\"acr\":\"1\","
		    "\"amr\":[\"pwd\"]}", REASON_NONE },
	};

	(void)state;
	check(rows, NROWS(rows));
}

static void
the_type_is_a_tokens(void **state)
{
	static const struct {
		const char	*typ;		/* of the header, with its quotes */
		enum reason	 any;		/* without a typ configured */
		enum reason	 strict;	/* with "at+jwt" */
	} rows[] = {
		{ NULL, REASON_NONE, REASON_BAD_TYPE },
		{ "\"JWT\"", REASON_NONE, REASON_BAD_TYPE },
		{ "\"jwt\"", REASON_NONE, REASON_BAD_TYPE },
		{ "\"at+jwt\"", REASON_NONE, REASON_NONE },
		{ "\"AT+JWT\"", REASON_NONE, REASON_NONE },
		{ "\"application/at+jwt\"", REASON_NONE, REASON_NONE },
		{ "\"Application/JWT\"", REASON_NONE, REASON_BAD_TYPE },
		{ "\"\"", REASON_BAD_TYPE, REASON_BAD_TYPE },
		{ "\"id+jwt\"", REASON_BAD_TYPE, REASON_BAD_TYPE },
		{ "\"logout+jwt\"", REASON_BAD_TYPE, REASON_BAD_TYPE },
		{ "\"dpop+jwt\"", REASON_BAD_TYPE, REASON_BAD_TYPE },
		{ "\"JOSE\"", REASON_BAD_TYPE, REASON_BAD_TYPE },
		{ "\"at+jwt \"", REASON_BAD_TYPE, REASON_BAD_TYPE },
		{ "\"at+jwtx\"", REASON_BAD_TYPE, REASON_BAD_TYPE },
		{ "\"at+jw\"", REASON_BAD_TYPE, REASON_BAD_TYPE },
		{ "\"text/at+jwt\"", REASON_BAD_TYPE, REASON_BAD_TYPE },
		{ "7", REASON_BAD_HEADER, REASON_BAD_HEADER },
		{ "null", REASON_BAD_HEADER, REASON_BAD_HEADER },
	};
	static struct jwt t;
	enum reason got, wanted;
	char header[256];
	size_t i;
	int strict;

	(void)state;
	for (i = 0; i < NROWS(rows); i++)
		for (strict = 0; strict < 2; strict++) {
			policy.typ = slice_of(strict ? "at+jwt" : "");
			(void)snprintf(header, sizeof(header),
			    "{\"alg\":\"ES256\"%s%s}",
			    rows[i].typ == NULL ? "" : ",\"typ\":",
			    rows[i].typ == NULL ? "" : rows[i].typ);
			wanted = strict ? rows[i].strict : rows[i].any;
			got = judge(&t, header, "{" ALL "}");
			if (got != wanted)
				fail_msg("%s%s: wanted %s, got %s", header,
				    strict ? " (at+jwt alone)" : "",
				    reason_name(wanted), reason_name(got));
		}
}

static void
a_claim_is_found_by_its_path(void **state)
{
	static const char claims[] = "{" ALL ",\"a\":{\"b\":{\"c\":\"deep\"},"
	    "\"d.e\":\"half\"},\"a.b\":{\"c\":\"not this\"},"
	    "\"x.y.z\":\"whole\",\"x\":{\"y\":{\"z\":\"by steps\"}},"
	    "\"l\":[{\"m\":1}],\"\":{\"\":\"empty\"}}";
	static const struct {
		const char	*path;
		const char	*value;		/* NULL: none */
	} rows[] = {
		{ "sub", "\"alice\"" },
		{ "a.b.c", "\"deep\"" },
		/* A name that has the dots comes before the steps. */
		{ "a.b", "{\"c\":\"not this\"}" },
		{ "x.y.z", "\"whole\"" },
		{ "x.y", "{\"z\":\"by steps\"}" },
		{ "a.d.e", NULL },
		{ "l.m", NULL }, { "l.0", NULL }, { "sub.x", NULL },
		{ "a.b.c.d", NULL }, { "none", NULL }, { "a.none", NULL },
		/* Nothing has an empty name. */
		{ "", NULL }, { ".", NULL }, { "a.", NULL }, { ".a", NULL },
		{ "a..b", NULL }, { "sub.", NULL }, { "A", NULL },
	};
	char path[URL_MAX + 2];
	static struct jwt t;
	struct slice raw, exact;
	uint32_t node;
	size_t i;

	(void)state;
	assert_int_equal(judge(&t, "{\"alg\":\"ES256\"}", claims),
	    REASON_NONE);
	for (i = 0; i < NROWS(rows); i++) {
		/* A slice: what stands behind it is not of the path. */
		(void)snprintf(path, sizeof(path), "%s.z", rows[i].path);
		exact.ptr = path;
		exact.len = strlen(rows[i].path);
		node = jwt_claim(&t, exact);
		raw = node == JSON_NONE ? slice_of(NULL) :
		    json_raw(t.json, node);
		if (rows[i].value == NULL ? node != JSON_NONE :
		    node == JSON_NONE || !slice_is(raw, rows[i].value))
			fail_msg("\"%s\": wanted %s, got %.*s", rows[i].path,
			    rows[i].value == NULL ? "none" : rows[i].value,
			    (int)raw.len, raw.ptr == NULL ? "" : raw.ptr);
	}
	memset(path, 'a', sizeof(path));
	exact.len = sizeof(path);
	assert_int_equal(jwt_claim(&t, exact), JSON_NONE);
}

/* The claims of one token are not those of the next. */
static void
nothing_of_a_token_is_left_for_the_next(void **state)
{
	static struct jwt t;

	(void)state;
	assert_int_equal(judge(&t, "{\"alg\":\"ES256\",\"kid\":\"k\",\"typ\":"
	    "\"jwt\"}", "{" ALL "}"), REASON_NONE);
	assert_int_equal(judge(&t, "{\"alg\":\"ES256\"}", "{}"),
	    REASON_BAD_CLAIM);
	assert_string_equal(t.iss, "");
	assert_string_equal(t.sub, "");
	assert_true(t.exp == 0);
	assert_int_equal(t.jws.has_kid, 0);
	assert_int_equal(t.jws.has_typ, 0);
	assert_int_equal(jwt_claim(&t, slice_of("sub")), JSON_NONE);
}

/* Read, judged and verified, as authd does it, for a real signature. */
static void
claims_are_those_that_were_signed(void **state)
{
	static char set[TEXT_SIZE], token[TEXT_SIZE], payload[TEXT_SIZE];
	static struct jwt t;
	const char *error;
	enum reason reason;
	struct jwks *keys;
	struct jwk *key;
	EVP_PKEY *pkey;
	int k;

	(void)state;
	for (k = 0; k < KINDS; k++) {
		pkey = make_key(k);
		(void)strlcpy(set, "{\"keys\":[", sizeof(set));
		add_jwk(set, k, pkey, "");
		add(set, "]}");
		assert_non_null(keys = jwks_parse(set, strlen(set), &error));
		times_in(payload, "{" ALL "}");
		(void)snprintf(set, sizeof(set), "{\"alg\":\"%s\",\"typ\":"
		    "\"at+jwt\"}", kinds[k].alg);
		make_token(token, k, pkey, set, payload);
		assert_int_equal(jwt_read(&t, slice_of(token)), REASON_NONE);
		assert_int_equal(jwt_claims(&t, &policy, NOW), REASON_NONE);
		assert_non_null(key = jws_key(&t.jws, keys, &reason));
		assert_int_equal(jws_verify(&t.jws, key), REASON_NONE);
		jwks_free(keys);
		EVP_PKEY_free(pkey);
	}
}

static int
start(void **state)
{
	(void)state;
	crypt_init();
	return jose_init();
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_token_with_what_it_needs_is_taken,
		    fresh),
		cmocka_unit_test_setup(
		    a_payload_that_is_no_object_of_strict_json_is_malformed,
		    fresh),
		cmocka_unit_test_setup(the_issuer_is_exactly_ours, fresh),
		cmocka_unit_test_setup(one_audience_is_exactly_ours, fresh),
		cmocka_unit_test_setup(times_hold_to_the_second, fresh),
		cmocka_unit_test_setup(the_subject_is_a_text_without_controls,
		    fresh),
		cmocka_unit_test_setup(an_id_token_is_not_for_us, fresh),
		cmocka_unit_test_setup(the_type_is_a_tokens, fresh),
		cmocka_unit_test_setup(a_claim_is_found_by_its_path, fresh),
		cmocka_unit_test_setup(nothing_of_a_token_is_left_for_the_next,
		    fresh),
		cmocka_unit_test_setup(claims_are_those_that_were_signed,
		    fresh),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
