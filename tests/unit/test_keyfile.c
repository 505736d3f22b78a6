/* SPDX-License-Identifier: ISC */

/*
 * common/keyfile.c: which scopes, keys, dates and lines are right, what is
 * said of those that are not, that what is written reads back, and whose
 * pepper is taken.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "../../common/compat.h"
#include "../../common/crypt.h"
#include "../../common/keyfile.h"
#include "../../common/log.h"

#define HASH	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define NROWS(a) (sizeof(a) / sizeof((a)[0]))

#define CHARACTERS "a scope is made of a-z 0-9 _ . - and *"
#define EMPTY	"empty segment in scope"
#define THREE	"a scope has three segments: namespace:resource:action"
#define WHOLE	"* stands for a whole segment of a scope"
#define NO_STAR	"* may not stand for the namespace of a scope"
#define WHO	"bad owner or label"

static char dir[PATH_MAX];
static char said[16 * 1024];	/* logged by the last keyfile_pepper() */

/* ---- scopes ------------------------------------------------------------ */

static void
a_scope_has_three_segments(void **state)
{
	static const struct {
		const char	*scope;
		const char	*problem;	/* NULL: it is right */
	} rows[] = {
		{ "shop:order:read", NULL },
		{ "a:b:c", NULL },
		{ "0:1:2", NULL },
		{ "my_shop.eu-1:or_der.x:re-ad", NULL },
		{ "shop:*:read", NULL },
		{ "shop:order:*", NULL },
		{ "shop:*:*", NULL },
		{ "-:.:_", NULL },
		{ "", "empty scope" },
		{ "shop", THREE },
		{ "shop:order", THREE },
		{ "shop:order:read:more", THREE },
		{ "shop:*", THREE },
		{ ":", EMPTY },
		{ "::", EMPTY },
		{ ":order:read", EMPTY },
		{ "shop::read", EMPTY },
		{ "shop:order:", EMPTY },
		{ "shop:order:read:", EMPTY },
		{ "*", NO_STAR },
		{ "*:order:read", NO_STAR },
		{ "*:*:*", NO_STAR },
		{ "shop:order*:read", WHOLE },
		{ "shop:*order:read", WHOLE },
		{ "shop:**:read", WHOLE },
		{ "shop:order:r*d", WHOLE },
		{ "sh*p:order:read", WHOLE },
		{ "Shop:order:read", CHARACTERS },
		{ "shop:order:Read", CHARACTERS },
		{ "shop:order:read ", CHARACTERS },
		{ " shop:order:read", CHARACTERS },
		{ "shop:order:read\n", CHARACTERS },
		{ "shop:order:read\r", CHARACTERS },
		{ "shop:order,read:x", CHARACTERS },
		{ "shop:order/x:read", CHARACTERS },
		{ "shop:\"order\":read", CHARACTERS },
		{ "shop:order%3Aread", CHARACTERS },
		{ "shop:\303\266rder:read", CHARACTERS },
		{ "shop:order:read\377", CHARACTERS },
		{ "shop:order:read\177", CHARACTERS },
		{ "shop:order:?", CHARACTERS },
	};
	const char *got;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		got = scope_problem(slice_of(rows[i].scope));
		if ((got == NULL) != (rows[i].problem == NULL) ||
		    (got != NULL && strcmp(got, rows[i].problem) != 0))
			fail_msg("%s: wanted %s, got %s", rows[i].scope,
			    rows[i].problem == NULL ? "no problem" :
			    rows[i].problem, got == NULL ? "no problem" : got);
	}
}

/* Each byte but NUL is allowed or not, wherever it stands. */
static void
a_scope_is_made_of_few_letters(void **state)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
	char scope[] = "axb:cxd:exf";
	const char *got;
	size_t at;
	int c, wanted;

	(void)state;
	for (at = 1; at < sizeof(scope) - 1; at += 4)
		for (c = 1; c < 256; c++) {
			if (c == ':' || c == '*')
				continue;
			scope[at] = (char)c;
			wanted = strchr(allowed, c) != NULL;
			got = scope_problem((struct slice){ scope,
			    sizeof(scope) - 1 });
			scope[at] = 'x';
			if ((got == NULL) != wanted)
				fail_msg("byte 0x%02x at %zu: wanted it %s, "
				    "got %s", (unsigned int)c, at,
				    wanted ? "taken" : "refused",
				    got == NULL ? "no problem" : got);
		}
}

static void
a_scope_is_bounded(void **state)
{
	char scope[SCOPE_MAX + 2];

	(void)state;
	memset(scope, 'x', sizeof(scope));
	memcpy(scope, "a:b:", 4);
	assert_null(scope_problem((struct slice){ scope, SCOPE_MAX }));
	assert_string_equal(scope_problem((struct slice){ scope,
	    SCOPE_MAX + 1 }), "scope too long");
	/* What stands behind a slice is not looked at. */
	assert_string_equal(scope_problem((struct slice){ "a:b:c", 4 }), EMPTY);
	assert_string_equal(scope_problem((struct slice){ "a:b:c", 3 }), THREE);
}

/* ---- the text of a key ------------------------------------------------- */

