/* SPDX-License-Identifier: ISC */

/*
 * What is asked on a connection.  Reads without settings of the session share
 * a group: one Sync a loop turn.  Everything else has groups of its own, so
 * that an error takes nobody with it.
 *
 * A transaction is two groups: BEGIN, settings, statement, Sync, then COMMIT
 * and Sync.  Where the first fails its rest is skipped and the COMMIT becomes
 * a rollback, so that the connection is clean whatever happened.
 */

#include <stdio.h>

#include "../../common/log.h"
#include "pg.h"

#define OPS_KEPT	1024

#define STATEMENT_NAME	32	/* bytes of "t1023_4294967295" */

static TAILQ_HEAD(op_list, op) spare = TAILQ_HEAD_INITIALIZER(spare);
static size_t nspare;

static const Oid param_oids[PARAM_TYPE_MAX] = {
	[PARAM_INTEGER] = 20, [PARAM_NUMBER] = 701, [PARAM_STRING] = 25,
	[PARAM_BOOLEAN] = 16, [PARAM_DATE] = 1082, [PARAM_TIMESTAMP] = 1184,
	[PARAM_UUID] = 2950, [PARAM_ENUM] = 25,
};

/* ---- ops --------------------------------------------------------------- */

static struct op *
op_add(struct conn *cn, enum op_kind kind, struct call *call,
    const struct tool *tool)
{
	struct op *op = TAILQ_FIRST(&spare);

	if (op != NULL) {
		TAILQ_REMOVE(&spare, op, entry);
		nspare--;
	} else if ((op = malloc(sizeof(*op))) == NULL) {
		fatal("out of memory");
	}
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->call = call;
	op->tool = tool;
	op->timeout_ms = kind == OP_QUERY ? tool->timeout_ms :
	    cn->source->timeout_ms;
	if (TAILQ_EMPTY(&cn->ops))
		cn->head_ms = now_ms();
	TAILQ_INSERT_TAIL(&cn->ops, op, entry);
	if (kind != OP_SYNC)
		cn->need_sync = 1;
	return op;
}

void
op_end(struct conn *cn, struct op *op)
{
	TAILQ_REMOVE(&cn->ops, op, entry);
	cn->head_ms = now_ms();
	if (op->unwanted) {
		cn->unwanted--;
		cn->calm_ms = 0;	/* the next may be stopped at once */
	}
	if (nspare < OPS_KEPT) {
		TAILQ_INSERT_HEAD(&spare, op, entry);
		nspare++;
	} else {
		free(op);
	}
}

void
pg_hold(struct conn *cn, struct call *c)
{
	(void)op_add(cn, OP_SIDE, c, NULL);
}

void
pg_forget(struct conn *cn, struct call *c)
{
	struct op *op;

	TAILQ_FOREACH(op, &cn->ops, entry)
		if (op->call == c)
			op->call = NULL;
	c->conn = NULL;
	cn->calls--;
	cn->writes -= c->tool->writes != 0;
}

void
pg_unwant(struct conn *cn, const struct call *c)
{
	struct op *op;

	TAILQ_FOREACH(op, &cn->ops, entry)
		if (op->call == c && !op->unwanted) {
			op->unwanted = 1;
			cn->unwanted++;
		}
}

void
pg_abandon(struct conn *cn, struct call *c)
{
	pg_unwant(cn, c);
	pg_forget(cn, c);
}

int
pg_sync(struct conn *cn)
{
	if (!cn->need_sync)
		return 0;
	cn->need_sync = 0;
	if (PQpipelineSync(cn->pg) != 1)
		return -1;
	(void)op_add(cn, OP_SYNC, NULL, NULL);
	return 0;
}

/* ---- pieces ------------------------------------------------------------ */

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
	    "SELECT pg_catalog.set_config($1, $2, true)" :
	    "SELECT pg_catalog.set_config($1, $2, false)", 2, types, values,
	    NULL, NULL, 0) != 1)
		return -1;
	(void)op_add(cn, OP_SIDE, c, NULL);
	return 0;
}

struct pg_statement *
pg_statement_of(struct conn *cn, const struct tool *t)
{
	return &cn->statement[tool_slot(t, cn->source)];
}

/*
 * Behind a pooler the next transaction may be at another session, which knows
 * no statement of ours: the unnamed one travels with each.
 */
static void
statement_name(char *out, size_t size, struct conn *cn,
    const struct tool *t)
{
	if (cn->source->pooler) {
		out[0] = '\0';
		return;
	}
	(void)snprintf(out, size, "t%u_%u", tool_slot(t, cn->source),
	    pg_statement_of(cn, t)->version);
}

Oid
pg_bind_type(const struct tool *t, uint32_t i)
{
	return t->binds[i].of_caller ? param_oids[PARAM_STRING] :
	    param_oids[t->params[t->binds[i].param].type];
}

static void
get_types(const struct tool *t, Oid types[BINDS_MAX])
{
	uint32_t i;

	for (i = 0; i < t->nbinds; i++)
		types[i] = pg_bind_type(t, i);
}

