/* SPDX-License-Identifier: ISC */
/* link: authd/keys.c authd/issuer.c authd/jwk.c */

/*
 * Fetching the issuers' keys, with this test as the fetcher: what is asked
 * and when, and what an answer must be to be taken.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>

#include <event2/event.h>

#include "../../authd/issuer.h"
#include "../../common/compat.h"
#include "es256.h"

#define GIVEN		"https://given.example/"
#define FOUND		"https://found.example/realm"
#define PATIENCE_MS	10000

static int far;		/* the fetcher's end */
static struct channel *near;
static unsigned int released[ISSUERS_MAX], rechecked[ISSUERS_MAX];
static char document[2048];

/* What keys.c calls in authd. */
void
release_waiting(uint32_t issuer)
{
	released[issuer]++;
}

void
tokens_recheck(const struct issuer *i)
{
	rechecked[i->number]++;
}

static int
on_frame(struct channel *ch, const struct frame *f, void *arg)
{
	(void)ch;
	(void)arg;
	return f->type == MSG_FETCHED ? keys_fetched(f) : -1;
}

static void
on_closed(struct channel *ch, void *arg)
{
	(void)ch;
	(void)arg;
	near = NULL;
	keys_fetcher(NULL);
}

static void
attach(void)
{
	static const struct channel_ops ops = {
		.frame = on_frame, .closed = on_closed
	};
	int sv[2];

	assert_int_equal(channel_pair(sv), 0);
	far = sv[1];
	assert_int_not_equal(fcntl(far, F_SETFL,
	    fcntl(far, F_GETFL) & ~O_NONBLOCK), -1);
	near = channel_new(child.base, sv[0], "fetcher", 0, &ops, NULL);
	assert_non_null(near);
	keys_fetcher(near);
}

static void
pump(void)
{
	(void)event_base_loop(child.base, EVLOOP_NONBLOCK);
	channels_flush();
}

/* Whether a question comes; waits for it where it must. */
static int
question(struct msg_fetch *m, uint64_t *id, char *url, int must)
{
	static struct buffer b;
	struct pollfd p = { .fd = far, .events = POLLIN };
	uint64_t until = now_ms() + PATIENCE_MS;
	struct frame f;

	do {
		pump();
		if (poll(&p, 1, must ? 10 : 0) == 1)
			break;
	} while (must && now_ms() < until);
	if (!(p.revents & POLLIN))
		return 0;
	buffer_free(&b);
	buffer_init(&b, FRAME_PAYLOAD_MAX);
	assert_int_equal(frame_receive(far, &f, &b), 1);
	assert_int_equal(f.type, MSG_FETCH);
	assert_int_equal(get_fetch(&f, m), 0);
	*id = f.id;
	assert_true(m->url.len <= URL_MAX);
	memcpy(url, m->url.ptr, m->url.len);
	url[m->url.len] = '\0';
	return 1;
}

static void
answer(uint64_t id, uint32_t issuer, enum fetch_what what, int ok,
    const char *bytes)
{
	struct msg_fetched m;
	struct buffer b;

	buffer_init(&b, FRAME_PAYLOAD_MAX);
	memset(&m, 0, sizeof(m));
	m.issuer = issuer;
	m.what = (uint8_t)what;
	m.ok = ok;
	m.bytes = slice_of(bytes);
	put_fetched(&b, &m);
	assert_int_equal(frame_transmit(far, MSG_FETCHED, id, b.data, b.len,
	    -1), 0);
	buffer_free(&b);
	pump();
}

static const char *
key_set(EVP_PKEY *key, const char *kid)
{
	strlcpy(document, "{\"keys\":[", sizeof(document));
	es256_jwk(document, sizeof(document), key, kid);
	strlcat(document, "]}", sizeof(document));
	return document;
}

static void
configure(const char *url, int discover)
{
	struct msg_conf_issuer m;
	struct buffer b;
	struct frame f;

	memset(&m, 0, sizeof(m));
	m.url = slice_of(url);
	m.discover = discover;
	m.typ = slice_of("");
	m.scopes_from = slice_of("scope");
	m.audiences = 1;
	m.audience[0] = slice_of("https://api.example/mcp");
	buffer_init(&b, FRAME_PAYLOAD_MAX);
	put_conf_issuer(&b, &m);
	memset(&f, 0, sizeof(f));
	f.payload = b.data;
	f.length = b.len;
	assert_int_equal(issuer_configure(&f), 0);
	buffer_free(&b);
}

