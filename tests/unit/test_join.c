/* SPDX-License-Identifier: ISC */
/* link: auditd/join.c auditd/pending.c auditd/compose.c auditd/catalogue.c auditd/seen.c auditd/arguments.c auditd/journal.c */

/*
 * auditd/join.c: which records come of which reports, in whatever order they
 * arrive, whoever dies, whatever is sent again, and what a handler that
 * belongs to an attacker can make of it.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <errno.h>
#include <cmocka.h>

#include "../../auditd/auditd.h"
#include "../../common/compat.h"
#include "../../common/crypt.h"
#include "../../common/json.h"
#include "../../common/log.h"

#define AUTHD	1u		/* peers */
#define ONE	11u		/* handlers: peer and instance alike */
#define TWO	12u
#define KEPT	512

static struct journal_line {
	char			 text[4096];
	size_t			 len;
	struct record_view	 view;
} lines[KEPT];
static size_t nlines, settled_lines;
static struct report due[KEPT], refused[KEPT];
static size_t ndue, nrefused;
static int full;		/* the group takes nothing */
static uint32_t crew;		/* of who reports next */
static uint64_t now = 1000000;
static struct join_conf conf;

static int
on_append(const struct record *r)
{
	static const uint8_t prev[DIGEST_LEN];
	uint8_t hash[DIGEST_LEN];
	struct buffer b;

	if (full)
		return -1;
	buffer_init(&b, RECORD_MAX);
	assert_int_equal(record_write(&b, nlines + 1, r, prev, hash), 0);
	assert_true(nlines < KEPT && b.len < sizeof(lines[0].text));
	memcpy(lines[nlines].text, b.data, b.len);
	lines[nlines].len = b.len - 1;
	assert_int_equal(record_view(lines[nlines].text, b.len - 1,
	    &lines[nlines].view), 0);
	nlines++;
	buffer_free(&b);
	return 0;
}

static void
on_due(struct report r)
{
	if (r.peer != 0)
		due[ndue++] = r;
}

static void
on_refuse(struct report r)
{
	if (r.peer != 0)
		refused[nrefused++] = r;
}

/* Two tools, of the configuration that a crew has. */
static void
catalogue(uint32_t number, const char *config, const char *lookup,
    const char *cancel)
{
	const struct msg_conf_catalogue m = { number, slice_of(config), 2 };
	const struct msg_conf_tool_digest t[2] = {
		{ slice_of("order_lookup"), slice_of(lookup),
		    slice_of("shop"), slice_of(""), 0 },
		{ slice_of("order_cancel"), slice_of(cancel),
		    slice_of("shop"), slice_of(""), 1 },
	};

	assert_int_equal(catalogue_begin(&m), 0);
	assert_null(catalogue_newest());
	assert_int_equal(catalogue_add(&t[0]), 0);
	assert_int_equal(catalogue_add(&t[1]), 0);
	assert_int_equal(catalogue_add(&t[1]), -1);
}

static int
begin(void **state)
{
	static const uint8_t key[KEY_LEN] = { 1 };

	(void)state;
	nlines = settled_lines = ndue = nrefused = 0;
	full = 0;
	conf.node = "n";
	conf.namespace = "shop";
	conf.instance = 100;
	conf.append = on_append;
	conf.due = on_due;
	conf.refuse = on_refuse;
	arguments_set_key(key);
	catalogue(1, "c0", "d1", "d2");
	join_init(&conf, now);
	join_authd_up(0);
	join_handler_up(ONE);
	join_handler_up(TWO);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	join_free();
	catalogues_free();
	return 0;
}

/* A start after a crash: what is durable is read back. */
static void
restart(void)
{
	struct slice line;
	size_t i;

	join_free();
	join_init(&conf, now);
	for (i = 0; i < settled_lines; i++) {
		line.ptr = lines[i].text;
		line.len = lines[i].len;
		join_replay(&lines[i].view, line, NULL);
	}
}

static void
settle(int durable)
{
	join_settled(durable);
	if (!durable)
		nlines = settled_lines;
	settled_lines = nlines;
}

