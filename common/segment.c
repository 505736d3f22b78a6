/* SPDX-License-Identifier: ISC */

/*
 * Listing segments and reading their lines.  The names come from a folder
 * that only auditd should write to, but they are checked like any input.
 */

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "compat.h"
#include "segment.h"

#define READ_CHUNK	(128 * 1024)	/* bytes of one read */
#define SEGMENTS_MAX	1000000		/* in one folder */

void
segment_name(char *name, uint64_t first)
{
	(void)snprintf(name, SEGMENT_NAME_LEN + 1, "%020llu.jsonl",
	    (unsigned long long)first);
}

int
segment_folder(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Reads a name back; 0, or -1: not that of a segment. */
static int
name_to_first(const char *name, uint64_t *first)
{
	char again[SEGMENT_NAME_LEN + 1], *end;

	if (strlen(name) != SEGMENT_NAME_LEN || name[0] < '0' || name[0] > '9')
		return -1;
	errno = 0;
	*first = strtoull(name, &end, 10);
	if (errno != 0)
		return -1;
	segment_name(again, *first);
	return strcmp(name, again) == 0 ? 0 : -1;
}

static int
compare_first(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int
segment_list(int dir, struct segment_list *list)
{
	struct dirent *entry;
	uint64_t first, *grown;
	size_t cap = 0;
	DIR *d;
	int fd;

	memset(list, 0, sizeof(*list));
	/* Its own description: the position is not the caller's. */
	if ((fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	if ((d = fdopendir(fd)) == NULL) {
		close(fd);
		return -1;
	}
	while ((entry = readdir(d)) != NULL) {
		if (name_to_first(entry->d_name, &first) == -1)
			continue;
		if (list->count == cap) {
			cap = cap == 0 ? 64 : cap * 2;
			if (cap > SEGMENTS_MAX || (grown = reallocarray(
			    list->first, cap, sizeof(*grown))) == NULL) {
				closedir(d);
				segment_list_free(list);
				errno = ENOMEM;
				return -1;
			}
			list->first = grown;
		}
		list->first[list->count++] = first;
	}
	closedir(d);
	if (list->count > 1)
		qsort(list->first, list->count, sizeof(*list->first),
		    compare_first);
	return 0;
}

void
segment_list_free(struct segment_list *list)
{
	free(list->first);
	memset(list, 0, sizeof(*list));
}

size_t
segment_find(const struct segment_list *list, uint64_t seq)
{
	size_t i = list->count;

	while (i > 1 && list->first[i - 1] > seq)
		i--;
	return i == 0 ? 0 : i - 1;
}

int
segment_open(int dir, uint64_t first)
{
	char name[SEGMENT_NAME_LEN + 1];

	segment_name(name, first);
	return openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

void
line_reader_init(struct line_reader *r, int fd, off_t offset)
{
	memset(r, 0, sizeof(*r));
	r->fd = fd;
	r->offset = offset;
	buffer_init(&r->data, RECORD_MAX + 2 * READ_CHUNK);
}

void
line_reader_free(struct line_reader *r)
{
	buffer_free(&r->data);
	r->at = 0;
}

/* Returns the bytes got, 0 at the end of the file, -1 with errno. */
static ssize_t
read_more(struct line_reader *r)
{
	unsigned char *to;
	ssize_t n;

	if (r->at > 0) {
		buffer_drain(&r->data, r->at);
		r->at = 0;
	}
	if ((to = buffer_reserve(&r->data, READ_CHUNK)) == NULL) {
		r->data.bad = 0;
		errno = ENOMEM;
		return -1;
	}
	do {
		n = pread(r->fd, to, READ_CHUNK,
		    r->offset + (off_t)r->data.len);
	} while (n == -1 && errno == EINTR);
	if (n > 0)
		r->data.len += (size_t)n;
	return n;
}

enum line_result
line_next(struct line_reader *r, struct slice *line)
{
	size_t searched = 0, have;
	const char *start, *end;
	ssize_t n;

	for (;;) {
		have = r->data.len - r->at;
		start = end = NULL;
		if (have > searched) {
			start = (const char *)r->data.data + r->at;
			end = memchr(start + searched, '\n', have - searched);
		}
		if (end != NULL) {
			line->ptr = start;
			line->len = (size_t)(end - start);
			r->at += line->len + 1;
			r->offset += (off_t)line->len + 1;
			r->line++;
			return line->len > RECORD_MAX ? LINE_TOO_LONG : LINE_OK;
		}
		searched = have;
		if (have > RECORD_MAX)
			return LINE_TOO_LONG;
		if ((n = read_more(r)) == -1)
			return LINE_ERROR;
		if (n == 0)
			return r->data.len > r->at ? LINE_TORN : LINE_END;
	}
}
