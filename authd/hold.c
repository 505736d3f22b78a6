/* SPDX-License-Identifier: ISC */

/*
 * Questions that must wait, for a while and in bounds: for an auditd that is
 * away, since nothing is decided that cannot be recorded; or for the keys of
 * an issuer that are on their way.
 */

#include <event2/event.h>

#include "../common/compat.h"
#include "authd.h"

/* A question as it came. */
struct held {
	TAILQ_ENTRY(held)	 entry;
	struct channel		*ch;
	uint32_t		 issuer;	/* HOLD_KEYS: whose */
	uint64_t		 id;
	uint64_t		 until_ms;
	size_t			 len;
	unsigned char		 payload[];
};

TAILQ_HEAD(held_list, held);

static struct holding {
	struct held_list	 list;
	size_t			 n;
	struct event		*timer;
	uint64_t		 wait_ms;
} holdings[HOLD_WHY_MAX];

static void
arm(struct holding *q)
{
	const struct held *h = TAILQ_FIRST(&q->list);
	uint64_t now = now_ms(), left;
	struct timeval tv;

	if (h == NULL)
		return;
	left = h->until_ms > now ? h->until_ms - now : 0;
	tv.tv_sec = (time_t)(left / 1000);
	tv.tv_usec = (suseconds_t)(left % 1000 * 1000);
	(void)evtimer_add(q->timer, &tv);
}

static void
take_out(struct holding *q, struct held *h)
{
	TAILQ_REMOVE(&q->list, h, entry);
	q->n--;
}

static void
held_free(struct held *h)
{
	explicit_bzero(h->payload, h->len);
	free(h);
}

static void
decide_now(struct held *h, enum hold_why why)
{
	struct frame f;

	memset(&f, 0, sizeof(f));
	f.type = MSG_AUTHORIZE;
	f.id = h->id;
	f.fd = -1;
	f.payload = h->payload;
	f.length = h->len;
	if (h->ch != NULL)
		decide_held(h->ch, &f, why);
}

static void
due(evutil_socket_t fd, short what, void *arg)
{
	struct holding *q = arg;
	uint64_t now = now_ms();
	struct held *h;

	(void)fd;
	(void)what;
	while ((h = TAILQ_FIRST(&q->list)) != NULL && h->until_ms <= now) {
		take_out(q, h);
		if (q == &holdings[HOLD_AUDITD])
			refuse_unrecorded(h->ch, h->id);
		else
			decide_now(h, HOLD_KEYS);
		held_free(h);
	}
	arm(q);
}

int
hold(enum hold_why why, uint32_t issuer, struct channel *ch,
    const struct frame *f)
{
	struct holding *q = &holdings[why];
	struct held *h;

	if (q->n >= WAITING_MAX ||
	    (h = malloc(sizeof(*h) + f->length)) == NULL)
		return -1;
	h->ch = ch;
	h->issuer = issuer;
	h->id = f->id;
	h->until_ms = now_ms() + q->wait_ms;
	h->len = f->length;
	memcpy(h->payload, f->payload, f->length);
	TAILQ_INSERT_TAIL(&q->list, h, entry);
	q->n++;
	if (!evtimer_pending(q->timer, NULL))
		arm(q);
	return 0;
}

void
release_held(void)
{
	struct holding *q = &holdings[HOLD_AUDITD];
	struct held *h;

	while (outbox_connected() && (h = TAILQ_FIRST(&q->list)) != NULL) {
		take_out(q, h);
		decide_now(h, HOLD_AUDITD);
		held_free(h);
	}
}

void
release_waiting(uint32_t issuer)
{
	struct holding *q = &holdings[HOLD_KEYS];
	struct held *h, *next;

	/* None of them is held here a second time: this ends. */
	for (h = TAILQ_FIRST(&q->list); h != NULL; h = next) {
		next = TAILQ_NEXT(h, entry);
		if (h->issuer != issuer)
			continue;
		take_out(q, h);
		decide_now(h, HOLD_KEYS);
		held_free(h);
	}
}

void
hold_forget(const struct channel *listener)
{
	struct held *h;
	size_t i;

	for (i = 0; i < HOLD_WHY_MAX; i++)
		TAILQ_FOREACH(h, &holdings[i].list, entry)
			if (h->ch == listener)
				h->ch = NULL;
}

size_t
hold_count(enum hold_why why)
{
	return holdings[why].n;
}

int
hold_start(void)
{
	size_t i;

	for (i = 0; i < HOLD_WHY_MAX; i++) {
		TAILQ_INIT(&holdings[i].list);
		holdings[i].wait_ms = i == HOLD_AUDITD ? AUDIT_WAIT_MS :
		    KEYS_WAIT_MS;
		holdings[i].timer = evtimer_new(child.base, due, &holdings[i]);
		if (holdings[i].timer == NULL)
			return -1;
	}
	return 0;
}
