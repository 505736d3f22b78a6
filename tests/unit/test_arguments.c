/* SPDX-License-Identifier: ISC */
/* link: daemon/handler/params.c */

/*
 * Arguments against the parameters of a tool: what fits is bound with its
 * type, what does not is refused by a message that names the argument, and
 * the record gets the arguments parted into clear, hidden and left out.
 */

#include "handler_calls.h"

#include <locale.h>

static struct call call;

static const char *
arena_text(uint32_t bind)
{
	return (const char *)call.arena.data + call.bound[bind].at;
}

struct value_case {
	enum param_type	 type;
	const char	*json;		/* of the value */
	const char	*bound;		/* NULL: refused */
};

static const struct value_case value_cases[] = {
	{ PARAM_INTEGER, "0", "0" },
	{ PARAM_INTEGER, "-42", "-42" },
	{ PARAM_INTEGER, "9223372036854775807", "9223372036854775807" },
	{ PARAM_INTEGER, "-9223372036854775808", "-9223372036854775808" },
	{ PARAM_INTEGER, "9223372036854775808", NULL },
	{ PARAM_INTEGER, "1.0", NULL },
	{ PARAM_INTEGER, "1e2", NULL },
	{ PARAM_INTEGER, "\"1\"", NULL },
	{ PARAM_INTEGER, "true", NULL },
	{ PARAM_INTEGER, "[1]", NULL },
	{ PARAM_NUMBER, "1", "1" },
	{ PARAM_NUMBER, "-2.5e3", "-2.5e3" },
	{ PARAM_NUMBER, "1e400", NULL },
	{ PARAM_NUMBER, "-1e400", NULL },
	{ PARAM_NUMBER, "\"1\"", NULL },
	{ PARAM_STRING, "\"\"", "" },
	{ PARAM_STRING, "\"it's; DROP TABLE x --\"", "it's; DROP TABLE x --" },
	{ PARAM_STRING, "\"a\\u00e9\\n\\\"\"", "a\xc3\xa9\n\"" },
	{ PARAM_STRING, "5", NULL },
	{ PARAM_STRING, "{}", NULL },
	{ PARAM_BOOLEAN, "true", "true" },
	{ PARAM_BOOLEAN, "false", "false" },
	{ PARAM_BOOLEAN, "0", NULL },
	{ PARAM_BOOLEAN, "\"true\"", NULL },
	{ PARAM_DATE, "\"2024-02-29\"", "2024-02-29" },
	{ PARAM_DATE, "\"2000-02-29\"", "2000-02-29" },
	{ PARAM_DATE, "\"2023-02-29\"", NULL },
	{ PARAM_DATE, "\"1900-02-29\"", NULL },
	{ PARAM_DATE, "\"2026-04-31\"", NULL },
	{ PARAM_DATE, "\"2026-13-01\"", NULL },
	{ PARAM_DATE, "\"2026-00-10\"", NULL },
	{ PARAM_DATE, "\"2026-01-00\"", NULL },
	{ PARAM_DATE, "\"0000-01-01\"", NULL },
	{ PARAM_DATE, "\"2026-1-1\"", NULL },
	{ PARAM_DATE, "\"2026-01-01T\"", NULL },
	{ PARAM_DATE, "\"today\"", NULL },
	{ PARAM_DATE, "20260101", NULL },
	{ PARAM_TIMESTAMP, "\"2026-01-31T10:00:00Z\"", "2026-01-31T10:00:00Z" },
	{ PARAM_TIMESTAMP, "\"2026-01-31T10:00:00.123456789+05:30\"",
	    "2026-01-31T10:00:00.123456789+05:30" },
	{ PARAM_TIMESTAMP, "\"2026-01-31T10:00:00\"", NULL },
	{ PARAM_TIMESTAMP, "\"2026-01-31 10:00:00Z\"", NULL },
	{ PARAM_TIMESTAMP, "\"2026-01-31T24:00:00Z\"", NULL },
	{ PARAM_TIMESTAMP, "\"2026-01-31T10:60:00Z\"", NULL },
	{ PARAM_TIMESTAMP, "\"2026-01-31T10:00:00.Z\"", NULL },
	{ PARAM_TIMESTAMP, "\"2026-01-31T10:00:00+5:30\"", NULL },
	{ PARAM_TIMESTAMP, "\"2026-02-30T10:00:00Z\"", NULL },
	{ PARAM_TIMESTAMP, "\"now\"", NULL },
	{ PARAM_UUID, "\"7e57a1b2-0000-4000-8000-00000000000F\"",
	    "7e57a1b2-0000-4000-8000-00000000000F" },
	{ PARAM_UUID, "\"7e57a1b2000040008000000000000001\"", NULL },
	{ PARAM_UUID, "\"{7e57a1b2-0000-4000-8000-000000000001}\"", NULL },
	{ PARAM_UUID, "\"7e57a1b2-0000-4000-8000-00000000000g\"", NULL },
};

