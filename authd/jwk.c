/* SPDX-License-Identifier: ISC */

/*
 * Keys of an issuer (RFC 7517, RFC 7518 6, RFC 8037).  A key decides what it
 * may verify; a token chooses among that and no more.
 */

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "jose.h"

#define RSA_BITS_MIN	2048
#define RSA_BITS_MAX	(SIGNATURE_MAX * 8)
#define EXPONENT_MIN	65537UL
#define EXPONENT_MAX	0xffffffffUL
#define ED25519_LEN	32

#define BIT(a)		(1U << (a))
#define RSA_ALGS	(BIT(JWS_RS256) | BIT(JWS_RS384) | BIT(JWS_RS512) | \
			    BIT(JWS_PS256) | BIT(JWS_PS384) | BIT(JWS_PS512))

static const char *const alg_names[JWS_ALG_MAX] = {
	[JWS_NONE] = "none", [JWS_RS256] = "RS256", [JWS_RS384] = "RS384",
	[JWS_RS512] = "RS512", [JWS_PS256] = "PS256", [JWS_PS384] = "PS384",
	[JWS_PS512] = "PS512", [JWS_ES256] = "ES256", [JWS_ES384] = "ES384",
	[JWS_ES512] = "ES512", [JWS_EDDSA] = "EdDSA",
};

static const struct curve {
	const char	*crv;
	const char	*group;
	size_t		 len;		/* of one coordinate */
	enum jws_alg	 alg;
} curves[] = {
	{ "P-256", "P-256", 32, JWS_ES256 },
	{ "P-384", "P-384", 48, JWS_ES384 },
	{ "P-521", "P-521", 66, JWS_ES512 },
};

enum jws_alg
jws_alg_of(struct slice name)
{
	unsigned int a;

	for (a = JWS_NONE + 1; a < JWS_ALG_MAX; a++)
		if (slice_is(name, alg_names[a]))
			return (enum jws_alg)a;
	return JWS_NONE;
}

const char *
jws_alg_name(enum jws_alg a)
{
	return (unsigned int)a < JWS_ALG_MAX ? alg_names[a] : "none";
}

/* A member that must be a string without escapes; 0 where it is not there. */
static int
text_member(const struct json *j, uint32_t object, const char *name,
    struct slice *out)
{
	uint32_t node = json_member(j, object, name);

	return node != JSON_NONE && json_is(j, node, JSON_STRING) &&
	    json_plain(j, node, out);
}

static int
member_is(const struct json *j, uint32_t object, const char *name,
    const char *want)
{
	struct slice sl;

	return text_member(j, object, name, &sl) && slice_is(sl, want);
}

/* The bytes of a base64url member; the length, or -1. */
static ssize_t
bytes_member(const struct json *j, uint32_t object, const char *name,
    uint8_t *out, size_t size)
{
	struct slice sl;

	return text_member(j, object, name, &sl) ?
	    base64url_decode(out, size, sl) : -1;
}

/* `use' and `key_ops', where they stand, must be for signatures. */
static int
for_signatures(const struct json *j, uint32_t key)
{
	uint32_t node, n;

	if (json_member(j, key, "use") != JSON_NONE &&
	    !member_is(j, key, "use", "sig"))
		return 0;
	if ((node = json_member(j, key, "key_ops")) == JSON_NONE)
		return 1;
	if (!json_is(j, node, JSON_ARRAY))
		return 0;
	for (n = node + 1; n < j->nodes[node].next; n = j->nodes[n].next)
		if (json_string_is(j, n, "verify"))
			return 1;
	return 0;
}

/* Members of a private key have no business here: whoever sent them is lost. */
static int
has_private(const struct json *j, uint32_t key)
{
	static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi",
	    "oth", "k" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (json_member(j, key, names[i]) != JSON_NONE)
			return 1;
	return 0;
}

