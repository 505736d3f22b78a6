/* SPDX-License-Identifier: ISC */

/*
 * Where records come from: the folder of a journal, the table in Postgres, or
 * a file of exported lines.  All hand out lines as auditd wrote them, in
 * order, one at a time; a trail of any length is read in bounded memory.
 */

#ifndef DAEMON_CTL_TRAIL_H
#define DAEMON_CTL_TRAIL_H

#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "../common/buffer.h"
#include "../common/record.h"

/* ---- which records (ctl_filter.c) -------------------------------------- */

/* NULL, empty or 0 where it asks for nothing. */
struct filter {
	const char	*owner;
	const char	*tool;
	const char	*node;
	const char	*outcome;
	const char	*request_id;	/* 32 hex digits */
	const char	*in_params;	/* text of a value in tool_params */
	char		 since[TIME_TEXT_LEN + 1];	/* as a record's; included */
	char		 until[TIME_TEXT_LEN + 1];	/* not included */
	uint64_t	 first, last;	/* seq; both included */
	int		 checkpoints;	/* checkpoints too, whatever else fits */
};

/* Takes the value of option ch.  Returns 0, or -1 after a line to standard
 * error. */
int	filter_option(struct filter *, int ch, const char *value);
int	filter_matches(const struct filter *, const struct record_view *);
/* Whether a string value is this text. */
int	filter_string_is(struct slice value, const char *text);

/* ---- the trail (ctl_trail.c) ------------------------------------------- */

enum trail_kind { TRAIL_JOURNAL, TRAIL_POSTGRES, TRAIL_FILE };

struct trail_place {
	enum trail_kind	 kind;
	const char	*where;		/* folder, file, or as ctl_postgres.c says */
};

/* Of nodes one after the other and by seq, or by time; a journal and a file
 * are read as they stand. */
enum trail_order { BY_SEQ, BY_TIME };

enum trail_result {
	TRAIL_OK,
	TRAIL_END,
	TRAIL_TORN,		/* bytes at the end that are no whole line */
	TRAIL_TOO_LONG,
	TRAIL_EMPTY,		/* a segment before the last without a record */
	TRAIL_ERROR
};

struct trail;

/*
 * The filter only spares reading: what comes out must still be matched, and
 * of Postgres it holds exactly.  newest bounds what Postgres hands out; 0: all.
 * Returns NULL with why, a text for people, set; free it.
 */
struct trail *trail_open(const struct trail_place *, const struct filter *,
	    enum trail_order, uint64_t newest, char **why);
void	trail_close(struct trail *);
/* The line stays until the next call; no newline in it. */
enum trail_result trail_next(struct trail *, struct slice *line);
/* "segment NAME line N", "NAME line N", "postgres row N": where the last line
 * stands. */
const char *trail_position(const struct trail *);
/* What the name of the segment promises of its first record, where the last
 * line is that; else 0. */
uint64_t trail_promised(const struct trail *);
/* What was wrong: for people, from whoever said it. */
const char *trail_why(const struct trail *, enum trail_result);
/* The folder of a journal, to read its small files; -1: not a journal. */
int	trail_folder(const struct trail *);
/*
 * Once the records are known to be good: do the other columns of Postgres'
 * rows say the same?  Returns 0; 1 with the first that does not, for people, in
 * what, which the caller frees; or -1 (trail_why of TRAIL_ERROR).  missing
 * counts rows without arguments, details or an address that their records
 * have.  Other kinds: 0.
 */
int	trail_compare(struct trail *, const struct filter *, char **what,
	    uint64_t *missing);

/* ---- Postgres (ctl_postgres.c), for ctl_trail.c ------------------------ */

struct rows;

/* NULL with why, as trail_open() says. */
PGconn	*postgres_connect(const char *where, char **why);
struct rows *rows_open(const char *where, const struct filter *,
	    enum trail_order, uint64_t newest, char **why);
void	rows_close(struct rows *);
enum trail_result rows_next(struct rows *, struct slice *line);
const char *rows_why(const struct rows *);
int	rows_compare(struct rows *, const struct filter *, char **what,
	    uint64_t *missing);

#endif
