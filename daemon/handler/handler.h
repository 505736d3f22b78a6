/* SPDX-License-Identifier: ISC */

/*
 * The handler's room.  A call comes from a listener with a ticket, is checked,
 * recorded where it writes, run by its source, recorded, and answered; the
 * files here each hold one of these steps.
 */

#ifndef HANDLER_HANDLER_H
#define HANDLER_HANDLER_H

#include <regex.h>
#include <stddef.h>
#include <stdint.h>

#include "../../common/compat.h"
#include "../../common/frame.h"
#include "../../common/identity.h"
#include "../../common/json.h"
#include "../../common/message.h"
#include "../../common/outbox.h"
#include "../../common/rate.h"
#include "../../pledge/sandbox.h"

#define CALLS_MAX	4096	/* calls in this handler: half of REPORTS_MAX */
#define CALLS_KEPT	256	/* that are over and wait to be used again */
#define CALL_KEEP	(16 * 1024)	/* bytes that each of its buffers keeps */
#define AUDIT_WAIT_MS	5000	/* for an acknowledgement */
#define SWEEP_MS	100	/* deadlines are looked at so often */
#define REPORT_BYTES_MAX (64 * 1024 * 1024)	/* that active calls may report */
#define PATTERN_INPUT_MAX (64 * 1024)	/* bytes that a pattern is tried on */
#define BINDS_MAX	(PARAMS_MAX + ATTRIBUTES_MAX)
#define PLACES_MAX	8	/* a source and those that stand in for it */
#define PARAM_NONE	((uint32_t)-1)

struct source;
struct entry;
struct redis_ask;

/* What other nodes' results of a tool must be of; see redis_cache.h. */
#define WORD_LEN	22	/* base64url of 16 bytes */
struct generation {
	int	known;
	char	word[WORD_LEN + 1];
};

struct param {
	char		*name;
	enum param_type	 type;
	int		 required;
	enum privacy	 privacy;
	char		*default_json;	/* NULL: none */
	struct json	 default_parsed;	/* of it */
	int		 has_minimum, has_maximum;
	int64_t		 minimum_integer, maximum_integer;
	double		 minimum_real, maximum_real;
	uint32_t	 maximum_length;	/* code points; 0: none */
	char		*minimum_text, *maximum_text;	/* for messages */
	int		 has_pattern;
	regex_t		 pattern;
	char		*pattern_text;
	uint32_t	 nvalues;
	char		**values;
};

struct bind {
	int		 of_caller;
	char		*name;		/* "owner", "claim.x"; or a parameter's */
	uint32_t	 param;		/* index, PARAM_NONE where of_caller */
};

/* A source that can answer a tool, and the tool's number there. */
struct place {
	struct source	*source;
	uint32_t	 slot;
};

struct tool {
	char		*name;
	uint32_t	 index;
	uint32_t	 nplaces;
	struct place	 place[PLACES_MAX];	/* the first is its own */
	char		*sql;
	uint32_t	 nbinds;
	struct bind	*binds;
	int		 writes;
	uint8_t		 digest[DIGEST_LEN];
	uint32_t	 cache_ms;	/* 0: its results are not kept */
	int		 cache_shared;
	uint32_t	 ninvalidates;
	uint32_t	*invalidates;	/* numbers of tools */
	int		 invalidated;	/* some tool does so to it */
	/*
	 * The place of its own: by its name, so that it is the same for the
	 * handlers of another configuration.  Two tools in one place cost
	 * each other a result that was kept, no more.
	 */
	uint32_t	 generation;
	struct rate	 rate;		/* of each caller for it */
	uint32_t	 timeout_ms;
	uint32_t	 limit_rows;
	uint32_t	 limit_bytes;
	uint32_t	 nparams;
	struct param	*params;
};

/* One bound value.  Text lies in the call's arena, NUL-terminated. */
struct bound {
	enum param_type	 type;
	int		 null;
	int64_t		 integer;	/* integer, boolean */
	double		 real;		/* number */
	size_t		 at;		/* offset of the text in the arena */
	size_t		 len;
};

enum call_state {
	CALL_FREE,
	CALL_LIMIT,		/* its rate is asked for */
	CALL_INTENT,		/* the record that it will write is under way */
	CALL_RUNNING,
	CALL_TELL,		/* other nodes are told what it made stale */
	CALL_REPORT,		/* the record of its outcome is under way */
	CALL_DETACHED		/* answered without running; its intent is open */
};

