/* SPDX-License-Identifier: ISC */
/* link: daemon/handler/cache.c daemon/handler/redis_cache.c daemon/handler/seal.c daemon/handler/params.c daemon/handler/render.c */

/*
 * daemon/handler/cache.c and redis_cache.c: for whom a result is, how long,
 * who waits for it; and what of Redis' is believed.  Redis itself is a table
 * here that answers when it is told to, so that each moment can be chosen.
 */

#include "handler_calls.h"

#include "../../common/crypt.h"
#include "../../daemon/handler/cache.h"
#include "../../daemon/handler/redis.h"
#include "../../daemon/handler/redis_cache.h"

#define TOOLS	3
#define PLACES	16
#define ASKED	16

static struct source src;
static struct tool *tools[TOOLS];	/* read, another, write */
static unsigned int asked_source;
static struct call *asker;		/* the last one */

/* ---- what the cache asks of others ------------------------------------- */

const struct tool *
tool_at(uint32_t i)
{
	return tools[i];
}

void
call_ask(struct call *c)
{
	assert_int_not_equal(c->state, CALL_FREE);
	asked_source++;
	asker = c;
}

static unsigned int told;

void
call_told(struct call *c)
{
	(void)c;
	told++;
}

/* ---- a Redis ------------------------------------------------------------ */

struct redis_house redis;

struct redis_ask {
	int		 used;
	char		*word[8];
	size_t		 len[8];
	size_t		 n;
	redis_done	*done;
	void		*arg;
};
static struct redis_ask queue[ASKED];
static struct {
	char	name[128];
	char	data[4096];
	size_t	len;		/* name "": free */
} stored[PLACES];
static int up;
static unsigned int lies, unwell;

int
redis_conn_up(const struct redis_conn *c)
{
	(void)c;
	return up;
}

void
redis_well(struct redis_side *s)
{
	(void)s;
}

void
redis_unwell(struct redis_side *s, const struct reply *r)
{
	(void)s;
	(void)r;
	unwell++;
}

void
redis_lies(struct redis_side *s, const char *what)
{
	(void)s;
	(void)what;
	lies++;
}

void
redis_disown(struct redis_ask *a)
{
	if (a != NULL)
		a->done = NULL;
}

struct slice
redis_key(char kind, const char name[SEAL_NAME_LEN + 1])
{
	static char text[2][128];
	static int turn;
	char *to = text[turn++ % 2];

	(void)snprintf(to, sizeof(text[0]), "%c:%s", kind, name);
	return slice_of(to);
}

struct redis_ask *
redis_ask(struct redis_conn *c, const struct slice *words, size_t n,
    redis_done *done, void *arg)
{
	struct redis_ask *a = queue;
	size_t i;

	(void)c;
	if (!up)
		return NULL;
	while (a->used)
		a++;
	assert_true(a < queue + ASKED && n <= 8);
	a->used = 1;
	a->n = n;
	a->done = done;
	a->arg = arg;
	for (i = 0; i < n; i++) {
		a->word[i] = slice_dup(words[i]);
		a->len[i] = words[i].len;
	}
	return a;
}

static size_t
place_of(const char *name, int make)
{
	size_t i;

	for (i = 0; i < PLACES; i++)
		if (strcmp(stored[i].name, name) == 0)
			return i;
	for (i = 0; make && i < PLACES; i++)
		if (stored[i].name[0] == '\0') {
			(void)strlcpy(stored[i].name, name,
			    sizeof(stored[i].name));
			return i;
		}
	return PLACES;
}

static void
add_value(struct reply *r, const char *name)
{
	size_t at = place_of(name, 0);
	struct reply_item *item = &r->item[r->n++];

	item->type = at == PLACES ? REPLY_NIL : REPLY_TEXT;
	if (at == PLACES)
		return;
	item->at = r->text.len;
	item->len = stored[at].len;
	assert_int_equal(buffer_add(&r->text, stored[at].data,
	    stored[at].len), 0);
}

