/* SPDX-License-Identifier: ISC */

/*
 * What callers may use: rates, each an arrival time (limit.c), and the
 * callers' counters (account.c), found by whom they belong to.
 */

#ifndef AUTHD_LIMIT_H
#define AUTHD_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#include "../common/buffer.h"
#include "../common/rate.h"

/*
 * Callers who are counted at once, and each of their tools with a rate.  One
 * costs 56 bytes; who has used nothing lately gives his place away.
 */
#define COUNTERS_MAX	131072
#define ACCOUNT_LEN	16	/* bytes: no two are the same by chance */
#define IN_FLIGHT_RETRY_S 1	/* nobody knows when a call ends */

/* ---- limit.c: one rate -------------------------------------------------- */

/*
 * The time at which the next call would arrive if all kept to their rate:
 * microseconds of the monotonic clock and count-ths of one.  All zero is one
 * that has never been charged.
 */
struct arrival {
	uint64_t	us;
	uint32_t	part;
	struct rate	rate;		/* it was charged by */
};

/* Under another rate than before (a reload) nobody owes more than that holds. */
void	 arrival_adopt(struct arrival *, const struct rate *, uint64_t now_us);
/*
 * Seconds until a call is let through by its rate, 0: now.  Rounded up: who
 * waits so long gets through.  Charges nothing.
 */
uint32_t arrival_wait(const struct arrival *, uint64_t now_us);
void	 arrival_charge(struct arrival *, uint64_t now_us);
/* Whether it tells no more than one that has never been charged. */
int	 arrival_passed(const struct arrival *, uint64_t now_us);

/* ---- account.c: whose ---------------------------------------------------- */

/* Whom a counter belongs to: a digest under a key that nobody knows. */
struct account {
	uint8_t		id[ACCOUNT_LEN];
};
/*
 * Of an owner.  kind: enum credential_kind, since the owner of a key may be
 * named like the subject of an issuer.  own: a rate that is his credential's
 * own and counted apart, or NULL.
 */
void	account_of(struct account *, uint8_t kind, struct slice owner,
	    const struct rate *own);
/* Of a tool; joined with an owner's where a call is charged. */
void	account_of_tool(struct account *, struct slice name);

struct owed;

/* What a request asks for. */
struct charge {
	const struct account	*owner;
	const struct account	*payer;		/* of the rate: his, or his key's */
	const struct rate	*rate;		/* count 0: none */
	const struct account	*tool;		/* NULL: no tool with a rate */
	const struct rate	*tool_rate;
	uint32_t		 in_flight_max;	/* 0: it is no call */
};

enum charged {
	CHARGED,
	CHARGE_REFUSED,		/* *hit says for what; nothing was charged */
	CHARGE_FULL		/* too many callers; nothing was charged */
};
/*
 * Charges all of it or nothing.  A call is in flight from here on: *flight,
 * of kind OWED_CALL, is to be given to call_ended(), once.
 */
enum charged account_charge(const struct charge *, uint64_t now_us,
	    struct limit_hit *, struct owed **flight);
void	call_ended(struct owed *);
/* A line for the status; figures for the table. */
void	accounts_status(struct buffer *);
void	accounts_stats(struct buffer *);

#endif
