/* SPDX-License-Identifier: ISC */

/*
 * What became of the last reload and of the last upgrade, for those who watch:
 * when the configuration in force was loaded, whether a later one, or another
 * executable, was refused, and why.  Names and meaning of the figures are those
 * that Prometheus has of its own reloads.  The reason may quote the file, which
 * root alone reads: figures.c tells it to nobody who may not ask for a reload.
 */

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

static struct {
	uint64_t	tried_s;	/* since 1970; 0: never */
	int		refused;
	char		why[ATTEMPT_WHY_MAX + 1];
} last[ATTEMPT_MAX];

static uint64_t loaded_s;	/* since 1970; 0: at the start */

static const struct {
	enum stat_id	ok, tried, refused;
} rows[ATTEMPT_MAX] = {
	[ATTEMPT_RELOAD] = {
		STAT_RELOAD_OK, STAT_RELOAD_TIME, STAT_RELOAD_REFUSED
	},
	[ATTEMPT_UPGRADE] = {
		STAT_UPGRADE_OK, STAT_UPGRADE_TIME, STAT_UPGRADE_REFUSED
	},
};

static uint64_t
wall_s(void)
{
	return wall_us() / 1000000;
}

/* Of an upgrade that is not refused nobody is left to tell. */
void
attempt_in_force(void)
{
	loaded_s = last[ATTEMPT_RELOAD].tried_s = wall_s();
	last[ATTEMPT_RELOAD].refused = 0;
	figures_stale();
}

void
attempt_refused(enum attempt a, struct slice why)
{
	last[a].tried_s = wall_s();
	last[a].refused = 1;
	(void)log_safe(last[a].why, sizeof(last[a].why), why);
	figures_stale();
}

const char *
attempt_why(unsigned int a)
{
	return a < ATTEMPT_MAX && last[a].refused ? last[a].why : "";
}

void
attempts_figures(struct buffer *b, uint64_t started_s)
{
	unsigned int a;

	put_stat(b, STAT_CONFIG_LOADED, loaded_s != 0 ? loaded_s : started_s);
	for (a = 0; a < ATTEMPT_MAX; a++) {
		put_stat(b, rows[a].ok, !last[a].refused);
		if (last[a].tried_s != 0)
			put_stat(b, rows[a].tried, last[a].tried_s);
		if (last[a].refused)
			put_stat_of(b, rows[a].refused, (uint16_t)a, 1);
	}
}
