/* SPDX-License-Identifier: ISC */
/* link: daemon/handler/source_postgres.c daemon/handler/pg_conn.c daemon/handler/pg_send.c daemon/handler/pg_result.c daemon/handler/pg_survey.c daemon/handler/pg_value.c daemon/handler/pg_dsn.c daemon/handler/pg_cancel.c daemon/handler/pg_age.c daemon/handler/params.c daemon/handler/breaker.c daemon/handler/render.c daemon/handler/survey.c */

/*
 * Postgres as a source, against a real server of our own in a temporary
 * folder: groups of calls and errors among them, transactions, timeouts,
 * statements that change, connections that are lost, and a server that hangs
 * or goes away.
 */

#include "handler_calls.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <time.h>

#include "../../common/proc.h"
#include "../../daemon/handler/pg.h"

#define PATIENCE_MS	30000	/* before a wait is given up as failed */
#define ARG(s)		((char *)(uintptr_t)(s))

static char root[64];		/* of everything */
static char bin[128];		/* of Postgres */
static char super[256], dsn[256];
static pid_t server = -1;
static struct source *source;
static struct call call;
static struct sandbox_needs needs;

void
sandbox_path(struct sandbox_needs *n, const char *p, enum sandbox_access access)
{
	n->path[n->paths].path = p;
	n->path[n->paths++].access = access;
}

void
sandbox_port(struct sandbox_needs *n, uint16_t port)
{
	n->port[n->ports++] = port;
}

int
sandbox_thread(enum role role, const struct sandbox_needs *n)
{
	(void)role;
	(void)n;
	return 0;
}

/* ---- a server of our own ----------------------------------------------- */

/* Postgres does not run as root; elsewhere we are who we are. */
static void
become_postgres(void)
{
	struct passwd *pw;

	if (geteuid() != 0)
		return;
	if ((pw = getpwnam("postgres")) == NULL ||
	    setgroups(1, &pw->pw_gid) == -1 ||
	    setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) == -1 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == -1)
		_exit(1);
}

static pid_t
start(const char *program, char *argv[])
{
	char path[192], log[96];
	pid_t pid;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", bin, program);
	(void)snprintf(log, sizeof(log), "%s/log", root);
	if ((pid = fork()) != 0)
		return pid;
	become_postgres();
	if (chdir(root) == -1)
		_exit(1);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (fd == -1 || dup2(fd, 1) == -1 || dup2(fd, 2) == -1)
		_exit(1);
	argv[0] = path;	/* initdb looks for postgres beside itself */
	execv(path, argv);
	_exit(1);
}

static void
rest(void)
{
	static const struct timespec pause = { 0, 20000000 };

	(void)nanosleep(&pause, NULL);
}

static void
start_server(void)
{
	char data[96];
	char *argv[] = { ARG("postgres"), ARG("-D"), data, ARG("-k"), root,
	    ARG("-c"), ARG("listen_addresses="), ARG("-c"), ARG("fsync=off"),
	    ARG("-c"), ARG("shared_buffers=16MB"), NULL };
	uint64_t until = now_ms() + PATIENCE_MS;

	(void)snprintf(data, sizeof(data), "%s/data", root);
	server = start("postgres", argv);
	while (PQping(super) != PQPING_OK) {
		if (now_ms() > until)
			fail_msg("postgres does not start: see %s/log", root);
		rest();
	}
}

static void
stop_server(int signal_number)
{
	int status;

	if (server == -1)
		return;
	(void)kill(server, signal_number);
	(void)waitpid(server, &status, 0);
	server = -1;
}

/* Runs SQL as the superuser; the first value of the answer. */
static const char *
ask(const char *sql)
{
	static char value[256];
	PGconn *c = PQconnectdb(super);
	PGresult *r;

	if (PQstatus(c) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(c));
	r = PQexec(c, sql);
	if (PQresultStatus(r) == PGRES_FATAL_ERROR)
		fail_msg("%s: %s", sql, PQresultErrorMessage(r));
	value[0] = '\0';
	if (PQntuples(r) > 0)
		strlcpy(value, PQgetvalue(r, 0, 0), sizeof(value));
	PQclear(r);
	PQfinish(c);
	return value;
}

static const char setup_sql[] =
    "CREATE ROLE app LOGIN;"
    "CREATE TABLE t (id int PRIMARY KEY, s text, n int CHECK (n < 100));"
    "CREATE TABLE later (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);"
    "CREATE TABLE notes (id int, tenant text);"
    "INSERT INTO notes VALUES (1, 'acme'), (2, 'acme'), (3, 'bauer');"
    "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;"
    "CREATE POLICY p ON notes"
    " USING (tenant = current_setting('app.tenant', true));"
    "GRANT ALL ON ALL TABLES IN SCHEMA public TO app;"
    "CREATE FUNCTION loosen() RETURNS text LANGUAGE sql AS"
    " $$ SELECT set_config('default_transaction_read_only', 'off', false) $$;"
    "CREATE FUNCTION mark() RETURNS text LANGUAGE plpgsql AS"
    " $$ BEGIN INSERT INTO t VALUES (99); RETURN 'x'; END $$;"
    "CREATE FUNCTION conflict(state text) RETURNS text LANGUAGE plpgsql AS"
    " $$ BEGIN IF NOT EXISTS (SELECT FROM t WHERE id = 77) THEN"
    " RAISE EXCEPTION 'no' USING ERRCODE = state; END IF;"
    " RETURN 'yes'; END $$";

static int
group_setup(void **state)
{
	char data[96], *argv[] = { ARG("initdb"), ARG("-D"), data, ARG("-A"),
	    ARG("trust"), ARG("-N"), ARG("-U"), ARG("postgres"), ARG("-E"),
	    ARG("UTF8"), ARG("--locale=C"), NULL };
	struct passwd *pw;
	glob_t found;
	pid_t pid;
	int status;

	(void)state;
	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0)
		return -1;
	strlcpy(bin, found.gl_pathv[found.gl_pathc - 1], sizeof(bin));
	*strrchr(bin, '/') = '\0';
	globfree(&found);
	strlcpy(root, "/tmp/pontifex-pg-XXXXXX", sizeof(root));
	if (mkdtemp(root) == NULL)
		return -1;
	if (geteuid() == 0 && ((pw = getpwnam("postgres")) == NULL ||
	    chown(root, pw->pw_uid, pw->pw_gid) == -1))
		return -1;
	(void)snprintf(data, sizeof(data), "%s/data", root);
	(void)snprintf(super, sizeof(super), "host=%s user=postgres "
	    "dbname=postgres options='-c client_min_messages=warning'", root);
	(void)snprintf(dsn, sizeof(dsn), "host=%s user=app dbname=postgres",
	    root);
	pid = start("initdb", argv);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return -1;
	start_server();
	(void)ask(setup_sql);
	child.base = event_base_new();
	return child.base == NULL ? -1 : 0;
}

