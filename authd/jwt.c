/* SPDX-License-Identifier: ISC */

/*
 * What the claims of a token must be (RFC 7519 4.1, RFC 9068 4, RFC 8725 3).
 * A claim that is missing where it is needed is a refusal, never a default.
 */

#include "../common/compat.h"
#include "jose.h"

#define DATE_MAX	9007199254740991.0	/* 2^53 - 1: exact in a double */
#define AUDIENCES_READ	64			/* of one token */

static struct json claims;

enum reason
jwt_read(struct jwt *t, struct slice token)
{
	enum reason reason;
	uint32_t iss;

	memset(t, 0, sizeof(*t));
	t->json = &claims;
	if ((reason = jws_read(&t->jws, token)) != REASON_NONE)
		return reason;
	if (json_parse(&claims, t->jws.payload.ptr, t->jws.payload.len) ==
	    -1 || !json_is(&claims, 0, JSON_OBJECT))
		return REASON_MALFORMED_TOKEN;
	if ((iss = json_member(&claims, 0, "iss")) == JSON_NONE ||
	    json_copy(&claims, iss, t->iss, sizeof(t->iss)) == -1)
		return REASON_BAD_CLAIM;
	return REASON_NONE;
}

static enum reason
check_typ(const struct jws *s, const struct jwt_policy *p)
{
	if (p->typ.len > 0) {
		if (!s->has_typ || strlen(s->typ) != p->typ.len ||
		    strncasecmp(s->typ, p->typ.ptr, p->typ.len) != 0)
			return REASON_BAD_TYPE;
		return REASON_NONE;
	}
	return !s->has_typ || strcmp(s->typ, "jwt") == 0 ||
	    strcmp(s->typ, "at+jwt") == 0 ? REASON_NONE : REASON_BAD_TYPE;
}

static int
is_id_token(void)
{
	static const char *const marks[] = {
		"nonce", "at_hash", "c_hash", "s_hash"
	};
	size_t i;

	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (json_member(&claims, 0, marks[i]) != JSON_NONE)
			return 1;
	return 0;
}

static int
is_for_us(uint32_t node, const struct jwt_policy *p)
{
	char text[URL_MAX + 1];
	uint32_t n;

	/* What does not fit is longer than any of ours. */
	if (json_copy(&claims, node, text, sizeof(text)) == -1)
		return 0;
	for (n = 0; n < p->audiences; n++)
		if (slice_is(p->audience[n], text))
			return 1;
	return 0;
}

static enum reason
check_audience(const struct jwt_policy *p)
{
	uint32_t aud = json_member(&claims, 0, "aud"), n;
	int found = 0;

	if (aud == JSON_NONE)
		return REASON_BAD_CLAIM;
	if (json_is(&claims, aud, JSON_STRING))
		return is_for_us(aud, p) ? REASON_NONE : REASON_WRONG_AUDIENCE;
	if (!json_is(&claims, aud, JSON_ARRAY) ||
	    claims.nodes[aud].count == 0 ||
	    claims.nodes[aud].count > AUDIENCES_READ)
		return REASON_BAD_CLAIM;
	for (n = aud + 1; n < claims.nodes[aud].next;
	    n = claims.nodes[n].next) {
		if (!json_is(&claims, n, JSON_STRING))
			return REASON_BAD_CLAIM;
		found |= is_for_us(n, p);
	}
	return found ? REASON_NONE : REASON_WRONG_AUDIENCE;
}

/* A NumericDate in whole seconds: 1, 0 where it is absent, -1: no date. */
static int
date(const char *name, int64_t *out)
{
	uint32_t node = json_member(&claims, 0, name);
	double seconds;

	if (node == JSON_NONE)
		return 0;
	if ((!json_is(&claims, node, JSON_INTEGER) &&
	    !json_is(&claims, node, JSON_REAL)) ||
	    json_real(&claims, node, &seconds) == -1 || seconds < 0 ||
	    seconds > DATE_MAX)
		return -1;
	*out = (int64_t)seconds;
	return 1;
}

static enum reason
check_times(struct jwt *t, const struct jwt_policy *p, int64_t now)
{
	int64_t leeway = p->leeway_s, life = p->lifetime_s;
	int64_t nbf = 0, iat = now;
	int has_nbf, has_iat;

	has_nbf = date("nbf", &nbf);
	has_iat = date("iat", &iat);
	if (date("exp", &t->exp) != 1 || has_nbf == -1 || has_iat == -1)
		return REASON_BAD_CLAIM;
	if (now >= t->exp + leeway)
		return REASON_EXPIRED;
	if ((has_nbf && nbf > now + leeway) || (has_iat && iat > now + leeway))
		return REASON_NOT_YET_VALID;
	if (t->exp - iat > life || t->exp - now > life + leeway)
		return REASON_LIFETIME;
	return REASON_NONE;
}

static enum reason
check_subject(struct jwt *t)
{
	uint32_t sub = json_member(&claims, 0, "sub");
	const char *c;

	if (sub == JSON_NONE ||
	    json_copy(&claims, sub, t->sub, sizeof(t->sub)) == -1 ||
	    t->sub[0] == '\0')
		return REASON_BAD_CLAIM;
	/* Control characters: of ASCII, and U+0080 to U+009F in their UTF-8. */
	for (c = t->sub; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f ||
		    ((unsigned char)*c == 0xc2 && (unsigned char)c[1] < 0xa0))
			return REASON_BAD_CLAIM;
	return REASON_NONE;
}

enum reason
jwt_claims(struct jwt *t, const struct jwt_policy *p, int64_t now)
{
	enum reason reason;

	if ((reason = check_typ(&t->jws, p)) != REASON_NONE)
		return reason;
	if (is_id_token())
		return REASON_ID_TOKEN;
	if (strlen(t->iss) != p->issuer.len ||
	    memcmp(t->iss, p->issuer.ptr, p->issuer.len) != 0)
		return REASON_UNKNOWN_ISSUER;
	if ((reason = check_audience(p)) != REASON_NONE ||
	    (reason = check_times(t, p, now)) != REASON_NONE)
		return reason;
	return check_subject(t);
}

uint32_t
jwt_claim(const struct jwt *t, struct slice path)
{
	char name[URL_MAX + 1];
	uint32_t node = 0;
	const char *dot;
	size_t len;

	if (path.len == 0 || path.len > URL_MAX)
		return JSON_NONE;
	memcpy(name, path.ptr, path.len);
	name[path.len] = '\0';
	if ((node = json_member(t->json, 0, name)) != JSON_NONE)
		return node;
	node = 0;
	do {
		dot = path.len == 0 ? NULL : memchr(path.ptr, '.', path.len);
		len = dot == NULL ? path.len : (size_t)(dot - path.ptr);
		/* No step has an empty name: "a." is not "a". */
		if (len == 0 || !json_is(t->json, node, JSON_OBJECT))
			return JSON_NONE;
		memcpy(name, path.ptr, len);
		name[len] = '\0';
		if ((node = json_member(t->json, node, name)) == JSON_NONE)
			return JSON_NONE;
		len += dot != NULL;
		path.ptr += len;
		path.len -= len;
	} while (dot != NULL);
	return node;
}