static void
the_id_of_a_key_text_is_found_or_there_is_none(void **state)
{
	static const struct {
		const char	*text;
		const char	*id;
	} rows[] = {
		{ "sk_live_ab1_secret", "ab1" },
		{ "sk_test_ab1_secret", "ab1" },
		{ "sk_1_2_3", "2" },
		{ "sk_live_ab1_s_e_c-R", "ab1" },
		{ "sk_live_ab1__", "ab1" },
		{ "sk_live_ab1_ ", "ab1" },
		{ "", "" },
		{ "sk", "" },
		{ "sk_", "" },
		{ "sk__", "" },
		{ "sk___", "" },
		{ "sk____", "" },
		{ "sk_live", "" },
		{ "sk_live_", "" },
		{ "sk_live__", "" },
		{ "sk_live__secret", "" },
		{ "sk_live_ab1", "" },
		{ "sk_live_ab1_", "" },
		{ "sk__ab1_secret", "" },
		{ "sk-live-ab1-secret", "" },
		{ "pk_live_ab1_secret", "" },
		{ "SK_live_ab1_secret", "" },
		{ "sk_Live_ab1_secret", "" },
		{ "sk_live_AB1_secret", "" },
		{ "sk_live_ab-1_secret", "" },
		{ "sk_live_ab%31_secret", "" },
		{ "sk_live_ab:1_secret", "" },
		{ "sk_li-ve_ab1_secret", "" },
		{ " sk_live_ab1_secret", "" },
		{ "Bearer sk_live_ab1_secret", "" },
		{ "eyJhbGciOiJub25lIn0.e30.", "" },
	};
	struct slice got;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		got = key_text_id(slice_of(rows[i].text));
		if (!slice_is(got, rows[i].id))
			fail_msg("%s: wanted \"%s\", got \"%.*s\"",
			    rows[i].text, rows[i].id, (int)got.len, got.ptr);
	}
}

static void
a_key_text_is_bounded(void **state)
{
	char text[KEY_TEXT_MAX + 2];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "sk_live_ab1_", 12);
	assert_int_equal(key_text_id((struct slice){ text,
	    KEY_TEXT_MAX }).len, 3);
	assert_int_equal(key_text_id((struct slice){ text,
	    KEY_TEXT_MAX + 1 }).len, 0);
	/* The id ends where the next _ stands. */
	memset(text, 'x', sizeof(text));
	memcpy(text, "sk_live_", 8);
	memcpy(text + 8 + KEY_ID_MAX, "_y", 2);
	assert_int_equal(key_text_id((struct slice){ text,
	    8 + KEY_ID_MAX + 2 }).len, KEY_ID_MAX);
	memcpy(text + 8 + KEY_ID_MAX, "x_y", 3);
	assert_int_equal(key_text_id((struct slice){ text,
	    8 + KEY_ID_MAX + 3 }).len, 0);
}

/* What a token begins with is JSON, which is never this. */
static void
no_token_begins_as_a_key_does(void **state)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-_";
	static const char first[] = "{ \t\r\n";
	char text[] = "????";
	uint8_t out[3];
	size_t i, found = 0;

	(void)state;
	for (i = 0; i < 64 * 64 * 64; i++) {
		text[0] = digits[i / 4096];
		text[1] = digits[i / 64 % 64];
		text[2] = digits[i % 64];
		text[3] = 'A';
		assert_int_equal(base64url_decode(out, sizeof(out),
		    slice_of(text)), 3);
		if (!key_text_begins(slice_of(text)))
			continue;
		found++;
		assert_null(memchr(first, out[0], sizeof(first) - 1));
	}
	assert_int_equal(found, 1);
	assert_true(key_text_begins(slice_of("sk_")));
	assert_false(key_text_begins(slice_of("sk")));
	assert_false(key_text_begins(slice_of("")));
	assert_false(key_text_begins(slice_of("SK_live")));
	assert_false(key_text_begins(slice_of(" sk_live")));
}

/* It is HMAC-SHA256 over all of the text: OpenSSL says what that is. */
static void
the_hash_is_of_the_whole_key_under_the_pepper(void **state)
{
	static const uint8_t pepper[KEY_LEN] = { 1, 2, 3 };
	static const char text[] = "sk_live_ab1_secret";
	uint8_t wanted[EVP_MAX_MD_SIZE], got[DIGEST_LEN], other[DIGEST_LEN];
	uint8_t other_pepper[KEY_LEN] = { 1, 2, 3 };
	unsigned int len = 0;

	(void)state;
	assert_non_null(HMAC(EVP_sha256(), pepper, KEY_LEN,
	    (const unsigned char *)text, sizeof(text) - 1, wanted, &len));
	assert_int_equal(len, DIGEST_LEN);
	key_hash(pepper, slice_of(text), got);
	assert_memory_equal(got, wanted, DIGEST_LEN);
	key_hash(pepper, slice_of("sk_test_ab1_secret"), other);
	assert_memory_not_equal(got, other, DIGEST_LEN);
	key_hash(pepper, slice_of("sk_live_ab1_secreT"), other);
	assert_memory_not_equal(got, other, DIGEST_LEN);
	other_pepper[KEY_LEN - 1] = 1;
	key_hash(other_pepper, slice_of(text), other);
	assert_memory_not_equal(got, other, DIGEST_LEN);
}

/* ---- dates ------------------------------------------------------------- */

static void
a_date_is_of_the_calendar(void **state)
{
	static const struct {
		const char	*text;
		int64_t		 wanted;
	} rows[] = {
		{ "1970-01-01", 0 },
		{ "1970-01-02", 86400 },
		{ "1970-01-01T00:00:01Z", 1 },
		{ "2000-02-29", 951782400 },
		{ "2001-09-09T01:46:40Z", 1000000000 },
		{ "2026-12-31", 1798675200 },
		{ "2026-12-31T23:59:59Z", 1798761599 },
		{ "2027-01-15T08:00:00Z", 1800000000 },
		{ "2028-02-29", 1835395200 },
		{ "2038-01-19T03:14:08Z", INT64_C(2147483648) },
		{ "2100-03-01", INT64_C(4107542400) },
		{ "9999-12-31T23:59:59Z", INT64_C(253402300799) },
		{ "", -1 },
		{ "2026", -1 },
		{ "2026-12", -1 },
		{ "2026-12-3", -1 },
		{ "2026-12-311", -1 },
		{ "26-12-31", -1 },
		{ "2026/12/31", -1 },
		{ "31-12-2026", -1 },
		{ "20261231", -1 },
		{ "2026-00-10", -1 },
		{ "2026-13-10", -1 },
		{ "2026-12-00", -1 },
		{ "2026-12-32", -1 },
		{ "2026-11-31", -1 },
		{ "2026-02-29", -1 },
		{ "2028-02-30", -1 },
		{ "2100-02-29", -1 },
		{ "-026-12-31", -1 },
		{ "+026-12-31", -1 },
		{ " 026-12-31", -1 },
		{ "20 6-12-31", -1 },
		{ "2026-1 -31", -1 },
		{ "2026-12- 1", -1 },
		{ "0000-01-01", -1 },
		{ "2026-12-31T23:59Z", -1 },
		{ "2026-12-31T23:59:59", -1 },
		{ "2026-12-31T23:59:59z", -1 },
		{ "2026-12-31t23:59:59Z", -1 },
		{ "2026-12-31 23:59:59Z", -1 },
		{ "2026-12-31T24:00:00Z", -1 },
		{ "2026-12-31T23:60:00Z", -1 },
		{ "2026-12-31T23:59:60Z", -1 },
		{ "2026-12-31T2a:59:59Z", -1 },
		{ "2026-12-31T23-59-59Z", -1 },
		{ "2026-12-31T23:59:59+", -1 },
		{ "2026-12-31T23:59:59+00:00", -1 },
		{ "2026-12-31T23:59:59.5Z", -1 },
		{ "never", -1 },
	};
	int64_t got;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++)
		if ((got = key_date(rows[i].text)) != rows[i].wanted)
			fail_msg("%s: wanted %lld, got %lld", rows[i].text,
			    (long long)rows[i].wanted, (long long)got);
}

