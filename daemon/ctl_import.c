/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl key import: rows of the reference system's table api_keys.  Its
 * keys go on working, marked as legacy until they are rotated.  The rows are
 * another program's: each is judged like a line of the key file, and unless
 * all are good, none is taken.  Done again, it adds nothing twice and brings
 * nothing back that was revoked here.
 */

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <time.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "ctl_audit.h"
#include "ctl_key.h"
#include "ctl_keyrows.h"

struct import {
	const char	*path;		/* of the key file */
	const char	*from;		/* of the export */
	int		 json;
	int		 keep_going;
	int		 check;		/* only look */
	uint8_t		 pepper[KEY_LEN];
	struct keyfile	 file;
	struct buffer	 out;		/* -j: an array of what was taken */
	size_t		 taken, there, skipped, bad;
};

/* A key that is in the file, or will be: found by id and by hash. */
struct known {
	char	id[KEY_ID_MAX + 1];
	uint8_t	hash[DIGEST_LEN];
	int	revoked;
	int	fresh;			/* of this run */
};

static void *ids, *hashes;	/* trees of struct known */

static int
by_id(const void *a, const void *b)
{
	return strcmp(((const struct known *)a)->id,
	    ((const struct known *)b)->id);
}

static int
by_hash(const void *a, const void *b)
{
	return memcmp(((const struct known *)a)->hash,
	    ((const struct known *)b)->hash, DIGEST_LEN);
}

static int
remember(const char *id, const uint8_t *hash, int revoked, int fresh)
{
	struct known *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return -1;
	strlcpy(k->id, id, sizeof(k->id));
	k->revoked = revoked;
	k->fresh = fresh;
	if (hash != NULL)
		memcpy(k->hash, hash, sizeof(k->hash));
	return tsearch(k, &ids, by_id) == NULL || (hash != NULL &&
	    tsearch(k, &hashes, by_hash) == NULL) ? -1 : 0;
}

static const struct known *
find_hash(const uint8_t hash[DIGEST_LEN])
{
	struct known want, **found;

	memcpy(want.hash, hash, sizeof(want.hash));
	found = tfind(&want, &hashes, by_hash);
	return found == NULL ? NULL : *found;
}

static int
id_known(const char *id)
{
	struct known want;

	strlcpy(want.id, id, sizeof(want.id));
	return tfind(&want, &ids, by_id) != NULL;
}

/* Ids of lines that grant nothing are taken all the same. */
static int
remember_file(const struct keyfile *k)
{
	static struct key_entry entry;
	char id[KEY_ID_MAX + 1];
	struct slice line;
	const char *colon;
	size_t at = 0;
	int good;

	while (keyfile_next(k, &at, &line, &entry, &good)) {
		colon = memchr(line.ptr, ':', line.len);
		if (colon == NULL || (size_t)(colon - line.ptr) > KEY_ID_MAX)
			continue;
		(void)strlcpy(id, line.ptr, (size_t)(colon - line.ptr) + 1);
		if (remember(id, good && entry.legacy ? entry.hash : NULL,
		    good && entry.revoked, 0) == -1)
			return -1;
	}
	return 0;
}

/* ---- what is said ------------------------------------------------------ */

static void
say(const struct import *i, const struct row *row, const char *what,
    const char *why)
{
	fprintf(stderr, "pontifexctl: %s:%zu: %s: ", i->from, row->line, what);
	show_text(stderr, slice_of(why));
	fputc('\n', stderr);
}

static int
bad(struct import *i, const struct row *row, const char *why)
{
	i->bad++;
	say(i, row, "bad row", why);
	return -1;
}

/* ---- values ------------------------------------------------------------ */

static int
printable(const char *text, size_t max)
{
	size_t n;

	for (n = 0; text[n] != '\0'; n++)
		if ((unsigned char)text[n] < 0x20 || text[n] == 0x7f)
			return 0;
	return n > 0 && n <= max;
}

