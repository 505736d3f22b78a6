/* SPDX-License-Identifier: ISC */

/*
 * What is measured (common/stats.h), collected and merged.  A child is
 * believed no more than its own figures: get_stats() takes those of its role,
 * within the labels of the configuration, and only when it was asked or is
 * told to end; none of its counters falls.  The counters of those who died are kept, so that a total
 * never falls.  What was collected a moment ago is told again.
 */

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "../common/series.h"
#include "../common/version.h"
#include "parent.h"

#define COLLECT_MS	500	/* a child that is silent is passed over */
#define FRESH_MS	900	/* so long the same is told again */
#define WAITERS_MAX	40	/* clients of the control socket, a listener */

struct waiter {
	figures_done	 done;	/* NULL: the place is free */
	void		*arg;
};

static struct waiter waiters[WAITERS_MAX];
static struct stat_set ended;		/* counters of the dead */
static struct stat_set total;
static uint64_t total_ms;		/* when it was made; 0: never */
static struct event *patience;
static int collecting;

/* ---- from one configuration to the next -------------------------------- */

struct change {
	const struct config	*from, *to;
};

static const struct config *
config_of(const struct child_proc *c)
{
	return c->crew == NULL ? parent.config : c->crew->config;
}

/* The n-th of its kind; NULL: there is none. */
static const char *
name_of(const struct config *conf, enum stat_label kind, uint16_t n)
{
	const struct source_conf *s;
	const struct issuer_conf *i;
	const struct tool_conf *t;

	switch (kind) {
	case LABEL_TOOL:
		TAILQ_FOREACH(t, &conf->tools, entry)
			if (t->index == n)
				return t->name;
		return NULL;
	case LABEL_SOURCE:
		TAILQ_FOREACH(s, &conf->sources, entry)
			if (n-- == 0)
				return s->name;
		return NULL;
	case LABEL_ISSUER:
		TAILQ_FOREACH(i, &conf->auth.issuers, entry)
			if (n-- == 0)
				return i->url;
		return NULL;
	case LABEL_SINK:
		return n < conf->audit.nsinks ? conf->audit.sink[n].name :
		    NULL;
	default:
		return NULL;
	}
}

static int
map_label(enum stat_label kind, uint16_t label, void *arg)
{
	const struct change *change = arg;
	const char *name, *other;
	uint16_t i;

	if (kind == LABEL_OUTCOME || kind == LABEL_REASON ||
	    kind == LABEL_PROCESS)
		return label;
	if ((name = name_of(change->from, kind, label)) == NULL)
		return -1;
	for (i = 0; (other = name_of(change->to, kind, i)) != NULL; i++)
		if (strcmp(name, other) == 0)
			return i;
	return -1;
}

void
figures_reloaded(const struct config *from, const struct config *to)
{
	struct change change = { from, to };

	stat_set_relabel(&ended, map_label, &change);
}

/* Adds what it said, under the labels of the configuration in force. */
static int
add_said(struct stat_set *into, const struct child_proc *c, int counters_only)
{
	struct change change = { config_of(c), parent.config };
	struct stat_set copy = { NULL, 0 };
	int rc;

	if (change.from == change.to)
		return stat_set_add(into, &c->stats, counters_only);
	if (stat_set_add(&copy, &c->stats, counters_only) == -1)
		return -1;
	stat_set_relabel(&copy, map_label, &change);
	rc = stat_set_add(into, &copy, counters_only);
	stat_set_free(&copy);
	return rc;
}

/* ---- collecting -------------------------------------------------------- */

/* Those of the crew that serves, and auditd: each name is there once. */
static struct child_proc *
next_serving(struct child_proc *c)
{
	c = c == NULL ? TAILQ_FIRST(&parent.children) : TAILQ_NEXT(c, entry);
	while (c != NULL && c->crew != NULL && c->crew != parent.serving)
		c = TAILQ_NEXT(c, entry);
	return c;
}

