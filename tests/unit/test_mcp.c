/* SPDX-License-Identifier: ISC */
/* link: daemon/listener/mcp.c daemon/listener/trace.c daemon/listener/mcp_reply.c daemon/listener/jsonrpc.c daemon/listener/http_reply.c */

/*
 * The eras told apart, header fields against the body, what each method
 * takes, and the shape of what is answered.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../daemon/listener/listener.h"

#define MODERN	"2026-07-28"
#define KEY	"\"io.modelcontextprotocol/protocolVersion\":"
#define ABLE	"\"io.modelcontextprotocol/clientCapabilities\":{}"
#define INFO	"\"io.modelcontextprotocol/clientInfo\":{\"name\":\"c\",\"version\":\"1\"}"
#define META(v)	"\"_meta\":{" KEY v "," ABLE "}"
#define META_OK	META("\"" MODERN "\"")
#define RPC(method, params) \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\",\"params\":{" params "}}"
#define NOTE(method, params) \
	"{\"jsonrpc\":\"2.0\",\"method\":\"" method "\",\"params\":{" params "}}"
#define CALL(name)	"\"name\":" name ",\"arguments\":{},"

struct row {
	const char	*what;
	const char	*version;	/* header fields, NULL: absent */
	const char	*method;
	const char	*name;
	const char	*body;
	enum mcp_era	 era;
	enum mcp_kind	 kind;
	int		 status;	/* of MCP_REFUSED */
	int		 code;
};

