/* SPDX-License-Identifier: ISC */

/*
 * common/frame.c: what a sibling process may send, and what becomes of one
 * that does not keep the rules.  The attacker here holds the other end of
 * the socketpair and writes bytes of its own choice.
 */

#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <cmocka.h>

#include <event2/event.h>

#include "../../common/compat.h"
#include "../../common/frame.h"
#include "../../common/log.h"
#include "../../common/message.h"

#define KEPT	64

struct end {
	struct channel	*ch;
	size_t		 frames;
	uint64_t	 ids[KEPT];
	uint16_t	 types[KEPT];
	size_t		 lengths[KEPT];
	unsigned char	 first[KEPT];
	int		 fd;
	int		 closed;
	int		 drained;
	int		 refuse;	/* call the next payload malformed */
	int		 close_inside;
	int		 pause_inside;
};

static struct event_base *base;

static int
on_frame(struct channel *ch, const struct frame *f, void *arg)
{
	struct end *e = arg;

	if (e->frames < KEPT) {
		e->ids[e->frames] = f->id;
		e->types[e->frames] = f->type;
		e->lengths[e->frames] = f->length;
		e->first[e->frames] = f->length ? f->payload[0] : 0;
	}
	e->frames++;
	if (f->fd != -1)
		e->fd = f->fd;
	if (e->close_inside) {
		channel_close(ch);
		e->ch = NULL;
	}
	if (e->pause_inside)
		channel_pause(ch);
	return e->refuse ? -1 : 0;
}

static void
on_closed(struct channel *ch, void *arg)
{
	struct end *e = arg;

	(void)ch;
	e->closed++;
	e->ch = NULL;
}

static void
on_drained(struct channel *ch, void *arg)
{
	(void)ch;
	((struct end *)arg)->drained++;
}

static const struct channel_ops ops = { on_frame, on_closed, on_drained };

static void
turn(void)
{
	channels_flush();
	event_base_loop(base, EVLOOP_NONBLOCK);
	channels_flush();
}

/* e reads what is written to the descriptor that is returned. */
static int
victim(struct end *e, int accept_fds)
{
	int sv[2];

	memset(e, 0, sizeof(*e));
	e->fd = -1;
	assert_int_equal(channel_pair(sv), 0);
	e->ch = channel_new(base, sv[0], "attacker", accept_fds, &ops, e);
	assert_non_null(e->ch);
	return sv[1];
}

static void
put(int fd, uint32_t length, uint16_t type, uint16_t flags, uint64_t id,
    size_t payload)
{
	struct frame_header h = { length, type, flags, id };
	static unsigned char bytes[4096];

	assert_int_equal(send(fd, &h, sizeof(h), 0), sizeof(h));
	if (payload > 0)
		assert_int_equal(send(fd, bytes, payload, 0), payload);
}

static void
frames_arrive_in_order_and_whole(void **state)
{
	struct end a, b;
	int sv[2], i;

	(void)state;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	assert_int_equal(channel_pair(sv), 0);
	a.ch = channel_new(base, sv[0], "a", 0, &ops, &a);
	b.ch = channel_new(base, sv[1], "b", 0, &ops, &b);
	for (i = 0; i < 10; i++) {
		unsigned char payload[300] = { (unsigned char)i };

		assert_int_equal(channel_send(a.ch, MSG_CALL, (uint64_t)i,
		    payload, (size_t)i * 30), 0);
	}
	turn();
	assert_int_equal(b.frames, 10);
	for (i = 0; i < 10; i++) {
		assert_int_equal(b.ids[i], i);
		assert_int_equal(b.lengths[i], i * 30);
		assert_int_equal(b.first[i], i == 0 ? 0 : i);
	}
	channel_close(a.ch);
	turn();
	turn();
	assert_int_equal(b.closed, 1);
	assert_int_equal(a.closed, 0);
}

