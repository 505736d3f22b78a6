/* SPDX-License-Identifier: ISC */

/*
 * How a Postgres server is reached: what a DSN asks of the sandbox, and the
 * settings that every connection has whatever the DSN says.  libpq's own
 * ways to find more (environment, password file, services, certificates in
 * a home directory) are shut: what is not in the DSN is not there.
 */

#include <arpa/inet.h>

#include <stdio.h>

#include "../../common/log.h"
#include "../../common/pglogin.h"
#include "pg.h"

#define NOWHERE		"/nonexistent"
#define SOCKET_DIR	"/var/run/postgresql"
#define PORT_DEFAULT	5432
#define OPTIONS_MAX	(8 * 1024)	/* bytes of the DSN's own options */

extern char **environ;

static const char *
value_of(const PQconninfoOption *options, const char *keyword)
{
	const PQconninfoOption *o;

	for (o = options; o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val == NULL || o->val[0] == '\0' ? NULL :
			    o->val;
	return NULL;
}

/* A variable like PGHOST would lead past the sandbox's list. */
static void
forget_environment(void)
{
	char name[64];
	size_t i = 0, len;

	while (environ != NULL && environ[i] != NULL) {
		len = strcspn(environ[i], "=");
		if (strncmp(environ[i], "PG", 2) != 0 || len >= sizeof(name)) {
			i++;
			continue;
		}
		memcpy(name, environ[i], len);
		name[len] = '\0';
		if (unsetenv(name) == -1)
			i++;
	}
}

/* The nth of a list with commas, or its only one; NULL: none, or empty. */
static char *
nth(const char *list, size_t n)
{
	struct slice sl;
	const char *comma;

	if (list == NULL)
		return NULL;
	comma = strchr(list, ',');
	if (comma == NULL)
		n = 0;
	for (; n > 0 && (comma = strchr(list, ',')) != NULL; n--)
		list = comma + 1;
	if (n > 0)
		return NULL;
	sl.ptr = list;
	sl.len = strcspn(list, ",");
	return sl.len == 0 ? NULL : slice_dup(sl);
}

static size_t
count(const char *list)
{
	size_t n = 1;

	for (; list != NULL && (list = strchr(list, ',')) != NULL; list++)
		n++;
	return n;
}

static int
is_numeric(const char *host)
{
	struct in6_addr addr;

	return inet_pton(AF_INET, host, &addr) == 1 ||
	    inet_pton(AF_INET6, host, &addr) == 1;
}

/* One of the hosts of a DSN; takes its strings. */
static int
host_needs(struct source *s, struct sandbox_needs *needs, char *host,
    char *addr, char *port)
{
	const char *problem = NULL;
	long long number = PORT_DEFAULT;

	if (port != NULL)
		number = strtonum(port, 1, 65535, &problem);
	if (problem != NULL) {
		log_warn("source %s: the port in its dsn is %s", s->name,
		    problem);
	} else if (addr == NULL && (host == NULL || host[0] == '/')) {
		/* Its name is kept: so is the pointer to it. */
		sandbox_path(needs, host == NULL ? SOCKET_DIR : host,
		    SANDBOX_CONNECT);
		host = NULL;
	} else {
		sandbox_port(needs, (uint16_t)number);
		if (addr == NULL && !is_numeric(host))
			needs->resolve = 1;
	}
	free(host);
	free(addr);
	free(port);
	return problem == NULL ? 0 : -1;
}

static int
file_needs(const PQconninfoOption *options, struct sandbox_needs *needs)
{
	static const char *const files[] = { "sslcert", "sslkey",
	    "sslrootcert", "sslcrl", "sslcrldir" };
	const char *path;
	char *copy;
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		path = value_of(options, files[i]);
		if (path == NULL || path[0] != '/')
			continue;
		if ((copy = strdup(path)) == NULL)
			return -1;
		sandbox_path(needs, copy, SANDBOX_READ);
	}
	return 0;
}

/* The DSN's own options first: of two settings the last is in force. */
static int
make_options(struct source *s, const char *own)
{
	struct postgres *p = s->state;
	struct buffer b;

	/* A session of the server is not ours: each transaction says it all. */
	if (s->pooler) {
		if (own != NULL)
			log_warn("source %s: its dsn has options, which a "
			    "pooler refuses unless told otherwise", s->name);
		return 0;
	}
	buffer_init(&b, OPTIONS_MAX);
	(void)buffer_printf(&b, "%s -c default_transaction_read_only=on "
	    "-c statement_timeout=%u", own == NULL ? "" : own, s->timeout_ms);
	(void)buffer_add_char(&b, '\0');
	if (b.bad)
		return -1;
	p->options = (char *)b.data;
	return 0;
}

