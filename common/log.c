/* SPDX-License-Identifier: ISC */

/* Logging to stderr or syslog; see log.h for what a line says. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#include "compat.h"
#include "log.h"

#define LINE_MAX_	1024	/* bytes of one line; the rest is cut */

static const char *role_ = "pontifexd";
static int foreground_ = 1;
static int verbose_;
static struct buffer *copy_;

void
log_init(const char *role, int foreground, int verbose)
{
	role_ = role;
	foreground_ = foreground;
	verbose_ = verbose;
	/* Connected now: a chroot has no /dev/log. */
	if (!foreground)
		openlog("pontifexd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	tzset();
}

void
log_copy_to(struct buffer *b)
{
	copy_ = b;
}

void
log_verbose(int verbose)
{
	verbose_ = verbose;
}

int
log_is_verbose(void)
{
	return verbose_;
}

/*
 * One line, whatever is in it: callers make safe what came from outside, and
 * where one forgot, nobody begins a line of ours or steers a terminal by it.
 */
static void
keep_one_line(char *line)
{
	for (; *line != '\0'; line++)
		if ((unsigned char)*line < 0x20 || *line == 0x7f)
			*line = '?';
}

static void
emit(int priority, const char *fmt, va_list ap)
{
	char line[LINE_MAX_], stamp[32];
	struct timespec ts;
	struct tm tm;
	int save = errno;
	int n;

	n = vsnprintf(line, sizeof(line), fmt, ap);
	if (n < 0)
		return;
	keep_one_line(line);
	if (copy_ != NULL && priority <= LOG_WARNING)
		(void)buffer_printf(copy_, "%s\n", line);
	if (foreground_) {
		clock_gettime(CLOCK_REALTIME, &ts);
		gmtime_r(&ts.tv_sec, &tm);
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
		(void)dprintf(STDERR_FILENO, "%s.%03ldZ %s[%d]: %s%s\n", stamp,
		    ts.tv_nsec / 1000000, role_, (int)getpid(),
		    priority <= LOG_WARNING ? "warning: " : "", line);
	} else {
		syslog(priority, "%s: %s", role_, line);
	}
	errno = save;
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	if (!verbose_)
		return;
	va_start(ap, fmt);
	emit(LOG_DEBUG, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_INFO, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_WARNING, fmt, ap);
	va_end(ap);
}

/* "what happened: the text of error" */
static void
emit_error(int priority, int error, const char *fmt, va_list ap)
{
	char line[LINE_MAX_];

	(void)vsnprintf(line, sizeof(line), fmt, ap);
	(void)strlcat(line, ": ", sizeof(line));
	(void)strlcat(line, strerror(error), sizeof(line));
	if (priority == LOG_WARNING)
		log_warn("%s", line);
	else
		log_warn("fatal: %s", line);
}

void
log_errno(const char *fmt, ...)
{
	va_list ap;
	int save = errno;

	va_start(ap, fmt);
	emit_error(LOG_WARNING, save, fmt, ap);
	va_end(ap);
	errno = save;
}

void
fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_CRIT, fmt, ap);
	va_end(ap);
	exit(1);
}

void
fatal_errno(const char *fmt, ...)
{
	va_list ap;
	int save = errno;

	va_start(ap, fmt);
	emit_error(LOG_CRIT, save, fmt, ap);
	va_end(ap);
	exit(1);
}

const char *
log_safe(char *out, size_t size, struct slice in)
{
	size_t i;

	if (size == 0)
		return "";
	for (i = 0; i < in.len && i < size - 1; i++)
		out[i] = in.ptr[i] >= 0x20 && in.ptr[i] < 0x7f ? in.ptr[i] : '?';
	out[i] = '\0';
	return out;
}
