/* SPDX-License-Identifier: ISC */

/*
 * The issuers' keys, kept fresh through the fetcher.  It hands over bytes
 * and is believed nothing: an answer must fit a question, metadata must name
 * the issuer it was asked for (RFC 8414 3.3), a document must parse.  Keys
 * that were good stay in use until better ones have come.
 */

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "../common/stats.h"
#include "issuer.h"

#define LINE_SIZE	256

static struct channel *fetcher;
static struct event *timer;
static uint64_t fetches;
static struct json metadata;

static uint64_t
next_due(void)
{
	uint64_t soonest = UINT64_MAX;
	uint32_t n;

	for (n = 0; n < issuer_count(); n++)
		if (issuer_at(n)->due_ms < soonest)
			soonest = issuer_at(n)->due_ms;
	return soonest;
}

static void
arm(void)
{
	uint64_t now = now_ms(), when = next_due(), left;
	struct timeval tv;

	/* Without a fetcher there is nothing to be done until one comes. */
	if (fetcher == NULL) {
		(void)evtimer_del(timer);
		return;
	}
	left = when > now ? when - now : 0;
	tv.tv_sec = (time_t)(left / 1000);
	tv.tv_usec = (suseconds_t)(left % 1000 * 1000);
	(void)evtimer_add(timer, &tv);
}

static int
ask(struct issuer *i, enum fetch_what what)
{
	struct msg_fetch m;
	struct buffer *b;

	if (fetcher == NULL ||
	    (b = channel_begin(fetcher, MSG_FETCH, fetches + 1)) == NULL)
		return -1;
	m.issuer = i->number;
	m.what = (uint8_t)what;
	m.url = slice_of(what == FETCH_JWKS && i->discover ? i->jwks_url : "");
	put_fetch(b, &m);
	if (channel_commit(fetcher) == -1)
		return -1;
	i->fetch = ++fetches;
	i->what = (uint8_t)what;
	i->due_ms = now_ms() + FETCH_GUARD_MS;
	return 0;
}

static int
begin(struct issuer *i)
{
	return ask(i, i->discover && i->jwks_url == NULL ? FETCH_OIDC :
	    FETCH_JWKS);
}

static void
failed(struct issuer *i, const char *why)
{
	uint64_t most = i->keys == NULL ? RETRY_KEYLESS_MS : RETRY_MAX_MS;
	uint64_t wait = RETRY_MIN_MS;
	unsigned int n;

	i->fetch = 0;
	if (i->failures < UINT_MAX)
		i->failures++;
	for (n = 1; n < i->failures && wait < most; n++)
		wait *= 2;
	if (wait > most)
		wait = most;
	i->due_ms = now_ms() + wait;
	if (i->failures == 1 || i->failures % 16 == 0)
		log_warn("issuer %s: keys not fetched: %s: %s", i->url, why,
		    i->keys == NULL ? "its tokens get 503 until they are" :
		    "those we have stay in use");
	/* It may have moved: look it up again. */
	free(i->jwks_url);
	i->jwks_url = NULL;
	release_waiting(i->number);
}

static void
take(struct issuer *i, struct jwks *keys, uint32_t max_age)
{
	uint32_t fresh = max_age == 0 ? KEYS_FRESH_S : max_age;

	if (fresh < KEYS_FRESH_MIN_S)
		fresh = KEYS_FRESH_MIN_S;
	if (fresh > KEYS_FRESH_MAX_S)
		fresh = KEYS_FRESH_MAX_S;
	if (i->keys == NULL || i->failures > 0)
		log_info("issuer %s: keys in force: %u, ignored: %u", i->url,
		    keys->n, keys->ignored);
	jwks_free(i->keys);
	i->keys = keys;
	i->fetch = 0;
	i->failures = 0;
	i->fetched_ms = now_ms();
	i->due_ms = i->fetched_ms + (uint64_t)fresh * 1000;
	tokens_recheck(i);
	release_waiting(i->number);
}

/* Returns NULL, or what is wrong with the metadata. */
static const char *
read_metadata(struct issuer *i, struct slice doc)
{
	static char url[URL_MAX + 1];
	uint32_t node;

	if (json_parse(&metadata, doc.ptr, doc.len) == -1 ||
	    !json_is(&metadata, 0, JSON_OBJECT))
		return "metadata: not a JSON object";
	node = json_member(&metadata, 0, "issuer");
	if (node == JSON_NONE || !json_string_is(&metadata, node, i->url))
		return "metadata: its `issuer' is another";
	node = json_member(&metadata, 0, "jwks_uri");
	if (node == JSON_NONE ||
	    json_copy(&metadata, node, url, sizeof(url)) == -1)
		return "metadata: no `jwks_uri'";
	free(i->jwks_url);
	if ((i->jwks_url = strdup(url)) == NULL)
		return "out of memory";
	return NULL;
}

