/* SPDX-License-Identifier: ISC */

/* The issuers as they are configured.  They do not change while we run. */

#include "../common/compat.h"
#include "issuer.h"

static struct issuer issuers[ISSUERS_MAX];
static uint32_t nissuers;

static int
copy_texts(struct issuer *i, const struct msg_conf_issuer *m)
{
	uint32_t n;
	char *s;

	if ((i->url = slice_dup(m->url)) == NULL ||
	    (i->typ = slice_dup(m->typ)) == NULL ||
	    (i->scopes_from = slice_dup(m->scopes_from)) == NULL)
		return -1;
	for (n = 0; n < m->audiences; n++) {
		if ((s = slice_dup(m->audience[n])) == NULL)
			return -1;
		i->audience[i->audiences++] = slice_of(s);
	}
	for (n = 0; n < m->claims; n++)
		if ((i->claim[i->claims++] = slice_dup(m->claim[n])) == NULL)
			return -1;
	return 0;
}

int
issuer_configure(const struct frame *f)
{
	struct msg_conf_issuer m;
	struct issuer *i;

	if (get_conf_issuer(f, &m) == -1 || nissuers == ISSUERS_MAX ||
	    m.audiences == 0 || m.url.len == 0 || m.scopes_from.len == 0)
		return -1;
	i = &issuers[nissuers];
	i->number = nissuers++;
	if (copy_texts(i, &m) == -1)
		return -1;
	i->discover = m.discover;
	i->rate = m.rate;
	i->in_flight = m.in_flight;
	i->grants_expected = m.grants;
	i->grant = calloc(m.grants + 1, sizeof(*i->grant));
	i->policy.issuer = slice_of(i->url);
	i->policy.audiences = i->audiences;
	i->policy.audience = i->audience;
	i->policy.typ = slice_of(i->typ);
	i->policy.leeway_s = m.leeway_s;
	i->policy.lifetime_s = m.lifetime_s;
	return i->grant == NULL ? -1 : 0;
}

int
issuer_configure_grant(const struct frame *f)
{
	struct msg_conf_grant m;
	struct issuer *i;
	struct grant *g;
	uint32_t n;

	if (get_conf_grant(f, &m) == -1 || nissuers == 0)
		return -1;
	i = &issuers[nissuers - 1];
	if (i->grants == i->grants_expected)
		return -1;
	g = &i->grant[i->grants++];
	if ((g->role = slice_dup(m.role)) == NULL)
		return -1;
	for (n = 0; n < m.scopes; n++) {
		if (scope_problem(m.scope[n]) != NULL ||
		    (g->scope[g->scopes++] = slice_dup(m.scope[n])) == NULL)
			return -1;
	}
	return 0;
}

uint32_t
issuer_count(void)
{
	return nissuers;
}

struct issuer *
issuer_at(uint32_t number)
{
	return number < nissuers ? &issuers[number] : NULL;
}

struct issuer *
issuer_find(const char *url)
{
	uint32_t n;

	for (n = 0; n < nissuers; n++)
		if (strcmp(issuers[n].url, url) == 0)
			return &issuers[n];
	return NULL;
}

int
issuers_start(uint32_t expected)
{
	uint32_t n;

	if (nissuers != expected)
		return -1;
	for (n = 0; n < nissuers; n++)
		if (issuers[n].grants != issuers[n].grants_expected)
			return -1;
	return nissuers == 0 ? 0 : keys_start();
}
