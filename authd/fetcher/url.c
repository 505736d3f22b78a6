/* SPDX-License-Identifier: ISC */

/*
 * Absolute https URLs (RFC 3986), read more strictly than anybody else will:
 * what is refused here is never handed to a parser with another opinion, and
 * what passes is spelt anew, so that libcurl sees our reading and not the
 * sender's.  No user, no fragment, no empty port, no "." segment, no host
 * that some parsers take for a number.
 */

#include <stdio.h>

#include "../../common/compat.h"
#include "fetcher.h"

#include <arpa/inet.h>

#define SCHEME		"https://"
#define HTTPS_PORT	443
#define HOST_LABEL_MAX	63		/* bytes of a label of a host name */

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int
starts_with_https(struct slice s)
{
	size_t i;

	if (s.len < sizeof(SCHEME) - 1)
		return 0;
	for (i = 0; i < sizeof(SCHEME) - 1; i++)
		if (lower(s.ptr[i]) != SCHEME[i])
			return 0;
	return 1;
}

/* A last label that is a number makes an address, and there is one way. */
static int
ends_in_number(const char *host)
{
	const char *last = strrchr(host, '.');

	last = last == NULL ? host : last + 1;
	if (last[0] == '0' && (last[1] == 'x' || last[1] == '\0'))
		return 1;
	for (; is_digit(*last); last++)
		;
	return *last == '\0';
}

static int
parse_name(struct slice s, struct url *u)
{
	struct in_addr in;
	size_t i, label = 0;

	if (s.len == 0 || s.len > HOST_MAX)
		return -1;
	for (i = 0; i < s.len; i++) {
		if (s.ptr[i] == '.') {
			if (label == 0 || s.ptr[i - 1] == '-')
				return -1;
			label = 0;
		} else if (++label > HOST_LABEL_MAX || (!is_alnum(s.ptr[i]) &&
		    (s.ptr[i] != '-' || label == 1))) {
			return -1;
		}
		u->host[i] = lower(s.ptr[i]);
	}
	u->host[i] = '\0';
	/* No dot at the end: it would be another spelling of the same. */
	if (label == 0 || u->host[i - 1] == '-')
		return -1;
	u->literal = ends_in_number(u->host);
	return u->literal && inet_pton(AF_INET, u->host, &in) != 1 ? -1 : 0;
}

/* Without its brackets; no zone. */
static int
parse_ipv6(struct slice s, struct url *u)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr in6;

	if (s.len >= sizeof(text))
		return -1;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	if (inet_pton(AF_INET6, text, &in6) != 1 ||
	    inet_ntop(AF_INET6, &in6, text, sizeof(text)) == NULL)
		return -1;
	u->literal = 1;
	(void)snprintf(u->host, sizeof(u->host), "[%s]", text);
	return 0;
}

static int
parse_port(struct slice s, struct url *u)
{
	unsigned int port = 0;
	size_t i;

	if (s.len == 0 || s.len > 5 || s.ptr[0] == '0')
		return -1;
	for (i = 0; i < s.len; i++) {
		if (!is_digit(s.ptr[i]))
			return -1;
		port = port * 10 + (unsigned int)(s.ptr[i] - '0');
	}
	if (port > UINT16_MAX)
		return -1;
	u->port = (uint16_t)port;
	return 0;
}

static int
parse_authority(struct slice s, struct url *u, const char **why)
{
	struct slice host = s, port = { NULL, 0 };
	const char *end;

	if (memchr(s.ptr, '@', s.len) != NULL) {
		*why = "a user in the URL";
		return -1;
	}
	if (s.len > 0 && s.ptr[0] == '[') {
		if ((end = memchr(s.ptr, ']', s.len)) == NULL) {
			*why = "not a host name or address";
			return -1;
		}
		host.ptr = s.ptr + 1;
		host.len = (size_t)(end - host.ptr);
		end++;
	} else {
		end = memchr(s.ptr, ':', s.len);
		if (end == NULL)
			end = s.ptr + s.len;
		host.len = (size_t)(end - s.ptr);
	}
	if ((host.ptr == s.ptr ? parse_name(host, u) : parse_ipv6(host, u)) ==
	    -1) {
		*why = "not a host name or address";
		return -1;
	}
	u->port = HTTPS_PORT;
	if (end == s.ptr + s.len)
		return 0;
	port.ptr = end + 1;
	port.len = (size_t)(s.ptr + s.len - port.ptr);
	if (*end == ':' && parse_port(port, u) == 0)
		return 0;
	*why = "not a port";
	return -1;
}

/* What a path or query may hold, percent-encoded bytes aside. */
static int
is_path_char(char c, int in_query)
{
	return is_alnum(c) || (c != '\0' &&
	    strchr("-._~!$&'()*+,;=:@/", c) != NULL) || (in_query && c == '?');
}

/* The length of the dot that s begins with, "." or "%2e"; 0: none. */
static size_t
dot(const char *s, const char *end)
{
	if (s < end && *s == '.')
		return 1;
	if (end - s >= 3 && s[0] == '%' && s[1] == '2' && lower(s[2]) == 'e')
		return 3;
	return 0;
}

/* s stands behind a "/". */
static int
is_dot_segment(const char *s, const char *end)
{
	size_t n = dot(s, end);

	if (n == 0)
		return 0;
	s += n;
	s += dot(s, end);
	return s == end || *s == '/';
}

