/* SPDX-License-Identifier: ISC */
/* link: daemon/handler/source_sqlite.c daemon/handler/params.c daemon/handler/render.c daemon/handler/survey.c */

/*
 * SQLite as a source, on files of our own in a temporary folder: what a
 * tool may not do, whatever its statement says; deadlines; and files that
 * are missing, locked, damaged or not to be written.
 */

#include "handler_calls.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <time.h>

#include <sqlite3.h>

static char root[64], path[96];
static struct source *source;
static struct call call;
static struct sandbox_needs needs;

void
sandbox_path(struct sandbox_needs *n, const char *p, enum sandbox_access access)
{
	n->path[n->paths].path = p;
	n->path[n->paths++].access = access;
}

/* ---- a file and its source --------------------------------------------- */

static void
sql_in(const char *file, const char *sql)
{
	sqlite3 *db;
	char *error = NULL;

	assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", sql, error);
	sqlite3_close(db);
}

static int
setup(void **state)
{
	(void)state;
	strlcpy(root, "/tmp/pontifex-lite-XXXXXX", sizeof(root));
	if (mkdtemp(root) == NULL || chmod(root, 0755) == -1)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/a.db", root);
	sql_in(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT, "
	    "n INTEGER CHECK (n < 100)); CREATE INDEX ts ON t (s); "
	    "INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), "
	    "(3, 'three', 3);");
	memset(&needs, 0, sizeof(needs));
	memset(&call, 0, sizeof(call));
	source = calloc(1, sizeof(*source));
	source->name = own("shop");
	source->kind = SOURCE_SQLITE;
	source->target = own(path);
	source->timeout_ms = 5000;
	source->ops = &source_sqlite_ops;
	return 0;
}