static void
put_process(struct buffer *b, const struct child_proc *c, uint32_t i)
{
	uint64_t now = now_ms(), bytes;

	put_stat_of(b, STAT_PROCESS_UP, i, c->state == CHILD_READY);
	put_stat_of(b, STAT_PROCESS_ANSWERS, i,
	    c->state == CHILD_READY && !c->stats_due);
	put_stat_of(b, STAT_PROCESS_PID, i, (uint64_t)c->pid);
	put_stat_of(b, STAT_PROCESS_START_TIME, i,
	    wall_us() / 1000000 - (now - c->started_ms) / 1000);
	put_stat_of(b, STAT_PROCESS_RESTARTS, i, c->restarts);
	put_stat_of(b, STAT_SANDBOX_VIOLATIONS, i, c->violations);
	if (c->pid > 0 && process_memory(c->pid, &bytes) == 0)
		put_stat_of(b, STAT_PROCESS_MEMORY, i, bytes);
}

static void
label_limits(const struct config *conf, uint32_t limit[LABEL_KIND_MAX])
{
	struct child_proc *c = NULL;

	memset(limit, 0, LABEL_KIND_MAX * sizeof(limit[0]));
	limit[LABEL_TOOL] = conf->ntools;
	limit[LABEL_SOURCE] = conf->nsources;
	limit[LABEL_ISSUER] = conf->auth.nissuers;
	limit[LABEL_SINK] = conf->audit.nsinks;
	limit[LABEL_OUTCOME] = OUTCOME_MAX;
	limit[LABEL_REASON] = REASON_MAX;
	while ((c = next_serving(c)) != NULL)
		limit[LABEL_PROCESS]++;
	limit[LABEL_VERSION] = limit[LABEL_DIGEST] = limit[LABEL_PATH] = 1;
	limit[LABEL_WHY] = ATTEMPT_MAX;
}

/* What the parent knows itself goes the way of all other figures. */
static int
own_figures(struct stat_set *set)
{
	uint32_t limit[LABEL_KIND_MAX], i = 0;
	struct child_proc *c = NULL;
	struct frame f = { .fd = -1 };
	struct buffer b;
	uint64_t started = wall_us() / 1000000 -
	    (now_ms() - parent.started_ms) / 1000;
	int rc;

	buffer_init(&b, FRAME_PAYLOAD_MAX);
	put_stat(&b, STAT_START_TIME, started);
	attempts_figures(&b, started);
	put_stat_of(&b, STAT_BUILD, 0, 1);
	put_stat_of2(&b, STAT_CONFIG, 0, 0, 1);
	while ((c = next_serving(c)) != NULL)
		put_process(&b, c, i++);
	f.payload = b.data;
	f.length = b.len;
	label_limits(parent.config, limit);
	rc = b.bad ? -1 : get_stats(&f, ROLE_PARENT, limit, set);
	buffer_free(&b);
	return rc;
}

static int
merge(struct stat_set *into)
{
	const struct child_proc *c;

	if (own_figures(into) == -1 || stat_set_add(into, &ended, 0) == -1)
		return -1;
	TAILQ_FOREACH(c, &parent.children, entry)
		if (add_said(into, c, 0) == -1)
			return -1;
	return 0;
}

static void
tell(void)
{
	struct waiter w;
	size_t i;

	for (i = 0; i < WAITERS_MAX; i++) {
		w = waiters[i];
		waiters[i].done = NULL;
		if (w.done != NULL)
			w.done(total_ms == 0 ? NULL : &total, w.arg);
	}
}

static void
collected(void)
{
	struct stat_set now = { NULL, 0 };

	collecting = 0;
	evtimer_del(patience);
	if (merge(&now) == -1) {
		log_warn("out of memory: figures are not collected");
		stat_set_free(&now);
		total_ms = 0;
	} else {
		stat_set_free(&total);
		total = now;
		total_ms = now_ms();
	}
	tell();
}

static void
check_collected(void)
{
	const struct child_proc *c;

	if (!collecting)
		return;
	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->state == CHILD_READY && c->stats_due)
			return;
	collected();
}

static void
on_patience(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	collected();
}

