/* SPDX-License-Identifier: ISC */

/*
 * Which source is asked.  A tool's source may have others that stand in for
 * it, in the order of the configuration.  Each has a breaker: after some
 * failures in a row it is not asked for a while, then one call tries it and
 * its end decides for all.  Slow statements of a source that answers others
 * meanwhile are no failures: nobody can shut a source by asking it much.
 *
 * A tool that writes has its own source and no other: what stands in for it
 * may be behind, or take the write a second time.
 */

#include <event2/event.h>

#include "../../common/log.h"
#include "source.h"

static void
open_breaker(struct source *s, uint64_t now)
{
	struct breaker *b = &s->breaker;

	if (b->state == BREAKER_CLOSED) {
		b->pause_ms = BREAKER_MIN_MS;
		log_warn("source %s: %u failures in a row: not asked for now",
		    s->name, b->failures);
	} else if (b->pause_ms < BREAKER_MAX_MS) {
		b->pause_ms *= 2;
	}
	b->state = BREAKER_OPEN;
	b->until_ms = now + b->pause_ms;
	if (s->ops != NULL && s->ops->doubt != NULL)
		s->ops->doubt(s);
}

/* Whether a call may be given to it now; takes the place of the one probe. */
static int
admits(struct source *s, uint64_t now)
{
	struct breaker *b = &s->breaker;

	switch (b->state) {
	case BREAKER_CLOSED:
		return 1;
	case BREAKER_OPEN:
		if (now < b->until_ms)
			return 0;
		b->state = BREAKER_HALF_OPEN;
		return 1;
	case BREAKER_HALF_OPEN:
		break;
	}
	return 0;
}

/* Seconds until one of those that are left may be asked, at least 1. */
static uint32_t
wait_seconds(const struct call *c, uint64_t now)
{
	uint64_t least = BREAKER_MAX_MS, ms;
	const struct breaker *b;
	uint32_t i;

	for (i = 0; i < c->tool->nplaces; i++) {
		b = &c->tool->place[i].source->breaker;
		ms = b->until_ms > now ? b->until_ms - now : 1;
		if (ms < least)
			least = ms;
	}
	return (uint32_t)((least + 999) / 1000);
}

struct source *
source_choose(struct call *c)
{
	uint32_t last = c->tool->writes ? 1 : c->tool->nplaces;
	uint64_t now = now_ms();
	struct source *s;

	for (; c->place < last; c->place++) {
		s = c->tool->place[c->place].source;
		if (!admits(s, now))
			continue;
		c->asked[c->nasked++] = s;
		return s;
	}
	c->retry_after = wait_seconds(c, now);
	return NULL;
}

int
source_move_on(struct call *c)
{
	if (c->source == NULL || c->tool->writes || c->may_have_run ||
	    c->place + 1 >= c->tool->nplaces || now_ms() >= c->deadline_ms)
		return 0;
	c->place++;
	return 1;
}

void
source_judge(struct source *s, const struct call *c)
{
	struct breaker *b = &s->breaker;
	uint64_t now = now_ms();

	switch (c->outcome) {
	case OUTCOME_SOURCE_UNAVAILABLE:
		break;
	case OUTCOME_TIMEOUT:
		if (s->alive_us < c->asked_us)
			break;
		/* FALLTHROUGH */
	case OUTCOME_OVERLOADED:
	case OUTCOME_CANCELLED:
		/* No word on its health: another call may probe. */
		if (b->state == BREAKER_HALF_OPEN) {
			b->state = BREAKER_OPEN;
			b->until_ms = now;
		}
		return;
	default:
		if (b->state != BREAKER_CLOSED)
			log_info("source %s: answers again", s->name);
		b->state = BREAKER_CLOSED;
		b->failures = 0;
		return;
	}
	b->failures++;
	if (b->state == BREAKER_HALF_OPEN ||
	    (b->state == BREAKER_CLOSED && b->failures >= BREAKER_AFTER))
		open_breaker(s, now);
}

void
source_alive(struct source *s)
{
	s->alive_us = now_us();
}

void
source_back(struct source *s)
{
	source_alive(s);
	if (s->breaker.state == BREAKER_OPEN)
		s->breaker.until_ms = 0;
}

int
source_is_up(struct source *s)
{
	const struct breaker *b = &s->breaker;

	/* One that may be tried is: else nobody would be sent to try it. */
	return (b->state == BREAKER_CLOSED || (b->state == BREAKER_OPEN &&
	    now_ms() >= b->until_ms)) && s->ops->up(s);
}

const char *
breaker_name(const struct source *s)
{
	switch (s->breaker.state) {
	case BREAKER_OPEN:
		return "open";
	case BREAKER_HALF_OPEN:
		return "half-open";
	default:
		return "closed";
	}
}