/* Day after day of 400 years, by the C library's calendar. */
static void
every_day_has_its_date(void **state)
{
	char text[32];
	struct tm tm;
	time_t day;

	(void)state;
	for (day = 0; day < 146097; day++) {
		time_t t = day * 86400;

		assert_non_null(gmtime_r(&t, &tm));
		assert_int_equal(strftime(text, sizeof(text), "%Y-%m-%d", &tm),
		    10);
		if (key_date(text) != t)
			fail_msg("%s: wanted %lld, got %lld", text,
			    (long long)t, (long long)key_date(text));
	}
}

/* ---- lines ------------------------------------------------------------- */

/* Parses a copy of exactly its size: the sanitizer sees a byte beyond. */
static int
parse(const char *text, size_t len, struct key_entry *e, const char **error)
{
	char *copy = malloc(len == 0 ? 1 : len);
	int rc;

	assert_non_null(copy);
	memcpy(copy, text, len);
	rc = keyfile_parse((struct slice){ copy, len }, e, error);
	free(copy);
	return rc;
}

static void
check_line(const char *line, const char *wanted)
{
	static struct key_entry e;
	const char *error = "nothing";
	int rc = parse(line, strlen(line), &e, &error);

	if ((rc == 0) != (wanted == NULL) ||
	    (rc == -1 && strcmp(error, wanted) != 0))
		fail_msg("%.200s: wanted %s, got %s", line,
		    wanted == NULL ? "it taken" : wanted,
		    rc == 0 ? "it taken" : error);
}

