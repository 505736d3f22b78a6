#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Keys in daily life: rotated with a grace period, taken over from the
# reference system's database (a real SQLite and a real Postgres export), told
# of before they expire, their last use known; and what each command prints
# and exits with.

. "$(dirname "$0")/../lib/harness.sh"

order='{"order_id":1001}'
keyctl() { "$build/pontifexctl" key "$1" -F "$keys" "${@:2}"; }
works() { call "$1" order_lookup "$order"; [ "$status" = 200 ]; }
is_refused() { call "$1" order_lookup "$order"; [ "$status" = 401 ]; }
listed() { # ID JQ-FILTER
	keyctl list -j | jq -r --arg id "$1" ".keys[] | select(.id == \$id) | $2"
}
exits() { # NAME WANTED COMMAND...: the status, and a word on standard error where it is not 0
	local out err
	out=$("${@:3}" 2>"$work/err" </dev/null)
	is "$1" "$2" $?
	[ "$2" = 0 ] || { err=$(cat "$work/err"); isnt "$1: it says why" '' "$err"; is "$1: nothing is printed" '' "$out"; }
}

shop "$work/shop"
ending=$(key_add -o ending -s shop:order:read -e "$(date -u -d '+5 days' +%F)")
first=$(key_add -o alice -s 'shop:order:read' -l 'The first' -r 1000 -a tenant=acme)
daemon_start || die 'the daemon starts' ready

# -- what ends soon
ending_lines() { grep -ac "key $(key_id "$ending") of ending expires at" "$daemon_log"; }
is 'a key that ends within 14 days is told of in the log' 1 "$(ending_lines)"
unlike 'one that does not is not' "key $(key_id "$first") " "$(grep -a 'expires at' "$daemon_log")"
later=$(key_add -o later -s shop:order:read)
until_true 10 works "$later"
is 'and so once a day, not whenever the file is read' 1 "$(ending_lines)"
like 'status counts it and names the next' "expiring within 14 days 1, the next $(key_id "$ending") at" "$(ctl status -v)"
is 'key list marks it' expiring "$(listed "$(key_id "$ending")" .state)"

# -- rotation
new=$(keyctl rotate "$(key_id "$first")" 2>"$work/err")
is 'key rotate prints the new key and nothing else' 1 "$(wc -l <<<"$new")"
like 'it tells until when the old one lasts' "$(key_id "$new") takes the place of $(key_id "$first"), which expires at" "$(cat "$work/err")"
succeeds 'the new key works' until_true 10 works "$new"
succeeds 'the old one too, for its grace' works "$first"
call "$new" order_cancel "$order"
is 'the new one may do no more than the old' 403 "$status"
same='[.owner, .label, .per_minute, .scopes, .attributes] | tostring'
is 'it has all that the old one had' "$(listed "$(key_id "$first")" "$same")" "$(listed "$(key_id "$new")" "$same")"
left=$(($(date -d "$(listed "$(key_id "$first")" .expires)" +%s) - $(date +%s)))
number 'the grace is a day' "$left" -le 86400
number 'and not less' "$left" -ge 86000
is 'the new one has no end, as the old one had none' null "$(listed "$(key_id "$new")" .expires)"
out=$(keyctl rotate -g 0 -j "$(key_id "$new")")
third=$(jq -r .key <<<"$out")
is 'with -g 0 the old one is revoked' revoked "$(jq -r .old.state <<<"$out")"
succeeds 'it is refused' until_true 10 is_refused "$new"
succeeds 'the newest works' until_true 10 works "$third"
fourth=$(keyctl rotate -g 1s "$(key_id "$third")" 2>/dev/null)
succeeds 'a grace ends by itself' until_true 20 is_refused "$third"
succeeds 'and the key that came after it works' works "$fourth"
renewed=$(keyctl rotate -g 30d "$(key_id "$ending")" 2>/dev/null)
is 'a grace makes no key last longer than it would' "$(listed "$(key_id "$ending")" .expires)" "$(date -u -d '+5 days' +%FT00:00:00Z)"
is 'the new one ends when the old one did' "$(listed "$(key_id "$ending")" .expires)" "$(listed "$(key_id "$renewed")" .expires)"
forever=$(keyctl rotate -e never "$(key_id "$ending")" 2>/dev/null)
is 'unless it is told' null "$(listed "$(key_id "$forever")" .expires)"
before=$(sha256sum <"$keys")
exits 'a revoked key is not rotated' 1 keyctl rotate "$(key_id "$new")"
exits 'nor one that is not there' 1 keyctl rotate nosuchid
exits 'nor one that has expired, unless -e says until when' 1 keyctl rotate "$(key_id "$third")"
exits 'a grace is a length of time' 1 keyctl rotate -g soon "$(key_id "$fourth")"
exits 'and a bounded one' 1 keyctl rotate -g 367d "$(key_id "$fourth")"
exits 'rotate wants one id' 2 keyctl rotate
exits 'an unknown option is wrong usage' 2 keyctl rotate -Z "$(key_id "$fourth")"
is 'none of these changes the file' "$before" "$(sha256sum <"$keys")"

