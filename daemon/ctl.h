/* SPDX-License-Identifier: ISC */

/* pontifexctl's parts: each takes the words behind its name. */

#ifndef DAEMON_CTL_H
#define DAEMON_CTL_H

#include <stddef.h>
#include <stdint.h>

#include "../common/buffer.h"

#define CTL_OK		0
#define CTL_FAILED	1
#define CTL_USAGE	2
#define CTL_DIFFERS	3	/* of ctl_ask() alone */
#define CTL_DEGRADED	3	/* status: it runs, and something is wrong */

#ifndef KEYFILE_DEFAULT		/* the build says what sysconfdir is */
#define KEYFILE_DEFAULT	"/etc/pontifexd/keys"
#endif

/* argv[0] is the command's name.  Return an exit code. */
int	ctl_key(int argc, char **argv);
int	ctl_audit(int argc, char **argv);
int	ctl_token(const char *socket, int argc, char **argv);
int	ctl_status(const char *socket, int argc, char **argv);

/* Seconds of "90m" and the like; -1: it is none, or more than max. */
int64_t	span_seconds(const char *, int64_t max);
/* Asks the daemon and prints what it says; an exit code. */
int	ctl_ask(const char *socket, uint16_t type, const void *, size_t);
/*
 * Asks for one answer of that type; the buffer is then its payload, freed by
 * the caller.  0, or -1 after a line on standard error.
 */
int	ctl_fetch(const char *socket, uint16_t type, uint16_t wanted,
	    struct buffer *);

#endif
