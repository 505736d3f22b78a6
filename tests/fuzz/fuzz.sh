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

. tests/lib/fuzz_options.sh

# A fresh make, once: nothing of the one that may have called us.
make_targets() {
	# shellcheck disable=SC2046
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u SANITIZE \
	    make -s -j2 BUILD="$build" $(for f in tests/fuzz/fuzz_*.c; do echo "$build/fuzz/$(basename "$f" .c)"; done)
}

# What the kept inputs of earlier runs would add differs from one to the next.
fuzz() { # TARGET
	local found
	found=$(mktemp -d) || return 1
	# shellcheck disable=SC2046
	"$build/fuzz/$1" -runs="$runs" -seed=1 $(fuzz_options "$1") -max_total_time=20 \
	    -artifact_prefix="$build/fuzz/$1-" "$found" "tests/fuzz/corpus/${1#fuzz_}"
	local rc=$?
	rm -rf "$found"
	return $rc
}

if ! make_targets; then
	echo 'not ok - the fuzz targets: wanted a build, got errors'
	exit 1
fi
for file in tests/fuzz/fuzz_*.c; do
	name=$(basename "$file" .c)
	if fuzz "$name"; then
		echo "ok - $name: at most $runs runs"
	else
		echo "not ok - $name: wanted $runs runs without a finding"
		bad=1
	fi
done
exit $bad
