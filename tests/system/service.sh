#!/bin/bash
# SPDX-License-Identifier: ISC
#
# rc/pontifexd.service: how exposed it is in systemd's own judgement, and, where
# namespaces can be made, run by a real systemd: users and folders made as a
# package would, ready when the doors are open, each process as what it is to
# be, secrets as credentials, reload, watchdog, restart and end.  Every switch
# of the unit is in force while calls are served.

[ -n "${IN_HOUSE:-}" ] || ! unshare -m true 2>/dev/null || exec env IN_HOUSE=1 unshare -m bash "$0"
. "$(dirname "$0")/../lib/harness.sh"
. "$lib/house.sh"

EXPOSURE_MAX=2.2

dest=$work/dest
make -s -C "$top" -o all BUILD="$build" DESTDIR="$dest" install >"$work/out" 2>&1 ||
    die 'make install' 'exit 0' "$(cat "$work/out")"
unit=$dest/usr/local/lib/systemd/system/pontifexd.service
command -v systemd-analyze >/dev/null || die 'systemd-analyze is there' 'the package systemd' none
exposure=$(systemd-analyze security --offline=yes "$unit" 2>/dev/null | sed -n 's/.*Overall exposure level.*: \([0-9.]*\) .*/\1/p')
if awk -v e="$exposure" -v max="$EXPOSURE_MAX" 'BEGIN { exit !(e != "" && e <= max) }'; then
	ok "exposure $exposure"
else
	not_ok "the unit's exposure" "at most $EXPOSURE_MAX" "$exposure; $(systemd-analyze security --offline=yes "$unit" 2>&1 | grep '^✗')"
fi
# Control: the number is judged by what stands in the unit.
mkdir -p "$work/open"
grep -v '^SystemCallFilter\|^CapabilityBoundingSet' "$unit" >"$work/open/pontifexd.service"
isnt 'control: a unit without its filter is judged worse' "$exposure" \
    "$(systemd-analyze security --offline=yes "$work/open/pontifexd.service" 2>/dev/null | sed -n 's/.*Overall exposure level.*: \([0-9.]*\) .*/\1/p')"

if ! house_possible; then
	skip 'the unit under systemd' 'nothing can be mounted here'
	done_testing
fi
house_build || die 'there is a house to install into' mounts "$(mount | tail -n 3)"
for path in usr/local etc var; do cp -dR --preserve=mode "$dest/$path/." "$house/$path/"; done
like 'systemd-sysusers makes the users' '^0$' "$(inside systemd-sysusers >"$work/out" 2>&1; echo $?)"
like 'systemd-tmpfiles makes the folders' '^0$' "$(inside systemd-tmpfiles --create pontifexd.conf >>"$work/out" 2>&1; echo $?)"
is 'the journal folder is auditd'"'"'s' "700 $(house_uid _pontaudit)" "$(stat -c '%a %u' "$house/var/lib/pontifexd/audit")"
is 'systemd finds nothing wrong with the unit' '' \
    "$(inside systemd-analyze verify --man=no /usr/local/lib/systemd/system/pontifexd.service 2>&1 | grep pontifexd)"
house_configure
if ! house_boot; then
	skip 'the unit under systemd' "it does not start here: $(tail -n 1 "$work/manager.log")"
	done_testing
fi

show() { managed systemctl show -p "$1" --value pontifexd; }
log() { managed journalctl --no-pager -o cat -u pontifexd 2>/dev/null; }
# Pids in the house are others outside.
main_pid() { pgrep -P "$(managed_init)" -x pontifexd | head -n 1; }

# A secret from the manager: what it says is what auditd then connects to.
away=$(free_port)
mkdir -p "$house/etc/systemd/system/pontifexd.service.d"
printf '[Service]\nLoadCredential=audit-dsn:/etc/pontifexd/audit.dsn\nWatchdogSec=2\n' \
    >"$house/etc/systemd/system/pontifexd.service.d/site.conf"
(umask 077; echo "host=127.0.0.1 port=$away dbname=audit user=nobody" >"$house/etc/pontifexd/audit.dsn")
sed -i 's/#\t*\(postgres from credential\)/\1/' "$house_conf"
house_environment | sed 's/.*/Environment="&"/' >>"$house/etc/systemd/system/pontifexd.service.d/site.conf"
managed systemctl daemon-reload

managed systemctl start pontifexd || die 'it starts' 'exit 0' "$(log | tail -n 15)"
call "$key" order_lookup '{"order_id":1001}'
is 'as soon as the manager says so, a call is served' 1001 "$(jqb '.result.structuredContent.rows[0].id')"
is 'the manager is told more' 'serving 2 tools by 1 listeners and 2 handlers' "$(show StatusText)"
until_true 10 eval 'grep -q "port $away" <<<"$(log)"'
like 'the credential was read' "port $away failed" "$(log | grep 'audit database')"
parent=$(main_pid)
until_true 10 pgrep -P "$parent" -x fetcher
house_log='/run/systemd/journal/stdout'
house_family "$parent"
for pid in "$parent" $(ps -o pid= --ppid "$parent"); do
	is "$(cat "/proc/$pid/comm"): the manager's filter and bounds" '00000000000400e0 1 2' \
	    "$(awk '$1 == "CapBnd:" { c = $2 } $1 == "NoNewPrivs:" { n = $2 } $1 == "Seccomp:" { print c, n, $2 }' "/proc/$pid/status")"
done
is 'the environment of no child names the manager' '' \
    "$(for pid in $(ps -o pid= --ppid "$parent"); do tr '\0' '\n' <"/proc/$pid/environ"; done | grep -Ev '^(PATH|ASAN_OPTIONS|UBSAN_OPTIONS)=')"

