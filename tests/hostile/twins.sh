#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Every process with an attacker inside: the daemon runs with a twin of each
# role (twin.c), and each twin tries the same acts from within its sandbox.
# What stopped each stands in a table, which is the one in docs/security.md.
# As a control, a process of the same user without a sandbox tries them, too.

. "$(dirname "$0")/../lib/harness.sh"

if [ "$(id -u)" -ne 0 ]; then
	skip 'each process with an attacker inside' 'wants root'
	done_testing
fi
postgres_start "listen_addresses = '127.0.0.1'" || die 'Postgres starts'
audit_database trail >/dev/null || die 'the audit schema loads'
sql postgres 'CREATE ROLE reader LOGIN' >/dev/null
AUDIT_DSN=$(dsn pontifex_audit trail)
DATA_DSN="hostaddr=127.0.0.1 port=$pg_port user=reader dbname=postgres"
export AUDIT_DSN DATA_DSN
echo 'host all reader 127.0.0.1/32 trust' >>"$pg_dir/data/pg_hba.conf"

dir=$work/shop
mkdir -p "$dir/data" "$dir/other" "$dir/bin/libexec"
chmod 755 "$dir" "$dir/data" "$dir/other" "$dir/bin" "$dir/bin/libexec"
port=$(free_port) conf=$dir/pontifex.conf keys=$dir/keys
sqlite3 "$dir/data/shop.db" <"$contract/shop.sql"
cp "$dir/data/shop.db" "$dir/other/other.db"
# A file that the user may write to: what keeps it is not its mode.
chmod 666 "$dir/other/other.db"
handler_writes "$dir/data" "$dir/data/shop.db"
sed "s/port 8080/port $port/; s,sqlite \"shop.db\",sqlite \"data/shop.db\",; s,^auth {,public url \"http://127.0.0.1:$port/mcp\"\n&,
    s,^	keys \"keys\",&\n	issuer \"https://issuer.test/\" {\n		audience \"a\"\n		jwks \"https://issuer.test/jwks\"\n	},
    s,^	journal \"audit\",&\n	postgres from env \"AUDIT_DSN\"," "$contract/embedded.conf" >"$conf"
cat >>"$conf" <<'EOF'
source other sqlite "other/other.db"
source pg postgres {
	dsn from env "DATA_DSN"
}
tool other {
	description "Another."
	scope "shop:order:read"
	source other
	sql "SELECT 1 AS one"
}
tool pg {
	description "One."
	scope "shop:order:read"
	source pg
	sql "SELECT 1 AS one"
}
prefork handlers 1
EOF
key=$(key_add -o mallory -s shop:order:read)
for role in listener handler authd auditd fetcher; do
	cp "$build/tests/hostile/twin_$role" "$dir/bin/libexec/$role"
done
ln -s "$build/pontifexd" "$dir/bin/pontifexd"
printf 'control %s\n' "$key" >"$dir/bin/libexec/plan"
echo "$dir/keys $dir/audit $dir/data/shop.db $dir/other/other.db $dir/run/control.sock $port $pg_port" >>"$dir/bin/libexec/plan"
result=$dir/bin/libexec/result
: >"$result"
real=$build build=$dir/bin
daemon_start || die 'the daemon starts with a twin of each role' ready
build=$real
all_ended() { [ "$(grep -c 'end	end' "$result")" -ge 6 ]; }
until_true 30 all_ended || die 'each twin has tried all' 'six ends' "$(grep 'end	end' "$result" | paste -sd' ')"

# The roles are at work: it was their own confinement that was tried.
call "$key" order_lookup '{"order_id":1001}'
is 'the twins serve: a call of SQLite' 'Acme GmbH' "$(jqb '.result.structuredContent.rows[0].customer')"
call "$key" pg '{}'
is 'and one of Postgres' 1 "$(jqb '.result.structuredContent.rows[0].one')"
# A kernel without Landlock, or with one that knows no ports, leaves what the log says it leaves.
limited=$(grep -Em1 'no Landlock|knows no ports' "$daemon_log")
[ -z "$limited" ] || note "$limited"
if [ -z "$limited" ]; then is 'nothing was done' '' "$(grep 'DONE$' "$result")"; fi

documented() { # MARK: a table of docs/security.md
	awk -v mark="<!-- $1 -->" '$0 == mark { on = 1 } /<!-- end -->/ { on = 0 } on && /^\|/' "$top/docs/security.md"
}
roles='listener authd fetcher handler auditd'
table() {
	echo '| attempt | listener | authd | fetcher | handler | auditd |'
	echo '| --- | --- | --- | --- | --- | --- |'
	awk -F'\t' -v roles="$roles" '
		$2 == "end" || $1 == "others" { next }
		!($2 in seen) { seen[$2] = 1; order[++n] = $2 }
		{ got[$2, $1] = $3 }
		END {
			k = split(roles, role, " ")
			for (i = 1; i <= n; i++) {
				line = "| " order[i] " |"
				for (j = 1; j <= k; j++)
					line = line " " ((order[i], role[j]) in got ? got[order[i], role[j]] : "its job") " |"
				print line
			}
		}' < <(grep -P '^control\t' "$result"; grep -vP '^control\t' "$result")	# the control names them in order
}
table >"$work/table"
sed 's/^/# /' "$work/table"
while IFS=$'\t' read -r role what stopped; do
	[ "$what" = end ] || [ "$role" = control ] && continue
	if [ "$role" = others ]; then
		number "$what: every other system call is refused: $stopped" "${stopped%% *}" -ge 300
		continue
	fi
	if [ -n "$limited" ] && [ "$stopped" = DONE ]; then
		skip "$role: $what" "$limited"
	else
		isnt "$role: $what: $stopped" DONE "$stopped"
	fi