static void
a_line_that_is_not_right_is_refused_and_told_why(void **state)
{
	static const struct {
		const char	*line;
		const char	*wanted;	/* NULL: it is right */
	} rows[] = {
		/* what is right */
		{ "k1:" HASH ":alice:::::a:b:c", NULL },
		{ "k1:" HASH ":alice:Alice A.:60:2030-01-01:tenant=acme:a:b:c", NULL },
		{ "k1:!" HASH ":alice:::::a:b:c", NULL },
		{ "k1:" HASH ":alice::::t=,u=1:a:b:c,a:*:c,a:b:*", NULL },
		{ "k1:" HASH ":alice::::t=a=b:a:b:c", NULL },
		{ "k1:" HASH ":alice:::2030-01-01T10%3A00%3a00Z::a:b:c", NULL },
		{ "k1:" HASH ":a%3Ab%25:\303\234%c3%9c::::a:b:c", NULL },
		{ "k1:" HASH ":alice::1000000000:::a:b:c", NULL },
		/* its fields */
		{ "", "fewer than eight fields" },
		{ ":", "fewer than eight fields" },
		{ "k1", "fewer than eight fields" },
		{ "k1:" HASH, "fewer than eight fields" },
		{ "k1:" HASH ":alice", "fewer than eight fields" },
		{ "k1:" HASH ":alice::::", "fewer than eight fields" },
		{ ":::::::", "bad id" },
		/* the id */
		{ ":" HASH ":alice:::::a:b:c", "bad id" },
		{ " k1:" HASH ":alice:::::a:b:c", "an id is made of a-z and 0-9" },
		{ "K1:" HASH ":alice:::::a:b:c", "an id is made of a-z and 0-9" },
		{ "k_1:" HASH ":alice:::::a:b:c", "an id is made of a-z and 0-9" },
		{ "k%31:" HASH ":alice:::::a:b:c", "an id is made of a-z and 0-9" },
		/* the hash */
		{ "k1::alice:::::a:b:c", "bad hash" },
		{ "k1:!:alice:::::a:b:c", "bad hash" },
		{ "k1:!!" HASH ":alice:::::a:b:c", "bad hash" },
		{ "k1:" HASH "!:alice:::::a:b:c", "bad hash" },
		{ "k1: " HASH ":alice:::::a:b:c", "bad hash" },
		{ "k1:00:alice:::::a:b:c", "bad hash" },
		{ "k1:" HASH "0:alice:::::a:b:c", "bad hash" },
		{ "k1:" HASH "00:alice:::::a:b:c", "bad hash" },
		{ "k1:g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
		    ":alice:::::a:b:c", "bad hash" },
		{ "k1:000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"
		    ":alice:::::a:b:c", "bad hash" },
		/* owner and label */
		{ "k1:" HASH "::::::a:b:c", WHO },
		{ "k1:" HASH "::label::::a:b:c", WHO },
		{ "k1:" HASH ":a%:::::a:b:c", WHO },
		{ "k1:" HASH ":a%4:::::a:b:c", WHO },
		{ "k1:" HASH ":a%4g:::::a:b:c", WHO },
		{ "k1:" HASH ":a%%41:::::a:b:c", WHO },
		{ "k1:" HASH ":a%00:::::a:b:c", WHO },
		{ "k1:" HASH ":a:b%0d::::a:b:c", WHO },
		{ "k1:" HASH ":a:b\t::::a:b:c", WHO },
		/* rate and date */
		{ "k1:" HASH ":alice::0:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::-1:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::1.5:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::60/m:::a:b:c", NULL },
		{ "k1:" HASH ":alice:: 60:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::60/M:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::60%3A1000000001:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::0x10:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::1000000001:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::4294967297:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::99999999999999999999999:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::0000000000000000000000000000000001:::a:b:c",
		    "bad rate" },
		{ "k1:" HASH ":alice:::2030-13-01::a:b:c", "bad date of expiry" },
		{ "k1:" HASH ":alice:::1970-01-01::a:b:c", "bad date of expiry" },
		{ "k1:" HASH ":alice:::1969-12-31::a:b:c", "bad date of expiry" },
		{ "k1:" HASH ":alice:::1900-01-01::a:b:c", "bad date of expiry" },
		{ "k1:" HASH ":alice:::0::a:b:c", "bad date of expiry" },
		{ "k1:" HASH ":alice:::never::a:b:c", "bad date of expiry" },
		{ "k1:" HASH ":alice:::2030-01-01 ::a:b:c", "bad date of expiry" },
		/* Its colons part fields. */
		{ "k1:" HASH ":alice:::2030-01-01T10:00:00Z::a:b:c",
		    "bad date of expiry" },
		/* attributes */
		{ "k1:" HASH ":alice::::x:a:b:c", "an attribute is name=value" },
		{ "k1:" HASH ":alice::::x=1,,y=2:a:b:c", "an attribute is name=value" },
		{ "k1:" HASH ":alice::::,x=1:a:b:c", "an attribute is name=value" },
		{ "k1:" HASH ":alice::::x%3D1:a:b:c", "an attribute is name=value" },
		{ "k1:" HASH ":alice::::=1:a:b:c", "bad attribute" },
		{ "k1:" HASH ":alice::::x=%1:a:b:c", "bad attribute" },
		{ "k1:" HASH ":alice::::x=%0a:a:b:c", "bad attribute" },
		{ "k1:" HASH ":alice::::x%00=1:a:b:c", "bad attribute" },
		{ "k1:" HASH ":alice::::x=1,x=2:a:b:c", "attribute given twice" },
		{ "k1:" HASH ":alice::::x=1,%78=2:a:b:c", "attribute given twice" },
		/* scopes */
		{ "k1:" HASH ":alice:::::", "no scope" },
		{ "k1:" HASH ":alice:::::,a:b:c", "empty scope" },
		{ "k1:" HASH ":alice:::::a:b:c,,a:b:d", "empty scope" },
		{ "k1:" HASH ":alice:::::a", THREE },
		{ "k1:" HASH ":alice:::::a:b", THREE },
		{ "k1:" HASH ":alice:::::a:b:c:d", THREE },
		{ "k1:" HASH ":alice:::::a:b:c,a:b", THREE },
		{ "k1:" HASH ":alice:::::a:b:c,*:b:c", NO_STAR },
		{ "k1:" HASH ":alice:::::a:b:c, a:b:d", CHARACTERS },
		{ "k1:" HASH ":alice:::::a:b:c ", CHARACTERS },
		{ "k1:" HASH ":alice:::::a:b:c\r", CHARACTERS },
		{ "k1:" HASH ":alice:::::a:b%2Dc:d", CHARACTERS },
		{ "k1:" HASH ":alice::::::a:b:c", EMPTY },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++)
		check_line(rows[i].line, rows[i].wanted);
}

/* Bytes that would break a log or a record stand nowhere, in no form. */
static void
a_control_byte_is_refused_in_any_form(void **state)
{
	static const struct {
		const char	*before;
		const char	*behind;
		const char	*wanted;
	} rows[] = {
		{ "k1:" HASH ":a", "b:::::a:b:c", WHO },
		{ "k1:" HASH ":a:b", "c::::a:b:c", WHO },
		{ "k1:" HASH ":a::::x", "y=1:a:b:c", "bad attribute" },
		{ "k1:" HASH ":a::::x=1", "2:a:b:c", "bad attribute" },
	};
	static struct key_entry e;
	char line[512];
	const char *error;
	size_t i;
	int c, escaped, n;

	(void)state;
	for (i = 0; i < NROWS(rows); i++)
		for (c = 0; c < 256; c++)
			for (escaped = 0; escaped < 2; escaped++) {
				if (!escaped && strchr(":%,=", c) != NULL &&
				    c != 0)
					continue;
				n = snprintf(line, sizeof(line), escaped ?
				    "%s%%%02x%s" : "%s%c%s", rows[i].before,
				    c, rows[i].behind);
				error = "none";
				assert_int_equal(parse(line, (size_t)n, &e,
				    &error), c < 0x20 || c == 0x7f ? -1 : 0);
				if (c < 0x20 || c == 0x7f)
					assert_string_equal(error,
					    rows[i].wanted);
			}
}

static void
add_many(struct buffer *b, const char *text, int n)
{
	while (n-- > 0)
		assert_int_equal(buffer_add_cstr(b, text), 0);
}

