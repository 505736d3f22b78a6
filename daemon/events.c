/* SPDX-License-Identifier: ISC */

/*
 * What the parent did or saw, told to auditd: a child that died, a reload.
 * Each is kept until auditd has it durable, over its own death too; they are
 * few, and bounded.
 */

#include <stdarg.h>
#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "../common/log.h"
#include "../common/wire.h"
#include "parent.h"

#define EVENTS_MAX	64
#define EVENTS_KEPT	32	/* places that nobody can fill from outside */
#define AGAIN_MS	5000	/* until what auditd refused is sent again */

struct told {
	uint64_t	number;		/* 0: free */
	uint8_t		id[REQUEST_ID_LEN];
	char		name[32];
	char		detail[512];
};

static struct told events[EVENTS_MAX];
static uint64_t last_number;
static struct event *again;	/* timer: some were refused */

int
events_have_room(void)
{
	const struct told *e;

	/* Places are taken in turn: the oldest that waits bars the rest. */
	for (e = events; e < events + EVENTS_MAX; e++)
		if (e->number != 0 &&
		    last_number - e->number >= EVENTS_MAX - EVENTS_KEPT)
			return 0;
	return 1;
}

static void
transmit(const struct told *e)
{
	struct child_proc *auditd = supervise_find(ROLE_AUDITD, 0);
	struct msg_audit_event m;
	struct buffer *b;

	if (auditd == NULL || auditd->state != CHILD_READY ||
	    auditd->control == NULL || (b = channel_begin(auditd->control,
	    MSG_AUDIT_EVENT, e->number)) == NULL)
		return;
	memcpy(m.id, e->id, sizeof(m.id));
	m.name = slice_of(e->name);
	m.detail = slice_of(e->detail);
	put_audit_event(b, &m);
	(void)channel_commit(auditd->control);
}

void
event_tell(const char *name, const char *fmt, ...)
{
	struct told *e = &events[(last_number + 1) % EVENTS_MAX];
	va_list ap;
	int n;

	if (e->number != 0) {
		log_warn("event not recorded: %s: too many wait for auditd",
		    name);
		return;
	}
	va_start(ap, fmt);
	n = vsnprintf(e->detail, sizeof(e->detail), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(e->detail))
		return;
	e->number = ++last_number;
	(void)strlcpy(e->name, name, sizeof(e->name));
	random_bytes(e->id, sizeof(e->id));
	transmit(e);
}

/* It keeps its id: auditd may have it from whoever saw it. */
void
event_adopt(const struct msg_audit_event *m)
{
	static const char *const names[] = { "crash", "reload", "upgrade",
	    "log_level", "control_refused" };
	struct told *e = &events[(last_number + 1) % EVENTS_MAX];
	size_t i;

	/* Of another version it may know more than our auditd does. */
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_is(m->name, names[i]))
			break;
	if (i == sizeof(names) / sizeof(names[0]) || e->number != 0 ||
	    m->name.len >= sizeof(e->name) ||
	    m->detail.len >= sizeof(e->detail)) {
		log_warn("event not recorded: of the daemon before");
		return;
	}
	memcpy(e->name, m->name.ptr, m->name.len);
	e->name[m->name.len] = '\0';
	memcpy(e->detail, m->detail.ptr, m->detail.len);
	e->detail[m->detail.len] = '\0';
	memcpy(e->id, m->id, sizeof(e->id));
	e->number = ++last_number;
	transmit(e);
}

struct slice
event_reason(const struct buffer *text)
{
	struct slice s = { text->data == NULL ? "" : (const char *)text->data,
	    0 };

	while (s.len < text->len && s.len < ATTEMPT_WHY_MAX && s.ptr[s.len] != '\n')
		s.len++;
	return s;
}

void
event_refused(const char *name, const char *by, struct slice why)
{
	struct buffer b;

	buffer_init(&b, 8 * ATTEMPT_WHY_MAX);
	(void)json_write_string(&b, why.ptr, why.len);
	(void)buffer_add_char(&b, '\0');
	event_tell(name, "{%s,\"from\":\"%.16s\",\"refused\":%s}", by,
	    parent.config->digest, b.bad || b.len > 400 ?
	    "\"see the log\"" : (const char *)b.data);
	buffer_free(&b);
}

void
events_resend(void)
{
	uint64_t n;

	for (n = last_number >= EVENTS_MAX ? last_number - EVENTS_MAX + 1 : 1;
	    n <= last_number; n++)
		if (events[n % EVENTS_MAX].number == n)
			transmit(&events[n % EVENTS_MAX]);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	events_resend();
}

/* The journal may be good again before anything else happens. */
static void
send_again_later(void)
{
	static const struct timeval tv = {
		AGAIN_MS / 1000, AGAIN_MS % 1000 * 1000
	};

	if (again == NULL)
		again = evtimer_new(parent.base, on_again, NULL);
	if (again != NULL && !evtimer_pending(again, NULL))
		(void)evtimer_add(again, &tv);
}

int
events_acked(const struct frame *f)
{
	struct reader r;
	uint64_t number;
	struct told *e;

	reader_init(&r, f->payload, f->length);
	while (r.at < r.end && !r.bad) {
		number = get_u64(&r);
		e = &events[number % EVENTS_MAX];
		if (r.bad || number == 0 || e->number != number)
			continue;
		if (f->type == MSG_AUDIT_ACK)
			e->number = 0;
		else
			send_again_later();
	}
	if (f->type == MSG_AUDIT_ACK && again != NULL &&
	    evtimer_pending(again, NULL)) {
		(void)evtimer_del(again);
		events_resend();
	}
	return r.bad ? -1 : 0;
}
