/* SPDX-License-Identifier: ISC */

/*
 * What each child must know of the configuration, and not a word more:
 * the listener sees no scope and no SQL, authd no SQL and no DSN, a handler
 * no key and no scope, auditd its own DSN alone.  Secrets are read when they
 * are handed over and cleared at once.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/keyfile.h"
#include "../common/log.h"
#include "../common/version.h"
#include "parent.h"

/* Whose slices are being made: that of the child's crew. */
static const struct config *conf;

/* With an issuer, how clients find it. */
static int
send_listener_self(struct channel *ch, struct msg_conf_listener *m)
{
	const struct config *c = conf;
	char *text = NULL, *url = NULL;
	struct buffer *b;
	int rc = -1;

	if (c->auth.nissuers > 0 && ((text = metadata_render(c)) == NULL ||
	    (url = metadata_url(c)) == NULL)) {
		log_warn("metadata cannot be made: too long");
		free(text);
		return -1;
	}
	m->metadata = slice_of(text);
	m->metadata_url = slice_of(url);
	if ((b = channel_begin(ch, MSG_CONF_LISTENER, 0)) != NULL) {
		put_conf_listener(b, m);
		rc = channel_commit(ch);
	}
	free(text);
	free(url);
	return rc;
}

static int
send_listener(struct channel *ch)
{
	const struct config *c = conf;
	struct msg_conf_listener m = {
		.namespace = slice_of(c->namespace),
		.path = slice_of(c->http_path),
		.public_url = slice_of(c->public_url),
		.version = slice_of(program_version),
		.handlers = c->handlers, .per_source = c->per_source,
		.tools = c->ntools,
		.forwarders = c->nforwarders,
	};
	const struct listen_conf *l;
	const struct tool_conf *t;
	struct buffer *b;

	memcpy(m.forwarder, c->forwarder, sizeof(m.forwarder));
	m.loopback = 1;
	TAILQ_FOREACH(l, &c->listens, entry)
		if (!l->loopback)
			m.loopback = 0;
	if (send_listener_self(ch, &m) == -1)
		return -1;
	TAILQ_FOREACH(t, &c->tools, entry) {
		struct msg_conf_tool_text text = {
			slice_of(t->name), slice_of(t->definition)
		};

		if ((b = channel_begin(ch, MSG_CONF_TOOL_TEXT, 0)) == NULL)
			return -1;
		put_conf_tool_text(b, &text);
		if (channel_commit(ch) == -1)
			return -1;
	}
	return 0;
}

static int
send_name(struct channel *ch, enum allowed_kind kind, const char *value)
{
	struct msg_conf_name m = { (uint8_t)kind, slice_of(value) };
	struct buffer *b;

	if ((b = channel_begin(ch, MSG_CONF_NAME, 0)) == NULL)
		return -1;
	put_conf_name(b, &m);
	return channel_commit(ch);
}

/* DESIGN 6: listen address, localhost on loopback, public url, allow lines. */
static int
send_names(struct channel *ch)
{
	const struct config *c = conf;
	const struct listen_conf *l;
	const struct text_item *item;
	char bracketed[PEER_MAX + 3];

	TAILQ_FOREACH(l, &c->listens, entry) {
		if (strchr(l->address, ':') != NULL) {
			strlcpy(bracketed, "[", sizeof(bracketed));
			strlcat(bracketed, l->address, sizeof(bracketed));
			strlcat(bracketed, "]", sizeof(bracketed));
			if (send_name(ch, ALLOWED_HOST, bracketed) == -1)
				return -1;
		} else if (send_name(ch, ALLOWED_HOST, l->address) == -1) {
			return -1;
		}
		if (l->loopback &&
		    send_name(ch, ALLOWED_HOST, "localhost") == -1)
			return -1;
	}
	if (c->public_host != NULL &&
	    send_name(ch, ALLOWED_HOST, c->public_host) == -1)
		return -1;
	TAILQ_FOREACH(item, &c->hosts, entry)
		if (send_name(ch, ALLOWED_HOST, item->text) == -1)
			return -1;
	TAILQ_FOREACH(item, &c->origins, entry)
		if (send_name(ch, ALLOWED_ORIGIN, item->text) == -1)
			return -1;
	return 0;
}

