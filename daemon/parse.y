/* SPDX-License-Identifier: ISC */

/*
 * pontifex.conf(5): the grammar and its lexer.  The file is the operator's,
 * so errors are his to mend: each names file and line, the statement with the
 * error is skipped and reading goes on, and nothing is guessed.  What needs
 * the whole file to be judged is judged in check.c.
 */

%{
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "../common/compat.h"
#include "config.h"
#include "configure.h"

#define WORD_MAX	256	/* bytes of a word, with its NUL */

/* What was said already in a block, by its keyword. */
struct said {
	uint64_t	bits[4];
};

static int	yylex(void);
static void	yyerror(const char *);
static int	was_said(const struct said *, int);
static void	once(struct said *, int);
static void	include(char *);
static void	block_begin(struct said *);

static struct config	*conf;
static struct tool_conf	*tool;
static struct source_conf *source;
static struct param_conf *param;
static struct said	 in_main, in_auth, in_issuer, in_audit, in_source,
			 in_tool, in_options;
%}

%expect 0
%define parse.error custom
%define parse.lac full

%union {
	char			*string;
	int64_t			 number;	/* integer, ms or bytes */
	struct rate		 rate;
	struct secret_ref	 secret;
	struct text_list	*list;
}

%token	ALLOW APPROVE ARGUMENTS AUDIENCE AUDIT AUTH BURST BY BYTES CA CACHE CALLS
%token	CHECKPOINT CLAIMS CONNECT CONNECTION CONNECTIONS CONTINUE CONTROL CREDENTIAL
%token	DEFAULT DESCRIPTION DSN ENV EXAMPLES FAILURE FALLBACK TFILE FLIGHT FORWARDED
%token	FROM GRANTS
%token	EVERY KEEP RECORDS SEGMENT
%token	HANDLERS HOST IDLE IN INCLUDE INVALIDATES ISSUER JOURNAL JWKS KEY KEYS LEEWAY LIFETIME
%token	LENGTH LIMIT LISTEN LISTENERS MAXIMUM METRICS MINIMUM MINUTE HOUR SECOND
%token	NAMESPACE NODE OMIT ON ORIGIN PAGE PARAM PATH PATTERN PER PIPE
%token	PLAINTEXT POOL POOLER PORT POSTGRES PREFORK PRIVATE PUBLIC RATE REDACT REDIS
%token	REFUSE REQUIRE REQUIRED ROLE ROWS SANDBOX SCOPE SCOPES SESSION SHARED SINK
%token	SOCKET SOURCE SQL SQLITE STATEMENT STOP SYSLOG TIMEOUT TITLE TO TOOL
%token	TRANSACTION TRUST TTRUE TFALSE TYP URL USER WAIT WRITES
%token	BOOLEAN DATE ENUM INTEGER_T NUMBER_T STRING_T TIMESTAMP UUID
%token	<string> STRING WORD NAME DECIMAL INTEGER
%token	<number> DURATION SIZE
%type	<string> word value
%type	<number> integer burst size type period
%type	<rate>	 rate
%type	<secret> secret
%type	<list>	 list words

%destructor { free($$); } <string>
%destructor { list_free($$); } <list>
%destructor { secret_free(&$$); } <secret>

%%

grammar		: /* empty */
		| grammar eol
		| grammar include eol
		| grammar macro eol
		| grammar main eol
		| grammar error eol
		;

/* From here on the next error is news again. */
eol		: '\n'				{ yyerrok; }
		;

include		: INCLUDE STRING		{ include($2); }
		;

macro		: WORD '=' STRING		{ macro_set($1, $3); }
		| WORD '=' WORD			{ macro_set($1, $3); }
		| WORD '=' INTEGER		{ macro_set($1, $3); }
		;

