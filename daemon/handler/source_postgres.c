/* SPDX-License-Identifier: ISC */

/*
 * Postgres as a source: libpq, asynchronous, in pipeline mode, every
 * statement prepared once a connection and its arguments bound as text.
 *
 * The server holds tools that read read-only: the connection's default is
 * read-only and has the timeout, and where settings of the session are made
 * the transaction is READ ONLY.  Reads without such settings share a group:
 * one Sync a loop turn.  An error in a group aborts those behind it; they are
 * asked once more, alone.  A write has a group of its own and is never asked
 * twice.
 *
 * A transaction is two groups: BEGIN, settings, statement, Sync, then COMMIT
 * and Sync.  Where the first fails its rest is skipped and the COMMIT becomes
 * a rollback, so that the connection is clean whatever happened.
 */

#include <errno.h>
#include <stdio.h>

#include <event2/event.h>
#include <libpq-fe.h>

#include "../../common/log.h"
#include "source.h"

#define DEPTH_MAX	64	/* calls in flight on one connection */
#define WAITING_MAX	1024	/* calls that wait for a connection */
#define GRACE_MS	500	/* over a tool's timeout, for the server's own */
#define BACKOFF_MIN_MS	100
#define BACKOFF_MAX_MS	5000
#define REPREPARE_MS	5000	/* a refused statement is tried so often */

enum op_kind {
	OP_QUERY,		/* the tool's statement */
	OP_SIDE,		/* something around it */
	OP_COMMIT,		/* its end */
	OP_PREPARE,
	OP_DESCRIBE,
	OP_SYNC
};

struct op {
	TAILQ_ENTRY(op)	 entry;
	enum op_kind	 kind;
	struct call	*call;		/* NULL: none, or not ours any more */
	const struct tool *tool;
	int		 started;	/* a result of it was seen */
	int		 begun;		/* its rows are being rendered */
};

enum conn_state { CONN_DOWN, CONN_CONNECTING, CONN_UP };

struct conn {
	struct source	*source;
	PGconn		*pg;
	enum conn_state	 state;
	struct event	*reading, *writing, *timer;
	TAILQ_HEAD(, op) ops;
	uint32_t	 calls;		/* in flight */
	int		 need_sync;	/* something was queued since the last */
	int64_t		 timeout_ms;	/* of the session; -1: not known */
	uint32_t	 backoff_ms;
	int		 failed;	/* the last attempt did */
	int		*prepared;	/* by slot: 1 sent, -1 refused */
	uint64_t	*retry_ms;	/* by slot: when to try again */
	int		 busy;		/* inside its own callbacks */
	int		 lost;
};

struct postgres {
	struct conn		*conns;
	TAILQ_HEAD(, call)	 waiting;
	uint32_t		 nwaiting;
};

static void	connect_start(struct conn *);
static void	conn_lost(struct conn *, const char *);
static void	dispatch_waiting(struct source *);
static void	process(struct conn *);

static const Oid param_oids[PARAM_TYPE_MAX] = {
	[PARAM_INTEGER] = 20, [PARAM_NUMBER] = 701, [PARAM_STRING] = 25,
	[PARAM_BOOLEAN] = 16, [PARAM_DATE] = 1082, [PARAM_TIMESTAMP] = 1184,
	[PARAM_UUID] = 2950, [PARAM_ENUM] = 25,
};

static void
say(const struct conn *cn, const char *what, const char *error)
{
	char safe[256];
	size_t len;

	log_safe(safe, sizeof(safe), slice_of(error));
	/* libpq ends its messages with a newline, which is '?' by now. */
	len = strlen(safe);
	if (len > 0 && safe[len - 1] == '?')
		safe[len - 1] = '\0';
	log_warn("source %s: %s: %s", cn->source->name, what, safe);
}

/* ---- ops --------------------------------------------------------------- */

static struct op *
op_add(struct conn *cn, enum op_kind kind, struct call *call,
    const struct tool *tool)
{
	struct op *op;

	if ((op = calloc(1, sizeof(*op))) == NULL)
		fatal("out of memory");
	op->kind = kind;
	op->call = call;
	op->tool = tool;
	TAILQ_INSERT_TAIL(&cn->ops, op, entry);
	if (kind != OP_SYNC)
		cn->need_sync = 1;
	return op;
}

