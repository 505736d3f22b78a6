/* SPDX-License-Identifier: ISC */

/*
 * What the files of the Postgres source share: a connection, what is under
 * way on it, and who does what.  For postgres_send.c, postgres_result.c and
 * source_postgres.c alone.
 */

#ifndef HANDLER_POSTGRES_H
#define HANDLER_POSTGRES_H

#include <libpq-fe.h>

#include "source.h"

#define DEPTH_MAX	64	/* calls in flight on one connection */
#define WAITING_MAX	1024	/* calls that wait for a connection */
#define GRACE_MS	500	/* over a tool's timeout, for the server's own */
#define BACKOFF_MIN_MS	100
#define BACKOFF_MAX_MS	5000
#define REPREPARE_MS	5000	/* a refused statement is tried so often */

enum op_kind {
	OP_QUERY,		/* the tool's statement */
	OP_SIDE,		/* something around it */
	OP_COMMIT,		/* its end */
	OP_PREPARE,
	OP_DESCRIBE,
	OP_SYNC
};

struct op {
	TAILQ_ENTRY(op)	 entry;
	enum op_kind	 kind;
	struct call	*call;		/* NULL: none, or not ours any more */
	const struct tool *tool;
	int		 started;	/* a result of it was seen */
	int		 begun;		/* its rows are being rendered */
};

enum conn_state { CONN_DOWN, CONN_CONNECTING, CONN_UP };

struct conn {
	struct source	*source;
	PGconn		*pg;
	enum conn_state	 state;
	struct event	*reading, *writing, *timer;
	TAILQ_HEAD(, op) ops;
	uint32_t	 calls;		/* in flight */
	int		 need_sync;	/* something was queued since the last */
	int64_t		 timeout_ms;	/* of the session; -1: not known */
	uint32_t	 backoff_ms;
	int		 failed;	/* the last attempt did */
	int		*prepared;	/* by slot: 1 sent, -1 refused */
	uint64_t	*retry_ms;	/* by slot: when to try again */
	int		 busy;		/* inside its own callbacks */
	int		 lost;
};

struct postgres {
	struct conn		*conns;
	TAILQ_HEAD(, call)	 waiting;
	uint32_t		 nwaiting;
};

/* source_postgres.c */
/* A log line that names the source; error is libpq's text. */
void	pg_say(const struct conn *, const char *what, const char *error);
/* Takes a call, as struct source_ops says; also one that must run again. */
void	pg_run(struct source *, struct call *);

/* postgres_send.c: queueing on a connection; 0, or -1: it is of no use. */
int	pg_sync(struct conn *);
int	pg_send_prepare(struct conn *, const struct tool *);
int	pg_send_call(struct conn *, struct call *);

/* postgres_result.c */
/* Handles what has arrived.  The caller looks at cn->lost afterwards. */
void	pg_process(struct conn *);
void	pg_op_end(struct conn *, struct op *);

#endif
