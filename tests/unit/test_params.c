/* SPDX-License-Identifier: ISC */
/* link: daemon/handler/params.c */

/* daemon/handler/params.c: what an argument must be, and what the record sees. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/compat.h"
#include "../../daemon/handler/handler.h"

static struct tool tool;
static struct call call;
static struct json args;

static void
begin(void)
{
	buffer_clear(&call.arena);
	buffer_clear(&call.clear);
	buffer_clear(&call.hidden_text);
	call.nhidden = 0;
	call.message[0] = '\0';
	call.tool = &tool;
}

static void
declare(struct param *p, const struct msg_conf_param *m)
{
	static struct bind bind;

	assert_int_equal(param_prepare(p, m), 0);
	memset(&tool, 0, sizeof(tool));
	tool.params = p;
	tool.nparams = 1;
	bind.of_caller = 0;
	bind.param = 0;
	bind.name = p->name;
	tool.binds = &bind;
	tool.nbinds = 1;
}

/* 0 where the arguments are taken, -1 where they are refused. */
static int
try(const char *json)
{
	begin();
	assert_int_equal(json_parse(&args, json, strlen(json)), 0);
	return params_bind(&call, &args, 0);
}

static void
each_type_takes_its_values_and_no_other(void **state)
{
	static const struct {
		enum param_type	 type;
		const char	*value;
		int		 taken;
	} rows[] = {
		{ PARAM_INTEGER, "1", 1 }, { PARAM_INTEGER, "-0", 1 },
		{ PARAM_INTEGER, "9223372036854775807", 1 },
		{ PARAM_INTEGER, "-9223372036854775808", 1 },
		{ PARAM_INTEGER, "9223372036854775808", 0 },
		{ PARAM_INTEGER, "1.0", 0 }, { PARAM_INTEGER, "1e3", 0 },
		{ PARAM_INTEGER, "\"1\"", 0 }, { PARAM_INTEGER, "true", 0 },
		{ PARAM_INTEGER, "[1]", 0 },
		{ PARAM_NUMBER, "1", 1 }, { PARAM_NUMBER, "-1.5e3", 1 },
		{ PARAM_NUMBER, "1e999", 0 }, { PARAM_NUMBER, "\"1\"", 0 },
		{ PARAM_STRING, "\"\"", 1 }, { PARAM_STRING, "\"a\\u00e9\"", 1 },
		{ PARAM_STRING, "1", 0 }, { PARAM_STRING, "{}", 0 },
		{ PARAM_BOOLEAN, "true", 1 }, { PARAM_BOOLEAN, "false", 1 },
		{ PARAM_BOOLEAN, "1", 0 }, { PARAM_BOOLEAN, "\"true\"", 0 },
		{ PARAM_DATE, "\"2026-12-31\"", 1 },
		{ PARAM_DATE, "\"2028-02-29\"", 1 },
		{ PARAM_DATE, "\"2026-02-29\"", 0 },
		{ PARAM_DATE, "\"2100-02-29\"", 0 },
		{ PARAM_DATE, "\"2026-13-01\"", 0 },
		{ PARAM_DATE, "\"2026-1-1\"", 0 },
		{ PARAM_DATE, "\"2026-12-31x\"", 0 },
		{ PARAM_TIMESTAMP, "\"2026-12-31T23:59:59Z\"", 1 },
		{ PARAM_TIMESTAMP, "\"2026-12-31T23:59:59.123456+05:30\"", 1 },
		{ PARAM_TIMESTAMP, "\"2026-12-31T23:59:59\"", 0 },
		{ PARAM_TIMESTAMP, "\"2026-12-31T24:00:00Z\"", 0 },
		{ PARAM_TIMESTAMP, "\"2026-12-31 23:59:59Z\"", 0 },
		{ PARAM_TIMESTAMP, "\"2026-12-31T23:59:59.Z\"", 0 },
		{ PARAM_TIMESTAMP, "\"2026-12-31T23:59:59+5:30\"", 0 },
		{ PARAM_UUID, "\"123e4567-e89b-12d3-a456-426614174000\"", 1 },
		{ PARAM_UUID, "\"123e4567e89b12d3a456426614174000\"", 0 },
		{ PARAM_UUID, "\"123e4567-e89b-12d3-a456-42661417400g\"", 0 },
	};
	struct msg_conf_param m;
	struct param p;
	char json[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(&m, 0, sizeof(m));
		m.name = slice_of("x");
		m.type = (uint8_t)rows[i].type;
		declare(&p, &m);
		(void)snprintf(json, sizeof(json), "{\"x\":%s}",
		    rows[i].value);
		if ((try(json) == 0) != rows[i].taken)
			fail_msg("%s as %s: wanted %d: %s", rows[i].value,
			    param_type_name(rows[i].type), rows[i].taken,
			    call.message);
	}
}