static uint32_t
slices_of(struct slice *out, const struct text_list *list, uint32_t max)
{
	const struct text_item *item;
	uint32_t n = 0;

	TAILQ_FOREACH(item, list, entry)
		if (n < max)
			out[n++] = slice_of(item->text);
	return n;
}

static int
send_grant(struct channel *ch, const struct grant_conf *g)
{
	static struct msg_conf_grant m;
	struct buffer *b;

	m.role = slice_of(g->role);
	m.scopes = slices_of(m.scope, &g->scopes, SCOPES_MAX);
	if ((b = channel_begin(ch, MSG_CONF_GRANT, 0)) == NULL)
		return -1;
	put_conf_grant(b, &m);
	return channel_commit(ch);
}

static int
send_issuer(struct channel *ch, const struct issuer_conf *i)
{
	static struct msg_conf_issuer m;
	const struct grant_conf *g;
	struct buffer *b;

	m.url = slice_of(i->url);
	m.discover = i->jwks == NULL;
	m.typ = slice_of(i->typ);
	m.scopes_from = slice_of(i->scopes_from);
	m.leeway_s = i->leeway_ms / 1000;
	m.lifetime_s = (uint32_t)(i->lifetime_ms / 1000);
	m.rate = i->rate;
	m.in_flight = i->in_flight;
	m.audiences = slices_of(m.audience, &i->audiences, AUDIENCES_MAX);
	m.claims = slices_of(m.claim, &i->claims, ATTRIBUTES_MAX);
	m.grants = i->ngrants;
	if ((b = channel_begin(ch, MSG_CONF_ISSUER, 0)) == NULL)
		return -1;
	put_conf_issuer(b, &m);
	if (channel_commit(ch) == -1)
		return -1;
	TAILQ_FOREACH(g, &i->grants, entry)
		if (send_grant(ch, g) == -1)
			return -1;
	return 0;
}

static int
send_authd(struct channel *ch)
{
	const struct config *c = conf;
	struct msg_conf_authd m = {
		.namespace = slice_of(c->namespace), .rate = c->auth.rate,
		.in_flight = c->auth.in_flight,
		.tools = c->ntools, .listeners = c->listeners,
		.handlers = c->handlers, .issuers = c->auth.nissuers,
	};
	const struct issuer_conf *issuer;
	const struct tool_conf *t;
	struct buffer *b;
	uint32_t i;

	if ((b = channel_begin(ch, MSG_CONF_AUTHD, 0)) == NULL)
		return -1;
	put_conf_authd(b, &m);
	if (channel_commit(ch) == -1)
		return -1;
	TAILQ_FOREACH(t, &c->tools, entry) {
		struct msg_conf_tool_rule rule = {
			.name = slice_of(t->name), .scope = slice_of(t->scope),
			.writes = t->writes, .rate = t->rate,
			.claims = t->nclaims,
		};

		for (i = 0; i < t->nclaims; i++)
			rule.claim[i] = slice_of(t->claim[i]);
		if ((b = channel_begin(ch, MSG_CONF_TOOL_RULE, 0)) == NULL)
			return -1;
		put_conf_tool_rule(b, &rule);
		if (channel_commit(ch) == -1)
			return -1;
	}
	TAILQ_FOREACH(issuer, &c->auth.issuers, entry)
		if (send_issuer(ch, issuer) == -1)
			return -1;
	return 0;
}

/* Addresses and certificates: no audience, no scope, no role. */
static int
send_fetcher(struct channel *ch)
{
	const struct issuer_conf *i;
	struct msg_conf_fetch m;
	struct buffer *b;

	TAILQ_FOREACH(i, &conf->auth.issuers, entry) {
		m.issuer = slice_of(i->url);
		m.jwks = slice_of(i->jwks);
		m.ca = slice_of(i->ca);
		m.allow_private = i->allow_private;
		if ((b = channel_begin(ch, MSG_CONF_FETCH, 0)) == NULL)
			return -1;
		put_conf_fetch(b, &m);
		if (channel_commit(ch) == -1)
			return -1;
	}
	return 0;
}

