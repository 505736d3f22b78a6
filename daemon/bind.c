/* SPDX-License-Identifier: ISC */

/*
 * The listening sockets, as doors: one for each listen line.  The parent
 * binds them and keeps them open, so that a listener's death refuses no
 * connection: the kernel keeps them queued until its successor accepts.
 * Where the kernel spreads connections among sockets of one port (Linux),
 * each listener has one of its own.
 *
 * A reload keeps a door whose line is still there, with all its sockets: a
 * socket that was closed would take with it what is queued on it.  For the
 * same reason what is bound beside the sockets of a door that is in force does
 * not listen before its crew is.  Where there are fewer listeners than before,
 * some accept from more than one.
 */

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

#define BACKLOG	1024	/* connections; the kernel may cap it */

struct door {
	TAILQ_ENTRY(door)	 entry;
	char			*address;	/* as the line has it */
	uint16_t		 port;
	int			 socket[LISTENERS_MAX];
	uint32_t		 sockets;
	uint32_t		 in_force;	/* of them; more: for the crew that rises */
};

static TAILQ_HEAD(, door) doors = TAILQ_HEAD_INITIALIZER(doors);

static int
bind_only(const char *what, const char *address, uint16_t number, int shared)
{
	static const int on = 1;
	struct addrinfo hints = { 0 }, *res = NULL;
	char port[8];
	int fd = -1, rc;

	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
	hints.ai_socktype = SOCK_STREAM;
	(void)snprintf(port, sizeof(port), "%u", (unsigned int)number);
	if ((rc = getaddrinfo(address, port, &hints, &res)) != 0) {
		log_warn("%s on %s port %s: %s", what, address, port,
		    gai_strerror(rc));
		return -1;
	}
	fd = socket(res->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd == -1)
		goto fail;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1)
		goto fail;
	if (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on,
	    sizeof(on)) == -1)
		goto fail;
	if (res->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
		    sizeof(on));
	if (bind(fd, res->ai_addr, res->ai_addrlen) == -1)
		goto fail;
	freeaddrinfo(res);
	return fd;
fail:
	log_errno("%s on %s port %s", what, address, port);
	if (fd != -1)
		close(fd);
	freeaddrinfo(res);
	return -1;
}

int
bind_tcp(const char *what, const char *address, uint16_t number, int shared)
{
	int fd = bind_only(what, address, number, shared);

	if (fd != -1 && listen(fd, BACKLOG) == -1) {
		log_errno("%s on %s port %u", what, address,
		    (unsigned int)number);
		close(fd);
		return -1;
	}
	return fd;
}

static int
bind_one(const struct listen_conf *l, int shared)
{
	return bind_tcp("listen", l->address, l->port, shared);
}

/* The kernel gives a socket its share from the moment that it listens. */
static int
bind_beside(const struct door *d, const struct listen_conf *l)
{
	return d->in_force == 0 ? bind_one(l, 1) :
	    bind_only("listen", l->address, l->port, 1);
}

/*
 * SO_REUSEPORT lets a process of the same user join the port: a first bind
 * without it finds out whether the port is free, so that two daemons never
 * share one by mistake.  It cannot tell where a door of ours has the port.
 */
static int
port_is_free(const struct listen_conf *l)
{
	const struct door *d;
	int fd;

	TAILQ_FOREACH(d, &doors, entry)
		if (d->port == l->port && l->port != 0)
			return 1;
	if ((fd = bind_one(l, 0)) == -1)
		return 0;
	close(fd);
	return 1;
}

static struct door *
door_of(const struct listen_conf *l)
{
	struct door *d;

	TAILQ_FOREACH(d, &doors, entry)
		if (d->port == l->port && strcmp(d->address, l->address) == 0)
			return d;
	return NULL;
}

static struct door *
door_add(const struct listen_conf *l)
{
	struct door *d;

	if ((d = calloc(1, sizeof(*d))) == NULL ||
	    (d->address = strdup(l->address)) == NULL) {
		log_errno("listen on %s", l->address);
		free(d);
		return NULL;
	}
	d->port = l->port;
	TAILQ_INSERT_TAIL(&doors, d, entry);
	return d;
}

static struct door *
door_new(const struct listen_conf *l)
{
	return port_is_free(l) ? door_add(l) : NULL;
}

/* Those behind `from' are closed; without any it is gone. */
static void
door_close(struct door *d, uint32_t from)
{
	while (d->sockets > from)
		close(d->socket[--d->sockets]);
	if (d->sockets > 0)
		return;
	TAILQ_REMOVE(&doors, d, entry);
	free(d->address);
	free(d);
}

void
doors_inherit(struct buffer *b, inherit_fn inherit)
{
	const struct door *d;
	char text[16];
	struct buffer value;
	uint32_t i;

	TAILQ_FOREACH(d, &doors, entry)
		for (i = 0; i < d->in_force; i++) {
			buffer_init(&value, 256);
			(void)snprintf(text, sizeof(text), "%u ",
			    (unsigned int)d->port);
			(void)buffer_add_cstr(&value, text);
			(void)buffer_add_cstr(&value, d->address);
			(void)buffer_add_char(&value, '\0');
			inherit(b, "door", d->socket[i],
			    (const char *)value.data);
			buffer_free(&value);
		}
}

