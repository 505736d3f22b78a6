/* SPDX-License-Identifier: ISC */

/*
 * The listener's room: what its files offer each other, and its bounds.
 *
 *   http_parse.c  bytes -> one framed request (RFC 9112), pure
 *   http_check.c  what a field's value means: host, origin, credential, pure
 *   forwarded.c   who calls, where a trusted gateway says so, pure
 *   http_reply.c  status lines, error objects, challenges, pure
 *   jsonrpc.c     body -> envelope, pure
 *   mcp.c         envelope and fields -> what is asked, in which era, pure
 *   mcp_reply.c   results and errors as JSON, pure
 *   accept.c      listening sockets
 *   room.c        who has to go when there is no room
 *   http.c        connections: read, write, deadlines
 *   route.c       a whole request -> an answer at once, or a question
 *   question.c    questions to authd, calls to handlers
 *   answer.c      decisions and results -> responses
 *   metrics.c     the metrics socket, and metrics_text.c what it serves
 *   listener.c    the process
 *
 * Nothing here holds a secret longer than a request is in flight.
 */

#ifndef LISTENER_LISTENER_H
#define LISTENER_LISTENER_H

#include "../../common/compat.h"

#include <sys/socket.h>

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "../../common/buffer.h"
#include "../../common/json.h"
#include "../../common/limits.h"
#include "../../common/message.h"
#include "../../common/outcome.h"
#include "../../common/stats.h"

/* Of one request: */
#define HTTP_LINE_MAX		8192		/* bytes of the request line */
#define HTTP_HEAD_MAX		(32 * 1024)	/* a credential is 16 K at most */
#define HTTP_FIELDS_MAX		64		/* header fields */
#define HTTP_CHUNK_LINE_MAX	256		/* size, extensions */
#define HTTP_EXTENSIONS_MAX	4096		/* chunk extensions, all together */
#define HTTP_TRAILER_MAX	4096		/* bytes of a trailer section */
#define HTTP_TRAILERS_MAX	16
#define RPC_ID_MAX		128		/* raw bytes, quotes and escapes too */
#define VERSION_TEXT_MAX	64		/* of a version we tell back */
/* Of one process: */
#define CONNECTIONS_MAX		PER_SOURCE_MAX		/* open sockets of clients */
#define ACCEPT_BATCH		64		/* connections a turn */
#define LISTENS_PER_MAX		512	/* listening sockets: some of each line */
#define READ_SIZE		8192		/* bytes asked for: heads */
#define READ_SIZE_BODY		(64 * 1024)	/* bytes asked for: bodies */
#define KEEP_SIZE		(64 * 1024)	/* an idle buffer above is freed */
#define OUT_HIGH		(256 * 1024)	/* unsent bytes that stop reading */
#define PER_SOURCE_DEFAULT	512		/* of them from one address */
#define MEMORY_MAX		(192UL << 20)	/* all connections' buffers */
#define STRANGERS_MEMORY_MAX	(24UL << 20)	/* of those without a credential */
#define LINGER_BYTES		(256 * 1024)	/* read and dropped when closing */
#define ALLOWED_MAX		256		/* hosts; origins */
#define FORWARDED_HOPS_MAX	16		/* gateways behind one another */
/* Milliseconds: */
#define HEAD_MS			10000	/* from its first byte to its end */
#define BODY_MS			30000
#define IDLE_MS			60000	/* between requests */
#define WRITE_MS		30000	/* to take an answer */
#define LINGER_MS		2000
#define AUTHD_MS		5000	/* to wait for a new authd */
#define DECISION_MS		20000	/* to wait for its decision */
#define HANDLER_MS		35000	/* to wait for a handler's result */
#define LEAVE_IDLE_MS		5000	/* an idle one is kept so long when leaving */
#define DRAIN_MS		9000	/* to finish after MSG_SHUTDOWN */
#define ACCEPT_PAUSE_MS		200	/* after the system ran out of something */
#define WARN_MS			1000	/* between two warnings of one kind */
#define ROOM_SAY_MS		10000	/* between two lines about connections that make room */
#define UNREADY_MS		3000	/* after an `overloaded', without a success */