# -- the reference system's keys
python3 - "$work/old.db" "$work/old.sql" >"$work/plain" <<'EOF'
import base64, hashlib, json, os, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('''CREATE TABLE api_keys (key_id VARCHAR NOT NULL PRIMARY KEY, key_hash VARCHAR NOT NULL UNIQUE,
    owner_id VARCHAR NOT NULL, owner_label VARCHAR NOT NULL, scopes JSON NOT NULL,
    rate_limit_rpm INTEGER NOT NULL DEFAULT 60, is_active BOOLEAN NOT NULL DEFAULT 1,
    expires_at DATETIME, last_used_at DATETIME, created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP)''')
sql = open(sys.argv[2], 'w')
sql.write('''CREATE TABLE api_keys (key_id text PRIMARY KEY, key_hash text NOT NULL UNIQUE, owner_id text NOT NULL,
    owner_label text NOT NULL, scopes text[] NOT NULL, rate_limit_rpm int NOT NULL DEFAULT 60,
    is_active bool NOT NULL DEFAULT true, expires_at timestamptz, last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now());\n''')
rows = [
    ('key_carol', ['shop:order:read'], 1, None, 60),
    ('key_dave', ['Shop:*:Read', '*:*:*'], 1, '2099-01-01 00:00:00', 0),
    ('key_eve', ['shop:order:read'], 0, None, 60),
    ('key_frank', ['shop:order:read'], 1, '2020-01-01 00:00:00', 60),
]
for name, scopes, active, expires, rpm in rows:
    key = 'sk_live_' + base64.urlsafe_b64encode(os.urandom(24)).decode()
    print(key)
    digest = hashlib.sha256(key.encode()).hexdigest()
    label = name + ', "quoted"'
    db.execute('INSERT INTO api_keys (key_id, key_hash, owner_id, owner_label, scopes, rate_limit_rpm, is_active, expires_at)'
        ' VALUES (?,?,?,?,?,?,?,?)', (name, digest, name[4:], label, json.dumps(scopes), rpm, active, expires))
    sql.write("INSERT INTO api_keys VALUES ('%s', '%s', '%s', '%s', '{%s}', %d, %s, %s);\n" % (name, digest, name[4:], label,
        ','.join('"%s"' % s for s in scopes), rpm, 'true' if active else 'false', "'%s+02'" % expires if expires else 'NULL'))
db.commit()
EOF
{ read -r carol; read -r dave; read -r eve; read -r frank; } <"$work/plain"
sqlite3 -json "$work/old.db" 'SELECT * FROM api_keys' >"$work/lite.json"
sqlite3 -csv -header "$work/old.db" 'SELECT * FROM api_keys' >"$work/lite.csv"
before=$(sha256sum <"$keys")
like 'import -n counts and changes nothing' '^2 to be imported, 0 already there, 2 skipped, 0 bad$' "$(keyctl import -n "$work/lite.csv" 2>/dev/null)"
is 'nothing is changed' "$before" "$(sha256sum <"$keys")"
is_refused "$carol"
is 'before the import their keys are nobody' 401 "$status"
out=$(keyctl import "$work/lite.json" 2>"$work/err")
like 'a SQLite export is imported' '^2 imported, 0 already there, 2 skipped, 0 bad$' "$out"
like 'it says which id became which' '^keycarol key_carol: carol$' "$out"
like 'a scope that granted nothing is told and left out' 'left out: scope "\*:\*:\*"' "$(cat "$work/err")"
is 'inactive and expired rows are told and left out' 2 "$(grep -c ': skipped: ' "$work/err")"
succeeds 'a key of theirs works as it is' until_true 10 works "$carol"
succeeds 'so does the other, by the star below the namespace' works "$dave"
is_refused "$eve"
is 'an inactive one does not' 401 "$status"
is_refused "$frank"
is 'an expired one does not' 401 "$status"
wanted=$(sed 's/"request_id":"[0-9a-f]*"//' <<<"$body")
is_refused "${carol%?}$([ "${carol: -1}" = A ] && echo B || echo A)"
is 'one that is wrong gets the answer that all get' "$wanted" "$(sed 's/"request_id":"[0-9a-f]*"//' <<<"$body")"
unlike 'no plain hash of theirs stands in the file' "$(jq -r '.[].key_hash' "$work/lite.json" | paste -sd'|')" "$(cat "$keys")"
is 'two lines bear the mark' 2 "$(grep -c ':sha256\$[0-9a-f]\{64\}:' "$keys")"
is 'key list shows them as legacy' 'active true' "$(listed keycarol '"\(.state) \(.legacy)"')"
like 'status counts them' 'legacy 2' "$(ctl status -v)"
is 'the trail knows them by the new id' keycarol "$(journal | jq -r 'select(.owner_id == "carol") | .key_id' | sort -u)"
is 'a limit of none is that of the auth block' null "$(listed keydave .per_minute)"
before=$(sha256sum <"$keys")
like 'the same export again adds nothing' '^0 imported, 2 already there, 2 skipped, 0 bad$' "$(keyctl import "$work/lite.csv" 2>/dev/null)"
is 'and changes nothing' "$before" "$(sha256sum <"$keys")"
succeeds 'one of them is rotated' keyctl rotate -g 0 keycarol
succeeds 'the old form is refused' until_true 10 is_refused "$carol"
like 'what was revoked here stays so' '^0 imported, 2 already there' "$(keyctl import "$work/lite.json" 2>/dev/null)"
is 'the one that is rotated is legacy no more' 1 "$(keyctl list -j | jq '[.keys[] | select(.owner == "carol" and .legacy == false)] | length')"

