/* SPDX-License-Identifier: ISC */

/*
 * What each tool's digest stands for: the first time that a definition is in
 * force an event record says its statement, so that a row leads to the exact
 * SQL that ran.  A file of the folder says which have been told.
 */

#include <errno.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "../common/log.h"
#include "auditd.h"

#define TOLD_FILE	"tools.recorded"
#define TOLD_MAX	(TOOLS_MAX * (HASH_TEXT_LEN + 1) + 1)
#define DETAIL_MAX	(RECORD_MAX / 2)

static int
is_told(const char *text, const char *digest)
{
	const char *at = text;
	size_t len = strlen(digest);

	while ((at = strstr(at, digest)) != NULL) {
		if (len == HASH_TEXT_LEN && (at == text || at[-1] == '\n') &&
		    at[len] == '\n')
			return 1;
		at++;
	}
	return 0;
}

static void
tell(const struct join_tool *t, void (*event)(const char *, const char *))
{
	static struct buffer b = { .max = DETAIL_MAX };
	size_t len = strlen(t->sql), start;
	uint8_t hash[DIGEST_LEN];

	(void)buffer_add_cstr(&b, "{\"tool\":");
	(void)json_write_cstr(&b, t->name);
	(void)buffer_add_cstr(&b, ",\"tool_digest\":");
	(void)json_write_cstr(&b, t->digest);
	(void)buffer_add_cstr(&b, ",\"source\":");
	(void)json_write_cstr(&b, t->source);
	start = b.len;
	(void)buffer_add_cstr(&b, ",\"sql\":");
	if (json_write_string(&b, t->sql, len) == -1 || b.len >= b.max - 8) {
		/* Too long for a record, escaped: its digest then. */
		b.bad = 0;
		b.len = start;
		sha256(t->sql, len, hash);
		(void)buffer_add_cstr(&b, ",\"sql_sha256\":\"");
		(void)buffer_add_hex(&b, hash, sizeof(hash));
		(void)buffer_add_char(&b, '"');
	}
	(void)buffer_add(&b, "}", 2);
	if (!b.bad)
		event("tool", (const char *)b.data);
	buffer_clear(&b);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct join_tool *)a)->name,
	    ((const struct join_tool *)b)->name);
}

int
toolnote_tell(int dir, struct join_tool *tools, size_t ntools,
    void (*event)(const char *, const char *))
{
	char *told = calloc(1, TOLD_MAX);
	size_t i;
	int n = 0;

	if (told == NULL)
		return 0;
	if (journal_file_read(dir, TOLD_FILE, told, TOLD_MAX) == -1 &&
	    errno != ENOENT)
		log_errno("audit journal: %s", TOLD_FILE);
	qsort(tools, ntools, sizeof(*tools), compare);
	for (i = 0; i < ntools; i++)
		if (!is_told(told, tools[i].digest)) {
			tell(&tools[i], event);
			n++;
		}
	free(told);
	return n;
}

void
toolnote_done(int dir, const struct join_tool *tools, size_t ntools)
{
	struct buffer b;
	size_t i;

	buffer_init(&b, TOLD_MAX);
	for (i = 0; i < ntools; i++)
		(void)buffer_printf(&b, "%s\n", tools[i].digest);
	if (b.bad || journal_file_write(dir, TOLD_FILE,
	    b.data == NULL ? "" : (const char *)b.data, b.len, 1) == -1)
		log_errno("audit journal: %s", TOLD_FILE);
	buffer_free(&b);
}
