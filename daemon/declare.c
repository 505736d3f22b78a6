/* SPDX-License-Identifier: ISC */

/*
 * What is declared by name: listen lines, hosts, sources, tools and their
 * params, as parse.y reads them.  A name of the wrong form, one that stands
 * twice and one too many are said where they stand; the thing is made all
 * the same, so that what follows it is read in its sense.
 */

#include <arpa/inet.h>

#include <ctype.h>
#include <strings.h>

#include "../common/compat.h"
#include "../common/keyfile.h"
#include "configure.h"
#include "parent.h"

/* A listener takes 256 of each; listen lines and the public url add theirs. */
#define HOSTS_MAX	200

#define NAME_RULE	"a name is a letter and up to 63 of A-Z a-z 0-9 _ . -"

static void
lower(char *s)
{
	for (; *s != '\0'; s++)
		*s = (char)tolower((unsigned char)*s);
}

/* Says it once, for the first one too many. */
static void
count(uint32_t *n, uint32_t max, const char *what)
{
	if ((*n)++ == max)
		config_error("more than %u %s", max, what);
}

/* ---- the wire ---------------------------------------------------------- */

static int
is_numeric(const char *address)
{
	struct in6_addr any;

	return inet_pton(AF_INET, address, &any) == 1 ||
	    inet_pton(AF_INET6, address, &any) == 1;
}

static int
is_loopback(const char *address)
{
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, address, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, address, &six) == 1 &&
	    IN6_IS_ADDR_LOOPBACK(&six);
}

void
add_listen(struct config *c, char *address, int64_t port, int plaintext)
{
	struct listen_conf *l = need(calloc(1, sizeof(*l)));
	const struct listen_conf *other;
	int n = 0;

	l->address = address;
	l->plaintext = plaintext;
	l->loopback = is_loopback(address);
	if (!is_numeric(address))
		config_error("listen on \"%s\": must be a numeric address",
		    address);
	else if (port < 1 || port > 65535)
		config_error("port must be 1 to 65535");
	else if (!l->loopback && !plaintext)
		config_error("listen on %s: this is not loopback, and TLS is "
		    "not built: end it at a gateway in front and say so with "
		    "the word plaintext", address);
	l->port = (uint16_t)port;
	TAILQ_FOREACH(other, &c->listens, entry) {
		n++;
		if (other->port == l->port &&
		    strcmp(other->address, address) == 0)
			config_error("listen on %s port %u is given twice",
			    address, (unsigned int)l->port);
	}
	if (n == LISTENS_MAX)
		config_error("more than %d listen lines", LISTENS_MAX);
	TAILQ_INSERT_TAIL(&c->listens, l, entry);
}

/* Who reads them is not asked for a key: nobody from elsewhere may. */
void
metrics_tcp(struct config *c, char *address, int64_t port)
{
	if (!is_loopback(address))
		config_error("metrics on \"%s\": must be a loopback address, "
		    "127.0.0.1 or ::1, or the path of a socket", address);
	else if (port < 1 || port > 65535)
		config_error("port must be 1 to 65535");
	free(c->metrics.address);
	c->metrics.address = address;
	c->metrics.port = (uint16_t)port;
	c->metrics.file = config_file();
	c->metrics.line = config_line();
}

/* Printable ASCII without quotes and blanks: it stands in headers. */
static int
header_text_ok(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= 0x20 || *s >= 0x7f || strchr("\"\\<>", *s) != NULL)
			return 0;
	return 1;
}

void
set_http_path(struct config *c, char *path)
{
	if (path[0] != '/' || !header_text_ok(path) ||
	    strpbrk(path, "?#%") != NULL || strlen(path) >= PATH_LEN_MAX)
		config_error("path \"%s\": must begin with / and hold no "
		    "blank, quote, ? # or %%", path);
	else if (strncmp(path, "/health/", 8) == 0 ||
	    strncmp(path, "/.well-known/", 13) == 0)
		config_error("path \"%s\": something else is served there",
		    path);
	set_once(&c->http_path, path, "path");
}

