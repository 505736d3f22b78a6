/* SPDX-License-Identifier: ISC */

/*
 * The one way in: who is it, how often, what for.  Allowed or refused, auditd
 * hears of it before the listener does.
 */

#include "../common/compat.h"
#include "../common/ticket.h"
#include "issuer.h"

struct ticket_key {
	uint32_t	instance;	/* of the handler */
	uint32_t	generation;	/* 0: there is none */
	uint64_t	serial;
	uint8_t		key[KEY_LEN];
};

static struct ticket_key ticket_keys[HANDLERS_MAX];
static struct rate default_rate;
static uint32_t default_in_flight;
static uint64_t asked_total;

void
decide_limits(const struct rate *rate, uint32_t in_flight)
{
	default_rate = *rate;
	default_in_flight = in_flight;
}

uint64_t
decided_count(void)
{
	return asked_total;
}

int
decide_ticket_key(const struct frame *f)
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

static void
allow_plain(const struct asker *l, uint64_t question, const struct caller *who,
    int list)
{
	static uint8_t bits[TOOLS_MAX / 8];
	struct msg_decision m;

	memset(&m, 0, sizeof(m));
	m.outcome = OUTCOME_OK;
	mint_request_id(m.request_id);
	m.scope = m.ticket = m.tools = slice_of("");
	if (list) {
		m.tools.ptr = (const char *)bits;
		m.tools.len = rules_open(who->scope, who->nscopes, bits);
	}
	send_decision(l->ch, question, &m);
}

/* The decision goes to auditd before the ticket goes to the listener. */
static int
allow_call(const struct asker *l, uint64_t question,
    const struct msg_authorize *ask, const struct caller *who,
    const struct rule *rule, struct owed *flight)
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
	t.identity = *who->identity;
	t.rate = *who->rate;
	buffer_clear(&sealed);
	ticket_seal(&sealed, &t, tk->key);
	if (sealed.bad)
		return -1;
	fill_report(&m, ask);
	memcpy(m.request_id, t.request_id, sizeof(m.request_id));
	m.outcome = OUTCOME_OK;
	m.identity = *who->identity;
	m.writes = rule->writes;
	m.handler_instance = tk->instance;
	m.listener_instance = l->instance;
	m.question = question;
	/* It is in flight until auditd has settled its last record. */
	if (report_send(&m, flight) == -1)
		return -1;
	memset(&d, 0, sizeof(d));
	d.outcome = OUTCOME_OK;
	d.writes = rule->writes;
	memcpy(d.request_id, t.request_id, sizeof(d.request_id));
	d.scope = d.tools = slice_of("");
	d.ticket.ptr = (const char *)sealed.data;
	d.ticket.len = sealed.len;
	send_decision(l->ch, question, &d);
	return 0;
}

/* The rule of a call that may be made; NULL: not, and *r says why. */
static const struct rule *
judge_call(const struct msg_authorize *ask, const struct caller *who,
    struct refusal *r)
{
	const struct rule *rule = rule_find(ask->tool);

	if (rule == NULL) {
		r->outcome = OUTCOME_BAD_REQUEST;
		r->reason = REASON_UNKNOWN_TOOL;
	} else if (!scope_grants(who->scope, who->nscopes,
	    slice_of(rule->scope))) {
		r->outcome = OUTCOME_SCOPE_DENIED;
		r->reason = REASON_MISSING_SCOPE;
		r->scope = rule->scope;
	} else if (!rule_claims_present(rule, who->identity)) {
		r->outcome = OUTCOME_SCOPE_DENIED;
		r->reason = REASON_MISSING_CLAIM;
		r->scope = rule->scope;
	} else if (ask->handler_index >= HANDLERS_MAX ||
	    ticket_keys[ask->handler_index].generation == 0) {
		r->outcome = OUTCOME_OVERLOADED;
		r->reason = REASON_PROCESS_DIED;
		r->retry_after = 1;
	} else {
		return rule;
	}
	return NULL;
}

static void
decide_call(const struct asker *l, uint64_t question,
    const struct msg_authorize *ask, const struct caller *who,
    const struct rule *rule, struct owed *flight, struct refusal *r)
{
	if (rule != NULL) {
		if (allow_call(l, question, ask, who, rule, flight) == 0)
			return;
		call_ended(flight);
		r->outcome = OUTCOME_OVERLOADED;
		r->reason = REASON_QUEUE_FULL;
		r->retry_after = 1;
	}
	refuse(l, question, ask, r);
}

/* ---- limits -------------------------------------------------------------- */

static const enum reason over[LIMIT_WHAT_MAX] = {
	[LIMIT_CALLER] = REASON_OVER_RATE,
	[LIMIT_TOOL] = REASON_OVER_TOOL_RATE,
	[LIMIT_IN_FLIGHT] = REASON_OVER_IN_FLIGHT,
};

/*
 * Charges a request, and the tool where its call may be made; what may not
 * counts for the caller's rate all the same.  1, or 0 after the refusal.
 */
