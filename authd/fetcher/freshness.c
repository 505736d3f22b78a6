/* SPDX-License-Identifier: ISC */

/*
 * How long an answer may be kept (RFC 9111 §4.2), for a private cache:
 * max-age less what the answer has aged on its way.  s-maxage is not for us.
 * What is malformed or said twice grants nothing.
 */

#include <strings.h>

#include "../../common/compat.h"
#include "fetcher.h"

#define SECONDS_MAX	2147483648U	/* RFC 9111 §1.2.2: and no more */

static void
skip_space(struct slice *s)
{
	while (s->len > 0 && (*s->ptr == ' ' || *s->ptr == '\t')) {
		s->ptr++;
		s->len--;
	}
}

static int
is_token_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') || (c != '\0' &&
	    strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static struct slice
take_token(struct slice *s)
{
	struct slice token = { s->ptr, 0 };

	while (s->len > 0 && is_token_char(*s->ptr)) {
		s->ptr++;
		s->len--;
		token.len++;
	}
	return token;
}

/* What is between the quotes, as it stands; -1: no end. */
static int
take_quoted(struct slice *s, struct slice *value)
{
	size_t i;

	for (i = 1; i < s->len && s->ptr[i] != '"'; i++)
		if (s->ptr[i] == '\\')
			i++;
	if (i >= s->len)
		return -1;
	value->ptr = s->ptr + 1;
	value->len = i - 1;
	s->ptr += i + 1;
	s->len -= i + 1;
	return 0;
}

/* One directive and the comma behind it; -1: malformed. */
static int
take_directive(struct slice *s, struct slice *name, struct slice *value)
{
	*name = take_token(s);
	value->ptr = "";
	value->len = 0;
	if (s->len > 0 && *s->ptr == '=') {
		s->ptr++;
		s->len--;
		if (s->len > 0 && *s->ptr == '"') {
			if (take_quoted(s, value) == -1)
				return -1;
		} else {
			*value = take_token(s);
		}
		if (name->len == 0)
			return -1;
	}
	skip_space(s);
	if (s->len == 0)
		return 0;
	if (*s->ptr != ',')
		return -1;
	s->ptr++;
	s->len--;
	skip_space(s);
	return 0;
}

static int
is_named(struct slice name, const char *wanted)
{
	return name.len == strlen(wanted) &&
	    strncasecmp(name.ptr, wanted, name.len) == 0;
}

/* Decimal seconds; more than SECONDS_MAX is SECONDS_MAX.  -1: no number. */
static int
parse_seconds(struct slice s, uint32_t *seconds)
{
	uint64_t value = 0;
	size_t i;

	if (s.len == 0)
		return -1;
	for (i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return -1;
		value = value * 10 + (uint64_t)(s.ptr[i] - '0');
		if (value > SECONDS_MAX)
			value = SECONDS_MAX;
	}
	*seconds = (uint32_t)value;
	return 0;
}

uint32_t
freshness(struct slice control, struct slice age)
{
	struct slice name, value;
	uint32_t max_age = 0, aged = 0;
	int said = 0;

	skip_space(&control);
	while (control.len > 0) {
		if (take_directive(&control, &name, &value) == -1)
			return 0;
		if (is_named(name, "no-store") || is_named(name, "no-cache"))
			return 0;
		if (is_named(name, "max-age") && (said++ ||
		    parse_seconds(value, &max_age) == -1))
			return 0;
	}
	if (age.len > 0 && parse_seconds(age, &aged) == -1)
		return 0;
	return aged >= max_age ? 0 : max_age - aged;
}
