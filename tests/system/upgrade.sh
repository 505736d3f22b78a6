#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Another executable takes over a running daemon (SIGUSR2, pontifexctl upgrade)
# as another configuration does at a reload: it rises beside the one that
# serves, is checked, takes the journal, opens the doors.  What fails before
# changes nothing and says why.  No call is refused or lost meanwhile.

. "$(dirname "$0")/../lib/harness.sh"
. "$(dirname "$0")/../lib/upgrade.sh"

shop "$work/shop"
add_wait
key=$(key_add -o alice -s shop:order:read -r 10000000)
sed -i '/^control socket/a metrics on "run/metrics.sock"' "$conf"
good=$(cat "$conf")
refused() { curl -s -m 5 --unix-socket "$dir/run/metrics.sock" http://localhost/metrics | sed -n 's/^pontifexd_last_upgrade_successful //p'; }
scrape() { curl -s -m 5 --unix-socket "$dir/run/metrics.sock" http://localhost/metrics | grep -c '^pontifexd_build_info{'; }

next_version "$work/later" "$version" "$later"
next_version "$work/others" "$messages" "$others"
like 'a version names itself and its messages' "^version $later messages $messages\$" "$("$work/later/pontifexd" -V)"
like 'and another its other ones' "^version $version messages $others\$" "$("$work/others/pontifexd" -V)"

pids() { child_pids "$@" | sort -n | tr '\n' ' '; }
events() { journal | jq -c 'select(.event == "upgrade") | .detail'; }
child_pids_of() { ps -o pid= --ppid "${1:-0}" 2>/dev/null; }
answers() { call "$key" order_lookup '{"order_id":1001}'; echo "$status $(jqb '.result.structuredContent.rows[0].id')"; }

opt_start || die 'the daemon starts'

# ---- the same again

first=$daemon children=$(pids)
inode=$(stat -c %i "$dir/run/control.sock")
upgrade
is 'an upgrade' "0 version $version serves as process $daemon" "$upgrade_status $upgrade_said"
isnt 'is another process' "$first" "$daemon"
is 'with children of its own, all of them' '' "$(comm -12 <(tr ' ' '\n' <<<"$children" | sort) <(child_pids | sort) | grep . | tr '\n' ' ')"
is 'which answers' '200 1001' "$(answers)"
until_true 20 process_gone "$first"
is 'the one before ends' 1 "$(process_gone "$first" && echo 1)"
is 'and its children' '' "$(for p in $children; do process_gone "$p" || echo "$p"; done)"
is 'the control socket is the same file' "$inode" "$(stat -c %i "$dir/run/control.sock")"
like 'the trail tells it' "\"uid\":$(id -u),\"from\":\"$version\",\"to\":\"$version\",\"configuration\":\"[0-9a-f]{16}\"" "$(until_true 10 journal_has '.event == "upgrade"'; events | tail -n 1)"
like 'and is whole' '^audit verify: ok' "$(audit_verify | tail -n 1)"
is 'metrics are read at the same place' 1 "$(until_true 10 eval '[ "$(scrape)" = 1 ]'; scrape)"
ctl reload >/dev/null
is 'a reload works as before' '0 200 1001' "$? $(answers)"
kill -9 "$(child_pids handler | head -n 1)"
until_true 20 eval '[ "$(child_pids handler | wc -l)" = 2 ]'
is 'and a child that dies has another' '200 1001 2' "$(answers) $(child_pids handler | wc -l)"
other=$(key_add -o bob -s shop:order:read)
until_true 10 eval 'call "$other" order_lookup "{\"order_id\":1001}"; [ "$status" = 200 ]'
"$pontifexctl" key revoke -F "$keys" "$(key_id "$other")" >/dev/null
until_true 10 eval 'call "$other" order_lookup "{\"order_id\":1001}"; [ "$status" = 401 ]'
is 'keys come and go as before' 401 "$status"

# ---- a later version, by the signal

install_from "$work/later"
old=$daemon
kill -USR2 "$daemon"
until_true 30 eval '[ "$(serving | cut -d" " -f1)" = "$later" ]'
now_serves
is 'a later version serves after SIGUSR2' "$later 200 1001" "$(serving | cut -d' ' -f1) $(answers)"
isnt 'as another process' "$old" "$daemon"
like 'the trail has both versions' "\"signal\":[0-9]+,\"from\":\"$version\",\"to\":\"$later\"" "$(until_true 10 journal_has ".event == \"upgrade\" and .detail.to == \"$later\""; events | tail -n 1)"

# ---- calls in flight

slow same 1
old=$daemon
upgrade
is 'an upgrade during a call' 0 "$upgrade_status"
is 'does not wait for it' 1 "$([ -e "$work/slow.same" ] || echo 1)"
is 'others are answered by the new processes' '200 1001' "$(answers)"
is 'the one before stays until then' 1 "$(process_gone "$old" || echo 1)"
slow_end same 1
is 'and what was in flight is answered' '200 1' "$(cat "$work/slow.same")"
is 'and recorded' 1 "$(until_true 10 journal_has '.tool_name == "wait" and .outcome == "ok"'; journal_count '.tool_name == "wait" and .kind == "call" and .outcome == "ok"')"
until_true 20 process_gone "$old"

# ---- one behind the other

slow chain 2
first=$daemon
upgrade
is 'an upgrade during a call, again' 0 "$upgrade_status"
in_back
until_true 20 eval '[ "$(child_pids_of "$(successor | grep -vx "$first")" | wc -l)" = 4 ]'
is 'and another, while the first daemon finishes, waits for that' '1 1' "$(process_gone "$first" || echo 1) $(process_gone "$asker" || echo 1)"
is 'and the one between serves' '200 1001' "$(answers)"
slow_end chain 2
is 'what was in flight is answered' '200 2' "$(cat "$work/slow.chain")"
wait "$asker"
is 'then it comes' 0 "$?"
before=$daemon
now_serves
is 'and serves' '200 1001' "$(answers)"
until_true 20 process_gone "$before"

# ---- children that speak another language

install_from "$work/others"
: >"$daemon_log"
slow others 3
before=$daemon
in_back
until_true 20 grep -q 'has other messages' "$daemon_log"
is 'an upgrade to other messages waits for what is in flight' 1 "$(process_gone "$asker" || echo 1)"
slow_end others 3
is 'which is answered' '200 3' "$(cat "$work/slow.others")"
wait "$asker"
is 'and then it comes' 0 "$?"
now_serves
is 'and the new one answers' '200 1001' "$(answers)"
until_true 20 process_gone "$before"
is 'the one before ends' 1 "$(process_gone "$before" && echo 1)"

# ---- what fails changes nothing

install_from "$programs"
upgrade
is 'back to the version before' "0 $version" "$upgrade_status $(serving | cut -d' ' -f1)"
until_true 20 process_gone "$before"
children=$(pids)
changes_nothing() { # NAME WANTED-TEXT
	upgrade
	is "refused: $1" 1 "$upgrade_status"
	like "$1: why" "$2" "$upgrade_said"
	like "$1: nothing has changed" 'upgrade refused: nothing has changed$' "$upgrade_said"
	is "$1: the same daemon serves" "$before 200 1001" "$daemon $(answers)"
}
rm "$opt/pontifexd"
changes_nothing 'an executable that is not there' "^$opt/pontifexd: cannot be executed"
printf 'not a program\n' >"$opt/pontifexd"
chmod 755 "$opt/pontifexd"
changes_nothing 'one that is none' "^$opt/pontifexd: cannot be executed"
printf '#!/bin/sh\nexit 0\n' >"$opt/pontifexd"
changes_nothing 'one that ends' "^$opt/pontifexd: ended before it served"
install_from "$programs"
printf '%s\ntool broken {\n' "$good" >"$conf"
changes_nothing 'a bad configuration' "^$conf:[0-9]+: "
sed 's/FROM orders$/FROM nowhere/; s/FROM orders o/FROM nowhere o/' <<<"$good" >"$conf"
changes_nothing 'a statement that the database refuses' "^$conf:[0-9]+: tool \"order_lookup\": source \"shop\": .*no such table: nowhere"
sed 's/FROM orders$/FROM nowhere/; s/FROM orders o/FROM nowhere o/' <<<"$good" >"$conf"
for i in {1..200}; do
	printf 'tool t%d {\n\tdescription "d"\n\tscope "shop:order:read"\n\tsource shop\n\tsql "SELECT x FROM nowhere"\n}\n' "$i" >>"$conf"
done
changes_nothing 'more of them than there is room to tell' "^$conf:[0-9]+: tool \"order_lookup\": source \"shop\": .*no such table: nowhere"
sed 's,journal "audit",journal "elsewhere",' <<<"$good" >"$conf"
changes_nothing 'another journal' 'audit journal cannot change at an upgrade: restart the daemon'
is 'which is not made' 1 "$([ -e "$dir/elsewhere" ] || echo 1)"
sed 's,run/control.sock,run/other.sock,' <<<"$good" >"$conf"
changes_nothing 'another control socket' 'control socket cannot change at an upgrade'
like 'who watches is told that it was refused' 'an upgrade .* ago was REFUSED: .*control socket cannot change at an upgrade' "$("$pontifexctl" -s "$dir/run/control.sock" status)"
is 'and the metrics are' 0 "$(until_true 10 eval '[ "$(refused)" = 0 ]'; refused)"
printf '%s\n' "$good" >"$conf"
for role in listener authd handler; do
	put "$work/false" "$opt/libexec/$role"
	changes_nothing "a version whose $role fails" "$role.* did not start, or died"
	install_from "$programs"
done
is 'all the while the same children served' "$children" "$(pids)"
put "$work/later/libexec/handler" "$opt/libexec/handler"
changes_nothing 'half of another version' 'handler . did not start, or died'
install_from "$programs"
put "$work/false" "$opt/libexec/auditd"
upgrade_late() { # NAME: it fails when our auditd has gone already
	"$pontifexctl" -s "$dir/run/control.sock" upgrade >"$work/late" 2>&1 &
	late=$!
	until_true 20 grep -q 'did not start: stopping' "$daemon_log"
	install_from "$programs"
	wait "$late"
	is "$1: refused" 1 "$?"
	like "$1: and said" 'nothing has changed$' "$(cat "$work/late")"
	until_true 20 daemon_ready
	is "$1: the same daemon serves" "$daemon 200 1001" "$(serving | cut -d' ' -f2) $(answers)"
	: >"$daemon_log"
}
: >"$daemon_log"
upgrade_late 'a version whose auditd fails'
is 'its other children are the same' "$(comm -23 <(tr ' ' '\n' <<<"$children" | sort) <(echo "$(cut -d' ' -f1 <<<"$children")") | grep -c .)" \
    "$(comm -12 <(tr ' ' '\n' <<<"$children" | sort) <(child_pids | sort) | grep -c .)"
install_from "$work/others"
put "$work/false" "$opt/libexec/auditd"
upgrade_late 'the same with other messages, and all children ended already'
like 'after all that the trail is whole' '^audit verify: ok' "$(audit_verify | tail -n 1)"
number 'and has the refusals' "$(events | grep -c '"refused"')" -ge 12
said=$(PONTIFEXD_UPGRADE='link 0 x' "$opt/pontifexd" -d -f "$conf" 2>&1 </dev/null)
is 'its environment by hand starts nothing' 1 "$?"
like 'and is named' 'PONTIFEXD_UPGRADE: ' "$said"

# ---- killed in the middle of it

killed_at() { # NAME ROLE
	put "$work/stuck" "$opt/libexec/$2"
	"$pontifexctl" -s "$dir/run/control.sock" upgrade >"$work/killed" 2>&1 &
	waiter=$!
	until_true 20 is_stuck
	install_from "$programs"
	kill -9 "$(successor)"
	wait "$waiter"
	is "killed $1: refused" 1 "$?"
	like "killed $1: and said" '^'"$opt/pontifexd: ended before it served" "$(cat "$work/killed")"
	until_true 20 daemon_ready
	is "killed $1: the same daemon serves" "$daemon 200 1001" "$(serving | cut -d' ' -f2) $(answers)"
}
killed_at 'when it starts its children' listener
killed_at 'when it has the journal' auditd
install_from "$work/others"
killed_at 'when it has the journal and all children here have ended' auditd
install_from "$work/others"
slow rest 4
: >"$daemon_log"
in_back
until_true 20 grep -q 'has other messages' "$daemon_log"
install_from "$programs"
kill -9 "$(successor)"
until_true 20 eval '[ -z "$(successor)" ]'
slow_end rest 4
wait "$asker"
is 'killed when all that is in flight here has to finish: refused' 1 "$?"
is 'and that is answered' '200 4' "$(cat "$work/slow.rest")"
until_true 20 daemon_ready
is 'and the same daemon serves' "$daemon 200 1001" "$(serving | cut -d' ' -f2) $(answers)"
until_true 20 eval '[ "$(child_pids | wc -l)" = 5 ]'
is 'with its own children, and no other' 5 "$(child_pids | wc -l)"

# ---- under load

upgrade
until_true 20 process_gone "$before"
fds() { ls "/proc/$daemon/fd" | wc -l; }
fds_before=$(fds)
load_begin
: >"$daemon_log"
good_ones=0
for ((i = 0; i < 20; i++)); do
	# Every other time the two do not understand each other.
	if [ $((i % 4)) -lt 2 ]; then install_from "$work/others"; else install_from "$work/later"; fi
	upgrade
	[ "$upgrade_status" -eq 0 ] && good_ones=$((good_ones + 1)) || note "$upgrade_said"
done
is '20 upgrades under load' 20 "$good_ones"
load_end
until_true 30 process_gone "$before"
is 'half of them to other messages' 10 "$(grep -c 'has other messages' "$daemon_log")"
number 'no descriptor is handed down that nobody needs' "$(fds)" -le "$fds_before"
like 'the trail is whole' '^audit verify: ok' "$(audit_verify | tail -n 1)"
is 'and says of every call how it ended' 0 "$(journal_count '.kind == "call" and .outcome == "unknown"')"

# ---- told to end meanwhile

slow end 5
upgrade
is 'an upgrade during a call' 0 "$upgrade_status"
kill -TERM "$daemon"
until_true 20 eval '[ -z "$(child_pids listener)" ]'
is 'told to end, the new one waits for the one before' '1 1' "$(process_gone "$before" || echo 1) $(process_gone "$daemon" || echo 1)"
slow_end end 5
until_true 30 process_gone "$before"
until_true 30 process_gone "$daemon"
is 'both end' '1 1' "$(process_gone "$before" && echo 1) $(process_gone "$daemon" && echo 1)"
is 'when the call is answered' '200 5' "$(cat "$work/slow.end")"
is 'its sockets are gone' '' "$(ls "$dir/run")"
daemon=
like 'and the trail is whole' '^audit verify: ok' "$(audit_verify | tail -n 1)"
opt_start || die 'the daemon starts again'
install_from "$work/others"
: >"$daemon_log"
slow defer 6
in_back
until_true 20 grep -q 'has other messages' "$daemon_log"
kill -TERM "$daemon"
until_true 10 grep -q 'SIGTERM: stopping' "$daemon_log"
slow_end defer 6
is 'a stop while all that is in flight has to finish: that is answered' '200 6' "$(cat "$work/slow.defer")"
new=$(successor)
daemon_wait 25
until_true 10 process_gone "${new:-0}"
is 'and nobody is left' '' "$(pgrep -f "^$opt/pontifexd ")"
wait "$asker"
like 'the trail is whole' '^audit verify: ok' "$(audit_verify | tail -n 1)"

# ---- the one before is killed

opt_start || die 'the daemon starts again'
put "$work/stuck" "$opt/libexec/listener"
"$pontifexctl" -s "$dir/run/control.sock" upgrade >/dev/null 2>&1 &
until_true 20 is_stuck
family="$(successor) $(child_pids) $(ps -o pid= --ppid "$(successor)")"
kill -9 "$daemon"
left() { for p in $family; do process_gone "$p" || echo "$p"; done; }
until_true 20 eval '[ -z "$(left)" ]'
is 'a daemon that is killed takes the one that rises with it' '' "$(left)"
daemon=
sanitizer_silent
done_testing
