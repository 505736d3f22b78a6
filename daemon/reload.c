/* SPDX-License-Identifier: ISC */

/*
 * A reload is a transaction.  The file is loaded and checked; a crew rises
 * under it beside the one that serves, until every child is ready and every
 * statement is prepared at a live source; where the audit block differs,
 * another auditd takes the journal; then the new crew gets the listening
 * sockets and the old one leaves.  Whatever fails before that changes
 * nothing, and whoever asked is told why.  One is under way at a time, and
 * one more may wait.
 */

#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

/* A source's connect timeout is 30 s at most, and then there is a verdict. */
#define RISE_MS		40000
#define HAND_OVER_MS	5000	/* for auditd to end its group */
#define ANSWER_MAX	(256 * 1024)	/* bytes */

enum step {
	STEP_NONE,
	STEP_PLACE,		/* waits until there are fewer crews */
	STEP_RISING,		/* its children start and check */
	STEP_HAND_OVER,		/* the old auditd ends */
	STEP_AUDITD,		/* the new one starts */
	STEP_SETTLING		/* the old listeners stop to accept */
};

struct request {
	int	 wanted;
	char	 by[64];	/* a JSON member */
	void	(*done)(int, const char *, size_t, void *);
	void	*arg;
};

static enum step step;
static struct request now, next;
static struct crew *rising;
static struct buffer text;	/* what whoever asked is told */
static struct event *timer;

static void	begin(void);

/* ---- the answer -------------------------------------------------------- */

static void
on_next(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (parent.stopping || step != STEP_NONE || !next.wanted)
		return;
	now = next;
	memset(&next, 0, sizeof(next));
	begin();
}

static void
answer(const struct request *r, int failed, const struct buffer *b)
{
	if (r->done != NULL)
		r->done(failed, (const char *)b->data, b->len, r->arg);
}

static void
finish(int failed)
{
	static const struct timeval at_once = { 0, 0 };

	log_copy_to(NULL);
	if (timer != NULL)
		evtimer_del(timer);
	step = STEP_NONE;
	rising = NULL;
	answer(&now, failed, &text);
	buffer_free(&text);
	memset(&now, 0, sizeof(now));
	notify_ready();
	if (next.wanted && event_base_once(parent.base, -1, EV_TIMEOUT,
	    on_next, NULL, &at_once) == -1)
		log_warn("reload: out of memory");
}

/* Nothing has changed. */
static void
refuse(const char *why)
{
	struct crew *crew = rising;
	struct slice reason;

	log_copy_to(NULL);
	rising = NULL;
	if (why != NULL)
		(void)buffer_printf(&text, "%s\n", why);
	reason = event_reason(&text);
	event_refused("reload", now.by, reason);
	attempt_refused(ATTEMPT_RELOAD, reason);
	log_warn("reload refused, nothing has changed: %.*s", (int)reason.len,
	    reason.ptr);
	(void)buffer_add_cstr(&text, "reload refused: nothing has changed\n");
	if (crew != NULL)
		crew_drop(crew);
	doors_forget();
	finish(1);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (step == STEP_RISING) {
		refuse("not all processes were ready in time");
	} else if (step == STEP_HAND_OVER) {
		log_warn("auditd does not hand the journal over: killed");
		child_kill(parent.auditd);
	}
}

static void
arm(uint32_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000),
	    (suseconds_t)(ms % 1000 * 1000) };

	if (timer == NULL)
		timer = evtimer_new(parent.base, on_timer, NULL);
	if (timer == NULL || evtimer_add(timer, &tv) == -1)
		log_warn("reload: out of memory");
}

/* ---- the swap ---------------------------------------------------------- */

