#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The official TypeScript clients on a daemon with the contract's own
# configuration (clients.mjs), and that their calls are in the trail.

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/harness.sh"
. "$lib/npm.sh"

npm_folder "$here" || die 'the npm packages are there' 'npm ci to succeed' "$(tail -n 5 "$modules.log")"
shop "$work/shop"
key=$(key_add -o alice -s shop:order:read -r 100000)
other=$(key_add -o carol -s shop:customer:read)
daemon_start || die 'the daemon starts' ready
timeout 120 "$node" "$here/clients.mjs" "$modules" "http://localhost:$port/mcp" "$key" "$other" \
    >"$work/out" 2>"$work/err"
rc=$?
cat "$work/out"
passed=$((passed + $(grep -c '^ok ' "$work/out")))
failed=$((failed + $(grep -c '^not ok ' "$work/out")))
if [ "$rc" -ne 0 ] && ! grep -q '^not ok' "$work/out"; then
	not_ok 'the clients run to their end' 'exit 0' "exit $rc: $(tail -n 5 "$work/err")"
fi
is 'each client'\''s calls are in the trail' 84 \
    "$(journal_count '.tool_name == "order_lookup" and .outcome == "ok"')"
daemon_stop
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
