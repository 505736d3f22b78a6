/* SPDX-License-Identifier: ISC */

/* The tools as authd knows them: who may call them, and what they need. */

#include "../common/compat.h"
#include "authd.h"

static struct rule *rules;
static uint32_t nrules, rules_expected;

int
rules_expect(uint32_t tools)
{
	rules_expected = tools;
	rules = calloc(tools + 1, sizeof(*rules));
	return rules == NULL ? -1 : 0;
}

int
rules_complete(void)
{
	return rules != NULL && nrules == rules_expected;
}

int
rule_configure(const struct frame *f)
{
	struct msg_conf_tool_rule m;
	struct rule *r;
	uint32_t i;

	if (rules == NULL || get_conf_tool_rule(f, &m) == -1 ||
	    nrules == rules_expected ||
	    scope_problem(m.scope) != NULL)
		return -1;
	r = &rules[nrules];
	if ((r->name = slice_dup(m.name)) == NULL ||
	    (r->scope = slice_dup(m.scope)) == NULL)
		return -1;
	r->writes = m.writes;
	r->rate = m.rate;
	account_of_tool(&r->account, m.name);
	for (i = 0; i < m.claims; i++)
		if ((r->claim[r->claims++] = slice_dup(m.claim[i])) == NULL)
			return -1;
	nrules++;
	return 0;
}

const struct rule *
rule_find(struct slice name)
{
	uint32_t i;

	/* A handful of tools; the first byte and the length part most. */
	for (i = 0; i < nrules; i++)
		if (slice_is(name, rules[i].name))
			return &rules[i];
	return NULL;
}

int
scope_opens_a_tool(struct slice scope)
{
	uint32_t i;

	for (i = 0; i < nrules; i++)
		if (scope_matches(scope, slice_of(rules[i].scope)))
			return 1;
	return 0;
}

void
each_open_tool(const struct slice *scopes, uint32_t n,
    void (*each)(const char *, void *), void *arg)
{
	uint32_t i;

	for (i = 0; i < nrules; i++)
		if (scope_grants(scopes, n, slice_of(rules[i].scope)))
			each(rules[i].name, arg);
}

int
rule_claims_present(const struct rule *rule, const struct identity *id)
{
	uint32_t i, j;

	for (i = 0; i < rule->claims; i++) {
		for (j = 0; j < id->attributes; j++)
			if (slice_is(id->attribute[j].name, rule->claim[i]))
				break;
		if (j == id->attributes)
			return 0;
	}
	return 1;
}

size_t
rules_open(const struct slice *scopes, uint32_t n, uint8_t bits[TOOLS_MAX / 8])
{
	uint32_t i;

	memset(bits, 0, TOOLS_MAX / 8);
	for (i = 0; i < nrules; i++)
		if (scope_grants(scopes, n, slice_of(rules[i].scope)))
			bits[i / 8] |= (uint8_t)(1 << (i % 8));
	return (nrules + 7) / 8;
}
