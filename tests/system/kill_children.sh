#!/bin/bash
# SPDX-License-Identifier: ISC
#
# kill -9 of each child in turn, under load: the daemon serves on, the trail
# verifies, and what it says adds up with what the callers saw.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
echo 'prefork listeners 2 handlers 2' >>"$conf"
if postgres_start; then
	out=$(audit_database trail) || die 'auditd/schema.sql loads' 'exit 0' "$out"
	role=${AUDIT_ROLE:-pontifex_audit}
	sql trail "ALTER ROLE $role LOGIN" >/dev/null
	AUDIT_DSN=$(dsn "$role" trail)
	export AUDIT_DSN
	sed -i 's/^\tjournal "audit"/&\n\tpostgres from env "AUDIT_DSN"/' "$conf"
	sum() { sql trail 'SELECT coalesce(sum(calls), 0) FROM pontifex.audit_calls'; }
else
	die 'a private Postgres starts' running "$(cat "$work/initdb.log" 2>&1 | tail -n 5)"
fi
key=$(key_add -o alice -s shop:order:read -r 10000000)
daemon_start || die 'the daemon starts' ready
answered=0 lost=0
probe() { # one call more; counted
	call_timeout=10 call "$key" order_lookup '{"order_id":1001}'
	if [ "$status" = 000 ]; then lost=$((lost + 1)); return 1; fi
	answered=$((answered + 1))
	[ "$status" = 200 ] && [ "$(error_code)" = none ]
}
load_begin() {
	stop=$work/stop.$1
	python3 "$lib/load.py" "$port" "$key" order_lookup '{"order_id":1001}' 8 60 50000 "$stop" >"$work/load.$1" &
	loader=$!
}
load_end() {
	touch "$stop"
	wait "$loader"
	note "$1: $(cat "$work/load.$1")"
	answered=$((answered + $(jq .answered "$work/load.$1")))
	lost=$((lost + $(jq .unanswered "$work/load.$1")))
}
adds_up() { # with nothing lost they are equal
	local calls
	calls=$(sum)
	[ "$calls" -ge "$answered" ] && [ "$calls" -le $((answered + lost)) ]
}
check() {
	until_true 40 adds_up
	if [ "$lost" -eq 0 ]; then
		is "$1: calls in audit_calls equal answers and refusals" "$answered" "$(sum)"
	else
		number "$1: no answer without its record" "$(sum)" -ge "$answered"
		number "$1: no record without its request" "$(sum)" -le $((answered + lost))
	fi
	like "$1: audit verify says ok" ok "$(audit_verify | tail -n 1)"
}
probe || die 'a call is served' 200 "$status $body"
for role in handler authd auditd listener; do
	load_begin $role
	sleep 1
	victim=$(child_pids $role | head -n 1)
	begun=$(date +%s%N)
	kill -9 "$victim"
	if until_true 10 probe; then
		ok "$role killed: served again"
		note "$role: served $((($(date +%s%N) - begun) / 1000000)) ms after the kill"
	else
		not_ok "$role killed: served again" 'an answer within 10 s' "$status $body"
	fi
	replaced() { [ "$(child_pids $role | wc -l)" -ge 1 ] && ! child_pids $role | grep -qx "$victim" &&
	    [ "$(child_pids | wc -l)" -eq 6 ]; }
	if until_true 10 replaced; then
		ok "$role killed: replaced"
	else
		not_ok "$role killed: replaced" 'six children' "$(ps -o pid=,comm= --ppid "$daemon")"
	fi
	sleep 1
	load_end $role
	case $role in
	listener) ;;
	*) is "$role killed: no request went without an answer" 0 "$(jq .unanswered "$work/load.$role")" ;;
	esac
	number "$role killed: most calls were good" "$(jq '.kinds.ok // 0' "$work/load.$role")" -gt 100
	check "$role killed"
	answered_before=$answered
	[ "$lost" -eq 0 ] || { answered=$(sum); lost=0; }
done

# Two at once, and one again and again: backed off and reported.
load_begin both
sleep 0.7
kill -9 "$(child_pids authd | head -n 1)" "$(child_pids auditd | head -n 1)"
sleep 2
load_end both
until_true 10 probe
check 'authd and auditd killed at once'
for _ in 1 2 3 4 5 6; do
	pid=$(child_pids handler | head -n 1)
	[ -z "$pid" ] || kill -9 "$pid"
	sleep 0.3
done
if until_true 20 probe; then ok 'a handler killed again and again: served'; else
	not_ok 'a handler killed again and again: served' 200 "$status $body"; fi
like 'and reported' 'handler.*(again|back|died|ended|killed|signal)' "$(grep -i handler "$daemon_log" | tail -n 5)"
number 'answers were counted' "$answered" -ge "${answered_before:-1}"
check 'after all'
daemon_stop
is 'SIGTERM: exit 0' 0 "$daemon_status"
succeeds 'audit verify succeeds afterwards' "$build/pontifexctl" audit verify -j "$dir/audit"
done_testing
