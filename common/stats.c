/* SPDX-License-Identifier: ISC */

/*
 * The table of what is measured, and the message that carries it.  The
 * reader trusts nobody: a child may speak of its role's figures only, within
 * the labels that the configuration gives, each once.
 */

#include <stdlib.h>

#include "compat.h"
#include "outcome.h"
#include "proc.h"
#include "stats.h"
#include "wire.h"

#define CELL_LEN	14	/* bytes of a cell in the message */

#define LISTENER	(1U << ROLE_LISTENER)
#define AUTHD		(1U << ROLE_AUTHD)
#define FETCHER		(1U << ROLE_FETCHER)
#define HANDLER		(1U << ROLE_HANDLER)
#define AUDITD		(1U << ROLE_AUDITD)

#define COUNTER(id, who, name, help)					\
	[id] = { "pontifexd_" name, STAT_COUNTER, MERGE_SUM, UNIT_ONE, who, \
	    { LABEL_NONE, LABEL_NONE }, help }
#define GAUGE(id, who, merge, name, help)				\
	[id] = { "pontifexd_" name, STAT_GAUGE, merge, UNIT_ONE, who,	\
	    { LABEL_NONE, LABEL_NONE }, help }

static const struct stat_row rows[STAT_MAX] = {
	GAUGE(STAT_CONNECTIONS, LISTENER, MERGE_SUM, "connections",
	    "Open client connections."),
	GAUGE(STAT_REQUESTS_IN_FLIGHT, LISTENER, MERGE_SUM,
	    "requests_in_flight", "Requests that wait for their answer."),
	COUNTER(STAT_REQUESTS, LISTENER, "http_requests_total",
	    "HTTP requests that were read."),
	COUNTER(STAT_REQUESTS_REFUSED, LISTENER, "http_refused_total",
	    "HTTP requests that were refused, whatever the reason."),
	COUNTER(STAT_REQUESTS_UNRECORDED, LISTENER, "http_unrecorded_total",
	    "Refusals that could not be recorded: authd was away or full."),
	COUNTER(STAT_CONNECTIONS_DISPLACED, LISTENER,
	    "connections_displaced_total",
	    "Idle connections that were closed to make room."),
	COUNTER(STAT_DECISIONS, AUTHD, "decisions_total",
	    "Requests that authd was asked about."),
	GAUGE(STAT_KEYS, AUTHD, MERGE_SUM, "keys", "API keys in the key file."),
	GAUGE(STAT_KEYS_EXPIRING, AUTHD, MERGE_SUM, "keys_expiring",
	    "API keys that expire within 14 days."),
	GAUGE(STAT_KEYS_EXPIRED, AUTHD, MERGE_SUM, "keys_expired",
	    "API keys that have expired and stand in the key file."),
	GAUGE(STAT_KEYS_LEGACY, AUTHD, MERGE_SUM, "keys_legacy",
	    "API keys of the reference system that wait to be rotated."),
	[STAT_LIMITED] = { "pontifexd_rate_limited_total", STAT_COUNTER,
	    MERGE_SUM, UNIT_ONE, AUTHD, { LABEL_REASON, LABEL_NONE },
	    "Requests that authd refused with 429, by what was hit." },
	GAUGE(STAT_CALLS_ALLOWED, AUTHD, MERGE_SUM, "calls_allowed",
	    "Calls that were allowed and whose last record is not durable."),
	GAUGE(STAT_LIMIT_COUNTERS, AUTHD, MERGE_SUM, "limit_counters",
	    "Callers, and tools of a caller, whose use is counted."),
	COUNTER(STAT_LIMIT_FULL, AUTHD, "limit_full_total",
	    "Requests that were refused for want of a counter."),
	COUNTER(STAT_FETCHES, FETCHER, "issuer_fetches_total",
	    "Requests to issuers for their keys or metadata."),
	COUNTER(STAT_FETCHES_FAILED, FETCHER, "issuer_fetches_failed_total",
	    "Requests to issuers that failed."),
	COUNTER(STAT_FETCHES_REFUSED, FETCHER, "issuer_fetches_refused_total",
	    "Requests of authd that the fetcher would not make."),
	[STAT_CALLS] = { "pontifexd_calls_total", STAT_COUNTER, MERGE_SUM,
	    UNIT_ONE, HANDLER, { LABEL_TOOL, LABEL_OUTCOME },
	    "Authorised calls by tool and outcome." },
	[STAT_CALL_TIME] = { "pontifexd_call_duration_seconds", STAT_HISTOGRAM,
	    MERGE_SUM, UNIT_US, HANDLER, { LABEL_TOOL, LABEL_NONE },
	    "Time of a call in its handler, until the result is released." },
	GAUGE(STAT_CALLS_IN_FLIGHT, HANDLER, MERGE_SUM, "calls_in_flight",
	    "Calls that handlers work on."),
	COUNTER(STAT_TICKETS_REFUSED, HANDLER, "tickets_refused_total",
	    "Tickets that a handler did not take: no honest process sends one."),
	GAUGE(STAT_CACHE_BYTES, HANDLER, MERGE_SUM, "cache_bytes",
	    "Bytes of results that are kept."),
	COUNTER(STAT_CACHE_HITS, HANDLER, "cache_hits_total",
	    "Calls that were answered from the cache."),
	COUNTER(STAT_CACHE_MISSES, HANDLER, "cache_misses_total",
	    "Calls of cached tools that asked the source."),
	COUNTER(STAT_CACHE_SHARED, HANDLER, "cache_shared_total",
	    "Calls that shared the query of another in flight."),
	[STAT_SOURCE_BREAKER] = { "pontifexd_source_breaker_state", STAT_GAUGE,
	    MERGE_MAX, UNIT_ONE, HANDLER, { LABEL_SOURCE, LABEL_NONE },
	    "Breaker of a source: 0 closed, 1 half open, 2 open; the worst of "
	    "the handlers." },
	GAUGE(STAT_REDIS_LIMITS_AWAY, HANDLER, MERGE_MAX, "redis_limits_away",
	    "1 while a handler counts rates without Redis: per node."),
	COUNTER(STAT_REDIS_LIMITS_ASKED, HANDLER, "redis_limits_asked_total",
	    "Calls whose rate Redis was asked about."),
	COUNTER(STAT_REDIS_LIMITS_UNANSWERED, HANDLER,
	    "redis_limits_unanswered_total",
	    "Calls that went on by this node's limits alone."),
	COUNTER(STAT_REDIS_LIMITS_REFUSED, HANDLER,
	    "redis_limits_refused_total",
	    "Calls over a rate that counts across nodes."),
	GAUGE(STAT_REDIS_CACHE_AWAY, HANDLER, MERGE_MAX, "redis_cache_away",
	    "1 while a handler keeps results without Redis."),
	COUNTER(STAT_REDIS_CACHE_HITS, HANDLER, "redis_cache_hits_total",
	    "Calls answered by what Redis has, or by what it confirmed."),
	COUNTER(STAT_REDIS_CACHE_MISSES, HANDLER, "redis_cache_misses_total",
	    "Calls for which Redis had nothing that is still good."),
	COUNTER(STAT_REDIS_CACHE_UNSEALED, HANDLER,
	    "redis_cache_unsealed_total",
	    "Values in Redis that did not open: altered, or not ours."),
	COUNTER(STAT_REDIS_CACHE_UNTOLD, HANDLER, "redis_cache_untold_total",
	    "Writes that other nodes could not be told of at once."),
	GAUGE(STAT_REPORTS_OPEN, AUTHD | HANDLER, MERGE_SUM,
	    "audit_reports_open", "Reports that auditd has not acknowledged."),
	GAUGE(STAT_AUDIT_SEQ, AUDITD, MERGE_MAX, "audit_seq",
	    "Number of the last record in the journal."),
	GAUGE(STAT_AUDIT_PENDING, AUDITD, MERGE_SUM, "audit_pending",
	    "Decisions whose outcome has not come."),
	COUNTER(STAT_AUDIT_LOST, AUDITD, "audit_lost_total",
	    "Calls served without a record (on failure continue)."),
};

