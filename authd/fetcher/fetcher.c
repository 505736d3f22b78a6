/* SPDX-License-Identifier: ISC */

/*
 * The fetcher: it asks the issuers' servers for their metadata and keys, by
 * HTTPS, when authd wants them, and hands the bytes on unread.  It holds no
 * secret and sees no token.  Authd is not trusted to say where to go: the
 * origins of the configuration are all there is, and one fetch an issuer.
 */

#include <sys/types.h>

#include <fcntl.h>
#include <stdio.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "../../common/compat.h"
#include "../../common/log.h"
#include "../../common/proc.h"
#include "../../common/stats.h"
#include "../../pledge/sandbox.h"
#include "fetcher.h"

#define FILES_MAX	(ISSUERS_MAX + 1)	/* of CA certificates */
#define STATUS_MAX	256		/* bytes of our lines of a status */

struct ca_file {
	char		*path;		/* "": the system's */
	struct buffer	 pem;
};

struct issuer {
	struct url		 url;
	struct url		 jwks;
	int			 has_jwks;
	int			 allow_private;
	size_t			 ca;		/* number of its ca_file */
	struct fetch		*fetch;		/* NULL: none is under way */
	uint64_t		 question;	/* of that fetch */
	uint8_t			 what;
};

static struct issuer issuers[ISSUERS_MAX];
static size_t nissuers;
static struct ca_file ca_files[FILES_MAX];
static size_t nca_files;
static struct channel *authd;
static struct {
	uint64_t	asked;
	uint64_t	refused;	/* and no server was asked */
	uint64_t	failed;
} count;

/* ---- configuration ----------------------------------------------------- */

static int
configure_url(struct slice s, const char *what, struct url *u)
{
	char safe[URL_MAX + 1];
	const char *why;

	if (url_parse(s, u, &why) == 0)
		return 0;
	log_warn("issuer: %s \"%s\": %s", what,
	    log_safe(safe, sizeof(safe), s), why);
	return -1;
}

/* One place for each path; -1: no memory. */
static int
configure_ca(struct slice path, size_t *number)
{
	size_t i;

	for (i = 0; i < nca_files; i++)
		if (slice_is(path, ca_files[i].path))
			break;
	*number = i;
	if (i < nca_files)
		return 0;
	if (nca_files == FILES_MAX ||
	    (ca_files[i].path = slice_dup(path)) == NULL)
		return -1;
	buffer_init(&ca_files[i].pem, CA_MAX);
	nca_files++;
	return 0;
}

static int
configure(const struct frame *f)
{
	struct msg_conf_fetch m;
	struct issuer *is = &issuers[nissuers];

	if (f->type != MSG_CONF_FETCH || nissuers == ISSUERS_MAX ||
	    get_conf_fetch(f, &m) == -1 ||
	    configure_url(m.issuer, "URL", &is->url) == -1)
		return -1;
	if (is->url.text[is->url.query] != '\0') {
		log_warn("issuer: URL \"%s\": it has a query", is->url.text);
		return -1;
	}
	is->has_jwks = m.jwks.len > 0;
	if (is->has_jwks && configure_url(m.jwks, "jwks", &is->jwks) == -1)
		return -1;
	is->allow_private = m.allow_private;
	if (configure_ca(m.ca, &is->ca) == -1)
		return -1;
	nissuers++;
	return 0;
}

/* ---- what is read before the sandbox ----------------------------------- */

static int
read_file(const char *path, struct buffer *to)
{
	unsigned char *p;
	ssize_t n = -1;
	int fd;

	buffer_clear(to);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return -1;
	while ((p = buffer_reserve(to, 65536)) != NULL &&
	    (n = read(fd, p, 65536)) > 0)
		to->len += (size_t)n;
	close(fd);
	return n == 0 && p != NULL ? 0 : -1;
}

static int
has_certificate(const struct buffer *pem)
{
	X509 *x = NULL;
	BIO *bio;

	if ((bio = BIO_new_mem_buf(pem->data, (int)pem->len)) != NULL)
		x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	X509_free(x);
	return x != NULL;
}

