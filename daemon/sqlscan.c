/* SPDX-License-Identifier: ISC */

/*
 * Finds the parameters of a statement.  It is a lexer, not a parser: it only
 * needs to know where text is quoted or commented, in the way of the
 * database that will read it.  What it does not understand it refuses.
 */

#include <ctype.h>

#include "../common/compat.h"
#include "configure.h"

struct scan {
	const char		*sql;
	size_t			 at;
	size_t			 len;
	enum sql_style		 style;
	struct sql_params	*params;
	struct buffer		 out;
	const char		*error;
	size_t			 error_at;
	int			 ended;		/* a semicolon was seen */
	int			 empty;		/* nothing but blanks so far */
	const char		*wanted;	/* stop at this parameter */
	int			 found;
};

static int
name_start(char c)
{
	return isalpha((unsigned char)c) || c == '_';
}

static int
name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Letters of other scripts may stand in names too. */
static int
identifier_char(char c)
{
	return name_char(c) || c == '$' || (unsigned char)c >= 0x80;
}

static char
peek(const struct scan *s, size_t ahead)
{
	return s->at + ahead < s->len ? s->sql[s->at + ahead] : '\0';
}

static void
take(struct scan *s, size_t n)
{
	(void)buffer_add(&s->out, s->sql + s->at, n);
	s->at += n;
}

/* at is where what is wrong begins. */
static int
fail(struct scan *s, size_t at, const char *error)
{
	s->error = error;
	s->error_at = at;
	return -1;
}

/* To the closing quote; two of them are one inside. */
static int
quoted(struct scan *s, char close, int backslashes)
{
	size_t start = s->at;

	take(s, 1);
	while (s->at < s->len) {
		if (backslashes && peek(s, 0) == '\\' && peek(s, 1) != '\0') {
			take(s, 2);
		} else if (peek(s, 0) == close && peek(s, 1) == close &&
		    close != ']') {
			take(s, 2);
		} else if (peek(s, 0) == close) {
			take(s, 1);
			return 0;
		} else {
			take(s, 1);
		}
	}
	return fail(s, start, "quote without an end");
}

static void
line_comment(struct scan *s)
{
	while (s->at < s->len && peek(s, 0) != '\n' &&
	    (s->style == SQL_QUESTION || peek(s, 0) != '\r'))
		take(s, 1);
}

/* Length of white space from ahead on; *newline where a line ends in it. */
static size_t
blank(const struct scan *s, size_t ahead, int *newline)
{
	size_t n = ahead;

	for (; peek(s, n) != '\0'; n++) {
		if (peek(s, n) == '\n' || peek(s, n) == '\r')
			*newline = 1;
		else if (*newline && peek(s, n) == '-' &&
		    peek(s, n + 1) == '-')
			n += strcspn(s->sql + s->at + n, "\r\n") - 1;
		else if (!isspace((unsigned char)peek(s, n)))
			break;
	}
	return n - ahead;
}

/*
 * E'...' of Postgres.  A literal goes on behind a line's end with the next
 * quote, and the backslashes go on with it.
 */
static int
escape_string(struct scan *s)
{
	int newline;
	size_t n;

	for (;;) {
		if (quoted(s, '\'', 1) == -1)
			return -1;
		newline = 0;
		n = blank(s, 0, &newline);
		if (!newline || peek(s, n) != '\'')
			return 0;
		take(s, n);
	}
}

/* Postgres nests block comments, SQLite does not. */
static int
block_comment(struct scan *s)
{
	size_t start = s->at;
	int depth = 1;

	take(s, 2);
	while (s->at < s->len && depth > 0) {
		if (s->style == SQL_DOLLAR && peek(s, 0) == '/' &&
		    peek(s, 1) == '*') {
			depth++;
			take(s, 2);
		} else if (peek(s, 0) == '*' && peek(s, 1) == '/') {
			depth--;
			take(s, 2);
		} else {
			take(s, 1);
		}
	}
	if (depth == 0)
		return 0;
	return fail(s, start, "comment without an end");
}

/* $tag$ ... $tag$; returns 1 where there is none. */
static int
dollar_quoted(struct scan *s)
{
	size_t n = 1, i;

	if (isdigit((unsigned char)peek(s, n)))
		return 1;
	while (peek(s, n) != '$' && identifier_char(peek(s, n)))
		n++;
	if (peek(s, n) != '$')
		return 1;
	n++;
	for (i = s->at + n; i + n <= s->len; i++)
		if (memcmp(s->sql + i, s->sql + s->at, n) == 0) {
			take(s, i + n - s->at);
			return 0;
		}
	return fail(s, s->at, "dollar quote without an end");
}

/* Whether text stands ahead and ends there. */
static int
stands(const struct scan *s, size_t ahead, const char *text)
{
	size_t len = strlen(text);

	return s->at + ahead + len <= s->len &&
	    memcmp(s->sql + s->at + ahead, text, len) == 0 &&
	    !name_char(peek(s, ahead + len));
}

/*
 * Of ":name".  Of the caller's, the dots belong to it; a claim's own name may
 * hold dots and dashes and is matched at its longest, but does not end in one.
 */
static size_t
param_length(const struct scan *s)
{
	size_t n = 1;

	while (name_char(peek(s, n)))
		n++;
	if (!stands(s, 1, "caller") || peek(s, n) != '.' ||
	    !name_start(peek(s, n + 1)))
		return n;
	n++;
	if (stands(s, n, "claim") && peek(s, n + 5) == '.' &&
	    name_start(peek(s, n + 6))) {
		n += 6;
		while (name_char(peek(s, n)) || ((peek(s, n) == '.' ||
		    peek(s, n) == '-') && name_char(peek(s, n + 1))))
			n++;
		return n;
	}
	while (name_char(peek(s, n)))
		n++;
	return n;
}

