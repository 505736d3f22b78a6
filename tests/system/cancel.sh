#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A call that nobody waits for any more: its statement is stopped in the
# database, its slot is free at once, the trail says who ended it, and no
# neighbour of it loses an answer or gets another's.

. "$(dirname "$0")/../lib/harness.sh"

postgres_start || die 'a private Postgres starts' running "$(cat "$work/initdb.log" "$work/pg/log" 2>&1 | tail -n 5)"
sql postgres 'CREATE DATABASE shop' >/dev/null
sql shop "CREATE ROLE shop_rw LOGIN; CREATE TABLE marks (id int PRIMARY KEY, n int); INSERT INTO marks VALUES (1, 0), (2, 0);
    GRANT ALL ON marks TO shop_rw" >/dev/null
dir=$work/d port=$(free_port) conf=$work/d/pontifex.conf keys=$work/d/keys
mkdir -p "$dir"
sqlite3 "$dir/small.db" 'CREATE TABLE t (id integer)'
handler_writes "$dir" "$dir/small.db"
SHOP_DSN=$(dsn shop_rw shop)
export SHOP_DSN
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
source pg postgres {
	dsn from env "SHOP_DSN"
	connections 2
	timeout 28s
}
source small sqlite "small.db" {
	timeout 28s
}
EOF
tool() { # NAME SOURCE LINES...
	printf 'tool %s {\n\tdescription "d"\n\tscope "shop:test:read"\n\tsource %s\n' "$1" "$2"
	shift 2
	printf '\t%s\n' "$@"
	printf '}\n'
}
{
	tool nap pg 'sql "SELECT pg_sleep(27)::text AS s"'
	tool brief_nap pg 'timeout 700ms' 'sql "SELECT pg_sleep(27)::text AS s"'
	tool shared pg 'cache shared 60s' 'sql "SELECT pg_sleep(1.5)::text AS s, clock_timestamp() AS at"'
	tool echo pg 'param n integer required' 'sql "SELECT :n AS n FROM pg_sleep(0.002)"'
	tool mark pg writes 'param id integer required' 'param s number required' \
	    'sql "UPDATE marks SET n = n + 1 FROM pg_sleep(:s) WHERE id = :id RETURNING n"'
	tool endless small "sql \"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) AS n FROM c\""
	tool one small 'sql "SELECT 1 AS n"'
} >>"$conf"
key=$(key_add -o alice -s shop:test:read -r 600000)
daemon_start || die 'the daemon starts' ready

cat >"$work/clients.py" <<'EOF'
import collections, http.client, json, os, random, sys, threading, time
port, key, act = int(sys.argv[1]), sys.argv[2], sys.argv[3]
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
def ask(c, modern, tool, arguments, n):
    head = {"Authorization": "Bearer " + key, "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream"}
    params = {"name": tool, "arguments": arguments}
    if modern:
        params["_meta"] = META
        head |= {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool}
    else:
        head["MCP-Protocol-Version"] = "2025-11-25"
    c.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": params}), head)
def connection():
    return http.client.HTTPConnection("127.0.0.1", port, timeout=60)
def wait():                             # until it is killed, which closes its connection
    c = connection()
    ask(c, sys.argv[4] == "modern", sys.argv[5], json.loads(sys.argv[6]), 1)
    while True:
        time.sleep(1)
seen, lock = collections.Counter(), threading.Lock()
def client(number):
    c, rnd = connection(), random.Random(number)
    for i in range(150):
        n = number * 1000 + i
        ask(c, True, "echo", {"n": n}, n)
        if rnd.random() < 0.2:
            c.sock.settimeout(rnd.random() * 0.004 + 0.0001)
            try:
                c.sock.recv(1)
            except OSError:
                pass
            c.close()
            word = "left"
        else:
            a = c.getresponse()
            j = json.loads(a.read())
            if a.status != 200 or "result" not in j or j["result"]["isError"]:
                word = json.dumps(j)[:200]
            elif j["id"] != n or j["result"]["structuredContent"]["rows"] != [{"n": n}]:
                word = "swapped"
            else:
                word = "right"
        with lock:
            seen[word] += 1
