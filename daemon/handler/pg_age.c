/* SPDX-License-Identifier: ISC */

/*
 * No connection lives for ever: servers grow with what a session keeps, and
 * what stands between drops those that are silent.  One that is old, or was
 * not used for long, is renewed: another is made, in a place that is kept
 * free for that, and when it is up the old one takes no new calls and ends
 * when those that it has are done.  One of a source at a time, and at times
 * that are jittered, so that not all go at once.
 */

#include "../../common/log.h"
#include "pg.h"

#define AGAIN_MS	5000	/* where another is being renewed, or it failed */

/* Within ten percent of it. */
static uint32_t
jittered(uint32_t ms)
{
	return ms - ms / 10 + arc4random_uniform(ms / 5 + 1);
}

/* When it is to be renewed; 0: never. */
static uint64_t
due(const struct conn *cn)
{
	uint64_t idle = cn->idle_ms == 0 ? 0 : cn->head_ms + cn->idle_ms;

	return cn->end_ms == 0 || (idle != 0 && idle < cn->end_ms) ? idle :
	    cn->end_ms;
}

static void
look_again(struct conn *cn, uint64_t now)
{
	uint64_t at = due(cn);

	if (at != 0)
		pg_conn_arm(cn, at > now ? (uint32_t)(at - now) : 0);
}

void
pg_age_begin(struct conn *cn)
{
	const struct source *s = cn->source;
	struct conn *old = cn->replaces;
	uint64_t now = now_ms();

	if (old != NULL) {
		log_debug("source %s: a connection is renewed", s->name);
		cn->replaces = NULL;
		old->wanted = 0;
	}
	cn->head_ms = now;
	cn->end_ms = s->lifetime_ms == 0 ? 0 : now + jittered(s->lifetime_ms);
	cn->idle_ms = s->idle_ms == 0 ? 0 : jittered(s->idle_ms);
	look_again(cn, now);
}

static struct conn *
free_place(struct postgres *p)
{
	uint32_t i;

	for (i = 0; i < p->nconns; i++)
		if (!p->conns[i].wanted && p->conns[i].state == CONN_DOWN &&
		    !p->conns[i].lost)
			return &p->conns[i];
	return NULL;
}

void
pg_age_look(struct conn *cn)
{
	struct conn *next;
	uint64_t now = now_ms();

	if (!cn->wanted || due(cn) == 0)
		return;
	if (due(cn) > now) {
		look_again(cn, now);
		return;
	}
	if ((next = free_place(cn->source->state)) == NULL) {
		pg_conn_arm(cn, jittered(AGAIN_MS));
		return;
	}
	next->wanted = 1;
	next->replaces = cn;
	next->failed = next->told = 0;
	pg_connect(next);
}

void
pg_age_lost(struct conn *cn)
{
	struct postgres *p = cn->source->state;
	uint32_t i;

	if (cn->replaces != NULL) {
		/* The old one goes on, and another is tried later. */
		pg_conn_arm(cn->replaces, jittered(AGAIN_MS));
		cn->replaces = NULL;
		cn->wanted = 0;
	}
	for (i = 0; i < p->nconns; i++)
		if (p->conns[i].replaces == cn) {
			/* Its place is taken, or about to be. */
			p->conns[i].replaces = NULL;
			cn->wanted = 0;
		}
}

int
pg_age_is_over(const struct conn *cn)
{
	return !cn->wanted && cn->state == CONN_UP && !cn->lost &&
	    TAILQ_EMPTY(&cn->ops) && cn->cancel == NULL;
}
