/* SPDX-License-Identifier: ISC */

/*
 * What `audit verify' is told about a trail from outside of it: whose
 * signatures count, and checkpoints that were kept elsewhere.
 */

#ifndef DAEMON_CTL_PROOF_H
#define DAEMON_CTL_PROOF_H

#include <stddef.h>
#include <stdint.h>

#include "../common/checkpoint.h"
#include "../common/limits.h"

#define PUBLIC_KEY_LEN	32	/* bytes, Ed25519 */

struct trusted_key {
	uint8_t		 key[PUBLIC_KEY_LEN];
	char		*node;		/* NULL: of any */
};

struct saved {
	char		*node;
	uint64_t	 seq;
	uint8_t		 hash[DIGEST_LEN];
	const char	*file;		/* where it stands */
	uint64_t	 line;
	int		 after;		/* records before it may be gone */
	int		 seen;		/* met, or of a record before the first */
};

enum key_origin {
	KEY_OWN,		/* the trail's first checkpoint of each node */
	KEY_JOURNAL,		/* checkpoint.pub of the journal's folder */
	KEY_SAVED,		/* that of the checkpoints kept elsewhere */
	KEY_FILE		/* a file that was named */
};

struct proof {
	enum key_origin	 origin;
	struct trusted_key *key;
	size_t		 keys;
	struct saved	*saved;		/* by node and seq */
	size_t		 saves;
	char		*why;		/* what is wrong with it */
};

/*
 * Reads keys (-k), saved checkpoints (-c) and those to begin after (-a); each
 * may be NULL.  dir is the journal's folder or -1.  Returns 0, or -1 with why.
 */
int	proof_read(struct proof *, const char *keys, const char *saved,
	    const char *after, int dir);
void	proof_free(struct proof *);
/* Whether the node's checkpoints may be of this key: 0 or 1; 2: nobody told. */
int	proof_trusts(const struct proof *, const char *node,
	    const uint8_t key[PUBLIC_KEY_LEN]);
/* The first saved checkpoint of the node; saves where there is none. */
size_t	proof_first(const struct proof *, const char *node);

#endif
