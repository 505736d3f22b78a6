/* SPDX-License-Identifier: ISC */

/*
 * The connections of clients: accepted, read into one buffer, answered from
 * another, each within its bounds and deadlines.  One request at a time is in
 * progress on a connection; what a client sends meanwhile waits in the kernel.
 * Answers of one turn leave in one send a connection.
 *
 * Deadlines cost nothing while nothing expires: connections with the same
 * kind of deadline stand in a queue by age, and one timer watches the heads.
 */

#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>

#include "../../common/log.h"
#include "../../common/proc.h"
#include "listener.h"

static struct conn_queue all = TAILQ_HEAD_INITIALIZER(all);
static struct conn_queue dead = TAILQ_HEAD_INITIALIZER(dead);
static struct conn_queue dirty = TAILQ_HEAD_INITIALIZER(dirty);
static struct conn_queue timed[DEADLINE_MAX];
static struct event *deadline_timer;
static uint64_t deadline_armed;		/* when it fires, 0: it does not */
static size_t sockets;			/* open descriptors of clients */
static size_t memory;			/* bytes of all their buffers */
static uint64_t now_cached;		/* microseconds */

static const unsigned int periods[DEADLINE_MAX] = {
	[DEADLINE_HEAD] = HEAD_MS, [DEADLINE_BODY] = BODY_MS,
	[DEADLINE_IDLE] = IDLE_MS, [DEADLINE_LEAVE] = LEAVE_IDLE_MS,
	[DEADLINE_WRITE] = WRITE_MS,
	[DEADLINE_LINGER] = LINGER_MS, [DEADLINE_AUTHD] = AUTHD_MS,
	[DEADLINE_DECISION] = DECISION_MS, [DEADLINE_HANDLER] = HANDLER_MS,
};

static void	conn_process(struct connection *);

uint64_t
turn_us(void)
{
	if (now_cached == 0)
		now_cached = now_us();
	return now_cached;
}

uint64_t
turn_ms(void)
{
	return turn_us() / 1000;
}

size_t
http_connections(void)
{
	return sockets;
}

/* ---- deadlines --------------------------------------------------------- */

static void
arm_timer(uint64_t at)
{
	uint64_t now = turn_ms(), wait = at > now ? at - now : 0;
	struct timeval tv;

	tv.tv_sec = (time_t)(wait / 1000);
	tv.tv_usec = (suseconds_t)(wait % 1000 * 1000);
	if (evtimer_add(deadline_timer, &tv) == -1)
		fatal("cannot set a timer");
	deadline_armed = at;
}

void
conn_deadline(struct connection *c, enum deadline kind)
{
	if (c->deadline != DEADLINE_NONE)
		TAILQ_REMOVE(&timed[c->deadline], c, timed_entry);
	c->deadline = kind;
	if (kind == DEADLINE_NONE)
		return;
	c->deadline_ms = turn_ms() + periods[kind];
	TAILQ_INSERT_TAIL(&timed[kind], c, timed_entry);
	if (deadline_armed == 0 || c->deadline_ms < deadline_armed)
		arm_timer(c->deadline_ms);
}

static void
expire(struct connection *c)
{
	switch (c->deadline) {
	case DEADLINE_HEAD:
		/* Nobody asked anything: nothing to answer. */
		if (c->in.len == 0) {
			conn_close(c);
			break;
		}
		/* FALLTHROUGH */
	case DEADLINE_BODY:
		route_refuse(c, 408, REASON_SLOW,
		    "The request did not arrive in time.", 1);
		break;
	case DEADLINE_AUTHD:
	case DEADLINE_DECISION:
	case DEADLINE_HANDLER:
		question_late(c);
		break;
	default:
		conn_close(c);
		break;
	}
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c;
	uint64_t next = 0, now = turn_ms();
	size_t i;

	(void)fd;
	(void)what;
	(void)arg;
	deadline_armed = 0;
	for (i = DEADLINE_NONE + 1; i < DEADLINE_MAX; i++)
		while ((c = TAILQ_FIRST(&timed[i])) != NULL &&
		    c->deadline_ms <= now)
			expire(c);
	for (i = DEADLINE_NONE + 1; i < DEADLINE_MAX; i++)
		if ((c = TAILQ_FIRST(&timed[i])) != NULL &&
		    (next == 0 || c->deadline_ms < next))
			next = c->deadline_ms;
	if (next != 0)
		arm_timer(next);
}

