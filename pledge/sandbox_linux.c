/* SPDX-License-Identifier: ISC */

/*
 * Confinement on Linux: resource limits, no capability, no_new_privs,
 * Landlock for the file system and TCP ports, seccomp for system calls (the
 * table is calls_linux.h).  A call outside the table raises SIGSYS, whose
 * handler tells the parent the number and then ends the process by SIGSYS.
 * Whoever already runs code in the process gains nothing from that handler:
 * the call itself is never executed.
 */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>

#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>

#include "../common/compat.h"
#include "../common/frame.h"
#include "../common/log.h"
#include "../common/message.h"
#include "calls_linux.h"
#include "sandbox.h"

/*
 * The headers of one distribution are older than the kernel of another: what
 * they may lack stands here, and the running kernel says what it knows.
 */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER	(1ULL << 13)	/* ABI 2 */
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE	(1ULL << 14)	/* ABI 3 */
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV	(1ULL << 15)	/* ABI 5 */
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP	(1ULL << 0)	/* ABI 4 */
#define LANDLOCK_ACCESS_NET_CONNECT_TCP	(1ULL << 1)
#endif
#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)	/* ABI 6 */
#define LANDLOCK_SCOPE_SIGNAL		(1ULL << 1)
#endif
#ifndef SYS_SECCOMP
#define SYS_SECCOMP			1	/* si_code of a refused call */
#endif
#define RULE_NET_PORT			2	/* LANDLOCK_RULE_NET_PORT */
#define DNS_PORT			53
#define ABI_PORTS			4	/* of Landlock, Linux 6.7 */
#define DESCRIPTOR_BITS			14	/* enter_limits() allows 8192 */

struct ruleset_attr {
	uint64_t	handled_access_fs;
	uint64_t	handled_access_net;	/* from ABI 4 */
	uint64_t	scoped;			/* from ABI 6 */
};

struct net_port_attr {
	uint64_t	allowed_access;
	uint64_t	port;
};

/* ---- what a configuration needs ---------------------------------------- */

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

static int
has_path(const struct sandbox_needs *n, enum sandbox_access access)
{
	size_t i;

	for (i = 0; i < n->paths; i++)
		if (n->path[i].access == access)
			return 1;
	return 0;
}

static unsigned int
needs_bits(const struct sandbox_needs *n)
{
	return (n->ports > 0 ? TCP : 0) | (n->resolve ? DNS : 0) |
	    (has_path(n, SANDBOX_CONNECT) ? UNIX : NO_UNIX);
}

/* ---- limits ------------------------------------------------------------ */

/* Never more than there is; a limit that is lower already stays. */
static void
set_limit(int what, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)what, &limit) == -1) {
		log_errno("sandbox: resource limit %d", what);
		return;
	}
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > value)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit((__rlimit_resource_t)what, &limit) == -1)
		log_errno("sandbox: resource limit %d", what);
}

static void
enter_limits(enum role role, const struct sandbox_needs *n)
{
	struct stat st;

	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_NOFILE, role == ROLE_LISTENER ? 8192 : 1024);
	/* Counts all of the user's, but binds only who has the limit. */
	set_limit(RLIMIT_NPROC, 0);
	/* A log on standard error may be a file; then it may grow. */
	if (!has_path(n, SANDBOX_WRITE) && fstat(STDERR_FILENO, &st) == 0 &&
	    !S_ISREG(st.st_mode))
		set_limit(RLIMIT_FSIZE, 0);
}

/* Without root there may still be what a service manager gave. */
static int
drop_capabilities(void)
{
	struct __user_cap_header_struct header = {
		_LINUX_CAPABILITY_VERSION_3, 0
	};
	struct __user_cap_data_struct none[2];

	memset(none, 0, sizeof(none));
	if (syscall(SYS_capset, &header, none) == -1) {
		log_errno("sandbox: capabilities");
		return -1;
	}
	return 0;
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
	uint64_t rights = LANDLOCK_ACCESS_FS_READ_FILE;

	if (is_dir)
		rights |= LANDLOCK_ACCESS_FS_READ_DIR;
	if (access == SANDBOX_WRITE)
		rights |= LANDLOCK_ACCESS_FS_WRITE_FILE |
		    LANDLOCK_ACCESS_FS_TRUNCATE;
	if (access == SANDBOX_WRITE && is_dir)
		rights |= LANDLOCK_ACCESS_FS_MAKE_REG |
		    LANDLOCK_ACCESS_FS_REMOVE_FILE;
	return rights & handled;
}