#define RETRY_DEFAULT		1	/* seconds of Retry-After, if none was said */

/* ---- http_parse.c ------------------------------------------------------ */

/* A piece of the connection's input: offsets, for the buffer may move. */
struct span {
	uint32_t	at;
	uint32_t	len;
};

/* Fields that may come once only. */
enum http_field {
	FIELD_HOST,
	FIELD_ORIGIN,
	FIELD_AUTHORIZATION,
	FIELD_CONTENT_TYPE,
	FIELD_CONTENT_LENGTH,
	FIELD_TRANSFER_ENCODING,
	FIELD_CONTENT_ENCODING,
	FIELD_EXPECT,
	FIELD_MCP_VERSION,
	FIELD_MCP_METHOD,
	FIELD_MCP_NAME,
	FIELD_MAX
};

enum http_phase {
	PHASE_LINE,
	PHASE_FIELDS,
	PHASE_HEAD_DONE,
	PHASE_LENGTH,		/* a body of known length */
	PHASE_CHUNK_SIZE,
	PHASE_CHUNK_DATA,
	PHASE_CHUNK_END,
	PHASE_TRAILER,
	PHASE_DONE,
	PHASE_FAILED
};

struct http_request {
	enum http_phase	 phase;
	uint32_t	 at;		/* read so far */
	uint32_t	 scanned;	/* no line feed between at and here */
	uint32_t	 fields;	/* lines seen */
	uint32_t	 mcp_names;
	struct span	 mcp_name[HTTP_FIELDS_MAX];	/* of Mcp-* fields */
	uint32_t	 forwards;
	struct span	 forwarded[HTTP_FIELDS_MAX];	/* X-Forwarded-For */
	uint32_t	 traces;
	struct span	 trace;		/* traceparent, the last */
	struct span	 method;
	int		 head;		/* HEAD: the answer has no content */
	struct span	 target;
	struct span	 field[FIELD_MAX];
	uint32_t	 present;	/* bit per enum http_field */
	uint64_t	 length;	/* Content-Length; saturates */
	int		 chunked;
	int		 close;		/* Connection: close */
	int		 expects;	/* Expect: 100-continue */
	uint32_t	 head_end;
	uint32_t	 body_len;	/* body is at head_end */
	uint32_t	 chunk_left;
	uint32_t	 extensions;	/* bytes */
	uint32_t	 trailer_bytes;
	uint32_t	 trailers;
	int		 status;	/* PHASE_FAILED: to answer */
	const char	*error;		/* static text for the caller */
};

enum http_progress {
	HTTP_MORE,		/* read on */
	HTTP_HEAD,		/* once: the head is complete and well-formed */
	HTTP_COMPLETE,		/* at bytes are the request */
	HTTP_BAD		/* status, error; close the connection */
};

void	http_begin(struct http_request *);
/*
 * Reads on in the bytes that have arrived, the request starting at offset 0.
 * Chunked bodies are joined in place, so bytes in the buffer move and its
 * length may shrink.
 */
enum http_progress http_feed(struct http_request *, struct buffer *);
struct slice http_span(const struct buffer *, struct span);
/* The value of a field; ptr is NULL where it did not come. */
struct slice http_field(const struct http_request *, const struct buffer *,
	    enum http_field);
/* Whether a body follows the head. */
int	http_has_body(const struct http_request *);
int	slice_is_nocase(struct slice, const char *);

/* ---- http_check.c ------------------------------------------------------ */

struct allowed {
	size_t		 hosts;
	char		*host[ALLOWED_MAX];	/* lower case, no port */
	size_t		 origins;
	char		*origin[ALLOWED_MAX];	/* lower case */
};

enum verdict { VERDICT_OK, VERDICT_MALFORMED, VERDICT_REFUSED };

