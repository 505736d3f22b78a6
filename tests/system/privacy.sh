#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What is declared `redact' or `omit' stands nowhere in clear: not in the
# table, the journal, a sink, the log at its wordiest, an error, a figure, or a
# core; nor does a credential or the word that a DSN brings.

. "$(dirname "$0")/../lib/harness.sh"

postgres_start || die 'a private Postgres starts' running "$(cat "$work/initdb.log" 2>&1 | tail -n 5)"
out=$(audit_database trail) || die 'auditd/schema.sql loads' 'exit 0' "$out"
sql trail 'ALTER ROLE pontifex_audit LOGIN' >/dev/null
sql postgres 'CREATE DATABASE shop' >/dev/null
sql shop 'CREATE TABLE notes (id int PRIMARY KEY, note text CHECK (length(note) < 200)); CREATE ROLE shop_rw LOGIN;
    GRANT SELECT, INSERT ON notes TO shop_rw' >/dev/null
AUDIT_DSN=$(dsn pontifex_audit trail)
# Postgres trusts whoever comes; the password is there to be found.
SHOP_DSN="$(dsn shop_rw shop) password=SENTINEL-password-3d0b"
export AUDIT_DSN SHOP_DSN
dir=$work/d port=$(free_port) conf=$work/d/pontifex.conf keys=$work/d/keys
mkdir -p "$dir/out"
handler_writes "$dir"
[ "$(id -u)" -ne 0 ] || chown "$(role_user auditd)" "$dir/out"
cat >"$conf" <<EOF
namespace "shop"
listen on 127.0.0.1 port $port
control socket "run/control.sock"
metrics on "run/metrics.sock"
auth {
	keys "keys"
	rate 60000 per minute
}
audit {
	journal "audit"
	postgres from env "AUDIT_DSN"
	sink file "out/records"
	checkpoint to "out/heads"
}
source db postgres {
	dsn from env "SHOP_DSN"
}
tool look {
	description "d"
	scope "shop:a:read"
	source db
	cache 60s
	param secret string { redact maximum length 300 }
	param hidden string { omit }
	param shown string
	sql "SELECT :secret || :hidden || :shown AS all"
}
tool cast {
	description "d"
	scope "shop:a:read"
	source db
	param secret string required { redact }
	param hidden string { omit }
	sql "SELECT (:secret || coalesce(:hidden, ''))::integer AS n"
}
tool keep {
	description "d"
	scope "shop:a:write"
	source db
	writes
	param id integer required
	param secret string { redact }
	param hidden string { omit }
	sql "INSERT INTO notes VALUES (:id, :secret || coalesce(:hidden, '')) RETURNING id"
}
EOF
key=$(key_add -o alice -s shop:a:read,shop:a:write)
reader=$(key_add -o bob -s shop:a:read)
daemon_start || die 'the daemon starts' ready
ctl log verbose >/dev/null
secret=SENTINEL-redacted-5f1c hidden=SENTINEL-omitted-9a2e shown=CONTROL-in-clear-77aa
both="\"secret\":\"$secret\",\"hidden\":\"$hidden\""
call "$key" look "{$both,\"shown\":\"$shown\"}"
is 'the tool itself sees them' "$secret$hidden$shown" "$(jqb '.result.structuredContent.rows[0].all')"
call "$key" look "{$both,\"shown\":\"$shown\"}"
call "$key" look "{\"shown\":\"$shown\",$both,\"nosuch\":1}"
call "$key" look "{\"secret\":\"$(printf "$secret%.0s" $(seq 20))\"}"
is 'one that does not fit' invalid_input "$(error_code)"
unlike 'is told without it' SENTINEL "$body"
call "$key" look "{\"secret\":[\"$secret\"],\"hidden\":7}"
call "$key" cast "{$both}"
isnt 'one that the database refuses' none "$(error_code)"
unlike 'is told without what the database said' SENTINEL "$body"
call "$key" keep "{\"id\":1,$both}"
is 'a write' none "$(error_code)"
call "$key" keep "{\"id\":1,$both}"
isnt 'one that breaks a rule of the data' none "$(error_code)"
unlike 'is told without its row' SENTINEL "$body"
call "$reader" keep "{\"id\":2,$both}"
call "$reader" nosuch "{$both}"
call '' look "{$both}"
call 'sk_live_abc_defghijklmnopqrstuvwxyz012345' look "{$both}"
post "$key" "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"look\",\"arguments\":{$both}"
post "$key" "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nosuch/$secret\",\"params\":{$both}}" -H 'MCP-Protocol-Version: 2025-11-25'
call 'sk_live_abc_SENTINEL-credential-8e2d' look '{}'
post "$key" '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"WITNESS-tool","arguments":{}}}'
sleep 1	# what is told is up to a second old
for way in status 'status -v' 'status -j'; do
	# shellcheck disable=SC2086
	ctl $way
