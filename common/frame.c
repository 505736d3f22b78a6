/* SPDX-License-Identifier: ISC */

/*
 * Framing and channels: see frame.h.  What a peer sends is hostile: a length
 * is compared with its bound before a byte is kept, a type must be known, a
 * flagged frame is taken only where descriptors may arrive.
 */

#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include <event2/event.h>

#include "compat.h"
#include "frame.h"
#include "log.h"
#include "message.h"
#include "proc.h"

#define HEADER_LEN	(sizeof(struct frame_header))
#define READ_CHUNK	(64U << 10)	/* bytes asked for at once */
#define KEEP_MAX	(1U << 20)	/* an idle buffer over this is freed */
#define FDS_MAX		8		/* descriptors that wait for their frame */
#define SEND_FD_MS	5000		/* for a descriptor to leave */
#define NAME_MAX_	48

struct channel {
	TAILQ_ENTRY(channel)	 dirty_entry;
	TAILQ_ENTRY(channel)	 dead_entry;
	struct event_base	*base;
	struct event		*reading;
	struct event		*writing;
	const struct channel_ops *ops;
	void			*arg;
	int			 fd;
	char			 name[NAME_MAX_];
	int			 accept_fds;
	size_t			 max;		/* bytes of payload it takes */
	size_t			 water;		/* bytes queued: it is full */
	int			 fds[FDS_MAX];
	size_t			 nfds;
	struct buffer		 in;
	size_t			 in_at;		/* bytes of in already handled */
	struct buffer		 out;
	size_t			 out_at;	/* bytes of out already sent */
	size_t			 begun;		/* where the open frame starts */
	int			 dirty;
	int			 paused;
	int			 was_full;
	int			 busy;		/* inside a callback */
	int			 dead;
	int			 cut;		/* closed is owed */
};

TAILQ_HEAD(channel_list, channel);
static struct channel_list dirty = TAILQ_HEAD_INITIALIZER(dirty);
static struct channel_list dead = TAILQ_HEAD_INITIALIZER(dead);

static void	on_readable(evutil_socket_t, short, void *);
static void	on_writable(evutil_socket_t, short, void *);

static size_t
queued(const struct channel *ch)
{
	return ch->out.len - ch->out_at;
}

static void
mark_dirty(struct channel *ch)
{
	if (!ch->dirty) {
		ch->dirty = 1;
		TAILQ_INSERT_TAIL(&dirty, ch, dirty_entry);
	}
}

struct channel *
channel_new(struct event_base *base, int fd, const char *name, int accept_fds,
    const struct channel_ops *ops, void *arg)
{
	struct channel *ch;
	int save;

	if ((ch = calloc(1, sizeof(*ch))) == NULL)
		return NULL;
	ch->base = base;
	ch->fd = fd;
	ch->ops = ops;
	ch->arg = arg;
	ch->accept_fds = accept_fds;
	strlcpy(ch->name, name, sizeof(ch->name));
	ch->max = FRAME_PAYLOAD_MAX;
	ch->water = CHANNEL_HIGH_WATER;
	buffer_init(&ch->in, HEADER_LEN + FRAME_PAYLOAD_MAX + READ_CHUNK);
	buffer_init(&ch->out, CHANNEL_QUEUE_MAX + HEADER_LEN +
	    FRAME_PAYLOAD_MAX);
	if (evutil_make_socket_nonblocking(fd) == -1 ||
	    (ch->reading = event_new(base, fd, EV_READ | EV_PERSIST,
	    on_readable, ch)) == NULL ||
	    (ch->writing = event_new(base, fd, EV_WRITE, on_writable,
	    ch)) == NULL || event_add(ch->reading, NULL) == -1) {
		save = errno;
		if (ch->reading != NULL)
			event_free(ch->reading);
		if (ch->writing != NULL)
			event_free(ch->writing);
		free(ch);
		errno = save;
		return NULL;
	}
	return ch;
}

static void
channel_release(struct channel *ch)
{
	size_t i;

	event_free(ch->reading);
	event_free(ch->writing);
	if (ch->dirty)
		TAILQ_REMOVE(&dirty, ch, dirty_entry);
	close(ch->fd);
	for (i = 0; i < ch->nfds; i++)
		close(ch->fds[i]);
	buffer_freezero(&ch->in);
	buffer_freezero(&ch->out);
	free(ch);
}

