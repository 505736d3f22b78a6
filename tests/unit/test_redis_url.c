/* SPDX-License-Identifier: ISC */
/* link: daemon/handler/redis_url.c */

/*
 * daemon/handler/redis_url.c: each form, and what is none; a password with a
 * character that was not written %XX never becomes a host.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/compat.h"
#include "../../daemon/handler/redis_url.h"

static void
each_form_is_read(void **state)
{
	static const struct {
		const char	*url;
		enum redis_way	 way;
		const char	*host;		/* or the path */
		uint16_t	 port;
		int		 literal;
		const char	*user, *password;
		uint32_t	 db;
	} rows[] = {
		{ "redis://h", REDIS_TCP, "h", 6379, 0, "", "", 0 },
		{ "redis://h/", REDIS_TCP, "h", 6379, 0, "", "", 0 },
		{ "redis://127.0.0.1:1", REDIS_TCP, "127.0.0.1", 1, 1, "", "", 0 },
		{ "redis://[::1]:65535/7", REDIS_TCP, "::1", 65535, 1, "", "", 7 },
		{ "redis://[fe80::1]", REDIS_TCP, "fe80::1", 6379, 1, "", "", 0 },
		{ "redis://:p@h:6380/65535", REDIS_TCP, "h", 6380, 0, "", "p", 65535 },
		{ "redis://u:p@redis-1.example_x.com", REDIS_TCP,
		    "redis-1.example_x.com", 6379, 0, "u", "p", 0 },
		{ "rediss://u%3A:p%40%2f%25%00x@10.0.0.1/0", REDIS_TLS,
		    "10.0.0.1", 6379, 1, "u:", "p@/%", 0 },
		{ "redis://u:p:q@h", REDIS_TCP, "h", 6379, 0, "u", "p:q", 0 },
		{ "unix:///run/redis.sock", REDIS_UNIX, "/run/redis.sock", 0, 0, "",
		    "", 0 },
		{ "unix://:p@/run/redis.sock?db=3", REDIS_UNIX, "/run/redis.sock",
		    0, 0, "", "p", 3 },
		{ "unix://u:p@/r", REDIS_UNIX, "/r", 0, 0, "u", "p", 0 },
		{ "unix:///a@b", REDIS_UNIX, "/a@b", 0, 0, "", "", 0 },
	};
	struct redis_url u;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (redis_url_parse(slice_of(rows[i].url), &u, &why) != 0)
			fail_msg("%s: %s", rows[i].url, why);
		assert_int_equal(u.way, rows[i].way);
		assert_string_equal(u.way == REDIS_UNIX ? u.path : u.host,
		    rows[i].host);
		assert_int_equal(u.port, rows[i].port);
		assert_int_equal(u.literal, rows[i].literal);
		assert_int_equal(u.db, rows[i].db);
		assert_int_equal(u.user_len, strlen(rows[i].user));
		assert_memory_equal(u.user, rows[i].user, u.user_len);
		/* The row with %00 shows what stands before it. */
		assert_true(u.password_len >= strlen(rows[i].password));
		assert_memory_equal(u.password, rows[i].password,
		    strlen(rows[i].password));
		assert_null(why);
	}
}

static void
any_byte_may_be_written_as_two_digits(void **state)
{
	char text[64];
	struct redis_url u;
	const char *why;
	unsigned int byte;

	(void)state;
	for (byte = 0; byte < 256; byte++) {
		(void)snprintf(text, sizeof(text), "redis://%%%02x:x%%%02X@h",
		    byte, byte);
		assert_int_equal(redis_url_parse(slice_of(text), &u, &why), 0);
		assert_int_equal(u.user_len, 1);
		assert_int_equal((unsigned char)u.user[0], byte);
		assert_int_equal(u.password_len, 2);
		assert_int_equal((unsigned char)u.password[1], byte);
	}
}

