/* SPDX-License-Identifier: ISC */

/* For compiling only: see README.md.  libbsd's is OpenBSD's. */

#include <bsd/sys/tree.h>
