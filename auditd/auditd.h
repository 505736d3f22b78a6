/* SPDX-License-Identifier: ISC */

/*
 * What the files of auditd offer each other.  auditd.c is the process, peers.c
 * who reports to it; join.c makes records of reports, seen.c remembers which
 * are written; compose.c, arguments.c and catalogue.c say what stands in one;
 * group.c gathers them and settles their fate, journal.c makes them durable,
 * able.c says whether it can; postgres.c and rows.c carry them on to the table,
 * sink.c to whoever else is to have them.
 */

#ifndef AUDITD_AUDITD_H
#define AUDITD_AUDITD_H

#include <sys/stat.h>
#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "../common/buffer.h"
#include "../common/frame.h"
#include "../common/message.h"
#include "../common/record.h"
#include "../common/segment.h"

#define SEGMENT_DEFAULT	(64ULL << 20)	/* bytes after which a segment ends */
#define SEGMENT_MIN	AUDIT_SEGMENT_MIN
#define GROUP_MAX	(8U << 20)	/* bytes of one group commit */
#define PENDING_MAX	65536		/* decisions whose outcome is awaited */
#define SEEN_MAX	32768		/* ids of each of two generations */
#define REPLAY_MAX	65536		/* records looked at again at start */
#define HELD_MS		1000		/* an outcome waits for its decision */
#define HELD_ABSENT_MS	5000		/* … where authd is not there yet */
#define PENDING_MS	120000		/* a decision waits for its outcome */
#define GRACE_MS	5000		/* after start, for peers to turn up */
#define DEAD_MAX	256		/* dead handlers that are remembered */

/* ---- journal.c --------------------------------------------------------- */

/* Every call that can fail, so that a test can make it fail. */
struct journal_io {
	ssize_t	(*write)(int, const void *, size_t);
	int	(*fdatasync)(int);
	int	(*fsync)(int);
	int	(*ftruncate)(int, off_t);
	int	(*fstat)(int, struct stat *);
	int	(*fstatat)(int, const char *, struct stat *, int);
	int	(*openat)(int, const char *, int, mode_t);
};
extern const struct journal_io journal_io_system;

struct journal_conf {
	const char	*path;		/* of the folder; kept by the caller */
	uint64_t	 segment;	/* bytes; 0: SEGMENT_DEFAULT */
	/*
	 * Each record of the last REPLAY_MAX, oldest first, while the journal
	 * is opened; may be NULL.  The line is gone when it returns.
	 */
	void	(*replay)(const struct record_view *, struct slice line, void *);
	void	*arg;
};

struct journal;
/*
 * Locks the folder, repairs a torn end, checks the last segment's chain.
 * Returns NULL after a log line that says why.
 */
struct journal *journal_open(const struct journal_conf *,
	    const struct journal_io *);
void	 journal_close(struct journal *);
/*
 * Adds one record to the group.  Returns 0, or -1: too large, or no memory.
 * Where journal_grouped() passes GROUP_MAX, commit first.
 */
int	 journal_append(struct journal *, const struct record *);
size_t	 journal_grouped(const struct journal *);	/* bytes */
size_t	 journal_group_records(const struct journal *);
/*
 * Makes the group durable.  Returns 0, or -1 after a log line: nothing of the
 * group is in the journal then, and the group is empty.
 */
int	 journal_commit(struct journal *);
/*
 * Whether the files are still ours, without writing.  Returns 0, or -1 after
 * a log line: it has failed, until a commit succeeds.
 */
int	 journal_check(struct journal *);
uint64_t journal_seq(const struct journal *);	/* of the last durable record */
int	 journal_failed(const struct journal *);
int	 journal_dir(const struct journal *);
/* The last record's hash. */
void	 journal_hash(const struct journal *, uint8_t [DIGEST_LEN]);
/* Of the last record that was appended, durable or not: its number. */
uint64_t journal_tip(const struct journal *, uint8_t hash[DIGEST_LEN]);
/*
 * Goes on behind seq, whose hash this is, where the journal ends earlier (its
 * end was cut off, but Postgres has it): numbers are never given twice.
 */
