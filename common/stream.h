/* SPDX-License-Identifier: ISC */

/*
 * A connection that we open, plain or under TLS, in a loop that must not
 * wait: each function does what can be done now and says what it waits for.
 * Who is at the other end is proven (TLS) or not known; what comes from there
 * is the caller's to check.
 */

#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include <sys/socket.h>
#include <sys/types.h>

#include <stddef.h>

struct ssl_ctx_st;
struct ssl_st;

struct stream {
	int		 fd;		/* -1: none */
	struct ssl_ctx_st *context;	/* NULL: no TLS */
	const char	*host;		/* TLS: the name that must be proven */
	struct ssl_st	*ssl;
	int		 handshaking;
	short		 want;		/* EV_READ, EV_WRITE: what it waits for */
	char		 why[160];	/* of the last failure; from outside in part */
};

/*
 * Before the sandbox: TLS 1.2 or later, certificates checked against a file of
 * CA certificates (empty: the system's).  NULL: they cannot be read.
 */
struct ssl_ctx_st *stream_tls(const char *ca);
void	stream_init(struct stream *, struct ssl_ctx_st *, const char *host);
/* 1: connected; 0: under way, see want; -1: why says it, and it is closed. */
int	stream_connect(struct stream *, const struct sockaddr *, socklen_t);
int	stream_connect_unix(struct stream *, const char *path);
/* What it waited for is there: as stream_connect(). */
int	stream_continue(struct stream *);
/* Bytes; 0: none now, see want; -1: why says it, and it is closed. */
ssize_t	stream_write(struct stream *, const void *, size_t);
ssize_t	stream_read(struct stream *, void *, size_t);
void	stream_close(struct stream *);

#endif
