/* SPDX-License-Identifier: ISC */

/*
 * What operators are told of the keys in daily life.  When each was used last:
 * kept in memory and handed to the parent, some seconds after the first use
 * and all at once, so that a call costs an assignment.  Which of them end
 * soon: a line a day and key in the log, and a line of the status.
 */

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "../common/stats.h"
#include "authd.h"

#define DAY_S	86400

static struct event *used_timer;
static struct event *day_timer;

/* ---- last use ---------------------------------------------------------- */

static int
send_used(const struct msg_keys_used *m)
{
	struct buffer *b;

	if (child.control == NULL ||
	    (b = channel_begin(child.control, MSG_KEYS_USED, 0)) == NULL)
		return -1;
	put_keys_used(b, m);
	return channel_commit(child.control);
}

static void
tell_used(void)
{
	static struct msg_keys_used m;
	struct api_key *k;
	size_t i;

	m.keys = 0;
	for (i = 0; (k = apikey_at(i)) != NULL; i++) {
		if (k->used == k->used_told)
			continue;
		m.key[m.keys].id = k->identity.key_id;
		m.key[m.keys++].when = (uint64_t)k->used;
		k->used_told = k->used;
		if (m.keys == KEYS_USED_MAX) {
			(void)send_used(&m);
			m.keys = 0;
		}
	}
	if (m.keys > 0)
		(void)send_used(&m);
}

static void
used_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	tell_used();
}

void
keycare_used(struct api_key *k, int64_t now)
{
	static const struct timeval tv = {
		KEYS_USED_MS / 1000, KEYS_USED_MS % 1000 * 1000
	};

	k->used = now;
	if (used_timer == NULL && (used_timer = evtimer_new(child.base,
	    used_due, NULL)) == NULL)
		return;
	if (!evtimer_pending(used_timer, NULL))
		evtimer_add(used_timer, &tv);
}

void
keycare_hurry(void)
{
	if (used_timer != NULL)
		evtimer_del(used_timer);
	tell_used();
}

/* ---- what ends --------------------------------------------------------- */

static int
ends_soon(const struct api_key *k, int64_t now)
{
	return !k->revoked && k->expires > now &&
	    k->expires - now <= KEY_EXPIRING_S;
}

static void
say_ending(struct api_key *k, int64_t now)
{
	char when[KEY_DATE_LEN + 1], owner[128];

	k->warned = now / DAY_S;
	key_date_text(k->expires, when);
	log_warn("key %.*s of %s expires at %s: pontifexctl key rotate %.*s",
	    (int)k->identity.key_id.len, k->identity.key_id.ptr,
	    log_safe(owner, sizeof(owner), k->identity.owner), when,
	    (int)k->identity.key_id.len, k->identity.key_id.ptr);
}

static void
day_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	keycare_loaded();
}

void
keycare_loaded(void)
{
	static const struct timeval day = { DAY_S, 0 };
	int64_t now = (int64_t)(wall_us() / 1000000);
	size_t i, said = 0, more = 0;
	struct api_key *k;
	int any = 0;

	for (i = 0; (k = apikey_at(i)) != NULL; i++) {
		any |= !k->revoked && k->expires > now;
		if (!ends_soon(k, now) || k->warned == now / DAY_S)
			continue;
		if (said < ENDING_SAID_MAX) {
			say_ending(k, now);
			said++;
		} else {
			k->warned = now / DAY_S;
			more++;
		}
	}
	if (more > 0)
		log_warn("%zu more keys expire within %d days: pontifexctl "
		    "key list", more, KEY_EXPIRING_S / DAY_S);
	/* Nothing that ends, nothing to wake up for. */
	if (!any || child.base == NULL)
		return;
	if (day_timer == NULL)
		day_timer = evtimer_new(child.base, day_due, NULL);
	if (day_timer != NULL)
		evtimer_add(day_timer, &day);
}

struct tally {
	size_t			 soon, expired, revoked, legacy;
	const struct api_key	*next;	/* to expire; NULL: none does soon */
	int64_t			 expires;	/* the next ever; 0: none does */
};

static void
count_keys(struct tally *t)
{
	int64_t now = (int64_t)(wall_us() / 1000000);
	const struct api_key *k;
	size_t i;

	memset(t, 0, sizeof(*t));
	for (i = 0; (k = apikey_at(i)) != NULL; i++) {
		t->revoked += k->revoked != 0;
		if (k->revoked)
			continue;
		t->legacy += k->legacy != 0;
		t->expired += k->expires != 0 && k->expires <= now;
		if (k->expires > now && (t->expires == 0 ||
		    k->expires < t->expires))
			t->expires = k->expires;
		if (!ends_soon(k, now))
			continue;
		t->soon++;
		if (t->next == NULL || k->expires < t->next->expires)
			t->next = k;
	}
}

void
keycare_stats(struct buffer *b)
{
	struct tally t;

	count_keys(&t);
	put_stat(b, STAT_KEYS_EXPIRED, t.expired);
	put_stat(b, STAT_KEYS_EXPIRING, t.soon);
	put_stat(b, STAT_KEYS_LEGACY, t.legacy);
	if (t.expires != 0)
		put_stat(b, STAT_KEY_NEXT_EXPIRY, (uint64_t)t.expires);
}

void
keycare_status(struct buffer *b)
{
	char when[KEY_DATE_LEN + 1];
	struct tally t;

	count_keys(&t);
	(void)buffer_printf(b, "keys revoked %zu, expired %zu, legacy %zu, "
	    "expiring within %d days %zu", t.revoked, t.expired, t.legacy,
	    KEY_EXPIRING_S / DAY_S, t.soon);
	if (t.next != NULL) {
		key_date_text(t.next->expires, when);
		(void)buffer_printf(b, ", the next %.*s at %s",
		    (int)t.next->identity.key_id.len,
		    t.next->identity.key_id.ptr, when);
	}
	(void)buffer_add_char(b, '\n');
}
