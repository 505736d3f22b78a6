/* SPDX-License-Identifier: ISC */

/*
 * Where Redis is, as the operator's secret says it:
 *
 *	redis://[[user]:password@]host[:port][/db]
 *	rediss://…		the same under TLS
 *	unix://[[user]:password@]/path[?db=n]
 *
 * %XX stands for a byte in user and password (RFC 3986 2.1).  What is not
 * of this form is refused: a password with a forgotten %40 must not become a
 * host name that is looked up.
 */

#ifndef HANDLER_REDIS_URL_H
#define HANDLER_REDIS_URL_H

#include <stddef.h>
#include <stdint.h>

#include "../../common/buffer.h"
#include "../../common/limits.h"

#define REDIS_HOST_MAX	253	/* bytes of a host name, RFC 1035 */
#define REDIS_PATH_MAX	107	/* bytes of a socket's path: sun_path */
#define REDIS_USER_MAX	256	/* bytes, decoded; of the password too */
#define REDIS_DB_MAX	65535
#define REDIS_PORT	6379	/* where none is given */

enum redis_way { REDIS_TCP, REDIS_TLS, REDIS_UNIX };

struct redis_url {
	enum redis_way	 way;
	char		 host[REDIS_HOST_MAX + 1];	/* no brackets */
	uint16_t	 port;
	int		 literal;	/* the host is an address */
	char		 path[REDIS_PATH_MAX + 1];
	size_t		 user_len;
	char		 user[REDIS_USER_MAX];	/* any bytes */
	size_t		 password_len;	/* 0: none */
	char		 password[REDIS_USER_MAX];
	uint32_t	 db;
};

/*
 * Returns 0; or -1, all cleared, and *why is a constant that says what is
 * wrong without any part of the text.  The caller clears what it holds.
 */
int	redis_url_parse(struct slice, struct redis_url *, const char **why);

#endif
