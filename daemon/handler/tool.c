/* SPDX-License-Identifier: ISC */

/* The tools and sources of this handler, as the parent gave them. */

#include "../../common/log.h"
#include "cache.h"
#include "redis.h"
#include "survey.h"

static struct source *sources;
static struct tool *tools;
static uint32_t nsources, ntools, sources_expected, tools_expected;
static uint32_t params_left;	/* of the newest tool */
static struct tool **table;	/* hash by name */
static uint32_t table_size;

static uint32_t
hash(struct slice name)
{
	uint32_t h = 2166136261U;
	size_t i;

	for (i = 0; i < name.len; i++)
		h = (h ^ (unsigned char)name.ptr[i]) * 16777619U;
	return h;
}

const struct tool *
tool_find(struct slice name)
{
	uint32_t at;

	if (table_size == 0)
		return NULL;
	for (at = hash(name) % table_size; table[at] != NULL;
	    at = (at + 1) % table_size)
		if (slice_is(name, table[at]->name))
			return table[at];
	return NULL;
}

const struct tool *
tool_at(uint32_t i)
{
	return &tools[i];
}

int
tools_cached(void)
{
	uint32_t i;

	for (i = 0; i < ntools && tools[i].cache_ms == 0; i++)
		;
	return i < ntools;
}

struct source *
source_at(uint32_t i)
{
	return i < nsources ? &sources[i] : NULL;
}

const char *
source_name(const struct source *s)
{
	return s->name;
}

static int
configure_house(const struct frame *f)
{
	struct msg_conf_handler m;

	if (tools != NULL || get_conf_handler(f, &m) == -1)
		return -1;
	survey_mode((enum check_mode)m.check);
	sources_expected = m.sources;
	tools_expected = m.tools;
	sources = calloc(m.sources + 1, sizeof(*sources));
	tools = calloc(m.tools + 1, sizeof(*tools));
	table_size = m.tools * 4 + 1;
	table = calloc(table_size, sizeof(struct tool *));
	return sources == NULL || tools == NULL || table == NULL ? -1 :
	    count_init(m.tools);
}

static int
configure_source(const struct frame *f)
{
	static struct msg_conf_source m;
	struct source *s;
	uint32_t i;

	if (nsources == sources_expected || get_conf_source(f, &m) == -1)
		return -1;
	s = &sources[nsources];
	s->name = slice_dup(m.name);
	s->target = slice_dup(m.target);
	s->kind = (enum source_kind)m.kind;
	s->connections = m.connections == 0 ? 1 : m.connections;
	s->timeout_ms = m.timeout_ms;
	s->connect_timeout_ms = m.connect_timeout_ms;
	s->statement_timeout_ms = m.statement_timeout_ms;
	s->pool_wait_ms = m.pool_wait_ms;
	s->lifetime_ms = m.lifetime_ms;
	s->idle_ms = m.idle_ms;
	s->pooler = m.pooler;
	s->number = nsources;
	s->fallback_name = slice_dup(m.fallback);
	s->writes = m.writes;
	s->ops = s->kind == SOURCE_SQLITE ? &source_sqlite_ops :
	    &source_postgres_ops;
	for (i = 0; i < m.sessions; i++) {
		s->session[i].name = slice_dup(m.session[i].name);
		s->session[i].value = slice_dup(m.session[i].value);
		if (s->session[i].name == NULL || s->session[i].value == NULL)
			return -1;
	}
	s->nsessions = m.sessions;
	explicit_bzero(&m, sizeof(m));
	if (s->name == NULL || s->target == NULL ||
	    s->fallback_name == NULL || s->timeout_ms == 0 ||
	    s->connect_timeout_ms == 0)
		return -1;
	nsources++;
	return 0;
}

static struct source *
source_named(struct slice name)
{
	uint32_t i;

	for (i = 0; i < nsources; i++)
		if (slice_is(name, sources[i].name))
			return &sources[i];
	return NULL;
}

/* Its source and, where it only reads, those that stand in for that one. */
static int
add_places(struct tool *t, struct source *s)
{
	struct place *p;

	for (; s != NULL && t->nplaces < PLACES_MAX;
	    s = source_named(slice_of(s->fallback_name))) {
		if (s->ntools == TOOLS_MAX)
			return -1;
		p = &t->place[t->nplaces++];
		p->source = s;
		p->slot = s->ntools;
		s->tools[s->ntools++] = t;
		if (t->writes)
			break;
	}
	return 0;
}

