#!/bin/bash
# SPDX-License-Identifier: ISC
#
# A password is changed in the database and in its file: no restart, what is
# connected goes on, and who is refused asks for the new one.

. "$(dirname "$0")/../lib/harness.sh"

postgres_start || die 'a private Postgres starts' running "$(cat "$work/initdb.log" "$work/pg/log" 2>&1 | tail -n 5)"
sql postgres 'CREATE DATABASE shop' >/dev/null
sql postgres "CREATE ROLE app LOGIN PASSWORD 'first'" >/dev/null
printf '%s\n' 'local all app scram-sha-256' 'local all all trust' | as_postgres tee "$pg_dir/data/pg_hba.conf" >/dev/null
sql postgres 'SELECT pg_reload_conf()' >/dev/null

dir=$work/d port=$(free_port) conf=$work/d/pontifex.conf keys=$work/d/keys
mkdir -p "$dir"
secret() { # PASSWORD [MORE]
	(umask 077 && echo "$(dsn app shop) password=$1${2:+ $2}" >"$dir/dsn.new" && mv "$dir/dsn.new" "$dir/dsn")
}
secret first
cat >"$conf" <<EOF
namespace "shop"
listen on 127.0.0.1 port $port
control socket "run/control.sock"
prefork listeners 1 handlers 2
auth {
	keys "keys"
	rate 600000 per minute
}
audit {
	journal "audit"
}
source pg postgres {
	dsn from file "dsn"
	connections 2
	timeout 5s
}
tool one {
	description "d"
	scope "shop:test:read"
	source pg
	sql "SELECT 1 AS n"
}
EOF
key=$(key_add -o alice -s shop:test:read)
daemon_start || die 'the daemon starts' ready
serves() { call "$key" one '{}'; [ "$(jqb '.result.structuredContent.rows[0].n')" = 1 ]; }
pids() { sql postgres "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity WHERE usename = 'app'"; }
children=$(child_pids | tr '\n' ' ')
connected() { sql postgres "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'idle'"; }
all_up() { [ "$(connected)" = 4 ] && grep -Eq 'source +pg .*4 of 4 connections up' <<<"$(ctl status)"; }
end_all() { sql postgres "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app'" >/dev/null; }
until_true 10 all_up
before=$(pids)

sql postgres "ALTER ROLE app PASSWORD 'second'" >/dev/null
succeeds 'the password is another: what is connected goes on' serves
is 'on the connections that it had' "$before" "$(pids)"

# In the database first: refused, until the file follows.
end_all
refused() { grep -q 'credentials refused: .*28P01' "$daemon_log"; }
until_true 10 refused
is 'who must connect anew is refused' yes "$(refused && echo yes)"
unlike 'the log has no password' 'first|second' "$(cat "$daemon_log")"
secret second
until_true 20 serves && ok 'the file has the new one: served again' || not_ok 'the file has the new one: served again' served "$(tail -n 3 "$daemon_log")"
until_true 20 all_up
is 'by all handlers' 4 "$(connected)"
is 'which are the same processes' "$children" "$(child_pids | tr '\n' ' ')"
is 'each was told once' 2 "$(grep -c 'source pg: its dsn was read again' "$daemon_log")"

# In the file first, as a careful operator does it: nobody is refused for long.
secret third
sql postgres "ALTER ROLE app PASSWORD 'third'" >/dev/null
end_all
until_true 20 all_up
is 'again, the file first' 4 "$(connected)"

# A file that leads elsewhere is not followed: the sandbox knows no other place.
secret fourth 'sslrootcert=/etc/other.pem'
sql postgres "ALTER ROLE app PASSWORD 'fourth'" >/dev/null
end_all
elsewhere() { grep -q 'source pg: its dsn cannot be read, or names another host, port or file .*: restart for that' "$daemon_log"; }
until_true 20 elsewhere
is 'a dsn that leads elsewhere is refused, and the log says what to do' yes "$(elsewhere && echo yes)"
# One that others may read is no secret, and is not taken.
secret fourth
chmod 644 "$dir/dsn"
unsafe() { grep -q 'secret in .*/dsn: must be a file' "$daemon_log"; }
until_true 20 unsafe
is 'nor is one that others may read' yes "$(unsafe && echo yes)"
chmod 600 "$dir/dsn"
until_true 20 all_up
is 'until it is put right' 4 "$(connected)"
succeeds 'and calls are served' serves
unlike 'the log has no password to the end' 'first |second|third|fourth' "$(cat "$daemon_log")"
number 'the parent was asked within bounds' "$(grep -c 'secret in' "$daemon_log")" -lt 60
is 'the chain holds' 0 "$(audit_verify >/dev/null; echo $?)"
daemon_stop
done_testing
