/* SPDX-License-Identifier: ISC */

/*
 * From a decision or a result to the response (DESIGN 4): before a message
 * is dispatched the HTTP body is the error object itself, afterwards it is
 * JSON-RPC.  Every answer to a bad credential is made from the same pieces;
 * only its request id differs.
 */

#include "../../common/crypt.h"
#include "../../common/log.h"
#include "listener.h"

#define BODY_FIRST	4096		/* bytes kept between answers */
#define CHALLENGE_MAX	8192

static struct buffer body;		/* of the answer that is being made */
static struct buffer challenge;

int
answer_init(void)
{
	buffer_init(&body, FRAME_PAYLOAD_MAX);
	buffer_init(&challenge, CHALLENGE_MAX);
	return buffer_reserve(&body, BODY_FIRST) == NULL ||
	    buffer_reserve(&challenge, CHALLENGE_MAX) == NULL ? -1 : 0;
}

/*
 * Whether the connection ends after this answer.  One who leaves answers what
 * came together with it first.
 */
static int
is_last(const struct connection *c)
{
	int more = c->in.len > c->http.at;

	return c->close || c->refusal.close || c->http.close ||
	    listener.shutting_down || (listener.leaving && !more) ||
	    (c->eof && !more);
}

static void
respond(struct connection *c, struct reply *reply, const struct slice *parts,
    size_t n)
{
	reply->close = reply->close || is_last(c);
	reply->head = c->http.head;
	if (c->fd != -1) {
		http_reply(&c->out, reply, parts, n);
		if (c->out.bad) {
			log_warn("answer too large or out of memory: %s",
			    c->caller);
			conn_close(c);
			return;
		}
	}
	if (c->asked_us != 0)
		stat_time(&listener.times, turn_us() - c->asked_us);
	c->asked_us = 0;
	conn_answered(c, reply->close);
}

/* The body as one part. */
static void
respond_body(struct connection *c, struct reply *reply)
{
	struct slice part = { (const char *)body.data, body.len };

	if (body.bad) {
		log_warn("answer too large: %s", c->caller);
		conn_close(c);
		return;
	}
	respond(c, reply, &part, 1);
	if (body.cap > KEEP_SIZE) {
		buffer_free(&body);
		(void)buffer_reserve(&body, BODY_FIRST);
	}
}

static void
respond_error(struct connection *c, struct reply *reply, enum outcome outcome,
    const char *message)
{
	listener.refused++;
	buffer_clear(&body);
	error_object(&body, outcome, message, outcome_retry(outcome),
	    reply->retry_after, c->request_id);
	respond_body(c, reply);
}

static uint32_t
retry_after(enum outcome outcome, uint32_t said)
{
	if (said > 0 || (outcome != OUTCOME_RATE_LIMITED &&
	    outcome != OUTCOME_OVERLOADED))
		return said;
	return RETRY_DEFAULT;
}

void
answer_overloaded(struct connection *c, const char *why)
{
	struct reply reply = { .status = 503, .close = 1,
	    .retry_after = RETRY_DEFAULT };
	char hex[2 * REQUEST_ID_LEN + 1];
	static uint64_t warned_ms;

	/* Authd gave none: ours leads to this line. */
	random_bytes(c->request_id, sizeof(c->request_id));
	hex_encode(hex, c->request_id, sizeof(c->request_id));
	/* An outage is told once a second; its count is in the status. */
	if (turn_ms() - warned_ms >= WARN_MS) {
		warned_ms = turn_ms();
		log_warn("answered overloaded: request %s: %s", hex, why);
	} else {
		log_debug("answered overloaded: request %s: %s", hex, why);
	}
	listener.overloaded_ms = turn_ms();
	listener.unrecorded += c->question == QUESTION_NONE;
	respond_error(c, &reply, OUTCOME_OVERLOADED, NULL);
}

void
answer_health(struct connection *c, int ok)
{
	struct reply reply = { .status = ok ? 200 : 503,
	    .retry_after = ok ? 0 : RETRY_DEFAULT };

	buffer_clear(&body);
	(void)buffer_add_cstr(&body, ok ? "{\"status\":\"ok\"}" :
	    "{\"status\":\"unavailable\"}");
	respond_body(c, &reply);
}

/* The one document for everybody: how to find the issuers. */
void
answer_metadata(struct connection *c)
{
	struct reply reply = { .status = 200, .public = 1 };

	buffer_clear(&body);
	(void)buffer_add_slice(&body, listener.metadata);
	respond_body(c, &reply);
}

/* What the listener found wrong itself, now that it is recorded. */
static void
answer_planned(struct connection *c)
{
	struct reply reply = { .status = c->refusal.status,
	    .allow = c->refusal.allow,
	    .retry_after = retry_after(c->refusal.outcome, 0) };

	if (!c->refusal.rpc) {
		respond_error(c, &reply, c->refusal.outcome,
		    c->refusal.message);
		return;
	}
	listener.refused++;
	buffer_clear(&body);
	mcp_error_body(&body, &c->mcp, c->request_id);
	respond_body(c, &reply);
}

