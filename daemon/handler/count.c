/* SPDX-License-Identifier: ISC */

/*
 * Calls by tool and outcome, and how long they took: plain integers, taken
 * where the outcome is handed to auditd, so that they add up with the trail.
 */

#include "../../common/compat.h"
#include "../../common/stats.h"
#include "handler.h"

static struct count {
	uint64_t		outcome[OUTCOME_MAX];
	struct stat_times	times;
} *counts;
static uint32_t ncounts;

int
count_init(uint32_t ntools)
{
	if ((counts = calloc(ntools + 1, sizeof(*counts))) == NULL)
		return -1;
	ncounts = ntools;
	return 0;
}

void
count_call(const struct tool *tool, enum outcome outcome, uint64_t us)
{
	struct count *n;

	if (tool == NULL || tool->index >= ncounts)
		return;
	n = &counts[tool->index];
	n->outcome[outcome]++;
	stat_time(&n->times, us);
}

void
count_put(struct buffer *b)
{
	uint32_t i, o;

	for (i = 0; i < ncounts; i++) {
		for (o = 0; o < OUTCOME_MAX; o++)
			put_stat_of2(b, STAT_CALLS, i, o,
			    counts[i].outcome[o]);
		put_stat_times(b, STAT_CALL_TIME, i, &counts[i].times);
	}
}
