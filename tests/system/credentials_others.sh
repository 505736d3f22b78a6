#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The passwords of the audit database and of Redis are changed there and in
# their files: no restart and no reload, no call and no record is lost, and
# what each has to wait for is the next try of its own.

. "$(dirname "$0")/../lib/harness.sh"
. "$lib/redis.sh"

out=$(audit_database trail) || die 'auditd/schema.sql loads' 'exit 0' "$out"
sql trail "ALTER ROLE pontifex_audit LOGIN PASSWORD 'aud1t-first'" >/dev/null
printf '%s\n' 'local all pontifex_audit scram-sha-256' 'local all all trust' | as_postgres tee "$pg_dir/data/pg_hba.conf" >/dev/null
sql postgres 'SELECT pg_reload_conf()' >/dev/null
redis_start --requirepass red1s-first

place=127.0.0.1:$rport
secret() { (umask 077 && echo "$2" >"$work/$1.new" && mv "$work/$1.new" "$work/$1"); } # NAME TEXT
audit_dsn() { secret audit.dsn "$(dsn pontifex_audit trail) password=$1${2:+ $2}"; } # PASSWORD [MORE]
redis_url() { secret redis.url "redis://$1@${2:-$place}"; } # LOGIN [PLACE]
audit_dsn aud1t-first
redis_url :red1s-first
node a "redis from file \"$work/redis.url\"" "redis key from env \"REDIS_KEY\""
sed -i -e "s|^\tjournal.*|&\n\tpostgres from file \"$work/audit.dsn\"|" -e 's|^prefork.*|prefork listeners 1 handlers 2|' "$conf"
alice=$(key_add -o alice -s shop:test:read)
node_up a
until_true 10 in_force a 4 || die 'Redis is in force, in both handlers' 'four lines' "$(ctl status -v | grep redis)"
up() { [ "$(ctl status -j | jq '.metrics.pontifexd_audit_postgres_up[0].value')" = "$1" ]; }
serves() { call "$alice" common "{\"n\":$1}"; [ "$status" = 200 ]; }
said() { grep -c -- "$1" "$daemon_log"; }
has_said() { [ "$(said "$1")" -ge "${2:-1}" ]; }
until_true 10 up 1 || die 'the audit database is connected' 1 "$(ctl status | grep database)"
children=$(child_pids | tr '\n' ' ')
calls=0
for n in 1 2 3; do serves "$n" && calls=$((calls + 1)); done

# ---- the audit database ----------------------------------------------------

end_all() { sql postgres "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'pontifex_audit'" >/dev/null; }
stored() { [ "$(sql trail "SELECT count(*) FROM pontifex.audit WHERE kind = 'call'")" = "$calls" ]; }
# In the database first: refused, until the file follows.
sql postgres "ALTER ROLE pontifex_audit PASSWORD 'aud1t-second'" >/dev/null
end_all
until_true 10 has_said 'audit database: .*28P01' ||
    not_ok 'a login that is refused is said' 28P01 "$(grep 'audit database' "$daemon_log")"
succeeds 'calls are served meanwhile, into the journal' serves 4
calls=$((calls + 1))
audit_dsn aud1t-second
succeeds 'the file has the new one: its records are taken again' until_true 20 stored
is 'that is said, once' 1 "$(said 'audit database: its connection string was read again')"
# In the file first.
audit_dsn aud1t-third
sql postgres "ALTER ROLE pontifex_audit PASSWORD 'aud1t-third'" >/dev/null
end_all
serves 5 && calls=$((calls + 1))
succeeds 'again, the file first' until_true 20 stored
# Another place is not followed: the sandbox knows none.
sql postgres "ALTER ROLE pontifex_audit PASSWORD 'aud1t-fourth'" >/dev/null
audit_dsn aud1t-fourth 'sslrootcert=/etc/other.pem'
end_all
succeeds 'a string that leads elsewhere is refused, and the log says what to do' \
    until_true 20 has_said 'audit database: its connection string cannot be read, or names another host, port or file .*: reload for that'
audit_dsn aud1t-fourth
chmod 644 "$work/audit.dsn"
succeeds 'one that others may read is not taken' until_true 20 has_said 'secret in .*/audit.dsn: must be a file'
succeeds 'all the while status says so' up 0
chmod 600 "$work/audit.dsn"
serves 6 && calls=$((calls + 1))
succeeds 'until it is put right' until_true 20 stored

# ---- Redis -----------------------------------------------------------------

rpass=red1s-first
admin() { rcli -a "$rpass" "$@"; }
# Who is connected stays so: a new password is for those who come.
change() { # PASSWORD
	admin CONFIG SET requirepass "$1" >/dev/null
	rpass=$1
	admin CLIENT KILL TYPE normal SKIPME yes >/dev/null
}
change red1s-second
# Both uses of both handlers.
away_all() { [ "$(ctl status -v | grep -c 'redis [a-z]*: away: it refuses the login')" = 4 ]; }
until_true 20 away_all
is 'a login that Redis refuses is said, once by each handler' 2 "$(said 'redis: the login is refused')"
succeeds 'calls go on without it' serves 7
calls=$((calls + 1))
redis_url :red1s-second
succeeds 'the file has the new one: in force again' until_true 20 in_force a 4
is 'each handler took it once' 2 "$(said 'redis: its URL was read again')"
redis_url :red1s-third
change red1s-third
succeeds 'again, the file first' until_true 20 in_force a 4
# A user instead of the password of all.
admin ACL SETUSER node on '>red1s-fourth' '~*' '+@all' >/dev/null
redis_url node:red1s-fourth
change red1s-fifth
succeeds 'or a user, who is another' until_true 20 in_force a 4
admin ACL SETUSER node resetpass '>red1s-sixth' >/dev/null
redis_url node:red1s-sixth "127.0.0.1:$(free_port)"
admin CLIENT KILL TYPE normal SKIPME yes >/dev/null
succeeds 'another place is not followed' \
    until_true 20 has_said 'redis: its URL names another server, socket or database by now: reload for that'
redis_url node:red1s-sixth
succeeds 'the right one is' until_true 20 in_force a 4
serves 8 && calls=$((calls + 1))

# ---- in all ----------------------------------------------------------------

is 'every call was served' 8 "$calls"
is 'and the table has them' yes "$(until_true 20 stored && echo yes)"
is 'by the processes of the start' "$children" "$(child_pids | tr '\n' ' ')"
unlike 'no password is in the log' 'aud1t-|red1s-' "$(cat "$daemon_log")"
if [ "$(id -u)" -eq 0 ]; then
	for word in aud1t-first aud1t-third aud1t-fourth red1s-first red1s-third red1s-sixth; do
		echo "$word $(printf %s "$word" | od -An -v -tx1 | tr -d ' \n')"
	done >"$work/secrets"
	# shellcheck disable=SC2046
	python3 "$lib/memory.py" "$work/secrets" "$daemon:parent" $(child_pids authd | sed 's/$/:authd/') \
	    $(child_pids listener | sed 's/$/:listener/') >"$work/found"
	is 'nor in the memory of a process that hands them on, or has no part in it' '' "$(cat "$work/found")"
	isnt 'the search finds what is there' '' "$(python3 "$lib/memory.py" "$work/secrets" "$(child_pids auditd):auditd")"
else
	skip 'who holds them' 'reading the memory of others wants root'
fi
# Each of three asks once a second at most.
audit_lines=$(said 'secret in .*/audit.dsn')
number 'the parent was asked within bounds' "$audit_lines" -le 20
is 'the chain holds' 0 "$(audit_verify >/dev/null; echo $?)"
node_down a
done_testing
