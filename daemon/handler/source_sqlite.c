/* SPDX-License-Identifier: ISC */

/*
 * SQLite as a source.  Its calls block, so each has a deadline that the
 * progress handler keeps, and the process does nothing else meanwhile but to
 * look whether the call was cancelled.  Tools
 * that read use a connection that was opened read-only; both connections
 * have an authorizer that refuses whatever a single statement of a tool
 * never needs, so that a statement that slips in through a trigger or a view
 * of the file gets no further.
 */

#include <sys/stat.h>

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

#include <sqlite3.h>

#include "../../common/log.h"
#include "../../common/stats.h"
#include "survey.h"

#define PROGRESS_STEPS	1000	/* instructions between looks at the clock */
#define LOOK_MS		20	/* between looks for a cancel */
#define VALUE_MAX	(4 * 1024 * 1024)	/* bytes of one value or row */
#define LIKE_MAX	512	/* bytes of a LIKE pattern: its cost is the square */
#define HEAP_MAX	(256 * 1024 * 1024)	/* bytes that SQLite may take */
#define BUSY_MS		1000	/* for another process's lock, at most */
#define RETRY_MS	1000	/* between attempts at what cannot be opened */

struct statement {
	sqlite3_stmt	*st;		/* NULL: not prepared (yet) */
	uint64_t	 retry_ms;	/* when to try again */
	int		 refused;	/* it does not fit, or the file does not */
	int		 prepared;	/* how often SQLite did it again */
};

struct lite {
	sqlite3		*read;
	sqlite3		*write;		/* NULL: nothing writes, or it can't */
	struct statement *statement;	/* by slot */
	uint64_t	 retry_ms;	/* when to try to open again */
	int		 silent;	/* it was said that it cannot be opened */
	struct call	*call;		/* that is being run */
	uint64_t	 look_ms;	/* for a cancel of it, then */
	uint64_t	 deadline_ms;
	uint64_t	 busy_ms;	/* when to stop waiting for a lock */
	char		 dir[PATH_LEN_MAX];
};

/* Not at each step: it asks the system. */
static int
is_cancelled(struct lite *l, uint64_t now)
{
	if (l->call == NULL || now < l->look_ms)
		return 0;
	l->look_ms = now + LOOK_MS;
	return call_is_cancelled(l->call);
}

static int
on_progress(void *arg)
{
	struct lite *l = arg;
	uint64_t now;

	if (l->deadline_ms == 0)
		return 0;
	now = now_ms();
	return now >= l->deadline_ms || is_cancelled(l, now);
}

/* Another process holds the lock: wait in small steps, and not for long. */
static int
on_busy(void *arg, int count)
{
	static const struct timespec step = { 0, 2000000 };
	struct lite *l = arg;
	uint64_t now = now_ms();

	(void)count;
	if (now >= l->busy_ms || is_cancelled(l, now))
		return 0;
	(void)nanosleep(&step, NULL);
	return 1;
}

