/* SPDX-License-Identifier: ISC */

/*
 * What the whole configuration must be before anything starts: nothing
 * missing, every name declared, every value of its type, every parameter of
 * a statement known.  Errors name the line of what they are about.
 */

#include <ctype.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <unistd.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "../common/keyfile.h"
#include "../common/log.h"
#include "configure.h"

static void
missing(const struct config *c, int line, const char *what)
{
	config_error_at(c->path, line == 0 ? 1 : line, "%s", what);
}

/* ---- parameters -------------------------------------------------------- */

/* YYYY-MM-DD, and for a timestamp Thh:mm:ss[.f](Z|+hh:mm) */
static int
shape_ok(enum param_type type, const char *s)
{
	static const char *const shapes[PARAM_TYPE_MAX] = {
		[PARAM_DATE] = "^[0-9]{4}-(0[1-9]|1[0-2])-"
		    "(0[1-9]|[12][0-9]|3[01])$",
		[PARAM_TIMESTAMP] = "^[0-9]{4}-(0[1-9]|1[0-2])-"
		    "(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:"
		    "[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$",
		[PARAM_UUID] = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-"
		    "[0-9a-fA-F]{12}$",
	};
	regex_t re;
	int rc;

	if (shapes[type] == NULL)
		return 1;
	if (regcomp(&re, shapes[type], REG_EXTENDED | REG_NOSUB) != 0)
		return 0;
	rc = regexec(&re, s, 0, NULL, 0);
	regfree(&re);
	return rc == 0;
}

static int
enum_has(const struct param_conf *p, const char *value)
{
	const struct text_item *item;

	TAILQ_FOREACH(item, &p->values, entry)
		if (strcmp(item->text, value) == 0)
			return 1;
	return 0;
}

/* A number as it was written; NULL where it is none of the right kind. */
static const char *
number_text(const struct param_conf *p, const char *value)
{
	const char *at = value + 1;

	if (value[0] != '1' || (p->type != PARAM_INTEGER &&
	    p->type != PARAM_NUMBER))
		return NULL;
	if (p->type == PARAM_INTEGER && strchr(at, '.') != NULL)
		return NULL;
	/* JSON knows no leading zeros. */
	while (*at == '0' && isdigit((unsigned char)at[1]))
		at++;
	if (*at == '-' && at[1] == '0' && isdigit((unsigned char)at[2]))
		return NULL;
	return at;
}

static void
check_bound(const struct config *c, const struct param_conf *p, char **bound,
    const char *what)
{
	const char *text;
	char *copy;

	if (*bound == NULL)
		return;
	if ((text = number_text(p, *bound)) == NULL) {
		config_error_at(c->path, p->line, "param \"%s\": %s is for "
		    "integer and number, and must be one", p->name, what);
		text = "0";
	}
	if ((copy = strdup(text)) == NULL)
		fatal("out of memory");
	free(*bound);
	*bound = copy;
}

/* Turns the value as it was written into JSON; 0, or -1: not of its type. */
static int
default_json(struct param_conf *p)
{
	const char *value = p->default_json, *number;
	struct buffer b;
	int ok = 0;

	buffer_init(&b, 8 * TEXT_MAX_);
	switch (p->type) {
	case PARAM_INTEGER:
	case PARAM_NUMBER:
		if ((number = number_text(p, value)) != NULL) {
			ok = 1;
			(void)buffer_add_cstr(&b, number);
		}
		break;
	case PARAM_BOOLEAN:
		ok = value[0] == 'w';
		(void)buffer_add_cstr(&b, value + 1);
		break;
	case PARAM_ENUM:
		ok = value[0] == '"' && enum_has(p, value + 1);
		(void)json_write_cstr(&b, value + 1);
		break;
	default:
		ok = value[0] == '"' && shape_ok(p->type, value + 1);
		(void)json_write_cstr(&b, value + 1);
		break;
	}
	(void)buffer_add_char(&b, '\0');
	if (!ok || b.bad) {
		buffer_free(&b);
		return -1;
	}
	free(p->default_json);
	p->default_json = (char *)b.data;
	return 0;
}

