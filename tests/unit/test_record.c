/* SPDX-License-Identifier: ISC */
/* link: auditd/journal.c daemon/ctl_audit.c daemon/ctl_schema.c daemon/schema.awk daemon/ctl_trail.c daemon/ctl_filter.c daemon/ctl_span.c */
/* link: daemon/ctl_postgres.c daemon/ctl_show.c daemon/ctl_tail.c daemon/ctl_search.c */
/* link: daemon/ctl_report.c daemon/ctl_export.c daemon/ctl_hash.c daemon/ctl_verify.c */
/* link: daemon/ctl_chain.c daemon/ctl_proof.c daemon/secret.c */

/*
 * The text of a record and what `audit verify' says of a journal that was
 * tampered with.  The attacker of the table can write every file of the
 * journal, and knows the format.
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
#include "../../common/json.h"
#include "../../common/log.h"
#include "../../daemon/ctl.h"

#define RECORDS	6

static char dir[64];
static char output[16384];

static int
make_dir(void **state)
{
	(void)state;
	strlcpy(dir, "/tmp/pontifex-record-XXXXXX", sizeof(dir));
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
	(void)waitpid(pid, &status, 0);
	return 0;
}

/* Runs the command with its output in `output'; returns its exit code. */
static int
ctl(const char *command, const char *count)
{
	char path[128], *argv[8];
	int argc = 0, fd, save, rc;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/output", dir);
	argv[argc++] = (char *)(uintptr_t)"audit";
	argv[argc++] = (char *)(uintptr_t)command;
	argv[argc++] = (char *)(uintptr_t)"-j";
	argv[argc++] = dir;
	if (count != NULL) {
		argv[argc++] = (char *)(uintptr_t)"-n";
		argv[argc++] = (char *)(uintptr_t)count;
	}
	fflush(stdout);
	save = dup(STDOUT_FILENO);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(save >= 0 && fd >= 0);
	dup2(fd, STDOUT_FILENO);
	rc = ctl_audit(argc, argv);
	fflush(stdout);
	dup2(save, STDOUT_FILENO);
	close(save);
	n = pread(fd, output, sizeof(output) - 1, 0);
	assert_true(n >= 0);
	output[n] = '\0';
	close(fd);
	unlink(path);
	return rc;
}

/* What the command says at last. */
static const char *
verdict(void)
{
	char *at, *last = output;

	for (at = output; (at = strchr(at, '\n')) != NULL && at[1] != '\0';)
		last = ++at;
	return last;
}

static void
sample(struct record *r, unsigned int n)
{
	memset(r, 0, sizeof(*r));
	r->kind = RECORD_CALL;
	r->node = slice_of("edge-1");
	r->time_us = 1795000000000000ULL + n;
	r->has_request = 1;
	memset(r->request_id, (int)n, REQUEST_ID_LEN);
	r->calls = 1;
	r->namespace = slice_of("shop");
	r->key_id = slice_of("k1");
	r->owner = slice_of("B\xc3\xa4r \"quoted\" \\ \x01");
	r->tool = slice_of("order_lookup");
	r->params = slice_of("{\"order_id\":1001,\"x\":\"\\\"}\"}");
	r->ran = 1;
	r->response_us = 1499;
}

/* A journal of RECORDS records, two to a segment where small is set. */
static void
make_journal(int small)
{
	struct journal_conf conf = { .path = dir, .segment = SEGMENT_MIN };
	static char padding[3000];
	struct journal *j;
	struct record r;
	unsigned int i;

	memset(padding, 'x', sizeof(padding));
	memcpy(padding, "{\"p\":\"", 6);
	memcpy(padding + sizeof(padding) - 2, "\"}", 2);
	if (!small)
		conf.segment = 0;
	assert_non_null(j = journal_open(&conf, &journal_io_system));
	for (i = 1; i <= RECORDS; i++) {
		sample(&r, i);
		if (small) {
			r.detail.ptr = padding;
			r.detail.len = sizeof(padding);
		}
		assert_int_equal(journal_append(j, &r), 0);
		assert_int_equal(journal_commit(j), 0);
	}
	journal_close(j);
}

static char *
read_file(const char *name, size_t *len)
{
	char path[128], *data;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_true((fd = open(path, O_RDONLY)) >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_non_null(data = malloc((size_t)st.st_size + 1));
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	data[st.st_size] = '\0';
	*len = (size_t)st.st_size;
	close(fd);
	return data;
}

static void
write_file(const char *name, const char *data, size_t len)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_true((fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600)) >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
}

