#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Three nodes behind HAProxy, one Redis, one Postgres for data and trail, one key
# file: a limit is one limit, a result is asked for once, a revocation is
# everybody's, each trail is its own.  A node that is killed loses no record, a
# trail database that is away holds nobody up, and without Redis all serve.

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
crowd=$(key_add -o crowd -s shop:test:read -r 30)
four=$(key_add -o four -s shop:test:read -r 4)
gone=$(key_add -o gone -s shop:test:read)
node_of a "$direct"
node_of b "$by_way"
node_of c "$direct"
for n in a b c; do until_true 10 in_force $n || not_ok "Redis is in force on $n" 'two lines' "$(ctl status -v)"; done
front=$(free_port)
server() { echo "	server $1 127.0.0.1:${node_port[$1]} check inter 200ms fall 2 rise 1"; }
balance front 'frontend mcp' '	mode http' "	bind 127.0.0.1:$front" '	option forwardfor' '	default_backend nodes' \
    'backend nodes' '	mode http' '	balance roundrobin' '	option httpchk' \
    '	http-check send meth GET uri /health/ready ver HTTP/1.1 hdr Host 127.0.0.1' '	http-check expect status 200' \
    '	retries 3' '	option redispatch 1' "$(server a)" "$(server b)" "$(server c)"
through() { port=$front; call "$@"; }
served() { through "$alice" plain '{}'; [ "$status" = 200 ]; }
until_true 20 served || die 'HAProxy leads to the nodes' 200 "$status $body $(cat "$work/front.out")"

trail() { sql trail "$1"; }
# The rows of a condition, when the journals are drained.
rows_are() { [ "$(trail "SELECT coalesce(sum(calls), 0) FROM pontifex.audit_calls WHERE $2")" = "$1" ]; }
each_served() { # OWNER: calls that each node had
	trail "SELECT string_agg(node || ':' || n, ' ' ORDER BY node) FROM
	    (SELECT node, sum(calls) AS n FROM pontifex.audit_calls WHERE owner_id = '$1' GROUP BY node) AS x"
}

# ---- what is shared --------------------------------------------------------

got=$(for _ in $(seq 12); do through "$six" plain '{}'; echo "$status"; done | sort | uniq -c | awk '{ printf "%s:%s ", $2, $1 }')
like 'a limit of six is six over three nodes, not eighteen' '^200:[67] 429:[56] $' "$got"
until_true 20 rows_are 12 "owner_id = 'six'" || not_ok 'each of them is in the trail' 12 "$(each_served six)"
is 'and each node had its part' 'a:4 b:4 c:4' "$(each_served six)"
# At once, from many connections: what Redis has let through is counted, not who was first.
before=$(date +%s%N)
for _ in $(seq 90); do
	echo "url = \"http://127.0.0.1:$front/mcp\""
	echo "header = \"Authorization: Bearer $crowd\""
	echo 'header = "Content-Type: application/json"'
	echo 'data = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"plain\",\"arguments\":{}}}"'
	echo 'output = "/dev/null"'
	echo 'write-out = "%{http_code}\n"'
	echo next
done | sed '$d' >"$work/crowd.curl"
curl -s --no-progress-meter -m 30 --parallel --parallel-max 30 -K "$work/crowd.curl" >"$work/crowd"
more=$((($(date +%s%N) - before) / 2000000000 + 1))	# of 30 in a minute, one comes back in two seconds
served=$(grep -c '^200$' "$work/crowd")
number 'ninety at once over three nodes: thirty are let through' "$served" -ge 30
number 'and no more than the seconds that it took gave back' "$served" -le $((30 + more))
is 'the others are told to wait' 90 $((served + $(grep -c '^429$' "$work/crowd")))
until_true 20 rows_are 90 "owner_id = 'crowd'"
is 'the trail has as many that were let through' "$served" \
    "$(trail "SELECT sum(calls) FROM pontifex.audit_calls WHERE owner_id = 'crowd' AND outcome = 'ok'")"
is 'on three nodes' 3 "$(trail "SELECT count(DISTINCT node) FROM pontifex.audit_calls WHERE owner_id = 'crowd' AND outcome = 'ok'")"

