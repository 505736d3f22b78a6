/* SPDX-License-Identifier: ISC */

/*
 * pontifex.conf(5): the grammar and its lexer.  The file is the operator's,
 * so errors are his to mend: each names file and line, a line with an error
 * is skipped and reading goes on, and nothing is guessed.  What needs the
 * whole file to be judged is judged in config.c.
 */

%{
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include <sys/stat.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "config.h"
#include "configure.h"

#define INCLUDE_DEPTH	8
#define FILE_SIZE_MAX	(4 << 20)	/* bytes of one file */
#define WORD_MAX	256

static int	yylex(void);
static void	yyerror(const char *, ...)
		    __attribute__((__format__(printf, 1, 2)));

static struct config	*conf;
static struct tool_conf	*tool;
static struct source_conf *source;
static struct param_conf *param;

static void	include_file(const char *);
static void	macro_set(char *, char *, int);
%}

%union {
	char			*string;
	int64_t			 number;	/* integer, ms or bytes */
	struct rate		 rate;
	struct secret_ref	 secret;
	struct text_list	*list;
}

%token	ALLOW APPROVE ARGUMENTS AUDIENCE AUDIT AUTH BURST BY BYTES CACHE
%token	CHECKPOINT CLAIMS CONNECT CONNECTIONS CONTINUE CONTROL CREDENTIAL
%token	DEFAULT DESCRIPTION DSN ENV EXAMPLES FAILURE FALLBACK TFILE FROM GRANTS
%token	HANDLERS HOST INCLUDE INVALIDATES ISSUER JOURNAL JWKS KEYS LEEWAY
%token	LENGTH LIMIT LISTEN LISTENERS MAXIMUM MINIMUM MINUTE HOUR SECOND
%token	NAMESPACE NODE OMIT ON ORIGIN PAGE PARAM PATH PATTERN PER PIPE
%token	PLAINTEXT POOL PORT POSTGRES PREFORK PRIVATE PUBLIC RATE REDACT REDIS
%token	REFUSE REQUIRED ROLE ROWS SCOPE SCOPES SESSION SHARED SINK
%token	SOCKET SOURCE SQL SQLITE STATEMENT STOP SYSLOG TIMEOUT TITLE TO TOOL
%token	TTRUE TFALSE TYP URL USER WAIT WRITES
%token	BOOLEAN DATE ENUM INTEGER_T NUMBER_T STRING_T TIMESTAMP UUID
%token	<string> STRING WORD NAME DECIMAL INTEGER
%token	<number> DURATION SIZE
%type	<string> word text value
%type	<number> integer duration size type
%type	<rate>	 rate
%type	<secret> secret
%type	<list>	 list words

%%

grammar		: /* empty */
		| grammar '\n'
		| grammar include '\n'
		| grammar macro '\n'
		| grammar main '\n'
		| grammar error '\n'		{ yyerrok; }
		;

include		: INCLUDE STRING		{ include_file($2); free($2); }
		;

macro		: WORD '=' STRING		{ macro_set($1, $3, 0); }
		| WORD '=' WORD			{ macro_set($1, $3, 0); }
		| WORD '=' INTEGER		{ macro_set($1, $3, 0); }
		;

main		: NAMESPACE word		{ set_name(&conf->namespace, $2, "namespace"); }
		| LISTEN ON word PORT integer	{ add_listen(conf, $3, $5, 0); }
		| LISTEN ON word PORT integer PLAINTEXT {
			add_listen(conf, $3, $5, 1);
		}
		| PATH STRING			{ set_once(&conf->http_path, $2, "path"); }
		| PUBLIC URL STRING		{ set_once(&conf->public_url, $3, "public url"); }
		| ALLOW HOST STRING		{ add_text(&conf->hosts, $3, 1); }
		| ALLOW ORIGIN STRING		{ add_text(&conf->origins, $3, 1); }
		| CONTROL SOCKET STRING		{ set_path(conf, &conf->control, $3, "control socket"); }
		| PREFORK preforks
		| USER word			{ set_once(&conf->user, $2, "user"); }
		| REDIS secret			{ not_in_force(conf, "redis: limits and caches are this node's own"); secret_free(&$2); }
		| AUTH {
			if (conf->auth.present)
				yyerror("auth is given twice");
			conf->auth.present = 1;
		} '{' auth_lines '}'
		| AUDIT {
			if (conf->audit.present)
				yyerror("audit is given twice");
			conf->audit.present = 1;
		} '{' audit_lines '}'
		| SOURCE NAME SQLITE STRING	{
			source = add_source(conf, $2, SOURCE_SQLITE);
			source_path(conf, source, $4);
		} source_block
		| SOURCE NAME POSTGRES		{
			source = add_source(conf, $2, SOURCE_POSTGRES);
		} source_block
		| TOOL NAME			{ tool = add_tool(conf, $2); }
		  '{' tool_lines '}'
		;

