#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A reload is a transaction: what is good is in force when pontifexctl says so,
# what is bad changes nothing and says why.  Calls go on meanwhile, and none is
# lost.  SQLite here; reload_sources.sh has live sources.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
key=$(key_add -o alice -s shop:order:read -r 10000000)
daemon_start || die 'the daemon starts'
good=$(cat "$conf")
write_conf() { printf '%s\n' "$1" >"$conf"; } # TEXT
reload() { reload_said=$(ctl reload 2>&1); reload_status=$?; }
tools() { legacy "$key" tools/list; jqb '[.result.tools[].name] | sort | join(" ")'; }
pids() { child_pids "$@" | sort -n | tr '\n' ' '; }
in_force() { ctl status -v | sed -n 's/.*digest \([0-9a-f]*\)$/\1/p'; }
events() { journal | jq -c 'select(.event == "reload") | .detail'; }

# ---- what is bad changes nothing

before=$(pids)
write_conf "$good
tool broken {"
reload
is 'a bad file is refused' 1 "$reload_status"
like 'and its line is told' "^$conf:[0-9]+: " "$reload_said"
like 'and that nothing has changed' 'nothing has changed$' "$reload_said"
is 'every process is the same' "$before" "$(pids)"
like 'the trail has it with the reason' "\"uid\":$(id -u),.*\"refused\":\"$conf:" "$(until_true 5 eval '[ -n "$(events)" ]'; events | tail -n 1)"

figure() { jq -r ".metrics.pontifexd_config_last_reload_$1[0].${2:-value}" "$work/figures"; } # NAME [LABEL]
ctl status -j >"$work/figures"
is 'status says that something is wrong' 3 $?
is 'that the last reload was refused' 0 "$(figure successful)"
like 'when' '^[0-9]{10}$' "$(figure timestamp_seconds)"
like 'and the first line of why' "^$conf:[0-9]+: " "$(figure refused_info why)"
is 'what is in force was loaded at the start' "$(jq '.metrics.pontifexd_start_time_seconds[0].value' "$work/figures")" "$(figure success_timestamp_seconds)"
like 'the screen says so first' '^!! the last reload was refused' "$(ctl status | sed -n 2p)"
like 'and at its end' "^config +loaded [0-9]+ s ago; a reload [0-9]+ s ago was REFUSED: $conf:[0-9]+: " "$(ctl status | tail -n 1)"

write_conf "$good
tool no_table {
	description \"d\"
	scope \"shop:order:read\"
	source shop
	sql \"SELECT x
	    FROM nowhere\"
}"
reload
is 'a statement that the database refuses is refused' 1 "$reload_status"
line=$(grep -n 'SELECT x' "$conf" | cut -d: -f1)
like 'with its line and the words of the database' "^$conf:$line: tool \"no_table\": source \"shop\": .*no such table: nowhere" "$reload_said"

write_conf "$(printf %s "$good" | sed 's,^control socket.*,,')
control socket \"run/other.sock\""
reload
is 'what cannot be reloaded is refused' 1 "$reload_status"
like 'and said' 'control socket cannot change while the daemon runs: restart it' "$reload_said"
write_conf "$good"
mv "$keys" "$keys.away"
reload
is 'no reload without the key file' 1 "$reload_status"
like 'which is named' "key file $keys: is not there" "$reload_said"
mv "$keys.away" "$keys"
until_true 5 eval 'call "$key" order_lookup "{\"order_id\":1001}"; [ "$status" = 200 ]'
is 'all the while the same processes serve' "200 $before" "$status $(pids)"
ctl status -j >"$work/figures"
like 'the last of them is told' "key file $keys: is not there" "$(figure refused_info why)"

# ---- what is good is in force

cp "$conf" "$work/before.conf"
write_conf "$good
tool customers {
	description \"How many customers.\"
	scope \"shop:order:read\"
	source shop
	sql \"SELECT count(*) AS n FROM customers\"
}"
call "$key" customers '{}'
is 'a tool is not there before' -32602 "$(jqb .error.code)"
reload
is 'a reload' "0 configuration $(in_force) is in force" "$reload_status $reload_said"
ctl status -j >"$work/figures"
is 'status is well again' '0 1 null' "$? $(figure successful) $(figure refused_info why)"
is 'and says when it was loaded' "$(figure timestamp_seconds)" "$(figure success_timestamp_seconds)"
like 'the screen, too' '^config +loaded [0-9]+ s ago by a reload$' "$(ctl status | tail -n 1)"
is 'every process but auditd and the parent is another' "$(pids auditd)" \
    "$(comm -12 <(tr ' ' '\n' <<<"$before" | sort) <(child_pids | sort) | grep . | tr '\n' ' ')"
like 'the tool is listed' customers "$(tools)"
call "$key" customers '{}'
is 'and answers' '200 number' "$status $(jqb '.result.structuredContent.rows[0].n | type')"
is 'its record names the new configuration' "$(in_force)" \
    "$(until_true 5 journal_has '.tool_name == "customers" and .kind == "call"'; journal | jq -r 'select(.tool_name == "customers" and .kind == "call") | .config_digest' | cut -c1-16)"
is 'and the statement is told by an event' 1 "$(journal_count '.event == "tool" and .detail.tool == "customers"')"

sed -i '/^tool customers/,/^}/s/shop:order:read/shop:order:admin/' "$conf"
reload
call "$key" customers '{}'
is 'another scope is in force' '0 403' "$reload_status $status"
unlike 'and in the listing' customers "$(tools)"
write_conf "$good"
reload
call "$key" customers '{}'
is 'a tool that was taken away is unknown' '0 -32602' "$reload_status $(jqb .error.code)"

# ---- keys

other=$(key_add -o bob -s shop:order:read)
reload
call "$other" order_lookup '{"order_id":1001}'
is 'a reload takes the keys as they are: one that came' 200 "$status"
"$build/pontifexctl" key revoke -F "$keys" "$(key_id "$other")" >/dev/null
reload
call "$other" order_lookup '{"order_id":1001}'
is 'and one that was revoked' 401 "$status"

# ---- more and fewer processes, other addresses

size() { echo "$(child_pids listener | wc -l) $(child_pids handler | wc -l)"; }
write_conf "$(printf %s "$good" | grep -v '^prefork')
prefork listeners 3 handlers 4"
reload
is 'more processes' '0 3 4' "$reload_status $(until_true 10 eval '[ "$(size)" = "3 4" ]'; size)"
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	call "$key" order_lookup '{"order_id":1001}'
	[ "$status" = 200 ] || break
done
is 'all of them answer' 200 "$status"
write_conf "$good"
reload
is 'fewer processes' '0 1 2' "$reload_status $(until_true 10 eval '[ "$(size)" = "1 2" ]'; size)"
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	call "$key" order_lookup '{"order_id":1001}'
	[ "$status" = 200 ] || break
done
is 'and the one that is left answers on every socket' 200 "$status"

second=$(free_port)
write_conf "$good
listen on 127.0.0.1 port $second"
reload
live() { curl -s -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$1/health/live"; }
is 'an address more' '0 200 200' "$reload_status $(live "$port") $(live "$second")"
write_conf "$good"
reload
is 'and it is gone again' '0 200 000' "$reload_status $(live "$port") $(live "$second")"
python3 -c 'import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(); open(sys.argv[2], "w"); time.sleep(60)' "$second" "$work/taken" &
started+=($!)
until_true 10 test -e "$work/taken"
write_conf "$good
listen on 127.0.0.1 port $second"
reload
is 'an address that is taken is refused' 1 "$reload_status"
like 'and named' "listen on 127.0.0.1 port $second: Address already in use" "$reload_said"
kill "${started[-1]}"

# ---- another audit block

auditd=$(pids auditd)
write_conf "$(printf %s "$good" | sed "s,^\([[:space:]]*\)journal .*,&\n\1sink file \"$dir/sinks/s.jsonl\"\n\1checkpoint every 3 records,")"
mkdir "$dir/sinks"
[ "$(id -u)" -ne 0 ] || chown "$(role_user auditd)" "$dir/sinks"
reload
is 'another audit block' 0 "$reload_status"
isnt 'has another auditd' "$auditd" "$(pids auditd)"
call "$key" order_lookup '{"order_id":1002}'
is 'which records' "200 1" "$status $(until_true 10 eval '[ -s "$dir/sinks/s.jsonl" ] && grep -q order_lookup "$dir/sinks/s.jsonl"'; [ -s "$dir/sinks/s.jsonl" ] && echo 1)"
auditd=$(pids auditd)
write_conf "$(printf %s "$good" | sed "s,^\([[:space:]]*\)journal .*,&\n\1sink syslog \"tls://127.0.0.1:6514\" ca \"$conf\",")"
reload
is 'an audit block that auditd cannot start with is refused' 1 "$reload_status"
like 'and said' 'auditd did not start with the new audit block' "$reload_said"
until_true 10 daemon_ready
call "$key" order_lookup '{"order_id":1003}'
is 'the one before serves on' 200 "$status"
isnt 'by an auditd of its own' "$auditd" "$(pids auditd)"
write_conf "$good"
reload
is 'and the next reload is a good one' 0 "$reload_status"

