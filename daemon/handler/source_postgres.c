/* SPDX-License-Identifier: ISC */

/*
 * Postgres as a source: libpq, asynchronous, in pipeline mode, every
 * statement prepared once a connection and its arguments bound as text.
 *
 * The server holds tools that read read-only: the connection's default is
 * read-only and has the timeout, and where settings of the session are made
 * the transaction is READ ONLY.  Reads without such settings share a group:
 * one Sync a loop turn.  An error in a group aborts those behind it; they are
 * asked once more, alone.  A write has a group of its own and is never asked
 * twice.
 *
 * A transaction is two groups: BEGIN, settings, statement, Sync, then COMMIT
 * and Sync.  Where the first fails its rest is skipped and the COMMIT becomes
 * a rollback, so that the connection is clean whatever happened.
 */

#include <arpa/inet.h>

#include <stdio.h>

#include <event2/event.h>
#include "../../common/log.h"
#include "postgres.h"

static void	connect_start(struct conn *);
static void	conn_lost(struct conn *, const char *);
static void	dispatch_waiting(struct source *);

void
pg_say(const struct conn *cn, const char *what, const char *error)
{
	char safe[256];
	size_t len;

	log_safe(safe, sizeof(safe), slice_of(error));
	/* libpq ends its messages with a newline, which is '?' by now. */
	len = strlen(safe);
	if (len > 0 && safe[len - 1] == '?')
		safe[len - 1] = '\0';
	log_warn("source %s: %s: %s", cn->source->name, what, safe);
}

/* ---- choosing a connection --------------------------------------------- */

static struct conn *
best_conn(struct source *s)
{
	struct postgres *p = s->state;
	struct conn *cn, *best = NULL;
	uint32_t i;

	for (i = 0; i < s->connections; i++) {
		cn = &p->conns[i];
		if (cn->state == CONN_UP && !cn->lost &&
		    cn->calls < DEPTH_MAX &&
		    (best == NULL || cn->calls < best->calls))
			best = cn;
	}
	return best;
}

/* Whether one may come up without a failure in between. */
static int
may_come_up(struct source *s)
{
	struct postgres *p = s->state;
	uint32_t i;

	for (i = 0; i < s->connections; i++)
		if (p->conns[i].state == CONN_UP || !p->conns[i].failed)
			return 1;
	return 0;
}

static int
statement_usable(struct conn *cn, const struct tool *t)
{
	int *state = &cn->prepared[t->slot];

	if (*state == -1 && now_ms() >= cn->retry_ms[t->slot])
		*state = 0;
	if (*state == 0 && pg_send_prepare(cn, t) == -1)
		return -1;
	return *state == 1;
}

static void
give(struct conn *cn, struct call *c)
{
	int usable = statement_usable(cn, c->tool);

	if (usable == 0) {
		call_fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_ERROR);
		return;
	}
	cn->calls++;
	c->tries++;
	c->failed = 0;
	if (c->tool->writes)
		c->may_have_run = 1;
	if (usable == -1 || pg_send_call(cn, c) == -1) {
		/* What was queued for it goes with the connection. */
		pg_say(cn, "cannot send", PQerrorMessage(cn->pg));
		cn->lost = 1;
		event_active(cn->reading, EV_READ, 0);
	}
}

