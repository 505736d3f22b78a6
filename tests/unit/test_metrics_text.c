/* SPDX-License-Identifier: ISC */
/* link: daemon/listener/metrics_text.c */

/*
 * daemon/listener/metrics_text.c: the text that Prometheus reads.  Each
 * figure has its HELP and TYPE once, labels are escaped, buckets add up, and
 * what is malformed makes no text.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/compat.h"
#include "../../common/series.h"
#include "../../daemon/listener/metrics.h"

static char got[65536];

static const char *
text(const struct buffer *payload)
{
	struct buffer b;

	buffer_init(&b, sizeof(got) - 1);
	if (metrics_text(&b, payload->data, payload->len) == -1) {
		buffer_free(&b);
		return NULL;
	}
	memcpy(got, b.data == NULL ? (unsigned char *)"" : b.data, b.len);
	got[b.len] = '\0';
	buffer_free(&b);
	return got;
}

static unsigned int
times_in(const char *s, const char *what)
{
	unsigned int n = 0;

	while ((s = strstr(s, what)) != NULL) {
		s++;
		n++;
	}
	return n;
}

static void
has(const char *s, const char *what)
{
	if (s == NULL || strstr(s, what) == NULL)
		fail_msg("wanted %s, got %s", what, s == NULL ? "nothing" : s);
}

static void
labels_are_escaped_and_heads_come_once(void **state)
{
	struct stat_cell one = { STAT_CALLS, 0, 0, 3 };
	struct buffer b;
	const char *s;

	(void)state;
	buffer_init(&b, 4096);
	put_series(&b, slice_of("a\"b\\c\nd"), slice_of("ok"), &one, 1);
	one.value = UINT64_MAX;
	put_series(&b, slice_of("e"), slice_of("timeout"), &one, 1);
	s = text(&b);
	has(s, "pontifexd_calls_total{tool=\"a\\\"b\\\\c\\nd\",outcome=\"ok\"} 3\n");
	has(s, "{tool=\"e\",outcome=\"timeout\"} 18446744073709551615\n");
	assert_int_equal(times_in(s, "# TYPE pontifexd_calls_total counter\n"),
	    1);
	assert_int_equal(times_in(s, "# HELP pontifexd_calls_total "), 1);
	buffer_free(&b);
}

static void
times_are_seconds(void **state)
{
	struct stat_cell age = { STAT_ISSUER_KEYS_AGE, 0, 0, 1234567 };
	struct buffer b;

	(void)state;
	buffer_init(&b, 4096);
	put_series(&b, slice_of("https://id"), slice_of(""), &age, 1);
	has(text(&b),
	    "pontifexd_issuer_keys_age_seconds{issuer=\"https://id\"} 1234.567\n");
	buffer_free(&b);
}

static void
buckets_add_up(void **state)
{
	struct stat_cell time[] = {
		{ STAT_CALL_TIME, 0, 0, 10 },	/* 0 us */
		{ STAT_CALL_TIME, 0, 0, 5 }, { STAT_CALL_TIME, 0, 0, 1 },
		{ STAT_CALL_TIME, 0, STAT_SUM, 2000500 }
	};
	struct buffer b;
	const char *s;

	(void)state;
	time[1].label2 = (uint16_t)stat_bucket(255);
	time[2].label2 = STAT_BUCKETS - 1;
	buffer_init(&b, 4096);
	put_series(&b, slice_of("t"), slice_of(""), time, 4);
	s = text(&b);
	has(s, "_bucket{tool=\"t\",le=\"0.000256\"} 15\n");
	has(s, "_bucket{tool=\"t\",le=\"33.554432\"} 15\n");
	has(s, "_bucket{tool=\"t\",le=\"+Inf\"} 16\n");
	has(s, "_sum{tool=\"t\"} 2.000500\n");
	has(s, "_count{tool=\"t\"} 16\n");
	has(s, "# TYPE pontifexd_call_duration_seconds histogram\n");
	buffer_free(&b);
}

static void
malformed_or_too_much_is_no_text(void **state)
{
	struct stat_cell one = { STAT_CALLS, 0, 0, 3 };
	struct buffer b, small;

	(void)state;
	buffer_init(&b, 4096);
	put_series(&b, slice_of("a"), slice_of("ok"), &one, 1);
	b.len--;
	assert_null(text(&b));
	b.len++;
	buffer_init(&small, 20);
	assert_int_equal(metrics_text(&small, b.data, b.len), -1);
	buffer_free(&small);
	buffer_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_are_escaped_and_heads_come_once),
		cmocka_unit_test(times_are_seconds),
		cmocka_unit_test(buckets_add_up),
		cmocka_unit_test(malformed_or_too_much_is_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
