/* SPDX-License-Identifier: ISC */
/* link: auditd/journal.c */

/*
 * auditd/journal.c under faults: each system call that it makes fails once,
 * in every way that a disk can fail; files are taken away under it; it is
 * opened again after every kind of torn end.  What counts each time: what was
 * promised is there, what was refused is not, and the chain holds.
 */

#include <sys/stat.h>
#include <sys/wait.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <errno.h>
#include <fcntl.h>
#include <cmocka.h>

#include "../../auditd/auditd.h"
#include "../../common/compat.h"
#include "../../common/crypt.h"
#include "../../common/log.h"

#define ONLY	"00000000000000000001.jsonl"

static char dir[64];

/* ---- a disk that fails ------------------------------------------------- */

static int calls;		/* made so far */
static int fsyncs;		/* of them */
static int fail_at;		/* this call fails; 0: none */
static int fail_for;		/* and so many in all */
static int fail_errno;
static int short_writes;	/* a failing write leaves a part behind */

static int
fails(void)
{
	calls++;
	if (fail_at == 0 || calls < fail_at || calls >= fail_at + fail_for)
		return 0;
	errno = fail_errno;
	return 1;
}

static ssize_t
io_write(int fd, const void *data, size_t len)
{
	if (!fails())
		return write(fd, data, len);
	if (short_writes && len > 1 && write(fd, data, len / 2) < 0)
		fail_msg("write");
	errno = fail_errno;
	return -1;
}

static int
io_fdatasync(int fd)
{
	return fails() ? -1 : fdatasync(fd);
}

static int
io_fsync(int fd)
{
	fsyncs++;
	return fails() ? -1 : fsync(fd);
}

static int
io_ftruncate(int fd, off_t size)
{
	return fails() ? -1 : ftruncate(fd, size);
}

static int
io_fstat(int fd, struct stat *st)
{
	return fails() ? -1 : fstat(fd, st);
}

static int
io_fstatat(int fd, const char *name, struct stat *st, int flags)
{
	return fails() ? -1 : fstatat(fd, name, st, flags);
}

static int
io_openat(int fd, const char *name, int flags, mode_t mode)
{
	return fails() ? -1 : openat(fd, name, flags, mode);
}

static const struct journal_io failing = {
	.write = io_write, .fdatasync = io_fdatasync, .fsync = io_fsync,
	.ftruncate = io_ftruncate, .fstat = io_fstat, .fstatat = io_fstatat,
	.openat = io_openat,
};

/* ---- helpers ----------------------------------------------------------- */

