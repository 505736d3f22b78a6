/* SPDX-License-Identifier: ISC */

/*
 * Building the configuration as parse.y reads it.  A statement that stands
 * twice, a number out of its bounds or a name of the wrong form is said where
 * it stands; what only the whole file can tell is checked in check.c.
 */

#include <ctype.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/keyfile.h"
#include "../common/log.h"
#include "configure.h"

static uint32_t last_period;	/* of the rate being read */

static void *
need(void *p)
{
	if (p == NULL)
		fatal("out of memory");
	return p;
}

struct config *
config_new(const char *path)
{
	struct config *c = need(calloc(1, sizeof(*c)));

	c->path = need(strdup(path));
	TAILQ_INIT(&c->listens);
	TAILQ_INIT(&c->hosts);
	TAILQ_INIT(&c->origins);
	TAILQ_INIT(&c->sources);
	TAILQ_INIT(&c->tools);
	TAILQ_INIT(&c->not_in_force);
	return c;
}

static void
texts_free(struct text_list *list)
{
	struct text_item *item;

	while ((item = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, item, entry);
		free(item->text);
		free(item);
	}
}

static void
source_free(struct source_conf *s)
{
	struct session_conf *session;

	while ((session = TAILQ_FIRST(&s->sessions)) != NULL) {
		TAILQ_REMOVE(&s->sessions, session, entry);
		free(session->name);
		free(session->value);
		free(session);
	}
	free(s->name);
	free(s->path);
	free(s->dsn.name);
	free(s->fallback);
	free(s);
}

static void
param_free(struct param_conf *p)
{
	texts_free(&p->values);
	free(p->name);
	free(p->default_json);
	free(p->minimum);
	free(p->maximum);
	free(p->pattern);
	free(p->description);
	free(p);
}

static void
tool_free(struct tool_conf *t)
{
	struct param_conf *p;
	uint32_t i;

	while ((p = TAILQ_FIRST(&t->params)) != NULL) {
		TAILQ_REMOVE(&t->params, p, entry);
		param_free(p);
	}
	for (i = 0; i < t->nbinds; i++)
		free(t->bind[i]);
	for (i = 0; i < t->nclaims; i++)
		free(t->claim[i]);
	free(t->name);
	free(t->title);
	free(t->description);
	free(t->scope);
	free(t->source);
	free(t->sql);
	free(t->bound_sql);
	free(t->definition);
	free(t);
}

void
config_free(struct config *c)
{
	struct listen_conf *l;
	struct source_conf *s;
	struct tool_conf *t;

	if (c == NULL)
		return;
	while ((l = TAILQ_FIRST(&c->listens)) != NULL) {
		TAILQ_REMOVE(&c->listens, l, entry);
		free(l->address);
		free(l);
	}
	while ((s = TAILQ_FIRST(&c->sources)) != NULL) {
		TAILQ_REMOVE(&c->sources, s, entry);
		source_free(s);
	}
	while ((t = TAILQ_FIRST(&c->tools)) != NULL) {
		TAILQ_REMOVE(&c->tools, t, entry);
		tool_free(t);
	}
	texts_free(&c->hosts);
	texts_free(&c->origins);
	texts_free(&c->not_in_force);
	free(c->path);
	free(c->namespace);
	free(c->http_path);
	free(c->public_url);
	free(c->public_host);
	free(c->user);
	free(c->control);
	free(c->auth.keys);
	free(c->audit.node);
	free(c->audit.journal);
	free(c->audit.postgres.name);
	free(c);
}

