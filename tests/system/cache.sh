#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Results that are kept: for whom, how long, across handlers, and until who
# writes says that they are stale.

. "$(dirname "$0")/../lib/harness.sh"

postgres_start || die 'a private Postgres starts' running "$(cat "$work/initdb.log" "$work/pg/log" 2>&1 | tail -n 5)"
sql postgres 'CREATE DATABASE shop' >/dev/null
cat >"$work/cache.sql" <<'EOF'
CREATE TABLE prices (item text PRIMARY KEY, price int);
INSERT INTO prices VALUES ('tea', 5), ('jam', 7);
CREATE ROLE shop_rw LOGIN;
GRANT ALL ON prices TO shop_rw;
EOF
out=$(sql_file shop "$work/cache.sql") || die 'the tables load' 'exit 0' "$out"

dir=$work/d port=$(free_port) conf=$work/d/pontifex.conf keys=$work/d/keys
mkdir -p "$dir"
handler_writes "$dir"
SHOP_DSN=$(dsn shop_rw shop)
export SHOP_DSN
cat >"$conf" <<EOF
namespace "shop"
listen on 127.0.0.1 port $port
control socket "run/control.sock"
prefork listeners 1 handlers 3
auth {
	keys "keys"
	rate 60000 per minute
}
audit {
	journal "audit"
}
source pg postgres {
	dsn from env "SHOP_DSN"
	connections 4
	timeout 5s
}
EOF
tool() { # NAME LINES...
	printf 'tool %s {\n\tdescription "d"\n\tscope "shop:test:read"\n\tsource pg\n' "$1"
	shift
	printf '\t%s\n' "$@"
	printf '}\n'
}
# clock_timestamp() differs with each time that the database is asked.
{
	tool own 'param n number' 'param s string' 'cache 60s' \
	    'sql "SELECT clock_timestamp() AS at, :n AS n, :s AS s, :caller.owner AS me"'
	tool common 'param item string' 'cache shared 60s' 'sql "SELECT clock_timestamp() AS at, :item AS item"'
	tool brief 'cache 300ms' 'sql "SELECT clock_timestamp() AS at"'
	tool plain 'sql "SELECT clock_timestamp() AS at"'
	tool price 'param item string required' 'cache shared 60s' 'sql "SELECT price FROM prices WHERE item = :item"'
	tool set_price writes 'param item string required' 'param price integer required' 'invalidates price, common' \
	    'sql "UPDATE prices SET price = :price WHERE item = :item RETURNING price"'
	tool slow 'param s number required' 'cache shared 60s' 'timeout 4s' \
	    'sql "SELECT clock_timestamp() AS at, pg_sleep(:s)::text AS slept"'
	tool fails 'cache shared 60s' 'sql "SELECT 1 / (random() * 0)::int AS q"'
	tool huge 'cache shared 60s' 'limit bytes 1M' "sql \"SELECT clock_timestamp() AS at, repeat('x', 700000) AS x\""
} >>"$conf"
alice=$(key_add -o alice -s shop:test:read)
bob=$(key_add -o bob -s shop:test:read)
daemon_start || die 'the daemon starts' ready
field() { jqb ".result.structuredContent.rows[0].$1"; }
at() { # KEY TOOL ARGUMENTS: when the database was asked
	call "$@"
	field at
}
# Every handler has a cache of its own: ask until one that was asked before answers.
hit() { # KEY TOOL ARGUMENTS: whether one of eight calls is a hit
	local n
	for n in 1 2 3 4 5 6 7 8; do call "$@"; done
	[ "$(journal | jq -c "select(.tool_name == \"$2\" and .cache_hit)" | wc -l)" -gt 0 ]
}
distinct() { # COUNT KEY TOOL ARGUMENTS: how many answers differ
	local n count=$1
	shift
	for n in $(seq "$count"); do at "$@"; done | sort -u | wc -l
}

number 'at most one query a handler' "$(distinct 12 "$alice" common '{"item":"tea"}')" -le 3
number 'no cache, every call asks' "$(distinct 5 "$alice" plain '{}')" -eq 5
hits() { journal | jq -c "select(.tool_name == \"$1\" and .cache_hit == $2)" | wc -l; }
number 'hits are recorded as such' "$(hits common true)" -ge 9
is 'and nothing else is' 12 $(($(hits common true) + $(hits common false)))
is 'a hit names its source, the source took no time' '["pg",0]' \
    "$(journal | jq -c 'select(.tool_name == "common" and .cache_hit) | [.data_source, .source_us]' | sort -u)"
is 'and the rows and bytes that it returned' 1 \
    "$(journal | jq -c 'select(.tool_name == "common") | [.rows, .bytes > 0]' | sort -u | wc -l)"

# What was asked, not how it was written.
distinct 9 "$alice" own '{"n":1,"s":"x"}' >/dev/null
before=$(hits own false)
call "$alice" own '{"s":"x","n":1.0}'
call "$alice" own '{ "n" : 1e0, "s" : "\u0078" }'
is 'the same arguments in other words ask nobody' "$before" "$(hits own false)"
is 'but hit' 1 "$(field n)"
call "$alice" own '{"n":1}'
is 'other arguments ask' $((before + 1)) "$(hits own false)"
is 'null is not the empty string' null "$(field s)"
call "$alice" own '{"n":1,"s":""}'
is 'nor the other way round' '""' "$(jqb '.result.structuredContent.rows[0].s | tojson')"

# Nobody gets what is another's.
number 'of two callers none sees the other'\''s' "$(for n in $(seq 12); do
	call "$alice" own '{"n":7}'; echo "a $(field me)"; call "$bob" own '{"n":7}'; echo "b $(field me)"
done | sort -u | wc -l)" -eq 2
number 'what is shared is shared' "$(distinct 12 "$bob" common '{"item":"tea"}')" -le 3

