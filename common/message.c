/* SPDX-License-Identifier: ISC */

/*
 * Building and reading of every message, the two of one message side by
 * side.  A read function checks everything that message.h promises; whoever
 * adds a field adds it in both and in tests/unit/test_message.c.
 */

#include "message.h"

/* r is declared here: NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define READ(f, r) struct reader r; reader_init(&r, (f)->payload, (f)->length)

const char *
message_name(unsigned int type)
{
	static const char *const names[MSG_MAX] = {
		[MSG_NONE] = "none", [MSG_START] = "start",
		[MSG_CONF_LISTENER] = "conf listener",
		[MSG_CONF_NAME] = "conf name",
		[MSG_CONF_TOOL_TEXT] = "conf tool text",
		[MSG_CONF_AUTHD] = "conf authd",
		[MSG_CONF_TOOL_RULE] = "conf tool rule",
		[MSG_CONF_ISSUER] = "conf issuer",
		[MSG_CONF_GRANT] = "conf grant", [MSG_CONF_FETCH] = "conf fetch",
		[MSG_FETCH] = "fetch", [MSG_FETCHED] = "fetched",
		[MSG_CONF_HANDLER] = "conf handler",
		[MSG_CONF_SINK] = "conf sink", [MSG_SINK_PIPE] = "sink pipe",
		[MSG_CONF_GENERATIONS] = "conf generations",
		[MSG_CONF_REDIS] = "conf redis",
		[MSG_CONF_SOURCE] = "conf source",
		[MSG_CONF_TOOL] = "conf tool", [MSG_CONF_PARAM] = "conf param",
		[MSG_CONF_AUDITD] = "conf auditd",
		[MSG_CONF_CATALOGUE] = "conf catalogue",
		[MSG_CONF_TOOL_DIGEST] = "conf tool digest",
		[MSG_CONFIG_END] = "config end", [MSG_PEER] = "peer",
		[MSG_LISTEN] = "listen", [MSG_KEYS] = "keys",
		[MSG_TICKET_KEY] = "ticket key", [MSG_VERBOSE] = "verbose",
		[MSG_SHUTDOWN] = "shutdown", [MSG_STATUS_ASK] = "status ask",
		[MSG_STATS_ASK] = "stats ask", [MSG_STATS] = "stats",
		[MSG_LEAVE] = "leave", [MSG_LEFT] = "left",
		[MSG_HAND_OVER] = "hand over",
		[MSG_CHECKED_SOURCE] = "checked source",
		[MSG_CHECKED_TOOL] = "checked tool",
		[MSG_CHECKED] = "checked",
		[MSG_LISTEN_METRICS] = "listen metrics",
		[MSG_METRICS] = "metrics", [MSG_METRICS_ASK] = "metrics ask",
		[MSG_CTL_FIGURES] = "ctl figures", [MSG_FIGURES] = "figures",
		[MSG_READY] = "ready", [MSG_STATUS] = "status",
		[MSG_VIOLATION] = "violation", [MSG_AUTHORIZE] = "authorize",
		[MSG_DECISION] = "decision", [MSG_CALL] = "call",
		[MSG_RESULT] = "result", [MSG_CANCEL] = "cancel",
		[MSG_SERVES] = "serves", [MSG_DSN] = "dsn",
		[MSG_CREDENTIALS] = "credentials",
		[MSG_AUDIT_DECISION] = "audit decision",
		[MSG_AUDIT_EVENT] = "audit event",
		[MSG_AUDIT_INTENT] = "audit intent",
		[MSG_AUDIT_OUTCOME] = "audit outcome",
		[MSG_AUDIT_ACK] = "audit ack", [MSG_AUDIT_NACK] = "audit nack",
		[MSG_RECORDS] = "records",
		[MSG_CTL_STATUS] = "ctl status", [MSG_CTL_RELOAD] = "ctl reload",
		[MSG_CTL_UPGRADE] = "ctl upgrade",
		[MSG_CTL_DIFF] = "ctl diff",
		[MSG_EXPLAIN] = "explain", [MSG_EXPLAINED] = "explained",
		[MSG_KEYS_USED] = "keys used",
		[MSG_CTL_EXPLAIN] = "ctl explain",
		[MSG_CTL_VERBOSE] = "ctl verbose", [MSG_CTL_REPLY] = "ctl reply",
	};

	return type < MSG_MAX && names[type] != NULL ? names[type] : "unknown";
}

/* A count that must not pass its bound. */
static uint32_t
get_count(struct reader *r, uint32_t max)
{
	uint32_t n = get_u32(r);

	if (n > max) {
		r->bad = 1;
		return 0;
	}
	return n;
}

static void
put_bool(struct buffer *b, int value)
{
	put_u8(b, value != 0);
}

/* ---- parent -> children ------------------------------------------------ */

