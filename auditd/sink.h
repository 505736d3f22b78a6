/* SPDX-License-Identifier: ISC */

/*
 * Sinks: where records go besides the journal and Postgres.  sink.c reads
 * the journal for each and knows how far it is; sink_conn.c is the way there,
 * a descriptor that takes bytes or does not; sink_format.c what is sent.
 */

#ifndef AUDITD_SINK_H
#define AUDITD_SINK_H

#include "auditd.h"

struct ssl_ctx_st;
struct ssl_st;

#define SINK_ADDRESSES	8
#define SINK_BATCH	(128 * 1024)	/* bytes that are under way at a time */
#define SINK_SENDBUF	(128 * 1024)	/* bytes that the kernel may hold */

enum sink_way {
	WAY_FILE,		/* appended to */
	WAY_DATAGRAM,		/* a Unix socket, a record a message */
	WAY_UNIX,		/* a Unix stream socket */
	WAY_TCP,
	WAY_TLS,
	WAY_PIPE		/* a program's standard input, from the parent */
};

struct sink_conn {
	enum sink_way	 way;
	char		*path;		/* file, Unix socket */
	char		*folder;	/* of the file */
	int		 datagram;	/* its socket, for life; -1 */
	char		*host;		/* TLS: the name that must be proven */
	struct {
		unsigned char	bytes[128];	/* struct sockaddr_storage */
		unsigned int	len;
	} address[SINK_ADDRESSES];
	size_t		 addresses;
	size_t		 next;		/* to be tried */
	uint16_t	 port;
	struct ssl_ctx_st *context;
	struct ssl_st	*ssl;
	int		 handshaking;
	int		 fd;		/* -1: none */
	short		 want;		/* EV_READ, EV_WRITE: what it waits for */
	char		 why[160];	/* of the last failure */
};

/* Before the sandbox: takes the target apart.  0, or -1 after a log line. */
int	 conn_prepare(struct sink_conn *, enum sink_kind, const char *target,
	    const char *ca);
void	 conn_free(struct sink_conn *);
void	 conn_needs(const struct sink_conn *, struct sandbox_needs *);
/* 1: connected; 0: under way, see want; -1: why says it. */
int	 conn_open(struct sink_conn *);
int	 conn_continue(struct sink_conn *);
void	 conn_close(struct sink_conn *);
/* Bytes taken; 0: none now, see want; -1: why says it.  Of a datagram all. */
ssize_t	 conn_write(struct sink_conn *, const void *, size_t);
/* A reader that hung up: -1.  What it says is read and dropped. */
int	 conn_listen(struct sink_conn *);
/* A file: the number of the last whole record of this node in it; 0: none. */
uint64_t conn_last(struct sink_conn *, const char *node);

/* Appends a record's line as the sink wants it. */
enum sink_form { FORM_LINES, FORM_SYSLOG, FORM_SYSLOG_COUNTED };
int	 sink_format(struct buffer *, enum sink_form, struct slice line,
	    const char *node);

#endif
