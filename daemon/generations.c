/* SPDX-License-Identifier: ISC */

/*
 * A page of counters that all handlers share, one for each tool: whoever
 * ran a tool that writes counts up those whose results it made stale, and no
 * handler serves what it kept from before.  It holds no data and is never
 * believed for more than that.  Its size cannot be changed by who has it
 * (Linux: sealed; OpenBSD: a handler closes the descriptor once it is mapped).
 */

#include <sys/mman.h>

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

static int page = -1;
static _Atomic uint64_t *counters;

static int
page_make(void)
{
#ifdef __linux__
	return memfd_create("pontifexd generations", MFD_CLOEXEC |
	    MFD_ALLOW_SEALING);
#else
	char name[] = "/tmp/pontifexd.XXXXXXXXXX";
	int fd;

	if ((fd = shm_mkstemp(name)) != -1) {
		(void)shm_unlink(name);
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	return fd;
#endif
}

static int
page_seal(int fd)
{
#ifdef __linux__
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
#else
	(void)fd;
	return 0;
#endif
}

int
generations_open(void)
{
	void *map;

	if ((page = page_make()) == -1 ||
	    ftruncate(page, GENERATIONS_BYTES) == -1 || page_seal(page) == -1 ||
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

	for (i = 0; counters != NULL && i < TOOLS_MAX; i++)
		(void)atomic_fetch_add(&counters[i], 1);
}
