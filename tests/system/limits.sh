#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Rates of callers and of tools, and calls in flight: who shares what, what a
# refusal says and that it is true, and that no way in which a call ends, or a
# process dies, leaves it counted.  The rates are so slow that nothing comes
# back while the test runs, but where that is what is tested.

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/harness.sh"
. "$here/oauth/ca.sh"

postgres_start || die 'a private Postgres starts' running "$(cat "$work/initdb.log" "$work/pg/log" 2>&1 | tail -n 5)"
sql postgres 'CREATE ROLE shop_ro LOGIN' >/dev/null
test_ca "$work" || die 'certificates are made' 'openssl to succeed' "$(tail -n 5 "$work/openssl.log")"

# -- an issuer, and tokens of its subjects
issuer_port=$(free_port)
issuer=https://127.0.0.1:$issuer_port/main
mkdir -p "$work/issuer/main/.well-known"
dir=$work/d port=$(free_port) conf=$work/d/pontifex.conf keys=$work/d/keys
PYTHONPATH=$here/oauth python3 -B - "$work/issuer/main" "$issuer" "http://127.0.0.1:$port/mcp" >"$work/tokens" <<'EOF_PY'
import json
import sys

import jose

folder, issuer, audience = sys.argv[1:]
key = jose.Key("P-256", kid="k1")
with open(folder + "/jwks", "w", encoding="ascii") as f:
    json.dump({"keys": [key.jwk()]}, f)
for subject, jti in (("alice", "1"), ("alice", "2"), ("bob", "1")):
    print(jose.Mint(issuer, audience, key, subject=subject, jti=jti).token(claims={"scope": "shop:test:read"}))
EOF_PY
token() { sed -n "$1p" "$work/tokens"; }
touch "$work/issuer.log"
python3 -B "$here/oauth/issuer.py" "$issuer_port" "$work/server.pem" "$work/server.key" "$work/issuer" \
    "$work/issuer.log" >"$work/issuer.out" 2>&1 </dev/null &
started+=("$!")
until_true 20 grep -q ready "$work/issuer.out" || die 'the issuer starts' ready "$(tail -n 3 "$work/issuer.out")"

mkdir -p "$dir"
handler_writes "$dir"
cp "$work/ca.pem" "$dir/ca.pem"
SHOP_DSN=$(dsn shop_ro postgres)
export SHOP_DSN
cat >"$conf" <<END
namespace "shop"
listen on 127.0.0.1 port $port
public url "http://127.0.0.1:$port/mcp"
control socket "run/control.sock"
prefork listeners 2 handlers 3
auth {
	keys "keys"
	rate 8 per hour burst 5
	calls in flight 3
	issuer "$issuer" {
		audience "http://127.0.0.1:$port/mcp"
		jwks "$issuer/jwks"
		rate 4 per hour
		calls in flight 1
		allow private
		ca "ca.pem"
	}
}
audit {
	journal "audit"
}
source pg postgres {
	dsn from env "SHOP_DSN"
	connections 8
	timeout 20s
}
END
tool() { # NAME LINES...
	printf 'tool %s {\n\tdescription "d"\n\tscope "shop:test:read"\n\tsource pg\n' "$1"
	shift
	printf '\t%s\n' "$@"
	printf '}\n'
}
{
	tool plain 'sql "SELECT 1 AS one"'
	tool scarce 'rate 1 per hour burst 2' 'sql "SELECT 2 AS two"'
	tool brisk 'rate 40 per minute burst 1' 'sql "SELECT 3 AS three"'
	tool sleeps 'param s number required' "sql \"SELECT 'awake' AS state FROM pg_sleep(:s)\""
	tool late 'param s number required' 'timeout 700ms' "sql \"SELECT 'awake' AS state FROM pg_sleep(:s)\""
} >>"$conf"
alice=$(key_add -o alice -s shop:test:read)
alice2=$(key_add -o alice -s shop:test:read -l 'another of hers')
bob=$(key_add -o bob -s shop:test:read)
namesake=$(key_add -o namesake -s shop:test:read)
# pontifexctl makes no such owner; a hand could.
sed -i "s|:namesake:|:${issuer//:/%3A}#alice:|" "$keys"
carol=$(key_add -o carol -s shop:test:read)
dave=$(key_add -o dave -s shop:test:read)
fast=$(key_add -o fred -s shop:test:read -r 1000000)
slow=$(key_add -o fred -s shop:test:read -r 600000)
other=$(key_add -o gina -s shop:test:read -r 1000000)
wrong=$(key_add -o henry -s shop:other:read)
daemon_start || die 'the daemon starts' ready
field() { sed -n "s/^$1: //Ip" <<<"$head"; }
# uses NAME WANTED KEY [TOOL]: the statuses of as many calls as are wanted.
uses() {
	local got=
	for _ in $2; do
		call "$3" "${4:-plain}" '{}'
		got+=" $status"
	done
	is "$1" "$2" "${got# }"
}