static void
op_end(struct conn *cn, struct op *op)
{
	TAILQ_REMOVE(&cn->ops, op, entry);
	free(op);
}

static int
sync_now(struct conn *cn)
{
	if (!cn->need_sync)
		return 0;
	cn->need_sync = 0;
	if (PQpipelineSync(cn->pg) != 1)
		return -1;
	(void)op_add(cn, OP_SYNC, NULL, NULL);
	return 0;
}

static int
send_text(struct conn *cn, struct call *c, enum op_kind kind, const char *sql)
{
	if (PQsendQueryParams(cn->pg, sql, 0, NULL, NULL, NULL, NULL, 0) != 1)
		return -1;
	(void)op_add(cn, kind, c, NULL);
	return 0;
}

static int
send_config(struct conn *cn, struct call *c, const char *name,
    const char *value, int local)
{
	const char *values[2] = { name, value };
	static const Oid types[2] = { 25, 25 };

	if (PQsendQueryParams(cn->pg, local ?
	    "SELECT set_config($1, $2, true)" :
	    "SELECT set_config($1, $2, false)", 2, types, values, NULL, NULL,
	    0) != 1)
		return -1;
	(void)op_add(cn, OP_SIDE, c, NULL);
	return 0;
}

static void
statement_name(char *out, size_t size, const struct tool *t)
{
	(void)snprintf(out, size, "t%u", t->slot);
}

static Oid
oid_of(const struct tool *t, uint32_t i)
{
	return t->binds[i].of_caller ? param_oids[PARAM_STRING] :
	    param_oids[t->params[t->binds[i].param].type];
}

/* In a group of its own: a statement that is refused aborts nobody. */
static int
send_prepare(struct conn *cn, const struct tool *t)
{
	Oid types[BINDS_MAX];
	char name[16];
	uint32_t i;

	for (i = 0; i < t->nbinds; i++)
		types[i] = oid_of(t, i);
	statement_name(name, sizeof(name), t);
	if (sync_now(cn) == -1 ||
	    PQsendPrepare(cn->pg, name, t->sql, (int)t->nbinds, types) != 1)
		return -1;
	(void)op_add(cn, OP_PREPARE, NULL, t);
	if (PQsendDescribePrepared(cn->pg, name) != 1)
		return -1;
	(void)op_add(cn, OP_DESCRIBE, NULL, t);
	cn->prepared[t->slot] = 1;
	return sync_now(cn);
}

static int
send_statement(struct conn *cn, struct call *c)
{
	const char *values[BINDS_MAX];
	const struct tool *t = c->tool;
	char name[16];
	uint32_t i;

	for (i = 0; i < t->nbinds; i++)
		values[i] = c->bound[i].null ? NULL :
		    (const char *)c->arena.data + c->bound[i].at;
	statement_name(name, sizeof(name), t);
	if (PQsendQueryPrepared(cn->pg, name, (int)t->nbinds, values, NULL,
	    NULL, 0) != 1)
		return -1;
	(void)op_add(cn, OP_QUERY, c, t);
	return 0;
}

static int
send_timeout(struct conn *cn, struct call *c, int local)
{
	char text[16];

	if (!local && cn->timeout_ms == (int64_t)c->tool->timeout_ms)
		return 0;
	if (local && c->tool->timeout_ms == cn->source->timeout_ms &&
	    cn->timeout_ms == (int64_t)c->tool->timeout_ms)
		return 0;
	(void)snprintf(text, sizeof(text), "%u", c->tool->timeout_ms);
	if (!local)
		cn->timeout_ms = c->tool->timeout_ms;
	return send_config(cn, local ? c : NULL, "statement_timeout", text,
	    local);
}

