/* SPDX-License-Identifier: ISC */

/*
 * The journal while it is written: append-only segments, committed in
 * groups.  A record counts once fdatasync(2) has returned, and the folder's
 * fsync(2) where its segment is new; whatever fails before that leaves the
 * journal as it was.  The files are looked at before each commit: one that
 * was removed, replaced, cut or added to by somebody else is a failure, not
 * a place to go on writing to.
 */

#include <sys/file.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/log.h"
#include "../common/proc.h"
#include "auditd.h"

#define LOG_EVERY_MS	10000	/* a failure that lasts is said so often */

struct journal {
	const struct journal_io *io;
	const char	*path;
	int		 dir;
	int		 lock;
	int		 fd;		/* of the last segment, -1: none open */
	uint64_t	 first;		/* its name */
	off_t		 size;		/* its durable bytes */
	int		 dirty;		/* bytes behind size may be there */
	int		 dir_dirty;	/* its name may not be durable */
	uint64_t	 segment;
	uint64_t	 seq;		/* of the last durable record */
	uint8_t		 hash[DIGEST_LEN];
	struct buffer	 group;		/* lines to commit */
	size_t		 records;	/* in it */
	uint8_t		 group_hash[DIGEST_LEN];	/* of its last */
	int		 failed;
	uint64_t	 logged_ms;
};

static int
system_openat(int dir, const char *name, int flags, mode_t mode)
{
	return openat(dir, name, flags, mode);
}

const struct journal_io journal_io_system = {
	.write = write, .fdatasync = fdatasync, .fsync = fsync,
	.ftruncate = ftruncate, .fstat = fstat, .fstatat = fstatat,
	.openat = system_openat,
};

/* ---- small files of the folder ----------------------------------------- */

ssize_t
journal_file_read(int dir, const char *name, char *to, size_t size)
{
	ssize_t n;
	int fd, save;

	if ((fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) == -1)
		return -1;
	n = read(fd, to, size - 1);
	save = errno;
	close(fd);
	errno = save;
	if (n >= 0)
		to[n] = '\0';
	return n;
}

static int
write_file(int dir, const char *name, int flags, const char *data, size_t len,
    int durable)
{
	int fd, rc = -1, save;

	fd = openat(dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC |
	    flags, 0600);
	if (fd == -1)
		return -1;
	errno = ENOSPC;		/* what a short write means */
	if (write(fd, data, len) == (ssize_t)len &&
	    (!durable || fsync(fd) == 0))
		rc = 0;
	save = errno;
	close(fd);
	errno = save;
	return rc;
}

int
journal_file_write(int dir, const char *name, const char *data, size_t len,
    int durable)
{
	char temporary[64];

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.new", name) >=
	    sizeof(temporary)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (write_file(dir, temporary, O_TRUNC, data, len, durable) == -1 ||
	    renameat(dir, temporary, dir, name) == -1)
		return -1;
	return durable ? fsync(dir) : 0;
}

int
journal_file_append(int dir, const char *name, const char *data, size_t len)
{
	return write_file(dir, name, O_APPEND, data, len, 1);
}

/* ---- opening ----------------------------------------------------------- */

/* What reading a segment to its end has found. */
struct scan {
	uint64_t	records;	/* good ones */
	uint64_t	seq;		/* of the last good one */
	uint8_t		hash[DIGEST_LEN];
	int		have_hash;	/* of the record before, at first */
	off_t		good_end;
	off_t		end;
};

/* Says where the chain does not hold; the trail goes on all the same. */
static void
check_link(const char *name, const struct line_reader *r,
    const struct scan *scan, uint64_t seq, const uint8_t prev[DIGEST_LEN])
{
	if (!scan->have_hash)
		return;
	if (!digest_equal(prev, scan->hash) || seq != scan->seq + 1)
		log_warn("audit journal has been tampered with: segment %s "
		    "line %llu: record %llu does not follow record %llu", name,
		    (unsigned long long)r->line, (unsigned long long)seq,
		    (unsigned long long)scan->seq);
}

