/* SPDX-License-Identifier: ISC */

/*
 * common/stats.c: the table keeps Prometheus' conventions; a child's figures
 * are taken within its role and its labels only; merging is by each row's
 * rule; the buckets part all times in order and a percentile stays near.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/compat.h"
#include "../../common/outcome.h"
#include "../../common/proc.h"
#include "../../common/series.h"
#include "../../common/wire.h"

#define TOOLS	3

static const uint32_t limit[LABEL_KIND_MAX] = {
	[LABEL_TOOL] = TOOLS, [LABEL_SOURCE] = 2, [LABEL_ISSUER] = 0,
	[LABEL_OUTCOME] = OUTCOME_MAX, [LABEL_REASON] = REASON_MAX
};

static int
take(const struct buffer *b, enum role role, struct stat_set *set)
{
	struct frame f = { .payload = b->data, .length = b->len, .fd = -1 };

	return get_stats(&f, role, limit, set);
}

static uint64_t
value(const struct stat_set *set, enum stat_id id, uint32_t label,
    uint32_t label2)
{
	size_t i;

	for (i = 0; i < set->n; i++)
		if (set->cell[i].id == id && set->cell[i].label == label &&
		    set->cell[i].label2 == label2)
			return set->cell[i].value;
	return UINT64_MAX;
}

static int
ends_in(const char *s, const char *with)
{
	return strlen(s) > strlen(with) &&
	    strcmp(s + strlen(s) - strlen(with), with) == 0;
}

static void
every_row_is_whole_and_named_by_the_conventions(void **state)
{
	static const char lower[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
	const struct stat_row *row;
	unsigned int i, j;

	(void)state;
	for (i = 0; i < STAT_MAX; i++) {
		row = stat_row(i);
		if (row->name == NULL || row->help == NULL ||
		    row->help[0] == '\0' || row->roles == 0)
			fail_msg("row %u has no name, help or role", i);
		if (strncmp(row->name, "pontifexd_", 10) != 0 ||
		    strspn(row->name, lower) != strlen(row->name))
			fail_msg("%s: not pontifexd_lower_case", row->name);
		if ((row->kind == STAT_COUNTER) != ends_in(row->name, "_total"))
			fail_msg("%s: _total is for counters", row->name);
		if (row->unit != UNIT_ONE && !ends_in(row->name, "_seconds") &&
		    !ends_in(row->name, "_seconds_total"))
			fail_msg("%s: a time is in seconds", row->name);
		if (row->kind == STAT_HISTOGRAM &&
		    (row->label[1] != LABEL_NONE || row->merge != MERGE_SUM))
			fail_msg("%s: a histogram's second label is its bucket",
			    row->name);
		if (row->kind == STAT_COUNTER && row->merge != MERGE_SUM)
			fail_msg("%s: counters add up", row->name);
		if (strpbrk(row->help, "\\\n") != NULL)
			fail_msg("%s: its help would need escaping", row->name);
		for (j = 0; j < i; j++)
			if (strcmp(row->name, stat_row(j)->name) == 0)
				fail_msg("%s: there twice", row->name);
	}
	for (i = LABEL_NONE + 1; i < LABEL_KIND_MAX; i++)
		assert_non_null(stat_label_name((enum stat_label)i));
}

static void
what_is_put_is_read(void **state)
{
	struct stat_times times;
	struct stat_set set;
	struct buffer b;

	(void)state;
	memset(&times, 0, sizeof(times));
	stat_time(&times, 1000);
	stat_time(&times, 1001);
	buffer_init(&b, 4096);
	put_stat_times(&b, STAT_CALL_TIME, 1, &times);
	put_stat_of2(&b, STAT_CALLS, 2, OUTCOME_TIMEOUT, 7);
	put_stat_of2(&b, STAT_CALLS, 0, OUTCOME_OK, 0);
	put_stat_of(&b, STAT_SOURCE_BREAKER, 1, 2);
	put_stat(&b, STAT_CALLS_IN_FLIGHT, 0);
	assert_int_equal(take(&b, ROLE_HANDLER, &set), 0);
	assert_int_equal(value(&set, STAT_CALLS, 2, OUTCOME_TIMEOUT), 7);
	assert_int_equal(value(&set, STAT_CALLS, 0, OUTCOME_OK), UINT64_MAX);
	assert_int_equal(value(&set, STAT_CALLS_IN_FLIGHT, 0, 0), 0);
	assert_int_equal(value(&set, STAT_SOURCE_BREAKER, 1, 0), 2);
	assert_int_equal(value(&set, STAT_CALL_TIME, 1, stat_bucket(1000)), 2);
	assert_int_equal(value(&set, STAT_CALL_TIME, 1, STAT_SUM), 2001);
	stat_set_free(&set);
	buffer_free(&b);
}

static void
cell(struct buffer *b, unsigned int id, unsigned int label, unsigned int label2)
{
	put_u16(b, (uint16_t)id);
	put_u16(b, (uint16_t)label);
	put_u16(b, (uint16_t)label2);
	put_u64(b, 1);
}

static void
a_child_speaks_of_its_own_figures_only(void **state)
{
	static const struct {
		const char	*what;
		enum role	 role;
		unsigned int	 id, label, label2;
		int		 wanted;
	} cases[] = {
		{ "its own", ROLE_HANDLER, STAT_CACHE_HITS, 0, 0, 0 },
		{ "another role's", ROLE_LISTENER, STAT_CACHE_HITS, 0, 0, -1 },
		{ "auditd's", ROLE_HANDLER, STAT_AUDIT_LOST, 0, 0, -1 },
		{ "unknown", ROLE_HANDLER, STAT_MAX, 0, 0, -1 },
		{ "far away", ROLE_HANDLER, 65535, 0, 0, -1 },
		{ "the last tool", ROLE_HANDLER, STAT_CALLS, TOOLS - 1, 0, 0 },
		{ "a tool too many", ROLE_HANDLER, STAT_CALLS, TOOLS, 0, -1 },
		{ "the last outcome", ROLE_HANDLER, STAT_CALLS, 0,
		    OUTCOME_MAX - 1, 0 },
		{ "no outcome", ROLE_HANDLER, STAT_CALLS, 0, OUTCOME_MAX, -1 },
		{ "a label where none is", ROLE_HANDLER, STAT_CACHE_HITS, 1, 0,
		    -1 },
		{ "a second one", ROLE_HANDLER, STAT_CACHE_HITS, 0, 1, -1 },
		{ "the sum", ROLE_HANDLER, STAT_CALL_TIME, 0, STAT_SUM, 0 },
		{ "a bucket too many", ROLE_HANDLER, STAT_CALL_TIME, 0,
		    STAT_SUM + 1, -1 },
		{ "no role", ROLE_MAX, STAT_CACHE_HITS, 0, 0, -1 },
	};
	struct stat_set set;
	struct buffer b;
	size_t i;
	int got;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buffer_init(&b, 64);
		cell(&b, cases[i].id, cases[i].label, cases[i].label2);
		got = take(&b, cases[i].role, &set);
		if (got != cases[i].wanted)
			fail_msg("%s: wanted %d, got %d", cases[i].what,
			    cases[i].wanted, got);
		assert_int_equal(set.n, got == 0 ? 1 : 0);
		stat_set_free(&set);
		buffer_free(&b);
	}
}

static void
twice_and_torn_is_malformed(void **state)
{
	struct stat_set set;
	struct buffer b;
	size_t cut;

	(void)state;
	buffer_init(&b, 64);
	cell(&b, STAT_CACHE_HITS, 0, 0);
	cell(&b, STAT_CACHE_BYTES, 0, 0);
	for (cut = b.len; b.len > 0; b.len--) {
		int wanted = b.len == cut || b.len == cut / 2 ? 0 : -1;

		if (take(&b, ROLE_HANDLER, &set) != wanted)
			fail_msg("%zu bytes of %zu: wanted %d", b.len, cut,
			    wanted);
		stat_set_free(&set);
	}
	buffer_clear(&b);
	cell(&b, STAT_CACHE_HITS, 0, 0);
	cell(&b, STAT_CACHE_BYTES, 0, 0);
	cell(&b, STAT_CACHE_HITS, 0, 0);
	assert_int_equal(take(&b, ROLE_HANDLER, &set), -1);
	buffer_free(&b);
}

static void
merging_is_by_each_rows_rule(void **state)
{
	struct stat_set one, two, sum = { NULL, 0 };
	struct buffer b;

	(void)state;
	buffer_init(&b, 4096);
	put_stat_of2(&b, STAT_CALLS, 0, OUTCOME_OK, 5);
	put_stat(&b, STAT_CALLS_IN_FLIGHT, 3);
	put_stat_of(&b, STAT_SOURCE_BREAKER, 0, 2);
	assert_int_equal(take(&b, ROLE_HANDLER, &one), 0);
	buffer_clear(&b);
	put_stat_of2(&b, STAT_CALLS, 0, OUTCOME_OK, 6);
	put_stat_of2(&b, STAT_CALLS, 1, OUTCOME_OK, UINT64_MAX);
	put_stat(&b, STAT_CALLS_IN_FLIGHT, 4);
	put_stat_of(&b, STAT_SOURCE_BREAKER, 0, 1);
	assert_int_equal(take(&b, ROLE_HANDLER, &two), 0);
	assert_int_equal(stat_set_add(&sum, &one, 0), 0);
	assert_int_equal(stat_set_add(&sum, &two, 0), 0);
	assert_int_equal(value(&sum, STAT_CALLS, 0, OUTCOME_OK), 11);
	assert_int_equal(value(&sum, STAT_CALLS_IN_FLIGHT, 0, 0), 7);
	assert_int_equal(value(&sum, STAT_SOURCE_BREAKER, 0, 0), 2);
	/* What a dead process counted stays, what it gauged does not. */
	assert_int_equal(stat_set_add(&sum, &two, 1), 0);
	assert_int_equal(value(&sum, STAT_CALLS, 0, OUTCOME_OK), 17);
	assert_int_equal(value(&sum, STAT_CALLS_IN_FLIGHT, 0, 0), 7);
	assert_true(value(&sum, STAT_CALLS, 1, OUTCOME_OK) == UINT64_MAX);
	stat_set_free(&one);
	stat_set_free(&two);
	stat_set_free(&sum);
	buffer_free(&b);
}

