/* SPDX-License-Identifier: ISC */
/* link: auditd/postgres.c auditd/rows.c auditd/position.c auditd/dsn.c auditd/journal.c pledge/sandbox_linux.c */

/*
 * The drain against a real Postgres of our own in a temporary folder: it is
 * stopped, hung, started without a schema, fed with what it does not take;
 * each record must be in the table once, and the chain must hold there.
 */

#include <sys/stat.h>
#include <sys/wait.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <time.h>
#include <cmocka.h>

#include <event2/event.h>
#include <libpq-fe.h>

#include "../../auditd/auditd.h"
#include "../../common/compat.h"
#include "../../common/crypt.h"
#include "../../common/log.h"
#include "../../common/proc.h"
#include "../../pledge/sandbox.h"

#define PATIENCE_MS	30000	/* before a wait is given up as failed */

static char root[64];		/* of everything */
static char bin[128];		/* of Postgres */
static char journal_path[80];
static char dsn[256];
static pid_t server = -1;
static struct event_base *base;
static struct journal *journal;
static unsigned int number;	/* of the next record */
static const char *next_params;
static const char *next_owner;

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

	snprintf(path, sizeof(path), "%s/%s", bin, program);
	snprintf(log, sizeof(log), "%s/log", root);
	if ((pid = fork()) != 0)
		return pid;
	become_postgres();
	if (chdir(root) == -1)
		_exit(1);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close_from(3);
	argv[0] = path;	/* initdb looks for postgres beside itself */
	execv(path, argv);
	_exit(1);
}

static int
run(const char *program, char *argv[])
{
	pid_t pid = start(program, argv);
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ?
	    WEXITSTATUS(status) : -1;
}

#define ARG(s)	((char *)(uintptr_t)(s))

static char super[256];

static void
start_server(void)
{
	char data[96];
	char *argv[] = { ARG("postgres"), ARG("-D"), data, ARG("-k"), root,
	    ARG("-c"), ARG("listen_addresses="), ARG("-c"), ARG("fsync=off"),
	    ARG("-c"), ARG("shared_buffers=16MB"), NULL };
	uint64_t until = now_ms() + PATIENCE_MS;
	struct timespec pause = { 0, 20000000 };

	snprintf(data, sizeof(data), "%s/data", root);
	server = start("postgres", argv);
	while (PQping(super) != PQPING_OK) {
		if (now_ms() > until)
			fail_msg("postgres does not start: see %s/log", root);
		nanosleep(&pause, NULL);
	}
}

static void
stop_server(int signal_number)
{
	int status;

	if (server == -1)
		return;
	kill(server, signal_number);
	(void)waitpid(server, &status, 0);
	server = -1;
}

/* Runs SQL; the first value of the answer goes to a static buffer. */
static const char *
ask_as(const char *who, const char *sql)
{
	static char value[1024];
	PGconn *c = PQconnectdb(who);
	PGresult *r;

	if (PQstatus(c) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(c));
	r = PQexec(c, sql);
	if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) > 0)
		strlcpy(value, PQgetvalue(r, 0, 0), sizeof(value));
	else if (PQresultStatus(r) == PGRES_COMMAND_OK ||
	    PQresultStatus(r) == PGRES_TUPLES_OK)
		strlcpy(value, "", sizeof(value));
	else
		snprintf(value, sizeof(value), "error %s",
		    PQresultErrorField(r, PG_DIAG_SQLSTATE));
	PQclear(r);
	PQfinish(c);
	return value;
}

static const char *
ask(const char *sql)
{
	return ask_as(super, sql);
}

static void
load_file(const char *path)
{
	char *sql;
	off_t size;
	int fd;

	assert_true((fd = open(path, O_RDONLY)) >= 0);
	size = lseek(fd, 0, SEEK_END);
	assert_non_null(sql = calloc(1, (size_t)size + 1));
	assert_int_equal(pread(fd, sql, (size_t)size, 0), size);
	close(fd);
	(void)ask(sql);
	free(sql);
}

