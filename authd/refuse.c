/* SPDX-License-Identifier: ISC */

/*
 * Refusals and their answers.  A refusal leaves when its record is durable;
 * equal ones in a flood are folded into one record; what a penalty holds back
 * waits a little longer.  What could not be recorded at all is counted, and
 * recorded as a sum as soon as there is somebody to record it.
 */

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/log.h"
#include "../common/stats.h"
#include "authd.h"

static uint8_t epoch[8];
static uint64_t minted;
static struct event *fold_timer;
static size_t ndelayed;
static size_t folded_waiters;	/* since the folds were recorded */
static uint32_t unrecorded;	/* refusals while auditd was away too long */
static int hurried;		/* the end: nothing is held back any more */
static uint64_t refusals[REASON_MAX];

/* ---- answers ----------------------------------------------------------- */

void
mint_request_id(uint8_t id[REQUEST_ID_LEN])
{
	uint64_t n = ++minted;
	int i;

	memcpy(id, epoch, sizeof(epoch));
	for (i = 0; i < 8; i++)
		id[15 - i] = (uint8_t)(n >> (8 * i));
}

void
send_decision(struct channel *ch, uint64_t question,
    const struct msg_decision *m)
{
	struct buffer *b;

	if (ch != NULL)
		question_answered(ch);
	if (ch == NULL || (b = channel_begin(ch, MSG_DECISION, question)) ==
	    NULL)
		return;
	put_decision(b, m);
	(void)channel_commit(ch);
}

static void
waiter_answer(struct waiter *w)
{
	send_decision(w->listener, w->question, &w->decision);
	free(w);
}

/* A timer that holds one answer back. */
struct delayed {
	TAILQ_ENTRY(delayed)	 entry;
	struct event		*timer;
	struct waiter		*waiter;
};
static TAILQ_HEAD(, delayed) delayed_list =
    TAILQ_HEAD_INITIALIZER(delayed_list);

static void
delay_over(evutil_socket_t fd, short what, void *arg)
{
	struct delayed *d = arg;

	(void)fd;
	(void)what;
	TAILQ_REMOVE(&delayed_list, d, entry);
	ndelayed--;
	event_free(d->timer);
	waiter_answer(d->waiter);
	free(d);
}

static int
waiter_delay(struct waiter *w)
{
	struct timeval tv = { (time_t)(w->delay_ms / 1000),
	    (suseconds_t)(w->delay_ms % 1000 * 1000) };
	struct delayed *d;

	if (ndelayed >= HELD_MAX || hurried ||
	    (d = calloc(1, sizeof(*d))) == NULL)
		return -1;
	if ((d->timer = evtimer_new(child.base, delay_over, d)) == NULL ||
	    evtimer_add(d->timer, &tv) == -1) {
		if (d->timer != NULL)
			event_free(d->timer);
		free(d);
		return -1;
	}
	d->waiter = w;
	TAILQ_INSERT_TAIL(&delayed_list, d, entry);
	ndelayed++;
	return 0;
}

static void
answer_waiters(struct waiter *w, int durable)
{
	struct waiter *next;

	for (; w != NULL; w = next) {
		next = w->next;
		if (!durable) {
			/* It could not be recorded: say no more than that. */
			w->decision.outcome = OUTCOME_OVERLOADED;
			w->decision.retry_after = 1;
			w->decision.scope.len = 0;
			memset(&w->decision.limit, 0,
			    sizeof(w->decision.limit));
		}
		if (w->delay_ms == 0 || waiter_delay(w) == -1)
			waiter_answer(w);
	}
}

void
report_settled(void *arg, int durable)
{
	struct owed *owed = arg;

	if (owed->what == OWED_CALL)
		call_ended(owed);
	else
		answer_waiters((struct waiter *)owed, durable);
}

int
report_send(const struct msg_audit_decision *m, struct owed *owed)
{
	struct buffer b;

	buffer_init(&b, FRAME_PAYLOAD_MAX);
	put_audit_decision(&b, m);
	return outbox_send(MSG_AUDIT_DECISION, &b, owed);
}

/* ---- refusals ---------------------------------------------------------- */

static void
fold_record(struct fold *f, void *arg)
{
	struct msg_audit_decision m;
	struct waiter *waiters = f->waiters;

	(void)arg;
	memset(&m, 0, sizeof(m));
	mint_request_id(m.request_id);
	m.time_us = wall_us();
	m.outcome = f->outcome;
	m.reason = f->reason;
	m.calls = f->folded;
	m.identity.key_id = m.identity.owner = m.identity.label =
	    slice_of("");
	m.method = m.revision = m.client = m.traceparent = slice_of("");
	m.tool = slice_of(f->tool);
	m.peer = slice_of(f->peer);
	if (report_send(&m, waiters == NULL ? NULL : &waiters->owed) == -1)
		return;		/* tried again at the next turn of the timer */
	f->folded = 0;
	f->waiters = NULL;
}

static int	arm_fold_timer(void);

static void
count_left(struct fold *f, void *arg)
{
	(void)f;
	(*(int *)arg)++;
}

static void
fold_now(void)
{
	folded_waiters = 0;
	fold_each(fold_record, NULL);
}

static void
fold_due(evutil_socket_t fd, short what, void *arg)
{
	int left = 0;

	(void)fd;
	(void)what;
	(void)arg;
	fold_now();
	fold_each(count_left, &left);
	if (left > 0)
		(void)arm_fold_timer();
}

