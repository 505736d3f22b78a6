/* SPDX-License-Identifier: ISC */

/*
 * The listener process: what faces the network.  It takes its slice of the
 * configuration, gets listening sockets and peers from the parent, and holds
 * nothing that is worth stealing.  What clients send is handled in http.c
 * and behind it; what siblings send, in question.c.
 */

#include <errno.h>
#include <stdio.h>

#include "../../common/log.h"
#include "../../common/proc.h"
#include "../../common/stats.h"
#include "../../pledge/sandbox.h"
#include "listener.h"
#include "metrics.h"

#define STATUS_LINES_MAX	512	/* bytes */

struct listener listener;

static int configured;
static uint32_t tools_due;
static struct event *drain_timer;

/* ---- configuration ----------------------------------------------------- */

static int
configure_metadata(const struct msg_conf_listener *m)
{
	const char *path;
	char *text, *url;

	if ((text = slice_dup(m->metadata)) == NULL ||
	    (listener.metadata_url = slice_dup(m->metadata_url)) == NULL ||
	    (url = slice_dup(m->public_url)) == NULL ||
	    (path = strstr(url, "://")) == NULL)
		return -1;
	listener.metadata.ptr = text;
	listener.metadata.len = m->metadata.len;
	path += strlen("://");
	listener.public_path = path + strcspn(path, "/");
	return 0;
}

static int
configure_self(const struct frame *f)
{
	struct msg_conf_listener m;

	if (configured || get_conf_listener(f, &m) == -1 ||
	    m.path.len == 0 || m.path.ptr[0] != '/')
		return -1;
	if ((listener.namespace = slice_dup(m.namespace)) == NULL ||
	    (listener.path = slice_dup(m.path)) == NULL ||
	    mcp_server_init(&listener.server, m.version) == -1)
		return -1;
	if (m.metadata.len > 0 && configure_metadata(&m) == -1)
		return -1;
	listener.server.tool = calloc(m.tools == 0 ? 1 : m.tools,
	    sizeof(*listener.server.tool));
	if (listener.server.tool == NULL)
		return -1;
	listener.forwarders.n = m.forwarders;
	memcpy(listener.forwarders.net, m.forwarder,
	    m.forwarders * sizeof(m.forwarder[0]));
	tools_due = m.tools;
	listener.handlers = m.handlers;
	listener.per_source = m.per_source == 0 ? PER_SOURCE_DEFAULT :
	    m.per_source;
	configured = 1;
	return 0;
}

static int
configure_name(const struct frame *f)
{
	struct allowed *a = &listener.allowed;
	struct msg_conf_name m;
	char *value;

	if (get_conf_name(f, &m) == -1 ||
	    (m.kind == ALLOWED_HOST ? a->hosts : a->origins) == ALLOWED_MAX ||
	    (value = slice_dup(m.value)) == NULL)
		return -1;
	if (m.kind == ALLOWED_HOST)
		a->host[a->hosts++] = value;
	else
		a->origin[a->origins++] = value;
	return 0;
}

static int
configure_tool(const struct frame *f)
{
	struct msg_conf_tool_text m;
	struct mcp_tool *tool;
	char *definition;

	if (!configured || listener.server.tools == tools_due ||
	    get_conf_tool_text(f, &m) == -1)
		return -1;
	tool = &listener.server.tool[listener.server.tools];
	if ((tool->name = slice_dup(m.name)) == NULL ||
	    (definition = slice_dup(m.definition)) == NULL)
		return -1;
	tool->definition.ptr = definition;
	tool->definition.len = m.definition.len;
	listener.server.tools++;
	return 0;
}

static int
configure(const struct frame *f)
{
	switch (f->type) {
	case MSG_CONF_LISTENER:
		return configure_self(f);
	case MSG_CONF_NAME:
		return configure_name(f);
	case MSG_CONF_TOOL_TEXT:
		return configure_tool(f);
	default:
		return -1;
	}
}

static int
prepare(void)
{
	if (!configured || listener.server.tools != tools_due) {
		log_warn("the configuration is not complete");
		return -1;
	}
	return http_init() == -1 || answer_init() == -1 ? -1 : 0;
}

