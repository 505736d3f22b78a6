/* SPDX-License-Identifier: ISC */

/*
 * Any bytes from a sibling, in any pieces: the channel hands out frames whose
 * bounds hold, or closes.  What it hands out, joined again, is what came.
 * The first byte says how the rest is cut.
 */

#include <sys/socket.h>

#include <event2/event.h>

#include "../../common/compat.h"
#include "../../common/frame.h"
#include "../../common/log.h"
#include "../../common/message.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct {
	const uint8_t	*sent;
	size_t		 len;
	size_t		 seen;		/* bytes of whole frames */
	int		 over;
} now;

static int
on_frame(struct channel *ch, const struct frame *f, void *arg)
{
	struct frame_header h;

	(void)ch;
	(void)arg;
	if (f->length > FRAME_PAYLOAD_MAX || f->fd != -1 ||
	    now.seen + sizeof(h) + f->length > now.len)
		abort();
	memcpy(&h, now.sent + now.seen, sizeof(h));
	if (h.length != f->length || h.type != f->type || h.id != f->id ||
	    memcmp(now.sent + now.seen + sizeof(h), f->payload, f->length) != 0)
		abort();
	now.seen += sizeof(h) + f->length;
	return f->type == MSG_NONE ? -1 : 0;
}

static void
on_closed(struct channel *ch, void *arg)
{
	(void)ch;
	(void)arg;
	now.over = 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct channel_ops ops = { on_frame, on_closed, NULL };
	static struct event_base *base;
	struct channel *ch;
	size_t at, n, step;
	int pair[2], turns;

	if (base == NULL && (base = event_base_new()) == NULL)
		abort();
	if (len < 2 || len > 8192)
		return 0;
	step = data[0] == 0 ? len : data[0];
	data++;
	len--;
	if (channel_pair(pair) == -1)
		abort();
	now.sent = data;
	now.len = len;
	now.seen = 0;
	now.over = 0;
	if ((ch = channel_new(base, pair[0], "fuzz", 0, &ops, NULL)) == NULL)
		abort();
	for (at = 0; at < len && !now.over; at += n) {
		n = len - at < step ? len - at : step;
		/* It may have hung up: that is an answer, too. */
		if (send(pair[1], data + at, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
	}
	close(pair[1]);
	for (turns = 0; turns < 1000 && !now.over; turns++)
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
	if (!now.over)
		abort();
	return 0;
}
