/* SPDX-License-Identifier: ISC */

/*
 * Any bytes as a ticket: none opens that was not sealed.  Then the same bytes
 * sealed, as authd in an attacker's hands could: what opens is within its
 * bounds, and sealing it again gives the same bytes.
 */

#include "../../common/compat.h"
#include "../../common/crypt.h"
#include "../../common/ticket.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t key[KEY_LEN] = { 7 };
	struct buffer sealed, again;
	uint8_t mac[DIGEST_LEN];
	static struct ticket t;

	crypt_init();
	(void)ticket_generation(data, len);
	if (ticket_open(&t, data, len, key) == 0)
		abort();
	buffer_init(&sealed, TICKET_MAX + 64);
	buffer_init(&again, TICKET_MAX + 64);
	hmac_sha256(key, data, len, mac);
	buffer_add(&sealed, data, len);
	buffer_add(&sealed, mac, sizeof(mac));
	if (!sealed.bad && ticket_open(&t, sealed.data, sealed.len, key) ==
	    0) {
		if (t.serial == 0 || t.tool.len == 0 ||
		    t.tool.len > TOOL_NAME_MAX)
			abort();
		ticket_seal(&again, &t, key);
		if (again.bad || again.len != sealed.len ||
		    memcmp(again.data, sealed.data, sealed.len) != 0)
			abort();
	}
	buffer_free(&sealed);
	buffer_free(&again);
	return 0;
}
