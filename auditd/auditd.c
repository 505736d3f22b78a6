/* SPDX-License-Identifier: ISC */

/*
 * auditd: the only process that writes the trail.  Reports come from authd
 * and the handlers; what they make (join.c) is gathered for one turn of the
 * loop, made durable with one fdatasync (journal.c), and acknowledged in the
 * same turn.  Where that fails nothing is acknowledged, and nothing that was
 * asked for leaves the daemon.  The senders are not trusted: a malformed
 * report ends their connection.
 */

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "../common/log.h"
#include "../common/proc.h"
#include "../common/stats.h"
#include "../common/version.h"
#include "../pledge/sandbox.h"
#include "auditd.h"
#include "pending.h"

#define PEERS_MAX	(4 * (HANDLERS_MAX + 1))	/* of so many crews */
#define SWEEP_MS	1000
#define DRAIN_END_MS	2000	/* at the end, for what is not in Postgres */
#define END_POLL_MS	20
#define DRAIN_PATIENCE	(256ULL << 20)	/* bytes, where no limit is given */
#define GROUP_WAIT_US	400	/* a group waits so long for calls that end */
#define GROUP_RECENT_MS	2	/* a call that old may not end soon */
#define PARENT_ID	UINT32_MAX	/* as a peer: it has no place */
#define KEEP_EVERY_MS	3600000ULL
#define GROUP_LOOK	64	/* calls that are looked at */

struct peer {
	struct channel	*channel;	/* NULL: the place is free */
	enum role	 role;
	uint32_t	 index;
	uint32_t	 crew;
	uint32_t	 instance;
	uint32_t	 id;		/* of this connection; struct report */
	struct buffer	 acks;		/* u64 numbers, to be sent */
	struct buffer	 nacks;
};

static struct {
	char			*namespace;
	char			*node;
	char			*path;
	char			*dsn;
	uint64_t		 limit;
	uint64_t		 segment;
	uint64_t		 keep_s;
	uint32_t		 checkpoint_records;
	uint32_t		 checkpoint_ms;
	char			*checkpoint[CHECKPOINTS_MAX];
	size_t			 checkpoints;
	enum audit_failure	 on_failure;
} conf;
static struct join_conf join;
static struct journal *journal;
static struct peer peers[PEERS_MAX];
static uint32_t last_id;
static struct report *due;	/* whose reports the group carries */
static size_t ndue, due_max;
static struct event *sweep_timer;
static struct event *end_timer;
static struct event *group_timer;
static struct event *checkpoint_timer;
static struct event *watch_event;	/* something happened in the folder */
static int watch = -1;
static uint64_t kept_ms;	/* when old segments were looked for */
static uint64_t group_since_us;	/* 0: no group waits */
static uint64_t end_ms;
static uint64_t lost;		/* records that were let go (continue) … */
static uint64_t lost_total;	/* … also those that were told since */
static int over_limit;
static int drains;		/* Postgres is configured */
static int ending;

/* ---- configuration ----------------------------------------------------- */

static int
configure_checkpoints(const struct msg_conf_auditd *m)
{
	uint32_t i;

	conf.checkpoint_records = m->checkpoint_records;
	conf.checkpoint_ms = m->checkpoint_ms;
	for (i = 0; i < m->checkpoints; i++)
		if ((conf.checkpoint[i] = slice_dup(m->checkpoint[i])) == NULL)
			return -1;
	conf.checkpoints = m->checkpoints;
	return 0;
}

/* What a crew's records name: before the start, and at a reload. */
static int
take_catalogue(const struct frame *f)
{
	struct msg_conf_catalogue c;
	struct msg_conf_tool_digest t;

	if (f->type == MSG_CONF_CATALOGUE)
		return get_conf_catalogue(f, &c) == -1 ? -1 :
		    catalogue_begin(&c);
	return get_conf_tool_digest(f, &t) == -1 ? -1 : catalogue_add(&t);
}

