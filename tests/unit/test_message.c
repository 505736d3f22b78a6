/* SPDX-License-Identifier: ISC */

/*
 * common/message.c: every message survives its own building and reading, and
 * no payload that is cut short, has bytes left over, or has any byte changed
 * makes a reader run past its end (the sanitizer build watches that).
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../common/compat.h"
#include "../../common/message.h"

typedef void (*build)(struct buffer *);
typedef int (*take)(const struct frame *);

static const struct identity who = {
	.kind = CREDENTIAL_KEY, .key_id = { "k1", 2 }, .owner = { "alice", 5 },
	.label = { "Alice", 5 }, .attributes = 1,
	.attribute = { { { "tenant", 6 }, { "acme", 4 } } }
};

#define S(s)	{ s, sizeof(s) - 1 }

/* For each message: a sample to build from, and a reader into a scratch. */
#define PAIR(name, ...)							\
static void build_##name(struct buffer *b)				\
{									\
	static struct msg_##name m = { __VA_ARGS__ };			\
	put_##name(b, &m);						\
}									\
static int take_##name(const struct frame *f)				\
{									\
	static struct msg_##name m;					\
	return get_##name(f, &m);					\
}

PAIR(start, .role = 1, .index = 1, .instance = 2, .drop = 1,
    .chroot_dir = S("/var/empty"), .version = S("1.0"))
PAIR(conf_listener, .namespace = S("shop"), .path = S("/mcp"), .handlers = 2)
PAIR(conf_name, .kind = ALLOWED_ORIGIN, .value = S("https://a.example"))
PAIR(conf_tool_text, .name = S("t"), .definition = S("{}"))
PAIR(conf_authd, .namespace = S("shop"), .rate = { 60, 60000, 60 },
    .in_flight = 256)
PAIR(conf_tool_rule, .name = S("t"), .scope = S("a:b:c"),
    .rate = { 10, 1000, 20 }, .claims = 1, .claim = { S("tenant") })
PAIR(conf_handler, .namespace = S("shop"), .sources = 1, .tools = 3,
    .check = CHECK_DESCRIBE)
PAIR(conf_redis, .namespace = S("n"), .url = S("redis://h"), .ca = S("/c"),
    .keyed = 1, .key = { 1, 2, 3 })
PAIR(conf_source, .name = S("s"), .kind = SOURCE_POSTGRES,
    .target = S("host=/tmp"), .lifetime_ms = 1800000, .pooler = 1,
    .sessions = 1,
    .session = { { S("app.tenant"), S("claim.tenant") } })
PAIR(conf_tool, .name = S("t"), .source = S("s"), .sql = S("SELECT $1"),
    .binds = 1, .bind = { S("p:x") }, .rate = { RATE_MAX, PERIOD_MAX_MS, 1 },
    .params = 1)
PAIR(conf_param, .name = S("x"), .type = PARAM_ENUM, .values = 2,
    .value = { S("a"), S("b") }, .has_minimum = 1, .minimum = S("1"))
PAIR(conf_auditd, .namespace = S("shop"), .node = S("edge-1"),
    .journal = S("/var/audit"), .on_failure = FAILURE_STOP)
PAIR(conf_catalogue, .crew = 7, .config_digest = S("ab12"), .tools = 3)
PAIR(checked_source, .source = S("shop"), .text = S("no route"))
PAIR(checked_tool, .tool = 2, .source = S("shop"), .refused = 1,
    .param = S("x"), .text = S("42P01: no such table"))
PAIR(conf_tool_digest, .name = S("t"), .digest = S("00ff"), .source = S("s"))
PAIR(dsn, .number = CREDENTIALS_MAX - 1, .dsn = S("host=/tmp password=x"))
PAIR(peer, .role = 1, .index = 2, .instance = 3)
PAIR(ticket_key, .handler_index = 1, .generation = 7)
PAIR(keys, .file = S("id:hash"))
PAIR(keys_used, .keys = 2, .key = { { S("a1"), 1800000000 },
    { S("b"), 7 } })
PAIR(authorize, .ask = ASK_CALL, .form = FORM_BEARER, .credential = S("sk_x"),
    .method = S("tools/call"), .tool = S("t"), .peer = S("127.0.0.1"))
PAIR(decision, .outcome = OUTCOME_SCOPE_DENIED, .scope = S("a:b:c"),
    .limit = { LIMIT_TOOL, { 10, 1000, 20 }, 0, 1 },
    .ticket = S("\0\1\2"), .tools = S("\377"))
PAIR(call, .ticket = S("\0sealed"), .body = S("{}"))
PAIR(result, .outcome = OUTCOME_OK, .members = S("\"content\":[]"),
    .limit = { LIMIT_IN_FLIGHT, { 256, 0, 0 }, 0, 1 })

static void
build_audit_decision(struct buffer *b)
{
	struct msg_audit_decision m = { .calls = 3, .identity = who,
	    .method = S("tools/call"), .tool = S("t"), .writes = 1 };

	put_audit_decision(b, &m);
}

