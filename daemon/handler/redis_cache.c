/* SPDX-License-Identifier: ISC */

/*
 * Values in Redis: under a name that is an HMAC of what they answer, sealed
 * for that, for their tool's definition and this namespace, with the time of
 * their making inside.  Who has Redis can delete them, hold them back, and
 * hand out one that is still fresh in its own place; no more.
 *
 * A generation that Redis could not be told about is owed: it is told when
 * Redis is back, before anything else is asked.
 */

#include <stdio.h>

#include "../../common/crypt.h"
#include "../../common/log.h"
#include "../../common/stats.h"
#include "cache.h"
#include "redis.h"
#include "redis_cache.h"
#include "source.h"

#define GENERATION_MS	(2 * 24 * 3600 * 1000)	/* longer than any value's */
#define TELL_MAX	64	/* generations in one command */
#define DATA_OVERHEAD	1024	/* bytes of what is sealed beside the rows */

static uint64_t hits, misses, kept, unsealed, untold;
/* Generations that were not told: how often; what is told now is this many. */
static struct debt {
	uint32_t	 owed;
	uint32_t	 paying;
	char		*name;
} debts[TOOLS_MAX];

static void	on_check(const struct reply *, void *);
static void	on_value(const struct reply *, void *);
static void	pay(void);

/* ---- names ------------------------------------------------------------- */

static struct slice
value_key(const uint8_t key[DIGEST_LEN])
{
	struct buffer b;
	char name[SEAL_NAME_LEN + 1];

	buffer_init(&b, 256);
	put_string(&b, "value");
	put_fixed(&b, key, DIGEST_LEN);
	seal_name(name, redis.keys.names, &b);
	buffer_free(&b);
	return redis_key('c', name);
}

static struct slice
generation_key(const char *tool)
{
	struct buffer b;
	char name[SEAL_NAME_LEN + 1];

	buffer_init(&b, 512);
	put_string(&b, "generation");
	put_string(&b, redis.namespace);
	put_string(&b, tool);
	seal_name(name, redis.keys.names, &b);
	buffer_free(&b);
	return redis_key('g', name);
}

/* ---- what is sealed ---------------------------------------------------- */

static void
put_with(struct buffer *b, const struct call *c, const uint8_t key[DIGEST_LEN])
{
	put_string(b, "pontifexd cache 1");
	put_string(b, redis.namespace);
	put_fixed(b, key, DIGEST_LEN);
	put_fixed(b, c->tool->digest, DIGEST_LEN);
}

int
shared_seal(struct buffer *out, const struct call *c,
    const uint8_t key[DIGEST_LEN], const struct generation *g,
    uint64_t made_ms, uint32_t ttl_ms)
{
	struct buffer with, clear;
	struct slice data = { (const char *)c->structured.data,
	    c->structured.len };
	int rc;

	buffer_init(&with, 1024);
	buffer_init(&clear, c->structured.len + DATA_OVERHEAD);
	clear.wipe = 1;
	put_with(&with, c, key);
	put_u64(&clear, made_ms);
	put_u32(&clear, ttl_ms);
	put_string(&clear, g->word);
	put_string(&clear, c->source == NULL ? "" : c->source->name);
	put_u64(&clear, c->rows);
	put_u64(&clear, c->bytes);
	put_u8(&clear, c->truncated != 0);
	put_slice(&clear, data);
	rc = seal_value(out, redis.keys.values, key, &with, &clear);
	buffer_free(&with);
	buffer_free(&clear);
	return rc;
}

static const struct source *
source_of(const struct tool *t, struct slice name)
{
	uint32_t i;

	for (i = 0; i < t->nplaces; i++)
		if (slice_is(name, t->place[i].source->name))
			return t->place[i].source;
	return NULL;
}

/* How much is left of the shorter of its time and the tool's; 0: none. */
static uint32_t
time_left(const struct tool *t, uint64_t made, uint32_t ttl, uint64_t now)
{
	/* Made by a clock that goes before ours: not a moment longer for it. */
	uint64_t age = now > made ? now - made : 0;

	if (ttl > t->cache_ms)
		ttl = t->cache_ms;
	return age >= ttl ? 0 : ttl - (uint32_t)age;
}

static int
read_value(const struct call *c, const struct buffer *clear, uint64_t now,
    struct generation *g, struct shared_value *v)
{
	struct slice word, source;
	struct reader r;
	uint64_t made;
	uint32_t ttl;

