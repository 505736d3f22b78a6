/* SPDX-License-Identifier: ISC */

/*
 * Listening Unix sockets of the parent: for pontifexctl, and for those who
 * read metrics.  A file that nobody listens on is a leftover and goes; one
 * that is alive, or no socket, stops the start.  Who may connect is said by
 * the file's mode alone: its owner, and the group of the daemon where there
 * is one.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <grp.h>
#include <libgen.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

/* 1: somebody listens there, 0: nobody, -1 with errno. */
static int
is_alive(const struct sockaddr_un *sun)
{
	int fd, rc;

	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0)) == -1)
		return -1;
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	/* One whose queue is full, or that we may not ask, is alive, too. */
	rc = rc == 0 || (errno != ECONNREFUSED && errno != ENOENT);
	close(fd);
	return rc;
}

static int
clear_leftover(const struct sockaddr_un *sun)
{
	struct stat st;
	int alive;

	if (lstat(sun->sun_path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	if ((alive = is_alive(sun)) == 1)
		errno = EADDRINUSE;
	return alive != 0 ? -1 : unlink(sun->sun_path);
}

/* The group of the daemon's users; -1: as we run, there is none. */
static int
daemon_group(gid_t *gid)
{
	const struct group *group;

	if (!parent.drop)
		return -1;
	if (parent.config->user != NULL) {
		*gid = parent.gid[ROLE_LISTENER];
		return 0;
	}
	if ((group = getgrnam("_pontifexd")) == NULL)
		return -1;
	*gid = group->gr_gid;
	return 0;
}

/*
 * Made as root's, for the group: by being of that group for the moment, since
 * a service manager may keep chown(2) from us.
 */
static int
bind_file(int fd, const struct sockaddr_un *sun)
{
	gid_t own = getegid(), gid;
	int shared = daemon_group(&gid) == 0, rc;
	mode_t mask;

	if (shared && setegid(gid) == -1)
		return -1;
	mask = umask(shared ? 0117 : 0177);
	rc = bind(fd, (const struct sockaddr *)sun, sizeof(*sun));
	umask(mask);
	if (shared && setegid(own) == -1)
		fatal_errno("cannot be of our own group again");
	return rc;
}

static int
address_of(struct sockaddr_un *sun, const char *path)
{
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	return strlcpy(sun->sun_path, path, sizeof(sun->sun_path)) >=
	    sizeof(sun->sun_path) ? -1 : 0;
}

int
local_is_dead(const char *path)
{
	struct sockaddr_un sun;

	return address_of(&sun, path) == 0 && is_alive(&sun) == 0;
}

int
local_bind(const char *what, const char *path, int backlog)
{
	struct sockaddr_un sun;
	char dir[PATH_LEN_MAX];
	int fd;

	if (address_of(&sun, path) == -1 ||
	    strlcpy(dir, path, sizeof(dir)) >= sizeof(dir)) {
		log_warn("%s %s: path is longer than %zu bytes", what, path,
		    sizeof(sun.sun_path) - 1);
		return -1;
	}
	if (mkdir(dirname(dir), 0755) == -1 && errno != EEXIST) {
		log_errno("%s %s: folder", what, path);
		return -1;
	}
	if (clear_leftover(&sun) == -1) {
		log_errno("%s %s", what, path);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1) {
		log_errno("%s", what);
		return -1;
	}
	if (bind_file(fd, &sun) == -1 || listen(fd, backlog) == -1) {
		log_errno("%s %s", what, path);
		close(fd);
		return -1;
	}
	return fd;
}
