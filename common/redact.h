/* SPDX-License-Identifier: ISC */

/*
 * What stands in a record for an argument that it must not show: a keyed
 * hash.  auditd writes it; whoever may read its key can ask whether a value
 * was used.
 */

#ifndef COMMON_REDACT_H
#define COMMON_REDACT_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "limits.h"

#define REDACT_KEY_FILE	"redact.key"	/* in the journal's folder */
#define REDACT_KEY_TEXT	(2 * KEY_LEN)	/* hex digits, and perhaps a newline */

/* Reads the text of a key file; 0, or -1: none. */
int	redact_key(uint8_t key[KEY_LEN], const char *text, size_t len);
/* Appends "hmac-sha256:…": of a string its characters, of any other value its
 * JSON text.  Returns 0, or -1 and the buffer is bad. */
int	redact_write(struct buffer *, const uint8_t key[KEY_LEN],
	    const void *value, size_t len);

#endif