/* Host: host [":" port]; the port is ignored. */
enum verdict check_host(const struct allowed *, struct slice);
/* An origin that is serialised as RFC 6454, 6.2 says, or "null". */
enum verdict check_origin(const struct allowed *, struct slice);
/*
 * The path of a request target in origin-form, or in absolute-form with the
 * authority of Host.  Returns 0, or -1: neither.
 */
int	check_target(struct slice target, struct slice host,
	    struct slice *path);
/* application/json, charset utf-8 or none. */
int	check_media_type(struct slice);
/* Sets credential to what follows "Bearer ". */
enum credential_form check_authorization(struct slice value,
	    struct slice *credential);

/* ---- trace.c ------------------------------------------------------------ */

/* Whether it is a traceparent (W3C Trace Context 3.2). */
int	trace_valid(struct slice);

/* ---- forwarded.c -------------------------------------------------------- */

struct forwarders {
	uint32_t	 n;
	struct network	 net[FORWARDERS_MAX];
};

/* Whether the address, an IPv4 one as mapped, is a trusted gateway's. */
int	forwarders_have(const struct forwarders *, const uint8_t address[16]);
/*
 * The lines of X-Forwarded-For, in their order, of a request that peer sent.
 * Returns 1 with the caller's address in out, or 0: the peer is the caller.
 */
int	forwarded_caller(const struct forwarders *, const char *peer,
	    const struct slice *line, size_t n, char out[PEER_MAX]);

/* ---- http_reply.c ------------------------------------------------------ */

struct reply {
	int		 status;
	int		 close;
	int		 head;		/* to HEAD: its body stays behind */
	const char	*type;		/* of the body; NULL: JSON */
	const char	*allow;		/* of a 405, or NULL */
	uint32_t	 retry_after;	/* seconds, 0: none */
	const struct limit_hit *limit;	/* of a 429, or NULL */
	const char	*challenge;	/* WWW-Authenticate, or NULL */
	int		 public;	/* may be kept, and read by any page */
};
/*
 * Appends head and body; the body is the parts joined (none: no body).  To
 * HEAD the head is the same and no body follows, or a gateway would take it
 * for the next answer (RFC 9110 9.3.2).
 */
void	http_reply(struct buffer *, const struct reply *,
	    const struct slice *parts, size_t n);
/* The error object of DESIGN 4. */
void	error_object(struct buffer *, enum outcome, const char *message,
	    int retry, uint32_t retry_after,
	    const uint8_t request_id[REQUEST_ID_LEN]);
/*
 * The challenge of a 401 and a 403, NUL-terminated, into a buffer.
 * metadata_url: RFC 9728 5.1, NULL: there is none.
 */
void	challenge_401(struct buffer *, const char *realm,
	    const char *metadata_url, int no_credential, struct slice scope);
void	challenge_403(struct buffer *, const char *metadata_url,
	    struct slice scope);

/* ---- jsonrpc.c --------------------------------------------------------- */

#define RPC_PARSE_ERROR		(-32700)
#define RPC_INVALID_REQUEST	(-32600)
#define RPC_METHOD_NOT_FOUND	(-32601)
#define RPC_INVALID_PARAMS	(-32602)
#define RPC_INTERNAL_ERROR	(-32603)
#define RPC_HEADER_MISMATCH	(-32020)
#define RPC_BAD_VERSION		(-32022)

enum rpc_kind { RPC_BAD, RPC_REQUEST, RPC_NOTIFICATION, RPC_RESPONSE };

struct rpc {
	enum rpc_kind	 kind;
	struct slice	 id;		/* raw JSON; empty: none that is readable */
	uint32_t	 method;	/* node, JSON_NONE in a response */
	uint32_t	 params;	/* node of an object, or JSON_NONE */
	int		 code;		/* RPC_BAD: the error */
	const char	*error;
	const char	*detail;	/* of the error, or NULL */
};

/* Parses the body (kept in json until the next parse) and its envelope. */
void	rpc_read(struct json *, struct slice body, struct rpc *);

/* ---- mcp.c ------------------------------------------------------------- */

