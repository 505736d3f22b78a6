#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Two nodes and one Redis: rates count across both, results are shared, what a
# write makes stale is stale on both; nobody who has Redis can read, make or
# move a result.

. "$(dirname "$0")/../lib/harness.sh"
. "$lib/redis.sh"

redis_start
alice=$(key_add -o alice -s shop:test:read)
bob=$(key_add -o bob -s shop:test:read)
three=$(key_add -o three -s shop:test:read -r 3)
four=$(key_add -o four -s shop:test:read -r 4)
node a "${shared[@]}"
node_up a
node b "${shared[@]}"
node_up b
until_true 10 in_force a || not_ok 'a node says that Redis is in force' 'two lines' "$(ctl status -v)"
until_true 10 in_force b || not_ok 'and so does the other' 'two lines' "$(ctl status -v)"
like 'and the log once' '^1 1$' "$(lines a 'redis limits: in force') $(lines b 'redis cache: in force')"

# ---- rates -----------------------------------------------------------------

is 'below his rate a caller is served' 200:2 "$(ask_many a 2 "$three" plain '{}')"
is 'on another node what he had on the first counts' '200:1 429:2' "$(ask_many b 3 "$three" plain '{}')"
on a
call "$three" plain '{}'
is 'and the other way round: it is one limit for all' '429 rate_limited' "$status $(error_code)"
retry=$(sed -n 's/^[Rr]etry-[Aa]fter: //p' <<<"$head")
number 'Retry-After is what one call costs at most' "${retry:-99}" -le 20
number 'and not nothing' "${retry:-0}" -ge 1
is 'it is in the trail' '["rate_limited","over_rate"]' \
    "$(record_of "$(jqb .request_id)" | jq -c '[.outcome, .reason]')"
is 'another caller has his own' 200:3 "$(ask_many a 3 "$alice" plain '{}')"
few=$(ask_many a 1 "$four" few '{}'; echo; ask_many b 2 "$four" few '{}')
is 'a rate of the tool counts across nodes, too' '200:1;200:1 429:1' "$(tr '\n' ';' <<<"$few" | sed 's/;$//')"
is 'and what it refused is not charged to the caller' '200:2 429:1' "$(ask_many a 3 "$four" plain '{}')"

# ---- results ---------------------------------------------------------------

first=$(at a "$alice" own '{"n":1}')
is 'what one node asked the other has' "$first" "$(at b "$alice" own '{"n":1}')"
on b
is 'it is recorded as a hit, with its source' '[true,"pg",0]' \
    "$(journal | jq -c 'select(.tool_name == "own") | [.cache_hit, .data_source, .source_us]' | tail -n 1)"
isnt 'other arguments are asked for' "$first" "$(at b "$alice" own '{"n":2}')"
on b
call "$bob" own '{"n":1}'
isnt 'another caller does not get it' "$first" "$(field at)"
is 'but his own' bob "$(field me)"
common=$(at a "$alice" common '{"n":1}')
is 'unless the tool says that it is everybody'\''s' "$common" "$(at b "$bob" common '{"n":1}')"
large=$(at a "$alice" large '{}')
on b
call "$alice" large '{}'
is 'a large one comes whole' "$large 300000" "$(field at) $(field 'x | length')"

rcli --scan --pattern '*' >"$work/keys.redis"
for key in $(cat "$work/keys.redis"); do rcli DUMP "$key"; rcli GET "$key"; done | tr -d "\0" >"$work/all.redis"
cat "$work/keys.redis" >>"$work/all.redis"
number 'there is something in Redis to look at' "$(wc -l <"$work/keys.redis")" -ge 8
unlike 'no value, caller or tool can be read there' 'S3NTINEL|alice|bob|common|price|"rows"' "$(cat "$work/all.redis")"
unlike 'and every name is in the namespace' '^$|^pontifexd:[^{]' "$(grep -v '^pontifexd:{shop}:[lcg]:[A-Za-z0-9_-]\{43\}$' "$work/keys.redis" | sed 's/$/ /' | grep . || echo none)"

