/* SPDX-License-Identifier: ISC */

/*
 * Penalties.  A source whose credentials keep failing has its refusals held
 * back, longer and longer, so that guessing is slow while a good caller from
 * the same address is not touched.  The table is bounded: the oldest source
 * is forgotten first.
 */

#include <stdio.h>

#include "../common/compat.h"
#include "authd.h"

#include <arpa/inet.h>

struct seen {
	char		source[PEER_MAX + 1];
	uint64_t	window_ms;
	uint32_t	failures;
};

static struct seen table[SOURCES_SEEN];

void
penalty_source(struct slice peer, char *out, size_t size)
{
	unsigned char bytes[16];
	char text[PEER_MAX + 1];

	memcpy(text, peer.ptr, peer.len > PEER_MAX ? PEER_MAX : peer.len);
	text[peer.len > PEER_MAX ? PEER_MAX : peer.len] = '\0';
	if (inet_pton(AF_INET6, text, bytes) == 1) {
		memset(bytes + 8, 0, 8);
		if (inet_ntop(AF_INET6, bytes, out, (socklen_t)size) != NULL)
			return;
	}
	strlcpy(out, text, size);
}

static uint32_t
hash_text(const char *s)
{
	uint32_t h = 2166136261U;

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 16777619U;
	return h;
}

/* The entry of a source, or the oldest of its eight places. */
static struct seen *
find(const char *source)
{
	uint32_t base = hash_text(source) % SOURCES_SEEN, i;
	struct seen *s, *oldest = NULL;

	for (i = 0; i < 8; i++) {
		s = &table[(base + i) % SOURCES_SEEN];
		if (strcmp(s->source, source) == 0)
			return s;
		if (oldest == NULL || s->window_ms < oldest->window_ms)
			oldest = s;
	}
	memset(oldest, 0, sizeof(*oldest));
	strlcpy(oldest->source, source, sizeof(oldest->source));
	return oldest;
}

uint32_t
penalty_add(struct slice peer, uint64_t now)
{
	char source[PEER_MAX + 1];
	struct seen *s;
	uint64_t quiet;
	uint32_t over;

	penalty_source(peer, source, sizeof(source));
	s = find(source);
	quiet = (now - s->window_ms) / PENALTY_WINDOW_MS;
	if (s->failures == 0 || quiet > 0) {
		/* A quiet minute forgives half, not all. */
		s->failures = quiet >= 32 ? 0 : s->failures >> quiet;
		s->window_ms = now;
	}
	if (s->failures < UINT32_MAX)
		s->failures++;
	if (s->failures <= PENALTY_AFTER)
		return 0;
	over = s->failures - PENALTY_AFTER;
	return over >= PENALTY_MAX_MS / 50 ? PENALTY_MAX_MS : over * 50;
}
