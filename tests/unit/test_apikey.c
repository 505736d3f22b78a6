/* SPDX-License-Identifier: ISC */
/* link: authd/account.c authd/limit.c authd/apikey.c authd/keydiff.c */

/*
 * authd/apikey.c: a key proves itself by all of its text, in its time; a line
 * that is wrong, revoked or there twice grants nothing; and a file that takes
 * the place of another keeps what its keys have used of their rates.
 */

#include <fcntl.h>
#include <limits.h>
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

#define NOW	INT64_C(1800000000)	/* 2027-01-15T08:00:00Z */
#define NROWS(a) (sizeof(a) / sizeof((a)[0]))

static const uint8_t pepper[KEY_LEN] = { 9, 8, 7 };
static struct buffer file;	/* the next to be loaded */
static char said[64 * 1024];	/* logged by the last load */
static char log_path[PATH_MAX];

/* ---- helpers ----------------------------------------------------------- */

/* A line whose hash is of text; mark is "" or "!". */
static void
add_key(const char *id, const char *mark, const char *text, const char *rest)
{
	uint8_t hash[DIGEST_LEN];

	key_hash(pepper, slice_of(text), hash);
	assert_int_equal(buffer_printf(&file, "%s:%s", id, mark), 0);
	assert_int_equal(buffer_add_hex(&file, hash, sizeof(hash)), 0);
	assert_int_equal(buffer_printf(&file, ":%s\n", rest), 0);
}

/* Loads what was added, from memory of exactly its size, which then goes. */
static void
load_under(const uint8_t with[KEY_LEN])
{
	int saved = dup(STDERR_FILENO), fd;
	struct msg_keys m;
	char *copy = malloc(file.len == 0 ? 1 : file.len);
	ssize_t n;

	assert_non_null(copy);
	if (file.len > 0)
		memcpy(copy, file.data, file.len);
	memcpy(m.pepper, with, KEY_LEN);
	m.file.ptr = copy;
	m.file.len = file.len;
	fd = open(log_path, O_RDWR | O_TRUNC);
	assert_true(saved != -1 && fd != -1);
	(void)fflush(stderr);
	assert_true(dup2(fd, STDERR_FILENO) != -1);
	apikey_load(&m);
	assert_true(dup2(saved, STDERR_FILENO) != -1);
	close(saved);
	n = pread(fd, said, sizeof(said) - 1, 0);
	close(fd);
	said[n > 0 ? n : 0] = '\0';
	memset(copy, 'x', file.len);
	free(copy);
	buffer_clear(&file);
}

static void
load(void)
{
	load_under(pepper);
}

static struct api_key *
check_at(const char *text, int64_t now, enum reason *reason,
    struct slice *suspect)
{
	char *copy = malloc(strlen(text) + 1);
	struct api_key *k;
	size_t len = strlen(text);

	assert_non_null(copy);
	memcpy(copy, text, len);
	*reason = REASON_MAX;
	suspect->ptr = NULL;
	suspect->len = 77;
	k = apikey_check((struct slice){ copy, len }, now, reason, suspect);
	memset(copy, 'x', len);
	free(copy);
	/* A key or a reason, never both and never neither. */
	assert_true((k != NULL) == (*reason == REASON_NONE));
	return k;
}

/* The suspect is one that is known, by its own name, or nobody. */
static void
refused(const char *text, int64_t now, enum reason wanted, const char *who)
{
	struct slice suspect;
	enum reason got;

	(void)check_at(text, now, &got, &suspect);
	if (got != wanted)
		fail_msg("%s at %lld: wanted %s, got %s", text,
		    (long long)now, reason_name(wanted), reason_name(got));
	if (!slice_is(suspect, who))
		fail_msg("%s: wanted suspect \"%s\", got \"%.*s\"", text, who,
		    (int)suspect.len, suspect.ptr);
}

static struct api_key *
taken(const char *text)
{
	struct slice suspect;
	enum reason reason;
	struct api_key *k = check_at(text, NOW, &reason, &suspect);

	if (k == NULL)
		fail_msg("%s: wanted it taken, got %s", text,
		    reason_name(reason));
	return k;
}

/* ---- one key ----------------------------------------------------------- */

