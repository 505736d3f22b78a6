/* SPDX-License-Identifier: ISC */

/*
 * Records as rows: one statement, one array for each column.  The values
 * come from lines of the journal and travel as bound parameters; what cannot
 * be a value of its column (an address that is none) becomes NULL, and the
 * line itself stands in the column `record', as it was hashed.
 */

#include <arpa/inet.h>

#include "../common/compat.h"
#include "../common/json.h"
#include "auditd.h"

#define COLUMN_MAX	(32U << 20)	/* bytes of one array */

enum how { AS_IS, TEXT, OBJECT, ADDRESS, LINE };

static const struct column {
	const char		*name;
	const char		*type;
	enum record_field	 field;
	enum how		 how;
} columns[] = {
	{ "seq", "int8", FIELD_SEQ, AS_IS },
	{ "node", "text", FIELD_NODE, TEXT },
	{ "timestamp", "timestamptz", FIELD_TIMESTAMP, TEXT },
	{ "kind", "text", FIELD_KIND, TEXT },
	{ "event", "text", FIELD_EVENT, TEXT },
	{ "request_id", "text", FIELD_REQUEST_ID, TEXT },
	{ "calls", "int8", FIELD_CALLS, AS_IS },
	{ "outcome", "text", FIELD_OUTCOME, TEXT },
	{ "reason", "text", FIELD_REASON, TEXT },
	{ "namespace", "text", FIELD_NAMESPACE, TEXT },
	{ "credential", "text", FIELD_CREDENTIAL, TEXT },
	{ "key_id", "text", FIELD_KEY_ID, TEXT },
	{ "owner_id", "text", FIELD_OWNER_ID, TEXT },
	{ "owner_label", "text", FIELD_OWNER_LABEL, TEXT },
	{ "transport", "text", FIELD_TRANSPORT, TEXT },
	{ "method", "text", FIELD_METHOD, TEXT },
	{ "tool_name", "text", FIELD_TOOL_NAME, TEXT },
	{ "tool_params", "jsonb", FIELD_TOOL_PARAMS, OBJECT },
	{ "data_source", "text", FIELD_DATA_SOURCE, TEXT },
	{ "cache_hit", "bool", FIELD_CACHE_HIT, AS_IS },
	{ "response_ms", "int8", FIELD_RESPONSE_MS, AS_IS },
	{ "response_us", "int8", FIELD_RESPONSE_US, AS_IS },
	{ "queue_us", "int8", FIELD_QUEUE_US, AS_IS },
	{ "source_us", "int8", FIELD_SOURCE_US, AS_IS },
	{ "rows_returned", "numeric", FIELD_ROWS, AS_IS },
	{ "bytes_returned", "numeric", FIELD_BYTES, AS_IS },
	{ "truncated", "bool", FIELD_TRUNCATED, AS_IS },
	{ "error", "text", FIELD_ERROR, TEXT },
	{ "ip_address", "inet", FIELD_IP_ADDRESS, ADDRESS },
	{ "via", "inet", FIELD_VIA, ADDRESS },
	{ "delegated_audience", "text", FIELD_DELEGATED_AUDIENCE, TEXT },
	{ "revision", "text", FIELD_REVISION, TEXT },
	{ "client", "text", FIELD_CLIENT, TEXT },
	{ "traceparent", "text", FIELD_TRACEPARENT, TEXT },
	{ "tool_digest", "text", FIELD_TOOL_DIGEST, TEXT },
	{ "config_digest", "text", FIELD_CONFIG_DIGEST, TEXT },
	{ "undecided", "bool", FIELD_UNDECIDED, AS_IS },
	{ "detail", "jsonb", FIELD_DETAIL, OBJECT },
	{ "prev_hash", "text", FIELD_PREV_HASH, TEXT },
	{ "hash", "text", FIELD_HASH, TEXT },
	{ "record", "text", FIELD_MAX, LINE },
};
#define NCOLUMNS	(sizeof(columns) / sizeof(columns[0]))

struct rows {
	struct buffer	 array[NCOLUMNS];
	const char	*param[NCOLUMNS];
	struct buffer	 text;		/* an unescaped string */
	struct json	 json;
	size_t		 count;
};

struct rows *
rows_new(void)
{
	struct rows *r;
	size_t i;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	for (i = 0; i < NCOLUMNS; i++)
		buffer_init(&r->array[i], COLUMN_MAX);
	buffer_init(&r->text, RECORD_MAX);
	json_init(&r->json);
	return r;
}

/* Forgets the rows; memory that a large batch took is given back. */
void
rows_clear(struct rows *r)
{
	size_t i;

	for (i = 0; i < NCOLUMNS; i++) {
		if (r->array[i].cap > RECORD_MAX)
			buffer_free(&r->array[i]);
		buffer_clear(&r->array[i]);
	}
	r->count = 0;
}

void
rows_free(struct rows *r)
{
	size_t i;

	if (r == NULL)
		return;
	for (i = 0; i < NCOLUMNS; i++)
		buffer_free(&r->array[i]);
	buffer_free(&r->text);
	json_free(&r->json);
	free(r);
}

size_t
rows_count(const struct rows *r)
{
	return r->count;
}

