/* SPDX-License-Identifier: ISC */

/*
 * What the handlers of a crew that rises found at their sources: which could
 * be reached, which statements the databases refuse.  A handler is not
 * trusted: what it says is bounded, made safe to print, and can do no more
 * than keep its own configuration from coming into force.
 */

#include <stdio.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

static const struct tool_conf *
tool_at(const struct config *c, uint32_t index)
{
	const struct tool_conf *t;

	TAILQ_FOREACH(t, &c->tools, entry)
		if (t->index == index)
			return t;
	return NULL;
}

static const struct source_conf *
source_of(const struct config *c, struct slice name)
{
	const struct source_conf *s;

	TAILQ_FOREACH(s, &c->sources, entry)
		if (slice_is(name, s->name))
			return s;
	return NULL;
}

/* The line of a parameter where it is to blame, else of the statement. */
static int
place_of(const struct tool_conf *t, struct slice param, const char **file)
{
	const struct param_conf *p;

	*file = tool_file(t);
	TAILQ_FOREACH(p, &t->params, entry)
		if (slice_is(param, p->name)) {
			*file = param_file(p);
			return p->line;
		}
	return t->sql_line;
}

/* One that stands as it did is down for the crew that serves as well. */
static int
is_unchanged(const struct source_conf *s)
{
	const struct source_conf *old;

	if (parent.serving == NULL)
		return successor_same_config(parent.config);
	old = source_of(parent.serving->config, slice_of(s->name));
	return old != NULL && source_same(old, s);
}

static int
checked_source(struct crew *crew, const struct frame *f)
{
	const struct source_conf *s;
	struct msg_checked_source m;
	char text[CHECK_TEXT_MAX + 1];

	if (get_checked_source(f, &m) == -1 ||
	    (s = source_of(crew->config, m.source)) == NULL)
		return -1;
	if (m.up)
		return 0;
	log_safe(text, sizeof(text), m.text);
	if (!is_unchanged(s)) {
		crew->refused = 1;
		(void)buffer_printf(&crew->found, "%s:%d: source \"%s\": "
		    "cannot be reached: %s\n", source_file(s), s->line,
		    s->name, text);
	} else {
		(void)buffer_printf(&crew->found, "%s:%d: warning: source "
		    "\"%s\": cannot be reached, its statements are not "
		    "checked: %s\n", source_file(s), s->line, s->name, text);
	}
	return 0;
}

static int
checked_tool(struct crew *crew, const struct frame *f)
{
	const struct tool_conf *t;
	struct msg_checked_tool m;
	char text[CHECK_TEXT_MAX + 1];
	const char *file;
	int line;

	if (get_checked_tool(f, &m) == -1 ||
	    (t = tool_at(crew->config, m.tool)) == NULL ||
	    source_of(crew->config, m.source) == NULL)
		return -1;
	log_safe(text, sizeof(text), m.text);
	if (!m.refused) {
		(void)buffer_printf(&crew->described, "%s: ok: %s\n",
		    t->name, text);
		return 0;
	}
	crew->refused = 1;
	line = place_of(t, m.param, &file);
	(void)buffer_printf(&crew->found, "%s:%d: tool \"%s\": source "
	    "\"%.*s\": %s\n", file, line, t->name, (int)m.source.len,
	    m.source.ptr, text);
	return 0;
}

/* All handlers have the same to say: what the first one says is told. */
static int
is_told_by(const struct child_proc *c)
{
	return c->index == 0;
}

int
checked_frame(struct child_proc *c, const struct frame *f)
{
	if (c->crew->state != CREW_RISING || c->checked)
		return -1;
	if (f->type != MSG_CHECKED) {
		if (!is_told_by(c))
			return 0;
		return f->type == MSG_CHECKED_SOURCE ?
		    checked_source(c->crew, f) : checked_tool(c->crew, f);
	}
	if (f->length != 0)
		return -1;
	c->checked = 1;
	if (crew_is_checked(c->crew))
		c->crew->risen(c->crew, NULL);
	return 0;
}