/* As long as its bound, and a byte longer. */
static void
every_field_is_bounded(void **state)
{
	static const struct {
		const char	*before;
		const char	*piece;
		int		 max;
		const char	*behind;
		const char	*wanted;
	} rows[] = {
		{ "", "k", KEY_ID_MAX, ":" HASH ":a:::::a:b:c", "bad id" },
		{ "k1:" HASH ":", "x", OWNER_MAX, ":::::a:b:c", WHO },
		{ "k1:" HASH ":", "%3A", OWNER_MAX, ":::::a:b:c", WHO },
		{ "k1:" HASH ":a:", "x", LABEL_MAX, "::::a:b:c", WHO },
		{ "k1:" HASH ":a::::", "x", NAME_LEN_MAX, "=1:a:b:c",
		    "bad attribute" },
		{ "k1:" HASH ":a::::x=", "x", ATTRIBUTE_MAX, ":a:b:c",
		    "bad attribute" },
		{ "k1:" HASH ":a:::::a:b:", "c", SCOPE_MAX - 4, "",
		    "scope too long" },
		{ "k1:" HASH ":a:::::a:b:c", ",a:b:c", SCOPES_MAX - 1, "",
		    "too many scopes" },
	};
	struct buffer b;
	size_t i;
	int more;

	(void)state;
	buffer_init(&b, 1 << 20);
	for (i = 0; i < NROWS(rows); i++)
		for (more = 0; more < 2; more++) {
			buffer_clear(&b);
			add_many(&b, rows[i].before, 1);
			add_many(&b, rows[i].piece, rows[i].max + more);
			add_many(&b, rows[i].behind, 1);
			assert_int_equal(buffer_add_char(&b, '\0'), 0);
			check_line((const char *)b.data,
			    more ? rows[i].wanted : NULL);
		}
	buffer_free(&b);
}

static void
attributes_are_so_many_and_no_more(void **state)
{
	struct buffer b;
	int more, i;

	(void)state;
	buffer_init(&b, 1 << 20);
	for (more = 0; more < 2; more++) {
		buffer_clear(&b);
		add_many(&b, "k1:" HASH ":a::::", 1);
		for (i = 0; i < ATTRIBUTES_MAX + more; i++)
			assert_int_equal(buffer_printf(&b, "%sx%d=",
			    i > 0 ? "," : "", i), 0);
		assert_int_equal(buffer_add(&b, ":a:b:c", 7), 0);
		check_line((const char *)b.data,
		    more ? "too many attributes" : NULL);
	}
	buffer_free(&b);
}

static void
blank_lines_and_comments_are_no_keys(void **state)
{
	static const struct {
		const char	*line;
		int		 wanted;
	} rows[] = {
		{ "", 1 }, { " ", 1 }, { "\t \t", 1 }, { "#", 1 },
		{ "# k1:x", 1 }, { " \t# x", 1 },
		{ "k1:x", 0 }, { " k1", 0 }, { "k1 # x", 0 }, { ";", 0 },
		{ "\r", 0 }, { "//", 0 },
	};
	size_t i;
	int got;

	(void)state;
	for (i = 0; i < NROWS(rows); i++)
		if ((got = keyfile_is_comment(slice_of(rows[i].line))) !=
		    rows[i].wanted)
			fail_msg("\"%s\": wanted %d, got %d", rows[i].line,
			    rows[i].wanted, got);
}

/*
 * Taken as one, it would end a scope before its end: the line would grant
 * `a:b:c', which is not what stands in it.
 */
static void
a_nul_is_no_letter_of_a_scope(void **state)
{
	static const char line[] = "k1:" HASH ":alice:::::a:b:c\0d";
	static const struct slice scopes[] = {
		{ "\0:b:c", 5 }, { "a:\0:c", 5 }, { "a:b:\0", 5 },
		{ "a:b:c\0", 6 }, { "a:b:c\0d", 7 }, { "\0", 1 },
	};
	static struct key_entry e;
	const char *got = NULL;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(scopes); i++) {
		got = scope_problem(scopes[i]);
		if (got == NULL || strcmp(got, CHARACTERS) != 0)
			fail_msg("row %zu: wanted %s, got %s", i, CHARACTERS,
			    got == NULL ? "no problem" : got);
	}
	if (parse(line, sizeof(line) - 1, &e, &got) == 0)
		fail_msg("a:b:c\\0d: wanted it refused, got %u scopes, the "
		    "first %s", e.nscopes, e.scope[0]);
	assert_string_equal(got, CHARACTERS);
}

/* ---- there and back ---------------------------------------------------- */

static void
fill_entry(struct key_entry *e)
{
	memset(e, 0, sizeof(*e));
	strlcpy(e->id, "ab9", sizeof(e->id));
	assert_int_equal(hex_decode(e->hash, sizeof(e->hash), HASH,
	    strlen(HASH)), 0);
	strlcpy(e->owner, "a:b,c=d%e", sizeof(e->owner));
	strlcpy(e->label, "Gr\303\274\303\237e # x", sizeof(e->label));
	e->rate = (struct rate){ 7, 1000, 9 };
	e->expires = 1930175999;	/* 2031-03-01T23:59:59Z */
	e->nattributes = 2;
	strlcpy(e->attribute[0].name, "te=n,a", sizeof(e->attribute[0].name));
	strlcpy(e->attribute[0].value, "x,y:z", sizeof(e->attribute[0].value));
	strlcpy(e->attribute[1].name, "none", sizeof(e->attribute[1].name));
	e->nscopes = 2;
	strlcpy(e->scope[0], "a:b:c", sizeof(e->scope[0]));
	strlcpy(e->scope[1], "a:*:*", sizeof(e->scope[1]));
}

/* Formats, and parses what came of it. */
static void
there_and_back(struct buffer *b, const struct key_entry *in)
{
	static struct key_entry out;
	const char *error = "none";

	buffer_clear(b);
	assert_int_equal(keyfile_format(b, in), 0);
	assert_true(b->len > 0);
	assert_int_equal(b->data[b->len - 1], '\n');
	/* One line is one line. */
	assert_ptr_equal(memchr(b->data, '\n', b->len),
	    b->data + b->len - 1);
	if (parse((const char *)b->data, b->len - 1, &out, &error) == -1)
		fail_msg("%.*swanted it taken, got %s", (int)b->len,
		    (const char *)b->data, error);
	assert_memory_equal(in, &out, sizeof(out));
}

