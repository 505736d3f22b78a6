/* SPDX-License-Identifier: ISC */

/*
 * The screen of pontifexctl status: what is wrong first, then what is going
 * on, in about as many lines as a terminal has.  Labels come from the
 * configuration and from no caller; they are made safe to print all the same.
 */

#include <stdio.h>
#include <time.h>

#include "../common/compat.h"
#include "../common/limits.h"
#include "../common/log.h"
#include "ctl_status.h"

#define TOOLS_SHOWN	10
#define REASONS_SHOWN	6
#define NEVER		UINT64_MAX

static const char *
span_text(uint64_t s, char *to, size_t size)
{
	if (s < 120)
		(void)snprintf(to, size, "%llu s", (unsigned long long)s);
	else if (s < 7200)
		(void)snprintf(to, size, "%llu min", (unsigned long long)s / 60);
	else if (s < 2 * 86400)
		(void)snprintf(to, size, "%llu h",
		    (unsigned long long)s / 3600);
	else
		(void)snprintf(to, size, "%llu d",
		    (unsigned long long)s / 86400);
	return to;
}

static const char *
bytes_text(uint64_t n, char *to, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)n;
	size_t i = 0;

	for (; value >= 1024 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		value /= 1024;
	(void)snprintf(to, size, i == 0 ? "%.0f %s" : "%.1f %s", value,
	    units[i]);
	return to;
}

static const char *
time_text(uint64_t us, char *to, size_t size)
{
	if (us < 10000)
		(void)snprintf(to, size, "%.2f ms", (double)us / 1e3);
	else if (us < 10000000)
		(void)snprintf(to, size, "%.0f ms", (double)us / 1e3);
	else
		(void)snprintf(to, size, "%.1f s", (double)us / 1e6);
	return to;
}

static void
print_label(const struct series *s, int which, int width)
{
	char label[64];

	printf("%-*s", width, log_safe(label, sizeof(label), s->label[which]));
}

static void
print_head(const struct figures *f, uint64_t now, const struct problem *p,
    size_t n)
{
	const struct series *build = figures_next(f, STAT_BUILD, NULL);
	const struct series *conf = figures_next(f, STAT_CONFIG, NULL);
	uint64_t start = figures_value(f, STAT_START_TIME, now);
	char up[32], version[32], digest[17], path[256];
	size_t i, bad = 0;

	for (i = 0; i < n; i++)
		bad += p[i].degraded != 0;
	if (build == NULL || conf == NULL)
		return;
	printf("pontifexd %s, up %s, %s, configuration %s (%s)\n",
	    log_safe(version, sizeof(version), build->label[0]),
	    span_text(now > start ? now - start : 0, up, sizeof(up)),
	    bad > 0 ? "DEGRADED" : "all well",
	    log_safe(path, sizeof(path), conf->label[1]),
	    log_safe(digest, sizeof(digest), conf->label[0]));
	for (i = 0; i < n; i++)
		printf("%s %s\n", p[i].degraded ? "!!" : " *", p[i].text);
}

static void
print_processes(const struct figures *f, uint64_t now)
{
	const struct series *up = NULL, *pid = NULL, *since = NULL,
	    *restarts = NULL, *memory;
	char span[32], bytes[32];

	printf("\n%-14s %8s %8s %9s %10s\n", "process", "pid", "up",
	    "restarts", "memory");
	while ((up = figures_next(f, STAT_PROCESS_UP, up)) != NULL) {
		pid = figures_next(f, STAT_PROCESS_PID, pid);
		since = figures_next(f, STAT_PROCESS_START_TIME, since);
		restarts = figures_next(f, STAT_PROCESS_RESTARTS, restarts);
		if (pid == NULL || since == NULL || restarts == NULL)
			return;
		for (memory = figures_next(f, STAT_PROCESS_MEMORY, NULL);
		    memory != NULL && !slice_equal(memory->label[0],
		    up->label[0]); memory = figures_next(f,
		    STAT_PROCESS_MEMORY, memory))
			;
		print_label(up, 0, 14);
		printf(" %8llu %8s %9llu %10s\n",
		    (unsigned long long)pid->point[0].value,
		    up->point[0].value == 0 ? "down" :
		    span_text(now > since->point[0].value ?
		    now - since->point[0].value : 0, span, sizeof(span)),
		    (unsigned long long)restarts->point[0].value,
		    memory == NULL ? "?" : bytes_text(memory->point[0].value,
		    bytes, sizeof(bytes)));
	}
}

