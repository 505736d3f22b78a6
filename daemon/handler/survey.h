/* SPDX-License-Identifier: ISC */

/* What the sources say of a configuration before it is in force. */

#ifndef HANDLER_SURVEY_H
#define HANDLER_SURVEY_H

#include "source.h"

enum survey_state { SURVEY_OPEN, SURVEY_UP, SURVEY_DOWN };

struct survey_tool {
	char		*refused;	/* why; NULL: it is not */
	const char	*param;		/* that is to blame, or NULL */
	char		*described;	/* what it takes and gives */
	uint32_t	*guess;		/* types that its source would give */
};

struct survey {
	enum survey_state	 state;
	char			*why;	/* it is down */
	struct survey_tool	*tool;	/* by slot */
};

/* Before the sources are prepared, and when they are started; 0 or -1. */
int	survey_prepare(void);
int	survey_start(void);
void	survey_mode(enum check_mode);
/* Whether more is wanted than what is refused. */
int	survey_describes(const struct source *);
/* NULL: nobody asks. */
struct survey_tool *survey_tool(struct source *, const struct tool *);
/* Said before survey_up(); param: kept by the caller, or NULL. */
void	survey_refused(struct source *, const struct tool *, const char *param,
	    const char *, ...) __attribute__((__format__(printf, 4, 5)));
/* "order_id integer, caller.owner": type gives a bind's, NULL: as declared. */
void	survey_describe_params(struct buffer *, const struct tool *,
	    const char *(*type)(const struct tool *, uint32_t bind));
/* Takes the buffer. */
void	survey_describe_end(struct source *, const struct tool *,
	    struct buffer *);
/* Every statement is prepared or refused. */
void	survey_up(struct source *);
/* No connection could be made. */
void	survey_down(struct source *, const char *why);

#endif
