/* SPDX-License-Identifier: ISC */

/*
 * From the claims of a verified token to an identity.  What grants comes from
 * the one claim that is configured and from the configuration; a claim that
 * nobody named is not looked at.
 */

#include "../common/compat.h"
#include "issuer.h"

/* All texts of one subject; slices point into it until the next one. */
static struct {
	char	owner[OWNER_MAX + 1];
	char	label[LABEL_MAX + 1];
	char	client[CLIENT_ID_MAX + 1];
	char	attribute[ATTRIBUTES_MAX][ATTRIBUTE_MAX + 1];
	char	scope[SCOPES_MAX][SCOPE_MAX + 1];
} text;

static int
printable(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return 0;
	return 1;
}

/* A top-level claim that is a string and fits; else the empty text. */
static struct slice
text_claim(const struct jwt *t, const char *name, char *out, size_t size)
{
	uint32_t node = json_member(t->json, 0, name);

	if (node == JSON_NONE || json_copy(t->json, node, out, size) == -1 ||
	    !printable(out))
		out[0] = '\0';
	return slice_of(out);
}

/*
 * The issuer's URL has no `#', so two issuers' subjects never meet; no key's
 * owner may begin with "https://" (keyfile.c).
 */
static enum reason
read_owner(struct subject *s, const struct jwt *t, const struct issuer *i)
{
	size_t len = strlen(i->url) + 1 + strlen(t->sub);

	if (len > OWNER_MAX)
		return REASON_BAD_CLAIM;
	strlcpy(text.owner, i->url, sizeof(text.owner));
	strlcat(text.owner, "#", sizeof(text.owner));
	strlcat(text.owner, t->sub, sizeof(text.owner));
	s->identity.owner = slice_of(text.owner);
	return REASON_NONE;
}

static void
read_names(struct subject *s, const struct jwt *t)
{
	static const char *const labels[] = {
		"preferred_username", "name", "email"
	};
	size_t n;

	s->identity.key_id = text_claim(t, "client_id", text.client,
	    sizeof(text.client));
	if (s->identity.key_id.len == 0)
		s->identity.key_id = text_claim(t, "azp", text.client,
		    sizeof(text.client));
	s->identity.label = slice_of("");
	for (n = 0; n < sizeof(labels) / sizeof(labels[0]) &&
	    s->identity.label.len == 0; n++)
		s->identity.label = text_claim(t, labels[n], text.label,
		    sizeof(text.label));
}

/* A string as it is, a number or a boolean as it is written; else nothing. */
static void
read_attributes(struct subject *s, const struct jwt *t, const struct issuer *i)
{
	struct attribute *a;
	struct slice raw;
	uint32_t n, node;
	char *out;

	for (n = 0; n < i->claims; n++) {
		node = jwt_claim(t, slice_of(i->claim[n]));
		if (node == JSON_NONE)
			continue;
		out = text.attribute[s->identity.attributes];
		if (json_is(t->json, node, JSON_STRING)) {
			if (json_copy(t->json, node, out,
			    ATTRIBUTE_MAX + 1) == -1 || !printable(out))
				continue;
		} else if (json_is(t->json, node, JSON_INTEGER) ||
		    json_is(t->json, node, JSON_TRUE) ||
		    json_is(t->json, node, JSON_FALSE)) {
			raw = json_raw(t->json, node);
			if (raw.len > ATTRIBUTE_MAX)
				continue;
			memcpy(out, raw.ptr, raw.len);
			out[raw.len] = '\0';
		} else {
			continue;
		}
		a = &s->identity.attribute[s->identity.attributes++];
		a->name = slice_of(i->claim[n]);
		a->value = slice_of(out);
	}
}

static void
add_scope(struct subject *s, struct slice scope)
{
	uint32_t n;

	/* What opens no tool is not worth a place. */
	if (s->nscopes == SCOPES_MAX || scope.len > SCOPE_MAX ||
	    !scope_opens_a_tool(scope))
		return;
	for (n = 0; n < s->nscopes; n++)
		if (slice_equal(s->scope[n], scope))
			return;
	memcpy(text.scope[n], scope.ptr, scope.len);
	s->scope[n].ptr = text.scope[n];
	s->scope[n].len = scope.len;
	s->nscopes++;
}

static void
add_value(struct subject *s, const struct issuer *i, struct slice value)
{
	const struct grant *g;
	uint32_t n, k;

	add_scope(s, value);
	for (n = 0; n < i->grants; n++) {
		g = &i->grant[n];
		if (!slice_is(value, g->role))
			continue;
		for (k = 0; k < g->scopes; k++)
			add_scope(s, slice_of(g->scope[k]));
	}
}

/* RFC 6749 3.3: scopes in one string are parted by blanks. */
static void
add_words(struct subject *s, const struct issuer *i, struct slice words)
{
	struct slice word;
	const char *blank;

	while (words.len > 0) {
		blank = memchr(words.ptr, ' ', words.len);
		word.ptr = words.ptr;
		word.len = blank == NULL ? words.len :
		    (size_t)(blank - words.ptr);
		if (word.len > 0)
			add_value(s, i, word);
		word.len += blank != NULL;
		words.ptr += word.len;
		words.len -= word.len;
	}
}

static void
read_scopes(struct subject *s, const struct jwt *t, const struct issuer *i)
{
	static char words[JWT_MAX];
	uint32_t node = jwt_claim(t, slice_of(i->scopes_from)), n;

	if (node == JSON_NONE)
		return;
	if (json_is(t->json, node, JSON_STRING)) {
		if (json_copy(t->json, node, words, sizeof(words)) == 0)
			add_words(s, i, slice_of(words));
		return;
	}
	if (!json_is(t->json, node, JSON_ARRAY))
		return;
	for (n = node + 1; n < t->json->nodes[node].next;
	    n = t->json->nodes[n].next)
		if (json_is(t->json, n, JSON_STRING) &&
		    json_copy(t->json, n, words, sizeof(words)) == 0)
			add_value(s, i, slice_of(words));
}

enum reason
subject_read(struct subject *s, const struct jwt *t, const struct issuer *i)
{
	enum reason reason;

	memset(s, 0, sizeof(*s));
	s->identity.kind = CREDENTIAL_TOKEN;
	if ((reason = read_owner(s, t, i)) != REASON_NONE)
		return reason;
	read_names(s, t);
	read_attributes(s, t, i);
	read_scopes(s, t, i);
	return REASON_NONE;
}
