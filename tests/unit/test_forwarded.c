/* SPDX-License-Identifier: ISC */
/* link: daemon/listener/forwarded.c */

/*
 * Whom a request is from: a table of chains, each with what a client can
 * write into it, and how the networks that are trusted come to the listener.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../daemon/listener/listener.h"

#define NROWS(a) (sizeof(a) / sizeof((a)[0]))
#define MAPPED	[10] = 0xff, 0xff

/* 127.0.0.1, 10.0.0.0/8, 192.0.2.128/25, 2001:db8::/33, ::/64 */
static const struct forwarders gateways = {
	.n = 5,
	.net = {
		{ { MAPPED, 127, 0, 0, 1 }, 128 },
		{ { MAPPED, 10 }, 104 },
		{ { MAPPED, 192, 0, 2, 128 }, 121 },
		{ { 0x20, 0x01, 0x0d, 0xb8 }, 33 },
		{ { 0 }, 64 },
	},
};

static const struct {
	const char	*peer;
	const char	*line[3];	/* up to a NULL */
	const char	*caller;	/* NULL: the peer */
} rows[] = {
	/* a gateway, and what it saw */
	{ "127.0.0.1", { "203.0.113.9" }, "203.0.113.9" },
	{ "10.255.0.1", { "203.0.113.9" }, "203.0.113.9" },
	{ "192.0.2.255", { "203.0.113.9" }, "203.0.113.9" },
	{ "2001:db8:7fff::1", { "2a00::1" }, "2a00::1" },
	{ "127.0.0.1", { "2A00:0:0::0001" }, "2a00::1" },
	{ "127.0.0.1", { "::ffff:203.0.113.9" }, "203.0.113.9" },
	{ "127.0.0.1", { " \t203.0.113.9\t " }, "203.0.113.9" },
	/* nobody else is believed */
	{ "203.0.113.1", { "198.51.100.7" }, NULL },
	{ "11.0.0.1", { "198.51.100.7" }, NULL },
	{ "127.0.0.2", { "198.51.100.7" }, NULL },
	{ "192.0.2.127", { "198.51.100.7" }, NULL },
	{ "2001:db8:8000::1", { "198.51.100.7" }, NULL },
	{ "", { "198.51.100.7" }, NULL },
	{ "127.0.0.1", { NULL }, NULL },
	/* what the client wrote stands to the left */
	{ "127.0.0.1", { "1.1.1.1, 203.0.113.9" }, "203.0.113.9" },
	{ "127.0.0.1", { "127.0.0.1,203.0.113.9" }, "203.0.113.9" },
	{ "127.0.0.1", { "<script>, 203.0.113.9" }, "203.0.113.9" },
	{ "127.0.0.1", { ",,,203.0.113.9" }, "203.0.113.9" },
	{ "127.0.0.1", { "1.1.1.1", "2.2.2.2", "203.0.113.9" }, "203.0.113.9" },
	{ "127.0.0.1", { "x", "203.0.113.9" }, "203.0.113.9" },
	/* gateways behind one another */
	{ "127.0.0.1", { "1.1.1.1, 203.0.113.9, 10.0.0.7" }, "203.0.113.9" },
	{ "127.0.0.1", { "203.0.113.9", "10.0.0.7, 10.0.0.8" }, "203.0.113.9" },
	{ "127.0.0.1", { "203.0.113.9, 10.0.0.7:443" }, "203.0.113.9" },
	{ "127.0.0.1", { "10.0.0.6, 10.0.0.7" }, NULL },
	{ "127.0.0.1", { "10.0.0.7" }, NULL },
	/* a network of IPv6 holds no address of IPv4 */
	{ "127.0.0.1", { "0.0.0.1" }, "0.0.0.1" },
	{ "127.0.0.1", { "203.0.113.9, ::5" }, "203.0.113.9" },
	/* with a port */
	{ "127.0.0.1", { "203.0.113.9:50123" }, "203.0.113.9" },
	{ "127.0.0.1", { "[2a00::1]" }, "2a00::1" },
	{ "127.0.0.1", { "[2a00::1]:50123" }, "2a00::1" },
	/* malformed: the peer, and no guess */
	{ "127.0.0.1", { "" }, NULL },
	{ "127.0.0.1", { "203.0.113.9," }, NULL },
	{ "127.0.0.1", { "203.0.113.9", "" }, NULL },
	{ "127.0.0.1", { "unknown" }, NULL },
	{ "127.0.0.1", { "_hidden" }, NULL },
	{ "127.0.0.1", { "203.0.113" }, NULL },
	{ "127.0.0.1", { "203.0.113.9.1" }, NULL },
	{ "127.0.0.1", { "203.0.113.256" }, NULL },
	{ "127.0.0.1", { "203.0.113.09" }, NULL },
	{ "127.0.0.1", { "203.0.113.9 198.51.100.7" }, NULL },
	{ "127.0.0.1", { "203.0.113.9;x" }, NULL },
	{ "127.0.0.1", { "203.0.113.9/32" }, NULL },
	{ "127.0.0.1", { "203.0.113.9:" }, NULL },
	{ "127.0.0.1", { "203.0.113.9:1x" }, NULL },
	{ "127.0.0.1", { "203.0.113.9:123456" }, NULL },
	{ "127.0.0.1", { "\"203.0.113.9\"" }, NULL },
	{ "127.0.0.1", { "[203.0.113.9]" }, NULL },
	{ "127.0.0.1", { "[2a00::1" }, NULL },
	{ "127.0.0.1", { "[]" }, NULL },
	{ "127.0.0.1", { "[2a00::1]x" }, NULL },
	{ "127.0.0.1", { "2a00::1%eth0" }, NULL },
	{ "127.0.0.1", { "2a00:::1" }, NULL },
	{ "127.0.0.1", { "1:2:3:4:5:6:7:8:9" }, NULL },
	{ "127.0.0.1", { "0000:0000:0000:0000:0000:0000:0000:0000:0000:0001" },
	    NULL },
	{ "127.0.0.1", { "203.0.113.9, bad, 10.0.0.7" }, NULL },
};

