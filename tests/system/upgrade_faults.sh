#!/bin/bash
# SPDX-License-Identifier: ISC
#
# What goes wrong around an upgrade: a journal that cannot be written, processes
# of either version that die or hang where it hurts, signals and keys in the
# middle of it, doors that come and go.  Whatever happens, one daemon serves,
# who asked is told, and no record or connection is lost.

. "$(dirname "$0")/../lib/harness.sh"
. "$(dirname "$0")/../lib/upgrade.sh"

next_version "$work/others" "$messages" "$others"
answers() { call "$key" order_lookup '{"order_id":1001}'; echo "$status $(jqb '.result.structuredContent.rows[0].id')"; }
until_stuck() { # ROLE: an upgrade is asked for whose ROLE does not start
	put "$work/stuck" "$opt/libexec/$1"
	in_back
	until_true 20 is_stuck || not_ok 'the new daemon waits' stuck "$(tail -n 3 "$daemon_log")"
	install_from "$programs"
}
one_family() { [ "$(child_pids auditd | wc -l)" = 1 ] && [ -z "$(successor)" ] && daemon_ready; }
begin() { # NAME [AUDIT-LINE]: a shop and its daemon
	shop "$work/$1"
	[ -z "${2:-}" ] || sed -i "s/^\tjournal .*/&\n\t$2/" "$conf"
	add_wait
	key=$(key_add -o alice -s shop:order:read,shop:order:write -r 10000000)
	good=$(cat "$conf")
	opt_start || die "$1: the daemon starts"
}
# ---- a journal that cannot be written

