/* SPDX-License-Identifier: ISC */

/*
 * Two configurations side by side: what a reload would change.  Each field of
 * each kind of thing stands in one table with the function that writes it;
 * what is written differently differs.  A secret is only ever written as where
 * it comes from.
 */

#include <stdio.h>

#include "../common/compat.h"
#include "../common/json.h"
#include "parent.h"

#define FIELD_TEXT_MAX	(1024 * 1024)	/* … of one field, written out */

struct field {
	const char	*name;
	void		(*write)(struct buffer *, const void *);
	unsigned int	 flags;
};
#define NEEDS_RESTART	0x1
#define OF_AUDITD	0x2	/* auditd has it: another is to be started */
#define OF_KEYS		0x4

/* ---- how a field is written -------------------------------------------- */

static void
put_text(struct buffer *b, const char *s)
{
	(void)buffer_add_cstr(b, s == NULL ? "none" : s);
}

static void
put_number(struct buffer *b, uint64_t n)
{
	if (n == 0)
		put_text(b, NULL);
	else
		(void)buffer_add_u64(b, n);
}

static void
put_flag(struct buffer *b, int flag)
{
	put_text(b, flag ? "yes" : "no");
}

static void
put_ms(struct buffer *b, uint64_t ms)
{
	if (ms == 0)
		put_text(b, NULL);
	else if (ms % 1000 == 0)
		(void)buffer_printf(b, "%llus", (unsigned long long)ms / 1000);
	else
		(void)buffer_printf(b, "%llums", (unsigned long long)ms);
}

static void
put_texts(struct buffer *b, const struct text_list *list)
{
	const struct text_item *item;
	const char *comma = "";

	if (TAILQ_EMPTY(list))
		put_text(b, NULL);
	TAILQ_FOREACH(item, list, entry) {
		(void)buffer_printf(b, "%s%s", comma, item->text);
		comma = ", ";
	}
}

static void
put_rate_text(struct buffer *b, const struct rate *r)
{
	if (r->count == 0) {
		put_text(b, NULL);
		return;
	}
	(void)buffer_printf(b, "%u per ", r->count);
	put_ms(b, r->period_ms);
	(void)buffer_printf(b, " burst %u", r->burst);
}

static void
put_secret(struct buffer *b, const struct secret_ref *s)
{
	static const char *const origins[] = {
		[SECRET_UNSET] = "none", [SECRET_ENV] = "env",
		[SECRET_FILE] = "file", [SECRET_CREDENTIAL] = "credential",
	};

	if (s->origin == SECRET_UNSET)
		put_text(b, NULL);
	else
		(void)buffer_printf(b, "from %s \"%s\"", origins[s->origin],
		    s->name);
}

#define WRITER(kind, field, how)					\
static void								\
kind##_##field(struct buffer *b, const void *arg)			\
{									\
	const struct kind##_conf *c = arg;				\
	how;								\
}

/* ---- the house --------------------------------------------------------- */

#define house_conf	config
static void
put_metrics(struct buffer *b, const struct metrics_conf *m)
{
	if (m->address != NULL)
		(void)buffer_printf(b, "%s port %u", m->address,
		    (unsigned int)m->port);
	else
		put_text(b, m->path);
}

WRITER(house, namespace, put_text(b, c->namespace))
WRITER(house, http_path, put_text(b, c->http_path))
WRITER(house, public_url, put_text(b, c->public_url))
WRITER(house, user, put_text(b, c->user))
WRITER(house, hosts, put_texts(b, &c->hosts))
WRITER(house, origins, put_texts(b, &c->origins))
WRITER(house, control, put_text(b, c->control))
WRITER(house, metrics, put_metrics(b, &c->metrics))
WRITER(house, listeners, put_number(b, c->listeners))
WRITER(house, handlers, put_number(b, c->handlers))
WRITER(house, per_source, put_number(b, c->per_source))
WRITER(house, sandbox, put_flag(b, c->sandbox_required))
WRITER(house, keys, put_text(b, c->auth.keys))
WRITER(house, rate, put_rate_text(b, &c->auth.rate))
WRITER(house, in_flight, put_number(b, c->auth.in_flight))

WRITER(house, redis, put_secret(b, &c->redis.url))
WRITER(house, redis_ca, put_text(b, c->redis.ca))
WRITER(house, redis_key, put_secret(b, &c->redis.key))

