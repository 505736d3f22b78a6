/* SPDX-License-Identifier: ISC */

/*
 * Confinement on Linux: resource limits, no_new_privs, Landlock for the file
 * system and TCP ports, seccomp for system calls.  What a role may call is
 * one table.  A call outside it raises SIGSYS, whose handler tells the parent
 * the number and makes the call again: with the signal back at its default
 * that is the end of the process.  Whoever already runs code in the process
 * gains nothing from the handler: the call is never executed.
 */

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include <linux/landlock.h>
#include <seccomp.h>

#include "../common/compat.h"
#include "../common/frame.h"
#include "../common/log.h"
#include "../common/message.h"
#include "sandbox.h"

/* Debian 12's headers stop at ABI 2; the kernel says what it knows. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER	(1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE	(1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV	(1ULL << 15)
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP	(1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP	(1ULL << 1)
#endif
#define RULE_NET_PORT			2
#define SCOPE_ABSTRACT_UNIX_SOCKET	(1ULL << 0)
#define SCOPE_SIGNAL			(1ULL << 1)

struct ruleset_attr {
	uint64_t	handled_access_fs;
	uint64_t	handled_access_net;	/* from ABI 4 */
	uint64_t	scoped;			/* from ABI 6 */
};

struct net_port_attr {
	uint64_t	allowed_access;
	uint64_t	port;
};

#define L	(1 << ROLE_LISTENER)
#define A	(1 << ROLE_AUTHD)
#define H	(1 << ROLE_HANDLER)
#define J	(1 << ROLE_AUDITD)
#define ALL	(L | A | H | J)

/* What each role may call, whatever the arguments. */
static const struct {
	int		call;
	unsigned int	roles;
} calls[] = {
	/* memory */
	{ SCMP_SYS(brk), ALL }, { SCMP_SYS(munmap), ALL },
	{ SCMP_SYS(mremap), ALL }, { SCMP_SYS(madvise), ALL },
	/* time, randomness, identity */
	{ SCMP_SYS(clock_gettime), ALL }, { SCMP_SYS(gettimeofday), ALL },
	{ SCMP_SYS(clock_getres), ALL }, { SCMP_SYS(time), ALL },
	{ SCMP_SYS(clock_nanosleep), H | J }, { SCMP_SYS(nanosleep), H | J },
	{ SCMP_SYS(getrandom), ALL }, { SCMP_SYS(getpid), ALL },
	{ SCMP_SYS(gettid), ALL }, { SCMP_SYS(getuid), H | J },
	{ SCMP_SYS(geteuid), H | J }, { SCMP_SYS(getgid), H | J },
	{ SCMP_SYS(getegid), H | J }, { SCMP_SYS(uname), H | J },
	{ SCMP_SYS(sysinfo), H | J },
	/* signals and the end */
	{ SCMP_SYS(rt_sigprocmask), ALL }, { SCMP_SYS(rt_sigreturn), ALL },
	{ SCMP_SYS(exit), ALL }, { SCMP_SYS(exit_group), ALL },
	{ SCMP_SYS(restart_syscall), ALL }, { SCMP_SYS(futex), ALL },
	/* descriptors */
	{ SCMP_SYS(read), ALL }, { SCMP_SYS(readv), ALL },
	{ SCMP_SYS(write), ALL }, { SCMP_SYS(writev), ALL },
	{ SCMP_SYS(close), ALL }, { SCMP_SYS(fstat), ALL },
	{ SCMP_SYS(recvfrom), ALL }, { SCMP_SYS(recvmsg), ALL },
	{ SCMP_SYS(sendto), ALL }, { SCMP_SYS(sendmsg), ALL },
	{ SCMP_SYS(shutdown), ALL }, { SCMP_SYS(poll), ALL },
	{ SCMP_SYS(ppoll), ALL },
	{ SCMP_SYS(epoll_wait), ALL }, { SCMP_SYS(epoll_pwait), ALL },
	{ SCMP_SYS(epoll_pwait2), ALL }, { SCMP_SYS(epoll_ctl), ALL },
	{ SCMP_SYS(timerfd_settime), ALL }, { SCMP_SYS(lseek), ALL },
	/* connections from the network */
	{ SCMP_SYS(accept4), L }, { SCMP_SYS(accept), L },
	{ SCMP_SYS(getpeername), L | H | J },
	{ SCMP_SYS(getsockname), L | H | J },
	{ SCMP_SYS(setsockopt), L | H | J },
	{ SCMP_SYS(getsockopt), L | H | J },
	/* connections to the sources; Landlock says to which ports */
	{ SCMP_SYS(connect), H | J }, { SCMP_SYS(bind), H | J },
	/* files; Landlock says which */
	{ SCMP_SYS(openat), H | J }, { SCMP_SYS(open), H | J },
	{ SCMP_SYS(stat), H | J }, { SCMP_SYS(lstat), H | J },
	{ SCMP_SYS(newfstatat), ALL }, { SCMP_SYS(statx), H | J },
	{ SCMP_SYS(access), H | J }, { SCMP_SYS(faccessat), H | J },
	{ SCMP_SYS(faccessat2), H | J },
	{ SCMP_SYS(readlink), H | J }, { SCMP_SYS(readlinkat), H | J },
	{ SCMP_SYS(getcwd), H | J }, { SCMP_SYS(pread64), H | J },
	{ SCMP_SYS(pwrite64), H | J }, { SCMP_SYS(ftruncate), H | J },
	{ SCMP_SYS(fsync), H | J }, { SCMP_SYS(fdatasync), H | J },
	{ SCMP_SYS(fallocate), H | J }, { SCMP_SYS(fadvise64), H | J },
	{ SCMP_SYS(unlink), H | J }, { SCMP_SYS(unlinkat), H | J },
	{ SCMP_SYS(rename), J }, { SCMP_SYS(renameat), J },
	{ SCMP_SYS(renameat2), J }, { SCMP_SYS(getdents64), J },
	{ SCMP_SYS(flock), J }, { SCMP_SYS(fstatfs), J },
	{ SCMP_SYS(statfs), H | J }, { SCMP_SYS(fchmod), H | J },
	{ SCMP_SYS(fchown), H }, { SCMP_SYS(umask), H | J },
};

