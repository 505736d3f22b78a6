/* SPDX-License-Identifier: ISC */

/*
 * Of reports, records.  authd says that a call is authorised, its handler
 * says what became of it; this table holds the one until the other is there.
 * Nothing that was authorised goes without a record: where no outcome comes
 * the record says `unknown', where authd's successor decided the same question
 * again it says `superseded'.  A handler is believed about the calls that
 * authd gave to it, and about no other's.
 */

#include "../common/compat.h"
#include "../common/log.h"
#include "../common/proc.h"
#include "pending.h"

#define LIVE_MAX	(8 * HANDLERS_MAX)	/* of several crews */
#define AUTHDS_MAX	8	/* of several crews, also gone ones */
#define COMPLAIN_MS	1000
#define AGAIN_MAX	1024	/* of a sweep */

/* To be undone where the group fails. */
struct mark {
	uint8_t		id[REQUEST_ID_LEN];
	unsigned int	before;
};

static const struct join_conf *conf;
static struct mark *marks;
static size_t nmarks, marks_cap;
static uint32_t dead[DEAD_MAX], live[LIVE_MAX];
static size_t ndead, nlive;
static uint64_t started_ms;
/* Authd of each crew, newest last. */
static struct authd {
	uint32_t	crew;
	int		up;
	uint64_t	since_ms;
} authds[AUTHDS_MAX];
static size_t nauthds;
static uint64_t latest_ms;	/* the time that was told last */

static int
is_in(const uint32_t *set, size_t n, uint32_t instance)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (set[i] == instance)
			return 1;
	return 0;
}

/* NULL: it was not here yet. */
static struct authd *
authd_of(uint32_t crew)
{
	size_t i;

	for (i = 0; i < nauthds; i++)
		if (authds[i].crew == crew)
			return &authds[i];
	return NULL;
}

/* About a sibling that may be an attacker's: it must not fill the log. */
static void
complain(const char *what)
{
	static uint64_t last_ms, kept_back;
	uint64_t now = now_ms();

	if (now - last_ms < COMPLAIN_MS) {
		kept_back++;
		return;
	}
	log_warn("%s: not taken as it stands (%llu more since the last such "
	    "line)", what, (unsigned long long)kept_back);
	last_ms = now;
	kept_back = 0;
}

/* ---- writing ----------------------------------------------------------- */

/* gcc does not know that reallocarray(3) frees only where it succeeds. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wanalyzer-double-free"
static void
mark(const uint8_t id[REQUEST_ID_LEN], uint32_t handler, unsigned int flags)
{
	struct mark *grown;
	size_t cap;

	if (nmarks == marks_cap) {
		cap = marks_cap == 0 ? 256 : 2 * marks_cap;
		grown = reallocarray(marks, cap, sizeof(*marks));
		if (grown == NULL)
			return;	/* not remembered: at worst written again */
		marks = grown;
		marks_cap = cap;
	}
	memcpy(marks[nmarks].id, id, REQUEST_ID_LEN);
	marks[nmarks++].before = seen_add(id, handler, flags);
}
#pragma GCC diagnostic pop

/* The record of a handler's report; 0, or -1: it is not in the group. */
static int
write_call(struct pending *p, enum record_kind kind,
    const struct msg_audit_call *m)
{
	struct msg_audit_decision d;
	const struct msg_audit_decision *decided = pending_decision(p, &d);
	struct record r;
	unsigned int flags;

	compose_call(&r, kind, decided, m, p->handler, p->crew, 0);
	/* A restart lost the decision, or authd will send it again. */
	if (decided == NULL && p->line != NULL)
		r.undecided = 0;
	if (conf->append(&r) == -1)
		return -1;
	flags = kind == RECORD_INTENT ? SEEN_INTENT : SEEN_OUTCOME;
	if (r.undecided)
		flags |= SEEN_UNDECIDED;
	mark(p->id, p->handler, flags);
	return 0;
}

/* The record of a call whose outcome never came. */
static int
write_closed(struct pending *p)
{
	enum record_kind kind = p->intended ? RECORD_OUTCOME : RECORD_CALL;
	struct msg_audit_decision d;
	const struct msg_audit_decision *decided = pending_decision(p, &d);
	struct msg_audit_call m;
	struct record r;

	if (decided != NULL) {
		compose_call(&r, kind, decided, NULL, p->handler, p->crew, 0);
	} else if (pending_call(p, &m) != NULL) {
		/* An intent that nobody decided. */
		compose_call(&r, kind, NULL, &m, p->handler, p->crew, 0);
		r.ran = 0;
	} else if (p->line == NULL ||
	    compose_from_line(&r, p->line, p->line_len) == -1) {
		return 0;	/* nothing is known that could be said */
	}
	r.outcome = p->closed;
	r.reason = p->reason;
	r.calls = p->closed != OUTCOME_SUPERSEDED;
	if (conf->append(&r) == -1)
		return -1;
	mark(p->id, p->handler, p->closed == OUTCOME_SUPERSEDED ?
	    SEEN_SUPERSEDED : SEEN_UNKNOWN);
	return 0;
}