static void
ask_children(void)
{
	struct child_proc *c;

	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->state == CHILD_READY && c->control != NULL &&
		    (c->crew == NULL || c->crew->state == CREW_SERVING ||
		    c->crew->state == CREW_LEAVING) &&
		    !c->stats_due && channel_send(c->control, MSG_STATS_ASK, 0,
		    NULL, 0) == 0)
			c->stats_due = 1;
}

void
figures_collect(figures_done done, void *arg)
{
	static const struct timeval tv = { 0, COLLECT_MS * 1000 };
	size_t i;

	if (total_ms != 0 && now_ms() - total_ms < FRESH_MS) {
		done(&total, arg);
		return;
	}
	for (i = 0; i < WAITERS_MAX && waiters[i].done != NULL; i++)
		;
	if (patience == NULL)
		patience = evtimer_new(parent.base, on_patience, NULL);
	if (i == WAITERS_MAX || patience == NULL) {
		done(NULL, arg);
		return;
	}
	waiters[i].done = done;
	waiters[i].arg = arg;
	if (collecting)
		return;
	collecting = 1;
	evtimer_add(patience, &tv);
	ask_children();
	check_collected();
}

void
figures_forget(const void *arg)
{
	size_t i;

	for (i = 0; i < WAITERS_MAX; i++)
		if (waiters[i].arg == arg)
			waiters[i].done = NULL;
}

/* What happened just now is to be seen at once. */
void
figures_stale(void)
{
	total_ms = 0;
}

int
figures_take(struct child_proc *c, const struct frame *f)
{
	uint32_t limit[LABEL_KIND_MAX];
	struct stat_set set;

	label_limits(config_of(c), limit);
	if ((!c->stats_due && c->state != CHILD_STOPPING && !c->leaving) ||
	    get_stats(f, c->role, limit, &set) == -1)
		return -1;
	c->stats_due = 0;
	/* A counter that falls is a lie: a total would fall with it. */
	if (stat_set_keep(&set, &c->stats) == 0) {
		stat_set_free(&c->stats);
		c->stats = set;
	} else {
		log_warn("out of memory: %s: its figures stay as they were",
		    c->name);
		stat_set_free(&set);
	}
	check_collected();
	return 0;
}

void
figures_ended(struct child_proc *c)
{
	figures_forget(c);
	if (add_said(&ended, c, 1) == -1)
		log_warn("out of memory: the counters of %s are lost", c->name);
	stat_set_free(&c->stats);
	c->stats_due = 0;
	check_collected();
}

/* ---- labels ------------------------------------------------------------ */

static const char *
process_label(uint16_t n)
{
	struct child_proc *c = next_serving(NULL);

	for (; c != NULL && n > 0; n--)
		c = next_serving(c);
	return c == NULL ? "" : c->name;
}

static const char *
figures_label(const struct stat_cell *c, unsigned int which)
{
	uint16_t index = which == 0 ? c->label : c->label2;
	enum stat_label kind = stat_row(c->id)->label[which];
	const char *name;

	if (kind == LABEL_OUTCOME)
		return outcome_name(index);
	if (kind == LABEL_REASON)
		return reason_name(index);
	if (kind == LABEL_PROCESS)
		return process_label(index);
	if (kind == LABEL_VERSION)
		return program_version;
	if (kind == LABEL_DIGEST)
		return parent.config->digest;
	if (kind == LABEL_PATH)
		return parent.config->path;
	if (kind == LABEL_WHY)
		return attempt_why(index);
	name = name_of(parent.config, kind, index);
	return name == NULL ? "" : name;
}

void
figures_encode(struct buffer *b, const struct stat_set *set, int reasons)
{
	const struct stat_cell *cell;
	size_t i, n;

	for (i = 0; i < set->n; i += n) {
		cell = &set->cell[i];
		n = 1;
		if (stat_row(cell->id)->label[0] == LABEL_WHY && !reasons)
			continue;
		while (stat_row(cell->id)->kind == STAT_HISTOGRAM &&
		    i + n < set->n && cell[n].id == cell->id &&
		    cell[n].label == cell->label)
			n++;
		put_series(b, slice_of(figures_label(cell, 0)),
		    slice_of(figures_label(cell, 1)), cell, n);
	}
}
