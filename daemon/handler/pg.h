/* SPDX-License-Identifier: ISC */

/*
 * What the files of the Postgres source offer each other: pg_dsn.c how to
 * reach the server, pg_conn.c the life of one connection, pg_send.c what is
 * asked on it, pg_result.c what comes back, pg_value.c one value as JSON,
 * pg_cancel.c how a statement is stopped, pg_age.c when a connection is
 * renewed, source_postgres.c which connection serves which call.
 */

#ifndef HANDLER_PG_H
#define HANDLER_PG_H

#include <event2/event.h>
#include <libpq-fe.h>

#include "source.h"

#define DEPTH_MAX	64	/* calls in flight on one connection */
#define WAITING_MAX	1024	/* calls that wait for a connection */
#define GRACE_MS	500	/* over a timeout, for the server's own */
#define SPREAD_MS	20	/* before a first attempt, for each that is down */
#define BACKOFF_MIN_MS	100
#define BACKOFF_MAX_MS	5000
#define STEADY_MS	1000	/* up so long: its loss is no failed attempt */
#define REPREPARE_MS	5000	/* a refused statement is tried so often */
#define DRAIN_MS	1000	/* rows that nobody wants are read so long */
#define TRIES_MAX	4	/* of one read, at one source */
#define RETRY_MIN_MS	10	/* before the first repetition; doubles, jittered */
#define CANCEL_MS	2000	/* a cancel takes longer: the connection goes */
#define CANCEL_AGAIN_MS	200	/* one that hit nothing is sent again */
#define CANCEL_AFTER_MS	50	/* in a group with others: it may end by itself */

enum op_kind {
	OP_QUERY,		/* the tool's statement */
	OP_SIDE,		/* something around it */
	OP_COMMIT,		/* its end */
	OP_PREPARE,
	OP_DESCRIBE,
	OP_GUESS,		/* the same without types, for a survey */
	OP_GUESSED,
	OP_SYNC
};

/* One thing that was asked and whose results are awaited, in order. */
struct op {
	TAILQ_ENTRY(op)	 entry;
	enum op_kind	 kind;
	struct call	*call;		/* NULL: none, or answered already */
	const struct tool *tool;	/* NULL: nothing of a tool's */
	uint32_t	 timeout_ms;
	int		 started;	/* a result of it was seen */
	int		 single;	/* its rows come one by one */
	int		 begun;		/* its rows are being rendered */
	uint64_t	 drain_ms;	/* its rows are unwanted from then on */
	int		 unwanted;	/* whoever asked for it is answered */
	int		 shaken;	/* a cancel may have hit it */
};

enum statement_state {
	STATEMENT_NONE,
	STATEMENT_ASKED,	/* no word of the server yet */
	STATEMENT_GOOD,
	STATEMENT_REFUSED
};

struct pg_statement {
	enum statement_state	 state;
	uint32_t		 version;	/* of its name */
	uint64_t		 retry_ms;	/* refused: when to try again */
};

enum conn_state {
	CONN_DOWN,
	CONN_CONNECTING,
	CONN_PREPARING,		/* its statements are being prepared */
	CONN_UP
};

struct conn {
	struct source	*source;
	PGconn		*pg;
	enum conn_state	 state;
	struct event	*reading, *writing, *timer;
	TAILQ_HEAD(, op) ops;
	uint32_t	 calls;		/* in flight and not answered */
	uint32_t	 writes;	/* of them, those that write */
	uint32_t	 preparing;	/* statements without a word yet */
	int		 need_sync;	/* something was asked since the last */
	int64_t		 timeout_ms;	/* of the session; -1: not known */
	uint64_t	 head_ms;	/* since when the first op is first */
	uint64_t	 up_ms;		/* since when it is up */
	uint32_t	 backoff_ms;
	int		 failed;	/* the last attempt did */
	int		 told;		/* … and the log has why, once until it is up */
	struct pg_statement *statement;	/* by slot */
	uint32_t	 unwanted;	/* ops that are nobody's */
	int		 cancelling;	/* a cancel is under way: nothing goes there */
	PGcancel	*cancel;	/* the thread has it; NULL: none */
	uint64_t	 cancel_ms;	/* when it was sent */
	uint64_t	 calm_ms;	/* not before is another */
	int		 wanted;	/* 0: it ends, or has, or is no more to be */
	struct conn	*replaces;	/* whose place it takes once it is up */
	uint64_t	 end_ms;	/* it is renewed then; 0: never */
	uint32_t	 idle_ms;	/* or when it was not used so long */
	int		 lost;		/* to be dropped at the turn's end */
	int		 dismissed;	/* … for no fault of what ran on it */
	const char	*why;		/* static text; NULL: ask libpq */
};

