/* SPDX-License-Identifier: ISC */
/* link: authd/token.c authd/subject.c authd/issuer.c authd/rule.c authd/scope.c authd/account.c authd/limit.c authd/jwk.c authd/jws.c authd/jwt.c */

/* Tokens judged and remembered: who they are, and for how long. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../authd/issuer.h"
#include "../../common/compat.h"
#include "es256.h"

#define ONE		"https://one.example/"
#define TWO		"https://two.example/"
#define HERE		"https://api.example/mcp"
#define NOW		1800000000LL
#define TOKEN_SIZE	8192

static EVP_PKEY *keys[2];
static int fetch_comes;

int
keys_start(void)
{
	return 0;
}

int
keys_wanted(struct issuer *i)
{
	(void)i;
	return fetch_comes;
}

static void
install(struct issuer *i, EVP_PKEY *key, const char *kid)
{
	char text[1024] = "{\"keys\":[";
	const char *error;

	es256_jwk(text, sizeof(text), key, kid);
	strlcat(text, "]}", sizeof(text));
	jwks_free(i->keys);
	i->keys = jwks_parse(text, strlen(text), &error);
	assert_non_null(i->keys);
	tokens_recheck(i);
}

static void
feed(int (*configure)(const struct frame *), struct buffer *b)
{
	struct frame f;

	memset(&f, 0, sizeof(f));
	f.payload = b->data;
	f.length = b->len;
	assert_int_equal(configure(&f), 0);
	buffer_clear(b);
}

static void
configure_issuer(struct buffer *b, const char *url, const char *scopes_from)
{
	struct msg_conf_issuer m;
	struct msg_conf_grant g;

	memset(&m, 0, sizeof(m));
	m.url = slice_of(url);
	m.typ = slice_of("");
	m.scopes_from = slice_of(scopes_from);
	m.leeway_s = 30;
	m.lifetime_s = 3600;
	m.rate.count = 2;
	m.rate.period_ms = 60000;
	m.rate.burst = 2;
	m.in_flight = 9;
	m.audiences = 1;
	m.audience[0] = slice_of(HERE);
	m.claims = 2;
	m.claim[0] = slice_of("tenant");
	m.claim[1] = slice_of("level");
	m.grants = 1;
	put_conf_issuer(b, &m);
	feed(issuer_configure, b);
	memset(&g, 0, sizeof(g));
	g.role = slice_of("analyst");
	g.scopes = 2;
	g.scope[0] = slice_of("shop:*:read");
	g.scope[1] = slice_of("other:*:read");
	put_conf_grant(b, &g);
	feed(issuer_configure_grant, b);
}

static int
start(void **state)
{
	static const char *const scopes[] = {
		"shop:order:read", "shop:order:write"
	};
	struct msg_conf_tool_rule m;
	struct buffer b;
	size_t n;

	(void)state;
	crypt_init();
	if (jose_init() == -1 || rules_expect(2) == -1)
		return -1;
	buffer_init(&b, FRAME_PAYLOAD_MAX);
	for (n = 0; n < 2; n++) {
		memset(&m, 0, sizeof(m));
		m.name = slice_of(n == 0 ? "look" : "change");
		m.scope = slice_of(scopes[n]);
		put_conf_tool_rule(&b, &m);
		feed(rule_configure, &b);
	}
	configure_issuer(&b, ONE, "scope");
	configure_issuer(&b, TWO, "realm_access.roles");
	keys[0] = es256_new();
	keys[1] = es256_new();
	buffer_free(&b);
	return issuers_start(2);
}

static int
fresh(void **state)
{
	(void)state;
	fetch_comes = 0;
	install(issuer_find(ONE), keys[0], "k1");
	install(issuer_find(TWO), keys[1], "k2");
	return 0;
}

static const char *
token(const char *iss, const char *sub, const char *more)
{
	static char out[TOKEN_SIZE];
	char claims[4096];
	int two = strcmp(iss, TWO) == 0;

	snprintf(claims, sizeof(claims), "{\"iss\":\"%s\",\"aud\":\"" HERE
	    "\",\"sub\":\"%s\",\"exp\":%lld%s}", iss, sub, NOW + 600, more);
	es256_token(out, sizeof(out), keys[two], two ? "k2" : "k1", claims);
	return out;
}

static enum token_verdict
judge(const char *text, int64_t now, struct caller *c, enum reason *reason)
{
	uint32_t issuer;

	return token_check(slice_of(text), now, 0, c, reason, &issuer);
}

static void
assert_slice(struct slice sl, const char *text)
{
	assert_int_equal(sl.len, strlen(text));
	assert_memory_equal(sl.ptr, text, sl.len);
}

static void
a_token_is_who_its_issuer_says(void **state)
{
	struct caller c;
	enum reason r;

	(void)state;
	assert_int_equal(judge(token(ONE, "alice", ",\"scope\":\"openid "
	    "shop:order:write shop:order:write analyst nonsense:x:y\","
	    "\"client_id\":\"agent\",\"azp\":\"not this\",\"name\":\"Alice\","
	    "\"tenant\":\"acme\",\"level\":7,\"rate_limit\":100000"),
	    NOW, &c, &r), TOKEN_GOOD);
	assert_int_equal(c.identity->kind, CREDENTIAL_TOKEN);
	assert_slice(c.identity->owner, ONE "#alice");
	assert_slice(c.identity->key_id, "agent");
	assert_slice(c.identity->label, "Alice");
	assert_int_equal(c.identity->attributes, 2);
	assert_slice(c.identity->attribute[0].name, "tenant");
	assert_slice(c.identity->attribute[0].value, "acme");
	assert_slice(c.identity->attribute[1].value, "7");
	/* Only what opens a tool, each once. */
	assert_int_equal(c.nscopes, 2);
	assert_slice(c.scope[0], "shop:order:write");
	assert_slice(c.scope[1], "shop:*:read");
	assert_int_equal(c.rate->count, 2);
	assert_int_equal(c.in_flight, 9);
}

