#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A source and the one that stands in for it: a real primary and its
# streaming replica.  Reads go on while the primary is killed, stopped or
# stands still; writes have one place and no other.  Then one source that names
# both hosts, and a promotion.

. "$(dirname "$0")/../lib/harness.sh"

postgres_start 'wal_level = replica' 'max_wal_senders = 4' 'hot_standby = on' ||
    die 'a private Postgres starts' running "$(cat "$work/initdb.log" "$work/pg/log" 2>&1 | tail -n 5)"
sql postgres 'CREATE DATABASE shop' >/dev/null
out=$(sql_file shop "$contract/shop.sql") || die 'shop.sql loads' 'exit 0' "$out"
sql shop 'CREATE ROLE shop_rw LOGIN; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO shop_rw' >/dev/null

# The replica: a base backup of the primary, that follows it.
replica_dir=$work/replica
replica_port=$(free_port)
mkdir -p "$replica_dir"
chmod 755 "$replica_dir"
[ "$(id -u)" -ne 0 ] || chown postgres "$replica_dir"
as_postgres "$pg_bin/pg_basebackup" -h "$pg_dir" -p "$pg_port" -U postgres -D "$replica_dir/data" -R -X stream -c fast \
    >"$work/basebackup.log" 2>&1 </dev/null || die 'a base backup' 'exit 0' "$(cat "$work/basebackup.log")"
{
	echo "port = $replica_port"
	echo "unix_socket_directories = '$replica_dir'"
} | as_postgres tee -a "$replica_dir/data/postgresql.conf" >/dev/null
replica() { # start|stop|promote [MODE]
	local mode=(-m "${2:-fast}")
	[ "$1" != promote ] || mode=()
	as_postgres "$pg_bin/pg_ctl" -D "$replica_dir/data" -l "$replica_dir/log" -w -t 30 "${mode[@]}" "$1" \
	    >/dev/null 2>&1 </dev/null
}
replica start || die 'a replica starts' running "$(tail -n 5 "$replica_dir/log")"
replica_down() { replica stop immediate; }
postmaster() { head -n 1 "$pg_dir/data/postmaster.pid"; }
# Every process of the primary stands still, and goes on.
still() {
	local p
	p=$(postmaster)
	# shellcheck disable=SC2046
	kill "-$1" "$p" $(cat "/proc/$p/task/$p/children")
}

dir=$work/d port=$(free_port) conf=$work/d/pontifex.conf keys=$work/d/keys
mkdir -p "$dir"
handler_writes "$dir"
PRIMARY=$(dsn shop_rw shop)
REPLICA="host=$replica_dir port=$replica_port user=shop_rw dbname=shop"
export PRIMARY REPLICA
cat >"$conf" <<EOF
namespace "shop"
listen on 127.0.0.1 port $port
control socket "run/control.sock"
prefork listeners 1 handlers 1
auth {
	keys "keys"
	rate 600000 per minute
}
audit {
	journal "audit"
}
source main postgres {
	dsn from env "PRIMARY"
	connections 2
	timeout 2s
	connect timeout 1s
	fallback spare
}
source spare postgres {
	dsn from env "REPLICA"
	connections 2
	connect timeout 1s
}
tool where {
	description "d"
	scope "shop:test:read"
	source main
	sql "SELECT pg_is_in_recovery() AS replica"
}
tool slow {
	description "d"
	scope "shop:test:read"
	source main
	timeout 200ms
	sql "SELECT pg_sleep(20)::text AS slept"
}
tool order_note {
	description "d"
	scope "shop:test:write"
	source main
	writes
	param order_id integer required
	param note string required
	sql "UPDATE orders SET note = :note WHERE id = :order_id RETURNING id"
}
EOF
key=$(key_add -o alice -s shop:test:read,shop:test:write)
daemon_start || die 'the daemon starts' ready
on_primary() { [ "$(asks)" = false ]; }
on_replica() { [ "$(asks)" = true ]; }
asks() {
	call "$key" where '{}'
	jqb 'if .result.isError then .result.structuredContent.error_code else .result.structuredContent.rows[0].replica | tostring end'
}
breaker() { ctl status -v | grep -o "source $1: .*breaker [a-z-]*" | grep -o '[a-z-]*$' | sort -u; }
note_to() { call "$key" order_note "{\"order_id\":1001,\"note\":\"$1\"}"; error_code; }

is 'while all is well the first is asked' false "$(asks)"
is 'a write goes there' none "$(note_to one)"