static int
send_transaction(struct conn *cn, struct call *c)
{
	const struct source *s = cn->source;
	struct slice value;
	char *text;
	uint32_t i;
	int rc;

	if (sync_now(cn) == -1 || send_text(cn, c, OP_SIDE, c->tool->writes ?
	    "BEGIN READ WRITE" : "BEGIN READ ONLY") == -1 ||
	    send_timeout(cn, c, 1) == -1)
		return -1;
	for (i = 0; i < s->nsessions; i++) {
		/* Authd lets nobody through who lacks one; still: no NULL. */
		if (identity_value(&c->identity,
		    slice_of(s->session[i].value), &value) == -1)
			value = slice_of("");
		if ((text = slice_dup(value)) == NULL)
			return -1;
		rc = send_config(cn, c, s->session[i].name, text, 1);
		free(text);
		if (rc == -1)
			return -1;
	}
	if (send_statement(cn, c) == -1 || sync_now(cn) == -1 ||
	    send_text(cn, c, OP_COMMIT, "COMMIT") == -1)
		return -1;
	return sync_now(cn);
}

static int
send_call(struct conn *cn, struct call *c)
{
	if (c->tool->writes || cn->source->nsessions > 0)
		return send_transaction(cn, c);
	if (c->alone && sync_now(cn) == -1)
		return -1;
	if (send_timeout(cn, c, 0) == -1 || send_statement(cn, c) == -1)
		return -1;
	return c->alone ? sync_now(cn) : 0;
}

/* ---- choosing a connection --------------------------------------------- */

static struct conn *
best_conn(struct source *s)
{
	struct postgres *p = s->state;
	struct conn *cn, *best = NULL;
	uint32_t i;

	for (i = 0; i < s->connections; i++) {
		cn = &p->conns[i];
		if (cn->state == CONN_UP && !cn->lost &&
		    cn->calls < DEPTH_MAX &&
		    (best == NULL || cn->calls < best->calls))
			best = cn;
	}
	return best;
}

/* Whether one may come up without a failure in between. */
static int
may_come_up(struct source *s)
{
	struct postgres *p = s->state;
	uint32_t i;

	for (i = 0; i < s->connections; i++)
		if (p->conns[i].state == CONN_UP || !p->conns[i].failed)
			return 1;
	return 0;
}

static int
statement_usable(struct conn *cn, const struct tool *t)
{
	int *state = &cn->prepared[t->slot];

	if (*state == -1 && now_ms() >= cn->retry_ms[t->slot])
		*state = 0;
	if (*state == 0 && send_prepare(cn, t) == -1)
		return -1;
	return *state == 1;
}

static void
give(struct conn *cn, struct call *c)
{
	int usable = statement_usable(cn, c->tool);

	if (usable == 0) {
		call_fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_ERROR);
		return;
	}
	cn->calls++;
	c->tries++;
	c->failed = 0;
	if (c->tool->writes)
		c->may_have_run = 1;
	if (usable == -1 || send_call(cn, c) == -1) {
		/* What was queued for it goes with the connection. */
		say(cn, "cannot send", PQerrorMessage(cn->pg));
		cn->lost = 1;
		event_active(cn->reading, EV_READ, 0);
	}
}

