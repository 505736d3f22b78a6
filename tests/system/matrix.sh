#!/bin/bash
# SPDX-License-Identifier: ISC
#
# One authorise path: every protocol revision x route x credential x tool
# follows one rule, which does not tell revisions apart.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
good=$(key_add -o alice -s shop:order:read -r 100000000)
none=$(key_add -o bob -s other:thing:read -r 100000000)
revoked=$(key_add -o carol -s shop:order:read)
expired=$(key_add -o dave -s shop:order:read -e "$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%SZ)")
"$build/pontifexctl" key revoke -F "$keys" "$(key_id "$revoked")" >/dev/null
sed -i 's/^auth {/trust forwarded from "127.0.0.1"\n&/' "$conf"
daemon_start || die 'the daemon starts' ready
is_expired() { call "$expired" order_lookup '{"order_id":1001}'; [ "$status" = 401 ]; }
until_true 20 is_expired || die 'a key expires' 401 "$status"
tab=$'\t'
cat >"$work/credentials" <<EOF
none$tab
another-scheme${tab}Basic dXNlcjpwYXNz
empty${tab}Bearer
unknown${tab}Bearer sk_live_unknown_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
wrong-secret${tab}Bearer ${good%_*}_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
cut${tab}Bearer ${good%?}
revoked${tab}Bearer $revoked
expired${tab}Bearer $expired
unsigned-token${tab}Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.
good-no-scope${tab}Bearer $none
good-scope${tab}Bearer $good
EOF
timeout 200 python3 "$lib/matrix.py" "$port" "$work/credentials" >"$work/matrix" 2>&1 ||
    not_ok 'the matrix is done' 'exit 0' "$(tail -n 3 "$work/matrix")"
cat "$work/matrix"
passed=$((passed + $(grep -c '^ok ' "$work/matrix")))
failed=$((failed + $(grep -c '^not ok ' "$work/matrix")))
number 'all of them were tried' "$(grep -c '^ok ' "$work/matrix")" -ge 150
daemon_stop
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
