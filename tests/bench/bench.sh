#!/bin/bash
# SPDX-License-Identifier: ISC
#
# `make bench': pontifexd beside its peers on one private Postgres, the same
# SELECT of one row in 100,000, the same number of connections, in turns.
# pontifexd checks an API key and its scope and answers only what is durably
# recorded; MCP Toolbox does neither; the official TypeScript SDK server does
# both, with an awaited INSERT.  Then the same with tokens.  BENCH_SECONDS and BENCH_ROUNDS say how long.

. "$(dirname "$0")/../lib/harness.sh"
. "$lib/npm.sh"
. "$top/tests/system/oauth/ca.sh"
here=$top/tests/bench

postgres_start 'fsync = on' 'synchronous_commit = on' 'shared_buffers = 256MB' 'max_connections = 100' ||
    die 'a private Postgres starts' running "$(tail -n 5 "$work/initdb.log" 2>&1)"
sql postgres 'CREATE DATABASE bench' >/dev/null
out=$(sql_file bench "$here/setup.sql") || die 'the tables load' 'exit 0' "$out"
out=$(audit_database trail) || die 'auditd/schema.sql loads' 'exit 0' "$out"
role=${AUDIT_ROLE:-pontifex_audit}
sql trail "ALTER ROLE $role LOGIN" >/dev/null
npm_folder "$here/peers" || die 'the npm packages are there' 'npm ci to succeed' "$(tail -n 5 "$modules.log")"

BENCH_DSN=$(dsn bench bench)
AUDIT_DSN=$(dsn "$role" trail)
export BENCH_DSN AUDIT_DSN

# ours NAME AUDIT-LINE [ISSUER]: starts one; sets $daemon, $port, $key.
ours() {
	local issuer=${3:-}
	dir=$work/$1 port=$(free_port) conf=$work/$1/pontifex.conf keys=$work/$1/keys
	mkdir -p "$dir"
	[ -z "$issuer" ] || issuer="issuer \"$issuer\" {
		audience \"bench\"
		jwks \"$issuer/jwks\"
		rate 1000000000 per minute
		allow private
		ca \"$work/ca.pem\"
	}"
	cat >"$conf" <<-EOF
	namespace "bench"
	listen on 127.0.0.1 port $port
	public url "http://127.0.0.1:$port/mcp"
	control socket "run/control.sock"
	prefork listeners ${BENCH_LISTENERS:-1} handlers ${BENCH_HANDLERS:-1}
	auth {
		keys "keys"
		$issuer
	}
	audit {
		journal "audit"
		$2
	}
	source pg postgres {
		dsn from env "BENCH_DSN"
		connections ${BENCH_CONNECTIONS:-2}
	}
	tool item_lookup {
		title "Item lookup"
		description "Look up one item."
		scope "bench:item:read"
		source pg
		param item_id integer required { minimum 1 }
		sql "SELECT id, name, price_cents, quantity, note FROM items WHERE id = :item_id"
	}
	EOF
	key=$(key_add -o bench -s bench:item:read -r 1000000000)
	daemon_start || die "$1 starts" ready
	modern_call "$key" item_lookup '{"item_id":5}'
	[ "$(jqb '.result.structuredContent.rows[0].name')" = 'item number 5' ] ||
	    die "$1 answers" 'item number 5' "$status $body"
}
target() { # NAME PID PORT ERA KEY EXTRA-JSON
	jq -cn --arg name "$1" --argjson pid "$2" --argjson port "$3" --arg era "$4" --arg key "$5" \
	    --argjson extra "$6" '{name: $name, pid: $pid, port: $port, era: $era, key: $key, tool: "item_lookup"} + $extra'
}
wait_answer() { # PORT
	until_true 30 eval "curl -s -m 2 -o /dev/null http://127.0.0.1:$1/"
}
targets=()
ours drained 'postgres from env "AUDIT_DSN"'
targets+=("$(target 'pontifexd (journal, Postgres)' "$daemon" "$port" modern "$key" '{"main":true}')")
ours journal ''
targets+=("$(target 'pontifexd (journal alone)' "$daemon" "$port" modern "$key" '{"main":true}')")

# The same with tokens: one that is remembered, and each request with one that
# is not.  What OpenSSL verifies in a second on this machine is the measure.
test_ca "$work" || die 'certificates are made' 'openssl to succeed' "$(tail -n 5 "$work/openssl.log")"
issuer_port=$(free_port)
issuer=https://127.0.0.1:$issuer_port
mkdir -p "$work/issuer"
remembered=$(sed -n 's/^#define TOKENS_CACHED[^0-9]*\([0-9]*\).*/\1/p' "$top/authd/issuer.h")
python3 -B "$here/tokens.py" "$work/issuer" "$issuer" bench bench:item:read $((remembered + 1000)) ||
    die 'tokens are minted' 'exit 0' "exit $?"
