/* SPDX-License-Identifier: ISC */

/* Thin layer over libcrypto with contexts that are fetched once. */

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "compat.h"
#include "crypt.h"
#include "log.h"

static EVP_MD *md;
static EVP_MD_CTX *md_context;
static EVP_MAC_CTX *mac_context;

void
crypt_init(void)
{
	char name[] = "SHA256";
	OSSL_PARAM params[2];
	EVP_MAC *mac;

	if (md != NULL)
		return;
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
	    name, 0);
	params[1] = OSSL_PARAM_construct_end();
	if ((md = EVP_MD_fetch(NULL, "SHA256", NULL)) == NULL ||
	    (md_context = EVP_MD_CTX_new()) == NULL ||
	    (mac = EVP_MAC_fetch(NULL, "HMAC", NULL)) == NULL ||
	    (mac_context = EVP_MAC_CTX_new(mac)) == NULL ||
	    EVP_MAC_CTX_set_params(mac_context, params) != 1)
		fatal("libcrypto has no SHA-256 or HMAC");
	EVP_MAC_free(mac);
}

void
sha256_2(const void *a, size_t alen, const void *b, size_t blen,
    uint8_t out[DIGEST_LEN])
{
	crypt_init();
	if (EVP_DigestInit_ex2(md_context, md, NULL) != 1 ||
	    EVP_DigestUpdate(md_context, a, alen) != 1 ||
	    EVP_DigestUpdate(md_context, b, blen) != 1 ||
	    EVP_DigestFinal_ex(md_context, out, NULL) != 1)
		fatal("SHA-256 failed");
}

void
sha256(const void *data, size_t len, uint8_t out[DIGEST_LEN])
{
	sha256_2(data, len, "", 0, out);
}

void
hmac_sha256(const uint8_t key[KEY_LEN], const void *data, size_t len,
    uint8_t out[DIGEST_LEN])
{
	size_t n;

	crypt_init();
	if (EVP_MAC_init(mac_context, key, KEY_LEN, NULL) != 1 ||
	    EVP_MAC_update(mac_context, data, len) != 1 ||
	    EVP_MAC_final(mac_context, out, &n, DIGEST_LEN) != 1 ||
	    n != DIGEST_LEN)
		fatal("HMAC failed");
}

int
digest_equal(const uint8_t a[DIGEST_LEN], const uint8_t b[DIGEST_LEN])
{
	return CRYPTO_memcmp(a, b, DIGEST_LEN) == 0;
}

void
random_bytes(void *to, size_t len)
{
	arc4random_buf(to, len);
}

void
hex_encode(char *out, const void *data, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *from = data;
	size_t i;

	for (i = 0; i < len; i++) {
		out[2 * i] = hex[from[i] >> 4];
		out[2 * i + 1] = hex[from[i] & 15];
	}
	out[2 * len] = '\0';
}

int
hex_decode(void *to, size_t len, const char *text, size_t text_len)
{
	uint8_t *out = to;
	size_t i;
	int n;

	if (text_len != 2 * len)
		return -1;
	memset(out, 0, len);
	for (i = 0; i < text_len; i++) {
		if (text[i] >= '0' && text[i] <= '9')
			n = text[i] - '0';
		else if (text[i] >= 'a' && text[i] <= 'f')
			n = text[i] - 'a' + 10;
		else
			return -1;
		out[i / 2] = (uint8_t)(out[i / 2] << 4 | n);
	}
	return 0;
}

void
base64url_encode(char *out, const void *data, size_t len)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-_";
	const uint8_t *from = data;
	uint32_t bits = 0;
	unsigned int have = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		bits = bits << 8 | from[i];
		for (have += 8; have >= 6; have -= 6)
			*out++ = alphabet[bits >> (have - 6) & 63];
	}
	if (have > 0)
		*out++ = alphabet[bits << (6 - have) & 63];
	*out = '\0';
}