static void
values_are_bound_by_their_type_or_refused(void **state)
{
	const struct value_case *v;
	char arguments[256];
	struct tool *t;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(value_cases) / sizeof(value_cases[0]); i++) {
		v = &value_cases[i];
		t = tool_make(NULL, "t", "");
		(void)tool_param_of(t, "x", v->type);
		(void)snprintf(arguments, sizeof(arguments), "{\"x\":%s}",
		    v->json);
		rc = call_make(&call, t, arguments);
		if (v->bound == NULL && rc != -1)
			fail_msg("%s: wanted a refusal, got it bound",
			    v->json);
		if (v->bound != NULL && rc != 0)
			fail_msg("%s: wanted it bound, got: %s", v->json,
			    call.message);
		if (rc == 0) {
			assert_int_equal(call.bound[0].null, 0);
			assert_int_equal(call.bound[0].type, v->type);
			assert_int_equal(call.bound[0].len,
			    strlen(v->bound));
			assert_string_equal(arena_text(0), v->bound);
		} else {
			assert_non_null(strstr(call.message,
			    "Argument 'x' must be "));
		}
		call_drop(&call);
		tool_free(t);
	}
}

static void
the_bound_numbers_are_the_ones_that_were_sent(void **state)
{
	struct tool *t = tool_make(NULL, "t", "");

	(void)state;
	(void)tool_param_of(t, "i", PARAM_INTEGER);
	(void)tool_param_of(t, "n", PARAM_NUMBER);
	(void)tool_param_of(t, "b", PARAM_BOOLEAN);
	assert_int_equal(call_make(&call, t,
	    "{\"i\":-9007199254740993,\"n\":0.1,\"b\":true}"), 0);
	assert_true(call.bound[0].integer == INT64_C(-9007199254740993));
	assert_true(call.bound[1].real == 0.1);
	assert_int_equal(call.bound[2].integer, 1);
	call_drop(&call);
	tool_free(t);
}

struct bound_case {
	enum param_type	 type;
	const char	*minimum, *maximum, *json;
	int		 ok;
};

static const struct bound_case bound_cases[] = {
	{ PARAM_INTEGER, "1", "100", "1", 1 },
	{ PARAM_INTEGER, "1", "100", "100", 1 },
	{ PARAM_INTEGER, "1", "100", "0", 0 },
	{ PARAM_INTEGER, "1", "100", "101", 0 },
	{ PARAM_INTEGER, "9223372036854775807", NULL,
	    "9223372036854775806", 0 },
	{ PARAM_INTEGER, "9223372036854775807", NULL,
	    "9223372036854775807", 1 },
	{ PARAM_INTEGER, NULL, "-9223372036854775808",
	    "-9223372036854775807", 0 },
	{ PARAM_NUMBER, "0.1", "0.3", "0.1", 1 },
	{ PARAM_NUMBER, "0.1", "0.3", "0.3", 1 },
	{ PARAM_NUMBER, "0.1", "0.3", "0.30000000000000004", 0 },
	{ PARAM_NUMBER, "0.1", "0.3", "0.09999999999999999", 0 },
};