static int
within_limits(const struct asker *l, uint64_t question,
    const struct msg_authorize *ask, const struct caller *who,
    const struct rule *rule, struct owed **flight, struct refusal *r)
{
	struct charge charge = {
		.owner = who->owner, .payer = who->payer, .rate = who->rate
	};
	enum charged charged;
	struct limit_hit hit;

	if (rule != NULL) {
		charge.tool = &rule->account;
		charge.tool_rate = &rule->rate;
		charge.in_flight_max = who->in_flight;
	}
	charged = account_charge(&charge, now_us(), &hit, flight);
	if (charged == CHARGE_REFUSED && hit.what == LIMIT_IN_FLIGHT) {
		/* He has the answer of one that we have not heard of yet. */
		hear_auditd();
		charged = account_charge(&charge, now_us(), &hit, flight);
	}
	if (charged == CHARGED)
		return 1;
	memset(r, 0, sizeof(*r));
	r->identity = who->identity;
	r->suspect = slice_of("");
	if (charged == CHARGE_REFUSED) {
		r->outcome = OUTCOME_RATE_LIMITED;
		r->reason = over[hit.what];
		r->retry_after = hit.reset_s;
		r->limit = hit;
	} else {
		r->outcome = OUTCOME_OVERLOADED;
		r->reason = REASON_QUEUE_FULL;
		r->retry_after = 1;
	}
	refuse(l, question, ask, r);
	return 0;
}

/* ---- who ----------------------------------------------------------------- */

/* Good, or why not; TOKEN_WAIT with the issuer to wait for. */
static enum token_verdict
check_credential(const struct msg_authorize *ask, int waited,
    struct caller *who, struct refusal *r, uint32_t *issuer)
{
	int64_t now = (int64_t)(wall_us() / 1000000);
	struct slice credential = ask->form == FORM_BEARER ?
	    ask->credential : slice_of("");
	struct api_key *key;

	/*
	 * A compact token has two dots (RFC 7515 7.1).  A key of the reference
	 * system may have some as well, but no token begins as a key does.
	 */
	if (issuer_count() > 0 && !key_text_begins(credential) &&
	    credential.len > 0 &&
	    memchr(credential.ptr, '.', credential.len) != NULL)
		return token_check(credential, now, waited, who, &r->reason,
		    issuer);
	key = apikey_check(credential, now, &r->reason, &r->suspect);
	if (key == NULL)
		return TOKEN_BAD;
	keycare_used(key, now);
	who->identity = &key->identity;
	who->nscopes = key->nscopes;
	who->scope = key->scope;
	who->rate = &key->rate;
	who->owner = &key->owner;
	who->payer = key->rate.count > 0 ? &key->payer : &key->owner;
	return TOKEN_GOOD;
}

static void
refuse_credential(const struct asker *l, uint64_t question,
    const struct msg_authorize *ask, struct refusal *r)
{
	const struct rule *rule;

	r->outcome = OUTCOME_AUTH_FAILED;
	if (ask->form == FORM_NONE) {
		r->no_credential = 1;
		r->reason = REASON_NO_CREDENTIAL;
	} else {
		r->delay_ms = penalty_add(ask->peer, now_ms());
	}
	/* A client that can get a token is told for what (MCP, RFC 6750 3). */
	if (issuer_count() > 0 && (rule = rule_find(ask->tool)) != NULL)
		r->scope = rule->scope;
	refuse(l, question, ask, r);
}

/*
 * Who is it?  1, or 0 after the refusal was sent or the question was put
 * aside until there are keys to judge it by.
 */
static int
resolve(const struct asker *l, const struct frame *f,
    const struct msg_authorize *ask, int waited, struct caller *who,
    struct refusal *r)
{
	uint32_t issuer = 0;
	enum token_verdict verdict;

	verdict = check_credential(ask, waited, who, r, &issuer);
	if (verdict == TOKEN_WAIT) {
		if (hold(HOLD_KEYS, issuer, l->ch, f) == 0)
			return 0;
		verdict = check_credential(ask, 1, who, r, &issuer);
	}
	if (verdict == TOKEN_NO_KEYS) {
		r->outcome = OUTCOME_OVERLOADED;
		r->retry_after = NO_KEYS_RETRY_S;
		refuse(l, f->id, ask, r);
		return 0;
	}
	if (verdict != TOKEN_GOOD) {
		refuse_credential(l, f->id, ask, r);
		return 0;
	}
	r->identity = who->identity;
	if (who->rate->count == 0)
		who->rate = &default_rate;
	if (who->in_flight == 0)
		who->in_flight = default_in_flight;
	return 1;
}

void
decide(const struct asker *l, const struct frame *f,
    const struct msg_authorize *ask, int waited)
{
	const struct rule *rule = NULL;
	struct owed *flight = NULL;
	struct caller who;
	struct refusal r;

	asked_total += !waited;
	memset(&who, 0, sizeof(who));
	memset(&r, 0, sizeof(r));
	r.suspect = slice_of("");
	if (ask->ask != ASK_REPORT) {
		if (!resolve(l, f, ask, waited, &who, &r))
			return;
		if (ask->ask == ASK_CALL)
			rule = judge_call(ask, &who, &r);
		if (!within_limits(l, f->id, ask, &who, rule, &flight, &r))
			return;
	}
	switch ((enum ask)ask->ask) {
	case ASK_PLAIN:
	case ASK_LIST:
		allow_plain(l, f->id, &who, ask->ask == ASK_LIST);
		break;
	case ASK_CALL:
		decide_call(l, f->id, ask, &who, rule, flight, &r);
		break;
	case ASK_REPORT:
	case ASK_REPORT_KNOWN:
		r.outcome = (enum outcome)ask->outcome;
		r.reason = (enum reason)ask->reason;
		if (r.outcome == OUTCOME_OVERLOADED)
			r.retry_after = 1;
		refuse(l, f->id, ask, &r);
		break;
	case ASK_MAX:
		break;
	}
}
