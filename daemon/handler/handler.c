/* SPDX-License-Identifier: ISC */

/*
 * A handler: acts on a ticket and on nothing else.  The listener that brings
 * it is taken to be hostile: the seal, the body's digest, the tool that the
 * body names, freshness and single use are checked before a byte of the
 * arguments is looked at.  What follows is in call.c.
 */

#include <locale.h>
#include <stdio.h>

#include <event2/event.h>

#include "../../common/crypt.h"
#include "../../common/log.h"
#include "../../common/stats.h"
#include "../../common/ticket.h"
#include "cache.h"
#include "redis.h"
#include "redis_cache.h"
#include "survey.h"

#define STATUS_MAX	2048		/* bytes of status lines */
#define COMPLAIN_MS	1000		/* between lines about bad tickets */
#define LOOK_MS		1000		/* while nothing is served: is it again? */

struct key {
	uint32_t		generation;	/* 0: there is none */
	uint8_t			key[KEY_LEN];
	struct ticket_window	window;
};

static struct key keys[2];		/* the newest, and the one before */
static struct channel *listeners[LISTENERS_MAX];
static struct channel *auditd;
static int auditd_records;		/* it says that calls would be */
static struct json body_json;
static struct sandbox_needs needs;
static int stopping;
static uint64_t bad_tickets;
static int serves;			/* as the listeners were told */
static struct event *look_timer;

/* ---- tickets ----------------------------------------------------------- */

/* A hostile listener must not fill the log. */
static void
complain(const struct channel *ch, const char *why)
{
	static uint64_t last_ms, kept_back;
	uint64_t now = now_ms();

	bad_tickets++;
	if (last_ms != 0 && now - last_ms < COMPLAIN_MS) {
		kept_back++;
		return;
	}
	log_warn("ticket refused: %s: %s (%llu more since the last such line)",
	    channel_name(ch), why, (unsigned long long)kept_back);
	last_ms = now;
	kept_back = 0;
}

static struct key *
key_of(uint32_t generation)
{
	size_t i;

	for (i = 0; generation != 0 && i < 2; i++)
		if (keys[i].generation == generation)
			return &keys[i];
	return NULL;
}

/* Whether authd made it and it is used the first time; NULL: yes. */
static const char *
open_ticket(const struct msg_call *m, struct ticket *t)
{
	struct key *key = key_of(ticket_generation(m->ticket.ptr,
	    m->ticket.len));

	if (key == NULL)
		return "no key of that generation";
	if (ticket_open(t, m->ticket.ptr, m->ticket.len, key->key) == -1)
		return "not sealed by authd";
	/* Used from here on, whatever else is wrong with it. */
	if (ticket_window_use(&key->window, t->serial) == -1)
		return "used before";
	return NULL;
}