static int
take_audit_decision(const struct frame *f)
{
	struct msg_audit_decision m;

	return get_audit_decision(f, &m);
}

static void
build_audit_call(struct buffer *b)
{
	static struct msg_audit_call m;

	m.identity = who;
	m.tool = slice_of("t");
	m.params = slice_of("{\"a\":1}");
	m.hiddens = 1;
	m.hidden[0].name = slice_of("secret");
	m.hidden[0].value = slice_of("\"v\"");
	m.rows = 3;
	put_audit_call(b, &m);
}

static int
take_audit_call(const struct frame *f)
{
	static struct msg_audit_call m;

	return get_audit_call(f, &m);
}

#define ROW(name)	{ #name, build_##name, take_##name }

static const struct {
	const char	*name;
	build		 build;
	take		 take;
} rows[] = {
	ROW(start), ROW(conf_listener), ROW(conf_name), ROW(conf_tool_text),
	ROW(conf_authd), ROW(conf_tool_rule), ROW(conf_handler),
	ROW(conf_redis),
	ROW(conf_source), ROW(conf_tool), ROW(conf_param), ROW(conf_auditd),
	ROW(conf_catalogue), ROW(checked_source), ROW(checked_tool),
	ROW(conf_tool_digest), ROW(dsn), ROW(peer), ROW(ticket_key), ROW(keys), ROW(keys_used),
	ROW(authorize), ROW(decision), ROW(call), ROW(result),
	ROW(audit_decision), ROW(audit_call),
};

/* The reader sees an allocation of the exact size, so that ASan sees it. */
static int
read_copy(take reader, const unsigned char *data, size_t len)
{
	unsigned char *copy = malloc(len ? len : 1);
	struct frame f = { 0, 0, copy, len, -1 };
	int rc;

	assert_non_null(copy);
	if (len > 0)
		memcpy(copy, data, len);
	rc = reader(&f);
	free(copy);
	return rc;
}

static void
what_is_built_is_read(void **state)
{
	struct buffer b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buffer_init(&b, 1 << 20);
		rows[i].build(&b);
		if (b.bad || read_copy(rows[i].take, b.data, b.len) != 0)
			fail_msg("%s is not read back", rows[i].name);
		buffer_free(&b);
	}
}

static void
a_cut_or_longer_payload_is_refused(void **state)
{
	struct buffer b;
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buffer_init(&b, 1 << 20);
		rows[i].build(&b);
		buffer_add_char(&b, '\0');
		if (read_copy(rows[i].take, b.data, b.len) != -1)
			fail_msg("%s: a byte left over is taken", rows[i].name);
		for (len = 0; len < b.len - 1; len++)
			if (read_copy(rows[i].take, b.data, len) != -1)
				fail_msg("%s: cut at %zu is taken",
				    rows[i].name, len);
		buffer_free(&b);
	}
}

static void
no_changed_byte_breaks_a_reader(void **state)
{
	static const unsigned char values[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct buffer b;
	size_t i, at, v;
	unsigned char save;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buffer_init(&b, 1 << 20);
		rows[i].build(&b);
		for (at = 0; at < b.len; at++) {
			save = b.data[at];
			for (v = 0; v < sizeof(values); v++) {
				b.data[at] = values[v];
				(void)read_copy(rows[i].take, b.data, b.len);
			}
			b.data[at] = save;
		}
		buffer_free(&b);
	}
}

static void
values_past_their_bounds_are_refused(void **state)
{
	static struct msg_audit_call call;
	static char long_name[TOOL_NAME_MAX + 2];
	struct msg_authorize ask = { .ask = ASK_CALL };
	struct msg_audit_decision decision = { .identity = who };
	struct msg_ticket_key key = { .generation = 0 };
	struct msg_conf_name host = { .kind = ALLOWED_HOST,
	    .value = S("a\0b") };
	struct buffer b;

	(void)state;
	memset(long_name, 'x', sizeof(long_name) - 1);
	buffer_init(&b, 1 << 20);
	ask.tool = slice_of(long_name);
	put_authorize(&b, &ask);
	assert_int_equal(read_copy(take_authorize, b.data, b.len), -1);
	buffer_clear(&b);
	ask.tool.len = TOOL_NAME_MAX;
	put_authorize(&b, &ask);
	assert_int_equal(read_copy(take_authorize, b.data, b.len), 0);
	buffer_clear(&b);
	ask.ask = ASK_MAX;
	put_authorize(&b, &ask);
	assert_int_equal(read_copy(take_authorize, b.data, b.len), -1);
	buffer_clear(&b);
	decision.outcome = OUTCOME_MAX;
	put_audit_decision(&b, &decision);
	assert_int_equal(read_copy(take_audit_decision, b.data, b.len), -1);
	buffer_clear(&b);
	put_ticket_key(&b, &key);
	assert_int_equal(read_copy(take_ticket_key, b.data, b.len), -1);
	buffer_clear(&b);
	put_conf_name(&b, &host);
	assert_int_equal(read_copy(take_conf_name, b.data, b.len), -1);
	buffer_clear(&b);
	/* A count that promises more than there is room for. */
	put_audit_call(&b, &call);
	assert_int_equal(read_copy(take_audit_call, b.data, b.len), 0);
	buffer_free(&b);
}

