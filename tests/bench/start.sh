#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What starting and staying cost: milliseconds from fork to the first answered
# call with 100 tools, and the memory of the whole family (the sum of PSS, the
# parent too), idle and after 200,000 and a million calls.
# START_ROUNDS, START_CALLS bound it.

. "$(dirname "$0")/../lib/harness.sh"

rounds=${START_ROUNDS:-11} calls=${START_CALLS:-1000000}
# Copies: what other daemons run here shares no page of ours.
mkdir -p "$work/bin"
cp -r "$build/pontifexd" "$build/libexec" "$work/bin/"
chmod -R a+rX "$work/bin"
shop "$work/shop"
key=$(key_add -o alice -s shop:order:read -r 100000000)
for n in $(seq 1 98); do
	cat <<-EOT
		tool lookup_$n {
			title "Look up $n"
			description "Look up an order by its number, and all that is known of it, by way $n."
			scope "shop:order:read"
			source shop
			param order_id integer required { description "The order number" minimum 1 }
			param detail enum { "short", "full" } default "full"
			sql "SELECT o.id, c.name AS customer, o.status, o.total_cents, :detail AS detail
			    FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = :order_id AND $n > 0"
		}
	EOT
done >"$work/tools.conf"
plain=$(cat "$conf")
cat "$work/tools.conf" >>"$conf"
python3 "$lib/start.py" "$rounds" "$port" "$key" order_lookup '{"order_id":1001}' \
    "$work/bin/pontifexd" -d -f "$conf" 2>"$work/start.log" >"$work/start" </dev/null ||
    die 'it starts and answers' 'an answer' "$(tail -n 3 "$work/start.log")"
sort -n "$work/start" | awk '{ ms[NR] = $1; cpu += $2 }
    END { printf "start to first answered call, 100 tools: median %.0f ms, worst %.0f ms of %d (target 150); %.0f ms of processors\n",
	ms[int((NR + 1) / 2)], ms[NR], NR, cpu / NR }'

printf '%s\n' "$plain" >"$conf"
build=$work/bin daemon_start || die 'the daemon starts' ready
pss() { # of the family, in KiB, and each one's
	local pid
	for pid in "$daemon" $(child_pids); do
		awk -v role="$(cat "/proc/$pid/comm")" '$1 == "Pss:" { pss = $2 } $1 == "Pss_Anon:" { anon = $2 }
		    END { print role, pss, anon }' "/proc/$pid/smaps_rollup"
	done | awk -v mark="$1" '{ sum += $2; anon += $3; each = each sprintf("  %s %.1f", $1, $2 / 1024) }
	    END { printf "%s: PSS %.1f MiB, of it anonymous %.1f;%s\n", mark, sum / 1024, anon / 1024, each }'
}
pss 'idle (target 24)'
made=0
cat >"$work/post.lua" <<EOT
local body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":%d}}}'
local turn = 0
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer $key"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["MCP-Protocol-Version"] = "2025-11-25"
function request()
	turn = turn + 1
	return wrk.format(nil, "/mcp", nil, body:format(1001 + turn % 5))
end
function done(summary)
	io.write(string.format("RESULT %d %d\n", summary.requests, summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
EOT
call_until() { # COUNT
	local got bad
	while [ "$made" -lt "$1" ]; do
		read -r got bad < <(wrk -t 1 -c 32 -d 3s -s "$work/post.lua" "http://127.0.0.1:$port/mcp" | sed -n 's/^RESULT //p')
		[ "${bad:-1}" -eq 0 ] || die 'calls are answered' 'no error' "$bad of $got"
		made=$((made + got))
	done
}
call_until $((calls / 5))
# From here on nothing grows, but for the table of what was recorded lately, which
# begins anew every 32768 records.
pss "after $made calls"
call_until "$calls"
pss "after $made calls (target 32)"
daemon_stop
exit 0