void	 journal_skip_to(struct journal *, uint64_t seq,
	    const uint8_t [DIGEST_LEN]);
/* Reads a small file of the folder; NUL-terminated; -1 with errno. */
ssize_t	 journal_file_read(int dir, const char *name, char *to, size_t size);
/* Replaces it in one step, durably where asked; 0, or -1 with errno. */
int	 journal_file_write(int dir, const char *name, const char *, size_t,
	    int durable);
/* Appends to a file of the folder, durably; 0, or -1 with errno. */
int	 journal_file_append(int dir, const char *name, const char *, size_t);

/* ---- seen.c ------------------------------------------------------------ */

#define SEEN_REFUSED	0x01
#define SEEN_INTENT	0x02
#define SEEN_OUTCOME	0x04	/* from the handler's report */
#define SEEN_UNKNOWN	0x08	/* closed by us, counted as a call */
#define SEEN_SUPERSEDED	0x10	/* closed by us, not counted */
#define SEEN_UNDECIDED	0x20	/* stands on a handler's word alone */

void	 seen_init(void);
void	 seen_free(void);
/*
 * What is written of a request.  What one handler reported without a decision
 * says nothing about another's: handler is who asks, or whom authd named.
 */
unsigned int seen_get(const uint8_t id[REQUEST_ID_LEN], uint32_t handler);
/* Adds flags; returns those that stood before, for seen_restore(). */
unsigned int seen_add(const uint8_t id[REQUEST_ID_LEN], uint32_t handler,
	    unsigned int flags);
void	 seen_restore(const uint8_t id[REQUEST_ID_LEN], unsigned int flags);

/* ---- arguments.c ------------------------------------------------------- */

/* Makes or reads the key in the journal's folder; 0, or -1 after a log line. */
int	 arguments_key(int dir);
/* For tests. */
void	 arguments_set_key(const uint8_t [KEY_LEN]);
/*
 * Appends the object for the record: the clear arguments without line breaks,
 * the hidden ones as "hmac-sha256:<hex>".  Returns NULL, or why the arguments
 * are not recorded (nothing is appended then).
 */
const char *arguments_write(struct buffer *, const struct msg_audit_call *);

/* ---- checkpoint.c ------------------------------------------------------ */

struct sandbox_needs;

struct checkpoint_conf {
	const char	*node;
	int		 dir;		/* of the journal; its key lies there */
	uint32_t	 records;	/* 0: the default */
	uint32_t	 ms;		/* 0: the default */
	char *const	*path;		/* of files that it goes to, too */
	size_t		 paths;
};
/* Before the sandbox: reads or makes the key.  0, or -1 after a log line. */
int	 checkpoint_open(const struct checkpoint_conf *);
void	 checkpoint_close(void);
void	 checkpoint_needs(struct sandbox_needs *);
/* So many records are in the group to be committed: 1: one should follow. */
int	 checkpoint_due(size_t records, uint64_t now_ms);
/* Signs that record seq has this hash: the detail of its event, or NULL. */
const char *checkpoint_make(uint64_t seq, const uint8_t hash[DIGEST_LEN]);
/* The group is settled, with this many records. */
void	 checkpoint_settled(int durable, size_t records, uint64_t now_ms);
/* When one is due whatever comes; 0: nothing waits for one. */
uint64_t checkpoint_at_ms(void);
/* The next group ends with one. */
void	 checkpoint_force(void);
uint64_t checkpoint_seq(void);	/* of the last one; 0: none */
const char *checkpoint_state(void);	/* "ok", or what fails; no newline */

/* ---- sink.c ------------------------------------------------------------ */

struct sinks_conf {
	struct event_base *base;
	const char	*node;
	int		 dir;		/* of the journal */
	uint64_t	 limit;		/* bytes that a sink may be behind */
	uint64_t	(*durable)(void);
	void		(*gap)(const char *detail);	/* an event "sink_gap" */
};
/* Before the sandbox, in the order of the configuration.  0, or -1. */
int	 sink_add(const struct msg_conf_sink *);
int	 sinks_open(const struct sinks_conf *);
void	 sinks_close(void);
void	 sinks_needs(struct sandbox_needs *);
/* So many bytes of new records are durable. */
void	 sinks_kick(size_t bytes);
/* A program's standard input; takes ownership of fd. */
int	 sink_pipe(uint32_t index, int fd);
/* The end: what is not sent yet gets no more time than a moment. */
int	 sinks_drained(void);
void	 sinks_status(struct buffer *);
void	 sinks_stats(struct buffer *);