void
put_start(struct buffer *b, const struct msg_start *m)
{
	put_u8(b, m->role);
	put_u32(b, m->index);
	put_u32(b, m->instance);
	put_u64(b, m->boot_id);
	put_bool(b, m->foreground);
	put_bool(b, m->verbose);
	put_bool(b, m->drop);
	put_u32(b, m->uid);
	put_u32(b, m->gid);
	put_slice(b, m->chroot_dir);
	put_slice(b, m->version);
}

int
get_start(const struct frame *f, struct msg_start *m)
{
	READ(f, r);

	m->role = get_u8(&r);
	m->index = get_u32(&r);
	m->instance = get_u32(&r);
	m->boot_id = get_u64(&r);
	m->foreground = get_bool(&r);
	m->verbose = get_bool(&r);
	m->drop = get_bool(&r);
	m->uid = get_u32(&r);
	m->gid = get_u32(&r);
	m->chroot_dir = get_string(&r, PATH_LEN_MAX);
	m->version = get_string(&r, NAME_LEN_MAX);
	return wire_done(&r);
}

void
put_conf_listener(struct buffer *b, const struct msg_conf_listener *m)
{
	uint32_t i;

	put_slice(b, m->namespace);
	put_slice(b, m->path);
	put_slice(b, m->public_url);
	put_slice(b, m->version);
	put_slice(b, m->metadata);
	put_slice(b, m->metadata_url);
	put_u32(b, m->handlers);
	put_u32(b, m->per_source);
	put_bool(b, m->loopback);
	put_u32(b, m->tools);
	put_u32(b, m->forwarders);
	for (i = 0; i < m->forwarders; i++) {
		put_fixed(b, m->forwarder[i].address,
		    sizeof(m->forwarder[i].address));
		put_u8(b, m->forwarder[i].bits);
	}
}

int
get_conf_listener(const struct frame *f, struct msg_conf_listener *m)
{
	uint32_t i;
	READ(f, r);

	m->namespace = get_string(&r, NAME_LEN_MAX);
	m->path = get_string(&r, PATH_LEN_MAX);
	m->public_url = get_string(&r, PATH_LEN_MAX);
	m->version = get_string(&r, NAME_LEN_MAX);
	m->metadata = get_string(&r, METADATA_MAX);
	m->metadata_url = get_string(&r, 2 * PATH_LEN_MAX);
	m->handlers = get_count(&r, HANDLERS_MAX);
	m->per_source = get_count(&r, PER_SOURCE_MAX);
	m->loopback = get_bool(&r);
	m->tools = get_count(&r, TOOLS_MAX);
	m->forwarders = get_count(&r, FORWARDERS_MAX);
	for (i = 0; i < m->forwarders; i++) {
		get_fixed(&r, m->forwarder[i].address,
		    sizeof(m->forwarder[i].address));
		m->forwarder[i].bits = (uint8_t)get_enum(&r, 129);
	}
	return wire_done(&r);
}

void
put_conf_name(struct buffer *b, const struct msg_conf_name *m)
{
	put_u8(b, m->kind);
	put_slice(b, m->value);
}

int
get_conf_name(const struct frame *f, struct msg_conf_name *m)
{
	READ(f, r);

	m->kind = (uint8_t)get_enum(&r, ALLOWED_KIND_MAX);
	m->value = get_string(&r, PATH_LEN_MAX);
	return wire_done(&r);
}

void
put_conf_tool_text(struct buffer *b, const struct msg_conf_tool_text *m)
{
	put_slice(b, m->name);
	put_slice(b, m->definition);
}

int
get_conf_tool_text(const struct frame *f, struct msg_conf_tool_text *m)
{
	READ(f, r);

	m->name = get_string(&r, NAME_LEN_MAX);
	m->definition = get_string(&r, FRAME_PAYLOAD_MAX);
	return wire_done(&r);
}

void
put_conf_authd(struct buffer *b, const struct msg_conf_authd *m)
{
	put_slice(b, m->namespace);
	put_rate(b, &m->rate);
	put_u32(b, m->in_flight);
	put_u32(b, m->tools);
	put_u32(b, m->listeners);
	put_u32(b, m->handlers);
	put_u32(b, m->issuers);
}

int
get_conf_authd(const struct frame *f, struct msg_conf_authd *m)
{
	READ(f, r);

	m->namespace = get_string(&r, NAME_LEN_MAX);
	get_rate(&r, &m->rate);
	m->in_flight = get_count(&r, IN_FLIGHT_MAX);
	m->tools = get_count(&r, TOOLS_MAX);
	m->listeners = get_count(&r, LISTENERS_MAX);
	m->handlers = get_count(&r, HANDLERS_MAX);
	m->issuers = get_count(&r, ISSUERS_MAX);
	return m->in_flight > 0 ? wire_done(&r) : -1;
}

