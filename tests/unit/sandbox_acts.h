/* SPDX-License-Identifier: ISC */

/*
 * The acts of test_sandbox.c: what somebody who runs code in a role would
 * try, and what the role itself must go on doing.  Each returns -1 with errno
 * where it fails.
 */

#ifndef TESTS_UNIT_SANDBOX_ACTS_H
#define TESTS_UNIT_SANDBOX_ACTS_H

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#include <sqlite3.h>

#include "../../common/compat.h"
#include "../../common/log.h"

static struct {
	char		base[64];
	char		read_dir[96];
	char		write_dir[96];
	char		other_dir[96];
	char		socket_path[96];
	int		listening;	/* its port is listed */
	uint16_t	port;
	int		unlisted;	/* its port is not */
	uint16_t	unlisted_port;
	int		unix_listening;
	int		pair[2];
	int		abi;		/* of Landlock */
	pid_t		self;
} env;

/* ---- acts: 0, or -1 with errno ----------------------------------------- */

static int
open_for(const char *dir, const char *name, int flags)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, flags, 0600);
}

static int open_passwd(void) { return open("/etc/passwd", O_RDONLY); }
static int list_root(void) { return open("/", O_RDONLY | O_DIRECTORY); }
static int read_listed(void) { return open_for(env.read_dir, "file", O_RDONLY); }
static int write_read_only(void) { return open_for(env.read_dir, "file", O_WRONLY); }
static int read_outside(void) { return open_for(env.other_dir, "file", O_RDONLY); }
static int write_outside(void) { return open_for(env.other_dir, "file", O_WRONLY); }

static int
create_outside(void)
{
	return open_for(env.other_dir, "new", O_CREAT | O_WRONLY);
}

static int
remove_outside(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/victim", env.other_dir);
	return unlinkat(AT_FDCWD, path, 0);
}

