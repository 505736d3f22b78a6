/* SPDX-License-Identifier: ISC */

/*
 * What authd would decide of a token: the question is passed on unread, the
 * answer bounded and made safe to print, for what stands in it came from the
 * token.  One question at a time.
 */

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

static uint64_t explain_number;	/* an answer that is late fits no other */
static void (*explain_done)(const char *, size_t, void *);
static void *explain_arg;
static struct event *explain_timer;

static void
explain_finish(const char *text, size_t len)
{
	void (*done)(const char *, size_t, void *) = explain_done;

	if (done == NULL)
		return;
	explain_done = NULL;
	evtimer_del(explain_timer);
	done(text, len, explain_arg);
}

static void
explain_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	explain_finish(NULL, 0);
}

/* Each line is made safe to print: what stands in it came from a token. */
int
explain_answer(const struct frame *f)
{
	char line[1024];
	const char *at = (const char *)f->payload, *end = at + f->length, *nl;
	struct buffer b;
	struct slice sl;

	if (explain_done == NULL || f->id != explain_number)
		return 0;
	if (f->length > STATUS_MAX)
		return -1;
	buffer_init(&b, STATUS_MAX * 4);
	while (at < end) {
		nl = memchr(at, '\n', (size_t)(end - at));
		sl.ptr = at;
		sl.len = nl == NULL ? (size_t)(end - at) : (size_t)(nl - at);
		(void)buffer_printf(&b, "%s\n",
		    log_safe(line, sizeof(line), sl));
		at = nl == NULL ? end : nl + 1;
	}
	explain_finish((const char *)b.data, b.len);
	buffer_free(&b);
	return 0;
}

void
explain_ask(const void *token, size_t len,
    void (*done)(const char *, size_t, void *), void *arg)
{
	static const struct timeval patience = {
		STATUS_MS / 1000, STATUS_MS % 1000 * 1000
	};
	struct child_proc *authd = supervise_find(ROLE_AUTHD, 0);

	if (explain_timer == NULL)
		explain_timer = evtimer_new(parent.base, explain_timeout,
		    NULL);
	if (explain_done != NULL || explain_timer == NULL || authd == NULL ||
	    authd->state != CHILD_READY || authd->control == NULL ||
	    channel_send(authd->control, MSG_EXPLAIN, ++explain_number, token,
	    len) == -1) {
		done(NULL, 0, arg);
		return;
	}
	explain_done = done;
	explain_arg = arg;
	evtimer_add(explain_timer, &patience);
}

/* Its place in memory may be another client's next. */
void
explain_forget(const void *arg)
{
	if (explain_done != NULL && explain_arg == arg)
		explain_arg = NULL;
}
