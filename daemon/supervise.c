/* SPDX-License-Identifier: ISC */

/*
 * What becomes of the children: the first start, what they may say, who is
 * started anew, the orderly end.
 *
 * The children are not trusted: of what they send, a few messages are taken,
 * and none steers more than a log line, a status answer, a reload that is
 * refused, or a fresh start of the sender itself.
 */

#include <sys/wait.h>

#include <signal.h>
#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "../pledge/sandbox.h"
#include "parent.h"

#define PARTING_MS	50	/* for the death of a peer to be noticed */
#define KILL_MS		2000	/* after SHUTDOWN_MS, for those who are left */
#define PARTINGS_MAX	(HANDLERS_MAX + 2)	/* of one process: all its peers */
#define VIOLATIONS_MAX	4	/* of one process, that are believed */

struct parent parent = {
	.children = TAILQ_HEAD_INITIALIZER(parent.children),
	.crews = TAILQ_HEAD_INITIALIZER(parent.crews),
};

static int all_were_ready;
static struct event *stop_timer;
static int stop_is_late;

struct child_proc *
supervise_find(enum role role, uint32_t index)
{
	return role == ROLE_AUDITD ? parent.auditd :
	    crew_find(parent.serving, role, index);
}

/* ---- cut off by a sibling ----------------------------------------------- */

struct parting {
	uint32_t	child;		/* instances */
	uint32_t	peer;
};

static struct child_proc *
by_instance(uint32_t instance)
{
	struct child_proc *c;

	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->instance == instance && c->state == CHILD_READY)
			return c;
	return NULL;
}

static void	parting_wait(struct parting *);

static void
parting_due(evutil_socket_t fd, short what, void *arg)
{
	struct parting *p = arg;
	struct child_proc *c = by_instance(p->child);
	const struct child_proc *peer = by_instance(p->peer);

	(void)fd;
	(void)what;
	/* It ends, or it has to stay: only then it is known. */
	if (peer != NULL && peer->leaving) {
		parting_wait(p);
		return;
	}
	free(p);
	if (c != NULL && c->partings > 0)
		c->partings--;
	/* By now the death of either would have been noticed. */
	if (c == NULL || peer == NULL || parent.stopping)
		return;
	log_warn("%s was cut off by %s: it is started anew", c->name,
	    peer->name);
	(void)kill(c->pid, SIGKILL);
}

static void
parting_wait(struct parting *p)
{
	static const struct timeval tv = { 0, PARTING_MS * 1000 };

	if (event_base_once(parent.base, -1, EV_TIMEOUT, parting_due, p,
	    &tv) == -1)
		free(p);
}

/*
 * A child says that a peer ended their channel.  Where that peer lives, it
 * cut the child off for what it sent, and the two stay without each other
 * until one is new: the one that was found wanting.
 */
static int
peer_gone(struct child_proc *c, const struct frame *f)
{
	const struct child_proc *peer;
	struct parting *p;
	struct msg_peer m;

	if (get_peer(f, &m) == -1 || m.role >= ROLE_MAX)
		return -1;
	peer = m.role == ROLE_AUDITD ? parent.auditd :
	    crew_find(c->crew, (enum role)m.role, m.index);
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
	    c->partings >= PARTINGS_MAX || (p = malloc(sizeof(*p))) == NULL)
		return 0;
	p->child = c->instance;
	p->peer = peer->instance;
	c->partings++;
	parting_wait(p);
	return 0;
}

/* ---- what children say ------------------------------------------------- */

/* The first time that all who are needed are there: open the doors. */
static void
check_all_ready(void)
{
	if (all_were_ready || parent.serving == NULL ||
	    !successor_may_open() ||
	    parent.auditd->state != CHILD_READY ||
	    !crew_is_ready(parent.serving))
		return;
	all_were_ready = 1;
	doors_open(parent.serving);
	notify_ready();
	successor_opened();
}

void
supervise_look(void)
{
	check_all_ready();
}

int
supervise_is_ready(void)
{
	return all_were_ready;
}

static void
child_ready(struct child_proc *c)
{
	/* Told to end while it started: what it has to report keeps it. */
	if (c->state == CHILD_STOPPING && !c->ended && !c->dismissed &&
	    !c->was_ready) {
		c->was_ready = 1;
		wiring_ready(c);
	}
	if (c->state != CHILD_STARTING)
		return;
	c->state = CHILD_READY;
	c->was_ready = 1;
	log_debug("ready: %s", c->name);
	if (c->role == ROLE_AUDITD) {
		events_resend();
		pipes_auditd_ready();
	}
	wiring_ready(c);
	if (all_were_ready && c->role == ROLE_LISTENER &&
	    c->crew == parent.serving && c->crew->state == CREW_SERVING)
		doors_send(c);
	check_all_ready();
	reload_child_ready(c);
	successor_child_ready(c);
	upgrade_look();
}

