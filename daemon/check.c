/* SPDX-License-Identifier: ISC */

/*
 * What the whole configuration must be before anything starts: nothing
 * missing, every name declared, every parameter of a statement known.
 * Errors name the line of what they are about.
 */

#include <stdio.h>
#include <unistd.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/keyfile.h"
#include "../common/log.h"
#include "configure.h"

/* ---- statements -------------------------------------------------------- */

static struct param_conf *
find_param(const struct tool_conf *t, const char *name)
{
	struct param_conf *p;

	TAILQ_FOREACH(p, &t->params, entry)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

static void
need_claim(struct tool_conf *t, const char *value)
{
	uint32_t i;

	if (strncmp(value, "claim.", 6) != 0)
		return;
	for (i = 0; i < t->nclaims; i++)
		if (strcmp(t->claim[i], value + 6) == 0)
			return;
	if (t->nclaims == ATTRIBUTES_MAX)
		config_error_at(tool_file(t), t->line, "tool \"%s\": more "
		    "than %d claims", t->name, ATTRIBUTES_MAX);
	else
		t->claim[t->nclaims++] = need(strdup(value + 6));
}

/* The part of :caller.X behind the dot, or NULL where there is no such X. */
static const char *
caller_part(const char *name)
{
	if (strcmp(name, "caller.id") == 0 || strcmp(name, "caller.owner") == 0)
		return name + 7;
	if (strncmp(name, "caller.claim.", 13) == 0 && name_ok(name + 13))
		return name + 7;
	return NULL;
}

/* What one :name stands for: "p:NAME" or "c:VALUE"; NULL after an error. */
static char *
bind_of(struct tool_conf *t, const char *name, int line)
{
	const char *part;

	if (strncmp(name, "caller", 6) != 0 ||
	    (name[6] != '.' && name[6] != '\0')) {
		if (find_param(t, name) != NULL)
			return need_print("p:%s", name);
		config_error_at(tool_file(t), line, "tool \"%s\": :%s is not "
		    "declared as a param", t->name, name);
	} else if ((part = caller_part(name)) != NULL) {
		need_claim(t, part);
		return need_print("c:%s", part);
	} else {
		config_error_at(tool_file(t), line, "tool \"%s\": :%s: there "
		    "are caller.id, caller.owner and caller.claim.NAME",
		    t->name, name);
	}
	return NULL;
}

/* Whatever is declared is also asked of the caller: it must be of use. */
static void
check_unused(const struct tool_conf *t, const struct sql_params *params)
{
	const struct param_conf *p;
	uint32_t i;

	TAILQ_FOREACH(p, &t->params, entry) {
		for (i = 0; i < params->count; i++)
			if (strcmp(params->name[i], p->name) == 0)
				break;
		if (i == params->count)
			config_error_at(param_file(p), p->line, "param \"%s\" "
			    "is declared but not in the sql of tool \"%s\"",
			    p->name, t->name);
	}
}

static void
check_sql(struct tool_conf *t, enum sql_style style)
{
	struct sql_params params;
	const char *error;
	uint32_t i;
	char *bind;
	int line;

	t->bound_sql = sql_scan(t->sql, style, &params, &error, &line);
	if (t->bound_sql == NULL) {
		config_error_at(tool_file(t), t->sql_line + line - 1,
		    "tool \"%s\": sql: %s", t->name, error);
		return;
	}
	for (i = 0; i < params.count; i++) {
		line = t->sql_line - 1 + sql_param_line(t->sql, style,
		    params.name[i]);
		if ((bind = bind_of(t, params.name[i], line)) != NULL)
			t->bind[t->nbinds++] = bind;
	}
	check_unused(t, &params);
	sql_params_free(&params);
}

/* ---- tools ------------------------------------------------------------- */

/* All that decides what a call does; not what it is told of it alone. */
static void
digest_tool(struct tool_conf *t)
{
	uint8_t digest[DIGEST_LEN];
	struct buffer b;
	uint32_t i;

	buffer_init(&b, FRAME_PAYLOAD_MAX);
	put_string(&b, t->definition);
	put_string(&b, t->scope);
	put_string(&b, t->source);
	put_string(&b, t->bound_sql);
	/* Two names that change places leave the numbers as they were. */
	for (i = 0; i < t->nbinds; i++)
		put_string(&b, t->bind[i]);
	put_u8(&b, t->writes != 0);
	put_u32(&b, t->timeout_ms);
	put_u32(&b, t->limit_rows);
	put_u32(&b, t->limit_bytes);
	if (b.bad)
		fatal("tool %s: definition too large", t->name);
	sha256(b.data, b.len, digest);
	hex_encode(t->digest, digest, sizeof(digest));
	buffer_free(&b);
}

static void
check_scope(const struct tool_conf *t)
{
	const char *problem = scope_problem(slice_of(t->scope));

	if (problem == NULL && strchr(t->scope, '*') != NULL)
		problem = "a tool's scope has no *";
	if (problem != NULL)
		config_error_at(tool_file(t), t->line, "tool \"%s\": scope "
		    "\"%s\": %s", t->name, t->scope, problem);
}

static void
check_tool(struct config *c, struct tool_conf *t)
{
	const struct session_conf *session;
	const struct {
		const char	*value;
		const char	*what;
	} needed[] = {
		{ t->description, "description" }, { t->scope, "scope" },
		{ t->source, "source" }, { t->sql, "sql" },
	};
	struct source_conf *s = NULL;
	struct param_conf *p;
	int errors = config_errors();
	size_t i;

	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (needed[i].value == NULL)
			config_error_at(tool_file(t), t->line, "tool \"%s\" "
			    "has no %s", t->name, needed[i].what);
	if (t->scope != NULL)
		check_scope(t);
	if (t->source != NULL && (s = config_source(c, t->source)) == NULL)
		config_error_at(tool_file(t), t->line, "tool \"%s\": source "
		    "\"%s\" is not declared", t->name, t->source);
	TAILQ_FOREACH(p, &t->params, entry)
		param_check(p, c->audit.redact_all);
	if (s != NULL && t->writes)
		s->writes = 1;
	/* How a statement reads is its source's to say. */
	if (t->sql != NULL && s != NULL)
		check_sql(t, s->kind == SOURCE_POSTGRES ? SQL_DOLLAR :
		    SQL_QUESTION);
	if (config_errors() > errors)
		return;
	TAILQ_FOREACH(session, &s->sessions, entry)
		need_claim(t, session->value);
	if ((t->definition = toolspec_render(c, t)) == NULL)
		config_error_at(tool_file(t), t->line, "tool \"%s\": the "
		    "definition is too large", t->name);
	else
		digest_tool(t);
}

/* ---- sources ----------------------------------------------------------- */

static int
has_session(const struct source_conf *s, const struct session_conf *wanted)
{
	const struct session_conf *session;

	TAILQ_FOREACH(session, &s->sessions, entry)
		if (strcmp(session->name, wanted->name) == 0 &&
		    strcmp(session->value, wanted->value) == 0)
			return 1;
	return 0;
}

static int
same_sessions(const struct source_conf *a, const struct source_conf *b)
{
	const struct session_conf *session;

	TAILQ_FOREACH(session, &a->sessions, entry)
		if (!has_session(b, session))
			return 0;
	return a->nsessions == b->nsessions;
}

static void
copy_sessions(struct source_conf *to, const struct source_conf *from)
{
	const struct session_conf *session;
	struct session_conf *copy;

	TAILQ_FOREACH(session, &from->sessions, entry) {
		copy = need(calloc(1, sizeof(*copy)));
		copy->name = need(strdup(session->name));
		copy->value = need(strdup(session->value));
		TAILQ_INSERT_TAIL(&to->sessions, copy, entry);
		to->nsessions++;
	}
}

/*
 * Who stands in for s shows the database the same caller: it inherits the
 * session lines, also where a tool names it directly.
 */
static void
check_fallback(struct config *c, struct source_conf *s)
{
	struct source_conf *f = config_source(c, s->fallback);
	struct source_conf *next;
	uint32_t n = 0;

	if (f == NULL)
		config_error_at(source_file(s), s->line, "source \"%s\": "
		    "fallback \"%s\" is not declared", s->name, s->fallback);
	else if (f->kind != s->kind)
		config_error_at(source_file(s), s->line, "source \"%s\": "
		    "fallback \"%s\" is of another kind", s->name,
		    s->fallback);
	for (next = f; next != NULL && next != s && n < c->nsources; n++)
		next = next->fallback == NULL ? NULL :
		    config_source(c, next->fallback);
	if (next == s)
		config_error_at(source_file(s), s->line, "source \"%s\" is "
		    "its own fallback", s->name);
}

/* One step down each chain; as many steps as sources reach every end. */
static int
inherit_sessions(struct config *c)
{
	struct source_conf *s, *f;
	int changed = 0;

	TAILQ_FOREACH(s, &c->sources, entry) {
		if (s->fallback == NULL || s->nsessions == 0)
			continue;
		f = config_source(c, s->fallback);
		if (f->nsessions == 0) {
			copy_sessions(f, s);
			changed = 1;
		} else if (!same_sessions(s, f)) {
			config_error_at(source_file(f), f->line, "source "
			    "\"%s\" stands in for \"%s\" and inherits its "
			    "session lines: it may have no others", f->name,
			    s->name);
			return 0;
		}
	}
	return changed;
}

/* A source that has lines of its own, and stands in for one that has none. */
static void
check_widened(struct config *c)
{
	const struct source_conf *s, *f;

	TAILQ_FOREACH(s, &c->sources, entry) {
		if (s->fallback == NULL || s->nsessions > 0)
			continue;
		f = config_source(c, s->fallback);
		if (f->nsessions > 0)
			config_error_at(source_file(f), f->line, "source "
			    "\"%s\" stands in for \"%s\", which has no "
			    "session lines: it may have none either",
			    f->name, s->name);
	}
}

static void
check_sources(struct config *c)
{
	struct source_conf *s;
	int errors = config_errors();

	TAILQ_FOREACH(s, &c->sources, entry) {
		if (s->kind == SOURCE_POSTGRES && s->dsn.origin == SECRET_UNSET)
			config_error_at(source_file(s), s->line, "source "
			    "\"%s\" has no dsn", s->name);
		if (s->kind != SOURCE_POSTGRES && s->pooler)
			config_error_at(source_file(s), s->line, "source "
			    "\"%s\": pooler is for a postgres source",
			    s->name);
		if (s->connections == 0)
			s->connections = DEFAULT_CONNECTIONS;
		if (s->timeout_ms == 0)
			s->timeout_ms = DEFAULT_TIMEOUT_MS;
		if (s->connect_timeout_ms == 0)
			s->connect_timeout_ms = DEFAULT_CONNECT_TIMEOUT_MS;
		if (s->lifetime_ms == 0)
			s->lifetime_ms = DEFAULT_LIFETIME_MS;
		if (s->idle_ms == 0)
			s->idle_ms = DEFAULT_IDLE_MS;
		if (s->fallback != NULL)
			check_fallback(c, s);
	}
	if (config_errors() > errors)
		return;
	while (inherit_sessions(c))
		;
	if (config_errors() == errors)
		check_widened(c);
}

/* ---- the house --------------------------------------------------------- */

static void
check_present(const struct config *c)
{
	const struct {
		int		 present;
		const char	*message;
	} needed[] = {
		{ c->namespace != NULL, "no namespace is given" },
		{ !TAILQ_EMPTY(&c->listens), "no listen line is given" },
		{ c->auth.present, "no auth block is given: nothing would be "
		    "authenticated" },
		{ !c->auth.present || c->auth.keys != NULL ||
		    c->auth.nissuers > 0, "auth has neither keys nor an issuer" },
		{ c->audit.present && c->audit.journal != NULL,
		    "no audit journal is given: nothing would be recorded" },
		{ !TAILQ_EMPTY(&c->tools), "no tool is declared" },
	};
	size_t i;

	/* What is missing has no line. */
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!needed[i].present)
			config_error_at(c->path, 1, "%s", needed[i].message);
}

