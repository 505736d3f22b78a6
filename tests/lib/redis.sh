# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# What the tests of Redis share, after harness.sh: a Postgres, a Redis and
# nodes of their own, and how to be on one of them.

command -v redis-server >/dev/null || die 'redis-server is installed' 'a program' "$(type redis-server 2>&1)"
postgres_start || die 'a private Postgres starts' running "$(tail -n 5 "$work/initdb.log" "$work/pg/log" 2>&1)"
sql postgres 'CREATE DATABASE shop' >/dev/null
cat >"$work/shop.sql" <<'SQL'
CREATE TABLE prices (item text PRIMARY KEY, price int);
INSERT INTO prices VALUES ('tea', 5), ('jam', 7);
CREATE ROLE shop_rw LOGIN;
GRANT ALL ON prices TO shop_rw;
SQL
out=$(sql_file shop "$work/shop.sql") || die 'the tables load' 'exit 0' "$out"
SHOP_DSN=$(dsn shop_rw shop)
REDIS_KEY=$(openssl rand -hex 32)
export SHOP_DSN REDIS_KEY REDIS_URL

# ---- Redis -----------------------------------------------------------------

rport=$(free_port) rdir=$work/redis rpid=
mkdir -p "$rdir"
chmod 755 "$rdir"
rcli() { redis-cli --no-auth-warning -p "$rport" "$@" 2>&1; }
redis_start() { # OPTION...
	redis-server --port "$rport" --bind 127.0.0.1 --save '' --appendonly no --dir "$rdir" "$@" \
	    >>"$rdir/log" 2>&1 </dev/null &
	rpid=$!
	started+=("$rpid")
	until_true 10 redis_answers "$@" || die 'a private Redis starts' PONG "$(tail -n 3 "$rdir/log")"
}
redis_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$rport") 2>/dev/null || [ -S "$rdir/sock" ]; }
redis_stop() {
	kill -KILL "$rpid" 2>/dev/null
	wait "$rpid" 2>/dev/null
}

# ---- nodes -----------------------------------------------------------------

keys=$work/keys
tool() { # NAME LINES...
	printf 'tool %s {\n\tdescription "d"\n\tscope "shop:test:read"\n\tsource pg\n' "$1"
	shift
	printf '\t%s\n' "$@"
	printf '}\n'
}
# node NAME [REDIS-STATEMENT...]: its folder and configuration.
node() {
	dir=$work/$1 port=$(free_port) conf=$work/$1/pontifex.conf
	mkdir -p "$dir"
	chmod 755 "$dir"
	handler_writes "$dir"
	{
		printf 'namespace "shop"\nlisten on 127.0.0.1 port %s\ncontrol socket "run/control.sock"\n' "$port"
		printf 'prefork listeners 1 handlers 1\nauth {\n\tkeys "%s"\n\trate 60000 per minute\n}\n' "$keys"
		printf 'audit {\n\tnode "%s"\n\tjournal "audit"\n}\n' "$1"
		shift
		printf '%s\n' "$@"
		printf 'source pg postgres {\n\tdsn from env "SHOP_DSN"\n\tconnections 4\n\ttimeout 5s\n}\n'
		tool plain 'sql "SELECT clock_timestamp() AS at"'
		tool few 'rate 2 per minute' 'sql "SELECT 1 AS one"'
		tool own 'param n integer' 'cache 60s' \
		    "sql \"SELECT clock_timestamp() AS at, :n AS n, :caller.owner AS me, 'S3NTINEL' || :n AS secret\""
		tool common 'param n integer' 'cache shared 60s' 'sql "SELECT clock_timestamp() AS at, :n AS n"'
		tool brief 'cache 1s' 'sql "SELECT clock_timestamp() AS at"'
		tool price 'param item string required' 'cache shared 60s' 'sql "SELECT price FROM prices WHERE item = :item"'
		tool set_price writes 'param item string required' 'param price integer required' 'invalidates price' \
		    'sql "UPDATE prices SET price = :price WHERE item = :item RETURNING price"'
		tool large 'cache shared 60s' 'limit bytes 1M' "sql \"SELECT clock_timestamp() AS at, repeat('x', 300000) AS x\""
	} >"$conf"
}
# on NAME: what follows is done there.
declare -A node_pid node_port
on() { dir=$work/$1 conf=$work/$1/pontifex.conf port=${node_port[$1]} daemon=${node_pid[$1]} daemon_log=$work/$1/log; }
node_up() { # NAME: its configuration is the last one
	daemon_start || die "node $1 starts" ready
	node_pid[$1]=$daemon node_port[$1]=$port
}
node_down() { on "$1"; daemon_stop; unset "node_pid[$1]"; }
field() { jqb ".result.structuredContent.rows[0].$1"; }
at() { # NODE KEY TOOL ARGUMENTS: when the database was asked
	on "$1"
	shift
	call "$@"
	field at
}
figure() { # NODE NAME: of the table
	on "$1"
	ctl status -v | sed -n "s/^pontifexd_$2 //p"
}
# figure_is TEST NODE NAME OPERATOR NUMBER: the same is told again for a while.
figure_is() {
	if until_true 10 figure_now "${@:2}"; then ok "$1"; else not_ok "$1" "$4 $5" "$(figure "$2" "$3")"; fi
}
figure_now() { [ "$(figure "$1" "$2")" "$3" "$4" ]; }
in_force() { # NODE
	on "$1"
	ctl status -v | grep -c 'redis [a-z]*: in force' | grep -qx "${2:-2}"
}
away() { on "$1"; grep -q 'redis limits: away' <<<"$(ctl status -v)"; }
lines() { grep -c "$2" "$work/$1/log"; }
# ask_many NODE COUNT KEY TOOL ARGUMENTS: the HTTP statuses, counted.
ask_many() {
	local n count=$2
	on "$1"
	shift 2
	for n in $(seq "$count"); do call "$@"; echo "$status"; done | sort | uniq -c | awk '{ printf "%s%s:%s", s, $2, $1; s = " " }'
}

shared=('redis from env "REDIS_URL"' 'redis key from env "REDIS_KEY"')
REDIS_URL=redis://127.0.0.1:$rport