if postgres_start; then
	sql postgres 'CREATE DATABASE old' >/dev/null
	sql_file old "$work/old.sql" >/dev/null
	psql=("$pg_bin/psql" -X -q -h "$pg_dir" -p "$pg_port" -U postgres -d old)
	"${psql[@]}" --csv -c 'SELECT * FROM api_keys' >"$work/pg.csv"
	"${psql[@]}" -A -t -c 'SELECT row_to_json(k) FROM api_keys k' >"$work/pg.lines"
	"${psql[@]}" -A -t -c 'SELECT json_agg(k) FROM api_keys k' >"$work/pg.json"
	for form in csv lines json; do
		like "a Postgres export is read: $form" '^2 imported, 0 already there, 2 skipped, 0 bad$' \
		    "$("$build/pontifexctl" key import -F "$work/pg-$form" - <"$work/pg.$form" 2>/dev/null)"
		is "its key has its scopes and its end: $form" '["shop:*:read"] 2098-12-31T22:00:00Z' \
		    "$("$build/pontifexctl" key list -j -F "$work/pg-$form" | jq -r '.keys[] | select(.owner == "dave") | "\(.scopes) \(.expires)"')"
	done
	postgres_stop immediate
else
	skip 'Postgres exports' 'no Postgres'
fi

# -- a key of theirs with the dots of a token, where tokens are taken, too
legacy_row() { # ID KEY
	printf 'key_id,key_hash,owner_id,owner_label,scopes,rate_limit_rpm,is_active,expires_at\n%s,%s,%s,,{shop:order:read},600,t,\n' \
	    "$1" "$(printf %s "$2" | sha256sum | cut -d' ' -f1)" "$1"
}
one_dot=sk_live_Zm9v.YmFyYmF6cXV4 two_dots=sk_live_Zm9v.YmFy.YmF6cXV4
legacy_row onedot "$one_dot" | keyctl import - >/dev/null 2>&1
legacy_row twodots "$two_dots" | keyctl import - >/dev/null 2>&1
cp "$conf" "$work/conf.kept"
sed -i "s,^auth {,public url \"http://127.0.0.1:$port/mcp\"\n&\n\tissuer \"https://issuer.test/\" {\n\t\taudience \"a\"\n\t\tjwks \"https://issuer.test/jwks\"\n\t}," "$conf"
daemon_stop
daemon_start || die 'the daemon starts with an issuer' ready
succeeds 'a key with a dot is a key, where an issuer is configured' until_true 10 works "$one_dot"
succeeds 'so is one with as many dots as a token' works "$two_dots"
is 'the trail has them as keys' 'onedot twodots' "$(journal | jq -r 'select(.owner_id == "onedot" or .owner_id == "twodots") | .key_id' | sort -u | paste -sd' ')"
refusal() { is_refused "$1"; printf '%s ' "$status"; grep -i '^www-authenticate' <<<"$head"; sed 's/"request_id":"[0-9a-f]*"//' <<<"$body"; }
wanted=$(refusal "$carol")
like 'what is refused there gets the challenge of the issuer' '^401 .*Bearer' "$wanted"
header=$(printf '{"alg":"ES256"}' | base64 | tr -d '=')
# Neither what it looks like nor what was wrong with it shows.
for bad in "${one_dot}x" "${two_dots%?}" "${two_dots}.x" sk_live_Zm9v. sk_. "$header.e30.AAAA" "$header.AAAA" a.b.c x; do
	is "the same answer for ${bad:0:12}" "$wanted" "$(refusal "$bad")"
