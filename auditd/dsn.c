/* SPDX-License-Identifier: ISC */

/*
 * The connection string of the audit database.  libpq would look host names
 * up inside PQconnectPoll(), and block; so they are looked up here, at start,
 * and handed to it as addresses.  Where that fails at start libpq gets
 * the name after all: a short stop of the loop then beats no drain at all.
 * Later on another string is taken where it leads to the same place: what was
 * looked up stays, a password may be new.
 */

#include <sys/socket.h>

#include <netdb.h>
#include <stdio.h>

#include <libpq-fe.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "../common/pglogin.h"
#include "../pledge/sandbox.h"
#include "auditd.h"

#define LIST_MAX	2048	/* bytes of a list of hosts */
#define SOCKET_FOLDER	"/var/run/postgresql"

static const char *
dsn_get(const struct dsn *d, const char *word)
{
	size_t i;

	for (i = 0; i < d->words; i++)
		if (strcmp(d->word[i], word) == 0)
			return d->value[i];
	return NULL;
}

static int
dsn_set(struct dsn *d, const char *word, const char *value)
{
	char *copy;
	size_t i;

	if ((copy = strdup(value)) == NULL)
		return -1;
	for (i = 0; i < d->words; i++)
		if (strcmp(d->word[i], word) == 0) {
			freezero(d->value[i], strlen(d->value[i]));
			d->value[i] = copy;
			return 0;
		}
	if (d->words == DSN_WORDS_MAX ||
	    (d->word[d->words] = strdup(word)) == NULL) {
		freezero(copy, strlen(copy));
		return -1;
	}
	d->value[d->words++] = copy;
	return 0;
}

void
dsn_free(struct dsn *d)
{
	size_t i;

	for (i = 0; i < d->words; i++) {
		free(d->word[i]);
		freezero(d->value[i], strlen(d->value[i]));
	}
	for (i = 0; i < d->sockets; i++)
		free(d->socket[i]);
	if (d->text != NULL)
		freezero(d->text, strlen(d->text));
	memset(d, 0, sizeof(*d));
}

/* Three lists of the same length, as libpq wants them. */
struct lists {
	char	host[LIST_MAX];
	char	address[LIST_MAX];
	char	port[LIST_MAX];
	size_t	count;
};

static int
lists_add(struct lists *l, const char *host, const char *address,
    const char *port)
{
	if (l->count == DSN_HOSTS_MAX)
		return -1;
	if (l->count++ > 0) {
		(void)strlcat(l->host, ",", sizeof(l->host));
		(void)strlcat(l->address, ",", sizeof(l->address));
		(void)strlcat(l->port, ",", sizeof(l->port));
	}
	return strlcat(l->host, host, sizeof(l->host)) >= sizeof(l->host) ||
	    strlcat(l->address, address, sizeof(l->address)) >=
	    sizeof(l->address) || strlcat(l->port, port, sizeof(l->port)) >=
	    sizeof(l->port) ? -1 : 0;
}

/* Every address of a name becomes a host of its own. */
static int
add_host(struct dsn *d, struct lists *l, const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found, *a;
	char address[NI_MAXHOST];
	const char *error;
	long long number;
	int rc = 0;

	number = strtonum(port, 1, 65535, &error);
	if (host[0] == '/' || host[0] == '@') {
		if (d->sockets == DSN_HOSTS_MAX ||
		    (d->socket[d->sockets] = strdup(host)) == NULL)
			return -1;
		d->sockets++;
		return lists_add(l, host, "", port);
	}
	if (error != NULL || d->ports == DSN_HOSTS_MAX)
		return -1;
	d->port[d->ports++] = (uint16_t)number;
	if (getaddrinfo(host, NULL, &hints, &found) != 0) {
		log_warn("audit database: a host name is not known now: "
		    "looked up again at each attempt");
		d->resolve = 1;
		return lists_add(l, host, "", port);
	}
	for (a = found; a != NULL && rc == 0; a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, address,
		    sizeof(address), NULL, 0, NI_NUMERICHOST) == 0)
			rc = lists_add(l, host, address, port);
	freeaddrinfo(found);
	return rc;
}

/* The n-th of a list parted by commas; the only one stands for all. */
static void
list_item(const char *list, size_t n, char *to, size_t size)
{
	const char *at = list, *comma;

	for (; n > 0 && (comma = strchr(at, ',')) != NULL; n--)
		at = comma + 1;
	(void)strlcpy(to, at, size);
	to[strcspn(to, ",")] = '\0';
}