static int
configure(const struct frame *f)
{
	struct msg_conf_sink sink;
	struct msg_conf_auditd m;

	if (f->type == MSG_CONF_SINK)
		return get_conf_sink(f, &sink) == -1 ? -1 : sink_add(&sink);
	if (f->type == MSG_CONF_AUDITD) {
		if (conf.path != NULL || get_conf_auditd(f, &m) == -1 ||
		    configure_checkpoints(&m) == -1)
			return -1;
		conf.namespace = slice_dup(m.namespace);
		conf.node = slice_dup(m.node);
		conf.path = slice_dup(m.journal);
		conf.dsn = slice_dup(m.dsn);
		conf.limit = m.limit;
		conf.segment = m.segment;
		conf.keep_s = m.keep_s;
		conf.on_failure = (enum audit_failure)m.on_failure;
		if (conf.namespace == NULL || conf.node == NULL ||
		    conf.path == NULL || conf.dsn == NULL)
			return -1;
		return 0;
	}
	if (f->type == MSG_CONF_CATALOGUE || f->type == MSG_CONF_TOOL_DIGEST)
		return take_catalogue(f);
	return -1;
}

/* ---- acknowledging ----------------------------------------------------- */

static struct peer *
peer_by_id(uint32_t id)
{
	size_t i;

	for (i = 0; id != 0 && i < PEERS_MAX; i++)
		if (peers[i].channel != NULL && peers[i].id == id)
			return &peers[i];
	return NULL;
}

static void
answer(struct report report, int durable)
{
	struct peer *p;

	if (report.peer == PARENT_ID) {
		(void)channel_send(child.control, durable ? MSG_AUDIT_ACK :
		    MSG_AUDIT_NACK, 0, &report.number, sizeof(report.number));
		return;
	}
	/* One that is gone asks again by its next connection. */
	if ((p = peer_by_id(report.peer)) != NULL)
		put_u64(durable ? &p->acks : &p->nacks, report.number);
}

static void
send_answers(struct peer *p, struct buffer *numbers, uint16_t type)
{
	size_t at, len;

	for (at = 0; at < numbers->len; at += len) {
		len = numbers->len - at;
		if (len > ACKS_MAX * sizeof(uint64_t))
			len = ACKS_MAX * sizeof(uint64_t);
		if (channel_send(p->channel, type, 0, numbers->data + at,
		    len) == -1)
			break;
	}
	if (numbers->bad)
		log_warn("no memory for acknowledgements: %s",
		    channel_name(p->channel));
	buffer_clear(numbers);
}

static void
on_due(struct report report)
{
	struct report *grown;
	size_t max;

	if (report.peer == 0)
		return;
	if (ndue == due_max) {
		max = due_max == 0 ? 1024 : 2 * due_max;
		if ((grown = reallocarray(due, max, sizeof(*due))) == NULL) {
			answer(report, 0);
			return;
		}
		due = grown;
		due_max = max;
	}
	due[ndue++] = report;
}

static void
on_refuse(struct report report)
{
	if (report.peer != 0)
		answer(report, 0);
}

/* ---- the folder -------------------------------------------------------- */

static void
stop_all(void)
{
	if (conf.on_failure != FAILURE_STOP || child.stop)
		return;
	log_warn("stopping: audit is set to stop on failure");
	child.exit_code = EXIT_STOP_ALL;
	child.stop = 1;
}

/* A file that is taken away is noticed while nobody calls, too. */
static void
on_watch(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	(void)arg;
	watch_drain(fd);
	if (journal_check(journal) == -1)
		stop_all();
}

static void
watch_folder(void)
{
	char path[PATH_LEN_MAX + 8];

	if ((size_t)snprintf(path, sizeof(path), "%s/lock", conf.path) >=
	    sizeof(path) || (watch = watch_open(path)) == -1 ||
	    (watch_event = event_new(child.base, watch, EV_READ | EV_PERSIST,
	    on_watch, NULL)) == NULL || event_add(watch_event, NULL) == -1)
		log_errno("audit journal %s cannot be watched: what happens to "
		    "it is noticed with the next record", conf.path);
}

/* ---- the group --------------------------------------------------------- */

