/* SPDX-License-Identifier: ISC */

/*
 * What this handler has told auditd and auditd has not acknowledged.  A
 * report is kept, rendered, until it is durable, and sent again to a new
 * auditd, whether its call still waits for it or not.
 */

#include "../../common/log.h"
#include "handler.h"

struct report {
	uint64_t	 number;	/* 0: free */
	uint16_t	 type;
	unsigned char	*payload;
	size_t		 len;
	struct call	*call;		/* NULL: answered already */
};

static struct report reports[REPORTS_MAX];
static uint64_t last_number;
static size_t open_reports;
static struct channel *auditd;

int
report_room(void)
{
	/* Each call may need two more. */
	return open_reports < REPORTS_MAX / 2 &&
	    (auditd == NULL || !channel_full(auditd));
}

size_t
report_open(void)
{
	return open_reports;
}

static void
fill(struct msg_audit_call *m, const struct call *c)
{
	uint64_t now = now_us();
	uint32_t i;

	memset(m, 0, offsetof(struct msg_audit_call, hidden));
	memcpy(m->request_id, c->request_id, sizeof(m->request_id));
	m->time_us = wall_us();
	m->outcome = (uint8_t)c->outcome;
	m->reason = (uint8_t)c->reason;
	m->identity = c->identity;
	m->tool = slice_of(c->tool->name);
	m->source = slice_of("");
	m->params.ptr = (const char *)c->clear.data;
	m->params.len = c->outcome == OUTCOME_INVALID_INPUT ? 0 :
	    c->clear.len;
	m->hiddens = c->outcome == OUTCOME_INVALID_INPUT ? 0 : c->nhidden;
	for (i = 0; i < m->hiddens; i++) {
		m->hidden[i].name = slice_of(c->hidden[i].name);
		m->hidden[i].value.ptr = (const char *)c->hidden_text.data +
		    c->hidden[i].at;
		m->hidden[i].value.len = c->hidden[i].len;
	}
	m->response_us = now - c->started_us > UINT32_MAX ? UINT32_MAX :
	    (uint32_t)(now - c->started_us);
	m->source_us = c->source_us > UINT32_MAX ? UINT32_MAX :
	    (uint32_t)c->source_us;
	m->rows = c->rows;
	m->bytes = c->bytes;
	m->truncated = c->truncated;
	m->cache_hit = 0;
	m->intended = c->intended;
}

int
report_call(struct call *c, enum message_type type)
{
	static struct msg_audit_call m;
	struct report *r = NULL;
	struct buffer b;
	size_t i;

	if (open_reports == REPORTS_MAX)
		return -1;
	for (i = 0; i < REPORTS_MAX; i++) {
		r = &reports[++last_number % REPORTS_MAX];
		if (r->number == 0)
			break;
	}
	fill(&m, c);
	if (c->asked_us != 0)
		m.source = slice_of(c->tool->source == NULL ? "" :
		    source_name(c->tool->source));
	buffer_init(&b, FRAME_PAYLOAD_MAX);
	put_audit_call(&b, &m);
	if (b.bad) {
		buffer_free(&b);
		return -1;
	}
	r->number = last_number;
	r->type = (uint16_t)type;
	r->payload = b.data;
	r->len = b.len;
	r->call = c;
	open_reports++;
	if (auditd != NULL)
		(void)channel_send(auditd, r->type, r->number, r->payload,
		    r->len);
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
		(void)channel_send(auditd, open[i]->type, open[i]->number,
		    open[i]->payload, open[i]->len);
	if (n > 0)
		log_info("reports sent again to auditd: %zu", n);
}

void
report_gone(void)
{
	auditd = NULL;
}

int
report_acks(const struct frame *f, int durable)
{
	struct reader in;
	struct report *r;
	struct call *c;
	uint64_t number;

	if (f->length % sizeof(number) != 0 ||
	    f->length / sizeof(number) > ACKS_MAX)
		return -1;
	reader_init(&in, f->payload, f->length);
	while (in.at < in.end) {
		number = get_u64(&in);
		r = &reports[number % REPORTS_MAX];
		if (number == 0 || r->number != number)
			continue;
		c = r->call;
		explicit_bzero(r->payload, r->len);
		free(r->payload);
		memset(r, 0, sizeof(*r));
		open_reports--;
		if (c != NULL)
			call_recorded(c, durable);
	}
	return 0;
}

void
report_forget(const struct call *c)
{
	size_t i;

	for (i = 0; i < REPORTS_MAX; i++)
		if (reports[i].call == c)
			reports[i].call = NULL;
}