python3 -B "$top/tests/system/oauth/issuer.py" "$issuer_port" "$work/server.pem" "$work/server.key" \
    "$work/issuer" "$work/issuer.log" >"$work/issuer.out" 2>&1 </dev/null &
started+=("$!")
until_true 20 grep -q ready "$work/issuer.out" || die 'the issuer starts' ready "$(tail -n 3 "$work/issuer.out")"
ours tokens '' "$issuer"
token=$(cat "$work/issuer/cached")
until_true 20 eval 'modern_call "$token" item_lookup "{\"item_id\":5}"; [ "$status" = 200 ]' ||
    die 'a token is taken' 200 "$status $body"
verify_rate() { # ALGORITHM PATTERN
	openssl speed -seconds 2 "$1" 2>/dev/null | awk -v row="$2" '$0 ~ row { print $NF }'
}
rs256=$(verify_rate rsa2048 '^rsa 2048') es256=$(verify_rate ecdsap256 'nistp256')
of='pontifexd (journal alone)'
targets+=("$(target 'JWT cached' "$daemon" "$port" modern "$token" "{\"of\":\"$of\",\"least\":0.9}")")
for alg in RS256 ES256; do
	rate=$rs256
	[ "$alg" = RS256 ] || rate=$es256
	targets+=("$(target "JWT uncached, $alg" "$daemon" "$port" modern '' \
	    "{\"of\":\"$of\",\"verify\":$rate,\"tokens\":\"$work/issuer/$alg\",\"remembered\":$remembered}")")
done

toolbox=$modules/node_modules/@toolbox-sdk/server-linux-x64/bin/toolbox
if [ -x "$toolbox" ]; then
	port=$(free_port)
	cat >"$work/tools.yaml" <<-EOF
	sources:
	  pg:
	    kind: postgres
	    host: localhost
	    port: $pg_port
	    user: bench
	    password: unused
	    database: bench
	    queryParams:
	      host: $pg_dir
	tools:
	  item_lookup:
	    kind: postgres-sql
	    source: pg
	    description: Look up one item.
	    parameters:
	      - name: item_id
	        type: integer
	        description: The item number
	    statement: SELECT id, name, price_cents, quantity, note FROM items WHERE id = \$1
	EOF
	"$toolbox" --config "$work/tools.yaml" --port "$port" --log-level WARN --disable-reload \
	    --disable-version-check >"$work/toolbox.log" 2>&1 </dev/null &
	peer=$!
	started+=("$peer")
	wait_answer "$port"
	call '' item_lookup '{"item_id":5}'
	like 'MCP Toolbox answers' 'item number 5' "$(jqb '.result.content[0].text')"
	targets+=("$(target 'MCP Toolbox 1.12.0 (no audit)' "$peer" "$port" legacy '' '{"ratio":2.2,"p99":true}')")
else
	skip 'MCP Toolbox' 'there is none for this machine'
fi

port=$(free_port)
"$node" "$here/peers/sdk_server.mjs" "$modules" "$port" "$pg_dir" "$pg_port" bench-key \
    >"$work/sdk.log" 2>&1 </dev/null &
peer=$!
started+=("$peer")
wait_answer "$port"
modern_call bench-key item_lookup '{"item_id":5}'
is 'the TypeScript SDK server answers' 'item number 5' "$(jqb '.result.structuredContent.rows[0].name')"
targets+=("$(target 'TypeScript SDK 2.4.0 (same duties)' "$peer" "$port" modern bench-key '{"ratio":15}')")
[ "$failed" -eq 0 ] || die 'all answer' 'no failure' "$failed"

printf '%s\n' "${targets[@]}" | jq -s \
    --argjson seconds "${BENCH_SECONDS:-4}" --argjson rounds "${BENCH_ROUNDS:-4}" \
    --argjson postmaster "$(as_postgres head -n 1 "$pg_dir/data/postmaster.pid")" \
    --arg lua "$here/post.lua" --arg pgbench "$pg_bin/pgbench" --arg host "$pg_dir" --arg port "$pg_port" \
    --arg script "$here/items.sql" \
    '{seconds: $seconds, rounds: $rounds, connections: 32, lua: $lua, postmaster: $postmaster, targets: .,
      pgbench: [$pgbench, "-h", $host, "-p", $port, "-U", "bench", "-n", "-M", "prepared",
		"-c", "16", "-j", "2", "-f", $script, "bench"]}' >"$work/plan.json"
python3 "$here/bench.py" <"$work/plan.json" || die 'the measurement runs' 'exit 0' 'a failure'

# What was measured was also recorded.
for name in drained journal tokens; do
	dir=$work/$name
	like "$name: audit verify" ok "$(audit_verify | tail -n 1)"
done
is 'every measured call was answered with its row' 0 \
    "$(sql trail "SELECT count(*) FROM pontifex.audit_calls WHERE outcome <> 'ok'")"
echo "# calls recorded in Postgres: $(sql trail 'SELECT sum(calls) FROM pontifex.audit_calls')"
done_testing
