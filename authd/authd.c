/* SPDX-License-Identifier: ISC */

/*
 * Authd: resolves credentials, checks rate and scope, mints tickets, and
 * tells auditd of every decision by a socketpair that no listener can touch.
 * It opens no file and no socket.  Listeners are taken to be hostile: a
 * question is measured, counted and answered once; what it says of itself
 * (peer, client, revision) is recorded and never decided on.
 */

#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/log.h"
#include "../common/ticket.h"
#include "../pledge/sandbox.h"
#include "authd.h"

struct listener {
	struct asker		 who;
	struct ticket_window	 asked;	/* question numbers, each once */
};

struct ticket_key {
	uint32_t	instance;	/* of the handler */
	uint32_t	generation;	/* 0: there is none */
	uint64_t	serial;
	uint8_t		key[KEY_LEN];
};

struct rule {
	char		*name;
	char		*scope;
	int		 writes;
	uint32_t	 claims;
	char		*claim[ATTRIBUTES_MAX];
};

static struct listener listeners[LISTENERS_MAX];
static struct ticket_key ticket_keys[HANDLERS_MAX];
static struct rule *rules;
static uint32_t nrules, rules_expected;
static struct rate default_rate;
static int stopping;
static uint64_t asked_total;

/* ---- configuration ----------------------------------------------------- */

static int
configure_rule(const struct frame *f)
{
	struct msg_conf_tool_rule m;
	struct rule *r;
	uint32_t i;

	if (get_conf_tool_rule(f, &m) == -1 || nrules == rules_expected ||
	    scope_problem(m.scope) != NULL)
		return -1;
	r = &rules[nrules];
	if ((r->name = slice_dup(m.name)) == NULL ||
	    (r->scope = slice_dup(m.scope)) == NULL)
		return -1;
	r->writes = m.writes;
	for (i = 0; i < m.claims; i++)
		if ((r->claim[r->claims++] = slice_dup(m.claim[i])) == NULL)
			return -1;
	nrules++;
	return 0;
}

static int
configure_keys(const struct frame *f)
{
	static struct msg_keys m;
	int rc;

	if ((rc = get_keys(f, &m)) == 0)
		apikey_load(&m);
	explicit_bzero(&m, sizeof(m));
	return rc;
}

static int
configure(const struct frame *f)
{
	struct msg_conf_authd m;

	switch (f->type) {
	case MSG_CONF_AUTHD:
		if (rules != NULL || get_conf_authd(f, &m) == -1)
			return -1;
		default_rate = m.rate;
		rules_expected = m.tools;
		rules = calloc(m.tools + 1, sizeof(*rules));
		return rules == NULL ? -1 : 0;
	case MSG_CONF_TOOL_RULE:
		return rules == NULL ? -1 : configure_rule(f);
	case MSG_KEYS:
		return configure_keys(f);
	default:
		return -1;
	}
}

static const struct rule *
find_rule(struct slice name)
{
	uint32_t i;

	/* A handful of tools; the first byte and the length part most. */
	for (i = 0; i < nrules; i++)
		if (slice_is(name, rules[i].name))
			return &rules[i];
	return NULL;
}

/* ---- decisions --------------------------------------------------------- */

static int
claims_present(const struct rule *rule, const struct identity *id)
{
	uint32_t i, j;

	for (i = 0; i < rule->claims; i++) {
		for (j = 0; j < id->attributes; j++)
			if (slice_is(id->attribute[j].name, rule->claim[i]))
				break;
		if (j == id->attributes)
			return 0;
	}
	return 1;
}

static void
allow_plain(struct listener *l, uint64_t question, const struct api_key *key,
    int list)
{
	static uint8_t bits[TOOLS_MAX / 8];
	struct msg_decision m;
	uint32_t i;

	memset(&m, 0, sizeof(m));
	m.outcome = OUTCOME_OK;
	mint_request_id(m.request_id);
	m.scope = m.ticket = m.tools = slice_of("");
	if (list) {
		memset(bits, 0, sizeof(bits));
		for (i = 0; i < nrules; i++)
			if (scope_grants(key->scope, key->nscopes,
			    slice_of(rules[i].scope)))
				bits[i / 8] |= (uint8_t)(1 << (i % 8));
		m.tools.ptr = (const char *)bits;
		m.tools.len = (nrules + 7) / 8;
	}
	send_decision(l->who.ch, question, &m);
}

