/* SPDX-License-Identifier: ISC */

/*
 * A bounded table of results by the digest of what they answer, the one
 * used longest ago forgotten first.  An entry is there while its first call
 * asks the source, so that others with the same question wait for that answer
 * and do not ask again.
 */

#include <sys/mman.h>

#include <stdatomic.h>

#include <event2/event.h>

#include "../../common/crypt.h"
#include "../../common/log.h"
#include "../../common/stats.h"
#include "../../common/wire.h"
#include "cache.h"
#include "redis_cache.h"
#include "source.h"

#define KEY_BYTES_MAX	(2 * BODY_MAX + TICKET_MAX + 4096)

TAILQ_HEAD(waiters, call);

struct entry {
	RB_ENTRY(entry)		 by_key;
	TAILQ_ENTRY(entry)	 entry;		/* newest first */
	uint8_t			 key[DIGEST_LEN];
	const struct tool	*tool;
	const struct source	*source;	/* that answered */
	uint64_t		 generation;	/* when it was asked */
	struct generation	 word;		/* … that Redis had then */
	uint64_t		 expires_ms;
	struct call		*asking;	/* NULL: it has been answered */
	struct waiters		 waiters;
	uint32_t		 nwaiters;
	uint64_t		 rows, bytes;
	int			 truncated;
	size_t			 len;
	unsigned char		*data;
};

RB_HEAD(entry_tree, entry);
TAILQ_HEAD(entry_list, entry);

static struct entry_tree tree = RB_INITIALIZER(&tree);
static struct entry_list list = TAILQ_HEAD_INITIALIZER(list);
static size_t used;		/* bytes */
static uint64_t hits, misses, shared;
static _Atomic uint64_t *generations;

static int
compare(const struct entry *a, const struct entry *b)
{
	return memcmp(a->key, b->key, sizeof(a->key));
}

/* Both systems' headers have it; what we do not use of it is no mistake. */
#define LOCAL __attribute__((__unused__)) static
RB_GENERATE_INTERNAL(entry_tree, entry, by_key, compare, LOCAL)

/* ---- generations ------------------------------------------------------- */