static void
on_metadata(struct issuer *i, const struct msg_fetched *m)
{
	char line[LINE_SIZE];
	const char *why;

	why = m->ok ? read_metadata(i, m->bytes) :
	    log_safe(line, sizeof(line), m->bytes);
	if (why == NULL) {
		if (ask(i, FETCH_JWKS) == -1)
			failed(i, "the fetcher is away");
		return;
	}
	if (m->what == FETCH_OIDC) {
		log_debug("issuer %s: %s", i->url, why);
		if (ask(i, FETCH_OAUTH) == 0)
			return;
	}
	failed(i, why);
}

static void
on_jwks(struct issuer *i, const struct msg_fetched *m)
{
	char line[LINE_SIZE];
	const char *why = NULL;
	struct jwks *keys;

	if (!m->ok) {
		failed(i, log_safe(line, sizeof(line), m->bytes));
		return;
	}
	if ((keys = jwks_parse(m->bytes.ptr, m->bytes.len, &why)) == NULL) {
		failed(i, why);
		return;
	}
	take(i, keys, m->max_age_s);
}

int
keys_fetched(const struct frame *f)
{
	struct msg_fetched m;
	struct issuer *i;

	if (get_fetched(f, &m) == -1 || (i = issuer_at(m.issuer)) == NULL ||
	    i->fetch == 0 || i->fetch != f->id || i->what != m.what)
		return -1;
	if (m.what == FETCH_JWKS)
		on_jwks(i, &m);
	else
		on_metadata(i, &m);
	arm();
	return 0;
}

static void
due(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = now_ms();
	struct issuer *i;
	uint32_t n;

	(void)fd;
	(void)what;
	(void)arg;
	for (n = 0; n < issuer_count(); n++) {
		i = issuer_at(n);
		if (i->due_ms > now)
			continue;
		if (i->fetch != 0)
			failed(i, "the fetcher did not answer");
		else if (begin(i) == -1)
			failed(i, "the fetcher is away");
	}
	arm();
}

void
keys_fetcher(struct channel *ch)
{
	struct issuer *i;
	uint32_t n;

	fetcher = ch;
	for (n = 0; n < issuer_count(); n++) {
		i = issuer_at(n);
		if (i->fetch != 0)
			failed(i, "the fetcher died");
		/* A new one starts with what is missing. */
		if (ch != NULL && i->keys == NULL)
			i->due_ms = 0;
	}
	arm();
}

int
keys_wanted(struct issuer *i)
{
	uint64_t now = now_ms();

	if (i->fetch != 0)
		return i->keys != NULL || i->failures == 0;
	/* Those without any keys are fetched by the clock alone. */
	if (i->keys == NULL)
		return fetcher != NULL && i->failures == 0;
	if (i->caused_ms != 0 && now - i->caused_ms < REFRESH_MS)
		return 0;
	i->caused_ms = now;
	if (begin(i) == -1)
		return 0;
	arm();
	return 1;
}

void
keys_status(struct buffer *b)
{
	uint64_t now = now_ms();
	const struct issuer *i;
	uint32_t n;

	for (n = 0; n < issuer_count(); n++) {
		i = issuer_at(n);
		if (i->keys == NULL)
			(void)buffer_printf(b, "issuer %s: no keys yet, "
			    "%u fetches failed\n", i->url, i->failures);
		else
			(void)buffer_printf(b, "issuer %s: keys %u, age %llu s"
			    ", %u fetches failed since\n", i->url, i->keys->n,
			    (unsigned long long)(now - i->fetched_ms) / 1000,
			    i->failures);
	}
}

void
keys_stats(struct buffer *b)
{
	uint64_t now = now_ms();
	const struct issuer *i;
	uint32_t n;

	for (n = 0; n < issuer_count(); n++) {
		i = issuer_at(n);
		put_stat_of(b, STAT_ISSUER_KEYS, n,
		    i->keys == NULL ? 0 : i->keys->n);
		if (i->keys != NULL)
			put_stat_of(b, STAT_ISSUER_KEYS_AGE, n,
			    now - i->fetched_ms);
		put_stat_of(b, STAT_ISSUER_FAILURES, n, i->failures);
	}
}

int
keys_start(void)
{
	json_init(&metadata);
	timer = evtimer_new(child.base, due, NULL);
	return timer == NULL ? -1 : 0;
}