preforks	: prefork
		| preforks prefork
		;

prefork		: LISTENERS integer		{ set_count(&conf->listeners, $2, LISTENERS_MAX, "listeners"); }
		| HANDLERS integer		{ set_count(&conf->handlers, $2, HANDLERS_MAX, "handlers"); }
		;

auth_lines	: auth_line
		| auth_lines '\n' auth_line
		;

auth_line	: /* empty */
		| KEYS STRING			{ set_path(conf, &conf->auth.keys, $2, "keys"); }
		| RATE rate			{
			if (conf->auth.rate.count != 0)
				yyerror("rate is given twice");
			conf->auth.rate = $2;
		}
		| ISSUER STRING			{
			conf->auth.issuers++;
			not_in_force(conf, "issuer \"%s\": its tokens are refused", $2);
			free($2);
		} '{' issuer_lines '}'
		| error				{ yyerrok; }
		;

issuer_lines	: issuer_line
		| issuer_lines '\n' issuer_line
		;

issuer_line	: /* empty */
		| AUDIENCE list			{ list_free($2); }
		| JWKS STRING			{ free($2); }
		| SCOPES FROM STRING		{ free($3); }
		| ROLE STRING GRANTS list	{ free($2); check_scopes($4); }
		| CLAIMS list			{ list_free($2); }
		| RATE rate
		| ALLOW PRIVATE
		| LEEWAY duration
		| TYP STRING			{ free($2); }
		| error				{ yyerrok; }
		;

audit_lines	: audit_line
		| audit_lines '\n' audit_line
		;

audit_line	: /* empty */
		| NODE word			{ set_once(&conf->audit.node, $2, "node"); }
		| JOURNAL STRING		{ set_path(conf, &conf->audit.journal, $2, "journal"); }
		| JOURNAL STRING LIMIT size	{
			set_path(conf, &conf->audit.journal, $2, "journal");
			conf->audit.limit = (uint64_t)$4;
		}
		| POSTGRES secret		{
			if (conf->audit.postgres.origin != SECRET_UNSET)
				yyerror("postgres is given twice");
			conf->audit.postgres = $2;
		}
		| SINK SYSLOG			{ not_in_force(conf, "sink syslog: records go to the journal and to Postgres"); }
		| SINK TFILE STRING		{ not_in_force(conf, "sink file"); free($3); }
		| SINK PIPE STRING		{ not_in_force(conf, "sink pipe"); free($3); }
		| CHECKPOINT TO STRING		{ not_in_force(conf, "checkpoint to"); free($3); }
		| ON FAILURE REFUSE		{ conf->audit.on_failure = FAILURE_REFUSE; }
		| ON FAILURE STOP		{ conf->audit.on_failure = FAILURE_STOP; }
		| ON FAILURE CONTINUE		{ conf->audit.on_failure = FAILURE_CONTINUE; }
		| ARGUMENTS REDACT		{ redact_all(conf); }
		| error				{ yyerrok; }
		;

source_block	: /* empty */
		| '{' source_lines '}'
		;

source_lines	: source_line
		| source_lines '\n' source_line
		;

source_line	: /* empty */
		| DSN secret			{
			if (source->kind != SOURCE_POSTGRES)
				yyerror("dsn is for a postgres source");
			if (source->dsn.origin != SECRET_UNSET)
				yyerror("dsn is given twice");
			source->dsn = $2;
		}
		| CONNECTIONS integer		{ set_count(&source->connections, $2, 64, "connections"); }
		| TIMEOUT duration		{ set_time(&source->timeout_ms, $2, "timeout"); }
		| CONNECT TIMEOUT duration	{ set_time(&source->connect_timeout_ms, $3, "connect timeout"); }
		| STATEMENT TIMEOUT duration	{ not_in_force(conf, "statement timeout: timeout is what counts"); }
		| POOL WAIT duration		{ not_in_force(conf, "pool wait: a call waits as long as its timeout"); }
		| FALLBACK NAME			{
			set_once(&source->fallback, $2, "fallback");
			not_in_force(conf, "fallback: where the source is down its tools are unavailable");
		}
		| SESSION STRING WORD		{ add_session(source, $2, $3); }
		| error				{ yyerrok; }
		;

