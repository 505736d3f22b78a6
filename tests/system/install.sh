#!/bin/bash
# SPDX-License-Identifier: ISC
#
# `make install' into a DESTDIR, as a package is made, and into a house of its
# own as root: what lies where with which owner and mode, that the daemon runs
# from there, each process as its own user with its own root, that what an
# operator changed stays, and that uninstall leaves what is his.

[ -n "${IN_HOUSE:-}" ] || ! unshare -m true 2>/dev/null || exec env IN_HOUSE=1 unshare -m bash "$0"
. "$(dirname "$0")/../lib/harness.sh"
. "$lib/house.sh"

# ---- a package -------------------------------------------------------------

users_before=$(cat /etc/passwd /etc/group)
dest=$work/dest
out=$(make -s -C "$top" -o all BUILD="$build" DESTDIR="$dest" PREFIX=/opt/p sysconfdir=/opt/etc install 2>&1)
is 'make install with DESTDIR, PREFIX and sysconfdir' 0 "$?"
[ -x "$dest/opt/p/sbin/pontifexd" ] || die 'it installs' "$dest/opt/p/sbin/pontifexd" "$out"
is 'it makes no user' "$users_before" "$(cat /etc/passwd /etc/group)"
is 'and changes no owner' '' "$(find "$dest" ! -uid "$(id -u)" -o ! -gid "$(id -g)")"
is 'nothing outside of it' 'opt var' "$(ls "$dest" | paste -sd' ')"
is 'nothing that others may write, nothing set-id' '' "$(find "$dest" ! -type l -perm /6022)"
is 'no folder that will belong to a user of ours: tmpfiles.d makes them' '' \
    "$(find "$dest" -path '*/audit' -o -path '*/log/*')"
is 'every role has its executable' 'auditd authd fetcher handler listener' \
    "$(ls "$dest/opt/p/libexec/pontifexd" | paste -sd' ')"
for page in "$top"/docs/*.[58]; do
	name=$(basename "$page")
	[ -f "$dest/opt/p/share/man/man${name##*.}/$name" ] || not_ok "the manual $name is installed" 'a file' none
done
is 'the manuals name these paths' '' "$(grep -rlE '(^|[^t])/etc/pontifexd|/usr/local/libexec' "$dest/opt/p/share/man")"
is 'no path of a template is left' '' "$(grep -rIlE '@[A-Z]+@' "$dest")"
like 'the unit names the executable' '^ExecStart=/opt/p/sbin/pontifexd -d -f /opt/etc/pontifexd/pontifex.conf$' \
    "$(cat "$dest/opt/p/lib/systemd/system/pontifexd.service")"
like 'and pontifexctl is built to look for the keys there' 'KEYFILE_DEFAULT=.?"/opt/etc/pontifexd/keys"' \
    "$(make -n -C "$top" BUILD="$work/none" sysconfdir=/opt/etc "$work/none/obj/daemon/ctl_key.o" 2>&1)"
chmod -R u+w "$dest"
make -s -C "$top" -o all BUILD="$build" DESTDIR="$dest" PREFIX=/opt/p sysconfdir=/opt/etc uninstall >"$work/out" 2>&1
is 'uninstall leaves the configuration alone' '/opt/etc/pontifexd/pontifex.conf' "$(cd "$dest" && find . -type f | sed 's/^\.//')"
like 'and says so' 'left: .*/opt/etc/pontifexd' "$(cat "$work/out")"

# ---- the annotated configuration -------------------------------------------

