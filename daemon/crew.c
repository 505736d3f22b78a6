/* SPDX-License-Identifier: ISC */

/*
 * A crew: the children that serve one configuration, with it.  At a reload a
 * second one rises beside the one that serves.  When it is in force the old
 * one leaves: its listeners accept nothing more, answer what is in progress
 * and end, then the others, each after those that lean on it.  How long that
 * may take is bounded; what is left then is ended.
 */

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

/* The longest call, its record, and the listener's own patience. */
#define CREW_STAY_MS	45000

#define FOUND_MAX	(128 * 1024)	/* bytes that its handlers may tell */
#define DESCRIBED_MAX	(2 * 1024 * 1024)

static uint32_t crews;	/* so many were made */

static int
add_children(struct crew *crew)
{
	const struct config *c = crew->config;
	uint32_t i;
	int ok;

	/* The order of wiring: what others lean on first. */
	ok = child_new(crew, ROLE_AUTHD, 0) != NULL;
	if (c->auth.nissuers > 0)
		ok = ok && child_new(crew, ROLE_FETCHER, 0) != NULL;
	for (i = 0; i < c->handlers; i++)
		ok = ok && child_new(crew, ROLE_HANDLER, i) != NULL;
	for (i = 0; i < c->listeners; i++)
		ok = ok && child_new(crew, ROLE_LISTENER, i) != NULL;
	return ok ? 0 : -1;
}

struct crew *
crew_new(struct config *config)
{
	struct crew *crew;

	if ((crew = calloc(1, sizeof(*crew))) == NULL)
		return NULL;
	crew->number = ++crews;
	crew->config = config;
	buffer_init(&crew->found, FOUND_MAX);
	buffer_init(&crew->described, DESCRIBED_MAX);
	TAILQ_INSERT_TAIL(&parent.crews, crew, entry);
	return crew;
}

uint32_t
crew_number(void)
{
	return crews;
}

void
crew_number_from(uint32_t number)
{
	crews = number;
}

int
crew_start(struct crew *crew)
{
	struct child_proc *c;

	if (add_children(crew) == -1)
		return -1;
	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->crew == crew)
			child_spawn(c);
	return 0;
}

void
crew_free(struct crew *crew)
{
	struct child_proc *c, *next;

	TAILQ_FOREACH_SAFE(c, &parent.children, entry, next)
		if (c->crew == crew)
			child_free(c);
	TAILQ_REMOVE(&parent.crews, crew, entry);
	if (crew->stay != NULL)
		event_free(crew->stay);
	buffer_free(&crew->found);
	buffer_free(&crew->described);
	/* After an upgrade none follows here, and the end still needs it. */
	if (crew->config != parent.config)
		config_free(crew->config);
	free(crew);
}

size_t
crew_count(void)
{
	const struct crew *crew;
	size_t n = 0;

	TAILQ_FOREACH(crew, &parent.crews, entry)
		n++;
	return n;
}

struct child_proc *
crew_find(const struct crew *crew, enum role role, uint32_t index)
{
	struct child_proc *c;

	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->crew == crew && c->role == role && c->index == index)
			return c;
	return NULL;
}

/* Keys are served, and tokens whose keys are known, without a fetcher. */
int
crew_needs(const struct child_proc *c)
{
	return c->role != ROLE_FETCHER;
}

int
crew_is_ready(const struct crew *crew)
{
	const struct child_proc *c;

	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->crew == crew && crew_needs(c) &&
		    c->state != CHILD_READY)
			return 0;
	return 1;
}

int
crew_is_checked(const struct crew *crew)
{
	const struct child_proc *c;

	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->crew == crew && c->role == ROLE_HANDLER && !c->checked)
			return 0;
	return 1;
}

/* ---- leaving ----------------------------------------------------------- */

/* Whether any of this role is there, asked to end where told so. */
static int
any_left(struct crew *crew, enum role role, int stop)
{
	struct child_proc *c;
	int left = 0;

	TAILQ_FOREACH(c, &parent.children, entry) {
		if (c->crew != crew || c->role != role)
			continue;
		if (stop)
			child_stop(c);
		left |= c->pid > 0;
	}
	return left;
}