static void
swap(void)
{
	struct crew *crew = rising, *old = parent.serving;
	int keys_moved;

	evtimer_del(timer);
	step = STEP_SETTLING;
	rising = NULL;
	keys_moved = !keys_same(old->config, crew->config);
	event_tell("reload", "{%s,\"from\":\"%.16s\",\"to\":\"%.16s\"}",
	    now.by, old->config->digest, crew->config->digest);
	figures_reloaded(old->config, crew->config);
	attempt_in_force();
	crew->state = CREW_SERVING;
	/* One that is started anew has nothing to tell. */
	crew->check = CHECK_NONE;
	parent.serving = crew;
	parent.config = crew->config;
	parent.audited = crew->config;
	/* What its records name, before it can report any. */
	if (parent.auditd->control != NULL)
		(void)catalogue_send(parent.auditd->control, crew);
	wiring_auditd(crew);
	channels_flush();
	doors_open(crew);
	crew_leave(old);
	if (keys_moved) {
		keys_watch();
		supervise_keys();
	}
	log_info("reload: configuration %.16s is in force",
	    parent.config->digest);
	reload_has_left();
}

/* Where they were asked and none may accept any more, the swap is whole. */
void
reload_has_left(void)
{
	const struct crew *crew;

	if (step != STEP_SETTLING)
		return;
	TAILQ_FOREACH(crew, &parent.crews, entry)
		if (crew->state == CREW_LEAVING && crew_accepts(crew))
			return;
	(void)buffer_printf(&text, "configuration %.16s is in force\n",
	    parent.config->digest);
	finish(0);
}

/* ---- another auditd ---------------------------------------------------- */

/*
 * The journal has one owner at a time: the new auditd starts when the old one
 * has ended.  Meanwhile every report is kept by its sender.
 */
static void
hand_over(void)
{
	step = STEP_HAND_OVER;
	parent.audited = rising->config;
	/* It was good: one that is started anew has nothing to tell. */
	rising->check = CHECK_NONE;
	arm(HAND_OVER_MS);
	log_debug("reload: the journal changes hands");
	if (!child_hand_over(parent.auditd))
		(void)reload_auditd_ended();
}

int
reload_auditd_ended(void)
{
	switch (step) {
	case STEP_HAND_OVER:
		step = STEP_AUDITD;
		evtimer_del(timer);
		pipes_change();
		child_spawn(parent.auditd);
		return 1;
	case STEP_AUDITD:
		/* It serves the old configuration again, as any that died. */
		parent.audited = parent.config;
		pipes_change();
		child_spawn(parent.auditd);
		refuse("auditd did not start with the new audit block (see "
		    "the log)");
		return 1;
	default:
		return 0;
	}
}

int
reload_auditd_stays(void)
{
	if (step != STEP_HAND_OVER)
		return 0;
	parent.audited = parent.config;
	refuse("the journal cannot be written: mend that first (see the log)");
	return 1;
}

/* ---- rising ------------------------------------------------------------ */

static void
look(void)
{
	if (step == STEP_AUDITD && parent.auditd->state == CHILD_READY)
		swap();
	if (step != STEP_RISING || !crew_is_ready(rising) ||
	    !crew_is_checked(rising))
		return;
	if (rising->found.len > 0 && !rising->found.bad)
		(void)buffer_add(&text, rising->found.data, rising->found.len);
	if (rising->refused)
		refuse(NULL);
	else if (audit_same(parent.config, rising->config))
		swap();
	else
		hand_over();
}

static void
on_rising(struct crew *crew, const struct child_proc *failed)
{
	char why[128];

	if (crew != rising)
		return;
	if (failed == NULL) {
		look();
	} else if (step == STEP_RISING && crew_needs(failed)) {
		(void)snprintf(why, sizeof(why), "%s did not start, or died "
		    "(see the log)", failed->name);
		refuse(why);
	} else {
		/*
		 * It can be done without, or was good: another.  While the
		 * journal changes hands there is no way back but a second
		 * change.
		 */
		child_restart(crew_find(crew, failed->role, failed->index));
	}
}

void
reload_child_ready(struct child_proc *c)
{
	if (c == parent.auditd || (rising != NULL && c->crew == rising))
		look();
}

