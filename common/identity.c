/* SPDX-License-Identifier: ISC */

/* Identities on the wire, and what a tool may bind of them. */

#include "identity.h"

void
put_identity(struct buffer *b, const struct identity *id)
{
	uint32_t i;

	put_u8(b, id->kind);
	put_slice(b, id->key_id);
	put_slice(b, id->owner);
	put_slice(b, id->label);
	put_u32(b, id->attributes);
	for (i = 0; i < id->attributes; i++) {
		put_slice(b, id->attribute[i].name);
		put_slice(b, id->attribute[i].value);
	}
}

void
get_identity(struct reader *r, struct identity *id)
{
	uint32_t i;

	memset(id, 0, sizeof(*id));
	id->kind = (uint8_t)get_enum(r, CREDENTIAL_KIND_MAX);
	id->key_id = get_string(r, CLIENT_ID_MAX);
	id->owner = get_string(r, OWNER_MAX);
	id->label = get_string(r, LABEL_MAX);
	id->attributes = get_u32(r);
	if (id->attributes > ATTRIBUTES_MAX) {
		r->bad = 1;
		id->attributes = 0;
	}
	for (i = 0; i < id->attributes; i++) {
		id->attribute[i].name = get_string(r, NAME_LEN_MAX);
		id->attribute[i].value = get_string(r, ATTRIBUTE_MAX);
	}
}

int
identity_value(const struct identity *id, struct slice name,
    struct slice *value)
{
	static const char claim[] = "claim.";
	uint32_t i;

	if (slice_is(name, "id")) {
		*value = id->key_id;
		return 0;
	}
	if (slice_is(name, "owner")) {
		*value = id->owner;
		return 0;
	}
	if (name.len <= sizeof(claim) - 1 ||
	    memcmp(name.ptr, claim, sizeof(claim) - 1) != 0)
		return -1;
	name.ptr += sizeof(claim) - 1;
	name.len -= sizeof(claim) - 1;
	for (i = 0; i < id->attributes; i++)
		if (slice_equal(id->attribute[i].name, name)) {
			*value = id->attribute[i].value;
			return 0;
		}
	return -1;
}