	reader_init(&r, clear->data, clear->len);
	made = get_u64(&r);
	ttl = get_u32(&r);
	word = get_string(&r, WORD_LEN);
	source = get_string(&r, NAME_LEN_MAX);
	v->rows = get_u64(&r);
	v->bytes = get_u64(&r);
	v->truncated = get_bool(&r);
	v->data = get_bytes(&r, RESULT_MAX);
	if (wire_done(&r) == -1 || word.len != WORD_LEN ||
	    (v->source = source_of(c->tool, source)) == NULL)
		return -1;
	memcpy(g->word, word.ptr, WORD_LEN);
	g->word[WORD_LEN] = '\0';
	g->known = 1;
	v->left_ms = time_left(c->tool, made, ttl, now);
	return 0;
}

/* One buffer for all: what it holds is cleared by the next, and at the end. */
static struct buffer opened = { .max = RESULT_MAX + DATA_OVERHEAD, .wipe = 1 };

int
shared_open(const struct call *c, const uint8_t key[DIGEST_LEN],
    struct slice sealed, uint64_t now, struct generation *g,
    struct shared_value *v)
{
	struct buffer with;
	int rc;

	memset(g, 0, sizeof(*g));
	memset(v, 0, sizeof(*v));
	buffer_clear(&opened);
	buffer_init(&with, 1024);
	put_with(&with, c, key);
	rc = seal_open(&opened, redis.keys.values, key, &with, sealed);
	buffer_free(&with);
	if (rc == 0)
		rc = read_value(c, &opened, now, g, v);
	return rc;
}

/* Somebody writes to our Redis: said, but not as often as he likes. */
static void
complain(const struct tool *t)
{
	static uint64_t said_ms, more;
	uint64_t now = now_ms();

	unsealed++;
	if (said_ms != 0 && now - said_ms < REDIS_SAY_MS) {
		more++;
		return;
	}
	log_warn("redis cache: a value of tool %s does not open: altered, not "
	    "ours, or sealed under another `redis key' (%llu more since the "
	    "last such line)", t->name, (unsigned long long)more);
	said_ms = now;
	more = 0;
}

/* ---- asking ------------------------------------------------------------ */

int
redis_cache_serves(const struct tool *t)
{
	return redis.cache.conn != NULL && t->cache_ms > 0 &&
	    redis_conn_up(redis.cache.conn);
}

static int
ask(struct call *c, const struct slice *words, size_t n, redis_done *done)
{
	c->redis = redis_ask(redis.cache.conn, words, n, done, c);
	if (c->redis == NULL)
		redis.cache.unanswered++;
	else
		redis.cache.asked++;
	return c->redis != NULL;
}

static int
ask_value(struct call *c)
{
	struct slice words[3];

	words[0] = slice_of("MGET");
	words[1] = generation_key(c->tool->name);
	words[2] = value_key(c->cache_key);
	return ask(c, words, 3, on_value);
}

int
redis_cache_ask(struct call *c, const uint8_t key[DIGEST_LEN],
    const struct generation *mine)
{
	struct slice words[2];

	memcpy(c->cache_key, key, DIGEST_LEN);
	memset(&c->generation, 0, sizeof(c->generation));
	if (mine == NULL || !mine->known)
		return ask_value(c);
	/* What is kept here need not come again. */
	c->generation = *mine;
	words[0] = slice_of("GET");
	words[1] = generation_key(c->tool->name);
	return ask(c, words, 2, on_check);
}

static int
word_ok(struct slice word)
{
	size_t i;

	for (i = 0; i < word.len; i++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		    "0123456789-_", word.ptr[i]) == NULL || word.ptr[i] == '\0')
			return 0;
	return word.len == WORD_LEN;
}

/* The word that stands for a generation now; -1: it is none of ours. */
static int
read_word(const struct reply *r, uint32_t n, struct generation *g)
{
	struct slice word = reply_text(r, n);

	memset(g, 0, sizeof(*g));
	if (r->item[n].type == REPLY_NIL)
		return 0;
	if (r->item[n].type != REPLY_TEXT || !word_ok(word))
		return -1;
	memcpy(g->word, word.ptr, WORD_LEN);
	g->known = 1;
	return 0;
}

static void
on_begun(const struct reply *r, void *arg)
{
	(void)arg;
	/* Nothing: another node was before us, and ours is no generation. */
	if (r != NULL && (reply_is(r, REPLY_STATUS) || reply_is(r, REPLY_NIL)))
		redis_well(&redis.cache);
	else
		redis_unwell(&redis.cache, r);
}

