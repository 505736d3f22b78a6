#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Two nodes behind HAProxy, one Redis, one Postgres for data and trail, one key
# file: a limit is one limit, a result is asked for once, a revocation is
# everybody's, each trail is its own.  A node that is killed loses no record, a
# trail database that is away holds nobody up, and without Redis both serve.

. "$(dirname "$0")/../lib/harness.sh"
command -v haproxy >/dev/null || { skip 'several nodes' 'no haproxy here'; done_testing; }
. "$lib/redis.sh"

audit_database trail >/dev/null || die 'the schema of the trail loads' 'exit 0' failed
sql trail 'ALTER ROLE pontifex_audit LOGIN' >/dev/null
sql trail 'CREATE ROLE reader LOGIN IN ROLE pontifex_auditor' >/dev/null
# What the source is asked stands in its log.
sql shop "ALTER ROLE shop_rw SET log_statement = 'all'" >/dev/null

# ---- HAProxy ---------------------------------------------------------------

# balance NAME LINE...: an HAProxy of its own; sets $haproxy.
balance() {
	{
		printf 'defaults\n\ttimeout connect 2s\n\ttimeout client 60s\n\ttimeout server 40s\n'
		printf '%s\n' "${@:2}"
	} >"$work/$1.cfg"
	haproxy -db -f "$work/$1.cfg" >>"$work/$1.out" 2>&1 </dev/null &
	haproxy=$!
	started+=("$haproxy")
}
# The trail of node b goes by a way of its own, which can be cut.
way=$(free_port)
way_open() {
	balance way "listen trail" "	mode tcp" "	bind 127.0.0.1:$way" "	server pg unix@$pg_dir/.s.PGSQL.$pg_port"
	way_pid=$haproxy
}
way_close() { kill -KILL "$way_pid"; wait "$way_pid" 2>/dev/null; }
way_open

redis_start
node_of() { # NAME AUDIT-DSN
	node "$1" "${shared[@]}" 'trust forwarded from "127.0.0.1"'
	sed -i 's/^\tjournal "audit"$/&\n\tpostgres from env "AUDIT_DSN"/' "$conf"
	AUDIT_DSN=$2
	export AUDIT_DSN
	node_up "$1"
}
direct=$(dsn pontifex_audit trail)
by_way="host=127.0.0.1 port=$way user=pontifex_audit dbname=trail sslmode=disable gssencmode=disable"
alice=$(key_add -o alice -s shop:test:read)
six=$(key_add -o six -s shop:test:read -r 6)
four=$(key_add -o four -s shop:test:read -r 4)
gone=$(key_add -o gone -s shop:test:read)
node_of a "$direct"
node_of b "$by_way"
until_true 10 in_force a || not_ok 'Redis is in force on a' 'two lines' "$(ctl status -v)"
until_true 10 in_force b || not_ok 'Redis is in force on b' 'two lines' "$(ctl status -v)"
front=$(free_port)
server() { echo "	server $1 127.0.0.1:${node_port[$1]} check inter 200ms fall 2 rise 1"; }
balance front 'frontend mcp' '	mode http' "	bind 127.0.0.1:$front" '	option forwardfor' '	default_backend nodes' \
    'backend nodes' '	mode http' '	balance roundrobin' '	option httpchk' \
    '	http-check send meth GET uri /health/ready ver HTTP/1.1 hdr Host 127.0.0.1' '	http-check expect status 200' \
    '	retries 3' '	option redispatch 1' "$(server a)" "$(server b)"
through() { port=$front; call "$@"; }
served() { through "$alice" plain '{}'; [ "$status" = 200 ]; }
until_true 20 served || die 'HAProxy leads to the nodes' 200 "$status $body $(cat "$work/front.out")"

