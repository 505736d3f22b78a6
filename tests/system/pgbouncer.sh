#!/bin/bash
# SPDX-License-Identifier: ISC
#
# PgBouncer in transaction mode between us and the database: a session is
# another's by the next transaction.  What reads cannot write, what runs too
# long is stopped, and nobody sees with the eyes of who asked before.

. "$(dirname "$0")/../lib/harness.sh"

postgres_start || die 'a private Postgres starts' running "$(cat "$work/initdb.log" "$work/pg/log" 2>&1 | tail -n 5)"
sql postgres 'CREATE DATABASE shop' >/dev/null
cat >"$work/shop.sql" <<'EOF'
CREATE ROLE shop_rw LOGIN;
CREATE TABLE notes (id int PRIMARY KEY, tenant text, note text);
INSERT INTO notes VALUES (1, 'acme', 'a1'), (2, 'acme', 'a2'), (3, 'bauer', 'b1');
CREATE TABLE marks (id int PRIMARY KEY, n int);
INSERT INTO marks VALUES (1, 0);
GRANT ALL ON notes, marks TO shop_rw;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notes USING (tenant = current_setting('app.tenant', true));
CREATE FUNCTION leave_mark() RETURNS text LANGUAGE plpgsql AS
	$$ BEGIN UPDATE marks SET n = n + 100; RETURN 'done'; END $$;
-- Whoever is careless: it sets for the session, not for the transaction.
CREATE FUNCTION careless() RETURNS text LANGUAGE sql AS
	$$ SELECT set_config('app.tenant', 'bauer', false) || set_config('statement_timeout', '1', false)
	       || set_config('default_transaction_read_only', 'off', false) $$;
EOF
out=$(sql_file shop "$work/shop.sql") || die 'the tables load' 'exit 0' "$out"

bouncer=$(command -v pgbouncer || echo /usr/sbin/pgbouncer)
bouncer_port=$(free_port)
mkdir -p "$work/bouncer"
chmod 755 "$work/bouncer"
cat >"$work/bouncer/ini" <<EOF
[databases]
shop = host=$pg_dir port=$pg_port dbname=shop user=shop_rw pool_size=2
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
[ "$(id -u)" -ne 0 ] || chown -R postgres "$work/bouncer"
bouncer_start() {
	as_postgres "$bouncer" -q "$work/bouncer/ini" </dev/null >"$work/bouncer.out" 2>&1 &
	started+=("$!")
	until_true 10 bouncer_up || return 1
	started+=("$(cat "$work/bouncer/pid")")
}
bounced() { "$pg_bin/psql" -X -q -A -t -h 127.0.0.1 -p "$bouncer_port" -U shop_rw -d shop -c "$1" 2>&1 </dev/null; }
bouncer_up() { [ "$(bounced 'SELECT 1')" = 1 ]; }
bouncer_start || die 'PgBouncer starts' running "$(cat "$work/bouncer.out" "$work/bouncer/log")"
like 'PgBouncer is one' 'PgBouncer [0-9]' "$("$bouncer" --version)"

dir=$work/d port=$(free_port) conf=$work/d/pontifex.conf keys=$work/d/keys
mkdir -p "$dir"
SHOP_DSN="host=127.0.0.1 port=$bouncer_port user=shop_rw dbname=shop"
export SHOP_DSN
tool() { # NAME SOURCE LINES...
	printf 'tool %s {\n\tdescription "d"\n\tscope "shop:test:read"\n\tsource %s\n' "$1" "$2"
	shift 2
	printf '\t%s\n' "$@"
	printf '}\n'
}
{
	cat <<EOF
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
source pg postgres {
	dsn from env "SHOP_DSN"
	pooler transaction
	connections 6
	timeout 5s
}
source tenant postgres {
	dsn from env "SHOP_DSN"
	pooler transaction
	connections 6
	session "app.tenant" caller.claim.tenant
}
EOF
	tool echo pg 'param n integer required' 'sql "SELECT :n AS n, :n * 2 AS twice"'
	tool shown pg "sql \"SELECT current_setting('statement_timeout') AS timeout, current_setting('transaction_read_only') AS ro,
	    coalesce(current_setting('app.tenant', true), '') AS tenant\"" 'timeout 3s'
	tool notes tenant 'sql "SELECT id FROM notes ORDER BY id"'
	tool careless pg 'sql "SELECT careless() AS c"'
	tool sneaky pg 'sql "SELECT leave_mark() AS m"'
	tool nap pg 'timeout 500ms' 'sql "SELECT pg_sleep(20)::text AS s"'
	tool mark pg writes 'param s number required' 'sql "UPDATE marks SET n = n + 1 FROM pg_sleep(:s) WHERE id = 1 RETURNING n"'
	tool twins pg 'sql "SELECT 1 AS a, 2 AS a"'
	tool long_nap pg 'sql "SELECT pg_sleep(5)::text AS s"'
} >"$conf"
alice=$(key_add -o alice -s shop:test:read -a tenant=acme -r 600000)
bert=$(key_add -o bert -s shop:test:read -a tenant=bauer -r 600000)
daemon_start || die 'the daemon starts with a pooler before its database' ready
row() { jqb ".result.structuredContent.rows[0]${1:-}"; }