/* The bytes of a line stand alone, so that ASan sees a step beyond them. */
static int
ask(const struct forwarders *f, const char *peer, const char *const *line,
    size_t max, char out[PEER_MAX])
{
	struct slice list[HTTP_FIELDS_MAX] = { { NULL, 0 } };
	char *copy[HTTP_FIELDS_MAX];
	size_t n, i;
	int rc;

	for (n = 0; n < max && line[n] != NULL; n++) {
		list[n].len = strlen(line[n]);
		copy[n] = malloc(list[n].len + (list[n].len == 0));
		assert_non_null(copy[n]);
		memcpy(copy[n], line[n], list[n].len);
		list[n].ptr = copy[n];
	}
	rc = forwarded_caller(f, peer, list, n, out);
	for (i = 0; i < n; i++)
		free(copy[i]);
	return rc;
}

static void
the_last_that_is_not_trusted_is_the_caller(void **state)
{
	char out[PEER_MAX];
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		rc = ask(&gateways, rows[i].peer, rows[i].line, 3, out);
		if (rc != (rows[i].caller != NULL) ||
		    (rc && strcmp(out, rows[i].caller) != 0))
			fail_msg("%s, \"%s\": wanted %s, got %s",
			    rows[i].peer, rows[i].line[0] == NULL ? "" :
			    rows[i].line[0], rows[i].caller == NULL ?
			    "the peer" : rows[i].caller, rc ? out : "the peer");
	}
}

static void
nobody_is_believed_where_nobody_is_trusted(void **state)
{
	static const struct forwarders none;
	char out[PEER_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++)
		assert_false(ask(&none, rows[i].peer, rows[i].line, 3, out));
}

/* A chain of gateways may be so long and no longer. */
static void
a_chain_has_a_bound(void **state)
{
	static const char *const more[] = { NULL };
	char text[32 * (FORWARDED_HOPS_MAX + 2)], out[PEER_MAX];
	const char *line[2] = { text, NULL };
	int gateways_between, i, wanted;

	(void)state;
	assert_false(ask(&gateways, "127.0.0.1", more, 1, out));
	for (gateways_between = FORWARDED_HOPS_MAX - 2;
	    gateways_between <= FORWARDED_HOPS_MAX + 1; gateways_between++) {
		(void)strlcpy(text, "203.0.113.9", sizeof(text));
		for (i = 0; i < gateways_between; i++)
			(void)strlcat(text, ", 10.0.0.7", sizeof(text));
		wanted = gateways_between < FORWARDED_HOPS_MAX;
		assert_int_equal(ask(&gateways, "127.0.0.1", line, 1, out),
		    wanted);
	}
}

static void
networks_come_to_the_listener_as_they_are(void **state)
{
	struct msg_conf_listener m, got;
	struct buffer b;
	struct frame f = { 0 };
	size_t i;

	(void)state;
	memset(&m, 0, sizeof(m));
	m.namespace = slice_of("shop");
	m.path = slice_of("/mcp");
	m.public_url = m.version = m.metadata = m.metadata_url = slice_of("");
	m.forwarders = gateways.n;
	memcpy(m.forwarder, gateways.net, sizeof(m.forwarder));
	buffer_init(&b, 4096);
	put_conf_listener(&b, &m);
	f.payload = b.data;
	f.length = b.len;
	assert_int_equal(get_conf_listener(&f, &got), 0);
	assert_int_equal(got.forwarders, gateways.n);
	for (i = 0; i < gateways.n; i++)
		assert_memory_equal(&got.forwarder[i], &gateways.net[i],
		    sizeof(got.forwarder[i]));
	/* More bits than an address has, and more networks than fit. */
	b.data[b.len - 1] = 129;
	assert_int_equal(get_conf_listener(&f, &got), -1);
	buffer_clear(&b);
	m.forwarders = FORWARDERS_MAX;
	put_conf_listener(&b, &m);
	f.payload = b.data;
	f.length = b.len;
	assert_int_equal(get_conf_listener(&f, &got), 0);
	b.data[b.len - 17 * FORWARDERS_MAX - 4]++;
	assert_int_equal(get_conf_listener(&f, &got), -1);
	buffer_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_that_is_not_trusted_is_the_caller),
		cmocka_unit_test(nobody_is_believed_where_nobody_is_trusted),
		cmocka_unit_test(a_chain_has_a_bound),
		cmocka_unit_test(networks_come_to_the_listener_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