static void
execute(const struct redis_ask *a, struct reply *r)
{
	size_t i, at;

	if (strcmp(a->word[0], "MGET") == 0 || strcmp(a->word[0], "GET") == 0) {
		r->is_array = a->word[0][0] == 'M';
		for (i = 1; i < a->n; i++)
			add_value(r, a->word[i]);
	} else if (strcmp(a->word[0], "DEL") == 0) {
		for (i = 1; i < a->n; i++)
			if ((at = place_of(a->word[i], 0)) < PLACES)
				stored[at].name[0] = '\0';
		r->item[r->n++].type = REPLY_INTEGER;
	} else {
		assert_string_equal(a->word[0], "SET");
		r->item[r->n].type = REPLY_STATUS;
		if (strcmp(a->word[3], "NX") == 0 &&
		    place_of(a->word[1], 0) < PLACES) {
			r->item[r->n++].type = REPLY_NIL;
			return;
		}
		r->n++;
		at = place_of(a->word[1], 1);
		assert_true(at < PLACES && a->len[2] <= sizeof(stored[0].data));
		memcpy(stored[at].data, a->word[2], a->len[2]);
		stored[at].len = a->len[2];
	}
}

enum how { ANSWER, LOSE, REFUSE };

/* The oldest question: 1, or 0: there is none. */
static int
redis_step(enum how how)
{
	struct redis_ask a = queue[0];
	struct reply r;
	size_t i;

	if (!a.used)
		return 0;
	memset(&r, 0, sizeof(r));
	buffer_init(&r.text, 16384);
	if (how == ANSWER) {
		execute(&a, &r);
	} else if (how == REFUSE) {
		r.n = 1;
		r.item[0].type = REPLY_ERROR;
	}
	/* As the connection does it: the call may ask again at once. */
	memmove(queue, queue + 1, sizeof(queue) - sizeof(queue[0]));
	queue[ASKED - 1].used = 0;
	if (a.done != NULL)
		a.done(how == LOSE ? NULL : &r, a.arg);
	for (i = 0; i < a.n; i++)
		free(a.word[i]);
	buffer_free(&r.text);
	return 1;
}

static void
redis_all(enum how how)
{
	while (redis_step(how))
		;
}

static size_t
values_stored(void)
{
	size_t i, n = 0;

	for (i = 0; i < PLACES; i++)
		n += stored[i].name[0] == 'c';
	return n;
}

/* ---- calls -------------------------------------------------------------- */

static void
prepare_tool(uint32_t i, const char *name)
{
	tools[i] = tool_make(&src, name, "");
	tools[i]->index = tools[i]->generation = i;
	memset(tools[i]->digest, (int)i + 1, sizeof(tools[i]->digest));
	(void)tool_param_of(tools[i], "n", PARAM_INTEGER);
	(void)tool_param_of(tools[i], "s", PARAM_STRING);
	(void)tool_param_of(tools[i], "x", PARAM_NUMBER);
}

static int
setup_all(void **state)
{
	static const uint8_t master[KEY_LEN] = { 7 };
	static uint32_t stale[1] = { 0 };

	(void)state;
	assert_int_equal(cache_generations(shared_memory(GENERATIONS_BYTES)),
	    0);
	src.name = own("pg");
	src.timeout_ms = 5000;
	prepare_tool(0, "read");
	prepare_tool(1, "other");
	prepare_tool(2, "write");
	tools[2]->writes = 1;
	tools[2]->ninvalidates = 1;
	tools[2]->invalidates = stale;
	seal_derive(&redis.keys, master);
	redis.namespace = own("shop");
	redis.keyed = 1;
	return 0;
}

/* Other digests: what the test before has kept is of other tools. */
static int
setup(void **state)
{
	static uint8_t round;

	(void)state;
	round++;
	tools[0]->digest[1] = tools[1]->digest[1] = round;
	tools[0]->cache_ms = tools[1]->cache_ms = 60000;
	tools[0]->cache_shared = tools[1]->cache_shared = 0;
	tools[0]->invalidated = 1;
	redis.cache.conn = NULL;
	up = 0;
	asked_source = told = lies = unwell = 0;
	memset(stored, 0, sizeof(stored));
	memset(queue, 0, sizeof(queue));
	return 0;
}

static void
with_redis(void)
{
	redis.cache.conn = (void *)&up;
	up = 1;
}

/* A call of a tool; what cache_begin() says. */
static enum cache_answer
begin(struct call *c, uint32_t tool, const char *arguments)
{
	if (call_make(c, tools[tool], arguments) == -1)
		fail_msg("%s: %s", arguments, c->message);
	return cache_begin(c);
}

static void
settle(struct call *c, enum outcome outcome, const char *text)
{
	c->outcome = outcome;
	c->source = &src;
	buffer_clear(&c->structured);
	if (text != NULL)
		assert_int_equal(buffer_add(&c->structured, text,
		    strlen(text)), 0);
	cache_settle(c);
}

