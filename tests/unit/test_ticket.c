/* SPDX-License-Identifier: ISC */

/* common/ticket.c: a ticket cannot be made, altered, replayed or widened. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/compat.h"
#include "../../common/crypt.h"
#include "../../common/ticket.h"

static const uint8_t key[KEY_LEN] = { 1, 2, 3 };
static const uint8_t other_key[KEY_LEN] = { 1, 2, 4 };

static void
sample(struct buffer *b)
{
	struct ticket t = { .generation = 3, .serial = 42, .expires_ms = 1000,
	    .tool = { "order_lookup", 12 },
	    .identity = { .kind = CREDENTIAL_KEY, .owner = { "alice", 5 } },
	    .rate = { 600, 60000, 50 } };

	memset(t.digest, 7, sizeof(t.digest));
	buffer_init(b, TICKET_MAX);
	ticket_seal(b, &t, key);
	assert_false(b->bad);
}

static void
a_sealed_ticket_opens(void **state)
{
	struct ticket t;
	struct buffer b;

	(void)state;
	sample(&b);
	assert_int_equal(ticket_generation(b.data, b.len), 3);
	assert_int_equal(ticket_open(&t, b.data, b.len, key), 0);
	assert_int_equal(t.serial, 42);
	assert_true(slice_is(t.tool, "order_lookup"));
	assert_true(slice_is(t.identity.owner, "alice"));
	assert_int_equal(t.digest[31], 7);
	assert_int_equal(t.rate.count, 600);
	assert_int_equal(t.rate.period_ms, 60000);
	assert_int_equal(t.rate.burst, 50);
	buffer_free(&b);
}

static void
no_bit_of_a_ticket_can_be_altered(void **state)
{
	struct ticket t;
	struct buffer b;
	size_t i;
	int bit;

	(void)state;
	sample(&b);
	for (i = 0; i < b.len; i++)
		for (bit = 0; bit < 8; bit++) {
			b.data[i] ^= (unsigned char)(1 << bit);
			assert_int_equal(ticket_open(&t, b.data, b.len, key),
			    -1);
			b.data[i] ^= (unsigned char)(1 << bit);
		}
	assert_int_equal(ticket_open(&t, b.data, b.len, key), 0);
	buffer_free(&b);
}

static void
a_cut_longer_or_foreign_ticket_is_refused(void **state)
{
	struct ticket t;
	struct buffer b;
	size_t i;

	(void)state;
	sample(&b);
	for (i = 0; i < b.len; i++)
		assert_int_equal(ticket_open(&t, b.data, i, key), -1);
	assert_int_equal(ticket_open(&t, b.data, b.len, other_key), -1);
	b.max = TICKET_MAX + 1;
	buffer_add_char(&b, 0);
	assert_int_equal(ticket_open(&t, b.data, b.len, key), -1);
	buffer_free(&b);
}

static void
a_well_sealed_lie_about_lengths_is_refused(void **state)
{
	struct ticket t;
	struct buffer b;
	uint8_t mac[DIGEST_LEN];
	size_t at;

	(void)state;
	/* Whoever holds the key still cannot make the reader run over. */
	sample(&b);
	for (at = 0; at + 4 < b.len - DIGEST_LEN; at++) {
		unsigned char save[4];

		memcpy(save, b.data + at, 4);
		memset(b.data + at, 0xff, 4);
		hmac_sha256(key, b.data, b.len - DIGEST_LEN, mac);
		memcpy(b.data + b.len - DIGEST_LEN, mac, sizeof(mac));
		(void)ticket_open(&t, b.data, b.len, key);
		memcpy(b.data + at, save, 4);
	}
	buffer_free(&b);
}

static void
a_serial_is_good_once(void **state)
{
	struct ticket_window w;

	(void)state;
	ticket_window_init(&w);
	assert_int_equal(ticket_window_use(&w, 0), -1);
	assert_int_equal(ticket_window_use(&w, 1), 0);
	assert_int_equal(ticket_window_use(&w, 1), -1);
	assert_int_equal(ticket_window_use(&w, 5), 0);
	assert_int_equal(ticket_window_use(&w, 3), 0);
	assert_int_equal(ticket_window_use(&w, 3), -1);
	assert_int_equal(ticket_window_use(&w, 5), -1);
	assert_int_equal(ticket_window_use(&w, UINT64_MAX), -1);
}

static void
the_window_moves_and_forgets_nothing_inside(void **state)
{
	struct ticket_window w;
	uint64_t top, n;

	(void)state;
	ticket_window_init(&w);
	for (top = 1; top <= 3 * TICKET_WINDOW; top += 3)
		assert_int_equal(ticket_window_use(&w, top), 0);
	top -= 3;
	for (n = top - TICKET_WINDOW + 1; n <= top; n++)
		assert_int_equal(ticket_window_use(&w, n),
		    n % 3 == 1 ? -1 : 0);
	for (n = top - TICKET_WINDOW + 1; n <= top; n++)
		assert_int_equal(ticket_window_use(&w, n), -1);
	assert_int_equal(ticket_window_use(&w, top - TICKET_WINDOW), -1);
	assert_int_equal(ticket_window_use(&w, top + 10 * TICKET_WINDOW), 0);
	assert_int_equal(ticket_window_use(&w, top), -1);
	assert_int_equal(ticket_window_use(&w, top + 10 * TICKET_WINDOW - 1), 0);
	assert_int_equal(ticket_window_use(&w, top + 10 * TICKET_WINDOW - 1), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_ticket_opens),
		cmocka_unit_test(no_bit_of_a_ticket_can_be_altered),
		cmocka_unit_test(a_cut_longer_or_foreign_ticket_is_refused),
		cmocka_unit_test(a_well_sealed_lie_about_lengths_is_refused),
		cmocka_unit_test(a_serial_is_good_once),
		cmocka_unit_test(the_window_moves_and_forgets_nothing_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
