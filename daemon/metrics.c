/* SPDX-License-Identifier: ISC */

/*
 * `metrics on': the socket is bound and kept here, and served by the first
 * listener, for the parent reads nothing from a network.  The listener may
 * ask for the figures, once a second at most, and gets numbers and names of
 * the configuration; what it makes of them is shown to nobody here.
 */

#include <sys/socket.h>

#include <fcntl.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

#define BACKLOG		16	/* connections */
#define PAUSE_MS	900	/* between two answers: the listener counts, too */

static int listening = -1;
static uint64_t answered_ms;	/* 0: never */

int
metrics_bind(void)
{
	const struct metrics_conf *m = &parent.config->metrics;

	/* It is what the configuration says: that cannot change meanwhile. */
	if ((listening = successor_take("metrics", NULL)) != -1)
		return 0;
	if (m->path != NULL)
		listening = local_bind("metrics", m->path, BACKLOG);
	else if (m->address != NULL)
		listening = bind_tcp("metrics", m->address, m->port, 0);
	else
		return 0;
	return listening == -1 ? -1 : 0;
}

/*
 * A listener that was taken over may have shut it down, for all who have it.
 * By TCP it can listen again; a Unix socket cannot, and another takes its
 * place.
 */
static void
revive(void)
{
	const char *path = parent.config->metrics.path;

	if (path == NULL) {
		(void)listen(listening, BACKLOG);
	} else if (local_is_dead(path)) {
		close(listening);
		listening = local_bind("metrics", path, BACKLOG);
	}
}

void
metrics_hand(struct child_proc *c)
{
	uint8_t is_local = parent.config->metrics.path != NULL;
	int fd;

	if (listening == -1 || c->role != ROLE_LISTENER || c->index != 0 ||
	    c->control == NULL)
		return;
	revive();
	if ((fd = fcntl(listening, F_DUPFD_CLOEXEC, 0)) == -1 ||
	    channel_send_fd(c->control, MSG_LISTEN_METRICS, 0, &is_local,
	    sizeof(is_local), fd) == -1) {
		log_errno("metrics socket for %s", c->name);
		if (fd != -1)
			close(fd);
	}
	answered_ms = 0;
}

static void
answer(const struct stat_set *set, void *arg)
{
	struct child_proc *c = arg;
	struct buffer *b;

	if (set == NULL || c->control == NULL ||
	    (b = channel_begin(c->control, MSG_METRICS, 0)) == NULL)
		return;
	/* Who reads here has shown nothing. */
	figures_encode(b, set, 0);
	if (channel_commit(c->control) == -1)
		log_warn("metrics: more figures than fit into a message");
}

int
metrics_asked(struct child_proc *c, const struct frame *f)
{
	uint64_t now = now_ms();

	if (c->role != ROLE_LISTENER || c->index != 0 || f->length != 0 ||
	    listening == -1)
		return -1;
	/* It asks no more often; what it does not get, it does not show. */
	if (answered_ms != 0 && now - answered_ms < PAUSE_MS)
		return 0;
	answered_ms = now;
	figures_collect(answer, c);
	return 0;
}

void
metrics_inherit(struct buffer *b, inherit_fn inherit)
{
	if (listening != -1)
		inherit(b, "metrics", listening, "");
}

void
metrics_release(void)
{
	if (listening != -1)
		close(listening);
	listening = -1;
}

void
metrics_close(void)
{
	if (listening == -1)
		return;
	close(listening);
	if (parent.config->metrics.path != NULL && !successor_waits())
		(void)unlink(parent.config->metrics.path);
	listening = -1;
}