static void
check_range(const struct config *c, const struct param_conf *p)
{
	double low = p->minimum == NULL ? -INFINITY : strtod(p->minimum, NULL);
	double high = p->maximum == NULL ? INFINITY : strtod(p->maximum, NULL);
	double value;

	if (low > high)
		config_error_at(c->path, p->line, "param \"%s\": minimum is "
		    "greater than maximum", p->name);
	if (p->default_json == NULL || (p->type != PARAM_INTEGER &&
	    p->type != PARAM_NUMBER))
		return;
	value = strtod(p->default_json, NULL);
	if (value < low || value > high)
		config_error_at(c->path, p->line, "param \"%s\": default is "
		    "outside minimum and maximum", p->name);
}

static void
check_pattern(const struct config *c, const struct param_conf *p)
{
	char message[128];
	regex_t re;
	int rc;

	if (p->pattern == NULL)
		return;
	if (p->type != PARAM_STRING) {
		config_error_at(c->path, p->line, "param \"%s\": pattern is "
		    "for string", p->name);
		return;
	}
	if ((rc = regcomp(&re, p->pattern, REG_EXTENDED | REG_NOSUB)) != 0) {
		(void)regerror(rc, &re, message, sizeof(message));
		config_error_at(c->path, p->line, "param \"%s\": pattern: %s",
		    p->name, message);
		return;
	}
	regfree(&re);
}

static void
check_param(const struct config *c, struct param_conf *p)
{
	if (p->type == PARAM_ENUM && p->nvalues == 0)
		config_error_at(c->path, p->line, "param \"%s\": an enum "
		    "needs its values: { \"a\", \"b\" }", p->name);
	if (p->maximum_length > 0 && p->type != PARAM_STRING)
		config_error_at(c->path, p->line, "param \"%s\": maximum "
		    "length is for string", p->name);
	if (p->required && p->default_json != NULL)
		config_error_at(c->path, p->line, "param \"%s\": required and "
		    "default exclude each other", p->name);
	if (p->default_json != NULL && default_json(p) == -1) {
		config_error_at(c->path, p->line, "param \"%s\": default is "
		    "no %s", p->name, param_type_name(p->type));
		return;
	}
	check_bound(c, p, &p->minimum, "minimum");
	check_bound(c, p, &p->maximum, "maximum");
	check_range(c, p);
	check_pattern(c, p);
	if (c->audit.redact_all && p->privacy == PRIVACY_CLEAR)
		p->privacy = PRIVACY_REDACT;
}

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
need_claim(const struct config *c, struct tool_conf *t, const char *value)
{
	uint32_t i;

	if (strncmp(value, "claim.", 6) != 0)
		return;
	for (i = 0; i < t->nclaims; i++)
		if (strcmp(t->claim[i], value + 6) == 0)
			return;
	if (t->nclaims == ATTRIBUTES_MAX)
		config_error_at(c->path, t->line, "tool \"%s\": more than %d "
		    "claims", t->name, ATTRIBUTES_MAX);
	else if ((t->claim[t->nclaims++] = strdup(value + 6)) == NULL)
		fatal("out of memory");
}

/* What one :name stands for: "p:NAME" or "c:VALUE"; NULL after an error. */
static char *
bind_of(const struct config *c, struct tool_conf *t, const char *name)
{
	char *bind = NULL;
	int rc;

	if (strncmp(name, "caller", 6) == 0 &&
	    (name[6] == '.' || name[6] == '\0')) {
		if (strcmp(name, "caller.id") != 0 &&
		    strcmp(name, "caller.owner") != 0 &&
		    strncmp(name, "caller.claim.", 13) != 0) {
			config_error_at(c->path, t->sql_line, "tool \"%s\": "
			    ":%s: there are caller.id, caller.owner and "
			    "caller.claim.NAME", t->name, name);
			return NULL;
		}
		need_claim(c, t, name + 7);
		rc = asprintf(&bind, "c:%s", name + 7);
	} else if (find_param(t, name) == NULL) {
		config_error_at(c->path, t->sql_line, "tool \"%s\": :%s is "
		    "not declared as a param", t->name, name);
		return NULL;
	} else {
		rc = asprintf(&bind, "p:%s", name);
	}
	if (rc == -1)
		fatal("out of memory");
	return bind;
}

