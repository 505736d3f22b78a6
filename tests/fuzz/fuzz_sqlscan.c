/* SPDX-License-Identifier: ISC */
/* link: daemon/sqlscan.c */

/*
 * Any bytes as a statement, in both styles.  Where it is taken, every
 * parameter has a name and a number, and the text that goes to the database
 * has no parameter left: scanned again it is as it was.
 */

#include "../../daemon/configure.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Only the semicolon that ends the statement may be left out, or blank. */
static int
same_but_for_the_end(const char *text, const char *sql)
{
	while (*sql != '\0' && *text == *sql) {
		text++;
		sql++;
	}
	if (*sql == ';') {
		sql++;
		if (*text == ' ')
			text++;
	}
	return strcmp(text, sql) == 0;
}

static void
scan(const char *sql, enum sql_style style)
{
	struct sql_params first, second;
	const char *error = NULL;
	char *text, *again;
	uint32_t i;
	int line = 0;

	memset(&first, 0, sizeof(first));
	if ((text = sql_scan(sql, style, &first, &error, &line)) == NULL) {
		if (error == NULL || line < 1)
			abort();
		return;
	}
	for (i = 0; i < first.count; i++)
		if (first.name[i] == NULL || first.name[i][0] == '\0')
			abort();
	if (first.count == 0 && !same_but_for_the_end(text, sql))
		abort();
	memset(&second, 0, sizeof(second));
	/* Numbers that the operator wrote himself are refused, ours too. */
	again = sql_scan(text, style, &second, &error, &line);
	if (again != NULL && (second.count != 0 || strcmp(again, text) != 0))
		abort();
	if (again == NULL && first.count == 0)
		abort();
	if (again != NULL)
		sql_params_free(&second);
	free(again);
	sql_params_free(&first);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *sql;

	if (memchr(data, '\0', len) != NULL || (sql = malloc(len + 1)) == NULL)
		return 0;
	memcpy(sql, data, len);
	sql[len] = '\0';
	scan(sql, SQL_DOLLAR);
	scan(sql, SQL_QUESTION);
	free(sql);
	return 0;
}
