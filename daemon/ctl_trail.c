/* SPDX-License-Identifier: ISC */

/*
 * The three places that a trail is read from, behind one face.  A journal is
 * read while auditd writes it: a line that is not whole yet is waited for.
 * Nothing that is read is believed here; that is the callers' business.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "../common/compat.h"
#include "../common/segment.h"
#include "ctl_trail.h"

#define TORN_TRIES	20		/* auditd may be in the middle of a write */
#define TORN_PAUSE_NS	50000000L

struct trail {
	enum trail_kind	 kind;
	const char	*where;
	int		 dir;		/* of a journal */
	struct segment_list list;
	size_t		 at;		/* the segment that is read */
	uint64_t	 last;		/* no later segment is opened; 0: all */
	int		 fd;		/* -1: none open */
	struct line_reader reader;
	uint64_t	 lines;		/* handed out of this file */
	uint64_t	 total;
	struct rows	*rows;
	int		 error;		/* errno */
	char		 position[320];
};

static void
close_file(struct trail *t)
{
	if (t->fd == -1)
		return;
	line_reader_free(&t->reader);
	close(t->fd);
	t->fd = -1;
}

void
trail_close(struct trail *t)
{
	if (t == NULL)
		return;
	close_file(t);
	if (t->kind == TRAIL_POSTGRES)
		rows_close(t->rows);
	segment_list_free(&t->list);
	if (t->dir != -1)
		close(t->dir);
	free(t);
}

/* ---- opening ----------------------------------------------------------- */

static int
open_journal(struct trail *t, const struct filter *f)
{
	if ((t->dir = segment_folder(t->where)) == -1 ||
	    segment_list(t->dir, &t->list) == -1)
		return -1;
	if (f != NULL && f->first > 0 && !f->checkpoints)
		t->at = segment_find(&t->list, f->first);
	if (f != NULL && !f->checkpoints)
		t->last = f->last;
	return 0;
}

