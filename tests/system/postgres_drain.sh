#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The trail in Postgres: every record once and in order, whatever happens to
# auditd or to Postgres in between, by a role that may only insert.

. "$(dirname "$0")/../lib/harness.sh"

postgres_start || die 'a private Postgres starts' running "$(cat "$work/initdb.log" 2>&1 | tail -n 5)"
out=$(audit_database trail) || die 'auditd/schema.sql loads' 'exit 0' "$out"
ok 'auditd/schema.sql loads'
role=${AUDIT_ROLE:-pontifex_audit}
sql trail "ALTER ROLE $role LOGIN" >/dev/null
AUDIT_DSN=$(dsn "$role" trail)
export AUDIT_DSN
shop "$work/shop"
sed -i 's/^\tjournal "audit"/&\n\tpostgres from env "AUDIT_DSN"/' "$conf"
key=$(key_add -o alice -s shop:order:read,shop:order:write -r 1000000)
daemon_start || die 'the daemon starts' ready
table=${AUDIT_TABLE:-pontifex.audit}

load() { # SECONDS COUNT [STOPFILE]
	python3 "$lib/load.py" "$port" "$key" order_lookup '{"order_id":1001}' 8 "$@"
}
answered=0
count() { answered=$((answered + $(jq .answered <<<"$1"))); }
sum() { sql trail 'SELECT coalesce(sum(calls), 0) FROM pontifex.audit_calls'; }
adds_up() { [ "$(sum)" = "$answered" ]; }
equal() { until_true 40 adds_up; is "$1: calls in audit_calls equal answers" "$answered" "$(sum)"; }

out=$(load 20 300)
count "$out"
is 'the control: all are answered' '{"ok":300}' "$(jq -c .kinds <<<"$out")"
equal 'quiet'
call "$key" order_cancel '{"order_id":1002,"reason":"x"}'
answered=$((answered + 1))
equal 'a write is one call with two records'
call '' order_lookup '{"order_id":1001}'
answered=$((answered + 1))
equal 'a refusal is one'

# Postgres goes away; calls are served; it comes back.
postgres_stop immediate
out=$(load 20 300)
count "$out"
is 'without Postgres every call is served' '{"ok":300}' "$(jq -c .kinds <<<"$out")"
postgres_start || die 'Postgres starts again' running
equal 'Postgres was away'

# Its backend is killed in the middle, again and again.
load 30 100000 "$work/stop1" >"$work/load1" &
loader=$!
for _ in 1 2 3 4 5; do
	sleep 0.3
	sql postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '$role'" >/dev/null
done
touch "$work/stop1"
wait "$loader"
count "$(cat "$work/load1")"
equal 'its connection was cut five times'

# auditd is killed in the middle.
load 30 100000 "$work/stop2" >"$work/load2" &
loader=$!
for _ in 1 2 3; do
	sleep 0.7
	pid=$(child_pids auditd | head -n 1)
	[ -z "$pid" ] || kill -9 "$pid"
done
sleep 1.5
touch "$work/stop2"
wait "$loader"
note "auditd killed three times: $(cat "$work/load2")"
is 'every request was answered though auditd died' 0 "$(jq .unanswered "$work/load2")"
count "$(cat "$work/load2")"
equal 'auditd was killed three times'

# A restart of the whole daemon with Postgres away, drained afterwards.
postgres_stop fast
out=$(load 20 100)
count "$out"
daemon_stop
is 'SIGTERM without Postgres: exit 0' 0 "$daemon_status"
postgres_start || die 'Postgres starts again' running
daemon_start || die 'the daemon starts again' ready
equal 'drained by the next daemon'

lines=$(journal | wc -l)
is 'as many rows as the journal has records' "$lines" "$(sql trail "SELECT count(*) FROM $table")"
is 'each once, in order, without a gap' "$lines|1|$lines" \
    "$(sql trail "SELECT count(DISTINCT (node, seq)), min(seq), max(seq) FROM $table")"
is 'the chain in Postgres is unbroken' 0 "$(sql trail "SELECT count(*) FROM (SELECT prev_hash, lag(hash) OVER (ORDER BY seq) AS before FROM $table) AS c WHERE before IS NOT NULL AND before <> prev_hash")"
is 'hash for hash what the journal says' "$(journal | jq -r .hash | sha256sum)" \
    "$(sql trail "SELECT encode(hash::bytea, 'escape') FROM $table ORDER BY seq" 2>/dev/null | sha256sum)"
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
for statement in "SELECT count(*) FROM $table" "DELETE FROM $table" "UPDATE $table SET outcome = 'ok'" "TRUNCATE $table"; do
	like "the role may not: ${statement%% *}" 'permission denied' \
	    "$("$pg_bin/psql" -X -q -A -t -h "$pg_dir" -p "$pg_port" -U "$role" -d trail -c "$statement" 2>&1)"
done
daemon_stop

# Without the schema: a loud warning, and the journal goes on collecting.
sql postgres 'CREATE DATABASE empty' >/dev/null
AUDIT_DSN=$(dsn "$role" empty)
daemon_start || die 'the daemon starts without the schema' ready
call "$key" order_lookup '{"order_id":1001}'
is 'without the schema calls are served' 200 "$status"
warned() { grep -q 'schema' "$daemon_log"; }
until_true 10 warned
like 'with a loud warning' schema "$(grep -i schema "$daemon_log" | tail -n 1)"
daemon_stop

# Up to the limit; nobody calls any more, and when the table is there it is served.
sed -i 's/^\tjournal "audit".*/\tjournal "audit" limit 32K/' "$conf"
daemon_start || die 'the daemon starts with a limit' ready
until_refused() { call "$key" order_lookup '{"order_id":1001}'; [ "$status" = 503 ]; }
succeeds 'calls are refused at the limit' until_true 20 until_refused
sleep 3.5
fails 'a load balancer is told, though nobody calls' daemon_ready
out=$(sql_file empty "$top/auditd/schema.sql") || die 'the schema loads' 'exit 0' "$out"
succeeds 'and told when the database has taken some' until_true 20 daemon_ready
call "$key" order_lookup '{"order_id":1001}'
is 'calls are served again' 200 "$status"
daemon_stop
done_testing
