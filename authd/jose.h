/* SPDX-License-Identifier: ISC */

/*
 * Tokens, as far as they can be judged without knowing who asks: base64url,
 * keys (RFC 7517), signatures (RFC 7515), claims (RFC 7519, RFC 9068, RFC
 * 8725).  Nothing here allocates per token but OpenSSL, keeps state, or
 * touches anything outside.
 */

#ifndef AUTHD_JOSE_H
#define AUTHD_JOSE_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "../common/buffer.h"
#include "../common/json.h"
#include "../common/limits.h"
#include "../common/outcome.h"

#define JWT_MAX		CREDENTIAL_MAX	/* bytes of a compact token */
#define JWKS_KEYS_MAX	64		/* usable keys of one issuer */
#define KID_MAX		256		/* bytes, after unescaping */
#define SIGNATURE_MAX	2048		/* bytes: RSA of 16384 bits */

enum jws_alg {
	JWS_NONE,			/* unknown, none, HS*: never verifies */
	JWS_RS256, JWS_RS384, JWS_RS512,
	JWS_PS256, JWS_PS384, JWS_PS512,
	JWS_ES256, JWS_ES384, JWS_ES512,
	JWS_EDDSA,			/* Ed25519 alone */
	JWS_ALG_MAX
};

/* jwk.c */
struct jwk {
	char		 kid[KID_MAX + 1];	/* empty: it has none */
	uint32_t	 algs;		/* bit 1 << enum jws_alg: what it may verify */
	EVP_PKEY	*key;		/* owned */
	EVP_PKEY_CTX	*verify[JWS_ALG_MAX];	/* owned; made when first used */
	uint8_t		 print[DIGEST_LEN];	/* SHA-256 of its public part: which key it is */
};

struct jwks {
	uint32_t	 n;
	uint32_t	 ignored;	/* keys that cannot or may not verify */
	struct jwk	 key[JWKS_KEYS_MAX];
};

/*
 * Reads a JWK set.  A key that is not for signatures, is weak, of a kind that
 * we do not verify or malformed is ignored and counted, as RFC 7517 5 wants;
 * a document that is no JWK set, or that has none that can be used, is an
 * error.  Returns NULL with *error a static text.
 */
struct jwks *jwks_parse(const char *, size_t, const char **error);
void	jwks_free(struct jwks *);
enum jws_alg jws_alg_of(struct slice name);
const char *jws_alg_name(enum jws_alg);		/* "ES256"; never NULL */

/* jws.c */
/*
 * Before the sandbox: makes what verifying needs, and verifies a known token
 * of each algorithm, so that OpenSSL has loaded all that it will want.
 * Returns 0, or -1: an algorithm is missing or does not do what it must.
 */
int	jose_init(void);
/* A compact JWS, taken apart; slices into the token or into the decoded copies. */
struct jws {
	struct slice	 signed_part;	/* header.payload, as it came */
	enum jws_alg	 alg;
	int		 has_kid;
	char		 kid[KID_MAX + 1];
	int		 has_typ;
	char		 typ[64];	/* lower case, without "application/" */
	struct slice	 payload;	/* decoded, may be empty; static, until the next jws_read() */
	uint8_t		 signature[SIGNATURE_MAX];
	size_t		 signature_len;
};
/*
 * Takes a token apart and checks its header.  Returns REASON_NONE, or
 * REASON_MALFORMED_TOKEN, REASON_BAD_HEADER, REASON_BAD_ALGORITHM.
 */
enum reason jws_read(struct jws *, struct slice token);
/*
 * The key that the token names and that allows its algorithm; without a kid
 * the one key that fits, and none where two do.  NULL with
 * REASON_UNKNOWN_KID or REASON_BAD_ALGORITHM (the kid is there, the
 * algorithm is not the key's).
 */
struct jwk *jws_key(const struct jws *, struct jwks *, enum reason *);
/* REASON_NONE or REASON_BAD_SIGNATURE. */
enum reason jws_verify(const struct jws *, struct jwk *);

/* jwt.c */
/* What a token must be, from the configuration. */
struct jwt_policy {
	struct slice		 issuer;
	uint32_t		 audiences;
	const struct slice	*audience;
	struct slice		 typ;	/* empty: absent, "jwt" or "at+jwt" */
	uint32_t		 leeway_s;
	uint32_t		 lifetime_s;
};

/* Its claims; valid until the next jwt_read(). */
struct jwt {
	struct jws	 jws;
	struct json	*json;		/* of the payload; static in jwt.c */
	char		 iss[URL_MAX + 1];
	char		 sub[OWNER_MAX + 1];
	int64_t		 exp;		/* seconds since 1970 */
};
/* jws_read(), and the payload as strict JSON with a string `iss'. */
enum reason jwt_read(struct jwt *, struct slice token);
/*
 * All claims but the signature: typ, ID-token marks, iss, aud, exp, nbf, iat,
 * sub, lifetime.  now: seconds since 1970.  Fills sub and exp.
 */
enum reason jwt_claims(struct jwt *, const struct jwt_policy *, int64_t now);
/*
 * The node of a claim by a path parted by dots ("realm_access.roles"; a member
 * whose whole name has the dots comes first), JSON_NONE where there is none.
 */
uint32_t jwt_claim(const struct jwt *, struct slice path);

#endif
