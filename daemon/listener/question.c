/* SPDX-License-Identifier: ISC */

/*
 * The table of open questions, and the peers that answer them.  A question
 * is asked of authd, at an authd's death of its successor; an allowed call
 * goes on to the handler that the question named.  Siblings are not trusted:
 * a decision counts once and for a question that was asked, a result counts
 * from the handler that was given the call and with the request id that
 * authd gave it.
 */

#include <stdio.h>

#include "../../common/log.h"
#include "../../common/proc.h"
#include "listener.h"

struct handler {
	struct channel	*channel;	/* NULL: none */
	uint32_t	 instance;
	uint32_t	 in_flight;	/* questions that name it, calls it has */
	int		 serves;	/* it says that calls would be served */
};

static struct connection *table[CALLS_IN_FLIGHT_MAX];
static uint64_t next_number = 1;
static size_t open_count;
static struct channel *authd;
static struct handler handlers[HANDLERS_MAX];

size_t
questions_open(void)
{
	return open_count;
}

int
questions_authd(void)
{
	return authd != NULL;
}

uint32_t
questions_handlers(void)
{
	uint32_t i, n = 0;

	for (i = 0; i < HANDLERS_MAX; i++)
		n += handlers[i].channel != NULL;
	return n;
}

/* One of them has a source that can be asked, and can be recorded. */
static int
one_serves(void)
{
	uint32_t i;

	for (i = 0; i < HANDLERS_MAX; i++)
		if (handlers[i].channel != NULL && handlers[i].serves)
			return 1;
	return 0;
}

int
questions_ready(void)
{
	if (listener.overloaded_ms != 0 &&
	    turn_ms() - listener.overloaded_ms < UNREADY_MS)
		return 0;
	return !listener.shutting_down && authd != NULL &&
	    !channel_full(authd) && one_serves();
}

/* ---- the table --------------------------------------------------------- */

static int
enter(struct connection *c)
{
	if (open_count == CALLS_IN_FLIGHT_MAX)
		return -1;
	while (table[next_number % CALLS_IN_FLIGHT_MAX] != NULL)
		next_number++;
	c->number = next_number++;
	c->question = QUESTION_WAITING;
	table[c->number % CALLS_IN_FLIGHT_MAX] = c;
	open_count++;
	return 0;
}

static struct connection *
find(uint64_t number)
{
	struct connection *c = table[number % CALLS_IN_FLIGHT_MAX];

	return c != NULL && c->number == number ? c : NULL;
}

/* The handler it names need not be kept in mind for it any more. */
static void
unreserve(struct connection *c)
{
	struct handler *h;

	if (c->handler >= HANDLERS_MAX)
		return;
	h = &handlers[c->handler];
	if (h->instance == c->handler_instance && h->in_flight > 0)
		h->in_flight--;
	c->handler = HANDLERS_MAX;
}

static void
leave(struct connection *c)
{
	unreserve(c);
	table[c->number % CALLS_IN_FLIGHT_MAX] = NULL;
	open_count--;
	c->question = QUESTION_NONE;
}

/* The handler with the fewest calls; -1: none is there that takes one. */
static int
reserve(struct connection *c)
{
	uint32_t i, best = HANDLERS_MAX;

	for (i = 0; i < listener.handlers && i < HANDLERS_MAX; i++) {
		if (handlers[i].channel == NULL ||
		    channel_full(handlers[i].channel))
			continue;
		if (best == HANDLERS_MAX ||
		    handlers[i].in_flight < handlers[best].in_flight)
			best = i;
	}
	if (best == HANDLERS_MAX)
		return -1;
	c->handler = best;
	c->handler_instance = handlers[best].instance;
	handlers[best].in_flight++;
	return 0;
}

/* ---- asking ------------------------------------------------------------ */