done >"$work/screens" 2>&1
curl -s --unix-socket "$dir/run/metrics.sock" http://localhost/metrics >"$work/metrics"
number 'the control: the screens tell of the tool' "$(grep -c look "$work/screens")" -ge 3
number 'and so do the metrics' "$(grep -c 'tool="look"' "$work/metrics")" -ge 3
handler=$(child_pids handler | head -n 1)
for pid in "$daemon" $(child_pids listener) $(child_pids authd) $(child_pids handler) $(child_pids auditd); do
	is "no core of $(cat "/proc/$pid/comm")" 0 "$(awk '/Max core file size/ { print $5 }' "/proc/$pid/limits")"
done
kill -ABRT "$handler"
until_true 10 process_gone "$handler"
until_true 10 daemon_ready
call "$key" look "{$both,\"shown\":\"$shown\"}"
caught_up() { [ "$(sql trail 'SELECT count(*) FROM pontifex.audit')" = "$(journal | wc -l)" ]; }
until_true 20 caught_up
daemon_stop
daemon_start && until_true 20 caught_up
daemon_stop
sql trail 'SELECT * FROM pontifex.audit' >"$work/table"
number 'the control: what is in clear stands in the table' "$(grep -c "$shown" "$work/table")" -ge 2
number 'in the journal' "$(cat "$dir"/audit/*.jsonl | grep -c "$shown")" -ge 2
number 'and in the sink' "$(grep -c "$shown" "$dir/out/records")" -ge 2
# The name of a method is the caller's, and no argument.
grep -v 'nosuch/' "$work/table" >"$work/table.args"
is 'a redacted or omitted value stands in no row' '' "$(grep -o 'SENTINEL[a-z0-9-]*' "$work/table.args" | sort -u)"
is 'nor in any file of the journal' '' "$(cat "$dir"/audit/* | grep -a -v 'nosuch/' | grep -a -o 'SENTINEL[a-z0-9-]*' | sort -u)"
is 'nor in what sinks got' '' "$(cat "$dir"/out/* | grep -v 'nosuch/' | grep -o 'SENTINEL[a-z0-9-]*' | sort -u)"
is 'nor in the log' '' "$(grep -v 'nosuch/' "$daemon_log" | grep -a -o 'SENTINEL[a-z0-9-]*' | sort -u)"
is 'nor in what the daemon tells of itself' '' "$(cat "$work/screens" "$work/metrics" | grep -a -oE '(SENTINEL|WITNESS)[a-z0-9-]*' | sort -u)"
is 'nor is there a core' '' "$(find "$dir" "$work" -maxdepth 2 -name 'core*' 2>/dev/null)"
mac=$("$build/pontifexctl" audit hash -K "$dir/audit/redact.key" "$secret" | grep -o 'hmac-sha256:[0-9a-f]*' | head -n 1)
number 'its hash does' "$(journal | jq -c "select(.tool_params.secret == \"$mac\")" | wc -l)" -ge 3
is 'an omitted one has not even that' 0 "$(journal | jq -c 'select((.tool_params // {}) | has("hidden"))' | wc -l)"
done_testing
