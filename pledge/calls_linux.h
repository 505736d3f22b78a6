/* SPDX-License-Identifier: ISC */

/*
 * What each role may call on Linux: the one table, which sandbox_linux.c
 * turns into a filter.  A call that is missing here kills the role that needs
 * it, in service; one too many is what a role that was taken over may use.
 * So each line is there because strace(1) showed a need or the C library of a
 * supported system is known to have it.
 *
 * Never, for anyone: execve, fork and clone, ptrace and process_vm_*, kill,
 * listen, bpf, io_uring, keyctl, userfaultfd, memfd_create, prctl, mount,
 * setuid and its kin, executable memory.
 */

#ifndef PLEDGE_CALLS_LINUX_H
#define PLEDGE_CALLS_LINUX_H

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <seccomp.h>

#include "../common/proc.h"

#define L	(1U << ROLE_LISTENER)
#define A	(1U << ROLE_AUTHD)
#define H	(1U << ROLE_HANDLER)
#define J	(1U << ROLE_AUDITD)
#define F	(1U << ROLE_FETCHER)
#define ALL	(L | A | H | J | F)

/* What a configuration may bring, beside the role. */
#define TCP	(1U << 0)	/* it connects to ports */
#define UNIX	(1U << 1)	/* it connects to Unix sockets */
#define DNS	(1U << 2)	/* it looks names up */
#define NO_UNIX	(1U << 3)	/* it does not */
#define NETWORK	(TCP | UNIX | DNS)
#define ANY	0U		/* whatever the configuration says */

/* Whatever the arguments. */
static const struct {
	int		call;
	unsigned int	roles;
	unsigned int	needs;	/* one of them, or ANY */
} calls[] = {
	/* memory */
	{ SCMP_SYS(brk), ALL, ANY }, { SCMP_SYS(munmap), ALL, ANY },
	{ SCMP_SYS(mremap), ALL, ANY }, { SCMP_SYS(madvise), ALL, ANY },
	/* time, randomness, identity; sysinfo is qsort(3)'s */
	{ SCMP_SYS(clock_gettime), ALL, ANY },
	{ SCMP_SYS(gettimeofday), ALL, ANY }, { SCMP_SYS(time), ALL, ANY },
	{ SCMP_SYS(clock_nanosleep), H, ANY }, { SCMP_SYS(nanosleep), H, ANY },
	{ SCMP_SYS(getrandom), ALL, ANY }, { SCMP_SYS(getpid), ALL, ANY },
	{ SCMP_SYS(gettid), ALL, ANY }, { SCMP_SYS(sysinfo), ALL, ANY },
	{ SCMP_SYS(getuid), H | J, ANY }, { SCMP_SYS(geteuid), H | J, ANY },
	{ SCMP_SYS(uname), H | J | F, DNS },
	/* signals and the end */
	{ SCMP_SYS(rt_sigprocmask), ALL, ANY },
	{ SCMP_SYS(restart_syscall), ALL, ANY },
	{ SCMP_SYS(futex), ALL, ANY },
	{ SCMP_SYS(exit_group), ALL, ANY },
	/* descriptors that are open; writev is what abort(3) says last */
	{ SCMP_SYS(read), ALL, ANY }, { SCMP_SYS(write), ALL, ANY },
	{ SCMP_SYS(writev), ALL, ANY }, { SCMP_SYS(close), ALL, ANY },
	{ SCMP_SYS(fstat), ALL, ANY },
	{ SCMP_SYS(recvfrom), ALL, ANY }, { SCMP_SYS(recvmsg), ALL, ANY },
	{ SCMP_SYS(poll), ALL, ANY }, { SCMP_SYS(ppoll), ALL, ANY },
	{ SCMP_SYS(epoll_wait), ALL, ANY }, { SCMP_SYS(epoll_ctl), ALL, ANY },
	{ SCMP_SYS(epoll_pwait), ALL, ANY },
	{ SCMP_SYS(epoll_pwait2), ALL, ANY },
	/* connections from the network */
	{ SCMP_SYS(accept4), L, ANY },
	/* connections to the sources: Landlock says to which ports */
	{ SCMP_SYS(connect), H | J | F, NETWORK },
	{ SCMP_SYS(getsockopt), H | J | F, NETWORK },
	{ SCMP_SYS(getsockname), H | J | F, NETWORK },
	{ SCMP_SYS(getpeername), H | J | F, NETWORK },
	{ SCMP_SYS(bind), H | J, DNS },		/* netlink: getaddrinfo(3) */
	/* files: Landlock says which */
	{ SCMP_SYS(openat), H | J | F, ANY },
	{ SCMP_SYS(open), H | J, ANY },
	{ SCMP_SYS(newfstatat), H | J, ANY }, { SCMP_SYS(statx), H | J, ANY },
	{ SCMP_SYS(stat), H | J, ANY }, { SCMP_SYS(lstat), H | J, ANY },
	{ SCMP_SYS(access), H | J, ANY }, { SCMP_SYS(faccessat), H | J, ANY },
	{ SCMP_SYS(faccessat2), H | J, ANY },
	{ SCMP_SYS(readlink), H, ANY }, { SCMP_SYS(readlinkat), H, ANY },
	{ SCMP_SYS(pread64), H | J, ANY },
	{ SCMP_SYS(fsync), H | J, ANY }, { SCMP_SYS(fdatasync), H | J, ANY },
	{ SCMP_SYS(unlinkat), H | J, ANY },
	/* SQLite's journal, and the index of its write-ahead log */
	{ SCMP_SYS(unlink), H, ANY }, { SCMP_SYS(fchmod), H, ANY },
	/* the audit journal's folder */
	{ SCMP_SYS(renameat), J, ANY }, { SCMP_SYS(renameat2), J, ANY },
	{ SCMP_SYS(fstatfs), J, ANY },
	{ SCMP_SYS(getdents64), J, ANY }, { SCMP_SYS(flock), J, ANY },
};