enum mcp_era { ERA_LEGACY, ERA_MODERN };

enum mcp_kind {
	MCP_REFUSED,
	MCP_ACCEPTED,		/* a notification or a response: 202 */
	MCP_DISCOVER,
	MCP_INITIALIZE,
	MCP_PING,
	MCP_LIST,
	MCP_CALL
};

/* What came as header fields; ptr is NULL where one did not. */
struct mcp_fields {
	struct slice	version;
	struct slice	method;
	struct slice	name;
	struct slice	traceparent;	/* of the head; may be empty */
};

struct mcp_request {
	enum mcp_kind	 kind;
	enum mcp_era	 era;
	struct slice	 id;		/* raw, in the body; empty: none */
	char		 method[METHOD_MAX + 1];
	char		 tool[TOOL_NAME_MAX + 1];
	char		 revision[REVISION_MAX + 1];
	char		 client[CLIENT_MAX + 1];
	char		 traceparent[TRACE_MAX + 1];
	/* MCP_REFUSED: */
	int		 known;		/* for callers with a good credential only */
	int		 status;	/* HTTP */
	int		 code;		/* JSON-RPC */
	enum reason	 reason;
	const char	*message;
	const char	*detail;	/* said behind the message, or NULL */
	char		 requested[VERSION_TEXT_MAX + 1];	/* RPC_BAD_VERSION */
};

void	mcp_read(struct json *, struct slice body, const struct mcp_fields *,
	    struct mcp_request *);
/*
 * Whether the value of an Mcp-Name field names the body's string: as it is,
 * or as =?base64?...?=.  Returns 1, 0: differs, -1: bad Base64.
 */
int	mcp_name_matches(struct slice value, struct slice name);
const char *mcp_modern_version(void);
/* n from 0; NULL behind the last. */
const char *mcp_legacy_version(size_t n);

/* ---- mcp_reply.c ------------------------------------------------------- */

struct mcp_tool {
	char		*name;
	struct slice	 definition;	/* JSON, owned */
};

struct mcp_server {
	char		*info;		/* {"name":...,"version":...} */
	char		*tail;		/* closes a modern result */
	uint32_t	 tools;
	struct mcp_tool	*tool;
};

/* Returns 0, or -1 with errno. */
int	mcp_server_init(struct mcp_server *, struct slice version);
#define MCP_PARTS	5
/* A tool result around its members; returns how many parts (MCP_PARTS). */
size_t	mcp_wrap(const struct mcp_request *, const struct mcp_server *,
	    struct slice members, struct slice part[MCP_PARTS]);
/*
 * The members of a result that says that the call failed; may_have_run: nobody
 * knows what it did, and it must not be repeated.
 */
void	mcp_failure_members(struct buffer *, enum outcome, int may_have_run,
	    uint32_t retry_after, const uint8_t request_id[REQUEST_ID_LEN]);
/* Whole bodies, appended: */
void	mcp_error_body(struct buffer *, const struct mcp_request *,
	    const uint8_t request_id[REQUEST_ID_LEN]);
void	mcp_discover_body(struct buffer *, const struct mcp_request *,
	    const struct mcp_server *);
void	mcp_initialize_body(struct buffer *, const struct mcp_request *,
	    const struct mcp_server *);
void	mcp_ping_body(struct buffer *, const struct mcp_request *);
/* tools: authd's bitmap. */
void	mcp_list_body(struct buffer *, const struct mcp_request *,
	    const struct mcp_server *, struct slice tools);

/* ---- accept.c ---------------------------------------------------------- */

/* Takes ownership of a listening socket. */
int	accept_start(int fd);
/* There may be room again. */
void	accept_resume(void);
void	accept_stop(void);
/* Takes what waits to be accepted, then stops. */
void	accept_leave(void);

/* ---- http.c ------------------------------------------------------------ */

enum conn_state {
	CONN_READING,
	CONN_ASKING,		/* its question is open */
	CONN_CLOSING,		/* the answer leaves, then the end */
	CONN_LINGERING,		/* what still comes is dropped */
	CONN_DEAD		/* freed at the end of the turn */
};

