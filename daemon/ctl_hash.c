/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl audit hash: the form in which a redacted argument stands in the
 * trail, and where it does.  Needs the key, which only root and auditd may
 * read; the value is kept nowhere.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "../common/compat.h"
#include "../common/redact.h"
#include "ctl_audit.h"

/* The value on standard input, less one newline at its end. */
static int
read_value(struct buffer *value)
{
	unsigned char *to;
	ssize_t n;

	do {
		if ((to = buffer_reserve(value, 65536)) == NULL) {
			errno = EFBIG;
			return -1;
		}
		n = read(STDIN_FILENO, to, 65536);
		if (n > 0)
			value->len += (size_t)n;
	} while (n > 0 || (n == -1 && errno == EINTR));
	if (n == 0 && value->len > 0 && value->data[value->len - 1] == '\n')
		value->len--;
	return (int)n;
}

static int
read_key(const struct audit_options *o, uint8_t key[KEY_LEN])
{
	char path[PATH_LEN_MAX], text[REDACT_KEY_TEXT + 8];
	ssize_t n;
	int fd, rc = -1;

	if (o->redact_key != NULL)
		(void)strlcpy(path, o->redact_key, sizeof(path));
	else
		(void)snprintf(path, sizeof(path), "%s/%s", o->journal,
		    REDACT_KEY_FILE);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	n = fd == -1 ? -1 : read(fd, text, sizeof(text));
	if (n == -1)
		fprintf(stderr, "pontifexctl: %s: %s\n", path, strerror(errno));
	else if (redact_key(key, text, (size_t)n) == -1)
		fprintf(stderr, "pontifexctl: %s: not a key of %d hex digits\n",
		    path, REDACT_KEY_TEXT);
	else
		rc = 0;
	if (fd != -1)
		close(fd);
	explicit_bzero(text, sizeof(text));
	return rc;
}

/* Rows of all records whose arguments hold it; an exit code. */
static int
look_for(const struct audit_options *options, const char *text)
{
	struct audit_options o = *options;
	unsigned long long found = 0, records = 0;
	struct record_view v;
	enum trail_result result;
	struct trail *trail;
	struct slice line;
	int rc;

	o.filter.in_params = text;
	if ((trail = audit_open(&o)) == NULL)
		return CTL_FAILED;
	while ((result = trail_next(trail, &line)) == TRAIL_OK) {
		records++;
		if (!show_is_record(line, &v) ||
		    !filter_matches(&o.filter, &v))
			continue;
		if (o.json) {
			found++;
			show_json(line);
			putchar('\n');
			continue;
		}
		if (found++ == 0)
			show_row_head();
		show_row(&v);
	}
	rc = audit_ended(trail, result);
	trail_close(trail);
	if (rc != CTL_OK)
		return rc;
	if (o.json)
		printf("{\"used\":%llu,\"records\":%llu}\n", found, records);
	else if (found > 0)
		printf("audit hash: used in %llu records\n", found);
	else
		printf("audit hash: not used\n");
	return CTL_OK;
}

int
audit_hash(const struct audit_options *o)
{
	uint8_t key[KEY_LEN];
	struct buffer value, text;
	int rc = CTL_FAILED;

	buffer_init(&value, BODY_MAX + 65536);
	value.wipe = 1;
	buffer_init(&text, 128);
	if (strcmp(o->value, "-") != 0)
		(void)buffer_add_cstr(&value, o->value);
	else if (read_value(&value) == -1)
		fprintf(stderr, "pontifexctl: standard input: %s\n",
		    strerror(errno));
	if (!value.bad && read_key(o, key) == 0) {
		(void)redact_write(&text, key, value.data == NULL ?
		    (const void *)"" : value.data, value.len);
		if (buffer_add_char(&text, '\0') == 0) {
			printf(o->json ? "{\"hash\":\"%s\"}\n" : "%s\n",
			    (char *)text.data);
			rc = o->place_given ? look_for(o, (char *)text.data) :
			    CTL_OK;
		}
	}
	explicit_bzero(key, sizeof(key));
	buffer_freezero(&value);
	buffer_free(&text);
	return rc;
}