struct source_conf *
config_source(struct config *c, const char *name)
{
	struct source_conf *s;

	TAILQ_FOREACH(s, &c->sources, entry)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

char *
config_absolute(const char *file, const char *name)
{
	char dir[PATH_MAX], path[PATH_LEN_MAX];

	if (name[0] == '/')
		return strdup(name);
	if (strlcpy(dir, file, sizeof(dir)) >= sizeof(dir) ||
	    (size_t)snprintf(path, sizeof(path), "%s/%s", dirname(dir),
	    name) >= sizeof(path))
		return NULL;
	return strdup(path);
}

/* ---- single values ----------------------------------------------------- */

void
set_once(char **to, char *value, const char *what)
{
	if (*to != NULL) {
		config_error("%s is given twice", what);
		free(value);
	} else if (value[0] == '\0') {
		config_error("%s is empty", what);
		free(value);
	} else {
		*to = value;
	}
}

/* [A-Za-z][A-Za-z0-9_.-]{0,63} */
static int
name_ok(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++)
		if (!isalpha((unsigned char)s[i]) && (i == 0 ||
		    (!isdigit((unsigned char)s[i]) &&
		    strchr("_.-", s[i]) == NULL)))
			return 0;
	return i > 0 && i <= NAME_LEN_MAX;
}

void
set_name(char **to, char *value, const char *what)
{
	if (!name_ok(value))
		config_error("%s \"%s\": a name is a letter and up to 63 of "
		    "A-Z a-z 0-9 _ . -", what, value);
	set_once(to, value, what);
}

void
set_path(struct config *c, char **to, char *value, const char *what)
{
	char *path;

	if (value[0] == '\0') {
		config_error("%s is empty", what);
		free(value);
		return;
	}
	path = config_absolute(c->path, value);
	free(value);
	if (path == NULL) {
		config_error("%s: path is longer than %d bytes", what,
		    PATH_LEN_MAX - 1);
		return;
	}
	set_once(to, path, what);
}

void
set_count(uint32_t *to, int64_t value, int64_t max, const char *what)
{
	if (*to != 0)
		config_error("%s is given twice", what);
	else if (value < 1 || value > max)
		config_error("%s must be 1 to %lld", what, (long long)max);
	else
		*to = (uint32_t)value;
}

void
set_time(uint32_t *to, int64_t ms, const char *what)
{
	/* The listener waits 35 s for a handler. */
	if (*to != 0)
		config_error("%s is given twice", what);
	else if (ms < 1 || ms > 30000)
		config_error("%s must be 1ms to 30s", what);
	else
		*to = (uint32_t)ms;
}

int64_t
integer_value(char *text)
{
	const char *problem;
	long long n = strtonum(text, INT64_MIN, INT64_MAX, &problem);

	if (problem != NULL)
		config_error("number %s: %s", text, problem);
	free(text);
	return n;
}

void
rate_period(uint32_t ms)
{
	last_period = ms;
}

void
rate_set(struct rate *r, int64_t count, int64_t burst)
{
	memset(r, 0, sizeof(*r));
	if (count < 1 || count > RATE_MAX || burst < 0 || burst > RATE_MAX) {
		config_error("rate and burst must be 1 to %d", RATE_MAX);
		return;
	}
	r->count = (uint32_t)count;
	r->burst = burst == 0 ? r->count : (uint32_t)burst;
	r->period_ms = last_period;
}

void
secret_set(struct config *c, struct secret_ref *s, enum secret_origin origin,
    char *name)
{
	memset(s, 0, sizeof(*s));
	s->origin = origin;
	s->file = config_file();
	s->line = config_line();
	if (name[0] == '\0' || (origin == SECRET_CREDENTIAL &&
	    (strchr(name, '/') != NULL || strcmp(name, "..") == 0)))
		config_error("secret: bad name \"%s\"", name);
	if (origin != SECRET_FILE) {
		s->name = name;
		return;
	}
	if ((s->name = config_absolute(c->path, name)) == NULL)
		config_error("secret: path is too long");
	free(name);
}

void
secret_free(struct secret_ref *s)
{
	free(s->name);
	memset(s, 0, sizeof(*s));
}

/* ---- lists ------------------------------------------------------------- */

void
add_text(struct text_list *list, char *text, int lower)
{
	struct text_item *item = need(calloc(1, sizeof(*item)));
	size_t i;

	for (i = 0; lower && text[i] != '\0'; i++)
		text[i] = (char)tolower((unsigned char)text[i]);
	if (text[0] == '\0' && lower)
		config_error("empty name");
	item->text = text;
	TAILQ_INSERT_TAIL(list, item, entry);
}

