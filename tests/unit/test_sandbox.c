/* SPDX-License-Identifier: ISC */
/* link: pledge/sandbox_linux.c */

/*
 * pledge/sandbox_linux.c from inside: somebody runs code in a role, and tries
 * what he would try.  Each act is done by a process of its own: first free,
 * as the control that it works at all, then confined as one of the roles.  It
 * must then work, fail with an error, or kill the process; and a kill must
 * have reached the parent's end of the control socket with the call's name.
 */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <linux/landlock.h>

#include "../../common/compat.h"
#include "../../common/frame.h"
#include "../../common/log.h"
#include "../../common/message.h"
#include "../../pledge/sandbox.h"

#define WORKS		0
#define KILLED		(-1)	/* by SIGSYS, and told */
#define NOT_ASKED	(-2)
#define NO_SANDBOX	250	/* exit status: it could not be entered */
#define TESTS_MAX	400
#define FIRST_FD	10

/* Before the sandbox a file would open; the sanitizers' runtime may ask. */
#ifdef SANITIZED
#define NO_FILES	EACCES
#else
#define NO_FILES	KILLED
#endif

enum who {
	FREE,		/* the control */
	LISTENER,
	AUTHD,
	HANDLER,	/* a folder to read, one to write, a socket, a port */
	LOCAL_HANDLER,	/* files alone */
	NAMES_HANDLER,	/* a port, and names to look up */
	AUDITD,		/* the journal's folder */
	FETCHER,	/* a port, and names to look up */
	WHO_MAX
};

static const struct {
	const char	*name;
	enum role	 role;
} actors[WHO_MAX] = {
	[FREE] = { "nobody confined", ROLE_PARENT },
	[LISTENER] = { "listener", ROLE_LISTENER },
	[AUTHD] = { "authd", ROLE_AUTHD },
	[HANDLER] = { "handler", ROLE_HANDLER },
	[LOCAL_HANDLER] = { "handler without network", ROLE_HANDLER },
	[NAMES_HANDLER] = { "handler that looks names up", ROLE_HANDLER },
	[AUDITD] = { "auditd", ROLE_AUDITD },
	[FETCHER] = { "fetcher", ROLE_FETCHER },
};

#include "sandbox_acts.h"

/* ---- the table --------------------------------------------------------- */

#define EVERY(result) \
	{ WORKS, result, result, result, result, result, result, result }
#define NO_CONTROL(result) \
	{ NOT_ASKED, result, result, result, result, result, result, result }
/* listener, authd, handlers, auditd, fetcher */
#define ROLES(l, a, h, j, f)	{ WORKS, l, a, h, h, h, j, f }

