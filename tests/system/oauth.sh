#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Tokens.  Four issuers of our own making (oauth/issuer.py), and a token for
# every rule that breaks that one alone (oauth/table.py); then issuers that are
# down, stalled, slow, changed or hostile while calls run (oauth/faults.py).

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/harness.sh"
. "$here/oauth/ca.sh"

python3 -c 'import cryptography' 2>/dev/null ||
    die 'Python can sign' 'the package python3-cryptography' "$(command -v python3) without it"
test_ca "$work" || die 'certificates are made' 'openssl to succeed' "$(tail -n 5 "$work/openssl.log")"

# issuer_start NAME CERTIFICATE [PORT]: its folder is $work/NAME, its log of
# requests $work/NAME.log.  Sets $issuer_pid, $issuer_port.
issuer_start() {
	issuer_port=${3:-$(free_port)}
	mkdir -p "$work/$1"
	touch "$work/$1.log"
	python3 -B "$here/oauth/issuer.py" "$issuer_port" "$work/$2.pem" "$work/$2.key" "$work/$1" \
	    "$work/$1.log" "$elsewhere" >"$work/$1.out" 2>&1 </dev/null &
	issuer_pid=$!
	started+=("$issuer_pid")
	until_true 20 grep -q ready "$work/$1.out" ||
	    die "the issuer $1 starts" ready "$(tail -n 3 "$work/$1.out")"
}
# with_issuers: the contract's configuration on standard input's issuers, and a
# tool that binds a claim.
with_issuers() { # a shop was made; the blocks come from standard input
	local block=$work/block
	cat >"$block"
	sed -i -e "/^listen on/a public url \"http://127.0.0.1:$port/mcp\"" \
	    -e "/^	rate 600 per minute/r $block" "$conf"
	cat >>"$conf" <<-'END'

	tool my_orders {
		title "The caller's own orders"
		description "List the orders of the caller's own tenant."
		scope "shop:order:read"
		source shop
		param count integer default 20 { minimum 1 maximum 100 }
		sql "SELECT o.id, o.status FROM orders o JOIN customers c ON c.id = o.customer_id
		      WHERE c.tenant = :caller.claim.tenant ORDER BY o.id LIMIT :count"
	}
	END
}
# lines: counts what a helper printed.
counted() { # FILE NAME EXIT-STATUS
	cat "$1"
	passed=$((passed + $(grep -c '^ok ' "$1")))
	failed=$((failed + $(grep -c '^not ok ' "$1")))
	grep -q '^not ok' "$1" || is "$2 come to their end" 0 "$3"
}

# -- the table
elsewhere=https://elsewhere.test
issuer_start issuers server
base=https://127.0.0.1:$issuer_port
python3 -B "$here/oauth/table.py" prepare "$work/issuers" "$base" || die 'the issuers have keys' 'exit 0' "exit $?"
shop "$work/shop"
cp "$work/ca.pem" "$dir/ca.pem"
public=http://127.0.0.1:$port/mcp
with_issuers <<EOF
	issuer "$base/main" {
		audience "$public"
		role "analyst" grants "shop:*:read"
		claims "tenant"
		rate 6000 per minute
		allow private
		ca "ca.pem"
	}
	issuer "$base/single" {
		audience "single", "$public"
		jwks "$base/single/jwks"
		scopes from "realm_access.roles"
		role "clerk" grants "shop:order:read", "shop:order:write"
		allow private
		ca "ca.pem"
	}
	issuer "$base/other" {
		audience "$public"
		scopes from "permissions"
		rate 3 per minute
		allow private
		ca "ca.pem"
	}
	issuer "$base/strict/" {
		audience "$public"
		typ "at+jwt"
		leeway 0s
		lifetime 48h
		allow private
		ca "ca.pem"
	}
EOF
good=$(key_add -o same -s shop:order:read -r 100000)
daemon_start || die 'the daemon starts with issuers' ready

metadata=$(curl -s -m 10 -H 'Host: localhost' "http://127.0.0.1:$port/.well-known/oauth-protected-resource")
is 'the metadata of the resource' "{\"resource\":\"$public\",\"authorization_servers\":[\"$base/main\",\"$base/single\",\"$base/other\",\"$base/strict/\"],\"scopes_supported\":[\"shop:order:read\",\"shop:order:write\"],\"bearer_methods_supported\":[\"header\"],\"resource_name\":\"shop\"}" \
    "$(jq -c '{resource, authorization_servers, scopes_supported: (.scopes_supported | sort), bearer_methods_supported, resource_name}' <<<"$metadata" 2>&1)"