#define EQ(n, value)		{ n, SCMP_CMP_EQ, value, 0 }
#define BITS(n, mask, value)	{ n, SCMP_CMP_MASKED_EQ, mask, value }
#define NO_BITS(n, mask)	BITS(n, mask, 0)
/*
 * Its first: not one that all processes log to.  What is open there they share
 * down to its flags and its place, be it a file or a socket of the service
 * manager.  sandbox_linux.c makes several rules of it.
 */
#define NOT_LOG			{ 0, SCMP_CMP_GT, STDERR_FILENO, 0 }

#define TYPE_MASK	0xfU	/* of socket(2)'s type; the rest is flags */

/*
 * With these arguments only.  error 0: allowed; else the call fails with it,
 * which is for what libraries try by themselves and can do without.
 *
 * MSG_FASTOPEN makes sendto(2) and its kin connect, past the eyes of
 * Landlock; a protocol beside TCP would pass its rule for ports likewise.
 */
static const struct filtered {
	int			call;
	unsigned int		roles;
	unsigned int		needs;
	int			error;
	unsigned int		args;
	struct scmp_arg_cmp	arg[3];
} filtered[] = {
	{ SCMP_SYS(mmap), ALL, ANY, 0, 1, { NO_BITS(2, PROT_EXEC) } },
	{ SCMP_SYS(mprotect), ALL, ANY, 0, 1, { NO_BITS(2, PROT_EXEC) } },
	{ SCMP_SYS(fcntl), ALL, ANY, 0, 1, { EQ(1, F_GETFL) } },
	{ SCMP_SYS(fcntl), ALL, ANY, 0, 2, { NOT_LOG, EQ(1, F_SETFL) } },
	{ SCMP_SYS(fcntl), ALL, ANY, 0, 1, { EQ(1, F_GETFD) } },
	{ SCMP_SYS(fcntl), ALL, ANY, 0, 1, { EQ(1, F_SETFD) } },
	{ SCMP_SYS(fcntl), H, ANY, 0, 1, { EQ(1, F_GETLK) } },
	{ SCMP_SYS(fcntl), H, ANY, 0, 1, { EQ(1, F_SETLK) } },
	{ SCMP_SYS(fcntl), H, ANY, 0, 1, { EQ(1, F_SETLKW) } },
	{ SCMP_SYS(ioctl), ALL, ANY, 0, 1, { EQ(1, FIONREAD) } },
	{ SCMP_SYS(ioctl), ALL, ANY, 0, 2, { NOT_LOG, EQ(1, FIONBIO) } },
	/* stdio asks whether the log is a terminal: it is told no. */
	{ SCMP_SYS(ioctl), ALL, ANY, ENOTTY, 1, { EQ(1, TCGETS) } },
	{ SCMP_SYS(lseek), ALL, ANY, 0, 1, { NOT_LOG } },
	/* glibc's dprintf(3), before 2.37: where are we? */
	{ SCMP_SYS(lseek), ALL, ANY, 0, 2, { EQ(1, 0), EQ(2, SEEK_CUR) } },
	{ SCMP_SYS(shutdown), L, ANY, 0, 1, { NOT_LOG } },
	{ SCMP_SYS(shutdown), H | J | F, NETWORK, 0, 1, { NOT_LOG } },
	{ SCMP_SYS(ftruncate), H | J, ANY, 0, 1, { NOT_LOG } },
	{ SCMP_SYS(pwrite64), H, ANY, 0, 1, { NOT_LOG } },
	{ SCMP_SYS(fallocate), H, ANY, 0, 1, { NOT_LOG } },
	/* SQLite gives what it makes to the owner of its database. */
	{ SCMP_SYS(fchown), H, ANY, EPERM, 0, { EQ(0, 0) } },
	/* glibc's fstat(3), before 2.39 */
	{ SCMP_SYS(newfstatat), L | A | F, ANY, 0, 1, { EQ(3, AT_EMPTY_PATH) } },
	/* A newer c-ares asks whether the hosts file changed, and reads it. */
	{ SCMP_SYS(newfstatat), F, DNS, EACCES, 1, { EQ(3, 0) } },
	{ SCMP_SYS(sched_getaffinity), ALL, ANY, 0, 1, { EQ(0, 0) } },
	{ SCMP_SYS(sendto), ALL, ANY, 0, 2, { NO_BITS(3, MSG_FASTOPEN),
	    EQ(4, 0) } },
	{ SCMP_SYS(sendto), H | J | F, DNS, 0, 1, { NO_BITS(3, MSG_FASTOPEN) } },
	{ SCMP_SYS(sendmsg), H | J, DNS, 0, 1, { NO_BITS(2, MSG_FASTOPEN) } },
	{ SCMP_SYS(sendmmsg), H | J, DNS, 0, 1, { NO_BITS(3, MSG_FASTOPEN) } },
	{ SCMP_SYS(setsockopt), L, ANY, 0, 2, {
	    EQ(1, IPPROTO_TCP), EQ(2, TCP_NODELAY) } },
	{ SCMP_SYS(setsockopt), H | J | F, TCP, 0, 2, {
	    EQ(1, IPPROTO_TCP), EQ(2, TCP_NODELAY) } },
	{ SCMP_SYS(setsockopt), H | J, TCP, 0, 2, {
	    EQ(1, IPPROTO_TCP), EQ(2, TCP_KEEPIDLE) } },
	{ SCMP_SYS(setsockopt), H | J, TCP, 0, 2, {
	    EQ(1, IPPROTO_TCP), EQ(2, TCP_KEEPINTVL) } },
	{ SCMP_SYS(setsockopt), H | J, TCP, 0, 2, {
	    EQ(1, IPPROTO_TCP), EQ(2, TCP_KEEPCNT) } },
	{ SCMP_SYS(setsockopt), H | J, TCP, 0, 2, {
	    EQ(1, IPPROTO_TCP), EQ(2, TCP_USER_TIMEOUT) } },
	{ SCMP_SYS(setsockopt), H | J, TCP, 0, 2, {
	    EQ(1, SOL_SOCKET), EQ(2, SO_KEEPALIVE) } },
	/* A sink: what the kernel holds of it is bounded. */
	{ SCMP_SYS(setsockopt), J, NETWORK, 0, 2, {
	    EQ(1, SOL_SOCKET), EQ(2, SO_SNDBUF) } },
	/* A newer c-ares would like its TCP fast, and does without. */
	{ SCMP_SYS(setsockopt), F, DNS, EPERM, 2, {
	    EQ(1, IPPROTO_TCP), EQ(2, TCP_FASTOPEN_CONNECT) } },
	{ SCMP_SYS(setsockopt), H | J, DNS, 0, 2, {
	    EQ(1, IPPROTO_IP), EQ(2, IP_RECVERR) } },
	{ SCMP_SYS(setsockopt), H | J, DNS, 0, 2, {
	    EQ(1, IPPROTO_IPV6), EQ(2, IPV6_RECVERR) } },
	{ SCMP_SYS(socket), H | J | F, TCP | DNS, 0, 3, { EQ(0, AF_INET),
	    BITS(1, TYPE_MASK, SOCK_STREAM), EQ(2, 0) } },
	{ SCMP_SYS(socket), H | J | F, TCP | DNS, 0, 3, { EQ(0, AF_INET),
	    BITS(1, TYPE_MASK, SOCK_STREAM), EQ(2, IPPROTO_TCP) } },
	{ SCMP_SYS(socket), H | J | F, TCP | DNS, 0, 3, { EQ(0, AF_INET6),
	    BITS(1, TYPE_MASK, SOCK_STREAM), EQ(2, 0) } },
	{ SCMP_SYS(socket), H | J | F, TCP | DNS, 0, 3, { EQ(0, AF_INET6),
	    BITS(1, TYPE_MASK, SOCK_STREAM), EQ(2, IPPROTO_TCP) } },
	{ SCMP_SYS(socket), H | J | F, DNS, 0, 3, { EQ(0, AF_INET),
	    BITS(1, TYPE_MASK, SOCK_DGRAM), EQ(2, 0) } },
	{ SCMP_SYS(socket), H | J | F, DNS, 0, 3, { EQ(0, AF_INET6),
	    BITS(1, TYPE_MASK, SOCK_DGRAM), EQ(2, 0) } },
	{ SCMP_SYS(socket), H | J, DNS, 0, 1, { EQ(0, AF_NETLINK) } },
	{ SCMP_SYS(socket), H | J, UNIX, 0, 3, { EQ(0, AF_UNIX),
	    BITS(1, TYPE_MASK, SOCK_STREAM), EQ(2, 0) } },
	/* getpwuid(3) in libpq asks for a name service daemon. */
	{ SCMP_SYS(socket), H | J, NO_UNIX, EACCES, 2, { EQ(0, AF_UNIX),
	    BITS(1, TYPE_MASK, SOCK_STREAM) } },
	/* syslog(3) wants another socket when the logger was restarted. */
	{ SCMP_SYS(socket), ALL, ANY, EACCES, 2, { EQ(0, AF_UNIX),
	    BITS(1, TYPE_MASK, SOCK_DGRAM) } },
};