struct call {
	TAILQ_ENTRY(call)	 entry;		/* active or free list */
	TAILQ_ENTRY(call)	 queue_entry;	/* the source's */
	RB_ENTRY(call)		 by_question;
	int			 findable;	/* by its question */
	enum call_state		 state;
	struct channel		*listener;	/* NULL: gone */
	uint64_t		 question;
	uint8_t			 request_id[REQUEST_ID_LEN];
	const struct tool	*tool;		/* NULL: the ticket was no good */
	struct source		*source;	/* that is asked; NULL: none yet */
	uint32_t		 place;		/* of it among the tool's */
	struct source		*asked[PLACES_MAX];	/* in order */
	uint32_t		 nasked;
	struct buffer		 ticket;	/* what follows points into it */
	struct slice		 tool_name;
	struct identity		 identity;
	struct rate		 rate;		/* of the caller */
	struct limit_hit	 limit;		/* that he ran into */
	struct redis_ask	*redis;		/* is asked for it; NULL: no */
	uint8_t			 cache_key[DIGEST_LEN];	/* that is asked for */
	struct generation	 generation;	/* … and what is kept here */
	struct buffer		 arena;		/* texts of bound values */
	struct bound		 bound[BINDS_MAX];
	struct buffer		 clear;		/* JSON of the clear arguments */
	struct buffer		 hidden_text;
	uint32_t		 nhidden;
	struct { const char *name; size_t at, len; } hidden[PARAMS_MAX];
	struct buffer		 structured;	/* JSON of the result */
	uint64_t		 started_us;
	uint64_t		 asked_us;	/* when a source was chosen */
	uint64_t		 sent_us;	/* when that one was asked; 0: never */
	uint64_t		 source_us;
	uint64_t		 deadline_ms;
	uint64_t		 wait_ms;	/* for a connection, until then */
	size_t			 reserved;	/* bytes of reports to come */
	int			 awaited;	/* a report of it is under way */
	enum outcome		 outcome;
	enum reason		 reason;
	char			 message[256];	/* beside the generic one; or "" */
	uint32_t		 retry_after;
	uint64_t		 rows, bytes;
	int			 truncated;
	int			 cache_hit;
	const struct source	*kept_from;	/* … and who answered then */
	struct entry		*fills;		/* of the cache: this call asks for it */
	struct entry		*waits_for;	/* another call does */
	int			 intended;	/* an intent was recorded */
	int			 may_have_run;	/* a write reached the source */
	int			 alone;		/* not to share a pipeline group */
	int			 cancelled;	/* nobody waits for it any more */
	enum { QUEUE_NONE, QUEUE_WAITING, QUEUE_LATER }
				 queue;		/* of its source, that it is in */
	void			*conn;		/* of its source, that has it */
	int			 repeat;	/* it did not run: once more */
	int			 transient;	/* it failed, and need not again */
	int			 tries;
	int			 losses;	/* of a connection that had it */
	int			 failed;	/* the source said no; see outcome */
};

/* tool.c */
int	tools_configure(const struct frame *);
/* All that was announced has come: returns 0, or -1 after a log line. */
int	tools_complete(void);
const struct tool *tool_find(struct slice name);
const struct tool *tool_at(uint32_t index);	/* one that there is */
int	tools_cached(void);	/* whether results of any are kept */
struct source *source_at(uint32_t index);	/* NULL past the last */
const char *source_name(const struct source *);
/* The number of a tool among those of a source that can answer it. */
static inline uint32_t
tool_slot(const struct tool *t, const struct source *s)
{
	uint32_t i = 0;

	while (i + 1 < t->nplaces && t->place[i].source != s)
		i++;
	return t->place[i].slot;
}


/* params.c */
/*
 * Checks the arguments of a parsed body (JSON_NONE: none) and fills bound
 * values and what the record shows.  Returns 0, or -1 with call->message.
 */
int	params_bind(struct call *, const struct json *, uint32_t arguments);
/* Sets up limits that must be read from their text; 0 or -1. */
int	param_prepare(struct param *, const struct msg_conf_param *);

/* render.c */
void	render_begin(struct call *);
void	render_row(struct call *);		/* before its first column */
void	render_column(struct call *, int first, const char *name);
void	render_base64(struct buffer *, const void *, size_t);
/* Kept exact: beyond 2^53 as a string. */
void	render_integer(struct buffer *, int64_t);
/* The shortest text that reads back as the same number. */
void	render_real(struct buffer *, double);
/* After a row: cuts it off again where a limit is passed.  1: no more rows. */
int	render_row_end(struct call *);
void	render_end(struct call *);
/* Appends the members of the tool result; 0, or -1: too large. */
int	render_members(struct call *, struct buffer *);
void	render_error_members(struct call *, struct buffer *);

/* report.c: what auditd is told. */
/* Whether another call may begin; takes room for its reports if so. */
int	report_reserve(struct call *);
void	report_release(struct call *);
/*
 * Keeps a report of the call and sends it.  With wait the call hears
 * call_recorded(); without, it may be forgotten at once.  Returns 0 or -1.
 */
int	report_call(struct call *, enum message_type, int wait);
/* The call is answered: its report stays, nobody waits for it. */
void	report_detach(struct call *);

/* count.c: what was done, for MSG_STATS. */
int	count_init(uint32_t ntools);	/* 0, or -1 with errno */
/* The outcome of a call, as it is recorded; NULL: its tool is unknown. */
void	count_call(const struct tool *, enum outcome, uint64_t us);
void	count_put(struct buffer *);

/* call.c: the calls of this handler. */
struct ticket;
void	calls_init(struct event_base *);
/* NULL: too many, or no memory.  Copies what it needs of the sealed ticket. */
struct call *call_new(struct channel *, uint64_t question,
	    const struct ticket *, struct slice sealed);
/* Binds the arguments and sets it going; it ends by itself. */
void	call_begin(struct call *, const struct tool *, const struct json *,
	    uint32_t arguments);
/* The listener says that nobody waits for it: what can be stopped is. */
void	call_cancel(struct channel *, uint64_t question);
/* Whether a call that keeps us from the loop is cancelled, or is to be. */
int	call_is_cancelled(struct call *);
/* Answered `overloaded' and recorded, where there is no room for a call. */
void	call_turn_away(struct channel *, uint64_t question,
	    const struct ticket *);
/* A result without a call: no record, and no word but the outcome. */
void	call_refuse(struct channel *, uint64_t question, enum outcome);
void	calls_forget_listener(const struct channel *);
size_t	calls_active(void);
uint64_t calls_count(void);

/* What a source says of a call that it ran; call->source_us is set here. */
void	call_done(struct call *);	/* outcome, reason, message are set */
void	call_fail(struct call *, enum outcome, enum reason);
/* Gives it to its source: the cache has nothing for it. */
void	call_ask(struct call *);
/* The record of a call is durable, or cannot be. */
void	call_recorded(void *call, int durable);

#endif
