/* SPDX-License-Identifier: ISC */

/*
 * Any bytes as a line of the trail, and as a checkpoint in it.  A line that
 * is taken has every member in its place; a checkpoint that is taken is read
 * from nothing but its own text, and none is true under the key of RFC 8032,
 * 7.1, test 1, with which nothing in the corpus is signed.
 */

#include "../../common/checkpoint.h"
#include "../../common/compat.h"
#include "../../common/crypt.h"
#include "../../common/record.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static int
inside(struct slice part, const char *text, size_t len)
{
	return part.ptr >= text && part.ptr <= text + len &&
	    part.len <= (size_t)(text + len - part.ptr);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t ours[32] = { 0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1,
	    0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e,
	    0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68,
	    0xf7, 0x07, 0x51, 0x1a };
	const char *text = (const char *)data;
	uint8_t prev[DIGEST_LEN], hash[DIGEST_LEN], id[REQUEST_ID_LEN];
	struct record_view view;
	struct checkpoint c;
	struct slice plain;
	uint64_t number;
	int i;

	crypt_init();
	(void)record_hashes(text, len, prev, hash);
	(void)record_seq(text, len, &number);
	if (record_view(text, len, &view) == 0) {
		for (i = 0; i < FIELD_MAX; i++) {
			if (view.field[i].len == 0 ||
			    !inside(view.field[i], text, len))
				abort();
			if (view_plain(view.field[i], &plain) == 0 &&
			    !inside(plain, text, len))
				abort();
			(void)view_u64(view.field[i], &number);
		}
		(void)view_outcome(view.field[FIELD_OUTCOME]);
		(void)view_kind(view.field[FIELD_KIND]);
		(void)view_request_id(view.field[FIELD_REQUEST_ID], id);
	}
	if (checkpoint_read(text, len, &c) == 0) {
		if (!inside(c.node, text, len))
			abort();
		if (memcmp(c.key, ours, sizeof(ours)) == 0 &&
		    checkpoint_verify(&c) == 0)
			abort();
	}
	return 0;
}
