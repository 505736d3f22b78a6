/* SPDX-License-Identifier: ISC */

/*
 * pontifexd(8), the parent: reads the configuration, binds the sockets,
 * starts and watches everyone.  It never reads a byte that came from the
 * network, and of its children's words only what supervise.c takes.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>

#include <event2/event.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/log.h"
#include "../common/version.h"
#include "../pledge/sandbox.h"
#include "parent.h"

#ifndef CONFIG_DEFAULT		/* the build says what sysconfdir is */
#define CONFIG_DEFAULT	"/etc/pontifexd/pontifex.conf"
#endif
#define SETTLE_MS	100	/* a key file that is being written settles */

static struct event *settle;
static int watch = -1;

static void
usage(void)
{
	fprintf(stderr,
	    "usage: pontifexd [-dnVv] [-D macro=value] [-f file]\n");
	exit(2);
}

/*
 * The folder of the roles' executables: libexec beside the path that we were
 * started by, as in the build folder; else where make install put them.
 */
static const char *
find_libexec(const char *argv0)
{
	static char dir[PATH_MAX];
	char self[PATH_MAX], cwd[PATH_MAX];
	struct stat st;

	if (strchr(argv0, '/') == NULL ||
	    strlcpy(self, argv0, sizeof(self)) >= sizeof(self))
		return LIBEXECDIR;
	cwd[0] = '\0';
	if (argv0[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		return LIBEXECDIR;
	if ((size_t)snprintf(dir, sizeof(dir), "%s%s%s/libexec", cwd,
	    cwd[0] == '\0' ? "" : "/", dirname(self)) >= sizeof(dir) ||
	    stat(dir, &st) == -1 || !S_ISDIR(st.st_mode))
		return LIBEXECDIR;
	return dir;
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	char by[32];

	(void)what;
	(void)arg;
	if (number == SIGHUP) {
		log_info("SIGHUP: reload");
		reload_ask("\"signal\":1", NULL, NULL);
		return;
	}
	if (number == SIGUSR2) {
		log_info("SIGUSR2: upgrade");
		(void)snprintf(by, sizeof(by), "\"signal\":%d", SIGUSR2);
		upgrade_ask(by, NULL, NULL);
		return;
	}
	if (upgrade_defers_stop()) {
		log_info("%s: an upgrade is under way: stopping after it",
		    number == SIGINT ? "SIGINT" : "SIGTERM");
		return;
	}
	log_info("%s: stopping", number == SIGINT ? "SIGINT" : "SIGTERM");
	supervise_stop();
}

static void
watch_signals(void)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR2 };
	struct event *ev;
	size_t i;

	(void)signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		ev = evsignal_new(parent.base, numbers[i], on_signal, NULL);
		if (ev == NULL || event_add(ev, NULL) == -1)
			fatal("cannot catch signals");
	}
}

static void
keys_settled(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	supervise_keys();
}

/*
 * Something happened in the key file's folder.  The file is read only where
 * it looks different, so that a busy folder costs nothing.
 */
static void
keys_changed(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval tv = { 0, SETTLE_MS * 1000 };
	static struct stat last;
	struct stat now;

	(void)what;
	(void)arg;
	watch_drain((int)fd);
	memset(&now, 0, sizeof(now));
	(void)stat(parent.config->auth.keys, &now);
	if (now.st_ino == last.st_ino && now.st_size == last.st_size &&
	    now.st_mode == last.st_mode && now.st_uid == last.st_uid &&
	    memcmp(&now.st_mtim, &last.st_mtim, sizeof(now.st_mtim)) == 0 &&
	    memcmp(&now.st_ctim, &last.st_ctim, sizeof(now.st_ctim)) == 0)
		return;
	last = now;
	if (!evtimer_pending(settle, NULL))
		evtimer_add(settle, &tv);
}

void
keys_watch(void)
{
	static struct event *ev;

	if (ev != NULL) {
		event_free(ev);
		close(watch);
		ev = NULL;
		watch = -1;
	}
	if (parent.config->auth.keys == NULL)
		return;
	if (settle == NULL)
		settle = evtimer_new(parent.base, keys_settled, NULL);
	if (settle == NULL ||
	    (watch = watch_open(parent.config->auth.keys)) == -1) {
		log_errno("key file %s cannot be watched: use pontifexctl "
		    "reload after a change", parent.config->auth.keys);
		return;
	}
	ev = event_new(parent.base, watch, EV_READ | EV_PERSIST, keys_changed,
	    NULL);
	if (ev == NULL || event_add(ev, NULL) == -1)
		fatal("cannot watch the key file");
}

