/* SPDX-License-Identifier: ISC */

/*
 * The start of the parent that is to follow this one at an upgrade: the path
 * that we were started by, with our own command line and environment, and what
 * it inherits, told in one variable as handover.c says.  No secret is handed
 * on; it reads its own.
 */

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "../common/version.h"
#include "parent.h"

#ifndef SBINDIR			/* the build says where make install puts it */
#define SBINDIR		"/usr/local/sbin"
#endif
#define WORDS_MAX	256	/* of the command line */

extern char **environ;

static char *words[WORDS_MAX + 1];
static char self[PATH_MAX];	/* "": not known */

/* An absolute path, from before the folder is changed. */
void
bequeath_prepare(int argc, char **argv, int relative)
{
	char cwd[PATH_MAX];
	int i, n = 0;

	if (strchr(argv[0], '/') == NULL) {
		(void)strlcpy(self, SBINDIR "/pontifexd", sizeof(self));
	} else if (argv[0][0] == '/') {
		(void)strlcpy(self, argv[0], sizeof(self));
	} else if (getcwd(cwd, sizeof(cwd)) == NULL || (size_t)snprintf(self,
	    sizeof(self), "%s/%s", cwd, argv[0]) >= sizeof(self)) {
		self[0] = '\0';
	}
	words[n++] = self;
	for (i = 1; i < argc && n < WORDS_MAX - 2; i++)
		if (strcmp(argv[i], "--") != 0)
			words[n++] = argv[i];
	if (i < argc)
		self[0] = '\0';
	/* rc.subr(8) finds a daemon by its arguments: no more than needed. */
	if (!relative)
		return;
	/* The last one counts.  The configuration's goes with a reload. */
	words[n++] = strdup("-f");
	words[n] = strdup(parent.config->path);
	if (words[n - 1] == NULL || words[n] == NULL)
		fatal("out of memory");
}

const char *
bequeath_path(void)
{
	return self[0] == '\0' ? NULL : self;
}

/* In the new process: what it is to have loses its close-on-exec. */
static void
inherit(struct buffer *b, const char *name, int fd, const char *value)
{
	if (fd != -1)
		(void)fcntl(fd, F_SETFD, 0);
	(void)buffer_printf(b, "%s %d %s\n", name, fd, value);
}

static void
start(const char *by, int sock, int relay_sock)
{
	char text[64], line[PATH_MAX + 64];
	struct buffer b;

	buffer_init(&b, 96 * 1024);	/* an environment's variable has 128 KB */
	(void)buffer_add_cstr(&b, HANDOVER_ENV "=");
	inherit(&b, "link", sock, "");
	inherit(&b, "relay", relay_sock, "");
	control_inherit(&b, inherit);
	metrics_inherit(&b, inherit);
	notify_inherit(&b, inherit);
	doors_inherit(&b, inherit);
	inherit(&b, "generations", generations_page(), "");
	/* Its numbers must not be ours. */
	(void)snprintf(text, sizeof(text), "%u", child_instance() | 0xffffU);
	inherit(&b, "instances", -1, text);
	(void)snprintf(text, sizeof(text), "%u", crew_number() | 0xffU);
	inherit(&b, "crews", -1, text);
	inherit(&b, "verbose", -1, parent.verbose ? "1" : "0");
	inherit(&b, "foreground", -1, parent.foreground ? "1" : "0");
	inherit(&b, "messages", -1, program_messages);
	inherit(&b, "version", -1, program_version);
	inherit(&b, "config", -1, parent.config->digest);
	inherit(&b, "by", -1, by);
	diff_put_fixed(&b, parent.config);
	if (b.bad || buffer_add_char(&b, '\0') == -1 ||
	    putenv((char *)b.data) != 0)
		_exit(126);
	execve(self, words, environ);
	(void)snprintf(line, sizeof(line), "%s: cannot be executed: %s\n",
	    self, strerror(errno));
	(void)handover_say(sock, "refused", line);
	_exit(127);
}

/*
 * In a child of ours that ends at once, so that the new parent is a child of
 * init, as a daemon should be: systemd(1) does not wait for the end of a main
 * process that is another's.
 */
static void
start_apart(const char *by, int sock, int relay_sock)
{
	char text[16];
	pid_t forked = fork();

	if (forked == -1) {
		(void)handover_say(sock, "refused", strerror(errno));
	} else if (forked == 0) {
		(void)snprintf(text, sizeof(text), "%d", (int)getpid());
		(void)handover_say(sock, "process", text);
		start(by, sock, relay_sock);
	}
	_exit(0);
}

pid_t
bequeath(const char *by, int *link_fd, int *relay_fd)
{
	int links[2], relays[2], error;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, links) == -1)
		return -1;
	if (channel_pair(relays) == -1) {
		error = errno;
		close(links[0]);
		close(links[1]);
		errno = error;
		return -1;
	}
	if ((pid = fork()) == 0)
		start_apart(by, links[1], relays[1]);
	error = errno;
	close(links[1]);
	close(relays[1]);
	if (pid == -1) {
		close(links[0]);
		close(relays[0]);
		errno = error;
		return -1;
	}
	*link_fd = links[0];
	*relay_fd = relays[0];
	return pid;
}
