/* SPDX-License-Identifier: ISC */

/*
 * Confinement on OpenBSD: unveil(2) for the file system, pledge(2) for system
 * calls.  A broken promise ends the process by SIGABRT, and the kernel logs
 * its name and the call; the parent is told by SIGCHLD alone, so that
 * MSG_VIOLATION is never sent here.  unveil(2) knows no ports and pledge(2)
 * no direction: "inet", which accepting needs, would let a role connect too.
 * docs/security.md says what pf(4) adds.
 */

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "sandbox.h"

#define PROMISES_MAX	160	/* bytes of a list of promises */

/*
 * What each role promises.  The other three come with the configuration: a
 * Unix socket, a TCP port, a name to look up.
 */
static const struct {
	const char	*always;
	const char	*unix_socket;
	const char	*tcp;
	const char	*names;
} promises[ROLE_MAX] = {
	/*
	 * Starts, wires and watches children; reads the key file and the
	 * secrets again; serves the control socket.  Descriptors arrive at an
	 * upgrade, from the parent before.  A role becomes its user itself,
	 * after exec; a program of a sink, which is anybody's, is made nobody
	 * before that: "id".  "proc" is also to kill(2) the parent that takes
	 * over, which is no child of this one.
	 */
	[ROLE_PARENT] = {
	    "stdio rpath wpath cpath unix inet sendfd recvfd proc exec id",
	    "", "", "" },
	/* accept(2) and TCP_NODELAY are "inet"; sockets arrive by message. */
	[ROLE_LISTENER] = { "stdio inet recvfd", "", "", "" },
	[ROLE_AUTHD] = { "stdio recvfd", "", "", "" },
	/* "flock" is what SQLite's locks need. */
	[ROLE_HANDLER] = { "stdio recvfd rpath wpath cpath fattr flock",
	    " unix", " inet", " dns" },
	[ROLE_AUDITD] = { "stdio recvfd rpath wpath cpath flock",
	    " unix", " inet", " dns" },
	/* "rpath" is for the resolver's files, which are all it can see. */
	[ROLE_FETCHER] = { "stdio recvfd rpath", "", " inet", " dns" },
};

void
sandbox_needs_init(struct sandbox_needs *n)
{
	memset(n, 0, sizeof(*n));
}

void
sandbox_path(struct sandbox_needs *n, const char *path,
    enum sandbox_access access)
{
	if (n->paths == SANDBOX_PATHS_MAX)
		fatal("sandbox: more than %d paths", SANDBOX_PATHS_MAX);
	n->path[n->paths].path = path;
	n->path[n->paths++].access = access;
}

void
sandbox_port(struct sandbox_needs *n, uint16_t port)
{
	if (n->ports == SANDBOX_PORTS_MAX)
		fatal("sandbox: more than %d ports", SANDBOX_PORTS_MAX);
	n->port[n->ports++] = port;
}

const char *
sandbox_call_name(uint32_t number, char *buf, size_t size)
{
	(void)snprintf(buf, size, "number %u", number);
	return buf;
}

static int
has_path(const struct sandbox_needs *n, enum sandbox_access access)
{
	size_t i;

	for (i = 0; i < n->paths; i++)
		if (n->path[i].access == access)
			return 1;
	return 0;
}

static void
set_limit(int what, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit(what, &limit) == -1) {
		log_errno("sandbox: resource limit %d", what);
		return;
	}
	if (limit.rlim_max > value)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(what, &limit) == -1)
		log_errno("sandbox: resource limit %d", what);
}

static void
enter_limits(enum role role, const struct sandbox_needs *n)
{
	struct stat st;

	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_NOFILE, role == ROLE_LISTENER ? 8192 : 1024);
	/* A log on standard error may be a file; then it may grow. */
	if (!has_path(n, SANDBOX_WRITE) && fstat(STDERR_FILENO, &st) == 0 &&
	    !S_ISREG(st.st_mode))
		set_limit(RLIMIT_FSIZE, 0);
}

static int
unveil_one(const char *path, const char *permissions)
{
	if (unveil(path, permissions) == 0 || errno == ENOENT ||
	    errno == ENOTDIR || errno == EACCES)
		return 0;
	log_errno("sandbox: unveil %s", path);
	return -1;
}

static int
enter_unveil(const struct sandbox_needs *n)
{
	static const char *const permissions[] = {
		[SANDBOX_READ] = "r", [SANDBOX_WRITE] = "rwc",
		[SANDBOX_CONNECT] = "rw"
	};
	size_t i;

	/* Nothing is in sight but what follows. */
	if (unveil("/", "") == -1) {
		log_errno("sandbox: unveil");
		return -1;
	}
	for (i = 0; i < n->paths; i++)
		if (unveil_one(n->path[i].path,
		    permissions[n->path[i].access]) == -1)
			return -1;
	if (unveil(NULL, NULL) == -1) {
		log_errno("sandbox: unveil");
		return -1;
	}
	return 0;
}

static int
enter_pledge(enum role role, const struct sandbox_needs *n)
{
	char list[PROMISES_MAX];

	if (promises[role].always == NULL) {
		log_warn("sandbox: nothing says what %s may do",
		    role_name(role));
		return -1;
	}
	(void)strlcpy(list, promises[role].always, sizeof(list));
	if (n != NULL && has_path(n, SANDBOX_CONNECT))
		(void)strlcat(list, promises[role].unix_socket, sizeof(list));
	if (n != NULL && (n->ports > 0 || n->resolve))
		(void)strlcat(list, promises[role].tcp, sizeof(list));
	if (n != NULL && n->resolve &&
	    strlcat(list, promises[role].names, sizeof(list)) >=
	    sizeof(list)) {
		log_warn("sandbox: the list of promises is too long");
		return -1;
	}
	if (pledge(list, NULL) == -1) {
		log_errno("sandbox: pledge \"%s\"", list);
		return -1;
	}
	return 0;
}

/* pledge(2) and unveil(2) are in every kernel that this is compiled for. */
const char *
sandbox_missing(char *buf, size_t size)
{
	(void)buf;
	(void)size;
	return NULL;
}

int
sandbox_enter(enum role role, const struct sandbox_needs *n)
{
	if ((unsigned int)role >= ROLE_MAX ||
	    (role != ROLE_PARENT && n == NULL)) {
		log_warn("sandbox: nothing says what %s may do",
		    role_name(role));
		return -1;
	}
	if (role == ROLE_PARENT) {
		set_limit(RLIMIT_CORE, 0);
		return enter_pledge(role, NULL);
	}
	enter_limits(role, n);
	/* pledge(2) without "unveil" locks what is in sight. */
	return enter_unveil(n) == -1 || enter_pledge(role, n) == -1 ? -1 : 0;
}

/* pledge(2) and unveil(2) bind a process with all its threads. */
int
sandbox_thread(enum role role, const struct sandbox_needs *n)
{
	(void)role;
	(void)n;
	return 0;
}
