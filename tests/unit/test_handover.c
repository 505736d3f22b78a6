/* SPDX-License-Identifier: ISC */
/* link: daemon/handover.c */

/*
 * The words between two parents: they may be of any two versions, so what is
 * too long, unknown or cut must do no harm, and an end must be noticed.
 */

#include <sys/socket.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../common/compat.h"
#include "../../common/version.h"
#include "../../daemon/parent.h"

static int ends[2];
static char word[HANDOVER_WORD_MAX];
static char *text;

static int
setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0, ends);
}

static int
teardown(void **state)
{
	(void)state;
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void
a_word_arrives_with_its_text_and_in_order(void **state)
{
	(void)state;
	assert_int_equal(handover_say(ends[0], "risen", "123-4"), 0);
	assert_int_equal(handover_say(ends[0], "audits", NULL), 0);
	assert_int_equal(handover_say(ends[0], "refused", "a b\nc"), 0);
	assert_int_equal(handover_hear(ends[1], word, &text), 1);
	assert_string_equal(word, "risen");
	assert_string_equal(text, "123-4");
	assert_int_equal(handover_hear(ends[1], word, &text), 1);
	assert_string_equal(word, "audits");
	assert_string_equal(text, "");
	assert_int_equal(handover_hear(ends[1], word, &text), 1);
	assert_string_equal(word, "refused");
	assert_string_equal(text, "a b\nc");
	assert_int_equal(handover_hear(ends[1], word, &text), 0);
}

static void
a_text_that_is_too_long_is_cut(void **state)
{
	static char longer[2 * HANDOVER_WORD_MAX];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	assert_int_equal(handover_say(ends[0], "refused", longer), 0);
	assert_int_equal(handover_hear(ends[1], word, &text), 1);
	assert_string_equal(word, "refused");
	assert_int_equal(strlen(text), HANDOVER_WORD_MAX - 1 -
	    strlen("refused "));
	/* A datagram of another's that is longer than we have room for. */
	assert_int_equal(send(ends[0], longer, sizeof(longer), MSG_NOSIGNAL),
	    sizeof(longer));
	assert_int_equal(handover_hear(ends[1], word, &text), 1);
	assert_int_equal(strlen(word), HANDOVER_WORD_MAX - 1);
	assert_string_equal(text, "");
	assert_int_equal(handover_hear(ends[1], word, &text), 0);
}

static void
bytes_that_are_no_text_end_the_word_early(void **state)
{
	(void)state;
	assert_int_equal(send(ends[0], "stop\0 now", 9, MSG_NOSIGNAL), 9);
	assert_int_equal(handover_hear(ends[1], word, &text), 1);
	assert_string_equal(word, "stop");
	assert_string_equal(text, "");
	assert_int_equal(send(ends[0], " ", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(handover_hear(ends[1], word, &text), 1);
	assert_string_equal(word, "");
	assert_string_equal(text, "");
}

static void
the_end_of_the_other_is_noticed_behind_its_last_word(void **state)
{
	(void)state;
	assert_int_equal(handover_say(ends[0], "refused", "why"), 0);
	close(ends[0]);
	assert_int_equal(handover_hear(ends[1], word, &text), 1);
	assert_string_equal(text, "why");
	assert_int_equal(handover_hear(ends[1], word, &text), -1);
	assert_int_equal(handover_say(ends[1], "journal", NULL), -1);
	ends[0] = dup(ends[1]);
}

static void
messages_are_the_same_only_where_they_are_known_to_be(void **state)
{
	(void)state;
	assert_true(strlen(program_messages) > 0);
	assert_int_equal(handover_same_messages(program_messages), 1);
	assert_int_equal(handover_same_messages(""), 0);
	assert_int_equal(handover_same_messages("1-2"), 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_word_arrives_with_its_text_and_in_order),
		T(a_text_that_is_too_long_is_cut),
		T(bytes_that_are_no_text_end_the_word_early),
		T(the_end_of_the_other_is_noticed_behind_its_last_word),
		T(messages_are_the_same_only_where_they_are_known_to_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