static void
load_schema(void)
{
	glob_t files;
	size_t i;

	assert_int_equal(glob("auditd/schema/*.sql", 0, NULL, &files), 0);
	for (i = 0; i < files.gl_pathc; i++)
		load_file(files.gl_pathv[i]);
	globfree(&files);
}

static int
group_setup(void **state)
{
	char data[96], *argv[] = { ARG("initdb"), ARG("-D"), data, ARG("-A"),
	    ARG("trust"), ARG("-N"), ARG("-U"), ARG("postgres"), ARG("-E"),
	    ARG("UTF8"), ARG("--locale=C"), NULL };
	struct passwd *pw;
	glob_t found;

	(void)state;
	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0)
		return -1;
	strlcpy(bin, found.gl_pathv[found.gl_pathc - 1], sizeof(bin));
	*strrchr(bin, '/') = '\0';
	globfree(&found);
	strlcpy(root, "/tmp/pontifex-drain-XXXXXX", sizeof(root));
	if (mkdtemp(root) == NULL)
		return -1;
	if (geteuid() == 0 && ((pw = getpwnam("postgres")) == NULL ||
	    chown(root, pw->pw_uid, pw->pw_gid) == -1))
		return -1;
	snprintf(data, sizeof(data), "%s/data", root);
	snprintf(super, sizeof(super),
	    "host=%s user=postgres dbname=postgres "
	    "options='-c client_min_messages=warning'", root);
	if (run("initdb", argv) != 0)
		return -1;
	start_server();
	return 0;
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

/* ---- a journal and its drain ------------------------------------------- */

static uint64_t
durable(void)
{
	return journal_seq(journal);
}

static void
open_drain_as(const char *text, unsigned int deadline_ms, unsigned int batch)
{
	struct drain_conf dc = { .base = base, .dsn = text, .node = "edge-1",
	    .dir = journal_dir(journal), .durable = durable,
	    .deadline_ms = deadline_ms, .batch = batch };

	assert_int_equal(drain_open(&dc), 0);
}

static void
open_drain(void)
{
	open_drain_as(dsn, 0, 0);
}

static void
open_journal(void)
{
	struct journal_conf conf = { .path = journal_path,
	    .segment = 16 * 1024 };

	assert_non_null(journal = journal_open(&conf, &journal_io_system));
}

static int
setup(void **state)
{
	static unsigned int n;

	(void)state;
	/* A journal of its own for each test; the table is emptied. */
	snprintf(journal_path, sizeof(journal_path), "%s/audit%u", root, n++);
	if (mkdir(journal_path, 0700) == -1)
		return -1;
	(void)ask("DROP SCHEMA IF EXISTS pontifex CASCADE");
	load_schema();
	snprintf(dsn, sizeof(dsn),
	    "host=%s user=pontifex_audit dbname=postgres", root);
	base = NULL;
	struct event_config *config = event_config_new();
	base = event_base_new_with_config(config);
	event_config_free(config);
	number = 0;
	next_params = next_owner = NULL;
	open_journal();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	drain_close();
	journal_close(journal);
	event_base_free(base);
	return 0;
}

static void
append(unsigned int count, enum record_kind kind)
{
	struct record r;
	char params[128];
	size_t before = 0;

	while (count-- > 0) {
		memset(&r, 0, sizeof(r));
		r.kind = kind;
		r.node = slice_of("edge-1");
		r.time_us = 1795000000123456ULL + number;
		r.has_request = 1;
		memset(r.request_id, 0, sizeof(r.request_id));
		memcpy(r.request_id, &number, sizeof(number));
		r.calls = kind != RECORD_INTENT;
		r.namespace = slice_of("shop");
		r.owner = slice_of(next_owner != NULL ? next_owner :
		    "a \"b\" \\ {c},\n\xc3\xa4 NULL");
		r.key_id = slice_of(number % 2 == 0 ? "NULL" : "");
		r.tool = slice_of("order_lookup");
		snprintf(params, sizeof(params),
		    "{\"n\":%u,\"s\":\"\\\"}\\\\\"}", number);
		r.params = slice_of(next_params != NULL ? next_params : params);
		r.peer = slice_of(number % 3 == 0 ? "192.0.2.1" :
		    number % 3 == 1 ? "2001:db8::1" : "nowhere");
		r.ran = 1;
		r.rows = UINT64_MAX;
		r.response_us = 1500;
		number++;
		assert_int_equal(journal_append(journal, &r), 0);
		if (count % 64 == 0) {
			before += journal_grouped(journal);
			assert_int_equal(journal_commit(journal), 0);
		}
	}
	drain_kick(before);
}

