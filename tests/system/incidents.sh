#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What has gone wrong with other MCP servers, tried on this one.  Each attack
# has a control: the same request with the guard taken out, as far as the
# configuration can take it out, does what the attacker wants.
#
# Told by other scripts, with their controls:
#   scopes checked for one revision only (CVE-2026-11719), routes without the
#   owner check (CVE-2026-7663), non-MCP requests past auth (Kong): matrix.sh
#   a token without iss, aud, exp or sub (CVE-2026-11718, -11717): oauth.sh
#   fetching keys from addresses that are not global (CVE-2026-26118, -32211,
#   -44430): fetcher.sh
#   rows of other tenants out of a cache (Asana): cache.sh
#   a tool that changes after it was approved (CVE-2025-54136): audit_events.sh
#   headers that say another method or tool than the body: wire.sh
#   a caller's token passed on, or kept: secrets.sh
#   no auth on a public address, no key store, a default secret: config.sh, and below

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
key=$(key_add -o alice -s shop:order:read -r 1000000)
writer=$(key_add -o bob -s shop:order:write,shop:order:read -r 1000000)
cat >>"$conf" <<'EOF'
tool find {
	description "By the name of the customer."
	scope "shop:order:read"
	source shop
	param name string required { maximum length 200 }
	sql "SELECT id, name FROM customers WHERE name = :name"
}
EOF
daemon_start || die 'the daemon starts' ready
body_of() { echo "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"$1\",\"arguments\":$2}}"; }
good=$(body_of order_lookup '{"order_id":1001}')

# -- DNS rebinding (CVE-2026-9739, -11624, CVE-2025-66414, -66416, CVE-2026-34742, -35568, -42559):
# Host and Origin are checked on every route.
for route in /mcp /health/live /health/ready /.well-known/oauth-protected-resource /; do
	for field in 'Host: evil.example' "Host: localhost.evil.example:$port" 'Host: 127.0.0.1.nip.io' 'Origin: https://evil.example' \
	    'Origin: null' "Origin: http://localhost.evil.example:$port" 'Origin: file://'; do
		code=$(curl -s -m 10 -o /dev/null -w '%{http_code}' -H "$field" -H "Authorization: Bearer $key" \
		    -H 'Content-Type: application/json' -d "$good" "http://127.0.0.1:$port$route")
		like "rebinding: $field on $route" '^(403|421|400)$' "$code"
	done
done
post "$key" "$good" -H 'Host: localhost' -H "Origin: http://localhost:$port"
is 'rebinding: control: our own host and origin' 200 "$status"
post "$key" "$good" -H "Origin: http://localhost:$port" -H 'Origin: https://evil.example'
is 'rebinding: two origins, one of them good' 400 "$status"

