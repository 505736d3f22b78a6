/* SPDX-License-Identifier: ISC */

/*
 * Who has to go when there is no room: connections are bounded in all and per
 * source, and so are the bytes of those that have shown no credential yet.
 * At a bound the one with the least claim leaves: first the oldest that never
 * had a good credential and waits for nothing of ours, then the one that has
 * been idle longest.  A flood of strangers so displaces strangers, and callers
 * keep their connections.
 *
 * A source is an IPv4 address, or the /64 of an IPv6 one, which is what one
 * customer of a network gets.  A gateway that the configuration trusts
 * (`trust forwarded from') speaks for many and has no bound of its own.
 */

#include <netinet/in.h>

#include "../../common/crypt.h"
#include "../../common/log.h"
#include "listener.h"

#define BUCKETS		1024	/* a power of two */

struct source {
	LIST_ENTRY(source)	 entry;
	uint8_t			 address[16];
	size_t			 connections;
	struct conn_queue	 strangers;	/* oldest first */
	struct conn_queue	 callers;	/* by their last answer */
};

static LIST_HEAD(, source) buckets[BUCKETS];
static struct conn_queue strangers = TAILQ_HEAD_INITIALIZER(strangers);
static size_t strangers_memory;
static uint32_t seed;

/* The bits that name a source; -1: none does, a Unix socket for one. */
static int
source_address(const struct sockaddr_storage *ss, uint8_t address[16])
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
	const struct sockaddr_in *in = (const struct sockaddr_in *)ss;

	memset(address, 0, 16);
	if (ss->ss_family == AF_INET) {
		address[10] = address[11] = 0xff;
		memcpy(address + 12, &in->sin_addr, 4);
	} else if (ss->ss_family == AF_INET6) {
		memcpy(address, &in6->sin6_addr,
		    IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? 16 : 8);
	} else {
		return -1;
	}
	return 0;
}

/* FNV-1a from a random start: callers cannot choose their bucket. */
static size_t
bucket_of(const uint8_t address[16])
{
	uint32_t h;
	size_t i;

	if (seed == 0)
		random_bytes(&seed, sizeof(seed));
	h = seed |= 1;
	for (i = 0; i < 16; i++)
		h = (h ^ address[i]) * 16777619U;
	return (h ^ h >> 16) & (BUCKETS - 1);
}

static struct source *
source_of(const uint8_t address[16])
{
	size_t bucket = bucket_of(address);
	struct source *s;

	LIST_FOREACH(s, &buckets[bucket], entry)
		if (memcmp(s->address, address, sizeof(s->address)) == 0)
			return s;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	memcpy(s->address, address, sizeof(s->address));
	TAILQ_INIT(&s->strangers);
	TAILQ_INIT(&s->callers);
	LIST_INSERT_HEAD(&buckets[bucket], s, entry);
	return s;
}

/* Whether nothing of ours is under way for it. */
static int
may_go(const struct connection *c)
{
	return c->fd != -1 && c->question == QUESTION_NONE && !c->processing;
}

/*
 * These pass over those that wait for an answer of ours, all of them if it must
 * be: there are CONNECTIONS_MAX at most, and nobody is shielded by them.
 */
static struct connection *
oldest_stranger(void)
{
	struct connection *c;

	TAILQ_FOREACH(c, &strangers, stranger_entry)
		if (may_go(c))
			return c;
	return NULL;
}

static struct connection *
oldest_of_source(const struct conn_queue *queue)
{
	struct connection *c;

	TAILQ_FOREACH(c, queue, source_entry)
		if (may_go(c))
			return c;
	return NULL;
}

/* why: which bound was reached, for the log. */
static int
let_go(struct connection *c, const char *why)
{
	static uint64_t said_ms;

	if (c == NULL)
		return -1;
	listener.displaced++;
	if (said_ms == 0 || turn_ms() - said_ms >= ROOM_SAY_MS) {
		log_warn("connections make room for others: %s: the last of "
		    "%s, %llu so far", why, c->peer,
		    (unsigned long long)listener.displaced);
		said_ms = turn_ms();
	}
	conn_close(c);
	return 0;
}

int
room_make(void)
{
	struct connection *c = oldest_stranger();

	return let_go(c != NULL ? c : http_longest_idle(),
	    "the bound of all is reached");
}

/* One more of a source that is at its bound: one of its own goes. */
static int
room_at_source(struct source *s)
{
	struct connection *c;

	if ((c = oldest_of_source(&s->strangers)) == NULL)
		c = oldest_of_source(&s->callers);
	return let_go(c, "the bound of one source is reached");
}

int
room_enter(struct connection *c, const struct sockaddr_storage *ss)
{
	uint8_t address[16];
	struct source *s;
	int rc;

	c->stranger = 1;
	TAILQ_INSERT_TAIL(&strangers, c, stranger_entry);
	if (source_address(ss, address) == -1 ||
	    forwarders_have(&listener.forwarders, address))
		return 0;
	if ((s = source_of(address)) == NULL)
		return -1;
	/* Counted before room is made, so that the source stays; not yet in
	 * its queue, so that it is not the one that goes. */
	s->connections++;
	rc = s->connections > listener.per_source ? room_at_source(s) : 0;
	c->source = s;
	TAILQ_INSERT_TAIL(&s->strangers, c, source_entry);
	return rc;
}

static void
leave_lists(struct connection *c)
{
	if (c->stranger)
		TAILQ_REMOVE(&strangers, c, stranger_entry);
	if (c->source != NULL)
		TAILQ_REMOVE(c->stranger ? &c->source->strangers :
		    &c->source->callers, c, source_entry);
}

void
room_leave(struct connection *c)
{
	struct source *s = c->source;

	leave_lists(c);
	if (c->stranger)
		strangers_memory -= c->accounted;
	c->stranger = 0;
	c->source = NULL;
	if (s != NULL && --s->connections == 0) {
		LIST_REMOVE(s, entry);
		free(s);
	}
}

void
room_known(struct connection *c, int known)
{
	/* A gateway is not made a stranger by one of those behind it. */
	if (c->fd == -1 || (!known && c->source == NULL))
		return;
	leave_lists(c);
	if (c->stranger)
		strangers_memory -= c->accounted;
	c->stranger = !known;
	if (c->stranger) {
		strangers_memory += c->accounted;
		TAILQ_INSERT_TAIL(&strangers, c, stranger_entry);
	}
	if (c->source != NULL)
		TAILQ_INSERT_TAIL(known ? &c->source->callers :
		    &c->source->strangers, c, source_entry);
}

void
room_account(struct connection *c, size_t before, size_t after)
{
	if (c->stranger)
		strangers_memory = strangers_memory - before + after;
}

size_t
room_strangers_memory(void)
{
	return strangers_memory;
}

/*
 * One that holds more than a head goes before one that holds less; where all
 * are small, the oldest.
 */
static struct connection *
largest_claim(const struct connection *wanting)
{
	struct connection *c, *oldest = NULL;

	TAILQ_FOREACH(c, &strangers, stranger_entry) {
		if (c == wanting || !may_go(c))
			continue;
		if (c->accounted > 2 * READ_SIZE)
			return c;
		if (oldest == NULL)
			oldest = c;
	}
	return oldest;
}

int
room_make_memory(const struct connection *wanting)
{
	while (wanting->stranger && strangers_memory > STRANGERS_MEMORY_MAX)
		if (let_go(largest_claim(wanting),
		    "those without a credential hold too many bytes") == -1)
			return -1;
	return 0;
}
