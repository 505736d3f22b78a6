/* SPDX-License-Identifier: ISC */

/*
 * The way to a sink: a file, a socket, TLS over one, or what the parent
 * handed over.  Nothing here waits: what cannot be done now says what it
 * waits for.  A file is the exception, as the journal is.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>

#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "../pledge/sandbox.h"
#include "sink.h"

#define TAIL_BYTES	(RECORD_MAX + 4096)	/* of a file, looked at */

static int
failed(struct sink_conn *c, const char *what, const char *why)
{
	(void)snprintf(c->why, sizeof(c->why), "%s: %s", what, why);
	conn_close(c);
	return -1;
}

static int
tls_failed(struct sink_conn *c, const char *what)
{
	long verdict = c->ssl == NULL ? X509_V_OK :
	    SSL_get_verify_result(c->ssl);
	char text[120];

	if (verdict != X509_V_OK)
		(void)strlcpy(text, X509_verify_cert_error_string(verdict),
		    sizeof(text));
	else
		ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	return failed(c, what, text);
}

/* ---- before the sandbox ------------------------------------------------ */

static int
tls_prepare(struct sink_conn *c, const char *ca)
{
	if ((c->context = SSL_CTX_new(TLS_client_method())) == NULL ||
	    SSL_CTX_set_min_proto_version(c->context, TLS1_2_VERSION) != 1)
		return -1;
	SSL_CTX_set_verify(c->context, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_mode(c->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if ((ca[0] != '\0' ? SSL_CTX_load_verify_locations(c->context, ca,
	    NULL) : SSL_CTX_set_default_verify_paths(c->context)) != 1) {
		log_warn("sink %s: CA certificates cannot be read: %s",
		    c->host, ca[0] != '\0' ? ca : "the system's");
		ERR_clear_error();
		return -1;
	}
	return 0;
}

/* host:port or [host]:port; looked up once: later it would stop the loop. */
static int
find_addresses(struct sink_conn *c, const char *text)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found, *a;
	const char *colon = strrchr(text, ':'), *error;
	char *host;
	size_t len;

	if (colon == NULL || colon == text)
		return -1;
	len = (size_t)(colon - text);
	if (text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if ((host = strndup(text, len)) == NULL)
		return -1;
	c->host = host;
	c->port = (uint16_t)strtonum(colon + 1, 1, 65535, &error);
	if (error != NULL)
		return -1;
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
		log_warn("sink %s: the host is not known; it is looked up "
		    "when auditd starts", host);
		return 0;
	}
	for (a = found; a != NULL && c->addresses < SINK_ADDRESSES;
	    a = a->ai_next) {
		if (a->ai_addrlen > sizeof(c->address[0].bytes))
			continue;
		memcpy(c->address[c->addresses].bytes, a->ai_addr,
		    a->ai_addrlen);
		c->address[c->addresses++].len = a->ai_addrlen;
	}
	freeaddrinfo(found);
	return 0;
}

static int
starts(const char *text, const char *with, const char **rest)
{
	size_t len = strlen(with);

	*rest = text + len;
	return strncmp(text, with, len) == 0;
}

int
conn_prepare(struct sink_conn *c, enum sink_kind kind, const char *target,
    const char *ca)
{
	const char *rest, *slash = strrchr(target, '/');

	memset(c, 0, sizeof(*c));
	c->fd = c->datagram = -1;
	if (kind == SINK_FILE) {
		c->way = WAY_FILE;
		c->path = strdup(target);
		c->folder = strndup(target, slash == NULL || slash == target ?
		    1 : (size_t)(slash - target));
		return c->path == NULL || c->folder == NULL ? -1 : 0;
	}
	if (starts(target, "unix:", &rest)) {
		c->way = kind == SINK_SYSLOG ? WAY_DATAGRAM : WAY_UNIX;
		if ((c->path = strdup(rest)) == NULL)
			return -1;
		/* The sandbox lets nobody make another one of these. */
		if (c->way == WAY_DATAGRAM)
			c->datagram = socket(AF_UNIX, SOCK_DGRAM |
			    SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		return c->way == WAY_DATAGRAM && c->datagram == -1 ? -1 : 0;
	}
	if (kind == SINK_PIPE) {
		c->way = WAY_PIPE;
		return 0;
	}
	if (starts(target, "tcp://", &rest))
		c->way = WAY_TCP;
	else if (starts(target, "tls://", &rest))
		c->way = WAY_TLS;
	else
		return -1;
	if (find_addresses(c, rest) == -1)
		return -1;
	return c->way == WAY_TLS ? tls_prepare(c, ca) : 0;
}

void
conn_free(struct sink_conn *c)
{
	conn_close(c);
	SSL_CTX_free(c->context);
	if (c->datagram != -1)
		close(c->datagram);
	free(c->path);
	free(c->folder);
	free(c->host);
}

void
conn_needs(const struct sink_conn *c, struct sandbox_needs *needs)
{
	/* The folder: who rotates the file has us make another. */
	if (c->way == WAY_FILE)
		sandbox_path(needs, c->folder, SANDBOX_WRITE);
	else if (c->path != NULL)
		sandbox_path(needs, c->path, SANDBOX_CONNECT);
	else if (c->port != 0)
		sandbox_port(needs, c->port);
}

/* ---- opening ----------------------------------------------------------- */

static int
open_file(struct sink_conn *c)
{
	struct stat st;

	c->fd = open(c->path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW |
	    O_CLOEXEC | O_NONBLOCK, 0640);
	if (c->fd == -1 || fstat(c->fd, &st) == -1)
		return failed(c, c->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return failed(c, c->path, "not a file");
	return 1;
}

static int
start_tls(struct sink_conn *c)
{
	ERR_clear_error();
	if ((c->ssl = SSL_new(c->context)) == NULL ||
	    SSL_set1_host(c->ssl, c->host) != 1 ||
	    SSL_set_tlsext_host_name(c->ssl, c->host) != 1 ||
	    SSL_set_fd(c->ssl, c->fd) != 1)
		return tls_failed(c, "TLS");
	SSL_set_connect_state(c->ssl);
	c->handshaking = 1;
	return conn_continue(c);
}

static int
start_socket(struct sink_conn *c, int domain, int type, const void *address,
    socklen_t len)
{
	int size = SINK_SENDBUF;

	c->fd = socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd == -1)
		return failed(c, "socket", strerror(errno));
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(c->fd, address, len) == 0)
		return c->way == WAY_TLS ? start_tls(c) : 1;
	if (errno != EINPROGRESS)
		return failed(c, "connect", strerror(errno));
	c->want = EV_WRITE;
	return 0;
}

static int
open_unix(struct sink_conn *c)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (strlcpy(sun.sun_path, c->path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path))
		return failed(c, c->path, "the path is too long for a socket");
	if (c->way == WAY_UNIX)
		return start_socket(c, AF_UNIX, SOCK_STREAM, &sun, sizeof(sun));
	if (connect(c->datagram, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		return failed(c, c->path, strerror(errno));
	c->fd = c->datagram;
	return 1;
}

int
conn_open(struct sink_conn *c)
{
	struct sockaddr *sa;
	size_t i;

	switch (c->way) {
	case WAY_FILE:
		return open_file(c);
	case WAY_DATAGRAM:
	case WAY_UNIX:
		return open_unix(c);
	case WAY_PIPE:
		/* The parent brings it. */
		return c->fd == -1 ? failed(c, "program", "not running") : 1;
	default:
		break;
	}
	if (c->addresses == 0)
		return failed(c, c->host, "host not known");
	i = c->next++ % c->addresses;
	sa = (struct sockaddr *)(void *)c->address[i].bytes;
	return start_socket(c, sa->sa_family, SOCK_STREAM, sa,
	    (socklen_t)c->address[i].len);
}

static int
shake(struct sink_conn *c)
{
	int rc = SSL_do_handshake(c->ssl);

	if (rc == 1) {
		c->handshaking = 0;
		return 1;
	}
	switch (SSL_get_error(c->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		c->want = EV_READ;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		c->want = EV_WRITE;
		return 0;
	default:
		return tls_failed(c, "TLS handshake");
	}
}

int
conn_continue(struct sink_conn *c)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (c->handshaking)
		return shake(c);
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0)
		return failed(c, "connect", strerror(error));
	return c->way == WAY_TLS ? start_tls(c) : 1;
}

void
conn_close(struct sink_conn *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
	c->handshaking = 0;
	if (c->fd != -1 && c->fd != c->datagram)
		close(c->fd);
	c->fd = -1;
}

/* ---- bytes ------------------------------------------------------------- */

static ssize_t
tls_write(struct sink_conn *c, const void *data, size_t len)
{
	size_t done = 0;
	int rc;

	ERR_clear_error();
	if ((rc = SSL_write_ex(c->ssl, data, len, &done)) == 1)
		return (ssize_t)done;
	switch (SSL_get_error(c->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		c->want = EV_READ;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		c->want = EV_WRITE;
		return 0;
	default:
		return tls_failed(c, "TLS write");
	}
}

/* Moved away (logrotate) or removed: the name is what counts. */
static int
follow_file(struct sink_conn *c)
{
	struct stat here, there;

	if (fstat(c->fd, &here) == 0 && stat(c->path, &there) == 0 &&
	    here.st_ino == there.st_ino && here.st_dev == there.st_dev)
		return 0;
	close(c->fd);
	c->fd = -1;
	return open_file(c) == 1 ? 0 : -1;
}

ssize_t
conn_write(struct sink_conn *c, const void *data, size_t len)
{
	ssize_t n;

	if (c->way == WAY_FILE && follow_file(c) == -1)
		return -1;
	if (c->ssl != NULL)
		return tls_write(c, data, len);
	n = write(c->fd, data, len);
	if (n > 0)
		return n;
	if (n == -1 && (errno == EAGAIN || errno == EINTR ||
	    (errno == ENOBUFS && c->way == WAY_DATAGRAM))) {
		c->want = EV_WRITE;
		return 0;
	}
	return failed(c, "write", n == 0 ? "no room" : strerror(errno));
}

int
conn_listen(struct sink_conn *c)
{
	char junk[512];
	size_t got = 0;
	ssize_t n;
	int rc;

	if (c->ssl != NULL) {
		ERR_clear_error();
		if ((rc = SSL_read_ex(c->ssl, junk, sizeof(junk), &got)) == 1)
			return 0;
		rc = SSL_get_error(c->ssl, rc);
		return rc == SSL_ERROR_WANT_READ || rc == SSL_ERROR_WANT_WRITE ?
		    0 : failed(c, "TLS", "closed by the other side");
	}
	n = read(c->fd, junk, sizeof(junk));
	if (n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR)))
		return 0;
	return failed(c, "connection", n == 0 ? "closed by the other side" :
	    strerror(errno));
}

