/* SPDX-License-Identifier: ISC */

/*
 * Between the parent and any child, beside the configuration: who the child
 * is, whom it shall know, the keys and credentials that change while it runs,
 * and what it found and answers.  The parent does not trust the answers.
 */

#include "message.h"

void
put_start(struct buffer *b, const struct msg_start *m)
{
	put_u8(b, m->role);
	put_u32(b, m->index);
	put_u32(b, m->instance);
	put_u64(b, m->boot_id);
	put_bool(b, m->foreground);
	put_bool(b, m->verbose);
	put_bool(b, m->drop);
	put_u32(b, m->uid);
	put_u32(b, m->gid);
	put_slice(b, m->chroot_dir);
	put_slice(b, m->version);
}

int
get_start(const struct frame *f, struct msg_start *m)
{
	struct reader r = frame_reader(f);

	m->role = get_u8(&r);
	m->index = get_u32(&r);
	m->instance = get_u32(&r);
	m->boot_id = get_u64(&r);
	m->foreground = get_bool(&r);
	m->verbose = get_bool(&r);
	m->drop = get_bool(&r);
	m->uid = get_u32(&r);
	m->gid = get_u32(&r);
	m->chroot_dir = get_string(&r, PATH_LEN_MAX);
	m->version = get_string(&r, NAME_LEN_MAX);
	return wire_done(&r);
}

void
put_peer(struct buffer *b, const struct msg_peer *m)
{
	put_u8(b, m->role);
	put_u32(b, m->index);
	put_u32(b, m->instance);
	put_u32(b, m->crew);
}

int
get_peer(const struct frame *f, struct msg_peer *m)
{
	struct reader r = frame_reader(f);

	m->role = get_u8(&r);
	m->index = get_u32(&r);
	m->instance = get_u32(&r);
	m->crew = get_u32(&r);
	return wire_done(&r);
}

void
put_ticket_key(struct buffer *b, const struct msg_ticket_key *m)
{
	put_u32(b, m->handler_index);
	put_u32(b, m->handler_instance);
	put_u32(b, m->generation);
	put_fixed(b, m->key, sizeof(m->key));
}

int
get_ticket_key(const struct frame *f, struct msg_ticket_key *m)
{
	struct reader r = frame_reader(f);

	m->handler_index = get_count(&r, HANDLERS_MAX - 1);
	m->handler_instance = get_u32(&r);
	m->generation = get_u32(&r);
	get_fixed(&r, m->key, sizeof(m->key));
	if (m->generation == 0)
		return -1;
	return wire_done(&r);
}

void
put_keys(struct buffer *b, const struct msg_keys *m)
{
	put_fixed(b, m->pepper, sizeof(m->pepper));
	put_slice(b, m->file);
}

int
get_keys(const struct frame *f, struct msg_keys *m)
{
	struct reader r = frame_reader(f);

	get_fixed(&r, m->pepper, sizeof(m->pepper));
	m->file = get_bytes(&r, FRAME_PAYLOAD_MAX);
	return wire_done(&r);
}

void
put_dsn(struct buffer *b, const struct msg_dsn *m)
{
	put_u32(b, m->number);
	put_slice(b, m->dsn);
}

int
get_dsn(const struct frame *f, struct msg_dsn *m)
{
	struct reader r = frame_reader(f);

	m->number = get_count(&r, CREDENTIALS_MAX - 1);
	m->dsn = get_string(&r, TEXT_MAX_);
	return wire_done(&r);
}

void
put_keys_used(struct buffer *b, const struct msg_keys_used *m)
{
	uint32_t i;

	put_u32(b, m->keys);
	for (i = 0; i < m->keys; i++) {
		put_slice(b, m->key[i].id);
		put_u64(b, m->key[i].when);
	}
}

static int
slice_below(struct slice a, struct slice b)
{
	int rc = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

	return rc != 0 ? rc < 0 : a.len < b.len;
}

int
get_keys_used(const struct frame *f, struct msg_keys_used *m)
{
	struct reader r = frame_reader(f);
	uint32_t i;

	m->keys = get_u32(&r);
	if (m->keys > KEYS_USED_MAX)
		return -1;
	for (i = 0; i < m->keys; i++) {
		m->key[i].id = get_string(&r, KEY_ID_MAX);
		m->key[i].when = get_u64(&r);
		if (r.bad || m->key[i].id.len == 0 || (i > 0 &&
		    !slice_below(m->key[i - 1].id, m->key[i].id)))
			return -1;
	}
	return wire_done(&r);
}

void
put_checked_source(struct buffer *b, const struct msg_checked_source *m)
{
	put_slice(b, m->source);
	put_bool(b, m->up);
	put_slice(b, m->text);
}

int
get_checked_source(const struct frame *f, struct msg_checked_source *m)
{
	struct reader r = frame_reader(f);

	m->source = get_string(&r, NAME_LEN_MAX);
	m->up = get_bool(&r);
	m->text = get_string(&r, CHECK_TEXT_MAX);
	return wire_done(&r);
}

void
put_checked_tool(struct buffer *b, const struct msg_checked_tool *m)
{
	put_u32(b, m->tool);
	put_slice(b, m->source);
	put_bool(b, m->refused);
	put_slice(b, m->param);
	put_slice(b, m->text);
}

int
get_checked_tool(const struct frame *f, struct msg_checked_tool *m)
{
	struct reader r = frame_reader(f);

	m->tool = get_u32(&r);
	m->source = get_string(&r, NAME_LEN_MAX);
	m->refused = get_bool(&r);
	m->param = get_string(&r, NAME_LEN_MAX);
	m->text = get_string(&r, CHECK_TEXT_MAX);
	return wire_done(&r);
}
