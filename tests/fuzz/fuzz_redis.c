/* SPDX-License-Identifier: ISC */
/* link: daemon/handler/redis_reply.c daemon/handler/redis_url.c */

/*
 * What Redis answers, in portions that the first byte chooses: a reply is
 * within its bounds, the same however it was cut, and after something bad
 * nothing comes.  A URL that is taken has a way to go.
 */

#include "../../common/compat.h"
#include "../../daemon/handler/redis_reply.h"
#include "../../daemon/handler/redis_url.h"

#define REPLY_MAX	2048

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* A sum over all that came, and whether the end was bad. */
struct seen {
	uint64_t	sum;
	size_t		n;
	int		bad;
};

static void
look(struct seen *s, const struct reply *r)
{
	struct slice text;
	uint32_t i;
	size_t k;

	if (r->n < 1 || r->n > REPLY_ITEMS_MAX || (!r->is_array && r->n != 1))
		abort();
	for (i = 0; i < r->n; i++) {
		text = reply_text(r, i);
		if (text.len > REPLY_MAX)
			abort();
		for (k = 0; k < text.len; k++)
			s->sum = s->sum * 31 + (unsigned char)text.ptr[k];
		s->sum = s->sum * 31 + (uint64_t)r->item[i].type * 7 +
		    (uint64_t)r->item[i].integer;
	}
	s->n++;
}

static struct seen
read_in(const uint8_t *data, size_t len, size_t portion)
{
	struct replies *rs = replies_new(REPLY_MAX);
	struct seen s = { 0, 0, 0 };
	const struct reply *r;
	size_t at, n;

	if (rs == NULL)
		return s;
	for (at = 0; at < len && !s.bad; at += n) {
		n = len - at < portion ? len - at : portion;
		if (replies_feed(rs, data + at, n) == -1) {
			s.bad = 1;
			break;
		}
		while ((r = replies_next(rs, &s.bad)) != NULL)
			look(&s, r);
	}
	if (s.bad && (replies_feed(rs, "+OK\r\n", 5) == 0 ||
	    replies_next(rs, &s.bad) != NULL))
		abort();
	replies_free(rs);
	return s;
}

static void
parse_url(const uint8_t *data, size_t len)
{
	struct slice sl = { (const char *)data, len };
	struct redis_url u;
	const char *why;

	if (redis_url_parse(sl, &u, &why) == -1) {
		if (why == NULL)
			abort();
		return;
	}
	if (u.way == REDIS_UNIX ? u.path[0] != '/' : u.host[0] == '\0' ||
	    u.port == 0 || strchr(u.host, '@') != NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct seen whole, cut;

	if (len < 2 || len > REPLY_MAX)
		return 0;
	parse_url(data, len);
	whole = read_in(data + 1, len - 1, len);
	cut = read_in(data + 1, len - 1, (size_t)data[0] % 64 + 1);
	/* Where it is bad, a portion may hold back what came before. */
	if (whole.bad != cut.bad || whole.n != cut.n || whole.sum != cut.sum)
		abort();
	return 0;
}
