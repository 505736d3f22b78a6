/* SPDX-License-Identifier: ISC */

/*
 * pontifexctl audit report: who used what, how often, and what was refused or
 * failed.  What is counted are calls (the member `calls'), of which a folded
 * refusal is many and an intent none.  Callers choose what some of the keys
 * are (a tool that does not exist): there is a bound on how many are told
 * apart.
 */

#include <stdio.h>

#include "../common/compat.h"
#include "../common/json.h"
#include "ctl_audit.h"

#define KEYS_MAX	100000	/* of one tally; the rest is counted as one */
#define KEY_TEXT_MAX	8192	/* bytes */
#define TOP		20	/* tools of the table; JSON has all */

enum { CALLS, OK, REFUSED, FAILED, COUNTS };

struct entry {
	char		*key;		/* JSON values, with a tab between */
	uint64_t	 count[COUNTS];
};

struct tally {
	struct entry	*entry;
	size_t		 used;
	uint32_t	*slot;		/* index + 1; 0: free */
	size_t		 slots;		/* a power of two */
};

struct report {
	const struct audit_options *options;
	uint64_t	 records;
	uint64_t	 strange;
	uint64_t	 count[COUNTS];
	struct tally	 use;		/* owner, tool */
	struct tally	 tools;
	struct tally	 refusals;	/* outcome, reason */
	struct tally	 failures;	/* outcome, reason */
	int		 no_memory;
};

/* ---- counting ---------------------------------------------------------- */

static uint32_t
hash_key(const char *key)
{
	uint32_t h = 2166136261U;

	while (*key != '\0')
		h = (h ^ (unsigned char)*key++) * 16777619U;
	return h ^ h >> 15;
}

static size_t
find_slot(const struct tally *t, const char *key)
{
	size_t at = hash_key(key) & (t->slots - 1);

	while (t->slot[at] != 0 &&
	    strcmp(t->entry[t->slot[at] - 1].key, key) != 0)
		at = (at + 1) & (t->slots - 1);
	return at;
}

/* Half of the slots stay free. */
static int
grow(struct tally *t)
{
	size_t slots = t->slots == 0 ? 256 : t->slots * 2, i;
	struct entry *entry;
	uint32_t *slot;

	if (t->used * 2 < t->slots)
		return 0;
	entry = reallocarray(t->entry, slots / 2, sizeof(*entry));
	if (entry == NULL)
		return -1;
	t->entry = entry;
	if ((slot = calloc(slots, sizeof(*slot))) == NULL)
		return -1;
	free(t->slot);
	t->slot = slot;
	t->slots = slots;
	for (i = 0; i < t->used; i++)
		t->slot[find_slot(t, t->entry[i].key)] = (uint32_t)i + 1;
	return 0;
}

static int
count(struct tally *t, const char *key, int what, uint64_t calls)
{
	struct entry *e;
	size_t at;

	if (grow(t) == -1)
		return -1;
	at = find_slot(t, key);
	if (t->slot[at] == 0 && t->used >= KEYS_MAX) {
		key = "\"(others)\"\t\"(others)\"";
		at = find_slot(t, key);
	}
	if (t->slot[at] == 0) {
		e = &t->entry[t->used];
		memset(e, 0, sizeof(*e));
		if ((e->key = strdup(key)) == NULL)
			return -1;
		t->slot[at] = (uint32_t)++t->used;
	}
	e = &t->entry[t->slot[at] - 1];
	e->count[CALLS] += calls;
	e->count[what] += calls;
	return 0;
}

static void
tally_free(struct tally *t)
{
	size_t i;

	for (i = 0; i < t->used; i++)
		free(t->entry[i].key);
	free(t->entry);
	free(t->slot);
}

/* Two values of a record as a key. */
static const char *
make_key(struct slice a, struct slice b)
{
	static char key[KEY_TEXT_MAX];

	if (a.len + b.len + 2 > sizeof(key))
		return "\"(others)\"\t\"(others)\"";
	memcpy(key, a.ptr, a.len);
	key[a.len] = '\t';
	memcpy(key + a.len + 1, b.ptr, b.len);
	key[a.len + 1 + b.len] = '\0';
	return key;
}

/* What the daemon would not do is refused; what it could not do failed. */
static int
what_became(const struct record_view *v)
{
	switch (view_outcome(v->field[FIELD_OUTCOME])) {
	case OUTCOME_OK:
		return OK;
	case OUTCOME_AUTH_FAILED:
	case OUTCOME_SCOPE_DENIED:
	case OUTCOME_RATE_LIMITED:
	case OUTCOME_OVERLOADED:
	case OUTCOME_BAD_REQUEST:
		return REFUSED;
	default:
		return view_string_is(v->field[FIELD_KIND], "refusal") ?
		    REFUSED : FAILED;
	}
}

static void
add_record(struct report *r, struct slice line)
{
	static const struct slice nothing = { "", 0 };
	struct record_view v;
	uint64_t calls;
	int what, rc;

	if (!show_is_record(line, &v) ||
	    view_u64(v.field[FIELD_CALLS], &calls) == -1) {
		r->strange++;
		return;
	}
	if (!filter_matches(&r->options->filter, &v))
		return;
	r->records++;
	if (calls == 0 || view_string_is(v.field[FIELD_KIND], "event"))
		return;
	what = what_became(&v);
	r->count[CALLS] += calls;
	r->count[what] += calls;
	rc = count(&r->use, make_key(v.field[FIELD_OWNER_ID],
	    v.field[FIELD_TOOL_NAME]), what, calls);
	if (rc == 0)
		rc = count(&r->tools, make_key(v.field[FIELD_TOOL_NAME],
		    nothing), what, calls);
	if (rc == 0 && what != OK)
		rc = count(what == REFUSED ? &r->refusals : &r->failures,
		    make_key(v.field[FIELD_OUTCOME], v.field[FIELD_REASON]),
		    what, calls);
	if (rc == -1)
		r->no_memory = 1;
}

