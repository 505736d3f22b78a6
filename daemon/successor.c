/* SPDX-License-Identifier: ISC */

/*
 * This process was started by a daemon that serves, to take over from it: the
 * other side of upgrade.c.  It has the listening sockets before it has
 * anything else, starts its children but for auditd, has them check their
 * sources, and says so.  When it is given the journal it starts auditd, and
 * opens the doors when it is told.  Until then it ends where it cannot go on,
 * or where the daemon before does, and nothing has changed.
 *
 * From then on this is the daemon.  The one before has its last calls in
 * flight; its children report them to our auditd, wired to it through us.
 */

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "../common/version.h"
#include "parent.h"

#define LINES_MAX	1024	/* of what is inherited */
#define WHY_MAX		(HANDOVER_WORD_MAX - 64)	/* bytes that fit a word */

enum step {
	STEP_NONE,		/* started like any daemon */
	STEP_RISING,
	STEP_RISEN,		/* it is said; until the journal is ours */
	STEP_JOURNAL,		/* auditd starts */
	STEP_AUDITS,		/* that is said, too */
	STEP_OPENING,		/* the doors may be opened */
	STEP_SERVING
};

static struct line {
	const char	*name;
	int		 fd;		/* -1: none, or taken */
	const char	*value;
} lines[LINES_MAX];
static size_t nlines;

static enum step step;
static int link_fd = -1;
static struct event *linked;
static struct channel *relay;		/* from the daemon before */
static struct crew *rising;
static struct buffer why;		/* what was said so far, for people */

/* ---- what is inherited ------------------------------------------------- */

static struct line *
find(const char *name)
{
	size_t i;

	for (i = 0; i < nlines; i++)
		if (strcmp(lines[i].name, name) == 0)
			return &lines[i];
	return NULL;
}

static const char *
value_of(const char *name)
{
	const struct line *l = find(name);

	return l == NULL ? "" : l->value;
}

static uint32_t
number_of(const char *name)
{
	const char *error;
	long long n = strtonum(value_of(name), 0, UINT32_MAX, &error);

	return error == NULL ? (uint32_t)n : 0;
}

/* "name fd value": whatever it is, the descriptor is not inherited again. */
static int
take_line(char *text)
{
	struct line *l = &lines[nlines];
	char *fd, *value;
	const char *error;

	if ((fd = strchr(text, ' ')) == NULL ||
	    (value = strchr(fd + 1, ' ')) == NULL || nlines == LINES_MAX)
		return -1;
	*fd++ = '\0';
	*value++ = '\0';
	l->name = text;
	l->value = value;
	l->fd = (int)strtonum(fd, -1, INT32_MAX, &error);
	if (error != NULL || (l->fd != -1 && (l->fd <= STDERR_FILENO ||
	    fcntl(l->fd, F_SETFD, FD_CLOEXEC) == -1)))
		return -1;
	nlines++;
	return 0;
}

int
successor_take(const char *name, const char **value)
{
	struct line *l = find(name);
	int fd;

	if (l == NULL)
		return -1;
	fd = l->fd;
	l->fd = -1;
	if (value != NULL)
		*value = l->value;
	/* The next of that name, where there are several. */
	l->name = "";
	return fd;
}

/* Nobody is told where it is not for us to say. */
static void
on_exit_say_why(void)
{
	char text[WHY_MAX + 1];

	if (step == STEP_NONE || step == STEP_SERVING || link_fd == -1)
		return;
	/* What did not fit is not in it: the first is what counts. */
	(void)snprintf(text, sizeof(text), "%.*s", (int)why.len,
	    why.len == 0 ? "" : (const char *)why.data);
	(void)handover_say(link_fd, "refused", text);
}

static int
is_link(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);
	uid_t uid;

	return fd != -1 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) ==
	    0 && type == SOCK_SEQPACKET && peer_user(fd, &uid) == 0 &&
	    uid == geteuid();
}

