/* SPDX-License-Identifier: ISC */
/* link: authd/fetcher/address.c */

/*
 * authd/fetcher/address.c: the edges of every range that is not the internet
 * at large, from both sides.
 */

#include <sys/socket.h>

#include <netinet/in.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../authd/fetcher/fetcher.h"
#include "../../common/compat.h"

#include <arpa/inet.h>

static const char *const global[] = {
	"1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0",
	"100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
	"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
	"191.255.255.255", "192.0.1.0", "192.0.3.0", "192.31.195.255",
	"192.31.197.0", "192.52.192.255", "192.52.194.0", "192.88.98.255",
	"192.88.100.0", "192.167.255.255", "192.169.0.0", "192.175.47.255",
	"192.175.49.0", "198.17.255.255", "198.20.0.0", "198.51.99.255",
	"198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
	"2000::1", "2001:200::", "2001:db7:ffff::", "2001:db9::", "2003::1",
	"2001:4860:4860::8888", "2606:4700:4700::1111", "2a00::1",
	"2620:4f:7fff::1", "2620:4f:8001::1", "3ffe::1", "3fff:1000::1",
	"2a00::5efe:7f00:1:0:1",
};

static const char *const special[] = {
	/* this network, private, shared, loopback, link-local */
	"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255",
	"100.64.0.0", "100.100.100.200", "100.127.255.255", "127.0.0.0",
	"127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.169.254",
	"169.254.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0",
	"192.168.255.255",
	/* assignments, documentation, relays, benchmarks */
	"192.0.0.0", "192.0.0.171", "192.0.0.255", "192.0.2.0", "192.0.2.255",
	"192.31.196.1", "192.52.193.1", "192.88.99.1", "192.175.48.1",
	"198.18.0.0", "198.19.255.255", "198.51.100.0", "198.51.100.255",
	"203.0.113.0", "203.0.113.255",
	/* multicast, reserved, broadcast */
	"224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.254",
	"255.255.255.255",
	/* unspecified, loopback, IPv4 inside */
	"::", "::1", "::2", "::7f00:1", "::808:808", "::ffff:127.0.0.1",
	"::ffff:8.8.8.8", "::ffff:0:127.0.0.1",
	"64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1",
	"64:ff9b:1:ffff::a00:1", "2002:7f00:1::1", "2002:808:808::1",
	"2002:ffff:ffff:ffff::", "2a00::5efe:7f00:1", "2a00::200:5efe:7f00:1",
	/* discard only, Teredo, benchmarks, ORCHID, documentation */
	"100::", "100::1", "100:0:0:1::1", "2001::", "2001:0:1::1",
	"2001:1::1", "2001:2::1", "2001:10::1", "2001:20::1",
	"2001:1ff:ffff::", "2001:db8::", "2001:db8:ffff::1", "3fff::1",
	"3fff:fff::1", "2620:4f:8000::1", "5f00::1",
	/* not given out, unique local, link-local, site-local, multicast */
	"1fff:ffff::", "4000::", "8000::1", "fbff::1", "fc00::", "fc00::1",
	"fd12:3456::1", "fdff::1", "fe80::", "fe80::1", "febf::1", "fec0::1",
	"feff::1", "ff00::", "ff02::1", "ff0e::1",
};

static struct sockaddr_storage
parse(const char *text)
{
	struct sockaddr_storage ss;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&ss;
	struct sockaddr_in *sin = (struct sockaddr_in *)&ss;

	memset(&ss, 0, sizeof(ss));
	if (inet_pton(AF_INET, text, &sin->sin_addr) == 1)
		ss.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &sin6->sin6_addr) == 1)
		ss.ss_family = AF_INET6;
	else
		fail_msg("no address: %s", text);
	return ss;
}

static void
the_internet_at_large_is_global(void **state)
{
	struct sockaddr_storage ss;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(global) / sizeof(global[0]); i++) {
		ss = parse(global[i]);
		if (!address_is_global((struct sockaddr *)&ss))
			fail_msg("%s: wanted global, got special", global[i]);
	}
}

static void
special_ranges_are_not_global(void **state)
{
	struct sockaddr_storage ss;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		ss = parse(special[i]);
		if (address_is_global((struct sockaddr *)&ss))
			fail_msg("%s: wanted special, got global", special[i]);
	}
}

static void
another_family_or_a_scope_is_not_global(void **state)
{
	struct sockaddr_storage ss = parse("2606:4700:4700::1111");
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&ss;

	(void)state;
	assert_true(address_is_global((struct sockaddr *)&ss));
	sin6->sin6_scope_id = 2;
	assert_false(address_is_global((struct sockaddr *)&ss));
	ss = parse("8.8.8.8");
	assert_true(address_is_global((struct sockaddr *)&ss));
	ss.ss_family = AF_UNIX;
	assert_false(address_is_global((struct sockaddr *)&ss));
	ss.ss_family = AF_UNSPEC;
	assert_false(address_is_global((struct sockaddr *)&ss));
}

static void
an_address_is_printed_as_it_is_written(void **state)
{
	static const char *const same[] = { "192.0.2.1", "2001:db8::1", "::1" };
	struct sockaddr_storage ss;
	char text[INET6_ADDRSTRLEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		ss = parse(same[i]);
		assert_string_equal(address_text((struct sockaddr *)&ss, text,
		    sizeof(text)), same[i]);
	}
	ss.ss_family = AF_UNIX;
	assert_string_equal(address_text((struct sockaddr *)&ss, text,
	    sizeof(text)), "an unknown address");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_internet_at_large_is_global),
		cmocka_unit_test(special_ranges_are_not_global),
		cmocka_unit_test(another_family_or_a_scope_is_not_global),
		cmocka_unit_test(an_address_is_printed_as_it_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
