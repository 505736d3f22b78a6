/* SPDX-License-Identifier: ISC */

/* The files of auditd/schema in their order; made by the build. */

#ifndef DAEMON_CTL_SCHEMA_H
#define DAEMON_CTL_SCHEMA_H

#include <stddef.h>

extern const char *const schema_text[];	/* of version n + 1 */
extern const size_t	 schema_count;

#endif
