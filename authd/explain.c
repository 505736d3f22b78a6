/* SPDX-License-Identifier: ISC */

/*
 * For the operator who asks why a token is refused: what stands in it and
 * what would be decided, field by field.  Asked through the control socket
 * by root alone; it decides nothing, fetches nothing and is cached nowhere.
 * Each value is quoted as JSON, so that none can pass for a line of ours.
 */

#include "../common/compat.h"
#include "issuer.h"

#define VALUE_MAX	512	/* bytes of a claim that are shown */

static struct subject subject;
static struct jwt jwt;

static void
say_text(struct buffer *out, const char *name, const char *value)
{
	(void)buffer_printf(out, "%s: ", name);
	(void)json_write_cstr(out, value);
	(void)buffer_add_char(out, '\n');
}

static void
say_header(struct buffer *out)
{
	(void)buffer_printf(out, "header alg: %s\n",
	    jws_alg_name(jwt.jws.alg));
	if (jwt.jws.has_kid)
		say_text(out, "header kid", jwt.jws.kid);
	else
		(void)buffer_add_cstr(out, "header kid: absent\n");
	if (jwt.jws.has_typ)
		say_text(out, "header typ", jwt.jws.typ);
	else
		(void)buffer_add_cstr(out, "header typ: absent\n");
}

/* The bytes of a claim; the strict reader left no raw control in them. */
static void
say_claim(struct buffer *out, const char *name)
{
	uint32_t node = jwt_claim(&jwt, slice_of(name));
	struct slice raw;

	if (node == JSON_NONE) {
		(void)buffer_printf(out, "claim %s: absent\n", name);
		return;
	}
	raw = json_raw(jwt.json, node);
	(void)buffer_printf(out, "claim %s: %.*s%s\n", name,
	    (int)(raw.len > VALUE_MAX ? VALUE_MAX : raw.len), raw.ptr,
	    raw.len > VALUE_MAX ? " ..." : "");
}

static void
say_claims(struct buffer *out, int64_t now)
{
	static const char *const names[] = {
		"iss", "aud", "sub", "exp", "nbf", "iat", "client_id", "azp"
	};
	size_t n;

	(void)buffer_printf(out, "now: %lld\n", (long long)now);
	for (n = 0; n < sizeof(names) / sizeof(names[0]); n++)
		say_claim(out, names[n]);
}

static void
say_issuer(struct buffer *out, const struct issuer *i)
{
	uint32_t n;

	say_text(out, "issuer configured", i->url);
	for (n = 0; n < i->audiences; n++)
		say_text(out, "audience configured", i->audience[n].ptr);
	say_claim(out, i->scopes_from);
	for (n = 0; n < i->claims; n++)
		say_claim(out, i->claim[n]);
}

static void
say_tool(const char *name, void *arg)
{
	(void)buffer_printf(arg, "may call: %s\n", name);
}

static void
say_slice(struct buffer *out, const char *name, struct slice value)
{
	(void)buffer_printf(out, "%s: ", name);
	(void)json_write_string(out, value.ptr, value.len);
	(void)buffer_add_char(out, '\n');
}

static void
say_subject(struct buffer *out)
{
	uint32_t n;

	say_slice(out, "owner", subject.identity.owner);
	say_slice(out, "client", subject.identity.key_id);
	say_slice(out, "label", subject.identity.label);
	if (subject.nscopes == 0)
		(void)buffer_add_cstr(out, "scope: none that a tool asks for\n");
	for (n = 0; n < subject.nscopes; n++)
		say_slice(out, "scope", subject.scope[n]);
	each_open_tool(subject.scope, subject.nscopes, say_tool, out);
}

static enum reason
check_signature(struct buffer *out, const struct issuer *i)
{
	enum reason reason;
	struct jwk *key;

	if (i->keys == NULL)
		return REASON_NO_KEYS_YET;
	if ((key = jws_key(&jwt.jws, i->keys, &reason)) == NULL)
		return reason;
	if ((reason = jws_verify(&jwt.jws, key)) == REASON_NONE)
		(void)buffer_add_cstr(out, "signature: good\n");
	return reason;
}

static enum reason
explain(struct buffer *out, struct slice token, int64_t now)
{
	const struct issuer *i;
	enum reason reason, signature;

	if ((reason = jwt_read(&jwt, token)) != REASON_NONE)
		return reason;
	say_header(out);
	say_claims(out, now);
	if ((i = issuer_find(jwt.iss)) == NULL)
		return REASON_UNKNOWN_ISSUER;
	say_issuer(out, i);
	reason = jwt_claims(&jwt, &i->policy, now);
	(void)buffer_printf(out, "claims: %s\n",
	    reason == REASON_NONE ? "good" : reason_name(reason));
	signature = check_signature(out, i);
	if (signature != REASON_NONE)
		(void)buffer_printf(out, "signature: %s\n",
		    reason_name(signature));
	if (reason == REASON_NONE)
		reason = signature;
	if (reason != REASON_NONE)
		return reason;
	if ((reason = subject_read(&subject, &jwt, i)) == REASON_NONE)
		say_subject(out);
	return reason;
}

void
token_explain(struct buffer *out, struct slice token, int64_t now)
{
	enum reason reason;

	if (issuer_count() == 0) {
		(void)buffer_add_cstr(out, "decision: refused: no issuer is "
		    "configured\n");
		return;
	}
	reason = explain(out, token, now);
	if (reason == REASON_NONE)
		(void)buffer_add_cstr(out, "decision: accepted\n");
	else
		(void)buffer_printf(out, "decision: refused: %s\n",
		    reason_name(reason));
	/* Nothing of the token stays behind. */
	explicit_bzero(&jwt, sizeof(jwt));
	explicit_bzero(&subject, sizeof(subject));
}