static const struct act {
	const char	*name;
	int		 (*run)(void);
	const char	*call;		/* that the parent is told of */
	int		 wanted[WHO_MAX];
	int		 landlock;	/* the ABI that the answer needs */
} acts[] = {
	/* what must work */
	{ "does its work", work, NULL, EVERY(WORKS), 0 },
	{ "accepts a client", accept_client, "accept4", { WORKS, WORKS, KILLED,
	    KILLED, KILLED, KILLED, KILLED, KILLED }, 0 },
	{ "uses SQLite in its folder", use_sqlite, NULL, { WORKS, NOT_ASKED,
	    NOT_ASKED, WORKS, WORKS, NOT_ASKED, NOT_ASKED, NOT_ASKED }, 0 },
	{ "keeps the journal", keep_journal, NULL, { WORKS, NOT_ASKED,
	    NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, WORKS, NOT_ASKED }, 0 },
	{ "reads a listed folder", read_listed, "openat", { WORKS, NO_FILES,
	    NO_FILES, WORKS, EACCES, EACCES, EACCES, EACCES }, 1 },
	{ "connects to a listed port", connect_listed, "socket", { WORKS,
	    KILLED, KILLED, WORKS, KILLED, WORKS, KILLED, WORKS }, 0 },
	{ "connects to a Unix socket", connect_unix, "socket", { WORKS,
	    KILLED, KILLED, WORKS, EACCES, EACCES, EACCES, KILLED }, 0 },
	/* files */
	{ "opens /etc/passwd", open_passwd, "openat",
	    ROLES(NO_FILES, NO_FILES, EACCES, EACCES, EACCES), 1 },
	{ "opens /", list_root, "openat",
	    ROLES(NO_FILES, NO_FILES, EACCES, EACCES, EACCES), 1 },
	{ "reads outside", read_outside, "openat",
	    ROLES(NO_FILES, NO_FILES, EACCES, EACCES, EACCES), 1 },
	{ "writes outside", write_outside, "openat",
	    ROLES(NO_FILES, NO_FILES, EACCES, EACCES, EACCES), 1 },
	{ "writes where it may only read", write_read_only, "openat",
	    ROLES(NO_FILES, NO_FILES, EACCES, EACCES, EACCES), 1 },
	{ "creates a file outside", create_outside, "openat",
	    ROLES(NO_FILES, NO_FILES, EACCES, EACCES, EACCES), 1 },
	{ "removes a file outside", remove_outside, "unlinkat",
	    ROLES(KILLED, KILLED, EACCES, EACCES, KILLED), 1 },
	{ "moves a file outside", move_outside, "renameat",
	    ROLES(KILLED, KILLED, KILLED, EACCES, KILLED), 2 },
	{ "links a file", make_link, "link", EVERY(KILLED), 0 },
	/* the network */
	{ "makes a TCP socket", inet_socket, "socket", { WORKS, KILLED,
	    KILLED, WORKS, KILLED, WORKS, KILLED, WORKS }, 0 },
	{ "connects to a port that is not listed", connect_unlisted, "socket",
	    { WORKS, KILLED, KILLED, EACCES, KILLED, EACCES, KILLED, EACCES }, 4 },
	{ "makes a UDP socket", udp_socket, "socket", { WORKS, KILLED,
	    KILLED, KILLED, KILLED, WORKS, KILLED, WORKS }, 0 },
	{ "makes a socket of another protocol", mptcp_socket, "socket",
	    NO_CONTROL(KILLED), 0 },
	{ "makes a netlink socket", netlink_socket, "socket", { WORKS, KILLED,
	    KILLED, KILLED, KILLED, WORKS, KILLED, KILLED }, 0 },
	{ "looks for the logger again", logger_socket, "socket",
	    EVERY(EACCES), 0 },
	{ "binds a port", bind_port, NULL, { WORKS, NOT_ASKED, NOT_ASKED,
	    KILLED, NOT_ASKED, EACCES, NOT_ASKED, KILLED }, 4 },
	{ "listens", listen_self, "listen", EVERY(KILLED), 0 },
	{ "connects a socket it has", connect_inherited, "connect", { WORKS,
	    KILLED, KILLED, NOT_ASKED, KILLED, NOT_ASKED, KILLED, NOT_ASKED }, 0 },
	{ "connects by sending", connect_by_sending, NULL, EVERY(KILLED), 0 },
	{ "sends to an address", send_to_address, "sendto", { WORKS, KILLED,
	    KILLED, KILLED, KILLED, NOT_ASKED, KILLED, NOT_ASKED }, 0 },
	{ "hands a descriptor on", send_message, "sendmsg", { WORKS, KILLED,
	    KILLED, KILLED, KILLED, NOT_ASKED, KILLED, KILLED }, 0 },
	{ "sets a socket filter", attach_filter, "setsockopt",
	    EVERY(KILLED), 0 },
	/* processes */
	{ "runs a program", run_program, "execve", EVERY(KILLED), 0 },
	{ "makes a process", make_process, "clone", EVERY(KILLED), 0 },
	{ "makes a process by clone3", clone_again, "clone3",
	    NO_CONTROL(KILLED), 0 },
	{ "traces", trace, "ptrace", EVERY(KILLED), 0 },
	{ "signals its parent", kill_parent, "kill", EVERY(KILLED), 0 },
	{ "signals its parent's thread", tgkill_parent, "tgkill",
	    EVERY(KILLED), 0 },
	{ "reads its parent's memory", read_parent, "process_vm_readv",
	    NO_CONTROL(KILLED), 0 },
	/* memory and code */
	{ "maps code", map_code, "mmap", EVERY(KILLED), 0 },
	{ "makes memory code", turn_into_code, "mprotect", EVERY(KILLED), 0 },
	{ "makes a file in memory", make_memory_file, "memfd_create",
	    EVERY(KILLED), 0 },
	/* the kernel's wide doors */
	{ "ignores the filter's signal", catch_again, "rt_sigaction",
	    EVERY(KILLED), 0 },
	{ "types into a terminal", push_input, "ioctl", EVERY(KILLED), 0 },
	{ "changes its user", be_root, "setuid", EVERY(KILLED), 0 },
	{ "leaves its name spaces", new_space, "unshare", EVERY(KILLED), 0 },
	{ "sets a process attribute", name_self, "prctl", EVERY(KILLED), 0 },
	{ "loads BPF", load_bpf, "bpf", NO_CONTROL(KILLED), 0 },
	{ "makes an io_uring", use_ring, "io_uring_setup",
	    NO_CONTROL(KILLED), 0 },
	{ "uses kernel keys", use_keys, "keyctl", NO_CONTROL(KILLED), 0 },
	{ "handles page faults", handle_faults, "userfaultfd",
	    NO_CONTROL(KILLED), 0 },
};

