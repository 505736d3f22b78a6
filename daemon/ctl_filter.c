/* SPDX-License-Identifier: ISC */

/*
 * Which records somebody asks for.  Times are turned into the form that a
 * record's own have, so that comparing them is comparing bytes; strings of a
 * record are unescaped before they are compared.
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "../common/compat.h"
#include "../common/json.h"
#include "../common/proc.h"
#include "ctl.h"
#include "ctl_trail.h"

#define AGO_MAX		(200 * 365LL * 86400)	/* seconds */

/* ---- options ----------------------------------------------------------- */

/* "90m": that long ago, as a record's time; 0 or -1. */
static int
parse_ago(char *to, const char *text)
{
	int64_t n = span_seconds(text, AGO_MAX);

	if (n == -1 || (uint64_t)n > wall_us() / 1000000)
		return -1;
	record_time(to, wall_us() - (uint64_t)n * 1000000);
	return 0;
}

/* A time of a record cut short at any of its parts, `Z' or not. */
static int
parse_time(char *to, const char *text)
{
	static const char form[] = "0000-00-00T00:00:00.000000Z";
	char again[TIME_TEXT_LEN + 1];
	size_t len = strlen(text), i;
	struct tm tm;
	time_t t;

	if (len > 0 && text[len - 1] == 'Z')
		len--;
	if ((len != 10 && len != 16 && len != 19 && (len < 21 || len > 26)) ||
	    (len == 10 && text[len] == 'Z'))
		return -1;
	memcpy(to, form, sizeof(form));
	memcpy(to, text, len);
	for (i = 0; i < TIME_TEXT_LEN; i++)
		if (form[i] == '0' ? to[i] < '0' || to[i] > '9' :
		    to[i] != form[i])
			return -1;
	/* The calendar knows whether there is such a day. */
	memset(&tm, 0, sizeof(tm));
	if (strptime(to, "%Y-%m-%dT%H:%M:%S", &tm) == NULL ||
	    (t = timegm(&tm)) < 0)
		return -1;
	record_time(again, (uint64_t)t * 1000000);
	return memcmp(again, to, 19) == 0 ? 0 : -1;
}

static int
parse_range(struct filter *f, const char *text)
{
	char first[24];
	const char *dash = strchr(text, '-'), *error = NULL;

	if (dash == NULL || (size_t)(dash - text) >= sizeof(first))
		return -1;
	(void)strlcpy(first, text, (size_t)(dash - text) + 1);
	f->first = (uint64_t)strtonum(first, 1, INT64_MAX, &error);
	if (error != NULL)
		return -1;
	f->last = 0;
	if (dash[1] != '\0')
		f->last = (uint64_t)strtonum(dash + 1, (long long)f->first,
		    INT64_MAX, &error);
	return error == NULL ? 0 : -1;
}

static int
is_outcome(const char *text)
{
	unsigned int i;

	for (i = 0; i < OUTCOME_MAX; i++)
		if (strcmp(outcome_name((enum outcome)i), text) == 0)
			return 1;
	return 0;
}

int
filter_option(struct filter *f, int ch, const char *value)
{
	const char *wanted = NULL;

	switch (ch) {
	case 'o':
		f->owner = value;
		break;
	case 't':
		f->tool = value;
		break;
	case 'N':
		f->node = value;
		break;
	case 'O':
		f->outcome = value;
		if (!is_outcome(value))
			wanted = "an outcome, such as ok or scope_denied";
		break;
	case 'r':
		f->request_id = value;
		if (strlen(value) != ID_TEXT_LEN ||
		    strspn(value, "0123456789abcdef") != ID_TEXT_LEN)
			wanted = "32 hex digits";
		break;
	case 's':
	case 'u':
		if (parse_ago(ch == 's' ? f->since : f->until, value) == -1 &&
		    parse_time(ch == 's' ? f->since : f->until, value) == -1)
			wanted = "like 2026-12-31 or 2026-12-31T23:59:59Z, or "
			    "how long ago: 90m, 12h, 7d";
		break;
	case 'q':
		if (parse_range(f, value) == -1)
			wanted = "FIRST-LAST or FIRST-";
		break;
	default:
		return -1;
	}
	if (wanted == NULL)
		return 0;
	fprintf(stderr, "pontifexctl: -%c %s: must be %s\n", ch, value, wanted);
	return -1;
}

/* ---- matching ---------------------------------------------------------- */

int
filter_string_is(struct slice value, const char *text)
{
	static struct json j;
	struct slice plain;

	if (view_plain(value, &plain) == 0)
		return slice_is(plain, text);
	return value.len > 0 && value.ptr[0] == '"' &&
	    json_parse(&j, value.ptr, value.len) == 0 &&
	    json_string_is(&j, 0, text);
}

static int
time_fits(const struct filter *f, struct slice value)
{
	struct slice text;

	if (f->since[0] == '\0' && f->until[0] == '\0')
		return 1;
	if (view_plain(value, &text) == -1 || text.len != TIME_TEXT_LEN)
		return 0;
	return (f->since[0] == '\0' ||
	    memcmp(text.ptr, f->since, TIME_TEXT_LEN) >= 0) &&
	    (f->until[0] == '\0' ||
	    memcmp(text.ptr, f->until, TIME_TEXT_LEN) < 0);
}

int
filter_matches(const struct filter *f, const struct record_view *v)
{
	const struct {
		const char		*text;
		enum record_field	 field;
	} strings[] = {
		{ f->owner, FIELD_OWNER_ID }, { f->tool, FIELD_TOOL_NAME },
		{ f->outcome, FIELD_OUTCOME },
		{ f->request_id, FIELD_REQUEST_ID },
	};
	struct slice params = v->field[FIELD_TOOL_PARAMS];
	uint64_t seq;
	size_t i;

	if (f->node != NULL && !filter_string_is(v->field[FIELD_NODE], f->node))
		return 0;
	if (f->checkpoints &&
	    filter_string_is(v->field[FIELD_EVENT], "checkpoint"))
		return 1;
	for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if (strings[i].text != NULL && !filter_string_is(
		    v->field[strings[i].field], strings[i].text))
			return 0;
	/* An event has no outcome of its own. */
	if (f->outcome != NULL && view_string_is(v->field[FIELD_KIND], "event"))
		return 0;
	if (f->in_params != NULL && memmem(params.ptr, params.len,
	    f->in_params, strlen(f->in_params)) == NULL)
		return 0;
	if ((f->first != 0 || f->last != 0) &&
	    (view_u64(v->field[FIELD_SEQ], &seq) == -1 || seq < f->first ||
	    (f->last != 0 && seq > f->last)))
		return 0;
	return time_fits(f, v->field[FIELD_TIMESTAMP]);
}
