/* SPDX-License-Identifier: ISC */

/*
 * A strict, incremental reader of HTTP/1.1 requests (RFC 9112).  Where the
 * RFC lets a recipient choose between repair and refusal, it refuses: a line
 * feed without its carriage return, a folded field, white space before a
 * colon, two lengths, a length beside a transfer coding, any coding but
 * chunked, HTTP/1.0.  What two readers could understand differently is what
 * requests are smuggled with.
 *
 * Every byte is hostile.  Nothing is decided about a line before it is
 * complete, so that how the bytes were cut on their way changes nothing.
 */

#include <strings.h>

#include "listener.h"

#define BIT(f)		(1U << (unsigned int)(f))
#define CHUNK_DIGITS	8	/* hex digits of a chunk's size */
#define LENGTH_DIGITS	18	/* of a Content-Length that is looked at */

#define KNOWN(name, field)	{ name, sizeof(name) - 1, field }

static const struct {
	const char	*name;
	size_t		 len;
	enum http_field	 field;
} known[] = {
	KNOWN("host", FIELD_HOST),
	KNOWN("origin", FIELD_ORIGIN),
	KNOWN("authorization", FIELD_AUTHORIZATION),
	KNOWN("content-type", FIELD_CONTENT_TYPE),
	KNOWN("content-length", FIELD_CONTENT_LENGTH),
	KNOWN("transfer-encoding", FIELD_TRANSFER_ENCODING),
	KNOWN("content-encoding", FIELD_CONTENT_ENCODING),
	KNOWN("expect", FIELD_EXPECT),
	KNOWN("mcp-protocol-version", FIELD_MCP_VERSION),
	KNOWN("mcp-method", FIELD_MCP_METHOD),
	KNOWN("mcp-name", FIELD_MCP_NAME),
};

void
http_begin(struct http_request *r)
{
	/* Spans are only read where a bit or a count says so. */
	r->phase = PHASE_LINE;
	r->at = r->scanned = r->fields = r->mcp_names = r->present = 0;
	r->forwards = r->traces = 0;
	r->length = 0;
	r->chunked = r->close = r->expects = 0;
	r->head_end = r->body_len = r->chunk_left = 0;
	r->extensions = r->trailer_bytes = r->trailers = 0;
	r->status = 0;
	r->error = NULL;
}

struct slice
http_span(const struct buffer *in, struct span span)
{
	struct slice sl = { (const char *)in->data + span.at, span.len };

	return sl;
}

struct slice
http_field(const struct http_request *r, const struct buffer *in,
    enum http_field field)
{
	struct slice none = { NULL, 0 };

	return (r->present & BIT(field)) ? http_span(in, r->field[field]) :
	    none;
}

int
http_has_body(const struct http_request *r)
{
	return r->chunked || r->length > 0;
}

int
slice_is_nocase(struct slice sl, const char *s)
{
	return sl.len == strlen(s) && strncasecmp(sl.ptr, s, sl.len) == 0;
}

static int
fail(struct http_request *r, int status, const char *error)
{
	r->phase = PHASE_FAILED;
	r->status = status;
	r->error = error;
	return -1;
}

/* RFC 9110, 5.6.2 */
static int
is_token_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static int
is_token(struct slice sl)
{
	size_t i;

	for (i = 0; i < sl.len; i++)
		if (!is_token_char((unsigned char)sl.ptr[i]))
			return 0;
	return sl.len > 0;
}

/* Text of a field value; bytes above ASCII only where nobody reads them. */
static int
is_text(struct slice sl, int ascii)
{
	size_t i;
	unsigned char c;

	for (i = 0; i < sl.len; i++) {
		c = (unsigned char)sl.ptr[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f ||
		    (ascii && c > 0x7f))
			return 0;
	}
	return 1;
}

/*
 * The next line, without its end.  Returns 1, 0 where it is not complete, -1
 * where it is longer than max bytes (`status' then) or ends with a bare LF.
 */
static int
take_line(struct http_request *r, const struct buffer *in, size_t max,
    int status, struct span *line)
{
	const unsigned char *lf = NULL;
	size_t len;

	if (in->len > r->scanned)
		lf = memchr(in->data + r->scanned, '\n',
		    in->len - r->scanned);
	len = lf == NULL ? in->len - r->at : (size_t)(lf - in->data) - r->at;
	if (len > max)
		return fail(r, status, "A line of the request is too long.");
	if (lf == NULL) {
		r->scanned = (uint32_t)in->len;
		return 0;
	}
	if (len == 0 || lf[-1] != '\r')
		return fail(r, 400, "A line ends without a carriage return.");
	line->at = r->at;
	line->len = (uint32_t)len - 1;
	r->at += (uint32_t)len + 1;
	r->scanned = r->at;
	return 1;
}

/* ---- the head ---------------------------------------------------------- */

