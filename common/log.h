/* SPDX-License-Identifier: ISC */

/*
 * Log lines are facts: "what happened: who or what: why".  Lower case, no
 * secret, no argument value; bytes from outside pass log_safe() first.
 */

#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stddef.h>

#include "buffer.h"

/* role is shown in every line; to stderr in the foreground, else syslog. */
void	 log_init(const char *role, int foreground, int verbose);
void	 log_verbose(int);
int	 log_is_verbose(void);
/* A copy of each warning from now on, without its stamp; NULL: no more. */
void	 log_copy_to(struct buffer *);
void	 log_debug(const char *, ...) __attribute__((__format__(printf, 1, 2)));
void	 log_info(const char *, ...) __attribute__((__format__(printf, 1, 2)));
void	 log_warn(const char *, ...) __attribute__((__format__(printf, 1, 2)));
/* Adds ": " and strerror(errno). */
void	 log_errno(const char *, ...) __attribute__((__format__(printf, 1, 2)));
/* For start-up and broken invariants of our own, never for input. */
void	 fatal(const char *, ...)
	    __attribute__((__noreturn__, __format__(printf, 1, 2)));
void	 fatal_errno(const char *, ...)
	    __attribute__((__noreturn__, __format__(printf, 1, 2)));
/*
 * Copies at most size-1 bytes of in to out with everything but printable
 * ASCII turned into '?', NUL-terminated.  Returns out.
 */
const char *log_safe(char *out, size_t size, struct slice in);

#endif
