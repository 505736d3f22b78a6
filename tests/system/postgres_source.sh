#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Postgres as a source: types both ways, row-level security that sees the
# caller, read-only by the server, the timeout that cancels in the database,
# lost connections, and the database going away and coming back.

. "$(dirname "$0")/../lib/harness.sh"

postgres_start || die 'a private Postgres starts' running "$(cat "$work/initdb.log" "$work/pg/log" 2>&1 | tail -n 5)"
sql postgres 'CREATE DATABASE shop' >/dev/null
out=$(sql_file shop "$contract/shop.sql") || die 'shop.sql loads in Postgres' 'exit 0' "$out"
ok 'shop.sql loads in Postgres'
cat >"$work/more.sql" <<'EOF'
CREATE ROLE orders_ro LOGIN;
CREATE ROLE orders_rw LOGIN;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO orders_ro, orders_rw;
GRANT INSERT, UPDATE ON orders TO orders_rw;
CREATE TABLE marks (mark text);
GRANT INSERT, SELECT ON marks TO orders_ro;
CREATE FUNCTION leave_mark() RETURNS text LANGUAGE plpgsql AS
	$$ BEGIN INSERT INTO marks VALUES ('was here'); RETURN 'done'; END $$;
CREATE FUNCTION loosen() RETURNS text LANGUAGE plpgsql AS
	$$ BEGIN SET transaction_read_only = off; INSERT INTO marks VALUES ('loosened'); RETURN 'done'; END $$;
CREATE TABLE notes (id int PRIMARY KEY, tenant text, owner text, note text);
INSERT INTO notes VALUES (1, 'acme', 'alice', 'a1'), (2, 'acme', 'bob', 'a2'), (3, 'bauer', 'bert', 'b1');
GRANT SELECT ON notes TO orders_ro;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notes USING (tenant = current_setting('app.tenant', true));
EOF
out=$(sql_file shop "$work/more.sql") || die 'the test tables load' 'exit 0' "$out"

dir=$work/d port=$(free_port) conf=$work/d/pontifex.conf keys=$work/d/keys
mkdir -p "$dir"
handler_writes "$dir"
SHOP_DSN=$(dsn orders_ro shop)
RW_DSN=$(dsn orders_rw shop)
export SHOP_DSN RW_DSN
tool() { # NAME SOURCE LINES...
	printf 'tool %s {\n\ttitle "t"\n\tdescription "d"\n\tscope "shop:test:%s"\n\tsource %s\n' \
	    "$1" "$3" "$2"
	shift 3
	printf '\t%s\n' "$@"
	printf '}\n'
}
{
	cat <<EOF
namespace "shop"
listen on 127.0.0.1 port $port
control socket "run/control.sock"
prefork listeners 1 handlers 2
auth {
	keys "keys"
	rate 60000 per minute
}
audit {
	journal "audit"
}
source pg postgres {
	dsn from env "SHOP_DSN"
	connections 2
	timeout 3s
}
source rw postgres {
	dsn from env "RW_DSN"
	connections 1
}
source tenant postgres {
	dsn from env "SHOP_DSN"
	connections 1
	session "app.tenant" caller.claim.tenant
	session "app.owner" caller.owner
}
EOF
	tool order_lookup pg read 'param order_id integer required { minimum 1 }' \
	    'sql "SELECT o.id, c.name AS customer, o.status, o.total_cents, o.placed_on, o.note
	       FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = :order_id"'
	tool types pg read "sql \"SELECT 7::int2 AS i2, -8::int4 AS i4, 9007199254740991::int8 AS i8,
	    9007199254740993::int8 AS big, -9007199254740993::int8 AS neg, 12.50::numeric AS num, 0.5::float8 AS f8,
	    1.5::float4 AS f4, true AS yes, false AS no, 'text \\\"q\\\" é'::text AS t, 'v'::varchar AS v,
	    '2026-02-28'::date AS d, '2026-02-28 12:34:56.789+00'::timestamptz AS tz,
	    '7e57a1b2-0000-4000-8000-000000000001'::uuid AS u, '{\\\"a\\\": [1, null, \\\"x\\\"]}'::json AS j,
	    '{\\\"b\\\": 1.50}'::jsonb AS jb, '\\\\x00ff10'::bytea AS b, NULL::int AS n, ''::text AS empty\""
	tool echo pg read 'param i integer' 'param n number' 'param s string' 'param b boolean' 'param d date' \
	    'param t timestamp' 'param u uuid' 'param e enum { "red", "green" }' \
	    'sql "SELECT :i AS i, :n AS n, :s AS s, :b AS b, :d AS d, :t AS t, :u AS u, :e AS e"'
	tool pattern pg read 'param code string required { pattern "[A-Z]{2}[0-9]+" }' 'sql "SELECT :code AS code"'
	tool caller pg read 'sql "SELECT :caller.owner AS owner, :caller.id AS id"'
	tool many pg read 'sql "SELECT i FROM generate_series(1, 100) AS i"' 'limit rows 3'
	tool wide pg read "sql \"SELECT i, repeat('x', 100000) AS x FROM generate_series(1, 100) AS i\""
	tool marks pg read 'sql "SELECT leave_mark() AS m"'
	tool loosen pg read 'sql "SELECT loosen() AS m"'
	tool sleep pg read 'sql "SELECT pg_sleep(60) AS slept"' 'timeout 500ms'
	tool fails pg read 'param x integer required' 'sql "SELECT 1 / :x AS q"'
	tool twins pg read 'sql "SELECT 1 AS a, 2 AS a"'
	tool broken pg read 'sql "SELECT nosuch FROM nowhere"'
	tool notes tenant read "sql \"SELECT id, note, current_setting('app.owner') AS me FROM notes ORDER BY id\""
	tool order_note rw write 'writes' 'param order_id integer required' 'param note string' \
	    'sql "UPDATE orders SET note = :note WHERE id = :order_id RETURNING id, note"'
} >"$conf"
alice=$(key_add -o alice -s shop:test:read -a tenant=acme)
bert=$(key_add -o bert -s shop:test:read -a tenant=bauer)
nobody=$(key_add -o nemo -s shop:test:read)
writer=$(key_add -o wilma -s shop:test:write)
daemon_start || die 'the daemon starts with Postgres sources' ready
row() { jqb ".result.structuredContent.rows[0]${1:-}"; }