def hammer():
    threads = [threading.Thread(target=client, args=(k,)) for k in range(1, 17)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    print(json.dumps(seen))
{"wait": wait, "hammer": hammer}[act]()
EOF
active() { sql shop "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename = 'shop_rw'"; }
busy() { [ "$(active)" -ge 1 ]; }
idle() { [ "$(active)" = 0 ]; }
backends() { sql shop "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity WHERE usename = 'shop_rw'"; }
callers=()
ask() { # ERA TOOL ARGUMENTS: a client that waits
	python3 "$work/clients.py" "$port" "$key" wait "$@" </dev/null >/dev/null 2>&1 &
	callers+=("$!")
	started+=("$!")
}
hang_up() { # All of them, without a word.
	local pid
	for pid in "${callers[@]}"; do
		kill -9 "$pid"
		wait "$pid" 2>/dev/null
	done
	callers=()
}
ask_and_hang_up() { # ERA TOOL ARGUMENTS COMMAND...: when the command says so
	ask "$1" "$2" "$3"
	shift 3
	until_true 20 "$@" || not_ok 'the call is under way' 'it is' "$(active)"
	hang_up
}
in_flight() { [ "$(ctl status -v | sed -n 's/.*source pg:.*, \([0-9]*\) in flight.*/\1/p')" = "$1" ]; }
records() { journal | jq -c "select(.tool_name == \"$1\" and .kind != \"intent\")"; }
last_of() { records "$1" | tail -n 1; }
ended() { [ "$(records "$1" | wc -l)" -ge "$2" ]; }
said() { last_of "$1" | jq -r '"\(.outcome) \(.reason)"'; }

# -- a read
before=$(backends)
ask_and_hang_up modern nap '{}' busy
until_true 5 idle
is 'the client hangs up: the statement is stopped' 0 "$(active)"
until_true 5 ended nap 1
is 'the trail says that it was the client' 'cancelled cancelled' "$(said nap)"
number 'long before its end' "$(last_of nap | jq .response_ms)" -lt 20000
is 'no row went anywhere' '0 0' "$(last_of nap | jq -r '"\(.rows) \(.bytes)"')"
is 'the connection is what it was' "$before" "$(backends)"
modern_call "$key" brief_nap '{}'
is 'the deadline' timeout "$(error_code)"
until_true 5 idle
is 'stops it as well' 0 "$(active)"
is 'and is told apart' 'timeout source_timeout' "$(said brief_nap)"

# -- slots: more than there are connections, all given up
for n in 1 2 3 4 5 6; do ask modern nap '{}'; done
until_true 10 in_flight 6 || not_ok 'six are in flight' 6 "$(ctl status -v | grep 'source pg')"
hang_up
until_true 10 idle
is 'six of them on two connections: all are stopped' 0 "$(active)"
call "$key" echo '{"n":5}'
is 'and a call is served at once' 5 "$(jqb '.result.structuredContent.rows[0].n')"
until_true 5 ended nap 7
is 'each has its record' 7 "$(records nap | jq -s 'map(select(.outcome == "cancelled")) | length')"

# -- the revisions before 2026-07-28
ask_and_hang_up legacy nap '{}' busy
until_true 5 idle
is 'an answer that nobody can get any more is not computed, whatever the revision' 0 "$(active)"
post "$key" '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}' -H 'MCP-Protocol-Version: 2025-11-25'
is 'notifications/cancelled is taken' 202 "$status"

# -- writes
ask_and_hang_up modern mark '{"id":1,"s":25}' busy
until_true 5 idle
until_true 5 ended mark 1
is 'a write that is given up' 'cancelled cancelled' "$(said mark)"
is 'is taken back by the database' 0 "$(sql shop 'SELECT n FROM marks WHERE id = 1')"
ask_and_hang_up legacy mark '{"id":2,"s":1.5}' busy
until_true 10 ended mark 2
is 'before 2026-07-28 a lost connection is no cancel of a write' ok "$(last_of mark | jq -r .outcome)"
is 'it is done' 1 "$(sql shop 'SELECT n FROM marks WHERE id = 2')"

# -- a query that others wait for
ask modern shared '{}'
until_true 20 busy
call "$key" shared '{}' &
second=$!
sleep 0.3
hang_up
wait "$second"
until_true 10 ended shared 2
is 'who waits for the same query has its answer, who hung up has not' '["cancelled","ok"]' \
    "$(records shared | jq -sc 'map(.outcome) | sort')"

# -- SQLite, which blocks
handler=$(child_pids handler)
spent() { awk '{ print $14 }' "/proc/$handler/stat"; }
ticks=$(spent)
computes() { [ "$(spent)" -gt $((ticks + 20)) ]; }
ask_and_hang_up modern endless '{}' computes
until_true 10 ended endless 1
is 'SQLite: cut' 'cancelled cancelled' "$(said endless)"
call "$key" one '{}'
is 'and the process goes on' 1 "$(jqb '.result.structuredContent.rows[0].n')"

# -- many, some of whom hang up
seen=$(python3 "$work/clients.py" "$port" "$key" hammer </dev/null 2>&1)
number 'many at once, of whom some hang up: these left' "$(jq -r '.left // 0' <<<"$seen")" -gt 50
is 'and every other had the answer to its own question' '{}' "$(jq -c 'del(.left, .right)' <<<"$seen")"
until_true 10 idle
is 'nothing is left running' 0 "$(active)"
succeeds 'nor in the pool' until_true 5 in_flight 0
note "$seen, $(records echo | jq -s 'map(select(.outcome == "cancelled")) | length') cancelled"
is 'no call is without its end' 0 "$(journal_count '.outcome == "unknown"')"
is 'the chain holds' 0 "$(audit_verify >/dev/null; echo $?)"
daemon_stop
done_testing
