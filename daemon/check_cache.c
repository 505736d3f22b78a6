/* SPDX-License-Identifier: ISC */

/*
 * What may be kept for whom: no result of a tool that writes, and for
 * everybody none that depends on who asks.
 */

#include "../common/compat.h"
#include "configure.h"

static const struct tool_conf *
find_tool(const struct config *c, const char *name)
{
	const struct tool_conf *t;

	TAILQ_FOREACH(t, &c->tools, entry)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

/* What in a tool depends on the caller; NULL: nothing. */
static const char *
asks_who(const struct config *c, const struct tool_conf *t)
{
	const struct source_conf *s;
	uint32_t i;

	for (i = 0; i < t->nbinds; i++)
		if (strncmp(t->bind[i], "c:", 2) == 0)
			return "its sql has a caller's value";
	TAILQ_FOREACH(s, &c->sources, entry)
		if (t->source != NULL && strcmp(s->name, t->source) == 0 &&
		    s->nsessions > 0)
			return "its source is told who asks (session)";
	return NULL;
}

static void
check_kept(const struct config *c, const struct tool_conf *t)
{
	const char *why;

	if (t->writes)
		config_error_at(tool_file(t), t->line, "tool \"%s\" writes: "
		    "its results cannot be cached", t->name);
	else if (t->cache_shared && (why = asks_who(c, t)) != NULL)
		config_error_at(tool_file(t), t->line, "tool \"%s\": cache "
		    "shared would show one caller what is another's: %s",
		    t->name, why);
}

static void
check_invalidates(const struct config *c, const struct tool_conf *t)
{
	const struct text_item *item;
	const struct tool_conf *other;
	uint32_t n = 0;

	if (!t->writes && !TAILQ_EMPTY(&t->invalidates))
		config_error_at(tool_file(t), t->line, "tool \"%s\" does not "
		    "write: it invalidates nothing", t->name);
	TAILQ_FOREACH(item, &t->invalidates, entry) {
		if (++n == INVALIDATES_MAX + 1)
			config_error_at(tool_file(t), t->line, "tool \"%s\" "
			    "invalidates more than %d tools", t->name,
			    INVALIDATES_MAX);
		if ((other = find_tool(c, item->text)) == NULL)
			config_error_at(tool_file(t), t->line, "tool \"%s\": "
			    "invalidates \"%s\", which is not declared",
			    t->name, item->text);
		else if (other->cache_ms == 0)
			config_error_at(tool_file(t), t->line, "tool \"%s\": "
			    "invalidates \"%s\", which is not cached",
			    t->name, item->text);
	}
}

void
caches_check(struct config *c)
{
	struct tool_conf *t;
	uint32_t n = 0;

	TAILQ_FOREACH(t, &c->tools, entry) {
		t->index = n++;
		if (t->cache_ms != 0)
			check_kept(c, t);
		check_invalidates(c, t);
	}
}
