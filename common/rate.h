/* SPDX-License-Identifier: ISC */

/*
 * Rates as they are configured, and which of them a call was refused for.
 * Authd limits on this node, a handler across nodes: both tell the listener
 * in the same words, and it writes them for the client.
 */

#ifndef COMMON_RATE_H
#define COMMON_RATE_H

#include <stdint.h>

#include "buffer.h"
#include "wire.h"

#define RATE_MAX	1000000000	/* calls a period, and of a burst */
#define PERIOD_MAX_MS	3600000		/* an hour */

/* Count in each period, and how much may come at once; count 0: no rate. */
struct rate {
	uint32_t	count;
	uint32_t	period_ms;
	uint32_t	burst;
};

/* All zero, or all three within their bounds. */
int	rate_ok(const struct rate *);
/*
 * `60' a minute, `10/s', `600/m', `36000/h', and behind any of them `:20' for
 * the burst, which else is the count.  Returns 0, or -1: it is none of these.
 */
int	rate_parse(struct rate *, const char *text);
#define RATE_TEXT_MAX	32	/* bytes, with the NUL */
/* The shortest that is read as the same; empty for none. */
void	rate_text(char [RATE_TEXT_MAX], const struct rate *);
void	put_rate(struct buffer *, const struct rate *);
/* Marks the reader bad where it is not rate_ok(). */
void	get_rate(struct reader *, struct rate *);

enum limit_what {
	LIMIT_NONE,		/* it was not refused for a limit */
	LIMIT_CALLER,		/* the caller's rate */
	LIMIT_TOOL,		/* his rate for this tool */
	LIMIT_IN_FLIGHT,	/* his calls in flight */
	LIMIT_WHAT_MAX
};

struct limit_hit {
	uint8_t		what;		/* enum limit_what */
	struct rate	rate;		/* in flight: count alone, the cap */
	uint32_t	remaining;	/* calls that are left */
	uint32_t	reset_s;	/* seconds until there is one */
};
/* LIMIT_NONE carries nothing else. */
void	put_limit_hit(struct buffer *, const struct limit_hit *);
void	get_limit_hit(struct reader *, struct limit_hit *);

#endif
