/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl key: makes, lists and revokes API keys in the key file.  The
 * plaintext of a key is shown once and kept nowhere.  The file is replaced in
 * one step, and comments and lines that are not understood stay as they are.
 */

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/keyfile.h"
#include "../common/log.h"
#include "ctl.h"

#define FILE_MAX	(4U << 20)	/* bytes of a key file */

struct keyfile {
	const char	*path;
	int		 lock;
	struct buffer	 text;
	struct stat	 st;		/* of the file that is there */
	int		 exists;
};

static int
complain(const char *fmt, const char *what)
{
	fprintf(stderr, "pontifexctl: ");
	fprintf(stderr, fmt, what);
	fputc('\n', stderr);
	return CTL_FAILED;
}

static int
read_all(struct keyfile *k)
{
	unsigned char *to;
	ssize_t n;
	int fd;

	buffer_init(&k->text, FILE_MAX + 65536);
	fd = open(k->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1 || fstat(fd, &k->st) == -1 || !S_ISREG(k->st.st_mode)) {
		(void)complain("%s: cannot be read", k->path);
		if (fd != -1)
			close(fd);
		return -1;
	}
	k->exists = 1;
	while ((to = buffer_reserve(&k->text, 65536)) != NULL &&
	    (n = read(fd, to, 65536)) > 0)
		k->text.len += (size_t)n;
	close(fd);
	if (k->text.bad) {
		(void)complain("%s: too large", k->path);
		return -1;
	}
	return 0;
}

/* Locks against another pontifexctl, then reads. */
static int
keyfile_begin(struct keyfile *k, const char *path, int write)
{
	char lock[PATH_MAX];

	memset(k, 0, sizeof(*k));
	k->path = path;
	k->lock = -1;
	if (write) {
		if ((size_t)snprintf(lock, sizeof(lock), "%s.lock", path) >=
		    sizeof(lock))
			return -1;
		k->lock = open(lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		    0600);
		if (k->lock == -1 || flock(k->lock, LOCK_EX) == -1) {
			fprintf(stderr, "pontifexctl: %s: %s\n", lock,
			    strerror(errno));
			return -1;
		}
	}
	return read_all(k);
}

static void
keyfile_end(struct keyfile *k)
{
	buffer_freezero(&k->text);
	if (k->lock != -1)
		close(k->lock);
}