/* 1, 0, or -1: neither. */
static int
is_true(const char *text)
{
	static const char *const words[2][4] = {
		{ "f", "false", "False", "0" }, { "t", "true", "True", "1" },
	};
	int value, i;

	for (value = 0; value < 2; value++)
		for (i = 0; i < 4; i++)
			if (strcmp(text, words[value][i]) == 0)
				return value;
	return -1;
}

/* Seconds of "+02", "-0330", "+05:30" or "Z" or of nothing (UTC); 0 or -1. */
static int
parse_offset(const char *text, int64_t *seconds)
{
	int digit[4] = { 0 }, n = 0, sign;

	*seconds = 0;
	if (text[0] == '\0' || strcmp(text, "Z") == 0)
		return 0;
	if (text[0] != '+' && text[0] != '-')
		return -1;
	sign = text[0] == '-' ? -1 : 1;
	for (text++; *text != '\0'; text++) {
		if (n == 2 && *text == ':')
			continue;
		if (*text < '0' || *text > '9' || n == 4)
			return -1;
		digit[n++] = *text - '0';
	}
	if ((n != 2 && n != 4) || digit[2] > 5)
		return -1;
	*seconds = sign * ((digit[0] * 10 + digit[1]) * 3600 +
	    (digit[2] * 10 + digit[3]) * 60);
	return 0;
}

/* As Postgres and SQLite write a time; a fraction of a second is dropped. */
static int64_t
parse_time(const char *text)
{
	char date[KEY_DATE_LEN + 1];
	int64_t when, offset;

	if (strlen(text) == 10)
		return key_date(text);
	if (strlen(text) < 19 || (text[10] != ' ' && text[10] != 'T'))
		return -1;
	memcpy(date, text, 19);
	date[10] = 'T';
	date[19] = 'Z';
	date[20] = '\0';
	text += 19;
	if (text[0] == '.')
		text += 1 + strspn(text + 1, "0123456789");
	if ((when = key_date(date)) == -1 || parse_offset(text, &offset) == -1)
		return -1;
	return when - offset;
}