enum deadline {
	DEADLINE_NONE,
	DEADLINE_HEAD,
	DEADLINE_BODY,
	DEADLINE_IDLE,
	DEADLINE_LEAVE,
	DEADLINE_WRITE,
	DEADLINE_LINGER,
	DEADLINE_AUTHD,
	DEADLINE_DECISION,
	DEADLINE_HANDLER,
	DEADLINE_MAX
};

enum question_state {
	QUESTION_NONE,
	QUESTION_WAITING,	/* for an authd that takes it */
	QUESTION_ASKED,
	QUESTION_CALLED		/* a handler has it */
};

enum route { ROUTE_NONE, ROUTE_MCP, ROUTE_LIVE, ROUTE_READY,
	ROUTE_METADATA };

/* What is to be answered once a refusal is recorded. */
struct refusal {
	int		 status;
	enum outcome	 outcome;
	enum reason	 reason;
	const char	*message;	/* static; NULL: the outcome's own */
	const char	*allow;
	int		 rpc;		/* as a JSON-RPC error, from mcp */
	int		 close;
};

/*
 * One client connection, the request that is in progress on it (one at a
 * time) and the question that it led to.  Where the client leaves first, it
 * stays without a descriptor until its question is answered.
 */
TAILQ_HEAD(conn_queue, connection);
struct source;

struct connection {
	TAILQ_ENTRY(connection)	 all_entry;
	TAILQ_ENTRY(connection)	 timed_entry;
	TAILQ_ENTRY(connection)	 dirty_entry;
	TAILQ_ENTRY(connection)	 stranger_entry;
	TAILQ_ENTRY(connection)	 source_entry;
	struct source		*source;	/* NULL: not bounded */
	int			 stranger;	/* no good credential yet */
	struct event		 reading;
	struct event		 writing;
	int			 fd;		/* -1: the client is gone */
	enum conn_state		 state;
	enum deadline		 deadline;
	uint64_t		 deadline_ms;
	int			 dirty;
	int			 processing;	/* inside conn_process() */
	int			 again;
	int			 paused;	/* not reading */
	int			 eof;
	int			 close;		/* after this answer */
	struct buffer		 in;
	struct buffer		 out;
	size_t			 out_at;
	size_t			 accounted;	/* bytes of in and out */
	size_t			 dropped;	/* while lingering */
	char			 peer[PEER_MAX];
	char			 forwarded[PEER_MAX];
	const char		*caller;	/* of this request: one of the two */
	struct http_request	 http;
	enum route		 route;
	/* The question: */
	enum question_state	 question;
	uint64_t		 number;
	enum ask		 ask;
	int			 answered;	/* already, by a timeout */
	int			 cancelled;
	enum credential_form	 form;
	struct slice		 credential;	/* in `in', cleared when decided */
	uint8_t			 digest[DIGEST_LEN];
	uint32_t		 handler;	/* index, HANDLERS_MAX: none */
	uint32_t		 handler_instance;
	int			 writes;	/* the tool that is called */
	uint64_t		 asked_us;	/* when it was opened; 0: none is */
	uint8_t			 request_id[REQUEST_ID_LEN];
	struct mcp_request	 mcp;
	struct refusal		 refusal;
};

struct listener {
	char			*namespace;
	char			*path;
	struct slice		 metadata;	/* RFC 9728; empty: none */
	char			*metadata_url;	/* NULL: none */
	const char		*public_path;	/* of the public url */
	struct allowed		 allowed;
	struct forwarders	 forwarders;
	struct mcp_server	 server;
	uint32_t		 handlers;	/* that there will be */
	uint32_t		 per_source;	/* connections */
	int			 shutting_down;
	int			 leaving;	/* another set of processes accepts */
	uint64_t		 requests;
	uint64_t		 refused;
	uint64_t		 unrecorded;	/* refusals that no authd took */
	uint64_t		 displaced;	/* connections that made room */
	uint64_t		 overloaded_ms;	/* of the last such answer, 0: none */
	struct stat_times	 times;		/* from question to answer */
};
extern struct listener listener;

