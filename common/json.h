/* SPDX-License-Identifier: ISC */

/*
 * A strict reader of JSON (RFC 8259) that builds a flat table of nodes over
 * the caller's bytes: no copy, no allocation per value, no recursion.
 * Refused, beside what the grammar refuses: duplicate names in an object
 * (compared after unescaping), NUL in any form, invalid UTF-8, lone
 * surrogates, depth over JSON_DEPTH_MAX, too many nodes, a byte order mark,
 * anything after the value.  Names are compared byte for byte.
 *
 * And a writer that appends to a buffer.
 */

#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

#define JSON_DEPTH_MAX	32
#define JSON_NODES_MAX	65536
#define JSON_NONE	((uint32_t)-1)

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_INTEGER,		/* no fraction, no exponent; any size */
	JSON_REAL,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json_node {
	uint8_t		type;		/* enum json_type */
	uint8_t		escaped;	/* a string with a backslash in it */
	uint32_t	start;		/* offset; of a string: after the quote */
	uint32_t	end;		/* one past; of a string: the quote */
	uint32_t	next;		/* node after this value's subtree */
	uint32_t	count;		/* elements, or members */
};

struct json {
	const char		*text;
	size_t			 len;
	struct json_node	*nodes;	/* owned; kept between parses */
	uint32_t		 used;
	uint32_t		 cap;
	const char		*error;	/* static text, after a failure */
	size_t			 error_at;	/* offset in bytes */
};

void	json_init(struct json *);
void	json_free(struct json *);
/* Node 0 is the root.  Returns 0, or -1 with error and error_at set. */
int	json_parse(struct json *, const char *text, size_t len);

/*
 * Children: an array's elements start at node+1; an object's members are a
 * name node then its value node.  `for (c = node + 1; c < nodes[node].next;
 * c = nodes[c].next)' visits them (names and values alternately).
 */
/* The value of a member by name, JSON_NONE where there is none. */
uint32_t json_member(const struct json *, uint32_t object, const char *name);
int	json_is(const struct json *, uint32_t node, enum json_type);
/* Whether a string node equals s, after unescaping. */
int	json_string_is(const struct json *, uint32_t node, const char *s);
/*
 * Unescapes a string node into out (appended).  Returns 0 or -1.  A string
 * without escapes can be had without a copy by json_plain().
 */
int	json_string(const struct json *, uint32_t node, struct buffer *out);
/* Sets sl and returns 1 where the string has no escapes; 0 otherwise. */
int	json_plain(const struct json *, uint32_t node, struct slice *sl);
/* Unescapes into a NUL-terminated array.  Returns 0, or -1: not a string, too long. */
int	json_copy(const struct json *, uint32_t node, char *out, size_t size);
/* The bytes of any value as they stood (strings with their quotes). */
struct slice json_raw(const struct json *, uint32_t node);
/* Returns 0, or -1 where it is no integer or does not fit. */
int	json_integer(const struct json *, uint32_t node, int64_t *);
/* Any number as a double; returns 0 or -1 (no number, not finite). */
int	json_real(const struct json *, uint32_t node, double *);

/* Appends "..." with what must be escaped escaped; invalid UTF-8 as U+FFFD. */
int	json_write_string(struct buffer *, const char *, size_t);
int	json_write_cstr(struct buffer *, const char *);
/* "name":"value" */
int	json_write_member(struct buffer *, const char *name, const char *value);

#endif
