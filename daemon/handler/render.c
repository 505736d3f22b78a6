/* SPDX-License-Identifier: ISC */

/*
 * Results as JSON.  The rows are rendered once as structuredContent, within
 * the tool's limits of rows and bytes; the text block holds the same bytes,
 * escaped.
 */

#include <math.h>
#include <stdio.h>

#include <openssl/evp.h>

#include "handler.h"

#define EXACT_MAX	9007199254740992	/* 2^53 */
#define END_MAX		64	/* bytes that render_end() adds, at most */

static size_t row_start;	/* of the row being rendered */

void
render_begin(struct call *c)
{
	buffer_clear(&c->structured);
	c->rows = c->bytes = 0;
	c->truncated = 0;
	(void)buffer_add_cstr(&c->structured, "{\"rows\":[");
}

void
render_row(struct call *c)
{
	row_start = c->structured.len;
	(void)buffer_add_cstr(&c->structured, c->rows > 0 ? ",{" : "{");
}

void
render_column(struct call *c, int first, const char *name)
{
	if (!first)
		(void)buffer_add_char(&c->structured, ',');
	(void)json_write_cstr(&c->structured, name);
	(void)buffer_add_char(&c->structured, ':');
}

int
render_row_end(struct call *c)
{
	size_t row;

	(void)buffer_add_char(&c->structured, '}');
	row = c->structured.len - row_start;
	if (c->structured.bad || c->rows >= c->tool->limit_rows ||
	    c->bytes + row > c->tool->limit_bytes ||
	    c->structured.len + END_MAX > c->structured.max) {
		c->structured.bad = 0;
		c->structured.len = row_start;
		c->truncated = 1;
		return 1;
	}
	c->bytes += row;
	c->rows++;
	return 0;
}

void
render_end(struct call *c)
{
	(void)buffer_add_cstr(&c->structured, "],\"row_count\":");
	(void)buffer_add_u64(&c->structured, c->rows);
	(void)buffer_add_cstr(&c->structured, c->truncated ?
	    ",\"truncated\":true}" : ",\"truncated\":false}");
}

void
render_integer(struct buffer *b, int64_t n)
{
	int exact = n <= EXACT_MAX && n >= -EXACT_MAX;

	if (!exact)
		(void)buffer_add_char(b, '"');
	(void)buffer_add_i64(b, n);
	if (!exact)
		(void)buffer_add_char(b, '"');
}

void
render_real(struct buffer *b, double d)
{
	char text[32];
	int digits;

	if (!isfinite(d)) {
		(void)buffer_add_cstr(b, isnan(d) ? "\"NaN\"" : d > 0 ?
		    "\"Infinity\"" : "\"-Infinity\"");
		return;
	}
	for (digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	(void)buffer_add_cstr(b, text);
}

void
render_base64(struct buffer *b, const void *data, size_t len)
{
	unsigned char *to;
	int n;

	(void)buffer_add_char(b, '"');
	if (len > RESULT_MAX || (to = buffer_reserve(b, len / 3 * 4 + 8)) ==
	    NULL) {
		b->bad = 1;
		return;
	}
	n = EVP_EncodeBlock(to, data, (int)len);
	b->len += n > 0 ? (size_t)n : 0;
	(void)buffer_add_char(b, '"');
}

static int
add_members(struct call *c, struct buffer *b, int error)
{
	(void)buffer_add_cstr(b, "\"content\":[{\"type\":\"text\",\"text\":");
	(void)json_write_string(b, (const char *)c->structured.data,
	    c->structured.len);
	(void)buffer_add_cstr(b, "}],\"structuredContent\":");
	(void)buffer_add(b, c->structured.data, c->structured.len);
	(void)buffer_add_cstr(b, error ? ",\"isError\":true" :
	    ",\"isError\":false");
	return b->bad ? -1 : 0;
}

int
render_members(struct call *c, struct buffer *b)
{
	if (c->structured.bad)
		return -1;
	return add_members(c, b, 0);
}

/* DESIGN 4: one object, made to be acted on. */
void
render_error_members(struct call *c, struct buffer *b)
{
	struct buffer *s = &c->structured;

	buffer_clear(s);
	(void)buffer_add_cstr(s, "{\"error_code\":");
	(void)json_write_cstr(s, outcome_name(c->outcome));
	(void)buffer_add_cstr(s, ",\"message\":");
	(void)json_write_cstr(s, c->message[0] != '\0' ? c->message :
	    outcome_message(c->outcome));
	(void)buffer_add_cstr(s, outcome_retry(c->outcome) &&
	    !c->may_have_run ? ",\"retry\":true" : ",\"retry\":false");
	if (c->retry_after > 0)
		(void)buffer_printf(s, ",\"retry_after_seconds\":%u",
		    c->retry_after);
	(void)buffer_add_cstr(s, ",\"request_id\":\"");
	(void)buffer_add_hex(s, c->request_id, sizeof(c->request_id));
	(void)buffer_add_cstr(s, "\"}");
	(void)add_members(c, b, 1);
}
