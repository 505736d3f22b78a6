/* SPDX-License-Identifier: ISC */

/* The keyed hash of an argument, one form for who writes and who looks. */

#include "compat.h"
#include "crypt.h"
#include "redact.h"

int
redact_key(uint8_t key[KEY_LEN], const char *text, size_t len)
{
	if (len == REDACT_KEY_TEXT + 1 && text[REDACT_KEY_TEXT] == '\n')
		len--;
	return len == REDACT_KEY_TEXT ? hex_decode(key, KEY_LEN, text, len) :
	    -1;
}

int
redact_write(struct buffer *b, const uint8_t key[KEY_LEN], const void *value,
    size_t len)
{
	uint8_t mac[DIGEST_LEN];

	hmac_sha256(key, value, len, mac);
	(void)buffer_add_cstr(b, "hmac-sha256:");
	return buffer_add_hex(b, mac, sizeof(mac));
}
