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
	struct channel		*ch;
	uint32_t		 instance;
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

/* A question that came while auditd was away. */
struct held {
	TAILQ_ENTRY(held)	 entry;
	struct channel		*ch;
	uint64_t		 id;
	uint64_t		 until_ms;
	size_t			 len;
	unsigned char		 payload[];
};

static struct listener listeners[LISTENERS_MAX];
static struct ticket_key ticket_keys[HANDLERS_MAX];
static struct rule *rules;
static uint32_t nrules, rules_expected;
static struct rate default_rate;
static uint8_t epoch[8];
static uint64_t minted;
static struct event *fold_timer, *held_timer;
static TAILQ_HEAD(, held) held_list = TAILQ_HEAD_INITIALIZER(held_list);
static size_t nheld, ndelayed;
static uint32_t unrecorded;	/* refusals while auditd was away too long */
static int stopping;
static uint64_t asked_total, refused_total;

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

/* ---- answers ----------------------------------------------------------- */

static void
mint_request_id(uint8_t id[REQUEST_ID_LEN])
{
	uint64_t n = ++minted;
	int i;

	memcpy(id, epoch, sizeof(epoch));
	for (i = 0; i < 8; i++)
		id[15 - i] = (uint8_t)(n >> (8 * i));
}

static void
send_decision(struct channel *ch, uint64_t question,
    const struct msg_decision *m)
{
	struct buffer *b;

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

	if (ndelayed >= HELD_MAX || stopping ||
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

void
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
		}
		if (w->delay_ms == 0 || waiter_delay(w) == -1)
			waiter_answer(w);
	}
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
	if (report_send(&m, waiters) == -1)
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
fold_due(evutil_socket_t fd, short what, void *arg)
{
	int left = 0;

	(void)fd;
	(void)what;
	(void)arg;
	fold_each(fold_record, NULL);
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

struct refusal {
	enum outcome		 outcome;
	enum reason		 reason;
	uint32_t		 retry_after;
	uint32_t		 delay_ms;
	const char		*scope;
	int			 no_credential;
	const struct identity	*identity;	/* NULL: none */
	struct slice		 suspect;	/* id of a key that failed */
};

static struct waiter *
make_waiter(struct channel *ch, uint64_t question, const struct refusal *r)
{
	struct waiter *w;

	if ((w = calloc(1, sizeof(*w))) == NULL)
		return NULL;
	w->listener = ch;
	w->question = question;
	w->delay_ms = r->delay_ms;
	mint_request_id(w->decision.request_id);
	w->decision.outcome = (uint8_t)r->outcome;
	w->decision.no_credential = r->no_credential;
	w->decision.retry_after = r->retry_after;
	w->decision.ticket = w->decision.tools = slice_of("");
	if (r->scope != NULL)
		strlcpy(w->scope, r->scope, sizeof(w->scope));
	w->decision.scope = slice_of(w->scope);
	return w;
}

static void
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
	m->revision = ask->revision;
	m->client = ask->client;
	m->traceparent = ask->traceparent;
}

/* Answers without a record; what is not recorded is counted for later. */
static void
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

static void
refuse(struct listener *l, uint64_t question, const struct msg_authorize *ask,
    const struct refusal *r)
{
	struct msg_audit_decision m;
	struct waiter *w;
	struct fold *f;
	int alone;

	refused_total++;
	if ((w = make_waiter(l->ch, question, r)) == NULL) {
		refuse_unrecorded(l->ch, question);
		return;
	}
	f = fold_count(ask->peer, (uint8_t)r->outcome, (uint8_t)r->reason,
	    ask->tool, now_ms(), &alone);
	if (!alone) {
		w->next = f->waiters;
		f->waiters = w;
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
	if (report_send(&m, w) == -1) {
		free(w);
		refuse_unrecorded(l->ch, question);
	}
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
	send_decision(l->ch, question, &m);
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
	m.listener_instance = l->instance;
	m.question = question;
	if (report_send(&m, NULL) == -1)
		return -1;
	memset(&d, 0, sizeof(d));
	d.outcome = OUTCOME_OK;
	memcpy(d.request_id, t.request_id, sizeof(d.request_id));
	d.scope = d.tools = slice_of("");
	d.ticket.ptr = (const char *)sealed.data;
	d.ticket.len = sealed.len;
	send_decision(l->ch, question, &d);
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
	refuse(l, question, ask, r);
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
		refuse(l, question, ask, r);
		return NULL;
	}
	r->identity = &key->identity;
	r->retry_after = bucket_take(&key->bucket,
	    key->rate.count > 0 ? &key->rate : &default_rate, now_us());
	if (r->retry_after > 0) {
		r->outcome = OUTCOME_RATE_LIMITED;
		r->reason = REASON_OVER_RATE;
		refuse(l, question, ask, r);
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
		refuse(l, question, ask, &r);
		break;
	case ASK_MAX:
		break;
	}
}

/* ---- while auditd is away ---------------------------------------------- */

static void
arm_held_timer(void)
{
	struct held *h = TAILQ_FIRST(&held_list);
	uint64_t now = now_ms(), left;
	struct timeval tv;

	if (h == NULL)
		return;
	left = h->until_ms > now ? h->until_ms - now : 0;
	tv.tv_sec = (time_t)(left / 1000);
	tv.tv_usec = (suseconds_t)(left % 1000 * 1000);
	(void)evtimer_add(held_timer, &tv);
}

