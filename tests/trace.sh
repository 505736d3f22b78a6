#!/bin/bash
# SPDX-License-Identifier: ISC
#
# `make trace': runs system tests with every child under strace(1) and writes
# down which system calls each role makes once it is in its sandbox:
# tests/lib/calls.seen, which sandbox_calls.sh holds against the table of
# pledge/calls_linux.h.  TRACE names other tests than these.  Takes minutes.

set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
tests=${TRACE:-main_job wire keys lifecycle cache postgres_source postgres_drain sinks checkpoint oauth fetcher failover
    audit_events audit_failure privacy forwarded kill_children users postgres_schema}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 711 "$work"
mkdir -p "$work/build/libexec" "$work/real" "$work/out"
for file in "$build"/*; do
	case ${file##*/} in libexec | pontifexd) ;; *) ln -s "$file" "$work/build/" ;; esac
done
# Found beside its own path: a copy, not a link.
cp "$build/pontifexd" "$work/build/pontifexd"
for role in listener authd fetcher handler auditd; do
	cp "$build/libexec/$role" "$work/real/$role"
	# -D: the role keeps its place as the parent's child, the tracer stands aside.
	printf '#!/bin/sh\nexec strace -D -f -qq -s 0 -e raw=all -o %s.$$ %s\n' "$work/out/$role" "$work/real/$role" \
	    >"$work/build/libexec/$role"
	chmod 755 "$work/build/libexec/$role" "$work/real/$role"
done
chmod 755 "$work/build" "$work/build/libexec" "$work/real"
seen=$work/seen
: >"$seen"
for name in $tests; do
	BUILD=$work/build timeout 400 bash "tests/system/$name.sh" >"$work/log" 2>&1 </dev/null
	sleep 1
	for file in "$work"/out/*; do
		[ -f "$file" ] || continue
		role=$(basename "$file"); role=${role%%.*}
		awk -v role="$role" '
			{ sub(/^[0-9]+ +/, "") }
			on && match($0, /^[a-z_0-9]+\(/) { print role, substr($0, 1, RLENGTH - 1) }
			/^seccomp\(0x1,/ && / = 0/ { on = 1 }
		' "$file" | sort -u >>"$seen"
		rm -f "$file"
	done
	echo "$name: $(tail -n 1 "$work/log"); $(sort -u "$seen" | wc -l) calls of roles so far"
done
{
	echo '# Which system calls each role was seen to make in its sandbox: made by `make trace'"'"'.'
	sort -u "$seen"
} >tests/lib/calls.seen
