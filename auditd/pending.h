/* SPDX-License-Identifier: ISC */

/*
 * The calls that wait: what is known of each until its record is durable.
 * join.c decides what becomes of them; this is the table alone.
 */

#ifndef AUDITD_PENDING_H
#define AUDITD_PENDING_H

#include "../common/compat.h"
#include "auditd.h"

enum pending_state {
	HELD,		/* a handler's report without a decision */
	DECIDED,	/* a decision that waits for its outcome */
	IN_GROUP,	/* its intent or its end is in the group */
	AGAIN		/* its end could not be recorded: to be tried again */
};

struct pending {
	RB_ENTRY(pending)	 by_id;
	RB_ENTRY(pending)	 by_question;
	TAILQ_ENTRY(pending)	 entry;
	TAILQ_ENTRY(pending)	 group_entry;
	uint8_t			 id[REQUEST_ID_LEN];
	enum pending_state	 state;
	int			 ending;	/* IN_GROUP: the last record */
	int			 intended;	/* its intent is recorded */
	int			 asked;		/* in by_question */
	int			 held_intent;	/* HELD: call is an intent */
	uint32_t		 handler;	/* instance */
	uint32_t		 crew;		/* of whoever reported it first */
	uint32_t		 listener;	/* instance */
	uint64_t		 question;
	uint64_t		 since_ms;
	enum outcome		 closed;	/* where no outcome came */
	enum reason		 reason;
	struct report		 decision_report;
	struct report		 call_report;
	unsigned char		*decision;	/* payload of the message */
	size_t			 decision_len;
	unsigned char		*call;		/* the same, intent or outcome */
	size_t			 call_len;
	char			*line;		/* of its intent, after a restart */
	size_t			 line_len;
};

TAILQ_HEAD(pending_list, pending);

struct pendings {
	struct pending_list	list;	/* oldest first */
	struct pending_list	group;	/* those IN_GROUP */
	size_t			count;
	size_t			held;
};
extern struct pendings pendings;

struct pending *pending_find(const uint8_t id[REQUEST_ID_LEN]);
/* NULL after a log line: the table is full, or no memory. */
struct pending *pending_new(const uint8_t id[REQUEST_ID_LEN],
	    enum pending_state, uint64_t now_ms);
void	 pending_free(struct pending *);
void	 pending_state(struct pending *, enum pending_state);
/* Makes it the one that stands for its question; returns the one before. */
struct pending *pending_ask(struct pending *);
void	 pending_drop_call(struct pending *);
/* Keeps a copy of the payload; 0, or -1. */
int	 payload_keep(unsigned char **, size_t *len, const struct frame *);
/* What was kept, read again; NULL where there is none. */
const struct msg_audit_decision *pending_decision(const struct pending *,
	    struct msg_audit_decision *);
const struct msg_audit_call *pending_call(const struct pending *,
	    struct msg_audit_call *);

#endif
