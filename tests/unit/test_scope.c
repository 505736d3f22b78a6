/* SPDX-License-Identifier: ISC */
/* link: authd/scope.c */

/*
 * authd/scope.c: a scope grants what it says and what its stars stand for;
 * one that is not right, on either side, grants nothing.
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

static void
a_scope_grants_itself_and_what_its_stars_stand_for(void **state)
{
	static const struct {
		const char	*granted;
		const char	*required;
		int		 wanted;
	} rows[] = {
		{ "shop:order:read", "shop:order:read", 1 },
		{ "shop:*:read", "shop:order:read", 1 },
		{ "shop:order:*", "shop:order:read", 1 },
		{ "shop:*:*", "shop:order:read", 1 },
		{ "shop:*:*", "shop:customer:write", 1 },
		{ "my_shop.eu-1:a.b:c-d", "my_shop.eu-1:a.b:c-d", 1 },
		/* one segment is another */
		{ "bank:order:read", "shop:order:read", 0 },
		{ "shop:customer:read", "shop:order:read", 0 },
		{ "shop:order:write", "shop:order:read", 0 },
		{ "shop:*:write", "shop:order:read", 0 },
		{ "shop:customer:*", "shop:order:read", 0 },
		{ "bank:*:*", "shop:order:read", 0 },
		{ "shop:read:order", "shop:order:read", 0 },
		/* a part of one is not the one */
		{ "shop:order:rea", "shop:order:read", 0 },
		{ "shop:order:read", "shop:order:rea", 0 },
		{ "shop:order:readx", "shop:order:read", 0 },
		{ "sho:order:read", "shop:order:read", 0 },
		{ "shop:orde:read", "shop:order:read", 0 },
		/* a dot is a dot */
		{ "shop:o.der:read", "shop:order:read", 0 },
		/* a star stands for a whole segment, not for the namespace */
		{ "*:order:read", "shop:order:read", 0 },
		{ "*:*:*", "shop:order:read", 0 },
		{ "*", "shop:order:read", 0 },
		{ "shop:*", "shop:order:read", 0 },
		{ "*:*", "shop:order:read", 0 },
		{ "shop:ord*:read", "shop:order:read", 0 },
		{ "shop:*er:read", "shop:order:read", 0 },
		{ "shop:**:read", "shop:order:read", 0 },
		{ "sho*:order:read", "shop:order:read", 0 },
		/* what is not right grants nothing, not even itself */
		{ "", "", 0 },
		{ "", "shop:order:read", 0 },
		{ "shop:order:read", "", 0 },
		{ "shop", "shop", 0 },
		{ "shop:order", "shop:order", 0 },
		{ "shop:order:read:x", "shop:order:read:x", 0 },
		{ "shop:order:read:x", "shop:order:read", 0 },
		{ "shop:order:read", "shop:order:read:x", 0 },
		{ "shop::read", "shop::read", 0 },
		{ "shop:*:read", "shop::read", 0 },
		{ "shop:*:*", "shop::", 0 },
		{ "shop:order:", "shop:order:", 0 },
		{ ":order:read", ":order:read", 0 },
		{ "Shop:order:read", "Shop:order:read", 0 },
		{ "Shop:order:read", "shop:order:read", 0 },
		{ "shop:order:read ", "shop:order:read ", 0 },
		{ "shop:order:read\n", "shop:order:read", 0 },
		{ "shop:order:read bank:a:b", "shop:order:read", 0 },
		{ "shop:order:read,bank:a:b", "shop:order:read", 0 },
		{ "*:a:b", "*:a:b", 0 },
	};
	size_t i;
	int got;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		got = scope_matches(slice_of(rows[i].granted),
		    slice_of(rows[i].required));
		if (got != rows[i].wanted)
			fail_msg("%s for %s: wanted %d, got %d",
			    rows[i].granted, rows[i].required,
			    rows[i].wanted, got);
	}
}

/*
 * Every pair of a small world, by a second reading of the rule: each segment
 * is the same, or the granted one is a star and not the first.
 */
