/* SPDX-License-Identifier: ISC */

/*
 * The trail in Postgres: one transaction that reads only, in which all is
 * seen as of one moment, and a result that comes row by row.  Where to
 * connect is told as `env:NAME', `file:PATH' or `credential:NAME', which hold
 * a connection string, or as one without a password; what it does not say
 * libpq takes from its environment.  What is asked for travels as bound
 * parameters.
 */

#include <stdio.h>

#include <libpq-fe.h>

#include "../common/compat.h"
#include "config.h"
#include "ctl_trail.h"

#define CONNECT_SECONDS	"10"
#define SQL_TEXT_MAX	16384
#define VALUES_MAX	16

struct rows {
	PGconn		*db;
	PGresult	*row;
	struct buffer	 line;
	char		*why;
};

/* The statement that is being built, and its parameters. */
struct query {
	struct buffer	 sql;
	const char	*value[VALUES_MAX];
	int		 values;
	char		 numbers[3][24];
	char		*params;	/* owned */
};

/* ---- connecting -------------------------------------------------------- */

/* A list of processes shows what stands on a command line. */
static int
holds_password(const char *text)
{
	PQconninfoOption *options, *o;
	int holds = 0;

	if ((options = PQconninfoParse(text, NULL)) == NULL)
		return 0;
	for (o = options; o->keyword != NULL; o++)
		if (o->val != NULL && (strcmp(o->keyword, "password") == 0 ||
		    strcmp(o->keyword, "sslpassword") == 0))
			holds = 1;
	PQconninfoFree(options);
	return holds;
}

/* The connection string; NULL with why set, or after a line of secret.c's. */
static char *
connection_string(const char *where, char **why)
{
	static const struct { const char *word; enum secret_origin origin; }
	    origins[] = {
		{ "env:", SECRET_ENV }, { "file:", SECRET_FILE },
		{ "credential:", SECRET_CREDENTIAL },
	};
	static char option[] = "-p";
	struct secret_ref ref = { .file = option, .line = 1 };
	char *name, *text;
	size_t i, len;

	for (i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
		len = strlen(origins[i].word);
		if (strncmp(where, origins[i].word, len) != 0)
			continue;
		if ((name = strdup(where + len)) == NULL)
			return NULL;
		ref.origin = origins[i].origin;
		ref.name = name;
		text = secret_read(&ref, &len);
		free(name);
		if (text == NULL)
			*why = strdup("postgres: no connection string");
		return text;
	}
	if (holds_password(where)) {
		*why = strdup("postgres: a password does not belong on a "
		    "command line: -p env:NAME or -p file:PATH");
		return NULL;
	}
	return strdup(where);
}

static int
say_why(char **why, const char *what, const char *more)
{
	size_t len = strlen(more);

	while (len > 0 && more[len - 1] == '\n')
		len--;
	free(*why);
	if (asprintf(why, "%s: %.*s", what, (int)len, more) == -1)
		*why = NULL;
	return -1;
}

static int
run(struct rows *r, const char *sql)
{
	PGresult *result = PQexec(r->db, sql);
	ExecStatusType status = PQresultStatus(result);

	PQclear(result);
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		return 0;
	return say_why(&r->why, "postgres", PQerrorMessage(r->db));
}

PGconn *
postgres_connect(const char *where, char **why)
{
	static const char *const keywords[] = { "connect_timeout", "dbname",
	    "fallback_application_name", "client_encoding", NULL };
	const char *values[] = { CONNECT_SECONDS, NULL, "pontifexctl", "UTF8",
	    NULL };
	PQconninfoOption *options;
	PGconn *db;
	char *text;

	if ((text = connection_string(where, why)) == NULL)
		return NULL;
	/* libpq's message would quote a piece of what it could not read. */
	if ((options = PQconninfoParse(text, NULL)) == NULL) {
		freezero(text, strlen(text));
		(void)say_why(why, "postgres", "not a connection string");
		return NULL;
	}
	PQconninfoFree(options);
	values[1] = text;
	db = PQconnectdbParams(keywords, values, 1);
	freezero(text, strlen(text));
	if (db == NULL || PQstatus(db) != CONNECTION_OK) {
		(void)say_why(why, "postgres", PQerrorMessage(db));
		PQfinish(db);
		return NULL;
	}
	return db;
}

static int
connect_rows(struct rows *r, const char *where)
{
	if ((r->db = postgres_connect(where, &r->why)) == NULL)
		return -1;
	/* An operator of somebody else's schema is not ours. */
	if (run(r, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ "
	    "READ ONLY") == -1 ||
	    run(r, "SET LOCAL search_path = pg_catalog, pg_temp") == -1 ||
	    run(r, "SET LOCAL statement_timeout = 0") == -1)
		return -1;
	return 0;
}

