/* SPDX-License-Identifier: ISC */

/*
 * Who talks to whom.  Two children that must talk get a socketpair as soon as
 * both are ready, and a new one when either was started again.  A ticket key
 * is made for a handler and authd whenever one of the two is new, handed to
 * both, and cleared.  Children of one crew know each other and auditd; a crew
 * that is not in force yet does not know auditd.
 */

#include <fcntl.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/log.h"
#include "parent.h"

static uint32_t ticket_generations;

int
roles_talk(enum role a, enum role b)
{
	static const struct { enum role a, b; } pairs[] = {
		{ ROLE_LISTENER, ROLE_AUTHD }, { ROLE_LISTENER, ROLE_HANDLER },
		{ ROLE_AUTHD, ROLE_AUDITD }, { ROLE_HANDLER, ROLE_AUDITD },
		{ ROLE_AUTHD, ROLE_FETCHER },
	};
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if ((pairs[i].a == a && pairs[i].b == b) ||
		    (pairs[i].a == b && pairs[i].b == a))
			return 1;
	return 0;
}

static void
send_peer(struct child_proc *to, const struct child_proc *peer, int fd)
{
	struct msg_peer m = { (uint8_t)peer->role, peer->index,
	    peer->instance,
	    peer->crew == NULL ? 0 : peer->crew->number };
	struct buffer b;

	buffer_init(&b, 64);
	put_peer(&b, &m);
	if (b.bad || to->control == NULL || channel_send_fd(to->control, MSG_PEER, 0, b.data, b.len,
	    fd) == -1) {
		log_warn("cannot wire %s to %s", to->name, peer->name);
		close(fd);
	}
	buffer_free(&b);
}

static void
wire(struct child_proc *a, struct child_proc *b)
{
	int sv[2];

	if (channel_pair(sv) == -1) {
		log_errno("socketpair for %s and %s", a->name, b->name);
		return;
	}
	send_peer(a, b, sv[0]);
	send_peer(b, a, sv[1]);
}

static void
send_ticket_key(struct child_proc *to, const struct msg_ticket_key *key)
{
	struct buffer *b;

	/* Its channel may have ended, its death not yet been told. */
	if (to->control == NULL ||
	    (b = channel_begin(to->control, MSG_TICKET_KEY, 0)) == NULL)
		return;
	put_ticket_key(b, key);
	(void)channel_commit(to->control);
}

/* The handler first: it must know the key before a ticket can reach it. */
static void
share_ticket_key(struct child_proc *handler, struct child_proc *authd)
{
	struct msg_ticket_key key;

	key.handler_index = handler->index;
	key.handler_instance = handler->instance;
	key.generation = ++ticket_generations;
	random_bytes(key.key, sizeof(key.key));
	send_ticket_key(handler, &key);
	channels_flush();
	send_ticket_key(authd, &key);
	/* And authd before a listener can ask it for a ticket. */
	channels_flush();
	explicit_bzero(&key, sizeof(key));
}

/* One that is to end meets auditd alone: what it has to report keeps it. */
static int
is_there_for(const struct child_proc *c, const struct child_proc *other)
{
	return c->state == CHILD_READY ||
	    (c->state == CHILD_STOPPING && other->role == ROLE_AUDITD);
}

/* Whether the two are of one house, and ready to meet. */
static int
may_meet(const struct child_proc *a, const struct child_proc *b)
{
	const struct crew *crew = a->crew != NULL ? a->crew : b->crew;

	if (a == b || !is_there_for(a, b) || !is_there_for(b, a) ||
	    !roles_talk(a->role, b->role))
		return 0;
	if (a->crew == b->crew)
		return 1;
	return (a->crew == NULL || b->crew == NULL) &&
	    (crew->state == CREW_SERVING || crew->state == CREW_LEAVING ||
	    crew->state == CREW_RESTING);
}

/* Keys before wires: a listener may ask as soon as it is wired. */
void
wiring_ready(struct child_proc *c)
{
	struct child_proc *other;

	TAILQ_FOREACH(other, &parent.children, entry) {
		if (other->state != CHILD_READY || other->crew != c->crew)
			continue;
		if (c->role == ROLE_HANDLER && other->role == ROLE_AUTHD)
			share_ticket_key(c, other);
		else if (c->role == ROLE_AUTHD && other->role == ROLE_HANDLER)
			share_ticket_key(other, c);
	}
	/* Auditd's wires first, the listeners' last: so the list is ordered. */
	TAILQ_FOREACH(other, &parent.children, entry)
		if (may_meet(c, other))
			wire(c, other);
}

void
wiring_auditd(struct crew *crew)
{
	struct child_proc *c;

	TAILQ_FOREACH(c, &parent.children, entry)
		if (c->crew == crew && may_meet(c, parent.auditd))
			wire(c, parent.auditd);
}
