/* SPDX-License-Identifier: ISC */

/*
 * The callers' counters: of each owner what he has used of his rate and how
 * many of his calls are in flight, of each owner and tool what he has used of
 * that tool's rate.  They are found by a digest under a key that is made at
 * start, so that nobody who may choose his name can choose his place.  The
 * table is bounded; what a counter tells is nothing once its time has passed
 * and no call is in flight, and then its place is free.  Where all places
 * tell something, who is not there is refused: it fails closed.
 */

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/stats.h"
#include "authd.h"

#define HEADS		131072	/* a power of two */
#define SWEEP_EACH	4	/* places looked at for each new counter … */
#define SWEEP_FULL	1024	/* … and where few are free */
#define CHARGED_MAX	3	/* counters that one charge is about */
#define NAMED_MAX	(1 + sizeof(struct rate) + OWNER_MAX)

struct counter {
	struct owed	owed;		/* at the end of a call; the first member */
	uint32_t	next;		/* of its chain, or free; 0: none */
	uint32_t	in_flight;
	struct account	account;
	struct arrival	arrival;
};

/* Places are numbered from 1. */
static struct counter counters[COUNTERS_MAX + 1];
static uint32_t heads[HEADS];
static uint32_t used;		/* places that were ever taken */
static uint32_t spare;		/* chain of free ones among them */
static uint32_t nlive;
static uint32_t made;		/* since the last sweep */
static uint32_t hand = 1;	/* where the next sweep begins */
static uint64_t nflight;
static uint64_t nrefused[LIMIT_WHAT_MAX], nfull;

/* ---- names --------------------------------------------------------------- */

static void
name(struct account *a, const uint8_t *text, size_t len)
{
	static uint8_t key[KEY_LEN];
	static int keyed;
	uint8_t digest[DIGEST_LEN];

	if (!keyed) {
		random_bytes(key, sizeof(key));
		keyed = 1;
	}
	hmac_sha256(key, text, len, digest);
	memcpy(a->id, digest, sizeof(a->id));
}

void
account_of(struct account *a, uint8_t kind, struct slice owner,
    const struct rate *own)
{
	uint8_t text[NAMED_MAX] = { kind };
	size_t len = owner.len > OWNER_MAX ? OWNER_MAX : owner.len;

	if (own != NULL)
		memcpy(text + 1, own, sizeof(*own));
	memcpy(text + 1 + sizeof(*own), owner.ptr, len);
	name(a, text, 1 + sizeof(*own) + len);
}

void
account_of_tool(struct account *a, struct slice tool)
{
	account_of(a, CREDENTIAL_NONE, tool, NULL);
}

/* Digests: as good as another digest over both. */
static struct account
joined(const struct account *owner, const struct account *tool)
{
	struct account both;
	size_t i;

	for (i = 0; i < sizeof(both.id); i++)
		both.id[i] = owner->id[i] ^ tool->id[i];
	return both;
}

/* ---- the table ------------------------------------------------------------ */

static uint32_t *
head_of(const struct account *a)
{
	uint32_t bits;

	memcpy(&bits, a->id, sizeof(bits));
	return &heads[bits % HEADS];
}

static void
drop(uint32_t n)
{
	uint32_t *at = head_of(&counters[n].account);

	while (*at != n)
		at = &counters[*at].next;
	*at = counters[n].next;
	memset(&counters[n], 0, sizeof(counters[n]));
	counters[n].next = spare;
	spare = n;
	nlive--;
}

/* Looks at so many places and frees those that tell nothing. */
static void
sweep(uint32_t places, uint64_t now)
{
	struct counter *c;

	for (; places > 0 && used > 0; places--) {
		if (hand > used)
			hand = 1;
		c = &counters[hand++];
		if (c->owed.what == OWED_CALL && c->in_flight == 0 &&
		    arrival_passed(&c->arrival, now))
			drop(hand - 1);
	}
}

/* Before any counter is looked at: what is dropped is nobody's at hand. */
static void
make_room(uint64_t now)
{
	if (made > 0)
		sweep(made * SWEEP_EACH, now);
	made = 0;
	if (COUNTERS_MAX - nlive < CHARGED_MAX)
		sweep(SWEEP_FULL, now);
}

/* Made where there is none; NULL: there is no room. */
static struct counter *
counter_of(const struct account *a)
{
	struct counter *c;
	uint32_t n, *head = head_of(a);

	for (n = *head; n != 0; n = counters[n].next)
		if (memcmp(&counters[n].account, a, sizeof(*a)) == 0)
			return &counters[n];
	if ((n = spare) != 0)
		spare = counters[n].next;
	else if (used < COUNTERS_MAX)
		n = ++used;
	else
		return NULL;
	c = &counters[n];
	c->owed.what = OWED_CALL;
	c->account = *a;
	c->next = *head;
	*head = n;
	nlive++;
	made++;
	return c;
}

