/* SPDX-License-Identifier: ISC */

/*
 * One connection to Redis: looked up, opened, introduced (AUTH, SELECT, PING),
 * asked.  It is up when it has answered the PING as fast as it must answer
 * anything; a Redis that is slow is therefore as one that is gone, and calls
 * do not wait for it again and again.  Waits between tries double and are
 * random in their upper half, so that the handlers of many nodes do not come
 * back all at once.
 */

#include <arpa/inet.h>

#include <stdio.h>

#include <event2/event.h>
#include <hiredis/hiredis.h>

#include "../../common/compat.h"
#include "../../common/log.h"
#include "../../common/proc.h"
#include "../../common/resolve.h"
#include "../../common/stream.h"
#include "redis_conn.h"

#define READ_CHUNK	(16 * 1024)	/* bytes at a time */
#define READS_MAX	64		/* chunks in one turn */
#define GREETING_MAX	3		/* AUTH, SELECT, PING */

enum conn_state {
	CONN_DOWN,		/* until the timer ends */
	CONN_LOOKUP,		/* of its name */
	CONN_OPENING,		/* TCP, TLS */
	CONN_GREETING,		/* AUTH and SELECT are under way */
	CONN_PING,		/* … and the question how fast it answers */
	CONN_UP
};

struct redis_ask {
	TAILQ_ENTRY(redis_ask)	 entry;
	redis_done		*done;		/* NULL: who asked is gone */
	void			*arg;
	uint64_t		 asked_ms;
	size_t			 bytes;
};
TAILQ_HEAD(ask_list, redis_ask);

struct redis_conn {
	struct redis_place	 place;
	const struct redis_conn_ops *ops;
	void			*arg;
	uint32_t		 answer_ms;
	size_t			 reply_max;
	enum conn_state		 state;
	struct stream		 stream;
	struct event		*readable;
	struct event		*writable;
	struct event		*timer;		/* pause, connect, answers */
	struct lookup		*lookup;
	struct found		 found;
	size_t			 next;		/* of its addresses */
	struct replies		*replies;
	struct buffer		 out;
	struct ask_list		 asked;		/* oldest first */
	struct redis_ask	*unsent;	/* the first of this turn */
	size_t			 nasked;
	size_t			 bytes;		/* of all that is asked */
	uint32_t		 greetings;	/* answers of the greeting to come */
	uint32_t		 failures;	/* in a row */
	uint64_t		 since_ms;	/* it is up */
	int			 told;		/* down() was called last */
	int			 blamed;
	char			 why[REDIS_WHY_MAX];
};

static struct ask_list spare = TAILQ_HEAD_INITIALIZER(spare);
static size_t nspare;

static void	fail(struct redis_conn *, const char *);
static void	open_next(struct redis_conn *);

/* ---- questions --------------------------------------------------------- */

static struct redis_ask *
ask_new(void)
{
	struct redis_ask *a = TAILQ_FIRST(&spare);

	if (a == NULL)
		return calloc(1, sizeof(*a));
	TAILQ_REMOVE(&spare, a, entry);
	nspare--;
	return a;
}

static void
ask_free(struct redis_ask *a)
{
	if (nspare == REDIS_ASKED_MAX / 8) {
		free(a);
		return;
	}
	TAILQ_INSERT_HEAD(&spare, a, entry);
	nspare++;
}

static void
wait_ms(struct redis_conn *c, uint64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000),
	    (suseconds_t)(ms % 1000 * 1000) };

	(void)evtimer_add(c->timer, &tv);
}

static void
want(struct redis_conn *c)
{
	if (c->stream.want == EV_WRITE)
		(void)event_add(c->writable, NULL);
}

/* As much as goes now; 0, or -1: it is gone. */
static int
flush(struct redis_conn *c)
{
	uint64_t now = now_ms();
	ssize_t n = 1;

	/* A loop that was busy until now is not Redis' fault. */
	for (; c->unsent != NULL; c->unsent = TAILQ_NEXT(c->unsent, entry))
		c->unsent->asked_ms = now;

	while (c->out.len > 0 && (n = stream_write(&c->stream, c->out.data,
	    c->out.len)) > 0)
		buffer_drain(&c->out, (size_t)n);
	if (n == -1) {
		fail(c, c->stream.why);
		return -1;
	}
	if (n == 0)
		want(c);
	return 0;
}

