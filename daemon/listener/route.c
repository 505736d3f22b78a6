/* SPDX-License-Identifier: ISC */

/*
 * From a framed request to a question.  Host and Origin are checked before
 * anything else, on every route; then route and method, media type, size,
 * JSON, envelope.  What is refused here is reported to authd first, and
 * answered when its record is durable (DESIGN 10).
 */

#include "../../common/crypt.h"
#include "../../common/log.h"
#include "listener.h"

static struct json json;	/* of one body at a time; keeps its table */

static void
count(struct connection *c)
{
	listener.requests++;
	c->close = 0;
	c->answered = 0;
	c->cancelled = 0;
	c->handler = HANDLERS_MAX;
	c->credential.ptr = "";
	c->credential.len = 0;
	c->form = FORM_NONE;
	memset(c->digest, 0, sizeof(c->digest));
	memset(&c->refusal, 0, sizeof(c->refusal));
}

static void
no_message(struct mcp_request *mcp)
{
	mcp->kind = MCP_REFUSED;
	mcp->id.ptr = "";
	mcp->id.len = 0;
	mcp->method[0] = mcp->tool[0] = mcp->revision[0] = '\0';
	mcp->client[0] = mcp->traceparent[0] = '\0';
}

/* Plans the answer and asks for its record. */
static void
report(struct connection *c, const struct refusal *refusal)
{
	log_debug("request refused: %s: %s: %d", c->caller,
	    reason_name(refusal->reason), refusal->status);
	count(c);
	no_message(&c->mcp);
	c->ask = ASK_REPORT;
	c->refusal = *refusal;
	question_open(c);
}

static int
refuse(struct connection *c, int status, enum reason reason,
    const char *message, const char *allow)
{
	struct refusal refusal = { status, OUTCOME_BAD_REQUEST, reason,
	    message, allow, 0, http_has_body(&c->http) };

	report(c, &refusal);
	return 1;
}

void
route_refuse(struct connection *c, int status, enum reason reason,
    const char *message, int closing)
{
	struct refusal refusal = { status, OUTCOME_BAD_REQUEST, reason,
	    message, NULL, 0, closing };

	report(c, &refusal);
}

void
route_overloaded(struct connection *c)
{
	struct refusal refusal = { 503, OUTCOME_OVERLOADED, REASON_QUEUE_FULL,
	    NULL, NULL, 0, 1 };

	report(c, &refusal);
}

/* A gateway sends requests of many over one connection: each is looked at. */
static void
find_caller(struct connection *c)
{
	struct slice line[HTTP_FIELDS_MAX];
	uint32_t i;

	for (i = 0; i < c->http.forwards; i++)
		line[i] = http_span(&c->in, c->http.forwarded[i]);
	if (forwarded_caller(&listener.forwarders, c->peer, line,
	    c->http.forwards, c->forwarded))
		c->caller = c->forwarded;
}

static int
check_names(struct connection *c, struct slice host)
{
	struct slice origin = http_field(&c->http, &c->in, FIELD_ORIGIN);

	switch (check_host(&listener.allowed, host)) {
	case VERDICT_MALFORMED:
		return refuse(c, 400, REASON_BAD_HOST,
		    "The Host header is malformed.", NULL);
	case VERDICT_REFUSED:
		return refuse(c, 421, REASON_BAD_HOST,
		    "This server does not answer for that host.", NULL);
	default:
		break;
	}
	if (origin.ptr != NULL &&
	    check_origin(&listener.allowed, origin) != VERDICT_OK)
		return refuse(c, 403, REASON_BAD_ORIGIN,
		    "Requests from that origin are not allowed.", NULL);
	return 0;
}

/*
 * At the root, and with the path of the resource behind it (RFC 9728 3.1):
 * that of the public url, and our own where a gateway changes it.
 */
static int
is_metadata(struct slice path)
{
	static const char known[] = "/.well-known/oauth-protected-resource";
	const size_t len = sizeof(known) - 1;

	if (listener.metadata.len == 0 || path.len < len ||
	    memcmp(path.ptr, known, len) != 0)
		return 0;
	path.ptr += len;
	path.len -= len;
	return path.len == 0 || slice_is(path, listener.path) ||
	    slice_is(path, listener.public_path);
}

static enum route
find_route(struct slice path)
{
	if (slice_is(path, listener.path))
		return ROUTE_MCP;
	if (slice_is(path, "/health/live"))
		return ROUTE_LIVE;
	if (slice_is(path, "/health/ready"))
		return ROUTE_READY;
	if (is_metadata(path))
		return ROUTE_METADATA;
	return ROUTE_NONE;
}

