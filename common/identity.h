/* SPDX-License-Identifier: ISC */

/* Who calls: what a credential resolved to.  Slices point to the owner's memory. */

#ifndef COMMON_IDENTITY_H
#define COMMON_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "limits.h"
#include "wire.h"

enum credential_kind {
	CREDENTIAL_NONE,
	CREDENTIAL_KEY,
	CREDENTIAL_TOKEN,
	CREDENTIAL_KIND_MAX
};

struct attribute {
	struct slice	name;
	struct slice	value;
};

struct identity {
	uint8_t		 kind;		/* enum credential_kind */
	struct slice	 key_id;	/* empty where none was resolved */
	struct slice	 owner;
	struct slice	 label;
	uint32_t	 attributes;
	struct attribute attribute[ATTRIBUTES_MAX];
};

void	put_identity(struct buffer *, const struct identity *);
/* Marks the reader bad where a bound is passed. */
void	get_identity(struct reader *, struct identity *);
/* "id", "owner", "claim.NAME": sets value and returns 0, or -1: not there. */
int	identity_value(const struct identity *, struct slice name,
	    struct slice *value);

#endif
