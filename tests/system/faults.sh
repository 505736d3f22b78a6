#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The fault matrix of the trail: calls that read and calls that write go on
# while something breaks, and afterwards it must hold that no effect is without
# its intent, no answer without its record, that no number is missing or given
# twice, that the chain verifies and Postgres has what the journal has.
# SOAK_ROUNDS: how often each process is killed (2).

. "$(dirname "$0")/../lib/harness.sh"

postgres_start || die 'a private Postgres starts' running "$(cat "$work/initdb.log" 2>&1 | tail -n 5)"
out=$(audit_database trail) || die 'auditd/schema.sql loads' 'exit 0' "$out"
sql trail 'ALTER ROLE pontifex_audit LOGIN' >/dev/null
sql postgres 'CREATE DATABASE shop' >/dev/null
sql shop 'CREATE TABLE marks (n bigint); CREATE ROLE shop_rw LOGIN; GRANT SELECT, INSERT ON marks TO shop_rw' >/dev/null
AUDIT_DSN=$(dsn pontifex_audit trail)
SHOP_DSN=$(dsn shop_rw shop)
export AUDIT_DSN SHOP_DSN

# house NAME SOURCE [AUDIT-WORDS]: a folder of its own; the source is sqlite or postgres.
house() {
	dir=$work/$1 port=$(free_port) conf=$work/$1/pontifex.conf keys=$work/$1/keys
	mkdir -p "$dir"
	handler_writes "$dir"
	{
		printf 'namespace "shop"\nlisten on 127.0.0.1 port %s\ncontrol socket "run/control.sock"\n' "$port"
		printf 'prefork listeners 2 handlers 2\nauth {\n\tkeys "keys"\n}\n'
		printf 'audit {\n\tnode "%s"\n\tjournal "audit"\n\tcheckpoint every 500 records\n%b}\n' "$1" "${3:-}"
		if [ "$2" = sqlite ]; then
			sqlite3 "$dir/shop.db" 'CREATE TABLE marks (n INTEGER)'
			chmod 666 "$dir/shop.db"
			chmod 777 "$dir"
			printf 'source db sqlite "shop.db"\n'
		else
			printf 'source db postgres {\n\tdsn from env "SHOP_DSN"\n\tconnections 2\n\ttimeout 3s\n}\n'
		fi
		printf 'tool mark {\n\tdescription "d"\n\tscope "shop:a:write"\n\tsource db\n\twrites\n'
		printf '\tparam n integer required\n\tsql "INSERT INTO marks VALUES (:n)"\n}\n'
		printf 'tool look {\n\tdescription "d"\n\tscope "shop:a:read"\n\tsource db\n'
		printf '\tparam n integer required\n\tsql "SELECT count(*) AS n FROM marks WHERE n = :n"\n}\n'
	} >"$conf"
	kind=$2 node=$1
	key=$(key_add -o alice -s shop:a:read,shop:a:write -r 100000000)
	sql shop 'TRUNCATE marks' >/dev/null
	daemon_start || die "$1: the daemon starts" ready
}
load_start() {
	rm -f "$work/stop"
	python3 "$lib/faults.py" load "$port" "$key" "$work/seen" "$work/stop" </dev/null >"$work/load.log" 2>&1 &
	load=$!
	started+=("$load")
	sleep 0.7
}
load_stop() {
	sleep 0.7
	: >"$work/stop"
	wait "$load"
}
effects() {
	if [ "$kind" = sqlite ]; then sqlite3 "$dir/shop.db" 'SELECT n FROM marks'; else sql shop 'SELECT n FROM marks'; fi
}
rows() { sql trail "SELECT seq FROM pontifex.audit WHERE node = '$node' ORDER BY seq"; }
caught_up() { [ "$(rows | wc -l)" = "$(journal | wc -l)" ]; }
# holds NAME: the daemon is ended, all of it is checked.
holds() {
	case $(cat "$conf") in *AUDIT_DSN*) until_true 40 caught_up ;; esac
	daemon_stop
	# What the end itself recorded reaches Postgres with the next start, or did.
	rows >"$work/rows"
	effects >"$work/effects"
	case $(cat "$conf") in
	*AUDIT_DSN*)
		if [ "$(wc -l <"$work/rows")" != "$(journal | wc -l)" ]; then
			daemon_start && until_true 30 caught_up
			rows >"$work/rows"
			cp -a "$dir/audit" "$work/frozen"
			daemon_stop
			out=$(python3 "$lib/faults.py" check "$work/frozen" "$work/seen" "$work/effects" "$work/rows" 2>&1)
			rm -rf "$work/frozen"
		else
			out=$(python3 "$lib/faults.py" check "$dir/audit" "$work/seen" "$work/effects" "$work/rows" 2>&1)
		fi ;;
	*) out=$(python3 "$lib/faults.py" check "$dir/audit" "$work/seen" "$work/effects" 2>&1) ;;
	esac
	echo "$out" | grep '^#'
	is "$1: effects, answers, records and rows fit" '' "$(echo "$out" | grep -v '^#')"
	like "$1: the chain verifies" 'audit verify: ok' "$(audit_verify -m 100000 | tail -n 1)"
}

