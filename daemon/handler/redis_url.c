/* SPDX-License-Identifier: ISC */

/* The URL of a Redis, taken apart; see redis_url.h. */

#include <arpa/inet.h>

#include <ctype.h>

#include "../../common/compat.h"
#include "redis_url.h"

static int
refuse(const char **why, const char *because)
{
	*why = because;
	return -1;
}

static void
drop(struct slice *sl, size_t n)
{
	sl->ptr += n;
	sl->len -= n;
}

/* Decimal digits alone, at most max; -1: something else. */
static long
number(struct slice sl, long max)
{
	long n = 0;
	size_t i;

	if (sl.len == 0 || sl.len > 5)
		return -1;
	for (i = 0; i < sl.len; i++) {
		if (sl.ptr[i] < '0' || sl.ptr[i] > '9')
			return -1;
		n = n * 10 + (sl.ptr[i] - '0');
	}
	return n > max ? -1 : n;
}

/* Bytes with %XX; the length, or -1. */
static ssize_t
decode(struct slice in, char *out, size_t size)
{
	size_t i, n = 0;
	int high, low;

	for (i = 0; i < in.len; i++) {
		if (n == size || in.ptr[i] == '\0')
			return -1;
		if (in.ptr[i] != '%') {
			out[n++] = in.ptr[i];
			continue;
		}
		if (in.len - i < 3 || (high = hex_digit(in.ptr[i + 1])) == -1 ||
		    (low = hex_digit(in.ptr[i + 2])) == -1)
			return -1;
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return (ssize_t)n;
}

/* [user]:password; a name without a password proves nothing. */
static int
read_login(struct slice in, struct redis_url *u, const char **why)
{
	const char *colon = memchr(in.ptr, ':', in.len);
	struct slice user = in, password = in;
	ssize_t n, m;

	if (colon == NULL)
		return refuse(why, "what stands before the @ is no "
		    "user:password");
	user.len = (size_t)(colon - in.ptr);
	drop(&password, user.len + 1);
	if ((n = decode(user, u->user, sizeof(u->user))) == -1 ||
	    (m = decode(password, u->password, sizeof(u->password))) == -1)
		return refuse(why, "user or password are longer than 256 "
		    "bytes, or % is not followed by two hex digits");
	if (m == 0)
		return refuse(why, "the password is empty");
	u->user_len = (size_t)n;
	u->password_len = (size_t)m;
	return 0;
}

/* Cuts user:password@ off; the last @ before the path is the one. */
static int
cut_login(struct slice *rest, struct redis_url *u, const char **why)
{
	struct slice login = *rest;
	size_t i, end = 0;
	int found = 0;

	for (i = 0; i < rest->len && rest->ptr[i] != '/'; i++)
		if (rest->ptr[i] == '@') {
			end = i;
			found = 1;
		}
	if (!found)
		return 0;
	login.len = end;
	drop(rest, end + 1);
	/* One that is not written %40 leaves in doubt where the host begins. */
	if (memchr(login.ptr, '@', login.len) != NULL)
		return refuse(why, "an @ in user or password is written %40");
	return read_login(login, u, why);
}

static int
host_ok(const char *host)
{
	size_t i;

	for (i = 0; host[i] != '\0'; i++)
		if (!isalnum((unsigned char)host[i]) &&
		    strchr("-._", host[i]) == NULL)
			return 0;
	return i > 0 && host[0] != '-' && host[0] != '.';
}

/* The host off the front, without its brackets. */
static int
cut_host(struct slice *rest, struct redis_url *u, const char **why)
{
	struct slice host = *rest;
	unsigned char address[16];
	int bracketed = rest->len > 0 && rest->ptr[0] == '[';

	for (host.len = 0; host.len < rest->len; host.len++)
		if (rest->ptr[host.len] == '/' || (bracketed ?
		    rest->ptr[host.len] == ']' : rest->ptr[host.len] == ':'))
			break;
	if (bracketed && (host.len == rest->len || rest->ptr[host.len] != ']'))
		return refuse(why, "a [ without its ]");
	drop(rest, host.len + (size_t)bracketed);
	if (bracketed)
		drop(&host, 1);
	if (host.len > REDIS_HOST_MAX || memchr(host.ptr, '\0', host.len) !=
	    NULL)
		return refuse(why, "the host is longer than 253 bytes");
	memcpy(u->host, host.ptr, host.len);
	u->host[host.len] = '\0';
	u->literal = inet_pton(bracketed ? AF_INET6 : AF_INET, u->host,
	    address) == 1;
	if (bracketed ? !u->literal : !host_ok(u->host))
		return refuse(why, "there is no host, or it is neither a name "
		    "nor an address");
	return 0;
}

static int
read_tcp(struct slice rest, struct redis_url *u, const char **why)
{
	struct slice port;
	long n;

	if (cut_login(&rest, u, why) == -1 || cut_host(&rest, u, why) == -1)
		return -1;
	u->port = REDIS_PORT;
	if (rest.len > 0 && rest.ptr[0] == ':') {
		drop(&rest, 1);
		port = rest;
		for (port.len = 0; port.len < rest.len &&
		    rest.ptr[port.len] != '/'; port.len++)
			;
		drop(&rest, port.len);
		if ((n = number(port, 65535)) < 1)
			return refuse(why, "the port is not 1 to 65535");
		u->port = (uint16_t)n;
	}
	if (rest.len == 0 || (rest.len == 1 && rest.ptr[0] == '/'))
		return 0;
	if (rest.ptr[0] != '/')
		return refuse(why, "what follows the host is no :port and no "
		    "/db");
	drop(&rest, 1);
	if ((n = number(rest, REDIS_DB_MAX)) == -1)
		return refuse(why, "the database is not a number to 65535");
	u->db = (uint32_t)n;
	return 0;
}

static int
read_unix(struct slice rest, struct redis_url *u, const char **why)
{
	static const char query[] = "?db=";
	struct slice path, db;
	const char *mark;
	long n;

	if (cut_login(&rest, u, why) == -1)
		return -1;
	path = rest;
	if ((mark = memchr(rest.ptr, '?', rest.len)) != NULL) {
		path.len = (size_t)(mark - rest.ptr);
		db = rest;
		drop(&db, path.len);
		if (db.len < sizeof(query) - 1 ||
		    memcmp(db.ptr, query, sizeof(query) - 1) != 0)
			return refuse(why, "after ? there may be db=n alone");
		drop(&db, sizeof(query) - 1);
		if ((n = number(db, REDIS_DB_MAX)) == -1)
			return refuse(why, "the database is not a number to "
			    "65535");
		u->db = (uint32_t)n;
	}
	if (path.len < 2 || path.ptr[0] != '/' || path.len > REDIS_PATH_MAX ||
	    memchr(path.ptr, '\0', path.len) != NULL)
		return refuse(why, "the path of the socket does not begin "
		    "with / or is longer than 107 bytes");
	memcpy(u->path, path.ptr, path.len);
	u->path[path.len] = '\0';
	return 0;
}

static int
read_scheme(struct slice url, struct redis_url *u, const char **why)
{
	static const struct {
		const char	*text;
		enum redis_way	 way;
	} schemes[] = {
		{ "redis://", REDIS_TCP }, { "rediss://", REDIS_TLS },
		{ "unix://", REDIS_UNIX },
	};
	size_t i, len;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		len = strlen(schemes[i].text);
		if (url.len < len || memcmp(url.ptr, schemes[i].text, len) != 0)
			continue;
		u->way = schemes[i].way;
		drop(&url, len);
		return u->way == REDIS_UNIX ? read_unix(url, u, why) :
		    read_tcp(url, u, why);
	}
	return refuse(why, "it does not begin with redis://, rediss:// or "
	    "unix://");
}

int
redis_url_parse(struct slice url, struct redis_url *u, const char **why)
{
	memset(u, 0, sizeof(*u));
	*why = NULL;
	if (url.len > REDIS_URL_MAX)
		return refuse(why, "it is longer than 2048 bytes");
	if (read_scheme(url, u, why) == 0)
		return 0;
	explicit_bzero(u, sizeof(*u));
	return -1;
}
