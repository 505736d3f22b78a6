/* SPDX-License-Identifier: ISC */

/*
 * A sealed value is: version, nonce, AES-256-GCM of the value, tag.  Each
 * thing that is answered has a key of its own (HMAC of its digest), so that
 * random nonces do not wear one key out: GCM allows 2^32 under one, which a
 * busy site would reach in days.
 */

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "../../common/compat.h"
#include "../../common/crypt.h"
#include "../../common/log.h"
#include "seal.h"

#define SEAL_VERSION	1

static void
expand(uint8_t out[KEY_LEN], const uint8_t master[KEY_LEN], const char *what)
{
	char digest[] = "SHA256", salt[] = "pontifexd redis 1";
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *context = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	char info[32];
	uint8_t key[KEY_LEN];
	OSSL_PARAM params[5];

	memcpy(key, master, sizeof(key));
	(void)strlcpy(info, what, sizeof(info));
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
	    digest, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key,
	    sizeof(key));
	params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
	    salt, sizeof(salt) - 1);
	params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO,
	    info, strlen(info));
	params[4] = OSSL_PARAM_construct_end();
	if (context == NULL || EVP_KDF_derive(context, out, KEY_LEN, params) !=
	    1)
		fatal("libcrypto has no HKDF");
	explicit_bzero(key, sizeof(key));
	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
}

void
seal_derive(struct seal_keys *keys, const uint8_t master[KEY_LEN])
{
	expand(keys->limits, master, "limit names");
	expand(keys->names, master, "cache names");
	expand(keys->values, master, "cache values");
}

void
seal_name(char out[SEAL_NAME_LEN + 1], const uint8_t *key,
    const struct buffer *what)
{
	uint8_t digest[DIGEST_LEN];

	if (key != NULL)
		hmac_sha256(key, what->data, what->len, digest);
	else
		sha256(what->data, what->len, digest);
	base64url_encode(out, digest, sizeof(digest));
}

/* One for all values: what a call leaves in it the next one overwrites. */
static EVP_CIPHER_CTX *
context_of(void)
{
	static EVP_CIPHER_CTX *context;

	if (context == NULL && (context = EVP_CIPHER_CTX_new()) == NULL)
		fatal("out of memory");
	return context;
}

static EVP_CIPHER_CTX *
begin(const uint8_t key[KEY_LEN], const uint8_t of[DIGEST_LEN],
    const uint8_t *nonce, const struct buffer *with, int sealing)
{
	static EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *context = context_of();
	uint8_t own[KEY_LEN];
	int n, rc;

	if (cipher == NULL && (cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM",
	    NULL)) == NULL)
		fatal("libcrypto has no AES-256-GCM");
	hmac_sha256(key, of, DIGEST_LEN, own);
	rc = EVP_CipherInit_ex2(context, cipher, own, nonce, sealing, NULL);
	explicit_bzero(own, sizeof(own));
	if (rc != 1 || with->len > INT32_MAX || EVP_CipherUpdate(context, NULL,
	    &n, with->data, (int)with->len) != 1)
		return NULL;
	return context;
}

int
seal_value(struct buffer *out, const uint8_t key[KEY_LEN],
    const uint8_t of[DIGEST_LEN], const struct buffer *with,
    const struct buffer *clear)
{
	EVP_CIPHER_CTX *context;
	unsigned char *to;
	int n = 0, end = 0;

	if (clear->bad || with->bad || clear->len > INT32_MAX ||
	    (to = buffer_reserve(out, clear->len + SEAL_OVERHEAD)) == NULL)
		goto bad;
	*to++ = SEAL_VERSION;
	random_bytes(to, SEAL_NONCE);
	if ((context = begin(key, of, to, with, 1)) == NULL)
		goto bad;
	to += SEAL_NONCE;
	if (EVP_CipherUpdate(context, to, &n, clear->data,
	    (int)clear->len) != 1 ||
	    EVP_CipherFinal_ex(context, to + n, &end) != 1 ||
	    (size_t)n + (size_t)end != clear->len ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG,
	    to + clear->len) != 1)
		goto bad;
	out->len += clear->len + SEAL_OVERHEAD;
	return 0;
bad:
	out->bad = 1;
	return -1;
}

int
seal_open(struct buffer *out, const uint8_t key[KEY_LEN],
    const uint8_t of[DIGEST_LEN], const struct buffer *with,
    struct slice sealed)
{
	const uint8_t *from = (const uint8_t *)sealed.ptr;
	uint8_t tag[SEAL_TAG];
	EVP_CIPHER_CTX *context;
	unsigned char *to;
	int n = 0, end = 0;
	size_t len;

	if (with->bad || sealed.len < SEAL_OVERHEAD ||
	    sealed.len > INT32_MAX || from[0] != SEAL_VERSION)
		return -1;
	len = sealed.len - SEAL_OVERHEAD;
	/* Room for nothing is a place, too. */
	if ((to = buffer_reserve(out, len + 1)) == NULL)
		return -1;
	memcpy(tag, from + sealed.len - SEAL_TAG, sizeof(tag));
	if ((context = begin(key, of, from + 1, with, 0)) == NULL ||
	    EVP_CipherUpdate(context, to, &n, from + 1 + SEAL_NONCE,
	    (int)len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG,
	    tag) != 1 ||
	    EVP_CipherFinal_ex(context, to + n, &end) != 1 ||
	    (size_t)n + (size_t)end != len) {
		explicit_bzero(to, len);
		return -1;
	}
	out->len += len;
	return 0;
}