int
successor_open(void)
{
	const char *env = getenv(HANDOVER_ENV);
	char *text, *line;

	if (env == NULL)
		return 0;
	if ((text = strdup(env)) == NULL)
		return -1;
	(void)unsetenv(HANDOVER_ENV);
	while ((line = strsep(&text, "\n")) != NULL)
		if (line[0] != '\0' && take_line(line) == -1) {
			log_warn("%s: malformed: it is set by a daemon that is "
			    "upgraded, not by hand", HANDOVER_ENV);
			return -1;
		}
	link_fd = successor_take("link", NULL);
	if (!is_link(link_fd)) {
		log_warn("%s: no daemon is at its other end", HANDOVER_ENV);
		link_fd = -1;
		return -1;
	}
	step = STEP_RISING;
	buffer_init(&why, WHY_MAX);
	config_errors_to(&why);
	log_copy_to(&why);
	if (atexit(on_exit_say_why) != 0)
		return -1;
	if (number_of("verbose") == 1)
		parent.verbose = 1;
	parent.foreground = number_of("foreground") == 1;
	child_number_from(number_of("instances"));
	crew_number_from(number_of("crews"));
	return 0;
}

int
successor_waits(void)
{
	return step != STEP_NONE && step != STEP_SERVING;
}

int
successor_same_config(const struct config *c)
{
	return step != STEP_NONE && strcmp(value_of("config"), c->digest) == 0;
}

int
successor_same_messages(void)
{
	return step != STEP_NONE &&
	    handover_same_messages(value_of("messages"));
}

int
successor_may_follow(const struct config *c)
{
	const char *name;
	size_t i;

	config_errors_to(NULL);
	for (i = 0; i < nlines; i++) {
		if (strcmp(lines[i].name, "fixed") != 0)
			continue;
		if ((name = diff_fixed(c, lines[i].value)) != NULL) {
			log_warn("%s: %s cannot change at an upgrade: restart "
			    "the daemon", c->path, name);
			return 0;
		}
	}
	return 1;
}

/* ---- what the daemon before says --------------------------------------- */

static void
say(const char *word, const char *text)
{
	if (link_fd != -1 && handover_say(link_fd, word, text) == -1)
		log_errno("the daemon before cannot be told");
}

static void
give_up(void)
{
	parent.exit_code = 1;
	supervise_stop();
}

static void
other_gone(void)
{
	event_free(linked);
	linked = NULL;
	close(link_fd);
	link_fd = -1;
	if (step == STEP_SERVING) {
		log_info("the daemon before has ended");
		supervise_other_gone();
		upgrade_look();
		return;
	}
	log_warn("the daemon before has ended before this one served: "
	    "stopping");
	give_up();
}

static void
heard(const char *word)
{
	if (strcmp(word, "journal") == 0 && step == STEP_RISEN) {
		step = STEP_JOURNAL;
		rising->state = CREW_SERVING;
		parent.serving = rising;
		parent.audited = rising->config;
		/* What its handlers could not tell others, ours do not know. */
		if (!successor_same_messages())
			generations_advance();
		pipes_start();
		child_spawn(parent.auditd);
	} else if (strcmp(word, "serve") == 0 && step == STEP_AUDITS) {
		step = STEP_OPENING;
		supervise_look();
	} else if (strcmp(word, "main") == 0 && step == STEP_SERVING) {
		notify_main();
	}
}

static void
on_link(evutil_socket_t fd, short what, void *arg)
{
	static char word[HANDOVER_WORD_MAX];
	char *text;
	int rc;

	(void)what;
	(void)arg;
	while ((rc = handover_hear((int)fd, word, &text)) == 1)
		heard(word);
	if (rc == -1)
		other_gone();
}

/*
 * What the parent before would send to its auditd, for ours: who reports, and
 * what the records name.  What it saw itself we report for it.
 */
static int
on_relay(struct channel *ch, const struct frame *f, void *arg)
{
	struct channel *auditd = parent.auditd->control;
	struct msg_audit_event m;

	(void)ch;
	(void)arg;
	switch (f->type) {
	case MSG_AUDIT_EVENT:
		if (get_audit_event(f, &m) == -1)
			return -1;
		event_adopt(&m);
		break;
	case MSG_CONF_CATALOGUE:
	case MSG_CONF_TOOL_DIGEST:
		if (auditd != NULL)
			(void)channel_send(auditd, f->type, f->id, f->payload,
			    f->length);
		break;
	case MSG_PEER:
		if (auditd != NULL && f->fd != -1 && channel_send_fd(auditd,
		    f->type, f->id, f->payload, f->length, f->fd) == 0)
			return 0;
		break;
	default:
		break;
	}
	if (f->fd != -1)
		close(f->fd);
	return 0;
}

static void
on_relay_closed(struct channel *ch, void *arg)
{
	(void)ch;
	(void)arg;
	relay = NULL;
}

