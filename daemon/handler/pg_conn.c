/* SPDX-License-Identifier: ISC */

/*
 * The life of one connection to Postgres: it is made, its statements are
 * prepared, it serves, it is lost and made again, with a growing pause where
 * that fails.  A connection is dropped at one place only, at the end of a
 * loop turn, so that nobody's hands are on it.
 */

#include <stdio.h>

#include "../../common/log.h"
#include "../../common/pglogin.h"
#include "pg.h"
#include "survey.h"

#define WHY_MAX	512	/* bytes of the reason of a failure */

/* What the server says of its own source is not for the log. */
static void
without_location(char *to, size_t size, const char *error)
{
	static const char location[] = "\nLOCATION:";
	const char *at;
	size_t n;

	for (to[0] = '\0'; (at = strstr(error, location)) != NULL;
	    error = at + strcspn(at, "\n")) {
		n = strlen(to);
		if (n + (size_t)(at - error) + 1 > size)
			break;
		memcpy(to + n, error, (size_t)(at - error));
		to[n + (size_t)(at - error)] = '\0';
		at++;
	}
	(void)strlcat(to, error, size);
}

/* libpq breaks and indents its lines, and ends the last one. */
static void
on_one_line(char *text)
{
	const char *from;
	char *to = text;

	for (from = text; *from != '\0'; from++)
		if (*from != '\t')
			*to++ = *from == '\n' ? ' ' : *from;
	while (to > text && to[-1] == ' ')
		to--;
	*to = '\0';
}

void
pg_say(const struct conn *cn, const char *what, const char *error)
{
	char safe[256];

	log_safe(safe, sizeof(safe), slice_of(error));
	log_warn("source %s: %s: %s", cn->source->name, what, safe);
}

void
pg_conn_arm(struct conn *cn, uint32_t ms)
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

/* ---- losing one -------------------------------------------------------- */

/* The more are lost, the more handlers and nodes lose theirs, too. */
static uint32_t
count_down(const struct source *s)
{
	const struct postgres *p = s->state;
	uint32_t i, n = 0;

	for (i = 0; i < p->nconns; i++)
		n += p->conns[i].wanted && p->conns[i].state == CONN_DOWN;
	return n;
}

static void
schedule_connect(struct conn *cn)
{
	cn->state = CONN_DOWN;
	if (!cn->failed) {
		/* It was good: try at once, not all in the same instant. */
		cn->backoff_ms = 0;
		pg_conn_arm(cn, arc4random_uniform(SPREAD_MS *
		    (1 + count_down(cn->source))));
		return;
	}
	cn->backoff_ms = cn->backoff_ms == 0 ? BACKOFF_MIN_MS :
	    cn->backoff_ms * 2;
	if (cn->backoff_ms > BACKOFF_MAX_MS)
		cn->backoff_ms = BACKOFF_MAX_MS;
	pg_conn_arm(cn, cn->backoff_ms / 2 +
	    arc4random_uniform(cn->backoff_ms / 2 + 1));
}

/*
 * A call that was on it: reads move on once, a write must not.  Not oftener,
 * for the statement may be what ends the server's process; where the server
 * said that it was not, as long as there are tries.
 */
static void
call_lost(struct source *s, struct call *c, int dismissed)
{
	int late = now_ms() >= c->deadline_ms;

	c->conn = NULL;
	if (c->failed) {
		/* Of a write, too: what failed cannot be committed. */
		c->may_have_run = 0;
		call_fail(c, c->outcome, c->reason);
		return;
	}
	if (!c->tool->writes) {
		c->losses += !dismissed;
		if (c->losses <= 1 && c->tries < TRIES_MAX && !late) {
			/* What ended this one may have ended others just now. */
			c->repeat = 0;
			pg_later(s, c);
			return;
		}
		c->retry_after = late ? 0 : 1;
		call_fail(c, late ? OUTCOME_TIMEOUT :
		    OUTCOME_SOURCE_UNAVAILABLE,
		    late ? REASON_SOURCE_TIMEOUT : REASON_SOURCE_LOST);
		return;
	}
	strlcpy(c->message, "The connection to the database was lost while "
	    "the call ran: it may have taken effect. Do not repeat it before "
	    "you have looked.", sizeof(c->message));
	call_fail(c, OUTCOME_INTERNAL_ERROR, REASON_SOURCE_LOST);
}