static void
minimum_and_maximum_are_exact(void **state)
{
	const struct bound_case *v;
	struct msg_conf_param conf;
	char arguments[64];
	struct tool *t;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bound_cases) / sizeof(bound_cases[0]); i++) {
		v = &bound_cases[i];
		memset(&conf, 0, sizeof(conf));
		conf.name = slice_of("x");
		conf.type = (uint8_t)v->type;
		conf.has_minimum = v->minimum != NULL;
		conf.minimum = slice_of(v->minimum);
		conf.has_maximum = v->maximum != NULL;
		conf.maximum = slice_of(v->maximum);
		t = tool_make(NULL, "t", "");
		(void)tool_param(t, &conf);
		(void)snprintf(arguments, sizeof(arguments), "{\"x\":%s}",
		    v->json);
		if ((call_make(&call, t, arguments) == 0) != v->ok)
			fail_msg("%s in [%s, %s]: wanted %s", v->json,
			    v->minimum, v->maximum, v->ok ? "bound" :
			    "a refusal");
		call_drop(&call);
		tool_free(t);
	}
}

static void
the_message_tells_the_bound(void **state)
{
	struct msg_conf_param conf;
	struct tool *t = tool_make(NULL, "t", "");

	(void)state;
	memset(&conf, 0, sizeof(conf));
	conf.name = slice_of("count");
	conf.has_maximum = 1;
	conf.maximum = slice_of("100");
	(void)tool_param(t, &conf);
	assert_int_equal(call_make(&call, t, "{\"count\":666}"), -1);
	assert_string_equal(call.message,
	    "Argument 'count' must be at most 100.");
	call_drop(&call);
	tool_free(t);
}

static int
try_text(const char *pattern, uint32_t maximum_length, const char *arguments)
{
	struct msg_conf_param conf;
	struct tool *t = tool_make(NULL, "t", "");
	int rc;

	memset(&conf, 0, sizeof(conf));
	conf.name = slice_of("s");
	conf.type = PARAM_STRING;
	conf.pattern = slice_of(pattern);
	conf.maximum_length = maximum_length;
	conf.privacy = PRIVACY_OMIT;	/* the record's bound is another test */
	(void)tool_param(t, &conf);
	rc = call_make(&call, t, arguments);
	call_drop(&call);
	tool_free(t);
	return rc;
}

static void
a_maximum_length_counts_characters(void **state)
{
	(void)state;
	assert_int_equal(try_text("", 3, "{\"s\":\"\xc3\xa4\xe2\x82\xac"
	    "\xf0\x9f\x98\x80\"}"), 0);
	assert_int_equal(try_text("", 3, "{\"s\":\"\\u00e4\\u20ac"
	    "\\ud83d\\ude00\"}"), 0);
	assert_int_equal(try_text("", 3, "{\"s\":\"abcd\"}"), -1);
	assert_int_equal(try_text("", 0, "{\"s\":\"abcd\"}"), 0);
}

static void
a_pattern_is_over_the_whole_string(void **state)
{
	(void)state;
	assert_int_equal(try_text("[A-Z]{2}[0-9]+", 0, "{\"s\":\"DE1\"}"), 0);
	assert_int_equal(try_text("[A-Z]{2}[0-9]+", 0, "{\"s\":\"xDE1\"}"), -1);
	assert_int_equal(try_text("[A-Z]{2}[0-9]+", 0, "{\"s\":\"DE1x\"}"), -1);
	/* Each branch is anchored, and so is a string of several lines. */
	assert_int_equal(try_text("a|b", 0, "{\"s\":\"ac\"}"), -1);
	assert_int_equal(try_text("a|b", 0, "{\"s\":\"cb\"}"), -1);
	assert_int_equal(try_text("[a-z]+", 0, "{\"s\":\"a\\nB\"}"), -1);
	assert_int_equal(try_text("[a-z]+", 0, "{\"s\":\"B\\na\"}"), -1);
	assert_int_equal(try_text("...", 0,
	    "{\"s\":\"\xc3\xa4\xc3\xb6\xc3\xbc\"}"), 0);
}