static int
sync_dir(const char *path)
{
	char copy[PATH_MAX];
	int fd, rc;

	strlcpy(copy, path, sizeof(copy));
	if ((fd = open(dirname(copy), O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC)) == -1)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

static int
write_whole(int fd, const struct buffer *b)
{
	size_t done = 0;
	ssize_t n;

	while (done < b->len) {
		n = write(fd, b->data + done, b->len - done);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

/* A new file beside the old one, then its name: never half a file. */
static int
keyfile_replace(struct keyfile *k)
{
	char temp[PATH_MAX];
	int fd;

	if ((size_t)snprintf(temp, sizeof(temp), "%s.XXXXXXXXXX", k->path) >=
	    sizeof(temp))
		return -1;
	if ((fd = mkstemp(temp)) == -1) {
		fprintf(stderr, "pontifexctl: %s: %s\n", temp,
		    strerror(errno));
		return -1;
	}
	if (fchmod(fd, 0600) == -1 || (k->exists && geteuid() == 0 &&
	    fchown(fd, k->st.st_uid, k->st.st_gid) == -1) ||
	    write_whole(fd, &k->text) == -1 || fsync(fd) == -1 ||
	    rename(temp, k->path) == -1) {
		fprintf(stderr, "pontifexctl: %s: %s\n", k->path,
		    strerror(errno));
		close(fd);
		(void)unlink(temp);
		return -1;
	}
	close(fd);
	if (sync_dir(k->path) == -1)
		fprintf(stderr, "pontifexctl: %s: folder not synced: %s\n",
		    k->path, strerror(errno));
	return 0;
}

/*
 * The next line from *at; 0 at the end.  entry is filled and *good set where
 * it is a key.
 */
static int
next_line(const struct keyfile *k, size_t *at, struct slice *line,
    struct key_entry *entry, int *good)
{
	const char *nl, *error, *text = (const char *)k->text.data;

	if (*at >= k->text.len)
		return 0;
	line->ptr = text + *at;
	nl = memchr(line->ptr, '\n', k->text.len - *at);
	line->len = nl == NULL ? k->text.len - *at : (size_t)(nl - line->ptr);
	*at += line->len + (nl != NULL);
	*good = !keyfile_is_comment(*line) &&
	    keyfile_parse(*line, entry, &error) == 0;
	return 1;
}

static int
id_taken(const struct keyfile *k, const char *id)
{
	static struct key_entry entry;
	struct slice line;
	size_t at = 0, len = strlen(id);
	int good;

	while (next_line(k, &at, &line, &entry, &good))
		if (line.len > len && line.ptr[len] == ':' &&
		    memcmp(line.ptr, id, len) == 0)
			return 1;
	return 0;
}

/* ---- add --------------------------------------------------------------- */

struct add_options {
	const char	*path;
	const char	*env;
	struct key_entry entry;
	int		 has_owner;
};

static int
add_scopes(struct key_entry *e, const char *text)
{
	const char *problem, *comma;
	struct slice s;

	for (;;) {
		comma = strchr(text, ',');
		s.ptr = text;
		s.len = comma == NULL ? strlen(text) : (size_t)(comma - text);
		if ((problem = scope_problem(s)) != NULL) {
			fprintf(stderr, "pontifexctl: scope \"%.*s\": %s\n",
			    (int)s.len, s.ptr, problem);
			return -1;
		}
		if (e->nscopes == SCOPES_MAX) {
			(void)complain("%s", "too many scopes");
			return -1;
		}
		memcpy(e->scope[e->nscopes], s.ptr, s.len);
		e->scope[e->nscopes++][s.len] = '\0';
		if (comma == NULL)
			return 0;
		text = comma + 1;
	}
}

static int
add_attribute(struct key_entry *e, const char *text)
{
	const char *eq = strchr(text, '=');
	struct key_attribute *a;
	size_t i, len;

	len = eq == NULL ? 0 : (size_t)(eq - text);
	if (len == 0 || len > NAME_LEN_MAX || strlen(eq + 1) > ATTRIBUTE_MAX ||
	    e->nattributes == ATTRIBUTES_MAX) {
		(void)complain("-a %s: must be name=value", text);
		return -1;
	}
	for (i = 0; i < len; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "0123456789_.-", text[i]) == NULL) {
			(void)complain("-a %s: a name is made of "
			    "A-Z a-z 0-9 _ . -", text);
			return -1;
		}
	a = &e->attribute[e->nattributes++];
	memcpy(a->name, text, len);
	strlcpy(a->value, eq + 1, sizeof(a->value));
	for (i = 0; i + 1 < e->nattributes; i++)
		if (strcmp(e->attribute[i].name, a->name) == 0) {
			(void)complain("-a %s: given twice", text);
			return -1;
		}
	return 0;
}

static int
text_ok(const char *text, size_t max, const char *what)
{
	size_t i;

	if (text[0] == '\0' || strlen(text) > max) {
		fprintf(stderr, "pontifexctl: %s must have 1 to %zu bytes\n",
		    what, max);
		return 0;
	}
	for (i = 0; text[i] != '\0'; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
			fprintf(stderr, "pontifexctl: %s must have no control "
			    "characters\n", what);
			return 0;
		}
	return 1;
}

static int
word_ok(const char *text, size_t max, const char *what)
{
	size_t i;

	for (i = 0; text[i] != '\0'; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') ||
		    (text[i] >= '0' && text[i] <= '9')))
			break;
	if (i == 0 || text[i] != '\0' || i > max) {
		fprintf(stderr, "pontifexctl: %s \"%s\": must be 1 to %zu of "
		    "a-z 0-9\n", what, text, max);
		return 0;
	}
	return 1;
}

static int
take_option(struct add_options *o, int ch, const char *value)
{
	struct key_entry *e = &o->entry;
	const char *problem;

	switch (ch) {
	case 'F':
		o->path = value;
		return 0;
	case 'E':
		o->env = value;
		return word_ok(value, 16, "env") ? 0 : -1;
	case 'i':
		if (!word_ok(value, KEY_ID_MAX, "id"))
			return -1;
		strlcpy(e->id, value, sizeof(e->id));
		return 0;
	case 'o':
		if (!text_ok(value, OWNER_MAX, "owner"))
			return -1;
		if (keyfile_owner_reserved(value)) {
			fprintf(stderr, "pontifexctl: owner \"%s\": one that "
			    "begins with https:// is a token's\n", value);
			return -1;
		}
		strlcpy(e->owner, value, sizeof(e->owner));
		return 0;
	case 'l':
		if (!text_ok(value, LABEL_MAX, "label"))
			return -1;
		strlcpy(e->label, value, sizeof(e->label));
		return 0;
	case 's':
		return add_scopes(e, value);
	case 'a':
		if (!text_ok(value, NAME_LEN_MAX + ATTRIBUTE_MAX + 1,
		    "attribute"))
			return -1;
		return add_attribute(e, value);
	case 'r':
		e->rate = (uint32_t)strtonum(value, 1, RATE_MAX, &problem);
		if (problem == NULL)
			return 0;
		fprintf(stderr, "pontifexctl: rate \"%s\" is %s: must be 1 to "
		    "%d calls a minute\n", value, problem, RATE_MAX);
		return -1;
	case 'e':
		e->expires = key_date(value);
		if (e->expires > (int64_t)time(NULL))
			return 0;
		fprintf(stderr, "pontifexctl: date \"%s\": must be in the "
		    "future and like 2027-12-31 or 2027-12-31T23:59:59Z\n",
		    value);
		return -1;
	default:
		return -2;
	}
}

static void
random_id(char out[KEY_ID_MAX + 1])
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	int i;

	for (i = 0; i < 12; i++)
		out[i] = alphabet[arc4random_uniform(sizeof(alphabet) - 1)];
	out[12] = '\0';
}