static void
a_malformed_header_ends_the_connection(void **state)
{
	static const struct {
		const char	*what;
		uint32_t	 length;
		uint16_t	 type;
		uint16_t	 flags;
	} bad[] = {
		{ "length over the bound", FRAME_PAYLOAD_MAX + 1, MSG_CALL, 0 },
		{ "the largest length", UINT32_MAX, MSG_CALL, 0 },
		{ "type zero", 0, MSG_NONE, 0 },
		{ "type past the last", 0, MSG_MAX, 0 },
		{ "the largest type", 0, UINT16_MAX, 0 },
		{ "an unknown flag", 0, MSG_CALL, 2 },
		{ "a descriptor that may not come", 0, MSG_CALL,
		    FRAME_FLAG_FD },
	};
	struct end e;
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fd = victim(&e, 0);
		put(fd, 0, MSG_CALL, 0, 1, 0);
		put(fd, bad[i].length, bad[i].type, bad[i].flags, 2, 0);
		put(fd, 0, MSG_CALL, 0, 3, 0);
		turn();
		if (e.frames != 1 || e.closed != 1)
			fail_msg("%s: wanted 1 frame and a close, got %zu and %d",
			    bad[i].what, e.frames, e.closed);
		close(fd);
	}
}

static void
a_payload_that_is_called_malformed_ends_the_connection(void **state)
{
	struct end e;
	int fd = victim(&e, 0);

	(void)state;
	e.refuse = 1;
	put(fd, 3, MSG_CALL, 0, 1, 3);
	put(fd, 3, MSG_CALL, 0, 2, 3);
	turn();
	assert_int_equal(e.frames, 1);
	assert_int_equal(e.closed, 1);
	close(fd);
}

static void
a_frame_in_single_bytes_arrives(void **state)
{
	struct frame_header h = { 5, MSG_CALL, 0, 77 };
	unsigned char bytes[sizeof(h) + 5] = { 0 };
	struct end e;
	int fd = victim(&e, 0);
	size_t i;

	(void)state;
	memcpy(bytes, &h, sizeof(h));
	bytes[sizeof(h)] = 'x';
	for (i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(e.frames, 0);
		assert_int_equal(send(fd, bytes + i, 1, 0), 1);
		turn();
	}
	assert_int_equal(e.frames, 1);
	assert_int_equal(e.ids[0], 77);
	assert_int_equal(e.first[0], 'x');
	channel_close(e.ch);
	turn();
	close(fd);
}

static void
an_unfinished_frame_is_dropped_with_its_sender(void **state)
{
	struct end e;
	int fd = victim(&e, 0);

	(void)state;
	put(fd, 100, MSG_CALL, 0, 1, 50);
	turn();
	close(fd);
	turn();
	assert_int_equal(e.frames, 0);
	assert_int_equal(e.closed, 1);
}

static void
a_frame_that_waits_is_seen_and_left_where_it_is(void **state)
{
	static const unsigned char start[7];
	struct end e;
	int fd = victim(&e, 0);

	(void)state;
	assert_int_equal(channel_has(e.ch, MSG_CANCEL, 5), 0);
	/* Half a header is kept by the channel, the rest is at the socket. */
	{
		struct frame_header h = { 100, MSG_CALL, 0, 4 };

		assert_int_equal(send(fd, &h, 9, 0), 9);
		turn();
		assert_int_equal(send(fd, (char *)&h + 9, sizeof(h) - 9, 0),
		    sizeof(h) - 9);
	}
	assert_int_equal(channel_has(e.ch, MSG_CALL, 4), 1);
	assert_int_equal(send(fd, start, sizeof(start), 0), sizeof(start));
	turn();
	{
		static const unsigned char rest[100 - sizeof(start)];

		assert_int_equal(send(fd, rest, sizeof(rest), 0), sizeof(rest));
	}
	put(fd, 0, MSG_CANCEL, 0, 5, 0);
	assert_int_equal(channel_has(e.ch, MSG_CANCEL, 5), 1);
	assert_int_equal(channel_has(e.ch, MSG_CANCEL, 4), 0);
	assert_int_equal(channel_has(e.ch, MSG_CALL, 5), 0);
	/* A malformed one hides what is behind it, and ends nothing here. */
	put(fd, FRAME_PAYLOAD_MAX + 1, MSG_CALL, 0, 6, 0);
	put(fd, 0, MSG_CANCEL, 0, 7, 0);
	assert_int_equal(channel_has(e.ch, MSG_CANCEL, 7), 0);
	assert_int_equal(e.closed, 0);
	turn();
	assert_int_equal(e.frames, 2);
	assert_int_equal(e.ids[1], 5);
	assert_int_equal(e.closed, 1);
	close(fd);
}

