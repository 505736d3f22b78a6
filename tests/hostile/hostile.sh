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
passed=0 failed=0 parts=()
dir=$(mktemp -d)
pid=
cleanup() {
	[ -n "$pid" ] && kill -9 "$pid" 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT

ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() { failed=$((failed + 1)); echo "not ok - $1: wanted $2, got: $3"; }

free_port() { python3 "$top/tests/lib/free_port.py"; }

# two_issuers: into the configuration; a key set of the attacker's own beside
# it, and a token by that key for each of them, in $work/tokens.
two_issuers() {
	sed -i "s,^auth {,public url \"http://127.0.0.1:$port/mcp\"\n&," "$work/pontifex.conf"
	for name in first second; do
		sed -i "s,^	keys \"keys\",&\n	issuer \"https://$name.test/\" {\n		audience \"a\"\n		jwks \"https://$name.test/jwks\"\n	}," \
		    "$work/pontifex.conf"
	done
	# The last one that went in stands first.
	python3 -B - "$top/tests/system/oauth" "$work/libexec/jwks" https://second.test/ https://first.test/ \
	    >"$work/tokens" <<-'END'
	import json, sys
	sys.path.insert(0, sys.argv[1])
	from jose import Key, Mint
	key = Key("P-256", kid="mine")
	with open(sys.argv[2], "w", encoding="ascii") as f:
	    json.dump({"keys": [key.jwk()]}, f)
	for issuer in sys.argv[3:]:
	    print(Mint(issuer, "a", key).token())
	END
}

# audit_secret: into the configuration, a password that is auditd's.
audit_secret() {
	(umask 077 && echo "host=$work user=nobody dbname=none password=x" >"$work/audit.dsn")
	sed -i 's,^	journal .*,&\n	postgres from file "audit.dsn",' "$work/pontifex.conf"
}

# attack ROLE NAME [LISTENERS [CONFIGURATION]]: starts a daemon whose ROLE is the attacker.
attack() {
	local role
	work=$(mktemp -d "$dir/$1-$2.XXXX")
	mkdir -p "$work/libexec" "$work/data"
	chmod 755 "$dir" "$work" "$work/libexec" "$work/data"
	ln -s "$build/pontifexd" "$work/pontifexd"
	for role in listener handler authd auditd fetcher; do
		ln -s "$build/libexec/$role" "$work/libexec/$role"
	done
	mv "$work/libexec/$1" "$work/libexec/$1.real"
	cp "$build/tests/hostile/evil_$1" "$work/libexec/$1"
	cp "$top/tests/contract/embedded.conf" "$work/pontifex.conf"
	port=$(free_port)
	sed -i "s/port 8080/port $port/" "$work/pontifex.conf"
	echo "prefork listeners ${3:-1} handlers 2" >>"$work/pontifex.conf"
	[ -z "${4:-}" ] || printf '%s\n' "$4" >>"$work/pontifex.conf"
	(umask 077 && echo "host=$work user=nobody dbname=none password=x" >"$work/other.dsn")
	sqlite3 "$work/shop.db" <"$top/tests/contract/shop.sql"
	[ "$(id -u)" -eq 0 ] && chown nobody "$work" "$work/shop.db"
	key=$("$build/pontifexctl" key add -F "$work/keys" -o mallory \
	    -s shop:order:read)
	echo "$2 $key" >"$work/libexec/plan"
	[ "$1" != fetcher ] || two_issuers
	[ "$2" != wants-secret ] || audit_secret
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

status_of() { # CREDENTIAL
	curl -s -o /dev/null -m 8 -w '%{http_code}' -H "Authorization: Bearer $1" \
	    -H 'Content-Type: application/json' "http://127.0.0.1:$port/mcp" \
	    -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":1001}}}'
}

# row PROCESS ATTEMPT STOPPED-BY [VERDICT]: a line of the table that stands in
# docs/security.md; it is BROKEN where a check fails before row_end.
rows=$dir/rows
printf '| process | attempt | stopped by | verdict |\n| --- | --- | --- | --- |\n' >"$rows"
row() { the_row="| $1 | $2 | $3 |" verdict=${4:-held} before=$failed; }
row_end() {
	[ "$failed" -eq "$before" ] || verdict=BROKEN
	echo "$the_row $verdict |" >>"$rows"
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

records() { cat "$work"/audit/*.jsonl 2>/dev/null | grep -c "$1"; }

# The listener's attacks: name, what the attacker must read, what that shows,
# whether it may see a row, the table's line (attempt, what stopped it).
listener_attack() {
	attack listener "$1"
	[ -z "${5:-}" ] || row listener "$5" "$6"
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
	[ -z "${5:-}" ] || row_end
}

# Beside an attacker there is an honest listener.  Who comes to the attacker is
# sent away; nobody may wait in vain.
others_serve() { # ATTACK
	local served=0 late=0 code
	wait_log 'ready: listening'
	for _ in $(seq 60); do
		code=$(status_of "$key")
		case $code/$? in
		200/0) served=$((served + 1)) ;;
		000/5[26]) ;;
		*) late=$((late + 1)) ;;
		esac
	done
	if [ "$served" -ge 5 ] && [ "$late" -eq 0 ]; then
		ok "listener $1: the other listener serves"
	else
		not_ok "listener $1: the other listener serves" '5 calls and more, none late' \
		    "$served, $late late; $(tail -n 1 "$work/libexec/result")"
	fi
}

the_listener() {
listener_attack honest 'result 1 ok rows leaked' \
    'control: without an attack the call is answered' something
listener_attack forge 'result 1 internal_error rows none' \
    'a ticket cannot be made' nothing \
    "make a ticket" 'MAC'
listener_attack alter 'result 1 internal_error rows none' \
    'a ticket cannot be altered' nothing \
    "alter a ticket" 'MAC'
listener_attack cut 'result 1 internal_error rows none' \
    'a ticket cannot be cut' nothing \
    "cut a ticket short" 'MAC'
listener_attack other-body 'result 1 internal_error rows none' \
    'a ticket is good for one body only' nothing \
    "use a ticket for another body" 'protocol: the digest in the ticket'
listener_attack other-tool 'result 1 internal_error rows none' \
    'a ticket is good for one tool only' nothing \
    "use a ticket for another tool" 'protocol: the digest in the ticket'
listener_attack widen 'result 1 internal_error rows none' \
    'a ticket for one tool does not run the body of another' nothing \
    "get a ticket for one tool over the body of another" 'protocol: the tool in the body'
listener_attack other-handler 'result 1 internal_error rows none' \
    'a ticket is good at one handler only' nothing \
    "use a ticket at another handler" 'MAC: a key for each handler'
listener_attack stale 'result 1 internal_error rows none' \
    'a ticket has its time' nothing \
    "use a ticket after its time" 'protocol: it expires'
listener_attack scope 'decision scope_denied ticket 0' \
    'no ticket without the scope' nothing \
    "call a tool outside the caller's scope" 'permission: authd'
# Which of the two is answered first is nobody's promise; that one is refused is.
attack listener replay
row listener 'use a ticket twice' 'protocol: the window of serials'
wait_result 'result 2'
if [ "$(grep -c 'ok rows leaked' "$work/libexec/result")" = 1 ] &&
    [ "$(grep -c 'internal_error rows none' "$work/libexec/result")" = 1 ]; then
	ok 'listener replay: a ticket is good once'
else
	not_ok 'listener replay: a ticket is good once' 'one answer, one refusal' \
	    "$(tr '\n' ';' <"$work/libexec/result")"
fi
finish 'listener replay'
row_end
listener_attack nobody 'decision auth_failed ticket 0' \
    'no ticket without a credential' nothing \
    'call without a credential' 'permission: authd'
listener_attack splice 'result 1 internal_error rows none' \
    'two tickets do not make a third' nothing \
    'join the halves of two tickets' 'MAC'
listener_attack guess 'refused 20000 guesses' \
    'each guess is refused' nothing \
    'guess a MAC' 'MAC'
listener_attack hoard 'allowed 256 of 350' \
    'a caller has so many calls in flight and no more, whatever it says of them' nothing \
    "have more of a caller's calls in flight than he may" 'auditd alone ends a call'
for who in authd handler; do
	listener_attack "giant-$who" "closed by $who" \
	    'a frame of 4 GiB ends the connection before it is read' nothing \
	    "promise ${who/handler/a handler} a frame of 4 GiB" 'protocol: the channel ends'
	# Half a header is no offence: it is waited for, and nobody else waits.
	attack listener "torn-$who" 2
	row listener "leave ${who/handler/a handler} with half a frame" 'protocol: a buffer for each channel'
	wait_result 'sent raw'
	others_serve "torn-$who"
	finish "listener torn-$who"
	row_end
done

# One of two listeners floods authd; the other's callers are served meanwhile.
attack listener flood 2
row listener 'starve the other listeners of authd' 'protocol: 4096 open questions each'
wait_result 'answered'
# Without records there are no answers, and the questions pile up to their bound.
auditd_pid=$(pgrep -P "$pid" -f 'libexec/auditd')
kill -STOP "$auditd_pid"
if wait_log 'questions open: it is not read'; then
	ok 'listener flood: the log names the bound'
else
	not_ok 'listener flood: the log names the bound' 'a line' "$(tail -n 2 "$work/log" | tr '\n' ';')"
fi
kill -CONT "$auditd_pid"
others_serve flood
authd_pid=$(pgrep -P "$pid" -f 'libexec/authd')
wait_result 'flooded with'
rss=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$authd_pid/status")
if [ "$rss" -le 64 ] || [ -n "${ASAN_OPTIONS:-}" ]; then
	ok "listener flood: authd's memory is bounded"
else
	not_ok "listener flood: authd's memory is bounded" '64 MiB at most' "$rss MiB"
fi
echo "# flood: $(tail -n 2 "$work/libexec/result" | tr '\n' ';') authd at most $rss MiB"
finish 'listener flood'
row_end
# One of two listeners cancels whatever number the other may have asked under.
attack listener cancel 2
row listener "cancel the calls of another listener, again and again" 'protocol: a question is its listener'"'"'s'
wait_result 'cancelled'
others_serve cancel
finish 'listener cancel'
if [ "$(records '"outcome":"cancelled"')" -eq 0 ]; then
	ok 'listener cancel: no call of another is cancelled'
else
	not_ok 'listener cancel: no call of another is cancelled' 0 "$(records '"outcome":"cancelled"')"
fi
row_end
listener_attack twice 'closed by authd' \
    'a question number cannot be used twice' something \
    "ask twice under one number" 'protocol: numbers are used once'
listener_attack garbage-authd 'closed by authd' \
    'a malformed frame ends the connection to authd' nothing \
    "send authd garbage" 'protocol: the channel ends'
attack listener garbage-authd
if wait_log 'listener 0 was cut off by authd: it is started anew'; then
	ok 'listener garbage-authd: one that was cut off is started anew'
else
	not_ok 'listener garbage-authd: one that was cut off is started anew' \
	    'a line in the log' "$(tail -n 3 "$work/log" | tr '\n' ';')"
fi
finish 'listener garbage-authd, anew'
listener_attack type-authd 'closed by authd' \
    'a message that is not a listener'"'"'s ends the connection to authd' nothing \
    "send authd another role's message" 'protocol: the channel ends'
listener_attack garbage-handler 'closed by handler' \
    'a malformed frame ends the connection to a handler' nothing \
    "send a handler garbage" 'protocol: the channel ends'
listener_attack type-handler 'closed by handler' \
    'a message that is not a listener'"'"'s ends the connection to a handler' nothing \
    "send a handler another role's message" 'protocol: the channel ends'

# What it has of the parent's it cannot spoil for the next.
attack listener shut 1 'metrics on "run/metrics.sock"'
row listener 'shut down the sockets that the one after it is to listen on' 'the parent has them listen again'
wait_result 'shut all'
for _ in $(seq 40); do
	code=$(status_of "$key")
	scraped=$(curl -s -m 2 --unix-socket "$work/run/metrics.sock" http://localhost/metrics | grep -c '^pontifexd_build_info')
	[ "$code $scraped" = '200 1' ] && break
	sleep 0.2
done
if [ "$code $scraped" = '200 1' ]; then
	ok 'listener shut: the next one serves, and shows metrics'
else
	not_ok 'listener shut: the next one serves, and shows metrics' '200 1' "$code $scraped"
fi
finish 'listener shut'
row_end

# A ticket that is kept and never used still leaves its mark.
attack listener unused
wait_result 'keeps it'
sleep 0.5
finish 'listener unused'
if [ "$(records '"outcome":"unknown"')" -ge 1 ]; then
	ok 'listener unused: an authorised call that is never made is recorded'
else
	not_ok 'listener unused: an authorised call that is never made is recorded' \
	    'a record with outcome unknown' "$(records .) records"
fi
}

the_handler() {
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

row handler 'hide a call' "protocol: authd has reported it"
handler_attack unseen
if wait_journal '"outcome":"unknown"'; then
	ok 'handler unseen: a call that a handler hides is in the trail'
else
	not_ok 'handler unseen: a call that a handler hides is in the trail' \
	    'a record with outcome unknown' "$(records .) records"
fi
finish 'handler unseen'
row_end

row handler 'answer twice' 'protocol: a question is answered once'
handler_attack answers-twice
second=$(curl -s -o /dev/null -m 8 -w '%{http_code}' "http://127.0.0.1:$port/health/live")
if [ "$second" = 200 ] && [ "$(grep -c unseen "$work/answer")" = 1 ]; then
	ok 'handler answers-twice: one answer, and the listener stands'
else
	not_ok 'handler answers-twice: one answer, and the listener stands' \
	    'one answer and 200' "$(cat "$work/answer") and $second"
fi
finish 'handler answers-twice'
row_end

for lie in lies newline; do
	case $lie in
	lies) row handler 'write a record of its own making, or of a call that nobody allowed' \
	    'protocol: auditd composes records' 'held; such a call is recorded as undecided' ;;
	newline) row handler 'break a line of the journal' 'protocol: auditd composes records' ;;
	esac
	handler_attack $lie
	if [ $lie = lies ]; then
		if wait_journal '"request_id":"dead0000000000000000000000000000".*"undecided":true'; then
			ok 'handler lies: a call that nobody allowed is told apart'
		else
			not_ok 'handler lies: a call that nobody allowed is told apart' 'undecided' "$(records dead0000) such records"
		fi
	fi
	finish "handler $lie"
	if cat "$work"/audit/*.jsonl | grep -q '"hash":"forged"'; then
		not_ok "handler $lie: no record of its own making" none one
	else
		ok "handler $lie: no record of its own making"
	fi
	row_end
done

for bad in garbage-auditd decides; do
	case $bad in
	decides) row handler 'decide in the place of authd' 'protocol: the channel ends' ;;
	*) row handler 'send auditd garbage' 'protocol: the channel ends' ;;
	esac
	handler_attack $bad
	if wait_result 'closed by auditd'; then
		ok "handler $bad: auditd ends the connection"
	else
		not_ok "handler $bad: auditd ends the connection" \
		    'closed by auditd' "$(tr '\n' ';' <"$work/libexec/result")"
	fi
	finish "handler $bad"
	row_end
done

row handler 'send a listener garbage' 'protocol: the channel ends'
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
row_end

row handler 'have a secret of another role read to it' 'protocol: each role has its own'
handler_attack wants-secret
if wait_log 'parent.*cutting the peer off: handler'; then
	ok 'handler wants-secret: the parent ends the connection'
else
	not_ok 'handler wants-secret: the parent ends the connection' 'a line in the log' "$(tail -n 3 "$work/log" | tr '\n' ';')"
fi
if grep -q 'was told a secret' "$work/libexec/result"; then
	not_ok 'handler wants-secret: it is told nothing' nothing 'a secret'
else
	ok 'handler wants-secret: it is told nothing'
fi
finish 'handler wants-secret'
row_end
}

the_fetcher() {
# What a fetcher can do is bounded by what it was asked; whatever it does, keys are served.
fetcher_gets() { # NAME WHAT WANTED GOT
	if [ "$3" = "$4" ]; then ok "fetcher $1: $2"; else
		not_ok "fetcher $1: $2" "$3" "$4: $(tr '\n' ';' <"$work/libexec/result")"; fi
}
fetcher_attack() { # NAME STATUS-OF-THE-FIRST-ISSUER'S-TOKEN STATUS-OF-THE-SECOND'S
	attack fetcher "$1"
	wait_log 'ready: listening' && wait_result 'asked for 0'
	authd_pid=$(pgrep -P "$pid" -f 'libexec/authd')
	[ "$1" = honest ] || [ "$1" = silent ] || wait_result 'closed by'
	fetcher_gets "$1" 'a token of the issuer that it was asked for' "$2" "$(status_of "$(sed -n 1p "$work/tokens")")"
	fetcher_gets "$1" 'a token of the other issuer' "$3" "$(status_of "$(sed -n 2p "$work/tokens")")"
	fetcher_gets "$1" 'API keys are served' 200 "$(status_of "$key")"
	fetcher_gets "$1" 'authd is the same process' "$authd_pid" "$(pgrep -P "$pid" -f 'libexec/authd')"
	case $1 in honest | silent | hang-up) ;; *)
		if wait_log 'fetcher was cut off by authd: it is started anew'; then
			ok "fetcher $1: it is started anew"
		else
			not_ok "fetcher $1: it is started anew" 'a line of the log' "$(tail -n 2 "$work/log" | tr '\n' ';')"
		fi ;;
	esac
	finish "fetcher $1"
}
row fetcher 'give false keys for the issuer that it was asked for' 'nothing' 'succeeds; the records name the issuer'
fetcher_attack honest 200 503	# the control: for the one it was asked for, it is believed
row_end
row fetcher 'give keys for an issuer that it was not asked for' 'protocol: the channel ends'
for bad in other-issuer other-number no-issuer; do fetcher_attack $bad 503 503; done
row_end
row fetcher 'answer another question' 'protocol: the channel ends'
fetcher_attack other-question 503 503
row_end
row fetcher 'send more than 256 KiB, or garbage' 'protocol: the channel ends'
for bad in giant garbage; do fetcher_attack $bad 503 503; done
row_end
row fetcher 'keep silent, or hang up' 'keys are served, tokens get 503'
for bad in silent hang-up; do fetcher_attack $bad 503 503; done
row_end
}

# What a process tells the parent, whose word pontifexctl and Prometheus take.
told() { "$build/pontifexctl" -s "$work/run/control.sock" status -v 2>&1; }
figure() { told | sed -n "s/^pontifexd_$1 //p"; }
parent_serves() { # PART NAME: the same parent, and it answers
	if kill -0 "$pid" 2>/dev/null && told | grep -q '^pontifexd_process_up'; then
		ok "$1 $2: the parent answers on"
	else
		not_ok "$1 $2: the parent answers on" 'a status' "$(told | tail -n 2 | tr '\n' ';') log: $(tail -n 2 "$work/log" | tr '\n' ';')"
	fi
}
figures_attack() { # ROLE NAME [LISTENERS [CONFIGURATION]]
	attack "$@"
	wait_log 'ready: listening' || not_ok "figures $1 $2: the daemon starts" ready "$(tail -n 2 "$work/log" | tr '\n' ';')"
}
cut_off() { # ROLE NAME [LISTENERS [CONFIGURATION [WHO]]]
	figures_attack "$@"
	told >/dev/null
	if wait_log "parent.*cutting the peer off: ${5:-$1}"; then
		ok "figures $1 $2: the parent cuts it off"
	else
		not_ok "figures $1 $2: the parent cuts it off" 'a line in the log' "$(tail -n 2 "$work/log" | tr '\n' ';')"
	fi
	parent_serves figures "$1 $2"
	finish "figures $1 $2"
}

the_figures() {
for role in listener handler authd; do
	row $role 'give figures of another role, of an index that there is not, twice, torn, 200,000 of them, or unasked' \
	    'protocol: the channel ends'
	for how in index id role torn twice many unasked; do cut_off $role stats-$how; done
	row_end
done
row listener 'ask for all figures without being the one that shows them, or in another form' 'protocol: the channel ends'
cut_off listener metrics
cut_off listener metrics-long 1 "metrics on 127.0.0.1 port $(free_port)"
cut_off listener metrics 2 "metrics on 127.0.0.1 port $(free_port)" 'listener 1'
cut_off handler metrics 1 "metrics on 127.0.0.1 port $(free_port)"
row_end
flooded() { # ROLE NAME ANSWER AT-MOST
	if wait_result 'flooded the parent with'; then ok "figures $1 $2: it is sent"; else
		not_ok "figures $1 $2: it is sent" flooded "$(tr '\n' ';' <"$work/libexec/result")"; fi
	parent_serves figures "$1 $2"
	got=$(grep -c "$3" "$work/libexec/result")
	[ "$got" -ge 1 ] && [ "$got" -le "$4" ] && ok "figures $1 $2: it is answered once a while" ||
	    not_ok "figures $1 $2: it is answered once a while" "1 to $4" "$got"
	finish "figures $1 $2"
}
row listener 'flood the parent with questions for figures' 'protocol: an answer a second'
figures_attack listener metrics-flood 1 "metrics on 127.0.0.1 port $(free_port)"
flooded listener metrics-flood 'was told figures' 30
row_end
row handler 'flood the parent with questions for its secret' 'protocol: it is read once a second'
figures_attack handler credentials-flood 1 "source other postgres {
	dsn from file \"other.dsn\"
}"
flooded handler credentials-flood 'was told a secret' 60
row_end
row handler 'say that its sandbox refused a call, again and again' 'protocol: the channel ends'
cut_off handler violations
got=$(grep -c 'tried a system call' "$work/log")
[ "$got" -le 40 ] && ok 'figures handler violations: a few lines tell it' ||
    not_ok 'figures handler violations: a few lines tell it' '40 at most' "$got"
row_end
row handler 'say that it has checked a configuration, when none was to be' 'protocol: the channel ends'
for bad in checked checked-tool checked-source; do cut_off handler $bad; done
row_end
}

the_totals() {
# The same number is told by all of a role: what they add up to is at its end, and stays there.
most=18446744073709551615
for lie in 'listener http_requests_total' 'handler calls_total order_lookup ok' 'authd decisions_total'; do
	role=${lie%% *} name=${lie#* }
	row $role 'give figures that overflow a total' 'the sum ends at its largest number' 'succeeds; totals are as true as who counts'
	figures_attack $role stats-huge 2
	got=$(figure "$name")
	[ "$got" = $most ] && ok "totals $role stats-huge: the sum does not wrap" || not_ok "totals $role stats-huge: the sum does not wrap" $most "$got"
	parent_serves totals "$role stats-huge"
	finish "totals $role stats-huge"
	row_end
	row $role 'give figures that fall' 'a total keeps the most that was said'
	figures_attack $role stats-falling 2
	first=$(figure "$name")
	for _ in $(seq 100); do
		told >/dev/null
		grep -q 'asked for figures 3' "$work/libexec/result" && break
		sleep 0.2
	done
	now=$(figure "$name")
	[ "${first:-0}" -ge 1000 ] && [ "${now:-0}" -ge "$first" ] && ok "totals $role stats-falling: the total does not" ||
	    not_ok "totals $role stats-falling: the total does not" "$first or more" "$now"
	for child in $(pgrep -P "$pid" -f "libexec/$role"); do kill -9 "$child"; done
	# Those who follow say the same again: it is added to what was said first.
	for _ in $(seq 100); do
		now=$(figure "$name")
		[ "${now:-0}" -ge $((2 * first)) ] && break
		sleep 0.2
	done
	[ "${now:-0}" -ge $((2 * first)) ] && ok "totals $role stats-falling: nor when it dies" ||
	    not_ok "totals $role stats-falling: nor when it dies" "$((2 * first)) or more" "$now"
	finish "totals $role stats-falling"
	row_end
done
# Buckets are added up once more on the way to Prometheus.
row handler 'make the buckets of a histogram overflow' 'the sum ends at its largest number'
scrape=$(free_port)
figures_attack handler stats-huge 1 "metrics on 127.0.0.1 port $scrape"
got=$(curl -s -m 8 "http://127.0.0.1:$scrape/metrics" | python3 -c '
import sys
buckets = [int(l.rsplit(" ", 1)[1]) for l in sys.stdin if l.startswith("pontifexd_call_duration_seconds_bucket")]
print(len(buckets) > 4, buckets == sorted(buckets), buckets[-1] if buckets else None)')
[ "$got" = "True True $most" ] && ok 'totals handler buckets: each holds those before it' ||
    not_ok 'totals handler buckets: each holds those before it' "True True $most" "$got"
finish 'totals handler buckets'
row_end
}

# Side by side: each waits more than it works.
for part in listener handler fetcher figures totals; do
	(
		trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null' EXIT
		rows=$dir/rows.$part
		"the_$part"
	) >"$dir/out.$part" 2>&1 </dev/null &
	parts+=("$!")
done
for job in "${parts[@]}"; do wait "$job" || :; done
for part in listener handler fetcher figures totals; do
	cat "$dir/out.$part"
	cat "$dir/rows.$part" >>"$rows"
	passed=$((passed + $(grep -c '^ok ' "$dir/out.$part")))
	failed=$((failed + $(grep -c '^not ok ' "$dir/out.$part")))
	grep -q "^ok - $part" "$dir/out.$part" || not_ok "$part: its attacks were made" 'some' none
done
sed 's/^/# /' "$rows"
documented=$(awk '$0 == "<!-- hostile.sh -->" { on = 1 } /<!-- end -->/ { on = 0 } on && /^\|/' "$top/docs/security.md")
if difference=$(diff <(echo "$documented") "$rows"); then
	ok 'docs/security.md has the same table'
else
	not_ok 'docs/security.md has the same table' 'no difference' "$(tr '\n' ';' <<<"$difference")"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