/* Auditd's is read when the old one has ended: too late to find it missing. */
static int
audit_secret_is_there(const struct config *c)
{
	char *secret;
	size_t len;

	if (c->audit.postgres.origin == SECRET_UNSET)
		return 1;
	if ((secret = secret_read(&c->audit.postgres, &len)) == NULL)
		return 0;
	freezero(secret, len);
	return 1;
}

/* What can be told without a process.  NULL after the reason is in text. */
static struct config *
load(void)
{
	struct config *c;
	const char *field;

	config_errors_to(&text);
	c = config_load(parent.config->path);
	config_errors_to(NULL);
	if (c == NULL)
		return NULL;
	if ((field = diff_restart(parent.config, c)) != NULL) {
		(void)buffer_printf(&text, "%s: %s cannot change while the "
		    "daemon runs: restart it\n", c->path, field);
	} else if (sandbox_suffices(c) && audit_secret_is_there(c) &&
	    doors_prepare(c) == 0) {
		return c;
	}
	config_free(c);
	return NULL;
}

static void
begin(void)
{
	struct config *c;

	if (crew_count() >= CREWS_MAX) {
		step = STEP_PLACE;
		return;
	}
	notify_reloading();
	buffer_init(&text, ANSWER_MAX);
	/* What is said to the log on the way is why. */
	log_copy_to(&text);
	step = STEP_RISING;
	if ((c = load()) == NULL) {
		refuse(NULL);
		return;
	}
	if ((rising = crew_new(c)) == NULL) {
		config_free(c);
		refuse("out of memory");
		return;
	}
	rising->check = CHECK_STATEMENTS;
	rising->risen = on_rising;
	arm(RISE_MS);
	if (crew_start(rising) == -1)
		refuse("out of memory");
	log_copy_to(NULL);
}

void
reload_crew_gone(void)
{
	if (step == STEP_PLACE && !parent.stopping)
		begin();
	else
		reload_has_left();
}

void
reload_ask(const char *by, void (*done)(int, const char *, size_t, void *),
    void *arg)
{
	static const char early[] = "the daemon is not ready, or ends: nothing "
	    "has changed\n";
	static const char other[] = "an upgrade is under way: this reload is "
	    "refused\n";
	static const char busy[] = "a reload is under way and another waits: "
	    "this one is refused\n";
	struct request r = { .wanted = 1, .done = done, .arg = arg };
	const char *no = NULL;

	(void)strlcpy(r.by, by, sizeof(r.by));
	if (parent.stopping || !supervise_is_ready())
		no = early;
	else if (upgrade_is_under_way())
		no = other;
	else if (step != STEP_NONE && next.wanted)
		no = busy;
	if (no != NULL) {
		log_warn("reload refused: %.*s", (int)strlen(no) - 1, no);
		if (!parent.stopping)
			event_refused("reload", by, (struct slice){ no,
			    strlen(no) - 1 });
		/* One that waits will read what this one would have. */
		if (no != busy && !parent.stopping)
			attempt_refused(ATTEMPT_RELOAD, slice_of(no == early ?
			    "the daemon was not ready" :
			    "an upgrade was under way"));
		if (done != NULL)
			done(1, no, strlen(no), arg);
		return;
	}
	if (step != STEP_NONE) {
		next = r;
		return;
	}
	now = r;
	begin();
}

int
reload_is_under_way(void)
{
	return step != STEP_NONE || next.wanted;
}

void
reload_forget(const void *arg)
{
	if (now.arg == arg)
		now.done = NULL;
	if (next.arg == arg)
		next.done = NULL;
}

void
reload_give_up(void)
{
	/* The auditd that was to let the journal go is the one that stays. */
	if (step == STEP_HAND_OVER)
		parent.audited = parent.config;
	/* The others would wait for an auditd that they never met. */
	if (rising != NULL)
		crew_dismiss(rising);
	rising = NULL;
	step = STEP_NONE;
	now.done = next.done = NULL;
	next.wanted = 0;
	if (timer != NULL)
		evtimer_del(timer);
}