is 'and by the path of the endpoint the same' "$metadata" \
    "$(curl -s -m 10 "http://127.0.0.1:$port/.well-known/oauth-protected-resource/mcp")"
call '' order_lookup '{"order_id":1001}'
like 'a challenge says where it is' \
    "^[Ww][Ww][Ww]-[Aa]uthenticate: Bearer .*resource_metadata=\"http://127.0.0.1:$port/\.well-known/oauth-protected-resource/mcp\"" "$head"
like 'and for what scope' 'scope="shop:order:read"' "$head"
unlike 'without a credential no error is named' 'error=' "$head"

timeout 120 python3 -B "$here/oauth/table.py" run "$work/issuers" "$base" "$port" "$dir/audit" "$public" \
    "sk_live_nobody_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" "$good" >"$work/table.out" 2>"$work/table.err"
rc=$?
[ "$rc" -eq 0 ] || tail -n 3 "$work/table.err" | sed 's/^/# /'
counted "$work/table.out" 'the rows of the table' "$rc"

# -- what the operator is told of a token
python3 -B "$here/oauth/table.py" tokens "$work/issuers" "$base" "$public" >"$work/tokens"
explain() { sed -n "$1p" "$work/tokens" | ctl token explain 2>&1; }
told=$(explain 1)
like 'token explain: a good token would be accepted' '^decision: accepted$' "$told"
like 'and whose it is' "^owner: \"$base/main#alice\"$" "$told"
like 'and what it opens' '^may call: order_lookup$' "$told"
unlike 'and no more' 'order_cancel' "$told"
like 'token explain: an expired one is refused, and why' '^decision: refused: expired$' "$(explain 2)"
like 'token explain: a forged one is refused, and why' '^decision: refused: bad_signature$' "$(explain 3)"
like 'token explain: what is no token is refused, and why' '^decision: refused: malformed_token$' \
    "$(echo no-token | ctl token explain 2>&1)"
unlike 'no token is in the log' "$(cut -d. -f2 "$work/tokens" | paste -sd'|')" "$(cat "$daemon_log")"
daemon_stop
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"

# -- faults: one issuer that comes and goes, and many that are not to be believed
issuer_start elsewhere server
elsewhere=https://127.0.0.1:$issuer_port
issuer_start hostile server
hostile=https://127.0.0.1:$issuer_port
issuer_start stray stray
stray=https://127.0.0.1:$issuer_port
issuer_start other other
other=https://127.0.0.1:$issuer_port
base=https://127.0.0.1:$(free_port)
python3 -B "$here/oauth/faults.py" prepare "$work" "$base" "$hostile" "$elsewhere" ||
    die 'the issuers have keys' 'exit 0' "exit $?"
cp -r "$work/hostile/." "$work/stray/"
cp -r "$work/hostile/." "$work/other/"
shop "$work/faults"
cp "$work/ca.pem" "$dir/ca.pem"
public=http://127.0.0.1:$port/mcp
issuer_block() { # URL [LINE...]
	printf '\tissuer "%s" {\n\t\taudience "%s"\n\t\tca "ca.pem"\n\t\trate 1000000 per minute\n' "$1" "$public"
	shift
	[ "$#" -eq 0 ] || printf '\t\t%s\n' "$@"
	printf '\t}\n'
}
{
	for name in adds drops stalls; do issuer_block "$base/$name" 'allow private'; done
	for name in lying moved gone; do issuer_block "$hostile/$name" 'allow private'; done
	for name in drip huge malformed twice redirect error keyless; do
		issuer_block "$hostile/$name" 'allow private' "jwks \"$hostile/$name/jwks\""
	done
	issuer_block "$hostile/private" "jwks \"$hostile/private/jwks\""
	issuer_block "$stray" 'allow private' "jwks \"$stray/jwks\""
	issuer_block "$other" 'allow private' "jwks \"$other/jwks\""
} | with_issuers
good=$(key_add -o operator -s shop:order:read -r 1000000)
daemon_start || die 'the daemon starts without its issuers' ready
timeout 120 python3 -B "$here/oauth/faults.py" run "$work" "$base" "$hostile" "$elsewhere" "$work/server.pem" \
    "$work/server.key" "$port" "$dir/audit" "$public" "$good" "$daemon" \
    "of another name=$stray,of an unknown authority=$other" >"$work/faults.out" 2>"$work/faults.err"
rc=$?
[ "$rc" -eq 0 ] || tail -n 3 "$work/faults.err" | sed 's/^/# /'
counted "$work/faults.out" 'the faults' "$rc"
daemon_stop
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