static EVP_PKEY *
from_params(const char *type, OSSL_PARAM_BLD *bld)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY *key = NULL;

	if (ctx == NULL || params == NULL ||
	    EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *
read_rsa(const struct json *j, uint32_t node)
{
	static uint8_t modulus[SIGNATURE_MAX];
	uint8_t exponent[8];
	ssize_t nlen = bytes_member(j, node, "n", modulus, sizeof(modulus));
	ssize_t elen = bytes_member(j, node, "e", exponent, sizeof(exponent));
	OSSL_PARAM_BLD *bld = NULL;
	EVP_PKEY *key = NULL;
	BIGNUM *n, *e;
	int bits;

	if (nlen <= 0 || elen <= 0)
		return NULL;
	n = BN_bin2bn(modulus, (int)nlen, NULL);
	e = BN_bin2bn(exponent, (int)elen, NULL);
	bits = n == NULL ? 0 : BN_num_bits(n);
	if (e != NULL && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX &&
	    BN_is_odd(n) && BN_is_odd(e) && BN_num_bits(e) <= 32 &&
	    BN_get_word(e) >= EXPONENT_MIN && BN_get_word(e) <= EXPONENT_MAX &&
	    (bld = OSSL_PARAM_BLD_new()) != NULL &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		key = from_params("RSA", bld);
	OSSL_PARAM_BLD_free(bld);
	BN_free(n);
	BN_free(e);
	return key;
}

static int
on_curve(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	int ok = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static EVP_PKEY *
read_ec(const struct json *j, uint32_t node, enum jws_alg *alg)
{
	uint8_t point[1 + 2 * 66];
	const struct curve *c = NULL;
	OSSL_PARAM_BLD *bld;
	EVP_PKEY *key = NULL;
	size_t i;

	for (i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (member_is(j, node, "crv", curves[i].crv))
			c = &curves[i];
	/* Coordinates have the full length of the field (RFC 7518 6.2.1.2). */
	point[0] = 4;
	if (c == NULL || bytes_member(j, node, "x", point + 1, c->len) !=
	    (ssize_t)c->len || bytes_member(j, node, "y", point + 1 + c->len,
	    c->len) != (ssize_t)c->len || (bld = OSSL_PARAM_BLD_new()) == NULL)
		return NULL;
	if (OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
	    c->group, 0) == 1 && OSSL_PARAM_BLD_push_octet_string(bld,
	    OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * c->len) == 1)
		key = from_params("EC", bld);
	OSSL_PARAM_BLD_free(bld);
	if (key != NULL && !on_curve(key)) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	*alg = c->alg;
	return key;
}

static EVP_PKEY *
read_okp(const struct json *j, uint32_t node)
{
	uint8_t x[ED25519_LEN];

	if (!member_is(j, node, "crv", "Ed25519") ||
	    bytes_member(j, node, "x", x, sizeof(x)) != (ssize_t)sizeof(x))
		return NULL;
	return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, x,
	    sizeof(x));
}

/* SHA-256 of what the key is, whatever it is called. */
static int
fingerprint(struct jwk *k)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(k->key, &der);

	if (len <= 0)
		return -1;
	sha256(der, (size_t)len, k->print);
	OPENSSL_free(der);
	return 0;
}

static int
read_key(const struct json *j, uint32_t node, struct jwk *k)
{
	enum jws_alg alg = JWS_NONE;
	struct slice name;
	uint32_t kid;

	memset(k, 0, sizeof(*k));
	if (!json_is(j, node, JSON_OBJECT) || !for_signatures(j, node) ||
	    has_private(j, node))
		return -1;
	kid = json_member(j, node, "kid");
	if (kid != JSON_NONE && (json_copy(j, kid, k->kid,
	    sizeof(k->kid)) == -1 || k->kid[0] == '\0'))
		return -1;
	if (member_is(j, node, "kty", "RSA")) {
		k->key = read_rsa(j, node);
		k->algs = RSA_ALGS;
	} else if (member_is(j, node, "kty", "EC")) {
		k->key = read_ec(j, node, &alg);
		k->algs = BIT(alg);
	} else if (member_is(j, node, "kty", "OKP")) {
		k->key = read_okp(j, node);
		k->algs = BIT(JWS_EDDSA);
	}
	if (k->key == NULL)
		return -1;
	if (json_member(j, node, "alg") != JSON_NONE)
		k->algs &= text_member(j, node, "alg", &name) ?
		    BIT(jws_alg_of(name)) : 0;
	if ((k->algs & ~BIT(JWS_NONE)) == 0 || fingerprint(k) == -1) {
		EVP_PKEY_free(k->key);
		k->key = NULL;
		return -1;
	}
	return 0;
}

struct jwks *
jwks_parse(const char *text, size_t len, const char **error)
{
	static struct json json;
	struct jwks *set;
	uint32_t list, n;

	*error = "out of memory";
	if ((set = calloc(1, sizeof(*set))) == NULL)
		return NULL;
	*error = "not a JWK set";
	if (json_parse(&json, text, len) == -1 ||
	    !json_is(&json, 0, JSON_OBJECT) ||
	    (list = json_member(&json, 0, "keys")) == JSON_NONE ||
	    !json_is(&json, list, JSON_ARRAY)) {
		free(set);
		return NULL;
	}
	for (n = list + 1; n < json.nodes[list].next; n = json.nodes[n].next) {
		if (set->n == JWKS_KEYS_MAX ||
		    read_key(&json, n, &set->key[set->n]) == -1)
			set->ignored++;
		else
			set->n++;
	}
	/* What OpenSSL noted of those that were ignored. */
	ERR_clear_error();
	if (set->n == 0) {
		*error = "no key in the set can verify anything";
		free(set);
		return NULL;
	}
	return set;
}

void
jwks_free(struct jwks *set)
{
	uint32_t n, alg;

	if (set == NULL)
		return;
	for (n = 0; n < set->n; n++) {
		for (alg = 0; alg < JWS_ALG_MAX; alg++)
			EVP_PKEY_CTX_free(set->key[n].verify[alg]);
		EVP_PKEY_free(set->key[n].key);
	}
	free(set);
}
