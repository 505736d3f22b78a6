/* SPDX-License-Identifier: ISC */
/* link: daemon/ctl_keyrows.c */

/*
 * daemon/ctl_keyrows.c: the exports of psql and sqlite3 are read as they are,
 * and what is cut, bent or lacks a column is never taken for a whole one.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/compat.h"
#include "../../daemon/ctl_keyrows.h"

#define NROWS(a) (sizeof(a) / sizeof((a)[0]))
#define HEADER	"key_id,key_hash,owner_id,scopes,rate_limit_rpm,expires_at," \
	"is_active"
#define OBJECT	"{\"key_id\":\"k\",\"key_hash\":\"00\",\"owner_id\":\"o\"," \
	"\"scopes\":[\"a:b:c\"],\"rate_limit_rpm\":60,\"expires_at\":null," \
	"\"is_active\":true}"

/*
 * What is read, as a line: for each row its line and values, `-' for null;
 * BAD for a bad one, BROKEN for the end of all.
 */
static const char *
read_as(const char *text, size_t len)
{
	static char out[8192];
	static struct row row;
	enum row_result result;
	struct keyrows r;
	char *copy = malloc(len == 0 ? 1 : len);
	size_t n = 0, i, rows = 0;

	assert_non_null(copy);
	memcpy(copy, text, len);
	out[0] = '\0';
	memset(&row, 0, sizeof(row));
	if (keyrows_open(&r, (struct slice){ copy, len }) == -1) {
		assert_non_null(r.error);
		(void)snprintf(out, sizeof(out), "NONE");
		goto done;
	}
	while ((result = keyrows_next(&r, &row)) != ROW_END) {
		assert_true(rows++ <= len);
		if (result != ROW_OK) {
			assert_non_null(r.error);
			n += (size_t)snprintf(out + n, sizeof(out) - n,
			    "%zu:%s ", row.line,
			    result == ROW_BAD ? "BAD" : "BROKEN");
			if (result == ROW_BROKEN)
				break;
			continue;
		}
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%zu:",
		    row.line);
		for (i = 0; i < ROW_FIELDS; i++) {
			assert_non_null(memchr(row.text[i], '\0',
			    ROW_TEXT_MAX));
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%s|",
			    row.has[i] ? row.text[i] : "-");
		}
		n += (size_t)snprintf(out + n, sizeof(out) - n, " ");
	}
done:
	keyrows_close(&r);
	free(copy);
	return out;
}

static void
exports_are_read_as_they_are(void **state)
{
	static const struct {
		const char	*text;
		const char	*wanted;
	} rows[] = {
		{ HEADER "\nk,00,o,{a:b:c},60,,t\n",
		    "2:k|00|o|-|{a:b:c}|60|-|t| " },
		/* No newline at the end, carriage returns, a blank line. */
		{ HEADER "\r\nk,00,o,{a:b:c},60,,t\r\n\r\nl,01,p,x,1,2,f",
		    "2:k|00|o|-|{a:b:c}|60|-|t| 4:l|01|p|-|x|1|2|f| " },
		/* A mark of byte order; other columns, in another order. */
		{ "\357\273\277is_active,x,scopes,key_hash,owner_label,key_id,"
		    "expires_at,rate_limit_rpm,owner_id\n1,y,s,h,l,k,e,r,o\n",
		    "2:k|h|o|l|s|r|e|1| " },
		/* Quotes, commas and lines within quotes. */
		{ HEADER "\n\"k\",00,\"o, \"\"x\"\"\",\"[\"\"a:b:c\"\"]\",60,"
		    "\"\",t\n\"a\nb\",,,,,,\nz,,,,,,\n",
		    "2:k|00|o, \"x\"|-|[\"a:b:c\"]|60|-|t| "
		    "3:a\nb|-|-|-|-|-|-|-| 5:z|-|-|-|-|-|-|-| " },
		{ HEADER "\n", "" },
		{ "[" OBJECT "]\n",
		    "1:k|00|o|-|[\"a:b:c\"]|60|-|true| " },
		{ "[" OBJECT ",\n" OBJECT "\n]",
		    "1:k|00|o|-|[\"a:b:c\"]|60|-|true| "
		    "2:k|00|o|-|[\"a:b:c\"]|60|-|true| " },
		{ OBJECT "\n" OBJECT,
		    "1:k|00|o|-|[\"a:b:c\"]|60|-|true| "
		    "2:k|00|o|-|[\"a:b:c\"]|60|-|true| " },
		{ "[{\"key_id\":\"\\u0041\\\"}\",\"key_hash\":\"]\","
		    "\"owner_id\":\"{\",\"scopes\":\"[\\\"a:b:c\\\"]\","
		    "\"rate_limit_rpm\":1,\"expires_at\":\"\",\"is_active\":0,"
		    "\"other\":{\"a\":[1,{}]}}]",
		    "1:A\"}|]|{|-|[\"a:b:c\"]|1|-|0| " },
		{ "[]", "" },
	};
	const char *got;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		got = read_as(rows[i].text, strlen(rows[i].text));
		if (strcmp(got, rows[i].wanted) != 0)
			fail_msg("row %zu: wanted %s, got %s", i,
			    rows[i].wanted, got);
	}
}

