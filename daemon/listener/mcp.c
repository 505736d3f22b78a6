/* SPDX-License-Identifier: ISC */

/*
 * What a message asks for, and in which era of the protocol: 2026-07-28
 * (stateless, every request says its version) or one of the revisions that
 * begin with `initialize'.  The body decides; header fields are compared with
 * it and never believed instead of it.  Era and method end up as data: from
 * here on there is one path for all of them.
 *
 * Refusals that tell something about the server are marked `known': only a
 * caller with a good credential may learn them.
 */

#include "../../common/log.h"
#include "listener.h"

#define META_VERSION	"io.modelcontextprotocol/protocolVersion"
#define META_CLIENT	"io.modelcontextprotocol/clientInfo"
#define META_ABLE	"io.modelcontextprotocol/clientCapabilities"

static const char modern_version[] = "2026-07-28";
/* The newest first: it is offered to who asks for one that we do not know. */
static const char *const legacy_versions[] = {
	"2025-11-25", "2025-06-18", "2025-03-26"
};
#define LEGACY_ASSUMED	2	/* of a client that names no revision */

/* A method that an era does not have is MCP_REFUSED in it. */
static const struct method {
	const char	*name;
	enum mcp_kind	 modern;
	enum mcp_kind	 legacy;
} methods[] = {
	{ "server/discover", MCP_DISCOVER, MCP_REFUSED },
	{ "initialize", MCP_REFUSED, MCP_INITIALIZE },
	{ "ping", MCP_REFUSED, MCP_PING },
	{ "tools/list", MCP_LIST, MCP_LIST },
	{ "tools/call", MCP_CALL, MCP_CALL },
};

/* One message while it is read. */
struct reading {
	const struct json		*j;
	const struct mcp_fields		*fields;
	struct rpc			 rpc;
	uint32_t			 meta;		/* node */
	uint32_t			 version;	/* node in meta */
	struct mcp_request		*out;
};

const char *
mcp_modern_version(void)
{
	return modern_version;
}

const char *
mcp_legacy_version(size_t n)
{
	return n < sizeof(legacy_versions) / sizeof(legacy_versions[0]) ?
	    legacy_versions[n] : NULL;
}

static int
refuse(struct reading *r, int known, int status, int code, enum reason reason,
    const char *message)
{
	r->out->kind = MCP_REFUSED;
	r->out->known = known;
	r->out->status = status;
	r->out->code = code;
	r->out->reason = reason;
	r->out->message = message;
	return -1;
}

/* For the record: printable, cut to size; nothing is decided by it. */
static void
keep_text(char *out, size_t size, const struct json *j, uint32_t node)
{
	struct slice sl;

	out[0] = '\0';
	if (!json_is(j, node, JSON_STRING))
		return;
	sl = json_raw(j, node);
	sl.ptr++;
	sl.len -= 2;
	(void)log_safe(out, size, sl);
}

/* The request's own, or the one of its head; nothing but what it must be. */
static void
keep_trace(struct reading *r)
{
	struct slice sl = { "", 0 };
	uint32_t node = json_member(r->j, r->meta, "traceparent");

	if (json_is(r->j, node, JSON_STRING)) {
		sl = json_raw(r->j, node);
		sl.ptr++;
		sl.len -= 2;
	}
	if (!trace_valid(sl))
		sl = r->fields->traceparent;
	if (!trace_valid(sl))
		return;
	memcpy(r->out->traceparent, sl.ptr, sl.len);
	r->out->traceparent[sl.len] = '\0';
}

static void
keep_client(struct reading *r, uint32_t info)
{
	char *out = r->out->client;
	size_t size = sizeof(r->out->client), len;
	uint32_t name = json_member(r->j, info, "name");
	uint32_t version = json_member(r->j, info, "version");

	keep_text(out, size, r->j, name);
	len = strlen(out);
	if (len > 0 && len + 2 < size && json_is(r->j, version, JSON_STRING)) {
		out[len++] = '/';
		keep_text(out + len, size - len, r->j, version);
	}
}

static void
keep_revision(struct mcp_request *out, struct slice sl)
{
	(void)log_safe(out->revision, sizeof(out->revision), sl);
}

/* ---- Mcp-Name ---------------------------------------------------------- */

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/*
 * Decodes RFC 4648, 4 with its padding and no stray bits.  Returns the number
 * of bytes, or -1: malformed, or more than size.
 */
