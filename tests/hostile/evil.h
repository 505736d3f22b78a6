/* SPDX-License-Identifier: ISC */

/*
 * What the attackers share.  An attacker is an executable that stands in the
 * libexec folder in the place of a real role, so that it is started, wired
 * and given its configuration like one, and then does what it likes.  Before
 * privileges are dropped it opens two files beside itself: `plan', whose first
 * line names the attack and whose second is a valid API key, and `result', to
 * which it writes a line for everything it learns.
 */

#ifndef TESTS_HOSTILE_EVIL_H
#define TESTS_HOSTILE_EVIL_H

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char evil_attack[64];
static char evil_key[256];
static int evil_result = -1;
static int evil_first;		/* of all that were started in this role */
static const char *evil_rest = "";	/* of the plan, behind its first line */

static int
evil_open(const char *name, int flags)
{
	char path[PATH_MAX + 16], self[PATH_MAX];

	/* The folder is where the parent found us: argv[0]. */
	FILE *f = fopen("/proc/self/cmdline", "r");
	if (f == NULL || fgets(self, sizeof(self), f) == NULL)
		_exit(3);
	fclose(f);
	if (strrchr(self, '/') == NULL)
		_exit(3);
	*strrchr(self, '/') = '\0';
	(void)snprintf(path, sizeof(path), "%s/%s", self, name);
	return open(path, flags, 0600);
}

__attribute__((__constructor__)) static void
evil_prepare(void)
{
	static char plan[4096];
	int fd = evil_open("plan", O_RDONLY);
	ssize_t n = fd == -1 ? -1 : read(fd, plan, sizeof(plan) - 1);

	if (n <= 0 || sscanf(plan, "%63s %255s", evil_attack, evil_key) != 2)
		_exit(3);
	if (strchr(plan, '\n') != NULL)
		evil_rest = strchr(plan, '\n') + 1;
	close(fd);
	if ((fd = evil_open("once", O_WRONLY | O_CREAT | O_EXCL)) != -1) {
		evil_first = 1;
		close(fd);
	}
	fd = evil_open("result", O_WRONLY | O_CREAT | O_APPEND);
	/* Out of the way of close-from and of the control socket. */
	evil_result = fcntl(fd, F_DUPFD_CLOEXEC, 200);
	close(fd);
}

#define SAY(...) (void)dprintf(evil_result, __VA_ARGS__)

#endif
