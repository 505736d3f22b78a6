/* SPDX-License-Identifier: ISC */

/*
 * Figures with the names of their labels: what the parent hands to those who
 * show them, pontifexctl and the listener that serves metrics.  The payload
 * of MSG_FIGURES and MSG_METRICS is one series behind the other.
 */

#ifndef COMMON_SERIES_H
#define COMMON_SERIES_H

#include "stats.h"
#include "wire.h"

#define SERIES_LABEL_MAX	1024	/* bytes: a URL or a path */
#define SERIES_POINTS_MAX	(STAT_SUM + 1)

struct series {
	uint16_t	id;		/* enum stat_id */
	struct slice	label[2];	/* empty where the row has none */
	uint32_t	n;		/* one, or of a histogram each that is not 0 */
	struct {
		uint8_t		bucket;	/* STAT_SUM: the sum; else 0 or its bucket */
		uint64_t	value;
	} point[SERIES_POINTS_MAX];
};

/* The cells are of one figure and label; n is 1 but for a histogram. */
void	put_series(struct buffer *, struct slice label, struct slice label2,
	    const struct stat_cell *, size_t n);
/*
 * Reads one series.  Returns 1, 0 at the end of the payload, -1 where it is
 * malformed.  Labels point into the frame.
 */
int	get_series(struct reader *, struct series *);
/* Of a histogram: how many there were, and their sum in its unit. */
void	series_times(const struct series *, struct stat_times *);

#endif