static uint64_t
gained(const struct figures *f, const struct figures *before, enum stat_id id)
{
	uint64_t now = figures_sum(f, id), then = figures_sum(before, id);

	return now > then ? now - then : 0;
}

static void
print_traffic(const struct figures *f, const struct figures *before)
{
	static struct stat_times t;
	const struct series *s = figures_next(f, STAT_REQUEST_TIME, NULL);
	char a[32], b[32], c[32];

	printf("\nrequests  %llu, %llu in the last second, %llu in flight, "
	    "%llu connections\n",
	    (unsigned long long)figures_sum(f, STAT_REQUESTS),
	    (unsigned long long)gained(f, before, STAT_REQUESTS),
	    (unsigned long long)figures_value(f, STAT_REQUESTS_IN_FLIGHT, 0),
	    (unsigned long long)figures_value(f, STAT_CONNECTIONS, 0));
	if (s != NULL) {
		series_times(s, &t);
		printf("          answered within p50 %s, p95 %s, p99 %s\n",
		    time_text(stat_percentile(&t, 500), a, sizeof(a)),
		    time_text(stat_percentile(&t, 950), b, sizeof(b)),
		    time_text(stat_percentile(&t, 990), c, sizeof(c)));
	}
	printf("calls     %llu, %llu in the last second, %llu in flight\n",
	    (unsigned long long)figures_sum(f, STAT_CALLS),
	    (unsigned long long)gained(f, before, STAT_CALLS),
	    (unsigned long long)figures_value(f, STAT_CALLS_IN_FLIGHT, 0));
	if (figures_value(f, STAT_CACHE_HITS, 0) +
	    figures_value(f, STAT_CACHE_MISSES, 0) > 0)
		printf("cache     %s, %llu hits, %llu misses, %llu shared a "
		    "query\n", bytes_text(figures_value(f, STAT_CACHE_BYTES, 0),
		    a, sizeof(a)),
		    (unsigned long long)figures_value(f, STAT_CACHE_HITS, 0),
		    (unsigned long long)figures_value(f, STAT_CACHE_MISSES, 0),
		    (unsigned long long)figures_value(f, STAT_CACHE_SHARED, 0));
}

/* Descending by what they have counted. */
static int
by_value(const void *va, const void *vb)
{
	const struct series *a = *(const struct series *const *)va;
	const struct series *b = *(const struct series *const *)vb;

	if (a->point[0].value == b->point[0].value)
		return 0;
	return a->point[0].value > b->point[0].value ? -1 : 1;
}

static void
print_refusals(const struct figures *f, const struct figures *before)
{
	const struct series *list[256], *s = NULL;
	char reason[64];
	size_t i, n = 0;

	while ((s = figures_next(f, STAT_REFUSALS, s)) != NULL && n < 256)
		if (s->point[0].value > 0)
			list[n++] = s;
	qsort(list, n, sizeof(const struct series *), by_value);
	printf("refusals  %llu, %llu in the last second",
	    (unsigned long long)figures_sum(f, STAT_REFUSALS),
	    (unsigned long long)gained(f, before, STAT_REFUSALS));
	for (i = 0; i < n && i < REASONS_SHOWN; i++)
		printf("%s %s %llu", i == 0 ? ":" : ",", log_safe(reason,
		    sizeof(reason), list[i]->label[0]),
		    (unsigned long long)list[i]->point[0].value);
	printf("%s\n", n > REASONS_SHOWN ? " …" : "");
}

struct tool_line {
	const struct series	*times;
	uint64_t		 calls;
};

