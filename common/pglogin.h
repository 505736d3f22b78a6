/* SPDX-License-Identifier: ISC */

/*
 * What all who hold a Postgres DSN must know of it when its password may have
 * changed: whether a login was refused, and whether another DSN leads to the
 * same place.  The sandbox knows the place of the start and no other.
 */

#ifndef COMMON_PGLOGIN_H
#define COMMON_PGLOGIN_H

/*
 * Whether the server refuses the credentials.  error is libpq's message with
 * PQERRORS_VERBOSE: it has the state in no other place.
 */
int	pglogin_refused(const char *error);
/* Whether both name the same hosts, ports and files; 0 if one is no DSN. */
int	pglogin_same_place(const char *dsn, const char *other);

#endif