call "$alice" order_lookup '{"order_id":1003}'
is 'a row as from SQLite' \
    '{"id":1003,"customer":"Bauer & Söhne","status":"open","total_cents":99999,"placed_on":"2026-10-30","note":"Grüße — \"quoted\" \\ back"}' "$(row)"
call "$alice" types '{}'
for pair in 'i2 7' 'i4 -8' 'i8 9007199254740991' 'big "9007199254740993"' 'neg "-9007199254740993"' \
    'num "12.50"' 'f8 0.5' 'f4 1.5' 'yes true' 'no false' 'v "v"' 'd "2026-02-28"' 'n null' 'empty ""' \
    'u "7e57a1b2-0000-4000-8000-000000000001"' 'j {"a":[1,null,"x"]}' 'b "AP8Q"'; do
	is "type of ${pair%% *}" "${pair#* }" "$(printf %s "$body" | jq -c ".result.structuredContent.rows[0].${pair%% *}")"
done
like 'a timestamp with a zone' '^2026-02-28[T ]12:34:56\.789(000)?(Z|\+00(:00)?)$' "$(row .tz)"
is 'text with a quote' 'text "q" é' "$(row .t)"
like 'jsonb stays JSON' '^\{"b":1\.50?\}$' "$(row .jb)"
call "$alice" echo '{"i":-42,"n":2.5,"s":"it'\''s; DROP TABLE orders --","b":true,"d":"2026-01-31","t":"2026-01-31T10:00:00Z","u":"7E57A1B2-0000-4000-8000-000000000001","e":"red"}'
is 'arguments travel bound, with their types' \
    '[-42,2.5,"it'\''s; DROP TABLE orders --",true,"2026-01-31","7e57a1b2-0000-4000-8000-000000000001","red"]' \
    "$(row '| [.i,.n,.s,.b,.d,.u,.e]')"
call "$alice" echo '{}'
is 'arguments that are not given are NULL' '[null,null,null,null,null,null,null,null]' \
    "$(row '| [.i,.n,.s,.b,.d,.t,.u,.e]')"
for bad in '{"d":"2026-02-30"}' '{"t":"yesterday"}' '{"u":"7e57"}' '{"e":"blue"}' '{"b":"true"}' '{"n":"1"}' '{"s":5}' '{"i":1e400}'; do
	call "$alice" echo "$bad"
	is "does not fit its type: $bad" invalid_input "$(error_code)"
done
call "$alice" pattern '{"code":"DE123"}'
is 'what fits the pattern' DE123 "$(row .code)"
call "$alice" pattern '{"code":"xDE123"}'
is 'the pattern is over the whole string' invalid_input "$(error_code)"
call "$alice" caller '{}'
is 'the caller is bound from the identity' "[\"alice\",\"$(key_id "$alice")\"]" "$(row '| [.owner,.id]')"
call "$alice" many '{}'
is 'limit rows truncates and says so' '[3,true]' \
    "$(jqb '.result.structuredContent | [.row_count, .truncated]')"