for mode in refuse continue; do
	if [ "$mode" = refuse ]; then begin "$mode"; else begin "$mode" 'on failure continue'; fi
	served=$(answers)
	segment=$(ls "$dir"/audit/*.jsonl)
	mv "$segment" "$work/away"
	until_true 10 grep -q 'its segment was moved' "$daemon_log"
	auditd=$(child_pids auditd)
	for what in 'the same messages' 'other messages'; do
		[ "$what" = 'the same messages' ] || install_from "$work/others"
		upgrade
		is "$mode, $what: a journal that cannot be written refuses an upgrade" 1 "$upgrade_status"
		like "$mode, $what: and it is said" '^the journal cannot be written' "$upgrade_said"
		is "$mode, $what: the same daemon serves, with the same auditd" "$before $auditd" "$daemon $(child_pids auditd)"
		install_from "$programs"
	done
	call "$key" order_lookup '{"order_id":1001}'
	is "$mode: which does with calls what it did" "$([ "$mode" = refuse ] && echo overloaded || echo none)" "$(error_code)"
	sed -i 's/^\tjournal .*/&\n\tcheckpoint every 100 records/' "$conf"
	like "$mode: a reload to another auditd is refused as well" 'the journal cannot be written' "$(ctl reload 2>&1)"
	printf '%s\n' "$good" >"$conf"
	mv "$work/away" "$segment"
	until_true 10 eval '[ "$(answers)" = "$served" ]'
	upgrade
	is "$mode: mended, it works" "0 $served" "$upgrade_status $(answers)"
	until_true 20 process_gone "$before"
	like "$mode: the trail is whole" '^audit verify: ok' "$(audit_verify | tail -n 1)"
	[ "$mode" = refuse ] || number "$mode: and tells what was let go" "$(journal | jq -s '[.[] | select(.event == "lost") | .detail.records] | add')" -ge 1
	daemon_stop
done

# ---- an auditd that takes its time to end

begin audit
is 'before' '200 1001' "$(answers)"
# Who traces a process hears of its end first, and its parent when that one cares.
python3 -c '
import ctypes, os, sys, time
seize = 0x4206
assert ctypes.CDLL(None).ptrace(seize, int(sys.argv[1]), 0, 0) == 0
os.waitid(os.P_PID, int(sys.argv[1]), os.WEXITED | os.WNOWAIT)
time.sleep(0.5)
' "$(child_pids auditd)" &
tracer=$!
until_true 10 eval '! grep -q "^TracerPid:[[:space:]]*0$" /proc/$(child_pids auditd)/status'
upgrade
is 'an auditd that let the journal go and is slow to end holds nobody up' 0 "$upgrade_status"
until_true 20 process_gone "$before"
is 'and who was wired to it is not blamed' '' "$(grep 'cut off\|killed by' "$daemon_log")"
wait "$tracer"

# ---- no auditd starts, there nor here

put "$work/false" "$opt/libexec/auditd"
said=$(timeout 20 "$pontifexctl" -s "$dir/run/control.sock" upgrade 2>&1)
is 'where no auditd starts any more, who asked is told' 1 "$?"
like 'what the matter is' 'auditd does not start here either' "$said"
is 'and by which daemon: the one that was there' 1 "$(process_gone "$daemon" || echo 1)"
install_from "$programs"
until_true 20 one_family
is 'it serves as soon as one does' '200 1001' "$(answers)"
# One that is to be started later is not started twice.
put "$work/false" "$opt/libexec/auditd"
: >"$daemon_log"
kill -9 "$(child_pids auditd)"
until_true 20 grep -q 'auditd died [5-9] times in a row' "$daemon_log"
until_stuck listener
kill -9 "$(successor)"
wait "$asker"
is 'an upgrade fails while auditd waits for its start' 1 "$?"
until_true 20 one_family
seen=$(for _ in 1 2 3 4 5 6 7 8 9 10; do child_pids auditd | wc -l; sleep 0.2; done | sort -u)
is 'there is one auditd after it, and stays so' 1 "$seen"
is 'which serves' '200 1001' "$(answers)"
# Told to end where nothing can be recorded: it ends.
put "$work/false" "$opt/libexec/auditd"
in_back
wait "$asker"
daemon_stop
is 'a daemon without auditd ends when it is told to' '' "$daemon"
install_from "$programs"

# ---- the new daemon ends when there is no way back for us, either

# It takes long by its nature: in the plain build alone.
if [ -z "${ASAN_OPTIONS:-}" ] && ! grep -q asan <<<"$programs"; then
	begin hung
	auditd=$(child_pids auditd)
	kill -STOP "$auditd"
	in_back
	until_true 20 eval '[ "$(ps -o pid= --ppid "$(successor)" | wc -l)" = 4 ]'
	# It is risen soon, and auditd told to hand over; or refused before that.
	sleep 1
	kill -9 "$(successor)"
	wait "$asker"
	is 'the new daemon ends while our auditd hangs over its hand-over: refused' 1 "$?"
	like 'and said' '^'"$opt/pontifexd: ended before it served" "$(cat "$work/said")"
	until_true 20 daemon_ready
	isnt 'and there is another auditd' "$auditd" "$(child_pids auditd)"
	is 'which records' '200 1001' "$(answers)"
	daemon_stop
	# The executables on disk are another version's, which ours are not.
	begin stranded
	next_version "$work/elsewhere" "$messages" "$others"
	build=$work/elsewhere next_version "$work/strange" "$version" "$later"
	install_from "$work/strange"
	slow stranded 9
	in_back
	until_true 20 grep -q 'has other messages' "$daemon_log"
	kill -9 "$(successor)"
	until_true 20 eval '[ -z "$(successor)" ]'
	slow_end stranded 9
	is 'all that is in flight is answered' '200 9' "$(cat "$work/slow.stranded")"
	wait "$asker"
	is 'where ours cannot be started again, it is said' 1 "$?"
	like 'how it is' 'not all processes serve again' "$(cat "$work/said")"
	upgrade
	is 'and the next upgrade is not barred' "0 $later 200 1001" "$upgrade_status $(serving | cut -d' ' -f1) $(answers)"
	until_true 20 process_gone "$before"
	like 'the trail is whole' '^audit verify: ok' "$(audit_verify | tail -n 1)"
	daemon_stop
	install_from "$programs"
fi

# ---- signals, keys and questions in the middle of it

begin middle
until_stuck listener
new=$(successor)
like 'a reload in the middle of an upgrade' 'an upgrade is under way' "$(ctl reload 2>&1)"
like 'an upgrade' 'is under way' "$(ctl upgrade 2>&1)"
kill -HUP "$daemon" "$new"
kill -USR2 "$daemon" "$new"
until_true 10 eval '[ "$(grep -c "refused: the daemon is not ready" "$daemon_log")" = 2 ]'
is 'and both at the one that rises' 2 "$(grep -c 'refused: the daemon is not ready' "$daemon_log")"
is 'change nothing' "$new 200 1001" "$(successor) $(answers)"
other=$(key_add -o bob -s shop:order:read)
until_true 10 eval 'call "$other" order_lookup "{\"order_id\":1001}"; [ "$status" = 200 ]'
is 'a key that is made meanwhile is good' 200 "$status"
kill -TERM "$new"
wait "$asker"
is 'the one that rises, told to end' 1 "$?"
like 'leaves the other one' 'nothing has changed$' "$(cat "$work/said")"
is 'which serves' "$daemon 200 1001" "$(serving | cut -d' ' -f2) $(answers)"
until_stuck listener
new=$(successor)
kill -INT "$daemon"
daemon_wait 20
until_true 20 process_gone "$new"
is 'told to end while the new one rises, both are gone' 1 "$(process_gone "$new" && echo 1)"
wait "$asker"
is 'and the sockets' '' "$(ls "$dir/run")"

# ---- the new auditd dies before the doors are open

begin between
slow first 1
upgrade
is 'a first upgrade, and its old daemon finishes' 0 "$upgrade_status"
oldest=$before
slow second 2
in_back
slow_end first 1
of_new() { ps -o pid=,comm= --ppid "$new" | awk -v role="$1" '$2 == role { print $1 }'; }
until_true 20 eval 'new=$(successor | grep -vx "$oldest"); [ -n "$new" ] && [ -n "$(of_new listener)" ] && [ -n "$(of_new handler)" ]'
new=$(successor | grep -vx "$oldest")
# All of its children are wired.
until_true 4 eval '[ "$(ls -l "/proc/$(of_new listener)/fd" | grep -c socket:)" -ge 4 ]'
# Its listener is not there when the turn comes, and the doors stay shut.
printf '#!/bin/sh\nuntil [ -e "%s" ]; do sleep 0.05; done\nexec "%s"\n' "$work/go" "$programs/libexec/listener" >"$work/waits"
chmod 755 "$work/waits"
put "$work/waits" "$opt/libexec/listener"
kill -9 "$(of_new listener)"
until_true 30 eval '[ -n "$(of_new auditd)" ]'
auditd=$(of_new auditd)
# Those of the daemon before lean on it by now.
until_true 6 eval '[ "$(ls -l "/proc/$auditd/fd" | grep -c socket:)" -ge 7 ]'
kill -9 "$auditd"
until_true 6 eval '[ -n "$(of_new auditd)" ] && [ "$(of_new auditd)" != "$auditd" ]'
: >"$work/go"
wait "$asker"
is 'an auditd that dies before the doors are open is replaced' 0 "$?"
before=$daemon
now_serves
is 'by the new daemon, which serves' "$new 200 1001" "$daemon $(answers)"
slow_end second 2
is 'the call in flight of the old one is answered' '200 2' "$(cat "$work/slow.second")"
until_true 20 process_gone "$before"
install_from "$programs"
is 'and both are recorded' 2 "$(until_true 10 eval '[ "$(journal_count ".tool_name == \"wait\" and .outcome == \"ok\"")" = 2 ]'; journal_count '.tool_name == "wait" and .outcome == "ok"')"
like 'the trail is whole' '^audit verify: ok' "$(audit_verify | tail -n 1)"

# ---- a fetcher that does not start in time

sed -i '/^control socket/a public url "https://mcp.example/mcp"' "$conf"
sed -i 's,^auth {,&\n\tissuer "https://127.0.0.1:1/" {\n\t\taudience "https://mcp.example"\n\t\tscopes from "scope"\n\t},' "$conf"
put "$work/false" "$opt/libexec/fetcher"
upgrade
is 'an upgrade whose fetcher fails' "0 200 1001" "$upgrade_status $(answers)"
[ "$upgrade_status" = 0 ] || note "$upgrade_said"
install_from "$programs"
until_true 10 eval '[ -n "$(child_pids fetcher)" ]'
is 'has one when it can be started' 1 "$(child_pids fetcher | wc -l)"
until_true 20 process_gone "$before"

# ---- doors

second=$(free_port)
sed -i "s/^listen on .*/&\nlisten on 127.0.0.1 port $second/" "$conf"
upgrade
is 'another listen line: an upgrade' 0 "$upgrade_status"
is 'has it' 200 "$(curl -s -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$second/health/live")"
until_true 20 process_gone "$before"
slow door 3
sed -i "/^listen on 127.0.0.1 port $second/d" "$conf"
upgrade
is 'without it again' 0 "$upgrade_status"
curl -s -m 3 -o /dev/null "http://127.0.0.1:$second/health/live"
is 'nobody is kept waiting there while the old daemon finishes: refused' '7 1' "$? $(process_gone "$before" || echo 1)"
slow_end door 3
is 'and its call is answered' '200 3' "$(cat "$work/slow.door")"
until_true 20 process_gone "$before"

