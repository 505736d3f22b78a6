/* SPDX-License-Identifier: ISC */

/*
 * The life of a call whose ticket was good (DESIGN 2): arguments, intent,
 * source, outcome, answer.  A result leaves when its record is durable; a
 * tool that writes starts when its intent is.  Where auditd does not say so
 * in time the answer is `overloaded', or, of a write that may have happened,
 * that it may have happened.
 */

#include <stdio.h>

#include <event2/event.h>

#include "../../common/log.h"
#include "../../common/ticket.h"
#include "cache.h"
#include "redis.h"
#include "redis_cache.h"
#include "source.h"

TAILQ_HEAD(call_list, call);
RB_HEAD(call_tree, call);

static struct call_tree questions = RB_INITIALIZER(&questions);
static struct call_list active = TAILQ_HEAD_INITIALIZER(active);
static struct call_list spare = TAILQ_HEAD_INITIALIZER(spare);
static size_t nactive, nspare;
static uint64_t calls_total;
static struct event *sweep_timer;

/* ---- the table --------------------------------------------------------- */

/* A question is a number of its listener's: nobody names another's. */
static int
compare(const struct call *a, const struct call *b)
{
	if (a->listener != b->listener)
		return (uintptr_t)a->listener < (uintptr_t)b->listener ? -1 : 1;
	if (a->question != b->question)
		return a->question < b->question ? -1 : 1;
	return 0;
}

/* Both systems' headers have it; what we do not use of it is no mistake. */
#define LOCAL __attribute__((__unused__)) static
RB_GENERATE_INTERNAL(call_tree, call, by_question, compare, LOCAL)

/* Of two with one number the first is found. */
static void
make_findable(struct call *c)
{
	c->findable = RB_INSERT(call_tree, &questions, c) == NULL;
}

static void
make_unfindable(struct call *c)
{
	if (c->findable)
		(void)RB_REMOVE(call_tree, &questions, c);
	c->findable = 0;
}

size_t
calls_active(void)
{
	return nactive;
}

uint64_t
calls_count(void)
{
	return calls_total;
}

static void
arm_sweep(void)
{
	static const struct timeval tv = {
		SWEEP_MS / 1000, SWEEP_MS % 1000 * 1000
	};

	if (!evtimer_pending(sweep_timer, NULL))
		(void)evtimer_add(sweep_timer, &tv);
}

