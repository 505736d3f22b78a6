/* SPDX-License-Identifier: ISC */
/* link: authd/limit.c */

/*
 * authd/limit.c, with the time given: what a rate lets through in any
 * stretch of it, and when it says to come back.  A second implementation, in
 * numbers that cannot overflow, says what is right.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../authd/limit.h"
#include "../../common/compat.h"

#define SECOND	UINT64_C(1000000)	/* microseconds */
#define DAY	(86400 * SECOND)
#define START	(12345 * SECOND)	/* what the clock says at first */
#define NROWS(a) (sizeof(a) / sizeof((a)[0]))

static const struct rate rates[] = {
	{ 600, 60000, 600 },		/* 600 per minute */
	{ 60, 60000, 3 },
	{ 7, 60000, 7 },
	{ 5, 1000, 50 },
	{ 1, 3600000, 1 },		/* 1 per hour */
	{ 1000, 1000, 1 },
	{ 100000, 3600000, 10 },
	{ 999999937, 3600000, 3 },	/* nothing divides it */
	{ 7, 1000, 1 },
};

/* As the table of authd does it: adopt, ask, charge. */
static uint32_t
take(struct arrival *a, const struct rate *r, uint64_t now)
{
	uint32_t wait;

	arrival_adopt(a, r, now);
	if ((wait = arrival_wait(a, now)) == 0)
		arrival_charge(a, now);
	return wait;
}

/* Takes until it is refused; returns how often it was not. */
static uint64_t
take_all(struct arrival *a, const struct rate *r, uint64_t now)
{
	uint64_t n = 0;

	while (n < 1000000 && take(a, r, now) == 0)
		n++;
	return n;
}

/* Microseconds that one call costs, rounded up. */
static uint64_t
each_us(const struct rate *r)
{
	uint64_t period = (uint64_t)r->period_ms * 1000;

	return period / r->count + (period % r->count != 0);
}

static void
a_burst_is_free_and_no_more(void **state)
{
	struct arrival a;
	uint64_t got;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rates); i++) {
		memset(&a, 0, sizeof(a));
		got = take_all(&a, &rates[i], START);
		if (got != rates[i].burst)
			fail_msg("row %zu: wanted %u, got %llu", i,
			    rates[i].burst, (unsigned long long)got);
		assert_int_equal(take_all(&a, &rates[i], START), 0);
	}
}

static void
one_call_comes_back_at_a_time(void **state)
{
	struct arrival a;
	uint64_t now, each;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rates); i++) {
		memset(&a, 0, sizeof(a));
		each = each_us(&rates[i]);
		(void)take_all(&a, &rates[i], START);
		now = START + each - 1;
		if (take_all(&a, &rates[i], now) != 0)
			fail_msg("row %zu: wanted a refusal a microsecond "
			    "before its time", i);
		if (take_all(&a, &rates[i], now + 1) != 1)
			fail_msg("row %zu: wanted one call", i);
	}
}

/*
 * The same rule in time multiplied by the count, where nothing is rounded:
 * a call costs a period.
 */
struct exact {
	unsigned __int128	arrival;
};

static int
exact_take(struct exact *e, const struct rate *r, uint64_t now_us)
{
	unsigned __int128 now = (unsigned __int128)now_us * r->count;
	unsigned __int128 period = (unsigned __int128)r->period_ms * 1000;
	unsigned __int128 early = period * (r->burst - 1);

	if (e->arrival < now)
		e->arrival = now;
	if (e->arrival > now + early)
		return 0;
	e->arrival += period;
	return 1;
}

static uint64_t
random_number(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return *seed >> 33;
}

/*
 * Whoever asks at whatever times: over any window no more than the burst and
 * what the window brings, and exactly what the rule says.
 */
static void
no_window_holds_more_than_burst_and_rate(void **state)
{
	enum { CALLS = 3000 };
	static uint64_t at[CALLS];
	uint64_t seed = 1, now, n, from, step;
	unsigned __int128 most;
	const struct rate *r;
	struct exact exact;
	struct arrival a;
	size_t i;
	int k, let;

	(void)state;
	for (i = 0; i < NROWS(rates); i++) {
		r = &rates[i];
		memset(&a, 0, sizeof(a));
		memset(&exact, 0, sizeof(exact));
		now = START;
		n = 0;
		for (k = 0; k < 20000 && n < CALLS; k++) {
			step = each_us(r) * (random_number(&seed) % 40) / 23;
			/* Now in a crowd, now after a rest. */
			now += random_number(&seed) % 3 == 0 ? step : 0;
			if (random_number(&seed) % 500 == 0)
				now += each_us(r) * r->burst;
			let = take(&a, r, now) == 0;
			if (let != exact_take(&exact, r, now))
				fail_msg("row %zu, ask %d: wanted %d, got %d",
				    i, k, !let, let);
			if (let)
				at[n++] = now;
		}
		assert_true(n > 20);
		for (from = 0; from < n; from += 7)
			for (k = 0; from + (uint64_t)k < n; k += 3) {
				most = r->burst + (unsigned __int128)
				    (at[from + (uint64_t)k] - at[from]) *
				    r->count / ((uint64_t)r->period_ms * 1000);
				if ((unsigned __int128)k + 1 > most)
					fail_msg("row %zu: %d calls from %llu "
					    "on", i, k + 1,
					    (unsigned long long)from);
			}
	}
}

