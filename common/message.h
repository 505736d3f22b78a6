/* SPDX-License-Identifier: ISC */

/*
 * Every message between two processes: its type, who sends it to whom, what
 * it carries.  A receiver may assume nothing of it but what the read function
 * has checked: lengths are within limits.h, enums within their range, and
 * nothing is left over.  Slices point into the frame.
 *
 * put_X() appends the payload to a buffer (use it with channel_begin());
 * get_X() returns 0, or -1 where the payload is malformed.  The two stand side
 * by side in the file that the section here names; whoever adds a field adds
 * it in both and in tests/unit/test_message.c.
 */

#ifndef COMMON_MESSAGE_H
#define COMMON_MESSAGE_H

#include <stdint.h>

#include "frame.h"
#include "identity.h"
#include "limits.h"
#include "outcome.h"
#include "rate.h"
#include "wire.h"

enum message_type {
	MSG_NONE,
	/* parent -> any child, first of all */
	MSG_START,
	/* parent -> child: its slice of the configuration, any number of each */
	MSG_CONF_LISTENER,	/* one, listener */
	MSG_CONF_NAME,		/* listener: allowed host or origin */
	MSG_CONF_TOOL_TEXT,	/* listener: a tool's rendered definition */
	MSG_CONF_AUTHD,		/* one, authd */
	MSG_CONF_TOOL_RULE,	/* authd, in configuration order */
	MSG_CONF_ISSUER,	/* authd, in configuration order */
	MSG_CONF_GRANT,		/* authd: a role of the issuer before it */
	MSG_CONF_FETCH,		/* fetcher: an issuer, in configuration order */
	MSG_CONF_HANDLER,	/* one, handler */
	MSG_CONF_SINK,		/* auditd */
	MSG_SINK_PIPE,		/* auditd: its number (u32), a descriptor */
	MSG_CONF_GENERATIONS,	/* one, handler; a descriptor: the shared page */
	MSG_CONF_REDIS,		/* at most one, handler: before the sources */
	MSG_CONF_SOURCE,	/* handler */
	MSG_CONF_TOOL,		/* handler, in configuration order */
	MSG_CONF_PARAM,		/* handler: a parameter of the tool before it */
	MSG_CONF_AUDITD,	/* one, auditd */
	/* auditd: what records of a crew name; also in the loop, at a reload */
	MSG_CONF_CATALOGUE,
	MSG_CONF_TOOL_DIGEST,	/* auditd: a tool of the catalogue before it */
	MSG_CONFIG_END,		/* empty */
	/* parent -> child, in the loop */
	MSG_PEER,		/* with a descriptor */
	MSG_LISTEN,		/* listener: with a listening descriptor */
	MSG_LISTEN_METRICS,	/* listener: u8, 1: a Unix socket; a listening descriptor */
	MSG_METRICS,		/* listener: series (series.h), answers MSG_METRICS_ASK */
	MSG_KEYS,		/* authd: the whole key file, at start too */
	MSG_TICKET_KEY,		/* handler: the ticket key that is valid now */
	MSG_VERBOSE,		/* u8 */
	MSG_SHUTDOWN,		/* empty: finish and exit 0 */
	MSG_LEAVE,		/* listener, empty: accept no more, end when all is answered */
	/* auditd, empty: exit 0, another takes the journal; back: it cannot */
	MSG_HAND_OVER,
	MSG_STATUS_ASK,		/* empty */
	MSG_STATS_ASK,		/* empty */
	MSG_EXPLAIN,		/* authd: a token, to the payload's end */
	MSG_DSN,		/* handler, auditd: how that is reached from now on */
	/* child -> parent */
	MSG_READY,		/* empty: confined, in the loop */
	MSG_STATUS,		/* lines of text, answers MSG_STATUS_ASK */
	MSG_STATS,		/* cells (stats.h), answers MSG_STATS_ASK; the last word */
	MSG_METRICS_ASK,	/* listener 0: empty, once a second at most */
	MSG_EXPLAINED,		/* lines of text, answers MSG_EXPLAIN */
	MSG_CREDENTIALS,	/* u32, handler, auditd: who refuses those that it has */
	MSG_KEYS_USED,		/* authd: when which key was used last */
	MSG_LEFT,		/* listener, empty: it accepts nothing more */
	/* handler that was told to check: what it found, and the end of that */
	MSG_CHECKED_SOURCE,
	MSG_CHECKED_TOOL,
	MSG_CHECKED,		/* empty */
	/* MSG_PEER, too: that peer ended its channel to us */
	MSG_VIOLATION,		/* u32: the system call that the sandbox refused */
	/* listener <-> authd; the frame id is the listener's question number */
	MSG_AUTHORIZE,
	MSG_DECISION,
	/* authd <-> fetcher; the frame id is authd's number of the fetch */
	MSG_FETCH,
	MSG_FETCHED,
	/* listener <-> handler; the frame id is the question number */
	MSG_CALL,
	MSG_RESULT,
	MSG_CANCEL,		/* empty: nobody waits for the result any more */
	MSG_SERVES,		/* u8, handler -> listener: whether calls would be served */
	/* authd, handler -> auditd; the frame id is the sender's report number */
	MSG_AUDIT_DECISION,	/* authd */
	MSG_AUDIT_EVENT,	/* authd; the parent */
	MSG_AUDIT_INTENT,	/* handler */
	MSG_AUDIT_OUTCOME,	/* handler */
	/* auditd -> authd, handler: report numbers that are durable, or failed */
	MSG_AUDIT_ACK,
	MSG_AUDIT_NACK,
	MSG_RECORDS,		/* u8, auditd -> handler: whether a call would be recorded */
	/*
	 * pontifexctl <-> parent, over the control socket.  At an upgrade they
	 * are of two versions: these numbers do not change, and one more comes
	 * last.
	 */
	MSG_CTL_STATUS = 512,	/* empty: the children's own words */
	MSG_CTL_FIGURES,	/* empty */
	MSG_FIGURES,		/* series (series.h), answers MSG_CTL_FIGURES */
	MSG_CTL_RELOAD,		/* empty */
	MSG_CTL_UPGRADE,	/* empty */
	MSG_CTL_DIFF,		/* u8: as JSON */
	MSG_CTL_VERBOSE,	/* u8 */
	MSG_CTL_EXPLAIN,	/* a token, to the payload's end; root alone */
	MSG_CTL_REPLY,		/* u8: enum ctl_status; then text, to the payload's end */
	MSG_MAX
};

