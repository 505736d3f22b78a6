/* SPDX-License-Identifier: ISC */
/* link: daemon/notify.c */

/*
 * What the parent says to a service manager, read from a datagram socket of
 * our own as systemd(1) would: a path, an abstract name, no socket at all,
 * and a manager that does not read.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <event2/event.h>

#include "../../common/compat.h"
#include "../../common/proc.h"
#include "../../daemon/parent.h"

#define TOLD_MAX	2048	/* more datagrams than a queue of the kernel's: 10, 512 */

struct parent parent;

static struct config config;
static char folder[] = "/tmp/test_notify.XXXXXX";
static int manager = -1;

/* The manager's end under that name, which the environment then has. */
static void
manage(const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t len = strlen(name);

	memcpy(sun.sun_path, name, len);
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_not_equal(manager, -1);
	assert_int_equal(bind(manager, (struct sockaddr *)&sun, (socklen_t)
	    (offsetof(struct sockaddr_un, sun_path) + len +
	    (name[0] == '/'))), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void
manage_path(void)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%s/notify", folder);
	(void)unlink(name);
	manage(name);
}

/* The next datagram, "" where there is none. */
static const char *
heard(void)
{
	static char text[512];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static int
setup(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	config.ntools = 3;
	config.listeners = 1;
	config.handlers = 2;
	parent.config = &config;
	parent.base = event_base_new();
	return parent.base == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	notify_close();
	if (manager != -1)
		close(manager);
	manager = -1;
	event_base_free(parent.base);
	return 0;
}

static void
who_has_handed_over_says_nothing_more(void **state)
{
	(void)state;
	manage_path();
	notify_open(-1, NULL);
	notify_follow(4711);
	assert_string_equal(heard(), "MAINPID=4711");
	notify_ready();
	notify_stopping();
	assert_string_equal(heard(), "");
}

/* The socket and the watchdog's time as notify_inherit() hands them on. */
static int handed = -1;
static char handed_value[32];

static void
hand(struct buffer *b, const char *name, int fd, const char *value)
{
	(void)b;
	assert_string_equal(name, "notify");
	handed = dup(fd);
	(void)strlcpy(handed_value, value, sizeof(handed_value));
}

static void
who_was_handed_the_socket_speaks_when_it_is_the_daemon(void **state)
{
	struct buffer b;

	(void)state;
	manage_path();
	buffer_init(&b, 64);
	assert_int_equal(setenv("WATCHDOG_USEC", "20000", 1), 0);
	notify_open(-1, NULL);
	assert_string_equal(heard(), "WATCHDOG=1");
	notify_inherit(&b, hand);
	assert_string_equal(handed_value, "20000");
	notify_close();
	notify_open(handed, handed_value);
	notify_ready();
	assert_string_equal(heard(), "");
	notify_main();
	assert_string_equal(heard(), "READY=1\nSTATUS=serving 3 tools by "
	    "1 listeners and 2 handlers");
	assert_string_equal(heard(), "WATCHDOG=1");
	assert_int_equal(event_base_loop(parent.base, EVLOOP_ONCE), 0);
	assert_string_equal(heard(), "WATCHDOG=1");
}

static void
the_life_of_a_daemon_is_told_in_its_states(void **state)
{
	unsigned long long us, before;

	(void)state;
	manage_path();
	notify_open(-1, NULL);
	assert_string_equal(heard(), "");
	notify_ready();
	assert_string_equal(heard(), "READY=1\nSTATUS=serving 3 tools by "
	    "1 listeners and 2 handlers");
	before = now_us();
	notify_reloading();
	assert_int_equal(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%llu\n",
	    &us), 1);
	assert_true(us >= before && us <= now_us());
	notify_stopping();
	assert_memory_equal(heard(), "STOPPING=1\nSTATUS=", 18);
}

static void
an_abstract_name_is_a_socket_too(void **state)
{
	char name[64];

	(void)state;
	(void)snprintf(name, sizeof(name), "@test_notify/%d", (int)getpid());
	manage(name);
	notify_open(-1, NULL);
	notify_status("hello");
	assert_string_equal(heard(), "STATUS=hello");
}

static void
nobody_after_us_may_speak_for_us(void **state)
{
	(void)state;
	manage_path();
	assert_int_equal(setenv("WATCHDOG_USEC", "60000000", 1), 0);
	notify_open(-1, NULL);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
}

static void
without_a_manager_nothing_happens(void **state)
{
	(void)state;
	notify_open(-1, NULL);
	notify_ready();
	notify_stopping();
	notify_status("nobody hears %s", "this");
}

static void
a_socket_that_cannot_be_reached_stops_nothing(void **state)
{
	static const char *const names[] = {
		"", "@", "notify", "vsock:2:1234", "/nonexistent/notify",
		"/a-name-that-is-longer-than-the-one-hundred-and-eight-bytes-"
		"that-the-address-of-a-socket-may-have-on-any-system-of-ours"
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
		notify_open(-1, NULL);
		notify_ready();
		notify_close();
		assert_null(getenv("NOTIFY_SOCKET"));
	}
}

static void
a_status_stays_one_variable(void **state)
{
	(void)state;
	manage_path();
	notify_open(-1, NULL);
	notify_status("%s", "bad\nREADY=1");
	assert_string_equal(heard(), "STATUS=bad");
}

/* What is new counts: the last state arrives, in its order, and nobody waits. */
static void
a_manager_that_does_not_read_gets_the_newest_states_later(void **state)
{
	static char told[TOLD_MAX][64];
	size_t i, n = 0;
	const char *text;

	(void)state;
	manage_path();
	notify_open(-1, NULL);
	for (i = 0; i < TOLD_MAX * 2; i++)
		notify_status("number %04zu", i);
	notify_stopping();
	for (i = 0; i < TOLD_MAX * 2 && n < TOLD_MAX; i++) {
		while (*(text = heard()) != '\0' && n < TOLD_MAX)
			(void)strlcpy(told[n++], text, sizeof(told[0]));
		(void)event_base_loop(parent.base, EVLOOP_NONBLOCK);
	}
	assert_true(n > 1);
	assert_memory_equal(told[n - 1], "STOPPING=1\n", 11);
	for (i = 2; i + 1 < n; i++)
		assert_true(strcmp(told[i - 1], told[i]) < 0);
}

static void
a_watchdog_is_fed_as_long_as_the_loop_turns(void **state)
{
	int i;

	(void)state;
	manage_path();
	assert_int_equal(setenv("WATCHDOG_USEC", "20000", 1), 0);
	notify_open(-1, NULL);
	for (i = 0; i < 3; i++) {
		assert_string_equal(heard(), "WATCHDOG=1");
		assert_int_equal(event_base_loop(parent.base, EVLOOP_ONCE), 0);
	}
}

static void
a_watchdog_that_is_not_ours_is_left_alone(void **state)
{
	static const char *const usec[] = { "20000", "0", "-5", "soon", "" };
	static const char *const pid[] = { "1", NULL, NULL, NULL, NULL };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(usec) / sizeof(usec[0]); i++) {
		manage_path();
		assert_int_equal(setenv("WATCHDOG_USEC", usec[i], 1), 0);
		if (pid[i] != NULL)
			assert_int_equal(setenv("WATCHDOG_PID", pid[i], 1), 0);
		notify_open(-1, NULL);
		assert_string_equal(heard(), "");
		notify_close();
		close(manager);
		manager = -1;
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(who_has_handed_over_says_nothing_more),
		T(who_was_handed_the_socket_speaks_when_it_is_the_daemon),
		T(the_life_of_a_daemon_is_told_in_its_states),
		T(an_abstract_name_is_a_socket_too),
		T(nobody_after_us_may_speak_for_us),
		T(without_a_manager_nothing_happens),
		T(a_socket_that_cannot_be_reached_stops_nothing),
		T(a_status_stays_one_variable),
		T(a_manager_that_does_not_read_gets_the_newest_states_later),
		T(a_watchdog_is_fed_as_long_as_the_loop_turns),
		T(a_watchdog_that_is_not_ours_is_left_alone),
	};
	char name[64];
	int rc;

	if (mkdtemp(folder) == NULL)
		return 1;
	rc = cmocka_run_group_tests_name("notify", tests, NULL, NULL);
	(void)snprintf(name, sizeof(name), "%s/notify", folder);
	(void)unlink(name);
	(void)rmdir(folder);
	return rc;
}
