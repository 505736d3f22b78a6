/* SPDX-License-Identifier: ISC */

/*
 * Rates by the generic cell rate algorithm (ITU-T I.371): a call is early by
 * as much as its arrival time lies ahead, and may be early by what the burst
 * holds.  Nothing is rounded: a call of 7 per minute costs 8571428 and 4/7
 * microseconds.  No product passes 3.6e18 (PERIOD_MAX_MS * 1000 * RATE_MAX),
 * and sums stay at the end of time.
 */

#include "../common/compat.h"
#include "limit.h"

#define SECOND_US	1000000

/* So many microseconds and parts of the whole calls' time. */
static void
time_of(const struct rate *rate, uint64_t calls, uint64_t *us, uint32_t *part)
{
	uint64_t time = (uint64_t)rate->period_ms * 1000 * calls;

	*us = time / rate->count;
	*part = (uint32_t)(time % rate->count);
}

static uint64_t
later(uint64_t at, uint64_t by)
{
	return at > UINT64_MAX - by ? UINT64_MAX : at + by;
}

int
arrival_passed(const struct arrival *a, uint64_t now)
{
	return a->us < now || (a->us == now && a->part == 0);
}

void
arrival_adopt(struct arrival *a, const struct rate *rate, uint64_t now)
{
	uint64_t most;
	uint32_t part;

	if (memcmp(&a->rate, rate, sizeof(*rate)) == 0)
		return;
	a->rate = *rate;
	if (a->part > 0)
		a->us = later(a->us, 1);
	a->part = 0;
	time_of(rate, rate->burst, &most, &part);
	if (a->us > later(now, most)) {
		a->us = later(now, most);
		a->part = part;
	}
}

uint32_t
arrival_wait(const struct arrival *a, uint64_t now)
{
	uint64_t early, us;
	uint32_t part;

	if (arrival_passed(a, now))
		return 0;
	time_of(&a->rate, a->rate.burst - 1, &early, &part);
	us = later(now, early);
	if (a->us < us || (a->us == us && a->part <= part))
		return 0;
	us = a->us - us + (a->part > part);
	us = us / SECOND_US + (us % SECOND_US != 0);
	return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void
arrival_charge(struct arrival *a, uint64_t now)
{
	uint64_t us;
	uint32_t part;

	if (arrival_passed(a, now)) {
		a->us = now;
		a->part = 0;
	}
	time_of(&a->rate, 1, &us, &part);
	a->us = later(a->us, us);
	/* Both are less than the count, which is at most 1e9. */
	a->part += part;
	if (a->part >= a->rate.count) {
		a->part -= a->rate.count;
		a->us = later(a->us, 1);
	}
}