#define ONLY	"00000000000000000001.jsonl"

/* ---- the text ---------------------------------------------------------- */

static void
a_record_is_one_line_of_strict_json_with_every_member(void **state)
{
	uint8_t prev[DIGEST_LEN] = { 0 }, hash[DIGEST_LEN];
	uint8_t got_prev[DIGEST_LEN], got_hash[DIGEST_LEN];
	struct record_view v;
	struct buffer b;
	struct record r;
	struct json j;
	char text[128];
	unsigned int i;

	(void)state;
	buffer_init(&b, RECORD_MAX);
	sample(&r, 7);
	assert_int_equal(record_write(&b, 42, &r, prev, hash), 0);
	assert_int_equal(b.data[b.len - 1], '\n');
	assert_null(memchr(b.data, '\n', b.len - 1));
	json_init(&j);
	assert_int_equal(json_parse(&j, (char *)b.data, b.len - 1), 0);
	assert_int_equal(j.nodes[0].count, FIELD_MAX);
	for (i = 0; i < FIELD_MAX; i++)
		if (json_member(&j, 0, record_field_name(i)) == JSON_NONE)
			fail_msg("no member %s", record_field_name(i));
	assert_int_equal(json_copy(&j, json_member(&j, 0, "owner_id"), text,
	    sizeof(text)), 0);
	assert_string_equal(text, "B\xc3\xa4r \"quoted\" \\ \x01");
	assert_int_equal(json_copy(&j, json_member(&j, 0, "timestamp"), text,
	    sizeof(text)), 0);
	assert_string_equal(text, "2026-11-18T11:06:40.000007Z");
	assert_true(slice_is(json_raw(&j, json_member(&j, 0, "response_ms")),
	    "1"));
	assert_int_equal(record_hashes((char *)b.data, b.len - 1, got_prev,
	    got_hash), 0);
	assert_memory_equal(hash, got_hash, DIGEST_LEN);
	assert_int_equal(record_view((char *)b.data, b.len - 1, &v), 0);
	assert_true(slice_is(v.field[FIELD_SEQ], "42"));
	assert_true(slice_equal(v.field[FIELD_TOOL_PARAMS], r.params));
	json_free(&j);
	buffer_free(&b);
}

static void
an_intent_has_no_outcome_and_an_empty_value_is_null(void **state)
{
	uint8_t prev[DIGEST_LEN] = { 0 }, hash[DIGEST_LEN];
	struct record_view v;
	struct buffer b;
	struct record r;

	(void)state;
	buffer_init(&b, RECORD_MAX);
	sample(&r, 1);
	r.kind = RECORD_INTENT;
	r.ran = 0;
	r.key_id = slice_of("");
	assert_int_equal(record_write(&b, 1, &r, prev, hash), 0);
	assert_int_equal(record_view((char *)b.data, b.len - 1, &v), 0);
	assert_true(view_is_null(v.field[FIELD_OUTCOME]));
	assert_true(view_is_null(v.field[FIELD_ERROR]));
	assert_true(view_is_null(v.field[FIELD_KEY_ID]));
	assert_true(view_is_null(v.field[FIELD_RESPONSE_MS]));
	buffer_free(&b);
}

static void
a_record_that_is_too_large_leaves_the_buffer_as_it_was(void **state)
{
	uint8_t prev[DIGEST_LEN] = { 0 }, hash[DIGEST_LEN];
	struct buffer b;
	struct record r;
	char *big;

	(void)state;
	assert_non_null(big = malloc(RECORD_MAX));
	memset(big, 'x', RECORD_MAX);
	buffer_init(&b, 4 * RECORD_MAX);
	assert_int_equal(buffer_add_cstr(&b, "before"), 0);
	sample(&r, 1);
	r.params.ptr = big;
	r.params.len = RECORD_MAX;
	assert_int_equal(record_write(&b, 1, &r, prev, hash), -1);
	assert_int_equal(b.len, 6);
	assert_int_equal(b.bad, 0);
	free(big);
	buffer_free(&b);
}

