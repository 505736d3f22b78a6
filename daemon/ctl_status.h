/* SPDX-License-Identifier: ISC */

/* pontifexctl status: what was measured, what is wrong with it, how it looks. */

#ifndef DAEMON_CTL_STATUS_H
#define DAEMON_CTL_STATUS_H

#include "../common/series.h"
#include "ctl.h"

#define PROBLEMS_MAX	64

/* One answer of the daemon. */
struct figures {
	struct buffer	 payload;	/* what the labels point into */
	struct series	*series;
	size_t		 n;
};

/* Asks for them; 0, or -1 after a line on standard error. */
int	 figures_get(const char *socket, struct figures *);
void	 figures_free(struct figures *);
/* The first series of a figure behind `after' (NULL: of all), or NULL. */
const struct series *figures_next(const struct figures *, enum stat_id,
	    const struct series *after);
/* The one value of a figure without labels; `absent' where it is not there. */
uint64_t figures_value(const struct figures *, enum stat_id, uint64_t absent);
/* Of the series whose first label that is. */
uint64_t figures_of(const struct figures *, enum stat_id, struct slice label,
	    uint64_t absent);
/* Over all labels. */
uint64_t figures_sum(const struct figures *, enum stat_id);

struct problem {
	int		 degraded;	/* 0: worth knowing, no more */
	char		 text[256];
};
/* What an operator should know, the worst first; how many. */
size_t	 judge(const struct figures *, uint64_t now,
	    struct problem [PROBLEMS_MAX]);

/* before: the same a moment ago, for rates. */
void	 screen_print(const struct figures *, const struct figures *before,
	    uint64_t now, const struct problem *, size_t problems);
/* 0, or -1: out of memory. */
int	 status_json(const struct figures *, uint64_t now,
	    const struct problem *, size_t problems);

#endif