static int
add_invalidates(struct tool *t, const struct msg_conf_tool *m)
{
	uint32_t i;

	t->invalidates = calloc(m->invalidates + 1, sizeof(*t->invalidates));
	if (t->invalidates == NULL)
		return -1;
	for (i = 0; i < m->invalidates; i++) {
		if (m->invalidate[i] >= tools_expected)
			return -1;
		t->invalidates[i] = m->invalidate[i];
	}
	t->ninvalidates = m->invalidates;
	return 0;
}

static int
configure_bind(struct bind *b, struct slice text)
{
	if (text.len < 3 || text.ptr[1] != ':' ||
	    (text.ptr[0] != 'p' && text.ptr[0] != 'c'))
		return -1;
	b->of_caller = text.ptr[0] == 'c';
	b->param = PARAM_NONE;
	text.ptr += 2;
	text.len -= 2;
	return (b->name = slice_dup(text)) == NULL ? -1 : 0;
}

static int
configure_tool(const struct frame *f)
{
	static struct msg_conf_tool m;
	struct source *s;
	struct tool *t;
	uint32_t i;

	if (params_left > 0 || ntools == tools_expected ||
	    nsources != sources_expected || get_conf_tool(f, &m) == -1 ||
	    (s = source_named(m.source)) == NULL)
		return -1;
	t = &tools[ntools];
	t->index = ntools;
	t->name = slice_dup(m.name);
	t->generation = hash(m.name) % GENERATIONS_MAX;
	t->sql = slice_dup(m.sql);
	t->writes = m.writes;
	memcpy(t->digest, m.digest, sizeof(t->digest));
	t->cache_ms = m.cache_ms;
	t->cache_shared = m.cache_shared;
	t->rate = m.rate;
	if (add_places(t, s) == -1 || add_invalidates(t, &m) == -1)
		return -1;
	t->timeout_ms = m.timeout_ms == 0 ? s->timeout_ms : m.timeout_ms;
	t->limit_rows = m.limit_rows == 0 ? RESULT_ROWS_DEFAULT : m.limit_rows;
	t->limit_bytes = m.limit_bytes == 0 ? RESULT_BYTES_DEFAULT :
	    m.limit_bytes;
	t->nbinds = m.binds;
	t->binds = calloc(m.binds + 1, sizeof(*t->binds));
	t->params = calloc(m.params + 1, sizeof(*t->params));
	if (t->name == NULL || t->sql == NULL || t->binds == NULL ||
	    t->params == NULL)
		return -1;
	for (i = 0; i < m.binds; i++)
		if (configure_bind(&t->binds[i], m.bind[i]) == -1)
			return -1;
	params_left = m.params;
	ntools++;
	return 0;
}

static int
configure_param(const struct frame *f)
{
	static struct msg_conf_param m;
	struct tool *t;
	struct param *p;
	uint32_t i;

	if (params_left == 0 || get_conf_param(f, &m) == -1)
		return -1;
	t = &tools[ntools - 1];
	p = &t->params[t->nparams];
	if (param_prepare(p, &m) == -1)
		return -1;
	for (i = 0; i < t->nbinds; i++)
		if (!t->binds[i].of_caller &&
		    strcmp(t->binds[i].name, p->name) == 0)
			t->binds[i].param = t->nparams;
	t->nparams++;
	params_left--;
	return 0;
}

int
tools_configure(const struct frame *f)
{
	switch (f->type) {
	case MSG_CONF_HANDLER:
		return configure_house(f);
	case MSG_CONF_GENERATIONS:
		return cache_generations(f->fd);
	case MSG_CONF_REDIS:
		return redis_configure(f);
	case MSG_CONF_SOURCE:
		return configure_source(f);
	case MSG_CONF_TOOL:
		return configure_tool(f);
	case MSG_CONF_PARAM:
		return configure_param(f);
	default:
		return -1;
	}
}

/* A statement must not be given another value for one that is not there. */
static int
binds_complete(const struct tool *t)
{
	uint32_t i;

	for (i = 0; i < t->nbinds; i++)
		if (!t->binds[i].of_caller && t->binds[i].param == PARAM_NONE) {
			log_warn("tool %s: no parameter %s", t->name,
			    t->binds[i].name);
			return -1;
		}
	return 0;
}

int
tools_complete(void)
{
	uint32_t i, j, at;

	if (params_left > 0 || tools == NULL || ntools != tools_expected ||
	    nsources != sources_expected) {
		log_warn("configuration is not complete");
		return -1;
	}
	for (i = 0; i < ntools; i++) {
		if (binds_complete(&tools[i]) == -1)
			return -1;
		for (j = 0; j < tools[i].ninvalidates; j++)
			tools[tools[i].invalidates[j]].invalidated = 1;
		at = hash(slice_of(tools[i].name)) % table_size;
		while (table[at] != NULL)
			at = (at + 1) % table_size;
		table[at] = &tools[i];
	}
	return 0;
}