static void
what_is_no_form_is_refused_and_nothing_of_it_is_said(void **state)
{
	static const char *const rows[] = {
		"", "redis", "redis:", "redis:/h", "redis://", "redis:///1",
		"http://h", "REDIS://h", " redis://h", "redis://h ", "redis://h\n",
		"redis://h:", "redis://h:0", "redis://h:65536", "redis://h:-1",
		"redis://h:+1", "redis://h:1x", "redis://h:1:2", "redis://h:000001",
		"redis://h/x", "redis://h/-1", "redis://h/65536", "redis://h/1/2",
		"redis://h?db=1", "redis://h/1?x=2", "redis://h#x",
		"redis://user@h", "redis://:@h", "redis://u:@h", "redis://@h",
		"redis://u:p%@h", "redis://u:p%4@h", "redis://u:p%4g@h",
		"redis://u:sesame@h@i", "redis://u:ses/ame@h", "redis://u:p@",
		"redis://-h", "redis://.h", "redis://h h", "redis://h\\i",
		"redis://[::1", "redis://[h]", "redis://[127.0.0.1]",
		"redis://[]", "redis://[::1]x", "redis://::1",
		"unix://", "unix://run/redis.sock", "unix:run", "unix:///",
		"unix:///x?db=", "unix:///x?d=1", "unix:///x?db=x",
		"unix:///x?db=1&y=2", "unix://u@/x", "unix:///%zz?",
	};
	struct redis_url u, zero;
	const char *why;
	size_t i;

	(void)state;
	memset(&zero, 0, sizeof(zero));
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (redis_url_parse(slice_of(rows[i]), &u, &why) == 0)
			fail_msg("taken: %s", rows[i]);
		assert_non_null(why);
		assert_null(strstr(why, "sesame"));
		assert_memory_equal(&u, &zero, sizeof(u));
	}
}

/* A text of len bytes x between two others. */
static int
parse_long(const char *before, size_t len, const char *after)
{
	static char text[4096];
	struct redis_url u;
	struct slice sl = { text, 0 };
	const char *why;
	size_t n = strlen(before);

	memcpy(text, before, n);
	memset(text + n, 'x', len);
	memcpy(text + n + len, after, strlen(after));
	sl.len = n + len + strlen(after);
	return redis_url_parse(sl, &u, &why);
}

static void
every_length_has_its_bound(void **state)
{
	(void)state;
	assert_int_equal(parse_long("redis://", 253, ""), 0);
	assert_int_equal(parse_long("redis://", 254, ""), -1);
	assert_int_equal(parse_long("redis://:", 256, "@h"), 0);
	assert_int_equal(parse_long("redis://:", 257, "@h"), -1);
	assert_int_equal(parse_long("redis://", 256, ":p@h"), 0);
	assert_int_equal(parse_long("redis://", 257, ":p@h"), -1);
	assert_int_equal(parse_long("unix:///", 106, ""), 0);
	assert_int_equal(parse_long("unix:///", 107, ""), -1);
	assert_int_equal(parse_long("redis://:", 2100, "@h"), -1);
}

static void
a_byte_that_ends_a_text_is_refused_wherever_it_stands(void **state)
{
	char text[] = "redis://user:pass@host:6379/1";
	struct redis_url u;
	struct slice sl = { text, sizeof(text) - 1 };
	const char *why;
	size_t i;
	char was;

	(void)state;
	assert_int_equal(redis_url_parse(sl, &u, &why), 0);
	for (i = 0; i < sl.len; i++) {
		was = text[i];
		text[i] = '\0';
		assert_int_equal(redis_url_parse(sl, &u, &why), -1);
		text[i] = was;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_is_read),
		cmocka_unit_test(any_byte_may_be_written_as_two_digits),
		cmocka_unit_test(
		    what_is_no_form_is_refused_and_nothing_of_it_is_said),
		cmocka_unit_test(every_length_has_its_bound),
		cmocka_unit_test(
		    a_byte_that_ends_a_text_is_refused_wherever_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