static void
id_of(uint8_t id[REQUEST_ID_LEN], unsigned int n)
{
	memset(id, 0, REQUEST_ID_LEN);
	memcpy(id, &n, sizeof(n));
}

static void
decide_q(unsigned int n, enum outcome outcome, uint32_t handler,
    const char *tool, uint64_t question, uint64_t number)
{
	struct msg_audit_decision m = {
		.time_us = 1, .outcome = (uint8_t)outcome, .calls = 1,
		.method = slice_of("tools/call"), .tool = slice_of(tool),
		.peer = slice_of("192.0.2.7"), .handler_instance = handler,
		.listener_instance = 5, .question = question,
	};
	struct msg_audit_decision got;
	struct report r = { AUTHD, number, crew };
	struct frame f = { .type = MSG_AUDIT_DECISION };
	struct buffer b;

	id_of(m.request_id, n);
	m.identity.kind = CREDENTIAL_KEY;
	m.identity.key_id = slice_of("k1");
	m.identity.owner = slice_of("alice");
	if (outcome != OUTCOME_OK)
		m.reason = REASON_MISSING_SCOPE;
	buffer_init(&b, 65536);
	put_audit_decision(&b, &m);
	f.payload = b.data;
	f.length = b.len;
	assert_int_equal(get_audit_decision(&f, &got), 0);
	join_decision(r, &f, &got, now);
	buffer_free(&b);
}

static void
decide(unsigned int n, uint32_t handler, uint64_t number)
{
	decide_q(n, OUTCOME_OK, handler, "order_lookup", n, number);
}

static const char *params = "{\"order_id\":1}";
static uint32_t hiddens;

static void
report(int intent, unsigned int n, uint32_t handler, enum outcome outcome,
    int intended, uint64_t number)
{
	static struct msg_audit_call m, got;
	struct report r = { handler, number, crew };
	struct frame f = { .type = MSG_AUDIT_OUTCOME };
	struct buffer b;

	memset(&m, 0, sizeof(m));
	id_of(m.request_id, n);
	m.outcome = (uint8_t)outcome;
	m.identity.kind = CREDENTIAL_KEY;
	m.identity.owner = slice_of("mallory");
	m.tool = slice_of("order_lookup");
	m.source = slice_of("shop");
	m.params = slice_of(params);
	m.hiddens = hiddens;
	m.hidden[0].name = slice_of("reason");
	m.hidden[0].value = slice_of("\"sentinel\"");
	m.hidden[1].name = slice_of("order_id");
	m.hidden[1].value = slice_of("2");
	m.response_us = 1500;
	m.intended = intended;
	buffer_init(&b, 1 << 20);
	put_audit_call(&b, &m);
	f.payload = b.data;
	f.length = b.len;
	assert_int_equal(get_audit_call(&f, &got), 0);
	if (intent)
		join_intent(r, handler, &f, &got, now);
	else
		join_outcome(r, handler, &f, &got, now);
	buffer_free(&b);
}

static void
intent(unsigned int n, uint32_t handler, uint64_t number)
{
	report(1, n, handler, OUTCOME_OK, 0, number);
}

static void
outcome(unsigned int n, uint32_t handler, uint64_t number)
{
	report(0, n, handler, OUTCOME_OK, 0, number);
}

static void
outcome_of_write(unsigned int n, uint32_t handler, uint64_t number)
{
	report(0, n, handler, OUTCOME_OK, 1, number);
}

/* "call ok 1", or "intent null 0", of record i. */
static void
assert_record(size_t i, const char *want)
{
	char got[128];
	struct slice kind, result;

	if (i >= nlines)
		fail_msg("record %zu: wanted %s, there is none", i, want);
	assert_int_equal(view_plain(lines[i].view.field[FIELD_KIND], &kind),
	    0);
	if (view_plain(lines[i].view.field[FIELD_OUTCOME], &result) == -1)
		result = slice_of("null");
	snprintf(got, sizeof(got), "%.*s %.*s %.*s", (int)kind.len, kind.ptr,
	    (int)result.len, result.ptr,
	    (int)lines[i].view.field[FIELD_CALLS].len,
	    lines[i].view.field[FIELD_CALLS].ptr);
	if (strcmp(got, want) != 0)
		fail_msg("record %zu: wanted %s, got %s", i, want, got);
}

