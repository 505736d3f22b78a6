/* SPDX-License-Identifier: ISC */
/* link: authd/fetcher/url.c authd/fetcher/freshness.c */

/*
 * authd/fetcher/url.c: which URLs are read and how they are spelt after it,
 * what is one origin, where metadata and redirects lead.  And freshness.c:
 * what Cache-Control and Age come to.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../authd/fetcher/fetcher.h"
#include "../../common/compat.h"

#define NROWS(a) (sizeof(a) / sizeof((a)[0]))
#define NAME63	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct url
parsed(const char *text)
{
	const char *why = "nothing";
	struct url u;

	if (url_parse(slice_of(text), &u, &why) == -1)
		fail_msg("\"%s\": wanted a URL, got: %s", text, why);
	return u;
}

/* ---- reading ----------------------------------------------------------- */

static const struct {
	const char	*text;
	const char	*spelt;		/* NULL: as it is */
	const char	*host;
	uint16_t	 port;
	int		 literal;
} good[] = {
	{ "https://a.example", NULL, "a.example", 443, 0 },
	{ "https://a.example/", NULL, "a.example", 443, 0 },
	{ "https://a.example:443/x", "https://a.example/x", "a.example", 443,
	    0 },
	{ "HTTPS://A.Example:8443/X?Y=Z", "https://a.example:8443/X?Y=Z",
	    "a.example", 8443, 0 },
	{ "https://a.example?q", NULL, "a.example", 443, 0 },
	{ "https://a.example/?", NULL, "a.example", 443, 0 },
	{ "https://a.example/a//b/...", NULL, "a.example", 443, 0 },
	{ "https://a.example/..a/.b/c.", NULL, "a.example", 443, 0 },
	{ "https://a.example/?a=../b&c=/./", NULL, "a.example", 443, 0 },
	{ "https://a.example/%41%2f%E2", NULL, "a.example", 443, 0 },
	{ "https://a.example/-._~!$&'()*+,;=:@", NULL, "a.example", 443, 0 },
	{ "https://localhost:1/", NULL, "localhost", 1, 0 },
	{ "https://xn--bcher-kva.example:65535/", NULL,
	    "xn--bcher-kva.example", 65535, 0 },
	{ "https://1.a/", NULL, "1.a", 443, 0 },
	{ "https://3com.example/", NULL, "3com.example", 443, 0 },
	{ "https://" NAME63 ".b/", NULL, NAME63 ".b", 443, 0 },
	{ "https://192.0.2.1/", NULL, "192.0.2.1", 443, 1 },
	{ "https://[2001:DB8:0:0::1]:444/", "https://[2001:db8::1]:444/",
	    "[2001:db8::1]", 444, 1 },
	{ "https://[::ffff:192.0.2.1]/", NULL, "[::ffff:192.0.2.1]", 443, 1 },
};

static void
a_good_url_is_read_and_spelt_anew(void **state)
{
	struct url u, again;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(good); i++) {
		u = parsed(good[i].text);
		assert_string_equal(u.text, good[i].spelt == NULL ?
		    good[i].text : good[i].spelt);
		assert_string_equal(u.host, good[i].host);
		assert_int_equal(u.port, good[i].port);
		assert_int_equal(u.literal, good[i].literal);
		/* What is spelt anew stays so. */
		again = parsed(u.text);
		assert_string_equal(again.text, u.text);
		assert_true(url_same_origin(&u, &again));
	}
}

