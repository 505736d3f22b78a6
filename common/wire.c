/* SPDX-License-Identifier: ISC */

/*
 * Reading and building of payloads.  The reader's promise is in wire.h: it
 * cannot run past its end, and one bad read spoils all that follow.
 */

#include "wire.h"

void
reader_init(struct reader *r, const void *data, size_t len)
{
	r->at = data;
	r->end = r->at + len;
	r->bad = 0;
}

static const unsigned char *
take(struct reader *r, size_t len)
{
	const unsigned char *at = r->at;

	if (r->bad || (size_t)(r->end - r->at) < len) {
		r->bad = 1;
		return NULL;
	}
	r->at += len;
	return at;
}

void
get_fixed(struct reader *r, void *to, size_t len)
{
	const unsigned char *from;

	if ((from = take(r, len)) != NULL)
		memcpy(to, from, len);
	else
		memset(to, 0, len);
}

uint8_t
get_u8(struct reader *r)
{
	uint8_t n;

	get_fixed(r, &n, sizeof(n));
	return n;
}

int
get_bool(struct reader *r)
{
	return (int)get_enum(r, 2);
}

uint16_t
get_u16(struct reader *r)
{
	uint16_t n;

	get_fixed(r, &n, sizeof(n));
	return n;
}

uint32_t
get_u32(struct reader *r)
{
	uint32_t n;

	get_fixed(r, &n, sizeof(n));
	return n;
}

uint64_t
get_u64(struct reader *r)
{
	uint64_t n;

	get_fixed(r, &n, sizeof(n));
	return n;
}

unsigned int
get_enum(struct reader *r, unsigned int limit)
{
	unsigned int n = get_u8(r);

	if (n >= limit) {
		r->bad = 1;
		return 0;
	}
	return n;
}

uint32_t
get_count(struct reader *r, uint32_t max)
{
	uint32_t n = get_u32(r);

	if (n > max) {
		r->bad = 1;
		return 0;
	}
	return n;
}

struct slice
get_bytes(struct reader *r, size_t max)
{
	struct slice sl = { "", 0 };
	size_t len = get_u32(r);
	const unsigned char *at;

	if (len > max)
		r->bad = 1;
	if ((at = take(r, len)) != NULL) {
		sl.ptr = (const char *)at;
		sl.len = len;
	}
	return sl;
}

struct slice
get_string(struct reader *r, size_t max)
{
	struct slice sl = get_bytes(r, max);

	if (sl.len > 0 && memchr(sl.ptr, '\0', sl.len) != NULL) {
		r->bad = 1;
		sl.ptr = "";
		sl.len = 0;
	}
	return sl;
}

uint32_t
get_list(struct reader *r, struct slice *item, uint32_t max, size_t len_max)
{
	uint32_t i, n = get_count(r, max);

	for (i = 0; i < n; i++)
		item[i] = get_string(r, len_max);
	return n;
}

int
wire_done(const struct reader *r)
{
	return r->bad || r->at != r->end ? -1 : 0;
}

void
put_fixed(struct buffer *b, const void *data, size_t len)
{
	(void)buffer_add(b, data, len);
}

void
put_u8(struct buffer *b, uint8_t n)
{
	put_fixed(b, &n, sizeof(n));
}

void
put_bool(struct buffer *b, int value)
{
	put_u8(b, value != 0);
}

void
put_u16(struct buffer *b, uint16_t n)
{
	put_fixed(b, &n, sizeof(n));
}

void
put_u32(struct buffer *b, uint32_t n)
{
	put_fixed(b, &n, sizeof(n));
}

void
put_u64(struct buffer *b, uint64_t n)
{
	put_fixed(b, &n, sizeof(n));
}

void
put_slice(struct buffer *b, struct slice sl)
{
	if (sl.len > UINT32_MAX) {
		b->bad = 1;
		return;
	}
	put_u32(b, (uint32_t)sl.len);
	put_fixed(b, sl.ptr, sl.len);
}

void
put_string(struct buffer *b, const char *s)
{
	put_slice(b, slice_of(s));
}

void
put_list(struct buffer *b, const struct slice *item, uint32_t n)
{
	uint32_t i;

	put_u32(b, n);
	for (i = 0; i < n; i++)
		put_slice(b, item[i]);
}