void
put_conf_tool_rule(struct buffer *b, const struct msg_conf_tool_rule *m)
{
	uint32_t i;

	put_slice(b, m->name);
	put_slice(b, m->scope);
	put_bool(b, m->writes);
	put_rate(b, &m->rate);
	put_u32(b, m->claims);
	for (i = 0; i < m->claims; i++)
		put_slice(b, m->claim[i]);
}

int
get_conf_tool_rule(const struct frame *f, struct msg_conf_tool_rule *m)
{
	uint32_t i;
	READ(f, r);

	m->name = get_string(&r, NAME_LEN_MAX);
	m->scope = get_string(&r, SCOPE_MAX);
	m->writes = get_bool(&r);
	get_rate(&r, &m->rate);
	m->claims = get_count(&r, ATTRIBUTES_MAX);
	for (i = 0; i < m->claims; i++)
		m->claim[i] = get_string(&r, NAME_LEN_MAX);
	return wire_done(&r);
}

static void
put_list(struct buffer *b, const struct slice *item, uint32_t n)
{
	uint32_t i;

	put_u32(b, n);
	for (i = 0; i < n; i++)
		put_slice(b, item[i]);
}

static uint32_t
get_list(struct reader *r, struct slice *item, uint32_t max, size_t len_max)
{
	uint32_t i, n = get_count(r, max);

	for (i = 0; i < n; i++)
		item[i] = get_string(r, len_max);
	return n;
}

void
put_conf_issuer(struct buffer *b, const struct msg_conf_issuer *m)
{
	put_slice(b, m->url);
	put_bool(b, m->discover);
	put_slice(b, m->typ);
	put_slice(b, m->scopes_from);
	put_u32(b, m->leeway_s);
	put_u32(b, m->lifetime_s);
	put_rate(b, &m->rate);
	put_u32(b, m->in_flight);
	put_list(b, m->audience, m->audiences);
	put_list(b, m->claim, m->claims);
	put_u32(b, m->grants);
}

int
get_conf_issuer(const struct frame *f, struct msg_conf_issuer *m)
{
	READ(f, r);

	m->url = get_string(&r, URL_MAX);
	m->discover = get_bool(&r);
	m->typ = get_string(&r, NAME_LEN_MAX);
	m->scopes_from = get_string(&r, URL_MAX);
	m->leeway_s = get_u32(&r);
	m->lifetime_s = get_u32(&r);
	get_rate(&r, &m->rate);
	m->in_flight = get_count(&r, IN_FLIGHT_MAX);
	m->audiences = get_list(&r, m->audience, AUDIENCES_MAX, URL_MAX);
	m->claims = get_list(&r, m->claim, ATTRIBUTES_MAX, NAME_LEN_MAX);
	m->grants = get_count(&r, GRANTS_MAX);
	return wire_done(&r);
}

void
put_conf_grant(struct buffer *b, const struct msg_conf_grant *m)
{
	put_slice(b, m->role);
	put_list(b, m->scope, m->scopes);
}

int
get_conf_grant(const struct frame *f, struct msg_conf_grant *m)
{
	READ(f, r);

	m->role = get_string(&r, SCOPE_MAX);
	m->scopes = get_list(&r, m->scope, SCOPES_MAX, SCOPE_MAX);
	return wire_done(&r);
}

void
put_conf_fetch(struct buffer *b, const struct msg_conf_fetch *m)
{
	put_slice(b, m->issuer);
	put_slice(b, m->jwks);
	put_slice(b, m->ca);
	put_bool(b, m->allow_private);
}

int
get_conf_fetch(const struct frame *f, struct msg_conf_fetch *m)
{
	READ(f, r);

	m->issuer = get_string(&r, URL_MAX);
	m->jwks = get_string(&r, URL_MAX);
	m->ca = get_string(&r, PATH_LEN_MAX);
	m->allow_private = get_bool(&r);
	return wire_done(&r);
}

void
put_fetch(struct buffer *b, const struct msg_fetch *m)
{
	put_u32(b, m->issuer);
	put_u8(b, m->what);
	put_slice(b, m->url);
}

int
get_fetch(const struct frame *f, struct msg_fetch *m)
{
	READ(f, r);

	m->issuer = get_u32(&r);
	m->what = (uint8_t)get_enum(&r, FETCH_WHAT_MAX);
	m->url = get_string(&r, URL_MAX);
	return m->issuer < ISSUERS_MAX ? wire_done(&r) : -1;
}

void
put_fetched(struct buffer *b, const struct msg_fetched *m)
{
	put_u32(b, m->issuer);
	put_u8(b, m->what);
	put_bool(b, m->ok);
	put_u32(b, m->max_age_s);
	put_slice(b, m->bytes);
}

int
get_fetched(const struct frame *f, struct msg_fetched *m)
{
	READ(f, r);

	m->issuer = get_u32(&r);
	m->what = (uint8_t)get_enum(&r, FETCH_WHAT_MAX);
	m->ok = get_bool(&r);
	m->max_age_s = get_u32(&r);
	m->bytes = get_bytes(&r, FETCH_MAX);
	return m->issuer < ISSUERS_MAX ? wire_done(&r) : -1;
}

