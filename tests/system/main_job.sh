#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The main job on the contract's own configuration, SQLite and the journal:
# allowed, unauthenticated, out of scope, bad arguments, a write, both eras of
# the protocol, and what the trail says of each.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
reader=$(key_add -o alice -s shop:order:read -l 'reads orders')
writer=$(key_add -o bob -s shop:order:read,shop:order:write)
other=$(key_add -o carol -s shop:customer:read)
like 'a key looks as it should' '^sk_live_[a-z0-9]+_[A-Za-z0-9_-]{43}$' "$reader"
daemon_start || die 'the daemon starts on the contract'\''s configuration' 'ready'
ok 'the daemon starts on the contract'\''s configuration'

is 'health/live answers without a key' 200 \
    "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/health/live")"

# -- an allowed call, legacy
call "$reader" order_lookup '{"order_id":1003}'
is 'an allowed call answers 200' 200 "$status"
is 'the row comes with JSON types true to the columns' \
    '[{"id":1003,"customer":"Bauer & Söhne","status":"open","total_cents":99999,"placed_on":"2026-10-30","note":"Grüße — \"quoted\" \\ back"}]' \
    "$(jqb .result.structuredContent.rows)"
is 'row_count and truncated' '[1,false]' \
    "$(jqb '[.result.structuredContent.row_count, .result.structuredContent.truncated]')"
is 'the text is the structured content again' "$(jqb '.result.structuredContent | tojson')" \
    "$(jqb '.result.content[0].text')"
is 'it is no error' false "$(jqb '.result.isError // false')"
is 'the id is echoed with its type' 7 "$(jqb .id)"
is 'a legacy result has no resultType' null "$(jqb .result.resultType)"
call "$reader" order_lookup '{"order_id":1001}'
is 'NULL is null' '[null]' "$(jqb '[.result.structuredContent.rows[0].note]')"
call "$reader" order_lookup '{"order_id":1005}'
is 'an empty string is not NULL' '[""]' "$(jqb '[.result.structuredContent.rows[0].note]')"
call "$reader" order_lookup '{"order_id":4711}'
is 'no row is an answer too' '[[],0]' \
    "$(jqb '[.result.structuredContent.rows, .result.structuredContent.row_count]')"

# -- modern
modern_call "$reader" order_lookup '{"order_id":1002}'
is 'an allowed modern call answers 200' 200 "$status"
is 'modern: resultType complete' complete "$(jqb .result.resultType)"
is 'modern: the row' 4550 "$(jqb '.result.structuredContent.rows[0].total_cents')"
is 'modern: a string id stays one' '"m1"' "$(printf %s "$body" | jq -c .id)"
like 'modern: serverInfo in _meta' pontifexd \
    "$(jqb '.result._meta["io.modelcontextprotocol/serverInfo"].name')"
modern "$reader" server/discover
is 'server/discover' '[200,"complete","number"]' \
    "[$status,$(printf %s "$body" | jq -c '.result.resultType,(.result.ttlMs|type)' | paste -sd,)]"
like 'server/discover names the modern revision' 2026-07-28 "$(jqb .result.supportedVersions)"
modern "$reader" ping
is 'modern ping is an unknown method' '404 -32601' "$status $(jqb .error.code)"

# -- legacy handshake
for version in 2025-11-25 2025-06-18 2025-03-26; do
	post "$reader" "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"$version\",\"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}"
	is "initialize $version echoes the version" "200 $version" "$status $(jqb .result.protocolVersion)"
done
unlike 'initialize makes no session' '^[Mm]cp-[Ss]ession' "$head"
post "$reader" '{"jsonrpc":"2.0","method":"notifications/initialized"}' -H 'MCP-Protocol-Version: 2025-11-25'
is 'notifications/initialized is accepted' '202 ' "$status $body"
legacy "$reader" ping
is 'ping answers an empty result' '{}' "$(jqb .result)"
for method in GET DELETE; do
	status=$(curl -s -o /dev/null -D "$work/head" -w '%{http_code}' -X $method \
	    -H "Authorization: Bearer $reader" "http://127.0.0.1:$port/mcp")
	is "$method /mcp is not allowed" 405 "$status"
	like "$method /mcp says what is" '^[Aa]llow: *POST' "$(tr -d '\r' <"$work/head")"
done

# -- tools/list
legacy "$reader" tools/list
is 'tools/list shows what the scopes allow, in order' '["order_lookup","orders_search"]' \
    "$(jqb '[.result.tools[].name]')"
legacy "$writer" tools/list
is 'tools/list shows more to whom more is allowed' \
    '["order_lookup","orders_search","order_cancel"]' "$(jqb '[.result.tools[].name]')"