trail() { sql trail "$1"; }
# The rows of a condition, when the journals are drained.
rows_are() { [ "$(trail "SELECT coalesce(sum(calls), 0) FROM pontifex.audit_calls WHERE $2")" = "$1" ]; }
both_served() { # OWNER: calls that each node had
	trail "SELECT string_agg(node || ':' || n, ' ' ORDER BY node) FROM
	    (SELECT node, sum(calls) AS n FROM pontifex.audit_calls WHERE owner_id = '$1' GROUP BY node) AS x"
}

# ---- what is shared --------------------------------------------------------

got=$(for _ in $(seq 12); do through "$six" plain '{}'; echo "$status"; done | sort | uniq -c | awk '{ printf "%s:%s ", $2, $1 }')
like 'a limit of six is six over both nodes, not twelve' '^200:[67] 429:[56] $' "$got"
until_true 20 rows_are 12 "owner_id = 'six'" || not_ok 'each of them is in the trail' 12 "$(both_served six)"
is 'and both nodes had their part' 'a:6 b:6' "$(both_served six)"

asked() { grep -ac 'AS secret' "$pg_dir/log"; }
before=$(asked)
first=$(at a "$alice" own '{"n":42}')
is 'what node a asked for node b has' "$first" "$(at b "$alice" own '{"n":42}')"
is 'the source was asked once' $((before + 1)) "$(asked)"
until_true 20 rows_are 2 "tool_name = 'own'"
is 'and the trail says which was which' 'a:false b:true' \
    "$(trail "SELECT string_agg(node || ':' || cache_hit::text, ' ' ORDER BY node) FROM pontifex.audit_calls WHERE tool_name = 'own'")"

port=$front
call "$gone" plain '{}'
is 'a key works before it is revoked' 200 "$status"
begun=$(date +%s%N)
"$build/pontifexctl" key revoke -F "$keys" "$(key_id "$gone")"
refused_by() { port=${node_port[$1]}; call "$gone" plain '{}'; [ "$status" = 401 ]; }
succeeds 'the revocation in the shared file is in force on a' until_true 10 refused_by a
succeeds 'and on b' until_true 10 refused_by b
note "in force on both after $((($(date +%s%N) - begun) / 1000000)) ms"

# ---- each trail is its own -------------------------------------------------

verify_trail() { "$build/pontifexctl" audit verify -J -p "$(dsn reader trail)" "$@"; }
drained() { # NODE: all of its journal is in the table
	[ "$(on "$1"; journal | wc -l)" = "$(trail "SELECT count(*) FROM pontifex.audit WHERE node = '$1'")" ]
}
until_true 20 drained a || not_ok 'the journal of a is drained' 'as many rows' "$(trail 'SELECT node, count(*) FROM pontifex.audit GROUP BY 1')"
until_true 20 drained b || not_ok 'the journal of b is drained' 'as many rows' "$(trail 'SELECT node, count(*) FROM pontifex.audit GROUP BY 1')"
is 'the table holds two chains, both good' 'true ["a","b"] [null,null]' \
    "$(verify_trail | jq -r '"\(.ok) \([.nodes[].node] | tostring) \([.nodes[].failure] | tostring)"')"
is 'one can be verified by itself' 'true ["b"]' "$(verify_trail -N b | jq -r '"\(.ok) \([.nodes[].node] | tostring)"')"
for n in a b; do
	is "the journal of $n is a chain of its own" "true [\"$n\"]" \
	    "$("$build/pontifexctl" audit verify -J -j "$work/$n/audit" | jq -r '"\(.ok) \([.nodes[].node] | tostring)"')"
done

# ---- a node dies -----------------------------------------------------------

