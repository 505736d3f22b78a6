#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What `pontifexctl audit verify' finds, from the chair of somebody who can
# write where the trail lies: in the folder of a journal, in an export and in
# the table as a superuser.  Each forgery is tried on all three, and the same
# trail untouched before it.  The forger knows the format and computes every
# hash; what he lacks is auditd's key.  tests/lib/trail.py is he.

. "$(dirname "$0")/../lib/harness.sh"

trail() { python3 "$lib/trail.py" "$@"; }
verify() { "$build/pontifexctl" audit verify "$@" 2>&1; }

postgres_start || die 'a private Postgres starts' running "$(tail -n 5 "$work/initdb.log" 2>&1)"
out=$(audit_database trail) || die 'auditd/schema.sql loads' 'exit 0' "$out"
TRAIL_DSN=$(dsn postgres trail)
export TRAIL_DSN
empty_table() { sql trail 'SET session_replication_role = replica; TRUNCATE pontifex.audit' >/dev/null; }

# A record of a real daemon is the pattern of those that are forged here.
shop "$work/shop"
key=$(key_add -o alice -s shop:order:read)
daemon_start || die 'the daemon starts' ready
call "$key" order_lookup '{"order_id":1001}'
daemon_stop
like 'a daemon'\''s own journal verifies' '^audit verify: ok' "$(audit_verify | tail -n 1)"
journal | grep '"kind":"call"' | head -n 1 >"$work/pattern"
[ -s "$work/pattern" ] || die 'there is a record to forge after' 'a call' "$(journal)"

k=$work/node.key
trail make "$work/pattern" "$k" 40 10 edge-1 >"$work/good"
trail key "$k" >"$work/node.pub"
trail saved 31 <"$work/good" >"$work/saved"
is 'the trail has its checkpoints' 3 "$(grep -c '"event":"checkpoint"' "$work/good")"

# on PLACE LINES-FILE [load's option]: makes the place hold just these lines.
# Sets $place, the options that name it.
on() {
	case $1 in
	journal)
		rm -rf "$work/j"
		trail journal "$work/j" 16 <"$2"
		place=(-j "$work/j") ;;
	file)
		cp "$2" "$work/export.jsonl"
		place=(-f "$work/export.jsonl") ;;
	postgres)
		empty_table
		# shellcheck disable=SC2086
		trail load ${3:-} <"$2" >"$work/load.sql"
		sql_file trail "$work/load.sql" >"$work/load.out" ||
		    not_ok "the rows load" 'exit 0' "$(cat "$work/load.out")"
		place=(-p env:TRAIL_DSN) ;;
	esac
}

# finds NAME ATTACK EXPRESSION [VERIFY-OPTION...]: on all three places the
# trail is good before and the last line says what is wrong after.
positions= signer=$work/mallory.key
finds() {
	local name=$1 attack=$2 wanted=$3 where status
	shift 3
	trail attack "$attack" "$signer" <"$work/good" >"$work/bad"
	for where in journal file postgres; do
		on "$where" "$work/good"
		out=$(verify "${place[@]}" "$@")
		is "control: $where, before: $name" '0 audit verify: ok, 40 records' "$? $(tail -n 1 <<<"$out")"
		on "$where" "$work/bad" "$positions"
		out=$(verify "${place[@]}" "$@")
		status=$?
		like "$where: $name" "^1 audit verify: FAILED: .*$wanted" "$status $(tail -n 1 <<<"$out")"
	done
}

finds 'an edited record' edit 'seq 14: the record was changed'
finds 'an edited record with a hash of its own' edit_with_hash 'seq 15: the chain is broken'
finds 'a record taken out' delete 'seq 15: records before it are missing'
positions=positions
finds 'a record that stands there twice' insert 'seq 14: out of order'
finds 'two records in the other order' reorder 'seq 15: records before it are missing'
positions=
finds 'a cut end, by a checkpoint kept elsewhere' cut 'seq 26: the end was cut: .* attests record 30' \
    -c "$work/saved"
finds 'a swapped key, by the key kept elsewhere' swapped_key 'seq 11: .* key that is not trusted' \
    -k "$work/node.pub"
finds 'a swapped key, by a checkpoint kept elsewhere' swapped_key 'seq 11: .* key that is not trusted' \
    -c "$work/saved"
finds 'a key that changes on the way, by nothing else' swapped_key_later 'seq 21: .* another key'
finds 're-chained after an edit' rechained \
    'seq 20: forged: the checkpoint in record 21 attests another one; records 11 to 20 are in doubt'
finds 're-chained, by a checkpoint kept elsewhere' rechained_stripped \
    'seq 30: forged: the checkpoint in .*saved line 1' -c "$work/saved"
finds 're-chained and the checkpoints stripped' rechained_stripped \
    'seq 11: no checkpoint from here on: 27 records' -m 26