/* Both senders hear of it when the group is settled. */
static void
enter_group(struct pending *p, int ending)
{
	conf->due(p->call_report);
	p->call_report.peer = 0;
	if (ending) {
		conf->due(p->decision_report);
		p->decision_report.peer = 0;
	}
	p->ending = ending;
	pending_state(p, IN_GROUP);
}

static void
refuse_both(struct pending *p)
{
	conf->refuse(p->call_report);
	conf->refuse(p->decision_report);
	p->call_report.peer = p->decision_report.peer = 0;
}

/* Its last record could not be made. */
static void
not_recorded(struct pending *p)
{
	refuse_both(p);
	/*
	 * A read was answered `overloaded', and nothing left.  What may have
	 * had an effect, and what nobody answers for, must be recorded yet.
	 */
	if (p->intended || p->closed != OUTCOME_OK)
		pending_state(p, AGAIN);
	else
		pending_free(p);
}

/* m: the outcome, kept in p->call where the call has an effect to report. */
static void
end_call(struct pending *p, const struct msg_audit_call *m)
{
	enum record_kind kind = p->intended || m->intended ? RECORD_OUTCOME :
	    RECORD_CALL;

	if (write_call(p, kind, m) == -1)
		not_recorded(p);
	else
		enter_group(p, 1);
}

static void
close_call(struct pending *p, enum outcome outcome, enum reason reason)
{
	p->closed = outcome;
	p->reason = reason;
	if (write_closed(p) == -1)
		not_recorded(p);
	else
		enter_group(p, 1);
}

static void
write_intent(struct pending *p, const struct msg_audit_call *m)
{
	if (write_call(p, RECORD_INTENT, m) == -1) {
		conf->refuse(p->call_report);
		p->call_report.peer = 0;
		pending_drop_call(p);
		if (p->decision == NULL && p->line == NULL)
			pending_free(p);
		else
			pending_state(p, DECIDED);
		return;
	}
	p->intended = 1;
	enter_group(p, 0);
}

/* A report that was held is recorded, with its decision or without. */
static void
release(struct pending *p)
{
	struct msg_audit_call m;

	if (pending_call(p, &m) == NULL) {
		pending_free(p);
		return;
	}
	if (p->decision == NULL)
		complain("a handler reported a call that authd did not");
	if (p->held_intent) {
		p->held_intent = 0;
		write_intent(p, &m);
	} else {
		end_call(p, &m);
	}
}

/* ---- decisions --------------------------------------------------------- */

static void
refusal(struct report report, const struct msg_audit_decision *m)
{
	struct record r;

	if (seen_get(m->request_id, 0) & SEEN_REFUSED) {
		conf->due(report);
		return;
	}
	compose_refusal(&r, m, report.crew);
	if (conf->append(&r) == -1) {
		conf->refuse(report);
		return;
	}
	mark(m->request_id, 0, SEEN_REFUSED);
	conf->due(report);
}

/* The same question, asked again by a listener whose authd died. */
static void
supersede(struct pending *p)
{
	struct pending *older = pending_ask(p);

	if (older != NULL && older->state == DECIDED && !older->intended)
		close_call(older, OUTCOME_SUPERSEDED, REASON_PROCESS_DIED);
}

static int
adopt(struct pending *p, struct report report, const struct frame *f,
    const struct msg_audit_decision *m)
{
	if (payload_keep(&p->decision, &p->decision_len, f) == -1)
		return -1;
	p->decision_report = report;
	p->crew = report.crew;
	p->handler = m->handler_instance;
	p->listener = m->listener_instance;
	p->question = m->question;
	return 0;
}

static void
new_decision(struct report report, const struct frame *f,
    const struct msg_audit_decision *m, uint64_t now_ms)
{
	struct pending *p;

	if ((p = pending_new(m->request_id, DECIDED, now_ms)) == NULL) {
		conf->refuse(report);
		return;
	}
	if (adopt(p, report, f, m) == -1) {
		conf->refuse(report);
		pending_free(p);
		return;
	}
	supersede(p);
	if (is_in(dead, ndead, p->handler))
		close_call(p, OUTCOME_UNKNOWN, REASON_PROCESS_DIED);
}