struct text_list *
list_new(char *first)
{
	struct text_list *list = need(calloc(1, sizeof(*list)));

	TAILQ_INIT(list);
	add_text(list, first, 0);
	return list;
}

void
list_free(struct text_list *list)
{
	texts_free(list);
	free(list);
}

void
check_scopes(struct text_list *list)
{
	const struct text_item *item;
	const char *problem;

	TAILQ_FOREACH(item, list, entry)
		if ((problem = scope_problem(slice_of(item->text))) != NULL)
			config_error("scope \"%s\": %s", item->text, problem);
	list_free(list);
}

void
not_in_force(struct config *c, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	n = snprintf(text, sizeof(text), "%s:%d: ", config_file(),
	    config_line());
	if (n < 0 || (size_t)n >= sizeof(text))
		n = 0;
	va_start(ap, fmt);
	(void)vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	add_text(&c->not_in_force, need(strdup(text)), 0);
}

/* ---- listen ------------------------------------------------------------ */

static int
is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

void
add_listen(struct config *c, char *address, int64_t port, int plaintext)
{
	struct listen_conf *l = need(calloc(1, sizeof(*l)));
	const struct listen_conf *other;

	l->address = address;
	l->plaintext = plaintext;
	l->loopback = is_loopback(address);
	if (port < 1 || port > 65535)
		config_error("port must be 1 to 65535");
	l->port = (uint16_t)port;
	if (!l->loopback && !plaintext)
		config_error("listen on %s: this is not loopback and TLS is "
		    "not built: end TLS at a gateway in front and say so with "
		    "the word plaintext", address);
	TAILQ_FOREACH(other, &c->listens, entry)
		if (other->port == l->port &&
		    strcmp(other->address, address) == 0)
			config_error("listen on %s port %u is given twice",
			    address, (unsigned int)l->port);
	TAILQ_INSERT_TAIL(&c->listens, l, entry);
}

/* ---- sources ----------------------------------------------------------- */

struct source_conf *
add_source(struct config *c, char *name, enum source_kind kind)
{
	struct source_conf *s = need(calloc(1, sizeof(*s)));

	if (!name_ok(name))
		config_error("source \"%s\": a name is a letter and up to 63 "
		    "of A-Z a-z 0-9 _ . -", name);
	else if (config_source(c, name) != NULL)
		config_error("source \"%s\" is declared twice", name);
	if (c->nsources == SOURCES_MAX)
		config_error("more than %d sources", SOURCES_MAX);
	else
		c->nsources++;
	s->name = name;
	s->kind = kind;
	s->line = config_line();
	TAILQ_INIT(&s->sessions);
	TAILQ_INSERT_TAIL(&c->sources, s, entry);
	return s;
}

void
source_path(struct config *c, struct source_conf *s, char *path)
{
	set_path(c, &s->path, path, "path of the database");
}

/* The part behind `caller.', or NULL after an error. */
static const char *
caller_value(const char *value)
{
	if (strncmp(value, "caller.", 7) != 0)
		return NULL;
	value += 7;
	if (strcmp(value, "id") == 0 || strcmp(value, "owner") == 0 ||
	    (strncmp(value, "claim.", 6) == 0 && name_ok(value + 6)))
		return value;
	return NULL;
}

void
add_session(struct source_conf *s, char *name, char *value)
{
	struct session_conf *session = need(calloc(1, sizeof(*session)));
	const struct session_conf *other;
	const char *part = caller_value(value);

	if (s->kind != SOURCE_POSTGRES)
		config_error("session is for a postgres source");
	if (part == NULL)
		config_error("session \"%s\": must be caller.id, caller.owner "
		    "or caller.claim.NAME, not %s", name, value);
	/* A setting of our own would undo what holds the tool read-only. */
	if (strchr(name, '.') == NULL || !name_ok(name))
		config_error("session \"%s\": must be a customised setting "
		    "with a dot in its name", name);
	TAILQ_FOREACH(other, &s->sessions, entry)
		if (strcmp(other->name, name) == 0)
			config_error("session \"%s\" is given twice", name);
	if (s->nsessions == SESSIONS_MAX)
		config_error("more than %d session lines", SESSIONS_MAX);
	else
		s->nsessions++;
	session->name = name;
	session->value = need(strdup(part == NULL ? "id" : part));
	free(value);
	TAILQ_INSERT_TAIL(&s->sessions, session, entry);
}