/* ---- the question ------------------------------------------------------ */

static void
query_init(struct query *q)
{
	memset(q, 0, sizeof(*q));
	buffer_init(&q->sql, SQL_TEXT_MAX);
}

static void
query_free(struct query *q)
{
	buffer_free(&q->sql);
	free(q->params);
}

/* A condition whose one place for a value is the %d. */
static void
condition(struct query *q, const char *format, const char *value)
{
	if (value == NULL || value[0] == '\0' || q->values == VALUES_MAX)
		return;
	q->value[q->values++] = value;
	(void)buffer_add_cstr(&q->sql, " AND ");
	(void)buffer_printf(&q->sql, format, q->values);
}

static const char *
number(struct query *q, size_t slot, uint64_t n)
{
	if (n == 0)
		return NULL;
	(void)snprintf(q->numbers[slot], sizeof(q->numbers[slot]), "%llu",
	    (unsigned long long)n);
	return q->numbers[slot];
}

static void
where_clause(struct query *q, const struct filter *f)
{
	(void)buffer_add_cstr(&q->sql, " FROM pontifex.audit WHERE true");
	if (f == NULL)
		return;
	condition(q, "node = $%d", f->node);
	(void)buffer_add_cstr(&q->sql, " AND ((true");
	condition(q, "owner_id = $%d", f->owner);
	condition(q, "tool_name = $%d", f->tool);
	condition(q, "kind <> 'event' AND outcome = $%d", f->outcome);
	condition(q, "request_id = $%d", f->request_id);
	condition(q, "strpos(record, $%d) > 0", f->in_params);
	condition(q, "\"timestamp\" >= $%d::timestamptz", f->since);
	condition(q, "\"timestamp\" < $%d::timestamptz", f->until);
	condition(q, "seq >= $%d::bigint", number(q, 0, f->first));
	condition(q, "seq <= $%d::bigint", number(q, 1, f->last));
	(void)buffer_add_cstr(&q->sql, f->checkpoints ?
	    ") OR event = 'checkpoint')" : "))");
}

static int
ask(struct rows *r, const struct filter *f, enum trail_order order,
    uint64_t newest)
{
	static const char by_seq[] = " ORDER BY node, seq";
	static const char by_time[] = " ORDER BY \"timestamp\", node, seq";
	struct query q;
	int rc = -1;

	query_init(&q);
	if (newest > 0)
		(void)buffer_add_cstr(&q.sql,
		    "SELECT prev_hash, hash, record FROM (");
	(void)buffer_add_cstr(&q.sql, "SELECT prev_hash, hash, record, "
	    "\"timestamp\", node, seq");
	where_clause(&q, f);
	if (newest > 0) {
		(void)buffer_add_cstr(&q.sql, " ORDER BY \"timestamp\" DESC, "
		    "node DESC, seq DESC LIMIT ");
		q.value[q.values++] = number(&q, 2, newest);
		(void)buffer_printf(&q.sql, "$%d::bigint) AS newest", q.values);
	}
	(void)buffer_add_cstr(&q.sql, order == BY_TIME ? by_time : by_seq);
	if (buffer_add_char(&q.sql, '\0') == -1)
		(void)say_why(&r->why, "postgres", "the question is too long");
	else if (PQsendQueryParams(r->db, (const char *)q.sql.data, q.values,
	    NULL, q.value, NULL, NULL, 0) != 1 ||
	    PQsetSingleRowMode(r->db) != 1)
		(void)say_why(&r->why, "postgres", PQerrorMessage(r->db));
	else
		rc = 0;
	query_free(&q);
	return rc;
}

struct rows *
rows_open(const char *where, const struct filter *f, enum trail_order order,
    uint64_t newest, char **why)
{
	struct rows *r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return NULL;
	buffer_init(&r->line, RECORD_MAX + RECORD_TAIL_LEN);
	if (connect_rows(r, where) == 0 && ask(r, f, order, newest) == 0)
		return r;
	*why = r->why;
	r->why = NULL;
	rows_close(r);
	return NULL;
}

void
rows_close(struct rows *r)
{
	if (r == NULL)
		return;
	PQclear(r->row);
	PQfinish(r->db);
	buffer_free(&r->line);
	free(r->why);
	free(r);
}

const char *
rows_why(const struct rows *r)
{
	return r->why != NULL ? r->why : "postgres: out of memory";
}

