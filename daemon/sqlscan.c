/* SPDX-License-Identifier: ISC */

/*
 * Finds the parameters of a statement.  It is a lexer, not a parser: it only
 * needs to know where text is quoted or commented, in the way of the
 * database that will read it.  What it does not understand it refuses.
 */

#include <ctype.h>

#include "../common/compat.h"
#include "config.h"

struct scan {
	const char		*sql;
	size_t			 at;
	size_t			 len;
	enum sql_style		 style;
	struct sql_params	*params;
	struct buffer		 out;
	const char		*error;
	int			 ended;		/* a semicolon was seen */
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

/* To the closing quote; two of them are one inside. */
static int
quoted(struct scan *s, char close, int backslashes)
{
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
	s->error = "quote without an end";
	return -1;
}

/* Postgres nests block comments, SQLite does not. */
static int
block_comment(struct scan *s)
{
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
	s->error = "comment without an end";
	return -1;
}

/* $tag$ ... $tag$; returns 1 where there is none. */
static int
dollar_quoted(struct scan *s)
{
	size_t n = 1, i;

	if (peek(s, n) != '$' && !name_start(peek(s, n)))
		return 1;
	while (name_char(peek(s, n)))
		n++;
	if (peek(s, n) != '$')
		return 1;
	n++;
	for (i = s->at + n; i + n <= s->len; i++)
		if (memcmp(s->sql + i, s->sql + s->at, n) == 0) {
			take(s, i + n - s->at);
			return 0;
		}
	s->error = "dollar quote without an end";
	return -1;
}

/* caller.claim.NAME is matched at its longest. */
static size_t
param_length(const struct scan *s)
{
	size_t n = 1, dots;

	while (name_char(peek(s, n)))
		n++;
	if (n != 7 || memcmp(s->sql + s->at + 1, "caller", 6) != 0)
		return n;
	for (dots = 0; dots < 2 && peek(s, n) == '.' &&
	    name_start(peek(s, n + 1)); dots++) {
		n++;
		while (name_char(peek(s, n)) || (dots == 1 &&
		    (peek(s, n) == '-' && name_char(peek(s, n + 1)))))
			n++;
		/* Only a claim has a third part. */
		if (dots == 0 && !(n == 13 &&
		    memcmp(s->sql + s->at + 8, "claim", 5) == 0))
			break;
	}
	return n;
}

static int
param(struct scan *s)
{
	size_t n = param_length(s), len = n - 1;
	const char *name = s->sql + s->at + 1;
	uint32_t i;

	for (i = 0; i < s->params->count; i++)
		if (strlen(s->params->name[i]) == len &&
		    memcmp(s->params->name[i], name, len) == 0)
			break;
	if (i == s->params->count) {
		if (i == PARAMS_MAX + ATTRIBUTES_MAX) {
			s->error = "too many parameters";
			return -1;
		}
		if ((s->params->name[i] = strndup(name, len)) == NULL) {
			s->error = "out of memory";
			return -1;
		}
		s->params->count++;
	}
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

	while (name_char(peek(s, n)) || (n > 0 && peek(s, n) == '$') ||
	    (unsigned char)peek(s, n) >= 0x80)
		n++;
	take(s, n);
	if (s->style == SQL_DOLLAR && n == 1 && first == 'e' &&
	    peek(s, 0) == '\'')
		return quoted(s, '\'', 1);
	return 0;
}

static int
step(struct scan *s)
{
	char c = peek(s, 0), next = peek(s, 1);
	int rc;

	if (c == '-' && next == '-') {
		while (s->at < s->len && peek(s, 0) != '\n')
			take(s, 1);
		return 0;
	}
	if (c == '/' && next == '*')
		return block_comment(s);
	if (isspace((unsigned char)c)) {
		take(s, 1);
		return 0;
	}
	if (s->ended) {
		s->error = "more than one statement";
		return -1;
	}
	if (c == ';') {
		/* Left out: nothing may follow, and nothing needs it. */
		s->ended = 1;
		s->at++;
		return 0;
	}
	if (c == '\'' || c == '"')
		return quoted(s, c, 0);
	if (s->style == SQL_QUESTION && c == '`')
		return quoted(s, '`', 0);
	if (s->style == SQL_QUESTION && c == '[')
		return quoted(s, ']', 0);
	if (s->style == SQL_QUESTION && (c == '?' || c == '@' || c == '$')) {
		s->error = "a parameter is written :name";
		return -1;
	}
	if (s->style == SQL_DOLLAR && c == '$') {
		if (isdigit((unsigned char)next)) {
			s->error = "a parameter is written :name";
			return -1;
		}
		if ((rc = dollar_quoted(s)) != 1)
			return rc;
	}
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

char *
sql_scan(const char *sql, enum sql_style style, struct sql_params *params,
    const char **error, int *line)
{
	struct scan s = { .sql = sql, .len = strlen(sql), .style = style,
	    .params = params };
	size_t i;

	memset(params, 0, sizeof(*params));
	buffer_init(&s.out, 2 * SQL_MAX + 1);
	while (s.at < s.len && step(&s) == 0)
		;
	(void)buffer_add_char(&s.out, '\0');
	if (s.error == NULL && s.out.bad)
		s.error = "statement too long";
	if (s.error == NULL && s.len == 0)
		s.error = "empty statement";
	if (s.error == NULL)
		return (char *)s.out.data;
	*error = s.error;
	*line = 1;
	for (i = 0; i < s.at && i < s.len; i++)
		if (sql[i] == '\n')
			(*line)++;
	buffer_free(&s.out);
	sql_params_free(params);
	return NULL;
}

void
sql_params_free(struct sql_params *params)
{
	uint32_t i;

	for (i = 0; i < params->count; i++)
		free(params->name[i]);
	memset(params, 0, sizeof(*params));
}
