/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl key add and revoke: makes API keys and takes them back.  The
 * plaintext of a key is shown once and kept nowhere.
 */

#include <stdio.h>
#include <time.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "ctl_key.h"

int
key_complain(const char *fmt, const char *what)
{
	fprintf(stderr, "pontifexctl: ");
	fprintf(stderr, fmt, what);
	fputc('\n', stderr);
	return CTL_FAILED;
}

/* ---- add --------------------------------------------------------------- */

struct add_options {
	const char	*path;
	const char	*env;
	int		 json;
	struct key_entry entry;
};

static int
add_scopes(struct key_entry *e, const char *text)
{
	const char *problem, *comma;
	struct slice s;

	for (;;) {
		comma = strchr(text, ',');
		s.ptr = text;
		s.len = comma == NULL ? strlen(text) : (size_t)(comma - text);
		if ((problem = scope_problem(s)) != NULL) {
			fprintf(stderr, "pontifexctl: scope \"%.*s\": %s\n",
			    (int)s.len, s.ptr, problem);
			return -1;
		}
		if (e->nscopes == SCOPES_MAX) {
			(void)key_complain("%s", "too many scopes");
			return -1;
		}
		memcpy(e->scope[e->nscopes], s.ptr, s.len);
		e->scope[e->nscopes++][s.len] = '\0';
		if (comma == NULL)
			return 0;
		text = comma + 1;
	}
}

static int
add_attribute(struct key_entry *e, const char *text)
{
	const char *eq = strchr(text, '=');
	struct key_attribute *a;
	size_t i, len;

	len = eq == NULL ? 0 : (size_t)(eq - text);
	if (len == 0 || len > NAME_LEN_MAX || strlen(eq + 1) > ATTRIBUTE_MAX ||
	    e->nattributes == ATTRIBUTES_MAX) {
		(void)key_complain("-a %s: must be name=value", text);
		return -1;
	}
	for (i = 0; i < len; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "0123456789_.-", text[i]) == NULL) {
			(void)key_complain("-a %s: a name is made of "
			    "A-Z a-z 0-9 _ . -", text);
			return -1;
		}
	a = &e->attribute[e->nattributes++];
	memcpy(a->name, text, len);
	strlcpy(a->value, eq + 1, sizeof(a->value));
	for (i = 0; i + 1 < e->nattributes; i++)
		if (strcmp(e->attribute[i].name, a->name) == 0) {
			(void)key_complain("-a %s: given twice", text);
			return -1;
		}
	return 0;
}

int
key_text_ok(const char *text, size_t max, const char *what)
{
	size_t i;

	if (text[0] == '\0' || strlen(text) > max) {
		fprintf(stderr, "pontifexctl: %s must have 1 to %zu bytes\n",
		    what, max);
		return 0;
	}
	for (i = 0; text[i] != '\0'; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
			fprintf(stderr, "pontifexctl: %s must have no control "
			    "characters\n", what);
			return 0;
		}
	return 1;
}

static int
word_ok(const char *text, size_t max, const char *what)
{
	size_t i;

	for (i = 0; text[i] != '\0'; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') ||
		    (text[i] >= '0' && text[i] <= '9')))
			break;
	if (i == 0 || text[i] != '\0' || i > max) {
		fprintf(stderr, "pontifexctl: %s \"%s\": must be 1 to %zu of "
		    "a-z 0-9\n", what, text, max);
		return 0;
	}
	return 1;
}

int
key_env_ok(const char *env)
{
	return word_ok(env, 16, "env");
}

static int
take_option(struct add_options *o, int ch, const char *value)
{
	struct key_entry *e = &o->entry;

	switch (ch) {
	case 'F':
		o->path = value;
		return 0;
	case 'j':
		o->json = 1;
		return 0;
	case 'E':
		o->env = value;
		return key_env_ok(value) ? 0 : -1;
	case 'i':
		if (!word_ok(value, KEY_ID_MAX, "id"))
			return -1;
		strlcpy(e->id, value, sizeof(e->id));
		return 0;
	case 'o':
		if (!key_text_ok(value, OWNER_MAX, "owner"))
			return -1;
		if (keyfile_owner_reserved(value)) {
			fprintf(stderr, "pontifexctl: owner \"%s\": one that "
			    "begins with https:// is a token's\n", value);
			return -1;
		}
		strlcpy(e->owner, value, sizeof(e->owner));
		return 0;
	case 'l':
		if (!key_text_ok(value, LABEL_MAX, "label"))
			return -1;
		strlcpy(e->label, value, sizeof(e->label));
		return 0;
	case 's':
		return add_scopes(e, value);
	case 'a':
		if (!key_text_ok(value, NAME_LEN_MAX + ATTRIBUTE_MAX + 1,
		    "attribute"))
			return -1;
		return add_attribute(e, value);
	case 'r':
		if (rate_parse(&e->rate, value) == 0)
			return 0;
		fprintf(stderr, "pontifexctl: rate \"%s\": must be COUNT[/s|/m|/h]"
		    "[:BURST], each number 1 to %d\n", value, RATE_MAX);
		return -1;
	case 'e':
		e->expires = key_date(value);
		if (e->expires > (int64_t)time(NULL))
			return 0;
		fprintf(stderr, "pontifexctl: date \"%s\": must be in the "
		    "future and like 2027-12-31 or 2027-12-31T23:59:59Z\n",
		    value);
		return -1;
	default:
		return -2;
	}
}

