#!/bin/bash
# SPDX-License-Identifier: ISC
#
# No system call too many: each that a role may make was seen to be made by it
# (calls.seen, which `make trace' writes), or its reason is told (calls.kept).

. "$(dirname "$0")/../lib/harness.sh"

python3 "$lib/calls.py" "$top/pledge/calls_linux.h" "$lib/calls.seen" "$lib/calls.kept" >"$work/calls" ||
    not_ok 'the table can be read' 'exit 0' "$(tail -n 2 "$work/calls")"
cat "$work/calls"
passed=$((passed + $(grep -c '^ok ' "$work/calls")))
failed=$((failed + $(grep -c '^not ok ' "$work/calls")))
number 'most of them were seen' "$(grep -c 'was seen$' "$work/calls")" -ge 100
done_testing
