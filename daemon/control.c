/* SPDX-License-Identifier: ISC */

/*
 * The socket of pontifexctl: small fixed messages, one answer each.  Who may
 * connect is said by the file (root, the daemon's own user, the daemon's
 * group), who may ask what by the table below: the group may look, and no
 * more.  What changes something is recorded with the peer's uid, as the kernel
 * tells it, refused or not, and so is what somebody may not ask: that is
 * folded where it comes often, so that nobody fills trail and log by it, or
 * takes the place of what did happen.
 *
 * What a client sends is length-checked by the framing: a word, a flag, or a
 * token that is passed on unread.  Nobody may hold a place without asking:
 * one that is silent, or does not read, is cut off.
 */

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

#define CLIENTS_MAX	32
#define OTHERS_MAX	24	/* of them who are not root: root finds a place */
#define IDLE_MS		5000	/* from its connection to its question, and
				 * from its answer to the next or its end */
#define UNREAD_MAX	(64 * 1024)	/* bytes of answers, and one more answer */
#define SAY_MS		1000	/* between two lines about refused clients */
#define REFUSED_TOLD	16	/* questions that are told one by one … */
#define REFUSED_MS	10000	/* … of so long; the rest is a number */

struct client {
	struct channel	*channel;	/* NULL: the place is free */
	uid_t		 uid;		/* as the kernel says */
	int		 trusted;	/* root, or the daemon's own user */
	struct event	*idle;
};

static struct client clients[CLIENTS_MAX];
static struct event *accepting;
static int listening = -1;

static void	ask_words(struct client *, const struct frame *);
static void	ask_figures(struct client *, const struct frame *);
static void	ask_explain(struct client *, const struct frame *);
static void	do_reload(struct client *, const struct frame *);
static void	do_upgrade(struct client *, const struct frame *);
static void	do_diff(struct client *, const struct frame *);
static void	do_verbose(struct client *, const struct frame *);

/*
 * Every question there is.  group: others than root and the daemon's user
 * may ask it.  records: it changes something, and tells the trail who asked.
 */
static const struct command {
	uint16_t	 type;
	size_t		 min, max;	/* bytes of payload */
	int		 group;
	int		 records;
	void		(*run)(struct client *, const struct frame *);
} commands[] = {
	{ MSG_CTL_STATUS, 0, 0, 1, 0, ask_words },
	{ MSG_CTL_FIGURES, 0, 0, 1, 0, ask_figures },
	{ MSG_CTL_RELOAD, 0, 0, 0, 1, do_reload },	/* by reload.c */
	{ MSG_CTL_UPGRADE, 0, 0, 0, 1, do_upgrade },	/* by upgrade.c */
	{ MSG_CTL_DIFF, 1, 1, 0, 0, do_diff },
	{ MSG_CTL_VERBOSE, 1, 1, 0, 1, do_verbose },
	{ MSG_CTL_EXPLAIN, 0, CREDENTIAL_MAX, 0, 0, ask_explain },
};

static struct client *
client_of(const struct channel *ch)
{
	size_t i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (clients[i].channel == ch)
			return &clients[i];
	return NULL;
}

static void
forget(struct client *cl)
{
	cl->channel = NULL;
	(void)evtimer_del(cl->idle);
	status_forget(cl);
	explain_forget(cl);
	figures_forget(cl);
	reload_forget(cl);
	upgrade_forget(cl);
}

/* The patience with it begins anew. */
static void
wait_for(struct client *cl)
{
	static const struct timeval tv = {
		IDLE_MS / 1000, IDLE_MS % 1000 * 1000
	};

	(void)evtimer_add(cl->idle, &tv);
}

/* The next question is read when there is room for its answer. */
static void
answered(struct client *cl)
{
	if (!channel_full(cl->channel))
		channel_resume(cl->channel);
	wait_for(cl);
}

static void
on_client_drained(struct channel *ch, void *arg)
{
	struct client *cl = client_of(ch);

	(void)arg;
	/* One whose question is open is answered first. */
	if (cl != NULL && evtimer_pending(cl->idle, NULL))
		answered(cl);
}

static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct client *cl = arg;
	struct channel *ch = cl->channel;

	(void)fd;
	(void)what;
	forget(cl);
	if (ch != NULL)
		channel_close(ch);
}

static void
reply(struct client *cl, int status, const char *text, size_t len)
{
	struct buffer *b;

	if ((b = channel_begin(cl->channel, MSG_CTL_REPLY, 0)) == NULL)
		return;
	put_u8(b, (uint8_t)status);
	put_fixed(b, text, len);
	(void)channel_commit(cl->channel);
	answered(cl);
}

static void
reply_text(struct client *cl, int status, const char *text)
{
	reply(cl, status, text, strlen(text));
}

/* ---- what may be asked ------------------------------------------------- */