void
put_conf_handler(struct buffer *b, const struct msg_conf_handler *m)
{
	put_slice(b, m->namespace);
	put_u32(b, m->sources);
	put_u32(b, m->tools);
	put_u8(b, m->check);
}

int
get_conf_handler(const struct frame *f, struct msg_conf_handler *m)
{
	READ(f, r);

	m->namespace = get_string(&r, NAME_LEN_MAX);
	m->sources = get_count(&r, SOURCES_MAX);
	m->tools = get_count(&r, TOOLS_MAX);
	m->check = (uint8_t)get_enum(&r, CHECK_MODE_MAX);
	return wire_done(&r);
}

void
put_conf_redis(struct buffer *b, const struct msg_conf_redis *m)
{
	put_slice(b, m->namespace);
	put_slice(b, m->url);
	put_slice(b, m->ca);
	put_bool(b, m->keyed);
	put_fixed(b, m->key, sizeof(m->key));
}

int
get_conf_redis(const struct frame *f, struct msg_conf_redis *m)
{
	struct reader r;

	reader_init(&r, f->payload, f->length);
	m->namespace = get_string(&r, NAME_LEN_MAX);
	m->url = get_string(&r, REDIS_URL_MAX);
	m->ca = get_string(&r, PATH_LEN_MAX);
	m->keyed = get_bool(&r);
	get_fixed(&r, m->key, sizeof(m->key));
	return wire_done(&r);
}

void
put_conf_source(struct buffer *b, const struct msg_conf_source *m)
{
	uint32_t i;

	put_slice(b, m->name);
	put_u8(b, m->kind);
	put_slice(b, m->target);
	put_u32(b, m->connections);
	put_u32(b, m->timeout_ms);
	put_u32(b, m->connect_timeout_ms);
	put_u32(b, m->statement_timeout_ms);
	put_u32(b, m->pool_wait_ms);
	put_u32(b, m->lifetime_ms);
	put_u32(b, m->idle_ms);
	put_bool(b, m->pooler);
	put_slice(b, m->fallback);
	put_bool(b, m->writes);
	put_u32(b, m->sessions);
	for (i = 0; i < m->sessions; i++) {
		put_slice(b, m->session[i].name);
		put_slice(b, m->session[i].value);
	}
}

int
get_conf_source(const struct frame *f, struct msg_conf_source *m)
{
	uint32_t i;
	READ(f, r);

	m->name = get_string(&r, NAME_LEN_MAX);
	m->kind = (uint8_t)get_enum(&r, SOURCE_KIND_MAX);
	m->target = get_string(&r, TEXT_MAX_);
	m->connections = get_u32(&r);
	m->timeout_ms = get_u32(&r);
	m->connect_timeout_ms = get_u32(&r);
	m->statement_timeout_ms = get_u32(&r);
	m->pool_wait_ms = get_u32(&r);
	m->lifetime_ms = get_u32(&r);
	m->idle_ms = get_u32(&r);
	m->pooler = get_bool(&r);
	m->fallback = get_string(&r, NAME_LEN_MAX);
	m->writes = get_bool(&r);
	m->sessions = get_count(&r, SESSIONS_MAX);
	for (i = 0; i < m->sessions; i++) {
		m->session[i].name = get_string(&r, NAME_LEN_MAX * 2);
		m->session[i].value = get_string(&r, NAME_LEN_MAX * 2);
	}
	return wire_done(&r);
}

void
put_dsn(struct buffer *b, const struct msg_dsn *m)
{
	put_u32(b, m->number);
	put_slice(b, m->dsn);
}

int
get_dsn(const struct frame *f, struct msg_dsn *m)
{
	READ(f, r);

	m->number = get_count(&r, CREDENTIALS_MAX - 1);
	m->dsn = get_string(&r, TEXT_MAX_);
	return wire_done(&r);
}

void
put_conf_tool(struct buffer *b, const struct msg_conf_tool *m)
{
	uint32_t i;

	put_slice(b, m->name);
	put_slice(b, m->source);
	put_slice(b, m->sql);
	put_u32(b, m->binds);
	for (i = 0; i < m->binds; i++)
		put_slice(b, m->bind[i]);
	put_bool(b, m->writes);
	put_u32(b, m->timeout_ms);
	put_u32(b, m->limit_rows);
	put_u32(b, m->limit_bytes);
	put_fixed(b, m->digest, sizeof(m->digest));
	put_u32(b, m->cache_ms);
	put_bool(b, m->cache_shared);
	put_u32(b, m->invalidates);
	for (i = 0; i < m->invalidates; i++)
		put_u32(b, m->invalidate[i]);
	put_rate(b, &m->rate);
	put_u32(b, m->params);
}

