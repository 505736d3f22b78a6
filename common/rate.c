/* SPDX-License-Identifier: ISC */

/* Rates and limits on the wire. */

#include "compat.h"
#include "rate.h"

int
rate_ok(const struct rate *rate)
{
	if (rate->count == 0)
		return rate->period_ms == 0 && rate->burst == 0;
	return rate->count <= RATE_MAX && rate->period_ms >= 1 &&
	    rate->period_ms <= PERIOD_MAX_MS && rate->burst >= 1 &&
	    rate->burst <= RATE_MAX;
}

static void
read_rate(struct reader *r, struct rate *rate)
{
	rate->count = get_u32(r);
	rate->period_ms = get_u32(r);
	rate->burst = get_u32(r);
}

void
put_rate(struct buffer *b, const struct rate *rate)
{
	put_u32(b, rate->count);
	put_u32(b, rate->period_ms);
	put_u32(b, rate->burst);
}

void
get_rate(struct reader *r, struct rate *rate)
{
	read_rate(r, rate);
	if (!rate_ok(rate)) {
		memset(rate, 0, sizeof(*rate));
		r->bad = 1;
	}
}

void
put_limit_hit(struct buffer *b, const struct limit_hit *hit)
{
	put_u8(b, hit->what);
	if (hit->what == LIMIT_NONE)
		return;
	put_rate(b, &hit->rate);
	put_u32(b, hit->remaining);
	put_u32(b, hit->reset_s);
}

static int
hit_ok(const struct limit_hit *hit)
{
	if (hit->rate.count == 0)
		return 0;
	if (hit->what == LIMIT_IN_FLIGHT)
		return hit->rate.period_ms == 0 && hit->rate.burst == 0;
	return rate_ok(&hit->rate);
}

void
get_limit_hit(struct reader *r, struct limit_hit *hit)
{
	memset(hit, 0, sizeof(*hit));
	hit->what = (uint8_t)get_enum(r, LIMIT_WHAT_MAX);
	if (hit->what == LIMIT_NONE)
		return;
	read_rate(r, &hit->rate);
	hit->remaining = get_u32(r);
	hit->reset_s = get_u32(r);
	if (!hit_ok(hit)) {
		memset(hit, 0, sizeof(*hit));
		r->bad = 1;
	}
}