main		: NAMESPACE word		{ set_name(&conf->namespace, $2, "namespace"); }
		| LISTEN ON word PORT integer	{ add_listen(conf, $3, $5, 0); }
		| LISTEN ON word PORT integer PLAINTEXT {
			add_listen(conf, $3, $5, 1);
		}
		| PATH STRING			{ set_http_path(conf, $2); }
		| PUBLIC URL STRING		{ set_public_url(conf, $3); }
		| ALLOW HOST STRING		{ add_host(conf, $3); }
		| ALLOW ORIGIN STRING		{ add_origin(conf, $3); }
		| TRUST FORWARDED FROM list	{ once(&in_main, TRUST); add_forwarders(conf, $4); }
		| CONTROL SOCKET STRING		{ set_path(&conf->control, $3, "control socket"); }
		| METRICS ON word PORT integer	{ once(&in_main, METRICS); metrics_tcp(conf, $3, $5); }
		| METRICS ON STRING		{ once(&in_main, METRICS); set_path(&conf->metrics.path, $3, "metrics on"); }
		| PREFORK preforks
		| LIMIT CONNECTIONS integer PER SOURCE	{ set_count(&conf->per_source, $3, PER_SOURCE_MAX, "connections per source"); }
		| SANDBOX REQUIRE		{ once(&in_main, SANDBOX); conf->sandbox_required = 1; }
		| USER word			{ set_user(conf, $2); }
		| REDIS secret			{
			once(&in_main, REDIS);
			secret_free(&conf->redis.url);
			conf->redis.url = $2;
		}
		| REDIS secret CA STRING	{
			once(&in_main, REDIS);
			secret_free(&conf->redis.url);
			conf->redis.url = $2;
			set_path(&conf->redis.ca, $4, "ca");
		}
		| REDIS KEY secret		{
			if (conf->redis.key.origin != SECRET_UNSET)
				config_error("redis key is given twice");
			secret_free(&conf->redis.key);
			conf->redis.key = $3;
		}
		| auth_head '{' auth_lines '}'
		| audit_head '{' audit_lines '}'
		| source_head
		| source_head '{' source_lines '}'
		| tool_head '{' tool_lines '}'
		;

preforks	: prefork
		| preforks prefork
		;

prefork		: LISTENERS integer		{ set_count(&conf->listeners, $2, LISTENERS_MAX, "listeners"); }
		| HANDLERS integer		{ set_count(&conf->handlers, $2, HANDLERS_MAX, "handlers"); }
		;

auth_head	: AUTH				{
			once(&in_main, AUTH);
			conf->auth.present = 1;
		}
		;

auth_lines	: auth_line
		| auth_lines eol auth_line
		;

auth_line	: /* empty */
		| KEYS STRING			{ set_path(&conf->auth.keys, $2, "keys"); }
		| RATE rate			{ once(&in_auth, RATE); conf->auth.rate = $2; }
		| CALLS IN FLIGHT integer	{ set_count(&conf->auth.in_flight, $4, IN_FLIGHT_MAX, "calls in flight"); }
		| issuer_head '{' issuer_lines '}' { issuer_end(conf); }
		| error
		;

issuer_head	: ISSUER STRING			{
			block_begin(&in_issuer);
			add_issuer(conf, $2);
		}
		;

issuer_lines	: issuer_line
		| issuer_lines eol issuer_line
		;

issuer_line	: /* empty */
		| AUDIENCE list			{ once(&in_issuer, AUDIENCE); issuer_audiences(conf, $2); }
		| JWKS STRING			{ issuer_jwks(conf, $2); }
		| SCOPES FROM STRING		{ issuer_scopes_from(conf, $3); }
		| ROLE STRING GRANTS list	{ issuer_grant(conf, $2, $4); }
		| CLAIMS list			{ once(&in_issuer, CLAIMS); issuer_claims(conf, $2); }
		| RATE rate			{ once(&in_issuer, RATE); issuer_rate(conf, &$2); }
		| CALLS IN FLIGHT integer	{ issuer_in_flight(conf, $4); }
		| ALLOW PRIVATE			{ once(&in_issuer, ALLOW); issuer_private(conf); }
		| LEEWAY DURATION		{ once(&in_issuer, LEEWAY); issuer_leeway(conf, $2); }
		| LIFETIME DURATION		{ once(&in_issuer, LIFETIME); issuer_lifetime(conf, $2); }
		| CA STRING			{ issuer_ca(conf, $2); }
		| TYP STRING			{ issuer_typ(conf, $2); }
		| error
		;

audit_head	: AUDIT				{
			once(&in_main, AUDIT);
			conf->audit.present = 1;
		}
		;

audit_lines	: audit_line
		| audit_lines eol audit_line
		;