static const struct row rows[] = {
	/* A9, 2: the body's _meta makes it modern, whatever it says */
	{ "discover", MODERN, "server/discover", NULL, RPC("server/discover", META_OK),
	    ERA_MODERN, MCP_DISCOVER, 0, 0 },
	{ "list", MODERN, "tools/list", NULL, RPC("tools/list", META_OK), ERA_MODERN,
	    MCP_LIST, 0, 0 },
	{ "call", MODERN, "tools/call", "t", RPC("tools/call", CALL("\"t\"") META_OK),
	    ERA_MODERN, MCP_CALL, 0, 0 },
	{ "client info", MODERN, "tools/list", NULL, RPC("tools/list", "\"_meta\":{" KEY
	    "\"" MODERN "\"," ABLE "," INFO "}"), ERA_MODERN, MCP_LIST, 0, 0 },
	{ "legacy value in _meta", "2025-11-25", "tools/list", NULL, RPC("tools/list",
	    META("\"2025-11-25\"")), ERA_MODERN, MCP_REFUSED, 400, RPC_BAD_VERSION },
	{ "version to come", "2027-01-01", "tools/list", NULL, RPC("tools/list",
	    META("\"2027-01-01\"")), ERA_MODERN, MCP_REFUSED, 400, RPC_BAD_VERSION },
	{ "modern initialize", MODERN, "initialize", NULL, RPC("initialize", META_OK),
	    ERA_MODERN, MCP_REFUSED, 404, RPC_METHOD_NOT_FOUND },
	{ "modern ping", MODERN, "ping", NULL, RPC("ping", META_OK), ERA_MODERN,
	    MCP_REFUSED, 404, RPC_METHOD_NOT_FOUND },
	{ "modern setLevel", MODERN, "logging/setLevel", NULL, RPC("logging/setLevel",
	    META_OK), ERA_MODERN, MCP_REFUSED, 404, RPC_METHOD_NOT_FOUND },
	{ "modern subscribe", MODERN, "resources/subscribe", NULL,
	    RPC("resources/subscribe", META_OK), ERA_MODERN, MCP_REFUSED, 404,
	    RPC_METHOD_NOT_FOUND },
	{ "unknown", MODERN, "unknown/method", NULL, RPC("unknown/method", META_OK),
	    ERA_MODERN, MCP_REFUSED, 404, RPC_METHOD_NOT_FOUND },
	{ "method by case", MODERN, "Tools/List", NULL, RPC("Tools/List", META_OK),
	    ERA_MODERN, MCP_REFUSED, 404, RPC_METHOD_NOT_FOUND },
	/* _meta itself */
	{ "no capabilities", MODERN, "tools/list", NULL, RPC("tools/list", "\"_meta\":{" KEY
	    "\"" MODERN "\"}"), ERA_MODERN, MCP_REFUSED, 400, RPC_INVALID_PARAMS },
	{ "version is a number", MODERN, "tools/list", NULL, RPC("tools/list", META("1")),
	    ERA_MODERN, MCP_REFUSED, 400, RPC_INVALID_PARAMS },
	{ "version is null", MODERN, "tools/list", NULL, RPC("tools/list", META("null")),
	    ERA_MODERN, MCP_REFUSED, 400, RPC_INVALID_PARAMS },
	{ "capabilities are a list", MODERN, "tools/list", NULL, RPC("tools/list",
	    "\"_meta\":{" KEY "\"" MODERN
	    "\",\"io.modelcontextprotocol/clientCapabilities\":[]}"), ERA_MODERN,
	    MCP_REFUSED, 400, RPC_INVALID_PARAMS },
	{ "client info is text", MODERN, "tools/list", NULL, RPC("tools/list", "\"_meta\":{"
	    KEY "\"" MODERN "\"," ABLE ",\"io.modelcontextprotocol/clientInfo\":\"c\"}"),
	    ERA_MODERN, MCP_REFUSED, 400, RPC_INVALID_PARAMS },
	/* A9, 3: only the header is modern */
	{ "header alone", MODERN, "tools/list", NULL, RPC("tools/list", ""), ERA_MODERN,
	    MCP_REFUSED, 400, RPC_INVALID_PARAMS },
	{ "header alone, no params", MODERN, "tools/list", NULL,
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}", ERA_MODERN,
	    MCP_REFUSED, 400, RPC_INVALID_PARAMS },
	{ "initialize with a modern header", MODERN, NULL, NULL, RPC("initialize",
	    "\"protocolVersion\":\"2025-11-25\""), ERA_MODERN, MCP_REFUSED, 400,
	    RPC_INVALID_PARAMS },
	{ "a token that sorts above", "v999", NULL, NULL, RPC("tools/list", ""), ERA_MODERN,
	    MCP_REFUSED, 400, RPC_INVALID_PARAMS },
	{ "a day later", "2026-07-29", NULL, NULL, RPC("tools/list", ""), ERA_MODERN,
	    MCP_REFUSED, 400, RPC_INVALID_PARAMS },
	{ "with more behind", MODERN "x", NULL, NULL, RPC("tools/list", ""), ERA_MODERN,
	    MCP_REFUSED, 400, RPC_INVALID_PARAMS },
	/* A9, 4: legacy */
	{ "a day earlier", "2026-07-27", NULL, NULL, RPC("tools/list", ""), ERA_LEGACY,
	    MCP_REFUSED, 400, RPC_BAD_VERSION },
	{ "a prefix of modern", "2026-07-2", NULL, NULL, RPC("tools/list", ""), ERA_LEGACY,
	    MCP_REFUSED, 400, RPC_BAD_VERSION },
	{ "empty version", "", NULL, NULL, RPC("tools/list", ""), ERA_LEGACY, MCP_REFUSED,
	    400, RPC_BAD_VERSION },
	{ "too old", "2024-11-05", NULL, NULL, RPC("tools/list", ""), ERA_LEGACY,
	    MCP_REFUSED, 400, RPC_BAD_VERSION },
	{ "2025-11-25", "2025-11-25", NULL, NULL, RPC("tools/list", ""), ERA_LEGACY,
	    MCP_LIST, 0, 0 },
	{ "2025-06-18", "2025-06-18", NULL, NULL, RPC("tools/list", ""), ERA_LEGACY,
	    MCP_LIST, 0, 0 },
	{ "2025-03-26", "2025-03-26", NULL, NULL, RPC("tools/list", ""), ERA_LEGACY,
	    MCP_LIST, 0, 0 },
	{ "no version", NULL, NULL, NULL, RPC("tools/list", ""), ERA_LEGACY, MCP_LIST, 0, 0 },
	{ "no params", NULL, NULL, NULL,
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}", ERA_LEGACY,
	    MCP_LIST, 0, 0 },
	{ "initialize", NULL, NULL, NULL, RPC("initialize",
	    "\"protocolVersion\":\"2025-06-18\",\"capabilities\":{},"
	    "\"clientInfo\":{\"name\":\"c\",\"version\":\"1\"}"),
	    ERA_LEGACY, MCP_INITIALIZE, 0, 0 },
	{ "initialize with mcp-remote's fields", NULL, "initialize", "x", RPC("initialize",
	    "\"protocolVersion\":\"2025-11-25\""), ERA_LEGACY, MCP_INITIALIZE, 0, 0 },
	{ "initialize without a version", NULL, NULL, NULL, RPC("initialize",
	    "\"capabilities\":{}"), ERA_LEGACY, MCP_REFUSED, 200, RPC_INVALID_PARAMS },
	{ "initialize with capabilities as text", NULL, NULL, NULL, RPC("initialize",
	    "\"protocolVersion\":\"2025-11-25\",\"capabilities\":\"\""), ERA_LEGACY,
	    MCP_REFUSED, 200, RPC_INVALID_PARAMS },
	{ "legacy ping", "2025-11-25", NULL, NULL, RPC("ping", ""), ERA_LEGACY, MCP_PING, 0,
	    0 },
	{ "legacy call", "2025-11-25", NULL, NULL, RPC("tools/call", "\"name\":\"t\""),
	    ERA_LEGACY, MCP_CALL, 0, 0 },
	{ "legacy call, other fields", "2025-11-25", "tools/list", "other",
	    RPC("tools/call", "\"name\":\"t\""), ERA_LEGACY, MCP_CALL, 0, 0 },
	{ "legacy discover", NULL, NULL, NULL, RPC("server/discover", ""), ERA_LEGACY,
	    MCP_REFUSED, 200, RPC_METHOD_NOT_FOUND },
	{ "legacy unknown", NULL, NULL, NULL, RPC("logging/setLevel", ""), ERA_LEGACY,
	    MCP_REFUSED, 200, RPC_METHOD_NOT_FOUND },
	{ "a notification's name with an id", NULL, NULL, NULL,
	    RPC("notifications/initialized", ""), ERA_LEGACY, MCP_REFUSED, 200,
	    RPC_METHOD_NOT_FOUND },
	/* version header against the body */
	{ "no version header", NULL, "tools/list", NULL, RPC("tools/list", META_OK),
	    ERA_MODERN, MCP_REFUSED, 400, RPC_HEADER_MISMATCH },
	{ "legacy header, modern body", "2025-11-25", "tools/list", NULL, RPC("tools/list",
	    META_OK), ERA_MODERN, MCP_REFUSED, 400, RPC_HEADER_MISMATCH },
	{ "modern header, legacy body", MODERN, "tools/list", NULL, RPC("tools/list",
	    META("\"2025-11-25\"")), ERA_MODERN, MCP_REFUSED, 400, RPC_HEADER_MISMATCH },
	/* Mcp-Method */
	{ "no Mcp-Method", MODERN, NULL, NULL, RPC("tools/list", META_OK), ERA_MODERN,
	    MCP_REFUSED, 400, RPC_HEADER_MISMATCH },
	{ "another Mcp-Method", MODERN, "tools/call", NULL, RPC("tools/list", META_OK),
	    ERA_MODERN, MCP_REFUSED, 400, RPC_HEADER_MISMATCH },
	{ "Mcp-Method by case", MODERN, "Tools/List", NULL, RPC("tools/list", META_OK),
	    ERA_MODERN, MCP_REFUSED, 400, RPC_HEADER_MISMATCH },
	{ "Mcp-Method with escapes in the body", MODERN, "tools/list", NULL,
	    RPC("tools\\/list", META_OK), ERA_MODERN, MCP_LIST, 0, 0 },
	{ "no Mcp-Method, unknown method", MODERN, NULL, NULL, RPC("unknown", META_OK),
	    ERA_MODERN, MCP_REFUSED, 400, RPC_HEADER_MISMATCH },
	/* Mcp-Name */
	{ "no Mcp-Name", MODERN, "tools/call", NULL, RPC("tools/call", CALL("\"t\"")
	    META_OK), ERA_MODERN, MCP_REFUSED, 400, RPC_HEADER_MISMATCH },
	{ "another Mcp-Name", MODERN, "tools/call", "u", RPC("tools/call", CALL("\"t\"")
	    META_OK), ERA_MODERN, MCP_REFUSED, 400, RPC_HEADER_MISMATCH },
	{ "Mcp-Name by case", MODERN, "tools/call", "T", RPC("tools/call", CALL("\"t\"")
	    META_OK), ERA_MODERN, MCP_REFUSED, 400, RPC_HEADER_MISMATCH },
	{ "Mcp-Name in Base64", MODERN, "tools/call", "=?base64?w6k=?=", RPC("tools/call",
	    CALL("\"\\u00e9\"") META_OK), ERA_MODERN, MCP_CALL, 0, 0 },
	{ "Mcp-Name without padding", MODERN, "tools/call", "=?base64?SGVsbG8?=",
	    RPC("tools/call", CALL("\"Hello\"") META_OK), ERA_MODERN, MCP_REFUSED, 400,
	    RPC_HEADER_MISMATCH },
	{ "Mcp-Name with another alphabet", MODERN, "tools/call", "=?base64?SGVs!!!bG8=?=",
	    RPC("tools/call", CALL("\"Hello\"") META_OK), ERA_MODERN, MCP_REFUSED, 400,
	    RPC_HEADER_MISMATCH },
	{ "Mcp-Name where none belongs", MODERN, "tools/list", "t", RPC("tools/list",
	    META_OK), ERA_MODERN, MCP_LIST, 0, 0 },
	{ "no Mcp-Name, no name", MODERN, "tools/call", NULL, RPC("tools/call", META_OK),
	    ERA_MODERN, MCP_REFUSED, 400, RPC_HEADER_MISMATCH },
	/* params */
	{ "no name", MODERN, "tools/call", "t", RPC("tools/call", META_OK), ERA_MODERN,
	    MCP_REFUSED, 200, RPC_INVALID_PARAMS },
	{ "name is a number", MODERN, "tools/call", "1", RPC("tools/call", CALL("1")
	    META_OK), ERA_MODERN, MCP_REFUSED, 200, RPC_INVALID_PARAMS },
	{ "arguments are a list", MODERN, "tools/call", "t", RPC("tools/call",
	    "\"name\":\"t\",\"arguments\":[]," META_OK), ERA_MODERN, MCP_REFUSED, 200,
	    RPC_INVALID_PARAMS },
	{ "arguments are null", MODERN, "tools/call", "t", RPC("tools/call",
	    "\"name\":\"t\",\"arguments\":null," META_OK), ERA_MODERN, MCP_REFUSED, 200,
	    RPC_INVALID_PARAMS },
	{ "empty name", NULL, NULL, NULL, RPC("tools/call", "\"name\":\"\""), ERA_LEGACY,
	    MCP_REFUSED, 200, RPC_INVALID_PARAMS },
	{ "Name for name", NULL, NULL, NULL, RPC("tools/call", "\"Name\":\"t\""),
	    ERA_LEGACY, MCP_REFUSED, 200, RPC_INVALID_PARAMS },
	{ "cursor", MODERN, "tools/list", NULL, RPC("tools/list", "\"cursor\":\"x\","
	    META_OK), ERA_MODERN, MCP_REFUSED, 200, RPC_INVALID_PARAMS },
	{ "empty cursor", NULL, NULL, NULL, RPC("tools/list", "\"cursor\":\"\""),
	    ERA_LEGACY, MCP_REFUSED, 200, RPC_INVALID_PARAMS },
	/* notifications and responses */
	{ "legacy notification", "2025-11-25", NULL, NULL, NOTE("notifications/initialized",
	    ""), ERA_LEGACY, MCP_ACCEPTED, 0, 0 },
	{ "notification of an unknown revision", "2024-11-05", NULL, NULL,
	    NOTE("notifications/initialized", ""), ERA_LEGACY, MCP_REFUSED, 400,
	    RPC_BAD_VERSION },
	{ "modern notification", MODERN, NULL, NULL, NOTE("notifications/cancelled",
	    META_OK), ERA_MODERN, MCP_ACCEPTED, 0, 0 },
	{ "a call without an id", NULL, NULL, NULL, NOTE("tools/call", "\"name\":\"t\""),
	    ERA_LEGACY, MCP_REFUSED, 400, RPC_INVALID_REQUEST },
	{ "nothing behind notifications/", NULL, NULL, NULL, NOTE("notifications/", ""),
	    ERA_LEGACY, MCP_REFUSED, 400, RPC_INVALID_REQUEST },
	{ "legacy response", "2025-11-25", NULL, NULL,
	    "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}", ERA_LEGACY, MCP_ACCEPTED, 0, 0
	    },
	{ "modern response", MODERN, NULL, NULL,
	    "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}", ERA_MODERN, MCP_REFUSED, 400,
	    RPC_INVALID_REQUEST },
	/* envelope */
	{ "batch", "2025-03-26", NULL, NULL, "[" RPC("ping", "") "]", ERA_LEGACY,
	    MCP_REFUSED, 400, RPC_INVALID_REQUEST },
	{ "batch with a modern element", MODERN, NULL, NULL, "[" RPC("tools/list", META_OK)
	    "]", ERA_LEGACY, MCP_REFUSED, 400, RPC_INVALID_REQUEST },
	{ "not json", MODERN, NULL, NULL, "{", ERA_LEGACY, MCP_REFUSED, 400, RPC_PARSE_ERROR },
};