static int
by_calls(const void *va, const void *vb)
{
	const struct tool_line *a = va, *b = vb;

	if (a->calls == b->calls)
		return 0;
	return a->calls > b->calls ? -1 : 1;
}

static uint64_t
calls_failed(const struct figures *f, struct slice tool)
{
	const struct series *s = NULL;
	uint64_t sum = 0;

	while ((s = figures_next(f, STAT_CALLS, s)) != NULL)
		if (slice_equal(s->label[0], tool) &&
		    !slice_is(s->label[1], "ok"))
			sum = stat_sum(sum, s->point[0].value);
	return sum;
}

static void
print_tools(const struct figures *f)
{
	static struct tool_line list[TOOLS_MAX];
	static struct stat_times t;
	const struct series *s = NULL;
	char a[32], b[32], c[32];
	size_t i, n = 0;

	while ((s = figures_next(f, STAT_CALL_TIME, s)) != NULL &&
	    n < TOOLS_MAX) {
		series_times(s, &t);
		list[n].times = s;
		list[n++].calls = stat_count(&t);
	}
	if (n == 0)
		return;
	qsort(list, n, sizeof(list[0]), by_calls);
	printf("\n%-32s %10s %8s %10s %10s %10s\n", "tool", "calls", "failed",
	    "p50", "p95", "p99");
	for (i = 0; i < n && i < TOOLS_SHOWN; i++) {
		series_times(list[i].times, &t);
		print_label(list[i].times, 0, 32);
		printf(" %10llu %8llu %10s %10s %10s\n",
		    (unsigned long long)list[i].calls, (unsigned long long)
		    calls_failed(f, list[i].times->label[0]),
		    time_text(stat_percentile(&t, 500), a, sizeof(a)),
		    time_text(stat_percentile(&t, 950), b, sizeof(b)),
		    time_text(stat_percentile(&t, 990), c, sizeof(c)));
	}
	if (n > TOOLS_SHOWN)
		printf("(and %zu more: status -j)\n", n - TOOLS_SHOWN);
}

static uint64_t
of_label(const struct figures *f, enum stat_id id, struct slice label)
{
	return figures_of(f, id, label, 0);
}

static void
print_sources(const struct figures *f)
{
	static const char *const breaker[] = { "closed", "half open", "open" };
	const struct series *s = NULL;
	uint64_t state;
	char span[32];

	printf("\n");
	while ((s = figures_next(f, STAT_SOURCE_BREAKER, s)) != NULL) {
		state = s->point[0].value;
		printf("source    ");
		print_label(s, 0, 20);
		printf(" breaker %s, %llu of %llu connections up, %llu in "
		    "flight, %llu waiting\n", state < 3 ? breaker[state] : "?",
		    (unsigned long long)of_label(f, STAT_SOURCE_CONNECTIONS,
		    s->label[0]), (unsigned long long)of_label(f,
		    STAT_SOURCE_CONNECTIONS_MAX, s->label[0]),
		    (unsigned long long)of_label(f, STAT_SOURCE_IN_FLIGHT,
		    s->label[0]), (unsigned long long)of_label(f,
		    STAT_SOURCE_WAITING, s->label[0]));
	}
	while ((s = figures_next(f, STAT_ISSUER_KEYS, s)) != NULL) {
		printf("issuer    ");
		print_label(s, 0, 40);
		printf(" %llu keys, age %s, %llu fetches failed since\n",
		    (unsigned long long)s->point[0].value,
		    span_text(of_label(f, STAT_ISSUER_KEYS_AGE, s->label[0]) /
		    1000, span, sizeof(span)),
		    (unsigned long long)of_label(f, STAT_ISSUER_FAILURES,
		    s->label[0]));
	}
}

