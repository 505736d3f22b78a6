/* SPDX-License-Identifier: ISC */

/*
 * hiredis's reader with objects of ours: a reply is written into a struct of
 * fixed size and one bounded buffer.  A callback that returns NULL ends the
 * reading with an error for good.
 */

#include <hiredis/hiredis.h>

#include "../../common/compat.h"
#include "redis_reply.h"

/* An argument that hiredis 1.0 made wider. */
#if HIREDIS_MAJOR >= 1
#define ELEMENTS size_t
#else
#define ELEMENTS int
#endif

struct replies {
	redisReader	*reader;
	size_t		 max;
	struct reply	 reply;		/* under way */
	uint32_t	 seen;		/* of its items */
	int		 given;		/* it has been handed out */
	int		 bad;
};

/* The place of the item at hand; NULL: there may be none here. */
static struct reply_item *
place(const redisReadTask *task, enum reply_type type)
{
	struct replies *rs = task->privdata;
	struct reply *r = &rs->reply;
	struct reply_item *item;

	if (task->parent == NULL) {
		buffer_clear(&r->text);
		r->is_array = 0;
		r->n = 1;
		rs->seen = 0;
	}
	if (rs->seen >= r->n)
		return NULL;
	item = &r->item[rs->seen++];
	memset(item, 0, sizeof(*item));
	item->type = type;
	return item;
}

static void *
create_string(const redisReadTask *task, char *text, size_t len)
{
	struct replies *rs = task->privdata;
	enum reply_type type = task->type == REDIS_REPLY_STATUS ?
	    REPLY_STATUS : task->type == REDIS_REPLY_ERROR ? REPLY_ERROR :
	    REPLY_TEXT;
	struct reply_item *item;

	if (type == REPLY_TEXT && task->type != REDIS_REPLY_STRING)
		return NULL;
	if ((item = place(task, type)) == NULL)
		return NULL;
	item->at = rs->reply.text.len;
	item->len = len;
	return buffer_add(&rs->reply.text, text, len) == -1 ? NULL : item;
}

static void *
create_array(const redisReadTask *task, ELEMENTS elements)
{
	struct replies *rs = task->privdata;

	if (task->parent != NULL || task->type != REDIS_REPLY_ARRAY ||
	    elements < 1 || elements > REPLY_ITEMS_MAX)
		return NULL;
	buffer_clear(&rs->reply.text);
	rs->reply.is_array = 1;
	rs->reply.n = (uint32_t)elements;
	rs->seen = 0;
	return &rs->reply;
}

static void *
create_integer(const redisReadTask *task, long long value)
{
	struct reply_item *item = place(task, REPLY_INTEGER);

	if (item != NULL)
		item->integer = value;
	return item;
}

static void *
create_nil(const redisReadTask *task)
{
	/* A text or a list that is none; RESP3 has one of its own. */
	return task->type == REDIS_REPLY_NIL ? NULL : place(task, REPLY_NIL);
}

#if HIREDIS_MAJOR >= 1
/* What the protocol that we do not speak (RESP3) has beside. */
static void *
refuse_double(const redisReadTask *task, double value, char *text, size_t len)
{
	(void)task;
	(void)value;
	(void)text;
	(void)len;
	return NULL;
}

static void *
refuse_bool(const redisReadTask *task, int value)
{
	(void)task;
	(void)value;
	return NULL;
}
#endif

static void
free_object(void *object)
{
	(void)object;
}

static redisReplyObjectFunctions functions = {
	.createString = create_string, .createArray = create_array,
	.createInteger = create_integer, .createNil = create_nil,
#if HIREDIS_MAJOR >= 1
	.createDouble = refuse_double, .createBool = refuse_bool,
#endif
	.freeObject = free_object
};

struct replies *
replies_new(size_t max)
{
	struct replies *rs = calloc(1, sizeof(*rs));

	if (rs == NULL)
		return NULL;
	rs->max = max;
	buffer_init(&rs->reply.text, max);
	if ((rs->reader = redisReaderCreateWithFunctions(&functions)) == NULL) {
		free(rs);
		return NULL;
	}
	rs->reader->privdata = rs;
	return rs;
}

void
replies_free(struct replies *rs)
{
	if (rs == NULL)
		return;
	redisReaderFree(rs->reader);
	buffer_free(&rs->reply.text);
	free(rs);
}

/* Bytes that are no whole reply yet. */
static size_t
waiting(const struct replies *rs)
{
	return rs->reader->len - rs->reader->pos;
}

int
replies_feed(struct replies *rs, const void *data, size_t len)
{
	if (rs->bad || len > rs->max || waiting(rs) > rs->max ||
	    redisReaderFeed(rs->reader, data, len) != REDIS_OK)
		rs->bad = 1;
	return rs->bad ? -1 : 0;
}

const struct reply *
replies_next(struct replies *rs, int *bad)
{
	void *reply = NULL;

	*bad = 1;
	if (rs->given) {
		rs->seen = 0;
		rs->reply.n = 1;
	}
	rs->given = 0;
	if (rs->bad || redisReaderGetReply(rs->reader, &reply) != REDIS_OK ||
	    (reply == NULL && waiting(rs) + rs->reply.text.len >
	    rs->max)) {
		rs->bad = 1;
		return NULL;
	}
	/* A type that hiredis makes without asking us is none of ours. */
	if (reply != NULL && rs->seen != rs->reply.n) {
		rs->bad = 1;
		return NULL;
	}
	*bad = 0;
	rs->given = reply != NULL;
	return reply == NULL ? NULL : &rs->reply;
}
