/* SPDX-License-Identifier: ISC */

/*
 * Checkpoints: a signed word that record seq of a node has this hash, and
 * with it, by the chain, all records before (docs/audit-format.md).
 */

#ifndef COMMON_CHECKPOINT_H
#define COMMON_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "buffer.h"
#include "limits.h"

struct checkpoint {
	struct slice	 node;		/* as it stands in JSON, without quotes */
	uint64_t	 seq;
	uint8_t		 hash[DIGEST_LEN];
	uint64_t	 time_us;	/* since 1970 */
	uint8_t		 key[32];	/* Ed25519, public */
	uint8_t		 signature[64];
};

/* Fills in key and signature and appends the object; 0 or -1. */
int	checkpoint_write(struct buffer *, struct checkpoint *, EVP_PKEY *);
/* Reads the strict form; slices go into the text.  Returns 0 or -1. */
int	checkpoint_read(const char *, size_t, struct checkpoint *);
/* Whether the signature fits its own key: 0 or -1. */
int	checkpoint_verify(const struct checkpoint *);

#endif
