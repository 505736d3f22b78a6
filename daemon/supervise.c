/* SPDX-License-Identifier: ISC */

/*
 * Starting, watching, wiring and ending the children.  Two children that
 * must talk get a socketpair as soon as both are ready, and a new one when
 * either was started again.  A ticket key is made for a handler and authd
 * whenever one of the two is new, handed to both, and cleared.
 *
 * The children are not trusted: of what they send, only a few messages are
 * taken, and none steers more than a log line, a status answer, or a fresh
 * start of the sender itself.
 */

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/log.h"
#include "../pledge/sandbox.h"
#include "parent.h"

#define HEALTHY_MS	10000	/* a child that lived so long did start */
#define BACKOFF_MIN_MS	100
#define PARTING_MS	50	/* for the death of a peer to be noticed */
#define BACKOFF_MAX_MS	10000
#define KILL_MS		2000	/* after SHUTDOWN_MS, for those who are left */

struct parent parent;

static uint32_t instances;
static uint32_t generations;
static int all_were_ready;
static struct event *stop_timer;

static void	child_spawn(struct child_proc *);
static void	stop_next(void);

struct child_proc *
supervise_find(enum role role, uint32_t index)
{
	size_t i;

	for (i = 0; i < parent.nchildren; i++)
		if (parent.children[i].role == role &&
		    parent.children[i].index == index)
			return &parent.children[i];
	return NULL;
}

/* ---- wiring ------------------------------------------------------------ */

static int
roles_talk(enum role a, enum role b)
{
	static const struct { enum role a, b; } pairs[] = {
		{ ROLE_LISTENER, ROLE_AUTHD }, { ROLE_LISTENER, ROLE_HANDLER },
		{ ROLE_AUTHD, ROLE_AUDITD }, { ROLE_HANDLER, ROLE_AUDITD },
		{ ROLE_AUTHD, ROLE_FETCHER },
	};
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if ((pairs[i].a == a && pairs[i].b == b) ||
		    (pairs[i].a == b && pairs[i].b == a))
			return 1;
	return 0;
}

static void
send_peer(struct child_proc *to, const struct child_proc *peer, int fd)
{
	struct msg_peer m = { (uint8_t)peer->role, peer->index,
	    peer->instance };
	struct buffer b;

	buffer_init(&b, 64);
	put_peer(&b, &m);
	if (b.bad || to->control == NULL || channel_send_fd(to->control, MSG_PEER, 0, b.data, b.len,
	    fd) == -1) {
		log_warn("cannot wire %s to %s", to->name, peer->name);
		close(fd);
	}
	buffer_free(&b);
}

static void
wire(struct child_proc *a, struct child_proc *b)
{
	int sv[2];

	if (channel_pair(sv) == -1) {
		log_errno("socketpair for %s and %s", a->name, b->name);
		return;
	}
	send_peer(a, b, sv[0]);
	send_peer(b, a, sv[1]);
}

static void
send_ticket_key(struct child_proc *to, const struct msg_ticket_key *key)
{
	struct buffer *b;

	/* Its channel may have ended, its death not yet been told. */
	if (to->control == NULL ||
	    (b = channel_begin(to->control, MSG_TICKET_KEY, 0)) == NULL)
		return;
	put_ticket_key(b, key);
	(void)channel_commit(to->control);
}

/* The handler first: it must know the key before a ticket can reach it. */
static void
share_ticket_key(struct child_proc *handler, struct child_proc *authd)
{
	struct msg_ticket_key key;

	key.handler_index = handler->index;
	key.handler_instance = handler->instance;
	key.generation = ++generations;
	random_bytes(key.key, sizeof(key.key));
	send_ticket_key(handler, &key);
	channels_flush();
	send_ticket_key(authd, &key);
	/* And authd before a listener can ask it for a ticket. */
	channels_flush();
	explicit_bzero(&key, sizeof(key));
}

static void
send_listening(struct child_proc *listener)
{
	size_t i;
	int fd;

	for (i = 0; i < parent.nsockets; i++) {
		fd = fcntl(parent.sockets[listener->index][i],
		    F_DUPFD_CLOEXEC, 0);
		if (fd == -1) {
			log_errno("listening socket for %s", listener->name);
			continue;
		}
		if (listener->control == NULL || channel_send_fd(
		    listener->control, MSG_LISTEN, 0, NULL, 0, fd) == -1)
			close(fd);
	}
}

