/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl audit schema: the SQL that a database lacks to hold the trail,
 * for whoever may load it.  The files of auditd/schema are part of this
 * program; which of them were loaded the database says itself.
 */

#include <stdio.h>

#include <libpq-fe.h>

#include "../common/compat.h"
#include "ctl_audit.h"
#include "ctl_schema.h"

static const char asks[] =
    "SELECT CASE WHEN pg_catalog.to_regclass('pontifex.schema_version') "
    "IS NULL THEN 0 ELSE 1 END";
static const char asks_version[] =
    "SELECT COALESCE(pg_catalog.max(version), 0) FROM pontifex.schema_version";

/* One number of one row; -1 after a line to standard error. */
static int
ask(PGconn *db, const char *sql)
{
	PGresult *result = PQexec(db, sql);
	const char *error = NULL;
	int n = -1;

	if (PQresultStatus(result) == PGRES_TUPLES_OK &&
	    PQntuples(result) == 1)
		n = (int)strtonum(PQgetvalue(result, 0, 0), 0, 1000000,
		    &error);
	if (n == -1 || error != NULL) {
		fprintf(stderr, "pontifexctl: postgres: ");
		show_text(stderr, slice_of(PQerrorMessage(db)));
		fprintf(stderr, "\n");
		n = -1;
	}
	PQclear(result);
	return n;
}

/* The version that is loaded, 0: none; -1 after a line. */
static int
loaded(const char *where)
{
	char *why = NULL;
	PGconn *db = postgres_connect(where, &why);
	int n = -1;

	if (db == NULL) {
		fprintf(stderr, "pontifexctl: %s\n",
		    why == NULL ? "postgres: out of memory" : why);
	} else if ((n = ask(db, asks)) == 1) {
		n = ask(db, asks_version);
	}
	PQfinish(db);
	free(why);
	return n;
}

int
audit_schema(const struct audit_options *o)
{
	int have = 0;
	size_t i;

	if (o->place_given &&
	    (have = loaded(o->place.where)) == -1)
		return CTL_FAILED;
	if (have >= (int)schema_count) {
		if (have > (int)schema_count)
			fprintf(stderr, "pontifexctl: the schema is of a newer "
			    "pontifexd: version %d\n", have);
		return CTL_OK;
	}
	if (o->place_given)
		fprintf(stderr, "pontifexctl: the schema has version %d of "
		    "%zu: load this as a superuser\n", have, schema_count);
	for (i = (size_t)have; i < schema_count; i++)
		printf("%s\n", schema_text[i]);
	return o->place_given ? CTL_FAILED : CTL_OK;
}