static void
a_line_is_written_as_the_manual_says(void **state)
{
	static const char wanted[] = "ab9:!" HASH ":a%3Ab%2Cc%3Dd%25e:"
	    "Gr\303\274\303\237e # x:7/s%3A9:2031-03-01T23%3A59%3A59Z:"
	    "te%3Dn%2Ca=x%2Cy%3Az,none=:a:b:c,a:*:*\n";
	static struct key_entry e;
	struct buffer b;

	(void)state;
	buffer_init(&b, 65536);
	fill_entry(&e);
	e.revoked = 1;
	there_and_back(&b, &e);
	assert_int_equal(buffer_add_char(&b, '\0'), 0);
	assert_string_equal((const char *)b.data, wanted);
	/* By the minute, as it was before there was another. */
	e.rate = (struct rate){ 7, 60000, 7 };
	there_and_back(&b, &e);
	assert_int_equal(buffer_add_char(&b, '\0'), 0);
	assert_non_null(strstr((const char *)b.data, "# x:7:2031-03-01T"));
	/* The least there can be. */
	memset(&e, 0, sizeof(e));
	strlcpy(e.id, "k", sizeof(e.id));
	strlcpy(e.owner, "o", sizeof(e.owner));
	e.nscopes = 1;
	strlcpy(e.scope[0], "a:b:c", sizeof(e.scope[0]));
	there_and_back(&b, &e);
	assert_int_equal(buffer_add_char(&b, '\0'), 0);
	assert_string_equal((const char *)b.data, "k:00000000000000000000000"
	    "00000000000000000000000000000000000000000:o:::::a:b:c\n");
	buffer_free(&b);
}

/*
 * A reader that does not know the mark must refuse the line, so it stands
 * where a hash would; and what is only like it is no hash.
 */
static void
a_key_of_the_reference_system_is_marked(void **state)
{
	static const char wanted[] = "ab9:!sha256$" HASH ":o:::::a:b:c\n";
	static const char *const bad[] = {
		"k:sha256$:o:::::a:b:c",
		"k:sha256$" HASH "0:o:::::a:b:c",
		"k:sha256$0" HASH ":o:::::a:b:c",
		"k:sha256$!" HASH ":o:::::a:b:c",
		"k:sha256$sha256$" HASH ":o:::::a:b:c",
		"k:SHA256$" HASH ":o:::::a:b:c",
		"k:sha256 " HASH ":o:::::a:b:c",
		"k:sha256" HASH ":o:::::a:b:c",
		"k:sha512$" HASH ":o:::::a:b:c",
		"k:$" HASH ":o:::::a:b:c",
		"k: sha256$" HASH ":o:::::a:b:c",
		"k:sha256$zz0102030405060708090a0b0c0d0e0f101112131415161718191a"
		    "1b1c1d1e1f:o:::::a:b:c",
		"k:sha256$00010203:o:::::a:b:c",
		"k:sha256%24" HASH ":o:::::a:b:c",
	};
	static struct key_entry e;
	const char *error;
	struct buffer b;
	size_t i;

	(void)state;
	memset(&e, 0, sizeof(e));
	strlcpy(e.id, "ab9", sizeof(e.id));
	assert_int_equal(hex_decode(e.hash, sizeof(e.hash), HASH,
	    strlen(HASH)), 0);
	e.legacy = e.revoked = 1;
	strlcpy(e.owner, "o", sizeof(e.owner));
	e.nscopes = 1;
	strlcpy(e.scope[0], "a:b:c", sizeof(e.scope[0]));
	buffer_init(&b, 65536);
	there_and_back(&b, &e);
	assert_int_equal(buffer_add_char(&b, '\0'), 0);
	assert_string_equal((const char *)b.data, wanted);
	buffer_free(&b);
	for (i = 0; i < NROWS(bad); i++) {
		if (parse(bad[i], strlen(bad[i]), &e, &error) == 0)
			fail_msg("%s: wanted it refused, got it taken",
			    bad[i]);
		assert_string_equal(error, "bad hash");
	}
}

/* HMAC(pepper, mark || SHA-256(text)), by another road to both. */
static void
the_hash_of_a_key_of_the_reference_system_is_keyed(void **state)
{
	static const uint8_t pepper[KEY_LEN] = { 1, 2, 3 };
	static const char text[] = "sk_live_0123456789abcdefghijklmnopqrstuv";
	uint8_t marked[7 + DIGEST_LEN], wanted[DIGEST_LEN], got[DIGEST_LEN];
	unsigned int len = 0;

	(void)state;
	memcpy(marked, "sha256$", 7);
	assert_int_equal(EVP_Digest(text, strlen(text), marked + 7, &len,
	    EVP_sha256(), NULL), 1);
	assert_non_null(HMAC(EVP_sha256(), pepper, sizeof(pepper), marked,
	    sizeof(marked), wanted, &len));
	key_hash_legacy(pepper, slice_of(text), got);
	assert_memory_equal(got, wanted, sizeof(got));
	key_hash_wrap(pepper, marked + 7, got);
	assert_memory_equal(got, wanted, sizeof(got));
	/* Neither is what one of ours with such a text would have. */
	key_hash(pepper, slice_of(text), got);
	assert_memory_not_equal(got, wanted, sizeof(got));
	key_hash(pepper, (struct slice){ (const char *)marked + 7,
	    DIGEST_LEN }, got);
	assert_memory_not_equal(got, wanted, sizeof(got));
}

/* Whatever a field may hold; the first byte of each too. */
static void
every_byte_reads_back(void **state)
{
	static struct key_entry e;
	struct buffer b;
	char text[3] = "?x";
	int c;

	(void)state;
	buffer_init(&b, 65536);
	for (c = 0x20; c < 256; c++) {
		if (c == 0x7f)
			continue;
		text[0] = (char)c;
		fill_entry(&e);
		memset(e.owner, 0, sizeof(e.owner));
		memset(e.label, 0, sizeof(e.label));
		memset(&e.attribute[0], 0, sizeof(e.attribute[0]));
		strlcpy(e.owner, text, sizeof(e.owner));
		strlcpy(e.label, text, sizeof(e.label));
		strlcpy(e.attribute[0].name, text,
		    sizeof(e.attribute[0].name));
		strlcpy(e.attribute[0].value, text,
		    sizeof(e.attribute[0].value));
		there_and_back(&b, &e);
	}
	buffer_free(&b);
}

