/* SPDX-License-Identifier: ISC */

/*
 * The drain: durable records of the journal become rows of pontifex.audit,
 * in order, a batch a statement.  A batch is one transaction; the cursor file
 * moves on after it is committed, and a batch that is sent again because that
 * was not heard of inserts nothing twice, since (node, seq) is the key.
 * Nothing here stops the loop, and nothing here may lose a record: what the
 * table does not take is told and kept in a file.
 *
 * The server is trusted with the records and with nothing else: its answers
 * are states and counts, its messages are printable text for the log.
 */

#include <errno.h>
#include <stdio.h>

#include <event2/event.h>
#include <libpq-fe.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/log.h"
#include "../common/pglogin.h"
#include "../common/proc.h"
#include "../pledge/sandbox.h"
#include "auditd.h"

#define BATCH_ROWS	1024
#define BATCH_BYTES	(4U << 20)	/* of lines; a row has them twice */
#define LINGER_MS	50		/* for a batch to fill */
#define REST_FACTOR	7		/* times a batch's own time, while calls come */
#define SMALL_BATCH	128		/* rows then: to build them stops the loop */
#define REST_MAX_MS	500
#define FLOWING_MS	20		/* a record that recent: calls come */
#define DEADLINE_MS	10000		/* for one answer of the server */
#define BACKOFF_MIN_MS	100
#define BACKOFF_MAX_MS	5000
#define LOG_EVERY_MS	60000		/* the same complaint */
#define PARTITIONS_MS	86400000ULL
#define CURSOR_FILE	"postgres.cursor"
#define REJECTED_FILE	"postgres.rejected"

enum drain_phase {
	DRAIN_OFF,		/* no database is configured */
	DRAIN_WAITING,		/* to connect again */
	DRAIN_CONNECTING,
	DRAIN_CHECKING,		/* what the role may do */
	DRAIN_PARTITIONS,	/* the months ahead are being made */
	DRAIN_IDLE,
	DRAIN_SENDING
};

static const char check_sql[] =
    "SELECT r.rolsuper OR COALESCE(pg_catalog.has_table_privilege(t.t, 'UPDATE') OR "
    "pg_catalog.has_table_privilege(t.t, 'DELETE') OR "
    "pg_catalog.has_table_privilege(t.t, 'TRUNCATE'), false) OR "
    "COALESCE((SELECT relowner = r.oid FROM pg_catalog.pg_class WHERE oid = t.t), false), "
    "t.t IS NOT NULL, "
    "COALESCE(pg_catalog.has_table_privilege(t.t, 'INSERT'), false), "
    "pg_catalog.to_regprocedure('pontifex.audit_partitions(integer)') IS NOT NULL "
    "FROM (SELECT pg_catalog.to_regclass('pontifex.audit') AS t) AS t, pg_catalog.pg_roles AS r "
    "WHERE r.rolname = current_user";

static struct {
	struct drain_conf	 conf;
	enum drain_phase	 phase;
	struct dsn		 dsn;
	PGconn			*conn;
	PGresult		*result;	/* the first of an answer */
	struct event		*io;
	struct event		*timer;
	unsigned int		 backoff_ms;
	struct position		 done;		/* what is stored */
	struct position		 sent;		/* where the batch ends */
	uint8_t			 hash[DIGEST_LEN];	/* of the last stored */
	uint8_t			 sent_hash[DIGEST_LEN];
	size_t			 sent_bytes;
	struct rows		*rows;
	unsigned int		 limit;		/* rows of the next batch */
	int			 bare;		/* without arguments */
	int			 unsure;	/* a commit went unheard */
	uint64_t		 backlog;	/* bytes */
	uint64_t		 rejected;
	char			 complaint[256];
	uint64_t		 complained_ms;
	int			 was_well;	/* since the last complaint */
	int			 resting;	/* calls go first, until the timer */
	int			 hurried;
	uint64_t		 kicked_ms;	/* the newest record */
	uint64_t		 partitions_ms;	/* when they were made last */
	uint64_t		 batch_ms;	/* when the batch left */
} d;