/* Turns the loop until the drain stands at seq. */
static void
wait_for(uint64_t seq)
{
	static const struct timeval tick = { 0, 20000 };
	uint64_t until = now_ms() + PATIENCE_MS;

	while (drain_seq() < seq) {
		if (now_ms() > until)
			fail_msg("drained up to %llu, wanted %llu (%s)",
			    (unsigned long long)drain_seq(),
			    (unsigned long long)seq, drain_state());
		event_base_loopexit(base, &tick);
		event_base_loop(base, 0);
	}
}

static void
wait_ms(unsigned int ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	event_base_loopexit(base, &tv);
	event_base_loop(base, 0);
}

/* The table holds 1..n once each, and its chain can be checked in SQL. */
static void
assert_table(unsigned int n)
{
	char want[64];

	snprintf(want, sizeof(want), "%u %u %u", n, n == 0 ? 0 : 1, n);
	assert_string_equal(ask("SELECT concat_ws(' ', count(*), "
	    "coalesce(min(seq), 0), coalesce(max(seq), 0)) "
	    "FROM pontifex.audit"), want);
	assert_string_equal(ask("SELECT count(*) FROM (SELECT *, "
	    "lag(hash, 1, repeat('0', 64)) OVER (ORDER BY seq) AS before "
	    "FROM pontifex.audit) AS a WHERE prev_hash <> before OR hash <> "
	    "encode(sha256(convert_to(prev_hash || record, 'UTF8')), 'hex')"),
	    "0");
}

/* ---- tests ------------------------------------------------------------- */

static void
every_record_is_a_row_with_its_values(void **state)
{
	(void)state;
	open_drain();
	append(3, RECORD_CALL);
	wait_for(3);
	assert_table(3);
	assert_string_equal(ask("SELECT owner_id FROM pontifex.audit "
	    "WHERE seq = 1"), "a \"b\" \\ {c},\n\xc3\xa4 NULL");
	assert_string_equal(ask("SELECT string_agg(concat_ws('/', "
	    "coalesce(key_id, '(null)'), coalesce(host(ip_address), '(null)'),"
	    " tool_params->>'n', tool_params->>'s', rows_returned, "
	    "response_ms, response_us, node, outcome), ' ' ORDER BY seq) "
	    "FROM pontifex.audit"),
	    "NULL/192.0.2.1/0/\"}\\/18446744073709551615/2/1500/edge-1/ok "
	    "(null)/2001:db8::1/1/\"}\\/18446744073709551615/2/1500/edge-1/ok "
	    "NULL/(null)/2/\"}\\/18446744073709551615/2/1500/edge-1/ok");
	assert_string_equal(ask("SELECT \"timestamp\" AT TIME ZONE 'UTC' "
	    "FROM pontifex.audit WHERE seq = 1"),
	    "2026-11-18 11:06:40.123456");
	assert_string_equal(ask("SELECT request_id FROM pontifex.audit "
	    "WHERE seq = 2"), "01000000000000000000000000000000");
	assert_int_equal(drain_backlog(), 0);
}

static void
a_backlog_over_many_segments_is_drained_in_order(void **state)
{
	(void)state;
	append(3000, RECORD_CALL);
	open_drain_as(dsn, 0, 200);
	assert_true(drain_backlog() > 1000000);
	wait_for(3000);
	assert_table(3000);
	assert_int_equal(drain_backlog(), 0);
	append(1, RECORD_CALL);
	wait_for(3001);
	assert_table(3001);
}