static void
random_id(char out[KEY_ID_MAX + 1])
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	int i;

	for (i = 0; i < 12; i++)
		out[i] = alphabet[arc4random_uniform(sizeof(alphabet) - 1)];
	out[12] = '\0';
}

int
key_draw(const struct keyfile *k, struct key_entry *e, const char *env,
    char text[KEY_TEXT_MAX])
{
	uint8_t secret[KEY_SECRET_LEN], pepper[KEY_LEN];
	char encoded[KEY_SECRET_LEN * 2];
	int rc = -1;

	while (e->id[0] == '\0') {
		random_id(e->id);
		if (keyfile_has_id(k, e->id))
			e->id[0] = '\0';
	}
	random_bytes(secret, sizeof(secret));
	base64url_encode(encoded, secret, sizeof(secret));
	if ((size_t)snprintf(text, KEY_TEXT_MAX, "sk_%s_%s_%s", env, e->id,
	    encoded) >= KEY_TEXT_MAX) {
		(void)key_complain("%s", "env and id are too long together");
	} else if (keyfile_pepper(k->path, 1, pepper) == 0) {
		key_hash(pepper, slice_of(text), e->hash);
		e->legacy = 0;
		rc = 0;
	}
	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(encoded, sizeof(encoded));
	explicit_bzero(pepper, sizeof(pepper));
	return rc;
}

/* The key, once; or it and what is known of it. */
static int
print_new(const struct key_entry *e, const char *text, int json)
{
	struct buffer b;

	if (!json) {
		printf("%s\n", text);
		return fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
	}
	buffer_init(&b, KEYFILE_LINE_MAX * 8);
	(void)buffer_add_cstr(&b, "\"key\":");
	(void)json_write_cstr(&b, text);
	(void)buffer_add_char(&b, ',');
	key_json(&b, e);
	return key_json_print(&b);
}

static int
key_make(struct add_options *o, struct keyfile *k)
{
	char text[KEY_TEXT_MAX];
	int rc = CTL_FAILED;

	if (key_draw(k, &o->entry, o->env, text) == 0) {
		keyfile_append(k, &o->entry);
		if (keyfile_replace(k) == 0)
			rc = print_new(&o->entry, text, o->json);
	}
	explicit_bzero(text, sizeof(text));
	return rc;
}

static int
add_usage(void)
{
	fprintf(stderr, "usage: pontifexctl key add [-j] [-F keyfile] -o owner "
	    "-s scope[,...] [-l label]\n       [-r rate] [-e date] "
	    "[-a name=value] [-i id] [-E env]\n");
	return CTL_USAGE;
}

static int
key_add(int argc, char **argv)
{
	static struct add_options o;
	struct keyfile k;
	int ch, rc;

	o.path = KEYFILE_DEFAULT;
	o.env = "live";
	while ((ch = getopt(argc, argv, "F:E:i:jo:l:s:a:r:e:")) != -1)
		if ((rc = take_option(&o, ch, optarg)) != 0)
			return rc == -2 ? add_usage() : CTL_FAILED;
	if (optind != argc)
		return add_usage();
	if (o.entry.owner[0] == '\0' || o.entry.nscopes == 0) {
		(void)key_complain("%s is missing", o.entry.owner[0] == '\0' ?
		    "-o owner" : "-s scope");
		return add_usage();
	}
	if (o.entry.label[0] == '\0')
		strlcpy(o.entry.label, o.entry.owner, sizeof(o.entry.label));
	rc = CTL_FAILED;
	if (keyfile_begin(&k, o.path, 1) == 0) {
		if (o.entry.id[0] != '\0' && keyfile_has_id(&k, o.entry.id))
			rc = key_complain("id \"%s\" is taken", o.entry.id);
		else
			rc = key_make(&o, &k);
	}
	keyfile_end(&k);
	return rc;
}

/* ---- revoke ------------------------------------------------------------ */

static int
key_revoke(int argc, char **argv)
{
	static struct key_entry entry;
	const char *path;
	struct keyfile k;
	struct buffer b;
	int json, rc = CTL_FAILED;

	if (key_options(argc, argv, &path, &json) != 1) {
		fprintf(stderr,
		    "usage: pontifexctl key revoke [-j] [-F keyfile] id\n");
		return CTL_USAGE;
	}
	if (keyfile_begin(&k, path, 1) == 0 &&
	    keyfile_find(&k, argv[optind], &entry) == 0) {
		entry.revoked = 1;
		(void)keyfile_change(&k, &entry);
		if (keyfile_replace(&k) == 0)
			rc = CTL_OK;
	}
	keyfile_end(&k);
	if (rc != CTL_OK || !json)
		return rc;
	buffer_init(&b, KEYFILE_LINE_MAX * 8);
	key_json(&b, &entry);
	return key_json_print(&b);
}

int
ctl_key(int argc, char **argv)
{
	static const struct {
		const char	*name;
		int		(*run)(int, char **);
	} words[] = {
		{ "add", key_add }, { "list", key_list },
		{ "revoke", key_revoke }, { "rotate", key_rotate },
		{ "import", key_import },
	};
	size_t i;

	for (i = 0; argc >= 2 && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(argv[1], words[i].name) == 0)
			return words[i].run(argc - 1, argv + 1);
	if (argc >= 2)
		(void)key_complain("key %s: there is no such command", argv[1]);
	fprintf(stderr,
	    "usage: pontifexctl key add | list | revoke | rotate | import\n");
	return CTL_USAGE;
}