static void	connect_start(void);
static void	send_batch(void);
static void	on_io(evutil_socket_t, short, void *);

/* ---- small things ------------------------------------------------------ */

static void
complain(const char *what, const char *why)
{
	char text[256], safe[256];
	uint64_t now = now_ms();

	(void)log_safe(safe, sizeof(safe), slice_of(why == NULL ? "" : why));
	(void)snprintf(text, sizeof(text), "%s%s%.200s", what,
	    why == NULL ? "" : ": ", safe);
	if (!d.was_well && strcmp(text, d.complaint) == 0 &&
	    now - d.complained_ms < LOG_EVERY_MS)
		return;
	log_warn("audit database: %s (the journal goes on collecting)", text);
	(void)strlcpy(d.complaint, text, sizeof(d.complaint));
	d.complained_ms = now;
	d.was_well = 0;
}

static void
set_timer(unsigned int ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	(void)event_add(d.timer, &tv);
}

static unsigned int
deadline(void)
{
	return d.conf.deadline_ms != 0 ? d.conf.deadline_ms : DEADLINE_MS;
}

static unsigned int
batch_rows(void)
{
	return d.conf.batch != 0 ? d.conf.batch : BATCH_ROWS;
}

static void
watch(short what)
{
	if (d.io != NULL)
		event_free(d.io);
	d.io = event_new(d.conf.base, PQsocket(d.conn), what, on_io, NULL);
	if (d.io == NULL || event_add(d.io, NULL) == -1)
		complain("cannot watch the connection", NULL);
}

static void
disconnect(void)
{
	if (d.io != NULL)
		event_free(d.io);
	d.io = NULL;
	PQclear(d.result);
	d.result = NULL;
	if (d.conn != NULL)
		PQfinish(d.conn);
	d.conn = NULL;
	d.resting = 0;
}

/* Gives the connection up and tries again later. */
static void
back_off(const char *what, const char *why)
{
	complain(what, why);
	disconnect();
	d.phase = DRAIN_WAITING;
	set_timer(d.backoff_ms);
	d.backoff_ms = d.backoff_ms > BACKOFF_MAX_MS / 2 ? BACKOFF_MAX_MS :
	    2 * d.backoff_ms;
}

static void
connection_lost(const char *what)
{
	char why[256];

	(void)strlcpy(why, PQerrorMessage(d.conn), sizeof(why));
	why[strcspn(why, "\n")] = '\0';
	if (d.phase == DRAIN_SENDING)
		d.unsure = 1;
	if (d.phase == DRAIN_CONNECTING && d.conf.refused != NULL &&
	    pglogin_refused(PQerrorMessage(d.conn)))
		d.conf.refused();
	back_off(what, why);
}

/* ---- the cursor -------------------------------------------------------- */

int
drain_cursor(int dir, uint64_t *seq, uint8_t hash[DIGEST_LEN])
{
	char text[128], *space;
	struct slice number;
	ssize_t n;

	*seq = 0;
	memset(hash, 0, DIGEST_LEN);
	n = journal_file_read(dir, CURSOR_FILE, text, sizeof(text));
	if (n == -1 && errno == ENOENT)
		return 0;
	if (n == -1) {
		log_errno("audit journal: %s", CURSOR_FILE);
		return -1;
	}
	if ((space = strchr(text, ' ')) == NULL) {
		number.len = 0;
	} else {
		number.ptr = text;
		number.len = (size_t)(space - text);
	}
	if (number.len == 0 || view_u64(number, seq) == -1 ||
	    hex_decode(hash, DIGEST_LEN, space + 1,
	    strcspn(space + 1, "\n")) == -1) {
		/* The key of the table makes sending all again harmless. */
		log_warn("audit journal: %s cannot be read: every record is "
		    "sent to the database again", CURSOR_FILE);
		*seq = 0;
		memset(hash, 0, DIGEST_LEN);
	}
	return 0;
}