static void
a_lost_cursor_doubles_nothing(void **state)
{
	char path[128];

	(void)state;
	open_drain();
	append(700, RECORD_CALL);
	wait_for(700);
	drain_close();
	/* Once from where it stood, once from the start. */
	open_drain();
	append(10, RECORD_CALL);
	wait_for(710);
	drain_close();
	snprintf(path, sizeof(path), "%s/postgres.cursor", journal_path);
	assert_int_equal(unlink(path), 0);
	open_drain();
	assert_int_equal(drain_seq(), 0);
	wait_for(710);
	assert_table(710);
	drain_close();
	/* A cursor that was garbled by a crash. */
	assert_int_equal(truncate(path, 3), 0);
	open_drain();
	wait_for(710);
	assert_table(710);
}

static void
a_server_that_goes_and_comes_loses_nothing(void **state)
{
	int i;

	(void)state;
	open_drain();
	append(100, RECORD_CALL);
	for (i = 0; i < 3; i++) {
		wait_ms(30);
		stop_server(i == 1 ? SIGQUIT : SIGINT);
		append(400, RECORD_CALL);
		wait_ms(100);
		assert_string_equal(drain_state(), "not connected");
		start_server();
	}
	wait_for(1300);
	assert_table(1300);
}

static void
a_hung_server_has_a_deadline(void **state)
{
	PGconn *locker = PQconnectdb(super);

	(void)state;
	PQclear(PQexec(locker, "BEGIN"));
	PQclear(PQexec(locker, "LOCK TABLE pontifex.audit IN ACCESS "
	    "EXCLUSIVE MODE"));
	open_drain_as(dsn, 200, 0);
	append(20, RECORD_CALL);
	wait_ms(600);
	assert_int_equal(drain_seq(), 0);
	PQclear(PQexec(locker, "COMMIT"));
	PQfinish(locker);
	wait_for(20);
	assert_table(20);
	/* The process itself stopped. */
	kill(server, SIGSTOP);
	append(20, RECORD_CALL);
	wait_ms(300);
	kill(server, SIGCONT);
	wait_for(40);
	assert_table(40);
}

static void
arguments_that_jsonb_does_not_take_are_left_to_the_text(void **state)
{
	(void)state;
	open_drain();
	append(100, RECORD_CALL);
	next_params = "{\"n\":1e999999}";
	append(1, RECORD_CALL);
	next_params = NULL;
	append(100, RECORD_CALL);
	wait_for(201);
	assert_table(201);
	assert_string_equal(ask("SELECT seq FROM pontifex.audit WHERE "
	    "tool_params IS NULL"), "101");
	assert_string_equal(ask("SELECT record LIKE '%1e999999%' FROM "
	    "pontifex.audit WHERE seq = 101"), "t");
	assert_int_equal(drain_rejected(), 0);
}

static void
a_row_that_is_refused_is_kept_and_the_rest_goes_on(void **state)
{
	char text[2048];

	(void)state;
	assert_string_equal(ask("ALTER TABLE pontifex.audit ADD CHECK "
	    "(owner_id <> 'poison')"), "");
	open_drain();
	append(50, RECORD_CALL);
	next_owner = "poison";
	append(1, RECORD_CALL);
	next_owner = NULL;
	append(50, RECORD_CALL);
	wait_for(101);
	assert_string_equal(ask("SELECT concat(count(*), ' ', sum(seq)) FROM "
	    "pontifex.audit"), "100 5100");
	assert_int_equal(drain_rejected(), 1);
	assert_true(journal_file_read(journal_dir(journal),
	    "postgres.rejected", text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "{\"seq\":51,"));
	assert_non_null(strstr(text, "poison"));
}

static void
a_schema_that_comes_later_is_filled(void **state)
{
	(void)state;
	(void)ask("DROP SCHEMA pontifex CASCADE");
	open_drain();
	append(5, RECORD_CALL);
	wait_ms(300);
	assert_int_equal(drain_seq(), 0);
	load_schema();
	wait_for(5);
	assert_table(5);
}