/* Frees now, or after the callback that is running has returned. */
static void
channel_end(struct channel *ch)
{
	if (!ch->dead) {
		ch->dead = 1;
		(void)event_del(ch->reading);
		(void)event_del(ch->writing);
		TAILQ_INSERT_TAIL(&dead, ch, dead_entry);
	}
}

static void
bury(void)
{
	struct channel *ch, *next;

	TAILQ_FOREACH_SAFE(ch, &dead, dead_entry, next) {
		if (ch->busy)
			continue;
		TAILQ_REMOVE(&dead, ch, dead_entry);
		channel_release(ch);
	}
}

int
channel_was_cut(const struct channel *ch)
{
	return ch->cut;
}

/* The peer is gone or does not keep the rules: tell the owner, once. */
static void
cut_off(struct channel *ch)
{
	if (ch->dead)
		return;
	channel_end(ch);
	if (ch->ops->closed != NULL) {
		ch->busy++;
		ch->ops->closed(ch, ch->arg);
		ch->busy--;
	}
}

void
channel_close(struct channel *ch)
{
	if (ch == NULL || ch->dead)
		return;
	if (queued(ch) > 0)
		(void)send(ch->fd, ch->out.data + ch->out_at, queued(ch),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	channel_end(ch);
}

size_t
channel_queued(const struct channel *ch)
{
	return queued(ch);
}

const char *
channel_name(const struct channel *ch)
{
	return ch->name;
}

int
channel_full(const struct channel *ch)
{
	return ch->dead || queued(ch) > ch->water;
}

void
channel_water(struct channel *ch, size_t bytes)
{
	ch->water = bytes;
}

void
channel_bound(struct channel *ch, size_t max)
{
	ch->max = max < FRAME_PAYLOAD_MAX ? max : FRAME_PAYLOAD_MAX;
}

void
channel_pause(struct channel *ch)
{
	if (!ch->paused && !ch->dead) {
		ch->paused = 1;
		(void)event_del(ch->reading);
	}
}

void
channel_resume(struct channel *ch)
{
	if (!ch->paused || ch->dead)
		return;
	ch->paused = 0;
	(void)event_add(ch->reading, NULL);
	/* What arrived before the pause makes no new readiness. */
	if (ch->in.len > ch->in_at)
		event_active(ch->reading, EV_READ, 0);
}

void
channel_urgent(struct channel *ch)
{
	(void)event_priority_set(ch->reading, 0);
}

void
channel_secret(struct channel *ch)
{
	ch->in.wipe = ch->out.wipe = 1;
}

/* ---- sending ----------------------------------------------------------- */

struct buffer *
channel_begin(struct channel *ch, uint16_t type, uint64_t id)
{
	struct frame_header h = { 0, type, 0, id };

	if (ch->dead || ch->cut)
		return NULL;
	if (queued(ch) > CHANNEL_QUEUE_MAX) {
		log_warn("peer does not read, cutting it off: %s", ch->name);
		/* Not from here: the caller may be inside its own tables. */
		ch->cut = 1;
		mark_dirty(ch);
		return NULL;
	}
	if (ch->out_at > 0 && (ch->out_at == ch->out.len ||
	    ch->out_at > ch->out.len / 2)) {
		buffer_drain(&ch->out, ch->out_at);
		ch->out_at = 0;
	}
	ch->begun = ch->out.len;
	put_fixed(&ch->out, &h, sizeof(h));
	return &ch->out;
}

int
channel_commit(struct channel *ch)
{
	size_t length;
	uint32_t field;

	if (ch->out.bad || ch->out.len - ch->begun - HEADER_LEN >
	    FRAME_PAYLOAD_MAX) {
		ch->out.bad = 0;
		ch->out.len = ch->begun;
		log_warn("frame too large, not sent: to %s", ch->name);
		return -1;
	}
	length = ch->out.len - ch->begun - HEADER_LEN;
	field = (uint32_t)length;
	memcpy(ch->out.data + ch->begun +
	    offsetof(struct frame_header, length), &field, sizeof(field));
	if (queued(ch) > ch->water)
		ch->was_full = 1;
	mark_dirty(ch);
	return 0;
}

int
channel_send(struct channel *ch, uint16_t type, uint64_t id,
    const void *payload, size_t length)
{
	struct buffer *b;

	if ((b = channel_begin(ch, type, id)) == NULL)
		return -1;
	put_fixed(b, payload, length);
	return channel_commit(ch);
}

/* Returns 0 where all or a part left or must wait, -1 where the peer is gone. */
static int
flush(struct channel *ch)
{
	ssize_t n;

	while (queued(ch) > 0) {
		n = send(ch->fd, ch->out.data + ch->out_at, queued(ch),
		    MSG_NOSIGNAL);
		if (n > 0) {
			ch->out_at += (size_t)n;
			continue;
		}
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			(void)event_add(ch->writing, NULL);
			break;
		}
		return -1;
	}
	if (queued(ch) == 0) {
		ch->out_at = 0;
		buffer_clear(&ch->out);
		if (ch->out.cap > KEEP_MAX)
			buffer_free(&ch->out);
	}
	return 0;
}