/* host[:port] of a URL, lower case and without its port; NULL: it is none. */
static char *
authority_host(const char *s, size_t len)
{
	size_t n = 0, i;
	char *host;

	if (len > 0 && s[0] == '[') {
		for (n = 1; n < len && (isxdigit((unsigned char)s[n]) ||
		    s[n] == ':' || s[n] == '.'); n++)
			;
		if (n == len || s[n++] != ']')
			return NULL;
	} else {
		while (n < len && (isalnum((unsigned char)s[n]) ||
		    s[n] == '.' || s[n] == '-'))
			n++;
	}
	if (n == 0 || (n < len && s[n] != ':'))
		return NULL;
	for (i = n + 1; i < len; i++)
		if (!isdigit((unsigned char)s[i]))
			return NULL;
	if (n + 1 == len)	/* a colon and no port */
		return NULL;
	host = need(strndup(s, n));
	lower(host);
	return host;
}

int
https_url_ok(const char *url)
{
	static const char scheme[] = "https://";
	size_t skip = sizeof(scheme) - 1;
	char *host;

	if (strncmp(url, scheme, skip) != 0 || !header_text_ok(url) ||
	    strpbrk(url, "#?") != NULL)
		return 0;
	if ((host = authority_host(url + skip, strcspn(url + skip, "/"))) ==
	    NULL)
		return 0;
	free(host);
	return 1;
}

void
set_public_url(struct config *c, char *url)
{
	size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 :
	    strncmp(url, "http://", 7) == 0 ? 7 : 0;
	char *host = NULL;

	if (scheme != 0 && header_text_ok(url) && strchr(url, '#') == NULL &&
	    strchr(url, '?') == NULL && strlen(url) < PATH_LEN_MAX)
		host = authority_host(url + scheme,
		    strcspn(url + scheme, "/"));
	if (host == NULL)
		config_error("public url \"%s\": must be "
		    "https://host[:port]/path", url);
	else if (c->public_host == NULL)
		c->public_host = host;
	else
		free(host);
	set_once(&c->public_url, url, "public url");
}

static void
add_allowed(struct text_list *list, char *text, const char *what)
{
	const struct text_item *item;
	int n = 0;

	lower(text);
	TAILQ_FOREACH(item, list, entry)
		n++;
	if (n == HOSTS_MAX)
		config_error("more than %d %s", HOSTS_MAX, what);
	add_text(list, text);
}

void
add_host(struct config *c, char *text)
{
	char *host = authority_host(text, strlen(text));

	if (host == NULL || strlen(host) != strlen(text))
		config_error("allow host \"%s\": must be a host name or "
		    "address, without scheme and port", text);
	free(host);
	add_allowed(&c->hosts, text, "allow host lines");
}

void
add_origin(struct config *c, char *text)
{
	const char *rest = strstr(text, "://");
	char *host = NULL;

	if (rest != NULL && rest != text && header_text_ok(text))
		host = authority_host(rest + 3, strlen(rest + 3));
	if (host == NULL && strcmp(text, "null") != 0)
		config_error("allow origin \"%s\": must be scheme://host, and "
		    "nothing behind it", text);
	free(host);
	add_allowed(&c->origins, text, "allow origin lines");
}

