/* SPDX-License-Identifier: ISC */

/*
 * The permit that authd gives for one call (DESIGN 2.3): who may call which
 * tool with which exact body, until when, once.  Sealed by HMAC-SHA256 under
 * a key that authd shares with one handler; the listener between them can
 * neither read a key nor make, alter, replay or widen a ticket.
 *
 * A sealed ticket is the payload followed by its MAC of 32 bytes.
 */

#ifndef COMMON_TICKET_H
#define COMMON_TICKET_H

#include <stddef.h>
#include <stdint.h>

#include "identity.h"
#include "rate.h"

/* Tickets a handler can tell apart behind the newest; a power of two. */
#define TICKET_WINDOW	8192

struct ticket {
	uint32_t	generation;	/* of the key */
	uint64_t	serial;		/* counts up per key, from 1 */
	uint64_t	expires_ms;	/* CLOCK_MONOTONIC, milliseconds */
	uint8_t		request_id[REQUEST_ID_LEN];
	uint8_t		digest[DIGEST_LEN];	/* SHA-256 of the body */
	struct slice	tool;
	struct identity	identity;
	struct rate	rate;		/* in force for him; count 0: none */
};

/* Anti-replay window as in RFC 4303, 3.4.3. */
struct ticket_window {
	uint64_t	top;		/* highest serial accepted */
	uint64_t	seen[TICKET_WINDOW / 64];
};

/* Appends the sealed ticket.  The caller checks out->bad. */
void	ticket_seal(struct buffer *out, const struct ticket *,
	    const uint8_t key[KEY_LEN]);
/* The generation that a sealed ticket names, unverified; 0 where too short. */
uint32_t ticket_generation(const void *sealed, size_t len);
/*
 * Checks the MAC, then reads.  Slices point into sealed.  Returns 0, or -1
 * where anything at all is wrong.  Freshness and use are the caller's to check.
 */
int	ticket_open(struct ticket *, const void *sealed, size_t len,
	    const uint8_t key[KEY_LEN]);
void	ticket_window_init(struct ticket_window *);
/* Returns 0 and marks it used, or -1: used before, too old, or zero. */
int	ticket_window_use(struct ticket_window *, uint64_t serial);

#endif
