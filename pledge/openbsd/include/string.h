/* SPDX-License-Identifier: ISC */

/* For compiling only: see README.md. */

#ifndef OPENBSD_STRING_H
#define OPENBSD_STRING_H

#include_next <string.h>

#if !defined(__GLIBC__) || __GLIBC__ < 2 || \
    (__GLIBC__ == 2 && __GLIBC_MINOR__ < 38)
size_t	strlcpy(char *dst, const char *src, size_t dstsize);
size_t	strlcat(char *dst, const char *src, size_t dstsize);
#endif

#endif
