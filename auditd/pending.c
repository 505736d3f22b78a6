/* SPDX-License-Identifier: ISC */

/*
 * The table of calls that wait, found by request id and by question.  Trees,
 * since both keys come from siblings that may choose them; bounded, since
 * they may send as many as they like.
 */

#include "../common/log.h"
#include "pending.h"

#define STATIC_UNUSED	static __attribute__((__unused__))

RB_HEAD(id_tree, pending);
RB_HEAD(question_tree, pending);

struct pendings pendings = {
	.list = TAILQ_HEAD_INITIALIZER(pendings.list),
	.group = TAILQ_HEAD_INITIALIZER(pendings.group),
};
static struct id_tree ids = RB_INITIALIZER(&ids);
static struct question_tree questions = RB_INITIALIZER(&questions);

static int
compare_ids(struct pending *a, struct pending *b)
{
	return memcmp(a->id, b->id, REQUEST_ID_LEN);
}

static int
compare_questions(struct pending *a, struct pending *b)
{
	if (a->listener != b->listener)
		return a->listener < b->listener ? -1 : 1;
	return (a->question > b->question) - (a->question < b->question);
}

RB_GENERATE_INTERNAL(id_tree, pending, by_id, compare_ids, STATIC_UNUSED)
RB_GENERATE_INTERNAL(question_tree, pending, by_question, compare_questions,
    STATIC_UNUSED)

struct pending *
pending_find(const uint8_t id[REQUEST_ID_LEN])
{
	struct pending key;

	memcpy(key.id, id, REQUEST_ID_LEN);
	return RB_FIND(id_tree, &ids, &key);
}

struct pending *
pending_new(const uint8_t id[REQUEST_ID_LEN], enum pending_state state,
    uint64_t now_ms)
{
	struct pending *p;

	if (pendings.count >= PENDING_MAX || (p = calloc(1, sizeof(*p))) == NULL) {
		log_warn("too many calls wait for their outcome: %zu",
		    pendings.count);
		return NULL;
	}
	memcpy(p->id, id, REQUEST_ID_LEN);
	p->state = state;
	p->since_ms = now_ms;
	RB_INSERT(id_tree, &ids, p);
	TAILQ_INSERT_TAIL(&pendings.list, p, entry);
	pendings.count++;
	if (state == HELD)
		pendings.held++;
	return p;
}

void
pending_state(struct pending *p, enum pending_state state)
{
	if (p->state == HELD)
		pendings.held--;
	if (state == HELD)
		pendings.held++;
	if (p->state == IN_GROUP)
		TAILQ_REMOVE(&pendings.group, p, group_entry);
	if (state == IN_GROUP)
		TAILQ_INSERT_TAIL(&pendings.group, p, group_entry);
	p->state = state;
}

void
pending_drop_call(struct pending *p)
{
	/* It may hold what is not to be recorded in clear. */
	if (p->call != NULL)
		freezero(p->call, p->call_len);
	p->call = NULL;
	p->call_len = 0;
}

void
pending_free(struct pending *p)
{
	pending_state(p, DECIDED);
	RB_REMOVE(id_tree, &ids, p);
	if (p->asked)
		RB_REMOVE(question_tree, &questions, p);
	TAILQ_REMOVE(&pendings.list, p, entry);
	pendings.count--;
	pending_drop_call(p);
	free(p->decision);
	free(p->line);
	free(p);
}

int
payload_keep(unsigned char **to, size_t *len, const struct frame *f)
{
	if ((*to = malloc(f->length + 1)) == NULL)
		return -1;
	memcpy(*to, f->payload, f->length);
	*len = f->length;
	return 0;
}

/* What was kept was read once already: it reads again. */
const struct msg_audit_decision *
pending_decision(const struct pending *p, struct msg_audit_decision *m)
{
	struct frame f = { .payload = p->decision, .length = p->decision_len };

	if (p->decision == NULL || get_audit_decision(&f, m) == -1)
		return NULL;
	return m;
}

const struct msg_audit_call *
pending_call(const struct pending *p, struct msg_audit_call *m)
{
	struct frame f = { .payload = p->call, .length = p->call_len };

	if (p->call == NULL || get_audit_call(&f, m) == -1)
		return NULL;
	return m;
}

struct pending *
pending_ask(struct pending *p)
{
	struct pending *older;

	older = RB_INSERT(question_tree, &questions, p);
	p->asked = 1;
	if (older == NULL)
		return NULL;
	RB_REMOVE(question_tree, &questions, older);
	older->asked = 0;
	(void)RB_INSERT(question_tree, &questions, p);
	return older;
}