static void
a_channel_may_be_closed_inside_its_callback(void **state)
{
	struct end e;
	int fd = victim(&e, 0);

	(void)state;
	e.close_inside = 1;
	put(fd, 0, MSG_CALL, 0, 1, 0);
	put(fd, 0, MSG_CALL, 0, 2, 0);
	turn();
	assert_int_equal(e.frames, 1);
	assert_int_equal(e.closed, 0);
	close(fd);
}

static void
a_paused_channel_takes_up_where_it_stopped(void **state)
{
	struct end e;
	int fd = victim(&e, 0);

	(void)state;
	e.pause_inside = 1;
	put(fd, 0, MSG_CALL, 0, 1, 0);
	put(fd, 0, MSG_CALL, 0, 2, 0);
	turn();
	turn();
	assert_int_equal(e.frames, 1);
	e.pause_inside = 0;
	channel_resume(e.ch);
	turn();
	assert_int_equal(e.frames, 2);
	channel_close(e.ch);
	turn();
	close(fd);
}

static void
a_peer_that_does_not_read_is_bounded_and_cut_off(void **state)
{
	static unsigned char block[1 << 20];
	struct end e;
	int fd = victim(&e, 0), full_at = -1, i, rc = 0;

	(void)state;
	for (i = 0; i < 200 && rc == 0; i++) {
		rc = channel_send(e.ch, MSG_CALL, (uint64_t)i, block,
		    sizeof(block));
		if (full_at == -1 && channel_full(e.ch))
			full_at = i;
	}
	assert_int_equal(rc, -1);
	assert_in_range(full_at, 7, 9);
	assert_in_range(i, 32, 36);
	assert_int_equal(e.closed, 0);
	turn();
	assert_int_equal(e.closed, 1);
	close(fd);
}

static void
a_reader_that_catches_up_lets_the_sender_go_on(void **state)
{
	static unsigned char block[1 << 20];
	struct end a, b;
	int sv[2], i;

	(void)state;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	assert_int_equal(channel_pair(sv), 0);
	a.ch = channel_new(base, sv[0], "a", 0, &ops, &a);
	b.ch = channel_new(base, sv[1], "b", 0, &ops, &b);
	for (i = 0; i < 12; i++)
		assert_int_equal(channel_send(a.ch, MSG_CALL, 1, block,
		    sizeof(block)), 0);
	assert_true(channel_full(a.ch));
	for (i = 0; i < 10000 && b.frames < 12; i++)
		turn();
	assert_int_equal(b.frames, 12);
	assert_int_equal(a.drained, 1);
	assert_false(channel_full(a.ch));
	channel_close(a.ch);
	channel_close(b.ch);
	turn();
}

static void
a_frame_that_is_too_large_is_not_sent(void **state)
{
	static unsigned char block[FRAME_PAYLOAD_MAX + 1];
	struct end e;
	int fd = victim(&e, 0);

	(void)state;
	assert_int_equal(channel_send(e.ch, MSG_CALL, 1, block,
	    sizeof(block)), -1);
	assert_int_equal(channel_queued(e.ch), 0);
	assert_int_equal(channel_send(e.ch, MSG_CALL, 1, block, 10), 0);
	channel_close(e.ch);
	turn();
	close(fd);
}