int
cache_generations(int fd)
{
	void *page;

	if (fd == -1 || generations != NULL)
		return -1;
	page = mmap(NULL, GENERATIONS_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	close(fd);
	if (page == MAP_FAILED)
		return -1;
	generations = page;
	return 0;
}

static uint64_t
generation_of(const struct tool *t)
{
	return generations == NULL ? 0 : atomic_load(&generations[t->generation]);
}

/*
 * A clock that all processes of this machine share; not the one that values
 * are dated by (CLOCKS_MS).
 */
static int
is_barred(const struct tool *t)
{
	return generations != NULL &&
	    now_ms() < atomic_load(&generations[GENERATIONS_MAX +
	    t->generation]);
}

void
cache_bar(const struct tool *t)
{
	if (generations != NULL)
		atomic_store(&generations[GENERATIONS_MAX + t->generation],
		    now_ms() + t->cache_ms + CLOCKS_MS);
}

/* What the call wrote, or may have written, is there for all from now on. */
static void
invalidate(const struct tool *t)
{
	uint32_t i;

	for (i = 0; generations != NULL && i < t->ninvalidates; i++)
		(void)atomic_fetch_add(&generations[
		    tool_at(t->invalidates[i])->generation], 1);
}

/* ---- the table --------------------------------------------------------- */

static size_t
entry_bytes(const struct entry *e)
{
	return sizeof(*e) + e->len;
}

/* One that a call asks for stays until that call has ended. */
static void
entry_free(struct entry *e)
{
	RB_REMOVE(entry_tree, &tree, e);
	TAILQ_REMOVE(&list, e, entry);
	used -= entry_bytes(e);
	if (e->data != NULL)
		freezero(e->data, e->len);
	free(e);
}

static void
make_room(size_t bytes)
{
	struct entry *e, *before;

	for (e = TAILQ_LAST(&list, entry_list);
	    e != NULL && used + bytes > CACHE_BYTES_MAX; e = before) {
		before = TAILQ_PREV(e, entry_list, entry);
		if (e->asking == NULL)
			entry_free(e);
	}
}

static struct entry *
entry_new(struct call *c, const uint8_t key[DIGEST_LEN])
{
	struct entry *e;

	make_room(sizeof(*e));
	if (used + sizeof(*e) > CACHE_BYTES_MAX ||
	    (e = calloc(1, sizeof(*e))) == NULL)
		return NULL;
	memcpy(e->key, key, sizeof(e->key));
	e->tool = c->tool;
	e->generation = generation_of(c->tool);
	e->asking = c;
	TAILQ_INIT(&e->waiters);
	(void)RB_INSERT(entry_tree, &tree, e);
	TAILQ_INSERT_HEAD(&list, e, entry);
	used += entry_bytes(e);
	return e;
}

static int
is_fresh(const struct entry *e)
{
	return now_ms() < e->expires_ms &&
	    e->generation == generation_of(e->tool);
}

/* ---- what is asked ----------------------------------------------------- */

/* Everything of the caller that a source or a statement can be told. */
static void
put_caller(struct buffer *b, const struct identity *id)
{
	uint32_t i;

	put_u8(b, id->kind);
	put_slice(b, id->key_id);
	put_slice(b, id->owner);
	put_u32(b, id->attributes);
	for (i = 0; i < id->attributes; i++) {
		put_slice(b, id->attribute[i].name);
		put_slice(b, id->attribute[i].value);
	}
}

/* By what is bound, not by how it was written: 1 is 1.0 where both fit. */
static void
put_bound(struct buffer *b, const struct call *c, const struct bound *v)
{
	struct slice text;

	put_u8(b, (uint8_t)v->type);
	put_u8(b, v->null != 0);
	if (v->null)
		return;
	switch (v->type) {
	case PARAM_INTEGER:
	case PARAM_BOOLEAN:
		put_u64(b, (uint64_t)v->integer);
		break;
	case PARAM_NUMBER:
		put_fixed(b, &v->real, sizeof(v->real));
		break;
	default:
		text.ptr = (const char *)c->arena.data + v->at;
		text.len = v->len;
		put_slice(b, text);
		break;
	}
}

/* 0, or -1: it cannot be told what is asked. */
static int
make_key(const struct call *c, uint8_t key[DIGEST_LEN])
{
	static struct buffer b;
	uint32_t i;
	int rc = -1;

	if (b.max == 0)
		buffer_init(&b, KEY_BYTES_MAX);
	b.wipe = 1;
	put_fixed(&b, c->tool->digest, sizeof(c->tool->digest));
	put_u32(&b, c->tool->nbinds);
	for (i = 0; i < c->tool->nbinds; i++)
		put_bound(&b, c, &c->bound[i]);
	if (!c->tool->cache_shared)
		put_caller(&b, &c->identity);
	if (!b.bad) {
		sha256(b.data, b.len, key);
		rc = 0;
	}
	if (b.data != NULL)
		explicit_bzero(b.data, b.len);
	buffer_clear(&b);
	return rc;
}

/* ---- calls ------------------------------------------------------------- */

/* 0, or -1: no memory. */
static int
give(struct call *c, const struct shared_value *v)
{
	buffer_clear(&c->structured);
	if (buffer_add_slice(&c->structured, v->data) == -1) {
		buffer_clear(&c->structured);
		return -1;
	}
	c->rows = v->rows;
	c->bytes = v->bytes;
	c->truncated = v->truncated;
	c->cache_hit = 1;
	c->kept_from = v->source;
	return 0;
}

static int
take_result(struct call *c, const struct entry *e)
{
	struct shared_value v = { .source = e->source, .rows = e->rows,
	    .bytes = e->bytes, .truncated = e->truncated,
	    .data = { (const char *)e->data, e->len } };

	return give(c, &v);
}

/* Puts a value into its entry; 0, or -1: it is not kept. */
static int
fill(struct entry *e, const struct shared_value *v)
{
	size_t len = v->data.len;

	if (len > CACHE_ENTRY_MAX)
		return -1;
	make_room(len);
	if (used + len > CACHE_BYTES_MAX || (e->data = malloc(len)) == NULL)
		return -1;
	memcpy(e->data, v->data.ptr, len);
	e->len = len;
	used += len;
	e->rows = v->rows;
	e->bytes = v->bytes;
	e->truncated = v->truncated;
	e->source = v->source;
	e->expires_ms = now_ms() + v->left_ms;
	return 0;
}

static int
same_word(const struct generation *a, const struct generation *b)
{
	return a->known && b->known && strcmp(a->word, b->word) == 0;
}

/* What was asked before a write is not for whoever comes after it. */
static int
wait_for(struct entry *e, struct call *c, const struct generation *now)
{
	if (e->nwaiters >= CACHE_WAITERS_MAX ||
	    e->generation != generation_of(c->tool) ||
	    (now != NULL && e->word.known && !same_word(&e->word, now)))
		return -1;
	e->nwaiters++;
	c->waits_for = e;
	TAILQ_INSERT_TAIL(&e->waiters, c, queue_entry);
	shared++;
	return 0;
}

/* Whether Redis is there and what it has of the tool may be believed. */
static int
may_ask(const struct tool *t)
{
	return redis_cache_serves(t) && !is_barred(t);
}

static enum cache_answer
hit(struct call *c, struct entry *e)
{
	TAILQ_REMOVE(&list, e, entry);
	TAILQ_INSERT_HEAD(&list, e, entry);
	hits++;
	return take_result(c, e) == 0 ? CACHE_HIT : CACHE_MISS;
}

enum cache_answer
cache_begin(struct call *c)
{
	struct entry *e, wanted;

	if (c->tool->cache_ms == 0 || make_key(c, wanted.key) == -1)
		return CACHE_MISS;
	e = RB_FIND(entry_tree, &tree, &wanted);
	if (e != NULL && e->asking != NULL)
		return wait_for(e, c, NULL) == 0 ? CACHE_WAIT : CACHE_MISS;
	if (e != NULL && is_fresh(e)) {
		/* Another node may have written since. */
		if (c->tool->invalidated && may_ask(c->tool) &&
		    redis_cache_ask(c, e->key, &e->word))
			return CACHE_WAIT;
		return hit(c, e);
	}
	if (e != NULL)
		entry_free(e);
	misses++;
	c->fills = entry_new(c, wanted.key);
	if (c->fills != NULL && may_ask(c->tool) &&
	    redis_cache_ask(c, wanted.key, NULL))
		return CACHE_WAIT;
	return CACHE_MISS;
}

struct call *
cache_leave(struct call *c)
{
	struct entry *e = c->waits_for;

	if (e == NULL)
		return NULL;
	TAILQ_REMOVE(&e->waiters, c, queue_entry);
	e->nwaiters--;
	c->waits_for = NULL;
	return e->nwaiters == 0 ? e->asking : NULL;
}

int
cache_awaited(const struct call *c)
{
	return c->fills != NULL && c->fills->nwaiters > 0;
}

/* 0, or -1: it is not kept. */
static int
keep(struct entry *e, const struct call *c)
{
	struct shared_value v = { .source = c->source, .rows = c->rows,
	    .bytes = c->bytes, .truncated = c->truncated,
	    .left_ms = e->tool->cache_ms,
	    .data = { (const char *)c->structured.data, c->structured.len } };

	if (c->outcome != OUTCOME_OK || c->structured.bad ||
	    fill(e, &v) == -1)
		return -1;
	/* What a write here made stale meanwhile is not for others either. */
	if (is_fresh(e))
		redis_cache_keep(c, e->key, &e->word, e->tool->cache_ms);
	return 0;
}

/* The first of them asks in the place of the one that ran out of time. */
static void
hand_on(struct entry *e)
{
	struct call *next = TAILQ_FIRST(&e->waiters);

	(void)cache_leave(next);
	e->asking = next;
	e->generation = generation_of(e->tool);
	next->fills = e;
	call_ask(next);
}

static void
serve(struct entry *e)
{
	struct call *c;

	while ((c = TAILQ_FIRST(&e->waiters)) != NULL) {
		(void)cache_leave(c);
		if (take_result(c, e) == 0)
			call_done(c);
		else
			call_fail(c, OUTCOME_OVERLOADED, REASON_QUEUE_FULL);
	}
}

static void
take_waiters(struct entry *e, struct waiters *to)
{
	struct call *c;

	TAILQ_CONCAT(to, &e->waiters, queue_entry);
	e->nwaiters = 0;
	TAILQ_FOREACH(c, to, queue_entry)
		c->waits_for = NULL;
}

/* There is one, but it is too large to be kept: everybody asks. */
static void
ask_each(struct entry *e)
{
	struct waiters waiters = TAILQ_HEAD_INITIALIZER(waiters);
	struct call *c;

	take_waiters(e, &waiters);
	entry_free(e);
	while ((c = TAILQ_FIRST(&waiters)) != NULL) {
		TAILQ_REMOVE(&waiters, c, queue_entry);
		call_ask(c);
	}
}

/* There is no answer: what became of the one that asked becomes of all. */
static void
fail_all(struct entry *e, const struct call *from)
{
	enum outcome outcome = from->outcome;
	enum reason reason = from->reason;
	uint32_t retry_after = from->retry_after;
	struct waiters waiters = TAILQ_HEAD_INITIALIZER(waiters);
	struct call *c;

	take_waiters(e, &waiters);
	entry_free(e);
	while ((c = TAILQ_FIRST(&waiters)) != NULL) {
		TAILQ_REMOVE(&waiters, c, queue_entry);
		c->retry_after = retry_after;
		(void)strlcpy(c->message, from->message, sizeof(c->message));
		call_fail(c, outcome, reason);
	}
}

/* Redis had nothing, and took its time: perhaps nobody waits any more. */
static void
ask_source(struct call *c)
{
	if (c->cancelled && !cache_awaited(c))
		call_fail(c, OUTCOME_CANCELLED, REASON_CANCELLED);
	else
		call_ask(c);
}

/* Its entry is here: the first word of Redis about it. */
static void
answer_first(struct call *c, enum shared_answer answer,
    const struct generation *now, const struct shared_value *v)
{
	struct entry *e = c->fills;

	if (answer != SHARED_VALUE) {
		if (answer != SHARED_AWAY)
			e->word = *now;
		ask_source(c);
		return;
	}
	c->fills = NULL;
	e->asking = NULL;
	e->word = *now;
	if (give(c, v) == -1)
		call_fail(c, OUTCOME_OVERLOADED, REASON_QUEUE_FULL);
	else
		call_done(c);
	if (fill(e, v) == 0)
		serve(e);
	else
		ask_each(e);
}

/*
 * Whether what is kept here still holds.  The entry may have gone meanwhile,
 * or be another, which is asked for.
 */
static enum cache_answer
answer_check(struct call *c, enum shared_answer answer,
    const struct generation *now, const struct shared_value *v)
{
	struct entry *e, wanted;

	memcpy(wanted.key, c->cache_key, sizeof(wanted.key));
	e = RB_FIND(entry_tree, &tree, &wanted);
	if (e != NULL && e->asking != NULL)
		return wait_for(e, c, now->known ? now : NULL) == 0 ?
		    CACHE_WAIT : CACHE_MISS;
	/* Where nobody knows, unless it was known already that it does not. */
	if (e != NULL && is_fresh(e) && (same_word(&e->word, now) ||
	    (answer == SHARED_AWAY && c->generation.known)))
		return hit(c, e);
	if (e != NULL)
		entry_free(e);
	e = entry_new(c, wanted.key);
	if (e != NULL && now->known)
		e->word = *now;
	if (answer != SHARED_VALUE) {
		misses++;
		c->fills = e;
		return CACHE_MISS;
	}
	if (e != NULL) {
		e->asking = NULL;
		if (fill(e, v) == -1)
			entry_free(e);
	}
	return give(c, v) == 0 ? CACHE_HIT : CACHE_MISS;
}

void
cache_answered(struct call *c, enum shared_answer answer,
    const struct generation *now, const struct shared_value *v)
{
	if (c->fills != NULL) {
		answer_first(c, answer, now, v);
		return;
	}
	switch (answer_check(c, answer, now, v)) {
	case CACHE_HIT:
		call_done(c);
		break;
	case CACHE_WAIT:
		break;
	case CACHE_MISS:
		ask_source(c);
		break;
	}
}

void
cache_settle(struct call *c)
{
	struct entry *e = c->fills;

	if (c->tool != NULL && c->tool->ninvalidates > 0 && c->may_have_run)
		invalidate(c->tool);
	if (e == NULL)
		return;
	c->fills = NULL;
	e->asking = NULL;
	if (keep(e, c) == 0)
		serve(e);
	else if (c->outcome == OUTCOME_OK)
		ask_each(e);
	else if ((c->outcome == OUTCOME_TIMEOUT ||
	    c->outcome == OUTCOME_CANCELLED) && !TAILQ_EMPTY(&e->waiters))
		hand_on(e);
	else
		fail_all(e, c);
}

void
cache_status(struct buffer *b)
{
	(void)buffer_printf(b, "cache %zu bytes, %llu hits, %llu misses, "
	    "%llu shared a query\n", used, (unsigned long long)hits,
	    (unsigned long long)misses, (unsigned long long)shared);
}

void
cache_stats(struct buffer *b)
{
	put_stat(b, STAT_CACHE_BYTES, used);
	put_stat(b, STAT_CACHE_HITS, hits);
	put_stat(b, STAT_CACHE_MISSES, misses);
	put_stat(b, STAT_CACHE_SHARED, shared);
}
