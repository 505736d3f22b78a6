/* SPDX-License-Identifier: ISC */

/*
 * A handler: acts on a ticket and on nothing else.  The listener that brings
 * it is taken to be hostile: the seal, the body's digest, the tool that the
 * body names, freshness and single use are checked before a byte of the
 * arguments is looked at.  A result leaves when its record is durable.
 */

#include <stdio.h>

#include <event2/event.h>

#include "../../common/crypt.h"
#include "../../common/log.h"
#include "../../common/ticket.h"
#include "source.h"

struct key {
	uint32_t		generation;	/* 0: there is none */
	uint8_t			key[KEY_LEN];
	struct ticket_window	window;
};

TAILQ_HEAD(call_list, call);

static struct call_list active = TAILQ_HEAD_INITIALIZER(active);
static struct call_list spare = TAILQ_HEAD_INITIALIZER(spare);
static size_t nactive, nspare;
static struct key keys[2];		/* the newest, and the one before */
static struct channel *listeners[LISTENERS_MAX];
static struct channel *auditd;
static struct event *sweep_timer;
static struct json body_json;
static int stopping;
static uint64_t calls_total, bad_tickets;

/* ---- calls ------------------------------------------------------------- */

static struct call *
call_new(void)
{
	struct call *c = TAILQ_FIRST(&spare);

	if (nactive >= CALLS_MAX)
		return NULL;
	if (c != NULL) {
		TAILQ_REMOVE(&spare, c, entry);
		nspare--;
	} else if ((c = calloc(1, sizeof(*c))) == NULL) {
		return NULL;
	} else {
		buffer_init(&c->ticket, TICKET_MAX);
		buffer_init(&c->arena, 2 * BODY_MAX);
		buffer_init(&c->clear, PARAMS_JSON_MAX);
		buffer_init(&c->hidden_text, BODY_MAX);
		buffer_init(&c->structured, RESULT_MAX);
	}
	TAILQ_INSERT_TAIL(&active, c, entry);
	nactive++;
	return c;
}

