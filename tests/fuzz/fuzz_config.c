/* SPDX-License-Identifier: ISC */
/* link: daemon/parse.y daemon/input.c daemon/config.c daemon/declare.c daemon/issuer.c daemon/check.c daemon/check_param.c daemon/check_cache.c daemon/audit.c daemon/sqlscan.c daemon/toolspec.c daemon/secret.c daemon/metadata.c */

/*
 * Any bytes as a configuration: errors, or something that every process can
 * be told of (each tool has a scope and a definition that is JSON).
 */

#include <fcntl.h>
#include <stdio.h>

#include "../../common/json.h"
#include "../../daemon/configure.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char path[64];

static void
forget(void)
{
	(void)unlink(path);
}

static void
look_at(const struct config *c)
{
	struct tool_conf *tool;
	struct json json;
	char *text;

	json_init(&json);
	TAILQ_FOREACH(tool, &c->tools, entry) {
		if (tool->scope == NULL || tool->scope[0] == '\0' ||
		    (text = toolspec_render(c, tool)) == NULL ||
		    json_parse(&json, text, strlen(text)) == -1)
			abort();
		free(text);
	}
	json_free(&json);
	if (c->public_url != NULL) {
		free(metadata_render(c));
		free(metadata_url(c));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static int fd = -1;
	struct config *c;

	if (fd == -1) {
		(void)strlcpy(path, "/dev/shm/fuzz_config.XXXXXX",
		    sizeof(path));
		if ((fd = mkstemp(path)) == -1 || atexit(forget) != 0)
			abort();
	}
	if (ftruncate(fd, 0) == -1 ||
	    pwrite(fd, data, len, 0) != (ssize_t)len)
		abort();
	if ((c = config_load(path)) == NULL)
		return 0;
	look_at(c);
	config_free(c);
	return 0;
}
