#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A flood of refusals is folded into counted records, and the counts add up:
# in the journal and, drained, in the view audit_calls.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
if ! postgres_start; then skip 'the drained counts add up' 'no Postgres here'; fi
if [ -n "$pg_dir" ]; then
	out=$(audit_database trail) || die 'auditd/schema.sql loads' 'exit 0' "$out"
	AUDIT_DSN=$(dsn "${AUDIT_ROLE:-pontifex_audit}" trail)
	export AUDIT_DSN
	sed -i 's/^\tjournal "audit"/&\n\tpostgres from env "AUDIT_DSN"/' "$conf"
fi
key=$(key_add -o alice -s shop:customer:read -r 1000000)
good=$(key_add -o bob -s shop:order:read -r 1000000)
daemon_start || die 'the daemon starts' ready
n=400
flood() { python3 "$lib/load.py" "$port" "$1" order_lookup '{"order_id":1001}' 64 60 $n; }
denied=$(flood "$key")
is 'out of scope: every request is answered 403' "{\"http_403\":$n}" "$(jq -c .kinds <<<"$denied")"
unauth=$(flood '')
is 'without a key: every request is answered' $n "$(jq .answered <<<"$unauth")"
is 'and refused' '["http_401","http_429"]' \
    "$(jq -c '.kinds | keys | . + ["http_401","http_429"] | unique' <<<"$unauth")"
other=$(flood "$good")
note "$denied"
note "$unauth"
note "$other"
answered=$(jq -s 'map(.answered) | add' <<<"$denied $unauth $other")
is 'three times as many requests, all answered' $((3 * n)) "$answered"
sum() { journal | jq -s '[.[] | (.calls // 1)] | add'; }
adds_up() { [ "$(sum)" = "$answered" ]; }
until_true 30 adds_up
is 'the counts in the journal add up' "$answered" "$(sum)"
number 'in far fewer records' "$(journal | jq -s '[.[] | select(.outcome == "scope_denied")] | length')" -lt $((n / 2))
if [ -n "$pg_dir" ]; then
	drained() { [ "$(sql trail 'SELECT sum(calls) FROM pontifex.audit_calls')" = "$answered" ]; }
	until_true 30 drained
	is 'and in the view audit_calls' "$answered" "$(sql trail 'SELECT sum(calls) FROM pontifex.audit_calls')"
fi
daemon_stop
is 'they still add up after the end' "$answered" "$(sum)"
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
