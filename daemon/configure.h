/* SPDX-License-Identifier: ISC */

/*
 * What the files that read the configuration offer each other: input.c,
 * parse.y, config.c, declare.c, check.c, check_param.c, sqlscan.c.  Nobody
 * else includes this.
 */

#ifndef DAEMON_CONFIGURE_H
#define DAEMON_CONFIGURE_H

#include <stdio.h>

#include "config.h"

#define CONNECTIONS_MAX	64		/* of a source and a handler */
#define LIMIT_ROWS_MAX	1000000
#define LIMIT_BYTES_MAX	(RESULT_MAX / 2)	/* rows stand twice in an answer */
#define CALL_TIME_MAX	30000		/* ms; a listener gives up after 35 s */
#define LIFE_MIN	1000		/* ms, of a connection */
#define LIFE_MAX	(24 * 3600 * 1000)
#define CACHE_TIME_MAX	(24 * 3600 * 1000)	/* ms */

/*
 * Each source, tool and param is made with the file that it stands in behind
 * it, so that what is found out at the end names the right one.
 */
struct placed_source {
	struct source_conf	 conf;
	const char		*file;
};
struct placed_tool {
	struct tool_conf	 conf;
	const char		*file;
};
struct placed_param {
	struct param_conf	 conf;
	const char		*file;
};

/* ---- input.c: files, places, errors, macros ----------------------------- */

/* Forgets all that an earlier run has read. */
void	 input_reset(void);
/* Reads a file and stands at its begin; 0, or -1 with errno, and why. */
int	 input_push(const char *path);
const char *input_why(int error);
/* Leaves the file at hand; 0 where none is left. */
int	 input_pop(void);
int	 input_look(size_t ahead);	/* EOF at the end of this file */
void	 input_advance(void);
int	 input_line(void);
void	 input_digest(char hex[2 * DIGEST_LEN + 1]);
void	 input_skip_comment(void);
/* From the opening quote to behind the closing one. */
void	 input_skip_string(void);
/* The same, and returns the text; or NULL and what is wrong with it. */
char	*input_string(const char **problem);
void	 include_file(const char *name);
/* Remembers where we stand as the place of the token at hand. */
void	 place_here(void);
const char *config_file(void);		/* of the token at hand */
int	 config_line(void);
int	 config_errors(void);
/* The first is for the token at hand and speaks once a line. */
void	 config_error(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
void	 config_error_at(const char *file, int line, const char *, ...)
	    __attribute__((__format__(printf, 3, 4)));
/* A line to where errors go. */
void	 config_say(const char *, ...) __attribute__((__format__(printf, 1, 2)));
/* NULL: not defined. */
const char *macro_value(const char *name);
/* Takes both strings. */
void	 macro_set(char *name, char *value);
/* All but those of -D. */
void	 macros_forget(void);

static inline int
macro_char(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z') || c == '_';
}

/* ---- parse.y ------------------------------------------------------------ */

int	 config_string_line(void);	/* first line of the last string */
int	 config_statement_line(void);	/* of the statement's first word */

/* ---- config.c: the whole, and single values ----------------------------- */

/* A char * argument is taken over, here and in declare.c. */
void	*need(void *);			/* memory, or the end */
char	*need_print(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
struct config *config_new(const char *path);
/* name as seen from the folder of file; allocated; NULL: too long. */
char	*config_absolute(const char *file, const char *name);
int	 name_ok(const char *);		/* a name of the configuration */
void	 set_once(char **, char *, const char *what);
void	 set_name(char **, char *, const char *what);
void	 set_path(char **, char *, const char *what);
void	 set_count(uint32_t *, int64_t, int64_t max, const char *what);
void	 set_time(uint32_t *, int64_t ms, const char *what);
void	 set_life(uint32_t *, int64_t ms, const char *what);
void	 set_kept(uint32_t *, int64_t ms);	/* cache */
int64_t	 integer_value(char *);
struct rate rate_value(int64_t count, int64_t period_ms, int64_t burst);
struct secret_ref secret_value(enum secret_origin, char *);
void	 secret_free(struct secret_ref *);
/* Joins the kind of a value ('"' string, '1' number, 'w' word) to its text. */
char	*value_text(char kind, char *);
void	 add_text(struct text_list *, char *);
struct text_list *list_new(char *);
void	 list_free(struct text_list *);
void	 not_in_force(struct config *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));

/* ---- declare.c: what is declared by name -------------------------------- */

void	 add_listen(struct config *, char *address, int64_t port, int plain);
void	 metrics_tcp(struct config *, char *address, int64_t port);
void	 set_http_path(struct config *, char *);
void	 set_public_url(struct config *, char *);
void	 add_host(struct config *, char *);
void	 add_origin(struct config *, char *);
/* Takes the list. */
void	 add_forwarders(struct config *, struct text_list *);
void	 set_user(struct config *, char *);
void	 set_node(struct config *, char *);
void	 set_audit_limit(struct config *, int64_t);
void	 check_scopes(const struct text_list *);
struct source_conf *add_source(struct config *, char *name, enum source_kind);
void	 add_session(struct source_conf *, char *name, char *value);
struct tool_conf *add_tool(struct config *, char *name);
void	 tool_sql(struct tool_conf *, char *);
struct param_conf *add_param(struct tool_conf *, char *name, enum param_type);
void	 param_enum(struct param_conf *, struct text_list *);
void	 param_privacy(struct param_conf *, enum privacy);

/* A URL of https, with a host and without query and fragment. */
int	 https_url_ok(const char *);

/* ---- issuer.c: the issuer whose block is open ---------------------------- */

void	 add_issuer(struct config *, char *url);
void	 issuer_audiences(struct config *, struct text_list *);
void	 issuer_claims(struct config *, struct text_list *);
void	 issuer_jwks(struct config *, char *);
void	 issuer_scopes_from(struct config *, char *);
void	 issuer_typ(struct config *, char *);
void	 issuer_ca(struct config *, char *);
void	 issuer_private(struct config *);
void	 issuer_rate(struct config *, const struct rate *);
void	 issuer_in_flight(struct config *, int64_t calls);
void	 issuer_leeway(struct config *, int64_t ms);
void	 issuer_lifetime(struct config *, int64_t ms);
void	 issuer_grant(struct config *, char *role, struct text_list *scopes);
/* Its block is closed. */
void	 issuer_end(struct config *);
/* With the whole file read. */
void	 issuers_check(struct config *);

/* audit.c */
void	 set_keep(struct config *, int64_t ms);
void	 set_segment(struct config *, int64_t bytes);
void	 checkpoint_every_records(struct config *, int64_t);
void	 checkpoint_every_time(struct config *, int64_t ms);
void	 checkpoint_to(struct config *, char *path);
void	 add_sink(struct config *, enum sink_kind, char *target, char *ca);

/* check_cache.c */
void	 caches_check(struct config *);

/* ---- check.c, check_param.c --------------------------------------------- */

void	 config_check(struct config *);
void	 param_check(struct param_conf *, int redact_all);

/* ---- sqlscan.c ---------------------------------------------------------- */

/* The line, counted from 1, in which a parameter of sql stands first. */
int	 sql_param_line(const char *sql, enum sql_style, const char *name);

#endif
