/* SPDX-License-Identifier: ISC */
/* link: authd/limit.c */

/*
 * authd/limit.c, with the time given: what a rate lets through in any
 * stretch of it, when it says to come back, and how long the answers to
 * failing credentials are held back, by source.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../authd/authd.h"
#include "../../common/compat.h"

#define SECOND	UINT64_C(1000000)	/* microseconds */
#define DAY	(86400 * SECOND)
#define START	(12345 * SECOND)	/* what the clock says at first */
#define NROWS(a) (sizeof(a) / sizeof((a)[0]))

static const struct rate rates[] = {
	{ 600, 60000, 600 },		/* 600 per minute */
	{ 60, 60000, 3 },
	{ 7, 60000, 0 },		/* no burst: as many as its count */
	{ 5, 1000, 50 },
	{ 1, 3600000, 1 },		/* 1 per hour */
	{ 1000, 1000, 1 },
	{ 100000, 3600000, 10 },
};

static uint64_t
each_us(const struct rate *r)
{
	return (uint64_t)r->period_ms * 1000 / r->count;
}

static uint64_t
burst_of(const struct rate *r)
{
	return r->burst == 0 ? r->count : r->burst;
}

/* Takes until it is refused; returns how often it was not. */
static uint64_t
take_all(struct bucket *b, const struct rate *r, uint64_t now)
{
	uint64_t n = 0;

	while (n < 1000000 && bucket_take(b, r, now) == 0)
		n++;
	return n;
}

/* ---- rates ------------------------------------------------------------- */

static void
a_burst_is_free_and_no_more(void **state)
{
	struct bucket b;
	uint64_t got;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rates); i++) {
		memset(&b, 0, sizeof(b));
		got = take_all(&b, &rates[i], START);
		if (got != burst_of(&rates[i]))
			fail_msg("row %zu: wanted %llu, got %llu", i,
			    (unsigned long long)burst_of(&rates[i]),
			    (unsigned long long)got);
		assert_int_equal(take_all(&b, &rates[i], START), 0);
	}
}

static void
one_call_comes_back_at_a_time(void **state)
{
	struct bucket b;
	uint64_t now, each;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < NROWS(rates); i++) {
		memset(&b, 0, sizeof(b));
		now = START;
		each = each_us(&rates[i]);
		(void)take_all(&b, &rates[i], now);
		for (n = 0; n < 5; n++) {
			now += each - 1;
			if (take_all(&b, &rates[i], now) != 0)
				fail_msg("row %zu: wanted a refusal a "
				    "microsecond before its time", i);
			now++;
			if (take_all(&b, &rates[i], now) != 1)
				fail_msg("row %zu: wanted one call", i);
		}
	}
}

/*
 * A caller who asks again and again, at odd times: never more than the burst
 * and what time has brought; never less either, but for a burst of one, which
 * has no room for what comes before it is asked for.
 */
static void
the_sum_over_time_is_the_rates(void **state)
{
	struct bucket b;
	uint64_t now, step, taken, most;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < NROWS(rates); i++) {
		memset(&b, 0, sizeof(b));
		now = START;
		taken = take_all(&b, &rates[i], now);
		for (n = 0; n < 2000; n++) {
			step = each_us(&rates[i]) * (uint64_t)(n % 13) / 17;
			now += step;
			taken += take_all(&b, &rates[i], now);
			most = burst_of(&rates[i]) +
			    (now - START) / each_us(&rates[i]);
			if (taken > most ||
			    (taken < most && rates[i].burst != 1))
				fail_msg("row %zu after %llu us: wanted %llu, "
				    "got %llu", i,
				    (unsigned long long)(now - START),
				    (unsigned long long)most,
				    (unsigned long long)taken);
		}
	}
}

static void
a_refusal_costs_nothing(void **state)
{
	static const struct rate rate = { 60, 60000, 1 };
	struct bucket b = { 0, 0 };
	uint64_t now = START;
	int i;

	(void)state;
	assert_int_equal(bucket_take(&b, &rate, now), 0);
	for (i = 0; i < 999; i++) {
		now += SECOND / 1000;
		assert_int_equal(bucket_take(&b, &rate, now), 1);
	}
	now += SECOND / 1000;
	assert_int_equal(bucket_take(&b, &rate, now), 0);
}

/* Whole seconds, at least one; a call then is let through, before it is not. */
static void
retry_after_says_when_to_come_back(void **state)
{
	struct bucket b, then;
	uint64_t now;
	uint32_t retry;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < NROWS(rates); i++)
		for (n = 0; n < 20; n++) {
			memset(&b, 0, sizeof(b));
			now = START;
			(void)take_all(&b, &rates[i], now);
			now += each_us(&rates[i]) * (uint64_t)n / 20;
			retry = bucket_take(&b, &rates[i], now);
			assert_true(retry >= 1);
			then = b;
			if (bucket_take(&then, &rates[i],
			    now + retry * SECOND) != 0)
				fail_msg("row %zu: wanted a call in %u s, got "
				    "none", i, retry);
			then = b;
			if (retry > 1 && bucket_take(&then, &rates[i],
			    now + (retry - 1) * SECOND) == 0)
				fail_msg("row %zu: wanted less than %u s", i,
				    retry);
		}
}

