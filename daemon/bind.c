/* SPDX-License-Identifier: ISC */

/*
 * The listening sockets.  The parent binds them and keeps them open, so that
 * a listener's death refuses no connection: the kernel keeps them queued
 * until its successor accepts.  Where the kernel spreads connections among
 * sockets of one port (Linux), each listener has one of its own.
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

static int
bind_one(const struct listen_conf *l, int shared)
{
	static const int on = 1;
	struct addrinfo hints = { 0 }, *res = NULL;
	char port[8];
	int fd = -1, rc;

	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
	hints.ai_socktype = SOCK_STREAM;
	(void)snprintf(port, sizeof(port), "%u", (unsigned int)l->port);
	if ((rc = getaddrinfo(l->address, port, &hints, &res)) != 0) {
		log_warn("listen on %s port %s: %s", l->address, port,
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
	if (bind(fd, res->ai_addr, res->ai_addrlen) == -1 ||
	    listen(fd, BACKLOG) == -1)
		goto fail;
	freeaddrinfo(res);
	return fd;
fail:
	log_errno("listen on %s port %s", l->address, port);
	if (fd != -1)
		close(fd);
	freeaddrinfo(res);
	return -1;
}

/*
 * SO_REUSEPORT lets a process of the same user join the port: a first bind
 * without it finds out whether the port is free, so that two daemons never
 * share one by mistake.
 */
static int
port_is_free(const struct listen_conf *l)
{
	int fd;

	if ((fd = bind_one(l, 0)) == -1)
		return 0;
	close(fd);
	return 1;
}

int
sockets_bind(void)
{
	const struct config *c = parent.config;
	const struct listen_conf *l;
	uint32_t i;
	int fd = -1;

	TAILQ_FOREACH(l, &c->listens, entry) {
		if (parent.nsockets == LISTENS_MAX) {
			log_warn("more than %d listen lines", LISTENS_MAX);
			return -1;
		}
		if (!port_is_free(l))
			return -1;
		for (i = 0; i < c->listeners; i++) {
			if ((fd = bind_one(l, 1)) == -1)
				return -1;
			parent.sockets[i][parent.nsockets] = fd;
		}
		parent.nsockets++;
	}
	return 0;
}
