/* SPDX-License-Identifier: ISC */

/* Unacknowledged reports; see outbox.h.  The table is bounded by REPORTS_MAX. */

#include "compat.h"
#include "log.h"
#include "message.h"
#include "outbox.h"

struct report {
	uint64_t	 number;	/* 0: free */
	uint16_t	 type;
	struct buffer	 payload;
	void		*owner;
};

static struct report reports[REPORTS_MAX];
static uint64_t last_number;
static size_t open_reports;
static struct channel *auditd;
static int events_refused;	/* nobody waits, and they must be recorded */

int
outbox_connected(void)
{
	return auditd != NULL && !channel_full(auditd);
}

int
outbox_stuck(void)
{
	return auditd != NULL && channel_full(auditd);
}

size_t
outbox_open(void)
{
	return open_reports;
}

/* A slow report keeps its place; numbers pass over it. */
static struct report *
take_place(void)
{
	struct report *r;
	size_t i;

	if (open_reports == REPORTS_MAX)
		return NULL;
	for (i = 0; i < REPORTS_MAX; i++) {
		r = &reports[++last_number % REPORTS_MAX];
		if (r->number == 0)
			return r;
	}
	return NULL;
}

static void
transmit(const struct report *r)
{
	/* Where it cannot be sent now it is sent to the next auditd. */
	(void)channel_send(auditd, r->type, r->number, r->payload.data,
	    r->payload.len);
}

int
outbox_send(uint16_t type, struct buffer *payload, void *owner)
{
	struct report *r;

	if (payload->bad || (r = take_place()) == NULL) {
		buffer_freezero(payload);
		return -1;
	}
	r->number = last_number;
	r->type = type;
	r->payload = *payload;
	r->owner = owner;
	open_reports++;
	if (auditd != NULL)
		transmit(r);
	return 0;
}

static int
by_number(const void *a, const void *b)
{
	const struct report *const *ra = a, *const *rb = b;

	return ((*ra)->number > (*rb)->number) -
	    ((*ra)->number < (*rb)->number);
}

void
outbox_peer(struct channel *ch)
{
	static struct report *open[REPORTS_MAX];
	size_t i, n = 0;

	auditd = ch;
	for (i = 0; i < REPORTS_MAX; i++)
		if (reports[i].number != 0)
			open[n++] = &reports[i];
	/* Pointers are sorted: NOLINTNEXTLINE(bugprone-sizeof-expression) */
	qsort(open, n, sizeof(open[0]), by_number);
	for (i = 0; i < n; i++)
		transmit(open[i]);
	if (n > 0)
		log_info("reports sent again to auditd: %zu", n);
}

void
outbox_gone(void)
{
	auditd = NULL;
}

int
outbox_acks(const struct frame *f, void (*done)(void *, int))
{
	struct reader in;
	struct report *r;
	uint64_t number;
	void *owner;
	size_t i;

	if ((f->type != MSG_AUDIT_ACK && f->type != MSG_AUDIT_NACK) ||
	    f->length % sizeof(number) != 0 ||
	    f->length / sizeof(number) > ACKS_MAX)
		return -1;
	reader_init(&in, f->payload, f->length);
	while (in.at < in.end) {
		number = get_u64(&in);
		r = &reports[number % REPORTS_MAX];
		if (number == 0 || r->number != number)
			continue;
		if (f->type == MSG_AUDIT_NACK && r->type == MSG_AUDIT_EVENT) {
			events_refused = 1;
			continue;
		}
		owner = r->owner;
		buffer_freezero(&r->payload);
		memset(r, 0, sizeof(*r));
		open_reports--;
		if (owner != NULL)
			done(owner, f->type == MSG_AUDIT_ACK);
	}
	/* It can record again. */
	if (f->type == MSG_AUDIT_ACK && events_refused && auditd != NULL) {
		events_refused = 0;
		for (i = 0; i < REPORTS_MAX; i++)
			if (reports[i].number != 0 &&
			    reports[i].type == MSG_AUDIT_EVENT)
				transmit(&reports[i]);
	}
	return 0;
}

void
outbox_disown(const void *owner)
{
	size_t i;

	for (i = 0; i < REPORTS_MAX; i++)
		if (reports[i].owner == owner)
			reports[i].owner = NULL;
}

void
outbox_each(void (*visit)(void *, void *), void *arg)
{
	size_t i;

	for (i = 0; i < REPORTS_MAX; i++)
		if (reports[i].number != 0 && reports[i].owner != NULL)
			visit(reports[i].owner, arg);
}