static void
assert_field(size_t i, enum record_field field, const char *want)
{
	struct slice got = lines[i].view.field[field];

	if (!slice_is(got, want))
		fail_msg("record %zu, %s: wanted %s, got %.*s", i,
		    record_field_name(field), want, (int)got.len, got.ptr);
}

static unsigned int
sum_of_calls(void)
{
	unsigned int sum = 0;
	uint64_t n;
	size_t i;

	for (i = 0; i < nlines; i++) {
		assert_int_equal(view_u64(lines[i].view.field[FIELD_CALLS],
		    &n), 0);
		sum += (unsigned int)n;
	}
	return sum;
}

/* ---- the plain table --------------------------------------------------- */

static void
a_read_is_one_record_of_both_words(void **state)
{
	(void)state;
	decide(1, ONE, 7);
	assert_int_equal(nlines, 0);
	assert_int_equal(ndue, 0);
	outcome(1, ONE, 8);
	assert_int_equal(nlines, 1);
	assert_record(0, "call ok 1");
	/* authd's word stands where it has one. */
	assert_field(0, FIELD_OWNER_ID, "\"alice\"");
	assert_field(0, FIELD_IP_ADDRESS, "\"192.0.2.7\"");
	assert_field(0, FIELD_TOOL_DIGEST, "\"d1\"");
	assert_field(0, FIELD_RESPONSE_US, "1500");
	assert_field(0, FIELD_UNDECIDED, "false");
	assert_int_equal(ndue, 2);
	settle(1);
	assert_int_equal(join_pending(), 0);
}

static void
a_write_is_an_intent_and_an_outcome(void **state)
{
	(void)state;
	decide_q(1, OUTCOME_OK, ONE, "order_cancel", 1, 7);
	intent(1, ONE, 8);
	assert_record(0, "intent null 0");
	assert_int_equal(ndue, 1);
	settle(1);
	outcome_of_write(1, ONE, 9);
	assert_record(1, "outcome ok 1");
	assert_int_equal(ndue, 3);
	settle(1);
	assert_int_equal(join_pending(), 0);
	assert_int_equal(nlines, 2);
}

static void
a_refusal_is_one_record_with_its_count(void **state)
{
	(void)state;
	decide_q(1, OUTCOME_SCOPE_DENIED, 0, "order_cancel", 1, 7);
	assert_record(0, "refusal scope_denied 1");
	assert_field(0, FIELD_REASON, "\"missing_scope\"");
	assert_field(0, FIELD_ERROR, "\"scope_denied\"");
	assert_int_equal(ndue, 1);
	settle(1);
	assert_int_equal(join_pending(), 0);
}

static void
an_outcome_may_overtake_its_decision(void **state)
{
	(void)state;
	outcome(1, ONE, 8);
	assert_int_equal(nlines, 0);
	assert_int_equal(join_held(), 1);
	decide(1, ONE, 7);
	assert_int_equal(join_held(), 0);
	assert_record(0, "call ok 1");
	assert_field(0, FIELD_OWNER_ID, "\"alice\"");
	assert_int_equal(ndue, 2);
	settle(1);

	intent(2, ONE, 9);
	assert_int_equal(nlines, 1);
	decide(2, ONE, 10);
	assert_record(1, "intent null 0");
	settle(1);
	assert_int_equal(join_pending(), 1);
}

