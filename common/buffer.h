/* SPDX-License-Identifier: ISC */

/*
 * Growable byte buffers with a hard bound, and slices of somebody else's
 * bytes.  A buffer that runs out of its bound or of memory turns bad and
 * stays so: the many small appends of a builder need one check at the end.
 */

#ifndef COMMON_BUFFER_H
#define COMMON_BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char	*ptr;		/* not NUL-terminated, not owned */
	size_t		 len;
};

struct buffer {
	unsigned char	*data;
	size_t		 len;
	size_t		 cap;
	size_t		 max;		/* bytes; append beyond it fails */
	int		 bad;		/* an append failed */
	int		 wipe;		/* secrets pass: no byte is left behind */
};

static inline struct slice
slice_of(const char *s)
{
	struct slice sl = { s, s == NULL ? 0 : strlen(s) };

	return sl;
}

static inline int
slice_is(struct slice sl, const char *s)
{
	return sl.len == strlen(s) && memcmp(sl.ptr, s, sl.len) == 0;
}

static inline int
slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* The value of a hex digit of either case; -1 where it is none. */
static inline int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Returns a NUL-terminated copy that the caller frees; NULL with errno. */
char	*slice_dup(struct slice);

void	 buffer_init(struct buffer *, size_t max);
/* Forgets the contents and the badness, keeps the memory. */
void	 buffer_clear(struct buffer *);
/* Frees; the buffer may be used again. */
void	 buffer_free(struct buffer *);
/* Like buffer_free(), after clearing every byte of the allocation. */
void	 buffer_freezero(struct buffer *);
/* Makes room for len more bytes; returns where to write them, or NULL (bad). */
unsigned char *buffer_reserve(struct buffer *, size_t len);
/* Appends; returns 0, or -1 and the buffer is bad. */
int	 buffer_add(struct buffer *, const void *, size_t len);
int	 buffer_add_cstr(struct buffer *, const char *);
int	 buffer_add_slice(struct buffer *, struct slice);
int	 buffer_add_char(struct buffer *, char);
int	 buffer_add_u64(struct buffer *, uint64_t);	/* decimal */
int	 buffer_add_i64(struct buffer *, int64_t);	/* decimal */
int	 buffer_add_hex(struct buffer *, const void *, size_t len);
int	 buffer_printf(struct buffer *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));
/* Removes len bytes from the front. */
void	 buffer_drain(struct buffer *, size_t len);

#endif
