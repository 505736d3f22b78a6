/* SPDX-License-Identifier: ISC */

/*
 * What comes back on a connection, in the order in which it was asked, and
 * what that means for the call behind it.  The server's words are for the
 * log, and only where they hold no argument; a caller reads our own.
 */

#include <stdio.h>

#include "../../common/log.h"
#include "pg.h"

static int
state_is(const char *state, const char *prefix)
{
	return strncmp(state, prefix, strlen(prefix)) == 0;
}

static const char *
state_of(const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	return state == NULL ? "" : state;
}

/*
 * Whether it is the end of the connection, rather than of the statement.
 * What libpq says by itself has no state.
 */
static int
ends_connection(const struct conn *cn, const PGresult *res)
{
	const char *state = state_of(res), *severity =
	    PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

	return PQstatus(cn->pg) != CONNECTION_OK || state[0] == '\0' ||
	    state_is(state, "57P") || state_is(state, "08") ||
	    (severity != NULL && strcmp(severity, "FATAL") == 0);
}

/* By somebody's order, or since the process of another connection crashed. */
static int
is_dismissal(const char *state)
{
	return strcmp(state, "57P01") == 0 || strcmp(state, "57P02") == 0;
}

/* It was rolled back for another's sake: once more, it may well succeed. */
static int
is_transient(const char *state)
{
	/* A serialization failure, or a standby's conflict; a deadlock. */
	return strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0;
}

/* A cancel that was meant for another statement. */
static int
is_stray_cancel(const struct conn *cn, const struct op *op,
    const PGresult *res)
{
	return strcmp(state_of(res), "57014") == 0 &&
	    (op->shaken || cn->cancelling) &&
	    (op->call == NULL || !op->call->cancelled);
}

/* ---- the end of a call ------------------------------------------------- */

static void
fail(struct call *c, enum outcome outcome, enum reason reason,
    const char *message)
{
	c->failed = 1;
	c->outcome = outcome;
	c->reason = reason;
	strlcpy(c->message, message, sizeof(c->message));
}

static void
error_text(char *out, size_t size, const PGresult *res)
{
	const char *primary = PQresultErrorField(res,
	    PG_DIAG_MESSAGE_PRIMARY);

	(void)snprintf(out, size, "%s: %s", state_of(res),
	    primary == NULL ? "no message" : primary);
}

static void
say_error(const struct conn *cn, const struct tool *t, const PGresult *res)
{
	char text[256];

	error_text(text, sizeof(text), res);
	pg_say(cn, t->name, text);
}

/* The database said no: which of our words is that? */
static void
set_failure(struct conn *cn, struct call *c, const PGresult *res)
{
	const char *state = state_of(res);

	if (c == NULL || c->failed)
		return;
	if (strcmp(state, "57014") == 0) {
		if (c->cancelled)
			fail(c, OUTCOME_CANCELLED, REASON_CANCELLED, "");
		else
			fail(c, OUTCOME_TIMEOUT, REASON_SOURCE_TIMEOUT, "");
		return;
	}
	if (is_transient(state)) {
		c->retry_after = 1;
		fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_ERROR,
		    "The database could not run this beside other work and "
		    "took it back. Try again.");
		c->transient = 1;
		return;
	}
	if (state_is(state, "22")) {
		fail(c, OUTCOME_INVALID_INPUT, REASON_SOURCE_ERROR,
		    "The database cannot work with these arguments.");
		return;
	}
	if (state_is(state, "23")) {
		fail(c, OUTCOME_INVALID_INPUT, REASON_SOURCE_ERROR,
		    "The database refused the change: it breaks a rule of the "
		    "data.");
		return;
	}
	if (state_is(state, "53")) {
		fail(c, OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST, "");
		c->retry_after = 1;
	} else {
		fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_ERROR, "");
	}
	if (strcmp(state, "25006") == 0)
		log_warn("tool %s tried to write and is not declared `writes'",
		    c->tool->name);
	say_error(cn, c->tool, res);
}

static void	again(struct conn *, struct call *);

/* The call has its answer, good or bad. */
static void
complete(struct conn *cn, struct call *c)
{
	if (c->repeat && !c->failed && !c->tool->writes) {
		again(cn, c);
		return;
	}
	pg_forget(cn, c);
	if (c->failed) {
		if (c->transient && !c->tool->writes && !c->cancelled &&
		    c->tries < TRIES_MAX && now_ms() < c->deadline_ms) {
			pg_later(cn->source, c);
			return;
		}
		/* An error of the server is a rollback. */
		c->may_have_run = 0;
		call_fail(c, c->outcome, c->reason);
		return;
	}
	render_end(c);
	call_done(c);
}

/*
 * A group was cut short before this one: once more, alone.  Not from here:
 * where a group is aborted, to send before the NULL behind a result is to lose
 * that NULL, and with it the order of things.
 */
