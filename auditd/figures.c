/* SPDX-License-Identifier: ISC */

/*
 * What auditd measures (MSG_STATS): the state of the journal and of what it
 * is drained to.  The journal's size is looked up when it is asked for: a few
 * calls of stat(2), once a second at most.
 */

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <fcntl.h>

#include "../common/compat.h"
#include "../common/proc.h"
#include "../common/stats.h"
#include "auditd.h"

#define SEGMENTS_LOOKED	4096	/* files; a journal of more is said to be so */

static uint64_t
bytes_of(int dir)
{
	char name[SEGMENT_NAME_LEN + 1];
	struct segment_list list;
	struct stat st;
	uint64_t sum = 0;
	size_t i;

	if (segment_list(dir, &list) == -1)
		return 0;
	for (i = 0; i < list.count && i < SEGMENTS_LOOKED; i++) {
		segment_name(name, list.first[list.count - 1 - i]);
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_size > 0)
			sum += (uint64_t)st.st_size;
	}
	segment_list_free(&list);
	return sum;
}

static void
put_drain(struct buffer *b, uint64_t seq)
{
	uint64_t drained = drain_seq();

	if (strcmp(drain_state(), "off") == 0)
		return;
	put_stat(b, STAT_DRAIN_UP, strcmp(drain_state(), "connected") == 0);
	put_stat(b, STAT_DRAIN_LAG_RECORDS, seq > drained ? seq - drained : 0);
	put_stat(b, STAT_DRAIN_LAG_BYTES, drain_backlog());
	put_stat(b, STAT_DRAIN_LAG_TIME, lag_ms(drained, seq, now_ms()));
	put_stat(b, STAT_DRAIN_REJECTED, drain_rejected());
}

void
figures_put(struct buffer *b, const struct journal *journal, int full,
    uint64_t limit)
{
	uint64_t seq = journal_seq(journal);
	int dir = journal_dir(journal);
	struct statvfs fs;

	put_stat(b, STAT_AUDIT_STATE, journal_failed(journal) ? 2 :
	    full ? 1 : 0);
	put_stat(b, STAT_AUDIT_SEQ, seq);
	put_stat(b, STAT_AUDIT_PENDING, join_pending());
	put_stat(b, STAT_AUDIT_CHECKPOINT_OK,
	    strcmp(checkpoint_state(), "ok") == 0);
	put_stat(b, STAT_AUDIT_CHECKPOINT_SEQ, checkpoint_seq());
	put_stat(b, STAT_JOURNAL_BYTES, bytes_of(dir));
	if (fstatvfs(dir, &fs) == 0)
		put_stat(b, STAT_JOURNAL_DISK_FREE,
		    (uint64_t)fs.f_bavail * fs.f_frsize);
	if (limit != 0)
		put_stat(b, STAT_JOURNAL_LIMIT, limit);
	put_drain(b, seq);
	sinks_stats(b);
}
