/* SPDX-License-Identifier: ISC */

/*
 * The strict JSON reader (see json.h for what it refuses) and the string
 * writer.  One pass over the bytes, an explicit stack of JSON_DEPTH_MAX, one
 * table of nodes.  Every byte is hostile; nothing here trusts a length that
 * it has not compared.
 */

#include <errno.h>
#include <math.h>

#include "compat.h"
#include "json.h"

#define NODES_FIRST	64	/* nodes of the first allocation */
#define NUMBER_MAX	64	/* bytes of a number that is converted */
#define SMALL_OBJECT	12	/* members up to which names are compared pairwise */

void
json_init(struct json *j)
{
	memset(j, 0, sizeof(*j));
}

void
json_free(struct json *j)
{
	free(j->nodes);
	json_init(j);
}

static int
fail(struct json *j, const char *error, size_t at)
{
	if (j->error == NULL) {
		j->error = error;
		j->error_at = at;
	}
	return -1;
}

static uint32_t
node_add(struct json *j, enum json_type type, size_t start)
{
	struct json_node *n;
	uint32_t cap;

	if (j->used == j->cap) {
		if (j->cap >= JSON_NODES_MAX) {
			(void)fail(j, "too many values", start);
			return JSON_NONE;
		}
		cap = j->cap == 0 ? NODES_FIRST : j->cap * 2;
		n = reallocarray(j->nodes, cap, sizeof(*n));
		if (n == NULL) {
			(void)fail(j, "out of memory", start);
			return JSON_NONE;
		}
		j->nodes = n;
		j->cap = cap;
	}
	n = &j->nodes[j->used];
	n->type = (uint8_t)type;
	n->escaped = 0;
	n->start = (uint32_t)start;
	n->end = (uint32_t)start;
	n->count = 0;
	n->next = j->used + 1;
	return j->used++;
}

static size_t
skip_space(const struct json *j, size_t at)
{
	while (at < j->len && (j->text[at] == ' ' || j->text[at] == '\n' ||
	    j->text[at] == '\r' || j->text[at] == '\t'))
		at++;
	return at;
}

/*
 * The length of one well-formed UTF-8 sequence (RFC 3629: shortest form, no
 * surrogates, at most U+10FFFF) at s, 0 where it is none.
 */
