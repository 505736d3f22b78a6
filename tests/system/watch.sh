#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What an operator sees: pontifexctl status as a screen and as JSON, and the
# metrics socket, read by a real parser.  What is counted adds up with the
# trail, over the death of a process too; nobody who calls makes a label; the
# metrics socket knows one request and no other.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/d"
metrics=$(free_port)
printf 'metrics on 127.0.0.1 port %s\nprefork listeners 2 handlers 2\n' "$metrics" >"$work/head"
grep -v '^prefork' "$conf" >>"$work/head"
cp "$work/head" "$conf"
key=$(key_add -o tester -s 'shop:order:read,shop:order:write')
poor=$(key_add -o poor -s 'shop:nothing:read')
daemon_start || die 'the daemon starts' ready

python=python3
"$python" -c 'import prometheus_client' 2>/dev/null || python=/usr/bin/python3
"$python" -c 'import prometheus_client' || die 'there is a parser' python3-prometheus-client none

scrape() { curl -s -m 10 "http://127.0.0.1:$metrics/metrics"; }
# A moment, so that what was collected is asked for again.
fresh() { sleep 1.1; scrape >"$work/metrics"; }
metric() { # NAME LABELS...: by the parser of Prometheus' own client library
	"$python" - "$work/metrics" "$@" <<'EOF'
import sys
from prometheus_client.parser import text_string_to_metric_families as parse
path, name, wanted = sys.argv[1], sys.argv[2], dict(x.split("=", 1) for x in sys.argv[3:])
found = [s.value for f in parse(open(path, encoding="utf-8").read()) for s in f.samples
         if s.name == name and all(s.labels.get(k) == v for k, v in wanted.items())]
print("%g" % sum(found) if found else "none")
EOF
}
code() { curl -s -m 10 -o /dev/null -w '%{http_code}' "$@"; }

# ---- what is counted -------------------------------------------------------

for i in 1 2 3 4 5 6 7; do call "$key" order_lookup '{"order_id":1001}'; done
call "$key" order_lookup '{"order_id":"x"}'
call "$key" orders_search '{"status":"open"}'
call "$key" order_cancel '{"order_id":1002,"reason":"test"}'
call "$poor" order_lookup '{"order_id":1001}'
call "$poor" order_lookup '{"order_id":1001}'
call '' order_lookup '{"order_id":1001}'
call 'sk_live_nosuch_0123456789' order_lookup '{"order_id":1001}'
fresh
adds_up() { # WHAT
	local tool outcome row wrong='' said
	for row in $(journal | jq -r 'select(.kind == "call" or .kind == "outcome") | .tool_name + "/" + .outcome' | sort | uniq -c | awk '{ print $1 "/" $2 }'); do
		IFS=/ read -r said tool outcome <<<"$row"
		[ "$(metric pontifexd_calls_total "tool=$tool" "outcome=$outcome")" = "$said" ] ||
		    wrong="$wrong $tool $outcome: trail $said, metric $(metric pontifexd_calls_total "tool=$tool" "outcome=$outcome");"
	done
	is "$1: calls by tool and outcome are those of the trail" '' "$wrong"
	is "$1: all calls" "$(journal | jq -s '[.[] | select(.kind == "call" or .kind == "outcome")] | length')" "$(metric pontifexd_calls_total)"
	is "$1: refusals are those of the trail" "$(journal | jq -s '[.[] | select(.kind == "refusal") | .calls // 1] | add')" "$(metric pontifexd_refusals_total)"
	is "$1: the histogram counts them" "$(metric pontifexd_calls_total tool=order_lookup)" "$(metric pontifexd_call_duration_seconds_count tool=order_lookup)"
}
adds_up 'after some calls'
isnt 'calls were made' 0 "$(metric pontifexd_calls_total)"
isnt 'and refused' 0 "$(metric pontifexd_refusals_total)"
is 'a refusal has its reason' 2 "$(metric pontifexd_refusals_total reason=missing_scope)"
is 'the last bucket has all' "$(metric pontifexd_call_duration_seconds_count tool=order_lookup)" "$(metric pontifexd_call_duration_seconds_bucket tool=order_lookup le=+Inf)"
is 'every process is up' 6 "$(metric pontifexd_process_up)"
is 'the audit trail is written' 0 "$(metric pontifexd_audit_state)"
is 'its last record' "$(journal | wc -l)" "$(metric pontifexd_audit_seq)"
is 'the journal has its size' "$(cat "$dir"/audit/*.jsonl | wc -c)" "$(metric pontifexd_journal_bytes)"
is 'keys are counted' 2 "$(metric pontifexd_keys)"
is 'the version' 1 "$(metric pontifexd_build_info "version=$("$build/pontifexctl" -s "$dir/run/control.sock" status -j | jq -r '.metrics.pontifexd_build_info[0].version')")"

