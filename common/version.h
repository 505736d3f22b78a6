/* SPDX-License-Identifier: ISC */

/*
 * Which version of pontifexd this executable belongs to.  A child of another
 * version than its parent's ends at once.  At an upgrade children of two
 * versions are there side by side: they understand each other where what
 * defines their messages is the same text.
 */

#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

extern const char program_version[];
/* A checksum of that text; empty: unknown, and never the same as another. */
extern const char program_messages[];

#endif