/* No handler: a good caller learns that, a bad one its 401. */
static void
plan_no_handler(struct connection *c)
{
	c->ask = ASK_REPORT_KNOWN;
	memset(&c->refusal, 0, sizeof(c->refusal));
	c->refusal.status = 503;
	c->refusal.outcome = OUTCOME_OVERLOADED;
	c->refusal.reason = questions_handlers() > 0 ? REASON_QUEUE_FULL :
	    REASON_PROCESS_DIED;
}

static int
send_question(struct connection *c)
{
	struct msg_authorize m = {
		.ask = (uint8_t)c->ask,
		.handler_index = c->handler < HANDLERS_MAX ? c->handler : 0,
		.form = (uint8_t)c->form, .credential = c->credential,
		.method = slice_of(c->mcp.method),
		.tool = slice_of(c->mcp.tool), .peer = slice_of(c->caller),
		.via = slice_of(c->caller == c->peer ? "" : c->peer),
		.revision = slice_of(c->mcp.revision),
		.client = slice_of(c->mcp.client),
		.traceparent = slice_of(c->mcp.traceparent),
		.outcome = (uint8_t)c->refusal.outcome,
		.reason = (uint8_t)c->refusal.reason,
	};
	struct buffer *b;

	memcpy(m.digest, c->digest, sizeof(m.digest));
	if ((b = channel_begin(authd, MSG_AUTHORIZE, c->number)) == NULL)
		return -1;
	put_authorize(b, &m);
	return channel_commit(authd);
}

static void
ask(struct connection *c)
{
	if (authd == NULL || channel_full(authd))
		return;
	if (c->ask == ASK_CALL && reserve(c) == -1)
		plan_no_handler(c);
	if (send_question(c) == -1) {
		unreserve(c);
		return;
	}
	c->question = QUESTION_ASKED;
	if (!c->answered)
		conn_deadline(c, DEADLINE_DECISION);
}

void
question_open(struct connection *c)
{
	c->state = CONN_ASKING;
	c->asked_us = turn_us();
	if (enter(c) == -1) {
		answer_overloaded(c, "too many questions are open");
		return;
	}
	ask(c);
	if (c->question == QUESTION_WAITING)
		conn_deadline(c, DEADLINE_AUTHD);
}

static void
ask_waiting(void)
{
	size_t i;

	for (i = 0; i < CALLS_IN_FLIGHT_MAX && authd != NULL; i++) {
		if (table[i] == NULL || table[i]->question != QUESTION_WAITING)
			continue;
		if (channel_full(authd))
			break;
		ask(table[i]);
	}
}

/* ---- giving up --------------------------------------------------------- */

static void
send_cancel(struct connection *c)
{
	struct handler *h;

	if (c->question != QUESTION_CALLED || c->cancelled)
		return;
	c->cancelled = 1;
	h = &handlers[c->handler];
	if (h->channel != NULL && h->instance == c->handler_instance)
		(void)channel_send(h->channel, MSG_CANCEL, c->number, NULL, 0);
}

/*
 * In 2026-07-28 a client that closes its stream cancels its call.  Before, a
 * connection that is lost is none, for a client may take up its answer again:
 * not here, so that a call that reads is stopped all the same, and one that
 * writes goes on.  `notifications/cancelled' names a number that other
 * clients of the same credential use as well; without sessions nobody knows
 * whose is meant, and it stops nothing.
 */
void
question_cancel(struct connection *c)
{
	if (c->mcp.era == ERA_MODERN || !c->writes)
		send_cancel(c);
}

/*
 * Authd does not answer.  The client gets its 503 now; the question stays,
 * as the report of that, so that the trail shows it once authd is back.
 */
static void
give_up_decision(struct connection *c)
{
	const char *why = c->question == QUESTION_WAITING ?
	    "there is no authd" : "authd does not answer";

	c->answered = 1;
	c->close = 1;
	c->ask = ASK_REPORT;
	c->form = FORM_NONE;
	c->refusal.outcome = OUTCOME_OVERLOADED;
	c->refusal.reason = REASON_PROCESS_DIED;
	unreserve(c);
	answer_overloaded(c, why);
	conn_forget_input(c);
}