/* Checks path and query; *query is where "?" stands, or the length. */
static int
check_path(struct slice s, size_t *query, const char **why)
{
	const char *mark = memchr(s.ptr, '?', s.len);
	const char *path_end = mark == NULL ? s.ptr + s.len : mark;
	size_t i;

	*query = (size_t)(path_end - s.ptr);
	for (i = 0; i < s.len; i++) {
		if (s.ptr[i] == '#') {
			*why = "a fragment in the URL";
			return -1;
		}
		if (s.ptr[i] == '%') {
			if (s.len - i < 3 || hex_digit(s.ptr[i + 1]) == -1 ||
			    hex_digit(s.ptr[i + 2]) == -1) {
				*why = "a bad percent sign in the URL";
				return -1;
			}
			i += 2;
		} else if (i != *query &&
		    !is_path_char(s.ptr[i], i > *query)) {
			*why = "a byte that no URL has";
			return -1;
		} else if (i < *query && s.ptr[i] == '/' &&
		    is_dot_segment(s.ptr + i + 1, path_end)) {
			*why = "a \".\" segment in the URL";
			return -1;
		}
	}
	return 0;
}

int
url_parse(struct slice s, struct url *u, const char **why)
{
	struct slice authority, rest;
	size_t i, query;
	int n;

	memset(u, 0, sizeof(*u));
	if (!starts_with_https(s)) {
		*why = "not an https URL";
		return -1;
	}
	authority.ptr = s.ptr + sizeof(SCHEME) - 1;
	for (i = sizeof(SCHEME) - 1; i < s.len && s.ptr[i] != '/' &&
	    s.ptr[i] != '?' && s.ptr[i] != '#'; i++)
		;
	authority.len = i - (sizeof(SCHEME) - 1);
	rest.ptr = s.ptr + i;
	rest.len = s.len - i;
	if (parse_authority(authority, u, why) == -1 ||
	    check_path(rest, &query, why) == -1)
		return -1;
	n = u->port == HTTPS_PORT ? snprintf(u->text, sizeof(u->text),
	    SCHEME "%s", u->host) : snprintf(u->text, sizeof(u->text),
	    SCHEME "%s:%u", u->host, (unsigned int)u->port);
	if (n < 0 || s.len > URL_MAX || rest.len > URL_MAX - (size_t)n) {
		*why = "a URL that is too long";
		return -1;
	}
	u->path = (size_t)n;
	u->query = u->path + query;
	memcpy(u->text + n, rest.ptr, rest.len);
	return 0;
}

int
url_same_origin(const struct url *a, const struct url *b)
{
	/* Both are https: nothing else is a struct url. */
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* Puts a URL together from its origin and what follows, and reads it. */
static int
build(const struct url *origin, struct slice first, struct slice second,
    struct url *to, const char **why)
{
	struct buffer b;
	struct slice whole;
	int rc = -1;

	*why = "a URL that is too long";
	buffer_init(&b, URL_MAX);
	(void)buffer_add(&b, origin->text, origin->path);
	(void)buffer_add_slice(&b, first);
	if (buffer_add_slice(&b, second) == 0) {
		whole.ptr = (const char *)b.data;
		whole.len = b.len;
		rc = url_parse(whole, to, why);
	}
	buffer_free(&b);
	return rc;
}

/*
 * OpenID Connect Discovery §4.1 puts the well-known part behind the path,
 * RFC 8414 §3 before it; both without the path's slash at the end.
 */
int
url_metadata(const struct url *issuer, enum fetch_what what, struct url *to)
{
	struct slice path = { issuer->text + issuer->path,
	    issuer->query - issuer->path };
	const char *why;

	if (issuer->text[issuer->query] != '\0')
		return -1;
	if (path.len > 0 && path.ptr[path.len - 1] == '/')
		path.len--;
	if (what == FETCH_OIDC)
		return build(issuer, path,
		    slice_of("/.well-known/openid-configuration"), to, &why);
	if (what == FETCH_OAUTH)
		return build(issuer,
		    slice_of("/.well-known/oauth-authorization-server"), path,
		    to, &why);
	return -1;
}

int
url_redirect(const struct url *base, struct slice location, struct url *to,
    const char **why)
{
	static const struct slice none = { "", 0 };
	struct slice before = { base->text + base->path, 0 };
	size_t i;

	/* RFC 3986 §4.2: "//host" keeps the scheme alone. */
	if (location.len >= 2 && location.ptr[0] == '/' &&
	    location.ptr[1] == '/') {
		*why = "a redirect without a scheme";
		return -1;
	}
	if (location.len > 0 && location.ptr[0] == '/')
		return build(base, location, none, to, why);
	/* A colon before any slash ends a scheme. */
	for (i = 0; i < location.len && location.ptr[i] != '/' &&
	    location.ptr[i] != '?' && location.ptr[i] != '#'; i++)
		if (location.ptr[i] == ':')
			return url_parse(location, to, why);
	if (location.len == 0) {
		*why = "a redirect to nowhere";
		return -1;
	}
	/* A relative one: §5.2.3; dots are refused, not removed. */
	before.len = base->query - base->path;
	if (location.ptr[0] != '?')
		while (before.len > 0 && before.ptr[before.len - 1] != '/')
			before.len--;
	if (before.len == 0 && location.ptr[0] != '?')
		before = slice_of("/");
	return build(base, before, location, to, why);
}
