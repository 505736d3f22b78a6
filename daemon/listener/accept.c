/* SPDX-License-Identifier: ISC */

/*
 * The listening sockets.  The parent binds them and keeps them; here they
 * are accepted from.  At the bound of open connections another makes room
 * (room.c); where none may go, or the system runs out of something, clients
 * wait in the kernel's queue.
 */

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>

#include "../../common/log.h"
#include "../../common/proc.h"
#include "listener.h"

static struct event *accepting[LISTENS_PER_MAX];
static size_t naccepting;
static int accept_paused;
static struct event *accept_timer;

static void
accept_pause(int for_a_while)
{
	static const struct timeval pause = { 0, ACCEPT_PAUSE_MS * 1000 };
	size_t i;

	accept_paused = 1;
	for (i = 0; i < naccepting; i++)
		(void)event_del(accepting[i]);
	if (for_a_while)
		(void)evtimer_add(accept_timer, &pause);
}

void
accept_resume(void)
{
	size_t i;

	if (!accept_paused || listener.shutting_down || listener.leaving ||
	    http_connections() >= CONNECTIONS_MAX)
		return;
	accept_paused = 0;
	for (i = 0; i < naccepting; i++)
		(void)event_add(accepting[i], NULL);
}

static void
on_accept_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	accept_resume();
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int error, i, client;

	(void)what;
	(void)arg;
	for (i = 0; i < ACCEPT_BATCH && !accept_paused; i++) {
		if (http_connections() >= CONNECTIONS_MAX &&
		    room_make() == -1) {
			accept_pause(0);
			return;
		}
		len = sizeof(ss);
		memset(&ss, 0, sizeof(ss));
		client = accept4(fd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client != -1) {
			conn_new(client, &ss);
			continue;
		}
		error = errno;
		if (error == EMFILE || error == ENFILE || error == ENOBUFS ||
		    error == ENOMEM) {
			log_errno("accept");
			if (room_make() == -1)
				accept_pause(1);
		}
		if (error != ECONNABORTED && error != EINTR)
			return;
	}
}

int
accept_start(int fd)
{
	static const int on = 1;
	struct event *ev;

	if (accept_timer == NULL)
		accept_timer = evtimer_new(child.base, on_accept_timer, NULL);
	if (naccepting == LISTENS_PER_MAX || accept_timer == NULL ||
	    evutil_make_socket_nonblocking(fd) == -1 ||
	    (ev = event_new(child.base, fd, EV_READ | EV_PERSIST,
	    on_acceptable, NULL)) == NULL) {
		close(fd);
		return -1;
	}
	/* Accepted sockets inherit it; answers are whole when they are sent. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	accepting[naccepting++] = ev;
	if (listener.shutting_down || accept_paused)
		return 0;
	return event_add(ev, NULL);
}

/*
 * A socket that is closed takes with it what is queued on it.  Where the next
 * set has it too, what is left there is its; where it goes, nobody's: so
 * all of them are emptied, up to what one process may hold.
 */
void
accept_leave(void)
{
	struct sockaddr_storage ss;
	socklen_t len;
	size_t i;
	int client;

	for (i = 0; i < naccepting; i++)
		do {
			len = sizeof(ss);
			memset(&ss, 0, sizeof(ss));
			client = http_connections() >= CONNECTIONS_MAX ? -1 :
			    accept4(event_get_fd(accepting[i]),
			    (struct sockaddr *)&ss, &len,
			    SOCK_NONBLOCK | SOCK_CLOEXEC);
			if (client != -1)
				conn_new(client, &ss);
		} while (client != -1);
	accept_stop();
}

void
accept_stop(void)
{
	size_t i;

	for (i = 0; i < naccepting; i++) {
		evutil_socket_t fd = event_get_fd(accepting[i]);

		event_free(accepting[i]);
		close(fd);
	}
	naccepting = 0;
}