static void
pg_run(struct source *s, struct call *c)
{
	struct postgres *p = s->state;
	struct conn *cn = best_conn(s);

	if (cn != NULL) {
		give(cn, c);
	} else if (!may_come_up(s)) {
		c->retry_after = 1;
		call_fail(c, OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
	} else if (p->nwaiting >= WAITING_MAX) {
		c->retry_after = 1;
		call_fail(c, OUTCOME_OVERLOADED, REASON_QUEUE_FULL);
	} else {
		p->nwaiting++;
		TAILQ_INSERT_TAIL(&p->waiting, c, queue_entry);
	}
}

static void
dispatch_waiting(struct source *s)
{
	struct postgres *p = s->state;
	struct conn *cn;
	struct call *c;

	while ((c = TAILQ_FIRST(&p->waiting)) != NULL &&
	    (cn = best_conn(s)) != NULL) {
		TAILQ_REMOVE(&p->waiting, c, queue_entry);
		p->nwaiting--;
		give(cn, c);
	}
	if (TAILQ_EMPTY(&p->waiting) || may_come_up(s))
		return;
	while ((c = TAILQ_FIRST(&p->waiting)) != NULL) {
		TAILQ_REMOVE(&p->waiting, c, queue_entry);
		p->nwaiting--;
		c->retry_after = 1;
		call_fail(c, OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
	}
}

/* ---- results ----------------------------------------------------------- */

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

static void
add_int8(struct buffer *b, const char *text, size_t len)
{
	/* Up to 15 digits are always exact in a double. */
	if (len <= 15 && plain_number(text))
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
	say(cn, c->tool->name, PQresultErrorMessage(res));
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
	cn->calls--;
	if (c->tries > 1 || now_ms() >= c->deadline_ms) {
		call_fail(c, OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
		return;
	}
	c->alone = 1;
	pg_run(cn->source, c);
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
	say(cn, t->name, why);
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

static void
process(struct conn *cn)
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
				op_end(cn, op);
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
			op_end(cn, op);
	}
	cn->busy = 0;
}

/* ---- connections ------------------------------------------------------- */

static void
want_events(struct conn *cn, int read, int write)
{
	if (read)
		(void)event_add(cn->reading, NULL);
	else
		(void)event_del(cn->reading);
	if (write)
		(void)event_add(cn->writing, NULL);
	else
		(void)event_del(cn->writing);
}

static void
flush_conn(struct conn *cn)
{
	int rc = PQflush(cn->pg);

	if (rc == -1)
		conn_lost(cn, PQerrorMessage(cn->pg));
	else
		want_events(cn, 1, rc == 1);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *cn = arg;

	(void)fd;
	if (cn->state != CONN_UP)
		return;
	if (cn->lost) {
		conn_lost(cn, "given up");
		return;
	}
	if ((what & EV_READ) && PQconsumeInput(cn->pg) != 1) {
		conn_lost(cn, PQerrorMessage(cn->pg));
		return;
	}
	process(cn);
	if (cn->lost || PQstatus(cn->pg) != CONNECTION_OK) {
		conn_lost(cn, PQerrorMessage(cn->pg));
		return;
	}
	dispatch_waiting(cn->source);
	if (what & EV_WRITE)
		flush_conn(cn);
}

static void
arm_timer(struct conn *cn, uint32_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000),
	    (suseconds_t)(ms % 1000 * 1000) };

	(void)evtimer_add(cn->timer, &tv);
}

static void
drop_events(struct conn *cn)
{
	if (cn->reading != NULL)
		event_free(cn->reading);
	if (cn->writing != NULL)
		event_free(cn->writing);
	cn->reading = cn->writing = NULL;
}

static void
schedule_reconnect(struct conn *cn)
{
	cn->state = CONN_DOWN;
	cn->backoff_ms = cn->backoff_ms == 0 ? BACKOFF_MIN_MS :
	    cn->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS :
	    cn->backoff_ms * 2;
	arm_timer(cn, cn->backoff_ms / 2 +
	    arc4random_uniform(cn->backoff_ms / 2 + 1));
}

static void
call_lost(struct conn *cn, struct call *c)
{
	cn->calls--;
	if (!c->tool->writes) {
		if (c->tries == 1 && now_ms() < c->deadline_ms) {
			pg_run(cn->source, c);
			return;
		}
		c->retry_after = 1;
		call_fail(c, now_ms() >= c->deadline_ms ? OUTCOME_TIMEOUT :
		    OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
		return;
	}
	strlcpy(c->message, "The connection to the database was lost while "
	    "the call ran: it may have taken effect. Do not repeat it before "
	    "you have looked.", sizeof(c->message));
	call_fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_LOST);
}

static void
conn_lost(struct conn *cn, const char *why)
{
	struct call *lost[DEPTH_MAX + 1];
	struct call *last = NULL;
	struct op *op;
	uint32_t n = 0, i;

	if (cn->state == CONN_UP)
		say(cn, "connection lost", why);
	else if (!cn->failed)
		say(cn, "cannot connect", why);
	cn->failed = 1;
	cn->lost = 0;
	drop_events(cn);
	while ((op = TAILQ_FIRST(&cn->ops)) != NULL) {
		if (op->call != NULL && op->call != last &&
		    n <= DEPTH_MAX) {
			last = op->call;
			lost[n++] = last;
		}
		op_end(cn, op);
	}
	if (cn->pg != NULL)
		PQfinish(cn->pg);
	cn->pg = NULL;
	schedule_reconnect(cn);
	for (i = 0; i < n; i++)
		call_lost(cn, lost[i]);
	cn->calls = 0;
	dispatch_waiting(cn->source);
}