static const char *const bad[] = {
	"", "h", "https", "https:", "https:/", "https://", "https:///",
	"https:///a", "https:a.example", "http://a.example/",
	"ftp://a.example/", "file:///etc/passwd", " https://a.example/",
	"httpss://a.example/", "//a.example/", "/a", "javascript:x",
	/* the authority */
	"https://@a.example/", "https://u@a.example/",
	"https://u:p@a.example/", "https://a.example@b.example/",
	"https://a.example:443@b.example/", "https://a.example:/",
	"https://a.example:0/", "https://a.example:00443/",
	"https://a.example:0443/", "https://a.example:65536/",
	"https://a.example:99999/", "https://a.example:100000/",
	"https://a.example:+1/", "https://a.example:-1/",
	"https://a.example: 1/", "https://a.example:1a/",
	"https://a.example:1:2/", "https://:443/", "https://a.example./",
	"https://.a.example/", "https://a..example/", "https://-a.example/",
	"https://a-.example/", "https://a.example-/", "https://a_b.example/",
	"https://a b.example/", "https://a%2eexample/", "https://a\\b/",
	"https://a.example\\@b.example/", "https://\xc3\xbc.example/",
	"https://a\t.example/", "https://a.example\r\n/", "https://*.example/",
	"https://" NAME63 "a.b/",
	"https://" NAME63 "." NAME63 "." NAME63 "." NAME63 "/",
	/* numbers that are an address for some */
	"https://1/", "https://2130706433/", "https://127.1/",
	"https://127.0.1/", "https://0x7f000001/", "https://0x7f.0.0.1/",
	"https://127.0.0.0x1/", "https://a.0x/", "https://0177.0.0.1/",
	"https://127.0.0.01/", "https://256.1.1.1/", "https://1.2.3.4.5/",
	"https://a.1/", "https://1.2.3.4./",
	/* IPv6 */
	"https://[]/", "https://[::1/", "https://::1/", "https://[::1]a/",
	"https://[::1]:/", "https://[::1]443/", "https://[::1%25lo]/",
	"https://[::1%lo]/", "https://[fe80::1%eth0]/", "https://[1.2.3.4]/",
	"https://[v1.a]/", "https://[::1]]/", "https://[[::1]]/",
	"https://[:::1]/", "https://[12345::1]/",
	/* path, query, fragment */
	"https://a.example#", "https://a.example/#f", "https://a.example/?q#f",
	"https://a.example/a b", "https://a.example/\x7f",
	"https://a.example/\xc3\xbc", "https://a.example/\n",
	"https://a.example/a\r\nHost: b", "https://a.example/%",
	"https://a.example/%4", "https://a.example/%4g", "https://a.example/?%",
	"https://a.example/\\", "https://a.example/<", "https://a.example/\"",
	"https://a.example/[", "https://a.example/|", "https://a.example/^",
	"https://a.example/`", "https://a.example/{",
	"https://a.example/.", "https://a.example/..", "https://a.example/./b",
	"https://a.example/../b", "https://a.example/a/..",
	"https://a.example/a/../b", "https://a.example/a/.?q",
	"https://a.example/%2e", "https://a.example/%2E%2e/b",
	"https://a.example/.%2e/b", "https://a.example/%2e./b",
};

static void
a_bad_url_is_refused_with_a_reason(void **state)
{
	const char *why;
	struct url u;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(bad); i++) {
		why = NULL;
		if (url_parse(slice_of(bad[i]), &u, &why) == 0)
			fail_msg("\"%s\": wanted a refusal, got %s", bad[i],
			    u.text);
		if (why == NULL || why[0] == '\0')
			fail_msg("\"%s\": wanted a reason", bad[i]);
	}
}

static void
a_nul_byte_is_refused_wherever_it_stands(void **state)
{
	static const char text[] = "https://a.example:8443/p?q";
	char copy[sizeof(text)];
	struct slice s = { copy, sizeof(text) - 1 };
	const char *why;
	struct url u;
	size_t i;

	(void)state;
	for (i = 0; i < s.len; i++) {
		memcpy(copy, text, sizeof(text));
		copy[i] = '\0';
		assert_int_equal(url_parse(s, &u, &why), -1);
	}
}

static void
a_url_has_its_bound(void **state)
{
	char text[URL_MAX + 2];
	struct slice s = { text, URL_MAX };
	const char *why;
	struct url u;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "https://a.example/", 18);
	assert_int_equal(url_parse(s, &u, &why), 0);
	assert_int_equal(strlen(u.text), URL_MAX);
	s.len++;
	assert_int_equal(url_parse(s, &u, &why), -1);
	/* Nor may what is made of one be longer. */
	s.len--;
	assert_int_equal(url_parse(s, &u, &why), 0);
	assert_int_equal(url_metadata(&u, FETCH_OIDC, &u), -1);
}

/* ---- origins ----------------------------------------------------------- */