/* Empties the list of ops.  Returns how many calls are in `lost'. */
static uint32_t
collect_calls(struct conn *cn, struct call *lost[DEPTH_MAX])
{
	struct call *last = NULL;
	struct op *op;
	uint32_t n = 0;

	while ((op = TAILQ_FIRST(&cn->ops)) != NULL) {
		/* The ops of one call stand next to each other. */
		if (op->call != NULL && op->call != last && n < DEPTH_MAX) {
			last = op->call;
			lost[n++] = last;
		}
		op_end(cn, op);
	}
	return n;
}

/* Once is enough for all connections of a source. */
static int
is_told(const struct source *s)
{
	const struct postgres *p = s->state;
	uint32_t i;

	for (i = 0; i < s->connections; i++)
		if (p->conns[i].told)
			return 1;
	return 0;
}

static void
conn_lost(struct conn *cn)
{
	struct source *s = cn->source;
	struct call *lost[DEPTH_MAX];
	const char *why = cn->why;
	char text[WHY_MAX];
	int dismissed = cn->dismissed;
	uint32_t n, i;

	if (why == NULL)
		why = cn->pg == NULL ? "out of memory" :
		    PQerrorMessage(cn->pg);
	without_location(text, sizeof(text), why);
	on_one_line(text);
	why = text;
	if (cn->state == CONN_UP || cn->state == CONN_PREPARING) {
		pg_say(cn, "connection lost", why);
	} else if (!cn->told && !pglogin_refused(why)) {
		if (!is_told(s))
			pg_say(cn, "cannot connect", why);
		cn->told = 1;
	}
	cn->failed = cn->state != CONN_UP || now_ms() - cn->up_ms < STEADY_MS;
	if (cn->failed)
		pg_survey_down(s, why);
	if (cn->state == CONN_CONNECTING && pglogin_refused(why)) {
		/* Told once, whatever went before it. */
		if (!s->refused)
			pg_say(cn, "credentials refused", why);
		s->refused = 1;
		pg_dsn_ask(s);
	}
	cn->lost = cn->dismissed = 0;
	cn->why = NULL;
	drop_events(cn);
	n = collect_calls(cn, lost);
	PQfinish(cn->pg);
	cn->pg = NULL;
	cn->calls = cn->writes = cn->preparing = 0;
	cn->cancelling = 0;
	pg_age_lost(cn);
	cn->state = CONN_DOWN;
	evtimer_del(cn->timer);
	if (cn->wanted)
		schedule_connect(cn);
	for (i = 0; i < n; i++)
		call_lost(s, lost[i], dismissed);
	pg_dispatch(s);
}

void
pg_give_up(struct conn *cn, const char *why)
{
	if (cn->lost)
		return;
	cn->lost = 1;
	cn->why = why;
	/* There is to be another turn, whoever noticed it and when. */
	event_active(cn->timer, EV_TIMEOUT, 0);
}

void
pg_conn_drop(struct conn *cn)
{
	if (cn->lost)
		conn_lost(cn);
}

void
pg_conn_end(struct conn *cn)
{
	evtimer_del(cn->timer);
	drop_events(cn);
	PQfinish(cn->pg);
	cn->pg = NULL;
	cn->state = CONN_DOWN;
}

void
pg_conn_retry(struct conn *cn)
{
	if (cn->state != CONN_DOWN || !cn->wanted)
		return;
	cn->backoff_ms = 0;
	pg_conn_arm(cn, arc4random_uniform(SPREAD_MS));
}

/* ---- serving ----------------------------------------------------------- */

static void
flush_conn(struct conn *cn)
{
	int rc = PQflush(cn->pg);

	if (rc == -1)
		pg_give_up(cn, NULL);
	else if (rc == 1)
		(void)event_add(cn->writing, NULL);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *cn = arg;

	(void)fd;
	if (cn->lost || cn->pg == NULL)
		return;
	if ((what & EV_READ) && PQconsumeInput(cn->pg) != 1) {
		/* What came before the end may still hold answers. */
		pg_process(cn);
		pg_give_up(cn, NULL);
		return;
	}
	pg_process(cn);
	if (PQstatus(cn->pg) != CONNECTION_OK)
		pg_give_up(cn, NULL);
	if (cn->lost)
		return;
	if (cn->state == CONN_UP)
		pg_dispatch(cn->source);
	if (what & EV_WRITE)
		flush_conn(cn);
}

