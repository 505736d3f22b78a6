#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The fuzz targets for a fixed number of runs each, from their corpora: a
# quick look that nothing breaks at once.  `make fuzz' takes longer.

set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
build=${BUILD:-build}
runs=${FUZZ_RUNS:-20000}
bad=0

# A fresh make: nothing of the one that may have called us.
make_target() {
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u SANITIZE \
	    make -s BUILD="$build" "$build/fuzz/$1"
}

# What the kept inputs of earlier runs would add differs from one to the next.
fuzz() { # TARGET
	local found
	found=$(mktemp -d) || return 1
	"$build/fuzz/$1" -runs="$runs" -seed=1 -max_len=16384 -max_total_time=60 \
	    -artifact_prefix="$build/fuzz/$1-" "$found" "tests/fuzz/corpus/${1#fuzz_}"
	local rc=$?
	rm -rf "$found"
	return $rc
}

for file in tests/fuzz/fuzz_*.c; do
	name=$(basename "$file" .c)
	if make_target "$name" && fuzz "$name"; then
		echo "ok - $name: $runs runs"
	else
		echo "not ok - $name: wanted $runs runs without a finding"
		bad=1
	fi
done
exit $bad