static void
an_outcome_without_a_decision_is_recorded_and_says_so(void **state)
{
	(void)state;
	now += HELD_MS + 1;
	outcome(1, ONE, 8);
	now += HELD_MS;
	join_sweep(now);
	assert_int_equal(nlines, 0);
	now += 1;
	join_sweep(now);
	assert_record(0, "call ok 1");
	assert_field(0, FIELD_UNDECIDED, "true");
	assert_field(0, FIELD_OWNER_ID, "\"mallory\"");
	assert_field(0, FIELD_DETAIL, "{\"handler\":11}");
	settle(1);
	/* authd is gone, and all it said was read: nothing to wait for. */
	outcome(2, ONE, 9);
	assert_int_equal(nlines, 1);
	join_authd_down(0, now);
	assert_int_equal(nlines, 2);
	outcome(3, ONE, 10);
	assert_int_equal(nlines, 3);
	settle(1);
	assert_int_equal(join_pending(), 0);
}

static void
an_outcome_waits_longer_where_authd_is_not_there_yet(void **state)
{
	(void)state;
	restart();
	outcome(1, ONE, 1);
	now += HELD_MS + 1;
	join_sweep(now);
	assert_int_equal(nlines, 0);
	/* It has come, and may be about to say it. */
	join_authd_up(0);
	now += HELD_MS;
	join_sweep(now);
	assert_int_equal(nlines, 0);
	decide(1, ONE, 2);
	assert_record(0, "call ok 1");
	assert_field(0, FIELD_UNDECIDED, "false");
	settle(1);
	outcome(2, ONE, 3);
	now += HELD_MS + 1;
	join_sweep(now);
	assert_field(1, FIELD_UNDECIDED, "true");
	/* Its decision after all, from where it was stuck: one call. */
	settle(1);
	decide(2, ONE, 4);
	settle(1);
	assert_int_equal(nlines, 2);
	assert_int_equal(join_pending(), 0);
}

/* ---- death ------------------------------------------------------------- */

static void
a_handler_that_dies_leaves_unknown_outcomes(void **state)
{
	(void)state;
	decide(1, ONE, 1);
	decide(2, TWO, 2);
	decide_q(3, OUTCOME_OK, ONE, "order_cancel", 3, 3);
	intent(3, ONE, 4);
	settle(1);
	join_handler_down(ONE, now);
	settle(1);
	assert_int_equal(nlines, 3);
	assert_record(1, "call unknown 1");
	assert_field(1, FIELD_REASON, "\"process_died\"");
	assert_record(2, "outcome unknown 1");
	assert_int_equal(join_pending(), 1);
	/* authd did not know yet. */
	decide(4, ONE, 5);
	assert_record(3, "call unknown 1");
	outcome(2, TWO, 6);
	settle(1);
	assert_int_equal(join_pending(), 0);
	assert_int_equal(sum_of_calls(), 4);
}

static void
a_decision_nobody_acts_on_ends_as_unknown(void **state)
{
	(void)state;
	decide(1, ONE, 1);
	now += PENDING_MS;
	join_sweep(now);
	assert_int_equal(nlines, 0);
	now += 1;
	join_sweep(now);
	assert_record(0, "call unknown 1");
	settle(1);
	/* The handler was slow beyond measure: its word stands, uncounted. */
	outcome(1, ONE, 2);
	assert_record(1, "outcome ok 0");
	assert_field(1, FIELD_DETAIL, "{\"late\":true,\"handler\":11}");
	settle(1);
	assert_int_equal(sum_of_calls(), 1);
}

static void
the_end_closes_what_is_open(void **state)
{
	(void)state;
	decide(1, ONE, 1);
	outcome(2, ONE, 2);
	join_finish(now);
	settle(1);
	assert_int_equal(nlines, 2);
	assert_int_equal(join_pending(), 0);
}

static void
the_same_question_again_supersedes(void **state)
{
	(void)state;
	decide_q(1, OUTCOME_OK, ONE, "order_lookup", 70, 1);
	join_authd_down(0, now);
	join_authd_up(0);
	decide_q(2, OUTCOME_OK, TWO, "order_lookup", 70, 1);
	assert_record(0, "call superseded 0");
	settle(1);
	outcome(2, TWO, 2);
	assert_record(1, "call ok 1");
	settle(1);
	/* The first ticket was used all the same: nothing is hidden. */
	outcome(1, ONE, 3);
	assert_record(2, "call ok 1");
	settle(1);
	/* And sent again. */
	outcome(1, ONE, 3);
	assert_int_equal(nlines, 3);
	assert_int_equal(sum_of_calls(), 2);
}