tool_lines	: tool_line
		| tool_lines '\n' tool_line
		;

tool_line	: /* empty */
		| TITLE STRING			{ set_once(&tool->title, $2, "title"); }
		| DESCRIPTION STRING		{ set_once(&tool->description, $2, "description"); }
		| SCOPE STRING			{ set_once(&tool->scope, $2, "scope"); }
		| SOURCE NAME			{ set_once(&tool->source, $2, "source"); }
		| SQL STRING			{ set_once(&tool->sql, $2, "sql"); tool_sql_line(tool); }
		| WRITES			{
			if (tool->writes)
				yyerror("writes is given twice");
			tool->writes = 1;
		}
		| TIMEOUT duration		{ set_time(&tool->timeout_ms, $2, "timeout"); }
		| LIMIT ROWS integer		{ set_count(&tool->limit_rows, $3, 1000000, "limit rows"); }
		| LIMIT BYTES size		{ set_count(&tool->limit_bytes, $3, RESULT_MAX / 2, "limit bytes"); }
		| CACHE duration		{ not_in_force(conf, "cache: the source is asked each time"); }
		| CACHE SHARED duration		{ not_in_force(conf, "cache shared: the source is asked each time"); }
		| INVALIDATES words		{ not_in_force(conf, "invalidates"); list_free($2); }
		| PAGE BY word			{ not_in_force(conf, "page by: the result is cut at its limits"); free($3); }
		| APPROVE			{ yyerror("approve is not built yet: the tool would run unapproved"); }
		| EXAMPLES list			{ not_in_force(conf, "examples"); list_free($2); }
		| PARAM NAME type		{ param = add_param(tool, $2, (enum param_type)$3); }
		  param_rest
		| error				{ yyerrok; }
		;

type		: INTEGER_T			{ $$ = PARAM_INTEGER; }
		| NUMBER_T			{ $$ = PARAM_NUMBER; }
		| STRING_T			{ $$ = PARAM_STRING; }
		| BOOLEAN			{ $$ = PARAM_BOOLEAN; }
		| DATE				{ $$ = PARAM_DATE; }
		| TIMESTAMP			{ $$ = PARAM_TIMESTAMP; }
		| UUID				{ $$ = PARAM_UUID; }
		| ENUM				{ $$ = PARAM_ENUM; }
		;

/* Braces hold the values of an enum, or options: what is in them tells. */
param_rest	: /* empty */
		| param_braces
		| param_need
		| param_need param_braces
		| param_braces param_need
		| param_braces param_need param_braces
		;

param_braces	: '{' list '}'			{ param_enum(param, $2); }
		| '{' param_options '}'
		;

param_need	: REQUIRED			{ param->required = 1; }
		| DEFAULT value			{ param_default(param, $2); }
		;

param_options	: /* empty */
		| param_options param_option
		;

param_option	: DESCRIPTION STRING		{ set_once(&param->description, $2, "description"); }
		| MINIMUM value			{ set_once(&param->minimum, $2, "minimum"); }
		| MAXIMUM value			{ set_once(&param->maximum, $2, "maximum"); }
		| MAXIMUM LENGTH integer	{ set_count(&param->maximum_length, $3, BODY_MAX, "maximum length"); }
		| PATTERN STRING		{ set_once(&param->pattern, $2, "pattern"); }
		| REDACT			{ param_privacy(param, PRIVACY_REDACT); }
		| OMIT				{ param_privacy(param, PRIVACY_OMIT); }
		| REQUIRED			{ param->required = 1; }
		;

/* A value as text; what it must be is its parameter's to say. */
value		: STRING			{ $$ = value_text('"', $1); }
		| INTEGER			{ $$ = value_text('1', $1); }
		| DECIMAL			{ $$ = value_text('1', $1); }
		| TTRUE				{ $$ = value_text('w', strdup("true")); }
		| TFALSE			{ $$ = value_text('w', strdup("false")); }
		;

