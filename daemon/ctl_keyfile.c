/* SPDX-License-Identifier: ISC */

/*
 * The key file in pontifexctl's hands: locked against another pontifexctl,
 * read whole, replaced in one step: a new file beside the old one, then its
 * name, never half a file.  Comments and lines that are not understood stay.
 */

#include <sys/file.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>

#include "../common/compat.h"
#include "ctl_key.h"

static int
complain(const char *path, const char *why)
{
	fprintf(stderr, "pontifexctl: %s: %s\n", path, why);
	return -1;
}

static int
read_all(struct keyfile *k)
{
	unsigned char *to;
	ssize_t n = 0;
	int fd;

	buffer_init(&k->text, KEYFILE_SIZE_MAX + 65536);
	fd = open(k->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1 || fstat(fd, &k->st) == -1) {
		(void)complain(k->path, errno == ELOOP ? "is a symbolic link" :
		    strerror(errno));
		n = -1;
	} else if (!S_ISREG(k->st.st_mode)) {
		n = complain(k->path, "is not a file");
	} else {
		k->exists = 1;
		while ((to = buffer_reserve(&k->text, 65536)) != NULL &&
		    (n = read(fd, to, 65536)) > 0)
			k->text.len += (size_t)n;
		/* Half a file would be written back as the whole of it. */
		if (n == -1)
			(void)complain(k->path, strerror(errno));
		else if (k->text.bad)
			n = complain(k->path, "too large");
	}
	if (fd != -1)
		close(fd);
	return n == -1 ? -1 : 0;
}

/* To add to a key that was cut short would make it whole. */
static int
is_whole(const struct keyfile *k)
{
	const char *text = (const char *)k->text.data;
	struct slice last;

	if (k->text.len == 0 || text[k->text.len - 1] == '\n')
		return 1;
	last.ptr = text + k->text.len;
	last.len = 0;
	for (; last.ptr > text && last.ptr[-1] != '\n'; last.ptr--)
		last.len++;
	if (keyfile_is_comment(last))
		return 1;
	(void)complain(k->path, "its last line has no end, as if the file were "
	    "cut short: mend it by hand");
	return 0;
}

int
keyfile_begin(struct keyfile *k, const char *path, int write)
{
	char lock[PATH_MAX];

	memset(k, 0, sizeof(*k));
	k->path = path;
	k->lock = -1;
	if (write) {
		if ((size_t)snprintf(lock, sizeof(lock), "%s.lock", path) >=
		    sizeof(lock))
			return complain(path, "the path is too long");
		k->lock = open(lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		    0600);
		if (k->lock == -1 || flock(k->lock, LOCK_EX) == -1)
			return complain(lock, strerror(errno));
	}
	return read_all(k) == -1 || (write && !is_whole(k)) ? -1 : 0;
}

void
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

int
keyfile_replace(struct keyfile *k)
{
	char temp[PATH_MAX];
	int fd;

	if (k->text.bad || k->text.len > KEYFILE_SIZE_MAX) {
		fprintf(stderr, "pontifexctl: %s: would be larger than %u "
		    "bytes, which pontifexd would not read\n", k->path,
		    KEYFILE_SIZE_MAX);
		return -1;
	}
	if ((size_t)snprintf(temp, sizeof(temp), "%s.XXXXXXXXXX", k->path) >=
	    sizeof(temp))
		return complain(k->path, "the path is too long");
	if ((fd = mkstemp(temp)) == -1)
		return complain(temp, strerror(errno));
	if (fchmod(fd, 0600) == -1 || (k->exists && geteuid() == 0 &&
	    fchown(fd, k->st.st_uid, k->st.st_gid) == -1) ||
	    write_whole(fd, &k->text) == -1 || fsync(fd) == -1 ||
	    rename(temp, k->path) == -1) {
		(void)complain(k->path, strerror(errno));
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

int
keyfile_next(const struct keyfile *k, size_t *at, struct slice *line,
    struct key_entry *entry, int *good)
{
	const char *nl, *error, *text = (const char *)k->text.data;

	if (*at >= k->text.len)
		return 0;
	line->ptr = text + *at;
	nl = memchr(line->ptr, '\n', k->text.len - *at);
	line->len = nl == NULL ? k->text.len - *at : (size_t)(nl - line->ptr);
	*at += line->len + (nl != NULL);
	*good = nl != NULL && !keyfile_is_comment(*line) &&
	    keyfile_parse(*line, entry, &error) == 0;
	return 1;
}

int
keyfile_has_id(const struct keyfile *k, const char *id)
{
	static struct key_entry entry;
	struct slice line;
	size_t at = 0, len = strlen(id);
	int good;

	while (keyfile_next(k, &at, &line, &entry, &good))
		if (line.len > len && line.ptr[len] == ':' &&
		    memcmp(line.ptr, id, len) == 0)
			return 1;
	return 0;
}

void
keyfile_append(struct keyfile *k, const struct key_entry *e)
{
	if (k->text.len > 0 && k->text.data[k->text.len - 1] != '\n')
		(void)buffer_add_char(&k->text, '\n');
	(void)keyfile_format(&k->text, e);
}

int
keyfile_change(struct keyfile *k, const struct key_entry *now)
{
	static struct key_entry entry;
	struct buffer out;
	struct slice line;
	size_t at = 0;
	int good, found = 0;

	buffer_init(&out, KEYFILE_SIZE_MAX + 65536);
	while (keyfile_next(k, &at, &line, &entry, &good)) {
		if (good && strcmp(entry.id, now->id) == 0) {
			found++;
			(void)keyfile_format(&out, now);
		} else {
			(void)buffer_add_slice(&out, line);
			(void)buffer_add_char(&out, '\n');
		}
	}
	buffer_freezero(&k->text);
	k->text = out;
	return found;
}

int
keyfile_find(struct keyfile *k, const char *id, struct key_entry *out)
{
	static struct key_entry entry;
	struct slice line;
	size_t at = 0;
	int good, found = 0;

	while (keyfile_next(k, &at, &line, &entry, &good))
		if (good && strcmp(entry.id, id) == 0) {
			*out = entry;
			found++;
		}
	if (found == 1)
		return 0;
	if (!k->exists)
		return complain(k->path, "there is no such file");
	fprintf(stderr, found == 0 ? "pontifexctl: there is no key with id "
	    "\"%s\"\n" : "pontifexctl: id \"%s\" stands more than once: it "
	    "grants nothing; mend the file by hand\n", id);
	return -1;
}
