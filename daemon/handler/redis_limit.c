/* SPDX-License-Identifier: ISC */

/*
 * Rates across nodes: the generic cell rate algorithm (ITU-T I.371 A) in one
 * script.  Redis keeps for each caller, and for each caller and tool, the time
 * at which he will have used all that he may; its own clock counts, so that
 * the nodes' do not matter.  Where one of the two refuses, neither is charged.
 * What Redis says is held to what it can be; authd has taken the call from
 * this node's own limit before.
 */

#include <stdio.h>

#include "../../common/log.h"
#include "redis.h"

#define FULL_MAX_US	(1ULL << 51)	/* 71 years: exact in a Lua number */
#define NUMBER_TEXT	24

static struct redis_script script = { .text =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000000 + t[2]\n"
    "local at, which, wait = {}, 0, 0\n"
    "for i = 1, #KEYS do\n"
    "  local each, full = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])\n"
    "  local v = tonumber(redis.call('GET', KEYS[i]) or now) or now\n"
    /* Not a number, or a clock that went back. */
    "  if not (v >= now) then v = now end\n"
    "  if v > now + full then v = now + full end\n"
    "  at[i] = v + each\n"
    "  local over = at[i] - now - full\n"
    "  if over > wait then which, wait = i, over end\n"
    "end\n"
    "if which > 0 then return {which, wait} end\n"
    "for i = 1, #KEYS do\n"
    "  redis.call('SET', KEYS[i], string.format('%.0f', at[i]), 'PX',\n"
    "    string.format('%.0f', math.ceil((at[i] - now) / 1000)))\n"
    "end\n"
    "return {0, 0}\n"
};

static uint64_t limited;

static void	on_answer(const struct reply *, void *);

/* Microseconds that one call costs; rounded up: never more than the rate. */
static uint64_t
cost_us(const struct rate *rate)
{
	return ((uint64_t)rate->period_ms * 1000 + rate->count - 1) /
	    rate->count;
}

static uint64_t
full_us(const struct rate *rate)
{
	uint64_t each = cost_us(rate);

	return each > FULL_MAX_US / rate->burst ? FULL_MAX_US :
	    each * rate->burst;
}

/*
 * Another rate is another counter: two keys of one owner, or two nodes in the
 * middle of a change, do not judge each other's calls by their own.
 */
static struct slice
counter_key(const struct call *c, const struct rate *rate, int of_tool)
{
	static struct buffer b;
	char name[SEAL_NAME_LEN + 1];

	if (b.max == 0)
		buffer_init(&b, TICKET_MAX);
	buffer_clear(&b);
	put_string(&b, of_tool ? "caller and tool" : "caller");
	put_string(&b, redis.namespace);
	/* As authd keeps them apart: a key's owner is not a token's. */
	put_u8(&b, (uint8_t)c->identity.kind);
	put_slice(&b, c->identity.owner);
	put_string(&b, of_tool ? c->tool->name : "");
	put_rate(&b, rate);
	seal_name(name, redis.keyed ? redis.keys.limits : NULL, &b);
	return redis_key('l', name);
}

static int
send_limit(struct call *c, int eval)
{
	static const char *const counts[] = { "0", "1", "2" };
	const struct rate *rates[2] = { &c->rate, &c->tool->rate };
	char text[4][NUMBER_TEXT];
	struct slice words[9], numbers[4];
	size_t i, n = 3, keys = 0;

	for (i = 0; i < 2; i++) {
		if (rates[i]->count == 0)
			continue;
		words[n++] = counter_key(c, rates[i], i == 1);
		(void)snprintf(text[2 * keys], NUMBER_TEXT, "%llu",
		    (unsigned long long)cost_us(rates[i]));
		(void)snprintf(text[2 * keys + 1], NUMBER_TEXT, "%llu",
		    (unsigned long long)full_us(rates[i]));
		numbers[2 * keys] = slice_of(text[2 * keys]);
		numbers[2 * keys + 1] = slice_of(text[2 * keys + 1]);
		keys++;
	}
	words[2] = slice_of(counts[keys]);
	for (i = 0; i < 2 * keys; i++)
		words[n++] = numbers[i];
	if (keys == 0)
		return 0;
	c->redis = redis_script(&redis.limits, &script, eval, words, n,
	    on_answer, c);
	return c->redis != NULL;
}

/* The nth of those that were asked; NULL: there is none. */
static const struct rate *
nth_rate(const struct call *c, int64_t n, uint8_t *what)
{
	if (c->rate.count > 0 && n-- == 1) {
		*what = LIMIT_CALLER;
		return &c->rate;
	}
	if (c->tool->rate.count > 0 && n == 1) {
		*what = LIMIT_TOOL;
		return &c->tool->rate;
	}
	return NULL;
}

/* 0, or -1: it is none that the script gives. */
static int
read_answer(const struct call *c, const struct reply *r, struct limit_hit *hit)
{
	const struct rate *rate;
	int64_t which, wait;

	if (!r->is_array || r->n != 2 || r->item[0].type != REPLY_INTEGER ||
	    r->item[1].type != REPLY_INTEGER)
		return -1;
	which = r->item[0].integer;
	wait = r->item[1].integer;
	if (which == 0)
		return wait == 0 ? 0 : -1;
	rate = nth_rate(c, which, &hit->what);
	/* Nobody waits longer than what one call costs. */
	if (rate == NULL || wait < 0 || (uint64_t)wait > cost_us(rate)) {
		hit->what = LIMIT_NONE;
		return -1;
	}
	hit->rate = *rate;
	hit->reset_s = (uint32_t)((wait + 999999) / 1000000);
	if (hit->reset_s == 0)
		hit->reset_s = 1;
	return 0;
}

static void
on_answer(const struct reply *r, void *arg)
{
	struct call *c = arg;
	struct limit_hit hit;

	c->redis = NULL;
	memset(&hit, 0, sizeof(hit));
	if (redis_unknown_script(r) && send_limit(c, 1))
		return;
	if (r == NULL || !r->is_array) {
		redis.limits.unanswered++;
		redis_unwell(&redis.limits, r);
	} else if (read_answer(c, r, &hit) == -1) {
		redis.limits.unanswered++;
		redis_lies(&redis.limits, "its answer about a limit cannot be");
	} else {
		redis_well(&redis.limits);
		limited += hit.what != LIMIT_NONE;
	}
	call_limited(c, &hit);
}

int
redis_limit(struct call *c)
{
	return redis.limits.conn == NULL ? 0 : send_limit(c, 0);
}

uint64_t
redis_limited(void)
{
	return limited;
}

void
redis_limit_init(void)
{
	redis_script_init(&script);
}
