#!/bin/bash
# SPDX-License-Identifier: ISC
#
# `make demo': a daemon on the embedded default, which is one configuration
# file, SQLite data and a journal, and no service; then an allowed call, one
# without a key, one out of scope, and what the audit trail says of them.
# `make demo-serve' leaves it running until ^C.

set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
serve=no
[ "${1:-}" = --serve ] && serve=yes

daemon=
dir=$(mktemp -d "${TMPDIR:-/tmp}/pontifexd-demo.XXXXXX")
cleanup() {
	trap - EXIT INT TERM
	if [ -n "$daemon" ]; then
		kill -TERM "$daemon" 2>/dev/null
		wait "$daemon" 2>/dev/null
	fi
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n== %s\n' "$*"; }
fail() {
	echo "demo: $*" >&2
	if [ -s "$dir/log" ]; then
		echo 'demo: the log says:' >&2
		tail -n 20 "$dir/log" >&2
	fi
	exit 1
}
taken() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

[ -x "$build/pontifexd" ] || fail "there is no $build/pontifexd: run \`make demo'"

chmod 755 "$dir"
cp "$top/tests/contract/embedded.conf" "$dir/pontifex.conf"
sqlite3 "$dir/shop.db" <"$top/tests/contract/shop.sql" || fail 'the sample data does not load'
port=8080
if taken $port; then
	for try in 8081 8082 18080 28080 38080; do
		taken $try || { port=$try; break; }
	done
	[ $port != 8080 ] || fail 'ports 8080, 8081, 8082, 18080, 28080 and 38080 are all taken'
	echo "demo: port 8080 is taken; this demo uses $port, in a copy of the configuration"
	sed -i "s/port 8080/port $port/" "$dir/pontifex.conf"
fi
# Started as root, the tools run as another user, who is to own the data.
if [ "$(id -u)" -eq 0 ]; then
	user=_pontwork
	for role in _pontifexd _pontauth _pontwork _pontaudit _pontfetch; do
		id "$role" >/dev/null 2>&1 || user=nobody
	done
	chown "$user" "$dir" "$dir/shop.db"
fi

say 'Two keys: alice may read orders, carol may not'
alice=$("$build/pontifexctl" key add -F "$dir/keys" -o alice -s shop:order:read,shop:order:write -l 'demo') ||
    fail 'no key could be made'
carol=$("$build/pontifexctl" key add -F "$dir/keys" -o carol -s shop:customer:read -l 'demo') ||
    fail 'no key could be made'
"$build/pontifexctl" key list -F "$dir/keys"

say "The daemon starts on 127.0.0.1 port $port"
"$build/pontifexd" -d -f "$dir/pontifex.conf" 2>"$dir/log" </dev/null &
daemon=$!
url=http://127.0.0.1:$port/mcp
tries=0
until [ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/health/ready")" = 200 ]; do
	tries=$((tries + 1))
	kill -0 "$daemon" 2>/dev/null || fail 'the daemon did not start'
	[ $tries -lt 200 ] || fail 'the daemon did not become ready within 20 s'
	sleep 0.1
done
cat "$dir/log"

lookup='{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":1003}}}'
call() { # WANTED-STATUS KEY BODY
	local headers=(-H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream')
	[ -z "$2" ] || headers+=(-H "Authorization: Bearer $2")
	curl -s -m 20 -D "$dir/head" -o "$dir/answer" "${headers[@]}" -d "$3" "$url" || fail 'no answer'
	tr -d '\r' <"$dir/head" | grep -Ei '^(HTTP|WWW-Authenticate)'
	cat "$dir/answer"
	echo
	grep -q "^HTTP/1.1 $1 " "$dir/head" || fail "wanted HTTP $1"
}
say 'An allowed call: alice looks up order 1003'
echo "curl -H 'Authorization: Bearer $alice' -H 'Content-Type: application/json' \\
  -d '$lookup' $url"
call 200 "$alice" "$lookup"
grep -q 'Bauer' "$dir/answer" || fail 'the order is not in the answer'

say 'The same call without a key'
call 401 '' "$lookup"
grep -qi '^WWW-Authenticate: Bearer' "$dir/head" || fail 'no challenge'

say 'The same call by carol, whose key lacks the scope'
call 403 "$carol" "$lookup"

say 'A call that writes: alice cancels order 1002; its reason is redacted in the trail'
call 200 "$alice" '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"order_cancel","arguments":{"order_id":1002,"reason":"ordered twice"}}}'

say 'The audit trail'
"$build/pontifexctl" audit tail -j "$dir/audit" || fail 'audit tail failed'
say 'Is it whole?'
verdict=$("$build/pontifexctl" audit verify -j "$dir/audit") || fail "audit verify failed: $verdict"
printf '%s\n' "$verdict"

say 'To connect an MCP client, give it'
cat <<EOF
{
  "mcpServers": {
    "shop": {
      "type": "http",
      "url": "$url",
      "headers": { "Authorization": "Bearer $alice" }
    }
  }
}
EOF
if [ "$serve" = yes ]; then
	say "Serving on $url until ^C; everything is in $dir and goes with it"
	wait "$daemon"
	exit $?
fi
kill -TERM "$daemon"
wait "$daemon" || fail "the daemon ended with status $?"
daemon=
say '`make demo-serve'"'"' leaves it running, so that a client can be connected.'
