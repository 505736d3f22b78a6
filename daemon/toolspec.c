/* SPDX-License-Identifier: ISC */

/*
 * What tools/list says of a tool: its JSON, made once from the
 * configuration.  The schema is closed and of dialect 2020-12.
 */

#include "../common/compat.h"
#include "../common/json.h"
#include "config.h"

/*
 * Rows, or the error object of a call that failed: clients check what they
 * are given against this even where isError is set.
 */
static const char output_schema[] = ",\"outputSchema\":{\"type\":\"object\","
    "\"properties\":{\"rows\":{\"type\":\"array\",\"items\":"
    "{\"type\":\"object\"}},\"row_count\":{\"type\":\"integer\"},"
    "\"truncated\":{\"type\":\"boolean\"},"
    "\"error_code\":{\"type\":\"string\"},"
    "\"message\":{\"type\":\"string\"},"
    "\"retry\":{\"type\":\"boolean\"},"
    "\"retry_after_seconds\":{\"type\":\"integer\"},"
    "\"request_id\":{\"type\":\"string\"}},"
    "\"anyOf\":[{\"required\":[\"rows\",\"row_count\",\"truncated\"]},"
    "{\"required\":[\"error_code\",\"message\",\"retry\"]}]}";

static void
add_type(struct buffer *b, const struct param_conf *p)
{
	static const struct {
		const char	*type;
		const char	*format;
	} types[PARAM_TYPE_MAX] = {
		[PARAM_INTEGER] = { "integer", NULL },
		[PARAM_NUMBER] = { "number", NULL },
		[PARAM_STRING] = { "string", NULL },
		[PARAM_BOOLEAN] = { "boolean", NULL },
		[PARAM_DATE] = { "string", "date" },
		[PARAM_TIMESTAMP] = { "string", "date-time" },
		[PARAM_UUID] = { "string", "uuid" },
		[PARAM_ENUM] = { "string", NULL },
	};

	(void)json_write_member(b, "type", types[p->type].type);
	if (types[p->type].format != NULL) {
		(void)buffer_add_char(b, ',');
		(void)json_write_member(b, "format", types[p->type].format);
	}
}

static void
add_enum(struct buffer *b, const struct param_conf *p)
{
	const struct text_item *item;
	int first = 1;

	(void)buffer_add_cstr(b, ",\"enum\":[");
	TAILQ_FOREACH(item, &p->values, entry) {
		if (!first)
			(void)buffer_add_char(b, ',');
		first = 0;
		(void)json_write_cstr(b, item->text);
	}
	(void)buffer_add_char(b, ']');
}

static void
add_pattern(struct buffer *b, const struct param_conf *p)
{
	struct buffer whole;

	/* The whole string must match, here as in the handler. */
	buffer_init(&whole, TEXT_MAX_ + 16);
	(void)buffer_add_cstr(&whole, "^(?:");
	(void)buffer_add_cstr(&whole, p->pattern);
	(void)buffer_add_cstr(&whole, ")$");
	(void)buffer_add_char(&whole, '\0');
	(void)buffer_add_char(b, ',');
	if (!whole.bad)
		(void)json_write_member(b, "pattern", (const char *)whole.data);
	buffer_free(&whole);
}

static void
add_param(struct buffer *b, const struct param_conf *p)
{
	(void)json_write_cstr(b, p->name);
	(void)buffer_add_cstr(b, ":{");
	add_type(b, p);
	if (p->description != NULL) {
		(void)buffer_add_char(b, ',');
		(void)json_write_member(b, "description", p->description);
	}
	if (p->type == PARAM_ENUM)
		add_enum(b, p);
	if (p->minimum != NULL)
		(void)buffer_printf(b, ",\"minimum\":%s", p->minimum);
	if (p->maximum != NULL)
		(void)buffer_printf(b, ",\"maximum\":%s", p->maximum);
	if (p->maximum_length > 0)
		(void)buffer_printf(b, ",\"maxLength\":%u",
		    p->maximum_length);
	if (p->pattern != NULL)
		add_pattern(b, p);
	if (p->default_json != NULL)
		(void)buffer_printf(b, ",\"default\":%s", p->default_json);
	(void)buffer_add_char(b, '}');
}

static void
add_input(struct buffer *b, const struct tool_conf *t)
{
	const struct param_conf *p;
	int first = 1;

	(void)buffer_add_cstr(b, "\"inputSchema\":{\"$schema\":"
	    "\"https://json-schema.org/draft/2020-12/schema\","
	    "\"type\":\"object\",\"properties\":{");
	TAILQ_FOREACH(p, &t->params, entry) {
		if (!first)
			(void)buffer_add_char(b, ',');
		first = 0;
		add_param(b, p);
	}
	(void)buffer_add_char(b, '}');
	first = 1;
	TAILQ_FOREACH(p, &t->params, entry) {
		if (!p->required)
			continue;
		(void)buffer_add_cstr(b, first ? ",\"required\":[" : ",");
		first = 0;
		(void)json_write_cstr(b, p->name);
	}
	(void)buffer_add_cstr(b, first ? "" : "]");
	(void)buffer_add_cstr(b, ",\"additionalProperties\":false}");
}

char *
toolspec_render(const struct config *c, const struct tool_conf *t)
{
	struct buffer b;

	(void)c;
	buffer_init(&b, FRAME_PAYLOAD_MAX / 2);
	(void)buffer_add_char(&b, '{');
	(void)json_write_member(&b, "name", t->name);
	if (t->title != NULL) {
		(void)buffer_add_char(&b, ',');
		(void)json_write_member(&b, "title", t->title);
	}
	(void)buffer_add_char(&b, ',');
	(void)json_write_member(&b, "description", t->description);
	(void)buffer_add_char(&b, ',');
	add_input(&b, t);
	(void)buffer_add_cstr(&b, output_schema);
	(void)buffer_add_cstr(&b, ",\"annotations\":{");
	if (t->title != NULL) {
		(void)json_write_member(&b, "title", t->title);
		(void)buffer_add_char(&b, ',');
	}
	(void)buffer_add_cstr(&b, t->writes ?
	    "\"readOnlyHint\":false,\"destructiveHint\":true,"
	    "\"idempotentHint\":false,\"openWorldHint\":false}}" :
	    "\"readOnlyHint\":true,\"destructiveHint\":false,"
	    "\"idempotentHint\":true,\"openWorldHint\":false}}");
	(void)buffer_add_char(&b, '\0');
	if (b.bad) {
		buffer_free(&b);
		return NULL;
	}
	return (char *)b.data;
}