static int
check_version(struct http_request *r, struct slice version)
{
	if (slice_is(version, "HTTP/1.1"))
		return 0;
	if (version.len == 8 && memcmp(version.ptr, "HTTP/", 5) == 0 &&
	    version.ptr[5] >= '0' && version.ptr[5] <= '9' &&
	    version.ptr[6] == '.' && version.ptr[7] >= '0' &&
	    version.ptr[7] <= '9')
		return fail(r, 505, "Only HTTP/1.1 is served.");
	return fail(r, 400, "The request line has no HTTP version.");
}

/* method SP request-target SP HTTP-version */
static int
read_request_line(struct http_request *r, const struct buffer *in,
    struct span line)
{
	struct slice text = http_span(in, line), version;
	const char *a, *b;
	size_t i;

	a = text.len == 0 ? NULL : memchr(text.ptr, ' ', text.len);
	if (a == NULL)
		return fail(r, 400, "The request line is malformed.");
	b = memchr(a + 1, ' ', text.len - (size_t)(a + 1 - text.ptr));
	if (b == NULL)
		return fail(r, 400, "The request line is malformed.");
	r->method.at = line.at;
	r->method.len = (uint32_t)(a - text.ptr);
	r->target.at = line.at + r->method.len + 1;
	r->target.len = (uint32_t)(b - a - 1);
	version.ptr = b + 1;
	version.len = text.len - (size_t)(version.ptr - text.ptr);
	if (!is_token(http_span(in, r->method)) || r->target.len == 0)
		return fail(r, 400, "The request line is malformed.");
	for (i = 0; i < r->target.len; i++)
		if (a[1 + i] <= 0x20 || a[1 + i] >= 0x7f || a[1 + i] == '#')
			return fail(r, 400, "The request target has "
			    "characters that may not stand in it.");
	if (check_version(r, version) == -1)
		return -1;
	r->head = slice_is(http_span(in, r->method), "HEAD");
	r->phase = PHASE_FIELDS;
	return 0;
}

static int
read_length(struct http_request *r, struct slice value)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < value.len; i++)
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return fail(r, 400, "Content-Length is not a number.");
	if (value.len == 0 || (value.len > 1 && value.ptr[0] == '0'))
		return fail(r, 400, "Content-Length is not a plain number.");
	for (i = 0; i < value.len && i < LENGTH_DIGITS; i++)
		n = n * 10 + (uint64_t)(value.ptr[i] - '0');
	r->length = value.len > LENGTH_DIGITS ? UINT64_MAX : n;
	return 0;
}

static struct slice
trim(struct slice sl)
{
	while (sl.len > 0 && (sl.ptr[0] == ' ' || sl.ptr[0] == '\t')) {
		sl.ptr++;
		sl.len--;
	}
	while (sl.len > 0 && (sl.ptr[sl.len - 1] == ' ' ||
	    sl.ptr[sl.len - 1] == '\t'))
		sl.len--;
	return sl;
}

/* Connection is a list and may come more than once. */
static void
read_connection(struct http_request *r, struct slice value)
{
	const char *comma;
	struct slice one;

	while (value.len > 0) {
		comma = memchr(value.ptr, ',', value.len);
		one.ptr = value.ptr;
		one.len = comma == NULL ? value.len :
		    (size_t)(comma - value.ptr);
		if (slice_is_nocase(trim(one), "close"))
			r->close = 1;
		value.ptr += one.len + (comma != NULL);
		value.len -= one.len + (comma != NULL);
	}
}

/* A field of the protocol (Mcp-*) that comes twice says two things. */
static int
check_mcp_name(struct http_request *r, const struct buffer *in,
    struct span name)
{
	struct slice sl = http_span(in, name), other;
	uint32_t i;

	if (sl.len < 4 || strncasecmp(sl.ptr, "mcp-", 4) != 0)
		return 0;
	for (i = 0; i < r->mcp_names; i++) {
		other = http_span(in, r->mcp_name[i]);
		if (other.len == sl.len &&
		    strncasecmp(other.ptr, sl.ptr, sl.len) == 0)
			return fail(r, 400, "A header field that may come "
			    "once came twice.");
	}
	/* As many as there may be fields: checked by the caller. */
	r->mcp_name[r->mcp_names++] = name;
	return 0;
}

static int
known_field(struct http_request *r, enum http_field field, struct slice value,
    struct span span)
{
	if (r->present & BIT(field))
		return fail(r, 400,
		    "A header field that may come once came twice.");
	if (!is_text(value, 1))
		return fail(r, 400, "A header field has bytes outside ASCII.");
	r->present |= BIT(field);
	r->field[field] = span;
	switch (field) {
	case FIELD_CONTENT_LENGTH:
		return read_length(r, value);
	case FIELD_TRANSFER_ENCODING:
		r->chunked = 1;
		if (!slice_is_nocase(value, "chunked"))
			return fail(r, 400, "No transfer coding is taken "
			    "but chunked.");
		return 0;
	case FIELD_EXPECT:
		r->expects = 1;
		if (!slice_is_nocase(value, "100-continue"))
			return fail(r, 417, "No expectation is met but "
			    "100-continue.");
		return 0;
	default:
		return 0;
	}
}

