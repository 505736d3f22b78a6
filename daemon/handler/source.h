/* SPDX-License-Identifier: ISC */

/* What every kind of data source offers; one file a kind. */

#ifndef HANDLER_SOURCE_H
#define HANDLER_SOURCE_H

#include "handler.h"

struct source_ops {
	/* Before the sandbox: open what it will close, say what it needs. */
	int	(*prepare)(struct source *, struct sandbox_needs *);
	/* In the loop. */
	int	(*start)(struct source *);
	/* Runs a call; it ends by call_done() or call_fail(), now or later. */
	void	(*run)(struct source *, struct call *);
	/*
	 * Nobody wants a call that it has: it ends by call_done() or
	 * call_fail(), now where it only reads.  May be NULL.
	 */
	void	(*cancel)(struct source *, struct call *);
	/* Confines what runs beside the loop; 0 or -1.  May be NULL. */
	int	(*confine)(struct source *, const struct sandbox_needs *);
	/* The parent read its DSN again.  May be NULL. */
	void	(*renew)(struct source *, struct slice dsn);
	/* Whether a call could be given to it; causes no traffic. */
	int	(*up)(struct source *);
	/* Its breaker opened: what looks good of it may not be.  May be NULL. */
	void	(*doubt)(struct source *);
	/* Once a loop turn; may be NULL. */
	void	(*turn)(struct source *);
	/*
	 * Every SWEEP_MS while calls are open, and as long as it returns 1:
	 * something is still to be stopped.  May be NULL.
	 */
	int	(*sweep)(struct source *, uint64_t now);
	/* Appends a status line without its newline; no secret. */
	void	(*status)(struct source *, struct buffer *);
	/* Puts the figures of source number i. */
	void	(*stats)(const struct source *, struct buffer *, uint32_t i);
};

/* breaker.c: which source is asked. */
#define BREAKER_AFTER	5	/* failures in a row */
#define BREAKER_MIN_MS	1000
#define BREAKER_MAX_MS	16000

enum breaker_state {
	BREAKER_CLOSED,
	BREAKER_OPEN,		/* not asked until until_ms */
	BREAKER_HALF_OPEN	/* one call tries it */
};

struct breaker {
	enum breaker_state	 state;
	uint32_t		 failures;	/* in a row */
	uint32_t		 pause_ms;
	uint64_t		 until_ms;
};

struct session {
	char	*name;
	char	*value;		/* "claim.tenant" */
};

struct source {
	char			*name;
	uint32_t		 number;	/* in configuration order */
	enum source_kind	 kind;
	char			*target;	/* path or DSN; DSN is cleared */
	uint32_t		 connections;
	uint32_t		 timeout_ms;
	uint32_t		 connect_timeout_ms;
	uint32_t		 statement_timeout_ms;	/* 0: the tool's */
	uint32_t		 pool_wait_ms;	/* 0: the tool's timeout */
	uint32_t		 lifetime_ms;	/* of a connection; 0: no end */
	uint32_t		 idle_ms;	/* 0: any time */
	int			 pooler;	/* in transaction mode */
	uint64_t		 asked_ms;	/* when the parent was, for the DSN */
	int			 refused;	/* it was said that it takes it not */
	char			*fallback_name;	/* who stands in for it, or "" */
	int			 writes;
	uint32_t		 nsessions;
	struct session		 session[SESSIONS_MAX];
	uint32_t		 ntools;
	struct tool		*tools[TOOLS_MAX];	/* by slot */
	struct breaker		 breaker;
	uint64_t		 alive_us;	/* when it last said anything */
	const struct source_ops	*ops;
	struct survey		*survey;	/* NULL: nobody asks */
	void			*state;
};

/* The source that is to answer, from c->place on; NULL: none may be asked now,
 * c->retry_after is set. */
struct source *source_choose(struct call *);
/* The one that was asked is down: 1 where another may be (c->place is it). */
int	source_move_on(struct call *);
/* What the end of a call that it was given says of it. */
void	source_judge(struct source *, const struct call *);
/* It said something; it can be reached again. */
void	source_alive(struct source *);
void	source_back(struct source *);
/* Whether a call could be given to it now. */
int	source_is_up(struct source *);
const char *breaker_name(const struct source *);

extern const struct source_ops source_sqlite_ops;
extern const struct source_ops source_postgres_ops;

#endif
