#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A reload with live sources: statements are prepared at them before anything is
# in force; a call that is under way ends where it began; a source that is down
# holds up what is new of it and nothing else.

. "$(dirname "$0")/../lib/harness.sh"

postgres_start || die 'a private Postgres starts' running "$(tail -n 5 "$work/initdb.log")"
sql postgres 'CREATE DATABASE shop' >/dev/null
out=$(sql_file shop "$contract/shop.sql") || die 'shop.sql loads' 'exit 0' "$out"
sql shop 'CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader' >/dev/null

dir=$work/d port=$(free_port) conf=$work/d/pontifex.conf keys=$work/d/keys
mkdir -p "$dir"
handler_writes "$dir"
dsn reader shop >"$dir/dsn"
chmod 600 "$dir/dsn"
tool() { # NAME SOURCE SQL
	printf 'tool %s {\n\tdescription "d"\n\tscope "shop:test:%s"\n\tsource %s\n\tparam id integer\n\tsql "%s"\n}\n' "$1" "$1" "$2" "$3"
}
base() {
	cat <<EOF
namespace "shop"
listen on 127.0.0.1 port $port
control socket "run/control.sock"
prefork listeners 2 handlers 2
auth {
	keys "keys"
	rate 60000 per minute
}
audit {
	journal "audit"
}
source pg postgres {
	dsn from file "dsn"
	connect timeout 2s
}
EOF
	tool lookup pg 'SELECT id, status FROM orders WHERE id = :id'
	tool slow pg 'SELECT :id AS id, pg_sleep(3)'
}
base >"$conf"
key=$(key_add -o alice -s 'shop:test:*')
daemon_start || die 'the daemon starts'
reload() { reload_said=$(ctl reload 2>&1); reload_status=$?; }
until_true 20 eval 'call "$key" lookup "{\"id\":1001}"; [ "$(jqb .result.isError)" = false ]'
is 'a call is answered' '200 false' "$status $(jqb '.result.isError // false')"

# -- what the database refuses
{ base; tool late pg 'SELECT id FROM orders WHERE status = :id'; } >"$conf"
reload
is 'a parameter of another type than the column is refused' 1 "$reload_status"
like 'with the line and the words of the database' "^$conf:[0-9]+: tool \"late\": source \"pg\": .*42883: operator does not exist" "$reload_said"
{ base; tool late pg 'SELECT * FROM later WHERE id = :id'; } >"$conf"
reload
like 'a table that is missing' '42P01: relation "later" does not exist' "$reload_said"
sql shop 'CREATE TABLE later (id bigint, note text); GRANT SELECT ON later TO reader' >/dev/null
reload
is 'is there now' 0 "$reload_status"
call "$key" late '{"id":1}'
is 'and the tool answers' '200 []' "$status $(jqb .result.structuredContent.rows)"
{ base; tool late pg 'SELECT id, id FROM later WHERE id = :id'; } >"$conf"
reload
like 'two columns of one name' 'two of its columns have one name' "$reload_said"

# -- a call that is under way ends where it began
base >"$conf"
old=$(child_pids | tr '\n' ' ')
(call_timeout=20; call "$key" slow '{"id":7}'; echo "$status $(jqb '.result.structuredContent.rows[0].id') $(grep -ic '^connection: close' <<<"$head")" >"$work/slow") &
slow=$!
until_true 10 eval '[ "$(sql postgres "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '\''%pg_sleep%'\'' AND state = '\''active'\'' AND usename = '\''reader'\''")" -ge 1 ]'
reload
is 'a reload does not wait for a call' '0 1' "$reload_status $(kill -0 "$slow" 2>/dev/null && echo 1)"
call "$key" lookup '{"id":1001}'
is 'others are served by the new set' 200 "$status"
wait "$slow"
is 'and it is answered by the old one, which closes the connection' '200 7 1' "$(cat "$work/slow")"
old_gone() { for pid in $old; do [ "$pid" = "$(child_pids auditd)" ] || process_gone "$pid" || return 1; done; }
until_true 20 old_gone
is 'the old set has ended' 6 "$(child_pids | wc -l)"

# -- a source that is down
postgres_stop immediate
reload
is 'a source that is down and stands as before does not hold up a reload' 0 "$reload_status"
like 'which is said' 'warning: source "pg": cannot be reached, its statements are not checked' "$reload_said"
sed -i 's/connect timeout 2s/connect timeout 3s/' "$conf"
reload
is 'one that was changed does' 1 "$reload_status"
like 'and is named with its line' "^$conf:[0-9]+: source \"pg\": cannot be reached: " "$reload_said"
unlike 'not with what it is reached by' 'user=reader' "$reload_said"
base >"$conf"
mv "$dir/dsn" "$dir/dsn.away"
reload
is 'a secret that is missing' 1 "$reload_status"
like 'is named with its line' "^$conf:[0-9]+: secret in $dir/dsn: No such file" "$reload_said"
mv "$dir/dsn.away" "$dir/dsn"
call "$key" lookup '{"id":1001}'
is 'a call says that the source is away' source_unavailable "$(error_code)"
postgres_start
until_true 20 eval 'call "$key" lookup "{\"id\":1001}"; [ "$(jqb .result.isError)" = false ]'
is 'until it is back' '200 1001' "$status $(jqb '.result.structuredContent.rows[0].id')"

# -- a password that was changed
sql shop "CREATE ROLE other LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO other" >/dev/null
dsn other shop >"$dir/dsn"
reload
is 'secrets are read again' "0 other" "$reload_status $(sql postgres "SELECT DISTINCT usename FROM pg_stat_activity WHERE usename IN ('reader', 'other') ORDER BY 1" | head -n 1)"

# -- under load
lookups() { journal_count '.kind == "call" and .tool_name == "lookup"'; }
lookups_before=$(lookups)
python3 "$lib/load.py" "$port" "$key" lookup '{"id":1001}' 4 30 1000000 "$work/stop" >"$work/load.json" &
load=$!
for ((i = 0; i < 20; i++)); do
	reload
	[ "$reload_status" -eq 0 ] || break
done
touch "$work/stop"
wait "$load"
note "$(cat "$work/load.json")"
is '20 reloads under load with a live source' '0 ["ok"] 0' "$reload_status $(jq -c '.kinds | keys' "$work/load.json") $(jq .unanswered "$work/load.json")"
like 'the trail is whole' '^audit verify: ok' "$(audit_verify | tail -n 1)"
is 'a record a call' "$(jq .sent "$work/load.json")" "$(($(lookups) - lookups_before))"
done_testing