static void
again(struct conn *cn, struct call *c)
{
	pg_forget(cn, c);
	c->repeat = 0;
	if (now_ms() >= c->deadline_ms) {
		call_fail(c, OUTCOME_TIMEOUT, REASON_SOURCE_TIMEOUT);
		return;
	}
	if (c->tries >= TRIES_MAX) {
		c->retry_after = 1;
		call_fail(c, OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
		return;
	}
	c->alone = 1;
	pg_wait(cn->source, c);
}

/*
 * It has all the rows that it may have.  What follows is read and dropped,
 * for a moment; nobody waits for it.
 */
static void
answer_early(struct conn *cn, struct op *op)
{
	op->drain_ms = now_ms() + DRAIN_MS;
	complete(cn, op->call);
}

/* ---- statements -------------------------------------------------------- */

static void
refuse_statement(struct conn *cn, const struct tool *t, const char *why)
{
	struct pg_statement *st = pg_statement_of(cn, t);

	st->state = STATEMENT_REFUSED;
	st->retry_ms = now_ms() + REPREPARE_MS;
	log_warn("source %s: tool %s: its statement is refused: %s",
	    cn->source->name, t->name, why);
}

static int
columns_differ(const PGresult *res)
{
	int i, j, n = PQnfields(res);

	for (i = 0; i < n; i++)
		for (j = i + 1; j < n; j++)
			if (strcmp(PQfname(res, i), PQfname(res, j)) == 0)
				return 0;
	return 1;
}

static void
described(struct conn *cn, const struct tool *t, const PGresult *res)
{
	static const char twins[] = "two of its columns have one name";

	if (!columns_differ(res)) {
		refuse_statement(cn, t, twins);
		pg_survey_refused(cn, t, twins);
		return;
	}
	pg_survey_described(cn, t, res);
	pg_statement_of(cn, t)->state = STATEMENT_GOOD;
}

/* Its table changed under it, or something took it away: prepare it anew. */
static int
is_stale(const PGresult *res)
{
	const char *routine = PQresultErrorField(res,
	    PG_DIAG_SOURCE_FUNCTION);

	return strcmp(state_of(res), "26000") == 0 ||
	    (strcmp(state_of(res), "0A000") == 0 && routine != NULL &&
	    strcmp(routine, "RevalidateCachedQuery") == 0);
}

/* ---- results ----------------------------------------------------------- */

static void
add_rows(struct conn *cn, struct op *op, const PGresult *res)
{
	struct call *c = op->call;
	int row, i, n = PQnfields(res), rows = PQntuples(res);

	if (c == NULL) {
		/* A write that waits behind is worth more than the time. */
		if (op->drain_ms != 0 && now_ms() > op->drain_ms &&
		    cn->writes == 0)
			pg_give_up(cn, "many more rows than a tool may answer");
		return;
	}
	if (!op->begun) {
		op->begun = 1;
		render_begin(c);
		/* What was described may have been another session's. */
		if (cn->source->pooler && !columns_differ(res) && !c->failed)
			fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_ERROR,
			    "");
	}
	for (row = 0; row < rows && !c->truncated; row++) {
		render_row(c);
		for (i = 0; i < n; i++) {
			render_column(c, i == 0, PQfname(res, i));
			pg_add_value(&c->structured, res, row, i);
		}
		(void)render_row_end(c);
	}
}

static void
query_ended(struct conn *cn, struct op *op, int repeat)
{
	struct call *c = op->call;

	if (c == NULL)
		return;
	/* A transaction's end is its COMMIT. */
	if (pg_is_transaction(cn->source, c->tool)) {
		if (repeat && !c->failed && c->tool->writes)
			fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_ERROR,
			    "");
		c->repeat |= repeat;
		return;
	}
	if (repeat && !c->failed)
		again(cn, c);
	else
		complete(cn, c);
}

static void
query_result(struct conn *cn, struct op *op, const PGresult *res)
{
	struct pg_statement *st = pg_statement_of(cn, op->tool);
	struct call *c = op->call;

	switch (PQresultStatus(res)) {
	case PGRES_SINGLE_TUPLE:
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
		if (c != NULL && st->state == STATEMENT_REFUSED && !c->failed)
			fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_ERROR,
			    "");
		add_rows(cn, op, res);
		if (PQresultStatus(res) != PGRES_SINGLE_TUPLE)
			query_ended(cn, op, 0);
		else if (c != NULL && c->truncated && !c->failed &&
		    !c->tool->writes)
			answer_early(cn, op);
		break;
	case PGRES_PIPELINE_ABORTED:
		query_ended(cn, op, 1);
		break;
	case PGRES_FATAL_ERROR:
		if (is_stray_cancel(cn, op, res)) {
			query_ended(cn, op, 1);
			break;
		}
		if (st->state != STATEMENT_REFUSED && is_stale(res)) {
			st->state = STATEMENT_NONE;
			query_ended(cn, op, 1);
			break;
		}
		set_failure(cn, c, res);
		query_ended(cn, op, 0);
		break;
	default:
		/* COPY and its like: not what a tool may be. */
		if (c != NULL)
			fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_ERROR,
			    "");
		pg_give_up(cn, "a result that is no rows");
		break;
	}
}

