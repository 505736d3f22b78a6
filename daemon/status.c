/* SPDX-License-Identifier: ISC */

/*
 * The status: every child is asked for its lines, and what has come within
 * STATUS_MS is the answer, to all who asked meanwhile.  A child is not
 * trusted: its answer is bounded and each line of it made safe to print.
 */

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "../common/version.h"
#include "parent.h"

#define ASKERS_MAX	40	/* clients of the control socket */

static struct asker {
	void	(*done)(const char *, size_t, void *);	/* NULL: free */
	void	*arg;
} askers[ASKERS_MAX];
static int asking;
static struct buffer status_text;
static struct event *status_timer;

static void
status_finish(void)
{
	const struct child_proc *c;
	struct asker a;
	size_t i;

	if (!asking)
		return;
	TAILQ_FOREACH(c, &parent.children, entry)
		if (!c->answered)
			(void)buffer_printf(&status_text, "%s: %s\n", c->name,
			    c->state == CHILD_READY ? "does not answer" :
			    "is not running");
	asking = 0;
	evtimer_del(status_timer);
	for (i = 0; i < ASKERS_MAX; i++) {
		a = askers[i];
		askers[i].done = NULL;
		if (a.done != NULL)
			a.done((const char *)status_text.data,
			    status_text.len, a.arg);
	}
	buffer_free(&status_text);
}

static void
status_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	status_finish();
}

static void
finish_if_all(void)
{
	const struct child_proc *c;

	TAILQ_FOREACH(c, &parent.children, entry)
		if (!c->answered)
			return;
	status_finish();
}

int
status_answer(struct child_proc *c, const struct frame *f)
{
	char line[256];
	const char *at = (const char *)f->payload, *end = at + f->length, *nl;

	if (!asking || c->answered)
		return 0;
	if (f->length > STATUS_CHILD_MAX)
		return -1;
	c->answered = 1;
	while (at < end) {
		struct slice sl;

		nl = memchr(at, '\n', (size_t)(end - at));
		sl.ptr = at;
		sl.len = nl == NULL ? (size_t)(end - at) : (size_t)(nl - at);
		(void)buffer_printf(&status_text, "%s: %s\n", c->name,
		    log_safe(line, sizeof(line), sl));
		at = nl == NULL ? end : nl + 1;
	}
	finish_if_all();
	return 0;
}

/* One that leaves with a reload owes nothing any more. */
void
status_child_gone(struct child_proc *c)
{
	if (!asking)
		return;
	c->answered = 1;
	finish_if_all();
}

void
status_ask(void (*done)(const char *, size_t, void *), void *arg)
{
	static const struct timeval patience = {
		STATUS_MS / 1000, STATUS_MS % 1000 * 1000
	};
	struct child_proc *c;
	size_t i;

	for (i = 0; i < ASKERS_MAX && askers[i].done != NULL; i++)
		;
	if (i == ASKERS_MAX || (status_timer == NULL && (status_timer =
	    evtimer_new(parent.base, status_timeout, NULL)) == NULL)) {
		done("out of memory\n", 14, arg);
		return;
	}
	askers[i].done = done;
	askers[i].arg = arg;
	if (asking)
		return;
	asking = 1;
	buffer_init(&status_text, STATUS_MAX);
	(void)buffer_printf(&status_text, "pontifexd: version %s, pid %d, "
	    "configuration %s, digest %.16s\n", program_version, (int)getpid(),
	    parent.config->path, parent.config->digest);
	TAILQ_FOREACH(c, &parent.children, entry) {
		(void)buffer_printf(&status_text, "%s: pid %d, up %llu s, "
		    "%u deaths in a row%s\n", c->name, (int)c->pid,
		    (unsigned long long)(now_ms() - c->started_ms) / 1000,
		    c->failures, c->crew == NULL || c->crew->state ==
		    CREW_SERVING ? "" : c->crew->state == CREW_RISING ?
		    ", of a configuration that is being checked" :
		    ", of the configuration before");
		c->answered = c->state != CHILD_READY ||
		    c->control == NULL ? 0 : channel_send(c->control, MSG_STATUS_ASK, 0, NULL, 0) == -1;
	}
	evtimer_add(status_timer, &patience);
}

/* Its place in memory may be another client's next. */
void
status_forget(const void *arg)
{
	size_t i;

	for (i = 0; i < ASKERS_MAX; i++)
		if (askers[i].arg == arg)
			askers[i].done = NULL;
}