const struct stat_row *
stat_row(unsigned int id)
{
	return &rows[id];
}

const char *
stat_label_name(enum stat_label label)
{
	static const char *const names[LABEL_KIND_MAX] = {
		[LABEL_NONE] = NULL, [LABEL_TOOL] = "tool",
		[LABEL_SOURCE] = "source", [LABEL_ISSUER] = "issuer",
		[LABEL_SINK] = "sink", [LABEL_PROCESS] = "process",
		[LABEL_OUTCOME] = "outcome", [LABEL_REASON] = "reason",
	};

	return (unsigned int)label < LABEL_KIND_MAX ? names[label] : NULL;
}

uint64_t
stat_bucket_end(unsigned int bucket)
{
	unsigned int next = bucket + 1;

	if (next < 4)
		return next;
	if (next >= STAT_BUCKETS)
		return UINT64_MAX;
	return (uint64_t)(4 + next % 4) << (next / 4 - 1);
}

/* ---- building ---------------------------------------------------------- */

void
put_stat_of2(struct buffer *b, enum stat_id id, uint32_t label, uint32_t label2,
    uint64_t value)
{
	if (value == 0 && rows[id].label[1] != LABEL_NONE)
		return;
	put_u16(b, (uint16_t)id);
	put_u16(b, (uint16_t)label);
	put_u16(b, (uint16_t)label2);
	put_u64(b, value);
}

void
put_stat_of(struct buffer *b, enum stat_id id, uint32_t label, uint64_t value)
{
	put_stat_of2(b, id, label, 0, value);
}

void
put_stat(struct buffer *b, enum stat_id id, uint64_t value)
{
	put_stat_of2(b, id, 0, 0, value);
}