static int
send_source(struct channel *ch, const struct source_conf *s)
{
	static struct msg_conf_source m;
	const struct session_conf *session;
	struct buffer *b;
	char *secret = NULL;
	size_t len = 0;
	int rc = -1;

	memset(&m, 0, sizeof(m));
	m.name = slice_of(s->name);
	m.kind = (uint8_t)s->kind;
	m.connections = s->connections;
	m.timeout_ms = s->timeout_ms;
	m.connect_timeout_ms = s->connect_timeout_ms;
	m.statement_timeout_ms = s->statement_timeout_ms;
	m.pool_wait_ms = s->pool_wait_ms;
	m.lifetime_ms = s->lifetime_ms;
	m.idle_ms = s->idle_ms;
	m.pooler = s->pooler;
	m.fallback = slice_of(s->fallback);
	m.writes = s->writes;
	TAILQ_FOREACH(session, &s->sessions, entry) {
		if (m.sessions == SESSIONS_MAX)
			return -1;
		m.session[m.sessions].name = slice_of(session->name);
		m.session[m.sessions++].value = slice_of(session->value);
	}
	if (s->kind == SOURCE_SQLITE) {
		m.target = slice_of(s->path);
	} else {
		if ((secret = secret_read(&s->dsn, &len)) == NULL)
			return -1;
		m.target.ptr = secret;
		m.target.len = len;
	}
	if ((b = channel_begin(ch, MSG_CONF_SOURCE, 0)) != NULL) {
		put_conf_source(b, &m);
		rc = channel_commit(ch);
	}
	if (secret != NULL)
		freezero(secret, len);
	return rc;
}

/* The secret of that number that a child of this role has; NULL: none. */
static const struct secret_ref *
secret_of(const struct child_proc *c, uint32_t number)
{
	const struct secret_ref *ref = NULL;
	const struct source_conf *s;
	uint32_t i = 0;

	if (c->role == ROLE_AUDITD && number == CREDENTIALS_AUDIT)
		ref = &parent.audited->audit.postgres;
	else if (c->role == ROLE_HANDLER && number == CREDENTIALS_REDIS)
		ref = &c->crew->config->redis.url;
	else if (c->role == ROLE_HANDLER)
		TAILQ_FOREACH(s, &c->crew->config->sources, entry)
			if (i++ == number && s->kind == SOURCE_POSTGRES)
				ref = &s->dsn;
	return ref == NULL || ref->origin == SECRET_UNSET ? NULL : ref;
}

int
slice_dsn(struct child_proc *c, uint32_t number)
{
	const struct secret_ref *ref = secret_of(c, number);
	struct msg_dsn m = { .number = number };
	struct buffer *b;
	char *secret;
	size_t len = 0;

	if (ref == NULL)
		return -1;
	/* The parent said why it cannot be read; what is known goes on. */
	if ((secret = secret_read(ref, &len)) == NULL)
		return 0;
	m.dsn.ptr = secret;
	m.dsn.len = len;
	if ((b = channel_begin(c->control, MSG_DSN, 0)) != NULL) {
		put_dsn(b, &m);
		(void)channel_commit(c->control);
	}
	freezero(secret, len);
	return 0;
}

static int
send_param(struct channel *ch, const struct param_conf *p)
{
	static struct msg_conf_param m;
	const struct text_item *item;
	struct buffer *b;

	memset(&m, 0, sizeof(m));
	m.name = slice_of(p->name);
	m.type = (uint8_t)p->type;
	m.required = p->required;
	m.privacy = (uint8_t)p->privacy;
	m.has_default = p->default_json != NULL;
	m.default_json = slice_of(p->default_json);
	m.has_minimum = p->minimum != NULL;
	m.minimum = slice_of(p->minimum);
	m.has_maximum = p->maximum != NULL;
	m.maximum = slice_of(p->maximum);
	m.maximum_length = p->maximum_length;
	m.pattern = slice_of(p->pattern);
	TAILQ_FOREACH(item, &p->values, entry) {
		if (m.values == ENUM_MAX)
			return -1;
		m.value[m.values++] = slice_of(item->text);
	}
	if ((b = channel_begin(ch, MSG_CONF_PARAM, 0)) == NULL)
		return -1;
	put_conf_param(b, &m);
	return channel_commit(ch);
}

