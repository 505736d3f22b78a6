/* SPDX-License-Identifier: ISC */
/* link: authd/account.c authd/limit.c */

/*
 * authd/account.c: who shares a counter and who does not, that a charge is
 * whole or none, that calls in flight are counted and given back, and what
 * happens where there is no room.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../authd/authd.h"
#include "../../common/compat.h"
#include "../../common/crypt.h"

#define SECOND	UINT64_C(1000000)	/* microseconds */
#define MANY	8

static const struct rate none;
static const struct rate three = { 60, 60000, 3 };
static const struct rate ten = { 10, 1000, 10 };
static const struct rate hourly = { 1, 3600000, 1 };

/* Each test begins when what the one before used is whole again. */
static uint64_t now = 1000 * SECOND;

static int
next_day(void **state)
{
	(void)state;
	now += 86400 * SECOND;
	return 0;
}

static struct account
key_owner(const char *owner)
{
	struct account a;

	account_of(&a, CREDENTIAL_KEY, slice_of(owner), NULL);
	return a;
}

static enum charged
ask_of(const struct account *owner, const struct rate *rate,
    struct limit_hit *hit)
{
	struct charge c = { .owner = owner, .payer = owner, .rate = rate };
	struct owed *flight;
	enum charged charged = account_charge(&c, now, hit, &flight);

	assert_null(flight);
	return charged;
}

/* How many of MANY are let through. */
static int
through(const struct account *owner, const struct rate *rate)
{
	struct limit_hit hit;
	int i, n = 0;

	for (i = 0; i < MANY; i++)
		n += ask_of(owner, rate, &hit) == CHARGED;
	return n;
}

static void
an_owner_has_one_counter_and_nobody_elses(void **state)
{
	struct account alice = key_owner("alice"), again = key_owner("alice");
	struct account bob = key_owner("bob"), token, tool, apart;

	(void)state;
	assert_memory_equal(&alice, &again, sizeof(alice));
	assert_int_equal(through(&alice, &three), 3);
	assert_int_equal(through(&again, &three), 0);
	assert_int_equal(through(&bob, &three), 3);
	/* A subject of an issuer who is called as a key's owner is. */
	account_of(&token, CREDENTIAL_TOKEN, slice_of("alice"), NULL);
	assert_int_equal(through(&token, &three), 3);
	account_of_tool(&tool, slice_of("alice"));
	assert_memory_not_equal(&alice, &tool, sizeof(alice));
	/* Where one part ends and the next begins is told. */
	account_of(&apart, CREDENTIAL_KEY, slice_of("alice"), &three);
	assert_memory_not_equal(&alice, &apart, sizeof(alice));
	assert_int_equal(through(&apart, &three), 3);
	account_of(&again, CREDENTIAL_KEY, slice_of("alice"), &ten);
	assert_memory_not_equal(&apart, &again, sizeof(apart));
}

static void
a_refusal_says_what_and_how_long(void **state)
{
	struct account a = key_owner("carol");
	struct limit_hit hit;

	(void)state;
	assert_int_equal(ask_of(&a, &hourly, &hit), CHARGED);
	assert_int_equal(ask_of(&a, &hourly, &hit), CHARGE_REFUSED);
	assert_int_equal(hit.what, LIMIT_CALLER);
	assert_memory_equal(&hit.rate, &hourly, sizeof(hourly));
	assert_int_equal(hit.remaining, 0);
	assert_int_equal(hit.reset_s, 3600);
	now += 3600 * SECOND;
	assert_int_equal(ask_of(&a, &hourly, &hit), CHARGED);
}

static void
without_a_rate_nobody_is_counted(void **state)
{
	struct account a = key_owner("dave");

	(void)state;
	assert_int_equal(through(&a, &none), MANY);
}

static enum charged
call_of(const struct account *owner, const struct rate *rate,
    const struct account *tool, const struct rate *tool_rate, uint32_t max,
    struct limit_hit *hit, struct owed **flight)
{
	struct charge c = { .owner = owner, .payer = owner, .rate = rate,
	    .tool = tool, .tool_rate = tool_rate, .in_flight_max = max };

	return account_charge(&c, now, hit, flight);
}

/* Calls that end at once; returns how many were let through. */
static int
calls(const struct account *owner, const struct rate *rate,
    const struct account *tool, const struct rate *tool_rate, uint8_t *what)
{
	struct limit_hit hit = { 0 };
	struct owed *flight;
	int i, n = 0;

	for (i = 0; i < MANY; i++)
		if (call_of(owner, rate, tool, tool_rate, 1, &hit, &flight) ==
		    CHARGED) {
			n++;
			call_ended(flight);
		}
	*what = hit.what;
	return n;
}