/* `limit': what Postgres has not taken yet may fill so much and no more. */
static int
within_limit(void)
{
	int over = conf.limit != 0 && drains &&
	    drain_backlog() + journal_grouped(journal) > conf.limit;

	if (over && !over_limit)
		log_warn("audit journal: over its limit of %llu bytes that are "
		    "not in Postgres yet%s", (unsigned long long)conf.limit,
		    conf.on_failure == FAILURE_CONTINUE ? "" :
		    ": calls are refused");
	else if (!over && over_limit)
		log_info("audit journal: within its limit again");
	over_limit = over;
	return !over || conf.on_failure == FAILURE_CONTINUE;
}

static int
on_append(const struct record *r)
{
	int begins = r->kind == RECORD_INTENT || r->kind == RECORD_REFUSAL ||
	    (r->kind == RECORD_CALL && r->outcome != OUTCOME_UNKNOWN &&
	    r->outcome != OUTCOME_SUPERSEDED);

	/* What ends a call or tells an event is recorded in any case. */
	if (begins && !within_limit())
		return -1;
	return journal_append(journal, r);
}

/* What was let go is told by a record as soon as there can be one. */
static void
tell_lost(void)
{
	char detail[64];

	if (lost == 0 || journal_failed(journal))
		return;
	(void)snprintf(detail, sizeof(detail), "{\"records\":%llu}",
	    (unsigned long long)lost);
	join_event("lost", detail);
	lost = 0;
}

/* A checkpoint stands behind the records that it speaks for. */
static void
add_checkpoint(void)
{
	uint8_t hash[DIGEST_LEN];
	const char *detail;
	uint64_t seq;

	if (!checkpoint_due(journal_group_records(journal), now_ms()))
		return;
	seq = journal_tip(journal, hash);
	if ((detail = checkpoint_make(seq, hash)) != NULL)
		join_event("checkpoint", detail);
}

/* Records behind `before' are in the journal. */
static void
made_durable(uint64_t before, size_t bytes)
{
	lag_note(before + 1, now_ms());
	drain_kick(bytes);
	sinks_kick(bytes);
	tell_lost();
}

static int
commit_group(void)
{
	size_t records = journal_group_records(journal);
	int durable;

	add_checkpoint();
	durable = journal_commit(journal) == 0;
	checkpoint_settled(durable, records, now_ms());
	return durable;
}

static void
commit(void)
{
	size_t i, bytes = journal_grouped(journal);
	size_t records = journal_group_records(journal);
	uint64_t before = journal_seq(journal);
	int durable = commit_group();

	if (!durable && conf.on_failure == FAILURE_CONTINUE) {
		if (lost == 0)
			log_warn("calls are served without a record: audit is "
			    "set to continue on failure");
		lost += records;
		lost_total += records;
	}
	if (!durable)
		stop_all();
	join_settled(durable || conf.on_failure == FAILURE_CONTINUE);
	for (i = 0; i < ndue; i++)
		answer(due[i], durable ||
		    conf.on_failure == FAILURE_CONTINUE);
	ndue = 0;
	if (durable)
		made_durable(before, bytes);
}

/*
 * The journal fails and nobody calls: is it mended?  Nobody's report is in
 * this group, so none is lost with it; where some are, they are the try.
 */
static void
try_journal(const char *detail)
{
	uint64_t before = journal_seq(journal);
	size_t bytes;

	if (ending || ndue > 0 || journal_group_records(journal) > 0)
		return;
	join_event("journal_failed", detail);
	bytes = journal_grouped(journal);
	if (commit_group())
		made_durable(before, bytes);
}

static void
tell_able(struct peer *p)
{
	uint8_t flag = able_now() != 0;

	if (p->channel != NULL && p->role == ROLE_HANDLER)
		(void)channel_send(p->channel, MSG_RECORDS, 0, &flag,
		    sizeof(flag));
}

static void
tell_all_able(void)
{
	size_t i;

	for (i = 0; i < PEERS_MAX; i++)
		tell_able(&peers[i]);
}