/* ---- the end of a connection ------------------------------------------- */

static void
account(struct connection *c)
{
	size_t bytes = c->in.cap + c->out.cap;

	memory = memory - c->accounted + bytes;
	room_account(c, c->accounted, bytes);
	c->accounted = bytes;
}

void
conn_forget_input(struct connection *c)
{
	buffer_freezero(&c->in);
	c->credential.len = 0;
	c->mcp.id.len = 0;
	account(c);
}

static void
bury(struct connection *c)
{
	conn_deadline(c, DEADLINE_NONE);
	if (c->dirty) {
		TAILQ_REMOVE(&dirty, c, dirty_entry);
		c->dirty = 0;
	}
	c->state = CONN_DEAD;
	TAILQ_REMOVE(&all, c, all_entry);
	TAILQ_INSERT_TAIL(&dead, c, all_entry);
}

static void
free_dead(void)
{
	struct connection *c;

	while ((c = TAILQ_FIRST(&dead)) != NULL) {
		TAILQ_REMOVE(&dead, c, all_entry);
		buffer_freezero(&c->in);
		buffer_freezero(&c->out);
		account(c);
		free(c);
	}
}

void
conn_close(struct connection *c)
{
	if (c->fd != -1) {
		(void)event_del(&c->reading);
		(void)event_del(&c->writing);
		room_leave(c);
		close(c->fd);
		c->fd = -1;
		sockets--;
		accept_resume();
	}
	if (c->question == QUESTION_NONE) {
		if (c->state != CONN_DEAD)
			bury(c);
		return;
	}
	/* What it waits for has its own deadline; an answered one has none. */
	if (c->answered)
		conn_deadline(c, DEADLINE_NONE);
	question_cancel(c);
}

void
conn_release(struct connection *c)
{
	if (c->fd == -1 && c->state != CONN_DEAD)
		bury(c);
}

/* ---- writing ----------------------------------------------------------- */

static void
mark_dirty(struct connection *c)
{
	if (!c->dirty) {
		c->dirty = 1;
		TAILQ_INSERT_TAIL(&dirty, c, dirty_entry);
	}
}

void
http_flush_soon(struct connection *c)
{
	mark_dirty(c);
}

/* Whether something of the client's may still be on its way to us. */
static int
input_is_left(const struct connection *c)
{
	const struct http_request *r = &c->http;

	if (c->eof)
		return 0;
	if (c->in.len > r->at)
		return 1;
	return r->phase != PHASE_DONE &&
	    !(r->phase == PHASE_HEAD_DONE && !http_has_body(r));
}

static void
set_reading(struct connection *c, int on)
{
	if (on != c->paused || c->fd == -1)
		return;
	c->paused = !on;
	if (on ? event_add(&c->reading, NULL) == -1 :
	    event_del(&c->reading) == -1)
		conn_close(c);
}

/*
 * All is answered.  Closing at once while input is left would make the
 * kernel reset the connection and the client lose the answer.
 */
static void
finish_closing(struct connection *c)
{
	if (!input_is_left(c) || shutdown(c->fd, SHUT_WR) == -1) {
		conn_close(c);
		return;
	}
	c->state = CONN_LINGERING;
	c->dropped = 0;
	conn_deadline(c, DEADLINE_LINGER);
	set_reading(c, 1);
}

static void
flush(struct connection *c)
{
	ssize_t n;

	while (c->out_at < c->out.len) {
		n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at,
		    MSG_NOSIGNAL);
		if (n > 0) {
			c->out_at += (size_t)n;
			continue;
		}
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (event_add(&c->writing, NULL) == -1)
				conn_close(c);
			return;
		}
		conn_close(c);
		return;
	}
	c->out_at = 0;
	buffer_clear(&c->out);
	if (c->out.cap > KEEP_SIZE)
		buffer_free(&c->out);
	account(c);
	if (c->state == CONN_CLOSING)
		finish_closing(c);
	else if (c->state == CONN_READING && c->in.len > 0)
		conn_process(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	mark_dirty(arg);
}