static int
scan_segment(struct journal *j, const struct journal_conf *conf,
    uint64_t first, struct scan *scan)
{
	char name[SEGMENT_NAME_LEN + 1];
	uint8_t prev[DIGEST_LEN], hash[DIGEST_LEN];
	struct line_reader reader;
	struct record_view view;
	enum line_result rc;
	struct slice line;
	struct stat st;
	uint64_t seq;
	int fd;

	segment_name(name, first);
	if ((fd = segment_open(j->dir, first)) == -1 || fstat(fd, &st) == -1) {
		log_errno("audit journal %s: segment %s", j->path, name);
		if (fd != -1)
			close(fd);
		return -1;
	}
	line_reader_init(&reader, fd, 0);
	scan->records = 0;
	scan->good_end = 0;
	scan->end = st.st_size;
	while ((rc = line_next(&reader, &line)) == LINE_OK) {
		if (record_hashes(line.ptr, line.len, prev, hash) == -1 ||
		    record_view(line.ptr, line.len, &view) == -1 ||
		    view_u64(view.field[FIELD_SEQ], &seq) == -1)
			continue;
		if (reader.offset - (off_t)line.len - 1 != scan->good_end)
			log_warn("audit journal has been tampered with: "
			    "segment %s: no record before line %llu", name,
			    (unsigned long long)reader.line);
		check_link(name, &reader, scan, seq, prev);
		scan->records++;
		scan->seq = seq;
		memcpy(scan->hash, hash, DIGEST_LEN);
		scan->have_hash = 1;
		scan->good_end = reader.offset;
		if (conf->replay != NULL)
			conf->replay(&view, line, conf->arg);
	}
	if (rc == LINE_ERROR)
		log_errno("audit journal %s: segment %s", j->path, name);
	line_reader_free(&reader);
	close(fd);
	return rc == LINE_ERROR ? -1 : 0;
}

/* Moves what lies behind the last good record to a file beside it. */
static int
cut_torn(struct journal *j, const struct scan *scan)
{
	char name[SEGMENT_NAME_LEN + 1], torn[SEGMENT_NAME_LEN + 8];
	char chunk[8192];
	off_t at = scan->good_end;
	ssize_t n;

	segment_name(name, j->first);
	(void)snprintf(torn, sizeof(torn), "%s.torn", name);
	log_warn("audit journal: segment %s: %lld bytes behind record %llu "
	    "are not a whole record: moved to %s", name,
	    (long long)(scan->end - scan->good_end),
	    (unsigned long long)scan->seq, torn);
	while ((n = pread(j->fd, chunk, sizeof(chunk), at)) > 0) {
		if (journal_file_append(j->dir, torn, chunk, (size_t)n) == -1)
			return -1;
		at += n;
	}
	if (n == -1 || j->io->ftruncate(j->fd, scan->good_end) == -1 ||
	    j->io->fsync(j->fd) == -1)
		return -1;
	return 0;
}

static int
open_last(struct journal *j, const struct scan *scan)
{
	char name[SEGMENT_NAME_LEN + 1];

	segment_name(name, j->first);
	j->fd = j->io->openat(j->dir, name, O_RDWR | O_APPEND | O_NOFOLLOW |
	    O_CLOEXEC, 0);
	if (j->fd == -1 || (scan->end != scan->good_end &&
	    cut_torn(j, scan) == -1)) {
		log_errno("audit journal %s: segment %s", j->path, name);
		return -1;
	}
	j->size = scan->good_end;
	return 0;
}

/* A segment without one record was begun and never used. */
static int
drop_empty(struct journal *j)
{
	char name[SEGMENT_NAME_LEN + 1];

	segment_name(name, j->first);
	close(j->fd);
	j->fd = -1;
	if (unlinkat(j->dir, name, 0) == -1) {
		log_errno("audit journal %s: segment %s", j->path, name);
		return -1;
	}
	return 0;
}

/* Finds where the journal ends.  Returns 0, or -1 after a log line. */
static int
find_end(struct journal *j, const struct journal_conf *conf)
{
	struct segment_list list;
	struct scan scan = { 0 };
	uint64_t last;
	size_t i;
	int rc = -1;

	if (segment_list(j->dir, &list) == -1) {
		log_errno("audit journal %s", j->path);
		return -1;
	}
	if (list.count == 0) {
		rc = 0;
		goto done;
	}
	last = list.first[list.count - 1];
	i = segment_find(&list, last > REPLAY_MAX ? last - REPLAY_MAX : 0);
	for (; i < list.count; i++) {
		if (scan_segment(j, conf, list.first[i], &scan) == -1)
			goto done;
		if (scan.records > 0 && i + 1 < list.count)
			continue;
		j->first = list.first[i];
		if (open_last(j, &scan) == -1)
			goto done;
		/* Only the last may be empty, and what it held is kept. */
		if (scan.records == 0 && drop_empty(j) == -1)
			goto done;
	}
	j->seq = scan.seq;
	memcpy(j->hash, scan.hash, DIGEST_LEN);
	rc = 0;
done:
	segment_list_free(&list);
	return rc;
}

