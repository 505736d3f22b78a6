/* SPDX-License-Identifier: ISC */

/*
 * What a parameter must be in itself: bounds that belong to its type, a
 * default that fits them, a pattern that the handler (POSIX) and the caller
 * (ECMA-262, by way of the input schema) read alike.
 */

#include <ctype.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/json.h"
#include "configure.h"

static void	wrong(const struct param_conf *, const char *, ...)
		    __attribute__((__format__(printf, 2, 3)));

static void
wrong(const struct param_conf *p, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	config_error_at(param_file(p), p->line, "param \"%s\": %s", p->name,
	    text);
}

static int
is_number(const struct param_conf *p)
{
	return p->type == PARAM_INTEGER || p->type == PARAM_NUMBER;
}

/* ---- shapes ------------------------------------------------------------ */

/* Reads exactly n digits; -1 where they are not there. */
static int
digits(const char **s, int n)
{
	int value = 0;

	for (; n > 0; n--, (*s)++) {
		if (!isdigit((unsigned char)**s))
			return -1;
		value = 10 * value + (**s - '0');
	}
	return value;
}

static int
mark(const char **s, char c)
{
	if (**s != c)
		return 0;
	(*s)++;
	return 1;
}

/* YYYY-MM-DD of a day that there is. */
static int
read_date(const char **s)
{
	static const int days[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
	};
	int year, month, day, leap;

	if ((year = digits(s, 4)) < 1 || !mark(s, '-') ||
	    (month = digits(s, 2)) < 1 || month > 12 || !mark(s, '-') ||
	    (day = digits(s, 2)) < 1)
		return 0;
	leap = month == 2 && year % 4 == 0 &&
	    (year % 100 != 0 || year % 400 == 0);
	return day <= days[month - 1] + leap;
}

/* Date, T, hh:mm:ss[.f], Z or an offset (RFC 3339). */
static int
read_timestamp(const char **s)
{
	int hour, minute, second, n = 0;

	if (!read_date(s) || !mark(s, 'T') || (hour = digits(s, 2)) < 0 ||
	    hour > 23 || !mark(s, ':') || (minute = digits(s, 2)) < 0 ||
	    minute > 59 || !mark(s, ':') || (second = digits(s, 2)) < 0 ||
	    second > 59)
		return 0;
	if (mark(s, '.')) {
		for (; isdigit((unsigned char)**s); (*s)++)
			n++;
		if (n < 1 || n > 6)
			return 0;
	}
	if (mark(s, 'Z'))
		return 1;
	if (!mark(s, '+') && !mark(s, '-'))
		return 0;
	hour = digits(s, 2);
	return hour >= 0 && hour <= 15 && mark(s, ':') &&
	    (minute = digits(s, 2)) >= 0 && minute <= 59;
}

static int
read_uuid(const char **s)
{
	static const int groups[] = { 8, 4, 4, 4, 12 };
	size_t i;
	int n;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (i > 0 && !mark(s, '-'))
			return 0;
		for (n = groups[i]; n > 0; n--, (*s)++)
			if (!isxdigit((unsigned char)**s))
				return 0;
	}
	return 1;
}

static int
shape_ok(enum param_type type, const char *s)
{
	if ((type == PARAM_DATE && !read_date(&s)) ||
	    (type == PARAM_TIMESTAMP && !read_timestamp(&s)) ||
	    (type == PARAM_UUID && !read_uuid(&s)))
		return 0;
	return type == PARAM_STRING || *s == '\0';
}

static int
enum_has(const struct param_conf *p, const char *value)
{
	const struct text_item *item;

	TAILQ_FOREACH(item, &p->values, entry)
		if (strcmp(item->text, value) == 0)
			return 1;
	return 0;
}

/* ---- numbers ----------------------------------------------------------- */

