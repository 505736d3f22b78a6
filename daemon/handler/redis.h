/* SPDX-License-Identifier: ISC */

/*
 * Redis, as the handler uses it: limits that count across nodes, and results
 * that nodes share.  Both are beside what a node has by itself and never in
 * its place: where Redis is away, slow or lies, authd's limits and this
 * handler's own cache are what there is, and calls go on.
 */

#ifndef HANDLER_REDIS_H
#define HANDLER_REDIS_H

#include "handler.h"
#include "redis_conn.h"
#include "seal.h"

#define REDIS_LIMIT_MS	50	/* a limit that takes longer is none */
#define REDIS_CACHE_MS	100	/* a source may be faster */
#define REDIS_CALM_MS	5000	/* without an error before it is said to be well */
#define REDIS_SAY_MS	10000	/* between lines about values that do not open */

/* One of the two uses: its connection, and whether it does what it is for. */
struct redis_side {
	const char		*name;		/* "limits", "cache" */
	const char		*without;	/* what there is while it is away */
	struct redis_conn	*conn;		/* NULL: not used */
	int			 away;
	int			 ever;		/* it was there once */
	uint64_t		 error_ms;	/* of the last error it answered */
	uint64_t		 asked;
	uint64_t		 unanswered;	/* calls that went on without it */
	uint64_t		 errors;
	char			 why[REDIS_WHY_MAX];
	void			(*up)(void);	/* it is there again; may be NULL */
};

struct redis_house {
	char			*namespace;
	int			 keyed;
	struct seal_keys	 keys;
	struct redis_side	 limits;
	struct redis_side	 cache;
};
extern struct redis_house redis;

/* redis.c */
int	redis_configure(const struct frame *);
/* Before the sandbox; 0, or -1 after a log line. */
int	redis_prepare(struct sandbox_needs *, int caches);
void	redis_start(void);
/* Its URL as it is now, from the parent; -1: there is no Redis. */
int	redis_renew(struct slice url);
void	redis_turn(void);
void	redis_status(struct buffer *);
void	redis_stats(struct buffer *);
/* "pontifexd:{NAMESPACE}:KIND:NAME"; the text is static until the next two. */
struct slice redis_key(char kind, const char name[SEAL_NAME_LEN + 1]);
/*
 * Runs a script; eval: it is not known there, send its text.  words[0] and [1]
 * are filled in here.  The rest is as redis_ask() has it.
 */
struct redis_script {
	const char	*text;
	char		 sha1[41];
};
struct redis_ask *redis_script(struct redis_side *,
	    const struct redis_script *, int eval, struct slice *words,
	    size_t n, redis_done *done, void *arg);
void	redis_script_init(struct redis_script *);
/* Whether the answer says that the script is not known there. */
int	redis_unknown_script(const struct reply *);
/* It answered as it should; it did not (reply NULL: not at all). */
void	redis_well(struct redis_side *);
void	redis_unwell(struct redis_side *, const struct reply *);
/* A lie: what it said cannot be. */
void	redis_lies(struct redis_side *, const char *what);

/* redis_limit.c: rates across nodes. */
void	redis_limit_init(void);
/* 1: call_limited() follows; 0: there is nothing to ask, or nobody. */
int	redis_limit(struct call *);
uint64_t redis_limited(void);

/* call.c: hit->what is LIMIT_NONE where the call may go on. */
void	call_limited(struct call *, const struct limit_hit *hit);
/* call.c: other nodes know what the call made stale, or will not. */
void	call_told(struct call *);

#endif
