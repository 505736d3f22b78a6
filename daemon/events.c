/* SPDX-License-Identifier: ISC */

/*
 * What the parent did or saw, told to auditd: a child that died, a reload.
 * Each is kept until auditd has it durable, over its own death too; they are
 * few, and bounded.
 */

#include <stdarg.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/log.h"
#include "../common/wire.h"
#include "parent.h"

#define EVENTS_MAX	64

struct told {
	uint64_t	number;		/* 0: free */
	uint8_t		id[REQUEST_ID_LEN];
	const char	*name;		/* static */
	char		detail[512];
};

static struct told events[EVENTS_MAX];
static uint64_t last_number;
static int refused;		/* some are to be sent again */

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
	e->name = name;
	random_bytes(e->id, sizeof(e->id));
	transmit(e);
}

void
events_resend(void)
{
	uint64_t n;

	refused = 0;
	for (n = last_number >= EVENTS_MAX ? last_number - EVENTS_MAX + 1 : 1;
	    n <= last_number; n++)
		if (events[n % EVENTS_MAX].number == n)
			transmit(&events[n % EVENTS_MAX]);
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
			refused = 1;
	}
	if (f->type == MSG_AUDIT_ACK && refused)
		events_resend();
	return r.bad ? -1 : 0;
}