/* ---- lag.c, figures.c -------------------------------------------------- */

/* Records from `first' on are durable now. */
void	 lag_note(uint64_t first, uint64_t now_ms);
/* How long the oldest one behind `drained' has waited; 0: none does. */
uint64_t lag_ms(uint64_t drained, uint64_t last, uint64_t now_ms);
void	 lag_reset(void);
/* For MSG_STATS.  full: over its limit, which is 0 where there is none. */
void	 figures_put(struct buffer *, const struct journal *, int full,
	    uint64_t limit);

/* ---- able.c ------------------------------------------------------------ */

struct able_conf {
	struct event_base *base;
	void	(*tell)(void);	/* able_now() is another */
	/* Tries to write an event "journal_failed" with this detail. */
	void	(*try)(const char *detail);
};
/* Keeps the pointer; 0 or -1. */
int	 able_init(const struct able_conf *);
int	 able_now(void);
/* Each turn.  records: a call would be recorded; failed: the journal has. */
void	 able_look(int records, int failed);

/* ---- keep.c ------------------------------------------------------------ */

/*
 * Removes segments whose newest record is older than keep_s and at most
 * `drained', when what was told of them is durable.  tell() makes that
 * durable; 0, or -1: nothing is removed.
 */
void	 keep_run(int dir, uint64_t keep_s, uint64_t drained,
	    int (*tell)(const char *detail));

/* ---- catalogue.c ------------------------------------------------------- */

struct join_tool {
	char		 name[NAME_LEN_MAX + 1];
	char		 digest[HASH_TEXT_LEN + 1];
	char		 source[NAME_LEN_MAX + 1];
	char		*sql;		/* owned */
	int		 writes;
};

struct catalogue {
	uint32_t	 crew;
	char		 digest[HASH_TEXT_LEN + 1];	/* of the configuration */
	struct join_tool *tools;	/* sorted by name when it is whole */
	size_t		 ntools;
	size_t		 expected;
};

/* One begins; 0, or -1: another is not whole yet, or no memory. */
int	 catalogue_begin(const struct msg_conf_catalogue *);
int	 catalogue_add(const struct msg_conf_tool_digest *);
/* NULL: there is none, or one is not whole. */
struct catalogue *catalogue_newest(void);
/* Of a crew, or else the newest; NULL: there is none. */
const struct catalogue *catalogue_of(uint32_t crew);
const struct join_tool *catalogue_tool(uint32_t crew, struct slice name);
void	 catalogues_free(void);

/* ---- join.c ------------------------------------------------------------ */

/* Who is to be told when a report is durable. */
struct report {
	uint32_t	peer;		/* of peers.c; 0: nobody */
	uint64_t	number;
	uint32_t	crew;		/* whose configuration the sender has */
};

struct join_conf {
	const char	*node;
	const char	*namespace;
	uint32_t	 instance;	/* auditd's own */
	/* Adds a record to the group; 0, or -1: it can't be. */
	int	(*append)(const struct record *);
	/* Tells the sender when the group's fate is known. */
	void	(*due)(struct report);
	/* Tells it now that the report was not recorded. */
	void	(*refuse)(struct report);
};

void	 join_init(const struct join_conf *, uint64_t now_ms);
void	 join_free(void);
/* Each takes one report, checked by get_audit_*(). */
void	 join_decision(struct report, const struct frame *,
	    const struct msg_audit_decision *, uint64_t now_ms);
void	 join_intent(struct report, uint32_t handler, const struct frame *,
	    const struct msg_audit_call *, uint64_t now_ms);
void	 join_outcome(struct report, uint32_t handler, const struct frame *,
	    const struct msg_audit_call *, uint64_t now_ms);