static void
a_refusal_costs_nothing(void **state)
{
	static const struct rate rate = { 60, 60000, 1 };
	struct arrival a = { 0 }, before;
	uint64_t now = START;
	int i;

	(void)state;
	assert_int_equal(take(&a, &rate, now), 0);
	before = a;
	for (i = 0; i < 999; i++) {
		now += SECOND / 1000;
		assert_int_equal(take(&a, &rate, now), 1);
		assert_memory_equal(&a, &before, sizeof(a));
	}
	now += SECOND / 1000;
	assert_int_equal(take(&a, &rate, now), 0);
}

/* Whole seconds, at least one; then a call is let through, and not before. */
static void
who_waits_as_long_as_he_is_told_gets_through(void **state)
{
	struct arrival a, then;
	uint64_t now;
	uint32_t retry;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < NROWS(rates); i++)
		for (n = 0; n < 20; n++) {
			memset(&a, 0, sizeof(a));
			now = START;
			(void)take_all(&a, &rates[i], now);
			now += each_us(&rates[i]) * (uint64_t)n / 20;
			if ((retry = take(&a, &rates[i], now)) == 0)
				continue;	/* less than a microsecond */
			then = a;
			if (take(&then, &rates[i], now + retry * SECOND) != 0)
				fail_msg("row %zu: wanted a call in %u s, got "
				    "none", i, retry);
			then = a;
			if (retry > 1 && take(&then, &rates[i],
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
		{ { 7, 60000, 1 }, 8571428, 1 },	/* and 4/7 of a us */
		{ { 7, 60000, 1 }, 8571429, 0 },
	};
	struct arrival a;
	uint32_t got;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		memset(&a, 0, sizeof(a));
		assert_int_equal(take(&a, &rows[i].rate, START), 0);
		got = take(&a, &rows[i].rate, START + rows[i].waited);
		if (got != rows[i].wanted)
			fail_msg("row %zu: wanted %u, got %u", i,
			    rows[i].wanted, got);
	}
}

/* However long it rests, it holds its burst. */
static void
a_long_rest_fills_it_to_the_rim_only(void **state)
{
	static const uint64_t gaps[] = {
		DAY, 365 * DAY, UINT64_MAX / 4, UINT64_MAX / 2,
	};
	struct arrival a;
	size_t i, g;

	(void)state;
	for (i = 0; i < NROWS(rates); i++)
		for (g = 0; g < NROWS(gaps); g++) {
			memset(&a, 0, sizeof(a));
			(void)take_all(&a, &rates[i], START);
			if (take_all(&a, &rates[i], START + gaps[g]) !=
			    rates[i].burst)
				fail_msg("row %zu, gap %zu: wanted its burst",
				    i, g);
		}
}

/* What is forgotten then would have told nothing. */
static void
it_has_passed_when_the_burst_is_whole_again(void **state)
{
	uint64_t full;
	struct arrival a;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rates); i++) {
		memset(&a, 0, sizeof(a));
		assert_true(arrival_passed(&a, 0));
		(void)take_all(&a, &rates[i], START);
		full = (uint64_t)rates[i].period_ms * 1000 * rates[i].burst;
		full = full / rates[i].count + (full % rates[i].count != 0);
		assert_false(arrival_passed(&a, START));
		assert_false(arrival_passed(&a, START + full - 1));
		assert_true(arrival_passed(&a, START + full));
	}
}

static void
a_clock_that_steps_back_gives_nothing(void **state)
{
	struct arrival a;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < NROWS(rates); i++) {
		memset(&a, 0, sizeof(a));
		(void)take_all(&a, &rates[i], START);
		for (n = 0; n < 10; n++) {
			assert_int_equal(take_all(&a, &rates[i],
			    START - 10000 * SECOND), 0);
			/* Nor is the same stretch of time paid twice. */
			assert_int_equal(take_all(&a, &rates[i], START), 0);
		}
		assert_int_equal(take_all(&a, &rates[i],
		    START + each_us(&rates[i])), 1);
	}
}