audit_line	: /* empty */
		| NODE word			{ set_node(conf, $2); }
		| journal_head journal_options
		| POSTGRES secret		{
			once(&in_audit, POSTGRES);
			secret_free(&conf->audit.postgres);
			conf->audit.postgres = $2;
		}
		| SINK SYSLOG			{ add_sink(conf, SINK_SYSLOG, NULL, NULL); }
		| SINK SYSLOG STRING		{ add_sink(conf, SINK_SYSLOG, $3, NULL); }
		| SINK SYSLOG STRING CA STRING	{ add_sink(conf, SINK_SYSLOG, $3, $5); }
		| SINK TFILE STRING		{ add_sink(conf, SINK_FILE, $3, NULL); }
		| SINK PIPE STRING		{ add_sink(conf, SINK_PIPE, $3, NULL); }
		| CHECKPOINT TO STRING		{ checkpoint_to(conf, $3); }
		| CHECKPOINT EVERY integer RECORDS { checkpoint_every_records(conf, $3); }
		| CHECKPOINT EVERY DURATION	{ checkpoint_every_time(conf, $3); }
		| ON FAILURE REFUSE		{ once(&in_audit, FAILURE); conf->audit.on_failure = FAILURE_REFUSE; }
		| ON FAILURE STOP		{ once(&in_audit, FAILURE); conf->audit.on_failure = FAILURE_STOP; }
		| ON FAILURE CONTINUE		{ once(&in_audit, FAILURE); conf->audit.on_failure = FAILURE_CONTINUE; }
		| ARGUMENTS REDACT		{ once(&in_audit, ARGUMENTS); conf->audit.redact_all = 1; }
		| error
		;

journal_head	: JOURNAL STRING		{ set_path(&conf->audit.journal, $2, "journal"); }
		;

journal_options	: /* empty */
		| journal_options LIMIT size	{ set_audit_limit(conf, $3); }
		| journal_options KEEP DURATION	{ set_keep(conf, $3); }
		| journal_options SEGMENT size	{ set_segment(conf, $3); }
		;

source_head	: SOURCE NAME SQLITE STRING	{
			block_begin(&in_source);
			source = add_source(conf, $2, SOURCE_SQLITE);
			set_path(&source->path, $4, "path of the database");
		}
		| SOURCE NAME POSTGRES		{
			block_begin(&in_source);
			source = add_source(conf, $2, SOURCE_POSTGRES);
		}
		;

source_lines	: source_line
		| source_lines eol source_line
		;

source_line	: /* empty */
		| DSN secret			{
			once(&in_source, DSN);
			if (source->kind != SOURCE_POSTGRES)
				config_error("dsn is for a postgres source");
			secret_free(&source->dsn);
			source->dsn = $2;
		}
		| CONNECTIONS integer		{ set_count(&source->connections, $2, CONNECTIONS_MAX, "connections"); }
		| TIMEOUT DURATION		{ set_time(&source->timeout_ms, $2, "timeout"); }
		| CONNECT TIMEOUT DURATION	{ set_time(&source->connect_timeout_ms, $3, "connect timeout"); }
		| STATEMENT TIMEOUT DURATION	{ set_time(&source->statement_timeout_ms, $3, "statement timeout"); }
		| POOL WAIT DURATION		{ set_time(&source->pool_wait_ms, $3, "pool wait"); }
		| CONNECTION LIFETIME DURATION	{ set_life(&source->lifetime_ms, $3, "connection lifetime"); }
		| CONNECTION IDLE DURATION	{ set_life(&source->idle_ms, $3, "connection idle"); }
		| POOLER TRANSACTION		{ once(&in_source, POOLER); source->pooler = 1; }
		| FALLBACK NAME			{ set_name(&source->fallback, $2, "fallback"); }
		| SESSION STRING WORD		{ add_session(source, $2, $3); }
		| error
		;

tool_head	: TOOL NAME			{
			block_begin(&in_tool);
			tool = add_tool(conf, $2);
		}
		;

tool_lines	: tool_line
		| tool_lines eol tool_line
		;

tool_line	: /* empty */
		| TITLE STRING			{ set_once(&tool->title, $2, "title"); }
		| DESCRIPTION STRING		{ set_once(&tool->description, $2, "description"); }
		| SCOPE STRING			{ set_once(&tool->scope, $2, "scope"); }
		| SOURCE NAME			{ set_once(&tool->source, $2, "source"); }
		| SQL STRING			{ tool_sql(tool, $2); }
		| WRITES			{ once(&in_tool, WRITES); tool->writes = 1; }
		| TIMEOUT DURATION		{ set_time(&tool->timeout_ms, $2, "timeout"); }
		| LIMIT ROWS integer		{ set_count(&tool->limit_rows, $3, LIMIT_ROWS_MAX, "limit rows"); }
		| LIMIT BYTES size		{ set_count(&tool->limit_bytes, $3, LIMIT_BYTES_MAX, "limit bytes"); }
		| CACHE DURATION		{ set_kept(&tool->cache_ms, $2); }
		| CACHE SHARED DURATION		{
			set_kept(&tool->cache_ms, $3);
			tool->cache_shared = 1;
		}
		| RATE rate			{ once(&in_tool, RATE); tool->rate = $2; }
		| INVALIDATES words		{
			once(&in_tool, INVALIDATES);
			TAILQ_CONCAT(&tool->invalidates, $2, entry);
			list_free($2);
		}
		| PAGE BY word			{
			once(&in_tool, PAGE);
			not_in_force(conf, "page by: the result of tool \"%s\" is cut at its limits", tool->name);
			free($3);
		}
		| APPROVE			{ config_error("approve is not in force yet: the tool would run unapproved"); }
		| EXAMPLES list			{
			once(&in_tool, EXAMPLES);
			not_in_force(conf, "examples: callers of tool \"%s\" are shown none", tool->name);
			list_free($2);
		}
		| param_head param_rest
		| error
		;

