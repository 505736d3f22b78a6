/* SPDX-License-Identifier: ISC */
/* link: daemon/listener/jsonrpc.c */

/* The envelope: what is a request, and everything that only looks like one. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../daemon/listener/listener.h"

#define V	"\"jsonrpc\":\"2.0\""

static const struct {
	const char	*body;
	enum rpc_kind	 kind;
	int		 code;
	const char	*id;		/* raw, "" where none is to be echoed */
} rows[] = {
	/* what is taken */
	{ "{" V ",\"id\":1,\"method\":\"ping\"}", RPC_REQUEST, 0, "1" },
	{ "{\"method\":\"a\",\"params\":{},\"id\":\"x\"," V "}", RPC_REQUEST, 0, "\"x\"" },
	{ "{" V ",\"id\":-7,\"method\":\"a\"}", RPC_REQUEST, 0, "-7" },
	{ "{" V ",\"id\":0,\"method\":\"a\"}", RPC_REQUEST, 0, "0" },
	{ "{" V ",\"id\":\"\",\"method\":\"a\"}", RPC_REQUEST, 0, "\"\"" },
	{ "{" V ",\"id\":123456789012345678901234567890,\"method\":\"a\"}", RPC_REQUEST, 0,
	    "123456789012345678901234567890" },
	{ "{" V ",\"id\":\"a\\u00e9\\n\",\"method\":\"a\"}", RPC_REQUEST, 0,
	    "\"a\\u00e9\\n\"" },
	{ " {" V ",\"id\":1,\"method\":\"a\"}\r\n", RPC_REQUEST, 0, "1" },
	{ "{" V ",\"method\":\"notifications/initialized\"}", RPC_NOTIFICATION, 0, "" },
	{ "{" V ",\"id\":1,\"result\":{}}", RPC_RESPONSE, 0, "1" },
	{ "{" V ",\"id\":1,\"result\":null}", RPC_RESPONSE, 0, "1" },
	{ "{" V ",\"id\":1,\"error\":{\"code\":1}}", RPC_RESPONSE, 0, "1" },
	/* not JSON */
	{ "", RPC_BAD, RPC_PARSE_ERROR, "" },
	{ "{" V ",\"id\":1,\"method\":\"a\"", RPC_BAD, RPC_PARSE_ERROR, "" },
	{ "{" V ",\"id\":1,\"method\":\"a\"}x", RPC_BAD, RPC_PARSE_ERROR, "" },
	{ "{" V ",\"id\":1,\"method\":\"a\",\"method\":\"b\"}", RPC_BAD, RPC_PARSE_ERROR, "" },
	{ "{" V ",\"id\":1,\"method\":\"a\",\"m\\u0065thod\":\"b\"}", RPC_BAD,
	    RPC_PARSE_ERROR, "" },
	{ "{" V ",\"id\":1,\"method\":\"a\\u0000\"}", RPC_BAD, RPC_PARSE_ERROR, "" },
	{ "{" V ",\"id\":1,\"method\":\"\xff\"}", RPC_BAD, RPC_PARSE_ERROR, "" },
	{ "\xef\xbb\xbf{" V ",\"id\":1,\"method\":\"a\"}", RPC_BAD, RPC_PARSE_ERROR, "" },
	{ "{" V ",\"id\":1,\"method\":\"a\"}{" V ",\"id\":2,\"method\":\"a\"}", RPC_BAD,
	    RPC_PARSE_ERROR, "" },
	/* JSON, but no request */
	{ "[]", RPC_BAD, RPC_INVALID_REQUEST, "" },
	{ "[{" V ",\"id\":1,\"method\":\"a\"}]", RPC_BAD, RPC_INVALID_REQUEST, "" },
	{ "1", RPC_BAD, RPC_INVALID_REQUEST, "" },
	{ "\"a\"", RPC_BAD, RPC_INVALID_REQUEST, "" },
	{ "null", RPC_BAD, RPC_INVALID_REQUEST, "" },
	{ "{}", RPC_BAD, RPC_INVALID_REQUEST, "" },
	{ "{\"id\":1,\"method\":\"a\"}", RPC_BAD, RPC_INVALID_REQUEST, "1" },
	{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"a\"}", RPC_BAD, RPC_INVALID_REQUEST,
	    "1" },
	{ "{\"jsonrpc\":2.0,\"id\":1,\"method\":\"a\"}", RPC_BAD, RPC_INVALID_REQUEST, "1" },
	{ "{\"JSONRPC\":\"2.0\",\"id\":1,\"method\":\"a\"}", RPC_BAD, RPC_INVALID_REQUEST,
	    "1" },
	{ "{" V ",\"id\":1,\"method\":\"a\",\"Method\":\"b\"}", RPC_BAD,
	    RPC_INVALID_REQUEST, "1" },
	{ "{" V ",\"id\":1,\"Method\":\"b\"}", RPC_BAD, RPC_INVALID_REQUEST, "1" },
	{ "{" V ",\"id\":1,\"method\":\"a\",\"extra\":1}", RPC_BAD, RPC_INVALID_REQUEST, "1" },
	{ "{" V ",\"id\":null,\"method\":\"a\"}", RPC_BAD, RPC_INVALID_REQUEST, "" },
	{ "{" V ",\"id\":1.0,\"method\":\"a\"}", RPC_BAD, RPC_INVALID_REQUEST, "" },
	{ "{" V ",\"id\":1e3,\"method\":\"a\"}", RPC_BAD, RPC_INVALID_REQUEST, "" },
	{ "{" V ",\"id\":true,\"method\":\"a\"}", RPC_BAD, RPC_INVALID_REQUEST, "" },
	{ "{" V ",\"id\":{},\"method\":\"a\"}", RPC_BAD, RPC_INVALID_REQUEST, "" },
	{ "{" V ",\"id\":[1],\"method\":\"a\"}", RPC_BAD, RPC_INVALID_REQUEST, "" },
	{ "{" V ",\"id\":1}", RPC_BAD, RPC_INVALID_REQUEST, "1" },
	{ "{" V ",\"id\":1,\"method\":1}", RPC_BAD, RPC_INVALID_REQUEST, "1" },
	{ "{" V ",\"id\":1,\"method\":null}", RPC_BAD, RPC_INVALID_REQUEST, "1" },
	{ "{" V ",\"id\":1,\"method\":\"a\",\"params\":[]}", RPC_BAD, RPC_INVALID_REQUEST,
	    "1" },
	{ "{" V ",\"id\":1,\"method\":\"a\",\"params\":null}", RPC_BAD, RPC_INVALID_REQUEST,
	    "1" },
	{ "{" V ",\"id\":1,\"method\":\"a\",\"result\":{}}", RPC_BAD, RPC_INVALID_REQUEST,
	    "1" },
	{ "{" V ",\"id\":1,\"method\":\"a\",\"error\":{}}", RPC_BAD, RPC_INVALID_REQUEST, "1" },
	{ "{" V ",\"id\":1,\"result\":{},\"error\":{}}", RPC_BAD, RPC_INVALID_REQUEST, "1" },
	{ "{" V ",\"id\":1,\"error\":\"no\"}", RPC_BAD, RPC_INVALID_REQUEST, "1" },
	{ "{" V ",\"id\":1,\"result\":{},\"params\":{}}", RPC_BAD, RPC_INVALID_REQUEST, "1" },
	{ "{" V ",\"result\":{}}", RPC_BAD, RPC_INVALID_REQUEST, "" },
};

