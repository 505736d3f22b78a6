/* SPDX-License-Identifier: ISC */
/* link: authd/scope.c authd/penalty.c authd/fold.c */

/* authd: scopes, penalties and the folding of refusals. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../authd/authd.h"
#include "../../common/compat.h"

static void
a_scope_grants_its_own_and_what_its_stars_stand_for(void **state)
{
	static const struct {
		const char	*granted;
		const char	*required;
		int		 matches;
	} rows[] = {
		{ "shop:order:read", "shop:order:read", 1 },
		{ "shop:*:read", "shop:order:read", 1 },
		{ "shop:order:*", "shop:order:write", 1 },
		{ "shop:*:*", "shop:customer:write", 1 },
		{ "shop:order:read", "shop:order:write", 0 },
		{ "shop:order:read", "shop:order:rea", 0 },
		{ "shop:order:rea", "shop:order:read", 0 },
		{ "shop:*:read", "bank:order:read", 0 },
		{ "*:order:read", "shop:order:read", 0 },
		{ "*:*:*", "shop:order:read", 0 },
		{ "*", "shop:order:read", 0 },
		{ "shop:*", "shop:order:read", 0 },
		{ "shop:ord*:read", "shop:order:read", 0 },
		{ "Shop:order:read", "shop:order:read", 0 },
		{ "shop::read", "shop::read", 0 },
		{ "shop:order:read:more", "shop:order:read", 0 },
		{ "", "shop:order:read", 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (scope_matches(slice_of(rows[i].granted),
		    slice_of(rows[i].required)) != rows[i].matches)
			fail_msg("%s for %s: wanted %d", rows[i].granted,
			    rows[i].required, rows[i].matches);
}

static void
penalties_begin_late_grow_and_are_bounded(void **state)
{
	struct slice peer = slice_of("192.0.2.1");
	uint32_t delay = 0, last = 0;
	int i;

	(void)state;
	for (i = 0; i < PENALTY_AFTER; i++)
		assert_int_equal(penalty_add(peer, 1000), 0);
	for (i = 0; i < 1000; i++) {
		delay = penalty_add(peer, 1001);
		assert_true(delay >= last && delay <= PENALTY_MAX_MS);
		last = delay;
	}
	assert_int_equal(delay, PENALTY_MAX_MS);
	assert_int_equal(penalty_add(slice_of("192.0.2.2"), 1001), 0);
}

static void
ipv6_counts_by_its_network(void **state)
{
	char a[PEER_MAX + 1], b[PEER_MAX + 1], c[PEER_MAX + 1];

	(void)state;
	penalty_source(slice_of("2001:db8:1:2:3::4"), a, sizeof(a));
	penalty_source(slice_of("2001:db8:1:2:ffff::1"), b, sizeof(b));
	penalty_source(slice_of("2001:db8:1:3::1"), c, sizeof(c));
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	penalty_source(slice_of("192.0.2.7"), a, sizeof(a));
	assert_string_equal(a, "192.0.2.7");
}

static uint64_t folded;

static void
add_up(struct fold *f, void *arg)
{
	(void)arg;
	folded += f->folded;
}

static void
a_flood_is_folded_and_its_sum_is_exact(void **state)
{
	uint64_t stood_alone = 0;
	int alone, i;

	(void)state;
	fold_reset();
	folded = 0;
	for (i = 0; i < 5000; i++) {
		(void)fold_count(slice_of("192.0.2.1"), OUTCOME_AUTH_FAILED,
		    REASON_UNKNOWN_KEY, slice_of("t"), 1000, &alone);
		stood_alone += (uint64_t)alone;
	}
	fold_each(add_up, NULL);
	assert_int_equal(stood_alone, FOLD_AFTER);
	assert_int_equal(stood_alone + folded, 5000);
}

static void
what_differs_is_not_folded_together(void **state)
{
	static const char *const peers[] = { "192.0.2.1", "192.0.2.2" };
	int alone, i, p;

	(void)state;
	fold_reset();
	for (p = 0; p < 2; p++)
		for (i = 0; i < FOLD_AFTER; i++) {
			(void)fold_count(slice_of(peers[p]),
			    OUTCOME_AUTH_FAILED, REASON_UNKNOWN_KEY,
			    slice_of("t"), 1000, &alone);
			assert_int_equal(alone, 1);
		}
	(void)fold_count(slice_of(peers[0]), OUTCOME_AUTH_FAILED,
	    REASON_UNKNOWN_KEY, slice_of("t"), 1001, &alone);
	assert_int_equal(alone, 0);
	/* A new window begins anew. */
	(void)fold_count(slice_of(peers[0]), OUTCOME_AUTH_FAILED,
	    REASON_UNKNOWN_KEY, slice_of("t"), 1001 + FOLD_WINDOW_MS, &alone);
	assert_int_equal(alone, 1);
}

static void
more_kinds_than_places_still_add_up(void **state)
{
	uint64_t stood_alone = 0;
	char tool[32];
	int alone, i;

	(void)state;
	fold_reset();
	folded = 0;
	for (i = 0; i < 10000; i++) {
		(void)snprintf(tool, sizeof(tool), "t%d", i);
		(void)fold_count(slice_of("192.0.2.1"), OUTCOME_AUTH_FAILED,
		    REASON_UNKNOWN_KEY, slice_of(tool), 1000, &alone);
		stood_alone += (uint64_t)alone;
	}
	fold_each(add_up, NULL);
	assert_int_equal(stood_alone + folded, 10000);
	assert_true(stood_alone <= FOLDS_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_scope_grants_its_own_and_what_its_stars_stand_for),
		cmocka_unit_test(penalties_begin_late_grow_and_are_bounded),
		cmocka_unit_test(ipv6_counts_by_its_network),
		cmocka_unit_test(a_flood_is_folded_and_its_sum_is_exact),
		cmocka_unit_test(what_differs_is_not_folded_together),
		cmocka_unit_test(more_kinds_than_places_still_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
