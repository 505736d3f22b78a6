#!/bin/bash
# SPDX-License-Identifier: ISC
#
# How long a reload of 100 tools takes, until whoever connects is served under
# the new configuration; the embedded default, idle.  Issue: 150 ms at most.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
for ((i = 0; i < 97; i++)); do
	printf 'tool t%d {\n\tdescription "d"\n\tscope "shop:order:read"\n\tsource shop\n\tparam id integer required\n\tsql "SELECT %d AS n, o.* FROM orders o WHERE o.id = :id"\n}\n' "$i" "$i"
done >>"$conf"
key_add -o bench -s shop:order:read >/dev/null
daemon_start || die 'the daemon starts'
python3 - "$build/pontifexctl" "$dir/run/control.sock" <<'EOF'
import subprocess, sys, time
times = []
for _ in range(30):
    begun = time.monotonic()
    subprocess.run([sys.argv[1], "-s", sys.argv[2], "reload"], check=True, stdout=subprocess.DEVNULL)
    times.append((time.monotonic() - begun) * 1000)
    time.sleep(0.05)
times.sort()
print("reload of 100 tools: p50 %.0f ms, p90 %.0f ms, longest %.0f ms (30 reloads)" % (times[15], times[27], times[-1]))
EOF
daemon_stop
