/* SPDX-License-Identifier: ISC */

/* Bounds that two roles must agree on; each role has its own beside these. */

#ifndef COMMON_LIMITS_H
#define COMMON_LIMITS_H

#define NAME_LEN_MAX	64		/* bytes of a name in the configuration */
#define TOOLS_MAX	1024		/* tools of one daemon; bits of a listing */
#define GENERATIONS_MAX	8192		/* counters, shared by tools of one hash */
/* … and for each until when other nodes' results are not believed. */
#define GENERATIONS_BYTES (2 * GENERATIONS_MAX * 8)
#define CLOCKS_MS	2		/* two clocks in whole ms may be apart by so much */
#define CHECKPOINTS_MAX	4		/* files that checkpoints go to */
#define AUDIT_SEGMENT_MIN 4096		/* bytes */
#define TRIED_MAX	8		/* sources that one call asks */
#define SINKS_MAX	8
#define INVALIDATES_MAX	64		/* tools whose results one tool makes stale */
#define SOURCES_MAX	64
#define PARAMS_MAX	64		/* parameters of one tool */
#define ENUM_MAX	256		/* values of one enum */
#define SESSIONS_MAX	16		/* session lines of one source */
#define LISTENERS_MAX	32
#define HANDLERS_MAX	32
#define PER_SOURCE_MAX	2048		/* connections of a listener */
#define ATTRIBUTES_MAX	16		/* claims or attributes of one identity */
#define KEY_ID_MAX	64		/* bytes */
#define CLIENT_ID_MAX	256		/* of a token; stands where a key's id does */
#define OWNER_MAX	512		/* of a token: issuer, #, subject */
#define NODE_NAME_MAX	256
#define LABEL_MAX	256
#define ATTRIBUTE_MAX	256		/* bytes of one value */
#define SCOPE_MAX	192		/* bytes of one scope */
#define SCOPES_MAX	64		/* of one identity */
#define ISSUERS_MAX	16
#define AUDIENCES_MAX	8		/* of one issuer */
#define GRANTS_MAX	256		/* role lines of one issuer */
#define URL_MAX		1024		/* bytes */
#define REDIS_URL_MAX	2048		/* bytes */
#define METADATA_MAX	(512 * 1024)	/* bytes of our own metadata document */
#define FETCH_MAX	(256 * 1024)	/* bytes of a JWKS or of metadata */
#define CREDENTIAL_MAX	(16 * 1024)	/* bytes of a bearer credential */
#define METHOD_MAX	64		/* bytes of a JSON-RPC method we look at */
#define TOOL_NAME_MAX	128		/* bytes of a tool name a caller may send */
#define PEER_MAX	64		/* bytes of a printed address */
#define REVISION_MAX	16		/* "2026-07-28" */
#define CLIENT_MAX	96		/* client name and version, for the record */
#define TRACE_MAX	64		/* traceparent */
#define SQL_MAX		(64 * 1024)
#define TEXT_MAX_	(64 * 1024)	/* any string of the configuration */
#define PATH_LEN_MAX	1024
#define BODY_MAX	(1024 * 1024)	/* bytes of an HTTP body */
#define RESULT_MAX	(2 * 1024 * 1024)	/* bytes of a rendered result */
#define RESULT_ROWS_DEFAULT	1000
#define RESULT_BYTES_DEFAULT	(512 * 1024)	/* of rows, before truncation */
#define RECORD_MAX	(256 * 1024)	/* bytes of one audit record */
#define PARAMS_JSON_MAX	(64 * 1024)	/* bytes of arguments in a record */
#define TICKET_MAX	(16 * 1024)	/* bytes of a sealed ticket */
#define TICKET_LIFE_MS	10000		/* from minting to use */
#define DIGEST_LEN	32		/* SHA-256 */
#define KEY_LEN		32		/* HMAC keys */
#define REQUEST_ID_LEN	16		/* bytes; 32 hex digits when printed */
#define CALLS_IN_FLIGHT_MAX	4096	/* a listener's open questions */
#define REPORTS_MAX	8192		/* unacknowledged reports of one sender */
#define IN_FLIGHT_MAX	REPORTS_MAX	/* calls of one caller */

#endif