asked() { grep -ac 'AS secret' "$pg_dir/log"; }
before=$(asked)
first=$(at a "$alice" own '{"n":42}')
is 'what node a asked for node b has' "$first" "$(at b "$alice" own '{"n":42}')"
is 'and node c' "$first" "$(at c "$alice" own '{"n":42}')"
is 'the source was asked once' $((before + 1)) "$(asked)"
until_true 20 rows_are 3 "tool_name = 'own'"
is 'and the trail says which was which' 'a:false b:true c:true' \
    "$(trail "SELECT string_agg(node || ':' || cache_hit::text, ' ' ORDER BY node) FROM pontifex.audit_calls WHERE tool_name = 'own'")"

port=$front
call "$gone" plain '{}'
is 'a key works before it is revoked' 200 "$status"
begun=$(date +%s%N)
"$build/pontifexctl" key revoke -F "$keys" "$(key_id "$gone")"
refused_by() { port=${node_port[$1]}; call "$gone" plain '{}'; [ "$status" = 401 ]; }
succeeds 'the revocation in the shared file is in force on a' until_true 10 refused_by a
succeeds 'and on b' until_true 10 refused_by b
succeeds 'and on c' until_true 10 refused_by c
note "in force on all after $((($(date +%s%N) - begun) / 1000000)) ms"

# ---- each trail is its own -------------------------------------------------

verify_trail() { "$build/pontifexctl" audit verify -J -p "$(dsn reader trail)" "$@"; }
drained() { # NODE: all of its journal is in the table
	[ "$(on "$1"; journal | wc -l)" = "$(trail "SELECT count(*) FROM pontifex.audit WHERE node = '$1'")" ]
}
for n in a b c; do
	until_true 20 drained $n || not_ok "the journal of $n is drained" 'as many rows' "$(trail 'SELECT node, count(*) FROM pontifex.audit GROUP BY 1')"
done
is 'the table holds three chains, all good' 'true ["a","b","c"] [null,null,null]' \
    "$(verify_trail | jq -r '"\(.ok) \([.nodes[].node] | tostring) \([.nodes[].failure] | tostring)"')"
is 'one can be verified by itself' 'true ["b"]' "$(verify_trail -N b | jq -r '"\(.ok) \([.nodes[].node] | tostring)"')"
for n in a b c; do
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
count_of() { on "$1"; journal | wc -l; }
was_b=$(count_of b) was_c=$(count_of c)
more_on_both() { [ "$(count_of b)" -gt $((was_b + 150)) ] && [ "$(count_of c)" -gt $((was_c + 150)) ]; }
succeeds 'one node killed: the other two serve on' until_true 30 more_on_both
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
until_true 20 drained c
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
for n in a c; do
	is "node $n drains as before" 0 "$(port=${node_port[$n]}; call "$alice" plain '{}'; until_true 20 drained $n; echo $?)"
done
way_open
succeeds 'when it is back they follow' until_true 30 drained b
is 'and the chain is whole' true "$(verify_trail -N b | jq .ok)"

# ---- Redis is gone ---------------------------------------------------------

redis_stop
for n in a b c; do until_true 20 away $n; done
got=$(for n in a b c; do ask_many "$n" 6 "$four" plain '{}'; echo; done | tr '\n' ';')
like 'without Redis all serve, each by its own limit' '^200:4 429:2;200:4 429:2;200:4 429:2;$' "$got"
is 'and are ready' '200 200 200' "$(ready a) $(ready b) $(ready c)"
isnt 'a result is asked for by each' "$(at a "$alice" common '{"n":900}')" "$(at b "$alice" common '{"n":900}')"
redis_start
succeeds 'Redis is back: in force on a' until_true 30 in_force a
succeeds 'and on b' until_true 30 in_force b
succeeds 'and on c' until_true 30 in_force c
first=$(at a "$alice" common '{"n":901}')
is 'and results are shared again' "$first" "$(at c "$alice" common '{"n":901}')"

for n in c b a; do node_down $n; done
is 'all in all: three chains, none broken' 'true 3' "$(verify_trail | jq -r '"\(.ok) \(.nodes | length)"')"
done_testing