/* All that an entry can hold, with each byte that can be escaped. */
static void
the_longest_entry_reads_back(void **state)
{
	static struct key_entry e;
	struct buffer b;
	uint32_t i;

	(void)state;
	fill_entry(&e);
	memset(e.id, 'z', KEY_ID_MAX);
	memset(e.owner, ':', OWNER_MAX);
	memset(e.label, '%', LABEL_MAX);
	e.rate = (struct rate){ RATE_MAX, PERIOD_MAX_MS, RATE_MAX - 1 };
	e.expires = INT64_C(253402300799);
	memset(e.attribute, 0, sizeof(e.attribute));
	e.nattributes = ATTRIBUTES_MAX;
	for (i = 0; i < e.nattributes; i++) {
		memset(e.attribute[i].name, '=', NAME_LEN_MAX);
		e.attribute[i].name[0] = (char)('a' + i);
		memset(e.attribute[i].value, ',', ATTRIBUTE_MAX);
	}
	e.nscopes = SCOPES_MAX;
	for (i = 0; i < SCOPES_MAX; i++) {
		memset(e.scope[i], 'x', SCOPE_MAX);
		memcpy(e.scope[i], "a:b:", 4);
	}
	buffer_init(&b, 65536);
	there_and_back(&b, &e);
	buffer_free(&b);
}

/* Under the sanitizers: no cut, no other byte leads beyond the line. */
static void
a_line_cut_or_bent_anywhere_does_no_harm(void **state)
{
	static const char bytes[] = ":,%=!*\n#\377";
	static struct key_entry e, out;
	struct buffer b;
	const char *error;
	size_t n, i;
	unsigned char old;

	(void)state;
	buffer_init(&b, 65536);
	fill_entry(&e);
	assert_int_equal(keyfile_format(&b, &e), 0);
	for (n = 0; n < b.len - 1; n++) {
		error = NULL;
		if (parse((const char *)b.data, n, &out, &error) == -1)
			assert_non_null(error);
		old = b.data[n];
		/* With the NUL at its end. */
		for (i = 0; i < sizeof(bytes); i++) {
			b.data[n] = (unsigned char)bytes[i];
			if (parse((const char *)b.data, b.len - 1, &out,
			    &error) == 0)
				assert_true(out.nscopes > 0 &&
				    out.owner[0] != '\0');
		}
		b.data[n] = old;
	}
	buffer_free(&b);
}

/* ---- the pepper -------------------------------------------------------- */

