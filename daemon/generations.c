/* SPDX-License-Identifier: ISC */

/*
 * Counters that all handlers share, also those of two configurations at a
 * reload; a tool's name says which is its.  Whoever ran a tool that writes
 * counts up those whose results it made stale, and no handler serves what it
 * kept from before.  It holds no data and is never
 * believed for more than that.
 */

#include <sys/mman.h>

#include <fcntl.h>
#include <stdatomic.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

static int page = -1;
static _Atomic uint64_t *counters;

int
generations_open(void)
{
	void *map;

	if ((page = shared_memory(GENERATIONS_BYTES)) == -1 ||
	    (map = mmap(NULL, GENERATIONS_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED, page, 0)) == MAP_FAILED) {
		log_errno("memory for the handlers to share");
		return -1;
	}
	counters = map;
	return 0;
}

int
generations_fd(void)
{
	int fd = fcntl(page, F_DUPFD_CLOEXEC, 0);

	if (fd == -1)
		log_errno("memory for the handlers to share");
	return fd;
}

void
generations_advance(void)
{
	uint32_t i;

	for (i = 0; counters != NULL && i < GENERATIONS_MAX; i++)
		(void)atomic_fetch_add(&counters[i], 1);
}