param_head	: PARAM NAME type		{
			block_begin(&in_options);
			param = add_param(tool, $2, (enum param_type)$3);
		}
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
		| param_options
		| param_needs
		| param_needs param_options
		| param_values
		| param_values param_options
		| param_values param_needs
		| param_values param_needs param_options
		;

param_values	: '{' list '}'			{ param_enum(param, $2); }
		;

param_needs	: param_need
		| param_needs param_need
		;

param_need	: REQUIRED			{ once(&in_options, REQUIRED); param->required = 1; }
		| DEFAULT value			{ set_once(&param->default_json, $2, "default"); }
		;

param_options	: '{' options '}'
		;

options		: /* empty */
		| options option
		;

option		: DESCRIPTION STRING		{ set_once(&param->description, $2, "description"); }
		| MINIMUM value			{ set_once(&param->minimum, $2, "minimum"); }
		| MAXIMUM value			{ set_once(&param->maximum, $2, "maximum"); }
		| MAXIMUM LENGTH integer	{ set_count(&param->maximum_length, $3, BODY_MAX, "maximum length"); }
		| PATTERN STRING		{ set_once(&param->pattern, $2, "pattern"); }
		| REDACT			{ param_privacy(param, PRIVACY_REDACT); }
		| OMIT				{ param_privacy(param, PRIVACY_OMIT); }
		;

/* A value as text; what it must be is its parameter's to say. */
value		: STRING			{ $$ = value_text('"', $1); }
		| INTEGER			{ $$ = value_text('1', $1); }
		| DECIMAL			{ $$ = value_text('1', $1); }
		| TTRUE				{ $$ = need_print("wtrue"); }
		| TFALSE			{ $$ = need_print("wfalse"); }
		;

secret		: FROM ENV STRING		{ $$ = secret_value(SECRET_ENV, $3); }
		| FROM TFILE STRING		{ $$ = secret_value(SECRET_FILE, $3); }
		| FROM CREDENTIAL STRING	{ $$ = secret_value(SECRET_CREDENTIAL, $3); }
		;

rate		: integer PER period burst	{ $$ = rate_value($1, $3, $4); }
		;

/* What is given once a period may also come at once. */
burst		: /* empty */			{ $$ = -1; }
		| BURST integer			{ $$ = $2; }
		;

period		: SECOND			{ $$ = 1000; }
		| MINUTE			{ $$ = 60000; }
		| HOUR				{ $$ = 3600000; }
		;

list		: STRING			{ $$ = list_new($1); }
		| list ',' STRING		{ add_text($1, $3); $$ = $1; }
		;

words		: word				{ $$ = list_new($1); }
		| words ',' word		{ add_text($1, $3); $$ = $1; }
		;

word		: STRING
		| WORD
		;

integer		: INTEGER			{ $$ = integer_value($1); }
		;

size		: SIZE
		| INTEGER			{ $$ = integer_value($1); }
		;

%%

/* ---- the lexer --------------------------------------------------------- */

#define BLOCKS_MAX	4	/* deeper than the grammar goes */
#define QUEUE_MAX	8
#define COMMA_AHEAD	256	/* bytes of white space before a comma */
#define WANTED_MAX	10	/* tokens that an error names; more are none */