/* Good for the next three calls too. */
static const char *
in_dir(const char *name)
{
	static char paths[4][2 * PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

/* keyfile_pepper(), with what it logs kept. */
static int
pepper_of(const char *keyfile, int create, uint8_t pepper[KEY_LEN])
{
	int saved = dup(STDERR_FILENO), fd, rc;
	ssize_t n;

	assert_true(saved != -1);
	fd = open(in_dir("stderr"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd != -1);
	(void)fflush(stderr);
	assert_true(dup2(fd, STDERR_FILENO) != -1);
	rc = keyfile_pepper(keyfile, create, pepper);
	assert_true(dup2(saved, STDERR_FILENO) != -1);
	close(saved);
	n = pread(fd, said, sizeof(said) - 1, 0);
	close(fd);
	said[n > 0 ? n : 0] = '\0';
	return rc;
}

/* Refused, for what it says. */
static void
refused(const char *what, const char *keyfile, int create, const char *wanted)
{
	uint8_t pepper[KEY_LEN];

	if (pepper_of(keyfile, create, pepper) == 0)
		fail_msg("%s: wanted %s, got the pepper", what, wanted);
	if (strstr(said, wanted) == NULL)
		fail_msg("%s: wanted %s, got %s", what, wanted, said);
}

static void
write_pepper(const char *name, size_t len, mode_t mode)
{
	char bytes[KEY_LEN + 8];
	int fd;

	memset(bytes, 'P', sizeof(bytes));
	(void)unlink(in_dir(name));
	fd = open(in_dir(name), O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd != -1);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
a_pepper_is_made_once_and_is_ones_own(void **state)
{
	static const uint8_t nothing[KEY_LEN];
	uint8_t first[KEY_LEN] = { 0 }, again[KEY_LEN], other[KEY_LEN];
	struct stat st;
	mode_t mask;

	(void)state;
	refused("none", in_dir("k"), 0, "k.pepper: No such file");
	assert_int_equal(stat(in_dir("k.pepper"), &st), -1);
	/* Whatever the mask of the shell. */
	mask = umask(0);
	assert_int_equal(pepper_of(in_dir("k"), 1, first), 0);
	(void)umask(mask);
	assert_string_equal(said, "");
	assert_int_equal(lstat(in_dir("k.pepper"), &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, KEY_LEN);
	assert_int_equal(st.st_uid, geteuid());
	assert_memory_not_equal(first, nothing, KEY_LEN);
	assert_int_equal(pepper_of(in_dir("k"), 1, again), 0);
	assert_memory_equal(first, again, KEY_LEN);
	assert_int_equal(pepper_of(in_dir("k"), 0, again), 0);
	assert_memory_equal(first, again, KEY_LEN);
	assert_int_equal(pepper_of(in_dir("l"), 1, other), 0);
	assert_memory_not_equal(first, other, KEY_LEN);
	/* The key file itself is not its business. */
	assert_int_equal(stat(in_dir("k"), &st), -1);
}

static void
a_pepper_that_others_may_read_is_refused(void **state)
{
	static const struct {
		mode_t	mode;
		int	taken;
	} rows[] = {
		{ 0600, 1 }, { 0400, 1 }, { 0700, 1 }, { 0640, 0 },
		{ 0604, 0 }, { 0620, 0 }, { 0602, 0 }, { 0610, 0 },
		{ 0601, 0 }, { 0644, 0 }, { 0666, 0 }, { 0777, 0 },
	};
	uint8_t pepper[KEY_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		write_pepper("k.pepper", KEY_LEN, rows[i].mode);
		if ((pepper_of(in_dir("k"), 1, pepper) == 0) != rows[i].taken)
			fail_msg("mode %o: wanted it %s, got: %s",
			    (unsigned int)rows[i].mode,
			    rows[i].taken ? "taken" : "refused", said);
		if (rows[i].taken)
			continue;
		assert_non_null(strstr(said, "k.pepper: refused: "));
		assert_non_null(strstr(said, "chmod 600 "));
		assert_null(strstr(said, "PPPP"));
	}
}

static void
a_pepper_of_another_user_is_refused(void **state)
{
	uint8_t pepper[KEY_LEN];

	(void)state;
	write_pepper("k.pepper", KEY_LEN, 0600);
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(in_dir("k.pepper"), 65534, (gid_t)-1), 0);
	refused("another's", in_dir("k"), 1, "must be the daemon's own");
	assert_int_equal(chown(in_dir("k.pepper"), 0, (gid_t)-1), 0);
	assert_int_equal(pepper_of(in_dir("k"), 0, pepper), 0);
}

/* The link is not followed: neither to read nor to make what it names. */
static void
a_link_to_a_pepper_is_refused(void **state)
{
	struct stat st;

	(void)state;
	write_pepper("real.pepper", KEY_LEN, 0600);
	(void)unlink(in_dir("k.pepper"));
	assert_int_equal(symlink("real.pepper", in_dir("k.pepper")), 0);
	refused("a link", in_dir("k"), 0, "k.pepper: ");
	refused("a link", in_dir("k"), 1, "k.pepper: ");
	assert_int_equal(unlink(in_dir("k.pepper")), 0);
	assert_int_equal(symlink("planted", in_dir("k.pepper")), 0);
	refused("a link to nowhere", in_dir("k"), 1, "k.pepper: ");
	assert_int_equal(stat(in_dir("planted"), &st), -1);
	assert_int_equal(unlink(in_dir("k.pepper")), 0);
}

static void
a_pepper_is_a_file_of_its_size(void **state)
{
	static const size_t sizes[] = { 0, 1, KEY_LEN - 1, KEY_LEN + 1 };
	static char path[2 * PATH_LEN_MAX];
	struct stat st;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(sizes); i++) {
		write_pepper("k.pepper", sizes[i], 0600);
		refused("a size", in_dir("k"), 1, "k.pepper: must be 32 bytes");
		/* It is not written anew: keys may still be hashed with it. */
		assert_int_equal(stat(in_dir("k.pepper"), &st), 0);
		assert_int_equal(st.st_size, sizes[i]);
	}
	assert_int_equal(unlink(in_dir("k.pepper")), 0);
	assert_int_equal(mkdir(in_dir("k.pepper"), 0700), 0);
	refused("a folder", in_dir("k"), 1, "k.pepper: refused: ");
	assert_int_equal(rmdir(in_dir("k.pepper")), 0);
	refused("no such folder", in_dir("no/k"), 1, "No such file");
	memset(path, 'x', sizeof(path) - 1);
	/* The line of the log is cut before it says more. */
	refused("a long path", path, 1, "pepper of xxxx");

}

static int
make_dir(void **state)
{
	char template[] = "/tmp/test_keyfile.XXXXXX";

	(void)state;
	log_init("test", 1, 0);
	crypt_init();
	if (mkdtemp(template) == NULL)
		return -1;
	(void)strlcpy(dir, template, sizeof(dir));
	return 0;
}

static int
remove_dir(void **state)
{
	static const char *const names[] = {
		"k.pepper", "l.pepper", "planted", "real.pepper", "stderr"
	};
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(names); i++)
		(void)unlink(in_dir(names[i]));
	(void)rmdir(in_dir("k.pepper"));
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scope_has_three_segments),
		cmocka_unit_test(a_scope_is_made_of_few_letters),
		cmocka_unit_test(a_scope_is_bounded),
		cmocka_unit_test(the_id_of_a_key_text_is_found_or_there_is_none),
		cmocka_unit_test(a_key_text_is_bounded),
		cmocka_unit_test(no_token_begins_as_a_key_does),
		cmocka_unit_test(the_hash_is_of_the_whole_key_under_the_pepper),
		cmocka_unit_test(a_date_is_of_the_calendar),
		cmocka_unit_test(every_day_has_its_date),
		cmocka_unit_test(
		    a_line_that_is_not_right_is_refused_and_told_why),
		cmocka_unit_test(a_control_byte_is_refused_in_any_form),
		cmocka_unit_test(every_field_is_bounded),
		cmocka_unit_test(attributes_are_so_many_and_no_more),
		cmocka_unit_test(blank_lines_and_comments_are_no_keys),
		cmocka_unit_test(a_nul_is_no_letter_of_a_scope),
		cmocka_unit_test(a_line_is_written_as_the_manual_says),
		cmocka_unit_test(a_key_of_the_reference_system_is_marked),
		cmocka_unit_test(
		    the_hash_of_a_key_of_the_reference_system_is_keyed),
		cmocka_unit_test(every_byte_reads_back),
		cmocka_unit_test(the_longest_entry_reads_back),
		cmocka_unit_test(a_line_cut_or_bent_anywhere_does_no_harm),
		cmocka_unit_test(a_pepper_is_made_once_and_is_ones_own),
		cmocka_unit_test(a_pepper_that_others_may_read_is_refused),
		cmocka_unit_test(a_pepper_of_another_user_is_refused),
		cmocka_unit_test(a_link_to_a_pepper_is_refused),
		cmocka_unit_test(a_pepper_is_a_file_of_its_size),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
