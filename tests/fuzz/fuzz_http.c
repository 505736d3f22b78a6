/* SPDX-License-Identifier: ISC */
/* link: daemon/listener/http_parse.c daemon/listener/http_check.c daemon/listener/forwarded.c daemon/listener/trace.c */

/*
 * Any bytes from a client.  The first byte says how the rest is cut: what is
 * understood must not depend on it, and every span must lie in the input.
 */

#include "../../common/compat.h"
#include "../../daemon/listener/listener.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct outcome_of {
	enum http_progress	 progress;
	struct http_request	 http;
	struct buffer		 in;
};

static void
read_all(struct outcome_of *o, const uint8_t *data, size_t len, size_t step)
{
	size_t n;

	buffer_init(&o->in, 1 << 20);
	http_begin(&o->http);
	o->progress = HTTP_MORE;
	while (len > 0 && (o->progress == HTTP_MORE)) {
		n = len < step ? len : step;
		buffer_add(&o->in, data, n);
		data += n;
		len -= n;
		while ((o->progress = http_feed(&o->http, &o->in)) == HTTP_HEAD)
			;
	}
}

static int
inside(const struct outcome_of *o, struct span s)
{
	return s.at <= o->in.len && s.len <= o->in.len - s.at;
}

static void
look_at_values(const struct outcome_of *o)
{
	static char host[] = "localhost", origin[] = "https://a.example";
	static const struct allowed allowed = { .hosts = 1, .host = { host },
	    .origins = 1, .origin = { origin } };
	static struct forwarders trusted = { .n = 1 };
	struct slice value, path, line[HTTP_FIELDS_MAX];
	char caller[PEER_MAX];
	uint32_t i;

	value = http_field(&o->http, &o->in, FIELD_HOST);
	if (value.ptr != NULL)
		(void)check_host(&allowed, value);
	if (check_target(http_span(&o->in, o->http.target), value, &path) ==
	    0 && (path.len == 0 || path.ptr[0] != '/'))
		abort();
	value = http_field(&o->http, &o->in, FIELD_ORIGIN);
	if (value.ptr != NULL && check_origin(&allowed, value) == VERDICT_OK &&
	    !slice_is_nocase(value, origin) && memchr(value.ptr, ':',
	    value.len) == NULL)
		abort();
	value = http_field(&o->http, &o->in, FIELD_CONTENT_TYPE);
	if (value.ptr != NULL)
		(void)check_media_type(value);
	value = http_field(&o->http, &o->in, FIELD_AUTHORIZATION);
	if (value.ptr != NULL)
		(void)check_authorization(value, &path);
	if (o->http.traces > 0)
		(void)trace_valid(http_span(&o->in, o->http.trace));
	for (i = 0; i < o->http.forwards; i++)
		line[i] = http_span(&o->in, o->http.forwarded[i]);
	if (forwarded_caller(&trusted, "10.0.0.1", line, o->http.forwards,
	    caller) == 1 && memchr(caller, '\0', sizeof(caller)) == NULL)
		abort();
}

static void
look_at(const struct outcome_of *o)
{
	uint32_t i;

	if (!inside(o, o->http.method) || !inside(o, o->http.target) ||
	    o->http.at > o->in.len || o->http.head_end > o->in.len ||
	    o->http.body_len > o->in.len - o->http.head_end ||
	    o->http.forwards > HTTP_FIELDS_MAX)
		abort();
	for (i = 0; i < FIELD_MAX; i++)
		if ((o->http.present & (1U << i)) != 0 &&
		    !inside(o, o->http.field[i]))
			abort();
	look_at_values(o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct outcome_of whole, cut;
	size_t step;

	if (len < 2)
		return 0;
	step = data[0] == 0 ? 1 : data[0];
	read_all(&whole, data + 1, len - 1, len);
	read_all(&cut, data + 1, len - 1, step);
	if (whole.progress != cut.progress)
		abort();
	if (whole.progress == HTTP_BAD && (whole.http.status < 400 ||
	    whole.http.error == NULL || whole.http.status != cut.http.status))
		abort();
	if (whole.progress == HTTP_COMPLETE) {
		look_at(&whole);
		look_at(&cut);
		if (whole.http.body_len != cut.http.body_len ||
		    memcmp(whole.in.data, cut.in.data, whole.http.head_end +
		    whole.http.body_len) != 0)
			abort();
	}
	buffer_free(&whole.in);
	buffer_free(&cut.in);
	return 0;
}