static void
a_tools_rate_is_each_callers_own(void **state)
{
	struct account a = key_owner("erin"), b = key_owner("frank");
	struct account look, find;
	uint8_t what;

	(void)state;
	account_of_tool(&look, slice_of("look"));
	account_of_tool(&find, slice_of("find"));
	assert_int_equal(calls(&a, &ten, &look, &three, &what), 3);
	assert_int_equal(what, LIMIT_TOOL);
	/* Others have theirs, and so has another tool. */
	assert_int_equal(calls(&b, &ten, &look, &three, &what), 3);
	assert_int_equal(calls(&a, &ten, &find, &three, &what), 3);
	/* The refused calls have cost nothing of the caller's ten. */
	assert_int_equal(calls(&a, &ten, NULL, NULL, &what), 4);
	assert_int_equal(what, LIMIT_CALLER);
}

static void
what_the_caller_may_not_does_not_cost_the_tool(void **state)
{
	struct account a = key_owner("grace"), look;
	uint8_t what;

	(void)state;
	account_of_tool(&look, slice_of("look"));
	assert_int_equal(calls(&a, &hourly, &look, &three, &what), 1);
	assert_int_equal(what, LIMIT_CALLER);
	/* Two of the tool's three are left. */
	assert_int_equal(calls(&a, &none, &look, &three, &what), 2);
	assert_int_equal(what, LIMIT_TOOL);
}

/* Both refuse: the longer wait is the one that is true. */
static void
the_longer_wait_is_told(void **state)
{
	struct account a = key_owner("heidi"), look;
	struct limit_hit hit;
	struct owed *flight;
	uint8_t what;

	(void)state;
	account_of_tool(&look, slice_of("look"));
	assert_int_equal(calls(&a, &three, &look, &hourly, &what), 1);
	assert_int_equal(calls(&a, &three, NULL, NULL, &what), 2);
	assert_int_equal(call_of(&a, &three, &look, &hourly, 1, &hit, &flight),
	    CHARGE_REFUSED);
	assert_int_equal(hit.what, LIMIT_TOOL);
	assert_int_equal(hit.reset_s, 3600);
	now += hit.reset_s * SECOND;
	assert_int_equal(call_of(&a, &three, &look, &hourly, 1, &hit, &flight),
	    CHARGED);
	call_ended(flight);
}

static void
calls_in_flight_are_counted_until_they_end(void **state)
{
	struct account a = key_owner("ivan"), b = key_owner("judy");
	struct limit_hit hit;
	struct owed *flight[3], *other;
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(call_of(&a, &none, NULL, NULL, 3, &hit,
		    &flight[i]), CHARGED);
		assert_int_equal(flight[i]->what, OWED_CALL);
	}
	assert_int_equal(call_of(&a, &none, NULL, NULL, 3, &hit, &other),
	    CHARGE_REFUSED);
	assert_null(other);
	assert_int_equal(hit.what, LIMIT_IN_FLIGHT);
	assert_int_equal(hit.rate.count, 3);
	assert_int_equal(hit.reset_s, 1);
	/* What is no call goes on, and so do others. */
	assert_int_equal(through(&a, &none), MANY);
	assert_int_equal(call_of(&b, &none, NULL, NULL, 3, &hit, &other),
	    CHARGED);
	call_ended(other);
	call_ended(flight[1]);
	assert_int_equal(call_of(&a, &none, NULL, NULL, 3, &hit, &flight[1]),
	    CHARGED);
	assert_int_equal(call_of(&a, &none, NULL, NULL, 3, &hit, &other),
	    CHARGE_REFUSED);
	/* A day later they are under way yet. */
	now += 86400 * SECOND;
	assert_int_equal(call_of(&a, &none, NULL, NULL, 3, &hit, &other),
	    CHARGE_REFUSED);
	for (i = 0; i < 3; i++)
		call_ended(flight[i]);
	assert_int_equal(call_of(&a, &none, NULL, NULL, 1, &hit, &other),
	    CHARGED);
	call_ended(other);
}

static void
a_call_too_many_costs_nothing_of_the_rate(void **state)
{
	struct account a = key_owner("mallory");
	struct limit_hit hit;
	struct owed *flight, *other;
	int i;

	(void)state;
	assert_int_equal(call_of(&a, &three, NULL, NULL, 1, &hit, &flight),
	    CHARGED);
	for (i = 0; i < 10; i++)
		assert_int_equal(call_of(&a, &three, NULL, NULL, 1, &hit,
		    &other), CHARGE_REFUSED);
	call_ended(flight);
	assert_int_equal(through(&a, &three), 2);
}