static void
commit_result(struct conn *cn, struct op *op, PGresult *res)
{
	struct call *c = op->call;

	if (c == NULL)
		return;
	if (PQresultStatus(res) != PGRES_COMMAND_OK) {
		if (is_stray_cancel(cn, op, res) && !c->tool->writes)
			c->repeat = 1;
		else
			set_failure(cn, c, res);
	} else if (!c->failed && !c->repeat &&
	    (c->tool->writes || !cn->source->pooler) &&
	    strcmp(PQcmdStatus(res), "COMMIT") != 0) {
		fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_ERROR, "");
	}
	complete(cn, c);
}

static void
prepare_result(struct conn *cn, struct op *op, const PGresult *res)
{
	enum statement_state *state = &pg_statement_of(cn, op->tool)->state;
	int ok = PQresultStatus(res) == PGRES_COMMAND_OK;
	char text[256];

	if (op->kind == OP_PREPARE) {
		if (!ok && is_stray_cancel(cn, op, res)) {
			*state = STATEMENT_NONE;
		} else if (!ok) {
			say_error(cn, op->tool, res);
			refuse_statement(cn, op->tool,
			    "it cannot be prepared");
			error_text(text, sizeof(text), res);
			pg_survey_refused(cn, op->tool, text);
		}
		return;
	}
	if (ok && *state == STATEMENT_ASKED)
		described(cn, op->tool, res);
	else if (*state == STATEMENT_ASKED)
		refuse_statement(cn, op->tool, "it cannot be described");
	if (--cn->preparing == 0)
		pg_conn_prepared(cn);
}

/*
 * The setting is reported to us whenever it changes: a function that lets
 * itself write in the next transaction loses the connection.
 */
static void
check_read_only(struct conn *cn)
{
	const char *value = PQparameterStatus(cn->pg,
	    "default_transaction_read_only");

	/* A pooler's session is not ours: there each transaction says it. */
	if (cn->source->pooler)
		return;
	if (value != NULL && strcmp(value, "on") != 0)
		pg_give_up(cn, "a statement made the session writable");
}

/* One result of the first op.  Returns 1 where the op is over. */
static int
take_result(struct conn *cn, struct op *op, PGresult *res)
{
	ExecStatusType status = PQresultStatus(res);
	int first = !op->started;

	if ((status == PGRES_PIPELINE_SYNC) != (op->kind == OP_SYNC) ||
	    status == PGRES_BAD_RESPONSE) {
		pg_give_up(cn, "an answer to what was not asked");
		return 0;
	}
	if (status == PGRES_PIPELINE_SYNC) {
		check_read_only(cn);
		return 1;
	}
	op->started = 1;
	if (status == PGRES_FATAL_ERROR && ends_connection(cn, res)) {
		cn->dismissed = is_dismissal(state_of(res));
		pg_give_up(cn, "the server ended it");
		return 0;
	}
	switch (op->kind) {
	case OP_QUERY:
		query_result(cn, op, res);
		break;
	case OP_SIDE:
		if (status != PGRES_FATAL_ERROR)
			break;
		/* A setting of the session is not what we took it for. */
		if (op->call == NULL)
			cn->timeout_ms = -1;
		else if (is_stray_cancel(cn, op, res) &&
		    !op->call->tool->writes)
			op->call->repeat = 1;
		else
			set_failure(cn, op->call, res);
		break;
	case OP_COMMIT:
		commit_result(cn, op, res);
		break;
	case OP_PREPARE:
	case OP_DESCRIBE:
		if (first)
			prepare_result(cn, op, res);
		break;
	case OP_GUESS:
		break;
	case OP_GUESSED:
		pg_survey_guess(cn, op->tool, res);
		break;
	case OP_SYNC:
		break;
	}
	return 0;
}

void
pg_process(struct conn *cn)
{
	unsigned int empty = 0;
	PGresult *res;
	struct op *op;

	source_alive(cn->source);
	while (!cn->lost && (op = TAILQ_FIRST(&cn->ops)) != NULL) {
		/*
		 * Before libpq reads a row of it: rows then come one by one,
		 * and what a cap leaves out is never in memory at once.
		 */
		if (op->kind == OP_QUERY && !op->single)
			op->single = PQsetSingleRowMode(cn->pg);
		if (PQisBusy(cn->pg))
			return;
		if ((res = PQgetResult(cn->pg)) != NULL) {
			empty = 0;
			if (take_result(cn, op, res))
				op_end(cn, op);
			PQclear(res);
		} else if (op->started) {
			op_end(cn, op);
		} else if (PQstatus(cn->pg) != CONNECTION_OK || ++empty > 2) {
			return;		/* nothing came and nothing will */
		}
	}
}