static const struct {
	const char	*word;
	int		 token;
} keywords[] = {
	{ "allow", ALLOW }, { "approve", APPROVE }, { "arguments", ARGUMENTS },
	{ "audience", AUDIENCE }, { "audit", AUDIT }, { "auth", AUTH },
	{ "boolean", BOOLEAN }, { "burst", BURST }, { "by", BY },
	{ "bytes", BYTES }, { "ca", CA }, { "cache", CACHE }, { "calls", CALLS }, { "checkpoint", CHECKPOINT },
	{ "claims", CLAIMS }, { "connect", CONNECT },
	{ "connection", CONNECTION }, { "connections", CONNECTIONS }, { "continue", CONTINUE },
	{ "control", CONTROL }, { "credential", CREDENTIAL }, { "date", DATE },
	{ "default", DEFAULT }, { "description", DESCRIPTION }, { "dsn", DSN },
	{ "enum", ENUM }, { "env", ENV }, { "every", EVERY },
	{ "examples", EXAMPLES },
	{ "failure", FAILURE }, { "fallback", FALLBACK }, { "false", TFALSE },
	{ "file", TFILE }, { "flight", FLIGHT }, { "forwarded", FORWARDED }, { "from", FROM }, { "grants", GRANTS },
	{ "handlers", HANDLERS }, { "host", HOST }, { "hour", HOUR }, { "idle", IDLE },
	{ "in", IN }, { "include", INCLUDE }, { "integer", INTEGER_T },
	{ "invalidates", INVALIDATES }, { "issuer", ISSUER },
	{ "journal", JOURNAL }, { "jwks", JWKS }, { "keep", KEEP },
	{ "key", KEY }, { "keys", KEYS },
	{ "leeway", LEEWAY }, { "length", LENGTH }, { "lifetime", LIFETIME },
	{ "limit", LIMIT },
	{ "listen", LISTEN }, { "listeners", LISTENERS },
	{ "maximum", MAXIMUM }, { "metrics", METRICS }, { "minimum", MINIMUM }, { "minute", MINUTE },
	{ "namespace", NAMESPACE }, { "node", NODE }, { "number", NUMBER_T },
	{ "omit", OMIT }, { "on", ON }, { "origin", ORIGIN }, { "page", PAGE },
	{ "param", PARAM }, { "path", PATH }, { "pattern", PATTERN },
	{ "per", PER }, { "pipe", PIPE }, { "plaintext", PLAINTEXT },
	{ "pool", POOL }, { "pooler", POOLER }, { "port", PORT }, { "postgres", POSTGRES },
	{ "prefork", PREFORK }, { "private", PRIVATE }, { "public", PUBLIC },
	{ "rate", RATE }, { "records", RECORDS }, { "redact", REDACT }, { "redis", REDIS },
	{ "refuse", REFUSE }, { "require", REQUIRE }, { "required", REQUIRED }, { "role", ROLE },
	{ "rows", ROWS }, { "sandbox", SANDBOX }, { "scope", SCOPE }, { "scopes", SCOPES },
	{ "second", SECOND }, { "segment", SEGMENT }, { "session", SESSION }, { "shared", SHARED },
	{ "sink", SINK }, { "socket", SOCKET }, { "source", SOURCE },
	{ "sql", SQL }, { "sqlite", SQLITE }, { "statement", STATEMENT },
	{ "stop", STOP }, { "string", STRING_T }, { "syslog", SYSLOG },
	{ "timeout", TIMEOUT }, { "timestamp", TIMESTAMP }, { "title", TITLE },
	{ "to", TO }, { "tool", TOOL }, { "transaction", TRANSACTION }, { "true", TTRUE }, { "trust", TRUST },
	{ "typ", TYP },
	{ "url", URL }, { "user", USER }, { "uuid", UUID }, { "wait", WAIT },
	{ "writes", WRITES },
};

static int	want_name;	/* the next word is a name */
static int	in_param;	/* between `param' and the end of its line */
static int	braces;		/* open ones of a param */
static int	after_comma;
static int	blocks;		/* open ones, but for those of a param */
static enum { CLOSED_NOTHING, CLOSED_PARAM, CLOSED_BLOCK } closed; /* by } */
static int	block_line[BLOCKS_MAX];
static int	words;		/* tokens of this statement so far */
static int	first_line;	/* where this statement began */
static int	string_line;	/* where the last string began */
static int	ended;		/* of the file at hand */
static char	first_word[48];	/* of a statement that no keyword begins */
static char	token_text[48];	/* for the message, should it not belong here */
/* Tokens that are to come before the next one is read. */
static int	queue[QUEUE_MAX];
static int	queued;

int
config_string_line(void)
{
	return string_line;
}

int
config_statement_line(void)
{
	return first_line;
}