static size_t
count_ready(enum role role)
{
	size_t i, n = 0;

	for (i = 0; i < parent.nchildren; i++)
		if (parent.children[i].role == role &&
		    parent.children[i].state == CHILD_READY)
			n++;
	return n;
}

/* Keys are served, and tokens whose keys are known, without a fetcher. */
static int
is_needed(const struct child_proc *c)
{
	return c->role != ROLE_FETCHER;
}

/* The first time that all who are needed are there: open the doors. */
static void
check_all_ready(void)
{
	const struct listen_conf *l;
	size_t i;

	if (all_were_ready)
		return;
	for (i = 0; i < parent.nchildren; i++)
		if (parent.children[i].state != CHILD_READY &&
		    is_needed(&parent.children[i]))
			return;
	all_were_ready = 1;
	for (i = 0; i < parent.nchildren; i++)
		if (parent.children[i].role == ROLE_LISTENER)
			send_listening(&parent.children[i]);
	TAILQ_FOREACH(l, &parent.config->listens, entry)
		log_info("ready: listening on %s port %u: %u tools, "
		    "%u listeners, %u handlers", l->address,
		    (unsigned int)l->port, parent.config->ntools,
		    parent.config->listeners, parent.config->handlers);
	notify_ready();
}

static void
child_ready(struct child_proc *c)
{
	struct child_proc *other;
	size_t i;

	if (c->state != CHILD_STARTING)
		return;
	c->state = CHILD_READY;
	c->was_ready = 1;
	log_debug("ready: %s", c->name);
	/* Keys before wires: a listener may ask as soon as it is wired. */
	for (i = 0; i < parent.nchildren; i++) {
		other = &parent.children[i];
		if (other->state != CHILD_READY)
			continue;
		if (c->role == ROLE_HANDLER && other->role == ROLE_AUTHD)
			share_ticket_key(c, other);
		else if (c->role == ROLE_AUTHD && other->role == ROLE_HANDLER)
			share_ticket_key(other, c);
	}
	if (c->role == ROLE_AUDITD) {
		events_resend();
		pipes_auditd_ready();
	}
	/* Auditd's wires first, the listeners' last. */
	for (i = 0; i < parent.nchildren; i++) {
		other = &parent.children[i];
		if (other != c && other->state == CHILD_READY &&
		    roles_talk(c->role, other->role))
			wire(c, other);
	}
	if (all_were_ready && c->role == ROLE_LISTENER)
		send_listening(c);
	check_all_ready();
}

/* ---- cut off by a sibling ----------------------------------------------- */

struct parting {
	uint32_t	child;		/* instances */
	uint32_t	peer;
};

static struct child_proc *
by_instance(uint32_t instance)
{
	size_t i;

	for (i = 0; i < parent.nchildren; i++)
		if (parent.children[i].instance == instance &&
		    parent.children[i].state == CHILD_READY)
			return &parent.children[i];
	return NULL;
}

static void
parting_due(evutil_socket_t fd, short what, void *arg)
{
	struct parting *p = arg;
	struct child_proc *c = by_instance(p->child);
	const struct child_proc *peer = by_instance(p->peer);

	(void)fd;
	(void)what;
	free(p);
	/* By now the death of either would have been noticed. */
	if (c == NULL || peer == NULL || parent.stopping)
		return;
	log_warn("%s was cut off by %s: it is started anew", c->name,
	    peer->name);
	(void)kill(c->pid, SIGKILL);
}

/*
 * A child says that a peer ended their channel.  Where that peer lives, it
 * cut the child off for what it sent, and the two stay without each other
 * until one is new: the one that was found wanting.
 */
static int
peer_gone(const struct child_proc *c, const struct frame *f)
{
	static const struct timeval tv = { 0, PARTING_MS * 1000 };
	const struct child_proc *peer;
	struct parting *p;
	struct msg_peer m;

	if (get_peer(f, &m) == -1 || m.role >= ROLE_MAX)
		return -1;
	peer = supervise_find((enum role)m.role, m.index);
	/* Those who ask depend on those who answer, not the other way. */
	if (peer == NULL || !roles_talk(c->role, peer->role) ||
	    c->role == ROLE_AUDITD || peer->role == ROLE_LISTENER)
		return -1;
	/* Nobody ends because the fetcher, which faces a network, hung up. */
	if (peer->role == ROLE_FETCHER)
		return 0;
	/* Its successor may be up by the time that the child says so. */
	if (peer->instance != m.instance ||
	    peer->state != CHILD_READY || c->state != CHILD_READY ||
	    (p = malloc(sizeof(*p))) == NULL)
		return 0;
	p->child = c->instance;
	p->peer = peer->instance;
	if (event_base_once(parent.base, -1, EV_TIMEOUT, parting_due, p,
	    &tv) == -1)
		free(p);
	return 0;
}

