/* SPDX-License-Identifier: ISC */

/*
 * Writing and taking apart of audit lines.  Writing is on the way of every
 * call, so a line is built by appends alone.  Reading goes by the fixed order
 * of members: what does not follow it byte by byte is no record, whoever
 * wrote it.
 */

#include <stdio.h>
#include <time.h>

#include "compat.h"
#include "crypt.h"
#include "json.h"
#include "record.h"

#define TIME_US_MAX	253402300799999999ULL	/* the end of year 9999 */
#define PREV_NAME	",\"prev_hash\":\""
#define HASH_NAME	"\",\"hash\":\""
#define LINE_END	"\"}"

static const char *const kinds[RECORD_KIND_MAX] = {
	[RECORD_CALL] = "call", [RECORD_REFUSAL] = "refusal",
	[RECORD_INTENT] = "intent", [RECORD_OUTCOME] = "outcome",
	[RECORD_EVENT] = "event",
};

static const char *const credentials[CREDENTIAL_KIND_MAX] = {
	[CREDENTIAL_NONE] = "null", [CREDENTIAL_KEY] = "\"key\"",
	[CREDENTIAL_TOKEN] = "\"token\"",
};

/* With the punctuation before the value, so that one append does it. */
static const char *const members[FIELD_MAX] = {
	[FIELD_SEQ] = "{\"seq\":",
	[FIELD_NODE] = ",\"node\":",
	[FIELD_TIMESTAMP] = ",\"timestamp\":",
	[FIELD_KIND] = ",\"kind\":",
	[FIELD_EVENT] = ",\"event\":",
	[FIELD_REQUEST_ID] = ",\"request_id\":",
	[FIELD_CALLS] = ",\"calls\":",
	[FIELD_OUTCOME] = ",\"outcome\":",
	[FIELD_REASON] = ",\"reason\":",
	[FIELD_NAMESPACE] = ",\"namespace\":",
	[FIELD_CREDENTIAL] = ",\"credential\":",
	[FIELD_KEY_ID] = ",\"key_id\":",
	[FIELD_OWNER_ID] = ",\"owner_id\":",
	[FIELD_OWNER_LABEL] = ",\"owner_label\":",
	[FIELD_TRANSPORT] = ",\"transport\":",
	[FIELD_METHOD] = ",\"method\":",
	[FIELD_TOOL_NAME] = ",\"tool_name\":",
	[FIELD_TOOL_PARAMS] = ",\"tool_params\":",
	[FIELD_DATA_SOURCE] = ",\"data_source\":",
	[FIELD_CACHE_HIT] = ",\"cache_hit\":",
	[FIELD_RESPONSE_MS] = ",\"response_ms\":",
	[FIELD_RESPONSE_US] = ",\"response_us\":",
	[FIELD_QUEUE_US] = ",\"queue_us\":",
	[FIELD_SOURCE_US] = ",\"source_us\":",
	[FIELD_ROWS] = ",\"rows\":",
	[FIELD_BYTES] = ",\"bytes\":",
	[FIELD_TRUNCATED] = ",\"truncated\":",
	[FIELD_ERROR] = ",\"error\":",
	[FIELD_IP_ADDRESS] = ",\"ip_address\":",
	[FIELD_VIA] = ",\"via\":",
	[FIELD_DELEGATED_AUDIENCE] = ",\"delegated_audience\":",
	[FIELD_REVISION] = ",\"revision\":",
	[FIELD_CLIENT] = ",\"client\":",
	[FIELD_TRACEPARENT] = ",\"traceparent\":",
	[FIELD_TOOL_DIGEST] = ",\"tool_digest\":",
	[FIELD_CONFIG_DIGEST] = ",\"config_digest\":",
	[FIELD_UNDECIDED] = ",\"undecided\":",
	[FIELD_DETAIL] = ",\"detail\":",
	[FIELD_PREV_HASH] = ",\"prev_hash\":",
	[FIELD_HASH] = ",\"hash\":",
};

const char *
record_kind_name(enum record_kind kind)
{
	return (unsigned int)kind < RECORD_KIND_MAX ? kinds[kind] : "unknown";
}

const char *
record_field_name(enum record_field field)
{
	static char name[32];
	size_t len;

	if ((unsigned int)field >= FIELD_MAX)
		return "unknown";
	/* Between the quotes. */
	(void)strlcpy(name, members[field] + 2, sizeof(name));
	len = strcspn(name, "\"");
	name[len] = '\0';
	return name;
}