/* The decision goes to auditd before the ticket goes to the listener. */
static int
allow_call(struct listener *l, uint64_t question,
    const struct msg_authorize *ask, const struct api_key *key,
    const struct rule *rule)
{
	static struct buffer sealed = { .max = TICKET_MAX };
	struct ticket_key *tk = &ticket_keys[ask->handler_index];
	struct msg_audit_decision m;
	struct msg_decision d;
	struct ticket t;

	memset(&t, 0, sizeof(t));
	t.generation = tk->generation;
	t.serial = ++tk->serial;
	t.expires_ms = now_ms() + TICKET_LIFE_MS;
	mint_request_id(t.request_id);
	memcpy(t.digest, ask->digest, sizeof(t.digest));
	t.tool = ask->tool;
	t.identity = key->identity;
	buffer_clear(&sealed);
	ticket_seal(&sealed, &t, tk->key);
	if (sealed.bad)
		return -1;
	fill_report(&m, ask);
	memcpy(m.request_id, t.request_id, sizeof(m.request_id));
	m.outcome = OUTCOME_OK;
	m.identity = key->identity;
	m.writes = rule->writes;
	m.handler_instance = tk->instance;
	m.listener_instance = l->who.instance;
	m.question = question;
	if (report_send(&m, NULL) == -1)
		return -1;
	memset(&d, 0, sizeof(d));
	d.outcome = OUTCOME_OK;
	memcpy(d.request_id, t.request_id, sizeof(d.request_id));
	d.scope = d.tools = slice_of("");
	d.ticket.ptr = (const char *)sealed.data;
	d.ticket.len = sealed.len;
	send_decision(l->who.ch, question, &d);
	return 0;
}

static void
decide_call(struct listener *l, uint64_t question,
    const struct msg_authorize *ask, const struct api_key *key,
    struct refusal *r)
{
	const struct rule *rule = find_rule(ask->tool);

	if (rule == NULL) {
		r->outcome = OUTCOME_BAD_REQUEST;
		r->reason = REASON_UNKNOWN_TOOL;
	} else if (!scope_grants(key->scope, key->nscopes,
	    slice_of(rule->scope))) {
		r->outcome = OUTCOME_SCOPE_DENIED;
		r->reason = REASON_MISSING_SCOPE;
		r->scope = rule->scope;
	} else if (!claims_present(rule, &key->identity)) {
		r->outcome = OUTCOME_SCOPE_DENIED;
		r->reason = REASON_MISSING_CLAIM;
		r->scope = rule->scope;
	} else if (ask->handler_index >= HANDLERS_MAX ||
	    ticket_keys[ask->handler_index].generation == 0) {
		r->outcome = OUTCOME_OVERLOADED;
		r->reason = REASON_PROCESS_DIED;
		r->retry_after = 1;
	} else if (allow_call(l, question, ask, key, rule) == 0) {
		return;
	} else {
		r->outcome = OUTCOME_OVERLOADED;
		r->reason = REASON_QUEUE_FULL;
		r->retry_after = 1;
	}
	refuse(&l->who, question, ask, r);
}

/* Who is it?  NULL after the refusal was sent. */
static struct api_key *
resolve(struct listener *l, uint64_t question, const struct msg_authorize *ask,
    struct refusal *r)
{
	static const char nobody[] = "";
	struct slice credential = ask->form == FORM_BEARER ?
	    ask->credential : slice_of(nobody);
	struct api_key *key;

