#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The audit table: by months, brought up to date from what was before it, by
# a role that may add and no more; and the drain behind PgBouncer in
# transaction mode.

. "$(dirname "$0")/../lib/harness.sh"

postgres_start || die 'a private Postgres starts' running "$(cat "$work/initdb.log" 2>&1 | tail -n 5)"
role=pontifex_audit

# One piece, as it was before: 0001 alone makes that table.
sql postgres 'CREATE DATABASE trail' >/dev/null
out=$(sql_file trail "$top/auditd/schema/0001_records.sql") || die 'the first file loads' 'exit 0' "$out"
kind() { sql trail "SELECT relkind FROM pg_class WHERE oid = 'pontifex.audit'::regclass"; }
is 'the control: it is one piece' r "$(kind)"
sql trail "INSERT INTO pontifex.audit (node, seq, \"timestamp\", kind, calls, prev_hash, hash, record)
    SELECT 'old-node', n, '2025-11-03 00:00Z'::timestamptz + n * interval '1 hour', 'call', 1, 'p' || n, 'h' || n, '{}'
    FROM generate_series(1, 3000) AS n" >/dev/null
before=$(sql trail "SELECT count(*), sum(seq), md5(string_agg(a::text, ',' ORDER BY seq)) FROM
    (SELECT node, seq, \"timestamp\", kind, calls, prev_hash, hash, record FROM pontifex.audit) AS a")
place="host=$pg_dir port=$pg_port user=postgres dbname=trail"
fails 'what it lacks is printed, and that is no success' "$build/pontifexctl" audit schema -p "$place"
"$build/pontifexctl" audit schema -p "$place" >"$work/missing.sql" 2>/dev/null
is 'and no more than that' "$(cat "$top/auditd/schema/0002_months.sql")" "$(cat "$work/missing.sql")"
out=$(sql_file trail "$work/missing.sql") || not_ok 'which loads' 'exit 0' "$out"
is 'now it has partitions' p "$(kind)"
is 'every record is there as it was' "$before" "$(sql trail "SELECT count(*), sum(seq), md5(string_agg(a::text, ',' ORDER BY seq))
    FROM (SELECT node, seq, \"timestamp\", kind, calls, prev_hash, hash, record FROM pontifex.audit) AS a")"
is 'none in the rest' 0 "$(sql trail 'SELECT count(*) FROM pontifex.audit_rest')"
is 'nothing is missing any more' '' "$("$build/pontifexctl" audit schema -p "$place" 2>&1)"
succeeds 'and that is a success' "$build/pontifexctl" audit schema -p "$place"
is 'without a database all is printed' "$(cat "$top"/auditd/schema/*.sql | grep -v '^$')" \
    "$("$build/pontifexctl" audit schema | grep -v '^$')"
out=$(sql_file trail "$top/auditd/schema.sql") || not_ok 'loading it again changes nothing' 'exit 0' "$out"
is 'really' "3000|2" "$(sql trail 'SELECT (SELECT count(*) FROM pontifex.audit), (SELECT max(version) FROM pontifex.schema_version)')"

# What was there before the numbers, too.
sql postgres 'CREATE DATABASE older' >/dev/null
out=$(sql_file older "$top/auditd/schema/0001_records.sql") || die 'an older schema loads' 'exit 0' "$out"
sql older 'DROP TABLE pontifex.schema_version' >/dev/null
sql older "INSERT INTO pontifex.audit (node, seq, \"timestamp\", kind, calls, prev_hash, hash, record)
    VALUES ('old-node', 1, now(), 'call', 1, 'p', 'h', '{}')" >/dev/null
out=$(sql_file older "$top/auditd/schema.sql") || not_ok 'it is brought up to date' 'exit 0' "$out"
is 'with its record' 1 "$(sql older 'SELECT count(*) FROM pontifex.audit')"

# Months.
months() { sql trail "SELECT count(*) FROM pg_inherits WHERE inhparent = 'pontifex.audit'::regclass"; }
is 'this month and three ahead' t "$(sql trail "SELECT to_regclass('pontifex.audit_' || to_char(now() AT TIME ZONE 'UTC' + interval '3 months', 'YYYY_MM')) IS NOT NULL")"
count=$(months)
sql trail "SET ROLE $role; SELECT pontifex.audit_partitions(5)" >/dev/null
is 'the role may make those ahead' $((count + 2)) "$(months)"
like 'not without bound' 'months ahead' "$(sql trail "SET ROLE $role; SELECT pontifex.audit_partitions(500)")"
like 'nor one of its choice' 'permission denied' "$(sql trail "SET ROLE $role; SELECT pontifex.audit_partition('2020-01-01')")"
month=audit_$(date -u +%Y_%m)
for what in 'DELETE FROM pontifex.audit' "UPDATE pontifex.audit SET owner_id = 'x'" 'TRUNCATE pontifex.audit' \
    "TRUNCATE pontifex.$month" "DELETE FROM pontifex.$month" 'DROP TABLE pontifex.audit_rest' \
    "ALTER TABLE pontifex.audit DETACH PARTITION pontifex.$month" 'SELECT * FROM pontifex.audit' \
    "INSERT INTO pontifex.$month SELECT" "UPDATE pontifex.schema_version SET version = 9"; do
	like "the role may not: $what" 'permission denied|must be owner' "$(sql trail "SET ROLE $role; $what")"
done
for what in "DELETE FROM pontifex.audit WHERE seq = 1" "UPDATE pontifex.audit SET owner_id = 'x' WHERE seq = 1" \
    'TRUNCATE pontifex.audit' "TRUNCATE pontifex.$month" 'TRUNCATE pontifex.audit_rest' 'DELETE FROM pontifex.audit_2025_11'; do
	like "not even its owner by accident: $what" 'append-only' "$(sql trail "$what")"
done
is 'all is there' 3000 "$(sql trail 'SELECT count(*) FROM pontifex.audit')"
like 'the view keeps to one month where it is told to' 'audit_2025_12' "$(sql trail "EXPLAIN SELECT * FROM pontifex.audit
    WHERE \"timestamp\" >= '2025-12-05' AND \"timestamp\" < '2025-12-06'")"