static void
more_rights_than_needed_are_told(void **state)
{
	char path[96], text[4096];
	ssize_t n;
	int fd, save;

	(void)state;
	snprintf(path, sizeof(path), "%s/stderr", root);
	save = dup(STDERR_FILENO);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	dup2(fd, STDERR_FILENO);
	open_drain_as(super, 0, 0);
	append(1, RECORD_CALL);
	wait_for(1);
	drain_close();
	dup2(save, STDERR_FILENO);
	close(save);
	n = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "may do more than INSERT"));
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	assert_table(1);
}

static void
the_role_of_auditd_may_insert_and_nothing_else(void **state)
{
	static const char *const refused[] = {
		"SELECT count(*) FROM pontifex.audit",
		"SELECT count(*) FROM pontifex.audit_calls",
		"UPDATE pontifex.audit SET owner_id = 'x'",
		"DELETE FROM pontifex.audit", "TRUNCATE pontifex.audit",
		"DROP TABLE pontifex.audit",
		"ALTER TABLE pontifex.audit DISABLE TRIGGER ALL",
		"CREATE TABLE pontifex.x ()",
		"INSERT INTO pontifex.audit (node, seq) VALUES ('edge-1', 1) "
		"ON CONFLICT (node, seq, \"timestamp\") DO UPDATE SET owner_id = 'x'",
	};
	size_t i;

	(void)state;
	open_drain();
	append(2, RECORD_CALL);
	wait_for(2);
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (strcmp(ask_as(dsn, refused[i]), "error 42501") != 0)
			fail_msg("%s: %s", refused[i],
			    ask_as(dsn, refused[i]));
	/* The second wall, for those whom grants do not hold. */
	assert_string_equal(ask("UPDATE pontifex.audit SET owner_id = 'x'"),
	    "error 42501");
	assert_string_equal(ask("DELETE FROM pontifex.audit"), "error 42501");
	assert_string_equal(ask("TRUNCATE pontifex.audit"), "error 42501");
	assert_string_equal(ask("SET ROLE pontifex_auditor; "
	    "SELECT count(*) FROM pontifex.audit"), "2");
	assert_string_equal(ask("SET ROLE pontifex_auditor; "
	    "DELETE FROM pontifex.audit"), "error 42501");
	assert_table(2);
}

static void
the_schema_loads_again_and_changes_nothing(void **state)
{
	(void)state;
	open_drain();
	append(2, RECORD_CALL);
	wait_for(2);
	load_schema();
	load_schema();
	append(2, RECORD_CALL);
	wait_for(4);
	assert_table(4);
}

static void
the_view_shows_a_call_once(void **state)
{
	(void)state;
	open_drain();
	append(1, RECORD_CALL);
	append(1, RECORD_INTENT);
	number--;		/* the same request */
	append(1, RECORD_OUTCOME);
	append(1, RECORD_INTENT);
	append(1, RECORD_REFUSAL);
	append(1, RECORD_EVENT);
	wait_for(6);
	assert_string_equal(ask("SELECT string_agg(concat(seq, kind, outcome, "
	    "calls), ' ' ORDER BY seq) FROM pontifex.audit_calls"),
	    "1callok1 3outcomeok1 4intentpending0 5refusalok1");
	assert_string_equal(ask("SELECT tool_params->>'n' FROM "
	    "pontifex.audit_calls WHERE intent_seq = 2"), "1");
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_record_is_a_row_with_its_values),
		T(a_backlog_over_many_segments_is_drained_in_order),
		T(a_lost_cursor_doubles_nothing),
		T(a_server_that_goes_and_comes_loses_nothing),
		T(a_hung_server_has_a_deadline),
		T(arguments_that_jsonb_does_not_take_are_left_to_the_text),
		T(a_row_that_is_refused_is_kept_and_the_rest_goes_on),
		T(a_schema_that_comes_later_is_filled),
		T(more_rights_than_needed_are_told),
		T(the_role_of_auditd_may_insert_and_nothing_else),
		T(the_schema_loads_again_and_changes_nothing),
		T(the_view_shows_a_call_once),
	};

	crypt_init();
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