static int
add_path(int ruleset, const char *path, enum sandbox_access access,
    uint64_t handled)
{
	struct landlock_path_beneath_attr attr;
	struct stat st;
	int rc = -1;

	/* Landlock does not look at connect(2) to a path: no right is due. */
	if (access == SANDBOX_CONNECT)
		return 0;
	memset(&attr, 0, sizeof(attr));
	attr.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (attr.parent_fd == -1)
		return errno == ENOENT || errno == ENOTDIR ||
		    errno == EACCES ? 0 : -1;
	if (fstat(attr.parent_fd, &st) == 0) {
		attr.allowed_access = path_rights(access,
		    S_ISDIR(st.st_mode), handled);
		rc = (int)syscall(SYS_landlock_add_rule, ruleset,
		    LANDLOCK_RULE_PATH_BENEATH, &attr, 0);
	}
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

/* What name look-ups read; a link is followed to where it points now. */
static const char *const resolver_files[] = {
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
	"/etc/gai.conf", "/etc/services", "/etc/host.conf",
};

static int
add_rules(int ruleset, int abi, uint64_t handled,
    const struct sandbox_needs *n)
{
	size_t i;

	for (i = 0; i < n->paths; i++)
		if (add_path(ruleset, n->path[i].path, n->path[i].access,
		    handled) == -1)
			return -1;
	for (i = 0; n->resolve && i < sizeof(resolver_files) /
	    sizeof(resolver_files[0]); i++)
		if (add_path(ruleset, resolver_files[i], SANDBOX_READ,
		    handled) == -1)
			return -1;
	for (i = 0; abi >= 4 && i < n->ports; i++)
		if (add_port(ruleset, n->port[i]) == -1)
			return -1;
	return abi >= 4 && n->resolve ? add_port(ruleset, DNS_PORT) : 0;
}

static size_t
attr_size(int abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset_attr);
	return abi >= 4 ? offsetof(struct ruleset_attr, scoped) :
	    offsetof(struct ruleset_attr, handled_access_net);
}

/*
 * Name look-ups load modules, which is executable memory.  Where Landlock
 * will hide the files they do without; else it is to happen now.
 */
static void
load_resolver(void)
{
	struct addrinfo *found;

	(void)getpwuid(geteuid());
	if (getaddrinfo("localhost", NULL, NULL, &found) == 0)
		freeaddrinfo(found);
}

static int
enter_landlock(const struct sandbox_needs *n)
{
	struct ruleset_attr attr;
	int abi, ruleset, rc;

	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1) {
		log_warn("sandbox: this kernel has no Landlock: files and "
		    "ports are kept from the process by its uid alone");
		if (needs_bits(n) != 0)
			load_resolver();
		return 0;
	}
	memset(&attr, 0, sizeof(attr));
	attr.handled_access_fs = fs_rights(abi);
	if (abi >= 4)
		attr.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP |
		    LANDLOCK_ACCESS_NET_CONNECT_TCP;
	else if (n->ports > 0 || n->resolve)
		log_warn("sandbox: this kernel's Landlock (ABI %d) knows no "
		    "ports: the process may connect to any", abi);
	if (abi >= 6)
		attr.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET |
		    LANDLOCK_SCOPE_SIGNAL;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr,
	    attr_size(abi), 0);
	if (ruleset == -1) {
		log_errno("sandbox: Landlock");
		return -1;
	}
	rc = add_rules(ruleset, abi, attr.handled_access_fs, n);
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
	if (info->si_code == SYS_SECCOMP) {
		memset(&f, 0, sizeof(f));
		f.header.length = sizeof(f.number);
		f.header.type = MSG_VIOLATION;
		f.number = (uint32_t)info->si_syscall;
		n = write(CONTROL_FD, &f, sizeof(f));
		(void)n;
	}
	/*
	 * A call that nobody may make, whatever its arguments: the signal is
	 * back at its default, so this is death by SIGSYS.
	 */
	(void)syscall(SYS_ptrace, -1, 0, 0, 0);
	_exit(128 + SIGSYS);
}

static int
catch_sigsys(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_sigsys;
	/* Used up by its first delivery. */
	sa.sa_flags = SA_SIGINFO | (int)SA_RESETHAND | SA_NODEFER;
	if (sigaction(SIGSYS, &sa, NULL) == -1) {
		log_errno("sandbox: sigaction");
		return -1;
	}
	return 0;
}

static int
matches(unsigned int roles, unsigned int needs, enum role role,
    unsigned int bits)
{
	return (roles & (1U << role)) != 0 &&
	    (needs == ANY || (needs & bits) != 0);
}

static int
add_rule(scmp_filter_ctx ctx, const struct filtered *f)
{
	int rc = seccomp_rule_add_array(ctx, f->error == 0 ? SCMP_ACT_ALLOW :
	    SCMP_ACT_ERRNO((unsigned int)f->error), f->call, f->args, f->arg);

	/* A call that this architecture does not have is no loss. */
	return rc == -EDOM || rc == -EEXIST ? 0 : rc;
}