/* ---- tools ------------------------------------------------------------- */

struct tool_conf *
add_tool(struct config *c, char *name)
{
	struct tool_conf *t = need(calloc(1, sizeof(*t)));
	const struct tool_conf *other;

	if (!name_ok(name))
		config_error("tool \"%s\": a name is a letter and up to 63 of "
		    "A-Z a-z 0-9 _ . -", name);
	TAILQ_FOREACH(other, &c->tools, entry)
		if (strcmp(other->name, name) == 0)
			config_error("tool \"%s\" is declared twice", name);
	if (c->ntools == TOOLS_MAX)
		config_error("more than %d tools", TOOLS_MAX);
	else
		c->ntools++;
	t->name = name;
	t->line = config_line();
	TAILQ_INIT(&t->params);
	TAILQ_INSERT_TAIL(&c->tools, t, entry);
	return t;
}

void
tool_sql_line(struct tool_conf *t)
{
	t->sql_line = config_string_line();
}

static int
param_name_ok(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++)
		if (!isalpha((unsigned char)s[i]) && s[i] != '_' &&
		    (i == 0 || !isdigit((unsigned char)s[i])))
			return 0;
	return i > 0 && i <= NAME_LEN_MAX && strcmp(s, "caller") != 0;
}

struct param_conf *
add_param(struct tool_conf *t, char *name, enum param_type type)
{
	struct param_conf *p = need(calloc(1, sizeof(*p)));
	const struct param_conf *other;

	if (!param_name_ok(name))
		config_error("param \"%s\": a name is [A-Za-z_][A-Za-z0-9_]* "
		    "and not caller", name);
	TAILQ_FOREACH(other, &t->params, entry)
		if (strcmp(other->name, name) == 0)
			config_error("param \"%s\" is declared twice", name);
	if (t->nparams == PARAMS_MAX)
		config_error("more than %d params", PARAMS_MAX);
	else
		t->nparams++;
	p->name = name;
	p->type = type;
	p->line = config_line();
	TAILQ_INIT(&p->values);
	TAILQ_INSERT_TAIL(&t->params, p, entry);
	return p;
}

void
param_enum(struct param_conf *p, struct text_list *list)
{
	const struct text_item *other;
	struct text_item *item;

	if (p->type != PARAM_ENUM || p->nvalues > 0) {
		config_error("param \"%s\": only an enum has values, once",
		    p->name);
		list_free(list);
		return;
	}
	while ((item = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, item, entry);
		TAILQ_FOREACH(other, &p->values, entry)
			if (strcmp(other->text, item->text) == 0)
				config_error("param \"%s\": value \"%s\" is "
				    "given twice", p->name, item->text);
		TAILQ_INSERT_TAIL(&p->values, item, entry);
		if (p->nvalues == ENUM_MAX)
			config_error("param \"%s\": more than %d values",
			    p->name, ENUM_MAX);
		else
			p->nvalues++;
	}
	free(list);
}

void
param_default(struct param_conf *p, char *value)
{
	set_once(&p->default_json, value, "default");
}

void
param_privacy(struct param_conf *p, enum privacy privacy)
{
	if (p->privacy != PRIVACY_CLEAR)
		config_error("param \"%s\": redact or omit is given twice",
		    p->name);
	p->privacy = privacy;
}

void
redact_all(struct config *c)
{
	c->audit.redact_all = 1;
}

char *
value_text(char kind, char *text)
{
	char *joined;

	if (asprintf(&joined, "%c%s", kind, text) == -1)
		fatal("out of memory");
	free(text);
	return joined;
}
