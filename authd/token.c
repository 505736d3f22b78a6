/* SPDX-License-Identifier: ISC */

/*
 * Judging tokens, and remembering those that were good: by the SHA-256 of the
 * whole token, until it expires or the key that verified it leaves its
 * issuer's set.  A rate belongs to the subject, not to one of its tokens.
 * Both tables are bounded; who was not seen longest is forgotten first.
 */

#include "../common/compat.h"
#include "../common/crypt.h"
#include "issuer.h"

struct token {
	RB_ENTRY(token)		 by_digest;
	TAILQ_ENTRY(token)	 by_age;	/* oldest use first */
	uint8_t			 digest[DIGEST_LEN];	/* of the token */
	uint8_t			 key[DIGEST_LEN];	/* that verified it */
	uint32_t		 issuer;
	int64_t			 until;		/* seconds since 1970 */
	struct account		 owner;
	struct identity		 identity;	/* slices into text */
	uint32_t		 nscopes;
	struct slice		*scope;		/* into text; owned */
	char			 text[];
};

static int
token_cmp(const struct token *a, const struct token *b)
{
	uint64_t x, y;

	/* Digests: the first bytes tell nearly all of them apart. */
	memcpy(&x, a->digest, sizeof(x));
	memcpy(&y, b->digest, sizeof(y));
	if (x != y)
		return x < y ? -1 : 1;
	return memcmp(a->digest, b->digest, sizeof(a->digest));
}

RB_HEAD(token_tree, token);
/* Both systems' headers have it; what we do not use of it is no mistake. */
#define LOCAL __attribute__((__unused__)) static
RB_GENERATE_INTERNAL(token_tree, token, by_digest, token_cmp, LOCAL)

static struct token_tree tokens = RB_INITIALIZER(&tokens);
static TAILQ_HEAD(token_list, token) tokens_by_age =
    TAILQ_HEAD_INITIALIZER(tokens_by_age);
static size_t ntokens;

/* ---- verified tokens --------------------------------------------------- */

static void
token_forget(struct token *t)
{
	RB_REMOVE(token_tree, &tokens, t);
	TAILQ_REMOVE(&tokens_by_age, t, by_age);
	ntokens--;
	free(t->scope);
	free(t);
}

static struct slice
keep(char **at, struct slice sl)
{
	struct slice kept = { *at, sl.len };

	if (sl.len > 0)
		memcpy(*at, sl.ptr, sl.len);
	*at += sl.len;
	return kept;
}

static size_t
text_length(const struct subject *s)
{
	size_t len = s->identity.key_id.len + s->identity.owner.len +
	    s->identity.label.len;
	uint32_t n;

	for (n = 0; n < s->identity.attributes; n++)
		len += s->identity.attribute[n].name.len +
		    s->identity.attribute[n].value.len;
	for (n = 0; n < s->nscopes; n++)
		len += s->scope[n].len;
	return len;
}

static void
keep_texts(struct token *t, const struct subject *s)
{
	char *at = t->text;
	uint32_t n;

	t->identity = s->identity;
	t->identity.key_id = keep(&at, s->identity.key_id);
	t->identity.owner = keep(&at, s->identity.owner);
	t->identity.label = keep(&at, s->identity.label);
	for (n = 0; n < s->identity.attributes; n++) {
		t->identity.attribute[n].name = keep(&at,
		    s->identity.attribute[n].name);
		t->identity.attribute[n].value = keep(&at,
		    s->identity.attribute[n].value);
	}
	for (n = 0; n < s->nscopes; n++)
		t->scope[n] = keep(&at, s->scope[n]);
	t->nscopes = s->nscopes;
}

static struct token *
token_make(const struct subject *s)
{
	struct token *t;

	if ((t = calloc(1, sizeof(*t) + text_length(s) + 1)) == NULL)
		return NULL;
	t->scope = reallocarray(NULL, s->nscopes + 1, sizeof(*t->scope));
	if (t->scope == NULL) {
		free(t);
		return NULL;
	}
	keep_texts(t, s);
	account_of(&t->owner, CREDENTIAL_TOKEN, t->identity.owner, NULL);
	return t;
}

static struct token *
token_remember(const struct subject *s, const uint8_t digest[DIGEST_LEN],
    const struct jwt *jwt, const struct issuer *i, const struct jwk *key)
{
	struct token *t;

	if (ntokens >= TOKENS_CACHED)
		token_forget(TAILQ_FIRST(&tokens_by_age));
	if ((t = token_make(s)) == NULL)
		return NULL;
	memcpy(t->digest, digest, sizeof(t->digest));
	memcpy(t->key, key->print, sizeof(t->key));
	t->issuer = i->number;
	t->until = jwt->exp + (int64_t)i->policy.leeway_s;
	(void)RB_INSERT(token_tree, &tokens, t);
	TAILQ_INSERT_TAIL(&tokens_by_age, t, by_age);
	ntokens++;
	return t;
}

