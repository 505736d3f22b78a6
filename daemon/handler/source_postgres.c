/* SPDX-License-Identifier: ISC */

/*
 * Postgres as a source: which connection serves which call, and how long a
 * call waits.  libpq is asynchronous and in pipeline mode; statements are
 * prepared once a connection and arguments are bound as text.
 *
 * The server holds tools that read read-only: the connection's default is
 * read-only and has the timeout, and where settings of the session are made
 * the transaction is READ ONLY.  An error in a shared group aborts those
 * behind it; they are asked once more, alone.  A write is never asked twice.
 */

#include <stdio.h>

#include "../../common/log.h"
#include "../../common/stats.h"
#include "pg.h"

/* ---- choosing a connection --------------------------------------------- */

/* How long a call would wait on it, roughly. */
static uint32_t
load_of(const struct conn *cn)
{
	const struct op *head = TAILQ_FIRST(&cn->ops);
	int draining = head != NULL && (head->drain_ms != 0 ||
	    head->unwanted);

	return cn->calls + (draining ? DEPTH_MAX : 0);
}

static struct conn *
best_conn(struct source *s)
{
	struct postgres *p = s->state;
	struct conn *cn, *best = NULL;
	uint32_t i;

	for (i = 0; i < p->nconns; i++) {
		cn = &p->conns[i];
		if (cn->state == CONN_UP && cn->wanted && !cn->lost &&
		    !cn->cancelling &&
		    cn->calls < DEPTH_MAX &&
		    (best == NULL || load_of(cn) < load_of(best)))
			best = cn;
	}
	return best;
}

/* Whether one may come up without a failure in between. */
static int
may_come_up(struct source *s)
{
	struct postgres *p = s->state;
	uint32_t i;

	for (i = 0; i < p->nconns; i++)
		if (p->conns[i].wanted && (p->conns[i].state == CONN_UP ||
		    !p->conns[i].failed))
			return 1;
	return 0;
}

/* ---- giving it the call ------------------------------------------------ */

/* 1: ask; 0: not now; -1: the connection is no good. */
static int
statement_usable(struct conn *cn, const struct tool *t)
{
	struct pg_statement *st = pg_statement_of(cn, t);

	if (st->state == STATEMENT_REFUSED && now_ms() >= st->retry_ms)
		st->state = STATEMENT_NONE;
	if (st->state == STATEMENT_NONE && pg_send_prepare(cn, t) == -1)
		return -1;
	/* Reads may go behind a Prepare; a write waits for its word. */
	return st->state == STATEMENT_GOOD ||
	    (st->state == STATEMENT_ASKED && !t->writes);
}

static void
unusable(struct conn *cn, struct call *c)
{
	if (pg_statement_of(cn, c->tool)->state == STATEMENT_ASKED) {
		c->retry_after = 1;
		call_fail(c, OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
	} else {
		call_fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_ERROR);
	}
}

static void
give(struct conn *cn, struct call *c)
{
	int usable = statement_usable(cn, c->tool);

	if (usable == 0) {
		unusable(cn, c);
		return;
	}
	if (pg_statement_of(cn, c->tool)->state == STATEMENT_ASKED)
		c->alone = 1;
	cn->calls++;
	cn->writes += c->tool->writes != 0;
	c->conn = cn;
	/* The trail names a source as often as it was asked. */
	if (c->tries++ > 0 && c->nasked < PLACES_MAX)
		c->asked[c->nasked++] = cn->source;
	if (c->sent_us == 0)
		c->sent_us = now_us();
	/* What was said of an attempt before this one is not its end. */
	c->failed = c->transient = 0;
	c->outcome = OUTCOME_OK;
	c->reason = REASON_NONE;
	c->message[0] = '\0';
	c->retry_after = 0;
	c->may_have_run = c->tool->writes;
	if (usable == -1 || pg_send_call(cn, c) == -1) {
		/* What was queued for it goes with the connection. */
		pg_give_up(cn, NULL);
		pg_hold(cn, c);
	}
}

void
pg_wait(struct source *s, struct call *c)
{
	struct postgres *p = s->state;

	c->wait_ms = s->pool_wait_ms == 0 ? c->deadline_ms :
	    now_ms() + s->pool_wait_ms;
	p->nwaiting++;
	c->queue = QUEUE_WAITING;
	TAILQ_INSERT_TAIL(&p->waiting, c, queue_entry);
}

static void
leave_queue(struct postgres *p, struct call *c)
{
	if (c->queue == QUEUE_WAITING) {
		TAILQ_REMOVE(&p->waiting, c, queue_entry);
		p->nwaiting--;
	} else if (c->queue == QUEUE_LATER) {
		TAILQ_REMOVE(&p->later, c, queue_entry);
	}
	c->queue = QUEUE_NONE;
}

