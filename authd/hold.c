/* SPDX-License-Identifier: ISC */

/*
 * Questions that came while auditd was away.  Nothing is decided that cannot
 * be recorded: they wait for a new auditd, for a while and in bounds.
 */

#include <event2/event.h>

#include "../common/compat.h"
#include "authd.h"

/* A question as it came. */
struct held {
	TAILQ_ENTRY(held)	 entry;
	struct channel		*ch;
	uint64_t		 id;
	uint64_t		 until_ms;
	size_t			 len;
	unsigned char		 payload[];
};

static struct event *held_timer;
static TAILQ_HEAD(, held) held_list = TAILQ_HEAD_INITIALIZER(held_list);
static size_t nheld;

static void
arm_held_timer(void)
{
	struct held *h = TAILQ_FIRST(&held_list);
	uint64_t now = now_ms(), left;
	struct timeval tv;

	if (h == NULL)
		return;
	left = h->until_ms > now ? h->until_ms - now : 0;
	tv.tv_sec = (time_t)(left / 1000);
	tv.tv_usec = (suseconds_t)(left % 1000 * 1000);
	(void)evtimer_add(held_timer, &tv);
}

static void
held_due(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = now_ms();
	struct held *h;

	(void)fd;
	(void)what;
	(void)arg;
	while ((h = TAILQ_FIRST(&held_list)) != NULL && h->until_ms <= now) {
		TAILQ_REMOVE(&held_list, h, entry);
		nheld--;
		refuse_unrecorded(h->ch, h->id);
		free(h);
	}
	arm_held_timer();
}

void
hold(struct channel *ch, const struct frame *f)
{
	struct held *h;

	if (nheld >= WAITING_MAX ||
	    (h = malloc(sizeof(*h) + f->length)) == NULL) {
		refuse_unrecorded(ch, f->id);
		return;
	}
	h->ch = ch;
	h->id = f->id;
	h->until_ms = now_ms() + AUDIT_WAIT_MS;
	h->len = f->length;
	memcpy(h->payload, f->payload, f->length);
	TAILQ_INSERT_TAIL(&held_list, h, entry);
	nheld++;
	if (!evtimer_pending(held_timer, NULL))
		arm_held_timer();
}

void
release_held(void)
{
	struct msg_authorize ask;
	struct frame f;
	struct held *h;

	while (outbox_connected() && (h = TAILQ_FIRST(&held_list)) != NULL) {
		TAILQ_REMOVE(&held_list, h, entry);
		nheld--;
		memset(&f, 0, sizeof(f));
		f.payload = h->payload;
		f.length = h->len;
		if (h->ch != NULL && get_authorize(&f, &ask) == 0)
			decide_held(h->ch, h->id, &ask);
		explicit_bzero(h->payload, h->len);
		free(h);
	}
}

void
hold_forget(const struct channel *listener)
{
	struct held *h;

	TAILQ_FOREACH(h, &held_list, entry)
		if (h->ch == listener)
			h->ch = NULL;
}

size_t
hold_count(void)
{
	return nheld;
}

int
hold_start(void)
{
	held_timer = evtimer_new(child.base, held_due, NULL);
	return held_timer == NULL ? -1 : 0;
}