# What the parent sees, though it is root.
seen=/proc/$parent/root
for path in / /etc /etc/pontifexd /usr/local/sbin /usr/local/libexec/pontifexd /run /var /var/lib /var/log /mnt; do
	like "it cannot write in $path" 'Read-only file system' "$(touch "$seen$path/x" 2>&1)"
done
for path in /var/lib/pontifexd /run/pontifexd /var/log/pontifexd; do
	succeeds "but in $path" touch "$seen$path/x"
	rm -f "$seen$path/x"
done
is 'nobody at home' '' "$(ls -A "$seen/home" "$seen/root" 2>/dev/null | grep -v :)"
is 'no device but the harmless' '' "$(ls "$seen/dev" | grep -Evx 'char|full|null|zero|random|urandom|tty|ptmx|pts|shm|mqueue|hugepages|log|core|fd|std(in|out|err)')"

# Reload: what is wrong is told to who asked, and changes nothing.
succeeds 'systemctl reload' managed systemctl reload pontifexd
echo 'nonsense {' >>"$house_conf"
fails 'a configuration that is wrong makes it fail' managed systemctl reload pontifexd
sed -i '$d' "$house_conf"
is 'and the service goes on' active "$(show ActiveState)"
call "$key" order_lookup '{"order_id":1001}'
is 'with the configuration that it had' 200 "$status"

# Watchdog: fed while the loop turns, which is seen by its moment moving on.
fed() { [ "$(show WatchdogTimestampMonotonic)" != "$moment" ]; }
for n in 1 2 3; do
	moment=$(show WatchdogTimestampMonotonic)
	until_true 10 fed || not_ok 'the watchdog is fed' 'a new moment' "$moment"
done
is 'the watchdog is fed' 0 "$(show NRestarts)"
kill -STOP "$parent"
restarted() { [ "$(show NRestarts)" -gt "$1" ] && [ "$(show ActiveState)" = active ] && daemon_ready; }
until_true 30 restarted 0 || not_ok 'a parent that hangs is ended and another started' active "$(show ActiveState); $(log | tail -n 4)"
call "$key" order_lookup '{"order_id":1001}'
is 'a parent that hangs is ended, and another serves' 200 "$status"
is 'nobody of the old family is left' 1 "$(pgrep -P "$(managed_init)" -x pontifexd | wc -l)"

# A crash: of a child, which the parent mends; of the parent, the manager.
kill -KILL "$(pgrep -P "$(main_pid)" -x authd)"
until_true 10 daemon_ready
is 'a child that dies is no matter for the manager' 1 "$(show NRestarts)"
kill -KILL "$(main_pid)"
until_true 30 restarted 1
call "$key" order_lookup '{"order_id":1001}'
is 'a parent that dies is started again' '200 2' "$status $(show NRestarts)"

# An upgrade: the manager is told of the new process, and minds that one.
old=$(main_pid) old_shown=$(show MainPID)
like 'an upgrade' '^version .* serves as process [0-9]+$' "$(managed /usr/local/sbin/pontifexctl upgrade 2>&1)"
until_true 20 process_gone "$old"
call "$key" order_lookup '{"order_id":1001}'
is 'serves' 200 "$status"
isnt 'the manager has another main process' "$old_shown" "$(show MainPID)"
is 'and did not have to start it' 'active running 2 serving 2 tools by 1 listeners and 2 handlers' \
    "$(show ActiveState) $(show SubState) $(show NRestarts) $(show StatusText)"
new=$(main_pid)
is 'one parent is left' 1 "$(pgrep -P "$(managed_init)" -x pontifexd | wc -l)"
until_true 10 pgrep -P "$new" -x fetcher
house_family "$new"
for n in 1 2 3; do
	moment=$(show WatchdogTimestampMonotonic)
	until_true 10 fed || not_ok 'the new process feeds the watchdog' 'a new moment' "$moment"
done
succeeds 'it can be reloaded' managed systemctl reload pontifexd
kill -STOP "$new"
until_true 30 restarted 2
call "$key" order_lookup '{"order_id":1001}'
is 'where it hangs, the manager starts another' '200 3' "$status $(show NRestarts)"
old=$(main_pid)
managed systemctl kill -s USR2 --kill-who=main pontifexd
until_true 20 process_gone "$old"
until_true 10 daemon_ready
is 'by the signal' '200 3' "$(call "$key" order_lookup '{"order_id":1001}'; echo "$status $(show NRestarts)")"

managed systemctl stop pontifexd
is 'stopped, in order' 'success inactive' "$(show Result) $(show ActiveState)"
is 'nobody is left' '' "$(pgrep -P "$(managed_init)" -x pontifexd)"
is 'when a key was used last stands where it may write' "600 $(key_id "$key")" \
    "$(stat -c %a "$house/var/lib/pontifexd/keys.used") $(cut -d' ' -f1 "$house/var/lib/pontifexd/keys.used")"
is 'nor is the folder of its socket' '' "$(ls -d "/proc/$(managed_init)/root/run/pontifexd" 2>/dev/null)"
succeeds 'the journal verifies after all this' "$build/pontifexctl" audit verify -j "$house/var/lib/pontifexd/audit"
is 'no process asked for what its sandbox forbids' '' "$(log | grep 'tried a system call')"

# Without its users it does not start as somebody else.
sed -i /_pontfetch/d "$house/etc/passwd"
fails 'without one of its users it does not start' managed systemctl start pontifexd
done_testing
