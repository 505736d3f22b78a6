#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The official conformance suites, the stable one and the one for 2026-07-28:
# each scenario that conformance.table claims is run in each revision it is
# claimed for, every other is named with what it lacks.

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/harness.sh"
. "$lib/npm.sh"

npm_folder "$here" || die 'the npm packages are there' 'npm ci to succeed' "$(tail -n 5 "$modules.log")"
alpha=$modules/node_modules/@modelcontextprotocol/conformance/dist/index.js
stable=$modules/node_modules/conformance-stable/dist/index.js
shop "$work/shop"
BEARER=$(key_add -o suite -s shop:order:read -r 100000)
export BEARER
daemon_start || die 'the daemon starts' ready

listed() { "$node" "$1" list --server 2>/dev/null | sed -n 's/^  - \([^ ]*\).*/\1/p'; }
listed "$alpha" >"$work/alpha"
listed "$stable" >"$work/stable"
number 'the newer suite lists its scenarios' "$(wc -l <"$work/alpha")" -ge 60
number 'the stable suite lists its scenarios' "$(wc -l <"$work/stable")" -ge 30
grep -v '^#' "$here/conformance.table" | awk '{ print $1 }' | sort >"$work/table"
is 'every scenario stands in conformance.table' '' \
    "$(sort -u "$work/alpha" "$work/stable" | comm -23 - "$work/table" | paste -sd' ')"

scenario() { # NAME SUITE OPTION...
	local name=$1 suite=$2 out rc
	shift 2
	out=$(cd "$work" && timeout 60 "$node" --import "$here/addauth.mjs" "$suite" server \
	    --url "http://localhost:$port/mcp" "$@" 2>&1 </dev/null)
	rc=$?
	if [ "$rc" -eq 0 ] && grep -Eq '[1-9][0-9]* passed|Passed: *[1-9]' <<<"$out"; then
		ok "$name"
	else
		not_ok "$name" 'every check to pass' "exit $rc: $(grep -Ei 'fail|✗|warn|error' <<<"$out" | head -n 6)"
		[ -z "${VERBOSE:-}" ] || printf '%s\n' "$out"
	fi
}
unclaimed=0
while read -r name versions lacks; do
	case $name in '' | '#'*) continue ;; esac
	if [ "$versions" = - ]; then
		unclaimed=$((unclaimed + 1))
		note "not yet claimed: $name: lacks $lacks"
		continue
	fi
	for version in ${versions//,/ }; do
		scenario "$name in $version" "$alpha" --scenario "$name" --spec-version "$version"
	done
	case $versions in *2025-11-25*)
		grep -qx "$name" "$work/stable" && scenario "$name, stable suite" "$stable" --scenario "$name" ;;
	esac
done <"$here/conformance.table"
note "$unclaimed scenarios are not yet claimed"
daemon_stop
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