static int
teardown(void **state)
{
	char command[128];
	uint32_t i;
	pid_t pid;
	int status;

	(void)state;
	call_drop(&call);
	for (i = 0; i < source->ntools; i++)
		tool_free(source->tools[i]);
	free(source->name);
	free(source->target);
	free(source);
	(void)snprintf(command, sizeof(command), "%s", root);
	if ((pid = fork()) == 0) {
		execlp("rm", "rm", "-rf", command, (char *)NULL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid ? 0 : -1;
}

static void
begin(void)
{
	assert_int_equal(source->ops->prepare(source, &needs), 0);
	assert_int_equal(source->ops->start(source), 0);
}

static struct tool *
reading(const char *sql)
{
	return tool_make(source, "reading", sql);
}

static struct tool *
writing(const char *sql)
{
	struct tool *t = tool_make(source, "writing", sql);

	t->writes = 1;
	source->writes = 1;
	return t;
}

/* Calls the tool and returns its outcome. */
static enum outcome
run(const struct tool *t, const char *arguments)
{
	call_drop(&call);
	if (call_make(&call, t, arguments) == -1)
		fail_msg("arguments refused: %s", call.message);
	source->ops->run(source, &call);
	assert_int_equal(call.state, CALL_FREE);
	return call.outcome;
}

static void
answers(const struct tool *t, const char *arguments, const char *wanted)
{
	enum outcome outcome = run(t, arguments);

	if (outcome != OUTCOME_OK)
		fail_msg("wanted %s, got %s", wanted, outcome_name(outcome));
	assert_string_equal(call_json(&call), wanted);
}

static void
outcome_is(const struct tool *t, const char *arguments, enum outcome wanted)
{
	enum outcome outcome = run(t, arguments);

	if (outcome != wanted)
		fail_msg("%s: wanted %s, got %s", t->sql,
		    outcome_name(wanted), outcome_name(outcome));
}

#define ROWS(rows, n) \
	"{\"rows\":[" rows "],\"row_count\":" n ",\"truncated\":false}"

/* ---- what it answers --------------------------------------------------- */

static void
values_have_the_type_of_their_storage_class(void **state)
{
	struct tool *t = reading("SELECT 1 AS i, 9007199254740993 AS big, "
	    "0.5 AS r, 'a\"b' AS s, x'00ff10' AS b, NULL AS n, '' AS e, "
	    "CAST(x'61ff' AS TEXT) AS bad");

	(void)state;
	begin();
	answers(t, NULL, ROWS("{\"i\":1,\"big\":\"9007199254740993\","
	    "\"r\":0.5,\"s\":\"a\\\"b\",\"b\":\"AP8Q\",\"n\":null,\"e\":\"\","
	    "\"bad\":\"a\xef\xbf\xbd\"}", "1"));
}

static void
arguments_are_bound_never_pasted(void **state)
{
	struct tool *t = reading("SELECT ?1 AS s, typeof(?2) AS i, "
	    "typeof(?3) AS r, typeof(?4) AS b, ?5 AS o");

	(void)state;
	tool_param_of(t, "s", PARAM_STRING);
	tool_param_of(t, "i", PARAM_INTEGER);
	tool_param_of(t, "r", PARAM_NUMBER);
	tool_param_of(t, "b", PARAM_BOOLEAN);
	tool_caller(t, "owner");
	begin();
	answers(t, "{\"s\":\"x'; DROP TABLE t --\",\"i\":5,\"r\":2,"
	    "\"b\":true}", ROWS("{\"s\":\"x'; DROP TABLE t --\",\"i\":"
	    "\"integer\",\"r\":\"real\",\"b\":\"integer\",\"o\":\"alice\"}",
	    "1"));
	/* Nothing of one call is left for the next. */
	answers(t, "{}", ROWS("{\"s\":null,\"i\":\"null\",\"r\":\"null\","
	    "\"b\":\"null\",\"o\":\"alice\"}", "1"));
}

static void
rows_over_the_limit_are_cut_and_said(void **state)
{
	struct tool *t = reading("SELECT id FROM t ORDER BY id");

	(void)state;
	t->limit_rows = 2;
	begin();
	answers(t, NULL, "{\"rows\":[{\"id\":1},{\"id\":2}],\"row_count\":2,"
	    "\"truncated\":true}");
	t->limit_rows = 3;
	answers(t, NULL, ROWS("{\"id\":1},{\"id\":2},{\"id\":3}", "3"));
}

static void
a_write_answers_what_it_returns(void **state)
{
	struct tool *w = writing("UPDATE t SET s = ?1 WHERE id > 1 "
	    "RETURNING id, s");
	struct tool *r = reading("SELECT group_concat(s) AS all_s "
	    "FROM (SELECT s FROM t ORDER BY id)");

	(void)state;
	tool_param_of(w, "s", PARAM_STRING);
	w->limit_rows = 1;
	begin();
	/* The rows that are cut off were changed all the same. */
	answers(w, "{\"s\":\"new\"}", "{\"rows\":[{\"id\":2,\"s\":\"new\"}],"
	    "\"row_count\":1,\"truncated\":true}");
	assert_int_equal(call.may_have_run, 1);
	answers(r, NULL, ROWS("{\"all_s\":\"one,new,new\"}", "1"));
}

/* ---- what it refuses --------------------------------------------------- */

static void
a_tool_that_reads_cannot_do_anything_else(void **state)
{
	static const char *const bad[] = {
		"UPDATE t SET s = 'x'", "DELETE FROM t",
		"INSERT INTO t VALUES (9, 'x', 1) RETURNING id",
		"CREATE TABLE x (a)", "DROP TABLE t", "CREATE TEMP TABLE x (a)",
		"ATTACH DATABASE ':memory:' AS m", "PRAGMA writable_schema = 1",
		"SELECT * FROM pragma_table_info('t')",
		"SELECT load_extension('x')", "BEGIN", "COMMIT", "VACUUM",
		"SAVEPOINT a", "ANALYZE", "REINDEX", "EXPLAIN DELETE FROM t",
		"SELECT 1; DELETE FROM t", "", "-- nothing",
		"SELECT 1 AS a, 2 AS a", "SELECT ?1 AS a", "SELECT nosuch FROM t",
	};
	struct tool *check;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		(void)reading(bad[i]);
	check = reading("SELECT count(*) AS n, max(s) AS s FROM t");
	begin();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		outcome_is(source->tools[i], NULL, OUTCOME_INTERNAL_ERROR);
	answers(check, NULL, ROWS("{\"n\":3,\"s\":\"two\"}", "1"));
}

static void
a_tool_that_writes_changes_rows_and_nothing_else(void **state)
{
	static const char *const bad[] = {
		"CREATE TABLE x (a)", "DROP TABLE t",
		"ALTER TABLE t ADD COLUMN x", "CREATE INDEX i ON t (s)",
		"CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
		"DELETE FROM sqlite_master",
		"ATTACH DATABASE ':memory:' AS m", "DETACH DATABASE main",
		"PRAGMA journal_mode = OFF", "BEGIN IMMEDIATE", "VACUUM",
		"SELECT load_extension('x')",
		"DELETE FROM t; DELETE FROM t",
	};
	struct tool *check;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		(void)writing(bad[i]);
	check = reading("SELECT count(*) AS n FROM t");
	begin();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		outcome_is(source->tools[i], NULL, OUTCOME_INTERNAL_ERROR);
		assert_int_equal(call.may_have_run, 0);
	}
	answers(check, NULL, ROWS("{\"n\":3}", "1"));
}

static void
a_view_or_trigger_of_the_file_gets_no_further(void **state)
{
	struct tool *t;

	(void)state;
	sql_in(path, "CREATE VIEW v AS SELECT load_extension('x') AS x");
	t = reading("SELECT x FROM v");
	begin();
	outcome_is(t, NULL, OUTCOME_INTERNAL_ERROR);
}

static void
what_breaks_a_rule_of_the_data_is_invalid_input(void **state)
{
	struct tool *w = writing("UPDATE t SET n = ?1");
	struct tool *r = reading("SELECT sum(n) AS n FROM t");

	(void)state;
	tool_param_of(w, "n", PARAM_INTEGER);
	begin();
	outcome_is(w, "{\"n\":100}", OUTCOME_INVALID_INPUT);
	assert_null(strstr(call.message, "CHECK"));
	assert_int_equal(call.may_have_run, 0);
	answers(r, NULL, ROWS("{\"n\":6}", "1"));
}

/* ---- time -------------------------------------------------------------- */

#define ENDLESS "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "

static void
a_statement_past_its_time_is_cut(void **state)
{
	struct tool *slow = reading(ENDLESS "SELECT count(*) AS n FROM c");
	struct tool *next = reading("SELECT 1 AS n");

	(void)state;
	slow->timeout_ms = 50;
	begin();
	outcome_is(slow, NULL, OUTCOME_TIMEOUT);
	answers(next, NULL, ROWS("{\"n\":1}", "1"));
}

static void
a_write_past_its_time_is_rolled_back(void **state)
{
	struct tool *slow = writing("INSERT INTO t (s) " ENDLESS
	    "SELECT x FROM c");
	struct tool *check = reading("SELECT count(*) AS n FROM t");

	(void)state;
	slow->timeout_ms = 50;
	begin();
	outcome_is(slow, NULL, OUTCOME_TIMEOUT);
	assert_int_equal(call.may_have_run, 0);
	answers(check, NULL, ROWS("{\"n\":3}", "1"));
}

static void
a_statement_that_is_cancelled_is_cut(void **state)
{
	struct tool *slow = reading(ENDLESS "SELECT count(*) AS n FROM c");
	struct tool *write = writing("INSERT INTO t (s) " ENDLESS
	    "SELECT x FROM c");
	struct tool *check = reading("SELECT count(*) AS n FROM t");
	const struct tool *which[] = { slow, write };
	size_t i;

	(void)state;
	slow->timeout_ms = write->timeout_ms = 600000;
	begin();
	for (i = 0; i < 2; i++) {
		call_drop(&call);
		assert_int_equal(call_make(&call, which[i], NULL), 0);
		call.cancelled = 1;
		source->ops->run(source, &call);
		assert_int_equal(call.outcome, OUTCOME_CANCELLED);
		assert_int_equal(call.reason, REASON_CANCELLED);
		assert_int_equal(call.may_have_run, 0);
	}
	answers(check, NULL, ROWS("{\"n\":3}", "1"));
}

static void
rows_without_end_are_cut_at_the_limit_not_at_the_timeout(void **state)
{
	struct tool *t = reading(ENDLESS "SELECT x FROM c");

	(void)state;
	t->limit_rows = 2;
	begin();
	answers(t, NULL, "{\"rows\":[{\"x\":1},{\"x\":2}],\"row_count\":2,"
	    "\"truncated\":true}");
}

static void
a_lock_of_another_is_waited_for_and_not_forever(void **state)
{
	struct tool *w = writing("UPDATE t SET n = 5 WHERE id = 1");
	sqlite3 *other;

	(void)state;
	begin();
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL,
	    NULL), SQLITE_OK);
	outcome_is(w, NULL, OUTCOME_TIMEOUT);
	assert_int_equal(call.may_have_run, 0);
	assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(other);
	answers(w, NULL, ROWS("", "0"));
}

