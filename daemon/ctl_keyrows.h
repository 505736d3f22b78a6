/* SPDX-License-Identifier: ISC */

/*
 * Rows of the reference system's table api_keys, as its databases export
 * them: CSV with a header (psql --csv, sqlite3 -csv -header), a JSON array
 * (sqlite3 -json, json_agg) or JSON objects one behind the other (row_to_json).
 */

#ifndef DAEMON_CTL_KEYROWS_H
#define DAEMON_CTL_KEYROWS_H

#include <stddef.h>

#include "../common/json.h"

#define ROWS_SIZE_MAX	(64U << 20)	/* bytes of an export */
#define ROW_TEXT_MAX	16384		/* bytes of one value, with its NUL */
#define ROW_COLUMNS_MAX	64		/* of a CSV */

enum row_field {
	ROW_KEY_ID, ROW_KEY_HASH, ROW_OWNER_ID, ROW_OWNER_LABEL, ROW_SCOPES,
	ROW_RATE, ROW_EXPIRES, ROW_ACTIVE, ROW_FIELDS
};

struct row {
	size_t	line;			/* in the file, from 1 */
	int	has[ROW_FIELDS];	/* 0: it is null */
	char	text[ROW_FIELDS][ROW_TEXT_MAX];
};

enum row_result {
	ROW_END,
	ROW_OK,
	ROW_BAD,	/* this row; error says why, the next can be read */
	ROW_BROKEN	/* nothing behind it can be read */
};

struct keyrows {
	struct slice	text;
	size_t		at;
	size_t		line;
	int		csv;
	int		array;		/* JSON: in [ ] */
	int		some;		/* rows were read */
	size_t		columns;
	int		column[ROW_COLUMNS_MAX];	/* row_field, or -1 */
	struct json	json;
	const char	*error;
};

/* Returns 0, or -1 with error and line: it is none of these. */
int	keyrows_open(struct keyrows *, struct slice text);
enum row_result keyrows_next(struct keyrows *, struct row *);
void	keyrows_close(struct keyrows *);

#endif