void
put_stat_times(struct buffer *b, enum stat_id id, uint32_t label,
    const struct stat_times *t)
{
	uint32_t i;
	int any = 0;

	for (i = 0; i < STAT_BUCKETS; i++)
		if (t->count[i] > 0) {
			put_stat_of2(b, id, label, i, t->count[i]);
			any = 1;
		}
	if (any)
		put_stat_of2(b, id, label, STAT_SUM, t->sum_us);
}

/* ---- reading ----------------------------------------------------------- */

static int
cell_order(const void *va, const void *vb)
{
	const struct stat_cell *a = va, *b = vb;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	if (a->label != b->label)
		return a->label < b->label ? -1 : 1;
	if (a->label2 != b->label2)
		return a->label2 < b->label2 ? -1 : 1;
	return 0;
}

/* What a role may say, and of what. */
static int
cell_is_good(const struct stat_cell *c, unsigned int role,
    const uint32_t limit[LABEL_KIND_MAX])
{
	const struct stat_row *row;
	uint32_t first, second;

	if (c->id >= STAT_MAX || role >= ROLE_MAX)
		return 0;
	row = &rows[c->id];
	first = row->label[0] == LABEL_NONE ? 1 : limit[row->label[0]];
	second = row->kind == STAT_HISTOGRAM ? STAT_SUM + 1 :
	    row->label[1] == LABEL_NONE ? 1 : limit[row->label[1]];
	return (row->roles & (1U << role)) != 0 && c->label < first &&
	    c->label2 < second;
}

int
get_stats(const struct frame *f, unsigned int role,
    const uint32_t limit[LABEL_KIND_MAX], struct stat_set *set)
{
	struct reader r;
	struct stat_cell *c;
	size_t i, n = f->length / CELL_LEN;

	set->cell = NULL;
	set->n = 0;
	if (f->length % CELL_LEN != 0)
		return -1;
	if (n == 0)
		return 0;
	if ((set->cell = calloc(n, sizeof(*set->cell))) == NULL)
		return -1;
	reader_init(&r, f->payload, f->length);
	for (i = 0; i < n; i++) {
		c = &set->cell[i];
		c->id = get_u16(&r);
		c->label = get_u16(&r);
		c->label2 = get_u16(&r);
		c->value = get_u64(&r);
		if (!cell_is_good(c, role, limit))
			goto bad;
	}
	if (wire_done(&r) == -1)
		goto bad;
	qsort(set->cell, n, sizeof(*set->cell), cell_order);
	for (i = 1; i < n; i++)
		if (cell_order(&set->cell[i - 1], &set->cell[i]) == 0)
			goto bad;
	set->n = n;
	return 0;
bad:
	stat_set_free(set);
	return -1;
}

void
stat_set_free(struct stat_set *set)
{
	free(set->cell);
	set->cell = NULL;
	set->n = 0;
}

void
stat_set_relabel(struct stat_set *set, int (*map)(enum stat_label, uint16_t,
    void *), void *arg)
{
	const struct stat_row *row;
	struct stat_cell c;
	size_t i, n = 0;
	int to;

	for (i = 0; i < set->n; i++) {
		c = set->cell[i];
		row = &rows[c.id];
		if (row->label[0] != LABEL_NONE) {
			if ((to = map(row->label[0], c.label, arg)) == -1)
				continue;
			c.label = (uint16_t)to;
		}
		/* Of a histogram it is the bucket. */
		if (row->label[1] != LABEL_NONE) {
			if ((to = map(row->label[1], c.label2, arg)) == -1)
				continue;
			c.label2 = (uint16_t)to;
		}
		set->cell[n++] = c;
	}
	set->n = n;
	if (n > 1)
		qsort(set->cell, n, sizeof(*set->cell), cell_order);
}

static uint64_t
merged(const struct stat_cell *c, uint64_t a, uint64_t b)
{
	switch (rows[c->id].merge) {
	case MERGE_MAX:
		return a > b ? a : b;
	case MERGE_MIN:
		return a < b ? a : b;
	default:
		return a > UINT64_MAX - b ? UINT64_MAX : a + b;
	}
}

int
stat_set_add(struct stat_set *into, const struct stat_set *from,
    int counters_only)
{
	struct stat_cell *sum;
	size_t i = 0, j = 0, n = 0;
	int order;

	if (from->n == 0)
		return 0;
	if ((sum = calloc(into->n + from->n, sizeof(*sum))) == NULL)
		return -1;
	while (i < into->n || j < from->n) {
		if (j < from->n && counters_only &&
		    rows[from->cell[j].id].kind == STAT_GAUGE) {
			j++;
			continue;
		}
		order = i == into->n ? 1 : j == from->n ? -1 :
		    cell_order(&into->cell[i], &from->cell[j]);
		sum[n] = order <= 0 ? into->cell[i] : from->cell[j];
		if (order == 0)
			sum[n].value = merged(&sum[n], into->cell[i].value,
			    from->cell[j].value);
		i += order <= 0;
		j += order >= 0;
		n++;
	}
	free(into->cell);
	into->cell = sum;
	into->n = n;
	return 0;
}
