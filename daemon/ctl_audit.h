/* SPDX-License-Identifier: ISC */

/* What the parts of `pontifexctl audit' offer each other. */

#ifndef DAEMON_CTL_AUDIT_H
#define DAEMON_CTL_AUDIT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../common/buffer.h"
#include "../common/record.h"
#include "ctl.h"
#include "ctl_trail.h"

#define JOURNAL_DEFAULT	"/var/lib/pontifexd/audit"
#define COUNT_MAX	1000000		/* of tail -n and search -l */

/* The options of all commands; which take which stands in ctl_audit.c. */
struct audit_options {
	struct trail_place place;
	int		 place_given;
	const char	*journal;	/* the folder, whatever the place is */
	struct filter	 filter;
	uint64_t	 count;		/* 0: not given */
	int		 follow;
	int		 json;
	const char	*keys;		/* file of trusted public keys */
	const char	*saved;		/* file of checkpoints kept elsewhere */
	const char	*after;		/* what lies before these may be gone */
	const char	*redact_key;	/* file */
	uint64_t	 stretch;	/* records that no checkpoint covers */
	uint64_t	 stretch_seconds;
	const char	*value;		/* of hash */
};

/* Each returns an exit code. */
int	audit_tail(const struct audit_options *);
int	audit_verify(const struct audit_options *);
int	audit_search(const struct audit_options *);
int	audit_export(const struct audit_options *);
int	audit_report(const struct audit_options *);
int	audit_hash(const struct audit_options *);
int	audit_schema(const struct audit_options *);

/* Opens the place of the options; NULL after a line to standard error. */
struct trail *audit_open(const struct audit_options *);
/* What ended the reading, where it was not the end: a line to standard
 * error.  Returns an exit code. */
int	audit_ended(const struct trail *, enum trail_result);

/* ---- ctl_show.c: nothing here lets a byte of a record steer a terminal --- */

/* Whether the line is a record; sets the view. */
int	show_is_record(struct slice line, struct record_view *);
/* Bytes for people; what could steer a terminal or turn the writing around
 * becomes `?'. */
void	show_text(FILE *, struct slice);
/* The text of a value of a view, padded to width. */
void	show_value(struct slice value, int width);
/* One line of `tail'. */
void	show_record(const struct record_view *);
/* One row of `search', and what stands above the columns. */
void	show_row(const struct record_view *);
void	show_row_head(void);
/* JSON as it stands, or with what a terminal would act on as \u escapes
 * where standard output is one; no newline. */
void	show_json(struct slice);

#endif