/* It asks, and its source answers so. */
static void
asks(uint32_t tool, const char *arguments, const char *text)
{
	struct call c;

	assert_int_equal(begin(&c, tool, arguments), CACHE_MISS);
	settle(&c, OUTCOME_OK, text);
	call_drop(&c);
}

static void
hits(uint32_t tool, const char *arguments, const char *text)
{
	struct call c;

	assert_int_equal(begin(&c, tool, arguments), CACHE_HIT);
	assert_true(c.cache_hit);
	assert_ptr_equal(c.kept_from, &src);
	assert_string_equal(call_json(&c), text);
	call_drop(&c);
}

/* ---- for whom ----------------------------------------------------------- */

static void
every_part_of_the_question_makes_another(void **state)
{
	static const char *const arguments[] = {
		"{}", "{\"n\":1}", "{\"n\":2}", "{\"s\":\"\"}", "{\"s\":\"1\"}",
		"{\"x\":1}", "{\"n\":1,\"x\":1}", "{\"n\":1,\"s\":\"\"}",
		"{\"n\":1,\"s\":\"a\"}", "{\"n\":1,\"s\":\"ab\"}", "{\"x\":1.5}",
	};
	char text[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
		(void)snprintf(text, sizeof(text), "%zu", i);
		asks(0, arguments[i], text);
		asks(1, arguments[i], "other");
	}
	for (i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
		(void)snprintf(text, sizeof(text), "%zu", i);
		hits(0, arguments[i], text);
		hits(1, arguments[i], "other");
	}
	/* What is bound counts, not how it was written. */
	hits(0, "{ \"x\" : 1.0, \"n\" : 1 }", "6");
	hits(0, "{\"s\":\"\\u0061\",\"n\":1}", "8");
	tools[0]->digest[5] ^= 1;
	asks(0, "{}", "another definition");
	tools[0]->digest[5] ^= 1;
}

static void
every_part_of_the_caller_makes_another(void **state)
{
	struct call c;
	int part;

	(void)state;
	asks(0, "{}", "alice's");
	for (part = 0; part < 7; part++) {
		assert_int_equal(call_make(&c, tools[0], "{}"), 0);
		switch (part) {
		case 0: c.identity.kind = CREDENTIAL_TOKEN; break;
		case 1: c.identity.owner = slice_of("alic"); break;
		case 2: c.identity.key_id = slice_of("key2"); break;
		case 3: c.identity.attribute[0].value = slice_of("acm"); break;
		case 4: c.identity.attribute[0].name = slice_of("tenan"); break;
		case 5: c.identity.attributes = 0; break;
		default: c.identity.owner = slice_of("https://i/#alice");
		}
		assert_int_equal(cache_begin(&c), CACHE_MISS);
		settle(&c, OUTCOME_OK, "another's");
		call_drop(&c);
	}
	hits(0, "{}", "alice's");
	/* Unless the tool says that it is everybody's. */
	tools[1]->cache_shared = 1;
	asks(1, "{}", "everybody's");
	assert_int_equal(call_make(&c, tools[1], "{}"), 0);
	c.identity.owner = slice_of("bob");
	assert_int_equal(cache_begin(&c), CACHE_HIT);
	call_drop(&c);
}

/* ---- how long ----------------------------------------------------------- */

static void
a_result_ends_with_its_time(void **state)
{
	uint64_t until;

	(void)state;
	tools[0]->cache_ms = 40;
	asks(0, "{}", "old");
	hits(0, "{}", "old");
	until = now_ms() + 40;
	while (now_ms() <= until)
		;
	asks(0, "{}", "new");
}

static void
memory_is_bounded_and_the_oldest_goes_first(void **state)
{
	static char large[CACHE_ENTRY_MAX + 2];
	char arguments[32];
	struct buffer b;
	struct call c;
	size_t used;
	int i;

	(void)state;
	memset(large, 'x', CACHE_ENTRY_MAX - 1);
	for (i = 0; i < 100; i++) {
		(void)snprintf(arguments, sizeof(arguments), "{\"n\":%d}", i);
		asks(0, arguments, large);
		if (i >= 10)
			hits(0, "{\"n\":5}", large);
	}
	buffer_init(&b, 4096);
	cache_status(&b);
	assert_int_equal(buffer_add_char(&b, '\0'), 0);
	assert_int_equal(sscanf((char *)b.data, "cache %zu bytes", &used), 1);
	assert_true(used <= CACHE_BYTES_MAX && used > CACHE_BYTES_MAX / 2);
	buffer_free(&b);
	hits(0, "{\"n\":99}", large);
	hits(0, "{\"n\":5}", large);
	assert_int_equal(begin(&c, 0, "{\"n\":6}"), CACHE_MISS);
	settle(&c, OUTCOME_INTERNAL_ERROR, NULL);
	call_drop(&c);
	/* One that is larger than what one may be is not kept. */
	memset(large, 'x', CACHE_ENTRY_MAX + 1);
	asks(0, "{\"n\":1000}", large);
	asks(0, "{\"n\":1000}", large);
}

