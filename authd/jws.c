/* SPDX-License-Identifier: ISC */

/*
 * Compact JWS (RFC 7515 3.1): taken apart strictly, verified with the key
 * that it names.  Digests and contexts are made once, before the sandbox,
 * and proven there with answers that are known.
 */

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "../common/compat.h"
#include "../common/crypt.h"
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
static uint8_t decoded[JWT_MAX];	/* a header, then its payload */
static size_t decoded_len;		/* no byte of it behind this was written */

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

/* Into the static buffer; no more is written than was read, taken or not. */
static ssize_t
decode(struct slice in)
{
	if (in.len > decoded_len)
		decoded_len = in.len;
	return base64url_decode(decoded, sizeof(decoded), in);
}

enum reason
jws_read(struct jws *s, struct slice token)
{
	struct slice rest = token, head, body, tail;
	enum reason reason;
	ssize_t n;

	memset(s, 0, sizeof(*s));
	/* Nothing of the last token is left for this one. */
	explicit_bzero(decoded, decoded_len);
	decoded_len = 0;
	if (token.len == 0 || token.len > sizeof(decoded))
		return REASON_MALFORMED_TOKEN;
	head = part(&rest);
	body = part(&rest);
	tail = rest;
	/*
	 * A fourth part would have a dot, which no coding has.  An empty payload
	 * is a JWS (RFC 7515 3.1), if no JWT: that is for who wants claims.
	 */
	if (head.len == 0 || tail.len == 0)
		return REASON_MALFORMED_TOKEN;
	if ((n = decode(head)) <= 0 ||
	    json_parse(&header, (const char *)decoded, (size_t)n) == -1)
		return REASON_MALFORMED_TOKEN;
	if ((n = base64url_decode(s->signature, sizeof(s->signature), tail)) <=
	    0)
		return REASON_MALFORMED_TOKEN;
	s->signature_len = (size_t)n;
	if ((reason = read_header(s)) != REASON_NONE)
		return reason;
	if ((n = decode(body)) == -1)
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

/* ---- known answers ----------------------------------------------------- */

/*
 * Made for this place, a token of {} for each algorithm: who held the private
 * halves threw them away.  No issuer's set has these keys.
 */
static const char known_keys[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"zunWb9qnM91NrrE_RUI5bJLjS50Eb"
    "Ryq1Mn3iNuYkR-lD14BtuVaEw9Kn_wWITUJvAUCkcPhG0n1ziITcwI-b"
    "aiGUk8a9XcM593Ge_m_WhBsYyI-tWLj1QWsylPpJheZLXU7vVb_OoivE"
    "cziDwBsncPVdaUXqStWZgbqDlT6alQxmUFTjh512Yos7nJME7g15eKIn"
    "0ph7_GbIAvhe9UYBxb2fU2nmK2uFNC7gC4Yq51_g3dEYjWZ0JKu4A9mK"
    "LxyLAHRv9Uc43pPgToiQ3JNyYSHW0eVvRoq6W1Lkc_cKQOCcZ0CSjKiT"
    "IqPiVDwvGR8kOufMdYt0Xbtz3qZB5ve2w\",\"e\":\"AQAB\"},{\"kty\":\"E"
    "C\",\"crv\":\"P-256\",\"x\":\"_VQRNnx1JA70ca53XKvVOVIejDNImpJ8kk"
    "tIxREalYg\",\"y\":\"KXKvJfXSRKegzJiULG-sDzXwFN2QyVrMltCX-FBa"
    "VFU\"},{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"KfRuujrdvEPSPSLaWnl"
    "RXYGIhGdRLvdjqkkdCs7K13Z94zzp7Hz8N3KB9SHox-5_\",\"y\":\"dhDV"
    "5IA3XqAwsni7x_Lpa6Znl46jZflZuBCDy-stP51NCpoWzLWGC5QZfx8U"
    "XE6e\"},{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"ATLuc_13QXUAS2H62w"
    "8pshUPfgVpUlOlF4C6HO9ld7mloqXuKPZ6aDSmci_Fr47OyiPb0XoDBH"
    "6gwA9jPQQUT22q\",\"y\":\"AEquxQr2ypWtKYy3WkT_ksH65bjW8XG9Djy"
    "U1X3t1gSjVnXlxLGFYo6zOBV8Pta8lPfbZhIA42RMFTkN8TnBASbw\"},"
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"rc97Ts5qlKwIby1sv0O5SN"
    "nXhzUdYZuld33mqHT-tO8\"}]}";

static const char *const known_tokens[JWS_ALG_MAX] = {
	[JWS_RS256] =
	    "eyJhbGciOiJSUzI1NiJ9.e30.ZXWKfpo46lHmOHeCIA5aqZ_38_hzizoEmBEfX1Z"
	    "3At-djpVFpZ_FQ0vILsDRJmIXxbIaGyDcVbw1yE-2CqfiIncJMvdb_8Ytpx4Y9Yv"
	    "PT-Z-NjoU85rdpF71-_KQanHZwjNw7g1a6bI2MeB31fDVsQ4Lm-DDB_CR_1IJNKk"
	    "MS8BA6aQrlmhX_DY-q_bqa6uBl7uJ5oMLgtLUsQT-KFmUmhQ0UheaaheeMi4oHhy"
	    "wfh-6Xv213E-m-jT4Fkpko-U94aa0NT6v3Lh00wn9r-FesQi092rGtEF1b8Ocn_t"
	    "3dYOpl-dnWHDxlvRTGRR4CXieCm70x-Aaa06horgk5CeKNA",
	[JWS_RS384] =
	    "eyJhbGciOiJSUzM4NCJ9.e30.yUUK9VQ-fr5hmpGkyZbFA8W5mnnVJMXvrDyDRms"
	    "zT38YGAOpmKng7MFq39S9VzdKbEm51yfvkV0rgA9bvUgF_cX_tJZfk5H78TJJQL2"
	    "Xm9AW0QMQTlMHG1UC2pK8UXZHD8bUNLfL5QBBXFHVF60TsyabFYSvjyrdZIlsBJM"
	    "c-2kEj2gMCKnLelVX2eozH4v_xYjueOmL19q2-Zo19Usa2i5m75_U3M5QalUwDfm"
	    "G8wiyLBhmjkZFF8VokxeaFlWTpkE8_1wc1Ncc2p4rAGy_6I4ED41HzZ0Ix6V7NMP"
	    "_ocW-Oh4retqRswPgAfH2-oiDr5jmZzq8azh3YO0hREA5Rg",
	[JWS_RS512] =
	    "eyJhbGciOiJSUzUxMiJ9.e30.qy_u7hAjGnxV4X00wbr5k3ChPer6O64xaVFau-F"
	    "4yiQ67sJBtKbyr-I_CitW0wkFLlflHWSJaPOIq_RxuSkjso0ICsQf8LsBV7w2Dkg"
	    "51TX2HSwpyiokeJP25kzPHTegW-SFjboQsWZ5foRjazZTz_zbFt2w-5TwhthDkMd"
	    "trY4LYu4FE3esDgwiwZ6XrDppP_cNx3uWUBtt-bAOtqmmYBghp5jSa4I5Wavlx9v"
	    "Fwyqg4Br0YQIadU6M03vIMAF3AAC-wkYQCQIk9s-gFxryPidlP2gpMDS9GVsvEfz"
	    "ErR33o1_YadyR82v7KCK9f7hHI1vTa6PapgzG6lvzH0UoRw",
	[JWS_PS256] =
	    "eyJhbGciOiJQUzI1NiJ9.e30.QKCCb6WC8eb0md9N_LgXzzQ2xLrB2GOr_38-tnV"
	    "Ibtyex9TNOIFakzytK4Bl8hwP62CdgFzqAy-EnRkJZXRp78alyYVLsw7Eiis1RML"
	    "3fEYGQjZLSzgNrdC486Kxbn3EsbnZuYuW23OIKxlvTdcvVokR9gP2F-gxRY8AolU"
	    "aakDIzqailhJ1B6-SEEiLi1Xmlm7m8s2sp0yV_oTTDRShxOYiZupN755AxXHQOGm"
	    "tptHA3OMQbbo8mq3QDhHFqjSCpbek7D9d9UB0ckOGPPmj5qxUThUc_GSqX-XMt1B"
	    "4qOg7xkppBYW0Av6AH_lyQJQ2yjzNMF6Gh28qUJwQxLBtvA",
	[JWS_PS384] =
	    "eyJhbGciOiJQUzM4NCJ9.e30.LDhmnzDNNnHpapk_9r8rXySAmfHVuvEO_aUH7xq"
	    "hbg8vahljtc0-ryoRc1OwJGShiQChEcvAFGI2O60TIz7kzuLIYzUWimDJb-kjUJG"
	    "wx5sn33X-y21gWPp-rR8LehNLYMTEiFV5bLoH_xzGFuRgowOaz5sFonOscB5RNHl"
	    "T4CcltIXKIyFFzJY3FbltZ8swXUvJW4eTgzRqnh1RmzVVJRFcELtXZQExv-wo53Z"
	    "lCvPZMiB2c2Y2OVF4osM8kI6hOH83yVGMcDmHqpANnUQjVoPbu07uLlA6YvPem79"
	    "gP7SdT8NWsCqIimLuuKqMlzTUyHJs4vrcC4y8xvqdWCEBmg",
	[JWS_PS512] =
	    "eyJhbGciOiJQUzUxMiJ9.e30.PogvAPXXsRkWFUutQiPt-uDZGpZG8uN04o6NuNc"
	    "WB9g7-w4BlyhAi98OUbOauRnovUgOd0gxlJfQl7_lYNEBIGmEui1X9bF_DB4ZPCG"
	    "YPcy29NEzobTypeTxicmUBH2SrnASjfoBX1ZJRizm_UpNvA6JgXis8vJ6lKk8EHD"
	    "SMx-ecltxzedm347VCVSpYRyQ9GdI0lA1q89SrvyXVUmGMTzbgia9Bel98ft0x8X"
	    "yFX5BBxMKMKLFKylTXNXHcYHIXI_brg8KBvQMHp2_cO8_SQL3ZtApomUVAvF7YXb"
	    "nEo5RbyqCDSb_8o1WI_0qi1MM8FBKI3G8FprwgYf8utuT5w",
	[JWS_ES256] =
	    "eyJhbGciOiJFUzI1NiJ9.e30.HhjF4iBypStwxQCcSA929VnwEQPsMMD_cNfZxpA"
	    "cRCLfjE8Iaw64JA683LLj5fwSe-d-u9Tqk_go4_xR9GgLjQ",
	[JWS_ES384] =
	    "eyJhbGciOiJFUzM4NCJ9.e30.Heefl5U-aT3M8rhkll_iS8vVR_YCnFqllXuJ3nC"
	    "oocHncrDxaTkXnz8HdEgtAuDnixT6JHYRQVJ2yguqRX-sGh77dOVTNElk2k46lBW"
	    "dBGiyY4kruuFh-zz2CrR0rtbx",
	[JWS_ES512] =
	    "eyJhbGciOiJFUzUxMiJ9.e30.AAEaYO_XggQvQYZle7IkL_tx_MSZdnJoPA0SmoA"
	    "9SQCvdI1N4JN-6V7L8dJSxL0N9k3FWKTpLxmrqBFjn8J00b78AfQ2V5pjzsputee"
	    "lKRNAvRkPEscV0RNtp27LwOH31WGQ5jbR1oG5x4OOapgQw9zUPZAXTGYC60RW7MQ"
	    "Qx-RJ8Qe-",
	[JWS_EDDSA] =
	    "eyJhbGciOiJFZERTQSJ9.e30.7gN1zqjHT8mRMNuyl6per2ofYUe4PG_3vQfUlHS"
	    "qUZQBSnfBIaGGHV_nPbNu1odVojSL1oSpQj86bHTj8PgfDA",
};

/* What is signed is verified, what differs in a bit is not. */
static int
known_answer(struct jwks *set, enum jws_alg alg)
{
	struct jws s;
	struct jwk *key;
	enum reason reason;

	if (jws_read(&s, slice_of(known_tokens[alg])) != REASON_NONE ||
	    s.alg != alg || (key = jws_key(&s, set, &reason)) == NULL ||
	    jws_verify(&s, key) != REASON_NONE)
		return -1;
	s.signature[s.signature_len / 2] ^= 1;
	return jws_verify(&s, key) == REASON_BAD_SIGNATURE ? 0 : -1;
}

/*
 * One verification of each kind, of a good and of a bad signature: in the
 * sandbox OpenSSL finds loaded all that it loads when it is first wanted.
 */
static int
known_answers(void)
{
	struct jwks *set;
	const char *error;
	unsigned int a;
	int rc = 0;

	set = jwks_parse(known_keys, sizeof(known_keys) - 1, &error);
	if (set == NULL)
		return -1;
	for (a = JWS_NONE + 1; a < JWS_ALG_MAX && rc == 0; a++)
		rc = known_answer(set, (enum jws_alg)a);
	jwks_free(set);
	return rc;
}

int
jose_init(void)
{
	static int ready;
	unsigned int a;

	if (ready)
		return 0;
	json_init(&header);
	for (a = JWS_NONE + 1; a < JWS_ALG_MAX; a++) {
		if (contexts[a] == NULL &&
		    (contexts[a] = EVP_MD_CTX_new()) == NULL)
			return -1;
		if (schemes[a].digest != NULL && digests[a] == NULL &&
		    (digests[a] = EVP_MD_fetch(NULL, schemes[a].digest,
		    NULL)) == NULL)
			return -1;
	}
	if (known_answers() == -1)
		return -1;
	ready = 1;
	return 0;
}
