/* SPDX-License-Identifier: ISC */
/* link: auditd/lag.c */

/*
 * auditd/lag.c: since when the oldest record that the database lacks has
 * waited, however long that is.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../auditd/auditd.h"
#include "../../common/compat.h"

#define HOUR	UINT64_C(3600000)	/* ms */

static void
nothing_waits_where_all_is_drained(void **state)
{
	(void)state;
	lag_reset();
	assert_int_equal(lag_ms(0, 0, 500), 0);
	lag_note(1, 1000);
	assert_int_equal(lag_ms(5, 5, 9000), 0);
}

static void
it_counts_from_the_oldest_that_waits(void **state)
{
	uint64_t i;

	(void)state;
	lag_reset();
	/* A record a second. */
	for (i = 1; i <= 60; i++)
		lag_note(i, i * 1000);
	assert_int_equal(lag_ms(0, 60, 61000), 60000);
	/* The first thirty went: the 31st became durable at 31 s. */
	assert_int_equal(lag_ms(30, 60, 61000), 30000);
	assert_int_equal(lag_ms(59, 60, 61000), 1000);
	assert_int_equal(lag_ms(60, 60, 61000), 0);
	/* What comes later starts anew. */
	lag_note(61, 100000);
	assert_int_equal(lag_ms(60, 61, 101000), 1000);
}

static void
an_outage_of_days_is_told_with_few_marks(void **state)
{
	uint64_t i, got, drained = 2 * 24 * 1800, exact;

	(void)state;
	lag_reset();
	/* Four days, a record in two seconds. */
	for (i = 1; i <= 4 * 24 * 1800; i++)
		lag_note(i, i * 2000);
	got = lag_ms(0, i, i * 2000);
	assert_int_equal(got, (i - 1) * 2000);
	exact = (i - drained) * 2000;
	got = lag_ms(drained, i, i * 2000);
	if (got < exact || got > exact + 4 * HOUR)
		fail_msg("wanted %llu ms or some hours more, got %llu",
		    (unsigned long long)exact, (unsigned long long)got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_waits_where_all_is_drained),
		cmocka_unit_test(it_counts_from_the_oldest_that_waits),
		cmocka_unit_test(an_outage_of_days_is_told_with_few_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