static void
a_good_key_is_who_its_line_says(void **state)
{
	struct slice value;
	struct api_key *k;

	(void)state;
	add_key("ab1", "", "sk_live_ab1_secret", "a%3Alice:The A:60:"
	    "2030-01-01:tenant=acme,team=x%2Cy,none=:shop:order:read,shop:*:*");
	load();
	k = taken("sk_live_ab1_secret");
	assert_int_equal(k->identity.kind, CREDENTIAL_KEY);
	assert_true(slice_is(k->identity.key_id, "ab1"));
	assert_true(slice_is(k->identity.owner, "a:lice"));
	assert_true(slice_is(k->identity.label, "The A"));
	assert_int_equal(k->rate.count, 60);
	assert_int_equal(k->rate.burst, 60);
	assert_int_equal(k->rate.period_ms, 60000);
	assert_int_equal(k->expires, 1893456000);
	assert_int_equal(k->nscopes, 2);
	assert_true(slice_is(k->scope[0], "shop:order:read"));
	assert_true(slice_is(k->scope[1], "shop:*:*"));
	assert_int_equal(k->identity.attributes, 3);
	assert_int_equal(identity_value(&k->identity,
	    slice_of("claim.team"), &value), 0);
	assert_true(slice_is(value, "x,y"));
	assert_int_equal(identity_value(&k->identity,
	    slice_of("claim.none"), &value), 0);
	assert_true(slice_is(value, ""));
	assert_int_equal(identity_value(&k->identity,
	    slice_of("claim.other"), &value), -1);
	/* The one without a rate, a date or more has none of them. */
	add_key("ab2", "", "sk_live_ab2_secret", "bob:::::a:b:c");
	load();
	k = taken("sk_live_ab2_secret");
	assert_int_equal(k->rate.count, 0);
	assert_int_equal(k->expires, 0);
	assert_int_equal(k->identity.attributes, 0);
	assert_true(slice_is(k->identity.label, ""));
}

static void
what_is_not_the_whole_key_is_refused(void **state)
{
	static const struct {
		const char	*text;
		enum reason	 reason;
		const char	*suspect;
	} rows[] = {
		{ "sk_live_ab1_secreT", REASON_BAD_SECRET, "ab1" },
		{ "sk_live_ab1_secre", REASON_BAD_SECRET, "ab1" },
		{ "sk_live_ab1_secrets", REASON_BAD_SECRET, "ab1" },
		{ "sk_live_ab1_secret ", REASON_BAD_SECRET, "ab1" },
		{ "sk_live_ab1_ secret", REASON_BAD_SECRET, "ab1" },
		{ "sk_live_ab1__secret", REASON_BAD_SECRET, "ab1" },
		{ "sk_live_ab1_x", REASON_BAD_SECRET, "ab1" },
		{ "sk_test_ab1_secret", REASON_BAD_SECRET, "ab1" },
		{ "sk_live_ab2_secret", REASON_BAD_SECRET, "ab2" },
		{ "sk_live_ab_secret", REASON_UNKNOWN_KEY, "" },
		{ "sk_live_ab11_secret", REASON_UNKNOWN_KEY, "" },
		{ "sk_live_ab0_secret", REASON_UNKNOWN_KEY, "" },
		{ "sk_live_ab3_secret", REASON_UNKNOWN_KEY, "" },
		{ "sk_live_0_secret", REASON_UNKNOWN_KEY, "" },
		{ "sk_live_z_secret", REASON_UNKNOWN_KEY, "" },
		{ "sk_live_ab1_", REASON_MALFORMED_CREDENTIAL, "" },
		{ "sk_live_ab1", REASON_MALFORMED_CREDENTIAL, "" },
		{ "sk_live__secret", REASON_MALFORMED_CREDENTIAL, "" },
		{ "sk_live_AB1_secret", REASON_MALFORMED_CREDENTIAL, "" },
		{ " sk_live_ab1_secret", REASON_MALFORMED_CREDENTIAL, "" },
		{ "secret", REASON_MALFORMED_CREDENTIAL, "" },
		{ "ab1", REASON_MALFORMED_CREDENTIAL, "" },
		{ "eyJhbGciOiJub25lIn0.e30.", REASON_MALFORMED_CREDENTIAL, "" },
		{ "", REASON_MALFORMED_CREDENTIAL, "" },
	};
	size_t i;

	(void)state;
	add_key("ab1", "", "sk_live_ab1_secret", "alice:::::a:b:c");
	add_key("ab2", "", "sk_live_ab2_another", "bob:::::a:b:c");
	load();
	for (i = 0; i < NROWS(rows); i++)
		refused(rows[i].text, NOW, rows[i].reason, rows[i].suspect);
	(void)taken("sk_live_ab1_secret");
	(void)taken("sk_live_ab2_another");
}

