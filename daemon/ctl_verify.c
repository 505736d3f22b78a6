/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl audit verify: believes nothing that it reads, and names the
 * first record that is not as auditd wrote it.  A journal is one chain; a
 * table and an export may hold the chains of several nodes, one after the
 * other, each of which is judged by itself.
 */

#include <stdio.h>

#include "../common/compat.h"
#include "../common/crypt.h"
#include "../common/json.h"
#include "ctl_audit.h"
#include "ctl_chain.h"

#define NODES_MAX	65536

struct verify {
	const struct audit_options *options;
	struct trail	*trail;
	struct proof	 proof;
	struct chain_rules rules;
	struct chain	*chain;
	size_t		 chains;
	char		*failure;	/* of the trail as such */
};

static struct chain *
current(struct verify *v)
{
	return v->chains == 0 ? NULL : &v->chain[v->chains - 1];
}

static int
fail(struct verify *v, const char *why)
{
	if (v->failure == NULL)
		v->failure = strdup(why);
	return -1;
}

/* ---- nodes ------------------------------------------------------------- */

/* The node's name as text, in memory that stays until the next call. */
static struct slice
node_of(const struct record_view *view)
{
	static struct buffer text = { .max = RECORD_MAX };
	static struct json j;
	struct slice value = view->field[FIELD_NODE], plain = { "", 0 };

	if (view_plain(value, &plain) == 0)
		return plain;
	buffer_clear(&text);
	if (value.ptr[0] != '"' ||
	    json_parse(&j, value.ptr, value.len) == -1 ||
	    json_string(&j, 0, &text) == -1)
		return plain;
	plain.ptr = (const char *)text.data;
	plain.len = text.len;
	return plain;
}

static struct chain *
new_chain(struct verify *v, struct slice node)
{
	struct chain *grown;

	if (v->chains > 0)
		chain_close(current(v));
	if (v->chains == NODES_MAX || (grown = reallocarray(v->chain,
	    v->chains + 1, sizeof(*grown))) == NULL)
		return NULL;
	v->chain = grown;
	if (chain_init(&v->chain[v->chains], &v->rules, node) == -1)
		return NULL;
	return &v->chain[v->chains++];
}

/* The chain that a record belongs to; NULL: none, and it is said why. */
static struct chain *
chain_of(struct verify *v, const struct record_view *view, uint64_t seq,
    const uint8_t prev[DIGEST_LEN])
{
	struct chain *c = current(v);
	struct slice node = node_of(view);
	size_t i;

	if (c != NULL && slice_is(node, c->node))
		return c;
	/* A node that got another name goes on where it was. */
	if (c != NULL && c->failure == NULL && seq == c->seq + 1 &&
	    digest_equal(prev, c->hash)) {
		(void)chain_rename(c, &v->rules, node);
		return c;
	}
	if (c != NULL && v->options->place.kind == TRAIL_JOURNAL) {
		chain_fail(c, trail_position(v->trail), seq, "a record of "
		    "another node");
		return c;
	}
	for (i = 0; v->chain != NULL && i < v->chains; i++)
		if (slice_is(node, v->chain[i].node)) {
			chain_fail(&v->chain[i], trail_position(v->trail), seq,
			    "out of order: not with the node's other records");
			return NULL;
		}
	if ((c = new_chain(v, node)) == NULL)
		(void)fail(v, "out of memory");
	return c;
}

/* ---- lines ------------------------------------------------------------- */

/* A line that is no record is the fault of the chain that it stands in. */
static int
bad_line(struct verify *v, struct slice line, const char *why)
{
	struct chain *c = current(v);
	uint64_t seq;

	/* What a cut or added record calls itself helps to find it. */
	if (line.ptr == NULL ||
	    record_seq(line.ptr, line.len, &seq) == -1)
		seq = c == NULL ? 1 : c->seq + 1;
	if (c == NULL && (c = new_chain(v, slice_of("?"))) == NULL)
		return fail(v, "out of memory");
	return chain_fail(c, trail_position(v->trail), seq, "%s", why);
}