void
pg_run(struct source *s, struct call *c)
{
	struct postgres *p = s->state;
	struct conn *cn = best_conn(s);

	if (cn != NULL) {
		give(cn, c);
	} else if (!may_come_up(s)) {
		c->retry_after = 1;
		call_fail(c, OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
	} else if (p->nwaiting >= WAITING_MAX) {
		c->retry_after = 1;
		call_fail(c, OUTCOME_OVERLOADED, REASON_QUEUE_FULL);
	} else {
		p->nwaiting++;
		TAILQ_INSERT_TAIL(&p->waiting, c, queue_entry);
	}
}

static void
dispatch_waiting(struct source *s)
{
	struct postgres *p = s->state;
	struct conn *cn;
	struct call *c;

	while ((c = TAILQ_FIRST(&p->waiting)) != NULL &&
	    (cn = best_conn(s)) != NULL) {
		TAILQ_REMOVE(&p->waiting, c, queue_entry);
		p->nwaiting--;
		give(cn, c);
	}
	if (TAILQ_EMPTY(&p->waiting) || may_come_up(s))
		return;
	while ((c = TAILQ_FIRST(&p->waiting)) != NULL) {
		TAILQ_REMOVE(&p->waiting, c, queue_entry);
		p->nwaiting--;
		c->retry_after = 1;
		call_fail(c, OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
	}
}

/* ---- connections ------------------------------------------------------- */

static void
want_events(struct conn *cn, int read, int write)
{
	if (read)
		(void)event_add(cn->reading, NULL);
	else
		(void)event_del(cn->reading);
	if (write)
		(void)event_add(cn->writing, NULL);
	else
		(void)event_del(cn->writing);
}

static void
flush_conn(struct conn *cn)
{
	int rc = PQflush(cn->pg);

	if (rc == -1)
		conn_lost(cn, PQerrorMessage(cn->pg));
	else
		want_events(cn, 1, rc == 1);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *cn = arg;

	(void)fd;
	if (cn->state != CONN_UP)
		return;
	if (cn->lost) {
		conn_lost(cn, "given up");
		return;
	}
	if ((what & EV_READ) && PQconsumeInput(cn->pg) != 1) {
		conn_lost(cn, PQerrorMessage(cn->pg));
		return;
	}
	pg_process(cn);
	if (cn->lost || PQstatus(cn->pg) != CONNECTION_OK) {
		conn_lost(cn, PQerrorMessage(cn->pg));
		return;
	}
	dispatch_waiting(cn->source);
	if (what & EV_WRITE)
		flush_conn(cn);
}

static void
arm_timer(struct conn *cn, uint32_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000),
	    (suseconds_t)(ms % 1000 * 1000) };

	(void)evtimer_add(cn->timer, &tv);
}

static void
drop_events(struct conn *cn)
{
	if (cn->reading != NULL)
		event_free(cn->reading);
	if (cn->writing != NULL)
		event_free(cn->writing);
	cn->reading = cn->writing = NULL;
}

static void
schedule_reconnect(struct conn *cn)
{
	cn->state = CONN_DOWN;
	cn->backoff_ms = cn->backoff_ms == 0 ? BACKOFF_MIN_MS :
	    cn->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS :
	    cn->backoff_ms * 2;
	arm_timer(cn, cn->backoff_ms / 2 +
	    arc4random_uniform(cn->backoff_ms / 2 + 1));
}

static void
call_lost(struct conn *cn, struct call *c)
{
	cn->calls--;
	if (!c->tool->writes) {
		if (c->tries == 1 && now_ms() < c->deadline_ms) {
			pg_run(cn->source, c);
			return;
		}
		c->retry_after = 1;
		call_fail(c, now_ms() >= c->deadline_ms ? OUTCOME_TIMEOUT :
		    OUTCOME_SOURCE_UNAVAILABLE, REASON_SOURCE_LOST);
		return;
	}
	strlcpy(c->message, "The connection to the database was lost while "
	    "the call ran: it may have taken effect. Do not repeat it before "
	    "you have looked.", sizeof(c->message));
	call_fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_LOST);
}

static void
conn_lost(struct conn *cn, const char *why)
{
	struct call *lost[DEPTH_MAX + 1];
	struct call *last = NULL;
	struct op *op;
	uint32_t n = 0, i;

	if (cn->state == CONN_UP)
		pg_say(cn, "connection lost", why);
	else if (!cn->failed)
		pg_say(cn, "cannot connect", why);
	cn->failed = 1;
	cn->lost = 0;
	drop_events(cn);
	while ((op = TAILQ_FIRST(&cn->ops)) != NULL) {
		if (op->call != NULL && op->call != last &&
		    n <= DEPTH_MAX) {
			last = op->call;
			lost[n++] = last;
		}
		pg_op_end(cn, op);
	}
	if (cn->pg != NULL)
		PQfinish(cn->pg);
	cn->pg = NULL;
	schedule_reconnect(cn);
	for (i = 0; i < n; i++)
		call_lost(cn, lost[i]);
	cn->calls = 0;
	dispatch_waiting(cn->source);
}

static void
conn_up(struct conn *cn)
{
	struct source *s = cn->source;
	uint32_t i;
	int fd = PQsocket(cn->pg);

	drop_events(cn);
	cn->reading = event_new(child.base, fd, EV_READ | EV_PERSIST,
	    on_event, cn);
	cn->writing = event_new(child.base, fd, EV_WRITE, on_event, cn);
	if (cn->reading == NULL || cn->writing == NULL)
		fatal("out of memory");
	if (PQsetnonblocking(cn->pg, 1) != 0 ||
	    PQenterPipelineMode(cn->pg) != 1) {
		conn_lost(cn, PQerrorMessage(cn->pg));
		return;
	}
	evtimer_del(cn->timer);
	cn->state = CONN_UP;
	cn->failed = 0;
	cn->backoff_ms = 0;
	cn->calls = 0;
	cn->need_sync = 0;
	cn->timeout_ms = s->timeout_ms;
	memset(cn->prepared, 0, s->ntools * sizeof(int));
	log_debug("source %s: connected", s->name);
	for (i = 0; i < s->ntools; i++)
		if (pg_send_prepare(cn, s->tools[i]) == -1) {
			conn_lost(cn, PQerrorMessage(cn->pg));
			return;
		}
	flush_conn(cn);
	if (cn->state == CONN_UP)
		dispatch_waiting(s);
}