const char	*message_name(unsigned int type);

/* ---- message_order.c: parent <-> any child ---------------------------------- */

struct msg_start {
	uint8_t		role;		/* enum role */
	uint32_t	index;
	uint32_t	instance;
	uint64_t	boot_id;
	int		foreground;
	int		verbose;
	int		drop;		/* started as root: drop to uid, gid */
	uint32_t	uid;
	uint32_t	gid;
	struct slice	chroot_dir;	/* empty: do not */
	struct slice	version;	/* of the parent: the child's own, or it ends */
};
void	put_start(struct buffer *, const struct msg_start *);
int	get_start(const struct frame *, struct msg_start *);

/*
 * A new peer; the descriptor travels with it.  To authd for a handler, it
 * carries the ticket key of that handler and its generation.
 */
struct msg_peer {
	uint8_t		role;		/* enum role */
	uint32_t	index;
	uint32_t	instance;
	uint32_t	crew;		/* whose configuration it has; 0: auditd */
};
void	put_peer(struct buffer *, const struct msg_peer *);
int	get_peer(const struct frame *, struct msg_peer *);

/*
 * To a handler: its own; to authd: that of the handler named.  Authd and
 * handlers share no socket: this is all they have in common.
 */
struct msg_ticket_key {
	uint32_t	handler_index;
	uint32_t	handler_instance;
	uint32_t	generation;	/* from 1 */
	uint8_t		key[KEY_LEN];
};
void	put_ticket_key(struct buffer *, const struct msg_ticket_key *);
int	get_ticket_key(const struct frame *, struct msg_ticket_key *);

