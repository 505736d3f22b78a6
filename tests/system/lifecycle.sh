#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Start and end: SIGTERM finishes what is in flight and exits 0, a parent
# killed with -9 leaves no process behind, the daemon starts again after it
# on the same port and journal, and a second daemon does not take its place.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
echo 'prefork listeners 2 handlers 2' >>"$conf"
# A call that takes about a second: SQLite counts.
cat >>"$conf" <<'EOF'
tool slow {
	title "Slow"
	description "Counts for a while."
	scope "shop:order:read"
	source shop
	param count integer required
	sql "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
	    SELECT count(*) AS counted FROM n"
	timeout 20s
}
EOF
key=$(key_add -o alice -s shop:order:read -r 100000)
daemon_start || die 'the daemon starts' ready
is 'all children are there' 'auditd authd handler handler listener listener' \
    "$(ps -o comm= --ppid "$daemon" | sort | paste -sd' ')"

# How many rows are a second's work here?
call "$key" slow '{"count":200000}'
is 'the slow tool works' 200000 "$(jqb '.result.structuredContent.rows[0].counted')"
ms=$(journal | jq -s '[.[] | select(.tool_name == "slow")][0].response_ms')
rows=$(awk -v ms="$ms" 'BEGIN { printf "%d", 200000 * 1500 / (ms < 1 ? 1 : ms) }')

# SIGTERM while a call is in flight.
slow() {
	curl -s -m 20 -o "$work/slow.json" -w '%{http_code}' -H "Authorization: Bearer $key" \
	    -H 'Content-Type: application/json' --data-binary \
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"slow\",\"arguments\":{\"count\":$rows}}}" \
	    "http://127.0.0.1:$port/mcp" >"$work/slow.status" &
	slow=$!
	sleep 0.4
}
slow
old=$(child_pids)
daemon_stop
is 'SIGTERM: exit 0' 0 "$daemon_status"
wait "$slow"
is 'SIGTERM: the call in flight was answered' "200 $rows" \
    "$(cat "$work/slow.status") $(jq -r '.result.structuredContent.rows[0].counted' "$work/slow.json" 2>&1)"
is 'and recorded' 2 "$(journal_count '.tool_name == "slow" and .outcome == "ok"')"
left=
for pid in $old; do process_gone "$pid" || left="$left $pid"; done
is 'SIGTERM: no process is left' '' "$left"
fails 'nobody listens any more' curl -s -m 2 "http://127.0.0.1:$port/health/live"

# … and auditd dies on the way.
daemon_start || die 'the daemon starts again on the same port' ready
ok 'the daemon starts again on the same port and journal'
: >"$daemon_log"
slow
kill -TERM "$daemon"
until_true 10 grep -q 'SIGTERM: stopping' "$daemon_log"
kill -9 "$(child_pids auditd)"
daemon_wait 25
wait "$slow"
is 'auditd dies while the daemon ends: the call in flight was answered' "200 $rows" \
    "$(cat "$work/slow.status") $(jq -r '.result.structuredContent.rows[0].counted' "$work/slow.json" 2>&1)"
is 'and recorded' 3 "$(journal_count '.tool_name == "slow" and .outcome == "ok"')"
unlike 'nobody waits for an auditd that does not come' 'did not finish in time' "$(cat "$daemon_log")"

# kill -9 of the parent.
daemon_start || die 'the daemon starts again' ready
old=$(child_pids)
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
all_gone() { for pid in $old; do process_gone "$pid" || return 1; done; }
if until_true 10 all_gone; then
	ok 'kill -9 of the parent: every child notices and exits'
else
	not_ok 'kill -9 of the parent: every child notices and exits' 'no process' \
	    "$(for pid in $old; do process_gone "$pid" || ps -o pid=,comm= -p "$pid"; done)"
	for pid in $old; do kill -9 "$pid" 2>/dev/null; done
fi
daemon=
daemon_start || die 'the daemon starts after a kill -9 of the parent' ready
ok 'the daemon starts after a kill -9 of the parent, its socket file a leftover'
call "$key" order_lookup '{"order_id":1001}'
is 'and serves' 200 "$status"