# A process of the new set dies while the journal changes hands: it has another.
ctl log verbose >/dev/null
before=$(child_pids handler)
auditd=$(pids auditd)
write_conf "$(printf %s "$good" | sed 's,^\([[:space:]]*\)journal .*,&\n\1checkpoint every 50 records,')"
: >"$daemon_log"
kill -STOP $auditd
ctl reload >"$work/handed" 2>&1 &
waiter=$!
until_true 20 grep -q 'the journal changes hands' "$daemon_log"
victim=$(child_pids handler | grep -vxF "$before" | head -n 1)
kill -9 "$victim"
until_true 10 grep -q "(pid $victim) was killed" "$daemon_log"
kill -CONT $auditd
wait "$waiter"
is 'a handler that dies while the journal changes hands: the reload' "0 configuration $(in_force) is in force" "$? $(cat "$work/handed")"
ctl log brief >/dev/null
kill -9 "$(child_pids auditd)"
until_true 10 daemon_ready
call "$key" order_lookup '{"order_id":1001}'
is 'and auditd is started by the same configuration' '200 5' "$status $(until_true 10 eval '[ "$(child_pids | wc -l)" = 5 ]'; child_pids | wc -l)"
write_conf "$good"
reload
is 'and the next reload is a good one' 0 "$reload_status"

