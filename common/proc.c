/* SPDX-License-Identifier: ISC */

/*
 * The life of a child, as proc.h fixes it.  Until MSG_CONFIG_END it reads
 * from the parent alone, blocking; after that it is in its sandbox and in
 * its loop.  The parent's end closing is the order to die.
 */

#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include <event2/event.h>

#include "compat.h"
#include "crypt.h"
#include "log.h"
#include "message.h"
#include "proc.h"
#include "version.h"

#define CREDENTIALS_MS	1000	/* between questions for another secret */

struct child child;

static const struct child_ops *ops_;
static int shutting_down;
/* Which start of a peer we were wired to last. */
static uint32_t wired[ROLE_MAX][HANDLERS_MAX];

const char *
role_name(enum role role)
{
	static const char *const names[ROLE_MAX] = {
		[ROLE_PARENT] = "parent", [ROLE_LISTENER] = "listener",
		[ROLE_AUTHD] = "authd", [ROLE_HANDLER] = "handler",
		[ROLE_AUDITD] = "auditd", [ROLE_FETCHER] = "fetcher",
	};

	return (unsigned int)role < ROLE_MAX ? names[role] : "unknown";
}

static uint64_t
clock_us(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) == -1)
		fatal_errno("clock_gettime");
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
now_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

uint64_t
now_ms(void)
{
	return now_us() / 1000;
}

uint64_t
wall_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

