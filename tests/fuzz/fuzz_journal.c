/* SPDX-License-Identifier: ISC */
/* link: auditd/journal.c */

/*
 * A journal folder after a crash, or after somebody was at it.  A good one of
 * three segments is made once; the input is a list of edits of it (which
 * segment, where, what: cut, bytes changed, bytes added, a whole text
 * instead), after which auditd opens it.  Either it says that it cannot, or a
 * record can be added whose number nobody had, and after that it opens again
 * and ends in that record.
 */

#include <sys/stat.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "../../auditd/auditd.h"
#include "../../common/compat.h"
#include "../../common/crypt.h"
#include "../../common/log.h"

#define SEGMENTS	3
#define PER_SEGMENT	4

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char dir[64];
static struct buffer good[SEGMENTS];
static char name[SEGMENTS][SEGMENT_NAME_LEN + 1];
static uint64_t seen_top;	/* highest number among good records left */

static const struct record sample = {
	.kind = RECORD_CALL, .node = { "n", 1 }, .has_request = 1, .calls = 1,
	.tool = { "t", 1 }, .params = { "{}", 2 },
};

static void
make_good(void)
{
	uint8_t prev[DIGEST_LEN] = { 0 }, hash[DIGEST_LEN];
	uint64_t seq = 1;
	int i, k;

	for (i = 0; i < SEGMENTS; i++) {
		buffer_init(&good[i], 1 << 20);
		segment_name(name[i], seq);
		for (k = 0; k < PER_SEGMENT; k++, seq++) {
			if (record_write(&good[i], seq, &sample, prev, hash) ==
			    -1)
				abort();
			memcpy(prev, hash, sizeof(prev));
		}
	}
}

static void
clear_dir(void)
{
	struct dirent *e;
	DIR *d = opendir(dir);
	int fd;

	if (d == NULL)
		abort();
	fd = dirfd(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(fd, e->d_name, 0);
	closedir(d);
}

static void
forget(void)
{
	clear_dir();
	(void)rmdir(dir);
}

static void
put_segment(int i, const struct buffer *b)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name[i]);
	if ((fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600)) == -1 ||
	    write(fd, b->data, b->len) != (ssize_t)b->len)
		abort();
	close(fd);
}

/* One edit of five bytes and more; returns how many it took. */
static size_t
edit(struct buffer *b, const uint8_t *data, size_t len)
{
	size_t at, n, used = 5;

	if (len < used || b->len == 0)
		return len;
	at = ((size_t)data[1] << 8 | data[2]) % b->len;
	n = data[3];
	switch (data[0] >> 4) {
	case 0:
		b->len = at;
		break;
	case 1:
		b->data[at] ^= data[4] == 0 ? 1 : data[4];
		break;
	case 2:
		if (n > len - used)
			n = len - used;
		buffer_add(b, data + used, n);
		used += n;
		break;
	case 3:
		buffer_clear(b);
		buffer_add(b, data + used, len - used);
		used = len;
		break;
	case 4:			/* a stretch is gone */
		n = n * 16 < b->len - at ? n * 16 : b->len - at;
		memmove(b->data + at, b->data + at + n, b->len - at - n);
		b->len -= n;
		break;
	default:		/* the end stands there twice */
		n = n * 16 < b->len ? n * 16 : b->len;
		buffer_reserve(b, n);
		if (!b->bad) {
			memcpy(b->data + b->len, b->data + b->len - n, n);
			b->len += n;
		}
		break;
	}
	return used;
}

static void
on_record(const struct record_view *view, struct slice line, void *arg)
{
	uint64_t seq;

	(void)line;
	(void)arg;
	if (view_u64(view->field[FIELD_SEQ], &seq) == -1)
		abort();
	if (seq > seen_top)
		seen_top = seq;
}

static struct journal *
open_again(void)
{
	struct journal_conf conf = { .path = dir, .replay = on_record };

	seen_top = 0;
	return journal_open(&conf, &journal_io_system);
}

static void
use(struct journal *j)
{
	uint64_t last = journal_seq(j);
	uint8_t hash[DIGEST_LEN], after[DIGEST_LEN];

	if (journal_append(j, &sample) == -1 || journal_commit(j) == -1 ||
	    journal_seq(j) != last + 1)
		abort();
	journal_hash(j, hash);
	journal_close(j);
	if ((j = open_again()) == NULL || journal_seq(j) != last + 1)
		abort();
	journal_hash(j, after);
	if (memcmp(hash, after, sizeof(hash)) != 0)
		abort();
	journal_close(j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buffer b[SEGMENTS];
	struct journal *j;
	size_t n;
	int i, which;

	if (dir[0] == '\0') {
		crypt_init();
		(void)strlcpy(dir, "/dev/shm/fuzz_journal.XXXXXX", sizeof(dir));
		if (mkdtemp(dir) == NULL || atexit(forget) != 0)
			abort();
		make_good();
	}
	for (i = 0; i < SEGMENTS; i++) {
		buffer_init(&b[i], 1 << 20);
		buffer_add(&b[i], good[i].data, good[i].len);
	}
	while (len > 0) {
		which = data[0] % SEGMENTS;
		n = edit(&b[which], data, len);
		data += n;
		len -= n;
	}
	clear_dir();
	for (i = 0; i < SEGMENTS; i++)
		put_segment(i, &b[i]);
	if ((j = open_again()) != NULL)
		use(j);
	for (i = 0; i < SEGMENTS; i++)
		buffer_free(&b[i]);
	return 0;
}
