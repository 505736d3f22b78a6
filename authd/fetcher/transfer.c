/* SPDX-License-Identifier: ISC */

/*
 * One fetch: a name looked up, a GET by libcurl, at most three redirects on
 * the same origin, a document within bounds.  libcurl gets a URL that url.c
 * has spelt and the addresses that we found; the socket is ours to refuse
 * when it is opened, so that nothing between look-up and connect(2) can
 * change where we go.  Everything that it would do beside that is turned off.
 *
 * The multi handle is never cleaned up: the process ends instead.
 */

#include <sys/types.h>

#include <stdio.h>
#include <strings.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "../../common/compat.h"
#include "../../common/log.h"
#include "../../common/version.h"
#include "../../common/proc.h"
#include "fetcher.h"

#include <arpa/inet.h>

#define AGE_MAX		32	/* bytes of an Age header */

struct fetch {
	struct url		 url;		/* of this hop */
	struct fetch_rules	 rules;
	fetch_done		*done;
	void			*arg;
	struct event		*start;
	struct event		*deadline;
	struct lookup		*lookup;
	struct curl_slist	*addresses;	/* for CURLOPT_RESOLVE */
	CURL			*easy;
	unsigned int		 redirects;
	struct buffer		 body;
	size_t			 header_bytes;	/* of all hops */
	int			 headers_done;	/* of this hop */
	int			 has_length;	/* the body's end can be told */
	int			 has_location;
	char			 location[URL_MAX + 1];
	struct buffer		 cache_control;
	char			 age[AGE_MAX + 1];
	char			 why[WHY_MAX];	/* empty: nothing is wrong */
	char			 curl_says[CURL_ERROR_SIZE];
};

static CURLM *multi;
static struct event *curl_timer;

static void	begin(struct fetch *);

/* ---- the end of a fetch ------------------------------------------------ */

static void
drop_easy(struct fetch *f)
{
	if (f->easy == NULL)
		return;
	(void)curl_multi_remove_handle(multi, f->easy);
	curl_easy_cleanup(f->easy);
	f->easy = NULL;
}

static void
fetch_free(struct fetch *f)
{
	drop_easy(f);
	lookup_cancel(f->lookup);
	curl_slist_free_all(f->addresses);
	if (f->start != NULL)
		event_free(f->start);
	if (f->deadline != NULL)
		event_free(f->deadline);
	buffer_free(&f->body);
	buffer_free(&f->cache_control);
	free(f);
}

void
fetch_cancel(struct fetch *f)
{
	if (f != NULL)
		fetch_free(f);
}

/* Never inside a callback of libcurl's. */
static void
finish(struct fetch *f)
{
	struct msg_fetched m;
	struct slice control, age;

	memset(&m, 0, sizeof(m));
	m.ok = f->why[0] == '\0';
	if (m.ok) {
		control.ptr = (const char *)f->cache_control.data;
		control.len = f->cache_control.len;
		age = slice_of(f->age);
		if (!f->cache_control.bad)
			m.max_age_s = freshness(control, age);
		m.bytes.ptr = (const char *)f->body.data;
		m.bytes.len = f->body.len;
	} else {
		m.bytes = slice_of(f->why);
	}
	f->done(&m, f->arg);
	fetch_free(f);
}

/* The first reason stays: what follows follows from it. */
static void
because(struct fetch *f, const char *what, const char *detail)
{
	char safe[WHY_MAX];

	if (f->why[0] != '\0')
		return;
	(void)strlcpy(f->why, what, sizeof(f->why));
	if (detail[0] == '\0')
		return;
	(void)strlcat(f->why, ": ", sizeof(f->why));
	(void)strlcat(f->why, log_safe(safe, sizeof(safe), slice_of(detail)),
	    sizeof(f->why));
}

static void
fail(struct fetch *f, const char *what, const char *detail)
{
	because(f, what, detail);
	finish(f);
}

/* ---- what libcurl asks us ---------------------------------------------- */

static int
may_connect(const struct fetch *f, const struct sockaddr *sa)
{
	return (sa->sa_family == AF_INET || sa->sa_family == AF_INET6) &&
	    (f->rules.allow_private || address_is_global(sa));
}

static in_port_t
port_of(const struct sockaddr *sa)
{
	struct sockaddr_in6 sin6;
	struct sockaddr_in sin;

	if (sa->sa_family == AF_INET6) {
		memcpy(&sin6, sa, sizeof(sin6));
		return ntohs(sin6.sin6_port);
	}
	memcpy(&sin, sa, sizeof(sin));
	return ntohs(sin.sin_port);
}