static void
what_has_begun_to_write_is_not_superseded(void **state)
{
	(void)state;
	decide_q(1, OUTCOME_OK, ONE, "order_cancel", 70, 1);
	intent(1, ONE, 2);
	settle(1);
	decide_q(2, OUTCOME_OK, TWO, "order_cancel", 70, 1);
	assert_int_equal(nlines, 1);
	outcome_of_write(1, ONE, 3);
	assert_record(1, "outcome ok 1");
	settle(1);
	/* A superseded one must not begin any more. */
	decide_q(3, OUTCOME_OK, ONE, "order_cancel", 70, 4);
	assert_record(2, "call superseded 0");
	settle(1);
	intent(2, TWO, 5);
	assert_int_equal(nrefused, 1);
	assert_int_equal(refused[0].number, 5);
}

/* ---- sent again -------------------------------------------------------- */

static void
reports_sent_again_after_a_restart_write_nothing(void **state)
{
	(void)state;
	decide(1, ONE, 1);
	outcome(1, ONE, 2);
	decide_q(2, OUTCOME_SCOPE_DENIED, 0, "x", 2, 3);
	decide_q(3, OUTCOME_OK, ONE, "order_cancel", 3, 4);
	intent(3, ONE, 5);
	decide_q(4, OUTCOME_OK, ONE, "order_cancel", 4, 6);
	intent(4, ONE, 7);
	settle(1);
	outcome_of_write(4, ONE, 8);
	settle(1);
	assert_int_equal(nlines, 5);
	restart();
	ndue = 0;
	join_authd_up(0);
	join_handler_up(ONE);
	/* All of it once more, handlers first. */
	outcome(1, ONE, 2);
	intent(3, ONE, 5);
	intent(4, ONE, 7);
	outcome_of_write(4, ONE, 8);
	decide(1, ONE, 1);
	decide_q(2, OUTCOME_SCOPE_DENIED, 0, "x", 2, 3);
	decide_q(3, OUTCOME_OK, ONE, "order_cancel", 3, 4);
	decide_q(4, OUTCOME_OK, ONE, "order_cancel", 4, 6);
	assert_int_equal(nlines, 5);
	/* All but the decision whose outcome is open. */
	assert_int_equal(ndue, 7);
	assert_int_equal(nrefused, 0);
	assert_int_equal(join_pending(), 1);
	settle(1);
	outcome_of_write(3, ONE, 9);
	assert_record(5, "outcome ok 1");
	assert_field(5, FIELD_OWNER_ID, "\"alice\"");
	settle(1);
	assert_int_equal(sum_of_calls(), 4);
}

static void
a_decision_sent_again_waits_on_and_is_not_doubled(void **state)
{
	(void)state;
	decide(1, ONE, 1);
	decide(1, ONE, 99);
	assert_int_equal(join_pending(), 1);
	outcome(1, ONE, 2);
	assert_int_equal(nlines, 1);
	assert_int_equal(ndue, 2);
	assert_int_equal(due[1].number, 99);
	outcome(1, ONE, 2);
	assert_int_equal(nlines, 1);
	assert_int_equal(ndue, 3);
	settle(1);
}

static void
an_intent_without_outcome_becomes_unknown_after_a_crash(void **state)
{
	(void)state;
	decide_q(1, OUTCOME_OK, ONE, "order_cancel", 1, 1);
	intent(1, ONE, 2);
	settle(1);
	restart();
	join_handler_up(TWO);
	now += GRACE_MS;
	join_sweep(now);
	assert_int_equal(nlines, 1);
	now += 1;
	join_sweep(now);
	assert_record(1, "outcome unknown 1");
	assert_field(1, FIELD_OWNER_ID, "\"alice\"");
	assert_field(1, FIELD_TOOL_PARAMS, params);
	settle(1);
	assert_int_equal(join_pending(), 0);
	/* One that lives is waited for. */
	decide_q(2, OUTCOME_OK, TWO, "order_cancel", 2, 3);
	intent(2, TWO, 4);
	settle(1);
	restart();
	join_handler_up(TWO);
	now += GRACE_MS + 1;
	join_sweep(now);
	assert_int_equal(nlines, 3);
	outcome_of_write(2, TWO, 5);
	assert_record(3, "outcome ok 1");
	settle(1);
	assert_int_equal(sum_of_calls(), 2);
}

