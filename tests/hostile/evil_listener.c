/* SPDX-License-Identifier: ISC */

/*
 * A listener under an attacker's full control: it has a valid API key of a
 * caller with one scope (shop:order:read), a socketpair to authd and one to
 * each handler.  What it writes to `result' shows what that bought it.
 */

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "../../common/compat.h"
#include "../../common/crypt.h"
#include "../../common/log.h"
#include "../../common/message.h"
#include "../../common/proc.h"
#include "../../common/ticket.h"
#include "evil_figures.h"

static struct channel *authd, *handlers[2];
static struct buffer kept;	/* a ticket */
static unsigned int results, stage;
static struct event *timer;
static int raw_authd = -1, raw_handler = -1;	/* the same sockets, without a channel */
static uint64_t asked, answered, allowed;
static int listening = -1;

#define EXPIRES_AT	20		/* in a ticket: generation, magic and serial before it */
#define FLOOD	100000		/* questions */
#define GUESSES	20000		/* tickets */
#define HOARD	300		/* tickets asked for; more than a caller may have in flight */
#define HOARD_MORE	50	/* … and again when it has lied about them */

#define CALL(name, id)							\
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","	\
	"\"params\":{\"name\":\"" name "\",\"arguments\":"		\
	"{\"order_id\":" id "}}}"

static const char lookup[] = CALL("order_lookup", "1001");
static const char other[] = CALL("order_lookup", "1002");
static const char cancel[] = CALL("order_cancel", "1002");

static int
attack_is(const char *name)
{
	return strcmp(evil_attack, name) == 0;
}

/* Where others must go on, one listener is the attacker, the rest are honest. */
static int
has_company(void)
{
	return attack_is("flood") || attack_is("cancel") || strncmp(evil_attack, "torn-", 5) == 0 ||
	    attack_is("shut");
}

__attribute__((__constructor__)) static void
stay_honest(void)
{
	char path[PATH_MAX + 16];
	FILE *f;
	int fd;

	if (!has_company())
		return;
	if ((fd = evil_open("first", O_WRONLY | O_CREAT | O_EXCL)) != -1) {
		close(fd);
		return;
	}
	if ((f = fopen("/proc/self/cmdline", "r")) == NULL ||
	    fgets(path, PATH_MAX, f) == NULL)
		_exit(3);
	fclose(f);
	(void)strlcat(path, ".real", sizeof(path));
	(void)execl(path, path, (char *)NULL);
	_exit(3);
}

static void
ask_as(uint64_t question, const char *credential, const char *tool,
    const char *body)
{
	struct msg_authorize m = {
		.ask = ASK_CALL, .form = credential[0] == '\0' ? FORM_NONE :
		    FORM_BEARER,
		.credential = slice_of(credential),
		.method = slice_of("tools/call"), .tool = slice_of(tool),
		.peer = slice_of("127.0.0.1"),
	};
	struct buffer *b;

	sha256(body, strlen(body), m.digest);
	if ((b = channel_begin(authd, MSG_AUTHORIZE, question)) == NULL)
		return;
	put_authorize(b, &m);
	(void)channel_commit(authd);
}

static void
ask(uint64_t question, const char *tool, const char *body)
{
	ask_as(question, evil_key, tool, body);
}

static void
call(struct channel *handler, uint64_t question, struct slice ticket,
    const char *body)
{
	struct msg_call m = { ticket, slice_of(body) };
	struct buffer *b;

	if ((b = channel_begin(handler, MSG_CALL, question)) == NULL)
		return;
	put_call(b, &m);
	(void)channel_commit(handler);
}

static struct slice
ticket(void)
{
	struct slice sl = { (const char *)kept.data, kept.len };

	return sl;
}

/*
 * A ticket for the tool that writes, for somebody else, under the generation
 * that is in force: as it should be but for the key.
 */