static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	char text[INET6_ADDRSTRLEN];
	struct fetch *f = arg;

	if (purpose != CURLSOCKTYPE_IPCXN || to->socktype != SOCK_STREAM ||
	    !may_connect(f, &to->addr) || port_of(&to->addr) != f->url.port) {
		because(f, "address refused, not a global one",
		    address_text(&to->addr, text, sizeof(text)));
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
}

static size_t
on_body(char *data, size_t size, size_t count, void *arg)
{
	struct fetch *f = arg;
	long status = 0;
	size_t len = size * count;

	(void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	/* Of another answer there is nothing that we want to know. */
	if (status != 200 || !f->has_length)
		return 0;
	if (len > FETCH_MAX - f->body.len) {
		because(f, "the document is too large", "");
		return 0;
	}
	if (len > 0 && buffer_add(&f->body, data, len) == -1) {
		because(f, "no memory", "");
		return 0;
	}
	return len;
}

static struct slice
trimmed(const char *from, const char *end)
{
	struct slice s;

	while (from < end && (*from == ' ' || *from == '\t'))
		from++;
	while (end > from && (end[-1] == ' ' || end[-1] == '\t' ||
	    end[-1] == '\r' || end[-1] == '\n'))
		end--;
	s.ptr = from;
	s.len = (size_t)(end - from);
	return s;
}

static int
is_word(struct slice s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.ptr, word, s.len) == 0;
}

static int
take_location(struct fetch *f, struct slice value)
{
	if (f->has_location || value.len > URL_MAX ||
	    memchr(value.ptr, '\0', value.len) != NULL) {
		because(f, "a redirect that is malformed", "");
		return -1;
	}
	f->has_location = 1;
	memcpy(f->location, value.ptr, value.len);
	f->location[value.len] = '\0';
	return 0;
}

/* Age said twice or too long is no number: freshness() then says 0. */
static void
take_age(struct fetch *f, struct slice value)
{
	if (f->age[0] != '\0' || value.len == 0 || value.len > AGE_MAX)
		(void)strlcpy(f->age, "?", sizeof(f->age));
	else
		(void)log_safe(f->age, sizeof(f->age), value);
}

static int
take_header(struct fetch *f, struct slice name, struct slice value)
{
	if (is_word(name, "Location"))
		return take_location(f, value);
	if (is_word(name, "Content-Length") ||
	    is_word(name, "Transfer-Encoding"))
		f->has_length = 1;
	if (is_word(name, "Age"))
		take_age(f, value);
	if (is_word(name, "Cache-Control")) {
		if (f->cache_control.len > 0)
			(void)buffer_add_char(&f->cache_control, ',');
		(void)buffer_add_slice(&f->cache_control, value);
	}
	/* We asked for none, and unpacking is one parser more. */
	if ((is_word(name, "Content-Encoding") && !is_word(value, "identity")) ||
	    (is_word(name, "Transfer-Encoding") &&
	    !is_word(value, "chunked"))) {
		because(f, "an encoding that was not asked for", "");
		return -1;
	}
	return 0;
}

static void
forget_headers(struct fetch *f)
{
	f->headers_done = 0;
	f->has_length = 0;
	f->has_location = 0;
	f->age[0] = '\0';
	buffer_clear(&f->cache_control);
}

/* A line at a time: the status line, each header, the empty one. */
static size_t
on_header(char *data, size_t size, size_t count, void *arg)
{
	struct fetch *f = arg;
	size_t len = size * count;
	const char *colon;
	struct slice name;

	if (len > HEADERS_MAX - f->header_bytes) {
		because(f, "the headers are too large", "");
		return 0;
	}
	f->header_bytes += len;
	if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
		forget_headers(f);	/* after 1xx there is another */
		return len;
	}
	if (trimmed(data, data + len).len == 0)
		f->headers_done = 1;
	/* What follows the body is no header for us. */
	if (f->headers_done || (colon = memchr(data, ':', len)) == NULL)
		return len;
	name.ptr = data;
	name.len = (size_t)(colon - data);
	return take_header(f, name, trimmed(colon + 1, data + len)) == -1 ?
	    0 : len;
}

/* ---- one hop ----------------------------------------------------------- */

