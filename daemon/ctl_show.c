/* SPDX-License-Identifier: ISC */

/*
 * Records for people.  What a caller sent stands in them: no byte of it
 * steers a terminal, turns the direction of writing around, or passes for a
 * field of ours.
 */

#include <stdio.h>

#include "../common/compat.h"
#include "../common/json.h"
#include "ctl_audit.h"

int
show_is_record(struct slice line, struct record_view *v)
{
	static struct json j;

	return record_view(line.ptr, line.len, v) == 0 &&
	    json_parse(&j, line.ptr, line.len) == 0;
}

/*
 * How many bytes at p are one character that is not to be printed: controls
 * (C0, DEL, and C1 as UTF-8), line separators, and what turns the direction
 * of writing around.  0: none.
 */
static size_t
unprintable(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	if (p[0] < 0x20 || p[0] == 0x7f)
		return 1;
	if (p[0] == 0xc2 && len > 1 && p[1] >= 0x80 && p[1] < 0xa0)
		return 2;
	if (p[0] == 0xd8 && len > 1 && p[1] == 0x9c)	/* U+061C */
		return 2;
	if (p[0] != 0xe2 || len < 3)
		return 0;
	/* U+200B to 200F, 2028 to 202E, 2060 to 206F */
	if ((p[1] == 0x80 && ((p[2] >= 0x8b && p[2] <= 0x8f) ||
	    (p[2] >= 0xa8 && p[2] <= 0xae))) ||
	    (p[1] == 0x81 && p[2] >= 0xa0 && p[2] <= 0xaf))
		return 3;
	return 0;
}

void
show_text(FILE *to, struct slice text)
{
	size_t i, n;

	for (i = 0; i < text.len; i += n == 0 ? 1 : n) {
		n = unprintable(text.ptr + i, text.len - i);
		(void)putc(n > 0 ? '?' : text.ptr[i], to);
	}
}

void
show_json(struct slice text)
{
	static int terminal = -1;
	size_t i, n;

	if (terminal == -1)
		terminal = isatty(STDOUT_FILENO);
	if (!terminal) {
		(void)fwrite(text.ptr, 1, text.len, stdout);
		return;
	}
	for (i = 0; i < text.len; i += n == 0 ? 1 : n) {
		const unsigned char *p = (const unsigned char *)text.ptr + i;

		n = unprintable(text.ptr + i, text.len - i);
		if (n == 0)
			(void)putchar(*p);
		else if (n == 1 && *p != 0x7f)	/* white space of JSON */
			(void)putchar(' ');
		else
			(void)printf("\\u%04x", n == 1 ? *p : n == 2 ?
			    (*p & 31U) << 6 | (p[1] & 63U) :
			    (*p & 15U) << 12 | (p[1] & 63U) << 6 |
			    (p[2] & 63U));
	}
}

/* The text of a string value; any other value as it stands. */
static struct slice
text_of(struct slice value)
{
	static struct buffer text = { .max = RECORD_MAX };
	static struct json j;

	buffer_clear(&text);
	if (value.ptr[0] != '"' ||
	    json_parse(&j, value.ptr, value.len) == -1 ||
	    json_string(&j, 0, &text) == -1)
		return value;
	value.ptr = (const char *)text.data;
	value.len = text.len;
	return value;
}

/* What could be taken for the end of a field, or the name of one. */
static int
needs_quotes(struct slice text)
{
	return text.len == 0 || memchr(text.ptr, ' ', text.len) != NULL ||
	    text.ptr[0] == '"';
}

static size_t
columns_of(struct slice text)
{
	size_t i, n, columns = 0;

	for (i = 0; i < text.len; i += n == 0 ? 1 : n) {
		n = unprintable(text.ptr + i, text.len - i);
		/* The bytes of a character but its first. */
		columns += n > 0 || (text.ptr[i] & 0xc0) != 0x80;
	}
	return columns;
}