void
question_late(struct connection *c)
{
	if (c->question != QUESTION_CALLED) {
		give_up_decision(c);
		return;
	}
	log_warn("handler %u gives no result in time: cancelled", c->handler);
	send_cancel(c);
	leave(c);
	answer_failure(c, OUTCOME_TIMEOUT, c->writes);
}

/* ---- authd ------------------------------------------------------------- */

/* The ticket and the body go to the handler that the ticket is for. */
static void
pass_on(struct connection *c, struct slice ticket)
{
	struct handler *h = &handlers[c->handler];
	struct msg_call m = { ticket, { (const char *)c->in.data +
	    c->http.head_end, c->http.body_len } };
	struct buffer *b;

	if (c->handler >= HANDLERS_MAX || h->channel == NULL ||
	    h->instance != c->handler_instance ||
	    /* It does not keep up; to queue more would end the channel. */
	    channel_queued(h->channel) > CHANNEL_QUEUE_MAX / 2 ||
	    (b = channel_begin(h->channel, MSG_CALL, c->number)) == NULL)
		goto gone;
	put_call(b, &m);
	if (channel_commit(h->channel) == -1)
		goto gone;
	c->question = QUESTION_CALLED;
	conn_forget_credential(c);
	conn_deadline(c, DEADLINE_HANDLER);
	/* Its record must be closed, but nobody waits. */
	if (c->fd == -1)
		question_cancel(c);
	return;
gone:
	leave(c);
	answer_failure(c, OUTCOME_INTERNAL_ERROR, 0);
}

static int
on_decision(const struct frame *f)
{
	struct msg_decision m;
	struct connection *c;

	if (f->type != MSG_DECISION || get_decision(f, &m) == -1)
		return -1;
	c = find(f->id);
	if (c == NULL || c->question != QUESTION_ASKED) {
		log_debug("decision on no open question: %llu",
		    (unsigned long long)f->id);
		return 0;
	}
	if (c->ask == ASK_CALL && m.outcome == OUTCOME_OK && m.ticket.len == 0)
		return -1;
	if (m.outcome == OUTCOME_OVERLOADED)
		listener.overloaded_ms = turn_ms();
	else if (m.outcome == OUTCOME_OK)
		listener.overloaded_ms = 0;
	memcpy(c->request_id, m.request_id, sizeof(c->request_id));
	/* Of a report nothing is known but that it was made. */
	if (c->ask != ASK_REPORT && m.outcome != OUTCOME_OVERLOADED)
		room_known(c, m.outcome != OUTCOME_AUTH_FAILED);
	if (c->answered) {
		leave(c);
		conn_release(c);
	} else if (c->ask == ASK_CALL && m.outcome == OUTCOME_OK) {
		c->writes = m.writes;
		pass_on(c, m.ticket);
	} else {
		leave(c);
		answer_decision(c, &m);
	}
	return 0;
}

static int
on_authd_frame(struct channel *ch, const struct frame *f, void *arg)
{
	(void)ch;
	(void)arg;
	return on_decision(f);
}

/* What it had not decided is asked again, under the same numbers. */
static void
authd_lost(void)
{
	struct connection *c;
	size_t i;

	authd = NULL;
	for (i = 0; i < CALLS_IN_FLIGHT_MAX; i++) {
		c = table[i];
		if (c == NULL || c->question != QUESTION_ASKED)
			continue;
		unreserve(c);
		c->question = QUESTION_WAITING;
		if (!c->answered)
			conn_deadline(c, DEADLINE_AUTHD);
	}
}

static void
on_authd_closed(struct channel *ch, void *arg)
{
	(void)arg;
	if (ch != authd)
		return;
	log_debug("authd is gone: %zu questions wait", open_count);
	child_peer_gone(ch, ROLE_AUTHD, 0);
	authd_lost();
}