is 'a schema is closed and typed' '[false,"integer",1,["order_id"]]' \
    "$(jqb '.result.tools[0].inputSchema | [.additionalProperties, .properties.order_id.type, .properties.order_id.minimum, .required]')"
is 'an outputSchema is there' object "$(jqb '.result.tools[0].outputSchema.type')"
is 'a reading tool says so' '[true,false]' \
    "$(jqb '[.result.tools[0].annotations.readOnlyHint, .result.tools[2].annotations.readOnlyHint]')"
is 'title and description' '["Order lookup","Look up one order by its number."]' \
    "$(jqb '[.result.tools[0].title, .result.tools[0].description]')"
legacy "$other" tools/list
is 'tools/list is empty without a scope' '[]' "$(jqb .result.tools)"
modern "$reader" tools/list
is 'modern tools/list is private to the caller' '["complete","private"]' \
    "$(jqb '[.result.resultType, .result.cacheScope]')"

# -- defaults, enums, limits
call "$reader" orders_search '{}'
is 'a default is used, newest first' '[1005,1004,1003,1002,1001]' \
    "$(jqb '[.result.structuredContent.rows[].id]')"
call "$reader" orders_search '{"status":"open","count":1}'
is 'an enum and a number' '[1003]' "$(jqb '[.result.structuredContent.rows[].id]')"
legacy "$reader" tools/call '{"name":"orders_search"}'
is 'arguments may be absent' 5 "$(jqb .result.structuredContent.row_count)"

bad() { # NAME TOOL ARGUMENTS
	call "$reader" "$2" "$3"
	is "$1" '200 true invalid_input' "$status $(jqb .result.isError) $(error_code)"
}
bad 'a missing argument is refused' order_lookup '{}'
bad 'an unknown argument is refused' order_lookup '{"order_id":1001,"x":1}'
bad 'a string for an integer is refused' order_lookup '{"order_id":"1001"}'
bad 'a fraction for an integer is refused' order_lookup '{"order_id":1001.5}'
bad 'null for a required argument is refused' order_lookup '{"order_id":null}'
bad 'below the minimum is refused' order_lookup '{"order_id":0}'
bad 'above the maximum is refused' orders_search '{"count":101}'
bad 'beyond 64 bits is refused' order_lookup '{"order_id":9223372036854775808}'
bad 'what is not in the enum is refused' orders_search '{"status":"lost"}'
bad 'SQL in an argument is an argument' orders_search '{"status":"open'"'"' OR 1=1 --"}'
bad 'caller.* is no argument' order_lookup '{"order_id":1001,"caller.owner":"bob"}'
like 'invalid_input says what to mend' '.' "$(jqb .result.structuredContent.message)"
is 'invalid_input is not worth a retry' false "$(jqb .result.structuredContent.retry)"
request=$(jqb .result.structuredContent.request_id)
like 'an error carries a request id' '^[0-9a-f]{32}$' "$request"
is 'the record of a bad argument' invalid_input "$(record_of "$request" | jq -r .outcome)"

legacy "$reader" tools/call '{"name":"order_lookup","arguments":[1]}'
is 'arguments that are no object' '200 -32602' "$status $(jqb .error.code)"
legacy "$reader" tools/call '{"name":"no_such_tool","arguments":{}}'
is 'an unknown tool' '200 -32602' "$status $(jqb .error.code)"
legacy "$reader" no/such
is 'an unknown method (legacy)' '200 -32601' "$status $(jqb .error.code)"

# -- refusals
call '' order_lookup '{"order_id":1001}'
is 'without a key: 401' 401 "$status"
like '401 has a Bearer challenge' '^[Ww][Ww][Ww]-[Aa]uthenticate: Bearer ' "$head"
unlike 'without a key the challenge has no error' 'error=' "$(grep -i '^www-auth' <<<"$head")"
unlike 'without an issuer the challenge names no metadata' resource_metadata "$head"
is '401 is the error object itself' auth_failed "$(jqb .error_code)"
call "$other" order_lookup '{"order_id":1001}'
is 'without the scope: 403' '403 scope_denied' "$status $(jqb .error_code)"
like '403 says which scope' 'insufficient_scope.*scope="?shop:order:read|scope="?shop:order:read.*insufficient_scope' \
    "$(grep -i '^www-auth' <<<"$head")"
request=$(jqb .request_id)
is 'the record of a 403 names owner, tool and outcome' '["scope_denied","carol","order_lookup"]' \
    "$(record_of "$request" | jq -c '[.outcome, .owner_id, .tool_name]')"
is 'no metadata document without an issuer' 404 "$(curl -s -o /dev/null -w '%{http_code}' \
    "http://127.0.0.1:$port/.well-known/oauth-protected-resource")"

