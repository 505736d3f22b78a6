/* SPDX-License-Identifier: ISC */

/*
 * When keys were used last: `<keyfile>.used', or, where a hardened service
 * may not write there, a file of that name in LASTUSE_STATE; a line a key,
 * `id date', sorted by id.  The parent writes it, pontifexctl shows it;
 * neither decides anything by it, so that what cannot be read is left out.
 */

#ifndef COMMON_LASTUSE_H
#define COMMON_LASTUSE_H

#include "keyfile.h"

#define LASTUSE_STATE	"/var/lib/pontifexd"
#define LASTUSE_PLACES	2
#define LASTUSE_FORGET_S (400 * 86400)	/* what is older is not kept */
#define LASTUSE_SIZE_MAX (KEYS_MAX * (KEY_ID_MAX + 1 + KEY_DATE_LEN + 1))

struct lastuse {
	char	id[KEY_ID_MAX + 1];
	int64_t	when;			/* seconds since 1970 */
};

/* Ascending by id, each once; owned. */
struct lastuse_list {
	struct lastuse	*key;
	size_t		 n;
};

void	lastuse_free(struct lastuse_list *);
/* What can be read of a file's text; -1: out of memory. */
int	lastuse_parse(struct slice text, struct lastuse_list *);
/*
 * Adds what b has to a, the later use of each; at most KEYS_MAX, a's first.
 * Returns 0, or -1 and a is as it was.
 */
int	lastuse_merge(struct lastuse_list *a, const struct lastuse_list *b);
/* Appends the text, without what is older than LASTUSE_FORGET_S. */
int	lastuse_format(struct buffer *, const struct lastuse_list *,
	    int64_t now);
/* The path of one of LASTUSE_PLACES; -1: too long. */
int	lastuse_path(const char *keyfile, int place, char *out, size_t size);
/* Reads what there is in all of them; -1: out of memory. */
int	lastuse_read(const char *keyfile, struct lastuse_list *);
/* Seconds since 1970, 0: not known. */
int64_t	lastuse_of(const struct lastuse_list *, const char *id);

#endif