# Each is on the page, with its kind and what it is.
is 'docs/watch.md says what the metrics say of themselves' '' "$(awk '$2 == "HELP" { name = $3; sub(/^# HELP [^ ]* /, ""); help = $0 } $2 == "TYPE" { print name "\t" $4 "\t" help }' "$work/metrics" |
    while IFS=$'\t' read -r name kind help; do grep -F "| \`$name\` | $kind |" "$top/docs/watch.md" | grep -qF "| $help" || echo "$name"; done)"

# ---- the death of a process ------------------------------------------------

handler=$(child_pids handler | head -n 1)
kill -9 "$handler"
until_true 10 process_gone "$handler"
until_true 10 daemon_ready
restarted() { grep -q '^pontifexd_process_restarts_total handler . 1' <<<"$(ctl status -v)"; }
until_true 10 restarted
call "$key" order_lookup '{"order_id":1001}'
fresh
adds_up 'after a handler died'
is 'its restart is counted' 1 "$(metric pontifexd_process_restarts_total)"
ctl status >"$work/screen" 2>&1
is 'a restart a moment ago is told by exit code 3' 3 $?
like 'and first of all' '^!! handler [01] was started anew' "$(sed -n 2p "$work/screen")"

# ---- who calls makes no label ----------------------------------------------

before=$(grep -vc '^#' "$work/metrics")
python3 - "$port" "$key" <<'EOF'
import http.client, json, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=20)
for i in range(1000):
    c.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "id": i, "method": "tools/call", "params": {
        "name": "SENTINEL_%d" % i, "arguments": {}}}), {"Authorization": "Bearer " + sys.argv[2],
        "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-11-25", "X-SENTINEL": "a"})
    c.getresponse().read()
EOF
fresh
is 'a thousand unknown tools make no series' "$before" "$(grep -vc '^#' "$work/metrics")"
unlike 'and their names stand nowhere' SENTINEL "$(cat "$work/metrics"; ctl status -v; ctl status -j)"
number 'they are counted under their reason' "$(metric pontifexd_refusals_total reason=unknown_tool)" -ge 1

# ---- the metrics socket knows one request ----------------------------------

url=http://127.0.0.1:$metrics
is 'the answer says its format' 'text/plain; version=0.0.4; charset=utf-8' "$(curl -s -o /dev/null -w '%{content_type}' "$url/metrics")"
is 'another path' 404 "$(code "$url/")"
is 'MCP is not here' 404 "$(code -X POST -d '{}' "$url/mcp")"
is 'nor health' 404 "$(code "$url/health/live")"
is 'POST' 405 "$(code -X POST -d x "$url/metrics")"
is 'HEAD' 405 "$(code -I "$url/metrics")"
like 'is told what there is' '[Aa]llow: GET' "$(curl -s -i -X DELETE "$url/metrics" | tr -d '\r')"
is 'a body' 413 "$(code -X GET -d x "$url/metrics")"
is 'a head of 5 kilobytes' 431 "$(code -H "X-Big: $(head -c 5000 /dev/zero | tr '\0' a)" "$url/metrics")"
is 'another host (a browser, by DNS rebinding)' 421 "$(code -H 'Host: evil.example' "$url/metrics")"
is 'localhost' 200 "$(code -H 'Host: localhost:9090' "$url/metrics")"
is 'bytes that are no HTTP' 400 "$(printf 'nonsense\r\n\r\n' | timeout 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$metrics; cat >&3; head -n 1 <&3" | awk '{ print $2 }')"
is 'metrics are not on the MCP port' 404 "$(code "http://127.0.0.1:$port/metrics")"
is 'nor with a key' 404 "$(code -H "Authorization: Bearer $key" "http://127.0.0.1:$port/metrics")"
# Clients that say nothing take all places, until their deadline.
python3 - "$metrics" >"$work/crowd" <<'EOF'
import socket, sys, time
port = int(sys.argv[1])
held = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
begin = time.time()
s = socket.create_connection(("127.0.0.1", port), timeout=90)
s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
for h in held[:35]:
    h.close()
got = b""
while True:
    piece = s.recv(65536)
    if not piece:
        break
    got += piece