static void
read_row(struct json *j, const struct row *row, struct mcp_request *req)
{
	struct mcp_fields fields = { slice_of(row->version),
	    slice_of(row->method), slice_of(row->name), { NULL, 0 } };

	memset(req, 0x5a, sizeof(*req));
	mcp_read(j, slice_of(row->body), &fields, req);
}

static void
eras_and_headers_are_told_by_the_body(void **state)
{
	struct mcp_request req;
	struct json j;
	size_t i;

	(void)state;
	json_init(&j);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		read_row(&j, &rows[i], &req);
		if (req.kind != rows[i].kind || req.era != rows[i].era)
			fail_msg("%s: wanted %d in era %d, got %d in %d: %s",
			    rows[i].what, rows[i].kind, rows[i].era, req.kind,
			    req.era, req.message == NULL ? "" : req.message);
		if (req.kind != MCP_REFUSED)
			continue;
		if (req.status != rows[i].status || req.code != rows[i].code)
			fail_msg("%s: wanted %d %d, got %d %d", rows[i].what,
			    rows[i].status, rows[i].code, req.status,
			    req.code);
		assert_non_null(req.message);
		assert_int_not_equal(REASON_NONE, req.reason);
		/* A stranger learns what JSON-RPC is, and no more. */
		if (req.known != (req.code != RPC_PARSE_ERROR &&
		    req.code != RPC_INVALID_REQUEST))
			fail_msg("%s: known is %d", rows[i].what, req.known);
	}
	json_free(&j);
}

