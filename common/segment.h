/* SPDX-License-Identifier: ISC */

/*
 * The folder of a journal: segments named by the sequence number of their
 * first record, read line by line.  Used by auditd (start, drain) and by
 * pontifexctl, which reads while auditd writes.
 */

#ifndef COMMON_SEGMENT_H
#define COMMON_SEGMENT_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "limits.h"

#define SEGMENT_NAME_LEN	26	/* 20 digits and ".jsonl" */

struct segment_list {
	uint64_t	*first;		/* ascending; owned */
	size_t		 count;
};

/* name must hold SEGMENT_NAME_LEN + 1. */
void	segment_name(char *name, uint64_t first);
/* Opens the folder of a journal to read it; -1 with errno. */
int	segment_folder(const char *path);
/* Returns 0, or -1 with errno.  Free with segment_list_free(). */
int	segment_list(int dir, struct segment_list *);
void	segment_list_free(struct segment_list *);
/* Index of the segment that holds seq: the last one that starts at or before
 * it; 0 where all start later. */
size_t	segment_find(const struct segment_list *, uint64_t seq);
/* Read-only, no symbolic link; -1 with errno. */
int	segment_open(int dir, uint64_t first);

/* Lines of one open file, from wherever it stands. */
struct line_reader {
	int		 fd;		/* not owned */
	struct buffer	 data;
	size_t		 at;		/* of the next line in data */
	off_t		 offset;	/* of the next line in the file */
	uint64_t	 line;		/* number of the line handed out last */
};

enum line_result {
	LINE_OK,
	LINE_END,		/* nothing is left; more may come later */
	LINE_TORN,		/* bytes without a newline at the end */
	LINE_TOO_LONG,
	LINE_ERROR		/* errno */
};

void	line_reader_init(struct line_reader *, int fd, off_t offset);
void	line_reader_free(struct line_reader *);
/* The line lies in the reader until the next call; no newline in it. */
enum line_result line_next(struct line_reader *, struct slice *);

#endif