static void
every_pair_is_decided_by_the_rule(void **state)
{
	static const char *const ns[] = { "s", "b" };
	static const char *const other[] = { "a", "b", "ab", "*" };
	char granted[32], required[32];
	int g, r, wanted, got, grants = 0;

	(void)state;
	for (g = 0; g < 32; g++)
		for (r = 0; r < 32; r++) {
			const char *gr = other[g / 2 % 4], *ga = other[g / 8];
			const char *rr = other[r / 2 % 4], *ra = other[r / 8];

			/* A tool's scope has no star. */
			if (*rr == '*' || *ra == '*')
				continue;
			(void)snprintf(granted, sizeof(granted), "%s:%s:%s",
			    ns[g % 2], gr, ga);
			(void)snprintf(required, sizeof(required),
			    "%s:%s:%s", ns[r % 2], rr, ra);
			wanted = g % 2 == r % 2 &&
			    (*gr == '*' || strcmp(gr, rr) == 0) &&
			    (*ga == '*' || strcmp(ga, ra) == 0);
			got = scope_matches(slice_of(granted),
			    slice_of(required));
			if (got != wanted)
				fail_msg("%s for %s: wanted %d, got %d",
				    granted, required, wanted, got);
			grants += got;
		}
	/* Each of 18 by itself, by a star in either place and in both. */
	assert_int_equal(grants, 18 * 4);
}

/* Slices end where they say: what stands behind them is no part of them. */
static void
a_slice_is_read_to_its_end_and_not_beyond(void **state)
{
	static const char text[] = "shop:order:read";
	struct slice all = { text, sizeof(text) - 1 }, cut = all;
	char *exact = malloc(all.len);

	(void)state;
	assert_non_null(exact);
	memcpy(exact, text, all.len);
	assert_int_equal(scope_matches((struct slice){ exact, all.len },
	    all), 1);
	cut.len--;
	assert_int_equal(scope_matches(cut, all), 0);
	assert_int_equal(scope_matches(all, cut), 0);
	assert_int_equal(scope_matches(cut, cut), 1);	/* shop:order:rea */
	cut.len = 11;					/* shop:order: */
	assert_int_equal(scope_matches(cut, cut), 0);
	cut.len = 10;					/* shop:order */
	assert_int_equal(scope_matches(cut, cut), 0);
	cut.len = 0;
	assert_int_equal(scope_matches(cut, all), 0);
	free(exact);
}

static void
one_of_a_callers_scopes_is_enough(void **state)
{
	const struct slice scopes[] = {
		slice_of("shop:order:rea"), slice_of("bank:*:*"),
		slice_of("*:*:*"), slice_of(""), slice_of("shop:order:read"),
	};
	const struct slice halves[] = {
		slice_of("shop:order:write"), slice_of("shop:customer:read"),
	};
	const struct slice wanted = slice_of("shop:order:read");

	(void)state;
	assert_int_equal(scope_grants(scopes, 5, wanted), 1);
	assert_int_equal(scope_grants(scopes + 4, 1, wanted), 1);
	/* As many as are counted, no more. */
	assert_int_equal(scope_grants(scopes, 4, wanted), 0);
	assert_int_equal(scope_grants(scopes, 0, wanted), 0);
	assert_int_equal(scope_grants(NULL, 0, wanted), 0);
	/* Halves of two do not make a whole. */
	assert_int_equal(scope_grants(halves, 2, wanted), 0);
}

static void
the_last_of_many_scopes_counts(void **state)
{
	static char text[SCOPES_MAX][32];
	struct slice scopes[SCOPES_MAX];
	int i;

	(void)state;
	for (i = 0; i < SCOPES_MAX; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "shop:r%d:read", i);
		scopes[i] = slice_of(text[i]);
	}
	for (i = 0; i < SCOPES_MAX; i++)
		assert_int_equal(scope_grants(scopes, SCOPES_MAX,
		    slice_of(text[i])), 1);
	assert_int_equal(scope_grants(scopes, SCOPES_MAX,
	    slice_of("shop:r64:read")), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_scope_grants_itself_and_what_its_stars_stand_for),
		cmocka_unit_test(every_pair_is_decided_by_the_rule),
		cmocka_unit_test(a_slice_is_read_to_its_end_and_not_beyond),
		cmocka_unit_test(one_of_a_callers_scopes_is_enough),
		cmocka_unit_test(the_last_of_many_scopes_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
