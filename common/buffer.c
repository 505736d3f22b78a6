/* SPDX-License-Identifier: ISC */

/*
 * Growable buffers with a bound.  They are the memory of every frame, answer
 * and record, so growth doubles and a cleared buffer keeps what it has.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "buffer.h"
#include "compat.h"

#define BUFFER_FIRST	256	/* bytes of the first allocation */

char *
slice_dup(struct slice sl)
{
	char *copy;

	if ((copy = malloc(sl.len + 1)) == NULL)
		return NULL;
	if (sl.len > 0)
		memcpy(copy, sl.ptr, sl.len);
	copy[sl.len] = '\0';
	return copy;
}

void
buffer_init(struct buffer *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	b->max = max;
}

void
buffer_clear(struct buffer *b)
{
	if (b->wipe && b->data != NULL)
		explicit_bzero(b->data, b->len);
	b->len = 0;
	b->bad = 0;
}

void
buffer_free(struct buffer *b)
{
	size_t max = b->max;
	int wipe = b->wipe;

	if (wipe && b->data != NULL)
		explicit_bzero(b->data, b->cap);
	free(b->data);
	buffer_init(b, max);
	b->wipe = wipe;
}

void
buffer_freezero(struct buffer *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buffer_free(b);
}

/* realloc(3) would leave the old bytes where they were. */
static unsigned char *
grow_wiped(const struct buffer *b, size_t cap)
{
	unsigned char *data;

	if ((data = malloc(cap)) == NULL)
		return NULL;
	if (b->data != NULL) {
		memcpy(data, b->data, b->len);
		freezero(b->data, b->cap);
	}
	return data;
}

unsigned char *
buffer_reserve(struct buffer *b, size_t len)
{
	unsigned char *data;
	size_t cap, want;

	if (b->bad || len > b->max || b->len > b->max - len) {
		b->bad = 1;
		return NULL;
	}
	want = b->len + len;
	if (want > b->cap) {
		cap = b->cap == 0 ? BUFFER_FIRST : b->cap;
		while (cap < want)
			cap = cap > b->max / 2 ? b->max : cap * 2;
		data = b->wipe ? grow_wiped(b, cap) : realloc(b->data, cap);
		if (data == NULL) {
			b->bad = 1;
			return NULL;
		}
		b->data = data;
		b->cap = cap;
	}
	return b->data + b->len;
}

int
buffer_add(struct buffer *b, const void *data, size_t len)
{
	unsigned char *to;

	/* Nothing needs no memory, and a buffer may have none yet. */
	if (len == 0)
		return b->bad ? -1 : 0;
	if ((to = buffer_reserve(b, len)) == NULL)
		return -1;
	memcpy(to, data, len);
	b->len += len;
	return 0;
}

int
buffer_add_cstr(struct buffer *b, const char *s)
{
	return buffer_add(b, s, strlen(s));
}

int
buffer_add_slice(struct buffer *b, struct slice sl)
{
	return buffer_add(b, sl.ptr, sl.len);
}

int
buffer_add_char(struct buffer *b, char c)
{
	return buffer_add(b, &c, 1);
}

int
buffer_add_u64(struct buffer *b, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	return buffer_add(b, digits + at, sizeof(digits) - at);
}

int
buffer_add_i64(struct buffer *b, int64_t n)
{
	if (n >= 0)
		return buffer_add_u64(b, (uint64_t)n);
	if (buffer_add_char(b, '-') == -1)
		return -1;
	return buffer_add_u64(b, 0 - (uint64_t)n);
}

int
buffer_add_hex(struct buffer *b, const void *data, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *from = data;
	unsigned char *to;
	size_t i;

	if (len > SIZE_MAX / 2 || (to = buffer_reserve(b, 2 * len)) == NULL) {
		b->bad = 1;
		return -1;
	}
	for (i = 0; i < len; i++) {
		to[2 * i] = (unsigned char)hex[from[i] >> 4];
		to[2 * i + 1] = (unsigned char)hex[from[i] & 15];
	}
	b->len += 2 * len;
	return 0;
}

int
buffer_printf(struct buffer *b, const char *fmt, ...)
{
	va_list ap;
	unsigned char *to;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || (to = buffer_reserve(b, (size_t)n + 1)) == NULL) {
		b->bad = 1;
		return -1;
	}
	va_start(ap, fmt);
	(void)vsnprintf((char *)to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

void
buffer_drain(struct buffer *b, size_t len)
{
	size_t left = len >= b->len ? 0 : b->len - len;

	if (left > 0)
		memmove(b->data, b->data + len, left);
	if (b->wipe && b->data != NULL)
		explicit_bzero(b->data + left, b->len - left);
	b->len = left;
}
