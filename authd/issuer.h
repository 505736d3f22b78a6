/* SPDX-License-Identifier: ISC */

/*
 * The issuers whose tokens are taken, their keys, and who a token turns out
 * to be.
 */

#ifndef AUTHD_ISSUER_H
#define AUTHD_ISSUER_H

#include "authd.h"
#include "jose.h"

#define REFRESH_MS	30000	/* a token may cause one refresh in so long */
#define KEYS_FRESH_MIN_S	60
#define KEYS_FRESH_MAX_S	(24 * 3600)
#define KEYS_FRESH_S	600	/* where the provider says nothing */
#define RETRY_MIN_MS	500	/* after a failed fetch, doubled each time … */
#define RETRY_MAX_MS	60000	/* … up to this, or without any keys … */
#define RETRY_KEYLESS_MS 5000	/* … up to this */
#define FETCH_GUARD_MS	30000	/* the fetcher has answered by then, or never */
#define TOKENS_CACHED	16384	/* verified tokens that are remembered */

struct grant {
	char		*role;
	uint32_t	 scopes;
	char		*scope[SCOPES_MAX];
};

struct issuer {
	uint32_t	 number;
	char		*url;
	char		*typ;
	char		*scopes_from;
	int		 discover;
	uint32_t	 audiences;
	struct slice	 audience[AUDIENCES_MAX];	/* owned */
	uint32_t	 claims;
	char		*claim[ATTRIBUTES_MAX];
	uint32_t	 grants;
	uint32_t	 grants_expected;
	struct grant	*grant;
	struct rate	 rate;		/* count 0: the auth block's */
	uint32_t	 in_flight;	/* 0: the auth block's */
	struct jwt_policy policy;	/* slices to the above */
	/* Its keys, and how they are kept fresh. */
	struct jwks	*keys;		/* NULL: none yet */
	char		*jwks_url;	/* found in its metadata */
	uint64_t	 fetched_ms;	/* when the keys came */
	uint64_t	 fetch;		/* number of the one under way; 0: none */
	uint8_t		 what;		/* … and of what */
	uint64_t	 due_ms;	/* the next begins, or this one is lost */
	uint64_t	 caused_ms;	/* the last that a token caused; 0: none */
	unsigned int	 failures;	/* in a row */
};

/* issuer.c */
int	issuer_configure(const struct frame *);
int	issuer_configure_grant(const struct frame *);
uint32_t issuer_count(void);
/* All that were announced are here; makes the timer.  0 or -1. */
int	issuers_start(uint32_t expected);
struct issuer *issuer_find(const char *url);
struct issuer *issuer_at(uint32_t number);

/* keys.c: fetching. */
int	keys_start(void);
/* Whoever fetches for us; NULL: nobody does for now. */
void	keys_fetcher(struct channel *);
/* MSG_FETCHED; -1: malformed, or nobody asked. */
int	keys_fetched(const struct frame *);
/*
 * A token needs a key that is not there.  Returns 1 where a fetch is under
 * way that may bring it (started now, if one was still allowed), else 0.
 */
int	keys_wanted(struct issuer *);
/* Lines for the status; appended. */
void	keys_status(struct buffer *);
void	keys_stats(struct buffer *);

/* subject.c: whom the claims speak of. */
struct subject {
	struct identity	 identity;	/* slices until the next subject_read() */
	uint32_t	 nscopes;
	struct slice	 scope[SCOPES_MAX];
};
/* REASON_NONE, or REASON_BAD_CLAIM. */
enum reason subject_read(struct subject *, const struct jwt *,
	    const struct issuer *);

/* token.c */
enum token_verdict {
	TOKEN_GOOD,
	TOKEN_BAD,		/* with a reason */
	TOKEN_WAIT,		/* keys are on their way */
	TOKEN_NO_KEYS		/* none yet of that issuer: ask again later */
};
/*
 * Judges a token.  waited: it has waited once, TOKEN_WAIT is no answer any
 * more.  now: seconds since 1970.  *issuer is set with TOKEN_WAIT.
 */
enum token_verdict token_check(struct slice token, int64_t now, int waited,
	    struct caller *, enum reason *, uint32_t *issuer);
/* The keys of this issuer are new: forget what the old ones verified. */
void	tokens_recheck(const struct issuer *);
size_t	tokens_cached(void);

/* explain.c: what a token is and what would be decided, line by line. */
void	token_explain(struct buffer *, struct slice token, int64_t now);

#endif
