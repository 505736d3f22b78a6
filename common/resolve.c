/* SPDX-License-Identifier: ISC */

/*
 * Names to addresses by c-ares, in the loop.  getaddrinfo(3) would stop it for
 * as long as a name server does not answer.  libcurl's own resolver is a
 * thread for each name: it would need clone(2) and a process limit above
 * nought in the one role that meets the network, and ending a fetch early
 * would wait in pthread_join(3) for a name server that does not answer.  So
 * names are looked up here and libcurl is given addresses; that they are what
 * it connects to is checked again where it opens its socket.
 *
 * Names are looked up as they stand: no search list leads elsewhere.
 */

#include <sys/types.h>
#include <sys/time.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>

#include <ares.h>
#include <event2/event.h>

#include "compat.h"
#include "log.h"
#include "proc.h"
#include "resolve.h"

#define RESOLV_CONF	"/etc/resolv.conf"
#define SOCKETS_MAX	16	/* of one lookup; more servers are not heard */

struct lookup {
	ares_channel	 channel;
	struct event	*timer;		/* of c-ares */
	struct event	*deadline;
	struct {
		struct event	*event;	/* NULL: the place is free */
		ares_socket_t	 fd;
	} sock[SOCKETS_MAX];
	struct found	 found;
	const char	*error;
	int		 finished;	/* c-ares has called back */
	lookup_done	*done;
	void		*arg;
};

/*
 * What was read at the start.  A resolv.conf that is replaced afterwards is
 * another file, and may not be in sight of the sandbox: then this counts.
 */
static ares_channel first;
/* Whose call into c-ares this is; its callbacks name no one else. */
static struct lookup *running;