/* The key file and the pepper, whole. */
struct msg_keys {
	uint8_t		pepper[KEY_LEN];
	struct slice	file;		/* bytes of the file */
};
void	put_keys(struct buffer *, const struct msg_keys *);
int	get_keys(const struct frame *, struct msg_keys *);

/* Who may refuse credentials, beside the sources by their numbers. */
#define CREDENTIALS_REDIS	SOURCES_MAX		/* a handler's */
#define CREDENTIALS_AUDIT	(SOURCES_MAX + 1)	/* auditd's database */
#define CREDENTIALS_MAX		(SOURCES_MAX + 2)

struct msg_dsn {
	uint32_t	number;		/* as in MSG_CREDENTIALS */
	struct slice	dsn;		/* a secret; of Redis its URL */
};
void	put_dsn(struct buffer *, const struct msg_dsn *);
int	get_dsn(const struct frame *, struct msg_dsn *);

/* Keys by their ids, ascending, each once; authd -> parent. */
#define KEYS_USED_MAX	1024	/* of one message */
struct msg_keys_used {
	uint32_t	keys;
	struct {
		struct slice	id;
		uint64_t	when;	/* seconds since 1970 */
	} key[KEYS_USED_MAX];
};
void	put_keys_used(struct buffer *, const struct msg_keys_used *);
int	get_keys_used(const struct frame *, struct msg_keys_used *);

#define CHECK_TEXT_MAX	1024	/* bytes of what one of these says */

struct msg_checked_source {
	struct slice	source;
	int		up;
	struct slice	text;		/* not up: why, without a secret */
};
void	put_checked_source(struct buffer *, const struct msg_checked_source *);
int	get_checked_source(const struct frame *, struct msg_checked_source *);

struct msg_checked_tool {
	uint32_t	tool;		/* number, in configuration order */
	struct slice	source;
	int		refused;
	struct slice	param;		/* that is to blame; may be empty */
	struct slice	text;		/* why; or what it takes and gives */
};
void	put_checked_tool(struct buffer *, const struct msg_checked_tool *);
int	get_checked_tool(const struct frame *, struct msg_checked_tool *);

/* ---- message_config.c: parent -> child, its configuration ----------------- */

#define FORWARDERS_MAX	32	/* networks of gateways */
struct network {
	uint8_t		address[16];	/* IPv4 as a mapped one, RFC 4291 2.5.5.2 */
	uint8_t		bits;		/* of the 128 that count */
};

struct msg_conf_listener {
	struct slice	namespace;
	struct slice	path;		/* "/mcp" */
	struct slice	public_url;	/* may be empty */
	struct slice	version;	/* of pontifexd */
	struct slice	metadata;	/* RFC 9728, JSON; empty: no issuer */
	struct slice	metadata_url;	/* where clients find it */
	uint32_t	handlers;	/* how many there will be */
	uint32_t	per_source;	/* connections of one address; 0: the default */
	int		loopback;	/* listens on loopback only */
	uint32_t	tools;		/* how many MSG_CONF_TOOL_TEXT follow */
	uint32_t	forwarders;	/* whose X-Forwarded-For is believed */
	struct network	forwarder[FORWARDERS_MAX];
};
void	put_conf_listener(struct buffer *, const struct msg_conf_listener *);
int	get_conf_listener(const struct frame *, struct msg_conf_listener *);

enum allowed_kind { ALLOWED_HOST, ALLOWED_ORIGIN, ALLOWED_KIND_MAX };
struct msg_conf_name {
	uint8_t		kind;		/* enum allowed_kind */
	struct slice	value;		/* lower case; a host without port */
};
void	put_conf_name(struct buffer *, const struct msg_conf_name *);
int	get_conf_name(const struct frame *, struct msg_conf_name *);

