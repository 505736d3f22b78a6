/* SPDX-License-Identifier: ISC */

/* Keys of every kind that we verify, their JWKs, and tokens that they sign. */

#ifndef TESTS_UNIT_JOSE_MAKE_H
#define TESTS_UNIT_JOSE_MAKE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "../../common/compat.h"
#include "../../common/crypt.h"

#define TEXT_SIZE	32768
#define NROWS(a)	(sizeof(a) / sizeof((a)[0]))

enum {
	RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EDDSA,
	KINDS
};

static const struct kind {
	const char	*alg;
	const char	*key;		/* "RSA", a curve, or "ED25519" */
	const char	*digest;
	size_t		 field;		/* ECDSA: bytes of r and of s */
} kinds[KINDS] = {
	[RS256] = { "RS256", "RSA", "SHA256", 0 },
	[RS384] = { "RS384", "RSA", "SHA384", 0 },
	[RS512] = { "RS512", "RSA", "SHA512", 0 },
	[PS256] = { "PS256", "RSA", "SHA256", 0 },
	[PS384] = { "PS384", "RSA", "SHA384", 0 },
	[PS512] = { "PS512", "RSA", "SHA512", 0 },
	[ES256] = { "ES256", "P-256", "SHA256", 32 },
	[ES384] = { "ES384", "P-384", "SHA384", 48 },
	[ES512] = { "ES512", "P-521", "SHA512", 66 },
	[EDDSA] = { "EdDSA", "ED25519", NULL, 0 },
};

static inline void
must(int good)
{
	if (!good)
		abort();
}

static inline void
add(char *out, const char *text)
{
	must(strlcat(out, text, TEXT_SIZE) < TEXT_SIZE);
}

static inline void
add_bytes(char *out, const void *bytes, size_t len)
{
	size_t at = strlen(out);

	must(at + 4 * (len + 2) / 3 + 1 < TEXT_SIZE);
	base64url_encode(out + at, bytes, len);
}

static inline EVP_PKEY *
make_key(int k)
{
	EVP_PKEY *key;

	if (kinds[k].field > 0)
		key = EVP_EC_gen(kinds[k].key);
	else if (k == EDDSA)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		key = EVP_RSA_gen(2048);
	must(key != NULL);
	return key;
}

/* Appends the value of ,"name":"..."; size 0: as long as the number is. */
static inline void
add_number(char *out, EVP_PKEY *key, const char *param, const char *name,
    size_t size)
{
	unsigned char bytes[2048];
	BIGNUM *n = NULL;
	int len;

	must(EVP_PKEY_get_bn_param(key, param, &n) == 1);
	len = size > 0 ? (int)size : BN_num_bytes(n);
	must(BN_bn2binpad(n, bytes, len) == len);
	add(out, ",\"");
	add(out, name);
	add(out, "\":\"");
	add_bytes(out, bytes, (size_t)len);
	add(out, "\"");
	BN_free(n);
}

/* Appends a JWK, with more members behind its own. */
static inline void
add_jwk(char *out, int k, EVP_PKEY *key, const char *more)
{
	unsigned char raw[32];
	size_t len = sizeof(raw);

	add(out, "{\"kty\":\"");
	if (kinds[k].field > 0) {
		add(out, "EC\",\"crv\":\"");
		add(out, kinds[k].key);
		add(out, "\"");
		add_number(out, key, OSSL_PKEY_PARAM_EC_PUB_X, "x",
		    kinds[k].field);
		add_number(out, key, OSSL_PKEY_PARAM_EC_PUB_Y, "y",
		    kinds[k].field);
	} else if (k == EDDSA) {
		must(EVP_PKEY_get_raw_public_key(key, raw, &len) == 1);
		add(out, "OKP\",\"crv\":\"Ed25519\",\"x\":\"");
		add_bytes(out, raw, len);
		add(out, "\"");
	} else {
		add(out, "RSA\"");
		add_number(out, key, OSSL_PKEY_PARAM_RSA_N, "n", 0);
		add_number(out, key, OSSL_PKEY_PARAM_RSA_E, "e", 0);
	}
	add(out, more);
	add(out, "}");
}

/* How a PSS signature is to be wrong. */
struct pss {
	int		 salt;		/* bytes, or RSA_PSS_SALTLEN_... */
	const char	*mask;		/* digest of MGF1; NULL: the signature's */
};

/* Signs text as kind k does; returns the length of what JOSE has for it. */
static inline size_t
sign(unsigned char *sig, size_t size, int k, EVP_PKEY *key, const char *text,
    const struct pss *pss)
{
	static const struct pss right = { RSA_PSS_SALTLEN_DIGEST, NULL };
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	const unsigned char *at = sig;
	EVP_PKEY_CTX *ctx;
	size_t len = size;
	ECDSA_SIG *pair;

	must(EVP_DigestSignInit_ex(md, &ctx, kinds[k].digest, NULL, NULL, key,
	    NULL) == 1);
	if (kinds[k].alg[0] == 'P') {
		pss = pss == NULL ? &right : pss;
		must(EVP_PKEY_CTX_set_rsa_padding(ctx,
		    RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, pss->salt) == 1);
		if (pss->mask != NULL)
			must(EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, pss->mask,
			    NULL) == 1);
	}
	must(EVP_DigestSign(md, sig, &len, (const unsigned char *)text,
	    strlen(text)) == 1);
	EVP_MD_CTX_free(md);
	if (kinds[k].field == 0)
		return len;
	must((pair = d2i_ECDSA_SIG(NULL, &at, (long)len)) != NULL);
	must(BN_bn2binpad(ECDSA_SIG_get0_r(pair), sig, (int)kinds[k].field) >
	    0 && BN_bn2binpad(ECDSA_SIG_get0_s(pair), sig + kinds[k].field,
	    (int)kinds[k].field) > 0);
	ECDSA_SIG_free(pair);
	return 2 * kinds[k].field;
}

/* Into out: "header.payload" in base64url. */
static inline void
make_signed_part(char *out, const char *header, const char *payload)
{
	out[0] = '\0';
	add_bytes(out, header, strlen(header));
	add(out, ".");
	add_bytes(out, payload, strlen(payload));
}

static inline void
make_token(char *out, int k, EVP_PKEY *key, const char *header,
    const char *payload)
{
	unsigned char sig[2048];
	size_t len;

	make_signed_part(out, header, payload);
	len = sign(sig, sizeof(sig), k, key, out, NULL);
	add(out, ".");
	add_bytes(out, sig, len);
}

#endif
