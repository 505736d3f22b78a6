/* SPDX-License-Identifier: ISC */

/*
 * The metrics socket: it knows GET /metrics and nothing else, and MCP knows
 * nothing of it.  Its clients are few, their requests small, and each has one
 * answer and one deadline for all of it.  The text is made from what the
 * parent hands over, and serves everybody for a second.
 *
 * It listens on loopback or on a Unix socket.  A page in a browser of this
 * machine could ask it under a name of its own (DNS rebinding): Host must be
 * a loopback address or localhost, where it came by TCP.
 */

#include <sys/socket.h>

#include <errno.h>

#include "../../common/log.h"
#include "../../common/proc.h"
#include "listener.h"
#include "metrics.h"

#define CLIENTS_MAX	8
#define HEAD_BYTES_MAX	4096	/* of a request */
#define TEXT_MAX	(8U << 20)	/* bytes: 1,024 tools, all of them in use */
#define DEADLINE_MS_	10000	/* from its connection to its end */
#define FRESH_MS	1000	/* so long a text is the answer */
#define TYPE_TEXT	"text/plain; version=0.0.4; charset=utf-8"

enum scraper_state {
	SCRAPER_FREE,
	SCRAPER_READING,
	SCRAPER_WAITING,	/* for the parent's figures */
	SCRAPER_WRITING,
	SCRAPER_LINGERING	/* answered; what it sends is dropped */
};

struct scraper {
	enum scraper_state	 state;
	int			 fd;
	struct event		*io;
	struct event		*deadline;
	struct http_request	 http;
	struct buffer		 in;
	struct buffer		 out;
	size_t			 out_at;
};

static struct scraper scrapers[CLIENTS_MAX];
static struct event *accepting;
static int local;		/* it is a Unix socket */
static struct buffer text = { .max = TEXT_MAX };
static uint64_t text_ms;	/* when it was made; 0: there is none */
static struct event *again;	/* while somebody waits: the question, anew */

static void	on_io(evutil_socket_t, short, void *);

/* ---- clients ----------------------------------------------------------- */

static void
scraper_close(struct scraper *s)
{
	event_free(s->io);
	event_free(s->deadline);
	close(s->fd);
	buffer_free(&s->in);
	buffer_free(&s->out);
	s->state = SCRAPER_FREE;
	/* There is a place again. */
	if (accepting != NULL)
		(void)event_add(accepting, NULL);
}

static void
want(struct scraper *s, short what)
{
	event_free(s->io);
	if ((s->io = event_new(child.base, s->fd, what | EV_PERSIST, on_io,
	    s)) == NULL || event_add(s->io, NULL) == -1)
		fatal("out of memory");
}

static void
answer(struct scraper *s, int status, const char *allow, struct slice body)
{
	struct reply reply = { .status = status, .close = 1, .allow = allow,
	    .type = TYPE_TEXT };

	buffer_init(&s->out, TEXT_MAX + HEAD_BYTES_MAX);
	http_reply(&s->out, &reply, &body, 1);
	s->out_at = 0;
	if (s->out.bad) {
		scraper_close(s);
		return;
	}
	s->state = SCRAPER_WRITING;
	want(s, EV_WRITE);
}

static void
refuse(struct scraper *s, int status, const char *allow, const char *why)
{
	answer(s, status, allow, slice_of(why));
}

static void
give_text(struct scraper *s)
{
	struct slice body = { (const char *)text.data, text.len };

	answer(s, 200, NULL, body);
}

static void
ask_parent(void)
{
	static const struct timeval tv = {
		FRESH_MS / 1000, FRESH_MS % 1000 * 1000
	};

	(void)channel_send(child.control, MSG_METRICS_ASK, 0, NULL, 0);
	(void)evtimer_add(again, &tv);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	size_t i;

	(void)fd;
	(void)what;
	(void)arg;
	for (i = 0; i < CLIENTS_MAX; i++)
		if (scrapers[i].state == SCRAPER_WAITING) {
			ask_parent();
			return;
		}
}

static void
ask(struct scraper *s)
{
	if (text_ms != 0 && turn_ms() - text_ms < FRESH_MS) {
		give_text(s);
		return;
	}
	s->state = SCRAPER_WAITING;
	(void)event_del(s->io);
	if (!evtimer_pending(again, NULL))
		ask_parent();
}

/* ---- requests ---------------------------------------------------------- */

/* host [":" port], as RFC 9112 3.2 has it. */
static int
is_local_host(struct slice host)
{
	static const char *const names[] = { "localhost", "127.0.0.1",
	    "[::1]" };
	size_t i, len;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		len = strlen(names[i]);
		if (host.len >= len && strncasecmp(host.ptr, names[i], len) ==
		    0 && (host.len == len || host.ptr[len] == ':'))
			return 1;
	}
	return 0;
}

