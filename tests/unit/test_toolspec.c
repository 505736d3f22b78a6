/* SPDX-License-Identifier: ISC */
/* link: daemon/parse.y daemon/input.c daemon/config.c daemon/declare.c daemon/issuer.c daemon/check.c daemon/check_param.c daemon/check_cache.c daemon/audit.c daemon/sqlscan.c daemon/toolspec.c */

/*
 * What tools/list says of a tool: byte for byte for one that uses all there
 * is, and read back as JSON for the rest.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/json.h"
#include "../../daemon/config.h"

#define HOUSE	"namespace \"shop\"\nlisten on 127.0.0.1 port 8080\n" \
		"auth { keys \"keys\" }\naudit { journal \"audit\" }\n" \
		"source shop sqlite \"shop.db\"\n"

/* Rows, or the error object of a call that failed. */
#define OUTPUT	"\"outputSchema\":{\"type\":\"object\",\"properties\":{" \
		"\"rows\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}," \
		"\"row_count\":{\"type\":\"integer\"}," \
		"\"truncated\":{\"type\":\"boolean\"}," \
		"\"error_code\":{\"type\":\"string\"}," \
		"\"message\":{\"type\":\"string\"}," \
		"\"retry\":{\"type\":\"boolean\"}," \
		"\"retry_after_seconds\":{\"type\":\"integer\"}," \
		"\"request_id\":{\"type\":\"string\"}}," \
		"\"anyOf\":[{\"required\":[\"rows\",\"row_count\",\"truncated\"]}," \
		"{\"required\":[\"error_code\",\"message\",\"retry\"]}]}"

static struct config *
load(const char *text)
{
	char path[] = "/tmp/test_toolspec.XXXXXX";
	struct config *c;
	int fd = mkstemp(path);

	assert_true(fd != -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	c = config_load(path);
	(void)unlink(path);
	assert_non_null(c);
	return c;
}

static void
a_definition_says_all_that_is_configured(void **state)
{
	struct config *c = load(HOUSE "tool all {\n"
	    "title \"All of \\\"it\\\"\"\ndescription \"One\ntwo\"\n"
	    "scope \"shop:a:read\"\nsource shop\n"
	    "param z integer required { description \"The z\" minimum -5 maximum 09 }\n"
	    "param n number default 2.50\n"
	    "param s string { maximum length 20 pattern \"a|b\" }\n"
	    "param b boolean default true\n"
	    "param d date\nparam t timestamp\nparam u uuid required\n"
	    "param e enum { \"x\", \"y\\\"\" } default \"x\"\n"
	    "sql \"SELECT :z, :n, :s, :b, :d, :t, :u, :e\"\n}\n");

	(void)state;
	assert_string_equal(TAILQ_FIRST(&c->tools)->definition,
	    "{\"name\":\"all\",\"title\":\"All of \\\"it\\\"\","
	    "\"description\":\"One\\ntwo\","
	    "\"inputSchema\":{\"$schema\":"
	    "\"https://json-schema.org/draft/2020-12/schema\","
	    "\"type\":\"object\",\"properties\":{"
	    "\"z\":{\"type\":\"integer\",\"description\":\"The z\","
	    "\"minimum\":-5,\"maximum\":9},"
	    "\"n\":{\"type\":\"number\",\"default\":2.50},"
	    "\"s\":{\"type\":\"string\",\"maxLength\":20,"
	    "\"pattern\":\"^(?:a|b)$\"},"
	    "\"b\":{\"type\":\"boolean\",\"default\":true},"
	    "\"d\":{\"type\":\"string\",\"format\":\"date\"},"
	    "\"t\":{\"type\":\"string\",\"format\":\"date-time\"},"
	    "\"u\":{\"type\":\"string\",\"format\":\"uuid\"},"
	    "\"e\":{\"type\":\"string\",\"enum\":[\"x\",\"y\\\"\"],"
	    "\"default\":\"x\"}},"
	    "\"required\":[\"z\",\"u\"],\"additionalProperties\":false},"
	    OUTPUT ",\"annotations\":{\"title\":\"All of \\\"it\\\"\","
	    "\"readOnlyHint\":true,\"destructiveHint\":false,"
	    "\"idempotentHint\":true,\"openWorldHint\":false}}");
	config_free(c);
}

static void
a_tool_that_writes_says_so(void **state)
{
	struct config *c = load(HOUSE "tool w {\ndescription \"d\"\n"
	    "scope \"shop:a:write\"\nsource shop\nwrites\n"
	    "sql \"DELETE FROM a\"\n}\n");

	(void)state;
	assert_string_equal(TAILQ_FIRST(&c->tools)->definition,
	    "{\"name\":\"w\",\"description\":\"d\","
	    "\"inputSchema\":{\"$schema\":"
	    "\"https://json-schema.org/draft/2020-12/schema\","
	    "\"type\":\"object\",\"properties\":{},"
	    "\"additionalProperties\":false}," OUTPUT
	    ",\"annotations\":{\"readOnlyHint\":false,"
	    "\"destructiveHint\":true,\"idempotentHint\":false,"
	    "\"openWorldHint\":false}}");
	config_free(c);
}

/* What is not for the caller's eyes is not in it. */
static void
a_definition_tells_no_scope_source_or_sql(void **state)
{
	struct config *c = load(HOUSE "source hidden1 sqlite \"hidden2\"\n"
	    "tool t {\ndescription \"d\"\nscope \"hidden3:a:read\"\n"
	    "source hidden1\nparam p string { redact }\n"
	    "sql \"SELECT hidden4, :p, :caller.claim.hidden5\"\n}\n");
	struct json j;
	const char *text = TAILQ_FIRST(&c->tools)->definition;

	(void)state;
	assert_null(strstr(text, "hidden"));
	assert_null(strstr(text, "redact"));
	assert_null(strstr(text, "caller"));
	json_init(&j);
	assert_int_equal(json_parse(&j, text, strlen(text)), 0);
	assert_true(json_is(&j, 0, JSON_OBJECT));
	assert_int_not_equal(json_member(&j, 0, "inputSchema"), JSON_NONE);
	json_free(&j);
	config_free(c);
}

static void
odd_text_becomes_good_json(void **state)
{
	struct config *c = load(HOUSE "tool t {\ndescription \"\ttab \001 "
	    "\\\\ \\\" / é \360\237\231\202 \177\"\nscope \"shop:a:read\"\n"
	    "source shop\nsql \"SELECT 1\"\n}\n");
	const struct tool_conf *t = TAILQ_FIRST(&c->tools);
	struct buffer b;
	struct json j;

	(void)state;
	json_init(&j);
	buffer_init(&b, 4096);
	assert_int_equal(json_parse(&j, t->definition, strlen(t->definition)),
	    0);
	assert_int_equal(json_string(&j, json_member(&j, 0, "description"),
	    &b), 0);
	assert_int_equal(buffer_add_char(&b, '\0'), 0);
	assert_string_equal((const char *)b.data, t->description);
	buffer_free(&b);
	json_free(&j);
	config_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_definition_says_all_that_is_configured),
		cmocka_unit_test(a_tool_that_writes_says_so),
		cmocka_unit_test(a_definition_tells_no_scope_source_or_sql),
		cmocka_unit_test(odd_text_becomes_good_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