static void
each_envelope_is_what_it_is(void **state)
{
	struct json j;
	struct rpc rpc;
	size_t i;

	(void)state;
	json_init(&j);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rpc_read(&j, slice_of(rows[i].body), &rpc);
		if (rpc.kind != rows[i].kind || rpc.code != rows[i].code)
			fail_msg("%s: wanted %d %d, got %d %d", rows[i].body,
			    rows[i].kind, rows[i].code, rpc.kind, rpc.code);
		if (!slice_is(rpc.id, rows[i].id))
			fail_msg("%s: wanted id %s, got %.*s", rows[i].body,
			    rows[i].id, (int)rpc.id.len, rpc.id.ptr);
		assert_true((rpc.kind == RPC_BAD) == (rpc.error != NULL));
	}
	json_free(&j);
}

static void
id_of_length(size_t len, int quoted, enum rpc_kind want)
{
	struct buffer b;
	struct json j;
	struct rpc rpc;
	size_t i;

	json_init(&j);
	buffer_init(&b, 4096);
	(void)buffer_add_cstr(&b, "{" V ",\"method\":\"a\",\"id\":");
	if (quoted)
		(void)buffer_add_char(&b, '"');
	for (i = 0; i < len - (quoted ? 2 : 0); i++)
		(void)buffer_add_char(&b, '7');
	if (quoted)
		(void)buffer_add_char(&b, '"');
	(void)buffer_add_char(&b, '}');
	rpc_read(&j, (struct slice){ (char *)b.data, b.len }, &rpc);
	assert_int_equal(want, rpc.kind);
	assert_int_equal(want == RPC_BAD ? 0 : len, rpc.id.len);
	buffer_free(&b);
	json_free(&j);
}

static void
an_id_is_short(void **state)
{
	(void)state;
	id_of_length(RPC_ID_MAX, 0, RPC_REQUEST);
	id_of_length(RPC_ID_MAX + 1, 0, RPC_BAD);
	id_of_length(RPC_ID_MAX, 1, RPC_REQUEST);
	id_of_length(RPC_ID_MAX + 1, 1, RPC_BAD);
}

static void
the_parser_says_what_is_wrong(void **state)
{
	struct json j;
	struct rpc rpc;

	(void)state;
	json_init(&j);
	rpc_read(&j, slice_of("{\"a\":1,\"a\":2}"), &rpc);
	assert_int_equal(RPC_PARSE_ERROR, rpc.code);
	assert_string_equal("duplicate name", rpc.detail);
	json_free(&j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_envelope_is_what_it_is),
		cmocka_unit_test(an_id_is_short),
		cmocka_unit_test(the_parser_says_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
