/* SPDX-License-Identifier: ISC */

/*
 * Stopping a statement that nobody waits for.  libpq's PQcancel() connects,
 * sends and waits, so a thread beside the loop does it, one for each source,
 * so that a server that hangs holds no other's.  It is made before the
 * sandbox, confines itself by the same tables, and does nothing else.
 *
 * A cancel hits whatever the server is at when it arrives.  So it is sent for
 * what stands first on a connection alone, never where a write that somebody
 * waits for stands behind, and nothing new goes there until it is over.  A
 * read that it hits by mistake is told by what was sent before (op->shaken)
 * and runs once more.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "../../common/log.h"
#include "pg.h"

#define STACK_BYTES	(256 * 1024)
#define ERROR_MAX	256	/* bytes, of libpq's words */

struct job {
	uint32_t	 conn;		/* its number */
	PGcancel	*cancel;
};

struct done {
	uint32_t	 conn;
	uint32_t	 ok;
};

enum canceller_state { CANCELLER_NEW, CANCELLER_READY, CANCELLER_FAILED };

struct canceller {
	pthread_t	 thread;
	pthread_mutex_t	 lock;
	pthread_cond_t	 wake;		/* of the thread */
	pthread_cond_t	 confined;
	/* Under the lock: */
	enum canceller_state state;
	const struct sandbox_needs *needs;
	int		 stopping;
	uint32_t	 first, n;
	/* A connection has one job at a time: there is room for all. */
	uint32_t	 size;
	struct job	*job;
	/* The thread's word that one is over: */
	int		 pipe[2];
	struct event	*event;
};

/* ---- the thread -------------------------------------------------------- */

static int
confine_thread(struct canceller *k)
{
	int rc;

	(void)pthread_mutex_lock(&k->lock);
	while (k->needs == NULL)
		(void)pthread_cond_wait(&k->wake, &k->lock);
	/* The loop's thread waits meanwhile: what this logs is in order. */
	rc = sandbox_thread(ROLE_HANDLER, k->needs);
	k->state = rc == 0 ? CANCELLER_READY : CANCELLER_FAILED;
	(void)pthread_cond_signal(&k->confined);
	(void)pthread_mutex_unlock(&k->lock);
	return rc;
}

/* 1, or 0: there will be none. */
static int
next_job(struct canceller *k, struct job *job)
{
	int more;

	(void)pthread_mutex_lock(&k->lock);
	while (k->n == 0 && !k->stopping)
		(void)pthread_cond_wait(&k->wake, &k->lock);
	if ((more = k->n > 0)) {
		*job = k->job[k->first];
		k->first = (k->first + 1) % k->size;
		k->n--;
	}
	(void)pthread_mutex_unlock(&k->lock);
	return more;
}

static void *
canceller_main(void *arg)
{
	struct canceller *k = arg;
	char error[ERROR_MAX];
	struct done done;
	struct job job;
	ssize_t n;

	if (confine_thread(k) == -1)
		return NULL;
	while (next_job(k, &job)) {
		done.conn = job.conn;
		done.ok = PQcancel(job.cancel, error, sizeof(error)) == 1;
		do {
			n = write(k->pipe[1], &done, sizeof(done));
		} while (n == -1 && errno == EINTR);
	}
	return NULL;
}

/* ---- the loop's side --------------------------------------------------- */

static void
cancel_over(struct source *s, const struct done *done)
{
	struct postgres *p = s->state;
	struct conn *cn = &p->conns[done->conn];
	struct op *op;

	PQfreeCancel(cn->cancel);
	cn->cancel = NULL;
	if (!done->ok)
		log_debug("source %s: a cancel was not taken", s->name);
	if (!cn->cancelling)
		return;		/* of a connection that is gone */
	cn->cancelling = 0;
	cn->calm_ms = now_ms() + CANCEL_AGAIN_MS;
	/* It was sent while these were under way: any of them may be hit. */
	TAILQ_FOREACH(op, &cn->ops, entry)
		op->shaken = 1;
	pg_dispatch(s);
}

static void
on_done(evutil_socket_t fd, short what, void *arg)
{
	struct source *s = arg;
	struct done done;

	(void)what;
	while (read((int)fd, &done, sizeof(done)) == (ssize_t)sizeof(done))
		cancel_over(s, &done);
}

static int
start_thread(struct canceller *k)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int rc;

	/* Signals are for the loop; those that a fault raises stay. */
	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGSYS);
	(void)sigdelset(&all, SIGSEGV);
	(void)sigdelset(&all, SIGBUS);
	(void)sigdelset(&all, SIGABRT);
	if (pthread_attr_init(&attr) != 0)
		return -1;
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&k->thread, &attr, canceller_main, k);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	return rc == 0 ? 0 : -1;
}

