/* SPDX-License-Identifier: ISC */
/* link: daemon/handler/render.c daemon/handler/params.c */

/*
 * Rows as JSON: within the caps, said where they are cut, the text block
 * the same bytes again.  What comes out is read back by the strict reader.
 */

#include "handler_calls.h"

#include <math.h>

static struct call call;
static struct tool tool = { .limit_rows = 3, .limit_bytes = 200 };
static struct json json;

static void
begin(void)
{
	memset(&call, 0, sizeof(call));
	buffer_init(&call.structured, RESULT_MAX);
	call.tool = &tool;
	tool.limit_rows = 3;
	tool.limit_bytes = 200;
	render_begin(&call);
}

static int
row(const char *text)
{
	render_row(&call);
	render_column(&call, 1, "a");
	(void)json_write_cstr(&call.structured, text);
	render_column(&call, 0, "b\"");
	(void)buffer_add_cstr(&call.structured, "null");
	return render_row_end(&call);
}

static const char *
ended(void)
{
	render_end(&call);
	return call_json(&call);
}

static void
no_rows_is_an_empty_array(void **state)
{
	(void)state;
	begin();
	assert_string_equal(ended(),
	    "{\"rows\":[],\"row_count\":0,\"truncated\":false}");
	call_drop(&call);
}

static void
rows_are_objects_by_column_name(void **state)
{
	(void)state;
	begin();
	assert_int_equal(row("x"), 0);
	assert_int_equal(row("y"), 0);
	assert_string_equal(ended(), "{\"rows\":[{\"a\":\"x\",\"b\\\"\":null},"
	    "{\"a\":\"y\",\"b\\\"\":null}],\"row_count\":2,"
	    "\"truncated\":false}");
	call_drop(&call);
}

static void
the_row_over_the_limit_is_left_out_and_said(void **state)
{
	(void)state;
	begin();
	assert_int_equal(row("1"), 0);
	assert_int_equal(row("2"), 0);
	assert_int_equal(row("3"), 0);
	assert_int_equal(call.truncated, 0);
	assert_int_equal(row("4"), 1);
	assert_non_null(strstr(ended(), "\"row_count\":3,\"truncated\":true}"));
	assert_null(strstr(call_json(&call), "\"4\""));
	assert_int_equal(call.rows, 3);
	call_drop(&call);
}

static void
the_row_over_the_byte_cap_is_left_out_and_said(void **state)
{
	char wide[181];

	(void)state;
	begin();
	memset(wide, 'x', sizeof(wide) - 1);
	wide[sizeof(wide) - 1] = '\0';
	assert_int_equal(row("1"), 0);
	assert_int_equal(row(wide), 1);
	assert_string_equal(ended(), "{\"rows\":[{\"a\":\"1\",\"b\\\"\":null}],"
	    "\"row_count\":1,\"truncated\":true}");
	assert_true(call.bytes <= tool.limit_bytes);
	call_drop(&call);
}

static void
a_row_too_large_for_the_buffer_is_left_out_and_the_rest_is_whole(void **state)
{
	char *wide = malloc(RESULT_MAX + 1);

	(void)state;
	assert_non_null(wide);
	memset(wide, 'x', RESULT_MAX);
	wide[RESULT_MAX] = '\0';
	begin();
	tool.limit_bytes = RESULT_MAX;
	assert_int_equal(row("1"), 0);
	assert_int_equal(row(wide), 1);
	/* One that fits, but leaves no room to end the text. */
	wide[RESULT_MAX - 60] = '\0';
	assert_int_equal(row(wide), 1);
	assert_string_equal(ended(), "{\"rows\":[{\"a\":\"1\",\"b\\\"\":null}],"
	    "\"row_count\":1,\"truncated\":true}");
	call_drop(&call);
	free(wide);
}