/* A JSON-RPC error of a request that was dispatched. */
static void
answer_rpc_error(struct connection *c, int code, const char *message)
{
	struct reply reply = { .status = 200 };

	listener.refused++;
	c->mcp.code = code;
	c->mcp.message = message;
	c->mcp.detail = NULL;
	buffer_clear(&body);
	mcp_error_body(&body, &c->mcp, c->request_id);
	respond_body(c, &reply);
}

static void
answer_refused(struct connection *c, const struct msg_decision *m)
{
	enum outcome outcome = (enum outcome)m->outcome;
	struct reply reply = { .status = outcome_status(outcome),
	    .retry_after = retry_after(outcome, m->retry_after) };

	if (outcome == OUTCOME_RATE_LIMITED)
		reply.limit = &m->limit;
	buffer_clear(&challenge);
	if (outcome == OUTCOME_AUTH_FAILED)
		challenge_401(&challenge, listener.namespace,
		    listener.metadata_url, m->no_credential, m->scope);
	else if (outcome == OUTCOME_SCOPE_DENIED)
		challenge_403(&challenge, listener.metadata_url, m->scope);
	if (challenge.len > 0 && !challenge.bad)
		reply.challenge = (const char *)challenge.data;
	respond_error(c, &reply, outcome, NULL);
}

static void
answer_allowed(struct connection *c, const struct msg_decision *m)
{
	struct reply reply = { .status = 200 };

	buffer_clear(&body);
	switch (c->mcp.kind) {
	case MCP_ACCEPTED:
		reply.status = 202;
		respond(c, &reply, NULL, 0);
		return;
	case MCP_DISCOVER:
		mcp_discover_body(&body, &c->mcp, &listener.server);
		break;
	case MCP_INITIALIZE:
		mcp_initialize_body(&body, &c->mcp, &listener.server);
		break;
	case MCP_PING:
		mcp_ping_body(&body, &c->mcp);
		break;
	case MCP_LIST:
		mcp_list_body(&body, &c->mcp, &listener.server, m->tools);
		break;
	default:
		answer_rpc_error(c, RPC_INTERNAL_ERROR, "Internal error.");
		return;
	}
	respond_body(c, &reply);
}

static int
is_report(const struct connection *c)
{
	return c->ask == ASK_REPORT || c->ask == ASK_REPORT_KNOWN;
}

void
answer_decision(struct connection *c, const struct msg_decision *m)
{
	switch (m->outcome) {
	case OUTCOME_OVERLOADED:
		answer_refused(c, m);
		return;
	case OUTCOME_AUTH_FAILED:
	case OUTCOME_RATE_LIMITED:
	case OUTCOME_SCOPE_DENIED:
		if (c->ask != ASK_REPORT) {
			answer_refused(c, m);
			return;
		}
		break;
	default:
		break;
	}
	if (is_report(c))
		answer_planned(c);
	else if (m->outcome == OUTCOME_OK)
		answer_allowed(c, m);
	else if (m->outcome == OUTCOME_BAD_REQUEST && c->ask == ASK_CALL)
		answer_rpc_error(c, RPC_INVALID_PARAMS, "Unknown tool.");
	else if (c->ask == ASK_CALL)
		answer_failure(c, OUTCOME_INTERNAL_ERROR, c->writes);
	else
		answer_rpc_error(c, RPC_INTERNAL_ERROR, "Internal error.");
}

/* ---- results ----------------------------------------------------------- */

static void
answer_members(struct connection *c, struct slice members)
{
	struct reply reply = { .status = 200 };
	struct slice part[MCP_PARTS];
	size_t n = mcp_wrap(&c->mcp, &listener.server, members, part);

	respond(c, &reply, part, n);
}

static void
answer_failed(struct connection *c, enum outcome outcome, int may_have_run,
    uint32_t retry)
{
	struct slice members;

	buffer_clear(&body);
	mcp_failure_members(&body, outcome, may_have_run, retry,
	    c->request_id);
	members.ptr = (const char *)body.data;
	members.len = body.len;
	answer_members(c, members);
}

void
answer_failure(struct connection *c, enum outcome outcome, int may_have_run)
{
	answer_failed(c, outcome, may_have_run, 0);
}

void
answer_result(struct connection *c, const struct msg_result *m)
{
	enum outcome outcome = (enum outcome)m->outcome;
	struct msg_decision as_decision;

	if (outcome == OUTCOME_RATE_LIMITED ||
	    (outcome == OUTCOME_OVERLOADED && m->members.len == 0)) {
		memset(&as_decision, 0, sizeof(as_decision));
		as_decision.outcome = m->outcome;
		as_decision.retry_after = m->retry_after;
		as_decision.limit = m->limit;
		answer_refused(c, &as_decision);
		return;
	}
	if (m->members.len > 0) {
		answer_members(c, m->members);
		return;
	}
	/* No words of its own; and some outcomes are not a handler's to say. */
	switch (outcome) {
	case OUTCOME_INVALID_INPUT:
	case OUTCOME_SOURCE_UNAVAILABLE:
	case OUTCOME_TIMEOUT:
		answer_failed(c, outcome, 0, m->retry_after);
		break;
	default:
		answer_failed(c, OUTCOME_INTERNAL_ERROR, c->writes, 0);
		break;
	}
}