static int
send_tool(struct channel *ch, const struct tool_conf *t)
{
	static struct msg_conf_tool m;
	const struct text_item *item;
	const struct tool_conf *other;
	const struct param_conf *p;
	struct buffer *b;
	uint32_t i;

	memset(&m, 0, sizeof(m));
	m.name = slice_of(t->name);
	m.source = slice_of(t->source);
	m.sql = slice_of(t->bound_sql);
	m.binds = t->nbinds;
	for (i = 0; i < t->nbinds; i++)
		m.bind[i] = slice_of(t->bind[i]);
	m.writes = t->writes;
	m.timeout_ms = t->timeout_ms;
	m.limit_rows = t->limit_rows;
	m.limit_bytes = t->limit_bytes;
	m.cache_ms = t->cache_ms;
	m.cache_shared = t->cache_shared;
	m.rate = t->rate;
	if (hex_decode(m.digest, sizeof(m.digest), t->digest,
	    strlen(t->digest)) == -1)
		return -1;
	TAILQ_FOREACH(item, &t->invalidates, entry)
		TAILQ_FOREACH(other, &conf->tools, entry)
			if (m.invalidates < INVALIDATES_MAX &&
			    strcmp(other->name, item->text) == 0)
				m.invalidate[m.invalidates++] = other->index;
	m.params = t->nparams;
	if ((b = channel_begin(ch, MSG_CONF_TOOL, 0)) == NULL)
		return -1;
	put_conf_tool(b, &m);
	if (channel_commit(ch) == -1)
		return -1;
	TAILQ_FOREACH(p, &t->params, entry)
		if (send_param(ch, p) == -1)
			return -1;
	return 0;
}

/* 32 bytes as hex or as base64url, with or without its padding; 0 or -1. */
static int
read_key(const struct secret_ref *ref, uint8_t key[KEY_LEN])
{
	struct slice text;
	char *secret;
	size_t len = 0;
	int rc;

	if ((secret = secret_read(ref, &len)) == NULL)
		return -1;
	text.ptr = secret;
	text.len = len;
	if ((rc = hex_decode(key, KEY_LEN, secret, len)) == -1) {
		if (len > 0 && secret[len - 1] == '=')
			text.len--;
		rc = base64url_decode(key, KEY_LEN, text) == KEY_LEN ? 0 : -1;
	}
	freezero(secret, len);
	if (rc == -1)
		log_warn("%s:%d: redis key: not 32 bytes in hex or base64url "
		    "(openssl rand -hex 32 makes one)", ref->file, ref->line);
	return rc;
}

static int
send_redis(struct channel *ch)
{
	const struct redis_conf *c = &conf->redis;
	struct msg_conf_redis m = {
		.namespace = slice_of(conf->namespace),
		.ca = slice_of(c->ca),
		.keyed = c->key.origin != SECRET_UNSET,
	};
	struct buffer *b;
	size_t len = 0;
	char *url;
	int rc = -1;

	if (c->url.origin == SECRET_UNSET)
		return 0;
	if ((url = secret_read(&c->url, &len)) == NULL)
		return -1;
	m.url.ptr = url;
	m.url.len = len;
	if (len > REDIS_URL_MAX) {
		log_warn("%s:%d: redis: the URL is longer than %d bytes",
		    c->url.file, c->url.line, REDIS_URL_MAX);
	} else if ((!m.keyed || read_key(&c->key, m.key) == 0) &&
	    (b = channel_begin(ch, MSG_CONF_REDIS, 0)) != NULL) {
		put_conf_redis(b, &m);
		rc = channel_commit(ch);
	}
	freezero(url, len);
	explicit_bzero(&m, sizeof(m));
	return rc;
}

/* What all handlers share. */
static int
send_generations(struct channel *ch)
{
	int fd;

	if ((fd = generations_fd()) == -1)
		return -1;
	if (channel_send_fd(ch, MSG_CONF_GENERATIONS, 0, NULL, 0, fd) == -1) {
		close(fd);
		return -1;
	}
	return 0;
}

static int
send_handler(struct channel *ch, enum check_mode check)
{
	const struct config *c = conf;
	struct msg_conf_handler m = {
		slice_of(c->namespace), c->nsources, c->ntools,
		(uint8_t)check
	};
	const struct source_conf *s;
	const struct tool_conf *t;
	struct buffer *b;

	if ((b = channel_begin(ch, MSG_CONF_HANDLER, 0)) == NULL)
		return -1;
	put_conf_handler(b, &m);
	if (channel_commit(ch) == -1 || send_generations(ch) == -1 ||
	    send_redis(ch) == -1)
		return -1;
	TAILQ_FOREACH(s, &c->sources, entry)
		if (send_source(ch, s) == -1)
			return -1;
	TAILQ_FOREACH(t, &c->tools, entry)
		if (send_tool(ch, t) == -1)
			return -1;
	return 0;
}