int
pg_canceller_init(struct source *s)
{
	struct postgres *p = s->state;
	struct canceller *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return -1;
	p->canceller = k;
	k->size = p->nconns;
	k->job = calloc(k->size, sizeof(*k->job));
	if (k->job == NULL || pthread_mutex_init(&k->lock, NULL) != 0 ||
	    pthread_cond_init(&k->wake, NULL) != 0 ||
	    pthread_cond_init(&k->confined, NULL) != 0 ||
	    pipe(k->pipe) == -1 ||
	    fcntl(k->pipe[0], F_SETFL, O_NONBLOCK) == -1)
		return -1;
	k->event = event_new(child.base, k->pipe[0], EV_READ | EV_PERSIST,
	    on_done, s);
	if (k->event == NULL || event_add(k->event, NULL) == -1)
		return -1;
	return start_thread(k);
}

int
pg_canceller_confine(struct source *s, const struct sandbox_needs *needs)
{
	struct postgres *p = s->state;
	struct canceller *k = p->canceller;
	enum canceller_state state;

	(void)pthread_mutex_lock(&k->lock);
	k->needs = needs;
	(void)pthread_cond_signal(&k->wake);
	while (k->state == CANCELLER_NEW)
		(void)pthread_cond_wait(&k->confined, &k->lock);
	state = k->state;
	(void)pthread_mutex_unlock(&k->lock);
	return state == CANCELLER_READY ? 0 : -1;
}

void
pg_canceller_end(struct source *s)
{
	struct postgres *p = s->state;
	struct canceller *k = p->canceller;
	uint32_t i;

	if (k == NULL)
		return;
	(void)pthread_mutex_lock(&k->lock);
	k->stopping = 1;
	(void)pthread_cond_signal(&k->wake);
	(void)pthread_mutex_unlock(&k->lock);
	(void)pthread_join(k->thread, NULL);
	for (i = 0; i < p->nconns; i++)
		PQfreeCancel(p->conns[i].cancel);
	event_free(k->event);
	close(k->pipe[0]);
	close(k->pipe[1]);
	free(k->job);
	free(k);
	p->canceller = NULL;
}

/* What the server is at, or comes to next, for nobody. */
static int
is_unwanted(const struct op *op)
{
	if (op->kind != OP_QUERY && op->kind != OP_SIDE)
		return 0;
	return op->unwanted;
}

static int
a_write_is_behind(const struct conn *cn)
{
	const struct op *op;

	if (cn->writes == 0)
		return 0;
	TAILQ_FOREACH(op, &cn->ops, entry)
		if (op->call != NULL && op->call->tool->writes &&
		    !op->call->cancelled)
			return 1;
	return 0;
}

/*
 * The results of a group come together at its end: what stands in one that
 * lasts may be what the server is at.
 */
static int
group_is_unwanted(const struct conn *cn, uint64_t now)
{
	const struct op *op;

	if (now - cn->head_ms < CANCEL_AFTER_MS)
		return 0;
	TAILQ_FOREACH(op, &cn->ops, entry) {
		if (is_unwanted(op))
			return 1;
		if (op->kind == OP_SYNC)
			break;
	}
	return 0;
}

void
pg_cancel_first(struct conn *cn)
{
	struct postgres *p = cn->source->state;
	struct canceller *k = p->canceller;
	const struct op *head = TAILQ_FIRST(&cn->ops);
	uint64_t now;
	struct job *job;

	if (head == NULL || cn->unwanted == 0 || cn->state != CONN_UP ||
	    cn->lost || cn->cancel != NULL)
		return;
	now = now_ms();
	if (now < cn->calm_ms ||
	    (!is_unwanted(head) && !group_is_unwanted(cn, now)) ||
	    a_write_is_behind(cn) ||
	    (cn->cancel = PQgetCancel(cn->pg)) == NULL)
		return;
	cn->cancelling = 1;
	cn->cancel_ms = now_ms();
	(void)pthread_mutex_lock(&k->lock);
	job = &k->job[(k->first + k->n) % k->size];
	job->conn = (uint32_t)(cn - p->conns);
	job->cancel = cn->cancel;
	k->n++;
	(void)pthread_cond_signal(&k->wake);
	(void)pthread_mutex_unlock(&k->lock);
}

int
pg_cancel_hangs(const struct conn *cn, uint64_t now)
{
	/* A write that is being cancelled is for the server to end. */
	return cn->cancelling && cn->writes == 0 &&
	    now - cn->cancel_ms > CANCEL_MS;
}
