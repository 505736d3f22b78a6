/* SPDX-License-Identifier: ISC */

/* For compiling only: see ../../README.md. */

#ifndef OPENBSD_SYS_MMAN_H
#define OPENBSD_SYS_MMAN_H

#include_next <sys/mman.h>

int	shm_mkstemp(char *);

#endif
