#!/bin/bash
# SPDX-License-Identifier: ISC
#
# pontifexd -nn: every statement is described by the live sources, what they
# refuse has its line, and nothing is served, recorded or run.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
check() { said=$("$build/pontifexd" -nn -f "$conf" 2>"$work/err"); code=$?; errors=$(cat "$work/err"); }

# -- SQLite
check
is 'a good file on SQLite' '0 configuration ok' "$code $(tail -n 1 <<<"$said")"
like 'what a tool takes and gives' '^order_lookup: ok: order_id integer -> id [A-Za-z]+, customer TEXT, status TEXT' "$said"
like 'also one that writes' '^order_cancel: ok: reason string, order_id integer -> ' "$said"
is 'nothing is recorded' '' "$(ls "$dir/audit" 2>/dev/null)"
is 'no key file is made' '' "$(ls "$keys" 2>/dev/null)"
is 'no order was cancelled' 0 "$(sqlite3 "$dir/shop.db" "SELECT count(*) FROM orders WHERE id = 1001 AND status = 'cancelled'")"
cat >>"$conf" <<'EOF'
tool bad {
	description "d"
	scope "shop:order:read"
	source shop
	sql "SELECT id,
	    no_column FROM orders"
}
EOF
check
is 'a statement that SQLite refuses' 1 "$code"
line=$(grep -n 'sql "SELECT id,$' "$conf" | cut -d: -f1)
like 'has its line and the words of SQLite' "^$conf:$line: tool \"bad\": source \"shop\": its statement is refused: no such column: no_column" "$errors"
like 'the good ones are described all the same' '^order_lookup: ok: ' "$said"
unlike 'the file is not called good' 'configuration ok' "$said"
is '-n does not ask' '0 configuration ok' "$("$build/pontifexd" -n -f "$conf" >"$work/out" 2>&1; echo "$? $(cat "$work/out")")"
mv "$dir/shop.db" "$dir/away.db"
check
is 'a file that is missing' 1 "$code"
like 'is a source that cannot be reached' "^$conf:[0-9]+: source \"shop\": cannot be reached: " "$errors"
mv "$dir/away.db" "$dir/shop.db"

# -- Postgres
if postgres_start; then
	sql postgres 'CREATE DATABASE shop' >/dev/null
	sql_file shop "$contract/shop.sql" >/dev/null
	sql shop "CREATE ROLE reader LOGIN; CREATE TABLE kinds (id bigint, small smallint, exact numeric, day date, at timestamptz,
	    u uuid, b boolean, j jsonb, t text, v varchar(9), s timestamp);
	    GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; GRANT SELECT ON kinds TO reader" >/dev/null
	SHOP_DSN="$(dsn reader shop) password=sentinel-of-the-dsn"
	export SHOP_DSN
	begin() {
		sed -n '1,/^source/p' "$contract/embedded.conf" | sed "s/port 8080/port $port/; s/^source .*/source pg postgres {/" >"$conf"
		printf '\tdsn from env "SHOP_DSN"\n\tconnect timeout 3s\n}\n' >>"$conf"
	}
	tool() { # NAME TYPE SQL
		printf 'tool %s {\n\tdescription "d"\n\tscope "shop:test:%s"\n\tsource pg\n\tparam x %s\n\tsql "%s"\n}\n' "$1" "$1" "$2" "$3" >>"$conf"
	}
	begin
	tool good integer 'SELECT id, small, exact, day, at, u, b, j, t, v, s FROM kinds WHERE id = :x'
	tool small integer 'SELECT small FROM kinds WHERE small = :x'
	tool exact number 'SELECT 1 AS n FROM kinds WHERE exact > :x'
	tool varchar string 'SELECT 1 AS n FROM kinds WHERE v = :x'
	tool cast string 'SELECT 1 AS n FROM kinds WHERE day = :x::date'
	tool day date 'SELECT 1 AS n FROM kinds WHERE at >= :x'
	tool plain timestamp 'SELECT 1 AS n FROM kinds WHERE s >= :x'
	tool who string 'SELECT :caller.owner AS owner, :x AS x'
	check
	is 'what the server takes with the declared types is good' '0 configuration ok' "$code $(tail -n 1 <<<"$said")"
	like 'the types of all columns' '^good: ok: x bigint -> id bigint, small smallint, exact numeric, day date, at timestamptz, u uuid, b boolean, j jsonb, t text, v varchar, s timestamp$' "$said"
	like 'a value of the caller' '^who: ok: caller.owner text, x text -> owner text, x text$' "$said"
	begin
	mismatches='late|string|date|day >= :x
uuid|string|uuid|u = :x
text|integer|text|t = :x
number|boolean|bigint|id = :x
flag|integer|boolean|b = :x'
	while IFS='|' read -r name type _ where; do
		tool "$name" "$type" "SELECT 1 AS n FROM kinds WHERE $where"
	done <<<"$mismatches"
	check
	is 'a mismatch is an error' 1 "$code"
	while IFS='|' read -r name type takes _; do
		line=$(awk -v n="tool $name {" '$0 == n { on = 1 } on && /param x/ { print NR; exit }' "$conf")
		like "$type for $takes: the line of the param, and both types" \
		    "^$conf:$line: tool \"$name\": source \"pg\": param x is declared $type and its statement takes $takes: refused: 42883: " "$errors"
	done <<<"$mismatches"
	begin
	tool twice integer 'SELECT id, id FROM kinds WHERE id = :x'
	check
	like 'two columns of one name' "^$conf:[0-9]+: tool \"twice\": .*two of its columns have one name" "$errors"
	begin
	tool lost integer 'SELECT 1 AS n FROM lost WHERE id = :x'
	check
	like 'a table that is not there' 'its statement is refused: 42P01: relation "lost" does not exist' "$errors"
	begin
	tool good integer 'SELECT id FROM kinds WHERE id = :x'
	sed -i 's/dsn from env "SHOP_DSN"/dsn from credential "shop"/' "$conf"
	check
	like 'a credential by hand: where the unit has it' \
	    'from credential "shop": CREDENTIALS_DIRECTORY is not set: .*/run/credentials/pontifexd\.service' "$errors"
	mkdir -m 700 "$work/credentials"
	(umask 077; echo "$SHOP_DSN" >"$work/credentials/shop")
	export CREDENTIALS_DIRECTORY=$work/credentials
	check
	is 'with that folder it is asked as in service' '0 configuration ok' "$code $(tail -n 1 <<<"$said")"
	unset CREDENTIALS_DIRECTORY
	begin
	tool good integer 'SELECT id FROM kinds WHERE id = :x'
	postgres_stop immediate
	check
	is 'a server that is down' 1 "$code"
	like 'is named with the line of its source' "^$conf:[0-9]+: source \"pg\": cannot be reached: " "$errors"
	unlike 'no secret is told' 'sentinel-of-the-dsn' "$said$errors"
	unset SHOP_DSN
	check
	is 'a secret that is missing' 1 "$code"
	like 'is named' 'from env "SHOP_DSN": the variable is not set' "$errors"
else
	skip 'Postgres' 'no server'
fi
done_testing