struct canceller;

struct postgres {
	struct conn		*conns;
	uint32_t		 nconns;	/* one more than are wanted */
	char			*options;	/* for the server */
	const char		*attributes;	/* static; NULL: as the DSN says */
	struct canceller	*canceller;
	TAILQ_HEAD(, call)	 waiting;
	uint32_t		 nwaiting;
	TAILQ_HEAD(, call)	 later;		/* repeated in a moment */
	struct event		*later_timer;
};

/* pg_dsn.c */
int	pg_dsn_needs(struct source *, struct sandbox_needs *);
PGconn	*pg_dsn_connect(struct source *);
/* Asks the parent for the DSN as it is now. */
void	pg_dsn_ask(struct source *);
/* What the parent says; only what names the same place is taken. */
void	pg_dsn_renew(struct source *, struct slice dsn);

/* pg_conn.c */
int	pg_conn_init(struct conn *, struct source *);
void	pg_connect(struct conn *);
void	pg_conn_arm(struct conn *, uint32_t ms);
/* Ends it without a word: nothing is under way on it. */
void	pg_conn_end(struct conn *);
/* Those that are down try again, soon. */
void	pg_conn_retry(struct conn *);
/* Marks it: it is dropped at the end of the turn, its calls end or move. */
void	pg_give_up(struct conn *, const char *why);
/* Drops it where it is marked. */
void	pg_conn_drop(struct conn *);
/* One Sync and one send for what was asked in this turn. */
void	pg_conn_flush(struct conn *);
void	pg_say(const struct conn *, const char *what, const char *error);
/* The last statement has been prepared or refused. */
void	pg_conn_prepared(struct conn *);

/* pg_send.c */
/* Sending failed on the way: the call is to be found when it is dropped. */
void	pg_hold(struct conn *, struct call *);
/* The call is (to be) answered: what still comes for it is not awaited. */
void	pg_forget(struct conn *, struct call *);
/* What it asked is stopped where it can be. */
void	pg_unwant(struct conn *, const struct call *);
/* Both. */
void	pg_abandon(struct conn *, struct call *);
void	op_end(struct conn *, struct op *);
int	pg_sync(struct conn *);
/* How the tool's statement stands on this connection. */
struct pg_statement *pg_statement_of(struct conn *, const struct tool *);
int	pg_send_prepare(struct conn *, const struct tool *);
/* The type that a number of its statement is declared to have. */
Oid	pg_bind_type(const struct tool *, uint32_t bind);
/* Has it described without types; before pg_send_prepare(). */
int	pg_send_guess(struct conn *, const struct tool *);
int	pg_send_call(struct conn *, struct call *);
/* Whether calls to the tool are transactions of their own. */
int	pg_is_transaction(const struct source *, const struct tool *);

/* pg_result.c */
void	pg_process(struct conn *);

/* pg_survey.c: what is told of a statement before it is in force. */
void	pg_survey_guess(struct conn *, const struct tool *, const PGresult *);
void	pg_survey_refused(struct conn *, const struct tool *,
	    const char *error);
void	pg_survey_described(struct conn *, const struct tool *,
	    const PGresult *);
/* A connection failed: where all have, it cannot be reached. */
void	pg_survey_down(struct source *, const char *why);

/* pg_value.c */
void	pg_add_value(struct buffer *, const PGresult *, int row, int column);

/* pg_age.c */
/* It is up. */
void	pg_age_begin(struct conn *);
/* Its timer fired: renews it where it is due. */
void	pg_age_look(struct conn *);
/* It is lost: it may have been to take a place, or to leave one. */
void	pg_age_lost(struct conn *);
/* Another has its place and its last call is done. */
int	pg_age_is_over(const struct conn *);

/* pg_cancel.c */
int	pg_canceller_init(struct source *);
int	pg_canceller_confine(struct source *, const struct sandbox_needs *);
/* For tests: waits for its jobs, ends the thread, frees it. */
void	pg_canceller_end(struct source *);
/* Where the first thing on it is for nobody: has the server stop that. */
void	pg_cancel_first(struct conn *);
/* The server does not take the cancel: it, or the way there, is dead. */
int	pg_cancel_hangs(const struct conn *, uint64_t now);

/* source_postgres.c */
void	pg_run(struct source *, struct call *);
/* Puts it among those that wait; gives connections to those that can. */
void	pg_wait(struct source *, struct call *);
/* Once more, in a moment. */
void	pg_later(struct source *, struct call *);
void	pg_dispatch(struct source *);

#endif