static int
check_entity(struct connection *c)
{
	struct slice type = http_field(&c->http, &c->in, FIELD_CONTENT_TYPE);
	struct slice coding = http_field(&c->http, &c->in,
	    FIELD_CONTENT_ENCODING);

	if (type.ptr == NULL || check_media_type(type) == -1)
		return refuse(c, 415, REASON_BAD_MEDIA_TYPE,
		    "Send the request as application/json in UTF-8.", NULL);
	if (coding.ptr != NULL && !slice_is_nocase(coding, "identity"))
		return refuse(c, 415, REASON_BAD_MEDIA_TYPE,
		    "Send the request without a content coding.", NULL);
	if (c->http.length > BODY_MAX)
		return refuse(c, 413, REASON_TOO_LARGE,
		    "The body is too large.", NULL);
	return 0;
}

int
route_head(struct connection *c)
{
	struct slice host = http_field(&c->http, &c->in, FIELD_HOST);
	struct slice target = http_span(&c->in, c->http.target), path;
	struct slice method = http_span(&c->in, c->http.method);
	int post;

	if (listener.forwarders.n > 0)
		find_caller(c);
	if (check_names(c, host))
		return 1;
	if (check_target(target, host, &path) == -1)
		return refuse(c, 400, REASON_BAD_FRAMING,
		    "The request target is malformed.", NULL);
	if ((c->route = find_route(path)) == ROUTE_NONE)
		return refuse(c, 404, REASON_NOT_FOUND,
		    "There is nothing at this path.", NULL);
	post = c->route == ROUTE_MCP;
	if (!slice_is(method, post ? "POST" : "GET") &&
	    (post || !c->http.head))
		return refuse(c, 405, REASON_BAD_METHOD,
		    post ? "Only POST is served here." :
		    "Only GET and HEAD are served here.",
		    post ? "POST" : "GET, HEAD");
	if (post && check_entity(c))
		return 1;
	if (!post && c->http.length > BODY_MAX)
		return refuse(c, 413, REASON_TOO_LARGE,
		    "The body is too large.", NULL);
	/* Said only where the client waits for it: no byte of a body yet. */
	if (c->http.expects && http_has_body(&c->http) &&
	    c->in.len == c->http.head_end) {
		(void)buffer_add_cstr(&c->out,
		    "HTTP/1.1 100 Continue\r\n\r\n");
		http_flush_soon(c);
	}
	return 0;
}

/* The question that a well-formed message leads to. */
static enum ask
ask_of(enum mcp_kind kind)
{
	switch (kind) {
	case MCP_LIST:
		return ASK_LIST;
	case MCP_CALL:
		return ASK_CALL;
	default:
		return ASK_PLAIN;
	}
}

static void
plan_refusal(struct connection *c)
{
	c->ask = c->mcp.known ? ASK_REPORT_KNOWN : ASK_REPORT;
	c->refusal.status = c->mcp.status;
	c->refusal.outcome = OUTCOME_BAD_REQUEST;
	c->refusal.reason = c->mcp.reason;
	c->refusal.rpc = 1;
}

static void
route_mcp(struct connection *c)
{
	struct slice body = { (const char *)c->in.data + c->http.head_end,
	    c->http.body_len };
	struct mcp_fields fields = {
		http_field(&c->http, &c->in, FIELD_MCP_VERSION),
		http_field(&c->http, &c->in, FIELD_MCP_METHOD),
		http_field(&c->http, &c->in, FIELD_MCP_NAME),
		c->http.traces == 1 ? http_span(&c->in, c->http.trace) :
		    slice_of("")
	};

	count(c);
	mcp_read(&json, body, &fields, &c->mcp);
	if (c->mcp.kind == MCP_REFUSED)
		plan_refusal(c);
	else
		c->ask = ask_of(c->mcp.kind);
	if (c->ask != ASK_REPORT)
		c->form = check_authorization(http_field(&c->http, &c->in,
		    FIELD_AUTHORIZATION), &c->credential);
	if (c->ask == ASK_CALL)
		sha256(body.ptr, body.len, c->digest);
	question_open(c);
}

void
route_request(struct connection *c)
{
	switch (c->route) {
	case ROUTE_MCP:
		route_mcp(c);
		break;
	case ROUTE_LIVE:
		count(c);
		answer_health(c, 1);
		break;
	case ROUTE_METADATA:
		count(c);
		answer_metadata(c);
		break;
	default:
		count(c);
		answer_health(c, questions_ready());
		break;
	}
}