static int
take_lock(struct journal *j)
{
	j->lock = openat(j->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	if (j->lock == -1 || flock(j->lock, LOCK_EX | LOCK_NB) == -1) {
		if (errno == EWOULDBLOCK)
			log_warn("audit journal %s: another auditd is writing "
			    "to it", j->path);
		else
			log_errno("audit journal %s: lock", j->path);
		return -1;
	}
	return 0;
}

struct journal *
journal_open(const struct journal_conf *conf, const struct journal_io *io)
{
	struct journal *j;

	if ((j = calloc(1, sizeof(*j))) == NULL) {
		log_errno("audit journal %s", conf->path);
		return NULL;
	}
	j->io = io;
	j->path = conf->path;
	j->fd = j->lock = -1;
	j->segment = conf->segment == 0 ? SEGMENT_DEFAULT : conf->segment;
	if (j->segment < SEGMENT_MIN)
		j->segment = SEGMENT_MIN;
	buffer_init(&j->group, GROUP_MAX + 2 * RECORD_MAX);
	if ((j->dir = segment_folder(conf->path)) == -1)
		log_errno("audit journal %s", conf->path);
	if (j->dir == -1 || take_lock(j) == -1 || find_end(j, conf) == -1) {
		journal_close(j);
		return NULL;
	}
	memcpy(j->group_hash, j->hash, DIGEST_LEN);
	return j;
}

void
journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	if (j->fd != -1)
		close(j->fd);
	if (j->lock != -1)
		close(j->lock);
	if (j->dir != -1)
		close(j->dir);
	buffer_free(&j->group);
	free(j);
}

/* ---- writing ----------------------------------------------------------- */

int
journal_append(struct journal *j, const struct record *r)
{
	uint8_t hash[DIGEST_LEN];

	if (record_write(&j->group, j->seq + j->records + 1, r, j->group_hash,
	    hash) == -1)
		return -1;
	memcpy(j->group_hash, hash, DIGEST_LEN);
	j->records++;
	return 0;
}

/* errno is what failed; 0: what says it all. */
static int
failure(struct journal *j, const char *what)
{
	uint64_t now = now_ms();
	int save = errno;

	if (!j->failed || now - j->logged_ms >= LOG_EVERY_MS) {
		if (save != 0)
			log_errno("audit journal %s cannot be written: %s",
			    j->path, what);
		else
			log_warn("audit journal %s cannot be written: %s: "
			    "restore the file, or restart pontifexd to go on "
			    "without it", j->path, what);
		j->logged_ms = now;
	}
	j->failed = 1;
	return -1;
}

static int
foreign(struct journal *j, const char *what)
{
	errno = 0;
	return failure(j, what);
}

