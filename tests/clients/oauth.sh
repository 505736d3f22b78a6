#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A real OpenID provider (oauth_provider.mjs) and the official clients
# (oauth.mjs): from a bare 401 to a tool's result.  Then the provider is
# stalled, killed and started with other keys while the tokens are in use.

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/harness.sh"
. "$lib/npm.sh"
. "$here/../system/oauth/ca.sh"

npm_folder "$here" || die 'the npm packages are there' 'npm ci to succeed' "$(tail -n 5 "$modules.log")"
test_ca "$work" || die 'certificates are made' 'openssl to succeed' "$(tail -n 5 "$work/openssl.log")"
shop "$work/shop"
cp "$work/ca.pem" "$dir/ca.pem"
public=http://127.0.0.1:$port/mcp
issuer=https://localhost:$(free_port)
sed -i -e "/^listen on/a public url \"$public\"" -e "/^	rate 600 per minute/r /dev/stdin" "$conf" <<EOF
	issuer "$issuer" {
		audience "$public"
		claims "tenant"
		rate 1000000 per minute
		allow private
		ca "ca.pem"
	}
EOF

signing_keys() { "$node" "$here/oauth_provider.mjs" "$modules" keys "$work/jwks"; }
# provider_start: sets $provider, its pid.
provider_start() {
	"$node" "$here/oauth_provider.mjs" "$modules" serve "$issuer" "$public" "$work/server.pem" \
	    "$work/server.key" "$work/jwks" >"$work/provider" 2>&1 </dev/null &
	provider=$!
	started+=("$provider")
	until_true 20 grep -q '^ready' "$work/provider" ||
	    die 'the provider starts' ready "$(tail -n 5 "$work/provider")"
}
clients() { # [STORY]
	NODE_EXTRA_CA_CERTS=$work/ca.pem timeout 100 "$node" "$here/oauth.mjs" "$modules" "$public" "$issuer" \
	    "$work/tokens" "$@" >"$work/out" 2>"$work/err"
	rc=$?
	cat "$work/out"
	passed=$((passed + $(grep -c '^ok ' "$work/out")))
	failed=$((failed + $(grep -c '^not ok ' "$work/out")))
	if [ "$rc" -ne 0 ] && ! grep -q '^not ok' "$work/out"; then
		not_ok 'the clients run to their end' 'exit 0' "exit $rc: $(tail -n 5 "$work/err")"
	fi
}

key=$(key_add -o operator -s shop:order:read -r 100000)
daemon_start || die 'the daemon starts without the provider' ready
call "$key" order_lookup '{"order_id":1001}'
is 'an API key works without the provider' 200 "$status"
signing_keys && provider_start
keys_there() { grep -q "issuer $issuer: keys 4," <<<"$(ctl status -v)"; }
until_true 30 keys_there || die 'the keys come once the provider is there' 'keys 4' "$(ctl status -v)"
clients
is 'there is a token of each client' 4 "$(wc -l <"$work/tokens")"
for name in sdk-1-x client-2-x-as-it-comes client-2-x-auto client-2-x-modern-only; do
	number "the trail knows whose calls they were: $name" "$(journal_count \
	    ".tool_name == \"order_lookup\" and .outcome == \"ok\" and .credential == \"token\" and .owner_id == \"$issuer#$name\" and .key_id != null")" -eq 1
done

# -- the tokens that we have, over and over, whatever becomes of the provider
load() { # FILE: a status a line, until $work/over is there
	work=$work/load
	mkdir -p "$work"
	while [ ! -e "$work/../over" ]; do
		while read -r token; do
			call "$token" order_lookup '{"order_id":1001}'
			echo "$status"
		done <"$work/../first"
	done >"$1"
}
more() { # lets calls pass
	local from
	from=$(wc -l <"$work/statuses")
	until_true 30 eval "[ \"\$(wc -l <'$work/statuses')\" -ge $((from + 40)) ]"
}
cp "$work/tokens" "$work/first"
: >"$work/statuses"
load "$work/statuses" &
loader=$!
started+=("$loader")
more
kill -STOP "$provider"
more
kill -CONT "$provider"
more
kill -9 "$provider"
wait "$provider" 2>/dev/null
more
: >"$work/tokens"
signing_keys && provider_start
is 'the provider starts anew, with keys that nobody has seen' 8 "$(jq '.keys | length' "$work/jwks")"
clients 'client 2.x, modern only'
kid() { sed -n "$1p" "$2" | cut -d. -f1 | tr -- '-_' '+/' | base64 -d 2>/dev/null | jq -r .kid; }
isnt 'what a client gets now is signed with another key' "$(kid 4 "$work/first")" "$(kid 1 "$work/tokens")"
more
touch "$work/over"
wait "$loader"
number 'meanwhile calls went on' "$(wc -l <"$work/statuses")" -ge 200
is 'and no valid token was refused' 200 "$(sort -u "$work/statuses" | paste -sd' ')"
daemon_stop
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
