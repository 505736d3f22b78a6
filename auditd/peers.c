/* SPDX-License-Identifier: ISC */

/*
 * Who reports to auditd: authd and the handlers of each crew, and the parent.
 * A report is checked here, given to join.c, and answered by its number when
 * the fate of its group is known (group.c).  The senders are not trusted: a
 * malformed report, or one that its sender may not make, ends the connection.
 */

#include <stdio.h>

#include "../common/compat.h"
#include "../common/json.h"
#include "../common/log.h"
#include "../common/proc.h"
#include "auditd.h"

#define PEERS_MAX	(4 * (HANDLERS_MAX + 1))	/* of so many crews */
#define PARENT_ID	UINT32_MAX	/* as a peer: it has no place */

struct peer {
	struct channel	*channel;	/* NULL: the place is free */
	enum role	 role;
	uint32_t	 index;
	uint32_t	 crew;
	uint32_t	 instance;
	uint32_t	 id;		/* of this connection; struct report */
	struct buffer	 acks;		/* u64 numbers, to be sent */
	struct buffer	 nacks;
};

static struct peer peers[PEERS_MAX];
static uint32_t last_id;

/* ---- acknowledging ------------------------------------------------------ */

static struct peer *
peer_by_id(uint32_t id)
{
	size_t i;

	for (i = 0; id != 0 && i < PEERS_MAX; i++)
		if (peers[i].channel != NULL && peers[i].id == id)
			return &peers[i];
	return NULL;
}

void
peers_fate(struct report report, int durable)
{
	struct peer *p;

	if (report.peer == PARENT_ID) {
		(void)channel_send(child.control, durable ? MSG_AUDIT_ACK :
		    MSG_AUDIT_NACK, 0, &report.number, sizeof(report.number));
		return;
	}
	/* One that is gone asks again by its next connection. */
	if ((p = peer_by_id(report.peer)) != NULL)
		put_u64(durable ? &p->acks : &p->nacks, report.number);
}

void
peers_refuse(struct report report)
{
	if (report.peer != 0)
		peers_fate(report, 0);
}

static void
send_answers(struct peer *p, struct buffer *numbers, uint16_t type)
{
	size_t at, len;

	for (at = 0; at < numbers->len; at += len) {
		len = numbers->len - at;
		if (len > ACKS_MAX * sizeof(uint64_t))
			len = ACKS_MAX * sizeof(uint64_t);
		if (channel_send(p->channel, type, 0, numbers->data + at,
		    len) == -1)
			break;
	}
	if (numbers->bad)
		log_warn("no memory for acknowledgements: %s",
		    channel_name(p->channel));
	buffer_clear(numbers);
}

static void
answer_peer(struct peer *p)
{
	if (p->channel == NULL)
		return;
	if (p->acks.len > 0)
		send_answers(p, &p->acks, MSG_AUDIT_ACK);
	if (p->nacks.len > 0)
		send_answers(p, &p->nacks, MSG_AUDIT_NACK);
}

/*
 * authd first: where a handler's answer lets a caller go on, authd can know
 * already that his call has ended, and counts it no longer.
 */
void
peers_answer(void)
{
	size_t i;

	for (i = 0; i < PEERS_MAX; i++)
		if (peers[i].role == ROLE_AUTHD)
			answer_peer(&peers[i]);
	for (i = 0; i < PEERS_MAX; i++)
		answer_peer(&peers[i]);
}

static void
tell_able(struct peer *p)
{
	uint8_t flag = able_now() != 0;

	if (p->channel != NULL && p->role == ROLE_HANDLER)
		(void)channel_send(p->channel, MSG_RECORDS, 0, &flag,
		    sizeof(flag));
}

void
peers_tell_able(void)
{
	size_t i;

	for (i = 0; i < PEERS_MAX; i++)
		tell_able(&peers[i]);
}

/* ---- reports ------------------------------------------------------------ */

/* Each sender has events of its own, which no other may tell. */
static int
on_event(struct report report, const struct frame *f, const char *one,
    const char *prefix)
{
	static struct json j;
	struct msg_audit_event m;

	if (get_audit_event(f, &m) == -1 ||
	    json_parse(&j, m.detail.ptr, m.detail.len) == -1 ||
	    !json_is(&j, 0, JSON_OBJECT) ||
	    memchr(m.detail.ptr, '\n', m.detail.len) != NULL ||
	    memchr(m.detail.ptr, '\r', m.detail.len) != NULL)
		return -1;
	if (!slice_is(m.name, one) && (prefix == NULL ||
	    m.name.len < strlen(prefix) ||
	    memcmp(m.name.ptr, prefix, strlen(prefix)) != 0))
		return -1;
	join_reported(report, &m);
	return 0;
}