struct msg_conf_tool_text {
	struct slice	name;
	struct slice	definition;	/* the JSON object of tools/list */
};
void	put_conf_tool_text(struct buffer *, const struct msg_conf_tool_text *);
int	get_conf_tool_text(const struct frame *, struct msg_conf_tool_text *);

struct msg_conf_authd {
	struct slice	namespace;
	struct rate	rate;		/* of the auth block */
	uint32_t	in_flight;	/* calls of one caller, at least 1 */
	uint32_t	tools;
	uint32_t	listeners;
	uint32_t	handlers;
	uint32_t	issuers;	/* how many MSG_CONF_ISSUER follow */
};
void	put_conf_authd(struct buffer *, const struct msg_conf_authd *);
int	get_conf_authd(const struct frame *, struct msg_conf_authd *);

struct msg_conf_tool_rule {
	struct slice	name;
	struct slice	scope;		/* "shop:order:read" */
	int		writes;
	struct rate	rate;		/* of each caller for this tool */
	uint32_t	claims;		/* that the tool binds and so needs */
	struct slice	claim[ATTRIBUTES_MAX];	/* "tenant" */
};
void	put_conf_tool_rule(struct buffer *, const struct msg_conf_tool_rule *);
int	get_conf_tool_rule(const struct frame *, struct msg_conf_tool_rule *);

/* An OIDC issuer: what authd takes from its tokens, and how. */
struct msg_conf_issuer {
	struct slice	url;		/* what `iss' must be, byte for byte */
	int		discover;	/* where its keys are stands in its metadata */
	struct slice	typ;		/* empty: absent, "JWT" or "at+jwt" */
	struct slice	scopes_from;	/* claim, dotted: "realm_access.roles" */
	uint32_t	leeway_s;
	uint32_t	lifetime_s;	/* longest that exp may be from iat or now */
	struct rate	rate;		/* count 0: the auth block's */
	uint32_t	in_flight;	/* 0: the auth block's */
	uint32_t	audiences;
	struct slice	audience[AUDIENCES_MAX];
	uint32_t	claims;		/* that tools may bind, audit may show */
	struct slice	claim[ATTRIBUTES_MAX];
	uint32_t	grants;		/* how many MSG_CONF_GRANT follow */
};
void	put_conf_issuer(struct buffer *, const struct msg_conf_issuer *);
int	get_conf_issuer(const struct frame *, struct msg_conf_issuer *);

/* role "x" grants "a", "b": a value of the scopes claim stands for others. */
struct msg_conf_grant {
	struct slice	role;
	uint32_t	scopes;
	struct slice	scope[SCOPES_MAX];
};
void	put_conf_grant(struct buffer *, const struct msg_conf_grant *);
int	get_conf_grant(const struct frame *, struct msg_conf_grant *);

/* An issuer as the fetcher sees it. */
struct msg_conf_fetch {
	struct slice	issuer;		/* its URL */
	struct slice	jwks;		/* URL; empty: authd finds it in the metadata */
	struct slice	ca;		/* file of CA certificates; empty: the system's */
	int		allow_private;	/* non-global addresses may be asked */
};
void	put_conf_fetch(struct buffer *, const struct msg_conf_fetch *);
int	get_conf_fetch(const struct frame *, struct msg_conf_fetch *);

enum check_mode {
	CHECK_NONE,
	CHECK_STATEMENTS,	/* say which are refused: a reload */
	CHECK_DESCRIBE,		/* … and what all take and give: pontifexd -nn */
	CHECK_MODE_MAX
};
struct msg_conf_handler {
	struct slice	namespace;
	uint32_t	sources;
	uint32_t	tools;
	uint8_t		check;		/* enum check_mode */
};
void	put_conf_handler(struct buffer *, const struct msg_conf_handler *);
int	get_conf_handler(const struct frame *, struct msg_conf_handler *);

