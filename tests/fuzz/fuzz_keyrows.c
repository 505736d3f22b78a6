/* SPDX-License-Identifier: ISC */
/* link: daemon/ctl_keyrows.c */

/* Any bytes as an export of keys: it is read to an end, and values have one. */

#include "../../common/compat.h"
#include "../../daemon/ctl_keyrows.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct row row;
	enum row_result result = ROW_OK;
	struct keyrows r;
	size_t i, n = 0, line = 0;

	memset(&row, 0, sizeof(row));
	if (keyrows_open(&r, (struct slice){ (const char *)data, len }) == 0) {
		while (result != ROW_BROKEN &&
		    (result = keyrows_next(&r, &row)) != ROW_END) {
			if (n++ > len || row.line < line ||
			    (result != ROW_OK && r.error == NULL))
				abort();
			line = row.line;
			for (i = 0; result == ROW_OK && i < ROW_FIELDS; i++)
				if (memchr(row.text[i], '\0',
				    ROW_TEXT_MAX) == NULL)
					abort();
		}
	} else if (r.error == NULL) {
		abort();
	}
	keyrows_close(&r);
	return 0;
}
