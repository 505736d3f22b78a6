/* SPDX-License-Identifier: ISC */

/*
 * What the sources say of a configuration before it is in force: which can be
 * reached, which statements they refuse and, for `pontifexd -nn', what each
 * takes and gives.  It is told to the parent once, when every source has
 * either prepared all its statements on one connection or failed to connect
 * on all of them.  Words are the database's own; no argument was bound yet and
 * no credential stands in them.
 */

#include <stdarg.h>
#include <stdio.h>

#include <event2/event.h>

#include "../../common/log.h"
#include "survey.h"

static enum check_mode mode;
static struct event *due;
static int told;

struct survey_tool *
survey_tool(struct source *s, const struct tool *t)
{
	return s->survey == NULL ? NULL :
	    &s->survey->tool[tool_slot(t, s)];
}

static void
set_text(char **to, const char *text)
{
	char safe[CHECK_TEXT_MAX];
	struct slice words = slice_of(text);

	/* libpq ends its messages with a newline. */
	while (words.len > 0 && words.ptr[words.len - 1] == '\n')
		words.len--;
	free(*to);
	*to = strdup(log_safe(safe, sizeof(safe), words));
}

void
survey_refused(struct source *s, const struct tool *t, const char *param,
    const char *fmt, ...)
{
	struct survey_tool *st = survey_tool(s, t);
	char text[CHECK_TEXT_MAX];
	va_list ap;

	if (st == NULL || s->survey->state == SURVEY_UP)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	st->param = param;
	set_text(&st->refused, text);
}

void
survey_describe_params(struct buffer *b, const struct tool *t,
    const char *(*type)(const struct tool *, uint32_t))
{
	const struct bind *bind;
	uint32_t i;

	if (t->nbinds == 0)
		(void)buffer_add_cstr(b, "nothing");
	for (i = 0; i < t->nbinds; i++) {
		bind = &t->binds[i];
		(void)buffer_printf(b, "%s%s%s", i == 0 ? "" : ", ",
		    bind->of_caller ? "caller." : "", bind->name);
		if (type != NULL)
			(void)buffer_printf(b, " %s", type(t, i));
		else if (!bind->of_caller)
			(void)buffer_printf(b, " %s",
			    param_type_name(t->params[bind->param].type));
	}
}

void
survey_describe_end(struct source *s, const struct tool *t, struct buffer *b)
{
	struct survey_tool *st = survey_tool(s, t);

	/* Longer than it is told: its begin says enough. */
	if (b->bad && b->len > 0)
		b->len--;
	b->bad = 0;
	if (buffer_add_char(b, '\0') == 0 && st != NULL)
		set_text(&st->described, (const char *)b->data);
	buffer_free(b);
}

/* ---- telling ----------------------------------------------------------- */

static int
send_tool(const struct source *s, const struct tool *t,
    const struct survey_tool *st)
{
	struct msg_checked_tool m = { .tool = t->index,
	    .source = slice_of(s->name), .refused = st->refused != NULL,
	    .param = slice_of(st->param == NULL ? "" : st->param) };
	struct buffer *b;

	if (st->refused == NULL && st->described == NULL)
		return 0;
	m.text = slice_of(st->refused != NULL ? st->refused : st->described);
	if ((b = channel_begin(child.control, MSG_CHECKED_TOOL, 0)) == NULL)
		return -1;
	put_checked_tool(b, &m);
	return channel_commit(child.control);
}

static int
send_source(struct source *s)
{
	const struct survey *v = s->survey;
	struct msg_checked_source m = { .source = slice_of(s->name),
	    .up = v->state == SURVEY_UP,
	    .text = slice_of(v->why == NULL ? "" : v->why) };
	struct buffer *b;
	uint32_t i;

	if ((b = channel_begin(child.control, MSG_CHECKED_SOURCE, 0)) == NULL)
		return -1;
	put_checked_source(b, &m);
	if (channel_commit(child.control) == -1)
		return -1;
	for (i = 0; v->state == SURVEY_UP && i < s->ntools; i++)
		if (send_tool(s, s->tools[i], &v->tool[i]) == -1)
			return -1;
	return 0;
}

static void
survey_free(struct source *s)
{
	uint32_t i;

	for (i = 0; i < s->ntools; i++) {
		free(s->survey->tool[i].refused);
		free(s->survey->tool[i].described);
		free(s->survey->tool[i].guess);
	}
	free(s->survey->why);
	free(s->survey->tool);
	free(s->survey);
	s->survey = NULL;
}

/* In the loop, where the parent can be told. */
static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct source *s;
	uint32_t i;

	(void)fd;
	(void)what;
	(void)arg;
	for (i = 0; (s = source_at(i)) != NULL; i++)
		if (send_source(s) == -1)
			fatal("the parent cannot be told what was found");
	(void)channel_send(child.control, MSG_CHECKED, 0, NULL, 0);
	for (i = 0; (s = source_at(i)) != NULL; i++)
		survey_free(s);
}

static void
look(void)
{
	const struct source *s;
	uint32_t i;

	if (told || due == NULL)
		return;
	for (i = 0; (s = source_at(i)) != NULL; i++)
		if (s->survey->state == SURVEY_OPEN)
			return;
	told = 1;
	event_active(due, EV_TIMEOUT, 0);
}

static void
settle(struct source *s, enum survey_state state, const char *why)
{
	/* One connection that works is enough, whatever became of others. */
	if (s->survey == NULL || told || s->survey->state == SURVEY_UP)
		return;
	s->survey->state = state;
	set_text(&s->survey->why, why);
	look();
}

void
survey_up(struct source *s)
{
	settle(s, SURVEY_UP, "");
}

void
survey_down(struct source *s, const char *why)
{
	settle(s, SURVEY_DOWN, why);
}

void
survey_mode(enum check_mode m)
{
	mode = m;
}

int
survey_describes(const struct source *s)
{
	return s->survey != NULL && mode == CHECK_DESCRIBE;
}

int
survey_prepare(void)
{
	struct source *s;
	uint32_t i;

	for (i = 0; mode != CHECK_NONE && (s = source_at(i)) != NULL; i++) {
		if ((s->survey = calloc(1, sizeof(*s->survey))) == NULL ||
		    (s->survey->tool = calloc(s->ntools + 1,
		    sizeof(*s->survey->tool))) == NULL)
			return -1;
	}
	return 0;
}

int
survey_start(void)
{
	if (mode == CHECK_NONE)
		return 0;
	if ((due = event_new(child.base, -1, 0, on_due, NULL)) == NULL)
		return -1;
	look();
	return 0;
}
