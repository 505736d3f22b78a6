/* SPDX-License-Identifier: ISC */

/*
 * Typed building and reading of payloads.  A reader never runs past its
 * end: the first bad read makes it bad for good and every later read gives
 * zero or the empty slice; wire_done() is the one check that counts, and it
 * fails too where bytes are left over.
 */

#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

struct reader {
	const unsigned char	*at;
	const unsigned char	*end;
	int			 bad;
};

void	 reader_init(struct reader *, const void *, size_t);
uint8_t	 get_u8(struct reader *);
/* Reads a byte that must be 0 or 1. */
int	 get_bool(struct reader *);
uint16_t get_u16(struct reader *);
uint32_t get_u32(struct reader *);
uint64_t get_u64(struct reader *);
/* A value of an enum: below limit, or the reader is bad. */
unsigned int get_enum(struct reader *, unsigned int limit);
/* A count of what follows: max at most, or the reader is bad. */
uint32_t get_count(struct reader *, uint32_t max);
/* At most max bytes, no NUL byte inside.  Points into the frame. */
struct slice get_string(struct reader *, size_t max);
/* As get_string(), any bytes. */
struct slice get_bytes(struct reader *, size_t max);
/* put_list()'s strings, max of them and len_max bytes each; how many. */
uint32_t get_list(struct reader *, struct slice *, uint32_t max,
	    size_t len_max);
/* Exactly len bytes into to. */
void	 get_fixed(struct reader *, void *to, size_t len);
/* Returns 0 where all was read, nothing is left and nothing was bad; or -1. */
int	 wire_done(const struct reader *);

void	 put_u8(struct buffer *, uint8_t);
void	 put_bool(struct buffer *, int);
void	 put_u16(struct buffer *, uint16_t);
void	 put_u32(struct buffer *, uint32_t);
void	 put_u64(struct buffer *, uint64_t);
void	 put_slice(struct buffer *, struct slice);	/* for get_string/bytes */
void	 put_string(struct buffer *, const char *);	/* NULL is the empty one */
void	 put_list(struct buffer *, const struct slice *, uint32_t n);
void	 put_fixed(struct buffer *, const void *, size_t);

#endif
