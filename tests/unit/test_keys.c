/* SPDX-License-Identifier: ISC */
/* link: authd/account.c authd/limit.c authd/apikey.c authd/keydiff.c */

/* The key file and the keys in force: what is not exactly right grants nothing. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../authd/authd.h"
#include "../../common/compat.h"
#include "../../common/crypt.h"
#include "../../common/log.h"

#define NOW	1800000000	/* 2027-01-15 */
#define HASH	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static const uint8_t pepper[KEY_LEN] = { 9 };

static void
a_line_that_is_not_right_is_refused(void **state)
{
	static const struct {
		const char	*line;
		const char	*error;		/* NULL: it is right */
	} rows[] = {
		{ "k1:" HASH ":alice:Alice:60:2030-01-01:tenant=acme:a:b:c",
		    NULL },
		{ "k1:" HASH ":alice::::: a:b:c", "a scope is made of a-z 0-9 _ . - and *" },
		{ "k1:" HASH ":alice:::::a:b:c", NULL },
		{ "k1:!" HASH ":alice:::::a:*:*,x:y:z", NULL },
		{ "k1:" HASH ":a%3Ab:%C3%A9::::a:b:c", NULL },
		{ "k1", "fewer than eight fields" },
		{ "k1:" HASH ":alice::::", "fewer than eight fields" },
		{ ":" HASH ":alice:::::a:b:c", "bad id" },
		{ "K1:" HASH ":alice:::::a:b:c", "an id is made of a-z and 0-9" },
		{ "k1:00:alice:::::a:b:c", "bad hash" },
		{ "k1:" HASH "::::::a:b:c", "bad owner or label" },
		{ "k1:" HASH ":a%0Ab:::::a:b:c", "bad owner or label" },
		{ "k1:" HASH ":a%zz:::::a:b:c", "bad owner or label" },
		{ "k1:" HASH ":alice::0:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::-1:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::6x:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::6/d:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::6/:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::6/s%3A:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::6%3A0:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::/s:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::6/s2:::a:b:c", "bad rate" },
		{ "k1:" HASH ":alice::6/s%3A20:::a:b:c", NULL },
		{ "k1:" HASH ":alice::6/h:::a:b:c", NULL },
		{ "k1:" HASH ":alice:::2030-13-01::a:b:c", "bad date of expiry" },
		{ "k1:" HASH ":alice::::x:a:b:c", "an attribute is name=value" },
		{ "k1:" HASH ":alice::::x=1,x=2:a:b:c", "attribute given twice" },
		{ "k1:" HASH ":alice:::::", "no scope" },
		{ "k1:" HASH ":alice:::::*:b:c",
		    "* may not stand for the namespace of a scope" },
		{ "k1:" HASH ":alice:::::a:b",
		    "a scope has three segments: namespace:resource:action" },
	};
	static struct key_entry e;
	const char *error;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rc = keyfile_parse(slice_of(rows[i].line), &e, &error);
		if ((rc == 0) != (rows[i].error == NULL) ||
		    (rc == -1 && strcmp(error, rows[i].error) != 0))
			fail_msg("%s: wanted %s, got %s", rows[i].line,
			    rows[i].error == NULL ? "it taken" : rows[i].error,
			    rc == 0 ? "it taken" : error);
	}
}

