/* SPDX-License-Identifier: ISC */
/* link: daemon/sqlscan.c */

/*
 * The parameters of a statement: where a colon begins one and where it does
 * not, in the way of each database; what is refused, and in which line.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../daemon/configure.h"

#define PG	SQL_DOLLAR
#define LITE	SQL_QUESTION

static const struct {
	enum sql_style	 style;
	const char	*sql;
	const char	*bound;
	const char	*names;		/* in order, each with a blank behind it */
} good[] = {
	{ PG, "SELECT :a, :b, :a", "SELECT $1, $2, $1", "a b " },
	{ LITE, "SELECT :a, :b, :a", "SELECT ?1, ?2, ?1", "a b " },
	{ PG, "SELECT :_a1", "SELECT $1", "_a1 " },
	{ PG, "SELECT 1", "SELECT 1", "" },
	/* casts, assignments, slices */
	{ PG, "SELECT :a::bigint", "SELECT $1::bigint", "a " },
	{ PG, "SELECT '1'::a", "SELECT '1'::a", "" },
	{ PG, "SELECT f(a := :b)", "SELECT f(a := $1)", "b " },
	{ PG, "SELECT a[1:2]", "SELECT a[1:2]", "" },
	{ PG, "SELECT a[:n]", "SELECT a[$1]", "n " },
	{ PG, "SELECT a[1 : :n]", "SELECT a[1 : $1]", "n " },
	/* the caller */
	{ PG, ":caller.id", "$1", "caller.id " },
	{ PG, ":caller.owner", "$1", "caller.owner " },
	{ PG, ":caller.claim.tenant", "$1", "caller.claim.tenant " },
	{ PG, ":caller.claim.a.b-c", "$1", "caller.claim.a.b-c " },
	{ PG, ":caller.claim.a--c", "$1--c", "caller.claim.a " },
	{ PG, ":caller.claim.a.", "$1.", "caller.claim.a " },
	{ PG, ":caller.owner.x", "$1.x", "caller.owner " },
	{ PG, ":caller", "$1", "caller " },
	{ PG, ":callers.id", "$1.id", "callers " },
	/* a mark does not join what stands before it */
	{ PG, "LIMIT:n", "LIMIT $1", "n " },
	{ PG, "a[lo:hi]", "a[lo $1]", "hi " },
	{ LITE, "LIMIT:n", "LIMIT ?1", "n " },
	/* strings and identifiers */
	{ PG, "':a' \":b\" :c", "':a' \":b\" $1", "c " },
	{ PG, "'it''s :a' :c", "'it''s :a' $1", "c " },
	{ PG, "\"a\"\":b\" :c", "\"a\"\":b\" $1", "c " },
	{ PG, "'\\' :c", "'\\' $1", "c " },
	{ PG, "E'\\' :a' :c", "E'\\' :a' $1", "c " },
	{ PG, "e'\\\\' :c", "e'\\\\' $1", "c " },
	{ PG, "E'a'\n'b\\' :a' :c", "E'a'\n'b\\' :a' $1", "c " },
	{ PG, "E'a'\n -- '\n 'b\\' :a' :c", "E'a'\n -- '\n 'b\\' :a' $1", "c " },
	{ PG, "E'a' 'b\\' :c", "E'a' 'b\\' $1", "c " },
	{ PG, "fe'\\' :c", "fe'\\' $1", "c " },
	{ PG, "U&'\\0061' :c", "U&'\\0061' $1", "c " },
	{ PG, "B'01' X'1f' N':a' :c", "B'01' X'1f' N':a' $1", "c " },
	{ LITE, "`:a` [:b] :c", "`:a` [:b] ?1", "c " },
	{ LITE, "[a]]:b", "[a]]?1", "b " },
	{ LITE, "`a``:b` :c", "`a``:b` ?1", "c " },
	{ LITE, "E'\\' :c", "E'\\' ?1", "c " },
	{ LITE, "a$b :c", "a$b ?1", "c " },
	/* dollar quotes */
	{ PG, "$$:a$$ :c", "$$:a$$ $1", "c " },
	{ PG, "$t$ $$ :a $u$ $t$ :c", "$t$ $$ :a $u$ $t$ $1", "c " },
	{ PG, "$t1_$:a$t1_$ :c", "$t1_$:a$t1_$ $1", "c " },
	{ PG, "a$1 :c", "a$1 $1", "c " },
	{ PG, "a$b$ :c", "a$b$ $1", "c " },
	/* comments */
	{ PG, "1 -- :a\n:c", "1 -- :a\n$1", "c " },
	{ PG, "1 -- ' \n:c", "1 -- ' \n$1", "c " },
	{ PG, "/* :a /* :b */ :d */ :c", "/* :a /* :b */ :d */ $1", "c " },
	{ LITE, "/* :a /* :b */ :c", "/* :a /* :b */ ?1", "c " },
	{ PG, "'--' :c", "'--' $1", "c " },
	{ PG, "1 /* ' */ + :c", "1 /* ' */ + $1", "c " },
	/* operators of Postgres */
	{ PG, "j ?| ARRAY[:k] AND j @> :v", "j ?| ARRAY[$1] AND j @> $2", "k v " },
	{ PG, "j->>:k", "j->>$1", "k " },
	/* the end */
	{ PG, "SELECT :a;", "SELECT $1", "a " },
	{ PG, "SELECT :a ; -- done\n /* yes */ ", "SELECT $1   -- done\n /* yes */ ", "a " },
	{ PG, "SELECT :a -;-- b", "SELECT $1 - -- b", "a " },
	{ PG, "SELECT ';' , :a", "SELECT ';' , $1", "a " },
	/* in whole statements */
	{ PG, "SELECT ':a', \":a\", :b", "SELECT ':a', \":a\", $1", "b " },
	{ PG, "SELECT E'\\':a' || :b", "SELECT E'\\':a' || $1", "b " },
	{ PG, "SELECT '\\' || :b", "SELECT '\\' || $1", "b " },
	{ PG, "SELECT $$ :a $$, :b", "SELECT $$ :a $$, $1", "b " },
	{ PG, "SELECT x::text, :a", "SELECT x::text, $1", "a " },
	{ LITE, "SELECT [a:b], `c:d`, :e", "SELECT [a:b], `c:d`, ?1", "e " },
	{ PG, "SELECT :caller.claim.tenant, :caller.owner", "SELECT $1, $2",
	    "caller.claim.tenant caller.owner " },
	{ PG, "SELECT :a.b", "SELECT $1.b", "a " },
	{ PG, "SELECT j ? 'x', :a", "SELECT j ? 'x', $1", "a " },
	/* other scripts */
	{ PG, "SELECT größe, :c", "SELECT größe, $1", "c " },
};