/* One that was asked twice: it may count on, and take nothing back. */
static void
a_counter_never_falls(void **state)
{
	static const uint64_t hits[][3] = {	/* before, now, kept */
		{ 5, 7, 7 }, { 7, 5, 7 }, { 7, 7, 7 }, { UINT64_MAX, 0, UINT64_MAX }
	};
	struct stat_set before, now;
	struct buffer b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hits) / sizeof(hits[0]); i++) {
		buffer_init(&b, 1 << 20);
		put_stat(&b, STAT_CACHE_HITS, hits[i][0]);
		put_stat_of2(&b, STAT_CALLS, 2, OUTCOME_OK, 9);
		put_stat_of2(&b, STAT_CALL_TIME, 1, 3, 4);
		put_stat(&b, STAT_CACHE_BYTES, 100);
		assert_int_equal(take(&b, ROLE_HANDLER, &before), 0);
		buffer_clear(&b);
		put_stat(&b, STAT_CACHE_HITS, hits[i][1]);
		put_stat_of2(&b, STAT_CALL_TIME, 1, 3, 2);
		put_stat(&b, STAT_CACHE_BYTES, 10);
		assert_int_equal(take(&b, ROLE_HANDLER, &now), 0);
		assert_int_equal(stat_set_keep(&now, &before), 0);
		assert_true(value(&now, STAT_CACHE_HITS, 0, 0) == hits[i][2]);
		/* What it says no more it has still counted. */
		assert_int_equal(value(&now, STAT_CALLS, 2, OUTCOME_OK), 9);
		assert_int_equal(value(&now, STAT_CALL_TIME, 1, 3), 4);
		/* A gauge is what it is now. */
		assert_int_equal(value(&now, STAT_CACHE_BYTES, 0, 0), 10);
		stat_set_free(&before);
		stat_set_free(&now);
		buffer_free(&b);
	}
}

