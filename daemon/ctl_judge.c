/* SPDX-License-Identifier: ISC */

/*
 * What is wrong, from the figures alone: one table of plain conditions, the
 * worst first, and a few that take two figures.  rc/alerts.yml watches the
 * same over time; docs/runbook.md says what to do.
 */

#include <stdarg.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "ctl_status.h"

#define RECENT_S	600	/* a restart is news for so long */
#define LAG_MS		60000	/* a record that waits longer for Postgres */
#define STALE_MS	90000000	/* keys of an issuer: 25 hours */
#define ROOM_PERCENT	20	/* of the journal's limit that should be left */
#define DISK_MIN	(256ULL << 20)	/* bytes that should be free */
#define SINK_LAG	(16ULL << 20)	/* bytes */
#define NEVER		UINT64_MAX

enum compare { IS, ABOVE };

/* text is what follows the label, or the whole where the row has none. */
static const struct rule {
	enum stat_id	 id;
	enum compare	 compare;
	uint64_t	 bound;
	int		 degraded;
	const char	*text;
} rules[] = {
	{ STAT_AUDIT_STATE, IS, 2, 1, "audit: the journal cannot be written: "
	    "calls are refused, unless `on failure continue' is set" },
	{ STAT_AUDIT_STATE, IS, 1, 1, "audit: the journal is over its limit: "
	    "calls are refused until Postgres has taken some of it" },
	{ STAT_AUDIT_LOST, ABOVE, 0, 1, "audit: calls were served without a "
	    "record" },
	{ STAT_PROCESS_UP, IS, 0, 1, "is not running" },
	{ STAT_PROCESS_ANSWERS, IS, 0, 1, "does not answer: its figures are "
	    "old" },
	{ STAT_SANDBOX_VIOLATIONS, ABOVE, 0, 1, "tried what its sandbox "
	    "forbids: taken over, or a fault of ours" },
	{ STAT_TICKETS_REFUSED, ABOVE, 0, 1, "tickets that nobody made were "
	    "shown to a handler: a listener is not honest" },
	{ STAT_FETCHES_REFUSED, ABOVE, 0, 1, "authd asked the fetcher for what "
	    "it may not: one of them is not honest" },
	{ STAT_RELOAD_OK, IS, 0, 1, "the last reload was refused: the file on "
	    "disk is not what is in force" },
	{ STAT_UPGRADE_OK, IS, 0, 1, "the last upgrade was refused: what is "
	    "installed may not be what runs" },
	{ STAT_SOURCE_BREAKER, IS, 2, 1, "is not asked for now: it failed "
	    "several times in a row" },
	{ STAT_SOURCE_BREAKER, IS, 1, 1, "failed, and is being tried again" },
	{ STAT_ISSUER_KEYS, IS, 0, 1, "has no keys yet: its tokens get 503" },
	{ STAT_ISSUER_KEYS_AGE, ABOVE, STALE_MS, 1, "has keys that are older "
	    "than a day" },
	{ STAT_DRAIN_UP, IS, 0, 1, "audit: the database is not connected; "
	    "records wait in the journal" },
	{ STAT_DRAIN_LAG_TIME, ABOVE, LAG_MS, 1, "audit: records have waited "
	    "for the database for more than a minute" },
	{ STAT_DRAIN_REJECTED, ABOVE, 0, 1, "audit: records that the database "
	    "did not take stay in the journal" },
	{ STAT_AUDIT_CHECKPOINT_OK, IS, 0, 1, "audit: checkpoints do not reach "
	    "all their files" },
	{ STAT_SINK_UP, IS, 0, 1, "takes no records" },
	{ STAT_SINK_LAG_BYTES, ABOVE, SINK_LAG, 1, "is far behind" },
	{ STAT_REDIS_LIMITS_AWAY, ABOVE, 0, 1, "Redis is away: rates count on "
	    "each node alone" },
	{ STAT_REDIS_CACHE_AWAY, ABOVE, 0, 1, "Redis is away: results are kept "
	    "on each node alone" },
	{ STAT_REDIS_CACHE_UNSEALED, ABOVE, 0, 1, "values in Redis did not "
	    "open: altered, or another's" },
	{ STAT_REQUESTS_UNRECORDED, ABOVE, 0, 0, "refusals could not be "
	    "recorded one by one: authd was away or full" },
	{ STAT_ISSUER_FAILURES, ABOVE, 0, 0, "cannot be fetched from; the keys "
	    "we have stay in use" },
	{ STAT_KEYS_EXPIRING, ABOVE, 0, 0, "API keys expire within 14 days: "
	    "pontifexctl key list" },
};