void
conn_forget_credential(struct connection *c)
{
	if (c->credential.len == 0)
		return;
	explicit_bzero(c->in.data + (c->credential.ptr -
	    (const char *)c->in.data), c->credential.len);
	c->credential.len = 0;
}

void
conn_answered(struct connection *c, int closing)
{
	conn_deadline(c, DEADLINE_NONE);
	conn_forget_credential(c);
	if (c->fd == -1) {
		if (c->question == QUESTION_NONE)
			conn_release(c);
		return;
	}
	mark_dirty(c);
	if (closing) {
		c->state = CONN_CLOSING;
		conn_deadline(c, DEADLINE_WRITE);
		account(c);
		return;
	}
	buffer_drain(&c->in, c->http.at);
	if (c->in.len == 0 && c->in.cap > KEEP_SIZE)
		buffer_free(&c->in);
	account(c);
	http_begin(&c->http);
	c->caller = c->peer;
	c->state = CONN_READING;
	conn_deadline(c, DEADLINE_IDLE);
	set_reading(c, !c->eof);
	if (c->in.len > 0)
		conn_process(c);
}

void
http_turn(void)
{
	struct connection *c;

	while ((c = TAILQ_FIRST(&dirty)) != NULL) {
		TAILQ_REMOVE(&dirty, c, dirty_entry);
		c->dirty = 0;
		if (c->fd != -1)
			flush(c);
	}
	free_dead();
	now_cached = 0;
}

/* ---- reading ----------------------------------------------------------- */

static enum reason
bad_reason(int status)
{
	return status == 413 || status == 414 || status == 431 ?
	    REASON_TOO_LARGE : REASON_BAD_FRAMING;
}

static void
wait_for_more(struct connection *c)
{
	enum deadline kind = c->http.phase < PHASE_HEAD_DONE ? DEADLINE_HEAD :
	    DEADLINE_BODY;

	/* The clock of a part starts once: trickling does not wind it up. */
	if (c->eof)
		conn_close(c);
	else if (c->deadline != kind && !listener.shutting_down)
		conn_deadline(c, kind);
}

static void
process_once(struct connection *c)
{
	if (c->in.len == 0)
		return;
	/* Who does not read its answers gets no more of them. */
	if (c->out.len - c->out_at > OUT_HIGH) {
		set_reading(c, 0);
		conn_deadline(c, DEADLINE_WRITE);
		return;
	}
	set_reading(c, !c->eof);
	if (c->fd == -1)
		return;
	switch (http_feed(&c->http, &c->in)) {
	case HTTP_MORE:
		wait_for_more(c);
		break;
	case HTTP_HEAD:
		if (route_head(c) == 0)
			c->again = 1;
		break;
	case HTTP_COMPLETE:
		route_request(c);
		break;
	case HTTP_BAD:
		route_refuse(c, c->http.status, bad_reason(c->http.status),
		    c->http.error, 1);
		break;
	}
}

/* Requests that came together are answered in a loop, not by recursion. */
static void
conn_process(struct connection *c)
{
	if (c->processing) {
		c->again = 1;
		return;
	}
	c->processing = 1;
	do {
		c->again = 0;
		process_once(c);
	} while (c->again && c->state == CONN_READING && c->fd != -1);
	c->processing = 0;
}

static void
read_request(struct connection *c)
{
	/* Whoever has shown no credential gets no more than he fills. */
	size_t want = c->http.phase > PHASE_HEAD_DONE && !c->stranger ?
	    READ_SIZE_BODY : READ_SIZE;
	unsigned char *to;
	ssize_t n;

	if (memory > MEMORY_MAX || room_make_memory(c) == -1) {
		route_overloaded(c);
		return;
	}
	if ((to = buffer_reserve(&c->in, want)) == NULL) {
		conn_close(c);
		return;
	}
	account(c);
	n = recv(c->fd, to, want, 0);
	if (n > 0) {
		c->in.len += (size_t)n;
		conn_process(c);
	} else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK &&
	    errno != EINTR)) {
		conn_close(c);
	}
}

/*
 * A request is in progress.  The end of the client's input means that it
 * went away, or that it will send no more and still waits, which nobody can
 * tell apart: the call is given up, and what comes of it is sent to whoever
 * is there.
 */