# More listeners, and then it is refused: nothing was given to those.
good=$(cat "$conf")
sed -i 's/FROM orders o/FROM nowhere o/; /^control socket/a prefork listeners 4 handlers 2' "$conf"
FRESH=1 python3 "$lib/load.py" "$port" "$key" order_lookup '{"order_id":1001}' 4 60 1000000 "$work/stop" >"$work/fresh.json" &
load=$!
refused=0
for _ in 1 2 3 4 5; do
	ctl reload >/dev/null 2>&1 || refused=$((refused + 1))
	upgrade
	[ "$upgrade_status" = 0 ] || refused=$((refused + 1))
done
touch "$work/stop"
wait "$load"
is 'five reloads and upgrades to more listeners are refused' 10 "$refused"
is 'no connection is lost by it' '["ok"] 0' "$(jq -c '.kinds | keys' "$work/fresh.json") $(jq .unanswered "$work/fresh.json")"
number 'and there were some' "$(jq .sent "$work/fresh.json")" -gt 20
printf '%s\n' "$good" >"$conf"
sed -i '/^control socket/a prefork listeners 4 handlers 2' "$conf"
upgrade
is 'what is good comes into force' "0 4 200 1001" "$upgrade_status $(child_pids listener | wc -l) $(answers)"
is 'all of them listen' 4 "$(ss -Hltn "sport = :$port" | wc -l)"