static void
words_done(const char *text, size_t len, void *arg)
{
	reply(arg, CTL_REPLY_OK, text, len);
}

static void
ask_words(struct client *cl, const struct frame *f)
{
	(void)f;
	status_ask(words_done, cl);
}

static void
figures_ready(const struct stat_set *set, void *arg)
{
	struct client *cl = arg;
	struct buffer *b;

	if (set == NULL) {
		reply_text(cl, CTL_REPLY_FAILED, "no figures: out of memory\n");
		return;
	}
	if ((b = channel_begin(cl->channel, MSG_FIGURES, 0)) == NULL)
		return;
	figures_encode(b, set, cl->trusted);
	if (channel_commit(cl->channel) == -1)
		reply_text(cl, CTL_REPLY_FAILED, "more figures than fit into an answer\n");
	answered(cl);
}

static void
ask_figures(struct client *cl, const struct frame *f)
{
	(void)f;
	figures_collect(figures_ready, cl);
}

static void
reload_done(int failed, const char *text, size_t len, void *arg)
{
	reply(arg, failed ? CTL_REPLY_FAILED : CTL_REPLY_OK, text, len);
}

static void
do_reload(struct client *cl, const struct frame *f)
{
	char by[32];

	(void)f;
	(void)snprintf(by, sizeof(by), "\"uid\":%u", (unsigned int)cl->uid);
	reload_ask(by, reload_done, cl);
}

static void
do_upgrade(struct client *cl, const struct frame *f)
{
	char by[32];

	(void)f;
	(void)snprintf(by, sizeof(by), "\"uid\":%u", (unsigned int)cl->uid);
	upgrade_ask(by, reload_done, cl);
}

/* What a reload would change; loads the file and changes nothing. */
static void
do_diff(struct client *cl, const struct frame *f)
{
	struct config *c;
	struct buffer b;
	int differs, json;

	if (get_flag(f, &json) == -1) {
		reply_text(cl, CTL_REPLY_FAILED, "malformed\n");
		return;
	}
	buffer_init(&b, FRAME_PAYLOAD_MAX - 1);
	config_errors_to(&b);
	c = config_load(parent.config->path);
	config_errors_to(NULL);
	if (c == NULL) {
		reply(cl, CTL_REPLY_FAILED, (const char *)b.data, b.len);
	} else {
		buffer_clear(&b);
		differs = diff_tell(&b, parent.config, c, json);
		if (b.bad)
			reply_text(cl, CTL_REPLY_FAILED,
			    "too much differs to tell\n");
		else
			reply(cl, differs ? CTL_REPLY_DIFFERS : CTL_REPLY_OK,
			    (const char *)b.data, b.len);
	}
	config_free(c);
	buffer_free(&b);
}

static void
do_verbose(struct client *cl, const struct frame *f)
{
	int flag;

	if (get_flag(f, &flag) == -1) {
		reply_text(cl, CTL_REPLY_FAILED, "malformed\n");
		return;
	}
	event_tell("log_level", "{\"verbose\":%s,\"uid\":%u}",
	    flag ? "true" : "false", (unsigned int)cl->uid);
	supervise_verbose(flag);
	reply_text(cl, CTL_REPLY_OK, "ok\n");
}

static void
explain_done(const char *text, size_t len, void *arg)
{
	if (arg == NULL)
		return;
	if (text == NULL)
		reply_text(arg, CTL_REPLY_FAILED, "authd does not answer\n");
	else
		reply(arg, CTL_REPLY_OK, text, len);
}

static void
ask_explain(struct client *cl, const struct frame *f)
{
	explain_ask(f->payload, f->length, explain_done, cl);
}

/* ---- who may not ------------------------------------------------------- */

static struct event *refused_due;	/* pending: a time of REFUSED_MS */
static unsigned int refused_told;	/* in it */
static unsigned long long refused_more;	/* and not told yet */
static uid_t refused_uid;		/* the last of them */
static const char *refused_what;

static void	refused_wait(void);

static void
refused_tell(void)
{
	if (refused_more == 0)
		return;
	log_warn("control socket: refused: %llu more, the last: %s: user %u",
	    refused_more, refused_what, (unsigned int)refused_uid);
	event_tell("control_refused", "{\"uid\":%u,\"refused\":\"%s\","
	    "\"times\":%llu}", (unsigned int)refused_uid, refused_what,
	    refused_more);
	refused_more = 0;
}

static void
on_refused_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	refused_told = 0;
	if (refused_more == 0)
		return;
	/* While auditd is away, there must be room for what happens. */
	if (events_have_room())
		refused_tell();
	refused_wait();
}

static void
refused_wait(void)
{
	static const struct timeval tv = { REFUSED_MS / 1000, 0 };

	if (refused_due == NULL)
		refused_due = evtimer_new(parent.base, on_refused_due, NULL);
	if (refused_due == NULL || evtimer_add(refused_due, &tv) == -1)
		log_warn("control socket: out of memory");
}

