/* SPDX-License-Identifier: ISC */

/*
 * The JSON-RPC 2.0 envelope, read strictly: one object (no batch), version
 * exactly "2.0", an id that is a string or an integer, params that are an
 * object, and no member that the envelope does not have: a name that differs
 * by case is not taken for the one it resembles.  The body is hostile; the
 * table of nodes that it leaves is the only parse that anybody reads.
 */

#include "listener.h"

static void
refuse(struct rpc *rpc, int code, const char *error)
{
	rpc->kind = RPC_BAD;
	rpc->code = code;
	rpc->error = error;
}

static int
id_is_sound(const struct json *j, uint32_t id)
{
	return (json_is(j, id, JSON_STRING) || json_is(j, id, JSON_INTEGER)) &&
	    json_raw(j, id).len <= RPC_ID_MAX;
}

static int
members_are_known(const struct json *j)
{
	static const char *const names[] = {
		"jsonrpc", "id", "method", "params", "result", "error"
	};
	uint32_t c;
	size_t i;

	for (c = 1; c < j->nodes[0].next; c = j->nodes[c + 1].next) {
		for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (json_string_is(j, c, names[i]))
				break;
		if (i == sizeof(names) / sizeof(names[0]))
			return 0;
	}
	return 1;
}

/* No method: what a client answers to a server's request. */
static void
read_response(struct json *j, struct rpc *rpc, uint32_t id)
{
	uint32_t result = json_member(j, 0, "result");
	uint32_t error = json_member(j, 0, "error");

	if ((result == JSON_NONE) == (error == JSON_NONE))
		refuse(rpc, RPC_INVALID_REQUEST,
		    "The message has no method.");
	else if (id == JSON_NONE || rpc->params != JSON_NONE ||
	    (error != JSON_NONE && !json_is(j, error, JSON_OBJECT)))
		refuse(rpc, RPC_INVALID_REQUEST, "The response is malformed.");
	else
		rpc->kind = RPC_RESPONSE;
}

static void
read_envelope(struct json *j, struct rpc *rpc)
{
	uint32_t version = json_member(j, 0, "jsonrpc");
	uint32_t id = json_member(j, 0, "id");

	if (id != JSON_NONE && id_is_sound(j, id))
		rpc->id = json_raw(j, id);
	if (!members_are_known(j)) {
		refuse(rpc, RPC_INVALID_REQUEST, "The message has a member "
		    "that JSON-RPC does not have.");
		return;
	}
	if (!json_string_is(j, version, "2.0")) {
		refuse(rpc, RPC_INVALID_REQUEST,
		    "The member jsonrpc must be \"2.0\".");
		return;
	}
	if (id != JSON_NONE && rpc->id.len == 0) {
		refuse(rpc, RPC_INVALID_REQUEST,
		    "The id must be a string or an integer, and short.");
		return;
	}
	rpc->method = json_member(j, 0, "method");
	rpc->params = json_member(j, 0, "params");
	if (rpc->method == JSON_NONE) {
		read_response(j, rpc, id);
		return;
	}
	if (!json_is(j, rpc->method, JSON_STRING))
		refuse(rpc, RPC_INVALID_REQUEST, "The method must be a string.");
	else if (json_member(j, 0, "result") != JSON_NONE ||
	    json_member(j, 0, "error") != JSON_NONE)
		refuse(rpc, RPC_INVALID_REQUEST,
		    "The message is both a request and a response.");
	else if (rpc->params != JSON_NONE &&
	    !json_is(j, rpc->params, JSON_OBJECT))
		refuse(rpc, RPC_INVALID_REQUEST,
		    "The params must be an object.");
	else
		rpc->kind = id == JSON_NONE ? RPC_NOTIFICATION : RPC_REQUEST;
}

void
rpc_read(struct json *j, struct slice body, struct rpc *rpc)
{
	rpc->kind = RPC_BAD;
	rpc->id.ptr = "";
	rpc->id.len = 0;
	rpc->method = rpc->params = JSON_NONE;
	rpc->code = 0;
	rpc->error = rpc->detail = NULL;
	if (json_parse(j, body.ptr, body.len) == -1) {
		refuse(rpc, RPC_PARSE_ERROR, "The body is not strict JSON");
		rpc->detail = j->error;
	} else if (json_is(j, 0, JSON_ARRAY))
		refuse(rpc, RPC_INVALID_REQUEST, "Batches are not served: "
		    "send one request in one POST.");
	else if (!json_is(j, 0, JSON_OBJECT))
		refuse(rpc, RPC_INVALID_REQUEST,
		    "The body must be one JSON object.");
	else
		read_envelope(j, rpc);
}