done
cp "$work/conf.kept" "$conf"
daemon_stop
daemon_start || die 'the daemon starts without an issuer' ready

# -- rows that are wrong
hash=$(printf %064d 7)
head='key_id,key_hash,owner_id,owner_label,scopes,rate_limit_rpm,is_active,expires_at'
good="k1,$hash,o,l,{shop:order:read},60,t,"
row_bad() { # REASON ROW: beside a good row, nothing is taken; with -k the good one is
	local out
	rm -f "$work/scratch"
	out=$(printf '%s\n%s\n%s\n' "$head" "$good" "$2" | "$build/pontifexctl" key import -F "$work/scratch" - 2>&1)
	is "a bad row makes the import fail: $1" 1 $?
	like "it is named by its line: $1" "^pontifexctl: -:3: bad row: .*$1" "$out"
	[ ! -s "$work/scratch" ] || not_ok "nothing is imported: $1" 'no file' "$(cat "$work/scratch")"
}
other=$(printf %064d 8)
row_bad 'no SHA-256' 'k2,abc,o,l,{shop:order:read},60,t,'
row_bad 'no SHA-256' "k2,${other%8}G,o,l,{shop:order:read},60,t,"
row_bad 'stands twice' "k2,$hash,o,l,{shop:order:read},60,t,"
row_bad 'no scope grants anything' "k2,$other,o,l,{*:*:*},60,t,"
row_bad 'no scope grants anything' "k2,$other,o,l,{},60,t,"
row_bad 'three segments' "k2,$other,o,l,{shop:order},60,t,"
row_bad 'no array' "k2,$other,o,l,shop:order:read,60,t,"
row_bad 'no array' "k2,$other,o,l,\"{shop:order:read\",60,t,"
row_bad 'no array' "k2,$other,o,l,\"{shop:order:read,}\",60,t,"
row_bad 'array of JSON' "k2,$other,o,l,[shop:order:read],60,t,"
row_bad 'neither true nor false' "k2,$other,o,l,{shop:order:read},60,yes,"
row_bad 'neither true nor false' "k2,$other,o,l,{shop:order:read},60,,"
row_bad 'no number' "k2,$other,o,l,{shop:order:read},1e3,t,"
row_bad 'no number' "k2,$other,o,l,{shop:order:read},,t,"
row_bad 'no time' "k2,$other,o,l,{shop:order:read},60,t,2099-02-30 00:00:00"
row_bad 'no time' "k2,$other,o,l,{shop:order:read},60,t,tomorrow"
row_bad 'owner_id is empty' "k2,$other,,l,{shop:order:read},60,t,"
row_bad "token's" "k2,$other,https://issuer#bob,l,{shop:order:read},60,t,"
row_bad 'not as many values' "k2,$other,o"
printf '%s\n%s\n%s\n' "$head" "$good" "k2,abc,o,l,{a:b:c},60,t," >"$work/mixed.csv"
out=$(keyctl import -k "$work/mixed.csv" 2>/dev/null)
is 'with -k the good rows are taken, and the exit status tells of the others' '1 1 imported, 0 already there, 0 skipped, 1 bad' "$? $(tail -n 1 <<<"$out")"
printf '[{"key_id":"k9"' | keyctl import -k - >/dev/null 2>&1
is 'a file that is cut short is not gone on with' 1 $?
printf '%s\n' "$head" "k1,$hash,o,l,{shop:order:read},60,f," | keyctl import - >/dev/null 2>"$work/err"
like 'a key that was taken back there and lives here is pointed at' 'still valid here: pontifexctl key revoke: k1' "$(cat "$work/err")"
is 'import -j is one object' '[1,0,0,0,true]' "$(printf '%s\n%s\n' "$head" "$good" | "$build/pontifexctl" key import -j -F "$work/scratch2" - |
    jq -c '[(.imported | length), .already_there, .skipped, .bad, .written]')"