/* ---- what children say ------------------------------------------------- */

static int
on_child_frame(struct channel *ch, const struct frame *f, void *arg)
{
	struct child_proc *c = arg;
	char name[32];
	uint32_t number;

	(void)ch;
	switch (f->type) {
	case MSG_READY:
		child_ready(c);
		return 0;
	case MSG_STATUS:
		return status_answer(c, f);
	case MSG_STATS:
		return figures_take(c, f);
	case MSG_EXPLAINED:
		return c->role == ROLE_AUTHD ? explain_answer(f) : -1;
	case MSG_KEYS_USED:
		return c->role == ROLE_AUTHD ? lastuse_told(f) : -1;
	case MSG_PEER:
		return peer_gone(c, f);
	case MSG_AUDIT_ACK:
	case MSG_AUDIT_NACK:
		return c->role == ROLE_AUDITD ? events_acked(f) : -1;
	case MSG_VIOLATION:
		if (f->length != sizeof(number))
			return -1;
		memcpy(&number, f->payload, sizeof(number));
		log_warn("sandbox: %s (pid %d) tried a system call that its "
		    "role may not make: %s", c->name, (int)c->pid,
		    sandbox_call_name(number, name, sizeof(name)));
		return 0;
	default:
		return -1;
	}
}

static void
on_child_closed(struct channel *ch, void *arg)
{
	struct child_proc *c = arg;

	(void)ch;
	c->control = NULL;
	/*
	 * It ended, or it does not keep the rules: either way SIGCHLD is to
	 * follow, and a process without orders must not stay.
	 */
	if (c->pid > 0 && c->state != CHILD_STOPPING)
		(void)kill(c->pid, SIGKILL);
}

/* ---- life and death ---------------------------------------------------- */

static void
child_exec(struct child_proc *c, int fd)
{
	static char path_env[] = "PATH=/usr/bin:/bin";
	char *env[8], *value, path[PATH_LEN_MAX];
	char *argv[2];
	size_t n = 0;
	int null;
#ifdef SANITIZED
	static char asan[1024], ubsan[1024];

	if ((value = getenv("ASAN_OPTIONS")) != NULL) {
		(void)snprintf(asan, sizeof(asan), "ASAN_OPTIONS=%s", value);
		env[n++] = asan;
	}
	if ((value = getenv("UBSAN_OPTIONS")) != NULL) {
		(void)snprintf(ubsan, sizeof(ubsan), "UBSAN_OPTIONS=%s",
		    value);
		env[n++] = ubsan;
	}
#else
	value = NULL;
#endif
	(void)value;
	env[n++] = path_env;
	env[n] = NULL;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", parent.libexec,
	    role_name(c->role)) >= sizeof(path))
		_exit(127);
	if ((null = open("/dev/null", O_RDWR)) == -1 ||
	    dup2(null, STDIN_FILENO) == -1)
		_exit(127);
	if (!parent.foreground && (dup2(null, STDOUT_FILENO) == -1 ||
	    dup2(null, STDERR_FILENO) == -1))
		_exit(127);
	if (fd == CONTROL_FD) {
		(void)fcntl(fd, F_SETFD, 0);
	} else if (dup2(fd, CONTROL_FD) == -1) {
		_exit(127);
	}
	close_from(CONTROL_FD + 1);
	argv[0] = path;
	argv[1] = NULL;
	execve(path, argv, env);
	_exit(127);
}

static void
restart_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	if (!parent.stopping)
		child_spawn(arg);
}

static void
schedule_restart(struct child_proc *c)
{
	struct timeval tv = { 0, 0 };
	uint64_t delay = 0;

	if (now_ms() - c->started_ms >= HEALTHY_MS)
		c->failures = 0;
	c->failures++;
	if (c->failures > 1) {
		delay = c->failures > 8 ? BACKOFF_MAX_MS :
		    (uint64_t)BACKOFF_MIN_MS << (c->failures - 2);
		if (delay > BACKOFF_MAX_MS)
			delay = BACKOFF_MAX_MS;
		log_warn("%s died %u times in a row: next start in %llu ms",
		    c->name, c->failures, (unsigned long long)delay);
	}
	tv.tv_sec = (time_t)(delay / 1000);
	tv.tv_usec = (suseconds_t)(delay % 1000 * 1000);
	if (c->restart == NULL)
		c->restart = evtimer_new(parent.base, restart_due, c);
	if (c->restart == NULL || evtimer_add(c->restart, &tv) == -1)
		fatal("cannot schedule the restart of %s", c->name);
}