secret		: FROM ENV STRING		{ secret_set(conf, &$$, SECRET_ENV, $3); }
		| FROM TFILE STRING		{ secret_set(conf, &$$, SECRET_FILE, $3); }
		| FROM CREDENTIAL STRING	{ secret_set(conf, &$$, SECRET_CREDENTIAL, $3); }
		;

rate		: integer PER period		{ rate_set(&$$, $1, 0); }
		| integer PER period BURST integer { rate_set(&$$, $1, $5); }
		;

period		: SECOND			{ rate_period(1000); }
		| MINUTE			{ rate_period(60000); }
		| HOUR				{ rate_period(3600000); }
		;

list		: text				{ $$ = list_new($1); }
		| list ',' text			{ add_text($1, $3, 0); $$ = $1; }
		;

words		: word				{ $$ = list_new($1); }
		| words ',' word		{ add_text($1, $3, 0); $$ = $1; }
		;

text		: STRING
		;

word		: STRING
		| WORD
		;

integer		: INTEGER			{ $$ = integer_value($1); }
		;

duration	: DURATION
		;

size		: SIZE
		| INTEGER			{ $$ = integer_value($1); }
		;

%%

/* ---- where we read ----------------------------------------------------- */

struct input {
	struct input	*below;
	const char	*name;		/* of file_name() */
	char		*data;
	size_t		 len;
	size_t		 at;
	int		 line;
};

struct macro {
	TAILQ_ENTRY(macro) entry;
	char		*name;
	char		*value;
	int		 fixed;		/* given by -D */
};

static struct input	*input;
static TAILQ_HEAD(, macro) macros = TAILQ_HEAD_INITIALIZER(macros);
static int		 errors, error_line, depth;
static int		 token_line, string_line;	/* where they began */
static char		 token_text[40];
static const char	*error_file;
static uint8_t		 digest[DIGEST_LEN];

const char *
config_file(void)
{
	return input == NULL ? "?" : input->name;
}

int
config_line(void)
{
	return token_line;
}

int
config_string_line(void)
{
	return string_line;
}