static void
a_sum_ends_at_its_largest_number(void **state)
{
	struct stat_times t = { .sum_us = 1 };
	unsigned int i;

	(void)state;
	assert_true(stat_sum(UINT64_MAX, 1) == UINT64_MAX);
	assert_true(stat_sum(UINT64_MAX - 1, 1) == UINT64_MAX);
	assert_true(stat_sum(3, 4) == 7);
	for (i = 0; i < STAT_BUCKETS; i++)
		t.count[i] = UINT64_MAX;
	assert_true(stat_count(&t) == UINT64_MAX);
	assert_true(stat_percentile(&t, 500) == stat_bucket_end(0));
}

static void
buckets_part_all_times_in_order(void **state)
{
	unsigned int bucket, last = 0;
	uint64_t us;

	(void)state;
	for (us = 0; us < (UINT64_C(1) << 40); us += 1 + us / 16) {
		bucket = stat_bucket(us);
		if (bucket >= STAT_BUCKETS || bucket < last)
			fail_msg("%llu us: bucket %u after %u",
			    (unsigned long long)us, bucket, last);
		if (us >= stat_bucket_end(bucket) ||
		    (bucket > 0 && us < stat_bucket_end(bucket - 1)))
			fail_msg("%llu us is not in bucket %u",
			    (unsigned long long)us, bucket);
		if (bucket < STAT_BUCKETS - 1 && us >= 4 &&
		    stat_bucket_end(bucket) - us > us / 4 + 1)
			fail_msg("%llu us: bucket %u ends a fourth too far",
			    (unsigned long long)us, bucket);
		last = bucket;
	}
	assert_int_equal(stat_bucket(UINT64_MAX), STAT_BUCKETS - 1);
}

