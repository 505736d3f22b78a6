/* SPDX-License-Identifier: ISC */

/*
 * pontifexd -nn: the configuration is checked at its sources.  One handler is
 * started, the same executable in the same sandbox as in service, which
 * connects, has every statement described and says what it found.  Nothing
 * listens, nothing is recorded, no tool is run.
 */

#include <signal.h>
#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

/* A source's connect timeout is 30 s at most, and then there is a verdict. */
#define PROBE_SECONDS	40

static int result = 1;

static void
on_risen(struct crew *crew, const struct child_proc *failed)
{
	if (failed != NULL) {
		log_warn("%s did not start, or died", failed->name);
	} else {
		if (crew->described.len > 0)
			(void)fwrite(crew->described.data, 1,
			    crew->described.len, stdout);
		(void)fflush(stdout);
		if (crew->found.len > 0)
			(void)fwrite(crew->found.data, 1, crew->found.len,
			    stderr);
		result = crew->refused;
	}
	parent.stop = 1;
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	log_warn("the sources have not answered within %d s", PROBE_SECONDS);
	parent.stop = 1;
}

int
probe_run(void)
{
	static const struct timeval patience = { PROBE_SECONDS, 0 };
	struct child_proc *handler;
	struct crew *crew;

	parent.foreground = 1;
	(void)signal(SIGPIPE, SIG_IGN);
	if (!sandbox_suffices(parent.config) || users_resolve() == -1 ||
	    (parent.base = event_base_new()) == NULL ||
	    generations_open() == -1)
		return 1;
	folders_warn();
	children_watch();
	if ((crew = crew_new(parent.config)) == NULL ||
	    (handler = child_new(crew, ROLE_HANDLER, 0)) == NULL)
		fatal("out of memory");
	crew->check = CHECK_DESCRIBE;
	crew->risen = on_risen;
	child_spawn(handler);
	if (event_base_once(parent.base, -1, EV_TIMEOUT, on_late, NULL,
	    &patience) == -1)
		fatal("cannot set a timer");
	loop_run(parent.base, &parent.stop, NULL, NULL);
	child_kill(handler);
	if (result == 0)
		printf("configuration ok\n");
	return result;
}
