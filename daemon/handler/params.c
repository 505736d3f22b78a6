/* SPDX-License-Identifier: ISC */

/*
 * Arguments: from the JSON of the body to values that are bound, and never
 * to anything else.  An argument that is not declared, or does not fit, is
 * refused with a message that an agent can act on; no value is echoed.
 */

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "../../common/log.h"
#include "handler.h"

/* ---- set-up ------------------------------------------------------------ */

static int
bound_prepare(const struct msg_conf_param *m, struct slice text,
    int64_t *integer, double *real, char **shown)
{
	char *end;

	if ((*shown = slice_dup(text)) == NULL)
		return -1;
	errno = 0;
	*integer = strtoll(*shown, &end, 10);
	if (m->type == PARAM_INTEGER && (*end != '\0' || errno != 0))
		return -1;
	*real = strtod(*shown, &end);
	return *end != '\0' || end == *shown || !isfinite(*real) ? -1 : 0;
}

static int
pattern_prepare(struct param *p, struct slice text)
{
	struct buffer b;
	int rc;

	if (text.len == 0)
		return 0;
	buffer_init(&b, TEXT_MAX_ + 16);
	(void)buffer_add_cstr(&b, "^(");
	(void)buffer_add_slice(&b, text);
	(void)buffer_add_cstr(&b, ")$");
	(void)buffer_add_char(&b, '\0');
	rc = b.bad ? -1 : regcomp(&p->pattern, (const char *)b.data,
	    REG_EXTENDED | REG_NOSUB);
	buffer_free(&b);
	p->has_pattern = rc == 0;
	p->pattern_text = slice_dup(text);
	return rc != 0 || p->pattern_text == NULL ? -1 : 0;
}

int
param_prepare(struct param *p, const struct msg_conf_param *m)
{
	uint32_t i;

	memset(p, 0, sizeof(*p));
	p->type = (enum param_type)m->type;
	p->required = m->required;
	p->privacy = (enum privacy)m->privacy;
	p->maximum_length = m->maximum_length;
	p->has_minimum = m->has_minimum;
	p->has_maximum = m->has_maximum;
	if ((p->name = slice_dup(m->name)) == NULL)
		return -1;
	if (m->has_minimum && bound_prepare(m, m->minimum,
	    &p->minimum_integer, &p->minimum_real, &p->minimum_text) == -1)
		return -1;
	if (m->has_maximum && bound_prepare(m, m->maximum,
	    &p->maximum_integer, &p->maximum_real, &p->maximum_text) == -1)
		return -1;
	if (pattern_prepare(p, m->pattern) == -1)
		return -1;
	json_init(&p->default_parsed);
	if (m->has_default &&
	    ((p->default_json = slice_dup(m->default_json)) == NULL ||
	    json_parse(&p->default_parsed, p->default_json,
	    strlen(p->default_json)) == -1))
		return -1;
	if ((p->values = calloc(m->values + 1, sizeof(char *))) == NULL)
		return -1;
	for (i = 0; i < m->values; i++)
		if ((p->values[p->nvalues++] = slice_dup(m->value[i])) == NULL)
			return -1;
	return 0;
}

/* ---- one value --------------------------------------------------------- */

static int
refuse(struct call *c, const struct param *p, const char *must)
{
	(void)snprintf(c->message, sizeof(c->message),
	    "Argument '%s' must be %s.", p->name, must);
	return -1;
}

static int
refuse_bound(struct call *c, const struct param *p, const char *how,
    const char *bound)
{
	char must[128];

	(void)snprintf(must, sizeof(must), "%s %s", how, bound);
	return refuse(c, p, must);
}

static int
two(const char *s)
{
	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
		return -1;
	return (s[0] - '0') * 10 + (s[1] - '0');
}

/* A date of the calendar, YYYY-MM-DD, at s. */
static int
date_ok(const char *s, size_t len)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
	    30, 31 };
	int high, low, year, month, day, last;

	if (len != 10 || s[4] != '-' || s[7] != '-')
		return 0;
	high = two(s);
	low = two(s + 2);
	month = two(s + 5);
	day = two(s + 8);
	if (high < 0 || low < 0 || month < 1 || month > 12)
		return 0;
	year = high * 100 + low;
	last = days[month - 1];
	if (month == 2 && ((year % 4 == 0 && year % 100 != 0) ||
	    year % 400 == 0))
		last = 29;
	return year >= 1 && day >= 1 && day <= last;
}

