/* SPDX-License-Identifier: ISC */

/* A provider in small: one P-256 key, its JWK, and tokens that it signs. */

#ifndef TESTS_UNIT_ES256_H
#define TESTS_UNIT_ES256_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include "../../common/crypt.h"

#define COORDINATE	32

static inline EVP_PKEY *
es256_new(void)
{
	return EVP_EC_gen("P-256");
}

/* Appends the JWK with this kid to a text. */
static inline void
es256_jwk(char *out, size_t size, EVP_PKEY *key, const char *kid)
{
	unsigned char point[1 + 2 * COORDINATE];
	char x[64], y[64];
	size_t len = strlen(out);

	if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY,
	    point, sizeof(point), NULL) != 1)
		abort();
	base64url_encode(x, point + 1, COORDINATE);
	base64url_encode(y, point + 1 + COORDINATE, COORDINATE);
	snprintf(out + len, size - len, "{\"kty\":\"EC\",\"crv\":\"P-256\","
	    "\"kid\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}", kid, x, y);
}

static inline void
es256_add(char *out, size_t size, const char *part)
{
	if (strlen(out) + strlen(part) >= size)
		abort();
	memcpy(out + strlen(out), part, strlen(part) + 1);
}

/* A compact token over these claims. */
static inline void
es256_token(char *out, size_t size, EVP_PKEY *key, const char *kid,
    const char *claims)
{
	unsigned char der[128], raw[2 * COORDINATE];
	const unsigned char *at = der;
	char header[256], part[8192];
	size_t der_len = sizeof(der);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ECDSA_SIG *sig;

	snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"%s\"}",
	    kid);
	base64url_encode(part, header, strlen(header));
	out[0] = '\0';
	es256_add(out, size, part);
	es256_add(out, size, ".");
	base64url_encode(part, claims, strlen(claims));
	es256_add(out, size, part);
	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(ctx, der, &der_len, (unsigned char *)out,
	    strlen(out)) != 1 ||
	    (sig = d2i_ECDSA_SIG(NULL, &at, (long)der_len)) == NULL)
		abort();
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, COORDINATE);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + COORDINATE, COORDINATE);
	base64url_encode(part, raw, sizeof(raw));
	es256_add(out, size, ".");
	es256_add(out, size, part);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
}

#endif
