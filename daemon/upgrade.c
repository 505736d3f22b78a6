/* SPDX-License-Identifier: ISC */

/*
 * Another executable takes over, as another configuration does at a reload:
 * the parent executes the file that it was started from, which rises with
 * children of its own beside those that serve, has the listening sockets
 * already and checks its configuration at the live sources.  Until its doors
 * are open everything can be taken back, and whatever fails before changes
 * nothing.
 *
 * The journal has one owner at a time.  Where the children of both versions
 * speak the same messages, the new auditd takes it before the swap, those that
 * serve go on by it, and finish what is in flight after the swap.  Where they
 * do not, these finish first, and calls that come meanwhile wait in the
 * listening sockets until the new ones have the journal.
 *
 * bequeath.c starts the new parent, handover.c says what the two say to each
 * other, successor.c is the other side.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

/* It waits for its sources as a reload does, and for its children's start. */
#define RISE_MS		60000
#define JOURNAL_MS	30000	/* a large journal is read at the start */
#define HAND_OVER_MS	5000	/* for auditd to end its group */
#define SERVE_MS	10000
#define KILL_MS		2000	/* its end is heard, or not waited for */
#define BACK_MS		5000	/* ours are there again, or it is said */

enum step {
	STEP_NONE,
	STEP_RISING,		/* its children start and check */
	STEP_PLACE,		/* the daemon before this one still finishes */
	STEP_RESTING,		/* ours finish, without its help */
	STEP_HAND_OVER,		/* our auditd ends */
	STEP_JOURNAL,		/* its auditd starts */
	STEP_SERVE,		/* it is to open the doors */
	STEP_SETTLING,		/* it has: our listeners stop to accept */
	STEP_GONE,		/* … and finish what is in flight */
	STEP_BACK		/* it failed: ours have to come back */
};

static enum step step;
static const char *self;		/* the executable */
static pid_t pid;			/* of the new parent; 0: none, or not known */
static pid_t between;			/* who started it */
static int link_fd = -1;
static struct event *linked, *timer;
static struct channel *relay;		/* to its auditd */
static int same_messages;		/* … speaks ours */
static int rested;			/* our children were told to finish */
static int auditd_back;			/* ours was started again */
static int killed;			/* by us: what it said last counts for nothing */
static int stop_wanted;
static struct buffer why;

static char by_[64];			/* a JSON member */
static void (*done_)(int, const char *, size_t, void *);
static void *arg_;

/* ---- the answer -------------------------------------------------------- */

static void
disarm(void)
{
	if (timer != NULL)
		evtimer_del(timer);
}

static void
close_link(void)
{
	if (linked != NULL)
		event_free(linked);
	linked = NULL;
	if (link_fd != -1)
		close(link_fd);
	link_fd = -1;
	if (relay != NULL) {
		if (parent.auditd->control == relay)
			parent.auditd->control = NULL;
		channel_close(relay);
	}
	relay = NULL;
}

static void
answer(int failed)
{
	if (done_ != NULL)
		done_(failed, (const char *)why.data, why.len, arg_);
	done_ = NULL;
	buffer_free(&why);
}

/* There is one daemon again, this one. */
static void
refused(void)
{
	struct slice reason;

	disarm();
	close_link();
	step = STEP_NONE;
	rested = auditd_back = 0;
	if (why.len == 0 || why.bad) {
		buffer_clear(&why);
		(void)buffer_add_cstr(&why, "see the log\n");
	}
	reason = event_reason(&why);
	log_warn("upgrade refused, nothing has changed: %.*s",
	    (int)reason.len, reason.ptr);
	event_refused("upgrade", by_, reason);
	attempt_refused(ATTEMPT_UPGRADE, reason);
	(void)buffer_add_cstr(&why, "upgrade refused: nothing has changed\n");
	notify_ready();
	answer(1);
	if (stop_wanted)
		supervise_stop();
}

static void
because(const char *fmt, const char *what)
{
	if (why.len == 0)
		(void)buffer_printf(&why, fmt, what);
}

/* ---- it failed --------------------------------------------------------- */