int
get_conf_tool(const struct frame *f, struct msg_conf_tool *m)
{
	uint32_t i;
	READ(f, r);

	m->name = get_string(&r, NAME_LEN_MAX);
	m->source = get_string(&r, NAME_LEN_MAX);
	/* Numbers may be longer than the names that they stand for. */
	m->sql = get_string(&r, 2 * SQL_MAX);
	m->binds = get_count(&r, PARAMS_MAX + ATTRIBUTES_MAX);
	for (i = 0; i < m->binds; i++)
		m->bind[i] = get_string(&r, NAME_LEN_MAX * 2);
	m->writes = get_bool(&r);
	m->timeout_ms = get_u32(&r);
	m->limit_rows = get_u32(&r);
	m->limit_bytes = get_u32(&r);
	get_fixed(&r, m->digest, sizeof(m->digest));
	m->cache_ms = get_u32(&r);
	m->cache_shared = get_bool(&r);
	m->invalidates = get_count(&r, INVALIDATES_MAX);
	for (i = 0; i < m->invalidates; i++)
		m->invalidate[i] = get_u32(&r);
	get_rate(&r, &m->rate);
	m->params = get_count(&r, PARAMS_MAX);
	return wire_done(&r);
}

const char *
param_type_name(enum param_type type)
{
	static const char *const names[PARAM_TYPE_MAX] = {
		[PARAM_INTEGER] = "integer", [PARAM_NUMBER] = "number",
		[PARAM_STRING] = "string", [PARAM_BOOLEAN] = "boolean",
		[PARAM_DATE] = "date", [PARAM_TIMESTAMP] = "timestamp",
		[PARAM_UUID] = "uuid", [PARAM_ENUM] = "enum",
	};

	return (unsigned int)type < PARAM_TYPE_MAX ? names[type] : "unknown";
}

void
put_conf_param(struct buffer *b, const struct msg_conf_param *m)
{
	uint32_t i;

	put_slice(b, m->name);
	put_u8(b, m->type);
	put_bool(b, m->required);
	put_u8(b, m->privacy);
	put_bool(b, m->has_default);
	put_slice(b, m->default_json);
	put_bool(b, m->has_minimum);
	put_slice(b, m->minimum);
	put_bool(b, m->has_maximum);
	put_slice(b, m->maximum);
	put_u32(b, m->maximum_length);
	put_slice(b, m->pattern);
	put_u32(b, m->values);
	for (i = 0; i < m->values; i++)
		put_slice(b, m->value[i]);
}

int
get_conf_param(const struct frame *f, struct msg_conf_param *m)
{
	uint32_t i;
	READ(f, r);

	m->name = get_string(&r, NAME_LEN_MAX);
	m->type = (uint8_t)get_enum(&r, PARAM_TYPE_MAX);
	m->required = get_bool(&r);
	m->privacy = (uint8_t)get_enum(&r, PRIVACY_MAX);
	m->has_default = get_bool(&r);
	m->default_json = get_string(&r, 6 * TEXT_MAX_);
	m->has_minimum = get_bool(&r);
	m->minimum = get_string(&r, NAME_LEN_MAX);
	m->has_maximum = get_bool(&r);
	m->maximum = get_string(&r, NAME_LEN_MAX);
	m->maximum_length = get_u32(&r);
	m->pattern = get_string(&r, TEXT_MAX_);
	m->values = get_count(&r, ENUM_MAX);
	for (i = 0; i < m->values; i++)
		m->value[i] = get_string(&r, TEXT_MAX_);
	return wire_done(&r);
}

void
put_conf_auditd(struct buffer *b, const struct msg_conf_auditd *m)
{
	put_slice(b, m->namespace);
	put_slice(b, m->node);
	put_slice(b, m->journal);
	put_u64(b, m->limit);
	put_u64(b, m->segment);
	put_u64(b, m->keep_s);
	put_u32(b, m->checkpoint_records);
	put_u32(b, m->checkpoint_ms);
	put_list(b, m->checkpoint, m->checkpoints);
	put_u8(b, m->on_failure);
	put_slice(b, m->dsn);
}

int
get_conf_auditd(const struct frame *f, struct msg_conf_auditd *m)
{
	READ(f, r);

	m->namespace = get_string(&r, NAME_LEN_MAX);
	m->node = get_string(&r, NODE_NAME_MAX);
	m->journal = get_string(&r, PATH_LEN_MAX);
	m->limit = get_u64(&r);
	m->segment = get_u64(&r);
	m->keep_s = get_u64(&r);
	m->checkpoint_records = get_u32(&r);
	m->checkpoint_ms = get_u32(&r);
	m->checkpoints = get_list(&r, m->checkpoint, CHECKPOINTS_MAX,
	    PATH_LEN_MAX);
	m->on_failure = (uint8_t)get_enum(&r, FAILURE_MAX);
	m->dsn = get_string(&r, TEXT_MAX_);
	return wire_done(&r);
}