/* ---- where a file ends ------------------------------------------------- */

/* Half a line at its end is cut: it comes again whole. */
static size_t
cut_half(struct sink_conn *c, const char *text, size_t len, off_t end)
{
	size_t whole = len;

	while (whole > 0 && text[whole - 1] != '\n')
		whole--;
	if (whole < len && ftruncate(c->fd, end - (off_t)(len - whole)) == -1)
		log_errno("sink %s", c->path);
	return whole;
}

uint64_t
conn_last(struct sink_conn *c, const char *node)
{
	struct record_view v;
	struct stat st;
	uint64_t seq = 0;
	size_t len, at;
	char *text;
	off_t from;
	ssize_t n;

	if (c->way != WAY_FILE || c->fd == -1 || fstat(c->fd, &st) == -1 ||
	    st.st_size == 0 || (text = malloc(TAIL_BYTES)) == NULL)
		return 0;
	from = st.st_size > TAIL_BYTES ? st.st_size - TAIL_BYTES : 0;
	n = pread(c->fd, text, TAIL_BYTES, from);
	len = n <= 0 ? 0 : cut_half(c, text, (size_t)n, from + n);
	if (len > 0) {
		for (at = len - 1; at > 0 && text[at - 1] != '\n'; at--)
			;
		if (record_view(text + at, len - 1 - at, &v) == 0 &&
		    view_string_is(v.field[FIELD_NODE], node))
			(void)view_u64(v.field[FIELD_SEQ], &seq);
	}
	free(text);
	return seq;
}
