/* SPDX-License-Identifier: ISC */

/* For compiling only: see README.md. */

#ifndef OPENBSD_STDLIB_H
#define OPENBSD_STDLIB_H

#include_next <stdlib.h>
#include <stdint.h>

#if !defined(__GLIBC__) || __GLIBC__ < 2 || \
    (__GLIBC__ == 2 && __GLIBC_MINOR__ < 36)
uint32_t arc4random(void);
void	arc4random_buf(void *buf, size_t nbytes);
uint32_t arc4random_uniform(uint32_t upper_bound);
#endif
void	freezero(void *ptr, size_t size);
void	*recallocarray(void *ptr, size_t oldnmemb, size_t nmemb, size_t size);
long long strtonum(const char *nptr, long long minval, long long maxval,
	    const char **errstr);
const char *getprogname(void);

#endif