static void
conn_up(struct conn *cn)
{
	struct source *s = cn->source;
	uint32_t i;
	int fd = PQsocket(cn->pg);

	drop_events(cn);
	cn->reading = event_new(child.base, fd, EV_READ | EV_PERSIST,
	    on_event, cn);
	cn->writing = event_new(child.base, fd, EV_WRITE, on_event, cn);
	if (cn->reading == NULL || cn->writing == NULL)
		fatal("out of memory");
	if (PQsetnonblocking(cn->pg, 1) != 0 ||
	    PQenterPipelineMode(cn->pg) != 1) {
		conn_lost(cn, PQerrorMessage(cn->pg));
		return;
	}
	evtimer_del(cn->timer);
	cn->state = CONN_UP;
	cn->failed = 0;
	cn->backoff_ms = 0;
	cn->calls = 0;
	cn->need_sync = 0;
	cn->timeout_ms = s->timeout_ms;
	memset(cn->prepared, 0, s->ntools * sizeof(int));
	log_debug("source %s: connected", s->name);
	for (i = 0; i < s->ntools; i++)
		if (send_prepare(cn, s->tools[i]) == -1) {
			conn_lost(cn, PQerrorMessage(cn->pg));
			return;
		}
	flush_conn(cn);
	if (cn->state == CONN_UP)
		dispatch_waiting(s);
}

static void
on_connecting(evutil_socket_t fd, short what, void *arg)
{
	struct conn *cn = arg;
	PostgresPollingStatusType poll;

	(void)fd;
	(void)what;
	poll = PQconnectPoll(cn->pg);
	drop_events(cn);
	if (poll == PGRES_POLLING_FAILED) {
		conn_lost(cn, PQerrorMessage(cn->pg));
		return;
	}
	if (poll == PGRES_POLLING_OK) {
		conn_up(cn);
		return;
	}
	/* The socket may be another one after each step. */
	cn->reading = event_new(child.base, PQsocket(cn->pg),
	    poll == PGRES_POLLING_READING ? EV_READ : EV_WRITE, on_connecting,
	    cn);
	if (cn->reading == NULL || event_add(cn->reading, NULL) == -1)
		conn_lost(cn, "out of memory");
}

static void
connect_start(struct conn *cn)
{
	struct source *s = cn->source;
	char options[96];
	const char *names[] = { "dbname", "options", "application_name",
	    "passfile", "client_encoding", NULL };
	const char *values[] = { s->target, options, "pontifexd",
	    "/nonexistent", "UTF8", NULL };

	(void)snprintf(options, sizeof(options), "-c "
	    "default_transaction_read_only=on -c statement_timeout=%u",
	    s->timeout_ms);
	cn->state = CONN_CONNECTING;
	cn->pg = PQconnectStartParams(names, values, 1);
	if (cn->pg == NULL || PQstatus(cn->pg) == CONNECTION_BAD) {
		conn_lost(cn, cn->pg == NULL ? "out of memory" :
		    PQerrorMessage(cn->pg));
		return;
	}
	arm_timer(cn, s->connect_timeout_ms);
	cn->reading = event_new(child.base, PQsocket(cn->pg), EV_WRITE,
	    on_connecting, cn);
	if (cn->reading == NULL || event_add(cn->reading, NULL) == -1)
		conn_lost(cn, "out of memory");
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *cn = arg;

	(void)fd;
	(void)what;
	if (cn->state == CONN_CONNECTING)
		conn_lost(cn, "no connection within the connect timeout");
	else if (cn->state == CONN_DOWN)
		connect_start(cn);
}

/* ---- the source -------------------------------------------------------- */

