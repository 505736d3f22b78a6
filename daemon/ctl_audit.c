/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl audit: reads a journal by its path, with or without a daemon.
 * `verify' believes nothing that it reads and names the first record that is
 * not as auditd wrote it; `tail' shows the last ones to people, and lets no
 * byte of a record steer their terminal.
 */

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "../common/record.h"
#include "../common/segment.h"
#include "ctl.h"

#define JOURNAL_DEFAULT	"/var/lib/pontifexd/audit"
#define TAIL_DEFAULT	10
#define TAIL_MAX	1000000
#define TORN_TRIES	20		/* auditd may be in the middle of a write */
#define TORN_PAUSE_NS	50000000L

/* ---- verify ------------------------------------------------------------ */

struct verify {
	const char	*segment;	/* name, for the message */
	uint64_t	 line;
	uint64_t	 seq;		/* of the last good record */
	uint8_t		 hash[DIGEST_LEN];
	uint64_t	 records;
};

static int
bad(const struct verify *v, uint64_t line, uint64_t seq, const char *why)
{
	printf("audit verify: FAILED: segment %s line %llu seq %llu: %s\n",
	    v->segment, (unsigned long long)line, (unsigned long long)seq, why);
	return -1;
}

/* One line, against what must come before it. */
static int
verify_line(struct verify *v, struct slice line)
{
	static struct json j;
	uint8_t prev[DIGEST_LEN], hash[DIGEST_LEN];
	struct record_view view;
	uint64_t seq = 0, want = v->seq + 1;

	v->line++;
	/* What a cut or added record calls itself helps to find it. */
	if (record_seq(line.ptr, line.len, &seq) == -1)
		seq = want;
	if (record_view(line.ptr, line.len, &view) == -1 ||
	    json_parse(&j, line.ptr, line.len) == -1)
		return bad(v, v->line, seq, "not a record");
	if (record_hashes(line.ptr, line.len, prev, hash) == -1)
		return bad(v, v->line, seq,
		    "the record was changed: its hash does not fit its text");
	if (seq > want)
		return bad(v, v->line, seq, v->records == 0 ?
		    "earlier records are missing" :
		    "records before it are missing");
	if (seq < want)
		return bad(v, v->line, seq,
		    "out of order: a record was moved or added");
	if (!digest_equal(prev, v->hash))
		return bad(v, v->line, seq,
		    "the chain is broken: it does not follow the record before");
	memcpy(v->hash, hash, DIGEST_LEN);
	v->seq = seq;
	v->records++;
	return 0;
}

static int
verify_segment(struct verify *v, int dir, uint64_t first, int last)
{
	static const struct timespec pause = { 0, TORN_PAUSE_NS };
	struct line_reader reader;
	enum line_result result;
	struct slice line;
	int fd, rc = 0, tries = 0;

	if ((fd = segment_open(dir, first)) == -1)
		return bad(v, 0, v->seq + 1, strerror(errno));
	line_reader_init(&reader, fd, 0);
	v->line = 0;
	for (;;) {
		result = line_next(&reader, &line);
		if (result == LINE_OK) {
			if (v->line == 0 && first != v->seq + 1 &&
			    first > v->seq)
				rc = bad(v, 1, first, v->records == 0 ?
				    "earlier records are missing" :
				    "a segment before it is missing");
			if (rc == 0)
				rc = verify_line(v, line);
			if (rc == -1)
				break;
			tries = 0;
		} else if (result == LINE_TORN && last &&
		    tries++ < TORN_TRIES) {
			(void)nanosleep(&pause, NULL);
		} else {
			break;
		}
	}
	if (rc == 0 && result == LINE_TORN)
		rc = bad(v, v->line + 1, v->seq + 1,
		    "torn: the record is not whole");
	else if (rc == 0 && result == LINE_TOO_LONG)
		rc = bad(v, v->line + 1, v->seq + 1, "not a record: too long");
	else if (rc == 0 && result == LINE_ERROR)
		rc = bad(v, v->line + 1, v->seq + 1, strerror(errno));
	else if (rc == 0 && v->line == 0 && !last)
		rc = bad(v, 1, v->seq + 1, "the segment is empty");
	line_reader_free(&reader);
	close(fd);
	return rc;
}

static int
audit_verify(int dir, const struct segment_list *list)
{
	char name[SEGMENT_NAME_LEN + 1];
	struct verify v = { .segment = name };
	size_t i;

	for (i = 0; i < list->count; i++) {
		segment_name(name, list->first[i]);
		if (verify_segment(&v, dir, list->first[i],
		    i + 1 == list->count) == -1)
			return CTL_FAILED;
	}
	printf("audit verify: ok, %llu records\n",
	    (unsigned long long)v.records);
	return CTL_OK;
}

/* ---- tail -------------------------------------------------------------- */

/* Text of a string value; what could steer a terminal becomes '?'. */
static void
show(const char *label, struct slice value)
{
	static struct json j;
	struct buffer text;
	size_t i;

	if (view_is_null(value))
		return;
	buffer_init(&text, RECORD_MAX);
	if (value.ptr[0] != '"' ||
	    json_parse(&j, value.ptr, value.len) == -1 ||
	    json_string(&j, 0, &text) == -1) {
		buffer_clear(&text);
		(void)buffer_add_slice(&text, value);
	}
	printf(" %s", label);
	for (i = 0; i < text.len; i++) {
		if (text.data[i] < 0x20 || text.data[i] == 0x7f ||
		    (text.data[i] == 0xc2 && i + 1 < text.len &&
		    text.data[i + 1] < 0xa0)) {
			putchar('?');
			i += text.data[i] == 0xc2;
		} else {
			putchar(text.data[i]);
		}
	}
	buffer_free(&text);
}