static void
print_audit(const struct figures *f)
{
	static const char *const states[] = { "records", "is over its limit",
	    "CANNOT BE WRITTEN" };
	uint64_t state = figures_value(f, STAT_AUDIT_STATE, 3);
	uint64_t limit = figures_value(f, STAT_JOURNAL_LIMIT, 0);
	uint64_t up = figures_value(f, STAT_DRAIN_UP, NEVER);
	const struct series *s = NULL;
	char a[32], b[32];

	printf("audit     the journal %s: record %llu, %s, ",
	    state < 3 ? states[state] : "does not answer",
	    (unsigned long long)figures_value(f, STAT_AUDIT_SEQ, 0),
	    bytes_text(figures_value(f, STAT_JOURNAL_BYTES, 0), a, sizeof(a)));
	printf("%s free on disk\n", bytes_text(figures_value(f,
	    STAT_JOURNAL_DISK_FREE, 0), b, sizeof(b)));
	if (up != NEVER) {
		printf("          database %s, %llu records behind, for %s, %s",
		    up != 0 ? "connected" : "NOT CONNECTED",
		    (unsigned long long)figures_value(f,
		    STAT_DRAIN_LAG_RECORDS, 0), span_text(figures_value(f,
		    STAT_DRAIN_LAG_TIME, 0) / 1000, a, sizeof(a)),
		    bytes_text(figures_value(f, STAT_DRAIN_LAG_BYTES, 0), b,
		    sizeof(b)));
		if (limit != 0)
			printf(" of %s", bytes_text(limit, a, sizeof(a)));
		printf("\n");
	}
	while ((s = figures_next(f, STAT_SINK_UP, s)) != NULL) {
		printf("          sink ");
		print_label(s, 0, 12);
		printf(" %s, %s behind\n", s->point[0].value != 0 ? "ok" :
		    "DOWN", bytes_text(of_label(f, STAT_SINK_LAG_BYTES,
		    s->label[0]), a, sizeof(a)));
	}
}

static void
print_keys(const struct figures *f, uint64_t now)
{
	uint64_t next = figures_value(f, STAT_KEY_NEXT_EXPIRY, 0);
	char span[32];

	printf("keys      %llu, %llu expired, %llu expire within 14 days",
	    (unsigned long long)figures_value(f, STAT_KEYS, 0),
	    (unsigned long long)figures_value(f, STAT_KEYS_EXPIRED, 0),
	    (unsigned long long)figures_value(f, STAT_KEYS_EXPIRING, 0));
	if (next > now)
		printf(", the next in %s", span_text(next - now, span,
		    sizeof(span)));
	printf("\n");
}

static void
print_refused(const struct figures *f, uint64_t now, const char *what,
    enum stat_id tried, enum stat_id refused)
{
	const struct series *why = figures_next(f, refused, NULL);
	uint64_t at = figures_value(f, tried, 0);
	char span[32], reason[512];

	printf("; %s %s ago was REFUSED: %s", what, span_text(now > at ?
	    now - at : 0, span, sizeof(span)), why == NULL ?
	    "root is told why" : log_safe(reason, sizeof(reason),
	    why->label[0]));
}

/* What is in force, and whether a later one should be. */
static void
print_config(const struct figures *f, uint64_t now)
{
	uint64_t loaded = figures_value(f, STAT_CONFIG_LOADED, now);
	char span[32];

	printf("config    loaded %s ago", span_text(now > loaded ? now - loaded :
	    0, span, sizeof(span)));
	if (figures_value(f, STAT_RELOAD_TIME, 0) == 0)
		printf(", no reload since the start");
	else if (figures_value(f, STAT_RELOAD_OK, 1) != 0)
		printf(" by a reload");
	else
		print_refused(f, now, "a reload", STAT_RELOAD_TIME,
		    STAT_RELOAD_REFUSED);
	if (figures_value(f, STAT_UPGRADE_OK, 1) == 0)
		print_refused(f, now, "an upgrade", STAT_UPGRADE_TIME,
		    STAT_UPGRADE_REFUSED);
	printf("\n");
}

void
screen_print(const struct figures *f, const struct figures *before,
    uint64_t now, const struct problem *problem, size_t problems)
{
	print_head(f, now, problem, problems);
	print_processes(f, now);
	print_traffic(f, before);
	print_refusals(f, before);
	print_tools(f);
	print_sources(f);
	print_audit(f);
	print_keys(f, now);
	print_config(f, now);
}