# -- who shares a counter
uses 'a key has its burst and no more' '200 200 200 200 200 429' "$alice"
call "$alice2" plain '{}'
is 'another key of the same owner shares it' 429 "$status"
call "$bob" plain '{}'
is 'another owner does not' 200 "$status"
uses 'a subject of an issuer has the rate of its issuer' '200 200' "$(token 1)"
uses 'another token of his shares it' '200 200 429' "$(token 2)"
call "$(token 1)" plain '{}'
is 'so the first is at its end, too' 429 "$status"
call "$(token 3)" plain '{}'
is 'another subject of the issuer does not share it' 200 "$status"
call "$namesake" plain '{}'
is 'nor can the owner of a key be called as the subject is' 401 "$status"

# -- what a refusal says
call "$alice" plain '{}'
is '429: rate_limited, to be tried again' '429 rate_limited true' "$status $(jqb .error_code) $(jqb .retry)"
is 'the policy by its name' '"caller";q=8;w=3600' "$(field RateLimit-Policy)"
like 'and what is left of it, and when there is more' '^"caller";r=0;t=[0-9]+$' "$(field RateLimit)"
retry=$(field Retry-After)
is 'the fields and the body say the same' "$retry $retry" "$(field RateLimit | sed 's/.*t=//') $(jqb .retry_after_seconds)"
number 'which is one call of eight an hour' "$retry" -le 450
number 'less what has passed' "$retry" -ge 300
legacy "$alice" tools/list '{}'
is 'a listing counts, too' 429 "$status"
call '' plain '{}'
is 'nobody is limited by it before he is known' 401 "$status"
uses 'what is denied counts for the caller' '403 403 403 403 403 429' "$wrong"

# -- the rate of a tool
uses 'a tool has its rate' '200 200 429' "$carol" scarce
is 'its policy by its name' '"tool";q=1;w=3600' "$(field RateLimit-Policy)"
like 'and when' '^"tool";r=0;t=3[0-9]{3}$' "$(field RateLimit)"
number 'as Retry-After says' "$(field Retry-After)" -ge 3000
uses 'refused calls of it cost nothing of the caller'\''s' '429 429 429 429 429 429' "$carol" scarce
uses 'who has three left' '200 200 200 429' "$carol"
is 'and whose own rate it is then' '"caller";q=8;w=3600' "$(field RateLimit-Policy)"
uses 'each caller has his own for the tool' '200 200 429' "$dave" scarce

# -- Retry-After is true
for i in 1 2; do
	until_true 20 eval 'call "$fast" brisk "{}"; [ "$status" = 429 ]'
	is "429 of a brisk tool, $i" '429 "tool";q=40;w=60' "$status $(field RateLimit-Policy)"
	retry=$(field Retry-After)
	number 'it gives way in two seconds at most' "$retry" -le 2
	sleep "$retry"
	call "$fast" brisk '{}'
	is 'who waits so long and no longer gets through' 200 "$status"
done

