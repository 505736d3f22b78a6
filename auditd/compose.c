/* SPDX-License-Identifier: ISC */

/*
 * What stands in a record: authd's word where it has one (who, whence,
 * which tool), the handler's for what became of the call.  A handler's word
 * never replaces authd's.
 */

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "../common/log.h"
#include "../common/proc.h"
#include "auditd.h"

#define TIME_SLACK_US	(86400ULL * 1000000)	/* a sender's clock is ours */
#define DETAIL_MAX	2048

static const struct join_conf *conf;
static struct buffer params;	/* of the record that is being composed */
static struct buffer detail;
static struct buffer texts;	/* of compose_from_line() */

void
compose_init(const struct join_conf *c)
{
	conf = c;
	buffer_init(&params, RECORD_MAX);
	buffer_init(&detail, DETAIL_MAX);
	buffer_init(&texts, RECORD_MAX);
}

void
compose_free(void)
{
	buffer_freezero(&params);
	buffer_free(&detail);
	buffer_free(&texts);
}

/* A time that is not of today is not believed. */
static uint64_t
sane_time(uint64_t time_us)
{
	uint64_t now = wall_us();

	if (time_us + TIME_SLACK_US < now || time_us > now + TIME_SLACK_US)
		return now;
	return time_us;
}

static void
start(struct record *r, enum record_kind kind, uint32_t crew)
{
	const struct catalogue *c = catalogue_of(crew);

	memset(r, 0, sizeof(*r));
	r->kind = kind;
	r->node = slice_of(conf->node);
	r->namespace = slice_of(conf->namespace);
	r->config_digest = slice_of(c == NULL ? "" : c->digest);
}

static void
set_identity(struct record *r, const struct identity *id)
{
	r->credential = id->kind;
	r->key_id = id->key_id;
	r->owner = id->owner;
	r->label = id->label;
}

static void
set_decision(struct record *r, const struct msg_audit_decision *d)
{
	r->has_request = 1;
	memcpy(r->request_id, d->request_id, REQUEST_ID_LEN);
	r->time_us = sane_time(d->time_us);
	set_identity(r, &d->identity);
	r->method = d->method;
	r->tool = d->tool;
	r->peer = d->peer;
	r->via = d->via;
	r->revision = d->revision;
	r->client = d->client;
	r->traceparent = d->traceparent;
}

static void
set_tool(struct record *r, uint32_t crew)
{
	const struct join_tool *tool;

	if ((tool = catalogue_tool(crew, r->tool)) == NULL)
		return;
	r->tool_digest = slice_of(tool->digest);
	if (r->source.len == 0 && r->kind != RECORD_REFUSAL)
		r->source = slice_of(tool->source);
}

/* Members of the detail object; the braces come at the end. */
static void
detail_add(const char *name, const char *value)
{
	(void)buffer_add_char(&detail, detail.len == 0 ? '{' : ',');
	(void)json_write_cstr(&detail, name);
	(void)buffer_add_char(&detail, ':');
	(void)buffer_add_cstr(&detail, value);
}

static void
detail_number(const char *name, uint64_t value)
{
	detail_add(name, "");
	(void)buffer_add_u64(&detail, value);
}

static void
detail_finish(struct record *r)
{
	if (detail.len == 0)
		return;
	if (buffer_add_char(&detail, '}') == -1)
		return;
	r->detail.ptr = (const char *)detail.data;
	r->detail.len = detail.len;
}

static void
set_params(struct record *r, const struct msg_audit_call *c)
{
	const char *why;

	buffer_clear(&params);
	if ((why = arguments_write(&params, c)) != NULL) {
		log_debug("arguments not recorded: %s", why);
		detail_add("params", "");
		(void)json_write_cstr(&detail, why);
		return;
	}
	r->params.ptr = (const char *)params.data;
	r->params.len = params.len;
}

/* More than one source was asked before there was an answer, or none. */
static void
set_tried(const struct msg_audit_call *c)
{
	uint32_t i;

	detail_add("tried", "");
	for (i = 0; i < c->tries; i++) {
		(void)buffer_add_char(&detail, i == 0 ? '[' : ',');
		(void)json_write_string(&detail, c->tried[i].ptr,
		    c->tried[i].len);
	}
	(void)buffer_add_char(&detail, ']');
}

static void
set_call(struct record *r, const struct msg_audit_call *c)
{
	if (!r->has_request) {
		r->has_request = 1;
		memcpy(r->request_id, c->request_id, REQUEST_ID_LEN);
		r->time_us = sane_time(c->time_us);
		set_identity(r, &c->identity);
		r->method = slice_of("tools/call");
		r->tool = c->tool;
	}
	r->source = c->source;
	if (c->tries > 1)
		set_tried(c);
	set_params(r, c);
	if (r->kind == RECORD_INTENT) {
		r->time_us = sane_time(c->time_us);
		return;
	}
	r->outcome = (enum outcome)c->outcome;
	/* These two are for auditd to say. */
	if (r->outcome == OUTCOME_UNKNOWN || r->outcome == OUTCOME_SUPERSEDED)
		r->outcome = OUTCOME_INTERNAL_ERROR;
	r->reason = (enum reason)c->reason;
	if (r->kind == RECORD_OUTCOME)
		r->time_us = sane_time(c->time_us);
	r->ran = 1;
	r->cache_hit = c->cache_hit;
	r->response_us = c->response_us;
	r->queue_us = c->queue_us;
	r->source_us = c->source_us;
	r->rows = c->rows;
	r->bytes = c->bytes;
	r->truncated = c->truncated;
}