/*
 * libpq takes a session for read-only where its default is, which ours always
 * is: what is meant is whether the server is a standby.
 */
static const char *
attributes(const struct source *s, const char *own)
{
	if (s->pooler || own == NULL)
		return NULL;
	if (strcmp(own, "read-write") == 0)
		return "primary";
	return strcmp(own, "read-only") == 0 ? "standby" : NULL;
}

int
pg_dsn_needs(struct source *s, struct sandbox_needs *needs)
{
	PQconninfoOption *options;
	const char *host, *addr, *port;
	char *error = NULL;
	size_t i, hosts;
	int rc = 0;

	forget_environment();
	if ((options = PQconninfoParse(s->target, &error)) == NULL) {
		/* The message may quote the DSN: not for the log. */
		log_warn("source %s: its dsn cannot be read by libpq",
		    s->name);
		PQfreemem(error);
		return -1;
	}
	host = value_of(options, "host");
	addr = value_of(options, "hostaddr");
	port = value_of(options, "port");
	hosts = addr != NULL ? count(addr) : count(host);
	for (i = 0; i < hosts && rc == 0; i++)
		rc = host_needs(s, needs, nth(host, i), nth(addr, i),
		    nth(port, i));
	if (rc == 0)
		rc = file_needs(options, needs);
	if (rc == 0)
		rc = make_options(s, value_of(options, "options"));
	((struct postgres *)s->state)->attributes = attributes(s,
	    value_of(options, "target_session_attrs"));
	PQconninfoFree(options);
	return rc;
}

/* ---- the credentials change -------------------------------------------- */

void
pg_dsn_ask(struct source *s)
{
	child_ask_credentials(s->number, &s->asked_ms);
}

/* Whether the sandbox knows where it leads; takes it where it does. */
static int
take_dsn(struct source *s, const char *dsn)
{
	struct postgres *p = s->state;
	PQconninfoOption *new = NULL;
	char *options = p->options;
	int ok;

	ok = pglogin_same_place(s->target, dsn) &&
	    (new = PQconninfoParse(dsn, NULL)) != NULL;
	if (!ok) {
		log_warn("source %s: its dsn cannot be read, or names another "
		    "host, port or file than at the start, which the sandbox "
		    "does not know: restart for that", s->name);
	} else {
		p->options = NULL;
		if ((ok = make_options(s, value_of(new, "options")) == 0)) {
			free(options);
			p->attributes = attributes(s,
			    value_of(new, "target_session_attrs"));
		} else {
			p->options = options;
		}
	}
	PQconninfoFree(new);
	return ok;
}

void
pg_dsn_renew(struct source *s, struct slice dsn)
{
	struct postgres *p = s->state;
	char *target = slice_dup(dsn);
	uint32_t i;

	if (target == NULL)
		return;
	if (strcmp(target, s->target) == 0 || !take_dsn(s, target)) {
		freezero(target, dsn.len + 1);
		return;
	}
	log_info("source %s: its dsn was read again", s->name);
	freezero(s->target, strlen(s->target) + 1);
	s->target = target;
	/* What is up goes on with what it has. */
	for (i = 0; i < p->nconns; i++)
		pg_conn_retry(&p->conns[i]);
}

/* What stands before the DSN it may say otherwise, what follows it may not. */
PGconn *
pg_dsn_connect(struct source *s)
{
	const struct postgres *p = s->state;
	const char *names[] = { "sslcert", "sslkey", "sslrootcert", "dbname",
	    "options", "application_name", "passfile", "client_encoding",
	    "gssencmode", "target_session_attrs", NULL };
	const char *values[] = { NOWHERE, NOWHERE, NOWHERE, s->target,
	    p->options, "pontifexd", NOWHERE, "UTF8", "disable",
	    p->attributes, NULL };

	PGconn *pg = PQconnectStartParams(names, values, 1);

	/* Why it fails is told by a state, which libpq has in no other place. */
	if (pg != NULL)
		(void)PQsetErrorVerbosity(pg, PQERRORS_VERBOSE);
	return pg;
}
