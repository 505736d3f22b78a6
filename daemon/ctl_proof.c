/* SPDX-License-Identifier: ISC */

/*
 * Keys and checkpoints from elsewhere, read line by line.  A saved checkpoint
 * may stand in a line of syslog's: what is before it is passed over.  One
 * that is not whole, not signed or of a key that is not trusted proves
 * nothing, and stops the verification.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "../common/segment.h"
#include "ctl_proof.h"

#define PUBLIC_FILE	"checkpoint.pub"
#define HEX_LEN		(2 * PUBLIC_KEY_LEN)
#define CHECKPOINT_WORD	"{\"checkpoint\":1,"
#define ENTRIES_MAX	10000000	/* keys, or checkpoints */

static int
fail(struct proof *p, const char *file, uint64_t line, const char *why)
{
	int rc;

	if (line == 0)
		rc = asprintf(&p->why, "%s: %s", file, why);
	else
		rc = asprintf(&p->why, "%s line %llu: %s", file,
		    (unsigned long long)line, why);
	if (rc == -1)
		p->why = NULL;
	return -1;
}

/* Room for one more of an array; NULL: no memory, or too many. */
static void *
one_more(void *array, size_t count, size_t size)
{
	/* Powers of two, from 16 on. */
	if (count >= 16 ? (count & (count - 1)) != 0 : count != 0)
		return array;
	if (count > ENTRIES_MAX)
		return NULL;
	return reallocarray(array, count < 16 ? 16 : count * 2, size);
}

static int
add_key(struct proof *p, const uint8_t key[PUBLIC_KEY_LEN], struct slice node)
{
	struct trusted_key *grown, *k;

	if ((grown = one_more(p->key, p->keys, sizeof(*grown))) == NULL)
		return -1;
	p->key = grown;
	k = &p->key[p->keys];
	memcpy(k->key, key, PUBLIC_KEY_LEN);
	k->node = NULL;
	if (node.len > 0 && (k->node = slice_dup(node)) == NULL)
		return -1;
	p->keys++;
	return 0;
}

/* `KEY' or `KEY NODE'; empty lines and those with # say nothing. */
static int
key_line(struct proof *p, const char *file, uint64_t n, struct slice line)
{
	uint8_t key[PUBLIC_KEY_LEN];
	struct slice node = { NULL, 0 };

	while (line.len > 0 && (line.ptr[line.len - 1] == ' ' ||
	    line.ptr[line.len - 1] == '\r'))
		line.len--;
	if (line.len == 0 || line.ptr[0] == '#')
		return 0;
	if (line.len < HEX_LEN ||
	    hex_decode(key, sizeof(key), line.ptr, HEX_LEN) == -1 ||
	    (line.len > HEX_LEN && line.ptr[HEX_LEN] != ' '))
		return fail(p, file, n, "not a public key of 64 hex digits");
	if (line.len > HEX_LEN) {
		node.ptr = line.ptr + HEX_LEN + 1;
		node.len = line.len - HEX_LEN - 1;
	}
	return add_key(p, key, node) == -1 ?
	    fail(p, file, n, "out of memory") : 0;
}

/* The text of a JSON string without its quotes, unescaped. */
static char *
node_text(struct slice inner)
{
	static struct json j;
	struct buffer quoted, text;
	struct slice sl;
	char *copy = NULL;

	buffer_init(&quoted, RECORD_MAX);
	buffer_init(&text, RECORD_MAX);
	(void)buffer_add_char(&quoted, '"');
	(void)buffer_add_slice(&quoted, inner);
	if (buffer_add_char(&quoted, '"') == 0 &&
	    json_parse(&j, (char *)quoted.data, quoted.len) == 0 &&
	    json_string(&j, 0, &text) == 0) {
		sl.ptr = text.len == 0 ? "" : (char *)text.data;
		sl.len = text.len;
		copy = slice_dup(sl);
	}
	buffer_free(&quoted);
	buffer_free(&text);
	return copy;
}

static int
add_saved(struct proof *p, const struct checkpoint *c, const char *file,
    uint64_t line, int after)
{
	struct saved *grown, *s;

	if ((grown = one_more(p->saved, p->saves, sizeof(*grown))) == NULL)
		return -1;
	p->saved = grown;
	s = &p->saved[p->saves];
	if ((s->node = node_text(c->node)) == NULL)
		return -1;
	s->seq = c->seq;
	memcpy(s->hash, c->hash, DIGEST_LEN);
	s->file = file;
	s->line = line;
	s->after = after;
	s->seen = 0;
	p->saves++;
	return 0;
}

static int
has_key(const struct proof *p, const char *node,
    const uint8_t key[PUBLIC_KEY_LEN])
{
	size_t i;

	for (i = 0; i < p->keys; i++)
		if (strcmp(p->key[i].node, node) == 0 &&
		    memcmp(p->key[i].key, key, PUBLIC_KEY_LEN) == 0)
			return 1;
	return 0;
}