static int
set_way(struct fetch *f)
{
	CURL *e = f->easy;
	char agent[64];
	int bad = 0;

	(void)snprintf(agent, sizeof(agent), "pontifexd/%s", program_version);
#define SET(option, value) \
	(bad |= curl_easy_setopt(e, option, value) != CURLE_OK)
	/* Of HTTP: GET, as it stands, once. */
	SET(CURLOPT_URL, f->url.text);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "https");
	SET(CURLOPT_HTTPGET, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_USERAGENT, agent);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_ACCEPT_ENCODING, NULL);
	SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
	SET(CURLOPT_HTTP09_ALLOWED, 0L);
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)FETCH_MAX);
	/* Of the way there: straight. */
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, f);
	SET(CURLOPT_RESOLVE, f->addresses);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	SET(CURLOPT_TIMEOUT_MS, (long)FETCH_MS);
	/* Signals are not the sandbox's to give. */
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, f);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, f);
	SET(CURLOPT_ERRORBUFFER, f->curl_says);
	SET(CURLOPT_PRIVATE, f);
	return bad ? -1 : 0;
}

static int
set_trust(struct fetch *f)
{
	struct curl_blob ca = { (void *)(uintptr_t)f->rules.ca.ptr,
	    f->rules.ca.len, CURL_BLOB_NOCOPY };
	CURL *e = f->easy;
	int bad = 0;

	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
	/* These certificates, and not the system's beside them. */
	SET(CURLOPT_CAINFO, NULL);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_CAINFO_BLOB, &ca);
#undef SET
	return bad ? -1 : 0;
}

static void
begin(struct fetch *f)
{
	forget_headers(f);
	buffer_clear(&f->body);
	f->curl_says[0] = '\0';
	if ((f->easy = curl_easy_init()) == NULL || set_way(f) == -1 ||
	    set_trust(f) == -1 ||
	    curl_multi_add_handle(multi, f->easy) != CURLM_OK)
		fail(f, "libcurl cannot start", "");
}

static int
is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 ||
	    status == 307 || status == 308;
}

/* Begins the next hop, or finishes f. */
static void
follow(struct fetch *f)
{
	const char *why = "";
	struct url to;

	if (!f->has_location || f->redirects == REDIRECTS_MAX) {
		fail(f, f->has_location ? "too many redirects" :
		    "a redirect to nowhere", "");
		return;
	}
	if (url_redirect(&f->url, slice_of(f->location), &to, &why) == -1) {
		fail(f, "redirect refused", why);
		return;
	}
	if (!url_same_origin(&f->url, &to)) {
		fail(f, "redirect refused, it leaves the origin", to.text);
		return;
	}
	f->redirects++;
	f->url = to;
	drop_easy(f);
	begin(f);
}

static void
over(struct fetch *f, CURLcode code)
{
	char text[32];
	long status = 0;

	(void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	if (f->why[0] != '\0' && code != CURLE_OK) {
		finish(f);
		return;
	}
	f->why[0] = '\0';	/* one address was refused, another was not */
	if (f->headers_done && is_redirect(status)) {
		follow(f);
	} else if (f->headers_done && status != 200) {
		(void)snprintf(text, sizeof(text), "%ld", status);
		fail(f, "HTTP status", text);
	} else if (f->headers_done && !f->has_length) {
		/* libcurl takes a cut connection for the end. */
		fail(f, "the document's length is not told", "");
	} else if (code == CURLE_FILESIZE_EXCEEDED) {
		fail(f, "the document is too large", "");
	} else if (code != CURLE_OK) {
		fail(f, curl_easy_strerror(code), f->curl_says);
	} else {
		finish(f);
	}
}

/* ---- libcurl in the loop ----------------------------------------------- */

static void
reap(void)
{
	struct fetch *f;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(multi, &left)) != NULL) {
		f = NULL;
		if (m->msg == CURLMSG_DONE && curl_easy_getinfo(m->easy_handle,
		    CURLINFO_PRIVATE, &f) == CURLE_OK && f != NULL)
			over(f, m->data.result);
	}
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	int running, ready = 0;

	(void)arg;
	if ((what & EV_READ) != 0)
		ready |= CURL_CSELECT_IN;
	if ((what & EV_WRITE) != 0)
		ready |= CURL_CSELECT_OUT;
	(void)curl_multi_socket_action(multi, fd, ready, &running);
	reap();
}

static void
on_curl_timer(evutil_socket_t fd, short what, void *arg)
{
	int running;

	(void)fd;
	(void)what;
	(void)arg;
	(void)curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap();
}

