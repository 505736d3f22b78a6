/* SPDX-License-Identifier: ISC */

/*
 * Whom each role runs as, and the folders it needs: the empty one that the
 * listener and authd are locked into, and the journal's.  Nothing is taken
 * as it is found: a wrong owner or mode stops the start.
 */

#include <sys/stat.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "parent.h"

#define RUN_EMPTY	"/run/pontifexd-empty"	/* only root writes there */

static char made_dir[64];	/* an empty folder of our own making */

static const char *const role_user[ROLE_MAX] = {
	[ROLE_LISTENER] = "_pontifexd", [ROLE_AUTHD] = "_pontauth",
	[ROLE_HANDLER] = "_pontwork", [ROLE_AUDITD] = "_pontaudit",
	[ROLE_FETCHER] = "_pontfetch",
};

static int
set_user(enum role role, const char *name)
{
	struct passwd *pw;

	if ((pw = getpwnam(name)) == NULL || pw->pw_uid == 0)
		return -1;
	parent.uid[role] = pw->pw_uid;
	parent.gid[role] = pw->pw_gid;
	return 0;
}

int
users_resolve(void)
{
	const char *name;
	int missing = 0;
	enum role role;

	if (geteuid() != 0) {
		log_info("not started as root: all roles run as uid %u, "
		    "without a chroot; good enough to develop, not to serve",
		    (unsigned int)geteuid());
		for (role = ROLE_LISTENER; role < ROLE_MAX; role++) {
			parent.uid[role] = geteuid();
			parent.gid[role] = getegid();
		}
		return 0;
	}
	parent.drop = 1;
	for (role = ROLE_LISTENER; role < ROLE_MAX; role++) {
		name = parent.config->user != NULL ? parent.config->user :
		    role_user[role];
		if (set_user(role, name) == -1)
			missing = 1;
	}
	if (!missing)
		return 0;
	if (parent.config->user != NULL) {
		log_warn("user \"%s\": there is no such user, or it is root",
		    parent.config->user);
		return -1;
	}
	if (!parent.foreground) {
		log_warn("the users _pontifexd _pontauth _pontwork _pontaudit "
		    "_pontfetch are not there: make install, or for each: "
		    "useradd -r -s /usr/sbin/nologin -d /nonexistent NAME");
		return -1;
	}
	log_warn("the users _pontifexd, _pontauth ... are not there: all roles "
	    "run as nobody; make install makes them");
	for (role = ROLE_LISTENER; role < ROLE_MAX; role++)
		if (set_user(role, "nobody") == -1) {
			log_warn("there is no user nobody either");
			return -1;
		}
	return 0;
}

/* A folder that only root can write in, to be locked into. */
static int
empty_dir_ok(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_uid == 0 && (st.st_mode & 022) == 0 && st.st_nlink <= 2;
}

static int
chroot_prepare(void)
{
	static const char *const known[] = {
		"/var/empty", "/var/lib/pontifexd/empty", RUN_EMPTY
	};
	size_t i;

	if (!parent.drop)
		return 0;
	/* Stays, so that a build folder's daemon leaves one behind, not many. */
	(void)mkdir(RUN_EMPTY, 0555);
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (empty_dir_ok(known[i]))
			return (parent.chroot_dir = strdup(known[i])) == NULL ?
			    -1 : 0;
	strlcpy(made_dir, "/tmp/pontifexd-empty.XXXXXXXXXX",
	    sizeof(made_dir));
	if (mkdtemp(made_dir) == NULL || chmod(made_dir, 0555) == -1) {
		log_errno("cannot make an empty folder to lock children into");
		made_dir[0] = '\0';
		return -1;
	}
	return (parent.chroot_dir = strdup(made_dir)) == NULL ? -1 : 0;
}

/*
 * The journal's folder: auditd's own, and nobody else may look in, the parent
 * neither where it has less than all of root's powers.
 */
static int
journal_prepare(void)
{
	const char *path = parent.config->audit.journal;
	uid_t uid = parent.drop ? parent.uid[ROLE_AUDITD] : geteuid();
	gid_t gid = parent.drop ? parent.gid[ROLE_AUDITD] : getegid();
	struct stat st;

	if (mkdir(path, 0700) == -1) {
		if (errno != EEXIST) {
			log_errno("journal %s: cannot be made", path);
			return -1;
		}
	} else if (parent.drop && lchown(path, uid, gid) == -1) {
		log_errno("journal %s: cannot be given to auditd: "
		    "install -d -o %u -g %u -m 700 %s", path,
		    (unsigned int)uid, (unsigned int)gid, path);
		(void)rmdir(path);
		return -1;
	}
	if (lstat(path, &st) == -1) {
		log_errno("journal %s", path);
		return -1;
	}
	if (!S_ISDIR(st.st_mode)) {
		log_warn("journal %s: not a folder", path);
		return -1;
	}
	if (st.st_uid != uid) {
		log_warn("journal %s: belongs to uid %u, not to auditd's %u: "
		    "chown -R %u:%u %s", path, (unsigned int)st.st_uid,
		    (unsigned int)uid, (unsigned int)uid, (unsigned int)gid,
		    path);
		return -1;
	}
	if ((st.st_mode & 077) != 0) {
		log_warn("journal %s: mode %04o lets others in: chmod 700 %s",
		    path, (unsigned int)(st.st_mode & 07777), path);
		return -1;
	}
	return 0;
}

/* By the modes alone: an ACL may let in whom this would not. */
static int
may_enter(const struct stat *st, uid_t uid, gid_t gid)
{
	return (st->st_mode & (st->st_uid == uid ? S_IXUSR :
	    st->st_gid == gid ? S_IXGRP : S_IXOTH)) != 0;
}

/* What a role will not find, since a folder on the way is closed to it. */
static void
warn_of_way(const char *what, const char *path, enum role role)
{
	char dir[PATH_LEN_MAX], *slash;
	struct stat st;

	if (!parent.drop || strlcpy(dir, path, sizeof(dir)) >= sizeof(dir))
		return;
	for (slash = strchr(dir + 1, '/'); slash != NULL;
	    slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (stat(dir, &st) == 0 && !may_enter(&st, parent.uid[role],
		    parent.gid[role])) {
			log_warn("%s %s: uid %u of %s may not enter %s (mode "
			    "%04o): chmod o+x %s, or have it in another place",
			    what, path, (unsigned int)parent.uid[role],
			    role_name(role), dir,
			    (unsigned int)(st.st_mode & 07777), dir);
			return;
		}
		*slash = '/';
	}
}

void
folders_warn(void)
{
	const struct source_conf *s;

	warn_of_way("journal", parent.config->audit.journal, ROLE_AUDITD);
	TAILQ_FOREACH(s, &parent.config->sources, entry)
		if (s->kind == SOURCE_SQLITE)
			warn_of_way("source", s->path, ROLE_HANDLER);
}

int
folders_prepare(void)
{
	folders_warn();
	return chroot_prepare() == -1 || journal_prepare() == -1 ? -1 : 0;
}

void
folders_release(void)
{
	if (made_dir[0] != '\0')
		(void)rmdir(made_dir);
}