static void	step(struct lookup *, ares_socket_t, ares_socket_t);

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	step(arg, (what & EV_READ) != 0 ? fd : ARES_SOCKET_BAD,
	    (what & EV_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
}

static void
socket_state(void *unused, ares_socket_t fd, int readable, int writable)
{
	struct lookup *l = running;
	size_t i, place = SOCKETS_MAX;

	(void)unused;
	if (l == NULL)
		return;
	for (i = 0; i < SOCKETS_MAX; i++) {
		if (l->sock[i].event != NULL && l->sock[i].fd == fd) {
			event_free(l->sock[i].event);
			l->sock[i].event = NULL;
		}
		if (l->sock[i].event == NULL && place == SOCKETS_MAX)
			place = i;
	}
	if ((!readable && !writable) || place == SOCKETS_MAX)
		return;
	l->sock[place].fd = fd;
	l->sock[place].event = event_new(child.base, fd, (short)(EV_PERSIST |
	    (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0)), on_socket,
	    l);
	if (l->sock[place].event != NULL)
		(void)event_add(l->sock[place].event, NULL);
}

static int
set_up(ares_channel *channel)
{
	struct ares_options options;

	memset(&options, 0, sizeof(options));
	options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
	options.timeout = LOOKUP_TRY_MS;
	options.tries = LOOKUP_TRIES;
	options.sock_state_cb = socket_state;
	/* None, said twice: the flag is not for ares_getaddrinfo(3). */
	options.ndomains = 0;
	return ares_init_options(channel, &options, ARES_OPT_FLAGS |
	    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
	    ARES_OPT_DOMAINS);
}

/* A newer ares_dup(3) copies servers where they were set, not read. */
static int
keep_servers(void)
{
	int rc = ARES_SUCCESS;
#if ARES_VERSION >= 0x011800
	char *servers = ares_get_servers_csv(first);

	if (servers == NULL)
		return ARES_ENOMEM;
	if (servers[0] != '\0')
		rc = ares_set_servers_csv(first, servers);
	ares_free_string(servers);
#endif
	return rc;
}

int
resolve_start(void)
{
	int rc = ares_library_init(ARES_LIB_INIT_ALL);

	if (rc == ARES_SUCCESS)
		rc = set_up(&first);
	if (rc == ARES_SUCCESS)
		rc = keep_servers();
	if (rc == ARES_SUCCESS)
		return 0;
	log_warn("name resolution: %s", ares_strerror(rc));
	return -1;
}

/* The files as they are now, so that a change of servers is noticed. */
static int
open_channel(ares_channel *channel)
{
	int fd = open(RESOLV_CONF, O_RDONLY | O_CLOEXEC);

	/* c-ares would ask a server of its own choice and not say so. */
	if (fd == -1)
		return ares_dup(channel, first);
	close(fd);
	return set_up(channel);
}

static void
lookup_free(struct lookup *l)
{
	size_t i;

	running = l;
	if (l->channel != NULL)
		ares_destroy(l->channel);
	running = NULL;
	for (i = 0; i < SOCKETS_MAX; i++)
		if (l->sock[i].event != NULL)
			event_free(l->sock[i].event);
	if (l->timer != NULL)
		event_free(l->timer);
	if (l->deadline != NULL)
		event_free(l->deadline);
	free(l);
}

static void
lookup_end(struct lookup *l)
{
	struct found found = l->found;
	const char *error = l->error;
	lookup_done *done = l->done;
	void *arg = l->arg;

	lookup_free(l);
	if (error == NULL && found.n == 0)
		error = "it has no address";
	done(&found, error, arg);
}

/* Inside a call into c-ares: nothing may be freed. */
static void
on_found(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	const struct ares_addrinfo_node *node;
	struct lookup *l = arg;
	struct found *f = &l->found;

	(void)timeouts;
	l->finished = 1;
	if (status != ARES_SUCCESS)
		l->error = ares_strerror(status);
	for (node = info == NULL ? NULL : info->nodes; node != NULL &&
	    f->n < ADDRESSES_MAX; node = node->ai_next)
		if ((size_t)node->ai_addrlen <= sizeof(f->address[0]) &&
		    (node->ai_family == AF_INET ||
		    node->ai_family == AF_INET6))
			memcpy(&f->address[f->n++], node->ai_addr,
			    (size_t)node->ai_addrlen);
	if (info != NULL)
		ares_freeaddrinfo(info);
}

/* Sets the timer of c-ares; l is gone where the lookup was over. */
static void
after(struct lookup *l)
{
	struct timeval tv, limit = { LOOKUP_MS / 1000, 0 };

	if (l->finished) {
		lookup_end(l);
		return;
	}
	if (ares_timeout(l->channel, &limit, &tv) != NULL)
		(void)event_add(l->timer, &tv);
}

static void
step(struct lookup *l, ares_socket_t readable, ares_socket_t writable)
{
	running = l;
	ares_process_fd(l->channel, readable, writable);
	running = NULL;
	after(l);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	step(arg, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct lookup *l = arg;

	(void)fd;
	(void)what;
	l->error = "no name server answered in time";
	lookup_end(l);
}

struct lookup *
lookup_new(const char *host, lookup_done *done, void *arg)
{
	static const struct timeval limit = { LOOKUP_MS / 1000,
	    LOOKUP_MS % 1000 * 1000 }, at_once = { 0, 0 };
	struct ares_addrinfo_hints hints;
	struct lookup *l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return NULL;
	l->done = done;
	l->arg = arg;
	l->timer = evtimer_new(child.base, on_timer, l);
	l->deadline = evtimer_new(child.base, on_deadline, l);
	if (l->timer == NULL || l->deadline == NULL ||
	    open_channel(&l->channel) != ARES_SUCCESS) {
		lookup_free(l);
		return NULL;
	}
	memset(&hints, 0, sizeof(hints));
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	/* Who asks tries all of them: their order is no matter. */
	hints.ai_flags = ARES_AI_NOSORT;
	running = l;
	ares_getaddrinfo(l->channel, host, NULL, &hints, on_found, l);
	running = NULL;
	(void)event_add(l->deadline, &limit);
	/* What was in /etc/hosts is known already, but done() comes later. */
	(void)event_add(l->timer, &at_once);
	return l;
}

void
lookup_cancel(struct lookup *l)
{
	if (l != NULL)
		lookup_free(l);
}
