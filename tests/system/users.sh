#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Whom the processes run as.  As root: every child drops it, the listener and
# authd see an empty root, none may gain privileges again, each is under a
# system-call filter.  Without root: one uid, said once.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
key=$(key_add -o alice -s shop:order:read)
daemon_start || die 'the daemon starts' ready
field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }

for role in listener authd handler auditd; do
	pid=$(child_pids $role | head -n 1)
	[ -n "$pid" ] || { not_ok "$role runs" 'a process' none; continue; }
	is "$role: no new privileges" 1 "$(field "$pid" NoNewPrivs)"
	is "$role: under a seccomp filter" 2 "$(field "$pid" Seccomp)"
	is "$role: no capability" 0000000000000000 "$(field "$pid" CapEff)"
	if [ "$(id -u)" -eq 0 ]; then
		uid=$(id -u "$(role_user $role)") gid=$(id -g "$(role_user $role)")
		is "$role: runs as $(role_user $role), real, effective, saved, for files" \
		    "$uid $uid $uid $uid" "$(field "$pid" Uid | tr -s '\t' ' ')"
		is "$role: so its group" "$gid $gid $gid $gid" "$(field "$pid" Gid | tr -s '\t' ' ')"
		is "$role: no other group" '' \
		    "$(field "$pid" Groups | tr ' ' '\n' | grep -vx "$gid" | tr -d '\n')"
		case $role in
		listener | authd)
			is "$role: an empty root" '' "$(ls -A "/proc/$pid/root/" 2>&1)" ;;
		esac
	fi
	is "$role: cannot dump core" '0 0' "$(awk '/Max core file size/ { print $5, $6 }' "/proc/$pid/limits")"
done
# What a process has open: no file but its sockets, its event loop, its log.
pid=$(child_pids listener | head -n 1)
if [ "$(id -u)" -eq 0 ]; then
	is 'the listener has no file open' '' "$(for fd in /proc/"$pid"/fd/*; do readlink "$fd"; done |
	    grep -Ev '^(socket:|anon_inode:|pipe:|/dev/null|/dev/urandom)' | grep -Fv "$daemon_log")"
	if [ "$(role_user handler)" = nobody ]; then
		like 'root without our users: said in one line' nobody "$(cat "$daemon_log")"
		is 'once' 1 "$(grep -c 'run as nobody\|runs as nobody\|nobody' "$daemon_log")"
		daemon_stop
		out=$("$build/pontifexd" -f "$conf" 2>&1 </dev/null)
		isnt 'without -d it refuses' 0 "$?"
		like 'and names the command that makes them' 'make install|useradd' "$out"
	else
		skip 'root without our users' 'the users are there'
	fi
	# The same without root, where a user to try it with is at hand.
	daemon_stop
	shop "$work/plain"
	chown -R nobody "$work/plain"
	# setpriv becomes the command: the pid is the daemon's own.
	plainly() { setpriv --reuid nobody --regid nogroup --clear-groups "$@"; }
	# Where the build stands may be closed to nobody; these are copies.
	mkdir -p "$work/bin"
	cp -r "$build/pontifexd" "$build/pontifexctl" "$build/libexec" "$work/bin/"
	chmod -R a+rX "$work/bin"
	key=$(plainly "$work/bin/pontifexctl" key add -F "$keys" -o bob -s shop:order:read 2>&1)
	daemon_log=$dir/log
	: >"$daemon_log"
	setpriv --reuid nobody --regid nogroup --clear-groups \
	    "$work/bin/pontifexd" -d -f "$conf" >"$daemon_log" 2>&1 </dev/null &
	daemon=$!
	started+=("$daemon")
	until_true 30 daemon_ready_or_gone
	call "$key" order_lookup '{"order_id":1001}'
	is 'without root it serves' 200 "$status"
	is 'without root: said once' 1 "$(grep -ci 'not started as root' "$daemon_log")"
	is 'without root: under a filter all the same' 2 \
	    "$(field "$(child_pids listener | head -n 1)" Seccomp)"
	daemon_stop
	is 'without root: SIGTERM, exit 0' 0 "$daemon_status"
else
	is 'without root: said once' 1 "$(grep -ci 'not started as root' "$daemon_log")"
fi

# A journal folder that is not auditd's stops the start, with what mends it.
shop "$work/folder"
key_add -o alice -s shop:order:read >/dev/null
mkdir -m 755 "$dir/audit"
[ "$(id -u)" -ne 0 ] || chown "$(role_user auditd)" "$dir/audit"
out=$(timeout 20 "$build/pontifexd" -d -f "$conf" 2>&1 </dev/null)
isnt 'a journal folder open to others stops the start' 0 "$?"
like 'with the command that mends it' 'chmod 700' "$out"

# A folder on the way that keeps a role out is named: as below /root.
if [ "$(id -u)" -eq 0 ]; then
	mkdir -m 700 "$work/closed"
	shop "$work/closed/shop"
	key_add -o alice -s shop:order:read >/dev/null
	out=$(timeout 20 "$build/pontifexd" -d -f "$conf" 2>&1 </dev/null)
	isnt 'a folder above that auditd may not enter stops the start' 0 "$?"
	like 'it is named, with what to do' "journal .*uid [0-9]+ of auditd may not enter $work/closed \(mode 0700\): chmod o\+x" "$out"
	like 'that of a source, too' "source .*of handler may not enter $work/closed " "$("$build/pontifexd" -nn -f "$conf" 2>&1)"
fi
done_testing
