/* SPDX-License-Identifier: ISC */

/* For compiling only: see README.md. */

#ifndef OPENBSD_UNISTD_H
#define OPENBSD_UNISTD_H

#include_next <unistd.h>

extern int optreset;

int	pledge(const char *promises, const char *execpromises);
int	unveil(const char *path, const char *permissions);
int	getpeereid(int s, uid_t *euid, gid_t *egid);
#if !defined(__GLIBC__) || __GLIBC__ < 2 || \
    (__GLIBC__ == 2 && __GLIBC_MINOR__ < 34)
int	closefrom(int fd);
#endif

#endif