void
join_decision(struct report report, const struct frame *f,
    const struct msg_audit_decision *m, uint64_t now_ms)
{
	struct pending *p;

	latest_ms = now_ms;
	if (m->outcome != OUTCOME_OK) {
		refusal(report, m);
		return;
	}
	if (seen_get(m->request_id, m->handler_instance) &
	    (SEEN_OUTCOME | SEEN_UNKNOWN | SEEN_SUPERSEDED)) {
		conf->due(report);
		return;
	}
	p = pending_find(m->request_id);
	if (p != NULL && p->state == HELD &&
	    p->handler != m->handler_instance) {
		complain("a handler reported a call that was another's");
		release(p);
		if ((p = pending_find(m->request_id)) != NULL) {
			/* It still sits in the group, under the same id. */
			conf->refuse(report);
			return;
		}
	}
	if (p == NULL) {
		new_decision(report, f, m, now_ms);
	} else if (p->decision != NULL) {
		p->decision_report = report;
	} else if (adopt(p, report, f, m) == -1) {
		conf->refuse(report);
	} else if (p->state == HELD) {
		release(p);
	}
}

/* ---- what handlers report ---------------------------------------------- */

static void
hold(struct report report, uint32_t handler, const struct frame *f,
    const struct msg_audit_call *m, int intent, uint64_t now_ms)
{
	const struct authd *a;
	struct pending *p;

	if (pendings.held >= REPORTS_MAX ||
	    (p = pending_new(m->request_id, HELD, now_ms)) == NULL) {
		conf->refuse(report);
		return;
	}
	p->handler = handler;
	p->crew = report.crew;
	p->call_report = report;
	p->held_intent = intent;
	if (payload_keep(&p->call, &p->call_len, f) == -1) {
		conf->refuse(report);
		pending_free(p);
		return;
	}
	/* authd's last words have been read: no decision will come. */
	if ((a = authd_of(report.crew)) != NULL && !a->up)
		release(p);
}

/* The entry that a report may act on; NULL: it was dealt with. */
static struct pending *
entry_for(struct report report, uint32_t handler, const struct frame *f,
    const struct msg_audit_call *m, int intent, uint64_t now_ms)
{
	struct pending *p = pending_find(m->request_id);

	latest_ms = now_ms;
	if (p == NULL) {
		hold(report, handler, f, m, intent, now_ms);
		return NULL;
	}
	if (p->line != NULL && p->handler == 0)
		p->handler = handler;
	if (p->handler != handler || p->state == IN_GROUP ||
	    (p->state == HELD && p->held_intent != intent)) {
		complain("a handler's report fits no call of its own");
		conf->refuse(report);
		return NULL;
	}
	if (p->state == HELD) {
		p->call_report = report;	/* the same, sent again */
		return NULL;
	}
	p->call_report = report;
	return p;
}

void
join_intent(struct report report, uint32_t handler, const struct frame *f,
    const struct msg_audit_call *m, uint64_t now_ms)
{
	struct pending *p;

	if (seen_get(m->request_id, handler) & (SEEN_INTENT | SEEN_OUTCOME)) {
		conf->due(report);
		return;
	}
	if (seen_get(m->request_id, handler) &
	    (SEEN_UNKNOWN | SEEN_SUPERSEDED)) {
		/* The call is closed: it must not begin now. */
		conf->refuse(report);
		return;
	}
	if ((p = entry_for(report, handler, f, m, 1, now_ms)) != NULL)
		write_intent(p, m);
}

/* The outcome of a call that was closed without it: nothing is hidden. */
static void
late_outcome(struct report report, uint32_t handler,
    const struct msg_audit_call *m, unsigned int seen)
{
	int counted = (seen & SEEN_UNKNOWN) != 0;
	struct record r;

	compose_call(&r, counted || m->intended ? RECORD_OUTCOME : RECORD_CALL,
	    NULL, m, handler, report.crew, 1);
	r.calls = !counted;
	if (conf->append(&r) == -1) {
		conf->refuse(report);
		return;
	}
	mark(m->request_id, handler, SEEN_OUTCOME);
	conf->due(report);
}

