/* SPDX-License-Identifier: ISC */

/*
 * What authd has told auditd and auditd has not acknowledged.  A report stays
 * here, rendered, until it is durable, and is sent again to a new auditd; who
 * waits for it is answered then and not before.
 */

#include "../common/compat.h"
#include "../common/log.h"
#include "authd.h"

struct report {
	uint64_t	 number;	/* 0: free */
	unsigned char	*payload;
	size_t		 len;
	struct waiter	*waiters;
};

static struct report reports[REPORTS_MAX];
static uint64_t last_number;
static size_t open_reports;
static struct channel *auditd;

int
report_connected(void)
{
	return auditd != NULL && !channel_full(auditd);
}

size_t
report_open(void)
{
	return open_reports;
}

static struct report *
take_place(void)
{
	struct report *r;
	size_t i;

	if (open_reports == REPORTS_MAX)
		return NULL;
	for (i = 0; i < REPORTS_MAX; i++) {
		last_number++;
		r = &reports[last_number % REPORTS_MAX];
		if (r->number == 0)
			return r;
	}
	return NULL;
}

int
report_send(const struct msg_audit_decision *m, struct waiter *waiters)
{
	struct buffer b;
	struct report *r;

	if ((r = take_place()) == NULL)
		return -1;
	buffer_init(&b, FRAME_PAYLOAD_MAX);
	put_audit_decision(&b, m);
	if (b.bad) {
		buffer_free(&b);
		return -1;
	}
	r->number = last_number;
	r->payload = b.data;
	r->len = b.len;
	r->waiters = waiters;
	open_reports++;
	/* Where it cannot be sent now it is sent to the next auditd. */
	if (auditd != NULL)
		(void)channel_send(auditd, MSG_AUDIT_DECISION, r->number,
		    r->payload, r->len);
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
report_peer(struct channel *ch)
{
	static struct report *open[REPORTS_MAX];
	size_t i, n = 0;

	auditd = ch;
	for (i = 0; i < REPORTS_MAX; i++)
		if (reports[i].number != 0)
			open[n++] = &reports[i];
	qsort(open, n, sizeof(open[0]), by_number);
	for (i = 0; i < n; i++)
		(void)channel_send(auditd, MSG_AUDIT_DECISION,
		    open[i]->number, open[i]->payload, open[i]->len);
	if (n > 0)
		log_info("reports sent again to auditd: %zu", n);
}

void
report_gone(void)
{
	auditd = NULL;
}

static void
close_report(struct report *r, int durable)
{
	struct waiter *waiters = r->waiters;

	free(r->payload);
	memset(r, 0, sizeof(*r));
	open_reports--;
	answer_waiters(waiters, durable);
}

int
report_acks(const struct frame *f, int durable)
{
	struct reader in;
	struct report *r;
	uint64_t number;

	if (f->length % sizeof(number) != 0 ||
	    f->length / sizeof(number) > ACKS_MAX)
		return -1;
	reader_init(&in, f->payload, f->length);
	while (in.at < in.end) {
		number = get_u64(&in);
		r = &reports[number % REPORTS_MAX];
		if (number != 0 && r->number == number)
			close_report(r, durable);
	}
	return 0;
}

void
report_forget(const struct channel *listener)
{
	struct waiter *w;
	size_t i;

	for (i = 0; i < REPORTS_MAX; i++)
		for (w = reports[i].waiters; w != NULL; w = w->next)
			if (w->listener == listener)
				w->listener = NULL;
}