static void
roles_stand_in_a_claim_of_a_claim(void **state)
{
	struct caller c;
	enum reason r;

	(void)state;
	assert_int_equal(judge(token(TWO, "bob", ",\"realm_access\":{\"roles\""
	    ":[\"analyst\",7,\"other\"]},\"scope\":\"shop:order:write\""),
	    NOW, &c, &r), TOKEN_GOOD);
	assert_int_equal(c.nscopes, 1);
	assert_slice(c.scope[0], "shop:*:read");
	/* A claim of objects or numbers grants nothing. */
	assert_int_equal(judge(token(TWO, "carol", ",\"realm_access\":"
	    "{\"roles\":{\"analyst\":true}}"), NOW, &c, &r), TOKEN_GOOD);
	assert_int_equal(c.nscopes, 0);
}

static void
equal_subjects_of_two_issuers_never_meet(void **state)
{
	struct caller a, b, again;
	enum reason r;

	(void)state;
	assert_int_equal(judge(token(ONE, "same", ""), NOW, &a, &r),
	    TOKEN_GOOD);
	assert_int_equal(judge(token(TWO, "same", ""), NOW, &b, &r),
	    TOKEN_GOOD);
	assert_false(slice_equal(a.identity->owner, b.identity->owner));
	assert_memory_not_equal(a.owner, b.owner, sizeof(*a.owner));
	assert_ptr_equal(a.owner, a.payer);
	/* Another token of the same subject shares its rate. */
	assert_int_equal(judge(token(ONE, "same", ",\"jti\":\"2\""), NOW,
	    &again, &r), TOKEN_GOOD);
	assert_ptr_not_equal(a.identity, again.identity);
	assert_memory_equal(a.owner, again.owner, sizeof(*a.owner));
}