static void
after_flush(struct channel *ch)
{
	if (ch->was_full && queued(ch) < ch->water / 2) {
		ch->was_full = 0;
		if (ch->ops->drained != NULL) {
			ch->busy++;
			ch->ops->drained(ch, ch->arg);
			ch->busy--;
		}
	}
}

static void
flush_or_cut(struct channel *ch)
{
	if (ch->dead)
		return;
	if (ch->cut || flush(ch) == -1)
		cut_off(ch);
	else
		after_flush(ch);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush_or_cut(arg);
	bury();
}

void
channels_flush(void)
{
	struct channel *ch;

	while ((ch = TAILQ_FIRST(&dirty)) != NULL) {
		TAILQ_REMOVE(&dirty, ch, dirty_entry);
		ch->dirty = 0;
		flush_or_cut(ch);
	}
	bury();
}

static int
wait_writable(int sock, uint64_t until)
{
	struct pollfd p = { .fd = sock, .events = POLLOUT };
	uint64_t now;
	int rc = -1;

	/* A signal is no reason to cut anybody off. */
	while (rc == -1 && (now = now_ms()) < until)
		if ((rc = poll(&p, 1, (int)(until - now))) == -1 &&
		    errno != EINTR)
			return 0;
	return rc > 0;
}

/* The frame is short: the socket takes it whole, or not at all. */
static int
flush_with_fd(struct channel *ch, uint16_t type, uint64_t id,
    const void *payload, size_t length, int fd)
{
	uint64_t until = now_ms() + SEND_FD_MS;

	do {
		if (flush(ch) == -1)
			return -1;
		if (queued(ch) > 0)
			continue;
		if (frame_transmit(ch->fd, type, id, payload, length, fd) == 0)
			return 0;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return -1;
	} while (wait_writable(ch->fd, until));
	return -1;
}

int
channel_send_fd(struct channel *ch, uint16_t type, uint64_t id,
    const void *payload, size_t length, int fd)
{
	if (ch->dead || ch->cut)
		return -1;
	/*
	 * Everything queued leaves first, so that the descriptor rides on its
	 * own frame.  Only the parent does this; a child that does not read
	 * its orders, or reads them slowly, costs it SEND_FD_MS, once, and is
	 * cut off.
	 */
	if (flush_with_fd(ch, type, id, payload, length, fd) == -1) {
		ch->cut = 1;
		mark_dirty(ch);
		return -1;
	}
	close(fd);
	return 0;
}

/* ---- receiving --------------------------------------------------------- */

/* Keeps the descriptors of one message, closes what is too many. */
static void
collect_fds(struct channel *ch, struct msghdr *msg)
{
	struct cmsghdr *c;
	size_t i, n;
	int fd;

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int),
			    sizeof(fd));
			if (ch->nfds < FDS_MAX)
				ch->fds[ch->nfds++] = fd;
			else
				close(fd);
		}
	}
}

static ssize_t
receive_some(struct channel *ch, void *to, size_t size)
{
	union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { to, size };
	struct msghdr msg = { 0 };
	ssize_t n;

	/* Without room for control data the kernel closes what was attached. */
	if (!ch->accept_fds)
		return recv(ch->fd, to, size, 0);
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = control.space;
	msg.msg_controllen = sizeof(control.space);
	n = recvmsg(ch->fd, &msg, MSG_CMSG_CLOEXEC);
	if (n > 0)
		collect_fds(ch, &msg);
	return n;
}

static int
header_ok(const struct frame_header *h, int accept_fds, size_t max)
{
	return h->length <= max && h->type > MSG_NONE &&
	    h->type < MSG_MAX && (h->flags & ~FRAME_FLAG_FD) == 0 &&
	    (h->flags == 0 || accept_fds);
}

