/* SPDX-License-Identifier: ISC */

/*
 * authd/base64url.c: one spelling for each value and no other, shown for all
 * short texts there are; never a byte outside of what was given.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../authd/jose.h"
#include "../../common/compat.h"
#include "../../common/crypt.h"

#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))
#define CANARY		0xa5

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static ssize_t
decode(uint8_t *out, size_t size, const char *text, size_t len)
{
	struct slice in = { text, len };

	return base64url_decode(out, size, in);
}

/* RFC 4648 10, without the padding; RFC 7515 C. */
static void
the_examples_of_the_standards_decode(void **state)
{
	static const struct {
		const char	*text;
		const char	*bytes;
	} rows[] = {
		{ "", "" }, { "Zg", "f" }, { "Zm8", "fo" }, { "Zm9v", "foo" },
		{ "Zm9vYg", "foob" }, { "Zm9vYmE", "fooba" },
		{ "Zm9vYmFy", "foobar" }, { "A-z_4ME", "\x03\xec\xff\xe0\xc1" },
	};
	uint8_t out[16];
	ssize_t n;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		n = base64url_decode(out, sizeof(out), slice_of(rows[i].text));
		if (n != (ssize_t)strlen(rows[i].bytes) ||
		    memcmp(out, rows[i].bytes, (size_t)n) != 0)
			fail_msg("\"%s\": wanted %zu bytes, got %zd",
			    rows[i].text, strlen(rows[i].bytes), n);
	}
}

/* Any byte at any place of a full group: the 64 are taken, and no other. */
static void
only_the_alphabet_is_taken(void **state)
{
	char text[4];
	uint8_t out[3];
	int c, at, taken;

	(void)state;
	for (at = 0; at < 4; at++)
		for (c = 0; c < 256; c++) {
			memset(text, 'A', sizeof(text));
			text[at] = (char)c;
			taken = decode(out, sizeof(out), text, 4) == 3;
			if (taken != (c != 0 && strchr(alphabet, c) != NULL))
				fail_msg("byte 0x%02x at %d: wanted %d, got %d",
				    (unsigned int)c, at, !taken, taken);
		}
}

/* Of the 64 x 64 texts of two 256 stand for a byte, each for another. */
static void
a_byte_has_one_spelling(void **state)
{
	uint8_t out[1], seen[256] = { 0 };
	char text[2];
	int a, b, n = 0;

	(void)state;
	for (a = 0; a < 64; a++)
		for (b = 0; b < 64; b++) {
			text[0] = alphabet[a];
			text[1] = alphabet[b];
			if (decode(out, sizeof(out), text, 2) == -1)
				continue;
			n++;
			assert_int_equal(seen[out[0]]++, 0);
			assert_int_equal(out[0], a << 2 | b >> 4);
		}
	assert_int_equal(n, 256);
}

static void
two_bytes_have_one_spelling(void **state)
{
	static uint8_t seen[65536];
	uint8_t out[2];
	char text[3];
	int i, n = 0;

	(void)state;
	for (i = 0; i < 64 * 64 * 64; i++) {
		text[0] = alphabet[i >> 12];
		text[1] = alphabet[i >> 6 & 63];
		text[2] = alphabet[i & 63];
		if (decode(out, sizeof(out), text, 3) == -1)
			continue;
		n++;
		assert_int_equal(seen[out[0] << 8 | out[1]]++, 0);
		assert_int_equal(out[0] << 8 | out[1], i >> 2);
	}
	assert_int_equal(n, 65536);
}

static void
padding_spaces_and_rests_are_refused(void **state)
{
	static const char *const bad[] = {
		"=", "==", "Zg=", "Zg==", "Zm8=", "Zm9v=", "Z", "Zm9vY",
		" Zg", "Zg ", "Z g", "Zm9v\n", "Zm9v\r\n", "\tZm9v", "Zm+v",
		"Zm/v", "Zm.v", "Zm9v.", "Zh", "Zm9", "Zm9vYh", "\xc2\xa0Zg",
	};
	uint8_t out[64];
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(bad); i++)
		if (base64url_decode(out, sizeof(out), slice_of(bad[i])) != -1)
			fail_msg("\"%s\": wanted a refusal", bad[i]);
	/* A NUL is a byte like any other, and none of the alphabet. */
	assert_int_equal(decode(out, sizeof(out), "Zg\0", 3), -1);
	assert_int_equal(decode(out, sizeof(out), "Zg\0\0", 4), -1);
}

/* From an allocation of the exact length, into one: the sanitizer looks on. */
static void
nothing_outside_is_read_or_written(void **state)
{
	uint8_t bytes[200], *out;
	char text[300], *exact;
	size_t len, room, text_len;
	ssize_t n;

	(void)state;
	for (len = 1; len < sizeof(bytes); len++) {
		random_bytes(bytes, sizeof(bytes));
		base64url_encode(text, bytes, len);
		text_len = strlen(text);
		assert_non_null(exact = malloc(text_len));
		memcpy(exact, text, text_len);
		for (room = len - 1; room <= len; room++) {
			assert_non_null(out = malloc(room + 1));
			out[room] = CANARY;
			n = decode(out, room, exact, text_len);
			if (n != (room < len ? -1 : (ssize_t)len))
				fail_msg("%zu bytes into %zu: got %zd", len,
				    room, n);
			assert_int_equal(out[room], CANARY);
			if (n != -1)
				assert_memory_equal(out, bytes, len);
			free(out);
		}
		free(exact);
	}
	assert_int_equal(decode(NULL, 0, NULL, 0), 0);
}

/* Whatever is taken is what encoding it gives. */
static void
what_is_taken_encodes_to_itself(void **state)
{
	char text[16], again[32];
	uint8_t raw[16], out[16];
	size_t len, i;
	int round, taken = 0;
	ssize_t n;

	(void)state;
	for (round = 0; round < 200000; round++) {
		random_bytes(raw, sizeof(raw));
		len = raw[15] % 12U;
		for (i = 0; i < len; i++)
			text[i] = alphabet[raw[i] % 64];
		if ((n = decode(out, sizeof(out), text, len)) == -1)
			continue;
		taken++;
		base64url_encode(again, out, (size_t)n);
		assert_int_equal(strlen(again), len);
		assert_memory_equal(again, text, len);
	}
	assert_true(taken > 20000);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_standards_decode),
		cmocka_unit_test(only_the_alphabet_is_taken),
		cmocka_unit_test(a_byte_has_one_spelling),
		cmocka_unit_test(two_bytes_have_one_spelling),
		cmocka_unit_test(padding_spaces_and_rests_are_refused),
		cmocka_unit_test(nothing_outside_is_read_or_written),
		cmocka_unit_test(what_is_taken_encodes_to_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
