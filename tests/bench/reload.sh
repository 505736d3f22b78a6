#!/bin/bash
# SPDX-License-Identifier: ISC
#
# How long a reload of 100 tools takes, until whoever connects is served under
# the new configuration; the embedded default, idle.  Issue: 150 ms at most.
# An upgrade likewise, and the longest call while ten of them go on.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
for ((i = 0; i < 97; i++)); do
	printf 'tool t%d {\n\tdescription "d"\n\tscope "shop:order:read"\n\tsource shop\n\tparam id integer required\n\tsql "SELECT %d AS n, o.* FROM orders o WHERE o.id = :id"\n}\n' "$i" "$i"
done >>"$conf"
key=$(key_add -o bench -s shop:order:read -r 1000000)
daemon_start || die 'the daemon starts'
times() { # WORD
	python3 - "$build/pontifexctl" "$dir/run/control.sock" "$1" <<'EOT'
import subprocess, sys, time
times = []
for _ in range(30):
    begun = time.monotonic()
    subprocess.run([sys.argv[1], "-s", sys.argv[2], sys.argv[3]], check=True, stdout=subprocess.DEVNULL)
    times.append((time.monotonic() - begun) * 1000)
    time.sleep(0.05)
times.sort()
print("%s of 100 tools: p50 %.0f ms, p90 %.0f ms, longest %.0f ms (30 of them)" % (sys.argv[3], times[15], times[27], times[-1]))
EOT
}
load() { # SECONDS
	LOAD_RATE=300 python3 "$lib/load.py" "$port" "$key" order_lookup '{"order_id":1001}' 4 "$1" 1000000 "$work/stop" |
	    jq -r '"\(.answered) of \(.sent) answered well, the longest in \(.longest_ms) ms"'
}
times reload
times upgrade
echo "300 calls a second, alone: $(load 3)"
load 60 >"$work/load" &
loader=$!
for ((i = 0; i < 10; i++)); do
	sleep 0.2
	ctl upgrade >/dev/null
done
touch "$work/stop"
wait "$loader"
echo "… during ten upgrades: $(cat "$work/load")"
# What serves now is no child of ours.
daemon=$(ctl status -v | sed -n 's/^pontifexd: .* pid \([0-9]*\),.*/\1/p')
started+=("$daemon")
daemon_stop