#ifdef SANITIZED
/*
 * What AddressSanitizer's runtime calls on its own account.  Files that it
 * would like to see while it reports stay closed, as they are without it.
 */
static const struct filtered sanitizer_calls[] = {
	{ SCMP_SYS(sigaltstack), ALL, ANY, 0, 0, { EQ(0, 0) } },
	{ SCMP_SYS(sched_yield), ALL, ANY, 0, 0, { EQ(0, 0) } },
	{ SCMP_SYS(getrlimit), ALL, ANY, 0, 0, { EQ(0, 0) } },
	{ SCMP_SYS(prlimit64), ALL, ANY, 0, 1, { EQ(2, 0) } },
	{ SCMP_SYS(rt_sigaction), ALL, ANY, 0, 1, {
	    { 0, SCMP_CMP_NE, SIGSYS, 0 } } },
	{ SCMP_SYS(open), L | A | F, ANY, EACCES, 0, { EQ(0, 0) } },
	{ SCMP_SYS(openat), L | A, ANY, EACCES, 0, { EQ(0, 0) } },
	{ SCMP_SYS(stat), L | A | F, ANY, EACCES, 0, { EQ(0, 0) } },
	{ SCMP_SYS(readlink), L | A | F, ANY, EACCES, 0, { EQ(0, 0) } },
	{ SCMP_SYS(readlinkat), L | A | F, ANY, EACCES, 0, { EQ(0, 0) } },
};
#endif

#endif
