/* SPDX-License-Identifier: ISC */

/*
 * A call on its way: the listener asks authd and hands the ticket to a handler,
 * which answers; authd has its issuers' documents fetched meanwhile.  All of
 * these carry bytes of the network, and each receiver takes its sender for one
 * that may be broken into.
 */

#include "message.h"

/* ---- listener <-> authd ------------------------------------------------------ */

void
put_authorize(struct buffer *b, const struct msg_authorize *m)
{
	put_u8(b, m->ask);
	put_u32(b, m->handler_index);
	put_u8(b, m->form);
	put_slice(b, m->credential);
	put_slice(b, m->method);
	put_slice(b, m->tool);
	put_fixed(b, m->digest, sizeof(m->digest));
	put_slice(b, m->peer);
	put_slice(b, m->via);
	put_slice(b, m->revision);
	put_slice(b, m->client);
	put_slice(b, m->traceparent);
	put_u8(b, m->outcome);
	put_u8(b, m->reason);
}

int
get_authorize(const struct frame *f, struct msg_authorize *m)
{
	struct reader r = frame_reader(f);

	m->ask = (uint8_t)get_enum(&r, ASK_MAX);
	m->handler_index = get_u32(&r);
	m->form = (uint8_t)get_enum(&r, FORM_MAX);
	m->credential = get_string(&r, CREDENTIAL_MAX);
	m->method = get_string(&r, METHOD_MAX);
	m->tool = get_string(&r, TOOL_NAME_MAX);
	get_fixed(&r, m->digest, sizeof(m->digest));
	m->peer = get_string(&r, PEER_MAX);
	m->via = get_string(&r, PEER_MAX);
	m->revision = get_string(&r, REVISION_MAX);
	m->client = get_string(&r, CLIENT_MAX);
	m->traceparent = get_string(&r, TRACE_MAX);
	m->outcome = (uint8_t)get_enum(&r, OUTCOME_MAX);
	m->reason = (uint8_t)get_enum(&r, REASON_MAX);
	return wire_done(&r);
}

void
put_decision(struct buffer *b, const struct msg_decision *m)
{
	put_u8(b, m->outcome);
	put_fixed(b, m->request_id, sizeof(m->request_id));
	put_bool(b, m->no_credential);
	put_u32(b, m->retry_after);
	put_limit_hit(b, &m->limit);
	put_slice(b, m->scope);
	put_slice(b, m->ticket);
	put_bool(b, m->writes);
	put_slice(b, m->tools);
}

int
get_decision(const struct frame *f, struct msg_decision *m)
{
	struct reader r = frame_reader(f);

	m->outcome = (uint8_t)get_enum(&r, OUTCOME_MAX);
	get_fixed(&r, m->request_id, sizeof(m->request_id));
	m->no_credential = get_bool(&r);
	m->retry_after = get_u32(&r);
	get_limit_hit(&r, &m->limit);
	m->scope = get_string(&r, SCOPE_MAX);
	m->ticket = get_bytes(&r, TICKET_MAX);
	m->writes = get_bool(&r);
	m->tools = get_bytes(&r, TOOLS_MAX / 8);
	return wire_done(&r);
}

/* ---- authd <-> fetcher ------------------------------------------------------- */

void
put_fetch(struct buffer *b, const struct msg_fetch *m)
{
	put_u32(b, m->issuer);
	put_u8(b, m->what);
	put_slice(b, m->url);
}

int
get_fetch(const struct frame *f, struct msg_fetch *m)
{
	struct reader r = frame_reader(f);

	m->issuer = get_u32(&r);
	m->what = (uint8_t)get_enum(&r, FETCH_WHAT_MAX);
	m->url = get_string(&r, URL_MAX);
	return m->issuer < ISSUERS_MAX ? wire_done(&r) : -1;
}

void
put_fetched(struct buffer *b, const struct msg_fetched *m)
{
	put_u32(b, m->issuer);
	put_u8(b, m->what);
	put_bool(b, m->ok);
	put_u32(b, m->max_age_s);
	put_slice(b, m->bytes);
}

int
get_fetched(const struct frame *f, struct msg_fetched *m)
{
	struct reader r = frame_reader(f);

	m->issuer = get_u32(&r);
	m->what = (uint8_t)get_enum(&r, FETCH_WHAT_MAX);
	m->ok = get_bool(&r);
	m->max_age_s = get_u32(&r);
	m->bytes = get_bytes(&r, FETCH_MAX);
	return m->issuer < ISSUERS_MAX ? wire_done(&r) : -1;
}

/* ---- listener <-> handler ---------------------------------------------------- */

void
put_call(struct buffer *b, const struct msg_call *m)
{
	put_slice(b, m->ticket);
	put_slice(b, m->body);
}

int
get_call(const struct frame *f, struct msg_call *m)
{
	struct reader r = frame_reader(f);

	m->ticket = get_bytes(&r, TICKET_MAX);
	m->body = get_bytes(&r, BODY_MAX);
	return wire_done(&r);
}

void
put_result(struct buffer *b, const struct msg_result *m)
{
	put_u8(b, m->outcome);
	put_fixed(b, m->request_id, sizeof(m->request_id));
	put_u32(b, m->retry_after);
	put_limit_hit(b, &m->limit);
	put_slice(b, m->members);
}

int
get_result(const struct frame *f, struct msg_result *m)
{
	struct reader r = frame_reader(f);

	m->outcome = (uint8_t)get_enum(&r, OUTCOME_MAX);
	get_fixed(&r, m->request_id, sizeof(m->request_id));
	m->retry_after = get_u32(&r);
	get_limit_hit(&r, &m->limit);
	m->members = get_string(&r, FRAME_PAYLOAD_MAX);
	return wire_done(&r);
}