/* Is the file that we write to the one that everybody sees? */
static int
check_files(struct journal *j)
{
	char name[SEGMENT_NAME_LEN + 1];
	struct stat st, seen;

	if (j->io->fstat(j->fd, &st) == -1)
		return failure(j, "fstat");
	if (st.st_nlink == 0)
		return foreign(j, "its segment was removed");
	if (st.st_size != j->size)
		return foreign(j, st.st_size < j->size ?
		    "its segment was cut" : "somebody else wrote to it");
	segment_name(name, j->first);
	if (j->io->fstatat(j->dir, name, &seen, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? foreign(j, "its segment was moved") :
		    failure(j, "fstatat");
	if (seen.st_ino != st.st_ino || seen.st_dev != st.st_dev)
		return foreign(j, "its segment was replaced");
	/* The folder itself, as far as we may still look. */
	if (j->io->fstat(j->dir, &st) == -1)
		return failure(j, "fstat");
	if (j->io->fstatat(AT_FDCWD, j->path, &seen, 0) == -1)
		return errno == ENOENT ? foreign(j, "its folder was moved") : 0;
	if (seen.st_ino != st.st_ino || seen.st_dev != st.st_dev)
		return foreign(j, "its folder was replaced");
	return 0;
}

/* Begins a segment whose first record is the group's. */
static int
rotate(struct journal *j)
{
	char name[SEGMENT_NAME_LEN + 1];
	int fd;

	segment_name(name, j->seq + 1);
	fd = j->io->openat(j->dir, name, O_RDWR | O_CREAT | O_EXCL | O_APPEND |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return failure(j, "new segment");
	if (j->fd != -1)
		close(j->fd);
	j->fd = fd;
	j->first = j->seq + 1;
	j->size = 0;
	j->dirty = 0;
	j->dir_dirty = 1;
	return 0;
}

/* Takes back what a commit that failed may have left. */
static int
cut_back(struct journal *j)
{
	if (j->io->ftruncate(j->fd, j->size) == -1) {
		j->dirty = 1;
		return -1;
	}
	j->dirty = 0;
	return 0;
}

static int
write_all(struct journal *j)
{
	size_t done = 0;
	ssize_t n;

	while (done < j->group.len) {
		n = j->io->write(j->fd, j->group.data + done,
		    j->group.len - done);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ENOSPC;
			return -1;
		}
		done += (size_t)n;
	}
	return 0;
}

static int
commit(struct journal *j)
{
	int rc;

	if (j->fd != -1 && j->dirty && cut_back(j) == -1)
		return failure(j, "ftruncate");
	/* An old segment that was taken away is noticed before it is left. */
	if (j->fd != -1 && check_files(j) == -1)
		return -1;
	if ((j->fd == -1 || (j->size > 0 &&
	    (uint64_t)j->size + j->group.len > j->segment)) && rotate(j) == -1)
		return -1;
	if (write_all(j) == -1)
		rc = failure(j, "write");
	else if (j->io->fdatasync(j->fd) == -1)
		rc = failure(j, "fdatasync");
	else if (j->dir_dirty && j->io->fsync(j->dir) == -1)
		rc = failure(j, "fsync of its folder");
	else
		rc = 0;
	if (rc == -1)
		(void)cut_back(j);
	return rc;
}

int
journal_commit(struct journal *j)
{
	int rc;

	if (j->records == 0)
		return 0;
	if ((rc = commit(j)) == 0) {
		j->size += (off_t)j->group.len;
		j->seq += j->records;
		j->dir_dirty = 0;
		memcpy(j->hash, j->group_hash, DIGEST_LEN);
		if (j->failed)
			log_info("audit journal %s can be written again",
			    j->path);
		j->failed = 0;
	} else {
		memcpy(j->group_hash, j->hash, DIGEST_LEN);
	}
	j->records = 0;
	buffer_clear(&j->group);
	return rc;
}

int
journal_check(struct journal *j)
{
	/* What a commit that failed left behind is cut with the next. */
	return j->fd == -1 || j->dirty ? 0 : check_files(j);
}

size_t
journal_grouped(const struct journal *j)
{
	return j->group.len;
}

size_t
journal_group_records(const struct journal *j)
{
	return j->records;
}

uint64_t
journal_seq(const struct journal *j)
{
	return j->seq;
}

int
journal_failed(const struct journal *j)
{
	return j->failed;
}

int
journal_dir(const struct journal *j)
{
	return j->dir;
}

void
journal_hash(const struct journal *j, uint8_t hash[DIGEST_LEN])
{
	memcpy(hash, j->hash, DIGEST_LEN);
}

uint64_t
journal_tip(const struct journal *j, uint8_t hash[DIGEST_LEN])
{
	memcpy(hash, j->group_hash, DIGEST_LEN);
	return j->seq + j->records;
}

void
journal_skip_to(struct journal *j, uint64_t seq,
    const uint8_t hash[DIGEST_LEN])
{
	if (seq <= j->seq || j->records > 0)
		return;
	if (j->fd != -1)
		close(j->fd);
	j->fd = -1;
	j->seq = seq;
	memcpy(j->hash, hash, DIGEST_LEN);
	memcpy(j->group_hash, hash, DIGEST_LEN);
}
