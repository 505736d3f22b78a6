/* SPDX-License-Identifier: ISC */

/* Authd's room: who may do what, and the memory of what was decided. */

#ifndef AUTHD_AUTHD_H
#define AUTHD_AUTHD_H

#include <stddef.h>
#include <stdint.h>

#include "../common/frame.h"
#include "../common/identity.h"
#include "../common/keyfile.h"
#include "../common/message.h"
#include "../common/outbox.h"
#include "../common/proc.h"
#include "limit.h"

#define SOURCES_SEEN	4096	/* failing sources that are remembered */
#define FOLD_AFTER	20	/* equal refusals in FOLD_WINDOW_MS stand alone */
#define FOLD_WINDOW_MS	10000
#define FOLD_FLUSH_MS	1000	/* what is folded is recorded so often */
#define FOLDS_MAX	1024	/* kinds of refusal that are told apart */
#define PENALTY_AFTER	20	/* failed credentials a source and minute */
#define PENALTY_WINDOW_MS 60000
#define PENALTY_MAX_MS	2000
#define HELD_MAX	1024	/* answers that a penalty holds back */
#define AUDIT_WAIT_MS	5000	/* for an auditd that is away */
#define QUESTIONS_MAX	4096	/* open ones of a listener; then it is not read */
#define PAUSE_SAY_MS	10000	/* between two lines about one that is not */
#define FOLD_WAITERS_MAX 1024	/* who wait for a fold's record; then it is made */
#define WAITING_MAX	4096	/* questions that wait for one, or for keys */
#define NO_KEYS_RETRY_S	5	/* said where an issuer has no keys yet */
#define STATUS_TEXT_MAX	8192	/* bytes */
#define EXPLAIN_MAX	16384	/* bytes */
#define KEYS_WAIT_MS	4500	/* for keys of an issuer */
#define KEYS_USED_MS	10000	/* from the use of a key until the parent knows */
#define ENDING_SAID_MAX	20	/* keys that end soon, a day and load */

/* What a credential resolved to; valid until the next one is. */
struct caller {
	const struct identity	*identity;
	uint32_t		 nscopes;
	const struct slice	*scope;
	const struct rate	*rate;		/* count 0: the auth block's */
	uint32_t		 in_flight;	/* 0: the auth block's */
	const struct account	*owner;
	const struct account	*payer;		/* of the rate */
};

/* apikey.c: the keys in force. */

struct api_key {
	uint8_t		 hash[DIGEST_LEN];
	int		 legacy;	/* found by its hash */
	int		 revoked;
	int64_t		 expires;	/* seconds since 1970; 0: never */
	struct rate	 rate;		/* count 0: the auth block's */
	struct account	 owner;
	struct account	 payer;		/* of a rate of its own */
	int64_t		 used;		/* last, seconds since 1970; 0: not yet */
	int64_t		 used_told;	/* what the parent knows of it */
	int64_t		 warned;	/* day on which its end was logged */
	struct identity	 identity;	/* slices into text */
	uint32_t	 nscopes;
	struct slice	*scope;		/* into text */
	char		*text;		/* owned */
};

/*
 * Puts the keys of a file in force in the place of all before; what an owner
 * has used of his rate stays.  A bad line or an id that stands twice grants
 * nothing and is logged by its number.
 */
void	apikey_load(const struct msg_keys *);
/*
 * Resolves a credential.  Returns the key, or NULL with *reason for the
 * trail, the same work done for every reason.  now: seconds since 1970.
 * Where the id is known, *suspect names it for the record.
 */
struct api_key *apikey_check(struct slice credential, int64_t now,
	    enum reason *, struct slice *suspect);
size_t	apikey_count(void);
/* The keys by their ids, ascending; NULL behind the last. */
struct api_key *apikey_at(size_t);

/* keycare.c: what operators are told of keys in use. */
/* A key was used; costs nothing but for the first in KEYS_USED_MS. */
void	keycare_used(struct api_key *, int64_t now);
/* The keys may be others now: says which of them end soon, once a day. */
void	keycare_loaded(void);
/* The end: what was used is told now. */
void	keycare_hurry(void);
void	keycare_status(struct buffer *);
void	keycare_stats(struct buffer *);

/* keydiff.c: tells the trail what differs; both sorted by id.  first: there
 * is nothing to compare with. */
void	keydiff_tell(const struct api_key *old, size_t nold,
	    const struct api_key *now, size_t nnow, int first);

/* scope.c */
/* Whether one of the caller's scopes grants what a tool asks for. */
int	scope_grants(const struct slice *scopes, uint32_t n,
	    struct slice required);
int	scope_matches(struct slice granted, struct slice required);

/* penalty.c */
/* Counts a failed credential; returns the milliseconds to hold the answer. */
uint32_t penalty_add(struct slice peer, uint64_t now);
/* The source that a printed address counts as: IPv6 by /64. */
void	penalty_source(struct slice peer, char *out, size_t size);

/* What is owed when auditd has settled a report; of each the first member. */
enum owed_what { OWED_NOTHING, OWED_ANSWERS, OWED_CALL };
struct owed {
	uint8_t		what;		/* enum owed_what */
};