/* ADDRESS or ADDRESS/BITS; 0, or -1: it is neither. */
static int
read_network(const char *text, struct network *net)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	size_t len = strcspn(text, "/"), most = 128, i;
	const char *bits = text[len] == '/' ? text + len + 1 : NULL;
	const char *error = NULL;
	char address[INET6_ADDRSTRLEN];

	if (len >= sizeof(address))
		return -1;
	memcpy(address, text, len);
	address[len] = '\0';
	if (inet_pton(AF_INET, address, net->address + sizeof(mapped)) == 1) {
		memcpy(net->address, mapped, sizeof(mapped));
		most = 32;
	} else if (inet_pton(AF_INET6, address, net->address) != 1) {
		return -1;
	}
	net->bits = 128;
	if (bits != NULL) {
		if (!isdigit((unsigned char)bits[0]))
			return -1;
		/* None would be the whole world. */
		net->bits = (uint8_t)(128 - most + (size_t)strtonum(bits, 1,
		    (long long)most, &error));
	}
	for (i = net->bits; error == NULL && i < 128; i++)
		if (net->address[i / 8] & (0x80 >> i % 8))
			return -1;
	return error == NULL ? 0 : -1;
}

void
add_forwarders(struct config *c, struct text_list *list)
{
	const struct text_item *item;
	uint32_t n = 0;

	TAILQ_FOREACH(item, list, entry) {
		if (n == FORWARDERS_MAX) {
			config_error("more than %d addresses to trust",
			    FORWARDERS_MAX);
			break;
		}
		if (read_network(item->text, &c->forwarder[n++]) == -1)
			config_error("trust forwarded from \"%s\": must be a "
			    "numeric address, or ADDRESS/BITS with no bit set "
			    "behind the first BITS, of which there is one at "
			    "least", item->text);
	}
	c->nforwarders = n;
	list_free(list);
}

void
set_user(struct config *c, char *name)
{
	/* Those that make install makes begin with an underline. */
	if (!name_ok(name[0] == '_' ? name + 1 : name))
		config_error("user \"%s\" is no name of a user", name);
	set_once(&c->user, name, "user");
}

void
set_node(struct config *c, char *node)
{
	if (strlen(node) > NODE_NAME_MAX || !header_text_ok(node))
		config_error("node: up to %d printable characters without "
		    "blanks and quotes", NODE_NAME_MAX);
	set_once(&c->audit.node, node, "node");
}

void
set_audit_limit(struct config *c, int64_t limit)
{
	if (limit < 1)
		config_error("limit must be at least 1 byte");
	else
		c->audit.limit = (uint64_t)limit;
}

void
check_scopes(const struct text_list *list)
{
	const struct text_item *item;
	const char *problem;

	TAILQ_FOREACH(item, list, entry)
		if ((problem = scope_problem(slice_of(item->text))) != NULL)
			config_error("scope \"%s\": %s", item->text, problem);
}

/* ---- sources ----------------------------------------------------------- */

struct source_conf *
add_source(struct config *c, char *name, enum source_kind kind)
{
	struct placed_source *placed = need(calloc(1, sizeof(*placed)));
	struct source_conf *s = &placed->conf;

	if (!name_ok(name))
		config_error("source \"%s\": " NAME_RULE, name);
	else if (config_source(c, name) != NULL)
		config_error("source \"%s\" is declared twice", name);
	count(&c->nsources, SOURCES_MAX, "sources");
	placed->file = config_file();
	s->name = name;
	s->kind = kind;
	s->line = config_line();
	TAILQ_INIT(&s->sessions);
	TAILQ_INSERT_TAIL(&c->sources, s, entry);
	return s;
}

/* The part behind `caller.', or NULL. */
static const char *
caller_value(const char *value)
{
	if (strncmp(value, "caller.", 7) != 0)
		return NULL;
	value += 7;
	if (strcmp(value, "id") == 0 || strcmp(value, "owner") == 0 ||
	    (strncmp(value, "claim.", 6) == 0 && name_ok(value + 6)))
		return value;
	return NULL;
}

