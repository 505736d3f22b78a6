/* SPDX-License-Identifier: ISC */

/*
 * The socket of pontifexctl: small fixed messages, one answer each, from
 * root or the daemon's own user only.  What a client sends is length-checked
 * by the framing: a word, a flag, or a token that is passed on unread.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

#define CLIENTS_MAX	8

static struct channel *clients[CLIENTS_MAX];
static uid_t uids[CLIENTS_MAX];	/* theirs, as the kernel says */
static struct event *accepting;
static int listening = -1;

static size_t
client_slot(const struct channel *ch)
{
	size_t i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (clients[i] == ch)
			break;
	return i;
}

static void
reply(struct channel *ch, int status, const char *text, size_t len)
{
	struct buffer *b;

	if ((b = channel_begin(ch, MSG_CTL_REPLY, 0)) == NULL)
		return;
	put_u8(b, (uint8_t)status);
	put_fixed(b, text, len);
	(void)channel_commit(ch);
}

static void
status_done(const char *text, size_t len, void *arg)
{
	struct channel *ch = arg;

	/* It may have gone while the children were asked. */
	if (ch != NULL && client_slot(ch) < CLIENTS_MAX)
		reply(ch, 0, text, len);
}

static uid_t
client_uid(const struct channel *ch)
{
	size_t slot = client_slot(ch);

	return slot < CLIENTS_MAX ? uids[slot] : (uid_t)-1;
}

static void
reload_done(int failed, const char *text, size_t len, void *arg)
{
	reply(arg, failed ? CTL_REPLY_FAILED : CTL_REPLY_OK, text, len);
}

static void
do_reload(struct channel *ch)
{
	char by[32];

	(void)snprintf(by, sizeof(by), "\"uid\":%u",
	    (unsigned int)client_uid(ch));
	reload_ask(by, reload_done, ch);
}

/* What a reload would change; loads the file and changes nothing. */
static void
do_diff(struct channel *ch, int json)
{
	struct config *c;
	struct buffer b;
	int differs;

	buffer_init(&b, FRAME_PAYLOAD_MAX - 1);
	config_errors_to(&b);
	c = config_load(parent.config->path);
	config_errors_to(NULL);
	if (c == NULL) {
		reply(ch, CTL_REPLY_FAILED, (const char *)b.data, b.len);
	} else {
		buffer_clear(&b);
		differs = diff_tell(&b, parent.config, c, json);
		if (b.bad)
			reply(ch, CTL_REPLY_FAILED, "too much differs to tell\n",
			    25);
		else
			reply(ch, differs ? CTL_REPLY_DIFFERS : CTL_REPLY_OK,
			    (const char *)b.data, b.len);
	}
	config_free(c);
	buffer_free(&b);
}

static void
explain_done(const char *text, size_t len, void *arg)
{
	static const char busy[] = "authd does not answer\n";
	struct channel *ch = arg;

	if (ch == NULL || client_slot(ch) == CLIENTS_MAX)
		return;
	if (text == NULL)
		reply(ch, 1, busy, sizeof(busy) - 1);
	else
		reply(ch, 0, text, len);
}

static int
on_client_frame(struct channel *ch, const struct frame *f, void *arg)
{
	int flag;

	(void)arg;
	switch (f->type) {
	case MSG_CTL_STATUS:
		if (f->length != 0)
			return -1;
		status_ask(status_done, ch);
		return 0;
	case MSG_CTL_EXPLAIN:
		if (f->length > CREDENTIAL_MAX)
			return -1;
		explain_ask(f->payload, f->length, explain_done, ch);
		return 0;
	case MSG_CTL_RELOAD:
		if (f->length != 0)
			return -1;
		do_reload(ch);
		return 0;
	case MSG_CTL_DIFF:
		if (get_flag(f, &flag) == -1)
			return -1;
		do_diff(ch, flag);
		return 0;
	case MSG_CTL_VERBOSE:
		if (get_flag(f, &flag) == -1)
			return -1;
		event_tell("log_level", "{\"verbose\":%s,\"uid\":%u}",
		    flag ? "true" : "false", (unsigned int)client_uid(ch));
		supervise_verbose(flag);
		reply(ch, 0, "ok\n", 3);
		return 0;
	default:
		return -1;
	}
}

