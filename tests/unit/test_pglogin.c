/* SPDX-License-Identifier: ISC */

/*
 * common/pglogin.c: what libpq says of a login that is refused, and which
 * connection strings lead to the same place.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../common/compat.h"
#include "../../common/pglogin.h"

static void
a_refused_login_is_told_by_its_state(void **state)
{
	static const struct {
		const char	*error;
		int		 refused;
	} cases[] = {
		{ "connection to server at \"127.0.0.1\", port 5432 failed: "
		    "FATAL:  28P01: password authentication failed for user "
		    "\"app\"\nLOCATION:  auth_failed, auth.c:338\n", 1 },
		/* In a language of the server's. */
		{ "Verbindung fehlgeschlagen: FATAL:  28000: Rolle \"app\" "
		    "existiert nicht\n", 1 },
		{ "FATAL:  password authentication failed for user \"app\"\n",
		    1 },
		{ "FATAL:  08P01: password authentication failed\n", 1 },
		{ "FATAL:  08P01: server login failed: wrong things\n", 0 },
		{ "FATAL:  57P03: the database system is starting up\n", 0 },
		{ "FATAL:  3D000: database \"28P01\" does not exist\n", 0 },
		{ "connection refused\n\tIs the server running?\n", 0 },
		{ "", 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (pglogin_refused(cases[i].error) != cases[i].refused)
			fail_msg("wanted %d of: %s", cases[i].refused,
			    cases[i].error);
}

static void
another_password_leads_to_the_same_place(void **state)
{
	static const char *const first = "host=a,b port=1,2 user=u "
	    "password=one sslrootcert=/x";
	static const struct {
		const char	*dsn;
		int		 same;
	} cases[] = {
		{ "host=a,b port=1,2 user=u password=two sslrootcert=/x", 1 },
		{ "password='t w o' user=v dbname=d sslrootcert=/x port=1,2 "
		    "host=a,b sslmode=verify-full", 1 },
		{ "host=a port=1,2 password=two sslrootcert=/x", 0 },
		{ "host=a,b port=1,3 password=two sslrootcert=/x", 0 },
		{ "host=a,b port=1,2 password=two sslrootcert=/y", 0 },
		{ "host=a,b port=1,2 password=two", 0 },
		{ "host=a,b hostaddr=1.2.3.4,1.2.3.5 port=1,2 "
		    "sslrootcert=/x", 0 },
		{ "host=a,b port=1,2 sslrootcert=/x passfile=/etc/shadow", 0 },
		{ "host=a,b port=1,2 sslrootcert=/x service=x", 0 },
		{ "host=a,b port=1,2 sslrootcert=/x sslkey=/k", 0 },
		{ "host=a,b port=1,2 sslrootcert=/x password='open", 0 },
		{ "", 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (pglogin_same_place(first, cases[i].dsn) != cases[i].same)
			fail_msg("wanted %d of: %s", cases[i].same,
			    cases[i].dsn);
	assert_int_equal(pglogin_same_place("host='", "host=a"), 0);
	assert_int_equal(pglogin_same_place("postgresql://u:one@a:1/d",
	    "postgresql://u:two@a:1/d"), 1);
	assert_int_equal(pglogin_same_place("postgresql://u:one@a:1/d",
	    "host=a port=1 password=two"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_login_is_told_by_its_state),
		cmocka_unit_test(another_password_leads_to_the_same_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