# Its time.
first=$(at "$alice" brief '{}')
sleep 0.4
isnt 'after its time it is asked again' "$first" "$(at "$alice" brief '{}')"

# A write that invalidates: no handler, at once.
call "$alice" price '{"item":"tea"}'
for n in $(seq 9); do call "$alice" price '{"item":"tea"}'; done
stale=0
for price in $(seq 101 130); do
	call "$alice" set_price "{\"item\":\"tea\",\"price\":$price}"
	for n in 1 2 3; do
		call "$alice" price '{"item":"tea"}'
		[ "$(field price)" = "$price" ] || stale=$((stale + 1))
	done
done
is 'what a write has invalidated is never served' 0 "$stale"
number 'while it was cached in between' "$(hits price true)" -ge 6
# The control: the same without its being told.
sql shop "UPDATE prices SET price = 1 WHERE item = 'tea'" >/dev/null
call "$alice" price '{"item":"tea"}'
for n in 1 2 3 4; do call "$alice" price '{"item":"tea"}'; done
like 'behind our back it is served for its time' '^(130|1)$' "$(field price)"

# Who asks the same while it is asked waits for that answer.
pids=()
for n in $(seq 24); do
	(
		out=$work work=$work/slow$n
		mkdir "$work"
		call "$alice" slow '{"s":1}'
		field at >"$out/slow.$n"
	) </dev/null >/dev/null 2>&1 &
	pids+=($!)
done
wait "${pids[@]}"
number 'questions at once share a query, one for each handler' "$(cat "$work"/slow.* | sort -u | wc -l)" -le 3
is 'and all are answered' 24 "$(cat "$work"/slow.* | grep -c T)"
# The first one runs out of time: nobody else's answer is that.
pids=()
for n in $(seq 6); do
	(out=$work work=$work/late$n; mkdir "$work"; call "$alice" slow '{"s":60}'; error_code >"$out/out.$n") </dev/null >/dev/null 2>&1 &
	pids+=($!)
done
wait "${pids[@]}"
is 'all that wait get an answer of their own' 6 "$(cat "$work"/out.* | grep -c -E 'timeout|overloaded|source_unavailable')"
is 'and each a record' 6 "$(journal | jq -c 'select(.tool_name == "slow" and .outcome != "ok")' | wc -l)"

# An error is not kept; what is too large is not kept, and served.
for n in 1 2 3 4; do call "$alice" fails '{}'; done
is 'errors are not kept' 0 "$(hits fails true)"
call "$alice" huge '{}'
is 'and comes whole' 700000 "$(jqb '.result.structuredContent.rows[0].x | length')"
number 'what is too large is asked for anew' "$(distinct 4 "$alice" huge '{}')" -eq 4


# A handler that dies may have written something that nobody was told.
call "$alice" price '{"item":"jam"}'
for n in $(seq 9); do call "$alice" price '{"item":"jam"}'; done
sql shop "UPDATE prices SET price = 77 WHERE item = 'jam'" >/dev/null
handler=$(child_pids handler | head -n 1)
kill -9 "$handler"
until_true 10 process_gone "$handler"
until_true 10 daemon_ready
fresh() { call "$alice" price '{"item":"jam"}'; [ "$(field price)" = 77 ]; }
until_true 5 fresh
wrong=0
for n in $(seq 9); do fresh || wrong=$((wrong + 1)); done
is 'its death makes everything stale' 0 "$wrong"
like 'status tells of the caches' 'cache [0-9]+ bytes, [0-9]+ hits' "$(ctl status -v)"
is 'the chain holds' 0 "$(audit_verify >/dev/null; echo $?)"
daemon_stop

# What may not be.
bad() { # NAME SED-EXPRESSION MESSAGE
	sed "$2" "$conf" >"$work/bad.conf"
	out=$("$build/pontifexd" -n -f "$work/bad.conf" 2>&1) && not_ok "$1" 'exit 1' 'exit 0'
	like "$1" "$3" "$out"
}
bad 'a tool that writes is not cached' '/^tool set_price/,/^}/s/\twrites/\twrites\n\tcache 10s/' 'set_price.* writes: its results cannot be cached'
bad 'what depends on the caller is not shared' '/^tool own/,/^}/s/cache 60s/cache shared 60s/' 'own.*cache shared would show'
bad 'a tool that reads invalidates nothing' '/^tool plain/,/^}/s/\tscope/\tinvalidates price\n\tscope/' 'plain.*invalidates nothing'
bad 'what is invalidated is cached' 's/invalidates price, common/invalidates plain/' 'plain.*not cached'
bad 'what is invalidated is there' 's/invalidates price, common/invalidates nosuch/' 'nosuch.*not declared'
done_testing
