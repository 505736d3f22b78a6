/* SPDX-License-Identifier: ISC */

/* The few things that Linux and OpenBSD do differently outside pledge/. */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "compat.h"

#ifdef __linux__

#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <libgen.h>
#include <limits.h>
#include <signal.h>

int
watch_open(const char *path)
{
	char dir[PATH_MAX];
	int fd;

	/* The folder: an atomic rename puts a new file under the name. */
	if (strlcpy(dir, path, sizeof(dir)) >= sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) == -1)
		return -1;
	if (inotify_add_watch(fd, dirname(dir), IN_CLOSE_WRITE | IN_MOVED_TO |
	    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_ATTRIB) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

void
watch_drain(int fd)
{
	char events[4096];

	while (read(fd, events, sizeof(events)) > 0)
		;
}

int
process_memory(pid_t pid, uint64_t *bytes)
{
	char path[32], text[128], *second, *end;
	unsigned long long resident;
	long page = sysconf(_SC_PAGESIZE);
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	if (page <= 0 || (fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	/* proc(5): the whole size, then what is resident, in pages. */
	if ((second = strchr(text, ' ')) == NULL)
		return -1;
	errno = 0;
	resident = strtoull(second + 1, &end, 10);
	if (end == second + 1 || errno != 0)
		return -1;
	*bytes = resident * (uint64_t)page;
	return 0;
}

void
close_from(int lowest)
{
	if (syscall(SYS_close_range, (unsigned int)lowest, ~0U, 0) == -1)
		closefrom(lowest);
}

int
peer_user(int fd, uid_t *uid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		return -1;
	*uid = cred.uid;
	return 0;
}

int
shared_memory(size_t bytes)
{
	int fd;

	if ((fd = memfd_create("pontifexd", MFD_CLOEXEC |
	    MFD_ALLOW_SEALING)) == -1)
		return -1;
	if (ftruncate(fd, (off_t)bytes) == -1 || fcntl(fd, F_ADD_SEALS,
	    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

void
die_with_parent(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void
getopt_again(void)
{
	optind = 0;
}

#else	/* OpenBSD */

#include <sys/event.h>
#include <sys/mman.h>

#include <libgen.h>
#include <limits.h>

int
watch_open(const char *path)
{
	static int watched = -1;	/* one folder at a time */
	struct kevent change;
	char dir[PATH_MAX];
	int kq, fd;

	if (strlcpy(dir, path, sizeof(dir)) >= sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((fd = open(dirname(dir), O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	if ((kq = kqueue()) == -1) {
		close(fd);
		return -1;
	}
	EV_SET(&change, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR,
	    NOTE_WRITE | NOTE_EXTEND | NOTE_RENAME | NOTE_ATTRIB, 0, NULL);
	if (kevent(kq, &change, 1, NULL, 0, NULL) == -1) {
		close(kq);
		close(fd);
		return -1;
	}
	/* The end of the queue that watched it did not end that. */
	if (watched != -1)
		close(watched);
	watched = fd;
	return kq;
}

void
watch_drain(int fd)
{
	struct timespec now = { 0, 0 };
	struct kevent event;

	while (kevent(fd, NULL, 0, &event, 1, &now) > 0)
		;
}

int
process_memory(pid_t pid, uint64_t *bytes)
{
	/* It would take a promise more: "ps". */
	(void)pid;
	(void)bytes;
	errno = ENOTSUP;
	return -1;
}

void
close_from(int lowest)
{
	closefrom(lowest);
}

int
peer_user(int fd, uid_t *uid)
{
	gid_t gid;

	return getpeereid(fd, uid, &gid);
}

int
shared_memory(size_t bytes)
{
	char name[] = "/tmp/pontifexd.XXXXXXXXXX";
	int fd;

	if ((fd = shm_mkstemp(name)) == -1)
		return -1;
	if (shm_unlink(name) == -1 || ftruncate(fd, (off_t)bytes) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

void
die_with_parent(void)
{
	/* The end of the control socket tells it. */
}

void
getopt_again(void)
{
	optreset = 1;
	optind = 1;
}

#endif
