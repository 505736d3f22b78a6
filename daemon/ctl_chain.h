/* SPDX-License-Identifier: ISC */

/*
 * One node's records, each against what must come before it, and against the
 * checkpoints among them.
 */

#ifndef DAEMON_CTL_CHAIN_H
#define DAEMON_CTL_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "../common/record.h"
#include "ctl_proof.h"

/* A record that no checkpoint covers yet. */
struct uncovered {
	uint8_t		 hash[DIGEST_LEN];
	uint64_t	 time_us;
	_Bool		 checkpoint;
	_Bool		 start;		/* the daemon had not run before */
};

struct chain {
	char		*node;
	uint64_t	 records;
	uint64_t	 first;		/* seq */
	uint8_t		 first_prev[DIGEST_LEN];
	char		*first_at;	/* its position, for a message */
	uint64_t	 seq;		/* of the last */
	uint8_t		 hash[DIGEST_LEN];

	struct uncovered *ring;		/* of the records from ring_first on */
	size_t		 ring_cap;
	uint64_t	 ring_first;
	uint64_t	 checkpoints;
	uint64_t	 covered;	/* seq that the last one attests */
	uint8_t		 covered_hash[DIGEST_LEN];
	uint8_t		 key[PUBLIC_KEY_LEN];	/* of the first one */

	uint64_t	 left;		/* records behind the last checkpoint, */
	uint64_t	 left_seconds;	/* and the time that they took: once the
					 * ring is gone */
	int		 begun;		/* a checkpoint attests the record
					 * before the first */
	uint64_t	 removed;	/* or by the `removed' record of this
					 * seq */
	size_t		 next_saved;
	uint64_t	 saves;		/* saved checkpoints that were met */
	int		 continues;	/* it begins where another node's ends */
	int		 continued;	/* another node's begins at its end */

	char		*failure;	/* the first, as it is printed */
};

struct chain_rules {
	struct proof	*proof;
	int		 part;		/* an export: may begin after any
					 * record that a checkpoint attests */
	uint64_t	 stretch;	/* records at the end */
	uint64_t	 stretch_seconds;
};

/* Returns 0, or -1: no memory. */
int	chain_init(struct chain *, const struct chain_rules *,
	    struct slice node);
void	chain_free(struct chain *);
/* No record comes any more: frees what only the next one needed. */
void	chain_close(struct chain *);
/* The same chain goes on under another name; 0 or -1 with failure. */
int	chain_rename(struct chain *, const struct chain_rules *,
	    struct slice node);
/*
 * The next record, whose own hash was found good.  position is for messages.
 * Returns 0, or -1 with failure set.
 */
int	chain_add(struct chain *, const struct chain_rules *,
	    const struct record_view *, const uint8_t prev[DIGEST_LEN],
	    const uint8_t hash[DIGEST_LEN], const char *position);
/* What only the end tells: saved checkpoints that were not met, a beginning
 * that nothing accounts for, an end without checkpoints.  0 or -1. */
int	chain_end(struct chain *, const struct chain_rules *);
/* Sets failure, unless there is one; returns -1. */
int	chain_fail(struct chain *, const char *position, uint64_t seq,
	    const char *, ...) __attribute__((__format__(printf, 4, 5)));

#endif