/* Tool 0 is 2 now, 1 is gone, 2 is 0. */
static int
other_order(enum stat_label kind, uint16_t label, void *arg)
{
	static const int to[TOOLS] = { 2, -1, 0 };

	(void)arg;
	return kind != LABEL_TOOL ? label : label < TOOLS ? to[label] : -1;
}

static void
another_configuration_has_other_numbers(void **state)
{
	struct stat_times t = { .sum_us = 0 };
	struct stat_set set;
	struct buffer b;
	size_t i;

	(void)state;
	stat_time(&t, 100);
	buffer_init(&b, 1 << 20);
	for (i = 0; i < TOOLS; i++) {
		put_stat_of2(&b, STAT_CALLS, (uint32_t)i, OUTCOME_OK, i + 1);
		put_stat_times(&b, STAT_CALL_TIME, (uint32_t)i, &t);
	}
	put_stat(&b, STAT_CACHE_BYTES, 7);
	assert_int_equal(take(&b, ROLE_HANDLER, &set), 0);
	stat_set_relabel(&set, other_order, NULL);
	assert_int_equal(value(&set, STAT_CALLS, 2, OUTCOME_OK), 1);
	assert_int_equal(value(&set, STAT_CALLS, 0, OUTCOME_OK), 3);
	assert_int_equal(value(&set, STAT_CALL_TIME, 0, STAT_SUM), 100);
	assert_int_equal(value(&set, STAT_CACHE_BYTES, 0, 0), 7);
	for (i = 0; i < set.n; i++) {
		if (set.cell[i].id == STAT_CALLS)
			assert_int_not_equal(set.cell[i].label, 1);
		if (i > 0)
			assert_true(set.cell[i].id > set.cell[i - 1].id ||
			    set.cell[i].label >= set.cell[i - 1].label);
	}
	stat_set_free(&set);
	buffer_free(&b);
}

