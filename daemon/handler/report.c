/* SPDX-License-Identifier: ISC */

/*
 * What a handler says of a call, before it writes and when it has ended.
 * Room for that is taken before a call begins, so that one that ran can always
 * be reported.
 */

#include "source.h"

/* Of the fixed fields and names in one report, beside what the call brings. */
#define REPORT_OVERHEAD	2048

static size_t reserved_bytes;

int
report_reserve(struct call *c)
{
	/* An intent and an outcome. */
	size_t bytes = 2 * (REPORT_OVERHEAD + c->ticket.len + c->clear.len +
	    c->hidden_text.len);

	if (outbox_open() >= REPORTS_MAX / 2 || outbox_stuck() ||
	    reserved_bytes + bytes > REPORT_BYTES_MAX)
		return -1;
	c->reserved = bytes;
	reserved_bytes += bytes;
	return 0;
}

void
report_release(struct call *c)
{
	reserved_bytes -= c->reserved;
	c->reserved = 0;
}

static uint32_t
to_u32(uint64_t n)
{
	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
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
	m->tool = c->tool_name;
	m->source = slice_of(c->kept_from != NULL ?
	    source_name(c->kept_from) : c->source != NULL ?
	    source_name(c->source) : "");
	m->params = slice_of("");
	/* What does not fit its parameter is nothing that can be shown. */
	if (c->outcome != OUTCOME_INVALID_INPUT ||
	    c->reason != REASON_BAD_ARGUMENTS) {
		m->params.ptr = c->clear.len == 0 ? "" :
		    (const char *)c->clear.data;
		m->params.len = c->clear.len;
		m->hiddens = c->nhidden;
	}
	for (i = 0; i < m->hiddens; i++) {
		m->hidden[i].name = slice_of(c->hidden[i].name);
		m->hidden[i].value.ptr = (const char *)c->hidden_text.data +
		    c->hidden[i].at;
		m->hidden[i].value.len = c->hidden[i].len;
	}
	m->response_us = to_u32(now - c->started_us);
	m->queue_us = c->sent_us == 0 ? 0 : to_u32(c->sent_us - c->started_us);
	m->tries = c->nasked;
	for (i = 0; i < c->nasked; i++)
		m->tried[i] = slice_of(source_name(c->asked[i]));
	m->source_us = to_u32(c->source_us);
	m->rows = c->rows;
	m->bytes = c->bytes;
	m->truncated = c->truncated;
	m->cache_hit = c->cache_hit;
	m->intended = c->intended;
}

int
report_call(struct call *c, enum message_type type, int wait)
{
	static struct msg_audit_call m;
	struct buffer b;

	fill(&m, c);
	buffer_init(&b, FRAME_PAYLOAD_MAX);
	b.wipe = 1;
	put_audit_call(&b, &m);
	if (outbox_send((uint16_t)type, &b, wait ? c : NULL) == -1)
		return -1;
	if (type == MSG_AUDIT_OUTCOME)
		count_call(c->tool, c->outcome, m.response_us);
	c->awaited = wait;
	return 0;
}

void
report_detach(struct call *c)
{
	if (c->awaited)
		outbox_disown(c);
	c->awaited = 0;
}
