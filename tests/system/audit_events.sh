#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What the trail says beside the calls: processes that died, reloads, keys
# that came and went, what each tool's digest stands for; and of a call who
# passed it on, how long it waited and which sources were asked.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
sed -i 's|^auth {|trust forwarded from "127.0.0.1"\nauth {|' "$conf"
key=$(key_add -o alice -s shop:order:read,shop:order:write -r 1000000)
daemon_start || die 'the daemon starts' ready
event() { journal | jq -c "select(.event == \"$1\") | .detail"; }
appears() { [ -n "$(journal | jq -c "select(.event == \"$1\" and (.detail | $2))")" ]; }
comes() { # NAME EVENT CONDITION
	until_true 10 appears "$2" "$3"
	succeeds "$1" appears "$2" "$3"
}

# Tools.
is 'each tool is told once' "$(grep -c '^tool ' "$conf")" "$(event tool | wc -l)"
call "$key" order_lookup '{"order_id":1001}'
digest=$(journal | jq -r 'select(.kind == "call") | .tool_digest' | tail -n 1)
like 'a row leads to the SQL that ran' 'SELECT .* FROM orders' \
    "$(event tool | jq -r "select(.tool_digest == \"$digest\") | .sql" | tr '\n' ' ')"
is 'and the chain says when it began' true "$(journal | jq -s "
    (map(select(.event == \"tool\" and .detail.tool_digest == \"$digest\"))[0].seq) as \$t |
    map(select(.kind == \"call\"))[0].seq > \$t")"
tools=$(event tool | wc -l)
daemon_stop
daemon_start || die 'it starts again' ready
is 'not again at the next start' "$tools" "$(event tool | wc -l)"
daemon_stop
sed -i '0,/limit rows [0-9]*/s//limit rows 7/; 0,/timeout [0-9]*m*s/s//timeout 1234ms/' "$conf"
grep -q '1234ms\|limit rows 7' "$conf" || sed -i '0,/^tool .*{/s//&\n\ttimeout 1234ms/' "$conf"
daemon_start || die 'it starts with another definition' ready
is 'a definition that changed is told' $((tools + 1)) "$(event tool | wc -l)"

# Keys.
comes 'how many keys are in force' keys '.keys == 1'
other=$(key_add -o bob -s shop:order:read)
id=$(key_id "$other")
comes 'a key that came' key_added ".key_id == \"$id\" and .owner_id == \"bob\" and .scopes == [\"shop:order:read\"]"
is 'nothing of its secret' '' "$(grep -F -- "$(secret_of "$other")" "$dir"/audit/*)"
hash=$(grep "^$id:" "$keys" | cut -d: -f2)
is 'nor its hash' '' "$(grep -F "$hash" "$dir"/audit/*)"
sed -i "s/^\($id:.*\)shop:order:read/\1shop:order:write/" "$keys"
comes 'a key that was changed' key_changed ".key_id == \"$id\" and .what == \"scopes\" and .scopes == [\"shop:order:write\"]"
"$build/pontifexctl" key revoke "$id" -F "$keys" >/dev/null 2>&1 || "$build/pontifexctl" key revoke -F "$keys" "$id" >/dev/null
comes 'a key that was revoked' key_revoked ".key_id == \"$id\""
is 'alice has neither come nor gone' 0 "$(journal | jq -c 'select((.event // "") | startswith("key_")) | select(.detail.owner_id == "alice")' | wc -l)"

# What the parent does and sees.
ctl reload >/dev/null
comes 'a reload, by whom' reload ".uid == $(id -u)"
ctl log verbose >/dev/null
comes 'the log level, by whom' log_level ".verbose and .uid == $(id -u)"
for role in handler authd listener auditd; do
	pid=$(child_pids $role | head -n 1)
	kill -9 "$pid"
	until_true 10 process_gone "$pid"
	until_true 10 daemon_ready
	comes "the death of a process: $role" crash ".role == \"$role\" and .signal == 9 and .pid == $pid"
done
is 'each once' 4 "$(event crash | wc -l)"
pid=$(child_pids auditd)
kill -9 "$pid"
kill -9 "$(child_pids handler | head -n 1)"
until_true 10 daemon_ready
comes 'what happens while auditd is away is told to the next' crash '.role == "auditd" and .pid == '"$pid"
is 'both' 6 "$(until_true 5 eval '[ "$(event crash | wc -l)" -ge 6 ]'; event crash | wc -l)"

# A call.
post "$key" '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":1001}}}' \
    -H 'MCP-Protocol-Version: 2025-11-25' -H 'X-Forwarded-For: 203.0.113.9' \
    -H 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
last() { journal | jq -c 'select(.kind == "call")' | tail -n 1 | jq -c "$1"; }
is 'who calls and who passed it on' '["203.0.113.9","127.0.0.1"]' "$(last '[.ip_address, .via]')"
is 'its trace' '"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"' "$(last .traceparent)"
like 'the log has it at that level, too' 'call: request [0-9a-f]{32}, tool order_lookup, from 203\.0\.113\.9, trace 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01: ok$' "$(cat "$daemon_log")"
post sk_live_nobody_0123456789012345678901234567890123456789012 '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":1001}}}'
like 'and why a credential was refused' 'refusal: request [0-9a-f]{32}, tool order_lookup, from 127\.0\.0\.1: auth_failed, unknown_key$' "$(cat "$daemon_log")"
is 'how it fits together' true "$(last '.queue_us + .source_us <= .response_us and .source_us > 0')"
is 'one source: no list' null "$(last '.detail.tried? // null')"
call "$key" order_lookup '{"order_id":1001}'
is 'nobody passed it on' null "$(last .via)"
is 'the configuration is named' "\"$(event start | head -n 0)$(journal | jq -r 'select(.event == "start") | .config_digest' | tail -n 1)\"" "$(last .config_digest)"
is 'the credential is' '"key"' "$(last .credential)"
post "$key" '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":1001}}}' \
    -H 'MCP-Protocol-Version: 2025-11-25' -H 'traceparent: 00-zz'
is 'a trace that is none is not recorded' null "$(last .traceparent)"
is 'the chain holds' 0 "$(audit_verify >/dev/null; echo $?)"
daemon_stop
done_testing
