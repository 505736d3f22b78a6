#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Request smuggling: bare, and behind a real nginx and a real HAProxy that
# share one connection to us among their clients.

. "$(dirname "$0")/../lib/harness.sh"
. "$lib/gateway.sh"

PATH=$PATH:/usr/sbin:/sbin
shop "$work/shop"
sed -i 's/^auth {/trust forwarded from "127.0.0.1"\n&/' "$conf"
key=$(key_add -o mallory -s shop:order:read -r 1000000)
victim=$(key_add -o alice -s shop:order:read -r 1000000)
daemon_start || die 'the daemon starts' ready
children=$(child_pids | sort | paste -sd' ')

# try FRONT PORT
asked=0
try() {
	timeout 200 python3 "$lib/smuggle.py" "$1" "$2" "$key" "$victim" >"$work/$1.out" 2>&1 ||
	    not_ok "$1: all was tried" 'exit 0' "$(tail -n 3 "$work/$1.out")"
	cat "$work/$1.out"
	passed=$((passed + $(grep -c '^ok ' "$work/$1.out")))
	failed=$((failed + $(grep -c '^not ok ' "$work/$1.out")))
	asked=$((asked + $(grep -c 'the next caller gets its own answer' "$work/$1.out") * 3))
}
try bare "$port"

if command -v nginx >/dev/null; then
	front=$(free_port)
	cat >"$work/site" <<EOF
upstream behind { server 127.0.0.1:$port; keepalive 1; }
server {
	listen 127.0.0.1:$front;
	location / {
		proxy_pass http://behind;
		proxy_http_version 1.1;
		proxy_set_header Connection "";
		proxy_set_header Host localhost;
		proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
	}
}
EOF
	nginx_start "$work/site"
	answers() { [ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$front/health/live")" = 200 ]; }
	until_true 20 answers || die 'nginx starts' 200 "$(cat "$work/nginx/out" "$work/nginx/log")"
	try nginx "$front"
else
	skip 'behind nginx' 'no nginx here'
fi

if command -v haproxy >/dev/null; then
	front=$(free_port)
	cat >"$work/haproxy.conf" <<EOF
global
	maxconn 200
	nbthread 1
defaults
	mode http
	timeout client 20s
	timeout server 20s
	timeout connect 5s
	option http-keep-alive
	http-reuse always
	option forwardfor
frontend front
	bind 127.0.0.1:$front
	default_backend behind
backend behind
	server one 127.0.0.1:$port maxconn 1
EOF
	haproxy -db -f "$work/haproxy.conf" >"$work/haproxy.out" 2>&1 </dev/null &
	started+=("$!")
	answers() { [ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$front/health/live")" = 200 ]; }
	until_true 20 answers || die 'HAProxy starts' 200 "$(cat "$work/haproxy.out")"
	try haproxy "$front"
else
	skip 'behind HAProxy' 'no haproxy here'
fi

is 'no process was replaced' "$children" "$(child_pids | sort | paste -sd' ')"
daemon_stop
# The trail knows what ran: each call of the victim's, and nothing of it for another.
calls_of() { journal_count ".owner_id == \"$1\" and .outcome == \"ok\" and (.tool_params | tostring | test(\"$2\"))"; }
is 'each call of the next callers is in the trail' "$asked" "$(calls_of alice 1001)"
is 'and none that was not theirs' 0 "$(calls_of alice 1002)"
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
