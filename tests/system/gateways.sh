#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The configurations of docs/deploy.md, taken from the page, in the real nginx
# and HAProxy, with TLS by an authority of our own, in front of a daemon with
# the page's own lines.  Ports and the places of certificates are changed, and
# nothing else.

. "$(dirname "$0")/../lib/harness.sh"
. "$(dirname "$0")/oauth/ca.sh"
. "$lib/gateway.sh"

PATH=$PATH:/usr/sbin:/sbin
page=$top/docs/deploy.md
block() { awk -v kind="\`\`\`$1" '$0 == kind { on = 1; next } /^```$/ { on = 0 } on' "$page"; }

(cd "$work" && test_authority ca && test_certificate server ca 'DNS:mcp.example.com') >"$work/openssl.log" 2>&1 ||
    die 'certificates are made' 'openssl to succeed' "$(tail -n 3 "$work/openssl.log")"
cat "$work/server.pem" "$work/server.key" >"$work/both.pem"
shop "$work/shop"
block conf | sed "s/8080/$port/" >"$work/lines"
number 'the page has the lines of the daemon' "$(wc -l <"$work/lines")" -ge 3
sed -i -e '/^listen on/{r '"$work/lines"'
d}' "$conf"
postgres_start || die 'Postgres starts' started
SLEEPY_DSN=$(dsn postgres postgres)
export SLEEPY_DSN
cat >>"$conf" <<'END'
source sleepy postgres {
	dsn from env "SLEEPY_DSN"
}
tool nap {
	description "Sleeps."
	scope "shop:order:read"
	source sleepy
	sql "SELECT 1 AS one FROM pg_sleep(25)"
	timeout 28s
}
END
key=$(key_add -o alice -s shop:order:read -r 100000)
daemon_start || die 'the daemon starts with the lines of the page' ready

call_body='{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":1001}}}'
# ask PATH [CURL-OPTION...]: over the gateway, as a client that knows the name.
ask() {
	local path=$1
	shift
	status=$(curl -s -m 20 -o "$work/answer" -w '%{http_code}' --cacert "$work/ca.pem" \
	    --resolve "mcp.example.com:$front:127.0.0.1" "$@" "https://mcp.example.com:$front$path" 2>"$work/curl.err")
	body=$(cat "$work/answer" 2>/dev/null)
	: >"$work/answer"
}
ask_call() { ask /mcp -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d "$call_body" "$@"; }
last_record() { journal | jq -c 'select(.kind == "call" or .kind == "refusal")' | tail -n 1; }
answers() { ask /mcp; [ "$status" != 000 ]; }

# The same for each gateway: $gateway, its log, is behind $front.
through() { # NAME
	local long
	ask_call
	is "$1: a call passes" '200 Acme GmbH' "$status $(jqb '.result.structuredContent.rows[0].customer')"
	ask_call --http1.1
	is "$1: by HTTP/1.1" 200 "$status"
	ask_call --http2
	is "$1: by HTTP/2" 200 "$status"
	ask_call --tls-max 1.1
	is "$1: TLS 1.1 is refused" 000 "$status"
	ask_call --interface 127.0.0.9 -H 'X-Forwarded-For: 203.0.113.7'
	is "$1: the record has the address that the gateway saw, not the one that the client wrote" '127.0.0.9 127.0.0.1' \
	    "$(last_record | jq -r '"\(.ip_address) \(.via)"')"
	ask /mcp -H 'Content-Type: application/json' -d "$call_body"
	is "$1: without a key" '401 auth_failed' "$status $(error_code)"
	ask /.well-known/oauth-protected-resource
	is "$1: metadata, which there is none of without an issuer, is the daemon's own answer" 404 "$status"
	for path in / /metrics /health/ready /health/live /mcp/ /mcp/../metrics /MCP /status; do
		ask "$path" --path-as-is
		case $status in 400 | 404) ok "$1: $path is not there" ;; *) not_ok "$1: $path is not there" 404 "$status" ;; esac
	done
	ask_call -H 'Host: evil.example.net'
	case $status in 403 | 404 | 421) ok "$1: another Host is refused" ;; *) not_ok "$1: another Host is refused" 403 "$status" ;; esac
	long=$(head -c 12288 /dev/zero | base64 -w0)
	ask /mcp -H "Authorization: Bearer $long" -H 'Content-Type: application/json' -d "$call_body"
	is "$1: a token of 16 KiB reaches the daemon" '401 auth_failed' "$status $(error_code)"
	{ printf %s "${call_body%\}}"; printf ',"pad":"'; head -c 900000 /dev/zero | tr '\0' x; printf '"}'; } >"$work/big"
	ask /mcp -H "Authorization: Bearer $key" -H 'Content-Type: application/json' --data-binary "@$work/big"
	isnt "$1: a body of 900 KB reaches the daemon" 413 "$status"
	isnt "$1: and is answered" 000 "$status"
	head -c 1200000 /dev/zero | tr '\0' x >"$work/big"
	ask /mcp -H "Authorization: Bearer $key" -H 'Content-Type: application/json' --data-binary "@$work/big"
	is "$1: one of 1.2 MB does not" 413 "$status"
	ask /mcp --head
	is "$1: HEAD is refused" 405 "$status"
	ask_call
	is "$1: and the next answer on that connection is the next caller's own" '200 Acme GmbH' \
	    "$status $(jqb '.result.structuredContent.rows[0].customer')"
	cancelled=$(journal_count '.tool_name == "nap" and .outcome == "cancelled"')
	ask /mcp -m 1 -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \
	    -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nap","arguments":{}}}'
	nap_cancelled() { [ "$(journal_count '.tool_name == "nap" and .outcome == "cancelled"')" -gt "$cancelled" ]; }
	succeeds "$1: a client that goes away has its query stopped" until_true 10 nap_cancelled
	# Many callers over the gateway's few connections.
	seq 200 | xargs -P 8 -I{} curl -s -m 20 -o /dev/null -w '%{http_code}\n' --cacert "$work/ca.pem" \
	    --resolve "mcp.example.com:$front:127.0.0.1" -H "Authorization: Bearer $key" \
	    -H 'Content-Type: application/json' -d "$call_body" "https://mcp.example.com:$front/mcp" | sort | uniq -c >"$work/many"
	is "$1: 200 calls, eight at a time" '200 200' "$(awk '{ print $1, $2 }' "$work/many")"
}