succeeds 'rc/pontifex.conf loads as it stands' "$build/pontifexd" -n -f "$top/rc/pontifex.conf"
# What is switched off begins with # and no blank; a block goes to its brace.
awk '{
	line = $0
	if (line ~ /^\t*#[^ \t#]/) { if (line ~ /{$/) open = 1; sub(/#/, "", line) }
	else if (open && line ~ /^\t*#/) sub(/#/, "", line)
	if ($0 ~ /^\t*#}/) open = 0
	print line
}' "$top/rc/pontifex.conf" >"$work/all.conf"
succeeds 'and with all that it shows switched on' "$build/pontifexd" -n -f "$work/all.conf"
for block in $(sed -nE "s/^[ \t:|]*([a-z]+)_head '\{'.*/\1/p" "$top/daemon/parse.y"); do
	grep -Eq "^[[:blank:]]*$block .*\{\$|^[[:blank:]]*$block \{\$" "$work/all.conf" || not_ok "it shows a block of each kind" "$block" none
done

if ! house_possible; then
	skip 'an installation as root' 'nothing can be mounted here'
	done_testing
fi

# ---- a machine -------------------------------------------------------------

house_build || die 'there is a house to install into' mounts "$(mount | tail -n 3)"
# Somebody who may write in /var/log was there first.
mkdir -m 711 "$house/elsewhere"
ln -s /elsewhere "$house/var/log/pontifexd"
chown -h 65534 "$house/var/log/pontifexd"
fails 'make install follows no link of another' house_make install
is 'nor gives away what it leads to' '711 0' "$(stat -c '%a %u' "$house/elsewhere")"
rm "$house/var/log/pontifexd"
out=$(house_make install)
is 'make install as root' 0 "$?"
for user in _pontifexd _pontauth _pontwork _pontaudit _pontfetch; do
	like "$user: made, with no shell and no home" "^$user:x:2[0-9]*:2[0-9]*:.*:/nonexistent:/usr/sbin/nologin\$" \
	    "$(grep "^$user:" "$house/etc/passwd")"
done
owners() { # what lies where
	while read -r mode user group path; do
		is "$path" "$mode $(house_uid "$user") $(house_gid "$group")" "$(stat -c '%a %u %g' "$house$path" 2>&1)"
	done <<-'EOT'
		755 root root /usr/local/sbin/pontifexd
		755 root root /usr/local/sbin/pontifexctl
		755 root root /usr/local/libexec/pontifexd
		755 root root /usr/local/libexec/pontifexd/listener
		755 root root /usr/local/libexec/pontifexd/auditd
		644 root root /usr/local/share/man/man8/pontifexd.8
		644 root root /usr/local/lib/systemd/system/pontifexd.service
		644 root root /etc/logrotate.d/pontifexd
		755 root root /etc/pontifexd
		600 root root /etc/pontifexd/pontifex.conf
		755 root root /var/lib/pontifexd
		555 root root /var/lib/pontifexd/empty
		700 _pontaudit _pontaudit /var/lib/pontifexd/audit
		750 _pontaudit _pontaudit /var/log/pontifexd
	EOT
}
owners
house_configure
is 'the keys are root'"'"'s own' '600 0 0 600 0 0' "$(stat -c '%a %u %g' "$house/etc/pontifexd/keys" "$house/etc/pontifexd/keys.pepper" | paste -sd' ')"

# ---- it runs from there ----------------------------------------------------

# By the script for rc.d(8), and what imitates rc.subr(8) of OpenBSD in the
# names, the defaults and the order of its calls.
mkdir -p "$house/etc/rc.d"
sed -e 's,@SBINDIR@,/usr/local/sbin,; s,@SYSCONFDIR@,/etc/pontifexd,' "$top/rc/pontifexd.rc" >"$house/etc/rc.d/pontifexd"
cat >"$house/etc/rc.d/rc.subr" <<'EOT'
pexp="${daemon}${daemon_flags:+ ${daemon_flags}}"
rc_exec() { env -i PATH=/usr/bin:/bin ASAN_OPTIONS="$ASAN_OPTIONS" sh -c "$*"; }
rc_pids() {
	for pid in $(pgrep -xf "${pexp}"); do
		[ "/proc/$pid/root/" -ef / ] && echo "$pid"
	done
}
rc_configtest() { return 0; }
rc_start() { rc_exec "${daemon} ${daemon_flags}"; }
rc_check() { [ -n "$(rc_pids)" ]; }
rc_reload() { kill -HUP $(rc_pids); }
rc_stop() { kill -TERM $(rc_pids); }
rc_cmd() {
	case $1 in
	configtest) rc_configtest ;;
	start) rc_configtest && { rc_check || rc_start; } && rc_check ;;
	check) rc_check ;;
	reload) rc_configtest && rc_check && rc_reload ;;
	stop) rc_check || return 0
		rc_stop
		n=0
		while rc_check && [ $n -lt 300 ]; do sleep 0.1; n=$((n + 1)); done
		! rc_check ;;
	esac
}
EOT
rcctl() { inside ASAN_OPTIONS="${ASAN_OPTIONS:-}" sh /etc/rc.d/pontifexd "$1"; }
# The parent in the house: the oldest, since a child looks like it until it execs.
pid_of() {
	local pid
	for pid in $(pgrep -xf '/usr/local/sbin/pontifexd -f /etc/pontifexd/pontifex.conf'); do
		[ ! "/proc/$pid/root/" -ef "$house/" ] || echo "$pid"
	done | sort -n | head -n 1
}
succeeds 'rc.d: configtest' rcctl configtest
succeeds 'rc.d: start' rcctl start
parent=$(pid_of)
started+=("$parent")
until_true 20 daemon_ready || die 'it starts from where it was installed' ready "$(inside pontifexd -n 2>&1)"
call "$key" order_lookup '{"order_id":1001}'
is 'a call is served' 1001 "$(jqb '.result.structuredContent.rows[0].id')"
until_true 10 pgrep -P "$parent" -x fetcher
house_family "$parent"
is 'the control socket' '660 0 '"$(house_gid _pontifexd)" "$(stat -c '%a %u %g' "$house/run/pontifexd/control.sock")"
like 'and who asks there' 'listener' "$(inside pontifexctl status -v 2>&1)"
succeeds 'rc.d: check' rcctl check
succeeds 'rc.d: reload' rcctl reload
succeeds 'the journal verifies' inside pontifexctl audit verify -j /var/lib/pontifexd/audit
# What another role owns is closed to each: by uid alone, whatever its sandbox.
as() { inside setpriv --reuid "$(house_uid "$1")" --regid "$(house_gid "$1")" --clear-groups cat "$2"; }
for user in _pontifexd _pontauth _pontwork _pontfetch; do
	fails "$user cannot read the journal" as $user "/var/lib/pontifexd/audit/$(ls "$house/var/lib/pontifexd/audit" | grep jsonl | head -n 1)"
	fails "$user cannot read the keys" as $user /etc/pontifexd/keys
	fails "$user cannot read the configuration" as $user /etc/pontifexd/pontifex.conf
