#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Checkpoints: made by number and by time, with a key that auditd alone
# holds; in the journal, in the log and in files; true by openssl and jq.
# Old segments go when their time is over, and that is told before.

. "$(dirname "$0")/../lib/harness.sh"

# audit_words NAME WORDS [LINES]: a configuration with these after the
# journal's path, and these lines behind.
audit_words() {
	shop "$work/$1"
	sed -i "s|journal \"audit\"|journal \"audit\" $2|" "$conf"
	[ -z "${3:-}" ] || sed -i "s|^\tjournal .*|&\n$3|" "$conf"
	key=$(key_add -o alice -s shop:order:read,shop:order:write -r 1000000)
	daemon_start || die "$1: the daemon starts" ready
}
points() { journal | jq -c 'select(.event == "checkpoint") | .detail'; }
calls() { # COUNT
	local n
	for n in $(seq "$1"); do call "$key" order_lookup '{"order_id":1001}'; done
}
# proven FILE-OF-CHECKPOINTS PUBLIC-KEY-FILE: openssl says that each is signed.
proven() {
	local line n=0
	{
		printf '302a300506032b6570032100'
		cat "$2"
	} | tr -d '\n' | xxd -r -p >"$work/pub.der"
	while IFS= read -r line; do
		printf %s "$line" | sed 's/,"signature":"[0-9a-f]*"}$/}/' | tr -d '\n' >"$work/signed"
		printf %s "$line" | jq -r .signature | xxd -r -p >"$work/signature"
		openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/pub.der" -rawin -in "$work/signed" \
		    -sigfile "$work/signature" >/dev/null 2>&1 || return 1
		n=$((n + 1))
	done <"$1"
	[ "$n" -gt 0 ]
}
# attested: every checkpoint of the journal names the hash of the record that it names.
attested() {
	journal | jq -sr '(map({key: (.seq | tostring), value: .hash}) | from_entries) as $h |
	    [.[] | select(.event == "checkpoint") | .detail | $h[.seq | tostring] == .hash] | unique | tojson'
}

audit_words number '' '\tcheckpoint every 5 records\n\tcheckpoint to "heads"\n\tcheckpoint to "more.heads"'
calls 23
number 'every five records' "$(points | wc -l)" -ge 5
is 'never two in a row' 0 "$(journal | jq -sr '[.[].event] | [.[:-1], .[1:]] | transpose |
    map(select(.[0] == "checkpoint" and .[1] == "checkpoint")) | length')"
is 'each names the hash of a record' '[true]' "$(attested)"
is 'the node is in it' "$(journal | jq -r .node | head -n 1)" "$(points | jq -r .node | sort -u)"
is 'the key too' "$(cat "$dir/audit/checkpoint.pub")" "$(points | jq -r .key | sort -u)"
is 'its file holds the same' "$(points)" "$(cat "$dir/heads")"
is 'so does the other one' "$(points)" "$(cat "$dir/more.heads")"
like 'and the log' "audit checkpoint $(points | tail -n 1 | sed 's/[][{}.*]/\\&/g')" "$(cat "$daemon_log")"
succeeds 'openssl says that they are signed' proven "$dir/heads" "$dir/audit/checkpoint.pub"
# The controls.
sed 's/"seq":\([0-9]*\)/"seq":1\1/' "$dir/heads" >"$work/bent"
fails 'not for another number' proven "$work/bent" "$dir/audit/checkpoint.pub"
openssl genpkey -algorithm ed25519 -outform DER 2>/dev/null | openssl pkey -inform DER -pubout -outform DER 2>/dev/null |
    tail -c 32 | xxd -p -c 64 >"$work/other.pub"