/* Whoever leans on another ends before it. */
static void
end_next(struct crew *crew)
{
	static const enum role order[] = {
		ROLE_FETCHER, ROLE_HANDLER, ROLE_AUTHD
	};
	size_t i;

	if (any_left(crew, ROLE_LISTENER, 0))
		return;
	crew->ending = 1;
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (any_left(crew, order[i], 1))
			return;
	if (crew->state == CREW_RESTING) {
		crew->state = CREW_RESTED;
		(void)evtimer_del(crew->stay);
		upgrade_look();
		return;
	}
	log_info("configuration %.16s: its last process has ended",
	    crew->config->digest);
	crew_free(crew);
	reload_crew_gone();
	upgrade_look();
}

static void
stayed_too_long(evutil_socket_t fd, short what, void *arg)
{
	struct crew *crew = arg;
	struct child_proc *c;

	(void)fd;
	(void)what;
	/* None of them is started anew. */
	crew->ending = 1;
	TAILQ_FOREACH(c, &parent.children, entry) {
		if (c->crew != crew)
			continue;
		if (c->pid > 0)
			log_warn("%s of the configuration before did not "
			    "finish in %d s: killed", c->name,
			    CREW_STAY_MS / 1000);
		child_stop(c);
		child_kill(c);
	}
}

static void
leave(struct crew *crew, enum crew_state state)
{
	static const struct timeval patience = {
		CREW_STAY_MS / 1000, CREW_STAY_MS % 1000 * 1000
	};
	struct child_proc *c;

	crew->state = state;
	if (crew->stay == NULL)
		crew->stay = evtimer_new(parent.base, stayed_too_long, crew);
	if (crew->stay == NULL || evtimer_add(crew->stay, &patience) == -1)
		stayed_too_long(-1, 0, crew);
	TAILQ_FOREACH(c, &parent.children, entry) {
		if (c->crew != crew || c->role != ROLE_LISTENER)
			continue;
		c->leaving = 1;
		if (c->restart != NULL)
			evtimer_del(c->restart);
		if (child_send(c, MSG_LEAVE) == -1)
			child_kill(c);
	}
	end_next(crew);
}

void
crew_leave(struct crew *crew)
{
	leave(crew, CREW_LEAVING);
}

void
crew_rest(struct crew *crew)
{
	leave(crew, CREW_RESTING);
}

void
crew_wake(struct crew *crew)
{
	struct child_proc *c;

	crew->state = CREW_SERVING;
	crew->ending = 0;
	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->crew == crew)
			child_spawn(c);
}

int
crew_accepts(const struct crew *crew)
{
	const struct child_proc *c;

	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->crew == crew && c->role == ROLE_LISTENER &&
		    c->pid > 0 && !c->has_left)
			return 1;
	return 0;
}

/* ---- not put in force -------------------------------------------------- */

static int
has_process(const struct crew *crew)
{
	const struct child_proc *c;

	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->crew == crew && c->pid > 0)
			return 1;
	return 0;
}

void
crew_dismiss(struct crew *crew)
{
	struct child_proc *c;

	crew->state = CREW_DROPPED;
	crew->ending = 1;
	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->crew == crew)
			child_dismiss(c);
}

void
crew_drop(struct crew *crew)
{
	crew_dismiss(crew);
	if (!has_process(crew))
		crew_free(crew);
}

int
crew_child_ended(struct child_proc *c)
{
	struct crew *crew = c->crew;

	switch (crew->state) {
	case CREW_LEAVING:
	case CREW_RESTING:
		/* What is not answered yet asks its successor. */
		if (!crew->ending && c->role != ROLE_LISTENER) {
			child_restart(c);
			return 1;
		}
		end_next(crew);
		reload_has_left();
		upgrade_look();
		return 1;
	case CREW_DROPPED:
		if (!has_process(crew)) {
			crew_free(crew);
			reload_crew_gone();
			upgrade_look();
		}
		return 1;
	case CREW_RISING:
		crew->risen(crew, c);
		return 1;
	case CREW_SERVING:
	case CREW_RESTED:
		break;
	}
	return 0;
}