static void
what_is_written_reads_back(void **state)
{
	static struct key_entry in, out;
	const char *error;
	struct buffer b;

	(void)state;
	strlcpy(in.id, "abc9", sizeof(in.id));
	strlcpy(in.owner, "a:b,c=d%e", sizeof(in.owner));
	strlcpy(in.label, "Gr\xc3\xbc\xc3\x9f\x65", sizeof(in.label));
	in.rate = (struct rate){ 7, 60000, 7 };
	in.expires = key_date("2031-02-28T23:59:59Z");
	in.nattributes = 1;
	strlcpy(in.attribute[0].name, "tenant", sizeof(in.attribute[0].name));
	strlcpy(in.attribute[0].value, "x,y:z", sizeof(in.attribute[0].value));
	in.nscopes = 2;
	strlcpy(in.scope[0], "a:b:c", sizeof(in.scope[0]));
	strlcpy(in.scope[1], "a:*:c", sizeof(in.scope[1]));
	buffer_init(&b, 65536);
	assert_int_equal(keyfile_format(&b, &in), 0);
	b.len--;	/* the newline */
	assert_int_equal(keyfile_parse((struct slice){ (char *)b.data,
	    b.len }, &out, &error), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	buffer_free(&b);
}

static void
dates_are_of_the_calendar(void **state)
{
	(void)state;
	assert_int_equal(key_date("1970-01-01"), 0);
	assert_int_equal(key_date("2027-01-15T08:00:00Z"), NOW);
	assert_int_equal(key_date("2028-02-29"), 1835395200);
	assert_int_equal(key_date("2027-02-29"), -1);
	assert_int_equal(key_date("2100-02-29"), -1);
	assert_int_equal(key_date("2027-04-31"), -1);
	assert_int_equal(key_date("2027-1-1"), -1);
	assert_int_equal(key_date("2027-01-15T24:00:00Z"), -1);
	assert_int_equal(key_date("2027-01-15 08:00:00Z"), -1);
	assert_int_equal(key_date("tomorrow!!"), -1);
}

static void
the_id_of_a_key_is_found_or_it_is_none(void **state)
{
	static const char *const none[] = { "", "sk_", "sk_live", "sk_live_",
	    "sk_live_id", "sk_live_id_", "sk__id_x", "sk_live__x", "pk_live_id_x",
	    "SK_live_id_x", "sk_live_ID_x", "sk_li-ve_id_x" };
	size_t i;

	(void)state;
	assert_true(slice_is(key_text_id(slice_of("sk_live_ab1_s_e-c")),
	    "ab1"));
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(key_text_id(slice_of(none[i])).len, 0);
}

/* Loads a file of lines made for the key texts. */
static void
load(const char *lines)
{
	struct msg_keys m;

	memcpy(m.pepper, pepper, sizeof(pepper));
	m.file = slice_of(lines);
	apikey_load(&m);
}

static void
add_line(struct buffer *b, const char *id, const char *text, const char *rest)
{
	uint8_t hash[DIGEST_LEN];

	key_hash(pepper, slice_of(text), hash);
	(void)buffer_printf(b, "%s:", id);
	(void)buffer_add_hex(b, hash, sizeof(hash));
	(void)buffer_printf(b, ":%s\n", rest);
}

static void
only_a_good_key_resolves(void **state)
{
	static const struct {
		const char	*text;
		enum reason	 reason;
	} rows[] = {
		{ "sk_live_good_secret", REASON_NONE },
		{ "sk_live_good_secreT", REASON_BAD_SECRET },
		{ "sk_test_good_secret", REASON_BAD_SECRET },
		{ "sk_live_good_secret1", REASON_BAD_SECRET },
		{ "sk_live_old_secret", REASON_EXPIRED_KEY },
		{ "sk_live_twin_one", REASON_UNKNOWN_KEY },
		{ "sk_live_twin_two", REASON_UNKNOWN_KEY },
		{ "sk_live_bad_secret", REASON_UNKNOWN_KEY },
		{ "sk_live_nobody_secret", REASON_UNKNOWN_KEY },
		{ "eyJhbGciOiJub25lIn0.e30.", REASON_MALFORMED_CREDENTIAL },
		{ "", REASON_MALFORMED_CREDENTIAL },
	};
	struct slice suspect;
	enum reason reason;
	struct buffer b;
	size_t i;

	(void)state;
	buffer_init(&b, 65536);
	(void)buffer_add_cstr(&b, "# a comment\n\n");
	add_line(&b, "good", "sk_live_good_secret", "alice:::::a:b:c");
	add_line(&b, "old", "sk_live_old_secret", "o:::2020-01-01::a:b:c");
	add_line(&b, "twin", "sk_live_twin_one", "o:::::a:b:c");
	add_line(&b, "twin", "sk_live_twin_two", "o:::::a:b:c");
	add_line(&b, "bad", "sk_live_bad_secret", "o:::::a:b");
	(void)buffer_add_char(&b, '\0');
	load((const char *)b.data);
	assert_int_equal(apikey_count(), 2);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct api_key *k = apikey_check(slice_of(rows[i].text), NOW,
		    &reason, &suspect);

		if ((k != NULL) != (rows[i].reason == REASON_NONE) ||
		    reason != rows[i].reason)
			fail_msg("%s: wanted %s, got %s", rows[i].text,
			    reason_name(rows[i].reason), reason_name(reason));
	}
	buffer_free(&b);
}

static void
a_revoked_key_is_out_and_rates_survive_a_reload(void **state)
{
	struct account owner, payer;
	struct slice suspect;
	enum reason reason;
	struct api_key *k;
	struct buffer b;

	(void)state;
	buffer_init(&b, 65536);
	add_line(&b, "good", "sk_live_good_secret", "alice::5:::a:b:c");
	(void)buffer_add_char(&b, '\0');
	load((const char *)b.data);
	k = apikey_check(slice_of("sk_live_good_secret"), NOW, &reason,
	    &suspect);
	assert_non_null(k);
	assert_int_equal(k->rate.count, 5);
	owner = k->owner;
	payer = k->payer;
	load((const char *)b.data);
	k = apikey_check(slice_of("sk_live_good_secret"), NOW, &reason,
	    &suspect);
	assert_non_null(k);
	assert_memory_equal(&k->owner, &owner, sizeof(owner));
	assert_memory_equal(&k->payer, &payer, sizeof(payer));
	/* The mark of revocation stands before the hash. */
	(void)buffer_add_char(&b, '\0');
	memmove(b.data + 6, b.data + 5, b.len - 6);
	b.data[5] = '!';
	load((const char *)b.data);
	assert_null(apikey_check(slice_of("sk_live_good_secret"), NOW,
	    &reason, &suspect));
	load("");
	assert_int_equal(apikey_count(), 0);
	buffer_free(&b);
}

static int
setup(void **state)
{
	(void)state;
	log_init("test", 1, 0);
	crypt_init();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_that_is_not_right_is_refused),
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(dates_are_of_the_calendar),
		cmocka_unit_test(the_id_of_a_key_is_found_or_it_is_none),
		cmocka_unit_test(only_a_good_key_resolves),
		cmocka_unit_test(a_revoked_key_is_out_and_rates_survive_a_reload),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
