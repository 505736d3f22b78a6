/* SPDX-License-Identifier: ISC */

/*
 * Authd: resolves credentials, checks rate and scope, mints tickets, and
 * tells auditd of every decision by a socketpair that no listener can touch.
 * Here: its peers and its life.
 * It opens no file and no socket.  Listeners are taken to be hostile: a
 * question is measured, counted and answered once; what it says of itself
 * (peer, client, revision) is recorded and never decided on.
 */

#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/log.h"
#include "../common/stats.h"
#include "../common/ticket.h"
#include "../pledge/sandbox.h"
#include "issuer.h"

struct listener {
	struct asker		 who;
	struct ticket_window	 asked;	/* question numbers, each once */
	uint32_t		 open;	/* questions without an answer */
	uint64_t		 said_ms;	/* when that it is not read was */
};

static struct listener listeners[LISTENERS_MAX];
static uint32_t issuers_expected;
static int configured;
static int stopping;

/* ---- configuration ----------------------------------------------------- */

static int
configure_keys(const struct frame *f)
{
	static struct msg_keys m;
	int rc;

	if ((rc = get_keys(f, &m)) == 0) {
		apikey_load(&m);
		keycare_loaded();
	}
	explicit_bzero(&m, sizeof(m));
	return rc;
}

static int
configure(const struct frame *f)
{
	struct msg_conf_authd m;

	switch (f->type) {
	case MSG_CONF_AUTHD:
		if (configured || get_conf_authd(f, &m) == -1)
			return -1;
		configured = 1;
		decide_limits(&m.rate, m.in_flight);
		issuers_expected = m.issuers;
		return rules_expect(m.tools);
	case MSG_CONF_TOOL_RULE:
		return rule_configure(f);
	case MSG_CONF_ISSUER:
		return issuer_configure(f);
	case MSG_CONF_GRANT:
		return issuer_configure_grant(f);
	case MSG_KEYS:
		return configure_keys(f);
	default:
		return -1;
	}
}

static struct listener *
listener_of(const struct channel *ch)
{
	size_t i;

	for (i = 0; i < LISTENERS_MAX; i++)
		if (listeners[i].who.ch == ch)
			return &listeners[i];
	return NULL;
}

void
decide_held(struct channel *ch, const struct frame *f, enum hold_why why)
{
	struct listener *l = listener_of(ch);
	struct msg_authorize ask;

	if (l == NULL || get_authorize(f, &ask) == -1)
		return;
	if (!outbox_connected()) {
		if (hold(HOLD_AUDITD, 0, ch, f) == -1)
			refuse_unrecorded(ch, f->id);
		return;
	}
	decide(&l->who, f, &ask, why == HOLD_KEYS);
}

/* ---- peers ------------------------------------------------------------- */

static int
report_allowed(const struct msg_authorize *ask)
{
	if (ask->ask != ASK_REPORT && ask->ask != ASK_REPORT_KNOWN)
		return 1;
	return ask->outcome == OUTCOME_BAD_REQUEST ||
	    ask->outcome == OUTCOME_OVERLOADED ||
	    ask->outcome == OUTCOME_INTERNAL_ERROR;
}

/*
 * An honest listener has a question for each connection, and some for those
 * whose clients left.  One that asks more than QUESTIONS_MAX is not read until
 * it has its answers: the others are.
 */
static void
count_question(struct listener *l)
{
	if (++l->open < QUESTIONS_MAX)
		return;
	if (l->said_ms == 0 || now_ms() - l->said_ms >= PAUSE_SAY_MS) {
		log_warn("listener %zu has %u questions open: it is not read "
		    "until it has its answers", (size_t)(l - listeners),
		    l->open);
		l->said_ms = now_ms();
	}
	channel_pause(l->who.ch);
}

void
question_answered(struct channel *ch)
{
	struct listener *l = listener_of(ch);

	if (l == NULL || l->open == 0)
		return;
	if (--l->open == QUESTIONS_MAX / 2)
		channel_resume(ch);
}

static int
on_listener(struct channel *ch, const struct frame *f, void *arg)
{
	struct listener *l = arg;
	struct msg_authorize ask;

	if (f->type != MSG_AUTHORIZE || get_authorize(f, &ask) == -1 ||
	    !report_allowed(&ask))
		return -1;
	/* Each number once: an answer must never fit two questions. */
	if (ticket_window_use(&l->asked, f->id) == -1)
		return -1;
	count_question(l);
	if (outbox_connected() && hold_count(HOLD_AUDITD) == 0)
		decide(&l->who, f, &ask, 0);
	else if (hold(HOLD_AUDITD, 0, ch, f) == -1)
		refuse_unrecorded(ch, f->id);
	return 0;
}

/* What it asked stays on record; nobody waits for the answers. */
static void
forget_listener(struct channel *ch)
{
	refuse_forget(ch);
	hold_forget(ch);
}

static void
listener_closed(struct channel *ch, void *arg)
{
	struct listener *l = arg;

	forget_listener(ch);
	if (l->who.ch == ch)
		l->who.ch = NULL;
}

static int
on_auditd(struct channel *ch, const struct frame *f, void *arg)
{
	(void)ch;
	(void)arg;
	return outbox_acks(f, report_settled);
}

static struct channel *auditd;

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
auditd_drained(struct channel *ch, void *arg)
{
	(void)ch;
	(void)arg;
	release_held();
}

void
hear_auditd(void)
{
	if (auditd != NULL)
		channel_drain(auditd);
}

static struct channel *fetcher;