static void
a_pattern_is_not_tried_on_very_long_strings(void **state)
{
	static char arguments[PATTERN_INPUT_MAX + 64];

	(void)state;
	memset(arguments, 'a', sizeof(arguments) - 1);
	memcpy(arguments, "{\"s\":\"", 6);
	memcpy(arguments + sizeof(arguments) - 3, "\"}", 2);
	assert_int_equal(try_text("a*", 0, arguments), -1);
	assert_int_equal(try_text("", 0, arguments), 0);
	memcpy(arguments + PATTERN_INPUT_MAX / 2, "\"}", 3);
	assert_int_equal(try_text("a*", 0, arguments), 0);
}

static struct tool *
enum_tool(void)
{
	struct msg_conf_param conf;
	struct tool *t = tool_make(NULL, "t", "");

	memset(&conf, 0, sizeof(conf));
	conf.name = slice_of("e");
	conf.type = PARAM_ENUM;
	conf.values = 2;
	conf.value[0] = slice_of("open");
	conf.value[1] = slice_of("shipped");
	(void)tool_param(t, &conf);
	return t;
}

static void
an_enum_takes_its_values_and_names_them(void **state)
{
	struct tool *t = enum_tool();

	(void)state;
	assert_int_equal(call_make(&call, t, "{\"e\":\"shipped\"}"), 0);
	call_drop(&call);
	assert_int_equal(call_make(&call, t, "{\"e\":\"ope\"}"), -1);
	assert_string_equal(call.message,
	    "Argument 'e' must be one of: open, shipped.");
	call_drop(&call);
	assert_int_equal(call_make(&call, t, "{\"e\":0}"), -1);
	call_drop(&call);
	tool_free(t);
}

static void
many_enum_values_do_not_fit_the_message_and_it_says_so(void **state)
{
	struct msg_conf_param *conf = calloc(1, sizeof(*conf));
	struct tool *t = tool_make(NULL, "t", "");
	uint32_t i;

	(void)state;
	assert_non_null(conf);
	conf->name = slice_of("e");
	conf->type = PARAM_ENUM;
	conf->values = ENUM_MAX;
	for (i = 0; i < ENUM_MAX; i++)
		conf->value[i] = slice_of("some-value");
	(void)tool_param(t, conf);
	assert_int_equal(call_make(&call, t, "{\"e\":\"x\"}"), -1);
	assert_non_null(strstr(call.message, " ...."));
	call_drop(&call);
	tool_free(t);
	free(conf);
}

static void
an_unknown_argument_is_refused_by_name(void **state)
{
	struct tool *t = enum_tool();

	(void)state;
	assert_int_equal(call_make(&call, t,
	    "{\"e\":\"open\",\"caller.owner\":\"root\"}"), -1);
	assert_string_equal(call.message, "There is no argument "
	    "'caller.owner'; see the tool's input schema.");
	call_drop(&call);
	/* Its name may be anything: it is cut off, not copied. */
	assert_int_equal(call_make(&call, t, "{\"Exxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\":1}"),
	    -1);
	assert_non_null(strstr(call.message, "(too long)"));
	call_drop(&call);
	tool_free(t);
}