/* Returns 1 after one frame, 0 where more bytes are needed, -1: malformed. */
static int
handle_one(struct channel *ch)
{
	struct frame_header h;
	struct frame f;
	size_t have = ch->in.len - ch->in_at;
	int rc;

	if (have < HEADER_LEN)
		return 0;
	memcpy(&h, ch->in.data + ch->in_at, sizeof(h));
	if (!header_ok(&h, ch->accept_fds, ch->max))
		return -1;
	if (have < HEADER_LEN + h.length)
		return 0;
	f.type = h.type;
	f.id = h.id;
	f.payload = ch->in.data + ch->in_at + HEADER_LEN;
	f.length = h.length;
	f.fd = -1;
	if (h.flags & FRAME_FLAG_FD) {
		if (ch->nfds == 0)
			return -1;
		f.fd = ch->fds[0];
		ch->nfds--;
		memmove(ch->fds, ch->fds + 1, ch->nfds * sizeof(ch->fds[0]));
	}
	ch->in_at += HEADER_LEN + h.length;
	ch->busy++;
	rc = ch->ops->frame(ch, &f, ch->arg);
	ch->busy--;
	return rc == -1 ? -1 : 1;
}

/* Copies what stands at an offset of what is kept and, behind it, peeked. */
static void
look_at(const struct channel *ch, size_t kept, const unsigned char *peeked,
    size_t at, unsigned char *to, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++, at++)
		to[i] = at < kept ? ch->in.data[ch->in_at + at] :
		    peeked[at - kept];
}

int
channel_has(struct channel *ch, uint16_t type, uint64_t id)
{
	static unsigned char peeked[READ_CHUNK];
	unsigned char raw[HEADER_LEN];
	struct frame_header h;
	size_t kept = ch->in.len - ch->in_at, at = 0, have;
	int found = 0;
	ssize_t n;

	if (ch->dead || ch->accept_fds)
		return 0;
	n = recv(ch->fd, peeked, sizeof(peeked), MSG_PEEK);
	have = kept + (n > 0 ? (size_t)n : 0);
	while (at < have && have - at >= HEADER_LEN) {
		look_at(ch, kept, peeked, at, raw, sizeof(raw));
		memcpy(&h, raw, sizeof(h));
		if (!header_ok(&h, 0, ch->max))
			break;
		if (h.type == type && h.id == id) {
			found = 1;
			break;
		}
		at += HEADER_LEN + h.length;
	}
	/* A body may be in it; it is read again when its turn comes. */
	if (n > 0)
		explicit_bzero(peeked, (size_t)n);
	return found;
}

static void
handle_all(struct channel *ch)
{
	int rc = 0;

	while (!ch->dead && !ch->paused && (rc = handle_one(ch)) == 1)
		;
	if (rc == -1 && !ch->dead) {
		log_warn("malformed frame, cutting the peer off: %s", ch->name);
		ch->cut = 1;
		cut_off(ch);
		return;
	}
	if (ch->dead)
		return;
	if (ch->in_at > 0) {
		buffer_drain(&ch->in, ch->in_at);
		ch->in_at = 0;
	}
	if (ch->in.len == 0 && ch->in.cap > KEEP_MAX)
		buffer_free(&ch->in);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct channel *ch = arg;
	unsigned char *to;
	ssize_t n;

	(void)fd;
	(void)what;
	if (ch->dead)
		return;
	if ((to = buffer_reserve(&ch->in, READ_CHUNK)) == NULL) {
		/* Full of frames that wait for channel_resume(). */
		ch->in.bad = 0;
		handle_all(ch);
		bury();
		return;
	}
	n = receive_some(ch, to, READ_CHUNK);
	if (n > 0) {
		ch->in.len += (size_t)n;
		handle_all(ch);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR &&
	    errno != EWOULDBLOCK)) {
		cut_off(ch);
	} else if (ch->in.len > 0) {
		handle_all(ch);
	}
	bury();
}

void
channel_drain(struct channel *ch)
{
	unsigned char *to;
	ssize_t n;

	while (!ch->dead && (to = buffer_reserve(&ch->in, READ_CHUNK)) !=
	    NULL && (n = receive_some(ch, to, READ_CHUNK)) > 0) {
		ch->in.len += (size_t)n;
		handle_all(ch);
	}
}

