/* SPDX-License-Identifier: ISC */

/* Whether a login was refused, and where a DSN leads; see pglogin.h. */

#include <stddef.h>
#include <string.h>

#include <libpq-fe.h>

#include "compat.h"
#include "pglogin.h"

int
pglogin_refused(const char *error)
{
	/* PgBouncer has one state for all that it does not like. */
	static const char *const words[] = { " 28P01: ", " 28000: ",
	    " 08P01: password authentication failed",
	    "FATAL:  password authentication failed" };
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(error, words[i]) != NULL)
			return 1;
	return 0;
}

static const char *
value_of(const PQconninfoOption *o, const char *keyword)
{
	for (; o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val == NULL ? "" : o->val;
	return "";
}

/* It has the password. */
static void
forget(PQconninfoOption *options)
{
	PQconninfoOption *o;

	for (o = options; o != NULL && o->keyword != NULL; o++)
		if (o->val != NULL)
			explicit_bzero(o->val, strlen(o->val));
	PQconninfoFree(options);
}

int
pglogin_same_place(const char *dsn, const char *other)
{
	static const char *const places[] = { "host", "hostaddr", "port",
	    "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir",
	    "passfile", "service" };
	PQconninfoOption *a = PQconninfoParse(dsn, NULL);
	PQconninfoOption *b = PQconninfoParse(other, NULL);
	int same = a != NULL && b != NULL;
	size_t i;

	for (i = 0; same && i < sizeof(places) / sizeof(places[0]); i++)
		same = strcmp(value_of(a, places[i]),
		    value_of(b, places[i])) == 0;
	forget(a);
	forget(b);
	return same;
}
