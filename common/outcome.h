/* SPDX-License-Identifier: ISC */

/* The one taxonomy of outcomes (DESIGN 4) and the reasons behind refusals. */

#ifndef COMMON_OUTCOME_H
#define COMMON_OUTCOME_H

enum outcome {
	OUTCOME_OK,
	OUTCOME_AUTH_FAILED,
	OUTCOME_SCOPE_DENIED,
	OUTCOME_RATE_LIMITED,
	OUTCOME_INVALID_INPUT,
	OUTCOME_SOURCE_UNAVAILABLE,
	OUTCOME_TIMEOUT,
	OUTCOME_OVERLOADED,
	OUTCOME_INTERNAL_ERROR,
	OUTCOME_BAD_REQUEST,	/* refused before or at JSON-RPC dispatch: 4xx */
	OUTCOME_UNKNOWN,	/* audit only: no outcome came */
	OUTCOME_SUPERSEDED,	/* audit only: asked again after authd's restart */
	OUTCOME_CANCELLED,	/* audit only: the client went before its answer */
	OUTCOME_MAX
};

/* Why, for the log and the audit trail; a caller never sees it. */
enum reason {
	REASON_NONE,
	REASON_NO_CREDENTIAL,
	REASON_MALFORMED_CREDENTIAL,
	REASON_UNKNOWN_KEY,
	REASON_BAD_SECRET,
	REASON_EXPIRED_KEY,
	REASON_PENALTY,			/* too many failures from the source */
	REASON_MISSING_SCOPE,
	REASON_MISSING_CLAIM,
	REASON_UNKNOWN_TOOL,
	REASON_OVER_RATE,		/* the caller's */
	REASON_BAD_FRAMING,		/* HTTP that is refused by form */
	REASON_BAD_HOST,
	REASON_BAD_ORIGIN,
	REASON_NOT_FOUND,		/* no such path */
	REASON_BAD_METHOD,		/* HTTP method */
	REASON_BAD_MEDIA_TYPE,
	REASON_TOO_LARGE,
	REASON_SLOW,			/* request did not arrive in time */
	REASON_BAD_JSON,
	REASON_BAD_ENVELOPE,		/* not a JSON-RPC request */
	REASON_BAD_META,
	REASON_HEADER_MISMATCH,
	REASON_BAD_VERSION,
	REASON_UNKNOWN_METHOD,
	REASON_BAD_PARAMS,
	REASON_BAD_ARGUMENTS,		/* do not fit the tool's parameters */
	REASON_BAD_TICKET,
	REASON_SOURCE_ERROR,
	REASON_SOURCE_LOST,
	REASON_SOURCE_TIMEOUT,
	REASON_RESULT_TOO_LARGE,
	REASON_QUEUE_FULL,
	REASON_AUDIT_FAILED,
	REASON_PROCESS_DIED,
	REASON_SHUTTING_DOWN,
	REASON_INTERNAL,
	REASON_MALFORMED_TOKEN,		/* no compact JWS, bad base64url or JSON */
	REASON_BAD_HEADER,		/* crit, jwk, zip … in a token's header */
	REASON_BAD_ALGORITHM,		/* not allowed, or not what the key is for */
	REASON_BAD_TYPE,		/* typ of the header */
	REASON_ID_TOKEN,		/* meant for a client, not for us */
	REASON_UNKNOWN_ISSUER,
	REASON_WRONG_AUDIENCE,
	REASON_BAD_CLAIM,		/* a claim we need is missing or of a wrong type */
	REASON_EXPIRED,		/* a token */
	REASON_NOT_YET_VALID,		/* nbf or iat in the future */
	REASON_LIFETIME,		/* exp too far away */
	REASON_UNKNOWN_KID,
	REASON_BAD_SIGNATURE,
	REASON_NO_KEYS_YET,		/* the issuer's keys were never fetched */
	REASON_OVER_TOOL_RATE,		/* the caller's rate for this tool */
	REASON_OVER_IN_FLIGHT,		/* too many of his calls are under way */
	REASON_CANCELLED,		/* the client closed its stream */
	REASON_MAX
};

/* "auth_failed"; never NULL. */
const char	*outcome_name(enum outcome);
/* HTTP status before dispatch (401, 403, 429, 503, 400); 200 otherwise. */
int		 outcome_status(enum outcome);
/* Whether the same request may succeed later. */
int		 outcome_retry(enum outcome);
/* The generic message, written for an agent to act on; never NULL. */
const char	*outcome_message(enum outcome);
/* "no_credential"; never NULL. */
const char	*reason_name(enum reason);

#endif