/* As JSON writes it, allocated; NULL where it is no number of its type. */
static char *
number_json(const struct param_conf *p, const char *value)
{
	const char *at = value + 1, *sign = "";

	if (value[0] != '1' || !is_number(p) || strlen(at) > NAME_LEN_MAX ||
	    (p->type == PARAM_INTEGER && strchr(at, '.') != NULL))
		return NULL;
	if (*at == '-') {
		sign = "-";
		at++;
	}
	/* JSON knows no leading zeros. */
	while (*at == '0' && isdigit((unsigned char)at[1]))
		at++;
	return need_print("%s%s", sign, at);
}

/* < 0, 0, > 0; integers exactly. */
static int
number_compare(const struct param_conf *p, const char *a, const char *b)
{
	double x, y;

	if (p->type == PARAM_INTEGER) {
		long long m = strtoll(a, NULL, 10), n = strtoll(b, NULL, 10);

		return (m > n) - (m < n);
	}
	x = strtod(a, NULL);
	y = strtod(b, NULL);
	return (x > y) - (x < y);
}

/* Returns 0, or -1 after an error. */
static int
check_bound(struct param_conf *p, char **bound, const char *what)
{
	char *json;

	if (*bound == NULL)
		return 0;
	if (!is_number(p)) {
		wrong(p, "%s is for integer and number", what);
		return -1;
	}
	if ((json = number_json(p, *bound)) == NULL) {
		wrong(p, "%s must be of type %s", what,
		    param_type_name(p->type));
		return -1;
	}
	free(*bound);
	*bound = json;
	return 0;
}

/* ---- patterns ---------------------------------------------------------- */

/* A bracket expression from its [ on; returns its end, or NULL. */
static const char *
bracket_end(const char *s, const char **problem)
{
	s++;
	if (*s == '^')
		s++;
	if (*s == ']') {
		*problem = "] may not stand first in brackets";
		return NULL;
	}
	for (; *s != ']'; s++) {
		if (*s == '\0')
			*problem = "[ without its ]";
		else if (*s == '\\')
			*problem = "a backslash may not stand in brackets";
		else if (*s == '[')
			*problem = "[ may not stand in brackets";
		else
			continue;
		return NULL;
	}
	return s;
}

/* An interval from its { on; returns its end, or NULL. */
static const char *
interval_end(const char *s)
{
	s++;
	if (!isdigit((unsigned char)*s))
		return NULL;
	while (isdigit((unsigned char)*s))
		s++;
	if (*s == ',')
		s++;
	while (isdigit((unsigned char)*s))
		s++;
	return *s == '}' ? s : NULL;
}

/*
 * What POSIX extended expressions and ECMA-262 (with its flag u, as JSON
 * Schema says) do not both read, and alike.  Returns NULL, or what it is.
 */
static const char *
pattern_problem(const char *s)
{
	const char *problem = NULL;
	int item = 0;		/* something stands here that may repeat */
	size_t i;

	/* regexec(3) sees bytes where ECMA-262 sees characters. */
	for (i = 0; s[i] != '\0'; i++)
		if (s[i] < 0x20 || s[i] > 0x7e)
			return "only printable ASCII";
	for (; *s != '\0'; s++) {
		if (*s == '\\') {
			if (s[1] == '\0' ||
			    strchr("^$\\.*+?()[]{}|/", s[1]) == NULL)
				return "a backslash only before one of "
				    "^ $ \\ . * + ? ( ) [ ] { } | /";
			s++;
			item = 1;
		} else if (*s == '[') {
			if ((s = bracket_end(s, &problem)) == NULL)
				return problem;
			item = 1;
		} else if (strchr("*+?{", *s) != NULL) {
			if (!item)
				return "nothing to repeat";
			if (*s == '{' && (s = interval_end(s)) == NULL)
				return "{ must begin an interval, as {2,4}";
			item = 0;
		} else if (*s == ']' || *s == '}') {
			return "] and } need a backslash";
		} else {
			item = strchr("(|^$", *s) == NULL;
		}
	}
	return NULL;
}