static size_t
open_descriptors(void)
{
	size_t n = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void
a_descriptor_arrives_with_its_frame_where_it_may(void **state)
{
	struct end e;
	int fd = victim(&e, 1), pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	put(fd, 0, MSG_CALL, 0, 1, 0);
	assert_int_equal(frame_transmit(fd, MSG_PEER, 2, "ab", 2, pipes[1]), 0);
	turn();
	assert_int_equal(e.frames, 2);
	assert_int_not_equal(e.fd, -1);
	assert_int_equal(write(e.fd, "!", 1), 1);
	close(e.fd);
	close(pipes[0]);
	close(pipes[1]);
	channel_close(e.ch);
	turn();
	close(fd);
}

static void
descriptors_that_may_not_come_are_not_kept(void **state)
{
	size_t before = open_descriptors();
	struct end e;
	int fd = victim(&e, 0), i;

	(void)state;
	for (i = 0; i < 3; i++)
		(void)frame_transmit(fd, MSG_PEER, 2, NULL, 0, 0);
	turn();
	assert_int_equal(e.closed, 1);
	assert_int_equal(e.fd, -1);
	close(fd);
	turn();
	assert_int_equal(open_descriptors(), before);
}

static void
a_flag_without_a_descriptor_is_malformed(void **state)
{
	struct end e;
	int fd = victim(&e, 1);

	(void)state;
	put(fd, 0, MSG_PEER, FRAME_FLAG_FD, 1, 0);
	turn();
	assert_int_equal(e.frames, 0);
	assert_int_equal(e.closed, 1);
	close(fd);
}

/* It takes a little every now and then: as a whole it has its time, too. */
static void
who_reads_slowly_does_not_hold_the_sender_of_a_descriptor(void **state)
{
	static const struct timespec pause = { 0, 200000000 };
	static unsigned char block[1 << 20];
	char some[32768];
	struct end e;
	int fd = victim(&e, 0), i;
	pid_t reader;

	(void)state;
	for (i = 0; i < 8; i++)
		assert_int_equal(channel_send(e.ch, MSG_CALL, 1, block,
		    sizeof(block)), 0);
	if ((reader = fork()) == 0) {
		for (i = 0; i < 1000 && recv(fd, some, sizeof(some), 0) !=
		    0; i++)
			(void)nanosleep(&pause, NULL);
		_exit(0);
	}
	assert_int_not_equal(reader, -1);
	assert_int_equal(channel_send_fd(e.ch, MSG_PEER, 2, "ab", 2, 0), -1);
	turn();
	assert_int_equal(e.closed, 1);
	(void)kill(reader, SIGKILL);
	assert_int_equal(waitpid(reader, NULL, 0), reader);
	close(fd);
}

static int
setup(void **state)
{
	(void)state;
	log_init("test", 1, 0);
	base = event_base_new();
	return base == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	event_base_free(base);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_arrive_in_order_and_whole),
		cmocka_unit_test(a_malformed_header_ends_the_connection),
		cmocka_unit_test(
		    a_payload_that_is_called_malformed_ends_the_connection),
		cmocka_unit_test(a_frame_in_single_bytes_arrives),
		cmocka_unit_test(an_unfinished_frame_is_dropped_with_its_sender),
		cmocka_unit_test(a_frame_that_waits_is_seen_and_left_where_it_is),
		cmocka_unit_test(a_channel_may_be_closed_inside_its_callback),
		cmocka_unit_test(a_paused_channel_takes_up_where_it_stopped),
		cmocka_unit_test(a_peer_that_does_not_read_is_bounded_and_cut_off),
		cmocka_unit_test(a_reader_that_catches_up_lets_the_sender_go_on),
		cmocka_unit_test(a_frame_that_is_too_large_is_not_sent),
		cmocka_unit_test(a_descriptor_arrives_with_its_frame_where_it_may),
		cmocka_unit_test(descriptors_that_may_not_come_are_not_kept),
		cmocka_unit_test(a_flag_without_a_descriptor_is_malformed),
		cmocka_unit_test(
		    who_reads_slowly_does_not_hold_the_sender_of_a_descriptor),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