void	 join_reported(struct report, const struct msg_audit_event *);
/* From the journal, at start. */
void	 join_replay(const struct record_view *, struct slice line, void *);
void	 join_event(const char *name, const char *detail_json);
/* Peers come and go. */
void	 join_handler_up(uint32_t instance);
void	 join_handler_down(uint32_t instance, uint64_t now_ms);
void	 join_authd_up(uint32_t crew);
void	 join_authd_down(uint32_t crew, uint64_t now_ms);
/* How many wait for their decision: worth a look at authd's channel. */
size_t	 join_held(void);
size_t	 join_pending(void);
/* What is overdue becomes a record; call about once a second. */
void	 join_sweep(uint64_t now_ms);
/* Everything that is open becomes a record: the end. */
void	 join_finish(uint64_t now_ms);
/* The fate of the group: what was in it is settled, or open again. */
void	 join_settled(int durable);

/* ---- peers.c ----------------------------------------------------------- */

/* A handler, or an authd; takes ownership of fd. */
void	 peers_add(const struct msg_peer *, int fd);
/* What the parent saw or did; 0, or -1: none of its events. */
int	 peers_parent_event(const struct frame *);
/* Reads now what they have sent. */
void	 peers_drain(int authd_only);
/* A report is durable, or is not: told by peers_answer(). */
void	 peers_fate(struct report, int durable);
void	 peers_refuse(struct report);
void	 peers_answer(void);
/* Tells the handlers whether a call would be recorded. */
void	 peers_tell_able(void);

/* ---- group.c ----------------------------------------------------------- */

struct group_conf {
	struct journal	*journal;
	const char	*path;		/* of its folder, which is watched */
	uint64_t	 limit;		/* bytes not in Postgres; 0: no bound */
	uint64_t	 keep_s;	/* 0: segments stay */
	enum audit_failure on_failure;
	int		 drains;	/* Postgres is configured */
};
/* Copies it, before anything is appended; 0 or -1. */
int	 group_init(const struct group_conf *);
/* Adds a record; 0, or -1: it can't be. */
int	 group_append(const struct record *);
/* Its sender is told when the group's fate is known. */
void	 group_due(struct report);
/* Commits where the group is half full. */
void	 group_room(void);
/* Makes it durable, tells nobody: at start.  1: it is. */
int	 group_write(void);
/* Makes it durable and settles all that waits for that. */
void	 group_commit(void);
/* An event by which a journal that failed is tried; for able.c. */
void	 group_try(const char *detail);
/* Each turn: commits, unless it is worth waiting for more. */
void	 group_turn(void);
/* Whether a call would be recorded. */
int	 group_records(void);
int	 group_over_limit(void);
/* Records that were let go, with `on failure continue'. */
uint64_t group_lost(void);
/* Nothing waits any more.  Returns whether that was said before. */
int	 group_end(void);

/* ---- toolnote.c -------------------------------------------------------- */

/* Makes an event for each definition that was not told before; how many. */
int	 toolnote_tell(int dir, struct join_tool *, size_t ntools,
	    void (*event)(const char *name, const char *detail));
/* They are durable. */
void	 toolnote_done(int dir, const struct join_tool *, size_t ntools);

/* ---- compose.c --------------------------------------------------------- */

/* What all records of this run say; kept by the caller. */
void	 compose_init(const struct join_conf *);
void	 compose_free(void);
/* Each starts from an empty record; slices point into the messages. */
void	 compose_refusal(struct record *, const struct msg_audit_decision *,
	    uint32_t crew);
void	 compose_event(struct record *, const char *name, const char *detail);
void	 compose_reported(struct record *, const struct msg_audit_event *,
	    uint32_t crew);
/*
 * A call: what authd decided (may be NULL), what the handler said (may be
 * NULL), which handler.  late: after the call was closed without it.
 */
void	 compose_call(struct record *, enum record_kind,
	    const struct msg_audit_decision *, const struct msg_audit_call *,
	    uint32_t handler, uint32_t crew, int late);