static void
house_listens(struct buffer *b, const void *arg)
{
	const struct config *c = arg;
	const struct listen_conf *l;
	const char *comma = "";

	TAILQ_FOREACH(l, &c->listens, entry) {
		(void)buffer_printf(b, "%s%s port %u", comma, l->address,
		    (unsigned int)l->port);
		comma = ", ";
	}
}

static void
house_forwarders(struct buffer *b, const void *arg)
{
	const struct config *c = arg;
	uint32_t i;

	if (c->nforwarders == 0)
		put_text(b, NULL);
	for (i = 0; i < c->nforwarders; i++) {
		(void)buffer_add_cstr(b, i == 0 ? "" : ", ");
		(void)buffer_add_hex(b, c->forwarder[i].address,
		    sizeof(c->forwarder[i].address));
		(void)buffer_printf(b, "/%u", c->forwarder[i].bits);
	}
}

WRITER(house, node, put_text(b, c->audit.node))
WRITER(house, journal, put_text(b, c->audit.journal))
WRITER(house, limit, put_number(b, c->audit.limit))
WRITER(house, keep, put_ms(b, c->audit.keep_s * 1000))
WRITER(house, segment, put_number(b, c->audit.segment))
WRITER(house, checkpoint_records, put_number(b, c->audit.checkpoint_records))
WRITER(house, checkpoint_every, put_ms(b, c->audit.checkpoint_ms))
WRITER(house, checkpoints, put_texts(b, &c->audit.checkpoints))
WRITER(house, audit_postgres, put_secret(b, &c->audit.postgres))
WRITER(house, redact, put_flag(b, c->audit.redact_all))

static void
house_sinks(struct buffer *b, const void *arg)
{
	const struct config *c = arg;
	const struct sink_conf *s;
	uint32_t i;

	if (c->audit.nsinks == 0)
		put_text(b, NULL);
	for (i = 0; i < c->audit.nsinks; i++) {
		s = &c->audit.sink[i];
		(void)buffer_printf(b, "%s%s", i == 0 ? "" : ", ", s->name);
		if (s->target != NULL)
			(void)buffer_printf(b, " %s", s->target);
		if (s->ca != NULL)
			(void)buffer_printf(b, " ca %s", s->ca);
	}
}

static void
house_on_failure(struct buffer *b, const void *arg)
{
	static const char *const names[FAILURE_MAX] = {
		[FAILURE_REFUSE] = "refuse", [FAILURE_STOP] = "stop",
		[FAILURE_CONTINUE] = "continue",
	};
	const struct config *c = arg;

	put_text(b, names[c->audit.on_failure]);
}

static const struct field house_fields[] = {
	{ "namespace", house_namespace, OF_AUDITD },
	{ "listen on", house_listens, 0 },
	{ "path", house_http_path, 0 },
	{ "public url", house_public_url, 0 },
	{ "user", house_user, NEEDS_RESTART },
	{ "allow host", house_hosts, 0 },
	{ "allow origin", house_origins, 0 },
	{ "trust forwarded from", house_forwarders, 0 },
	{ "control socket", house_control, NEEDS_RESTART },
	{ "metrics on", house_metrics, NEEDS_RESTART },
	{ "prefork listeners", house_listeners, 0 },
	{ "prefork handlers", house_handlers, 0 },
	{ "limit connections", house_per_source, 0 },
	{ "sandbox require", house_sandbox, 0 },
	{ "redis", house_redis, 0 },
	{ "redis ca", house_redis_ca, 0 },
	{ "redis key", house_redis_key, 0 },
	{ "auth keys", house_keys, OF_KEYS },
	{ "auth rate", house_rate, 0 },
	{ "auth calls in flight", house_in_flight, 0 },
	{ "audit node", house_node, NEEDS_RESTART },
	{ "audit journal", house_journal, NEEDS_RESTART },
	{ "audit journal limit", house_limit, OF_AUDITD },
	{ "audit journal keep", house_keep, OF_AUDITD },
	{ "audit journal segment", house_segment, OF_AUDITD },
	{ "audit checkpoint records", house_checkpoint_records, OF_AUDITD },
	{ "audit checkpoint every", house_checkpoint_every, OF_AUDITD },
	{ "audit checkpoint to", house_checkpoints, OF_AUDITD },
	{ "audit sink", house_sinks, OF_AUDITD },
	{ "audit on failure", house_on_failure, OF_AUDITD },
	{ "audit postgres", house_audit_postgres, OF_AUDITD },
	{ "audit arguments redact", house_redact, 0 },
};

