/* SPDX-License-Identifier: ISC */

/*
 * What comes out of a connection's pipeline: rows rendered as they come,
 * errors put into our words, and each call ended when its last answer is
 * here.  The server is not trusted to send what was asked for.
 */

#include "../../common/log.h"
#include "postgres.h"

void
pg_op_end(struct conn *cn, struct op *op)
{
	TAILQ_REMOVE(&cn->ops, op, entry);
	free(op);
}

static void
add_bytea(struct buffer *b, const char *text, size_t len)
{
	unsigned char *raw;
	size_t rawlen;

	(void)len;
	raw = PQunescapeBytea((const unsigned char *)text, &rawlen);
	if (raw == NULL) {
		b->bad = 1;
		return;
	}
	render_base64(b, raw, rawlen);
	PQfreemem(raw);
}

static int
plain_number(const char *text)
{
	return text[0] == '-' ? text[1] >= '0' && text[1] <= '9' :
	    text[0] >= '0' && text[0] <= '9';
}

static void
add_json(struct buffer *b, const char *text, size_t len)
{
	static struct json check;

	/* The server checked it, and the server may lie. */
	if (json_parse(&check, text, len) == 0)
		(void)buffer_add(b, text, len);
	else
		(void)json_write_string(b, text, len);
}

/* "2026-02-28 12:34:56.789+00" as RFC 3339 has it; others as they are. */
static void
add_timestamp(struct buffer *b, const char *text, size_t len)
{
	static const char minutes[3] = { ':', '0', '0' };
	char out[48];
	size_t offset;

	if (len < 22 || len > 40 || text[4] != '-' || text[10] != ' ') {
		(void)json_write_string(b, text, len);
		return;
	}
	memcpy(out, text, len);
	out[10] = 'T';
	for (offset = len - 1; offset > 19 && out[offset] != '+' &&
	    out[offset] != '-'; offset--)
		;
	/* An offset of whole hours comes without its minutes. */
	if (offset > 18 && len - offset == 3) {
		memcpy(out + len, minutes, sizeof(minutes));
		len += sizeof(minutes);
	}
	(void)json_write_string(b, out, len);
}

static void
add_int8(struct buffer *b, const char *text, size_t len)
{
	/* Up to 15 digits are always exact in a double. */
	if (len <= 15 && plain_number(text) &&
	    strspn(text, "-0123456789") == len)
		(void)buffer_add(b, text, len);
	else
		render_integer(b, strtoll(text, NULL, 10));
}

static void
add_value(struct call *c, const PGresult *res, int row, int i)
{
	struct buffer *b = &c->structured;
	const char *text;
	size_t len;

	if (PQgetisnull(res, row, i)) {
		(void)buffer_add_cstr(b, "null");
		return;
	}
	text = PQgetvalue(res, row, i);
	len = (size_t)PQgetlength(res, row, i);
	switch (PQftype(res, i)) {
	case 16:	/* bool */
		(void)buffer_add_cstr(b, text[0] == 't' ? "true" : "false");
		break;
	case 20:	/* int8 */
		add_int8(b, text, len);
		break;
	case 21:	/* int2 */
	case 23:	/* int4 */
	case 26:	/* oid */
	case 700:	/* float4 */
	case 701:	/* float8 */
		if (plain_number(text) && len < 32 &&
		    strspn(text, "0123456789+-.eE") == len)
			(void)buffer_add(b, text, len);
		else
			(void)json_write_string(b, text, len);
		break;
	case 17:	/* bytea */
		add_bytea(b, text, len);
		break;
	case 1184:	/* timestamptz */
		add_timestamp(b, text, len);
		break;
	case 114:	/* json */
	case 3802:	/* jsonb */
		add_json(b, text, len);
		break;
	default:
		(void)json_write_string(b, text, len);
		break;
	}
}

static void
add_rows(struct op *op, const PGresult *res)
{
	struct call *c = op->call;
	int row, i, n = PQnfields(res), rows = PQntuples(res);

	if (c == NULL)
		return;
	if (!op->begun) {
		op->begun = 1;
		render_begin(c);
	}
	for (row = 0; row < rows && !c->truncated; row++) {
		render_row(c);
		for (i = 0; i < n; i++) {
			render_column(c, i == 0, PQfname(res, i));
			add_value(c, res, row, i);
		}
		(void)render_row_end(c);
	}
}

static int
state_is(const char *state, const char *prefix)
{
	return strncmp(state, prefix, strlen(prefix)) == 0;
}

/* The database said no: which of our words is that? */
static void
set_failure(struct conn *cn, struct call *c, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	if (c == NULL || c->failed)
		return;
	c->failed = 1;
	c->outcome = OUTCOME_INTERNAL_ERROR;
	c->reason = REASON_SOURCE_ERROR;
	if (state == NULL)
		state = "";
	if (strcmp(state, "57014") == 0) {
		c->outcome = OUTCOME_TIMEOUT;
		c->reason = REASON_SOURCE_TIMEOUT;
		return;
	}
	if (state_is(state, "22")) {
		c->outcome = OUTCOME_INVALID_INPUT;
		strlcpy(c->message, "The database cannot work with these "
		    "arguments.", sizeof(c->message));
		return;
	}
	if (state_is(state, "23")) {
		c->outcome = OUTCOME_INVALID_INPUT;
		strlcpy(c->message, "The database refused the change: it "
		    "breaks a rule of the data.", sizeof(c->message));
		return;
	}
	if (state_is(state, "53") || state_is(state, "57P") ||
	    state_is(state, "08")) {
		c->outcome = OUTCOME_SOURCE_UNAVAILABLE;
		c->reason = REASON_SOURCE_LOST;
		c->retry_after = 1;
	}
	if (strcmp(state, "25006") == 0)
		log_warn("tool %s tried to write and is not declared `writes'",
		    c->tool->name);
	pg_say(cn, c->tool->name, PQresultErrorMessage(res));
}