/* field-name ":" OWS field-value OWS; names are tokens, nothing is folded. */
static int
split_field(struct http_request *r, const struct buffer *in, struct span line,
    struct span *name, struct span *value)
{
	struct slice text = http_span(in, line), sl;
	const char *colon = memchr(text.ptr, ':', text.len);

	if (colon == NULL)
		return fail(r, 400, "A header line has no colon.");
	name->at = line.at;
	name->len = (uint32_t)(colon - text.ptr);
	if (!is_token(http_span(in, *name)))
		return fail(r, 400, "A header field's name is malformed.");
	sl.ptr = colon + 1;
	sl.len = text.len - name->len - 1;
	if (!is_text(sl, 0))
		return fail(r, 400, "A header field has control characters.");
	sl = trim(sl);
	value->at = line.at + (uint32_t)(sl.ptr - text.ptr);
	value->len = (uint32_t)sl.len;
	return 0;
}

static int
read_field(struct http_request *r, const struct buffer *in, struct span line)
{
	struct span name, value;
	struct slice sl;
	size_t i;

	if (++r->fields > HTTP_FIELDS_MAX)
		return fail(r, 431, "Too many header fields.");
	if (split_field(r, in, line, &name, &value) == -1 ||
	    check_mcp_name(r, in, name) == -1)
		return -1;
	sl = http_span(in, name);
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (sl.len == known[i].len &&
		    strncasecmp(sl.ptr, known[i].name, sl.len) == 0)
			return known_field(r, known[i].field,
			    http_span(in, value), value);
	if (slice_is_nocase(sl, "connection"))
		read_connection(r, http_span(in, value));
	else if (slice_is_nocase(sl, "x-forwarded-for"))
		r->forwarded[r->forwards++] = value;
	else if (slice_is_nocase(sl, "traceparent")) {
		/* Of two, neither counts. */
		r->trace = value;
		r->traces++;
	}
	return 0;
}

static int
finish_head(struct http_request *r)
{
	if (r->chunked && (r->present & BIT(FIELD_CONTENT_LENGTH)))
		return fail(r, 400, "Content-Length and Transfer-Encoding "
		    "exclude each other.");
	if (!(r->present & BIT(FIELD_HOST)))
		return fail(r, 400, "The request names no host.");
	r->head_end = r->at;
	r->phase = PHASE_HEAD_DONE;
	return 0;
}

/* Returns 1 where the head is complete, 0 for more, -1. */
static int
feed_head(struct http_request *r, const struct buffer *in)
{
	struct span line;
	int rc;

	if (r->phase == PHASE_LINE) {
		if ((rc = take_line(r, in, HTTP_LINE_MAX, 414, &line)) != 1)
			return rc;
		if (read_request_line(r, in, line) == -1)
			return -1;
	}
	while ((rc = take_line(r, in, HTTP_HEAD_MAX - r->at, 431, &line)) ==
	    1) {
		if (line.len == 0)
			return finish_head(r) == -1 ? -1 : 1;
		if (read_field(r, in, line) == -1)
			return -1;
		if (r->at >= HTTP_HEAD_MAX)
			return fail(r, 431, "The header is too large.");
	}
	return rc;
}

/* ---- chunked bodies (RFC 9112, 7.1) ------------------------------------ */

/*
 * A quoted string that this line does not end is one that another reader may
 * think goes on behind it.
 */
static int
quotes_end(struct slice line)
{
	int quoted = 0;
	size_t i;

	for (i = 0; i < line.len; i++) {
		if (quoted && line.ptr[i] == '\\')
			i++;
		else if (line.ptr[i] == '"')
			quoted = !quoted;
	}
	return !quoted && i == line.len;
}

/* chunk-size [ chunk-ext ]; what an extension says is nobody's business. */
static int
read_chunk_size(struct http_request *r, struct slice line)
{
	uint64_t size = 0;
	size_t i;

	for (i = 0; i < line.len && hex_digit(line.ptr[i]) != -1; i++) {
		if (i == CHUNK_DIGITS)
			return fail(r, 413, "The body is too large.");
		size = size << 4 | (uint64_t)hex_digit(line.ptr[i]);
	}
	if (i == 0 || (i < line.len && line.ptr[i] != ';'))
		return fail(r, 400, "A chunk's size is malformed.");
	line.ptr += i;
	line.len -= i;
	if (!is_text(line, 1) || !quotes_end(line))
		return fail(r, 400, "A chunk's extension is malformed.");
	r->extensions += (uint32_t)line.len;
	if (r->extensions > HTTP_EXTENSIONS_MAX)
		return fail(r, 400, "Too many chunk extensions.");
	if (size > BODY_MAX - r->body_len)
		return fail(r, 413, "The body is too large.");
	r->chunk_left = (uint32_t)size;
	r->phase = size == 0 ? PHASE_TRAILER : PHASE_CHUNK_DATA;
	return 0;
}