static void
an_origin_is_host_and_port(void **state)
{
	static const struct {
		const char	*a, *b;
		int		 same;
	} rows[] = {
		{ "https://a.example/x", "https://A.EXAMPLE:443/y?z", 1 },
		{ "https://a.example:444", "https://a.example:444/", 1 },
		{ "https://[::1]/", "https://[0:0::0:1]/", 1 },
		{ "https://a.example/", "https://a.example:444/", 0 },
		{ "https://a.example/", "https://b.example/", 0 },
		{ "https://a.example/", "https://a.example.b/", 0 },
		{ "https://a.example/", "https://aa.example/", 0 },
		{ "https://192.0.2.1/", "https://[::ffff:192.0.2.1]/", 0 },
		{ "https://localhost/", "https://127.0.0.1/", 0 },
	};
	struct url a, b;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		a = parsed(rows[i].a);
		b = parsed(rows[i].b);
		if (url_same_origin(&a, &b) != rows[i].same ||
		    url_same_origin(&b, &a) != rows[i].same)
			fail_msg("%s, %s: wanted %d", rows[i].a, rows[i].b,
			    rows[i].same);
	}
}

static void
metadata_is_where_the_standards_say(void **state)
{
	static const struct {
		const char	*issuer, *oidc, *oauth;
	} rows[] = {
		{ "https://a.example",
		    "https://a.example/.well-known/openid-configuration",
		    "https://a.example/.well-known/oauth-authorization-server" },
		{ "https://a.example/",
		    "https://a.example/.well-known/openid-configuration",
		    "https://a.example/.well-known/oauth-authorization-server" },
		{ "https://a.example:8443/realms/one",
		    "https://a.example:8443/realms/one/.well-known/"
		    "openid-configuration",
		    "https://a.example:8443/.well-known/"
		    "oauth-authorization-server/realms/one" },
		{ "https://a.example/realms/one/",
		    "https://a.example/realms/one/.well-known/"
		    "openid-configuration",
		    "https://a.example/.well-known/"
		    "oauth-authorization-server/realms/one" },
	};
	struct url issuer, u;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		issuer = parsed(rows[i].issuer);
		assert_int_equal(url_metadata(&issuer, FETCH_OIDC, &u), 0);
		assert_string_equal(u.text, rows[i].oidc);
		assert_true(url_same_origin(&issuer, &u));
		assert_int_equal(url_metadata(&issuer, FETCH_OAUTH, &u), 0);
		assert_string_equal(u.text, rows[i].oauth);
		assert_int_equal(url_metadata(&issuer, FETCH_JWKS, &u), -1);
	}
	issuer = parsed("https://a.example/?q");
	assert_int_equal(url_metadata(&issuer, FETCH_OIDC, &u), -1);
	assert_int_equal(url_metadata(&issuer, FETCH_OAUTH, &u), -1);
}

static void
a_redirect_leads_where_rfc_3986_says_or_nowhere(void **state)
{
	static const struct {
		const char	*location;
		const char	*to;	/* NULL: refused */
	} rows[] = {
		{ "https://b.example/x", "https://b.example/x" },
		{ "/x", "https://a.example:8443/x" },
		{ "x", "https://a.example:8443/p/x" },
		{ "x/y?z", "https://a.example:8443/p/x/y?z" },
		{ "x?a:b", "https://a.example:8443/p/x?a:b" },
		{ "?n", "https://a.example:8443/p/q?n" },
		{ "/a:b", "https://a.example:8443/a:b" },
		{ "//b.example/x", NULL }, { "//a.example:8443/x", NULL },
		{ "http://a.example:8443/x", NULL }, { "", NULL },
		{ "data:x", NULL }, { "a:b", NULL }, { "../x", NULL },
		{ "./x", NULL }, { "/./x", NULL }, { "/../x", NULL },
		{ "#f", NULL }, { "/x#f", NULL }, { "\\\\b.example", NULL },
		{ "/\\b.example", NULL }, { "/x y", NULL },
		{ "/x\r\nA: b", NULL },
		{ "@b.example/x", "https://a.example:8443/p/@b.example/x" },
	};
	struct url base = parsed("https://a.example:8443/p/q?r"), to;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		why = NULL;
		if (url_redirect(&base, slice_of(rows[i].location), &to,
		    &why) == -1) {
			if (rows[i].to != NULL || why == NULL)
				fail_msg("\"%s\": wanted %s, got: %s",
				    rows[i].location, rows[i].to, why);
		} else if (rows[i].to == NULL) {
			fail_msg("\"%s\": wanted a refusal, got %s",
			    rows[i].location, to.text);
		} else {
			assert_string_equal(to.text, rows[i].to);
		}
	}
	/* Of a URL without a path, the host must not grow. */
	base = parsed("https://a.example");
	assert_int_equal(url_redirect(&base, slice_of("x"), &to, &why), 0);
	assert_string_equal(to.text, "https://a.example/x");
	assert_int_equal(url_redirect(&base, slice_of(".b"), &to, &why), 0);
	assert_string_equal(to.text, "https://a.example/.b");
	assert_int_equal(url_redirect(&base, slice_of("@b"), &to, &why), 0);
	assert_string_equal(to.host, "a.example");
}

