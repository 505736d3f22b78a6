/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl audit search: the records that somebody asks for, as a table or
 * as the lines that they are.
 */

#include <stdio.h>

#include "../common/compat.h"
#include "ctl_audit.h"

struct trail *
audit_open(const struct audit_options *o)
{
	struct trail *trail;
	char *why = NULL;

	if ((trail = trail_open(&o->place, &o->filter, BY_SEQ, 0, &why)) ==
	    NULL) {
		fprintf(stderr, "pontifexctl: ");
		show_text(stderr, slice_of(why == NULL ? "no memory" : why));
		fputc('\n', stderr);
	}
	free(why);
	return trail;
}

int
audit_ended(const struct trail *trail, enum trail_result result)
{
	if (result == TRAIL_END || result == TRAIL_TORN)
		return CTL_OK;
	fprintf(stderr, "pontifexctl: ");
	if (result != TRAIL_ERROR)
		fprintf(stderr, "%s: ", trail_position(trail));
	show_text(stderr, slice_of(trail_why(trail, result)));
	fputc('\n', stderr);
	return CTL_FAILED;
}

/* The newest count of a journal's or file's: those before are skipped. */
struct pass {
	const struct audit_options *options;
	uint64_t	 matches;
	uint64_t	 skip;
	uint64_t	 strange;	/* lines that are no records */
	int		 print;
};

static void
one_line(struct pass *p, struct slice line)
{
	struct record_view v;

	if (!show_is_record(line, &v)) {
		p->strange++;
		return;
	}
	if (!filter_matches(&p->options->filter, &v))
		return;
	if (p->matches++ < p->skip || !p->print)
		return;
	if (p->options->json) {
		show_json(line);
		putchar('\n');
	} else {
		show_row(&v);
	}
}

static int
run(struct pass *p)
{
	const struct audit_options *o = p->options;
	enum trail_result result;
	struct trail *trail;
	struct slice line;
	char *why = NULL;
	int rc;

	trail = trail_open(&o->place, &o->filter, BY_TIME, o->count, &why);
	if (trail == NULL) {
		fprintf(stderr, "pontifexctl: ");
		show_text(stderr, slice_of(why == NULL ? "no memory" : why));
		fputc('\n', stderr);
		free(why);
		return CTL_FAILED;
	}
	if (p->print && !o->json)
		show_row_head();
	while ((result = trail_next(trail, &line)) == TRAIL_OK)
		one_line(p, line);
	rc = audit_ended(trail, result);
	trail_close(trail);
	return rc;
}

int
audit_search(const struct audit_options *o)
{
	struct pass p = { .options = o };
	int rc;

	/* Postgres finds the newest by itself. */
	if (o->count > 0 && o->place.kind != TRAIL_POSTGRES) {
		if ((rc = run(&p)) != CTL_OK)
			return rc;
		p.skip = p.matches > o->count ? p.matches - o->count : 0;
	}
	p.matches = p.strange = 0;
	p.print = 1;
	rc = run(&p);
	if (p.strange == 0)
		return rc;
	fprintf(stderr, "pontifexctl: %llu lines are no records: audit verify "
	    "names the first\n", (unsigned long long)p.strange);
	return CTL_FAILED;
}
