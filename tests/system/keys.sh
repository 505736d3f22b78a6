#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The life of a key: made, listed, used, expired, revoked, edited by hand
# while the daemon runs; and one answer for whatever is wrong with one.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
first=$(key_add -o alice -s shop:order:read -l 'first: of three' -r 100)
second=$(key_add -o bob -s shop:order:read,shop:order:write -e 2099-12-31 -a tenant=acme)
is 'the key file is for its owner alone' 600 "$(stat -c %a "$keys")"
is 'so is the pepper' 600 "$(stat -c %a "$keys.pepper")"
is 'a key a line' 2 "$(wc -l <"$keys")"
unlike 'no plaintext is stored' "$(secret_of "$first")|$(secret_of "$second")" "$(cat "$keys" "$keys.pepper")"
is 'key add prints the key and nothing else' 1 "$(key_add -o eve -s shop:order:read | wc -l)"

list=$("$build/pontifexctl" key list -F "$keys")
like 'key list shows id and owner' "$(key_id "$first").*alice" "$list"
like 'key list shows scopes' 'shop:order:write' "$list"
like 'key list shows the expiry' '2099-12-31' "$list"
like 'key list shows the label' 'first: of three' "$list"
unlike 'key list never shows a hash' "$(cut -d: -f2 "$keys" | paste -sd'|')" "$list"

# U+009B begins a command of a terminal.
"$build/pontifexctl" key add -F "$keys" -o $'mal\xc2\x9b2Jlory' -l $'\xc2\x9b2J' -a $'a=\xc2\x9b2J' -s shop:order:read >/dev/null
is 'key list steers no terminal' '0 1' "$("$build/pontifexctl" key list -F "$keys" | LC_ALL=C grep -c $'\x9b') $("$build/pontifexctl" key list -F "$keys" | grep -c 'mal?2Jlory')"

refused() { # NAME OPTIONS...
	local name=$1 before out
	shift
	before=$(sha256sum <"$keys")
	if out=$("$build/pontifexctl" key add -F "$keys" "$@" 2>&1); then
		not_ok "$name" 'a refusal' "exit 0: $out"
	elif [ -z "$out" ]; then
		not_ok "$name" 'a message' none
	elif [ "$before" != "$(sha256sum <"$keys")" ]; then
		not_ok "$name" 'an unchanged file' 'a changed one'
	else
		ok "$name"
	fi
}
refused 'a star in the namespace is refused' -o x -s '*:order:read'
refused 'an empty segment is refused' -o x -s 'shop::read'
refused 'a missing segment is refused' -o x -s 'shop'
refused 'no scope is refused' -o x
refused 'no owner is refused' -s shop:order:read
refused 'a rate of 0 is refused' -o x -s shop:order:read -r 0
refused 'a negative rate is refused' -o x -s shop:order:read -r -5
refused 'a rate that is no number is refused' -o x -s shop:order:read -r 10x
refused 'a rate of another time is refused' -o x -s shop:order:read -r 10/d
refused 'a burst of none is refused' -o x -s shop:order:read -r 10/s:0
refused 'a date in the past is refused' -o x -s shop:order:read -e 2020-01-01
refused 'a date that is none is refused' -o x -s shop:order:read -e 2099-02-30
succeeds 'a star below the namespace is fine' "$build/pontifexctl" key add -F "$keys" -o y -s 'shop:*:read'

daemon_start || die 'the daemon starts' ready
call "$first" order_lookup '{"order_id":1001}'
is 'a key works' 200 "$status"
star=$(key_add -o star -s 'shop:*:read')
until_true 10 eval 'call "$star" order_lookup "{\"order_id\":1001}"; [ "$status" = 200 ]'
is 'a key added while the daemon runs works' 200 "$status"
call "$star" order_cancel '{"order_id":1001}'
is 'a star does not widen the verb' 403 "$status"

# -- one answer for every bad credential, but for the request id
same() { # of $body and $head, without what may differ
	printf '%s\n%s\n' "$(sed 's/"request_id":"[0-9a-f]*"/"request_id":""/' <<<"$body")" \
	    "$(grep -iv '^date:' <<<"$head")"
}
id=$(key_id "$first") secret=${first##sk_live_"$id"_}
expired=$(key_add -o old -s shop:order:read -e 2099-01-01)
# Expiry by hand, as configuration management might: the date in its line.
sed -i "/^$(key_id "$expired"):/s/:2099-01-01/:2001-01-01/" "$keys"
revoked=$(key_add -o gone -s shop:order:read)
succeeds 'reload' ctl reload
call "$revoked" order_lookup '{"order_id":1001}'
is 'a key works at once after a reload' 200 "$status"
succeeds 'key revoke' "$build/pontifexctl" key revoke -F "$keys" "$(key_id "$revoked")"
fails 'key revoke of an unknown id' "$build/pontifexctl" key revoke -F "$keys" nosuchid
until_true 10 eval 'call "$revoked" order_lookup "{\"order_id\":1001}"; [ "$status" = 401 ]'
is 'a revoked key is refused' 401 "$status"
call "$expired" order_lookup '{"order_id":1001}'
is 'an expired key is refused' 401 "$status"
wanted=$(same)
while IFS='|' read -r name credential; do
	call "$credential" order_lookup '{"order_id":1001}'
	is "the same 401, byte for byte: $name" "$wanted" "$(same)"
done <<EOF
revoked|$revoked
unknown id|sk_live_zzzzzzzz_$secret
wrong secret|sk_live_${id}_${secret%?}$([ "${secret: -1}" = A ] && echo B || echo A)
another environment|sk_test_${id}_$secret
cut short|sk_live_${id}_${secret%????}
too long|sk_live_${id}_${secret}AAAA
no key at all|hello
a token of another kind|eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.
EOF
unlike 'the message does not hold the request id' "$(jqb .request_id)" "$(jqb .message)"
for reason in expired_key unknown_key bad_secret malformed_credential; do
	number "the trail knows the reason: $reason" "$(journal_count ".reason == \"$reason\"")" -ge 1