static int
set_timer(CURLM *m, long ms, void *arg)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	(void)m;
	(void)arg;
	if (ms < 0)
		return event_del(curl_timer);
	return event_add(curl_timer, &tv);
}

static int
set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *ours)
{
	struct event *ev = ours;

	(void)easy;
	(void)arg;
	if (ev != NULL)
		event_free(ev);
	ev = NULL;
	if (what != CURL_POLL_REMOVE) {
		ev = event_new(child.base, fd, (short)(EV_PERSIST |
		    ((what & CURL_POLL_IN) != 0 ? EV_READ : 0) |
		    ((what & CURL_POLL_OUT) != 0 ? EV_WRITE : 0)), on_socket,
		    NULL);
		/* Without an event the deadline ends it. */
		if (ev != NULL)
			(void)event_add(ev, NULL);
	}
	(void)curl_multi_assign(multi, fd, ev);
	return 0;
}

int
transfer_start(void)
{
	CURL *warm;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (multi = curl_multi_init()) == NULL ||
	    (curl_timer = evtimer_new(child.base, on_curl_timer, NULL)) ==
	    NULL ||
	    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, set_socket) !=
	    CURLM_OK ||
	    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer) !=
	    CURLM_OK || (warm = curl_easy_init()) == NULL) {
		log_warn("libcurl cannot start");
		return -1;
	}
	curl_easy_cleanup(warm);
	return 0;
}

/* ---- from the name on -------------------------------------------------- */

/* "host:443:192.0.2.1,[2001:db8::1]", of those that we may connect to. */
static int
keep_addresses(struct fetch *f, const struct found *found)
{
	char text[INET6_ADDRSTRLEN] = "";
	const struct sockaddr *sa;
	struct buffer line;
	size_t i, kept = 0;

	buffer_init(&line, 1024);
	(void)buffer_printf(&line, "%s:%u:", f->url.host,
	    (unsigned int)f->url.port);
	for (i = 0; i < found->n; i++) {
		sa = (const struct sockaddr *)&found->address[i];
		(void)address_text(sa, text, sizeof(text));
		if (!may_connect(f, sa))
			continue;
		(void)buffer_printf(&line, sa->sa_family == AF_INET6 ?
		    "%s[%s]" : "%s%s", kept++ > 0 ? "," : "", text);
	}
	if (kept == 0)
		because(f, "address refused, not a global one", text);
	else if (buffer_add(&line, "", 1) == -1 || (f->addresses =
	    curl_slist_append(NULL, (const char *)line.data)) == NULL)
		because(f, "no memory", "");
	buffer_free(&line);
	return f->addresses == NULL ? -1 : 0;
}

static void
on_lookup(const struct found *found, const char *error, void *arg)
{
	struct fetch *f = arg;

	f->lookup = NULL;
	if (error != NULL)
		fail(f, "the host name cannot be resolved", error);
	else if (keep_addresses(f, found) == -1)
		finish(f);
	else
		begin(f);
}

static void
on_start(evutil_socket_t fd, short what, void *arg)
{
	struct fetch *f = arg;

	(void)fd;
	(void)what;
	if (f->url.literal)
		begin(f);
	else if ((f->lookup = lookup_new(f->url.host, on_lookup, f)) == NULL)
		fail(f, "name resolution cannot start", "");
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct fetch *f = arg;

	(void)fd;
	(void)what;
	f->why[0] = '\0';
	fail(f, "no whole answer in time", "");
}

struct fetch *
fetch_new(const struct url *u, const struct fetch_rules *rules,
    fetch_done *done, void *arg)
{
	static const struct timeval at_once = { 0, 0 }, limit = {
	    FETCH_MS / 1000, FETCH_MS % 1000 * 1000 };
	struct fetch *f;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		return NULL;
	f->url = *u;
	f->rules = *rules;
	f->done = done;
	f->arg = arg;
	buffer_init(&f->body, FETCH_MAX);
	buffer_init(&f->cache_control, DIRECTIVES_MAX);
	f->start = evtimer_new(child.base, on_start, f);
	f->deadline = evtimer_new(child.base, on_deadline, f);
	if (f->start == NULL || f->deadline == NULL ||
	    event_add(f->start, &at_once) == -1 ||
	    event_add(f->deadline, &limit) == -1) {
		fetch_free(f);
		return NULL;
	}
	return f;
}