static void
an_error_is_not_kept(void **state)
{
	struct call c;

	(void)state;
	assert_int_equal(begin(&c, 0, "{}"), CACHE_MISS);
	settle(&c, OUTCOME_SOURCE_UNAVAILABLE, "half");
	call_drop(&c);
	asks(0, "{}", "good");
	hits(0, "{}", "good");
}

/* ---- who waits ---------------------------------------------------------- */

static void
who_asks_the_same_waits_and_gets_the_same(void **state)
{
	struct call first, second, third;

	(void)state;
	assert_int_equal(begin(&first, 0, "{}"), CACHE_MISS);
	assert_int_equal(begin(&second, 0, "{}"), CACHE_WAIT);
	assert_int_equal(begin(&third, 0, "{}"), CACHE_WAIT);
	(void)cache_leave(&third);
	assert_true(cache_awaited(&first));
	settle(&first, OUTCOME_OK, "one");
	assert_false(first.cache_hit);
	assert_int_equal(second.state, CALL_FREE);
	assert_true(second.cache_hit);
	assert_string_equal(call_json(&second), "one");
	assert_int_equal(third.state, CALL_RUNNING);
	assert_int_equal(asked_source, 0);
	call_drop(&first);
	call_drop(&second);
	call_drop(&third);
}

static void
waiters_are_bounded(void **state)
{
	static struct call c[CACHE_WAITERS_MAX + 2];
	size_t i;

	(void)state;
	assert_int_equal(begin(&c[0], 0, "{}"), CACHE_MISS);
	for (i = 1; i <= CACHE_WAITERS_MAX; i++)
		assert_int_equal(begin(&c[i], 0, "{}"), CACHE_WAIT);
	assert_int_equal(begin(&c[i], 0, "{}"), CACHE_MISS);
	assert_null(c[i].fills);
	settle(&c[0], OUTCOME_OK, "one");
	for (i = 0; i < CACHE_WAITERS_MAX + 2; i++)
		call_drop(&c[i]);
}

static void
one_that_ran_out_of_time_or_was_left_hands_on(void **state)
{
	static const enum outcome outcomes[] = { OUTCOME_TIMEOUT,
	    OUTCOME_CANCELLED };
	struct call first, second, third;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		asked_source = 0;
		tools[0]->digest[2]++;
		assert_int_equal(begin(&first, 0, "{}"), CACHE_MISS);
		assert_int_equal(begin(&second, 0, "{}"), CACHE_WAIT);
		assert_int_equal(begin(&third, 0, "{}"), CACHE_WAIT);
		settle(&first, outcomes[i], NULL);
		assert_int_equal(asked_source, 1);
		assert_ptr_equal(asker, &second);
		settle(&second, OUTCOME_OK, "two");
		assert_false(second.cache_hit);
		assert_int_equal(third.state, CALL_FREE);
		assert_string_equal(call_json(&third), "two");
		call_drop(&first);
		call_drop(&second);
		call_drop(&third);
	}
}

static void
where_the_source_fails_all_fail(void **state)
{
	struct call first, second;

	(void)state;
	assert_int_equal(begin(&first, 0, "{}"), CACHE_MISS);
	assert_int_equal(begin(&second, 0, "{}"), CACHE_WAIT);
	first.reason = REASON_SOURCE_LOST;
	first.retry_after = 3;
	settle(&first, OUTCOME_SOURCE_UNAVAILABLE, NULL);
	assert_int_equal(second.state, CALL_FREE);
	assert_int_equal(second.outcome, OUTCOME_SOURCE_UNAVAILABLE);
	assert_int_equal(second.reason, REASON_SOURCE_LOST);
	assert_int_equal(second.retry_after, 3);
	assert_false(second.cache_hit);
	call_drop(&first);
	call_drop(&second);
}

/* ---- what a write makes stale ------------------------------------------- */

static void
writes(void)
{
	struct call c;

	assert_int_equal(begin(&c, 2, "{}"), CACHE_MISS);
	c.may_have_run = 1;
	settle(&c, OUTCOME_OK, "written");
	(void)redis_cache_tell(&c);
	redis_all(ANSWER);
	call_drop(&c);
}

