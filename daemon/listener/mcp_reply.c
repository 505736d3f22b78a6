/* SPDX-License-Identifier: ISC */

/*
 * Answers as JSON.  What does not change from one request to the next is
 * rendered once, at the start; the id goes back as the bytes it came as.
 */

#include <errno.h>
#include <stdio.h>

#include "listener.h"

#define MESSAGE_MAX	256	/* bytes of our own static texts */

#define SERVER_NAME	"pontifexd"
#define MAY_HAVE_RUN	"The call was interrupted: it may have taken effect. " \
	"Do not repeat it before you have looked."
#define META_SERVER	"io.modelcontextprotocol/serverInfo"

int
mcp_server_init(struct mcp_server *s, struct slice version)
{
	struct buffer b;

	buffer_init(&b, 4096);
	(void)buffer_add_cstr(&b, "{\"name\":\"" SERVER_NAME "\",\"version\":");
	(void)json_write_string(&b, version.ptr, version.len);
	(void)buffer_add(&b, "}", 2);
	if (b.bad || (s->info = strdup((const char *)b.data)) == NULL)
		goto fail;
	buffer_clear(&b);
	(void)buffer_add_cstr(&b, ",\"_meta\":{\"" META_SERVER "\":");
	(void)buffer_add_cstr(&b, s->info);
	(void)buffer_add(&b, "}}}", 4);
	if (b.bad || (s->tail = strdup((const char *)b.data)) == NULL)
		goto fail;
	buffer_free(&b);
	return 0;
fail:
	buffer_free(&b);
	errno = ENOMEM;
	return -1;
}

size_t
mcp_wrap(const struct mcp_request *req, const struct mcp_server *server,
    struct slice members, struct slice part[MCP_PARTS])
{
	int modern = req->era == ERA_MODERN;

	part[0] = slice_of("{\"jsonrpc\":\"2.0\",\"id\":");
	part[1] = req->id;
	part[2] = slice_of(modern ?
	    ",\"result\":{\"resultType\":\"complete\"," : ",\"result\":{");
	part[3] = members;
	part[4] = slice_of(modern ? server->tail : "}}");
	return MCP_PARTS;
}

void
mcp_failure_members(struct buffer *b, enum outcome outcome, int may_have_run,
    uint32_t retry_after, const uint8_t request_id[REQUEST_ID_LEN])
{
	struct buffer object;

	buffer_init(&object, 4096);
	error_object(&object, outcome, may_have_run ? MAY_HAVE_RUN : NULL,
	    outcome_retry(outcome) && !may_have_run, retry_after, request_id);
	if (object.bad)
		b->bad = 1;
	(void)buffer_add_cstr(b, "\"content\":[{\"type\":\"text\",\"text\":");
	(void)json_write_string(b, (const char *)object.data, object.len);
	(void)buffer_add_cstr(b, "}],\"structuredContent\":");
	(void)buffer_add(b, object.data, object.len);
	(void)buffer_add_cstr(b, ",\"isError\":true");
	buffer_free(&object);
}

/* The versions that the era of the request has to offer. */
static void
add_versions(struct buffer *b, enum mcp_era era)
{
	size_t i;

	(void)buffer_add_char(b, '[');
	(void)json_write_cstr(b, mcp_modern_version());
	for (i = 0; era == ERA_LEGACY && mcp_legacy_version(i) != NULL; i++) {
		(void)buffer_add_char(b, ',');
		(void)json_write_cstr(b, mcp_legacy_version(i));
	}
	(void)buffer_add_char(b, ']');
}

void
mcp_error_body(struct buffer *b, const struct mcp_request *req,
    const uint8_t request_id[REQUEST_ID_LEN])
{
	char text[MESSAGE_MAX];

	(void)buffer_add_cstr(b, "{\"jsonrpc\":\"2.0\"");
	if (req->id.len > 0) {
		(void)buffer_add_cstr(b, ",\"id\":");
		(void)buffer_add_slice(b, req->id);
	}
	(void)buffer_add_cstr(b, ",\"error\":{\"code\":");
	(void)buffer_add_i64(b, req->code);
	(void)buffer_add_cstr(b, ",\"message\":");
	(void)snprintf(text, sizeof(text), "%s%s%s", req->message,
	    req->detail == NULL ? "" : ": ",
	    req->detail == NULL ? "" : req->detail);
	(void)json_write_cstr(b, text);
	(void)buffer_add_cstr(b, ",\"data\":{");
	if (req->code == RPC_BAD_VERSION) {
		(void)buffer_add_cstr(b, "\"supported\":");
		add_versions(b, req->era);
		(void)buffer_add_cstr(b, ",\"requested\":");
		(void)json_write_cstr(b, req->requested);
		(void)buffer_add_char(b, ',');
	}
	(void)buffer_add_cstr(b, "\"request_id\":\"");
	(void)buffer_add_hex(b, request_id, REQUEST_ID_LEN);
	(void)buffer_add_cstr(b, "\"}}}");
}

static void
open_result(struct buffer *b, const struct mcp_request *req)
{
	(void)buffer_add_cstr(b, "{\"jsonrpc\":\"2.0\",\"id\":");
	(void)buffer_add_slice(b, req->id);
	(void)buffer_add_cstr(b, ",\"result\":{");
}

void
mcp_discover_body(struct buffer *b, const struct mcp_request *req,
    const struct mcp_server *server)
{
	open_result(b, req);
	(void)buffer_add_cstr(b, "\"resultType\":\"complete\","
	    "\"supportedVersions\":");
	add_versions(b, ERA_MODERN);
	(void)buffer_add_cstr(b, ",\"capabilities\":{\"tools\":{}},"
	    "\"ttlMs\":0,\"cacheScope\":\"private\"");
	(void)buffer_add_cstr(b, server->tail);
}

void
mcp_initialize_body(struct buffer *b, const struct mcp_request *req,
    const struct mcp_server *server)
{
	open_result(b, req);
	(void)buffer_add_cstr(b, "\"protocolVersion\":");
	(void)json_write_cstr(b, req->revision);
	(void)buffer_add_cstr(b, ",\"capabilities\":{\"tools\":{}},"
	    "\"serverInfo\":");
	(void)buffer_add_cstr(b, server->info);
	(void)buffer_add_cstr(b, "}}");
}

void
mcp_ping_body(struct buffer *b, const struct mcp_request *req)
{
	open_result(b, req);
	(void)buffer_add_cstr(b, "}}");
}

static int
bit_is_set(struct slice bits, uint32_t n)
{
	return n / 8 < bits.len &&
	    ((unsigned char)bits.ptr[n / 8] >> (n % 8) & 1) != 0;
}

void
mcp_list_body(struct buffer *b, const struct mcp_request *req,
    const struct mcp_server *server, struct slice tools)
{
	uint32_t i;
	int first = 1;

	open_result(b, req);
	if (req->era == ERA_MODERN)
		(void)buffer_add_cstr(b, "\"resultType\":\"complete\",");
	(void)buffer_add_cstr(b, "\"tools\":[");
	for (i = 0; i < server->tools; i++) {
		if (!bit_is_set(tools, i))
			continue;
		if (!first)
			(void)buffer_add_char(b, ',');
		first = 0;
		(void)buffer_add_slice(b, server->tool[i].definition);
	}
	(void)buffer_add_char(b, ']');
	if (req->era == ERA_MODERN)
		(void)buffer_add_cstr(b,
		    ",\"ttlMs\":0,\"cacheScope\":\"private\"");
	(void)buffer_add_cstr(b, req->era == ERA_MODERN ? server->tail :
	    "}}");
}