/* What stands in the file is no credential, nor a part of one. */
static void
a_hash_is_no_credential(void **state)
{
	char text[KEY_TEXT_MAX + 1];
	uint8_t hash[DIGEST_LEN];
	char hex[2 * DIGEST_LEN + 1];

	(void)state;
	key_hash(pepper, slice_of("sk_live_ab1_secret"), hash);
	hex_encode(hex, hash, sizeof(hash));
	add_key("ab1", "", "sk_live_ab1_secret", "alice:::::a:b:c");
	/* A hash of nothing but zeros is a hash like any other. */
	assert_int_equal(buffer_printf(&file, "zero:%064d:o:::::a:b:c\n", 0),
	    0);
	load();
	assert_int_equal(apikey_count(), 2);
	refused(hex, NOW, REASON_MALFORMED_CREDENTIAL, "");
	(void)snprintf(text, sizeof(text), "sk_live_ab1_%s", hex);
	refused(text, NOW, REASON_BAD_SECRET, "ab1");
	refused("sk_live_zero_x", NOW, REASON_BAD_SECRET, "zero");
	refused("sk_live_nobody_x", NOW, REASON_UNKNOWN_KEY, "");
}

static void
a_key_lasts_until_its_date(void **state)
{
	(void)state;
	add_key("old", "", "sk_live_old_s", "o:::2027-01-15T08%3A00%3A00Z::a:b:c");
	add_key("day", "", "sk_live_day_s", "o:::2027-01-15::a:b:c");
	add_key("far", "", "sk_live_far_s", "o:::9999-12-31::a:b:c");
	add_key("any", "", "sk_live_any_s", "o:::::a:b:c");
	load();
	refused("sk_live_old_s", NOW - 1, REASON_NONE, "old");
	refused("sk_live_old_s", NOW, REASON_EXPIRED_KEY, "old");
	refused("sk_live_old_s", NOW + 1, REASON_EXPIRED_KEY, "old");
	/* A wrong secret learns nothing of the date. */
	refused("sk_live_old_x", NOW, REASON_BAD_SECRET, "old");
	/* A day ends a key as it begins. */
	refused("sk_live_day_s", NOW - 8 * 3600 - 1, REASON_NONE, "day");
	refused("sk_live_day_s", NOW - 8 * 3600, REASON_EXPIRED_KEY, "day");
	refused("sk_live_far_s", NOW, REASON_NONE, "far");
	refused("sk_live_any_s", NOW, REASON_NONE, "any");
	refused("sk_live_any_s", INT64_MAX, REASON_NONE, "any");
}

static void
a_revoked_key_is_refused(void **state)
{
	(void)state;
	add_key("gone", "!", "sk_live_gone_s", "o:::::a:b:c");
	add_key("here", "", "sk_live_here_s", "o:::::a:b:c");
	load();
	refused("sk_live_gone_s", NOW, REASON_UNKNOWN_KEY, "gone");
	refused("sk_live_gone_x", NOW, REASON_BAD_SECRET, "gone");
	(void)taken("sk_live_here_s");
}

static void
another_pepper_fits_no_hash(void **state)
{
	static const uint8_t other[KEY_LEN] = { 9, 8, 6 };

	(void)state;
	add_key("ab1", "", "sk_live_ab1_s", "o:::::a:b:c");
	load_under(other);
	assert_int_equal(apikey_count(), 1);
	refused("sk_live_ab1_s", NOW, REASON_BAD_SECRET, "ab1");
	add_key("ab1", "", "sk_live_ab1_s", "o:::::a:b:c");
	load();
	(void)taken("sk_live_ab1_s");
}

/* ---- keys of the reference system -------------------------------------- */

static void
add_legacy(const char *id, const char *mark, const char *text,
    const char *rest)
{
	uint8_t hash[DIGEST_LEN];

	key_hash_legacy(pepper, slice_of(text), hash);
	assert_int_equal(buffer_printf(&file, "%s:%ssha256$", id, mark), 0);
	assert_int_equal(buffer_add_hex(&file, hash, sizeof(hash)), 0);
	assert_int_equal(buffer_printf(&file, ":%s\n", rest), 0);
}