/*
 * Somebody refuses what a child has: the secret may be another by now.  It
 * gets what it would get at a start, and not oftener than that.
 */
static int
renew_dsn(struct child_proc *c, const struct frame *f)
{
	uint64_t now = now_ms();
	uint32_t number;

	if (get_number(f, &number) == -1 || number >= CREDENTIALS_MAX)
		return -1;
	if (c->state != CHILD_READY ||
	    (c->renewed_ms[number] != 0 &&
	    now - c->renewed_ms[number] < RENEW_MS))
		return 0;
	c->renewed_ms[number] = now;
	return slice_dsn(c, number);
}

static int
violation(struct child_proc *c, const struct frame *f)
{
	uint32_t number;
	char name[32];

	/* An honest one ends with the first, a thread of it at its side. */
	if (f->length != sizeof(number) ||
	    c->violations_now++ == VIOLATIONS_MAX)
		return -1;
	memcpy(&number, f->payload, sizeof(number));
	c->violations++;
	log_warn("sandbox: %s (pid %d) tried a system call that its role may "
	    "not make: %s", c->name, (int)c->pid, sandbox_call_name(number,
	    name, sizeof(name)));
	return 0;
}

/* It was to let the journal go, and cannot: nobody could go on with it. */
static int
auditd_stays(struct child_proc *c, const struct frame *f)
{
	if (c->role != ROLE_AUDITD || !c->leaving || f->length != 0)
		return -1;
	c->leaving = 0;
	/* Neither: the daemon ends, and nobody else is to have it. */
	if (!reload_auditd_stays())
		(void)upgrade_auditd_stays();
	return 0;
}

int
supervise_frame(struct channel *ch, const struct frame *f, void *arg)
{
	struct child_proc *c = arg;

	(void)ch;
	switch (f->type) {
	case MSG_READY:
		child_ready(c);
		return 0;
	case MSG_STATUS:
		return status_answer(c, f);
	case MSG_STATS:
		return figures_take(c, f);
	case MSG_METRICS_ASK:
		return metrics_asked(c, f);
	case MSG_EXPLAINED:
		return c->role == ROLE_AUTHD ? explain_answer(f) : -1;
	case MSG_KEYS_USED:
		return c->role == ROLE_AUTHD ? lastuse_told(f) : -1;
	case MSG_PEER:
		return peer_gone(c, f);
	case MSG_CREDENTIALS:
		return renew_dsn(c, f);
	case MSG_AUDIT_ACK:
	case MSG_AUDIT_NACK:
		return c->role == ROLE_AUDITD ? events_acked(f) : -1;
	case MSG_VIOLATION:
		return violation(c, f);
	case MSG_HAND_OVER:
		return auditd_stays(c, f);
	case MSG_CHECKED_SOURCE:
	case MSG_CHECKED_TOOL:
	case MSG_CHECKED:
		return c->role == ROLE_HANDLER ? checked_frame(c, f) : -1;
	case MSG_LEFT:
		if (!c->leaving || f->length != 0)
			return -1;
		c->has_left = 1;
		reload_has_left();
		upgrade_look();
		return 0;
	default:
		return -1;
	}
}

/* ---- who is started anew ----------------------------------------------- */

static void	stop_next(void);

/* The end has begun, and somebody may have to report to auditd. */
static int
is_leant_on(void)
{
	const struct child_proc *c;

	if (!all_were_ready || stop_is_late)
		return 0;
	TAILQ_FOREACH(c, &parent.children, entry)
		if (c != parent.auditd && c->pid > 0)
			return 1;
	return successor_other_is_there();
}

void
supervise_ended(struct child_proc *c, int status)
{
	int stop_all = c->role == ROLE_AUDITD && WIFEXITED(status) &&
	    WEXITSTATUS(status) == EXIT_STOP_ALL;

	if (parent.stopping) {
		/* It goes last: who finishes a call waits for its record. */
		if (c->role == ROLE_AUDITD && !stop_all && is_leant_on())
			child_restart(c);
		stop_next();
		return;
	}
	if (stop_all) {
		log_warn("stopping: what happens cannot be recorded");
		parent.exit_code = 1;
		supervise_stop();
		return;
	}
	if (c->role == ROLE_AUDITD)
		successor_auditd_ended();
	if (c->role == ROLE_AUDITD ? reload_auditd_ended() ||
	    upgrade_auditd_ended() : crew_child_ended(c))
		return;
	if (!all_were_ready && !c->was_ready && crew_needs(c)) {
		log_warn("%s did not start: stopping", c->name);
		parent.exit_code = 1;
		supervise_stop();
		return;
	}
	child_restart(c);
}