static int
send_sinks(struct channel *ch)
{
	const struct sink_conf *s;
	struct msg_conf_sink m;
	struct buffer *b;
	uint32_t i;

	for (i = 0; i < conf->audit.nsinks; i++) {
		s = &conf->audit.sink[i];
		m.kind = (uint8_t)s->kind;
		m.name = slice_of(s->name);
		m.target = slice_of(s->target);
		m.ca = slice_of(s->ca);
		if ((b = channel_begin(ch, MSG_CONF_SINK, 0)) == NULL)
			return -1;
		put_conf_sink(b, &m);
		if (channel_commit(ch) == -1)
			return -1;
	}
	return 0;
}

int
catalogue_send(struct channel *ch, const struct crew *crew)
{
	const struct config *c = crew->config;
	struct msg_conf_catalogue m = { crew->number, slice_of(c->digest),
	    c->ntools };
	const struct tool_conf *t;
	struct buffer *b;

	if ((b = channel_begin(ch, MSG_CONF_CATALOGUE, 0)) == NULL)
		return -1;
	put_conf_catalogue(b, &m);
	if (channel_commit(ch) == -1)
		return -1;
	TAILQ_FOREACH(t, &c->tools, entry) {
		struct msg_conf_tool_digest d = {
			slice_of(t->name), slice_of(t->digest),
			slice_of(t->source), slice_of(t->bound_sql),
			t->writes
		};

		if ((b = channel_begin(ch, MSG_CONF_TOOL_DIGEST, 0)) == NULL)
			return -1;
		put_conf_tool_digest(b, &d);
		if (channel_commit(ch) == -1)
			return -1;
	}
	return 0;
}

static int
send_auditd(struct channel *ch)
{
	const struct config *c = conf;
	struct msg_conf_auditd m = {
		.namespace = slice_of(c->namespace),
		.node = slice_of(c->audit.node),
		.journal = slice_of(c->audit.journal),
		.limit = c->audit.limit, .segment = c->audit.segment,
		.keep_s = c->audit.keep_s,
		.checkpoint_records = c->audit.checkpoint_records,
		.checkpoint_ms = c->audit.checkpoint_ms,
		.on_failure = (uint8_t)c->audit.on_failure,
	};
	const struct crew *crew;
	struct buffer *b;
	char *secret = NULL;
	size_t len = 0;
	int rc = -1;

	m.checkpoints = slices_of(m.checkpoint, &c->audit.checkpoints,
	    CHECKPOINTS_MAX);
	if (c->audit.postgres.origin != SECRET_UNSET) {
		if ((secret = secret_read(&c->audit.postgres, &len)) == NULL)
			return -1;
		m.dsn.ptr = secret;
		m.dsn.len = len;
	}
	if ((b = channel_begin(ch, MSG_CONF_AUDITD, 0)) != NULL) {
		put_conf_auditd(b, &m);
		rc = channel_commit(ch);
	}
	if (secret != NULL)
		freezero(secret, len);
	if (rc == -1)
		return -1;
	if (send_sinks(ch) == -1)
		return -1;
	TAILQ_FOREACH(crew, &parent.crews, entry)
		if ((crew->state == CREW_SERVING ||
		    crew->state == CREW_LEAVING ||
		    crew->state == CREW_RESTING) &&
		    catalogue_send(ch, crew) == -1)
			return -1;
	return 0;
}

static int
send_start(struct child_proc *c)
{
	int chrooted = c->role == ROLE_LISTENER || c->role == ROLE_AUTHD;
	struct msg_start m = {
		.role = (uint8_t)c->role, .index = c->index,
		.instance = c->instance, .boot_id = parent.boot_id,
		.foreground = parent.foreground, .verbose = parent.verbose,
		.drop = parent.drop, .uid = parent.uid[c->role],
		.gid = parent.gid[c->role],
		.chroot_dir = slice_of(chrooted ? parent.chroot_dir : NULL),
		.version = slice_of(program_version),
	};
	struct buffer *b;

	if ((b = channel_begin(c->control, MSG_START, 0)) == NULL)
		return -1;
	put_start(b, &m);
	return channel_commit(c->control);
}

