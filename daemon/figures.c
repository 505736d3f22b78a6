/* SPDX-License-Identifier: ISC */

/*
 * What the children measure (common/stats.h), collected and merged.  A child
 * is believed no more than its own figures: get_stats() takes those of its
 * role, within the labels of the configuration, and only when it was asked or
 * is told to end.  The counters of those who died are kept, so that a total
 * never falls.
 */

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

static struct stat_set ended;		/* counters of the dead */

void
figures_ask(void)
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

int
figures_take(struct child_proc *c, const struct frame *f)
{
	const struct config *conf = config_of(c);
	const uint32_t limit[LABEL_KIND_MAX] = {
		[LABEL_TOOL] = conf->ntools, [LABEL_SOURCE] = conf->nsources,
		[LABEL_ISSUER] = conf->auth.nissuers,
		[LABEL_SINK] = conf->audit.nsinks,
		[LABEL_OUTCOME] = OUTCOME_MAX, [LABEL_REASON] = REASON_MAX,
	};
	struct stat_set set;

	if ((!c->stats_due && c->state != CHILD_STOPPING && !c->leaving) ||
	    get_stats(f, c->role, limit, &set) == -1)
		return -1;
	c->stats_due = 0;
	stat_set_free(&c->stats);
	c->stats = set;
	return 0;
}

void
figures_ended(struct child_proc *c)
{
	if (add_said(&ended, c, 1) == -1)
		log_warn("out of memory: the counters of %s are lost", c->name);
	stat_set_free(&c->stats);
	c->stats_due = 0;
}

int
figures_total(struct stat_set *total)
{
	const struct child_proc *c;

	total->cell = NULL;
	total->n = 0;
	if (stat_set_add(total, &ended, 0) == -1)
		return -1;
	TAILQ_FOREACH(c, &parent.children, entry)
		if (add_said(total, c, 0) == -1) {
			stat_set_free(total);
			return -1;
		}
	return 0;
}

/* ---- labels ------------------------------------------------------------ */

const char *
figures_label(const struct stat_cell *c, unsigned int which)
{
	uint16_t index = which == 0 ? c->label : c->label2;
	enum stat_label kind = stat_row(c->id)->label[which];
	const char *name;

	if (kind == LABEL_OUTCOME)
		return outcome_name(index);
	if (kind == LABEL_REASON)
		return reason_name(index);
	name = name_of(parent.config, kind, index);
	return name == NULL ? "" : name;
}