fails 'not with another key' proven "$dir/heads" "$work/other.pub"
is 'the key is auditd'\''s alone' 600 "$(stat -c %a "$dir/audit/checkpoint.key")"
is 'the chain holds' 0 "$(audit_verify >/dev/null; echo $?)"
like 'status names the last one' "audit_checkpoint_seq $(points | tail -n 1 | jq .seq)" "$(ctl status -v)"
# A file that cannot be written: said, and mended by itself.
heads=$(cat "$dir/heads" | wc -l)
auditd=$(child_pids auditd)
kill -9 "$auditd"
until_true 10 process_gone "$auditd"
until_true 10 daemon_ready
calls 6
number 'after auditd'\''s death it goes on' "$(cat "$dir/heads" | wc -l)" -gt "$heads"
is 'with the same key' 1 "$(points | jq -r .key | sort -u | wc -l)"
before=$(journal | wc -l)
daemon_stop
is 'the end is covered' '["stop","checkpoint"]' "$(journal | tail -n 2 | jq -sc 'map(.event)')"
number 'the stop is recorded' "$(journal | wc -l)" -gt "$before"
is 'and so are the files' "$(points)" "$(cat "$dir/heads")"
like 'audit verify is content with both' 'audit verify: ok' "$("$build/pontifexctl" audit verify -j "$dir/audit" \
    -k "$dir/audit/checkpoint.pub" -c "$dir/heads" 2>&1)"

audit_words time '' '\tcheckpoint every 1000000 records\n\tcheckpoint every 300ms\n\tcheckpoint to "/nonexistent/heads"'
like 'a file out of reach is said' 'checkpoint to /nonexistent/heads: open' "$(cat "$daemon_log")"
like 'and in status' 'audit_checkpoint failed: /nonexistent/heads' "$(ctl status -v)"
calls 1
is 'but no call fails for it' none "$(error_code)"
one_more() { [ "$(points | wc -l)" -ge 2 ]; }
until_true 10 one_more
succeeds 'after its time there is one' one_more
count=$(points | wc -l)
sleep 1
is 'and no more while nothing happens' "$count" "$(points | wc -l)"
is 'each names the hash of a record, again' '[true]' "$(attested)"
daemon_stop

# A public half that is not the key's is noticed.
printf '%064d\n' 0 >"$dir/audit/checkpoint.pub"
daemon_start || die 'it starts again' ready
like 'a public key that was changed is said' 'tampered with: checkpoint.pub' "$(cat "$daemon_log")"
is 'and mended' "$(points | tail -n 1 | jq -r .key)" "$(cat "$dir/audit/checkpoint.pub")"
daemon_stop

# Old segments.
audit_words keep 'segment 8K keep 10d'
calls 60
daemon_stop
segments=$(ls "$dir"/audit/*.jsonl | wc -l)
number 'there are several segments' "$segments" -ge 5
all=$(journal | wc -l)
third=$(ls "$dir"/audit/*.jsonl | sed -n 4p)
touch -d '11 days ago' $(ls "$dir"/audit/*.jsonl | head -n 3)
touch -d '9 days ago' "$third"
last=$((10#$(basename "$third" .jsonl) - 1))
hash=$(journal | jq -r "select(.seq == $last) | .hash")
daemon_start || die 'it starts with old segments' ready
removed() { [ "$(ls "$dir"/audit/*.jsonl | head -n 1)" = "$third" ]; }
until_true 10 removed
succeeds 'those whose time is over go, the others stay' removed
is 'it was told, with the hash before what is left' "{\"first\":1,\"last\":$last,\"hash\":\"$hash\"}" \
    "$(journal | jq -c 'select(.event == "removed") | .detail')"
is 'and signed' true "$(journal | jq -s '(map(select(.event == "removed"))[0].seq) as $r |
    $r != null and any(.[]; .event == "checkpoint" and .detail.seq >= $r)')"
calls 1
is 'calls go on' none "$(error_code)"
like 'audit verify is content with what is left' 'audit verify: ok' "$(audit_verify)"
number 'with numbers that go on' "$(journal | tail -n 1 | jq .seq)" -gt "$all"
daemon_stop

# With a database that has not got them nothing goes.
export AUDIT_DSN="host=$work port=1 dbname=nowhere user=nobody"
audit_words undrained 'segment 8K keep 1d' '\tpostgres from env "AUDIT_DSN"'
calls 30
daemon_stop
touch -d '11 days ago' "$dir"/audit/*.jsonl
segments=$(ls "$dir"/audit/*.jsonl | wc -l)
number 'there are several segments again' "$segments" -ge 3
daemon_start || die 'it starts without its database again' ready
calls 1
number 'what the database has not got stays' "$(ls "$dir"/audit/*.jsonl | wc -l)" -ge "$segments"
is 'all of it' 1 "$(journal | head -n 1 | jq .seq)"
daemon_stop
done_testing
