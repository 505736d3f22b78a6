/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl audit export: evidence, to be verified elsewhere.  The records
 * of a period or range come with those before them, back to the last one that
 * a checkpoint attests, and with those behind them, up to the checkpoint that
 * covers them all: so the first record follows one that is signed for, and
 * the last is signed for itself.  Two readings: one finds the range of each
 * node, the other prints it.
 */

#include <inttypes.h>
#include <stdio.h>

#include "../common/checkpoint.h"
#include "../common/compat.h"
#include "ctl_audit.h"

#define NODES_MAX	65536

struct range {
	struct slice	 node;		/* JSON, as it stands; owned */
	uint64_t	 first, asked;	/* that were asked for; 0: none */
	uint64_t	 last;		/* of them; a checkpoint vouches for
					 * itself and for those before it */
	uint64_t	 anchor;	/* attested, before the first; 0: none */
	uint64_t	 cover;		/* record of the checkpoint that covers
					 * the last; 0: none */
	uint64_t	 printed_first, printed_last;
};

struct export {
	const struct audit_options *options;
	struct filter	 filter;	/* of the first reading */
	struct range	*range;
	size_t		 ranges;
	uint64_t	 strange;
};

static struct range *
range_of(struct export *e, struct slice node)
{
	struct range *grown, *r;
	size_t i;

	for (i = e->ranges; i > 0; i--)
		if (slice_equal(e->range[i - 1].node, node))
			return &e->range[i - 1];
	if (e->ranges == NODES_MAX || (grown = reallocarray(e->range,
	    e->ranges + 1, sizeof(*grown))) == NULL)
		return NULL;
	e->range = grown;
	r = &e->range[e->ranges];
	memset(r, 0, sizeof(*r));
	if ((r->node.ptr = slice_dup(node)) == NULL)
		return NULL;
	r->node.len = node.len;
	e->ranges++;
	return r;
}

/* What a checkpoint says of the range so far. */
static void
add_checkpoint(struct range *r, const struct record_view *v, uint64_t seq)
{
	struct slice text = v->field[FIELD_DETAIL];
	struct checkpoint cp;

	if (checkpoint_read(text.ptr, text.len, &cp) == -1)
		return;
	if ((r->first == 0 || cp.seq < r->first) && cp.seq > r->anchor)
		r->anchor = cp.seq;
	if (r->asked != 0 && cp.seq >= r->last && r->cover <= r->last)
		r->cover = seq;
}

static int
find(struct export *e, struct slice line)
{
	struct record_view v;
	struct range *r;
	uint64_t seq;
	int checkpoint;

	if (!show_is_record(line, &v) ||
	    view_u64(v.field[FIELD_SEQ], &seq) == -1) {
		e->strange++;
		return 0;
	}
	if (!filter_matches(&e->filter, &v))
		return 0;
	if ((r = range_of(e, v.field[FIELD_NODE])) == NULL)
		return -1;
	checkpoint = filter_string_is(v.field[FIELD_EVENT], "checkpoint");
	if (filter_matches(&e->options->filter, &v)) {
		if (r->first == 0)
			r->first = seq;
		r->asked = seq > r->asked ? seq : r->asked;
		r->last = r->asked - (uint64_t)checkpoint;
	}
	if (checkpoint)
		add_checkpoint(r, &v, seq);
	return 0;
}

static uint64_t
end_of(const struct range *r)
{
	return r->cover > r->asked ? r->cover : r->asked;
}

/* Prints the line where it is in its node's range. */
static int
print(struct export *e, struct slice line)
{
	struct record_view v;
	struct range *r;
	uint64_t seq;

	if (!show_is_record(line, &v) ||
	    view_u64(v.field[FIELD_SEQ], &seq) == -1 ||
	    (r = range_of(e, v.field[FIELD_NODE])) == NULL ||
	    r->first == 0 || seq <= r->anchor || seq > end_of(r))
		return 0;
	if (r->printed_first == 0)
		r->printed_first = seq;
	r->printed_last = seq;
	show_json(line);
	return putchar('\n') == EOF ? -1 : 0;
}

static int
read_with(struct export *e, const struct filter *f,
    int (*each)(struct export *, struct slice))
{
	struct audit_options o = *e->options;
	enum trail_result result;
	struct trail *trail;
	struct slice line;
	int rc = CTL_OK;

	o.filter = *f;
	if ((trail = audit_open(&o)) == NULL)
		return CTL_FAILED;
	while ((result = trail_next(trail, &line)) == TRAIL_OK)
		if (each(e, line) == -1) {
			rc = CTL_FAILED;
			break;
		}
	if (rc == CTL_OK)
		rc = audit_ended(trail, result);
	trail_close(trail);
	return rc;
}

/* Standard output holds lines and nothing else. */
static int
say_ranges(const struct export *e)
{
	const struct range *r;
	size_t i, n = 0;

	for (i = 0; i < e->ranges; i++) {
		r = &e->range[i];
		if (r->printed_first == 0)
			continue;
		n++;
		fprintf(stderr, "pontifexctl: node ");
		show_text(stderr, r->node);
		fprintf(stderr, ": records %" PRIu64 " to %" PRIu64,
		    r->printed_first, r->printed_last);
		if (r->cover > r->last)
			fprintf(stderr, ", covered by the checkpoint in record "
			    "%" PRIu64, r->cover);
		else
			fprintf(stderr, ", which no checkpoint covers yet");
		if (r->printed_first > 1 && r->anchor == 0)
			fprintf(stderr, "; none attests the record before: "
			    "audit verify needs -a");
		fputc('\n', stderr);
	}
	if (n == 0)
		fprintf(stderr, "pontifexctl: there is no such record\n");
	return n == 0 ? CTL_FAILED : CTL_OK;
}

int
audit_export(const struct audit_options *o)
{
	struct export e = { .options = o, .filter = o->filter };
	struct filter all = { .node = o->filter.node };
	size_t i;
	int rc;

	/* Checkpoints of any time tell where to begin and to end. */
	e.filter.checkpoints = 1;
	rc = read_with(&e, &e.filter, find);
	if (rc == CTL_OK)
		rc = read_with(&e, &all, print);
	if (rc == CTL_OK)
		rc = say_ranges(&e);
	if (e.strange > 0) {
		fprintf(stderr, "pontifexctl: %" PRIu64 " lines are no "
		    "records: audit verify names the first\n", e.strange);
		rc = CTL_FAILED;
	}
	for (i = 0; i < e.ranges; i++)
		free((char *)(uintptr_t)e.range[i].node.ptr);
	free(e.range);
	return rc;
}
