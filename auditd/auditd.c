/* SPDX-License-Identifier: ISC */

/*
 * auditd: the only process that writes the trail.  Reports come from authd
 * and the handlers (peers.c); what they make (join.c) is gathered for one turn
 * of the loop, made durable with one fdatasync (group.c, journal.c), and
 * acknowledged in the same turn.  Where that fails nothing is acknowledged, and
 * nothing that was asked for leaves the daemon.  Here are the process's start,
 * turn and end, and what the parent orders meanwhile.
 */

#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "../common/proc.h"
#include "../common/stats.h"
#include "../common/version.h"
#include "../pledge/sandbox.h"
#include "auditd.h"

#define SWEEP_MS	1000
#define DRAIN_END_MS	2000	/* at the end, for what is not in Postgres */
#define END_POLL_MS	20
#define DRAIN_PATIENCE	(256ULL << 20)	/* bytes, where no limit is given */

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
static struct event *sweep_timer;
static struct event *end_timer;
static uint64_t end_ms;

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

/* At start, with nobody's report: many large statements make several groups. */
static void
on_tool(const char *name, const char *detail)
{
	if (journal_grouped(journal) > GROUP_MAX / 2)
		(void)group_write();
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
	struct group_conf gc = {
		.path = conf.path, .limit = conf.limit,
		.keep_s = conf.keep_s, .on_failure = conf.on_failure,
	};
	struct sinks_conf sc;
	struct drain_conf dc = {
		.base = child.base, .dsn = conf.dsn, .node = conf.node,
		.durable = durable_seq, .refused = on_refused,
	};
	static struct able_conf able = {
		.tell = peers_tell_able, .try = group_try
	};
	struct catalogue *catalogue = catalogue_newest();
	size_t bytes;
	int told;

	if (conf.path == NULL || catalogue == NULL)
		return -1;
	join.node = conf.node;
	join.namespace = conf.namespace;
	join.instance = child.instance;
	join.append = group_append;
	join.due = group_due;
	join.refuse = peers_refuse;
	join_init(&join, now_ms());
	if (open_journal() == -1)
		return -1;
	/* What is opened from here on may tell an event. */
	gc.journal = journal;
	gc.drains = conf.dsn[0] != '\0';
	if (group_init(&gc) == -1)
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
	freezero(conf.dsn, strlen(conf.dsn) + 1);
	conf.dsn = NULL;
	if (conf.on_failure == FAILURE_CONTINUE)
		log_warn("audit is set to continue on failure: calls may be "
		    "served without a record");
	sweep_timer = evtimer_new(child.base, on_sweep, NULL);
	able.base = child.base;
	if (able_init(&able) == -1 || sweep_timer == NULL)
		return -1;
	start_event();
	told = toolnote_tell(journal_dir(journal), catalogue->tools,
	    catalogue->ntools, on_tool);
	checkpoint_force();
	bytes = journal_grouped(journal);
	/* A journal that can't be written is no start. */
	if (!group_write())
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

static int tools_lost;		/* a group with some of them was not written */

/* As on_tool(), where others' reports may be in the group: they are settled. */
static void
on_new_tool(const char *name, const char *detail)
{
	group_room();
	tools_lost |= journal_failed(journal);
	join_event(name, detail);
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
	tools_lost = 0;
	if (toolnote_tell(journal_dir(journal), c->tools, c->ntools,
	    on_new_tool) == 0)
		return 0;
	before = journal_seq(journal);
	group_commit();
	/* Else they are told again by the next. */
	if (journal_seq(journal) > before && !tools_lost)
		toolnote_done(journal_dir(journal), c->tools, c->ntools);
	return 0;
}

/*
 * What is not acknowledged yet its sender keeps, for our successor.  A journal
 * that cannot be written is kept: a new owner would not start, nor know how
 * much was let go.
 */
static void
hand_over(void)
{
	if (journal_failed(journal)) {
		log_warn("the journal cannot be written, and is not handed "
		    "over");
		(void)channel_send(child.control, MSG_HAND_OVER, 0, NULL, 0);
		return;
	}
	log_debug("another auditd takes the journal");
	(void)group_end();
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
		return peers_parent_event(f);
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
	    journal_failed(journal) ? "failed" :
	    group_over_limit() ? "full" : "ok",
	    modes[conf.on_failure], (unsigned long long)journal_seq(journal),
	    (unsigned long long)checkpoint_seq(), checkpoint_state(),
	    join_pending(),
	    (unsigned long long)drain_backlog(),
	    (unsigned long long)group_lost(),
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
	figures_put(b, journal, group_over_limit(), conf.limit);
	put_stat(b, STAT_AUDIT_LOST, group_lost());
}

/* ---- turn and end ------------------------------------------------------- */

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

static void
turn(void)
{
	static const struct timeval pause = { SWEEP_MS / 1000, 0 };

	/*
	 * authd queued its decision before the ticket left it: where a report
	 * is faster than its decision, that one is in the socket already.
	 */
	if (join_held() > 0)
		peers_drain(1);
	group_turn();
	/* Nothing ticks while nothing is open. */
	if (join_pending() > 0 && !event_pending(sweep_timer, EV_TIMEOUT, NULL))
		(void)event_add(sweep_timer, &pause);
	able_look(group_records(), journal_failed(journal));
	peers_answer();
}

/* The others have ended before: what is open now stays without outcome. */
static void
begin_end(void)
{
	static const struct timeval at_once = { 0, 0 };

	if (group_end())
		return;
	peers_drain(0);
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
		.peer = peers_add, .control = control, .stats = stats,
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