static void
on_authd_drained(struct channel *ch, void *arg)
{
	(void)ch;
	(void)arg;
	ask_waiting();
}

/* ---- handlers ---------------------------------------------------------- */

static int
on_handler_frame(struct channel *ch, const struct frame *f, void *arg)
{
	struct handler *h = arg;
	uint32_t index = (uint32_t)(h - handlers);
	struct msg_result m;
	struct connection *c;

	(void)ch;
	if (f->type == MSG_SERVES)
		return get_flag(f, &h->serves);
	if (f->type != MSG_RESULT || get_result(f, &m) == -1)
		return -1;
	c = find(f->id);
	if (c == NULL || c->question != QUESTION_CALLED ||
	    c->handler != index || c->handler_instance != h->instance) {
		log_debug("result of no open call: %llu",
		    (unsigned long long)f->id);
		return 0;
	}
	if (memcmp(m.request_id, c->request_id, sizeof(m.request_id)) != 0)
		return -1;
	if (m.outcome == OUTCOME_OVERLOADED)
		listener.overloaded_ms = turn_ms();
	else if (m.outcome == OUTCOME_OK)
		listener.overloaded_ms = 0;
	leave(c);
	answer_result(c, &m);
	return 0;
}

/* What it had been given fails; nobody knows whether it ran. */
static void
handler_lost(struct handler *h)
{
	uint32_t index = (uint32_t)(h - handlers);
	struct connection *c;
	size_t i;

	h->channel = NULL;
	h->in_flight = 0;
	for (i = 0; i < CALLS_IN_FLIGHT_MAX; i++) {
		c = table[i];
		if (c == NULL || c->question != QUESTION_CALLED ||
		    c->handler != index || c->handler_instance != h->instance)
			continue;
		leave(c);
		answer_failure(c, OUTCOME_INTERNAL_ERROR, c->writes);
	}
}

static void
on_handler_closed(struct channel *ch, void *arg)
{
	struct handler *h = arg;

	if (ch != h->channel)
		return;
	log_debug("handler %u is gone: %u calls fail",
	    (unsigned int)(h - handlers), h->in_flight);
	child_peer_gone(ch, ROLE_HANDLER, (uint32_t)(h - handlers));
	handler_lost(h);
}

/* ---- new peers --------------------------------------------------------- */

static void
new_authd(int fd)
{
	static const struct channel_ops ops = {
		.frame = on_authd_frame, .closed = on_authd_closed,
		.drained = on_authd_drained,
	};
	struct channel *old = authd;

	if (old != NULL) {
		authd_lost();
		channel_close(old);
	}
	authd = channel_new(child.base, fd, "authd", 0, &ops, NULL);
	if (authd == NULL) {
		log_errno("channel to authd");
		close(fd);
		return;
	}
	/* Credentials leave here. */
	channel_secret(authd);
	ask_waiting();
}

static void
new_handler(const struct msg_peer *m, int fd)
{
	static const struct channel_ops ops = {
		.frame = on_handler_frame, .closed = on_handler_closed,
	};
	struct handler *h = &handlers[m->index];
	struct channel *old = h->channel;
	char name[32];

	if (old != NULL) {
		handler_lost(h);
		channel_close(old);
	}
	(void)snprintf(name, sizeof(name), "handler %u", m->index);
	h->instance = m->instance;
	h->in_flight = 0;
	h->serves = 0;
	h->channel = channel_new(child.base, fd, name, 0, &ops, h);
	if (h->channel == NULL) {
		log_errno("channel to %s", name);
		close(fd);
	}
}

void
question_peer(const struct msg_peer *m, int fd)
{
	if (m->role == ROLE_AUTHD) {
		new_authd(fd);
	} else if (m->role == ROLE_HANDLER && m->index < HANDLERS_MAX &&
	    m->index < listener.handlers) {
		new_handler(m, fd);
	} else {
		log_warn("a peer that a listener does not have: %s %u",
		    role_name((enum role)m->role), m->index);
		close(fd);
	}
}
