/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl audit: the commands and their options.  All of them read, by
 * the path of a journal, from Postgres or from an export, with or without a
 * daemon; none of them writes anywhere but to standard output.
 */

#include <stdio.h>

#include "../common/compat.h"
#include "ctl_audit.h"

/* Records without a checkpoint at the end that are no cause for alarm: five
 * times what a configuration says by default. */
#define STRETCH_RECORDS	5000
#define STRETCH_SECONDS	300

static const struct command {
	const char	*name;
	const char	*options;
	int		 operand;
	int		(*run)(const struct audit_options *);
	const char	*usage;
} commands[] = {
	{ "tail", "+fJj:n:o:t:O:r:N:", 0, audit_tail,
	    "[-fJ] [-n count] [-j journal] [-o owner] [-t tool] [-O outcome]\n"
	    "            [-r request-id] [-N node]" },
	{ "search", "+Jj:p:f:l:o:t:s:u:O:r:N:q:", 0, audit_search,
	    "[-J] [-j journal | -p postgres | -f file] [-l limit] [-o owner]\n"
	    "            [-t tool] [-s since] [-u until] [-O outcome] "
	    "[-r request-id] [-N node]\n"
	    "            [-q first-last]" },
	{ "report", "+Jj:p:f:o:t:s:u:N:", 0, audit_report,
	    "[-J] [-j journal | -p postgres | -f file] [-s since] [-u until]\n"
	    "            [-o owner] [-t tool] [-N node]" },
	{ "export", "+j:p:f:s:u:N:q:", 0, audit_export,
	    "[-j journal | -p postgres | -f file] [-s since] [-u until]\n"
	    "            [-q first-last] [-N node]" },
	{ "verify", "+Jj:p:f:N:k:c:a:m:", 0, audit_verify,
	    "[-J] [-j journal | -p postgres | -f file] [-N node] [-k keys]\n"
	    "            [-c checkpoints] [-a checkpoints] "
	    "[-m records[,seconds]]" },
	{ "hash", "+Jj:p:f:K:s:u:N:", 1, audit_hash,
	    "[-J] [-K key-file] [-j journal | -p postgres | -f file] [-s since]\n"
	    "            [-u until] [-N node] value | -" },
	{ "schema", "+p:", 0, audit_schema, "[-p postgres]" },
};
#define NCOMMANDS	(sizeof(commands) / sizeof(commands[0]))

static int
usage(const struct command *only)
{
	const char *label = "usage:";
	size_t i;

	for (i = 0; i < NCOMMANDS; i++) {
		if (only != NULL && only != &commands[i])
			continue;
		fprintf(stderr, "%-6s pontifexctl audit %s %s\n", label,
		    commands[i].name, commands[i].usage);
		label = "";
	}
	return CTL_USAGE;
}

static int
bad_option(int ch, const char *why)
{
	fprintf(stderr, "pontifexctl: -%c: %s\n", ch, why);
	return -1;
}

static int
set_place(struct audit_options *o, int ch, enum trail_kind kind,
    const char *where)
{
	if (o->place_given)
		return bad_option(ch, "one place to read from, please");
	o->place.kind = kind;
	o->place.where = where;
	o->place_given = 1;
	return 0;
}

static int
set_stretch(struct audit_options *o, const char *text)
{
	char records[24];
	const char *comma = strchr(text, ','), *error = NULL;

	if (comma != NULL && (size_t)(comma - text) < sizeof(records)) {
		(void)strlcpy(records, text, (size_t)(comma - text) + 1);
		text = records;
		o->stretch_seconds = (uint64_t)strtonum(comma + 1, 1,
		    INT32_MAX, &error);
	}
	if (error == NULL)
		o->stretch = (uint64_t)strtonum(text, 1, INT64_MAX, &error);
	return error == NULL ? 0 : bad_option('m', "must be RECORDS[,SECONDS], "
	    "each 1 or more");
}

static int
set_option(struct audit_options *o, int ch, const char *value)
{
	const char *error = NULL;

	switch (ch) {
	case 'j':
		o->journal = value;
		return set_place(o, ch, TRAIL_JOURNAL, value);
	case 'p':
		return set_place(o, ch, TRAIL_POSTGRES, value);
	case 'f':
		return set_place(o, ch, TRAIL_FILE, value);
	case 'n':
	case 'l':
		o->count = (uint64_t)strtonum(value, 1, COUNT_MAX, &error);
		return error == NULL ? 0 : bad_option(ch, "must be a number "
		    "of records, 1 or more");
	case 'J':
		o->json = 1;
		return 0;
	case 'k':
		o->keys = value;
		return 0;
	case 'c':
		o->saved = value;
		return 0;
	case 'a':
		o->after = value;
		return 0;
	case 'K':
		o->redact_key = value;
		return 0;
	case 'm':
		return set_stretch(o, value);
	default:
		return filter_option(&o->filter, ch, value);
	}
}

/* tail's -f has no value. */
static int
read_options(const struct command *c, struct audit_options *o, int argc,
    char **argv)
{
	int ch;

	getopt_again();
	while ((ch = getopt(argc, argv, c->options)) != -1) {
		if (ch == '?')
			return -1;
		if (ch == 'f' && c->run == audit_tail)
			o->follow = 1;
		else if (set_option(o, ch, optarg) == -1)
			return -1;
	}
	if (argc - optind != c->operand)
		return -1;
	if (c->operand)
		o->value = argv[optind];
	return 0;
}

int
ctl_audit(int argc, char **argv)
{
	struct audit_options o = {
		.place = { TRAIL_JOURNAL, JOURNAL_DEFAULT },
		.journal = JOURNAL_DEFAULT,
		.stretch = STRETCH_RECORDS, .stretch_seconds = STRETCH_SECONDS,
	};
	const struct command *c;
	size_t i;
	int rc;

	for (i = 0; argc > 1 && i < NCOMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			break;
	if (argc >= 2 && i == NCOMMANDS)
		fprintf(stderr, "pontifexctl: audit %s: there is no such "
		    "command\n", argv[1]);
	if (argc < 2 || i == NCOMMANDS)
		return usage(NULL);
	c = &commands[i];
	if (read_options(c, &o, argc - 1, argv + 1) == -1)
		return usage(c);
	rc = c->run(&o);
	/* A follower ends when nobody reads on. */
	if (fflush(stdout) == EOF && !o.follow)
		return CTL_FAILED;
	return rc;
}