# -- what a hand could write
cp "$keys" "$work/keys.kept"
{ cat "$work/keys.kept"; echo 'x1:sha256$zz:o:::::shop:order:read'; echo "x2:sha256\$sha256\$$hash:o:::::shop:order:read"; } >"$keys"
exits_list=$(keyctl list 2>&1 >/dev/null)
is 'key list fails where a line is bad' 1 "$(keyctl list >/dev/null 2>&1; echo $?)"
is 'and names each' 2 "$(grep -c 'bad hash: it grants nothing' <<<"$exits_list")"
cp "$work/keys.kept" "$keys"

# -- statuses and objects of the others
exits 'key without a word' 2 "$build/pontifexctl" key
exits 'an unknown word' 2 "$build/pontifexctl" key frob
exits 'add without an owner' 2 keyctl add -s shop:order:read
exits 'add with a bad scope' 1 keyctl add -o x -s shop
exits 'add with an id that is taken' 1 keyctl add -o x -s shop:order:read -i keydave
exits 'revoke of an id that is not there' 1 keyctl revoke nosuchid
exits 'revoke without an id' 2 keyctl revoke
exits 'list with a word too many' 2 keyctl list more
exits 'list of a file that is not there' 1 "$build/pontifexctl" key list -F "$work/none"
exits 'import without a file' 2 keyctl import
exits 'import of a file that is not there' 1 keyctl import "$work/none"
exits 'list' 0 keyctl list
is 'add -j gives the key and what is known of it' 'true zoe ["shop:order:read"] 7 {"a":"b"}' \
    "$(keyctl add -j -o zoe -s shop:order:read -r 7 -a a=b |
	jq -r '"\(.id as $id | .key | startswith("sk_live_\($id)_")) \(.owner) \(.scopes) \(.per_minute) \(.attributes)"')"
is 'revoke -j tells the state' revoked "$(keyctl revoke -j keydave | jq -r .state)"

# -- many at once
before=$(grep -c . "$keys")
adders=()
for i in $(seq 24); do
	keyctl add -o "many$i" -s shop:order:read >"$work/added.$i" &
	adders+=("$!")
done
keyctl revoke "$(key_id "$fourth")" & adders+=("$!")
keyctl rotate "$(key_id "$forever")" >/dev/null 2>&1 & adders+=("$!")
wait "${adders[@]}"
is 'none of many keys that are added at once is lost' $((before + 25)) "$(grep -c . "$keys")"
is 'each owner is there' 24 "$(keyctl list -j | jq '[.keys[] | select(.owner | startswith("many")) | .owner] | unique | length')"
is 'what was revoked meanwhile is' revoked "$(listed "$(key_id "$fourth")" .state)"
last=$(cat "$work/added.24")
succeeds 'and they work' until_true 10 works "$last"

# -- last use
used() { listed "$(key_id "$last")" '.last_used // "never"'; }
was_used() { [ "$(used)" != never ]; }
succeeds 'a key that was used is known as such while the daemon runs' until_true 30 was_used
ago=$(($(date +%s) - $(date -d "$(used)" +%s)))
number 'to the second' "$ago" -le 40
is 'one that was not is not' null "$(listed "$(key_id "$(cat "$work/added.3")")" .last_used)"
is 'what is known is for its owner alone' 600 "$(stat -c %a "$keys.used")"
call "$(cat "$work/added.5")" order_lookup "$order"
was=$(used)
daemon_stop
is 'what was used last is known when the daemon ends' true "$(listed "$(key_id "$(cat "$work/added.5")")" '.last_used != null')"
daemon_start || die 'the daemon starts' ready
works "$(cat "$work/added.7")"
daemon_stop
is 'a restart forgets nothing' "$was" "$(used)"
is 'and adds what is new' true "$(listed "$(key_id "$(cat "$work/added.7")")" '.last_used != null')"
unlike 'no secret is in it' "$(secret_of "$last")" "$(cat "$keys.used")"

# -- a trail in JSON
out=$("$build/pontifexctl" audit verify -J -j "$dir/audit")
is 'audit verify -J exits 0' 0 $?
is 'and is one object' "true null 1 $(journal | wc -l)" "$(jq -r '"\(.ok) \(.failure) \(.nodes | length) \(.records)"' <<<"$out")"
segment=$(printf '%s\n' "$dir"/audit/*.jsonl | head -n 1)
sed -i '2s/"seq":2/"seq":3/' "$segment"
out=$("$build/pontifexctl" audit verify -J -j "$dir/audit")
is 'of a bad trail it exits 1' 1 $?
is 'and names the fault' 'false true' "$(jq -r '"\(.ok) \(.failure | length > 0)"' <<<"$out")"
done_testing
