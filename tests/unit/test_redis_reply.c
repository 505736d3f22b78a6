/* SPDX-License-Identifier: ISC */
/* link: daemon/handler/redis_reply.c */

/*
 * daemon/handler/redis_reply.c: what Redis may answer, in any portions, and
 * that everything else ends the reading for good.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/compat.h"
#include "../../daemon/handler/redis_reply.h"

#define MAX	1000	/* bytes of a reply, here */

/* One reply as text, "[1,'x',nil]"; "bad", or "more". */
static const char *
show(struct replies *rs)
{
	static char text[512];
	static const char *const types[] = { "+%s", "-%s", "", "'%s'", "nil" };
	const struct reply *r;
	char part[200], bytes[150];
	struct slice sl;
	uint32_t i;
	int bad;

	if ((r = replies_next(rs, &bad)) == NULL)
		return bad ? "bad" : "more";
	(void)strlcpy(text, r->is_array ? "[" : "", sizeof(text));
	for (i = 0; i < r->n; i++) {
		sl = reply_text(r, i);
		(void)snprintf(bytes, sizeof(bytes), "%.*s", (int)sl.len,
		    sl.ptr);
		if (r->item[i].type == REPLY_INTEGER)
			(void)snprintf(part, sizeof(part), "%lld",
			    (long long)r->item[i].integer);
		else
			(void)snprintf(part, sizeof(part),
			    types[r->item[i].type], bytes);
		if (i > 0)
			(void)strlcat(text, ",", sizeof(text));
		(void)strlcat(text, part, sizeof(text));
	}
	if (r->is_array)
		(void)strlcat(text, "]", sizeof(text));
	return text;
}

static const struct row {
	const char	*bytes;
	const char	*wanted;
} rows[] = {
	{ "+OK\r\n", "+OK" },
	{ "-ERR no\r\n", "-ERR no" },
	{ ":42\r\n", "42" },
	{ ":-7\r\n", "-7" },
	{ "$3\r\nabc\r\n", "'abc'" },
	{ "$0\r\n\r\n", "''" },
	{ "$-1\r\n", "nil" },
	{ "*-1\r\n", "nil" },
	{ "*2\r\n:0\r\n:0\r\n", "[0,0]" },
	{ "*2\r\n$2\r\nab\r\n$-1\r\n", "['ab',nil]" },
	{ "*4\r\n+a\r\n-b\r\n:1\r\n$1\r\nc\r\n", "[+a,-b,1,'c']" },
	/* what is too much, too deep, or another protocol */
	{ "*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n", "bad" },
	{ "*0\r\n", "bad" },
	{ "*1000000000\r\n", "bad" },
	{ "*2147483648\r\n", "bad" },
	{ "*99999999999999999999\r\n", "bad" },
	{ "*-2\r\n", "bad" },
	{ "*1\r\n*1\r\n:1\r\n", "bad" },
	{ "*2\r\n:1\r\n*1\r\n:1\r\n", "bad" },
	{ "$-2\r\n", "bad" },
	{ "$99999999999999999999\r\n", "bad" },
	{ "#t\r\n", "bad" },
	{ ",1.5\r\n", "bad" },
	{ "_\r\n", "bad" },
	{ "%1\r\n+a\r\n+b\r\n", "bad" },
	{ ">1\r\n+a\r\n", "bad" },
	{ "HTTP/1.1 400 Bad Request\r\n\r\n", "bad" },
	{ "\r\n", "bad" },
	{ "hello", "bad" },
};

static int
is_bad(const struct row *row)
{
	return strcmp(row->wanted, "bad") == 0;
}

static void
each_reply_is_read_whole_and_byte_by_byte(void **state)
{
	const struct row *row;
	struct replies *rs;
	const char *got;
	size_t i, at, len;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		row = &rows[i];
		len = strlen(row->bytes);
		rs = replies_new(MAX);
		assert_int_equal(replies_feed(rs, row->bytes, len), 0);
		got = show(rs);
		if (strcmp(got, row->wanted) != 0)
			fail_msg("%s: wanted %s, got %s", row->bytes,
			    row->wanted, got);
		if (!is_bad(row))
			assert_string_equal(show(rs), "more");
		replies_free(rs);

		rs = replies_new(MAX);
		got = "more";
		for (at = 0; at < len && strcmp(got, "more") == 0; at++) {
			assert_int_equal(replies_feed(rs, row->bytes + at, 1),
			    0);
			got = show(rs);
		}
		if (strcmp(got, row->wanted) != 0)
			fail_msg("%s, bytewise: wanted %s, got %s", row->bytes,
			    row->wanted, got);
		replies_free(rs);
	}
}

static void
replies_in_one_portion_come_one_after_the_other(void **state)
{
	struct replies *rs = replies_new(MAX);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!is_bad(&rows[i]))
			assert_int_equal(replies_feed(rs, rows[i].bytes,
			    strlen(rows[i].bytes)), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!is_bad(&rows[i]))
			assert_string_equal(show(rs), rows[i].wanted);
	assert_string_equal(show(rs), "more");
	replies_free(rs);
}

static void
after_something_bad_nothing_is_good(void **state)
{
	struct replies *rs;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!is_bad(&rows[i]))
			continue;
		rs = replies_new(MAX);
		assert_int_equal(replies_feed(rs, "+a\r\n", 4), 0);
		assert_string_equal(show(rs), "+a");
		assert_int_equal(replies_feed(rs, rows[i].bytes,
		    strlen(rows[i].bytes)), 0);
		assert_string_equal(show(rs), "bad");
		assert_int_equal(replies_feed(rs, "+b\r\n", 4), -1);
		assert_string_equal(show(rs), "bad");
		replies_free(rs);
	}
}

static void
a_reply_has_its_bound_whatever_it_is(void **state)
{
	static const char *const heads[] = { "$900\r\n", "+", "-", ":", "$",
	    "*2\r\n$900\r\n", "*3\r\n$400\r\n" };
	static char junk[MAX];
	struct replies *rs;
	size_t i, fed;
	const char *got;

	(void)state;
	memset(junk, '1', sizeof(junk));
	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		rs = replies_new(MAX / 2);
		assert_int_equal(replies_feed(rs, heads[i], strlen(heads[i])),
		    0);
		got = show(rs);
		for (fed = 0; strcmp(got, "more") == 0 && fed < 4 * MAX;
		    fed += 100) {
			if (replies_feed(rs, junk, 100) == -1)
				got = "bad";
			else
				got = show(rs);
		}
		if (strcmp(got, "bad") != 0 || fed > MAX)
			fail_msg("%s: wanted an end, got %s after %zu bytes",
			    heads[i], got, fed);
		replies_free(rs);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reply_is_read_whole_and_byte_by_byte),
		cmocka_unit_test(
		    replies_in_one_portion_come_one_after_the_other),
		cmocka_unit_test(after_something_bad_nothing_is_good),
		cmocka_unit_test(a_reply_has_its_bound_whatever_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
