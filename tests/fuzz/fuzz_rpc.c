/* SPDX-License-Identifier: ISC */
/* link: daemon/listener/jsonrpc.c daemon/listener/mcp.c daemon/listener/mcp_reply.c daemon/listener/http_reply.c daemon/listener/trace.c */

/*
 * Any bytes as a body, under any values of the fields that MCP has: the first
 * line of the input is the version's, the second the method's, the third the
 * name's, if they are not empty.  What is answered must be JSON, and what
 * would be asked of authd must be what the body says.
 */

#include "../../common/compat.h"
#include "../../daemon/listener/listener.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct slice
take_line(struct slice *rest)
{
	struct slice line = { rest->ptr, rest->len };
	const char *end = memchr(rest->ptr, '\n', rest->len);

	if (end == NULL) {
		line.len = 0;
	} else {
		line.len = (size_t)(end - rest->ptr);
		rest->ptr += line.len + 1;
		rest->len -= line.len + 1;
	}
	if (line.len == 0)
		line.ptr = NULL;
	return line;
}

static void
must_be_json(struct buffer *b)
{
	struct json json;

	json_init(&json);
	if (b->bad || json_parse(&json, (const char *)b->data, b->len) == -1)
		abort();
	json_free(&json);
	buffer_clear(b);
}

/* The tool of the question is the one in the body, by another way to it. */
static void
must_be_the_tool(const struct json *json, const struct mcp_request *m)
{
	uint32_t params = json_member(json, 0, "params");
	uint32_t name = json_member(json, params, "name");

	if (name == JSON_NONE || !json_string_is(json, name, m->tool) ||
	    !json_string_is(json, json_member(json, 0, "method"), m->method))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t id[REQUEST_ID_LEN];
	struct slice rest = { (const char *)data, len };
	struct mcp_fields fields = { 0 };
	static struct mcp_server server;
	struct slice tools = { "\377", 1 };
	static struct mcp_request m;
	static struct json json;
	struct buffer out;

	if (server.info == NULL) {
		json_init(&json);
		if (mcp_server_init(&server, slice_of("0")) == -1)
			abort();
	}
	if (len == 0)
		return 0;
	fields.version = take_line(&rest);
	fields.method = take_line(&rest);
	fields.name = take_line(&rest);
	mcp_read(&json, rest, &fields, &m);
	buffer_init(&out, 1 << 20);
	switch (m.kind) {
	case MCP_REFUSED:
		if (m.status < 200 || m.message == NULL)
			abort();
		mcp_error_body(&out, &m, id);
		must_be_json(&out);
		break;
	case MCP_DISCOVER:
		mcp_discover_body(&out, &m, &server);
		must_be_json(&out);
		break;
	case MCP_INITIALIZE:
		mcp_initialize_body(&out, &m, &server);
		must_be_json(&out);
		break;
	case MCP_PING:
		mcp_ping_body(&out, &m);
		must_be_json(&out);
		break;
	case MCP_LIST:
		mcp_list_body(&out, &m, &server, tools);
		must_be_json(&out);
		break;
	case MCP_CALL:
		must_be_the_tool(&json, &m);
		break;
	case MCP_ACCEPTED:
		break;
	}
	buffer_free(&out);
	return 0;
}
