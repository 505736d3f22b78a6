/* SPDX-License-Identifier: ISC */

/* A record as a line of JSON, or as a message of syslog (RFC 5424, 6587). */

#include <stdio.h>
#include <unistd.h>

#include "../common/compat.h"
#include "sink.h"

#define PRI_RECORD	"<86>"	/* authpriv, informational */
#define PRI_REFUSAL	"<85>"	/* authpriv, notice */
#define HOST_MAX	255	/* RFC 5424 6 */

/* PRINTUSASCII; what is something else becomes `?'. */
static void
add_host(struct buffer *b, const char *node)
{
	size_t i;

	for (i = 0; i < HOST_MAX && node[i] != '\0'; i++)
		(void)buffer_add_char(b, node[i] > 0x20 && node[i] < 0x7f ?
		    node[i] : '?');
	if (i == 0)
		(void)buffer_add_char(b, '-');
}

static int
add_message(struct buffer *b, struct slice line, const char *node)
{
	static const struct slice none = { "-", 1 };
	struct slice when = none;
	struct record_view v;

	if (record_view(line.ptr, line.len, &v) == -1)
		return -1;
	if (view_plain(v.field[FIELD_TIMESTAMP], &when) == -1)
		when = none;
	(void)buffer_add_cstr(b, view_string_is(v.field[FIELD_KIND],
	    "refusal") ? PRI_REFUSAL : PRI_RECORD);
	(void)buffer_add_cstr(b, "1 ");
	(void)buffer_add_slice(b, when);
	(void)buffer_add_char(b, ' ');
	add_host(b, node);
	(void)buffer_printf(b, " pontifexd %d audit [meta sequenceId=\"%.*s\"] ",
	    (int)getpid(), (int)v.field[FIELD_SEQ].len, v.field[FIELD_SEQ].ptr);
	return buffer_add_slice(b, line);
}

int
sink_format(struct buffer *b, enum sink_form form, struct slice line,
    const char *node)
{
	static struct buffer message = { .max = RECORD_MAX + 4096 };

	if (form == FORM_LINES) {
		(void)buffer_add_slice(b, line);
		return buffer_add_char(b, '\n');
	}
	buffer_clear(&message);
	if (add_message(&message, line, node) == -1)
		return -1;
	if (form == FORM_SYSLOG_COUNTED)
		(void)buffer_printf(b, "%zu ", message.len);
	return buffer_add(b, message.data, message.len);
}