/* ---- the answer -------------------------------------------------------- */

static void
add_column(struct buffer *b, const PGresult *row, int column, size_t less)
{
	size_t len = (size_t)PQgetlength(row, 0, column);

	if (len >= less)
		(void)buffer_add(b, PQgetvalue(row, 0, column), len - less);
}

/* The line as it stands in a journal: the text that was hashed, and behind
 * it, in its brace, the two hashes. */
static enum trail_result
make_line(struct rows *r, struct slice *line)
{
	struct buffer *b = &r->line;

	buffer_clear(b);
	add_column(b, r->row, 2, 1);
	(void)buffer_add_cstr(b, ",\"prev_hash\":\"");
	add_column(b, r->row, 0, 0);
	(void)buffer_add_cstr(b, "\",\"hash\":\"");
	add_column(b, r->row, 1, 0);
	if (buffer_add_cstr(b, "\"}") == -1 || b->len > RECORD_MAX)
		return TRAIL_TOO_LONG;
	line->ptr = (const char *)b->data;
	line->len = b->len;
	return TRAIL_OK;
}

enum trail_result
rows_next(struct rows *r, struct slice *line)
{
	PQclear(r->row);
	r->row = PQgetResult(r->db);
	switch (PQresultStatus(r->row)) {
	case PGRES_SINGLE_TUPLE:
		return make_line(r, line);
	case PGRES_TUPLES_OK:
		while (r->row != NULL) {
			PQclear(r->row);
			r->row = PQgetResult(r->db);
		}
		return TRAIL_END;
	default:
		(void)say_why(&r->why, "postgres", PQerrorMessage(r->db));
		return TRAIL_ERROR;
	}
}

/* ---- the other columns ------------------------------------------------- */

/* How a column is made from the member of the record. */
enum made { TEXT_OF, CAST_OF, ADDRESS_OF, OBJECT_OF };

/* rows_returned and bytes_returned are called otherwise in the record. */
static const struct column {
	const char	*name;
	const char	*member;
	const char	*type;
	enum made	 made;
} columns[] = {
	{ "node", "node", "text", TEXT_OF },
	{ "seq", "seq", "bigint", CAST_OF },
	{ "timestamp", "timestamp", "timestamptz", CAST_OF },
	{ "kind", "kind", "text", TEXT_OF },
	{ "event", "event", "text", TEXT_OF },
	{ "request_id", "request_id", "text", TEXT_OF },
	{ "calls", "calls", "bigint", CAST_OF },
	{ "outcome", "outcome", "text", TEXT_OF },
	{ "reason", "reason", "text", TEXT_OF },
	{ "namespace", "namespace", "text", TEXT_OF },
	{ "credential", "credential", "text", TEXT_OF },
	{ "key_id", "key_id", "text", TEXT_OF },
	{ "owner_id", "owner_id", "text", TEXT_OF },
	{ "owner_label", "owner_label", "text", TEXT_OF },
	{ "transport", "transport", "text", TEXT_OF },
	{ "method", "method", "text", TEXT_OF },
	{ "tool_name", "tool_name", "text", TEXT_OF },
	{ "tool_params", "tool_params", "jsonb", OBJECT_OF },
	{ "data_source", "data_source", "text", TEXT_OF },
	{ "cache_hit", "cache_hit", "boolean", CAST_OF },
	{ "response_ms", "response_ms", "bigint", CAST_OF },
	{ "response_us", "response_us", "bigint", CAST_OF },
	{ "source_us", "source_us", "bigint", CAST_OF },
	{ "queue_us", "queue_us", "bigint", CAST_OF },
	{ "rows_returned", "rows", "numeric", CAST_OF },
	{ "bytes_returned", "bytes", "numeric", CAST_OF },
	{ "truncated", "truncated", "boolean", CAST_OF },
	{ "error", "error", "text", TEXT_OF },
	{ "ip_address", "ip_address", "inet", ADDRESS_OF },
	{ "via", "via", "inet", ADDRESS_OF },
	{ "delegated_audience", "delegated_audience", "text", TEXT_OF },
	{ "revision", "revision", "text", TEXT_OF },
	{ "client", "client", "text", TEXT_OF },
	{ "traceparent", "traceparent", "text", TEXT_OF },
	{ "tool_digest", "tool_digest", "text", TEXT_OF },
	{ "config_digest", "config_digest", "text", TEXT_OF },
	{ "undecided", "undecided", "boolean", CAST_OF },
	{ "detail", "detail", "jsonb", OBJECT_OF },
};
#define NCOLUMNS	(sizeof(columns) / sizeof(columns[0]))

