#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Whatever becomes of Redis (stopped, killed, full, locked, a replica, slow, a
# liar), calls go on by the node's own limits, and it is said.

. "$(dirname "$0")/../lib/harness.sh"
. "$lib/redis.sh"

round=0 low=()
redis_start
alice=$(key_add -o alice -s shop:test:read)
for n in 1 2 3 4 5 6; do low[n]=$(key_add -o "caller$n" -s shop:test:read -r 3); done
write() { on "$1"; call "$alice" set_price "{\"item\":\"tea\",\"price\":$2}"; }
price() { on "$1"; call "$alice" price '{"item":"tea"}'; field price; }
node a "${shared[@]}"
node_up a
node b "${shared[@]}"
node_up b

# ---- Redis fails -----------------------------------------------------------

# Each time: calls are answered, the node's own limit holds, and that is said.
without_redis() { # WHAT
	round=$((round + 1))
	until_true 20 asked_without "$round" || not_ok "$1: calls go on" 200 "$status $body"
	is "$1: calls go on, and not without end" '200:3 429:2' "$(ask_many a 5 "${low[round]}" own "{\"n\":$round}")"
	# One that answers but cannot count is taken back, and found out by the next call.
	until_true 10 asked_without || not_ok "$1: the status says so" 'redis limits: away' "$(ctl status -v | grep redis)"
	if until_true 15 told_away; then ok "$1: and so does the table"; else not_ok "$1: and so does the table" 1 "$(figure a redis_limits_away)"; fi
}
told_away() { asked_without; figure_now a redis_limits_away -eq 1; }
asked_without() { on a; call "$alice" plain '{}'; [ "$status" = 200 ] && away a; }
up='a b'
asked_with() { local n; for n in $up; do price "$n" >/dev/null; in_force "$n" || return 1; done; }
with_redis() { # WHAT
	until_true 30 asked_with || not_ok "$1: it is back" 'in force twice' "$(on a; ctl status -v | grep redis)"
}
gone=$(lines a 'redis limits: away')
kill -STOP "$rpid"
without_redis 'Redis is stopped'
kill -CONT "$rpid"
with_redis 'Redis goes on'
is 'one line says that it is gone, and one that it is back' $((gone + 1)) "$(lines a 'redis limits: away')"
is 'as often' "$(lines a 'redis limits: away')" "$(lines a 'redis limits: back')"

redis_stop
without_redis 'Redis is killed'
redis_start
with_redis 'Redis is started again'
is 'results are shared again' "$(at a "$alice" common '{"n":30}')" "$(at b "$alice" common '{"n":30}')"

rcli CONFIG SET maxmemory 1 >/dev/null
without_redis 'Redis is full'
write a 301
is 'Redis is full: what a write made stale is stale all the same' 301 "$(price b)"
rcli CONFIG SET maxmemory 0 >/dev/null
with_redis 'there is room again'

rcli CONFIG SET requirepass 'sesame open' >/dev/null
rcli -a 'sesame open' CLIENT KILL TYPE normal >/dev/null
without_redis 'Redis asks for a password'
rcli -a 'sesame open' CONFIG SET requirepass '' >/dev/null
with_redis 'Redis asks for none'

REDIS2=$(free_port)
redis_stop
redis_start --replicaof 127.0.0.1 "$REDIS2"
without_redis 'Redis has become a replica'
rcli REPLICAOF NO ONE >/dev/null
with_redis 'Redis is the first again'
node_down b
node_down a
up=a
for n in a b; do
	is "the chain of node $n holds" 0 "$(dir=$work/$n; audit_verify >/dev/null; echo $?)"
	unlike "the log of node $n has no secret" "$REDIS_KEY|S3NTINEL|sesame" "$(cat "$work/$n/log")"
done

# ---- Redis is slow, and lies ------------------------------------------------

slow=$(free_port)
echo 0 >"$work/delay"
python3 "$lib/redis_fake.py" "$slow" proxy "$rport" "$work/delay" 2>/dev/null &
started+=("$!")
REDIS_URL=redis://127.0.0.1:$slow
node a "${shared[@]}"
node_up a
with_redis 'behind a proxy'
echo 400 >"$work/delay"
without_redis 'Redis is slow'
echo 0 >"$work/delay"
with_redis 'Redis is fast again'
node_down a

liar=$(free_port)
python3 "$lib/redis_fake.py" "$liar" liar >"$work/lies" 2>/dev/null &
started+=("$!")
REDIS_URL=redis://127.0.0.1:$liar
node liar "${shared[@]}"
node_up liar
wrong=0 n=0
lied() { [ "$(wc -l <"$work/lies")" -ge 14 ]; }
while ! lied && [ "$n" -lt 1000 ]; do
	n=$((n + 1))
	call "$alice" common "{\"n\":$n}"
	[ "$status" = 200 ] && [ "$(field n)" = "$n" ] || wrong=$((wrong + 1))
done
is 'whatever it says, calls are answered, and rightly' 0 "$wrong"
number 'and many lies were told' "$(wc -l <"$work/lies")" -ge 14
pids=$(child_pids handler | sort | tr '\n' ' ')
is 'no handler died of it' 1 "$(wc -w <<<"$pids")"
unlike 'and none was started anew' 'handler.*(ended|killed|died|restart)' "$(cat "$daemon_log")"
unlike 'no line has what it said for our eyes' $'\x1b' "$(cat "$daemon_log")"
node_down liar
done_testing