# A load of reads while the primary is killed, and comes back.
cat >"$work/load.py" <<'EOF'
import collections, http.client, json, os, sys, threading
port, key, stop, out = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "where", "arguments": {}}})
head = {"Authorization": "Bearer " + key, "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
seen, lock = collections.Counter(), threading.Lock()
def run():
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    while not os.path.exists(stop):
        c.request("POST", "/mcp", body, head)
        a = c.getresponse()
        j = json.loads(a.read())
        if a.status != 200 or "result" not in j:
            word = "http %d" % a.status
        elif j["result"]["isError"]:
            word = j["result"]["structuredContent"]["error_code"]
        else:
            word = "replica" if j["result"]["structuredContent"]["rows"][0]["replica"] else "primary"
        with lock:
            seen[word] += 1
threads = [threading.Thread(target=run) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
json.dump(seen, open(out, "w"))
EOF
load_start() {
	rm -f "$work/stop" "$work/seen"
	python3 "$work/load.py" "$port" "$key" "$work/stop" "$work/seen" </dev/null >"$work/load.log" 2>&1 &
	load=$!
	started+=("$load")
}
load_stop() {
	: >"$work/stop"
	wait "$load"
}
# answers_of SOURCE: waits until it has given some more to the load.
given() { journal | grep -c "\"tool_name\":\"where\".*\"data_source\":\"$1\""; }
answers_of() {
	local wanted=$(($(given "$1") + 30))
	until_true 20 eval "[ \"\$(given $1)\" -ge $wanted ]"
}
seen() { jq -r ".$1 // 0" "$work/seen"; }
failed() { jq -r 'del(.primary, .replica) | add // 0' "$work/seen"; }

load_start
answers_of main
postgres_stop immediate
until_true 10 on_replica
answers_of spare
load_stop
number 'the primary killed under load: it had answered' "$(seen primary)" -gt 20
number 'then the replica does' "$(seen replica)" -gt 20
is 'and no call failed' 0 "$(failed)"
is 'a write does not fail over' source_unavailable "$(note_to two)"
is 'records name who answered' '["spare"]' "$(journal | jq -c 'select(.tool_name == "where")' | tail -n 3 | jq -sc 'map(.data_source) | unique')"

load_start
answers_of spare
postgres_start
until_true 20 on_primary || not_ok 'the primary is asked again without an operator' primary "$(asks)"
answers_of main
load_stop
is 'nor when it comes back' 0 "$(failed)"
number 'which serves again' "$(seen primary)" -gt 0
wrote() { [ "$(note_to three)" = none ]; }
succeeds 'and writes go on' until_true 10 wrote
is 'in the database' three "$(sql shop 'SELECT note FROM orders WHERE id = 1001')"

# It stands still: nobody knows at first, then the breaker does.
still STOP
load_start
until_true 20 on_replica
is 'a primary that stands still: the breaker opens' open "$(breaker main)"
answers_of spare
load_stop
still CONT
number 'the replica answers meanwhile' "$(seen replica)" -gt 20
number 'few had to wait in vain' "$(failed)" -le 40
succeeds 'it goes on, and is asked again' until_true 30 on_primary
is 'the breaker is closed' closed "$(breaker main)"

# Slow statements of a source that answers are no failures of it.
for n in 1 2 3 4 5 6 7 8; do call "$key" slow '{}'; done
is 'slow statements time out' timeout "$(error_code)"
is 'and open no breaker' closed "$(breaker main)"
is 'nor send anybody else away' false "$(asks)"

# Both are gone: it says so at once, and comes back by itself.
postgres_stop immediate
replica_down
gone() { [ "$(asks)" = source_unavailable ]; }
succeeds 'with both gone a call says so' until_true 20 gone
call "$key" where '{}'
like 'and when to try again' '^[0-9]+$' "$(jqb .result.structuredContent.retry_after_seconds)"
replica start
succeeds 'the replica alone is enough for reads' until_true 30 on_replica
postgres_start
succeeds 'and the first is the first again' until_true 30 on_primary
# -- one source that names both hosts: libpq finds the one that is wanted
daemon_stop
BOTH="host=$pg_dir,$replica_dir port=$pg_port,$replica_port user=shop_rw dbname=shop"
export BOTH
sed -i '/fallback spare/d; /^source spare/,/^}/d; s/dsn from env "PRIMARY"/dsn from env "BOTH"/' "$conf"
BOTH="$BOTH target_session_attrs=read-write"
daemon_start || die 'the daemon starts with two hosts' ready
is 'two hosts, read-write is wanted: the primary' false "$(asks)"
is 'which takes a write' none "$(note_to four)"
# It is gone for good: the replica becomes what it was.
postgres_stop immediate
gone_too() { [ "$(asks)" = source_unavailable ]; }
succeeds 'the replica alone is not what is wanted' until_true 20 gone_too
is 'and the node says that nobody is to be sent' 503 "$(curl -s -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/health/ready")"
replica promote || not_ok 'the replica is promoted' 'exit 0' "$(tail -n 3 "$replica_dir/log")"
wrote_there() { [ "$(note_to five)" = none ]; }
succeeds 'it is promoted: writes go there, without an operator of ours' until_true 30 wrote_there
is 'in its database' five "$("$pg_bin/psql" -X -q -A -t -h "$replica_dir" -p "$replica_port" -U postgres -d shop \
    -c 'SELECT note FROM orders WHERE id = 1001')"
is 'and reads' false "$(asks)"
is 'the chain holds' 0 "$(audit_verify >/dev/null; echo $?)"
daemon_stop
replica_down
done_testing
