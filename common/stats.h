/* SPDX-License-Identifier: ISC */

/*
 * What is measured, in one table: pontifexctl status, its JSON and the
 * Prometheus text all come from it.  A process keeps plain integers of its
 * own and puts them into the buffer when the parent asks; a label is a number
 * (of a tool in configuration order, of an outcome …), never a text, so that
 * nothing a child sends can make a name.
 *
 * To add a figure: a value in enum stat_id, its row in stats.c, and one
 * put_stat…() in the `stats' function of the role that knows it.
 */

#ifndef COMMON_STATS_H
#define COMMON_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "frame.h"

enum stat_id {
	/* parent */
	STAT_BUILD,
	STAT_CONFIG,
	STAT_CONFIG_LOADED,
	STAT_RELOAD_OK,
	STAT_RELOAD_TIME,
	STAT_RELOAD_REFUSED,
	STAT_UPGRADE_OK,
	STAT_UPGRADE_TIME,
	STAT_UPGRADE_REFUSED,
	STAT_START_TIME,
	STAT_PROCESS_UP,
	STAT_PROCESS_ANSWERS,
	STAT_PROCESS_PID,
	STAT_PROCESS_START_TIME,
	STAT_PROCESS_RESTARTS,
	STAT_PROCESS_MEMORY,
	STAT_SANDBOX_VIOLATIONS,
	/* listener */
	STAT_CONNECTIONS,
	STAT_CONNECTIONS_DISPLACED,
	STAT_REQUESTS,
	STAT_REQUESTS_REFUSED,
	STAT_REQUESTS_UNRECORDED,
	STAT_REQUESTS_IN_FLIGHT,
	STAT_REQUEST_TIME,
	/* authd */
	STAT_DECISIONS,
	STAT_REFUSALS,
	STAT_KEYS,
	STAT_KEYS_EXPIRED,
	STAT_KEYS_EXPIRING,
	STAT_KEYS_LEGACY,
	STAT_KEY_NEXT_EXPIRY,
	STAT_LIMITED,
	STAT_CALLS_ALLOWED,
	STAT_LIMIT_COUNTERS,
	STAT_LIMIT_FULL,
	STAT_TOKENS_CACHED,
	STAT_ISSUER_KEYS,
	STAT_ISSUER_KEYS_AGE,
	STAT_ISSUER_FAILURES,
	/* fetcher */
	STAT_FETCHES,
	STAT_FETCHES_FAILED,
	STAT_FETCHES_REFUSED,
	/* handler */
	STAT_CALLS,
	STAT_CALL_TIME,
	STAT_CALLS_IN_FLIGHT,
	STAT_TICKETS_REFUSED,
	STAT_CACHE_BYTES,
	STAT_CACHE_HITS,
	STAT_CACHE_MISSES,
	STAT_CACHE_SHARED,
	STAT_SOURCE_BREAKER,
	STAT_REDIS_LIMITS_AWAY,
	STAT_REDIS_LIMITS_ASKED,
	STAT_REDIS_LIMITS_UNANSWERED,
	STAT_REDIS_LIMITS_REFUSED,
	STAT_REDIS_CACHE_AWAY,
	STAT_REDIS_CACHE_HITS,
	STAT_REDIS_CACHE_MISSES,
	STAT_REDIS_CACHE_UNSEALED,
	STAT_REDIS_CACHE_UNTOLD,
	STAT_SOURCE_CONNECTIONS,
	STAT_SOURCE_CONNECTIONS_MAX,
	STAT_SOURCE_IN_FLIGHT,
	STAT_SOURCE_WAITING,
	/* authd, handler */
	STAT_REPORTS_OPEN,
	/* auditd */
	STAT_AUDIT_STATE,
	STAT_AUDIT_SEQ,
	STAT_AUDIT_PENDING,
	STAT_AUDIT_LOST,
	STAT_AUDIT_CHECKPOINT_OK,
	STAT_AUDIT_CHECKPOINT_SEQ,
	STAT_JOURNAL_BYTES,
	STAT_JOURNAL_DISK_FREE,
	STAT_JOURNAL_LIMIT,
	STAT_DRAIN_UP,
	STAT_DRAIN_LAG_RECORDS,
	STAT_DRAIN_LAG_BYTES,
	STAT_DRAIN_LAG_TIME,
	STAT_DRAIN_REJECTED,
	STAT_SINK_UP,
	STAT_SINK_LAG_BYTES,
	STAT_MAX
};

enum stat_kind { STAT_COUNTER, STAT_GAUGE, STAT_HISTOGRAM };
/* How the values of several processes become one. */
enum stat_merge { MERGE_SUM, MERGE_MAX, MERGE_MIN };
/* What the number counts; shown in seconds where it is a time. */
enum stat_unit { UNIT_ONE, UNIT_S, UNIT_MS, UNIT_US };

