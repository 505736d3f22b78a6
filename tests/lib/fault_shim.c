/* SPDX-License-Identifier: ISC */

/*
 * Preloaded into auditd by a test: from the FAULT_AFTERth fdatasync(2) on
 * FAULT_COUNT of them fail with FAULT_ERRNO; from the same call on the clock
 * of the day is FAULT_BACK seconds behind.  FAULT_NOSYNC: none does anything.
 */

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long calls;

static long
number(const char *name)
{
	const char *text = getenv(name);

	return text == NULL ? 0 : strtol(text, NULL, 10);
}

int
fdatasync(int fd)
{
	static int (*real)(int);
	long after = number("FAULT_AFTER");

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
	calls++;
	if (number("FAULT_NOSYNC") != 0)
		return 0;
	if (number("FAULT_ERRNO") != 0 && calls > after &&
	    calls <= after + number("FAULT_COUNT")) {
		errno = (int)number("FAULT_ERRNO");
		return -1;
	}
	return real(fd);
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	static int (*real)(clockid_t, struct timespec *);
	int rc;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	rc = real(clock, ts);
	if (rc == 0 && clock == CLOCK_REALTIME && calls > number("FAULT_AFTER"))
		ts->tv_sec -= number("FAULT_BACK");
	return rc;
}