call "$alice" wide '{}'
is 'the byte cap truncates and says so' true "$(jqb .result.structuredContent.truncated)"
number 'and holds' "${#body}" -lt 2200000

# -- read-only, by the server
for tool in marks loosen; do
	call "$alice" $tool '{}'
	is "a reading tool cannot write ($tool)" 'true internal_error' "$(jqb .result.isError) $(error_code)"
done
is 'nothing was written' 0 "$(sql shop 'SELECT count(*) FROM marks')"
unlike 'the answer tells nothing of the database' 'read-only|transaction|marks' "$(jqb .result)"
call "$writer" order_note '{"order_id":1001,"note":"mine"}'
is 'a tool that writes, writes' '[{"id":1001,"note":"mine"}]' "$(jqb .result.structuredContent.rows)"
is 'in the database' mine "$(sql shop 'SELECT note FROM orders WHERE id = 1001')"
is 'with two records' 2 "$(journal_count '.tool_name == "order_note"')"

# -- errors of the statement
call "$alice" fails '{"x":0}'
is 'an argument that the statement cannot take: the caller'\''s error' invalid_input "$(error_code)"
unlike 'no detail' 'division' "$body"
call "$alice" fails '{"x":1}'
is 'the connection is good after it' 1 "$(row .q)"
call "$alice" twins '{}'
is 'two columns of one name' internal_error "$(error_code)"
call "$alice" broken '{}'
is 'a statement that cannot be prepared' internal_error "$(error_code)"
call "$alice" order_lookup '{"order_id":1002}'
is 'does not spoil the others' 4550 "$(row .total_cents)"

# -- row-level security
call "$alice" notes '{}'
is 'row-level security sees the caller' '[[1,"alice"],[2,"alice"]]' "$(jqb '[.result.structuredContent.rows[] | [.id, .me]]')"
call "$bert" notes '{}'
is 'and the next one, on the same connection' '[[3,"bert"]]' "$(jqb '[.result.structuredContent.rows[] | [.id, .me]]')"
call "$nobody" notes '{}'
is 'a caller without the claim is refused' '403 scope_denied' "$status $(error_code)"
# Many at once, mixed: nobody sees another's rows.
mixed=$(for i in $(seq 40); do
	case $((i % 2)) in 0) k=$alice want=2 ;; *) k=$bert want=1 ;; esac
	(curl -s -m 20 -H "Authorization: Bearer $k" -H 'Content-Type: application/json' --data-binary \
	    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"notes","arguments":{}}}' \
	    "http://127.0.0.1:$port/mcp" | jq -r ".result.structuredContent.row_count == $want") &
done; wait)
is 'forty at once, mixed: nobody sees what is another'\''s' 40 "$(grep -c true <<<"$mixed")"

# -- timeout
active() { sql shop "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"; }
call "$alice" sleep '{}'
is 'over its time: timeout' 'true timeout true' "$(jqb .result.isError) $(error_code) $(jqb .result.structuredContent.retry)"
cancelled() { [ "$(active)" = 0 ]; }
until_true 5 cancelled
is 'and cancelled in the database' 0 "$(active)"
call "$alice" order_lookup '{"order_id":1001}'
is 'the next call is served' 1001 "$(row .id)"

# -- lost connections, a database that goes and comes
sql shop "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('orders_ro','orders_rw')" >/dev/null
served() { call "$alice" order_lookup '{"order_id":1001}'; [ "$(row .id)" = 1001 ]; }
until_true 15 served
is 'lost connections are made again' 1001 "$(row .id)"
postgres_stop immediate
call "$alice" order_lookup '{"order_id":1001}'
gone() { call "$alice" order_lookup '{"order_id":1001}'; [ "$(error_code)" = source_unavailable ]; }
until_true 10 gone
is 'no database: source_unavailable' 'true source_unavailable true' \
    "$(jqb .result.isError) $(error_code) $(jqb .result.structuredContent.retry)"
number 'with when to try again' "$(jqb .result.structuredContent.retry_after_seconds)" -ge 1
postgres_start || die 'Postgres starts again' running
until_true 20 served
is 'the database is back: served' 1001 "$(row .id)"
is 'each of these calls has its record' 0 "$(journal | jq -s '[.[] | select(.outcome == "unknown")] | length')"
daemon_stop
is 'SIGTERM: exit 0' 0 "$daemon_status"
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