static int
saved_line(struct proof *p, const char *file, uint64_t n, struct slice line,
    int after)
{
	struct slice text = line;
	struct checkpoint c;
	char *node;
	int trusted;

	text.ptr = memmem(line.ptr, line.len, CHECKPOINT_WORD,
	    sizeof(CHECKPOINT_WORD) - 1);
	if (text.ptr == NULL)
		return 0;
	text.len = line.len - (size_t)(text.ptr - line.ptr);
	while (text.len > 0 && text.ptr[text.len - 1] != '}')
		text.len--;
	if (checkpoint_read(text.ptr, text.len, &c) == -1)
		return fail(p, file, n, "not a whole checkpoint");
	if (checkpoint_verify(&c) == -1)
		return fail(p, file, n, "the checkpoint's signature does not "
		    "fit");
	if ((node = node_text(c.node)) == NULL)
		return fail(p, file, n, "not a whole checkpoint");
	trusted = p->origin != KEY_FILE || proof_trusts(p, node, c.key);
	if (p->origin != KEY_FILE) {
		p->origin = KEY_SAVED;
		if (!has_key(p, node, c.key) &&
		    add_key(p, c.key, slice_of(node)) == -1)
			trusted = -1;
	}
	free(node);
	if (trusted == -1 || (trusted &&
	    add_saved(p, &c, file, n, after) == -1))
		return fail(p, file, n, "out of memory");
	return trusted ? 0 : fail(p, file, n,
	    "the checkpoint is not of a trusted key");
}

enum what { KEYS, SAVED, AFTER };

static int
read_lines(struct proof *p, const char *name, int fd, enum what what)
{
	struct line_reader reader;
	enum line_result result;
	struct slice line;
	int rc = 0;

	line_reader_init(&reader, fd, 0);
	while (rc == 0 && ((result = line_next(&reader, &line)) == LINE_OK ||
	    result == LINE_TORN)) {
		/* The last line may lack its newline. */
		if (result == LINE_TORN) {
			line.ptr = (char *)reader.data.data + reader.at;
			line.len = reader.data.len - reader.at;
			reader.line++;
		}
		rc = what == KEYS ? key_line(p, name, reader.line, line) :
		    saved_line(p, name, reader.line, line, what == AFTER);
		if (result == LINE_TORN)
			break;
	}
	if (rc == 0 && (result == LINE_TOO_LONG || result == LINE_ERROR))
		rc = fail(p, name, reader.line + 1, result == LINE_ERROR ?
		    strerror(errno) : "the line is too long");
	line_reader_free(&reader);
	return rc;
}

static int
read_file(struct proof *p, const char *name, enum what what)
{
	struct stat st;
	int fd, rc;

	if ((fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1 ||
	    fstat(fd, &st) == -1)
		rc = fail(p, name, 0, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		rc = fail(p, name, 0, "not a file");
	else
		rc = read_lines(p, name, fd, what);
	if (fd != -1)
		close(fd);
	return rc;
}

static int
compare_saved(const void *a, const void *b)
{
	const struct saved *x = a, *y = b;
	int order = strcmp(x->node, y->node);

	return order != 0 ? order : (x->seq > y->seq) - (x->seq < y->seq);
}

/* A journal that was made before there were checkpoints has no key. */
static int
read_journal_key(struct proof *p, int dir)
{
	int fd, rc;

	fd = openat(dir, PUBLIC_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return errno == ENOENT ? 0 :
		    fail(p, PUBLIC_FILE, 0, strerror(errno));
	rc = read_lines(p, PUBLIC_FILE, fd, KEYS);
	close(fd);
	if (rc == 0 && p->keys == 0)
		rc = fail(p, PUBLIC_FILE, 0, "holds no key");
	p->origin = KEY_JOURNAL;
	return rc;
}

int
proof_read(struct proof *p, const char *keys, const char *saved,
    const char *after, int dir)
{
	const char *const files[] = { saved, after };
	size_t i, before;

	memset(p, 0, sizeof(*p));
	if (keys != NULL) {
		p->origin = KEY_FILE;
		if (read_file(p, keys, KEYS) == -1)
			return -1;
		if (p->keys == 0)
			return fail(p, keys, 0, "holds no key");
	}
	for (i = 0; i < 2; i++) {
		before = p->saves;
		if (files[i] == NULL)
			continue;
		if (read_file(p, files[i], i == 0 ? SAVED : AFTER) == -1)
			return -1;
		if (p->saves == before)
			return fail(p, files[i], 0, "holds no checkpoint");
	}
	if (p->saves > 1)
		qsort(p->saved, p->saves, sizeof(*p->saved), compare_saved);
	if (p->origin == KEY_OWN && dir != -1)
		return read_journal_key(p, dir);
	return 0;
}

void
proof_free(struct proof *p)
{
	size_t i;

	for (i = 0; i < p->keys; i++)
		free(p->key[i].node);
	for (i = 0; i < p->saves; i++)
		free(p->saved[i].node);
	free(p->key);
	free(p->saved);
	free(p->why);
	memset(p, 0, sizeof(*p));
}

int
proof_trusts(const struct proof *p, const char *node,
    const uint8_t key[PUBLIC_KEY_LEN])
{
	size_t i;
	int told = 0;

	for (i = 0; i < p->keys; i++) {
		if (p->key[i].node != NULL && strcmp(p->key[i].node, node) != 0)
			continue;
		told = 1;
		if (memcmp(p->key[i].key, key, PUBLIC_KEY_LEN) == 0)
			return 1;
	}
	/* Of a file that was named, or the journal's, silence is no trust. */
	return !told && (p->origin == KEY_OWN || p->origin == KEY_SAVED) ?
	    2 : 0;
}

size_t
proof_first(const struct proof *p, const char *node)
{
	size_t i;

	for (i = 0; i < p->saves; i++)
		if (strcmp(p->saved[i].node, node) == 0)
			break;
	return i;
}