# ---- started in other ways: in the background, by relative paths, with a macro, as nobody

daemon_stop
shop "$work/plain"
key=$(key_add -o alice -s shop:order:read)
sed -i 's/^namespace .*/namespace $name/' "$conf"
plainly() { "$@"; }
if [ "$(id -u)" -eq 0 ]; then
	plainly() { setpriv --reuid nobody --regid nogroup --clear-groups "$@"; }
	chown -R nobody:nogroup "$dir"
fi
(cd "$dir" && plainly ../opt/pontifexd -D name=plain -f pontifex.conf </dev/null >"$work/plain.out" 2>&1)
is 'in the background, it starts' 0 "$?"
until_true 20 daemon_ready
daemon=
now_serves || die 'it says which process it is' a-pid "$(cat "$work/plain.out")"
is 'as whom it was started' "$(plainly id -u)" "$(stat -c %u "/proc/$daemon")"
for _ in 1 2; do
	upgrade
	is "an upgrade" "0 200 1001 " "$upgrade_status $(answers) $([ "$upgrade_status" = 0 ] || echo "$upgrade_said; $(cat "$work/plain.out")")"
	isnt 'by another process' "$before" "$daemon"
	until_true 20 process_gone "$before"
	is 'with the same words' "$work/plain/../opt/pontifexd -D name=plain -f pontifex.conf -f $dir/pontifex.conf " "$(tr '\0' ' ' <"/proc/$daemon/cmdline")"
done
is 'and the macro' '"plain"' "$(until_true 10 journal_has '.kind == "call"'; journal | jq -c 'select(.kind == "call") | .namespace' | sort -u)"
daemon_stop
is 'it ends with what it made' '' "$(ls "$dir/run")"
sanitizer_silent
done_testing