static void
request(struct scraper *s)
{
	struct slice host = http_field(&s->http, &s->in, FIELD_HOST);
	struct slice target = http_span(&s->in, s->http.target), path;

	if (!local && !is_local_host(host))
		refuse(s, 421, NULL, "not a host of this port\n");
	else if (check_target(target, host, &path) == -1 ||
	    !slice_is(path, "/metrics"))
		refuse(s, 404, NULL, "only /metrics is here\n");
	else if (!slice_is(http_span(&s->in, s->http.method), "GET"))
		refuse(s, 405, "GET", "only GET\n");
	else if (http_has_body(&s->http))
		refuse(s, 413, NULL, "no body, please\n");
	else
		ask(s);
}

static void
read_request(struct scraper *s)
{
	unsigned char *to;
	ssize_t n;

	if (s->in.len == HEAD_BYTES_MAX) {
		refuse(s, 431, NULL, "too large\n");
		return;
	}
	if ((to = buffer_reserve(&s->in, HEAD_BYTES_MAX - s->in.len)) == NULL) {
		scraper_close(s);
		return;
	}
	n = recv(s->fd, to, HEAD_BYTES_MAX - s->in.len, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		scraper_close(s);
		return;
	}
	s->in.len += (size_t)n;
	switch (http_feed(&s->http, &s->in)) {
	case HTTP_MORE:
		break;
	case HTTP_BAD:
		refuse(s, s->http.status, NULL, "malformed\n");
		break;
	default:
		request(s);
		break;
	}
}

/* ---- bytes ------------------------------------------------------------- */

static void
write_answer(struct scraper *s)
{
	ssize_t n;

	while (s->out_at < s->out.len) {
		n = send(s->fd, s->out.data + s->out_at,
		    s->out.len - s->out_at, MSG_NOSIGNAL);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			scraper_close(s);
			return;
		}
		s->out_at += (size_t)n;
	}
	/* A close with unread bytes would take the answer back. */
	(void)shutdown(s->fd, SHUT_WR);
	buffer_free(&s->out);
	s->state = SCRAPER_LINGERING;
	want(s, EV_READ);
}

static void
linger(struct scraper *s)
{
	char drop[1024];
	ssize_t n = recv(s->fd, drop, sizeof(drop), 0);

	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		scraper_close(s);
}

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	struct scraper *s = arg;

	(void)fd;
	(void)what;
	switch (s->state) {
	case SCRAPER_READING:
		read_request(s);
		break;
	case SCRAPER_WRITING:
		write_answer(s);
		break;
	case SCRAPER_LINGERING:
		linger(s);
		break;
	default:
		break;
	}
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	scraper_close(arg);
}

static struct scraper *
find_place(void)
{
	size_t i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (scrapers[i].state == SCRAPER_FREE)
			return &scrapers[i];
	return NULL;
}

static void
on_acceptable(evutil_socket_t listening, short what, void *arg)
{
	static const struct timeval tv = {
		DEADLINE_MS_ / 1000, DEADLINE_MS_ % 1000 * 1000
	};
	struct scraper *s;
	int fd;

	(void)what;
	(void)arg;
	/* No place: who comes waits until one of the deadlines. */
	if ((s = find_place()) == NULL) {
		(void)event_del(accepting);
		return;
	}
	if ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK |
	    SOCK_CLOEXEC)) == -1)
		return;
	s->fd = fd;
	s->io = event_new(child.base, fd, EV_READ | EV_PERSIST, on_io, s);
	s->deadline = evtimer_new(child.base, on_deadline, s);
	if (s->io == NULL || s->deadline == NULL ||
	    event_add(s->io, NULL) == -1 ||
	    evtimer_add(s->deadline, &tv) == -1)
		fatal("out of memory");
	buffer_init(&s->in, HEAD_BYTES_MAX);
	http_begin(&s->http);
	s->state = SCRAPER_READING;
}

int
metrics_start(int fd, int is_local)
{
	if (accepting != NULL || (again = evtimer_new(child.base, on_again,
	    NULL)) == NULL || (accepting = event_new(child.base, fd,
	    EV_READ | EV_PERSIST, on_acceptable, NULL)) == NULL) {
		close(fd);
		return -1;
	}
	local = is_local;
	return event_add(accepting, NULL);
}

void
metrics_come(const void *payload, size_t len)
{
	size_t i;
	int failed;

	if (again != NULL)
		(void)evtimer_del(again);
	buffer_clear(&text);
	failed = metrics_text(&text, payload, len) == -1;
	if (failed)
		log_warn("metrics: the figures do not make a text");
	text_ms = failed ? 0 : turn_ms();
	for (i = 0; i < CLIENTS_MAX; i++) {
		if (scrapers[i].state != SCRAPER_WAITING)
			continue;
		if (failed)
			refuse(&scrapers[i], 503, NULL, "no figures\n");
		else
			give_text(&scrapers[i]);
	}
}

void
metrics_stop(void)
{
	struct event *ev = accepting;
	size_t i;

	if (ev == NULL)
		return;
	accepting = NULL;
	close(event_get_fd(ev));
	event_free(ev);
	for (i = 0; i < CLIENTS_MAX; i++)
		if (scrapers[i].state != SCRAPER_FREE)
			scraper_close(&scrapers[i]);
}