static void
arm_later(struct postgres *p)
{
	struct timeval tv = { 0, RETRY_MIN_MS * 1000 };

	if (!TAILQ_EMPTY(&p->later) && !evtimer_pending(p->later_timer, NULL))
		(void)evtimer_add(p->later_timer, &tv);
}

/* Those that have waited go on, with a connection each where there is one. */
static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct source *s = arg;
	struct postgres *p = s->state;
	struct call *c, *next;
	uint64_t now = now_ms();

	(void)fd;
	(void)what;
	TAILQ_FOREACH_SAFE(c, &p->later, queue_entry, next)
		if (c->wait_ms <= now) {
			leave_queue(p, c);
			pg_wait(s, c);
		}
	arm_later(p);
	pg_dispatch(s);
}

/* Not all that failed together come again together. */
void
pg_later(struct source *s, struct call *c)
{
	struct postgres *p = s->state;
	uint32_t most = (uint32_t)RETRY_MIN_MS << c->tries;

	c->alone = 1;
	c->wait_ms = now_ms() + RETRY_MIN_MS + arc4random_uniform(most);
	c->queue = QUEUE_LATER;
	TAILQ_INSERT_TAIL(&p->later, c, queue_entry);
	arm_later(p);
}

void
pg_run(struct source *s, struct call *c)
{
	struct postgres *p = s->state;
	struct conn *cn = best_conn(s);

	if (cn != NULL) {
		give(cn, c);
	} else if (!may_come_up(s)) {
		c->retry_after = 1;
		call_fail(c, OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
	} else if (p->nwaiting >= WAITING_MAX) {
		c->retry_after = 1;
		call_fail(c, OUTCOME_OVERLOADED, REASON_QUEUE_FULL);
	} else {
		pg_wait(s, c);
	}
}

static struct call *
take_waiting(struct postgres *p)
{
	struct call *c = TAILQ_FIRST(&p->waiting);

	if (c != NULL)
		leave_queue(p, c);
	return c;
}

void
pg_dispatch(struct source *s)
{
	struct postgres *p = s->state;
	struct conn *cn;
	struct call *c;

	while (!TAILQ_EMPTY(&p->waiting) && (cn = best_conn(s)) != NULL)
		give(cn, take_waiting(p));
	if (TAILQ_EMPTY(&p->waiting) || may_come_up(s))
		return;
	while ((c = take_waiting(p)) != NULL) {
		c->retry_after = 1;
		call_fail(c, OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
	}
}

/* ---- the source -------------------------------------------------------- */

static int
pg_prepare(struct source *s, struct sandbox_needs *needs)
{
	struct postgres *p = calloc(1, sizeof(*p));
	uint32_t i;

	if (p == NULL || (p->conns = calloc(s->connections + 1,
	    sizeof(*p->conns))) == NULL) {
		free(p);
		return -1;
	}
	TAILQ_INIT(&p->waiting);
	TAILQ_INIT(&p->later);
	s->state = p;
	p->nconns = s->connections + 1;
	for (i = 0; i < p->nconns; i++)
		if (pg_conn_init(&p->conns[i], s) == -1)
			return -1;
	p->later_timer = evtimer_new(child.base, on_later, s);
	if (p->later_timer == NULL || pg_dsn_needs(s, needs) == -1)
		return -1;
	return pg_canceller_init(s);
}

static int
pg_start(struct source *s)
{
	struct postgres *p = s->state;
	uint32_t i;

	for (i = 0; i < s->connections; i++) {
		p->conns[i].wanted = 1;
		pg_connect(&p->conns[i]);
	}
	return 0;
}

/* What a lost connection held may go to any other: those are flushed last. */
static void
pg_turn(struct source *s)
{
	struct postgres *p = s->state;
	uint32_t i;

	for (i = 0; i < p->nconns; i++)
		pg_conn_drop(&p->conns[i]);
	for (i = 0; i < p->nconns; i++) {
		pg_conn_flush(&p->conns[i]);
		pg_cancel_first(&p->conns[i]);
		if (pg_age_is_over(&p->conns[i]))
			pg_conn_end(&p->conns[i]);
	}
}

/* A server that stands still keeps the connections that nobody uses. */
static void
pg_doubt(struct source *s)
{
	struct postgres *p = s->state;
	struct conn *cn;
	uint32_t i;

	for (i = 0; i < p->nconns; i++) {
		cn = &p->conns[i];
		if (cn->state == CONN_UP && TAILQ_EMPTY(&cn->ops))
			pg_give_up(cn, "others to this server failed");
	}
}

static int
pg_up(struct source *s)
{
	const struct postgres *p = s->state;
	uint32_t i;

	for (i = 0; i < p->nconns; i++)
		if (p->conns[i].wanted && p->conns[i].state == CONN_UP)
			return 1;
	return 0;
}

/* A read is answered at once; a write when the server has said what it did. */
static void
pg_cancel(struct source *s, struct call *c)
{
	if (c->queue != QUEUE_NONE) {
		leave_queue(s->state, c);
	} else if (c->conn == NULL) {
		return;
	} else if (c->tool->writes) {
		pg_unwant(c->conn, c);
		return;
	} else {
		pg_abandon(c->conn, c);
	}
	call_fail(c, OUTCOME_CANCELLED, REASON_CANCELLED);
}

/* The server does not keep its own timeout: it, or the way there, is dead. */
static int
is_stuck(const struct conn *cn, uint64_t now)
{
	const struct op *head = TAILQ_FIRST(&cn->ops);

	return head != NULL &&
	    now - cn->head_ms > (uint64_t)head->timeout_ms + GRACE_MS;
}

static struct call *
late_read(const struct conn *cn, uint64_t now)
{
	const struct op *op;

	TAILQ_FOREACH(op, &cn->ops, entry)
		if (op->call != NULL && !op->call->tool->writes &&
		    op->call->deadline_ms + GRACE_MS <= now)
			return op->call;
	return NULL;
}

/* Reads that waited too long behind others are answered; nobody is dropped. */
static void
expire_reads(struct conn *cn, uint64_t now)
{
	struct call *c;

	while ((c = late_read(cn, now)) != NULL) {
		pg_abandon(cn, c);
		call_fail(c, OUTCOME_TIMEOUT, REASON_SOURCE_TIMEOUT);
	}
}

static void
expire_waiting(struct source *s, uint64_t now)
{
	struct postgres *p = s->state;
	struct call *c, *next;
	uint32_t i;
	int up = 0;

	for (i = 0; i < p->nconns; i++)
		up |= p->conns[i].wanted && p->conns[i].state == CONN_UP;
	TAILQ_FOREACH_SAFE(c, &p->waiting, queue_entry, next) {
		if (c->deadline_ms > now && c->wait_ms > now)
			continue;
		leave_queue(p, c);
		c->retry_after = 1;
		call_fail(c, up ? OUTCOME_OVERLOADED :
		    OUTCOME_SOURCE_UNAVAILABLE, up ? REASON_QUEUE_FULL :
		    REASON_SOURCE_LOST);
	}
}

static int
pg_sweep(struct source *s, uint64_t now)
{
	struct postgres *p = s->state;
	struct conn *cn;
	uint32_t i, unwanted = 0;

	for (i = 0; i < p->nconns; i++) {
		cn = &p->conns[i];
		if (cn->state != CONN_UP || cn->lost)
			continue;
		if (is_stuck(cn, now))
			pg_give_up(cn, "no answer within the tool's timeout");
		else if (pg_cancel_hangs(cn, now))
			pg_give_up(cn, "the server takes no cancel");
		else
			expire_reads(cn, now);
		pg_cancel_first(cn);
		unwanted += cn->unwanted;
	}
	expire_waiting(s, now);
	return unwanted > 0;
}

static void
pg_status(struct source *s, struct buffer *b)
{
	struct postgres *p = s->state;
	uint32_t i, up = 0, calls = 0;

	for (i = 0; i < p->nconns; i++) {
		up += p->conns[i].wanted && p->conns[i].state == CONN_UP;
		calls += p->conns[i].calls;
	}
	(void)buffer_printf(b, "postgres, %u of %u connections up, "
	    "%u in flight, %u waiting", up, s->connections, calls,
	    p->nwaiting);
}

static void
pg_stats(const struct source *s, struct buffer *b, uint32_t number)
{
	const struct postgres *p = s->state;
	uint32_t i, up = 0, calls = 0;

	for (i = 0; i < p->nconns; i++) {
		up += p->conns[i].wanted && p->conns[i].state == CONN_UP;
		calls += p->conns[i].calls;
	}
	put_stat_of(b, STAT_SOURCE_CONNECTIONS, number, up);
	put_stat_of(b, STAT_SOURCE_CONNECTIONS_MAX, number, s->connections);
	put_stat_of(b, STAT_SOURCE_IN_FLIGHT, number, calls);
	put_stat_of(b, STAT_SOURCE_WAITING, number, p->nwaiting);
}

const struct source_ops source_postgres_ops = {
	.prepare = pg_prepare, .start = pg_start, .run = pg_run,
	.cancel = pg_cancel, .confine = pg_canceller_confine,
	.renew = pg_dsn_renew, .up = pg_up, .doubt = pg_doubt,
	.turn = pg_turn, .sweep = pg_sweep, .status = pg_status,
	.stats = pg_stats
};
