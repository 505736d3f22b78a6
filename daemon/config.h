/* SPDX-License-Identifier: ISC */

/*
 * The parent's room: the configuration as parse.y leaves it, and what the
 * files of daemon/ offer each other.
 */

#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "../common/compat.h"

#include <stddef.h>
#include <stdint.h>

#include "../common/limits.h"
#include "../common/message.h"

/* Where a secret comes from; it is read when a child is handed it. */
enum secret_origin {
	SECRET_UNSET,
	SECRET_ENV,
	SECRET_FILE,
	SECRET_CREDENTIAL	/* systemd: $CREDENTIALS_DIRECTORY/NAME */
};

struct secret_ref {
	enum secret_origin	 origin;
	char			*name;	/* variable, absolute path or credential */
	const char		*file;	/* of the configuration, for messages */
	int			 line;
};

struct text_item {
	TAILQ_ENTRY(text_item)	 entry;
	char			*text;
};
TAILQ_HEAD(text_list, text_item);

struct listen_conf {
	TAILQ_ENTRY(listen_conf) entry;
	char			*address;	/* numeric, as written */
	uint16_t		 port;		/* 0: the kernel chooses; tests */
	int			 plaintext;	/* said `plaintext' */
	int			 loopback;
};

struct session_conf {
	TAILQ_ENTRY(session_conf) entry;
	char			*name;		/* "app.tenant" */
	char			*value;		/* "claim.tenant", "owner", "id" */
};

struct source_conf {
	TAILQ_ENTRY(source_conf) entry;
	char			*name;
	enum source_kind	 kind;
	char			*path;		/* SQLite: absolute */
	struct secret_ref	 dsn;
	uint32_t		 connections;
	uint32_t		 timeout_ms;
	uint32_t		 connect_timeout_ms;
	uint32_t		 statement_timeout_ms;	/* 0: the timeout */
	uint32_t		 pool_wait_ms;	/* 0: the timeout */
	uint32_t		 lifetime_ms;	/* of a connection */
	uint32_t		 idle_ms;	/* of a connection that is not used */
	int			 pooler;	/* transaction mode, before it */
	char			*fallback;	/* name or NULL */
	TAILQ_HEAD(, session_conf) sessions;
	uint32_t		 nsessions;
	int			 writes;	/* some tool that writes uses it */
	int			 line;
};

struct param_conf {
	TAILQ_ENTRY(param_conf)	 entry;
	char			*name;
	enum param_type		 type;
	int			 required;
	enum privacy		 privacy;
	char			*default_json;	/* NULL: none */
	char			*minimum;	/* decimal text, NULL: none */
	char			*maximum;
	uint32_t		 maximum_length;
	char			*pattern;
	char			*description;
	struct text_list	 values;	/* of an enum */
	uint32_t		 nvalues;
	int			 line;
};

struct tool_conf {
	TAILQ_ENTRY(tool_conf)	 entry;
	char			*name;
	char			*title;
	char			*description;
	char			*scope;
	char			*source;
	char			*sql;		/* as written */
	char			*bound_sql;	/* with $n or ?n */
	uint32_t		 nbinds;
	char			*bind[PARAMS_MAX + ATTRIBUTES_MAX]; /* "p:x", "c:owner" */
	int			 writes;
	uint32_t		 timeout_ms;
	uint32_t		 limit_rows;
	uint32_t		 limit_bytes;
	uint32_t		 cache_ms;	/* 0: not cached */
	int			 cache_shared;
	struct text_list	 invalidates;	/* names of tools */
	struct rate		 rate;		/* of each caller; count 0: none */
	uint32_t		 index;		/* in order */
	TAILQ_HEAD(, param_conf) params;
	uint32_t		 nparams;
	/* Claims it needs: of its SQL and of its source's session lines. */
	uint32_t		 nclaims;
	char			*claim[ATTRIBUTES_MAX];
	char			*definition;	/* JSON object of tools/list */
	char			 digest[2 * DIGEST_LEN + 1];
	int			 line;
	int			 sql_line;	/* first line of the sql */
};

struct sink_conf {
	enum sink_kind		 kind;
	char			*name;		/* "syslog-1" */
	char			*target;	/* path, program, unix:, tcp://, tls:// */
	char			*ca;		/* absolute path, NULL: the system's */
};

struct audit_conf {
	int			 present;
	char			*node;		/* default: the host's name */
	char			*journal;	/* absolute */
	uint64_t		 limit;
	uint64_t		 keep_s;	/* seconds; 0: for ever */
	uint64_t		 segment;	/* bytes; 0: the default */
	uint32_t		 checkpoint_records;	/* 0: the default */
	uint32_t		 checkpoint_ms;	/* 0: the default */
	struct text_list	 checkpoints;	/* paths, absolute */
	struct sink_conf	 sink[SINKS_MAX];
	uint32_t		 nsinks;
	enum audit_failure	 on_failure;
	int			 redact_all;	/* arguments redact */
	struct secret_ref	 postgres;
};

/* role "x" grants "a", "b" */
struct grant_conf {
	TAILQ_ENTRY(grant_conf)	 entry;
	char			*role;
	struct text_list	 scopes;
	uint32_t		 nscopes;
};