# -- calls in flight
asleep() { [ "$(sql postgres "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()")" = "$1" ]; }
# sleepers N SECONDS [TOOL]: so many calls, all of them under way.
sleepers() {
	local i
	sleeper=()
	until_true 20 asleep 0
	for ((i = 0; i < $1; i++)); do
		printf '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"%s","arguments":{"s":%s}}}' "${3:-sleeps}" "$2" |
		    curl -s -m 40 -o "$work/sleeper.$i" -w '%{http_code}' -H "Authorization: Bearer $fast" \
		    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
		    -H 'MCP-Protocol-Version: 2025-11-25' --data-binary @- "http://127.0.0.1:$port/mcp" >"$work/code.$i" &
		sleeper+=("$!")
	done
	# Those that may not sleep long may be awake before we look.
	[ "${3:-}" = late ] || until_true 20 asleep "$1" || not_ok 'the calls are under way' "$1 asleep" "$(ctl status -v)"
}
gets_in() { call "$fast" plain '{}'; [ "$status" = 200 ]; }
comes_back() { # NAME
	until_true 30 gets_in
	is "$1: the caller gets in again" 200 "$status"
	# All of it, not one place of three.
	until_true 30 eval 'grep -q "calls in flight 0," <<<"$(ctl status -v)"'
	like "$1: nothing stays counted" 'calls in flight 0,' "$(ctl status -v | grep 'calls in flight')"
}
sleepers 3 3
call "$fast" plain '{}'
is 'one call too many' '429 rate_limited' "$status $(jqb .error_code)"
is 'the policy' '"in-flight";q=3;qu="concurrent-requests"' "$(field RateLimit-Policy)"
is 'and that nothing is left of it' '"in-flight";r=0' "$(field RateLimit)"
is 'to be tried again in a second' '1 1' "$(field Retry-After) $(jqb .retry_after_seconds)"
call "$slow" plain '{}'
is 'a key of his with another rate does not help him' 429 "$status"
legacy "$fast" tools/list '{}'
is 'a listing is no call' 200 "$status"
call "$other" plain '{}'
is 'others are not held back' 200 "$status"
wait "${sleeper[@]}"
is 'those that were under way are answered' '200 200 200' "$(cat "$work"/code.? | sed 's/.../& /g; s/ $//')"
call "$fast" plain '{}'
is 'who has his answers may call at once' 200 "$status"
comes_back 'after success'

sleepers 3 20 late
comes_back 'after the time was over'
wait "${sleeper[@]}"
like 'which it was' timeout "$(cat "$work/sleeper.0")"

sleepers 3 15
kill "${sleeper[@]}"
comes_back 'after the clients left'
wait "${sleeper[@]}" 2>/dev/null

sleepers 3 15
before=$(journal_count '.outcome == "unknown" and .tool_name == "sleeps"')
for pid in $(child_pids handler); do kill -9 "$pid"; done
comes_back 'after the handlers were killed'
wait "${sleeper[@]}"
# One that came while they died may be among them.
number 'their calls are closed as unknown' "$(journal_count '.outcome == "unknown" and .tool_name == "sleeps"')" -ge $((before + 3))
sql postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()" >/dev/null

sleepers 3 4
kill -9 "$(child_pids auditd)"
comes_back 'after auditd was killed'
wait "${sleeper[@]}"

sleepers 3 4
kill -9 "$(child_pids authd)"
comes_back 'after authd was killed'
wait "${sleeper[@]}"

sleepers 3 1
call "$fast" plain '{}'
is 'and the cap is what it was' '429 "in-flight";r=0' "$status $(field RateLimit)"
wait "${sleeper[@]}"
comes_back 'at the end'

# One after the other as fast as they come: none is refused for the one before.
printf 'header = "Authorization: Bearer %s"\n' "$(token 3)" >"$work/bob.curl"
one='{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"plain","arguments":{}}}'
codes=$(for i in 1 2 3; do
	curl -s -K "$work/bob.curl" -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
	    -H 'MCP-Protocol-Version: 2025-11-25' --data-binary "$one" -o /dev/null -w '%{http_code} ' "http://127.0.0.1:$port/mcp"
done)
is 'with one call in flight, one after the other' '200 200 200 ' "$codes"

# -- the trail and the figures tell them apart
for reason in over_rate over_tool_rate over_in_flight; do
	number "the trail tells $reason" "$(journal_count ".outcome == \"rate_limited\" and .reason == \"$reason\"")" -ge 1
done
like 'so does the status' "over a caller's rate [0-9]+, a tool's [0-9]+, calls in flight [1-9]" "$(ctl status -v)"
daemon_stop
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
