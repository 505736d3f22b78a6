/* SPDX-License-Identifier: ISC */

/*
 * Programs that audit records are piped into (`sink pipe').  auditd may start
 * nothing; the parent does, as a user who owns nothing of ours, and gives
 * auditd the other end of the program's standard input.  No shell: words are
 * parted by spaces.  One that ends is started anew, with a growing pause.
 */

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

#define WORDS_MAX	64
#define BACKOFF_MIN_MS	200
#define BACKOFF_MAX_MS	5000
#define HEALTHY_MS	10000
#define END_TRIES	100	/* of 20 ms */

struct program {
	uint32_t	 index;		/* among the sinks */
	char		*command;	/* owned */
	pid_t		 pid;		/* 0: not running */
	int		 fd;		/* auditd's end, until it has it; -1 */
	struct event	*restart;
	uint32_t	 backoff_ms;
	uint64_t	 started_ms;
};

static struct program programs[SINKS_MAX];
static size_t nprograms;

static void	program_start(struct program *);

/* Who it runs as: nobody, where we can choose. */
static int
drop(void)
{
	struct passwd *pw;
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0)
		return 0;
	if ((pw = getpwnam("nobody")) == NULL || pw->pw_uid == 0)
		return -1;
	uid = pw->pw_uid;
	gid = pw->pw_gid;
	return setgroups(1, &gid) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1 ? -1 : 0;
}

static void
program_exec(const struct program *p, int fd)
{
	static char path_env[] = "PATH=/usr/bin:/bin";
	char *env[] = { path_env, NULL }, *argv[WORDS_MAX + 1], *words, *word;
	size_t n = 0;
	int null;

	if ((words = strdup(p->command)) == NULL)
		_exit(127);
	while ((word = strsep(&words, " ")) != NULL && n < WORDS_MAX)
		if (word[0] != '\0')
			argv[n++] = word;
	argv[n] = NULL;
	if (n == 0 || (null = open("/dev/null", O_RDWR)) == -1 ||
	    dup2(fd, STDIN_FILENO) == -1 || dup2(null, STDOUT_FILENO) == -1 ||
	    (!parent.foreground && dup2(null, STDERR_FILENO) == -1))
		_exit(127);
	close_from(STDERR_FILENO + 1);
	(void)signal(SIGPIPE, SIG_DFL);
	/* Not of our terminal, where there is one: it could type there. */
	if (setsid() == -1 || chdir("/") == -1 || drop() == -1)
		_exit(126);
	execve(argv[0], argv, env);
	_exit(127);
}

/* Its end goes to auditd, now or to the next one that is ready. */
static void
hand_over(struct program *p)
{
	struct child_proc *auditd = supervise_find(ROLE_AUDITD, 0);

	if (p->fd == -1 || auditd == NULL || auditd->state != CHILD_READY ||
	    auditd->control == NULL)
		return;
	if (channel_send_fd(auditd->control, MSG_SINK_PIPE, 0, &p->index,
	    sizeof(p->index), p->fd) == 0)
		p->fd = -1;
}

static void
again_later(struct program *p)
{
	struct timeval tv;

	if (now_ms() - p->started_ms >= HEALTHY_MS)
		p->backoff_ms = BACKOFF_MIN_MS;
	tv.tv_sec = (time_t)(p->backoff_ms / 1000);
	tv.tv_usec = (suseconds_t)(p->backoff_ms % 1000 * 1000);
	p->backoff_ms = p->backoff_ms > BACKOFF_MAX_MS / 2 ? BACKOFF_MAX_MS :
	    2 * p->backoff_ms;
	if (p->restart == NULL || event_add(p->restart, &tv) == -1)
		log_warn("sink pipe %s: cannot be started again", p->command);
}

static void
on_restart(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	if (!parent.stopping)
		program_start(arg);
}

static void
program_start(struct program *p)
{
	int sv[2];

	p->started_ms = now_ms();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1) {
		log_errno("sink pipe %s", p->command);
		again_later(p);
		return;
	}
	if ((p->pid = fork()) == 0)
		program_exec(p, sv[1]);
	close(sv[1]);
	if (p->pid == -1) {
		log_errno("sink pipe %s", p->command);
		p->pid = 0;
		close(sv[0]);
		again_later(p);
		return;
	}
	if (p->fd != -1)
		close(p->fd);
	p->fd = sv[0];
	hand_over(p);
}

void
pipes_start(void)
{
	const struct audit_conf *c = &parent.audited->audit;
	struct program *p;
	uint32_t i;

	for (i = 0; i < c->nsinks; i++) {
		if (c->sink[i].kind != SINK_PIPE || c->sink[i].target[0] != '/')
			continue;
		p = &programs[nprograms];
		if ((p->command = strdup(c->sink[i].target)) == NULL)
			fatal("out of memory");
		nprograms++;
		p->index = i;
		p->pid = 0;
		p->fd = -1;
		p->backoff_ms = BACKOFF_MIN_MS;
		p->restart = event_new(parent.base, -1, 0, on_restart, p);
		program_start(p);
	}
}

/* The new auditd has no end of any: each program begins anew. */
void
pipes_auditd_ready(void)
{
	size_t i;

	for (i = 0; i < nprograms; i++)
		if (programs[i].fd != -1)
			hand_over(&programs[i]);
		else if (programs[i].pid > 0)
			(void)kill(programs[i].pid, SIGTERM);
}

/* They end when they have read what the auditd that ended sent them. */
void
pipes_forget(void)
{
	size_t i;

	for (i = 0; i < nprograms; i++) {
		if (programs[i].restart != NULL)
			event_free(programs[i].restart);
		if (programs[i].fd != -1)
			close(programs[i].fd);
		free(programs[i].command);
		memset(&programs[i], 0, sizeof(programs[i]));
	}
	nprograms = 0;
}

void
pipes_change(void)
{
	pipes_forget();
	pipes_start();
}

int
pipes_ended(pid_t pid, int status)
{
	struct program *p;
	size_t i;

	for (i = 0; i < nprograms; i++) {
		p = &programs[i];
		if (p->pid != pid)
			continue;
		p->pid = 0;
		if (parent.stopping)
			return 1;
		if (WIFSIGNALED(status))
			log_warn("sink pipe %s: ended by signal %d: started "
			    "anew", p->command, WTERMSIG(status));
		else
			log_warn("sink pipe %s: ended with %d: started anew",
			    p->command, WEXITSTATUS(status));
		again_later(p);
		return 1;
	}
	return 0;
}

/* auditd is gone: they read to the end of what they got, for a moment. */
void
pipes_stop(void)
{
	static const struct timespec pause = { 0, 20000000 };
	unsigned int tries = END_TRIES;
	size_t i, left = nprograms;

	for (i = 0; i < nprograms; i++) {
		if (programs[i].fd != -1)
			close(programs[i].fd);
		programs[i].fd = -1;
	}
	while (left > 0 && tries-- > 0) {
		left = 0;
		for (i = 0; i < nprograms; i++) {
			if (programs[i].pid > 0 && waitpid(programs[i].pid,
			    NULL, WNOHANG) != 0)
				programs[i].pid = 0;
			left += programs[i].pid > 0;
		}
		if (left > 0)
			(void)nanosleep(&pause, NULL);
	}
	for (i = 0; i < nprograms; i++)
		if (programs[i].pid > 0)
			(void)kill(programs[i].pid, SIGTERM);
}