/* ---- running one ------------------------------------------------------- */

static void
fill_needs(enum who who, struct sandbox_needs *n)
{
	sandbox_needs_init(n);
	switch (who) {
	case HANDLER:
		sandbox_path(n, env.read_dir, SANDBOX_READ);
		sandbox_path(n, "/nowhere/at/all", SANDBOX_READ);
		sandbox_path(n, env.socket_path, SANDBOX_CONNECT);
		sandbox_path(n, env.write_dir, SANDBOX_WRITE);
		sandbox_port(n, env.port);
		break;
	case LOCAL_HANDLER:
		sandbox_path(n, env.write_dir, SANDBOX_WRITE);
		break;
	case NAMES_HANDLER:
	case FETCHER:
		sandbox_port(n, env.port);
		n->resolve = 1;
		break;
	case AUDITD:
		sandbox_path(n, env.write_dir, SANDBOX_WRITE);
		break;
	default:
		break;
	}
}

static void
enter(enum who who)
{
	static struct sandbox_needs needs;

	fill_needs(who, &needs);
	if (who != FREE && sandbox_enter(actors[who].role, &needs) == -1)
		_exit(NO_SANDBOX);
}

static int
listen_on(uint16_t *port)
{
	struct sockaddr_in sin = loopback(0);
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, 64) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		abort();
	*port = ntohs(sin.sin_port);
	return fd;
}

/* Somebody waits to be accepted. */
static void
prepare_own(void)
{
	struct sockaddr_in sin;
	uint16_t port;
	int client;

	own_uid = getuid();
	own_listening = listen_on(&port);
	sin = loopback(port);
	client = inet_socket();
	if (client == -1 || connect(client, (struct sockaddr *)&sin,
	    sizeof(sin)) == -1)
		_exit(NO_SANDBOX);
}

/*
 * Runs the act in a process of its own.  Returns the wait status and, in
 * told, what came over the control socket (its length in *told_len).
 */