static int
group_teardown(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	stop_server(SIGINT);
	if ((pid = fork()) == 0) {
		execlp("rm", "rm", "-rf", root, (char *)NULL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid ? 0 : -1;
}

/* ---- a source and its loop --------------------------------------------- */

static int
setup(void **state)
{
	(void)state;
	memset(&needs, 0, sizeof(needs));
	memset(&call, 0, sizeof(call));
	source = calloc(1, sizeof(*source));
	source->name = own("pg");
	source->kind = SOURCE_POSTGRES;
	source->target = own(dsn);
	source->timeout_ms = 5000;
	source->connect_timeout_ms = 5000;
	source->connections = 1;
	source->ops = &source_postgres_ops;
	if (server == -1)
		start_server();
	(void)ask("TRUNCATE t, later; INSERT INTO t VALUES (1, 'one', 1), "
	    "(2, 'two', 2), (3, 'three', 3)");
	return 0;
}

static int
teardown(void **state)
{
	struct postgres *p = source->state;
	struct conn *cn;
	uint32_t i;

	(void)state;
	call_drop(&call);
	for (i = 0; p != NULL && i < p->nconns; i++) {
		cn = &p->conns[i];
		if (cn->reading != NULL)
			event_free(cn->reading);
		if (cn->writing != NULL)
			event_free(cn->writing);
		event_free(cn->timer);
		PQfinish(cn->pg);
		while (!TAILQ_EMPTY(&cn->ops))
			op_end(cn, TAILQ_FIRST(&cn->ops));
		free(cn->statement);
	}
	if (p != NULL) {
		pg_canceller_end(source);
		if (p->later_timer != NULL)
			event_free(p->later_timer);
		free(p->conns);
		free(p->options);
		free(p);
	}
	for (i = 0; i < source->ntools; i++)
		tool_free(source->tools[i]);
	free(source->name);
	free(source->target);
	free(source);
	return 0;
}

static void
prepare(void)
{
	assert_int_equal(source->ops->prepare(source, &needs), 0);
}

static void
begin(void)
{
	prepare();
	assert_int_equal(source->ops->confine(source, &needs), 0);
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

/* One turn as the handler makes it, with its sweep. */
static void
turn(void)
{
	static const struct timeval soon = { 0, 20000 };

	(void)event_base_loopexit(child.base, &soon);
	(void)event_base_loop(child.base, EVLOOP_ONCE);
	source->ops->turn(source);
	source->ops->sweep(source, now_ms());
}

static void
ask_call(struct call *c, const struct tool *t, const char *arguments)
{
	if (call_make(c, t, arguments) == -1)
		fail_msg("arguments refused: %s", c->message);
	source->ops->run(source, c);
}

static void
await_call(const struct call *c)
{
	uint64_t until = now_ms() + PATIENCE_MS;

	while (c->state != CALL_FREE) {
		if (now_ms() > until)
			fail_msg("%s: no answer", c->tool->sql);
		turn();
	}
}

static enum outcome
run(const struct tool *t, const char *arguments)
{
	call_drop(&call);
	ask_call(&call, t, arguments);
	await_call(&call);
	return call.outcome;
}

static void
answers(const struct tool *t, const char *arguments, const char *wanted)
{
	enum outcome outcome = run(t, arguments);

	if (outcome != OUTCOME_OK)
		fail_msg("wanted %s, got %s %s", wanted,
		    outcome_name(outcome), call.message);
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

static struct conn *
conn(uint32_t i)
{
	struct postgres *p = source->state;

	return &p->conns[i];
}

static void
await_up(void)
{
	uint64_t until = now_ms() + PATIENCE_MS;
	uint32_t i;

	for (i = 0; i < source->connections; i++)
		while (conn(i)->state != CONN_UP) {
			if (now_ms() > until)
				fail_msg("connection %u does not come up", i);
			turn();
		}
}

#define ROWS(rows, n) \
	"{\"rows\":[" rows "],\"row_count\":" n ",\"truncated\":false}"

/* ---- what it answers --------------------------------------------------- */

static void
a_call_before_the_first_connection_waits_for_it(void **state)
{
	struct tool *t = reading("SELECT s FROM t WHERE id = $1");

	(void)state;
	tool_param_of(t, "id", PARAM_INTEGER);
	begin();
	assert_int_not_equal(conn(0)->state, CONN_UP);
	answers(t, "{\"id\":2}", ROWS("{\"s\":\"two\"}", "1"));
}

static void
arguments_travel_bound_with_their_types(void **state)
{
	static const char echo[] = "SELECT $1 AS i, $2 AS n, $3 AS s, $4 AS b, "
	    "$5 AS d, $6 AS u, $7 AS o, pg_typeof($8)::text AS t";
	struct tool *t = reading(echo);

	(void)state;
	tool_param_of(t, "i", PARAM_INTEGER);
	tool_param_of(t, "n", PARAM_NUMBER);
	tool_param_of(t, "s", PARAM_STRING);
	tool_param_of(t, "b", PARAM_BOOLEAN);
	tool_param_of(t, "d", PARAM_DATE);
	tool_param_of(t, "u", PARAM_UUID);
	tool_caller(t, "owner");
	tool_param_of(t, "t", PARAM_TIMESTAMP);
	begin();
	answers(t, "{\"i\":-9007199254740993,\"n\":2.5e0,\"s\":\"'; DROP "
	    "TABLE t --\",\"b\":true,\"d\":\"2026-01-31\",\"u\":"
	    "\"7E57A1B2-0000-4000-8000-000000000001\"}",
	    ROWS("{\"i\":\"-9007199254740993\",\"n\":2.5,\"s\":\"'; DROP "
	    "TABLE t --\",\"b\":true,\"d\":\"2026-01-31\",\"u\":"
	    "\"7e57a1b2-0000-4000-8000-000000000001\",\"o\":\"alice\","
	    "\"t\":\"timestamp with time zone\"}", "1"));
	answers(t, "{}", ROWS("{\"i\":null,\"n\":null,\"s\":null,\"b\":null,"
	    "\"d\":null,\"u\":null,\"o\":\"alice\",\"t\":"
	    "\"timestamp with time zone\"}", "1"));
}

/* What a server, or who took its place, may say. */
struct value_case {
	Oid		 type;
	const char	*text;
	const char	*json;
};

static const struct value_case value_cases[] = {
	{ 16, "t", "true" }, { 16, "f", "false" }, { 16, "x", "false" },
	{ 21, "7", "7" }, { 23, "-8", "-8" }, { 26, "0", "0" },
	{ 20, "9007199254740992", "9007199254740992" },
	{ 20, "9007199254740993", "\"9007199254740993\"" },
	{ 20, "1,\"a\":2", "\"1,\\\"a\\\":2\"" },
	{ 23, "007", "\"007\"" }, { 23, "", "\"\"" }, { 23, "-", "\"-\"" },
	{ 700, "1.5", "1.5" }, { 701, "1e+20", "1e+20" },
	{ 701, "-1.5e-07", "-1.5e-07" }, { 701, "NaN", "\"NaN\"" },
	{ 701, "-Infinity", "\"-Infinity\"" }, { 701, "1.", "\"1.\"" },
	{ 701, ".5", "\".5\"" }, { 701, "1e", "\"1e\"" },
	{ 701, "1-2", "\"1-2\"" }, { 701, "0x10", "\"0x10\"" },
	{ 1700, "12.50", "\"12.50\"" }, { 1700, "NaN", "\"NaN\"" },
	{ 114, "{\"a\": [1, null]}", "{\"a\": [1, null]}" },
	{ 3802, "{\"b\": 1.50}", "{\"b\": 1.50}" },
	{ 114, "{} , {", "\"{} , {\"" },
	{ 114, "{\"a\":1,\"a\":2}", "\"{\\\"a\\\":1,\\\"a\\\":2}\"" },
	{ 17, "\\x00ff10", "\"AP8Q\"" }, { 17, "\\x", "\"\"" },
	{ 25, "a\"b\\\n\xc3\xa9", "\"a\\\"b\\\\\\n\xc3\xa9\"" },
	{ 25, "\xff", "\"\xef\xbf\xbd\"" },
	{ 1082, "2026-02-28", "\"2026-02-28\"" },
	{ 1184, "2026-02-28 12:34:56+00", "\"2026-02-28T12:34:56+00:00\"" },
	{ 1184, "2026-02-28 12:34:56.789-03:30",
	    "\"2026-02-28T12:34:56.789-03:30\"" },
	{ 1184, "infinity", "\"infinity\"" }, { 1184, "", "\"\"" },
	{ 1184, "2026-02-28 12:34:56+00 BC",
	    "\"2026-02-28 12:34:56+00 BC\"" },
	{ 1184, "2026-02-28 12:34:56+00:00:30",
	    "\"2026-02-28 12:34:56+00:00:30\"" },
	{ 99999, "{1,2}", "\"{1,2}\"" },
};

static void
values_are_true_to_their_type_and_never_break_the_json(void **state)
{
	PGresAttDesc column = { ARG("a"), 0, 0, 0, 0, -1, -1 };
	const struct value_case *v;
	struct buffer b;
	PGresult *res;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(value_cases) / sizeof(value_cases[0]); i++) {
		v = &value_cases[i];
		column.typid = v->type;
		res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
		assert_non_null(res);
		assert_int_equal(PQsetResultAttrs(res, 1, &column), 1);
		assert_int_equal(PQsetvalue(res, 0, 0, ARG(v->text),
		    (int)strlen(v->text)), 1);
		buffer_init(&b, 1024);
		pg_add_value(&b, res, 0, 0);
		(void)buffer_add_char(&b, '\0');
		assert_string_equal((const char *)b.data, v->json);
		assert_int_equal(json_parse(&arguments_json,
		    (const char *)b.data, b.len - 1), 0);
		buffer_free(&b);
		PQclear(res);
	}
}

/* ---- many at once ------------------------------------------------------ */

#define MANY	60

static void
an_error_in_a_group_takes_nobody_with_it(void **state)
{
	static struct call calls[MANY];
	struct tool *t = reading("SELECT 10 / $1 AS q");
	struct tool *other = reading("SELECT id FROM t WHERE id = $1");
	char arguments[32];
	int i;

	(void)state;
	tool_param_of(t, "x", PARAM_INTEGER);
	tool_param_of(other, "x", PARAM_INTEGER);
	begin();
	await_up();
	/* All in one turn: one group; three in it fail. */
	for (i = 0; i < MANY; i++) {
		(void)snprintf(arguments, sizeof(arguments), "{\"x\":%d}",
		    i == 0 || i == 20 || i == 21 ? 0 : 1);
		ask_call(&calls[i], i % 5 == 4 ? other : t, arguments);
	}
	assert_true(conn(0)->need_sync);
	for (i = 0; i < MANY; i++) {
		await_call(&calls[i]);
		if (i == 0 || i == 20 || i == 21) {
			assert_int_equal(calls[i].outcome,
			    OUTCOME_INVALID_INPUT);
			assert_null(strstr(calls[i].message, "zero"));
		} else {
			assert_int_equal(calls[i].outcome, OUTCOME_OK);
			assert_string_equal(call_json(&calls[i]),
			    i % 5 == 4 ? ROWS("{\"id\":1}", "1") :
			    ROWS("{\"q\":10}", "1"));
		}
		call_drop(&calls[i]);
	}
	assert_int_equal(conn(0)->calls, 0);
}

static void
more_calls_than_may_wait_are_turned_away(void **state)
{
	enum { ALL = DEPTH_MAX + WAITING_MAX + 5 };
	struct call *calls = calloc(ALL, sizeof(*calls));
	struct tool *t = reading("SELECT 1 AS n FROM pg_sleep(0.001)");
	int i, overloaded = 0;

	(void)state;
	assert_non_null(calls);
	t->timeout_ms = source->timeout_ms = 20000;
	begin();
	await_up();
	for (i = 0; i < ALL; i++)
		ask_call(&calls[i], t, NULL);
	for (i = 0; i < ALL; i++) {
		await_call(&calls[i]);
		overloaded += calls[i].outcome == OUTCOME_OVERLOADED;
		if (i < ALL - 5)
			assert_int_equal(calls[i].outcome, OUTCOME_OK);
		call_drop(&calls[i]);
	}
	assert_int_equal(overloaded, 5);
	free(calls);
}

static void
calls_go_where_least_is_in_flight(void **state)
{
	static struct call calls[8];
	struct tool *t = reading("SELECT 1 AS n");
	int i;

	(void)state;
	source->connections = 2;
	begin();
	await_up();
	for (i = 0; i < 8; i++)
		ask_call(&calls[i], t, NULL);
	assert_int_equal(conn(0)->calls, 4);
	assert_int_equal(conn(1)->calls, 4);
	for (i = 0; i < 8; i++) {
		await_call(&calls[i]);
		call_drop(&calls[i]);
	}
}

/* ---- large results ----------------------------------------------------- */

static long
resident_kb(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

/* A sanitizer keeps what was freed: there it says nothing. */
static void
grew_little(long before)
{
#ifndef SANITIZED
	if (resident_kb() - before > 50 * 1024)
		fail_msg("wanted less than 50 MiB more, got %ld KiB",
		    resident_kb() - before);
#else
	(void)before;
#endif
}

static void
rows_over_the_limit_are_neither_kept_nor_waited_for(void **state)
{
	struct tool *big = reading("SELECT i, repeat('x', 1000) AS x "
	    "FROM (SELECT generate_series(1, 100000000) AS i) AS g");
	struct tool *next = reading("SELECT 1 AS n");
	long before;
	int i;

	(void)state;
	big->limit_rows = 2;
	begin();
	await_up();
	before = resident_kb();
	outcome_is(big, NULL, OUTCOME_OK);
	assert_int_equal(call.rows, 2);
	assert_int_equal(call.truncated, 1);
	/* It is dropped in a while, and who comes then is served. */
	for (i = 0; i < 3; i++)
		answers(next, NULL, ROWS("{\"n\":1}", "1"));
	grew_little(before);
}

static void
a_large_result_behind_others_is_not_kept_either(void **state)
{
	static struct call first, second;
	struct tool *small = reading("SELECT pg_sleep(0.2)::text AS n");
	struct tool *big = reading("SELECT i, repeat('x', 1000) AS x "
	    "FROM generate_series(1, 200000) AS i");
	long before;

	(void)state;
	big->limit_rows = 2;
	begin();
	await_up();
	before = resident_kb();
	/* In one group: the big one is at the server while nobody reads. */
	ask_call(&first, small, NULL);
	ask_call(&second, big, NULL);
	await_call(&first);
	await_call(&second);
	assert_int_equal(second.outcome, OUTCOME_OK);
	assert_int_equal(second.rows, 2);
	grew_little(before);
	call_drop(&first);
	call_drop(&second);
}

/* ---- read-only, writes ------------------------------------------------- */

static void
a_tool_that_reads_cannot_write(void **state)
{
	struct tool *insert = reading("INSERT INTO t VALUES (50) "
	    "RETURNING id");
	struct tool *inside = reading("SELECT mark() AS m");
	struct tool *tries = reading("SELECT set_config("
	    "'transaction_read_only', 'off', false) AS a, mark() AS m");

	(void)state;
	begin();
	outcome_is(insert, NULL, OUTCOME_INTERNAL_ERROR);
	outcome_is(inside, NULL, OUTCOME_INTERNAL_ERROR);
	outcome_is(tries, NULL, OUTCOME_INTERNAL_ERROR);
	assert_string_equal(ask("SELECT count(*) FROM t"), "3");
}

static void
a_session_that_was_made_writable_is_given_up(void **state)
{
	struct tool *loosen = reading("SELECT loosen() AS l");
	struct tool *mark = reading("SELECT mark() AS m");
	struct conn *cn;
	uint64_t until;

	(void)state;
	begin();
	await_up();
	cn = conn(0);
	(void)run(loosen, NULL);
	until = now_ms() + PATIENCE_MS;
	while (cn->state == CONN_UP) {
		assert_true(now_ms() < until);
		turn();
	}
	await_up();
	outcome_is(mark, NULL, OUTCOME_INTERNAL_ERROR);
	assert_string_equal(ask("SELECT count(*) FROM t"), "3");
}

static void
a_write_is_committed_and_answers_what_it_returns(void **state)
{
	struct tool *w = writing("UPDATE t SET s = $1 WHERE id = 1 "
	    "RETURNING id, s");

	(void)state;
	tool_param_of(w, "s", PARAM_STRING);
	begin();
	answers(w, "{\"s\":\"new\"}", ROWS("{\"id\":1,\"s\":\"new\"}", "1"));
	assert_int_equal(call.may_have_run, 1);
	assert_string_equal(ask("SELECT s FROM t WHERE id = 1"), "new");
}

static void
a_write_without_rows_answers_none(void **state)
{
	struct tool *w = writing("DELETE FROM t");

	(void)state;
	begin();
	answers(w, NULL, ROWS("", "0"));
	assert_string_equal(ask("SELECT count(*) FROM t"), "0");
}

static void
a_write_that_fails_is_rolled_back_and_says_invalid_input(void **state)
{
	struct tool *w = writing("UPDATE t SET n = id * 40");
	struct tool *deferred = writing("INSERT INTO later VALUES (1), (1)");
	struct tool *r = reading("SELECT sum(n) AS n FROM t");

	(void)state;
	begin();
	outcome_is(w, NULL, OUTCOME_INVALID_INPUT);
	assert_int_equal(call.may_have_run, 0);
	assert_null(strstr(call.message, "constraint"));
	/* What is found at the COMMIT only, too. */
	outcome_is(deferred, NULL, OUTCOME_INVALID_INPUT);
	assert_int_equal(call.may_have_run, 0);
	answers(r, NULL, ROWS("{\"n\":6}", "1"));
	assert_string_equal(ask("SELECT count(*) FROM later"), "0");
}

static void
settings_of_the_session_are_the_callers_and_nobody_elses(void **state)
{
	static struct call calls[20];
	struct tool *t = reading("SELECT id FROM notes ORDER BY id");
	int i;

	(void)state;
	source->nsessions = 1;
	source->session[0].name = ARG("app.tenant");
	source->session[0].value = ARG("claim.tenant");
	begin();
	await_up();
	for (i = 0; i < 20; i++) {
		assert_int_equal(call_make(&calls[i], t, NULL), 0);
		calls[i].identity.attribute[0].value =
		    slice_of(i % 2 ? "acme" : "bauer");
		source->ops->run(source, &calls[i]);
	}
	for (i = 0; i < 20; i++) {
		await_call(&calls[i]);
		assert_int_equal(calls[i].outcome, OUTCOME_OK);
		assert_string_equal(call_json(&calls[i]), i % 2 ?
		    ROWS("{\"id\":1},{\"id\":2}", "2") :
		    ROWS("{\"id\":3}", "1"));
		call_drop(&calls[i]);
	}
}

static void
an_error_in_a_transaction_leaves_the_connection_clean(void **state)
{
	struct tool *bad = reading("SELECT 1 / (id - 3) AS x FROM notes");
	struct tool *good = reading("SELECT count(*) AS n FROM notes");

	(void)state;
	source->nsessions = 1;
	source->session[0].name = ARG("app.tenant");
	source->session[0].value = ARG("claim.tenant");
	begin();
	(void)run(good, NULL);
	assert_int_equal(call_make(&call, bad, NULL), 0);
	call.identity.attribute[0].value = slice_of("bauer");
	source->ops->run(source, &call);
	await_call(&call);
	assert_int_equal(call.outcome, OUTCOME_INVALID_INPUT);
	answers(good, NULL, ROWS("{\"n\":2}", "1"));
}

/* ---- time -------------------------------------------------------------- */

static void
a_query_past_its_time_is_cancelled_in_the_database(void **state)
{
	struct tool *slow = reading("SELECT pg_sleep(61)::text AS s");
	struct tool *write = writing("UPDATE t SET s = pg_sleep(61)::text");
	struct tool *next = reading("SELECT 1 AS n");

	(void)state;
	slow->timeout_ms = write->timeout_ms = 200;
	begin();
	outcome_is(slow, NULL, OUTCOME_TIMEOUT);
	outcome_is(write, NULL, OUTCOME_TIMEOUT);
	assert_int_equal(call.may_have_run, 0);
	assert_string_equal(ask("SELECT count(*) FROM pg_stat_activity WHERE "
	    "state = 'active' AND query LIKE '%pg_sleep(61)%' AND "
	    "pid <> pg_backend_pid()"), "0");
	answers(next, NULL, ROWS("{\"n\":1}", "1"));
}

static void
each_tool_has_its_own_timeout_whatever_fails_between(void **state)
{
	struct tool *show = reading("SELECT current_setting("
	    "'statement_timeout') AS t");
	struct tool *longer = reading("SELECT current_setting("
	    "'statement_timeout') AS t");
	struct tool *bad = reading("SELECT 1 / 0 AS x");
	struct tool *as_bad = reading("SELECT current_setting("
	    "'statement_timeout') AS t");
	struct tool *write = writing("UPDATE t SET s = current_setting("
	    "'statement_timeout') WHERE id = 1 RETURNING s");

	(void)state;
	longer->timeout_ms = 7000;
	bad->timeout_ms = as_bad->timeout_ms = 1000;
	write->timeout_ms = 9000;
	begin();
	answers(show, NULL, ROWS("{\"t\":\"5s\"}", "1"));
	answers(longer, NULL, ROWS("{\"t\":\"7s\"}", "1"));
	outcome_is(bad, NULL, OUTCOME_INVALID_INPUT);
	answers(as_bad, NULL, ROWS("{\"t\":\"1s\"}", "1"));
	answers(longer, NULL, ROWS("{\"t\":\"7s\"}", "1"));
	answers(write, NULL, ROWS("{\"s\":\"9s\"}", "1"));
	answers(longer, NULL, ROWS("{\"t\":\"7s\"}", "1"));
	answers(show, NULL, ROWS("{\"t\":\"5s\"}", "1"));
}

static void
a_read_behind_a_slow_one_times_out_and_the_slow_one_goes_on(void **state)
{
	static struct call slow_call;
	struct tool *slow = reading("SELECT pg_sleep(1.5)::text AS s");
	struct tool *quick = reading("SELECT 1 AS n");

	(void)state;
	quick->timeout_ms = 100;
	begin();
	await_up();
	ask_call(&slow_call, slow, NULL);
	outcome_is(quick, NULL, OUTCOME_TIMEOUT);
	assert_int_not_equal(slow_call.state, CALL_FREE);
	await_call(&slow_call);
	assert_int_equal(slow_call.outcome, OUTCOME_OK);
	assert_int_equal(slow_call.tries, 1);
	call_drop(&slow_call);
	assert_int_equal(conn(0)->calls, 0);
	answers(quick, NULL, ROWS("{\"n\":1}", "1"));
}

static pid_t
backend(void)
{
	const char *text = ask("SELECT pid FROM pg_stat_activity WHERE "
	    "usename = 'app'");

	return (pid_t)strtol(text, NULL, 10);
}

static void
a_server_that_hangs_cannot_hold_a_call(void **state)
{
	struct tool *t = reading("SELECT 1 AS n");
	struct tool *w = writing("UPDATE t SET s = 'x'");
	pid_t pid;

	(void)state;
	/* One that does not hang has its time, on a busy machine too. */
	t->timeout_ms = 5000;
	w->timeout_ms = 300;
	begin();
	answers(t, NULL, ROWS("{\"n\":1}", "1"));
	pid = backend();
	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	t->timeout_ms = 300;
	outcome_is(t, NULL, OUTCOME_TIMEOUT);
	/* On a connection of its own. */
	t->timeout_ms = 5000;
	await_up();
	answers(t, NULL, ROWS("{\"n\":1}", "1"));
	assert_int_equal(kill(pid, SIGCONT), 0);
	/* Of a write, nobody can say what became of it. */
	await_up();
	while ((pid = backend()) <= 1)
		rest();
	assert_int_equal(kill(pid, SIGSTOP), 0);
	outcome_is(w, NULL, OUTCOME_INTERNAL_ERROR);
	assert_int_equal(call.may_have_run, 1);
	assert_non_null(strstr(call.message, "may have taken effect"));
	assert_int_equal(kill(pid, SIGCONT), 0);
}

/* ---- cancelled --------------------------------------------------------- */

#define ACTIVE "SELECT count(*) FROM pg_stat_activity WHERE " \
	"state = 'active' AND usename = 'app'"

static void
cancel(struct call *c)
{
	c->cancelled = 1;
	source->ops->cancel(source, c);
}

/* Turns until the server is busy with so many, or not. */
static void
await_active(const char *wanted)
{
	uint64_t until = now_ms() + PATIENCE_MS;

	while (strcmp(ask(ACTIVE), wanted) != 0) {
		if (now_ms() > until)
			fail_msg("wanted %s active, got %s", wanted,
			    ask(ACTIVE));
		turn();
	}
}

static void
a_read_that_is_cancelled_stops_in_the_database(void **state)
{
	struct tool *slow = reading("SELECT pg_sleep(62)::text AS s");
	struct tool *next = reading("SELECT 1 AS n");
	pid_t pid;

	(void)state;
	slow->timeout_ms = 60000;
	begin();
	await_up();
	pid = backend();
	ask_call(&call, slow, NULL);
	await_active("1");
	cancel(&call);
	/* It is over at once, whatever the server does. */
	assert_int_equal(call.state, CALL_FREE);
	assert_int_equal(call.outcome, OUTCOME_CANCELLED);
	assert_int_equal(call.reason, REASON_CANCELLED);
	assert_int_equal(conn(0)->calls, 0);
	await_active("0");
	answers(next, NULL, ROWS("{\"n\":1}", "1"));
	/* On the connection that it had. */
	assert_int_equal(backend(), pid);
}

static void
a_read_that_ran_out_of_time_behind_others_stops_too(void **state)
{
	static struct call first;
	struct tool *slow = reading("SELECT pg_sleep(1)::text AS s");
	struct tool *late = reading("SELECT pg_sleep(64)::text AS s");

	(void)state;
	begin();
	await_up();
	ask_call(&first, slow, NULL);
	ask_call(&call, late, NULL);
	/* The server's clock of it begins when the first is done. */
	call.deadline_ms = now_ms();
	await_call(&call);
	assert_int_equal(call.outcome, OUTCOME_TIMEOUT);
	await_call(&first);
	assert_int_equal(first.outcome, OUTCOME_OK);
	call_drop(&first);
	await_active("0");
}

static void
a_cancel_takes_no_neighbour_with_it(void **state)
{
	static struct call calls[MANY];
	struct tool *slow = reading("SELECT pg_sleep(62)::text AS s");
	struct tool *t = reading("SELECT $1 AS q");
	char arguments[32], wanted[96];
	int i;

	(void)state;
	tool_param_of(t, "x", PARAM_INTEGER);
	slow->timeout_ms = t->timeout_ms = 60000;
	begin();
	await_up();
	ask_call(&call, slow, NULL);
	for (i = 0; i < MANY; i++) {
		(void)snprintf(arguments, sizeof(arguments), "{\"x\":%d}", i);
		ask_call(&calls[i], t, arguments);
	}
	await_active("1");
	cancel(&call);
	for (i = 0; i < MANY; i++) {
		await_call(&calls[i]);
		(void)snprintf(wanted, sizeof(wanted),
		    ROWS("{\"q\":%d}", "1"), i);
		assert_int_equal(calls[i].outcome, OUTCOME_OK);
		assert_string_equal(call_json(&calls[i]), wanted);
		call_drop(&calls[i]);
	}
}

static void
a_write_that_somebody_waits_for_is_never_in_the_way_of_a_cancel(void **state)
{
	static struct call write;
	struct tool *slow = reading("SELECT pg_sleep(1.5)::text AS s");
	struct tool *w = writing("UPDATE t SET n = n + 1 WHERE id = 1");

	(void)state;
	begin();
	await_up();
	ask_call(&call, slow, NULL);
	ask_call(&write, w, NULL);
	await_active("1");
	cancel(&call);
	assert_int_equal(call.outcome, OUTCOME_CANCELLED);
	while (write.state != CALL_FREE) {
		turn();
		assert_null(conn(0)->cancel);
	}
	assert_int_equal(write.outcome, OUTCOME_OK);
	call_drop(&write);
	assert_string_equal(ask("SELECT n FROM t WHERE id = 1"), "2");
}

static void
a_write_that_is_cancelled_is_taken_back_by_the_server(void **state)
{
	struct tool *w = writing("UPDATE t SET n = n + 1, "
	    "s = pg_sleep(63)::text WHERE id = 1");
	struct tool *next = reading("SELECT 1 AS n");

	(void)state;
	w->timeout_ms = 60000;
	begin();
	await_up();
	ask_call(&call, w, NULL);
	await_active("1");
	cancel(&call);
	/* Its end is the server's word. */
	assert_int_equal(call.state, CALL_RUNNING);
	await_call(&call);
	assert_int_equal(call.outcome, OUTCOME_CANCELLED);
	assert_int_equal(call.may_have_run, 0);
	assert_string_equal(ask("SELECT n FROM t WHERE id = 1"), "1");
	answers(next, NULL, ROWS("{\"n\":1}", "1"));
}

static void
a_call_that_waits_for_a_connection_leaves_the_queue(void **state)
{
	struct tool *t = reading("SELECT 1 AS n");
	struct postgres *p;

	(void)state;
	begin();
	p = source->state;
	ask_call(&call, t, NULL);
	assert_int_equal(p->nwaiting, 1);
	cancel(&call);
	assert_int_equal(call.outcome, OUTCOME_CANCELLED);
	assert_int_equal(p->nwaiting, 0);
	await_up();
	answers(t, NULL, ROWS("{\"n\":1}", "1"));
}

/* Every answer belongs to its question, however many are cancelled. */
#define HAMMER	2000
#define AT_ONCE	48

static void
hammer_answer(struct call *c, int x, int *cancelled)
{
	char wanted[96];

	if (c->outcome == OUTCOME_CANCELLED) {
		assert_int_equal(c->cancelled, 1);
		++*cancelled;
		return;
	}
	if (c->outcome != OUTCOME_OK)
		fail_msg("wanted an answer, got %s after %d tries",
		    outcome_name(c->outcome), c->tries);
	(void)snprintf(wanted, sizeof(wanted), ROWS("{\"q\":%d}", "1"), x);
	assert_string_equal(call_json(c), wanted);
}

static void
cancels_at_random_lose_and_swap_no_answer(void **state)
{
	static struct call calls[AT_ONCE];
	static int number[AT_ONCE];
	struct tool *t = reading("SELECT $1 AS q FROM pg_sleep(0.001)");
	int i, begun = 0, ended = 0, cancelled = 0;
	char arguments[32];

	(void)state;
	tool_param_of(t, "x", PARAM_INTEGER);
	t->timeout_ms = source->timeout_ms = 60000;
	source->connections = 2;
	begin();
	await_up();
	memset(calls, 0, sizeof(calls));
	while (ended < HAMMER) {
		for (i = 0; i < AT_ONCE; i++) {
			if (number[i] != 0 && calls[i].state == CALL_FREE) {
				hammer_answer(&calls[i], number[i],
				    &cancelled);
				call_drop(&calls[i]);
				number[i] = 0;
				ended++;
			} else if (number[i] != 0) {
				if (arc4random_uniform(8) == 0)
					cancel(&calls[i]);
				continue;
			}
			if (begun == HAMMER)
				continue;
			number[i] = ++begun;
			(void)snprintf(arguments, sizeof(arguments),
			    "{\"x\":%d}", begun);
			ask_call(&calls[i], t, arguments);
		}
		turn();
	}
	assert_true(cancelled > 0 && cancelled < HAMMER);
	for (i = 0; i < 2; i++) {
		assert_int_equal(conn((uint32_t)i)->calls, 0);
		assert_int_equal(conn((uint32_t)i)->state, CONN_UP);
	}
}

/* ---- repeated ---------------------------------------------------------- */

static void
a_read_that_was_taken_back_for_anothers_sake_is_asked_again(void **state)
{
	static const char *const states[] = { "40001", "40P01" };
	struct tool *t = reading("SELECT conflict($1) AS c");
	char arguments[32];
	size_t i;

	(void)state;
	tool_param_of(t, "state", PARAM_STRING);
	begin();
	for (i = 0; i < 2; i++) {
		(void)ask("DELETE FROM t WHERE id = 77");
		(void)snprintf(arguments, sizeof(arguments),
		    "{\"state\":\"%s\"}", states[i]);
		/* In vain: so often, and it may try again. */
		outcome_is(t, arguments, OUTCOME_INTERNAL_ERROR);
		assert_int_equal(call.tries, TRIES_MAX);
		assert_int_equal(call.nasked, TRIES_MAX - 1);
		call_drop(&call);
		ask_call(&call, t, arguments);
		while (call.queue != QUEUE_LATER)
			turn();
		(void)ask("INSERT INTO t VALUES (77)");
		await_call(&call);
		assert_int_equal(call.outcome, OUTCOME_OK);
		assert_true(call.tries > 1);
		assert_string_equal(call_json(&call),
		    ROWS("{\"c\":\"yes\"}", "1"));
	}
	/* What would fail again is not. */
	(void)ask("DELETE FROM t WHERE id = 77");
	outcome_is(t, "{\"state\":\"P0001\"}", OUTCOME_INTERNAL_ERROR);
	assert_int_equal(call.tries, 1);
}

static void
a_write_that_was_taken_back_is_the_callers_to_repeat(void **state)
{
	struct tool *w = writing("UPDATE t SET s = conflict('40001')");

	(void)state;
	begin();
	outcome_is(w, NULL, OUTCOME_INTERNAL_ERROR);
	assert_int_equal(call.tries, 1);
	assert_int_equal(call.may_have_run, 0);
	assert_true(call.retry_after > 0);
	assert_non_null(strstr(call.message, "Try again"));
}

/* ---- statements -------------------------------------------------------- */

static void
a_statement_that_is_refused_spoils_no_other(void **state)
{
	struct tool *good = reading("SELECT 1 AS n");
	struct tool *broken = reading("SELECT nosuch FROM nowhere");
	struct tool *twins = reading("SELECT 1 AS a, 2 AS a");
	struct tool *two = reading("SELECT 1 AS a; SELECT 2 AS b");
	struct tool *last = writing("UPDATE t SET s = 'x' "
	    "RETURNING id, id");

	(void)state;
	begin();
	answers(good, NULL, ROWS("{\"n\":1}", "1"));
	outcome_is(broken, NULL, OUTCOME_INTERNAL_ERROR);
	outcome_is(twins, NULL, OUTCOME_INTERNAL_ERROR);
	outcome_is(two, NULL, OUTCOME_INTERNAL_ERROR);
	outcome_is(last, NULL, OUTCOME_INTERNAL_ERROR);
	assert_int_equal(call.may_have_run, 0);
	assert_string_equal(ask("SELECT s FROM t WHERE id = 1"), "one");
	answers(good, NULL, ROWS("{\"n\":1}", "1"));
}

static void
copy_is_no_statement_of_a_tool(void **state)
{
	struct tool *t = reading("COPY t TO STDOUT");
	struct tool *next = reading("SELECT 1 AS n");

	(void)state;
	begin();
	outcome_is(t, NULL, OUTCOME_INTERNAL_ERROR);
	await_up();
	answers(next, NULL, ROWS("{\"n\":1}", "1"));
}

static void
a_table_that_changes_under_a_statement_is_followed(void **state)
{
	struct tool *t = reading("SELECT * FROM changing");

	(void)state;
	(void)ask("DROP TABLE IF EXISTS changing; CREATE TABLE changing "
	    "AS SELECT 1 AS a; GRANT ALL ON changing TO app");
	begin();
	answers(t, NULL, ROWS("{\"a\":1}", "1"));
	(void)ask("ALTER TABLE changing ADD COLUMN b text DEFAULT 'x'");
	answers(t, NULL, ROWS("{\"a\":1,\"b\":\"x\"}", "1"));
	answers(t, NULL, ROWS("{\"a\":1,\"b\":\"x\"}", "1"));
}

static void
a_table_that_is_made_later_is_found(void **state)
{
	struct tool *t = reading("SELECT a FROM made_later");

	(void)state;
	(void)ask("DROP TABLE IF EXISTS made_later");
	begin();
	outcome_is(t, NULL, OUTCOME_INTERNAL_ERROR);
	(void)ask("CREATE TABLE made_later AS SELECT 7 AS a; "
	    "GRANT ALL ON made_later TO app");
	/* Not before its pause is over; that is not waited for here. */
	outcome_is(t, NULL, OUTCOME_INTERNAL_ERROR);
	conn(0)->statement[0].retry_ms = 0;
	answers(t, NULL, ROWS("{\"a\":7}", "1"));
}

/* ---- connections ------------------------------------------------------- */

#define TERMINATE "SELECT pg_terminate_backend(pid) FROM pg_stat_activity " \
	"WHERE usename = 'app'"

static void
a_connection_that_was_good_is_made_again_unnoticed(void **state)
{
	struct tool *t = reading("SELECT 1 AS n");

	(void)state;
	begin();
	await_up();
	conn(0)->up_ms -= STEADY_MS;	/* as if it were old */
	(void)ask(TERMINATE);
	answers(t, NULL, ROWS("{\"n\":1}", "1"));
	assert_int_equal(conn(0)->failed, 0);
}

static void
reads_in_flight_move_to_another_connection_once(void **state)
{
	struct tool *t = reading("SELECT pg_sleep(0.4)::text AS s");

	(void)state;
	source->connections = 2;
	begin();
	await_up();
	ask_call(&call, t, NULL);
	turn();
	turn();
	(void)ask(TERMINATE " AND state = 'active'");
	await_call(&call);
	assert_int_equal(call.outcome, OUTCOME_OK);
	assert_int_equal(call.tries, 2);
}

static void
a_write_in_flight_is_never_sent_twice(void **state)
{
	struct tool *w = writing("UPDATE t SET n = n + 1, "
	    "s = pg_sleep(0.4)::text WHERE id = 1");

	(void)state;
	source->connections = 2;
	begin();
	await_up();
	ask_call(&call, w, NULL);
	turn();
	turn();
	(void)ask(TERMINATE " AND state = 'active'");
	await_call(&call);
	assert_int_equal(call.outcome, OUTCOME_INTERNAL_ERROR);
	assert_non_null(strstr(call.message, "may have taken effect"));
	assert_int_equal(call.tries, 1);
	await_up();
	assert_string_equal(ask("SELECT n FROM t WHERE id = 1"), "1");
}

static void
no_server_is_unavailable_at_once_and_it_comes_back(void **state)
{
	struct tool *t = reading("SELECT 1 AS n");
	uint64_t until;

	(void)state;
	begin();
	await_up();
	stop_server(SIGQUIT);
	/* The first attempt is waited for, the next ones are not. */
	outcome_is(t, NULL, OUTCOME_SOURCE_UNAVAILABLE);
	assert_true(call.retry_after > 0);
	call_drop(&call);
	ask_call(&call, t, NULL);
	assert_int_equal(call.state, CALL_FREE);
	assert_int_equal(call.outcome, OUTCOME_SOURCE_UNAVAILABLE);
	start_server();
	until = now_ms() + PATIENCE_MS;
	while (run(t, NULL) != OUTCOME_OK) {
		assert_true(now_ms() < until);
		turn();
	}
}

static void
a_server_that_never_answers_is_given_up(void **state)
{
	struct tool *t = reading("SELECT 1 AS n");
	enum outcome outcome;
	int status;

	(void)state;
	source->connect_timeout_ms = 200;
	/* The system takes the connection, the server that stands still does not. */
	assert_int_equal(kill(server, SIGSTOP), 0);
	assert_int_equal(waitpid(server, &status, WUNTRACED), server);
	assert_true(WIFSTOPPED(status));
	begin();
	outcome = run(t, NULL);
	assert_int_equal(kill(server, SIGCONT), 0);
	assert_int_equal(outcome, OUTCOME_SOURCE_UNAVAILABLE);
	await_up();
	answers(t, NULL, ROWS("{\"n\":1}", "1"));
}

/* How many the server has of ours. */
#define CONNECTED "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"

static void
a_connection_that_is_old_is_renewed_and_no_call_notices(void **state)
{
	static struct call slow_call;
	struct tool *slow = reading("SELECT pg_sleep(1)::text AS s");
	struct tool *t = reading("SELECT pg_backend_pid()::text AS pid");
	uint64_t until = now_ms() + PATIENCE_MS;
	struct conn *old;
	char first[64];

	(void)state;
	source->lifetime_ms = 3600000;
	begin();
	await_up();
	old = conn(0);
	assert_true(old->end_ms > now_ms() + source->lifetime_ms / 10 * 8);
	assert_true(old->end_ms < now_ms() + source->lifetime_ms / 10 * 12);
	assert_int_equal(run(t, NULL), OUTCOME_OK);
	strlcpy(first, call_json(&call), sizeof(first));
	ask_call(&slow_call, slow, NULL);
	await_active("1");
	old->end_ms = now_ms();
	pg_conn_arm(old, 0);
	while (conn(1)->state != CONN_UP) {
		/* Until then the old one is the one. */
		assert_int_equal(old->wanted, 1);
		assert_true(now_ms() < until);
		turn();
	}
	/* In the midst of a call: it goes on there, the next goes elsewhere. */
	assert_int_equal(slow_call.state, CALL_RUNNING);
	assert_int_equal(run(t, NULL), OUTCOME_OK);
	assert_string_not_equal(call_json(&call), first);
	await_call(&slow_call);
	assert_int_equal(slow_call.outcome, OUTCOME_OK);
	assert_int_equal(slow_call.tries, 1);
	call_drop(&slow_call);
	while (old->state != CONN_DOWN || strcmp(ask(CONNECTED), "1") != 0) {
		assert_true(now_ms() < until);
		turn();
	}
	assert_int_equal(old->wanted, 0);
	assert_int_equal(conn(1)->wanted, 1);
}

static void
one_that_is_not_used_is_renewed_and_one_that_is_used_is_not(void **state)
{
	struct tool *t = reading("SELECT 1 AS n");
	uint64_t until = now_ms() + PATIENCE_MS;

	(void)state;
	source->idle_ms = 3600000;
	begin();
	await_up();
	conn(0)->idle_ms = 200;
	pg_conn_arm(conn(0), 0);
	turn();
	assert_int_equal(conn(1)->wanted, 0);
	while (conn(1)->state != CONN_UP) {
		assert_true(now_ms() < until);
		turn();
	}
	/* The control: its own time is long, and it serves. */
	answers(t, NULL, ROWS("{\"n\":1}", "1"));
	assert_int_equal(conn(0)->state, CONN_DOWN);
	assert_true(conn(1)->idle_ms > 3000000);
}

static void
what_cannot_be_renewed_is_kept(void **state)
{
	struct tool *t = reading("SELECT 1 AS n");
	uint64_t until = now_ms() + PATIENCE_MS;

	(void)state;
	begin();
	await_up();
	(void)ask("ALTER ROLE app NOLOGIN");
	conn(0)->end_ms = now_ms();
	pg_conn_arm(conn(0), 0);
	do {
		assert_true(now_ms() < until);
		turn();
	} while (conn(1)->state != CONN_DOWN || !source->refused);
	(void)ask("ALTER ROLE app LOGIN");
	assert_int_equal(conn(1)->wanted, 0);
	assert_int_equal(conn(0)->wanted, 1);
	answers(t, NULL, ROWS("{\"n\":1}", "1"));
	/* And tried again. */
	assert_true(evtimer_pending(conn(0)->timer, NULL));
}

static void
another_dsn_is_taken_where_it_leads_to_the_same_place(void **state)
{
	static const char *const elsewhere[] = { "port=6000", "hostaddr=::1",
	    "host=192.0.2.7", "sslrootcert=/etc/x.pem", "host=a,b", "nonsense",
	    "" };
	char text[512];
	size_t i;

	(void)state;
	begin();
	for (i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		(void)snprintf(text, sizeof(text), "%s %s",
		    elsewhere[i][0] == '\0' ? "" : dsn, elsewhere[i]);
		source->ops->renew(source, slice_of(text));
		assert_string_equal(source->target, dsn);
	}
	(void)snprintf(text, sizeof(text), "%s password=new "
	    "options='-c search_path=y'", dsn);
	source->ops->renew(source, slice_of(text));
	assert_string_equal(source->target, text);
	assert_non_null(strstr(((struct postgres *)source->state)->options,
	    "search_path=y"));
	assert_non_null(strstr(((struct postgres *)source->state)->options,
	    "default_transaction_read_only=on"));
}

/* ---- the DSN ----------------------------------------------------------- */

struct dsn_case {
	const char	*dsn;
	const char	*path;		/* NULL: none */
	uint16_t	 port;		/* 0: none */
	int		 resolve;
};

static const struct dsn_case dsn_cases[] = {
	{ "dbname=a", "/var/run/postgresql", 0, 0 },
	{ "host=/tmp/x dbname=a", "/tmp/x", 0, 0 },
	{ "host=db.example dbname=a", NULL, 5432, 1 },
	{ "host=db.example port=6000", NULL, 6000, 1 },
	{ "host=192.0.2.7", NULL, 5432, 0 },
	{ "host=::1 port=5433", NULL, 5433, 0 },
	{ "host=db.example hostaddr=192.0.2.7", NULL, 5432, 0 },
	{ "postgresql://u:p@192.0.2.7:6432/a?sslmode=require", NULL, 6432, 0 },
	{ "postgresql://u@%2Ftmp%2Fx/a", "/tmp/x", 0, 0 },
	{ "host=/tmp/x,192.0.2.7 port=1,2", "/tmp/x", 2, 0 },
	{ "host=192.0.2.7 sslrootcert=/etc/ca.pem", "/etc/ca.pem", 5432, 0 },
};

static void
the_sandbox_opens_what_the_dsn_names_and_no_more(void **state)
{
	const struct dsn_case *v;
	size_t i;

	(void)state;
	assert_int_equal(setenv("PGHOST", "evil.example", 1), 0);
	assert_int_equal(setenv("PGPASSWORD", "secret", 1), 0);
	source->state = calloc(1, sizeof(struct postgres));
	source->connections = 0;
	for (i = 0; i < sizeof(dsn_cases) / sizeof(dsn_cases[0]); i++) {
		v = &dsn_cases[i];
		free(source->target);
		source->target = own(v->dsn);
		memset(&needs, 0, sizeof(needs));
		assert_int_equal(pg_dsn_needs(source, &needs), 0);
		if (needs.paths != (v->path != NULL) ||
		    needs.ports != (v->port != 0) ||
		    needs.resolve != v->resolve ||
		    (needs.paths > 0 && strcmp(needs.path[0].path,
		    v->path) != 0) ||
		    (needs.ports > 0 && needs.port[0] != v->port))
			fail_msg("%s: %zu paths (%s), %zu ports (%u), "
			    "resolve %d", v->dsn, needs.paths,
			    needs.paths > 0 ? needs.path[0].path : "",
			    needs.ports, needs.port[0], needs.resolve);
		free(((struct postgres *)source->state)->options);
		((struct postgres *)source->state)->options = NULL;
	}
	assert_null(getenv("PGHOST"));
	assert_null(getenv("PGPASSWORD"));
}

static void
a_dsn_that_cannot_be_read_stops_the_start(void **state)
{
	static const char *const bad[] = { "nonsense", "host='x",
	    "host=192.0.2.7 port=0", "host=192.0.2.7 port=x" };
	size_t i;

	(void)state;
	source->state = calloc(1, sizeof(struct postgres));
	source->connections = 0;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		free(source->target);
		source->target = own(bad[i]);
		assert_int_equal(pg_dsn_needs(source, &needs), -1);
	}
}

static void
options_of_the_dsn_are_kept_but_cannot_loosen_ours(void **state)
{
	struct tool *t = reading("SELECT current_setting('search_path') AS p, "
	    "current_setting('default_transaction_read_only') AS r, "
	    "current_setting('statement_timeout') AS t");

	(void)state;
	free(source->target);
	assert_true(asprintf(&source->target, "%s options='-c search_path=x "
	    "-c default_transaction_read_only=off -c statement_timeout=0'",
	    dsn) > 0);
	begin();
	answers(t, NULL, ROWS("{\"p\":\"x\",\"r\":\"on\",\"t\":\"5s\"}", "1"));
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_call_before_the_first_connection_waits_for_it),
		TEST(arguments_travel_bound_with_their_types),
		TEST(values_are_true_to_their_type_and_never_break_the_json),
		TEST(an_error_in_a_group_takes_nobody_with_it),
		TEST(more_calls_than_may_wait_are_turned_away),
		TEST(calls_go_where_least_is_in_flight),
		TEST(rows_over_the_limit_are_neither_kept_nor_waited_for),
		TEST(a_large_result_behind_others_is_not_kept_either),
		TEST(a_tool_that_reads_cannot_write),
		TEST(a_session_that_was_made_writable_is_given_up),
		TEST(a_write_is_committed_and_answers_what_it_returns),
		TEST(a_write_without_rows_answers_none),
		TEST(a_write_that_fails_is_rolled_back_and_says_invalid_input),
		TEST(settings_of_the_session_are_the_callers_and_nobody_elses),
		TEST(an_error_in_a_transaction_leaves_the_connection_clean),
		TEST(a_query_past_its_time_is_cancelled_in_the_database),
		TEST(each_tool_has_its_own_timeout_whatever_fails_between),
		TEST(a_read_behind_a_slow_one_times_out_and_the_slow_one_goes_on),
		TEST(a_server_that_hangs_cannot_hold_a_call),
		TEST(a_read_that_is_cancelled_stops_in_the_database),
		TEST(a_read_that_ran_out_of_time_behind_others_stops_too),
		TEST(a_cancel_takes_no_neighbour_with_it),
		TEST(a_write_that_somebody_waits_for_is_never_in_the_way_of_a_cancel),
		TEST(a_write_that_is_cancelled_is_taken_back_by_the_server),
		TEST(a_call_that_waits_for_a_connection_leaves_the_queue),
		TEST(cancels_at_random_lose_and_swap_no_answer),
		TEST(a_read_that_was_taken_back_for_anothers_sake_is_asked_again),
		TEST(a_write_that_was_taken_back_is_the_callers_to_repeat),
		TEST(a_statement_that_is_refused_spoils_no_other),
		TEST(copy_is_no_statement_of_a_tool),
		TEST(a_table_that_changes_under_a_statement_is_followed),
		TEST(a_table_that_is_made_later_is_found),
		TEST(a_connection_that_was_good_is_made_again_unnoticed),
		TEST(reads_in_flight_move_to_another_connection_once),
		TEST(a_write_in_flight_is_never_sent_twice),
		TEST(no_server_is_unavailable_at_once_and_it_comes_back),
		TEST(a_server_that_never_answers_is_given_up),
		TEST(a_connection_that_is_old_is_renewed_and_no_call_notices),
		TEST(one_that_is_not_used_is_renewed_and_one_that_is_used_is_not),
		TEST(what_cannot_be_renewed_is_kept),
		TEST(another_dsn_is_taken_where_it_leads_to_the_same_place),
		TEST(the_sandbox_opens_what_the_dsn_names_and_no_more),
		TEST(a_dsn_that_cannot_be_read_stops_the_start),
		TEST(options_of_the_dsn_are_kept_but_cannot_loosen_ours),
	};

	log_init("test", 1, 0);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