/* Two keys of one owner, one with a rate of its own. */
static void
a_key_with_its_own_rate_shares_the_cap(void **state)
{
	struct account owner = key_owner("niaj"), payer;
	struct charge c = { .owner = &owner, .payer = &payer, .rate = &ten,
	    .in_flight_max = 1 };
	struct limit_hit hit;
	struct owed *flight, *other;

	(void)state;
	account_of(&payer, CREDENTIAL_KEY, slice_of("niaj"), &ten);
	assert_int_equal(account_charge(&c, now, &hit, &flight), CHARGED);
	assert_int_equal(call_of(&owner, &three, NULL, NULL, 1, &hit, &other),
	    CHARGE_REFUSED);
	assert_int_equal(hit.what, LIMIT_IN_FLIGHT);
	call_ended(flight);
	/* The other's three are whole: the rates are counted apart. */
	assert_int_equal(through(&owner, &three), 3);
}

static uint32_t
fill(uint32_t from, uint32_t most)
{
	struct account a;
	struct limit_hit hit;
	char owner[32];
	uint32_t n;

	for (n = 0; n < most; n++) {
		(void)snprintf(owner, sizeof(owner), "o%u", from + n);
		a = key_owner(owner);
		if (ask_of(&a, &hourly, &hit) != CHARGED)
			break;
	}
	return n;
}

/* It fails closed, for those who are not there; and only so long. */
static void
a_full_table_refuses_who_is_new(void **state)
{
	struct account known = key_owner("known"), fresh = key_owner("fresh");
	struct limit_hit hit;
	struct owed *flight;
	uint32_t held;

	(void)state;
	assert_int_equal(call_of(&known, &hourly, NULL, NULL, 5, &hit,
	    &flight), CHARGED);
	held = fill(0, 2 * COUNTERS_MAX);
	assert_int_equal(held, COUNTERS_MAX - 1);
	assert_int_equal(ask_of(&fresh, &hourly, &hit), CHARGE_FULL);
	assert_int_equal(ask_of(&fresh, &hourly, &hit), CHARGE_FULL);
	/* Nobody was driven out to make room. */
	assert_int_equal(ask_of(&known, &hourly, &hit), CHARGE_REFUSED);
	assert_int_equal(hit.what, LIMIT_CALLER);
	now += 3600 * SECOND;
	assert_int_equal(ask_of(&fresh, &hourly, &hit), CHARGED);
	/* All but the one with a call in flight have given their places away. */
	held = fill(3 * COUNTERS_MAX, 2 * COUNTERS_MAX);
	assert_int_equal(held, COUNTERS_MAX - 2);
	assert_int_equal(ask_of(&known, &hourly, &hit), CHARGED);
	call_ended(flight);
}

/* Callers come and go for ever in a table that is no larger than it must be. */
static void
those_who_rest_give_their_places_away(void **state)
{
	struct buffer b;
	uint32_t live = 0;
	const char *at;
	int i;

	(void)state;
	for (i = 0; i < 40; i++) {
		assert_int_equal(fill((uint32_t)i * 5000, 5000), 5000);
		now += 7200 * SECOND;
	}
	buffer_init(&b, 4096);
	accounts_status(&b);
	buffer_add_char(&b, '\0');
	at = strstr((const char *)b.data, "counters ");
	assert_non_null(at);
	assert_int_equal(sscanf(at, "counters %u", &live), 1);
	/* All were taken once: so many come until all were looked at again. */
	assert_in_range(live, 1, COUNTERS_MAX / 4 + 5000);
	assert_non_null(strstr((const char *)b.data, "calls in flight 0,"));
	buffer_free(&b);
}

static int
setup(void **state)
{
	(void)state;
	crypt_init();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    an_owner_has_one_counter_and_nobody_elses, next_day),
		cmocka_unit_test_setup(a_refusal_says_what_and_how_long,
		    next_day),
		cmocka_unit_test_setup(without_a_rate_nobody_is_counted,
		    next_day),
		cmocka_unit_test_setup(a_tools_rate_is_each_callers_own,
		    next_day),
		cmocka_unit_test_setup(
		    what_the_caller_may_not_does_not_cost_the_tool, next_day),
		cmocka_unit_test_setup(the_longer_wait_is_told, next_day),
		cmocka_unit_test_setup(
		    calls_in_flight_are_counted_until_they_end, next_day),
		cmocka_unit_test_setup(
		    a_call_too_many_costs_nothing_of_the_rate, next_day),
		cmocka_unit_test_setup(
		    a_key_with_its_own_rate_shares_the_cap, next_day),
		cmocka_unit_test_setup(a_full_table_refuses_who_is_new,
		    next_day),
		cmocka_unit_test_setup(
		    those_who_rest_give_their_places_away, next_day),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