# Whoever can write there: nothing that he puts is served.
values() { rcli --scan --pattern 'pontifexd:{shop}:c:*' | sort; }
rcli DEL $(values) >/dev/null
# rget NAME FILE, rset NAME FILE [OPTION...]: bytes as they are.
rget() { redis-cli -p "$rport" --raw GET "$1" >"$2"; truncate -s -1 "$2"; }
rset() { local name=$1 file=$2; shift 2; redis-cli -p "$rport" -x SET "$name" <"$file" >/dev/null; [ $# -eq 0 ] || rcli "$@" >/dev/null; }
one=$(at a "$alice" common '{"n":10}')
name=$(values)
rget "$name" "$work/value"
python3 - "$work/value" "$work/bent" <<'PY'
import sys
v = bytearray(open(sys.argv[1], 'rb').read())
v[len(v) // 2] ^= 1
open(sys.argv[2], 'wb').write(v)
PY
rset "$name" "$work/bent"
two=$(at b "$alice" common '{"n":10}')
isnt 'an altered one is none' "$one" "$two"
like 'and a date it is, from the source' '^20..-' "$two"
figure_is 'it is counted' b redis_cache_unsealed_total -ge 1
like 'and said' 'a value of tool common does not open' "$(cat "$work/b/log")"
at a "$alice" common '{"n":11}' >/dev/null
other=$(values | grep -vxF "$name")
rset "$other" "$work/value"
on b
call "$alice" common '{"n":11}'
isnt 'a good one under another name is none' "$one" "$(field at)"
is 'but what was asked for' 11 "$(field n)"
head -c 20 "$work/value" >"$work/short"
at a "$alice" common '{"n":12}' >/dev/null
third=$(values | grep -vxF -e "$name" -e "$other")
rset "$third" "$work/short"
on b
call "$alice" common '{"n":12}'
is 'what was cut is none' 12 "$(field n)"
rcli DEL "$third" >/dev/null
rcli LPUSH "$third" a b c >/dev/null
call "$alice" common '{"n":12}'
is 'what is not even a text is none' '200 12' "$status $(field n)"
rcli DEL $(values) >/dev/null

# One that was good, and is old.
one=$(at a "$alice" brief '{}')
name=$(values)
rget "$name" "$work/value"
until_true 10 eval '[ -z "$(values)" ]' || not_ok 'a result goes when its time is over' 'no value' "$(values)"
rset "$name" "$work/value"
isnt 'one whose time is over is none, though it is put back' "$one" "$(at b "$alice" brief '{}')"

# ---- writes ----------------------------------------------------------------

price() { on "$1"; call "$alice" price '{"item":"tea"}'; field price; }
write() { on "$1"; call "$alice" set_price "{\"item\":\"tea\",\"price\":$2}"; }
price a >/dev/null
price b >/dev/null
stale=0
for n in $(seq 101 110); do
	write a "$n"
	[ "$(price b)" = "$n" ] || stale=$((stale + 1))
	[ "$(price a)" = "$n" ] || stale=$((stale + 1))
	write b "$((n + 100))"
	[ "$(price a)" = $((n + 100)) ] || stale=$((stale + 1))
	[ "$(price b)" = $((n + 100)) ] || stale=$((stale + 1))
done
is 'what a write on one node made stale is stale on both' 0 "$stale"
hits=$(on b; journal | jq -c 'select(.tool_name == "price" and .cache_hit)' | wc -l)
price b >/dev/null
price b >/dev/null
number 'and kept in between' "$(on b; journal | jq -c 'select(.tool_name == "price" and .cache_hit)' | wc -l)" -gt "$hits"

# Redis does not hear of a write: this node knows it all the same.
kill -STOP "$rpid"
write a 300
is 'a write goes on without Redis' '200 300' "$status $(field price)"
is 'and its own node knows' 300 "$(price a)"
kill -CONT "$rpid"
until_true 20 in_force a || not_ok 'a is back' 'in force' "$(on a; ctl status -v | grep redis)"
until_true 20 in_force b || not_ok 'b is back' 'in force' "$(on b; ctl status -v | grep redis)"
is 'when Redis is back the other node is told' 300 "$(until_true 10 eval '[ "$(price b)" = 300 ]'; price b)"
figure_is 'what could not be told is counted' a redis_cache_untold_total -ge 1
node_down b
node_down a
for n in a b; do
	is "the chain of node $n holds" 0 "$(dir=$work/$n; audit_verify >/dev/null; echo $?)"
	unlike "the log of node $n has no secret" "$REDIS_KEY|S3NTINEL|sesame" "$(cat "$work/$n/log")"
done
done_testing
