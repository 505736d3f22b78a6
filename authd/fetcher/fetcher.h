/* SPDX-License-Identifier: ISC */

/*
 * The fetcher's room: documents of the issuers, by HTTPS, for authd.  It
 * parses none of them.  Neither the servers nor authd are trusted: the
 * configuration alone says which origins may be asked.
 */

#ifndef AUTHD_FETCHER_FETCHER_H
#define AUTHD_FETCHER_FETCHER_H

#include <sys/socket.h>

#include <netinet/in.h>

#include <stddef.h>
#include <stdint.h>

#include "../../common/buffer.h"
#include "../../common/limits.h"
#include "../../common/message.h"
#include "../../common/resolve.h"

#define HOST_MAX	253		/* bytes of a host name (RFC 1035) */
#define CONNECT_MS	2000		/* TCP and TLS */
#define FETCH_MS	4000		/* everything, redirects too */
#define REDIRECTS_MAX	3
#define HEADERS_MAX	(32 * 1024)	/* bytes of all headers of a fetch */
#define CA_MAX		(4 * 1024 * 1024)	/* bytes of CA certificates */
#define WHY_MAX		256		/* bytes of "why not", with its NUL */
#define DIRECTIVES_MAX	1024		/* bytes of a Cache-Control */

/* url.c: absolute https URLs, one spelling for each. */

struct url {
	char		text[URL_MAX + 1];	/* normalised, no fragment */
	char		host[HOST_MAX + 1];	/* lower case; IPv6 in brackets */
	uint16_t	port;
	int		literal;	/* the host is an address */
	size_t		path;		/* where in text the path begins; "" = / */
	size_t		query;		/* where "?" stands, or the end */
};

/* Returns 0; or -1, and *why is a constant that says why. */
int	url_parse(struct slice, struct url *, const char **why);
int	url_same_origin(const struct url *, const struct url *);
/* The URL of an issuer's metadata.  -1: too long, or an issuer with a query. */
int	url_metadata(const struct url *issuer, enum fetch_what, struct url *);
/* Where a Location header leads from base; -1 with *why. */
int	url_redirect(const struct url *base, struct slice location,
	    struct url *, const char **why);

/* address.c */

/* An address of the internet at large, and not of here or of a test. */
int	address_is_global(const struct sockaddr *);
/* "192.0.2.1", "2001:db8::1"; never NULL. */
const char *address_text(const struct sockaddr *, char *buf, size_t size);

/* freshness.c */

/*
 * Seconds that an answer may be kept by its Cache-Control (the lines joined
 * with commas) and its Age (empty: none); 0 where it does not say, says that
 * it may not, or says it wrongly.
 */
uint32_t freshness(struct slice cache_control, struct slice age);

/* transfer.c: one fetch. */

struct fetch;
/* The bytes are valid until it returns; the fetch is freed after it. */
typedef void fetch_done(const struct msg_fetched *, void *);

struct fetch_rules {
	struct slice	ca;		/* PEM; outlives the fetch */
	int		allow_private;
};
int	transfer_start(void);
/* Calls done once, from the loop, unless it is cancelled before. */
struct fetch *fetch_new(const struct url *, const struct fetch_rules *,
	    fetch_done *, void *);
void	fetch_cancel(struct fetch *);

#endif
