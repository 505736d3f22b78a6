/* SPDX-License-Identifier: ISC */
/* link: authd/penalty.c */

/*
 * authd/penalty.c, with the time given: how long the answers to failing
 * credentials are held back, by source.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../authd/authd.h"
#include "../../common/compat.h"

#define NROWS(a) (sizeof(a) / sizeof((a)[0]))
#define MINUTE	((uint64_t)PENALTY_WINDOW_MS)

/* Failures of one source at a time; returns the last delay. */
static uint32_t
fail_often(const char *peer, int n, uint64_t now)
{
	uint32_t delay = 0;

	while (n-- > 0)
		delay = penalty_add(slice_of(peer), now);
	return delay;
}

static void
a_penalty_begins_after_twenty_failures_and_grows(void **state)
{
	uint32_t delay, last = 0;
	int i, grew = 0;

	(void)state;
	assert_int_equal(PENALTY_AFTER, 20);
	for (i = 0; i < PENALTY_AFTER; i++)
		if ((delay = penalty_add(slice_of("192.0.2.1"),
		    1000 + (uint64_t)i)) != 0)
			fail_msg("failure %d: wanted no delay, got %u", i + 1,
			    delay);
	for (i = 0; i < 10000; i++) {
		delay = penalty_add(slice_of("192.0.2.1"), 2000);
		if (delay == 0 || delay > PENALTY_MAX_MS ||
		    (delay <= last && delay != PENALTY_MAX_MS))
			fail_msg("failure %d: wanted more than %u and at most "
			    "%d, got %u", PENALTY_AFTER + i + 1, last,
			    PENALTY_MAX_MS, delay);
		grew += delay > last;
		last = delay;
	}
	assert_int_equal(last, PENALTY_MAX_MS);
	assert_true(grew > 5);
}

static void
failures_of_another_source_are_its_own(void **state)
{
	(void)state;
	assert_int_not_equal(fail_often("192.0.2.10", 21, 1000), 0);
	assert_int_equal(fail_often("192.0.2.11", 20, 1000), 0);
	assert_int_equal(fail_often("192.0.2.1x", 20, 1000), 0);
	assert_int_equal(fail_often("192.0.2.100", 20, 1000), 0);
	assert_int_equal(fail_often("", 20, 1000), 0);
	assert_int_not_equal(fail_often("192.0.2.11", 1, 1000), 0);
	assert_int_not_equal(fail_often("", 1, 1000), 0);
}

static void
a_quiet_minute_forgives_half(void **state)
{
	(void)state;
	/* At the very end of the minute nothing is forgiven yet. */
	assert_int_equal(fail_often("192.0.2.20", 20, 1000), 0);
	assert_int_not_equal(fail_often("192.0.2.20", 1, 1000 + MINUTE - 1), 0);
	/* Ten of twenty are left: ten more are free, the next is not. */
	assert_int_equal(fail_often("192.0.2.21", 20, 1000), 0);
	assert_int_equal(fail_often("192.0.2.21", 10, 1000 + MINUTE), 0);
	assert_int_not_equal(fail_often("192.0.2.21", 1, 1000 + MINUTE), 0);
	/* Half of many is many. */
	assert_int_equal(fail_often("192.0.2.22", 1000, 1000),
	    PENALTY_MAX_MS);
	assert_int_equal(fail_often("192.0.2.22", 1, 1000 + MINUTE),
	    PENALTY_MAX_MS);
}

/* Each quiet minute does: one failure a day is no attack. */
static void
many_quiet_minutes_forgive_all(void **state)
{
	uint32_t got;

	(void)state;
	assert_int_equal(fail_often("192.0.2.30", 1000, 1000),
	    PENALTY_MAX_MS);
	got = fail_often("192.0.2.30", 1, 1000 + 1440 * MINUTE);
	if (got != 0)
		fail_msg("the first failure after a quiet day: wanted no "
		    "delay, got %u ms", got);
}

