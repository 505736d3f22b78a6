/* SPDX-License-Identifier: ISC */

/*
 * The text of an audit record: one JSON object on one line, its members
 * always all there and always in one order, chained by SHA-256 to the line
 * before (docs/audit-format.md).  auditd writes lines; auditd and pontifexctl
 * read them.  A reader believes nothing: a line that is not exactly of this
 * form is no record.
 */

#ifndef COMMON_RECORD_H
#define COMMON_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "identity.h"
#include "limits.h"
#include "outcome.h"

#define HASH_TEXT_LEN	(2 * DIGEST_LEN)
#define ID_TEXT_LEN	(2 * REQUEST_ID_LEN)
#define TIME_TEXT_LEN	27	/* 2026-11-23T21:49:15.000000Z */
/* ,"prev_hash":"…","hash":"…"} */
#define RECORD_TAIL_LEN	(14 + HASH_TEXT_LEN + 10 + HASH_TEXT_LEN + 2)

enum record_kind {
	RECORD_CALL,		/* a call that reads, or never got to write */
	RECORD_REFUSAL,
	RECORD_INTENT,		/* a call that is about to write */
	RECORD_OUTCOME,		/* what became of it */
	RECORD_EVENT,		/* of the daemon itself */
	RECORD_KIND_MAX
};
const char	*record_kind_name(enum record_kind);

/* What a record says; an empty slice is written as null. */
struct record {
	enum record_kind kind;
	struct slice	 node;
	uint64_t	 time_us;	/* since 1970 */
	struct slice	 event;		/* "start"; events only */
	int		 has_request;
	uint8_t		 request_id[REQUEST_ID_LEN];
	uint32_t	 calls;
	enum outcome	 outcome;
	enum reason	 reason;
	struct slice	 namespace;
	uint8_t		 credential;	/* enum credential_kind */
	struct slice	 key_id;
	struct slice	 owner;
	struct slice	 label;
	struct slice	 method;
	struct slice	 tool;
	struct slice	 params;	/* a JSON object without line breaks */
	struct slice	 source;
	int		 cache_hit;
	int		 ran;		/* the six below are known */
	uint32_t	 response_us;
	uint32_t	 queue_us;
	uint32_t	 source_us;
	uint64_t	 rows;
	uint64_t	 bytes;
	int		 truncated;
	struct slice	 peer;
	struct slice	 via;
	struct slice	 revision;
	struct slice	 client;
	struct slice	 traceparent;
	struct slice	 tool_digest;
	struct slice	 config_digest;
	int		 undecided;	/* no decision of authd's came */
	struct slice	 detail;	/* a JSON object, as params */
};

/* Members, in the order of the line. */
enum record_field {
	FIELD_SEQ, FIELD_NODE, FIELD_TIMESTAMP, FIELD_KIND, FIELD_EVENT,
	FIELD_REQUEST_ID, FIELD_CALLS, FIELD_OUTCOME, FIELD_REASON,
	FIELD_NAMESPACE, FIELD_CREDENTIAL, FIELD_KEY_ID, FIELD_OWNER_ID,
	FIELD_OWNER_LABEL, FIELD_TRANSPORT, FIELD_METHOD, FIELD_TOOL_NAME,
	FIELD_TOOL_PARAMS, FIELD_DATA_SOURCE, FIELD_CACHE_HIT,
	FIELD_RESPONSE_MS, FIELD_RESPONSE_US, FIELD_QUEUE_US, FIELD_SOURCE_US, FIELD_ROWS,
	FIELD_BYTES, FIELD_TRUNCATED, FIELD_ERROR, FIELD_IP_ADDRESS, FIELD_VIA,
	FIELD_DELEGATED_AUDIENCE, FIELD_REVISION, FIELD_CLIENT,
	FIELD_TRACEPARENT, FIELD_TOOL_DIGEST, FIELD_CONFIG_DIGEST,
	FIELD_UNDECIDED, FIELD_DETAIL, FIELD_PREV_HASH, FIELD_HASH,
	FIELD_MAX
};
const char	*record_field_name(enum record_field);

/* A line taken apart: each value as it stands, strings with their quotes. */
struct record_view {
	struct slice	field[FIELD_MAX];
};

/*
 * Appends one line with its newline.  prev is the hash of the record before,
 * hash becomes this one's.  Returns 0, or -1 where the line would pass
 * RECORD_MAX or memory ran out; the buffer is then as before.
 */
int	record_write(struct buffer *, uint64_t seq, const struct record *,
	    const uint8_t prev[DIGEST_LEN], uint8_t hash[DIGEST_LEN]);

/* All of these take a line without its newline. */

/* The chain step alone.  Returns 0 where the line's own hash is that of its
 * text and its prev_hash, which are handed out; or -1. */
int	record_hashes(const char *line, size_t len, uint8_t prev[DIGEST_LEN],
	    uint8_t hash[DIGEST_LEN]);
/* Takes the line apart; 0, or -1: not of this form. */
int	record_view(const char *line, size_t len, struct record_view *);
/* Reads the sequence number off its front; 0, or -1. */
int	record_seq(const char *line, size_t len, uint64_t *seq);

/* Readers of one value of a view. */
int	view_is_null(struct slice);
int	view_u64(struct slice, uint64_t *);
/* The bytes of a string that holds no escape; 0, or -1. */
int	view_plain(struct slice, struct slice *);
/* The string is exactly this. */
int	view_string_is(struct slice, const char *);
/* Index of an outcome's name; OUTCOME_MAX where it is none. */
enum outcome	view_outcome(struct slice);
enum record_kind view_kind(struct slice);	/* RECORD_KIND_MAX: none */
/* 32 hex digits to 16 bytes; 0, or -1. */
int	view_request_id(struct slice, uint8_t [REQUEST_ID_LEN]);

/* RFC 3339 in UTC with microseconds; to must hold TIME_TEXT_LEN + 1. */
void	record_time(char *to, uint64_t time_us);

#endif
