/* SPDX-License-Identifier: ISC */

/*
 * Whether a call that is reported now would be recorded.  When that changes
 * the handlers are told, and through them the listeners, so that nobody is
 * sent here to be refused.  Then no call comes either that could show that it
 * is mended: while the journal fails, a record of our own is tried.
 */

#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/proc.h"
#include "auditd.h"

#define TRY_MS	1000	/* between two tries */

static const struct able_conf *conf;
static struct event *try_timer;
static int able = 1;		/* as the handlers were told */
static uint64_t failed_ms;	/* since when the journal fails; 0: it does not */

static void
on_try(evutil_socket_t fd, short what, void *arg)
{
	char detail[64];

	(void)fd;
	(void)what;
	(void)arg;
	/* A call may have been first. */
	if (failed_ms == 0)
		return;
	(void)snprintf(detail, sizeof(detail), "{\"seconds\":%llu}",
	    (unsigned long long)(now_ms() - failed_ms) / 1000);
	conf->try(detail);
}

int
able_init(const struct able_conf *c)
{
	conf = c;
	try_timer = evtimer_new(conf->base, on_try, NULL);
	return try_timer == NULL ? -1 : 0;
}

int
able_now(void)
{
	return able;
}

void
able_look(int records, int failed)
{
	static const struct timeval pause = {
		TRY_MS / 1000, TRY_MS % 1000 * 1000
	};

	if (!failed)
		failed_ms = 0;
	else if (failed_ms == 0)
		failed_ms = now_ms();
	if (failed && !event_pending(try_timer, EV_TIMEOUT, NULL))
		(void)event_add(try_timer, &pause);
	if (records == able)
		return;
	able = records;
	conf->tell();
}
