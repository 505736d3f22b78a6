#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Every way to Redis: password, user, database, Unix socket, TLS by name and by
# address; and what is not taken for our Redis.

. "$(dirname "$0")/../lib/harness.sh"
. "$lib/redis.sh"

alice=$(key_add -o alice -s shop:test:read)
# ---- other ways to it ------------------------------------------------------

mkdir "$work/tls"
(
	cd "$work/tls" || exit 1
	for name in ca other; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$name" \
		    -addext basicConstraints=critical,CA:TRUE -keyout "$name.key" -out "$name.pem"
	done
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=redis -keyout redis.key -out redis.csr
	printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >san
	openssl x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out redis.pem
) >"$work/tls/log" 2>&1
tls_port=$(free_port)
redis_start --tls-port "$tls_port" --tls-cert-file "$work/tls/redis.pem" --tls-key-file "$work/tls/redis.key" \
    --tls-ca-cert-file "$work/tls/ca.pem" --tls-auth-clients no --unixsocket "$rdir/sock" --unixsocketperm 777
until_true 10 test -S "$rdir/sock"
rcli ACL SETUSER pont on '>p@ss:w/rd %' '~pontifexd:{shop}:*' +ping +select +get +mget +set +del +time +evalsha +eval >/dev/null
rcli CONFIG SET requirepass 'sesame open' >/dev/null
login=pont:p%40ss%3Aw%2Frd%20%25

# way NAME URL [CA]: a node that reaches Redis so, asked a little.
way() {
	REDIS_URL=$2
	node "$1" "redis from env \"REDIS_URL\"${3:+ ca \"$3\"}" 'redis key from env "REDIS_KEY"'
	node_up "$1"
	until_true 10 in_force "$1" || { not_ok "$1: it is in force" 'in force twice' "$(grep redis "$daemon_log")"; node_down "$1"; return; }
	call "$alice" common "{\"n\":40}"
	is "$1: it answers" 200 "$status"
	[ -n "$(for n in 0 3; do rcli -a 'sesame open' -n "$n" --scan --pattern 'pontifexd:{shop}:c:*'; done)" ] && ok "$1: and keeps" || not_ok "$1: and keeps" 'a value' none
	figure_is "$1: rates are asked for" "$1" redis_limits_asked_total -ge 1
	figure_is "$1: every one is answered" "$1" redis_limits_unanswered_total -eq 0
	node_down "$1"
	unlike "$1: no secret is in the log" "sesame|p@ss|$REDIS_KEY" "$(cat "$work/$1/log")"
	rcli -a 'sesame open' FLUSHALL >/dev/null
}
way password "redis://:sesame%20open@127.0.0.1:$rport"
way user-by-name "redis://$login@localhost:$rport"
way database "redis://:sesame%20open@127.0.0.1:$rport/3"
way socket "unix://:sesame%20open@$rdir/sock"
way tls-name "rediss://$login@localhost:$tls_port" "$work/tls/ca.pem"
way tls-address "rediss://:sesame%20open@127.0.0.1:$tls_port" "$work/tls/ca.pem"

# no_way NAME URL CA WHY: it is not taken for our Redis, and calls go on.
no_way() {
	REDIS_URL=$2
	node "$1" "redis from env \"REDIS_URL\"${3:+ ca \"$3\"}"
	node_up "$1"
	until_true 10 away "$1" || not_ok "$1: it is away" 'redis limits: away' "$(ctl status -v | grep redis)"
	like "$1: the log says why" "redis limits: away: .*$4" "$(cat "$daemon_log")"
	is "$1: calls go on" 200:2 "$(ask_many "$1" 2 "$alice" common '{"n":1}')"
	unlike "$1: no secret is in the log" 'sesame|p@ss' "$(cat "$daemon_log")"
	node_down "$1"
}
no_way wrong-authority "rediss://:sesame%20open@localhost:$tls_port" "$work/tls/other.pem" 'certificate|issuer'
no_way wrong-password "redis://:nonsesame@127.0.0.1:$rport" '' WRONGPASS
no_way no-password "redis://127.0.0.1:$rport" '' PING
no_way plain-to-tls "redis://127.0.0.1:$tls_port" '' .
no_way nobody-there "redis://127.0.0.1:$(free_port)" '' 'refused'
no_way no-socket "unix://$work/nosuch" '' 'No such file'
REDIS_URL=redis//sesame:open@there
node unreadable "${shared[@]}"
daemon_start && not_ok 'an URL that is none stops the start' 'no start' started
like 'an URL that is none stops the start' 'redis: its URL cannot be used: it does not begin' "$(cat "$daemon_log")"
unlike 'and is not said' sesame "$(cat "$daemon_log")"
[ -n "$daemon" ] && daemon_stop
redis_stop
done_testing
