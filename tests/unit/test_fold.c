/* SPDX-License-Identifier: ISC */
/* link: authd/fold.c */

/*
 * authd/fold.c: of equal refusals the first stand alone and the rest is
 * counted; whatever comes, and however much of it, the sums are exact.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../authd/authd.h"
#include "../../common/compat.h"

#define START	UINT64_C(500000)	/* ms: what the clock says at first */
#define NROWS(a) (sizeof(a) / sizeof((a)[0]))

/* What fold_each() showed. */
static struct {
	int		 visits;
	uint64_t	 sum;
	struct fold	*last;
} shown;

static void
look(struct fold *f, void *arg)
{
	assert_ptr_equal(arg, &shown);
	assert_true(f->folded > 0);
	shown.visits++;
	shown.sum += f->folded;
	shown.last = f;
}

/* As refuse.c does it once the record is on its way. */
static void
record(struct fold *f, void *arg)
{
	look(f, arg);
	f->folded = 0;
}

static uint64_t
show(void (*visit)(struct fold *, void *))
{
	memset(&shown, 0, sizeof(shown));
	fold_each(visit, &shown);
	return shown.sum;
}

static int
refuse_one(const char *peer, enum reason reason, const char *tool,
    uint64_t now)
{
	int alone = 99;

	assert_non_null(fold_count(slice_of(peer), OUTCOME_AUTH_FAILED,
	    (uint8_t)reason, slice_of(tool), now, &alone));
	assert_in_range(alone, 0, 1);
	return alone;
}

/* Of n refusals at once, how many stand alone. */
static int
refuse_many(const char *peer, const char *tool, int n, uint64_t now)
{
	int alone = 0;

	while (n-- > 0)
		alone += refuse_one(peer, REASON_UNKNOWN_KEY, tool, now);
	return alone;
}

static int
empty(void **state)
{
	(void)state;
	fold_reset();
	return 0;
}

static void
the_first_twenty_stand_alone_and_the_rest_is_counted(void **state)
{
	int i, got;

	(void)state;
	assert_int_equal(FOLD_AFTER, 20);
	for (i = 0; i < 5000; i++) {
		got = refuse_one("192.0.2.1", REASON_UNKNOWN_KEY, "t",
		    START + (uint64_t)i);
		if (got != (i < FOLD_AFTER))
			fail_msg("refusal %d: wanted alone %d, got %d", i + 1,
			    i < FOLD_AFTER, got);
		if (show(look) != (uint64_t)(i < 20 ? 0 : i - 19))
			fail_msg("refusal %d: wanted %d folded, got %llu",
			    i + 1, i < 20 ? 0 : i - 19,
			    (unsigned long long)shown.sum);
	}
	assert_int_equal(shown.visits, 1);
	assert_string_equal(shown.last->peer, "192.0.2.1");
	assert_string_equal(shown.last->tool, "t");
	assert_int_equal(shown.last->outcome, OUTCOME_AUTH_FAILED);
	assert_int_equal(shown.last->reason, REASON_UNKNOWN_KEY);
}

static void
nothing_folded_is_nothing_to_record(void **state)
{
	(void)state;
	assert_int_equal(show(look), 0);
	assert_int_equal(refuse_many("192.0.2.1", "t", FOLD_AFTER, START), 20);
	assert_int_equal(show(look), 0);
	assert_int_equal(shown.visits, 0);
}

static void
what_was_recorded_is_not_recorded_again(void **state)
{
	(void)state;
	assert_int_equal(refuse_many("192.0.2.1", "t", 120, START), 20);
	assert_int_equal(show(record), 100);
	assert_int_equal(show(record), 0);
	/* The window goes on: what comes now is folded too. */
	assert_int_equal(refuse_many("192.0.2.1", "t", 7, START + 5000), 0);
	assert_int_equal(show(record), 7);
}