static int
resolve_hosts(struct dsn *d)
{
	const char *hosts = dsn_get(d, "host"), *ports = dsn_get(d, "port");
	char host[256], port[16];
	static struct lists l;
	size_t i, n = 1;
	const char *at;

	if (hosts == NULL || hosts[0] == '\0')
		hosts = SOCKET_FOLDER;
	if (ports == NULL || ports[0] == '\0')
		ports = "5432";
	if (dsn_get(d, "hostaddr") != NULL) {
		list_item(ports, 0, port, sizeof(port));
		d->port[d->ports++] = (uint16_t)strtonum(port, 1, 65535, &at);
		return 0;
	}
	memset(&l, 0, sizeof(l));
	for (at = hosts; *at != '\0'; at++)
		n += *at == ',';
	for (i = 0; i < n; i++) {
		list_item(hosts, i, host, sizeof(host));
		list_item(ports, i, port, sizeof(port));
		if (add_host(d, &l, host, port) == -1)
			return -1;
	}
	return dsn_set(d, "host", l.host) == -1 ||
	    dsn_set(d, "hostaddr", l.address) == -1 ||
	    dsn_set(d, "port", l.port) == -1 ? -1 : 0;
}

/* Its words, and those of ours that it leaves open; 0, or -1. */
static int
take_words(struct dsn *d, const char *text)
{
	PQconninfoOption *options, *o;
	char *error = NULL;
	int rc = 0;

	memset(d, 0, sizeof(*d));
	/* libpq's message may quote a piece of the password: not shown. */
	options = PQconninfoParse(text, &error);
	PQfreemem(error);
	if (options == NULL) {
		log_warn("audit database: not a connection string");
		return -1;
	}
	for (o = options; o->keyword != NULL; o++) {
		if (o->val == NULL)
			continue;
		if (rc == 0)
			rc = dsn_set(d, o->keyword, o->val);
		explicit_bzero(o->val, strlen(o->val));
	}
	PQconninfoFree(options);
	if (rc == 0 && dsn_get(d, "application_name") == NULL)
		rc = dsn_set(d, "application_name", "pontifexd auditd");
	/* Kerberos would block the loop; whoever wants it says so. */
	if (rc == 0 && dsn_get(d, "gssencmode") == NULL)
		rc = dsn_set(d, "gssencmode", "disable");
	if (rc == 0 && (d->text = strdup(text)) == NULL)
		rc = -1;
	if (rc == -1)
		log_warn("audit database: a connection string that cannot be "
		    "used: no memory, or too many words");
	return rc;
}

int
dsn_parse(struct dsn *d, const char *text)
{
	if (take_words(d, text) == 0) {
		if (resolve_hosts(d) == 0)
			return 0;
		log_warn("audit database: a connection string that cannot be "
		    "used: hosts or ports");
	}
	dsn_free(d);
	return -1;
}

/* What was looked up, opened to the sandbox, and cannot be again. */
static int
keep_place(struct dsn *to, struct dsn *from)
{
	static const char *const looked_up[] = { "host", "hostaddr", "port" };
	const char *value;
	size_t i;

	for (i = 0; i < sizeof(looked_up) / sizeof(looked_up[0]); i++)
		if ((value = dsn_get(from, looked_up[i])) != NULL &&
		    dsn_set(to, looked_up[i], value) == -1)
			return -1;
	memcpy(to->socket, from->socket, sizeof(to->socket));
	to->sockets = from->sockets;
	from->sockets = 0;
	memcpy(to->port, from->port, sizeof(to->port));
	to->ports = from->ports;
	to->resolve = from->resolve;
	return 0;
}

int
dsn_renew(struct dsn *d, const char *text)
{
	struct dsn new;

	if (d->text == NULL || strcmp(d->text, text) == 0)
		return 0;
	if (!pglogin_same_place(d->text, text)) {
		log_warn("audit database: its connection string cannot be "
		    "read, or names another host, port or file than at the "
		    "start, which the sandbox does not know: reload for that");
		return 0;
	}
	if (take_words(&new, text) == -1 || keep_place(&new, d) == -1) {
		dsn_free(&new);
		return 0;
	}
	dsn_free(d);
	*d = new;
	return 1;
}

void
dsn_needs(const struct dsn *d, struct sandbox_needs *needs)
{
	static const char *const files[] = {
		"sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile"
	};
	const char *path;
	size_t i;

	for (i = 0; i < d->sockets; i++)
		sandbox_path(needs, d->socket[i], SANDBOX_CONNECT);
	for (i = 0; i < d->ports; i++)
		sandbox_port(needs, d->port[i]);
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if ((path = dsn_get(d, files[i])) != NULL && path[0] == '/')
			sandbox_path(needs, path, SANDBOX_READ);
	if (d->resolve)
		needs->resolve = 1;
}