/* Gives up root for good; every step is checked, none is optional. */
static void
drop_privileges(const struct msg_start *start)
{
	char dir[PATH_LEN_MAX + 1];
	gid_t gid = start->gid;
	uid_t uid = start->uid;

	if (!start->drop)
		return;
	if (start->chroot_dir.len > 0) {
		memcpy(dir, start->chroot_dir.ptr, start->chroot_dir.len);
		dir[start->chroot_dir.len] = '\0';
		if (chroot(dir) == -1)
			fatal_errno("chroot to %s", dir);
	}
	if (chdir("/") == -1)
		fatal_errno("chdir to /");
	if (uid == 0 || gid == 0)
		fatal("told to run as root");
	if (setgroups(1, &gid) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		fatal_errno("cannot become user %u", (unsigned int)uid);
	if (setresuid((uid_t)-1, 0, (uid_t)-1) != -1)
		fatal("root could be taken back");
}

static void
take_orders(enum role role)
{
	struct msg_start start;
	struct buffer payload;
	struct frame f;
	int rc;

	buffer_init(&payload, FRAME_PAYLOAD_MAX);
	payload.wipe = 1;
	if (frame_receive(CONTROL_FD, &f, &payload) != 1 ||
	    f.type != MSG_START || get_start(&f, &start) == -1 ||
	    start.role != role)
		fatal("%s is started by pontifexd, not by hand",
		    role_name(role));
	child.role = role;
	child.index = start.index;
	child.instance = start.instance;
	child.boot_id = start.boot_id;
	log_init(role_name(role), start.foreground, start.verbose);
	/* The executables were replaced: what we would say is another language. */
	if (!slice_is(start.version, program_version))
		fatal("is of version %s, the daemon of %.*s: upgrade or restart it",
		    program_version, (int)start.version.len, start.version.ptr);
	die_with_parent();
	crypt_init();
	drop_privileges(&start);
	/* Setting a user id clears it. */
	die_with_parent();
	while ((rc = frame_receive(CONTROL_FD, &f, &payload)) == 1 &&
	    f.type != MSG_CONFIG_END)
		if ((f.fd != -1 && f.type != MSG_CONF_GENERATIONS) ||
		    ops_->configure(&f) == -1)
			fatal("configuration refused: %s",
			    message_name(f.type));
	if (rc != 1)
		exit(0);	/* the parent went away: nothing to say */
	buffer_freezero(&payload);
}

void
child_peer_gone(const struct channel *ch, enum role role, uint32_t index)
{
	struct msg_peer m = { (uint8_t)role, index, 0, 0 };
	struct buffer *b;

	if (role < ROLE_MAX && index < HANDLERS_MAX)
		m.instance = wired[role][index];
	if (channel_was_cut(ch) || child.control == NULL || shutting_down ||
	    (b = channel_begin(child.control, MSG_PEER, 0)) == NULL)
		return;
	put_peer(b, &m);
	(void)channel_commit(child.control);
}

void
child_ask_credentials(uint32_t number, uint64_t *asked_ms)
{
	uint64_t now = now_ms();

	if (child.control == NULL ||
	    (*asked_ms != 0 && now - *asked_ms < CREDENTIALS_MS))
		return;
	*asked_ms = now;
	(void)channel_send(child.control, MSG_CREDENTIALS, 0, &number,
	    sizeof(number));
}

/* The parent asks; or, at the end, what it would have been told next. */
static void
send_stats(uint64_t id)
{
	struct buffer *b;

	if (child.control == NULL ||
	    (b = channel_begin(child.control, MSG_STATS, id)) == NULL)
		return;
	if (ops_->stats != NULL)
		ops_->stats(b);
	(void)channel_commit(child.control);
}

static void
begin_shutdown(void)
{
	if (shutting_down)
		return;
	shutting_down = 1;
	if (ops_->shutdown != NULL)
		ops_->shutdown();
	else
		child.stop = 1;
}

static int
on_control(struct channel *ch, const struct frame *f, void *arg)
{
	struct msg_peer peer;
	int flag;

	(void)ch;
	(void)arg;
	switch (f->type) {
	case MSG_PEER:
		if (f->fd == -1 || get_peer(f, &peer) == -1 ||
		    peer.role >= ROLE_MAX || ops_->peer == NULL) {
			if (f->fd != -1)
				close(f->fd);
			return -1;
		}
		if (peer.index < HANDLERS_MAX)
			wired[peer.role][peer.index] = peer.instance;
		ops_->peer(&peer, f->fd);
		return 0;
	case MSG_VERBOSE:
		if (get_flag(f, &flag) == -1)
			return -1;
		log_verbose(flag);
		return 0;
	case MSG_SHUTDOWN:
		begin_shutdown();
		return 0;
	case MSG_STATS_ASK:
		send_stats(f->id);
		return 0;
	default:
		return ops_->control == NULL ? -1 : ops_->control(f);
	}
}

static void
on_control_closed(struct channel *ch, void *arg)
{
	(void)ch;
	(void)arg;
	/* No parent, no service: nothing may stay behind. */
	_exit(0);
}

static void
on_turn(void *arg)
{
	(void)arg;
	if (ops_->turn != NULL)
		ops_->turn();
}

static struct event_base *
make_base(void)
{
	struct event_config *config;
	struct event_base *base = NULL;

	if ((config = event_config_new()) != NULL) {
		(void)event_config_set_flag(config,
		    EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (base == NULL || event_base_priority_init(base, 2) == -1)
		fatal("cannot make an event loop");
	return base;
}

int
child_main(enum role role, const struct child_ops *ops)
{
	static const struct channel_ops control = {
		.frame = on_control, .closed = on_control_closed
	};

	ops_ = ops;
	log_init(role_name(role), 1, 0);
	if (fcntl(CONTROL_FD, F_GETFD) == -1) {
		fprintf(stderr, "%s is started by pontifexd, not by hand\n",
		    role_name(role));
		return 1;
	}
	(void)fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
	(void)signal(SIGPIPE, SIG_IGN);
	/* ^C goes to the whole group; the parent decides who ends when. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	take_orders(role);
	child.base = make_base();
	if (ops->prepare != NULL && ops->prepare() == -1)
		fatal("cannot start");
	if (ops->confine() == -1)
		fatal("cannot enter the sandbox");
	child.control = channel_new(child.base, CONTROL_FD, "parent", 1,
	    &control, NULL);
	if (child.control == NULL)
		fatal_errno("control channel");
	channel_urgent(child.control);
	channel_secret(child.control);
	(void)channel_send(child.control, MSG_READY, 0, NULL, 0);
	channels_flush();
	loop_run(child.base, &child.stop, on_turn, NULL);
	/* One that fails has not been told to end, and not been asked. */
	if (child.exit_code == 0)
		send_stats(0);
	channels_flush();
	return child.exit_code;
}