/* A line of the log at the verbose level: no value, no text of the caller. */
void	 compose_say(const struct record *);
/* A call of which only the line of its intent is known. */
int	 compose_from_line(struct record *, const char *line, size_t len);
/* The handler that an intent's line names; 0: none. */
uint32_t compose_handler(const struct record_view *);

/* ---- postgres.c, position.c, dsn.c, rows.c ------------------------------------------------ */

struct event_base;

struct drain_conf {
	struct event_base	*base;
	const char		*dsn;
	const char		*node;
	int			 dir;		/* of the journal */
	uint64_t		(*durable)(void);	/* journal_seq() */
	unsigned int		 deadline_ms;	/* of one step; 0: the default */
	unsigned int		 batch;		/* rows; 0: the default */
	uint64_t		 patience;	/* bytes of backlog: below, calls go first */
	void			(*refused)(void);	/* a login; may be NULL */
};

/* Reads the cursor: 0, or -1 after a log line.  seq 0: nothing drained. */
int	 drain_cursor(int dir, uint64_t *seq, uint8_t hash[DIGEST_LEN]);
/* Before the sandbox; 0, or -1 after a log line. */
int	 drain_open(const struct drain_conf *);
void	 drain_close(void);
void	 drain_needs(struct sandbox_needs *);
/* The connection string as it is now; -1: there is no database. */
int	 drain_renew(struct slice dsn);
/* So many bytes of new records are durable. */
void	 drain_kick(size_t bytes);
void	 drain_hurry(void);		/* the end: nothing goes first any more */
uint64_t drain_seq(void);		/* of the last row known to be stored */
uint64_t drain_backlog(void);		/* bytes of the journal behind it */
uint64_t drain_rejected(void);		/* rows that the table did not take */
const char *drain_state(void);

/* Where the drain stands in the journal. */
struct position {
	int		 dir;		/* not owned */
	uint64_t	 seq;		/* of the last record handed out */
	uint64_t	 segment;	/* its name; 0: none found yet */
	off_t		 offset;	/* behind that record */
};
/* Right behind seq.  *behind: bytes of all segments from there on. */
int	 position_seek(struct position *, int dir, uint64_t seq,
	    uint64_t *behind);
/*
 * Calls each for every line up to seq `until', at most `max' of them and about
 * `max_bytes', and moves on.  each returns -1 for a line that is no record.
 * Returns how many were handed out, or -1 after a log line.
 */
int	 position_read(struct position *, uint64_t until, unsigned int max,
	    size_t max_bytes, int (*each)(struct slice, void *), void *);

/* A connection string, taken apart before the sandbox closes. */
#define DSN_WORDS_MAX	64
#define DSN_HOSTS_MAX	16
struct dsn {
	char		*word[DSN_WORDS_MAX + 1];	/* NULL-terminated */
	char		*value[DSN_WORDS_MAX + 1];
	size_t		 words;
	char		*socket[DSN_HOSTS_MAX];	/* folders of Unix sockets */
	size_t		 sockets;
	uint16_t	 port[DSN_HOSTS_MAX];
	size_t		 ports;
	int		 resolve;	/* names must be looked up later on */
	char		*text;		/* as it was given */
};
/* Looks host names up, once: a look-up in the loop would stop every call.
 * Returns 0, or -1 after a log line that tells nothing of the string. */
int	 dsn_parse(struct dsn *, const char *);
/*
 * In the sandbox: takes another string that leads to the same place.  1: it is
 * in force; 0: it is the same, or, after a log line, cannot be taken.
 */
int	 dsn_renew(struct dsn *, const char *);
void	 dsn_free(struct dsn *);
void	 dsn_needs(const struct dsn *, struct sandbox_needs *);

/* Rows of one statement, as arrays. */
struct rows;
struct rows *rows_new(void);
void	 rows_free(struct rows *);
void	 rows_clear(struct rows *);
/* Adds a record; bare leaves the arguments out.  0, or -1: no record. */
int	 rows_add(struct rows *, struct slice line, int bare);
size_t	 rows_count(const struct rows *);
const char *rows_statement(void);
int	 rows_nparams(void);
/* Finishes the arrays; NULL where memory ran out. */
const char *const *rows_params(struct rows *);

#endif
