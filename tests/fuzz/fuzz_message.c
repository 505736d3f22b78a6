/* SPDX-License-Identifier: ISC */

/*
 * Any bytes as the payload of any message between siblings.  What a reader
 * takes is written again and must be the same bytes: there is one encoding of
 * a message, so that no two processes can understand it differently.
 */

#include "../../common/compat.h"
#include "../../common/message.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Reads into a scratch; out gets what was read.  Returns 0 or -1. */
#define BOTH(name)							\
static int								\
both_##name(const struct frame *f, struct buffer *out)			\
{									\
	static struct msg_##name m;					\
									\
	memset(&m, 0, sizeof(m));					\
	if (get_##name(f, &m) == -1)					\
		return -1;						\
	put_##name(out, &m);						\
	return 0;							\
}

BOTH(start) BOTH(conf_listener) BOTH(conf_name) BOTH(conf_tool_text)
BOTH(conf_authd) BOTH(conf_tool_rule) BOTH(conf_issuer) BOTH(conf_grant)
BOTH(conf_fetch) BOTH(conf_handler) BOTH(conf_redis) BOTH(conf_source)
BOTH(conf_tool) BOTH(conf_param) BOTH(conf_auditd) BOTH(conf_catalogue)
BOTH(checked_source) BOTH(checked_tool) BOTH(conf_tool_digest) BOTH(conf_sink)
BOTH(peer) BOTH(ticket_key) BOTH(keys) BOTH(authorize) BOTH(decision)
BOTH(fetch) BOTH(fetched) BOTH(call) BOTH(result) BOTH(audit_decision)
BOTH(audit_event) BOTH(audit_call)

#define ROW(name)	both_##name

static int (*const rows[])(const struct frame *, struct buffer *) = {
	ROW(start), ROW(conf_listener), ROW(conf_name), ROW(conf_tool_text),
	ROW(conf_authd), ROW(conf_tool_rule), ROW(conf_issuer),
	ROW(conf_grant), ROW(conf_fetch), ROW(conf_handler),
	ROW(conf_source), ROW(conf_tool), ROW(conf_param), ROW(conf_auditd), ROW(conf_catalogue),
	ROW(checked_source), ROW(checked_tool),
	ROW(conf_tool_digest), ROW(conf_sink), ROW(peer), ROW(ticket_key),
	ROW(keys), ROW(authorize), ROW(decision), ROW(fetch), ROW(fetched),
	ROW(call), ROW(result), ROW(audit_decision), ROW(audit_event),
	ROW(audit_call),
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct frame f = { .fd = -1 };
	struct buffer out;

	if (len == 0)
		return 0;
	f.payload = data + 1;
	f.length = len - 1;
	buffer_init(&out, FRAME_PAYLOAD_MAX);
	if (rows[data[0] % (sizeof(rows) / sizeof(rows[0]))](&f, &out) == 0 &&
	    (out.bad || out.len != f.length ||
	    memcmp(out.data, f.payload, out.len) != 0))
		abort();
	buffer_free(&out);
	return 0;
}