static void
the_text_is_the_structured_content_escaped(void **state)
{
	struct buffer out, text;
	uint32_t content, item, structured;
	struct slice raw;

	(void)state;
	begin();
	assert_int_equal(row("q\" \\ \n \x01 \xc3\xa9 \xff"), 0);
	render_end(&call);
	buffer_init(&out, FRAME_PAYLOAD_MAX);
	buffer_init(&text, FRAME_PAYLOAD_MAX);
	(void)buffer_add_char(&out, '{');
	assert_int_equal(render_members(&call, &out), 0);
	(void)buffer_add_char(&out, '}');
	if (json_parse(&json, (const char *)out.data, out.len) == -1)
		fail_msg("not JSON at %zu: %s", json.error_at, json.error);
	content = json_member(&json, 0, "content");
	assert_true(json_is(&json, content, JSON_ARRAY));
	assert_int_equal(json.nodes[content].count, 1);
	item = content + 1;
	assert_true(json_string_is(&json, json_member(&json, item, "type"),
	    "text"));
	assert_true(json_is(&json, json_member(&json, 0, "isError"),
	    JSON_FALSE));
	structured = json_member(&json, 0, "structuredContent");
	raw = json_raw(&json, structured);
	assert_int_equal(json_string(&json, json_member(&json, item, "text"),
	    &text), 0);
	assert_int_equal(text.len, raw.len);
	assert_memory_equal(text.data, raw.ptr, raw.len);
	/* A byte that is no UTF-8 became U+FFFD. */
	assert_non_null(memmem(raw.ptr, raw.len, "\xef\xbf\xbd", 3));
	buffer_free(&out);
	buffer_free(&text);
	call_drop(&call);
}

static void
the_largest_result_fits_a_frame(void **state)
{
	struct buffer out;
	char *wide = malloc(RESULT_MAX / 2);

	(void)state;
	assert_non_null(wide);
	/* Every byte doubles where it is escaped again. */
	memset(wide, '"', RESULT_MAX / 2 - 1);
	wide[RESULT_MAX / 4 - 40] = '\0';
	begin();
	tool.limit_bytes = RESULT_MAX / 2;	/* what the grammar allows */
	assert_int_equal(row(wide), 0);
	render_end(&call);
	buffer_init(&out, FRAME_PAYLOAD_MAX - 64);
	assert_int_equal(render_members(&call, &out), 0);
	buffer_free(&out);
	call_drop(&call);
	free(wide);
}

static void
integers_beyond_what_a_double_holds_are_strings(void **state)
{
	static const struct { int64_t n; const char *text; } cases[] = {
		{ 0, "0" }, { -1, "-1" },
		{ INT64_C(9007199254740992), "9007199254740992" },
		{ INT64_C(9007199254740993), "\"9007199254740993\"" },
		{ INT64_C(-9007199254740992), "-9007199254740992" },
		{ INT64_C(-9007199254740993), "\"-9007199254740993\"" },
		{ INT64_MAX, "\"9223372036854775807\"" },
		{ INT64_MIN, "\"-9223372036854775808\"" },
	};
	struct buffer b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buffer_init(&b, 64);
		render_integer(&b, cases[i].n);
		(void)buffer_add_char(&b, '\0');
		assert_string_equal((const char *)b.data, cases[i].text);
		buffer_free(&b);
	}
}

static void
reals_are_short_and_exact_and_what_json_lacks_is_a_string(void **state)
{
	static const struct { double d; const char *text; } cases[] = {
		{ 0.1, "0.1" }, { 2.5, "2.5" }, { 100, "100" },
		{ 0.1 + 0.2, "0.30000000000000004" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308" },
		{ 5e-324, "4.94065645841247e-324" },
		{ -1e21, "-1e+21" },
		{ (double)NAN, "\"NaN\"" },
		{ (double)INFINITY, "\"Infinity\"" },
		{ -(double)INFINITY, "\"-Infinity\"" },
	};
	struct buffer b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buffer_init(&b, 64);
		render_real(&b, cases[i].d);
		(void)buffer_add_char(&b, '\0');
		assert_string_equal((const char *)b.data, cases[i].text);
		assert_int_equal(json_parse(&json, (const char *)b.data,
		    b.len - 1), 0);
		buffer_free(&b);
	}
}