static int
run(int (*act)(void), enum who who, unsigned char *told, ssize_t *told_len)
{
	int sv[2], status;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    sv), 0);
	assert_int_not_equal(pid = fork(), -1);
	if (pid == 0) {
		(void)alarm(20);
		if (dup2(sv[1], CONTROL_FD) == -1 ||
		    (who == FREE && signal(SIGSYS, SIG_DFL) == SIG_ERR))
			_exit(NO_SANDBOX);
		prepare_own();
		enter(who);
		errno = 0;
		_exit(act() != -1 ? 0 : errno == 0 ? 249 : errno);
	}
	close(sv[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	*told_len = recv(sv[0], told, 256, MSG_DONTWAIT);
	close(sv[0]);
	return status;
}

/* What had to come over the control socket: one whole frame. */
static void
check_told(const unsigned char *told, ssize_t len, const char *call)
{
	struct frame_header header;
	uint32_t number;
	char name[64];

	assert_int_equal(len, (ssize_t)(sizeof(header) + sizeof(number)));
	memcpy(&header, told, sizeof(header));
	memcpy(&number, told + sizeof(header), sizeof(number));
	assert_int_equal(header.type, MSG_VIOLATION);
	assert_int_equal(header.length, sizeof(number));
	assert_int_equal(header.flags, 0);
	(void)sandbox_call_name(number, name, sizeof(name));
	if (call != NULL)
		assert_string_equal(name, call);
}

struct one {
	const struct act	*act;
	enum who		 who;
};

static void
try_one(void **state)
{
	const struct one *one = *state;
	int status, wanted = one->act->wanted[one->who];
	unsigned char told[256];
	ssize_t told_len;

	/* Without it the kernel has no answer; sandbox_enter() said so. */
	if (one->who != FREE && env.abi < one->act->landlock)
		skip();
	status = run(one->act->run, one->who, told, &told_len);
	if (wanted == KILLED) {
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("wanted death by SIGSYS, got status %#x "
			    "(%s)", (unsigned int)status,
			    WIFEXITED(status) ? strerror(WEXITSTATUS(status)) :
			    "a signal");
		check_told(told, told_len, one->act->call);
		return;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted)
		fail_msg("wanted %s, got status %#x (%s)", wanted == 0 ?
		    "success" : strerror(wanted), (unsigned int)status,
		    WIFEXITED(status) ? strerror(WEXITSTATUS(status)) :
		    "a signal");
	/* -1: the other end is still open somewhere; 0: it is closed. */
	assert_true(told_len <= 0);
}

/* ---- what is not one act ----------------------------------------------- */

static void
an_abort_is_an_abort(void **state)
{
	unsigned char told[256];
	ssize_t told_len;
	enum who who;
	int status;

	(void)state;
	for (who = LISTENER; who < WHO_MAX; who++) {
		status = run((int (*)(void))(uintptr_t)abort, who, told,
		    &told_len);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
		assert_true(told_len <= 0);
	}
}

static char log_path[128];

static int
log_to_file(void)
{
	struct stat st;

	log_info("a line");
	log_info("another");
	return fstat(STDERR_FILENO, &st) == 0 && st.st_size > 0 ? 0 : -1;
}

/* The limit on file sizes must not end a role whose log is a file. */
static void
a_log_that_is_a_file_goes_on(void **state)
{
	enum who who;
	int fd, status;
	pid_t pid;

	(void)state;
	(void)snprintf(log_path, sizeof(log_path), "%s/log", env.base);
	for (who = LISTENER; who < WHO_MAX; who++) {
		assert_int_not_equal(pid = fork(), -1);
		if (pid == 0) {
			fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC,
			    0600);
			if (fd == -1 || dup2(fd, STDERR_FILENO) == -1)
				_exit(NO_SANDBOX);
			enter(who);
			_exit(log_to_file() == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static void
status_field(pid_t pid, const char *field, char *to, size_t size)
{
	char path[64], line[256];
	FILE *f;

	to[0] = '\0';
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	assert_non_null(f = fopen(path, "r"));
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, field, strlen(field)) == 0) {
			(void)strlcpy(to, line + strlen(field), size);
			to[strcspn(to, "\n")] = '\0';
		}
	(void)fclose(f);
}

/* What the kernel says of a confined process, seen from outside. */
static void
the_kernel_knows_it_is_confined(void **state)
{
	char value[64], byte = 0;
	struct rlimit limit;
	enum who who;
	int sv[2];
	pid_t pid;

	(void)state;
	for (who = LISTENER; who < WHO_MAX; who++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		assert_int_not_equal(pid = fork(), -1);
		if (pid == 0) {
			close(sv[0]);
			enter(who);
			if (send(sv[1], "x", 1, 0) != 1)
				_exit(1);
			(void)recv(sv[1], &byte, 1, 0);
			_exit(0);
		}
		close(sv[1]);
		assert_int_equal(recv(sv[0], &byte, 1, 0), 1);
		status_field(pid, "NoNewPrivs:\t", value, sizeof(value));
		assert_string_equal(value, "1");
		status_field(pid, "Seccomp:\t", value, sizeof(value));
		assert_string_equal(value, "2");
		status_field(pid, "CapEff:\t", value, sizeof(value));
		assert_string_equal(value, "0000000000000000");
		status_field(pid, "CapPrm:\t", value, sizeof(value));
		assert_string_equal(value, "0000000000000000");
		if (prlimit(pid, RLIMIT_CORE, NULL, &limit) == 0)
			assert_int_equal(limit.rlim_max, 0);
		if (prlimit(pid, RLIMIT_NPROC, NULL, &limit) == 0)
			assert_int_equal(limit.rlim_max, 0);
		if (prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0)
			assert_true(limit.rlim_max <= 8192);
		close(sv[0]);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
}

static int
work_as_parent(void)
{
	int status;
	pid_t pid;

	if (sandbox_enter(ROLE_PARENT, NULL) == -1)
		return -1;
#ifndef SANITIZED
	if (prctl(PR_GET_DUMPABLE) != 0)
		return -1;
#endif
	if ((pid = fork()) == 0) {
		(void)run_program();
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static void
the_parent_may_still_start_children(void **state)
{
	unsigned char told[256];
	ssize_t told_len;

	(void)state;
	assert_int_equal(run(work_as_parent, FREE, told, &told_len), 0);
}

static int
enter_unknown(void)
{
	struct sandbox_needs needs;

	sandbox_needs_init(&needs);
	return sandbox_enter(ROLE_MAX, &needs) == -1 &&
	    sandbox_enter(ROLE_HANDLER, NULL) == -1 ? 0 : -1;
}

static void
a_role_without_rules_is_refused(void **state)
{
	unsigned char told[256];
	ssize_t told_len;

	(void)state;
	assert_int_equal(run(enter_unknown, FREE, told, &told_len), 0);
}

static void
a_number_without_a_name_has_a_text(void **state)
{
	char name[64], small[4];

	(void)state;
	assert_string_equal(sandbox_call_name(SYS_execve, name, sizeof(name)),
	    "execve");
	assert_string_equal(sandbox_call_name(0x7ffffff0, name, sizeof(name)),
	    "number 2147483632");
	assert_string_equal(sandbox_call_name(SYS_execve, small,
	    sizeof(small)), "exe");
}

/* ---- the stage --------------------------------------------------------- */

static void
make_file(const char *dir, const char *name)
{
	int fd = open_for(dir, name, O_WRONLY | O_CREAT | O_TRUNC);

	if (fd == -1 || write(fd, "x", 1) != 1)
		abort();
	close(fd);
}

static void
make_dir(char *to, size_t size, const char *name)
{
	(void)snprintf(to, size, "%s/%s", env.base, name);
	if (mkdir(to, 0700) == -1)
		abort();
}

static int
set_stage(void **state)
{
	struct sockaddr_un sun;

	(void)state;
	env.self = getpid();
	make_dir(env.read_dir, sizeof(env.read_dir), "read");
	make_dir(env.write_dir, sizeof(env.write_dir), "write");
	make_dir(env.other_dir, sizeof(env.other_dir), "other");
	make_file(env.read_dir, "file");
	make_file(env.other_dir, "file");
	env.listening = listen_on(&env.port);
	env.unlisted = listen_on(&env.unlisted_port);
	(void)snprintf(env.socket_path, sizeof(env.socket_path), "%s/socket",
	    env.base);
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	(void)strlcpy(sun.sun_path, env.socket_path, sizeof(sun.sun_path));
	env.unix_listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (env.unix_listening == -1 || bind(env.unix_listening,
	    (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(env.unix_listening, 64) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, env.pair) == -1)
		abort();
	env.abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	return 0;
}

/* Files that an act moves or removes are there for each. */
static int
before_each(void **state)
{
	(void)state;
	make_file(env.other_dir, "victim");
	make_file(env.write_dir, "moved");
	return 0;
}

/* One level of folders, made by nobody else. */
static void
remove_all(const char *path)
{
	struct dirent *entry;
	char inside[512];
	DIR *d = opendir(path);

	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(inside, sizeof(inside), "%s/%s", path,
		    entry->d_name);
		if (unlink(inside) == -1 && rmdir(inside) == -1)
			remove_all(inside);
	}
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(path);
}

static int
clear_stage(void **state)
{
	(void)state;
	close(env.listening);
	close(env.unlisted);
	close(env.unix_listening);
	close(env.pair[0]);
	close(env.pair[1]);
	remove_all(env.base);
	return 0;
}

static struct CMUnitTest tests[TESTS_MAX];
static struct one ones[TESTS_MAX];
static size_t ntests;

static void
add_test(const char *name, CMUnitTestFunction run_it, void *state)
{
	struct CMUnitTest *t = &tests[ntests++];

	if (ntests == TESTS_MAX)
		abort();
	t->name = name;
	t->test_func = run_it;
	t->setup_func = before_each;
	t->initial_state = state;
}

static void
add_acts(void)
{
	size_t i, n;
	enum who who;
	char *name;

	for (i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		for (who = FREE; who < WHO_MAX; who++) {
			if (acts[i].wanted[who] == NOT_ASKED)
				continue;
			if (asprintf(&name, "%s %s: %s", actors[who].name,
			    acts[i].name, acts[i].wanted[who] == WORKS ?
			    "it works" : acts[i].wanted[who] == KILLED ?
			    "killed, and told" : "an error") == -1)
				abort();
			n = ntests;
			ones[n].act = &acts[i];
			ones[n].who = who;
			add_test(name, try_one, &ones[n]);
		}
}

#define ADD(function)	add_test(#function, function, NULL)

int
main(void)
{
	int fd;

	log_init("test", 1, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)strlcpy(env.base, "/tmp/pontifexd-sandbox.XXXXXXXXXX",
	    sizeof(env.base));
	if (mkdtemp(env.base) == NULL)
		return 1;
	/* What the stage opens must stay clear of CONTROL_FD. */
	while ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) != -1 &&
	    fd < FIRST_FD)
		;
	add_acts();
	ADD(an_abort_is_an_abort);
	ADD(a_log_that_is_a_file_goes_on);
	ADD(the_kernel_knows_it_is_confined);
	ADD(the_parent_may_still_start_children);
	ADD(a_role_without_rules_is_refused);
	ADD(a_number_without_a_name_has_a_text);
	return _cmocka_run_group_tests("sandbox", tests, ntests, set_stage,
	    clear_stage);
}