/* ---- sources ----------------------------------------------------------- */

WRITER(source, kind, put_text(b, c->kind == SOURCE_SQLITE ? "sqlite" :
    "postgres"))
WRITER(source, path, put_text(b, c->path))
WRITER(source, dsn, put_secret(b, &c->dsn))
WRITER(source, connections, put_number(b, c->connections))
WRITER(source, timeout, put_ms(b, c->timeout_ms))
WRITER(source, connect_timeout, put_ms(b, c->connect_timeout_ms))
WRITER(source, statement_timeout, put_ms(b, c->statement_timeout_ms))
WRITER(source, pool_wait, put_ms(b, c->pool_wait_ms))
WRITER(source, fallback, put_text(b, c->fallback))

static void
source_sessions(struct buffer *b, const void *arg)
{
	const struct source_conf *c = arg;
	const struct session_conf *s;
	const char *comma = "";

	if (TAILQ_EMPTY(&c->sessions))
		put_text(b, NULL);
	TAILQ_FOREACH(s, &c->sessions, entry) {
		(void)buffer_printf(b, "%s\"%s\" %s", comma, s->name,
		    s->value);
		comma = ", ";
	}
}

static const struct field source_fields[] = {
	{ "kind", source_kind, 0 }, { "file", source_path, 0 },
	{ "dsn", source_dsn, 0 }, { "connections", source_connections, 0 },
	{ "timeout", source_timeout, 0 },
	{ "connect timeout", source_connect_timeout, 0 },
	{ "statement timeout", source_statement_timeout, 0 },
	{ "pool wait", source_pool_wait, 0 },
	{ "fallback", source_fallback, 0 },
	{ "session", source_sessions, 0 },
};

/* ---- issuers ----------------------------------------------------------- */

WRITER(issuer, audiences, put_texts(b, &c->audiences))
WRITER(issuer, jwks, put_text(b, c->jwks))
WRITER(issuer, scopes_from, put_text(b, c->scopes_from))
WRITER(issuer, typ, put_text(b, c->typ))
WRITER(issuer, ca, put_text(b, c->ca))
WRITER(issuer, allow_private, put_flag(b, c->allow_private))
WRITER(issuer, leeway, put_ms(b, c->leeway_ms))
WRITER(issuer, lifetime, put_ms(b, c->lifetime_ms))
WRITER(issuer, rate, put_rate_text(b, &c->rate))
WRITER(issuer, in_flight, put_number(b, c->in_flight))
WRITER(issuer, claims, put_texts(b, &c->claims))

static void
issuer_grants(struct buffer *b, const void *arg)
{
	const struct issuer_conf *c = arg;
	const struct grant_conf *g;

	if (TAILQ_EMPTY(&c->grants))
		put_text(b, NULL);
	TAILQ_FOREACH(g, &c->grants, entry) {
		(void)buffer_printf(b, "role \"%s\": ", g->role);
		put_texts(b, &g->scopes);
		(void)buffer_add_cstr(b, "\n");
	}
}

static const struct field issuer_fields[] = {
	{ "audience", issuer_audiences, 0 }, { "jwks", issuer_jwks, 0 },
	{ "scopes from", issuer_scopes_from, 0 }, { "typ", issuer_typ, 0 },
	{ "ca", issuer_ca, 0 }, { "allow private", issuer_allow_private, 0 },
	{ "leeway", issuer_leeway, 0 }, { "lifetime", issuer_lifetime, 0 },
	{ "rate", issuer_rate, 0 }, { "calls in flight", issuer_in_flight, 0 },
	{ "claims", issuer_claims, 0 },
	{ "role", issuer_grants, 0 },
};

/* ---- tools ------------------------------------------------------------- */

