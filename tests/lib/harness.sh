# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# What the system tests share: a private folder, a free port, a daemon and a
# Postgres of their own, keys, calls in both eras of the protocol, and
# assertions that print `ok - name' or `not ok - name: wanted …, got …'.
# Everything that a test starts is remembered by its pid and ended when the
# test ends, however it ends; nothing is ever killed by name.

set -u
set -o pipefail
# What ends a pipe of a test counts in this shell.
shopt -s lastpipe
lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$lib/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$top/$build ;; esac
contract=$top/tests/contract

passed=0 failed=0 skipped=0
daemon= daemon_log= pg_dir= pg_port= pg_bin=
started=()

work=$(mktemp -d "${TMPDIR:-/tmp}/pontifexd-test.XXXXXX")
chmod 755 "$work"

cleanup() {
	local pid
	trap - EXIT INT TERM HUP
	# Asked first; a daemon's children notice that their parent has gone.
	for pid in "${started[@]}"; do
		kill -TERM "$pid" 2>/dev/null
	done
	[ "${#started[@]}" -eq 0 ] || until_true 5 started_gone
	for pid in "${started[@]}"; do
		kill -9 "$pid" 2>/dev/null
	done
	[ -n "$pg_dir" ] && postgres_stop immediate >/dev/null 2>&1
	wait 2>/dev/null
	if [ -n "${KEEP:-}" ]; then
		echo "# kept: $work"
	else
		awk -v work="$work/" 'index($2, work) == 1 { print $2 }' /proc/mounts | xargs -r umount -l 2>/dev/null
		rm -rf "$work"
	fi
}
started_gone() {
	local pid
	for pid in "${started[@]}"; do process_gone "$pid" || return 1; done
}
trap cleanup EXIT
trap 'exit 143' INT TERM HUP

# ---- what a test says ------------------------------------------------------

ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() {
	failed=$((failed + 1))
	printf 'not ok - %s: wanted %s, got: %s\n' "$1" "$2" \
	    "$(printf %s "$3" | head -c 1500 | tr '\n' ';')"
}
skip() { skipped=$((skipped + 1)); echo "ok - $1 # SKIP $2"; }
note() { echo "# $*"; }

is() { # NAME WANTED GOT
	if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "$2" "$3"; fi
}
isnt() { # NAME UNWANTED GOT
	if [ "$2" != "$3" ]; then ok "$1"; else not_ok "$1" "not $2" "$3"; fi
}
like() { # NAME EXTENDED-EXPRESSION GOT
	if grep -Eq -- "$2" <<<"$3"; then ok "$1"; else not_ok "$1" "/$2/" "$3"; fi
}
unlike() { # NAME EXTENDED-EXPRESSION GOT
	if grep -Eq -- "$2" <<<"$3"; then not_ok "$1" "no /$2/" "$3"; else ok "$1"; fi
}
number() { # NAME LEFT OPERATOR RIGHT
	if [ "$2" "$3" "$4" ] 2>/dev/null; then ok "$1"; else not_ok "$1" "$3 $4" "$2"; fi
}
succeeds() { # NAME COMMAND...
	local name=$1 out
	shift
	if out=$("$@" 2>&1 </dev/null); then ok "$name"; else not_ok "$name" "exit 0 of $1" "exit $?: $out"; fi
}
fails() { # NAME COMMAND...
	local name=$1 out
	shift
	if out=$("$@" 2>&1 </dev/null); then not_ok "$name" "a failure of $1" "exit 0: $out"; else ok "$name"; fi
}
# What cannot go on: one failure, and the test ends.
die() {
	not_ok "$1" "${2:-to go on}" "${3:-$(tail -n 5 "${daemon_log:-/dev/null}" 2>/dev/null)}"
	done_testing
}
done_testing() {
	local tail=
	[ -n "$daemon" ] && daemon_stop
	[ "$skipped" -gt 0 ] && tail=", $skipped skipped"
	echo "$passed passed, $failed failed$tail"
	[ "$failed" -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
	exit $?
}

# until SECONDS COMMAND...: polls until the command succeeds.
until_true() {
	local end=$((SECONDS + $1 + 1))
	shift
	while [ "$SECONDS" -lt "$end" ]; do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	return 1
}

free_port() { python3 "$lib/free_port.py"; }

# ---- the daemon ------------------------------------------------------------

# Whom a role runs as where the test is root; ourselves otherwise.
role_user() { # ROLE
	local name
	case $1 in
	listener) name=_pontifexd ;; authd) name=_pontauth ;;
	handler) name=_pontwork ;; auditd) name=_pontaudit ;;
	esac
	[ "$(id -u)" -eq 0 ] || { id -un; return; }
	# Where one of the users is missing, all roles run as nobody.
	for user in _pontifexd _pontauth _pontwork _pontaudit _pontfetch; do
		id "$user" >/dev/null 2>&1 || { echo nobody; return; }
	done
	echo "$name"
}

# handler_writes PATH...: what the handler must be able to write.
handler_writes() {
	[ "$(id -u)" -ne 0 ] || chown "$(role_user handler)" "$@"
}

