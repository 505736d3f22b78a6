/* SPDX-License-Identifier: ISC */

/*
 * Results that are kept for a while.  What a call gets from here is what the
 * tool's source answered to the same tool, the same arguments and, unless the
 * tool is `cache shared', the same caller, less than the tool's time ago, and
 * not before a tool that `invalidates' it wrote.
 */

#ifndef HANDLER_CACHE_H
#define HANDLER_CACHE_H

#include "handler.h"

#define CACHE_BYTES_MAX	(16 * 1024 * 1024)	/* of one handler */
#define CACHE_ENTRY_MAX	(CACHE_BYTES_MAX / 32)	/* bytes; larger is not kept */
#define CACHE_WAITERS_MAX 256	/* calls that wait for one query */

enum cache_answer {
	CACHE_MISS,		/* ask the source; cache_settle() follows */
	CACHE_HIT,		/* the call has its result */
	CACHE_WAIT		/* another call asks for the same: it goes on then */
};

/* Takes the shared page; closes fd.  0, or -1. */
int	cache_generations(int fd);
/* Before the source is asked. */
enum cache_answer cache_begin(struct call *);
/*
 * A call that missed has ended: keeps its result where it is one, and goes on
 * with those that wait.  Also counts up what a call that wrote made stale.
 */
void	cache_settle(struct call *);
/*
 * It waits no longer.  Returns the call that asked for it, where nobody else
 * waits for that one either; else NULL.
 */
struct call *cache_leave(struct call *);
/* Whether others wait for what it asks. */
int	cache_awaited(const struct call *);
void	cache_status(struct buffer *);
void	cache_stats(struct buffer *);

#endif