/* A receiver divides by them. */
static void
a_rate_is_none_or_a_whole_one(void **state)
{
	static const struct {
		struct rate	rate;
		int		ok;
	} rates[] = {
		{ { 0, 0, 0 }, 1 }, { { 1, 1, 1 }, 1 },
		{ { RATE_MAX, PERIOD_MAX_MS, RATE_MAX }, 1 },
		{ { 0, 1000, 0 }, 0 }, { { 0, 0, 1 }, 0 },
		{ { 1, 0, 1 }, 0 }, { { 1, 1000, 0 }, 0 },
		{ { RATE_MAX + 1, 1000, 1 }, 0 },
		{ { 1, PERIOD_MAX_MS + 1, 1 }, 0 },
		{ { 1, 1000, RATE_MAX + 1 }, 0 },
	};
	struct msg_conf_tool_rule rule = { .name = S("t") };
	struct msg_decision decision = { .retry_after = 1 };
	struct buffer b;
	size_t i;

	(void)state;
	buffer_init(&b, 1 << 20);
	for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		buffer_clear(&b);
		rule.rate = rates[i].rate;
		put_conf_tool_rule(&b, &rule);
		if (read_copy(take_conf_tool_rule, b.data, b.len) !=
		    (rates[i].ok ? 0 : -1))
			fail_msg("rate %zu: wanted ok %d", i, rates[i].ok);
		/* What was hit has one; the cap of calls has a count alone. */
		buffer_clear(&b);
		decision.limit.what = LIMIT_CALLER;
		decision.limit.rate = rates[i].rate;
		put_decision(&b, &decision);
		if (read_copy(take_decision, b.data, b.len) !=
		    (rates[i].ok && rates[i].rate.count > 0 ? 0 : -1))
			fail_msg("limit %zu: wanted ok %d", i, rates[i].ok);
		buffer_clear(&b);
		decision.limit.what = LIMIT_IN_FLIGHT;
		put_decision(&b, &decision);
		assert_int_equal(read_copy(take_decision, b.data, b.len), -1);
	}
	buffer_clear(&b);
	decision.limit.what = LIMIT_WHAT_MAX;
	put_decision(&b, &decision);
	assert_int_equal(read_copy(take_decision, b.data, b.len), -1);
	buffer_free(&b);
}

static void
what_was_hit_is_read_back(void **state)
{
	struct msg_result m = { .outcome = OUTCOME_RATE_LIMITED,
	    .retry_after = 3, .members = S(""),
	    .limit = { LIMIT_CALLER, { 10, 1000, 20 }, 4, 3 } };
	struct msg_result seen;
	struct frame f = { .fd = -1 };
	struct buffer b;

	(void)state;
	buffer_init(&b, 1 << 20);
	put_result(&b, &m);
	f.payload = b.data;
	f.length = b.len;
	assert_int_equal(get_result(&f, &seen), 0);
	assert_int_equal(seen.limit.what, LIMIT_CALLER);
	assert_int_equal(seen.limit.rate.count, 10);
	assert_int_equal(seen.limit.rate.period_ms, 1000);
	assert_int_equal(seen.limit.rate.burst, 20);
	assert_int_equal(seen.limit.remaining, 4);
	assert_int_equal(seen.limit.reset_s, 3);
	buffer_free(&b);
}

/* A pontifexctl of one version asks a daemon of another to be upgraded. */
static void
what_pontifexctl_asks_keeps_its_number_in_every_version(void **state)
{
	static const struct {
		unsigned int	type, number;
		const char	*name;
	} fixed[] = {
		{ MSG_CTL_STATUS, 512, "ctl status" },
		{ MSG_CTL_FIGURES, 513, "ctl figures" },
		{ MSG_FIGURES, 514, "figures" },
		{ MSG_CTL_RELOAD, 515, "ctl reload" },
		{ MSG_CTL_UPGRADE, 516, "ctl upgrade" },
		{ MSG_CTL_DIFF, 517, "ctl diff" },
		{ MSG_CTL_VERBOSE, 518, "ctl verbose" },
		{ MSG_CTL_EXPLAIN, 519, "ctl explain" },
		{ MSG_CTL_REPLY, 520, "ctl reply" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		assert_int_equal(fixed[i].type, fixed[i].number);
		assert_string_equal(message_name(fixed[i].type),
		    fixed[i].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_built_is_read),
		cmocka_unit_test(a_cut_or_longer_payload_is_refused),
		cmocka_unit_test(no_changed_byte_breaks_a_reader),
		cmocka_unit_test(values_past_their_bounds_are_refused),
		cmocka_unit_test(a_rate_is_none_or_a_whole_one),
		cmocka_unit_test(what_was_hit_is_read_back),
		cmocka_unit_test(what_pontifexctl_asks_keeps_its_number_in_every_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