/* ---- a journal that fails ---------------------------------------------- */

static void
a_group_that_fails_leaves_no_trace_of_a_read(void **state)
{
	(void)state;
	decide(1, ONE, 1);
	outcome(1, ONE, 2);
	settle(0);
	assert_int_equal(nlines, 0);
	assert_int_equal(join_pending(), 0);
	/* Nothing is taken for written. */
	decide(1, ONE, 3);
	outcome(1, ONE, 4);
	assert_record(0, "call ok 1");
	decide_q(2, OUTCOME_AUTH_FAILED, 0, "", 2, 5);
	settle(0);
	decide_q(2, OUTCOME_AUTH_FAILED, 0, "", 2, 5);
	assert_record(0, "refusal auth_failed 1");
}

static void
the_outcome_of_a_write_is_recorded_when_the_journal_is_well_again(void **state)
{
	(void)state;
	decide_q(1, OUTCOME_OK, ONE, "order_cancel", 1, 1);
	intent(1, ONE, 2);
	settle(1);
	outcome_of_write(1, ONE, 3);
	settle(0);
	assert_int_equal(nlines, 1);
	full = 1;
	join_sweep(now);
	settle(1);
	full = 0;
	join_sweep(now);
	assert_record(1, "outcome ok 1");
	settle(1);
	assert_int_equal(join_pending(), 0);
	/* What nobody answers for, too. */
	decide(2, ONE, 4);
	join_handler_down(ONE, now);
	settle(0);
	join_sweep(now);
	assert_record(2, "call unknown 1");
	settle(1);
	assert_int_equal(sum_of_calls(), 2);
}

static void
an_intent_that_fails_leaves_the_call_open(void **state)
{
	(void)state;
	decide_q(1, OUTCOME_OK, ONE, "order_cancel", 1, 1);
	intent(1, ONE, 2);
	settle(0);
	assert_int_equal(nlines, 0);
	assert_int_equal(join_pending(), 1);
	report(0, 1, ONE, OUTCOME_OVERLOADED, 0, 3);
	assert_record(0, "call overloaded 1");
	settle(1);
	full = 1;
	decide_q(2, OUTCOME_OK, ONE, "order_cancel", 2, 4);
	intent(2, ONE, 5);
	assert_int_equal(nrefused, 1);
	full = 0;
	intent(2, ONE, 6);
	assert_record(1, "intent null 0");
}

/* ---- the attacker's chair ---------------------------------------------- */

static void
a_handler_speaks_of_its_own_calls_only(void **state)
{
	(void)state;
	decide(1, ONE, 1);
	outcome(1, TWO, 66);
	assert_int_equal(nlines, 0);
	assert_int_equal(nrefused, 1);
	outcome(1, ONE, 2);
	assert_record(0, "call ok 1");
	settle(1);
}

static void
a_report_made_up_beforehand_hides_no_call(void **state)
{
	(void)state;
	/* TWO guesses ids that authd will mint for calls of ONE. */
	outcome(1, TWO, 66);
	intent(2, TWO, 67);
	now += HELD_ABSENT_MS + 1;
	join_sweep(now);
	settle(1);
	assert_int_equal(nlines, 2);
	assert_field(0, FIELD_UNDECIDED, "true");
	assert_field(1, FIELD_UNDECIDED, "true");
	decide(1, ONE, 1);
	outcome(1, ONE, 2);
	assert_record(2, "call ok 1");
	assert_field(2, FIELD_UNDECIDED, "false");
	settle(1);
	decide_q(3, OUTCOME_AUTH_FAILED, 0, "", 3, 3);
	assert_int_equal(nlines, 4);
	settle(1);
	/* Held still, when the true decision comes. */
	outcome(4, TWO, 68);
	decide(4, ONE, 4);
	settle(1);
	decide(4, ONE, 4);
	outcome(4, ONE, 5);
	assert_record(5, "call ok 1");
	assert_field(5, FIELD_UNDECIDED, "false");
}

