/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl key rotate: a new key that may do what the old one may, and an
 * end for the old one.  Both are in the file with one rename: there is no
 * moment without a valid key, and none in which the old one has no end.
 */

#include <stdio.h>
#include <time.h>

#include "../common/compat.h"
#include "../common/json.h"
#include "ctl_key.h"

#define GRACE_DEFAULT	(24 * 3600)		/* seconds */
#define GRACE_MAX	(366LL * 86400)

struct rotate_options {
	const char	*path;
	const char	*env;
	int64_t		 grace;		/* seconds; 0: revoked at once */
	int64_t		 expires;	/* -1: as the old one; 0: never */
	int		 json;
};

static int
parse_expiry(struct rotate_options *o, const char *text)
{
	if (strcmp(text, "never") == 0) {
		o->expires = 0;
		return 0;
	}
	o->expires = key_date(text);
	if (o->expires > (int64_t)time(NULL))
		return 0;
	fprintf(stderr, "pontifexctl: date \"%s\": must be never, or in the "
	    "future and like 2027-12-31 or 2027-12-31T23:59:59Z\n", text);
	return -1;
}

static int
take_option(struct rotate_options *o, int ch, const char *value)
{
	switch (ch) {
	case 'F':
		o->path = value;
		return 0;
	case 'E':
		o->env = value;
		return key_env_ok(value) ? 0 : CTL_FAILED;
	case 'e':
		return parse_expiry(o, value) == 0 ? 0 : CTL_FAILED;
	case 'g':
		o->grace = strcmp(value, "0") == 0 ? 0 :
		    span_seconds(value, GRACE_MAX);
		if (o->grace != -1)
			return 0;
		return key_complain("grace \"%s\": must be 0, or like 90m, 24h "
		    "or 7d, and no more than 366 days", value);
	case 'j':
		o->json = 1;
		return 0;
	default:
		return CTL_USAGE;
	}
}

/* Whether there is something to rotate, and until when the new one lasts. */
static int
check_old(const struct rotate_options *o, const struct key_entry *old)
{
	if (old->revoked)
		return key_complain("key \"%s\" is revoked: make a new one "
		    "with key add", old->id);
	if (o->expires == -1 && old->expires != 0 &&
	    old->expires <= (int64_t)time(NULL))
		return key_complain("key \"%s\" has expired: -e says until "
		    "when the new one lasts", old->id);
	return CTL_OK;
}

/* Never longer than it had. */
static void
end_old(struct key_entry *old, int64_t grace)
{
	int64_t end = (int64_t)time(NULL) + grace;

	if (grace == 0)
		old->revoked = 1;
	else if (old->expires == 0 || old->expires > end)
		old->expires = end;
}

static int
print_rotated(const struct rotate_options *o, const struct key_entry *now,
    const struct key_entry *old, const char *text)
{
	char date[KEY_DATE_LEN + 1];
	struct buffer b;

	if (o->json) {
		buffer_init(&b, KEYFILE_LINE_MAX * 16);
		(void)buffer_add_cstr(&b, "\"key\":");
		(void)json_write_cstr(&b, text);
		(void)buffer_add_char(&b, ',');
		key_json(&b, now);
		(void)buffer_add_cstr(&b, ",\"old\":{");
		key_json(&b, old);
		(void)buffer_add_char(&b, '}');
		return key_json_print(&b);
	}
	printf("%s\n", text);
	if (fflush(stdout) != 0)
		return CTL_FAILED;
	key_date_text(old->expires, date);
	if (old->revoked)
		fprintf(stderr, "key %s takes the place of %s, which is "
		    "revoked\n", now->id, old->id);
	else
		fprintf(stderr, "key %s takes the place of %s, which expires "
		    "at %s\n", now->id, old->id, date);
	if (now->expires != 0) {
		key_date_text(now->expires, date);
		fprintf(stderr, "key %s expires at %s\n", now->id, date);
	}
	return CTL_OK;
}

static int
rotate(const struct rotate_options *o, struct keyfile *k, const char *id)
{
	static struct key_entry old, now;
	char text[KEY_TEXT_MAX];
	int rc;

	if (keyfile_find(k, id, &old) == -1)
		return CTL_FAILED;
	if ((rc = check_old(o, &old)) != CTL_OK)
		return rc;
	now = old;
	now.id[0] = '\0';
	if (o->expires != -1)
		now.expires = o->expires;
	end_old(&old, o->grace);
	rc = CTL_FAILED;
	if (key_draw(k, &now, o->env, text) == 0) {
		(void)keyfile_change(k, &old);
		keyfile_append(k, &now);
		if (keyfile_replace(k) == 0)
			rc = print_rotated(o, &now, &old, text);
	}
	explicit_bzero(text, sizeof(text));
	return rc;
}

static int
usage(void)
{
	fprintf(stderr, "usage: pontifexctl key rotate [-j] [-F keyfile] "
	    "[-g grace] [-e date|never] [-E env] id\n");
	return CTL_USAGE;
}

int
key_rotate(int argc, char **argv)
{
	struct rotate_options o = {
		.path = KEYFILE_DEFAULT, .env = "live",
		.grace = GRACE_DEFAULT, .expires = -1
	};
	struct keyfile k;
	int ch, rc;

	while ((ch = getopt(argc, argv, "E:F:e:g:j")) != -1)
		if ((rc = take_option(&o, ch, optarg)) != 0)
			return rc == CTL_USAGE ? usage() : rc;
	if (optind + 1 != argc)
		return usage();
	rc = CTL_FAILED;
	if (keyfile_begin(&k, o.path, 1) == 0)
		rc = rotate(&o, &k, argv[optind]);
	keyfile_end(&k);
	return rc;
}