static int
confine(void)
{
	static struct sandbox_needs needs;

	sandbox_needs_init(&needs);
	return sandbox_enter(ROLE_LISTENER, &needs);
}

/* ---- orders ------------------------------------------------------------ */

static int
send_status(void)
{
	char text[STATUS_LINES_MAX];
	int n;

	n = snprintf(text, sizeof(text), "connections %zu, in flight %zu, "
	    "requests %llu, refused %llu, unrecorded %llu, displaced %llu, "
	    "strangers %zu KiB\n"
	    "authd %s, handlers %u of %u\n", http_connections(),
	    questions_open(), (unsigned long long)listener.requests,
	    (unsigned long long)listener.refused,
	    (unsigned long long)listener.unrecorded,
	    (unsigned long long)listener.displaced,
	    room_strangers_memory() / 1024,
	    questions_authd() ? "connected" : "missing",
	    questions_handlers(), listener.handlers);
	if (n < 0 || (size_t)n >= sizeof(text))
		return 0;
	(void)channel_send(child.control, MSG_STATUS, 0, text, (size_t)n);
	return 0;
}

static void
stats(struct buffer *b)
{
	put_stat(b, STAT_CONNECTIONS, http_connections());
	put_stat(b, STAT_REQUESTS_IN_FLIGHT, questions_open());
	put_stat(b, STAT_REQUESTS, listener.requests);
	put_stat(b, STAT_REQUESTS_REFUSED, listener.refused);
	put_stat(b, STAT_REQUESTS_UNRECORDED, listener.unrecorded);
	put_stat(b, STAT_CONNECTIONS_DISPLACED, listener.displaced);
	put_stat_times(b, STAT_REQUEST_TIME, 0, &listener.times);
}

static int
take_metrics(const struct frame *f)
{
	int is_local;

	if (get_flag(f, &is_local) == -1) {
		close(f->fd);
		return -1;
	}
	if (metrics_start(f->fd, is_local) == -1)
		log_warn("cannot serve metrics");
	return 0;
}

/* Another set serves: what is here is answered, and then this is over. */
static void
leave(void)
{
	listener.leaving = 1;
	accept_leave();
	metrics_stop();
	http_leave();
	(void)channel_send(child.control, MSG_LEFT, 0, NULL, 0);
}

static int
control(const struct frame *f)
{
	if (f->type == MSG_LISTEN && f->fd != -1) {
		if (accept_start(f->fd) == -1)
			log_warn("cannot listen on a socket of the parent's");
		return 0;
	}
	if (f->type == MSG_LISTEN_METRICS && f->fd != -1)
		return take_metrics(f);
	if (f->fd != -1)
		close(f->fd);
	if (f->type == MSG_LEAVE && f->length == 0 && !listener.leaving) {
		leave();
		return 0;
	}
	if (f->type == MSG_METRICS) {
		metrics_come(f->payload, f->length);
		return 0;
	}
	return f->type == MSG_STATUS_ASK ? send_status() : -1;
}

static void
on_drain_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	log_warn("stopping with %zu requests unfinished", questions_open());
	child.stop = 1;
}

static void
begin_stop(void)
{
	static const struct timeval patience = {
		DRAIN_MS / 1000, DRAIN_MS % 1000 * 1000
	};

	listener.shutting_down = 1;
	accept_stop();
	metrics_stop();
	http_drain();
	drain_timer = evtimer_new(child.base, on_drain_timer, NULL);
	if (drain_timer == NULL || evtimer_add(drain_timer, &patience) == -1)
		child.stop = 1;
}

static void
turn(void)
{
	http_turn();
	if ((listener.shutting_down || listener.leaving) && http_connections() == 0 &&
	    questions_open() == 0)
		child.stop = 1;
}

int
main(void)
{
	static const struct child_ops ops = {
		.configure = configure, .prepare = prepare,
		.confine = confine, .peer = question_peer,
		.control = control, .stats = stats, .shutdown = begin_stop, .turn = turn,
	};

	return child_main(ROLE_LISTENER, &ops);
}
