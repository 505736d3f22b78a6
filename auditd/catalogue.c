/* SPDX-License-Identifier: ISC */

/*
 * What records name of the configuration that a call ran under: its digest
 * and those of its tools.  While a reload is under way two crews are at
 * work, each under its own; what is told at an hour when neither is asked
 * names the newest.  Those of crews that have gone are kept for a while, for
 * calls of theirs that are still to be closed.
 */

#include "../common/compat.h"
#include "auditd.h"

/* More than there are crews at one time: the oldest's calls are closed. */
#define CATALOGUES_MAX	8

static struct catalogue *list[CATALOGUES_MAX];	/* oldest first */
static size_t nlist;
static struct catalogue *coming;	/* its tools are not all here */

static void
catalogue_free(struct catalogue *c)
{
	size_t i;

	if (c == NULL)
		return;
	for (i = 0; i < c->ntools; i++)
		free(c->tools[i].sql);
	free(c->tools);
	free(c);
}

static int
compare_tools(const void *a, const void *b)
{
	return strcmp(((const struct join_tool *)a)->name,
	    ((const struct join_tool *)b)->name);
}

static void
put_in_force(void)
{
	struct catalogue *c = coming;
	size_t i;

	coming = NULL;
	if (c->ntools > 1)
		qsort(c->tools, c->ntools, sizeof(*c->tools), compare_tools);
	/* Said again: in the place of what was said before. */
	for (i = 0; i < nlist; i++)
		if (list[i]->crew == c->crew)
			break;
	if (i == nlist && nlist == CATALOGUES_MAX)
		i = 0;
	if (i < nlist) {
		catalogue_free(list[i]);
		memmove(&list[i], &list[i + 1],
		    (--nlist - i) * sizeof(struct catalogue *));
	}
	list[nlist++] = c;
}

int
catalogue_begin(const struct msg_conf_catalogue *m)
{
	struct catalogue *c;

	if (coming != NULL || (c = calloc(1, sizeof(*c))) == NULL)
		return -1;
	c->crew = m->crew;
	c->expected = m->tools;
	memcpy(c->digest, m->config_digest.ptr, m->config_digest.len);
	if ((c->tools = calloc(m->tools + 1, sizeof(*c->tools))) == NULL) {
		free(c);
		return -1;
	}
	coming = c;
	if (c->expected == 0)
		put_in_force();
	return 0;
}

int
catalogue_add(const struct msg_conf_tool_digest *m)
{
	struct join_tool *t;

	if (coming == NULL)
		return -1;
	t = &coming->tools[coming->ntools];
	memcpy(t->name, m->name.ptr, m->name.len);
	memcpy(t->digest, m->digest.ptr, m->digest.len);
	memcpy(t->source, m->source.ptr, m->source.len);
	t->writes = m->writes;
	if ((t->sql = slice_dup(m->sql)) == NULL)
		return -1;
	if (++coming->ntools == coming->expected)
		put_in_force();
	return 0;
}

struct catalogue *
catalogue_newest(void)
{
	return coming != NULL || nlist == 0 ? NULL : list[nlist - 1];
}

const struct catalogue *
catalogue_of(uint32_t crew)
{
	size_t i;

	for (i = nlist; i > 0; i--)
		if (list[i - 1]->crew == crew)
			return list[i - 1];
	return nlist == 0 ? NULL : list[nlist - 1];
}

const struct join_tool *
catalogue_tool(uint32_t crew, struct slice name)
{
	const struct catalogue *c = catalogue_of(crew);
	struct join_tool key;

	if (c == NULL || name.len == 0 || name.len > NAME_LEN_MAX)
		return NULL;
	memcpy(key.name, name.ptr, name.len);
	key.name[name.len] = '\0';
	return bsearch(&key, c->tools, c->ntools, sizeof(key), compare_tools);
}

void
catalogues_free(void)
{
	catalogue_free(coming);
	coming = NULL;
	while (nlist > 0)
		catalogue_free(list[--nlist]);
}
