/* SPDX-License-Identifier: ISC */

/*
 * Issuers as parse.y reads them.  What is wrong is said where it stands; the
 * issuer is made all the same, so that the rest of its block is read.
 */

#include "../common/compat.h"
#include "../common/keyfile.h"
#include "configure.h"

#define ISSUER_URL_MAX	255	/* so that issuer and subject fit an owner */
#define LEEWAY_DEFAULT_MS	30000
#define LEEWAY_MAX_MS		120000
#define LIFETIME_DEFAULT_MS	(24 * 3600 * 1000)
#define LIFETIME_MAX_MS		((int64_t)30 * 24 * 3600 * 1000)

static struct issuer_conf *
last(struct config *c)
{
	return TAILQ_LAST(&c->auth.issuers, issuer_list);
}

static void
check_url(const char *url, size_t max, const char *what)
{
	if (!https_url_ok(url) || strlen(url) > max)
		config_error("%s \"%s\": must be https://host[:port]/path, "
		    "without query and fragment, up to %zu bytes", what, url,
		    max);
}

void
add_issuer(struct config *c, char *url)
{
	struct issuer_conf *i = need(calloc(1, sizeof(*i)));
	const struct issuer_conf *other;

	i->url = url;
	i->line = config_line();
	i->file = config_file();
	i->leeway_ms = LEEWAY_DEFAULT_MS;
	i->lifetime_ms = LIFETIME_DEFAULT_MS;
	TAILQ_INIT(&i->audiences);
	TAILQ_INIT(&i->claims);
	TAILQ_INIT(&i->grants);
	check_url(url, ISSUER_URL_MAX, "issuer");
	TAILQ_FOREACH(other, &c->auth.issuers, entry)
		if (strcmp(other->url, url) == 0)
			config_error("issuer \"%s\" is given twice", url);
	if (c->auth.nissuers++ == ISSUERS_MAX)
		config_error("more than %d issuers", ISSUERS_MAX);
	TAILQ_INSERT_TAIL(&c->auth.issuers, i, entry);
}

/* Moves the texts over; says it where one is too long or there are too many. */
static uint32_t
take_list(struct text_list *to, struct text_list *from, uint32_t max,
    size_t len_max, const char *what)
{
	struct text_item *item;
	uint32_t n = 0;

	TAILQ_CONCAT(to, from, entry);
	list_free(from);
	TAILQ_FOREACH(item, to, entry) {
		n++;
		if (item->text[0] == '\0' || strlen(item->text) > len_max)
			config_error("%s: each has 1 to %zu bytes", what,
			    len_max);
	}
	if (n > max)
		config_error("more than %u %s", max, what);
	return n;
}

void
issuer_audiences(struct config *c, struct text_list *list)
{
	struct issuer_conf *i = last(c);

	i->naudiences = take_list(&i->audiences, list, AUDIENCES_MAX, URL_MAX,
	    "audiences");
}

void
issuer_claims(struct config *c, struct text_list *list)
{
	struct issuer_conf *i = last(c);
	const struct text_item *item;

	i->nclaims = take_list(&i->claims, list, ATTRIBUTES_MAX, NAME_LEN_MAX,
	    "claims");
	TAILQ_FOREACH(item, &i->claims, entry)
		if (!name_ok(item->text))
			config_error("claim \"%s\": a name is a letter and "
			    "then A-Z a-z 0-9 _ . -", item->text);
}

void
issuer_jwks(struct config *c, char *url)
{
	check_url(url, URL_MAX, "jwks");
	set_once(&last(c)->jwks, url, "jwks");
}

void
issuer_scopes_from(struct config *c, char *claim)
{
	if (claim[0] == '\0' || strlen(claim) > NAME_LEN_MAX * 4)
		config_error("scopes from \"%s\": must name a claim", claim);
	set_once(&last(c)->scopes_from, claim, "scopes from");
}

void
issuer_typ(struct config *c, char *typ)
{
	if (typ[0] == '\0' || strlen(typ) > NAME_LEN_MAX)
		config_error("typ \"%s\": must have 1 to %d bytes", typ,
		    NAME_LEN_MAX);
	set_once(&last(c)->typ, typ, "typ");
}

void
issuer_ca(struct config *c, char *path)
{
	set_path(&last(c)->ca, path, "ca");
}

void
issuer_private(struct config *c)
{
	last(c)->allow_private = 1;
}

void
issuer_rate(struct config *c, const struct rate *rate)
{
	last(c)->rate = *rate;
}

void
issuer_in_flight(struct config *c, int64_t calls)
{
	set_count(&last(c)->in_flight, calls, IN_FLIGHT_MAX,
	    "calls in flight");
}

void
issuer_leeway(struct config *c, int64_t ms)
{
	if (ms > LEEWAY_MAX_MS || ms % 1000 != 0) {
		config_error("leeway: whole seconds, at most %d s",
		    LEEWAY_MAX_MS / 1000);
		return;
	}
	last(c)->leeway_ms = (uint32_t)ms;
}

void
issuer_lifetime(struct config *c, int64_t ms)
{
	if (ms < 1000 || ms > LIFETIME_MAX_MS || ms % 1000 != 0) {
		config_error("lifetime: whole seconds, 1 s to 30 days");
		return;
	}
	last(c)->lifetime_ms = (uint64_t)ms;
}

void
issuer_grant(struct config *c, char *role, struct text_list *scopes)
{
	struct issuer_conf *i = last(c);
	struct grant_conf *g = need(calloc(1, sizeof(*g)));
	const struct grant_conf *other;

	g->role = role;
	TAILQ_INIT(&g->scopes);
	if (role[0] == '\0' || strlen(role) > SCOPE_MAX)
		config_error("role \"%s\": must have 1 to %d bytes", role,
		    SCOPE_MAX);
	TAILQ_FOREACH(other, &i->grants, entry)
		if (strcmp(other->role, role) == 0)
			config_error("role \"%s\" is given twice", role);
	check_scopes(scopes);
	g->nscopes = take_list(&g->scopes, scopes, SCOPES_MAX, SCOPE_MAX,
	    "scopes of a role");
	if (i->ngrants++ == GRANTS_MAX)
		config_error("more than %d roles", GRANTS_MAX);
	TAILQ_INSERT_TAIL(&i->grants, g, entry);
}

void
issuer_end(struct config *c)
{
	struct issuer_conf *i = last(c);

	if (i->naudiences == 0)
		config_error("the issuer has no audience: tokens for anybody "
		    "would do");
	if (i->scopes_from == NULL)
		i->scopes_from = need(strdup("scope"));
}

void
issuers_check(struct config *c)
{
	const struct issuer_conf *i;

	TAILQ_FOREACH(i, &c->auth.issuers, entry)
		if (c->public_url == NULL)
			config_error_at(i->file, i->line, "an issuer needs a "
			    "public url: clients find it by that");
}
