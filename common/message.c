/* SPDX-License-Identifier: ISC */

/*
 * The messages' names, for the log, and the two payloads that are one bare
 * value.  message.h is the table of all messages; what each of the others
 * carries is built and read, the two side by side, in message_order.c,
 * message_config.c, message_call.c and message_audit.c.
 */

#include "message.h"

const char *
message_name(unsigned int type)
{
	static const char *const names[MSG_MAX] = {
		[MSG_NONE] = "none", [MSG_START] = "start",
		[MSG_CONF_LISTENER] = "conf listener",
		[MSG_CONF_NAME] = "conf name",
		[MSG_CONF_TOOL_TEXT] = "conf tool text",
		[MSG_CONF_AUTHD] = "conf authd",
		[MSG_CONF_TOOL_RULE] = "conf tool rule",
		[MSG_CONF_ISSUER] = "conf issuer",
		[MSG_CONF_GRANT] = "conf grant", [MSG_CONF_FETCH] = "conf fetch",
		[MSG_FETCH] = "fetch", [MSG_FETCHED] = "fetched",
		[MSG_CONF_HANDLER] = "conf handler",
		[MSG_CONF_SINK] = "conf sink", [MSG_SINK_PIPE] = "sink pipe",
		[MSG_CONF_GENERATIONS] = "conf generations",
		[MSG_CONF_REDIS] = "conf redis",
		[MSG_CONF_SOURCE] = "conf source",
		[MSG_CONF_TOOL] = "conf tool", [MSG_CONF_PARAM] = "conf param",
		[MSG_CONF_AUDITD] = "conf auditd",
		[MSG_CONF_CATALOGUE] = "conf catalogue",
		[MSG_CONF_TOOL_DIGEST] = "conf tool digest",
		[MSG_CONFIG_END] = "config end", [MSG_PEER] = "peer",
		[MSG_LISTEN] = "listen", [MSG_KEYS] = "keys",
		[MSG_TICKET_KEY] = "ticket key", [MSG_VERBOSE] = "verbose",
		[MSG_SHUTDOWN] = "shutdown", [MSG_STATUS_ASK] = "status ask",
		[MSG_STATS_ASK] = "stats ask", [MSG_STATS] = "stats",
		[MSG_LEAVE] = "leave", [MSG_LEFT] = "left",
		[MSG_HAND_OVER] = "hand over",
		[MSG_CHECKED_SOURCE] = "checked source",
		[MSG_CHECKED_TOOL] = "checked tool",
		[MSG_CHECKED] = "checked",
		[MSG_LISTEN_METRICS] = "listen metrics",
		[MSG_METRICS] = "metrics", [MSG_METRICS_ASK] = "metrics ask",
		[MSG_CTL_FIGURES] = "ctl figures", [MSG_FIGURES] = "figures",
		[MSG_READY] = "ready", [MSG_STATUS] = "status",
		[MSG_VIOLATION] = "violation", [MSG_AUTHORIZE] = "authorize",
		[MSG_DECISION] = "decision", [MSG_CALL] = "call",
		[MSG_RESULT] = "result", [MSG_CANCEL] = "cancel",
		[MSG_SERVES] = "serves", [MSG_DSN] = "dsn",
		[MSG_CREDENTIALS] = "credentials",
		[MSG_AUDIT_DECISION] = "audit decision",
		[MSG_AUDIT_EVENT] = "audit event",
		[MSG_AUDIT_INTENT] = "audit intent",
		[MSG_AUDIT_OUTCOME] = "audit outcome",
		[MSG_AUDIT_ACK] = "audit ack", [MSG_AUDIT_NACK] = "audit nack",
		[MSG_RECORDS] = "records",
		[MSG_CTL_STATUS] = "ctl status", [MSG_CTL_RELOAD] = "ctl reload",
		[MSG_CTL_UPGRADE] = "ctl upgrade",
		[MSG_CTL_DIFF] = "ctl diff",
		[MSG_EXPLAIN] = "explain", [MSG_EXPLAINED] = "explained",
		[MSG_KEYS_USED] = "keys used",
		[MSG_CTL_EXPLAIN] = "ctl explain",
		[MSG_CTL_VERBOSE] = "ctl verbose", [MSG_CTL_REPLY] = "ctl reply",
	};

	return type < MSG_MAX && names[type] != NULL ? names[type] : "unknown";
}

int
get_number(const struct frame *f, uint32_t *value)
{
	struct reader r = frame_reader(f);

	*value = get_u32(&r);
	return wire_done(&r);
}

int
get_flag(const struct frame *f, int *value)
{
	struct reader r = frame_reader(f);

	*value = get_bool(&r);
	return wire_done(&r);
}
