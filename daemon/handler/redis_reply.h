/* SPDX-License-Identifier: ISC */

/*
 * What Redis answers (RESP, redis.io/docs/reference/protocol-spec), as far as
 * we ask for it: a line, a number, a text, nothing, or a flat array of these.
 * Everything else, and more of it than was asked for, is an error, and the
 * connection's end.  hiredis finds the limits of things; it allocates nothing
 * by a number that the other side names.
 */

#ifndef HANDLER_REDIS_REPLY_H
#define HANDLER_REDIS_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "../../common/buffer.h"

#define REPLY_ITEMS_MAX	4	/* elements of an array */
#define REPLY_ERROR_MAX	200	/* bytes of an error that are looked at */

enum reply_type {
	REPLY_STATUS, REPLY_ERROR, REPLY_INTEGER, REPLY_TEXT, REPLY_NIL
};

struct reply_item {
	enum reply_type	 type;
	int64_t		 integer;
	size_t		 at;		/* of its bytes in the text */
	size_t		 len;
};

struct reply {
	int		 is_array;
	uint32_t	 n;		/* items; 1 where it is no array */
	struct reply_item item[REPLY_ITEMS_MAX];
	struct buffer	 text;
};

static inline struct slice
reply_text(const struct reply *r, uint32_t n)
{
	struct slice sl = { "", 0 };

	if (n < r->n && r->item[n].len > 0) {
		sl.ptr = (const char *)r->text.data + r->item[n].at;
		sl.len = r->item[n].len;
	}
	return sl;
}

/* Whether the whole of it is one item of that type. */
static inline int
reply_is(const struct reply *r, enum reply_type type)
{
	return !r->is_array && r->item[0].type == type;
}

struct replies;
/* max: bytes of one reply, whatever it is.  NULL: no memory. */
struct replies *replies_new(size_t max);
void	replies_free(struct replies *);
/* What came, in any portions.  0, or -1: what it is is nothing that we ask. */
int	replies_feed(struct replies *, const void *, size_t);
/* The next whole one, valid until the next call; NULL: none, or see bad. */
const struct reply *replies_next(struct replies *, int *bad);

#endif
