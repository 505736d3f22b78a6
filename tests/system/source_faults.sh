#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A Postgres that has no connection left for us (SQLSTATE 53300, others hold
# them all), and one that ends all of ours at once in the middle of work: calls
# are told, or go on; no read is answered with another's row, no write is made
# twice, and the pool comes back to its size without a restart and without
# more attempts than it has places.

. "$(dirname "$0")/../lib/harness.sh"

postgres_start 'max_connections = 14' 'superuser_reserved_connections = 3' 'log_connections = on' ||
    die 'a private Postgres starts' running "$(cat "$work/initdb.log" "$work/pg/log" 2>&1 | tail -n 5)"
sql postgres 'CREATE DATABASE shop' >/dev/null
sql shop 'CREATE TABLE seen (n bigint); CREATE ROLE shop_rw LOGIN; GRANT SELECT, INSERT ON seen TO shop_rw; CREATE ROLE other LOGIN' >/dev/null
pool=4	# connections: two of each of two handlers

dir=$work/d port=$(free_port) conf=$work/d/pontifex.conf keys=$work/d/keys
mkdir -p "$dir"
chmod 755 "$dir"
handler_writes "$dir"
SHOP_DSN=$(dsn shop_rw shop)
export SHOP_DSN
cat >"$conf" <<CONF
namespace "shop"
listen on 127.0.0.1 port $port
control socket "run/control.sock"
prefork listeners 1 handlers 2
auth {
	keys "keys"
	rate 600000 per minute
}
audit {
	journal "audit"
}
source pg postgres {
	dsn from env "SHOP_DSN"
	connections 2
	timeout 5s
}
tool echo {
	description "d"
	scope "shop:test:read"
	source pg
	param n integer required
	sql "SELECT :n AS n, pg_sleep(0.002)::text AS slept"
}
tool put {
	writes
	description "d"
	scope "shop:test:read"
	source pg
	param n integer required
	sql "INSERT INTO seen VALUES (:n) RETURNING n"
}
CONF
key=$(key_add -o alice -s shop:test:read)
ours() { sql postgres "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop_rw'"; }
pool_is() { [ "$(ours)" = "$1" ]; }
served() { call "$key" echo '{"n":7}'; [ "$(jqb '.result.structuredContent.rows[0].n')" = 7 ]; }
told() { call "$key" echo '{"n":7}'; [ "$(error_code)" = source_unavailable ]; }
end_ours() { sql postgres "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'shop_rw'"; }
in_log() { grep -ac "$1" "$pg_dir/log"; }

status='' body='' head=''
daemon_start || die 'the daemon starts' ready
succeeds 'it serves' until_true 10 served
succeeds 'and has its connections' until_true 10 pool_is $pool
handlers=$(child_pids handler | paste -sd' ')

# ---- no connection left ----------------------------------------------------

# The handlers stand still while others take what was theirs.
hold_one() {
	"$pg_bin/psql" -X -q -h "$pg_dir" -p "$pg_port" -U other -d shop -c 'SELECT pg_sleep(600)' >/dev/null 2>&1 </dev/null &
	started+=("$!")
}
end_theirs() { # AT-MOST
	sql postgres "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE usename = 'other' LIMIT $1) AS x" >/dev/null
}
theirs() { sql postgres "SELECT count(*) FROM pg_stat_activity WHERE usename = 'other' AND state = 'active'"; }
theirs_are() { [ "$(theirs)" = "$1" ]; }
# shellcheck disable=SC2086
kill -STOP $handlers
end_ours >/dev/null
until_true 10 pool_is 0 || not_ok 'our connections are ended' 0 "$(ours)"
# A place that this shell was asking from meanwhile is taken at the next round.
fill() { theirs_are 11 || { hold_one; sleep 0.2; false; }; }
until_true 20 fill || not_ok 'others have them all' 11 "$(theirs)"
like 'there is none left' 'remaining connection slots|too many clients' \
    "$("$pg_bin/psql" -X -h "$pg_dir" -p "$pg_port" -U other -d shop -c 'SELECT 1' 2>&1)"
before=$(in_log 'FATAL:.*\(remaining connection slots\|too many clients\)')
begun=$SECONDS
# shellcheck disable=SC2086
kill -CONT $handlers
until_true 15 told
is 'no connection left: source_unavailable' source_unavailable "$(error_code)"
is 'with the word that it may be tried again' 'true true' "$(jqb .result.isError) $(jqb .result.structuredContent.retry)"
number 'and when' "$(jqb .result.structuredContent.retry_after_seconds)" -ge 1
like 'the log says why' 'source pg: .*(remaining connection slots|too many clients)' "$(grep -a 'source pg' "$daemon_log")"
unlike 'which is no refusal of the credentials' 'credentials refused' "$(cat "$daemon_log")"
for n in $(seq 20); do call "$key" echo "{\"n\":$n}"; error_code; done | sort | uniq -c | awk '{ print $2 }' >"$work/codes"
is 'so it goes for all' source_unavailable "$(cat "$work/codes")"
call "$key" put '{"n":-1}'
is 'a write too, which then was not made' 'source_unavailable 0' "$(error_code) $(sql shop 'SELECT count(*) FROM seen')"
# The pause doubles from 100 ms to 5 s, and is half of that at least.
most=$((pool * (7 + (SECONDS - begun + 1) / 2)))
number 'the server is asked so often and no more' $(($(in_log 'FATAL:.*\(remaining connection slots\|too many clients\)') - before)) -le $((most + 1))