static void
forge(void)
{
	uint8_t key[KEY_LEN];
	struct ticket t = {
		.generation = ticket_generation(kept.data, kept.len),
		.serial = 4711, .expires_ms = now_ms() + 5000,
		.tool = slice_of("order_cancel"),
		.identity = { .kind = CREDENTIAL_KEY,
		    .key_id = slice_of("k"), .owner = slice_of("root"),
		    .label = slice_of("root") },
	};

	sha256(cancel, strlen(cancel), t.digest);
	random_bytes(t.request_id, sizeof(t.request_id));
	random_bytes(key, sizeof(key));
	buffer_clear(&kept);
	ticket_seal(&kept, &t, key);
	call(handlers[0], 1, ticket(), cancel);
}

/* Random MACs behind a payload that is as it should be. */
static void
guess(void)
{
	struct slice sl = ticket();
	uint32_t i;

	for (i = 1; i <= GUESSES; i++) {
		random_bytes(kept.data + kept.len - DIGEST_LEN, DIGEST_LEN);
		call(handlers[0], i, sl, lookup);
		channels_flush();
	}
}

/* The first half of one ticket, the second of another. */
static void
splice_halves(const struct msg_decision *m)
{
	size_t half = kept.len / 2;

	if (m->ticket.len == kept.len)
		memcpy(kept.data + half, m->ticket.ptr + half, kept.len - half);
	call(handlers[0], 1, ticket(), lookup);
}

static void
ask_many(uint64_t n)
{
	while (n-- > 0)
		ask(++asked, "order_lookup", lookup);
}

/* Tickets that are kept; then it says of each call that nobody wants it. */
static void
hoard(const struct msg_decision *m)
{
	uint64_t i;

	allowed += m->outcome == OUTCOME_OK;
	if (++answered == HOARD) {
		for (i = 1; i <= HOARD; i++) {
			(void)channel_send(handlers[0], MSG_CANCEL, i, NULL, 0);
			(void)channel_send(handlers[1], MSG_CANCEL, i, NULL, 0);
		}
		ask_many(HOARD_MORE);
	}
	if (answered == HOARD + HOARD_MORE)
		SAY("allowed %llu of %llu\n", (unsigned long long)allowed,
		    (unsigned long long)asked);
}

