/* SPDX-License-Identifier: ISC */

/*
 * Protected resource metadata (RFC 9728): how a client that got a 401 finds
 * where tokens come from.  Made once, of the configuration alone.
 */

#include "../common/compat.h"
#include "../common/json.h"
#include "config.h"

#define WELL_KNOWN	"/.well-known/oauth-protected-resource"

static void
add_item(struct buffer *b, int *n, const char *text)
{
	if ((*n)++ > 0)
		(void)buffer_add_char(b, ',');
	(void)json_write_cstr(b, text);
}

static int
stands_before(const struct config *c, const struct tool_conf *end)
{
	const struct tool_conf *t;

	TAILQ_FOREACH(t, &c->tools, entry) {
		if (t == end)
			return 0;
		if (strcmp(t->scope, end->scope) == 0)
			return 1;
	}
	return 0;
}

static char *
take(struct buffer *b)
{
	char *text = NULL;

	(void)buffer_add_char(b, '\0');
	if (!b->bad)
		text = strdup((const char *)b->data);
	buffer_free(b);
	return text;
}

char *
metadata_render(const struct config *c)
{
	const struct issuer_conf *i;
	const struct tool_conf *t;
	struct buffer b;
	int n = 0;

	buffer_init(&b, METADATA_MAX);
	(void)buffer_add_cstr(&b, "{\"resource\":");
	(void)json_write_cstr(&b, c->public_url);
	(void)buffer_add_cstr(&b, ",\"authorization_servers\":[");
	TAILQ_FOREACH(i, &c->auth.issuers, entry)
		add_item(&b, &n, i->url);
	(void)buffer_add_cstr(&b, "],\"scopes_supported\":[");
	n = 0;
	TAILQ_FOREACH(t, &c->tools, entry)
		if (!stands_before(c, t))
			add_item(&b, &n, t->scope);
	(void)buffer_add_cstr(&b, "],\"bearer_methods_supported\":[\"header\"]"
	    ",\"resource_name\":");
	(void)json_write_cstr(&b, c->namespace);
	(void)buffer_add_char(&b, '}');
	return take(&b);
}

char *
metadata_url(const struct config *c)
{
	const char *path = strstr(c->public_url, "://");
	struct buffer b;

	path = path == NULL ? "" : path + strlen("://");
	path += strcspn(path, "/");
	buffer_init(&b, URL_MAX * 2 + sizeof(WELL_KNOWN));
	(void)buffer_add(&b, c->public_url, (size_t)(path - c->public_url));
	(void)buffer_add_cstr(&b, WELL_KNOWN);
	/* RFC 9728 3.1: a path that is only a slash is left out. */
	if (strcmp(path, "/") != 0)
		(void)buffer_add_cstr(&b, path);
	return take(&b);
}