static int
move_outside(void)
{
	char from[128], to[128];

	(void)snprintf(from, sizeof(from), "%s/moved", env.write_dir);
	(void)snprintf(to, sizeof(to), "%s/moved", env.other_dir);
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

/* What auditd does to its journal, but for the chain. */
static int
keep_journal(void)
{
	char name[64], text[] = "{}\n";
	int dir, fd, rc;
	DIR *d;

	dir = open(env.write_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(name, sizeof(name), "journal.%d", (int)getpid());
	fd = openat(dir, name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (dir == -1 || fd == -1 || write(fd, text, 3) != 3 ||
	    fdatasync(fd) == -1 || fsync(dir) == -1 ||
	    ftruncate(fd, 1) == -1 || pread(fd, text, 1, 0) != 1 ||
	    renameat(dir, name, dir, "journal.renamed") == -1 ||
	    (d = fdopendir(dir)) == NULL)
		return -1;
	rc = readdir(d) == NULL ? -1 : 0;
	return rc == -1 ? -1 : unlinkat(dir, "journal.renamed", 0);
}

static int
use_sqlite(void)
{
	char path[128];
	sqlite3 *db;

	(void)snprintf(path, sizeof(path), "%s/data.%d.db", env.write_dir,
	    (int)getpid());
	if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db,
	    "CREATE TABLE t (a); INSERT INTO t VALUES (1); BEGIN;"
	    "INSERT INTO t SELECT a + 1 FROM t; COMMIT;"
	    "PRAGMA journal_mode = WAL; INSERT INTO t VALUES (3);"
	    "UPDATE t SET a = a + 1; SELECT * FROM t", NULL, NULL, NULL) !=
	    SQLITE_OK || sqlite3_close(db) != SQLITE_OK) {
		errno = EIO;
		return -1;
	}
	return 0;
}

static int inet_socket(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static int udp_socket(void) { return socket(AF_INET, SOCK_DGRAM, 0); }
static int mptcp_socket(void) { return socket(AF_INET, SOCK_STREAM, 262); }
static int netlink_socket(void) { return socket(AF_NETLINK, SOCK_RAW, 0); }
static int logger_socket(void) { return socket(AF_UNIX, SOCK_DGRAM, 0); }

static struct sockaddr_in
loopback(uint16_t port)
{
	struct sockaddr_in sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons(port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sin;
}

static int
connect_to(uint16_t port)
{
	struct sockaddr_in sin = loopback(port);
	int fd;

	if ((fd = inet_socket()) == -1)
		return -1;
	return connect(fd, (struct sockaddr *)&sin, sizeof(sin));
}

static int connect_listed(void) { return connect_to(env.port); }
static int connect_unlisted(void) { return connect_to(env.unlisted_port); }

static int
bind_port(void)
{
	struct sockaddr_in sin = loopback(0);
	int fd = inet_socket();

	return fd == -1 ? -1 : bind(fd, (struct sockaddr *)&sin, sizeof(sin));
}

static int
connect_unix(void)
{
	struct sockaddr_un sun;
	int fd;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	(void)strlcpy(sun.sun_path, env.socket_path, sizeof(sun.sun_path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM, 0)) == -1)
		return -1;
	return connect(fd, (struct sockaddr *)&sun, sizeof(sun));
}

/* A socket that is here already is sent elsewhere. */
static int
connect_inherited(void)
{
	struct sockaddr_in sin = loopback(env.unlisted_port);

	return connect(env.pair[0], (struct sockaddr *)&sin, sizeof(sin)) ==
	    -1 && errno != EINVAL && errno != EISCONN ? -1 : 0;
}

/* Of this process alone, made before it is confined. */
static int own_listening = -1;	/* somebody waits to be accepted */
static uid_t own_uid;

/*
 * A connection without connect(2): MSG_FASTOPEN takes an address.  In this
 * way a port is reached that connect(2) may not go to.
 */
static int
connect_by_sending(void)
{
	struct sockaddr_in sin = loopback(env.unlisted_port);
	int fd;

	if ((fd = inet_socket()) == -1)
		return -1;
	return sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
	    (struct sockaddr *)&sin, sizeof(sin)) == 1 ? 0 : -1;
}

static int
send_to_address(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	return sendto(env.pair[0], "x", 1, 0, (struct sockaddr *)&sun,
	    sizeof(sun)) == 1 || errno == EISCONN ? 0 : -1;
}

/* A descriptor would travel with it. */
static int
send_message(void)
{
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return sendmsg(env.pair[0], &msg, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static int
attach_filter(void)
{
	int on = 1;

	return setsockopt(env.pair[0], SOL_SOCKET, SO_DETACH_FILTER, &on,
	    sizeof(on)) == -1 && errno != ENOENT ? -1 : 0;
}

static int
run_program(void)
{
	static char *argv[] = { (char *)(uintptr_t)"true", NULL };
	static char *none[] = { NULL };

	(void)execve("/bin/true", argv, none);
	return -1;
}

/* Not fork(3): a newer C library blocks SIGSYS there, and nobody is told. */
static int
make_process(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid == -1 || waitpid(pid, NULL, 0) == -1 ? -1 : 0;
}

static int trace(void) { return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL); }
static int kill_parent(void) { return kill(env.self, 0); }

static int
tgkill_parent(void)
{
	return (int)syscall(SYS_tgkill, env.self, env.self, 0);
}

static int
map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE |
	    MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int
turn_into_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE |
	    MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -1 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int
read_parent(void)
{
	char here[8];
	struct iovec to = { here, sizeof(here) };
	struct iovec from = { &env, sizeof(here) };

	return process_vm_readv(env.self, &to, 1, &from, 1, 0) > 0 ? 0 : -1;
}

static int
catch_again(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = SIG_IGN;
	return sigaction(SIGSYS, &sa, NULL);
}


/* It fails where there is no terminal: that it may be asked is the point. */
static int
push_input(void)
{
	(void)ioctl(STDIN_FILENO, TIOCSTI, "x");
	return 0;
}

static int be_root(void) { return setuid(own_uid); }
static int new_space(void) { return unshare(0); }
static int name_self(void) { return prctl(PR_SET_NAME, "other"); }

static int
make_memory_file(void)
{
	return (int)syscall(SYS_memfd_create, "m", 0);
}

/* Refused for want of arguments where it is not refused altogether. */
static int
absurd(long number)
{
	return syscall(number, -1, 0, 0, 0, 0) == -1 && errno == ENOSYS ? -1 : 0;
}

static int load_bpf(void) { return absurd(SYS_bpf); }
static int use_ring(void) { return absurd(425 /* io_uring_setup */); }
static int use_keys(void) { return absurd(SYS_keyctl); }
static int handle_faults(void) { return absurd(SYS_userfaultfd); }
static int listen_self(void) { return listen(env.listening, 1); }
static int clone_again(void) { return absurd(435 /* clone3 */); }

static int
make_link(void)
{
	char from[128], to[128];

	(void)snprintf(from, sizeof(from), "%s/file", env.read_dir);
	(void)snprintf(to, sizeof(to), "%s/link.%d", env.write_dir,
	    (int)getpid());
	return link(from, to);
}

/* ---- acts that are somebody's work ------------------------------------- */

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(int));
}

/* What every role does: memory, sorting, time, the log, its sockets. */
static int
work(void)
{
	static int numbers[20000];
	unsigned char *p;
	struct timespec ts;
	char byte;
	size_t n;

	for (n = 1 << 10; n <= 1 << 26; n <<= 2) {
		if ((p = malloc(n)) == NULL)
			return -1;
		memset(p, 1, n);
		if ((p = realloc(p, n * 2)) == NULL)
			return -1;
		free(p);
	}
	for (n = 0; n < 20000; n++)
		numbers[n] = (int)arc4random_uniform(1000);
	qsort(numbers, 20000, sizeof(numbers[0]), compare);
	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1 || time(NULL) < 0)
		return -1;
	log_info("one line from inside");
	/* Whatever the state of the system's logger is. */
	syslog(LOG_DAEMON | LOG_DEBUG, "test_sandbox: a line");
	return send(env.pair[0], "x", 1, MSG_NOSIGNAL) == 1 &&
	    recv(env.pair[1], &byte, 1, 0) == 1 ? 0 : -1;
}

static int
accept_client(void)
{
	static const int on = 1;
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int fd;

	fd = accept4(own_listening, (struct sockaddr *)&sin, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	return fd == -1 ? -1 : setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
	    sizeof(on));
}

#endif
