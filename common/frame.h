/* SPDX-License-Identifier: ISC */

/*
 * The one framing of all socketpairs: a fixed header (length, type, flags,
 * id), then the payload.  Both ends run on one machine, so numbers are in
 * host order.  Nothing that arrives is believed: every field is checked
 * against its bound before use, and the first malformed frame ends the
 * connection with a line in the log.
 *
 * A channel is one end of such a socketpair in an event loop.  What is sent
 * within one turn of the loop leaves in one system call at its end
 * (loop_run), which is what makes the chain of processes cheap.
 */

#ifndef COMMON_FRAME_H
#define COMMON_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

/* Bytes of payload in one frame: the largest body or result, and its envelope. */
#define FRAME_PAYLOAD_MAX	(4U << 20)
/* Bytes that may wait to be sent to one peer; beyond it channel_full(),
 * unless channel_water() says another number. */
#define CHANNEL_HIGH_WATER	(8U << 20)
/* Bytes that are the end: a peer that lets so much pile up is cut off. */
#define CHANNEL_QUEUE_MAX	(32U << 20)

#define FRAME_FLAG_FD		0x0001	/* a descriptor travels with it */

struct frame_header {
	uint32_t	length;		/* bytes of payload */
	uint16_t	type;		/* enum message_type */
	uint16_t	flags;		/* FRAME_FLAG_* */
	uint64_t	id;		/* sender's; an answer repeats it */
};

struct frame {
	uint16_t	 type;
	uint64_t	 id;
	const unsigned char *payload;	/* valid until the callback returns */
	size_t		 length;
	int		 fd;		/* -1, or a descriptor the callback owns */
};

struct event_base;
struct channel;

struct channel_ops {
	/*
	 * One well-framed frame.  Returns 0, or -1 where the payload is not
	 * what its type promises: the channel is then closed as malformed.
	 * May free the channel by channel_close() only.
	 */
	int	(*frame)(struct channel *, const struct frame *, void *);
	/*
	 * The peer is gone or was cut off.  Called once, the channel is freed
	 * after it returns: forget the pointer.
	 */
	void	(*closed)(struct channel *, void *);
	/* The queue fell below half of the high-water mark again; may be NULL. */
	void	(*drained)(struct channel *, void *);
};

/*
 * Takes ownership of fd (made non-blocking).  name is copied, for the log.
 * accept_fds: whether descriptors may arrive (only on a child's control
 * channel); elsewhere a flagged frame is malformed and the kernel drops what
 * was attached.  Returns NULL with errno.
 */
struct channel *channel_new(struct event_base *, int fd, const char *name,
	    int accept_fds, const struct channel_ops *, void *arg);
/*
 * Closes from our side; no callback follows.  Safe inside callbacks.
 * Queued output gets one attempt to leave.
 */
void	 channel_close(struct channel *);
/*
 * Queues one frame.  Returns 0, or -1 where the channel is closing or the
 * queue is at its end (the channel is then cut off and `closed' follows).
 */
int	 channel_send(struct channel *, uint16_t type, uint64_t id,
	    const void *payload, size_t length);
/*
 * The same without a copy: begin returns the buffer to append the payload
 * to (or NULL), commit checks and queues it.  Nothing else may be sent on the
 * channel in between.  commit returns -1 where the payload was too large or
 * memory ran out (nothing is sent).
 */
struct buffer *channel_begin(struct channel *, uint16_t type, uint64_t id);
int	 channel_commit(struct channel *);
/* Sends a frame with a descriptor; closes fd in this process when it left. */
int	 channel_send_fd(struct channel *, uint16_t type, uint64_t id,
	    const void *payload, size_t length, int fd);
/* Whether the sender should stop producing for this peer. */
int	 channel_full(const struct channel *);
void	 channel_water(struct channel *, size_t bytes);
/* The peer may send so many bytes of payload in a frame, no more. */
void	 channel_bound(struct channel *, size_t max);
/* Stop and start reading: back-pressure towards the peer. */
void	 channel_pause(struct channel *);
void	 channel_resume(struct channel *);
/*
 * Handles this channel before all others that are ready in a turn: an order
 * of the parent then overtakes what follows from it.  The base has two
 * priorities.
 */
void	 channel_urgent(struct channel *);
/* Secrets pass here: what was sent or handled is cleared from memory. */
void	 channel_secret(struct channel *);
/*
 * Whether a frame of that type and id is among the next that wait to be
 * handled: for who works long and cannot go back to the loop.  It is left
 * where it is; what stands behind more than READ_CHUNK bytes is not seen.
 */
int	 channel_has(struct channel *, uint16_t type, uint64_t id);
/* Handles what has arrived already, without waiting for the loop. */
void	 channel_drain(struct channel *);
/*
 * Inside `closed': whether we ended it, for a malformed frame or a queue that
 * was too long.  Otherwise the peer did, or died.
 */
int	 channel_was_cut(const struct channel *);
/* Bytes waiting to be sent. */
size_t	 channel_queued(const struct channel *);
const char *channel_name(const struct channel *);

/*
 * Runs the loop until *stop is not 0: each turn handles what is ready, calls
 * turn (may be NULL) and then flushes every channel that has output, oldest
 * first.
 */
void	 loop_run(struct event_base *, volatile int *stop,
	    void (*turn)(void *), void *arg);
/* Flushes every channel at once; a sender of ordered facts may force it. */
void	 channels_flush(void);

/*
 * Blocking exchange on a descriptor with no loop yet (a child's start-up).
 * frame_receive() puts the payload in buf, and the descriptor, if any, in
 * *fd (-1 otherwise).  Returns 1, 0 at end of file, -1 with errno (EPROTO
 * for a malformed frame).
 */
int	 frame_receive(int sock, struct frame *, struct buffer *buf);
int	 frame_transmit(int sock, uint16_t type, uint64_t id,
	    const void *payload, size_t length, int fd);

/* A non-blocking, close-on-exec SOCK_STREAM pair with large buffers. */
int	 channel_pair(int [2]);

#endif
