/* SPDX-License-Identifier: ISC */

/*
 * Responses as bytes: status line, fields, body; the error object of
 * DESIGN 4; the challenges of RFC 6750.  What comes from another process and
 * goes into a header field is cut down to what may stand in a quoted string,
 * so that nobody splits a response.
 */

#include "listener.h"

static const char *
reason_phrase(int status)
{
	static const struct {
		int		 status;
		const char	*phrase;
	} phrases[] = {
		{ 200, "OK" }, { 202, "Accepted" }, { 400, "Bad Request" },
		{ 401, "Unauthorized" }, { 403, "Forbidden" },
		{ 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 408, "Request Timeout" }, { 413, "Content Too Large" },
		{ 414, "URI Too Long" }, { 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" }, { 421, "Misdirected Request" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};
	size_t i;

	for (i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Unknown";
}

static void
add_field(struct buffer *b, const char *name, const char *value)
{
	(void)buffer_add_cstr(b, name);
	(void)buffer_add(b, ": ", 2);
	(void)buffer_add_cstr(b, value);
	(void)buffer_add(b, "\r\n", 2);
}

/*
 * What was hit, and when it gives way: draft-ietf-httpapi-ratelimit-headers-11,
 * 3 and 4.  Calls in flight have no window.
 */
static void
add_limit(struct buffer *b, const struct limit_hit *hit)
{
	static const char *const names[LIMIT_WHAT_MAX] = {
		[LIMIT_CALLER] = "\"caller\"", [LIMIT_TOOL] = "\"tool\"",
		[LIMIT_IN_FLIGHT] = "\"in-flight\""
	};

	if (hit->what >= LIMIT_WHAT_MAX || names[hit->what] == NULL)
		return;
	(void)buffer_add_cstr(b, "RateLimit-Policy: ");
	(void)buffer_add_cstr(b, names[hit->what]);
	(void)buffer_add_cstr(b, ";q=");
	(void)buffer_add_u64(b, hit->rate.count);
	if (hit->what == LIMIT_IN_FLIGHT) {
		(void)buffer_add_cstr(b, ";qu=\"concurrent-requests\"");
	} else {
		(void)buffer_add_cstr(b, ";w=");
		(void)buffer_add_u64(b, (hit->rate.period_ms + 999) / 1000);
	}
	(void)buffer_add_cstr(b, "\r\nRateLimit: ");
	(void)buffer_add_cstr(b, names[hit->what]);
	(void)buffer_add_cstr(b, ";r=");
	(void)buffer_add_u64(b, hit->remaining);
	if (hit->what != LIMIT_IN_FLIGHT) {
		(void)buffer_add_cstr(b, ";t=");
		(void)buffer_add_u64(b, hit->reset_s);
	}
	(void)buffer_add(b, "\r\n", 2);
}

void
http_reply(struct buffer *b, const struct reply *reply,
    const struct slice *parts, size_t n)
{
	size_t i, length = 0;

	for (i = 0; i < n; i++)
		length += parts[i].len;
	(void)buffer_add_cstr(b, "HTTP/1.1 ");
	(void)buffer_add_u64(b, (uint64_t)reply->status);
	(void)buffer_add_char(b, ' ');
	(void)buffer_add_cstr(b, reason_phrase(reply->status));
	(void)buffer_add(b, "\r\n", 2);
	if (n > 0)
		add_field(b, "Content-Type", reply->type != NULL ?
		    reply->type : "application/json");
	(void)buffer_add_cstr(b, reply->public ?
	    "Cache-Control: max-age=300\r\nAccess-Control-Allow-Origin: *\r\n"
	    "Content-Length: " : "Cache-Control: no-store\r\nContent-Length: ");
	(void)buffer_add_u64(b, length);
	(void)buffer_add(b, "\r\n", 2);
	if (reply->challenge != NULL)
		add_field(b, "WWW-Authenticate", reply->challenge);
	if (reply->allow != NULL)
		add_field(b, "Allow", reply->allow);
	if (reply->retry_after > 0) {
		(void)buffer_add_cstr(b, "Retry-After: ");
		(void)buffer_add_u64(b, reply->retry_after);
		(void)buffer_add(b, "\r\n", 2);
	}
	if (reply->limit != NULL)
		add_limit(b, reply->limit);
	if (reply->close)
		add_field(b, "Connection", "close");
	(void)buffer_add(b, "\r\n", 2);
	for (i = 0; i < n && !reply->head; i++)
		(void)buffer_add_slice(b, parts[i]);
}

void
error_object(struct buffer *b, enum outcome outcome, const char *message,
    int retry, uint32_t retry_after, const uint8_t request_id[REQUEST_ID_LEN])
{
	(void)buffer_add_cstr(b, "{\"error_code\":");
	(void)json_write_cstr(b, outcome_name(outcome));
	(void)buffer_add_cstr(b, ",\"message\":");
	(void)json_write_cstr(b, message != NULL ? message :
	    outcome_message(outcome));
	(void)buffer_add_cstr(b, ",\"retry\":");
	(void)buffer_add_cstr(b, retry ? "true" : "false");
	if (retry_after > 0) {
		(void)buffer_add_cstr(b, ",\"retry_after_seconds\":");
		(void)buffer_add_u64(b, retry_after);
	}
	(void)buffer_add_cstr(b, ",\"request_id\":\"");
	(void)buffer_add_hex(b, request_id, REQUEST_ID_LEN);
	(void)buffer_add_cstr(b, "\"}");
}

/* name="value" with value as a quoted-string of printable ASCII. */
static void
add_quoted(struct buffer *b, const char *name, struct slice value)
{
	size_t i;

	(void)buffer_add_cstr(b, name);
	(void)buffer_add(b, "=\"", 2);
	for (i = 0; i < value.len; i++) {
		if (value.ptr[i] < 0x20 || value.ptr[i] >= 0x7f)
			continue;
		if (value.ptr[i] == '"' || value.ptr[i] == '\\')
			(void)buffer_add_char(b, '\\');
		(void)buffer_add_char(b, value.ptr[i]);
	}
	(void)buffer_add_char(b, '"');
}

void
challenge_401(struct buffer *b, const char *realm, const char *metadata_url,
    int no_credential, struct slice scope)
{
	(void)buffer_add_cstr(b, "Bearer ");
	add_quoted(b, "realm", slice_of(realm));
	if (metadata_url != NULL)
		add_quoted(b, ", resource_metadata", slice_of(metadata_url));
	if (!no_credential)
		(void)buffer_add_cstr(b, ", error=\"invalid_token\"");
	if (scope.len > 0)
		add_quoted(b, ", scope", scope);
	(void)buffer_add_char(b, '\0');
}

void
challenge_403(struct buffer *b, const char *metadata_url, struct slice scope)
{
	(void)buffer_add_cstr(b, "Bearer error=\"insufficient_scope\"");
	if (metadata_url != NULL)
		add_quoted(b, ", resource_metadata", slice_of(metadata_url));
	if (scope.len > 0)
		add_quoted(b, ", scope", scope);
	(void)buffer_add_char(b, '\0');
}