/*
 * One fdatasync costs as much for one record as for fifty.  Where more calls
 * began a moment ago than have ended, their ends are close: the group waits
 * for them, a little.  A call that is alone never waits.
 */
static int
group_waits(void)
{
	static const struct timeval pause = { 0, 1000 };
	size_t open = 0, looked = 0, group = journal_group_records(journal);
	const struct pending *p;
	uint64_t now;

	if (group == 0 || ending || child.stop)
		return 0;
	now = now_us();
	TAILQ_FOREACH_REVERSE(p, &pendings.list, pending_list, entry) {
		if (p->since_ms + GROUP_RECENT_MS < now / 1000 ||
		    ++looked > GROUP_LOOK)
			break;
		open += p->state == DECIDED;
	}
	if (open <= group)
		return 0;
	if (group_since_us == 0)
		group_since_us = now;
	if (now - group_since_us >= GROUP_WAIT_US)
		return 0;
	if (!event_pending(group_timer, EV_TIMEOUT, NULL))
		(void)event_add(group_timer, &pause);
	return 1;
}

/* Its end is a turn of the loop, and that commits. */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static void
arm_checkpoint(void)
{
	uint64_t at = checkpoint_at_ms(), now = now_ms(), ms;
	struct timeval pause;

	if (at == 0 || event_pending(checkpoint_timer, EV_TIMEOUT, NULL))
		return;
	ms = at > now ? at - now : 1;
	/* One that failed is tried again in a while. */
	if (journal_failed(journal) && ms < SWEEP_MS)
		ms = SWEEP_MS;
	pause.tv_sec = (time_t)(ms / 1000);
	pause.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	(void)event_add(checkpoint_timer, &pause);
}

/* What is told of removed segments must be durable before they go. */
static int
tell_removed(const char *detail)
{
	uint64_t before = journal_seq(journal);

	join_event("removed", detail);
	checkpoint_force();
	commit();
	return journal_seq(journal) > before ? 0 : -1;
}

static void
remove_old(void)
{
	uint64_t now = now_ms();

	if (conf.keep_s == 0 || ending ||
	    (kept_ms != 0 && now - kept_ms < KEEP_EVERY_MS))
		return;
	kept_ms = now;
	keep_run(journal_dir(journal), conf.keep_s,
	    drains ? drain_seq() : UINT64_MAX, tell_removed);
}

static void
on_checkpoint_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	remove_old();
}

static void
answer_peer(struct peer *p)
{
	if (p->channel == NULL)
		return;
	if (p->acks.len > 0)
		send_answers(p, &p->acks, MSG_AUDIT_ACK);
	if (p->nacks.len > 0)
		send_answers(p, &p->nacks, MSG_AUDIT_NACK);
}

/*
 * authd first: where a handler's answer lets a caller go on, authd can know
 * already that his call has ended, and counts it no longer.
 */
static void
answer_all(void)
{
	size_t i;

	for (i = 0; i < PEERS_MAX; i++)
		if (peers[i].role == ROLE_AUTHD)
			answer_peer(&peers[i]);
	for (i = 0; i < PEERS_MAX; i++)
		answer_peer(&peers[i]);
}

static void
turn(void)
{
	static const struct timeval sweep_pause = { SWEEP_MS / 1000, 0 };
	size_t i;

	/*
	 * authd queued its decision before the ticket left it: where a report
	 * is faster than its decision, that one is in the socket already.
	 */
	if (join_held() > 0)
		for (i = 0; i < PEERS_MAX; i++)
			if (peers[i].channel != NULL &&
			    peers[i].role == ROLE_AUTHD)
				channel_drain(peers[i].channel);
	if ((ndue > 0 || journal_group_records(journal) > 0 ||
	    checkpoint_due(0, now_ms())) && !group_waits()) {
		group_since_us = 0;
		commit();
	}
	arm_checkpoint();
	/* Nothing ticks while nothing is open. */
	if (join_pending() > 0 && !event_pending(sweep_timer, EV_TIMEOUT, NULL))
		(void)event_add(sweep_timer, &sweep_pause);
	able_look(within_limit() && (!journal_failed(journal) ||
	    conf.on_failure == FAILURE_CONTINUE), journal_failed(journal));
	answer_all();
}

