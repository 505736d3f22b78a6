/* SPDX-License-Identifier: ISC */

/*
 * The reader of an export; see ctl_keyrows.h.  A column that the daemon decides
 * by must be there: what is missing is not guessed.  Columns that are not
 * known are passed over.
 */

#include "../common/compat.h"
#include "ctl_keyrows.h"

static const struct {
	const char	*name;
	int		 needed;
} fields[ROW_FIELDS] = {
	[ROW_KEY_ID] = { "key_id", 1 },
	[ROW_KEY_HASH] = { "key_hash", 1 },
	[ROW_OWNER_ID] = { "owner_id", 1 },
	[ROW_OWNER_LABEL] = { "owner_label", 0 },
	[ROW_SCOPES] = { "scopes", 1 },
	[ROW_RATE] = { "rate_limit_rpm", 1 },
	[ROW_EXPIRES] = { "expires_at", 1 },
	[ROW_ACTIVE] = { "is_active", 1 },
};

static const char missing[] = "one of the columns key_id, key_hash, owner_id, "
    "scopes, rate_limit_rpm, expires_at, is_active is missing";

static int
look(const struct keyrows *r)
{
	return r->at < r->text.len ? (unsigned char)r->text.ptr[r->at] : -1;
}

static void
advance(struct keyrows *r)
{
	if (look(r) == '\n')
		r->line++;
	r->at++;
}

static void
skip_blank(struct keyrows *r)
{
	while (look(r) == ' ' || look(r) == '\t' || look(r) == '\r' ||
	    look(r) == '\n')
		advance(r);
}

static int
field_of(const char *name)
{
	int i;

	for (i = 0; i < ROW_FIELDS; i++)
		if (strcmp(fields[i].name, name) == 0)
			return i;
	return -1;
}

/* ---- CSV (RFC 4180) ---------------------------------------------------- */

/*
 * One field into to, up to the comma or the end of the line, which stays.
 * Returns 0, 1 where it was too long or held a NUL (it is read to its end all
 * the same), or -1 where there is no end.
 */
static int
csv_field(struct keyrows *r, char to[ROW_TEXT_MAX])
{
	int quoted = look(r) == '"', bad = 0, c;
	size_t n = 0;

	if (quoted)
		advance(r);
	for (;; advance(r)) {
		c = look(r);
		if (quoted && c == -1)
			return -1;
		if (quoted && c == '"') {
			advance(r);
			if (look(r) != '"')
				break;
		} else if (!quoted && (c == -1 || c == ',' || c == '\n' ||
		    (c == '\r' && r->at + 1 < r->text.len &&
		    r->text.ptr[r->at + 1] == '\n'))) {
			break;
		} else if (!quoted && c == '"') {
			bad = 1;
		}
		if (c == '\0' || n + 1 == ROW_TEXT_MAX)
			bad = 1;
		else
			to[n++] = (char)c;
	}
	to[n] = '\0';
	c = look(r);
	/* Something stands behind the closing quote. */
	return c == -1 || c == ',' || c == '\n' || c == '\r' ? bad : -1;
}

/* Past the end of a line; -1 where it is none. */
static int
csv_line_end(struct keyrows *r)
{
	if (look(r) == '\r')
		advance(r);
	if (look(r) != '\n' && look(r) != -1)
		return -1;
	if (look(r) == '\n')
		advance(r);
	return 0;
}

static int
csv_header(struct keyrows *r)
{
	static char name[ROW_TEXT_MAX];
	int seen[ROW_FIELDS] = { 0 }, field, i;

	for (;;) {
		r->error = "the header is no line of column names";
		if (r->columns == ROW_COLUMNS_MAX || csv_field(r, name) != 0)
			return -1;
		field = field_of(name);
		r->column[r->columns++] = field;
		r->error = "a column stands twice";
		if (field != -1 && seen[field]++ != 0)
			return -1;
		if (look(r) != ',')
			break;
		advance(r);
	}
	r->error = "the header is no line of column names";
	if (csv_line_end(r) == -1)
		return -1;
	r->error = missing;
	for (i = 0; i < ROW_FIELDS; i++)
		if (fields[i].needed && !seen[i])
			return -1;
	r->error = NULL;
	return 0;
}

/* An empty value is null: so both databases write it. */
static enum row_result
csv_next(struct keyrows *r, struct row *row)
{
	static char unknown[ROW_TEXT_MAX];
	size_t column = 0;
	int bad = 0, field, rc;

	while (look(r) == '\n' || look(r) == '\r')
		advance(r);
	if (look(r) == -1)
		return ROW_END;
	row->line = r->line;
	for (;; advance(r)) {
		field = column < r->columns ? r->column[column] : -1;
		rc = csv_field(r, field == -1 ? unknown : row->text[field]);
		r->error = "a quote has no end, or text stands behind it";
		if (rc == -1)
			return ROW_BROKEN;
		bad |= rc;
		if (field != -1)
			row->has[field] = row->text[field][0] != '\0';
		column++;
		if (look(r) != ',')
			break;
	}
	if (csv_line_end(r) == -1)
		return ROW_BROKEN;
	r->error = "it has not as many values as the header has names";
	if (column != r->columns)
		return ROW_BAD;
	r->error = "a value is too long, or has a quote or NUL inside";
	return bad ? ROW_BAD : ROW_OK;
}