# -- a write
call "$reader" order_cancel '{"order_id":1002}'
is 'a write without its scope: 403' 403 "$status"
sentinel=zebra-4711-sentinel
call "$writer" order_cancel "{\"order_id\":1002,\"reason\":\"$sentinel\"}"
is 'a write answers its row' '[{"id":1002,"status":"cancelled"}]' \
    "$(jqb .result.structuredContent.rows)"
is 'a write is in the database' "cancelled|$sentinel" \
    "$(sqlite3 "$dir/shop.db" 'SELECT status, note FROM orders WHERE id = 1002')"
is 'a write has an intent and an outcome, in that order' 2 \
    "$(journal_count '.tool_name == "order_cancel" and .owner_id == "bob"')"
unlike 'a redacted argument is not in the trail' "$sentinel" "$(journal)"
like 'but that it was given is' 'reason' \
    "$(journal | jq -c 'select(.tool_name == "order_cancel" and .owner_id == "bob") | .tool_params')"
unlike 'nor is it in the log' "$sentinel" "$(cat "$daemon_log")"
call "$writer" order_cancel '{"order_id":1001}'
is 'a write that changes nothing answers no row' 0 "$(jqb .result.structuredContent.row_count)"
bad_reason=$(printf 'x%.0s' $(seq 201))
call "$writer" order_cancel "{\"order_id\":1003,\"reason\":\"$bad_reason\"}"
is 'longer than the maximum length is refused' invalid_input "$(error_code)"
umlauts=$(printf 'ü%.0s' $(seq 200))
call "$writer" order_cancel "{\"order_id\":1003,\"reason\":\"$umlauts\"}"
is 'length counts characters, not bytes' cancelled "$(jqb '.result.structuredContent.rows[0].status')"

# -- the trail
is 'a record tells who, what, whence and when' \
    '["alice","order_lookup","shop","ok","127.0.0.1",{"order_id":1003}]' \
    "$(journal | jq -c 'select(.tool_name == "order_lookup" and .tool_params.order_id == 1003)
	| [.owner_id, .tool_name, .namespace, .outcome, .ip_address, .tool_params]' | head -n 1)"
for column in namespace key_id owner_id owner_label transport tool_name tool_params data_source \
    cache_hit response_ms error ip_address delegated_audience timestamp node seq request_id \
    outcome tool_digest config_digest prev_hash hash; do
	journal | jq -e -s 'map(select(.outcome == "ok")) | all(has("'$column'"))' >/dev/null ||
	    missing="${missing:-}$column "
done
is 'a record has every column' '' "${missing:-}"
unlike 'no key is in the trail' "$(secret_of "$reader")|$(secret_of "$writer")|$(secret_of "$other")" "$(journal)"
unlike 'no key is in the log' "$(secret_of "$reader")|$(secret_of "$writer")|$(secret_of "$other")" "$(cat "$daemon_log")"
like 'audit verify says ok while the daemon runs' 'ok' "$(audit_verify | tail -n 1)"
like 'status names every role' 'listener' "$(ctl status -v)"
is 'status counts the calls as the trail does' \
    "$(journal | jq -s '[.[] | select(.tool_name == "order_cancel" and .outcome == "ok")] | length')" \
    "$(ctl status -v | awk '$1 == "pontifexd_calls_total" && $2 == "order_cancel" && $3 == "ok" { print $4 }')"
like 'audit tail shows the last call' order_cancel "$(cd "$dir" && ctl audit tail -j "$dir/audit" 2>&1 | tail -n 3)"
daemon_stop
is 'SIGTERM: exit 0' 0 "$daemon_status"
succeeds 'audit verify succeeds afterwards' "$build/pontifexctl" audit verify -j "$dir/audit"

# -- a changed byte is found
before=$(sha256sum "$dir"/audit/*.jsonl | head -c 8)
segment=$(printf '%s\n' "$dir"/audit/*.jsonl | head -n 1)
sed -i '3s/"outcome":"[a-z_]*"/"outcome":"okay"/' "$segment"
isnt 'the journal was changed for the next test' "$before" "$(sha256sum "$segment" | head -c 8)"
fails 'audit verify finds a changed record' "$build/pontifexctl" audit verify -j "$dir/audit"

# -- restarted, the chain goes on
shop "$work/again"
again=$(key_add -o dora -s shop:order:read)
for _ in 1 2; do
	daemon_start || die 'the daemon starts again' ready
	call "$again" order_lookup '{"order_id":1001}'
	daemon_stop
done
like 'the chain goes on over a restart' ok "$(audit_verify | tail -n 1)"
is 'both runs are in it, without a gap' '[2,true]' \
    "$(journal | jq -sc '[(map(select(.kind == "call")) | length), map(.seq) == [range(1; length + 1)]]')"
done_testing