/* As the handler does: over the whole string. */
static int
pattern_compile(const struct param_conf *p, regex_t *re)
{
	char message[128];
	char *whole = need_print("^(%s)$", p->pattern);
	int rc;

	rc = regcomp(re, whole, REG_EXTENDED | REG_NOSUB);
	free(whole);
	if (rc == 0)
		return 0;
	(void)regerror(rc, re, message, sizeof(message));
	wrong(p, "pattern: %s", message);
	return -1;
}

/* value is NULL where there is no default to try. */
static void
check_pattern(const struct param_conf *p, const char *value)
{
	const char *problem;
	regex_t re;

	if (p->pattern == NULL)
		return;
	if (p->type != PARAM_STRING) {
		wrong(p, "pattern is for string");
		return;
	}
	if ((problem = pattern_problem(p->pattern)) != NULL) {
		wrong(p, "pattern: %s", problem);
		return;
	}
	if (pattern_compile(p, &re) == -1)
		return;
	if (value != NULL && regexec(&re, value, 0, NULL, 0) != 0)
		wrong(p, "default does not match the pattern");
	regfree(&re);
}

/* ---- defaults ---------------------------------------------------------- */

static size_t
code_points(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

/* The default as JSON, allocated; NULL where it is not of its type. */
static char *
default_value(const struct param_conf *p)
{
	const char *value = p->default_json + 1;
	char kind = p->default_json[0];
	struct buffer b;

	if (is_number(p))
		return number_json(p, p->default_json);
	if (p->type == PARAM_BOOLEAN)
		return kind == 'w' ? need(strdup(value)) : NULL;
	if (kind != '"' || (p->type == PARAM_ENUM ? !enum_has(p, value) :
	    !shape_ok(p->type, value)))
		return NULL;
	buffer_init(&b, 6 * TEXT_MAX_ + 1);
	(void)json_write_cstr(&b, value);
	(void)buffer_add_char(&b, '\0');
	if (!b.bad)
		return (char *)b.data;
	buffer_free(&b);
	return NULL;
}

static void
check_default(struct param_conf *p)
{
	char *json;

	if (p->default_json == NULL)
		return;
	if (p->required)
		wrong(p, "required and default exclude each other");
	if (p->maximum_length > 0 && p->default_json[0] == '"' &&
	    code_points(p->default_json + 1) > p->maximum_length)
		wrong(p, "default is longer than maximum length");
	if ((json = default_value(p)) == NULL) {
		wrong(p, "default is no %s%s", param_type_name(p->type),
		    p->type == PARAM_ENUM ? " value of its own" : "");
		return;
	}
	if (is_number(p) && ((p->minimum != NULL &&
	    number_compare(p, json, p->minimum) < 0) || (p->maximum != NULL &&
	    number_compare(p, json, p->maximum) > 0)))
		wrong(p, "default is outside minimum and maximum");
	free(p->default_json);
	p->default_json = json;
}

void
param_check(struct param_conf *p, int redact_all)
{
	const char *value = NULL;
	int bounds;

	if (p->type == PARAM_ENUM && p->nvalues == 0)
		wrong(p, "an enum needs its values: { \"a\", \"b\" }");
	if (p->maximum_length > 0 && p->type != PARAM_STRING)
		wrong(p, "maximum length is for string");
	bounds = check_bound(p, &p->minimum, "minimum") +
	    check_bound(p, &p->maximum, "maximum");
	if (bounds == 0 && p->minimum != NULL && p->maximum != NULL &&
	    number_compare(p, p->minimum, p->maximum) > 0)
		wrong(p, "minimum is greater than maximum");
	if (p->default_json != NULL && p->default_json[0] == '"')
		value = p->default_json + 1;
	check_pattern(p, value);
	/* Without its bounds there is nothing to hold a default against. */
	if (bounds == 0)
		check_default(p);
	if (redact_all && p->privacy == PRIVACY_CLEAR)
		p->privacy = PRIVACY_REDACT;
}