static void
a_known_token_ends_with_its_time_and_its_key(void **state)
{
	char text[TOKEN_SIZE];
	struct caller c;
	enum reason r;
	size_t before;

	(void)state;
	strlcpy(text, token(ONE, "dora", ""), sizeof(text));
	assert_int_equal(judge(text, NOW, &c, &r), TOKEN_GOOD);
	before = tokens_cached();
	assert_int_equal(judge(text, NOW + 629, &c, &r), TOKEN_GOOD);
	assert_int_equal(tokens_cached(), before);
	assert_int_equal(judge(text, NOW + 630, &c, &r), TOKEN_BAD);
	assert_int_equal(r, REASON_EXPIRED);
	assert_int_equal(tokens_cached(), before - 1);

	assert_int_equal(judge(text, NOW, &c, &r), TOKEN_GOOD);
	/* The same key under the same name: it stays. */
	install(issuer_find(ONE), keys[0], "k1");
	assert_int_equal(tokens_cached(), before);
	/* Another key under the same name: what the old one signed ends. */
	install(issuer_find(ONE), keys[1], "k1");
	assert_true(tokens_cached() < before);
	assert_int_equal(judge(text, NOW, &c, &r), TOKEN_BAD);
	assert_int_equal(r, REASON_BAD_SIGNATURE);
}

static void
a_missing_key_is_waited_for_once(void **state)
{
	char text[TOKEN_SIZE];
	struct issuer *i = issuer_find(ONE);
	struct caller c;
	uint32_t issuer = 99;
	enum reason r;

	(void)state;
	strlcpy(text, token(ONE, "eve", ""), sizeof(text));
	install(i, keys[0], "newer");
	assert_int_equal(judge(text, NOW, &c, &r), TOKEN_BAD);
	assert_int_equal(r, REASON_UNKNOWN_KID);
	fetch_comes = 1;
	assert_int_equal(token_check(slice_of(text), NOW, 0, &c, &r, &issuer),
	    TOKEN_WAIT);
	assert_int_equal(issuer, i->number);
	assert_int_equal(token_check(slice_of(text), NOW, 1, &c, &r, &issuer),
	    TOKEN_BAD);
	/* Without any keys, what is wrong beside is told first. */
	jwks_free(i->keys);
	i->keys = NULL;
	assert_int_equal(token_check(slice_of(text), NOW, 1, &c, &r, &issuer),
	    TOKEN_NO_KEYS);
	assert_int_equal(judge(text, NOW + 4000, &c, &r), TOKEN_BAD);
	assert_int_equal(r, REASON_EXPIRED);
}

static void
an_owner_that_does_not_fit_is_refused(void **state)
{
	char sub[OWNER_MAX];
	struct caller c;
	enum reason r;

	(void)state;
	memset(sub, 'a', sizeof(sub));
	sub[OWNER_MAX - strlen(ONE) - 1] = '\0';
	assert_int_equal(judge(token(ONE, sub, ""), NOW, &c, &r), TOKEN_GOOD);
	assert_int_equal(c.identity->owner.len, OWNER_MAX);
	sub[OWNER_MAX - strlen(ONE) - 1] = 'a';
	sub[OWNER_MAX - strlen(ONE)] = '\0';
	assert_int_equal(judge(token(ONE, sub, ""), NOW, &c, &r), TOKEN_BAD);
	assert_int_equal(r, REASON_BAD_CLAIM);
}

static void
the_memory_of_tokens_is_bounded(void **state)
{
	char sub[32];
	struct caller c;
	enum reason r;
	int n;

	(void)state;
	for (n = 0; n < TOKENS_CACHED + 100; n++) {
		snprintf(sub, sizeof(sub), "s%d", n);
		assert_int_equal(judge(token(ONE, sub, ""), NOW, &c, &r),
		    TOKEN_GOOD);
	}
	assert_int_equal(tokens_cached(), TOKENS_CACHED);
	assert_slice(c.identity->owner, ONE "#s16483");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_token_is_who_its_issuer_says, fresh),
		cmocka_unit_test_setup(roles_stand_in_a_claim_of_a_claim,
		    fresh),
		cmocka_unit_test_setup(
		    equal_subjects_of_two_issuers_never_meet, fresh),
		cmocka_unit_test_setup(
		    a_known_token_ends_with_its_time_and_its_key, fresh),
		cmocka_unit_test_setup(a_missing_key_is_waited_for_once,
		    fresh),
		cmocka_unit_test_setup(an_owner_that_does_not_fit_is_refused,
		    fresh),
		cmocka_unit_test_setup(the_memory_of_tokens_is_bounded, fresh),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
