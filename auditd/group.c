/* SPDX-License-Identifier: ISC */

/*
 * The group: the records that one fdatasync makes durable together, and who is
 * told of its fate.  Where that fails nothing is acknowledged, unless audit is
 * set to continue: then what was let go is counted and told by a record.  What
 * stands at its end (checkpoints), what it may not pass (the limit) and what
 * goes after it (old segments) is decided here, too.
 */

#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "../common/proc.h"
#include "auditd.h"
#include "pending.h"

#define GROUP_WAIT_US	400	/* a group waits so long for calls that end */
#define GROUP_RECENT_MS	2	/* a call that old may not end soon */
#define GROUP_LOOK	64	/* calls that are looked at */
#define KEEP_EVERY_MS	3600000ULL
#define RETRY_MS	1000	/* a checkpoint that failed is tried again */

static struct group_conf conf;
static struct journal *journal;	/* conf's */
static struct report *due;	/* whose reports the group carries */
static size_t ndue, due_max;
static struct event *group_timer;
static struct event *checkpoint_timer;
static struct event *watch_event;	/* something happened in the folder */
static int watch = -1;
static uint64_t kept_ms;	/* when old segments were looked for */
static uint64_t group_since_us;	/* 0: no group waits */
static uint64_t lost;		/* records that were let go (continue) … */
static uint64_t lost_total;	/* … also those that were told since */
static int over_limit;
static int ending;

void
group_due(struct report report)
{
	struct report *grown;
	size_t max;

	if (report.peer == 0)
		return;
	if (ndue == due_max) {
		max = due_max == 0 ? 1024 : 2 * due_max;
		if ((grown = reallocarray(due, max, sizeof(*due))) == NULL) {
			peers_fate(report, 0);
			return;
		}
		due = grown;
		due_max = max;
	}
	due[ndue++] = report;
}

/* ---- the folder --------------------------------------------------------- */

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

/* ---- what is in it ------------------------------------------------------ */

/* `limit': what Postgres has not taken yet may fill so much and no more. */
static int
within_limit(void)
{
	int over = conf.limit != 0 && conf.drains &&
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

int
group_append(const struct record *r)
{
	int begins = r->kind == RECORD_INTENT || r->kind == RECORD_REFUSAL ||
	    (r->kind == RECORD_CALL && r->outcome != OUTCOME_UNKNOWN &&
	    r->outcome != OUTCOME_SUPERSEDED);

	/* What ends a call or tells an event is recorded in any case. */
	if (begins && !within_limit())
		return -1;
	compose_say(r);
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

/* ---- its fate ----------------------------------------------------------- */

/* Records behind `before' are in the journal. */
static void
made_durable(uint64_t before, size_t bytes)
{
	lag_note(before + 1, now_ms());
	drain_kick(bytes);
	sinks_kick(bytes);
	tell_lost();
}

int
group_write(void)
{
	size_t records = journal_group_records(journal);
	int durable;

	add_checkpoint();
	durable = journal_commit(journal) == 0;
	checkpoint_settled(durable, records, now_ms());
	return durable;
}

void
group_commit(void)
{
	size_t i, bytes = journal_grouped(journal);
	size_t records = journal_group_records(journal);
	uint64_t before = journal_seq(journal);
	int durable = group_write();

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
		peers_fate(due[i], durable ||
		    conf.on_failure == FAILURE_CONTINUE);
	ndue = 0;
	if (durable)
		made_durable(before, bytes);
}

/*
 * The journal fails and nobody calls: is it mended?  Nobody's report is in
 * this group, so none is lost with it; where some are, they are the try.
 */
void
group_try(const char *detail)
{
	uint64_t before = journal_seq(journal);
	size_t bytes;

	if (ending || ndue > 0 || journal_group_records(journal) > 0)
		return;
	join_event("journal_failed", detail);
	bytes = journal_grouped(journal);
	if (group_write())
		made_durable(before, bytes);
}

void
group_room(void)
{
	if (journal_grouped(journal) > GROUP_MAX / 2)
		group_commit();
}

/* ---- when --------------------------------------------------------------- */

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
	if (journal_failed(journal) && ms < RETRY_MS)
		ms = RETRY_MS;
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
	group_commit();
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
	    conf.drains ? drain_seq() : UINT64_MAX, tell_removed);
}

static void
on_checkpoint_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	remove_old();
}

void
group_turn(void)
{
	if ((ndue > 0 || journal_group_records(journal) > 0 ||
	    checkpoint_due(0, now_ms())) && !group_waits()) {
		group_since_us = 0;
		group_commit();
	}
	arm_checkpoint();
}

int
group_records(void)
{
	return within_limit() && (!journal_failed(journal) ||
	    conf.on_failure == FAILURE_CONTINUE);
}

int
group_over_limit(void)
{
	return over_limit;
}

uint64_t
group_lost(void)
{
	return lost_total;
}

int
group_end(void)
{
	int before = ending;

	ending = 1;
	return before;
}

int
group_init(const struct group_conf *c)
{
	static const struct timeval at_once = { 0, 0 };

	conf = *c;
	journal = conf.journal;
	group_timer = evtimer_new(child.base, on_timer, NULL);
	checkpoint_timer = evtimer_new(child.base, on_checkpoint_timer, NULL);
	if (group_timer == NULL || checkpoint_timer == NULL ||
	    event_add(checkpoint_timer, &at_once) == -1)
		return -1;
	watch_folder();
	return 0;
}