static void
on_connecting(evutil_socket_t fd, short what, void *arg)
{
	struct conn *cn = arg;
	PostgresPollingStatusType poll;

	(void)fd;
	(void)what;
	poll = PQconnectPoll(cn->pg);
	drop_events(cn);
	if (poll == PGRES_POLLING_FAILED) {
		conn_lost(cn, PQerrorMessage(cn->pg));
		return;
	}
	if (poll == PGRES_POLLING_OK) {
		conn_up(cn);
		return;
	}
	/* The socket may be another one after each step. */
	cn->reading = event_new(child.base, PQsocket(cn->pg),
	    poll == PGRES_POLLING_READING ? EV_READ : EV_WRITE, on_connecting,
	    cn);
	if (cn->reading == NULL || event_add(cn->reading, NULL) == -1)
		conn_lost(cn, "out of memory");
}

static void
connect_start(struct conn *cn)
{
	struct source *s = cn->source;
	char options[96];
	/* After dbname: what the DSN says cannot undo it. */
	const char *names[] = { "dbname", "options", "application_name",
	    "passfile", "client_encoding", "gssencmode", NULL };
	const char *values[] = { s->target, options, "pontifexd",
	    "/nonexistent", "UTF8", "disable", NULL };

	(void)snprintf(options, sizeof(options), "-c "
	    "default_transaction_read_only=on -c statement_timeout=%u",
	    s->timeout_ms);
	cn->state = CONN_CONNECTING;
	cn->pg = PQconnectStartParams(names, values, 1);
	if (cn->pg == NULL || PQstatus(cn->pg) == CONNECTION_BAD) {
		conn_lost(cn, cn->pg == NULL ? "out of memory" :
		    PQerrorMessage(cn->pg));
		return;
	}
	arm_timer(cn, s->connect_timeout_ms);
	cn->reading = event_new(child.base, PQsocket(cn->pg), EV_WRITE,
	    on_connecting, cn);
	if (cn->reading == NULL || event_add(cn->reading, NULL) == -1)
		conn_lost(cn, "out of memory");
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *cn = arg;

	(void)fd;
	(void)what;
	if (cn->state == CONN_CONNECTING)
		conn_lost(cn, "no connection within the connect timeout");
	else if (cn->state == CONN_DOWN)
		connect_start(cn);
}

/* ---- the source -------------------------------------------------------- */

/* One host of the DSN: the folder of a socket, an address, or a name. */
static void
need_host(struct sandbox_needs *needs, const char *host, uint16_t port,
    int lookup)
{
	unsigned char address[16];

	if (host[0] == '/') {
		sandbox_path(needs, host, SANDBOX_CONNECT);
		return;
	}
	sandbox_port(needs, port);
	if (lookup && inet_pton(AF_INET, host, address) != 1 &&
	    inet_pton(AF_INET6, host, address) != 1)
		needs->resolve = 1;
}

/* The n-th of a list with commas; the last one stands for all behind it. */
static char *
list_item(const char *list, size_t n)
{
	const char *end;

	while (n-- > 0 && strchr(list, ',') != NULL)
		list = strchr(list, ',') + 1;
	end = strchr(list, ',');
	return end == NULL ? strdup(list) : strndup(list,
	    (size_t)(end - list));
}

static void
need_hosts(struct sandbox_needs *needs, const char *hosts, const char *ports,
    int lookup)
{
	const char *problem, *at;
	char *host, *port;
	long long number;
	size_t i, n = 1;

	for (at = hosts; (at = strchr(at, ',')) != NULL; at++)
		n++;
	for (i = 0; i < n; i++) {
		if ((host = list_item(hosts, i)) == NULL ||
		    (port = list_item(ports, i)) == NULL)
			fatal("out of memory");
		number = strtonum(port, 1, 65535, &problem);
		/* The needs keep the pointer to a path. */
		need_host(needs, host, problem == NULL ? (uint16_t)number :
		    5432, lookup);
		free(port);
	}
}

