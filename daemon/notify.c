/* SPDX-License-Identifier: ISC */

/*
 * Tells the service manager how the daemon does: the protocol of
 * sd_notify(3), datagrams of `NAME=value' lines to the socket that
 * NOTIFY_SOCKET names.  It is connected before the parent is confined and
 * taken out of the environment, so that no child and no program of a sink
 * can speak for us.  Without it every call does nothing.
 *
 * Nothing waits for the manager: what its socket has no room for is sent
 * when it has.  The watchdog is fed by the parent's own loop.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

#define STATE_MAX	256	/* bytes of a datagram of ours */
#define QUEUE_MAX	8	/* states that wait; there are five kinds */
#define WATCHDOG_MIN_US	2000	/* half of it is the pause between two beats */

static int sock = -1;
static char queue[QUEUE_MAX][STATE_MAX];	/* the oldest first */
static size_t queued;
static struct event *writable, *beat;
static struct timeval beat_interval;
static long long watchdog_us;	/* 0: none */
static int complained;
static int muted;		/* another process speaks, so far */

static void
queue_drop_first(void)
{
	queued--;
	memmove(queue[0], queue[1], queued * sizeof(queue[0]));
}

static void
flush(void)
{
	ssize_t n;

	while (queued > 0) {
		n = write(sock, queue[0], strlen(queue[0]));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (event_add(writable, NULL) == 0)
				return;
		} else if (n == -1 && !complained) {
			log_errno("service manager: cannot be told any more");
			complained = 1;
		}
		queue_drop_first();
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	flush();
}

static void
tell(const char *fmt, ...)
{
	va_list ap;

	if (sock == -1 || muted)
		return;
	if (queued == QUEUE_MAX)
		queue_drop_first();
	va_start(ap, fmt);
	(void)vsnprintf(queue[queued++], STATE_MAX, fmt, ap);
	va_end(ap);
	flush();
}

/* Half the time that the manager waits, as sd_watchdog_enabled(3) advises. */
static void
on_beat(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	tell("WATCHDOG=1");
	(void)event_add(beat, &beat_interval);
}

static void
watchdog_every(long long us)
{
	beat_interval.tv_sec = (time_t)(us / 2 / 1000000);
	beat_interval.tv_usec = (suseconds_t)(us / 2 % 1000000);
	if ((beat = evtimer_new(parent.base, on_beat, NULL)) == NULL)
		fatal("cannot make a timer");
	on_beat(-1, 0, NULL);
}

static void
watchdog_start(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	const char *error = NULL;
	long long us;

	if (usec == NULL)
		return;
	/* Meant for another process, whose environment we were given. */
	if (pid != NULL && (strtonum(pid, 1, INT32_MAX, &error) != getpid() ||
	    error != NULL))
		return;
	us = strtonum(usec, WATCHDOG_MIN_US, INT64_MAX / 2, &error);
	if (error != NULL) {
		log_warn("service manager: WATCHDOG_USEC is %s: no watchdog",
		    error);
		return;
	}
	watchdog_us = us;
	watchdog_every(us);
}

/* A path, or after an @ a name that no file system has.  -1 with errno. */
static int
connect_to(const char *name)
{
	struct sockaddr_un sun;
	size_t len = strlen(name);
	int fd;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if ((name[0] != '/' && name[0] != '@') || len < 2) {
		errno = EINVAL;
		return -1;
	}
	if (len >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, name, len);
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	/* A path ends with its zero, an abstract name with its last byte. */
	len += offsetof(struct sockaddr_un, sun_path) + (name[0] == '/');
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0)) == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)&sun, (socklen_t)len) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

void
notify_open(int inherited, const char *watchdog)
{
	const char *name = inherited == -1 ? getenv("NOTIFY_SOCKET") : NULL;
	const char *error;

	if (inherited != -1) {
		sock = inherited;
		muted = 1;
		watchdog_us = strtonum(watchdog, 0, INT64_MAX / 2, &error);
	}
	if (name != NULL && (sock = connect_to(name)) == -1)
		log_errno("service manager: NOTIFY_SOCKET %s", name);
	if (sock != -1) {
		if ((writable = event_new(parent.base, sock, EV_WRITE,
		    on_writable, NULL)) == NULL)
			fatal("cannot watch the service manager's socket");
		if (!muted)
			watchdog_start();
	}
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
}

void
notify_close(void)
{
	if (sock == -1)
		return;
	event_free(writable);
	if (beat != NULL)
		event_free(beat);
	close(sock);
	sock = -1;
	writable = beat = NULL;
	queued = 0;
	muted = 0;
	watchdog_us = 0;
}

void
notify_inherit(struct buffer *b, inherit_fn inherit)
{
	char us[24];

	if (sock == -1)
		return;
	(void)snprintf(us, sizeof(us), "%lld", watchdog_us);
	inherit(b, "notify", sock, us);
}

void
notify_follow(pid_t pid)
{
	tell("MAINPID=%d", (int)pid);
	if (beat != NULL)
		(void)evtimer_del(beat);
	muted = 1;
}

void
notify_main(void)
{
	if (!muted)
		return;
	muted = 0;
	notify_ready();
	if (watchdog_us >= WATCHDOG_MIN_US)
		watchdog_every(watchdog_us);
}

void
notify_ready(void)
{
	tell("READY=1\nSTATUS=serving %u tools by %u listeners and %u handlers",
	    parent.config->ntools, parent.config->listeners,
	    parent.config->handlers);
}

/* The manager wants to know which of its own clock's moments this is. */
void
notify_reloading(void)
{
	tell("RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=checking a new configuration",
	    (unsigned long long)now_us());
}

void
notify_stopping(void)
{
	tell("STOPPING=1\nSTATUS=finishing the calls in flight");
}

void
notify_status(const char *fmt, ...)
{
	char text[STATE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* One line: the next would be read as another variable. */
	text[strcspn(text, "\n")] = '\0';
	tell("STATUS=%s", text);
}
