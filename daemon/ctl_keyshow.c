/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl key list: what is known of the keys, but no hash.  States are
 * those that pontifexd goes by; when a key was used last is what it wrote
 * beside the file.
 */

#include <stdio.h>
#include <time.h>

#include "../common/compat.h"
#include "../common/json.h"
#include "ctl_audit.h"
#include "ctl_key.h"

static const char *
state_of(const struct key_entry *e)
{
	int64_t now = (int64_t)time(NULL);

	if (e->revoked)
		return "revoked";
	if (e->expires != 0 && e->expires <= now)
		return "expired";
	if (e->expires != 0 && e->expires - now <= KEY_EXPIRING_S)
		return "expiring";
	return "active";
}

static void
date_member(struct buffer *b, const char *name, int64_t when)
{
	char date[KEY_DATE_LEN + 1];

	if (when == 0) {
		(void)buffer_printf(b, "\"%s\":null", name);
		return;
	}
	key_date_text(when, date);
	(void)json_write_member(b, name, date);
}

static void
rate_members(struct buffer *b, const struct rate *rate)
{
	char text[RATE_TEXT_MAX];

	rate_text(text, rate);
	(void)buffer_add_char(b, ',');
	if (rate->count == 0)
		(void)buffer_add_cstr(b, "\"rate\":null");
	else
		(void)json_write_member(b, "rate", text);
	if (rate->count == 0 || rate->period_ms != 60000)
		(void)buffer_add_cstr(b, ",\"per_minute\":null,");
	else
		(void)buffer_printf(b, ",\"per_minute\":%u,", rate->count);
}

void
key_json(struct buffer *b, const struct key_entry *e)
{
	uint32_t i;

	(void)json_write_member(b, "id", e->id);
	(void)buffer_add_char(b, ',');
	(void)json_write_member(b, "state", state_of(e));
	(void)buffer_printf(b, ",\"legacy\":%s,",
	    e->legacy ? "true" : "false");
	(void)json_write_member(b, "owner", e->owner);
	(void)buffer_add_char(b, ',');
	(void)json_write_member(b, "label", e->label);
	rate_members(b, &e->rate);
	date_member(b, "expires", e->expires);
	(void)buffer_add_cstr(b, ",\"scopes\":[");
	for (i = 0; i < e->nscopes; i++) {
		if (i > 0)
			(void)buffer_add_char(b, ',');
		(void)json_write_cstr(b, e->scope[i]);
	}
	(void)buffer_add_cstr(b, "],\"attributes\":{");
	for (i = 0; i < e->nattributes; i++) {
		if (i > 0)
			(void)buffer_add_char(b, ',');
		(void)json_write_member(b, e->attribute[i].name, e->attribute[i].value);
	}
	(void)buffer_add_char(b, '}');
}

int
key_json_print(struct buffer *b)
{
	int rc = CTL_FAILED;

	if (!b->bad) {
		printf("{%.*s}\n", (int)b->len, (const char *)b->data);
		rc = fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
	}
	buffer_freezero(b);
	return rc;
}

/* Of whoever wrote the file: it steers no terminal. */
static void
print_text(const char *text, int width)
{
	show_text(stdout, slice_of(text));
	for (; *text != '\0'; text++)
		width -= ((unsigned char)*text & 0xc0) != 0x80;
	printf("%*s", width > 0 ? width + 1 : 1, "");
}

static void
print_row(const struct key_entry *e, int64_t used)
{
	char date[KEY_DATE_LEN + 1] = "never", last[KEY_DATE_LEN + 1] = "-";
	char rate[RATE_TEXT_MAX + 4], state[24];
	uint32_t i;

	if (e->expires != 0)
		key_date_text(e->expires, date);
	if (used != 0)
		key_date_text(used, last);
	rate_text(rate, &e->rate);
	if (e->rate.count == 0)
		(void)strlcpy(rate, "default", sizeof(rate));
	else if (strpbrk(rate, "/:") == NULL)
		(void)strlcat(rate, "/min", sizeof(rate));
	(void)snprintf(state, sizeof(state), "%s%s", state_of(e),
	    e->legacy ? ",legacy" : "");
	printf("%-14s %-15s %-20s %-20s %-10s ", e->id, state, date, last,
	    rate);
	print_text(e->owner, 16);
	print_text(e->label, 16);
	for (i = 0; i < e->nscopes; i++)
		printf("%s%s", i > 0 ? "," : "", e->scope[i]);
	for (i = 0; i < e->nattributes; i++) {
		putchar(' ');
		show_text(stdout, slice_of(e->attribute[i].name));
		putchar('=');
		show_text(stdout, slice_of(e->attribute[i].value));
	}
	putchar('\n');
}

/* {"keys":[{…},…]}, a key a line. */
static void
print_object(const struct key_entry *e, int64_t used, size_t number)
{
	struct buffer b;

	buffer_init(&b, KEYFILE_LINE_MAX * 8);
	key_json(&b, e);
	(void)buffer_add_char(&b, ',');
	date_member(&b, "last_used", used);
	printf("%s{%.*s}", number == 0 ? "\n" : ",\n", (int)b.len,
	    (const char *)b.data);
	buffer_free(&b);
}

static int
print_all(const struct keyfile *k, const struct lastuse_list *used, int json)
{
	static struct key_entry entry;
	size_t at = 0, number = 0, keys = 0;
	struct slice line;
	const char *error;
	int good, rc = CTL_OK;

	while (keyfile_next(k, &at, &line, &entry, &good)) {
		number++;
		if (good && json) {
			print_object(&entry, lastuse_of(used, entry.id),
			    keys++);
		} else if (good) {
			print_row(&entry, lastuse_of(used, entry.id));
		} else if (!keyfile_is_comment(line)) {
			if (keyfile_parse(line, &entry, &error) == 0)
				error = "it has no end, as if the file were "
				    "cut short";
			fprintf(stderr, "pontifexctl: %s:%zu: %s: it grants "
			    "nothing\n", k->path, number, error);
			rc = CTL_FAILED;
		}
	}
	return rc;
}

int
key_options(int argc, char **argv, const char **path, int *json)
{
	int ch;

	*path = KEYFILE_DEFAULT;
	*json = 0;
	while ((ch = getopt(argc, argv, "F:j")) != -1) {
		if (ch == 'F')
			*path = optarg;
		else if (ch == 'j')
			*json = 1;
		else
			return -1;
	}
	return argc - optind;
}

int
key_list(int argc, char **argv)
{
	struct lastuse_list used = { NULL, 0 };
	const char *path;
	struct keyfile k;
	int json, rc = CTL_FAILED;

	if (key_options(argc, argv, &path, &json) != 0) {
		fprintf(stderr,
		    "usage: pontifexctl key list [-j] [-F keyfile]\n");
		return CTL_USAGE;
	}
	if (keyfile_begin(&k, path, 0) == 0) {
		if (!k.exists) {
			(void)key_complain("%s: there is no such file", path);
		} else if (lastuse_read(path, &used) == 0) {
			if (json)
				printf("{\"keys\":[");
			else
				printf("%-14s %-15s %-20s %-20s %-10s %-16s "
				    "%-16s %s\n", "ID", "STATE", "EXPIRES",
				    "LAST USED", "RATE", "OWNER", "LABEL",
				    "SCOPES");
			rc = print_all(&k, &used, json);
			if (json)
				printf("]}\n");
		}
	}
	lastuse_free(&used);
	keyfile_end(&k);
	return rc;
}