/*
 * A descriptor of 3 and above.  The kernel takes 32 bits of the argument and a
 * filter compares 64: one that is large by bits which the kernel does not see
 * must not pass.  So those are zero, and both of the lowest bits are set or
 * one of the others is.
 */
static int
add_not_log(scmp_filter_ctx ctx, struct filtered f)
{
	const uint64_t above = UINT64_C(0xffffffff) << 32;
	struct scmp_arg_cmp *fd = &f.arg[0];
	unsigned int bit;
	int rc;

	fd->op = SCMP_CMP_MASKED_EQ;
	fd->datum_a = above | 3;
	fd->datum_b = 3;
	rc = add_rule(ctx, &f);
	for (bit = 2; bit < DESCRIPTOR_BITS && rc == 0; bit++) {
		fd->datum_a = above | UINT64_C(1) << bit;
		fd->datum_b = UINT64_C(1) << bit;
		rc = add_rule(ctx, &f);
	}
	return rc;
}

static int
add_filtered(scmp_filter_ctx ctx, const struct filtered *list, size_t count,
    enum role role, unsigned int bits)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < count && rc == 0; i++) {
		if (!matches(list[i].roles, list[i].needs, role, bits))
			continue;
		rc = list[i].args > 0 && list[i].arg[0].op == SCMP_CMP_GT ?
		    add_not_log(ctx, list[i]) : add_rule(ctx, &list[i]);
	}
	return rc;
}

static int
fill(scmp_filter_ctx ctx, enum role role, unsigned int bits)
{
	struct filtered plain = { 0 }, own_abort = {
		SCMP_SYS(tgkill), ALL, ANY, 0, 2,
		{ EQ(0, (uint64_t)getpid()), EQ(2, SIGABRT) }
	};
	size_t i;
	int rc;

	/* The tree costs a call a few steps, not one for each line above. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS);
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]) && rc == 0; i++) {
		if (!matches(calls[i].roles, calls[i].needs, role, bits))
			continue;
		plain.call = calls[i].call;
		rc = add_rule(ctx, &plain);
	}
	if (rc == 0)
		rc = add_filtered(ctx, filtered, sizeof(filtered) /
		    sizeof(filtered[0]), role, bits);
	if (rc == 0)
		rc = add_rule(ctx, &own_abort);
#ifdef SANITIZED
	if (rc == 0)
		rc = add_filtered(ctx, sanitizer_calls,
		    sizeof(sanitizer_calls) / sizeof(sanitizer_calls[0]),
		    role, bits);
#endif
	return rc;
}

static int
enter_seccomp(enum role role, const struct sandbox_needs *n)
{
	scmp_filter_ctx ctx;
	int rc;

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == -1 && errno == EINVAL) {
		log_warn("sandbox: this kernel has no seccomp: system calls "
		    "are not limited");
		return 0;
	}
	if (catch_sigsys() == -1)
		return -1;
	if ((ctx = seccomp_init(SCMP_ACT_TRAP)) == NULL) {
		log_warn("sandbox: seccomp cannot be set up");
		return -1;
	}
	rc = fill(ctx, role, needs_bits(n));
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc != 0) {
		log_warn("sandbox: seccomp: %s", strerror(-rc));
		return -1;
	}
	return 0;
}

const char *
sandbox_missing(char *buf, size_t size)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	int no_seccomp = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == -1 &&
	    errno == EINVAL;

	if (!no_seccomp && abi >= ABI_PORTS)
		return NULL;
	if (abi >= 1 && abi < ABI_PORTS)
		(void)snprintf(buf, size, "%sports in Landlock (its ABI is %d, "
		    "%d has them)", no_seccomp ? "seccomp, and " : "", abi,
		    ABI_PORTS);
	else
		(void)snprintf(buf, size, "%s%s%s", no_seccomp ? "seccomp" : "",
		    no_seccomp && abi < 1 ? ", and " : "",
		    abi < 1 ? "Landlock" : "");
	return buf;
}

/* What the kernel knows of each thread by itself. */
int
sandbox_thread(enum role role, const struct sandbox_needs *n)
{
	if (((1U << role) & ALL) == 0 || n == NULL) {
		log_warn("sandbox: nothing says what %s may do",
		    role_name(role));
		return -1;
	}
	if (drop_capabilities() == -1)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) {
		log_errno("sandbox: no_new_privs");
		return -1;
	}
	return enter_landlock(n) == -1 || enter_seccomp(role, n) == -1 ?
	    -1 : 0;
}

int
sandbox_enter(enum role role, const struct sandbox_needs *n)
{
#ifndef SANITIZED
	/* Nobody may look into a process that holds secrets. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		log_errno("sandbox: dumpable");
#endif
	if (role == ROLE_PARENT) {
		/* It must fork, exec and change users for its children. */
		set_limit(RLIMIT_CORE, 0);
		return 0;
	}
	if (n != NULL)
		enter_limits(role, n);
	return sandbox_thread(role, n);
}