static void
cursor_write(void)
{
	char text[128], hash[HASH_TEXT_LEN + 1];
	int n;

	hex_encode(hash, d.hash, DIGEST_LEN);
	n = snprintf(text, sizeof(text), "%llu %s\n",
	    (unsigned long long)d.done.seq, hash);
	if (n < 0 || journal_file_write(d.conf.dir, CURSOR_FILE, text,
	    (size_t)n, 0) == -1)
		log_errno("audit journal: %s", CURSOR_FILE);
}

/* What was sent is stored (or told to be rejected). */
static void
advance(void)
{
	d.done = d.sent;
	memcpy(d.hash, d.sent_hash, DIGEST_LEN);
	d.backlog -= d.sent_bytes < d.backlog ? d.sent_bytes : d.backlog;
	cursor_write();
}

/* ---- connecting -------------------------------------------------------- */

static void
on_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

static void
connect_poll(void)
{
	switch (PQconnectPoll(d.conn)) {
	case PGRES_POLLING_READING:
		watch(EV_READ);
		return;
	case PGRES_POLLING_WRITING:
		watch(EV_WRITE);
		return;
	case PGRES_POLLING_OK:
		break;
	default:
		connection_lost("cannot connect");
		return;
	}
	if (PQsetnonblocking(d.conn, 1) == -1 ||
	    PQsendQueryParams(d.conn, check_sql, 0, NULL, NULL, NULL, NULL,
	    0) == 0) {
		connection_lost("cannot ask");
		return;
	}
	d.phase = DRAIN_CHECKING;
	set_timer(deadline());
	watch(EV_READ | EV_WRITE | EV_PERSIST);
}

static void
connect_start(void)
{
	d.conn = PQconnectStartParams((const char *const *)d.dsn.word,
	    (const char *const *)d.dsn.value, 0);
	if (d.conn == NULL) {
		back_off("cannot connect", "no memory");
		return;
	}
	(void)PQsetNoticeReceiver(d.conn, on_notice, NULL);
	/* A login that is refused is told by its state, which is there alone. */
	(void)PQsetErrorVerbosity(d.conn, PQERRORS_VERBOSE);
	d.phase = DRAIN_CONNECTING;
	set_timer(deadline());
	if (PQstatus(d.conn) == CONNECTION_BAD) {
		connection_lost("cannot connect");
		return;
	}
	watch(EV_WRITE);
}

/* The months ahead; a day is soon enough for the next time. */
static void
ask_partitions(void)
{
	if (PQsendQueryParams(d.conn, "SELECT pontifex.audit_partitions()", 0,
	    NULL, NULL, NULL, NULL, 0) == 0) {
		connection_lost("cannot ask");
		return;
	}
	d.phase = DRAIN_PARTITIONS;
	d.partitions_ms = now_ms();
	set_timer(deadline());
	watch(EV_READ | EV_WRITE | EV_PERSIST);
}