/* Whoever comes to this one is sent away at once, and not kept waiting. */
static void
send_away(void)
{
	int fd;

	while (listening != -1 && (fd = accept4(listening, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1)
		close(fd);
}

static void
flood(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = { 0, 1000 };
	static int flooded;
	int i;

	(void)fd;
	(void)what;
	(void)arg;
	send_away();
	for (i = 0; attack_is("flood") && i < 1000 && asked < FLOOD && authd != NULL &&
	    !channel_full(authd); i++)
		ask_as(++asked, "sk_live_nobody_x", "order_lookup", lookup);
	for (i = 0; attack_is("cancel") && i < 1000; i++, asked++) {
		/* Whatever number a call of the other listener's may have. */
		if (handlers[0] != NULL && !channel_full(handlers[0]))
			(void)channel_send(handlers[0], MSG_CANCEL, asked % 512,
			    NULL, 0);
		if (handlers[1] != NULL && !channel_full(handlers[1]))
			(void)channel_send(handlers[1], MSG_CANCEL, asked % 512,
			    NULL, 0);
	}
	if (attack_is("cancel") && !flooded && asked >= FLOOD) {
		flooded = 1;
		SAY("cancelled %llu\n", (unsigned long long)asked);
	}
	if (attack_is("flood") && !flooded && (asked == FLOOD || authd == NULL)) {
		flooded = 1;
		SAY("flooded with %llu\n", (unsigned long long)asked);
	}
	(void)evtimer_add(timer, &soon);
}

/* A header that promises 4 GiB, or half a header and no more. */
static void
send_raw(int fd, int giant)
{
	struct frame_header h = { giant ? 0xffffffffU : 100, MSG_AUTHORIZE, 0, 1 };

	if (send(fd, &h, giant ? sizeof(h) : sizeof(h) / 2, MSG_NOSIGNAL) < 0)
		SAY("cannot send\n");
	else
		SAY("sent raw\n");
}

static void
keep_company(void)
{
	if (!has_company())
		return;
	timer = evtimer_new(child.base, flood, NULL);
	flood(-1, 0, NULL);
}

static void
begin(void)
{
	static const unsigned char garbage[] = { 0xff, 0xff, 0xff, 0xff, 1, 0,
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };

	if (figures_begin() || strncmp(evil_attack, "stats-", 6) == 0) {
		return;
	} else if (attack_is("nobody")) {
		ask_as(1, "", "order_lookup", lookup);
	} else if (attack_is("splice")) {
		ask(1, "order_lookup", lookup);
		ask(2, "order_lookup", lookup);
	} else if (attack_is("hoard")) {
		ask_many(HOARD);
	} else if (attack_is("flood") || attack_is("cancel")) {
		keep_company();
	} else if (attack_is("giant-authd") || attack_is("torn-authd")) {
		send_raw(raw_authd, attack_is("giant-authd"));
		keep_company();
	} else if (attack_is("giant-handler") || attack_is("torn-handler")) {
		send_raw(raw_handler, attack_is("giant-handler"));
		keep_company();
	} else if (attack_is("widen")) {
		/* Scope for one tool, digest of a body that names another. */
		ask(1, "order_lookup", cancel);
	} else if (attack_is("scope")) {
		ask(1, "order_cancel", cancel);
	} else if (attack_is("twice")) {
		ask(1, "order_lookup", lookup);
		ask(1, "order_lookup", lookup);
	} else if (attack_is("garbage-authd")) {
		(void)channel_send(authd, MSG_AUTHORIZE, 1, garbage,
		    sizeof(garbage));
	} else if (attack_is("type-authd")) {
		(void)channel_send(authd, MSG_TICKET_KEY, 1, garbage,
		    sizeof(garbage));
	} else if (attack_is("garbage-handler")) {
		(void)channel_send(handlers[0], MSG_CALL, 1, garbage,
		    sizeof(garbage));
	} else if (attack_is("type-handler")) {
		(void)channel_send(handlers[0], MSG_AUDIT_ACK, 1, garbage,
		    sizeof(garbage));
	} else {
		ask(1, "order_lookup", lookup);
	}
}

static void
use(void)
{
	if (attack_is("replay")) {
		call(handlers[0], 1, ticket(), lookup);
		call(handlers[0], 2, ticket(), lookup);
	} else if (attack_is("other-body")) {
		call(handlers[0], 1, ticket(), other);
	} else if (attack_is("other-tool") || attack_is("widen")) {
		call(handlers[0], 1, ticket(), cancel);
	} else if (attack_is("other-handler")) {
		call(handlers[1], 1, ticket(), lookup);
	} else if (attack_is("alter")) {
		/* Good for a longer time: four more bits of its expiry. */
		kept.data[EXPIRES_AT + 3] |= 0xf0;
		call(handlers[0], 1, ticket(), lookup);
	} else if (attack_is("cut")) {
		kept.len--;
		call(handlers[0], 1, ticket(), lookup);
	} else if (attack_is("guess")) {
		guess();
	} else if (attack_is("forge")) {
		forge();
	} else if (attack_is("unused")) {
		SAY("has a ticket and keeps it\n");
	} else {
		call(handlers[0], 1, ticket(), lookup);
	}
}

static void
use_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	use();
}

static int
on_authd(struct channel *ch, const struct frame *f, void *arg)
{
	static const struct timeval too_late = { 11, 0 };
	struct msg_decision m;

	(void)ch;
	(void)arg;
	if (f->type != MSG_DECISION || get_decision(f, &m) == -1) {
		SAY("authd sent something odd\n");
		return 0;
	}
	if (attack_is("flood")) {
		if (++answered == 1 || answered % 1000 == 0)
			SAY("answered %llu, %s\n", (unsigned long long)answered,
			    outcome_name(m.outcome));
		return 0;
	}
	if (attack_is("hoard")) {
		hoard(&m);
		return 0;
	}
	SAY("decision %s ticket %zu\n", outcome_name(m.outcome),
	    m.ticket.len);
	if (attack_is("splice") && kept.len > 0)
		splice_halves(&m);
	if (m.ticket.len == 0 || kept.len > 0)
		return 0;
	buffer_add_slice(&kept, m.ticket);
	if (attack_is("stale")) {
		timer = evtimer_new(child.base, use_later, NULL);
		evtimer_add(timer, &too_late);
	} else if (!attack_is("splice")) {
		use();
	}
	return 0;
}

static int
on_handler(struct channel *ch, const struct frame *f, void *arg)
{
	struct msg_result m;

	(void)ch;
	(void)arg;
	if (f->type != MSG_RESULT || get_result(f, &m) == -1)
		return 0;
	/* One that was not refused is told like any other answer. */
	if (attack_is("guess") && m.outcome == OUTCOME_INTERNAL_ERROR) {
		if (++results == GUESSES)
			SAY("refused %d guesses\n", GUESSES);
	} else {
		SAY("result %u %s rows %s\n", ++results,
		    outcome_name(m.outcome),
		    memmem(m.members.ptr, m.members.len, "Acme", 4) ||
		    memmem(m.members.ptr, m.members.len, "cancelled", 9) ?
		    "leaked" : "none");
	}
	return 0;
}

static void
on_closed(struct channel *ch, void *arg)
{
	(void)ch;
	SAY("closed by %s\n", (const char *)arg);
	/* As an honest one would. */
	if (ch == authd)
		child_peer_gone(ch, ROLE_AUTHD, 0);
	if (ch == authd)
		authd = NULL;
	if (ch == handlers[0])
		handlers[0] = NULL;
	if (ch == handlers[1])
		handlers[1] = NULL;
}

static void
peer(const struct msg_peer *m, int fd)
{
	static const struct channel_ops to_authd = { on_authd, on_closed, NULL };
	static const struct channel_ops to_handler = { on_handler, on_closed,
	    NULL };
	static char name_authd[] = "authd", name_handler[] = "handler";

	if (m->role == ROLE_AUTHD)
		raw_authd = fd;
	else if (m->role == ROLE_HANDLER && m->index == 0)
		raw_handler = fd;
	if (m->role == ROLE_AUTHD)
		authd = channel_new(child.base, fd, "authd", 0, &to_authd,
		    name_authd);
	else if (m->role == ROLE_HANDLER && m->index < 2)
		handlers[m->index] = channel_new(child.base, fd, "handler", 0,
		    &to_handler, name_handler);
	else
		close(fd);
}

/*
 * What the parent keeps for whoever comes after it, and for the daemon that
 * follows this one: shut down, and made to block.
 */
static void
shut(const struct frame *f)
{
	static unsigned int shut_down;

	if (f->fd == -1 || (f->type != MSG_LISTEN &&
	    f->type != MSG_LISTEN_METRICS))
		return;
	if (shutdown(f->fd, SHUT_RDWR) == -1 ||
	    fcntl(f->fd, F_SETFL, 0) == -1)
		SAY("cannot shut it: %s\n", strerror(errno));
	if (++shut_down < 2)
		return;
	SAY("shut all\n");
	_exit(1);
}

/* The doors open when everybody is wired: the moment to strike. */
static int
control(const struct frame *f)
{
	figures_control(f);
	if (f->type == MSG_METRICS)
		SAY("was told figures\n");
	if (attack_is("shut"))
		shut(f);
	if (f->type == MSG_LISTEN && has_company())
		listening = f->fd;
	else if (f->fd != -1)
		close(f->fd);
	if (f->type == MSG_LISTEN && stage++ == 0 && authd != NULL &&
	    handlers[0] != NULL) {
		buffer_init(&kept, TICKET_MAX);
		begin();
	}
	return 0;
}

static int
configure(const struct frame *f)
{
	(void)f;
	return 0;
}

static int
confine(void)
{
	return 0;
}

int
main(void)
{
	static const struct child_ops ops = {
		.configure = configure, .confine = confine, .peer = peer,
		.control = control, .stats = figures_lie
	};

	return child_main(ROLE_LISTENER, &ops);
}