static int
arm_fold_timer(void)
{
	static const struct timeval tv = {
		FOLD_FLUSH_MS / 1000, FOLD_FLUSH_MS % 1000 * 1000
	};

	return evtimer_pending(fold_timer, NULL) ? 0 :
	    evtimer_add(fold_timer, &tv);
}

static struct waiter *
make_waiter(struct channel *ch, uint64_t question, const struct refusal *r)
{
	struct waiter *w;

	if ((w = calloc(1, sizeof(*w))) == NULL)
		return NULL;
	w->owed.what = OWED_ANSWERS;
	w->listener = ch;
	w->question = question;
	w->delay_ms = r->delay_ms;
	mint_request_id(w->decision.request_id);
	w->decision.outcome = (uint8_t)r->outcome;
	w->decision.no_credential = r->no_credential;
	w->decision.retry_after = r->retry_after;
	w->decision.limit = r->limit;
	w->decision.ticket = w->decision.tools = slice_of("");
	if (r->scope != NULL)
		strlcpy(w->scope, r->scope, sizeof(w->scope));
	w->decision.scope = slice_of(w->scope);
	return w;
}

void
fill_report(struct msg_audit_decision *m, const struct msg_authorize *ask)
{
	memset(m, 0, sizeof(*m));
	m->time_us = wall_us();
	m->calls = 1;
	m->identity.key_id = m->identity.owner = m->identity.label =
	    slice_of("");
	m->method = ask->method;
	m->tool = ask->tool;
	m->peer = ask->peer;
	m->via = ask->via;
	m->revision = ask->revision;
	m->client = ask->client;
	m->traceparent = ask->traceparent;
}

/* Answers without a record; what is not recorded is counted for later. */
void
refuse_unrecorded(struct channel *ch, uint64_t question)
{
	struct msg_decision m;

	memset(&m, 0, sizeof(m));
	mint_request_id(m.request_id);
	m.outcome = OUTCOME_OVERLOADED;
	m.retry_after = 1;
	m.scope = m.ticket = m.tools = slice_of("");
	if (unrecorded < UINT32_MAX)
		unrecorded++;
	send_decision(ch, question, &m);
}

void
refuse(const struct asker *l, uint64_t question, const struct msg_authorize *ask,
    const struct refusal *r)
{
	struct msg_audit_decision m;
	struct waiter *w;
	struct fold *f;
	int alone;

	refusals[r->reason]++;
	if ((w = make_waiter(l->ch, question, r)) == NULL) {
		refuse_unrecorded(l->ch, question);
		return;
	}
	f = fold_count(ask->peer, (uint8_t)r->outcome, (uint8_t)r->reason,
	    ask->tool, now_ms(), &alone);
	if (!alone) {
		w->next = f->waiters;
		f->waiters = w;
		/* A flood does not have to wait for the timer, nor we with it. */
		if (++folded_waiters >= FOLD_WAITERS_MAX)
			fold_now();
		(void)arm_fold_timer();
		return;
	}
	fill_report(&m, ask);
	memcpy(m.request_id, w->decision.request_id, sizeof(m.request_id));
	m.outcome = (uint8_t)r->outcome;
	m.reason = (uint8_t)r->reason;
	m.listener_instance = l->instance;
	m.question = question;
	if (r->identity != NULL)
		m.identity = *r->identity;
	else
		m.identity.key_id = r->suspect;
	if (report_send(&m, &w->owed) == -1) {
		free(w);
		refuse_unrecorded(l->ch, question);
	}
}

/* What went out unrecorded gets its record now, as one with a count. */
void
record_unrecorded(void)
{
	struct msg_audit_decision m;
	struct msg_authorize none;

	if (unrecorded == 0)
		return;
	memset(&none, 0, sizeof(none));
	none.method = slice_of("");
	none.tool = none.peer = none.via = none.method;
	none.revision = none.client = none.traceparent = none.method;
	fill_report(&m, &none);
	mint_request_id(m.request_id);
	m.outcome = OUTCOME_OVERLOADED;
	m.reason = REASON_AUDIT_FAILED;
	m.calls = unrecorded;
	if (report_send(&m, NULL) == 0)
		unrecorded = 0;
}

static void
forget(struct waiter *w, const void *listener)
{
	for (; w != NULL; w = w->next)
		if (w->listener == listener)
			w->listener = NULL;
}

static void
forget_owed(void *arg, void *listener)
{
	struct owed *owed = arg;

	if (owed->what == OWED_ANSWERS)
		forget((struct waiter *)owed, listener);
}

static void
forget_in_fold(struct fold *f, void *listener)
{
	forget(f->waiters, listener);
}

void
refuse_forget(struct channel *listener)
{
	struct delayed *d;

	outbox_each(forget_owed, listener);
	fold_each(forget_in_fold, listener);
	TAILQ_FOREACH(d, &delayed_list, entry)
		if (d->waiter->listener == listener)
			d->waiter->listener = NULL;
}

int
refuse_start(void)
{
	random_bytes(epoch, sizeof(epoch));
	fold_timer = evtimer_new(child.base, fold_due, NULL);
	return fold_timer == NULL ? -1 : 0;
}

void
refuse_hurry(void)
{
	hurried = 1;
	fold_each(fold_record, NULL);
	record_unrecorded();
}

uint64_t
refused_count(void)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < REASON_MAX; i++)
		sum += refusals[i];
	return sum;
}

void
refuse_stats(struct buffer *b)
{
	uint32_t i;

	for (i = REASON_NONE + 1; i < REASON_MAX; i++)
		put_stat_of(b, STAT_REFUSALS, i, refusals[i]);
}