/* What the name of a segment says of the record that it begins with. */
static int
check_segment(struct verify *v, struct chain *c, uint64_t seq)
{
	uint64_t promised = trail_promised(v->trail);
	const char *position = trail_position(v->trail);

	if (promised != 0 && c->records > 0 && promised > c->seq + 1)
		return chain_fail(c, position, promised,
		    "a segment before it is missing");
	/* Of a later segment the chain itself tells. */
	if (promised == 0 || promised == seq || c->records > 0)
		return 0;
	return chain_fail(c, position, seq, promised < seq ?
	    "earlier records are missing" :
	    "the segment is named for another record");
}

static int
one_line(struct verify *v, struct slice line)
{
	uint8_t prev[DIGEST_LEN], hash[DIGEST_LEN];
	struct record_view view;
	struct chain *c;
	uint64_t seq;

	if (!show_is_record(line, &view) ||
	    view_u64(view.field[FIELD_SEQ], &seq) == -1)
		return bad_line(v, line, "not a record");
	if (v->options->place.kind == TRAIL_FILE &&
	    !filter_matches(&v->options->filter, &view))
		return 0;
	if (record_hashes(line.ptr, line.len, prev, hash) == -1)
		return bad_line(v, line, "the record was changed: its hash "
		    "does not fit its text");
	if ((c = chain_of(v, &view, seq, prev)) == NULL ||
	    c->failure != NULL || check_segment(v, c, seq) == -1)
		return -1;
	if (v->options->filter.node != NULL &&
	    strcmp(c->node, v->options->filter.node) != 0)
		return chain_fail(c, trail_position(v->trail), seq,
		    "a record of another node");
	return chain_add(c, &v->rules, &view, prev, hash,
	    trail_position(v->trail));
}

static void
read_trail(struct verify *v)
{
	static const struct slice nothing = { NULL, 0 };
	enum trail_result result;
	struct slice line;
	int journal = v->options->place.kind == TRAIL_JOURNAL;

	while ((result = trail_next(v->trail, &line)) == TRAIL_OK)
		if (one_line(v, line) == -1 && (journal || v->failure != NULL))
			return;
	if (result == TRAIL_ERROR && !journal)
		(void)fail(v, trail_why(v->trail, result));
	else if (result != TRAIL_END)
		(void)bad_line(v, nothing, trail_why(v->trail, result));
}

/* ---- the end ----------------------------------------------------------- */

/* A node whose trail begins where that of another one ends was renamed. */
static void
find_renamed(struct verify *v)
{
	struct chain *a, *b;
	size_t i, k;

	for (i = 0; i < v->chains; i++) {
		a = &v->chain[i];
		for (k = 0; a->first > 1 && k < v->chains; k++) {
			b = &v->chain[k];
			if (b->records == 0 || b->seq + 1 != a->first ||
			    !digest_equal(b->hash, a->first_prev))
				continue;
			a->continues = 1;
			b->continued = 1;
		}
	}
}

/* Saved checkpoints of nodes that have no record at all. */
static void
check_absent(struct verify *v)
{
	const struct proof *p = &v->proof;
	const struct saved *s;
	char *why;
	size_t i;

	for (i = 0; i < v->chains; i++)
		if (v->chain[i].failure != NULL)
			return;
	for (i = 0; i < p->saves && v->failure == NULL; i++) {
		s = &p->saved[i];
		if (s->seen || (v->options->filter.node != NULL &&
		    strcmp(v->options->filter.node, s->node) != 0))
			continue;
		if (asprintf(&why, "node %s seq 1: there is no record of it, "
		    "and the checkpoint in %s line %llu attests record %llu "
		    "(-N names the one node to look at)", s->node, s->file,
		    (unsigned long long)s->line,
		    (unsigned long long)s->seq) == -1)
			return;
		(void)fail(v, why);
		free(why);
	}
}

