/* SPDX-License-Identifier: ISC */

/*
 * Old segments go when the database has them and their time is over.  That
 * they went is told first, with the hash that the journal begins behind, so
 * that nobody can say afterwards that what he removed was old.
 */

#include <sys/stat.h>

#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/log.h"
#include "auditd.h"

/* The hash of the record before a segment's first; 0, or -1. */
static int
hash_before(int dir, uint64_t first, uint8_t hash[DIGEST_LEN])
{
	uint8_t own[DIGEST_LEN];
	struct line_reader reader;
	struct slice line;
	int fd, rc = -1;

	if ((fd = segment_open(dir, first)) == -1)
		return -1;
	line_reader_init(&reader, fd, 0);
	if (line_next(&reader, &line) == LINE_OK)
		rc = record_hashes(line.ptr, line.len, hash, own);
	line_reader_free(&reader);
	close(fd);
	return rc;
}

/* Whether nothing was written to it since; what can't be told is not old. */
static int
is_old(int dir, uint64_t first, uint64_t keep_s)
{
	char name[SEGMENT_NAME_LEN + 1];
	struct stat st;
	time_t now = time(NULL);

	segment_name(name, first);
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode) && st.st_mtime >= 0 && st.st_mtime < now &&
	    (uint64_t)(now - st.st_mtime) > keep_s;
}

static void
remove_segments(int dir, const struct segment_list *list, size_t count)
{
	char name[SEGMENT_NAME_LEN + 1];
	size_t i;

	for (i = 0; i < count; i++) {
		segment_name(name, list->first[i]);
		if (unlinkat(dir, name, 0) == -1)
			log_errno("audit journal: segment %s", name);
	}
	if (fsync(dir) == -1)
		log_errno("audit journal: its folder");
}

void
keep_run(int dir, uint64_t keep_s, uint64_t drained,
    int (*tell)(const char *detail))
{
	char detail[256], text[HASH_TEXT_LEN + 1];
	struct segment_list list;
	uint8_t hash[DIGEST_LEN];
	size_t n = 0;

	if (keep_s == 0 || segment_list(dir, &list) == -1)
		return;
	/* From the oldest on, without a gap, and never the last one. */
	while (n + 1 < list.count && list.first[n + 1] - 1 <= drained &&
	    is_old(dir, list.first[n], keep_s))
		n++;
	if (n > 0 && hash_before(dir, list.first[n], hash) == 0) {
		hex_encode(text, hash, sizeof(hash));
		(void)snprintf(detail, sizeof(detail), "{\"first\":%llu,"
		    "\"last\":%llu,\"hash\":\"%s\"}",
		    (unsigned long long)list.first[0],
		    (unsigned long long)list.first[n] - 1, text);
		if (tell(detail) == 0) {
			log_info("audit journal: records %llu to %llu are "
			    "older than is to be kept: removed",
			    (unsigned long long)list.first[0],
			    (unsigned long long)list.first[n] - 1);
			remove_segments(dir, &list, n);
		}
	}
	segment_list_free(&list);
}