void
loop_run(struct event_base *base, volatile int *stop, void (*turn)(void *),
    void *arg)
{
	channels_flush();
	while (!*stop) {
		if (event_base_loop(base, EVLOOP_ONCE) == -1)
			fatal_errno("event loop");
		if (turn != NULL)
			turn(arg);
		channels_flush();
	}
}

/* ---- without a loop ---------------------------------------------------- */

/* Waits for at most what a healthy sibling needs; -1 with errno. */
static int
read_all(int sock, void *to, size_t len, int *fd)
{
	union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(sizeof(int))];
	} control;
	struct cmsghdr *c;
	struct iovec iov;
	struct msghdr msg;
	size_t got = 0;
	ssize_t n;

	while (got < len) {
		memset(&msg, 0, sizeof(msg));
		iov.iov_base = (unsigned char *)to + got;
		iov.iov_len = len - got;
		msg.msg_iov = &iov;
		msg.msg_iovlen = 1;
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = got == 0 ? 0 : EPROTO;
			return n == 0 && got == 0 ? 0 : -1;
		}
		c = CMSG_FIRSTHDR(&msg);
		if (c != NULL && c->cmsg_level == SOL_SOCKET &&
		    c->cmsg_type == SCM_RIGHTS &&
		    c->cmsg_len == CMSG_LEN(sizeof(int))) {
			if (*fd != -1)
				close(*fd);
			memcpy(fd, CMSG_DATA(c), sizeof(*fd));
		}
		got += (size_t)n;
	}
	return 1;
}

int
frame_receive(int sock, struct frame *f, struct buffer *buf)
{
	struct frame_header h;
	int fd = -1, rc;

	f->fd = -1;
	if ((rc = read_all(sock, &h, sizeof(h), &fd)) <= 0)
		goto fail;
	if (!header_ok(&h, 1, FRAME_PAYLOAD_MAX)) {
		errno = EPROTO;
		rc = -1;
		goto fail;
	}
	buffer_clear(buf);
	if (buffer_reserve(buf, h.length) == NULL && h.length > 0) {
		errno = ENOMEM;
		rc = -1;
		goto fail;
	}
	if (h.length > 0 &&
	    (rc = read_all(sock, buf->data, h.length, &fd)) <= 0) {
		if (rc == 0)
			errno = EPROTO;
		rc = -1;
		goto fail;
	}
	buf->len = h.length;
	if (!(h.flags & FRAME_FLAG_FD) != (fd == -1)) {
		errno = EPROTO;
		rc = -1;
		goto fail;
	}
	f->type = h.type;
	f->id = h.id;
	f->payload = buf->data;
	f->length = buf->len;
	f->fd = fd;
	return 1;
fail:
	if (fd != -1)
		close(fd);
	return rc;
}

int
frame_transmit(int sock, uint16_t type, uint64_t id, const void *payload,
    size_t length, int fd)
{
	struct frame_header h = { (uint32_t)length, type,
	    fd == -1 ? 0 : FRAME_FLAG_FD, id };
	union {
		struct cmsghdr	align;
		char		space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov[2];
	struct msghdr msg = { 0 };
	size_t left = sizeof(h) + length;
	struct cmsghdr *c;
	ssize_t n;

	if (length > FRAME_PAYLOAD_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	iov[0].iov_base = &h;
	iov[0].iov_len = sizeof(h);
	iov[1].iov_base = (void *)(uintptr_t)payload;
	iov[1].iov_len = length;
	msg.msg_iov = iov;
	msg.msg_iovlen = 2;
	if (fd != -1) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	while (left > 0) {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		left -= (size_t)n;
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
		while (msg.msg_iovlen > 0 && (size_t)n >= msg.msg_iov->iov_len) {
			n -= (ssize_t)msg.msg_iov->iov_len;
			msg.msg_iov++;
			msg.msg_iovlen--;
		}
		if (msg.msg_iovlen > 0) {
			msg.msg_iov->iov_base =
			    (unsigned char *)msg.msg_iov->iov_base + n;
			msg.msg_iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

int
channel_pair(int sv[2])
{
	static const int size = 512 << 10;	/* bytes; the kernel may cap it */
	int i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    sv) == -1)
		return -1;
	for (i = 0; i < 2; i++) {
		(void)setsockopt(sv[i], SOL_SOCKET, SO_SNDBUF, &size,
		    sizeof(size));
		(void)setsockopt(sv[i], SOL_SOCKET, SO_RCVBUF, &size,
		    sizeof(size));
	}
	return 0;
}