static void
a_header_names_the_string_or_its_base64(void **state)
{
	static const struct { const char *value, *name; int want; } names[] = {
		{ "t", "t", 1 }, { "t", "u", 0 }, { "", "", 1 },
		{ "=?base64?SGVsbG8=?=", "Hello", 1 },
		{ "=?base64?SGVsbG8h?=", "Hello!", 1 },
		{ "=?base64?SA==?=", "H", 1 }, { "=?base64?\?=", "", 1 },
		{ "=?base64?SGVsbG8=?=", "hello", 0 },
		{ "=?base64?SGVsbG8=?=", "=?base64?SGVsbG8=?=", 0 },
		{ "=?base64?PT9iYXNlNjQ/P0E/PQ==?=", "=?base64??A?=", 1 },
		/* not a sentinel: itself */
		{ "=?base64?SGVsbG8=", "=?base64?SGVsbG8=", 1 },
		{ "SGVsbG8=?=", "SGVsbG8=?=", 1 },
		{ "=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?=", 1 },
		{ "=?BASE64?SGVsbG8=?=", "Hello", 0 },
		{ "=?base64?=", "=?base64?=", 1 },
		/* malformed */
		{ "=?base64?SGVsbG8?=", "Hello", -1 },
		{ "=?base64?SGVs!!!bG8=?=", "Hello", -1 },
		{ "=?base64?SGVs bG8=?=", "Hello", -1 },
		{ "=?base64?SGVsbG8-?=", "Hello>", -1 },
		{ "=?base64?SGVsbG9=?=", "Hello", -1 },	/* stray bits */
		{ "=?base64?S===?=", "H", -1 }, { "=?base64?====?=", "", -1 },
		{ "=?base64?SG=sbG8=?=", "Hello", -1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (mcp_name_matches(slice_of(names[i].value),
		    slice_of(names[i].name)) != names[i].want)
			fail_msg("%s against %s: wanted %d", names[i].value,
			    names[i].name, names[i].want);
}

static void
initialize_answers_a_revision_that_is_served(void **state)
{
	static const struct { const char *asked, *answered; } versions[] = {
		{ "2025-11-25", "2025-11-25" }, { "2025-06-18", "2025-06-18" },
		{ "2025-03-26", "2025-03-26" }, { "2024-11-05", "2025-11-25" },
		{ MODERN, "2025-11-25" }, { "1.0", "2025-11-25" },
		{ "", "2025-11-25" },
	};
	struct mcp_fields fields = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 },
	    { NULL, 0 } };
	struct mcp_request req;
	struct json j;
	char body[256];
	size_t i;

	(void)state;
	json_init(&j);
	for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		(void)snprintf(body, sizeof(body), RPC("initialize",
		    "\"protocolVersion\":\"%s\""), versions[i].asked);
		mcp_read(&j, slice_of(body), &fields, &req);
		assert_int_equal(MCP_INITIALIZE, req.kind);
		assert_string_equal(versions[i].answered, req.revision);
	}
	json_free(&j);
}

