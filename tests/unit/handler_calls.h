/* SPDX-License-Identifier: ISC */

/*
 * What the tests of the handler's files share: tools and calls without a
 * daemon around them.  A source ends a call by call_done() or call_fail();
 * here that sets `ended' and the test looks at the call.
 */

#ifndef TESTS_UNIT_HANDLER_CALLS_H
#define TESTS_UNIT_HANDLER_CALLS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/log.h"
#include "../../daemon/handler/source.h"

#define UNUSED	__attribute__((__unused__))

static struct json arguments_json;

/* A survey is nobody's here. */
struct source *
source_at(uint32_t i)
{
	(void)i;
	return NULL;
}

const char *
source_name(const struct source *s)
{
	return s->name;
}

static void
call_end(struct call *c)
{
	assert_int_not_equal(c->state, CALL_FREE);
	c->state = CALL_FREE;
}

void
call_done(struct call *c)
{
	call_end(c);
}

void
call_fail(struct call *c, enum outcome outcome, enum reason reason)
{
	c->outcome = outcome;
	c->reason = reason;
	call_end(c);
}

int
call_is_cancelled(struct call *c)
{
	return c->cancelled;
}

static char *
own(const char *s)
{
	char *copy = strdup(s);

	assert_non_null(copy);
	return copy;
}

/* A tool; more than the name, the statement and its binds is set by hand. */
static UNUSED struct tool *
tool_make(struct source *s, const char *name, const char *sql)
{
	struct tool *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->name = own(name);
	t->sql = own(sql);
	t->nplaces = 1;
	t->place[0].source = s;
	t->binds = calloc(BINDS_MAX, sizeof(*t->binds));
	t->params = calloc(PARAMS_MAX, sizeof(*t->params));
	assert_non_null(t->binds);
	assert_non_null(t->params);
	t->timeout_ms = s == NULL ? 5000 : s->timeout_ms;
	t->limit_rows = RESULT_ROWS_DEFAULT;
	t->limit_bytes = RESULT_BYTES_DEFAULT;
	if (s != NULL) {
		t->place[0].slot = s->ntools;
		s->tools[s->ntools++] = t;
	}
	return t;
}

/* A parameter, bound as the next number of the statement. */
static UNUSED struct param *
tool_param(struct tool *t, const struct msg_conf_param *conf)
{
	struct param *p = &t->params[t->nparams];

	assert_int_equal(param_prepare(p, conf), 0);
	t->binds[t->nbinds].name = own(p->name);
	t->binds[t->nbinds++].param = t->nparams++;
	return p;
}

static UNUSED struct param *
tool_param_of(struct tool *t, const char *name, enum param_type type)
{
	struct msg_conf_param conf;

	memset(&conf, 0, sizeof(conf));
	conf.name = slice_of(name);
	conf.type = (uint8_t)type;
	return tool_param(t, &conf);
}

static UNUSED void
tool_caller(struct tool *t, const char *name)
{
	t->binds[t->nbinds].name = own(name);
	t->binds[t->nbinds].param = PARAM_NONE;
	t->binds[t->nbinds++].of_caller = 1;
}

static UNUSED void
call_drop(struct call *c)
{
	buffer_free(&c->arena);
	buffer_free(&c->clear);
	buffer_free(&c->hidden_text);
	buffer_free(&c->structured);
}

static UNUSED void
tool_free(struct tool *t)
{
	struct param *p;
	uint32_t i, j;

	for (i = 0; i < t->nparams; i++) {
		p = &t->params[i];
		if (p->has_pattern)
			regfree(&p->pattern);
		for (j = 0; j < p->nvalues; j++)
			free(p->values[j]);
		free(p->values);
		free(p->name);
		free(p->default_json);
		free(p->minimum_text);
		free(p->maximum_text);
		free(p->pattern_text);
		json_free(&p->default_parsed);
	}
	for (i = 0; i < t->nbinds; i++)
		free(t->binds[i].name);
	free(t->binds);
	free(t->params);
	free(t->name);
	free(t->sql);
	free(t);
}

/* A call with its arguments bound; returns what params_bind() says. */
static UNUSED int
call_make(struct call *c, const struct tool *t, const char *arguments)
{
	uint32_t node = JSON_NONE;

	memset(c, 0, sizeof(*c));
	buffer_init(&c->arena, 2 * BODY_MAX);
	buffer_init(&c->clear, PARAMS_JSON_MAX);
	buffer_init(&c->hidden_text, BODY_MAX);
	buffer_init(&c->structured, RESULT_MAX);
	c->state = CALL_RUNNING;
	c->tool = t;
	c->identity.kind = CREDENTIAL_KEY;
	c->identity.key_id = slice_of("key1");
	c->identity.owner = slice_of("alice");
	c->identity.attributes = 1;
	c->identity.attribute[0].name = slice_of("tenant");
	c->identity.attribute[0].value = slice_of("acme");
	if (arguments != NULL) {
		assert_int_equal(json_parse(&arguments_json, arguments,
		    strlen(arguments)), 0);
		node = 0;
	}
	c->deadline_ms = now_ms() + t->timeout_ms;
	return params_bind(c, &arguments_json, node);
}

/* What it answered, as JSON text; until the next call_drop(). */
static UNUSED const char *
call_json(struct call *c)
{
	if (c->structured.bad ||
	    buffer_add_char(&c->structured, '\0') == -1)
		return "(too large)";
	c->structured.len--;
	return (const char *)c->structured.data;
}

#endif