void
config_error_at(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	errors++;
	fprintf(stderr, "%s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static void
yyerror(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	/* One thing wrong in a line is enough to say. */
	if (error_file == config_file() && error_line == config_line()) {
		errors++;
		return;
	}
	error_file = config_file();
	error_line = config_line();
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (strcmp(text, "syntax error") != 0)
		config_error_at(config_file(), config_line(), "%s", text);
	else if (token_text[0] == '\0')
		config_error_at(config_file(), config_line(),
		    "syntax error at the end of the line");
	else
		config_error_at(config_file(), config_line(),
		    "syntax error at %s", token_text);
}

void
config_error(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	yyerror("%s", text);
}

/* Returns the whole file, NUL-terminated, or NULL with errno. */
static char *
slurp(const char *path, size_t *len)
{
	struct stat st;
	char *data = NULL;
	ssize_t n = 0;
	int fd;

	*len = 0;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return NULL;
	if (fstat(fd, &st) == -1)
		goto done;
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_SIZE_MAX) {
		errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
		goto done;
	}
	if ((data = malloc((size_t)st.st_size + 1)) == NULL)
		goto done;
	while (*len < (size_t)st.st_size && (n = read(fd, data + *len,
	    (size_t)st.st_size - *len)) > 0)
		*len += (size_t)n;
	data[*len] = '\0';
done:
	close(fd);
	return data;
}

/* One copy of each name for good: messages and secrets point to it. */
static const char *
file_name(const char *path)
{
	static struct text_list names = TAILQ_HEAD_INITIALIZER(names);
	struct text_item *item;

	TAILQ_FOREACH(item, &names, entry)
		if (strcmp(item->text, path) == 0)
			return item->text;
	if ((item = calloc(1, sizeof(*item))) == NULL)
		return NULL;
	if ((item->text = strdup(path)) == NULL) {
		free(item);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&names, item, entry);
	return item->text;
}

static int
push(const char *path)
{
	struct input *in;
	uint8_t joined[2 * DIGEST_LEN];

	if ((in = calloc(1, sizeof(*in))) == NULL ||
	    (in->name = file_name(path)) == NULL ||
	    (in->data = slurp(path, &in->len)) == NULL) {
		free(in);
		return -1;
	}
	memcpy(joined, digest, DIGEST_LEN);
	sha256(in->data, in->len, joined + DIGEST_LEN);
	sha256(joined, sizeof(joined), digest);
	in->line = 1;
	in->below = input;
	input = in;
	depth++;
	return 0;
}

static void
include_file(const char *name)
{
	char *path = config_absolute(config_file(), name);

	if (path == NULL)
		yyerror("include: out of memory");
	else if (depth >= INCLUDE_DEPTH)
		yyerror("include \"%s\": nested deeper than %d", name,
		    INCLUDE_DEPTH);
	else if (push(path) == -1)
		yyerror("include \"%s\": %s", name, strerror(errno));
	free(path);
}

/* ---- macros ------------------------------------------------------------ */

static struct macro *
macro_find(const char *name)
{
	struct macro *m;

	TAILQ_FOREACH(m, &macros, entry)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

/* Takes both strings.  One that -D gave stands above the file's. */
static void
macro_set(char *name, char *value, int fixed)
{
	struct macro *m = macro_find(name);

	if (m == NULL) {
		if ((m = calloc(1, sizeof(*m))) == NULL)
			abort();
		m->name = name;
		m->value = value;
		m->fixed = fixed;
		TAILQ_INSERT_TAIL(&macros, m, entry);
		return;
	}
	if (!m->fixed || fixed) {
		free(m->value);
		m->value = value;
		m->fixed = fixed;
	} else {
		free(value);
	}
	free(name);
}

int
config_define(const char *text)
{
	const char *eq = strchr(text, '=');
	char *name, *value;

	if (eq == NULL || eq == text)
		return -1;
	name = strndup(text, (size_t)(eq - text));
	value = strdup(eq + 1);
	if (name == NULL || value == NULL)
		return -1;
	macro_set(name, value, 1);
	return 0;
}

/* ---- the lexer --------------------------------------------------------- */

static const struct {
	const char	*word;
	int		 token;
} keywords[] = {
	{ "allow", ALLOW }, { "approve", APPROVE }, { "arguments", ARGUMENTS },
	{ "audience", AUDIENCE }, { "audit", AUDIT }, { "auth", AUTH },
	{ "boolean", BOOLEAN }, { "burst", BURST }, { "by", BY },
	{ "bytes", BYTES }, { "cache", CACHE }, { "checkpoint", CHECKPOINT },
	{ "claims", CLAIMS }, { "connect", CONNECT },
	{ "connections", CONNECTIONS }, { "continue", CONTINUE },
	{ "control", CONTROL }, { "credential", CREDENTIAL }, { "date", DATE },
	{ "default", DEFAULT }, { "description", DESCRIPTION }, { "dsn", DSN },
	{ "enum", ENUM }, { "env", ENV }, { "examples", EXAMPLES },
	{ "failure", FAILURE }, { "fallback", FALLBACK }, { "false", TFALSE },
	{ "file", TFILE }, { "from", FROM }, { "grants", GRANTS },
	{ "handlers", HANDLERS }, { "host", HOST }, { "hour", HOUR },
	{ "include", INCLUDE }, { "integer", INTEGER_T },
	{ "invalidates", INVALIDATES }, { "issuer", ISSUER },
	{ "journal", JOURNAL }, { "jwks", JWKS }, { "keys", KEYS },
	{ "leeway", LEEWAY }, { "length", LENGTH }, { "limit", LIMIT },
	{ "listen", LISTEN }, { "listeners", LISTENERS },
	{ "maximum", MAXIMUM }, { "minimum", MINIMUM }, { "minute", MINUTE },
	{ "namespace", NAMESPACE }, { "node", NODE }, { "number", NUMBER_T },
	{ "omit", OMIT }, { "on", ON }, { "origin", ORIGIN }, { "page", PAGE },
	{ "param", PARAM }, { "path", PATH }, { "pattern", PATTERN },
	{ "per", PER }, { "pipe", PIPE }, { "plaintext", PLAINTEXT },
	{ "pool", POOL }, { "port", PORT }, { "postgres", POSTGRES },
	{ "prefork", PREFORK }, { "private", PRIVATE }, { "public", PUBLIC },
	{ "rate", RATE }, { "redact", REDACT }, { "redis", REDIS },
	{ "refuse", REFUSE }, { "required", REQUIRED }, { "role", ROLE },
	{ "rows", ROWS }, { "scope", SCOPE }, { "scopes", SCOPES },
	{ "second", SECOND }, { "session", SESSION }, { "shared", SHARED },
	{ "sink", SINK }, { "socket", SOCKET }, { "source", SOURCE },
	{ "sql", SQL }, { "sqlite", SQLITE }, { "statement", STATEMENT },
	{ "stop", STOP }, { "string", STRING_T }, { "syslog", SYSLOG },
	{ "timeout", TIMEOUT }, { "timestamp", TIMESTAMP }, { "title", TITLE },
	{ "to", TO }, { "tool", TOOL }, { "true", TTRUE }, { "typ", TYP },
	{ "url", URL }, { "user", USER }, { "uuid", UUID }, { "wait", WAIT },
	{ "writes", WRITES },
};

static int	want_name;	/* the next word is a name */
static int	in_param;	/* between `param' and the end of its line */
static int	braces;		/* open ones of a param */
static int	after_comma;

static int
look(size_t ahead)
{
	return input->at + ahead < input->len ?
	    (unsigned char)input->data[input->at + ahead] : EOF;
}

static void
advance(void)
{
	if (input->data[input->at++] == '\n')
		input->line++;
}

/* White space, comments and continued lines; 0 at the end of all input. */
static int
skip(void)
{
	struct input *done;
	int c;

	for (;;) {
		c = look(0);
		if (c == EOF) {
			if (input->below == NULL)
				return 0;
			done = input;
			input = done->below;
			depth--;
			free(done->data);
			free(done);
			continue;
		}
		if (c == ' ' || c == '\t' || c == '\r') {
			advance();
		} else if (c == '#') {
			while (look(0) != '\n' && look(0) != EOF)
				advance();
		} else if (c == '\\' && look(1) == '\n') {
			advance();
			advance();
		} else if (c == '\n' && (braces > 0 || after_comma)) {
			advance();
		} else {
			return 1;
		}
	}
}

static int
lex_string(void)
{
	struct buffer b;
	int c;

	string_line = input->line;
	buffer_init(&b, TEXT_MAX_ + 1);
	advance();
	while ((c = look(0)) != '"') {
		if (c == EOF) {
			yyerror("string without an end");
			buffer_free(&b);
			return 0;
		}
		if (c == '\0') {
			yyerror("NUL in a string");
			buffer_free(&b);
			return 0;
		}
		if (c == '\\' && (look(1) == '"' || look(1) == '\\')) {
			advance();
			c = look(0);
		}
		(void)buffer_add_char(&b, (char)c);
		advance();
	}
	advance();
	(void)buffer_add_char(&b, '\0');
	if (b.bad) {
		yyerror("string longer than %d bytes", TEXT_MAX_);
		buffer_free(&b);
		return 0;
	}
	yylval.string = (char *)b.data;
	return STRING;
}

static int
word_char(int c)
{
	return c != EOF && (isalnum(c) || strchr("_.-+:/", c) != NULL) &&
	    c != '\0';
}

/* INTEGER, DECIMAL, DURATION, SIZE; 0: it is a word. */
static int
lex_number(char *word)
{
	static const struct {
		const char	*suffix;
		int		 token;
		int64_t		 factor;
	} units[] = {
		{ "", INTEGER, 1 }, { "ms", DURATION, 1 },
		{ "s", DURATION, 1000 }, { "m", DURATION, 60000 },
		{ "h", DURATION, 3600000 }, { "d", DURATION, 86400000 },
		{ "K", SIZE, 1 << 10 }, { "M", SIZE, 1 << 20 },
		{ "G", SIZE, 1 << 30 },
	};
	char *end, *digits = word + (word[0] == '-' || word[0] == '+');
	long long n;
	size_t i;

	if (!isdigit((unsigned char)*digits))
		return 0;
	errno = 0;
	n = strtoll(word, &end, 10);
	if (*end == '.' && isdigit((unsigned char)end[1])) {
		while (isdigit((unsigned char)*++end))
			;
		if (*end != '\0')
			return 0;
		yylval.string = strdup(word[0] == '+' ? word + 1 : word);
		return yylval.string == NULL ? 0 : DECIMAL;
	}
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].suffix) != 0)
			continue;
		if (units[i].token == INTEGER) {
			if (errno != 0)
				yyerror("number out of range: %s", word);
			yylval.string = strdup(word[0] == '+' ? word + 1 :
			    word);
			return yylval.string == NULL ? 0 : INTEGER;
		}
		if (errno != 0 || n < 0 || n > INT64_MAX / units[i].factor) {
			yyerror("number out of range: %s", word);
			n = 0;
		}
		yylval.number = n * units[i].factor;
		return units[i].token;
	}
	return 0;
}