static size_t
utf8_length(const unsigned char *s, size_t len)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t i, n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (len < n)
		return 0;
	if (s[0] == 0xe0)
		lo = 0xa0;
	else if (s[0] == 0xed)
		hi = 0x9f;
	else if (s[0] == 0xf0)
		lo = 0x90;
	else if (s[0] == 0xf4)
		hi = 0x8f;
	if (s[1] < lo || s[1] > hi)
		return 0;
	for (i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* Four hex digits at s, or -1. */
static int
hex_four(const char *s, size_t len)
{
	int i, d, value = 0;

	if (len < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		if ((d = hex_digit(s[i])) == -1)
			return -1;
		value = value << 4 | d;
	}
	return value;
}

/* Checks the escape whose backslash is at `at'; returns its length or 0. */
static size_t
escape_length(struct json *j, size_t at)
{
	const char *s = j->text + at;
	size_t left = j->len - at;
	int unit, low;

	if (left < 2)
		return 0;
	switch (s[1]) {
	case '"': case '\\': case '/': case 'b':
	case 'f': case 'n': case 'r': case 't':
		return 2;
	case 'u':
		break;
	default:
		return 0;
	}
	if ((unit = hex_four(s + 2, left - 2)) <= 0)
		return 0;	/* U+0000 is refused too */
	if (unit < 0xd800 || unit > 0xdfff)
		return 6;
	if (unit > 0xdbff || left < 12 || s[6] != '\\' || s[7] != 'u')
		return 0;
	low = hex_four(s + 8, left - 8);
	return low >= 0xdc00 && low <= 0xdfff ? 12 : 0;
}

/* The string whose quote is at `at'.  Returns the offset behind it, 0: bad. */
static size_t
scan_string(struct json *j, size_t at)
{
	uint32_t node;
	uint8_t escaped = 0;
	size_t n;
	unsigned char c;

	if ((node = node_add(j, JSON_STRING, ++at)) == JSON_NONE)
		return 0;
	for (;;) {
		if (at >= j->len) {
			(void)fail(j, "string without an end", at);
			return 0;
		}
		c = (unsigned char)j->text[at];
		if (c == '"')
			break;
		if (c == '\\') {
			if ((n = escape_length(j, at)) == 0) {
				(void)fail(j, "bad escape", at);
				return 0;
			}
			escaped = 1;
		} else if (c < 0x20) {
			(void)fail(j, "control character in a string", at);
			return 0;
		} else if (c < 0x80) {
			n = 1;
		} else if ((n = utf8_length(
		    (const unsigned char *)j->text + at, j->len - at)) == 0) {
			(void)fail(j, "invalid UTF-8", at);
			return 0;
		}
		at += n;
	}
	j->nodes[node].end = (uint32_t)at;
	j->nodes[node].escaped = escaped;
	return at + 1;
}

static size_t
digits(const struct json *j, size_t at)
{
	while (at < j->len && j->text[at] >= '0' && j->text[at] <= '9')
		at++;
	return at;
}

/* RFC 8259, 6: [-] int [frac] [exp] */
static size_t
scan_number(struct json *j, size_t start)
{
	enum json_type type = JSON_INTEGER;
	size_t at = start, from;
	uint32_t node;

	if (j->text[at] == '-')
		at++;
	from = at;
	at = digits(j, at);
	if (at == from || (j->text[from] == '0' && at > from + 1))
		goto bad;
	if (at < j->len && j->text[at] == '.') {
		type = JSON_REAL;
		from = ++at;
		if ((at = digits(j, at)) == from)
			goto bad;
	}
	if (at < j->len && (j->text[at] == 'e' || j->text[at] == 'E')) {
		type = JSON_REAL;
		at++;
		if (at < j->len && (j->text[at] == '+' || j->text[at] == '-'))
			at++;
		from = at;
		if ((at = digits(j, at)) == from)
			goto bad;
	}
	if ((node = node_add(j, type, start)) == JSON_NONE)
		return 0;
	j->nodes[node].end = (uint32_t)at;
	return at;
bad:
	(void)fail(j, "bad number", start);
	return 0;
}

static size_t
scan_word(struct json *j, size_t at, const char *word, enum json_type type)
{
	size_t len = strlen(word);
	uint32_t node;

	if (j->len - at < len || memcmp(j->text + at, word, len) != 0) {
		(void)fail(j, "not a value", at);
		return 0;
	}
	if ((node = node_add(j, type, at)) == JSON_NONE)
		return 0;
	j->nodes[node].end = (uint32_t)(at + len);
	return at + len;
}

static size_t
scan_scalar(struct json *j, size_t at)
{
	switch (j->text[at]) {
	case '"':
		return scan_string(j, at);
	case 't':
		return scan_word(j, at, "true", JSON_TRUE);
	case 'f':
		return scan_word(j, at, "false", JSON_FALSE);
	case 'n':
		return scan_word(j, at, "null", JSON_NULL);
	case '-': case '0': case '1': case '2': case '3': case '4':
	case '5': case '6': case '7': case '8': case '9':
		return scan_number(j, at);
	default:
		(void)fail(j, "not a value", at);
		return 0;
	}
}

/* ---- duplicate names --------------------------------------------------- */

/* Reads one unescaped byte sequence (1 to 4 bytes) of a string. */
static size_t
next_char(const char *s, size_t left, unsigned char out[4], size_t *outlen)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *hit;
	uint32_t c;
	size_t used = 6;

	if (s[0] != '\\') {
		out[0] = (unsigned char)s[0];
		*outlen = 1;
		return 1;
	}
	(void)left;
	if (s[1] != 'u') {
		hit = memchr(from, s[1], sizeof(from) - 1);
		out[0] = hit == NULL ? '?' : (unsigned char)to[hit - from];
		*outlen = 1;
		return 2;
	}
	c = (uint32_t)hex_four(s + 2, 4);
	if (c >= 0xd800 && c <= 0xdbff) {
		c = 0x10000 + ((c - 0xd800) << 10) +
		    ((uint32_t)hex_four(s + 8, 4) - 0xdc00);
		used = 12;
	}
	if (c < 0x80) {
		out[0] = (unsigned char)c;
		*outlen = 1;
	} else if (c < 0x800) {
		out[0] = (unsigned char)(0xc0 | c >> 6);
		out[1] = (unsigned char)(0x80 | (c & 0x3f));
		*outlen = 2;
	} else if (c < 0x10000) {
		out[0] = (unsigned char)(0xe0 | c >> 12);
		out[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (unsigned char)(0x80 | (c & 0x3f));
		*outlen = 3;
	} else {
		out[0] = (unsigned char)(0xf0 | c >> 18);
		out[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
		out[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		out[3] = (unsigned char)(0x80 | (c & 0x3f));
		*outlen = 4;
	}
	return used;
}

/* Orders two string nodes by their unescaped bytes. */
static int
compare_strings(const struct json *j, const struct json_node *a,
    const struct json_node *b)
{
	const char *pa = j->text + a->start, *ea = j->text + a->end;
	const char *pb = j->text + b->start, *eb = j->text + b->end;
	unsigned char ca[4], cb[4];
	size_t na = 0, nb = 0, ia = 0, ib = 0, len;
	int rc;

	if (!a->escaped && !b->escaped) {
		len = (size_t)(ea - pa) < (size_t)(eb - pb) ?
		    (size_t)(ea - pa) : (size_t)(eb - pb);
		rc = memcmp(pa, pb, len);
		if (rc != 0)
			return rc;
		return (ea - pa > eb - pb) - (ea - pa < eb - pb);
	}
	for (;;) {
		if (ia == na && pa < ea) {
			pa += next_char(pa, (size_t)(ea - pa), ca, &na);
			ia = 0;
		}
		if (ib == nb && pb < eb) {
			pb += next_char(pb, (size_t)(eb - pb), cb, &nb);
			ib = 0;
		}
		if (ia == na || ib == nb)
			return (ia < na) - (ib < nb);
		if (ca[ia] != cb[ib])
			return ca[ia] < cb[ib] ? -1 : 1;
		ia++;
		ib++;
	}
}

static const struct json *sorting;	/* qsort(3) passes no argument */

static int
compare_indices(const void *a, const void *b)
{
	return compare_strings(sorting,
	    &sorting->nodes[*(const uint32_t *)a],
	    &sorting->nodes[*(const uint32_t *)b]);
}

/* Many members: sort the names, so that a large object costs n log n. */
static int
names_differ_sorted(struct json *j, const struct json_node *object,
    uint32_t first)
{
	uint32_t *names, c, i, n = 0;
	int rc = 0;

	if ((names = reallocarray(NULL, object->count, sizeof(*names))) == NULL)
		return fail(j, "out of memory", object->start);
	for (c = first; n < object->count; c = j->nodes[c + 1].next)
		names[n++] = c;
	sorting = j;
	qsort(names, n, sizeof(*names), compare_indices);
	for (i = 1; i < n && rc == 0; i++)
		if (compare_strings(j, &j->nodes[names[i - 1]],
		    &j->nodes[names[i]]) == 0)
			rc = fail(j, "duplicate name",
			    j->nodes[names[i]].start);
	free(names);
	return rc;
}

static int
names_differ(struct json *j, uint32_t object)
{
	const struct json_node *o = &j->nodes[object];
	uint32_t a, b, end = o->next;

	if (o->count > SMALL_OBJECT)
		return names_differ_sorted(j, o, object + 1);
	for (a = object + 1; a < end; a = j->nodes[a + 1].next)
		for (b = j->nodes[a + 1].next; b < end; b = j->nodes[b + 1].next)
			if (compare_strings(j, &j->nodes[a], &j->nodes[b]) == 0)
				return fail(j, "duplicate name",
				    j->nodes[b].start);
	return 0;
}

/* ---- the parse --------------------------------------------------------- */

/* Closes the innermost container; `at' is behind its bracket. */
static int
close_container(struct json *j, uint32_t node, size_t at)
{
	j->nodes[node].end = (uint32_t)at;
	j->nodes[node].next = j->used;
	if (j->nodes[node].type == JSON_OBJECT)
		return names_differ(j, node);
	return 0;
}

/* A member's name and its colon.  Returns where the value starts, 0: bad. */
static size_t
scan_name(struct json *j, size_t at)
{
	if (at >= j->len || j->text[at] != '"') {
		(void)fail(j, "a name must be a string", at);
		return 0;
	}
	if ((at = scan_string(j, at)) == 0)
		return 0;
	at = skip_space(j, at);
	if (at >= j->len || j->text[at] != ':') {
		(void)fail(j, "no colon after a name", at);
		return 0;
	}
	return skip_space(j, at + 1);
}

int
json_parse(struct json *j, const char *text, size_t len)
{
	uint32_t stack[JSON_DEPTH_MAX], node;
	size_t at, depth = 0;
	int object, first;

	j->text = text;
	j->len = len;
	j->used = 0;
	j->error = NULL;
	j->error_at = 0;
	if (len >= UINT32_MAX)
		return fail(j, "too large", 0);
	at = skip_space(j, 0);
value:
	if (at >= len)
		return fail(j, "ends before a value", at);
	if (text[at] != '{' && text[at] != '[') {
		if ((at = scan_scalar(j, at)) == 0)
			return -1;
		goto after;
	}
	if (depth == JSON_DEPTH_MAX)
		return fail(j, "nested too deeply", at);
	object = text[at] == '{';
	if ((node = node_add(j, object ? JSON_OBJECT : JSON_ARRAY, at)) ==
	    JSON_NONE)
		return -1;
	stack[depth++] = node;
	at = skip_space(j, at + 1);
	first = 1;
next:
	node = stack[depth - 1];
	object = j->nodes[node].type == JSON_OBJECT;
	if (first && at < len && text[at] == (object ? '}' : ']')) {
		at++;
		if (close_container(j, node, at) == -1)
			return -1;
		depth--;
		goto after;
	}
	j->nodes[node].count++;
	if (object && (at = scan_name(j, at)) == 0)
		return -1;
	goto value;
after:
	at = skip_space(j, at);
	if (depth == 0) {
		if (at != len)
			return fail(j, "something after the value", at);
		return 0;
	}
	node = stack[depth - 1];
	object = j->nodes[node].type == JSON_OBJECT;
	if (at >= len)
		return fail(j, "ends inside a value", at);
	if (text[at] == ',') {
		at = skip_space(j, at + 1);
		first = 0;
		goto next;
	}
	if (text[at] != (object ? '}' : ']'))
		return fail(j, "neither a comma nor the end", at);
	at++;
	if (close_container(j, node, at) == -1)
		return -1;
	depth--;
	goto after;
}

/* ---- asking ------------------------------------------------------------ */

int
json_is(const struct json *j, uint32_t node, enum json_type type)
{
	return node < j->used && j->nodes[node].type == (uint8_t)type;
}

int
json_string_is(const struct json *j, uint32_t node, const char *s)
{
	const struct json_node *n;
	const char *at, *end;
	unsigned char c[4];
	size_t len, i;

	if (!json_is(j, node, JSON_STRING))
		return 0;
	n = &j->nodes[node];
	len = strlen(s);
	if (!n->escaped)
		return n->end - n->start == len &&
		    memcmp(j->text + n->start, s, len) == 0;
	at = j->text + n->start;
	end = j->text + n->end;
	while (at < end) {
		at += next_char(at, (size_t)(end - at), c, &i);
		if (strlen(s) < i || memcmp(s, c, i) != 0)
			return 0;
		s += i;
	}
	return *s == '\0';
}

uint32_t
json_member(const struct json *j, uint32_t object, const char *name)
{
	uint32_t c;

	if (!json_is(j, object, JSON_OBJECT))
		return JSON_NONE;
	for (c = object + 1; c < j->nodes[object].next;
	    c = j->nodes[c + 1].next)
		if (json_string_is(j, c, name))
			return c + 1;
	return JSON_NONE;
}

int
json_plain(const struct json *j, uint32_t node, struct slice *sl)
{
	if (!json_is(j, node, JSON_STRING) || j->nodes[node].escaped)
		return 0;
	sl->ptr = j->text + j->nodes[node].start;
	sl->len = j->nodes[node].end - j->nodes[node].start;
	return 1;
}

int
json_string(const struct json *j, uint32_t node, struct buffer *out)
{
	const char *at, *end;
	unsigned char c[4];
	struct slice sl;
	size_t i;

	if (!json_is(j, node, JSON_STRING))
		return -1;
	if (json_plain(j, node, &sl))
		return buffer_add_slice(out, sl);
	at = j->text + j->nodes[node].start;
	end = j->text + j->nodes[node].end;
	while (at < end) {
		at += next_char(at, (size_t)(end - at), c, &i);
		if (buffer_add(out, c, i) == -1)
			return -1;
	}
	return 0;
}

int
json_copy(const struct json *j, uint32_t node, char *out, size_t size)
{
	const char *at, *end;
	unsigned char c[4];
	size_t i, n = 0;

	if (!json_is(j, node, JSON_STRING) || size == 0)
		return -1;
	at = j->text + j->nodes[node].start;
	end = j->text + j->nodes[node].end;
	while (at < end) {
		at += next_char(at, (size_t)(end - at), c, &i);
		if (i >= size - n)
			return -1;
		memcpy(out + n, c, i);
		n += i;
	}
	out[n] = '\0';
	return 0;
}

struct slice
json_raw(const struct json *j, uint32_t node)
{
	struct slice sl = { "", 0 };
	const struct json_node *n;

	if (node >= j->used)
		return sl;
	n = &j->nodes[node];
	sl.ptr = j->text + n->start;
	sl.len = n->end - n->start;
	if (n->type == JSON_STRING) {
		sl.ptr--;
		sl.len += 2;
	}
	return sl;
}

int
json_integer(const struct json *j, uint32_t node, int64_t *value)
{
	struct slice sl = json_raw(j, node);
	char text[NUMBER_MAX], *end;
	long long n;

	if (!json_is(j, node, JSON_INTEGER) || sl.len >= sizeof(text))
		return -1;
	memcpy(text, sl.ptr, sl.len);
	text[sl.len] = '\0';
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0 || *end != '\0')
		return -1;
	*value = n;
	return 0;
}

int
json_real(const struct json *j, uint32_t node, double *value)
{
	struct slice sl = json_raw(j, node);
	char text[NUMBER_MAX], *end;

	if ((!json_is(j, node, JSON_INTEGER) && !json_is(j, node, JSON_REAL)) ||
	    sl.len >= sizeof(text))
		return -1;
	memcpy(text, sl.ptr, sl.len);
	text[sl.len] = '\0';
	*value = strtod(text, &end);
	return *end != '\0' || !isfinite(*value) ? -1 : 0;
}

/* ---- writing ----------------------------------------------------------- */

/* Bytes that may stand in a JSON string as they are. */
static size_t
plain_run(const unsigned char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (s[i] < 0x20 || s[i] == '"' || s[i] == '\\' || s[i] >= 0x7f)
			break;
	return i;
}

static int
write_escape(struct buffer *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char u[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

	switch (c) {
	case '"':
		return buffer_add(b, "\\\"", 2);
	case '\\':
		return buffer_add(b, "\\\\", 2);
	case '\n':
		return buffer_add(b, "\\n", 2);
	case '\r':
		return buffer_add(b, "\\r", 2);
	case '\t':
		return buffer_add(b, "\\t", 2);
	default:
		return buffer_add(b, u, sizeof(u));
	}
}

int
json_write_string(struct buffer *b, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t i = 0, n;

	(void)buffer_add_char(b, '"');
	while (i < len) {
		if ((n = plain_run(s + i, len - i)) > 0) {
			(void)buffer_add(b, s + i, n);
		} else if (s[i] <= 0x7f) {
			(void)write_escape(b, s[i]);
			n = 1;
		} else if ((n = utf8_length(s + i, len - i)) > 0) {
			(void)buffer_add(b, s + i, n);
		} else {
			(void)buffer_add(b, "\xef\xbf\xbd", 3);
			n = 1;
		}
		i += n;
	}
	return buffer_add_char(b, '"');
}

int
json_write_cstr(struct buffer *b, const char *s)
{
	return json_write_string(b, s, strlen(s));
}

int
json_write_member(struct buffer *b, const char *name, const char *value)
{
	(void)json_write_cstr(b, name);
	(void)buffer_add_char(b, ':');
	return json_write_cstr(b, value);
}