WRITER(tool, title, put_text(b, c->title))
WRITER(tool, description, put_text(b, c->description))
WRITER(tool, scope, put_text(b, c->scope))
WRITER(tool, source, put_text(b, c->source))
WRITER(tool, sql_text, put_text(b, c->sql))
WRITER(tool, writes, put_flag(b, c->writes))
WRITER(tool, timeout, put_ms(b, c->timeout_ms))
WRITER(tool, limit_rows, put_number(b, c->limit_rows))
WRITER(tool, limit_bytes, put_number(b, c->limit_bytes))
WRITER(tool, rate, put_rate_text(b, &c->rate))
WRITER(tool, invalidates, put_texts(b, &c->invalidates))
WRITER(tool, cache, put_ms(b, c->cache_ms);
    (void)buffer_add_cstr(b, c->cache_shared ? " shared" : ""))

static void
put_param(struct buffer *b, const struct param_conf *p)
{
	static const char *const privacies[PRIVACY_MAX] = {
		[PRIVACY_CLEAR] = "", [PRIVACY_REDACT] = " redact",
		[PRIVACY_OMIT] = " omit",
	};

	(void)buffer_printf(b, "%s %s%s%s", p->name,
	    param_type_name(p->type), p->required ? " required" : "",
	    privacies[p->privacy]);
	if (p->default_json != NULL)
		(void)buffer_printf(b, " default %s", p->default_json);
	if (p->minimum != NULL)
		(void)buffer_printf(b, " minimum %s", p->minimum);
	if (p->maximum != NULL)
		(void)buffer_printf(b, " maximum %s", p->maximum);
	if (p->maximum_length > 0)
		(void)buffer_printf(b, " maximum length %u",
		    p->maximum_length);
	if (p->pattern != NULL)
		(void)buffer_printf(b, " pattern %s", p->pattern);
	if (p->nvalues > 0) {
		(void)buffer_add_cstr(b, " of ");
		put_texts(b, &p->values);
	}
	if (p->description != NULL)
		(void)buffer_printf(b, ": %s", p->description);
	(void)buffer_add_cstr(b, "\n");
}

static void
tool_params(struct buffer *b, const void *arg)
{
	const struct tool_conf *c = arg;
	const struct param_conf *p;

	if (TAILQ_EMPTY(&c->params))
		put_text(b, NULL);
	TAILQ_FOREACH(p, &c->params, entry)
		put_param(b, p);
}

static const struct field tool_fields[] = {
	{ "title", tool_title, 0 }, { "description", tool_description, 0 },
	{ "scope", tool_scope, 0 }, { "source", tool_source, 0 },
	{ "sql", tool_sql_text, 0 }, { "writes", tool_writes, 0 },
	{ "timeout", tool_timeout, 0 }, { "limit rows", tool_limit_rows, 0 },
	{ "limit bytes", tool_limit_bytes, 0 }, { "rate", tool_rate, 0 },
	{ "cache", tool_cache, 0 }, { "invalidates", tool_invalidates, 0 },
	{ "param", tool_params, 0 },
};

/* ---- comparing --------------------------------------------------------- */

#define COUNT(fields)	(sizeof(fields) / sizeof((fields)[0]))

/* Both values of a field, NUL-terminated.  Returns whether they differ. */
static int
values(const struct field *f, const void *old, const void *new,
    struct buffer value[2])
{
	buffer_init(&value[0], FIELD_TEXT_MAX);
	buffer_init(&value[1], FIELD_TEXT_MAX);
	f->write(&value[0], old);
	f->write(&value[1], new);
	return value[0].len != value[1].len || (value[0].len > 0 &&
	    memcmp(value[0].data, value[1].data, value[0].len) != 0);
}

/* The first field with one of the flags (0: any) that differs; NULL: none. */
static const char *
first_difference(const struct field *f, size_t n, unsigned int flags,
    const void *old, const void *new)
{
	struct buffer value[2];
	size_t i;
	int differ;

	for (i = 0; i < n; i++) {
		if (flags != 0 && (f[i].flags & flags) == 0)
			continue;
		differ = values(&f[i], old, new, value);
		buffer_free(&value[0]);
		buffer_free(&value[1]);
		if (differ)
			return f[i].name;
	}
	return NULL;
}

const char *
diff_restart(const struct config *old, const struct config *new)
{
	return first_difference(house_fields, COUNT(house_fields),
	    NEEDS_RESTART, old, new);
}

