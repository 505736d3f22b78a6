/* SPDX-License-Identifier: ISC */

/*
 * Results that nodes share.  Beside each value lies the generation of its
 * tool, a random word: who writes deletes it, the next who asks makes another,
 * and what was sealed under the one before is no answer any more.  A value
 * that does not open is none.
 */

#ifndef HANDLER_REDIS_CACHE_H
#define HANDLER_REDIS_CACHE_H

#include "handler.h"

enum shared_answer {
	SHARED_AWAY,		/* nobody knows */
	SHARED_SAME,		/* what is kept here is still good */
	SHARED_NONE,		/* there is none for the generation that is */
	SHARED_VALUE
};

/* A result as it was when its source gave it. */
struct shared_value {
	const struct source	*source;
	uint64_t		 rows, bytes;
	int			 truncated;
	uint32_t		 left_ms;	/* of its time */
	struct slice		 data;
};

void	redis_cache_init(void);
/* Whether there is anybody to ask about results of this tool. */
int	redis_cache_serves(const struct tool *);
/*
 * Asks for the value of a key, and whether the generation that the caller
 * knows is still the one.  1: cache_answered() follows; 0: nobody to ask.
 */
int	redis_cache_ask(struct call *, const uint8_t key[DIGEST_LEN],
	    const struct generation *);
/* Keeps a result, from now on for ttl_ms. */
void	redis_cache_keep(const struct call *, const uint8_t key[DIGEST_LEN],
	    const struct generation *, uint32_t ttl_ms);
/*
 * What the call wrote made stale is stale for all.  1: call_told() follows
 * when they know, or will not.
 */
int	redis_cache_tell(struct call *);
void	redis_cache_status(struct buffer *);
void	redis_cache_stats(struct buffer *);

/* cache.c: value is for SHARED_VALUE alone, valid until it returns. */
void	cache_answered(struct call *, enum shared_answer,
	    const struct generation *, const struct shared_value *);
/* cache.c: other nodes could not be told; nor can what they keep be believed. */
void	cache_bar(const struct tool *);

/* What is sealed, and back; for the tests, too.  0 or -1. */
int	shared_seal(struct buffer *out, const struct call *,
	    const uint8_t key[DIGEST_LEN], const struct generation *,
	    uint64_t made_ms, uint32_t ttl_ms);
/* -1: not sealed so; 0: it was, and *g says under which generation. */
int	shared_open(const struct call *, const uint8_t key[DIGEST_LEN],
	    struct slice sealed, uint64_t now_ms, struct generation *,
	    struct shared_value *);

#endif
