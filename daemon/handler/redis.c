/* SPDX-License-Identifier: ISC */

/*
 * Where Redis is, and how it is.  Limits have a connection of their own: they
 * do not wait behind large values of the cache.
 */

#include <stdio.h>

#include <openssl/evp.h>

#include "../../common/crypt.h"
#include "../../common/log.h"
#include "../../common/resolve.h"
#include "../../common/stats.h"
#include "../../common/stream.h"
#include "cache.h"
#include "redis.h"
#include "redis_cache.h"

#define LIMIT_REPLY_MAX	(32 * 1024)	/* bytes; an error may have many */
#define CACHE_REPLY_MAX	(CACHE_ENTRY_MAX + 64 * 1024)
#define KEY_TEXT	(NAME_LEN_MAX + SEAL_NAME_LEN + 32)

struct redis_house redis = {
	.limits = { .name = "limits",
	    .without = "each node counts by itself" },
	.cache = { .name = "cache",
	    .without = "each handler keeps results by itself" },
};

static struct redis_url url;
static struct redis_place place = { &url, NULL };
static uint64_t asked_ms;	/* when the parent was, for the URL */
static int login_refused;	/* since it was up */
static char *target;		/* the URL, until prepared */
static char *ca;

int
redis_configure(const struct frame *f)
{
	struct msg_conf_redis m;

	if (target != NULL || get_conf_redis(f, &m) == -1)
		return -1;
	redis.namespace = slice_dup(m.namespace);
	target = slice_dup(m.url);
	ca = slice_dup(m.ca);
	if ((redis.keyed = m.keyed))
		seal_derive(&redis.keys, m.key);
	explicit_bzero(&m, sizeof(m));
	return redis.namespace == NULL || target == NULL || ca == NULL ?
	    -1 : 0;
}

/* ---- how it is --------------------------------------------------------- */

static void
is_away(struct redis_side *s, const char *why)
{
	(void)strlcpy(s->why, why, sizeof(s->why));
	if (s->away)
		return;
	s->away = 1;
	log_warn("redis %s: away: %s: %s until it is back", s->name, why,
	    s->without);
}

static void
is_back(struct redis_side *s)
{
	if (s->ever && !s->away)
		return;
	log_info("redis %s: %s", s->name, s->ever ? "back" : "in force");
	s->ever = 1;
	s->away = 0;
}

static void
went_up(void *arg)
{
	struct redis_side *s = arg;

	login_refused = 0;
	/* What it answered last counts more than that it answers again. */
	if (s->error_ms == 0)
		is_back(s);
	if (s->up != NULL)
		s->up();
}

static void
went_down(const char *why, void *arg)
{
	is_away(arg, why);
}

/* Both uses have one login: told once, whatever went before it. */
static void
is_refused(void *arg)
{
	struct redis_side *s = arg;

	/* It went away for another reason, which is none any more. */
	(void)strlcpy(s->why, "it refuses the login", sizeof(s->why));
	if (!login_refused)
		log_warn("redis: the login is refused: its URL is read again, "
		    "until one is good");
	login_refused = 1;
	child_ask_credentials(CREDENTIALS_REDIS, &asked_ms);
}

/* One answer is not the end of it: some may fail and others not. */
void
redis_well(struct redis_side *s)
{
	if (s->error_ms == 0 || now_ms() - s->error_ms < REDIS_CALM_MS)
		return;
	s->error_ms = 0;
	is_back(s);
}

static int
begins(struct slice text, const char *with)
{
	size_t len = strlen(with);

	return text.len >= len && memcmp(text.ptr, with, len) == 0;
}

void
redis_unwell(struct redis_side *s, const struct reply *r)
{
	char why[REDIS_WHY_MAX], safe[100];
	struct slice text;

	if (r == NULL)
		return;		/* the connection has told */
	if (!reply_is(r, REPLY_ERROR)) {
		redis_lies(s, "it answers another thing than it was asked");
		return;
	}
	text = reply_text(r, 0);
	(void)snprintf(why, sizeof(why), "it answers %s",
	    log_safe(safe, sizeof(safe), text));
	s->errors++;
	s->error_ms = now_ms();
	/* Another server is in its place now: where, its name may tell. */
	if (begins(text, "READONLY") || begins(text, "NOAUTH") ||
	    begins(text, "MASTERDOWN") || begins(text, "LOADING"))
		redis_blame(s->conn, why);
	else
		is_away(s, why);
}

void
redis_lies(struct redis_side *s, const char *what)
{
	s->errors++;
	redis_blame(s->conn, what);
}

/* ---- names and scripts ------------------------------------------------- */

struct slice
redis_key(char kind, const char name[SEAL_NAME_LEN + 1])
{
	static char text[2][KEY_TEXT];
	static unsigned int turn;
	char *to = text[turn++ % 2];

	/* What stands in braces says which node of a cluster has it. */
	(void)snprintf(to, KEY_TEXT, "pontifexd:{%s}:%c:%s", redis.namespace,
	    kind, name);
	return slice_of(to);
}

void
redis_script_init(struct redis_script *script)
{
	uint8_t digest[20];
	unsigned int len = 0;

	if (EVP_Digest(script->text, strlen(script->text), digest, &len,
	    EVP_sha1(), NULL) != 1 || len != sizeof(digest))
		fatal("libcrypto has no SHA-1, which names a script");
	hex_encode(script->sha1, digest, sizeof(digest));
}

struct redis_ask *
redis_script(struct redis_side *s, const struct redis_script *script,
    int eval, struct slice *words, size_t n, redis_done *done, void *arg)
{
	struct redis_ask *a;

	words[0] = slice_of(eval ? "EVAL" : "EVALSHA");
	words[1] = slice_of(eval ? script->text : script->sha1);
	if ((a = redis_ask(s->conn, words, n, done, arg)) == NULL)
		s->unanswered++;
	else if (!eval)
		s->asked++;
	return a;
}