done <"$result"
# A control that fails too shows nothing of the sandbox: these are such.
number 'without a sandbox most of it is done' "$(grep -cP '^control\t.*\tdone$' "$result")" -ge 18

if [ -n "${ASAN_OPTIONS:-}" ]; then
	note 'a sanitizer needs more calls than the role: its table is not the documented one'
elif [ -z "$limited" ]; then
	is 'docs/security.md has the same table' '' "$(diff <(documented twins.sh) "$work/table")"
fi
daemon_stop

# What their credentials are good for is the database's to say.
row() { # PROCESS ATTEMPT STOPPED-BY
	echo "| $1 | $2 | $3 |" >>"$work/rows"
}
refused() { # PROCESS ATTEMPT ROLE DATABASE STATEMENT
	local out
	out=$("$pg_bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$pg_dir" -p "$pg_port" -U "$3" -d "$4" -c "$5" 2>&1 </dev/null)
	like "$1: $2" 'permission denied|must be owner' "$out"
	row "$1" "$2" 'database: permission'
}
printf '| process | attempt | stopped by |\n| --- | --- | --- |\n' >"$work/rows"
sql postgres 'CREATE TABLE public.data (a int); GRANT SELECT ON public.data TO reader' >/dev/null
is 'the source role reads' '' "$("$pg_bin/psql" -X -q -A -t -h "$pg_dir" -p "$pg_port" -U reader -d postgres -c 'SELECT a FROM public.data' 2>&1)"
refused handler 'write with the credentials of a source whose role only reads' reader postgres \
    'BEGIN READ WRITE; INSERT INTO public.data VALUES (1); COMMIT'
until_true 20 test "$(sql trail 'SELECT count(*) > 0 FROM pontifex.audit')" = t
is 'the trail is there' t "$(sql trail 'SELECT count(*) > 0 FROM pontifex.audit')"
refused auditd 'change a record in Postgres' pontifex_audit trail "UPDATE pontifex.audit SET outcome = 'ok'"
refused auditd 'delete a record in Postgres' pontifex_audit trail 'DELETE FROM pontifex.audit'
refused auditd 'switch the triggers off' pontifex_audit trail 'ALTER TABLE pontifex.audit DISABLE TRIGGER ALL'
# The journal is its own: it can change a record of the past, and be found out.
cp -a "$dir/audit" "$work/audit.kept"
like 'control: the journal verifies' ok "$(audit_verify | tail -n 1)"
sed -i '2s/"outcome":"[a-z_]*"/"outcome":"internal_error"/;2s/"event":"[a-z_]*"/"event":"stop"/' "$dir/audit/00000000000000000001.jsonl"
isnt 'control: a record was changed' '' "$(diff -r "$dir/audit" "$work/audit.kept")"
if audit_verify >"$work/verify"; then
	not_ok 'auditd: change a record of the journal' 'audit verify finds it' "$(tail -n 1 "$work/verify")"
else
	ok 'auditd: change a record of the journal'
fi
row auditd 'change a record of the journal' 'the chain: `audit verify` finds it'
rm -rf "$dir/audit"
cp -a "$work/audit.kept" "$dir/audit"
is 'docs/security.md has the same rows' '' "$(diff <(documented 'twins.sh: credentials') "$work/rows")"

# Without the net: the refused call is the end of the process, and the parent says which.
{ echo "die $key"; sed -n 2p "$dir/bin/libexec/plan"; } >"$dir/bin/libexec/plan.new"
mv "$dir/bin/libexec/plan.new" "$dir/bin/libexec/plan"
expect_violation=yes
# Each lives for a moment only: that all are up at one time is not to be waited for.
daemon_log=$dir/log
"$dir/bin/pontifexd" -d -f "$conf" >>"$daemon_log" 2>&1 </dev/null &
daemon=$!
started+=("$daemon")
all_said() {
	local role
	for role in listener authd fetcher handler auditd; do
		grep -Eq "$role[^:]*: .*tried a system call that its role may not make.*execve|$role.*execve" "$daemon_log" || return 1
	done
}
until_true 30 all_said
for role in listener authd fetcher handler auditd; do
	like "$role: a refused call ends it, and the log names the call" \
	    "$role.*tried a system call that its role may not make.*execve" "$(grep execve "$daemon_log" | grep "$role" | head -n 1)"
done
like 'it dies of that signal' 'was killed by signal 31|killed by its sandbox|SIGSYS|Bad system call' "$(cat "$daemon_log")"
daemon_stop
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