static ssize_t
base64_decode(struct slice text, unsigned char *out, size_t size)
{
	size_t i, n = 0, pad = 0, bits = 0;
	uint32_t hold = 0;
	int v;

	if (text.len % 4 != 0)
		return -1;
	while (pad < 2 && text.len > 0 && text.ptr[text.len - 1] == '=') {
		text.len--;
		pad++;
	}
	for (i = 0; i < text.len; i++) {
		if ((v = base64_value(text.ptr[i])) == -1)
			return -1;
		hold = hold << 6 | (uint32_t)v;
		if ((bits += 6) < 8)
			continue;
		bits -= 8;
		if (n == size)
			return -1;
		out[n++] = (unsigned char)(hold >> bits);
		hold &= (1U << bits) - 1;
	}
	/* What is left of the last group must be zero, and be there at all. */
	if (hold != 0 || bits == 6)
		return -1;
	return (ssize_t)n;
}

int
mcp_name_matches(struct slice value, struct slice name)
{
	static const char prefix[] = "=?base64?", suffix[] = "?=";
	unsigned char decoded[TOOL_NAME_MAX];
	const size_t plen = sizeof(prefix) - 1, slen = sizeof(suffix) - 1;
	ssize_t n;

	if (value.len < plen + slen || memcmp(value.ptr, prefix, plen) != 0 ||
	    memcmp(value.ptr + value.len - slen, suffix, slen) != 0)
		return slice_equal(value, name);
	value.ptr += plen;
	value.len -= plen + slen;
	if (value.len > (TOOL_NAME_MAX + 2) / 3 * 4)
		return 0;
	if ((n = base64_decode(value, decoded, sizeof(decoded))) == -1)
		return -1;
	return (size_t)n == name.len &&
	    (n == 0 || memcmp(decoded, name.ptr, (size_t)n) == 0);
}

/* ---- params of the methods --------------------------------------------- */

static int
read_list(struct reading *r)
{
	if (json_member(r->j, r->rpc.params, "cursor") != JSON_NONE)
		return refuse(r, 1, 200, RPC_INVALID_PARAMS, REASON_BAD_PARAMS,
		    "No such cursor: the list has one page.");
	return 0;
}

static int
read_call(struct reading *r)
{
	uint32_t name = json_member(r->j, r->rpc.params, "name");
	uint32_t arguments = json_member(r->j, r->rpc.params, "arguments");

	if (!json_is(r->j, name, JSON_STRING) || r->out->tool[0] == '\0')
		return refuse(r, 1, 200, RPC_INVALID_PARAMS, REASON_BAD_PARAMS,
		    "The tool's name must be a string of 1 to 128 bytes.");
	if (arguments != JSON_NONE && !json_is(r->j, arguments, JSON_OBJECT))
		return refuse(r, 1, 200, RPC_INVALID_PARAMS, REASON_BAD_PARAMS,
		    "The arguments must be an object.");
	return 0;
}

static int
read_initialize(struct reading *r)
{
	uint32_t version = json_member(r->j, r->rpc.params, "protocolVersion");
	uint32_t able = json_member(r->j, r->rpc.params, "capabilities");
	uint32_t info = json_member(r->j, r->rpc.params, "clientInfo");
	size_t i, chosen = 0;

	if (!json_is(r->j, version, JSON_STRING) ||
	    (able != JSON_NONE && !json_is(r->j, able, JSON_OBJECT)) ||
	    (info != JSON_NONE && !json_is(r->j, info, JSON_OBJECT)))
		return refuse(r, 1, 200, RPC_INVALID_PARAMS, REASON_BAD_PARAMS,
		    "initialize needs protocolVersion, capabilities and "
		    "clientInfo.");
	for (i = 0; mcp_legacy_version(i) != NULL; i++)
		if (json_string_is(r->j, version, legacy_versions[i]))
			chosen = i;
	keep_revision(r->out, slice_of(legacy_versions[chosen]));
	keep_client(r, info);
	return 0;
}

static int
read_params(struct reading *r)
{
	switch (r->out->kind) {
	case MCP_LIST:
		return read_list(r);
	case MCP_CALL:
		return read_call(r);
	case MCP_INITIALIZE:
		return read_initialize(r);
	default:
		return 0;
	}
}

static enum mcp_kind
find_method(const struct reading *r)
{
	size_t i;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (json_string_is(r->j, r->rpc.method, methods[i].name))
			return r->out->era == ERA_MODERN ? methods[i].modern :
			    methods[i].legacy;
	return MCP_REFUSED;
}

/* ---- the eras ---------------------------------------------------------- */

