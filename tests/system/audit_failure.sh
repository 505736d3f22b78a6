#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A journal that can't be written: what becomes of calls is what the
# configuration says, it is said at once, and it heals when the cause is gone.

. "$(dirname "$0")/../lib/harness.sh"

# begin NAME WORDS: a daemon whose audit block has these words after the
# journal's path; $segment is the file that it writes to.
begin() {
	shop "$work/$1"
	sed -i "s|journal \"audit\"|journal \"audit\" $2|" "$conf"
	[ -z "${3:-}" ] || sed -i "s|^\tjournal .*|&\n\t$3|" "$conf"
	key=$(key_add -o alice -s shop:order:read,shop:order:write -r 1000000)
	daemon_start || die "$1: the daemon starts" ready
	segment=$(ls "$dir"/audit/*.jsonl)
	call "$key" order_lookup '{"order_id":1001}'
	is "$1: the control: a call is served" none "$(error_code)"
}
# The name alone goes: what is written meanwhile would be found again.
away() { mv "$segment" "$work/away"; }
back() { mv "$work/away" "$segment"; }
served() { call "$key" order_lookup '{"order_id":1001}'; [ "$(error_code)" = none ]; }
verifies() {
	like "$1: audit verify" '^audit verify: ok, [0-9]+ records$' \
	    "$("$build/pontifexctl" audit verify -j "$dir/audit")"
}

begin refuse ''
before=$(wc -l <"$segment")
away
call "$key" order_lookup '{"order_id":1001}'
is 'refuse: a call is refused' overloaded "$(error_code)"
unlike 'refuse: nothing of the result leaves' 12900 "$body"
call '' order_lookup '{"order_id":1001}'
is 'refuse: so is a refusal that cannot be recorded' overloaded "$(error_code)"
call "$key" order_cancel '{"order_id":1002,"reason":"x"}'
is 'refuse: a write' overloaded "$(error_code)"
is 'refuse: has not begun' open "$(sqlite3 "$dir/shop.db" 'SELECT status FROM orders WHERE id = 1002')"
like 'refuse: the log says what is wrong' 'audit journal .* cannot be written: its segment was moved' "$(cat "$daemon_log")"
back
succeeds 'refuse: served again when it is back' until_true 10 served
verifies refuse
daemon_stop
is 'refuse: nothing was recorded of what was refused' 0 \
    "$(tail -n "+$((before + 1))" "$segment" | jq -r 'select(.kind == "intent")' | wc -l)"

begin continue '' 'on failure continue'
like 'continue: said at start' 'continue on failure' "$(cat "$daemon_log")"
away
call "$key" order_lookup '{"order_id":1001}'
is 'continue: a call is served' none "$(error_code)"
is 'continue: a load balancer may send more' 200 "$(curl -s -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/health/ready")"
like 'continue: with a warning' 'served without a record' "$(cat "$daemon_log")"
back
succeeds 'continue: served' served
succeeds 'continue: and' served
daemon_stop
is 'continue: what was lost is counted in the trail' 1 \
    "$(jq -r 'select(.event == "lost") | .detail.records' "$segment")"
verifies continue

# Nobody calls: it is said all the same.
begin idle ''
sleep 0.3
away
said() { grep -q 'its segment was moved' "$daemon_log"; }
until_true 10 said
succeeds 'idle: a segment that is taken away is said at once' said
like 'idle: status says so' 'audit_state failed' "$(ctl status -v)"
ctl log brief >/dev/null
back
served
until_true 10 served
succeeds 'idle: and heals' served
like 'idle: status, too' 'audit_state ok' "$(ctl status -v)"
succeeds 'idle: what the parent saw meanwhile is recorded, though nothing else happens' until_true 10 journal_has '.event == "log_level"'
verifies idle

begin idlestop '' 'on failure stop'
sleep 0.3
away
daemon_wait 25
is 'idle: on failure stop, the daemon ends' 1 "$daemon_status"
back

begin stop '' 'on failure stop'
away
call "$key" order_lookup '{"order_id":1001}'
isnt 'stop: no call is served' none "$(error_code)"
like 'stop: it says that it stops' 'stopping: audit is set to stop on failure' "$(cat "$daemon_log")"
back
daemon_wait 25
is 'stop: the daemon ends by itself, with 1' 1 "$daemon_status"
verifies stop

# Postgres never comes: what waits for it is bounded.
AUDIT_DSN="host=$work user=nobody dbname=none"
export AUDIT_DSN
begin limit 'limit 32K' 'postgres from env "AUDIT_DSN"'
n=0
while served && [ "$n" -lt 200 ]; do n=$((n + 1)); done
number 'limit: calls are served up to it' "$n" -ge 10
number 'limit: and no further' "$n" -lt 200
is 'limit: then refused' overloaded "$(error_code)"
number 'limit: the journal stays within it' "$(stat -c %s "$segment")" -le $((40 * 1024))
# Longer than a listener keeps in mind that it saw a call refused.
sleep 3.5
is 'limit: a load balancer is told, with nobody calling' 503 "$(curl -s -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/health/ready")"
like 'limit: the log says so' 'over its limit of 32768 bytes' "$(cat "$daemon_log")"
daemon_stop
verifies limit

done_testing