/* ---- peers ------------------------------------------------------------- */

/* Each sender has events of its own, which no other may tell. */
static int
on_event(struct report report, const struct frame *f, const char *one,
    const char *prefix)
{
	static struct json j;
	struct msg_audit_event m;

	if (get_audit_event(f, &m) == -1 ||
	    json_parse(&j, m.detail.ptr, m.detail.len) == -1 ||
	    !json_is(&j, 0, JSON_OBJECT) ||
	    memchr(m.detail.ptr, '\n', m.detail.len) != NULL ||
	    memchr(m.detail.ptr, '\r', m.detail.len) != NULL)
		return -1;
	if (!slice_is(m.name, one) && (prefix == NULL ||
	    m.name.len < strlen(prefix) ||
	    memcmp(m.name.ptr, prefix, strlen(prefix)) != 0))
		return -1;
	join_reported(report, &m);
	return 0;
}

/* What the parent saw or did. */
static int
on_parent_event(const struct frame *f)
{
	static const char *const names[] = { "crash", "reload", "upgrade",
	    "log_level", "control_refused" };
	const struct report report = { PARENT_ID, f->id, 0 };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (on_event(report, f, names[i], NULL) == 0)
			return 0;
	return -1;
}

static int
on_report(struct channel *ch, const struct frame *f, void *arg)
{
	static struct msg_audit_decision decision;
	static struct msg_audit_call call;
	struct peer *p = arg;
	struct report report = { p->id, f->id, p->crew };
	uint64_t now = now_ms();

	(void)ch;
	if (f->type == MSG_AUDIT_DECISION && p->role == ROLE_AUTHD) {
		if (get_audit_decision(f, &decision) == -1)
			return -1;
		join_decision(report, f, &decision, now);
	} else if (f->type == MSG_AUDIT_EVENT && p->role == ROLE_AUTHD) {
		return on_event(report, f, "keys", "key_");
	} else if (f->type == MSG_AUDIT_INTENT && p->role == ROLE_HANDLER) {
		if (get_audit_call(f, &call) == -1)
			return -1;
		join_intent(report, p->instance, f, &call, now);
	} else if (f->type == MSG_AUDIT_OUTCOME && p->role == ROLE_HANDLER) {
		if (get_audit_call(f, &call) == -1)
			return -1;
		join_outcome(report, p->instance, f, &call, now);
	} else {
		return -1;
	}
	if (journal_grouped(journal) > GROUP_MAX / 2)
		commit();
	return 0;
}

static void
peer_clear(struct peer *p)
{
	p->channel = NULL;
	p->id = 0;
	buffer_free(&p->acks);
	buffer_free(&p->nacks);
}

static void
on_peer_closed(struct channel *ch, void *arg)
{
	struct peer *p = arg;
	enum role role = p->role;
	uint32_t instance = p->instance, crew = p->crew;

	log_debug("peer gone: %s", channel_name(ch));
	peer_clear(p);
	if (role == ROLE_AUTHD)
		join_authd_down(crew, now_ms());
	else
		join_handler_down(instance, now_ms());
}

/* Its predecessor's in its crew, or a free one; NULL: too many. */
static struct peer *
peer_place(const struct msg_peer *m)
{
	struct peer *free_place = NULL;
	size_t i;

	for (i = 0; i < PEERS_MAX; i++) {
		if (peers[i].channel == NULL) {
			if (free_place == NULL)
				free_place = &peers[i];
		} else if (peers[i].role == (enum role)m->role &&
		    peers[i].index == m->index && peers[i].crew == m->crew) {
			return &peers[i];
		}
	}
	return free_place;
}

/* Another process in the place of one whose last words may be unread. */
static void
peer_replace(struct peer *p, uint32_t instance)
{
	struct channel *ch = p->channel;

	if (ch == NULL)
		return;
	channel_drain(ch);
	/* Its end may have been among what was read. */
	if (p->channel != ch)
		return;
	channel_close(ch);
	if (p->role == ROLE_HANDLER && p->instance != instance) {
		peer_clear(p);
		join_handler_down(p->instance, now_ms());
	} else {
		peer_clear(p);
	}
}

