/* SPDX-License-Identifier: ISC */

/*
 * Building and reading of series; see series.h.  Who reads is no more
 * trusting than elsewhere: ids, buckets and counts are within the table.
 */

#include "series.h"

void
put_series(struct buffer *b, struct slice label, struct slice label2,
    const struct stat_cell *cell, size_t n)
{
	int histogram = stat_row(cell->id)->kind == STAT_HISTOGRAM;
	size_t i;

	put_u16(b, cell->id);
	put_slice(b, label);
	put_slice(b, label2);
	put_u32(b, (uint32_t)n);
	for (i = 0; i < n; i++) {
		put_u8(b, histogram ? (uint8_t)cell[i].label2 : 0);
		put_u64(b, cell[i].value);
	}
}

int
get_series(struct reader *r, struct series *s)
{
	uint32_t i;

	if (r->bad)
		return -1;
	if (r->at == r->end)
		return 0;
	s->id = get_u16(r);
	s->label[0] = get_string(r, SERIES_LABEL_MAX);
	s->label[1] = get_string(r, SERIES_LABEL_MAX);
	s->n = get_u32(r);
	if (r->bad || s->id >= STAT_MAX || s->n > SERIES_POINTS_MAX ||
	    s->n == 0)
		return -1;
	for (i = 0; i < s->n; i++) {
		s->point[i].bucket = get_u8(r);
		s->point[i].value = get_u64(r);
		if (s->point[i].bucket > STAT_SUM)
			return -1;
	}
	return r->bad ? -1 : 1;
}

void
series_times(const struct series *s, struct stat_times *t)
{
	uint32_t i;

	memset(t, 0, sizeof(*t));
	for (i = 0; i < s->n; i++)
		if (s->point[i].bucket == STAT_SUM)
			t->sum_us = s->point[i].value;
		else
			t->count[s->point[i].bucket] = s->point[i].value;
}
