/* SPDX-License-Identifier: ISC */

/*
 * What auditd is told of decisions, events and calls.  It composes the records
 * itself (auditd/compose.c) and believes of a sender what that one may say.
 */

#include "message.h"

void
put_audit_decision(struct buffer *b, const struct msg_audit_decision *m)
{
	put_fixed(b, m->request_id, sizeof(m->request_id));
	put_u64(b, m->time_us);
	put_u8(b, m->outcome);
	put_u8(b, m->reason);
	put_u32(b, m->calls);
	put_identity(b, &m->identity);
	put_slice(b, m->method);
	put_slice(b, m->tool);
	put_slice(b, m->peer);
	put_slice(b, m->via);
	put_slice(b, m->revision);
	put_slice(b, m->client);
	put_slice(b, m->traceparent);
	put_bool(b, m->writes);
	put_u32(b, m->handler_instance);
	put_u32(b, m->listener_instance);
	put_u64(b, m->question);
}

int
get_audit_decision(const struct frame *f, struct msg_audit_decision *m)
{
	struct reader r = frame_reader(f);

	get_fixed(&r, m->request_id, sizeof(m->request_id));
	m->time_us = get_u64(&r);
	m->outcome = (uint8_t)get_enum(&r, OUTCOME_MAX);
	m->reason = (uint8_t)get_enum(&r, REASON_MAX);
	m->calls = get_u32(&r);
	get_identity(&r, &m->identity);
	m->method = get_string(&r, METHOD_MAX);
	m->tool = get_string(&r, TOOL_NAME_MAX);
	m->peer = get_string(&r, PEER_MAX);
	m->via = get_string(&r, PEER_MAX);
	m->revision = get_string(&r, REVISION_MAX);
	m->client = get_string(&r, CLIENT_MAX);
	m->traceparent = get_string(&r, TRACE_MAX);
	m->writes = get_bool(&r);
	m->handler_instance = get_u32(&r);
	m->listener_instance = get_u32(&r);
	m->question = get_u64(&r);
	return wire_done(&r);
}

void
put_audit_event(struct buffer *b, const struct msg_audit_event *m)
{
	put_fixed(b, m->id, sizeof(m->id));
	put_slice(b, m->name);
	put_slice(b, m->detail);
}

int
get_audit_event(const struct frame *f, struct msg_audit_event *m)
{
	struct reader r = frame_reader(f);

	get_fixed(&r, m->id, sizeof(m->id));
	m->name = get_string(&r, EVENT_NAME_MAX);
	m->detail = get_string(&r, EVENT_DETAIL_MAX);
	return wire_done(&r);
}

void
put_audit_call(struct buffer *b, const struct msg_audit_call *m)
{
	uint32_t i;

	put_fixed(b, m->request_id, sizeof(m->request_id));
	put_u64(b, m->time_us);
	put_u8(b, m->outcome);
	put_u8(b, m->reason);
	put_identity(b, &m->identity);
	put_slice(b, m->tool);
	put_slice(b, m->source);
	put_list(b, m->tried, m->tries);
	put_slice(b, m->params);
	put_u32(b, m->hiddens);
	for (i = 0; i < m->hiddens; i++) {
		put_slice(b, m->hidden[i].name);
		put_slice(b, m->hidden[i].value);
	}
	put_u32(b, m->response_us);
	put_u32(b, m->queue_us);
	put_u32(b, m->source_us);
	put_u64(b, m->rows);
	put_u64(b, m->bytes);
	put_bool(b, m->truncated);
	put_bool(b, m->cache_hit);
	put_bool(b, m->intended);
}

int
get_audit_call(const struct frame *f, struct msg_audit_call *m)
{
	struct reader r = frame_reader(f);
	uint32_t i;

	get_fixed(&r, m->request_id, sizeof(m->request_id));
	m->time_us = get_u64(&r);
	m->outcome = (uint8_t)get_enum(&r, OUTCOME_MAX);
	m->reason = (uint8_t)get_enum(&r, REASON_MAX);
	get_identity(&r, &m->identity);
	m->tool = get_string(&r, TOOL_NAME_MAX);
	m->source = get_string(&r, NAME_LEN_MAX);
	m->tries = get_list(&r, m->tried, TRIED_MAX, NAME_LEN_MAX);
	m->params = get_string(&r, PARAMS_JSON_MAX);
	m->hiddens = get_count(&r, PARAMS_MAX);
	for (i = 0; i < m->hiddens; i++) {
		m->hidden[i].name = get_string(&r, NAME_LEN_MAX);
		m->hidden[i].value = get_string(&r, BODY_MAX);
	}
	m->response_us = get_u32(&r);
	m->queue_us = get_u32(&r);
	m->source_us = get_u32(&r);
	m->rows = get_u64(&r);
	m->bytes = get_u64(&r);
	m->truncated = get_bool(&r);
	m->cache_hit = get_bool(&r);
	m->intended = get_bool(&r);
	return wire_done(&r);
}
