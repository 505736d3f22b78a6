/* SPDX-License-Identifier: ISC */

/*
 * Since when the oldest record that Postgres lacks has waited: a few pairs of
 * a record's number and the time that it was durable at, apart by some
 * seconds, and by more where they would not suffice.  What was there at the
 * start counts from the start.
 */

#include <string.h>

#include "auditd.h"

#define MARKS_MAX	64
#define APART_MIN_MS	1000

static struct {
	uint64_t	first;	/* record that became durable at … */
	uint64_t	ms;
} mark[MARKS_MAX];
static unsigned int marks;
static uint64_t apart_ms = APART_MIN_MS;

void
lag_reset(void)
{
	marks = 0;
	apart_ms = APART_MIN_MS;
}

void
lag_note(uint64_t first, uint64_t now)
{
	unsigned int i;

	if (marks > 0 && now - mark[marks - 1].ms < apart_ms)
		return;
	if (marks == MARKS_MAX) {
		for (i = 0; 2 * i < MARKS_MAX; i++)
			mark[i] = mark[2 * i];
		marks = i;
		apart_ms *= 2;
	}
	mark[marks].first = first;
	mark[marks++].ms = now;
}

uint64_t
lag_ms(uint64_t drained, uint64_t last, uint64_t now)
{
	unsigned int i = 0;

	if (drained >= last) {
		lag_reset();
		return 0;
	}
	/* The last mark that is not behind the oldest that waits. */
	while (i + 1 < marks && mark[i + 1].first <= drained + 1)
		i++;
	if (i > 0) {
		memmove(mark, mark + i, (marks - i) * sizeof(mark[0]));
		marks -= i;
	}
	return marks == 0 || now < mark[0].ms ? 0 : now - mark[0].ms;
}