/* ---- freshness --------------------------------------------------------- */

static void
freshness_is_max_age_less_age(void **state)
{
	static const struct {
		const char	*control, *age;
		uint32_t	 seconds;
	} rows[] = {
		{ "", "", 0 }, { "max-age=60", "", 60 },
		{ "MAX-AGE=60", "", 60 }, { "max-age=\"60\"", "", 60 },
		{ "public, max-age=60, must-revalidate", "", 60 },
		{ "public,max-age=60,x=\"a, no-store\"", "", 60 },
		{ " , ,\tmax-age=60 , ", "", 60 },
		{ "max-age=60", "0", 60 }, { "max-age=60", "59", 1 },
		{ "max-age=60", "60", 0 }, { "max-age=60", "61", 0 },
		{ "max-age=60", "99999999999999999999", 0 },
		{ "max-age=0", "", 0 }, { "max-age=00060", "", 60 },
		{ "max-age=2147483648", "", 2147483648U },
		{ "max-age=2147483649", "", 2147483648U },
		{ "max-age=99999999999999999999999999", "", 2147483648U },
		/* it may not be kept */
		{ "no-store", "", 0 }, { "max-age=60, no-store", "", 0 },
		{ "No-Store, max-age=60", "", 0 }, { "no-cache", "", 0 },
		{ "max-age=60, no-cache=\"set-cookie\"", "", 0 },
		/* not for us, or not said */
		{ "s-maxage=60", "", 0 }, { "private", "", 0 },
		{ "x-max-age=60", "", 0 }, { "max-age-x=60", "", 0 },
		{ "x=\"max-age=60\"", "", 0 },
		{ "s-maxage=5, max-age=60", "", 60 },
		/* malformed */
		{ "max-age", "", 0 }, { "max-age=", "", 0 },
		{ "max-age=-1", "", 0 }, { "max-age=+1", "", 0 },
		{ "max-age=1.5", "", 0 }, { "max-age=0x10", "", 0 },
		{ "max-age=60s", "", 0 }, { "max-age= 60", "", 0 },
		{ "max-age =60", "", 0 }, { "max-age=60 x", "", 0 },
		{ "max-age=60; public", "", 0 }, { "max-age=\"60", "", 0 },
		{ "max-age=\"6\\0\"", "", 0 }, { "max-age=60, x=\"", "", 0 },
		{ "max-age=60, =x", "", 0 }, { "max-age=60, \"x\"", "", 0 },
		{ "max-age=60, max-age=60", "", 0 },
		{ "max-age=60, max-age=61", "", 0 },
		{ "max-age=60", "x", 0 }, { "max-age=60", "-1", 0 },
		{ "max-age=60", "1, 2", 0 },
	};
	uint32_t got;
	size_t i;

	(void)state;
	for (i = 0; i < NROWS(rows); i++) {
		got = freshness(slice_of(rows[i].control),
		    slice_of(rows[i].age));
		if (got != rows[i].seconds)
			fail_msg("\"%s\" \"%s\": wanted %u, got %u",
			    rows[i].control, rows[i].age, rows[i].seconds,
			    got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_url_is_read_and_spelt_anew),
		cmocka_unit_test(a_bad_url_is_refused_with_a_reason),
		cmocka_unit_test(a_nul_byte_is_refused_wherever_it_stands),
		cmocka_unit_test(a_url_has_its_bound),
		cmocka_unit_test(an_origin_is_host_and_port),
		cmocka_unit_test(metadata_is_where_the_standards_say),
		cmocka_unit_test(
		    a_redirect_leads_where_rfc_3986_says_or_nowhere),
		cmocka_unit_test(freshness_is_max_age_less_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
