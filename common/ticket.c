/* SPDX-License-Identifier: ISC */

/* Tickets: sealing, opening, and the window that makes each single-use. */

#include "compat.h"
#include "crypt.h"
#include "ticket.h"

/* Names the format inside the MAC, so that no other use of a key collides. */
static const char magic[8] = "pxtick2";

void
ticket_seal(struct buffer *out, const struct ticket *t,
    const uint8_t key[KEY_LEN])
{
	size_t start = out->len;
	uint8_t mac[DIGEST_LEN];

	put_u32(out, t->generation);
	put_fixed(out, magic, sizeof(magic));
	put_u64(out, t->serial);
	put_u64(out, t->expires_ms);
	put_fixed(out, t->request_id, sizeof(t->request_id));
	put_fixed(out, t->digest, sizeof(t->digest));
	put_slice(out, t->tool);
	put_identity(out, &t->identity);
	put_rate(out, &t->rate);
	if (out->bad)
		return;
	hmac_sha256(key, out->data + start, out->len - start, mac);
	put_fixed(out, mac, sizeof(mac));
}

uint32_t
ticket_generation(const void *sealed, size_t len)
{
	uint32_t generation;

	if (len < sizeof(generation))
		return 0;
	memcpy(&generation, sealed, sizeof(generation));
	return generation;
}

int
ticket_open(struct ticket *t, const void *sealed, size_t len,
    const uint8_t key[KEY_LEN])
{
	char seen[sizeof(magic)];
	uint8_t mac[DIGEST_LEN];
	struct reader r;

	if (len < DIGEST_LEN || len > TICKET_MAX)
		return -1;
	len -= DIGEST_LEN;
	hmac_sha256(key, sealed, len, mac);
	if (!digest_equal(mac, (const uint8_t *)sealed + len))
		return -1;
	reader_init(&r, sealed, len);
	t->generation = get_u32(&r);
	get_fixed(&r, seen, sizeof(seen));
	t->serial = get_u64(&r);
	t->expires_ms = get_u64(&r);
	get_fixed(&r, t->request_id, sizeof(t->request_id));
	get_fixed(&r, t->digest, sizeof(t->digest));
	t->tool = get_string(&r, TOOL_NAME_MAX);
	get_identity(&r, &t->identity);
	get_rate(&r, &t->rate);
	if (wire_done(&r) == -1 || memcmp(seen, magic, sizeof(magic)) != 0 ||
	    t->serial == 0 || t->tool.len == 0)
		return -1;
	return 0;
}

void
ticket_window_init(struct ticket_window *w)
{
	memset(w, 0, sizeof(*w));
}

/* The bits between the old and the new top belong to serials not seen yet. */
static void
advance(struct ticket_window *w, uint64_t top)
{
	uint64_t n;

	if (top - w->top >= TICKET_WINDOW) {
		memset(w->seen, 0, sizeof(w->seen));
	} else {
		for (n = w->top + 1; n <= top; n++)
			w->seen[n % TICKET_WINDOW / 64] &=
			    ~(UINT64_C(1) << (n % 64));
	}
	w->top = top;
}

int
ticket_window_use(struct ticket_window *w, uint64_t serial)
{
	uint64_t *word, bit;

	if (serial == 0 || serial == UINT64_MAX ||
	    (serial <= w->top && w->top - serial >= TICKET_WINDOW))
		return -1;
	if (serial > w->top)
		advance(w, serial);
	word = &w->seen[serial % TICKET_WINDOW / 64];
	bit = UINT64_C(1) << (serial % 64);
	if (*word & bit)
		return -1;
	*word |= bit;
	return 0;
}