/* Goes on from wherever we are, until all of ours serve as before. */
static void
come_back(void)
{
	struct crew *crew = parent.serving;

	if (rested) {
		if (crew->state != CREW_RESTED)
			return;		/* upgrade_look(), when it is */
		rested = 0;
		crew_wake(crew);
	}
	if (!auditd_back && parent.auditd->pid <= 0) {
		auditd_back = 1;
		pipes_change();
		child_spawn(parent.auditd);
	}
	if (parent.auditd->state == CHILD_READY &&
	    (stop_wanted || crew_is_ready(crew)))
		refused();
}

static void	arm(uint32_t ms);

static void
failed(void)
{
	enum step at = step;

	close_link();
	step = STEP_BACK;
	/* Our auditd is about to end, or the timer ends it. */
	if (at == STEP_HAND_OVER && parent.auditd->leaving)
		return;
	arm(BACK_MS);
	if (parent.auditd->pid <= 0)
		parent.auditd->state = CHILD_GONE;
	come_back();
}

/*
 * Its end is heard on the link.  It is no child of ours: from then on its
 * number may be another's, and is forgotten.
 */
static void
end_it(void)
{
	killed = 1;
	if (pid > 0)
		(void)kill(pid, SIGKILL);
}

/*
 * Not all of ours have come back: those that finish have their own time, and
 * what cannot be started (its executable may be another's by now) is tried
 * again and again, as ever.  Nobody waits for that, and nothing is barred.
 */
static void
not_back(void)
{
	if (rested) {
		arm(BACK_MS);
		return;
	}
	(void)buffer_add_cstr(&why, "not all processes serve again: they are "
	    "tried again and again (see the log)\n");
	refused();
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (step == STEP_HAND_OVER ||
	    (step == STEP_BACK && parent.auditd->leaving)) {
		log_warn("auditd does not hand the journal over: killed");
		child_kill(parent.auditd);
		return;
	}
	if (step == STEP_BACK) {
		not_back();
		return;
	}
	because("%s: was not ready in time\n", self);
	/* A program that it was wrapped in may keep the link open. */
	if (killed || pid <= 0) {
		failed();
		return;
	}
	end_it();
	arm(KILL_MS);
}

static void
arm(uint32_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000),
	    (suseconds_t)(ms % 1000 * 1000) };

	if (timer == NULL)
		timer = evtimer_new(parent.base, on_timer, NULL);
	if (timer == NULL || evtimer_add(timer, &tv) == -1)
		log_warn("upgrade: out of memory");
}

static void
say(const char *word)
{
	if (handover_say(link_fd, word, NULL) == 0)
		return;
	log_errno("upgrade: the new daemon cannot be told");
	end_it();
}

/* ---- the swap ---------------------------------------------------------- */

static void
hand_over(void)
{
	step = STEP_HAND_OVER;
	arm(HAND_OVER_MS);
	if (!child_hand_over(parent.auditd))
		(void)upgrade_auditd_ended();
}

int
upgrade_auditd_ended(void)
{
	switch (step) {
	case STEP_HAND_OVER:
		step = STEP_JOURNAL;
		pipes_forget();
		arm(JOURNAL_MS);
		say("journal");
		return 1;
	case STEP_BACK:
		if (!auditd_back) {
			arm(BACK_MS);
			come_back();
			return 1;
		}
		/* Started anew like any that died; nobody waits for that. */
		because("%s\n", "see the log");
		(void)buffer_add_cstr(&why, "auditd does not start here "
		    "either: it is tried again and again (see the log)\n");
		refused();
		return 0;
	default:
		return 0;
	}
}

/* It cannot be written, and a new owner could not even begin. */
int
upgrade_auditd_stays(void)
{
	/* The other has failed meanwhile: all is as it was. */
	if (step == STEP_BACK) {
		come_back();
		return 1;
	}
	if (step != STEP_HAND_OVER)
		return 0;
	because("%s\n", "the journal cannot be written: mend that first "
	    "(see the log)");
	end_it();
	failed();
	return 1;
}

/* Three daemons on one journal would be one too many. */
static void
take_turns(void)
{
	struct crew *crew;

	if (successor_other_is_there()) {
		if (step != STEP_PLACE)
			arm(RISE_MS);
		step = STEP_PLACE;
		return;
	}
	if (same_messages) {
		hand_over();
		return;
	}
	log_info("upgrade: the new version has other messages: calls wait "
	    "until those in flight are answered");
	disarm();
	step = STEP_RESTING;
	rested = 1;
	TAILQ_FOREACH(crew, &parent.crews, entry)
		if (crew == parent.serving)
			crew_rest(crew);
	upgrade_look();
}