static int
keyword(const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (strcmp(keywords[i].word, word) == 0)
			return keywords[i].token;
	return 0;
}

static int
lex_word(void)
{
	char word[WORD_MAX];
	int name = want_name, token;
	size_t n = 0;

	while (word_char(look(0)) && n < sizeof(word) - 1) {
		word[n++] = (char)look(0);
		advance();
	}
	word[n] = '\0';
	if (word_char(look(0))) {
		yyerror("word longer than %d bytes", WORD_MAX - 1);
		while (word_char(look(0)))
			advance();
	}
	want_name = 0;
	if (!name && (token = lex_number(word)) != 0)
		return token;
	if (!name && (token = keyword(word)) != 0) {
		if (token == TOOL || token == SOURCE || token == PARAM ||
		    token == FALLBACK)
			want_name = 1;
		if (token == PARAM)
			in_param = 1;
		return token;
	}
	if ((yylval.string = strdup(word)) == NULL)
		abort();
	return name ? NAME : WORD;
}

static int
lex_macro(void)
{
	char name[WORD_MAX];
	struct macro *m;
	size_t n = 0;
	int c;

	advance();
	while ((c = look(0)) != EOF && (isalnum(c) || c == '_') &&
	    n < sizeof(name) - 1) {
		name[n++] = (char)c;
		advance();
	}
	name[n] = '\0';
	if ((m = macro_find(name)) == NULL) {
		yyerror("macro $%s is not defined", name);
		return 0;
	}
	if ((yylval.string = strdup(m->value)) == NULL)
		abort();
	return STRING;
}