/* ---- the way up -------------------------------------------------------- */

static void
warn_lines(const struct buffer *b)
{
	const char *at = (const char *)b->data, *nl;
	size_t left = b->len, len;

	for (; left > 0; left -= len, at += len) {
		nl = memchr(at, '\n', left);
		len = nl == NULL ? left : (size_t)(nl - at) + 1;
		log_warn("%.*s", (int)(len - (nl != NULL)), at);
	}
}

/* As many whole lines as fit. */
static void
say_what_was_found(void)
{
	const struct buffer *found = &rising->found;
	size_t len = found->len;

	if (len > WHY_MAX)
		for (len = WHY_MAX; len > 0 && found->data[len - 1] != '\n';)
			len--;
	buffer_clear(&why);
	(void)buffer_add(&why, found->data, len);
}

/* All are ready and have said what they found. */
static void
look(void)
{
	if (step != STEP_RISING || !crew_is_ready(rising) ||
	    !crew_is_checked(rising))
		return;
	if (rising->refused) {
		say_what_was_found();
		give_up();
		return;
	}
	warn_lines(&rising->found);
	step = STEP_RISEN;
	rising->check = CHECK_NONE;
	say("risen", program_messages);
}

static void
on_rising(struct crew *crew, const struct child_proc *ended)
{
	if (ended == NULL) {
		look();
	} else if (step == STEP_RISEN || !crew_needs(ended)) {
		/* It was good, or can be done without: another. */
		child_restart(crew_find(crew, ended->role, ended->index));
	} else {
		log_warn("%s did not start, or died", ended->name);
		give_up();
	}
}

void
successor_start(void)
{
	static const struct channel_ops ops = {
		.frame = on_relay, .closed = on_relay_closed
	};
	int fd = successor_take("relay", NULL);
	size_t i;

	/* A name that only another version knows. */
	for (i = 0; i < nlines; i++)
		if (lines[i].fd != -1) {
			close(lines[i].fd);
			lines[i].fd = -1;
		}
	/* So far nothing kept it from starting. */
	buffer_clear(&why);
	if (fd != -1 && !successor_same_messages()) {
		close(fd);
		fd = -1;
	}
	if (fd != -1 && (relay = channel_new(parent.base, fd,
	    "the daemon before", 1, &ops, NULL)) == NULL)
		fatal_errno("the daemon before");
	if (fcntl(link_fd, F_SETFL, O_NONBLOCK) == -1 ||
	    (linked = event_new(parent.base, link_fd, EV_READ | EV_PERSIST,
	    on_link, NULL)) == NULL || event_add(linked, NULL) == -1)
		fatal_errno("the daemon before");
	children_watch();
	parent.auditd = child_new(NULL, ROLE_AUDITD, 0);
	rising = crew_new(parent.config);
	if (parent.auditd == NULL || rising == NULL)
		fatal("out of memory");
	rising->check = CHECK_STATEMENTS;
	rising->risen = on_rising;
	if (crew_start(rising) == -1)
		fatal("out of memory");
}

void
successor_child_ready(const struct child_proc *c)
{
	if (step == STEP_RISING)
		look();
	if (step < STEP_JOURNAL || c != parent.auditd)
		return;
	if (step == STEP_JOURNAL)
		step = STEP_AUDITS;
	say("audits", NULL);
}

void
successor_auditd_ended(void)
{
	if (step > STEP_JOURNAL)
		say("deaf", NULL);
}

int
successor_may_open(void)
{
	return step == STEP_NONE || step >= STEP_OPENING;
}

void
successor_opened(void)
{
	if (step != STEP_OPENING)
		return;
	step = STEP_SERVING;
	log_copy_to(NULL);
	buffer_free(&why);
	control_accept();
	event_tell("upgrade", "{%s,\"from\":\"%.64s\",\"to\":\"%s\","
	    "\"configuration\":\"%.16s\"}", value_of("by"),
	    value_of("version"), program_version, parent.config->digest);
	log_info("version %s serves in place of the daemon before, %s",
	    program_version, value_of("version"));
	say("serving", program_version);
}

int
successor_other_is_there(void)
{
	return step == STEP_SERVING && link_fd != -1;
}

int
successor_ends_other(void)
{
	if (!successor_other_is_there())
		return 0;
	say("stop", NULL);
	return 1;
}