static struct call *
take_spare(void)
{
	struct call *c = TAILQ_FIRST(&spare);

	if (c != NULL) {
		TAILQ_REMOVE(&spare, c, entry);
		nspare--;
		return c;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	buffer_init(&c->ticket, TICKET_MAX);
	buffer_init(&c->arena, 2 * BODY_MAX);
	buffer_init(&c->clear, PARAMS_JSON_MAX);
	buffer_init(&c->hidden_text, BODY_MAX);
	buffer_init(&c->structured, RESULT_MAX);
	return c;
}

/* A buffer keeps its memory where that is small; contents are cleared. */
static void
buffer_rest(struct buffer *b)
{
	if (b->cap > CALL_KEEP) {
		buffer_freezero(b);
	} else {
		if (b->data != NULL)
			explicit_bzero(b->data, b->len);
		buffer_clear(b);
	}
}

static void
call_free(struct call *c)
{
	TAILQ_REMOVE(&active, c, entry);
	nactive--;
	make_unfindable(c);
	report_detach(c);
	report_release(c);
	buffer_rest(&c->ticket);
	buffer_rest(&c->arena);
	buffer_rest(&c->clear);
	buffer_rest(&c->hidden_text);
	buffer_rest(&c->structured);
	c->state = CALL_FREE;
	if (nspare < CALLS_KEPT) {
		TAILQ_INSERT_HEAD(&spare, c, entry);
		nspare++;
		return;
	}
	buffer_free(&c->ticket);
	buffer_free(&c->arena);
	buffer_free(&c->clear);
	buffer_free(&c->hidden_text);
	buffer_free(&c->structured);
	free(c);
}

/* What a call starts with; bound values are written before they are read. */
static void
call_reset(struct call *c, struct channel *listener, uint64_t question)
{
	c->state = CALL_RUNNING;
	c->listener = listener;
	c->question = question;
	c->tool = NULL;
	c->source = NULL;
	c->place = c->nasked = 0;
	c->tool_name = slice_of("");
	c->nhidden = 0;
	c->started_us = now_us();
	c->asked_us = c->sent_us = c->source_us = c->deadline_ms = 0;
	c->reserved = 0;
	c->awaited = 0;
	c->outcome = OUTCOME_OK;
	c->reason = REASON_NONE;
	c->message[0] = '\0';
	c->retry_after = 0;
	c->rows = c->bytes = 0;
	c->truncated = c->intended = c->may_have_run = c->alone = 0;
	c->tries = c->failed = c->cache_hit = c->cancelled = 0;
	c->repeat = c->losses = c->transient = 0;
	c->queue = QUEUE_NONE;
	c->conn = NULL;
	c->kept_from = NULL;
	c->fills = c->waits_for = NULL;
	c->redis = NULL;
	memset(&c->rate, 0, sizeof(c->rate));
	memset(&c->limit, 0, sizeof(c->limit));
}

/* A slice of the sealed ticket as one of our copy of it. */
static void
rebase(struct slice *sl, struct slice sealed, const struct buffer *copy)
{
	if (sl->len > 0)
		sl->ptr = (const char *)copy->data + (sl->ptr - sealed.ptr);
}

static void
adopt(struct call *c, const struct ticket *t, struct slice sealed)
{
	uint32_t i;

	memcpy(c->request_id, t->request_id, sizeof(c->request_id));
	c->tool_name = t->tool;
	c->identity = t->identity;
	c->rate = t->rate;
	rebase(&c->tool_name, sealed, &c->ticket);
	rebase(&c->identity.key_id, sealed, &c->ticket);
	rebase(&c->identity.owner, sealed, &c->ticket);
	rebase(&c->identity.label, sealed, &c->ticket);
	for (i = 0; i < c->identity.attributes; i++) {
		rebase(&c->identity.attribute[i].name, sealed, &c->ticket);
		rebase(&c->identity.attribute[i].value, sealed, &c->ticket);
	}
}

struct call *
call_new(struct channel *listener, uint64_t question, const struct ticket *t,
    struct slice sealed)
{
	struct call *c;

	if (nactive >= CALLS_MAX || (c = take_spare()) == NULL)
		return NULL;
	TAILQ_INSERT_TAIL(&active, c, entry);
	nactive++;
	call_reset(c, listener, question);
	if (buffer_add_slice(&c->ticket, sealed) == -1) {
		call_free(c);
		return NULL;
	}
	adopt(c, t, sealed);
	make_findable(c);
	calls_total++;
	arm_sweep();
	return c;
}

void
calls_forget_listener(const struct channel *ch)
{
	struct call *c;

	TAILQ_FOREACH(c, &active, entry)
		if (c->listener == ch) {
			make_unfindable(c);
			c->listener = NULL;
		}
}

/* ---- answers ----------------------------------------------------------- */

void
call_refuse(struct channel *ch, uint64_t question, enum outcome outcome)
{
	struct msg_result m;
	struct buffer *b;

	memset(&m, 0, sizeof(m));
	m.outcome = (uint8_t)outcome;
	m.retry_after = outcome == OUTCOME_OVERLOADED;
	m.members = slice_of("");
	if ((b = channel_begin(ch, MSG_RESULT, question)) == NULL)
		return;
	put_result(b, &m);
	(void)channel_commit(ch);
}

static void
send_result(struct call *c)
{
	struct msg_result m;
	struct buffer *b;
	size_t length_at, start;
	uint32_t len;

	if (c->listener == NULL ||
	    (b = channel_begin(c->listener, MSG_RESULT, c->question)) == NULL)
		return;
	memset(&m, 0, sizeof(m));
	m.outcome = (uint8_t)c->outcome;
	memcpy(m.request_id, c->request_id, sizeof(m.request_id));
	m.retry_after = c->retry_after;
	m.limit = c->limit;
	m.members = slice_of("");
	put_result(b, &m);
	/* The members are rendered where they travel: their length follows. */
	length_at = b->len - sizeof(len);
	start = b->len;
	if (c->outcome == OUTCOME_OK)
		b->bad |= render_members(c, b) == -1;
	else if (c->outcome != OUTCOME_OVERLOADED &&
	    c->outcome != OUTCOME_RATE_LIMITED)
		render_error_members(c, b);
	if (!b->bad) {
		len = (uint32_t)(b->len - start);
		memcpy(b->data + length_at, &len, sizeof(len));
	}
	if (channel_commit(c->listener) == -1)
		call_refuse(c->listener, c->question, OUTCOME_INTERNAL_ERROR);
}

/* Answers now, though the record is not (yet) durable. */
static void
answer_unrecorded(struct call *c)
{
	if (c->may_have_run) {
		c->outcome = OUTCOME_INTERNAL_ERROR;
		strlcpy(c->message, "The call may have taken effect, but that "
		    "could not be recorded. Do not repeat it: give the "
		    "operator the request id.", sizeof(c->message));
	} else {
		c->outcome = OUTCOME_OVERLOADED;
		c->retry_after = 1;
	}
	c->reason = REASON_AUDIT_FAILED;
	send_result(c);
}

/* ---- steps ------------------------------------------------------------- */

static void
finish(struct call *c)
{
	c->state = CALL_REPORT;
	c->deadline_ms = now_ms() + AUDIT_WAIT_MS;
	if (report_call(c, MSG_AUDIT_OUTCOME, 1) == -1) {
		answer_unrecorded(c);
		call_free(c);
	}
}

/* How long its source had it. */
static void
call_took(struct call *c)
{
	if (c->sent_us != 0)
		c->source_us = now_us() - c->sent_us;
}

/*
 * Nobody waited for it.  What a read found went to nobody, others that asked
 * for the same aside; of a write the record says what it did.
 */
static void
settle_cancelled(struct call *c)
{
	if (c->outcome == OUTCOME_OK && !c->tool->writes) {
		c->outcome = OUTCOME_CANCELLED;
		c->rows = c->bytes = 0;
		c->truncated = 0;
		buffer_rest(&c->structured);
	}
	if (c->outcome == OUTCOME_OK || c->outcome == OUTCOME_CANCELLED)
		c->reason = REASON_CANCELLED;
}

static void
conclude(struct call *c)
{
	redis_disown(c->redis);
	c->redis = NULL;
	cache_settle(c);
	if (c->cancelled)
		settle_cancelled(c);
	/* Who wrote is answered when nobody is shown what was before. */
	if (c->may_have_run && redis_cache_tell(c))
		c->state = CALL_TELL;
	else
		finish(c);
}

void
call_told(struct call *c)
{
	finish(c);
}

void
call_done(struct call *c)
{
	if (c->source != NULL) {
		call_took(c);
		source_judge(c->source, c);
	}
	conclude(c);
}

void
call_fail(struct call *c, enum outcome outcome, enum reason reason)
{
	c->outcome = outcome;
	c->reason = reason;
	c->rows = c->bytes = 0;
	c->truncated = 0;
	if (outcome == OUTCOME_SOURCE_UNAVAILABLE && source_move_on(c)) {
		source_judge(c->source, c);
		call_ask(c);
		return;
	}
	call_done(c);
}

void
call_ask(struct call *c)
{
	struct source *s = source_choose(c);

	if (s == NULL) {
		/* Those that were asked have been judged. */
		c->outcome = OUTCOME_SOURCE_UNAVAILABLE;
		c->reason = REASON_SOURCE_LOST;
		call_took(c);
		conclude(c);
		return;
	}
	if (c->source == NULL)
		c->asked_us = now_us();
	c->source = s;
	c->outcome = OUTCOME_OK;
	c->reason = REASON_NONE;
	c->message[0] = '\0';
	c->retry_after = 0;
	c->alone = c->tries = c->failed = c->repeat = c->losses = 0;
	c->transient = 0;
	s->ops->run(s, c);
}

static void
run(struct call *c)
{
	c->state = CALL_RUNNING;
	c->asked_us = now_us();
	c->deadline_ms = c->asked_us / 1000 + c->tool->timeout_ms;
	if (c->cancelled) {
		/* While its intent was recorded: it did not begin. */
		call_fail(c, OUTCOME_CANCELLED, REASON_CANCELLED);
		return;
	}
	switch (cache_begin(c)) {
	case CACHE_HIT:
		conclude(c);
		break;
	case CACHE_WAIT:
		break;
	case CACHE_MISS:
		call_ask(c);
		break;
	}
}

/* What no limit stands against; a tool that writes is recorded first. */
static void
go_on(struct call *c)
{
	if (!c->tool->writes) {
		run(c);
		return;
	}
	c->state = CALL_INTENT;
	c->deadline_ms = now_ms() + AUDIT_WAIT_MS;
	if (report_call(c, MSG_AUDIT_INTENT, 1) == -1) {
		c->retry_after = 1;
		call_fail(c, OUTCOME_OVERLOADED, REASON_AUDIT_FAILED);
	}
}

void
call_limited(struct call *c, const struct limit_hit *hit)
{
	c->state = CALL_RUNNING;
	if (hit->what == LIMIT_NONE) {
		if (c->cancelled)
			call_fail(c, OUTCOME_CANCELLED, REASON_CANCELLED);
		else
			go_on(c);
		return;
	}
	c->limit = *hit;
	c->retry_after = hit->reset_s;
	call_fail(c, OUTCOME_RATE_LIMITED, hit->what == LIMIT_TOOL ?
	    REASON_OVER_TOOL_RATE : REASON_OVER_RATE);
}

void
call_begin(struct call *c, const struct tool *tool, const struct json *body,
    uint32_t arguments)
{
	c->tool = tool;
	if (params_bind(c, body, arguments) == -1) {
		call_fail(c, OUTCOME_INVALID_INPUT, REASON_BAD_ARGUMENTS);
		return;
	}
	if (report_reserve(c) == -1) {
		/* The record of a call that does not run must not be large. */
		c->nhidden = 0;
		buffer_rest(&c->clear);
		buffer_rest(&c->hidden_text);
		c->retry_after = 1;
		call_fail(c, OUTCOME_OVERLOADED, REASON_QUEUE_FULL);
		return;
	}
	if (redis_limit(c))
		c->state = CALL_LIMIT;
	else
		go_on(c);
}

/*
 * Its intent came to nothing, or too late: it did not run, it is answered
 * already, and that it did not run is told to whoever reads the trail.
 */
static void
close_detached(struct call *c)
{
	c->outcome = OUTCOME_OVERLOADED;
	c->reason = REASON_AUDIT_FAILED;
	(void)report_call(c, MSG_AUDIT_OUTCOME, 0);
	call_free(c);
}

void
call_recorded(void *call, int durable)
{
	struct call *c = call;

	c->awaited = 0;
	switch (c->state) {
	case CALL_INTENT:
		c->intended = durable;
		if (durable) {
			run(c);
		} else {
			answer_unrecorded(c);
			close_detached(c);
		}
		return;
	case CALL_DETACHED:
		c->intended = durable;
		close_detached(c);
		return;
	default:
		break;
	}
	if (durable)
		send_result(c);
	else
		answer_unrecorded(c);
	call_free(c);
}

void
call_turn_away(struct channel *ch, uint64_t question, const struct ticket *t)
{
	static struct call c;

	call_reset(&c, ch, question);
	memcpy(c.request_id, t->request_id, sizeof(c.request_id));
	c.tool = tool_find(t->tool);
	c.tool_name = t->tool;
	c.identity = t->identity;
	c.outcome = OUTCOME_OVERLOADED;
	c.reason = REASON_QUEUE_FULL;
	(void)report_call(&c, MSG_AUDIT_OUTCOME, 0);
	call_refuse(ch, question, OUTCOME_OVERLOADED);
}

/* ---- cancelled --------------------------------------------------------- */

static void
stop(struct call *c)
{
	if (c->source != NULL && c->source->ops->cancel != NULL)
		c->source->ops->cancel(c->source, c);
}

int
call_is_cancelled(struct call *c)
{
	if (!c->cancelled && c->listener != NULL)
		c->cancelled = channel_has(c->listener, MSG_CANCEL,
		    c->question);
	return c->cancelled;
}

/*
 * A query that others wait for goes on, and is stopped when the last of them
 * has left.
 */
void
call_cancel(struct channel *listener, uint64_t question)
{
	struct call wanted, *c, *asker;

	wanted.listener = listener;
	wanted.question = question;
	c = RB_FIND(call_tree, &questions, &wanted);
	if (c == NULL || c->cancelled)
		return;
	c->cancelled = 1;
	if (c->state != CALL_RUNNING)
		return;
	if (c->waits_for != NULL) {
		asker = cache_leave(c);
		call_fail(c, OUTCOME_CANCELLED, REASON_CANCELLED);
		if (asker != NULL && asker->cancelled)
			stop(asker);
	} else if (!cache_awaited(c)) {
		stop(c);
	}
}

/* ---- time -------------------------------------------------------------- */

static void
expire(struct call *c)
{
	answer_unrecorded(c);
	if (c->state == CALL_REPORT) {
		call_free(c);
		return;
	}
	/* The outcome may not reach auditd before the intent is settled. */
	c->state = CALL_DETACHED;
	c->listener = NULL;
}

static void
sweep(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = now_ms();
	struct call *c, *next;
	struct source *s;
	uint32_t i;
	int more = 0;

	(void)fd;
	(void)what;
	(void)arg;
	TAILQ_FOREACH_SAFE(c, &active, entry, next) {
		if (c->deadline_ms > now)
			continue;
		if (c->state == CALL_INTENT || c->state == CALL_REPORT) {
			expire(c);
		} else if (c->waits_for != NULL) {
			(void)cache_leave(c);
			call_fail(c, OUTCOME_TIMEOUT, REASON_SOURCE_TIMEOUT);
		}
	}
	for (i = 0; (s = source_at(i)) != NULL; i++)
		if (s->ops->sweep != NULL)
			more |= s->ops->sweep(s, now);
	if (nactive > 0 || more)
		arm_sweep();
}

void
calls_init(struct event_base *base)
{
	if ((sweep_timer = evtimer_new(base, sweep, NULL)) == NULL)
		fatal("out of memory");
}