/* ---- JSON -------------------------------------------------------------- */

/* The object at hand, to its closing brace; length 0: it has none. */
static struct slice
json_extent(struct keyrows *r)
{
	struct slice object = { r->text.ptr + r->at, 0 };
	int depth = 0, string = 0, c;

	for (; (c = look(r)) != -1; advance(r)) {
		if (string && c == '\\') {
			advance(r);
			if (look(r) == -1)
				break;
		} else if (c == '"') {
			string = !string;
		} else if (!string && (c == '{' || c == '[')) {
			depth++;
		} else if (!string && (c == '}' || c == ']') && --depth == 0) {
			advance(r);
			object.len = (size_t)(r->text.ptr + r->at - object.ptr);
			break;
		}
	}
	return object;
}

/* A string unescaped, null as nothing, all else as it stands. */
static int
json_value(const struct json *j, uint32_t node, struct row *row, int field)
{
	struct slice raw = json_raw(j, node);

	row->has[field] = !json_is(j, node, JSON_NULL);
	row->text[field][0] = '\0';
	if (json_is(j, node, JSON_STRING)) {
		if (json_copy(j, node, row->text[field], ROW_TEXT_MAX) == -1)
			return -1;
		/* An empty text is as good as none, as in a CSV. */
		row->has[field] = row->text[field][0] != '\0';
		return 0;
	}
	if (!row->has[field])
		return 0;
	if (raw.len >= ROW_TEXT_MAX)
		return -1;
	memcpy(row->text[field], raw.ptr, raw.len);
	row->text[field][raw.len] = '\0';
	return 0;
}

static enum row_result
json_row(struct keyrows *r, struct slice object, struct row *row)
{
	uint32_t node;
	int i;

	if (json_parse(&r->json, object.ptr, object.len) == -1) {
		r->error = r->json.error;
		return ROW_BAD;
	}
	for (i = 0; i < ROW_FIELDS; i++) {
		node = json_member(&r->json, 0, fields[i].name);
		row->has[i] = 0;
		row->text[i][0] = '\0';
		r->error = missing;
		if (node == JSON_NONE && fields[i].needed)
			return ROW_BAD;
		r->error = "a value is too long";
		if (node != JSON_NONE &&
		    json_value(&r->json, node, row, i) == -1)
			return ROW_BAD;
	}
	return ROW_OK;
}

static enum row_result
json_next(struct keyrows *r, struct row *row)
{
	struct slice object;

	skip_blank(r);
	row->line = r->line;
	r->error = "it is cut short";
	if (r->array && look(r) == ']') {
		advance(r);
		skip_blank(r);
		r->error = "something stands behind the array";
		r->array = 0;
		return look(r) == -1 ? ROW_END : ROW_BROKEN;
	}
	if (look(r) == -1)
		return r->array ? ROW_BROKEN : ROW_END;
	if (r->array && r->some) {
		r->error = "rows of an array are parted by commas";
		if (look(r) != ',')
			return ROW_BROKEN;
		advance(r);
		skip_blank(r);
		row->line = r->line;
	}
	r->error = "a row is a JSON object";
	if (look(r) != '{')
		return ROW_BROKEN;
	r->some = 1;
	object = json_extent(r);
	r->error = "it is cut short";
	return object.len == 0 ? ROW_BROKEN : json_row(r, object, row);
}

/* ---- both -------------------------------------------------------------- */

int
keyrows_open(struct keyrows *r, struct slice text)
{
	memset(r, 0, sizeof(*r));
	json_init(&r->json);
	r->text = text;
	r->line = 1;
	if (text.len >= 3 && memcmp(text.ptr, "\357\273\277", 3) == 0)
		r->at = 3;
	skip_blank(r);
	r->error = "it is empty";
	if (look(r) == -1)
		return -1;
	r->error = NULL;
	if (look(r) == '[') {
		r->array = 1;
		advance(r);
		return 0;
	}
	if (look(r) == '{')
		return 0;
	r->csv = 1;
	return csv_header(r);
}

enum row_result
keyrows_next(struct keyrows *r, struct row *row)
{
	return r->csv ? csv_next(r, row) : json_next(r, row);
}

void
keyrows_close(struct keyrows *r)
{
	json_free(&r->json);
}
