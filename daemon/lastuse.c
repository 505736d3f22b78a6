/* SPDX-License-Identifier: ISC */

/*
 * When keys were used last: collected from authd, which is not trusted (its
 * message is bounded and sorted, or it is malformed), and written beside the
 * key file, or in the state folder where it may not be written there;
 * atomically, at most once in WRITE_MS and at the end.  Nodes that share the
 * folder each add to what stands there.
 */

#include <errno.h>
#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/lastuse.h"
#include "../common/log.h"
#include "parent.h"

#define WRITE_MS	2000	/* several messages make one file */

static struct lastuse_list pending;	/* what is not in the file yet */
static struct event *write_timer;

/* No fsync: what a crash of the machine takes, the next use brings back. */
static int
write_file(const char *path, const struct buffer *b)
{
	char temp[PATH_LEN_MAX + 32];
	int fd, rc;

	if ((size_t)snprintf(temp, sizeof(temp), "%s.XXXXXXXXXX", path) >=
	    sizeof(temp)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((fd = mkstemp(temp)) == -1)
		return -1;
	/* mkstemp(3) made it 0600. */
	rc = write(fd, b->data, b->len) !=
	    (ssize_t)b->len || rename(temp, path) == -1 ? -1 : 0;
	close(fd);
	if (rc == -1)
		(void)unlink(temp);
	return rc;
}

/* In the first place that takes it; -1 with errno of the first. */
static int
write_somewhere(const char *keyfile, const struct buffer *b)
{
	char path[PATH_LEN_MAX + 8];
	int place, why = ENAMETOOLONG;

	for (place = 0; place < LASTUSE_PLACES; place++) {
		if (lastuse_path(keyfile, place, path, sizeof(path)) == -1)
			continue;
		if (write_file(path, b) == 0)
			return 0;
		if (place == 0)
			why = errno;
	}
	errno = why;
	return -1;
}

void
lastuse_flush(void)
{
	const char *keyfile = parent.config->auth.keys;
	static int said;
	struct lastuse_list all;
	struct buffer b;

	if (keyfile == NULL || pending.n == 0 ||
	    lastuse_read(keyfile, &all) == -1)
		return;
	buffer_init(&b, LASTUSE_SIZE_MAX);
	/* Where there is no room for all, those in use now come first. */
	if (lastuse_merge(&pending, &all) == 0 &&
	    lastuse_format(&b, &pending, (int64_t)(wall_us() / 1000000)) == 0) {
		if (write_somewhere(keyfile, &b) == 0) {
			lastuse_free(&pending);
			said = 0;
		} else if (!said) {
			log_errno("%s.used: when keys were used last is not "
			    "kept", keyfile);
			said = 1;
		}
	}
	buffer_free(&b);
	lastuse_free(&all);
}

static void
write_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	lastuse_flush();
}

/* Those of the message; a time to come is taken as now. */
static int
collect(const struct msg_keys_used *m, struct lastuse_list *out)
{
	uint64_t now = wall_us() / 1000000;
	struct lastuse *u;
	uint32_t i;
	size_t at;

	out->n = 0;
	out->key = reallocarray(NULL, m->keys, sizeof(*out->key));
	if (out->key == NULL)
		return -1;
	for (i = 0; i < m->keys; i++) {
		u = &out->key[i];
		memset(u, 0, sizeof(*u));
		for (at = 0; at < m->key[i].id.len; at++) {
			u->id[at] = m->key[i].id.ptr[at];
			if (!((u->id[at] >= 'a' && u->id[at] <= 'z') ||
			    (u->id[at] >= '0' && u->id[at] <= '9')))
				return -1;
		}
		u->when = (int64_t)(m->key[i].when > now ? now :
		    m->key[i].when);
	}
	out->n = m->keys;
	return 0;
}

int
lastuse_told(const struct frame *f)
{
	static const struct timeval tv = {
		WRITE_MS / 1000, WRITE_MS % 1000 * 1000
	};
	static struct msg_keys_used m;
	struct lastuse_list told;
	int rc;

	if (get_keys_used(f, &m) == -1 || m.keys == 0)
		return -1;
	if ((rc = collect(&m, &told)) == 0 &&
	    lastuse_merge(&pending, &told) == -1)
		log_warn("when keys were used last: out of memory");
	lastuse_free(&told);
	if (write_timer == NULL)
		write_timer = evtimer_new(parent.base, write_due, NULL);
	if (write_timer != NULL && !evtimer_pending(write_timer, NULL))
		evtimer_add(write_timer, &tv);
	return rc;
}