void
put_conf_catalogue(struct buffer *b, const struct msg_conf_catalogue *m)
{
	put_u32(b, m->crew);
	put_slice(b, m->config_digest);
	put_u32(b, m->tools);
}

int
get_conf_catalogue(const struct frame *f, struct msg_conf_catalogue *m)
{
	READ(f, r);

	m->crew = get_u32(&r);
	m->config_digest = get_string(&r, 2 * DIGEST_LEN);
	m->tools = get_count(&r, TOOLS_MAX);
	return wire_done(&r);
}

void
put_checked_source(struct buffer *b, const struct msg_checked_source *m)
{
	put_slice(b, m->source);
	put_bool(b, m->up);
	put_slice(b, m->text);
}

int
get_checked_source(const struct frame *f, struct msg_checked_source *m)
{
	READ(f, r);

	m->source = get_string(&r, NAME_LEN_MAX);
	m->up = get_bool(&r);
	m->text = get_string(&r, CHECK_TEXT_MAX);
	return wire_done(&r);
}

void
put_checked_tool(struct buffer *b, const struct msg_checked_tool *m)
{
	put_u32(b, m->tool);
	put_slice(b, m->source);
	put_bool(b, m->refused);
	put_slice(b, m->param);
	put_slice(b, m->text);
}

int
get_checked_tool(const struct frame *f, struct msg_checked_tool *m)
{
	READ(f, r);

	m->tool = get_u32(&r);
	m->source = get_string(&r, NAME_LEN_MAX);
	m->refused = get_bool(&r);
	m->param = get_string(&r, NAME_LEN_MAX);
	m->text = get_string(&r, CHECK_TEXT_MAX);
	return wire_done(&r);
}

void
put_conf_sink(struct buffer *b, const struct msg_conf_sink *m)
{
	put_u8(b, m->kind);
	put_slice(b, m->name);
	put_slice(b, m->target);
	put_slice(b, m->ca);
}

int
get_conf_sink(const struct frame *f, struct msg_conf_sink *m)
{
	READ(f, r);

	m->kind = (uint8_t)get_enum(&r, SINK_KIND_MAX);
	m->name = get_string(&r, NAME_LEN_MAX);
	m->target = get_string(&r, PATH_LEN_MAX);
	m->ca = get_string(&r, PATH_LEN_MAX);
	return wire_done(&r);
}

void
put_conf_tool_digest(struct buffer *b, const struct msg_conf_tool_digest *m)
{
	put_slice(b, m->name);
	put_slice(b, m->digest);
	put_slice(b, m->source);
	put_slice(b, m->sql);
	put_bool(b, m->writes);
}

int
get_conf_tool_digest(const struct frame *f, struct msg_conf_tool_digest *m)
{
	READ(f, r);

	m->name = get_string(&r, NAME_LEN_MAX);
	m->digest = get_string(&r, 2 * DIGEST_LEN);
	m->source = get_string(&r, NAME_LEN_MAX);
	m->sql = get_string(&r, 2 * SQL_MAX);
	m->writes = get_bool(&r);
	return wire_done(&r);
}

void
put_peer(struct buffer *b, const struct msg_peer *m)
{
	put_u8(b, m->role);
	put_u32(b, m->index);
	put_u32(b, m->instance);
	put_u32(b, m->crew);
}

int
get_peer(const struct frame *f, struct msg_peer *m)
{
	READ(f, r);

	m->role = get_u8(&r);
	m->index = get_u32(&r);
	m->instance = get_u32(&r);
	m->crew = get_u32(&r);
	return wire_done(&r);
}

void
put_ticket_key(struct buffer *b, const struct msg_ticket_key *m)
{
	put_u32(b, m->handler_index);
	put_u32(b, m->handler_instance);
	put_u32(b, m->generation);
	put_fixed(b, m->key, sizeof(m->key));
}

int
get_ticket_key(const struct frame *f, struct msg_ticket_key *m)
{
	READ(f, r);

	m->handler_index = get_count(&r, HANDLERS_MAX - 1);
	m->handler_instance = get_u32(&r);
	m->generation = get_u32(&r);
	get_fixed(&r, m->key, sizeof(m->key));
	if (m->generation == 0)
		return -1;
	return wire_done(&r);
}

void
put_keys(struct buffer *b, const struct msg_keys *m)
{
	put_fixed(b, m->pepper, sizeof(m->pepper));
	put_slice(b, m->file);
}

int
get_keys(const struct frame *f, struct msg_keys *m)
{
	READ(f, r);

	get_fixed(&r, m->pepper, sizeof(m->pepper));
	m->file = get_bytes(&r, FRAME_PAYLOAD_MAX);
	return wire_done(&r);
}

void
put_keys_used(struct buffer *b, const struct msg_keys_used *m)
{
	uint32_t i;

	put_u32(b, m->keys);
	for (i = 0; i < m->keys; i++) {
		put_slice(b, m->key[i].id);
		put_u64(b, m->key[i].when);
	}
}

