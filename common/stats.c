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

#define PARENT		(1U << ROLE_PARENT)
#define LISTENER	(1U << ROLE_LISTENER)
#define AUTHD		(1U << ROLE_AUTHD)
#define FETCHER		(1U << ROLE_FETCHER)
#define HANDLER		(1U << ROLE_HANDLER)
#define AUDITD		(1U << ROLE_AUDITD)

#define COUNTER(who, name, help)					\
	{ "pontifexd_" name, STAT_COUNTER, MERGE_SUM, UNIT_ONE, who,	\
	    { LABEL_NONE, LABEL_NONE }, help }
#define COUNTER_OF(who, label, name, help)				\
	{ "pontifexd_" name, STAT_COUNTER, MERGE_SUM, UNIT_ONE, who,	\
	    { label, LABEL_NONE }, help }
#define GAUGE(who, merge, unit, name, help)				\
	{ "pontifexd_" name, STAT_GAUGE, merge, unit, who,		\
	    { LABEL_NONE, LABEL_NONE }, help }
#define GAUGE_OF(who, merge, unit, label, name, help)			\
	{ "pontifexd_" name, STAT_GAUGE, merge, unit, who,		\
	    { label, LABEL_NONE }, help }

static const struct stat_row rows[STAT_MAX] = {
	/* parent */
	[STAT_BUILD] = GAUGE_OF(PARENT, MERGE_MAX, UNIT_ONE, LABEL_VERSION,
	    "build_info", "Always 1; which version runs."),
	[STAT_CONFIG] = { "pontifexd_config_info", STAT_GAUGE, MERGE_MAX,
	    UNIT_ONE, PARENT, { LABEL_DIGEST, LABEL_PATH },
	    "Always 1; which configuration is in force." },
	[STAT_CONFIG_LOADED] = GAUGE(PARENT, MERGE_MAX, UNIT_S,
	    "config_last_reload_success_timestamp_seconds",
	    "When the configuration in force was loaded, since 1970."),
	[STAT_RELOAD_OK] = GAUGE(PARENT, MERGE_MIN, UNIT_ONE,
	    "config_last_reload_successful",
	    "0 where the last reload was refused; 1, too, where none was tried."),
	[STAT_RELOAD_TIME] = GAUGE(PARENT, MERGE_MAX, UNIT_S,
	    "config_last_reload_timestamp_seconds",
	    "When a reload was tried last, since 1970; absent: never."),
	[STAT_RELOAD_REFUSED] = GAUGE_OF(PARENT, MERGE_MAX, UNIT_ONE, LABEL_WHY,
	    "config_last_reload_refused_info",
	    "Always 1; why the last reload was refused; absent: it was not."),
	[STAT_UPGRADE_OK] = GAUGE(PARENT, MERGE_MIN, UNIT_ONE,
	    "last_upgrade_successful",
	    "0 where the last upgrade was refused; 1, too, where none was tried."),
	[STAT_UPGRADE_TIME] = GAUGE(PARENT, MERGE_MAX, UNIT_S,
	    "last_upgrade_timestamp_seconds",
	    "When an upgrade was refused last, since 1970; absent: never."),
	[STAT_UPGRADE_REFUSED] = GAUGE_OF(PARENT, MERGE_MAX, UNIT_ONE, LABEL_WHY,
	    "last_upgrade_refused_info",
	    "Always 1; why the last upgrade was refused; absent: it was not."),
	[STAT_START_TIME] = GAUGE(PARENT, MERGE_MIN, UNIT_S,
	    "start_time_seconds", "When the daemon started, since 1970."),
	[STAT_PROCESS_UP] = GAUGE_OF(PARENT, MERGE_MIN, UNIT_ONE,
	    LABEL_PROCESS, "process_up", "Whether the process is at work."),
	[STAT_PROCESS_ANSWERS] = GAUGE_OF(PARENT, MERGE_MIN, UNIT_ONE,
	    LABEL_PROCESS, "process_answers",
	    "Whether it told its figures in time."),
	[STAT_PROCESS_PID] = GAUGE_OF(PARENT, MERGE_MAX, UNIT_ONE,
	    LABEL_PROCESS, "process_pid", "Its process id; 0: none."),
	[STAT_PROCESS_START_TIME] = GAUGE_OF(PARENT, MERGE_MIN, UNIT_S,
	    LABEL_PROCESS, "process_start_time_seconds",
	    "When the process started, since 1970."),
	[STAT_PROCESS_RESTARTS] = COUNTER_OF(PARENT, LABEL_PROCESS,
	    "process_restarts_total", "Deaths after which it was started anew."),
	[STAT_PROCESS_MEMORY] = GAUGE_OF(PARENT, MERGE_SUM, UNIT_ONE,
	    LABEL_PROCESS, "process_resident_memory_bytes",
	    "Resident memory; libraries that processes share count in each."),
	[STAT_SANDBOX_VIOLATIONS] = COUNTER_OF(PARENT, LABEL_PROCESS,
	    "sandbox_violations_total",
	    "System calls that its sandbox refused: no honest process makes one."),
	/* listener */
	[STAT_CONNECTIONS] = GAUGE(LISTENER, MERGE_SUM, UNIT_ONE,
	    "connections", "Open client connections."),
	[STAT_CONNECTIONS_DISPLACED] = COUNTER(LISTENER,
	    "connections_displaced_total",
	    "Connections that were closed to make room for others."),
	[STAT_REQUESTS] = COUNTER(LISTENER, "http_requests_total",
	    "HTTP requests that were read."),
	[STAT_REQUESTS_REFUSED] = COUNTER(LISTENER, "http_refused_total",
	    "HTTP requests that were answered with a refusal."),
	[STAT_REQUESTS_UNRECORDED] = COUNTER(LISTENER,
	    "http_unrecorded_total",
	    "Refusals that no authd could record: it was away or full."),
	[STAT_REQUESTS_IN_FLIGHT] = GAUGE(LISTENER, MERGE_SUM, UNIT_ONE,
	    "http_requests_in_flight", "Requests that wait for their answer."),
	[STAT_REQUEST_TIME] = { "pontifexd_http_request_duration_seconds",
	    STAT_HISTOGRAM, MERGE_SUM, UNIT_US, LISTENER,
	    { LABEL_NONE, LABEL_NONE },
	    "From a whole request to its answer; health and metadata not." },
	/* authd */
	[STAT_DECISIONS] = COUNTER(AUTHD, "decisions_total",
	    "Requests that authd was asked about."),
	[STAT_REFUSALS] = COUNTER_OF(AUTHD, LABEL_REASON, "refusals_total",
	    "Requests that were refused, by the reason in the trail."),
	[STAT_KEYS] = GAUGE(AUTHD, MERGE_SUM, UNIT_ONE, "keys",
	    "API keys of the key file."),
	[STAT_KEYS_EXPIRED] = GAUGE(AUTHD, MERGE_SUM, UNIT_ONE,
	    "keys_expired", "Keys that have expired and are not revoked."),
	[STAT_KEYS_EXPIRING] = GAUGE(AUTHD, MERGE_SUM, UNIT_ONE,
	    "keys_expiring", "Keys that expire within 14 days."),
	[STAT_KEYS_LEGACY] = GAUGE(AUTHD, MERGE_SUM, UNIT_ONE, "keys_legacy",
	    "API keys of the reference system that wait to be rotated."),
	[STAT_KEY_NEXT_EXPIRY] = GAUGE(AUTHD, MERGE_MIN, UNIT_S,
	    "key_next_expiry_timestamp_seconds",
	    "When the next key expires, since 1970; absent: none does."),
	[STAT_LIMITED] = COUNTER_OF(AUTHD, LABEL_REASON, "rate_limited_total",
	    "Requests that authd refused with 429, by what was hit."),
	[STAT_CALLS_ALLOWED] = GAUGE(AUTHD, MERGE_SUM, UNIT_ONE,
	    "calls_allowed",
	    "Calls that were allowed and whose last record is not durable."),
	[STAT_LIMIT_COUNTERS] = GAUGE(AUTHD, MERGE_SUM, UNIT_ONE,
	    "limit_counters",
	    "Callers, and tools of a caller, whose use is counted."),
	[STAT_LIMIT_FULL] = COUNTER(AUTHD, "limit_full_total",
	    "Requests that were refused for want of a counter."),
	[STAT_TOKENS_CACHED] = GAUGE(AUTHD, MERGE_SUM, UNIT_ONE,
	    "tokens_cached", "Access tokens whose signature is remembered."),
	[STAT_ISSUER_KEYS] = GAUGE_OF(AUTHD, MERGE_MAX, UNIT_ONE,
	    LABEL_ISSUER, "issuer_keys",
	    "Keys in force of an issuer; 0: its tokens get 503."),
	[STAT_ISSUER_KEYS_AGE] = GAUGE_OF(AUTHD, MERGE_MAX, UNIT_MS,
	    LABEL_ISSUER, "issuer_keys_age_seconds",
	    "Since an issuer's keys were fetched."),
	[STAT_ISSUER_FAILURES] = GAUGE_OF(AUTHD, MERGE_MAX, UNIT_ONE,
	    LABEL_ISSUER, "issuer_fetch_failures",
	    "Fetches of an issuer's keys that failed since one succeeded."),
	/* fetcher */
	[STAT_FETCHES] = COUNTER(FETCHER, "issuer_fetches_total",
	    "Requests to issuers for their keys or metadata."),
	[STAT_FETCHES_FAILED] = COUNTER(FETCHER,
	    "issuer_fetches_failed_total", "Requests to issuers that failed."),
	[STAT_FETCHES_REFUSED] = COUNTER(FETCHER,
	    "issuer_fetches_refused_total",
	    "Requests of authd that the fetcher would not make."),
	/* handler */
	[STAT_CALLS] = { "pontifexd_calls_total", STAT_COUNTER, MERGE_SUM,
	    UNIT_ONE, HANDLER, { LABEL_TOOL, LABEL_OUTCOME },
	    "Authorised calls by tool and outcome, as in the trail." },
	[STAT_CALL_TIME] = { "pontifexd_call_duration_seconds", STAT_HISTOGRAM,
	    MERGE_SUM, UNIT_US, HANDLER, { LABEL_TOOL, LABEL_NONE },
	    "Time of a call in its handler, response_ms of the trail." },
	[STAT_CALLS_IN_FLIGHT] = GAUGE(HANDLER, MERGE_SUM, UNIT_ONE,
	    "calls_in_flight", "Calls that handlers work on."),
	[STAT_TICKETS_REFUSED] = COUNTER(HANDLER, "tickets_refused_total",
	    "Tickets that a handler did not take: no honest process sends one."),
	[STAT_CACHE_BYTES] = GAUGE(HANDLER, MERGE_SUM, UNIT_ONE,
	    "cache_bytes", "Bytes of results that are kept."),
	[STAT_CACHE_HITS] = COUNTER(HANDLER, "cache_hits_total",
	    "Calls that were answered from the cache."),
	[STAT_CACHE_MISSES] = COUNTER(HANDLER, "cache_misses_total",
	    "Calls of cached tools that asked the source."),
	[STAT_CACHE_SHARED] = COUNTER(HANDLER, "cache_shared_total",
	    "Calls that shared the query of another in flight."),
	[STAT_SOURCE_BREAKER] = GAUGE_OF(HANDLER, MERGE_MAX, UNIT_ONE,
	    LABEL_SOURCE, "source_breaker_state",
	    "Breaker of a source: 0 closed, 1 half open, 2 open; the worst of "
	    "all handlers."),
	[STAT_SOURCE_CONNECTIONS] = GAUGE_OF(HANDLER, MERGE_SUM, UNIT_ONE,
	    LABEL_SOURCE, "source_connections_up",
	    "Connections to a source that are up, of all handlers."),
	[STAT_SOURCE_CONNECTIONS_MAX] = GAUGE_OF(HANDLER, MERGE_SUM, UNIT_ONE,
	    LABEL_SOURCE, "source_connections_configured",
	    "Connections to a source that there may be, of all handlers."),
	[STAT_SOURCE_IN_FLIGHT] = GAUGE_OF(HANDLER, MERGE_SUM, UNIT_ONE,
	    LABEL_SOURCE, "source_in_flight", "Calls that a source works on."),
	[STAT_SOURCE_WAITING] = GAUGE_OF(HANDLER, MERGE_SUM, UNIT_ONE,
	    LABEL_SOURCE, "source_waiting",
	    "Calls that wait for a connection to their source."),
	[STAT_REDIS_LIMITS_AWAY] = GAUGE(HANDLER, MERGE_MAX, UNIT_ONE, "redis_limits_away",
	    "1 while a handler counts rates without Redis: per node."),
	[STAT_REDIS_LIMITS_ASKED] = COUNTER(HANDLER, "redis_limits_asked_total",
	    "Calls whose rate Redis was asked about."),
	[STAT_REDIS_LIMITS_UNANSWERED] = COUNTER(HANDLER,
	    "redis_limits_unanswered_total",
	    "Calls that went on by this node's limits alone."),
	[STAT_REDIS_LIMITS_REFUSED] = COUNTER(HANDLER,
	    "redis_limits_refused_total",
	    "Calls over a rate that counts across nodes."),
	[STAT_REDIS_CACHE_AWAY] = GAUGE(HANDLER, MERGE_MAX, UNIT_ONE, "redis_cache_away",
	    "1 while a handler keeps results without Redis."),
	[STAT_REDIS_CACHE_HITS] = COUNTER(HANDLER, "redis_cache_hits_total",
	    "Calls answered by what Redis has, or by what it confirmed."),
	[STAT_REDIS_CACHE_MISSES] = COUNTER(HANDLER, "redis_cache_misses_total",
	    "Calls for which Redis had nothing that is still good."),
	[STAT_REDIS_CACHE_UNSEALED] = COUNTER(HANDLER,
	    "redis_cache_unsealed_total",
	    "Values in Redis that did not open: altered, or not ours."),
	[STAT_REDIS_CACHE_UNTOLD] = COUNTER(HANDLER, "redis_cache_untold_total",
	    "Writes that other nodes could not be told of at once."),
	/* authd, handler */
	[STAT_REPORTS_OPEN] = GAUGE(AUTHD | HANDLER, MERGE_SUM, UNIT_ONE,
	    "audit_reports_open", "Reports that auditd has not acknowledged."),
	/* auditd */
	[STAT_AUDIT_STATE] = GAUGE(AUDITD, MERGE_MAX, UNIT_ONE, "audit_state",
	    "The journal: 0 records, 1 is full, 2 cannot be written."),
	[STAT_AUDIT_SEQ] = GAUGE(AUDITD, MERGE_MAX, UNIT_ONE, "audit_seq",
	    "Number of the last record in the journal."),
	[STAT_AUDIT_PENDING] = GAUGE(AUDITD, MERGE_SUM, UNIT_ONE,
	    "audit_pending", "Decisions whose outcome has not come yet."),
	[STAT_AUDIT_LOST] = COUNTER(AUDITD, "audit_lost_total",
	    "Records that were let go (on failure continue)."),
	[STAT_AUDIT_CHECKPOINT_OK] = GAUGE(AUDITD, MERGE_MIN, UNIT_ONE,
	    "audit_checkpoint_ok",
	    "Whether checkpoints reach all their files."),
	[STAT_AUDIT_CHECKPOINT_SEQ] = GAUGE(AUDITD, MERGE_MAX, UNIT_ONE,
	    "audit_checkpoint_seq", "Record that the last checkpoint signs."),
	[STAT_JOURNAL_BYTES] = GAUGE(AUDITD, MERGE_SUM, UNIT_ONE,
	    "journal_bytes", "Bytes of all segments of the journal."),
	[STAT_JOURNAL_DISK_FREE] = GAUGE(AUDITD, MERGE_MIN, UNIT_ONE,
	    "journal_disk_free_bytes",
	    "Bytes that are free on the journal's file system."),
	[STAT_JOURNAL_LIMIT] = GAUGE(AUDITD, MERGE_MIN, UNIT_ONE,
	    "journal_limit_bytes",
	    "Bytes that may wait for Postgres before calls are refused; "
	    "absent: no limit."),
	[STAT_DRAIN_UP] = GAUGE(AUDITD, MERGE_MIN, UNIT_ONE,
	    "audit_postgres_up",
	    "Whether the audit database is connected; absent: there is none."),
	[STAT_DRAIN_LAG_RECORDS] = GAUGE(AUDITD, MERGE_SUM, UNIT_ONE,
	    "audit_lag_records", "Records that are not in Postgres yet."),
	[STAT_DRAIN_LAG_BYTES] = GAUGE(AUDITD, MERGE_SUM, UNIT_ONE,
	    "audit_lag_bytes", "Bytes of the journal that are not in Postgres."),
	[STAT_DRAIN_LAG_TIME] = GAUGE(AUDITD, MERGE_MAX, UNIT_MS,
	    "audit_lag_seconds",
	    "For how long the oldest record has waited for Postgres."),
	[STAT_DRAIN_REJECTED] = COUNTER(AUDITD, "audit_rejected_total",
	    "Records that the database did not take."),
	[STAT_SINK_UP] = GAUGE_OF(AUDITD, MERGE_MIN, UNIT_ONE, LABEL_SINK,
	    "audit_sink_up", "Whether a sink takes records."),
	[STAT_SINK_LAG_BYTES] = GAUGE_OF(AUDITD, MERGE_SUM, UNIT_ONE,
	    LABEL_SINK, "audit_sink_lag_bytes",
	    "Bytes of the journal that a sink has not taken yet."),
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
		[LABEL_VERSION] = "version", [LABEL_DIGEST] = "digest",
		[LABEL_PATH] = "path", [LABEL_WHY] = "why",
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

uint64_t
stat_count(const struct stat_times *t)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < STAT_BUCKETS; i++)
		sum = stat_sum(sum, t->count[i]);
	return sum;
}