static void
a_percentile_is_a_fourth_too_high_at_most(void **state)
{
	static const unsigned int asked[] = { 1, 500, 950, 990, 1000 };
	struct stat_times t;
	uint64_t got, exact;
	unsigned int i;

	(void)state;
	memset(&t, 0, sizeof(t));
	assert_int_equal(stat_percentile(&t, 500), 0);
	for (i = 1; i <= 10000; i++)
		stat_time(&t, i);
	assert_int_equal(stat_count(&t), 10000);
	for (i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		exact = asked[i] * 10;
		got = stat_percentile(&t, asked[i]);
		if (got < exact || got > exact + exact / 4 + 1)
			fail_msg("%u per mille: wanted about %llu, got %llu",
			    asked[i], (unsigned long long)exact,
			    (unsigned long long)got);
	}
	memset(&t, 0, sizeof(t));
	stat_time(&t, UINT64_MAX / 2);
	assert_int_equal(stat_percentile(&t, 990),
	    stat_bucket_end(STAT_BUCKETS - 2));
}

static void
a_series_survives_its_building_and_reading(void **state)
{
	static struct series s;
	struct stat_cell calls = { STAT_CALLS, 1, 2, 77 };
	struct stat_cell time[] = {
		{ STAT_CALL_TIME, 3, 9, 5 }, { STAT_CALL_TIME, 3, STAT_SUM, 60 }
	};
	struct stat_times t;
	struct buffer b;
	struct reader r;
	size_t cut;
	int rc;

	(void)state;
	buffer_init(&b, 4096);
	put_series(&b, slice_of("orders_get"), slice_of("ok"), &calls, 1);
	put_series(&b, slice_of("x"), slice_of(""), time, 2);
	reader_init(&r, b.data, b.len);
	assert_int_equal(get_series(&r, &s), 1);
	assert_int_equal(s.id, STAT_CALLS);
	assert_true(slice_is(s.label[0], "orders_get"));
	assert_true(slice_is(s.label[1], "ok"));
	assert_int_equal(s.point[0].value, 77);
	assert_int_equal(get_series(&r, &s), 1);
	series_times(&s, &t);
	assert_int_equal(t.count[9], 5);
	assert_int_equal(t.sum_us, 60);
	assert_int_equal(get_series(&r, &s), 0);
	/* Cut anywhere it ends early or is malformed, and is never read over. */
	for (cut = 0; cut < b.len; cut++) {
		reader_init(&r, b.data, cut);
		while ((rc = get_series(&r, &s)) == 1)
			;
		if (cut > 0 && rc == 0 && r.at != r.end)
			fail_msg("%zu bytes: wanted -1, got 0", cut);
	}
	buffer_free(&b);
}

static void
a_series_of_nonsense_is_malformed(void **state)
{
	static struct series s;
	static const struct { const char *what; unsigned int id, n, bucket; }
	    cases[] = {
		{ "an unknown figure", STAT_MAX, 1, 0 },
		{ "no point", STAT_CALLS, 0, 0 },
		{ "too many points", STAT_CALLS, SERIES_POINTS_MAX + 1, 0 },
		{ "points that do not come", STAT_CALLS, 2, 0 },
		{ "no such bucket", STAT_CALL_TIME, 1, STAT_SUM + 1 },
	};
	struct buffer b;
	struct reader r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buffer_init(&b, 64);
		put_u16(&b, (uint16_t)cases[i].id);
		put_string(&b, "a");
		put_string(&b, "b");
		put_u32(&b, cases[i].n);
		put_u8(&b, (uint8_t)cases[i].bucket);
		put_u64(&b, 1);
		reader_init(&r, b.data, b.len);
		if (get_series(&r, &s) != -1)
			fail_msg("%s: wanted -1", cases[i].what);
		buffer_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_whole_and_named_by_the_conventions),
		cmocka_unit_test(what_is_put_is_read),
		cmocka_unit_test(a_child_speaks_of_its_own_figures_only),
		cmocka_unit_test(twice_and_torn_is_malformed),
		cmocka_unit_test(merging_is_by_each_rows_rule),
		cmocka_unit_test(a_counter_never_falls),
		cmocka_unit_test(a_sum_ends_at_its_largest_number),
		cmocka_unit_test(another_configuration_has_other_numbers),
		cmocka_unit_test(buckets_part_all_times_in_order),
		cmocka_unit_test(a_percentile_is_a_fourth_too_high_at_most),
		cmocka_unit_test(a_series_survives_its_building_and_reading),
		cmocka_unit_test(a_series_of_nonsense_is_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
