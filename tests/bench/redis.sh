#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What Redis adds, and what a cached answer saves: the same SELECT of one row
# in 100,000 with a durable journal, without Redis, with its limits, from this
# node's cache, and both; in turns, the middle of BENCH_ROUNDS.  With few
# connections for latency, with many for throughput.

. "$(dirname "$0")/../lib/harness.sh"
here=$top/tests/bench

postgres_start 'fsync = on' 'synchronous_commit = on' 'shared_buffers = 256MB' ||
    die 'a private Postgres starts' running "$(tail -n 5 "$work/initdb.log" 2>&1)"
sql postgres 'CREATE DATABASE bench' >/dev/null
out=$(sql_file bench "$here/setup.sql") || die 'the tables load' 'exit 0' "$out"
BENCH_DSN=$(dsn bench bench)
rport=$(free_port)
redis-server --port "$rport" --bind 127.0.0.1 --save '' --appendonly no --dir "$work" >"$work/redis.log" 2>&1 </dev/null &
started+=("$!")
REDIS_URL=redis://127.0.0.1:$rport REDIS_KEY=$(openssl rand -hex 32)
export BENCH_DSN REDIS_URL REDIS_KEY

declare -A ports key_of
ours() { # NAME CACHE-LINE [STATEMENT...]
	local name=$1 cache=$2
	shift 2
	dir=$work/$name port=$(free_port) conf=$work/$name/pontifex.conf keys=$work/$name/keys
	mkdir -p "$dir"
	{
		printf 'namespace "bench"\nlisten on 127.0.0.1 port %s\ncontrol socket "run/control.sock"\n' "$port"
		printf 'prefork listeners %s handlers %s\n' "${BENCH_LISTENERS:-1}" "${BENCH_HANDLERS:-1}"
		printf 'auth {\n\tkeys "keys"\n}\naudit {\n\tjournal "audit"\n}\n'
		[ $# -eq 0 ] || printf '%s\n' "$@"
		printf 'source pg postgres {\n\tdsn from env "BENCH_DSN"\n\tconnections %s\n}\n' "${BENCH_CONNECTIONS:-2}"
		printf 'tool item_lookup {\n\tdescription "Look up one item."\n\tscope "bench:item:read"\n\tsource pg\n'
		printf '\tparam item_id integer required { minimum 1 }\n\t%s\n' "$cache"
		printf '\tsql "SELECT id, name, price_cents, quantity, note FROM items WHERE id = :item_id"\n}\n'
	} >"$conf"
	key=$(key_add -o bench -s bench:item:read -r 1000000000)
	daemon_start || die "$name starts" ready
	modern_call "$key" item_lookup '{"item_id":5}'
	[ "$(jqb '.result.structuredContent.rows[0].name')" = 'item number 5' ] || die "$name answers" 'item number 5' "$status $body"
	ports[$name]=$port key_of[$name]=$key
}
ours plain ''
ours limited '' 'redis from env "REDIS_URL"'
ours cached 'cache 1h'
ours cached-limited 'cache 1h' 'redis from env "REDIS_URL"' 'redis key from env "REDIS_KEY"'

# run NAME CONNECTIONS: "requests-a-second p50-us"
run() {
	ERA=modern KEY=${key_of[$1]} TOOL=item_lookup wrk -t1 -c"$2" -d"${BENCH_SECONDS:-4}" -s "$here/post.lua" --latency \
	    "http://127.0.0.1:${ports[$1]}/mcp" 2>/dev/null | sed -n 's/^RESULT //p' |
	    jq -r 'if .bad + .lost > 0 then error("answers were lost") else "\(.requests * 1000000 / .duration_us | floor) \(.p50_us)" end'
}
names='plain limited cached cached-limited'
for c in 4 64; do
	for round in $(seq "${BENCH_ROUNDS:-3}"); do
		for name in $names; do run "$name" "$c" >>"$work/$name.$c"; done
	done
done
middle() { # NAME CONNECTIONS FIELD
	cut -d' ' -f"$3" "$work/$1.$2" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
printf '%-16s %14s %10s %14s %10s\n' '' 'req/s, 4 conn' 'p50 us' 'req/s, 64 conn' 'p50 us'
for name in $names; do
	printf '%-16s %14s %10s %14s %10s\n' "$name" "$(middle "$name" 4 1)" "$(middle "$name" 4 2)" "$(middle "$name" 64 1)" \
	    "$(middle "$name" 64 2)"
done
for c in 4 64; do
	awk -v c="$c" -v a="$(middle plain "$c" 2)" -v b="$(middle limited "$c" 2)" -v d="$(middle plain "$c" 1)" -v e="$(middle cached "$c" 1)" \
	    'BEGIN { printf "%d connections: Redis limits add %.0f %% to p50; cached answers %.2f x the uncached\n", c, 100 * (b - a) / a, e / d }'
done
done_testing