/* Its auditd has the journal: ours report to it. */
static void
lean_on_it(void)
{
	struct child_proc *auditd = parent.auditd;
	struct crew *crew;

	if (relay == NULL)
		return;
	auditd->control = relay;
	auditd->state = CHILD_READY;
	auditd->instance = child_instance();
	TAILQ_FOREACH(crew, &parent.crews, entry)
		if (catalogue_send(relay, crew) == -1)
			log_warn("upgrade: the new auditd cannot be told what "
			    "records name");
	wiring_ready(auditd);
	events_resend();
	channels_flush();
}

static void
on_audits(void)
{
	if (step == STEP_JOURNAL) {
		if (same_messages)
			lean_on_it();
		step = STEP_SERVE;
		arm(SERVE_MS);
		say("serve");
	} else if (step >= STEP_SERVE && step < STEP_BACK && same_messages) {
		lean_on_it();	/* it has another */
	}
}

static void
finish(void)
{
	const struct crew *crew;

	TAILQ_FOREACH(crew, &parent.crews, entry)
		if (crew->state != CREW_RESTED)
			return;
	if (parent.stop)
		return;
	log_info("upgrade: all that was in flight here is answered");
	parent.stop = 1;
}

static void
settle(void)
{
	const struct crew *crew;

	TAILQ_FOREACH(crew, &parent.crews, entry)
		if (crew_accepts(crew))
			return;
	step = STEP_GONE;
	answer(0);
	finish();
}

static void
on_serving(const char *version)
{
	struct crew *crew, *next;

	disarm();
	step = STEP_SETTLING;
	control_release();
	metrics_release();
	doors_release();
	notify_follow(pid);
	say("main");
	buffer_clear(&why);
	(void)buffer_printf(&why, "version %s serves as process %d\n", version,
	    (int)pid);
	log_info("upgrade: version %s serves as process %d, and this one "
	    "finishes", version, (int)pid);
	TAILQ_FOREACH_SAFE(crew, &parent.crews, entry, next)
		if (crew->state == CREW_SERVING)
			crew_leave(crew);
	if (stop_wanted && pid > 0)
		(void)kill(pid, SIGTERM);
	settle();
}

void
upgrade_look(void)
{
	const struct crew *crew;

	switch (step) {
	case STEP_PLACE:
		take_turns();
		return;
	case STEP_RESTING:
		TAILQ_FOREACH(crew, &parent.crews, entry)
			if (crew->state != CREW_RESTED)
				return;
		hand_over();
		return;
	case STEP_SETTLING:
		settle();
		return;
	case STEP_GONE:
		finish();
		return;
	case STEP_BACK:
		come_back();
		return;
	default:
		return;
	}
}

/* ---- the other side ---------------------------------------------------- */

static void
heard(const char *word, char *text)
{
	struct slice said = slice_of(text);
	const char *error;
	char line[HANDOVER_WORD_MAX];

	if (strcmp(word, "process") == 0 && pid == 0) {
		pid = (pid_t)strtonum(text, 2, INT32_MAX, &error);
	} else if (strcmp(word, "refused") == 0 && step < STEP_SETTLING) {
		buffer_clear(&why);
		(void)buffer_add(&why, said.ptr, said.len);
	} else if (strcmp(word, "risen") == 0 && step == STEP_RISING) {
		same_messages = handover_same_messages(text);
		take_turns();
	} else if (strcmp(word, "audits") == 0) {
		on_audits();
	} else if (strcmp(word, "deaf") == 0 && step > STEP_JOURNAL &&
	    same_messages) {
		parent.auditd->state = CHILD_STARTING;
	} else if (strcmp(word, "serving") == 0 && step == STEP_SERVE &&
	    !killed) {
		on_serving(log_safe(line, sizeof(line), said));
	} else if (strcmp(word, "stop") == 0 && step > STEP_SERVE) {
		supervise_stop();
	}
}

static void
on_link(evutil_socket_t fd, short what, void *arg)
{
	static char word[HANDOVER_WORD_MAX];
	char *text;
	int rc;

	(void)what;
	(void)arg;
	while ((rc = handover_hear((int)fd, word, &text)) == 1) {
		heard(word, text);
		if (link_fd == -1)
			return;
	}
	if (rc == 0)
		return;
	(void)event_del(linked);
	pid = 0;
	if (step >= STEP_SETTLING && step <= STEP_GONE && !parent.stopping) {
		log_warn("upgrade: the new daemon has ended: stopping");
		parent.exit_code = 1;
		supervise_stop();
	} else if (step != STEP_NONE && step != STEP_BACK &&
	    step < STEP_SETTLING) {
		because("%s: ended before it served (see the log)\n", self);
		failed();
	}
}