# A start that fails before there is anybody who records.
elsewhere=$work/elsewhere
mkdir -p "$elsewhere/libexec" "$elsewhere/broken"
chmod 755 "$elsewhere" "$elsewhere/libexec" "$elsewhere/broken"
ln -s "$build/pontifexd" "$elsewhere/pontifexd"
for role in listener handler authd fetcher; do ln -s "$build/libexec/$role" "$elsewhere/libexec/$role"; done
# apart DIR AUDITD: a daemon with that for its auditd; sets $apart.
apart() {
	sed "s/port $port/port $(free_port)/" "$conf" >"$1/pontifex.conf"
	cp "$dir/shop.db" "$keys" "$keys.pepper" "$1/"
	handler_writes "$1" "$1/shop.db"
	printf '%s\n' '#!/bin/sh' "$2" >"$elsewhere/libexec/auditd"
	chmod 755 "$elsewhere/libexec/auditd"
	"$elsewhere/pontifexd" -d -f "$1/pontifex.conf" >"$1/log" 2>&1 </dev/null &
	apart=$!
	started+=("$apart")
}
apart "$elsewhere/broken" 'exit 1'
until_true 25 process_gone "$apart" || not_ok 'without auditd the daemon ends' 'an exit' "$(tail -n 3 "$elsewhere/broken/log")"
wait "$apart"
is 'without auditd the daemon does not start' 1 "$?"
like 'and says so' 'auditd did not start: stopping' "$(cat "$elsewhere/broken/log")"
unlike 'nobody waits for one that never came' 'did not finish in time|was killed by signal' "$(cat "$elsewhere/broken/log")"
like 'that is its last word' 'stopped$' "$(tail -n 1 "$elsewhere/broken/log")"
# One that is late is waited for: what there is to record is recorded.
mkdir -p "$elsewhere/late"
chmod 755 "$elsewhere/late"
apart "$elsewhere/late" "sleep 2; exec $build/libexec/auditd"
until_true 10 grep -q 'keys in force' "$elsewhere/late/log"
kill -TERM "$apart"
until_true 25 process_gone "$apart" || not_ok 'told to stop, it ends' 'an exit' "$(tail -n 3 "$elsewhere/late/log")"
wait "$apart"
is 'told to stop while auditd starts it ends well' 0 "$?"
unlike 'in order' 'did not finish in time|was killed by signal' "$(cat "$elsewhere/late/log")"
is 'and what authd had to say stands in the trail' 1 "$(cat "$elsewhere"/late/audit/*.jsonl | grep -c '"event":"keys"')"

# A second one.
"$build/pontifexd" -d -f "$conf" >"$work/second" 2>&1 </dev/null &
second=$!
started+=("$second")
if until_true 15 process_gone "$second"; then
	wait "$second"
	isnt 'a second daemon does not start beside it' 0 "$?"
else
	not_ok 'a second daemon does not start beside it' 'an exit' 'a running process'
	kill -9 "$second"
fi
like 'and says why' '.' "$(cat "$work/second")"
call "$key" order_lookup '{"order_id":1001}'
is 'the first one serves on' 200 "$status"
ctl status -v >"$work/status" 2>&1
is 'the control socket still answers' 0 "$?"
like 'log verbose is taken' '' "$(ctl log verbose 2>&1)"
succeeds 'log brief is taken' "$build/pontifexctl" -s "$dir/run/control.sock" log brief
fails 'a control socket that is not there' "$build/pontifexctl" -s "$dir/nosuch.sock" status
# Its neighbour is of another port, and so busy that nobody gets in.
sed "s/port $port/port $(free_port)/; s,control socket .*,control socket \"$work/busy.sock\"," "$conf" >"$elsewhere/broken/pontifex.conf"
python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(0); held = []
while True:
    c = socket.socket(socket.AF_UNIX); c.setblocking(False)
    try: c.connect(sys.argv[1]); held.append(c)
    except BlockingIOError: break
open(sys.argv[2], "w"); time.sleep(60)' "$work/busy.sock" "$work/busy" &
started+=($!)
until_true 10 test -e "$work/busy"
said=$(timeout 20 "$build/pontifexd" -d -f "$elsewhere/broken/pontifex.conf" 2>&1 </dev/null)
is 'a control socket whose owner is busy: no start' 1 "$?"
like 'and no waiting' 'control socket .*: Address already in use' "$said"
is 'and it is still there' 1 "$([ -S "$work/busy.sock" ] && echo 1)"
daemon_stop
is 'audit verify after all this' 0 "$("$build/pontifexctl" audit verify -j "$dir/audit" >/dev/null 2>&1; echo $?)"
done_testing