/* There is none: what is asked for from now on is of this one. */
static void
begin_generation(const struct tool *t, struct generation *g)
{
	struct slice words[6];
	uint8_t random[16];
	char ttl[16];

	random_bytes(random, sizeof(random));
	base64url_encode(g->word, random, sizeof(random));
	(void)snprintf(ttl, sizeof(ttl), "%d", GENERATION_MS);
	words[0] = slice_of("SET");
	words[1] = generation_key(t->name);
	words[2] = slice_of(g->word);
	words[3] = slice_of("NX");
	words[4] = slice_of("PX");
	words[5] = slice_of(ttl);
	g->known = redis_ask(redis.cache.conn, words, 6, on_begun, NULL) !=
	    NULL;
}

/* What an answer to MGET means; -1: it is none. */
static int
judge(struct call *c, const struct reply *r, struct generation *now,
    struct shared_value *v)
{
	struct generation of;

	if (!r->is_array || r->n != 2 || read_word(r, 0, now) == -1 ||
	    (r->item[1].type != REPLY_NIL && r->item[1].type != REPLY_TEXT))
		return -1;
	if (!now->known) {
		begin_generation(c->tool, now);
		return SHARED_NONE;
	}
	if (r->item[1].type == REPLY_NIL)
		return SHARED_NONE;
	if (shared_open(c, c->cache_key, reply_text(r, 1), wall_us() / 1000,
	    &of, v) == -1) {
		complain(c->tool);
		return SHARED_NONE;
	}
	return v->left_ms > 0 && strcmp(of.word, now->word) == 0 ?
	    SHARED_VALUE : SHARED_NONE;
}

static void
answered(struct call *c, enum shared_answer answer,
    const struct generation *now, const struct shared_value *v)
{
	redis.cache.unanswered += answer == SHARED_AWAY;
	hits += answer == SHARED_SAME || answer == SHARED_VALUE;
	misses += answer == SHARED_NONE;
	cache_answered(c, answer, now, v);
	buffer_clear(&opened);
}

static void
on_value(const struct reply *r, void *arg)
{
	struct call *c = arg;
	struct generation now;
	struct shared_value v;
	int answer = -1;

	c->redis = NULL;
	memset(&now, 0, sizeof(now));
	memset(&v, 0, sizeof(v));
	if (r == NULL || !r->is_array) {
		redis_unwell(&redis.cache, r);
	} else if ((answer = judge(c, r, &now, &v)) == -1) {
		redis_lies(&redis.cache, "its answer about a value cannot be");
		memset(&now, 0, sizeof(now));
	} else {
		redis_well(&redis.cache);
	}
	answered(c, answer == -1 ? SHARED_AWAY : (enum shared_answer)answer,
	    &now, &v);
}

static void
on_check(const struct reply *r, void *arg)
{
	static const struct shared_value none;
	struct call *c = arg;
	struct generation now;

	c->redis = NULL;
	memset(&now, 0, sizeof(now));
	if (r == NULL || reply_is(r, REPLY_ERROR)) {
		redis_unwell(&redis.cache, r);
	} else if (r->is_array || read_word(r, 0, &now) == -1) {
		redis_lies(&redis.cache, "its answer about a generation "
		    "cannot be");
	} else {
		redis_well(&redis.cache);
		if (now.known && strcmp(now.word, c->generation.word) == 0) {
			answered(c, SHARED_SAME, &now, &none);
			return;
		}
		/* Another one: perhaps somebody has asked since. */
		c->generation.known = 0;
		if (!ask_value(c))
			answered(c, SHARED_NONE, &now, &none);
		return;
	}
	memset(&now, 0, sizeof(now));
	answered(c, SHARED_AWAY, &now, &none);
}

/* ---- keeping ----------------------------------------------------------- */

static void
on_kept(const struct reply *r, void *arg)
{
	(void)arg;
	if (r == NULL || !reply_is(r, REPLY_STATUS)) {
		redis_unwell(&redis.cache, r);
		return;
	}
	kept++;
	redis_well(&redis.cache);
}

