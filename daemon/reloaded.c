/* SPDX-License-Identifier: ISC */

/*
 * What became of the last reload, for those who watch: when the configuration
 * in force was loaded, whether a later one was refused, and why.  Names and
 * meaning of the figures are those that Prometheus has of its own reloads.
 * The reason may quote the file, which root alone reads: figures.c tells it
 * to nobody who may not ask for a reload.
 */

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

static struct {
	uint64_t	loaded_s;	/* since 1970; 0: at the start */
	uint64_t	tried_s;	/* 0: never */
	int		refused;
	char		why[RELOAD_WHY_MAX + 1];
} last;

static uint64_t
wall_s(void)
{
	return wall_us() / 1000000;
}

void
reloaded_in_force(void)
{
	last.loaded_s = last.tried_s = wall_s();
	last.refused = 0;
	last.why[0] = '\0';
	figures_stale();
}

void
reloaded_refused(struct slice why)
{
	last.tried_s = wall_s();
	last.refused = 1;
	(void)log_safe(last.why, sizeof(last.why), why);
	figures_stale();
}

const char *
reloaded_why(void)
{
	return last.why;
}

void
reloaded_figures(struct buffer *b, uint64_t started_s)
{
	put_stat(b, STAT_RELOAD_OK, !last.refused);
	put_stat(b, STAT_CONFIG_LOADED, last.loaded_s != 0 ? last.loaded_s :
	    started_s);
	if (last.tried_s != 0)
		put_stat(b, STAT_RELOAD_TIME, last.tried_s);
	if (last.refused)
		put_stat_of(b, STAT_RELOAD_REFUSED, 0, 1);
}
