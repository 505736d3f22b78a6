/* SPDX-License-Identifier: ISC */

/*
 * Statements as the server describes them, for a survey.  A statement is
 * prepared with the types that are declared; where the server refuses it so,
 * what it would have taken by itself tells which declaration is to blame: the
 * same statement was described before without any.  An error is only what the
 * server refuses: a type that it casts is none.
 */

#include <stdio.h>

#include "pg.h"
#include "survey.h"

/* Types as people write them; the rest by number. */
static const struct {
	Oid		 oid;
	const char	*name;
} types[] = {
	{ 16, "boolean" }, { 17, "bytea" }, { 18, "\"char\"" },
	{ 19, "name" }, { 20, "bigint" }, { 21, "smallint" },
	{ 23, "integer" }, { 25, "text" }, { 26, "oid" }, { 114, "json" },
	{ 142, "xml" }, { 650, "cidr" }, { 700, "real" },
	{ 701, "double precision" }, { 705, "unknown" }, { 790, "money" },
	{ 829, "macaddr" }, { 869, "inet" }, { 1000, "boolean[]" },
	{ 1007, "integer[]" }, { 1009, "text[]" }, { 1016, "bigint[]" },
	{ 1042, "character" }, { 1043, "varchar" }, { 1082, "date" },
	{ 1083, "time" }, { 1114, "timestamp" }, { 1184, "timestamptz" },
	{ 1186, "interval" }, { 1266, "timetz" }, { 1560, "bit" },
	{ 1562, "varbit" }, { 1700, "numeric" }, { 2249, "record" },
	{ 2278, "void" }, { 2950, "uuid" }, { 3614, "tsvector" },
	{ 3802, "jsonb" },
};

static const char *
type_name(Oid oid)
{
	static char number[24];
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].oid == oid)
			return types[i].name;
	(void)snprintf(number, sizeof(number), "type %u", oid);
	return number;
}

static const char *
bind_type(const struct tool *t, uint32_t bind)
{
	return type_name(pg_bind_type(t, bind));
}

/* Whether the server takes the one where it would have said the other. */
static int
same_family(Oid declared, Oid guess)
{
	static const Oid families[][8] = {
		{ 20, 21, 23, 26, 700, 701, 790, 1700 },
		{ 18, 19, 25, 705, 1042, 1043 },
		{ 1082, 1114, 1184 },
	};
	size_t i, j;
	int has;

	if (declared == guess)
		return 1;
	for (i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		has = 0;
		for (j = 0; j < 8 && families[i][j] != 0; j++)
			has += families[i][j] == declared ||
			    families[i][j] == guess;
		if (has == 2)
			return 1;
	}
	return 0;
}

void
pg_survey_guess(struct conn *cn, const struct tool *t, const PGresult *res)
{
	struct survey_tool *st = survey_tool(cn->source, t);
	uint32_t i;

	if (st == NULL || st->guess != NULL ||
	    PQresultStatus(res) != PGRES_COMMAND_OK ||
	    PQnparams(res) != (int)t->nbinds ||
	    (st->guess = calloc(t->nbinds + 1, sizeof(*st->guess))) == NULL)
		return;
	for (i = 0; i < t->nbinds; i++)
		st->guess[i] = PQparamtype(res, (int)i);
}

/* The bind whose declaration the statement does not take; or none. */
static uint32_t
to_blame(const struct survey_tool *st, const struct tool *t)
{
	uint32_t i;

	for (i = 0; st->guess != NULL && i < t->nbinds; i++)
		if (!same_family(pg_bind_type(t, i), st->guess[i]))
			return i;
	return t->nbinds;
}

void
pg_survey_refused(struct conn *cn, const struct tool *t, const char *error)
{
	const struct survey_tool *st = survey_tool(cn->source, t);
	const struct bind *b;
	uint32_t i;

	if (st == NULL)
		return;
	if ((i = to_blame(st, t)) == t->nbinds) {
		survey_refused(cn->source, t, NULL,
		    "its statement is refused: %s", error);
		return;
	}
	b = &t->binds[i];
	survey_refused(cn->source, t, b->of_caller ? NULL : b->name,
	    "%s%s is declared %s and its statement takes %s: refused: %s",
	    b->of_caller ? "caller." : "param ", b->name, b->of_caller ?
	    "text" : param_type_name(t->params[b->param].type),
	    type_name(st->guess[i]), error);
}

void
pg_survey_described(struct conn *cn, const struct tool *t,
    const PGresult *res)
{
	struct buffer b;
	int i;

	if (!survey_describes(cn->source))
		return;
	buffer_init(&b, CHECK_TEXT_MAX);
	survey_describe_params(&b, t, bind_type);
	for (i = 0; i < PQnfields(res); i++)
		(void)buffer_printf(&b, "%s%s %s", i == 0 ? " -> " : ", ",
		    PQfname(res, i), type_name(PQftype(res, i)));
	survey_describe_end(cn->source, t, &b);
}

void
pg_survey_down(struct source *s, const char *why)
{
	const struct postgres *p = s->state;
	uint32_t i;

	for (i = 0; i < s->connections; i++)
		if (!p->conns[i].failed)
			return;
	survey_down(s, why);
}