done
fails '_pontaudit cannot read the keys' as _pontaudit /etc/pontifexd/keys

# The file of a sink is rotated by what was installed for it; auditd follows.
sink=$house/var/log/pontifexd/audit.jsonl
until_true 10 test -s "$sink"
is "the sink's file is auditd's, and nobody else may read it" "640 $(house_uid _pontaudit)" "$(stat -c '%a %u' "$sink")"
if [ -x /usr/sbin/logrotate ]; then
	succeeds 'logrotate takes the file away' inside logrotate -f -s /var/lib/logrotate.state /etc/logrotate.d/pontifexd
	[ ! -e "$sink" ] || not_ok 'the file is moved' 'none of the name' "$(ls -l "$sink")"
	call "$key" order_lookup '{"order_id":1002}'
	request=$(journal_dir=$house/var/lib/pontifexd/audit; cat "$journal_dir"/*.jsonl | jq -r 'select(.tool_name == "order_lookup") | .request_id' | tail -n 1)
	until_true 10 grep -q "$request" "$sink" || not_ok 'the next record is in a new file' "$request" "$(ls -l "$house/var/log/pontifexd")"
	ok 'and auditd makes it anew, without a signal'
else
	not_ok 'the log is rotated' logrotate 'not installed: make check installs it'
fi

# ---- again, and away -------------------------------------------------------

echo '# ours' >>"$house_conf"
before=$(md5sum "$house_conf" "$house/etc/pontifexd/keys")
out=$(house_make install)
is 'installing again, while it runs' 0 "$?"
is 'leaves configuration and keys as they are' "$before" "$(md5sum "$house_conf" "$house/etc/pontifexd/keys")"
like 'and says where the new one lies' '/etc/pontifexd/pontifex.conf is there and stays.*/usr/local/share/pontifexd/pontifex.conf' "$out"
owners
call "$key" order_lookup '{"order_id":1001}'
is 'what runs goes on' 200 "$status"
succeeds 'rc.d: stop' rcctl stop
is 'nobody is left' '' "$(pgrep -P "$parent" || pid_of)"
out=$(house_make uninstall)
is 'make uninstall' 0 "$?"
is 'nothing of the program is left' '' "$(find "$house/usr/local" "$house/etc/logrotate.d" -type f)"
is 'the configuration and the keys are' "$before" "$(md5sum "$house_conf" "$house/etc/pontifexd/keys")"
succeeds 'and the journal, which still verifies' "$build/pontifexctl" audit verify -j "$house/var/lib/pontifexd/audit"
for what in /etc/pontifexd /var/lib/pontifexd /var/log/pontifexd 'the users'; do
	like "it names what it left: $what" "^left: $what" "$out"
done
done_testing