static void
bytes_are_base64(void **state)
{
	static const struct { const char *raw; size_t len; const char *text; }
	cases[] = {
		{ "", 0, "\"\"" }, { "\x00", 1, "\"AA==\"" },
		{ "\x00\xff", 2, "\"AP8=\"" },
		{ "\x00\xff\x10", 3, "\"AP8Q\"" },
		{ "\x00\xff\x10\x01", 4, "\"AP8QAQ==\"" },
	};
	struct buffer b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buffer_init(&b, 64);
		render_base64(&b, cases[i].raw, cases[i].len);
		(void)buffer_add_char(&b, '\0');
		assert_string_equal((const char *)b.data, cases[i].text);
		buffer_free(&b);
	}
}

/* An error: {"error_code":…}, twice, and isError. */
static void
error_is(const char *wanted)
{
	struct buffer out;
	struct slice raw;
	uint32_t node;

	buffer_init(&out, FRAME_PAYLOAD_MAX);
	(void)buffer_add_char(&out, '{');
	render_error_members(&call, &out);
	(void)buffer_add_char(&out, '}');
	assert_int_equal(json_parse(&json, (const char *)out.data, out.len),
	    0);
	assert_true(json_is(&json, json_member(&json, 0, "isError"),
	    JSON_TRUE));
	node = json_member(&json, 0, "structuredContent");
	raw = json_raw(&json, node);
	if (!slice_is(raw, wanted))
		fail_msg("wanted %s, got %.*s", wanted, (int)raw.len, raw.ptr);
	buffer_free(&out);
}

static void
an_error_is_the_object_of_the_taxonomy(void **state)
{
	(void)state;
	begin();
	/* Rows that were rendered before it failed do not leave. */
	(void)row("secret");
	memset(call.request_id, 0xa5, sizeof(call.request_id));
	call.outcome = OUTCOME_INVALID_INPUT;
	strlcpy(call.message, "Argument 'x\"' must be 1.",
	    sizeof(call.message));
	error_is("{\"error_code\":\"invalid_input\",\"message\":\"Argument "
	    "'x\\\"' must be 1.\",\"retry\":false,\"request_id\":"
	    "\"a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\"}");
	call_drop(&call);
}

static void
an_error_says_when_to_try_again(void **state)
{
	(void)state;
	begin();
	memset(call.request_id, 0, sizeof(call.request_id));
	call.outcome = OUTCOME_SOURCE_UNAVAILABLE;
	strlcpy(call.message, "m", sizeof(call.message));
	call.retry_after = 5;
	error_is("{\"error_code\":\"source_unavailable\",\"message\":\"m\","
	    "\"retry\":true,\"retry_after_seconds\":5,\"request_id\":"
	    "\"00000000000000000000000000000000\"}");
	call_drop(&call);
}

static void
what_may_have_happened_is_not_to_be_repeated(void **state)
{
	(void)state;
	begin();
	call.outcome = OUTCOME_INTERNAL_ERROR;
	strlcpy(call.message, "m", sizeof(call.message));
	call.may_have_run = 1;
	error_is("{\"error_code\":\"internal_error\",\"message\":\"m\","
	    "\"retry\":false,\"request_id\":"
	    "\"00000000000000000000000000000000\"}");
	call_drop(&call);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_rows_is_an_empty_array),
		cmocka_unit_test(rows_are_objects_by_column_name),
		cmocka_unit_test(the_row_over_the_limit_is_left_out_and_said),
		cmocka_unit_test(
		    the_row_over_the_byte_cap_is_left_out_and_said),
		cmocka_unit_test(
		    a_row_too_large_for_the_buffer_is_left_out_and_the_rest_is_whole),
		cmocka_unit_test(the_text_is_the_structured_content_escaped),
		cmocka_unit_test(the_largest_result_fits_a_frame),
		cmocka_unit_test(
		    integers_beyond_what_a_double_holds_are_strings),
		cmocka_unit_test(
		    reals_are_short_and_exact_and_what_json_lacks_is_a_string),
		cmocka_unit_test(bytes_are_base64),
		cmocka_unit_test(an_error_is_the_object_of_the_taxonomy),
		cmocka_unit_test(an_error_says_when_to_try_again),
		cmocka_unit_test(what_may_have_happened_is_not_to_be_repeated),
	};

	log_init("test", 1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
