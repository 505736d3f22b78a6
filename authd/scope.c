/* SPDX-License-Identifier: ISC */

/*
 * Scopes: namespace:resource:action.  A `*' that a caller holds stands for
 * one whole segment, never for the namespace; a tool's scope has none.
 */

#include "authd.h"

/* The next segment before a colon; the rest stays. */
static struct slice
segment(struct slice *rest)
{
	struct slice s = *rest;
	const char *colon = rest->len == 0 ? NULL :
	    memchr(rest->ptr, ':', rest->len);

	if (colon == NULL) {
		rest->ptr += rest->len;
		rest->len = 0;
		return s;
	}
	s.len = (size_t)(colon - rest->ptr);
	rest->ptr = colon + 1;
	rest->len -= s.len + 1;
	return s;
}

int
scope_matches(struct slice granted, struct slice required)
{
	struct slice g, r;
	int i;

	if (scope_problem(granted) != NULL || scope_problem(required) != NULL)
		return 0;
	for (i = 0; i < 3; i++) {
		g = segment(&granted);
		r = segment(&required);
		if (i > 0 && slice_is(g, "*"))
			continue;
		if (!slice_equal(g, r))
			return 0;
	}
	return 1;
}

int
scope_grants(const struct slice *scopes, uint32_t n, struct slice required)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (scope_matches(scopes[i], required))
			return 1;
	return 0;
}