int
pg_send_guess(struct conn *cn, const struct tool *t)
{
	char name[STATEMENT_NAME];

	if (cn->source->pooler)
		name[0] = '\0';
	else
		(void)snprintf(name, sizeof(name), "g%u",
		    tool_slot(t, cn->source));
	if (pg_sync(cn) == -1 ||
	    PQsendPrepare(cn->pg, name, t->sql, 0, NULL) != 1)
		return -1;
	(void)op_add(cn, OP_GUESS, NULL, t);
	if (PQsendDescribePrepared(cn->pg, name) != 1)
		return -1;
	(void)op_add(cn, OP_GUESSED, NULL, t);
	return pg_sync(cn);
}

int
pg_send_prepare(struct conn *cn, const struct tool *t)
{
	struct pg_statement *st = pg_statement_of(cn, t);
	Oid types[BINDS_MAX];
	char name[STATEMENT_NAME];

	get_types(t, types);
	/* Under a new name each time: the old one may or may not be there. */
	st->version++;
	statement_name(name, sizeof(name), cn, t);
	if (pg_sync(cn) == -1 ||
	    PQsendPrepare(cn->pg, name, t->sql, (int)t->nbinds, types) != 1)
		return -1;
	(void)op_add(cn, OP_PREPARE, NULL, t);
	if (PQsendDescribePrepared(cn->pg, name) != 1)
		return -1;
	(void)op_add(cn, OP_DESCRIBE, NULL, t);
	st->state = STATEMENT_ASKED;
	cn->preparing++;
	return pg_sync(cn);
}

static int
send_statement(struct conn *cn, struct call *c)
{
	const char *values[BINDS_MAX];
	const struct tool *t = c->tool;
	char name[STATEMENT_NAME];
	Oid types[BINDS_MAX];
	uint32_t i;
	int rc;

	for (i = 0; i < t->nbinds; i++)
		values[i] = c->bound[i].null ? NULL :
		    (const char *)c->arena.data + c->bound[i].at;
	if (cn->source->pooler) {
		get_types(t, types);
		rc = PQsendQueryParams(cn->pg, t->sql, (int)t->nbinds, types,
		    values, NULL, NULL, 0);
	} else {
		statement_name(name, sizeof(name), cn, t);
		rc = PQsendQueryPrepared(cn->pg, name, (int)t->nbinds, values,
		    NULL, NULL, 0);
	}
	if (rc != 1)
		return -1;
	(void)op_add(cn, OP_QUERY, c, t);
	return 0;
}

static int
send_timeout(struct conn *cn, struct call *c, int local)
{
	uint32_t ms = c->tool->timeout_ms;
	char text[16];

	if (cn->source->statement_timeout_ms != 0 &&
	    cn->source->statement_timeout_ms < ms)
		ms = cn->source->statement_timeout_ms;
	if (cn->timeout_ms == (int64_t)ms)
		return 0;
	(void)snprintf(text, sizeof(text), "%u", ms);
	if (local)
		return send_config(cn, c, "statement_timeout", text, 1);
	/* A group of its own: an error behind it must not take it back. */
	if (pg_sync(cn) == -1 ||
	    send_config(cn, NULL, "statement_timeout", text, 0) == -1)
		return -1;
	cn->timeout_ms = ms;
	return pg_sync(cn);
}

/* ---- a call ------------------------------------------------------------ */

static int
send_settings(struct conn *cn, struct call *c)
{
	const struct source *s = cn->source;
	struct slice value;
	char *text;
	uint32_t i;
	int rc;

	for (i = 0; i < s->nsessions; i++) {
		/* Authd lets nobody through who lacks one; still: not unset. */
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
	return 0;
}

int
pg_is_transaction(const struct source *s, const struct tool *t)
{
	return t->writes || s->nsessions > 0 || s->pooler;
}

/*
 * A read behind a pooler is rolled back: what a function of it may have set
 * for the session goes with it, and nobody meets it there.
 */
static int
send_transaction(struct conn *cn, struct call *c)
{
	if (pg_sync(cn) == -1 || send_text(cn, c, OP_SIDE, c->tool->writes ?
	    "BEGIN READ WRITE" : "BEGIN READ ONLY") == -1 ||
	    send_timeout(cn, c, 1) == -1 || send_settings(cn, c) == -1 ||
	    send_statement(cn, c) == -1 || pg_sync(cn) == -1 ||
	    send_text(cn, c, OP_COMMIT, cn->source->pooler &&
	    !c->tool->writes ? "ROLLBACK" : "COMMIT") == -1)
		return -1;
	return pg_sync(cn);
}

int
pg_send_call(struct conn *cn, struct call *c)
{
	if (pg_is_transaction(cn->source, c->tool))
		return send_transaction(cn, c);
	if ((c->alone && pg_sync(cn) == -1) || send_timeout(cn, c, 0) == -1 ||
	    send_statement(cn, c) == -1)
		return -1;
	return c->alone ? pg_sync(cn) : 0;
}
