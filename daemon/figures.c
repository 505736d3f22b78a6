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
	size_t i;

	for (i = 0; i < parent.nchildren; i++) {
		c = &parent.children[i];
		if (c->state == CHILD_READY && c->control != NULL &&
		    !c->stats_due && channel_send(c->control, MSG_STATS_ASK, 0,
		    NULL, 0) == 0)
			c->stats_due = 1;
	}
}

int
figures_take(struct child_proc *c, const struct frame *f)
{
	const struct config *conf = parent.config;
	const uint32_t limit[LABEL_KIND_MAX] = {
		[LABEL_TOOL] = conf->ntools, [LABEL_SOURCE] = conf->nsources,
		[LABEL_ISSUER] = conf->auth.nissuers,
		[LABEL_SINK] = conf->audit.nsinks,
		[LABEL_OUTCOME] = OUTCOME_MAX, [LABEL_REASON] = REASON_MAX,
	};
	struct stat_set set;

	if ((!c->stats_due && c->state != CHILD_STOPPING) ||
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
	if (stat_set_add(&ended, &c->stats, 1) == -1)
		log_warn("out of memory: the counters of %s are lost", c->name);
	stat_set_free(&c->stats);
	c->stats_due = 0;
}

int
figures_total(struct stat_set *total)
{
	size_t i;

	total->cell = NULL;
	total->n = 0;
	if (stat_set_add(total, &ended, 0) == -1)
		return -1;
	for (i = 0; i < parent.nchildren; i++)
		if (stat_set_add(total, &parent.children[i].stats, 0) == -1) {
			stat_set_free(total);
			return -1;
		}
	return 0;
}

/* ---- labels ------------------------------------------------------------ */

static const char *
tool_label(uint32_t index)
{
	const struct tool_conf *t;

	TAILQ_FOREACH(t, &parent.config->tools, entry)
		if (t->index == index)
			return t->name;
	return "";
}

static const char *
source_label(uint32_t index)
{
	const struct source_conf *s;

	TAILQ_FOREACH(s, &parent.config->sources, entry)
		if (index-- == 0)
			return s->name;
	return "";
}

static const char *
issuer_label(uint32_t index)
{
	const struct issuer_conf *i;

	TAILQ_FOREACH(i, &parent.config->auth.issuers, entry)
		if (index-- == 0)
			return i->url;
	return "";
}

const char *
figures_label(const struct stat_cell *c, unsigned int which)
{
	uint16_t index = which == 0 ? c->label : c->label2;

	switch (stat_row(c->id)->label[which]) {
	case LABEL_TOOL:
		return tool_label(index);
	case LABEL_SOURCE:
		return source_label(index);
	case LABEL_ISSUER:
		return issuer_label(index);
	case LABEL_SINK:
		return index < parent.config->audit.nsinks ?
		    parent.config->audit.sink[index].name : "";
	case LABEL_PROCESS:
		return index < parent.nchildren ?
		    parent.children[index].name : "";
	case LABEL_OUTCOME:
		return outcome_name(index);
	case LABEL_REASON:
		return reason_name(index);
	default:
		return "";
	}
}