/* Source, outcome, reason and tool: one other is another kind. */
static void
what_differs_is_not_folded_together(void **state)
{
	static const struct {
		const char	*peer;
		enum outcome	 outcome;
		enum reason	 reason;
		const char	*tool;
	} rows[] = {
		{ "192.0.2.1", OUTCOME_AUTH_FAILED, REASON_UNKNOWN_KEY, "t" },
		{ "192.0.2.2", OUTCOME_AUTH_FAILED, REASON_UNKNOWN_KEY, "t" },
		{ "192.0.2.", OUTCOME_AUTH_FAILED, REASON_UNKNOWN_KEY, "1t" },
		{ "", OUTCOME_AUTH_FAILED, REASON_UNKNOWN_KEY, "t" },
		{ "192.0.2.1", OUTCOME_AUTH_FAILED, REASON_UNKNOWN_KEY, "" },
		{ "192.0.2.1", OUTCOME_AUTH_FAILED, REASON_UNKNOWN_KEY, "T" },
		{ "192.0.2.1", OUTCOME_AUTH_FAILED, REASON_BAD_SECRET, "t" },
		{ "192.0.2.1", OUTCOME_SCOPE_DENIED, REASON_UNKNOWN_KEY, "t" },
		{ "192.0.2.1", OUTCOME_RATE_LIMITED, REASON_OVER_RATE, "t" },
		{ "192.0.2.1", OUTCOME_AUTH_FAILED, REASON_UNKNOWN_KEY, "t2" },
	};
	struct fold *f[NROWS(rows)] = { NULL }, *got;
	size_t i, j;
	int n, alone;

	(void)state;
	for (n = 0; n < FOLD_AFTER + 3; n++)
		for (i = 0; i < NROWS(rows); i++) {
			got = fold_count(slice_of(rows[i].peer),
			    (uint8_t)rows[i].outcome, (uint8_t)rows[i].reason,
			    slice_of(rows[i].tool), START, &alone);
			if (alone != (n < FOLD_AFTER))
				fail_msg("row %zu, refusal %d: wanted alone "
				    "%d, got %d", i, n + 1, n < FOLD_AFTER,
				    alone);
			/* A kind keeps its place. */
			assert_true(n == 0 || got == f[i]);
			f[i] = got;
		}
	for (i = 0; i < NROWS(rows); i++) {
		assert_int_equal(f[i]->folded, 3);
		assert_string_equal(f[i]->peer, rows[i].peer);
		assert_string_equal(f[i]->tool, rows[i].tool);
		assert_int_equal(f[i]->outcome, rows[i].outcome);
		assert_int_equal(f[i]->reason, rows[i].reason);
		for (j = 0; j < i; j++)
			assert_ptr_not_equal(f[i], f[j]);
	}
	assert_int_equal(show(record), 3 * NROWS(rows));
	assert_int_equal(shown.visits, NROWS(rows));
}

/* A window begins with its first refusal, and ends; what is folded stays. */
static void
a_new_window_begins_anew(void **state)
{
	uint64_t now = START;
	int i;

	(void)state;
	assert_int_equal(refuse_many("192.0.2.1", "t", 25, now), 20);
	now += FOLD_WINDOW_MS - 1;
	assert_int_equal(refuse_many("192.0.2.1", "t", 25, now), 0);
	now += 1;
	assert_int_equal(refuse_many("192.0.2.1", "t", 25, now), 20);
	assert_int_equal(show(look), 5 + 25 + 5);
	/* The last did not move the window's start. */
	now += FOLD_WINDOW_MS - 1;
	assert_int_equal(refuse_many("192.0.2.1", "t", 1, now), 0);
	now += 1;
	assert_int_equal(refuse_many("192.0.2.1", "t", 1, now), 1);
	assert_int_equal(show(record), 5 + 25 + 5 + 1);
	/* A drip never fills one. */
	for (i = 0; i < 100; i++) {
		now += FOLD_WINDOW_MS / 10;
		assert_int_equal(refuse_many("192.0.2.9", "t", 1, now), 1);
	}
	assert_int_equal(show(look), 0);
}

/* More kinds than there are places: they are counted all the same. */
static void
more_kinds_than_places_are_counted_in_one(void **state)
{
	uint64_t alone = 0, in_overflow = 0;
	struct fold *f, *overflow = NULL;
	char tool[32];
	int i, one;

	(void)state;
	for (i = 0; i < 20 * FOLDS_MAX; i++) {
		(void)snprintf(tool, sizeof(tool), "t%d", i);
		f = fold_count(slice_of("192.0.2.1"), OUTCOME_AUTH_FAILED,
		    REASON_UNKNOWN_KEY, slice_of(tool), START, &one);
		assert_non_null(f);
		alone += (uint64_t)one;
		if (one) {
			assert_string_equal(f->tool, tool);
			continue;
		}
		/* It is one, and names neither source nor tool. */
		assert_true(overflow == NULL || f == overflow);
		overflow = f;
		in_overflow++;
		assert_string_equal(f->peer, "");
		assert_string_equal(f->tool, "");
		assert_int_equal(f->folded, in_overflow);
	}
	assert_non_null(overflow);
	/* The places were used, most of them at least. */
	assert_in_range(alone, FOLDS_MAX / 2, FOLDS_MAX);
	assert_int_equal(alone + show(look), 20 * FOLDS_MAX);
	assert_int_equal(shown.visits, 1);
	assert_ptr_equal(shown.last, overflow);
	assert_int_equal(overflow->outcome, OUTCOME_AUTH_FAILED);
	assert_int_equal(overflow->reason, REASON_UNKNOWN_KEY);
	(void)show(record);
	/* A kind that had no place gets one when a window is over. */
	assert_int_equal(refuse_many("192.0.2.1", tool, 1,
	    START + FOLD_WINDOW_MS), 1);
	assert_int_equal(show(look), 0);
}

/* A place with something to record is not given away, however old it is. */
static void
a_place_that_owes_a_record_is_kept(void **state)
{
	char tool[32];
	struct fold *f;
	int i, alone;

	(void)state;
	assert_int_equal(refuse_many("192.0.2.1", "owed", 23, START), 20);
	for (i = 0; i < 10 * FOLDS_MAX; i++) {
		(void)snprintf(tool, sizeof(tool), "t%d", i);
		(void)refuse_many("192.0.2.1", tool, 1,
		    START + 10 * FOLD_WINDOW_MS);
	}
	f = fold_count(slice_of("192.0.2.1"), OUTCOME_AUTH_FAILED,
	    REASON_UNKNOWN_KEY, slice_of("owed"), START + 10 * FOLD_WINDOW_MS,
	    &alone);
	assert_int_equal(alone, 1);
	assert_string_equal(f->tool, "owed");
	assert_int_equal(f->folded, 3);
}

