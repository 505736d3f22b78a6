/* SPDX-License-Identifier: ISC */

/*
 * The chain and its checkpoints (docs/audit-format.md).  A chain shows that
 * nothing was changed without rewriting all that follows; a checkpoint is
 * what somebody who rewrites cannot make.  So a record is as good as the next
 * checkpoint behind it, and what is behind the last one is only as good as it
 * is short.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "../common/checkpoint.h"
#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "ctl_chain.h"
#include "ctl_trail.h"

#define RING_MAX	(1U << 20)	/* records between two checkpoints */

int
chain_fail(struct chain *c, const char *position, uint64_t seq,
    const char *format, ...)
{
	char text[512];
	va_list ap;

	if (c->failure != NULL)
		return -1;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (asprintf(&c->failure, "%s%sseq %llu: %s", position,
	    position[0] == '\0' ? "" : " ", (unsigned long long)seq, text) == -1)
		c->failure = NULL;
	return -1;
}

int
chain_init(struct chain *c, const struct chain_rules *rules, struct slice node)
{
	memset(c, 0, sizeof(*c));
	if ((c->node = slice_dup(node)) == NULL)
		return -1;
	c->next_saved = proof_first(rules->proof, c->node);
	return 0;
}

void
chain_free(struct chain *c)
{
	free(c->ring);
	free(c->node);
	free(c->first_at);
	free(c->failure);
	memset(c, 0, sizeof(*c));
}

/* ---- the records that no checkpoint covers ------------------------------ */

/* 0 where it is no time: such a record was not written by auditd. */
static uint64_t
time_of(struct slice value)
{
	char text[TIME_TEXT_LEN + 1];
	struct slice plain;
	struct tm tm;
	uint64_t us;

	if (view_plain(value, &plain) == -1 || plain.len != TIME_TEXT_LEN)
		return 0;
	memcpy(text, plain.ptr, TIME_TEXT_LEN);
	text[TIME_TEXT_LEN] = '\0';
	memset(&tm, 0, sizeof(tm));
	if (strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) == NULL)
		return 0;
	us = strtoull(text + 20, NULL, 10);
	return (uint64_t)timegm(&tm) * 1000000 + us;
}

static struct uncovered *
ring_at(const struct chain *c, uint64_t seq)
{
	return &c->ring[seq & (c->ring_cap - 1)];
}

/* Makes room for the record of c->seq; the oldest one goes where there is no
 * more. */
static int
ring_grow(struct chain *c)
{
	size_t cap = c->ring_cap == 0 ? 1024 : c->ring_cap * 2;
	struct uncovered *ring;
	uint64_t seq;

	if (c->seq - c->ring_first < c->ring_cap)
		return 0;
	if (cap > RING_MAX) {
		c->ring_first++;
		return 0;
	}
	if ((ring = calloc(cap, sizeof(*ring))) == NULL)
		return -1;
	for (seq = c->ring_first; seq < c->seq; seq++)
		ring[seq & (cap - 1)] = *ring_at(c, seq);
	free(c->ring);
	c->ring = ring;
	c->ring_cap = cap;
	return 0;
}

static int
ring_add(struct chain *c, const struct record_view *v)
{
	struct uncovered *u;

	if (c->records == 1)
		c->ring_first = c->seq;
	if (ring_grow(c) == -1)
		return -1;
	u = ring_at(c, c->seq);
	memcpy(u->hash, c->hash, DIGEST_LEN);
	u->time_us = time_of(v->field[FIELD_TIMESTAMP]);
	u->checkpoint = filter_string_is(v->field[FIELD_EVENT],
	    "checkpoint") != 0;
	u->start = filter_string_is(v->field[FIELD_EVENT], "start") != 0;
	return 0;
}

static int
counts(const struct chain *c, uint64_t seq)
{
	return seq > c->covered && !ring_at(c, seq)->checkpoint;
}

static uint64_t
uncovered_records(const struct chain *c)
{
	uint64_t seq, n = 0;

	/* What the ring could not hold. */
	if (c->ring_first > c->covered + 1 && c->ring_first > c->first)
		n = c->ring_first - (c->covered >= c->first ? c->covered + 1 :
		    c->first);
	for (seq = c->ring_first; seq <= c->seq; seq++)
		n += (uint64_t)counts(c, seq);
	return n;
}

/* For how long the daemon ran without a checkpoint, in seconds. */
static uint64_t
uncovered_seconds(const struct chain *c)
{
	uint64_t seq, from = 0, last = 0;

	for (seq = c->ring_first; seq <= c->seq; seq++) {
		if (!counts(c, seq))
			continue;
		last = ring_at(c, seq)->time_us;
		if (from == 0 || ring_at(c, seq)->start)
			from = last;
	}
	return last > from ? (last - from) / 1000000 : 0;
}

void
chain_close(struct chain *c)
{
	if (c->ring == NULL)
		return;
	c->left = uncovered_records(c);
	c->left_seconds = uncovered_seconds(c);
	free(c->ring);
	c->ring = NULL;
	c->ring_cap = 0;
}