#define OLD	"sk_live_0123456789abcdefghijklmnopqrstuv"
#define OLD_ID	"sk_live_abc_defghijklmnopqrstuvwxyz-0123"	/* id: abc */

static void
a_key_without_an_id_is_found_by_its_hash(void **state)
{
	(void)state;
	/* Where there are none, it is not even looked for. */
	add_key("new", "", "sk_live_new_s", "o:::::a:b:c");
	load();
	refused(OLD, NOW, REASON_MALFORMED_CREDENTIAL, "");
	add_key("new", "", "sk_live_new_s", "o:::::a:b:c");
	add_legacy("keyalice", "", OLD, "alice:Alice:60:2030-01-01::a:b:c");
	add_legacy("keybob", "", OLD_ID, "bob:::::a:*:c");
	load();
	assert_int_equal(apikey_count(), 3);
	assert_true(slice_is(taken(OLD)->identity.key_id, "keyalice"));
	assert_int_equal(taken(OLD)->rate.count, 60);
	/* One whose text looks like one of ours. */
	assert_true(slice_is(taken(OLD_ID)->identity.key_id, "keybob"));
	assert_true(slice_is(taken("sk_live_new_s")->identity.key_id, "new"));
	refused(OLD "w", NOW, REASON_UNKNOWN_KEY, "");
	refused("sk_live_0123456789abcdefghijklmnopqrstuw", NOW,
	    REASON_UNKNOWN_KEY, "");
	refused("sk_live_0123456789abcdefghijklmnopqrstu", NOW,
	    REASON_UNKNOWN_KEY, "");
	refused(OLD, INT64_C(1893456000), REASON_EXPIRED_KEY, "keyalice");
	/* What is no key of either form, and no longer than one may be. */
	refused("0123456789abcdefghijklmnopqrstuv", NOW,
	    REASON_MALFORMED_CREDENTIAL, "");
	refused("", NOW, REASON_MALFORMED_CREDENTIAL, "");
	refused("sk_", NOW, REASON_MALFORMED_CREDENTIAL, "");
}

/* As a token has them: it is a key all the same, by all of its text. */
static void
such_a_key_may_have_dots(void **state)
{
	(void)state;
	add_legacy("keydot", "", "sk_live_ab.cd", "alice:::::a:b:c");
	add_legacy("keydots", "", "sk_live_ab.cd.ef", "bob:::::a:b:c");
	load();
	assert_true(slice_is(taken("sk_live_ab.cd")->identity.key_id, "keydot"));
	assert_true(slice_is(taken("sk_live_ab.cd.ef")->identity.key_id,
	    "keydots"));
	refused("sk_live_ab.ce", NOW, REASON_UNKNOWN_KEY, "");
	refused("sk_live_ab.", NOW, REASON_UNKNOWN_KEY, "");
	refused("sk_live_ab.cd.", NOW, REASON_UNKNOWN_KEY, "");
}

/* Its id stands in trails and lists, and its hash in a stolen file. */
static void
neither_id_nor_hash_of_such_a_key_opens_anything(void **state)
{
	char text[KEY_TEXT_MAX + 1], hex[2 * DIGEST_LEN + 1];
	uint8_t hash[DIGEST_LEN];

	(void)state;
	add_legacy("keyalice", "", OLD, "alice:::::a:b:c");
	add_key("abc", "", "sk_live_abc_s", "bob:::::a:b:c");
	load();
	refused("sk_live_keyalice_x", NOW, REASON_UNKNOWN_KEY, "");
	refused("sk_live_keyalice_" OLD, NOW, REASON_UNKNOWN_KEY, "");
	key_hash_legacy(pepper, slice_of(OLD), hash);
	hex_encode(hex, hash, sizeof(hash));
	(void)snprintf(text, sizeof(text), "sk_live_keyalice_%s", hex);
	refused(text, NOW, REASON_UNKNOWN_KEY, "");
	(void)snprintf(text, sizeof(text), "sk_live_%s", hex);
	refused(text, NOW, REASON_UNKNOWN_KEY, "");
	/* The hash that stood in the reference system's table. */
	sha256(OLD, strlen(OLD), hash);
	hex_encode(hex, hash, sizeof(hash));
	(void)snprintf(text, sizeof(text), "sk_live_%s", hex);
	refused(text, NOW, REASON_UNKNOWN_KEY, "");
	/* A key of ours is still one by its id, wrong or right. */
	refused("sk_live_abc_t", NOW, REASON_BAD_SECRET, "abc");
	(void)taken("sk_live_abc_s");
	/* That hash as one of ours: the bare digest as the text's MAC. */
	assert_int_equal(buffer_printf(&file, "abc:%s:o:::::a:b:c\n", hex), 0);
	load();
	refused(OLD, NOW, REASON_MALFORMED_CREDENTIAL, "");
	/* And unkeyed under the mark, as a table would give it. */
	assert_int_equal(buffer_printf(&file, "abc:sha256$%s:o:::::a:b:c\n",
	    hex), 0);
	load();
	refused(OLD, NOW, REASON_UNKNOWN_KEY, "");
}