/* Each line: a port, a space, an address. */
static int
take_inherited(void)
{
	const char *value, *error;
	struct listen_conf l;
	char port[8], *address;
	struct door *d;
	int fd;

	while ((fd = successor_take("door", &value)) != -1) {
		(void)strlcpy(port, value, sizeof(port));
		port[strcspn(port, " ")] = '\0';
		memset(&l, 0, sizeof(l));
		l.port = (uint16_t)strtonum(port, 0, UINT16_MAX, &error);
		if (error != NULL || (value = strchr(value, ' ')) == NULL ||
		    (address = strdup(value + 1)) == NULL) {
			close(fd);
			return -1;
		}
		l.address = address;
		if ((d = door_of(&l)) == NULL && (d = door_add(&l)) == NULL) {
			free(address);
			close(fd);
			return -1;
		}
		free(address);
		if (d->sockets == LISTENERS_MAX) {
			close(fd);
			continue;
		}
		d->socket[d->sockets++] = fd;
		d->in_force = d->sockets;
	}
	return 0;
}

int
doors_prepare(const struct config *c)
{
	const struct listen_conf *l;
	struct door *d;
	uint32_t n = 0;
	int fd;

	if (take_inherited() == -1) {
		log_warn("the listening sockets of the daemon before cannot "
		    "be taken");
		return -1;
	}
	TAILQ_FOREACH(l, &c->listens, entry) {
		if (n++ == LISTENS_MAX) {
			log_warn("more than %d listen lines", LISTENS_MAX);
			return -1;
		}
		if ((d = door_of(l)) == NULL && (d = door_new(l)) == NULL)
			return -1;
		while (d->sockets < c->listeners) {
			if ((fd = bind_beside(d, l)) == -1)
				return -1;
			d->socket[d->sockets++] = fd;
		}
	}
	return 0;
}

void
doors_release(void)
{
	struct door *d, *next;

	TAILQ_FOREACH_SAFE(d, &doors, entry, next)
		door_close(d, 0);
}

void
doors_forget(void)
{
	struct door *d, *next;

	TAILQ_FOREACH_SAFE(d, &doors, entry, next)
		door_close(d, d->in_force);
}

static int
is_listed(const struct config *c, const struct door *d)
{
	const struct listen_conf *l;

	TAILQ_FOREACH(l, &c->listens, entry)
		if (l->port == d->port && strcmp(l->address, d->address) == 0)
			return 1;
	return 0;
}

/* Nothing is on one that cannot: the others have its share. */
static void
listen_beside(struct door *d)
{
	while (d->in_force < d->sockets &&
	    listen(d->socket[d->in_force], BACKLOG) == 0)
		d->in_force++;
	if (d->in_force == d->sockets)
		return;
	log_errno("listen on %s port %u: by %u sockets, not %u", d->address,
	    (unsigned int)d->port, d->in_force, d->sockets);
	while (d->sockets > d->in_force)
		close(d->socket[--d->sockets]);
}

/* What the crew before still has of one that goes, it empties and closes. */
static void
close_unlisted(const struct config *c)
{
	struct door *d, *next;

	TAILQ_FOREACH_SAFE(d, &doors, entry, next) {
		if (d->in_force > 0)
			listen_beside(d);
		d->in_force = d->sockets;
		if (!is_listed(c, d))
			door_close(d, 0);
	}
}

/*
 * Every socket has a listener, also where there are more than listeners.  One
 * that was taken over may have shut them down, for all who have them: they
 * listen again.
 */
void
doors_send(struct child_proc *listener)
{
	uint32_t i, n = listener->crew->config->listeners;
	struct door *d;
	int fd;

	metrics_hand(listener);
	TAILQ_FOREACH(d, &doors, entry)
		for (i = listener->index; i < d->in_force; i += n) {
			(void)listen(d->socket[i], BACKLOG);
			fd = fcntl(d->socket[i], F_DUPFD_CLOEXEC, 0);
			if (fd == -1) {
				log_errno("listening socket for %s",
				    listener->name);
				continue;
			}
			if (listener->control == NULL || channel_send_fd(
			    listener->control, MSG_LISTEN, 0, NULL, 0, fd) ==
			    -1)
				close(fd);
		}
}

void
doors_open(struct crew *crew)
{
	const struct config *c = crew->config;
	const struct listen_conf *l;
	struct child_proc *other;

	close_unlisted(c);
	TAILQ_FOREACH(other, &parent.children, entry)
		if (other->crew == crew && other->role == ROLE_LISTENER &&
		    other->state == CHILD_READY)
			doors_send(other);
	TAILQ_FOREACH(l, &c->listens, entry)
		log_info("ready: listening on %s port %u: %u tools, "
		    "%u listeners, %u handlers", l->address,
		    (unsigned int)l->port, c->ntools, c->listeners,
		    c->handlers);
}
