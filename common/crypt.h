/* SPDX-License-Identifier: ISC */

/*
 * Digests, MACs and text codings, over OpenSSL's libcrypto.  Contexts are
 * made once: fetching an algorithm costs more than hashing a request.
 */

#ifndef COMMON_CRYPT_H
#define COMMON_CRYPT_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "limits.h"

/* Must run before the sandbox closes: loads what later calls use. */
void	crypt_init(void);
void	sha256(const void *, size_t, uint8_t [DIGEST_LEN]);
/* SHA-256 over two pieces, as if joined. */
void	sha256_2(const void *, size_t, const void *, size_t,
	    uint8_t [DIGEST_LEN]);
void	hmac_sha256(const uint8_t key[KEY_LEN], const void *, size_t,
	    uint8_t [DIGEST_LEN]);
/* Constant time; 1 where equal. */
int	digest_equal(const uint8_t [DIGEST_LEN], const uint8_t [DIGEST_LEN]);
void	random_bytes(void *, size_t);
/* out must hold 2 * len + 1. */
void	hex_encode(char *out, const void *, size_t len);
/* Lower-case hex of exactly 2 * len digits; returns 0 or -1. */
int	hex_decode(void *out, size_t len, const char *, size_t text_len);
/* Base64url without padding (RFC 4648, 5); out must hold 4 * (len + 2) / 3 + 1. */
void	base64url_encode(char *out, const void *, size_t len);
/*
 * base64url.c: no padding, stray bits at the end are refused.  Returns the
 * bytes written, or -1: a bad character, length or bit, no room.
 */
ssize_t	base64url_decode(uint8_t *out, size_t size, struct slice);

#endif