static int
on_fetcher(struct channel *ch, const struct frame *f, void *arg)
{
	(void)ch;
	(void)arg;
	return f->type == MSG_FETCHED ? keys_fetched(f) : -1;
}

/* It dies by itself or for what it sent: its successor is told what is due. */
static void
fetcher_closed(struct channel *ch, void *arg)
{
	(void)arg;
	if (fetcher == ch) {
		fetcher = NULL;
		keys_fetcher(NULL);
	}
}

static void
peer_fetcher(int fd)
{
	static const struct channel_ops to_fetcher = {
		.frame = on_fetcher, .closed = fetcher_closed
	};

	if (fetcher != NULL) {
		channel_close(fetcher);
		fetcher = NULL;
		keys_fetcher(NULL);
	}
	fetcher = channel_new(child.base, fd, "fetcher", 0, &to_fetcher, NULL);
	if (fetcher == NULL)
		close(fd);
	else
		keys_fetcher(fetcher);
}

static void
peer(const struct msg_peer *m, int fd)
{
	static const struct channel_ops to_listener = {
		.frame = on_listener, .closed = listener_closed
	};
	static const struct channel_ops to_auditd = {
		.frame = on_auditd, .closed = auditd_closed,
		.drained = auditd_drained
	};
	struct listener *l;

	if (m->role == ROLE_LISTENER && m->index < LISTENERS_MAX) {
		l = &listeners[m->index];
		if (l->who.ch != NULL) {
			forget_listener(l->who.ch);
			channel_close(l->who.ch);
		}
		l->who.instance = m->instance;
		ticket_window_init(&l->asked);
		l->open = 0;
		l->who.ch = channel_new(child.base, fd, "listener", 0,
		    &to_listener, l);
		if (l->who.ch == NULL)
			close(fd);
		else
			channel_secret(l->who.ch);
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
		record_unrecorded();
		release_held();
	} else if (m->role == ROLE_FETCHER && issuer_count() > 0) {
		peer_fetcher(fd);
	} else {
		close(fd);
	}
}

static int
send_text(uint16_t type, uint64_t id, struct buffer *b)
{
	int rc = b->bad ? -1 : channel_send(child.control, type, id, b->data,
	    b->len);

	buffer_free(b);
	return rc;
}

static int
send_status(uint64_t id)
{
	struct buffer b;

	buffer_init(&b, STATUS_TEXT_MAX);
	(void)buffer_printf(&b, "keys %zu, asked %llu, refused %llu, reports "
	    "open %zu, held %zu, auditd %s\n", apikey_count(),
	    (unsigned long long)decided_count(),
	    (unsigned long long)refused_count(), outbox_open(),
	    hold_count(HOLD_AUDITD), auditd == NULL ? "away" : "connected");
	if (apikey_count() > 0)
		keycare_status(&b);
	if (issuer_count() > 0)
		(void)buffer_printf(&b, "tokens cached %zu, waiting for keys "
		    "%zu, fetcher %s\n", tokens_cached(),
		    hold_count(HOLD_KEYS),
		    fetcher == NULL ? "away" : "connected");
	accounts_status(&b);
	keys_status(&b);
	return send_text(MSG_STATUS, id, &b);
}

static void
stats(struct buffer *b)
{
	put_stat(b, STAT_DECISIONS, decided_count());
	put_stat(b, STAT_KEYS, apikey_count());
	keycare_stats(b);
	accounts_stats(b);
	put_stat(b, STAT_REPORTS_OPEN, outbox_open());
	put_stat(b, STAT_TOKENS_CACHED, tokens_cached());
	refuse_stats(b);
	keys_stats(b);
}

static int
explain(const struct frame *f)
{
	struct slice token = { (const char *)f->payload, f->length };
	struct buffer b;

	if (f->length > CREDENTIAL_MAX)
		return -1;
	buffer_init(&b, EXPLAIN_MAX);
	token_explain(&b, token, (int64_t)(wall_us() / 1000000));
	return send_text(MSG_EXPLAINED, f->id, &b);
}

static int
control(const struct frame *f)
{
	switch (f->type) {
	case MSG_KEYS:
		return configure_keys(f);
	case MSG_TICKET_KEY:
		return decide_ticket_key(f);
	case MSG_STATUS_ASK:
		return send_status(f->id);
	case MSG_EXPLAIN:
		return explain(f);
	default:
		return -1;
	}
}

/* ---- life -------------------------------------------------------------- */

static int
prepare(void)
{
	if (refuse_start() == -1 || hold_start() == -1 || !rules_complete() ||
	    issuers_start(issuers_expected) == -1)
		return -1;
	/* What OpenSSL loads, it loads before the sandbox. */
	return issuer_count() > 0 ? jose_init() : 0;
}

static int
confine(void)
{
	struct sandbox_needs needs;

	sandbox_needs_init(&needs);
	return sandbox_enter(ROLE_AUTHD, &needs);
}

static void
begin_shutdown(void)
{
	/* Listeners and handlers are gone: what is folded is due now. */
	stopping = 1;
	refuse_hurry();
	keycare_hurry();
}

static void
turn(void)
{
	if (stopping && outbox_open() == 0)
		child.stop = 1;
}

int
main(void)
{
	static const struct child_ops ops = {
		.configure = configure, .prepare = prepare, .confine = confine,
		.peer = peer, .control = control, .stats = stats,
		.shutdown = begin_shutdown, .turn = turn
	};

	return child_main(ROLE_AUTHD, &ops);
}