/* The hash of a record that is still remembered; NULL: none. */
static const uint8_t *
hash_of(const struct chain *c, uint64_t seq)
{
	if (seq + 1 == c->first)
		return c->first_prev;
	if (seq == c->covered && seq >= c->first)
		return c->covered_hash;
	return seq >= c->ring_first && seq <= c->seq ? ring_at(c, seq)->hash :
	    NULL;
}

/* The first record that no checkpoint covers. */
static uint64_t
first_uncovered(const struct chain *c)
{
	return c->covered >= c->first ? c->covered + 1 : c->first;
}

/* ---- checkpoints ------------------------------------------------------- */

/* What it attests, against the record that is there. */
static int
attests(struct chain *c, const struct checkpoint *cp, const char *position)
{
	const uint8_t *hash;

	if (cp->seq >= c->seq)
		return chain_fail(c, position, c->seq,
		    "a checkpoint of a record that comes after it");
	if (cp->seq + 1 < c->first)
		return 0;	/* of records that are not here */
	if ((hash = hash_of(c, cp->seq)) == NULL)
		return chain_fail(c, position, c->seq, "a checkpoint that is "
		    "out of order: it names record %llu",
		    (unsigned long long)cp->seq);
	if (!digest_equal(hash, cp->hash))
		return chain_fail(c, position, cp->seq,
		    "forged: the checkpoint in record %llu attests another "
		    "one; records %llu to %llu are in doubt",
		    (unsigned long long)c->seq,
		    (unsigned long long)first_uncovered(c),
		    (unsigned long long)cp->seq);
	if (cp->seq + 1 == c->first)
		c->begun = 1;
	return 1;
}

static void
cover(struct chain *c, const struct checkpoint *cp)
{
	if (cp->seq <= c->covered && c->covered >= c->first)
		return;
	c->covered = cp->seq;
	memcpy(c->covered_hash, cp->hash, DIGEST_LEN);
	if (cp->seq >= c->ring_first)
		c->ring_first = cp->seq + 1;
}

static int
check_checkpoint(struct chain *c, const struct chain_rules *rules,
    const struct record_view *v, const char *position)
{
	struct slice text = v->field[FIELD_DETAIL], node;
	struct checkpoint cp;
	int rc, trusted;

	if (checkpoint_read(text.ptr, text.len, &cp) == -1 ||
	    v->field[FIELD_NODE].len < 2)
		return chain_fail(c, position, c->seq,
		    "a checkpoint that is not whole");
	/* Both as they are written in JSON. */
	node.ptr = v->field[FIELD_NODE].ptr + 1;
	node.len = v->field[FIELD_NODE].len - 2;
	if (!slice_equal(node, cp.node))
		return chain_fail(c, position, c->seq,
		    "a checkpoint of another node");
	if (checkpoint_verify(&cp) == -1)
		return chain_fail(c, position, c->seq,
		    "the checkpoint's signature does not fit");
	trusted = proof_trusts(rules->proof, c->node, cp.key);
	if (!trusted)
		return chain_fail(c, position, c->seq,
		    "the checkpoint is of a key that is not trusted");
	if (c->checkpoints == 0)
		memcpy(c->key, cp.key, PUBLIC_KEY_LEN);
	else if (trusted == 2 &&
	    memcmp(c->key, cp.key, PUBLIC_KEY_LEN) != 0)
		return chain_fail(c, position, c->seq,
		    "the checkpoint is of another key than those before");
	if ((rc = attests(c, &cp, position)) == -1)
		return -1;
	c->checkpoints++;
	if (rc == 1)
		cover(c, &cp);
	return 0;
}

/* Checkpoints kept elsewhere that name this record, or one that must have
 * been before the first. */
static int
check_saved(struct chain *c, const struct chain_rules *rules,
    const char *position)
{
	const struct proof *p = rules->proof;
	const uint8_t *hash;
	struct saved *s;

	for (; c->next_saved < p->saves; c->next_saved++) {
		s = &p->saved[c->next_saved];
		if (s->seq > c->seq || strcmp(s->node, c->node) != 0)
			return 0;
		s->seen = 1;
		if (s->seq + 1 < c->first)
			continue;
		hash = hash_of(c, s->seq);
		if (hash == NULL || !digest_equal(hash, s->hash))
			return chain_fail(c, position, s->seq,
			    "forged: the checkpoint in %s line %llu attests "
			    "another one", s->file,
			    (unsigned long long)s->line);
		c->saves++;
	}
	return 0;
}

/* {"first":A,"last":B,"hash":"…"} */
static void
check_removed(struct chain *c, const struct record_view *v)
{
	static struct json j;
	struct slice text = v->field[FIELD_DETAIL], hash;
	uint8_t digest[DIGEST_LEN];
	uint32_t member;
	int64_t last;

	if (c->removed != 0 || json_parse(&j, text.ptr, text.len) == -1 ||
	    json_integer(&j, json_member(&j, 0, "last"), &last) == -1 ||
	    last < 1 || (uint64_t)last + 1 != c->first ||
	    (member = json_member(&j, 0, "hash")) == JSON_NONE ||
	    json_plain(&j, member, &hash) != 1 ||
	    hex_decode(digest, sizeof(digest), hash.ptr, hash.len) == -1 ||
	    !digest_equal(digest, c->first_prev))
		return;
	c->removed = c->seq;
}