static uint64_t by_tool[64], by_overflow;

static void
sum_up(struct fold *f, void *arg)
{
	uint32_t n = f->folded, tool;
	const char *problem = NULL;

	record(f, arg);
	if (f->tool[0] == '\0') {
		by_overflow += n;
		return;
	}
	tool = (uint32_t)strtonum(f->tool + 1, 0, 63, &problem);
	assert_null(problem);
	by_tool[tool] += n;
}

/* With records made now and then; there are places for all the kinds. */
static void
a_mixed_flood_adds_up_by_kind(void **state)
{
	uint64_t sent[64] = { 0 }, now = START;
	uint32_t random = 1, kind;
	char tool[32];
	int i;

	(void)state;
	memset(by_tool, 0, sizeof(by_tool));
	by_overflow = 0;
	for (i = 0; i < 200000; i++) {
		random = random * 1664525 + 1013904223;
		kind = (random >> 16) % 64;
		kind = kind * kind / 64;	/* some come more often */
		now += (random >> 8) % 3;
		(void)snprintf(tool, sizeof(tool), "t%u", kind);
		sent[kind]++;
		by_tool[kind] += (uint64_t)refuse_one("2001:db8::1",
		    REASON_BAD_SECRET, tool, now);
		if (i % 997 == 0)
			(void)show(sum_up);
	}
	(void)show(sum_up);
	assert_int_equal(by_overflow, 0);
	for (kind = 0; kind < 64; kind++)
		if (by_tool[kind] != sent[kind])
			fail_msg("t%u: wanted %llu, got %llu", kind,
			    (unsigned long long)sent[kind],
			    (unsigned long long)by_tool[kind]);
}

/* Names come from the wire: of any length, with nothing behind them. */
static void
long_names_are_cut_and_still_counted(void **state)
{
	size_t len = 4 * TOOL_NAME_MAX;
	char *name = malloc(len);
	struct fold *f;
	int alone, i;

	(void)state;
	assert_non_null(name);
	memset(name, 'x', len);
	for (i = 0; i < FOLD_AFTER + 5; i++) {
		f = fold_count((struct slice){ name, len },
		    OUTCOME_AUTH_FAILED, REASON_UNKNOWN_KEY,
		    (struct slice){ name, len }, START, &alone);
		assert_int_equal(strlen(f->peer), PEER_MAX);
		assert_int_equal(strlen(f->tool), TOOL_NAME_MAX);
	}
	assert_int_equal(alone, 0);
	assert_int_equal(show(look), 5);
	/* At its bound, with no byte behind it. */
	f = fold_count((struct slice){ name + len - PEER_MAX, PEER_MAX },
	    OUTCOME_AUTH_FAILED, REASON_UNKNOWN_KEY,
	    (struct slice){ name + len - TOOL_NAME_MAX, TOOL_NAME_MAX },
	    START, &alone);
	assert_int_equal(f->folded, 6);
	/* None at all. */
	f = fold_count((struct slice){ NULL, 0 }, OUTCOME_AUTH_FAILED,
	    REASON_UNKNOWN_KEY, (struct slice){ NULL, 0 }, START, &alone);
	assert_int_equal(alone, 1);
	assert_string_equal(f->peer, "");
	free(name);
}

static void
a_reset_forgets_all(void **state)
{
	char tool[32];
	int i;

	(void)state;
	for (i = 0; i < 2 * FOLDS_MAX; i++) {
		(void)snprintf(tool, sizeof(tool), "t%d", i);
		(void)refuse_many("192.0.2.1", tool, 22, START);
	}
	assert_true(show(look) > 0);
	fold_reset();
	assert_int_equal(show(look), 0);
	assert_int_equal(refuse_many("192.0.2.1", "t0", 22, START), 20);
	assert_int_equal(show(look), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    the_first_twenty_stand_alone_and_the_rest_is_counted,
		    empty),
		cmocka_unit_test_setup(nothing_folded_is_nothing_to_record,
		    empty),
		cmocka_unit_test_setup(what_was_recorded_is_not_recorded_again,
		    empty),
		cmocka_unit_test_setup(what_differs_is_not_folded_together,
		    empty),
		cmocka_unit_test_setup(a_new_window_begins_anew, empty),
		cmocka_unit_test_setup(
		    more_kinds_than_places_are_counted_in_one, empty),
		cmocka_unit_test_setup(a_place_that_owes_a_record_is_kept,
		    empty),
		cmocka_unit_test_setup(a_mixed_flood_adds_up_by_kind, empty),
		cmocka_unit_test_setup(long_names_are_cut_and_still_counted,
		    empty),
		cmocka_unit_test_setup(a_reset_forgets_all, empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
