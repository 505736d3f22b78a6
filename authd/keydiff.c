/* SPDX-License-Identifier: ISC */

/*
 * What a new key file changes, told to the trail: each key that came, went
 * or was changed, by its id, and how many are in force.  Never a hash.
 */

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "../common/outbox.h"
#include "authd.h"

#define TOLD_MAX	256	/* keys of one change; the rest is a number */

static void
tell(const char *name, struct buffer *detail)
{
	struct msg_audit_event m;
	struct buffer b;

	random_bytes(m.id, sizeof(m.id));
	m.name = slice_of(name);
	m.detail.ptr = (const char *)detail->data;
	m.detail.len = detail->bad ? 0 : detail->len;
	buffer_init(&b, FRAME_PAYLOAD_MAX);
	put_audit_event(&b, &m);
	(void)outbox_send(MSG_AUDIT_EVENT, &b, NULL);
	buffer_clear(detail);
}

static void
add_text(struct buffer *b, const char *name, struct slice text)
{
	(void)buffer_add_char(b, b->len == 0 ? '{' : ',');
	(void)json_write_cstr(b, name);
	(void)buffer_add_char(b, ':');
	(void)json_write_string(b, text.ptr, text.len);
}

static void
add_number(struct buffer *b, const char *name, uint64_t n)
{
	(void)buffer_printf(b, "%c\"%s\":%llu", b->len == 0 ? '{' : ',', name,
	    (unsigned long long)n);
}

static void
add_scopes(struct buffer *b, const struct api_key *k)
{
	size_t start;
	uint32_t i;

	(void)buffer_add_cstr(b, ",\"scopes\":[");
	start = b->len;
	for (i = 0; i < k->nscopes && b->len < EVENT_DETAIL_MAX / 2; i++) {
		if (b->len > start)
			(void)buffer_add_char(b, ',');
		(void)json_write_string(b, k->scope[i].ptr, k->scope[i].len);
	}
	(void)buffer_add_char(b, ']');
}

static void
tell_key(const char *name, const struct api_key *k, const char *what)
{
	static struct buffer b = { .max = EVENT_DETAIL_MAX };

	add_text(&b, "key_id", k->identity.key_id);
	add_text(&b, "owner_id", k->identity.owner);
	if (what != NULL)
		add_text(&b, "what", slice_of(what));
	add_scopes(&b, k);
	(void)buffer_add_char(&b, '}');
	tell(name, &b);
}

static int
same_scopes(const struct api_key *a, const struct api_key *b)
{
	uint32_t i;

	for (i = 0; i < a->nscopes && i < b->nscopes; i++)
		if (!slice_equal(a->scope[i], b->scope[i]))
			return 0;
	return a->nscopes == b->nscopes;
}

static int
same_attributes(const struct identity *a, const struct identity *b)
{
	uint32_t i;

	for (i = 0; i < a->attributes && i < b->attributes; i++)
		if (!slice_equal(a->attribute[i].name, b->attribute[i].name) ||
		    !slice_equal(a->attribute[i].value, b->attribute[i].value))
			return 0;
	return a->attributes == b->attributes;
}

/* The first thing that differs; NULL: nothing. */
static const char *
difference(const struct api_key *a, const struct api_key *b)
{
	if (a->legacy != b->legacy || !digest_equal(a->hash, b->hash))
		return "secret";
	if (!slice_equal(a->identity.owner, b->identity.owner))
		return "owner";
	if (!same_scopes(a, b))
		return "scopes";
	if (a->expires != b->expires)
		return "expiry";
	if (memcmp(&a->rate, &b->rate, sizeof(a->rate)) != 0)
		return "rate";
	if (!same_attributes(&a->identity, &b->identity))
		return "attributes";
	return slice_equal(a->identity.label, b->identity.label) ? NULL :
	    "label";
}

static int
compare(const struct api_key *a, const struct api_key *b)
{
	struct slice x = a->identity.key_id, y = b->identity.key_id;
	int rc = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);

	return rc != 0 ? rc : (x.len > y.len) - (x.len < y.len);
}

struct changes {
	uint64_t	added, revoked, changed;
};

static void
count(uint64_t *n, struct changes *c, const char *name,
    const struct api_key *k, const char *what)
{
	if (c->added + c->revoked + c->changed < TOLD_MAX)
		tell_key(name, k, what);
	++*n;
}

static void
compare_key(const struct api_key *old, const struct api_key *now,
    struct changes *c)
{
	const char *what;

	if (old != NULL && old->revoked)
		old = NULL;
	if (now != NULL && now->revoked)
		now = NULL;
	if (old == NULL && now != NULL)
		count(&c->added, c, "key_added", now, NULL);
	else if (old != NULL && now == NULL)
		count(&c->revoked, c, "key_revoked", old, NULL);
	else if (old != NULL && (what = difference(old, now)) != NULL)
		count(&c->changed, c, "key_changed", now, what);
}

void
keydiff_tell(const struct api_key *old, size_t nold, const struct api_key *now,
    size_t nnow, int first)
{
	static struct buffer b = { .max = EVENT_DETAIL_MAX };
	struct changes c = { 0, 0, 0 };
	size_t i = 0, j = 0;
	int rc;

	while (!first && (i < nold || j < nnow)) {
		rc = i == nold ? 1 : j == nnow ? -1 : compare(&old[i], &now[j]);
		compare_key(rc <= 0 ? &old[i] : NULL, rc >= 0 ? &now[j] : NULL,
		    &c);
		i += rc <= 0;
		j += rc >= 0;
	}
	if (!first && c.added + c.revoked + c.changed == 0)
		return;
	add_number(&b, "keys", nnow);
	if (!first) {
		add_number(&b, "added", c.added);
		add_number(&b, "revoked", c.revoked);
		add_number(&b, "changed", c.changed);
	}
	(void)buffer_add_char(&b, '}');
	tell("keys", &b);
}