/* ---- writing ----------------------------------------------------------- */

void
record_time(char *to, uint64_t time_us)
{
	static char second[TIME_TEXT_LEN + 6];
	static time_t last = -1;
	char fraction[16];
	struct tm tm;
	time_t t;

	if (time_us > TIME_US_MAX)
		time_us = TIME_US_MAX;
	t = (time_t)(time_us / 1000000);
	if (t != last) {
		(void)gmtime_r(&t, &tm);
		(void)strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S.",
		    &tm);
		last = t;
	}
	time_us %= 1000000;
	for (size_t i = 6; i > 0; time_us /= 10)
		fraction[--i] = (char)('0' + time_us % 10);
	memcpy(to, second, TIME_TEXT_LEN - 7);
	memcpy(to + TIME_TEXT_LEN - 7, fraction, 6);
	to[TIME_TEXT_LEN - 1] = 'Z';
	to[TIME_TEXT_LEN] = '\0';
}

static void
name(struct buffer *b, enum record_field field)
{
	(void)buffer_add_cstr(b, members[field]);
}

static void
raw(struct buffer *b, enum record_field field, const char *value)
{
	name(b, field);
	(void)buffer_add_cstr(b, value);
}

static void
boolean(struct buffer *b, enum record_field field, int value)
{
	raw(b, field, value ? "true" : "false");
}

static void
number(struct buffer *b, enum record_field field, int known, uint64_t value)
{
	name(b, field);
	if (known)
		(void)buffer_add_u64(b, value);
	else
		(void)buffer_add_cstr(b, "null");
}

static void
string(struct buffer *b, enum record_field field, struct slice value)
{
	name(b, field);
	if (value.len == 0)
		(void)buffer_add_cstr(b, "null");
	else
		(void)json_write_string(b, value.ptr, value.len);
}

/* A word of our own: nothing in it needs escaping. */
static void
word(struct buffer *b, enum record_field field, const char *value)
{
	name(b, field);
	(void)buffer_add_char(b, '"');
	(void)buffer_add_cstr(b, value);
	(void)buffer_add_char(b, '"');
}

static void
object(struct buffer *b, enum record_field field, struct slice value)
{
	name(b, field);
	if (value.len == 0)
		(void)buffer_add_cstr(b, "null");
	else
		(void)buffer_add_slice(b, value);
}

static void
write_head(struct buffer *b, uint64_t seq, const struct record *r)
{
	char when[TIME_TEXT_LEN + 1];

	number(b, FIELD_SEQ, 1, seq);
	name(b, FIELD_NODE);
	(void)json_write_string(b, r->node.ptr, r->node.len);
	record_time(when, r->time_us);
	word(b, FIELD_TIMESTAMP, when);
	word(b, FIELD_KIND, record_kind_name(r->kind));
	string(b, FIELD_EVENT, r->event);
	name(b, FIELD_REQUEST_ID);
	if (r->has_request) {
		(void)buffer_add_char(b, '"');
		(void)buffer_add_hex(b, r->request_id, REQUEST_ID_LEN);
		(void)buffer_add_char(b, '"');
	} else {
		(void)buffer_add_cstr(b, "null");
	}
	number(b, FIELD_CALLS, 1, r->calls);
	/* What is about to happen has no outcome yet. */
	if (r->kind == RECORD_INTENT)
		raw(b, FIELD_OUTCOME, "null");
	else
		word(b, FIELD_OUTCOME, outcome_name(r->outcome));
	if (r->reason == REASON_NONE)
		raw(b, FIELD_REASON, "null");
	else
		word(b, FIELD_REASON, reason_name(r->reason));
}

static void
write_who(struct buffer *b, const struct record *r)
{
	string(b, FIELD_NAMESPACE, r->namespace);
	raw(b, FIELD_CREDENTIAL, r->credential < CREDENTIAL_KIND_MAX ?
	    credentials[r->credential] : "null");
	string(b, FIELD_KEY_ID, r->key_id);
	string(b, FIELD_OWNER_ID, r->owner);
	string(b, FIELD_OWNER_LABEL, r->label);
	raw(b, FIELD_TRANSPORT, r->kind == RECORD_EVENT ? "null" : "\"http\"");
	string(b, FIELD_METHOD, r->method);
	string(b, FIELD_TOOL_NAME, r->tool);
}