/* What the parent saw or did. */
int
peers_parent_event(const struct frame *f)
{
	static const char *const names[] = { "crash", "reload", "upgrade",
	    "log_level", "control_refused" };
	const struct report report = { PARENT_ID, f->id, 0 };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (on_event(report, f, names[i], NULL) == 0)
			return 0;
	return -1;
}

static int
on_report(struct channel *ch, const struct frame *f, void *arg)
{
	static struct msg_audit_decision decision;
	static struct msg_audit_call call;
	struct peer *p = arg;
	struct report report = { p->id, f->id, p->crew };
	uint64_t now = now_ms();

	(void)ch;
	if (f->type == MSG_AUDIT_DECISION && p->role == ROLE_AUTHD) {
		if (get_audit_decision(f, &decision) == -1)
			return -1;
		join_decision(report, f, &decision, now);
	} else if (f->type == MSG_AUDIT_EVENT && p->role == ROLE_AUTHD) {
		return on_event(report, f, "keys", "key_");
	} else if (f->type == MSG_AUDIT_INTENT && p->role == ROLE_HANDLER) {
		if (get_audit_call(f, &call) == -1)
			return -1;
		join_intent(report, p->instance, f, &call, now);
	} else if (f->type == MSG_AUDIT_OUTCOME && p->role == ROLE_HANDLER) {
		if (get_audit_call(f, &call) == -1)
			return -1;
		join_outcome(report, p->instance, f, &call, now);
	} else {
		return -1;
	}
	group_room();
	return 0;
}

void
peers_drain(int authd_only)
{
	size_t i;

	for (i = 0; i < PEERS_MAX; i++)
		if (peers[i].channel != NULL &&
		    (!authd_only || peers[i].role == ROLE_AUTHD))
			channel_drain(peers[i].channel);
}

/* ---- they come and go --------------------------------------------------- */

static void
peer_clear(struct peer *p)
{
	p->channel = NULL;
	p->id = 0;
	buffer_free(&p->acks);
	buffer_free(&p->nacks);
}

static void
on_peer_closed(struct channel *ch, void *arg)
{
	struct peer *p = arg;
	enum role role = p->role;
	uint32_t instance = p->instance, crew = p->crew;

	log_debug("peer gone: %s", channel_name(ch));
	peer_clear(p);
	if (role == ROLE_AUTHD)
		join_authd_down(crew, now_ms());
	else
		join_handler_down(instance, now_ms());
}

/* Its predecessor's in its crew, or a free one; NULL: too many. */
static struct peer *
peer_place(const struct msg_peer *m)
{
	struct peer *free_place = NULL;
	size_t i;

	for (i = 0; i < PEERS_MAX; i++) {
		if (peers[i].channel == NULL) {
			if (free_place == NULL)
				free_place = &peers[i];
		} else if (peers[i].role == (enum role)m->role &&
		    peers[i].index == m->index && peers[i].crew == m->crew) {
			return &peers[i];
		}
	}
	return free_place;
}

/* Another process in the place of one whose last words may be unread. */
static void
peer_replace(struct peer *p, uint32_t instance)
{
	struct channel *ch = p->channel;

	if (ch == NULL)
		return;
	channel_drain(ch);
	/* Its end may have been among what was read. */
	if (p->channel != ch)
		return;
	channel_close(ch);
	if (p->role == ROLE_HANDLER && p->instance != instance) {
		peer_clear(p);
		join_handler_down(p->instance, now_ms());
	} else {
		peer_clear(p);
	}
}

void
peers_add(const struct msg_peer *m, int fd)
{
	static const struct channel_ops ops = {
		.frame = on_report, .closed = on_peer_closed
	};
	char name[32];
	struct peer *p;

	p = m->role == ROLE_AUTHD || m->role == ROLE_HANDLER ?
	    peer_place(m) : NULL;
	if (p == NULL) {
		log_warn("peer refused: %s %u", role_name((enum role)m->role),
		    m->index);
		close(fd);
		return;
	}
	peer_replace(p, m->instance);
	(void)snprintf(name, sizeof(name), "%s %u",
	    role_name((enum role)m->role), m->index);
	if ((p->channel = channel_new(child.base, fd, name, 0, &ops, p)) ==
	    NULL) {
		log_errno("peer %s", name);
		close(fd);
		return;
	}
	p->role = (enum role)m->role;
	p->index = m->index;
	p->instance = m->instance;
	p->crew = m->crew;
	/* 0 is nobody. */
	if (++last_id == 0 || last_id == PARENT_ID)
		last_id = 1;
	p->id = last_id;
	buffer_init(&p->acks, REPORTS_MAX * 2 * sizeof(uint64_t));
	buffer_init(&p->nacks, REPORTS_MAX * 2 * sizeof(uint64_t));
	if (p->role == ROLE_AUTHD)
		join_authd_up(p->crew);
	else
		join_handler_up(p->instance);
	tell_able(p);
}