/* What the DSN says we must reach: a socket's folder, or a port. */
static int
needs_of(struct source *s, struct sandbox_needs *needs)
{
	PQconninfoOption *options, *o;
	const char *host = NULL, *addr = NULL, *port = NULL;
	const char *problem;
	char *error = NULL;
	long long number;

	if ((options = PQconninfoParse(s->target, &error)) == NULL) {
		/* The message may quote the DSN: not for the log. */
		log_warn("source %s: its dsn cannot be read by libpq",
		    s->name);
		PQfreemem(error);
		return -1;
	}
	for (o = options; o->keyword != NULL; o++) {
		if (o->val == NULL || o->val[0] == '\0')
			continue;
		if (strcmp(o->keyword, "host") == 0)
			host = o->val;
		else if (strcmp(o->keyword, "hostaddr") == 0)
			addr = o->val;
		else if (strcmp(o->keyword, "port") == 0)
			port = o->val;
	}
	number = port == NULL ? 5432 : strtonum(port, 1, 65535, &problem);
	if (port != NULL && problem != NULL)
		number = 5432;
	if (addr == NULL && (host == NULL || host[0] == '/')) {
		sandbox_path(needs, strdup(host == NULL ?
		    "/var/run/postgresql" : host), SANDBOX_CONNECT);
	} else {
		sandbox_port(needs, (uint16_t)number);
		if (addr == NULL)
			needs->resolve = 1;
	}
	PQconninfoFree(options);
	return 0;
}

static int
pg_prepare(struct source *s, struct sandbox_needs *needs)
{
	struct postgres *p = calloc(1, sizeof(*p));
	uint32_t i;

	if (p == NULL || (p->conns = calloc(s->connections,
	    sizeof(*p->conns))) == NULL)
		return -1;
	TAILQ_INIT(&p->waiting);
	s->state = p;
	for (i = 0; i < s->connections; i++) {
		p->conns[i].source = s;
		TAILQ_INIT(&p->conns[i].ops);
		p->conns[i].prepared = calloc(s->ntools + 1, sizeof(int));
		p->conns[i].retry_ms = calloc(s->ntools + 1, sizeof(uint64_t));
		p->conns[i].timer = evtimer_new(child.base, on_timer,
		    &p->conns[i]);
		if (p->conns[i].prepared == NULL ||
		    p->conns[i].retry_ms == NULL || p->conns[i].timer == NULL)
			return -1;
	}
	return needs_of(s, needs);
}

static int
pg_start(struct source *s)
{
	struct postgres *p = s->state;
	uint32_t i;

	for (i = 0; i < s->connections; i++)
		connect_start(&p->conns[i]);
	return 0;
}

/* One Sync and one send for all that came in this turn. */
static void
pg_turn(struct source *s)
{
	struct postgres *p = s->state;
	struct conn *cn;
	uint32_t i;

	for (i = 0; i < s->connections; i++) {
		cn = &p->conns[i];
		if (cn->state != CONN_UP || cn->lost || !cn->need_sync)
			continue;
		if (sync_now(cn) == -1)
			conn_lost(cn, PQerrorMessage(cn->pg));
		else
			flush_conn(cn);
	}
}

static int
conn_is_stuck(const struct conn *cn, uint64_t now)
{
	const struct op *op;

	TAILQ_FOREACH(op, &cn->ops, entry)
		if (op->call != NULL &&
		    op->call->deadline_ms + GRACE_MS <= now)
			return 1;
	return 0;
}

static void
pg_sweep(struct source *s, uint64_t now)
{
	struct postgres *p = s->state;
	struct call *c, *next;
	uint32_t i;

	for (i = 0; i < s->connections; i++)
		if (p->conns[i].state == CONN_UP &&
		    conn_is_stuck(&p->conns[i], now))
			conn_lost(&p->conns[i],
			    "no answer within the tool's timeout");
	TAILQ_FOREACH_SAFE(c, &p->waiting, queue_entry, next) {
		if (c->deadline_ms > now)
			continue;
		TAILQ_REMOVE(&p->waiting, c, queue_entry);
		p->nwaiting--;
		call_fail(c, OUTCOME_TIMEOUT, REASON_QUEUE_FULL);
	}
}

static void
pg_status(struct source *s, struct buffer *b)
{
	struct postgres *p = s->state;
	uint32_t i, up = 0, calls = 0;

	for (i = 0; i < s->connections; i++) {
		up += p->conns[i].state == CONN_UP;
		calls += p->conns[i].calls;
	}
	(void)buffer_printf(b, "postgres, %u of %u connections up, "
	    "%u in flight, %u waiting", up, s->connections, calls,
	    p->nwaiting);
}

const struct source_ops source_postgres_ops = {
	.prepare = pg_prepare, .start = pg_start, .run = pg_run,
	.turn = pg_turn, .sweep = pg_sweep, .status = pg_status
};