/* Moves what has arrived of the chunk behind the body's earlier bytes. */
static int
take_chunk_data(struct http_request *r, struct buffer *in)
{
	size_t n = in->len - r->at;

	if (n > r->chunk_left)
		n = r->chunk_left;
	if (n > 0)
		memmove(in->data + r->head_end + r->body_len,
		    in->data + r->at, n);
	r->body_len += (uint32_t)n;
	r->at += (uint32_t)n;
	r->scanned = r->at;
	r->chunk_left -= (uint32_t)n;
	if (r->chunk_left > 0)
		return 0;
	r->phase = PHASE_CHUNK_END;
	return 1;
}

static int
take_chunk_end(struct http_request *r, const struct buffer *in)
{
	if (in->len - r->at < 2)
		return 0;
	if (in->data[r->at] != '\r' || in->data[r->at + 1] != '\n')
		return fail(r, 400, "A chunk is longer than its size says.");
	r->at += 2;
	r->scanned = r->at;
	r->phase = PHASE_CHUNK_SIZE;
	return 1;
}

/* Trailer fields are checked for their form and dropped. */
static int
take_trailer(struct http_request *r, const struct buffer *in)
{
	struct span line, name, value;
	int rc;

	rc = take_line(r, in, HTTP_TRAILER_MAX - r->trailer_bytes, 431, &line);
	if (rc != 1)
		return rc;
	if (line.len == 0) {
		r->phase = PHASE_DONE;
		return 1;
	}
	r->trailer_bytes += line.len;
	if (++r->trailers > HTTP_TRAILERS_MAX)
		return fail(r, 431, "Too many trailer fields.");
	return split_field(r, in, line, &name, &value) == -1 ? -1 : 1;
}

static int
feed_chunks(struct http_request *r, struct buffer *in)
{
	struct span line;
	int rc;

	switch (r->phase) {
	case PHASE_CHUNK_SIZE:
		rc = take_line(r, in, HTTP_CHUNK_LINE_MAX, 400, &line);
		if (rc != 1)
			return rc;
		return read_chunk_size(r, http_span(in, line)) == -1 ? -1 : 1;
	case PHASE_CHUNK_DATA:
		return take_chunk_data(r, in);
	case PHASE_CHUNK_END:
		return take_chunk_end(r, in);
	default:
		return take_trailer(r, in);
	}
}

/* Closes the gap that chunk lines left, so that input stays bounded. */
static void
close_gap(struct http_request *r, struct buffer *in)
{
	uint32_t end = r->head_end + r->body_len, gap = r->at - end;

	if (gap == 0)
		return;
	memmove(in->data + end, in->data + r->at, in->len - r->at);
	in->len -= gap;
	r->at -= gap;
	r->scanned -= gap;
}

/* ---- the whole --------------------------------------------------------- */

static enum http_progress
feed_body(struct http_request *r, struct buffer *in)
{
	int rc = 1;

	if (r->phase == PHASE_HEAD_DONE)
		r->phase = r->chunked ? PHASE_CHUNK_SIZE : PHASE_LENGTH;
	if (r->phase == PHASE_LENGTH) {
		if (r->length > BODY_MAX) {
			(void)fail(r, 413, "The body is too large.");
			return HTTP_BAD;
		}
		if (in->len - r->head_end < r->length)
			return HTTP_MORE;
		r->body_len = (uint32_t)r->length;
		r->at = r->head_end + r->body_len;
		r->phase = PHASE_DONE;
	}
	while (r->phase != PHASE_DONE && (rc = feed_chunks(r, in)) == 1)
		;
	if (rc == -1)
		return HTTP_BAD;
	if (r->phase == PHASE_DONE)
		return HTTP_COMPLETE;
	close_gap(r, in);
	return HTTP_MORE;
}

enum http_progress
http_feed(struct http_request *r, struct buffer *in)
{
	int rc;

	switch (r->phase) {
	case PHASE_LINE:
	case PHASE_FIELDS:
		if ((rc = feed_head(r, in)) == 1)
			return HTTP_HEAD;
		return rc == 0 ? HTTP_MORE : HTTP_BAD;
	case PHASE_DONE:
		return HTTP_COMPLETE;
	case PHASE_FAILED:
		return HTTP_BAD;
	default:
		return feed_body(r, in);
	}
}