static int
key_make(struct add_options *o, struct keyfile *k)
{
	uint8_t secret[KEY_SECRET_LEN], pepper[KEY_LEN];
	char encoded[KEY_SECRET_LEN * 2], text[KEY_TEXT_MAX];
	int rc = CTL_FAILED;

	random_bytes(secret, sizeof(secret));
	base64url_encode(encoded, secret, sizeof(secret));
	if ((size_t)snprintf(text, sizeof(text), "sk_%s_%s_%s", o->env,
	    o->entry.id, encoded) >= sizeof(text)) {
		(void)complain("%s", "env and id are too long together");
		goto done;
	}
	if (keyfile_pepper(o->path, 1, pepper) == -1)
		goto done;
	key_hash(pepper, slice_of(text), o->entry.hash);
	if (k->text.len > 0 && k->text.data[k->text.len - 1] != '\n')
		(void)buffer_add_char(&k->text, '\n');
	if (keyfile_format(&k->text, &o->entry) == -1 ||
	    keyfile_replace(k) == -1)
		goto done;
	printf("%s\n", text);
	rc = fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
done:
	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(encoded, sizeof(encoded));
	explicit_bzero(text, sizeof(text));
	explicit_bzero(pepper, sizeof(pepper));
	return rc;
}

static int
key_add(int argc, char **argv)
{
	static struct add_options o;
	struct keyfile k;
	int ch, rc;

	o.path = KEYFILE_DEFAULT;
	o.env = "live";
	while ((ch = getopt(argc, argv, "F:E:i:o:l:s:a:r:e:")) != -1)
		if ((rc = take_option(&o, ch, optarg)) != 0)
			return rc == -2 ? CTL_USAGE : CTL_FAILED;
	if (optind != argc || o.entry.owner[0] == '\0' ||
	    o.entry.nscopes == 0) {
		fprintf(stderr, "usage: pontifexctl key add [-F keyfile] "
		    "-o owner -s scope[,...] [-l label]\n       "
		    "[-r per-minute] [-e date] [-a name=value] [-i id] "
		    "[-E env]\n");
		return CTL_USAGE;
	}
	if (o.entry.label[0] == '\0')
		strlcpy(o.entry.label, o.entry.owner, sizeof(o.entry.label));
	if (keyfile_begin(&k, o.path, 1) == -1) {
		keyfile_end(&k);
		return CTL_FAILED;
	}
	if (o.entry.id[0] == '\0') {
		do
			random_id(o.entry.id);
		while (id_taken(&k, o.entry.id));
	}
	if (id_taken(&k, o.entry.id))
		rc = complain("id \"%s\" is taken", o.entry.id);
	else
		rc = key_make(&o, &k);
	keyfile_end(&k);
	return rc;
}

