#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Reading the trail of a real daemon: tail, also while it grows; search by
# each filter, from the journal, Postgres and an export alike; a report whose
# sums are those of the calls made; exports that verify by themselves; and
# whether a redacted value was used.  A caller who would like to steer the
# reader's terminal is among them.

. "$(dirname "$0")/../lib/harness.sh"

trail() { python3 "$lib/trail.py" "$@"; }
audit() { "$build/pontifexctl" audit "$@" 2>"$work/audit.err"; }

postgres_start || die 'a private Postgres starts' running "$(tail -n 5 "$work/initdb.log" 2>&1)"
out=$(audit_database trail) || die 'auditd/schema.sql loads' 'exit 0' "$out"
sql trail 'ALTER ROLE pontifex_audit LOGIN' >/dev/null
AUDIT_DSN=$(dsn pontifex_audit trail)
READ_DSN=$(dsn postgres trail)
export AUDIT_DSN READ_DSN
shop "$work/shop"
sed -i 's/^\tjournal "audit"/&\n\tpostgres from env "AUDIT_DSN"/' "$conf"
alice=$(key_add -o 'Älice "q" ' -s shop:order:read,shop:order:write -r 100000)
bob=$(key_add -o bob -s shop:order:read -r 100000)
esc=$(printf '\033]0;owned\007\302\2332J\342\200\256')
eve=$(key_add -o eve -s shop:order:read -r 100000)
daemon_start || die 'the daemon starts' ready
for _ in 1 2 3; do call "$alice" order_lookup '{"order_id":1001}'; done
call "$alice" order_cancel '{"order_id":1002,"reason":"sentinel value"}'
cancelled=$status
call "$bob" order_lookup '{"order_id":1001}'
call "$bob" order_cancel '{"order_id":1002,"reason":"x"}'
refused=$(jqb .request_id)
is 'control: a refusal has its request id' 32 "${#refused}"
call '' order_lookup '{"order_id":1001}'
call "$eve" "$(printf %s "$esc" | jq -Rs . | tr -d '"') owner=alice" '{}'
post "$eve" "$(jq -nc --arg n "$esc owner=alice" '{jsonrpc:"2.0",id:1,method:"tools/call",params:{name:$n,arguments:{}}}')" \
    -H 'MCP-Protocol-Version: 2025-11-25'
is 'control: the write was served' 200 "$cancelled"

# ---- tail -f while it grows -------------------------------------------------

audit tail -f -n 1 -j "$dir/audit" >"$work/followed" &
follower=$!
started+=("$follower")
until_true 10 test -s "$work/followed"
call "$bob" order_lookup '{"order_id":1003}'
followed() { [ "$(wc -l <"$work/followed")" -ge 2 ]; }
until_true 10 followed
like 'tail -f shows what comes' 'call ok tool=order_lookup owner=bob' "$(tail -n 1 "$work/followed")"
real=$(pgrep -P "$follower" pontifexctl || echo "$follower")
kill -INT "$real"
wait "$follower"
is 'tail -f ends cleanly when it is interrupted' 0 $?
is 'and has said nothing else' '' "$(cat "$work/audit.err")"

daemon_stop
records=$(journal | wc -l)
drained() { [ "$(sql trail 'SELECT count(*) FROM pontifex.audit')" = "$records" ]; }
if ! until_true 5 drained; then
	daemon_start || die 'the daemon starts again' ready
	more() { [ "$(sql trail 'SELECT count(*) FROM pontifex.audit')" -ge "$records" ]; }
	until_true 20 more
	daemon_stop
	records=$(journal | wc -l)
fi
journal >"$work/all.jsonl"
node=$(head -n 1 "$work/all.jsonl" | jq -r .node)