enum stat_label {
	LABEL_NONE,
	LABEL_TOOL,		/* by configuration order */
	LABEL_SOURCE,
	LABEL_ISSUER,
	LABEL_SINK,
	LABEL_PROCESS,		/* the parent's own number of it */
	LABEL_OUTCOME,		/* enum outcome */
	LABEL_REASON,		/* enum reason */
	LABEL_VERSION,		/* one: this program's */
	LABEL_DIGEST,		/* one: the configuration's */
	LABEL_PATH,		/* one: the configuration's */
	LABEL_WHY,		/* why a reload, an upgrade was refused; not for all */
	LABEL_KIND_MAX
};

struct stat_row {
	const char	*name;		/* as Prometheus wants it */
	enum stat_kind	 kind;
	enum stat_merge	 merge;
	enum stat_unit	 unit;
	unsigned int	 roles;		/* 1 << ROLE_X of those who may say it */
	enum stat_label	 label[2];
	const char	*help;
};

/* id is below STAT_MAX. */
const struct stat_row *stat_row(unsigned int id);
/* "tool"; NULL for LABEL_NONE. */
const char	*stat_label_name(enum stat_label);

/* ---- times ------------------------------------------------------------- */

/*
 * Four buckets an octave, from 1 us to 134 s: a percentile is at most a
 * fourth too high.  The last bucket has what took longer.
 */
#define STAT_OCTAVES	27
#define STAT_BUCKETS	(4 * (STAT_OCTAVES - 1) + 1)

struct stat_times {
	uint64_t	count[STAT_BUCKETS];
	uint64_t	sum_us;
};

static inline unsigned int
stat_bucket(uint64_t us)
{
	unsigned int octave;

	if (us < 4)
		return (unsigned int)us;
	octave = 63 - (unsigned int)__builtin_clzll(us);
	if (octave >= STAT_OCTAVES)
		return STAT_BUCKETS - 1;
	return 4 * (octave - 1) + (unsigned int)((us >> (octave - 2)) & 3);
}

static inline void
stat_time(struct stat_times *t, uint64_t us)
{
	t->count[stat_bucket(us)]++;
	t->sum_us += us;
}

/* Microseconds that all of the bucket are below; UINT64_MAX for the last. */
uint64_t	 stat_bucket_end(unsigned int bucket);

/* What children say adds up to UINT64_MAX at most. */
static inline uint64_t
stat_sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t	 stat_count(const struct stat_times *);
/* The time that so many thousandths stay below; 0: there is none. */
uint64_t	 stat_percentile(const struct stat_times *, unsigned int permille);

/* ---- MSG_STATS: child -> parent ---------------------------------------- */

/* A value is put once for each label, in any order; 0 is a value, too. */
void	put_stat(struct buffer *, enum stat_id, uint64_t value);
void	put_stat_of(struct buffer *, enum stat_id, uint32_t label, uint64_t value);
/* Two labels; 0 is left out: most of the pairs never happen. */
void	put_stat_of2(struct buffer *, enum stat_id, uint32_t label,
	    uint32_t label2, uint64_t value);
/* A histogram; nothing where it is empty.  label 0 where the row has none. */
void	put_stat_times(struct buffer *, enum stat_id, uint32_t label,
	    const struct stat_times *);

/* A histogram has a cell for each bucket, in label2, and one for its sum. */
#define STAT_SUM	STAT_BUCKETS

struct stat_cell {
	uint16_t	id;		/* enum stat_id */
	uint16_t	label;
	uint16_t	label2;
	uint64_t	value;
};

struct stat_set {
	struct stat_cell *cell;		/* ascending by id, label, label2 */
	size_t		 n;
};

/*
 * Reads what a child of the role says into an empty set.  limit: how many
 * labels of each kind there are.  Returns -1, and the set stays empty, where
 * an id is none of the role's, a label is not below its limit, one value is
 * there twice, or bytes are left over.
 */
int	get_stats(const struct frame *, unsigned int role,
	    const uint32_t limit[LABEL_KIND_MAX], struct stat_set *);
void	stat_set_free(struct stat_set *);
/*
 * Merges from into into, by each row's rule.  counters_only: gauges are left
 * behind, for what a dead process said.  Returns -1 where memory ran out:
 * into is as it was.
 */
int	stat_set_add(struct stat_set *into, const struct stat_set *from,
	    int counters_only);
/*
 * Of one process: what it counted before it has still counted.  Returns as
 * stat_set_add().
 */
int	stat_set_keep(struct stat_set *now, const struct stat_set *before);
/*
 * Another configuration counts its labels otherwise: map gives the number
 * that stands for the same in it, or -1, and the cell is gone.  No two are
 * mapped to one.
 */
void	stat_set_relabel(struct stat_set *, int (*map)(enum stat_label,
	    uint16_t label, void *), void *);

#endif
