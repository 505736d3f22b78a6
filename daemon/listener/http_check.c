/* SPDX-License-Identifier: ISC */

/*
 * What the value of a header field means: Host and Origin against what is
 * allowed (DESIGN 6; DNS rebinding is stopped here), the request target, the
 * media type, the credential.  Values are hostile text; what is not exactly
 * of the form is malformed, nothing is guessed.
 */

#include <strings.h>

#include "listener.h"

#define HOST_MAX	255	/* bytes of a host */
#define PORT_DIGITS	5

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

/* Splits "host[:port]" or "[v6][:port]".  Returns 0, or -1: neither. */
static int
split_authority(struct slice text, struct slice *host)
{
	size_t i = 0, port;

	host->ptr = text.ptr;
	if (text.len > 0 && text.ptr[0] == '[') {
		for (i = 1; i < text.len && (is_alnum(text.ptr[i]) ||
		    text.ptr[i] == ':' || text.ptr[i] == '.'); i++)
			;
		if (i == 1 || i == text.len || text.ptr[i] != ']')
			return -1;
		i++;
	} else {
		while (i < text.len && (is_alnum(text.ptr[i]) ||
		    text.ptr[i] == '.' || text.ptr[i] == '-' ||
		    text.ptr[i] == '_'))
			i++;
	}
	host->len = i;
	if (i == 0 || i > HOST_MAX)
		return -1;
	if (i == text.len)
		return 0;
	if (text.ptr[i] != ':')
		return -1;
	port = ++i;
	while (i < text.len && is_digit(text.ptr[i]))
		i++;
	return i == text.len && i > port && i - port <= PORT_DIGITS ? 0 : -1;
}

static int
host_allowed(const struct allowed *allowed, struct slice host)
{
	size_t i;

	for (i = 0; i < allowed->hosts; i++)
		if (slice_is_nocase(host, allowed->host[i]))
			return 1;
	return 0;
}

enum verdict
check_host(const struct allowed *allowed, struct slice value)
{
	struct slice host;

	if (split_authority(value, &host) == -1)
		return VERDICT_MALFORMED;
	return host_allowed(allowed, host) ? VERDICT_OK : VERDICT_REFUSED;
}

/* scheme "://" authority.  Returns 0, or -1. */
static int
split_origin(struct slice text, struct slice *scheme, struct slice *host)
{
	struct slice rest;
	size_t i;

	for (i = 0; i < text.len && (is_alnum(text.ptr[i]) ||
	    text.ptr[i] == '+' || text.ptr[i] == '-' || text.ptr[i] == '.');
	    i++)
		;
	if (i == 0 || text.len - i < 3 || memcmp(text.ptr + i, "://", 3) != 0)
		return -1;
	scheme->ptr = text.ptr;
	scheme->len = i;
	rest.ptr = text.ptr + i + 3;
	rest.len = text.len - i - 3;
	return split_authority(rest, host);
}

static int
origin_listed(const char *listed, struct slice scheme, struct slice host)
{
	struct slice other_scheme, other_host;

	if (split_origin(slice_of(listed), &other_scheme, &other_host) == -1)
		return 0;
	return scheme.len == other_scheme.len && host.len == other_host.len &&
	    strncasecmp(scheme.ptr, other_scheme.ptr, scheme.len) == 0 &&
	    strncasecmp(host.ptr, other_host.ptr, host.len) == 0;
}

enum verdict
check_origin(const struct allowed *allowed, struct slice value)
{
	struct slice scheme, host;
	size_t i;

	if (slice_is(value, "null")) {
		for (i = 0; i < allowed->origins; i++)
			if (slice_is(value, allowed->origin[i]))
				return VERDICT_OK;
		return VERDICT_REFUSED;
	}
	if (split_origin(value, &scheme, &host) == -1)
		return VERDICT_REFUSED;
	for (i = 0; i < allowed->origins; i++)
		if (origin_listed(allowed->origin[i], scheme, host))
			return VERDICT_OK;
	if ((slice_is_nocase(scheme, "http") ||
	    slice_is_nocase(scheme, "https")) && host_allowed(allowed, host))
		return VERDICT_OK;
	return VERDICT_REFUSED;
}

int
check_target(struct slice target, struct slice host, struct slice *path)
{
	size_t skip;

	if (target.len > 0 && target.ptr[0] == '/') {
		*path = target;
		return 0;
	}
	if (target.len > 7 && strncasecmp(target.ptr, "http://", 7) == 0)
		skip = 7;
	else if (target.len > 8 && strncasecmp(target.ptr, "https://", 8) == 0)
		skip = 8;
	else
		return -1;
	if (target.len - skip <= host.len ||
	    strncasecmp(target.ptr + skip, host.ptr, host.len) != 0 ||
	    target.ptr[skip + host.len] != '/')
		return -1;
	path->ptr = target.ptr + skip + host.len;
	path->len = target.len - skip - host.len;
	return 0;
}

static struct slice
skip_space(struct slice sl)
{
	while (sl.len > 0 && (sl.ptr[0] == ' ' || sl.ptr[0] == '\t')) {
		sl.ptr++;
		sl.len--;
	}
	return sl;
}

int
check_media_type(struct slice value)
{
	static const char type[] = "application/json";
	static const char parameter[] = "charset=";
	size_t len = sizeof(type) - 1;

	if (value.len < len || strncasecmp(value.ptr, type, len) != 0)
		return -1;
	value.ptr += len;
	value.len -= len;
	value = skip_space(value);
	if (value.len == 0)
		return 0;
	if (value.ptr[0] != ';')
		return -1;
	value.ptr++;
	value.len--;
	value = skip_space(value);
	len = sizeof(parameter) - 1;
	if (value.len < len || strncasecmp(value.ptr, parameter, len) != 0)
		return -1;
	value.ptr += len;
	value.len -= len;
	return slice_is_nocase(value, "utf-8") ||
	    slice_is_nocase(value, "\"utf-8\"") ? 0 : -1;
}

/* token68 of RFC 9110, 11.2 */
static int
is_token68(struct slice sl)
{
	size_t i = 0;

	while (i < sl.len && (is_alnum(sl.ptr[i]) ||
	    (sl.ptr[i] != '\0' && strchr("-._~+/", sl.ptr[i]) != NULL)))
		i++;
	if (i == 0)
		return 0;
	while (i < sl.len && sl.ptr[i] == '=')
		i++;
	return i == sl.len;
}

enum credential_form
check_authorization(struct slice value, struct slice *credential)
{
	static const char scheme[] = "bearer ";
	size_t len = sizeof(scheme) - 1;

	credential->ptr = "";
	credential->len = 0;
	if (value.ptr == NULL)
		return FORM_NONE;
	if (value.len <= len || strncasecmp(value.ptr, scheme, len) != 0)
		return FORM_MALFORMED;
	value.ptr += len;
	value.len -= len;
	while (value.len > 0 && value.ptr[0] == ' ') {
		value.ptr++;
		value.len--;
	}
	if (value.len > CREDENTIAL_MAX || !is_token68(value))
		return FORM_MALFORMED;
	*credential = value;
	return FORM_BEARER;
}