static void
on_peer(const struct msg_peer *m, int fd)
{
	static const struct channel_ops ops = {
		.frame = on_report, .closed = on_peer_closed
	};
	char name[32];
	struct peer *p;

	p = m->role == ROLE_AUTHD || m->role == ROLE_HANDLER ?
	    peer_place(m) : NULL;
	if (p == NULL) {
		log_warn("peer refused: %s %u", role_name((enum role)m->role),
		    m->index);
		close(fd);
		return;
	}
	peer_replace(p, m->instance);
	(void)snprintf(name, sizeof(name), "%s %u",
	    role_name((enum role)m->role), m->index);
	if ((p->channel = channel_new(child.base, fd, name, 0, &ops, p)) ==
	    NULL) {
		log_errno("peer %s", name);
		close(fd);
		return;
	}
	p->role = (enum role)m->role;
	p->index = m->index;
	p->instance = m->instance;
	p->crew = m->crew;
	/* 0 is nobody. */
	if (++last_id == 0 || last_id == PARENT_ID)
		last_id = 1;
	p->id = last_id;
	buffer_init(&p->acks, REPORTS_MAX * 2 * sizeof(uint64_t));
	buffer_init(&p->nacks, REPORTS_MAX * 2 * sizeof(uint64_t));
	if (p->role == ROLE_AUTHD)
		join_authd_up(p->crew);
	else
		join_handler_up(p->instance);
	tell_able(p);
}

/* ---- start ------------------------------------------------------------- */

static uint64_t
durable_seq(void)
{
	return journal_seq(journal);
}

static int
open_journal(void)
{
	struct journal_conf jc = {
		.path = conf.path, .segment = conf.segment,
		.replay = join_replay,
	};
	uint8_t hash[DIGEST_LEN];
	uint64_t seq;

	if ((journal = journal_open(&jc, &journal_io_system)) == NULL ||
	    arguments_key(journal_dir(journal)) == -1 ||
	    drain_cursor(journal_dir(journal), &seq, hash) == -1)
		return -1;
	if (seq > journal_seq(journal)) {
		log_warn("audit journal has been tampered with: it ends with "
		    "record %llu, but Postgres has record %llu: going on "
		    "behind that", (unsigned long long)journal_seq(journal),
		    (unsigned long long)seq);
		journal_skip_to(journal, seq, hash);
	}
	return 0;
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	join_sweep(now_ms());
}

static void
start_event(void)
{
	char detail[128];

	(void)snprintf(detail, sizeof(detail),
	    "{\"version\":\"%s\",\"boot\":\"%016llx\"}", program_version,
	    (unsigned long long)child.boot_id);
	join_event("start", detail);
}

/* The audit database refuses what we have. */
static void
on_refused(void)
{
	static uint64_t asked_ms;

	child_ask_credentials(CREDENTIALS_AUDIT, &asked_ms);
}

static void
on_gap(const char *detail)
{
	join_event("sink_gap", detail);
}

/* Many large statements make more than one group. */
static void
on_tool(const char *name, const char *detail)
{
	if (journal_grouped(journal) > GROUP_MAX / 2)
		(void)commit_group();
	join_event(name, detail);
}