struct msg_conf_redis {
	struct slice	namespace;
	struct slice	url;		/* a secret */
	struct slice	ca;		/* absolute path; empty: the system's */
	int		keyed;		/* results may be kept there, under: */
	uint8_t		key[KEY_LEN];	/* zero where not keyed */
};
void	put_conf_redis(struct buffer *, const struct msg_conf_redis *);
int	get_conf_redis(const struct frame *, struct msg_conf_redis *);

enum source_kind { SOURCE_SQLITE, SOURCE_POSTGRES, SOURCE_KIND_MAX };
struct msg_conf_source {
	struct slice	name;
	uint8_t		kind;		/* enum source_kind */
	struct slice	target;		/* absolute path, or DSN (a secret) */
	uint32_t	connections;	/* per handler */
	uint32_t	timeout_ms;	/* default of its tools */
	uint32_t	connect_timeout_ms;
	uint32_t	statement_timeout_ms;	/* 0: as long as the tool has */
	uint32_t	pool_wait_ms;	/* for a connection; 0: as the tool has */
	uint32_t	lifetime_ms;	/* of a connection; 0: without end */
	uint32_t	idle_ms;	/* unused, and renewed; 0: never */
	int		pooler;		/* in transaction mode, between us and it */
	struct slice	fallback;	/* who stands in for it; may be empty */
	int		writes;		/* some tool writes to it */
	uint32_t	sessions;
	struct {
		struct slice	name;	/* "app.tenant" */
		struct slice	value;	/* "claim.tenant", "owner", "id" */
	} session[SESSIONS_MAX];
};
void	put_conf_source(struct buffer *, const struct msg_conf_source *);
int	get_conf_source(const struct frame *, struct msg_conf_source *);

struct msg_conf_tool {
	struct slice	name;
	struct slice	source;
	/*
	 * The statement with :name replaced by $1, $2 … (by ?1, ?2 … for
	 * SQLite), the same number for each use of one name.
	 */
	struct slice	sql;
	uint32_t	binds;		/* how many numbers */
	/*
	 * What number n+1 stands for: "p:NAME" a parameter, or "c:id",
	 * "c:owner", "c:claim.NAME" of the caller.
	 */
	struct slice	bind[PARAMS_MAX + ATTRIBUTES_MAX];
	int		writes;
	uint32_t	timeout_ms;	/* 0: the source's */
	uint32_t	limit_rows;	/* 0: RESULT_ROWS_DEFAULT */
	uint32_t	limit_bytes;	/* 0: RESULT_BYTES_DEFAULT */
	uint8_t		digest[DIGEST_LEN];	/* of its definition */
	uint32_t	cache_ms;	/* 0: its results are not kept */
	int		cache_shared;	/* … and are everybody's */
	uint32_t	invalidates;
	uint32_t	invalidate[INVALIDATES_MAX];	/* numbers of tools */
	struct rate	rate;		/* of each caller for this tool */
	uint32_t	params;		/* how many MSG_CONF_PARAM follow */
};
void	put_conf_tool(struct buffer *, const struct msg_conf_tool *);
int	get_conf_tool(const struct frame *, struct msg_conf_tool *);

enum param_type {
	PARAM_INTEGER, PARAM_NUMBER, PARAM_STRING, PARAM_BOOLEAN, PARAM_DATE,
	PARAM_TIMESTAMP, PARAM_UUID, PARAM_ENUM, PARAM_TYPE_MAX
};
/* "integer" …; never NULL. */
const char	*param_type_name(enum param_type);

enum privacy { PRIVACY_CLEAR, PRIVACY_REDACT, PRIVACY_OMIT, PRIVACY_MAX };