static int
authorize_read(void *arg, int action, const char *a, const char *b,
    const char *c, const char *d)
{
	(void)arg;
	(void)a;
	(void)c;
	(void)d;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		return b != NULL && strcmp(b, "load_extension") == 0 ?
		    SQLITE_DENY : SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

static int
authorize_write(void *arg, int action, const char *a, const char *b,
    const char *c, const char *d)
{
	switch (action) {
	case SQLITE_INSERT:
	case SQLITE_UPDATE:
	case SQLITE_DELETE:
		/* The schema itself is no table of a tool. */
		return a != NULL && strncmp(a, "sqlite_", 7) == 0 ?
		    SQLITE_DENY : SQLITE_OK;
	default:
		return authorize_read(arg, action, a, b, c, d);
	}
}

static void
say_error(const struct source *s, sqlite3 *db, const char *what)
{
	char safe[256];

	log_warn("source %s: %s: %s", s->name, what, log_safe(safe,
	    sizeof(safe), slice_of(db == NULL ? "out of memory" :
	    sqlite3_errmsg(db))));
}

static void
set_limits(sqlite3 *db)
{
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0,
	    NULL);
	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	(void)sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, LIKE_MAX);
	(void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	(void)sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
	(void)sqlite3_exec(db, "PRAGMA temp_store = MEMORY; "
	    "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
}

static sqlite3 *
open_one(struct source *s, struct lite *l, int writes)
{
	sqlite3 *db = NULL;
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
	    (writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);

	if (sqlite3_open_v2(s->target, &db, flags, NULL) != SQLITE_OK) {
		if (!l->silent)
			say_error(s, db, "cannot be opened");
		l->silent = 1;
		(void)sqlite3_close(db);
		return NULL;
	}
	set_limits(db);
	(void)sqlite3_set_authorizer(db,
	    writes ? authorize_write : authorize_read, NULL);
	(void)sqlite3_busy_handler(db, on_busy, l);
	sqlite3_progress_handler(db, PROGRESS_STEPS, on_progress, l);
	if (writes && sqlite3_db_readonly(db, "main") == 1)
		log_warn("source %s: %s cannot be written by this user: its "
		    "tools that write will fail", s->name, s->target);
	return db;
}

/* Two columns of one name would lose one in the row's object. */
static int
columns_differ(sqlite3_stmt *st)
{
	int i, j, n = sqlite3_column_count(st);

	for (i = 0; i < n; i++)
		for (j = i + 1; j < n; j++)
			if (strcmp(sqlite3_column_name(st, i),
			    sqlite3_column_name(st, j)) == 0)
				return 0;
	return 1;
}

/* Whether another statement follows: it would never be run, unseen. */
static int
more_follows(sqlite3 *db, const char *tail)
{
	sqlite3_stmt *st = NULL;
	int more;

	if (tail == NULL)
		return 0;
	more = sqlite3_prepare_v2(db, tail, -1, &st, NULL) != SQLITE_OK ||
	    st != NULL;
	(void)sqlite3_finalize(st);
	return more;
}

/* What speaks against a prepared statement; NULL: nothing. */
static const char *
refusal(sqlite3 *db, sqlite3_stmt *st, const struct tool *t, const char *tail)
{
	if (st == NULL)
		return "its statement is empty";
	if (!t->writes && !sqlite3_stmt_readonly(st))
		return "it writes and is not declared `writes'";
	if (sqlite3_bind_parameter_count(st) != (int)t->nbinds)
		return "its parameters are not those of its statement";
	if (!columns_differ(st))
		return "two of its columns have one name";
	if (more_follows(db, tail))
		return "it has more than one statement";
	return NULL;
}

/* A connection that went bad: the next call opens the file again. */
static void
close_one(struct source *s, struct lite *l, int writes)
{
	sqlite3 **db = writes ? &l->write : &l->read;
	uint32_t i;

	for (i = 0; i < s->ntools; i++)
		if (s->tools[i]->writes == writes) {
			(void)sqlite3_finalize(l->statement[i].st);
			memset(&l->statement[i], 0, sizeof(l->statement[i]));
		}
	(void)sqlite3_close(*db);
	*db = NULL;
	l->retry_ms = now_ms() + RETRY_MS;
}

/* Whether the file is to blame, and not the statement. */
static int
file_failed(int code)
{
	switch (code & 0xff) {
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return 1;
	default:
		return 0;
	}
}

/* SQLite gives a parameter no type; a column has what its table declares. */
static void
describe(struct source *s, const struct tool *t, sqlite3_stmt *st)
{
	int i, n = sqlite3_column_count(st);
	const char *type;
	struct buffer b;

	buffer_init(&b, CHECK_TEXT_MAX);
	survey_describe_params(&b, t, NULL);
	for (i = 0; i < n; i++) {
		type = sqlite3_column_decltype(st, i);
		(void)buffer_printf(&b, "%s%s %s", i == 0 ? " -> " : ", ",
		    sqlite3_column_name(st, i),
		    type == NULL ? "(no type)" : type);
	}
	survey_describe_end(s, t, &b);
}

static void
prepare_tool(struct source *s, struct lite *l, const struct tool *t)
{
	struct statement *to = &l->statement[tool_slot(t, s)];
	sqlite3 *db = t->writes ? l->write : l->read;
	sqlite3_stmt *st = NULL;
	const char *tail = NULL, *why;
	int code;

	if (db == NULL || to->st != NULL || now_ms() < to->retry_ms)
		return;
	l->busy_ms = now_ms() + BUSY_MS;
	code = sqlite3_prepare_v3(db, t->sql, -1, SQLITE_PREPARE_PERSISTENT,
	    &st, &tail);
	to->refused = 0;
	if (code != SQLITE_OK && file_failed(code)) {
		if (!l->silent)
			say_error(s, db, "cannot be read");
		l->silent = 1;
		close_one(s, l, t->writes);
		return;
	}
	if (code == SQLITE_BUSY)
		return;
	/* The file may come to fit the tool: a table that is made later. */
	to->retry_ms = now_ms() + 5 * RETRY_MS;
	to->refused = 1;
	if (code != SQLITE_OK) {
		survey_refused(s, t, NULL, "its statement is refused: %s",
		    sqlite3_errmsg(db));
		say_error(s, db, t->name);
		log_warn("tool %s: its statement is refused", t->name);
		return;
	}
	if ((why = refusal(db, st, t, tail)) != NULL) {
		log_warn("tool %s: refused: %s", t->name, why);
		survey_refused(s, t, NULL, "refused: %s", why);
		(void)sqlite3_finalize(st);
		return;
	}
	to->st = st;
	to->refused = 0;
	l->silent = 0;
	to->prepared = sqlite3_stmt_status(st, SQLITE_STMTSTATUS_REPREPARE, 0);
	if (survey_describes(s))
		describe(s, t, st);
}

/* Opens what is not open, so that a file that came later is found. */
static void
open_all(struct source *s, struct lite *l)
{
	uint64_t now = now_ms();
	uint32_t i;

	if (now >= l->retry_ms) {
		if (l->read == NULL)
			l->read = open_one(s, l, 0);
		if (l->write == NULL && s->writes && l->read != NULL)
			l->write = open_one(s, l, 1);
		if (l->read == NULL || (s->writes && l->write == NULL))
			l->retry_ms = now + RETRY_MS;
	}
	for (i = 0; i < s->ntools; i++)
		prepare_tool(s, l, s->tools[i]);
}

static int
lite_prepare(struct source *s, struct sandbox_needs *needs)
{
	struct lite *l = calloc(1, sizeof(*l));
	char path[PATH_LEN_MAX];
	char junk[4];

	if (l == NULL)
		return -1;
	s->state = l;
	if (strlcpy(path, s->target, sizeof(path)) >= sizeof(path))
		return -1;
	l->statement = calloc(s->ntools + 1, sizeof(*l->statement));
	if (l->statement == NULL)
		return -1;
	strlcpy(l->dir, dirname(path), sizeof(l->dir));
	/* It opens /dev/urandom on first use: now, not in the sandbox. */
	(void)sqlite3_initialize();
	sqlite3_randomness(sizeof(junk), junk);
	(void)sqlite3_hard_heap_limit64(HEAP_MAX);
	/* The journal and the WAL stand beside the file. */
	sandbox_path(needs, l->dir, s->writes ? SANDBOX_WRITE : SANDBOX_READ);
	open_all(s, l);
	return 0;
}

static int
lite_start(struct source *s)
{
	const struct lite *l = s->state;

	if (l->read != NULL && (!s->writes || l->write != NULL))
		survey_up(s);
	else
		survey_down(s, "the file cannot be opened");
	return 0;
}

/* ---- a call ------------------------------------------------------------ */

static int
bind_one(sqlite3_stmt *st, int at, const struct call *c, const struct bound *b)
{
	if (b->null)
		return sqlite3_bind_null(st, at);
	switch (b->type) {
	case PARAM_INTEGER:
	case PARAM_BOOLEAN:
		return sqlite3_bind_int64(st, at, b->integer);
	case PARAM_NUMBER:
		return sqlite3_bind_double(st, at, b->real);
	default:
		return sqlite3_bind_text(st, at,
		    (const char *)c->arena.data + b->at, (int)b->len,
		    SQLITE_STATIC);
	}
}

static void
add_value(struct call *c, sqlite3_stmt *st, int i)
{
	struct buffer *b = &c->structured;

	switch (sqlite3_column_type(st, i)) {
	case SQLITE_INTEGER:
		render_integer(b, sqlite3_column_int64(st, i));
		break;
	case SQLITE_FLOAT:
		render_real(b, sqlite3_column_double(st, i));
		break;
	case SQLITE_TEXT:
		(void)json_write_string(b,
		    (const char *)sqlite3_column_text(st, i),
		    (size_t)sqlite3_column_bytes(st, i));
		break;
	case SQLITE_BLOB:
		render_base64(b, sqlite3_column_blob(st, i),
		    (size_t)sqlite3_column_bytes(st, i));
		break;
	default:
		(void)buffer_add_cstr(b, "null");
		break;
	}
}

static void
add_row(struct call *c, sqlite3_stmt *st)
{
	int i, n = sqlite3_column_count(st);

	render_row(c);
	for (i = 0; i < n; i++) {
		render_column(c, i == 0, sqlite3_column_name(st, i));
		add_value(c, st, i);
	}
	(void)render_row_end(c);
}

static void
fail_by_code(struct source *s, struct call *c, sqlite3 *db, int code)
{
	/*
	 * A statement that failed is rolled back; only of a disk that fails
	 * under a commit nobody knows.
	 */
	if ((code & 0xff) != SQLITE_IOERR)
		c->may_have_run = 0;
	switch (code & 0xff) {
	case SQLITE_INTERRUPT:
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		if (c->cancelled) {
			call_fail(c, OUTCOME_CANCELLED, REASON_CANCELLED);
			return;
		}
		call_fail(c, OUTCOME_TIMEOUT, REASON_SOURCE_TIMEOUT);
		return;
	case SQLITE_CONSTRAINT:
		strlcpy(c->message, "The database refused the change: it "
		    "breaks a rule of the data.", sizeof(c->message));
		call_fail(c, OUTCOME_INVALID_INPUT, REASON_SOURCE_ERROR);
		return;
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
		strlcpy(c->message, "The database cannot work with these "
		    "arguments.", sizeof(c->message));
		call_fail(c, OUTCOME_INVALID_INPUT, REASON_SOURCE_ERROR);
		return;
	default:
		break;
	}
	if (code != SQLITE_SCHEMA)
		say_error(s, db, c->tool->name);
	/* Whoever mends a file, or its mode, need not restart us. */
	if (file_failed(code) || (code & 0xff) == SQLITE_READONLY)
		close_one(s, s->state, c->tool->writes);
	if (!c->may_have_run && (file_failed(code) ||
	    (code & 0xff) == SQLITE_FULL)) {
		c->retry_after = 5;
		call_fail(c, OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
		return;
	}
	if (c->may_have_run)
		strlcpy(c->message, "The database failed while the call ran: "
		    "it may have taken effect. Do not repeat it before you "
		    "have looked.", sizeof(c->message));
	call_fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_ERROR);
}

/* The schema changed under a statement: it has its columns anew. */
static int
still_good(struct statement *to)
{
	int n = sqlite3_stmt_status(to->st, SQLITE_STMTSTATUS_REPREPARE, 0);

	if (n == to->prepared)
		return 1;
	to->prepared = n;
	return columns_differ(to->st);
}

/* Every row is stepped through, kept or not: a write is done only then. */
static int
step_all(struct call *c, struct statement *to)
{
	int code;

	render_begin(c);
	while ((code = sqlite3_step(to->st)) == SQLITE_ROW) {
		if (c->rows == 0 && !still_good(to))
			return SQLITE_SCHEMA;
		if (!c->truncated)
			add_row(c, to->st);
		else if (!c->tool->writes) {
			code = SQLITE_DONE;
			break;
		}
	}
	render_end(c);
	return code;
}

static struct statement *
statement_of(struct source *s, struct call *c)
{
	struct lite *l = s->state;
	struct statement *to = &l->statement[tool_slot(c->tool, s)];

	if (to->st == NULL)
		open_all(s, l);
	if (to->st != NULL)
		return to;
	if (!to->refused) {
		c->retry_after = 5;
		call_fail(c, OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
	} else {
		call_fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_ERROR);
	}
	return NULL;
}

static void
lite_run(struct source *s, struct call *c)
{
	struct lite *l = s->state;
	const struct tool *t = c->tool;
	struct statement *to;
	uint32_t i;
	int code = SQLITE_OK;

	c->sent_us = now_us();
	if ((to = statement_of(s, c)) == NULL)
		return;
	l->deadline_ms = c->deadline_ms;
	l->call = c;
	l->look_ms = now_ms() + LOOK_MS;
	l->busy_ms = now_ms() + BUSY_MS;
	if (l->busy_ms > c->deadline_ms)
		l->busy_ms = c->deadline_ms;
	for (i = 0; i < t->nbinds && code == SQLITE_OK; i++)
		code = bind_one(to->st, (int)i + 1, c, &c->bound[i]);
	if (code == SQLITE_OK) {
		c->may_have_run = t->writes;
		code = step_all(c, to);
	}
	(void)sqlite3_reset(to->st);
	(void)sqlite3_clear_bindings(to->st);
	l->deadline_ms = 0;
	l->call = NULL;
	if (code == SQLITE_SCHEMA) {
		log_warn("tool %s: refused: the file changed, and two of its "
		    "columns have one name", t->name);
		(void)sqlite3_finalize(to->st);
		memset(to, 0, sizeof(*to));
	}
	if (code == SQLITE_DONE)
		call_done(c);
	else
		fail_by_code(s, c, t->writes ? l->write : l->read, code);
}

/* A file that came later, or was mended, is found without a call. */
static int
lite_up(struct source *s)
{
	struct lite *l = s->state;

	if (l->read == NULL)
		open_all(s, l);
	return l->read != NULL;
}

static void
lite_status(struct source *s, struct buffer *b)
{
	const struct lite *l = s->state;

	(void)buffer_printf(b, "sqlite, %s%s", l->read != NULL ? "open" :
	    "not open", s->writes ? l->write != NULL ? ", open to write" :
	    ", not open to write" : "");
}

/* One statement at a time, and nobody waits: it answers before others ask. */
static void
lite_stats(const struct source *s, struct buffer *b, uint32_t number)
{
	const struct lite *l = s->state;

	put_stat_of(b, STAT_SOURCE_CONNECTIONS, number, l->read != NULL);
	put_stat_of(b, STAT_SOURCE_CONNECTIONS_MAX, number, 1);
}

const struct source_ops source_sqlite_ops = {
	.prepare = lite_prepare, .start = lite_start, .run = lite_run,
	.up = lite_up, .status = lite_status, .stats = lite_stats
};
