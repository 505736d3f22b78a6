/* SPDX-License-Identifier: ISC */

/*
 * What somebody who runs code in one of our processes tries at once: files,
 * other processes, the network, more rights.  Each act returns 0 where it was
 * done, or -1 with errno.  The paths and ports come from the plan.
 */

#ifndef TESTS_HOSTILE_ACTS_H
#define TESTS_HOSTILE_ACTS_H

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include "../../common/compat.h"
#include "../../common/proc.h"
#include "../../pledge/calls_linux.h"	/* names for the roles */

static struct {
	char	keys[256];
	char	journal[256];	/* the folder */
	char	data[256];	/* of a source that is written to */
	char	read_only[256];	/* of one that is not */
	char	control[256];
	int	http_port;
	int	data_port;	/* Postgres, of a source */
	pid_t	parent;
	int	pair[2];	/* made before the sandbox */
} at;

static int
read_file(const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY);

	return fd == -1 || read(fd, &byte, 1) == -1 ? -1 : close(fd);
}

static int act_passwd(void) { return read_file("/etc/passwd"); }
static int act_keys(void) { return read_file(at.keys); }
static int act_data(void) { return read_file(at.data); }

static int
act_journal(void)
{
	char path[320];

	(void)snprintf(path, sizeof(path), "%s/00000000000000000001.jsonl",
	    at.journal);
	return read_file(path);
}

static int
act_read_only(void)
{
	int fd = open(at.read_only, O_RDWR);

	return fd == -1 ? -1 : close(fd);
}

static int
act_list(void)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY);
	char buf[4096];

	return fd == -1 ? -1 : (int)syscall(SYS_getdents64, fd, buf,
	    sizeof(buf)) > 0 ? 0 : -1;
}

static int
act_create(void)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/tmp/twin.%d", (int)at.parent);
	if ((fd = open(path, O_WRONLY | O_CREAT, 0600)) == -1)
		return -1;
	(void)unlink(path);
	return close(fd);
}

static int
act_exec(void)
{
	static char *argv[] = { (char *)(uintptr_t)"true", NULL };
	static char *env[] = { NULL };

	(void)execve("/bin/true", argv, env);
	return -1;
}

static int
act_fork(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid == -1 ? -1 : waitpid(pid, NULL, 0) == -1 ? -1 : 0;
}

static int
act_ptrace(void)
{
	if (ptrace(PTRACE_SEIZE, at.parent, NULL, NULL) == -1)
		return -1;
	(void)ptrace(PTRACE_DETACH, at.parent, NULL, NULL);
	return 0;
}

static int
act_read_memory(void)
{
	char byte;
	struct iovec local = { &byte, 1 }, remote = { &at, 1 };

	return process_vm_readv(at.parent, &local, 1, &remote, 1, 0) == -1 ?
	    -1 : 0;
}

static int
act_proc(void)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)at.parent);
	return read_file(path);
}

static int
act_pidfd(void)
{
	return (int)syscall(SYS_pidfd_open, at.parent, 0) == -1 ? -1 : 0;
}

static int act_kill(void) { return kill(at.parent, 0); }

static int
connect_port(int port)
{
	struct sockaddr_in sin;
	int fd = socket(AF_INET, SOCK_STREAM, 0), rc;

	if (fd == -1)
		return -1;
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons((uint16_t)port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	rc = connect(fd, (struct sockaddr *)&sin, sizeof(sin));
	return rc == -1 ? -1 : close(fd);
}

static int act_connect(void) { return connect_port(at.http_port); }
static int act_connect_data(void) { return connect_port(at.data_port); }

static int
act_udp(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return fd == -1 ? -1 : close(fd);
}

static int
act_raw(void)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);

	return fd == -1 ? -1 : close(fd);
}

static int
act_listen(void)
{
	struct sockaddr_in sin;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd == -1)
		return -1;
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, 1) == -1)
		return -1;
	return close(fd);
}

static int
act_control(void)
{
	struct sockaddr_un sun;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd == -1)
		return -1;
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	(void)strlcpy(sun.sun_path, at.control, sizeof(sun.sun_path));
	return connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ? -1 :
	    close(fd);
}

/* As to a sibling, over a socket that is there. */
static int
act_hand_on(void)
{
	char byte = 0, space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg;
	struct cmsghdr *c;

	memset(&msg, 0, sizeof(msg));
	memset(space, 0, sizeof(space));
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = space;
	msg.msg_controllen = sizeof(space);
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &at.pair[1], sizeof(int));
	return sendmsg(at.pair[0], &msg, 0) == -1 ? -1 : 0;
}