finds 'old checkpoints in place of those that do not fit' replayed_checkpoints \
    'seq 11: no checkpoint from here on: [0-9]+ records' -m 25
finds 'a signature of another checkpoint' signature 'seq 21: .*signature does not fit'
finds 'the first segment gone' front 'seq 17: earlier records are missing'
# Even if auditd itself had signed for a removal, it must be of these records.
signer=$k
finds 'the first segment gone, and a note of removal that names another record' removed_wrong \
    'seq 17: earlier records are missing$' -k "$work/node.pub"
finds 'the first segment gone, and a note of removal that is not signed for' removed_uncovered \
    'seq 17: earlier records are missing: no checkpoint covers'
signer=$work/mallory.key
finds 'the first segment gone, and a note of removal that somebody else signed for' removed \
    'seq 42: .* another key'

# Without -m the bound is that of the default settings, five times over.
trail make "$work/pattern" "$k" 6000 1000 edge-1 >"$work/long"
on journal "$work/long"
is 'control: a long trail with checkpoints' 'audit verify: ok, 6000 records' "$(verify "${place[@]}" | tail -n 1)"
like 'and how much of its end is not covered' 'the last 999 records not covered' "$(verify "${place[@]}")"
cp "$work/long" "$work/good"
trail attack rechained_stripped x <"$work/good" | sed -n '1,5020p' >"$work/bad"
# Its first checkpoint attests 1000: what it leaves is the first 11 records.
on journal "$work/bad"
mkdir -p "$work/j"
cp "$work/node.pub" "$work/j/checkpoint.pub"
like 'a trail that lost all of its checkpoints, by checkpoint.pub' 'FAILED: seq 1: no checkpoint from here on: 5020 records' \
    "$(verify "${place[@]}" | tail -n 1)"
trail make "$work/pattern" "$k" 40 10 edge-1 >"$work/good"

# What is allowed to begin after 1.
trail attack removed "$k" <"$work/good" >"$work/removed"
for where in journal file postgres; do
	on "$where" "$work/removed"
	out=$(verify "${place[@]}" -k "$work/node.pub")
	is "$where: removal that is told and signed for" 'audit verify: ok, 26 records' "$(tail -n 1 <<<"$out")"
	like "$where: and the output tells it" 'removal of those before told in record 41' "$out"
done
trail attack front x <"$work/good" >"$work/front"
trail saved 21 <"$work/good" >"$work/after"
for where in journal postgres; do
	on "$where" "$work/front"
	is "$where: -a: what is before a checkpoint kept elsewhere may be gone" '0 audit verify: ok, 24 records' \
	    "$(verify "${place[@]}" -a "$work/after" | tail -n 1 | sed 's/^/0 /')"
	trail saved 11 <"$work/good" >"$work/earlier"
	like "$where: -a: but not what is behind it" 'FAILED: .*seq 17: earlier records are missing' \
	    "$(verify "${place[@]}" -a "$work/earlier" | tail -n 1)"
done

# A saved checkpoint is looked at before it is believed.
on journal "$work/good"
sed 's/"seq":30/"seq":29/' "$work/saved" >"$work/altered"
like 'a saved checkpoint that was altered proves nothing' 'FAILED: .*altered line 1: the checkpoint.s signature' \
    "$(verify "${place[@]}" -c "$work/altered" | tail -n 1)"
{ echo 'Nov 24 10:00:00 edge-1 pontifexd: unrelated'
	printf 'Nov 24 10:00:01 edge-1 auditd[7]: checkpoint: %s\n' "$(cat "$work/saved")"; } >"$work/syslog"
out=$(verify "${place[@]}" -c "$work/syslog")
is 'saved checkpoints may stand in a log' 'audit verify: ok, 40 records' "$(tail -n 1 <<<"$out")"
like 'and are met' '1 saved ones met' "$out"
: >"$work/empty"
fails 'a file without a checkpoint is no -c' verify "${place[@]}" -c "$work/empty"
fails 'a file without a key is no -k' verify "${place[@]}" -k "$work/empty"
trail key "$work/other.key" >"$work/other.pub"
like 'control: another key is not trusted' 'FAILED: .*seq 11: .*not trusted' \
    "$(verify "${place[@]}" -k "$work/other.pub" | tail -n 1)"
{ cat "$work/other.pub"; echo "$(cat "$work/node.pub") edge-1"; } >"$work/keys"
is 'a file of keys may name nodes' 'audit verify: ok, 40 records' "$(verify "${place[@]}" -k "$work/keys" | tail -n 1)"
echo "$(cat "$work/node.pub") edge-2" >"$work/keys"
like 'and a key is trusted for its node only' 'FAILED: .*seq 11: .*not trusted' \
    "$(verify "${place[@]}" -k "$work/keys" | tail -n 1)"
