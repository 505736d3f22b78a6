/* SPDX-License-Identifier: ISC */

/*
 * A child's slice of the configuration, as the parent tells it, by who is told.
 * What stands in pontifex.conf has been checked by the parent; a child checks
 * the bounds of what it is told again, since its arrays have them.
 */

#include "message.h"

/* ---- to the listener --------------------------------------------------------- */

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
	struct reader r = frame_reader(f);
	uint32_t i;

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
	struct reader r = frame_reader(f);

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
	struct reader r = frame_reader(f);

	m->name = get_string(&r, NAME_LEN_MAX);
	m->definition = get_string(&r, FRAME_PAYLOAD_MAX);
	return wire_done(&r);
}

/* ---- to authd ---------------------------------------------------------------- */

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
	struct reader r = frame_reader(f);

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
	put_slice(b, m->name);
	put_slice(b, m->scope);
	put_bool(b, m->writes);
	put_rate(b, &m->rate);
	put_list(b, m->claim, m->claims);
}

int
get_conf_tool_rule(const struct frame *f, struct msg_conf_tool_rule *m)
{
	struct reader r = frame_reader(f);

	m->name = get_string(&r, NAME_LEN_MAX);
	m->scope = get_string(&r, SCOPE_MAX);
	m->writes = get_bool(&r);
	get_rate(&r, &m->rate);
	m->claims = get_list(&r, m->claim, ATTRIBUTES_MAX, NAME_LEN_MAX);
	return wire_done(&r);
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
	struct reader r = frame_reader(f);

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
	struct reader r = frame_reader(f);

	m->role = get_string(&r, SCOPE_MAX);
	m->scopes = get_list(&r, m->scope, SCOPES_MAX, SCOPE_MAX);
	return wire_done(&r);
}

/* ---- to the fetcher ---------------------------------------------------------- */

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
	struct reader r = frame_reader(f);

	m->issuer = get_string(&r, URL_MAX);
	m->jwks = get_string(&r, URL_MAX);
	m->ca = get_string(&r, PATH_LEN_MAX);
	m->allow_private = get_bool(&r);
	return wire_done(&r);
}

/* ---- to the handler ---------------------------------------------------------- */

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
	struct reader r = frame_reader(f);

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
	struct reader r = frame_reader(f);

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
	struct reader r = frame_reader(f);
	uint32_t i;

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
put_conf_tool(struct buffer *b, const struct msg_conf_tool *m)
{
	uint32_t i;

	put_slice(b, m->name);
	put_slice(b, m->source);
	put_slice(b, m->sql);
	put_list(b, m->bind, m->binds);
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
	struct reader r = frame_reader(f);
	uint32_t i;

	m->name = get_string(&r, NAME_LEN_MAX);
	m->source = get_string(&r, NAME_LEN_MAX);
	/* Numbers may be longer than the names that they stand for. */
	m->sql = get_string(&r, 2 * SQL_MAX);
	m->binds = get_list(&r, m->bind, PARAMS_MAX + ATTRIBUTES_MAX,
	    NAME_LEN_MAX * 2);
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
	put_list(b, m->value, m->values);
}

int
get_conf_param(const struct frame *f, struct msg_conf_param *m)
{
	struct reader r = frame_reader(f);

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
	m->values = get_list(&r, m->value, ENUM_MAX, TEXT_MAX_);
	return wire_done(&r);
}

/* ---- to auditd --------------------------------------------------------------- */

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
	struct reader r = frame_reader(f);

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
	struct reader r = frame_reader(f);

	m->kind = (uint8_t)get_enum(&r, SINK_KIND_MAX);
	m->name = get_string(&r, NAME_LEN_MAX);
	m->target = get_string(&r, PATH_LEN_MAX);
	m->ca = get_string(&r, PATH_LEN_MAX);
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
	struct reader r = frame_reader(f);

	m->crew = get_u32(&r);
	m->config_digest = get_string(&r, 2 * DIGEST_LEN);
	m->tools = get_count(&r, TOOLS_MAX);
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
	struct reader r = frame_reader(f);

	m->name = get_string(&r, NAME_LEN_MAX);
	m->digest = get_string(&r, 2 * DIGEST_LEN);
	m->source = get_string(&r, NAME_LEN_MAX);
	m->sql = get_string(&r, 2 * SQL_MAX);
	m->writes = get_bool(&r);
	return wire_done(&r);
}
