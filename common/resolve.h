/* SPDX-License-Identifier: ISC */

/*
 * Names to addresses, in the loop of a child.  What name servers say is
 * believed for an address and no more: who is there must be proven (TLS) or
 * be of no consequence.
 */

#ifndef COMMON_RESOLVE_H
#define COMMON_RESOLVE_H

#include <sys/socket.h>

#include <stddef.h>

#define LOOKUP_MS	2000		/* of name resolution */
#define LOOKUP_TRY_MS	600		/* for one name server to answer */
#define LOOKUP_TRIES	2
#define ADDRESSES_MAX	8		/* of one name; the others are not tried */

struct lookup;
struct found {
	size_t			 n;
	struct sockaddr_storage	 address[ADDRESSES_MAX];
};
/* error is NULL and found has at least one; or error says why not. */
typedef void lookup_done(const struct found *, const char *error, void *);

/* Reads what the system says of name resolution, so early that it may fail. */
int	resolve_start(void);
/*
 * Calls done once, from the loop, unless it is cancelled before.  The lookup
 * is freed when done is called.  NULL: no memory.
 */
struct lookup *lookup_new(const char *host, lookup_done *, void *);
void	lookup_cancel(struct lookup *);

#endif