/* Without them records go to the rest, which takes all. */
static void
partitions_made(const PGresult *result)
{
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		complain("the months ahead cannot be made",
		    PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	d.phase = DRAIN_IDLE;
	(void)event_del(d.timer);
}

/* Rights beyond need are told, not refused: the trail comes first. */
static void
checked(const PGresult *result)
{
	if (PQresultStatus(result) != PGRES_TUPLES_OK ||
	    PQntuples(result) != 1 || PQnfields(result) != 4) {
		back_off("cannot be checked", PQresultErrorField(result,
		    PG_DIAG_MESSAGE_PRIMARY));
		return;
	}
	if (PQgetvalue(result, 0, 1)[0] != 't') {
		d.backoff_ms = BACKOFF_MAX_MS;
		back_off("the table pontifex.audit is missing: load "
		    "auditd/schema.sql as a superuser", NULL);
		return;
	}
	if (PQgetvalue(result, 0, 2)[0] != 't') {
		d.backoff_ms = BACKOFF_MAX_MS;
		back_off("its role may not INSERT into pontifex.audit: use "
		    "the role pontifex_audit of auditd/schema.sql", NULL);
		return;
	}
	if (PQgetvalue(result, 0, 3)[0] != 't') {
		d.backoff_ms = BACKOFF_MAX_MS;
		back_off("its schema is older than this daemon: load what "
		    "`pontifexctl audit schema -p' prints", NULL);
		return;
	}
	if (PQgetvalue(result, 0, 0)[0] == 't')
		complain("its role may do more than INSERT: who holds it can "
		    "change the trail: use the role pontifex_audit of "
		    "auditd/schema.sql", NULL);
	else
		log_info("audit database: connected");
	d.backoff_ms = BACKOFF_MIN_MS;
	ask_partitions();
}

/* ---- batches ----------------------------------------------------------- */

static int
take_line(struct slice line, void *arg)
{
	uint8_t prev[DIGEST_LEN];

	(void)arg;
	if (rows_add(d.rows, line, d.bare) == -1)
		return -1;
	/* Only to be remembered; verifying is audit verify's. */
	(void)record_hashes(line.ptr, line.len, prev, d.sent_hash);
	d.sent_bytes += line.len + 1;
	return 0;
}

/*
 * What is in the journal is safe, and the database serves calls too: while
 * they come the drain takes an eighth of the time, in small batches, until
 * the backlog is what patience allows.
 */
static int
calls_go_first(void)
{
	return !d.hurried && d.backlog < d.conf.patience &&
	    now_ms() - d.kicked_ms <= FLOWING_MS;
}

static void
send_batch(void)
{
	const char *const *params;
	unsigned int most = d.limit;
	int n;

	if (most > SMALL_BATCH && calls_go_first())
		most = SMALL_BATCH;

	rows_clear(d.rows);
	d.sent = d.done;
	d.sent_bytes = 0;
	n = position_read(&d.sent, d.conf.durable(), most, BATCH_BYTES,
	    take_line, NULL);
	if (n <= 0) {
		/* Lines that are no records are behind us all the same. */
		d.done.offset = d.sent.offset;
		d.done.segment = d.sent.segment;
		d.phase = DRAIN_IDLE;
		if (n == -1)
			set_timer(BACKOFF_MAX_MS);
		return;
	}
	if ((params = rows_params(d.rows)) == NULL) {
		d.phase = DRAIN_IDLE;
		d.limit = d.limit > 1 ? d.limit / 2 : 1;
		complain("no memory for a batch", NULL);
		set_timer(BACKOFF_MAX_MS);
		return;
	}
	if (PQsendQueryParams(d.conn, rows_statement(), rows_nparams(), NULL,
	    params, NULL, NULL, 0) == 0) {
		connection_lost("cannot send");
		return;
	}
	d.phase = DRAIN_SENDING;
	d.batch_ms = now_ms();
	set_timer(deadline());
	watch(EV_READ | EV_WRITE | EV_PERSIST);
}

/* The next batch now, or when there is more to send. */
static void
go_on(void)
{
	uint64_t waiting = d.conf.durable() - d.done.seq;

	if (d.phase != DRAIN_IDLE || d.resting ||
	    d.conf.durable() <= d.done.seq)
		return;
	if (now_ms() - d.partitions_ms > PARTITIONS_MS) {
		ask_partitions();
		return;
	}
	if (waiting >= d.limit)
		send_batch();
	else if (!event_pending(d.timer, EV_TIMEOUT, NULL))
		set_timer(LINGER_MS);
}

static void
rest(void)
{
	uint64_t ms = (now_ms() - d.batch_ms) * REST_FACTOR;

	if (ms == 0 || !calls_go_first())
		return;
	d.resting = 1;
	set_timer((unsigned int)(ms > REST_MAX_MS ? REST_MAX_MS : ms));
}

static void
stored(const PGresult *result)
{
	const char *error;
	long long n = strtonum(PQcmdTuples((PGresult *)(uintptr_t)result), 0,
	    UINT32_MAX, &error);
	size_t sent = rows_count(d.rows);

	if (error == NULL && (size_t)n < sent && !d.unsure)
		log_warn("audit database: %llu of records %llu to %llu were "
		    "there already: has another node the name of this one, or "
		    "was its journal replaced?",
		    (unsigned long long)(sent - (size_t)n),
		    (unsigned long long)d.done.seq + 1,
		    (unsigned long long)d.sent.seq);
	d.unsure = 0;
	d.bare = 0;
	d.was_well = 1;
	d.backoff_ms = BACKOFF_MIN_MS;
	advance();
	if (d.limit < batch_rows())
		d.limit = 2 * d.limit < batch_rows() ? 2 * d.limit :
		    batch_rows();
	d.phase = DRAIN_IDLE;
	(void)event_del(d.timer);
	rest();
	go_on();
}

/* One record that the table does not take, in any form. */
static int
keep_rejected(struct slice line, void *arg)
{
	(void)arg;
	if (journal_file_append(d.conf.dir, REJECTED_FILE, line.ptr,
	    line.len) == -1 ||
	    journal_file_append(d.conf.dir, REJECTED_FILE, "\n", 1) == -1)
		log_errno("audit journal: %s", REJECTED_FILE);
	return 0;
}

static void
reject(const PGresult *result)
{
	const char *why = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	struct position at = d.done;
	char safe[200];

	(void)position_read(&at, d.sent.seq, 1, BATCH_BYTES, keep_rejected,
	    NULL);
	log_warn("audit database: record %llu was refused, it stands in the "
	    "journal and in %s: %s", (unsigned long long)d.sent.seq,
	    REJECTED_FILE, log_safe(safe, sizeof(safe), slice_of(why)));
	d.rejected++;
	d.bare = 0;
	advance();
}

/* The batch failed because of what is in it: find the one that it is. */
static void
bad_data(const PGresult *result)
{
	d.phase = DRAIN_IDLE;
	(void)event_del(d.timer);
	if (rows_count(d.rows) > 1)
		d.limit = (unsigned int)rows_count(d.rows) / 2;
	else if (!d.bare)
		d.bare = 1;	/* its text stands in `record' all the same */
	else
		reject(result);
	if (d.conf.durable() > d.done.seq)
		send_batch();
}

static void
failed(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *why = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (state == NULL || PQstatus(d.conn) == CONNECTION_BAD) {
		connection_lost("connection lost");
		return;
	}
	if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0) {
		bad_data(result);
		return;
	}
	/* Too slow: less at a time. */
	if (strcmp(state, "57014") == 0 && d.limit > 1)
		d.limit /= 2;
	/* A schema or a right that went away comes back by an operator. */
	if (strncmp(state, "42", 2) == 0)
		d.backoff_ms = BACKOFF_MAX_MS;
	back_off("records are not taken", why);
}