void
redis_cache_keep(const struct call *c, const uint8_t key[DIGEST_LEN],
    const struct generation *g, uint32_t ttl_ms)
{
	struct slice words[5];
	struct buffer sealed;
	char ttl[16];

	if (!redis_cache_serves(c->tool) || !g->known)
		return;
	buffer_init(&sealed, c->structured.len + DATA_OVERHEAD + SEAL_OVERHEAD);
	if (shared_seal(&sealed, c, key, g, wall_us() / 1000, ttl_ms) == 0) {
		(void)snprintf(ttl, sizeof(ttl), "%u", ttl_ms);
		words[0] = slice_of("SET");
		words[1] = value_key(key);
		words[2].ptr = (const char *)sealed.data;
		words[2].len = sealed.len;
		words[3] = slice_of("PX");
		words[4] = slice_of(ttl);
		/* Where there is too much under way it is kept here alone. */
		(void)redis_ask(redis.cache.conn, words, 5, on_kept, NULL);
	}
	buffer_free(&sealed);
}

/* ---- what a write makes stale ------------------------------------------ */

/*
 * DEL: a Redis that is full still takes it.  The names are kept in text, as
 * redis_key() keeps two.
 */
static struct redis_ask *
send_stale(char *const *tools, size_t n, redis_done *done, void *arg)
{
	static char text[TELL_MAX][NAME_LEN_MAX + SEAL_NAME_LEN + 32];
	struct slice words[TELL_MAX + 1], key;
	size_t i;

	words[0] = slice_of("DEL");
	for (i = 0; i < n; i++) {
		key = generation_key(tools[i]);
		memcpy(text[i], key.ptr, key.len);
		words[i + 1].ptr = text[i];
		words[i + 1].len = key.len;
	}
	return redis_ask(redis.cache.conn, words, n + 1, done, arg);
}

static void
owe(const struct tool *t)
{
	struct debt *d = &debts[t->index];

	cache_bar(t);
	d->name = t->name;
	d->owed++;
}

static void
owe_all(const struct tool *writer)
{
	uint32_t i;

	untold++;
	for (i = 0; i < writer->ninvalidates; i++)
		owe(tool_at(writer->invalidates[i]));
}

static void
on_told(const struct reply *r, void *arg)
{
	struct call *c = arg;

	c->redis = NULL;
	if (r == NULL || !reply_is(r, REPLY_INTEGER)) {
		redis_unwell(&redis.cache, r);
		owe_all(c->tool);
	}
	call_told(c);
}

int
redis_cache_tell(struct call *c)
{
	char *names[TELL_MAX];
	uint32_t i;

	if (redis.cache.conn == NULL || c->tool == NULL ||
	    c->tool->ninvalidates == 0 || c->tool->ninvalidates > TELL_MAX)
		return 0;
	for (i = 0; i < c->tool->ninvalidates; i++)
		names[i] = tool_at(c->tool->invalidates[i])->name;
	c->redis = send_stale(names, i, on_told, c);
	if (c->redis == NULL)
		owe_all(c->tool);
	return c->redis != NULL;
}

/* What became owed while it was told is told again. */
static void
on_paid(const struct reply *r, void *arg)
{
	uint32_t i;

	(void)arg;
	if (r == NULL || !reply_is(r, REPLY_INTEGER)) {
		redis_unwell(&redis.cache, r);
		return;
	}
	for (i = 0; i < TOOLS_MAX; i++) {
		debts[i].owed -= debts[i].paying;
		debts[i].paying = 0;
	}
	pay();
}

/* As much as one command takes; what failed before is in it again. */
static void
pay(void)
{
	char *names[TELL_MAX];
	uint32_t i, n = 0;

	for (i = 0; i < TOOLS_MAX; i++) {
		debts[i].paying = 0;
		if (debts[i].owed > 0 && n < TELL_MAX) {
			debts[i].paying = debts[i].owed;
			names[n++] = debts[i].name;
		}
	}
	if (n > 0)
		(void)send_stale(names, n, on_paid, NULL);
}

void
redis_cache_init(void)
{
	redis.cache.up = pay;
}

void
redis_cache_stats(struct buffer *b)
{
	put_stat(b, STAT_REDIS_CACHE_HITS, hits);
	put_stat(b, STAT_REDIS_CACHE_MISSES, misses);
	put_stat(b, STAT_REDIS_CACHE_UNSEALED, unsealed);
	put_stat(b, STAT_REDIS_CACHE_UNTOLD, untold);
}

void
redis_cache_status(struct buffer *b)
{
	(void)buffer_printf(b, ", hits %llu, misses %llu, kept %llu, did not "
	    "open %llu, not told of writes %llu", (unsigned long long)hits,
	    (unsigned long long)misses, (unsigned long long)kept,
	    (unsigned long long)unsealed, (unsigned long long)untold);
}