/* The monotonic clock, read once a turn. */
uint64_t turn_ms(void);
uint64_t turn_us(void);
int	http_init(void);
/* Takes ownership of an accepted socket. */
void	conn_new(int fd, const struct sockaddr_storage *);
/* The one that has been idle longest; NULL: none is. */
struct connection *http_longest_idle(void);
/* At the end of each turn: answers leave, the dead are freed. */
void	http_turn(void);
size_t	http_connections(void);
/* Closes what is idle; the rest closes after its answer. */
void	http_drain(void);
/* What is idle has LEAVE_IDLE_MS for one more request. */
void	http_leave(void);
/* What a request asks for is known: no deadline for the client now. */
void	conn_deadline(struct connection *, enum deadline);
/* Something stands in c->out: it leaves at the end of the turn. */
void	http_flush_soon(struct connection *);
/* The answer stands in c->out: send it, then read on or close. */
void	conn_answered(struct connection *, int close);
/* The client is given up; the structure stays while its question is open. */
void	conn_close(struct connection *);
/* The question of a connection whose client is gone has ended. */
void	conn_release(struct connection *);
/* Clears the credential: it is decided. */
void	conn_forget_credential(struct connection *);
/* Frees what the input holds: a late report needs none of it. */
void	conn_forget_input(struct connection *);

/* ---- room.c ------------------------------------------------------------ */

/*
 * A new connection, which is a stranger's.  Another of its source may be
 * closed for it; -1: none could be, or memory ran out: close it.
 */
int	room_enter(struct connection *, const struct sockaddr_storage *);
/* Its descriptor is closed, or about to be. */
void	room_leave(struct connection *);
/* Its credential was good, or not. */
void	room_known(struct connection *, int known);
/* Its buffers went from so many bytes to so many. */
void	room_account(struct connection *, size_t before, size_t after);
/* Closes the connection with the least claim; -1: none may go. */
int	room_make(void);
/*
 * The same where strangers hold too many bytes and one of them wants more;
 * 0: it may have them.
 */
int	room_make_memory(const struct connection *wanting);
/* Bytes that strangers hold. */
size_t	room_strangers_memory(void);

/* ---- route.c ----------------------------------------------------------- */

/* The head is complete.  Returns 0 to read on, 1 where it was refused. */
int	route_head(struct connection *);
void	route_request(struct connection *);
/* Asks for the record of a refusal that is then answered. */
void	route_refuse(struct connection *, int status, enum reason,
	    const char *message, int close);
/* As route_refuse(), a 503: a bound of this process is reached. */
void	route_overloaded(struct connection *);

/* ---- question.c -------------------------------------------------------- */

/* Opens the question that c describes. */
void	question_open(struct connection *);
/* Its deadline passed. */
void	question_late(struct connection *);
/* The client is gone, or sends no more: nobody may wait for the result. */
void	question_cancel(struct connection *);
/* A peer arrived; takes ownership of fd. */
void	question_peer(const struct msg_peer *, int fd);
size_t	questions_open(void);
/* Whether authd and a handler are there and take questions. */
int	questions_ready(void);
uint32_t questions_handlers(void);
int	questions_authd(void);

/* ---- answer.c ---------------------------------------------------------- */

int	answer_init(void);
/* At once, without a question. */
void	answer_health(struct connection *, int ok);
void	answer_metadata(struct connection *);
/* The question's decision, but for a call that goes on to its handler. */
void	answer_decision(struct connection *, const struct msg_decision *);
void	answer_result(struct connection *, const struct msg_result *);
/* A call that failed in the listener's eyes, as a tool result. */
/* … of a call; one that a handler had, and that writes, may have run. */
void	answer_failure(struct connection *, enum outcome, int may_have_run);
/* 503 without a decision; logs its request id. */
void	answer_overloaded(struct connection *, const char *why);

#endif
