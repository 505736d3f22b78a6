#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Who calls, behind a gateway: the trail and the penalties go by the address
# that a trusted gateway saw, and by nothing that a client can write.  And
# what becomes of the others where the fetcher cannot start, or is killed.

. "$(dirname "$0")/../lib/harness.sh"

list='{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
bad=sk_live_nobody_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA

# seen FIELD...: who is recorded for a refused call with these header fields.
seen() {
	local fields=() field
	for field in "$@"; do fields+=(-H "$field"); done
	post "$bad" "$list" "${fields[@]}"
	record_of "$(jqb .request_id)" | jq -r .ip_address
}

# -- nobody is trusted: the field says nothing
shop "$work/plain"
key_add -o alice -s shop:order:read >/dev/null
daemon_start || die 'a daemon starts that trusts nobody' ready
is 'without the statement the peer is recorded' 127.0.0.1 "$(seen 'X-Forwarded-For: 203.0.113.9')"
daemon_stop

# -- a gateway on this machine
shop "$work/behind"
sed -i '/^listen on/a trust forwarded from "127.0.0.1", "10.0.0.0/8"' "$conf"
good=$(key_add -o alice -s shop:order:read -r 100000)
daemon_start || die 'a daemon starts behind a gateway' ready
is 'the address that the gateway saw' 203.0.113.9 "$(seen 'X-Forwarded-For: 203.0.113.9')"
is 'not the one that the client wrote' 203.0.113.9 "$(seen 'X-Forwarded-For: 1.1.1.1, 203.0.113.9')"
is 'nor one that looks like a gateway' 203.0.113.9 "$(seen 'X-Forwarded-For: 10.0.0.1, 203.0.113.9')"
is 'in a line of its own' 203.0.113.9 \
    "$(seen 'X-Forwarded-For: 1.1.1.1' 'X-Forwarded-For: 203.0.113.9')"
is 'through two gateways' 203.0.113.9 "$(seen 'X-Forwarded-For: 203.0.113.9, 10.0.0.7')"
is 'an address of IPv6' 2001:db8::7 "$(seen 'X-Forwarded-For: 2001:DB8:0::7')"
is 'a list that ends in nonsense' 127.0.0.1 "$(seen 'X-Forwarded-For: 203.0.113.9, <script>')"
is 'no field at all' 127.0.0.1 "$(seen)"
is 'another field' 127.0.0.1 "$(seen 'Forwarded: for=203.0.113.9' 'X-Real-IP: 203.0.113.9')"

# A gateway sends the requests of all over one connection.
curl -s -o "$work/a1" "http://127.0.0.1:$port/nowhere" -H 'X-Forwarded-For: 203.0.113.1' \
    --next -s -o "$work/a2" "http://127.0.0.1:$port/nowhere" \
    --next -s -o "$work/a3" "http://127.0.0.1:$port/nowhere" -H 'X-Forwarded-For: 203.0.113.3' \
    -w '%{num_connects}' >"$work/connects"
is 'three requests went over one connection' 0 "$(cat "$work/connects")"
is 'each has its own caller' '203.0.113.1 127.0.0.1 203.0.113.3' "$(for n in 1 2 3; do
	record_of "$(jq -r .request_id "$work/a$n")" | jq -r .ip_address
done | paste -sd' ')"

# Guessing from one address slows that one down.
guess() { # ADDRESS: seconds that a refusal takes
	curl -s -m 20 -o /dev/null -w '%{time_total}' -H "Authorization: Bearer $bad" \
	    -H "X-Forwarded-For: $1" -H 'Content-Type: application/json' -d "$list" \
	    "http://127.0.0.1:$port/mcp"
}
seq 60 | xargs -P 30 -I{} curl -s -m 20 -o /dev/null -H "Authorization: Bearer $bad" \
    -H 'X-Forwarded-For: 198.51.100.66' -H 'Content-Type: application/json' -d "$list" \
    "http://127.0.0.1:$port/mcp"