static void
child_spawn(struct child_proc *c)
{
	static const struct channel_ops ops = {
		.frame = on_child_frame, .closed = on_child_closed
	};
	int sv[2];

	c->instance = ++instances;
	c->started_ms = now_ms();
	c->state = CHILD_STARTING;
	c->was_ready = 0;
	if (channel_pair(sv) == -1) {
		log_errno("cannot start %s", c->name);
		c->state = CHILD_GONE;
		schedule_restart(c);
		return;
	}
	/* The child reads its first orders without a loop. */
	(void)fcntl(sv[1], F_SETFL, fcntl(sv[1], F_GETFL) & ~O_NONBLOCK);
	if ((c->pid = fork()) == 0)
		child_exec(c, sv[1]);
	close(sv[1]);
	if (c->pid == -1) {
		log_errno("cannot start %s", c->name);
		close(sv[0]);
		c->pid = 0;
		c->state = CHILD_GONE;
		schedule_restart(c);
		return;
	}
	if ((c->control = channel_new(parent.base, sv[0], c->name, 0, &ops,
	    c)) == NULL)
		fatal_errno("control channel of %s", c->name);
	channel_secret(c->control);
	if (slice_send(c) == -1) {
		log_warn("%s cannot be given its configuration", c->name);
		(void)kill(c->pid, SIGKILL);
	}
}

static void
say_how_it_ended(const struct child_proc *c, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		log_warn("%s (pid %d) was killed by its sandbox", c->name,
		    (int)c->pid);
	else if (WIFSIGNALED(status))
		log_warn("%s (pid %d) was killed by signal %d (%s)", c->name,
		    (int)c->pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 127)
		log_warn("%s: %s/%s cannot be executed", c->name,
		    parent.libexec, role_name(c->role));
	else if (!parent.stopping || WEXITSTATUS(status) != 0)
		log_warn("%s (pid %d) exited with %d", c->name, (int)c->pid,
		    WEXITSTATUS(status));
}

static void
child_ended(struct child_proc *c, int status)
{
	if (c->role == ROLE_HANDLER)
		generations_advance();
	/* What it said last may still wait in the socket: a violation. */
	if (c->control != NULL)
		channel_drain(c->control);
	if (c->control != NULL) {
		channel_close(c->control);
		c->control = NULL;
	}
	say_how_it_ended(c, status);
	figures_ended(c);
	if (!parent.stopping)
		event_tell("crash", "{\"role\":\"%s\",\"index\":%u,"
		    "\"pid\":%d,\"%s\":%d}", role_name(c->role), c->index,
		    (int)c->pid, WIFSIGNALED(status) ? "signal" : "exit",
		    WIFSIGNALED(status) ? WTERMSIG(status) :
		    WEXITSTATUS(status));
	c->pid = 0;
	c->state = CHILD_GONE;
	if (parent.stopping) {
		stop_next();
		return;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_STOP_ALL &&
	    c->role == ROLE_AUDITD) {
		log_warn("stopping: what happens cannot be recorded");
		parent.exit_code = 1;
		supervise_stop();
		return;
	}
	if (!all_were_ready && !c->was_ready && is_needed(c)) {
		log_warn("%s did not start: stopping", c->name);
		parent.exit_code = 1;
		supervise_stop();
		return;
	}
	schedule_restart(c);
}

static void
on_sigchld(evutil_socket_t fd, short what, void *arg)
{
	int status;
	pid_t pid;
	size_t i;

	(void)fd;
	(void)what;
	(void)arg;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pipes_ended(pid, status))
			continue;
		for (i = 0; i < parent.nchildren; i++)
			if (parent.children[i].pid == pid) {
				child_ended(&parent.children[i], status);
				break;
			}
	}
}

static void
child_add(enum role role, uint32_t index)
{
	struct child_proc *c = &parent.children[parent.nchildren++];

	c->role = role;
	c->index = index;
	if (role == ROLE_LISTENER || role == ROLE_HANDLER)
		(void)snprintf(c->name, sizeof(c->name), "%s %u",
		    role_name(role), index);
	else
		(void)snprintf(c->name, sizeof(c->name), "%s",
		    role_name(role));
}

