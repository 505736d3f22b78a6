/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl status -j: {"state", "time", "problems", "metrics"}.  The
 * metrics are all there are, by name: an array of {labels …, "value"}, or of
 * a histogram {labels …, "count", "sum", "p50", "p95", "p99"}.  Times are in
 * seconds, as the names say.
 */

#include <stdio.h>

#include "../common/compat.h"
#include "../common/json.h"
#include "ctl_status.h"

#define JSON_MAX	(64U << 20)	/* bytes */

static void
add_value(struct buffer *b, const char *name, enum stat_unit unit,
    uint64_t value)
{
	(void)buffer_printf(b, "\"%s\":", name);
	if (unit == UNIT_MS)
		(void)buffer_printf(b, "%llu.%03llu",
		    (unsigned long long)value / 1000,
		    (unsigned long long)value % 1000);
	else if (unit == UNIT_US)
		(void)buffer_printf(b, "%llu.%06llu",
		    (unsigned long long)value / 1000000,
		    (unsigned long long)value % 1000000);
	else
		(void)buffer_add_u64(b, value);
}

static void
add_series(struct buffer *b, const struct series *s)
{
	const struct stat_row *row = stat_row(s->id);
	static struct stat_times t;
	int i;

	(void)buffer_add_char(b, '{');
	for (i = 0; i < 2; i++)
		if (row->label[i] != LABEL_NONE) {
			(void)buffer_printf(b, "\"%s\":",
			    stat_label_name(row->label[i]));
			(void)json_write_string(b, s->label[i].ptr,
			    s->label[i].len);
			(void)buffer_add_char(b, ',');
		}
	if (row->kind != STAT_HISTOGRAM) {
		add_value(b, "value", row->unit, s->point[0].value);
	} else {
		series_times(s, &t);
		add_value(b, "count", UNIT_ONE, stat_count(&t));
		(void)buffer_add_char(b, ',');
		add_value(b, "sum", row->unit, t.sum_us);
		(void)buffer_add_char(b, ',');
		add_value(b, "p50", row->unit, stat_percentile(&t, 500));
		(void)buffer_add_char(b, ',');
		add_value(b, "p95", row->unit, stat_percentile(&t, 950));
		(void)buffer_add_char(b, ',');
		add_value(b, "p99", row->unit, stat_percentile(&t, 990));
	}
	(void)buffer_add_char(b, '}');
}

static void
add_metrics(struct buffer *b, const struct figures *f)
{
	const struct series *s;
	unsigned int id;
	int names = 0;

	(void)buffer_add_cstr(b, "\"metrics\":{");
	for (id = 0; id < STAT_MAX; id++) {
		if ((s = figures_next(f, (enum stat_id)id, NULL)) == NULL)
			continue;
		(void)buffer_printf(b, "%s\"%s\":[", names++ > 0 ? "," : "",
		    stat_row(id)->name);
		while (s != NULL) {
			add_series(b, s);
			s = figures_next(f, (enum stat_id)id, s);
			if (s != NULL)
				(void)buffer_add_char(b, ',');
		}
		(void)buffer_add_char(b, ']');
	}
	(void)buffer_add_char(b, '}');
}

int
status_json(const struct figures *f, uint64_t now, const struct problem *p,
    size_t n)
{
	const char *state = "ok";
	struct buffer b;
	size_t i;
	int rc;

	for (i = 0; i < n; i++)
		if (p[i].degraded)
			state = "degraded";
	buffer_init(&b, JSON_MAX);
	(void)buffer_printf(&b, "{\"state\":\"%s\",\"time\":%llu,"
	    "\"problems\":[", state, (unsigned long long)now);
	for (i = 0; i < n; i++) {
		(void)buffer_printf(&b, "%s{\"degraded\":%s,\"text\":",
		    i > 0 ? "," : "", p[i].degraded ? "true" : "false");
		(void)json_write_cstr(&b, p[i].text);
		(void)buffer_add_char(&b, '}');
	}
	(void)buffer_add_cstr(&b, "],");
	add_metrics(&b, f);
	(void)buffer_add_cstr(&b, "}\n");
	rc = b.bad ? -1 : 0;
	if (rc == 0)
		(void)fwrite(b.data, 1, b.len, stdout);
	buffer_free(&b);
	return rc;
}
