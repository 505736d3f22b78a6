/* SPDX-License-Identifier: ISC */

/* What parse.y asks of config.c, and config.c of parse.y; for those two. */

#ifndef DAEMON_CONFIGURE_H
#define DAEMON_CONFIGURE_H

#include "config.h"

/* parse.y: where reading stands, and errors, there or elsewhere. */
const char *config_file(void);
int	 config_line(void);
int	 config_string_line(void);	/* first line of the last string */
void	 config_error(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
void	 config_error_at(const char *file, int line, const char *, ...)
	    __attribute__((__format__(printf, 3, 4)));

/* config.c.  A char * argument is taken over. */
struct config *config_new(const char *path);
void	 config_check(struct config *);
/* name as seen from the folder of file; allocated. */
char	*config_absolute(const char *file, const char *name);
void	 set_once(char **, char *, const char *what);
void	 set_name(char **, char *, const char *what);
void	 set_path(struct config *, char **, char *, const char *what);
void	 set_count(uint32_t *, int64_t, int64_t max, const char *what);
void	 set_time(uint32_t *, int64_t ms, const char *what);
void	 add_listen(struct config *, char *address, int64_t port, int plain);
void	 add_text(struct text_list *, char *, int lower);
struct text_list *list_new(char *);
void	 list_free(struct text_list *);
void	 check_scopes(struct text_list *);
void	 not_in_force(struct config *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));
struct source_conf *add_source(struct config *, char *name, enum source_kind);
void	 source_path(struct config *, struct source_conf *, char *);
void	 add_session(struct source_conf *, char *name, char *value);
struct tool_conf *add_tool(struct config *, char *name);
void	 tool_sql_line(struct tool_conf *);
struct param_conf *add_param(struct tool_conf *, char *name, enum param_type);
void	 param_enum(struct param_conf *, struct text_list *);
void	 param_default(struct param_conf *, char *);
void	 param_privacy(struct param_conf *, enum privacy);
void	 redact_all(struct config *);
/* Joins the kind of a value ('"' string, '1' number, 'w' word) to its text. */
char	*value_text(char kind, char *);
void	 secret_set(struct config *, struct secret_ref *, enum secret_origin,
	    char *);
void	 secret_free(struct secret_ref *);
int64_t	 integer_value(char *);
void	 rate_period(uint32_t ms);
void	 rate_set(struct rate *, int64_t count, int64_t burst);

#endif
