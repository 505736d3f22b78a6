/* SPDX-License-Identifier: ISC */

/*
 * One call for each role to give up what it will never need.  What a role
 * may do stands in one table in each platform's file; what differs from one
 * configuration to the next (paths, ports) comes as arguments.
 */

#ifndef PLEDGE_SANDBOX_H
#define PLEDGE_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#include "../common/proc.h"

#define SANDBOX_PATHS_MAX	128
#define SANDBOX_PORTS_MAX	64

enum sandbox_access {
	SANDBOX_READ,		/* a file, or a directory and what is in it */
	SANDBOX_WRITE,		/* the same, with write, create, remove */
	SANDBOX_CONNECT		/* a Unix socket, or the directory of one */
};

struct sandbox_needs {
	size_t		 paths;
	struct {
		const char		*path;	/* one that is missing is skipped */
		enum sandbox_access	 access;
	} path[SANDBOX_PATHS_MAX];
	size_t		 ports;		/* TCP ports it may connect to */
	uint16_t	 port[SANDBOX_PORTS_MAX];
	int		 resolve;	/* it looks host names up (DNS) */
};

void	sandbox_needs_init(struct sandbox_needs *);
/* Keeps the pointer; too many is fatal(). */
void	sandbox_path(struct sandbox_needs *, const char *,
	    enum sandbox_access);
void	sandbox_port(struct sandbox_needs *, uint16_t);
/*
 * Confines the calling process for good: resource limits, no new privileges,
 * file system, system calls.  A part that the kernel lacks is logged as a
 * warning, once, by name.  Returns 0; -1 after a log line: do not go on.
 */
int	sandbox_enter(enum role, const struct sandbox_needs *);
/*
 * The same for another thread, which calls it before the process does: where
 * confinement is a thread's own (Linux) it confines that one.
 */
int	sandbox_thread(enum role, const struct sandbox_needs *);
/*
 * What this kernel lacks of the confinement that the roles have where it is
 * whole, in words for the operator; NULL: nothing.
 */
const char *sandbox_missing(char *buf, size_t size);
/* The name of a system call number that MSG_VIOLATION carries; never NULL. */
const char *sandbox_call_name(uint32_t number, char *buf, size_t size);

#endif