/* RFC 3339: date, T, hh:mm:ss, a fraction of up to nine digits, an offset. */
static int
timestamp_ok(const char *s, size_t len)
{
	size_t at = 19, digits;

	if (len < 20 || !date_ok(s, 10) || (s[10] != 'T' && s[10] != 't') ||
	    s[13] != ':' || s[16] != ':' || two(s + 11) < 0 ||
	    two(s + 11) > 23 || two(s + 14) < 0 || two(s + 14) > 59 ||
	    two(s + 17) < 0 || two(s + 17) > 59)
		return 0;
	if (s[at] == '.') {
		for (digits = 0, at++; at < len && s[at] >= '0' &&
		    s[at] <= '9'; at++)
			digits++;
		if (digits < 1 || digits > 9)
			return 0;
	}
	if (len - at == 1)
		return s[at] == 'Z' || s[at] == 'z';
	return len - at == 6 && (s[at] == '+' || s[at] == '-') &&
	    s[at + 3] == ':' && two(s + at + 1) >= 0 &&
	    two(s + at + 1) <= 23 && two(s + at + 4) >= 0 &&
	    two(s + at + 4) <= 59;
}

static int
uuid_ok(const char *s, size_t len)
{
	size_t i;

	if (len != 36)
		return 0;
	for (i = 0; i < len; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s[i] != '-')
				return 0;
		} else if (!((s[i] >= '0' && s[i] <= '9') ||
		    (s[i] >= 'a' && s[i] <= 'f') ||
		    (s[i] >= 'A' && s[i] <= 'F'))) {
			return 0;
		}
	}
	return 1;
}

static size_t
code_points(const char *s, size_t len)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

/* Names the values, as many as fit: an agent then need not ask again. */
static int
refuse_enum(struct call *c, const struct param *p)
{
	char must[160] = "one of:";
	uint32_t i;
	size_t len;

	for (i = 0; i < p->nvalues; i++) {
		len = strlen(must);
		/* Room for the values after it, or for saying that there are. */
		if (len + strlen(p->values[i]) + 8 > sizeof(must)) {
			strlcat(must, " ...", sizeof(must));
			break;
		}
		(void)snprintf(must + len, sizeof(must) - len, "%s %s",
		    i > 0 ? "," : "", p->values[i]);
	}
	return refuse(c, p, must);
}

static int
matches(const struct param *p, const char *s, size_t len)
{
	return len <= PATTERN_INPUT_MAX &&
	    regexec(&p->pattern, s, 0, NULL, 0) == 0;
}

static int
check_text(struct call *c, const struct param *p, const char *s, size_t len)
{
	char number[16];
	uint32_t i;

	switch (p->type) {
	case PARAM_DATE:
		return date_ok(s, len) ? 0 :
		    refuse(c, p, "a date like 2026-12-31");
	case PARAM_TIMESTAMP:
		return timestamp_ok(s, len) ? 0 : refuse(c, p,
		    "a timestamp with an offset like 2026-12-31T23:59:59Z");
	case PARAM_UUID:
		return uuid_ok(s, len) ? 0 : refuse(c, p, "a UUID like "
		    "123e4567-e89b-12d3-a456-426614174000");
	case PARAM_ENUM:
		for (i = 0; i < p->nvalues; i++)
			if (strcmp(p->values[i], s) == 0)
				return 0;
		return refuse_enum(c, p);
	default:
		break;
	}
	if (p->maximum_length > 0 && code_points(s, len) > p->maximum_length) {
		(void)snprintf(number, sizeof(number), "%u",
		    p->maximum_length);
		return refuse_bound(c, p, "a string whose length is at most",
		    number);
	}
	if (p->has_pattern && !matches(p, s, len))
		return refuse(c, p, "a string that matches the pattern of the "
		    "input schema");
	return 0;
}

static int
bind_text(struct call *c, const struct param *p, const struct json *j,
    uint32_t node, struct bound *b)
{
	b->at = c->arena.len;
	if (!json_is(j, node, JSON_STRING))
		return refuse(c, p, "a string");
	/* Room first: nothing can be added to a buffer that has no memory. */
	if (buffer_reserve(&c->arena, 1) == NULL ||
	    json_string(j, node, &c->arena) == -1)
		return refuse(c, p, "shorter");
	b->len = c->arena.len - b->at;
	if (buffer_add_char(&c->arena, '\0') == -1)
		return refuse(c, p, "shorter");
	return check_text(c, p, (const char *)c->arena.data + b->at, b->len);
}

/* Numbers go to Postgres as the text that they were sent as. */
static int
keep_raw(struct call *c, const struct json *j, uint32_t node, struct bound *b)
{
	struct slice raw = json_raw(j, node);

	b->at = c->arena.len;
	b->len = raw.len;
	(void)buffer_add_slice(&c->arena, raw);
	return buffer_add_char(&c->arena, '\0');
}

