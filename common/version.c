/* SPDX-License-Identifier: ISC */

/* What this executable is; see version.h. */

#include "version.h"

#ifndef VERSION
#define VERSION		"unknown"
#endif
#ifndef MESSAGES		/* the build makes it of the files themselves */
#define MESSAGES	""
#endif

const char program_version[] = VERSION;
const char program_messages[] = MESSAGES;