static void
warn_not_in_force(void)
{
	const struct text_item *item;

	TAILQ_FOREACH(item, &parent.config->not_in_force, entry)
		log_warn("not in force yet: %s", item->text);
	if (parent.config->audit.on_failure == FAILURE_CONTINUE)
		log_warn("audit: on failure continue: calls are served even "
		    "where they cannot be recorded");
}

/* What is executed as root, by whom else it can be written. */
static int
is_roots(const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return 1;	/* its execution tells it */
	return st.st_uid == 0 && (st.st_mode & S_IWOTH) == 0 &&
	    ((st.st_mode & S_IWGRP) == 0 || st.st_gid == 0);
}

/*
 * A child is executed before it drops root, whenever one is started, and the
 * daemon itself at an upgrade.
 */
static void
warn_executables(void)
{
	char path[PATH_LEN_MAX];
	const char *self = bequeath_path();
	enum role role;

	if (geteuid() != 0)
		return;
	if (self != NULL && !is_roots(self))
		log_warn("%s: others than root may write it: they are root",
		    self);
	if (!is_roots(parent.libexec))
		log_warn("%s: others than root may write there: they are root",
		    parent.libexec);
	for (role = ROLE_LISTENER; role < ROLE_MAX; role++)
		if ((size_t)snprintf(path, sizeof(path), "%s/%s",
		    parent.libexec, role_name(role)) < sizeof(path) &&
		    !is_roots(path))
			log_warn("%s: others than root may write it: they are "
			    "root", path);
}

static void
detach(void)
{
	/* One that takes over was started by a daemon. */
	if (!parent.foreground && !successor_waits() && daemon(0, 0) == -1)
		fatal_errno("daemon");
}

/* `sandbox require': a kernel that lacks a part of it is none to start on. */
int
sandbox_suffices(const struct config *c)
{
	char missing[160];

	if (!c->sandbox_required ||
	    sandbox_missing(missing, sizeof(missing)) == NULL)
		return 1;
	log_warn("sandbox require: this kernel lacks %s", missing);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *path = CONFIG_DEFAULT, *watchdog = NULL;
	int check = 0, ch, notify;

	while ((ch = getopt(argc, argv, "D:df:nVv")) != -1) {
		switch (ch) {
		case 'D':
			if (config_define(optarg) == -1) {
				fprintf(stderr,
				    "pontifexd: -D %s: not name=value\n",
				    optarg);
				return 2;
			}
			break;
		case 'd':
			parent.foreground = 1;
			break;
		case 'f':
			path = optarg;
			break;
		case 'n':
			check++;
			break;
		case 'V':
			printf("version %s messages %s\n", program_version,
			    program_messages);
			return 0;
		case 'v':
			parent.verbose = 1;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	log_init("parent", parent.foreground, parent.verbose);
	if (check == 0 && successor_open() == -1)
		return 1;
	if ((parent.config = config_load(path)) == NULL)
		return 1;
	if (check == 1) {
		printf("configuration ok\n");
		return 0;
	}
	parent.libexec = find_libexec(argv[0]);
	log_init("parent", 1, parent.verbose);
	crypt_init();
	if (check > 1)
		return probe_run();
	bequeath_prepare(argc, argv, path[0] != '/');
	if (!successor_may_follow(parent.config) ||
	    !sandbox_suffices(parent.config) || users_resolve() == -1 ||
	    folders_prepare() == -1 || doors_prepare(parent.config) == -1 || metrics_bind() == -1)
		return 1;
	detach();
	log_init("parent", parent.foreground, parent.verbose);
	warn_not_in_force();
	warn_executables();
	parent.started_ms = now_ms();
	random_bytes(&parent.boot_id, sizeof(parent.boot_id));
	if ((parent.base = event_base_new()) == NULL)
		fatal("cannot make an event loop");
	watch_signals();
	notify = successor_take("notify", &watchdog);
	notify_open(notify, watchdog);
	if (control_open() == -1) {
		folders_release();
		return 1;
	}
	keys_watch();
	if (generations_open() == -1)
		fatal("cannot start");
	if (sandbox_enter(ROLE_PARENT, NULL) == -1)
		fatal("cannot enter the sandbox");
	if (successor_waits())
		successor_start();
	else
		supervise_start();
	loop_run(parent.base, &parent.stop, NULL, NULL);
	control_close();
	metrics_close();
	lastuse_flush();
	pipes_stop();
	folders_release();
	notify_close();
	log_info("stopped");
	return parent.exit_code;
}