static void
refused(const struct client *cl, const struct command *c)
{
	refused_uid = cl->uid;
	refused_what = message_name(c->type);
	if (refused_due == NULL || !evtimer_pending(refused_due, NULL))
		refused_wait();
	if (refused_told == REFUSED_TOLD || !events_have_room()) {
		refused_more++;
		return;
	}
	refused_told++;
	log_warn("control socket: refused: %s: user %u is neither root nor "
	    "the daemon's own", refused_what, (unsigned int)cl->uid);
	event_tell("control_refused", "{\"uid\":%u,\"refused\":\"%s\"}",
	    (unsigned int)cl->uid, refused_what);
}

/* ---- clients ----------------------------------------------------------- */

static int
on_client_frame(struct channel *ch, const struct frame *f, void *arg)
{
	struct client *cl = client_of(ch);
	const struct command *c = NULL;
	size_t i;

	(void)arg;
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].type == f->type)
			c = &commands[i];
	if (cl == NULL || c == NULL || f->length < c->min ||
	    f->length > c->max)
		return -1;
	if (!cl->trusted && !c->group) {
		refused(cl, c);
		reply_text(cl, CTL_REPLY_FAILED, "only root, or the user that pontifexd runs "
		    "as, may do this\n");
		return 0;
	}
	if (c->records)
		log_info("control socket: %s: asked by user %u",
		    message_name(c->type), (unsigned int)cl->uid);
	/* One question at a time; each has a deadline of its own. */
	(void)evtimer_del(cl->idle);
	channel_pause(ch);
	c->run(cl, f);
	return 0;
}

static void
on_client_closed(struct channel *ch, void *arg)
{
	struct client *cl = client_of(ch);

	(void)arg;
	if (cl != NULL)
		forget(cl);
}

static struct client *
find_place(uid_t uid)
{
	struct client *place = NULL;
	size_t i, others = 0;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (clients[i].channel == NULL)
			place = &clients[i];
		else
			others += clients[i].uid != 0;
	if (place == NULL || (uid != 0 && others >= OTHERS_MAX))
		return NULL;
	if (place->idle == NULL)
		place->idle = evtimer_new(parent.base, on_idle, place);
	return place->idle == NULL ? NULL : place;
}

static void
turn_away(int fd, const char *why)
{
	static uint64_t said_ms;

	if (said_ms == 0 || now_ms() - said_ms >= SAY_MS) {
		said_ms = now_ms();
		log_warn("control socket: refused: %s", why);
	}
	close(fd);
}

static void
on_accept(evutil_socket_t sock, short what, void *arg)
{
	static const struct channel_ops ops = {
		.frame = on_client_frame, .closed = on_client_closed,
		.drained = on_client_drained
	};
	struct client *cl;
	uid_t uid;
	int fd;

	(void)what;
	(void)arg;
	if ((fd = accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) ==
	    -1)
		return;
	if (peer_user(fd, &uid) == -1) {
		turn_away(fd, "who it is can't be told");
		return;
	}
	if ((cl = find_place(uid)) == NULL || (cl->channel = channel_new(
	    parent.base, fd, "pontifexctl", 0, &ops, NULL)) == NULL) {
		turn_away(fd, "too many clients");
		return;
	}
	cl->uid = uid;
	cl->trusted = uid == 0 || uid == geteuid();
	wait_for(cl);
	channel_bound(cl->channel, CREDENTIAL_MAX);
	channel_water(cl->channel, UNREAD_MAX);
	/* A token may pass here. */
	channel_secret(cl->channel);
}

int
control_open(void)
{
	listening = successor_take("control", NULL);
	if (listening == -1)
		listening = local_bind("control socket",
		    parent.config->control, CLIENTS_MAX);
	if (listening == -1)
		return -1;
	/* Until we serve, whoever asks is answered by the one that does. */
	return successor_waits() ? 0 : control_accept();
}

int
control_accept(void)
{
	if ((accepting = event_new(parent.base, listening,
	    EV_READ | EV_PERSIST, on_accept, NULL)) == NULL ||
	    event_add(accepting, NULL) == -1) {
		log_errno("control socket");
		return -1;
	}
	return 0;
}

void
control_inherit(struct buffer *b, inherit_fn inherit)
{
	inherit(b, "control", listening, "");
}

void
control_release(void)
{
	if (listening == -1)
		return;
	refused_tell();
	if (accepting != NULL)
		event_free(accepting);
	accepting = NULL;
	close(listening);
	listening = -1;
}

void
control_close(void)
{
	/* One that never served leaves the file to the one that does. */
	if (listening != -1 && !successor_waits())
		(void)unlink(parent.config->control);
	control_release();
}