static int
param(struct scan *s)
{
	size_t n = param_length(s), len = n - 1;
	const char *name = s->sql + s->at + 1;
	uint32_t i;

	if (s->wanted != NULL && strlen(s->wanted) == len &&
	    memcmp(s->wanted, name, len) == 0) {
		s->found = 1;
		return -1;
	}
	for (i = 0; i < s->params->count; i++)
		if (strlen(s->params->name[i]) == len &&
		    memcmp(s->params->name[i], name, len) == 0)
			break;
	if (i == s->params->count) {
		if (i == PARAMS_MAX + ATTRIBUTES_MAX) {
			return fail(s, s->at, "too many parameters");
		}
		if ((s->params->name[i] = strndup(name, len)) == NULL) {
			return fail(s, s->at, "out of memory");
		}
		s->params->count++;
	}
	/* Behind a name or a number the mark would become part of it. */
	if (s->at > 0 && identifier_char(s->sql[s->at - 1]))
		(void)buffer_add_char(&s->out, ' ');
	(void)buffer_printf(&s->out, "%c%u",
	    s->style == SQL_DOLLAR ? '$' : '?', i + 1);
	s->at += n;
	return 0;
}

/* An identifier is taken whole, so that a$1 or e'..' are told apart. */
static int
identifier(struct scan *s)
{
	char first = (char)tolower((unsigned char)peek(s, 0));
	size_t n = 0;

	while (identifier_char(peek(s, n)))
		n++;
	take(s, n);
	if (s->style == SQL_DOLLAR && n == 1 && first == 'e' &&
	    peek(s, 0) == '\'')
		return escape_string(s);
	return 0;
}

/* What is neither blank, comment nor quoted. */
static int
other(struct scan *s)
{
	char c = peek(s, 0), next = peek(s, 1);

	if ((s->style == SQL_QUESTION && (c == '?' || c == '@' || c == '$')) ||
	    (c == '$' && isdigit((unsigned char)next)))
		return fail(s, s->at, "a parameter is written :name");
	if (c == ':' && (next == ':' || next == '=')) {
		take(s, 2);
		return 0;
	}
	if (c == ':' && name_start(next))
		return param(s);
	if (name_start(c) || (unsigned char)c >= 0x80)
		return identifier(s);
	take(s, 1);
	return 0;
}

static int
step(struct scan *s)
{
	char c = peek(s, 0), next = peek(s, 1);
	int rc;

	if (isspace((unsigned char)c)) {
		take(s, 1);
		return 0;
	}
	if (c == '-' && next == '-') {
		line_comment(s);
		return 0;
	}
	if (c == '/' && next == '*')
		return block_comment(s);
	if (s->ended)
		return fail(s, s->at, "more than one statement");
	if (c == ';') {
		/*
		 * Left out: nothing may follow, and nothing needs it.  But what
		 * stands around it must not become one sign of two.
		 */
		s->ended = 1;
		s->at++;
		if (s->at < s->len)
			(void)buffer_add_char(&s->out, ' ');
		return 0;
	}
	s->empty = 0;
	if (c == '\'' || c == '"')
		return quoted(s, c, 0);
	if (s->style == SQL_QUESTION && (c == '`' || c == '['))
		return quoted(s, c == '[' ? ']' : c, 0);
	if (s->style == SQL_DOLLAR && c == '$' && (rc = dollar_quoted(s)) != 1)
		return rc;
	return other(s);
}

static int
line_of(const char *sql, size_t at)
{
	size_t i;
	int line = 1;

	for (i = 0; i < at && sql[i] != '\0'; i++)
		if (sql[i] == '\n')
			line++;
	return line;
}

char *
sql_scan(const char *sql, enum sql_style style, struct sql_params *params,
    const char **error, int *line)
{
	struct scan s = { .sql = sql, .len = strlen(sql), .style = style,
	    .params = params, .empty = 1 };

	memset(params, 0, sizeof(*params));
	buffer_init(&s.out, 2 * SQL_MAX + 1);
	while (s.at < s.len && step(&s) == 0)
		;
	(void)buffer_add_char(&s.out, '\0');
	if (s.error == NULL && s.out.bad)
		(void)fail(&s, 0, "statement too long");
	if (s.error == NULL && s.empty)
		(void)fail(&s, 0, "empty statement");
	if (s.error == NULL)
		return (char *)s.out.data;
	*error = s.error;
	*line = line_of(sql, s.error_at);
	buffer_free(&s.out);
	sql_params_free(params);
	return NULL;
}

int
sql_param_line(const char *sql, enum sql_style style, const char *name)
{
	struct sql_params params = { 0 };
	struct scan s = { .sql = sql, .len = strlen(sql), .style = style,
	    .params = &params, .wanted = name };

	buffer_init(&s.out, 2 * SQL_MAX + 1);
	while (s.at < s.len && step(&s) == 0)
		;
	buffer_free(&s.out);
	sql_params_free(&params);
	return s.found ? line_of(sql, s.at) : 1;
}

void
sql_params_free(struct sql_params *params)
{
	uint32_t i;

	for (i = 0; i < params->count; i++)
		free(params->name[i]);
	memset(params, 0, sizeof(*params));
}