static const struct {
	enum sql_style	 style;
	const char	*sql;
	int		 line;
	const char	*error;
} bad[] = {
	{ PG, "", 1, "empty statement" },
	{ PG, "  \n -- nothing\n /* at all */ ;", 1, "empty statement" },
	{ PG, "SELECT 1; SELECT 2", 1, "more than one statement" },
	{ PG, "SELECT 1;\n\nDROP TABLE a", 3, "more than one statement" },
	{ PG, "SELECT 1;;", 1, "more than one statement" },
	{ LITE, "SELECT 1;\n-- a\n'b'", 3, "more than one statement" },
	{ PG, "SELECT\n$1", 2, "a parameter is written :name" },
	{ LITE, "SELECT\n ?", 2, "a parameter is written :name" },
	{ LITE, "SELECT ?1", 1, "a parameter is written :name" },
	{ LITE, "SELECT @a", 1, "a parameter is written :name" },
	{ LITE, "SELECT $a", 1, "a parameter is written :name" },
	{ PG, "SELECT\n'a\nb", 2, "quote without an end" },
	{ PG, "SELECT\n\"a\nb", 2, "quote without an end" },
	{ PG, "SELECT E'\\'", 1, "quote without an end" },
	{ LITE, "SELECT\n\n[a", 3, "quote without an end" },
	{ LITE, "SELECT `a", 1, "quote without an end" },
	{ PG, "SELECT\n/* /* */", 2, "comment without an end" },
	{ PG, "SELECT /* a", 1, "comment without an end" },
	{ PG, "SELECT $$ a", 1, "dollar quote without an end" },
	{ LITE, "SELECT 1; SELECT 2", 1, "more than one statement" },
	{ PG, "SELECT\n$a$ $b$", 2, "dollar quote without an end" },
	{ PG, "SELECT $a$", 1, "dollar quote without an end" },
};