static void
what_is_recorded_is_printable_and_short(void **state)
{
	static const struct row row = { "", MODERN, "tools/call", "t",
	    RPC("tools/call", CALL("\"t\"") "\"_meta\":{" KEY "\"" MODERN "\"," ABLE
	    ",\"io.modelcontextprotocol/clientInfo\":{\"name\":\"a\xc3\xa9\","
	    "\"version\":\"1\\n2\"},\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-"
	    "b7ad6b7169203331-01\"}"),
	    ERA_MODERN, MCP_CALL, 0, 0 };
	struct mcp_fields fields = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 },
	    { NULL, 0 } };
	struct mcp_request req;
	struct buffer b;
	struct json j;
	size_t i;

	(void)state;
	json_init(&j);
	read_row(&j, &row, &req);
	assert_int_equal(MCP_CALL, req.kind);
	assert_string_equal("tools/call", req.method);
	assert_string_equal("t", req.tool);
	assert_string_equal(MODERN, req.revision);
	assert_string_equal("a\?\?/1\\n2", req.client);
	assert_string_equal("00-0af7651916cd43dd8448eb211c80319c-"
	    "b7ad6b7169203331-01", req.traceparent);
	/* Too long for a name: refused, and nothing of it is kept as one. */
	buffer_init(&b, 4096);
	(void)buffer_add_cstr(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,"
	    "\"method\":\"tools/call\",\"params\":{\"name\":\"");
	for (i = 0; i < TOOL_NAME_MAX + 1; i++)
		(void)buffer_add_char(&b, 'n');
	(void)buffer_add_cstr(&b, "\"}}");
	mcp_read(&j, (struct slice){ (char *)b.data, b.len }, &fields, &req);
	assert_int_equal(MCP_REFUSED, req.kind);
	assert_int_equal(RPC_INVALID_PARAMS, req.code);
	assert_string_equal("", req.tool);
	buffer_free(&b);
	json_free(&j);
}