/* Buffers keep their memory where it is small; contents are cleared. */
static void
buffer_rest(struct buffer *b)
{
	if (b->cap > 64 * 1024) {
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
	buffer_rest(&c->ticket);
	buffer_rest(&c->arena);
	buffer_rest(&c->clear);
	buffer_rest(&c->hidden_text);
	buffer_rest(&c->structured);
	c->state = CALL_FREE;
	c->listener = NULL;
	c->tool = NULL;
	c->nhidden = 0;
	c->asked_us = c->source_us = c->rows = c->bytes = 0;
	c->outcome = OUTCOME_OK;
	c->reason = REASON_NONE;
	c->message[0] = '\0';
	c->retry_after = 0;
	c->truncated = c->intended = c->may_have_run = c->alone = 0;
	c->tries = c->failed = 0;
	if (nspare >= 256) {
		buffer_free(&c->ticket);
		buffer_free(&c->arena);
		buffer_free(&c->clear);
		buffer_free(&c->hidden_text);
		buffer_free(&c->structured);
		free(c);
		return;
	}
	TAILQ_INSERT_HEAD(&spare, c, entry);
	nspare++;
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

/* ---- answers ----------------------------------------------------------- */

static void
send_result(struct call *c)
{
	struct msg_result m;
	struct buffer *b;
	size_t length_at, start;
	uint32_t len;

	if (c->listener == NULL)
		return;
	b = channel_begin(c->listener, MSG_RESULT, c->question);
	if (b == NULL)
		return;
	memset(&m, 0, sizeof(m));
	m.outcome = (uint8_t)c->outcome;
	memcpy(m.request_id, c->request_id, sizeof(m.request_id));
	m.retry_after = c->retry_after;
	m.members = slice_of("");
	put_result(b, &m);
	/* The members are rendered where they travel: their length follows. */
	length_at = b->len - sizeof(len);
	start = b->len;
	if (c->outcome == OUTCOME_OK)
		(void)render_members(c, b);
	else if (c->outcome != OUTCOME_OVERLOADED)
		render_error_members(c, b);
	if (!b->bad) {
		len = (uint32_t)(b->len - start);
		memcpy(b->data + length_at, &len, sizeof(len));
	}
	if (channel_commit(c->listener) == -1)
		log_warn("result could not be sent: tool %s", c->tool->name);
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
		c->message[0] = '\0';
	}
	c->reason = REASON_AUDIT_FAILED;
	send_result(c);
	outbox_disown(c);
	call_free(c);
}

static void
finish(struct call *c)
{
	c->state = CALL_REPORT;
	c->deadline_ms = now_ms() + AUDIT_WAIT_MS;
	if (report_call(c, MSG_AUDIT_OUTCOME) == -1)
		answer_unrecorded(c);
}

void
call_done(struct call *c)
{
	if (c->asked_us != 0)
		c->source_us = now_us() - c->asked_us;
	finish(c);
}

void
call_fail(struct call *c, enum outcome outcome, enum reason reason)
{
	c->outcome = outcome;
	c->reason = reason;
	c->rows = c->bytes = 0;
	c->truncated = 0;
	call_done(c);
}

static void
run(struct call *c)
{
	c->state = CALL_RUNNING;
	c->deadline_ms = now_ms() + c->tool->timeout_ms;
	c->asked_us = now_us();
	c->tool->source->ops->run(c->tool->source, c);
}

void
call_recorded(void *call, int durable)
{
	struct call *c = call;

	if (c->state == CALL_INTENT) {
		if (durable) {
			c->intended = 1;
			run(c);
			return;
		}
		/* It did not start, and that it did not is tried to record. */
		c->outcome = OUTCOME_OVERLOADED;
		c->reason = REASON_AUDIT_FAILED;
		answer_unrecorded(c);
		return;
	}
	if (!durable) {
		answer_unrecorded(c);
		return;
	}
	send_result(c);
	call_free(c);
}

/* ---- tickets ----------------------------------------------------------- */

static struct key *
key_of(uint32_t generation)
{
	size_t i;

	for (i = 0; generation != 0 && i < 2; i++)
		if (keys[i].generation == generation)
			return &keys[i];
	return NULL;
}

/* What is wrong with the ticket for this body; NULL: nothing. */
static const char *
check_ticket(const struct msg_call *m, struct ticket *t)
{
	uint8_t digest[DIGEST_LEN];
	struct key *key;

	key = key_of(ticket_generation(m->ticket.ptr, m->ticket.len));
	if (key == NULL)
		return "no key of that generation";
	if (ticket_open(t, m->ticket.ptr, m->ticket.len, key->key) == -1)
		return "not sealed by authd";
	/* Used from here on, whatever else is wrong with it. */
	if (ticket_window_use(&key->window, t->serial) == -1)
		return "used before";
	if (t->expires_ms < now_ms())
		return "too old";
	sha256(m->body.ptr, m->body.len, digest);
	if (!digest_equal(digest, t->digest))
		return "for another body";
	return NULL;
}

/* Finds the arguments; -1 where the body is not the call it must be. */
static int
parse_body(const struct msg_call *m, const struct ticket *t, uint32_t *args)
{
	uint32_t params, name;
	char text[TOOL_NAME_MAX + 1];

	if (json_parse(&body_json, m->body.ptr, m->body.len) == -1 ||
	    !json_string_is(&body_json, json_member(&body_json, 0, "method"),
	    "tools/call"))
		return -1;
	params = json_member(&body_json, 0, "params");
	name = json_member(&body_json, params, "name");
	if (json_copy(&body_json, name, text, sizeof(text)) == -1 ||
	    !slice_is(t->tool, text))
		return -1;
	*args = json_member(&body_json, params, "arguments");
	return *args == JSON_NONE || json_is(&body_json, *args, JSON_OBJECT) ?
	    0 : -1;
}

/* An answer to a call that never became one: an attack, or our own fault. */
static void
refuse_ticket(struct channel *ch, uint64_t question, const char *why)
{
	struct msg_result m;
	struct buffer *b;

	bad_tickets++;
	log_warn("ticket refused: %s: %s", channel_name(ch), why);
	memset(&m, 0, sizeof(m));
	m.outcome = OUTCOME_INTERNAL_ERROR;
	m.members = slice_of("");
	if ((b = channel_begin(ch, MSG_RESULT, question)) == NULL)
		return;
	put_result(b, &m);
	(void)channel_commit(ch);
}

static int
call_start(struct channel *ch, uint64_t question, const struct msg_call *m)
{
	const struct tool *tool;
	struct ticket t;
	const char *why;
	struct call *c;
	uint32_t args;

	if ((why = check_ticket(m, &t)) == NULL &&
	    parse_body(m, &t, &args) == -1)
		why = "for another tool than the body's";
	tool = why == NULL ? tool_find(t.tool) : NULL;
	if (why == NULL && tool == NULL)
		why = "for a tool that is not here";
	if (why != NULL) {
		refuse_ticket(ch, question, why);
		return 0;
	}
	if ((c = call_new()) == NULL) {
		refuse_ticket(ch, question, "too many calls");
		return 0;
	}
	calls_total++;
	c->listener = ch;
	c->question = question;
	c->tool = tool;
	c->started_us = now_us();
	/* The identity must outlive the frame: open the copy. */
	(void)buffer_add_slice(&c->ticket, m->ticket);
	if (c->ticket.bad || ticket_open(&t, c->ticket.data, c->ticket.len,
	    key_of(t.generation)->key) == -1) {
		refuse_ticket(ch, question, "out of memory");
		call_free(c);
		return 0;
	}
	c->identity = t.identity;
	memcpy(c->request_id, t.request_id, sizeof(c->request_id));
	arm_sweep();
	if (params_bind(c, &body_json, args) == -1) {
		call_fail(c, OUTCOME_INVALID_INPUT, REASON_BAD_ARGUMENTS);
		return 0;
	}
	if (!report_room()) {
		call_fail(c, OUTCOME_OVERLOADED, REASON_QUEUE_FULL);
		return 0;
	}
	if (!tool->writes) {
		run(c);
		return 0;
	}
	c->state = CALL_INTENT;
	c->deadline_ms = now_ms() + AUDIT_WAIT_MS;
	if (report_call(c, MSG_AUDIT_INTENT) == -1)
		call_fail(c, OUTCOME_OVERLOADED, REASON_AUDIT_FAILED);
	return 0;
}

/* ---- peers ------------------------------------------------------------- */

static int
on_listener(struct channel *ch, const struct frame *f, void *arg)
{
	struct msg_call m;

	(void)arg;
	switch (f->type) {
	case MSG_CALL:
		if (get_call(f, &m) == -1)
			return -1;
		return call_start(ch, f->id, &m);
	case MSG_CANCEL:
		/* It runs to its end, so that its record says what it did. */
		return f->length == 0 ? 0 : -1;
	default:
		return -1;
	}
}

static void
forget_listener(const struct channel *ch)
{
	struct call *c;

	TAILQ_FOREACH(c, &active, entry)
		if (c->listener == ch)
			c->listener = NULL;
}

static void
listener_closed(struct channel *ch, void *arg)
{
	struct channel **slot = arg;

	forget_listener(ch);
	if (*slot == ch)
		*slot = NULL;
}

static int
on_auditd(struct channel *ch, const struct frame *f, void *arg)
{
	(void)ch;
	(void)arg;
	return outbox_acks(f, call_recorded);
}

static void
auditd_closed(struct channel *ch, void *arg)
{
	(void)arg;
	if (auditd == ch) {
		auditd = NULL;
		outbox_gone();
		child_peer_gone(ch, ROLE_AUDITD, 0);
	}
}

static void
peer(const struct msg_peer *m, int fd)
{
	static const struct channel_ops to_listener = {
		.frame = on_listener, .closed = listener_closed
	};
	static const struct channel_ops to_auditd = {
		.frame = on_auditd, .closed = auditd_closed
	};
	struct channel **slot;
	char name[32];

	if (m->role == ROLE_LISTENER && m->index < LISTENERS_MAX) {
		slot = &listeners[m->index];
		if (*slot != NULL) {
			forget_listener(*slot);
			channel_close(*slot);
		}
		(void)snprintf(name, sizeof(name), "listener %u", m->index);
		*slot = channel_new(child.base, fd, name, 0, &to_listener,
		    slot);
		if (*slot == NULL)
			close(fd);
	} else if (m->role == ROLE_AUDITD) {
		channel_close(auditd);
		auditd = channel_new(child.base, fd, "auditd", 0, &to_auditd,
		    NULL);
		if (auditd == NULL) {
			close(fd);
			outbox_gone();
			return;
		}
		outbox_peer(auditd);
	} else {
		close(fd);
	}
}

static int
set_key(const struct frame *f)
{
	struct msg_ticket_key m;

	if (get_ticket_key(f, &m) == -1)
		return -1;
	keys[1] = keys[0];
	keys[0].generation = m.generation;
	memcpy(keys[0].key, m.key, sizeof(keys[0].key));
	ticket_window_init(&keys[0].window);
	explicit_bzero(&m, sizeof(m));
	return 0;
}

static int
send_status(uint64_t id)
{
	struct source *s;
	struct buffer b;
	uint32_t i;
	int rc;

	buffer_init(&b, 1000);
	(void)buffer_printf(&b, "calls %llu, active %zu, reports open %zu, "
	    "bad tickets %llu, auditd %s\n", (unsigned long long)calls_total,
	    nactive, outbox_open(), (unsigned long long)bad_tickets,
	    auditd == NULL ? "away" : "connected");
	for (i = 0; (s = source_at(i)) != NULL && !b.bad; i++) {
		(void)buffer_printf(&b, "source %s: ", s->name);
		s->ops->status(s, &b);
		(void)buffer_add_char(&b, '\n');
	}
	rc = channel_send(child.control, MSG_STATUS, id, b.data,
	    b.bad ? 0 : b.len);
	buffer_free(&b);
	return rc;
}

static int
control(const struct frame *f)
{
	switch (f->type) {
	case MSG_TICKET_KEY:
		return set_key(f);
	case MSG_STATUS_ASK:
		return send_status(f->id);
	default:
		return -1;
	}
}

/* ---- life -------------------------------------------------------------- */

static void
expire(struct call *c)
{
	switch (c->state) {
	case CALL_INTENT:
		outbox_disown(c);
		call_fail(c, OUTCOME_OVERLOADED, REASON_AUDIT_FAILED);
		break;
	case CALL_REPORT:
		answer_unrecorded(c);
		break;
	default:
		break;		/* running: its source sees to it */
	}
}

static void
sweep(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = now_ms();
	struct call *c, *next;
	struct source *s;
	uint32_t i;

	(void)fd;
	(void)what;
	(void)arg;
	TAILQ_FOREACH_SAFE(c, &active, entry, next)
		if (c->deadline_ms <= now && (c->state == CALL_INTENT ||
		    c->state == CALL_REPORT))
			expire(c);
	for (i = 0; (s = source_at(i)) != NULL; i++)
		if (s->ops->sweep != NULL)
			s->ops->sweep(s, now);
	if (nactive > 0)
		arm_sweep();
}

static struct sandbox_needs needs;

static int
prepare(void)
{
	struct source *s;
	uint32_t i;

	json_init(&body_json);
	sandbox_needs_init(&needs);
	sweep_timer = evtimer_new(child.base, sweep, NULL);
	if (sweep_timer == NULL || tools_complete() == -1)
		return -1;
	for (i = 0; (s = source_at(i)) != NULL; i++)
		if (s->ops->prepare(s, &needs) == -1)
			return -1;
	return 0;
}

static int
confine(void)
{
	struct source *s;
	uint32_t i;

	if (sandbox_enter(ROLE_HANDLER, &needs) == -1)
		return -1;
	for (i = 0; (s = source_at(i)) != NULL; i++)
		if (s->ops->start(s) == -1)
			return -1;
	return 0;
}

static void
begin_shutdown(void)
{
	/* The listeners are gone: what still runs is recorded. */
	stopping = 1;
}

static void
turn(void)
{
	struct source *s;
	uint32_t i;

	for (i = 0; (s = source_at(i)) != NULL; i++)
		if (s->ops->turn != NULL)
			s->ops->turn(s);
	if (stopping && nactive == 0 && outbox_open() == 0)
		child.stop = 1;
}

int
main(void)
{
	static const struct child_ops ops = {
		.configure = tools_configure, .prepare = prepare,
		.confine = confine, .peer = peer, .control = control,
		.shutdown = begin_shutdown, .turn = turn
	};

	return child_main(ROLE_HANDLER, &ops);
}