/* The call has its answer, good or bad. */
static void
complete(struct conn *cn, struct call *c)
{
	cn->calls--;
	if (c->failed) {
		/* An error of the server is a rollback. */
		c->may_have_run = 0;
		call_fail(c, c->outcome, c->reason);
		return;
	}
	render_end(c);
	call_done(c);
}

/* A group was cut short before this one: once more, alone. */
static void
again(struct conn *cn, struct call *c)
{
	struct postgres *p = cn->source->state;

	cn->calls--;
	if (c->tries > 1 || now_ms() >= c->deadline_ms) {
		call_fail(c, OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
		return;
	}
	c->alone = 1;
	/*
	 * Not from here: to send while a result is being read puts libpq out
	 * of step.  It leaves when all that has come is read.
	 */
	TAILQ_INSERT_TAIL(&p->waiting, c, queue_entry);
	p->nwaiting++;
}

static void
query_ended(struct conn *cn, struct op *op, int aborted)
{
	struct call *c = op->call;

	if (c == NULL)
		return;
	/* A transaction's end is its COMMIT. */
	if (c->tool->writes || cn->source->nsessions > 0) {
		if (aborted && !c->failed) {
			c->failed = 1;
			c->outcome = OUTCOME_INTERNAL_ERROR;
			c->reason = REASON_SOURCE_ERROR;
		}
		return;
	}
	op->call = NULL;
	if (aborted)
		again(cn, c);
	else
		complete(cn, c);
}

static void
commit_ended(struct conn *cn, struct op *op, const PGresult *res)
{
	struct call *c = op->call;

	if (c == NULL)
		return;
	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		set_failure(cn, c, res);
	else if (!c->failed && strcmp(PQcmdStatus((PGresult *)(uintptr_t)res),
	    "COMMIT") != 0) {
		c->failed = 1;
		c->outcome = OUTCOME_INTERNAL_ERROR;
		c->reason = REASON_SOURCE_ERROR;
	}
	op->call = NULL;
	complete(cn, c);
}

static void
refuse_statement(struct conn *cn, const struct tool *t, const char *why)
{
	cn->prepared[t->slot] = -1;
	cn->retry_ms[t->slot] = now_ms() + REPREPARE_MS;
	pg_say(cn, t->name, why);
	log_warn("tool %s: its statement is refused", t->name);
}

static void
described(struct conn *cn, const struct tool *t, const PGresult *res)
{
	int i, j, n = PQnfields(res);

	for (i = 0; i < n; i++)
		for (j = i + 1; j < n; j++)
			if (strcmp(PQfname(res, i), PQfname(res, j)) == 0) {
				refuse_statement(cn, t,
				    "two of its columns have one name");
				return;
			}
}

/* One result of the op at the head.  Returns 1 where the op is over. */
static int
take_result(struct conn *cn, struct op *op, const PGresult *res)
{
	ExecStatusType status = PQresultStatus(res);
	int failed = status == PGRES_FATAL_ERROR ||
	    status == PGRES_NONFATAL_ERROR || status == PGRES_BAD_RESPONSE;

	op->started = 1;
	if (status == PGRES_PIPELINE_SYNC)
		return op->kind == OP_SYNC;
	if (failed)
		cn->timeout_ms = -1;
	switch (op->kind) {
	case OP_QUERY:
		if (status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK ||
		    status == PGRES_COMMAND_OK)
			add_rows(op, res);
		if (failed)
			set_failure(cn, op->call, res);
		if (status != PGRES_SINGLE_TUPLE)
			query_ended(cn, op, status == PGRES_PIPELINE_ABORTED);
		break;
	case OP_SIDE:
		if (failed)
			set_failure(cn, op->call, res);
		break;
	case OP_COMMIT:
		commit_ended(cn, op, res);
		break;
	case OP_PREPARE:
		if (failed)
			refuse_statement(cn, op->tool,
			    PQresultErrorMessage(res));
		break;
	case OP_DESCRIBE:
		if (status == PGRES_COMMAND_OK)
			described(cn, op->tool, res);
		break;
	case OP_SYNC:
		break;
	}
	return 0;
}

void
pg_process(struct conn *cn)
{
	PGresult *res;
	struct op *op;
	int over;

	while (!cn->lost && (op = TAILQ_FIRST(&cn->ops)) != NULL &&
	    !PQisBusy(cn->pg)) {
		/* Rows one by one, so that a cap bounds the memory too. */
		if (op->kind == OP_QUERY && !op->started)
			(void)PQsetSingleRowMode(cn->pg);
		if ((res = PQgetResult(cn->pg)) == NULL) {
			if (PQstatus(cn->pg) != CONNECTION_OK)
				return;
			if (op->started) {
				pg_op_end(cn, op);
			} else if (PQisBusy(cn->pg)) {
				return;
			} else if (++cn->busy > 4) {
				/* Nothing comes and nothing is awaited. */
				cn->busy = 0;
				return;
			}
			continue;
		}
		cn->busy = 0;
		over = take_result(cn, op, res);
		PQclear(res);
		if (over)
			pg_op_end(cn, op);
	}
	cn->busy = 0;
}