void
join_outcome(struct report report, uint32_t handler, const struct frame *f,
    const struct msg_audit_call *m, uint64_t now_ms)
{
	unsigned int seen = seen_get(m->request_id, handler);
	struct pending *p;

	if (seen & SEEN_OUTCOME) {
		conf->due(report);
		return;
	}
	if (seen & (SEEN_UNKNOWN | SEEN_SUPERSEDED)) {
		late_outcome(report, handler, m, seen);
		return;
	}
	if ((p = entry_for(report, handler, f, m, 0, now_ms)) == NULL)
		return;
	p->closed = OUTCOME_OK;
	if (p->intended || m->intended) {
		p->intended = 1;
		pending_drop_call(p);
		if (payload_keep(&p->call, &p->call_len, f) == -1)
			log_warn("no memory to keep an outcome");
	}
	end_call(p, m);
}

void
join_event(const char *name, const char *detail_json)
{
	struct record r;

	compose_event(&r, name, detail_json);
	if (conf->append(&r) == -1)
		log_warn("event not recorded: %s", name);
}

/* An event that another process tells; once, however often it is sent. */
void
join_reported(struct report report, const struct msg_audit_event *m)
{
	struct record r;

	if (seen_get(m->id, 0) & SEEN_REFUSED) {
		conf->due(report);
		return;
	}
	compose_reported(&r, m, report.crew);
	if (conf->append(&r) == -1) {
		conf->refuse(report);
		return;
	}
	mark(m->id, 0, SEEN_REFUSED);
	conf->due(report);
}

/* ---- time, and peers that go ------------------------------------------- */

void
join_handler_up(uint32_t instance)
{
	size_t i;

	for (i = 0; i < ndead; i++)
		if (dead[i] == instance)
			dead[i--] = dead[--ndead];
	if (nlive < LIVE_MAX && !is_in(live, nlive, instance))
		live[nlive++] = instance;
}

void
join_handler_down(uint32_t instance, uint64_t now_ms)
{
	struct pending *p, *next;
	size_t i;

	(void)now_ms;
	for (i = 0; i < nlive; i++)
		if (live[i] == instance)
			live[i--] = live[--nlive];
	if (ndead == DEAD_MAX) {
		memmove(dead, dead + 1, (DEAD_MAX - 1) * sizeof(dead[0]));
		ndead--;
	}
	dead[ndead++] = instance;
	TAILQ_FOREACH_SAFE(p, &pendings.list, entry, next)
		if (p->state == DECIDED && p->handler == instance)
			close_call(p, OUTCOME_UNKNOWN, REASON_PROCESS_DIED);
}

/* A place in the table, taken from one that is gone where there is none. */
static struct authd *
authd_place(uint32_t crew)
{
	struct authd *a = authd_of(crew);
	size_t i;

	if (a != NULL)
		return a;
	if (nauthds == AUTHDS_MAX) {
		for (i = 0; i < nauthds && authds[i].up; i++)
			;
		if (i == nauthds)
			i = 0;
		memmove(&authds[i], &authds[i + 1],
		    (--nauthds - i) * sizeof(authds[0]));
	}
	a = &authds[nauthds++];
	a->crew = crew;
	return a;
}

void
join_authd_up(uint32_t crew)
{
	struct authd *a = authd_place(crew);

	a->up = 1;
	a->since_ms = latest_ms;
}

void
join_authd_down(uint32_t crew, uint64_t now_ms)
{
	struct authd *a = authd_of(crew);
	struct pending *p, *next;

	(void)now_ms;
	if (a != NULL)
		a->up = 0;
	TAILQ_FOREACH_SAFE(p, &pendings.list, entry, next)
		if (p->state == HELD && p->crew == crew)
			release(p);
}

/* A handler that is neither here nor about to come. */
static int
is_gone(uint32_t handler, uint64_t now_ms)
{
	if (is_in(dead, ndead, handler))
		return 1;
	return handler < conf->instance && now_ms - started_ms > GRACE_MS &&
	    !is_in(live, nlive, handler);
}

static void
try_again(struct pending *p)
{
	struct msg_audit_call m;

	if (p->closed == OUTCOME_OK && pending_call(p, &m) != NULL) {
		end_call(p, &m);
		return;
	}
	if (p->closed == OUTCOME_OK)
		p->closed = OUTCOME_UNKNOWN;
	close_call(p, p->closed, p->reason);
}

/*
 * authd sends its decision before the ticket leaves it, and what is unacked
 * as soon as it meets us.  Once it has been here for a moment there is little
 * to wait for.
 */
static uint64_t
held_ms(uint32_t crew, uint64_t now_ms)
{
	const struct authd *a = authd_of(crew);

	return a != NULL && a->up && now_ms - a->since_ms > HELD_MS ?
	    HELD_MS : HELD_ABSENT_MS;
}