end_theirs 1
succeeds 'one place is free: it is taken' until_true 30 pool_is 1
end_theirs 11
succeeds 'all are free: the pool comes back to its size' until_true 30 pool_is $pool
is 'by the same processes' "$handlers" "$(child_pids handler | paste -sd' ')"
succeeds 'and they serve' until_true 20 served
unserved=0
for _ in $(seq 20); do served || unserved=$((unserved + 1)); done
is 'all that is asked' 0 $unserved

# The same answer of the server for one role alone.
sql postgres 'ALTER ROLE shop_rw CONNECTION LIMIT 1' >/dev/null
end_ours >/dev/null
succeeds 'a role that may have one connection: it is taken' until_true 30 pool_is 1
sql postgres 'ALTER ROLE shop_rw CONNECTION LIMIT -1' >/dev/null
succeeds 'as soon as it may have more it has' until_true 30 pool_is $pool
unlike 'that is no refusal of the credentials either' 'credentials refused' "$(cat "$daemon_log")"

# ---- all lost at once ------------------------------------------------------

load() { # NAME TOOL
	LOAD_ECHO=n LOAD_OK=$work/$1.ok python3 -B "$lib/load.py" "$port" "$key" "$2" '{"n":%d}' 4 60 1000000 "$work/stop" >"$work/$1" &
	loads+=("$!")
	started+=("$!")
}
busy() { [ "$(journal | wc -l)" -gt "$1" ]; }
# Each is at work again, on every connection of the pool.
well_again() { until_true 30 pool_is $pool && until_true 30 busy $(($(journal | wc -l) + 200)); }
authorised() { in_log 'connection authorized: user=shop_rw'; }
loads=()
rm -f "$work/stop"
before=$(authorised)
load once echo
well_again || not_ok 'the load is under way' 'calls' "$(journal | wc -l)"
# Up for more than a second, a connection that is lost is no failed attempt.
steady() { [ "$(sql postgres "SELECT coalesce(bool_and(now() - backend_start > '1500ms'), false) FROM pg_stat_activity WHERE usename = 'shop_rw'")" = t ]; }
until_true 20 steady
ended=$(end_ours)
is 'all connections are ended under load' $pool "$ended"
succeeds 'the pool is there again' well_again
touch "$work/stop"
wait "${loads[@]}"
note "$(cat "$work/once")"
is 'no caller noticed: each read that was lost was asked again' '{"ok":true}' "$(jq -c '.kinds | map_values(true)' "$work/once")"
is 'for each connection that was lost one was made' "$ended" $(($(authorised) - before))

loads=()
rm -f "$work/stop"
load reads echo
load writes put
before=$(authorised) ended=0
# Three times with a moment between, three times as soon as they are there again.
for round in 1 2 3 4 5 6; do
	well_again || not_ok 'the pool is there again' "$pool connections and calls" "$(ours)"
	[ "$round" -gt 3 ] || until_true 20 steady
	ended=$((ended + $(end_ours)))
done
succeeds 'after six more times the pool is there again' well_again
touch "$work/stop"
wait "${loads[@]}"
note "reads $(cat "$work/reads")"
note "writes $(cat "$work/writes")"
is 'ended again and again: a read is answered well, or told' '' \
    "$(jq -r '.kinds | keys - ["ok", "source_unavailable"] | join(" ")' "$work/reads")"
is 'a write too, or its caller is told that it may have been made' '' \
    "$(jq -r '.kinds | keys - ["ok", "source_unavailable", "internal_error"] | join(" ")' "$work/writes")"
is 'no write was made twice' 0 "$(sql shop 'SELECT count(*) FROM (SELECT n FROM seen GROUP BY n HAVING count(*) > 1) AS x')"
sql shop 'SELECT n FROM seen' | sort >"$work/made"
is 'each write that was answered was made' '' "$(sort "$work/writes.ok" | comm -23 - "$work/made" | head -n 5 | paste -sd' ')"
is 'for each connection that was lost one was made, six times' $ended $(($(authorised) - before))
is 'the handlers are the same processes' "$handlers" "$(child_pids handler | paste -sd' ')"
is 'each call has its record, and its end' 0 "$(journal_count '.outcome == "unknown"')"
daemon_stop
is 'SIGTERM: exit 0' 0 "$daemon_status"
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