#ifdef SANITIZED
/* What AddressSanitizer's runtime calls on its own account. */
static const int sanitizer_calls[] = {
	SCMP_SYS(sigaltstack), SCMP_SYS(sched_yield), SCMP_SYS(mprotect),
	SCMP_SYS(mmap), SCMP_SYS(readlink), SCMP_SYS(getrlimit),
	SCMP_SYS(prlimit64), SCMP_SYS(rt_sigaction), SCMP_SYS(openat),
	SCMP_SYS(open), SCMP_SYS(stat), SCMP_SYS(sched_getaffinity),
};
#endif

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
	char *name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(),
	    (int)number);

	if (name != NULL)
		strlcpy(buf, name, size);
	else
		(void)snprintf(buf, size, "number %u", number);
	free(name);
	return buf;
}

/* ---- limits ------------------------------------------------------------ */

static void
set_limit(int what, rlim_t value)
{
	struct rlimit limit = { value, value };

	if (setrlimit((__rlimit_resource_t)what, &limit) == -1)
		log_errno("sandbox: resource limit %d", what);
}

static void
enter_limits(enum role role)
{
	struct stat st;

	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_NOFILE, role == ROLE_LISTENER ? 8192 : 1024);
	/* A log on standard error may be a file; then it may grow. */
	if ((role == ROLE_LISTENER || role == ROLE_AUTHD) &&
	    fstat(STDERR_FILENO, &st) == 0 && !S_ISREG(st.st_mode))
		set_limit(RLIMIT_FSIZE, 0);
}

/* ---- Landlock ---------------------------------------------------------- */

static uint64_t
fs_rights(int abi)
{
	uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

	if (abi >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi >= 5)
		rights |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	return rights;
}