static int
slice_below(struct slice a, struct slice b)
{
	int rc = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

	return rc != 0 ? rc < 0 : a.len < b.len;
}

int
get_keys_used(const struct frame *f, struct msg_keys_used *m)
{
	uint32_t i;
	READ(f, r);

	m->keys = get_u32(&r);
	if (m->keys > KEYS_USED_MAX)
		return -1;
	for (i = 0; i < m->keys; i++) {
		m->key[i].id = get_string(&r, KEY_ID_MAX);
		m->key[i].when = get_u64(&r);
		if (r.bad || m->key[i].id.len == 0 || (i > 0 &&
		    !slice_below(m->key[i - 1].id, m->key[i].id)))
			return -1;
	}
	return wire_done(&r);
}

/* ---- listener <-> authd ------------------------------------------------ */

void
put_authorize(struct buffer *b, const struct msg_authorize *m)
{
	put_u8(b, m->ask);
	put_u32(b, m->handler_index);
	put_u8(b, m->form);
	put_slice(b, m->credential);
	put_slice(b, m->method);
	put_slice(b, m->tool);
	put_fixed(b, m->digest, sizeof(m->digest));
	put_slice(b, m->peer);
	put_slice(b, m->via);
	put_slice(b, m->revision);
	put_slice(b, m->client);
	put_slice(b, m->traceparent);
	put_u8(b, m->outcome);
	put_u8(b, m->reason);
}

int
get_authorize(const struct frame *f, struct msg_authorize *m)
{
	READ(f, r);

	m->ask = (uint8_t)get_enum(&r, ASK_MAX);
	m->handler_index = get_u32(&r);
	m->form = (uint8_t)get_enum(&r, FORM_MAX);
	m->credential = get_string(&r, CREDENTIAL_MAX);
	m->method = get_string(&r, METHOD_MAX);
	m->tool = get_string(&r, TOOL_NAME_MAX);
	get_fixed(&r, m->digest, sizeof(m->digest));
	m->peer = get_string(&r, PEER_MAX);
	m->via = get_string(&r, PEER_MAX);
	m->revision = get_string(&r, REVISION_MAX);
	m->client = get_string(&r, CLIENT_MAX);
	m->traceparent = get_string(&r, TRACE_MAX);
	m->outcome = (uint8_t)get_enum(&r, OUTCOME_MAX);
	m->reason = (uint8_t)get_enum(&r, REASON_MAX);
	return wire_done(&r);
}

void
put_decision(struct buffer *b, const struct msg_decision *m)
{
	put_u8(b, m->outcome);
	put_fixed(b, m->request_id, sizeof(m->request_id));
	put_bool(b, m->no_credential);
	put_u32(b, m->retry_after);
	put_limit_hit(b, &m->limit);
	put_slice(b, m->scope);
	put_slice(b, m->ticket);
	put_bool(b, m->writes);
	put_slice(b, m->tools);
}

int
get_decision(const struct frame *f, struct msg_decision *m)
{
	READ(f, r);

	m->outcome = (uint8_t)get_enum(&r, OUTCOME_MAX);
	get_fixed(&r, m->request_id, sizeof(m->request_id));
	m->no_credential = get_bool(&r);
	m->retry_after = get_u32(&r);
	get_limit_hit(&r, &m->limit);
	m->scope = get_string(&r, SCOPE_MAX);
	m->ticket = get_bytes(&r, TICKET_MAX);
	m->writes = get_bool(&r);
	m->tools = get_bytes(&r, TOOLS_MAX / 8);
	return wire_done(&r);
}

/* ---- listener <-> handler ---------------------------------------------- */

void
put_call(struct buffer *b, const struct msg_call *m)
{
	put_slice(b, m->ticket);
	put_slice(b, m->body);
}

int
get_call(const struct frame *f, struct msg_call *m)
{
	READ(f, r);

	m->ticket = get_bytes(&r, TICKET_MAX);
	m->body = get_bytes(&r, BODY_MAX);
	return wire_done(&r);
}

void
put_result(struct buffer *b, const struct msg_result *m)
{
	put_u8(b, m->outcome);
	put_fixed(b, m->request_id, sizeof(m->request_id));
	put_u32(b, m->retry_after);
	put_limit_hit(b, &m->limit);
	put_slice(b, m->members);
}

int
get_result(const struct frame *f, struct msg_result *m)
{
	READ(f, r);

	m->outcome = (uint8_t)get_enum(&r, OUTCOME_MAX);
	get_fixed(&r, m->request_id, sizeof(m->request_id));
	m->retry_after = get_u32(&r);
	get_limit_hit(&r, &m->limit);
	m->members = get_string(&r, FRAME_PAYLOAD_MAX);
	return wire_done(&r);
}

/* ---- to auditd --------------------------------------------------------- */