static int
make_dir(void **state)
{
	(void)state;
	calls = fail_at = fail_for = 0;
	short_writes = 0;
	strlcpy(dir, "/tmp/pontifex-journal-XXXXXX", sizeof(dir));
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
remove_dir(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	if ((pid = fork()) == 0) {
		execlp("rm", "rm", "-rf", dir, (char *)NULL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid ? 0 : -1;
}

static struct journal *
open_journal(const struct journal_io *io, uint64_t segment)
{
	struct journal_conf conf = { .path = dir, .segment = segment };

	return journal_open(&conf, io);
}

static void
append(struct journal *j, unsigned int number)
{
	struct record r;
	char tool[32];

	memset(&r, 0, sizeof(r));
	r.node = slice_of("n");
	r.has_request = 1;
	r.calls = 1;
	snprintf(tool, sizeof(tool), "tool%u", number);
	r.tool = slice_of(tool);
	assert_int_equal(journal_append(j, &r), 0);
}

/*
 * Reads the whole journal; the tool's number of each record goes to `found'.
 * Fails the test where the chain does not hold.  Returns how many.
 */
static size_t
read_all(unsigned int *found, size_t max)
{
	uint8_t want[DIGEST_LEN] = { 0 }, prev[DIGEST_LEN], hash[DIGEST_LEN];
	struct segment_list list;
	struct line_reader reader;
	struct record_view v;
	enum line_result rc;
	struct slice line;
	uint64_t seq;
	size_t i, n = 0;
	int dirfd, fd;

	assert_true((dirfd = segment_folder(dir)) >= 0);
	assert_int_equal(segment_list(dirfd, &list), 0);
	for (i = 0; i < list.count; i++) {
		assert_true((fd = segment_open(dirfd, list.first[i])) >= 0);
		line_reader_init(&reader, fd, 0);
		while ((rc = line_next(&reader, &line)) == LINE_OK) {
			assert_int_equal(record_hashes(line.ptr, line.len,
			    prev, hash), 0);
			assert_int_equal(record_view(line.ptr, line.len, &v),
			    0);
			assert_int_equal(view_u64(v.field[FIELD_SEQ], &seq), 0);
			assert_int_equal(seq, n + 1);
			if (reader.line == 1)
				assert_int_equal(list.first[i], seq);
			assert_memory_equal(prev, want, DIGEST_LEN);
			memcpy(want, hash, DIGEST_LEN);
			assert_true(n < max);
			found[n++] = (unsigned int)strtoul(
			    v.field[FIELD_TOOL_NAME].ptr + 5, NULL, 10);
		}
		assert_int_equal(rc, LINE_END);
		line_reader_free(&reader);
		close(fd);
	}
	segment_list_free(&list);
	close(dirfd);
	return n;
}

static void
assert_journal(const unsigned int *want, size_t n)
{
	unsigned int found[256];
	size_t i, got = read_all(found, 256);

	if (got != n)
		fail_msg("wanted %zu records, got %zu", n, got);
	for (i = 0; i < n; i++)
		if (found[i] != want[i])
			fail_msg("record %zu: wanted %u, got %u", i + 1,
			    want[i], found[i]);
}

static void
append_to(const char *name, const char *data, size_t len)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_true((fd = open(path, O_WRONLY | O_APPEND | O_CREAT,
	    0600)) >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
}

static off_t
size_of(const char *name)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return stat(path, &st) == -1 ? -1 : st.st_size;
}

/* ---- plain life -------------------------------------------------------- */

static void
records_survive_reopening_and_numbers_have_no_gap(void **state)
{
	unsigned int want[12], i;
	struct journal *j;

	(void)state;
	for (i = 0; i < 12; i++) {
		assert_non_null(j = open_journal(&journal_io_system, 0));
		assert_int_equal(journal_seq(j), i);
		append(j, i);
		want[i] = i;
		assert_int_equal(journal_commit(j), 0);
		journal_close(j);
	}
	assert_journal(want, 12);
}

static void
a_segment_ends_at_its_size_and_the_chain_goes_on(void **state)
{
	unsigned int want[40], i;
	struct segment_list list;
	struct journal *j;
	int fd;

	(void)state;
	assert_non_null(j = open_journal(&journal_io_system, SEGMENT_MIN));
	for (i = 0; i < 40; i++) {
		append(j, i);
		want[i] = i;
		if (i % 2 == 1)
			assert_int_equal(journal_commit(j), 0);
	}
	journal_close(j);
	assert_journal(want, 40);
	fd = segment_folder(dir);
	assert_int_equal(segment_list(fd, &list), 0);
	assert_true(list.count > 5);
	segment_list_free(&list);
	close(fd);
	assert_int_equal(size_of(ONLY) <= SEGMENT_MIN, 1);
	assert_non_null(j = open_journal(&journal_io_system, SEGMENT_MIN));
	assert_int_equal(journal_seq(j), 40);
	journal_close(j);
}

static void
one_group_costs_one_write_and_one_sync(void **state)
{
	struct journal *j;
	unsigned int i;
	int before;

	(void)state;
	assert_non_null(j = open_journal(&failing, 0));
	append(j, 0);
	assert_int_equal(journal_commit(j), 0);
	for (i = 0; i < 500; i++)
		append(j, i);
	before = calls;
	assert_int_equal(journal_commit(j), 0);
	/* fstat, fstatat, fstat and fstatat of the folder, write, fdatasync */
	assert_int_equal(calls - before, 6);
	before = calls;
	assert_int_equal(journal_commit(j), 0);
	assert_int_equal(calls, before);
	journal_close(j);
}

static void
the_name_of_a_new_segment_is_made_durable_with_its_first_record(void **state)
{
	struct journal *j;
	int before;

	(void)state;
	assert_non_null(j = open_journal(&failing, SEGMENT_MIN));
	before = fsyncs;
	append(j, 0);
	assert_int_equal(journal_commit(j), 0);
	assert_int_equal(fsyncs, before + 1);
	append(j, 1);
	assert_int_equal(journal_commit(j), 0);
	assert_int_equal(fsyncs, before + 1);
	while (size_of(ONLY) + 1000 < SEGMENT_MIN) {
		append(j, 2);
		assert_int_equal(journal_commit(j), 0);
	}
	append(j, 3);
	append(j, 4);
	assert_int_equal(journal_commit(j), 0);
	assert_int_equal(fsyncs, before + 2);
	journal_close(j);
}

static void
a_second_auditd_is_kept_out(void **state)
{
	struct journal *j;

	(void)state;
	assert_non_null(j = open_journal(&journal_io_system, 0));
	assert_null(open_journal(&journal_io_system, 0));
	journal_close(j);
	assert_non_null(j = open_journal(&journal_io_system, 0));
	journal_close(j);
}

/* ---- every call fails once --------------------------------------------- */

/*
 * Ten groups of two, the k-th call fails; a group that fails is sent again
 * until it is taken, as senders do.
 */
static int
run_with_fault(int k, int for_calls, uint64_t segment)
{
	unsigned int want[20], i, tries = 0;
	struct journal *j;
	int before;

	calls = 0;
	fail_at = k;
	fail_for = for_calls;
	if ((j = open_journal(&failing, segment)) == NULL)
		fail_msg("opening makes no call that may fail here");
	for (i = 0; i < 10; i++) {
		do {
			append(j, 2 * i);
			append(j, 2 * i + 1);
			if (++tries > 40)
				fail_msg("call %d: never taken", k);
			before = journal_failed(j);
		} while (journal_commit(j) == -1);
		assert_int_equal(journal_failed(j), 0);
		(void)before;
		want[2 * i] = 2 * i;
		want[2 * i + 1] = 2 * i + 1;
	}
	journal_close(j);
	assert_journal(want, 20);
	return calls;
}

static void
each_call_may_fail_and_nothing_is_lost_or_doubled(void **state)
{
	static const struct {
		int		error, part, times;
		uint64_t	segment;
	} ways[] = {
		{ ENOSPC, 1, 1, 0 }, { EIO, 0, 1, 0 }, { EDQUOT, 1, 2, 0 },
		{ EIO, 1, 3, SEGMENT_MIN }, { ENOSPC, 1, 1, SEGMENT_MIN },
		{ EINTR, 0, 1, 0 }, { EIO, 1, 9, SEGMENT_MIN },
	};
	size_t w;
	int k, total;

	for (w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		fail_errno = ways[w].error;
		short_writes = ways[w].part;
		total = run_with_fault(0, 0, ways[w].segment);
		assert_int_equal(remove_dir(state), 0);
		for (k = 1; k <= total; k++) {
			assert_int_equal(mkdir(dir, 0700), 0);
			(void)run_with_fault(k, ways[w].times,
			    ways[w].segment);
			assert_int_equal(remove_dir(state), 0);
		}
		assert_int_equal(mkdir(dir, 0700), 0);
	}
}

static void
a_failed_group_leaves_no_byte_behind(void **state)
{
	unsigned int want[2] = { 1, 3 };
	struct journal *j;
	off_t size;

	(void)state;
	assert_non_null(j = open_journal(&failing, 0));
	append(j, 1);
	assert_int_equal(journal_commit(j), 0);
	size = size_of(ONLY);
	append(j, 2);
	/* 4 looks, then the write */
	fail_at = calls + 5;
	fail_for = 1;
	fail_errno = ENOSPC;
	short_writes = 1;
	assert_int_equal(journal_commit(j), -1);
	assert_int_equal(journal_failed(j), 1);
	assert_int_equal(size_of(ONLY), size);
	append(j, 3);
	assert_int_equal(journal_commit(j), 0);
	assert_int_equal(journal_seq(j), 2);
	journal_close(j);
	assert_journal(want, 2);
}

/* The process dies where the write was short and the cut failed too. */
static void
what_a_failed_write_left_is_cut_at_the_next_start(void **state)
{
	unsigned int want[2] = { 1, 3 };
	struct journal *j;

	(void)state;
	assert_non_null(j = open_journal(&failing, 0));
	append(j, 1);
	assert_int_equal(journal_commit(j), 0);
	append(j, 2);
	fail_at = calls + 5;
	fail_for = 1000;
	fail_errno = EIO;
	short_writes = 1;
	assert_int_equal(journal_commit(j), -1);
	journal_close(j);
	fail_at = 0;
	assert_non_null(j = open_journal(&failing, 0));
	assert_int_equal(journal_seq(j), 1);
	assert_true(size_of(ONLY ".torn") > 0);
	append(j, 3);
	assert_int_equal(journal_commit(j), 0);
	journal_close(j);
	assert_journal(want, 2);
}

/* ---- torn ends --------------------------------------------------------- */

static void
a_torn_end_is_cut_and_kept_and_good_records_are_not_touched(void **state)
{
	static char zeros[5000], garbage[] = "{\"seq\":3,\"node\":\"n\"}\nxx\n";
	static const struct { const char *tail; size_t len; } tails[] = {
		{ "{", 1 }, { zeros, sizeof(zeros) }, { "\n", 1 },
		{ garbage, sizeof(garbage) - 1 }, { garbage, 12 },
		{ "\n\n\n{\"seq\":3", 12 },
	};
	unsigned int want[3] = { 0, 1, 2 };
	struct journal *j;
	size_t i;
	off_t size;

	for (i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		assert_non_null(j = open_journal(&journal_io_system, 0));
		append(j, 0);
		append(j, 1);
		assert_int_equal(journal_commit(j), 0);
		journal_close(j);
		size = size_of(ONLY);
		append_to(ONLY, tails[i].tail, tails[i].len);
		assert_non_null(j = open_journal(&journal_io_system, 0));
		if (size_of(ONLY) != size)
			fail_msg("tail %zu: %lld bytes, wanted %lld", i,
			    (long long)size_of(ONLY), (long long)size);
		assert_int_equal(size_of(ONLY ".torn"), tails[i].len);
		append(j, 2);
		assert_int_equal(journal_commit(j), 0);
		journal_close(j);
		assert_journal(want, 3);
		assert_int_equal(remove_dir(state), 0);
		assert_int_equal(mkdir(dir, 0700), 0);
	}
}

static void
every_cut_of_the_last_record_is_repaired(void **state)
{
	unsigned int want[2] = { 0, 7 };
	struct journal *j;
	char path[128];
	off_t first, both, at;

	(void)state;
	snprintf(path, sizeof(path), "%s/%s", dir, ONLY);
	for (at = 0, both = 1; at < both; at += 41) {
		assert_non_null(j = open_journal(&journal_io_system, 0));
		append(j, 0);
		assert_int_equal(journal_commit(j), 0);
		first = size_of(ONLY);
		append(j, 1);
		assert_int_equal(journal_commit(j), 0);
		both = size_of(ONLY) - first;
		journal_close(j);
		assert_int_equal(truncate(path, first + at), 0);
		assert_non_null(j = open_journal(&journal_io_system, 0));
		assert_int_equal(journal_seq(j), 1);
		append(j, 7);
		assert_int_equal(journal_commit(j), 0);
		journal_close(j);
		assert_journal(want, 2);
		assert_int_equal(remove_dir(state), 0);
		assert_int_equal(mkdir(dir, 0700), 0);
	}
}

static void
a_segment_begun_and_never_used_is_taken_again(void **state)
{
	unsigned int want[2] = { 0, 1 };
	struct journal *j;

	(void)state;
	assert_non_null(j = open_journal(&journal_io_system, 0));
	append(j, 0);
	assert_int_equal(journal_commit(j), 0);
	journal_close(j);
	append_to("00000000000000000002.jsonl", "{\"seq\":2", 8);
	assert_non_null(j = open_journal(&journal_io_system, 0));
	assert_int_equal(journal_seq(j), 1);
	append(j, 1);
	assert_int_equal(journal_commit(j), 0);
	journal_close(j);
	assert_journal(want, 2);
	assert_int_equal(size_of("00000000000000000002.jsonl.torn"), 8);
}

static void
an_edited_record_is_not_repaired_away(void **state)
{
	struct journal *j;
	char path[128], byte = 'X';
	off_t size;
	int fd;

	(void)state;
	assert_non_null(j = open_journal(&journal_io_system, 0));
	append(j, 0);
	append(j, 1);
	append(j, 2);
	assert_int_equal(journal_commit(j), 0);
	journal_close(j);
	size = size_of(ONLY);
	snprintf(path, sizeof(path), "%s/%s", dir, ONLY);
	assert_true((fd = open(path, O_WRONLY)) >= 0);
	assert_int_equal(pwrite(fd, &byte, 1, 60), 1);
	close(fd);
	assert_non_null(j = open_journal(&journal_io_system, 0));
	assert_int_equal(size_of(ONLY), size);
	assert_int_equal(journal_seq(j), 3);
	journal_close(j);
}

/* ---- taken away -------------------------------------------------------- */

static void
rename_it(const char *from, const char *to)
{
	char a[128], b[128];

	snprintf(a, sizeof(a), "%s/%s", dir, from);
	snprintf(b, sizeof(b), "%s/%s", dir, to);
	assert_int_equal(rename(a, b), 0);
}

static void
a_file_taken_away_or_changed_is_noticed_at_once(void **state)
{
	enum { UNLINKED, MOVED, REPLACED, CUT, GROWN, FOLDER, WAYS };
	struct journal *j;
	char path[128], other[128];
	int way;

	for (way = 0; way < WAYS; way++) {
		assert_non_null(j = open_journal(&journal_io_system, 0));
		append(j, 0);
		assert_int_equal(journal_commit(j), 0);
		snprintf(path, sizeof(path), "%s/%s", dir, ONLY);
		snprintf(other, sizeof(other), "%s.away", dir);
		switch (way) {
		case UNLINKED:
			assert_int_equal(unlink(path), 0);
			break;
		case MOVED:
			rename_it(ONLY, "away");
			break;
		case REPLACED:
			rename_it(ONLY, "away");
			append_to(ONLY, "", 0);
			break;
		case CUT:
			assert_int_equal(truncate(path, 10), 0);
			break;
		case GROWN:
			append_to(ONLY, "x", 1);
			break;
		case FOLDER:
			assert_int_equal(rename(dir, other), 0);
			assert_int_equal(mkdir(dir, 0700), 0);
			break;
		}
		append(j, 1);
		if (journal_commit(j) != -1 || !journal_failed(j))
			fail_msg("way %d was not noticed", way);
		/* What comes back heals. */
		if (way == MOVED) {
			rename_it("away", ONLY);
			append(j, 2);
			assert_int_equal(journal_commit(j), 0);
			assert_int_equal(journal_failed(j), 0);
		} else {
			append(j, 2);
			assert_int_equal(journal_commit(j), -1);
		}
		journal_close(j);
		assert_int_equal(remove_dir(state), 0);
		if (way == FOLDER)
			assert_int_equal(rename(other, dir), 0);
		assert_int_equal(remove_dir(state), 0);
		assert_int_equal(mkdir(dir, 0700), 0);
	}
}

static void
no_number_is_given_twice_where_the_end_was_cut(void **state)
{
	uint8_t hash[DIGEST_LEN];
	struct journal *j;

	(void)state;
	assert_non_null(j = open_journal(&journal_io_system, 0));
	append(j, 0);
	assert_int_equal(journal_commit(j), 0);
	memset(hash, 7, sizeof(hash));
	journal_skip_to(j, 1, hash);
	assert_int_equal(journal_seq(j), 1);
	journal_skip_to(j, 9, hash);
	append(j, 1);
	assert_int_equal(journal_commit(j), 0);
	assert_int_equal(journal_seq(j), 10);
	journal_close(j);
	assert_true(size_of("00000000000000000010.jsonl") > 0);
	assert_non_null(j = open_journal(&journal_io_system, 0));
	assert_int_equal(journal_seq(j), 10);
	journal_close(j);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(records_survive_reopening_and_numbers_have_no_gap),
		T(a_segment_ends_at_its_size_and_the_chain_goes_on),
		T(one_group_costs_one_write_and_one_sync),
		T(the_name_of_a_new_segment_is_made_durable_with_its_first_record),
		T(a_second_auditd_is_kept_out),
		T(each_call_may_fail_and_nothing_is_lost_or_doubled),
		T(a_failed_group_leaves_no_byte_behind),
		T(what_a_failed_write_left_is_cut_at_the_next_start),
		T(a_torn_end_is_cut_and_kept_and_good_records_are_not_touched),
		T(every_cut_of_the_last_record_is_repaired),
		T(a_segment_begun_and_never_used_is_taken_again),
		T(an_edited_record_is_not_repaired_away),
		T(a_file_taken_away_or_changed_is_noticed_at_once),
		T(no_number_is_given_twice_where_the_end_was_cut),
	};

	crypt_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