static struct token *
token_known(const uint8_t digest[DIGEST_LEN], int64_t now)
{
	struct token want, *t;

	memcpy(want.digest, digest, sizeof(want.digest));
	if ((t = RB_FIND(token_tree, &tokens, &want)) == NULL)
		return NULL;
	if (t->until <= now) {
		token_forget(t);
		return NULL;
	}
	if (t != TAILQ_LAST(&tokens_by_age, token_list)) {
		TAILQ_REMOVE(&tokens_by_age, t, by_age);
		TAILQ_INSERT_TAIL(&tokens_by_age, t, by_age);
	}
	return t;
}

static int
key_is_there(const struct jwks *keys, const uint8_t print[DIGEST_LEN])
{
	uint32_t n;

	for (n = 0; n < keys->n; n++)
		if (memcmp(keys->key[n].print, print, DIGEST_LEN) == 0)
			return 1;
	return 0;
}

void
tokens_recheck(const struct issuer *i)
{
	struct token *t, *next;

	for (t = TAILQ_FIRST(&tokens_by_age); t != NULL; t = next) {
		next = TAILQ_NEXT(t, by_age);
		if (t->issuer == i->number && !key_is_there(i->keys, t->key))
			token_forget(t);
	}
}

size_t
tokens_cached(void)
{
	return ntokens;
}

/* ---- judging ----------------------------------------------------------- */

static enum token_verdict
missing_key(struct issuer *i, int waited, uint32_t *issuer)
{
	*issuer = i->number;
	if (!waited && keys_wanted(i))
		return TOKEN_WAIT;
	return i->keys == NULL ? TOKEN_NO_KEYS : TOKEN_BAD;
}

static enum token_verdict
verify(struct slice credential, const uint8_t digest[DIGEST_LEN], int64_t now,
    int waited, struct token **out, enum reason *reason, uint32_t *issuer)
{
	static struct subject subject;
	static struct jwt jwt;
	struct jwk *key;
	struct issuer *i;

	if ((*reason = jwt_read(&jwt, credential)) != REASON_NONE)
		return TOKEN_BAD;
	if ((i = issuer_find(jwt.iss)) == NULL) {
		*reason = REASON_UNKNOWN_ISSUER;
		return TOKEN_BAD;
	}
	if ((*reason = jwt_claims(&jwt, &i->policy, now)) != REASON_NONE)
		return TOKEN_BAD;
	if (i->keys == NULL) {
		*reason = REASON_NO_KEYS_YET;
		return missing_key(i, waited, issuer);
	}
	if ((key = jws_key(&jwt.jws, i->keys, reason)) == NULL)
		return *reason == REASON_UNKNOWN_KID ?
		    missing_key(i, waited, issuer) : TOKEN_BAD;
	/* A key may have been changed under the same name. */
	if ((*reason = jws_verify(&jwt.jws, key)) != REASON_NONE)
		return missing_key(i, waited, issuer);
	if ((*reason = subject_read(&subject, &jwt, i)) != REASON_NONE)
		return TOKEN_BAD;
	if ((*out = token_remember(&subject, digest, &jwt, i, key)) == NULL) {
		*reason = REASON_INTERNAL;
		return TOKEN_BAD;
	}
	return TOKEN_GOOD;
}

enum token_verdict
token_check(struct slice credential, int64_t now, int waited,
    struct caller *caller, enum reason *reason, uint32_t *issuer)
{
	enum token_verdict verdict;
	uint8_t digest[DIGEST_LEN];
	struct token *t;

	sha256(credential.ptr, credential.len, digest);
	if ((t = token_known(digest, now)) == NULL) {
		verdict = verify(credential, digest, now, waited, &t, reason,
		    issuer);
		if (verdict != TOKEN_GOOD)
			return verdict;
	}
	caller->identity = &t->identity;
	caller->nscopes = t->nscopes;
	caller->scope = t->scope;
	caller->rate = &issuer_at(t->issuer)->rate;
	caller->in_flight = issuer_at(t->issuer)->in_flight;
	/* Theirs, not the token's: another of the same subject changes nothing. */
	caller->owner = caller->payer = &t->owner;
	*reason = REASON_NONE;
	return TOKEN_GOOD;
}