LOAD_OK=$work/well python3 -B "$lib/load.py" "$front" "$alice" own '{"n":%d}' 4 60 100000 "$work/stop" >"$work/load" &
load=$!
started+=("$load")
sleep_until_rows() { [ "$(wc -l <"$work/a/audit/$(ls "$work/a/audit" | grep jsonl | tail -n 1)")" -gt "$1" ]; }
until_true 20 sleep_until_rows 150
on a
kill -KILL "$daemon" $(child_pids)
wait "$daemon" 2>/dev/null
daemon=
count_b() { on b; journal | wc -l; }
was=$(count_b)
more_on_b() { [ "$(count_b)" -gt $((was + 300)) ]; }
succeeds 'one node killed: the other serves on' until_true 30 more_on_b
touch "$work/stop"
wait "$load"
note "$(cat "$work/load")"
like 'what its death cost is what was under way there' '^[0-4]$' "$(jq '.sent - .kinds.ok' "$work/load")"
served_all=0
for _ in $(seq 10); do served && served_all=$((served_all + 1)); done
is 'HAProxy has moved on' 10 "$served_all"
AUDIT_DSN=$direct
dir=$work/a conf=$work/a/pontifex.conf port=${node_port[a]}
node_up a
until_true 20 drained a || not_ok 'what the dead node had recorded is drained when it is back' 'as many rows' "$(trail 'SELECT node, count(*) FROM pontifex.audit GROUP BY 1')"
until_true 20 drained b
trail "SELECT tool_params->>'n' FROM pontifex.audit_calls WHERE tool_name = 'own' AND outcome = 'ok' AND owner_id = 'alice'
    AND (tool_params->>'n')::int <> 42" | sort >"$work/recorded"
grep -vx 42 "$work/well" | sort >"$work/answered"
is 'each call that was answered stands in the trail' '' "$(comm -23 "$work/answered" "$work/recorded" | head -n 5 | paste -sd' ')"
is 'and once' '' "$(uniq -d "$work/recorded" | head -n 5 | paste -sd' ')"
number 'more stand there only for those that were cut off' "$(comm -13 "$work/answered" "$work/recorded" | wc -l)" -le 4
until_true 20 drained a
is 'the chain of the killed node goes on whole' true "$(verify_trail -N a | jq .ok)"
until_true 20 eval 'through "$alice" plain "{}"; until_true 1 in_force a'

# ---- the trail's database is away for one node -----------------------------

way_close
ready() { curl -s -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:${node_port[$1]}/health/ready"; }
port=${node_port[b]}
for n in $(seq 20); do call "$alice" plain '{}'; echo "$status"; done | sort | uniq -c | awk '{ print $1, $2 }' >"$work/away"
is 'the trail'\''s database away: the node serves on' '20 200' "$(cat "$work/away")"
is 'and is ready, while its journal has room' 200 "$(ready b)"
isnt 'its records wait in its journal' "$(on b; journal | wc -l)" "$(trail "SELECT count(*) FROM pontifex.audit WHERE node = 'b'")"
is 'the other node drains as before' 0 "$(port=${node_port[a]}; call "$alice" plain '{}'; until_true 20 drained a; echo $?)"
way_open
succeeds 'when it is back they follow' until_true 30 drained b
is 'and the chain is whole' true "$(verify_trail -N b | jq .ok)"

# ---- Redis is gone ---------------------------------------------------------

redis_stop
until_true 20 away a
until_true 20 away b
got=$(for n in a b; do ask_many "$n" 6 "$four" plain '{}'; echo; done | tr '\n' ';')
like 'without Redis both serve, each by its own limit' '^200:4 429:2;200:4 429:2;$' "$got"
is 'and are ready' '200 200' "$(ready a) $(ready b)"
isnt 'a result is asked for by each' "$(at a "$alice" common '{"n":900}')" "$(at b "$alice" common '{"n":900}')"
redis_start
succeeds 'Redis is back: in force on a' until_true 30 in_force a
succeeds 'and on b' until_true 30 in_force b
first=$(at a "$alice" common '{"n":901}')
is 'and results are shared again' "$first" "$(at b "$alice" common '{"n":901}')"

node_down b
node_down a
is 'all in all: two chains, none broken' 'true 2' "$(verify_trail | jq -r '"\(.ok) \(.nodes | length)"')"
done_testing
