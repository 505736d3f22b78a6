/* SPDX-License-Identifier: ISC */

/*
 * The file of last uses; see lastuse.h.  Bounded in bytes and lines; a line
 * that is not exactly right, or out of order, is passed over.
 */

#include <sys/stat.h>

#include <fcntl.h>
#include <stdio.h>

#include "compat.h"
#include "lastuse.h"

void
lastuse_free(struct lastuse_list *l)
{
	free(l->key);
	l->key = NULL;
	l->n = 0;
}

static int
parse_line(struct slice line, struct lastuse *u)
{
	char date[KEY_DATE_LEN + 1];
	size_t len, i;

	if (line.len < KEY_DATE_LEN + 2)
		return -1;
	len = line.len - KEY_DATE_LEN - 1;
	if (len > KEY_ID_MAX || line.ptr[len] != ' ')
		return -1;
	for (i = 0; i < len; i++)
		if (!((line.ptr[i] >= 'a' && line.ptr[i] <= 'z') ||
		    (line.ptr[i] >= '0' && line.ptr[i] <= '9')))
			return -1;
	memset(u, 0, sizeof(*u));
	memcpy(u->id, line.ptr, len);
	memcpy(date, line.ptr + len + 1, KEY_DATE_LEN);
	date[KEY_DATE_LEN] = '\0';
	return (u->when = key_date(date)) <= 0 ? -1 : 0;
}

int
lastuse_parse(struct slice text, struct lastuse_list *l)
{
	struct slice line;
	struct lastuse u;
	const char *nl;
	size_t cap = 0;
	void *grown;

	l->key = NULL;
	l->n = 0;
	while (text.len > 0 && l->n < KEYS_MAX) {
		nl = memchr(text.ptr, '\n', text.len);
		line.ptr = text.ptr;
		line.len = nl == NULL ? text.len : (size_t)(nl - text.ptr);
		text.ptr += line.len + (nl != NULL);
		text.len -= line.len + (nl != NULL);
		if (parse_line(line, &u) == -1 || (l->n > 0 &&
		    strcmp(l->key[l->n - 1].id, u.id) >= 0))
			continue;
		if (l->n == cap) {
			cap = cap == 0 ? 64 : cap * 2;
			if ((grown = reallocarray(l->key, cap,
			    sizeof(*l->key))) == NULL) {
				lastuse_free(l);
				return -1;
			}
			l->key = grown;
		}
		l->key[l->n++] = u;
	}
	return 0;
}

int
lastuse_merge(struct lastuse_list *a, const struct lastuse_list *b)
{
	size_t i = 0, j = 0, n = 0, max = a->n + b->n, left;
	struct lastuse *key;
	int rc;

	if (b->n == 0)
		return 0;
	if ((key = reallocarray(NULL, max, sizeof(*key))) == NULL)
		return -1;
	/* How many of b's own there is room for. */
	left = a->n < KEYS_MAX ? KEYS_MAX - a->n : 0;
	while (i < a->n || j < b->n) {
		rc = i == a->n ? 1 : j == b->n ? -1 :
		    strcmp(a->key[i].id, b->key[j].id);
		if (rc <= 0) {
			key[n] = a->key[i++];
			if (rc == 0 && b->key[j].when > key[n].when)
				key[n].when = b->key[j].when;
			n++;
		} else if (left > 0) {
			key[n++] = b->key[j];
			left--;
		}
		j += rc >= 0;
	}
	free(a->key);
	a->key = key;
	a->n = n;
	return 0;
}

int
lastuse_format(struct buffer *b, const struct lastuse_list *l, int64_t now)
{
	char date[KEY_DATE_LEN + 1];
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (l->key[i].when + LASTUSE_FORGET_S < now)
			continue;
		key_date_text(l->key[i].when, date);
		(void)buffer_printf(b, "%s %s\n", l->key[i].id, date);
	}
	return b->bad ? -1 : 0;
}

int
lastuse_path(const char *keyfile, int place, char *out, size_t size)
{
	const char *slash = strrchr(keyfile, '/');
	int n;

	if (place == 0)
		n = snprintf(out, size, "%s.used", keyfile);
	else
		n = snprintf(out, size, "%s/%s.used", LASTUSE_STATE,
		    slash == NULL ? keyfile : slash + 1);
	return n < 0 || (size_t)n >= size ? -1 : 0;
}

static int
read_file(const char *path, struct lastuse_list *l)
{
	struct buffer b;
	unsigned char *to;
	struct stat st;
	ssize_t n;
	int fd, rc;

	l->key = NULL;
	l->n = 0;
	if ((fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC |
	    O_NONBLOCK)) == -1)
		return 0;
	buffer_init(&b, LASTUSE_SIZE_MAX + 65536);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		while (b.len < LASTUSE_SIZE_MAX &&
		    (to = buffer_reserve(&b, 65536)) != NULL &&
		    (n = read(fd, to, 65536)) > 0)
			b.len += (size_t)n;
	close(fd);
	rc = lastuse_parse((struct slice){ (const char *)b.data, b.len }, l);
	buffer_free(&b);
	return rc;
}

int
lastuse_read(const char *keyfile, struct lastuse_list *l)
{
	char path[PATH_LEN_MAX + 8];
	struct lastuse_list one;
	int place, rc = 0;

	l->key = NULL;
	l->n = 0;
	for (place = 0; place < LASTUSE_PLACES && rc == 0; place++) {
		if (lastuse_path(keyfile, place, path, sizeof(path)) == -1)
			continue;
		if ((rc = read_file(path, &one)) == 0)
			rc = lastuse_merge(l, &one);
		lastuse_free(&one);
	}
	if (rc == -1)
		lastuse_free(l);
	return rc;
}

int64_t
lastuse_of(const struct lastuse_list *l, const char *id)
{
	size_t from = 0, to = l->n, at;
	int rc;

	while (from < to) {
		at = from + (to - from) / 2;
		if ((rc = strcmp(l->key[at].id, id)) == 0)
			return l->key[at].when;
		if (rc < 0)
			from = at + 1;
		else
			to = at;
	}
	return 0;
}