struct msg_conf_param {
	struct slice	name;
	uint8_t		type;		/* enum param_type */
	int		required;
	uint8_t		privacy;	/* enum privacy */
	int		has_default;
	struct slice	default_json;	/* "20", "\"open\"", a JSON text */
	int		has_minimum;
	struct slice	minimum;	/* decimal text, as configured */
	int		has_maximum;
	struct slice	maximum;
	uint32_t	maximum_length;	/* code points; 0: none given */
	struct slice	pattern;	/* POSIX ERE, empty: none */
	uint32_t	values;		/* of an enum */
	struct slice	value[ENUM_MAX];
};
void	put_conf_param(struct buffer *, const struct msg_conf_param *);
int	get_conf_param(const struct frame *, struct msg_conf_param *);

enum audit_failure { FAILURE_REFUSE, FAILURE_STOP, FAILURE_CONTINUE, FAILURE_MAX };
struct msg_conf_auditd {
	struct slice	namespace;
	struct slice	node;
	struct slice	journal;	/* absolute path of the directory */
	uint64_t	limit;		/* bytes not yet drained; 0: no bound given */
	uint64_t	segment;	/* bytes of one segment; 0: the default */
	uint64_t	keep_s;		/* seconds, then drained ones go; 0: never */
	uint32_t	checkpoint_records;	/* 0: the default */
	uint32_t	checkpoint_ms;	/* 0: the default */
	uint32_t	checkpoints;
	struct slice	checkpoint[CHECKPOINTS_MAX];	/* absolute paths */
	uint8_t		on_failure;	/* enum audit_failure */
	struct slice	dsn;		/* Postgres, may be empty (a secret) */
};
void	put_conf_auditd(struct buffer *, const struct msg_conf_auditd *);
int	get_conf_auditd(const struct frame *, struct msg_conf_auditd *);

/* Takes the place of what was said of this crew before; it is the newest. */
struct msg_conf_catalogue {
	uint32_t	crew;		/* as in struct msg_peer */
	struct slice	config_digest;	/* hex */
	uint32_t	tools;		/* how many MSG_CONF_TOOL_DIGEST follow */
};
void	put_conf_catalogue(struct buffer *, const struct msg_conf_catalogue *);
int	get_conf_catalogue(const struct frame *, struct msg_conf_catalogue *);

struct msg_conf_tool_digest {
	struct slice	name;
	struct slice	digest;		/* hex of SHA-256 over its definition */
	struct slice	source;
	struct slice	sql;		/* as it is sent to the source */
	int		writes;
};
void	put_conf_tool_digest(struct buffer *,
	    const struct msg_conf_tool_digest *);
int	get_conf_tool_digest(const struct frame *,
	    struct msg_conf_tool_digest *);

enum sink_kind { SINK_SYSLOG, SINK_FILE, SINK_PIPE, SINK_KIND_MAX };
struct msg_conf_sink {
	uint8_t		kind;		/* enum sink_kind */
	struct slice	name;		/* "syslog", "file", "pipe" and a number */
	struct slice	target;		/* path, program, unix:, tcp://, tls:// */
	struct slice	ca;		/* path; may be empty */
};
void	put_conf_sink(struct buffer *, const struct msg_conf_sink *);
int	get_conf_sink(const struct frame *, struct msg_conf_sink *);

/* ---- message_call.c: listener <-> authd ------------------------------------- */

enum credential_form {
	FORM_NONE,		/* no Authorization header */
	FORM_BEARER,
	FORM_MALFORMED,		/* another scheme, empty, too long, twice */
	FORM_MAX
};

enum ask {
	ASK_PLAIN,		/* a method that needs an identity and no more */
	ASK_LIST,		/* tools/list: answer with the bitmap */
	ASK_CALL,		/* tools/call: answer with a ticket */
	/*
	 * The listener refuses the request itself: record it.  No identity
	 * is resolved; the answer is sent when the record is durable.
	 */
	ASK_REPORT,
	/*
	 * As ASK_REPORT, of a request whose credential must be good before the
	 * caller may learn what was wrong with it (bad params, bad version):
	 * a bad credential gets its 401 or 429, a good one the reported
	 * refusal, recorded under its identity.
	 */
	ASK_REPORT_KNOWN,
	ASK_MAX
};