static void
what_was_kept_or_asked_before_a_write_is_for_nobody_after_it(void **state)
{
	struct call first, second, third;

	(void)state;
	asks(0, "{}", "before");
	asks(1, "{}", "of another tool");
	writes();
	hits(1, "{}", "of another tool");
	assert_int_equal(begin(&first, 0, "{}"), CACHE_MISS);
	assert_int_equal(begin(&second, 0, "{}"), CACHE_WAIT);
	writes();
	assert_int_equal(begin(&third, 0, "{}"), CACHE_MISS);
	assert_null(third.fills);
	settle(&first, OUTCOME_OK, "between");
	settle(&third, OUTCOME_OK, "after");
	call_drop(&first);
	call_drop(&second);
	call_drop(&third);
	asks(0, "{}", "after");
	hits(0, "{}", "after");
}

/* ---- sealed values ------------------------------------------------------ */

static void
seal_one(struct call *c, uint32_t tool, struct buffer *out,
    const struct generation *g, uint64_t made, uint32_t ttl)
{
	assert_int_equal(call_make(c, tools[tool], "{\"n\":1}"), 0);
	memset(c->cache_key, 9, sizeof(c->cache_key));
	c->source = &src;
	c->rows = 3;
	c->bytes = 12;
	c->truncated = 1;
	assert_int_equal(buffer_add(&c->structured, "S3NTINEL", 8), 0);
	buffer_init(out, 4096);
	assert_int_equal(shared_seal(out, c, c->cache_key, g, made, ttl), 0);
}

static const struct generation a_word = { 1, "ABCDEFGHIJKLMNOPQRSTUV" };

static void
a_sealed_value_opens_as_what_it_was(void **state)
{
	struct generation g;
	struct shared_value v;
	struct buffer sealed;
	struct slice sl;
	struct call c;

	(void)state;
	seal_one(&c, 0, &sealed, &a_word, 1000000, 60000);
	assert_null(memmem(sealed.data, sealed.len, "S3NTINEL", 8));
	assert_null(memmem(sealed.data, sealed.len, a_word.word, WORD_LEN));
	sl.ptr = (const char *)sealed.data;
	sl.len = sealed.len;
	assert_int_equal(shared_open(&c, c.cache_key, sl, 1000000 + 20000, &g,
	    &v), 0);
	assert_string_equal(g.word, a_word.word);
	assert_ptr_equal(v.source, &src);
	assert_int_equal(v.rows, 3);
	assert_int_equal(v.bytes, 12);
	assert_int_equal(v.truncated, 1);
	assert_int_equal(v.left_ms, 40000);
	assert_int_equal(v.data.len, 8);
	assert_memory_equal(v.data.ptr, "S3NTINEL", 8);
	buffer_free(&sealed);
	call_drop(&c);
}