# shop DIR: a folder with the contract's configuration on a free port of its
# own, and the contract's data.  Sets $dir, $port, $conf, $keys.
shop() {
	dir=$1 port=$(free_port) conf=$1/pontifex.conf keys=$1/keys
	mkdir -p "$dir"
	chmod 755 "$dir"
	sed "s/port 8080/port $port/" "$contract/embedded.conf" >"$conf"
	sqlite3 "$dir/shop.db" <"$contract/shop.sql"
	handler_writes "$dir" "$dir/shop.db"
}

# daemon_start [ARGUMENT...]: starts pontifexd on $conf and waits until it is
# ready; 1 where it does not become so.  Sets $daemon, $daemon_log.
daemon_start() {
	daemon_log=$dir/log
	"$build/pontifexd" -d -f "$conf" "$@" 2>>"$daemon_log" \
	    >>"$daemon_log" </dev/null &
	daemon=$!
	started+=("$daemon")
	until_true 30 daemon_ready_or_gone && daemon_ready
}
daemon_ready() {
	[ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' \
	    "http://127.0.0.1:$port/health/ready")" = 200 ]
}
daemon_ready_or_gone() { ! kill -0 "$daemon" 2>/dev/null || daemon_ready; }

# daemon_stop: SIGTERM; the exit status is in $daemon_status.
daemon_stop() {
	[ -n "$daemon" ] || return 0
	kill -TERM "$daemon" 2>/dev/null
	daemon_wait 25
}
daemon_wait() {
	if ! until_true "$1" process_gone "$daemon"; then
		not_ok 'the daemon ends when told to' "an exit within $1 s" \
		    "$(ps -o pid,stat,comm --ppid "$daemon" 2>/dev/null)"
		kill -9 "$daemon" 2>/dev/null
	fi
	wait "$daemon" 2>/dev/null
	daemon_status=$?
	daemon=
	sanitizer_silent
}
# Gone, or a zombie that waits for us.
process_gone() {
	local state
	state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c1)
	[ -z "$state" ] || [ "$state" = Z ]
}
sanitizer_silent() {
	local found
	found=$(grep -aE 'ERROR: [A-Za-z]*Sanitizer|runtime error:' "$daemon_log" 2>/dev/null | head -n 3)
	[ -z "$found" ] || not_ok 'the sanitizers are silent' 'no report' "$found"
	found=$(grep -aiE 'tried a system call that its role may not make|killed by its sandbox' "$daemon_log" 2>/dev/null | head -n 3)
	[ -z "$found" ] || [ -n "${expect_violation:-}" ] ||
	    not_ok 'no process asks for what its sandbox forbids' 'no violation' "$found"
}

# child_pids [ROLE]: the daemon's children.
child_pids() {
	ps -o pid=,comm= --ppid "$daemon" 2>/dev/null |
	    awk -v role="${1:-}" 'role == "" || $2 == role { print $1 }'
}

# The secret of a key, which may have a _ in it.
secret_of() { printf %s "$1" | cut -d_ -f4-; }
# key_add OPTIONS...: prints the plaintext.  -o tester unless told.
key_add() {
	"$build/pontifexctl" key add -F "$keys" "$@"
}
key_id() { # PLAINTEXT: sk_env_ID_secret
	printf %s "$1" | cut -d_ -f3
}

ctl() { "$build/pontifexctl" -s "$dir/run/control.sock" "$@"; }
audit_verify() { "$build/pontifexctl" audit verify -j "$dir/audit" "$@" 2>&1; }

