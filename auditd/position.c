/* SPDX-License-Identifier: ISC */

/*
 * Reading the journal back for the drain, in order and in pieces.  A batch
 * that failed is read again from the same place, so a position is three
 * numbers that can be copied.
 */

#include <sys/stat.h>

#include <errno.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "auditd.h"

static uint64_t
file_size(int dir, uint64_t segment)
{
	struct stat st;
	uint64_t size = 0;
	int fd;

	if ((fd = segment_open(dir, segment)) == -1)
		return 0;
	if (fstat(fd, &st) == 0 && st.st_size > 0)
		size = (uint64_t)st.st_size;
	close(fd);
	return size;
}

/* Moves behind p->seq within its segment. */
static int
skip_known(struct position *p)
{
	struct line_reader reader;
	enum line_result rc;
	struct slice line;
	uint64_t seq;
	int fd;

	if ((fd = segment_open(p->dir, p->segment)) == -1)
		return -1;
	line_reader_init(&reader, fd, 0);
	while ((rc = line_next(&reader, &line)) == LINE_OK) {
		if (record_seq(line.ptr, line.len, &seq) == 0 && seq > p->seq)
			break;
		p->offset = reader.offset;
	}
	line_reader_free(&reader);
	close(fd);
	return rc == LINE_ERROR ? -1 : 0;
}

int
position_seek(struct position *p, int dir, uint64_t seq, uint64_t *behind)
{
	struct segment_list list;
	size_t i, at;

	p->dir = dir;
	p->seq = seq;
	p->segment = 0;
	p->offset = 0;
	*behind = 0;
	if (segment_list(dir, &list) == -1) {
		log_errno("audit journal");
		return -1;
	}
	if (list.count > 0) {
		at = segment_find(&list, seq + 1);
		p->segment = list.first[at];
		if (skip_known(p) == -1)
			log_errno("audit journal: segment %llu",
			    (unsigned long long)p->segment);
		for (i = at; i < list.count; i++)
			*behind += file_size(dir, list.first[i]);
		*behind -= (uint64_t)p->offset < *behind ?
		    (uint64_t)p->offset : *behind;
	}
	segment_list_free(&list);
	return 0;
}

/* The segment after this one; 0, or -1: there is none. */
static int
next_segment(struct position *p)
{
	struct segment_list list;
	size_t i;
	int rc = -1;

	if (segment_list(p->dir, &list) == -1)
		return -1;
	for (i = 0; i < list.count && rc == -1; i++)
		if (list.first[i] > p->segment) {
			if (list.first[i] != p->seq + 1 && p->seq != 0)
				log_warn("audit journal: records %llu to %llu "
				    "are missing",
				    (unsigned long long)p->seq + 1,
				    (unsigned long long)list.first[i] - 1);
			p->segment = list.first[i];
			p->offset = 0;
			rc = 0;
		}
	segment_list_free(&list);
	return rc;
}

/* Lines of one segment; returns as position_read(). */
static int
read_segment(struct position *p, uint64_t until, unsigned int max,
    size_t *bytes, int (*each)(struct slice, void *), void *arg)
{
	struct line_reader reader;
	enum line_result rc;
	struct slice line;
	uint64_t seq;
	int fd, n = 0;

	if ((fd = segment_open(p->dir, p->segment)) == -1) {
		log_errno("audit journal: segment %llu",
		    (unsigned long long)p->segment);
		return -1;
	}
	line_reader_init(&reader, fd, p->offset);
	while ((unsigned int)n < max && *bytes > 0 &&
	    (rc = line_next(&reader, &line)) == LINE_OK) {
		if (record_seq(line.ptr, line.len, &seq) == -1 ||
		    each(line, arg) == -1) {
			log_warn("audit journal: segment %llu holds a line "
			    "that is no record: not stored in Postgres",
			    (unsigned long long)p->segment);
			p->offset = reader.offset;
			continue;
		}
		n++;
		p->seq = seq;
		p->offset = reader.offset;
		*bytes -= line.len < *bytes ? line.len : *bytes;
		if (seq >= until)
			break;
	}
	line_reader_free(&reader);
	close(fd);
	return n;
}

int
position_read(struct position *p, uint64_t until, unsigned int max,
    size_t max_bytes, int (*each)(struct slice, void *), void *arg)
{
	unsigned int got = 0;
	size_t left = max_bytes;
	int n;

	while (got < max && left > 0 && p->seq < until) {
		n = p->segment == 0 ? 0 :
		    read_segment(p, until, max - got, &left, each, arg);
		if (n == -1)
			return got > 0 ? (int)got : -1;
		got += (unsigned int)n;
		if (n == 0 && next_segment(p) == -1)
			break;
	}
	return (int)got;
}