/* The command as Redis reads it; its bytes, or 0. */
static size_t
put_command(struct redis_conn *c, const struct slice *words, size_t n)
{
	const char *argv[REDIS_ARGS_MAX];
	size_t lens[REDIS_ARGS_MAX], i, size;
	char *text = NULL;
	long long len;

	if (n > REDIS_ARGS_MAX)
		return 0;
	for (i = 0; i < n; i++) {
		argv[i] = words[i].ptr;
		lens[i] = words[i].len;
	}
	if ((len = redisFormatCommandArgv(&text, (int)n, argv, lens)) <= 0)
		return 0;
	size = (size_t)len;
	if (buffer_add(&c->out, text, size) == -1) {
		c->out.bad = 0;
		len = 0;
	}
	/* One of them has the password. */
	explicit_bzero(text, size);
	redisFreeCommand(text);
	return (size_t)len;
}

static struct redis_ask *
send_command(struct redis_conn *c, const struct slice *words, size_t n,
    redis_done *done, void *arg)
{
	struct redis_ask *a;

	if (c->nasked >= REDIS_ASKED_MAX || c->bytes >= REDIS_BYTES_MAX ||
	    (a = ask_new()) == NULL)
		return NULL;
	if ((a->bytes = put_command(c, words, n)) == 0) {
		ask_free(a);
		return NULL;
	}
	a->done = done;
	a->arg = arg;
	a->asked_ms = now_ms();
	TAILQ_INSERT_TAIL(&c->asked, a, entry);
	if (c->unsent == NULL)
		c->unsent = a;
	c->nasked++;
	c->bytes += a->bytes;
	if (c->state == CONN_UP && !evtimer_pending(c->timer, NULL))
		wait_ms(c, c->answer_ms);
	return a;
}

struct redis_ask *
redis_ask(struct redis_conn *c, const struct slice *words, size_t n,
    redis_done *done, void *arg)
{
	return c->state != CONN_UP ? NULL :
	    send_command(c, words, n, done, arg);
}

void
redis_disown(struct redis_ask *a)
{
	if (a != NULL)
		a->done = NULL;
}

size_t
redis_asked(const struct redis_conn *c)
{
	return c->nasked;
}

int
redis_conn_up(const struct redis_conn *c)
{
	return c->state == CONN_UP;
}

/* ---- the end of it ----------------------------------------------------- */

static void
stop(struct redis_conn *c)
{
	lookup_cancel(c->lookup);
	c->lookup = NULL;
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	c->readable = c->writable = NULL;
	stream_close(&c->stream);
	replies_free(c->replies);
	c->replies = NULL;
	if (c->out.data != NULL)
		explicit_bzero(c->out.data, c->out.cap);
	buffer_clear(&c->out);
	c->greetings = 0;
	c->blamed = 0;
}

static uint32_t
pause_ms(struct redis_conn *c)
{
	uint32_t ms = REDIS_PAUSE_MS << (c->failures > 6 ? 6 : c->failures);

	if (ms > REDIS_PAUSE_MAX)
		ms = REDIS_PAUSE_MAX;
	c->failures++;
	return ms / 2 + arc4random_uniform(ms / 2 + 1);
}

/* Nobody is told twice, and who is told may ask for something at once. */
static void
fail(struct redis_conn *c, const char *why)
{
	struct ask_list asked = TAILQ_HEAD_INITIALIZER(asked);
	int was_up = c->state == CONN_UP;
	struct redis_ask *a;
	struct slice text = slice_of(why);
	char copy[REDIS_WHY_MAX];

	(void)log_safe(copy, sizeof(copy), text);
	(void)strlcpy(c->why, copy, sizeof(c->why));
	stop(c);
	c->state = CONN_DOWN;
	if (was_up && now_ms() - c->since_ms >= REDIS_PAUSE_MAX)
		c->failures = 0;
	wait_ms(c, pause_ms(c));
	TAILQ_CONCAT(&asked, &c->asked, entry);
	c->unsent = NULL;
	c->nasked = c->bytes = 0;
	if (was_up || !c->told) {
		c->told = 1;
		c->ops->down(c->why, c->arg);
	}
	while ((a = TAILQ_FIRST(&asked)) != NULL) {
		TAILQ_REMOVE(&asked, a, entry);
		if (a->done != NULL)
			a->done(NULL, a->arg);
		ask_free(a);
	}
}