static void
a_colon_begins_a_parameter_only_where_it_does(void **state)
{
	struct sql_params params;
	const char *error;
	char names[256], *bound;
	uint32_t n;
	size_t i;
	int line;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		error = "none";
		bound = sql_scan(good[i].sql, good[i].style, &params, &error,
		    &line);
		if (bound == NULL)
			fail_msg("%s: %s", good[i].sql, error);
		assert_string_equal(bound, good[i].bound);
		names[0] = '\0';
		for (n = 0; n < params.count; n++) {
			strlcat(names, params.name[n], sizeof(names));
			strlcat(names, " ", sizeof(names));
		}
		assert_string_equal(names, good[i].names);
		free(bound);
		sql_params_free(&params);
	}
}

static void
what_is_refused_names_its_line(void **state)
{
	struct sql_params params;
	const char *error;
	char *bound;
	size_t i;
	int line;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error = "none";
		line = 0;
		bound = sql_scan(bad[i].sql, bad[i].style, &params, &error,
		    &line);
		if (bound != NULL)
			fail_msg("%s: taken as %s", bad[i].sql, bound);
		if (strcmp(error, bad[i].error) != 0 || line != bad[i].line)
			fail_msg("%s: wanted %d: %s, got %d: %s", bad[i].sql,
			    bad[i].line, bad[i].error, line, error);
		assert_int_equal(params.count, 0);
	}
}

static void
there_are_only_so_many_parameters(void **state)
{
	struct sql_params params;
	const char *error = NULL;
	struct buffer b;
	char *bound;
	int i, line;

	(void)state;
	buffer_init(&b, 4096);
	for (i = 0; i < PARAMS_MAX + ATTRIBUTES_MAX; i++)
		assert_int_equal(buffer_printf(&b, ":p%d\n", i), 0);
	assert_int_equal(buffer_add_char(&b, '\0'), 0);
	bound = sql_scan((const char *)b.data, PG, &params, &error, &line);
	assert_non_null(bound);
	assert_int_equal(params.count, PARAMS_MAX + ATTRIBUTES_MAX);
	free(bound);
	sql_params_free(&params);
	b.len--;
	assert_int_equal(buffer_add(&b, ":one", 5), 0);
	assert_null(sql_scan((const char *)b.data, PG, &params, &error,
	    &line));
	assert_string_equal(error, "too many parameters");
	assert_int_equal(line, PARAMS_MAX + ATTRIBUTES_MAX + 1);
	buffer_free(&b);
}

static void
a_parameter_is_found_in_its_line(void **state)
{
	static const char sql[] = "SELECT ':b'\n, :a -- :b\n, :bb, :b";

	(void)state;
	assert_int_equal(sql_param_line(sql, PG, "a"), 2);
	assert_int_equal(sql_param_line(sql, PG, "b"), 3);
	assert_int_equal(sql_param_line(sql, PG, "none"), 1);
}

/* Every statement of the tables, cut everywhere, under the sanitizers. */
static void
a_statement_cut_anywhere_does_no_harm(void **state)
{
	struct sql_params params;
	const char *error;
	char *cut, *bound;
	size_t i, n;
	int line, style;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		for (n = 0; n <= strlen(good[i].sql); n++)
			for (style = PG; style <= LITE; style++) {
				cut = strndup(good[i].sql, n);
				assert_non_null(cut);
				bound = sql_scan(cut, (enum sql_style)style,
				    &params, &error, &line);
				if (bound != NULL)
					sql_params_free(&params);
				free(bound);
				free(cut);
			}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_colon_begins_a_parameter_only_where_it_does),
		cmocka_unit_test(what_is_refused_names_its_line),
		cmocka_unit_test(there_are_only_so_many_parameters),
		cmocka_unit_test(a_parameter_is_found_in_its_line),
		cmocka_unit_test(a_statement_cut_anywhere_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