static void
no_bit_of_it_can_be_changed_and_nothing_cut_or_added(void **state)
{
	struct generation g;
	struct shared_value v;
	struct buffer sealed;
	struct slice sl;
	struct call c;
	size_t bit;

	(void)state;
	seal_one(&c, 0, &sealed, &a_word, 1000000, 60000);
	sl.ptr = (const char *)sealed.data;
	sl.len = sealed.len;
	for (bit = 0; bit < 8 * sealed.len; bit++) {
		sealed.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_int_equal(shared_open(&c, c.cache_key, sl, 1000000, &g,
		    &v), -1);
		assert_int_equal(v.data.len, 0);
		sealed.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	for (sl.len = 0; sl.len < sealed.len; sl.len++)
		assert_int_equal(shared_open(&c, c.cache_key, sl, 1000000, &g,
		    &v), -1);
	assert_int_equal(shared_open(&c, c.cache_key, sl, 1000000, &g, &v), 0);
	assert_int_equal(buffer_add_char(&sealed, 'x'), 0);
	sl.ptr = (const char *)sealed.data;
	sl.len++;
	assert_int_equal(shared_open(&c, c.cache_key, sl, 1000000, &g, &v),
	    -1);
	buffer_free(&sealed);
	call_drop(&c);
}

static void
it_opens_for_nothing_else(void **state)
{
	struct seal_keys keys = redis.keys;
	struct generation g;
	struct shared_value v;
	struct buffer sealed;
	struct slice sl;
	struct call c;
	char *namespace = redis.namespace, other[] = "shoq";
	int what;

	(void)state;
	seal_one(&c, 0, &sealed, &a_word, 1000000, 60000);
	sl.ptr = (const char *)sealed.data;
	sl.len = sealed.len;
	for (what = 0; what < 5; what++) {
		switch (what) {
		case 0: c.cache_key[31] ^= 1; break;	/* question */
		case 1: c.tool = tools[1]; break;
		case 2: redis.namespace = other; break;
		case 3: redis.keys.values[0] ^= 1; break;
		default: tools[0]->digest[31] ^= 1;	/* definition */
		}
		assert_int_equal(shared_open(&c, c.cache_key, sl, 1000000, &g,
		    &v), -1);
		if (what == 0)
			c.cache_key[31] ^= 1;
		if (what == 4)
			tools[0]->digest[31] ^= 1;
		c.tool = tools[0];
		redis.namespace = namespace;
		redis.keys = keys;
	}
	assert_int_equal(shared_open(&c, c.cache_key, sl, 1000000, &g, &v), 0);
	buffer_free(&sealed);
	call_drop(&c);
}

static void
its_time_is_the_shorter_and_no_clock_makes_it_longer(void **state)
{
	static const struct {
		uint64_t	now;
		uint32_t	ttl;
		uint32_t	left;
	} rows[] = {
		{ 1000000, 1000, 1000 }, { 1000999, 1000, 1 },
		{ 1001000, 1000, 0 }, { 2000000, 1000, 0 },
		{ 999000, 1000, 1000 }, { 0, 1000, 1000 },
		{ 1000000, 600000, 60000 }, { 1060000, 600000, 0 },
	};
	struct generation g;
	struct shared_value v;
	struct buffer sealed;
	struct slice sl;
	struct call c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		seal_one(&c, 0, &sealed, &a_word, 1000000, rows[i].ttl);
		sl.ptr = (const char *)sealed.data;
		sl.len = sealed.len;
		assert_int_equal(shared_open(&c, c.cache_key, sl, rows[i].now,
		    &g, &v), 0);
		assert_int_equal(v.left_ms, rows[i].left);
		buffer_free(&sealed);
		call_drop(&c);
	}
}

/* ---- with Redis --------------------------------------------------------- */

/* Another node: nothing is kept here. */
static void
forget(void)
{
	int i;

	for (i = 0; i < 2; i++)
		tools[i]->cache_ms = 60000;
	writes();
}

/* Begins, Redis answers; the state of the call tells the rest. */
static void
begin_with(struct call *c, uint32_t tool, const char *arguments, enum how how)
{
	assert_int_equal(begin(c, tool, arguments), CACHE_WAIT);
	redis_all(how);
}

static void
asks_with(uint32_t tool, const char *arguments, const char *text)
{
	struct call c;
	unsigned int before = asked_source;

	begin_with(&c, tool, arguments, ANSWER);
	assert_int_equal(c.state, CALL_RUNNING);
	assert_int_equal(asked_source, before + 1);
	settle(&c, OUTCOME_OK, text);
	redis_all(ANSWER);
	call_drop(&c);
}

static void
hits_with(uint32_t tool, const char *arguments, const char *text)
{
	struct call c;

	begin_with(&c, tool, arguments, ANSWER);
	assert_int_equal(c.state, CALL_FREE);
	assert_true(c.cache_hit);
	assert_ptr_equal(c.kept_from, &src);
	assert_string_equal(call_json(&c), text);
	call_drop(&c);
}

/* Makes this handler forget, not Redis: its own counters alone go up. */
static void
forget_here(void)
{
	redis.cache.conn = NULL;
	forget();
	redis.cache.conn = (void *)&up;
}

static void
a_result_in_redis_is_found_and_kept_here(void **state)
{
	(void)state;
	with_redis();
	asks_with(0, "{}", "one");
	assert_int_equal(values_stored(), 1);
	forget_here();
	hits_with(0, "{}", "one");
	/* It is kept here now: asked for is its generation alone. */
	hits_with(0, "{}", "one");
	/* One that nobody invalidates is not asked for at all. */
	tools[1]->invalidated = 0;
	asks_with(1, "{}", "two");
	hits(1, "{}", "two");
	assert_int_equal(lies + unwell, 0);
}

/* Another node writes; and, or not, somebody asks before we do. */
static void
another_writes(int asked_since)
{
	size_t i;

	for (i = 0; i < PLACES; i++) {
		if (stored[i].name[0] != 'g')
			continue;
		if (asked_since)
			stored[i].data[3] = stored[i].data[3] == 'A' ? 'B' :
			    'A';
		else
			stored[i].name[0] = '\0';
	}
}

