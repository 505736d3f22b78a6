/* SPDX-License-Identifier: ISC */

/*
 * What every child of the parent does alike: take its orders on descriptor
 * 3, drop what it must not have, confine itself, meet its peers.
 *
 * The order is fixed: MSG_START (identity of the process), privileges are
 * dropped, configuration messages until MSG_CONFIG_END, sandbox, ready,
 * loop.  Peers arrive as MSG_PEER with a descriptor, at any time: a newer one
 * replaces the older one of the same role and index.
 */

#ifndef COMMON_PROC_H
#define COMMON_PROC_H

#include <stdint.h>

#include "frame.h"
#include "limits.h"

#define CONTROL_FD	3
/* A child that exits so asks the parent to end the daemon (on failure stop). */
#define EXIT_STOP_ALL	3

enum role {
	ROLE_PARENT,
	ROLE_LISTENER,
	ROLE_AUTHD,
	ROLE_HANDLER,
	ROLE_AUDITD,
	ROLE_FETCHER,
	ROLE_MAX
};

/* "listener"; the executable's name too. */
const char	*role_name(enum role);

struct msg_peer;

struct child_ops {
	/*
	 * One configuration message, before the sandbox.  -1 stops the start:
	 * the child has logged why.
	 */
	int	(*configure)(const struct frame *);
	/* All configuration is here; open what the sandbox will close. */
	int	(*prepare)(void);
	/* Enter the sandbox; -1 stops the start. */
	int	(*confine)(void);
	/* In the loop from here on.  The descriptor becomes the callee's. */
	void	(*peer)(const struct msg_peer *, int fd);
	/* A control message that is not proc.c's own; -1: malformed. */
	int	(*control)(const struct frame *);
	/* Puts the role's figures (stats.h); may be NULL. */
	void	(*stats)(struct buffer *);
	/* Finish what is in flight, then set child.stop.  Called once. */
	void	(*shutdown)(void);
	/* Once a loop turn, before channels are flushed; may be NULL. */
	void	(*turn)(void);
};

struct child {
	enum role		 role;
	uint32_t		 index;		/* among its role, from 0 */
	uint32_t		 instance;	/* counts every start of any child */
	struct event_base	*base;		/* made before prepare() */
	struct channel		*control;
	volatile int		 stop;
	int			 exit_code;	/* once stopped */
	uint64_t		 boot_id;	/* of the parent's start, random */
};

extern struct child child;

/*
 * For `closed' of the channel to a peer that we ask or report to: where the
 * peer itself ended it, tells the parent.  If that peer lives, it cut us off,
 * and we are started anew.  Never for a peer that asks us: it could have us
 * killed by hanging up.
 */
void	child_peer_gone(const struct channel *, enum role, uint32_t index);
/*
 * What we have is refused: asks the parent to read that secret again, and not
 * oftener than it does.  number: as in MSG_CREDENTIALS; asked_ms: 0 at first.
 */
void	child_ask_credentials(uint32_t number, uint64_t *asked_ms);
/* The whole life of a child; main() returns its value. */
int	child_main(enum role, const struct child_ops *);
/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t now_ms(void);
/* Microseconds of CLOCK_MONOTONIC. */
uint64_t now_us(void);
/* Microseconds since 1970, for records. */
uint64_t wall_us(void);

#endif