slow=$(guess 198.51.100.66) other=$(guess 198.51.100.77)
is "the one who guessed waits ($slow s)" 1 "$(awk "BEGIN { print ($slow >= 1.5) }")"
is "another behind the same gateway does not ($other s)" 1 "$(awk "BEGIN { print ($other < 1.5) }")"
call "$good" order_lookup '{"order_id":1001}'
is 'and good callers are served' 200 "$status"
daemon_stop

# -- issuers without a fetcher that works
shop "$work/keyless"
sed -i -e "/^listen on/a public url \"https://mcp.example.com/mcp\"" -e '/^	rate 600 per minute/a\
	issuer "https://idp.invalid/" {\
		audience "https://mcp.example.com/mcp"\
		ca "missing.pem"\
	}' "$conf"
good=$(key_add -o alice -s shop:order:read -r 100000)
daemon_start || die 'a daemon starts whose fetcher cannot' ready
call "$good" order_lookup '{"order_id":1001}'
is 'keys are served without a fetcher' 200 "$status"
like 'and the log says why' 'missing\.pem.*cannot be read' "$(cat "$daemon_log")"
like 'the metadata is there' '"https://idp.invalid/"' \
    "$(curl -s "http://127.0.0.1:$port/.well-known/oauth-protected-resource/mcp")"
is 'as a document for anybody, for five minutes' 'application/json max-age=300 *' \
    "$(curl -si "http://127.0.0.1:$port/.well-known/oauth-protected-resource" | tr -d '\r' |
	awk -F': ' '/^Content-Type|^Cache-Control|^Access-Control-Allow-Origin/ { print $2 }' | paste -sd' ')"
is 'but not under any host' 421 "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: evil.example' \
    "http://127.0.0.1:$port/.well-known/oauth-protected-resource")"
is 'nor with another method' 405 "$(curl -s -o /dev/null -w '%{http_code}' -X POST -d x \
    "http://127.0.0.1:$port/.well-known/oauth-protected-resource")"
is 'nor for another path' 404 "$(curl -s -o /dev/null -w '%{http_code}' \
    "http://127.0.0.1:$port/.well-known/oauth-protected-resource/mcp2")"
post '' '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":1001}}}' \
    -H 'X-Forwarded-Host: evil.example' -H 'X-Forwarded-Proto: http' -H 'Forwarded: host=evil.example'
like 'a challenge comes from the configuration' \
    '^WWW-Authenticate: Bearer realm="shop", resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp", scope="shop:order:read"$' "$head"
daemon_stop

# -- one that is killed
sed -i '/missing\.pem/d' "$conf"
daemon_start || die 'a daemon starts with a fetcher' ready
until_true 10 test -n "$(child_pids fetcher)" || die 'there is a fetcher' 'its pid'
fetcher=$(child_pids fetcher) rest=$(child_pids | grep -vx "$fetcher" | sort | paste -sd' ')
kill -9 "$fetcher"
another() { local now; now=$(child_pids fetcher); [ -n "$now" ] && [ "$now" != "$fetcher" ]; }
until_true 10 another && ok 'a fetcher that was killed is started again' ||
    not_ok 'a fetcher that was killed is started again' 'a new pid' "$(child_pids fetcher)"
sleep 0.5
is 'and nobody else' "$rest" "$(child_pids | grep -vx "$(child_pids fetcher)" | sort | paste -sd' ')"
call "$good" order_lookup '{"order_id":1001}'
is 'calls go on' 200 "$status"

# -- what the operator is told
like 'a text that is no token is explained' '^decision: refused: malformed_token$' \
    "$(echo nonsense | ctl token explain 2>&1)"
head -c 16385 /dev/zero | tr '\0' a >"$work/long"
like 'one that is longer than a credential may be is not asked about' \
    'must hold one token of up to 16384 bytes.*exit 2$' \
    "$(ctl token explain <"$work/long" 2>&1 | tr '\n' ' '; echo "exit ${PIPESTATUS[0]}")"
like 'one that is as long as it may be is' '^decision: refused: malformed_token$' \
    "$(head -c 16384 "$work/long" | ctl token explain 2>&1)"
like 'none at all is wrong usage' 'exit 2$' "$(ctl token explain </dev/null 2>&1; echo "exit $?")"
unlike 'and none is in the log' 'nonsense' "$(cat "$daemon_log")"
done_testing
