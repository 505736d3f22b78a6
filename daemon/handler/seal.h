/* SPDX-License-Identifier: ISC */

/*
 * What of ours lies with Redis, where others may read and write: names that
 * say nothing and values that nobody can read, make or move.  All keys are
 * derived (HKDF, RFC 5869) from the operator's one; without it there are only
 * names.
 */

#ifndef HANDLER_SEAL_H
#define HANDLER_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "../../common/buffer.h"
#include "../../common/limits.h"

#define SEAL_NONCE	12	/* bytes, random: NIST SP 800-38D 8.2.2 */
#define SEAL_TAG	16
#define SEAL_OVERHEAD	(1 + SEAL_NONCE + SEAL_TAG)
#define SEAL_NAME_LEN	43	/* characters of a name: base64url of 32 bytes */

struct seal_keys {
	uint8_t	limits[KEY_LEN];	/* of the counters' names */
	uint8_t	names[KEY_LEN];		/* of the values' names */
	uint8_t	values[KEY_LEN];
};

void	seal_derive(struct seal_keys *, const uint8_t master[KEY_LEN]);
/* The name of something; key NULL: whoever guesses it can tell that he did. */
void	seal_name(char out[SEAL_NAME_LEN + 1], const uint8_t *key,
	    const struct buffer *what);
/*
 * A value is sealed for the thing that it answers (a digest) and for whatever
 * is given with it, which is not in it: both must be the same again.  Appends
 * to out; 0, or -1 and out is bad.
 */
int	seal_value(struct buffer *out, const uint8_t key[KEY_LEN],
	    const uint8_t of[DIGEST_LEN], const struct buffer *with,
	    const struct buffer *clear);
/* 0, or -1: it was not sealed so, and out holds nothing of it. */
int	seal_open(struct buffer *out, const uint8_t key[KEY_LEN],
	    const uint8_t of[DIGEST_LEN], const struct buffer *with,
	    struct slice sealed);

#endif