static void
print_record(const struct record_view *v)
{
	struct slice time_text, id;
	uint64_t calls = 0;

	if (view_plain(v->field[FIELD_TIMESTAMP], &time_text) == -1)
		time_text = slice_of("?");
	printf("%.*s %.*s", (int)time_text.len, time_text.ptr,
	    (int)v->field[FIELD_SEQ].len, v->field[FIELD_SEQ].ptr);
	show("", v->field[FIELD_KIND]);
	show("", v->field[FIELD_EVENT]);
	if (!view_string_is(v->field[FIELD_KIND], "event"))
		show("", v->field[FIELD_OUTCOME]);
	if (!view_is_null(v->field[FIELD_REASON]))
		show("reason=", v->field[FIELD_REASON]);
	show("tool=", v->field[FIELD_TOOL_NAME]);
	show("owner=", v->field[FIELD_OWNER_ID]);
	show("key=", v->field[FIELD_KEY_ID]);
	show("from=", v->field[FIELD_IP_ADDRESS]);
	show("source=", v->field[FIELD_DATA_SOURCE]);
	show("params=", v->field[FIELD_TOOL_PARAMS]);
	show("rows=", v->field[FIELD_ROWS]);
	show("us=", v->field[FIELD_RESPONSE_US]);
	if (view_u64(v->field[FIELD_CALLS], &calls) == 0 && calls > 1)
		show("calls=", v->field[FIELD_CALLS]);
	if (view_plain(v->field[FIELD_REQUEST_ID], &id) == 0)
		printf(" request=%.*s", (int)id.len, id.ptr);
	show("", v->field[FIELD_DETAIL]);
	putchar('\n');
}

/* Calls print for all records from seq on; returns the last one's number. */
static uint64_t
walk(int dir, const struct segment_list *list, size_t from, uint64_t seq,
    int print)
{
	struct line_reader reader;
	struct record_view view;
	struct slice line;
	uint64_t n, last = 0;
	size_t i;
	int fd;

	for (i = from; i < list->count; i++) {
		if ((fd = segment_open(dir, list->first[i])) == -1)
			continue;
		line_reader_init(&reader, fd, 0);
		while (line_next(&reader, &line) == LINE_OK) {
			if (record_seq(line.ptr, line.len, &n) == -1) {
				if (print)
					printf("(a line that is no record)\n");
				continue;
			}
			last = n;
			if (!print || n < seq)
				continue;
			if (record_view(line.ptr, line.len, &view) == 0)
				print_record(&view);
			else
				printf("(a line that is no record)\n");
		}
		line_reader_free(&reader);
		close(fd);
	}
	return last;
}

static int
audit_tail(int dir, const struct segment_list *list, uint64_t count)
{
	uint64_t last = 0, from;
	size_t i;

	/* The last segment may hold nothing yet. */
	for (i = list->count; i > 0 && last == 0; i--)
		last = walk(dir, list, i - 1, 0, 0);
	from = last >= count ? last - count + 1 : 1;
	(void)walk(dir, list, segment_find(list, from), from, 1);
	return 0;
}

/* ---- the command ------------------------------------------------------- */

static int
usage(void)
{
	fprintf(stderr, "usage: pontifexctl audit tail [-n count] [-j journal]\n"
	    "       pontifexctl audit verify [-j journal]\n");
	return CTL_USAGE;
}

int
ctl_audit(int argc, char **argv)
{
	const char *journal = JOURNAL_DEFAULT, *command, *error = NULL;
	struct segment_list list;
	uint64_t count = TAIL_DEFAULT;
	int at = 1, dir, rc;

	if (at >= argc)
		return usage();
	command = argv[at++];
	if (strcmp(command, "tail") != 0 && strcmp(command, "verify") != 0)
		return usage();
	for (; at < argc; at += 2) {
		if (at + 1 >= argc)
			return usage();
		if (strcmp(argv[at], "-j") == 0)
			journal = argv[at + 1];
		else if (strcmp(argv[at], "-n") == 0 &&
		    strcmp(command, "tail") == 0)
			count = (uint64_t)strtonum(argv[at + 1], 1, TAIL_MAX,
			    &error);
		else
			return usage();
		if (error != NULL) {
			fprintf(stderr, "pontifexctl: -n %s: %s\n",
			    argv[at + 1], error);
			return CTL_USAGE;
		}
	}
	if ((dir = segment_folder(journal)) == -1 ||
	    segment_list(dir, &list) == -1) {
		fprintf(stderr, "pontifexctl: journal %s: %s\n", journal,
		    strerror(errno));
		if (strcmp(command, "verify") == 0)
			printf("audit verify: FAILED: journal %s: %s\n",
			    journal, strerror(errno));
		if (dir != -1)
			close(dir);
		return CTL_FAILED;
	}
	rc = strcmp(command, "tail") == 0 ? audit_tail(dir, &list, count) :
	    audit_verify(dir, &list);
	segment_list_free(&list);
	close(dir);
	if (fflush(stdout) == EOF)
		return CTL_FAILED;
	return rc;
}