static void
check_sql(struct config *c, struct tool_conf *t, const struct source_conf *s)
{
	const struct session_conf *session;
	const struct param_conf *p;
	struct sql_params params;
	const char *error;
	uint32_t i;
	int line;

	t->bound_sql = sql_scan(t->sql, s->kind == SOURCE_POSTGRES ?
	    SQL_DOLLAR : SQL_QUESTION, &params, &error, &line);
	if (t->bound_sql == NULL) {
		config_error_at(c->path, t->sql_line + line - 1,
		    "tool \"%s\": sql: %s", t->name, error);
		return;
	}
	for (i = 0; i < params.count; i++) {
		t->bind[t->nbinds] = bind_of(c, t, params.name[i]);
		if (t->bind[t->nbinds] != NULL)
			t->nbinds++;
	}
	TAILQ_FOREACH(p, &t->params, entry) {
		for (i = 0; i < params.count; i++)
			if (strcmp(params.name[i], p->name) == 0)
				break;
		if (i == params.count)
			config_error_at(c->path, p->line, "param \"%s\" is "
			    "declared but not in the sql of tool \"%s\"",
			    p->name, t->name);
	}
	TAILQ_FOREACH(session, &s->sessions, entry)
		need_claim(c, t, session->value);
	sql_params_free(&params);
}

