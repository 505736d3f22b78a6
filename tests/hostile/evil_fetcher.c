/* SPDX-License-Identifier: ISC */

/*
 * A fetcher under an attacker's full control.  It is asked for the keys of
 * two issuers, and holds a key set of its own (the file `jwks' beside it): it
 * tries to have that taken for the issuer that it was not asked for, and to
 * break authd.  "honest" hands it over for the one that it was asked for,
 * which is what a fetcher can do.
 */

#include <stdlib.h>

#include "../../common/compat.h"
#include "../../common/message.h"
#include "../../common/proc.h"
#include "evil.h"

static char jwks[8192];
static struct channel *authd;

static int
attack_is(const char *name)
{
	return strcmp(evil_attack, name) == 0;
}

static void
answer(uint64_t id, uint32_t issuer, enum fetch_what what, const char *bytes,
    size_t len)
{
	struct msg_fetched m = { .issuer = issuer, .what = (uint8_t)what,
	    .ok = 1, .max_age_s = 60 };
	struct buffer *b;

	if (authd == NULL ||
	    (b = channel_begin(authd, MSG_FETCHED, id)) == NULL)
		return;
	m.bytes.ptr = bytes;
	m.bytes.len = len;
	put_fetched(b, &m);
	(void)channel_commit(authd);
}

static int
on_authd(struct channel *ch, const struct frame *f, void *arg)
{
	static char giant[FETCH_MAX + 1];
	struct msg_fetch m;

	(void)arg;
	if (f->type != MSG_FETCH || get_fetch(f, &m) == -1)
		return -1;
	SAY("asked for %u\n", m.issuer);
	/* The first issuer alone is answered, if at all. */
	if (m.issuer != 0)
		return 0;
	if (attack_is("honest"))
		answer(f->id, 0, FETCH_JWKS, jwks, strlen(jwks));
	else if (attack_is("other-issuer"))
		answer(f->id, 1, FETCH_JWKS, jwks, strlen(jwks));
	else if (attack_is("other-number"))
		answer(f->id + 100, 1, FETCH_JWKS, jwks, strlen(jwks));
	else if (attack_is("other-question"))
		answer(f->id, 0, FETCH_OIDC, jwks, strlen(jwks));
	else if (attack_is("no-issuer"))
		answer(f->id, 15, FETCH_JWKS, jwks, strlen(jwks));
	else if (attack_is("giant"))
		answer(f->id, 0, FETCH_JWKS, giant, sizeof(giant));
	else if (attack_is("garbage"))
		(void)channel_send(ch, MSG_DECISION, f->id, "x", 1);
	else if (attack_is("hang-up"))
		return -1;
	return 0;
}

static void
on_closed(struct channel *ch, void *arg)
{
	(void)arg;
	SAY("closed by %s\n", channel_was_cut(ch) ? "us" : "authd");
	authd = NULL;
	child_peer_gone(ch, ROLE_AUTHD, 0);
}

static void
peer(const struct msg_peer *m, int fd)
{
	static const struct channel_ops ops = {
		.frame = on_authd, .closed = on_closed
	};

	(void)m;
	authd = channel_new(child.base, fd, "authd", 0, &ops, NULL);
}

static int
configure(const struct frame *f)
{
	(void)f;
	return 0;
}

static int
confine(void)
{
	return 0;
}

int
main(void)
{
	static const struct child_ops ops = {
		.configure = configure, .confine = confine, .peer = peer
	};
	int fd = evil_open("jwks", O_RDONLY);
	ssize_t n = fd == -1 ? -1 : read(fd, jwks, sizeof(jwks) - 1);

	if (n <= 0)
		return 3;
	close(fd);
	return child_main(ROLE_FETCHER, &ops);
}