int
upgrade_ended(pid_t ended)
{
	if (between == 0 || ended != between)
		return 0;
	between = 0;
	return 1;
}

static int
on_relay(struct channel *ch, const struct frame *f, void *arg)
{
	(void)ch;
	(void)f;
	(void)arg;
	return -1;	/* it has nothing to say here */
}

static void
on_relay_closed(struct channel *ch, void *arg)
{
	(void)arg;
	if (parent.auditd->control == ch)
		parent.auditd->control = NULL;
	relay = NULL;
}

static const struct channel_ops relay_ops = {
	.frame = on_relay, .closed = on_relay_closed
};

/* ---- the start --------------------------------------------------------- */

static int
begin(void)
{
	int relay_fd;

	if ((self = bequeath_path()) == NULL) {
		because("%s\n", "how it was started is not known: restart it");
		return -1;
	}
	pid = 0;
	killed = 0;
	if ((between = bequeath(by_, &link_fd, &relay_fd)) == -1) {
		because("%s\n", strerror(errno));
		between = 0;
		return -1;
	}
	relay = channel_new(parent.base, relay_fd, "the new auditd", 0,
	    &relay_ops, NULL);
	linked = event_new(parent.base, link_fd, EV_READ | EV_PERSIST, on_link,
	    NULL);
	if (relay == NULL || linked == NULL || event_add(linked, NULL) == -1)
		fatal("out of memory");
	return 0;
}

static void
refuse_early(const char *by, const char *no,
    void (*done)(int, const char *, size_t, void *), void *arg)
{
	log_warn("upgrade refused: %.*s", (int)strlen(no) - 1, no);
	if (!parent.stopping)
		event_refused("upgrade", by, (struct slice){ no,
		    strlen(no) - 1 });
	if (done != NULL)
		done(1, no, strlen(no), arg);
}

void
upgrade_ask(const char *by, void (*done)(int, const char *, size_t, void *),
    void *arg)
{
	if (parent.stopping || !supervise_is_ready()) {
		if (!parent.stopping)
			attempt_refused(ATTEMPT_UPGRADE,
			    slice_of("the daemon was not ready"));
		refuse_early(by, "the daemon is not ready, or ends: nothing has "
		    "changed\n", done, arg);
		return;
	}
	if (step != STEP_NONE || reload_is_under_way()) {
		if (step == STEP_NONE)
			attempt_refused(ATTEMPT_UPGRADE,
			    slice_of("a reload was under way"));
		refuse_early(by, "a reload or an upgrade is under way: this one "
		    "is refused\n", done, arg);
		return;
	}
	(void)strlcpy(by_, by, sizeof(by_));
	done_ = done;
	arg_ = arg;
	buffer_init(&why, HANDOVER_WORD_MAX + 1024);
	step = STEP_RISING;
	arm(RISE_MS);
	notify_status("starting another executable");
	if (begin() == -1) {
		refused();
		return;
	}
	log_info("upgrade: %s is started beside this process", self);
}

void
upgrade_forget(const void *arg)
{
	if (arg_ == arg)
		done_ = NULL;
}

int
upgrade_is_under_way(void)
{
	return step != STEP_NONE;
}

/*
 * While the journal passes from one to the other neither may end: the one that
 * is left then is told.
 */
int
upgrade_defers_stop(void)
{
	if (step <= STEP_RESTING || (step >= STEP_SETTLING && step <= STEP_GONE))
		return 0;
	/* Ours may never start again: who asks twice does not wait for it. */
	if (step == STEP_BACK && (stop_wanted ||
	    parent.auditd->state == CHILD_READY))
		return 0;
	stop_wanted = 1;
	return 1;
}

void
upgrade_give_up(void)
{
	done_ = NULL;
	if (step >= STEP_SETTLING && step <= STEP_GONE)
		return;		/* it serves, and has our children's auditd */
	disarm();
	step = STEP_NONE;
	/* It ends with its link. */
	close_link();
}