static const char *
keyword_text(int token)
{
	size_t i;

	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (keywords[i].token == token)
			return keywords[i].word;
	return "this";
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

static void
block_begin(struct said *said)
{
	memset(said, 0, sizeof(*said));
}

/* ALLOW is the first keyword, UUID the last: all fit in 256 bits. */
static int
was_said(const struct said *said, int token)
{
	unsigned int at = (unsigned int)(token - ALLOW);

	return said->bits[at / 64] >> at % 64 & 1;
}

static void
once(struct said *said, int token)
{
	unsigned int at = (unsigned int)(token - ALLOW);

	if (was_said(said, token))
		config_error("%s is given twice", keyword_text(token));
	said->bits[at / 64] |= (uint64_t)1 << at % 64;
}

/* What follows comes from the other file, and on a line of its own. */
static void
include(char *name)
{
	include_file(name);
	free(name);
	queue[0] = '\n';
	queued = 1;
	words = 0;
}

/*
 * To the end of a statement with an error in it, or to the brace that closes
 * its block, so that one mistake is one message.  level counts the braces
 * that the statement itself has opened.
 */
static void
skip_statement(int level)
{
	int c;

	want_name = in_param = braces = after_comma = 0;
	while ((c = input_look(0)) != EOF) {
		if (c == '\n' && level == 0)
			return;
		if (c == '}' && level == 0 && blocks > 0)
			return;
		if (c == '}' && level > 0)
			level--;
		if (c == '{')
			level++;
		if (c == '"') {
			input_skip_string();
			continue;
		}
		if (c == '#') {
			input_skip_comment();
			continue;
		}
		if (c == '\\' && input_look(1) == '\n')
			input_advance();
		input_advance();
	}
}

/* What a token that may stand here is called; NULL: nobody would write it. */
static const char *
symbol_text(yysymbol_kind_t symbol)
{
	size_t i;

	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (YYTRANSLATE(keywords[i].token) == symbol)
			return keywords[i].word;
	if (symbol == YYTRANSLATE('\n'))
		return "the end of the line";
	if (symbol == YYTRANSLATE('{'))
		return "{";
	if (symbol == YYTRANSLATE('}'))
		return "}";
	switch (symbol) {
	case YYSYMBOL_STRING:
		return "a text in quotes";
	case YYSYMBOL_NAME:
		return "a name";
	case YYSYMBOL_INTEGER:
		return "a number";
	case YYSYMBOL_DURATION:
		return "a duration like 30s";
	case YYSYMBOL_SIZE:
		return "a size like 4M";
	default:
		return NULL;
	}
}

/* Says what would do, where that is few things enough to be read. */
static const char *
wanted_text(const yypcontext_t *context)
{
	static char text[256];
	yysymbol_kind_t symbol[WANTED_MAX];
	const char *item[WANTED_MAX];
	int i, n, items = 0;

	text[0] = '\0';
	n = yypcontext_expected_tokens(context, symbol, WANTED_MAX);
	for (i = 0; i < n; i++)
		if ((item[items] = symbol_text(symbol[i])) != NULL)
			items++;
	for (i = 0; i < items; i++) {
		(void)strlcat(text, i == 0 ? ": wanted " : i + 1 < items ?
		    ", " : " or ", sizeof(text));
		(void)strlcat(text, item[i], sizeof(text));
	}
	return text;
}

static void
say_syntax(const char *wanted)
{
	if (first_word[0] != '\0')
		config_error("unknown word %s", first_word);
	else if (yychar == '\n')
		config_error("syntax error: the line ends too early%s", wanted);
	else if (yychar == '=' && words == 2)
		config_error("syntax error at =: a keyword cannot name a macro");
	else if (yychar == '}' && closed == CLOSED_NOTHING)
		config_error("syntax error: } closes nothing");
	else
		config_error("syntax error at %s%s", token_text, wanted);
}

static void
yyerror(const char *message)
{
	config_error("%s", message);
}

static int
yyreport_syntax_error(const yypcontext_t *context)
{
	say_syntax(wanted_text(context));
	/* The token at hand: an end is read by the parser, a brace counts. */
	if (yychar == '\n' || yychar == 0 ||
	    (yychar == '}' && closed == CLOSED_BLOCK))
		return 0;
	/* And the brace of a param is not that of its tool. */
	if (yychar == '}' && closed == CLOSED_PARAM)
		yychar = YYEMPTY;
	if (yychar == '{' && !in_param) {
		blocks--;
		skip_statement(1);
	} else {
		skip_statement(braces);
	}
	return 0;
}

/* A comma on the next line goes on with the list. */
static int
comma_follows(void)
{
	size_t n = 1;
	int c;

	while (n < COMMA_AHEAD && ((c = input_look(n)) == ' ' || c == '\t' ||
	    c == '\r' || c == '\n'))
		n++;
	return input_look(n) == ',';
}

static void
skip_continuation(void)
{
	input_advance();
	input_advance();
}

/* White space, comments and continued lines; stands at a token or at EOF. */
static void
skip_space(void)
{
	int c;

	while ((c = input_look(0)) != EOF) {
		if (c == '#')
			input_skip_comment();
		else if (c == '\\' && input_look(1) == '\n')
			skip_continuation();
		else if (c == ' ' || c == '\t' || c == '\r' || (c == '\n' &&
		    (braces > 0 || after_comma || comma_follows())))
			input_advance();
		else
			return;
	}
}

/* Returns STRING, or -1 after an error. */
static int
lex_string(void)
{
	const char *problem = NULL;

	string_line = input_line();
	if ((yylval.string = input_string(&problem)) != NULL)
		return STRING;
	config_error("%s", problem);
	return -1;
}

static int
word_char(int c)
{
	return macro_char(c) || (c != EOF && c != '\0' &&
	    strchr(".-+:/", c) != NULL);
}

/* INTEGER, DECIMAL, DURATION, SIZE; 0: it is a word. */
static int
lex_number(const char *word)
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
	const char *digits = word + (word[0] == '-' || word[0] == '+');
	const char *text = word + (word[0] == '+');
	char *end;
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
		yylval.string = need(strdup(text));
		return DECIMAL;
	}
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].suffix) != 0)
			continue;
		if (units[i].token == INTEGER) {
			if (errno != 0)
				config_error("number out of range: %s", word);
			yylval.string = need(strdup(errno != 0 ? "0" : text));
			return INTEGER;
		}
		if (digits != word)
			return 0;
		if (errno != 0 || n > INT64_MAX / units[i].factor) {
			config_error("number out of range: %s", word);
			n = 0;
		}
		yylval.number = n * units[i].factor;
		return units[i].token;
	}
	return 0;
}