static void
write_what(struct buffer *b, const struct record *r)
{
	int failed = r->kind != RECORD_INTENT && r->outcome != OUTCOME_OK;

	object(b, FIELD_TOOL_PARAMS, r->params);
	string(b, FIELD_DATA_SOURCE, r->source);
	boolean(b, FIELD_CACHE_HIT, r->cache_hit);
	number(b, FIELD_RESPONSE_MS, r->ran, (r->response_us + 500ULL) / 1000);
	number(b, FIELD_RESPONSE_US, r->ran, r->response_us);
	number(b, FIELD_QUEUE_US, r->ran, r->queue_us);
	number(b, FIELD_SOURCE_US, r->ran, r->source_us);
	number(b, FIELD_ROWS, r->ran, r->rows);
	number(b, FIELD_BYTES, r->ran, r->bytes);
	boolean(b, FIELD_TRUNCATED, r->truncated);
	if (failed)
		word(b, FIELD_ERROR, outcome_name(r->outcome));
	else
		raw(b, FIELD_ERROR, "null");
}

static void
write_where(struct buffer *b, const struct record *r)
{
	string(b, FIELD_IP_ADDRESS, r->peer);
	string(b, FIELD_VIA, r->via);
	raw(b, FIELD_DELEGATED_AUDIENCE, "null");
	string(b, FIELD_REVISION, r->revision);
	string(b, FIELD_CLIENT, r->client);
	string(b, FIELD_TRACEPARENT, r->traceparent);
	string(b, FIELD_TOOL_DIGEST, r->tool_digest);
	string(b, FIELD_CONFIG_DIGEST, r->config_digest);
	boolean(b, FIELD_UNDECIDED, r->undecided);
	object(b, FIELD_DETAIL, r->detail);
}

int
record_write(struct buffer *b, uint64_t seq, const struct record *r,
    const uint8_t prev[DIGEST_LEN], uint8_t hash[DIGEST_LEN])
{
	char prev_text[HASH_TEXT_LEN + 1], hash_text[HASH_TEXT_LEN + 1];
	size_t start = b->len;

	write_head(b, seq, r);
	write_who(b, r);
	write_what(b, r);
	write_where(b, r);
	/* The brace is hashed, and then written over by the two hashes. */
	(void)buffer_add_char(b, '}');
	if (b->bad || b->len - start + RECORD_TAIL_LEN > RECORD_MAX) {
		b->bad = 0;
		b->len = start;
		return -1;
	}
	hex_encode(prev_text, prev, DIGEST_LEN);
	sha256_2(prev_text, HASH_TEXT_LEN, b->data + start, b->len - start,
	    hash);
	hex_encode(hash_text, hash, DIGEST_LEN);
	b->len--;
	(void)buffer_add(b, PREV_NAME, sizeof(PREV_NAME) - 1);
	(void)buffer_add(b, prev_text, HASH_TEXT_LEN);
	(void)buffer_add(b, HASH_NAME, sizeof(HASH_NAME) - 1);
	(void)buffer_add(b, hash_text, HASH_TEXT_LEN);
	if (buffer_add(b, LINE_END "\n", sizeof(LINE_END)) == -1) {
		b->bad = 0;
		b->len = start;
		return -1;
	}
	return 0;
}

/* ---- reading ----------------------------------------------------------- */

int
record_hashes(const char *line, size_t len, uint8_t prev[DIGEST_LEN],
    uint8_t hash[DIGEST_LEN])
{
	static struct buffer text = { .max = RECORD_MAX };
	const char *tail;
	uint8_t sum[DIGEST_LEN];

	if (len <= RECORD_TAIL_LEN || len >= RECORD_MAX || line[0] != '{')
		return -1;
	tail = line + len - RECORD_TAIL_LEN;
	if (memcmp(tail, PREV_NAME, sizeof(PREV_NAME) - 1) != 0 ||
	    memcmp(tail + 14 + HASH_TEXT_LEN, HASH_NAME,
	    sizeof(HASH_NAME) - 1) != 0 ||
	    memcmp(line + len - 2, LINE_END, 2) != 0 ||
	    hex_decode(prev, DIGEST_LEN, tail + 14, HASH_TEXT_LEN) == -1 ||
	    hex_decode(hash, DIGEST_LEN, tail + 24 + HASH_TEXT_LEN,
	    HASH_TEXT_LEN) == -1)
		return -1;
	buffer_clear(&text);
	(void)buffer_add(&text, line, len - RECORD_TAIL_LEN);
	if (buffer_add_char(&text, '}') == -1)
		return -1;
	sha256_2(tail + 14, HASH_TEXT_LEN, text.data, text.len, sum);
	return digest_equal(sum, hash) ? 0 : -1;
}

