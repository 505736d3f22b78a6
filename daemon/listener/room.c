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
#include "listener.h"

#define BUCKETS		1024	/* a power of two */
#define LOOK_MAX	64	/* connections of a source that are looked at */

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

static struct connection *
first_that_may_go(const struct conn_queue *queue, size_t entry_of_source)
{
	struct connection *c;
	int looked = 0;

	for (c = TAILQ_FIRST(queue); c != NULL && looked < LOOK_MAX; looked++) {
		if (may_go(c))
			return c;
		c = entry_of_source ? TAILQ_NEXT(c, source_entry) :
		    TAILQ_NEXT(c, stranger_entry);
	}
	return NULL;
}

static int
let_go(struct connection *c)
{
	if (c == NULL)
		return -1;
	listener.displaced++;
	conn_close(c);
	return 0;
}

int
room_make(void)
{
	struct connection *c = first_that_may_go(&strangers, 0);

	return let_go(c != NULL ? c : http_longest_idle());
}

/* One more of a source that is at its bound: one of its own goes. */
static int
room_at_source(struct source *s)
{
	struct connection *c;

	if ((c = first_that_may_go(&s->strangers, 1)) == NULL)
		c = first_that_may_go(&s->callers, 1);
	return let_go(c);
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
int
room_make_memory(const struct connection *wanting)
{
	struct connection *c, *oldest = NULL;
	int looked = 0;

	if (strangers_memory <= STRANGERS_MEMORY_MAX || !wanting->stranger)
		return 0;
	TAILQ_FOREACH(c, &strangers, stranger_entry) {
		if (c == wanting || !may_go(c))
			continue;
		if (oldest == NULL)
			oldest = c;
		if (c->accounted > 2 * READ_SIZE)
			return let_go(c);
		if (++looked == LOOK_MAX)
			break;
	}
	return let_go(oldest);
}