static int
version_is_modern(struct slice version)
{
	size_t len = sizeof(modern_version) - 1;
	int rc;

	if (version.ptr == NULL)
		return 0;
	rc = memcmp(version.ptr, modern_version,
	    version.len < len ? version.len : len);
	return rc > 0 || (rc == 0 && version.len >= len);
}

static int
version_is_legacy(struct slice version)
{
	size_t i;

	for (i = 0; mcp_legacy_version(i) != NULL; i++)
		if (slice_is(version, legacy_versions[i]))
			return 1;
	return 0;
}

static int
read_meta(struct reading *r)
{
	uint32_t able = json_member(r->j, r->meta, META_ABLE);
	uint32_t info = json_member(r->j, r->meta, META_CLIENT);

	if (!json_is(r->j, r->version, JSON_STRING) ||
	    !json_is(r->j, able, JSON_OBJECT) ||
	    (info != JSON_NONE && !json_is(r->j, info, JSON_OBJECT)))
		return refuse(r, 1, 400, RPC_INVALID_PARAMS, REASON_BAD_META,
		    "params._meta must have " META_VERSION " (a string) and "
		    META_ABLE " (an object).");
	return 0;
}

static int
read_modern_version(struct reading *r)
{
	struct slice header = r->fields->version, body;
	char text[VERSION_TEXT_MAX + 1];

	/* A version with escapes is none that exists. */
	if (!json_plain(r->j, r->version, &body)) {
		body = json_raw(r->j, r->version);
		body.ptr++;
		body.len -= 2;
	}
	(void)log_safe(text, sizeof(text), body);
	keep_revision(r->out, body);
	if (header.ptr == NULL || !slice_equal(header, body))
		return refuse(r, 1, 400, RPC_HEADER_MISMATCH,
		    REASON_HEADER_MISMATCH, "The header MCP-Protocol-Version "
		    "must be there and equal the version in params._meta.");
	if (slice_is(body, modern_version))
		return 0;
	(void)strlcpy(r->out->requested, text, sizeof(r->out->requested));
	return refuse(r, 1, 400, RPC_BAD_VERSION, REASON_BAD_VERSION,
	    "This protocol version is not served.");
}

static int
read_modern_names(struct reading *r)
{
	char text[METHOD_MAX + 1];
	struct slice name = slice_of(r->out->tool);
	uint32_t node = json_member(r->j, r->rpc.params, "name");
	int rc;

	/* The value counts, however it is written: some encoders escape `/'. */
	if (r->fields->method.ptr == NULL ||
	    json_copy(r->j, r->rpc.method, text, sizeof(text)) == -1 ||
	    !slice_equal(r->fields->method, slice_of(text)))
		return refuse(r, 1, 400, RPC_HEADER_MISMATCH,
		    REASON_HEADER_MISMATCH, "The header Mcp-Method must be "
		    "there and equal the method of the body.");
	if (strcmp(text, "tools/call") != 0)
		return 0;
	if (r->fields->name.ptr == NULL)
		return refuse(r, 1, 400, RPC_HEADER_MISMATCH,
		    REASON_HEADER_MISMATCH,
		    "The header Mcp-Name must be there.");
	if (!json_is(r->j, node, JSON_STRING) || name.len == 0)
		return 0;	/* the params are wrong: said there */
	rc = mcp_name_matches(r->fields->name, name);
	if (rc != 1)
		return refuse(r, 1, 400, RPC_HEADER_MISMATCH,
		    REASON_HEADER_MISMATCH, rc == -1 ?
		    "The header Mcp-Name is malformed Base64." :
		    "The header Mcp-Name must equal params.name.");
	return 0;
}

static int
read_modern(struct reading *r)
{
	if (read_meta(r) == -1)
		return -1;
	keep_client(r, json_member(r->j, r->meta, META_CLIENT));
	if (read_modern_version(r) == -1 || read_modern_names(r) == -1)
		return -1;
	if ((r->out->kind = find_method(r)) == MCP_REFUSED)
		return refuse(r, 1, 404, RPC_METHOD_NOT_FOUND,
		    REASON_UNKNOWN_METHOD, "There is no such method.");
	return read_params(r);
}

/*
 * The version header of a legacy message: absent, or one that we know.  On
 * initialize it means nothing yet: the body negotiates.
 */