/* ---- list and revoke --------------------------------------------------- */

static void
print_key(const struct key_entry *e)
{
	time_t when = (time_t)e->expires;
	char date[32] = "never", rate[24] = "default";
	struct tm tm;
	uint32_t i;

	if (e->expires != 0 && gmtime_r(&when, &tm) != NULL)
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (e->rate != 0)
		(void)snprintf(rate, sizeof(rate), "%u/min", e->rate);
	printf("%-14s %-8s %-20s %-10s %-16s %-16s ", e->id,
	    e->revoked ? "revoked" : e->expires != 0 && when <= time(NULL) ?
	    "expired" : "active", date, rate, e->owner, e->label);
	for (i = 0; i < e->nscopes; i++)
		printf("%s%s", i > 0 ? "," : "", e->scope[i]);
	for (i = 0; i < e->nattributes; i++)
		printf(" %s=%s", e->attribute[i].name, e->attribute[i].value);
	putchar('\n');
}

static int
key_list(int argc, char **argv)
{
	static struct key_entry entry;
	const char *path = KEYFILE_DEFAULT, *error;
	struct slice line;
	struct keyfile k;
	size_t at = 0, number = 0;
	int ch, good, rc = CTL_OK;

	while ((ch = getopt(argc, argv, "F:")) != -1) {
		if (ch != 'F')
			return CTL_USAGE;
		path = optarg;
	}
	if (keyfile_begin(&k, path, 0) == -1) {
		keyfile_end(&k);
		return CTL_FAILED;
	}
	if (!k.exists) {
		keyfile_end(&k);
		return complain("%s: there is no such file", path);
	}
	printf("%-14s %-8s %-20s %-10s %-16s %-16s %s\n", "ID", "STATE",
	    "EXPIRES", "RATE", "OWNER", "LABEL", "SCOPES");
	while (next_line(&k, &at, &line, &entry, &good)) {
		number++;
		if (good) {
			print_key(&entry);
		} else if (!keyfile_is_comment(line)) {
			(void)keyfile_parse(line, &entry, &error);
			fprintf(stderr, "pontifexctl: %s:%zu: %s: it grants "
			    "nothing\n", path, number, error);
			rc = CTL_FAILED;
		}
	}
	keyfile_end(&k);
	return rc;
}

static int
key_revoke(int argc, char **argv)
{
	static struct key_entry entry;
	const char *path = KEYFILE_DEFAULT;
	struct buffer out;
	struct slice line;
	struct keyfile k;
	size_t at = 0, found = 0;
	int ch, good, rc = CTL_FAILED;

	while ((ch = getopt(argc, argv, "F:")) != -1) {
		if (ch != 'F')
			return CTL_USAGE;
		path = optarg;
	}
	if (optind + 1 != argc) {
		fprintf(stderr,
		    "usage: pontifexctl key revoke [-F keyfile] id\n");
		return CTL_USAGE;
	}
	buffer_init(&out, FILE_MAX + 65536);
	if (keyfile_begin(&k, path, 1) == -1)
		goto done;
	while (next_line(&k, &at, &line, &entry, &good)) {
		if (good && strcmp(entry.id, argv[optind]) == 0) {
			found++;
			entry.revoked = 1;
			(void)keyfile_format(&out, &entry);
		} else {
			(void)buffer_add_slice(&out, line);
			(void)buffer_add_char(&out, '\n');
		}
	}
	if (found == 0) {
		(void)complain("there is no key with id \"%s\"", argv[optind]);
		goto done;
	}
	if (out.bad)
		goto done;
	buffer_freezero(&k.text);
	k.text = out;
	buffer_init(&out, 0);
	if (keyfile_replace(&k) == 0)
		rc = CTL_OK;
done:
	keyfile_end(&k);
	buffer_free(&out);
	return rc;
}

int
ctl_key(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "add") == 0)
		return key_add(argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "list") == 0)
		return key_list(argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "revoke") == 0)
		return key_revoke(argc - 1, argv + 1);
	fprintf(stderr, "usage: pontifexctl key add | list | revoke\n");
	return CTL_USAGE;
}