/* Words that only stand outside of all blocks, but for `source', `allow'. */
static int
opens_statement(int token)
{
	return token == TOOL || token == AUTH || token == AUDIT ||
	    token == NAMESPACE || token == LISTEN || token == PREFORK ||
	    token == CONTROL || token == METRICS || token == PUBLIC ||
	    token == INCLUDE ||
	    token == REDIS;
}

/* Closes what is open, as the operator forgot to; more tokens may follow. */
static void
queue_closing(void)
{
	queued = 0;
	for (; braces > 0 && queued < QUEUE_MAX - 3; braces--)
		queue[queued++] = '}';
	in_param = 0;
	for (; blocks > 0 && queued < QUEUE_MAX - 2; blocks--)
		queue[queued++] = '}';
	queue[queued++] = '\n';
}

static int
forgotten_brace(int token)
{
	config_error("} is missing before %s: the block of line %d is still "
	    "open", keyword_text(token), block_line[0]);
	queue_closing();
	queue[queued++] = token;
	return 1;
}

/* Returns a token, or 0: queued; -1 after an error. */
static int
lex_word(void)
{
	char word[WORD_MAX];
	int name = want_name, token = 0;
	size_t n = 0;

	while (word_char(input_look(0))) {
		if (n == sizeof(word) - 1) {
			config_error("word longer than %d bytes", WORD_MAX - 1);
			return -1;
		}
		word[n++] = (char)input_look(0);
		input_advance();
	}
	word[n] = '\0';
	want_name = 0;
	if (name) {
		yylval.string = need(strdup(word));
		return NAME;
	}
	if ((token = lex_number(word)) != 0)
		return token;
	if ((token = keyword(word)) == 0) {
		if (words == 1)
			(void)snprintf(first_word, sizeof(first_word),
			    "\"%.40s\"", word);
		yylval.string = need(strdup(word));
		return WORD;
	}
	want_name = token == TOOL || token == SOURCE || token == PARAM ||
	    token == FALLBACK;
	if (words == 1 && blocks > 0 && opens_statement(token) &&
	    forgotten_brace(token))
		return 0;
	if (token == PARAM)
		in_param = 1;
	return token;
}