/* Only once every record is known to be one. */
static void
compare_columns(struct verify *v)
{
	uint64_t missing = 0;
	char *what = NULL;
	size_t i;
	int rc;

	for (i = 0; i < v->chains; i++)
		if (v->chain[i].failure != NULL)
			return;
	if (v->failure != NULL)
		return;
	rc = trail_compare(v->trail, &v->options->filter, &what,
	    &missing);
	if (rc == -1)
		(void)fail(v, trail_why(v->trail, TRAIL_ERROR));
	else if (rc == 1)
		(void)fail(v, what);
	if (missing > 0)
		fprintf(v->options->json ? stderr : stdout, "%llu rows have no arguments, details or address in "
		    "their columns: see the column `record'\n",
		    (unsigned long long)missing);
	free(what);
}

/* ---- what is said ------------------------------------------------------ */

static void
say_node(const struct verify *v, const struct chain *c)
{
	char hex[2 * PUBLIC_KEY_LEN + 1];

	printf("node ");
	show_text(stdout, slice_of(c->node));
	if (c->failure != NULL && c->records == 0) {
		printf(": no good record\n");
		return;
	}
	printf(": records %llu to %llu, %llu checkpoints",
	    (unsigned long long)c->first, (unsigned long long)c->seq,
	    (unsigned long long)c->checkpoints);
	if (c->failure != NULL) {
		printf(", FAILED: ");
		show_text(stdout, slice_of(c->failure));
		putchar('\n');
		return;
	}
	if (v->proof.saves > 0)
		printf(", %llu saved ones met", (unsigned long long)c->saves);
	if (c->removed != 0)
		printf(", removal of those before told in record %llu",
		    (unsigned long long)c->removed);
	if (c->continued)
		printf(", continued under another name");
	else if (c->checkpoints == 0)
		printf(": only the chain vouches for them");
	else
		printf(", the last %llu records not covered by one yet",
		    (unsigned long long)c->left);
	putchar('\n');
	if (c->checkpoints > 0) {
		hex_encode(hex, c->key, PUBLIC_KEY_LEN);
		printf("  key %s\n", hex);
	}
}

static void
say_key(const struct verify *v)
{
	static const char *const origins[] = {
		[KEY_OWN] = "the trail's own: -k or -c tells whose it is",
		[KEY_JOURNAL] = "the journal's checkpoint.pub, no safer than "
		    "the journal: -k names a copy kept elsewhere",
		[KEY_SAVED] = "that of the saved checkpoints",
		[KEY_FILE] = "that of -k",
	};
	uint64_t checkpoints = 0;
	size_t i;

	for (i = 0; i < v->chains; i++)
		checkpoints += v->chain[i].checkpoints;
	if (checkpoints > 0)
		printf("checkpoints: the key is %s\n",
		    origins[v->proof.origin]);
}

static void
member(struct buffer *b, const char *name, const char *value)
{
	(void)buffer_add_char(b, ',');
	if (value == NULL)
		(void)buffer_printf(b, "\"%s\":null", name);
	else
		(void)json_write_member(b, name, value);
}

static void
number(struct buffer *b, const char *name, uint64_t n)
{
	(void)buffer_printf(b, ",\"%s\":%llu", name, (unsigned long long)n);
}

static void
add_node(struct buffer *b, const struct chain *c)
{
	char hex[2 * PUBLIC_KEY_LEN + 1];

	(void)buffer_add_char(b, '{');
	(void)json_write_member(b, "node", c->node);
	number(b, "first", c->first);
	number(b, "last", c->seq);
	number(b, "records", c->records);
	number(b, "checkpoints", c->checkpoints);
	number(b, "saved_met", c->saves);
	if (c->failure == NULL)
		number(b, "uncovered", c->left);
	hex_encode(hex, c->key, PUBLIC_KEY_LEN);
	member(b, "key", c->checkpoints > 0 ? hex : NULL);
	member(b, "failure", c->failure);
	(void)buffer_add_char(b, '}');
}