static void
only_auditd_says_unknown_or_superseded(void **state)
{
	(void)state;
	decide(1, ONE, 1);
	report(0, 1, ONE, OUTCOME_SUPERSEDED, 0, 2);
	assert_record(0, "call internal_error 1");
	decide(2, ONE, 3);
	report(0, 2, ONE, OUTCOME_UNKNOWN, 0, 4);
	assert_record(1, "call internal_error 1");
}

static void
tables_are_bounded(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < REPORTS_MAX; i++)
		outcome(i + 1, TWO, i);
	assert_int_equal(nrefused, 0);
	outcome(i + 1, TWO, i);
	assert_int_equal(nrefused, 1);
	/* The flood of one does not keep out what authd says. */
	decide(900000, ONE, 1);
	outcome(900000, ONE, 2);
	assert_record(0, "call ok 1");
	settle(1);
}

static void
arguments_cannot_break_the_line(void **state)
{
	static const struct { const char *params, *want, *detail; } cases[] = {
		{ "{}", "{}", "null" },
		{ "", "{}", "null" },
		{ "{\n\"a\" :\t[1, 2],\r\n\"b\":\" \\n x\"}",
		    "{\"a\":[1,2],\"b\":\" \\n x\"}", "null" },
		{ "[1]", "null", "{\"params\":\"not an object\"}" },
		{ "{\"a\":1}\n{\"seq\":9}", "null",
		    "{\"params\":\"something after the value\"}" },
		{ "{\"a\":1,\"a\":2}", "null",
		    "{\"params\":\"duplicate name\"}" },
		{ "{\"a\":\"x\ny\"}", "null",
		    "{\"params\":\"control character in a string\"}" },
		{ "{\"a\":\"\xff\"}", "null",
		    "{\"params\":\"invalid UTF-8\"}" },
	};
	const char *save = params;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		params = cases[i].params;
		decide((unsigned int)i + 1, ONE, 1);
		outcome((unsigned int)i + 1, ONE, 2);
		assert_field(i, FIELD_TOOL_PARAMS, cases[i].want);
		assert_field(i, FIELD_DETAIL, cases[i].detail);
		assert_null(memchr(lines[i].text, '\n', lines[i].len));
	}
	params = save;
}

static void
hidden_arguments_stand_as_a_keyed_hash(void **state)
{
	static const uint8_t key[KEY_LEN] = { 1 };
	uint8_t mac[DIGEST_LEN];
	char hex[HASH_TEXT_LEN + 1], want[256];
	const char *save = params;

	(void)state;
	hmac_sha256(key, "sentinel", 8, mac);
	hex_encode(hex, mac, sizeof(mac));
	hiddens = 1;
	decide(1, ONE, 1);
	outcome(1, ONE, 2);
	snprintf(want, sizeof(want),
	    "{\"order_id\":1,\"reason\":\"hmac-sha256:%s\"}", hex);
	assert_field(0, FIELD_TOOL_PARAMS, want);
	params = "{ }";
	decide(2, ONE, 1);
	outcome(2, ONE, 2);
	snprintf(want, sizeof(want), "{\"reason\":\"hmac-sha256:%s\"}", hex);
	assert_field(1, FIELD_TOOL_PARAMS, want);
	/* A name that stands in clear too would be there twice. */
	hiddens = 2;
	params = "{\"order_id\":1}";
	decide(3, ONE, 1);
	outcome(3, ONE, 2);
	assert_field(2, FIELD_TOOL_PARAMS, "null");
	assert_null(memmem(lines, sizeof(lines), "sentinel", 8));
	hiddens = 0;
	params = save;
}

/* ---- two configurations at one time ------------------------------------ */