uint64_t
stat_percentile(const struct stat_times *t, unsigned int permille)
{
	uint64_t n = stat_count(t), seen = 0, wanted;
	unsigned int i;

	if (n == 0)
		return 0;
	wanted = n / 1000 * permille + (n % 1000 * permille + 999) / 1000;
	for (i = 0; i + 1 < STAT_BUCKETS; i++) {
		seen = stat_sum(seen, t->count[i]);
		if (seen >= wanted && seen > 0)
			return stat_bucket_end(i);
	}
	/* Longer than the longest bucket: where that begins. */
	return stat_bucket_end(STAT_BUCKETS - 2);
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
		return stat_sum(a, b);
	}
}

static uint64_t
larger(const struct stat_cell *c, uint64_t a, uint64_t b)
{
	(void)c;
	return a > b ? a : b;
}

/* The cells of either; both says what one is that stands in the two. */
static int
unite(struct stat_set *into, const struct stat_set *from, int counters_only,
    uint64_t (*both)(const struct stat_cell *, uint64_t, uint64_t))
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
			sum[n].value = both(&sum[n], into->cell[i].value,
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

int
stat_set_add(struct stat_set *into, const struct stat_set *from,
    int counters_only)
{
	return unite(into, from, counters_only, merged);
}

int
stat_set_keep(struct stat_set *now, const struct stat_set *before)
{
	return unite(now, before, 1, larger);
}
