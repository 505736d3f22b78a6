/* SPDX-License-Identifier: ISC */

/*
 * Folding of refusals: the first FOLD_AFTER equal ones (source, outcome,
 * reason, tool) in a window have records of their own; what comes on top is
 * counted and recorded as one record with its number, so that a flood fills
 * neither disk nor trail and the sums still add up.
 */

#include "../common/compat.h"
#include "authd.h"

static struct fold folds[FOLDS_MAX];
static struct fold overflow;	/* when every place is taken */

static int
equal(const struct fold *f, const char *peer, uint8_t outcome, uint8_t reason,
    const char *tool)
{
	return f->outcome == outcome && f->reason == reason &&
	    strcmp(f->peer, peer) == 0 && strcmp(f->tool, tool) == 0;
}

static void
copy(char *to, size_t size, struct slice from)
{
	size_t n = from.len < size - 1 ? from.len : size - 1;

	if (n > 0)
		memcpy(to, from.ptr, n);
	to[n] = '\0';
}

static uint32_t
hash(const char *peer, uint8_t outcome, uint8_t reason, const char *tool)
{
	uint32_t h = 2166136261U ^ ((uint32_t)outcome << 8 | reason);

	for (; *peer != '\0'; peer++)
		h = (h ^ (unsigned char)*peer) * 16777619U;
	for (; *tool != '\0'; tool++)
		h = (h ^ (unsigned char)*tool) * 16777619U;
	return h;
}

static struct fold *
place(const char *peer, uint8_t outcome, uint8_t reason, const char *tool,
    uint64_t now)
{
	uint32_t base = hash(peer, outcome, reason, tool), i;
	struct fold *f, *spare = NULL;

	for (i = 0; i < 16; i++) {
		f = &folds[(base + i) % FOLDS_MAX];
		if (f->used && equal(f, peer, outcome, reason, tool))
			return f;
		if (spare == NULL && (!f->used || (f->folded == 0 &&
		    now - f->window_ms >= FOLD_WINDOW_MS)))
			spare = f;
	}
	if (spare == NULL)
		return NULL;
	memset(spare, 0, sizeof(*spare));
	spare->used = 1;
	spare->window_ms = now;
	strlcpy(spare->peer, peer, sizeof(spare->peer));
	strlcpy(spare->tool, tool, sizeof(spare->tool));
	spare->outcome = outcome;
	spare->reason = reason;
	return spare;
}

struct fold *
fold_count(struct slice peer, uint8_t outcome, uint8_t reason,
    struct slice tool, uint64_t now, int *alone)
{
	char peer_text[PEER_MAX + 1], tool_text[TOOL_NAME_MAX + 1];
	struct fold *f;

	copy(peer_text, sizeof(peer_text), peer);
	copy(tool_text, sizeof(tool_text), tool);
	*alone = 0;
	if ((f = place(peer_text, outcome, reason, tool_text, now)) == NULL) {
		overflow.used = 1;
		overflow.outcome = outcome;
		overflow.reason = reason;
		overflow.folded++;
		return &overflow;
	}
	if (now - f->window_ms >= FOLD_WINDOW_MS) {
		f->window_ms = now;
		f->alone = 0;
	}
	if (f->alone < FOLD_AFTER) {
		f->alone++;
		*alone = 1;
	} else {
		f->folded++;
	}
	return f;
}

void
fold_each(void (*visit)(struct fold *, void *), void *arg)
{
	size_t i;

	for (i = 0; i < FOLDS_MAX; i++)
		if (folds[i].used && folds[i].folded > 0)
			visit(&folds[i], arg);
	if (overflow.folded > 0)
		visit(&overflow, arg);
}

void
fold_reset(void)
{
	memset(folds, 0, sizeof(folds));
	memset(&overflow, 0, sizeof(overflow));
}
