#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A process replaced by an attacker: what does it get, and what does the trail
# say?  For each attack a daemon is started whose listener or handler is the
# program beside this script; the attacker writes what it learned to a file,
# and the journal and the log are read afterwards.  As a control, the same
# attacker without an attack ("honest") does get its answer.

set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
passed=0 failed=0
dir=$(mktemp -d)
pid=
cleanup() {
	[ -n "$pid" ] && kill -9 "$pid" 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT

ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() { failed=$((failed + 1)); echo "not ok - $1: wanted $2, got: $3"; }

free_port() {
	python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# attack ROLE NAME: starts a daemon whose ROLE is the attacker.
attack() {
	work=$(mktemp -d "$dir/$1-$2.XXXX")
	mkdir -p "$work/libexec" "$work/data"
	chmod 755 "$dir" "$work" "$work/libexec" "$work/data"
	ln -s "$build/pontifexd" "$work/pontifexd"
	for role in listener handler authd auditd; do
		ln -s "$build/libexec/$role" "$work/libexec/$role"
	done
	rm "$work/libexec/$1"
	cp "$build/tests/hostile/evil_$1" "$work/libexec/$1"
	cp "$top/tests/contract/embedded.conf" "$work/pontifex.conf"
	port=$(free_port)
	sed -i "s/port 8080/port $port/" "$work/pontifex.conf"
	echo 'prefork listeners 1 handlers 2' >>"$work/pontifex.conf"
	sqlite3 "$work/shop.db" <"$top/tests/contract/shop.sql"
	[ "$(id -u)" -eq 0 ] && chown nobody "$work" "$work/shop.db"
	key=$("$build/pontifexctl" key add -F "$work/keys" -o mallory \
	    -s shop:order:read)
	echo "$2 $key" >"$work/libexec/plan"
	: >"$work/libexec/result"
	"$work/pontifexd" -d -f "$work/pontifex.conf" 2>"$work/log" \
	    </dev/null &
	pid=$!
}

# wait_result PATTERN: until the attacker wrote it; at most 20 s.
wait_for() {
	for _ in $(seq 200); do
		grep -q -- "$2" "$1" 2>/dev/null && return 0
		sleep 0.1
	done
	return 1
}
wait_result() { wait_for "$work/libexec/result" "$1"; }
wait_log() { wait_for "$work/log" "$1"; }
wait_journal() {
	for _ in $(seq 200); do
		cat "$work"/audit/*.jsonl 2>/dev/null | grep -q -- "$1" &&
		    return 0
		sleep 0.1
	done
	return 1
}

finish() {
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	pid=
	if "$build/pontifexctl" audit verify -j "$work/audit" \
	    >"$work/verify" 2>&1; then
		ok "$1: the trail verifies"
	else
		not_ok "$1: the trail verifies" "audit verify: ok" \
		    "$(tail -n 1 "$work/verify")"
	fi
}

rows() { cat "$work"/audit/*.jsonl 2>/dev/null | grep -c "$1"; }

# The listener's attacks on tickets: name, what the attacker must read.
listener_attack() {
	attack listener "$1"
	if wait_result "$2"; then
		ok "listener $1: $3"
	else
		not_ok "listener $1: $3" "$2" \
		    "$(tr '\n' ';' <"$work/libexec/result") log: $(tail -n 3 "$work/log" | tr '\n' ';')"
	fi
	if grep -q leaked "$work/libexec/result" && [ "$4" = nothing ]; then
		not_ok "listener $1 learns nothing" "no row" "a row"
	fi
	finish "listener $1"
}

listener_attack honest 'result 1 ok rows leaked' \
    'control: without an attack the call is answered' something
listener_attack forge 'result 1 internal_error rows none' \
    'a ticket cannot be made' nothing
listener_attack alter 'result 1 internal_error rows none' \
    'a ticket cannot be altered' nothing
listener_attack cut 'result 1 internal_error rows none' \
    'a ticket cannot be cut' nothing
listener_attack other-body 'result 1 internal_error rows none' \
    'a ticket is good for one body only' nothing
listener_attack other-tool 'result 1 internal_error rows none' \
    'a ticket is good for one tool only' nothing
listener_attack widen 'result 1 internal_error rows none' \
    'a ticket for one tool does not run the body of another' nothing
listener_attack other-handler 'result 1 internal_error rows none' \
    'a ticket is good at one handler only' nothing
listener_attack stale 'result 1 internal_error rows none' \
    'a ticket has its time' nothing
listener_attack scope 'decision scope_denied ticket 0' \
    'no ticket without the scope' nothing
# Which of the two is answered first is nobody's promise; that one is refused is.
attack listener replay
wait_result 'result 2'
if [ "$(grep -c 'ok rows leaked' "$work/libexec/result")" = 1 ] &&
    [ "$(grep -c 'internal_error rows none' "$work/libexec/result")" = 1 ]; then
	ok 'listener replay: a ticket is good once'
else
	not_ok 'listener replay: a ticket is good once' 'one answer, one refusal' \
	    "$(tr '\n' ';' <"$work/libexec/result")"
fi
finish 'listener replay'
listener_attack twice 'closed by authd' \
    'a question number cannot be used twice' something
listener_attack garbage-authd 'closed by authd' \
    'a malformed frame ends the connection to authd' nothing
attack listener garbage-authd
if wait_log 'listener 0 was cut off by authd: it is started anew'; then
	ok 'listener garbage-authd: one that was cut off is started anew'
else
	not_ok 'listener garbage-authd: one that was cut off is started anew' \
	    'a line in the log' "$(tail -n 3 "$work/log" | tr '\n' ';')"
fi
finish 'listener garbage-authd, anew'
listener_attack type-authd 'closed by authd' \
    'a message that is not a listener'"'"'s ends the connection to authd' nothing
listener_attack garbage-handler 'closed by handler' \
    'a malformed frame ends the connection to a handler' nothing
listener_attack type-handler 'closed by handler' \
    'a message that is not a listener'"'"'s ends the connection to a handler' nothing

# A ticket that is kept and never used still leaves its mark.
attack listener unused
wait_result 'keeps it'
sleep 0.5
finish 'listener unused'
if [ "$(rows '"outcome":"unknown"')" -ge 1 ]; then
	ok 'listener unused: an authorised call that is never made is recorded'
else
	not_ok 'listener unused: an authorised call that is never made is recorded' \
	    'a record with outcome unknown' "$(rows .) records"
fi

# A handler's attacks on the trail.  One call is made over HTTP.
call_over_http() {
	wait_log 'ready: listening'
	curl -s -m 8 -H "Authorization: Bearer $key" \
	    -H 'Content-Type: application/json' -d \
	    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":1001}}}' \
	    "http://127.0.0.1:$port/mcp" >"$work/answer"
}

handler_attack() {
	attack handler "$1"
	call_over_http
	wait_result 'has a call' || echo "# the handler got no call" >&2
}

handler_attack unseen
if wait_journal '"outcome":"unknown"'; then
	ok 'handler unseen: a call that a handler hides is in the trail'
else
	not_ok 'handler unseen: a call that a handler hides is in the trail' \
	    'a record with outcome unknown' "$(rows .) records"
fi
finish 'handler unseen'

handler_attack answers-twice
second=$(curl -s -o /dev/null -m 8 -w '%{http_code}' "http://127.0.0.1:$port/health/live")
if [ "$second" = 200 ] && [ "$(grep -c unseen "$work/answer")" = 1 ]; then
	ok 'handler answers-twice: one answer, and the listener stands'
else
	not_ok 'handler answers-twice: one answer, and the listener stands' \
	    'one answer and 200' "$(cat "$work/answer") and $second"
fi
finish 'handler answers-twice'

for lie in lies newline; do
	handler_attack $lie
	finish "handler $lie"
	if cat "$work"/audit/*.jsonl | grep -q '"hash":"forged"'; then
		not_ok "handler $lie: no record of its own making" none one
	else
		ok "handler $lie: no record of its own making"
	fi
done

for bad in garbage-auditd decides; do
	handler_attack $bad
	if wait_result 'closed by auditd'; then
		ok "handler $bad: auditd ends the connection"
	else
		not_ok "handler $bad: auditd ends the connection" \
		    'closed by auditd' "$(tr '\n' ';' <"$work/libexec/result")"
	fi
	finish "handler $bad"
done

handler_attack garbage-listener
if wait_result 'closed by listener'; then
	ok 'handler garbage-listener: the listener ends the connection'
else
	not_ok 'handler garbage-listener: the listener ends the connection' \
	    'closed by listener' "$(tr '\n' ';' <"$work/libexec/result")"
fi
code=$(curl -s -o /dev/null -m 8 -w '%{http_code}' "http://127.0.0.1:$port/health/live")
if [ "$code" = 200 ]; then
	ok 'handler garbage-listener: the listener stands'
else
	not_ok 'handler garbage-listener: the listener stands' 200 "$code"
fi
finish 'handler garbage-listener'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
