/* SPDX-License-Identifier: ISC */
/* link: daemon/handler/breaker.c daemon/handler/params.c daemon/handler/render.c */

/*
 * Which source is asked: in order, none that fails again and again, one call
 * to try it; a slow statement of a source that lives is no failure; a write
 * has one place.
 */

#include "handler_calls.h"

static struct source first, spare;
static struct tool *reader, *writer;

static void
add(struct tool *t, struct source *s)
{
	t->place[t->nplaces].source = s;
	t->place[t->nplaces++].slot = 0;
}

static int
setup(void **state)
{
	(void)state;
	memset(&first, 0, sizeof(first));
	memset(&spare, 0, sizeof(spare));
	first.name = own("first");
	spare.name = own("spare");
	reader = tool_make(NULL, "reader", "");
	writer = tool_make(NULL, "writer", "");
	reader->nplaces = writer->nplaces = 0;
	add(reader, &first);
	add(reader, &spare);
	add(writer, &first);
	add(writer, &spare);
	writer->writes = 1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tool_free(reader);
	tool_free(writer);
	free(first.name);
	free(spare.name);
	return 0;
}

static void
begin(struct call *c, const struct tool *t)
{
	memset(c, 0, sizeof(*c));
	c->tool = t;
	c->asked_us = now_us();
	c->deadline_ms = now_ms() + 60000;
}

/* One call to the tool that ends so; who was asked first. */
static struct source *
call_ends(const struct tool *t, enum outcome outcome)
{
	struct call c;
	struct source *s;

	begin(&c, t);
	if ((s = source_choose(&c)) == NULL)
		return NULL;
	c.outcome = outcome;
	source_judge(s, &c);
	return s;
}

static void
fail_often(void)
{
	int i;

	for (i = 0; i < BREAKER_AFTER; i++)
		assert_ptr_equal(call_ends(reader,
		    OUTCOME_SOURCE_UNAVAILABLE), &first);
}

static void
failures_in_a_row_open_it(void **state)
{
	(void)state;
	fail_often();
	assert_string_equal(breaker_name(&first), "open");
	assert_ptr_equal(call_ends(reader, OUTCOME_OK), &spare);
	assert_string_equal(breaker_name(&spare), "closed");
}

static void
a_success_in_between_does_not(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 3 * BREAKER_AFTER; i++)
		assert_ptr_equal(call_ends(reader, i % BREAKER_AFTER == 0 ?
		    OUTCOME_OK : OUTCOME_SOURCE_UNAVAILABLE), &first);
	assert_string_equal(breaker_name(&first), "closed");
}

static void
one_call_tries_it(void **state)
{
	struct call probe;

	(void)state;
	fail_often();
	first.breaker.until_ms = 0;
	begin(&probe, reader);
	assert_ptr_equal(source_choose(&probe), &first);
	assert_string_equal(breaker_name(&first), "half-open");
	/* Meanwhile all others go elsewhere. */
	assert_ptr_equal(call_ends(reader, OUTCOME_OK), &spare);
	probe.outcome = OUTCOME_SOURCE_UNAVAILABLE;
	source_judge(&first, &probe);
	assert_string_equal(breaker_name(&first), "open");
	assert_int_equal(first.breaker.pause_ms, 2 * BREAKER_MIN_MS);
	/* It can be reached again: no pause any more. */
	source_back(&first);
	assert_ptr_equal(call_ends(reader, OUTCOME_OK), &first);
	assert_string_equal(breaker_name(&first), "closed");
}

static void
a_probe_without_a_word_gives_its_place_on(void **state)
{
	(void)state;
	fail_often();
	first.breaker.until_ms = 0;
	assert_ptr_equal(call_ends(reader, OUTCOME_OVERLOADED), &first);
	assert_ptr_equal(call_ends(reader, OUTCOME_OK), &first);
}

static void
the_pause_has_a_bound(void **state)
{
	int i;

	(void)state;
	fail_often();
	for (i = 0; i < 20; i++) {
		first.breaker.until_ms = 0;
		(void)call_ends(reader, OUTCOME_SOURCE_UNAVAILABLE);
	}
	assert_int_equal(first.breaker.pause_ms, BREAKER_MAX_MS);
}

static void
slow_is_not_down(void **state)
{
	struct call c;
	int i;

	(void)state;
	for (i = 0; i < 3 * BREAKER_AFTER; i++) {
		begin(&c, reader);
		assert_ptr_equal(source_choose(&c), &first);
		source_alive(&first);
		c.outcome = OUTCOME_TIMEOUT;
		source_judge(&first, &c);
	}
	assert_string_equal(breaker_name(&first), "closed");
	/* The control: without a sign of life it is. */
	first.alive_us = 0;
	for (i = 0; i < BREAKER_AFTER; i++)
		(void)call_ends(reader, OUTCOME_TIMEOUT);
	assert_string_equal(breaker_name(&first), "open");
}

static void
a_read_moves_on_and_a_write_does_not(void **state)
{
	struct call c;

	(void)state;
	begin(&c, reader);
	c.source = source_choose(&c);
	assert_int_equal(source_move_on(&c), 1);
	assert_ptr_equal(source_choose(&c), &spare);
	assert_int_equal(source_move_on(&c), 0);
	assert_int_equal(c.nasked, 2);
	begin(&c, reader);
	c.source = source_choose(&c);
	c.deadline_ms = 0;
	assert_int_equal(source_move_on(&c), 0);
	begin(&c, writer);
	c.source = source_choose(&c);
	assert_int_equal(source_move_on(&c), 0);
	fail_often();
	assert_null(call_ends(writer, OUTCOME_OK));
}

static void
nobody_left_says_when(void **state)
{
	struct call c;
	int i;

	(void)state;
	fail_often();
	for (i = 0; i < BREAKER_AFTER; i++)
		assert_ptr_equal(call_ends(reader,
		    OUTCOME_SOURCE_UNAVAILABLE), &spare);
	begin(&c, reader);
	assert_null(source_choose(&c));
	assert_int_equal(c.retry_after, 1);
}

int
main(void)
{
#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(failures_in_a_row_open_it),
		TEST(a_success_in_between_does_not),
		TEST(one_call_tries_it),
		TEST(a_probe_without_a_word_gives_its_place_on),
		TEST(the_pause_has_a_bound), TEST(slow_is_not_down),
		TEST(a_read_moves_on_and_a_write_does_not),
		TEST(nobody_left_says_when),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