int
slice_send(struct child_proc *c)
{
	int rc = -1;

	conf = c->crew == NULL ? parent.audited : c->crew->config;
	if (send_start(c) == -1)
		return -1;
	switch (c->role) {
	case ROLE_LISTENER:
		rc = send_listener(c->control);
		if (rc == 0)
			rc = send_names(c->control);
		break;
	case ROLE_AUTHD:
		rc = send_authd(c->control);
		/*
		 * At the start, a file that is not there yet grants nobody
		 * anything; a reload without it is none.
		 */
		if (rc == 0 && keys_send(c) == -1 &&
		    c->crew->state == CREW_RISING)
			rc = -1;
		break;
	case ROLE_HANDLER:
		if (c->crew != NULL)
			rc = send_handler(c->control, c->crew->check);
		break;
	case ROLE_AUDITD:
		rc = send_auditd(c->control);
		break;
	case ROLE_FETCHER:
		rc = send_fetcher(c->control);
		break;
	default:
		break;
	}
	if (rc == -1)
		return -1;
	return channel_send(c->control, MSG_CONFIG_END, 0, NULL, 0);
}

/* ---- the key file ------------------------------------------------------ */

/* The whole file; NULL after a log line.  The caller frees with freezero(). */
static char *
read_keys(const char *path, size_t *len)
{
	struct stat st;
	char *data = NULL;
	size_t got = 0;
	ssize_t n = 0;
	int fd;

	if ((fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC |
	    O_NONBLOCK)) == -1) {
		if (errno == ENOENT)
			log_warn("key file %s: is not there: pontifexctl key "
			    "add -F %s -o OWNER -s SCOPE makes it", path, path);
		else if (errno == ELOOP)
			log_warn("key file %s: is a symbolic link, and none is "
			    "followed", path);
		else
			log_errno("key file %s", path);
		return NULL;
	}
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		log_warn("key file %s: not a file", path);
		goto fail;
	}
	if ((st.st_mode & 077) != 0 ||
	    (st.st_uid != geteuid() && st.st_uid != 0)) {
		log_warn("key file %s: refused: mode %04o of uid %u: must be "
		    "the daemon's own or root's and mode 0600 (chmod 600 %s)",
		    path, (unsigned int)(st.st_mode & 07777),
		    (unsigned int)st.st_uid, path);
		goto fail;
	}
	if (st.st_size > (off_t)KEYFILE_SIZE_MAX) {
		log_warn("key file %s: larger than %u bytes", path,
		    KEYFILE_SIZE_MAX);
		goto fail;
	}
	if ((data = malloc((size_t)st.st_size + 1)) == NULL) {
		log_errno("key file %s", path);
		goto fail;
	}
	while (got < (size_t)st.st_size && (n = read(fd, data + got,
	    (size_t)st.st_size - got)) > 0)
		got += (size_t)n;
	if (n == -1) {
		log_errno("key file %s", path);
		freezero(data, (size_t)st.st_size + 1);
		data = NULL;
		goto fail;
	}
	*len = got;
fail:
	close(fd);
	return data;
}

int
keys_send(struct child_proc *authd)
{
	const struct crew *crew = authd->crew;
	const char *path = crew->state == CREW_RISING ?
	    crew->config->auth.keys : parent.config->auth.keys;
	struct msg_keys m;
	struct buffer *b;
	char *data = NULL;
	size_t len = 0;
	int rc = -1;

	if (path == NULL && crew->config->auth.keys == NULL)
		return 0;
	memset(&m, 0, sizeof(m));
	if (path == NULL) {
		log_debug("no key is in force any more");
	} else if ((data = read_keys(path, &len)) == NULL) {
		log_warn("no key is in force: %s is not taken", path);
		/* Fail closed: what was in force is not any more. */
	} else if (keyfile_pepper(path, 1, m.pepper) == -1) {
		log_warn("no key is in force: pepper of %s cannot be read",
		    path);
		freezero(data, len);
		data = NULL;
	}
	m.file.ptr = data == NULL ? "" : data;
	m.file.len = data == NULL ? 0 : len;
	if ((b = channel_begin(authd->control, MSG_KEYS, 0)) != NULL) {
		put_keys(b, &m);
		rc = channel_commit(authd->control);
	}
	explicit_bzero(&m, sizeof(m));
	if (data != NULL) {
		freezero(data, len);
		return rc;
	}
	return -1;
}