call "$alice" echo '{"n":21}'
is 'a read' '{"n":21,"twice":42}' "$(row)"
call "$alice" shown '{}'
is 'its timeout and that it only reads are told in each transaction' '{"timeout":"3s","ro":"on","tenant":""}' "$(row)"
is 'and stay in none' '0' "$(bounced 'SHOW statement_timeout')"
call "$alice" sneaky '{}'
is 'what reads cannot write' internal_error "$(error_code)"
is 'nothing was written' 0 "$(sql shop 'SELECT n FROM marks')"
call "$alice" twins '{}'
is 'two columns of one name' internal_error "$(error_code)"
call "$alice" mark '{"s":0}'
is 'what writes, writes' 1 "$(row .n)"
call "$alice" nap '{}'
is 'over its time' timeout "$(error_code)"
active() { sql shop "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"; }
idle() { [ "$(active)" = 0 ]; }
until_true 5 idle
is 'it is stopped in the database' 0 "$(active)"

# -- what one leaves behind, the next must not meet
for n in 1 2 3 4 5 6; do call "$alice" careless '{}'; done
is 'a careless function is served' false "$(jqb .result.isError)"
is "what it set for the session is gone with it" 0 "$(bounced "SHOW statement_timeout")"
call "$alice" shown '{}'
is 'nor does a caller meet it' '{"timeout":"3s","ro":"on","tenant":""}' "$(row)"
mixed=$(for i in $(seq 60); do
	case $((i % 3)) in 0) k=$alice want='[1,2]' ;; 1) k=$bert want='[3]' ;; *) k=$alice want=careless ;; esac
	(if [ "$want" = careless ]; then t=careless; else t=notes; fi
	curl -s -m 20 -H "Authorization: Bearer $k" -H 'Content-Type: application/json' --data-binary \
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"$t\",\"arguments\":{}}}" \
	    "http://127.0.0.1:$port/mcp" | jq -c "if \"$want\" == \"careless\" then (.result.isError | not) else
	    ([.result.structuredContent.rows[].id] == ${want/careless/null}) end") &
done; wait)
is 'sixty at once on two sessions: each sees its own rows' 60 "$(grep -c true <<<"$mixed")"

# -- the client hangs up: the pooler finds the session that is meant
cat >"$work/wait.py" <<'EOF'
import http.client, json, sys, time
port, key, tool = int(sys.argv[1]), sys.argv[2], sys.argv[3]
c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
c.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
    "params": {"name": tool, "arguments": {}, "_meta": meta}}), {"Authorization": "Bearer " + key,
    "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool})
time.sleep(60)
EOF
python3 "$work/wait.py" "$port" "$alice" long_nap </dev/null >/dev/null 2>&1 &
caller=$!
started+=("$caller")
busy() { [ "$(active)" = 1 ]; }
until_true 10 busy
kill -9 "$caller"
wait "$caller" 2>/dev/null
until_true 3 idle
is 'a cancel goes through the pooler' 0 "$(active)"
ended() { [ "$(journal_count '.tool_name == "long_nap"')" = 1 ]; }
until_true 5 ended
is 'and is told' cancelled "$(journal | jq -r 'select(.tool_name == "long_nap") | .outcome')"

# -- the pooler is restarted under load
load() { python3 "$lib/load.py" "$port" "$alice" echo '{"n":4}' 4 "$@"; }
kill -QUIT "$(cat "$work/bouncer/pid")"	# a newer one waits for its clients after SIGTERM
gone() { ! kill -0 "$(cat "$work/bouncer/pid" 2>/dev/null || echo 999999999)" 2>/dev/null; }
until_true 10 gone
down() { call "$alice" echo '{"n":1}'; [ "$(error_code)" = source_unavailable ]; }
succeeds 'without the pooler a call says that the source is away' until_true 10 down
bouncer_start || not_ok 'PgBouncer starts again' running "$(tail -n 3 "$work/bouncer/log")"
served() { call "$alice" echo '{"n":1}'; [ "$(row .n)" = 1 ]; }
succeeds 'it comes back by itself' until_true 20 served
is 'the chain holds' 0 "$(audit_verify >/dev/null; echo $?)"
daemon_stop
done_testing