void
join_sweep(uint64_t now_ms)
{
	struct pending *p, *next;
	size_t again = 0;

	latest_ms = now_ms;

	TAILQ_FOREACH_SAFE(p, &pendings.list, entry, next) {
		switch (p->state) {
		case HELD:
			if (now_ms - p->since_ms > held_ms(p->crew, now_ms))
				release(p);
			break;
		case DECIDED:
			if (is_gone(p->handler, now_ms))
				close_call(p, OUTCOME_UNKNOWN,
				    REASON_PROCESS_DIED);
			else if (now_ms - p->since_ms > PENDING_MS)
				close_call(p, OUTCOME_UNKNOWN,
				    REASON_INTERNAL);
			break;
		case AGAIN:
			if (again++ < AGAIN_MAX)
				try_again(p);
			break;
		case IN_GROUP:
			break;
		}
	}
}

void
join_finish(uint64_t now_ms)
{
	struct pending *p, *next;

	join_sweep(now_ms);
	TAILQ_FOREACH_SAFE(p, &pendings.list, entry, next) {
		if (p->state == HELD)
			release(p);
		else if (p->state == DECIDED)
			close_call(p, OUTCOME_UNKNOWN, REASON_SHUTTING_DOWN);
	}
}

void
join_settled(int durable)
{
	struct pending *p, *next;

	TAILQ_FOREACH_SAFE(p, &pendings.group, group_entry, next) {
		if (!p->ending) {
			p->intended = durable;
			/* Of one that nobody decided it is all we know. */
			if (p->decision != NULL || p->line != NULL)
				pending_drop_call(p);
			pending_state(p, DECIDED);
			if (!durable && p->decision == NULL && p->line == NULL)
				pending_free(p);
		} else if (durable) {
			pending_free(p);
		} else {
			not_recorded(p);
		}
	}
	while (nmarks > 0) {
		nmarks--;
		if (!durable)
			seen_restore(marks[nmarks].id, marks[nmarks].before);
	}
}

/* ---- start and end ----------------------------------------------------- */

static void
replay_intent(const uint8_t id[REQUEST_ID_LEN], const struct record_view *v,
    struct slice line)
{
	struct pending *p;

	if (pending_find(id) != NULL ||
	    (p = pending_new(id, DECIDED, started_ms)) == NULL)
		return;
	p->intended = 1;
	p->handler = compose_handler(v);
	p->line_len = line.len;
	if ((p->line = slice_dup(line)) == NULL)
		pending_free(p);
}

void
join_replay(const struct record_view *v, struct slice line, void *arg)
{
	enum outcome outcome = view_outcome(v->field[FIELD_OUTCOME]);
	uint8_t id[REQUEST_ID_LEN];
	unsigned int flags = SEEN_OUTCOME;
	struct pending *p;

	(void)arg;
	if (view_request_id(v->field[FIELD_REQUEST_ID], id) == -1)
		return;
	switch (view_kind(v->field[FIELD_KIND])) {
	case RECORD_EVENT:
	case RECORD_REFUSAL:
		flags = SEEN_REFUSED;
		break;
	case RECORD_INTENT:
		flags = SEEN_INTENT;
		replay_intent(id, v, line);
		break;
	case RECORD_CALL:
	case RECORD_OUTCOME:
		if (outcome == OUTCOME_UNKNOWN)
			flags = SEEN_UNKNOWN;
		else if (outcome == OUTCOME_SUPERSEDED)
			flags = SEEN_SUPERSEDED;
		if ((p = pending_find(id)) != NULL)
			pending_free(p);
		break;
	default:
		return;
	}
	if (slice_is(v->field[FIELD_UNDECIDED], "true"))
		flags |= SEEN_UNDECIDED;
	(void)seen_add(id, 0, flags);
}

void
join_init(const struct join_conf *c, uint64_t now_ms)
{
	conf = c;
	started_ms = latest_ms = now_ms;
	ndead = nlive = nauthds = 0;
	compose_init(c);
	seen_init();
}

void
join_free(void)
{
	struct pending *p, *next;

	TAILQ_FOREACH_SAFE(p, &pendings.list, entry, next)
		pending_free(p);
	free(marks);
	marks = NULL;
	nmarks = marks_cap = 0;
	seen_free();
	compose_free();
}

size_t
join_held(void)
{
	return pendings.held;
}

size_t
join_pending(void)
{
	return pendings.count;
}