/* The whole answer is here. */
static void
on_result(const PGresult *result)
{
	if (result == NULL) {
		connection_lost("connection lost");
	} else if (d.phase == DRAIN_CHECKING) {
		checked(result);
	} else if (d.phase == DRAIN_PARTITIONS) {
		partitions_made(result);
		go_on();
	} else if (PQresultStatus(result) == PGRES_COMMAND_OK) {
		stored(result);
	} else {
		failed(result);
	}
}

/* Collects the answer without waiting for what is not here yet. */
static void
collect(void)
{
	PGresult *result, *first;
	ExecStatusType status;

	while ((d.phase == DRAIN_CHECKING || d.phase == DRAIN_PARTITIONS ||
	    d.phase == DRAIN_SENDING) &&
	    !PQisBusy(d.conn)) {
		result = PQgetResult(d.conn);
		status = PQresultStatus(result);
		if (result == NULL) {
			first = d.result;
			d.result = NULL;
			on_result(first);
			PQclear(first);
			return;
		}
		if (d.result == NULL)
			d.result = result;
		else
			PQclear(result);
		if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT ||
		    status == PGRES_COPY_BOTH) {
			connection_lost("an answer to no question of ours");
			return;
		}
	}
}

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	int left;

	(void)fd;
	(void)arg;
	if (d.phase == DRAIN_CONNECTING) {
		connect_poll();
		return;
	}
	if ((what & EV_READ) && PQconsumeInput(d.conn) == 0) {
		connection_lost("connection lost");
		return;
	}
	if ((left = PQflush(d.conn)) == -1) {
		connection_lost("connection lost");
		return;
	}
	if (left == 0 && (what & EV_WRITE))
		watch(EV_READ | EV_PERSIST);
	collect();
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	switch (d.phase) {
	case DRAIN_WAITING:
		connect_start();
		break;
	case DRAIN_IDLE:
		d.resting = 0;
		if (d.conf.durable() > d.done.seq)
			send_batch();
		break;
	case DRAIN_CONNECTING:
	case DRAIN_CHECKING:
	case DRAIN_PARTITIONS:
	case DRAIN_SENDING:
		if (d.phase == DRAIN_SENDING)
			d.unsure = 1;
		back_off("no answer in time", NULL);
		break;
	case DRAIN_OFF:
		break;
	}
}

