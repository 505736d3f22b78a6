/* SPDX-License-Identifier: ISC */

/*
 * Which requests have which records already, so that a report that is sent
 * again after auditd's restart writes nothing.  Two generations of a hash
 * table: the older one is forgotten when the younger is full, which covers
 * many times what one group commit can hold.  Ids come from siblings, so
 * the hash is keyed.
 */

#include "../common/compat.h"
#include "../common/crypt.h"
#include "auditd.h"

#define SLOTS	(2 * SEEN_MAX)	/* a power of two */

struct seen {
	uint8_t		id[REQUEST_ID_LEN];
	uint32_t	handler;
	uint32_t	flags;		/* 0: empty */
};

struct generation {
	struct seen	*slots;
	size_t		 nslots;	/* grows up to SLOTS */
	size_t		 used;
};

static struct generation young, old;
static uint64_t key[2];

void
seen_init(void)
{
	seen_free();
	random_bytes(key, sizeof(key));
}

void
seen_free(void)
{
	free(young.slots);
	free(old.slots);
	memset(&young, 0, sizeof(young));
	memset(&old, 0, sizeof(old));
}

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	return x ^ x >> 32;
}

static size_t
slot_of(const struct generation *g, const uint8_t id[REQUEST_ID_LEN])
{
	uint64_t half[2];

	memcpy(half, id, sizeof(half));
	return (size_t)mix(mix(half[0] ^ key[0]) ^ half[1] ^ key[1]) &
	    (g->nslots - 1);
}

/* The entry, or the empty slot where it would be; NULL: no table yet. */
static struct seen *
find(const struct generation *g, const uint8_t id[REQUEST_ID_LEN])
{
	size_t i;

	if (g->nslots == 0)
		return NULL;
	for (i = slot_of(g, id); g->slots[i].flags != 0;
	    i = (i + 1) & (g->nslots - 1))
		if (memcmp(g->slots[i].id, id, REQUEST_ID_LEN) == 0)
			break;
	return &g->slots[i];
}

static struct seen *
lookup(const uint8_t id[REQUEST_ID_LEN])
{
	struct seen *s;

	if ((s = find(&young, id)) != NULL && s->flags != 0)
		return s;
	if ((s = find(&old, id)) != NULL && s->flags != 0)
		return s;
	return NULL;
}

/* Room for one more in the young generation; 0, or -1: no memory. */
static int
make_room(void)
{
	struct generation bigger = { 0 };
	struct seen *s;
	size_t i;

	if (young.used == SEEN_MAX) {
		free(old.slots);
		old = young;
		memset(&young, 0, sizeof(young));
	}
	if (2 * young.used < young.nslots)
		return 0;
	bigger.nslots = young.nslots == 0 ? 1024 : 2 * young.nslots;
	if (bigger.nslots > SLOTS)
		bigger.nslots = SLOTS;
	bigger.used = young.used;
	bigger.slots = calloc(bigger.nslots, sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return young.used + 1 < young.nslots ? 0 : -1;
	for (i = 0; i < young.nslots; i++)
		if (young.slots[i].flags != 0 && (s = find(&bigger,
		    young.slots[i].id)) != NULL)
			*s = young.slots[i];
	free(young.slots);
	young = bigger;
	return 0;
}

unsigned int
seen_get(const uint8_t id[REQUEST_ID_LEN], uint32_t handler)
{
	const struct seen *s = lookup(id);

	if (s == NULL || s->flags == ~0U)
		return 0;
	/* 0: read back from the journal, where the handler is not named. */
	if ((s->flags & SEEN_UNDECIDED) && s->handler != 0 &&
	    s->handler != handler)
		return 0;
	return s->flags;
}

unsigned int
seen_add(const uint8_t id[REQUEST_ID_LEN], uint32_t handler,
    unsigned int flags)
{
	struct seen *s = lookup(id);
	unsigned int before = 0;

	if (s != NULL) {
		before = s->flags == ~0U ? 0 : s->flags;
		/* A word that counts replaces one that does not. */
		if ((before & SEEN_UNDECIDED) && s->handler != handler)
			s->flags = flags;
		else
			s->flags = before | flags;
		s->handler = handler;
		return before;
	}
	/* Without memory a resend would be written twice: no worse. */
	if (make_room() == -1 || (s = find(&young, id)) == NULL)
		return 0;
	memcpy(s->id, id, REQUEST_ID_LEN);
	s->handler = handler;
	s->flags = flags;
	young.used++;
	return 0;
}

void
seen_restore(const uint8_t id[REQUEST_ID_LEN], unsigned int flags)
{
	struct seen *s = lookup(id);

	/* An entry is never emptied: others may have been put behind it. */
	if (s != NULL)
		s->flags = flags == 0 ? ~0U : flags;
}