/* For the message, should the token not belong here. */
static void
remember_token(void)
{
	size_t n = 0;

	while (n < sizeof(token_text) - 1 && look(n) != EOF &&
	    look(n) >= 0x20 && look(n) < 0x7f && (n == 0 ||
	    word_char(look(n)) || token_text[0] == '"')) {
		token_text[n] = (char)look(n);
		n++;
		if (n > 1 && token_text[0] == '"' && token_text[n - 1] == '"')
			break;
	}
	token_text[n] = '\0';
}

static int
lex(void)
{
	int c, token;

	if (!skip())
		return 0;
	after_comma = 0;
	c = look(0);
	token_line = input->line;
	remember_token();
	if (c == '"' || c == '$') {
		token = c == '"' ? lex_string() : lex_macro();
		if (token == 0)
			return -2;
		if (want_name)
			token = NAME;
		want_name = 0;
		return token;
	}
	if (word_char(c))
		return lex_word();
	advance();
	want_name = 0;
	if (c == ',')
		after_comma = 1;
	else if (c == '{' && in_param)
		braces++;
	else if (c == '}' && braces > 0)
		braces--;
	else if (c == '\n')
		in_param = 0;
	return c;
}

static int
yylex(void)
{
	static int at_end;
	int token = lex();

	/* A last line without its newline is a line. */
	if (token == 0) {
		at_end = !at_end;
		return at_end ? '\n' : 0;
	}
	if (token == -2) {
		/* Already reported: skip to where reading can go on. */
		while (look(0) != '\n' && look(0) != EOF)
			advance();
		in_param = braces = 0;
		return 256;
	}
	return token;
}

struct config *
config_load(const char *path)
{
	char real[PATH_MAX];
	struct macro *m, *next;

	memset(digest, 0, sizeof(digest));
	errors = error_line = depth = 0;
	token_line = string_line = 1;
	error_file = NULL;
	want_name = in_param = braces = after_comma = 0;
	if (realpath(path, real) == NULL || push(real) == -1) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return NULL;
	}
	if ((conf = config_new(real)) == NULL) {
		fprintf(stderr, "%s: out of memory\n", path);
		return NULL;
	}
	(void)yyparse();
	while (input != NULL) {
		struct input *done = input;

		input = done->below;
		free(done->data);
		free(done);
	}
	TAILQ_FOREACH_SAFE(m, &macros, entry, next)
		if (!m->fixed) {
			TAILQ_REMOVE(&macros, m, entry);
			free(m->name);
			free(m->value);
			free(m);
		}
	hex_encode(conf->digest, digest, sizeof(digest));
	/* Half a configuration would only be blamed for what is missing. */
	if (errors == 0)
		config_check(conf);
	if (errors > 0) {
		config_free(conf);
		return NULL;
	}
	return conf;
}