void
supervise_start(void)
{
	children_watch();
	parent.auditd = child_new(NULL, ROLE_AUDITD, 0);
	parent.serving = crew_new(parent.config);
	if (parent.auditd == NULL || parent.serving == NULL)
		fatal("out of memory");
	parent.serving->state = CREW_SERVING;
	parent.audited = parent.config;
	child_spawn(parent.auditd);
	if (crew_start(parent.serving) == -1)
		fatal("out of memory");
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

	(void)fd;
	(void)what;
	(void)arg;
	rounds++;
	stop_is_late = 1;
	TAILQ_FOREACH(c, &parent.children, entry) {
		/* Auditd has what is left of the time for its journal. */
		if (c->pid <= 0 || (rounds == 1 && c->role == ROLE_AUDITD))
			continue;
		log_warn("%s did not finish in time: killed", c->name);
		child_kill(c);
	}
	evtimer_add(stop_timer, &rest);
	stop_next();
}

static int
stop_role(enum role role)
{
	struct child_proc *c;
	int left = 0;

	TAILQ_FOREACH(c, &parent.children, entry) {
		if (c->role != role || c->pid <= 0)
			continue;
		left = 1;
		child_stop(c);
	}
	return left;
}

/*
 * The doors were never opened, and auditd has ended: none follows, and nobody
 * has a call to tell it of.  What authd would say, it says at every start.
 */
static void
dismiss_all(void)
{
	struct child_proc *c;

	if (all_were_ready || parent.auditd->pid > 0)
		return;
	TAILQ_FOREACH(c, &parent.children, entry)
		child_dismiss(c);
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

	dismiss_all();
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (order[i] == ROLE_AUDITD && !stop_is_late &&
		    successor_ends_other())
			return;
		if (stop_role(order[i]))
			return;
	}
	parent.stop = 1;
}

void
supervise_other_gone(void)
{
	if (parent.stopping)
		stop_next();
}

void
supervise_stop(void)
{
	static const struct timeval patience = {
		SHUTDOWN_MS / 1000, SHUTDOWN_MS % 1000 * 1000
	};
	struct child_proc *c;

	if (parent.stopping)
		return;
	parent.stopping = 1;
	notify_stopping();
	reload_give_up();
	upgrade_give_up();
	TAILQ_FOREACH(c, &parent.children, entry) {
		/* Of auditd there is one to the end. */
		if (c->restart != NULL && (c != parent.auditd ||
		    !is_leant_on()))
			evtimer_del(c->restart);
		/* They never served: nothing of theirs can be lost. */
		if (successor_waits())
			child_dismiss(c);
	}
	/* Both finish in the same time, while there is an auditd. */
	(void)successor_ends_other();
	if ((stop_timer = evtimer_new(parent.base, stop_deadline, NULL)) ==
	    NULL || evtimer_add(stop_timer, &patience) == -1)
		fatal("cannot stop in order");
	stop_next();
}

/* ---- orders to children ------------------------------------------------ */

/*
 * The keys of the configuration that is in force, for the crew before, too:
 * one that was revoked is good nowhere.
 */
void
supervise_keys(void)
{
	struct child_proc *c;
	int sent = 0;

	/* One that is starting was given the file a moment ago: again. */
	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->role == ROLE_AUTHD && c->control != NULL &&
		    (c->state == CHILD_READY || c->state == CHILD_STARTING) &&
		    c->crew->state != CREW_DROPPED)
			sent |= keys_send(c) == 0;
	if (sent)
		log_debug("key file read again");
}

void
supervise_verbose(int verbose)
{
	uint8_t flag = verbose != 0;
	struct child_proc *c;

	parent.verbose = verbose;
	log_verbose(verbose);
	/* One that is starting was told the level that was. */
	TAILQ_FOREACH(c, &parent.children, entry)
		if ((c->state == CHILD_READY || c->state == CHILD_STARTING) &&
		    c->control != NULL)
			(void)channel_send(c->control, MSG_VERBOSE, 0, &flag,
			    sizeof(flag));
	log_info("log level: %s", verbose ? "verbose" : "brief");
}