static int
lex_macro(void)
{
	char name[NAME_LEN_MAX + 1];
	const char *value;
	size_t n = 0;

	input_advance();
	while (macro_char(input_look(0)) && n < sizeof(name) - 1) {
		name[n++] = (char)input_look(0);
		input_advance();
	}
	name[n] = '\0';
	if (macro_char(input_look(0)) || (value = macro_value(name)) == NULL) {
		config_error("macro $%s is not defined", name);
		return -1;
	}
	yylval.string = need(strdup(value));
	return STRING;
}

static void
remember_token(void)
{
	size_t n = 0;
	int c = input_look(0), quote = c == '"', word = word_char(c) ||
	    c == '$';

	if (c < 0x20 || c > 0x7e) {
		(void)snprintf(token_text, sizeof(token_text), "byte 0x%02x",
		    (unsigned int)c & 0xff);
		return;
	}
	do {
		token_text[n++] = (char)c;
		c = input_look(n);
	} while (n < sizeof(token_text) - 1 && c >= 0x20 && c < 0x7f &&
	    (quote ? n == 1 || token_text[n - 1] != '"' : word &&
	    word_char(c)));
	token_text[n] = '\0';
}

/* Punctuation, and any byte that nothing begins with. */
static int
lex_mark(int c)
{
	input_advance();
	want_name = 0;
	after_comma = c == ',';
	closed = CLOSED_NOTHING;
	if (c == '{' && in_param) {
		braces++;
	} else if (c == '{') {
		if (blocks < BLOCKS_MAX)
			block_line[blocks] = config_line();
		blocks++;
	} else if (c == '}' && braces > 0) {
		braces--;
		closed = CLOSED_PARAM;
	} else if (c == '}' && blocks > 0) {
		blocks--;
		closed = CLOSED_BLOCK;
	} else if (c == '\n') {
		in_param = 0;
	} else if (c == '=' && blocks == 0) {
		first_word[0] = '\0';	/* a macro */
	}
	if (c == '\n' || (c == '{' && !in_param))
		words = 0;
	return c == '\0' ? 1 : c;
}

/* The end of a file ends its last line, and may not lie in a block. */
static int
lex_end(void)
{
	if (ended) {
		ended = 0;
		return input_pop() ? -2 : 0;
	}
	ended = 1;
	words = 0;
	if (blocks > 0) {
		config_error("the file ends, and the block of line %d is "
		    "still open", block_line[0]);
		queue_closing();
		return -2;
	}
	in_param = braces = 0;
	return '\n';
}

/* Returns a token; 0 at the end of all; -1 after an error; -2: look again. */
static int
lex(void)
{
	int c, token;

	skip_space();
	if (words == 0)
		first_word[0] = '\0';
	place_here();
	if ((c = input_look(0)) == EOF)
		return lex_end();
	remember_token();
	if (words++ == 0)
		first_line = config_line();
	if (c != '"' && c != '$' && !word_char(c))
		return lex_mark(c);
	after_comma = 0;
	if (c == '"' || c == '$') {
		token = c == '"' ? lex_string() : lex_macro();
		if (token == STRING && want_name)
			token = NAME;
		want_name = 0;
		return token;
	}
	token = lex_word();
	return token == 0 ? -2 : token;
}

static int
yylex(void)
{
	int token, i;

	do {
		if (queued > 0) {
			token = queue[0];
			for (i = 1; i < queued; i++)
				queue[i - 1] = queue[i];
			queued--;
			closed = CLOSED_BLOCK;
			return token;
		}
		token = lex();
	} while (token == -2);
	if (token != -1)
		return token;
	/* It has been said; the parser need only find its feet again. */
	skip_statement(braces);
	return YYerror;
}

/* ---- all of it --------------------------------------------------------- */

struct config *
config_load(const char *path)
{
	char real[PATH_MAX], hex[2 * DIGEST_LEN + 1];

	input_reset();
	want_name = in_param = braces = after_comma = blocks = 0;
	words = ended = queued = 0;
	first_line = string_line = 1;
	first_word[0] = token_text[0] = '\0';
	block_begin(&in_main);
	block_begin(&in_auth);
	block_begin(&in_audit);
	if (realpath(path, real) == NULL || input_push(real) == -1) {
		config_say("%s: %s", path, input_why(errno));
		return NULL;
	}
	conf = config_new(real);
	(void)yyparse();
	macros_forget();
	input_digest(hex);
	(void)strlcpy(conf->digest, hex, sizeof(conf->digest));
	/* Half a configuration would only be blamed for what is missing. */
	if (config_errors() == 0)
		config_check(conf);
	while (input_pop())
		;
	if (config_errors() > 0) {
		config_free(conf);
		conf = NULL;
	}
	return conf;
}
