/* SPDX-License-Identifier: ISC */

/*
 * Which addresses belong to the internet at large: all but those of IANA's
 * special-purpose registries (RFC 6890 and what updates it) that are not
 * globally reachable.  A name that resolves to one of the others is how a
 * server outside makes us ask one inside.  IPv6 is let through only from
 * 2000::/3, what is given out; forms that carry an IPv4 address inside, which
 * a gateway may unwrap, count as special too: no issuer needs them.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <string.h>

#include "../../common/compat.h"
#include "fetcher.h"

#include <arpa/inet.h>

static const struct {
	uint32_t	net;
	unsigned int	bits;
} special4[] = {
	{ 0x00000000, 8 },	/* 0.0.0.0/8: this network */
	{ 0x0a000000, 8 },	/* 10.0.0.0/8: private */
	{ 0x64400000, 10 },	/* 100.64.0.0/10: behind a carrier's NAT */
	{ 0x7f000000, 8 },	/* 127.0.0.0/8: loopback */
	{ 0xa9fe0000, 16 },	/* 169.254.0.0/16: link-local, cloud metadata */
	{ 0xac100000, 12 },	/* 172.16.0.0/12: private */
	{ 0xc0000000, 24 },	/* 192.0.0.0/24: protocol assignments */
	{ 0xc0000200, 24 },	/* 192.0.2.0/24: documentation */
	{ 0xc01fc400, 24 },	/* 192.31.196.0/24: AS112 */
	{ 0xc034c100, 24 },	/* 192.52.193.0/24: AMT */
	{ 0xc0586300, 24 },	/* 192.88.99.0/24: 6to4 relays */
	{ 0xc0a80000, 16 },	/* 192.168.0.0/16: private */
	{ 0xc0af3000, 24 },	/* 192.175.48.0/24: AS112 */
	{ 0xc6120000, 15 },	/* 198.18.0.0/15: benchmarks */
	{ 0xc6336400, 24 },	/* 198.51.100.0/24: documentation */
	{ 0xcb007100, 24 },	/* 203.0.113.0/24: documentation */
	{ 0xe0000000, 4 },	/* 224.0.0.0/4: multicast */
	{ 0xf0000000, 4 },	/* 240.0.0.0/4: reserved, broadcast */
};

/* Within 2000::/3. */
static const struct {
	uint8_t		net[16];
	unsigned int	bits;
} special6[] = {
	{ { 0x20, 0x01, 0x00, 0x00 }, 23 },	/* Teredo, ORCHID, benchmarks … */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32 },	/* documentation */
	{ { 0x20, 0x02 }, 16 },			/* 6to4: an IPv4 address inside */
	{ { 0x26, 0x20, 0x00, 0x4f, 0x80, 0x00 }, 48 },	/* AS112 */
	{ { 0x3f, 0xff, 0x00 }, 20 },		/* documentation */
};

static int
global4(uint32_t address)
{
	size_t i;

	for (i = 0; i < sizeof(special4) / sizeof(special4[0]); i++)
		if ((address ^ special4[i].net) >> (32 - special4[i].bits) == 0)
			return 0;
	return 1;
}

static int
has_prefix(const uint8_t *address, const uint8_t *net, unsigned int bits)
{
	unsigned int rest = bits % 8;

	if (memcmp(address, net, bits / 8) != 0)
		return 0;
	return rest == 0 ||
	    (address[bits / 8] ^ net[bits / 8]) >> (8 - rest) == 0;
}

/* An interface identifier that says it is made from an IPv4 address. */
static int
is_isatap(const uint8_t *a)
{
	return (a[8] & 0xfc) == 0 && a[9] == 0 && a[10] == 0x5e &&
	    a[11] == 0xfe;
}

static int
global6(const uint8_t *address)
{
	size_t i;

	/*
	 * Not here: ::, ::1, mapped and compatible IPv4, NAT64, fc00::/7,
	 * fe80::/10, ff00::/8.
	 */
	if (address[0] >> 5 != 1 || is_isatap(address))
		return 0;
	for (i = 0; i < sizeof(special6) / sizeof(special6[0]); i++)
		if (has_prefix(address, special6[i].net, special6[i].bits))
			return 0;
	return 1;
}

int
address_is_global(const struct sockaddr *sa)
{
	struct sockaddr_in6 sin6;
	struct sockaddr_in sin;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&sin, sa, sizeof(sin));
		return global4(ntohl(sin.sin_addr.s_addr));
	case AF_INET6:
		memcpy(&sin6, sa, sizeof(sin6));
		return sin6.sin6_scope_id == 0 &&
		    global6(sin6.sin6_addr.s6_addr);
	default:
		return 0;
	}
}

const char *
address_text(const struct sockaddr *sa, char *buf, size_t size)
{
	struct sockaddr_in6 sin6;
	struct sockaddr_in sin;
	const char *text = NULL;

	if (sa->sa_family == AF_INET) {
		memcpy(&sin, sa, sizeof(sin));
		text = inet_ntop(AF_INET, &sin.sin_addr, buf, (socklen_t)size);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&sin6, sa, sizeof(sin6));
		text = inet_ntop(AF_INET6, &sin6.sin6_addr, buf,
		    (socklen_t)size);
	}
	return text == NULL ? "an unknown address" : text;
}