cp "$work/node.pub" "$work/j/checkpoint.pub"
like 'the key of the journal is used and named' 'checkpoints: the key is the journal.s checkpoint.pub' "$(verify "${place[@]}")"
cp "$work/other.pub" "$work/j/checkpoint.pub"
like 'and one that does not fit is told' 'FAILED: .*seq 11: .*not trusted' "$(verify "${place[@]}" | tail -n 1)"

# Several nodes in one table and in one export.
k2=$work/node2.key
trail make "$work/pattern" "$k2" 30 10 'ed"ge-2' >"$work/good2"
cat "$work/good" "$work/good2" >"$work/both"
for where in file postgres; do
	on "$where" "$work/both"
	is "$where: two nodes" 'audit verify: ok, 70 records of 2 nodes' "$(verify "${place[@]}" | tail -n 1)"
	is "$where: one of them" 'audit verify: ok, 30 records' "$(verify "${place[@]}" -N 'ed"ge-2' | tail -n 1)"
	{ cat "$work/good"; trail attack edit x <"$work/good2"; } >"$work/bad"
	on "$where" "$work/bad"
	out=$(verify "${place[@]}")
	like "$where: the node and the record are named" 'FAILED: node ed"ge-2 .*seq 14: the record was changed' "$(tail -n 1 <<<"$out")"
	like "$where: the other node is judged as well" 'node edge-1: records 1 to 40' "$out"
	is "$where: control: the other node alone is good" 'audit verify: ok, 40 records' \
	    "$(verify "${place[@]}" -N edge-1 | tail -n 1)"
	verify "${place[@]}" -n edge-1 >"$work/out" 2>&1
	is "$where: by the letter of the manual alone" 2 $?
	trail saved 21 <"$work/good2" >"$work/saved2"
	on "$where" "$work/good"
	like "$where: a node that is gone altogether" 'FAILED: node ed"ge-2 seq 1: there is no record' \
	    "$(verify "${place[@]}" -c "$work/saved2" | tail -n 1)"
done

# Who changes a column and leaves the record alone hides it from a search.
on postgres "$work/good"
alter() { sql trail "SET session_replication_role = replica; UPDATE pontifex.audit SET $1 WHERE seq = 14" >/dev/null; }
while IFS='|' read -r column change; do
	on postgres "$work/good"
	alter "$change"
	like "postgres: the column $column is compared with the record" \
	    "FAILED: node edge-1 seq 14: the column $column does not say" "$(verify "${place[@]}" | tail -n 1)"
done <<'END'
owner_id|owner_id = 'mallory'
owner_id|owner_id = NULL
tool_params|tool_params = '{"order_id": 1}'
ip_address|ip_address = '192.0.2.1'
rows_returned|rows_returned = 0
cache_hit|cache_hit = true
calls|calls = 0
END
on postgres "$work/good"
alter 'tool_params = NULL'
like 'postgres: arguments that a row lost are counted' '^1 rows have no arguments' "$(verify "${place[@]}")"

# The ways to say where Postgres is.
on postgres "$work/good"
ok_line='audit verify: ok, 40 records'
printf %s "$TRAIL_DSN" >"$work/dsn"
chmod 600 "$work/dsn"
is '-p file:' "$ok_line" "$(verify -p "file:$work/dsn" | tail -n 1)"
chmod 644 "$work/dsn"
fails 'a file that others may read is not taken' verify -p "file:$work/dsn"
mkdir -p "$work/credentials"
cp "$work/dsn" "$work/credentials/audit"
chmod 600 "$work/credentials/audit"
is '-p credential:' "$ok_line" "$(CREDENTIALS_DIRECTORY=$work/credentials verify -p credential:audit | tail -n 1)"
is '-p with what holds no password' "$ok_line" "$(verify -p "$TRAIL_DSN" | tail -n 1)"
is 'the environment of libpq' "$ok_line" \
    "$(PGHOST=$pg_dir PGPORT=$pg_port PGUSER=postgres PGDATABASE=trail verify -p '' | tail -n 1)"
out=$(verify -p "$TRAIL_DSN password=hunter2")
like 'a password on the command line is refused' 'FAILED: .*password does not belong' "$(tail -n 1 <<<"$out")"
unlike 'and not repeated' hunter2 "$out"
sql trail 'CREATE ROLE someone LOGIN' >/dev/null
sql trail 'GRANT pontifex_auditor TO someone' >/dev/null
is 'a role that may only read is enough' "$ok_line" "$(verify -p "$(dsn someone trail)" | tail -n 1)"
fails 'a database that is not there' verify -p "$(dsn postgres nowhere)"
fails 'a journal that is not there' verify -j "$work/nowhere"
fails 'an export that is not there' verify -f "$work/nowhere"
verify -j a -p b >/dev/null
is 'two places are wrong usage' 2 $?
done_testing