struct issuer_conf {
	TAILQ_ENTRY(issuer_conf) entry;
	char			*url;
	struct text_list	 audiences;
	uint32_t		 naudiences;
	char			*jwks;		/* URL, NULL: found in its metadata */
	char			*scopes_from;
	char			*typ;		/* NULL: absent, JWT or at+jwt */
	char			*ca;		/* absolute path, NULL: the system's */
	int			 allow_private;
	uint32_t		 leeway_ms;
	uint64_t		 lifetime_ms;
	struct rate		 rate;		/* count 0: the auth block's */
	uint32_t		 in_flight;	/* calls; 0: the auth block's */
	struct text_list	 claims;
	uint32_t		 nclaims;
	TAILQ_HEAD(, grant_conf) grants;
	uint32_t		 ngrants;
	const char		*file;
	int			 line;
};
TAILQ_HEAD(issuer_list, issuer_conf);

/* metrics on: a path, an address with a port, or neither. */
struct metrics_conf {
	char			*path;
	char			*address;	/* numeric, loopback */
	uint16_t		 port;
	const char		*file;
	int			 line;
};

struct auth_conf {
	int			 present;
	char			*keys;		/* absolute path, NULL: none */
	struct rate		 rate;		/* count 0: none given */
	uint32_t		 in_flight;	/* calls of one caller */
	struct issuer_list	 issuers;
	uint32_t		 nissuers;
};

struct redis_conf {
	struct secret_ref	 url;		/* origin SECRET_UNSET: no Redis */
	char			*ca;		/* absolute path, NULL: the system's */
	struct secret_ref	 key;		/* of what is kept there */
};

struct config {
	char			*path;		/* absolute, of the main file */
	char			*namespace;
	TAILQ_HEAD(, listen_conf) listens;
	char			*http_path;	/* "/mcp" */
	char			*public_url;
	char			*public_host;	/* of it; lower case, no port */
	char			*user;		/* NULL: the default ones */
	struct text_list	 hosts;
	struct text_list	 origins;
	uint32_t		 nforwarders;	/* trust forwarded from */
	struct network		 forwarder[FORWARDERS_MAX];
	char			*control;	/* absolute path of the socket */
	struct metrics_conf	 metrics;
	uint32_t		 listeners;
	uint32_t		 handlers;
	uint32_t		 per_source;	/* connections; 0: the default */
	int			 sandbox_required;	/* whole, or no start */
	struct auth_conf	 auth;
	struct audit_conf	 audit;
	struct redis_conf	 redis;
	TAILQ_HEAD(, source_conf) sources;
	uint32_t		 nsources;
	TAILQ_HEAD(, tool_conf)	 tools;
	uint32_t		 ntools;
	/* What parses but does nothing yet: "file:line: redis", for the log. */
	struct text_list	 not_in_force;
	char			 digest[2 * DIGEST_LEN + 1];	/* of all files read */
};

/* Where pontifexctl asks, unless the configuration says another place. */
#define CONTROL_SOCKET	"/var/run/pontifexd/control.sock"

#define DEFAULT_LISTENERS		1
#define DEFAULT_HANDLERS		2
#define DEFAULT_IN_FLIGHT		256
#define DEFAULT_CONNECTIONS		4
#define DEFAULT_TIMEOUT_MS		5000
#define DEFAULT_CONNECT_TIMEOUT_MS	5000
#define DEFAULT_LIFETIME_MS		(30 * 60 * 1000)	/* of a connection */
#define DEFAULT_IDLE_MS			(10 * 60 * 1000)	/* … not used */

/* parse.y: macros given by -D, before config_load(); -1: not name=value. */
int	config_define(const char *);
/*
 * Reads and checks the whole file.  Every error is printed to stderr as
 * `file:line: message' (several in one run); returns NULL if there was one.
 * The caller frees with config_free().
 */
struct config *config_load(const char *path);
void	config_free(struct config *);
/* Where the errors go from now on; NULL: stderr. */
void	config_errors_to(struct buffer *);
/* The file that it stands in. */
const char *source_file(const struct source_conf *);
const char *tool_file(const struct tool_conf *);
const char *param_file(const struct param_conf *);
struct source_conf *config_source(struct config *, const char *name);

/* sqlscan.c: finds the parameters of a statement. */
enum sql_style { SQL_DOLLAR, SQL_QUESTION };	/* $1 or ?1 */
struct sql_params {
	uint32_t	 count;
	char		*name[PARAMS_MAX + ATTRIBUTES_MAX]; /* "order_id", "caller.owner" */
};
/*
 * Rewrites :name to its number, knowing strings, quoted identifiers,
 * comments, dollar quotes, :: and := (contract/README.md).  Returns the
 * new text, which the caller frees, with params filled (names owned); or
 * NULL with *error a static text and *line counted from 1 in the text.
 */
char	*sql_scan(const char *sql, enum sql_style, struct sql_params *,
	    const char **error, int *line);
void	 sql_params_free(struct sql_params *);

/* toolspec.c: the JSON of tools/list, from the configuration. */
/* Returns an allocated JSON object, or NULL with errno. */
char	*toolspec_render(const struct config *, const struct tool_conf *);

/* metadata.c: RFC 9728; allocated, NULL with errno.  Needs a public url. */
char	*metadata_render(const struct config *);
/* Where it is served, as clients see it. */
char	*metadata_url(const struct config *);

/* secret.c: returns the value (caller frees with freezero(*, *len)), or NULL
 * after a log line that names the reference and what is wrong with it. */
char	*secret_read(const struct secret_ref *, size_t *len);

#endif