static void
retry_after_by_example(void **state)
{
	static const struct {
		struct rate	rate;
		uint64_t	waited;
		uint32_t	wanted;
	} rows[] = {
		{ { 1, 3600000, 1 }, 0, 3600 },
		{ { 1, 3600000, 1 }, 1, 3600 },
		{ { 1, 3600000, 1 }, SECOND, 3599 },
		{ { 1, 3600000, 1 }, 3600 * SECOND - 1, 1 },
		{ { 1, 3600000, 1 }, 3600 * SECOND, 0 },
		{ { 60, 60000, 1 }, 0, 1 },
		{ { 600, 60000, 1 }, 0, 1 },
		{ { 4, 60000, 1 }, 0, 15 },
		{ { 7, 60000, 1 }, 0, 9 },	/* 8.57 s */
	};
	struct bucket b;
	uint32_t got;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		memset(&b, 0, sizeof(b));
		assert_int_equal(bucket_take(&b, &rows[i].rate, START), 0);
		got = bucket_take(&b, &rows[i].rate, START + rows[i].waited);
		if (got != rows[i].wanted)
			fail_msg("row %zu: wanted %u, got %u", i,
			    rows[i].wanted, got);
	}
}

/* However long it rests, it holds its burst; whatever the clock does. */
static void
a_long_rest_fills_it_to_the_rim_only(void **state)
{
	static const uint64_t gaps[] = {
		DAY, 365 * DAY, UINT64_MAX / 2, UINT64_MAX - START,
	};
	struct bucket b;
	size_t i, g;

	(void)state;
	for (i = 0; i < NROWS(rates); i++)
		for (g = 0; g < NROWS(gaps); g++) {
			memset(&b, 0, sizeof(b));
			(void)take_all(&b, &rates[i], START);
			if (take_all(&b, &rates[i], START + gaps[g]) !=
			    burst_of(&rates[i]))
				fail_msg("row %zu, gap %zu: wanted its burst",
				    i, g);
		}
}

static void
a_clock_that_steps_back_gives_nothing(void **state)
{
	struct bucket b;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < NROWS(rates); i++) {
		memset(&b, 0, sizeof(b));
		(void)take_all(&b, &rates[i], START);
		for (n = 0; n < 10; n++) {
			assert_int_equal(take_all(&b, &rates[i],
			    START - 10000 * SECOND), 0);
			/* Nor is the same stretch of time paid twice. */
			assert_int_equal(take_all(&b, &rates[i], START), 0);
		}
		assert_int_equal(take_all(&b, &rates[i],
		    START + each_us(&rates[i])), 1);
	}
}

/* A reload gives a bucket another rate; what it holds is of the old one. */
static void
another_rate_takes_over_within_its_bounds(void **state)
{
	static const struct rate wide = { 600, 60000, 600 };
	static const struct rate narrow = { 60, 60000, 3 };
	static const struct rate hourly = { 1, 3600000, 1 };
	struct bucket b = { 0, 0 };

	(void)state;
	assert_int_equal(bucket_take(&b, &wide, START), 0);
	assert_int_equal(take_all(&b, &narrow, START), 3);
	/* An empty one stays empty, and fills at the new rate. */
	assert_int_equal(take_all(&b, &wide, START), 0);
	assert_int_equal(take_all(&b, &wide, START + SECOND), 10);
	assert_int_equal(take_all(&b, &narrow, START + 2 * SECOND), 1);
	/* A full one of a fast rate is not a call of a slow one. */
	memset(&b, 0, sizeof(b));
	assert_int_equal(bucket_take(&b, &wide, START), 0);
	assert_in_range(bucket_take(&b, &hourly, START), 3540, 3541);
	assert_in_range(bucket_take(&b, &hourly, START + 3600 * SECOND), 0, 0);
	/* Nor is it lost, whatever comes and goes. */
	assert_int_equal(take_all(&b, &hourly, START + DAY), 1);
	assert_int_equal(take_all(&b, &wide, START + 2 * DAY), 600);
}

static void
no_rate_is_no_limit(void **state)
{
	static const struct rate none = { 0, 60000, 5 };
	static const struct rate timeless = { 5, 0, 5 };
	struct bucket b = { 0, 0 };
	int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		assert_int_equal(bucket_take(&b, &none, START), 0);
		assert_int_equal(bucket_take(&b, &timeless, START), 0);
	}
}

/* The widest that the configuration lets through: nothing overflows. */
static void
the_widest_rates_are_still_rates(void **state)
{
	static const struct rate widest[] = {
		{ RATE_MAX, 60000, RATE_MAX },
		{ RATE_MAX, 1000, 1 },
		{ 1, 3600000, RATE_MAX },
		{ 1, 1000, RATE_MAX },
	};
	struct bucket b;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < NROWS(widest); i++) {
		memset(&b, 0, sizeof(b));
		for (n = 0; n < 1000; n++)
			if (bucket_take(&b, &widest[i], START) != 0 &&
			    n < (int)widest[i].burst)
				fail_msg("row %zu: wanted call %d, got none",
				    i, n);
		(void)bucket_take(&b, &widest[i], UINT64_MAX);
		if (bucket_take(&b, &widest[i], UINT64_MAX) != 0 &&
		    widest[i].burst > 1)
			fail_msg("row %zu: wanted a call at the end of time", i);
	}
}

/* ---- penalties --------------------------------------------------------- */

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
		cmocka_unit_test(a_burst_is_free_and_no_more),
		cmocka_unit_test(one_call_comes_back_at_a_time),
		cmocka_unit_test(the_sum_over_time_is_the_rates),
		cmocka_unit_test(a_refusal_costs_nothing),
		cmocka_unit_test(retry_after_says_when_to_come_back),
		cmocka_unit_test(retry_after_by_example),
		cmocka_unit_test(a_long_rest_fills_it_to_the_rim_only),
		cmocka_unit_test(a_clock_that_steps_back_gives_nothing),
		cmocka_unit_test(another_rate_takes_over_within_its_bounds),
		cmocka_unit_test(no_rate_is_no_limit),
		cmocka_unit_test(the_widest_rates_are_still_rates),
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