void
supervise_start(void)
{
	static struct event *chld;
	uint32_t i;
	size_t n;

	/* The order of wiring: what others lean on first. */
	child_add(ROLE_AUDITD, 0);
	child_add(ROLE_AUTHD, 0);
	if (parent.config->auth.nissuers > 0)
		child_add(ROLE_FETCHER, 0);
	for (i = 0; i < parent.config->handlers; i++)
		child_add(ROLE_HANDLER, i);
	for (i = 0; i < parent.config->listeners; i++)
		child_add(ROLE_LISTENER, i);
	chld = evsignal_new(parent.base, SIGCHLD, on_sigchld, NULL);
	if (chld == NULL || event_add(chld, NULL) == -1)
		fatal("cannot watch children");
	for (n = 0; n < parent.nchildren; n++)
		child_spawn(&parent.children[n]);
	pipes_start();
}

/* ---- the end ----------------------------------------------------------- */

static void
stop_deadline(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval rest = {
		KILL_MS / 1000, KILL_MS % 1000 * 1000
	};
	static int rounds;
	struct child_proc *c;
	size_t i;

	(void)fd;
	(void)what;
	(void)arg;
	rounds++;
	for (i = 0; i < parent.nchildren; i++) {
		c = &parent.children[i];
		/* Auditd has what is left of the time for its journal. */
		if (c->pid <= 0 || (rounds == 1 && c->role == ROLE_AUDITD))
			continue;
		log_warn("%s did not finish in time: killed", c->name);
		(void)kill(c->pid, SIGKILL);
	}
	evtimer_add(stop_timer, &rest);
}

static int
stop_role(enum role role)
{
	struct child_proc *c;
	int left = 0;
	size_t i;

	for (i = 0; i < parent.nchildren; i++) {
		c = &parent.children[i];
		if (c->role != role || c->pid <= 0)
			continue;
		left = 1;
		if (c->state == CHILD_STOPPING)
			continue;
		c->state = CHILD_STOPPING;
		if (c->control == NULL || channel_send(c->control,
		    MSG_SHUTDOWN, 0, NULL, 0) == -1)
			(void)kill(c->pid, SIGKILL);
	}
	return left;
}

/* Whoever leans on another ends before it. */
static void
stop_next(void)
{
	static const enum role order[] = {
		ROLE_LISTENER, ROLE_FETCHER, ROLE_HANDLER, ROLE_AUTHD,
		ROLE_AUDITD
	};
	size_t i;

	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (stop_role(order[i]))
			return;
	parent.stop = 1;
}

void
supervise_stop(void)
{
	static const struct timeval patience = {
		SHUTDOWN_MS / 1000, SHUTDOWN_MS % 1000 * 1000
	};
	size_t i;

	if (parent.stopping)
		return;
	parent.stopping = 1;
	notify_stopping();
	for (i = 0; i < parent.nchildren; i++)
		if (parent.children[i].restart != NULL)
			evtimer_del(parent.children[i].restart);
	if ((stop_timer = evtimer_new(parent.base, stop_deadline, NULL)) ==
	    NULL || evtimer_add(stop_timer, &patience) == -1)
		fatal("cannot stop in order");
	stop_next();
}

/* ---- orders to children ------------------------------------------------ */

void
supervise_keys(void)
{
	struct child_proc *authd = supervise_find(ROLE_AUTHD, 0);

	/* One that is starting was given the file a moment ago: again. */
	if (authd != NULL && authd->control != NULL &&
	    (authd->state == CHILD_READY || authd->state == CHILD_STARTING) &&
	    keys_send(authd) == 0)
		log_debug("key file read again");
}

void
supervise_verbose(int verbose)
{
	uint8_t flag = verbose != 0;
	size_t i;

	parent.verbose = verbose;
	log_verbose(verbose);
	for (i = 0; i < parent.nchildren; i++)
		if (parent.children[i].state == CHILD_READY &&
		    parent.children[i].control != NULL)
			(void)channel_send(parent.children[i].control,
			    MSG_VERBOSE, 0, &flag, sizeof(flag));
	log_info("log level: %s, %zu handlers ready",
	    verbose ? "verbose" : "brief", count_ready(ROLE_HANDLER));
}