static int
bind_value(struct call *c, const struct param *p, const struct json *j,
    uint32_t node, struct bound *b)
{
	switch (p->type) {
	case PARAM_INTEGER:
		if (json_integer(j, node, &b->integer) == -1)
			return refuse(c, p, "an integer");
		if (p->has_minimum && b->integer < p->minimum_integer)
			return refuse_bound(c, p, "at least",
			    p->minimum_text);
		if (p->has_maximum && b->integer > p->maximum_integer)
			return refuse_bound(c, p, "at most", p->maximum_text);
		return keep_raw(c, j, node, b);
	case PARAM_NUMBER:
		if (json_real(j, node, &b->real) == -1)
			return refuse(c, p, "a number");
		if (p->has_minimum && b->real < p->minimum_real)
			return refuse_bound(c, p, "at least",
			    p->minimum_text);
		if (p->has_maximum && b->real > p->maximum_real)
			return refuse_bound(c, p, "at most", p->maximum_text);
		return keep_raw(c, j, node, b);
	case PARAM_BOOLEAN:
		if (!json_is(j, node, JSON_TRUE) &&
		    !json_is(j, node, JSON_FALSE))
			return refuse(c, p, "true or false");
		b->integer = json_is(j, node, JSON_TRUE);
		return keep_raw(c, j, node, b);
	default:
		return bind_text(c, p, j, node, b);
	}
}

/* ---- all of them ------------------------------------------------------- */

/* What the record says of one argument. */
static int
note(struct call *c, const struct param *p, struct slice raw)
{
	switch (p->privacy) {
	case PRIVACY_OMIT:
		return 0;
	case PRIVACY_REDACT:
		c->hidden[c->nhidden].name = p->name;
		c->hidden[c->nhidden].at = c->hidden_text.len;
		c->hidden[c->nhidden++].len = raw.len;
		return buffer_add_slice(&c->hidden_text, raw);
	default:
		break;
	}
	if (c->clear.len > 1)
		(void)buffer_add_char(&c->clear, ',');
	(void)json_write_cstr(&c->clear, p->name);
	(void)buffer_add_char(&c->clear, ':');
	return buffer_add_slice(&c->clear, raw);
}

static int
unknown_argument(struct call *c, const struct json *j, uint32_t arguments)
{
	const struct tool *t = c->tool;
	char name[NAME_LEN_MAX + 1];
	uint32_t at, i;

	for (at = arguments + 1; at < j->nodes[arguments].next;
	    at = j->nodes[at + 1].next) {
		for (i = 0; i < t->nparams; i++)
			if (json_string_is(j, at, t->params[i].name))
				break;
		if (i < t->nparams)
			continue;
		if (json_copy(j, at, name, sizeof(name)) == -1)
			strlcpy(name, "(too long)", sizeof(name));
		(void)snprintf(c->message, sizeof(c->message), "There is no "
		    "argument '%s'; see the tool's input schema.", name);
		return -1;
	}
	return 0;
}

static int
take_param(struct call *c, const struct json *j, uint32_t arguments,
    const struct param *p, struct bound *b)
{
	const struct json *from = j;
	uint32_t node = JSON_NONE;

	memset(b, 0, sizeof(*b));
	b->type = p->type;
	if (arguments != JSON_NONE)
		node = json_member(j, arguments, p->name);
	if (node != JSON_NONE && json_is(j, node, JSON_NULL))
		node = JSON_NONE;
	if (node == JSON_NONE && p->default_json != NULL) {
		from = &p->default_parsed;
		node = 0;
	}
	if (node == JSON_NONE) {
		b->null = 1;
		return p->required ? refuse(c, p, "given: it is required") : 0;
	}
	if (bind_value(c, p, from, node, b) == -1)
		return -1;
	if (note(c, p, json_raw(from, node)) == -1) {
		strlcpy(c->message, "The arguments are too large to be "
		    "recorded: send less.", sizeof(c->message));
		return -1;
	}
	return 0;
}

static int
bind_caller(struct call *c, const struct bind *bind, struct bound *b)
{
	struct slice value;

	memset(b, 0, sizeof(*b));
	b->type = PARAM_STRING;
	if (identity_value(&c->identity, slice_of(bind->name), &value) == -1) {
		/* Authd refuses such a caller; never NULL in its place. */
		(void)snprintf(c->message, sizeof(c->message),
		    "Your credential lacks what this tool needs to know.");
		return -1;
	}
	b->at = c->arena.len;
	b->len = value.len;
	(void)buffer_add_slice(&c->arena, value);
	return buffer_add_char(&c->arena, '\0');
}

int
params_bind(struct call *c, const struct json *j, uint32_t arguments)
{
	static struct bound values[PARAMS_MAX];
	const struct tool *t = c->tool;
	uint32_t i;

	(void)buffer_add_char(&c->clear, '{');
	if (arguments != JSON_NONE && unknown_argument(c, j, arguments) == -1)
		return -1;
	for (i = 0; i < t->nparams; i++)
		if (take_param(c, j, arguments, &t->params[i],
		    &values[i]) == -1)
			return -1;
	for (i = 0; i < t->nbinds; i++) {
		if (!t->binds[i].of_caller)
			c->bound[i] = values[t->binds[i].param];
		else if (bind_caller(c, &t->binds[i], &c->bound[i]) == -1)
			return -1;
	}
	return buffer_add_char(&c->clear, '}');
}