/* ---- charging ------------------------------------------------------------- */

/* The counters that a charge is about; NULL where it is not about one. */
struct charged_counters {
	struct counter	*caller;	/* of the rate */
	struct counter	*tool;
	struct counter	*flight;
};

static int
look_up(struct charged_counters *at, const struct charge *ask)
{
	struct account both;

	memset(at, 0, sizeof(*at));
	if (ask->rate->count > 0 &&
	    (at->caller = counter_of(ask->payer)) == NULL)
		return -1;
	if (ask->in_flight_max > 0) {
		at->flight = at->caller != NULL && ask->payer == ask->owner ?
		    at->caller : counter_of(ask->owner);
		if (at->flight == NULL)
			return -1;
	}
	if (ask->tool != NULL && ask->tool_rate->count > 0) {
		both = joined(ask->owner, ask->tool);
		if ((at->tool = counter_of(&both)) == NULL)
			return -1;
	}
	return 0;
}

static uint32_t
wait_of(struct counter *c, const struct rate *rate, uint64_t now)
{
	if (c == NULL)
		return 0;
	arrival_adopt(&c->arrival, rate, now);
	return arrival_wait(&c->arrival, now);
}

static enum charged
refused(enum limit_what what, const struct rate *rate, uint32_t wait,
    struct limit_hit *hit)
{
	nrefused[what]++;
	memset(hit, 0, sizeof(*hit));
	hit->what = (uint8_t)what;
	hit->rate = *rate;
	hit->reset_s = wait;
	return CHARGE_REFUSED;
}

enum charged
account_charge(const struct charge *ask, uint64_t now, struct limit_hit *hit,
    struct owed **flight)
{
	struct rate cap = { .count = ask->in_flight_max };
	struct charged_counters at;
	uint32_t wait, wait_tool;

	*flight = NULL;
	make_room(now);
	if (look_up(&at, ask) == -1) {
		nfull++;
		return CHARGE_FULL;
	}
	wait = wait_of(at.caller, ask->rate, now);
	wait_tool = wait_of(at.tool, ask->tool_rate, now);
	/* Whoever waits as long as the longer of the two passes both. */
	if (wait > 0 && wait >= wait_tool)
		return refused(LIMIT_CALLER, ask->rate, wait, hit);
	if (wait_tool > 0)
		return refused(LIMIT_TOOL, ask->tool_rate, wait_tool, hit);
	if (at.flight != NULL && at.flight->in_flight >= ask->in_flight_max)
		return refused(LIMIT_IN_FLIGHT, &cap, IN_FLIGHT_RETRY_S, hit);
	if (at.caller != NULL)
		arrival_charge(&at.caller->arrival, now);
	if (at.tool != NULL)
		arrival_charge(&at.tool->arrival, now);
	if (at.flight != NULL) {
		at.flight->in_flight++;
		nflight++;
		*flight = &at.flight->owed;
	}
	return CHARGED;
}

void
call_ended(struct owed *flight)
{
	struct counter *c = (struct counter *)flight;	/* its first member */

	if (c->in_flight > 0) {
		c->in_flight--;
		nflight--;
	}
}

void
accounts_status(struct buffer *b)
{
	(void)buffer_printf(b, "calls in flight %llu, refused over a caller's "
	    "rate %llu, a tool's %llu, calls in flight %llu, counters %u of "
	    "%u, refused for want of one %llu\n", (unsigned long long)nflight,
	    (unsigned long long)nrefused[LIMIT_CALLER],
	    (unsigned long long)nrefused[LIMIT_TOOL],
	    (unsigned long long)nrefused[LIMIT_IN_FLIGHT], nlive,
	    COUNTERS_MAX, (unsigned long long)nfull);
}

void
accounts_stats(struct buffer *b)
{
	put_stat_of(b, STAT_LIMITED, REASON_OVER_RATE, nrefused[LIMIT_CALLER]);
	put_stat_of(b, STAT_LIMITED, REASON_OVER_TOOL_RATE,
	    nrefused[LIMIT_TOOL]);
	put_stat_of(b, STAT_LIMITED, REASON_OVER_IN_FLIGHT,
	    nrefused[LIMIT_IN_FLIGHT]);
	put_stat(b, STAT_CALLS_ALLOWED, nflight);
	put_stat(b, STAT_LIMIT_COUNTERS, nlive);
	put_stat(b, STAT_LIMIT_FULL, nfull);
}