/* ---- printing ---------------------------------------------------------- */

static int
compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->count[CALLS] != y->count[CALLS])
		return x->count[CALLS] > y->count[CALLS] ? -1 : 1;
	return strcmp(x->key, y->key);
}

static void
split_key(const char *key, struct slice *a, struct slice *b)
{
	a->ptr = key;
	a->len = strcspn(key, "\t");
	b->ptr = key + a->len + (key[a->len] == '\t');
	b->len = strlen(b->ptr);
}

static void
print_table(const char *title, const char *first, const char *second,
    struct tally *t, size_t most)
{
	struct slice a, b;
	size_t i;

	if (t->used == 0)
		return;
	printf("\n%s\n%9s %9s %9s %9s  ", title, "CALLS", "OK", "REFUSED",
	    "FAILED");
	printf("%-24s %s\n", first, second);
	for (i = 0; i < t->used && i < most; i++) {
		printf("%9llu %9llu %9llu %9llu  ",
		    (unsigned long long)t->entry[i].count[CALLS],
		    (unsigned long long)t->entry[i].count[OK],
		    (unsigned long long)t->entry[i].count[REFUSED],
		    (unsigned long long)t->entry[i].count[FAILED]);
		split_key(t->entry[i].key, &a, &b);
		show_value(a, 24);
		if (b.len > 0) {
			putchar(' ');
			show_value(b, 0);
		}
		putchar('\n');
	}
	if (t->used > most)
		printf("%9s and %zu more\n", "", t->used - most);
}

static void
print_counts(const uint64_t c[COUNTS])
{
	printf("\"calls\":%llu,\"ok\":%llu,\"refused\":%llu,\"failed\":%llu",
	    (unsigned long long)c[CALLS], (unsigned long long)c[OK],
	    (unsigned long long)c[REFUSED], (unsigned long long)c[FAILED]);
}

static void
print_list(const char *name, const char *first, const char *second,
    const struct tally *t)
{
	struct slice a, b;
	size_t i;

	printf(",\"%s\":[", name);
	for (i = 0; i < t->used; i++) {
		split_key(t->entry[i].key, &a, &b);
		printf("%s{\"%s\":", i == 0 ? "" : ",", first);
		show_json(a);
		if (second != NULL) {
			printf(",\"%s\":", second);
			show_json(b);
		}
		putchar(',');
		print_counts(t->entry[i].count);
		putchar('}');
	}
	putchar(']');
}

static void
print_time(const char *name, const char *time)
{
	printf("\"%s\":%s%s%s,", name, time[0] == '\0' ? "" : "\"",
	    time[0] == '\0' ? "null" : time, time[0] == '\0' ? "" : "\"");
}

static void
print_json(const struct report *r)
{
	putchar('{');
	print_time("since", r->options->filter.since);
	print_time("until", r->options->filter.until);
	printf("\"records\":%llu,", (unsigned long long)r->records);
	print_counts(r->count);
	print_list("use", "owner", "tool", &r->use);
	print_list("tools", "tool", NULL, &r->tools);
	print_list("refused_by", "outcome", "reason", &r->refusals);
	print_list("failed_by", "outcome", "reason", &r->failures);
	printf("}\n");
}

static void
print_report(struct report *r)
{
	const struct filter *f = &r->options->filter;

	printf("since %s until %s: %llu records\n",
	    f->since[0] == '\0' ? "the beginning" : f->since,
	    f->until[0] == '\0' ? "the end" : f->until,
	    (unsigned long long)r->records);
	printf("%llu calls: %llu ok, %llu refused, %llu failed\n",
	    (unsigned long long)r->count[CALLS],
	    (unsigned long long)r->count[OK],
	    (unsigned long long)r->count[REFUSED],
	    (unsigned long long)r->count[FAILED]);
	print_table("Who used what", "OWNER", "TOOL", &r->use, SIZE_MAX);
	print_table("Tools, the most used first", "TOOL", "", &r->tools, TOP);
	print_table("Refused", "OUTCOME", "REASON", &r->refusals, SIZE_MAX);
	print_table("Failed", "OUTCOME", "REASON", &r->failures, SIZE_MAX);
}

static void
sort(struct tally *t)
{
	if (t->used > 1)
		qsort(t->entry, t->used, sizeof(*t->entry), compare_entries);
}

int
audit_report(const struct audit_options *o)
{
	struct report r = { .options = o };
	enum trail_result result;
	struct trail *trail;
	struct slice line;
	int rc;

	if ((trail = audit_open(o)) == NULL)
		return CTL_FAILED;
	while ((result = trail_next(trail, &line)) == TRAIL_OK && !r.no_memory)
		add_record(&r, line);
	rc = audit_ended(trail, result == TRAIL_OK ? TRAIL_END : result);
	trail_close(trail);
	sort(&r.use);
	sort(&r.tools);
	sort(&r.refusals);
	sort(&r.failures);
	if (r.no_memory || r.strange > 0) {
		fprintf(stderr, "pontifexctl: %s\n", r.no_memory ?
		    "out of memory" : "there are lines that are no records: "
		    "audit verify names the first");
		rc = CTL_FAILED;
	}
	if (!r.no_memory) {
		if (o->json)
			print_json(&r);
		else
			print_report(&r);
	}
	tally_free(&r.use);
	tally_free(&r.tools);
	tally_free(&r.refusals);
	tally_free(&r.failures);
	return rc;
}