/* ---- answers ----------------------------------------------------------- */

static char tool_a[] = "a", tool_b[] = "b", tool_c[] = "c";
static struct mcp_tool tools[] = {
	{ tool_a, { "{\"name\":\"a\"}", 12 } },
	{ tool_b, { "{\"name\":\"b\"}", 12 } },
	{ tool_c, { "{\"name\":\"c\"}", 12 } },
};
static struct mcp_server server;
static const uint8_t id[REQUEST_ID_LEN] = { 1 };
#define HEX	"01000000000000000000000000000000"
#define SERVER	"{\"name\":\"pontifexd\",\"version\":\"1.2\"}"
#define SERVER_META "\"_meta\":{\"io.modelcontextprotocol/serverInfo\":" SERVER "}"

static int
setup(void **state)
{
	(void)state;
	server.tools = 3;
	server.tool = tools;
	return mcp_server_init(&server, slice_of("1.2"));
}

static int
teardown(void **state)
{
	(void)state;
	free(server.info);
	free(server.tail);
	return 0;
}

/* Compares, and reads what was written with the strict reader. */
static void
expect(struct buffer *b, const char *want)
{
	struct json j;

	json_init(&j);
	assert_int_equal(0, json_parse(&j, (const char *)b->data, b->len));
	json_free(&j);
	(void)buffer_add_char(b, '\0');
	assert_string_equal(want, (const char *)b->data);
	buffer_clear(b);
}

