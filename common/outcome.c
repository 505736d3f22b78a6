/* SPDX-License-Identifier: ISC */

/* The taxonomy of DESIGN 4 as one table, and the names of reasons. */

#include "outcome.h"

static const struct {
	const char	*name;
	int		 status;
	int		 retry;
	const char	*message;
} outcomes[OUTCOME_MAX] = {
	[OUTCOME_OK] = { "ok", 200, 0, "ok" },
	[OUTCOME_AUTH_FAILED] = { "auth_failed", 401, 0,
	    "No valid credential. Send a valid API key or access token as "
	    "'Authorization: Bearer ...'." },
	[OUTCOME_SCOPE_DENIED] = { "scope_denied", 403, 0,
	    "Your credential does not grant this tool. Ask the operator for "
	    "the scope that the WWW-Authenticate header names." },
	[OUTCOME_RATE_LIMITED] = { "rate_limited", 429, 1,
	    "Too many requests. Wait as long as Retry-After says, then try "
	    "again." },
	[OUTCOME_INVALID_INPUT] = { "invalid_input", 200, 0,
	    "The arguments do not fit the tool's parameters." },
	[OUTCOME_SOURCE_UNAVAILABLE] = { "source_unavailable", 200, 1,
	    "The data source cannot be reached at the moment. Try again "
	    "later." },
	[OUTCOME_TIMEOUT] = { "timeout", 200, 1,
	    "The data source took longer than this tool may. Ask for less, "
	    "or try again." },
	[OUTCOME_OVERLOADED] = { "overloaded", 503, 1,
	    "The server cannot take this request now. Wait as long as "
	    "Retry-After says, then try again." },
	[OUTCOME_INTERNAL_ERROR] = { "internal_error", 200, 1,
	    "The server could not complete the call. Try again; if it keeps "
	    "failing, give the operator the request id." },
	[OUTCOME_BAD_REQUEST] = { "bad_request", 400, 0,
	    "The request is not well-formed and was not processed." },
	[OUTCOME_UNKNOWN] = { "unknown", 200, 0, "The outcome is not known." },
	[OUTCOME_SUPERSEDED] = { "superseded", 200, 0,
	    "The request was decided again." },
	[OUTCOME_CANCELLED] = { "cancelled", 200, 1,
	    "The call was given up before it was answered." },
};

static const char *const reasons[REASON_MAX] = {
	[REASON_NONE] = "none",
	[REASON_NO_CREDENTIAL] = "no_credential",
	[REASON_MALFORMED_CREDENTIAL] = "malformed_credential",
	[REASON_UNKNOWN_KEY] = "unknown_key",
	[REASON_BAD_SECRET] = "bad_secret",
	[REASON_EXPIRED_KEY] = "expired_key",
	[REASON_PENALTY] = "penalty",
	[REASON_MISSING_SCOPE] = "missing_scope",
	[REASON_MISSING_CLAIM] = "missing_claim",
	[REASON_UNKNOWN_TOOL] = "unknown_tool",
	[REASON_OVER_RATE] = "over_rate",
	[REASON_BAD_FRAMING] = "bad_framing",
	[REASON_BAD_HOST] = "bad_host",
	[REASON_BAD_ORIGIN] = "bad_origin",
	[REASON_NOT_FOUND] = "not_found",
	[REASON_BAD_METHOD] = "bad_method",
	[REASON_BAD_MEDIA_TYPE] = "bad_media_type",
	[REASON_TOO_LARGE] = "too_large",
	[REASON_SLOW] = "slow",
	[REASON_BAD_JSON] = "bad_json",
	[REASON_BAD_ENVELOPE] = "bad_envelope",
	[REASON_BAD_META] = "bad_meta",
	[REASON_HEADER_MISMATCH] = "header_mismatch",
	[REASON_BAD_VERSION] = "bad_version",
	[REASON_UNKNOWN_METHOD] = "unknown_method",
	[REASON_BAD_PARAMS] = "bad_params",
	[REASON_BAD_ARGUMENTS] = "bad_arguments",
	[REASON_BAD_TICKET] = "bad_ticket",
	[REASON_SOURCE_ERROR] = "source_error",
	[REASON_SOURCE_LOST] = "source_lost",
	[REASON_SOURCE_TIMEOUT] = "source_timeout",
	[REASON_RESULT_TOO_LARGE] = "result_too_large",
	[REASON_QUEUE_FULL] = "queue_full",
	[REASON_AUDIT_FAILED] = "audit_failed",
	[REASON_PROCESS_DIED] = "process_died",
	[REASON_SHUTTING_DOWN] = "shutting_down",
	[REASON_INTERNAL] = "internal",
	[REASON_MALFORMED_TOKEN] = "malformed_token",
	[REASON_BAD_HEADER] = "bad_header",
	[REASON_BAD_ALGORITHM] = "bad_algorithm",
	[REASON_BAD_TYPE] = "bad_type",
	[REASON_ID_TOKEN] = "id_token",
	[REASON_UNKNOWN_ISSUER] = "unknown_issuer",
	[REASON_WRONG_AUDIENCE] = "wrong_audience",
	[REASON_BAD_CLAIM] = "bad_claim",
	[REASON_EXPIRED] = "expired",
	[REASON_NOT_YET_VALID] = "not_yet_valid",
	[REASON_LIFETIME] = "lifetime",
	[REASON_UNKNOWN_KID] = "unknown_kid",
	[REASON_BAD_SIGNATURE] = "bad_signature",
	[REASON_NO_KEYS_YET] = "no_keys_yet",
	[REASON_OVER_TOOL_RATE] = "over_tool_rate",
	[REASON_OVER_IN_FLIGHT] = "over_in_flight",
	[REASON_CANCELLED] = "cancelled",
};

const char *
outcome_name(enum outcome o)
{
	return (unsigned int)o < OUTCOME_MAX ? outcomes[o].name : "unknown";
}

int
outcome_status(enum outcome o)
{
	return (unsigned int)o < OUTCOME_MAX ? outcomes[o].status : 500;
}

int
outcome_retry(enum outcome o)
{
	return (unsigned int)o < OUTCOME_MAX ? outcomes[o].retry : 0;
}

const char *
outcome_message(enum outcome o)
{
	return (unsigned int)o < OUTCOME_MAX ? outcomes[o].message :
	    outcomes[OUTCOME_UNKNOWN].message;
}

const char *
reason_name(enum reason r)
{
	return (unsigned int)r < REASON_MAX ? reasons[r] : "unknown";
}