struct msg_authorize {
	uint8_t		ask;		/* enum ask */
	uint32_t	handler_index;	/* ASK_CALL: whom the ticket is for */
	uint8_t		form;		/* enum credential_form */
	struct slice	credential;
	struct slice	method;		/* JSON-RPC method, may be empty */
	struct slice	tool;		/* may be empty */
	uint8_t		digest[DIGEST_LEN];	/* SHA-256 of the body */
	struct slice	peer;		/* printed address, no port */
	struct slice	via;		/* of the gateway that named it; or empty */
	struct slice	revision;	/* protocol revision, may be empty */
	struct slice	client;		/* unverified, may be empty */
	struct slice	traceparent;	/* may be empty */
	/* ASK_REPORT*: */
	uint8_t		outcome;	/* enum outcome, not OUTCOME_OK */
	uint8_t		reason;		/* enum reason */
};
void	put_authorize(struct buffer *, const struct msg_authorize *);
int	get_authorize(const struct frame *, struct msg_authorize *);

struct msg_decision {
	uint8_t		outcome;	/* OUTCOME_OK: allowed */
	uint8_t		request_id[REQUEST_ID_LEN];	/* authd mints it */
	int		no_credential;	/* 401 without an `error' attribute */
	uint32_t	retry_after;	/* seconds, 0: not said */
	struct limit_hit limit;		/* 429: what was hit */
	struct slice	scope;		/* 403, 401: the scope to ask for */
	struct slice	ticket;		/* ASK_CALL allowed: sealed */
	int		writes;		/* ASK_CALL allowed: the tool does */
	struct slice	tools;		/* ASK_LIST allowed: bit n = tool n, LSB first */
};
void	put_decision(struct buffer *, const struct msg_decision *);
int	get_decision(const struct frame *, struct msg_decision *);

/* ---- message_call.c: authd <-> fetcher -------------------------------------- */

enum fetch_what {
	FETCH_JWKS,
	FETCH_OIDC,		/* ISSUER/.well-known/openid-configuration */
	FETCH_OAUTH,		/* RFC 8414: the well-known part before the path */
	FETCH_WHAT_MAX
};

struct msg_fetch {
	uint32_t	issuer;		/* number, in configuration order */
	uint8_t		what;		/* enum fetch_what */
	/*
	 * FETCH_JWKS: the URL that the metadata gave, on the issuer's own
	 * origin; empty: the configured one.
	 */
	struct slice	url;
};
void	put_fetch(struct buffer *, const struct msg_fetch *);
int	get_fetch(const struct frame *, struct msg_fetch *);

/* Exactly one for each MSG_FETCH, with its id. */
struct msg_fetched {
	uint32_t	issuer;
	uint8_t		what;		/* enum fetch_what */
	int		ok;		/* HTTP 200, whole, within bounds */
	uint32_t	max_age_s;	/* of Cache-Control; 0: not said, or no-store */
	struct slice	bytes;		/* the document; or why not, one line */
};
void	put_fetched(struct buffer *, const struct msg_fetched *);
int	get_fetched(const struct frame *, struct msg_fetched *);

/* ---- message_call.c: listener <-> handler ----------------------------------- */

struct msg_call {
	struct slice	ticket;		/* sealed */
	struct slice	body;		/* the HTTP body, as it came */
};
void	put_call(struct buffer *, const struct msg_call *);
int	get_call(const struct frame *, struct msg_call *);

struct msg_result {
	uint8_t		outcome;
	uint8_t		request_id[REQUEST_ID_LEN];
	uint32_t	retry_after;	/* seconds, 0: not said */
	struct limit_hit limit;		/* OUTCOME_RATE_LIMITED: what was hit */
	/*
	 * The members of the tool result without the braces, JSON:
	 * "content":[…],"structuredContent":{…},"isError":false
	 * Empty where the listener is to answer by HTTP status.
	 */
	struct slice	members;
};
void	put_result(struct buffer *, const struct msg_result *);
int	get_result(const struct frame *, struct msg_result *);