static void
null_is_as_if_not_given(void **state)
{
	struct msg_conf_param conf;
	struct tool *t = tool_make(NULL, "t", "");

	(void)state;
	(void)tool_param_of(t, "a", PARAM_INTEGER);
	memset(&conf, 0, sizeof(conf));
	conf.name = slice_of("b");
	conf.type = PARAM_INTEGER;
	conf.has_default = 1;
	conf.default_json = slice_of("20");
	(void)tool_param(t, &conf);
	assert_int_equal(call_make(&call, t, "{\"a\":null,\"b\":null}"), 0);
	assert_int_equal(call.bound[0].null, 1);
	assert_int_equal(call.bound[1].null, 0);
	assert_int_equal(call.bound[1].integer, 20);
	call_drop(&call);
	/* And so are no arguments at all. */
	assert_int_equal(call_make(&call, t, NULL), 0);
	assert_int_equal(call.bound[0].null, 1);
	assert_int_equal(call.bound[1].integer, 20);
	assert_string_equal(arena_text(1), "20");
	call_drop(&call);
	tool_free(t);
}

static void
a_required_argument_must_be_given(void **state)
{
	struct tool *t = tool_make(NULL, "t", "");

	(void)state;
	tool_param_of(t, "a", PARAM_INTEGER)->required = 1;
	assert_int_equal(call_make(&call, t, "{}"), -1);
	assert_string_equal(call.message,
	    "Argument 'a' must be given: it is required.");
	call_drop(&call);
	assert_int_equal(call_make(&call, t, "{\"a\":null}"), -1);
	call_drop(&call);
	assert_int_equal(call_make(&call, t, NULL), -1);
	call_drop(&call);
	tool_free(t);
}

static void
the_caller_is_bound_from_the_identity_only(void **state)
{
	struct tool *t = tool_make(NULL, "t", "");

	(void)state;
	tool_caller(t, "owner");
	tool_caller(t, "claim.tenant");
	tool_caller(t, "id");
	assert_int_equal(call_make(&call, t, "{}"), 0);
	assert_string_equal(arena_text(0), "alice");
	assert_string_equal(arena_text(1), "acme");
	assert_string_equal(arena_text(2), "key1");
	assert_int_equal(call.bound[1].type, PARAM_STRING);
	call_drop(&call);
	assert_int_equal(call_make(&call, t, "{\"owner\":\"root\"}"), -1);
	call_drop(&call);
	tool_free(t);
}

static void
a_claim_that_the_caller_lacks_is_a_refusal_never_null(void **state)
{
	struct tool *t = tool_make(NULL, "t", "");

	(void)state;
	tool_caller(t, "claim.region");
	assert_int_equal(call_make(&call, t, "{}"), -1);
	call_drop(&call);
	tool_free(t);
}

static void
one_parameter_may_be_bound_more_than_once(void **state)
{
	struct tool *t = tool_make(NULL, "t", "");

	(void)state;
	(void)tool_param_of(t, "a", PARAM_STRING);
	tool_caller(t, "owner");
	t->binds[t->nbinds].name = own("a");
	t->binds[t->nbinds++].param = 0;
	assert_int_equal(call_make(&call, t, "{\"a\":\"x\"}"), 0);
	assert_string_equal(arena_text(0), "x");
	assert_string_equal(arena_text(1), "alice");
	assert_string_equal(arena_text(2), "x");
	call_drop(&call);
	tool_free(t);
}

static void
the_record_has_clear_arguments_and_hidden_ones_apart(void **state)
{
	struct tool *t = tool_make(NULL, "t", "");

	(void)state;
	(void)tool_param_of(t, "a", PARAM_INTEGER);
	tool_param_of(t, "secret", PARAM_STRING)->privacy = PRIVACY_REDACT;
	tool_param_of(t, "gone", PARAM_STRING)->privacy = PRIVACY_OMIT;
	(void)tool_param_of(t, "z", PARAM_STRING);
	(void)tool_param_of(t, "absent", PARAM_STRING);
	assert_int_equal(call_make(&call, t, "{\"z\":\"q\\\"\",\"secret\":"
	    "\"hush\",\"a\":1,\"gone\":\"away\"}"), 0);
	assert_int_equal(call.clear.len, strlen("{\"a\":1,\"z\":\"q\\\"\"}"));
	assert_memory_equal(call.clear.data, "{\"a\":1,\"z\":\"q\\\"\"}",
	    call.clear.len);
	assert_int_equal(call.nhidden, 1);
	assert_string_equal(call.hidden[0].name, "secret");
	assert_int_equal(call.hidden[0].len, 6);
	assert_memory_equal(call.hidden_text.data + call.hidden[0].at,
	    "\"hush\"", 6);
	call_drop(&call);
	tool_free(t);
}

