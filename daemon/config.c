/* SPDX-License-Identifier: ISC */

/*
 * The configuration as a whole, and single values as parse.y reads them.  A
 * value that stands twice or out of its bounds is said where it stands;
 * what only the whole file can tell is checked in check.c.
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

void *
need(void *p)
{
	if (p == NULL)
		fatal("out of memory");
	return p;
}

char *
need_print(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		fatal("out of memory");
	va_end(ap);
	return text;
}

struct config *
config_new(const char *path)
{
	struct config *c = need(calloc(1, sizeof(*c)));

	c->path = need(strdup(path));
	TAILQ_INIT(&c->listens);
	TAILQ_INIT(&c->hosts);
	TAILQ_INIT(&c->audit.checkpoints);
	TAILQ_INIT(&c->origins);
	TAILQ_INIT(&c->sources);
	TAILQ_INIT(&c->tools);
	TAILQ_INIT(&c->auth.issuers);
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
	texts_free(&t->invalidates);
	free(t);
}

static void
issuer_free(struct issuer_conf *i)
{
	struct grant_conf *g;

	while ((g = TAILQ_FIRST(&i->grants)) != NULL) {
		TAILQ_REMOVE(&i->grants, g, entry);
		texts_free(&g->scopes);
		free(g->role);
		free(g);
	}
	texts_free(&i->audiences);
	texts_free(&i->claims);
	free(i->url);
	free(i->jwks);
	free(i->scopes_from);
	free(i->typ);
	free(i->ca);
	free(i);
}

void
config_free(struct config *c)
{
	struct listen_conf *l;
	struct source_conf *s;
	struct issuer_conf *i;
	struct tool_conf *t;

	if (c == NULL)
		return;
	while ((i = TAILQ_FIRST(&c->auth.issuers)) != NULL) {
		TAILQ_REMOVE(&c->auth.issuers, i, entry);
		issuer_free(i);
	}
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
	texts_free(&c->audit.checkpoints);
	while (c->audit.nsinks > 0) {
		c->audit.nsinks--;
		free(c->audit.sink[c->audit.nsinks].name);
		free(c->audit.sink[c->audit.nsinks].target);
		free(c->audit.sink[c->audit.nsinks].ca);
	}
	texts_free(&c->origins);
	texts_free(&c->not_in_force);
	free(c->path);
	free(c->namespace);
	free(c->http_path);
	free(c->public_url);
	free(c->public_host);
	free(c->user);
	free(c->control);
	free(c->metrics.path);
	free(c->metrics.address);
	free(c->auth.keys);
	free(c->audit.node);
	free(c->audit.journal);
	free(c->audit.postgres.name);
	free(c->redis.url.name);
	free(c->redis.ca);
	free(c->redis.key.name);
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

const char *
source_file(const struct source_conf *s)
{
	return ((const struct placed_source *)s)->file;
}

const char *
tool_file(const struct tool_conf *t)
{
	return ((const struct placed_tool *)t)->file;
}

const char *
param_file(const struct param_conf *p)
{
	return ((const struct placed_param *)p)->file;
}

char *
config_absolute(const char *file, const char *name)
{
	char dir[PATH_MAX], path[PATH_LEN_MAX];

	if (name[0] == '/')
		return strlen(name) < PATH_LEN_MAX ? need(strdup(name)) : NULL;
	if (strlcpy(dir, file, sizeof(dir)) >= sizeof(dir))
		return NULL;
	file = dirname(dir);
	if ((size_t)snprintf(path, sizeof(path), "%s/%s",
	    strcmp(file, "/") == 0 ? "" : file, name) >= sizeof(path))
		return NULL;
	return need(strdup(path));
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
int
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

/* Relative paths count from the folder of the file that they stand in. */
void
set_path(char **to, char *value, const char *what)
{
	char *path;

	if (value[0] == '\0') {
		config_error("%s is empty", what);
	} else if ((path = config_absolute(config_file(), value)) == NULL) {
		config_error("%s: the path is longer than %d bytes", what,
		    PATH_LEN_MAX - 1);
	} else {
		set_once(to, path, what);
	}
	free(value);
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
	if (*to != 0)
		config_error("%s is given twice", what);
	else if (ms < 1 || ms > CALL_TIME_MAX)
		config_error("%s must be 1ms to %ds", what,
		    CALL_TIME_MAX / 1000);
	else
		*to = (uint32_t)ms;
}