	key = apikey_check(credential, (int64_t)(wall_us() / 1000000),
	    &r->reason, &r->suspect);
	if (key == NULL) {
		r->outcome = OUTCOME_AUTH_FAILED;
		if (ask->form == FORM_NONE) {
			r->no_credential = 1;
			r->reason = REASON_NO_CREDENTIAL;
		} else {
			r->delay_ms = penalty_add(ask->peer, now_ms());
		}
		refuse(&l->who, question, ask, r);
		return NULL;
	}
	r->identity = &key->identity;
	r->retry_after = bucket_take(&key->bucket,
	    key->rate.count > 0 ? &key->rate : &default_rate, now_us());
	if (r->retry_after > 0) {
		r->outcome = OUTCOME_RATE_LIMITED;
		r->reason = REASON_OVER_RATE;
		refuse(&l->who, question, ask, r);
		return NULL;
	}
	return key;
}

static void
decide(struct listener *l, uint64_t question, const struct msg_authorize *ask)
{
	struct api_key *key = NULL;
	struct refusal r;

	asked_total++;
	memset(&r, 0, sizeof(r));
	r.suspect = slice_of("");
	if (ask->ask != ASK_REPORT &&
	    (key = resolve(l, question, ask, &r)) == NULL)
		return;
	switch ((enum ask)ask->ask) {
	case ASK_PLAIN:
	case ASK_LIST:
		allow_plain(l, question, key, ask->ask == ASK_LIST);
		break;
	case ASK_CALL:
		decide_call(l, question, ask, key, &r);
		break;
	case ASK_REPORT:
	case ASK_REPORT_KNOWN:
		r.outcome = (enum outcome)ask->outcome;
		r.reason = (enum reason)ask->reason;
		if (r.outcome == OUTCOME_OVERLOADED)
			r.retry_after = 1;
		refuse(&l->who, question, ask, &r);
		break;
	case ASK_MAX:
		break;
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
decide_held(struct channel *ch, uint64_t question,
    const struct msg_authorize *ask)
{
	struct listener *l = listener_of(ch);

	if (l != NULL)
		decide(l, question, ask);
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
	if (!outbox_connected() || hold_count() > 0)
		hold(ch, f);
	else
		decide(l, f->id, &ask);
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
	return outbox_acks(f, answer_waiters);
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
		l->who.ch = channel_new(child.base, fd, "listener", 0,
		    &to_listener, l);
		if (l->who.ch == NULL)
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
		record_unrecorded();
		release_held();
	} else {
		close(fd);
	}
}

static int
set_ticket_key(const struct frame *f)
{
	struct msg_ticket_key m;
	struct ticket_key *tk;

	if (get_ticket_key(f, &m) == -1)
		return -1;
	tk = &ticket_keys[m.handler_index];
	tk->instance = m.handler_instance;
	tk->generation = m.generation;
	tk->serial = 0;
	memcpy(tk->key, m.key, sizeof(tk->key));
	explicit_bzero(&m, sizeof(m));
	return 0;
}

static int
control(const struct frame *f)
{
	char text[256];
	int n;

	switch (f->type) {
	case MSG_KEYS:
		return configure_keys(f);
	case MSG_TICKET_KEY:
		return set_ticket_key(f);
	case MSG_STATUS_ASK:
		n = snprintf(text, sizeof(text), "keys %zu, asked %llu, "
		    "refused %llu, reports open %zu, held %zu, auditd %s\n",
		    apikey_count(), (unsigned long long)asked_total,
		    (unsigned long long)refused_count(), outbox_open(),
		    hold_count(),
		    auditd == NULL ? "away" : "connected");
		return channel_send(child.control, MSG_STATUS, f->id, text,
		    n > 0 ? (size_t)n : 0) == -1 ? -1 : 0;
	default:
		return -1;
	}
}

/* ---- life -------------------------------------------------------------- */

static int
prepare(void)
{
	return refuse_start() == -1 || hold_start() == -1 || rules == NULL ||
	    nrules != rules_expected ? -1 : 0;
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
		.peer = peer, .control = control, .shutdown = begin_shutdown,
		.turn = turn
	};

	return child_main(ROLE_AUTHD, &ops);
}