static void
digest_tool(struct tool_conf *t)
{
	uint8_t digest[DIGEST_LEN];
	struct buffer b;

	buffer_init(&b, FRAME_PAYLOAD_MAX);
	put_string(&b, t->definition);
	put_string(&b, t->scope);
	put_string(&b, t->source);
	put_string(&b, t->bound_sql);
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
check_tool(struct config *c, struct tool_conf *t)
{
	const char *problem;
	struct source_conf *s = NULL;
	struct param_conf *p;

	if (t->description == NULL)
		config_error_at(c->path, t->line, "tool \"%s\" has no "
		    "description", t->name);
	if (t->scope == NULL)
		config_error_at(c->path, t->line, "tool \"%s\" has no scope",
		    t->name);
	else if ((problem = scope_problem(slice_of(t->scope))) != NULL ||
	    (problem = strchr(t->scope, '*') == NULL ? NULL :
	    "a tool's scope has no *") != NULL)
		config_error_at(c->path, t->line, "tool \"%s\": scope \"%s\": "
		    "%s", t->name, t->scope, problem);
	if (t->sql == NULL)
		config_error_at(c->path, t->line, "tool \"%s\" has no sql",
		    t->name);
	else if (strlen(t->sql) > SQL_MAX)
		config_error_at(c->path, t->line, "tool \"%s\": sql is longer "
		    "than %d bytes", t->name, SQL_MAX);
	if (t->source == NULL)
		config_error_at(c->path, t->line, "tool \"%s\" has no source",
		    t->name);
	else if ((s = config_source(c, t->source)) == NULL)
		config_error_at(c->path, t->line, "tool \"%s\": source \"%s\" "
		    "is not declared", t->name, t->source);
	TAILQ_FOREACH(p, &t->params, entry)
		check_param(c, p);
	if (s == NULL || t->sql == NULL || t->scope == NULL ||
	    t->description == NULL)
		return;
	if (t->writes)
		s->writes = 1;
	check_sql(c, t, s);
	if (t->bound_sql == NULL)
		return;
	if ((t->definition = toolspec_render(c, t)) == NULL)
		config_error_at(c->path, t->line, "tool \"%s\": definition "
		    "too large", t->name);
	else
		digest_tool(t);
}

static void
check_source(struct config *c, struct source_conf *s)
{
	const struct source_conf *f;

	if (s->kind == SOURCE_POSTGRES && s->dsn.origin == SECRET_UNSET)
		config_error_at(c->path, s->line, "source \"%s\" has no dsn",
		    s->name);
	if (s->connections == 0)
		s->connections = DEFAULT_CONNECTIONS;
	if (s->timeout_ms == 0)
		s->timeout_ms = DEFAULT_TIMEOUT_MS;
	if (s->connect_timeout_ms == 0)
		s->connect_timeout_ms = DEFAULT_CONNECT_TIMEOUT_MS;
	if (s->fallback == NULL)
		return;
	if ((f = config_source(c, s->fallback)) == NULL)
		config_error_at(c->path, s->line, "source \"%s\": fallback "
		    "\"%s\" is not declared", s->name, s->fallback);
	else if (f == s)
		config_error_at(c->path, s->line, "source \"%s\" is its own "
		    "fallback", s->name);
	else if (f->kind != s->kind)
		config_error_at(c->path, s->line, "source \"%s\": fallback "
		    "\"%s\" is of another kind", s->name, s->fallback);
	else if (!TAILQ_EMPTY(&f->sessions))
		config_error_at(c->path, f->line, "source \"%s\" stands in "
		    "for \"%s\" and has its session lines: it may declare "
		    "none", f->name, s->name);
}

/* The host of "https://host[:port]/…", lower case; NULL: no such url. */
static char *
url_host(const char *url)
{
	const char *start, *end;
	char *host;
	size_t i;

	if (strncmp(url, "https://", 8) == 0)
		start = url + 8;
	else if (strncmp(url, "http://", 7) == 0)
		start = url + 7;
	else
		return NULL;
	if (start[0] == '[') {
		if ((end = strchr(start, ']')) == NULL)
			return NULL;
		end++;
	} else {
		end = start + strcspn(start, ":/?#");
	}
	if (end == start)
		return NULL;
	if ((host = strndup(start, (size_t)(end - start))) == NULL)
		return NULL;
	for (i = 0; host[i] != '\0'; i++) {
		host[i] = (char)tolower((unsigned char)host[i]);
		if (!isalnum((unsigned char)host[i]) &&
		    strchr(".-[]:", host[i]) == NULL) {
			free(host);
			return NULL;
		}
	}
	return host;
}

static void
check_house(struct config *c)
{
	char node[256];

	if (c->namespace == NULL)
		missing(c, 0, "no namespace is given");
	if (TAILQ_EMPTY(&c->listens))
		missing(c, 0, "no listen line is given");
	if (!c->auth.present)
		missing(c, 0, "no auth block is given: nothing would be "
		    "authenticated");
	else if (c->auth.keys == NULL && c->auth.issuers == 0)
		missing(c, 0, "auth has neither keys nor an issuer");
	if (!c->audit.present || c->audit.journal == NULL)
		missing(c, 0, "no audit journal is given: nothing would be "
		    "recorded");
	if (TAILQ_EMPTY(&c->tools))
		missing(c, 0, "no tool is declared");
	if (c->public_url != NULL &&
	    (c->public_host = url_host(c->public_url)) == NULL)
		missing(c, 0, "public url must be https://host[:port]/path");
	if (c->http_path == NULL &&
	    (c->http_path = strdup("/mcp")) == NULL)
		fatal("out of memory");
	if (c->http_path[0] != '/' || strpbrk(c->http_path, "?# %") != NULL)
		missing(c, 0, "path must begin with / and hold no ? # % or "
		    "blank");
	if (c->control == NULL &&
	    (c->control = strdup("/var/run/pontifexd.sock")) == NULL)
		fatal("out of memory");
	if (c->listeners == 0)
		c->listeners = DEFAULT_LISTENERS;
	if (c->handlers == 0)
		c->handlers = DEFAULT_HANDLERS;
	if (c->audit.node == NULL) {
		if (gethostname(node, sizeof(node)) == -1)
			strlcpy(node, "localhost", sizeof(node));
		node[sizeof(node) - 1] = '\0';
		if ((c->audit.node = strdup(node)) == NULL)
			fatal("out of memory");
	}
}

void
config_check(struct config *c)
{
	struct source_conf *s;
	struct tool_conf *t;

	check_house(c);
	TAILQ_FOREACH(s, &c->sources, entry)
		check_source(c, s);
	TAILQ_FOREACH(t, &c->tools, entry)
		check_tool(c, t);
}
