/* SPDX-License-Identifier: ISC */

/*
 * A connection to Redis that comes back by itself.  Commands leave together
 * at the end of a loop turn; each has one answer, or NULL where there is none
 * in time: then the connection is taken to be gone, all that wait are told,
 * and it is not asked again until it answers as fast as it must.  All that
 * arrives is hostile.
 */

#ifndef HANDLER_REDIS_CONN_H
#define HANDLER_REDIS_CONN_H

#include "../../pledge/sandbox.h"
#include "redis_reply.h"
#include "redis_url.h"

#define REDIS_ASKED_MAX	8192	/* commands without an answer: two a call */
#define REDIS_BYTES_MAX	(2 * 1024 * 1024) /* of them; more is not sent */
#define REDIS_CONNECT_MS 1000	/* TCP, TLS, AUTH and SELECT */
#define REDIS_PAUSE_MS	100	/* before the first new try; doubled each time */
#define REDIS_PAUSE_MAX	5000
#define REDIS_ARGS_MAX	80	/* words of one command */
#define REDIS_WHY_MAX	160	/* bytes of why it is not there */

struct ssl_ctx_st;
struct redis_conn;

struct redis_place {
	const struct redis_url	*url;
	struct ssl_ctx_st	*tls;	/* NULL: none */
};

struct redis_conn_ops {
	/* It answers: what must be asked first may be asked now. */
	void	(*up)(void *arg);
	/* Once for each time it was up, and for the first try that failed. */
	void	(*down)(const char *why, void *arg);
	/* It refuses the login, each time; down() follows. */
	void	(*refused)(void *arg);
};

/* reply is NULL: none came.  Valid until it returns. */
typedef void redis_done(const struct reply *, void *arg);
struct redis_ask;

/*
 * answer_ms: as long as it may take to answer; reply_max: bytes of an answer.
 * Keeps the pointers.  NULL: no memory.
 */
struct redis_conn *redis_conn_new(const struct redis_place *,
	    uint32_t answer_ms, size_t reply_max,
	    const struct redis_conn_ops *, void *arg);
/* In the loop. */
void	redis_conn_start(struct redis_conn *);
/* Where it waits for its next try, that is now: the login is another. */
void	redis_conn_retry(struct redis_conn *);
int	redis_conn_up(const struct redis_conn *);
/* What was asked in this turn leaves. */
void	redis_conn_turn(struct redis_conn *);
/*
 * Calls done once, from the loop.  NULL, and done is not called: it is not up,
 * or it has not answered too much already.
 */
struct redis_ask *redis_ask(struct redis_conn *, const struct slice *words,
	    size_t n, redis_done *done, void *arg);
/* Who asked is gone; done is not called. */
void	redis_disown(struct redis_ask *);
/* What it answered is no answer to that. */
void	redis_blame(struct redis_conn *, const char *why);
/* Commands without an answer. */
size_t	redis_asked(const struct redis_conn *);

#endif