house control sqlite '\tpostgres from env "AUDIT_DSN"\n'
load_start
load_stop
holds 'the control, nothing breaks'
# The check itself finds what is wrong.
sed -i '$d' "$work/effects"
fails 'the control: a lost effect is found' python3 "$lib/faults.py" check "$dir/audit" "$work/seen" "$work/effects"
effects >"$work/effects"
mkdir "$work/cut"
sed '20d' "$dir/audit/00000000000000000001.jsonl" >"$work/cut/1.jsonl"
fails 'the control: a lost record is found' python3 "$lib/faults.py" check "$work/cut" "$work/seen" "$work/effects"

house kills sqlite '\tpostgres from env "AUDIT_DSN"\n'
load_start
for _ in $(seq "${SOAK_ROUNDS:-2}"); do
	for role in handler auditd authd listener; do
		pid=$(child_pids $role | shuf -n 1)
		kill -9 "$pid"
		sleep 0.3
	done
	# Two at once, one of them held first.
	pid=$(child_pids auditd) other=$(child_pids handler | head -n 1)
	kill -STOP "$pid"
	sleep 0.1
	kill -9 "$other"
	kill -9 "$pid"
	sleep 0.4
done
load_stop
holds 'every process killed'

house parent sqlite '\tpostgres from env "AUDIT_DSN"\n'
load_start
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
gone() { [ -z "$(pgrep -P "$daemon")" ]; }
until_true 10 gone
daemon_start || not_ok 'it starts after its parent was killed' ready "$(tail -n 3 "$daemon_log")"
load_stop
holds 'the parent killed'

house source postgres '\tpostgres from env "AUDIT_DSN"\n'
load_start
for _ in 1 2; do
	sql postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('shop_rw', 'pontifex_audit')" >/dev/null
	sleep 0.4
done
postgres_stop immediate
sleep 0.5
postgres_start
sleep 1
# shellcheck disable=SC2046
for signal in STOP CONT; do
	postmaster=$(head -n 1 "$pg_dir/data/postmaster.pid")
	kill "-$signal" "$postmaster" $(cat "/proc/$postmaster/task/$postmaster/children")
	sleep 1
done
load_stop
holds 'source and audit database cut, killed, restarted and stopped for a while'

house readonly sqlite '\tpostgres from env "AUDIT_DSN"\n'
load_start
sql postgres 'ALTER DATABASE trail SET default_transaction_read_only = on' >/dev/null
sql postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pontifex_audit'" >/dev/null
sleep 0.7
sql postgres 'ALTER DATABASE trail SET default_transaction_read_only = off' >/dev/null
sql postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pontifex_audit'" >/dev/null
load_stop
holds 'the audit database read-only for a while'

