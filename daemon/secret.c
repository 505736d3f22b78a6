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
	if ((copy = strdup(value)) != NULL)
		*len = strlen(copy);
	return copy;
}

static char *
from_file(const struct secret_ref *ref, const char *path, size_t *len)
{
	char *data = NULL;
	struct stat st;
	ssize_t n;
	int fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1) {
		log_errno("%s:%d: secret in %s", ref->file, ref->line, path);
		return NULL;
	}
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    (st.st_mode & 077) != 0) {
		log_warn("%s:%d: secret in %s: must be a file that nobody "
		    "else may read (chmod 600)", ref->file, ref->line, path);
	} else if (st.st_size == 0 || st.st_size > SECRET_MAX) {
		log_warn("%s:%d: secret in %s: must have 1 to %d bytes",
		    ref->file, ref->line, path, SECRET_MAX);
	} else if ((data = calloc(1, (size_t)st.st_size + 1)) != NULL) {
		n = read(fd, data, (size_t)st.st_size);
		*len = n > 0 ? (size_t)n : 0;
		if (*len > 0 && data[*len - 1] == '\n')
			data[--*len] = '\0';
		if (*len == 0 || memchr(data, '\0', *len) != NULL) {
			log_warn("%s:%d: secret in %s: cannot be read",
			    ref->file, ref->line, path);
			freezero(data, (size_t)st.st_size + 1);
			data = NULL;
		}
	}
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
			log_warn("%s:%d: from credential \"%s\": not started "
			    "by systemd with credentials", ref->file,
			    ref->line, ref->name);
			return NULL;
		}
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir,
		    ref->name) >= sizeof(path))
			return NULL;
		return from_file(ref, path, len);
	case SECRET_UNSET:
		break;
	}
	log_warn("secret: none is configured");
	return NULL;
}
