#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Who holds which secret: the memory of every process is read, as root, and
# each secret is found in the processes that own it and in no other; not in
# their environment, their arguments, or a core either.

. "$(dirname "$0")/../lib/harness.sh"

if [ "$(id -u)" -ne 0 ]; then
	skip 'who holds which secret' 'reading the memory of others wants root'
	done_testing
fi
postgres_start || die 'a private Postgres starts'
audit_database trail >/dev/null || die 'the audit schema loads'
sql postgres 'CREATE ROLE shop_ro LOGIN' >/dev/null
sql postgres 'CREATE DATABASE shop' >/dev/null
sql trail 'ALTER ROLE pontifex_audit LOGIN' >/dev/null
hex() { od -An -v -tx1 | tr -d ' \n'; }
# Postgres trusts whoever comes; the passwords are there to be found.
data_password=DataPassword$(od -An -N9 -tx1 /dev/urandom | tr -d ' \n')
audit_password=AuditPassword$(od -An -N9 -tx1 /dev/urandom | tr -d ' \n')
redis_password=RedisPassword$(od -An -N9 -tx1 /dev/urandom | tr -d ' \n')
redis_key=$(openssl rand -hex 32)
redis_port=$(free_port)
redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --requirepass "$redis_password" --dir "$work" \
    >"$work/redis.log" 2>&1 </dev/null &
started+=("$!")
dir=$work/d port=$(free_port) conf=$work/d/pontifex.conf keys=$work/d/keys
mkdir -p "$dir"
echo "$(dsn shop_ro shop) password=$data_password" >"$dir/data.dsn"
echo "$(dsn pontifex_audit trail) password=$audit_password" >"$dir/audit.dsn"
echo "redis://:$redis_password@127.0.0.1:$redis_port" >"$dir/redis.url"
echo "$redis_key" >"$dir/redis.key"
chmod 600 "$dir/data.dsn" "$dir/audit.dsn" "$dir/redis.url" "$dir/redis.key"
cat >"$conf" <<EOF
namespace "shop"
listen on 127.0.0.1 port $port
control socket "run/control.sock"
prefork listeners 1 handlers 1
redis from file "redis.url"
redis key from file "redis.key"
auth {
	keys "keys"
	rate 60000 per minute
}
audit {
	journal "audit"
	postgres from file "audit.dsn"
	checkpoint every 5 records
}
source db postgres {
	dsn from file "data.dsn"
}
tool look {
	description "d"
	scope "shop:a:read"
	source db
	param secret string { redact }
	sql "SELECT :secret::text AS it"
}
tool kept {
	description "d"
	scope "shop:a:read"
	source db
	cache 300ms
	sql "SELECT 1 AS one"
}
EOF
key=$(key_add -o alice -s shop:a:read)
other=$(key_add -o bob -s shop:a:read)
# The pattern of no file: only a process that was told has it.
ulimit -c unlimited
daemon_start || die 'the daemon starts' ready
# A second set of processes took over from the first, which is gone with all it knew.
first=$(child_pids handler)
ctl reload >/dev/null
one_other() { handler=$(child_pids handler) && [ "$handler" != "$first" ] && [ "$(wc -w <<<"$handler")" = 1 ]; }
until_true 30 one_other || die 'a reload leaves one handler, a new one' 'another than '"$first" "$(child_pids handler)"

# And another parent, which read it all itself.
old=$daemon
ctl upgrade >/dev/null 2>&1
until_true 30 process_gone "$old"
daemon=$(ctl status -v | sed -n 's/^pontifexd: version [^,]*, pid \([0-9]*\),.*/\1/p')
[ -n "$daemon" ] || die 'an upgrade leaves one parent, a new one' 'a process id' "$(ctl status -v 2>&1 | head -n 1)"
started+=("$daemon")
handler=$(child_pids handler)

# The ticket key is made by the parent alone, when a handler starts: seen on its way.
number=$(awk '/^enum message_type/ { on = 1; n = -1; next } on && /^\tMSG_/ { n++ } on && /MSG_TICKET_KEY,/ { print n; exit }' \
    "$top/common/message.h")
strace -qq -xx -s 4096 -e trace=sendmsg,sendto,write,writev -o "$work/trace" -p "$daemon" >/dev/null 2>&1 </dev/null &
tracer=$!
started+=("$tracer")
until_true 10 grep -q TracerPid:.$tracer "/proc/$daemon/status"
kill -9 "$handler"
new_handler() { [ "$(child_pids handler)" != "$handler" ] && daemon_ready; }
until_true 20 new_handler
sleep 0.3
kill "$tracer" 2>/dev/null
wait "$tracer" 2>/dev/null
ticket_key=$(python3 - "$work/trace" "$number" <<'EOF'
import re, struct, sys
with open(sys.argv[1], encoding="ascii", errors="replace") as f:
    text = f.read()
head = struct.pack("=IHH", 44, int(sys.argv[2]), 0)
for escaped in re.findall(r'"((?:\\x[0-9a-f]{2})+)"', text):
    data = bytes.fromhex(escaped.replace("\\x", ""))
    at = data.find(head)
    if at >= 0 and len(data) >= at + 60:
        print(data[at + 28:at + 60].hex())
        break
EOF
)
is 'the ticket key was seen on its way' 64 "${#ticket_key}"

# Work: good calls, refused ones, another key.
for _ in 1 2 3 4 5 6 7 8; do call "$key" look '{"secret":"ArgumentToRedact"}'; done
is 'calls are served' 200 "$status"
# A handler died: for the time of a result nothing of Redis' is believed.
until_true 20 eval 'call "$key" kept "{}"; grep -q "redis cache: in force.* kept [1-9]" <<<"$(ctl status -v)"' ||
    not_ok 'a result is kept in Redis' 'kept 1' "$(ctl status -v | grep redis)"