void
redis_blame(struct redis_conn *c, const char *why)
{
	if (c->state == CONN_DOWN || c->blamed)
		return;
	c->blamed = 1;
	(void)strlcpy(c->why, why, sizeof(c->why));
}

/* ---- what it says ------------------------------------------------------ */

static void
answer(struct redis_conn *c, const struct reply *r)
{
	struct redis_ask *a = TAILQ_FIRST(&c->asked);

	TAILQ_REMOVE(&c->asked, a, entry);
	c->nasked--;
	c->bytes -= a->bytes;
	if (a->done != NULL)
		a->done(r, a->arg);
	ask_free(a);
}

/* Each whole reply is the answer to the oldest question. */
static int
answer_all(struct redis_conn *c)
{
	const struct reply *r;
	int bad;

	while ((r = replies_next(c->replies, &bad)) != NULL) {
		if (TAILQ_FIRST(&c->asked) == c->unsent) {
			fail(c, "it says what nobody asked");
			return -1;
		}
		answer(c, r);
		if (c->blamed) {
			fail(c, c->why);
			return -1;
		}
	}
	if (bad)
		fail(c, "it answers what is no answer, or too large");
	return bad ? -1 : 0;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	static char chunk[READ_CHUNK];
	struct redis_conn *c = arg;
	ssize_t n = 0;
	int i;

	(void)fd;
	(void)what;
	for (i = 0; i < READS_MAX; i++) {
		if ((n = stream_read(&c->stream, chunk, sizeof(chunk))) <= 0)
			break;
		if (replies_feed(c->replies, chunk, (size_t)n) == -1) {
			fail(c, "it answers too much");
			return;
		}
		if (answer_all(c) == -1)
			return;
		/* What TLS holds already wakes nobody: it is read to its end. */
		if ((size_t)n < sizeof(chunk) && c->stream.ssl == NULL)
			break;
	}
	if (n == -1) {
		fail(c, c->stream.why);
		return;
	}
	if (i == READS_MAX)
		event_active(c->readable, EV_READ, 0);
	else if (n == 0)
		want(c);
}

/* ---- greeting ---------------------------------------------------------- */

static void
is_up(struct redis_conn *c)
{
	c->state = CONN_UP;
	c->since_ms = now_ms();
	c->told = 0;
	(void)evtimer_del(c->timer);
	log_debug("redis: connected");
	c->ops->up(c->arg);
}

/* Before ACLs (Redis 5) each of these had a text of its own. */
static void
look_at_login(struct redis_conn *c, const struct reply *r)
{
	static const char *const words[] = { "WRONGPASS ", "NOAUTH ",
	    "ERR invalid password", "ERR AUTH ", "ERR Client sent AUTH" };
	struct slice text;
	size_t i, len;

	if (!reply_is(r, REPLY_ERROR))
		return;
	text = reply_text(r, 0);
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		len = strlen(words[i]);
		if (text.len >= len && memcmp(text.ptr, words[i], len) == 0) {
			c->ops->refused(c->arg);
			return;
		}
	}
}

static void
pinged(const struct reply *r, void *arg)
{
	struct redis_conn *c = arg;

	if (r == NULL)
		return;
	if (reply_is(r, REPLY_STATUS) && reply_text(r, 0).len == 4 &&
	    memcmp(reply_text(r, 0).ptr, "PONG", 4) == 0)
		is_up(c);
	else {
		look_at_login(c, r);
		redis_blame(c, reply_is(r, REPLY_ERROR) ?
		    "it refuses PING" : "it does not answer PING with PONG");
	}
}

/* How fast it is, now that it has nothing else to do for us. */
static void
ping(struct redis_conn *c)
{
	const struct slice words[] = { slice_of("PING") };

	c->state = CONN_PING;
	if (send_command(c, words, 1, pinged, c) == NULL)
		redis_blame(c, "out of memory");
	else
		wait_ms(c, c->answer_ms);
}

