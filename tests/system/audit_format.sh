#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The trail can be checked without us: the shell recipe and the HMAC of
# docs/audit-format.md, as they stand there, on a journal that a daemon wrote
# and on the same after it was tampered with.

. "$(dirname "$0")/../lib/harness.sh"

doc=$top/docs/audit-format.md
# block LANGUAGE: the first such block of the page.
block() { awk -v fence="\`\`\`$1" '$0 == fence { on = 1; next } /^```/ { on = 0 } on' "$doc"; }
block sh >"$work/check.sh"
is 'the page has its recipe' yes "$(grep -q sha256sum "$work/check.sh" && echo yes)"

shop "$work/shop"
key=$(key_add -o 'Älice "q"' -s shop:order:read,shop:order:write)
daemon_start || die 'the daemon starts' ready
call "$key" order_lookup '{"order_id":1001}' >/dev/null
call "$key" order_cancel '{"order_id":1002,"reason":"sentinel \" ,\"prev_hash\":\"x"}' >/dev/null
call "$key" order_lookup '{"order_id":"\n,\"prev_hash\":\""}' >/dev/null
call '' order_lookup '{"order_id":1001}' >/dev/null
daemon_stop
journal=$dir/audit
records=$(cat "$journal"/*.jsonl | wc -l)
number 'there are records' "$records" -ge 7

like 'the recipe says ok' "^ok: $records records" "$(sh "$work/check.sh" "$journal" 2>&1)"
is 'audit verify says the same' "audit verify: ok, $records records" \
    "$("$build/pontifexctl" audit verify -j "$journal" | tail -n 1)"
is 'jq reads every line' "$records" "$(cat "$journal"/*.jsonl | jq -c . | wc -l)"

# A redacted argument is found again by its value, and only so.
mac=$(printf %s 'sentinel " ,"prev_hash":"x' | openssl dgst -sha256 -mac HMAC \
    -macopt "hexkey:$(cat "$journal/redact.key")" | sed 's/.* //')
is 'a redacted argument is its HMAC' "hmac-sha256:$mac" \
    "$(cat "$journal"/*.jsonl | jq -r 'select(.kind == "intent") | .tool_params.reason')"
is 'and stands nowhere in clear' '' "$(grep -rl sentinel "$journal" "$daemon_log")"

# Both find what was done to it, at the same record.
tamper() { # NAME SED-SCRIPT RECORD
	local copy=$work/tampered segment
	rm -rf "$copy"
	cp -a "$journal" "$copy"
	segment=$(ls "$copy"/*.jsonl | head -n 1)
	sed -i "$2" "$segment"
	is "$1: the recipe names it" "bad: $segment: record $3" "$(sh "$work/check.sh" "$copy" 2>&1)"
	like "$1: so does audit verify" "FAILED: segment ${segment##*/} line $3 seq" \
	    "$("$build/pontifexctl" audit verify -j "$copy")"
}
tamper 'an edited record' '3s/"node":"/"node":"x/' 3
tamper 'a deleted record' 4d 4
tamper 'a doubled record' '2p' 3
tamper 'a hash of its own' '2s/"hash":"..../"hash":"0000/' 2

# An export, by the page's recipe and by us.
block bash >"$work/check-export.sh"
is 'the page has a recipe for exports' yes "$(grep -q attested "$work/check-export.sh" && echo yes)"
recipe() { bash "$work/check-export.sh" "$1" 2>&1; }
evidence() { "$build/pontifexctl" audit verify -f "$1" -k "$journal/checkpoint.pub" | tail -n 1; }
"$build/pontifexctl" audit export -j "$journal" >"$work/export.jsonl" 2>"$work/export.err"
is 'audit export writes every record' "$records" "$(wc -l <"$work/export.jsonl")"
like 'the recipe says ok of it' "^ok: records 1 to $records, attested up to [0-9]+, the one before the first: yes" \
    "$(recipe "$work/export.jsonl")"
is 'and audit verify' "audit verify: ok, $records records" "$(evidence "$work/export.jsonl")"
# What begins behind a record that a checkpoint attests.
attested=$(jq -r 'select(.event == "checkpoint") | .detail.seq' "$work/export.jsonl" | head -n 1)
"$build/pontifexctl" audit export -j "$journal" -q "$((attested + 2))-$((attested + 2))" >"$work/part.jsonl" 2>"$work/export.err"
is 'a part begins behind the record that a checkpoint attests' "$((attested + 1))" "$(head -n 1 "$work/part.jsonl" | jq .seq)"
like 'the recipe says ok of a part' "^ok: records $((attested + 1)) to .* the one before the first: yes" "$(recipe "$work/part.jsonl")"
like 'and audit verify' 'audit verify: ok' "$(evidence "$work/part.jsonl")"
# Who edits a record and computes all hashes anew cannot sign.
python3 - "$work/export.jsonl" >"$work/forged.jsonl" <<'END'
import hashlib, sys
prev = '0' * 64
for line in open(sys.argv[1]):
    text = line[:-155].replace('order_lookup', 'order_cancel') + '}'
    digest = hashlib.sha256((prev + text).encode()).hexdigest()
    print(text[:-1] + ',"prev_hash":"%s","hash":"%s"}' % (prev, digest))
    prev = digest
END
like 'the recipe finds a forgery that was chained anew' '^bad: record [0-9]+ is not the one' "$(recipe "$work/forged.jsonl")"
like 'and so does audit verify' 'FAILED: .*: forged: the checkpoint in record' "$(evidence "$work/forged.jsonl")"
line=$(grep -n '"http"' "$work/export.jsonl" | head -n 1 | cut -d: -f1)
sed "${line}s/\"http\"/\"HTTP\"/" "$work/export.jsonl" >"$work/edited.jsonl"
is 'the recipe finds an edited line' "bad: record $line" "$(recipe "$work/edited.jsonl")"

done_testing