static int
prepare(void)
{
	struct checkpoint_conf cc = {
		.node = conf.node, .records = conf.checkpoint_records,
		.ms = conf.checkpoint_ms, .path = conf.checkpoint,
		.paths = conf.checkpoints,
	};
	struct sinks_conf sc;
	struct drain_conf dc = {
		.base = child.base, .dsn = conf.dsn, .node = conf.node,
		.durable = durable_seq, .refused = on_refused,
	};
	static const struct timeval at_once = { 0, 0 };
	static struct able_conf able = {
		.tell = tell_all_able, .try = try_journal
	};
	size_t bytes;
	int told;

	struct catalogue *catalogue = catalogue_newest();

	if (conf.path == NULL || catalogue == NULL)
		return -1;
	join.node = conf.node;
	join.namespace = conf.namespace;
	join.instance = child.instance;
	join.append = on_append;
	join.due = on_due;
	join.refuse = on_refuse;
	join_init(&join, now_ms());
	if (open_journal() == -1)
		return -1;
	cc.dir = dc.dir = journal_dir(journal);
	if (checkpoint_open(&cc) == -1)
		return -1;
	dc.patience = conf.limit != 0 ? conf.limit / 4 : DRAIN_PATIENCE;
	sc.base = child.base;
	sc.node = conf.node;
	sc.dir = dc.dir;
	sc.limit = conf.limit;
	sc.durable = durable_seq;
	sc.gap = on_gap;
	if (sinks_open(&sc) == -1)
		return -1;
	if (drain_open(&dc) == -1)
		return -1;
	drains = conf.dsn[0] != '\0';
	freezero(conf.dsn, strlen(conf.dsn) + 1);
	conf.dsn = NULL;
	if (conf.on_failure == FAILURE_CONTINUE)
		log_warn("audit is set to continue on failure: calls may be "
		    "served without a record");
	sweep_timer = evtimer_new(child.base, on_sweep, NULL);
	group_timer = evtimer_new(child.base, on_timer, NULL);
	checkpoint_timer = evtimer_new(child.base, on_checkpoint_timer, NULL);
	able.base = child.base;
	if (able_init(&able) == -1 || sweep_timer == NULL || group_timer == NULL ||
	    checkpoint_timer == NULL ||
	    event_add(checkpoint_timer, &at_once) == -1)
		return -1;
	watch_folder();
	start_event();
	told = toolnote_tell(journal_dir(journal), catalogue->tools,
	    catalogue->ntools, on_tool);
	checkpoint_force();
	bytes = journal_grouped(journal);
	/* A journal that can't be written is no start. */
	if (!commit_group())
		return conf.on_failure == FAILURE_CONTINUE ? 0 : -1;
	if (told > 0)
		toolnote_done(journal_dir(journal), catalogue->tools,
		    catalogue->ntools);
	join_settled(1);
	drain_kick(bytes);
	return 0;
}

static int
confine(void)
{
	struct sandbox_needs needs;

	sandbox_needs_init(&needs);
	sandbox_path(&needs, conf.path, SANDBOX_WRITE);
	drain_needs(&needs);
	sinks_needs(&needs);
	checkpoint_needs(&needs);
	return sandbox_enter(ROLE_AUDITD, &needs);
}

/* ---- orders ------------------------------------------------------------ */

/* Where a program listens that the parent started. */
static int
take_pipe(const struct frame *f)
{
	uint32_t index;

	if (f->fd == -1 || f->length != sizeof(index)) {
		if (f->fd != -1)
			close(f->fd);
		return -1;
	}
	memcpy(&index, f->payload, sizeof(index));
	return sink_pipe(index, f->fd);
}

/* The parent read it again. */
static int
new_dsn(const struct frame *f)
{
	struct msg_dsn m;

	return get_dsn(f, &m) == -1 || m.number != CREDENTIALS_AUDIT ? -1 :
	    drain_renew(m.dsn);
}

/* Another configuration is in force: what is new in it is told. */
static int
new_catalogue(const struct frame *f)
{
	struct catalogue *c;
	uint64_t before;

	if (take_catalogue(f) == -1)
		return -1;
	if ((c = catalogue_newest()) == NULL)
		return 0;
	if (toolnote_tell(journal_dir(journal), c->tools, c->ntools,
	    on_tool) == 0)
		return 0;
	before = journal_seq(journal);
	commit();
	/* Else they are told again by the next. */
	if (journal_seq(journal) > before)
		toolnote_done(journal_dir(journal), c->tools, c->ntools);
	return 0;
}

/* What is not acknowledged yet its sender keeps, for our successor. */
static void
hand_over(void)
{
	log_debug("another auditd takes the journal");
	ending = 1;
	child.stop = 1;
}