void
set_life(uint32_t *to, int64_t ms, const char *what)
{
	if (*to != 0)
		config_error("%s is given twice", what);
	else if (ms < LIFE_MIN || ms > LIFE_MAX)
		config_error("%s must be %ds to %dh", what, LIFE_MIN / 1000,
		    LIFE_MAX / 3600000);
	else
		*to = (uint32_t)ms;
}

void
set_kept(uint32_t *to, int64_t ms)
{
	if (*to != 0)
		config_error("cache is given twice");
	else if (ms < 1 || ms > CACHE_TIME_MAX)
		config_error("cache must be 1ms to %dh",
		    CACHE_TIME_MAX / 3600000);
	else
		*to = (uint32_t)ms;
}

/* The lexer has seen to it that it is a number and fits. */
int64_t
integer_value(char *text)
{
	long long n = strtoll(text, NULL, 10);

	free(text);
	return n;
}

/* A burst of -1 was not given: it is what one period grants. */
struct rate
rate_value(int64_t count, int64_t period_ms, int64_t burst)
{
	struct rate r = { 0 };

	if (burst == -1)
		burst = count;
	if (count < 1 || count > RATE_MAX || burst < 1 || burst > RATE_MAX) {
		config_error("rate and burst must be 1 to %d", RATE_MAX);
		return r;
	}
	r.count = (uint32_t)count;
	r.period_ms = (uint32_t)period_ms;
	r.burst = (uint32_t)burst;
	return r;
}

/* A word of the kind that names a variable or a systemd credential. */
static int
secret_name_ok(enum secret_origin origin, const char *name)
{
	if (name[0] == '\0')
		return 0;
	if (origin == SECRET_ENV)
		return strchr(name, '=') == NULL;
	if (origin == SECRET_CREDENTIAL)
		return strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
		    strcmp(name, "..") != 0;
	return 1;
}

struct secret_ref
secret_value(enum secret_origin origin, char *name)
{
	struct secret_ref s = { .origin = origin, .name = name,
	    .file = config_file(), .line = config_line() };

	if (!secret_name_ok(origin, name))
		config_error("secret: \"%s\" is no name of one", name);
	if (origin == SECRET_FILE) {
		if ((s.name = config_absolute(s.file, name)) == NULL) {
			config_error("secret: the path is too long");
			s.name = need(strdup(""));
		}
		free(name);
	}
	return s;
}

void
secret_free(struct secret_ref *s)
{
	free(s->name);
	memset(s, 0, sizeof(*s));
}

char *
value_text(char kind, char *text)
{
	char *joined = need_print("%c%s", kind, text);

	free(text);
	return joined;
}

/* ---- lists ------------------------------------------------------------- */

void
add_text(struct text_list *list, char *text)
{
	struct text_item *item = need(calloc(1, sizeof(*item)));

	item->text = text;
	TAILQ_INSERT_TAIL(list, item, entry);
}

struct text_list *
list_new(char *first)
{
	struct text_list *list = need(calloc(1, sizeof(*list)));

	TAILQ_INIT(list);
	add_text(list, first);
	return list;
}

void
list_free(struct text_list *list)
{
	texts_free(list);
	free(list);
}

void
not_in_force(struct config *c, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	add_text(&c->not_in_force, need_print("%s:%d: %s", config_file(),
	    config_statement_line(), what));
}