# The journal's records, one a line, oldest first.
journal() {
	local segment
	for segment in "$dir"/audit/*.jsonl; do
		[ -f "$segment" ] && cat "$segment"
	done
}
journal_has() { # JQ-CONDITION
	journal | jq -e -s "any(.[]; $1)" >/dev/null 2>&1
}
journal_count() { # JQ-CONDITION
	journal | jq -s "[.[] | select($1)] | length" 2>/dev/null
}
# One line of the journal by the request id of an answer.
record_of() { journal | jq -c "select(.request_id == \"$1\")"; }

# ---- calls -----------------------------------------------------------------

# Each sets $status (HTTP), $body and $head (the answer's header lines).
post() { # KEY BODY [CURL-OPTION...]: a POST to the endpoint as told
	local key=$1 data=$2 auth=()
	shift 2
	[ -n "$key" ] && auth=(-H "Authorization: Bearer $key")
	status=$(printf %s "$data" | curl -s -m "${call_timeout:-20}" -o "$work/answer" \
	    -D "$work/head" -w '%{http_code}' "${auth[@]}" \
	    -H 'Content-Type: application/json' \
	    -H 'Accept: application/json, text/event-stream' \
	    "$@" --data-binary @- "http://127.0.0.1:$port/mcp")
	body=$(cat "$work/answer" 2>/dev/null)
	head=$(tr -d '\r' <"$work/head" 2>/dev/null)
	: >"$work/answer"
	: >"$work/head"
}
legacy() { # KEY METHOD [PARAMS]
	post "$1" "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"$2\"${3:+,\"params\":$3}}" \
	    -H 'MCP-Protocol-Version: 2025-11-25'
}
meta='"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"harness","version":"1"}}'
modern() { # KEY METHOD [PARAMS-WITHOUT-BRACES [NAME]]
	local name=()
	[ -n "${4:-}" ] && name=(-H "Mcp-Name: $4")
	post "$1" "{\"jsonrpc\":\"2.0\",\"id\":\"m1\",\"method\":\"$2\",\"params\":{${3:+$3,}$meta}}" \
	    -H 'MCP-Protocol-Version: 2026-07-28' -H "Mcp-Method: $2" "${name[@]}"
}
call() { # KEY TOOL ARGUMENTS: a legacy tools/call
	legacy "$1" tools/call "{\"name\":\"$2\",\"arguments\":$3}"
}
modern_call() { # KEY TOOL ARGUMENTS
	modern "$1" tools/call "\"name\":\"$2\",\"arguments\":$3" "$2"
}
# jqb FILTER: over the answer's body, raw and compact.
jqb() { printf %s "$body" | jq -rc "$1" 2>&1; }
error_code() {
	jqb 'if has("error_code") then .error_code else .result.structuredContent.error_code // "none" end'
}

# load_begin: calls over connections that are kept and over fresh ones, until
# load_end, which says whether any was refused or lost.
load_begin() {
	rm -f "$work/stop"
	python3 "$lib/load.py" "$port" "$key" order_lookup '{"order_id":1001}' 4 60 1000000 "$work/stop" >"$work/kept.json" &
	load_kept=$!
	FRESH=1 python3 "$lib/load.py" "$port" "$key" order_lookup '{"order_id":1001}' 4 60 1000000 "$work/stop" >"$work/fresh.json" &
	load_fresh=$!
}
load_end() {
	local how
	touch "$work/stop"
	wait "$load_kept" "$load_fresh"
	note "kept alive: $(cat "$work/kept.json")"
	note "one call a connection: $(cat "$work/fresh.json")"
	for how in kept fresh; do
		is "no call is refused or lost: $how" '["ok"] 0' "$(jq -c '.kinds | keys' "$work/$how.json") $(jq .unanswered "$work/$how.json")"
		number "and there were some: $how" "$(jq .sent "$work/$how.json")" -gt 50
	done
}

# ---- Postgres --------------------------------------------------------------

as_postgres() {
	if [ "$(id -u)" -eq 0 ]; then
		runuser -u postgres -- "$@"
	else
		"$@"
	fi
}

# postgres_start [SETTING...]: the first time makes a cluster of its own,
# reached over a socket in its folder only.  Sets $pg_dir, $pg_port, $pg_bin.
postgres_start() {
	local setting
	if [ -z "$pg_dir" ]; then
		pg_bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
		[ -x "$pg_bin/initdb" ] || pg_bin=$(dirname "$(command -v initdb || echo /nonexistent/initdb)")
		[ -x "$pg_bin/initdb" ] || return 1
		pg_dir=$work/pg
		pg_port=$(free_port)
		mkdir -p "$pg_dir"
		chmod 755 "$pg_dir"
		[ "$(id -u)" -ne 0 ] || chown postgres "$pg_dir"
		as_postgres "$pg_bin/initdb" -D "$pg_dir/data" -U postgres -A trust \
		    -E UTF8 --no-locale --no-sync >"$work/initdb.log" 2>&1 || return 1
		{
			echo "port = $pg_port"
			echo "listen_addresses = ''"
			echo "unix_socket_directories = '$pg_dir'"
			echo 'shared_buffers = 16MB'
			echo 'max_connections = 60'
			echo 'fsync = off'
			for setting in "$@"; do echo "$setting"; done
		} | as_postgres tee -a "$pg_dir/data/postgresql.conf" >/dev/null
	fi
	as_postgres "$pg_bin/pg_ctl" -D "$pg_dir/data" -l "$pg_dir/log" -w -t 30 start \
	    >/dev/null 2>&1 </dev/null
}
postgres_stop() { # [fast|immediate]
	as_postgres "$pg_bin/pg_ctl" -D "$pg_dir/data" -w -t 30 -m "${1:-fast}" stop \
	    >/dev/null 2>&1 </dev/null
}
sql() { # DATABASE STATEMENT: as the superuser, unaligned
	"$pg_bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$pg_dir" -p "$pg_port" -U postgres \
	    -d "$1" -c "$2" 2>&1 </dev/null
}
sql_file() { # DATABASE FILE
	"$pg_bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$pg_dir" -p "$pg_port" -U postgres \
	    -d "$1" -f "$2" 2>&1 </dev/null
}
dsn() { # USER DATABASE
	echo "host=$pg_dir port=$pg_port user=$1 dbname=$2"
}
# A database with the audit schema, and a role that may do what it grants.
audit_database() { # NAME
	sql postgres "CREATE DATABASE $1" && sql_file "$1" "$top/auditd/schema.sql"
}

if [ ! -x "$build/pontifexd" ]; then
	not_ok 'there is a daemon to test' "$build/pontifexd" 'nothing: run make'
	done_testing
fi