/* An element in quotes, with what would end it escaped. */
static void
add_quoted(struct buffer *b, const char *s, size_t len)
{
	size_t i, from = 0;

	(void)buffer_add_char(b, '"');
	for (i = 0; i < len; i++) {
		if (s[i] != '"' && s[i] != '\\')
			continue;
		(void)buffer_add(b, s + from, i - from);
		(void)buffer_add_char(b, '\\');
		from = i;
	}
	(void)buffer_add(b, s + from, len - from);
	(void)buffer_add_char(b, '"');
}

static int
add_text(struct rows *r, struct buffer *b, struct slice value)
{
	/* Without an escape JSON's quotes serve the array as well. */
	if (memchr(value.ptr, '\\', value.len) == NULL)
		return buffer_add_slice(b, value);
	buffer_clear(&r->text);
	if (json_parse(&r->json, value.ptr, value.len) == -1 ||
	    json_string(&r->json, 0, &r->text) == -1)
		return buffer_add_cstr(b, "NULL");
	add_quoted(b, (const char *)r->text.data, r->text.len);
	return 0;
}

static int
is_address(struct slice value)
{
	char text[PEER_MAX + 1];
	unsigned char address[sizeof(struct in6_addr)];
	struct slice plain;

	if (view_plain(value, &plain) == -1 || plain.len >= sizeof(text))
		return 0;
	memcpy(text, plain.ptr, plain.len);
	text[plain.len] = '\0';
	return inet_pton(AF_INET, text, address) == 1 ||
	    inet_pton(AF_INET6, text, address) == 1;
}

static void
add_value(struct rows *r, struct buffer *b, const struct column *c,
    struct slice value)
{
	if (view_is_null(value) || (c->how == ADDRESS && !is_address(value)) ||
	    (c->how == TEXT && value.ptr[0] != '"') ||
	    (c->how == OBJECT && value.ptr[0] != '{')) {
		(void)buffer_add_cstr(b, "NULL");
		return;
	}
	switch (c->how) {
	case AS_IS:
		(void)buffer_add_slice(b, value);
		break;
	case TEXT:
	case ADDRESS:
		(void)add_text(r, b, value);
		break;
	case OBJECT:
	case LINE:
		add_quoted(b, value.ptr, value.len);
		break;
	}
}

/* The line as it was hashed: without the two hashes at its end. */
static void
add_line(struct buffer *b, struct slice line)
{
	add_quoted(b, line.ptr, line.len - RECORD_TAIL_LEN);
	if (b->bad)
		return;
	b->len--;
	(void)buffer_add_cstr(b, "}\"");
}

int
rows_add(struct rows *r, struct slice line, int bare)
{
	static const struct slice null = { "null", 4 };
	struct record_view v;
	struct buffer *b;
	struct slice value;
	size_t i;

	if (line.len <= RECORD_TAIL_LEN ||
	    record_view(line.ptr, line.len, &v) == -1)
		return -1;
	for (i = 0; i < NCOLUMNS; i++) {
		b = &r->array[i];
		(void)buffer_add_char(b, r->count == 0 ? '{' : ',');
		if (columns[i].how == LINE) {
			add_line(b, line);
			continue;
		}
		value = v.field[columns[i].field];
		add_value(r, b, &columns[i], bare && columns[i].how == OBJECT ?
		    null : value);
	}
	r->count++;
	return 0;
}

const char *const *
rows_params(struct rows *r)
{
	size_t i;

	for (i = 0; i < NCOLUMNS; i++) {
		(void)buffer_add(&r->array[i], "}", 2);
		if (r->array[i].bad)
			return NULL;
		r->param[i] = (const char *)r->array[i].data;
	}
	return r->param;
}

int
rows_nparams(void)
{
	return (int)NCOLUMNS;
}

/* No conflict target: naming one would need the right to SELECT. */
const char *
rows_statement(void)
{
	static struct buffer sql;
	size_t i;

	if (sql.len > 0)
		return (const char *)sql.data;
	buffer_init(&sql, 16384);
	/*
	 * Settings of a session do not last behind a pooler: durable is what
	 * this transaction says.
	 */
	(void)buffer_add_cstr(&sql, "WITH s AS MATERIALIZED (SELECT "
	    "pg_catalog.set_config('synchronous_commit', CASE WHEN "
	    "pg_catalog.current_setting('synchronous_commit') = 'off' THEN "
	    "'on' ELSE pg_catalog.current_setting('synchronous_commit') END, "
	    "true) AS durable) INSERT INTO pontifex.audit (");
	for (i = 0; i < NCOLUMNS; i++)
		(void)buffer_printf(&sql, "%s\"%s\"", i == 0 ? "" : ", ",
		    columns[i].name);
	(void)buffer_add_cstr(&sql, ") SELECT u.* FROM s CROSS JOIN LATERAL unnest(");
	for (i = 0; i < NCOLUMNS; i++)
		(void)buffer_printf(&sql, "%s$%zu::%s[]", i == 0 ? "" : ", ",
		    i + 1, columns[i].type);
	(void)buffer_add(&sql, ") AS u ON CONFLICT DO NOTHING", 30);
	return sql.bad ? "" : (const char *)sql.data;
}
