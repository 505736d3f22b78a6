/* SPDX-License-Identifier: ISC */
/* link: daemon/metadata.c daemon/parse.y daemon/input.c daemon/config.c daemon/declare.c daemon/issuer.c daemon/check.c daemon/check_param.c daemon/check_cache.c daemon/audit.c daemon/sqlscan.c daemon/toolspec.c */

/*
 * The metadata of the resource (RFC 9728), byte for byte, and where it is
 * served for each form that a public url may have.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/json.h"
#include "../../daemon/config.h"

#define ISSUER(url)	"issuer \"" url "\" { audience \"a\" }\n"
#define TOOL(name, scope) "tool " name " {\ndescription \"d\"\nscope \"" \
		scope "\"\nsource shop\nsql \"SELECT 1\"\n}\n"
#define HEAD(url, issuers) "namespace \"shop\"\n" \
		"listen on 127.0.0.1 port 8080\npublic url \"" url "\"\n" \
		"auth {\n" issuers "}\naudit { journal \"audit\" }\n" \
		"source shop sqlite \"shop.db\"\n"

static struct config *
load(const char *text)
{
	char path[] = "/tmp/test_metadata.XXXXXX";
	struct config *c;
	int fd = mkstemp(path);

	assert_true(fd != -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	c = config_load(path);
	(void)unlink(path);
	assert_non_null(c);
	return c;
}

static void
it_says_who_gives_tokens_for_what(void **state)
{
	struct config *c = load(HEAD("https://mcp.example.com/mcp",
	    ISSUER("https://idp.example.com/") ISSUER("https://b.example/t"))
	    TOOL("one", "shop:order:read") TOOL("two", "shop:order:write")
	    TOOL("three", "shop:order:read") TOOL("four", "shop:a:read"));
	char *text = metadata_render(c);
	struct json json;

	(void)state;
	assert_non_null(text);
	/* Issuers in their order; scopes in that of the tools, each once. */
	assert_string_equal(text, "{\"resource\":\"https://mcp.example.com/mcp\""
	    ",\"authorization_servers\":[\"https://idp.example.com/\","
	    "\"https://b.example/t\"],\"scopes_supported\":["
	    "\"shop:order:read\",\"shop:order:write\",\"shop:a:read\"],"
	    "\"bearer_methods_supported\":[\"header\"],"
	    "\"resource_name\":\"shop\"}");
	json_init(&json);
	assert_int_equal(json_parse(&json, text, strlen(text)), 0);
	json_free(&json);
	free(text);
	config_free(c);
}

/* RFC 9728 3.1: between host and path; a path that is a slash is left out. */
static void
its_url_is_that_of_the_resource_with_the_known_part_inside(void **state)
{
#define WELL	"/.well-known/oauth-protected-resource"
#define URL_ROW(url, wanted) { HEAD(url, ISSUER("https://i/")) \
		TOOL("t", "shop:a:read"), wanted }
	static const struct { const char *text, *wanted; } rows[] = {
		URL_ROW("https://h/mcp", "https://h" WELL "/mcp"),
		URL_ROW("https://h", "https://h" WELL),
		URL_ROW("https://h/", "https://h" WELL),
		URL_ROW("https://h/a/b", "https://h" WELL "/a/b"),
		URL_ROW("https://h/mcp/", "https://h" WELL "/mcp/"),
		URL_ROW("https://h:8443/mcp", "https://h:8443" WELL "/mcp"),
		URL_ROW("https://[2001:db8::1]:1/mcp",
		    "https://[2001:db8::1]:1" WELL "/mcp"),
		URL_ROW("http://127.0.0.1:8080/mcp",
		    "http://127.0.0.1:8080" WELL "/mcp"),
	};
	struct config *c;
	size_t i;
	char *url;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c = load(rows[i].text);
		url = metadata_url(c);
		assert_non_null(url);
		assert_string_equal(url, rows[i].wanted);
		free(url);
		config_free(c);
	}
}

/* All that the configuration allows fits: the listener takes it. */
static void
the_largest_configuration_has_metadata(void **state)
{
	struct buffer b;
	struct config *c;
	char *text;
	int i;

	(void)state;
	buffer_init(&b, 4 << 20);
	(void)buffer_add_cstr(&b, "namespace \"shop\"\nlisten on 127.0.0.1 "
	    "port 8080\npublic url \"https://h/mcp\"\nauth {\n");
	for (i = 0; i < ISSUERS_MAX; i++)
		(void)buffer_printf(&b, "issuer \"https://i/%0240d\" { "
		    "audience \"a\" }\n", i);
	(void)buffer_add_cstr(&b, "}\naudit { journal \"audit\" }\n"
	    "source shop sqlite \"shop.db\"\n");
	for (i = 0; i < TOOLS_MAX; i++)
		(void)buffer_printf(&b, "tool t%d {\ndescription \"d\"\n"
		    "scope \"s:%0180d:read\"\nsource shop\n"
		    "sql \"SELECT 1\"\n}\n", i, i);
	(void)buffer_add_char(&b, '\0');
	assert_false(b.bad);
	c = load((const char *)b.data);
	assert_int_equal(c->ntools, TOOLS_MAX);
	text = metadata_render(c);
	assert_non_null(text);
	assert_true(strlen(text) > TOOLS_MAX * 180);
	free(text);
	config_free(c);
	buffer_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_says_who_gives_tokens_for_what),
		cmocka_unit_test(
		    its_url_is_that_of_the_resource_with_the_known_part_inside),
		cmocka_unit_test(the_largest_configuration_has_metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
