/* SPDX-License-Identifier: ISC */

/*
 * The file of API keys: what pontifexctl writes and authd reads.  One line a
 * key, `id:hash:owner:label:rate:expires:attributes:scopes', # comments and
 * blank lines; %XX stands for a byte that would part fields.  A hash that
 * begins with `!' is revoked.
 *
 * A key is `sk_<env>_<id>_<secret>'; the hash is HMAC-SHA256 over the whole
 * key text, under the pepper that stands beside the file.  A key of the
 * reference system has no id in its text and was known by its bare SHA-256:
 * its hash is marked `sha256$', which older readers refuse, and is the HMAC of
 * that SHA-256, so that the file gives nobody a hash to search with.
 */

#ifndef COMMON_KEYFILE_H
#define COMMON_KEYFILE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "buffer.h"
#include "limits.h"
#include "rate.h"

#define KEY_SECRET_LEN	32	/* bytes, random */
#define KEY_TEXT_MAX	192	/* bytes of a whole key */
#define KEYFILE_LINE_MAX 65536	/* bytes of one line */
#define KEYFILE_SIZE_MAX ((4U << 20) - 4096)	/* bytes: one frame to authd */
#define KEYS_MAX	65536	/* keys of one file */
#define KEY_LEGACY_MARK	"sha256$"
#define KEY_DATE_LEN	20	/* 2027-12-31T23:59:59Z */
#define KEY_EXPIRING_S	(14 * 86400)	/* so long before its end one is told of */

struct key_attribute {
	char	name[NAME_LEN_MAX + 1];
	char	value[ATTRIBUTE_MAX + 1];
};

struct key_entry {
	char		 id[KEY_ID_MAX + 1];
	uint8_t		 hash[DIGEST_LEN];
	int		 legacy;	/* found by its hash, not by its id */
	int		 revoked;
	char		 owner[OWNER_MAX + 1];
	char		 label[LABEL_MAX + 1];
	struct rate	 rate;		/* count 0: the auth block's */
	int64_t		 expires;	/* seconds since 1970; 0: never */
	uint32_t	 nattributes;
	struct key_attribute attribute[ATTRIBUTES_MAX];
	uint32_t	 nscopes;
	char		 scope[SCOPES_MAX][SCOPE_MAX + 1];
};

/* Reads one line without its newline.  Returns 0, or -1 with a static text. */
int	keyfile_parse(struct slice line, struct key_entry *,
	    const char **error);
/*
 * Owners that begin with a URL are those of tokens, `issuer#subject': no key
 * may have one, so that the two never meet.
 */
int	keyfile_owner_reserved(const char *owner);
/* Whether a line is blank or a comment. */
int	keyfile_is_comment(struct slice line);
/* Appends the line of an entry, with its newline. */
int	keyfile_format(struct buffer *, const struct key_entry *);
/*
 * Three non-empty segments of [a-z0-9_.-]; the second and third may be `*'.
 * Returns NULL, or a static text that says what is wrong.
 */
const char *scope_problem(struct slice);
/*
 * Whether it begins as a key does.  No token can: its first part is an object
 * of JSON in base64url (RFC 7515 7.1), and that text for `sk' is no ASCII.
 */
int	key_text_begins(struct slice text);
/* `id' of a key text, empty where it has not the form of one. */
struct slice key_text_id(struct slice text);
void	key_hash(const uint8_t pepper[KEY_LEN], struct slice text,
	    uint8_t hash[DIGEST_LEN]);
/* Of a key of the reference system: from its text, and from its SHA-256. */
void	key_hash_legacy(const uint8_t pepper[KEY_LEN], struct slice text,
	    uint8_t hash[DIGEST_LEN]);
void	key_hash_wrap(const uint8_t pepper[KEY_LEN],
	    const uint8_t sha[DIGEST_LEN], uint8_t hash[DIGEST_LEN]);
/* "2026-12-31" or "2026-12-31T23:59:59Z"; -1 where it is neither. */
int64_t	key_date(const char *);
/* The longer form of it. */
void	key_date_text(int64_t when, char out[KEY_DATE_LEN + 1]);
/*
 * Reads `<keyfile>.pepper'; create: makes it where it is missing.  Returns 0,
 * or -1 after a log line.
 */
int	keyfile_pepper(const char *keyfile, int create,
	    uint8_t pepper[KEY_LEN]);

#endif