/*
 * One story, since the issuers are configured once: nothing fetched, metadata
 * of a liar, of the right one, a bad set, a good one, one too many questions.
 */
static void
keys_are_asked_for_found_and_kept(void **state)
{
	EVP_PKEY *key = es256_new();
	struct issuer *given, *found;
	uint64_t id, given_id;
	char url[URL_MAX + 1];
	struct msg_fetch m;
	struct frame stray;

	(void)state;
	configure(GIVEN, 0);
	configure(FOUND, 1);
	assert_int_equal(issuers_start(1), -1);
	assert_int_equal(issuers_start(2), 0);
	given = issuer_find(GIVEN);
	found = issuer_find(FOUND);
	assert_non_null(given);
	assert_non_null(found);
	assert_null(issuer_find("https://given.example"));
	/* Nobody there: a token has nothing to wait for. */
	assert_int_equal(keys_wanted(given), 0);

	attach();
	assert_true(question(&m, &given_id, url, 1));
	assert_int_equal(m.issuer, 0);
	assert_int_equal(m.what, FETCH_JWKS);
	assert_string_equal(url, "");
	assert_true(question(&m, &id, url, 1));
	assert_int_equal(m.issuer, 1);
	assert_int_equal(m.what, FETCH_OIDC);
	/* The first one is on its way: worth waiting for. */
	assert_int_equal(keys_wanted(given), 1);
	assert_false(question(&m, &id, url, 0));

	/* Metadata that names another is no answer; RFC 8414's is tried. */
	answer(id, 1, FETCH_OIDC, 1, "{\"issuer\":\"https://found.example\","
	    "\"jwks_uri\":\"https://found.example/evil\"}");
	assert_true(question(&m, &id, url, 1));
	assert_int_equal(m.what, FETCH_OAUTH);
	answer(id, 1, FETCH_OAUTH, 1, "{\"issuer\":\"" FOUND "\","
	    "\"jwks_uri\":\"https://found.example/keys\"}");
	assert_true(question(&m, &id, url, 1));
	assert_int_equal(m.what, FETCH_JWKS);
	assert_string_equal(url, "https://found.example/keys");
	answer(id, 1, FETCH_JWKS, 1, "{\"keys\":[]}");
	assert_null(found->keys);
	assert_int_equal(found->failures, 1);
	assert_int_equal(released[1], 1);
	/* After a failure a token gets its 503 at once. */
	assert_int_equal(keys_wanted(found), 0);
	assert_true(question(&m, &id, url, 1));
	assert_int_equal(m.issuer, 1);
	assert_int_equal(m.what, FETCH_OIDC);
	answer(id, 1, FETCH_OIDC, 0, "connection refused");
	assert_true(question(&m, &id, url, 1));
	assert_int_equal(m.what, FETCH_OAUTH);
	answer(id, 1, FETCH_OAUTH, 0, "connection refused");
	assert_int_equal(found->failures, 2);

	answer(given_id, 0, FETCH_JWKS, 1, key_set(key, "a"));
	assert_non_null(given->keys);
	assert_int_equal(given->keys->n, 1);
	assert_int_equal(released[0], 1);
	assert_int_equal(rechecked[0], 1);

	/* A token with a key that is not known: one refresh, then none. */
	assert_int_equal(keys_wanted(given), 1);
	assert_int_equal(keys_wanted(given), 1);
	do
		assert_true(question(&m, &id, url, 1));
	while (m.issuer != 0);
	answer(id, 0, FETCH_JWKS, 0, "connection refused");
	assert_non_null(given->keys);
	assert_int_equal(given->keys->n, 1);
	assert_int_equal(keys_wanted(given), 0);

	/* An answer that nobody asked for ends the fetcher. */
	memset(&stray, 0, sizeof(stray));
	assert_int_equal(keys_fetched(&stray), -1);
	answer(id, 0, FETCH_JWKS, 1, key_set(key, "b"));
	assert_null(near);
	assert_string_equal(given->keys->key[0].kid, "a");
	EVP_PKEY_free(key);
}

static int
start(void **state)
{
	(void)state;
	crypt_init();
	child.base = event_base_new();
	return child.base == NULL ||
	    event_base_priority_init(child.base, 2) == -1 ? -1 : 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_asked_for_found_and_kept),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
