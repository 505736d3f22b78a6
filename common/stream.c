/* SPDX-License-Identifier: ISC */

/*
 * Sockets that we open, with OpenSSL over them where asked.  A name is proven
 * by the certificate as RFC 9525 has it; an address, by an address in it.
 */

#include <sys/un.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "compat.h"
#include "stream.h"

struct ssl_ctx_st *
stream_tls(const char *ca)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (context == NULL)
		return NULL;
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
	    (ca[0] != '\0' ? SSL_CTX_load_verify_locations(context, ca, NULL) :
	    SSL_CTX_set_default_verify_paths(context)) != 1) {
		ERR_clear_error();
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}

void
stream_init(struct stream *s, struct ssl_ctx_st *context, const char *host)
{
	memset(s, 0, sizeof(*s));
	s->fd = -1;
	s->context = context;
	s->host = host;
}

void
stream_close(struct stream *s)
{
	SSL_free(s->ssl);
	s->ssl = NULL;
	s->handshaking = 0;
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
}

static int
failed(struct stream *s, const char *what, const char *why)
{
	(void)snprintf(s->why, sizeof(s->why), "%s: %s", what, why);
	stream_close(s);
	return -1;
}

static int
tls_failed(struct stream *s, const char *what)
{
	long verdict = s->ssl == NULL ? X509_V_OK :
	    SSL_get_verify_result(s->ssl);
	char text[120];

	if (verdict != X509_V_OK)
		(void)strlcpy(text, X509_verify_cert_error_string(verdict),
		    sizeof(text));
	else if (ERR_peek_last_error() == 0)
		(void)strlcpy(text, "closed by the other side", sizeof(text));
	else
		ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	return failed(s, what, text);
}

/* What OpenSSL waits for; -1: nothing will come of it. */
static int
tls_wants(struct stream *s, int rc, const char *what)
{
	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		s->want = EV_READ;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		s->want = EV_WRITE;
		return 0;
	default:
		return tls_failed(s, what);
	}
}

static int
shake(struct stream *s)
{
	int rc;

	ERR_clear_error();
	if ((rc = SSL_do_handshake(s->ssl)) != 1)
		return tls_wants(s, rc, "TLS handshake");
	s->handshaking = 0;
	return 1;
}

static int
start_tls(struct stream *s)
{
	struct in6_addr address;
	/* RFC 6066 3: no address as a server's name. */
	int literal = inet_pton(AF_INET, s->host, &address) == 1 ||
	    inet_pton(AF_INET6, s->host, &address) == 1;

	ERR_clear_error();
	if ((s->ssl = SSL_new(s->context)) == NULL ||
	    (literal ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl),
	    s->host) != 1 : SSL_set1_host(s->ssl, s->host) != 1 ||
	    SSL_set_tlsext_host_name(s->ssl, s->host) != 1) ||
	    SSL_set_fd(s->ssl, s->fd) != 1)
		return tls_failed(s, "TLS");
	SSL_set_connect_state(s->ssl);
	s->handshaking = 1;
	return shake(s);
}

int
stream_connect(struct stream *s, const struct sockaddr *sa, socklen_t len)
{
	int on = 1;

	s->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (s->fd == -1)
		return failed(s, "socket", strerror(errno));
	if (sa->sa_family != AF_UNIX)
		(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on,
		    sizeof(on));
	if (connect(s->fd, sa, len) == 0)
		return s->context != NULL ? start_tls(s) : 1;
	if (errno != EINPROGRESS)
		return failed(s, "connect", strerror(errno));
	s->want = EV_WRITE;
	return 0;
}

int
stream_connect_unix(struct stream *s, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path))
		return failed(s, path, "the path is too long for a socket");
	return stream_connect(s, (const struct sockaddr *)&sun, sizeof(sun));
}

int
stream_continue(struct stream *s)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (s->handshaking)
		return shake(s);
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0)
		return failed(s, "connect", strerror(error));
	return s->context != NULL ? start_tls(s) : 1;
}

ssize_t
stream_write(struct stream *s, const void *data, size_t len)
{
	size_t done = 0;
	ssize_t n;
	int rc;

	if (s->ssl != NULL) {
		ERR_clear_error();
		rc = SSL_write_ex(s->ssl, data, len, &done);
		return rc == 1 ? (ssize_t)done : tls_wants(s, rc, "TLS write");
	}
	n = send(s->fd, data, len, 0);
	if (n > 0)
		return n;
	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		s->want = EV_WRITE;
		return 0;
	}
	return failed(s, "write", n == 0 ? "no room" : strerror(errno));
}

ssize_t
stream_read(struct stream *s, void *to, size_t size)
{
	size_t done = 0;
	ssize_t n;
	int rc;

	if (s->ssl != NULL) {
		ERR_clear_error();
		rc = SSL_read_ex(s->ssl, to, size, &done);
		return rc == 1 ? (ssize_t)done : tls_wants(s, rc, "TLS read");
	}
	n = recv(s->fd, to, size, 0);
	if (n > 0)
		return n;
	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		s->want = EV_READ;
		return 0;
	}
	return failed(s, "connection", n == 0 ? "closed by the other side" :
	    strerror(errno));
}