static void
watch_client(struct connection *c)
{
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK);

	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK ||
	    errno == EINTR))
		return;
	if (n == -1) {
		conn_close(c);
		return;
	}
	set_reading(c, 0);
	if (n == 0) {
		c->eof = 1;
		if (c->question != QUESTION_NONE)
			question_cancel(c);
	}
}

static void
drop_input(struct connection *c)
{
	char rest[READ_SIZE];
	ssize_t n = recv(c->fd, rest, sizeof(rest), 0);

	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK ||
	    errno == EINTR))
		return;
	if (n <= 0 || (c->dropped += (size_t)n) > LINGER_BYTES)
		conn_close(c);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	(void)fd;
	(void)what;
	switch (c->state) {
	case CONN_READING:
		read_request(c);
		break;
	case CONN_ASKING:
		watch_client(c);
		break;
	case CONN_LINGERING:
		drop_input(c);
		break;
	default:
		set_reading(c, 0);
		break;
	}
}

/* ---- the beginning of a connection -------------------------------------- */

static void
print_peer(char *out, size_t size, const struct sockaddr_storage *ss)
{
	const struct sockaddr_in6 *in6;
	const struct sockaddr_in *in;

	out[0] = '\0';
	if (ss->ss_family == AF_INET) {
		in = (const struct sockaddr_in *)ss;
		(void)inet_ntop(AF_INET, &in->sin_addr, out, (socklen_t)size);
	} else if (ss->ss_family == AF_INET6) {
		in6 = (const struct sockaddr_in6 *)ss;
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			(void)inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12],
			    out, (socklen_t)size);
		else
			(void)inet_ntop(AF_INET6, &in6->sin6_addr, out,
			    (socklen_t)size);
	}
}

void
conn_new(int fd, const struct sockaddr_storage *ss)
{
	struct connection *c;

	if ((c = calloc(1, sizeof(*c))) == NULL) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->state = CONN_READING;
	buffer_init(&c->in, HTTP_HEAD_MAX + BODY_MAX + 2 * READ_SIZE_BODY);
	/* A credential is in it. */
	c->in.wipe = 1;
	buffer_init(&c->out, OUT_HIGH + FRAME_PAYLOAD_MAX + (64 << 10));
	http_begin(&c->http);
	print_peer(c->peer, sizeof(c->peer), ss);
	c->caller = c->peer;
	TAILQ_INSERT_TAIL(&all, c, all_entry);
	sockets++;
	if (room_enter(c, ss) == -1 || event_assign(&c->reading, child.base, fd, EV_READ | EV_PERSIST,
	    on_readable, c) == -1 || event_assign(&c->writing, child.base, fd,
	    EV_WRITE, on_writable, c) == -1 ||
	    event_add(&c->reading, NULL) == -1) {
		conn_close(c);
		return;
	}
	conn_deadline(c, DEADLINE_HEAD);
}

struct connection *
http_longest_idle(void)
{
	return TAILQ_FIRST(&timed[DEADLINE_IDLE]);
}

int
http_init(void)
{
	size_t i;

	for (i = 0; i < DEADLINE_MAX; i++)
		TAILQ_INIT(&timed[i]);
	deadline_timer = evtimer_new(child.base, on_deadline, NULL);
	return deadline_timer == NULL ? -1 : 0;
}

/*
 * To close a connection in the instant in which its client asks would lose
 * the call: each may ask once more, and is closed with the answer to that.
 */
void
http_leave(void)
{
	struct connection *c, *next;

	TAILQ_FOREACH_SAFE(c, &all, all_entry, next)
		if (c->state == CONN_READING && c->in.len == 0)
			conn_deadline(c, DEADLINE_LEAVE);
}

void
http_drain(void)
{
	struct connection *c, *next;

	TAILQ_FOREACH_SAFE(c, &all, all_entry, next) {
		if (c->state != CONN_READING)
			continue;
		/* A request that has begun may still arrive, but soon. */
		if (c->in.len > 0 || c->out.len > c->out_at)
			conn_deadline(c, DEADLINE_LINGER);
		else
			conn_close(c);
	}
}