void
pg_conn_flush(struct conn *cn)
{
	if (cn->lost || cn->state < CONN_PREPARING || !cn->need_sync)
		return;
	if (pg_sync(cn) == -1)
		pg_give_up(cn, NULL);
	else
		flush_conn(cn);
}

void
pg_conn_prepared(struct conn *cn)
{
	if (cn->state != CONN_PREPARING)
		return;
	evtimer_del(cn->timer);
	cn->state = CONN_UP;
	cn->up_ms = now_ms();
	cn->failed = cn->told = 0;
	cn->backoff_ms = 0;
	cn->source->refused = 0;
	source_back(cn->source);
	survey_up(cn->source);
	log_debug("source %s: connected", cn->source->name);
	pg_age_begin(cn);
}

/* ---- making one -------------------------------------------------------- */

static void
on_notice(void *arg, const PGresult *res)
{
	(void)arg;
	(void)res;	/* a database may say what it likes: not in our log */
}

static void
conn_prepare(struct conn *cn)
{
	struct source *s = cn->source;
	uint32_t i;
	int fd = PQsocket(cn->pg);

	cn->reading = event_new(child.base, fd, EV_READ | EV_PERSIST,
	    on_event, cn);
	cn->writing = event_new(child.base, fd, EV_WRITE, on_event, cn);
	if (cn->reading == NULL || cn->writing == NULL ||
	    event_add(cn->reading, NULL) == -1)
		fatal("out of memory");
	cn->state = CONN_PREPARING;
	cn->need_sync = 0;
	cn->timeout_ms = s->pooler ? -1 : (int64_t)s->timeout_ms;
	(void)PQsetErrorVerbosity(cn->pg, PQERRORS_DEFAULT);
	memset(cn->statement, 0, s->ntools * sizeof(*cn->statement));
	(void)PQsetNoticeReceiver(cn->pg, on_notice, NULL);
	if (PQsetnonblocking(cn->pg, 1) != 0 ||
	    PQenterPipelineMode(cn->pg) != 1) {
		pg_give_up(cn, NULL);
		return;
	}
	for (i = 0; i < s->ntools; i++)
		if ((survey_describes(s) && pg_send_guess(cn, s->tools[i]) ==
		    -1) || pg_send_prepare(cn, s->tools[i]) == -1) {
			pg_give_up(cn, NULL);
			return;
		}
	flush_conn(cn);
	if (s->ntools == 0)
		pg_conn_prepared(cn);
}

static void	on_connecting(evutil_socket_t, short, void *);

/* The socket may be another one after each step. */
static void
await(struct conn *cn, short what)
{
	drop_events(cn);
	cn->reading = event_new(child.base, PQsocket(cn->pg), what,
	    on_connecting, cn);
	if (cn->reading == NULL || event_add(cn->reading, NULL) == -1)
		pg_give_up(cn, "out of memory");
}

static void
on_connecting(evutil_socket_t fd, short what, void *arg)
{
	struct conn *cn = arg;

	(void)fd;
	(void)what;
	if (cn->lost)
		return;
	switch (PQconnectPoll(cn->pg)) {
	case PGRES_POLLING_FAILED:
		pg_give_up(cn, NULL);
		break;
	case PGRES_POLLING_OK:
		drop_events(cn);
		conn_prepare(cn);
		break;
	case PGRES_POLLING_READING:
		await(cn, EV_READ);
		break;
	default:
		await(cn, EV_WRITE);
		break;
	}
}

void
pg_connect(struct conn *cn)
{
	struct source *s = cn->source;

	cn->state = CONN_CONNECTING;
	cn->pg = pg_dsn_connect(s);
	if (cn->pg == NULL || PQstatus(cn->pg) == CONNECTION_BAD) {
		pg_give_up(cn, NULL);
		return;
	}
	pg_conn_arm(cn, s->connect_timeout_ms);
	await(cn, EV_WRITE);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *cn = arg;

	(void)fd;
	(void)what;
	if (cn->lost)
		return;
	if (cn->state == CONN_DOWN)
		pg_connect(cn);
	else if (cn->state == CONN_UP)
		pg_age_look(cn);
	else
		pg_give_up(cn, "no connection within the connect timeout");
}

int
pg_conn_init(struct conn *cn, struct source *s)
{
	cn->source = s;
	TAILQ_INIT(&cn->ops);
	cn->statement = calloc(s->ntools + 1, sizeof(*cn->statement));
	cn->timer = evtimer_new(child.base, on_timer, cn);
	return cn->statement == NULL || cn->timer == NULL ? -1 : 0;
}