static void
each_record_names_the_configuration_that_it_ran_under(void **state)
{
	(void)state;
	catalogue(2, "c9", "d7", "d8");
	join_authd_up(2);
	crew = 1;
	decide(1, ONE, 1);
	outcome(1, ONE, 2);
	crew = 2;
	decide(2, TWO, 3);
	outcome(2, TWO, 4);
	decide_q(3, OUTCOME_SCOPE_DENIED, 0, "order_cancel", 3, 5);
	/* One that has gone is named as long as its calls may be open. */
	crew = 1;
	decide(4, ONE, 6);
	join_handler_down(ONE, now);
	assert_field(0, FIELD_CONFIG_DIGEST, "\"c0\"");
	assert_field(0, FIELD_TOOL_DIGEST, "\"d1\"");
	assert_field(1, FIELD_CONFIG_DIGEST, "\"c9\"");
	assert_field(1, FIELD_TOOL_DIGEST, "\"d7\"");
	assert_field(2, FIELD_CONFIG_DIGEST, "\"c9\"");
	assert_field(2, FIELD_TOOL_DIGEST, "\"d8\"");
	assert_record(3, "call unknown 1");
	assert_field(3, FIELD_CONFIG_DIGEST, "\"c0\"");
	join_event("start", NULL);
	assert_field(4, FIELD_CONFIG_DIGEST, "\"c9\"");
	crew = 0;
}

static void
the_end_of_one_authd_is_not_the_others(void **state)
{
	(void)state;
	join_authd_up(1);
	join_authd_up(2);
	crew = 2;
	outcome(1, TWO, 1);
	crew = 1;
	outcome(2, ONE, 2);
	join_authd_down(1, now);
	/* That of crew 1 will not come any more; the other's may. */
	assert_int_equal(nlines, 1);
	assert_field(0, FIELD_UNDECIDED, "true");
	crew = 2;
	decide(1, TWO, 3);
	assert_int_equal(nlines, 2);
	assert_field(1, FIELD_UNDECIDED, "false");
	crew = 0;
}

static void
old_catalogues_go_and_the_newest_stays(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 2; i < 40; i++)
		catalogue(i, i == 39 ? "last" : "some", "d", "e");
	assert_string_equal(catalogue_of(39)->digest, "last");
	assert_string_equal(catalogue_of(1)->digest, "last");
	assert_string_equal(catalogue_of(38)->digest, "some");
	catalogue(39, "again", "d", "e");
	assert_string_equal(catalogue_newest()->digest, "again");
	assert_string_equal(catalogue_of(38)->digest, "some");
}

#define T(f)	cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_read_is_one_record_of_both_words),
		T(a_write_is_an_intent_and_an_outcome),
		T(a_refusal_is_one_record_with_its_count),
		T(an_outcome_may_overtake_its_decision),
		T(an_outcome_without_a_decision_is_recorded_and_says_so),
		T(an_outcome_waits_longer_where_authd_is_not_there_yet),
		T(a_handler_that_dies_leaves_unknown_outcomes),
		T(a_decision_nobody_acts_on_ends_as_unknown),
		T(the_end_closes_what_is_open),
		T(the_same_question_again_supersedes),
		T(what_has_begun_to_write_is_not_superseded),
		T(reports_sent_again_after_a_restart_write_nothing),
		T(a_decision_sent_again_waits_on_and_is_not_doubled),
		T(an_intent_without_outcome_becomes_unknown_after_a_crash),
		T(a_group_that_fails_leaves_no_trace_of_a_read),
		T(the_outcome_of_a_write_is_recorded_when_the_journal_is_well_again),
		T(an_intent_that_fails_leaves_the_call_open),
		T(a_handler_speaks_of_its_own_calls_only),
		T(a_report_made_up_beforehand_hides_no_call),
		T(only_auditd_says_unknown_or_superseded),
		T(tables_are_bounded),
		T(arguments_cannot_break_the_line),
		T(hidden_arguments_stand_as_a_keyed_hash),
		T(each_record_names_the_configuration_that_it_ran_under),
		T(the_end_of_one_authd_is_not_the_others),
		T(old_catalogues_go_and_the_newest_stays),
	};

	crypt_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