static int
control(const struct frame *f)
{
	static const char *const modes[FAILURE_MAX] = {
		[FAILURE_REFUSE] = "refuse", [FAILURE_STOP] = "stop",
		[FAILURE_CONTINUE] = "continue",
	};
	struct buffer b;
	char text[1024];
	int n;

	if (f->type == MSG_AUDIT_EVENT)
		return on_parent_event(f);
	if (f->type == MSG_SINK_PIPE)
		return take_pipe(f);
	if (f->type == MSG_DSN)
		return new_dsn(f);
	if (f->type == MSG_CONF_CATALOGUE || f->type == MSG_CONF_TOOL_DIGEST)
		return new_catalogue(f);
	if (f->type == MSG_HAND_OVER) {
		hand_over();
		return 0;
	}
	if (f->type != MSG_STATUS_ASK)
		return -1;
	n = snprintf(text, sizeof(text),
	    "audit_state %s\naudit_on_failure %s\naudit_seq %llu\n"
	    "audit_checkpoint_seq %llu\naudit_checkpoint %.200s\n"
	    "audit_pending %zu\n"
	    "audit_undrained_bytes %llu\naudit_lost %llu\n"
	    "postgres_state %s\npostgres_seq %llu\npostgres_rejected %llu\n",
	    journal_failed(journal) ? "failed" : over_limit ? "full" : "ok",
	    modes[conf.on_failure], (unsigned long long)journal_seq(journal),
	    (unsigned long long)checkpoint_seq(), checkpoint_state(),
	    join_pending(),
	    (unsigned long long)drain_backlog(),
	    (unsigned long long)lost_total,
	    drain_state(), (unsigned long long)drain_seq(),
	    (unsigned long long)drain_rejected());
	if (n < 0 || (size_t)n >= sizeof(text))
		return -1;
	buffer_init(&b, 4096);
	(void)buffer_add(&b, text, (size_t)n);
	sinks_status(&b);
	(void)channel_send(child.control, MSG_STATUS, f->id, b.data, b.len);
	buffer_free(&b);
	return 0;
}

static void
stats(struct buffer *b)
{
	figures_put(b, journal, over_limit, conf.limit);
	put_stat(b, STAT_AUDIT_LOST, lost_total);
}

static void
on_end_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval pause = { 0, END_POLL_MS * 1000 };

	(void)fd;
	(void)what;
	(void)arg;
	if ((sinks_drained() && (strcmp(drain_state(), "off") == 0 ||
	    drain_seq() >= journal_seq(journal))) || now_ms() >= end_ms ||
	    event_add(end_timer, &pause) == -1) {
		if (strcmp(drain_state(), "off") != 0 &&
		    drain_seq() < journal_seq(journal))
			log_info("records %llu to %llu reach Postgres after "
			    "the next start",
			    (unsigned long long)drain_seq() + 1,
			    (unsigned long long)journal_seq(journal));
		child.stop = 1;
	}
}

/* The others have ended before: what is open now stays without outcome. */
static void
begin_end(void)
{
	static const struct timeval at_once = { 0, 0 };
	size_t i;

	if (ending)
		return;
	ending = 1;
	for (i = 0; i < PEERS_MAX; i++)
		if (peers[i].channel != NULL)
			channel_drain(peers[i].channel);
	join_finish(now_ms());
	turn();
	join_event("stop", NULL);
	checkpoint_force();
	turn();
	drain_hurry();
	end_ms = now_ms() + DRAIN_END_MS;
	end_timer = evtimer_new(child.base, on_end_timer, NULL);
	if (end_timer == NULL || event_add(end_timer, &at_once) == -1)
		child.stop = 1;
}

int
main(void)
{
	static const struct child_ops ops = {
		.configure = configure, .prepare = prepare, .confine = confine,
		.peer = on_peer, .control = control, .stats = stats,
		.shutdown = begin_end,
		.turn = turn,
	};
	int rc;

	rc = child_main(ROLE_AUDITD, &ops);
	drain_close();
	sinks_close();
	checkpoint_close();
	journal_close(journal);
	return rc;
}