/* Finds the arguments; -1 where the body is not the call it must be. */
static int
parse_body(struct slice body, const struct ticket *t, uint32_t *args)
{
	uint32_t params, name;
	char text[TOOL_NAME_MAX + 1];

	if (json_parse(&body_json, body.ptr, body.len) == -1 ||
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

/* Whether a ticket of authd's is good for this body now; NULL: yes. */
static const char *
check_ticket(const struct msg_call *m, const struct ticket *t,
    const struct tool **tool, uint32_t *args)
{
	uint8_t digest[DIGEST_LEN];

	if (t->expires_ms < now_ms())
		return "too old";
	sha256(m->body.ptr, m->body.len, digest);
	if (!digest_equal(digest, t->digest))
		return "for another body";
	if (t->identity.kind == CREDENTIAL_NONE || t->identity.owner.len == 0 ||
	    (t->identity.kind == CREDENTIAL_KEY && t->identity.key_id.len == 0))
		return "for nobody";
	if (parse_body(m->body, t, args) == -1)
		return "for another tool than the body's";
	if ((*tool = tool_find(t->tool)) == NULL)
		return "for a tool that is not here";
	return NULL;
}

static int
on_call(struct channel *ch, uint64_t question, const struct msg_call *m)
{
	const struct tool *tool = NULL;
	struct ticket t;
	const char *why;
	struct call *c;
	uint32_t args = JSON_NONE;

	if ((why = open_ticket(m, &t)) != NULL) {
		/* Its request id is nobody's word: there is no record. */
		complain(ch, why);
		call_refuse(ch, question, OUTCOME_INTERNAL_ERROR);
		return 0;
	}
	if (stopping || (c = call_new(ch, question, &t, m->ticket)) == NULL) {
		call_turn_away(ch, question, &t);
		return 0;
	}
	if ((why = check_ticket(m, &t, &tool, &args)) != NULL) {
		/* Authd recorded that the call was allowed: this became of it. */
		complain(ch, why);
		call_fail(c, OUTCOME_INTERNAL_ERROR, REASON_BAD_TICKET);
		return 0;
	}
	call_begin(c, tool, &body_json, args);
	return 0;
}

/* ---- whether calls would be served ------------------------------------- */

/*
 * Where one source can be asked some calls are: it is for those who watch to
 * take a node out of service, and for each call to say what it lacks.
 */
static int
would_serve(void)
{
	struct source *s;
	uint32_t i;

	if (auditd == NULL || !auditd_records || outbox_stuck() || stopping)
		return 0;
	for (i = 0; (s = source_at(i)) != NULL; i++)
		if (source_is_up(s))
			return 1;
	return 0;
}

static void
tell_listener(struct channel *ch)
{
	uint8_t flag = serves != 0;

	(void)channel_send(ch, MSG_SERVES, 0, &flag, sizeof(flag));
}

/* On a change only. */
static void
look_whether_served(void)
{
	static const struct timeval soon = { LOOK_MS / 1000, 0 };
	uint32_t i;
	int now = would_serve();

	/* A file may appear without an event. */
	if (!now && !evtimer_pending(look_timer, NULL))
		(void)evtimer_add(look_timer, &soon);
	if (now == serves)
		return;
	serves = now;
	for (i = 0; i < LISTENERS_MAX; i++)
		if (listeners[i] != NULL)
			tell_listener(listeners[i]);
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;	/* the turn that follows looks */
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
		return on_call(ch, f->id, &m);
	case MSG_CANCEL:
		if (f->length != 0)
			return -1;
		call_cancel(ch, f->id);
		return 0;
	default:
		return -1;
	}
}

static void
listener_closed(struct channel *ch, void *arg)
{
	struct channel **slot = arg;

	calls_forget_listener(ch);
	if (*slot == ch)
		*slot = NULL;
}

static int
on_auditd(struct channel *ch, const struct frame *f, void *arg)
{
	(void)ch;
	(void)arg;
	if (f->type == MSG_RECORDS)
		return get_flag(f, &auditd_records);
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
meet_listener(struct channel **slot, uint32_t index, int fd)
{
	static const struct channel_ops ops = {
		.frame = on_listener, .closed = listener_closed
	};
	char name[32];

	if (*slot != NULL) {
		calls_forget_listener(*slot);
		channel_close(*slot);
	}
	(void)snprintf(name, sizeof(name), "listener %u", index);
	if ((*slot = channel_new(child.base, fd, name, 0, &ops, slot)) == NULL)
		close(fd);
	else
		tell_listener(*slot);
}

static void
meet_auditd(int fd)
{
	static const struct channel_ops ops = {
		.frame = on_auditd, .closed = auditd_closed
	};

	outbox_gone();
	channel_close(auditd);
	/* It says otherwise at once; calls go by its answers, not by this. */
	auditd_records = 1;
	if ((auditd = channel_new(child.base, fd, "auditd", 0, &ops, NULL)) ==
	    NULL)
		close(fd);
	else
		outbox_peer(auditd);
}

static void
peer(const struct msg_peer *m, int fd)
{
	if (m->role == ROLE_LISTENER && m->index < LISTENERS_MAX)
		meet_listener(&listeners[m->index], m->index, fd);
	else if (m->role == ROLE_AUDITD)
		meet_auditd(fd);
	else
		close(fd);
}

/* ---- the parent -------------------------------------------------------- */

static int
set_key(const struct frame *f)
{
	struct msg_ticket_key m;

	if (get_ticket_key(f, &m) == -1)
		return -1;
	if (m.handler_instance != child.instance ||
	    key_of(m.generation) != NULL) {
		explicit_bzero(&m, sizeof(m));
		return -1;
	}
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
	size_t whole;
	int rc;

	buffer_init(&b, STATUS_MAX);
	(void)buffer_printf(&b, "calls %llu, active %zu, reports open %zu, "
	    "bad tickets %llu, auditd %s\n", (unsigned long long)calls_count(),
	    calls_active(), outbox_open(), (unsigned long long)bad_tickets,
	    auditd == NULL ? "away" : "connected");
	cache_status(&b);
	redis_status(&b);
	whole = b.len;
	for (i = 0; (s = source_at(i)) != NULL && !b.bad; i++) {
		(void)buffer_printf(&b, "source %s: ", s->name);
		s->ops->status(s, &b);
		(void)buffer_printf(&b, ", breaker %s", breaker_name(s));
		if (buffer_add_char(&b, '\n') == 0)
			whole = b.len;
	}
	b.len = whole;
	rc = channel_send(child.control, MSG_STATUS, id, b.data, b.len);
	buffer_free(&b);
	return rc;
}

static void
stats(struct buffer *b)
{
	static const uint64_t state[] = {	/* as in the table */
		[BREAKER_CLOSED] = 0, [BREAKER_HALF_OPEN] = 1,
		[BREAKER_OPEN] = 2
	};
	const struct source *s;
	uint32_t i;

	count_put(b);
	put_stat(b, STAT_CALLS_IN_FLIGHT, calls_active());
	put_stat(b, STAT_TICKETS_REFUSED, bad_tickets);
	put_stat(b, STAT_REPORTS_OPEN, outbox_open());
	cache_stats(b);
	redis_stats(b);
	for (i = 0; (s = source_at(i)) != NULL; i++) {
		put_stat_of(b, STAT_SOURCE_BREAKER, i,
		    state[s->breaker.state]);
		s->ops->stats(s, b, i);
	}
}

/* Of a source, or of Redis: we had asked for it. */
static int
new_dsn(const struct frame *f)
{
	struct source *s;
	struct msg_dsn m;

	if (get_dsn(f, &m) == -1)
		return -1;
	if (m.number == CREDENTIALS_REDIS)
		return redis_renew(m.dsn);
	if ((s = source_at(m.number)) == NULL || s->ops->renew == NULL)
		return -1;
	s->ops->renew(s, m.dsn);
	return 0;
}

static int
control(const struct frame *f)
{
	switch (f->type) {
	case MSG_TICKET_KEY:
		return set_key(f);
	case MSG_DSN:
		return new_dsn(f);
	case MSG_STATUS_ASK:
		return send_status(f->id);
	default:
		return -1;
	}
}

/* ---- life -------------------------------------------------------------- */

static int
prepare(void)
{
	struct source *s;
	uint32_t i;

	/* A pattern's `.' is a character, as in the tool's schema. */
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		log_warn("no C.UTF-8 locale: patterns count bytes");
	json_init(&body_json);
	sandbox_needs_init(&needs);
	calls_init(child.base);
	if ((look_timer = evtimer_new(child.base, on_look, NULL)) == NULL)
		return -1;
	if (tools_complete() == -1 || survey_prepare() == -1 ||
	    redis_prepare(&needs, tools_cached()) == -1)
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

	for (i = 0; (s = source_at(i)) != NULL; i++)
		if (s->ops->confine != NULL &&
		    s->ops->confine(s, &needs) == -1)
			return -1;
	if (sandbox_enter(ROLE_HANDLER, &needs) == -1)
		return -1;
	for (i = 0; (s = source_at(i)) != NULL; i++)
		if (s->ops->start(s) == -1)
			return -1;
	redis_start();
	return survey_start();
}

static void
begin_shutdown(void)
{
	/* What still runs is recorded; nothing new begins. */
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
	redis_turn();
	look_whether_served();
	if (stopping && calls_active() == 0 && outbox_open() == 0)
		child.stop = 1;
}

int
main(void)
{
	static const struct child_ops ops = {
		.configure = tools_configure, .prepare = prepare,
		.confine = confine, .peer = peer, .control = control,
		.stats = stats, .shutdown = begin_shutdown, .turn = turn
	};

	return child_main(ROLE_HANDLER, &ops);
}