static void
bounds_lengths_patterns_and_enums_hold(void **state)
{
	struct msg_conf_param m;
	struct param p;

	(void)state;
	memset(&m, 0, sizeof(m));
	m.name = slice_of("x");
	m.type = PARAM_INTEGER;
	m.has_minimum = m.has_maximum = 1;
	m.minimum = slice_of("1");
	m.maximum = slice_of("100");
	declare(&p, &m);
	assert_int_equal(try("{\"x\":1}"), 0);
	assert_int_equal(try("{\"x\":100}"), 0);
	assert_int_equal(try("{\"x\":0}"), -1);
	assert_string_equal(call.message, "Argument 'x' must be at least 1.");
	assert_int_equal(try("{\"x\":101}"), -1);
	memset(&m, 0, sizeof(m));
	m.name = slice_of("x");
	m.type = PARAM_STRING;
	m.maximum_length = 3;
	m.pattern = slice_of("a+|b");
	declare(&p, &m);
	assert_int_equal(try("{\"x\":\"aaa\"}"), 0);
	assert_int_equal(try("{\"x\":\"b\"}"), 0);
	assert_int_equal(try("{\"x\":\"aaaa\"}"), -1);
	/* The whole string, not a part of it. */
	assert_int_equal(try("{\"x\":\"ba\"}"), -1);
	assert_int_equal(try("{\"x\":\"a\\n\"}"), -1);
	memset(&m, 0, sizeof(m));
	m.name = slice_of("x");
	m.type = PARAM_STRING;
	m.maximum_length = 2;
	declare(&p, &m);
	assert_int_equal(try("{\"x\":\"\xc3\xa9\xc3\xa9\"}"), 0);
	assert_int_equal(try("{\"x\":\"\xc3\xa9\xc3\xa9\xc3\xa9\"}"), -1);
	memset(&m, 0, sizeof(m));
	m.name = slice_of("x");
	m.type = PARAM_ENUM;
	m.values = 2;
	m.value[0] = slice_of("open");
	m.value[1] = slice_of("shut");
	declare(&p, &m);
	assert_int_equal(try("{\"x\":\"open\"}"), 0);
	assert_int_equal(try("{\"x\":\"Open\"}"), -1);
	assert_int_equal(try("{\"x\":\"ope\"}"), -1);
}

static void
what_is_not_declared_is_refused_and_what_is_missing_is_null(void **state)
{
	struct msg_conf_param m;
	struct param p;

	(void)state;
	memset(&m, 0, sizeof(m));
	m.name = slice_of("x");
	m.type = PARAM_INTEGER;
	declare(&p, &m);
	assert_int_equal(try("{\"y\":1}"), -1);
	assert_int_equal(try("{\"x\":1,\"X\":1}"), -1);
	assert_int_equal(try("{}"), 0);
	assert_int_equal(call.bound[0].null, 1);
	assert_int_equal(try("{\"x\":null}"), 0);
	assert_int_equal(call.bound[0].null, 1);
	m.required = 1;
	declare(&p, &m);
	assert_int_equal(try("{}"), -1);
	assert_int_equal(try("{\"x\":null}"), -1);
	m.required = 0;
	m.has_default = 1;
	m.default_json = slice_of("20");
	declare(&p, &m);
	assert_int_equal(try("{}"), 0);
	assert_int_equal(call.bound[0].null, 0);
	assert_int_equal(call.bound[0].integer, 20);
}

static void
a_redacted_argument_is_not_in_clear(void **state)
{
	struct msg_conf_param m;
	struct param p;

	(void)state;
	memset(&m, 0, sizeof(m));
	m.name = slice_of("x");
	m.type = PARAM_STRING;
	declare(&p, &m);
	/* An empty one is taken by a call that holds no memory yet. */
	buffer_free(&call.arena);
	assert_int_equal(try("{\"x\":\"\"}"), 0);
	assert_int_equal(try("{\"x\":\"SENTINEL\"}"), 0);
	assert_int_equal(call.clear.len, strlen("{\"x\":\"SENTINEL\"}"));
	m.privacy = PRIVACY_REDACT;
	declare(&p, &m);
	assert_int_equal(try("{\"x\":\"SENTINEL\"}"), 0);
	assert_int_equal(call.clear.len, 2);
	assert_int_equal(call.nhidden, 1);
	assert_string_equal(call.hidden[0].name, "x");
	m.privacy = PRIVACY_OMIT;
	declare(&p, &m);
	assert_int_equal(try("{\"x\":\"SENTINEL\"}"), 0);
	assert_int_equal(call.clear.len, 2);
	assert_int_equal(call.nhidden, 0);
}

static void
the_caller_is_bound_from_the_identity_alone(void **state)
{
	static char claim[] = "claim.tenant", other[] = "claim.absent";
	static struct bind bind = { .of_caller = 1, .name = claim };

	(void)state;
	memset(&tool, 0, sizeof(tool));
	tool.binds = &bind;
	tool.nbinds = 1;
	call.identity.attributes = 1;
	call.identity.attribute[0].name = slice_of("tenant");
	call.identity.attribute[0].value = slice_of("acme");
	assert_int_equal(try("{}"), 0);
	assert_string_equal((char *)call.arena.data + call.bound[0].at,
	    "acme");
	/* No argument can reach it, and a claim that is absent is no NULL. */
	assert_int_equal(try("{\"caller.claim.tenant\":\"evil\"}"), -1);
	assert_int_equal(try("{\"claim.tenant\":\"evil\"}"), -1);
	bind.name = other;
	assert_int_equal(try("{}"), -1);
}

static int
setup(void **state)
{
	(void)state;
	buffer_init(&call.arena, BODY_MAX);
	buffer_init(&call.clear, PARAMS_JSON_MAX);
	buffer_init(&call.hidden_text, BODY_MAX);
	json_init(&args);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_takes_its_values_and_no_other),
		cmocka_unit_test(bounds_lengths_patterns_and_enums_hold),
		cmocka_unit_test(
		    what_is_not_declared_is_refused_and_what_is_missing_is_null),
		cmocka_unit_test(a_redacted_argument_is_not_in_clear),
		cmocka_unit_test(the_caller_is_bound_from_the_identity_alone),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
