/* SPDX-License-Identifier: ISC */

/*
 * A role's twin: the role itself, object for object, linked with this file,
 * which comes to life once the sandbox is entered and tries the acts of
 * acts.h from inside: with the role's own descriptors, user, memory and
 * confinement.  Afterwards the role goes on with its work.
 *
 * So that one life tries them all, a refused system call is caught: the
 * linker gives us sandbox_enter() and sigaction(), and the handler that would
 * end the process jumps back and notes that.  "control" in the plan tries the
 * same acts before the sandbox, each in a process of its own; "die" tries one
 * that nothing catches.
 */

#include <setjmp.h>

#include <event2/event.h>

#include "../../pledge/calls_linux.h"
#include "../../pledge/sandbox.h"
#include "acts.h"
#include "evil.h"

int	__real_sandbox_enter(enum role, const struct sandbox_needs *);
int	__wrap_sandbox_enter(enum role, const struct sandbox_needs *);
int	__real_sigaction(int, const struct sigaction *, struct sigaction *);
int	__wrap_sigaction(int, const struct sigaction *, struct sigaction *);

#define AFTER_MS	700	/* for everybody to be wired */
#define CALLS_END	512	/* numbers of system calls that are tried */

static sigjmp_buf back;
static volatile sig_atomic_t acting;
static struct sigaction theirs;
static struct event *timer;

static void
on_sigsys(int sig, siginfo_t *info, void *context)
{
	if (acting)
		siglongjmp(back, 1);
	theirs.sa_sigaction(sig, info, context);
}

int
__wrap_sigaction(int sig, const struct sigaction *sa, struct sigaction *old)
{
	struct sigaction ours;

	/* Who is to die keeps the handler that is used up by its first call. */
	if (sig != SIGSYS || sa == NULL || strcmp(evil_attack, "die") == 0)
		return __real_sigaction(sig, sa, old);
	theirs = *sa;
	ours = *sa;
	ours.sa_sigaction = on_sigsys;
	ours.sa_flags &= (int)~(unsigned int)SA_RESETHAND;
	return __real_sigaction(sig, &ours, old);
}

static void
say_result(const char *role, const struct act *a, const char *stopped)
{
	SAY("%s\t%s\t%s\n", role, a->what, stopped);
}

static const char *
try_one(const struct act *a)
{
	const char *stopped;

	if (sigsetjmp(back, 0) != 0) {
		acting = 0;
		return "seccomp";
	}
	acting = 1;
	stopped = a->act() == 0 ? "DONE" : strerrorname_np(errno);
	acting = 0;
	return stopped;
}

/* Whether the table has it for this role, under whatever conditions. */
static int
is_listed(int call)
{
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].call == call &&
		    (calls[i].roles & (1U << child.role)) != 0)
			return 1;
	for (i = 0; i < sizeof(filtered) / sizeof(filtered[0]); i++)
		if (filtered[i].call == call &&
		    (filtered[i].roles & (1U << child.role)) != 0)
			return 1;
#ifdef SANITIZED
	for (i = 0; i < sizeof(sanitizer_calls) / sizeof(sanitizer_calls[0]);
	    i++)
		if (sanitizer_calls[i].call == call &&
		    (sanitizer_calls[i].roles & (1U << child.role)) != 0)
			return 1;
#endif
	/* Its own abort(3) alone, by arguments. */
	return call == SCMP_SYS(tgkill);
}

/*
 * uretprobe and uprobe, which the kernel itself puts into a traced program,
 * pass every filter (Linux 6.14) and end by SIGILL whoever calls them.
 */
static int
is_probe(int call)
{
	return call == 335 || call == 336;
}

static int other_call;

static int
act_other(void)
{
	return syscall(other_call, -1, -1, -1, -1, -1, -1) == -1 ? -1 : 0;
}

/* All that the kernel may have and the table has not. */
static void
try_others(const char *role)
{
	static const struct act other = { NULL, act_other, 0 };
	char name[64];
	int tried = 0, left = 0;

	for (other_call = 0; other_call < CALLS_END; other_call++) {
		if (is_listed(other_call) || is_probe(other_call))
			continue;
		tried++;
		if (strcmp(try_one(&other), "seccomp") == 0)
			continue;
		left++;
		SAY("%s\tevery other system call: %s\tDONE\n", role,
		    sandbox_call_name((uint32_t)other_call, name, sizeof(name)));
	}
	SAY("others\t%s\t%d tried, %d not refused\n", role, tried, left);
	if (left == 0)
		SAY("%s\tevery other system call\tseccomp\n", role);
}

static void
try_all(const char *role)
{
	size_t i;

	for (i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if ((acts[i].roles & (1U << child.role)) != 0)
			say_result(role, &acts[i], try_one(&acts[i]));
	try_others(role);
	SAY("%s\tend\tend\n", role);
}

/* exec() never comes back; its status is what counts. */
static void
try_without(void)
{
	size_t i;
	int status;
	pid_t pid;

	for (i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		if ((pid = fork()) == 0) {
			errno = 0;
			_exit(acts[i].act() == 0 ? 0 : errno);
		}
		if (pid == -1 || waitpid(pid, &status, 0) == -1)
			_exit(4);
		say_result("control", &acts[i], WIFEXITED(status) &&
		    WEXITSTATUS(status) == 0 ? "done" : WIFEXITED(status) ?
		    strerrorname_np(WEXITSTATUS(status)) : "died");
	}
	SAY("control\tend\tend\n");
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval after = { 0, AFTER_MS * 1000 };
	static int begun;

	(void)fd;
	(void)what;
	(void)arg;
	/* From its first turn on: by then the parent was told that it is up. */
	if (!begun++) {
		(void)evtimer_add(timer, &after);
		return;
	}
	if (strcmp(evil_attack, "die") == 0)
		(void)act_exec();	/* nobody catches this one */
	else
		try_all(role_name(child.role));
}

static void
read_plan(void)
{
	if (sscanf(evil_rest, "%255s %255s %255s %255s %255s %d %d", at.keys,
	    at.journal, at.data, at.read_only, at.control, &at.http_port,
	    &at.data_port) != 7 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC,
	    0, at.pair) == -1)
		_exit(3);
	at.parent = getppid();
}

int
__wrap_sandbox_enter(enum role role, const struct sandbox_needs *needs)
{
	static const struct timeval at_once = { 0, 0 };

	read_plan();
	if (strcmp(evil_attack, "control") == 0 && role == ROLE_HANDLER)
		try_without();
	timer = evtimer_new(child.base, on_timer, NULL);
	if (timer == NULL || evtimer_add(timer, &at_once) == -1)
		_exit(4);
	/* What it wants of the C library is loaded while that can be. */
	(void)strerrorname_np(EACCES);
	return __real_sandbox_enter(role, needs);
}
