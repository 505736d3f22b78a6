#!/bin/bash
# SPDX-License-Identifier: ISC
#
# /health/ready: what the daemon knows of itself, for a load balancer.  It
# asks no source, tells nothing of the inside, needs no credential, and says
# 503 as long as calls would fail.

. "$(dirname "$0")/../lib/harness.sh"

postgres_start || die 'a private Postgres starts' running "$(cat "$work/initdb.log" "$work/pg/log" 2>&1 | tail -n 5)"
sql postgres 'CREATE DATABASE shop' >/dev/null
sql shop 'CREATE ROLE app LOGIN; CREATE ROLE other LOGIN' >/dev/null
dir=$work/d port=$(free_port) conf=$work/d/pontifex.conf keys=$work/d/keys
mkdir -p "$dir"
handler_writes "$dir"
SHOP_DSN=$(dsn app shop)
OTHER_DSN=$(dsn other shop)
export SHOP_DSN OTHER_DSN
cat >"$conf" <<EOF
namespace "shop"
listen on 127.0.0.1 port $port
control socket "run/control.sock"
prefork listeners 2 handlers 2
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
	connect timeout 1s
}
source other postgres {
	dsn from env "OTHER_DSN"
	connections 1
	connect timeout 1s
}
tool one {
	description "d"
	scope "shop:test:read"
	source pg
	timeout 2s
	sql "SELECT 1 AS n"
}
tool two {
	description "d"
	scope "shop:test:read"
	source other
	timeout 2s
	sql "SELECT 2 AS n"
}
EOF
key=$(key_add -o alice -s shop:test:read -r 600000)
daemon_start || die 'the daemon starts' ready
health() { # PATH: status and body
	curl -s -m 5 -w ' %{http_code}' "http://127.0.0.1:$port/health/$1"
}
# Any listener may be asked.
all_say() { # 200|503
	local n
	for n in 1 2 3 4 5 6 7 8; do [ "$(curl -s -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/health/ready")" = "$1" ] || return 1; done
}
ready='{"status":"ok"} 200' unready='{"status":"unavailable"} 503'
is 'without a credential' "$ready" "$(health ready)"
# The count of statements that the database has seen.
seen() { sql postgres 'SELECT pg_stat_clear_snapshot()' >/dev/null; sql postgres "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname = 'shop'"; }
records=$(journal | wc -l)
backends() { sql postgres "SELECT string_agg(pid::text || backend_start, ' ' ORDER BY pid) FROM pg_stat_activity WHERE usename IN ('app', 'other')"; }
changes() { sql postgres "SELECT max(state_change) FROM pg_stat_activity WHERE usename IN ('app', 'other')"; }
before=$(backends) changed=$(changes)
for n in $(seq 50); do health ready >/dev/null; done
is 'asked often, it asks no source' "$before $changed" "$(backends) $(changes)"
is 'and leaves no record' "$records" "$(journal | wc -l)"

# -- one source of two
sql postgres "ALTER ROLE other NOLOGIN" >/dev/null
sql postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'other'" >/dev/null
away() { call "$key" two '{}'; [ "$(error_code)" = source_unavailable ]; }
succeeds 'one source is away' until_true 20 away
all_say 200 && ok 'which is no reason to send nobody here' || not_ok 'which is no reason to send nobody here' 200 "$(health ready)"
sql postgres "ALTER ROLE other LOGIN" >/dev/null

# -- none is left
postgres_stop immediate
until_true 20 all_say 503
is 'no source is up' "$unready" "$(health ready)"
is 'the daemon lives' '{"status":"ok"} 200' "$(health live)"
sleep 1
is 'with nobody calling, still' "$unready" "$(health ready)"
postgres_start || not_ok 'Postgres starts again' running "$(tail -n 3 "$work/pg/log")"
until_true 20 all_say 200
is 'it is back, and nobody had to call to find out' "$ready" "$(health ready)"

# -- it stands still
postmaster=$(head -n 1 "$pg_dir/data/postmaster.pid")
# shellcheck disable=SC2046
still() { kill "-$1" "$postmaster" $(cat "/proc/$postmaster/task/$postmaster/children"); }
still STOP
ask_all() {
	local n callers=()
	for n in 1 2 3 4 5 6; do
		call "$key" one '{}' & callers+=("$!")
		call "$key" two '{}' & callers+=("$!")
	done
	wait "${callers[@]}"
	all_say 503
}
until_true 40 ask_all
is 'a database that stands still is found out by calls' "$unready" "$(health ready)"
still CONT
until_true 20 all_say 200
is 'and is back' "$ready" "$(health ready)"

# -- our own
none_left() {
	local p
	for p in $(child_pids handler); do kill -KILL "$p"; done
	[ "$(health ready)" = "$unready" ]
}
succeeds 'no handler' until_true 20 none_left
until_true 20 all_say 200
is 'handlers are made again' "$ready" "$(health ready)"
# Nobody calls, and nobody has to be refused for it to be known.
segment=$(ls "$dir"/audit/*.jsonl) before=$(journal_count '.kind != "event"')
mv "$segment" "$work/away"
until_true 20 all_say 503
is 'a journal that cannot be written' "$unready" "$(health ready)"
sleep 1.5
is 'is so until it is mended' "$unready" "$(health ready)"
mv "$work/away" "$segment"
until_true 20 all_say 200
is 'it can be again: nobody had to call to find out' "$ready" "$(health ready)"
is 'the trail says so, once' '[1,true]' "$(journal | jq -cs '[.[] | select(.event == "journal_failed") | .detail.seconds] | [length, .[0] >= 1]')"
is 'and has nothing else of it' "$before" "$(journal_count '.kind != "event"')"
call "$key" one '{}'
is 'calls are served and recorded' 200 "$status"
auditd=$(child_pids auditd)
kill -STOP "$auditd"
refused() { call "$key" one '{}'; [ "$status" = 503 ]; }
call_timeout=8
succeeds 'what cannot be recorded is refused' until_true 30 refused
# Each listener knows it from what it saw refused.
nobody() { refused; [ "$(health ready)" = "$unready" ]; }
succeeds 'and nobody is sent here' until_true 60 nobody
kill -CONT "$auditd"
until_true 20 all_say 200
is 'auditd goes on' "$ready" "$(health ready)"
is 'the chain holds' 0 "$(audit_verify >/dev/null; echo $?)"
daemon_stop
done_testing