static uint64_t
path_rights(enum sandbox_access access, int is_dir, uint64_t handled)
{
	uint64_t rights = LANDLOCK_ACCESS_FS_READ_FILE |
	    LANDLOCK_ACCESS_FS_READ_DIR;

	if (access != SANDBOX_READ)
		rights |= LANDLOCK_ACCESS_FS_WRITE_FILE;
	if (access == SANDBOX_WRITE)
		rights |= LANDLOCK_ACCESS_FS_TRUNCATE |
		    LANDLOCK_ACCESS_FS_MAKE_REG |
		    LANDLOCK_ACCESS_FS_REMOVE_FILE;
	if (!is_dir)
		rights &= LANDLOCK_ACCESS_FS_READ_FILE |
		    LANDLOCK_ACCESS_FS_WRITE_FILE |
		    LANDLOCK_ACCESS_FS_TRUNCATE;
	return rights & handled;
}

static int
add_path(int ruleset, const char *path, enum sandbox_access access,
    uint64_t handled)
{
	struct landlock_path_beneath_attr attr;
	struct stat st;
	int rc;

	memset(&attr, 0, sizeof(attr));
	attr.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (attr.parent_fd == -1)
		return errno == ENOENT || errno == EACCES ? 0 : -1;
	if (fstat(attr.parent_fd, &st) == -1) {
		close(attr.parent_fd);
		return -1;
	}
	attr.allowed_access = path_rights(access, S_ISDIR(st.st_mode),
	    handled);
	rc = (int)syscall(SYS_landlock_add_rule, ruleset,
	    LANDLOCK_RULE_PATH_BENEATH, &attr, 0);
	close(attr.parent_fd);
	return rc;
}

static int
add_port(int ruleset, uint16_t port)
{
	struct net_port_attr attr = { LANDLOCK_ACCESS_NET_CONNECT_TCP, port };

	return (int)syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT,
	    &attr, 0);
}

static size_t
attr_size(int abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset_attr);
	return abi >= 4 ? offsetof(struct ruleset_attr, scoped) :
	    offsetof(struct ruleset_attr, handled_access_net);
}

/* What name look-ups read. */
static const char *const resolver_files[] = {
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
	"/etc/gai.conf", "/etc/services", "/etc/host.conf",
};

static int
enter_landlock(const struct sandbox_needs *n)
{
	struct ruleset_attr attr;
	int abi, ruleset, rc = 0;
	size_t i;

	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1) {
		log_warn("sandbox: this kernel has no Landlock: files and "
		    "ports are kept from the process by its uid alone");
		return 0;
	}
	memset(&attr, 0, sizeof(attr));
	attr.handled_access_fs = fs_rights(abi);
	if (abi >= 4)
		attr.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP |
		    LANDLOCK_ACCESS_NET_CONNECT_TCP;
	else
		log_debug("sandbox: this kernel's Landlock knows no ports");
	if (abi >= 6)
		attr.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr,
	    attr_size(abi), 0);
	if (ruleset == -1) {
		log_errno("sandbox: Landlock");
		return -1;
	}
	for (i = 0; i < n->paths && rc == 0; i++)
		rc = add_path(ruleset, n->path[i].path, n->path[i].access,
		    attr.handled_access_fs);
	if (n->resolve)
		for (i = 0; i < sizeof(resolver_files) /
		    sizeof(resolver_files[0]) && rc == 0; i++)
			rc = add_path(ruleset, resolver_files[i],
			    SANDBOX_READ, attr.handled_access_fs);
	for (i = 0; i < n->ports && rc == 0 && abi >= 4; i++)
		rc = add_port(ruleset, n->port[i]);
	if (n->resolve && rc == 0 && abi >= 4)
		rc = add_port(ruleset, 53);
	if (rc == 0)
		rc = (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
	if (rc == -1)
		log_errno("sandbox: Landlock");
	close(ruleset);
	return rc;
}

/* ---- seccomp ----------------------------------------------------------- */

/* Async-signal-safe: one write, then the end. */
static void
on_sigsys(int sig, siginfo_t *info, void *context)
{
	struct {
		struct frame_header	header;
		uint32_t		number;
	} __attribute__((__packed__)) f;
	ssize_t n;

	(void)sig;
	(void)context;
	memset(&f, 0, sizeof(f));
	f.header.length = sizeof(f.number);
	f.header.type = MSG_VIOLATION;
	f.number = (uint32_t)info->si_syscall;
	n = write(CONTROL_FD, &f, sizeof(f));
	(void)n;
	/* Any arguments do: it is refused before they are looked at. */
	(void)syscall(info->si_syscall, -1, 0, 0, 0, 0, 0);
	_exit(128 + SIGSYS);
}