/* The log of all: it is one file, or one socket, that they share. */
static int act_shut_log(void) { return shutdown(STDERR_FILENO, SHUT_RDWR); }

/* To the size that it has: the test looks into it afterwards. */
static int
act_cut_log(void)
{
	struct stat st;

	return fstat(STDERR_FILENO, &st) == -1 ? -1 :
	    ftruncate(STDERR_FILENO, st.st_size);
}

/* With the flags that it has; without O_APPEND others would be written over. */
static int
act_log_flags(void)
{
	int flags = fcntl(STDERR_FILENO, F_GETFL);

	return flags == -1 ? -1 : fcntl(STDERR_FILENO, F_SETFL, flags);
}

/* A descriptor of 64 bits, of which the kernel takes 32. */
static int
act_log_place(void)
{
	return syscall(SYS_lseek, (1UL << 32) + STDERR_FILENO, 0, SEEK_END) ==
	    -1 ? -1 : 0;
}

static int
act_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -1 : munmap(p, 4096);
}

static int
act_code_later(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -1;
	return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int
fd_result(long fd)
{
	return fd == -1 ? -1 : close((int)fd);
}

static int act_memfd(void) { return fd_result(syscall(SYS_memfd_create, "x", 0)); }
static int act_uring(void) { char p[256] = { 0 }; return fd_result(syscall(SYS_io_uring_setup, 1, p)); }
static int act_bpf(void) { char a[128] = { 0 }; return syscall(SYS_bpf, 0, a, sizeof(a)) == -1 ? -1 : 0; }
static int act_keyctl(void) { return syscall(SYS_keyctl, 0, -3, 1, 0, 0) == -1 ? -1 : 0; }
static int act_userfault(void) { return fd_result(syscall(SYS_userfaultfd, 1)); }
static int act_root(void) { return setuid(0); }
static int act_namespace(void) { return unshare(CLONE_NEWUSER); }
static int act_mount(void) { return mount("none", "/tmp", "tmpfs", 0, NULL); }
static int act_chroot(void) { return chroot("/"); }
static int act_dumpable(void) { return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); }

static int
act_limits(void)
{
	struct rlimit limit = { 1 << 20, 1 << 20 };

	return setrlimit(RLIMIT_NOFILE, &limit);
}

/* Whose job an act is does not try it. */
static const struct act {
	const char	*what;
	int		(*act)(void);
	unsigned int	 roles;
} acts[] = {
	{ "read /etc/passwd", act_passwd, ALL },
	{ "read the key file", act_keys, ALL },
	{ "read the audit journal", act_journal, ALL & ~J },
	{ "read the data file of a source", act_data, ALL & ~H },
	{ "write to the data file of a source that no tool writes to", act_read_only, ALL },
	{ "list the root directory", act_list, ALL },
	{ "make a file", act_create, ALL },
	{ "start a program", act_exec, ALL },
	{ "make a process", act_fork, ALL },
	{ "trace the parent", act_ptrace, ALL },
	{ "read the parent's memory", act_read_memory, ALL },
	{ "open the parent's /proc/PID/mem", act_proc, ALL },
	{ "open a handle on the parent", act_pidfd, ALL },
	{ "send the parent a signal", act_kill, ALL },
	{ "connect to a port that nobody configured", act_connect, ALL },
	{ "connect to the port of a data source", act_connect_data, ALL & ~H },
	{ "open a UDP socket", act_udp, ALL & ~F },
	{ "open a raw socket", act_raw, ALL },
	{ "listen on a port", act_listen, ALL },
	{ "connect to the control socket", act_control, ALL },
	{ "hand a descriptor on", act_hand_on, ALL },
	{ "shut down the socket that all log to", act_shut_log, ALL },
	{ "cut the file that all log to", act_cut_log, ALL },
	{ "change the flags of what all log to", act_log_flags, ALL },
	{ "go back in the file that all log to", act_log_place, ALL },
	{ "get executable memory", act_code, ALL },
	{ "make memory executable", act_code_later, ALL },
	{ "make a file in memory", act_memfd, ALL },
	{ "use io_uring", act_uring, ALL },
	{ "use bpf", act_bpf, ALL },
	{ "use the kernel's keys", act_keyctl, ALL },
	{ "use userfaultfd", act_userfault, ALL },
	{ "become root", act_root, ALL },
	{ "enter a namespace of its own", act_namespace, ALL },
	{ "mount", act_mount, ALL },
	{ "change the root directory", act_chroot, ALL },
	{ "be dumpable again", act_dumpable, ALL },
	{ "lift a resource limit", act_limits, ALL },
};

#endif