void
show_value(struct slice value, int width)
{
	struct slice text = slice_of("-");
	size_t i, columns;
	int quotes = 0;

	if (!view_is_null(value)) {
		text = text_of(value);
		/* A JSON value is told apart by its own brackets. */
		quotes = value.ptr[0] == '"' && needs_quotes(text);
	}
	columns = columns_of(text) + (quotes ? 2 : 0);
	if (quotes)
		(void)putchar('"');
	for (i = 0; i < text.len; i++) {
		if (quotes && (text.ptr[i] == '"' || text.ptr[i] == '\\'))
			columns++;
	}
	if (quotes && columns != columns_of(text) + 2) {
		for (i = 0; i < text.len; i++) {
			struct slice one = { text.ptr + i, 1 };
			size_t n = unprintable(text.ptr + i, text.len - i);

			if (*one.ptr == '"' || *one.ptr == '\\')
				(void)putchar('\\');
			one.len = n == 0 ? 1 : n;
			show_text(stdout, one);
			i += one.len - 1;
		}
	} else {
		show_text(stdout, text);
	}
	if (quotes)
		(void)putchar('"');
	for (i = columns; i < (size_t)width; i++)
		(void)putchar(' ');
}

static void
show_named(const char *label, struct slice value)
{
	if (view_is_null(value))
		return;
	printf(" %s", label);
	show_value(value, 0);
}

/* What both forms end with. */
static void
show_rest(const struct record_view *v)
{
	uint64_t calls = 0;

	show_named("params=", v->field[FIELD_TOOL_PARAMS]);
	show_named("rows=", v->field[FIELD_ROWS]);
	show_named("us=", v->field[FIELD_RESPONSE_US]);
	if (view_u64(v->field[FIELD_CALLS], &calls) == 0 && calls > 1)
		show_named("calls=", v->field[FIELD_CALLS]);
	show_named("request=", v->field[FIELD_REQUEST_ID]);
	show_named("", v->field[FIELD_DETAIL]);
	putchar('\n');
}

void
show_record(const struct record_view *v)
{
	show_value(v->field[FIELD_TIMESTAMP], 0);
	show_named("", v->field[FIELD_SEQ]);
	show_named("", v->field[FIELD_KIND]);
	show_named("", v->field[FIELD_EVENT]);
	if (!view_string_is(v->field[FIELD_KIND], "event"))
		show_named("", v->field[FIELD_OUTCOME]);
	show_named("reason=", v->field[FIELD_REASON]);
	show_named("tool=", v->field[FIELD_TOOL_NAME]);
	show_named("owner=", v->field[FIELD_OWNER_ID]);
	show_named("key=", v->field[FIELD_KEY_ID]);
	show_named("from=", v->field[FIELD_IP_ADDRESS]);
	show_named("source=", v->field[FIELD_DATA_SOURCE]);
	show_rest(v);
}

/* ---- the table --------------------------------------------------------- */

static const struct {
	const char		*name;
	enum record_field	 field;
	int			 width;
} columns[] = {
	{ "TIME", FIELD_TIMESTAMP, TIME_TEXT_LEN },
	{ "NODE", FIELD_NODE, 10 },
	{ "SEQ", FIELD_SEQ, 8 },
	{ "KIND", FIELD_KIND, 7 },
	{ "OUTCOME", FIELD_OUTCOME, 14 },
	{ "REASON", FIELD_REASON, 18 },
	{ "OWNER", FIELD_OWNER_ID, 16 },
	{ "TOOL", FIELD_TOOL_NAME, 20 },
	{ "FROM", FIELD_IP_ADDRESS, 15 },
};
#define NCOLUMNS	(sizeof(columns) / sizeof(columns[0]))

void
show_row_head(void)
{
	size_t i;

	for (i = 0; i < NCOLUMNS; i++)
		printf("%-*s ", columns[i].width, columns[i].name);
	printf("MORE\n");
}

void
show_row(const struct record_view *v)
{
	struct slice value;
	size_t i;

	for (i = 0; i < NCOLUMNS; i++) {
		value = v->field[columns[i].field];
		/* An event has a name where others have an outcome. */
		if (columns[i].field == FIELD_OUTCOME &&
		    view_string_is(v->field[FIELD_KIND], "event"))
			value = v->field[FIELD_EVENT];
		show_value(value, columns[i].width);
		putchar(' ');
	}
	printf("key=");
	show_value(v->field[FIELD_KEY_ID], 0);
	show_rest(v);
}
