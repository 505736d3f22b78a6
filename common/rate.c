/* SPDX-License-Identifier: ISC */

/* Rates and limits on the wire. */

#include <stdio.h>

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

static const struct {
	char		letter;
	uint32_t	period_ms;
} periods[] = {
	{ 's', 1000 }, { 'm', 60000 }, { 'h', PERIOD_MAX_MS },
};
#define NPERIODS	(sizeof(periods) / sizeof(periods[0]))

/* Digits alone; 0 where there are none or too many. */
static uint32_t
take_number(const char **at)
{
	uint64_t n = 0;

	for (; **at >= '0' && **at <= '9' && n <= RATE_MAX; (*at)++)
		n = n * 10 + (uint64_t)(**at - '0');
	return n > RATE_MAX ? 0 : (uint32_t)n;
}

int
rate_parse(struct rate *rate, const char *text)
{
	size_t i;

	rate->count = rate->burst = take_number(&text);
	rate->period_ms = 60000;
	if (*text == '/') {
		text++;
		for (i = 0; i < NPERIODS && periods[i].letter != *text; i++)
			;
		if (i == NPERIODS)
			return -1;
		rate->period_ms = periods[i].period_ms;
		text++;
	}
	if (*text == ':') {
		text++;
		rate->burst = take_number(&text);
	}
	return *text == '\0' && rate->count > 0 && rate_ok(rate) ? 0 : -1;
}

void
rate_text(char text[RATE_TEXT_MAX], const struct rate *rate)
{
	char period[3] = "", burst[12] = "";
	size_t i;

	text[0] = '\0';
	if (rate->count == 0)
		return;
	for (i = 0; i < NPERIODS; i++)
		if (rate->period_ms == periods[i].period_ms &&
		    periods[i].letter != 'm')
			(void)snprintf(period, sizeof(period), "/%c",
			    periods[i].letter);
	if (rate->burst != rate->count)
		(void)snprintf(burst, sizeof(burst), ":%u", rate->burst);
	(void)snprintf(text, RATE_TEXT_MAX, "%u%s%s", rate->count, period,
	    burst);
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
