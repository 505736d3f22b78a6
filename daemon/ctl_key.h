/* SPDX-License-Identifier: ISC */

/* What the files of `pontifexctl key' offer each other. */

#ifndef DAEMON_CTL_KEY_H
#define DAEMON_CTL_KEY_H

#include <sys/stat.h>

#include "../common/keyfile.h"
#include "../common/lastuse.h"
#include "ctl.h"

/* ctl_keyfile.c */
struct keyfile {
	const char	*path;
	int		 lock;
	struct buffer	 text;
	struct stat	 st;		/* of the file that is there */
	int		 exists;
};

/*
 * Reads the file; write: locks it first, until keyfile_end(), which is due
 * whatever this returns.  0, or -1 after a message.
 */
int	keyfile_begin(struct keyfile *, const char *path, int write);
void	keyfile_end(struct keyfile *);
/* The text takes the file's place; 0, or -1 after a message. */
int	keyfile_replace(struct keyfile *);
/*
 * The next line from *at; 0 at the end.  entry is filled and *good set where
 * it is a whole key.
 */
int	keyfile_next(const struct keyfile *, size_t *at, struct slice *line,
	    struct key_entry *entry, int *good);
/* Whether a line begins with this id, good or not. */
int	keyfile_has_id(const struct keyfile *, const char *id);
/* The one key with this id; -1 after a message. */
int	keyfile_find(struct keyfile *, const char *id, struct key_entry *);
/* Puts the entry in the place of the one with its id; how many there were. */
int	keyfile_change(struct keyfile *, const struct key_entry *);
void	keyfile_append(struct keyfile *, const struct key_entry *);

/* ctl_key.c */
/* A message; returns CTL_FAILED. */
int	key_complain(const char *fmt, const char *what);
int	key_text_ok(const char *text, size_t max, const char *what);
/*
 * Gives the entry a fresh id where it has none, and a secret; text takes the
 * key.  0, or -1 after a message.
 */
int	key_draw(const struct keyfile *, struct key_entry *, const char *env,
	    char text[KEY_TEXT_MAX]);
/* Whether env is a word that may stand there. */
int	key_env_ok(const char *env);

/* ctl_rotate.c, ctl_keyshow.c, ctl_import.c: argv[0] is the word behind key. */
int	key_rotate(int argc, char **argv);
int	key_list(int argc, char **argv);
int	key_import(int argc, char **argv);

/* ctl_keyshow.c */
/* -F and -j; returns how many words are behind them, -1: wrong usage. */
int	key_options(int argc, char **argv, const char **path, int *json);
/* The members of a key's JSON object, without braces. */
void	key_json(struct buffer *, const struct key_entry *);
/* Prints {…} and a newline; b holds what stands between.  An exit code. */
int	key_json_print(struct buffer *b);

#endif