# Over segments: what is followed moves on to the next one.
f=$work/follow
trail journal "$f" 100000 <"$work/all.jsonl"
last=$(tail -n 1 "$work/all.jsonl" | jq -r .seq)
grep '"kind":"call"' "$work/all.jsonl" | head -n 1 >"$work/pattern"
audit tail -f -n 1 -J -j "$f" >"$work/lines" &
follower=$!
started+=("$follower")
until_true 10 test -s "$work/lines"
next() { printf '{"seq":%d,%s\n' "$1" "$(cut -d, -f2- "$work/pattern")"; }
first_segment=$(ls "$f"/*.jsonl)
next $((last + 1)) >>"$first_segment"
# Half a line is not shown before it is whole.
next $((last + 2)) | head -c 300 >>"$first_segment"
seqs() { jq -r .seq "$work/lines" | tr '\n' ' '; }
shown() { [ "$(seqs)" = "$*" ]; }
until_true 10 shown "$last $((last + 1)) "
is 'tail -f waits for a line to be whole' "$last $((last + 1)) " "$(seqs)"
next $((last + 2)) | tail -c +301 >>"$first_segment"
second=$(printf '%s/%020d.jsonl' "$f" $((last + 3)))
next $((last + 3)) >"$second"
next $((last + 4)) >>"$second"
until_true 10 shown "$last $((last + 1)) $((last + 2)) $((last + 3)) $((last + 4)) "
is 'tail -f goes on in the next segment' "$last $((last + 1)) $((last + 2)) $((last + 3)) $((last + 4)) " "$(seqs)"
# auditd takes back what it could not write whole, and writes anew.
truncate -s "$(next $((last + 3)) | wc -c)" "$second"
taken_back() { grep -q "behind record $((last + 3)) was taken back" "$work/audit.err"; }
until_true 10 taken_back
next $((last + 4)) | sed 's/"kind":"call"/"kind":"event"/' >>"$second"
again() { [ "$(tail -n 1 "$work/lines" | jq -r .kind)" = event ]; }
until_true 10 again
is 'tail -f shows what took the place of a record' event "$(tail -n 1 "$work/lines" | jq -r .kind)"
real=$(pgrep -P "$follower" pontifexctl || echo "$follower")
kill -INT "$real"
wait "$follower"
# A closed pipe.
(
	"$build/pontifexctl" audit tail -f -n 3 -j "$f" 2>"$work/pipe.err"
	echo "$?" >"$work/pipe.status"
) | head -n 1 >/dev/null
until_true 10 test -s "$work/pipe.status"
is 'tail -f ends cleanly when nobody reads on' 0 "$(cat "$work/pipe.status")"
is 'tail -n without -f' 4 "$(audit tail -n 4 -j "$f" | wc -l)"

# ---- search -----------------------------------------------------------------

[ "$(sql trail 'SELECT count(*) FROM pontifex.audit')" = "$records" ] ||
    not_ok 'Postgres has the records' "$records" "$(sql trail 'SELECT count(*) FROM pontifex.audit')"
second_of() { jq -r "select(.seq == $1) | .timestamp" "$work/all.jsonl"; }
middle=$(second_of 5)
finds() { # NAME JQ-CONDITION OPTION...
	local name=$1 wanted where
	wanted=$(jq -c "select($2)" "$work/all.jsonl" | jq -r .seq | sort -n | tr '\n' ' ')
	shift 2
	isnt "control: there is something to find: $name" '' "$wanted"
	for where in "-j $dir/audit" "-p env:READ_DSN" "-f $work/all.jsonl"; do
		# shellcheck disable=SC2086
		is "search $where: $name" "$wanted" \
		    "$(audit search -J $where "$@" | jq -r .seq | sort -n | tr '\n' ' ')"
	done
}
finds 'all' true
finds 'an owner with quotes and a space' '.owner_id == "Älice \"q\" "' -o 'Älice "q" '
finds 'a tool' '.tool_name == "order_cancel"' -t order_cancel
finds 'an outcome' '.outcome == "scope_denied"' -O scope_denied
finds 'ok, without events' '.outcome == "ok" and .kind != "event"' -O ok
finds 'a request' ".request_id == \"$refused\"" -r "$refused"
finds 'a node' true -N "$node"
finds 'since' ".timestamp >= \"$middle\"" -s "$middle"
finds 'until' ".timestamp < \"$middle\"" -u "$middle"
finds 'today, by how long ago' true -s 1d
finds 'a range' '.seq >= 3 and .seq <= 6' -q 3-6
finds 'owner and tool' '.owner_id == "bob" and .tool_name == "order_lookup"' -o bob -t order_lookup
is 'search: nothing' '' "$(audit search -J -f "$work/all.jsonl" -o nobody)"
is 'search: nothing of the coming year' '' "$(audit search -J -j "$dir/audit" -s 2999-01-01)"
is 'search: what SQL would mind' '' "$(audit search -J -p env:READ_DSN -o "x' OR true --")"
for where in "-j $dir/audit" "-p env:READ_DSN" "-f $work/all.jsonl"; do
	# shellcheck disable=SC2086
	is "search $where -l: the newest, oldest first" "$(jq -r 'select(.owner_id == "bob") | .seq' "$work/all.jsonl" | tail -n 2)" \
	    "$(audit search -J $where -o bob -l 2 | jq -r .seq)"
	# shellcheck disable=SC2086
	is "search $where -J: the lines as they stand" "$(sha256sum <"$work/all.jsonl")" \
	    "$(audit search -J $where -q 1- | sort -t: -k2 -n | sha256sum)"
done
out=$(audit search -f "$work/all.jsonl" -o bob)
like 'search: a table has a head' '^TIME +NODE +SEQ' "$(head -n 1 <<<"$out")"
is 'and a row a record' "$(jq -r 'select(.owner_id == "bob") | .seq' "$work/all.jsonl" | wc -l)" "$(tail -n +2 <<<"$out" | wc -l)"
for option in '-O nonsense' '-r 12' '-s yesterday' '-s 2026-02-30' '-s 2026-13-01' '-u 25:00' '-q 5-3' '-q x' '-l 0' '-x'; do
	# shellcheck disable=SC2086
	audit search -f "$work/all.jsonl" $option >/dev/null
	is "search $option is wrong usage" 2 $?
done
for option in '-s 2026-02-28T23' '-s 2026-02-28T23:59:59.1234567Z'; do
	# shellcheck disable=SC2086
	audit search -f "$work/all.jsonl" $option >/dev/null
	is "search $option is wrong usage" 2 $?
done

# ---- terminals --------------------------------------------------------------

is 'control: somebody did try to steer the terminal' yes \
    "$(jq -r .tool_name "$work/all.jsonl" | grep -q "$(printf '\302\233')" && echo yes)"
steers() { LC_ALL=C grep -cE "$(printf '\033|\007|\177|\302\233|\342\200\256')"; }
for command in 'tail -n 1000' search report; do
	# shellcheck disable=SC2086
	is "audit $command steers no terminal" 0 "$(audit $command -j "$dir/audit" | steers)"
	# shellcheck disable=SC2086
	like "audit $command: a tool's name is no field of ours" '"[?][^"]* owner=alice"' \
	    "$(audit $command -j "$dir/audit")"
done
cat >"$work/terminal.py" <<'END'
import os, pty, sys
pty.spawn(sys.argv[1:], lambda fd: os.read(fd, 65536))
END
is 'JSON steers no terminal either' 0 "$(python3 "$work/terminal.py" "$build/pontifexctl" audit search -J -j "$dir/audit" </dev/null | steers)"
is 'and says the same' "$(jq -rs 'map(.tool_name) | tostring' "$work/all.jsonl")" \
    "$(python3 "$work/terminal.py" "$build/pontifexctl" audit search -J -j "$dir/audit" </dev/null | tr -d '\r' | jq -rs 'map(.tool_name) | tostring')"
{ head -n 3 "$work/all.jsonl"; printf '\033[2J not a record\n'; sed -n 4p "$work/all.jsonl"; } >"$work/dirty"
out=$("$build/pontifexctl" audit search -J -f "$work/dirty" 2>"$work/err")
is 'a line that is no record makes search fail' 1 $?
is 'and is not shown' 0 "$(steers <<<"$out")"
is 'but the others are' 4 "$(wc -l <<<"$out")"

# ---- report -----------------------------------------------------------------

for where in "-j $dir/audit" "-p env:READ_DSN" "-f $work/all.jsonl"; do
	# shellcheck disable=SC2086
	report=$(audit report -J $where)
	is "report $where: its calls are the sum of calls" "$(jq -s 'map(select(.kind != "event") | .calls) | add' "$work/all.jsonl")" \
	    "$(jq .calls <<<"$report")"
	is "report $where: and the sum of its parts" "$(jq .calls <<<"$report")" "$(jq '.ok + .refused + .failed' <<<"$report")"
	is "report $where: who used what" "$(jq -s '[.[] | select(.owner_id == "bob" and .tool_name == "order_lookup") | .calls] | add' "$work/all.jsonl")" \
	    "$(jq '.use[] | select(.owner == "bob" and .tool == "order_lookup") | .ok' <<<"$report")"
	is "report $where: what was refused, and why" 1 \
	    "$(jq '.refused_by[] | select(.reason == "missing_scope") | .calls' <<<"$report")"
	is "report $where: uses add up" "$(jq .calls <<<"$report")" "$(jq '[.use[].calls] | add' <<<"$report")"
	is "report $where: the most used tool comes first" order_lookup "$(jq -r '.tools[0].tool' <<<"$report")"
done
is 'a write is one call' 1 "$(jq '.use[] | select(.owner != "bob" and .tool == "order_cancel") | .calls' <<<"$report")"
like 'report as a table' 'order_lookup' "$(audit report -j "$dir/audit" -s 1d)"
is 'report of a period' "$(jq -s "map(select(.kind != \"event\" and .timestamp >= \"$middle\") | .calls) | add" "$work/all.jsonl")" \
    "$(audit report -J -p env:READ_DSN -s "$middle" | jq .calls)"
# Callers name tools as they like: what is told apart is bounded.
is 'and of a period without calls' 0 "$(audit report -J -j "$dir/audit" -u 2020-01-01 | jq .calls)"

# ---- hash -------------------------------------------------------------------

mac=hmac-sha256:$(printf %s 'sentinel value' | openssl dgst -sha256 -mac HMAC \
    -macopt "hexkey:$(cat "$dir/audit/redact.key")" | sed 's/.* //')
is 'hash prints the form of the trail' "$mac" "$(printf 'sentinel value\n' | audit hash -K "$dir/audit/redact.key" -)"
is 'of a value on the command line too' "$mac" "$(audit hash -K "$dir/audit/redact.key" 'sentinel value')"
used=$(grep -c "$mac" "$work/all.jsonl")
number 'control: it was used' "$used" -ge 1
is 'hash says where, of a journal' "audit hash: used in $used records" \
    "$(printf %s 'sentinel value' | audit hash -j "$dir/audit" - | tail -n 1)"
is 'of Postgres' "audit hash: used in $used records" \
    "$(printf %s 'sentinel value' | audit hash -K "$dir/audit/redact.key" -p env:READ_DSN - | tail -n 1)"
is 'and that it was not' 'audit hash: not used' "$(printf %s 'sentinel valu' | audit hash -j "$dir/audit" - | tail -n 1)"
audit hash -K "$work/all.jsonl" x >/dev/null
is 'a file that is no key' 1 $?
audit hash -K "$dir/audit/redact.key" >/dev/null
is 'no value is wrong usage' 2 $?

# ---- export -----------------------------------------------------------------

k=$work/node.key
trail make "$work/pattern" "$k" 95 10 >"$work/long"
trail key "$k" >"$work/node.pub"
trail journal "$work/long.j" 16 <"$work/long"
sql trail 'SET session_replication_role = replica; TRUNCATE pontifex.audit' >/dev/null
trail load <"$work/long" >"$work/load.sql"
sql_file trail "$work/load.sql" >"$work/load.out" || not_ok 'the rows load' 'exit 0' "$(cat "$work/load.out")"
exports() { # NAME FIRST LAST OPTION...
	local name=$1 first=$2 last=$3 where got
	shift 3
	for where in "-j $work/long.j" "-p env:READ_DSN" "-f $work/long"; do
		# shellcheck disable=SC2086
		audit export $where "$@" >"$work/evidence"
		is "export $where: $name" 0 $?
		got=$(jq -r .seq "$work/evidence")
		is "export $where: $name: its range" "$first $last" "$(head -n 1 <<<"$got") $(tail -n 1 <<<"$got")"
		is "export $where: $name: the lines as they stand" "$(sed -n "$first,${last}p" "$work/long" | sha256sum)" \
		    "$(sha256sum <"$work/evidence")"
		is "export $where: $name: verifies by itself" "audit verify: ok, $((last - first + 1)) records" \
		    "$(audit verify -f "$work/evidence" -k "$work/node.pub" | tail -n 1)"
	done
}
exports 'in the middle' 31 51 -q 35-45
exports 'from where a checkpoint attests' 41 51 -q 41-50
exports 'at the beginning' 1 11 -q 1-5
exports 'of a period' 21 41 -s 2026-11-24T10:00:03 -u 2026-11-24T10:00:03.5
exports 'all' 1 95
exports 'one checkpoint, which attests what is before it' 41 41 -q 41-41
exports 'past the last checkpoint' 81 95 -q 85-95
audit export -j "$work/long.j" -q 85-95 >"$work/evidence"
like 'export says what is not covered' 'no checkpoint covers' "$(cat "$work/audit.err")"
audit export -j "$work/long.j" -q 35-45 >"$work/evidence"
like 'and which checkpoint covers' 'records 31 to 51, covered by the checkpoint in record 51' "$(cat "$work/audit.err")"
sed -i '3s/"http"/"HTTP"/' "$work/evidence"
like 'control: an export that was edited does not verify' 'FAILED: .*line 3 seq 33: the record was changed' \
    "$(audit verify -f "$work/evidence" -k "$work/node.pub" | tail -n 1)"
audit export -j "$work/long.j" -q 35-45 | sed 1d >"$work/evidence"
like 'nor does one whose first record was taken away' 'FAILED: .*seq 32: earlier records are missing' \
    "$(audit verify -f "$work/evidence" -k "$work/node.pub" | tail -n 1)"
audit export -j "$work/long.j" -q 500-600 >"$work/evidence"
is 'an export of nothing fails' 1 $?
done_testing