static void
on_client_closed(struct channel *ch, void *arg)
{
	size_t slot = client_slot(ch);

	(void)arg;
	if (slot < CLIENTS_MAX)
		clients[slot] = NULL;
	status_forget(ch);
	explain_forget(ch);
	reload_forget(ch);
}

static void
on_accept(evutil_socket_t sock, short what, void *arg)
{
	static const struct channel_ops ops = {
		.frame = on_client_frame, .closed = on_client_closed
	};
	size_t slot;
	uid_t uid;
	int fd;

	(void)what;
	(void)arg;
	if ((fd = accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) ==
	    -1)
		return;
	if (peer_user(fd, &uid) == -1 || (uid != 0 && uid != geteuid())) {
		log_warn("control socket: refused: a user that is neither "
		    "root nor the daemon's own");
		close(fd);
		return;
	}
	if ((slot = client_slot(NULL)) == CLIENTS_MAX || (clients[slot] =
	    channel_new(parent.base, fd, "pontifexctl", 0, &ops, NULL)) ==
	    NULL) {
		log_warn("control socket: refused: too many clients");
		close(fd);
		return;
	}
	uids[slot] = uid;
	/* A token may pass here. */
	channel_secret(clients[slot]);
}

/* A socket file that nobody listens on is a leftover; a live one is not. */
static int
clear_leftover(const struct sockaddr_un *sun)
{
	struct stat st;
	int fd, rc;

	if (lstat(sun->sun_path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	close(fd);
	if (rc == 0) {
		errno = EADDRINUSE;
		return -1;
	}
	return unlink(sun->sun_path);
}

/*
 * Made as root's, for the group of the listener's user: by being of that group
 * for the moment, since a service manager may keep chown(2) from us.
 */
static int
bind_for_group(const struct sockaddr_un *sun)
{
	gid_t gid = getegid();
	mode_t mask;
	int rc;

	if (parent.drop && setegid(parent.gid[ROLE_LISTENER]) == -1)
		return -1;
	mask = umask(0117);
	rc = bind(listening, (const struct sockaddr *)sun, sizeof(*sun));
	umask(mask);
	if (parent.drop && setegid(gid) == -1)
		fatal_errno("cannot be of our own group again");
	return rc;
}

int
control_open(void)
{
	const char *path = parent.config->control;
	struct sockaddr_un sun;
	char dir[PATH_LEN_MAX];

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path) ||
	    strlcpy(dir, path, sizeof(dir)) >= sizeof(dir)) {
		log_warn("control socket %s: path is longer than %zu bytes",
		    path, sizeof(sun.sun_path) - 1);
		return -1;
	}
	if (mkdir(dirname(dir), 0755) == -1 && errno != EEXIST) {
		log_errno("control socket %s: folder", path);
		return -1;
	}
	if (clear_leftover(&sun) == -1) {
		log_errno("control socket %s", path);
		return -1;
	}
	listening = socket(AF_UNIX,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listening == -1) {
		log_errno("control socket");
		return -1;
	}
	if (bind_for_group(&sun) == -1 || listen(listening, CLIENTS_MAX) == -1 ||
	    (accepting = event_new(parent.base, listening,
	    EV_READ | EV_PERSIST, on_accept, NULL)) == NULL ||
	    event_add(accepting, NULL) == -1) {
		log_errno("control socket %s", path);
		return -1;
	}
	return 0;
}

void
control_close(void)
{
	if (listening == -1)
		return;
	(void)unlink(parent.config->control);
	event_free(accepting);
	close(listening);
	listening = -1;
}