static void
a_hash_that_stands_twice_is_nobody(void **state)
{
	(void)state;
	add_legacy("one", "", OLD, "alice:::::a:b:c");
	add_legacy("two", "", OLD, "mallory:::::a:*:*");
	add_legacy("three", "!", OLD_ID, "bob:::::a:b:c");
	add_legacy("four", "", OLD_ID, "bob:::::a:b:c");
	add_legacy("five", "", "sk_live_other", "carol:::::a:b:c");
	load();
	refused(OLD, NOW, REASON_UNKNOWN_KEY, "");
	refused(OLD_ID, NOW, REASON_UNKNOWN_KEY, "");
	assert_true(slice_is(taken("sk_live_other")->identity.key_id,
	    "five"));
	assert_non_null(strstr(said, "stands 2 times"));
}

static void
such_a_key_is_revoked_like_any(void **state)
{
	(void)state;
	add_legacy("keyalice", "!", OLD, "alice:::::a:b:c");
	load();
	refused(OLD, NOW, REASON_UNKNOWN_KEY, "keyalice");
	add_legacy("keyalice", "", OLD, "alice:::::a:b:c");
	load();
	(void)taken(OLD);
	load();
	refused(OLD, NOW, REASON_MALFORMED_CREDENTIAL, "");
}

/* What is known of its use stays with an id. */
static void
a_key_keeps_its_last_use_through_a_swap(void **state)
{
	(void)state;
	add_key("a", "", "sk_live_a_s", "o:::::a:b:c");
	load();
	taken("sk_live_a_s")->used = NOW;
	add_key("a", "", "sk_live_a_t", "o:::::a:b:c");
	add_key("b", "", "sk_live_b_s", "o:::::a:b:c");
	load();
	assert_int_equal(taken("sk_live_a_t")->used, NOW);
	assert_int_equal(taken("sk_live_b_s")->used, 0);
	assert_true(slice_is(apikey_at(0)->identity.key_id, "a"));
	assert_true(slice_is(apikey_at(1)->identity.key_id, "b"));
	assert_null(apikey_at(2));
}

/* ---- the file ---------------------------------------------------------- */

static void
a_bad_line_grants_nothing_and_is_named_by_its_number(void **state)
{
	(void)state;
	assert_int_equal(buffer_add_cstr(&file, "# keys\n\n  \t\n"), 0);
	add_key("one", "", "sk_live_one_s", "o:::::a:b:c");		/* 4 */
	add_key("two", "", "sk_live_two_s", "o:::::a:b");		/* 5 */
	add_key("six", "", "sk_live_six_s", "o:::::a:b:c");		/* 6 */
	assert_int_equal(buffer_add_cstr(&file, "nonsense\n"), 0);	/* 7 */
	add_key("big", "", "sk_live_big_s", "o::0:::a:b:c");		/* 8 */
	add_key("cr", "", "sk_live_cr_s", "o:::::a:b:c\r");		/* 9 */
	add_key("end", "", "sk_live_end_s", "o:::::a:b:c");		/* 10 */
	load();
	assert_int_equal(apikey_count(), 3);
	(void)taken("sk_live_one_s");
	(void)taken("sk_live_six_s");
	(void)taken("sk_live_end_s");
	refused("sk_live_two_s", NOW, REASON_UNKNOWN_KEY, "");
	refused("sk_live_big_s", NOW, REASON_UNKNOWN_KEY, "");
	refused("sk_live_cr_s", NOW, REASON_UNKNOWN_KEY, "");
	assert_non_null(strstr(said, "line 5: a scope has three segments"));
	assert_non_null(strstr(said, "line 7: fewer than eight fields"));
	assert_non_null(strstr(said, "line 8: bad rate"));
	assert_non_null(strstr(said, "line 9: a scope is made of"));
	assert_null(strstr(said, "line 4:"));
	assert_null(strstr(said, "line 6:"));
	assert_null(strstr(said, "line 10:"));
	/* Not what stands in it. */
	assert_null(strstr(said, "nonsense"));
}