static int
read_ca(struct ca_file *f)
{
	/* Debian, Fedora, OpenBSD. */
	static const char *const system_files[] = {
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
	};
	size_t i;

	if (f->path[0] != '\0') {
		if (read_file(f->path, &f->pem) == 0 &&
		    has_certificate(&f->pem))
			return 0;
		log_warn("issuer: ca \"%s\": it cannot be read, or holds no "
		    "certificate", f->path);
		return -1;
	}
	for (i = 0; i < sizeof(system_files) / sizeof(system_files[0]); i++)
		if (read_file(system_files[i], &f->pem) == 0 &&
		    has_certificate(&f->pem))
			return 0;
	log_warn("issuer: the system has no file of CA certificates");
	return -1;
}

static int
prepare(void)
{
	size_t i;

	for (i = 0; i < nca_files; i++)
		if (read_ca(&ca_files[i]) == -1)
			return -1;
	return resolve_start() == -1 || transfer_start() == -1 ? -1 : 0;
}

/* ---- the sandbox ------------------------------------------------------- */

static void
need_origin(struct sandbox_needs *needs, const struct url *u)
{
	size_t i;

	if (!u->literal)
		needs->resolve = 1;
	for (i = 0; i < needs->ports && needs->port[i] != u->port; i++)
		;
	if (i == needs->ports)
		sandbox_port(needs, u->port);
}

static int
confine(void)
{
	/* The last is c-ares's, for the numbers of its questions. */
	static const char *const files[] = {
		"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
		"/etc/host.conf", "/etc/gai.conf", "/etc/services",
		"/dev/urandom",
	};
	struct sandbox_needs needs;
	size_t i;

	sandbox_needs_init(&needs);
	for (i = 0; i < nissuers; i++) {
		need_origin(&needs, &issuers[i].url);
		if (issuers[i].has_jwks)
			need_origin(&needs, &issuers[i].jwks);
	}
	for (i = 0; needs.resolve && i < sizeof(files) / sizeof(files[0]); i++)
		sandbox_path(&needs, files[i], SANDBOX_READ);
	return sandbox_enter(ROLE_FETCHER, &needs);
}

/* ---- authd ------------------------------------------------------------- */

static void
answer(uint64_t question, const struct msg_fetched *m)
{
	struct buffer *b;

	if (authd == NULL ||
	    (b = channel_begin(authd, MSG_FETCHED, question)) == NULL)
		return;
	put_fetched(b, m);
	if (channel_commit(authd) == -1)
		log_warn("an answer to authd was too large");
}

static void
on_fetched(const struct msg_fetched *m, void *arg)
{
	struct issuer *is = arg;
	struct msg_fetched full = *m;

	is->fetch = NULL;
	full.issuer = (uint32_t)(is - issuers);
	full.what = is->what;
	if (m->ok) {
		log_debug("fetched: %s: %zu bytes", is->url.text, m->bytes.len);
	} else {
		count.failed++;
		log_debug("not fetched: %s: %.*s", is->url.text,
		    (int)m->bytes.len, m->bytes.ptr);
	}
	answer(is->question, &full);
}

/* What authd means; -1 with *why. */
static int
choose(const struct issuer *is, const struct msg_fetch *m, struct url *u,
    const char **why)
{
	if (m->what != FETCH_JWKS) {
		*why = "the issuer's metadata has no URL";
		return m->url.len == 0 ? url_metadata(&is->url,
		    (enum fetch_what)m->what, u) : -1;
	}
	if (m->url.len == 0) {
		*why = "no jwks is configured";
		*u = is->jwks;
		return is->has_jwks ? 0 : -1;
	}
	if (url_parse(m->url, u, why) == -1)
		return -1;
	if (url_same_origin(u, &is->url) ||
	    (is->has_jwks && url_same_origin(u, &is->jwks)))
		return 0;
	*why = "the URL is not on the issuer's origin";
	return -1;
}

