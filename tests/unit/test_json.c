/* SPDX-License-Identifier: ISC */

/* common/json.c: what is refused, what is read, and SQLite's json_valid() as the oracle. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <sqlite3.h>

#include "../../common/compat.h"
#include "../../common/json.h"

struct text {
	const char	*json;
	size_t		 len;		/* 0: strlen */
	const char	*error;		/* NULL: is read */
};

#define N(s)	s, sizeof(s) - 1

static const struct text refused[] = {
	{ "", 0, "ends before a value" },
	{ " ", 0, "ends before a value" },
	{ "{", 0, "a name must be a string" },
	{ "[", 0, "ends before a value" },
	{ "[1", 0, "ends inside a value" },
	{ "[1,]", 0, "not a value" },
	{ "[1 2]", 0, "neither a comma nor the end" },
	{ "{\"a\":1,}", 0, "a name must be a string" },
	{ "{\"a\"}", 0, "no colon after a name" },
	{ "{a:1}", 0, "a name must be a string" },
	{ "{'a':1}", 0, "a name must be a string" },
	{ "{\"a\":1]", 0, "neither a comma nor the end" },
	{ "[1}", 0, "neither a comma nor the end" },
	{ "1 2", 0, "something after the value" },
	{ "{}{}", 0, "something after the value" },
	{ "01", 0, "bad number" },
	{ "-", 0, "bad number" },
	{ "+1", 0, "not a value" },
	{ ".5", 0, "not a value" },
	{ "1.", 0, "bad number" },
	{ "1e", 0, "bad number" },
	{ "1e+", 0, "bad number" },
	{ "0x10", 0, "something after the value" },
	{ "NaN", 0, "not a value" },
	{ "Infinity", 0, "not a value" },
	{ "nul", 0, "not a value" },
	{ "True", 0, "not a value" },
	{ "\"a", 0, "string without an end" },
	{ "\"\n\"", 0, "control character in a string" },
	{ N("\"a\0b\""), "control character in a string" },
	{ N("{}\0"), "something after the value" },
	{ "\"\\u0000\"", 0, "bad escape" },
	{ "\"\\x41\"", 0, "bad escape" },
	{ "\"\\u12g4\"", 0, "bad escape" },
	{ "\"\\ud800\"", 0, "bad escape" },
	{ "\"\\udc00\"", 0, "bad escape" },
	{ "\"\\ud800\\u0041\"", 0, "bad escape" },
	{ "\"\xff\"", 0, "invalid UTF-8" },
	{ "\"\xc0\x80\"", 0, "invalid UTF-8" },
	{ "\"\xed\xa0\x80\"", 0, "invalid UTF-8" },
	{ "\"\xf4\x90\x80\x80\"", 0, "invalid UTF-8" },
	{ "\"\xe2\x82\"", 0, "invalid UTF-8" },
	{ "\xef\xbb\xbf{}", 0, "not a value" },
	{ "{\"a\":1,\"a\":2}", 0, "duplicate name" },
	{ "{\"a\":1,\"\\u0061\":2}", 0, "duplicate name" },
	{ "{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", 0, "duplicate name" },
	{ "{\"x\":{\"b\":[],\"b\":{}}}", 0, "duplicate name" },
	{ "// c\n{}", 0, "not a value" },
	{ "{}/* c */", 0, "something after the value" },
};

static const struct text taken[] = {
	{ "{}", 0, NULL }, { "[]", 0, NULL }, { " [ ] ", 0, NULL },
	{ "0", 0, NULL }, { "-0", 0, NULL }, { "1e5", 0, NULL },
	{ "-1.25E-3", 0, NULL }, { "\"\"", 0, NULL },
	{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"", 0, NULL },
	{ "{\"a\":1,\"A\":2,\"\":3}", 0, NULL },
	{ "[null,true,false,[[]],{\"a\":{}}]", 0, NULL },
	{ "\"Gr\xc3\xbc\xc3\x9f\x65\"", 0, NULL },
};

static int
parses(const char *text, size_t len, const char **error)
{
	struct json j;
	int rc;

	json_init(&j);
	rc = json_parse(&j, text, len);
	if (error != NULL)
		*error = j.error;
	json_free(&j);
	return rc;
}

static void
what_is_not_strict_json_is_refused(void **state)
{
	const char *error;
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		len = refused[i].len ? refused[i].len : strlen(refused[i].json);
		assert_int_equal(parses(refused[i].json, len, &error), -1);
		assert_string_equal(error, refused[i].error);
	}
}

static void
strict_json_is_read(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		assert_int_equal(parses(taken[i].json, strlen(taken[i].json),
		    NULL), 0);
}

static int
oracle_takes(sqlite3_stmt *ask, const char *text, size_t len)
{
	int valid;

	assert_int_equal(sqlite3_bind_text(ask, 1, text, (int)len,
	    SQLITE_STATIC), SQLITE_OK);
	assert_int_equal(sqlite3_step(ask), SQLITE_ROW);
	valid = sqlite3_column_int(ask, 0);
	(void)sqlite3_reset(ask);
	return valid;
}

/* Whatever byte of a good text is changed: what we take, another reader of
 * the same grammar takes too; and no text that is cut short is taken. */