/* ---- files ------------------------------------------------------------- */

/* Until the pause between attempts is over; never more than some seconds. */
static enum outcome
run_until(const struct tool *t, enum outcome wanted)
{
	static const struct timespec pause = { 0, 50000000 };
	uint64_t until = now_ms() + 20000;
	enum outcome outcome;

	while ((outcome = run(t, NULL)) != wanted && now_ms() < until)
		(void)nanosleep(&pause, NULL);
	return outcome;
}

static void
a_missing_file_is_unavailable_until_it_comes(void **state)
{
	struct tool *t = reading("SELECT s FROM t WHERE id = 1");
	char away[112];

	(void)state;
	(void)snprintf(away, sizeof(away), "%s.away", path);
	assert_int_equal(rename(path, away), 0);
	begin();
	outcome_is(t, NULL, OUTCOME_SOURCE_UNAVAILABLE);
	assert_true(call.retry_after > 0);
	/* It is not made, either. */
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(rename(away, path), 0);
	assert_int_equal(run_until(t, OUTCOME_OK), OUTCOME_OK);
	assert_string_equal(call_json(&call), ROWS("{\"s\":\"one\"}", "1"));
}

static void
a_file_that_is_no_database_is_unavailable(void **state)
{
	struct tool *t = reading("SELECT s FROM t WHERE id = 1");
	int fd;

	(void)state;
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "this is no database at all, not one bit",
	    39), 39);
	close(fd);
	begin();
	outcome_is(t, NULL, OUTCOME_SOURCE_UNAVAILABLE);
}