int
redis_unknown_script(const struct reply *r)
{
	return r != NULL && reply_is(r, REPLY_ERROR) &&
	    begins(reply_text(r, 0), "NOSCRIPT");
}

/* ---- life -------------------------------------------------------------- */

static int
add_side(struct redis_side *s, uint32_t answer_ms, size_t reply_max)
{
	static const struct redis_conn_ops ops = {
		.up = went_up, .down = went_down, .refused = is_refused
	};

	s->conn = redis_conn_new(&place, answer_ms, reply_max, &ops, s);
	return s->conn == NULL ? -1 : 0;
}

static int
prepare_way(struct sandbox_needs *needs)
{
	if (url.way == REDIS_UNIX) {
		sandbox_path(needs, url.path, SANDBOX_CONNECT);
		return 0;
	}
	sandbox_port(needs, url.port);
	if (!url.literal) {
		needs->resolve = 1;
		if (resolve_start() == -1)
			return -1;
	}
	if (url.way == REDIS_TLS && (place.tls = stream_tls(ca)) == NULL) {
		log_warn("redis: CA certificates cannot be read: %s",
		    ca[0] != '\0' ? ca : "the system's");
		return -1;
	}
	return 0;
}

int
redis_prepare(struct sandbox_needs *needs, int caches)
{
	const char *why;
	int rc;

	if (target == NULL)
		return 0;
	rc = redis_url_parse(slice_of(target), &url, &why);
	freezero(target, strlen(target) + 1);
	target = NULL;
	if (rc == -1) {
		log_warn("redis: its URL cannot be used: %s", why);
		return -1;
	}
	if (prepare_way(needs) == -1 ||
	    add_side(&redis.limits, REDIS_LIMIT_MS, LIMIT_REPLY_MAX) == -1)
		return -1;
	redis_limit_init();
	if (!caches)
		return 0;
	if (!redis.keyed) {
		log_info("redis cache: off: there is no `redis key' to seal "
		    "results with; limits are shared all the same");
		return 0;
	}
	redis_cache_init();
	return add_side(&redis.cache, REDIS_CACHE_MS, CACHE_REPLY_MAX);
}

void
redis_start(void)
{
	if (redis.limits.conn != NULL)
		redis_conn_start(redis.limits.conn);
	if (redis.cache.conn != NULL)
		redis_conn_start(redis.cache.conn);
}

static int
same_bytes(const char *a, size_t alen, const char *b, size_t blen)
{
	return alen == blen && (alen == 0 || memcmp(a, b, alen) == 0);
}

/* The login may be another: the sandbox knows no other place. */
static void
take_login(const struct redis_url *new)
{
	if (same_bytes(new->user, new->user_len, url.user, url.user_len) &&
	    same_bytes(new->password, new->password_len, url.password,
	    url.password_len))
		return;
	log_info("redis: its URL was read again");
	explicit_bzero(&url, sizeof(url));
	url = *new;
	if (redis.limits.conn != NULL)
		redis_conn_retry(redis.limits.conn);
	if (redis.cache.conn != NULL)
		redis_conn_retry(redis.cache.conn);
}

int
redis_renew(struct slice text)
{
	struct redis_url new;
	const char *why;

	if (redis.limits.conn == NULL)
		return -1;
	if (redis_url_parse(text, &new, &why) == -1)
		log_warn("redis: its URL, read again, cannot be used: %s",
		    why);
	else if (new.way != url.way || strcmp(new.host, url.host) != 0 ||
	    new.port != url.port || strcmp(new.path, url.path) != 0 ||
	    new.db != url.db)
		log_warn("redis: its URL names another server, socket or "
		    "database by now: reload for that");
	else
		take_login(&new);
	explicit_bzero(&new, sizeof(new));
	return 0;
}

void
redis_turn(void)
{
	if (redis.limits.conn != NULL)
		redis_conn_turn(redis.limits.conn);
	if (redis.cache.conn != NULL)
		redis_conn_turn(redis.cache.conn);
}

static void
side_status(const struct redis_side *s, struct buffer *b)
{
	(void)buffer_printf(b, "redis %s: %s%s, asked %llu, errors %llu, "
	    "went on without %llu", s->name, !s->ever && !s->away ?
	    "connecting" : s->away ? "away: " : "in force",
	    s->away ? s->why : "", (unsigned long long)s->asked,
	    (unsigned long long)s->errors,
	    (unsigned long long)s->unanswered);
}

void
redis_status(struct buffer *b)
{
	if (redis.limits.conn != NULL) {
		side_status(&redis.limits, b);
		(void)buffer_printf(b, ", refused %llu\n",
		    (unsigned long long)redis_limited());
	}
	if (redis.cache.conn != NULL) {
		side_status(&redis.cache, b);
		redis_cache_status(b);
		(void)buffer_add_char(b, '\n');
	}
}

void
redis_stats(struct buffer *b)
{
	if (redis.limits.conn != NULL) {
		put_stat(b, STAT_REDIS_LIMITS_AWAY, redis.limits.away ||
		    !redis.limits.ever);
		put_stat(b, STAT_REDIS_LIMITS_ASKED, redis.limits.asked);
		put_stat(b, STAT_REDIS_LIMITS_UNANSWERED,
		    redis.limits.unanswered);
		put_stat(b, STAT_REDIS_LIMITS_REFUSED, redis_limited());
	}
	if (redis.cache.conn != NULL) {
		put_stat(b, STAT_REDIS_CACHE_AWAY, redis.cache.away ||
		    !redis.cache.ever);
		redis_cache_stats(b);
	}
}
