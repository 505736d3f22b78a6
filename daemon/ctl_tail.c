/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl audit tail: the end of a journal, and with -f what comes after
 * it, from segment to segment.  Lines are shown as auditd writes them, which
 * may be a moment before they are durable; where auditd takes them back, those
 * that take their place are shown as well.
 */

#include <sys/stat.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/segment.h"
#include "ctl_audit.h"

#define TAIL_DEFAULT	10
#define LOOK_MS		200	/* how often a followed journal is looked at */

static volatile sig_atomic_t ended;

static void
end(int sig)
{
	(void)sig;
	ended = 1;
}

struct tail {
	const struct audit_options *options;
	int		 dir;
	int		 fd;		/* -1: none */
	uint64_t	 first;		/* the segment's name */
	struct line_reader reader;
	uint64_t	 from;		/* records before are not shown */
	uint64_t	 last;		/* number of the last one read */
	int		 print;
};

static void
one_line(struct tail *t, struct slice line)
{
	struct record_view v;
	uint64_t seq;

	if (record_seq(line.ptr, line.len, &seq) == -1 ||
	    !show_is_record(line, &v)) {
		if (t->print && t->last + 1 >= t->from)
			printf("(a line that is no record)\n");
		return;
	}
	t->last = seq;
	if (!t->print || seq < t->from ||
	    !filter_matches(&t->options->filter, &v))
		return;
	if (t->options->json) {
		show_json(line);
		putchar('\n');
	} else {
		show_record(&v);
	}
}

static void
close_segment(struct tail *t)
{
	if (t->fd == -1)
		return;
	line_reader_free(&t->reader);
	close(t->fd);
	t->fd = -1;
}

static int
open_segment(struct tail *t, uint64_t first)
{
	close_segment(t);
	if ((t->fd = segment_open(t->dir, first)) == -1)
		return -1;
	t->first = first;
	line_reader_init(&t->reader, t->fd, 0);
	return 0;
}

/* All whole lines that are there. */
static void
read_lines(struct tail *t)
{
	enum line_result result = LINE_END;
	off_t offset;
	struct slice line;

	while (!ended && (result = line_next(&t->reader, &line)) == LINE_OK)
		one_line(t, line);
	if (result != LINE_TORN)
		return;
	/* What is not whole may still be taken back: it is read again. */
	offset = t->reader.offset;
	line_reader_free(&t->reader);
	line_reader_init(&t->reader, t->fd, offset);
}

/* The segments from index on; the last one stays open. */
static int
walk(struct tail *t, size_t index)
{
	struct segment_list list;
	size_t i;

	if (segment_list(t->dir, &list) == -1)
		return -1;
	for (i = index; i < list.count && !ended; i++)
		if (open_segment(t, list.first[i]) == 0)
			read_lines(t);
	segment_list_free(&list);
	return 0;
}

/* ---- following --------------------------------------------------------- */

/* auditd takes back a group that could not be written whole; what is left of
 * the segment was shown, what comes in its place was not. */
static void
look_for_cut(struct tail *t)
{
	struct slice line;
	struct stat st;

	if (fstat(t->fd, &st) == -1 || st.st_size >= t->reader.offset)
		return;
	line_reader_free(&t->reader);
	line_reader_init(&t->reader, t->fd, 0);
	t->print = 0;
	while (t->reader.offset < st.st_size &&
	    line_next(&t->reader, &line) == LINE_OK)
		one_line(t, line);
	t->print = 1;
	fprintf(stderr, "pontifexctl: what was behind record %llu was taken "
	    "back\n", (unsigned long long)t->last);
}

/* The first segment after the open one; 0: none. */
static uint64_t
next_segment(const struct tail *t)
{
	struct segment_list list;
	uint64_t next = 0;
	size_t i;

	if (segment_list(t->dir, &list) == -1)
		return 0;
	for (i = 0; i < list.count && next == 0; i++)
		if (t->fd == -1 || list.first[i] > t->first)
			next = list.first[i];
	segment_list_free(&list);
	return next;
}

/* Waits a little; -1 once nobody reads what we print. */
static int
wait_for_more(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = 0 };

	if (fflush(stdout) == EOF)
		return -1;
	if (poll(&out, 1, LOOK_MS) == 1 &&
	    (out.revents & (POLLERR | POLLHUP | POLLNVAL)))
		return -1;
	return 0;
}

static void
follow(struct tail *t)
{
	uint64_t next;

	while (!ended && wait_for_more() == 0 && !ended) {
		next = next_segment(t);
		if (t->fd != -1) {
			/* auditd begins one when it is done with the last. */
			look_for_cut(t);
			read_lines(t);
		}
		if (next != 0 && open_segment(t, next) == 0)
			read_lines(t);
	}
}

/* ---- the command ------------------------------------------------------- */

static int
catch_signals(void)
{
	struct sigaction sa = { .sa_handler = end };

	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGINT, &sa, NULL) == -1 ||
	    sigaction(SIGTERM, &sa, NULL) == -1)
		return -1;
	sa.sa_handler = SIG_IGN;
	return sigaction(SIGPIPE, &sa, NULL);
}

/* Sets from to the first of the last count records. */
static int
find_start(struct tail *t, uint64_t count, size_t *index)
{
	struct segment_list list;
	size_t i;

	if (segment_list(t->dir, &list) == -1)
		return -1;
	/* The last segment may hold nothing yet. */
	for (i = list.count; i > 0 && t->last == 0; i--)
		if (open_segment(t, list.first[i - 1]) == 0)
			read_lines(t);
	t->from = t->last >= count ? t->last - count + 1 : 1;
	*index = segment_find(&list, t->from);
	segment_list_free(&list);
	close_segment(t);
	return 0;
}

int
audit_tail(const struct audit_options *o)
{
	struct tail t = { .options = o, .fd = -1 };
	size_t index;
	int rc = CTL_FAILED;

	ended = 0;
	if (o->follow && catch_signals() == -1)
		return CTL_FAILED;
	if ((t.dir = segment_folder(o->journal)) == -1 ||
	    find_start(&t, o->count == 0 ? TAIL_DEFAULT : o->count,
	    &index) == -1) {
		fprintf(stderr, "pontifexctl: journal %s: %s\n", o->journal,
		    strerror(errno));
	} else {
		t.print = 1;
		t.last = 0;
		if (walk(&t, index) == 0) {
			rc = CTL_OK;
			if (o->follow)
				follow(&t);
		}
	}
	close_segment(&t);
	if (t.dir != -1)
		close(t.dir);
	return rc;
}