static struct mcp_request
request(enum mcp_era era)
{
	struct mcp_request req;

	memset(&req, 0, sizeof(req));
	req.era = era;
	req.id = slice_of("\"x\\n\"");
	(void)strlcpy(req.revision, "2025-06-18", sizeof(req.revision));
	return req;
}

static void
a_listing_shows_the_tools_of_the_bitmap_in_order(void **state)
{
	struct mcp_request modern = request(ERA_MODERN);
	struct mcp_request legacy = request(ERA_LEGACY);
	struct buffer b;

	(void)state;
	buffer_init(&b, 1 << 16);
	mcp_list_body(&b, &modern, &server, slice_of("\x05"));
	expect(&b, "{\"jsonrpc\":\"2.0\",\"id\":\"x\\n\",\"result\":{"
	    "\"resultType\":\"complete\",\"tools\":[{\"name\":\"a\"},"
	    "{\"name\":\"c\"}],\"ttlMs\":0,\"cacheScope\":\"private\","
	    SERVER_META "}}");
	mcp_list_body(&b, &legacy, &server, slice_of("\xff"));
	expect(&b, "{\"jsonrpc\":\"2.0\",\"id\":\"x\\n\",\"result\":{"
	    "\"tools\":[{\"name\":\"a\"},{\"name\":\"b\"},"
	    "{\"name\":\"c\"}]}}");
	/* A bitmap that is too short shows nothing. */
	mcp_list_body(&b, &legacy, &server, slice_of(""));
	expect(&b, "{\"jsonrpc\":\"2.0\",\"id\":\"x\\n\",\"result\":{"
	    "\"tools\":[]}}");
	buffer_free(&b);
}

static void
results_have_the_shape_of_their_era(void **state)
{
	struct mcp_request req[2] = { request(ERA_LEGACY),
	    request(ERA_MODERN) };
	static const char *const want[2] = {
		"{\"jsonrpc\":\"2.0\",\"id\":\"x\\n\",\"result\":{"
		    "\"content\":[]}}",
		"{\"jsonrpc\":\"2.0\",\"id\":\"x\\n\",\"result\":{"
		    "\"resultType\":\"complete\",\"content\":[]," SERVER_META
		    "}}",
	};
	struct slice part[MCP_PARTS];
	struct buffer b;
	size_t i, k, n;

	(void)state;
	buffer_init(&b, 1 << 16);
	for (i = 0; i < 2; i++) {
		n = mcp_wrap(&req[i], &server, slice_of("\"content\":[]"),
		    part);
		for (k = 0; k < n; k++)
			(void)buffer_add_slice(&b, part[k]);
		expect(&b, want[i]);
	}
	mcp_ping_body(&b, &req[0]);
	expect(&b, "{\"jsonrpc\":\"2.0\",\"id\":\"x\\n\",\"result\":{}}");
	mcp_initialize_body(&b, &req[0], &server);
	expect(&b, "{\"jsonrpc\":\"2.0\",\"id\":\"x\\n\",\"result\":{"
	    "\"protocolVersion\":\"2025-06-18\",\"capabilities\":{"
	    "\"tools\":{}},\"serverInfo\":" SERVER "}}");
	mcp_discover_body(&b, &req[1], &server);
	expect(&b, "{\"jsonrpc\":\"2.0\",\"id\":\"x\\n\",\"result\":{"
	    "\"resultType\":\"complete\",\"supportedVersions\":[\"" MODERN
	    "\"],\"capabilities\":{\"tools\":{}},\"ttlMs\":0,"
	    "\"cacheScope\":\"private\"," SERVER_META "}}");
	buffer_free(&b);
}