/* What the DSN says we must reach and read. */
static int
needs_of(struct source *s, struct sandbox_needs *needs)
{
	static const char *const files[] = { "sslrootcert", "sslcert",
	    "sslkey", "sslcrl" };
	PQconninfoOption *options, *o;
	const char *host = "/var/run/postgresql", *addr = NULL, *port = "5432";
	char *error = NULL;
	size_t i;

	if ((options = PQconninfoParse(s->target, &error)) == NULL) {
		/* The message may quote the DSN: not for the log. */
		log_warn("source %s: its dsn cannot be read by libpq",
		    s->name);
		PQfreemem(error);
		return -1;
	}
	for (o = options; o->keyword != NULL; o++) {
		if (o->val == NULL || o->val[0] == '\0')
			continue;
		if (strcmp(o->keyword, "host") == 0)
			host = o->val;
		else if (strcmp(o->keyword, "hostaddr") == 0)
			addr = o->val;
		else if (strcmp(o->keyword, "port") == 0)
			port = o->val;
		for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
			if (strcmp(o->keyword, files[i]) == 0 &&
			    o->val[0] == '/')
				sandbox_path(needs, strdup(o->val),
				    SANDBOX_READ);
	}
	need_hosts(needs, addr == NULL ? host : addr, port, addr == NULL);
	PQconninfoFree(options);
	return 0;
}

static int
pg_prepare(struct source *s, struct sandbox_needs *needs)
{
	struct postgres *p = calloc(1, sizeof(*p));
	uint32_t i;

	if (p == NULL || (p->conns = calloc(s->connections,
	    sizeof(*p->conns))) == NULL)
		return -1;
	TAILQ_INIT(&p->waiting);
	s->state = p;
	for (i = 0; i < s->connections; i++) {
		p->conns[i].source = s;
		TAILQ_INIT(&p->conns[i].ops);
		p->conns[i].prepared = calloc(s->ntools + 1, sizeof(int));
		p->conns[i].retry_ms = calloc(s->ntools + 1, sizeof(uint64_t));
		p->conns[i].timer = evtimer_new(child.base, on_timer,
		    &p->conns[i]);
		if (p->conns[i].prepared == NULL ||
		    p->conns[i].retry_ms == NULL || p->conns[i].timer == NULL)
			return -1;
	}
	return needs_of(s, needs);
}

static int
pg_start(struct source *s)
{
	struct postgres *p = s->state;
	uint32_t i;

	for (i = 0; i < s->connections; i++)
		connect_start(&p->conns[i]);
	return 0;
}

/* One Sync and one send for all that came in this turn. */
static void
pg_turn(struct source *s)
{
	struct postgres *p = s->state;
	struct conn *cn;
	uint32_t i;

	for (i = 0; i < s->connections; i++) {
		cn = &p->conns[i];
		if (cn->state != CONN_UP || cn->lost || !cn->need_sync)
			continue;
		if (pg_sync(cn) == -1)
			conn_lost(cn, PQerrorMessage(cn->pg));
		else
			flush_conn(cn);
	}
}

static int
conn_is_stuck(const struct conn *cn, uint64_t now)
{
	const struct op *op;

	TAILQ_FOREACH(op, &cn->ops, entry)
		if (op->call != NULL &&
		    op->call->deadline_ms + GRACE_MS <= now)
			return 1;
	return 0;
}

static void
pg_sweep(struct source *s, uint64_t now)
{
	struct postgres *p = s->state;
	struct call *c, *next;
	uint32_t i;

	for (i = 0; i < s->connections; i++)
		if (p->conns[i].state == CONN_UP &&
		    conn_is_stuck(&p->conns[i], now))
			conn_lost(&p->conns[i],
			    "no answer within the tool's timeout");
	TAILQ_FOREACH_SAFE(c, &p->waiting, queue_entry, next) {
		if (c->deadline_ms > now)
			continue;
		TAILQ_REMOVE(&p->waiting, c, queue_entry);
		p->nwaiting--;
		call_fail(c, OUTCOME_TIMEOUT, REASON_QUEUE_FULL);
	}
}

static void
pg_status(struct source *s, struct buffer *b)
{
	struct postgres *p = s->state;
	uint32_t i, up = 0, calls = 0;

	for (i = 0; i < s->connections; i++) {
		up += p->conns[i].state == CONN_UP;
		calls += p->conns[i].calls;
	}
	(void)buffer_printf(b, "postgres, %u of %u connections up, "
	    "%u in flight, %u waiting", up, s->connections, calls,
	    p->nwaiting);
}

const struct source_ops source_postgres_ops = {
	.prepare = pg_prepare, .start = pg_start, .run = pg_run,
	.turn = pg_turn, .sweep = pg_sweep, .status = pg_status
};