/* What is left of a line may be a key with another scope. */
static void
a_file_that_was_cut_short_grants_nothing_by_its_last_line(void **state)
{
	(void)state;
	add_key("one", "", "sk_live_one_s", "o:::::a:b:c");
	add_key("cut", "", "sk_live_cut_s", "o:::::a:b:write_draft");
	file.len -= strlen("_draft\n");
	load();
	assert_int_equal(apikey_count(), 1);
	(void)taken("sk_live_one_s");
	refused("sk_live_cut_s", NOW, REASON_UNKNOWN_KEY, "");
	assert_non_null(strstr(said, "line 2: it has no end"));
	/* A comment needs none. */
	add_key("one", "", "sk_live_one_s", "o:::::a:b:c");
	assert_int_equal(buffer_add_cstr(&file, "# the end"), 0);
	load();
	(void)taken("sk_live_one_s");
	assert_null(strstr(said, "no end"));
}

static void
an_id_that_stands_twice_grants_nothing(void **state)
{
	(void)state;
	add_key("twin", "", "sk_live_twin_one", "alice:::::a:b:c");
	add_key("a", "", "sk_live_a_s", "o:::::a:b:c");
	add_key("twi", "", "sk_live_twi_s", "o:::::a:b:c");
	add_key("twin", "", "sk_live_twin_two", "mallory:::::a:*:*");
	add_key("twin0", "", "sk_live_twin0_s", "o:::::a:b:c");
	add_key("three", "", "sk_live_three_1", "o:::::a:b:c");
	add_key("three", "!", "sk_live_three_1", "o:::::a:b:c");
	add_key("three", "", "sk_live_three_3", "o:::::a:b:c");
	add_key("z", "", "sk_live_z_s", "o:::::a:b:c");
	load();
	assert_int_equal(apikey_count(), 4);
	refused("sk_live_twin_one", NOW, REASON_UNKNOWN_KEY, "");
	refused("sk_live_twin_two", NOW, REASON_UNKNOWN_KEY, "");
	refused("sk_live_three_1", NOW, REASON_UNKNOWN_KEY, "");
	refused("sk_live_three_3", NOW, REASON_UNKNOWN_KEY, "");
	(void)taken("sk_live_a_s");
	(void)taken("sk_live_twi_s");
	(void)taken("sk_live_twin0_s");
	(void)taken("sk_live_z_s");
	assert_non_null(strstr(said, "id twin stands 2 times"));
	assert_non_null(strstr(said, "id three stands 3 times"));
	/* Nothing but twins: nobody. */
	add_key("twin", "", "sk_live_twin_one", "o:::::a:b:c");
	add_key("twin", "", "sk_live_twin_one", "o:::::a:b:c");
	load();
	assert_int_equal(apikey_count(), 0);
	refused("sk_live_twin_one", NOW, REASON_UNKNOWN_KEY, "");
}

static void
another_file_takes_the_place_of_the_first(void **state)
{
	(void)state;
	add_key("one", "", "sk_live_one_s", "o:::::a:b:c");
	add_key("two", "", "sk_live_two_s", "o:::::a:b:c");
	load();
	(void)taken("sk_live_one_s");
	/* One is gone, one is revoked, one has another secret and scope. */
	add_key("two", "!", "sk_live_two_s", "o:::::a:b:c");
	add_key("six", "", "sk_live_six_s", "o:::::a:b:c");
	load();
	assert_int_equal(apikey_count(), 2);
	refused("sk_live_one_s", NOW, REASON_UNKNOWN_KEY, "");
	refused("sk_live_two_s", NOW, REASON_UNKNOWN_KEY, "two");
	add_key("six", "", "sk_live_six_new", "p:::::x:y:z");
	load();
	refused("sk_live_six_s", NOW, REASON_BAD_SECRET, "six");
	assert_true(slice_is(taken("sk_live_six_new")->scope[0], "x:y:z"));
	assert_true(slice_is(taken("sk_live_six_new")->identity.owner, "p"));
	/* An empty one, and one of comments: nobody. */
	load();
	assert_int_equal(apikey_count(), 0);
	refused("sk_live_six_new", NOW, REASON_UNKNOWN_KEY, "");
	assert_int_equal(buffer_add_cstr(&file, "# none\n"), 0);
	load();
	assert_int_equal(apikey_count(), 0);
}