/* Which of them this database's table has. */
static int
columns_there(struct rows *r, unsigned char there[NCOLUMNS])
{
	PGresult *result;
	int rc = -1;
	size_t i;

	result = PQexec(r->db, "SELECT * FROM pontifex.audit LIMIT 0");
	if (PQresultStatus(result) == PGRES_TUPLES_OK) {
		for (i = 0; i < NCOLUMNS; i++)
			there[i] = PQfnumber(result, columns[i].name) != -1;
		/* PQfnumber() reads its argument as SQL would: all are small. */
		rc = 0;
	} else {
		(void)say_why(&r->why, "postgres", PQerrorMessage(r->db));
	}
	PQclear(result);
	return rc;
}

/*
 * An address that inet does not take, and an object with a number that jsonb
 * does not take, stand in the record alone.  json, in which the member is
 * looked up, takes whatever is well-formed.
 */
static void
add_difference(struct buffer *b, const struct column *c)
{
	const char *nullable = c->made == ADDRESS_OF || c->made == OBJECT_OF ?
	    "" : NULL;

	(void)buffer_add_cstr(b, "CASE WHEN ");
	if (nullable != NULL)
		(void)buffer_printf(b, "\"%s\" IS NOT NULL AND ", c->name);
	if (c->made == OBJECT_OF)
		(void)buffer_printf(b, "\"%s\" IS DISTINCT FROM (record::json "
		    "-> '%s')::jsonb", c->name, c->member);
	else
		(void)buffer_printf(b, "\"%s\" IS DISTINCT FROM (record::json "
		    "->> '%s')::%s", c->name, c->member, c->type);
	(void)buffer_printf(b, " THEN '%s' END, ", c->name);
}

static int
ask_difference(struct rows *r, const struct filter *f, struct query *q)
{
	unsigned char there[NCOLUMNS];
	size_t i;

	if (columns_there(r, there) == -1)
		return -1;
	(void)buffer_add_cstr(&q->sql, "SELECT node, seq, what FROM ("
	    "SELECT node, seq, coalesce(");
	for (i = 0; i < NCOLUMNS; i++)
		if (there[i])
			add_difference(&q->sql, &columns[i]);
	(void)buffer_add_cstr(&q->sql, "NULL) AS what");
	where_clause(q, f);
	(void)buffer_add_cstr(&q->sql, ") AS a WHERE what IS NOT NULL "
	    "ORDER BY node, seq LIMIT 1");
	return buffer_add_char(&q->sql, '\0');
}

static PGresult *
ask_all(struct rows *r, struct query *q)
{
	PGresult *result;

	result = PQexecParams(r->db, (const char *)q->sql.data, q->values,
	    NULL, q->value, NULL, NULL, 0);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	(void)say_why(&r->why, "postgres", PQerrorMessage(r->db));
	PQclear(result);
	return NULL;
}

static int
count_missing(struct rows *r, const struct filter *f, uint64_t *missing)
{
	PGresult *result;
	struct query q;
	int rc = -1;

	query_init(&q);
	(void)buffer_add_cstr(&q.sql, "SELECT count(*)");
	where_clause(&q, f);
	(void)buffer_add_cstr(&q.sql, " AND ((tool_params IS NULL AND "
	    "record::json ->> 'tool_params' IS NOT NULL) OR (detail IS NULL "
	    "AND record::json ->> 'detail' IS NOT NULL) OR (ip_address IS NULL "
	    "AND record::json ->> 'ip_address' IS NOT NULL))");
	if (buffer_add_char(&q.sql, '\0') == 0 &&
	    (result = ask_all(r, &q)) != NULL) {
		*missing = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
		PQclear(result);
		rc = 0;
	}
	query_free(&q);
	return rc;
}

int
rows_compare(struct rows *r, const struct filter *f, char **what,
    uint64_t *missing)
{
	PGresult *result;
	struct query q;
	int rc = -1;

	query_init(&q);
	if (ask_difference(r, f, &q) == 0 &&
	    (result = ask_all(r, &q)) != NULL) {
		rc = PQntuples(result) > 0;
		if (rc == 1 && asprintf(what, "node %s seq %s: the column %s "
		    "does not say what the record says",
		    PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1),
		    PQgetvalue(result, 0, 2)) == -1)
			rc = -1;
		PQclear(result);
	}
	query_free(&q);
	if (rc == 0)
		rc = count_missing(r, f, missing);
	return rc;
}