static void
what_is_wrong_is_never_a_row(void **state)
{
	static const struct {
		const char	*text;
		const char	*wanted;
	} rows[] = {
		{ "", "NONE" },
		{ "  \n", "NONE" },
		{ "nothing at all", "NONE" },
		/* A column lacks, stands twice, or the header does not end. */
		{ "key_id,key_hash,owner_id,scopes,rate_limit_rpm,expires_at\n",
		    "NONE" },
		{ HEADER ",key_hash\n", "NONE" },
		{ "\"key_id", "NONE" },
		/* Too few values, too many, a stray quote. */
		{ HEADER "\nk,00,o,s,60,\n" "l,00,o,s,60,,t\n",
		    "2:BAD 3:l|00|o|-|s|60|-|t| " },
		{ HEADER "\nk,00,o,s,60,,t,more\n", "2:BAD " },
		{ HEADER "\nk,0\"0,o,s,60,,t\n", "2:BAD " },
		{ HEADER "\n\"k\"x,00,o,s,60,,t\n", "2:BROKEN " },
		{ HEADER "\nk,00,o,\"s,60,,t\n", "2:BROKEN " },
		/* An array that is cut, or goes on behind its end. */
		{ "[", "1:BROKEN " },
		{ "[" OBJECT, "1:k|00|o|-|[\"a:b:c\"]|60|-|true| 1:BROKEN " },
		{ "[" OBJECT "]x",
		    "1:k|00|o|-|[\"a:b:c\"]|60|-|true| 1:BROKEN " },
		{ "[" OBJECT OBJECT "]",
		    "1:k|00|o|-|[\"a:b:c\"]|60|-|true| 1:BROKEN " },
		{ "[" OBJECT ",]",
		    "1:k|00|o|-|[\"a:b:c\"]|60|-|true| 1:BROKEN " },
		{ "[," OBJECT "]", "1:BROKEN " },
		{ "{\"key_id\":\"k\"", "1:BROKEN " },
		{ "{\"key_id\":\"k\\", "1:BROKEN " },
		{ "[7]", "1:BROKEN " },
		/* Objects that are none, or lack or repeat a name. */
		{ "{\"key_id\":\"k\"}", "1:BAD " },
		{ "{\"key_id\" \"k\"}", "1:BAD " },
		{ "{\"key_id\":\"k\",\"key_id\":\"l\",\"key_hash\":1,"
		    "\"owner_id\":1,\"scopes\":1,\"rate_limit_rpm\":1,"
		    "\"expires_at\":1,\"is_active\":1}", "1:BAD " },
		{ "{}", "1:BAD " },
		{ "{]", "1:BAD " },
	};
	const char *got;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		got = read_as(rows[i].text, strlen(rows[i].text));
		if (strcmp(got, rows[i].wanted) != 0)
			fail_msg("%s: wanted %s, got %s", rows[i].text,
			    rows[i].wanted, got);
	}
	/* A NUL hides nothing that stands behind it. */
	got = read_as(HEADER "\nk\0x,00,o,s,60,,t\n",
	    sizeof(HEADER "\nk\0x,00,o,s,60,,t\n") - 1);
	assert_string_equal(got, "2:BAD ");
}

/* Under the sanitizers: every cut and every other byte, of both forms. */
static void
an_export_cut_or_bent_anywhere_does_no_harm(void **state)
{
	static const char *const whole[] = {
		HEADER "\n\"k\",00,\"o, \"\"x\"\"\",\"[]\",60,\"\",t\nk,,,,,,\n",
		"[" OBJECT ",\n" OBJECT "\n]",
	};
	static const char bytes[] = ",\"\\\n{}[]x";
	char text[1024];
	size_t len, i, j, k;

	(void)state;
	for (i = 0; i < NROWS(whole); i++) {
		len = strlen(whole[i]);
		for (j = 0; j <= len; j++)
			(void)read_as(whole[i], j);
		for (j = 0; j < len; j++)
			for (k = 0; k < sizeof(bytes); k++) {
				memcpy(text, whole[i], len);
				text[j] = bytes[k];
				(void)read_as(text, len);
			}
	}
}

static void
a_value_is_bounded(void **state)
{
	static char text[4 * ROW_TEXT_MAX];
	size_t n, at, len;

	(void)state;
	for (n = ROW_TEXT_MAX - 1; n <= ROW_TEXT_MAX; n++) {
		len = (size_t)snprintf(text, sizeof(text), "%s\n", HEADER);
		memset(text + len, 'x', n);
		at = len + n;
		memcpy(text + at, ",00,o,s,60,,t\n", 14);
		if ((strncmp(read_as(text, at + 14), "2:BAD ", 6) == 0) !=
		    (n == ROW_TEXT_MAX))
			fail_msg("%zu bytes: wanted it %s", n,
			    n == ROW_TEXT_MAX ? "refused" : "taken");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exports_are_read_as_they_are),
		cmocka_unit_test(what_is_wrong_is_never_a_row),
		cmocka_unit_test(an_export_cut_or_bent_anywhere_does_no_harm),
		cmocka_unit_test(a_value_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
