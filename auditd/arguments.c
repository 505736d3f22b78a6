/* SPDX-License-Identifier: ISC */

/*
 * What a record says of a call's arguments.  They come from a handler, which
 * may be an attacker's: they are parsed again, whatever it claims, and only
 * a JSON object gets in, on one line.  What is declared `redact' never gets
 * in but as HMAC-SHA256 under a key that auditd alone holds: of a string its
 * characters, of any other value its JSON text.
 */

#include <errno.h>
#include <fcntl.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "../common/log.h"
#include "../common/redact.h"
#include "auditd.h"

#define KEY_FILE	REDACT_KEY_FILE

static uint8_t key[KEY_LEN];

void
arguments_set_key(const uint8_t k[KEY_LEN])
{
	memcpy(key, k, KEY_LEN);
}

int
arguments_key(int dir)
{
	char text[2 * KEY_LEN + 16];
	ssize_t n;
	int rc = -1;

	n = journal_file_read(dir, KEY_FILE, text, sizeof(text));
	if (n == -1 && errno == ENOENT) {
		random_bytes(key, sizeof(key));
		hex_encode(text, key, sizeof(key));
		text[2 * KEY_LEN] = '\n';
		if (journal_file_write(dir, KEY_FILE, text,
		    2 * KEY_LEN + 1, 1) == -1)
			log_errno("cannot write %s", KEY_FILE);
		else
			rc = 0;
	} else if (n == -1) {
		log_errno("cannot read %s", KEY_FILE);
	} else if (redact_key(key, text, (size_t)n) == 0) {
		rc = 0;
	} else {
		log_warn("%s: not a key of %d hex digits", KEY_FILE,
		    2 * KEY_LEN);
	}
	explicit_bzero(text, sizeof(text));
	return rc;
}

/* Well-formed JSON without the white space between its tokens. */
static void
write_compact(struct buffer *b, struct slice json)
{
	size_t i, from = 0;
	int in_string = 0;

	for (i = 0; i < json.len; i++) {
		if (in_string) {
			if (json.ptr[i] == '\\')
				i++;
			else if (json.ptr[i] == '"')
				in_string = 0;
		} else if (json.ptr[i] == '"') {
			in_string = 1;
		} else if (json.ptr[i] == ' ' || json.ptr[i] == '\n' ||
		    json.ptr[i] == '\r' || json.ptr[i] == '\t') {
			(void)buffer_add(b, json.ptr + from, i - from);
			from = i + 1;
		}
	}
	(void)buffer_add(b, json.ptr + from, json.len - from);
}

static void
write_hash(struct buffer *b, struct slice value)
{
	static struct json j;
	struct buffer text;

	buffer_init(&text, BODY_MAX + 1);
	(void)buffer_add_char(b, '"');
	if (json_parse(&j, value.ptr, value.len) == 0 &&
	    json_is(&j, 0, JSON_STRING) && json_string(&j, 0, &text) == 0)
		(void)redact_write(b, key, text.data == NULL ?
		    (const void *)"" : text.data, text.len);
	else
		(void)redact_write(b, key, value.ptr, value.len);
	buffer_freezero(&text);
	(void)buffer_add_char(b, '"');
}

static int
name_known(const struct json *j, const struct msg_audit_call *m, uint32_t n)
{
	char name[NAME_LEN_MAX + 1];
	uint32_t i;

	for (i = 0; i < n; i++)
		if (slice_equal(m->hidden[i].name, m->hidden[n].name))
			return 1;
	memcpy(name, m->hidden[n].name.ptr, m->hidden[n].name.len);
	name[m->hidden[n].name.len] = '\0';
	return json_member(j, 0, name) != JSON_NONE;
}

const char *
arguments_write(struct buffer *b, const struct msg_audit_call *m)
{
	static struct json j;
	struct slice clear = m->params;
	size_t start = b->len;
	const char *why = NULL;
	uint32_t i;

	if (clear.len == 0)
		clear = slice_of("{}");
	if (json_parse(&j, clear.ptr, clear.len) == -1)
		return j.error;
	if (!json_is(&j, 0, JSON_OBJECT))
		return "not an object";
	write_compact(b, clear);
	if (m->hiddens > 0 && !b->bad) {
		b->len--;
		for (i = 0; i < m->hiddens && why == NULL; i++) {
			if (name_known(&j, m, i))
				why = "an argument given twice";
			if (i > 0 || j.nodes[0].count > 0)
				(void)buffer_add_char(b, ',');
			(void)json_write_string(b, m->hidden[i].name.ptr,
			    m->hidden[i].name.len);
			(void)buffer_add_char(b, ':');
			write_hash(b, m->hidden[i].value);
		}
		(void)buffer_add_char(b, '}');
	}
	if (b->bad)
		why = "too large";
	if (why != NULL) {
		b->bad = 0;
		b->len = start;
	}
	return why;
}