/* ---- message_audit.c: to auditd --------------------------------------------- */

struct msg_audit_decision {
	uint8_t		request_id[REQUEST_ID_LEN];
	uint64_t	time_us;	/* since 1970 */
	uint8_t		outcome;	/* OUTCOME_OK: a call is authorised */
	uint8_t		reason;
	uint32_t	calls;		/* > 1: equal refusals folded into one */
	struct identity	identity;
	struct slice	method;
	struct slice	tool;
	struct slice	peer;
	struct slice	via;
	struct slice	revision;
	struct slice	client;
	struct slice	traceparent;
	/* Of an authorised call: */
	int		writes;
	uint32_t	handler_instance;
	/*
	 * Which question of which listener this answers.  The same pair again
	 * (authd died and the listener asked its successor) supersedes a
	 * decision that has no outcome yet.
	 */
	uint32_t	listener_instance;
	uint64_t	question;
};
void	put_audit_decision(struct buffer *, const struct msg_audit_decision *);
int	get_audit_decision(const struct frame *, struct msg_audit_decision *);

/*
 * What is no call: from authd (keys) and from the parent (what it did).  The
 * id is random: sent again it is dropped.  Answered as a report is.
 */
struct msg_audit_event {
	uint8_t		id[REQUEST_ID_LEN];
	struct slice	name;
	struct slice	detail;		/* a JSON object on one line */
};
#define EVENT_NAME_MAX	32
#define EVENT_DETAIL_MAX 4096
void	put_audit_event(struct buffer *, const struct msg_audit_event *);
int	get_audit_event(const struct frame *, struct msg_audit_event *);

/* An argument that is not to stand in the record in clear. */
struct hidden {
	struct slice	name;
	struct slice	value;		/* its JSON text; to be hashed */
};

/* What a handler says of a call, before it writes (intent) or after it ran. */
struct msg_audit_call {
	uint8_t		request_id[REQUEST_ID_LEN];
	uint64_t	time_us;	/* since 1970 */
	uint8_t		outcome;
	uint8_t		reason;
	struct identity	identity;	/* from the ticket */
	struct slice	tool;
	struct slice	source;		/* that answered, may be empty */
	uint32_t	tries;
	struct slice	tried[TRIED_MAX];	/* sources, in order */
	struct slice	params;		/* JSON object of the clear ones */
	uint32_t	hiddens;
	struct hidden	hidden[PARAMS_MAX];
	uint32_t	response_us;	/* from ticket to outcome */
	uint32_t	queue_us;	/* of it, before the source was asked */
	uint32_t	source_us;	/* of it, waiting for the source */
	uint64_t	rows;
	uint64_t	bytes;		/* of the rendered rows */
	int		truncated;
	int		cache_hit;
	int		intended;	/* outcome: an intent was recorded before */
};
void	put_audit_call(struct buffer *, const struct msg_audit_call *);
int	get_audit_call(const struct frame *, struct msg_audit_call *);

/* MSG_AUDIT_ACK and _NACK: as many u64 report numbers as the payload holds. */
#define ACKS_MAX	4096

/* ---- message.c: a bare value, and what pontifexctl is told ------------------ */

enum ctl_status { CTL_REPLY_OK, CTL_REPLY_FAILED, CTL_REPLY_DIFFERS };

/* The u32 of MSG_CREDENTIALS; -1: malformed. */
int	get_number(const struct frame *, uint32_t *);
/* Reads the u8 of MSG_VERBOSE and its kin; -1 where it is not 0 or 1. */
int	get_flag(const struct frame *, int *);

/* Where reading of a frame's payload begins. */
static inline struct reader
frame_reader(const struct frame *f)
{
	struct reader r;

	reader_init(&r, f->payload, f->length);
	return r;
}

#endif
