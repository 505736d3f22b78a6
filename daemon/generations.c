/* SPDX-License-Identifier: ISC */

/*
 * Counters that all handlers share, also those of two configurations at a
 * reload; a tool's name says which is its.  Whoever ran a tool that writes
 * counts up those whose results it made stale, and no handler serves what it
 * kept from before.  Behind the counters stands until when results that other
 * nodes keep are not believed, for those who could not tell them.  All this
 * holds no data and is never believed for more.
 */

#include <sys/mman.h>
#include <sys/stat.h>

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
	struct stat st;
	void *map;

	/* Those of the daemon before, where its handlers count as ours do. */
	page = successor_take("generations", NULL);
	if (page != -1 && (!successor_same_messages() || fstat(page, &st) ==
	    -1 || st.st_size != GENERATIONS_BYTES)) {
		close(page);
		page = -1;
	}
	if ((page == -1 &&
	    (page = shared_memory(GENERATIONS_BYTES)) == -1) ||
	    (map = mmap(NULL, GENERATIONS_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED, page, 0)) == MAP_FAILED) {
		log_errno("memory for the handlers to share");
		return -1;
	}
	counters = map;
	return 0;
}

int
generations_page(void)
{
	return page;
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
	const struct tool_conf *t;
	uint32_t i, longest = 0;
	uint64_t until;

	if (counters == NULL)
		return;
	TAILQ_FOREACH(t, &parent.config->tools, entry)
		if (t->cache_ms > longest)
			longest = t->cache_ms;
	until = now_ms() + longest + CLOCKS_MS;
	for (i = 0; i < GENERATIONS_MAX; i++) {
		(void)atomic_fetch_add(&counters[i], 1);
		atomic_store(&counters[GENERATIONS_MAX + i], until);
	}
}