/*
 * What an owner has used is his, whichever of his keys he uses and however
 * often the file is read; a rate of a key's own is counted apart, and one
 * with the same for another owner is another's.
 */
static void
keys_of_one_owner_share_what_he_has_used(void **state)
{
	struct account owner, payer;
	struct api_key *k;
	int round;

	(void)state;
	for (round = 0; round < 2; round++) {
		add_key("a", "", "sk_live_a_s", "alice:::::a:b:c");
		add_key("b", "", "sk_live_b_s", "alice:x:5:::a:b:d");
		add_key("c", "", "sk_live_c_s", "alice::5:::a:b:c");
		add_key("d", "", "sk_live_d_s", "alice::7:::a:b:c");
		add_key("e", "", "sk_live_e_s", "bob::5:::a:b:c");
		load();
		k = taken("sk_live_a_s");
		if (round == 0)
			owner = k->owner;
		assert_memory_equal(&k->owner, &owner, sizeof(owner));
		assert_int_equal(k->rate.count, 0);
		k = taken("sk_live_b_s");
		if (round == 0)
			payer = k->payer;
		assert_memory_equal(&k->owner, &owner, sizeof(owner));
		assert_memory_equal(&k->payer, &payer, sizeof(payer));
		assert_memory_not_equal(&k->payer, &owner, sizeof(owner));
		k = taken("sk_live_c_s");
		assert_memory_equal(&k->payer, &payer, sizeof(payer));
		k = taken("sk_live_d_s");
		assert_memory_equal(&k->owner, &owner, sizeof(owner));
		assert_memory_not_equal(&k->payer, &payer, sizeof(payer));
		k = taken("sk_live_e_s");
		assert_memory_not_equal(&k->owner, &owner, sizeof(owner));
		assert_memory_not_equal(&k->payer, &payer, sizeof(payer));
	}
}

/* A comment may be of any length. */
static void
a_line_that_is_too_long_grants_nothing(void **state)
{
	size_t i;

	(void)state;
	add_key("a", "", "sk_live_a_s", "o:::::a:b:c");
	assert_int_equal(buffer_add_cstr(&file, "#"), 0);
	for (i = 0; i < 4 * KEYFILE_LINE_MAX; i++)
		assert_int_equal(buffer_add_char(&file, 'x'), 0);
	assert_int_equal(buffer_add_cstr(&file, "\n"), 0);
	for (i = 0; i < 4 * KEYFILE_LINE_MAX; i++)
		assert_int_equal(buffer_add_char(&file, 'y'), 0);
	assert_int_equal(buffer_add_cstr(&file, "\n"), 0);
	add_key("b", "", "sk_live_b_s", "o:::::a:b:c");
	load();
	assert_int_equal(apikey_count(), 2);
	(void)taken("sk_live_a_s");
	(void)taken("sk_live_b_s");
	assert_null(strstr(said, "line 2:"));
	assert_non_null(strstr(said, "line 3: too long"));
}

/* What keyfile_format() writes of an entry within its bounds is in force. */
static void
the_longest_line_that_is_written_is_taken(void **state)
{
	static struct key_entry e;
	uint32_t i;

	(void)state;
	memset(&e, 0, sizeof(e));
	strlcpy(e.id, "long", sizeof(e.id));
	key_hash(pepper, slice_of("sk_live_long_s"), e.hash);
	memset(e.owner, 'o', OWNER_MAX);
	e.nattributes = ATTRIBUTES_MAX;
	for (i = 0; i < ATTRIBUTES_MAX; i++) {
		(void)snprintf(e.attribute[i].name,
		    sizeof(e.attribute[i].name), "n%u", i);
		memset(e.attribute[i].value, 'v', ATTRIBUTE_MAX);
	}
	e.nscopes = SCOPES_MAX;
	for (i = 0; i < SCOPES_MAX; i++) {
		memset(e.scope[i], 'x', SCOPE_MAX);
		memcpy(e.scope[i], "a:b:", 4);
	}
	assert_int_equal(keyfile_format(&file, &e), 0);
	load();
	if (apikey_count() != 1)
		fail_msg("wanted the key in force, got: %s", said);
	assert_int_equal(taken("sk_live_long_s")->nscopes, SCOPES_MAX);
}

