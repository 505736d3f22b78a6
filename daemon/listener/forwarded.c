/* SPDX-License-Identifier: ISC */

/*
 * Who calls, where a gateway that the configuration trusts says so in
 * X-Forwarded-For.  Each gateway puts the address that it sees at the end of
 * the list, so the list is read from there: the first address that is not a
 * trusted gateway's own is the caller's.  What stands before it is what the
 * caller wrote, and is not looked at.
 */

#include <arpa/inet.h>

#include "listener.h"

#define MAPPED_BITS	96	/* of an IPv4 address before its own */
#define PORT_DIGITS	5

static const uint8_t mapped[MAPPED_BITS / 8] = { [10] = 0xff, [11] = 0xff };

static int
is_mapped(const uint8_t address[16])
{
	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

static int
in_network(const struct network *net, const uint8_t address[16])
{
	size_t whole = net->bits / 8;
	unsigned int mask = 0xff00U >> net->bits % 8 & 0xff;

	/* No network of IPv6 holds one of IPv4. */
	if (net->bits < MAPPED_BITS && is_mapped(address))
		return 0;
	if (memcmp(net->address, address, whole) != 0)
		return 0;
	return mask == 0 ||
	    (net->address[whole] & mask) == (address[whole] & mask);
}

int
forwarders_have(const struct forwarders *f, const uint8_t address[16])
{
	uint32_t i;

	for (i = 0; i < f->n; i++)
		if (in_network(&f->net[i], address))
			return 1;
	return 0;
}

/* "" or ":" and a port, which some gateways put behind an address. */
static int
is_port(const char *s, size_t len)
{
	size_t i;

	if (len == 0)
		return 1;
	for (i = 1; i < len; i++)
		if (s[i] < '0' || s[i] > '9')
			return 0;
	return s[0] == ':' && len > 1 && len <= 1 + PORT_DIGITS;
}

/* The address without brackets and port; -1: of no such form. */
static int
strip_port(struct slice *text)
{
	const char *end, *colon;
	size_t len;

	if (text->len > 0 && text->ptr[0] == '[') {
		if ((end = memchr(text->ptr, ']', text->len)) == NULL)
			return -1;
		len = (size_t)(end - text->ptr);
		if (!is_port(end + 1, text->len - len - 1))
			return -1;
		text->ptr++;
		text->len = len - 1;
		/* Brackets are for IPv6 alone. */
		return memchr(text->ptr, ':', text->len) == NULL ? -1 : 0;
	}
	colon = text->len == 0 ? NULL : memchr(text->ptr, ':', text->len);
	if (colon == NULL)
		return 0;
	len = (size_t)(colon - text->ptr);
	/* With a second colon it is an address of IPv6. */
	if (memchr(colon + 1, ':', text->len - len - 1) != NULL)
		return 0;
	if (!is_port(colon, text->len - len))
		return -1;
	text->len = len;
	return 0;
}

static int
read_address(struct slice text, uint8_t address[16])
{
	char s[INET6_ADDRSTRLEN];

	if (strip_port(&text) == -1 || text.len >= sizeof(s))
		return -1;
	memcpy(s, text.ptr, text.len);
	s[text.len] = '\0';
	if (inet_pton(AF_INET, s, address + sizeof(mapped)) == 1) {
		memcpy(address, mapped, sizeof(mapped));
		return 0;
	}
	return inet_pton(AF_INET6, s, address) == 1 ? 0 : -1;
}

static int
print_address(const uint8_t address[16], char out[PEER_MAX])
{
	const char *done;

	if (is_mapped(address))
		done = inet_ntop(AF_INET, address + sizeof(mapped), out,
		    PEER_MAX);
	else
		done = inet_ntop(AF_INET6, address, out, PEER_MAX);
	return done != NULL;
}

/* Cuts the last member off a list; *left says whether others are before it. */
static struct slice
last_member(struct slice *list, int *left)
{
	struct slice one;
	size_t at = list->len;

	while (at > 0 && list->ptr[at - 1] != ',')
		at--;
	one.ptr = list->ptr + at;
	one.len = list->len - at;
	*left = at > 0;
	list->len = at > 0 ? at - 1 : 0;
	while (one.len > 0 && (one.ptr[0] == ' ' || one.ptr[0] == '\t')) {
		one.ptr++;
		one.len--;
	}
	while (one.len > 0 && (one.ptr[one.len - 1] == ' ' ||
	    one.ptr[one.len - 1] == '\t'))
		one.len--;
	return one;
}

int
forwarded_caller(const struct forwarders *f, const char *peer,
    const struct slice *line, size_t n, char out[PEER_MAX])
{
	uint8_t address[16];
	struct slice list;
	int hops = 0, left;

	if (f->n == 0 || read_address(slice_of(peer), address) == -1 ||
	    !forwarders_have(f, address))
		return 0;
	/* Several lines are one list (RFC 9110 5.3). */
	while (n-- > 0) {
		list = line[n];
		do {
			if (++hops > FORWARDED_HOPS_MAX || read_address(
			    last_member(&list, &left), address) == -1)
				return 0;
			if (!forwarders_have(f, address))
				return print_address(address, out);
		} while (left);
	}
	return 0;
}