struct list {
	struct problem	*problem;
	size_t		 n;
};

static void	add(struct list *, int, const char *, ...)
		    __attribute__((__format__(printf, 3, 4)));

static void
add(struct list *l, int degraded, const char *fmt, ...)
{
	struct problem *p;
	va_list ap;

	if (l->n == PROBLEMS_MAX)
		return;
	p = &l->problem[l->n++];
	p->degraded = degraded;
	va_start(ap, fmt);
	(void)vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
}

static void
apply(const struct rule *r, const struct figures *f, struct list *l)
{
	const struct stat_row *row = stat_row(r->id);
	const struct series *s = NULL;
	char label[128];
	uint64_t value;

	while ((s = figures_next(f, r->id, s)) != NULL) {
		value = s->point[0].value;
		if (r->compare == IS ? value != r->bound : value <= r->bound)
			continue;
		if (row->label[0] == LABEL_NONE)
			add(l, r->degraded, "%s", r->text);
		else
			add(l, r->degraded, "%s%s%s %s",
			    row->label[0] == LABEL_PROCESS ? "" :
			    stat_label_name(row->label[0]),
			    row->label[0] == LABEL_PROCESS ? "" : " ",
			    log_safe(label, sizeof(label), s->label[0]),
			    r->text);
	}
}

static void
judge_restarts(const struct figures *f, uint64_t now, struct list *l)
{
	const struct series *s = NULL, *since = NULL;
	char label[64];
	uint64_t age;

	while ((s = figures_next(f, STAT_PROCESS_RESTARTS, s)) != NULL) {
		since = figures_next(f, STAT_PROCESS_START_TIME, since);
		if (since == NULL || s->point[0].value == 0)
			continue;
		age = now > since->point[0].value ?
		    now - since->point[0].value : 0;
		if (age < RECENT_S)
			add(l, 1, "%s was started anew %llu s ago, %llu times "
			    "by now", log_safe(label, sizeof(label),
			    s->label[0]), (unsigned long long)age,
			    (unsigned long long)s->point[0].value);
	}
}

static void
judge_room(const struct figures *f, struct list *l)
{
	uint64_t limit = figures_value(f, STAT_JOURNAL_LIMIT, 0);
	uint64_t used = figures_value(f, STAT_DRAIN_LAG_BYTES, 0);
	uint64_t left = figures_value(f, STAT_JOURNAL_DISK_FREE, NEVER);

	if (limit != 0 && used > limit / 100 * (100 - ROOM_PERCENT))
		add(l, 1, "audit: %llu of %llu bytes of the journal's limit "
		    "wait for the database", (unsigned long long)used,
		    (unsigned long long)limit);
	if (left < DISK_MIN)
		add(l, 1, "audit: %llu MiB are free on the journal's file "
		    "system", (unsigned long long)(left >> 20));
}

/* Its breaker opens by calls that fail: while nobody calls it stays closed. */
static void
judge_connections(const struct figures *f, struct list *l)
{
	const struct series *s = NULL;
	char label[128];

	while ((s = figures_next(f, STAT_SOURCE_BREAKER, s)) != NULL)
		if (s->point[0].value == 0 && figures_of(f,
		    STAT_SOURCE_CONNECTIONS, s->label[0], NEVER) == 0)
			add(l, 1, "source %s has no connection that is up: its "
			    "calls fail", log_safe(label, sizeof(label),
			    s->label[0]));
}

size_t
judge(const struct figures *f, uint64_t now, struct problem problem[PROBLEMS_MAX])
{
	struct list l = { problem, 0 };
	size_t i;

	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].degraded)
			apply(&rules[i], f, &l);
	judge_connections(f, &l);
	judge_room(f, &l);
	judge_restarts(f, now, &l);
	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (!rules[i].degraded)
			apply(&rules[i], f, &l);
	return l.n;
}
