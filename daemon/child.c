/* SPDX-License-Identifier: ISC */

/*
 * The life of a child process: it is executed with one end of a socketpair
 * and nothing else, given its slice of the configuration, and started anew
 * when it dies, at once the first time and then after a growing pause.
 * Whether it is to be started anew is for supervise.c to say.
 */

#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

#define HEALTHY_MS	10000	/* a child that lived so long did start */
#define BACKOFF_MIN_MS	100
#define BACKOFF_MAX_MS	10000

static uint32_t instances;	/* the newest */

uint32_t
child_instance(void)
{
	return ++instances;
}

void
child_number_from(uint32_t number)
{
	instances = number;
}

struct child_proc *
child_new(struct crew *crew, enum role role, uint32_t index)
{
	struct child_proc *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->crew = crew;
	c->role = role;
	c->index = index;
	if (role == ROLE_LISTENER || role == ROLE_HANDLER)
		(void)snprintf(c->name, sizeof(c->name), "%s %u",
		    role_name(role), index);
	else
		(void)snprintf(c->name, sizeof(c->name), "%s",
		    role_name(role));
	TAILQ_INSERT_TAIL(&parent.children, c, entry);
	return c;
}

void
child_free(struct child_proc *c)
{
	TAILQ_REMOVE(&parent.children, c, entry);
	status_child_gone(c);
	channel_close(c->control);
	if (c->restart != NULL)
		event_free(c->restart);
	free(c);
}

static void
child_exec(struct child_proc *c, int fd)
{
	static char path_env[] = "PATH=/usr/bin:/bin";
	char *env[8], *value, path[PATH_LEN_MAX];
	char *argv[2];
	size_t n = 0;
	int null;
#ifdef SANITIZED
	static char asan[1024], ubsan[1024];

	if ((value = getenv("ASAN_OPTIONS")) != NULL) {
		(void)snprintf(asan, sizeof(asan), "ASAN_OPTIONS=%s", value);
		env[n++] = asan;
	}
	if ((value = getenv("UBSAN_OPTIONS")) != NULL) {
		(void)snprintf(ubsan, sizeof(ubsan), "UBSAN_OPTIONS=%s",
		    value);
		env[n++] = ubsan;
	}
#else
	value = NULL;
#endif
	(void)value;
	env[n++] = path_env;
	env[n] = NULL;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", parent.libexec,
	    role_name(c->role)) >= sizeof(path))
		_exit(127);
	if ((null = open("/dev/null", O_RDWR)) == -1 ||
	    dup2(null, STDIN_FILENO) == -1)
		_exit(127);
	if (!parent.foreground && (dup2(null, STDOUT_FILENO) == -1 ||
	    dup2(null, STDERR_FILENO) == -1))
		_exit(127);
	if (fd == CONTROL_FD) {
		(void)fcntl(fd, F_SETFD, 0);
	} else if (dup2(fd, CONTROL_FD) == -1) {
		_exit(127);
	}
	close_from(CONTROL_FD + 1);
	argv[0] = path;
	argv[1] = NULL;
	execve(path, argv, env);
	_exit(127);
}

static void
restart_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	/* supervise.c says whether one is still wanted then. */
	if (!parent.stopping || arg == parent.auditd)
		child_spawn(arg);
}

void
child_restart(struct child_proc *c)
{
	struct timeval tv = { 0, 0 };
	uint64_t delay = 0;

	if (now_ms() - c->started_ms >= HEALTHY_MS)
		c->failures = 0;
	c->failures++;
	c->restarts++;
	if (c->failures > 1) {
		delay = c->failures > 8 ? BACKOFF_MAX_MS :
		    (uint64_t)BACKOFF_MIN_MS << (c->failures - 2);
		if (delay > BACKOFF_MAX_MS)
			delay = BACKOFF_MAX_MS;
		log_warn("%s died %u times in a row: next start in %llu ms",
		    c->name, c->failures, (unsigned long long)delay);
	}
	tv.tv_sec = (time_t)(delay / 1000);
	tv.tv_usec = (suseconds_t)(delay % 1000 * 1000);
	if (c->restart == NULL)
		c->restart = evtimer_new(parent.base, restart_due, c);
	if (c->restart == NULL || evtimer_add(c->restart, &tv) == -1)
		fatal("cannot schedule the restart of %s", c->name);
}

static void
on_child_closed(struct channel *ch, void *arg)
{
	struct child_proc *c = arg;

	(void)ch;
	c->control = NULL;
	/*
	 * It ended, or it does not keep the rules: either way SIGCHLD is to
	 * follow, and a process without orders must not stay.
	 */
	if (c->pid > 0 && !c->ended && c->state != CHILD_STOPPING &&
	    !c->leaving)
		(void)kill(c->pid, SIGKILL);
}