static void
a_table_that_is_made_later_is_found(void **state)
{
	struct tool *t = reading("SELECT a FROM later");

	(void)state;
	begin();
	outcome_is(t, NULL, OUTCOME_INTERNAL_ERROR);
	sql_in(path, "CREATE TABLE later (a); INSERT INTO later VALUES (7)");
	assert_int_equal(run_until(t, OUTCOME_OK), OUTCOME_OK);
	assert_string_equal(call_json(&call), ROWS("{\"a\":7}", "1"));
}

static void
a_schema_that_changes_under_a_statement_is_followed(void **state)
{
	struct tool *t = reading("SELECT * FROM t WHERE id = 1");
	struct tool *twins = reading("SELECT * FROM t, u WHERE t.id = 1");

	(void)state;
	sql_in(path, "CREATE TABLE u (other); INSERT INTO u VALUES (1)");
	begin();
	answers(t, NULL, ROWS("{\"id\":1,\"s\":\"one\",\"n\":1}", "1"));
	outcome_is(twins, NULL, OUTCOME_OK);
	sql_in(path, "ALTER TABLE t ADD COLUMN x DEFAULT 'new'; "
	    "ALTER TABLE u RENAME COLUMN other TO id");
	answers(t, NULL, ROWS("{\"id\":1,\"s\":\"one\",\"n\":1,\"x\":\"new\"}",
	    "1"));
	outcome_is(twins, NULL, OUTCOME_INTERNAL_ERROR);
}

/* Root may write whatever its mode says. */
static void
as_nobody(void (*what)(void))
{
	pid_t pid;
	int status;

	if ((pid = fork()) == 0) {
		if (geteuid() == 0 && (setgid(65534) == -1 ||
		    setuid(65534) == -1))
			_exit(2);
		what();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
try_unwritable(void)
{
	begin();
	if (run(source->tools[0], NULL) != OUTCOME_INTERNAL_ERROR)
		_exit(3);
	if (run(source->tools[1], NULL) != OUTCOME_OK)
		_exit(4);
	/* Again, after the connection was given up. */
	if (run(source->tools[0], NULL) == OUTCOME_OK)
		_exit(5);
}

static void
a_file_that_cannot_be_written_can_be_read(void **state)
{
	(void)state;
	(void)writing("UPDATE t SET n = 5");
	(void)reading("SELECT 1 AS n FROM t");
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(chmod(root, 0555), 0);
	as_nobody(try_unwritable);
	assert_int_equal(chmod(root, 0755), 0);
}

static void
the_sandbox_needs_the_folder_to_write_only_where_a_tool_writes(void **state)
{
	(void)state;
	(void)reading("SELECT 1 AS a");
	begin();
	assert_int_equal(needs.paths, 1);
	assert_string_equal(needs.path[0].path, root);
	assert_int_equal(needs.path[0].access, SANDBOX_READ);
	assert_int_equal(needs.ports, 0);
	(void)writing("DELETE FROM t");
	begin();
	assert_int_equal(needs.path[1].access, SANDBOX_WRITE);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values_have_the_type_of_their_storage_class),
		TEST(arguments_are_bound_never_pasted),
		TEST(rows_over_the_limit_are_cut_and_said),
		TEST(a_write_answers_what_it_returns),
		TEST(a_tool_that_reads_cannot_do_anything_else),
		TEST(a_tool_that_writes_changes_rows_and_nothing_else),
		TEST(a_view_or_trigger_of_the_file_gets_no_further),
		TEST(what_breaks_a_rule_of_the_data_is_invalid_input),
		TEST(a_statement_past_its_time_is_cut),
		TEST(a_write_past_its_time_is_rolled_back),
		TEST(a_statement_that_is_cancelled_is_cut),
		TEST(rows_without_end_are_cut_at_the_limit_not_at_the_timeout),
		TEST(a_lock_of_another_is_waited_for_and_not_forever),
		TEST(a_missing_file_is_unavailable_until_it_comes),
		TEST(a_file_that_is_no_database_is_unavailable),
		TEST(a_table_that_is_made_later_is_found),
		TEST(a_schema_that_changes_under_a_statement_is_followed),
		TEST(a_file_that_cannot_be_written_can_be_read),
		TEST(the_sandbox_needs_the_folder_to_write_only_where_a_tool_writes),
	};

	log_init("test", 1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