# -- nginx
if command -v nginx >/dev/null; then
	front=$(free_port)
	mkdir -p "$work/nginx"
	block nginx | sed -e "s/8080/$port/" -e "s/listen 443/listen 127.0.0.1:$front/" \
	    -e "s,/etc/ssl/mcp.example.com.pem,$work/server.pem," -e "s,/etc/ssl/private/mcp.example.com.key,$work/server.key," >"$work/nginx/site"
	nginx_start "$work/nginx/site"
	until_true 20 answers || die 'nginx starts with the page'\''s configuration' 'an answer' "$(cat "$work/nginx/out" "$work/nginx/log")"
	through nginx
	number 'nginx waits longer than the listener does' "$(block nginx | sed -n 's/.*proxy_read_timeout \([0-9]*\)s.*/\1/p')" -gt \
	    "$(sed -n 's/^#define HANDLER_MS[[:space:]]*\([0-9]*\)000[[:space:]].*/\1/p' "$top/daemon/listener/listener.h")"
else
	skip 'nginx' 'no nginx here'
fi

# -- HAProxy
if command -v haproxy >/dev/null; then
	front=$(free_port)
	block haproxy | sed -e "s/8080/$port/" -e "s/bind :443/bind 127.0.0.1:$front/" -e "s,/etc/haproxy/mcp.example.com.pem,$work/both.pem," \
	    -e "s,log /dev/log,log 127.0.0.1:$(free_port)," >"$work/haproxy.cfg"
	haproxy -db -f "$work/haproxy.cfg" >"$work/haproxy.out" 2>&1 </dev/null &
	haproxy=$!
	started+=("$haproxy")
	until_true 20 answers || die 'HAProxy starts with the page'\''s configuration' 'an answer' "$(cat "$work/haproxy.out")"
	unlike 'HAProxy warns of nothing' 'WARNING|ALERT' "$(cat "$work/haproxy.out")"
	through HAProxy
	number 'HAProxy waits longer than the listener does' "$(block haproxy | sed -n 's/.*timeout server \([0-9]*\)s.*/\1/p')" -gt \
	    "$(sed -n 's/^#define HANDLER_MS[[:space:]]*\([0-9]*\)000[[:space:]].*/\1/p' "$top/daemon/listener/listener.h")"
	# Health: a daemon that is gone is known to be, and known again.
	daemon_stop
	gone() { ask_call; [ "$status" = 503 ]; }
	if until_true 20 gone; then ok 'HAProxy answers 503 where no node is ready'; else not_ok 'HAProxy answers 503 where no node is ready' 503 "$status"; fi
	daemon_start || die 'the daemon starts again' ready
	back() { ask_call; [ "$status" = 200 ]; }
	if until_true 20 back; then ok 'and the node is in use again when it is ready'; else not_ok 'and the node is in use again when it is ready' 200 "$status"; fi
else
	skip 'HAProxy' 'no HAProxy here'
fi
daemon_stop
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
