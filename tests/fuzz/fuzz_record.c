/* SPDX-License-Identifier: ISC */

/*
 * Any bytes as a line of the trail, and as a checkpoint in it.  A line that
 * is taken has every member in its place; a checkpoint that is taken is read
 * from nothing but its own text, and none is true that we did not sign.
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
		(void)checkpoint_verify(&c);
	}
	return 0;
}