void
diff_put_fixed(struct buffer *b, const struct config *c)
{
	struct buffer value;
	size_t i;

	for (i = 0; i < COUNT(house_fields); i++) {
		if ((house_fields[i].flags & NEEDS_RESTART) == 0)
			continue;
		buffer_init(&value, FIELD_TEXT_MAX);
		house_fields[i].write(&value, c);
		(void)buffer_add_char(&value, '\0');
		(void)buffer_printf(b, "fixed -1 %s\t%.*s\n",
		    house_fields[i].name, (int)strcspn((const char *)
		    value.data, "\n"), (const char *)value.data);
		buffer_free(&value);
	}
}

const char *
diff_fixed(const struct config *c, const char *line)
{
	size_t i, len = strcspn(line, "\t");
	struct buffer value;
	int same;

	for (i = 0; i < COUNT(house_fields); i++) {
		if (strlen(house_fields[i].name) != len ||
		    memcmp(house_fields[i].name, line, len) != 0 ||
		    line[len] == '\0')
			continue;
		buffer_init(&value, FIELD_TEXT_MAX);
		house_fields[i].write(&value, c);
		(void)buffer_add_char(&value, '\0');
		same = strcmp((const char *)value.data, line + len + 1) == 0;
		buffer_free(&value);
		return same ? NULL : house_fields[i].name;
	}
	return NULL;
}

int
audit_same(const struct config *old, const struct config *new)
{
	return first_difference(house_fields, COUNT(house_fields), OF_AUDITD,
	    old, new) == NULL;
}

int
keys_same(const struct config *old, const struct config *new)
{
	return first_difference(house_fields, COUNT(house_fields), OF_KEYS,
	    old, new) == NULL;
}

int
source_same(const struct source_conf *old, const struct source_conf *new)
{
	return first_difference(source_fields, COUNT(source_fields), 0, old,
	    new) == NULL;
}

/* ---- telling ----------------------------------------------------------- */

struct report {
	struct buffer	*out;
	int		 json;
	size_t		 changes;
	size_t		 fields;	/* of the change at hand */
};

/* Lines of one side: "    - SELECT ..." */
static void
add_lines(struct buffer *b, char sign, struct slice text)
{
	const char *at = text.ptr, *end = at + text.len, *nl;

	while (at < end) {
		nl = memchr(at, '\n', (size_t)(end - at));
		(void)buffer_printf(b, "    %c %.*s\n", sign,
		    (int)((nl == NULL ? end : nl) - at), at);
		at = nl == NULL ? end : nl + 1;
	}
}

static struct slice
text_of(const struct buffer *b)
{
	struct slice s = { (const char *)b->data, b->len };

	if (b->data == NULL)
		s.ptr = "";
	return s;
}

static void
tell_text(struct buffer *out, const char *name, const struct buffer value[2])
{
	struct slice old = text_of(&value[0]), new = text_of(&value[1]);

	if (memchr(old.ptr, '\n', old.len) == NULL &&
	    memchr(new.ptr, '\n', new.len) == NULL &&
	    old.len + new.len < 60) {
		(void)buffer_printf(out, "  %s: %.*s -> %.*s\n", name,
		    (int)old.len, old.ptr, (int)new.len, new.ptr);
		return;
	}
	(void)buffer_printf(out, "  %s:\n", name);
	add_lines(out, '-', old);
	add_lines(out, '+', new);
}

static void
tell_json(struct report *r, const char *name, const struct buffer value[2])
{
	static const char *const members[2] = { ",\"old\":", ",\"new\":" };
	struct slice s;
	size_t i;

	(void)buffer_add_cstr(r->out, r->fields == 0 ? ",\"fields\":[" : ",");
	(void)buffer_add_cstr(r->out, "{\"field\":");
	(void)json_write_cstr(r->out, name);
	for (i = 0; i < 2; i++) {
		s = text_of(&value[i]);
		(void)buffer_add_cstr(r->out, members[i]);
		(void)json_write_string(r->out, s.ptr, s.len);
	}
	(void)buffer_add_char(r->out, '}');
}