void
put_audit_decision(struct buffer *b, const struct msg_audit_decision *m)
{
	put_fixed(b, m->request_id, sizeof(m->request_id));
	put_u64(b, m->time_us);
	put_u8(b, m->outcome);
	put_u8(b, m->reason);
	put_u32(b, m->calls);
	put_identity(b, &m->identity);
	put_slice(b, m->method);
	put_slice(b, m->tool);
	put_slice(b, m->peer);
	put_slice(b, m->via);
	put_slice(b, m->revision);
	put_slice(b, m->client);
	put_slice(b, m->traceparent);
	put_bool(b, m->writes);
	put_u32(b, m->handler_instance);
	put_u32(b, m->listener_instance);
	put_u64(b, m->question);
}

int
get_audit_decision(const struct frame *f, struct msg_audit_decision *m)
{
	READ(f, r);

	get_fixed(&r, m->request_id, sizeof(m->request_id));
	m->time_us = get_u64(&r);
	m->outcome = (uint8_t)get_enum(&r, OUTCOME_MAX);
	m->reason = (uint8_t)get_enum(&r, REASON_MAX);
	m->calls = get_u32(&r);
	get_identity(&r, &m->identity);
	m->method = get_string(&r, METHOD_MAX);
	m->tool = get_string(&r, TOOL_NAME_MAX);
	m->peer = get_string(&r, PEER_MAX);
	m->via = get_string(&r, PEER_MAX);
	m->revision = get_string(&r, REVISION_MAX);
	m->client = get_string(&r, CLIENT_MAX);
	m->traceparent = get_string(&r, TRACE_MAX);
	m->writes = get_bool(&r);
	m->handler_instance = get_u32(&r);
	m->listener_instance = get_u32(&r);
	m->question = get_u64(&r);
	return wire_done(&r);
}

void
put_audit_event(struct buffer *b, const struct msg_audit_event *m)
{
	put_fixed(b, m->id, sizeof(m->id));
	put_slice(b, m->name);
	put_slice(b, m->detail);
}

int
get_audit_event(const struct frame *f, struct msg_audit_event *m)
{
	READ(f, r);

	get_fixed(&r, m->id, sizeof(m->id));
	m->name = get_string(&r, EVENT_NAME_MAX);
	m->detail = get_string(&r, EVENT_DETAIL_MAX);
	return wire_done(&r);
}

void
put_audit_call(struct buffer *b, const struct msg_audit_call *m)
{
	uint32_t i;

	put_fixed(b, m->request_id, sizeof(m->request_id));
	put_u64(b, m->time_us);
	put_u8(b, m->outcome);
	put_u8(b, m->reason);
	put_identity(b, &m->identity);
	put_slice(b, m->tool);
	put_slice(b, m->source);
	put_list(b, m->tried, m->tries);
	put_slice(b, m->params);
	put_u32(b, m->hiddens);
	for (i = 0; i < m->hiddens; i++) {
		put_slice(b, m->hidden[i].name);
		put_slice(b, m->hidden[i].value);
	}
	put_u32(b, m->response_us);
	put_u32(b, m->queue_us);
	put_u32(b, m->source_us);
	put_u64(b, m->rows);
	put_u64(b, m->bytes);
	put_bool(b, m->truncated);
	put_bool(b, m->cache_hit);
	put_bool(b, m->intended);
}

int
get_audit_call(const struct frame *f, struct msg_audit_call *m)
{
	uint32_t i;
	READ(f, r);

	get_fixed(&r, m->request_id, sizeof(m->request_id));
	m->time_us = get_u64(&r);
	m->outcome = (uint8_t)get_enum(&r, OUTCOME_MAX);
	m->reason = (uint8_t)get_enum(&r, REASON_MAX);
	get_identity(&r, &m->identity);
	m->tool = get_string(&r, TOOL_NAME_MAX);
	m->source = get_string(&r, NAME_LEN_MAX);
	m->tries = get_list(&r, m->tried, TRIED_MAX, NAME_LEN_MAX);
	m->params = get_string(&r, PARAMS_JSON_MAX);
	m->hiddens = get_count(&r, PARAMS_MAX);
	for (i = 0; i < m->hiddens; i++) {
		m->hidden[i].name = get_string(&r, NAME_LEN_MAX);
		m->hidden[i].value = get_string(&r, BODY_MAX);
	}
	m->response_us = get_u32(&r);
	m->queue_us = get_u32(&r);
	m->source_us = get_u32(&r);
	m->rows = get_u64(&r);
	m->bytes = get_u64(&r);
	m->truncated = get_bool(&r);
	m->cache_hit = get_bool(&r);
	m->intended = get_bool(&r);
	return wire_done(&r);
}

int
get_number(const struct frame *f, uint32_t *value)
{
	READ(f, r);

	*value = get_u32(&r);
	return wire_done(&r);
}

int
get_flag(const struct frame *f, int *value)
{
	READ(f, r);

	*value = get_bool(&r);
	return wire_done(&r);
}