static void
set_defaults(struct config *c)
{
	char node[NODE_NAME_MAX];

	if (c->http_path == NULL)
		c->http_path = need(strdup("/mcp"));
	if (c->control == NULL)
		c->control = need(strdup(CONTROL_SOCKET));
	if (c->listeners == 0)
		c->listeners = DEFAULT_LISTENERS;
	if (c->handlers == 0)
		c->handlers = DEFAULT_HANDLERS;
	if (c->auth.in_flight == 0)
		c->auth.in_flight = DEFAULT_IN_FLIGHT;
	if (c->audit.node != NULL)
		return;
	if (gethostname(node, sizeof(node)) == -1)
		(void)strlcpy(node, "localhost", sizeof(node));
	node[sizeof(node) - 1] = '\0';
	c->audit.node = need(strdup(node));
}

/* A key for nothing is a line that its writer takes to be in force. */
static void
check_redis(const struct config *c)
{
	const struct secret_ref *key = &c->redis.key;

	if (key->origin != SECRET_UNSET && c->redis.url.origin == SECRET_UNSET)
		config_error_at(key->file, key->line, "redis key is given, "
		    "but no redis");
}

static void
check_metrics(const struct config *c)
{
	const struct metrics_conf *m = &c->metrics;
	const struct listen_conf *l;

	TAILQ_FOREACH(l, &c->listens, entry)
		if (m->address != NULL && l->port == m->port &&
		    strcmp(l->address, m->address) == 0)
			config_error_at(m->file, m->line, "metrics on %s port "
			    "%u: that is a listen line's", m->address,
			    (unsigned int)m->port);
}

void
config_check(struct config *c)
{
	struct tool_conf *t;

	check_present(c);
	set_defaults(c);
	check_metrics(c);
	issuers_check(c);
	check_redis(c);
	check_sources(c);
	TAILQ_FOREACH(t, &c->tools, entry)
		check_tool(c, t);
	caches_check(c);
}
