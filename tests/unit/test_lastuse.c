/* SPDX-License-Identifier: ISC */

/*
 * common/lastuse.c: what is written reads back, what is not exactly right is
 * passed over, and two lists become one with the later use of each.
 */

#include <sys/stat.h>

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/compat.h"
#include "../../common/lastuse.h"

#define NOW	INT64_C(1800000000)	/* 2027-01-15T08:00:00Z */
#define DATE	"2027-01-15T08:00:00Z"
#define NROWS(a) (sizeof(a) / sizeof((a)[0]))

static struct lastuse_list
list_of(const char *text)
{
	struct lastuse_list l;
	char *copy = malloc(strlen(text) + 1);

	assert_non_null(copy);
	memcpy(copy, text, strlen(text));
	assert_int_equal(lastuse_parse((struct slice){ copy, strlen(text) },
	    &l), 0);
	free(copy);
	return l;
}

static void
becomes(struct lastuse_list *l, const char *wanted)
{
	struct buffer b;

	buffer_init(&b, 65536);
	assert_int_equal(lastuse_format(&b, l, NOW), 0);
	assert_int_equal(buffer_add_char(&b, '\0'), 0);
	assert_string_equal((const char *)b.data, wanted);
	buffer_free(&b);
}

static void
what_is_written_reads_back(void **state)
{
	struct lastuse_list l = list_of("a " DATE "\nab 2027-01-14T00:00:00Z\n"
	    "b1 2026-12-31T23:59:59Z\n");

	(void)state;
	assert_int_equal(l.n, 3);
	assert_int_equal(lastuse_of(&l, "a"), NOW);
	assert_int_equal(lastuse_of(&l, "ab"), NOW - 32 * 3600);
	assert_int_equal(lastuse_of(&l, "b1"), 1798761599);
	assert_int_equal(lastuse_of(&l, "b"), 0);
	assert_int_equal(lastuse_of(&l, ""), 0);
	assert_int_equal(lastuse_of(&l, "zz"), 0);
	becomes(&l, "a " DATE "\nab 2027-01-14T00:00:00Z\n"
	    "b1 2026-12-31T23:59:59Z\n");
	lastuse_free(&l);
	assert_int_equal(lastuse_of(&l, "a"), 0);
}

static void
a_line_that_is_not_right_is_passed_over(void **state)
{
	static const char *const bad[] = {
		"", " ", "a", "a ", DATE, " " DATE, "a" DATE, "a  " DATE,
		"A " DATE, "a.b " DATE, "a 2027-01-15", "a 2027-13-15T08:00:00Z",
		"a 2027-01-15T08:00:00Zx", "a " DATE " b", "a\t" DATE,
		"a 1900-01-15T08:00:00Z", "../a " DATE, "a:" DATE,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
		DATE,
	};
	struct lastuse_list l;
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(bad); i++) {
		(void)snprintf(text, sizeof(text), "%s\nb " DATE "\n", bad[i]);
		l = list_of(text);
		if (l.n != 1 || strcmp(l.key[0].id, "b") != 0)
			fail_msg("\"%s\": wanted it passed over, got %zu "
			    "lines", bad[i], l.n);
		lastuse_free(&l);
	}
	/* Nor one that is out of order, or there twice. */
	l = list_of("b " DATE "\na " DATE "\nb 2027-01-14T00:00:00Z\nc " DATE);
	becomes(&l, "b " DATE "\nc " DATE "\n");
	lastuse_free(&l);
}

static void
of_two_uses_the_later_counts(void **state)
{
	struct lastuse_list a = list_of("a " DATE "\nc 2027-01-01T00:00:00Z\n"
	    "d " DATE "\n");
	struct lastuse_list b = list_of("b " DATE "\nc " DATE "\n"
	    "d 2027-01-01T00:00:00Z\ne " DATE "\n");
	struct lastuse_list none = { NULL, 0 };

	(void)state;
	assert_int_equal(lastuse_merge(&a, &b), 0);
	becomes(&a, "a " DATE "\nb " DATE "\nc " DATE "\nd " DATE "\ne " DATE
	    "\n");
	assert_int_equal(lastuse_merge(&a, &none), 0);
	assert_int_equal(a.n, 5);
	assert_int_equal(lastuse_merge(&none, &a), 0);
	assert_int_equal(none.n, 5);
	lastuse_free(&a);
	lastuse_free(&b);
	lastuse_free(&none);
}

static void
a_list_is_bounded_and_forgets(void **state)
{
	struct lastuse_list a = { NULL, 0 }, b = { NULL, 0 };
	size_t i;

	(void)state;
	a.key = reallocarray(NULL, KEYS_MAX - 1, sizeof(*a.key));
	b.key = reallocarray(NULL, 3, sizeof(*b.key));
	assert_true(a.key != NULL && b.key != NULL);
	for (i = 0; i < KEYS_MAX - 1; i++) {
		(void)snprintf(a.key[i].id, sizeof(a.key[i].id), "k%06zu", i);
		a.key[i].when = NOW;
	}
	a.n = KEYS_MAX - 1;
	strlcpy(b.key[0].id, "a", sizeof(b.key[0].id));
	strlcpy(b.key[1].id, "k000007", sizeof(b.key[1].id));
	strlcpy(b.key[2].id, "z", sizeof(b.key[2].id));
	for (i = 0; i < 3; i++)
		b.key[i].when = NOW + 1;
	b.n = 3;
	assert_int_equal(lastuse_merge(&a, &b), 0);
	assert_int_equal(a.n, KEYS_MAX);
	assert_int_equal(lastuse_of(&a, "a"), NOW + 1);
	assert_int_equal(lastuse_of(&a, "k000007"), NOW + 1);
	assert_int_equal(lastuse_of(&a, "z"), 0);
	lastuse_free(&a);
	lastuse_free(&b);
	a = list_of("new 2026-01-01T00:00:00Z\nold 2025-01-01T00:00:00Z\n");
	becomes(&a, "new 2026-01-01T00:00:00Z\n");
	lastuse_free(&a);
}

static void
a_file_that_is_none_is_an_empty_list(void **state)
{
	char path[] = "/tmp/test_lastuse.XXXXXX", used[PATH_MAX];
	struct lastuse_list l;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd != -1);
	close(fd);
	(void)snprintf(used, sizeof(used), "%s.used", path);
	assert_int_equal(lastuse_read(path, &l), 0);
	assert_int_equal(l.n, 0);
	assert_int_equal(symlink("/etc/passwd", used), 0);
	assert_int_equal(lastuse_read(path, &l), 0);
	assert_int_equal(l.n, 0);
	assert_int_equal(unlink(used), 0);
	assert_int_equal(mkfifo(used, 0600), 0);
	assert_int_equal(lastuse_read(path, &l), 0);
	assert_int_equal(l.n, 0);
	assert_int_equal(unlink(used), 0);
	fd = open(used, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "a " DATE "\n", 23), 23);
	close(fd);
	assert_int_equal(lastuse_read(path, &l), 0);
	assert_int_equal(lastuse_of(&l, "a"), NOW);
	lastuse_free(&l);
	assert_int_equal(unlink(used), 0);
	assert_int_equal(unlink(path), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(a_line_that_is_not_right_is_passed_over),
		cmocka_unit_test(of_two_uses_the_later_counts),
		cmocka_unit_test(a_list_is_bounded_and_forgets),
		cmocka_unit_test(a_file_that_is_none_is_an_empty_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