static void
what_is_not_exactly_a_record_is_none(void **state)
{
	static const struct { const char *find, *put; } cases[] = {
		{ "{\"seq\":", "{ \"seq\":" },
		{ "\"seq\":1,", "\"seq\":1 ," },
		{ ",\"node\"", ",\"nodE\"" },
		{ "\"calls\":1", "\"calls\":-1" },
		{ "\"transport\":\"http\",", "" },
		{ "\"error\":null", "\"error\":null,\"extra\":1" },
		{ "\"}\"},\"data", "\"}\"}},\"data" },
	};
	uint8_t prev[DIGEST_LEN] = { 0 }, hash[DIGEST_LEN];
	struct record_view v;
	struct buffer b, changed;
	struct record r;
	size_t i, at;
	char *hit;

	(void)state;
	buffer_init(&b, RECORD_MAX);
	buffer_init(&changed, RECORD_MAX);
	sample(&r, 1);
	assert_int_equal(record_write(&b, 1, &r, prev, hash), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		hit = memmem(b.data, b.len, cases[i].find,
		    strlen(cases[i].find));
		if (hit == NULL)
			fail_msg("case %zu: not in the line", i);
		at = (size_t)(hit - (char *)b.data);
		buffer_clear(&changed);
		buffer_add(&changed, b.data, at);
		buffer_add_cstr(&changed, cases[i].put);
		at += strlen(cases[i].find);
		buffer_add(&changed, b.data + at, b.len - 1 - at);
		if (record_view((char *)changed.data, changed.len, &v) == 0)
			fail_msg("case %zu was taken for a record", i);
	}
	/* Every cut of a line, for the readers' bounds. */
	for (at = 0; at < b.len - 1; at++) {
		buffer_free(&changed);
		buffer_add(&changed, b.data, at);
		assert_int_equal(record_view((char *)changed.data, at, &v),
		    -1);
		assert_int_equal(record_hashes((char *)changed.data, at, prev,
		    hash), -1);
	}
	buffer_free(&b);
	buffer_free(&changed);
}

/* ---- verify ------------------------------------------------------------ */

/* Lines of the only segment, as slices into data. */
static size_t
split(char *data, size_t len, struct slice lines[RECORDS + 1])
{
	size_t n = 0;
	char *end;

	while (len > 0 && (end = memchr(data, '\n', len)) != NULL) {
		lines[n].ptr = data;
		lines[n++].len = (size_t)(end - data) + 1;
		len -= (size_t)(end - data) + 1;
		data = end + 1;
	}
	return n;
}

static void
edit(struct buffer *b, struct slice *l)
{
	char *hit;
	size_t at;

	for (size_t i = 0; i < RECORDS; i++) {
		at = b->len;
		buffer_add_slice(b, l[i]);
		if (i != 2)
			continue;
		hit = memmem(b->data + at, b->len - at, "order_lookup", 12);
		memcpy(hit, "order_cancel", 12);
	}
}

static void
forge(struct buffer *b, struct slice *l)
{
	uint8_t prev[DIGEST_LEN], hash[DIGEST_LEN];
	struct record r;

	/* A whole new third record, rightly hashed; the fourth gives it away. */
	buffer_add_slice(b, l[0]);
	buffer_add_slice(b, l[1]);
	assert_int_equal(record_hashes(l[1].ptr, l[1].len - 1, prev, hash), 0);
	sample(&r, 99);
	assert_int_equal(record_write(b, 3, &r, hash, prev), 0);
	buffer_add_slice(b, l[3]);
	buffer_add_slice(b, l[4]);
	buffer_add_slice(b, l[5]);
}

static void
add_lines(struct buffer *b, struct slice *l, const char *order)
{
	for (; *order != '\0'; order++)
		buffer_add_slice(b, l[*order - '1']);
}

static void
torn(struct buffer *b, struct slice *l)
{
	add_lines(b, l, "12345");
	buffer_add(b, l[5].ptr, l[5].len / 2);
}