void
child_spawn(struct child_proc *c)
{
	static const struct channel_ops ops = {
		.frame = supervise_frame, .closed = on_child_closed
	};
	int sv[2];

	/* One that was to follow later is this one. */
	if (c->restart != NULL)
		evtimer_del(c->restart);
	c->leaving = c->has_left = 0;
	c->instance = child_instance();
	c->started_ms = now_ms();
	c->state = CHILD_STARTING;
	c->was_ready = c->checked = c->ended = 0;
	c->violations_now = c->partings = 0;
	if (channel_pair(sv) == -1) {
		log_errno("cannot start %s", c->name);
		c->state = CHILD_GONE;
		child_restart(c);
		return;
	}
	/* The child reads its first orders without a loop. */
	(void)fcntl(sv[1], F_SETFL, fcntl(sv[1], F_GETFL) & ~O_NONBLOCK);
	if ((c->pid = fork()) == 0)
		child_exec(c, sv[1]);
	close(sv[1]);
	if (c->pid == -1) {
		log_errno("cannot start %s", c->name);
		close(sv[0]);
		c->pid = 0;
		c->state = CHILD_GONE;
		child_restart(c);
		return;
	}
	if ((c->control = channel_new(parent.base, sv[0], c->name, 0, &ops,
	    c)) == NULL)
		fatal_errno("control channel of %s", c->name);
	channel_secret(c->control);
	if (slice_send(c) == -1) {
		log_warn("%s cannot be given its configuration", c->name);
		(void)kill(c->pid, SIGKILL);
	}
}

/* ---- orders ------------------------------------------------------------ */

int
child_send(const struct child_proc *c, enum message_type type)
{
	return c->control == NULL ? -1 :
	    channel_send(c->control, (uint16_t)type, 0, NULL, 0);
}

void
child_kill(const struct child_proc *c)
{
	if (c->pid > 0)
		(void)kill(c->pid, SIGKILL);
}

void
child_stop(struct child_proc *c)
{
	if (c->restart != NULL)
		evtimer_del(c->restart);
	if (c->pid <= 0 || c->state == CHILD_STOPPING)
		return;
	c->state = CHILD_STOPPING;
	if (child_send(c, MSG_SHUTDOWN) == -1)
		child_kill(c);
}

void
child_dismiss(struct child_proc *c)
{
	if (c->restart != NULL)
		evtimer_del(c->restart);
	if (c->pid <= 0 || c->dismissed)
		return;
	c->state = CHILD_STOPPING;
	c->dismissed = 1;
	child_kill(c);
}

int
child_hand_over(struct child_proc *auditd)
{
	if (auditd->restart != NULL)
		evtimer_del(auditd->restart);
	if (auditd->pid <= 0)
		return 0;
	/* It may have to stay: it is wired as before until it has ended. */
	auditd->leaving = 1;
	if (child_send(auditd, MSG_HAND_OVER) == -1)
		child_kill(auditd);
	return 1;
}

/* ---- the end of one ---------------------------------------------------- */

/* It was told to end, or to leave when it has answered all. */
static int
is_expected(const struct child_proc *c, int status)
{
	if (c->crew != NULL && c->crew->state == CREW_DROPPED)
		return 1;
	return (c->state == CHILD_STOPPING || c->leaving) &&
	    WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
say_how_it_ended(const struct child_proc *c, int status, int expected)
{
	if (c->dismissed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		log_warn("%s (pid %d) was killed by its sandbox", c->name,
		    (int)c->pid);
	else if (WIFSIGNALED(status))
		log_warn("%s (pid %d) was killed by signal %d (%s)", c->name,
		    (int)c->pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 127)
		log_warn("%s: %s/%s cannot be executed", c->name,
		    parent.libexec, role_name(c->role));
	else if (!expected)
		log_warn("%s (pid %d) exited with %d", c->name, (int)c->pid,
		    WEXITSTATUS(status));
}

static void
child_ended(struct child_proc *c, int status)
{
	int expected = is_expected(c, status);

	/* Nobody knows what it wrote last; one that was let go told it. */
	if (c->role == ROLE_HANDLER && !expected)
		generations_advance();
	/*
	 * What it said last may still wait in the socket: a violation.  Its
	 * number may be another's by now: nobody is to send that a signal.
	 */
	c->ended = 1;
	if (c->control != NULL)
		channel_drain(c->control);
	if (c->control != NULL) {
		channel_close(c->control);
		c->control = NULL;
	}
	say_how_it_ended(c, status, expected);
	if (!parent.stopping && !expected)
		event_tell("crash", "{\"role\":\"%s\",\"index\":%u,"
		    "\"pid\":%d,\"%s\":%d}", role_name(c->role), c->index,
		    (int)c->pid, WIFSIGNALED(status) ? "signal" : "exit",
		    WIFSIGNALED(status) ? WTERMSIG(status) :
		    WEXITSTATUS(status));
	c->pid = 0;
	c->state = CHILD_GONE;
	figures_ended(c);
	supervise_ended(c, status);
}

static struct child_proc *
by_pid(pid_t pid)
{
	struct child_proc *c;

	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->pid == pid)
			return c;
	return NULL;
}

static void
on_sigchld(evutil_socket_t fd, short what, void *arg)
{
	struct child_proc *c;
	int status;
	pid_t pid;

	(void)fd;
	(void)what;
	(void)arg;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!pipes_ended(pid, status) && !upgrade_ended(pid) &&
		    (c = by_pid(pid)) != NULL)
			child_ended(c, status);
}

void
children_watch(void)
{
	struct event *chld = evsignal_new(parent.base, SIGCHLD, on_sigchld,
	    NULL);

	if (chld == NULL || event_add(chld, NULL) == -1)
		fatal("cannot watch children");
}