void
add_session(struct source_conf *s, char *name, char *value)
{
	struct session_conf *session = need(calloc(1, sizeof(*session)));
	const struct session_conf *other;
	const char *part = caller_value(value);

	if (s->kind != SOURCE_POSTGRES)
		config_error("session is for a postgres source");
	if (part == NULL)
		config_error("session \"%s\": must be caller.id, caller.owner "
		    "or caller.claim.NAME, not %s", name, value);
	/* A setting of Postgres' own could undo what holds a tool read-only. */
	if (strchr(name, '.') == NULL || !name_ok(name))
		config_error("session \"%s\": must be a setting of your own, "
		    "with a dot in its name", name);
	TAILQ_FOREACH(other, &s->sessions, entry)
		if (strcasecmp(other->name, name) == 0)
			config_error("session \"%s\" is given twice", name);
	count(&s->nsessions, SESSIONS_MAX, "session lines");
	session->name = name;
	session->value = need(strdup(part == NULL ? "id" : part));
	free(value);
	TAILQ_INSERT_TAIL(&s->sessions, session, entry);
}

/* ---- tools ------------------------------------------------------------- */

struct tool_conf *
add_tool(struct config *c, char *name)
{
	struct placed_tool *placed = need(calloc(1, sizeof(*placed)));
	struct tool_conf *t = &placed->conf;
	const struct tool_conf *other;

	if (!name_ok(name))
		config_error("tool \"%s\": " NAME_RULE, name);
	TAILQ_FOREACH(other, &c->tools, entry)
		if (strcmp(other->name, name) == 0)
			config_error("tool \"%s\" is declared twice", name);
	count(&c->ntools, TOOLS_MAX, "tools");
	placed->file = config_file();
	t->name = name;
	t->line = config_line();
	TAILQ_INIT(&t->params);
	TAILQ_INIT(&t->invalidates);
	TAILQ_INSERT_TAIL(&c->tools, t, entry);
	return t;
}

void
tool_sql(struct tool_conf *t, char *sql)
{
	set_once(&t->sql, sql, "sql");
	t->sql_line = config_string_line();
}

static int
param_name_ok(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++)
		if (!isalpha((unsigned char)s[i]) && s[i] != '_' &&
		    (i == 0 || !isdigit((unsigned char)s[i])))
			return 0;
	return i > 0 && i <= NAME_LEN_MAX;
}

struct param_conf *
add_param(struct tool_conf *t, char *name, enum param_type type)
{
	struct placed_param *placed = need(calloc(1, sizeof(*placed)));
	struct param_conf *p = &placed->conf;
	const struct param_conf *other;

	if (strcmp(name, "caller") == 0)
		config_error("param \"caller\": the name belongs to the "
		    "verified identity");
	else if (!param_name_ok(name))
		config_error("param \"%s\": a name is a letter or _ and up to "
		    "63 of A-Z a-z 0-9 _", name);
	TAILQ_FOREACH(other, &t->params, entry)
		if (strcmp(other->name, name) == 0)
			config_error("param \"%s\" is declared twice", name);
	count(&t->nparams, PARAMS_MAX, "params");
	placed->file = config_file();
	p->name = name;
	p->type = type;
	p->line = config_line();
	TAILQ_INIT(&p->values);
	TAILQ_INSERT_TAIL(&t->params, p, entry);
	return p;
}

void
param_enum(struct param_conf *p, struct text_list *list)
{
	const struct text_item *other;
	struct text_item *item;

	if (p->type != PARAM_ENUM)
		config_error("param \"%s\": only an enum has values", p->name);
	while ((item = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, item, entry);
		TAILQ_FOREACH(other, &p->values, entry)
			if (strcmp(other->text, item->text) == 0)
				config_error("param \"%s\": value \"%s\" is "
				    "given twice", p->name, item->text);
		TAILQ_INSERT_TAIL(&p->values, item, entry);
		count(&p->nvalues, ENUM_MAX, "values");
	}
	free(list);
}

void
param_privacy(struct param_conf *p, enum privacy privacy)
{
	if (p->privacy != PRIVACY_CLEAR)
		config_error("param \"%s\": redact or omit, once", p->name);
	p->privacy = privacy;
}