# -- a cross-site POST without a preflight (GHSA-89xv-2j6f-qhc8): no simple content type is taken.
for type in text/plain application/x-www-form-urlencoded 'multipart/form-data; boundary=x' '' 'text/plain; a=application/json'; do
	code=$(printf %s "$good" | curl -s -m 10 -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $key" -H "Content-Type:${type:+ $type}" \
	    --data-binary @- "http://127.0.0.1:$port/mcp")
	is "cross-site: content type \"$type\"" 415 "$code"
done
# And no credential but the header's: none of a cookie, the query, or the body.
for where in "Cookie: token=$key" "X-API-Key: $key" "Proxy-Authorization: Bearer $key" "Authorization: Basic $(printf 'alice:%s' "$key" | base64 -w0)"; do
	post '' "$good" -H "$where"
	is "cross-site: a credential by ${where%%:*}" 401 "$status"
done

# -- keys of JSON that two readers see differently (CVE-2026-27896, GHSA-q382-vc8q-7jhj, GHSA-4gph-2hhr-5mwg).
twins=(
	'two names|{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","name":"order_cancel","arguments":{"order_id":1001}}}'
	'two names, one escaped|{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","n\u0061me":"order_cancel","arguments":{"order_id":1001}}}'
	'a name with NUL|{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","name\u0000":"order_cancel","arguments":{"order_id":1001}}}'
	'a value with NUL|{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup\u0000x","arguments":{"order_id":1001}}}'
	'two methods|{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"order_cancel","arguments":{"order_id":1001}}}'
	'two params|{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{}},"params":{"name":"order_cancel","arguments":{"order_id":1001}}}'
	'two arguments of one name|{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":1001,"order_id":1002}}}'
	'a byte order mark|'$'\xef\xbb\xbf'"$good"
	'something behind it|'"$good"'{"method":"tools/list"}'
	'overlong UTF-8|{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup'$'\xc0\xaf''","arguments":{"order_id":1001}}}'
)
for twin in "${twins[@]}"; do
	post "$writer" "${twin#*|}"
	is "JSON: ${twin%%|*}" 400 "$status"
done
# Case makes another name: it is no member of ours, and decides nothing.
post "$key" '{"jsonrpc":"2.0","id":1,"method":"tools/call","Method":"tools/list","params":{"name":"order_lookup","Name":"order_cancel","arguments":{"order_id":1001}}}'
is 'JSON: names by another case decide nothing' 'order_lookup' "$(journal | jq -r 'select(.kind == "call") | .tool_name' | tail -n 1)"
post "$writer" '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"order_cancel","Arguments":{"order_id":1001}}}'
unlike 'JSON: and replace nothing' cancelled "$body"

# -- SQL in an argument (Anthropic's Postgres server, CVE-2025-66335, mcp-toolbox): values are bound.
customers() { sqlite3 "$dir/shop.db" 'SELECT count(*) FROM customers'; }
had=$(customers)
for text in "Acme GmbH' OR '1'='1" "x'; DROP TABLE customers; --" "'; COMMIT; DELETE FROM customers; --" "x' UNION SELECT id, email FROM customers --" \
    '$(id)' '\\' "%' OR name LIKE '%"; do
	call "$key" find "$(jq -cn --arg n "$text" '{name: $n}')"
	is "SQL: $text" '200 0' "$status $(jqb '.result.structuredContent.rows | length')"
done
is 'SQL: nothing is gone' "$had" "$(customers)"
call "$key" find '{"name":"Acme GmbH"}'
is 'SQL: control: the name itself is found' 1 "$(jqb '.result.structuredContent.rows | length')"
call "$key" order_lookup '{"order_id":"1001 OR 1=1"}'
is 'SQL: a number is a number' invalid_input "$(error_code)"

# -- sessions (CVE-2025-6515, CVE-2026-33946): there are none to take over.
call "$key" order_lookup '{"order_id":1001}'
unlike 'sessions: none is given' '[Mm]cp-[Ss]ession' "$head"
post '' "$good" -H 'Mcp-Session-Id: 1' -H 'MCP-Protocol-Version: 2025-11-25'
is 'sessions: one is no credential' 401 "$status"

# -- an inner door (GHSA-g53w-w6mj-hrpp): no field makes a caller.
for field in 'X-Internal: true' 'X-Forwarded-User: admin' 'X-Authenticated-User: admin' 'X-Mcp-Servername: shop' 'X-Router-Key: secret' \
    'X-Forwarded-For: 127.0.0.1' 'X-Real-IP: 127.0.0.1' 'Forwarded: for=127.0.0.1' 'X-Original-URL: /health/live'; do
	post '' "$good" -H "$field"
	is "an inner door: $field" 401 "$status"
done
post "$key" "$good" -H 'X-Forwarded-User: admin' -H 'X-Forwarded-For: 192.0.2.1'
is 'and changes none' 'alice 127.0.0.1' "$(journal | jq -r 'select(.kind == "call") | "\(.owner_id) \(.ip_address)"' | tail -n 1)"
daemon_stop

# -- more than one statement, or one that writes where it may not (crystaldba#178, GHSA-65hm-pwj5-73pw).
cp "$conf" "$work/good.conf"
refuses() { # NAME EXPRESSION
	out=$("$build/pontifexd" -n -f "$conf" 2>&1)
	is "$1: not a configuration" 1 "$?"
	like "$1: and why" "$2" "$out"
}
add_tool() { # SQL [WRITES]
	cp "$work/good.conf" "$conf"
	printf 'tool bad {\n\tdescription "d"\n\tscope "shop:order:read"\n\tsource shop\n\t%s\n\tsql "%s"\n}\n' "${2:-}" "$1" >>"$conf"
}
add_tool 'SELECT 1; DROP TABLE customers'
refuses 'two statements' 'more than one statement'
add_tool "SELECT 1 /* ; */ ; -- x
; SELECT 2"
refuses 'two statements behind comments' 'more than one statement'
for sql in "UPDATE customers SET email = 'x'" "SELECT 1 WHERE 0 UNION SELECT load_extension('x')" 'PRAGMA writable_schema = 1' "ATTACH 'x.db' AS x"; do
	add_tool "$sql"
	if daemon_start; then
		call "$key" bad '{}'
		like "a tool that reads: $sql" '"isError":true|"error"' "$body"
		daemon_stop
	else
		like "a tool that reads: $sql" 'bad|readonly|not authorized|write' "$(tail -n 5 "$daemon_log")"
		daemon=
	fi
done
is 'nothing was written' "$had" "$(sqlite3 "$dir/shop.db" "SELECT count(*) FROM customers WHERE email != 'x'")"
add_tool "UPDATE customers SET email = 'x' WHERE id = 1 RETURNING id" writes
daemon_start || die 'the daemon starts with a tool that writes' ready
call "$key" bad '{}'
is 'control: declared as one that writes it does' x "$(sqlite3 "$dir/shop.db" 'SELECT email FROM customers WHERE id = 1')"
daemon_stop

# -- an empty secret opens nothing (CVE-2026-48814).
cp "$work/good.conf" "$conf"
cp "$keys" "$work/keys.kept"
: >"$keys"
daemon_start || daemon=
if [ -n "$daemon" ]; then
	for value in "Bearer $key" 'Bearer sk_live__' 'Bearer ' ''; do
		post '' "$good" -H "Authorization: $value"
		is "no keys: \"${value:0:16}\" opens nothing" 401 "$status"
	done
	daemon_stop
fi
cp "$work/keys.kept" "$keys"
: >"$keys.pepper"
if daemon_start; then
	call "$key" order_lookup '{"order_id":1001}'
	is 'an empty pepper opens nothing' 401 "$status"
	daemon_stop
else
	like 'an empty pepper is no pepper: no start' pepper "$(tail -n 5 "$daemon_log")"
	daemon=
fi
sed -i '/^auth {/,/^}/d' "$conf"
refuses 'no auth block' auth
done_testing