static int
begin_fetch(const struct msg_fetch *m, uint64_t question, const char **why)
{
	struct fetch_rules rules;
	struct issuer *is;
	struct url u;

	*why = "no such issuer";
	if (m->issuer >= nissuers)
		return -1;
	is = &issuers[m->issuer];
	*why = "a fetch from this issuer is under way";
	if (is->fetch != NULL || choose(is, m, &u, why) == -1)
		return -1;
	rules.ca.ptr = (const char *)ca_files[is->ca].pem.data;
	rules.ca.len = ca_files[is->ca].pem.len;
	rules.allow_private = is->allow_private;
	is->question = question;
	is->what = m->what;
	*why = "no memory";
	is->fetch = fetch_new(&u, &rules, on_fetched, is);
	return is->fetch == NULL ? -1 : 0;
}

static int
on_authd(struct channel *ch, const struct frame *f, void *arg)
{
	struct msg_fetched refused;
	struct msg_fetch m;
	const char *why;

	(void)ch;
	(void)arg;
	if (f->type != MSG_FETCH || get_fetch(f, &m) == -1)
		return -1;
	count.asked++;
	if (begin_fetch(&m, f->id, &why) == 0)
		return 0;
	count.refused++;
	log_debug("fetch refused: issuer %u: %s", m.issuer, why);
	memset(&refused, 0, sizeof(refused));
	refused.issuer = m.issuer;
	refused.what = m.what;
	refused.bytes = slice_of(why);
	answer(f->id, &refused);
	return 0;
}

/* What was asked is owed to nobody. */
static void
forget_questions(void)
{
	size_t i;

	for (i = 0; i < nissuers; i++) {
		fetch_cancel(issuers[i].fetch);
		issuers[i].fetch = NULL;
	}
}

static void
authd_closed(struct channel *ch, void *arg)
{
	(void)arg;
	authd = NULL;
	forget_questions();
	/* If authd lives it cut us off, and asks us nothing more. */
	child_peer_gone(ch, ROLE_AUTHD, 0);
}

static void
peer(const struct msg_peer *m, int fd)
{
	static const struct channel_ops ops = {
		.frame = on_authd, .closed = authd_closed
	};

	if (m->role != ROLE_AUTHD) {
		close(fd);
		return;
	}
	if (authd != NULL)
		channel_close(authd);
	forget_questions();
	authd = channel_new(child.base, fd, "authd", 0, &ops, NULL);
	if (authd == NULL)
		close(fd);
}

static void
stats(struct buffer *b)
{
	put_stat(b, STAT_FETCHES, count.asked);
	put_stat(b, STAT_FETCHES_FAILED, count.failed);
	put_stat(b, STAT_FETCHES_REFUSED, count.refused);
}

static int
control(const struct frame *f)
{
	char text[STATUS_MAX];
	size_t i, active = 0;
	int n;

	if (f->type != MSG_STATUS_ASK)
		return -1;
	for (i = 0; i < nissuers; i++)
		active += issuers[i].fetch != NULL;
	n = snprintf(text, sizeof(text), "issuers %zu, fetches %llu, "
	    "active %zu, failed %llu, refused %llu, authd %s\n", nissuers,
	    (unsigned long long)count.asked, active,
	    (unsigned long long)count.failed,
	    (unsigned long long)count.refused,
	    authd == NULL ? "away" : "connected");
	if (n > 0 && (size_t)n < sizeof(text))
		(void)channel_send(child.control, MSG_STATUS, f->id, text,
		    (size_t)n);
	return 0;
}

int
main(void)
{
	static const struct child_ops ops = {
		.configure = configure, .prepare = prepare, .confine = confine,
		.peer = peer, .control = control, .stats = stats
	};
	static char *none[] = { NULL };

	/*
	 * Proxies, key logs, other CA files, other names for hosts: whatever
	 * the libraries would take from the environment is not for them.
	 */
	environ = none;
	return child_main(ROLE_FETCHER, &ops);
}