static int
allow(scmp_filter_ctx ctx, int call)
{
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 0);

	/* A call that this architecture does not have is no loss. */
	return rc == -EDOM || rc == -EEXIST ? 0 : rc;
}

static int
allow_arg(scmp_filter_ctx ctx, int call, unsigned int arg, uint64_t value)
{
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 1,
	    SCMP_CMP(arg, SCMP_CMP_EQ, value));

	return rc == -EDOM || rc == -EEXIST ? 0 : rc;
}

static int
allow_arguments(scmp_filter_ctx ctx, enum role role,
    const struct sandbox_needs *n)
{
	static const uint64_t fcntls[] = { F_GETFL, F_SETFL, F_GETFD, F_SETFD,
	    F_DUPFD_CLOEXEC };
	static const uint64_t locks[] = { F_SETLK, F_GETLK, F_SETLKW };
	int files = role == ROLE_HANDLER || role == ROLE_AUDITD, rc = 0;
	size_t i;

	/* Memory, but none that can be executed. */
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
	    SCMP_CMP(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	rc |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
	    SCMP_CMP(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	for (i = 0; i < sizeof(fcntls) / sizeof(fcntls[0]); i++)
		rc |= allow_arg(ctx, SCMP_SYS(fcntl), 1, fcntls[i]);
	for (i = 0; files && i < sizeof(locks) / sizeof(locks[0]); i++)
		rc |= allow_arg(ctx, SCMP_SYS(fcntl), 1, locks[i]);
	rc |= allow_arg(ctx, SCMP_SYS(ioctl), 1, FIONREAD);
	rc |= allow_arg(ctx, SCMP_SYS(ioctl), 1, FIONBIO);
	/* abort(3) sends itself a signal. */
	rc |= allow_arg(ctx, SCMP_SYS(tgkill), 0, (uint64_t)getpid());
	if (files && (n->paths > 0 || n->ports > 0)) {
		rc |= allow_arg(ctx, SCMP_SYS(socket), 0, AF_UNIX);
		rc |= allow_arg(ctx, SCMP_SYS(socket), 0, AF_INET);
		rc |= allow_arg(ctx, SCMP_SYS(socket), 0, AF_INET6);
		if (n->resolve)
			rc |= allow_arg(ctx, SCMP_SYS(socket), 0, AF_NETLINK);
	}
	return rc;
}

static int
enter_seccomp(enum role role, const struct sandbox_needs *n)
{
	struct sigaction sa;
	scmp_filter_ctx ctx;
	size_t i;
	int rc = 0;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_sigsys;
	/* Used up by its first delivery. */
	sa.sa_flags = SA_SIGINFO | (int)SA_RESETHAND | SA_NODEFER;
	if (sigaction(SIGSYS, &sa, NULL) == -1) {
		log_errno("sandbox: sigaction");
		return -1;
	}
	if ((ctx = seccomp_init(SCMP_ACT_TRAP)) == NULL) {
		log_warn("sandbox: seccomp cannot be set up");
		return -1;
	}
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]) && rc == 0; i++)
		if (calls[i].roles & (1U << role))
			rc = allow(ctx, calls[i].call);
	if (rc == 0)
		rc = allow_arguments(ctx, role, n);
#ifdef SANITIZED
	for (i = 0; i < sizeof(sanitizer_calls) / sizeof(sanitizer_calls[0]) &&
	    rc == 0; i++)
		rc = allow(ctx, sanitizer_calls[i]);
#endif
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc != 0) {
		log_warn("sandbox: seccomp: %s", strerror(-rc));
		return -1;
	}
	return 0;
}

int
sandbox_enter(enum role role, const struct sandbox_needs *n)
{
	/* Nobody may look into a process that holds secrets. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		log_errno("sandbox: dumpable");
	if (role == ROLE_PARENT) {
		/* It must exec, bind and change users for its children. */
		set_limit(RLIMIT_CORE, 0);
		return 0;
	}
	enter_limits(role);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) {
		log_errno("sandbox: no_new_privs");
		return -1;
	}
	return enter_landlock(n) == -1 || enter_seccomp(role, n) == -1 ?
	    -1 : 0;
}
