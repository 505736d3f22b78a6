/* SPDX-License-Identifier: ISC */

/*
 * Any bytes as a line of the key file: what is taken survives being written
 * and read again.  And as a scope, a key's text and a date.
 */

#include "../../common/compat.h"
#include "../../common/keyfile.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice line = { (const char *)data, len };
	static struct key_entry first, second;
	const char *error = NULL;
	struct buffer out;
	char date[64];

	if (len < sizeof(date)) {
		memcpy(date, data, len);
		date[len] = '\0';
		(void)key_date(date);
		(void)scope_problem(line);
		if (key_text_id(line).len > len)
			abort();
	}
	memset(&first, 0, sizeof(first));
	if (keyfile_is_comment(line))
		return 0;
	if (keyfile_parse(line, &first, &error) == -1) {
		if (error == NULL)
			abort();
		return 0;
	}
	buffer_init(&out, 4 * KEYFILE_LINE_MAX);
	if (keyfile_format(&out, &first) == -1 || out.len == 0)
		abort();
	line.ptr = (const char *)out.data;
	line.len = out.len - 1;
	memset(&second, 0, sizeof(second));
	if (keyfile_parse(line, &second, &error) == -1 ||
	    strcmp(first.id, second.id) != 0 ||
	    memcmp(first.hash, second.hash, DIGEST_LEN) != 0 ||
	    first.revoked != second.revoked ||
	    first.legacy != second.legacy ||
	    strcmp(first.owner, second.owner) != 0 ||
	    strcmp(first.label, second.label) != 0 ||
	    memcmp(&first.rate, &second.rate, sizeof(first.rate)) != 0 || first.expires != second.expires ||
	    first.nattributes != second.nattributes ||
	    first.nscopes != second.nscopes || first.nscopes == 0)
		abort();
	buffer_free(&out);
	return 0;
}