/* ---- for auditd.c ------------------------------------------------------ */

int
drain_open(const struct drain_conf *conf)
{
	uint64_t seq;

	memset(&d, 0, sizeof(d));
	d.conf = *conf;
	if (conf->dsn == NULL || conf->dsn[0] == '\0')
		return 0;
	d.limit = batch_rows();
	d.backoff_ms = BACKOFF_MIN_MS;
	/* The end of the run before is not known: a batch may be stored. */
	d.unsure = 1;
	d.was_well = 1;
	d.timer = evtimer_new(conf->base, on_timer, NULL);
	d.rows = rows_new();
	if (d.timer == NULL || d.rows == NULL || rows_statement()[0] == '\0') {
		log_warn("audit database: no memory");
		return -1;
	}
	if (drain_cursor(conf->dir, &seq, d.hash) == -1 ||
	    position_seek(&d.done, conf->dir, seq, &d.backlog) == -1 ||
	    dsn_parse(&d.dsn, conf->dsn) == -1)
		return -1;
	d.phase = DRAIN_WAITING;
	set_timer(0);
	return 0;
}

void
drain_close(void)
{
	disconnect();
	if (d.timer != NULL)
		event_free(d.timer);
	rows_free(d.rows);
	dsn_free(&d.dsn);
	memset(&d, 0, sizeof(d));
}

void
drain_needs(struct sandbox_needs *needs)
{
	if (d.phase != DRAIN_OFF)
		dsn_needs(&d.dsn, needs);
}

int
drain_renew(struct slice dsn)
{
	char *text;

	if (d.phase == DRAIN_OFF)
		return -1;
	if ((text = slice_dup(dsn)) == NULL)
		return 0;
	if (dsn_renew(&d.dsn, text)) {
		log_info("audit database: its connection string was read "
		    "again");
		d.backoff_ms = BACKOFF_MIN_MS;
		if (d.phase == DRAIN_WAITING)
			set_timer(0);
	}
	freezero(text, dsn.len + 1);
	return 0;
}

void
drain_kick(size_t bytes)
{
	if (d.phase == DRAIN_OFF)
		return;
	d.backlog += bytes;
	d.kicked_ms = now_ms();
	go_on();
}

void
drain_hurry(void)
{
	d.hurried = 1;
	if (d.resting) {
		d.resting = 0;
		(void)event_del(d.timer);
		go_on();
	}
}

uint64_t
drain_seq(void)
{
	return d.done.seq;
}

uint64_t
drain_backlog(void)
{
	return d.backlog;
}

uint64_t
drain_rejected(void)
{
	return d.rejected;
}

const char *
drain_state(void)
{
	switch (d.phase) {
	case DRAIN_OFF:
		return "off";
	case DRAIN_WAITING:
		return "not connected";
	case DRAIN_CONNECTING:
	case DRAIN_CHECKING:
	case DRAIN_PARTITIONS:
		return "connecting";
	default:
		return "connected";
	}
}