call "$other" look '{}'
call sk_live_nobody_x look '{}'
key_add -o carol -s shop:a:read >/dev/null
call "$key" look '{"secret":"ArgumentToRedact"}'
is 'the source answers' ArgumentToRedact "$(jqb '.result.structuredContent.rows[0].it')"
drained() { [ "$(sql trail "SELECT count(*) FROM pontifex.audit WHERE kind = 'call'")" -ge 10 ]; }
until_true 20 drained
is 'the trail is drained' t "$(drained && echo t)"
# The connection of the last call is gone; what was of it is, too.
sleep 0.5

hash_of() { sed -n "s/^$(key_id "$1"):\([^:]*\):.*/\1/p" "$keys"; }
hash_hex=$(hash_of "$key")
seed_text=$(tr -d '\n' <"$dir/audit/checkpoint.key")
redact_text=$(tr -d '\n' <"$dir/audit/redact.key")
text() { printf %s "$1" | hex; }
{
	echo "data-password $(text "$data_password")"
	echo "audit-password $(text "$audit_password")"
	echo "api-key $(text "$key") $(text "$other")"
	echo "api-key-secret $(text "$(secret_of "$key")") $(text "$(secret_of "$other")")"
	echo "key-hash $hash_hex $(text "$hash_hex")"
	echo "pepper $(hex <"$keys.pepper")"
	echo "ticket-key $ticket_key"
	echo "checkpoint-seed $seed_text $(text "$seed_text")"
	echo "redact-key $redact_text $(text "$redact_text")"
	echo "redis-password $(text "$redis_password")"
	echo "redis-key $redis_key $(text "$redis_key")"
	python3 - "$redis_key" <<'PY'
import hashlib, hmac, sys
prk = hmac.new(b'pontifexd redis 1', bytes.fromhex(sys.argv[1]), hashlib.sha256).digest()
print('redis-derived', *(hmac.new(prk, info + b'\x01', hashlib.sha256).hexdigest()
                         for info in (b'limit names', b'cache names', b'cache values')))
PY
	echo "argument $(text ArgumentToRedact)"
} >"$work/secrets"
awk 'NF < 2 || length($2) < 16 { bad = 1 } END { exit bad }' "$work/secrets" || die 'each secret is known' 'a line each' "$(cut -c1-40 "$work/secrets")"

targets=("$daemon:parent")
for role in listener authd handler auditd; do targets+=("$(child_pids $role):$role"); done
python3 "$lib/memory.py" "$work/secrets" "${targets[@]}" >"$work/found" || die 'memory can be read' 'exit 0' "$(cat "$work/found")"
note "$(paste -sd';' "$work/found" | tr '\t' ' ')"
holders() { awk -F'\t' -v s="$1" '$1 == s { print $2 }' "$work/found" | sort | paste -sd' '; }
# Freed memory is kept by a sanitizer, to be looked at: what was there once is found.
if [ -n "${ASAN_OPTIONS:-}" ]; then
	owns() { # SECRET OWNERS: the owners at least, and never the edge
		local owner
		for owner in $2; do like "$1 is found in $owner" "$owner" "$(holders "$1")"; done
	}
	note 'a sanitizer keeps what was freed: that the others hold nothing is shown by the plain build'
else
	owns() { # SECRET OWNERS
		is "$1: in ${2:-nobody} alone" "$2" "$(holders "$1")"
	}
fi
owns data-password handler
owns audit-password auditd
owns api-key ''
owns api-key-secret ''
owns key-hash authd
owns pepper authd
owns ticket-key 'authd handler'
owns checkpoint-seed auditd
owns redact-key auditd
owns redis-password handler
owns redis-key ''
owns redis-derived handler

# What each shows of itself to others of its user.
for target in "${targets[@]}"; do
	pid=${target%%:*} role=${target#*:}
	if [ -z "${ASAN_OPTIONS:-}" ]; then
		is "$role: not dumpable: its /proc belongs to root" root "$(stat -c %U "/proc/$pid/environ")"
	fi
	is "$role: no core" '0 0' "$(awk '/^Max core file size/ { print $5, $6 }' "/proc/$pid/limits")"
	unlike "$role: no secret in its arguments" "$data_password|$audit_password|$key" "$(tr '\0' ' ' <"/proc/$pid/cmdline")"
	unlike "$role: none in its environment" "$data_password|$audit_password|$key" "$(tr '\0' ' ' <"/proc/$pid/environ")"
	[ "$role" = parent ] || unlike "$role: an environment without names of ours" 'HOME=|PGPASS|SUDO|LD_' \
	    "$(tr '\0' ' ' <"/proc/$pid/environ")"
done

# Ended by signals that make cores; a folder that anybody may write to.
# (A sanitizer would take the signal for a fault of the program.)
if [ -z "${ASAN_OPTIONS:-}" ]; then
	before=$(cd "$dir" && find . "$work" /tmp -maxdepth 1 -name 'core*' 2>/dev/null | sort)
	expect_violation=yes
	for role in listener authd handler auditd; do
		pid=$(child_pids $role)
		kill -SEGV "$pid"
		until_true 20 process_gone "$pid"
		unlike "$role: no core was written" 'core dumped' "$(grep "$role" "$daemon_log" | tail -n 3)"
	done
	is 'and there is no core file' "$before" "$(cd "$dir" && find . "$work" /tmp -maxdepth 1 -name 'core*' 2>/dev/null | sort)"
	until_true 20 daemon_ready
fi
daemon_stop
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
