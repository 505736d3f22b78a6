/* SPDX-License-Identifier: ISC */

/*
 * Compact JWS (RFC 7515 3.1): taken apart strictly, verified with the key
 * that it names.  Digests and contexts are made once, before the sandbox.
 */

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "../common/compat.h"
#include "jose.h"

#define FIELD_MAX	66		/* bytes of a coordinate of P-521 */

static const struct scheme {
	const char	*digest;	/* NULL: the scheme has its own */
	int		 pss;
	size_t		 field;		/* ECDSA: bytes of r and of s */
} schemes[JWS_ALG_MAX] = {
	[JWS_RS256] = { "SHA256", 0, 0 }, [JWS_RS384] = { "SHA384", 0, 0 },
	[JWS_RS512] = { "SHA512", 0, 0 }, [JWS_PS256] = { "SHA256", 1, 0 },
	[JWS_PS384] = { "SHA384", 1, 0 }, [JWS_PS512] = { "SHA512", 1, 0 },
	[JWS_ES256] = { "SHA256", 0, 32 }, [JWS_ES384] = { "SHA384", 0, 48 },
	[JWS_ES512] = { "SHA512", 0, 66 }, [JWS_EDDSA] = { NULL, 0, 0 },
};

static EVP_MD *digests[JWS_ALG_MAX];
static EVP_MD_CTX *contexts[JWS_ALG_MAX];
static struct json header;
static uint8_t decoded[JWT_MAX];

/* ---- taking apart ------------------------------------------------------ */

static struct slice
part(struct slice *rest)
{
	const char *dot = rest->len == 0 ? NULL :
	    memchr(rest->ptr, '.', rest->len);
	struct slice p = *rest;

	if (dot == NULL) {
		rest->len = 0;
		return p;
	}
	p.len = (size_t)(dot - p.ptr);
	rest->ptr = dot + 1;
	rest->len -= p.len + 1;
	return p;
}

/* Members that bring a key along or change what the rest means. */
static int
forbidden(void)
{
	static const char *const names[] = {
		"crit", "b64", "zip", "jwk", "jku", "x5c", "x5u", "enc"
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (json_member(&header, 0, names[i]) != JSON_NONE)
			return 1;
	return 0;
}

static int
read_typ(struct jws *s, uint32_t node)
{
	static const char prefix[] = "application/";
	char text[sizeof(s->typ) + sizeof(prefix)], *at = text, *c;

	if (json_copy(&header, node, text, sizeof(text)) == -1)
		return -1;
	/* RFC 7515 4.1.9: the prefix may be left out, case does not count. */
	if (strncasecmp(text, prefix, sizeof(prefix) - 1) == 0)
		at += sizeof(prefix) - 1;
	for (c = at; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	s->has_typ = 1;
	return strlcpy(s->typ, at, sizeof(s->typ)) >= sizeof(s->typ) ? -1 : 0;
}

static enum reason
read_header(struct jws *s)
{
	uint32_t node;
	struct slice alg;

	if (!json_is(&header, 0, JSON_OBJECT))
		return REASON_MALFORMED_TOKEN;
	if (forbidden())
		return REASON_BAD_HEADER;
	if ((node = json_member(&header, 0, "alg")) == JSON_NONE ||
	    !json_is(&header, node, JSON_STRING) ||
	    !json_plain(&header, node, &alg) ||
	    (s->alg = jws_alg_of(alg)) == JWS_NONE)
		return REASON_BAD_ALGORITHM;
	if ((node = json_member(&header, 0, "kid")) != JSON_NONE) {
		s->has_kid = 1;
		if (json_copy(&header, node, s->kid, sizeof(s->kid)) == -1 ||
		    s->kid[0] == '\0')
			return REASON_BAD_HEADER;
	}
	if ((node = json_member(&header, 0, "typ")) != JSON_NONE &&
	    read_typ(s, node) == -1)
		return REASON_BAD_HEADER;
	return REASON_NONE;
}

enum reason
jws_read(struct jws *s, struct slice token)
{
	struct slice rest = token, head, body, tail;
	ssize_t n;

	memset(s, 0, sizeof(*s));
	if (token.len == 0 || token.len > JWT_MAX)
		return REASON_MALFORMED_TOKEN;
	head = part(&rest);
	body = part(&rest);
	tail = rest;
	if (head.len == 0 || body.len == 0 || tail.len == 0)
		return REASON_MALFORMED_TOKEN;
	/* A fourth part would have a dot, which no coding has. */
	if ((n = base64url_decode(decoded, sizeof(decoded), head)) <= 0 ||
	    json_parse(&header, (const char *)decoded, (size_t)n) == -1)
		return REASON_MALFORMED_TOKEN;
	if ((n = base64url_decode(s->signature, sizeof(s->signature), tail)) <=
	    0)
		return REASON_MALFORMED_TOKEN;
	s->signature_len = (size_t)n;
	if (read_header(s) != REASON_NONE)
		return read_header(s);
	if ((n = base64url_decode(decoded, sizeof(decoded), body)) <= 0)
		return REASON_MALFORMED_TOKEN;
	s->payload.ptr = (const char *)decoded;
	s->payload.len = (size_t)n;
	s->signed_part.ptr = token.ptr;
	s->signed_part.len = head.len + 1 + body.len;
	return REASON_NONE;
}

/* ---- the key ----------------------------------------------------------- */

struct jwk *
jws_key(const struct jws *s, struct jwks *set, enum reason *reason)
{
	struct jwk *fits = NULL;
	uint32_t n, named = 0, fitting = 0;

	for (n = 0; n < set->n; n++) {
		if (s->has_kid && strcmp(set->key[n].kid, s->kid) != 0)
			continue;
		named++;
		if ((set->key[n].algs & (1U << s->alg)) == 0)
			continue;
		fits = &set->key[n];
		fitting++;
	}
	/* Two that fit: which one is meant is not ours to guess. */
	if (fitting == 1)
		return fits;
	*reason = named > 0 && s->has_kid && fitting == 0 ?
	    REASON_BAD_ALGORITHM : REASON_UNKNOWN_KID;
	return NULL;
}

/* ---- the signature ----------------------------------------------------- */

/* r || s of exact length, to the DER that OpenSSL wants; its length or -1. */
static int
to_der(const struct jws *s, size_t field, unsigned char *out, size_t size)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(s->signature, (int)field, NULL);
	BIGNUM *t = BN_bin2bn(s->signature + field, (int)field, NULL);
	unsigned char *at = out;
	int len = -1;

	if (sig == NULL || r == NULL || t == NULL || BN_is_zero(r) ||
	    BN_is_zero(t) || ECDSA_SIG_set0(sig, r, t) != 1) {
		BN_free(r);
		BN_free(t);
		ECDSA_SIG_free(sig);
		return -1;
	}
	if (i2d_ECDSA_SIG(sig, NULL) <= (int)size)
		len = i2d_ECDSA_SIG(sig, &at);
	ECDSA_SIG_free(sig);
	return len;
}

/*
 * What verifies under a key and an algorithm, made once for the two: to set
 * it up costs OpenSSL half of what an RSA verification does.
 */
static EVP_PKEY_CTX *
verifier(struct jwk *k, enum jws_alg alg)
{
	EVP_PKEY_CTX *ctx;

	if (k->verify[alg] != NULL)
		return k->verify[alg];
	if ((ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->key, NULL)) == NULL)
		return NULL;
	if (EVP_PKEY_verify_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, digests[alg]) != 1 ||
	    (schemes[alg].field == 0 && EVP_PKEY_CTX_set_rsa_padding(ctx,
	    schemes[alg].pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) !=
	    1) || (schemes[alg].pss &&
	    (EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx,
	    RSA_PSS_SALTLEN_DIGEST) != 1 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, digests[alg]) != 1))) {
		EVP_PKEY_CTX_free(ctx);
		return NULL;
	}
	return k->verify[alg] = ctx;
}

