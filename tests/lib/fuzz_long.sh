#!/bin/bash
# SPDX-License-Identifier: ISC
#
# `make fuzz': each target for FUZZ_SECONDS (or FUZZ_RUNS runs), FUZZ_JOBS of
# them side by side.  What they find is kept in the build folder and used
# again; a finding belongs into tests/fuzz/corpus once it is mended.  A line
# a target says how far it came; 1 where one of them found something.

set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
. tests/lib/fuzz_options.sh
build=${BUILD:-build}
if [ -n "${FUZZ_RUNS:-}" ]; then bound=-runs=$FUZZ_RUNS; else bound=-max_total_time=${FUZZ_SECONDS:-30}; fi
jobs=${FUZZ_JOBS:-2}

one() { # TARGET
	local found=$build/fuzz/$1.found log=$build/fuzz/$1.log
	mkdir -p "$found"
	# shellcheck disable=SC2046
	if "$build/fuzz/$1" "$bound" $(fuzz_options "$1") -print_final_stats=1 \
	    -artifact_prefix="$build/fuzz/$1-" "$found" "tests/fuzz/corpus/${1#fuzz_}" >"$log" 2>&1; then
		echo "ok - $1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions," \
		    "coverage $(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)"
	else
		echo "not ok - $1: see $log"
		return 1
	fi
}

rc=0 running=0
for file in tests/fuzz/fuzz_*.c; do
	[ "$running" -lt "$jobs" ] || { wait -n || rc=1; running=$((running - 1)); }
	one "$(basename "$file" .c)" &
	running=$((running + 1))
done
while [ "$running" -gt 0 ]; do wait -n || rc=1; running=$((running - 1)); done
exit $rc