static void
begin_change(struct report *r, const char *kind, const char *name,
    const char *how)
{
	if (!r->json) {
		(void)buffer_printf(r->out, "%s%s%s: %s\n", kind,
		    name == NULL ? "" : " ", name == NULL ? "" : name, how);
	} else {
		(void)buffer_add_cstr(r->out, r->changes == 0 ? "" : ",");
		(void)buffer_add_cstr(r->out, "{\"kind\":");
		(void)json_write_cstr(r->out, kind);
		(void)buffer_add_cstr(r->out, ",\"name\":");
		if (name == NULL)
			(void)buffer_add_cstr(r->out, "null");
		else
			(void)json_write_cstr(r->out, name);
		(void)buffer_add_cstr(r->out, ",\"change\":");
		(void)json_write_cstr(r->out, how);
	}
	r->changes++;
	r->fields = 0;
}

static void
end_change(struct report *r)
{
	if (r->json)
		(void)buffer_add_cstr(r->out, r->fields > 0 ? "]}" : "}");
}

/* One thing that is in both. */
static void
compare(struct report *r, const char *kind, const char *name,
    const struct field *f, size_t n, const void *old, const void *new)
{
	struct buffer value[2];
	int begun = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (values(&f[i], old, new, value)) {
			if (!begun)
				begin_change(r, kind, name, "changed");
			begun = 1;
			if (r->json)
				tell_json(r, f[i].name, value);
			else
				tell_text(r->out, f[i].name, value);
			r->fields++;
		}
		buffer_free(&value[0]);
		buffer_free(&value[1]);
	}
	if (begun)
		end_change(r);
}

static void
came_or_went(struct report *r, const char *kind, const char *name, int came)
{
	begin_change(r, kind, name, came ? "added" : "removed");
	end_change(r);
}

/*
 * Things of one kind, found by what names them.  The order of tools is part
 * of a listing and no more: it is not told.
 */
#define COMPARE_ALL(list, by, kind, fields)				\
	TAILQ_FOREACH(a, &old->list, entry) {				\
		TAILQ_FOREACH(b, &new->list, entry)			\
			if (strcmp(a->by, b->by) == 0)			\
				break;					\
		if (b == NULL)						\
			came_or_went(r, kind, a->by, 0);		\
		else							\
			compare(r, kind, a->by, fields, COUNT(fields),	\
			    a, b);					\
	}								\
	TAILQ_FOREACH(b, &new->list, entry) {				\
		TAILQ_FOREACH(a, &old->list, entry)			\
			if (strcmp(a->by, b->by) == 0)			\
				break;					\
		if (a == NULL)						\
			came_or_went(r, kind, b->by, 1);		\
	}

static void
compare_sources(struct report *r, const struct config *old,
    const struct config *new)
{
	const struct source_conf *a, *b;

	COMPARE_ALL(sources, name, "source", source_fields)
}

static void
compare_issuers(struct report *r, const struct config *old,
    const struct config *new)
{
	const struct issuer_conf *a, *b;

	COMPARE_ALL(auth.issuers, url, "issuer", issuer_fields)
}

static void
compare_tools(struct report *r, const struct config *old,
    const struct config *new)
{
	const struct tool_conf *a, *b;

	COMPARE_ALL(tools, name, "tool", tool_fields)
}

int
diff_tell(struct buffer *out, const struct config *old,
    const struct config *new, int json)
{
	struct report r = { out, json, 0, 0 };
	const char *restart = diff_restart(old, new);

	if (json) {
		(void)buffer_printf(out, "{\"from\":\"%s\",\"to\":\"%s\","
		    "\"changes\":[", old->digest, new->digest);
	}
	compare(&r, "daemon", NULL, house_fields, COUNT(house_fields), old,
	    new);
	compare_sources(&r, old, new);
	compare_issuers(&r, old, new);
	compare_tools(&r, old, new);
	if (json) {
		(void)buffer_add_cstr(out, "],\"needs_restart\":");
		if (restart == NULL)
			(void)buffer_add_cstr(out, "null");
		else
			(void)json_write_cstr(out, restart);
		(void)buffer_add_cstr(out, "}\n");
	} else if (r.changes == 0) {
		(void)buffer_add_cstr(out, strcmp(old->digest, new->digest) ==
		    0 ? "nothing differs\n" : "the text differs, and nothing "
		    "that it says\n");
	} else if (restart != NULL) {
		(void)buffer_printf(out, "a reload is refused: %s cannot "
		    "change while the daemon runs\n", restart);
	}
	return r.changes > 0;
}