/* One object; what the text says in words stands in it as numbers. */
static int
say_json(const struct verify *v, const char *failure, const char *node,
    uint64_t records)
{
	struct buffer b;
	size_t i;
	int bad;

	buffer_init(&b, 64U << 20);
	(void)buffer_printf(&b, "{\"ok\":%s",
	    failure == NULL ? "true" : "false");
	number(&b, "records", records);
	member(&b, "failure", failure);
	member(&b, "failed_node", node);
	(void)buffer_add_cstr(&b, ",\"nodes\":[");
	for (i = 0; i < v->chains; i++) {
		if (i > 0)
			(void)buffer_add_char(&b, ',');
		add_node(&b, &v->chain[i]);
	}
	(void)buffer_add_cstr(&b, "]}");
	bad = b.bad;
	if (!bad) {
		show_json((struct slice){ (const char *)b.data, b.len });
		putchar('\n');
	}
	buffer_free(&b);
	return failure == NULL && !bad ? CTL_OK : CTL_FAILED;
}

static int
say_verdict(const struct verify *v)
{
	const char *failure = v->failure, *node = NULL;
	int json = v->options->json;
	uint64_t records = 0;
	size_t i;

	for (i = 0; i < v->chains; i++) {
		if (!json)
			say_node(v, &v->chain[i]);
		records += v->chain[i].records;
		if (v->chain[i].failure != NULL && node == NULL &&
		    v->failure == NULL) {
			failure = v->chain[i].failure;
			node = v->chain[i].node;
		}
	}
	if (json)
		return say_json(v, failure, node, records);
	say_key(v);
	if (failure != NULL) {
		printf("audit verify: FAILED: ");
		if (node != NULL && v->options->place.kind != TRAIL_JOURNAL) {
			printf("node ");
			show_text(stdout, slice_of(node));
			putchar(' ');
		}
		show_text(stdout, slice_of(failure));
		putchar('\n');
		return CTL_FAILED;
	}
	printf("audit verify: ok, %llu records", (unsigned long long)records);
	if (v->chains > 1)
		printf(" of %zu nodes", v->chains);
	putchar('\n');
	return CTL_OK;
}

static int
say_unread(const struct verify *v, const char *why)
{
	if (why == NULL)
		why = "out of memory";
	if (v->options->json)
		return say_json(v, why, NULL, 0);
	printf("audit verify: FAILED: ");
	show_text(stdout, slice_of(why));
	putchar('\n');
	return CTL_FAILED;
}

int
audit_verify(const struct audit_options *o)
{
	struct verify v = { .options = o };
	char *why = NULL;
	size_t i;
	int rc;

	v.rules.proof = &v.proof;
	v.rules.part = o->place.kind == TRAIL_FILE;
	v.rules.stretch = o->stretch;
	v.rules.stretch_seconds = o->stretch_seconds;
	if ((v.trail = trail_open(&o->place, &o->filter, BY_SEQ, 0, &why)) ==
	    NULL) {
		rc = say_unread(&v, why);
	} else if (proof_read(&v.proof, o->keys, o->saved, o->after,
	    trail_folder(v.trail)) == -1) {
		rc = say_unread(&v, v.proof.why);
	} else {
		read_trail(&v);
		find_renamed(&v);
		for (i = 0; i < v.chains; i++)
			(void)chain_end(&v.chain[i], &v.rules);
		check_absent(&v);
		compare_columns(&v);
		rc = say_verdict(&v);
	}
	for (i = 0; i < v.chains; i++)
		chain_free(&v.chain[i]);
	free(v.chain);
	free(v.failure);
	proof_free(&v.proof);
	trail_close(v.trail);
	free(why);
	return rc;
}
