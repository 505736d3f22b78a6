/* SPDX-License-Identifier: ISC */

/*
 * Figures as the text that Prometheus reads (exposition format 0.0.4), pure.
 * Names and kinds come from the table, the texts of labels from the parent;
 * they are escaped all the same.
 */

#include "../../common/series.h"
#include "metrics.h"

/* Upper bounds of a histogram: 2^8 us to 2^25 us, of which ours are parts. */
#define BOUND_FIRST	8
#define BOUND_LAST	25

/* A number of its row's unit, in seconds where that is a time. */
static void
add_value(struct buffer *b, enum stat_unit unit, uint64_t value)
{
	switch (unit) {
	case UNIT_MS:
		(void)buffer_printf(b, "%llu.%03llu",
		    (unsigned long long)(value / 1000),
		    (unsigned long long)(value % 1000));
		break;
	case UNIT_US:
		(void)buffer_printf(b, "%llu.%06llu",
		    (unsigned long long)(value / 1000000),
		    (unsigned long long)(value % 1000000));
		break;
	default:
		(void)buffer_add_u64(b, value);
		break;
	}
}

static void
add_label(struct buffer *b, char before, const char *name, struct slice value)
{
	size_t i;

	(void)buffer_add_char(b, before);
	(void)buffer_add_cstr(b, name);
	(void)buffer_add(b, "=\"", 2);
	for (i = 0; i < value.len; i++)
		if (value.ptr[i] == '\n') {
			(void)buffer_add(b, "\\n", 2);
		} else {
			if (value.ptr[i] == '"' || value.ptr[i] == '\\')
				(void)buffer_add_char(b, '\\');
			(void)buffer_add_char(b, value.ptr[i]);
		}
	(void)buffer_add_char(b, '"');
}

/* Name and labels; le: that of a histogram's bucket, or NULL. */
static void
add_name(struct buffer *b, const struct series *s, const char *suffix,
    const char *le)
{
	const struct stat_row *row = stat_row(s->id);
	char before = '{';
	int i;

	(void)buffer_add_cstr(b, row->name);
	(void)buffer_add_cstr(b, suffix);
	for (i = 0; i < 2; i++)
		if (row->label[i] != LABEL_NONE) {
			add_label(b, before, stat_label_name(row->label[i]),
			    s->label[i]);
			before = ',';
		}
	if (le != NULL) {
		add_label(b, before, "le", slice_of(le));
		before = ',';
	}
	if (before == ',')
		(void)buffer_add_char(b, '}');
	(void)buffer_add_char(b, ' ');
}

static void
add_histogram(struct buffer *b, const struct series *s)
{
	const struct stat_row *row = stat_row(s->id);
	static struct stat_times t;
	uint64_t below = 0, bound;
	unsigned int octave, last, i = 0;
	char le[32];

	series_times(s, &t);
	for (octave = BOUND_FIRST; octave <= BOUND_LAST; octave++) {
		bound = UINT64_C(1) << octave;
		for (last = stat_bucket(bound - 1); i <= last; i++)
			below = stat_sum(below, t.count[i]);
		(void)snprintf(le, sizeof(le), "%llu.%06llu",
		    (unsigned long long)(bound / 1000000),
		    (unsigned long long)(bound % 1000000));
		add_name(b, s, "_bucket", le);
		(void)buffer_add_u64(b, below);
		(void)buffer_add_char(b, '\n');
	}
	add_name(b, s, "_bucket", "+Inf");
	(void)buffer_add_u64(b, stat_count(&t));
	(void)buffer_add_char(b, '\n');
	add_name(b, s, "_sum", NULL);
	add_value(b, row->unit, t.sum_us);
	(void)buffer_add_char(b, '\n');
	add_name(b, s, "_count", NULL);
	(void)buffer_add_u64(b, stat_count(&t));
	(void)buffer_add_char(b, '\n');
}

int
metrics_text(struct buffer *b, const void *payload, size_t len)
{
	static const char *const kinds[] = {
		[STAT_COUNTER] = "counter", [STAT_GAUGE] = "gauge",
		[STAT_HISTOGRAM] = "histogram"
	};
	static struct series s;
	const struct stat_row *row;
	unsigned int id = STAT_MAX;
	struct reader r;
	int rc;

	reader_init(&r, payload, len);
	while ((rc = get_series(&r, &s)) == 1) {
		row = stat_row(s.id);
		if (s.id != id)
			(void)buffer_printf(b, "# HELP %s %s\n# TYPE %s %s\n",
			    row->name, row->help, row->name, kinds[row->kind]);
		id = s.id;
		if (row->kind == STAT_HISTOGRAM) {
			add_histogram(b, &s);
			continue;
		}
		add_name(b, &s, "", NULL);
		add_value(b, row->unit, s.point[0].value);
		(void)buffer_add_char(b, '\n');
	}
	return rc == 0 && !b->bad ? 0 : -1;
}