static struct listener *
listener_of(const struct channel *ch)
{
	size_t i;

	for (i = 0; i < LISTENERS_MAX; i++)
		if (listeners[i].ch == ch)
			return &listeners[i];
	return NULL;
}

static void
held_due(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = now_ms();
	struct held *h;

	(void)fd;
	(void)what;
	(void)arg;
	while ((h = TAILQ_FIRST(&held_list)) != NULL && h->until_ms <= now) {
		TAILQ_REMOVE(&held_list, h, entry);
		nheld--;
		refuse_unrecorded(h->ch, h->id);
		free(h);
	}
	arm_held_timer();
}

static void
hold(struct channel *ch, const struct frame *f)
{
	struct held *h;

	if (nheld >= WAITING_MAX ||
	    (h = malloc(sizeof(*h) + f->length)) == NULL) {
		refuse_unrecorded(ch, f->id);
		return;
	}
	h->ch = ch;
	h->id = f->id;
	h->until_ms = now_ms() + AUDIT_WAIT_MS;
	h->len = f->length;
	memcpy(h->payload, f->payload, f->length);
	TAILQ_INSERT_TAIL(&held_list, h, entry);
	nheld++;
	if (!evtimer_pending(held_timer, NULL))
		arm_held_timer();
}

static void
release_held(void)
{
	struct msg_authorize ask;
	struct listener *l;
	struct frame f;
	struct held *h;

	while (report_connected() && (h = TAILQ_FIRST(&held_list)) != NULL) {
		TAILQ_REMOVE(&held_list, h, entry);
		nheld--;
		memset(&f, 0, sizeof(f));
		f.payload = h->payload;
		f.length = h->len;
		if (h->ch != NULL && (l = listener_of(h->ch)) != NULL &&
		    get_authorize(&f, &ask) == 0)
			decide(l, h->id, &ask);
		explicit_bzero(h->payload, h->len);
		free(h);
	}
}

/* What went out unrecorded gets its record now, as one with a count. */
static void
record_unrecorded(void)
{
	struct msg_audit_decision m;
	struct msg_authorize none;

	if (unrecorded == 0)
		return;
	memset(&none, 0, sizeof(none));
	none.method = none.tool = none.peer = none.revision = none.client =
	    none.traceparent = slice_of("");
	fill_report(&m, &none);
	mint_request_id(m.request_id);
	m.outcome = OUTCOME_OVERLOADED;
	m.reason = REASON_AUDIT_FAILED;
	m.calls = unrecorded;
	if (report_send(&m, NULL) == 0)
		unrecorded = 0;
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
	if (!report_connected() || !TAILQ_EMPTY(&held_list))
		hold(ch, f);
	else
		decide(l, f->id, &ask);
	return 0;
}

static void
forget_in_fold(struct fold *f, void *arg)
{
	struct waiter *w;

	for (w = f->waiters; w != NULL; w = w->next)
		if (w->listener == arg)
			w->listener = NULL;
}

/* What it asked stays on record; nobody waits for the answers. */
static void
forget_listener(struct channel *ch)
{
	struct delayed *d;
	struct held *h;

	report_forget(ch);
	fold_each(forget_in_fold, ch);
	TAILQ_FOREACH(d, &delayed_list, entry)
		if (d->waiter->listener == ch)
			d->waiter->listener = NULL;
	TAILQ_FOREACH(h, &held_list, entry)
		if (h->ch == ch)
			h->ch = NULL;
}

static void
listener_closed(struct channel *ch, void *arg)
{
	struct listener *l = arg;

	forget_listener(ch);
	if (l->ch == ch)
		l->ch = NULL;
}

static int
on_auditd(struct channel *ch, const struct frame *f, void *arg)
{
	(void)ch;
	(void)arg;
	if (f->type != MSG_AUDIT_ACK && f->type != MSG_AUDIT_NACK)
		return -1;
	return report_acks(f, f->type == MSG_AUDIT_ACK);
}

static struct channel *auditd;

static void
auditd_closed(struct channel *ch, void *arg)
{
	(void)arg;
	if (auditd == ch) {
		auditd = NULL;
		report_gone();
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
		if (l->ch != NULL) {
			forget_listener(l->ch);
			channel_close(l->ch);
		}
		l->instance = m->instance;
		ticket_window_init(&l->asked);
		l->ch = channel_new(child.base, fd, "listener", 0,
		    &to_listener, l);
		if (l->ch == NULL)
			close(fd);
	} else if (m->role == ROLE_AUDITD) {
		channel_close(auditd);
		auditd = channel_new(child.base, fd, "auditd", 0, &to_auditd,
		    NULL);
		if (auditd == NULL) {
			close(fd);
			report_gone();
			return;
		}
		report_peer(auditd);
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
		    (unsigned long long)refused_total, report_open(), nheld,
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
	random_bytes(epoch, sizeof(epoch));
	fold_timer = evtimer_new(child.base, fold_due, NULL);
	held_timer = evtimer_new(child.base, held_due, NULL);
	return fold_timer == NULL || held_timer == NULL || rules == NULL ||
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
	fold_each(fold_record, NULL);
	record_unrecorded();
}

static void
turn(void)
{
	if (stopping && report_open() == 0)
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