static int
read_legacy_version(struct reading *r)
{
	struct slice version = r->fields->version;

	if (json_string_is(r->j, r->rpc.method, "initialize"))
		return 0;
	if (version.ptr == NULL) {
		keep_revision(r->out,
		    slice_of(legacy_versions[LEGACY_ASSUMED]));
		return 0;
	}
	keep_revision(r->out, version);
	if (version_is_legacy(version))
		return 0;
	(void)log_safe(r->out->requested, sizeof(r->out->requested), version);
	return refuse(r, 1, 400, RPC_BAD_VERSION, REASON_BAD_VERSION,
	    "This protocol version is not served.");
}

static int
read_legacy(struct reading *r)
{
	if (read_legacy_version(r) == -1)
		return -1;
	if ((r->out->kind = find_method(r)) == MCP_REFUSED)
		return refuse(r, 1, 200, RPC_METHOD_NOT_FOUND,
		    REASON_UNKNOWN_METHOD, "There is no such method.");
	return read_params(r);
}

/* Nothing is done with it, whatever it says; but it must be one. */
static int
read_notification(struct reading *r)
{
	static const char prefix[] = "notifications/";
	struct slice method;

	if (!json_plain(r->j, r->rpc.method, &method) ||
	    method.len < sizeof(prefix) ||
	    memcmp(method.ptr, prefix, sizeof(prefix) - 1) != 0)
		return refuse(r, 0, 400, RPC_INVALID_REQUEST,
		    REASON_BAD_ENVELOPE,
		    "A request needs an id; only notifications have none.");
	if (r->out->era == ERA_LEGACY && read_legacy_version(r) == -1)
		return -1;
	r->out->kind = MCP_ACCEPTED;
	return 0;
}

static int
read_response(struct reading *r)
{
	if (r->out->era == ERA_MODERN)
		return refuse(r, 0, 400, RPC_INVALID_REQUEST,
		    REASON_BAD_ENVELOPE,
		    "A response cannot be posted in this revision.");
	if (read_legacy_version(r) == -1)
		return -1;
	/* Its id is the server's, not the caller's: no answer carries it. */
	r->out->id.len = 0;
	r->out->kind = MCP_ACCEPTED;
	return 0;
}

static void
tell_era(struct reading *r)
{
	r->meta = json_member(r->j, r->rpc.params, "_meta");
	r->version = json_member(r->j, r->meta, META_VERSION);
	r->out->era = r->version != JSON_NONE ||
	    version_is_modern(r->fields->version) ? ERA_MODERN : ERA_LEGACY;
}

/* One of ours is recorded by its name, one that is not as it was written. */
static void
keep_method(const struct reading *r)
{
	size_t i;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (json_string_is(r->j, r->rpc.method, methods[i].name)) {
			(void)strlcpy(r->out->method, methods[i].name,
			    sizeof(r->out->method));
			return;
		}
	keep_text(r->out->method, sizeof(r->out->method), r->j, r->rpc.method);
}

static void
begin(struct mcp_request *out)
{
	/* The arrays are strings: their first bytes suffice. */
	out->kind = MCP_REFUSED;
	out->era = ERA_LEGACY;
	out->method[0] = out->tool[0] = out->revision[0] = '\0';
	out->client[0] = out->traceparent[0] = out->requested[0] = '\0';
	out->known = out->status = out->code = 0;
	out->reason = REASON_NONE;
	out->message = out->detail = NULL;
}

void
mcp_read(struct json *j, struct slice body, const struct mcp_fields *fields,
    struct mcp_request *out)
{
	struct reading r = { .j = j, .fields = fields, .out = out };

	begin(out);
	rpc_read(j, body, &r.rpc);
	out->id = r.rpc.id;
	if (r.rpc.kind == RPC_BAD) {
		(void)refuse(&r, 0, 400, r.rpc.code, r.rpc.code ==
		    RPC_PARSE_ERROR ? REASON_BAD_JSON : REASON_BAD_ENVELOPE,
		    r.rpc.error);
		out->detail = r.rpc.detail;
		return;
	}
	tell_era(&r);
	keep_method(&r);
	keep_trace(&r);
	if (json_string_is(j, r.rpc.method, "tools/call") && json_copy(j,
	    json_member(j, r.rpc.params, "name"), out->tool,
	    sizeof(out->tool)) == -1)
		out->tool[0] = '\0';
	if (r.rpc.kind == RPC_RESPONSE)
		(void)read_response(&r);
	else if (r.rpc.kind == RPC_NOTIFICATION)
		(void)read_notification(&r);
	else if (out->era == ERA_MODERN)
		(void)read_modern(&r);
	else
		(void)read_legacy(&r);
}