print(got.split(b"\r\n")[0].decode())
EOF
is 'behind a crowd that is silent there is an answer' 'HTTP/1.1 200 OK' "$(cat "$work/crowd")"
is 'the MCP port is served meanwhile' 200 "$(code "http://127.0.0.1:$port/health/ready")"
listener=$(child_pids listener | head -n 1)
kill -9 $(child_pids listener)
until_true 10 process_gone "$listener"
until_true 10 daemon_ready
scraped() { grep -q '^pontifexd_build_info' <<<"$(scrape)"; }
succeeds 'after the death of every listener they are served again' until_true 10 scraped

# ---- the screen and JSON ---------------------------------------------------

ctl status >"$work/screen" 2>&1
for word in 'process ' 'auditd ' 'listener 1 ' 'requests ' 'calls ' 'refusals ' 'p50' 'order_lookup ' 'source ' 'audit ' 'keys '; do
	like "the screen has: $word" "^ *[^ ]*$word|$word" "$(cat "$work/screen")"
done
number 'it is one screen' "$(wc -l <"$work/screen")" -le 45
ctl status -j >"$work/json" 2>&1
is 'JSON says the same' degraded "$(jq -r .state "$work/json")"
is 'and how long calls took' true "$(jq '.metrics.pontifexd_call_duration_seconds | any(.[]; .tool == "order_lookup" and .count >= 8 and .p50 > 0 and .p50 <= .p95 and .p95 <= .p99)' "$work/json")"
is 'every metric of the port is in it' '' "$(comm -13 <(jq -r '.metrics | keys[]' "$work/json" | sort -u) <(scrape | awk '$2 == "TYPE" { print $3 }' | sort -u))"
"$build/pontifexctl" -s "$dir/nosuch.sock" status >"$work/out" 2>&1
is 'a daemon that is not there: exit code 1' 1 $?
ctl status -j -v >"$work/out" 2>&1
is 'both at once: usage' 2 $?
like 'no reload was asked for' '^config +loaded .* ago, no reload since the start$' "$(tail -n 1 "$work/screen")"

# ---- a reload that is refused

fresh
is 'as long as none was refused' '1 none' "$(metric pontifexd_config_last_reload_successful) $(metric pontifexd_config_last_reload_timestamp_seconds)"
cp "$conf" "$work/good.conf"
echo 'SENTINEL_of_the_file' >>"$conf"
ctl reload >"$work/out" 2>&1
is 'a bad file is refused' 1 $?
fresh
is 'the metrics know' 0 "$(metric pontifexd_config_last_reload_successful)"
like 'since when' '^[0-9]{10}$' "$(sed -n 's/^pontifexd_config_last_reload_timestamp_seconds //p' "$work/metrics")"
unlike 'and not why, which quotes the file' 'SENTINEL|refused_info' "$(cat "$work/metrics")"
cp "$work/good.conf" "$conf"
ctl reload >"$work/out" 2>&1
fresh
is 'until one is in force' 1 "$(metric pontifexd_config_last_reload_successful)"
daemon_stop

# ---- by a Unix socket, and what does not load ------------------------------

sed -i "s|^metrics on .*|metrics on \"run/metrics.sock\"|" "$conf"
daemon_start || die 'the daemon starts with a metrics socket' ready
is 'by a Unix socket, whatever the host' 200 "$(code --unix-socket "$dir/run/metrics.sock" http://anything/metrics)"
like 'its file is for its owner, or the group of the daemon' '^6[06]0$' "$(stat -c %a "$dir/run/metrics.sock")"
ctl status >"$work/screen" 2>&1
is 'all is well: exit code 0' 0 $?
like 'and it says so' 'all well' "$(head -n 1 "$work/screen")"
daemon_stop
fails 'the socket is gone with the daemon' test -e "$dir/run/metrics.sock"
refused() { # NAME LINE MESSAGE
	sed "s|^metrics on .*|$2|" "$conf" >"$dir/bad.conf"
	out=$("$build/pontifexd" -n -f "$dir/bad.conf" 2>&1) && not_ok "$1" 'an error' "$out"
	like "$1" "$3" "$out"
}
refused 'another address' 'metrics on 0.0.0.0 port 9090' 'must be a loopback address'
refused 'an address of the network' 'metrics on 192.0.2.1 port 9090' 'must be a loopback address'
refused 'the port of MCP' "metrics on 127.0.0.1 port $port" "listen line's"
refused 'no port' 'metrics on 127.0.0.1 port 0' 'port must be'
refused 'twice' 'metrics on 127.0.0.1 port 9090\nmetrics on "x.sock"' 'twice'
done_testing