static void
what_is_taken_another_reader_takes_too(void **state)
{
	char text[128];
	size_t i, at, len, agreed = 0;
	unsigned int byte;
	sqlite3_stmt *ask;
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT json_valid(?1)", -1,
	    &ask, NULL), SQLITE_OK);
	for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		len = strlen(taken[i].json);
		for (at = 0; at < len; at++)
			for (byte = 0; byte < 256; byte++) {
				memcpy(text, taken[i].json, len);
				text[at] = (char)byte;
				if (parses(text, len, NULL) == -1)
					continue;
				assert_true(oracle_takes(ask, text, len));
				agreed++;
			}
		for (at = 0; at < len; at++)
			if (strchr("{[\"", taken[i].json[0]) != NULL)
				assert_int_equal(parses(taken[i].json, at,
				    NULL), -1);
	}
	assert_true(agreed > 1000);
	(void)sqlite3_finalize(ask);
	(void)sqlite3_close(db);
}

static void
depth_has_a_bound(void **state)
{
	char text[JSON_DEPTH_MAX * 2 + 2];
	const char *error;

	(void)state;
	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	assert_int_equal(parses(text, JSON_DEPTH_MAX * 2, NULL), 0);
	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	assert_int_equal(parses(text, JSON_DEPTH_MAX * 2 + 2, &error), -1);
	assert_string_equal(error, "nested too deeply");
}

static void
values_have_a_bound(void **state)
{
	struct buffer b;
	const char *error;
	size_t i;

	(void)state;
	buffer_init(&b, 1 << 20);
	buffer_add_cstr(&b, "[0");
	for (i = 0; i < JSON_NODES_MAX; i++)
		buffer_add_cstr(&b, ",0");
	buffer_add_cstr(&b, "]");
	assert_int_equal(parses((char *)b.data, b.len, &error), -1);
	assert_string_equal(error, "too many values");
	buffer_free(&b);
}

static void
a_duplicate_among_many_names_is_found(void **state)
{
	struct buffer b;
	const char *error;
	size_t i;

	(void)state;
	buffer_init(&b, 1 << 20);
	buffer_add_cstr(&b, "{\"k0\":0");
	for (i = 1; i < 1000; i++)
		buffer_printf(&b, ",\"k%zu\":{\"x\":[%zu]}", i, i);
	buffer_add_cstr(&b, "}");
	assert_int_equal(parses((char *)b.data, b.len, NULL), 0);
	b.len--;
	buffer_add_cstr(&b, ",\"k\\u0035\\u0030\":1}");
	assert_int_equal(parses((char *)b.data, b.len, &error), -1);
	assert_string_equal(error, "duplicate name");
	buffer_free(&b);
}

static void
members_and_values_are_found(void **state)
{
	static const char text[] = "{\"a\":{\"name\":\"x\\u0079z\",\"n\":-42},"
	    "\"list\":[1,[2,3],4],\"big\":9223372036854775808,\"r\":1.5}";
	struct json j;
	struct slice sl;
	int64_t n;
	double d;
	char out[8];

	(void)state;
	json_init(&j);
	assert_int_equal(json_parse(&j, text, sizeof(text) - 1), 0);
	assert_int_equal(json_member(&j, 0, "A"), JSON_NONE);
	assert_int_equal(json_member(&j, JSON_NONE, "a"), JSON_NONE);
	assert_true(json_string_is(&j,
	    json_member(&j, json_member(&j, 0, "a"), "name"), "xyz"));
	assert_false(json_string_is(&j,
	    json_member(&j, json_member(&j, 0, "a"), "name"), "xyzz"));
	assert_false(json_string_is(&j,
	    json_member(&j, json_member(&j, 0, "a"), "name"), "xy"));
	assert_int_equal(json_copy(&j, json_member(&j, json_member(&j, 0, "a"),
	    "name"), out, sizeof(out)), 0);
	assert_string_equal(out, "xyz");
	assert_int_equal(json_copy(&j, json_member(&j, json_member(&j, 0, "a"),
	    "name"), out, 3), -1);
	assert_int_equal(json_integer(&j, json_member(&j,
	    json_member(&j, 0, "a"), "n"), &n), 0);
	assert_int_equal(n, -42);
	assert_int_equal(json_integer(&j, json_member(&j, 0, "big"), &n), -1);
	assert_int_equal(json_real(&j, json_member(&j, 0, "r"), &d), 0);
	assert_true(d > 1.49 && d < 1.51);
	sl = json_raw(&j, json_member(&j, 0, "list"));
	assert_true(slice_is(sl, "[1,[2,3],4]"));
	assert_int_equal(j.nodes[json_member(&j, 0, "list")].count, 3);
	json_free(&j);
}

static void
what_is_written_reads_back(void **state)
{
	static const char raw[] = "a\"\\\n\t\x01\x7f\xc3\xa9\xff<";
	struct buffer b, back;
	struct json j;

	(void)state;
	buffer_init(&b, 1000);
	buffer_init(&back, 1000);
	json_write_string(&b, raw, sizeof(raw) - 1);
	json_init(&j);
	assert_int_equal(json_parse(&j, (char *)b.data, b.len), 0);
	assert_int_equal(json_string(&j, 0, &back), 0);
	buffer_add_char(&back, '\0');
	assert_string_equal((char *)back.data,
	    "a\"\\\n\t\x01\x7f\xc3\xa9\xef\xbf\xbd<");
	json_free(&j);
	buffer_free(&b);
	buffer_free(&back);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_strict_json_is_refused),
		cmocka_unit_test(strict_json_is_read),
		cmocka_unit_test(what_is_taken_another_reader_takes_too),
		cmocka_unit_test(depth_has_a_bound),
		cmocka_unit_test(values_have_a_bound),
		cmocka_unit_test(a_duplicate_among_many_names_is_found),
		cmocka_unit_test(members_and_values_are_found),
		cmocka_unit_test(what_is_written_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
