#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What a mob of 10,000 costs the callers: calls a second over 32 connections
# with and without it, in turns, and the memory of each process under it.

. "$(dirname "$0")/../lib/harness.sh"

seconds=${BENCH_SECONDS:-5}
shop "$work/shop"
key=$(key_add -o alice -s shop:order:read -r 100000000)
echo 'prefork listeners 2 handlers 2' >>"$conf"
daemon_start || die 'the daemon starts' ready
cat >"$work/post.lua" <<EOF
wrk.method = "POST"
wrk.body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":1001}}}'
wrk.headers["Authorization"] = "Bearer $key"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["MCP-Protocol-Version"] = "2025-11-25"
done = function(summary, latency)
	io.write(string.format("RESULT %d %.3f %d\n", summary.requests * 1e6 / summary.duration, latency:percentile(99) / 1000,
	    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout))
end
EOF
measure() { wrk -t 1 -c 32 -d "${seconds}s" -s "$work/post.lua" "http://127.0.0.1:$port/mcp" | sed -n 's/^RESULT //p'; }
: >"$work/rss"
for n in 1 2 3; do
	measure >>"$work/calm"
	python3 "$lib/mob.py" "$port" 10000 $((seconds + 3)) 300 >"$work/mob" 2>&1 </dev/null &
	mob=$!
	started+=("$mob")
	until_true 60 grep -q here "$work/mob" || die 'the mob comes' here "$(cat "$work/mob")"
	measure >>"$work/mobbed"
	for pid in $(child_pids); do
		echo "$(cat "/proc/$pid/comm") $(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$pid/status")"
	done >>"$work/rss"
	wait "$mob"
	note "$(tail -n 1 "$work/mob"); $(ctl status -v | grep -o 'connections [0-9]*.*displaced [0-9]*' | paste -sd';')"
done
median() { cut -d' ' -f"$2" "$work/$1" | sort -n | sed -n 2p; }
errors() { awk '{ n += $3 } END { print n + 0 }' "$work/$1"; }
python3 - "$(median calm 1)" "$(median mobbed 1)" "$(median calm 2)" "$(median mobbed 2)" "$(errors mobbed)" <<'EOF'
import sys
calm, mobbed, p99, p99_mobbed, errors = map(float, sys.argv[1:])
print("10,000 hostile connections: %d calls a second of %d without: %.2f kept (target 0.80); p99 %.2f ms of %.2f; %d calls failed"
      % (mobbed, calm, mobbed / calm, p99_mobbed, p99, errors))
EOF
echo "memory under it, most of each (MiB): $(awk '$2 > m[$1] { m[$1] = $2 } END { for (r in m) printf "%s %d  ", r, m[r] }' "$work/rss") (target: listener 64)"
daemon_stop
exit 0
