#!/bin/bash
# SPDX-License-Identifier: ISC
#
# make soak: the fault matrix with SOAK_ROUNDS (20) rounds of killing, then a
# load of SOAK_MINUTES (10) under which no process may grow.

top=$(cd "$(dirname "$0")/.." && pwd)
SOAK_ROUNDS=${SOAK_ROUNDS:-20} bash "$top/tests/system/faults.sh" || exit 1

. "$top/tests/lib/harness.sh"
minutes=${SOAK_MINUTES:-10}
shop "$work/shop"
key=$(key_add -o alice -s shop:order:read,shop:order:write -r 100000000)
daemon_start || die 'the daemon starts' ready
python3 "$lib/load.py" "$port" "$key" order_lookup '{"order_id":1001}' 8 $((minutes * 60)) 1000000000 "$work/stop" \
    </dev/null >"$work/load" 2>&1 &
load=$!
started+=("$load")
sizes() {
	for role in listener authd handler auditd; do
		for pid in $(child_pids $role); do
			echo "$role $pid $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")"
		done
	done
}
# Tables fill up at first: the second half is what counts.
sleep $((minutes * 30))
sizes >"$work/before"
wait "$load"
sizes >"$work/after"
while read -r role pid kib; do
	now=$(awk -v pid="$pid" '$2 == pid { print $3 }' "$work/after")
	echo "# $role $pid: $kib KiB, then $now KiB"
	number "$role does not grow" "$now" -le $((kib + kib / 10 + 1024))
done <"$work/before"
echo "# $(cat "$work/load")"
daemon_stop
done_testing