static void
a_file_holds_so_many_keys_and_no_more(void **state)
{
	static const char hash[] = "00000000000000000000000000000000"
	    "00000000000000000000000000000000";
	uint32_t i;

	(void)state;
	add_key("first", "", "sk_live_first_s", "o:::::a:b:c");
	for (i = 0; i < KEYS_MAX - 2; i++)
		assert_int_equal(buffer_printf(&file,
		    "k%u:%s:o:::::a:b:c\n", i, hash), 0);
	add_key("last", "", "sk_live_last_s", "o:::::a:b:c");
	add_key("more", "", "sk_live_more_s", "o:::::a:b:c");
	load();
	assert_int_equal(apikey_count(), KEYS_MAX);
	(void)taken("sk_live_first_s");
	(void)taken("sk_live_last_s");
	refused("sk_live_more_s", NOW, REASON_UNKNOWN_KEY, "");
	assert_non_null(strstr(said, "more than 65536 keys"));
	load();
	assert_int_equal(apikey_count(), 0);
}

/* Under the sanitizers: whatever was cut off, what is left is lines. */
static void
a_file_cut_anywhere_does_no_harm(void **state)
{
	static struct buffer whole;
	size_t n, before = 0;

	(void)state;
	add_key("a", "", "sk_live_a_s", "alice:::::a:b:c,a:*:*");
	add_key("b", "!", "sk_live_b_s", "o:l:5:2030-01-01:x=1,y=2:a:b:c");
	add_key("c", "", "sk_live_c_s", "o:::::a:b:c");
	whole = file;
	buffer_init(&file, 16 << 20);
	for (n = 0; n <= whole.len; n++) {
		assert_int_equal(buffer_add(&file, whole.data, n), 0);
		load();
		before += n > 0 && whole.data[n - 1] == '\n';
		/* Of a line that is not whole nothing counts. */
		assert_int_equal(apikey_count(), before);
	}
	assert_int_equal(before, 3);
	buffer_free(&whole);
}

static int
setup(void **state)
{
	char template[] = "/tmp/test_apikey.XXXXXX";
	int fd = mkstemp(template);

	(void)state;
	log_init("test", 1, 0);
	crypt_init();
	buffer_init(&file, 16 << 20);
	(void)strlcpy(log_path, template, sizeof(log_path));
	return fd == -1 ? -1 : close(fd);
}

static int
teardown(void **state)
{
	(void)state;
	load();
	buffer_free(&file);
	return unlink(log_path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_key_is_who_its_line_says),
		cmocka_unit_test(what_is_not_the_whole_key_is_refused),
		cmocka_unit_test(a_hash_is_no_credential),
		cmocka_unit_test(a_key_lasts_until_its_date),
		cmocka_unit_test(a_revoked_key_is_refused),
		cmocka_unit_test(another_pepper_fits_no_hash),
		cmocka_unit_test(a_key_without_an_id_is_found_by_its_hash),
		cmocka_unit_test(
		    neither_id_nor_hash_of_such_a_key_opens_anything),
		cmocka_unit_test(such_a_key_may_have_dots),
		cmocka_unit_test(a_hash_that_stands_twice_is_nobody),
		cmocka_unit_test(such_a_key_is_revoked_like_any),
		cmocka_unit_test(a_key_keeps_its_last_use_through_a_swap),
		cmocka_unit_test(
		    a_bad_line_grants_nothing_and_is_named_by_its_number),
		cmocka_unit_test(
		    a_file_that_was_cut_short_grants_nothing_by_its_last_line),
		cmocka_unit_test(an_id_that_stands_twice_grants_nothing),
		cmocka_unit_test(another_file_takes_the_place_of_the_first),
		cmocka_unit_test(keys_of_one_owner_share_what_he_has_used),
		cmocka_unit_test(a_line_that_is_too_long_grants_nothing),
		cmocka_unit_test(the_longest_line_that_is_written_is_taken),
		cmocka_unit_test(a_file_holds_so_many_keys_and_no_more),
		cmocka_unit_test(a_file_cut_anywhere_does_no_harm),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