static int
open_file(struct trail *t)
{
	struct stat st;

	/* Not a fifo that nobody writes to. */
	if ((t->fd = open(t->where, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		return -1;
	if (fstat(t->fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		close(t->fd);
		t->fd = -1;
		return -1;
	}
	line_reader_init(&t->reader, t->fd, 0);
	return 0;
}

struct trail *
trail_open(const struct trail_place *place, const struct filter *f,
    enum trail_order order, uint64_t newest, char **why)
{
	struct trail *t;
	int rc = 0;

	*why = NULL;
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->kind = place->kind;
	t->where = place->where;
	t->dir = t->fd = -1;
	switch (place->kind) {
	case TRAIL_JOURNAL:
		rc = open_journal(t, f);
		break;
	case TRAIL_FILE:
		rc = open_file(t);
		break;
	case TRAIL_POSTGRES:
		t->rows = rows_open(place->where, f, order, newest, why);
		break;
	}
	if (rc == -1 && asprintf(why, "%s%s: %s",
	    place->kind == TRAIL_JOURNAL ? "journal " : "", place->where,
	    strerror(errno)) == -1)
		*why = NULL;
	if (rc == -1 || (place->kind == TRAIL_POSTGRES && t->rows == NULL)) {
		trail_close(t);
		return NULL;
	}
	return t;
}

/* ---- reading ----------------------------------------------------------- */

/* Opens the next segment; TRAIL_END where none is left. */
static enum trail_result
next_segment(struct trail *t)
{
	for (; t->at < t->list.count; t->at++) {
		if (t->last != 0 && t->list.first[t->at] > t->last)
			return TRAIL_END;
		t->lines = 0;
		t->fd = segment_open(t->dir, t->list.first[t->at]);
		if (t->fd != -1) {
			line_reader_init(&t->reader, t->fd, 0);
			return TRAIL_OK;
		}
		/* The oldest may have been due for removal just now. */
		if (errno != ENOENT || t->total > 0) {
			t->error = errno;
			return TRAIL_ERROR;
		}
	}
	return TRAIL_END;
}

/* The next line of the open file. */
static enum trail_result
file_next(struct trail *t, struct slice *line, int patient)
{
	static const struct timespec pause = { 0, TORN_PAUSE_NS };
	enum line_result result;
	int tries = 0;

	while ((result = line_next(&t->reader, line)) == LINE_TORN &&
	    patient && tries++ < TORN_TRIES)
		(void)nanosleep(&pause, NULL);
	switch (result) {
	case LINE_OK:
		t->lines++;
		t->total++;
		return TRAIL_OK;
	case LINE_END:
		return TRAIL_END;
	case LINE_TORN:
		t->lines++;
		return TRAIL_TORN;
	case LINE_TOO_LONG:
		t->lines++;
		return TRAIL_TOO_LONG;
	case LINE_ERROR:
		break;
	}
	t->error = errno;
	return TRAIL_ERROR;
}

static enum trail_result
journal_next(struct trail *t, struct slice *line)
{
	enum trail_result result;
	int last;

	for (;;) {
		if (t->fd == -1 && (result = next_segment(t)) != TRAIL_OK)
			return result;
		last = t->at + 1 == t->list.count;
		result = file_next(t, line, last);
		if (result != TRAIL_END)
			return result;
		if (t->lines == 0 && !last) {
			t->lines++;
			return TRAIL_EMPTY;
		}
		if (last)
			return TRAIL_END;
		close_file(t);
		t->at++;
	}
}

enum trail_result
trail_next(struct trail *t, struct slice *line)
{
	enum trail_result result = TRAIL_END;

	switch (t->kind) {
	case TRAIL_JOURNAL:
		return journal_next(t, line);
	case TRAIL_FILE:
		return file_next(t, line, 0);
	case TRAIL_POSTGRES:
		if ((result = rows_next(t->rows, line)) == TRAIL_OK)
			t->total++;
		break;
	}
	return result;
}

/* ---- what is said of it ------------------------------------------------ */

const char *
trail_position(const struct trail *t)
{
	struct trail *mine = (struct trail *)(uintptr_t)t;
	unsigned long long n = t->lines;
	char name[SEGMENT_NAME_LEN + 1];

	if (t->kind == TRAIL_JOURNAL) {
		segment_name(name, t->at < t->list.count ?
		    t->list.first[t->at] : 0);
		(void)snprintf(mine->position, sizeof(mine->position),
		    "segment %s line %llu", name, n);
	} else if (t->kind == TRAIL_FILE) {
		(void)snprintf(mine->position, sizeof(mine->position),
		    "file %s line %llu", t->where, n);
	} else {
		(void)snprintf(mine->position, sizeof(mine->position),
		    "postgres row %llu", (unsigned long long)t->total);
	}
	return t->position;
}

uint64_t
trail_promised(const struct trail *t)
{
	return t->kind == TRAIL_JOURNAL && t->lines == 1 ?
	    t->list.first[t->at] : 0;
}

const char *
trail_why(const struct trail *t, enum trail_result result)
{
	switch (result) {
	case TRAIL_TORN:
		return "torn: the record is not whole";
	case TRAIL_TOO_LONG:
		return "not a record: too long";
	case TRAIL_EMPTY:
		return "the segment is empty";
	case TRAIL_ERROR:
		return t->kind == TRAIL_POSTGRES ? rows_why(t->rows) :
		    strerror(t->error);
	case TRAIL_OK:
	case TRAIL_END:
		break;
	}
	return "";
}

int
trail_folder(const struct trail *t)
{
	return t->dir;
}

int
trail_compare(struct trail *t, const struct filter *f, char **what,
    uint64_t *missing)
{
	*missing = 0;
	return t->kind == TRAIL_POSTGRES ?
	    rows_compare(t->rows, f, what, missing) : 0;
}
