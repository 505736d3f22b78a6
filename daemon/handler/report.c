/* SPDX-License-Identifier: ISC */

/* What a handler says of a call, before it writes and when it has ended. */

#include "handler.h"

int
report_room(void)
{
	/* Each call may need two more. */
	return outbox_open() < REPORTS_MAX / 2 && !outbox_stuck();
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
	struct buffer b;

	fill(&m, c);
	if (c->asked_us != 0)
		m.source = slice_of(source_name(c->tool->source));
	buffer_init(&b, FRAME_PAYLOAD_MAX);
	put_audit_call(&b, &m);
	return outbox_send((uint16_t)type, &b, c);
}