static void
a_write_on_another_node_is_heard_of(void **state)
{
	struct call c;
	int since;

	(void)state;
	with_redis();
	for (since = 0; since < 2; since++) {
		tools[0]->digest[4]++;
		asks_with(0, "{}", "one");
		another_writes(since);
		begin_with(&c, 0, "{}", ANSWER);
		assert_int_equal(c.state, CALL_RUNNING);
		assert_false(c.cache_hit);
		settle(&c, OUTCOME_OK, "two");
		redis_all(ANSWER);
		call_drop(&c);
		forget_here();
		hits_with(0, "{}", "two");
	}
}

static void
what_was_asked_before_a_write_is_not_found_after_it(void **state)
{
	struct call c;
	int since;

	(void)state;
	with_redis();
	for (since = 0; since < 2; since++) {
		tools[0]->digest[4]++;
		begin_with(&c, 0, "{}", ANSWER);
		another_writes(since);
		settle(&c, OUTCOME_OK, "before");
		redis_all(ANSWER);
		call_drop(&c);
		forget_here();
		asks_with(0, "{}", "after");
	}
}

static void
a_write_is_told_before_it_is_answered(void **state)
{
	struct call c;

	(void)state;
	with_redis();
	asks_with(0, "{}", "one");
	assert_int_equal(begin(&c, 2, "{}"), CACHE_MISS);
	c.may_have_run = 1;
	settle(&c, OUTCOME_OK, "written");
	assert_int_equal(redis_cache_tell(&c), 1);
	assert_int_equal(told, 0);
	redis_all(ANSWER);
	assert_int_equal(told, 1);
	call_drop(&c);
	asks_with(0, "{}", "two");
}

static void
what_could_not_be_told_is_not_believed_here(void **state)
{
	static const enum how ways[] = { LOSE, REFUSE };
	struct call c;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		memset(stored, 0, sizeof(stored));
		with_redis();
		tools[0]->digest[3]++;
		tools[0]->cache_ms = 50;
		asks_with(0, "{}", "before");
		assert_int_equal(begin(&c, 2, "{}"), CACHE_MISS);
		c.may_have_run = 1;
		settle(&c, OUTCOME_OK, "written");
		assert_int_equal(redis_cache_tell(&c), 1);
		redis_all(ways[i]);
		call_drop(&c);
		/* The value is there, under a generation that still stands. */
		assert_int_equal(values_stored(), 1);
		assert_int_equal(begin(&c, 0, "{}"), CACHE_MISS);
		settle(&c, OUTCOME_OK, "after");
		call_drop(&c);
		redis_all(ANSWER);
		while (begin(&c, 0, "{}") != CACHE_WAIT) {
			settle(&c, OUTCOME_OK, "after");
			call_drop(&c);
		}
		redis_all(ANSWER);
		assert_false(c.cache_hit && strcmp(call_json(&c),
		    "before") == 0);
		settle(&c, OUTCOME_OK, "after");
		call_drop(&c);
		redis_all(ANSWER);
	}
}

static void
what_was_owed_is_told_when_it_is_back(void **state)
{
	struct call c;

	(void)state;
	redis_cache_init();
	with_redis();
	asks_with(0, "{}", "before");
	up = 0;
	assert_int_equal(begin(&c, 2, "{}"), CACHE_MISS);
	c.may_have_run = 1;
	settle(&c, OUTCOME_OK, "written");
	assert_int_equal(redis_cache_tell(&c), 0);
	call_drop(&c);
	up = 1;
	redis.cache.up();
	assert_true(queue[0].used);
	assert_string_equal(queue[0].word[0], "DEL");
	redis_all(ANSWER);
	/* Once is enough. */
	redis.cache.up();
	assert_false(queue[0].used);
}

static void
who_waits_for_redis_has_others_waiting(void **state)
{
	static const enum how ways[] = { ANSWER, LOSE, REFUSE };
	struct call first, second;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		with_redis();
		tools[0]->digest[3]++;
		asked_source = 0;
		assert_int_equal(begin(&first, 0, "{}"), CACHE_WAIT);
		assert_int_equal(begin(&second, 0, "{}"), CACHE_WAIT);
		assert_ptr_equal(second.waits_for, first.fills);
		redis_all(ways[i]);
		assert_int_equal(asked_source, 1);
		assert_ptr_equal(asker, &first);
		settle(&first, OUTCOME_OK, "one");
		assert_string_equal(call_json(&second), "one");
		redis_all(ANSWER);
		call_drop(&first);
		call_drop(&second);
	}
	/* And all are served by what it has. */
	forget_here();
	assert_int_equal(begin(&first, 0, "{}"), CACHE_WAIT);
	assert_int_equal(begin(&second, 0, "{}"), CACHE_WAIT);
	redis_all(ANSWER);
	assert_string_equal(call_json(&first), call_json(&second));
	call_drop(&first);
	call_drop(&second);
}