/* A caller of theirs is matched in lower case. */
static void
to_lower(char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

/* 0: taken, or left out; -1 after a message. */
static int
take_scope(struct import *i, const struct row *row, struct key_entry *e,
    char *text)
{
	const char *problem;
	char why[SCOPE_MAX + 128];
	uint32_t n;

	to_lower(text);
	if (!printable(text, SCOPE_MAX))
		return bad(i, row, "a scope is empty, too long, or has "
		    "control characters");
	problem = scope_problem(slice_of(text));
	(void)snprintf(why, sizeof(why), "scope \"%s\": %s", text,
	    problem == NULL ? "" : problem);
	/* Of theirs, one with a star and no such form is inert. */
	if (problem != NULL && strchr(text, '*') != NULL) {
		say(i, row, "left out", why);
		return 0;
	}
	if (problem != NULL)
		return bad(i, row, why);
	for (n = 0; n < e->nscopes; n++)
		if (strcmp(e->scope[n], text) == 0)
			return 0;
	if (e->nscopes == SCOPES_MAX)
		return bad(i, row, "too many scopes");
	strlcpy(e->scope[e->nscopes++], text, sizeof(e->scope[0]));
	return 0;
}

/* ["a:b:c"], of JSON and SQLite. */
static int
json_scopes(struct import *i, const struct row *row, struct key_entry *e)
{
	static struct json j;
	char scope[SCOPE_MAX + 1];
	uint32_t node;

	if (json_parse(&j, row->text[ROW_SCOPES],
	    strlen(row->text[ROW_SCOPES])) == -1 || !json_is(&j, 0, JSON_ARRAY))
		return bad(i, row, "scopes are no array of JSON");
	for (node = 1; node < j.nodes[0].next; node = j.nodes[node].next) {
		if (json_copy(&j, node, scope, sizeof(scope)) == -1)
			return bad(i, row, "a scope is no text, or too long");
		if (take_scope(i, row, e, scope) == -1)
			return -1;
	}
	return 0;
}

/* {a:b:c,"d:*:e"}, of Postgres: an array of one dimension. */
static int
array_scopes(struct import *i, const struct row *row, struct key_entry *e)
{
	const char *at = row->text[ROW_SCOPES] + 1;
	char scope[SCOPE_MAX + 1];
	int quoted;
	size_t n;

	while (*at != '}' && *at != '\0') {
		n = 0;
		if ((quoted = *at == '"'))
			at++;
		for (; *at != '\0' && n < sizeof(scope) - 1; at++) {
			if (quoted ? *at == '"' : *at == ',' || *at == '}')
				break;
			if (quoted && *at == '\\' && *++at == '\0')
				break;
			scope[n++] = *at;
		}
		scope[n] = '\0';
		if (quoted && *at++ != '"')
			break;
		if (*at != ',' && *at != '}')
			break;
		if (take_scope(i, row, e, scope) == -1)
			return -1;
		if (*at == ',' && *++at == '}')
			break;
	}
	if (at[0] == '}' && at[1] == '\0' && at[-1] != ',')
		return 0;
	return bad(i, row, "scopes are no array");
}

static int
take_scopes(struct import *i, const struct row *row, struct key_entry *e)
{
	char first = row->text[ROW_SCOPES][0];
	int rc;

	if (first != '[' && first != '{')
		return bad(i, row, "scopes are no array");
	rc = first == '[' ? json_scopes(i, row, e) : array_scopes(i, row, e);
	if (rc == 0 && e->nscopes == 0)
		return bad(i, row, "no scope grants anything");
	return rc;
}

/* Theirs may be of any text: what an id may not have is left out. */
static int
take_id(struct import *i, const struct row *row, struct key_entry *e)
{
	const char *from = row->text[ROW_KEY_ID];
	size_t n = 0, len;
	char number[16];
	int k;

	for (; *from != '\0' && n < KEY_ID_MAX; from++) {
		if ((*from >= 'a' && *from <= 'z') ||
		    (*from >= '0' && *from <= '9'))
			e->id[n++] = *from;
		else if (*from >= 'A' && *from <= 'Z')
			e->id[n++] = (char)(*from - 'A' + 'a');
	}
	if (n == 0)
		n = strlcpy(e->id, "imported", sizeof(e->id));
	e->id[n] = '\0';
	for (k = 2; id_known(e->id); k++) {
		len = (size_t)snprintf(number, sizeof(number), "x%d", k);
		if (n + len > KEY_ID_MAX)
			n = KEY_ID_MAX - len;
		strlcpy(e->id + n, number, sizeof(e->id) - n);
		if (k == KEYS_MAX)
			return bad(i, row, "no id is left for it");
	}
	return 0;
}

static int
take_rate(struct import *i, const struct row *row, struct key_entry *e)
{
	const char *text = row->text[ROW_RATE], *problem = NULL;
	long long n;

	n = row->has[ROW_RATE] && text[0] != '+' && text[0] != ' ' ?
	    strtonum(text, -RATE_MAX, RATE_MAX, &problem) : -RATE_MAX - 1LL;
	if (n == -RATE_MAX - 1LL || problem != NULL)
		return bad(i, row, "rate_limit_rpm is no number");
	if (n > 0)
		e->rate = (struct rate){ (uint32_t)n, 60000, (uint32_t)n };
	else
		say(i, row, "note", "it had no limit there; here it has that "
		    "of the auth block");
	return 0;
}

static int
take_owner(struct import *i, const struct row *row, struct key_entry *e)
{
	const char *label = row->text[row->has[ROW_OWNER_LABEL] ?
	    ROW_OWNER_LABEL : ROW_OWNER_ID];

	if (!printable(row->text[ROW_OWNER_ID], OWNER_MAX))
		return bad(i, row, "owner_id is empty, too long, or has "
		    "control characters");
	if (keyfile_owner_reserved(row->text[ROW_OWNER_ID]))
		return bad(i, row, "an owner that begins with https:// is a "
		    "token's");
	if (!printable(label, LABEL_MAX))
		return bad(i, row, "owner_label is too long, or has control "
		    "characters");
	strlcpy(e->owner, row->text[ROW_OWNER_ID], sizeof(e->owner));
	strlcpy(e->label, label, sizeof(e->label));
	return 0;
}

/* ---- a row ------------------------------------------------------------- */

static int
add_entry(struct import *i, const struct row *row, const struct key_entry *e)
{
	if (remember(e->id, e->hash, 0, 1) == -1)
		return bad(i, row, "out of memory");
	keyfile_append(&i->file, e);
	i->taken++;
	if (i->json) {
		(void)buffer_add_cstr(&i->out, i->taken == 1 ? "{\"key_id\":" :
		    ",{\"key_id\":");
		(void)json_write_cstr(&i->out, row->text[ROW_KEY_ID]);
		(void)buffer_add_char(&i->out, ',');
		key_json(&i->out, e);
		(void)buffer_add_char(&i->out, '}');
	} else {
		(void)buffer_printf(&i->out, "%s %s: %s\n", e->id,
		    row->text[ROW_KEY_ID], e->owner);
	}
	return 0;
}

/* Skipped, or there already: 1; a bad row: -1; to be taken: 0. */
static int
sort_out(struct import *i, const struct row *row, const struct key_entry *e,
    int active)
{
	const struct known *k = find_hash(e->hash);

	if (k != NULL && k->fresh)
		return bad(i, row, "its key_hash stands twice in the export");
	if (!active || (e->expires != 0 && e->expires <= (int64_t)time(NULL))) {
		i->skipped++;
		say(i, row, "skipped", active ? "it has expired" :
		    "it is not active");
		if (k != NULL && !k->revoked && !active)
			say(i, row, "still valid here: pontifexctl key revoke",
			    k->id);
		return 1;
	}
	if (k == NULL)
		return 0;
	i->there++;
	return 1;
}

static int
one_row(struct import *i, const struct row *row)
{
	static struct key_entry e;
	uint8_t sha[DIGEST_LEN];
	int active, rc;

	memset(&e, 0, sizeof(e));
	if (!row->has[ROW_KEY_ID] ||
	    !printable(row->text[ROW_KEY_ID], ROW_TEXT_MAX))
		return bad(i, row, "key_id is empty or has control characters");
	if (hex_decode(sha, sizeof(sha), row->text[ROW_KEY_HASH],
	    strlen(row->text[ROW_KEY_HASH])) == -1)
		return bad(i, row, "key_hash is no SHA-256 in 64 digits of "
		    "lower-case hex");
	if ((active = is_true(row->text[ROW_ACTIVE])) == -1)
		return bad(i, row, "is_active is neither true nor false");
	if (row->has[ROW_EXPIRES] &&
	    (e.expires = parse_time(row->text[ROW_EXPIRES])) <= 0)
		return bad(i, row, "expires_at is no time");
	key_hash_wrap(i->pepper, sha, e.hash);
	explicit_bzero(sha, sizeof(sha));
	e.legacy = 1;
	if ((rc = sort_out(i, row, &e, active)) != 0)
		return rc;
	if (take_owner(i, row, &e) == -1 || take_rate(i, row, &e) == -1 ||
	    take_scopes(i, row, &e) == -1 || take_id(i, row, &e) == -1)
		return -1;
	return add_entry(i, row, &e);
}

/* Every row that can be read; -1: what follows cannot. */
static int
all_rows(struct import *i, struct slice text)
{
	static struct row row;
	enum row_result result;
	struct keyrows rows;
	int rc = 0;

	if (keyrows_open(&rows, text) == -1) {
		row.line = rows.line;
		rc = bad(i, &row, rows.error);
	}
	while (rc == 0 && (result = keyrows_next(&rows, &row)) != ROW_END) {
		if (result == ROW_OK)
			(void)one_row(i, &row);
		else
			(void)bad(i, &row, rows.error);
		if (result == ROW_BROKEN)
			rc = -1;
	}
	keyrows_close(&rows);
	return rc;
}

/* ---- the whole --------------------------------------------------------- */

static int
read_export(const char *path, struct buffer *b)
{
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO :
	    open(path, O_RDONLY | O_CLOEXEC);
	unsigned char *to;
	ssize_t n = -1;

	if (fd != -1)
		while ((to = buffer_reserve(b, 65536)) != NULL &&
		    (n = read(fd, to, 65536)) > 0)
			b->len += (size_t)n;
	if (fd == -1 || n == -1 || b->bad)
		fprintf(stderr, "pontifexctl: %s: %s\n", path,
		    b->bad ? "too large" : strerror(errno));
	if (fd != -1 && fd != STDIN_FILENO)
		close(fd);
	return fd == -1 || n == -1 || b->bad ? -1 : 0;
}

/* What was taken, a line each. */
static void
print_taken(const struct buffer *b)
{
	const char *at = (const char *)b->data, *end = at + b->len, *nl;

	while (at < end &&
	    (nl = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		show_text(stdout, (struct slice){ at, (size_t)(nl - at) });
		putchar('\n');
		at = nl + 1;
	}
}

static int
print_import(struct import *i, int written)
{
	if (i->json) {
		printf("{\"imported\":[%.*s],\"already_there\":%zu,"
		    "\"skipped\":%zu,\"bad\":%zu,\"written\":%s}\n",
		    (int)i->out.len, (const char *)i->out.data, i->there,
		    i->skipped, i->bad, written ? "true" : "false");
	} else {
		if (i->out.len > 0)
			print_taken(&i->out);
		printf("%zu %s, %zu already there, %zu skipped, %zu bad\n",
		    i->taken, i->check ? "to be imported" : "imported", i->there,
		    i->skipped, i->bad);
	}
	return fflush(stdout) == 0 && i->bad == 0 ? CTL_OK : CTL_FAILED;
}

static int
import(struct import *i, struct slice text)
{
	int whole, write;

	if (remember_file(&i->file) == -1)
		return key_complain("%s", "out of memory");
	whole = all_rows(i, text) == 0;
	/* A file that is cut short is no set of rows with some bad ones. */
	write = !i->check && whole && (i->bad == 0 || i->keep_going);
	if (!write && !i->check) {
		buffer_clear(&i->out);
		i->taken = 0;
	}
	if (write && i->taken > 0 && keyfile_replace(&i->file) == -1)
		return CTL_FAILED;
	return print_import(i, write);
}

int
key_import(int argc, char **argv)
{
	static struct import i;
	struct buffer text;
	int ch, rc = CTL_FAILED;

	i.path = KEYFILE_DEFAULT;
	while ((ch = getopt(argc, argv, "F:jkn")) != -1) {
		switch (ch) {
		case 'F':
			i.path = optarg;
			break;
		case 'j':
			i.json = 1;
			break;
		case 'k':
			i.keep_going = 1;
			break;
		case 'n':
			i.check = 1;
			break;
		default:
			return CTL_USAGE;
		}
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: pontifexctl key import [-jkn] "
		    "[-F keyfile] file|-\n");
		return CTL_USAGE;
	}
	i.from = argv[optind];
	buffer_init(&text, ROWS_SIZE_MAX);
	buffer_init(&i.out, ROWS_SIZE_MAX);
	memset(&i.file, 0, sizeof(i.file));
	i.file.lock = -1;
	if (read_export(i.from, &text) == 0 &&
	    keyfile_begin(&i.file, i.path, 1) == 0 &&
	    keyfile_pepper(i.path, 1, i.pepper) == 0)
		rc = import(&i, (struct slice){ (const char *)text.data,
		    text.len });
	explicit_bzero(i.pepper, sizeof(i.pepper));
	keyfile_end(&i.file);
	buffer_freezero(&text);
	buffer_free(&i.out);
	return rc;
}