static int
verify_digest(const struct jws *s, struct jwk *k, const unsigned char *sig,
    size_t len)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *md = contexts[s->alg];
	EVP_PKEY_CTX *ctx = verifier(k, s->alg);
	unsigned int n = 0;

	return ctx != NULL &&
	    EVP_DigestInit_ex2(md, digests[s->alg], NULL) == 1 &&
	    EVP_DigestUpdate(md, s->signed_part.ptr, s->signed_part.len) ==
	    1 && EVP_DigestFinal_ex(md, digest, &n) == 1 &&
	    EVP_PKEY_verify(ctx, sig, len, digest, n) == 1;
}

/* Ed25519 hashes by itself, and over the whole message (RFC 8032 5.1.7). */
static int
verify_message(const struct jws *s, const struct jwk *k,
    const unsigned char *sig, size_t len)
{
	EVP_MD_CTX *md = contexts[s->alg];

	return EVP_MD_CTX_reset(md) == 1 &&
	    EVP_DigestVerifyInit(md, NULL, NULL, NULL, k->key) == 1 &&
	    EVP_DigestVerify(md, sig, len,
	    (const unsigned char *)s->signed_part.ptr, s->signed_part.len) ==
	    1;
}

enum reason
jws_verify(const struct jws *s, struct jwk *k)
{
	unsigned char der[2 * FIELD_MAX + 16];
	const struct scheme *scheme = &schemes[s->alg];
	const unsigned char *sig = s->signature;
	size_t len = s->signature_len;
	int n, good;

	if (s->alg == JWS_NONE || (k->algs & (1U << s->alg)) == 0)
		return REASON_BAD_SIGNATURE;
	if (scheme->field != 0) {
		if (len != 2 * scheme->field ||
		    (n = to_der(s, scheme->field, der, sizeof(der))) <= 0)
			return REASON_BAD_SIGNATURE;
		sig = der;
		len = (size_t)n;
	} else if (len != (size_t)EVP_PKEY_get_size(k->key)) {
		return REASON_BAD_SIGNATURE;
	}
	good = scheme->digest != NULL ? verify_digest(s, k, sig, len) :
	    verify_message(s, k, sig, len);
	/* What OpenSSL noted of a bad one is of no use to anybody. */
	if (!good)
		ERR_clear_error();
	return good ? REASON_NONE : REASON_BAD_SIGNATURE;
}

int
jose_init(void)
{
	unsigned int a;

	if (contexts[JWS_EDDSA] != NULL)
		return 0;
	json_init(&header);
	for (a = JWS_NONE + 1; a < JWS_ALG_MAX; a++)
		if ((contexts[a] = EVP_MD_CTX_new()) == NULL ||
		    (schemes[a].digest != NULL && (digests[a] = EVP_MD_fetch(
		    NULL, schemes[a].digest, NULL)) == NULL))
			return -1;
	return 0;
}
