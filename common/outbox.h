/* SPDX-License-Identifier: ISC */

/*
 * What a process has told auditd and auditd has not acknowledged.  A report
 * is kept, rendered, until it is durable, and sent again to a new auditd,
 * whether somebody still waits for it or not.  A process has one outbox.
 */

#ifndef COMMON_OUTBOX_H
#define COMMON_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "frame.h"

/*
 * Takes the payload over and sends it, now or to the next auditd.  owner is
 * handed back when it is acknowledged; NULL: nobody waits.  Returns 0, or -1:
 * no room, and the payload is freed.
 */
int	outbox_send(uint16_t type, struct buffer *payload, void *owner);
/* A new auditd: all that is open goes to it, in order. */
void	outbox_peer(struct channel *);
void	outbox_gone(void);
/* Whether auditd is there and keeps up. */
int	outbox_connected(void);
/* Whether auditd is there and does not keep up. */
int	outbox_stuck(void);
size_t	outbox_open(void);
/* MSG_AUDIT_ACK or _NACK: calls done for each owner; -1: malformed. */
int	outbox_acks(const struct frame *,
	    void (*done)(void *owner, int durable));
/* The owner does not wait any more. */
void	outbox_disown(const void *owner);
void	outbox_each(void (*visit)(void *owner, void *arg), void *arg);

#endif