static void
an_error_echoes_the_id_where_there_is_one(void **state)
{
	struct mcp_request req = request(ERA_MODERN);
	struct buffer b;

	(void)state;
	buffer_init(&b, 1 << 16);
	req.code = RPC_METHOD_NOT_FOUND;
	req.message = "No.";
	mcp_error_body(&b, &req, id);
	expect(&b, "{\"jsonrpc\":\"2.0\",\"id\":\"x\\n\",\"error\":{"
	    "\"code\":-32601,\"message\":\"No.\",\"data\":{"
	    "\"request_id\":\"" HEX "\"}}}");
	req.id.len = 0;
	req.code = RPC_PARSE_ERROR;
	req.detail = "duplicate name";
	req.message = "No";
	mcp_error_body(&b, &req, id);
	expect(&b, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,"
	    "\"message\":\"No: duplicate name\",\"data\":{\"request_id\":\""
	    HEX "\"}}}");
	buffer_free(&b);
}

static void
a_bad_version_is_told_what_is_served(void **state)
{
	struct mcp_request req = request(ERA_MODERN);
	struct buffer b;

	(void)state;
	buffer_init(&b, 1 << 16);
	req.code = RPC_BAD_VERSION;
	req.message = "No.";
	(void)strlcpy(req.requested, "1\"2", sizeof(req.requested));
	mcp_error_body(&b, &req, id);
	expect(&b, "{\"jsonrpc\":\"2.0\",\"id\":\"x\\n\",\"error\":{"
	    "\"code\":-32022,\"message\":\"No.\",\"data\":{\"supported\":[\""
	    MODERN "\"],\"requested\":\"1\\\"2\",\"request_id\":\"" HEX
	    "\"}}}");
	req.era = ERA_LEGACY;
	mcp_error_body(&b, &req, id);
	expect(&b, "{\"jsonrpc\":\"2.0\",\"id\":\"x\\n\",\"error\":{"
	    "\"code\":-32022,\"message\":\"No.\",\"data\":{\"supported\":[\""
	    MODERN "\",\"2025-11-25\",\"2025-06-18\",\"2025-03-26\"],"
	    "\"requested\":\"1\\\"2\",\"request_id\":\"" HEX "\"}}}");
	buffer_free(&b);
}

static void
a_failed_call_says_the_same_in_text_and_structure(void **state)
{
	struct buffer b, object, whole;
	struct json j;
	uint32_t text;

	(void)state;
	buffer_init(&b, 1 << 16);
	buffer_init(&object, 1 << 16);
	buffer_init(&whole, 1 << 16);
	json_init(&j);
	mcp_failure_members(&b, OUTCOME_SOURCE_UNAVAILABLE, 0, 5, id);
	(void)buffer_add_char(&whole, '{');
	(void)buffer_add(&whole, b.data, b.len);
	(void)buffer_add_char(&whole, '}');
	assert_int_equal(0, json_parse(&j, (char *)whole.data, whole.len));
	assert_true(json_is(&j, json_member(&j, 0, "isError"), JSON_TRUE));
	text = json_member(&j, json_member(&j, 0, "content") + 1, "text");
	assert_int_equal(0, json_string(&j, text, &object));
	assert_true(slice_equal((struct slice){ (char *)object.data,
	    object.len }, json_raw(&j, json_member(&j, 0,
	    "structuredContent"))));
	json_free(&j);
	buffer_free(&whole);
	buffer_free(&object);
	buffer_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eras_and_headers_are_told_by_the_body),
		cmocka_unit_test(a_header_names_the_string_or_its_base64),
		cmocka_unit_test(initialize_answers_a_revision_that_is_served),
		cmocka_unit_test(what_is_recorded_is_printable_and_short),
		cmocka_unit_test(a_listing_shows_the_tools_of_the_bitmap_in_order),
		cmocka_unit_test(results_have_the_shape_of_their_era),
		cmocka_unit_test(an_error_echoes_the_id_where_there_is_one),
		cmocka_unit_test(a_bad_version_is_told_what_is_served),
		cmocka_unit_test(a_failed_call_says_the_same_in_text_and_structure),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