/* Each returns where the value ends, NULL: not one. */

static const char *
skip_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++) {
		if (*at == '\\')
			at++;
		else if ((unsigned char)*at < 0x20)
			return NULL;
	}
	return at < end ? at + 1 : NULL;
}

/* An object: json.c decides elsewhere whether it is a good one. */
static const char *
skip_object(const char *at, const char *end)
{
	size_t depth = 0;

	while (at < end) {
		if (*at == '"') {
			if ((at = skip_string(at, end)) == NULL)
				return NULL;
			continue;
		}
		if (*at == '{' || *at == '[')
			depth++;
		else if ((*at == '}' || *at == ']') && --depth == 0)
			return at + 1;
		at++;
	}
	return NULL;
}

static const char *
skip_value(const char *at, const char *end)
{
	const char *start = at;

	if (at >= end)
		return NULL;
	if (*at == '"')
		return skip_string(at, end);
	if (*at == '{')
		return skip_object(at, end);
	while (at < end && ((*at >= '0' && *at <= '9') ||
	    (*at >= 'a' && *at <= 'z')))
		at++;
	return at > start ? at : NULL;
}

int
record_view(const char *line, size_t len, struct record_view *v)
{
	const char *at = line, *end = line + len, *value;
	size_t i, n;

	for (i = 0; i < FIELD_MAX; i++) {
		n = strlen(members[i]);
		if ((size_t)(end - at) < n || memcmp(at, members[i], n) != 0)
			return -1;
		value = at + n;
		if ((at = skip_value(value, end)) == NULL)
			return -1;
		v->field[i].ptr = value;
		v->field[i].len = (size_t)(at - value);
	}
	return end - at == 1 && *at == '}' ? 0 : -1;
}

int
record_seq(const char *line, size_t len, uint64_t *seq)
{
	struct slice digits;
	size_t n = strlen(members[FIELD_SEQ]);

	if (len < n || memcmp(line, members[FIELD_SEQ], n) != 0)
		return -1;
	digits.ptr = line + n;
	digits.len = 0;
	while (n + digits.len < len && digits.ptr[digits.len] != ',')
		digits.len++;
	return view_u64(digits, seq);
}

int
view_is_null(struct slice value)
{
	return slice_is(value, "null");
}

int
view_u64(struct slice value, uint64_t *n)
{
	size_t i;

	*n = 0;
	if (value.len == 0 || value.len > 20 ||
	    (value.len > 1 && value.ptr[0] == '0'))
		return -1;
	for (i = 0; i < value.len; i++)
		if (value.ptr[i] < '0' || value.ptr[i] > '9' ||
		    __builtin_mul_overflow(*n, (uint64_t)10, n) ||
		    __builtin_add_overflow(*n,
		    (uint64_t)(value.ptr[i] - '0'), n))
			return -1;
	return 0;
}

int
view_plain(struct slice value, struct slice *text)
{
	if (value.len < 2 || value.ptr[0] != '"' ||
	    memchr(value.ptr, '\\', value.len) != NULL)
		return -1;
	text->ptr = value.ptr + 1;
	text->len = value.len - 2;
	return 0;
}

int
view_string_is(struct slice value, const char *s)
{
	struct slice text;

	return view_plain(value, &text) == 0 && slice_is(text, s);
}

enum outcome
view_outcome(struct slice value)
{
	unsigned int i;

	for (i = 0; i < OUTCOME_MAX; i++)
		if (view_string_is(value, outcome_name((enum outcome)i)))
			break;
	return (enum outcome)i;
}

enum record_kind
view_kind(struct slice value)
{
	unsigned int i;

	for (i = 0; i < RECORD_KIND_MAX; i++)
		if (view_string_is(value, kinds[i]))
			break;
	return (enum record_kind)i;
}

int
view_request_id(struct slice value, uint8_t id[REQUEST_ID_LEN])
{
	struct slice text;

	if (view_plain(value, &text) == -1)
		return -1;
	return hex_decode(id, REQUEST_ID_LEN, text.ptr, text.len);
}