static void
a_call_that_left_is_not_asked_for(void **state)
{
	struct call first, second;

	(void)state;
	with_redis();
	assert_int_equal(begin(&first, 0, "{}"), CACHE_WAIT);
	first.cancelled = 1;
	redis_all(ANSWER);
	assert_int_equal(asked_source, 0);
	assert_int_equal(first.outcome, OUTCOME_CANCELLED);
	cache_settle(&first);
	call_drop(&first);
	/* Unless others wait for it. */
	assert_int_equal(begin(&first, 0, "{}"), CACHE_WAIT);
	assert_int_equal(begin(&second, 0, "{}"), CACHE_WAIT);
	first.cancelled = 1;
	redis_all(ANSWER);
	assert_int_equal(asked_source, 1);
	settle(&first, OUTCOME_OK, "one");
	assert_int_equal(second.state, CALL_FREE);
	redis_all(ANSWER);
	call_drop(&first);
	call_drop(&second);
}

static void
what_is_planted_is_a_miss(void **state)
{
	struct call c;
	size_t i;
	int how;

	(void)state;
	with_redis();
	asks_with(0, "{\"n\":1}", "one");
	asks_with(0, "{\"n\":2}", "two");
	for (how = 0; how < 4; how++) {
		forget_here();
		for (i = 0; i < PLACES; i++) {
			if (stored[i].name[0] != 'c')
				continue;
			if (how == 0)
				stored[i].data[stored[i].len / 2] ^= 1;
			else if (how == 1)
				stored[i].len = 5;
			else if (how == 2)
				stored[i].len = 0;
			else
				memset(stored[i].data, 'A', stored[i].len);
		}
		begin_with(&c, 0, "{\"n\":1}", ANSWER);
		assert_false(c.cache_hit);
		assert_int_equal(c.state, CALL_RUNNING);
		settle(&c, OUTCOME_OK, "one");
		redis_all(ANSWER);
		call_drop(&c);
	}
	/* One under the other's name. */
	forget_here();
	asks_with(0, "{\"n\":2}", "two");
	forget_here();
	{
		size_t a = PLACES, b = PLACES;
		char name[sizeof(stored[0].name)];

		for (i = 0; i < PLACES; i++)
			if (stored[i].name[0] == 'c')
				*(a == PLACES ? &a : &b) = i;
		(void)strlcpy(name, stored[a].name, sizeof(name));
		(void)strlcpy(stored[a].name, stored[b].name, sizeof(name));
		(void)strlcpy(stored[b].name, name, sizeof(name));
	}
	asks_with(0, "{\"n\":1}", "one");
	asks_with(0, "{\"n\":2}", "two");
}

int
main(void)
{
#define T(name)	cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		T(every_part_of_the_question_makes_another),
		T(every_part_of_the_caller_makes_another),
		T(a_result_ends_with_its_time),
		T(memory_is_bounded_and_the_oldest_goes_first),
		T(an_error_is_not_kept),
		T(who_asks_the_same_waits_and_gets_the_same),
		T(waiters_are_bounded),
		T(one_that_ran_out_of_time_or_was_left_hands_on),
		T(where_the_source_fails_all_fail),
		T(what_was_kept_or_asked_before_a_write_is_for_nobody_after_it),
		T(a_sealed_value_opens_as_what_it_was),
		T(no_bit_of_it_can_be_changed_and_nothing_cut_or_added),
		T(it_opens_for_nothing_else),
		T(its_time_is_the_shorter_and_no_clock_makes_it_longer),
		T(a_result_in_redis_is_found_and_kept_here),
		T(a_write_on_another_node_is_heard_of),
		T(what_was_asked_before_a_write_is_not_found_after_it),
		T(a_write_is_told_before_it_is_answered),
		T(who_waits_for_redis_has_others_waiting),
		T(a_call_that_left_is_not_asked_for),
		T(what_is_planted_is_a_miss),
		T(what_could_not_be_told_is_not_believed_here),
		T(what_was_owed_is_told_when_it_is_back),
	};

	json_init(&arguments_json);
	return cmocka_run_group_tests(tests, setup_all, NULL);
}