# ---- a connection that is kept

python3 - "$port" "$key" "$build/pontifexctl" "$dir/run/control.sock" >"$work/keep" 2>&1 <<'EOF'
import http.client, json, socket, subprocess, sys
port, key, ctl, sock = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "order_lookup", "arguments": {"order_id": 1001}}})
head = {"Authorization": "Bearer " + key, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-11-25"}
def reload():
    subprocess.run([ctl, "-s", sock, "reload"], check=True, stdout=subprocess.DEVNULL)
def ask(c):
    c.request("POST", "/mcp", body, head)
    r = c.getresponse()
    r.read()
    return "%d %s" % (r.status, r.getheader("Connection"))
c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
print("before:", ask(c))
reload()
print("after:", ask(c))
# Two that come in one piece, with a reload before the first is read.
raw = ("POST /mcp HTTP/1.1\r\nHost: localhost\r\n" + "".join("%s: %s\r\n" % h for h in head.items()) +
       "Content-Length: %d\r\n\r\n%s" % (len(body), body)).encode()
s = socket.create_connection(("127.0.0.1", port), 20)
s.sendall(raw)
s.recv(65536)
reload()
s.sendall(raw + raw)
got = b""
while part := s.recv(65536):
    got += part
print("two:", got.count(b"HTTP/1.1 200 OK"), got.count(b"Connection: close"))
# One that asks nothing is let go.
s = socket.create_connection(("127.0.0.1", port), 20)
reload()
print("idle:", len(s.recv(10)))
EOF
is 'a connection that is kept is answered once more, and closed with that' \
    'before: 200 None;after: 200 close;two: 2 1;idle: 0' "$(paste -sd';' "$work/keep")"

# ---- executables of another version

mkdir -p "$work/own"
cp "$build/pontifexd" "$work/own/"
ln -s "$(cd "$build" && pwd)/libexec" "$work/own/libexec"
version=$(ctl status -v | sed -n 's/^pontifexd: version \([^,]*\),.*/\1/p')
other=$(sed 's/./9/g' <<<"$version") # as long as it was, in the executable's own text
python3 -c 'import sys; p, a, b = sys.argv[1:]; d = open(p, "rb").read()
assert a.encode() + b"\0" in d; open(p, "wb").write(d.replace(a.encode() + b"\0", b.encode() + b"\0"))' \
    "$work/own/pontifexd" "$version" "$other"
said=$(timeout 30 "$work/own/pontifexd" -nn -f "$conf" 2>&1)
is 'children of another version than the parent do not start' 1 "$?"
like 'and the log says what to do' "handler.*: is of version $version, the daemon of $other: upgrade or restart it" "$said"

# ---- signals, deaths, a second one

n=$(events | grep -c '"to"')
kill -HUP "$daemon"
until_true 20 eval "[ \"\$(events | grep -c '\"to\"')\" -gt $n ]"
like 'SIGHUP is a reload' '"signal":1,.*"to":' "$(events | tail -n 1)"
for i in 1 2 3 4 5; do ctl reload >"$work/reload.$i" 2>&1 & done
wait %2 %3 %4 %5 %6 2>/dev/null || sleep 1
until_true 20 eval '[ "$(cat "$work"/reload.[1-5] | grep -cE "is in force|this one is refused")" = 5 ]'
number 'of many at once some are in force' "$(grep -l 'is in force' "$work"/reload.[1-5] | wc -l)" -ge 2
for i in 1 2 3 4 5 6 7 8; do
	(ctl reload >"$work/killed.$i" 2>&1; echo $? >>"$work/killed.$i") &
	waiter=$!
	# Whoever is the newest: of the set that rises, or of the one that serves.
	sleep 0.0$i
	kill -9 "$(child_pids | sort -n | tail -n 1)" 2>/dev/null
	wait "$waiter"
	until_true 20 daemon_ready
	call "$key" order_lookup '{"order_id":1001}'
	[ "$status" = 200 ] || break
done
is 'a child that is killed during a reload: one of the two sets serves' 200 "$status"
number 'some of these reloads were refused or not, all were answered' "$(cat "$work"/killed.? | grep -cE '^[01]$')" -eq 8

# ---- under load

alive() { until_true 15 eval '[ "$(child_pids | wc -l)" = 5 ]'; child_pids | wc -l; }
is 'the processes of the sets before are gone' 5 "$(alive)"
fds() { ls "/proc/$daemon/fd" | wc -l; }
rss() { awk '/^RssAnon/ { print $2 }' "/proc/$daemon/status"; }
reload
is 'a last one before the load' '0 5' "$reload_status $(alive)"
fds_before=$(fds) rss_before=$(rss)
load_begin
good_ones=0
for ((i = 0; i < 100; i++)); do
	reload
	[ "$reload_status" -eq 0 ] && good_ones=$((good_ones + 1))
done
is '100 reloads under load' 100 "$good_ones"
load_end
is 'the processes of the sets before are gone' 5 "$(alive)"
number 'no descriptor is left behind in the parent' "$(fds)" -le "$((fds_before + 2))"
[ -n "${ASAN_OPTIONS:-}" ] || grep -q asan <<<"$build" ||
    number 'and no memory to speak of' "$(rss)" -le "$((rss_before + 1024))"
call "$key" order_lookup '{"order_id":1001}'
like 'the trail is whole' '^audit verify: ok' "$(audit_verify | tail -n 1)"

# ---- told to end in the middle of it

write_conf "$(printf %s "$good" | sed 's,^\([[:space:]]*\)journal .*,&\n\1checkpoint every 50 records,')"
ctl log verbose >/dev/null
: >"$daemon_log"
auditd=$(pids auditd)
kill -STOP $auditd
ctl reload >/dev/null 2>&1 &
until_true 20 grep -q 'the journal changes hands' "$daemon_log"
kill -TERM "$daemon"
until_true 10 grep -q 'SIGTERM: stopping' "$daemon_log"
kill -CONT $auditd
daemon_wait 25
is 'told to end while the journal changes hands: exit 0' 0 "$daemon_status"
unlike 'nobody waits for an auditd that does not come' 'did not finish in time|was killed' "$(cat "$daemon_log")"
like 'and the trail is whole' '^audit verify: ok' "$(audit_verify | tail -n 1)"
done_testing