static void
greeted(const struct reply *r, void *arg)
{
	struct redis_conn *c = arg;
	struct slice text;
	char why[REDIS_WHY_MAX], safe[80];

	if (r == NULL)
		return;
	if (!reply_is(r, REPLY_STATUS)) {
		text = reply_is(r, REPLY_ERROR) ? reply_text(r, 0) :
		    slice_of("");
		if (text.len > sizeof(safe) - 1)
			text.len = sizeof(safe) - 1;
		(void)snprintf(why, sizeof(why), "it refuses the login or the "
		    "database: %s", log_safe(safe, sizeof(safe), text));
		look_at_login(c, r);
		redis_blame(c, why);
		return;
	}
	if (--c->greetings == 0)
		ping(c);
}

static struct slice
bytes(const char *ptr, size_t len)
{
	struct slice sl = { ptr, len };

	return sl;
}

static void
greet(struct redis_conn *c)
{
	const struct redis_url *u = c->place.url;
	struct slice words[3];
	char db[16];
	size_t n = 0;
	int ok = 1;

	c->state = CONN_GREETING;
	if (u->password_len > 0) {
		words[n++] = slice_of("AUTH");
		if (u->user_len > 0)
			words[n++] = bytes(u->user, u->user_len);
		words[n++] = bytes(u->password, u->password_len);
		ok = send_command(c, words, n, greeted, c) != NULL;
		c->greetings++;
	}
	if (u->db > 0) {
		(void)snprintf(db, sizeof(db), "%u", u->db);
		words[0] = slice_of("SELECT");
		words[1] = slice_of(db);
		ok &= send_command(c, words, 2, greeted, c) != NULL;
		c->greetings++;
	}
	if (!ok)
		fail(c, "out of memory");
	else if (c->greetings == 0)
		ping(c);
}

/* ---- opening ----------------------------------------------------------- */

static void
is_open(struct redis_conn *c)
{
	if ((c->replies = replies_new(c->reply_max)) == NULL ||
	    event_add(c->readable, NULL) == -1) {
		fail(c, "out of memory");
		return;
	}
	greet(c);
	if (c->blamed)
		fail(c, c->why);
	else if (c->state != CONN_DOWN)
		(void)flush(c);
}

/* The read event begins when it is open: until then both mean the opening. */
static void
opening(struct redis_conn *c, int rc)
{
	if (rc == 1)
		is_open(c);
	else if (rc == -1)
		fail(c, c->stream.why);
	else
		(void)event_add(c->stream.want == EV_READ ? c->readable :
		    c->writable, NULL);
}

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	struct redis_conn *c = arg;

	if (c->state == CONN_OPENING) {
		/* Persistent, but not wanted but when it is asked for. */
		(void)event_del(c->readable);
		opening(c, stream_continue(&c->stream));
	} else if ((what & EV_WRITE) != 0) {
		/* Under TLS a read may have waited for room to write. */
		if (flush(c) == 0 && c->stream.ssl != NULL)
			on_readable(fd, EV_READ, c);
	} else {
		on_readable(fd, what, c);
		if (c->state != CONN_DOWN && c->out.len > 0)
			(void)flush(c);
	}
}

static void
open_socket(struct redis_conn *c, const struct sockaddr *sa, socklen_t len)
{
	int rc;

	stream_init(&c->stream, c->place.tls, c->place.url->host);
	c->state = CONN_OPENING;
	wait_ms(c, REDIS_CONNECT_MS);
	rc = sa == NULL ? stream_connect_unix(&c->stream, c->place.url->path) :
	    stream_connect(&c->stream, sa, len);
	if (rc == -1) {
		fail(c, c->stream.why);
		return;
	}
	c->readable = event_new(child.base, c->stream.fd, EV_READ | EV_PERSIST,
	    on_io, c);
	c->writable = event_new(child.base, c->stream.fd, EV_WRITE, on_io, c);
	if (c->readable == NULL || c->writable == NULL) {
		fail(c, "out of memory");
		return;
	}
	opening(c, rc);
}