static void
ipv6_counts_by_its_network_of_64_bits(void **state)
{
	char peer[PEER_MAX + 1];
	uint32_t delay;
	int i;

	(void)state;
	for (i = 0; i < PENALTY_AFTER; i++) {
		(void)snprintf(peer, sizeof(peer), "2001:db8:0:1:%x::%x",
		    0x1000 + i * 77, i);
		assert_int_equal(penalty_add(slice_of(peer), 1000), 0);
	}
	delay = penalty_add(slice_of("2001:db8:0:1:ffff:ffff:ffff:ffff"), 1000);
	assert_int_not_equal(delay, 0);
	assert_int_equal(fail_often("2001:db8:0:2::1", 20, 1000), 0);
	assert_int_equal(fail_often("2001:db8::1", 20, 1000), 0);
	/* Of IPv4 each address counts. */
	for (i = 0; i < 100; i++) {
		(void)snprintf(peer, sizeof(peer), "198.51.100.%d", i);
		assert_int_equal(penalty_add(slice_of(peer), 1000), 0);
	}
}

static void
a_source_is_named_by_its_network(void **state)
{
	static const struct {
		const char	*peer;
		const char	*wanted;
	} rows[] = {
		{ "192.0.2.7", "192.0.2.7" },
		{ "127.0.0.1", "127.0.0.1" },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::" },
		{ "2001:db8:1:2::", "2001:db8:1:2::" },
		{ "2001:DB8:1:2::9", "2001:db8:1:2::" },
		{ "2001:0db8:0001:0002:0:0:0:1", "2001:db8:1:2::" },
		{ "2001:db8:1:3::1", "2001:db8:1:3::" },
		{ "2001:db8::1", "2001:db8::" },
		{ "fe80::1", "fe80::" },
		{ "::1", "::" },
		/* what is no address stays what it is */
		{ "", "" },
		{ "unix", "unix" },
		{ "2001:db8::g", "2001:db8::g" },
		{ "192.0.2.7:80", "192.0.2.7:80" },
		{ "[2001:db8::1]", "[2001:db8::1]" },
	};
	char got[PEER_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		penalty_source(slice_of(rows[i].peer), got, sizeof(got));
		if (strcmp(got, rows[i].wanted) != 0)
			fail_msg("%s: wanted %s, got %s", rows[i].peer,
			    rows[i].wanted, got);
	}
}

/* A slice of the wire: of any length, with nothing behind it. */
static void
a_source_is_read_to_its_end_and_not_beyond(void **state)
{
	char got[PEER_MAX + 1], *exact;
	size_t len;

	(void)state;
	for (len = 1; len < 3 * PEER_MAX; len++) {
		exact = malloc(len);
		assert_non_null(exact);
		memset(exact, 'x', len);
		penalty_source((struct slice){ exact, len }, got, sizeof(got));
		assert_int_equal(strlen(got), len > PEER_MAX ? PEER_MAX : len);
		(void)penalty_add((struct slice){ exact, len }, 1000);
		free(exact);
	}
	penalty_source((struct slice){ "192.0.2.77", 9 }, got, sizeof(got));
	assert_string_equal(got, "192.0.2.7");
}

/* The oldest are forgotten for new ones, never the other way round. */
static void
the_table_is_bounded_and_forgets_the_oldest(void **state)
{
	uint64_t now = 10000000;
	char peer[PEER_MAX + 1];
	int i;

	(void)state;
	assert_int_equal(fail_often("203.0.113.1", 20, now), 0);
	for (i = 0; i < 10 * SOURCES_SEEN; i++) {
		(void)snprintf(peer, sizeof(peer), "10.%d.%d.1", i / 256,
		    i % 256);
		assert_int_equal(penalty_add(slice_of(peer), now + 1), 0);
	}
	/* It was forgotten: ten times as many came as there are places. */
	assert_int_equal(fail_often("203.0.113.1", 20, now + 2), 0);
	/* Some that come later do not drive it out: older ones go first. */
	for (i = 0; i < 100; i++) {
		(void)snprintf(peer, sizeof(peer), "10.200.%d.2", i);
		assert_int_equal(penalty_add(slice_of(peer), now + 3), 0);
	}
	assert_int_not_equal(fail_often("203.0.113.1", 1, now + 4), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_penalty_begins_after_twenty_failures_and_grows),
		cmocka_unit_test(failures_of_another_source_are_its_own),
		cmocka_unit_test(a_quiet_minute_forgives_half),
		cmocka_unit_test(many_quiet_minutes_forgive_all),
		cmocka_unit_test(ipv6_counts_by_its_network_of_64_bits),
		cmocka_unit_test(a_source_is_named_by_its_network),
		cmocka_unit_test(a_source_is_read_to_its_end_and_not_beyond),
		cmocka_unit_test(the_table_is_bounded_and_forgets_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