/* Who waits for a record: answered when it is durable. */
struct waiter {
	struct owed	owed;		/* OWED_ANSWERS */
	struct waiter	*next;
	struct channel	*listener;	/* NULL: gone, or nothing to answer */
	uint64_t	 question;
	uint32_t	 delay_ms;	/* a penalty, after the record */
	struct msg_decision decision;	/* without slices but scope */
	char		 scope[SCOPE_MAX + 1];
};

/* fold.c */
struct fold {
	int		 used;
	uint64_t	 window_ms;	/* its start */
	uint32_t	 alone;		/* in this window */
	uint32_t	 folded;	/* not recorded yet */
	struct waiter	*waiters;	/* for that record */
	char		 peer[PEER_MAX + 1];
	char		 tool[TOOL_NAME_MAX + 1];
	uint8_t		 outcome;
	uint8_t		 reason;
};
/* The fold of a refusal.  *alone is set where it has a record of its own. */
struct fold *fold_count(struct slice peer, uint8_t outcome, uint8_t reason,
	    struct slice tool, uint64_t now, int *alone);
/* Visits every fold with something to record. */
void	fold_each(void (*)(struct fold *, void *), void *);
void	fold_reset(void);

/* Whose question it is. */
struct asker {
	struct channel	*ch;
	uint32_t	 instance;
};

struct refusal {
	enum outcome		 outcome;
	enum reason		 reason;
	uint32_t		 retry_after;
	struct limit_hit	 limit;		/* OUTCOME_RATE_LIMITED */
	uint32_t		 delay_ms;
	const char		*scope;
	int			 no_credential;
	const struct identity	*identity;	/* NULL: none */
	struct slice		 suspect;	/* id of a key that failed */
};

/* refuse.c */
int	refuse_start(void);
/* Records, then answers. */
void	refuse(const struct asker *, uint64_t question,
	    const struct msg_authorize *, const struct refusal *);
/* Answers `overloaded'; what is not recorded is counted for later. */
void	refuse_unrecorded(struct channel *, uint64_t question);
void	record_unrecorded(void);
/* Its listener is gone: what is owed to it is owed to nobody. */
void	refuse_forget(struct channel *listener);
/* The end: what is folded is recorded now, nothing is held back. */
void	refuse_hurry(void);
uint64_t refused_count(void);
void	refuse_stats(struct buffer *);
void	mint_request_id(uint8_t [REQUEST_ID_LEN]);
void	send_decision(struct channel *, uint64_t question,
	    const struct msg_decision *);
/* What a report says of the question, before the decision is filled in. */
/*
 * To auditd, kept until it is acknowledged.  Returns 0, or -1: no room, and
 * what is owed stays the caller's.
 */
int	report_send(const struct msg_audit_decision *, struct owed *);
void	fill_report(struct msg_audit_decision *, const struct msg_authorize *);
/* A report is durable, or could not be made: what is owed for it. */
void	report_settled(void *owed, int durable);

/* hold.c */
enum hold_why {
	HOLD_AUDITD,		/* it is away: `overloaded' after AUDIT_WAIT_MS */
	HOLD_KEYS,		/* decided with what there is after KEYS_WAIT_MS */
	HOLD_WHY_MAX
};
int	hold_start(void);
/* Keeps a copy of the question.  Returns 0, or -1: no room. */
int	hold(enum hold_why, uint32_t issuer, struct channel *listener,
	    const struct frame *question);
/* Decides those that wait for auditd, now that it is there. */
void	release_held(void);
/* Decides those that wait for keys of this issuer. */
void	release_waiting(uint32_t issuer);
void	hold_forget(const struct channel *listener);
size_t	hold_count(enum hold_why);
/* authd.c: a question that was held, and for what; decided like any other. */
void	decide_held(struct channel *, const struct frame *, enum hold_why);
/* authd.c: one question of this listener's less is open. */
void	question_answered(struct channel *);
/* authd.c: what auditd has settled by now is settled here, too. */
void	hear_auditd(void);

/* rule.c: the tools, in configuration order. */
struct rule {
	char		*name;
	char		*scope;
	int		 writes;
	struct rate	 rate;		/* of each caller; count 0: none */
	struct account	 account;
	uint32_t	 claims;
	char		*claim[ATTRIBUTES_MAX];
};
int	rules_expect(uint32_t tools);
int	rule_configure(const struct frame *);
int	rules_complete(void);
const struct rule *rule_find(struct slice name);
/* Whether the caller has every claim that the tool binds. */
int	rule_claims_present(const struct rule *, const struct identity *);
/* Whether any tool asks for a scope that this one stands for. */
int	scope_opens_a_tool(struct slice);
/* Visits the tools that these scopes open. */
void	each_open_tool(const struct slice *scopes, uint32_t n,
	    void (*)(const char *name, void *), void *);
/* The same as bits, tool 0 first; returns the bytes that count. */
size_t	rules_open(const struct slice *scopes, uint32_t n,
	    uint8_t bits[TOOLS_MAX / 8]);

/* decide.c */
/* Of the auth block. */
void	decide_limits(const struct rate *, uint32_t in_flight);
int	decide_ticket_key(const struct frame *);
/* waited: for keys of an issuer, once, and not again. */
void	decide(const struct asker *, const struct frame *,
	    const struct msg_authorize *, int waited);
uint64_t decided_count(void);

#endif