unlike 'and looks at no other' 'audit_2025_11' "$(sql trail "EXPLAIN SELECT * FROM pontifex.audit
    WHERE \"timestamp\" >= '2025-12-05' AND \"timestamp\" < '2025-12-06'")"

# Behind PgBouncer: no session, nothing that lasts longer than a transaction.
bouncer=$(command -v pgbouncer || echo /usr/sbin/pgbouncer)
bouncer_port=$(free_port)
mkdir -p "$work/bouncer"
chmod 755 "$work/bouncer"
cat >"$work/bouncer/ini" <<EOF
[databases]
trail = host=$pg_dir port=$pg_port dbname=trail pool_size=2
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $bouncer_port
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 50
logfile = $work/bouncer/log
pidfile = $work/bouncer/pid
EOF
sed -i "s/dbname=trail pool_size/dbname=trail user=$role pool_size/" "$work/bouncer/ini"
[ "$(id -u)" -ne 0 ] || chown -R postgres "$work/bouncer"
sql trail "ALTER ROLE $role RESET synchronous_commit" >/dev/null
sql postgres 'ALTER SYSTEM SET synchronous_commit = off' >/dev/null
sql postgres 'SELECT pg_reload_conf()' >/dev/null
as_postgres "$bouncer" -q "$work/bouncer/ini" </dev/null >"$work/bouncer.out" 2>&1 &
wrapper=$!
started+=("$wrapper")
bounced() { "$pg_bin/psql" -X -q -A -t -h 127.0.0.1 -p "$bouncer_port" -U "$role" -d trail -c "$1" 2>&1 </dev/null; }
up() { [ "$(bounced 'SELECT 1')" = 1 ]; }
until_true 10 up || die 'PgBouncer starts' running "$(cat "$work/bouncer.out" "$work/bouncer/log")"
started+=("$(cat "$work/bouncer/pid")")
AUDIT_DSN="host=127.0.0.1 port=$bouncer_port user=$role dbname=trail"
export AUDIT_DSN
shop "$work/shop"
sed -i 's/^\tjournal "audit"/&\n\tpostgres from env "AUDIT_DSN"/' "$conf"
key=$(key_add -o alice -s shop:order:read,shop:order:write -r 1000000)
daemon_start || die 'the daemon starts' ready
node=$(journal | jq -r .node | head -n 1)
load() { python3 "$lib/load.py" "$port" "$key" order_lookup '{"order_id":1001}' 8 "$@"; }
load 20 500 >/dev/null
same() { [ "$(journal | wc -l)" = "$(sql trail "SELECT count(*) FROM pontifex.audit WHERE node = '$node'")" ]; }
until_true 20 same
is 'behind PgBouncer all records arrive' "$(journal | wc -l)" "$(sql trail "SELECT count(*) FROM pontifex.audit WHERE node = '$node'")"
is 'once' "$(journal | wc -l)" "$(sql trail "SELECT count(DISTINCT seq) FROM pontifex.audit WHERE node = '$node'")"
like 'its records are what the journal has' 'audit verify: ok' "$("$build/pontifexctl" audit verify -N "$node" \
    -p "$place" -k "$dir/audit/checkpoint.pub" 2>&1)"
is 'what we set does not stay in the pool' off "$(bounced 'SHOW synchronous_commit')"
# Its connections are cut under load.
load 30 100000 "$work/stop" >"$work/load" &
loader=$!
for _ in 1 2 3; do
	sleep 0.4
	sql postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '$role'" >/dev/null
done
touch "$work/stop"
wait "$loader"
is 'cut under load, every call was answered' "$(jq .sent "$work/load")" "$(jq .answered "$work/load")"
until_true 30 same
is 'and every record is there once' "$(journal | wc -l)|$(journal | wc -l)" \
    "$(sql trail "SELECT count(*), count(DISTINCT seq) FROM pontifex.audit WHERE node = '$node'")"
daemon_stop

# A schema that is older than the daemon is said, with what to do.
sql postgres 'CREATE DATABASE behind' >/dev/null
sql_file behind "$top/auditd/schema/0001_records.sql" >/dev/null
sql behind "ALTER ROLE $role LOGIN" >/dev/null
AUDIT_DSN=$(dsn "$role" behind)
daemon_start || die 'it starts with an old schema' ready
said() { grep -q 'schema is older' "$daemon_log"; }
until_true 10 said
like 'an old schema is said' "schema is older.*audit schema" "$(cat "$daemon_log")"
call "$key" order_lookup '{"order_id":1001}'
is 'calls go on' none "$(error_code)"
sql_file behind "$top/auditd/schema/0002_months.sql" >/dev/null
caught_up() { [ "$(sql behind "SELECT max(seq) FROM pontifex.audit WHERE node = '$node'")" = "$(journal | tail -n 1 | jq .seq)" ]; }
until_true 30 caught_up
succeeds 'once it is loaded the records follow' caught_up
daemon_stop
done_testing