static void
arguments_that_cannot_be_recorded_are_refused(void **state)
{
	static char arguments[PARAMS_JSON_MAX + 16];
	struct tool *t = tool_make(NULL, "t", "");

	(void)state;
	(void)tool_param_of(t, "s", PARAM_STRING);
	memset(arguments, 'a', sizeof(arguments) - 1);
	memcpy(arguments, "{\"s\":\"", 6);
	memcpy(arguments + sizeof(arguments) - 3, "\"}", 2);
	assert_int_equal(call_make(&call, t, arguments), -1);
	assert_non_null(strstr(call.message, "too large to be recorded"));
	call_drop(&call);
	tool_free(t);
}

static void
limits_that_cannot_be_read_stop_the_start(void **state)
{
	static const struct { int type; const char *minimum, *pattern,
	    *fallback; } bad[] = {
		{ PARAM_INTEGER, "1.5", "", NULL },
		{ PARAM_INTEGER, "99999999999999999999", "", NULL },
		{ PARAM_INTEGER, "", "", NULL },
		{ PARAM_NUMBER, "x", "", NULL },
		{ PARAM_NUMBER, "1e999", "", NULL },
		{ PARAM_STRING, NULL, "(", NULL },
		{ PARAM_INTEGER, NULL, "", "{" },
	};
	struct msg_conf_param conf;
	struct param p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&conf, 0, sizeof(conf));
		conf.name = slice_of("x");
		conf.type = (uint8_t)bad[i].type;
		conf.has_minimum = bad[i].minimum != NULL;
		conf.minimum = slice_of(bad[i].minimum);
		conf.pattern = slice_of(bad[i].pattern);
		conf.has_default = bad[i].fallback != NULL;
		conf.default_json = slice_of(bad[i].fallback);
		if (param_prepare(&p, &conf) != -1)
			fail_msg("case %zu: wanted a refusal", i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_bound_by_their_type_or_refused),
		cmocka_unit_test(the_bound_numbers_are_the_ones_that_were_sent),
		cmocka_unit_test(minimum_and_maximum_are_exact),
		cmocka_unit_test(the_message_tells_the_bound),
		cmocka_unit_test(a_maximum_length_counts_characters),
		cmocka_unit_test(a_pattern_is_over_the_whole_string),
		cmocka_unit_test(a_pattern_is_not_tried_on_very_long_strings),
		cmocka_unit_test(an_enum_takes_its_values_and_names_them),
		cmocka_unit_test(
		    many_enum_values_do_not_fit_the_message_and_it_says_so),
		cmocka_unit_test(an_unknown_argument_is_refused_by_name),
		cmocka_unit_test(null_is_as_if_not_given),
		cmocka_unit_test(a_required_argument_must_be_given),
		cmocka_unit_test(the_caller_is_bound_from_the_identity_only),
		cmocka_unit_test(
		    a_claim_that_the_caller_lacks_is_a_refusal_never_null),
		cmocka_unit_test(one_parameter_may_be_bound_more_than_once),
		cmocka_unit_test(
		    the_record_has_clear_arguments_and_hidden_ones_apart),
		cmocka_unit_test(arguments_that_cannot_be_recorded_are_refused),
		cmocka_unit_test(limits_that_cannot_be_read_stop_the_start),
	};

	log_init("test", 1, 0);
	/* As the handler does. */
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
