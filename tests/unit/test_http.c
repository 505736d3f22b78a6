/* SPDX-License-Identifier: ISC */
/* link: daemon/listener/http_parse.c daemon/listener/http_check.c daemon/listener/http_reply.c */

/*
 * The request reader: a table of requests that two readers could understand
 * differently, each with one thing wrong; the same bytes cut everywhere; and
 * what field values mean.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../daemon/listener/listener.h"

#define H	"Host: localhost\r\n"
#define POST	"POST /mcp HTTP/1.1\r\n" H
#define TE	"Transfer-Encoding: chunked\r\n\r\n"
#define COMPLETE	200

struct row {
	const char	*what;
	const char	*bytes;
	size_t		 len;		/* 0: strlen */
	int		 status;	/* COMPLETE: it is taken */
	const char	*body;
};

#define N(s)	s, sizeof(s) - 1

static const struct row rows[] = {
	/* what is taken */
	{ "length", POST "Content-Length: 5\r\n\r\nhello", 0, COMPLETE, "hello" },
	{ "no body", POST "\r\n", 0, COMPLETE, "" },
	{ "length zero", POST "Content-Length: 0\r\n\r\n", 0, COMPLETE, "" },
	{ "padding", POST "Content-Length: \t 5 \t\r\n\r\nhello", 0, COMPLETE, "hello" },
	{ "chunks", POST TE "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", 0, COMPLETE, "hello!" },
	{ "chunk extension", POST TE "5;a=b;c\r\nhello\r\n0;z\r\n\r\n", 0, COMPLETE, "hello" },
	{ "quoted extension", POST TE "5;a=\"b\\\"c\"\r\nhello\r\n0\r\n\r\n", 0, COMPLETE, "hello" },
	{ "quote without an end in an extension", POST TE "5;a=\"\r\nhello\r\n0\r\n\r\n", 0, 400, NULL },
	{ "escape at the end of an extension", POST TE "5;a=\"b\\\r\nhello\r\n0\r\n\r\n", 0, 400, NULL },
	{ "hex size", POST TE "00000A\r\n0123456789\r\n0\r\n\r\n", 0, COMPLETE, "0123456789" },
	{ "trailer", POST TE "1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", 0, COMPLETE, "x" },
	{ "coding in capitals", POST "TRANSFER-encoding: Chunked\r\n\r\n0\r\n\r\n", 0,
	    COMPLETE, "" },
	{ "bytes above ascii where nobody reads", POST "User-Agent: \xc3\xa9\r\n\r\n", 0,
	    COMPLETE, "" },
	{ "two connection fields", POST "Connection: a\r\nConnection: close\r\n\r\n", 0,
	    COMPLETE, "" },
	{ "empty value", POST "Accept:\r\n\r\n", 0, COMPLETE, "" },
	/* lines */
	{ "bare LF after the request line", "POST /mcp HTTP/1.1\n" H "\r\n", 0, 400, NULL },
	{ "bare LF after a field", "POST /mcp HTTP/1.1\r\nHost: localhost\n\r\n", 0, 400,
	    NULL },
	{ "bare LF as the empty line", POST "\n", 0, 400, NULL },
	{ "bare CR in a value", POST "A: b\rC: d\r\n\r\n", 0, 400, NULL },
	{ "CR CR LF", POST "A: b\r\r\n\r\n", 0, 400, NULL },
	{ "empty line first", "\r\n" POST "\r\n", 0, 400, NULL },
	{ "folded field", POST "A: b\r\n c\r\n\r\n", 0, 400, NULL },
	{ "folded by a tab", POST "A: b\r\n\tc\r\n\r\n", 0, 400, NULL },
	{ "folded first field", "POST /mcp HTTP/1.1\r\n " H "\r\n", 0, 400, NULL },
	{ "NUL in a value", N(POST "A: b\0c\r\n\r\n"), 400, NULL },
	{ "NUL in a name", N(POST "A\0: b\r\n\r\n"), 400, NULL },
	{ "DEL in a value", POST "A: b\x7f\r\n\r\n", 0, 400, NULL },
	{ "escape in a value", POST "A: \x1b[0m\r\n\r\n", 0, 400, NULL },
	{ "space before the colon", POST "Content-Length : 5\r\n\r\nhello", 0, 400, NULL },
	{ "tab before the colon", POST "Content-Length\t: 5\r\n\r\nhello", 0, 400, NULL },
	{ "no colon", POST "Accept\r\n\r\n", 0, 400, NULL },
	{ "no name", POST ": b\r\n\r\n", 0, 400, NULL },
	{ "name with a slash", POST "A/B: c\r\n\r\n", 0, 400, NULL },
	/* request line */
	{ "no version", "POST /mcp\r\n" H "\r\n", 0, 400, NULL },
	{ "two spaces", "POST  /mcp HTTP/1.1\r\n" H "\r\n", 0, 400, NULL },
	{ "space at the end", "POST /mcp HTTP/1.1 \r\n" H "\r\n", 0, 400, NULL },
	{ "tab for a space", "POST\t/mcp HTTP/1.1\r\n" H "\r\n", 0, 400, NULL },
	{ "space first", " POST /mcp HTTP/1.1\r\n" H "\r\n", 0, 400, NULL },
	{ "method with a colon", "PO:ST /mcp HTTP/1.1\r\n" H "\r\n", 0, 400, NULL },
	{ "fragment", "POST /mcp#x HTTP/1.1\r\n" H "\r\n", 0, 400, NULL },
	{ "target above ascii", "POST /mcp\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 0, 400, NULL },
	{ "small http", "POST /mcp http/1.1\r\n" H "\r\n", 0, 400, NULL },
	{ "HTTP/1.0", "POST /mcp HTTP/1.0\r\n" H "\r\n", 0, 505, NULL },
	{ "HTTP/1.0 keep-alive", "POST /mcp HTTP/1.0\r\n" H
	    "Connection: keep-alive\r\n\r\n", 0, 505, NULL },
	{ "HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 505, NULL },
	{ "HTTP/1.10", "POST /mcp HTTP/1.10\r\n" H "\r\n", 0, 400, NULL },
	{ "HTTP/0.9", "GET /mcp\r\n", 0, 400, NULL },
	/* which length */
	{ "length and coding", POST "Content-Length: 5\r\n" TE "0\r\n\r\n", 0, 400, NULL },
	{ "coding and length", POST
	    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello", 0, 400, NULL },
	{ "equal lengths", POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 0,
	    400, NULL },
	{ "unequal lengths", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 0,
	    400, NULL },
	{ "list of lengths", POST "Content-Length: 5, 5\r\n\r\nhello", 0, 400, NULL },
	{ "plus", POST "Content-Length: +5\r\n\r\nhello", 0, 400, NULL },
	{ "minus", POST "Content-Length: -1\r\n\r\n", 0, 400, NULL },
	{ "hex length", POST "Content-Length: 0x5\r\n\r\nhello", 0, 400, NULL },
	{ "octal length", POST "Content-Length: 05\r\n\r\nhello", 0, 400, NULL },
	{ "empty length", POST "Content-Length:\r\n\r\n", 0, 400, NULL },
	{ "space in the length", POST "Content-Length: 1 0\r\n\r\n", 0, 400, NULL },
	{ "length beyond 64 bits", POST "Content-Length: 18446744073709551621\r\n\r\nhello",
	    0, 413, NULL },
	{ "length beyond the bound", POST "Content-Length: 1048577\r\n\r\n", 0, 413, NULL },
	{ "gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0, 400,
	    NULL },
	{ "chunked, chunked", POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
	    0, 400, NULL },
	{ "chunked twice", POST "Transfer-Encoding: chunked\r\n" TE "0\r\n\r\n", 0, 400, NULL },
	{ "identity", POST "Transfer-Encoding: identity\r\n\r\n", 0, 400, NULL },
	{ "xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 0, 400, NULL },
	{ "quoted coding", POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 0, 400,
	    NULL },
	{ "vertical tab coding", POST "Transfer-Encoding: \x0b" "chunked\r\n\r\n0\r\n\r\n",
	    0, 400, NULL },
	/* fields that come once */
	{ "no host", "POST /mcp HTTP/1.1\r\n\r\n", 0, 400, NULL },
	{ "two hosts", POST H "\r\n", 0, 400, NULL },
	{ "two hosts, case", POST "HOST: evil\r\n\r\n", 0, 400, NULL },
	{ "two credentials", POST
	    "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 0, 400, NULL },
	{ "two types", POST "Content-Type: a\r\nContent-Type: a\r\n\r\n", 0, 400, NULL },
	{ "two origins", POST "Origin: null\r\nOrigin: null\r\n\r\n", 0, 400, NULL },
	{ "two versions", POST "MCP-Protocol-Version: a\r\nMcp-Protocol-Version: b\r\n\r\n",
	    0, 400, NULL },
	{ "two methods", POST "Mcp-Method: a\r\nmcp-method: a\r\n\r\n", 0, 400, NULL },
	{ "two names", POST "Mcp-Name: a\r\nMCP-NAME: b\r\n\r\n", 0, 400, NULL },
	{ "two params", POST "Mcp-Param-Region: a\r\nMcp-Param-REGION: b\r\n\r\n", 0, 400,
	    NULL },
	{ "known field above ascii", POST "Mcp-Name: \xc3\xa9\r\n\r\n", 0, 400, NULL },
	{ "another expectation", POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx", 0,
	    417, NULL },
	/* chunks */
	{ "no size", POST TE "\r\nhello\r\n0\r\n\r\n", 0, 400, NULL },
	{ "size with a sign", POST TE "-1\r\nhello\r\n0\r\n\r\n", 0, 400, NULL },
	{ "size with 0x", POST TE "0x5\r\nhello\r\n0\r\n\r\n", 0, 400, NULL },
	{ "space before the size", POST TE " 5\r\nhello\r\n0\r\n\r\n", 0, 400, NULL },
	{ "space behind the size", POST TE "5 \r\nhello\r\n0\r\n\r\n", 0, 400, NULL },
	{ "bare LF behind the size", POST TE "5\nhello\r\n0\r\n\r\n", 0, 400, NULL },
	{ "bare LF in an extension", POST TE "5;a\nhello\r\n0\r\n\r\n", 0, 400, NULL },
	{ "control in an extension", POST TE "5;a\x01\r\nhello\r\n0\r\n\r\n", 0, 400, NULL },
	{ "chunk longer than its size", POST TE "5\r\nhello!\r\n0\r\n\r\n", 0, 400, NULL },
	{ "chunk with LF alone", POST TE "5\r\nhello\n0\r\n\r\n", 0, 400, NULL },
	{ "size of nine digits", POST TE "000000005\r\nhello\r\n0\r\n\r\n", 0, 413, NULL },
	{ "size beyond the bound", POST TE "100001\r\n", 0, 413, NULL },
	{ "sizes beyond the bound together", POST TE "1\r\nx\r\n100000\r\n", 0, 413, NULL },
	{ "trailer without a colon", POST TE "0\r\nA\r\n\r\n", 0, 400, NULL },
	{ "folded trailer", POST TE "0\r\nA: b\r\n c\r\n\r\n", 0, 400, NULL },
	{ "bare LF ends the trailer", POST TE "0\r\n\n", 0, 400, NULL },
};

static const char unused[] = "GET /next HTTP/1.1\r\n";

/* Feeds bytes in pieces of `step' and returns the last progress. */
static enum http_progress
feed(struct http_request *r, struct buffer *in, const char *bytes, size_t len,
    size_t step)
{
	enum http_progress p = HTTP_MORE;
	size_t at = 0, n;

	http_begin(r);
	buffer_init(in, 4 << 20);
	while (at < len && (p == HTTP_MORE || p == HTTP_HEAD)) {
		n = len - at < step ? len - at : step;
		assert_int_equal(0, buffer_add(in, bytes + at, n));
		at += n;
		while ((p = http_feed(r, in)) == HTTP_HEAD)
			;
	}
	return p;
}

static void
check_row(const struct row *row, size_t step)
{
	size_t len = row->len == 0 ? strlen(row->bytes) : row->len;
	struct http_request r;
	struct buffer in;
	enum http_progress p = feed(&r, &in, row->bytes, len, step);

	if (row->status == COMPLETE) {
		if (p != HTTP_COMPLETE)
			fail_msg("%s (%zu): not taken: %s", row->what, step,
			    r.error == NULL ? "waits" : r.error);
		assert_int_equal(strlen(row->body), r.body_len);
		assert_memory_equal(row->body, in.data + r.head_end,
		    r.body_len);
		assert_int_equal(in.len, r.at);
	} else if (p != HTTP_BAD || r.status != row->status) {
		fail_msg("%s (%zu): wanted %d, got %d", row->what, step,
		    row->status, p == HTTP_BAD ? r.status : 0);
	}
	buffer_free(&in);
}

static void
each_violation_has_its_status(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i], SIZE_MAX);
}

static void
how_bytes_are_cut_changes_nothing(void **state)
{
	static const size_t steps[] = { 1, 2, 3, 5, 7, 11, 64 };
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (j = 0; j < sizeof(steps) / sizeof(steps[0]); j++)
			check_row(&rows[i], steps[j]);
}

/* Every request cut in two at every place, a second request behind it. */
static void
a_cut_at_every_byte_reads_the_same(void **state)
{
	struct http_request whole, cut;
	struct buffer a, b, bytes;
	enum http_progress p, q;
	size_t i, at, len;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		len = rows[i].len == 0 ? strlen(rows[i].bytes) : rows[i].len;
		buffer_init(&bytes, 1 << 20);
		(void)buffer_add(&bytes, rows[i].bytes, len);
		if (rows[i].status == COMPLETE)
			(void)buffer_add(&bytes, unused, sizeof(unused) - 1);
		p = feed(&whole, &a, (const char *)bytes.data, bytes.len,
		    SIZE_MAX);
		for (at = 1; at < bytes.len; at++) {
			http_begin(&cut);
			buffer_init(&b, 1 << 20);
			(void)buffer_add(&b, bytes.data, at);
			while ((q = http_feed(&cut, &b)) == HTTP_HEAD)
				;
			(void)buffer_add(&b, bytes.data + at, bytes.len - at);
			while ((q = http_feed(&cut, &b)) == HTTP_HEAD)
				;
			assert_int_equal(p, q);
			assert_int_equal(whole.status, cut.status);
			assert_int_equal(whole.present, cut.present);
			assert_int_equal(whole.close, cut.close);
			assert_int_equal(whole.body_len, cut.body_len);
			if (p == HTTP_COMPLETE) {
				assert_memory_equal(a.data + whole.head_end,
				    b.data + cut.head_end, whole.body_len);
				/* What follows is left as it is. */
				assert_int_equal(sizeof(unused) - 1,
				    b.len - cut.at);
				assert_memory_equal(unused, b.data + cut.at,
				    sizeof(unused) - 1);
			}
			buffer_free(&b);
		}
		buffer_free(&a);
		buffer_free(&bytes);
	}
}

static void
fill(struct buffer *b, char c, size_t n)
{
	unsigned char *to = buffer_reserve(b, n);

	assert_non_null(to);
	memset(to, c, n);
	b->len += n;
}

/* Bytes of each part of the head at its bound and one behind. */
static int
status_of_target(size_t len, size_t step)
{
	struct http_request r;
	struct buffer b, in;
	enum http_progress p;

	buffer_init(&b, 1 << 20);
	(void)buffer_add_cstr(&b, "GET /");
	fill(&b, 'a', len - strlen("GET / HTTP/1.1"));
	(void)buffer_add_cstr(&b, " HTTP/1.1\r\n" H "\r\n");
	p = feed(&r, &in, (const char *)b.data, b.len, step);
	buffer_free(&b);
	buffer_free(&in);
	return p == HTTP_COMPLETE ? COMPLETE : p == HTTP_BAD ? r.status : 0;
}

static void
a_request_line_has_a_bound(void **state)
{
	(void)state;
	/* The bound counts the carriage return. */
	assert_int_equal(COMPLETE, status_of_target(HTTP_LINE_MAX - 1, 1));
	assert_int_equal(414, status_of_target(HTTP_LINE_MAX, 1));
	assert_int_equal(COMPLETE, status_of_target(HTTP_LINE_MAX - 1,
	    SIZE_MAX));
	assert_int_equal(414, status_of_target(HTTP_LINE_MAX, SIZE_MAX));
}

static void
a_line_without_an_end_is_refused_at_its_bound(void **state)
{
	struct http_request r;
	struct buffer in;

	(void)state;
	http_begin(&r);
	buffer_init(&in, 1 << 20);
	fill(&in, 'a', HTTP_LINE_MAX);
	assert_int_equal(HTTP_MORE, http_feed(&r, &in));
	fill(&in, 'a', 1);
	assert_int_equal(HTTP_BAD, http_feed(&r, &in));
	assert_int_equal(414, r.status);
	buffer_free(&in);
}

static int
status_of_fields(size_t n, size_t value_len)
{
	struct http_request r;
	struct buffer b, in;
	enum http_progress p;
	size_t i;

	buffer_init(&b, 1 << 20);
	(void)buffer_add_cstr(&b, "GET / HTTP/1.1\r\n" H);
	for (i = 1; i < n; i++) {
		(void)buffer_add_cstr(&b, "A: ");
		fill(&b, 'b', value_len);
		(void)buffer_add_cstr(&b, "\r\n");
	}
	(void)buffer_add_cstr(&b, "\r\n");
	p = feed(&r, &in, (const char *)b.data, b.len, SIZE_MAX);
	buffer_free(&b);
	buffer_free(&in);
	return p == HTTP_COMPLETE ? COMPLETE : p == HTTP_BAD ? r.status : 0;
}

static void
a_header_has_bounds(void **state)
{
	(void)state;
	assert_int_equal(COMPLETE, status_of_fields(HTTP_FIELDS_MAX, 1));
	assert_int_equal(431, status_of_fields(HTTP_FIELDS_MAX + 1, 1));
	assert_int_equal(COMPLETE, status_of_fields(2, HTTP_HEAD_MAX - 128));
	assert_int_equal(431, status_of_fields(2, HTTP_HEAD_MAX));
	assert_int_equal(431, status_of_fields(40, 1024));
}

static void
chunk_extensions_have_a_bound(void **state)
{
	struct http_request r;
	struct buffer b, in;
	size_t i;

	(void)state;
	buffer_init(&b, 1 << 20);
	(void)buffer_add_cstr(&b, POST TE);
	for (i = 0; i < 100; i++) {
		(void)buffer_add_cstr(&b, "1;");
		fill(&b, 'e', 100);
		(void)buffer_add_cstr(&b, "\r\nx\r\n");
	}
	assert_int_equal(HTTP_BAD, feed(&r, &in, (const char *)b.data, b.len,
	    SIZE_MAX));
	assert_int_equal(400, r.status);
	buffer_free(&b);
	buffer_free(&in);
}

static void
a_trailer_has_bounds(void **state)
{
	static const size_t counts[] = { HTTP_TRAILERS_MAX,
	    HTTP_TRAILERS_MAX + 1 };
	static const size_t lengths[] = { HTTP_TRAILER_MAX - 4,
	    HTTP_TRAILER_MAX };
	struct http_request r;
	struct buffer b, in;
	size_t i, k;

	(void)state;
	for (i = 0; i < 2; i++) {
		buffer_init(&b, 1 << 20);
		(void)buffer_add_cstr(&b, POST TE "0\r\n");
		for (k = 0; k < counts[i]; k++)
			(void)buffer_add_cstr(&b, "A: b\r\n");
		(void)buffer_add_cstr(&b, "\r\n");
		assert_int_equal(i == 0 ? HTTP_COMPLETE : HTTP_BAD, feed(&r,
		    &in, (const char *)b.data, b.len, SIZE_MAX));
		assert_int_equal(i == 0 ? 0 : 431, r.status);
		buffer_free(&in);
		buffer_clear(&b);
		(void)buffer_add_cstr(&b, POST TE "0\r\nA:");
		fill(&b, 'b', lengths[i] - 2);
		(void)buffer_add_cstr(&b, "\r\n\r\n");
		assert_int_equal(i == 0 ? HTTP_COMPLETE : HTTP_BAD, feed(&r,
		    &in, (const char *)b.data, b.len, SIZE_MAX));
		assert_int_equal(i == 0 ? 0 : 431, r.status);
		buffer_free(&in);
		buffer_free(&b);
	}
}

/* Many small chunks must not make the input grow by what they are cut with. */
static void
input_of_small_chunks_stays_bounded(void **state)
{
	struct http_request r;
	struct buffer in;
	size_t i, most = 0;

	(void)state;
	http_begin(&r);
	buffer_init(&in, 4 << 20);
	(void)buffer_add_cstr(&in, POST TE);
	assert_int_equal(HTTP_HEAD, http_feed(&r, &in));
	for (i = 0; i < 10000; i++) {
		(void)buffer_add_cstr(&in, "1\r\nx\r\n");
		assert_int_equal(HTTP_MORE, http_feed(&r, &in));
		if (in.len - r.head_end - r.body_len > most)
			most = in.len - r.head_end - r.body_len;
	}
	(void)buffer_add_cstr(&in, "0\r\n\r\n");
	assert_int_equal(HTTP_COMPLETE, http_feed(&r, &in));
	assert_int_equal(10000, r.body_len);
	assert_true(most < 16);
	buffer_free(&in);
}

static void
pipelined_requests_are_read_one_after_another(void **state)
{
	static const char bytes[] = POST "Content-Length: 3\r\n\r\none"
	    POST "Transfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
	    "GET /health/live HTTP/1.1\r\n" H "\r\n";
	static const char *const bodies[] = { "one", "two", "" };
	struct http_request r;
	struct buffer in;
	size_t i;

	(void)state;
	buffer_init(&in, 1 << 20);
	(void)buffer_add_cstr(&in, bytes);
	for (i = 0; i < 3; i++) {
		http_begin(&r);
		assert_int_equal(HTTP_HEAD, http_feed(&r, &in));
		assert_int_equal(HTTP_COMPLETE, http_feed(&r, &in));
		assert_int_equal(strlen(bodies[i]), r.body_len);
		assert_memory_equal(bodies[i], in.data + r.head_end,
		    r.body_len);
		buffer_drain(&in, r.at);
	}
	assert_int_equal(0, in.len);
	buffer_free(&in);
}

static void
fields_are_found_trimmed_and_whatever_their_case(void **state)
{
	static const char bytes[] = "POST /mcp HTTP/1.1\r\nhOST:localhost:80\r\n"
	    "MCP-METHOD: \t tools/call \t \r\nConnection: x, CLOSE\r\n"
	    "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n{}";
	struct http_request r;
	struct buffer in;

	(void)state;
	assert_int_equal(HTTP_COMPLETE, feed(&r, &in, bytes,
	    sizeof(bytes) - 1, SIZE_MAX));
	assert_true(slice_is(http_span(&in, r.method), "POST"));
	assert_true(slice_is(http_span(&in, r.target), "/mcp"));
	assert_true(slice_is(http_field(&r, &in, FIELD_HOST), "localhost:80"));
	assert_true(slice_is(http_field(&r, &in, FIELD_MCP_METHOD),
	    "tools/call"));
	assert_null(http_field(&r, &in, FIELD_ORIGIN).ptr);
	assert_true(r.close);
	assert_true(r.expects);
	buffer_free(&in);
}

/* ---- values ------------------------------------------------------------ */

static struct allowed allowed = {
	3, { "127.0.0.1", "localhost", "mcp.example.com" },
	1, { "https://console.example.com:8443" }
};

/* Of a chain of gateways each may add a line. */
static void
every_line_of_x_forwarded_for_is_kept_in_order(void **state)
{
	static const char bytes[] = POST "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n"
	    "X-Forwarded-Fo: 9.9.9.9\r\nx-forwarded-FOR:\t3.3.3.3 \r\n"
	    "X-Forwarded-For:\r\n\r\n";
	static const char *const wanted[] = {
		"1.1.1.1, 2.2.2.2", "3.3.3.3", ""
	};
	struct http_request r;
	struct buffer in;
	uint32_t i;

	(void)state;
	buffer_init(&in, 1 << 16);
	(void)buffer_add_cstr(&in, bytes);
	http_begin(&r);
	assert_int_equal(http_feed(&r, &in), HTTP_HEAD);
	assert_int_equal(r.forwards, 3);
	for (i = 0; i < 3; i++)
		assert_true(slice_is(http_span(&in, r.forwarded[i]),
		    wanted[i]));
	/* The next request has none of them. */
	http_begin(&r);
	assert_int_equal(r.forwards, 0);
	buffer_free(&in);
}

/* As many lines as there may be fields, and not one more. */
static void
lines_of_x_forwarded_for_have_the_bound_of_fields(void **state)
{
	struct http_request r;
	struct buffer in;
	int more, i;

	(void)state;
	for (more = 0; more < 2; more++) {
		buffer_init(&in, 1 << 16);
		(void)buffer_add_cstr(&in, POST);
		for (i = 1; i < HTTP_FIELDS_MAX + more; i++)
			(void)buffer_add_cstr(&in, "X-Forwarded-For: ::1\r\n");
		(void)buffer_add_cstr(&in, "\r\n");
		http_begin(&r);
		assert_int_equal(http_feed(&r, &in),
		    more ? HTTP_BAD : HTTP_HEAD);
		assert_int_equal(more ? r.status : (int)r.forwards,
		    more ? 431 : HTTP_FIELDS_MAX - 1);
		buffer_free(&in);
	}
}

static void
only_allowed_hosts_are_served(void **state)
{
	static const struct { const char *value; enum verdict want; } hosts[] = {
		{ "localhost", VERDICT_OK }, { "LocalHost:8080", VERDICT_OK },
		{ "127.0.0.1:1", VERDICT_OK }, { "mcp.example.com", VERDICT_OK },
		{ "evil.example", VERDICT_REFUSED },
		{ "localhost.evil.example", VERDICT_REFUSED },
		{ "xlocalhost", VERDICT_REFUSED }, { "localhos", VERDICT_REFUSED },
		{ "localhost.", VERDICT_REFUSED }, { "[::1]", VERDICT_REFUSED },
		{ "[::1]:80", VERDICT_REFUSED },
		{ "", VERDICT_MALFORMED }, { ":80", VERDICT_MALFORMED },
		{ "localhost:", VERDICT_MALFORMED },
		{ "localhost:80:80", VERDICT_MALFORMED },
		{ "localhost:abc", VERDICT_MALFORMED },
		{ "localhost:123456", VERDICT_MALFORMED },
		{ "user@localhost", VERDICT_MALFORMED },
		{ "localhost/", VERDICT_MALFORMED },
		{ "localhost evil", VERDICT_MALFORMED },
		{ "evil,localhost", VERDICT_MALFORMED },
		{ "[::1", VERDICT_MALFORMED }, { "[]", VERDICT_MALFORMED },
		{ "::1", VERDICT_MALFORMED },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (check_host(&allowed, slice_of(hosts[i].value)) !=
		    hosts[i].want)
			fail_msg("host %s", hosts[i].value);
}

static void
only_allowed_origins_are_served(void **state)
{
	static const struct { const char *value; enum verdict want; } origins[] = {
		{ "http://localhost", VERDICT_OK },
		{ "https://LOCALHOST:9999", VERDICT_OK },
		{ "http://127.0.0.1:3000", VERDICT_OK },
		{ "https://console.example.com", VERDICT_OK },
		{ "https://console.example.com:1", VERDICT_OK },
		{ "http://console.example.com", VERDICT_REFUSED },
		{ "https://evil.example", VERDICT_REFUSED },
		{ "https://localhost.evil.example", VERDICT_REFUSED },
		{ "chrome-extension://localhost", VERDICT_REFUSED },
		{ "null", VERDICT_REFUSED }, { "", VERDICT_REFUSED },
		{ "localhost", VERDICT_REFUSED }, { "http://", VERDICT_REFUSED },
		{ "http://localhost/", VERDICT_REFUSED },
		{ "http://localhost http://evil", VERDICT_REFUSED },
		{ "http://evil@localhost", VERDICT_REFUSED },
	};
	struct allowed with_null = { 0, { NULL }, 1, { "null" } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(origins) / sizeof(origins[0]); i++)
		if (check_origin(&allowed, slice_of(origins[i].value)) !=
		    origins[i].want)
			fail_msg("origin %s", origins[i].value);
	assert_int_equal(VERDICT_OK, check_origin(&with_null,
	    slice_of("null")));
}

static void
a_target_is_a_path_or_names_the_same_host(void **state)
{
	static const struct { const char *target, *host, *path; } targets[] = {
		{ "/mcp", "localhost", "/mcp" },
		{ "//mcp", "localhost", "//mcp" },
		{ "http://localhost/mcp", "localhost", "/mcp" },
		{ "HTTP://LocalHost:80/mcp", "localhost:80", "/mcp" },
		{ "https://localhost/mcp", "localhost", "/mcp" },
		{ "http://evil/mcp", "localhost", NULL },
		{ "http://localhost:80/mcp", "localhost", NULL },
		{ "http://localhost", "localhost", NULL },
		{ "http://localhost@evil/mcp", "localhost", NULL },
		{ "ftp://localhost/mcp", "localhost", NULL },
		{ "localhost:80", "localhost", NULL },
		{ "*", "localhost", NULL },
		{ "mcp", "localhost", NULL },
	};
	struct slice path;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		rc = check_target(slice_of(targets[i].target),
		    slice_of(targets[i].host), &path);
		if (rc == 0 ? targets[i].path == NULL ||
		    !slice_is(path, targets[i].path) : targets[i].path != NULL)
			fail_msg("target %s", targets[i].target);
	}
}

static void
only_json_in_utf8_is_a_media_type(void **state)
{
	static const struct { const char *value; int rc; } types[] = {
		{ "application/json", 0 }, { "Application/JSON", 0 },
		{ "application/json; charset=utf-8", 0 },
		{ "application/json;charset=UTF-8", 0 },
		{ "application/json; charset=\"utf-8\"", 0 },
		{ "application/json ; charset=utf-8", 0 },
		{ "application/json; charset=latin1", -1 },
		{ "application/json; profile=x", -1 },
		{ "application/json;", -1 }, { "application/jsonp", -1 },
		{ "application/json-rpc", -1 }, { "text/plain", -1 },
		{ "application/x-www-form-urlencoded", -1 }, { "", -1 },
		{ "application/json, text/plain", -1 },
		{ "text/plain; application/json", -1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (check_media_type(slice_of(types[i].value)) != types[i].rc)
			fail_msg("media type %s", types[i].value);
}

static void
only_a_bearer_token_is_a_credential(void **state)
{
	static const struct {
		const char *value; enum credential_form form; const char *token;
	} values[] = {
		{ "Bearer sk_live_a_b", FORM_BEARER, "sk_live_a_b" },
		{ "bearer x", FORM_BEARER, "x" },
		{ "BEARER  a.b-c~d+e/f==", FORM_BEARER, "a.b-c~d+e/f==" },
		{ "", FORM_MALFORMED, NULL }, { "Bearer", FORM_MALFORMED, NULL },
		{ "Bearer ", FORM_MALFORMED, NULL },
		{ "Basic dTpw", FORM_MALFORMED, NULL },
		{ "Bearer a b", FORM_MALFORMED, NULL },
		{ "Bearer a,b", FORM_MALFORMED, NULL },
		{ "Bearer \"a\"", FORM_MALFORMED, NULL },
		{ "Bearer a=b", FORM_MALFORMED, NULL },
		{ "Bearer =", FORM_MALFORMED, NULL },
		{ "Bearer\ta", FORM_MALFORMED, NULL },
		{ "Bearerx", FORM_MALFORMED, NULL },
		{ "sk_live_a_b", FORM_MALFORMED, NULL },
	};
	struct slice none = { NULL, 0 }, credential;
	struct buffer b;
	size_t i;

	(void)state;
	assert_int_equal(FORM_NONE, check_authorization(none, &credential));
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (check_authorization(slice_of(values[i].value),
		    &credential) != values[i].form ||
		    (values[i].token != NULL &&
		    !slice_is(credential, values[i].token)))
			fail_msg("authorization %s", values[i].value);
		if (values[i].form == FORM_MALFORMED)
			assert_int_equal(0, credential.len);
	}
	buffer_init(&b, 1 << 20);
	(void)buffer_add_cstr(&b, "Bearer ");
	fill(&b, 'a', CREDENTIAL_MAX + 1);
	assert_int_equal(FORM_MALFORMED, check_authorization((struct slice){
	    (char *)b.data, b.len }, &credential));
	assert_int_equal(FORM_BEARER, check_authorization((struct slice){
	    (char *)b.data, b.len - 1 }, &credential));
	assert_int_equal(CREDENTIAL_MAX, credential.len);
	buffer_free(&b);
}

/* ---- responses --------------------------------------------------------- */

static void
a_scope_cannot_split_a_response(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b, 4096);
	challenge_403(&b, NULL, slice_of("a\"b\\c\r\nSet-Cookie: x"));
	assert_string_equal("Bearer error=\"insufficient_scope\", "
	    "scope=\"a\\\"b\\\\cSet-Cookie: x\"", (char *)b.data);
	buffer_clear(&b);
	challenge_401(&b, "shop", NULL, 1, slice_of(""));
	assert_string_equal("Bearer realm=\"shop\"", (char *)b.data);
	buffer_clear(&b);
	challenge_401(&b, "shop", "https://h/.well-known/x", 0,
	    slice_of("shop:read"));
	assert_string_equal("Bearer realm=\"shop\", "
	    "resource_metadata=\"https://h/.well-known/x\", "
	    "error=\"invalid_token\", scope=\"shop:read\"", (char *)b.data);
	buffer_clear(&b);
	challenge_403(&b, "https://h/.well-known/x", slice_of("shop:read"));
	assert_string_equal("Bearer error=\"insufficient_scope\", "
	    "resource_metadata=\"https://h/.well-known/x\", "
	    "scope=\"shop:read\"", (char *)b.data);
	buffer_free(&b);
}

static void
a_response_says_the_length_of_its_parts(void **state)
{
	struct reply reply = { .status = 429, .close = 1, .retry_after = 7 };
	struct slice parts[] = { slice_of("{\"a\""), slice_of(":1}") };
	struct buffer b;

	(void)state;
	buffer_init(&b, 4096);
	http_reply(&b, &reply, parts, 2);
	(void)buffer_add_char(&b, '\0');
	assert_string_equal("HTTP/1.1 429 Too Many Requests\r\n"
	    "Content-Type: application/json\r\nCache-Control: no-store\r\n"
	    "Content-Length: 7\r\nRetry-After: 7\r\nConnection: close\r\n\r\n"
	    "{\"a\":1}", (char *)b.data);
	buffer_clear(&b);
	reply = (struct reply){ .status = 200, .head = 1 };
	http_reply(&b, &reply, parts, 2);
	(void)buffer_add_char(&b, '\0');
	assert_string_equal("HTTP/1.1 200 OK\r\n"
	    "Content-Type: application/json\r\nCache-Control: no-store\r\n"
	    "Content-Length: 7\r\n\r\n", (char *)b.data);
	buffer_clear(&b);
	reply = (struct reply){ .status = 202 };
	http_reply(&b, &reply, NULL, 0);
	(void)buffer_add_char(&b, '\0');
	assert_string_equal("HTTP/1.1 202 Accepted\r\n"
	    "Cache-Control: no-store\r\nContent-Length: 0\r\n\r\n",
	    (char *)b.data);
	buffer_free(&b);
}

static void
a_limit_that_was_hit_is_told_in_structured_fields(void **state)
{
	static const struct {
		struct limit_hit	 hit;
		const char		*fields;
	} limits[] = {
		{ { LIMIT_NONE, { 0, 0, 0 }, 0, 0 }, "" },
		{ { LIMIT_CALLER, { 60, 60000, 20 }, 0, 3 },
		    "RateLimit-Policy: \"caller\";q=60;w=60\r\n"
		    "RateLimit: \"caller\";r=0;t=3\r\n" },
		{ { LIMIT_TOOL, { RATE_MAX, 3600000, 1 }, 1, UINT32_MAX },
		    "RateLimit-Policy: \"tool\";q=1000000000;w=3600\r\n"
		    "RateLimit: \"tool\";r=1;t=4294967295\r\n" },
		/* A window is whole seconds and never none. */
		{ { LIMIT_TOOL, { 1, 1, 1 }, 0, 1 },
		    "RateLimit-Policy: \"tool\";q=1;w=1\r\n"
		    "RateLimit: \"tool\";r=0;t=1\r\n" },
		{ { LIMIT_IN_FLIGHT, { 32, 0, 0 }, 0, 1 },
		    "RateLimit-Policy: \"in-flight\";q=32;"
		    "qu=\"concurrent-requests\"\r\n"
		    "RateLimit: \"in-flight\";r=0\r\n" },
	};
	struct reply reply = { .status = 429 };
	char want[512];
	struct buffer b;
	size_t i;

	(void)state;
	buffer_init(&b, 4096);
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		buffer_clear(&b);
		reply.limit = &limits[i].hit;
		http_reply(&b, &reply, NULL, 0);
		(void)buffer_add_char(&b, '\0');
		(void)snprintf(want, sizeof(want),
		    "HTTP/1.1 429 Too Many Requests\r\n"
		    "Cache-Control: no-store\r\nContent-Length: 0\r\n"
		    "%s\r\n", limits[i].fields);
		assert_string_equal(want, (char *)b.data);
	}
	buffer_free(&b);
}

static void
an_error_object_has_the_words_of_the_taxonomy(void **state)
{
	static const uint8_t id[REQUEST_ID_LEN] = { 0xab, 0xcd };
	struct json j;
	struct buffer b;
	int64_t n;

	(void)state;
	buffer_init(&b, 4096);
	json_init(&j);
	error_object(&b, OUTCOME_RATE_LIMITED, NULL, 1, 3, id);
	assert_int_equal(0, json_parse(&j, (char *)b.data, b.len));
	assert_true(json_string_is(&j, json_member(&j, 0, "error_code"),
	    "rate_limited"));
	assert_true(json_is(&j, json_member(&j, 0, "retry"), JSON_TRUE));
	assert_int_equal(0, json_integer(&j, json_member(&j, 0,
	    "retry_after_seconds"), &n));
	assert_int_equal(3, n);
	assert_true(json_string_is(&j, json_member(&j, 0, "request_id"),
	    "abcd0000000000000000000000000000"));
	assert_int_equal(5, j.nodes[0].count);
	buffer_clear(&b);
	error_object(&b, OUTCOME_BAD_REQUEST, "No.", 0, 0, id);
	assert_int_equal(0, json_parse(&j, (char *)b.data, b.len));
	assert_true(json_string_is(&j, json_member(&j, 0, "message"), "No."));
	assert_true(json_is(&j, json_member(&j, 0, "retry"), JSON_FALSE));
	assert_int_equal(4, j.nodes[0].count);
	json_free(&j);
	buffer_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_violation_has_its_status),
		cmocka_unit_test(how_bytes_are_cut_changes_nothing),
		cmocka_unit_test(a_cut_at_every_byte_reads_the_same),
		cmocka_unit_test(a_request_line_has_a_bound),
		cmocka_unit_test(a_line_without_an_end_is_refused_at_its_bound),
		cmocka_unit_test(a_header_has_bounds),
		cmocka_unit_test(chunk_extensions_have_a_bound),
		cmocka_unit_test(a_trailer_has_bounds),
		cmocka_unit_test(input_of_small_chunks_stays_bounded),
		cmocka_unit_test(pipelined_requests_are_read_one_after_another),
		cmocka_unit_test(fields_are_found_trimmed_and_whatever_their_case),
		cmocka_unit_test(every_line_of_x_forwarded_for_is_kept_in_order),
		cmocka_unit_test(
		    lines_of_x_forwarded_for_have_the_bound_of_fields),
		cmocka_unit_test(only_allowed_hosts_are_served),
		cmocka_unit_test(only_allowed_origins_are_served),
		cmocka_unit_test(a_target_is_a_path_or_names_the_same_host),
		cmocka_unit_test(only_json_in_utf8_is_a_media_type),
		cmocka_unit_test(only_a_bearer_token_is_a_credential),
		cmocka_unit_test(a_scope_cannot_split_a_response),
		cmocka_unit_test(a_response_says_the_length_of_its_parts),
		cmocka_unit_test(
		    a_limit_that_was_hit_is_told_in_structured_fields),
		cmocka_unit_test(an_error_object_has_the_words_of_the_taxonomy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