static void
verify_names_the_first_bad_record(void **state)
{
	static const struct {
		const char	*what;
		const char	*order;
		void		(*change)(struct buffer *, struct slice *);
		const char	*where;
		const char	*why;
	} cases[] = {
		{ "edit", NULL, edit, "line 3 seq 3", "was changed" },
		{ "forged in place", NULL, forge, "line 4 seq 4",
		    "chain is broken" },
		{ "delete one", "12456", NULL, "line 3 seq 4", "missing" },
		{ "delete the first", "23456", NULL, "line 1 seq 2",
		    "earlier records" },
		{ "insert a copy", "1233456", NULL, "line 4 seq 3",
		    "out of order" },
		{ "swap two", "124356", NULL, "line 3 seq 4", "missing" },
		{ "torn", NULL, torn, "line 6 seq 6", "torn" },
	};
	struct slice lines[RECORDS + 1];
	struct buffer b;
	size_t i, len;
	char *data, want[256];

	(void)state;
	make_journal(0);
	assert_int_equal(ctl("verify", NULL), 0);
	assert_string_equal(verdict(), "audit verify: ok, 6 records\n");
	data = read_file(ONLY, &len);
	assert_int_equal(split(data, len, lines), RECORDS);
	buffer_init(&b, 1 << 20);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buffer_clear(&b);
		if (cases[i].order != NULL)
			add_lines(&b, lines, cases[i].order);
		else
			cases[i].change(&b, lines);
		write_file(ONLY, (char *)b.data, b.len);
		if (ctl("verify", NULL) != 1)
			fail_msg("%s: not found", cases[i].what);
		snprintf(want, sizeof(want),
		    "audit verify: FAILED: segment %s %s: ", ONLY,
		    cases[i].where);
		if (strncmp(verdict(), want, strlen(want)) != 0 ||
		    strstr(output, cases[i].why) == NULL)
			fail_msg("%s: wanted %s…%s, got %s", cases[i].what,
			    want, cases[i].why, output);
	}
	buffer_free(&b);
	free(data);
}

static void
one_changed_byte_anywhere_is_found(void **state)
{
	char *data;
	size_t len, i;

	(void)state;
	make_journal(0);
	data = read_file(ONLY, &len);
	for (i = 0; i < len; i += 7) {
		data[i] ^= 1;
		write_file(ONLY, data, len);
		if (ctl("verify", NULL) != 1)
			fail_msg("byte %zu", i);
		data[i] ^= 1;
	}
	free(data);
}

static void
a_segment_that_is_gone_is_found(void **state)
{
	struct segment_list list;
	char name[SEGMENT_NAME_LEN + 1], path[128];
	int fd;

	(void)state;
	make_journal(1);
	assert_int_equal(ctl("verify", NULL), 0);
	fd = segment_folder(dir);
	assert_int_equal(segment_list(fd, &list), 0);
	close(fd);
	assert_true(list.count >= 3);
	segment_name(name, list.first[1]);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ctl("verify", NULL), 1);
	assert_non_null(strstr(output, "a segment before it is missing"));
	segment_list_free(&list);
}

static void
a_folder_that_is_no_journal_fails(void **state)
{
	char save[64];

	(void)state;
	strlcpy(save, dir, sizeof(save));
	assert_int_equal(ctl("verify", NULL), 0);
	assert_string_equal(verdict(), "audit verify: ok, 0 records\n");
	assert_int_equal(ctl("erase", NULL), CTL_USAGE);
	assert_int_equal(ctl("tail", "0"), CTL_USAGE);
	assert_int_equal(ctl("tail", "x"), CTL_USAGE);
}

static void
tail_shows_the_last_records_and_steers_no_terminal(void **state)
{
	struct journal_conf conf = { .path = dir };
	struct journal *j;
	struct record r;
	char *at;
	int n = 0;

	(void)state;
	make_journal(1);
	assert_non_null(j = journal_open(&conf, &journal_io_system));
	sample(&r, 9);
	r.owner = slice_of("\x1b[2J\xc2\x9b""2J\x07 end");
	assert_int_equal(journal_append(j, &r), 0);
	assert_int_equal(journal_commit(j), 0);
	journal_close(j);
	assert_int_equal(ctl("tail", "3"), 0);
	for (at = output; (at = strchr(at, '\n')) != NULL; at++)
		n++;
	assert_int_equal(n, 3);
	assert_non_null(strstr(output, " 7 call ok tool=order_lookup"));
	assert_non_null(strstr(output, "owner=\"?[2J?2J? end\""));
	assert_null(strchr(output, '\x1b'));
	assert_null(strstr(output, "\xc2\x9b"));
}

#define T(f)	cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_record_is_one_line_of_strict_json_with_every_member),
		T(an_intent_has_no_outcome_and_an_empty_value_is_null),
		T(a_record_that_is_too_large_leaves_the_buffer_as_it_was),
		T(what_is_not_exactly_a_record_is_none),
		T(verify_names_the_first_bad_record),
		T(one_changed_byte_anywhere_is_found),
		T(a_segment_that_is_gone_is_found),
		T(a_folder_that_is_no_journal_fails),
		T(tail_shows_the_last_records_and_steers_no_terminal),
	};

	crypt_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
