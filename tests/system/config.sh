#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The configuration: the contract's files load as they stand; every mistake
# stops the start and is named by file and line, several in one run.

. "$(dirname "$0")/../lib/harness.sh"

mkdir -p "$work/c"
cp "$contract"/*.conf "$work/c/"
for file in embedded production; do
	out=$("$build/pontifexd" -n -f "$work/c/$file.conf" 2>&1 </dev/null)
	is "-n accepts $file.conf as it stands" 0 "$?"
	unlike "and reports no error in $file.conf" '^[^ ]+:[0-9]+: ' "$(grep -v 'not in force' <<<"$out")"
done
is '-n leaves nothing behind' 'embedded.conf production.conf' "$(cd "$work/c" && echo *)"

chmod 666 "$work/c/embedded.conf"
like 'one that everybody may write to is not read' 'embedded.conf: everybody may write to it' "$("$build/pontifexd" -n -f "$work/c/embedded.conf" 2>&1 </dev/null)"

# An otherwise good file, with what the test puts into it.
good() {
	cat <<-'EOF'
	namespace "shop"
	listen on 127.0.0.1 port 8080
	control socket "run/control.sock"
	auth { 
		keys "keys"
	}
	audit {
		journal "audit"
	}
	source shop sqlite "shop.db"
	tool first {
		description "d"
		scope "shop:a:read"
		source shop
		sql "SELECT 1 AS one"
	}
	EOF
}
tool() { # NAME LINES...
	local name=$1
	shift
	printf 'tool %s {\n\tdescription "d"\n' "$name"
	printf '\t%s\n' "$@"
	printf '}\n'
}
# error NAME LINE PATTERN: stdin is the configuration; it must be refused with
# an error at the line whose message fits the pattern.
error() {
	local out rc
	cat >"$work/bad.conf"
	out=$("$build/pontifexd" -n -f "$work/bad.conf" 2>&1 </dev/null)
	rc=$?
	if [ "$rc" -ne 1 ]; then
		not_ok "$1" 'exit 1' "exit $rc: $out"
	elif ! grep -Eq "^[^ ]*bad\.conf:($2): .*($3)" <<<"$out"; then
		not_ok "$1" "bad.conf:$2: …$3…" "$out"
	else
		ok "$1"
	fi
}
accept() { # NAME: stdin is the configuration
	local out
	cat >"$work/good.conf"
	if out=$("$build/pontifexd" -n -f "$work/good.conf" 2>&1 </dev/null); then
		ok "$1"
	else
		not_ok "$1" 'exit 0' "$out"
	fi
}

{ good; tool a 'scope "shop:a:read"' 'source shop' 'sql "SELECT 1 AS one"'; } | accept 'the control: a good file is accepted'
{ good; echo 'nonsense here'; } | error 'an unknown word' 17 'syntax|nonsense'
{ good; tool a 'source shop' 'sql "SELECT 1 AS one"'; } | error 'a tool without a scope' '(1[7-9]|2[01])' scope
{ good; tool a 'scope "shop:a:read"' 'source other' 'sql "SELECT 1 AS one"'; } | error 'a source that is not declared' '(1[7-9]|2[0-2])' other
{ good; tool a 'scope "shop:a:read"' 'source shop' 'sql "SELECT :x AS one"'; } | error 'a param in the SQL that is not declared' '(1[7-9]|2[0-2])' x
{ good; tool a 'scope "shop:a:read"' 'source shop' 'param x integer' 'sql "SELECT 1 AS one"'; } |
    error 'a param that the SQL does not use' '(1[7-9]|2[0-3])' x
{ good; for _ in 1 2; do tool a 'scope "shop:a:read"' 'source shop' 'sql "SELECT 1 AS one"'; done; } |
    error 'two tools of one name' '2[2-7]' 'a'
{ good; echo 'source shop sqlite "other.db"'; } | error 'two sources of one name' 17 shop
{ good; tool a 'scope "shop:a:read"' 'source shop' 'param x integer' 'param x integer' 'sql "SELECT :x AS one"'; } |
    error 'two params of one name' '(1[7-9]|2[0-4])' x
{ good; tool a 'scope "shop:a:read"' 'source shop' 'param x integer { minimum 5 maximum 4 }' 'sql "SELECT :x AS one"'; } |
    error 'a minimum above the maximum' '(1[7-9]|2[0-3])' 'm(ax|in)imum'
{ good; tool a 'scope "shop:a:read"' 'source shop' 'param x integer default 3 { minimum 5 }' 'sql "SELECT :x AS one"'; } |
    error 'a default that does not fit' '(1[7-9]|2[0-3])' 'default|minimum'
{ good; tool a 'scope "*:a:read"' 'source shop' 'sql "SELECT 1 AS one"'; } | error 'a bad scope' '(1[7-9]|2[0-2])' scope
{ good; echo 'listen on 0.0.0.0 port 8081'; } | error 'listening to all without TLS' 17 plaintext
{ good; echo 'listen on 0.0.0.0 port 8081 plaintext'; } | accept 'unless the word plaintext is there'
{ good; echo 'listen on 127.0.0.1 port 70000'; } | error 'a port that is none' 17 port
{ good; printf 'allow host "a\n'; } | error 'a string without an end' '(17|18)' 'string|quote|unterminated|end'
{ good; echo 'include "nosuch.conf"'; } | error 'a file to include that is not there' 17 nosuch
{ good; echo 'allow host $nosuch'; } | error 'a macro that is not defined' 17 nosuch
good | sed '/^auth/,/^}/d' | error 'no auth block' '[0-9]+' auth
good | sed '/^audit/,/^}/d' | error 'no audit journal' '[0-9]+' audit
{ good; echo 'nonsense one'; echo 'allow host "a.example"'; echo 'nonsense two'; } | error 'more than one error in a run (1)' 17 .
like 'more than one error in a run (2)' 'bad\.conf:19: ' \
    "$("$build/pontifexd" -n -f "$work/bad.conf" 2>&1 </dev/null)"
{ echo 'where = "127.0.0.1"'; good; echo 'allow host $where  # a comment'; } | accept 'macros and comments'
{ good | sed 's/port 8080/\\\n\tport 8080/'; } | accept 'a continued line'
{ good; tool tool 'scope "shop:a:read"' 'source shop' 'param limit integer' 'sql "SELECT :limit AS one"'; } |
    accept 'keywords as names after tool and param'
{ good; tool a 'scope "shop:a:read"' 'source shop' 'param x string' \
    'sql "SELECT '"':no', :x AS one -- :no"'"'; } | accept 'a colon in a string or comment is no param'
# shellcheck disable=SC2016
{ good; echo 'allow host $name'; } >"$work/macro.conf"
succeeds '-D defines a macro' "$build/pontifexd" -n -D name=example.com -f "$work/macro.conf"
fails '-D without a value' "$build/pontifexd" -n -D name -f "$work/macro.conf"
fails 'a file that is not there' "$build/pontifexd" -n -f "$work/nosuch.conf"
fails 'an option that is none' "$build/pontifexd" -Z

# The production contract starts without any of what it names: nothing of it
# is a condition of life.
dir=$work/p port=$(free_port) conf=$work/p/pontifex.conf keys=$work/p/keys
mkdir -p "$dir"
chmod 755 "$dir"
sed "s/port 8080/port $port/" "$contract/production.conf" >"$conf"
key_add -o alice -s shop:order:read >/dev/null
# It is not ready, which without its databases it need not be; it lives.
daemon_ready() { [ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/health/live")" = 200 ]; }
nowhere="host=$dir port=1 dbname=nowhere user=nobody"
REDIS_URL=redis://127.0.0.1:1 AUDIT_DSN=$nowhere ORDERS_DSN=$nowhere REPLICA_DSN=$nowhere \
    daemon_start || die 'the production contract starts' 'an answer of /health/live'
until_true 10 grep -q 'redis limits: away' "$daemon_log"
like 'a Redis that is not there is said' 'redis limits: away: .*each node counts by itself' "$(cat "$daemon_log")"
like 'and results without a key to seal them stay here' 'redis cache: off: there is no .redis key' "$(cat "$daemon_log")"
daemon_stop
# What parses but is not in force yet is said at the start; it never pretends.
sed -i 's/limit rows 100/limit rows 100\n\tpage by id/' "$conf"
REDIS_URL=redis://127.0.0.1:1 AUDIT_DSN=$nowhere ORDERS_DSN=$nowhere REPLICA_DSN=$nowhere \
    daemon_start || die 'the production contract starts' 'an answer of /health/live'
like 'not in force yet, and said: page by' 'not (in force|built).*page by|page by.*not (in force|built)' "$(cat "$daemon_log")"
daemon_stop

# A start with a bad file does not start, and leaves no process.
shop "$work/shop"
echo 'nonsense here' >>"$conf"
"$build/pontifexd" -d -f "$conf" >"$work/out" 2>&1 </dev/null &
pid=$!
started+=("$pid")
if until_true 10 process_gone "$pid"; then
	wait "$pid"
	isnt 'a bad file stops the start' 0 "$?"
else
	not_ok 'a bad file stops the start' 'an exit' 'a running process'
fi
like 'with file and line' 'pontifex\.conf:[0-9]+: ' "$(cat "$work/out")"
done_testing