static void
set_port(struct sockaddr_storage *ss, uint16_t port)
{
	if (ss->ss_family == AF_INET)
		((struct sockaddr_in *)(void *)ss)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)(void *)ss)->sin6_port = htons(port);
}

/* The addresses in turn, one a try. */
static void
open_next(struct redis_conn *c)
{
	struct sockaddr_storage *ss = &c->found.address[c->next++ %
	    c->found.n];

	set_port(ss, c->place.url->port);
	open_socket(c, (const struct sockaddr *)(void *)ss,
	    ss->ss_family == AF_INET ? sizeof(struct sockaddr_in) :
	    sizeof(struct sockaddr_in6));
}

static void
looked_up(const struct found *f, const char *error, void *arg)
{
	struct redis_conn *c = arg;

	c->lookup = NULL;
	if (error != NULL) {
		fail(c, error);
		return;
	}
	c->found = *f;
	open_next(c);
}

/* An address needs nobody to look it up. */
static int
literal(const char *host, struct found *f)
{
	struct sockaddr_in *in = (void *)&f->address[0];
	struct sockaddr_in6 *in6 = (void *)&f->address[0];

	memset(f, 0, sizeof(*f));
	f->n = 1;
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		return 0;
	}
	in6->sin6_family = AF_INET6;
	return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1 ? 0 : -1;
}

static void
open_conn(struct redis_conn *c)
{
	const struct redis_url *u = c->place.url;

	if (u->way == REDIS_UNIX) {
		open_socket(c, NULL, 0);
	} else if (u->literal) {
		if (literal(u->host, &c->found) == -1)
			fail(c, "its address is none");
		else
			open_next(c);
	} else {
		c->state = CONN_LOOKUP;
		if ((c->lookup = lookup_new(u->host, looked_up, c)) == NULL)
			fail(c, "its name cannot be looked up");
	}
}

/* ---- time -------------------------------------------------------------- */

/* The oldest question is the first that runs out of time. */
static void
check_answers(struct redis_conn *c)
{
	struct redis_ask *a = TAILQ_FIRST(&c->asked);
	uint64_t now = now_ms();
	char why[REDIS_WHY_MAX];

	if (a == NULL)
		return;
	if (now < a->asked_ms + c->answer_ms) {
		wait_ms(c, a->asked_ms + c->answer_ms - now);
		return;
	}
	(void)snprintf(why, sizeof(why), "no answer within %u ms",
	    c->answer_ms);
	fail(c, why);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct redis_conn *c = arg;

	(void)fd;
	(void)what;
	switch (c->state) {
	case CONN_DOWN:
		open_conn(c);
		break;
	case CONN_LOOKUP:
		break;
	case CONN_OPENING:
		fail(c, "no connection within a second");
		break;
	case CONN_GREETING:
		fail(c, "it did not greet within a second");
		break;
	case CONN_PING:
	case CONN_UP:
		check_answers(c);
		break;
	}
}

void
redis_conn_turn(struct redis_conn *c)
{
	if (c->out.len > 0 && c->state >= CONN_GREETING &&
	    !event_pending(c->writable, EV_WRITE, NULL))
		(void)flush(c);
}

struct redis_conn *
redis_conn_new(const struct redis_place *place, uint32_t answer_ms,
    size_t reply_max, const struct redis_conn_ops *ops, void *arg)
{
	struct redis_conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->place = *place;
	c->answer_ms = answer_ms;
	c->reply_max = reply_max;
	c->ops = ops;
	c->arg = arg;
	TAILQ_INIT(&c->asked);
	stream_init(&c->stream, NULL, NULL);
	buffer_init(&c->out, 2 * REDIS_BYTES_MAX);
	c->out.wipe = 1;
	return c;
}

void
redis_conn_start(struct redis_conn *c)
{
	if ((c->timer = evtimer_new(child.base, on_timer, c)) == NULL)
		fatal("out of memory");
	c->state = CONN_DOWN;
	open_conn(c);
}

void
redis_conn_retry(struct redis_conn *c)
{
	/* Without a timer it has not begun. */
	if (c->timer == NULL || c->state != CONN_DOWN)
		return;
	c->failures = 0;
	(void)evtimer_del(c->timer);
	open_conn(c);
}