void
compose_refusal(struct record *r, const struct msg_audit_decision *d,
    uint32_t crew)
{
	start(r, RECORD_REFUSAL, crew);
	set_decision(r, d);
	r->outcome = (enum outcome)d->outcome;
	r->reason = (enum reason)d->reason;
	r->calls = d->calls == 0 ? 1 : d->calls;
	set_tool(r, crew);
}

void
compose_event(struct record *r, const char *name, const char *detail_json)
{
	start(r, RECORD_EVENT, 0);
	r->time_us = wall_us();
	r->event = slice_of(name);
	r->detail = slice_of(detail_json);
}

void
compose_reported(struct record *r, const struct msg_audit_event *m,
    uint32_t crew)
{
	start(r, RECORD_EVENT, crew);
	r->time_us = wall_us();
	r->has_request = 1;
	memcpy(r->request_id, m->id, sizeof(r->request_id));
	r->event = m->name;
	r->detail = m->detail;
}

void
compose_call(struct record *r, enum record_kind kind,
    const struct msg_audit_decision *d, const struct msg_audit_call *c,
    uint32_t handler, uint32_t crew, int late)
{
	start(r, kind, crew);
	buffer_clear(&detail);
	r->calls = kind != RECORD_INTENT;
	if (d != NULL)
		set_decision(r, d);
	else
		r->undecided = !late;
	if (late)
		detail_add("late", "true");
	/* Who to wait for after a restart; whose word this is. */
	if (kind == RECORD_INTENT || d == NULL)
		detail_number("handler", handler);
	if (c != NULL)
		set_call(r, c);
	set_tool(r, crew);
	detail_finish(r);
}

/*
 * For who reads the log at that level: the same in one line, of what is the
 * configuration's or ours, and the trace.
 */
void
compose_say(const struct record *r)
{
	char id[2 * REQUEST_ID_LEN + 1], tool[NAME_LEN_MAX + 1], peer[64];
	char trace[64];

	if (!log_is_verbose() || r->kind == RECORD_EVENT)
		return;
	hex_encode(id, r->request_id, REQUEST_ID_LEN);
	/* The name of a tool that there is not is the caller's own text. */
	log_safe(tool, sizeof(tool), r->tool_digest.len > 0 ? r->tool :
	    slice_of("-"));
	log_safe(peer, sizeof(peer), r->peer);
	log_safe(trace, sizeof(trace), r->traceparent);
	log_debug("%s: request %s, tool %s, from %s%s%s: %s%s%s",
	    record_kind_name(r->kind), id, tool, peer,
	    trace[0] == '\0' ? "" : ", trace ", trace,
	    r->kind == RECORD_INTENT ? "begins" : outcome_name(r->outcome),
	    r->reason == REASON_NONE ? "" : ", ",
	    r->reason == REASON_NONE ? "" : reason_name(r->reason));
}

/* ---- from the line of an intent ---------------------------------------- */

/* The text of a string value, in a buffer that has room for all of them. */
static struct slice
text_of(const struct record_view *v, enum record_field field)
{
	static struct json j;
	struct slice text = { NULL, 0 };
	size_t start_at = texts.len;

	if (v->field[field].len < 2 || v->field[field].ptr[0] != '"' ||
	    json_parse(&j, v->field[field].ptr, v->field[field].len) == -1 ||
	    json_string(&j, 0, &texts) == -1)
		return text;
	text.ptr = (const char *)texts.data + start_at;
	text.len = texts.len - start_at;
	return text;
}

int
compose_from_line(struct record *r, const char *line, size_t len)
{
	struct record_view v;

	start(r, RECORD_OUTCOME, 0);
	buffer_clear(&texts);
	if (record_view(line, len, &v) == -1 ||
	    view_request_id(v.field[FIELD_REQUEST_ID], r->request_id) == -1 ||
	    buffer_reserve(&texts, len) == NULL)
		return -1;
	r->has_request = 1;
	r->time_us = wall_us();
	r->calls = 1;
	if (view_string_is(v.field[FIELD_CREDENTIAL], "key"))
		r->credential = CREDENTIAL_KEY;
	else if (view_string_is(v.field[FIELD_CREDENTIAL], "token"))
		r->credential = CREDENTIAL_TOKEN;
	r->key_id = text_of(&v, FIELD_KEY_ID);
	r->owner = text_of(&v, FIELD_OWNER_ID);
	r->label = text_of(&v, FIELD_OWNER_LABEL);
	r->method = text_of(&v, FIELD_METHOD);
	r->tool = text_of(&v, FIELD_TOOL_NAME);
	r->source = text_of(&v, FIELD_DATA_SOURCE);
	r->peer = text_of(&v, FIELD_IP_ADDRESS);
	r->via = text_of(&v, FIELD_VIA);
	r->revision = text_of(&v, FIELD_REVISION);
	r->client = text_of(&v, FIELD_CLIENT);
	r->traceparent = text_of(&v, FIELD_TRACEPARENT);
	/* Of the configuration that was in force then. */
	r->tool_digest = text_of(&v, FIELD_TOOL_DIGEST);
	r->config_digest = text_of(&v, FIELD_CONFIG_DIGEST);
	if (v.field[FIELD_TOOL_PARAMS].ptr[0] == '{')
		r->params = v.field[FIELD_TOOL_PARAMS];
	r->undecided = slice_is(v.field[FIELD_UNDECIDED], "true");
	return 0;
}

uint32_t
compose_handler(const struct record_view *v)
{
	static struct json j;
	struct slice text = v->field[FIELD_DETAIL];
	int64_t n;

	if (json_parse(&j, text.ptr, text.len) == -1 ||
	    json_integer(&j, json_member(&j, 0, "handler"), &n) == -1 ||
	    n < 0 || n > UINT32_MAX)
		return 0;
	return (uint32_t)n;
}
