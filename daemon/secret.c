/* SPDX-License-Identifier: ISC */

/*
 * Reading a secret from where the configuration says it is: a variable of
 * the environment, a file, or a credential of systemd.  Never from the
 * configuration itself.
 */

#include <sys/stat.h>

#include <fcntl.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/log.h"
#include "config.h"

#define SECRET_MAX	8192	/* bytes */
#define CREDENTIALS_OF_UNIT "/run/credentials/pontifexd.service"

static char *
from_env(const struct secret_ref *ref, size_t *len)
{
	const char *value = getenv(ref->name);
	char *copy;

	if (value == NULL || value[0] == '\0') {
		log_warn("%s:%d: from env \"%s\": the variable is not set",
		    ref->file, ref->line, ref->name);
		return NULL;
	}
	if ((copy = strdup(value)) == NULL)
		log_errno("%s:%d: from env \"%s\"", ref->file, ref->line,
		    ref->name);
	else
		*len = strlen(copy);
	return copy;
}

/*
 * Whether only we and root may read it.  systemd protects the folder of its
 * credentials; on the file a group stands where it grants a user by ACL.
 */
static int
is_private(const struct stat *st, enum secret_origin origin)
{
	return S_ISREG(st->st_mode) &&
	    (st->st_mode & (origin == SECRET_CREDENTIAL ? 007 : 077)) == 0 &&
	    (st->st_uid == geteuid() || st->st_uid == 0);
}

/* The text of an open file, less one newline; NULL after a log line. */
static char *
read_text(const struct secret_ref *ref, const char *path, int fd, size_t size,
    size_t *len)
{
	char *data = calloc(1, size + 1);
	size_t got = 0;
	ssize_t n = 0;

	if (data == NULL) {
		log_errno("%s:%d: secret in %s", ref->file, ref->line, path);
		return NULL;
	}
	while (got < size && (n = read(fd, data + got, size - got)) > 0)
		got += (size_t)n;
	if (n != -1 && got > 0 && data[got - 1] == '\n')
		data[--got] = '\0';
	if (n == -1 || got == 0 || memchr(data, '\0', got) != NULL) {
		log_warn("%s:%d: secret in %s: empty, or not a text",
		    ref->file, ref->line, path);
		freezero(data, size + 1);
		return NULL;
	}
	*len = got;
	return data;
}

static char *
from_file(const struct secret_ref *ref, const char *path, size_t *len)
{
	char *data = NULL;
	struct stat st;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1) {
		log_errno("%s:%d: secret in %s", ref->file, ref->line, path);
		return NULL;
	}
	if (fstat(fd, &st) == -1)
		log_errno("%s:%d: secret in %s", ref->file, ref->line, path);
	else if (!is_private(&st, ref->origin))
		log_warn("%s:%d: secret in %s: must be a file of the daemon's "
		    "own or root's that nobody else may read (chmod 600 %s)",
		    ref->file, ref->line, path, path);
	else if (st.st_size > SECRET_MAX)
		log_warn("%s:%d: secret in %s: longer than %d bytes",
		    ref->file, ref->line, path, SECRET_MAX);
	else
		data = read_text(ref, path, fd, (size_t)st.st_size, len);
	close(fd);
	return data;
}

char *
secret_read(const struct secret_ref *ref, size_t *len)
{
	const char *dir;
	char path[PATH_LEN_MAX];

	*len = 0;
	switch (ref->origin) {
	case SECRET_ENV:
		return from_env(ref, len);
	case SECRET_FILE:
		return from_file(ref, ref->name, len);
	case SECRET_CREDENTIAL:
		if ((dir = getenv("CREDENTIALS_DIRECTORY")) == NULL) {
			log_warn("%s:%d: from credential \"%s\": "
			    "CREDENTIALS_DIRECTORY is not set: systemd sets it "
			    "(LoadCredential=); by hand it is " CREDENTIALS_OF_UNIT
			    ", while that runs", ref->file, ref->line, ref->name);
			return NULL;
		}
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir,
		    ref->name) >= sizeof(path)) {
			log_warn("%s:%d: from credential \"%s\": the path "
			    "is too long", ref->file, ref->line, ref->name);
			return NULL;
		}
		return from_file(ref, path, len);
	case SECRET_UNSET:
		break;
	}
	log_warn("secret: none is configured");
	return NULL;
}
