/* SPDX-License-Identifier: ISC */
/* link: daemon/sqlscan.c */

/* daemon/sqlscan.c: a :name is found where it is one, and nowhere else. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/compat.h"
#include "../../daemon/config.h"

#define P	SQL_DOLLAR
#define L	SQL_QUESTION

static const struct {
	const char	*sql;
	enum sql_style	 style;
	const char	*out;		/* NULL: refused */
	const char	*names;		/* joined by blanks; or the error */
	int		 line;
} rows[] = {
	{ "SELECT :a, :b, :a", P, "SELECT $1, $2, $1", "a b", 0 },
	{ "SELECT :a, :b, :a", L, "SELECT ?1, ?2, ?1", "a b", 0 },
	{ "SELECT ':a', \":a\", :b", P, "SELECT ':a', \":a\", $1", "b", 0 },
	{ "SELECT 'it''s :a' || :b", P, "SELECT 'it''s :a' || $1", "b", 0 },
	{ "SELECT E'\\':a' || :b", P, "SELECT E'\\':a' || $1", "b", 0 },
	{ "SELECT '\\' || :b", P, "SELECT '\\' || $1", "b", 0 },
	{ "SELECT $$ :a $$, :b", P, "SELECT $$ :a $$, $1", "b", 0 },
	{ "SELECT $x$ $$ :a $x$, :b", P, "SELECT $x$ $$ :a $x$, $1", "b", 0 },
	{ "SELECT :b -- :a\n", P, "SELECT $1 -- :a\n", "b", 0 },
	{ "SELECT /* :a /* :c */ :d */ :b", P,
	    "SELECT /* :a /* :c */ :d */ $1", "b", 0 },
	{ "SELECT /* :a /* */ :b", L, "SELECT /* :a /* */ ?1", "b", 0 },
	{ "SELECT :a::bigint", P, "SELECT $1::bigint", "a", 0 },
	{ "SELECT x::text, :a", P, "SELECT x::text, $1", "a", 0 },
	{ "SELECT f(x := :a)", P, "SELECT f(x := $1)", "a", 0 },
	{ "SELECT a[1:2], :b", P, "SELECT a[1:2], $1", "b", 0 },
	{ "SELECT [a:b], `c:d`, :e", L, "SELECT [a:b], `c:d`, ?1", "e", 0 },
	{ "SELECT :caller.claim.tenant, :caller.owner", P, "SELECT $1, $2",
	    "caller.claim.tenant caller.owner", 0 },
	{ "SELECT :a.b", P, "SELECT $1.b", "a", 0 },
	{ "SELECT :a ;", P, "SELECT $1 ", "a", 0 },
	{ "SELECT :a ; -- the end\n", P, "SELECT $1  -- the end\n", "a", 0 },
	{ "SELECT j ? 'x', :a", P, "SELECT j ? 'x', $1", "a", 0 },
	{ "SELECT 1;\nDROP TABLE x", P, NULL, "more than one statement", 2 },
	{ "SELECT 1; SELECT 2", L, NULL, "more than one statement", 1 },
	{ "SELECT\n'a", P, NULL, "quote without an end", 2 },
	{ "SELECT $$ a", P, NULL, "dollar quote without an end", 1 },
	{ "SELECT /* a", P, NULL, "comment without an end", 1 },
	{ "SELECT $1", P, NULL, "a parameter is written :name", 1 },
	{ "SELECT ?", L, NULL, "a parameter is written :name", 1 },
	{ "SELECT @a", L, NULL, "a parameter is written :name", 1 },
	{ "", P, NULL, "empty statement", 1 },
};

static void
parameters_are_found_where_they_are(void **state)
{
	struct sql_params params;
	char names[256], *out;
	const char *error = "";
	size_t i;
	uint32_t n;
	int line = 0;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		out = sql_scan(rows[i].sql, rows[i].style, &params, &error,
		    &line);
		names[0] = '\0';
		for (n = 0; out != NULL && n < params.count; n++) {
			if (n > 0)
				strlcat(names, " ", sizeof(names));
			strlcat(names, params.name[n], sizeof(names));
		}
		if (out == NULL)
			strlcpy(names, error, sizeof(names));
		if ((out == NULL) != (rows[i].out == NULL) ||
		    (out != NULL && strcmp(out, rows[i].out) != 0) ||
		    strcmp(names, rows[i].names) != 0 ||
		    (out == NULL && line != rows[i].line))
			fail_msg("%s: wanted %s (%s), got %s (%s) line %d",
			    rows[i].sql, rows[i].out, rows[i].names, out,
			    names, line);
		if (out != NULL)
			sql_params_free(&params);
		free(out);
	}
}

/* Cut anywhere: an answer or an error, and nothing read past the end. */
static void
no_cut_statement_breaks_the_scan(void **state)
{
	struct sql_params params;
	const char *error;
	char *cut, *out;
	size_t i, len;
	int line;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (len = 0; len <= strlen(rows[i].sql); len++) {
			cut = strndup(rows[i].sql, len);
			assert_non_null(cut);
			out = sql_scan(cut, rows[i].style, &params, &error,
			    &line);
			if (out != NULL)
				sql_params_free(&params);
			free(out);
			free(cut);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters_are_found_where_they_are),
		cmocka_unit_test(no_cut_statement_breaks_the_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