/* A reload gives a caller another rate; what he owes is of the old one. */
static void
another_rate_takes_over_within_its_bounds(void **state)
{
	static const struct rate wide = { 600, 60000, 600 };
	static const struct rate narrow = { 60, 60000, 3 };
	static const struct rate hourly = { 1, 3600000, 24 };
	struct arrival a = { 0 };

	(void)state;
	/* Who used all of a narrow one is not held longer than the wide one. */
	assert_int_equal(take_all(&a, &hourly, START), 24);
	assert_in_range(take(&a, &wide, START), 1, 1);
	assert_int_equal(take_all(&a, &wide, START + SECOND), 10);
	/* Who used all of a wide one finds the narrow one used, too. */
	assert_int_equal(take_all(&a, &narrow, START + SECOND), 0);
	assert_int_equal(take_all(&a, &narrow, START + 4 * SECOND), 3);
	/* There and back is no way to a fresh burst. */
	assert_int_equal(take_all(&a, &wide, START + 4 * SECOND), 570);
	assert_int_equal(take_all(&a, &narrow, START + 4 * SECOND), 0);
	assert_int_equal(take_all(&a, &wide, START + 2 * DAY), 600);
}

/* The widest that the configuration lets through: nothing overflows. */
static void
the_widest_rates_are_still_rates(void **state)
{
	static const struct rate widest[] = {
		{ RATE_MAX, 60000, RATE_MAX },
		{ RATE_MAX, 1000, 1 },
		{ 1, PERIOD_MAX_MS, RATE_MAX },
		{ 1, 1000, RATE_MAX },
		{ RATE_MAX, PERIOD_MAX_MS, RATE_MAX },
		{ RATE_MAX - 1, PERIOD_MAX_MS, RATE_MAX },
		{ RATE_MAX, 1, 1 },
	};
	static const uint64_t clocks[] = { 0, 1, START, UINT64_MAX / 2 };
	struct exact exact;
	struct arrival a;
	size_t i, c;
	int n, let;

	(void)state;
	for (i = 0; i < NROWS(widest); i++)
		for (c = 0; c < NROWS(clocks); c++) {
			memset(&a, 0, sizeof(a));
			memset(&exact, 0, sizeof(exact));
			for (n = 0; n < 5000; n++) {
				let = take(&a, &widest[i], clocks[c] +
				    (uint64_t)n / 2) == 0;
				if (let != exact_take(&exact, &widest[i],
				    clocks[c] + (uint64_t)n / 2))
					fail_msg("row %zu, clock %zu: wanted "
					    "call %d %d, got %d", i, c, n,
					    !let, let);
			}
		}
}

/* A burst of a thousand million used up at once is no wait without an end. */
static void
a_debt_of_ages_is_told_in_seconds(void **state)
{
	static const struct rate slow = { 1, PERIOD_MAX_MS, RATE_MAX };
	static const struct rate one = { 1, PERIOD_MAX_MS, 1 };
	struct arrival a = { 0 };

	(void)state;
	arrival_adopt(&a, &slow, START);
	a.us = START + UINT64_C(3600000000) * RATE_MAX;
	assert_int_equal(arrival_wait(&a, START), 3600);
	assert_int_equal(take(&a, &one, START), 3600);
	/* At the end of time nobody is let through for free. */
	a.us = UINT64_MAX;
	assert_int_equal(take(&a, &one, START), UINT32_MAX);
	arrival_charge(&a, UINT64_MAX);
	assert_true(a.us == UINT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_free_and_no_more),
		cmocka_unit_test(one_call_comes_back_at_a_time),
		cmocka_unit_test(no_window_holds_more_than_burst_and_rate),
		cmocka_unit_test(a_refusal_costs_nothing),
		cmocka_unit_test(who_waits_as_long_as_he_is_told_gets_through),
		cmocka_unit_test(retry_after_by_example),
		cmocka_unit_test(a_long_rest_fills_it_to_the_rim_only),
		cmocka_unit_test(it_has_passed_when_the_burst_is_whole_again),
		cmocka_unit_test(a_clock_that_steps_back_gives_nothing),
		cmocka_unit_test(another_rate_takes_over_within_its_bounds),
		cmocka_unit_test(the_widest_rates_are_still_rates),
		cmocka_unit_test(a_debt_of_ages_is_told_in_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