done

# -- revocation is in force for the next call
call "$second" order_lookup '{"order_id":1001}'
is 'before its revocation' 200 "$status"
"$build/pontifexctl" key revoke -F "$keys" "$(key_id "$second")" >/dev/null
ctl reload >/dev/null
call "$second" order_lookup '{"order_id":1001}'
is 'after revocation and reload, the next call is refused' 401 "$status"
# A hand that takes out the line, as configuration management does: by rename.
grep -v "^$id:" "$keys" >"$dir/keys.new"
chmod 600 "$dir/keys.new"
mv "$dir/keys.new" "$keys"
begun=$(date +%s%N)
until_true 10 eval 'call "$first" order_lookup "{\"order_id\":1001}"; [ "$status" = 401 ]'
is 'a line taken out of the file is in force without a word' 401 "$status"
note "it took $((($(date +%s%N) - begun) / 1000000)) ms"
call "$star" order_lookup '{"order_id":1001}'
is 'the others still work' 200 "$status"

# -- a file that is broken changes nothing
printf 'this is no key file\n' >>"$keys"
ctl reload >/dev/null 2>&1
call "$star" order_lookup '{"order_id":1001}'
is 'a broken line does not lock the others out' 200 "$status"
sed -i '/this is no key file/d' "$keys"
# As by a disk that is full: what is left of the last line is another scope.
cp -p "$keys" "$work/whole"
cut=$(key_add -o cut -s shop:order:read_nothing)
truncate -s "-$(printf '_nothing\n' | wc -c)" "$keys"
like 'control: what is left of the line would do' ':shop:order:read$' "$(tail -n 1 "$keys")"
ctl reload >/dev/null 2>&1
call "$cut" order_lookup '{"order_id":1001}'
is 'a line that was cut short grants nothing' 401 "$status"
call "$star" order_lookup '{"order_id":1001}'
is 'the others go on' 200 "$status"
refused 'nor is it made whole by what is added' -o x -s shop:order:read
like 'key list names it' ': it has no end, .*: it grants nothing' "$("$build/pontifexctl" key list -F "$keys" 2>&1 >/dev/null)"
cp -p "$work/whole" "$keys"
# What cannot be read is not replaced by what could.
before=$(sha256sum <"$keys")
fails 'a key file that cannot be read to its end is not added to' strace -qq -o /dev/null -P "$keys" -e trace=read \
    -e inject=read:error=EIO:when=1 "$build/pontifexctl" key add -F "$keys" -o x -s shop:order:read
is 'and stays as it is' "$before" "$(sha256sum <"$keys")"

# -- the rate of a key
key_add -o hasty -s shop:order:read -r 10/s:20 >/dev/null
key_add -o steady -s shop:order:read -r 600/m >/dev/null
like 'key list shows a rate of another time' '10/s:20 +hasty' "$("$build/pontifexctl" key list -F "$keys")"
like 'and one by the minute as ever' '600/min +steady' "$("$build/pontifexctl" key list -F "$keys")"
like 'which the file has as ever, too' ':steady:steady:600:' "$(cat "$keys")"
hourly=$(key_add -o hourly -s shop:order:read -r 5/h:2)
ctl reload >/dev/null
until_true 10 eval 'call "$hourly" order_lookup "{\"order_id\":1001}"; [ "$status" != 401 ]'
call "$hourly" order_lookup '{"order_id":1001}'
call "$hourly" order_lookup '{"order_id":1001}'
is 'a key with a burst of its own' '429 "caller";q=5;w=3600' "$status $(sed -n 's/^RateLimit-Policy: //Ip' <<<"$head")"
slow=$(key_add -o slow -s shop:order:read -r 3)
ctl reload >/dev/null
until_true 10 eval 'call "$slow" order_lookup "{\"order_id\":1001}"; [ "$status" = 200 ]'
for _ in 1 2 3 4; do call "$slow" order_lookup '{"order_id":1001}'; done
is 'over its rate: 429' '429 rate_limited true' "$status $(jqb .error_code) $(jqb .retry)"
like '429 says when to come again' '^[Rr]etry-[Aa]fter: [0-9]+$' "$head"
number 'so does the body' "$(jqb .retry_after_seconds)" -ge 1
call "$star" order_lookup '{"order_id":1001}'
is 'another key is not held back by it' 200 "$status"
daemon_stop
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"

# -- penalties: the right key is refused too, for a while, from that address
shop "$work/penalty"
good=$(key_add -o good -s shop:order:read)
daemon_start || die 'the daemon starts' ready
for _ in $(seq 25); do call sk_live_nobody_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA order_lookup '{"order_id":1001}'; done
like 'failure upon failure: held back' '^(401|429)$' "$status"
daemon_stop
# Below 20 failures in the minute there is no penalty.
daemon_start || die 'the daemon starts' ready
for _ in $(seq 10); do call sk_live_nobody_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA order_lookup '{"order_id":1001}'; done
call "$good" order_lookup '{"order_id":1001}'
is 'a few failures hold nobody back' 200 "$status"
done_testing