house folder sqlite
segment=$(ls "$dir"/audit/*.jsonl)
load_start
mv "$segment" "$work/away"
sleep 0.5
mv "$work/away" "$segment"
sleep 0.5
mv "$dir/audit" "$dir/moved"
sleep 0.5
mv "$dir/moved" "$dir/audit"
load_stop
like 'the segment taken away: said at once' 'its segment was (moved|removed)' "$(cat "$daemon_log")"
like 'the folder too' 'its folder was moved' "$(cat "$daemon_log")"
holds 'the journal taken away and brought back'

# A disk that is full, then not.
if [ "$(id -u)" -eq 0 ] && mkdir -p "$work/tmpfs/audit" && mount -t tmpfs -o size=2m,mode=755 none "$work/tmpfs" 2>/dev/null; then
	house full sqlite
	daemon_stop
	mkdir -p "$work/tmpfs/audit"
	chmod 700 "$work/tmpfs/audit"
	chown "$(stat -c %u:%g "$dir/audit")" "$work/tmpfs/audit"
	sed -i "s|journal \"audit\"|journal \"$work/tmpfs/audit\"|" "$conf"
	rm -rf "$dir/audit"
	ln -s "$work/tmpfs/audit" "$dir/audit"
	daemon_start || not_ok 'it starts on a small disk' ready "$(tail -n 3 "$daemon_log")"
	load_start
	is_full() { grep -q 'No space left' "$daemon_log"; }
	until_true 20 is_full
	sleep 0.5
	call "$key" look '{"n":1}'
	is 'a full disk: calls are refused' overloaded "$(error_code)"
	mount -o remount,size=64m "$work/tmpfs"
	load_stop
	call "$key" look '{"n":1}'
	is 'with room again they are served' none "$(error_code)"
	holds 'a full disk'
	umount "$work/tmpfs"
else
	skip 'a full disk' 'mount needs root'
fi

# The audit database is full, then not.
if [ "$(id -u)" -eq 0 ] && mkdir -p "$work/space" && mount -t tmpfs -o size=3m,mode=777 none "$work/space" 2>/dev/null; then
	chown postgres "$work/space"
	sql postgres "CREATE TABLESPACE small LOCATION '$work/space'" >/dev/null
	out=$(audit_database filled) || not_ok 'the schema loads' 'exit 0' "$out"
	sql filled "ALTER TABLE pontifex.audit_$(date -u +%Y_%m) SET TABLESPACE small" >/dev/null
	FULL_DSN=$(dsn pontifex_audit filled)
	export FULL_DSN
	house pgfull sqlite '\tpostgres from env "FULL_DSN"\n'
	daemon_stop
	rows() { sql filled "SELECT seq FROM pontifex.audit WHERE node = '$node' ORDER BY seq"; }
	daemon_start || not_ok 'it starts' ready "$(tail -n 3 "$daemon_log")"
	load_start
	pg_full() { grep -q 'records are not taken.*No space left' "$daemon_log"; }
	until_true 30 pg_full
	succeeds 'a full audit database is said' pg_full
	call "$key" look '{"n":1}'
	is 'and refuses no call' none "$(error_code)"
	mount -o remount,size=512m "$work/space"
	load_stop
	sed -i 's/FULL_DSN"/&\n\t# AUDIT_DSN/' "$conf"
	holds 'a full audit database'
	sql postgres 'DROP DATABASE filled' >/dev/null
	sql postgres 'DROP TABLESPACE small' >/dev/null
	umount -l "$work/space"
	rows() { sql trail "SELECT seq FROM pontifex.audit WHERE node = '$node' ORDER BY seq"; }
else
	skip 'a full audit database' 'mount needs root'
fi

# fdatasync fails, and the clock goes back: auditd with a library before it.
shim=$work/shim.so
if cc -shared -fPIC -O2 -o "$shim" "$lib/fault_shim.c" -ldl 2>"$work/cc.log"; then
	mkdir -p "$work/bin/libexec"
	for file in pontifexd pontifexctl libexec/listener libexec/authd libexec/handler libexec/fetcher; do
		cp "$build/$file" "$work/bin/$file"
	done
	cp "$build/libexec/auditd" "$work/bin/libexec/auditd.real"
	real=$build
	for fault in 'EIO 5 0' 'EDQUOT 122 0' 'clock 0 3600'; do
		read -r name number back <<<"$fault"
		cat >"$work/bin/libexec/auditd" <<EOF
#!/bin/sh
export LD_PRELOAD=$shim FAULT_AFTER=60 FAULT_COUNT=40 FAULT_ERRNO=$number FAULT_BACK=$back
ASAN_OPTIONS=\${ASAN_OPTIONS:+\$ASAN_OPTIONS:verify_asan_link_order=0}
export ASAN_OPTIONS
exec $work/bin/libexec/auditd.real
EOF
		chmod 755 "$work/bin" "$work/bin/libexec" "$work"/bin/libexec/* "$shim"
		build=$work/bin
		house "shim-$name" sqlite
		build=$real
		load_start
		# A slow machine needs longer for its hundred syncs.
		[ "$name" = clock ] || until_true 30 grep -q 'can be written again' "$daemon_log"
		load_stop
		case $name in
		clock) is 'the clock went back' yes "$(journal | jq -sr '[.[].timestamp] as $t | if any(range(1; $t | length); $t[.] < $t[. - 1]) then "yes" else "no" end')" ;;
		*) like "$name: it is said" 'cannot be written: fdatasync' "$(cat "$daemon_log")" ;;
		esac
		holds "$name"
	done
else
	not_ok 'the shim compiles' 'exit 0' "$(cat "$work/cc.log")"
fi

# As if the power went: a copy of the folder at any moment, cut at any byte.
house power sqlite
load_start
for n in 1 2 3 4; do
	sleep 0.2
	cp -a "$dir/audit" "$work/copy.$n"
done
load_stop
holds 'copied under load'
cp -a "$dir/audit" "$work/whole"
for n in 1 2 3 4; do
	segment=$(ls "$work/copy.$n"/*.jsonl | tail -n 1)
	size=$(stat -c %s "$segment")
	truncate -s $((size - RANDOM % 900)) "$segment"
	rm -rf "$dir/audit"
	cp -a "$work/copy.$n" "$dir/audit"
	good=$(python3 -c 'import sys; d = open(sys.argv[1], "rb").read(); print(d.count(b"\n"))' "$segment")
	daemon_start || not_ok "copy $n: it starts" ready "$(tail -n 3 "$daemon_log")"
	daemon_stop
	like "copy $n: what is whole stays, and the chain goes on" 'audit verify: ok' "$(audit_verify -m 100000 | tail -n 1)"
	is "copy $n: not a byte of a good record was touched" "$(head -n "$good" "$work/whole/$(basename "$segment")" | sha256sum)" \
	    "$(head -n "$good" "$dir/audit/$(basename "$segment")" | sha256sum)"
done
done_testing