/* ---- records ----------------------------------------------------------- */

static int
begin(struct chain *c, uint64_t seq, const uint8_t prev[DIGEST_LEN],
    const char *position)
{
	static const uint8_t zero[DIGEST_LEN];

	c->first = seq;
	memcpy(c->first_prev, prev, DIGEST_LEN);
	if ((c->first_at = strdup(position)) == NULL)
		return -1;
	if (seq == 1 && !digest_equal(prev, zero))
		return chain_fail(c, position, seq, "the chain is broken: "
		    "the first record follows another one");
	return 0;
}

static int
follows(struct chain *c, uint64_t seq, const uint8_t prev[DIGEST_LEN],
    const char *position)
{
	if (seq > c->seq + 1)
		return chain_fail(c, position, seq,
		    "records before it are missing");
	if (seq <= c->seq)
		return chain_fail(c, position, seq,
		    "out of order: a record was moved or added");
	if (!digest_equal(prev, c->hash))
		return chain_fail(c, position, seq, "the chain is broken: "
		    "it does not follow the record before");
	return 0;
}

int
chain_add(struct chain *c, const struct chain_rules *rules,
    const struct record_view *v, const uint8_t prev[DIGEST_LEN],
    const uint8_t hash[DIGEST_LEN], const char *position)
{
	uint64_t seq;
	int rc;

	if (view_u64(v->field[FIELD_SEQ], &seq) == -1 || seq == 0)
		return chain_fail(c, position, c->seq + 1, "not a record");
	rc = c->records == 0 ? begin(c, seq, prev, position) :
	    follows(c, seq, prev, position);
	if (rc == -1)
		return -1;
	c->seq = seq;
	memcpy(c->hash, hash, DIGEST_LEN);
	c->records++;
	if (ring_add(c, v) == -1)
		return chain_fail(c, position, seq, "out of memory");
	if (check_saved(c, rules, position) == -1)
		return -1;
	if (filter_string_is(v->field[FIELD_EVENT], "checkpoint"))
		return check_checkpoint(c, rules, v, position);
	if (c->first > 1 && filter_string_is(v->field[FIELD_EVENT], "removed"))
		check_removed(c, v);
	return 0;
}

/* ---- the end ----------------------------------------------------------- */

static int
check_beginning(struct chain *c, const struct chain_rules *rules)
{
	const struct proof *p = rules->proof;
	int after = 0;
	size_t i;

	if (c->first <= 1)
		return 0;
	for (i = proof_first(p, c->node); i < p->saves &&
	    strcmp(p->saved[i].node, c->node) == 0; i++)
		after |= p->saved[i].after && p->saved[i].seq + 1 >= c->first;
	if (after || c->continues || (rules->part && c->begun) ||
	    (c->removed != 0 && c->covered >= c->removed))
		return 0;
	return chain_fail(c, c->first_at, c->first, "earlier records are "
	    "missing%s", c->removed != 0 ? ": no checkpoint covers the "
	    "record that says that they were removed" : "");
}

static int
check_end(struct chain *c, const struct chain_rules *rules)
{
	if (c->continued ||
	    (c->checkpoints == 0 && rules->proof->origin == KEY_OWN) ||
	    (c->left <= rules->stretch &&
	    c->left_seconds <= rules->stretch_seconds))
		return 0;
	return chain_fail(c, "", first_uncovered(c), "no checkpoint from here "
	    "on: %llu records in %llu seconds (-m where the configuration "
	    "asks for fewer)", (unsigned long long)c->left,
	    (unsigned long long)c->left_seconds);
}

/* Saved checkpoints of records behind the last one. */
static int
check_cut(struct chain *c, const struct chain_rules *rules)
{
	const struct proof *p = rules->proof;
	struct saved *s = c->next_saved < p->saves ?
	    &p->saved[c->next_saved] : NULL;

	if (s == NULL || strcmp(s->node, c->node) != 0)
		return 0;
	s->seen = 1;
	return chain_fail(c, "", c->seq + 1, "the end was cut: the checkpoint "
	    "in %s line %llu attests record %llu", s->file,
	    (unsigned long long)s->line, (unsigned long long)s->seq);
}

int
chain_rename(struct chain *c, const struct chain_rules *rules,
    struct slice node)
{
	char *name;

	if (check_cut(c, rules) == -1)
		return -1;
	if ((name = slice_dup(node)) == NULL)
		return chain_fail(c, "", c->seq + 1, "out of memory");
	free(c->node);
	c->node = name;
	c->next_saved = proof_first(rules->proof, name);
	return 0;
}

int
chain_end(struct chain *c, const struct chain_rules *rules)
{
	chain_close(c);
	if (c->failure != NULL || check_beginning(c, rules) == -1 ||
	    check_cut(c, rules) == -1)
		return -1;
	return check_end(c, rules);
}
