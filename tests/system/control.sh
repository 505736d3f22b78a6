#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The control socket: who may connect and what they may ask, what of that is
# recorded, and clients that send half frames, huge lengths, nothing, or too
# much.  Whatever they do, root's next question is answered.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/d"
chmod 755 "$work"
key=$(key_add -o tester -s 'shop:order:read')
# Where the users are not there, one of the system's stands for them.
group=_pontifexd
if [ "$(id -u)" -eq 0 ] && ! getent group _pontifexd >/dev/null; then
	group=daemon
	sed -i '1i user "daemon"' "$conf"
	chown daemon "$dir" "$dir/shop.db"
fi
daemon_start || die 'the daemon starts' ready
socket=$dir/run/control.sock
chmod 755 "$dir/run"

# ---- who -------------------------------------------------------------------

mode() { stat -c '%a %U %G' "$socket"; }
as() { # UID GID COMMAND...
	local uid=$1 gid=$2
	shift 2
	setpriv --reuid "$uid" --regid "$gid" --clear-groups "$@"
}
events() { journal | jq -c "select(.event == \"$1\")"; }
if [ "$(id -u)" -eq 0 ]; then
	is 'root and the group of the daemon may connect' "660 root $group" "$(mode)"
	gid=$(getent group "$group" | cut -d: -f3)
	cp "$build/pontifexctl" "$work/ctl"
	fails 'a stranger may not connect' as 65534 65534 "$work/ctl" -s "$socket" status -j
	out=$(as 65534 "$gid" "$work/ctl" -s "$socket" status -j 2>&1)
	is 'one of the group may see figures' ok "$(jq -r .state <<<"$out")"
	succeeds 'and what the processes say' as 65534 "$gid" "$work/ctl" -s "$socket" status -v
	for what in reload 'log verbose' 'token explain'; do
		out=$(as 65534 "$gid" "$work/ctl" -s "$socket" $what 2>&1 <<<"x.y.z")
		is "one of the group may not: $what: exit code" 1 $?
		like "one of the group may not: $what" 'only root' "$out"
	done
	like 'each is recorded, with the uid' '"uid":65534,"refused":"ctl (reload|verbose|explain)"' "$(events control_refused | jq -c .detail | tail -n 1)"
	is 'all three' 3 "$(events control_refused | wc -l)"
	is 'nothing else is' 0 "$(events reload | wc -l)"
else
	is 'its owner alone may connect' "600 $(id -un)" "$(mode | cut -d' ' -f1,2)"
fi
ctl reload >"$work/out" 2>&1
recorded() { [ "$(events "$1" | jq -c .detail | grep -c "\"uid\":$(id -u)")" = "$2" ]; }
succeeds 'a reload is recorded, with the uid' until_true 5 recorded reload 1
ctl log verbose >"$work/out" 2>&1
ctl log brief >"$work/out" 2>&1
succeeds 'the level of the log, too' until_true 5 recorded log_level 2
if [ "$(id -u)" -eq 0 ]; then
	cp "$conf" "$work/good.conf"
	echo 'SENTINEL_of_the_file' >>"$conf"
	ctl reload >"$work/out" 2>&1
	out=$(as 65534 "$gid" "$work/ctl" -s "$socket" status
	    as 65534 "$gid" "$work/ctl" -s "$socket" status -j
	    as 65534 "$gid" "$work/ctl" -s "$socket" status -v)
	like 'the group sees that a reload was refused' 'was REFUSED: root is told why' "$out"
	unlike 'and not why: it may not read the file, which that quotes' SENTINEL "$out"
	like 'root does' 'was REFUSED: .*SENTINEL' "$(ctl status)"
	cp "$work/good.conf" "$conf"
	ctl reload >"$work/out" 2>&1
fi

# ---- hostile clients -------------------------------------------------------

refused_sum() { events control_refused | jq -s '[.[] | .detail.times // 1] | add'; }
told_all() { [ "$(refused_sum)" = "$1" ]; }

# Whatever root's own user sends: the frames are built by hand.
cat >"$work/hostile.py" <<'EOF'
import socket, struct, sys, time
path, what = sys.argv[1:3]
types = {}
n = 0
for line in open(sys.argv[3]):
    word, _, number = line.split(",")[0].strip().partition(" = ")
    if word.startswith("MSG_") and line.startswith("\t") and word.isupper() and "," in line:
        n = int(number or n)
        types[word] = n
        n += 1
def connect(timeout=20):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    s.connect(path)
    return s
def frame(kind, payload=b"", length=None, flags=0):
    return struct.pack("=IHHQ", len(payload) if length is None else length, types.get(kind, kind) if isinstance(kind, str) else kind, flags, 1) + payload
def ends(s):
    """Whether the daemon ends it, within its idle deadline and some."""
    begin = time.time()
    try:
        while s.recv(65536):
            pass
    except (ConnectionResetError, BrokenPipeError):
        pass
    except socket.timeout:
        return "open"
    return "cut" if time.time() - begin < 3 else "late"
def type_of(s):
    head = b""
    while len(head) < 16:
        piece = s.recv(16 - len(head))
        if not piece:
            return None
        head += piece
    length, kind = struct.unpack("=IH", head[:6])
    while length > 0:
        length -= len(s.recv(min(length, 65536)))
    return kind
cases = {
    "huge": lambda s: s.sendall(frame("MSG_CTL_STATUS", b"", 0xffffffff)),
    "large": lambda s: s.sendall(frame("MSG_CTL_EXPLAIN", b"", 4 << 20)),
    "longer": lambda s: s.sendall(frame("MSG_CTL_STATUS", b"x")),
    "unknown": lambda s: s.sendall(frame(60000)),
    "none": lambda s: s.sendall(frame(0)),
    "of a child": lambda s: s.sendall(frame("MSG_READY")),
    "of auditd": lambda s: s.sendall(frame("MSG_AUDIT_ACK", b"\0" * 8)),
    "of the parent": lambda s: s.sendall(frame("MSG_SHUTDOWN")),
    "descriptor": lambda s: s.sendall(frame("MSG_CTL_STATUS", b"", None, 1)),
    "noise": lambda s: s.sendall(bytes(range(256)) * 64),
    "verbose": lambda s: s.sendall(frame("MSG_CTL_VERBOSE", b"")),
    "half": lambda s: s.sendall(frame("MSG_CTL_STATUS")[:7]),
    "half payload": lambda s: s.sendall(frame("MSG_CTL_EXPLAIN", b"abc", 16)),
    "silence": lambda s: None,
}
if what == "list":
    print("\n".join(cases))
elif what in cases:
    s = connect()
    try:
        cases[what](s)
    except (BrokenPipeError, ConnectionResetError):
        pass
    print(ends(s))
elif what == "crowd":
    held = []
    for i in range(200):
        try:
            held.append(connect(5))
        except OSError:
            break
    print(len(held))
    sys.stdout.flush()
    time.sleep(float(sys.argv[4]))
elif what == "many questions":
    # A hundred at once, answers unread for a while; then they all come.
    s = connect()
    for i in range(100):
        s.sendall(frame("MSG_CTL_FIGURES"))
    time.sleep(1)
    got = sum(type_of(s) == types["MSG_FIGURES"] for _ in range(100))
    print(got)
elif what == "unread":
    # Asks and never reads: the answers fill the socket, then it is cut off.
    s = connect(30)
    sent = 0
    try:
        for i in range(100000):
            s.sendall(frame("MSG_CTL_FIGURES"))
            sent += 1
        print("open")
    except (BrokenPipeError, ConnectionResetError):
        print("cut")
    except socket.timeout:
        print("open")
elif what == "forbidden":
    # What a user may not ask, over and over.
    s = connect()
    for i in range(int(sys.argv[4])):
        s.sendall(frame("MSG_CTL_RELOAD"))
        type_of(s)
    print("asked")
elif what == "status":
    s = connect()
    end = time.time() + float(sys.argv[4])
    while time.time() < end:
        s.sendall(frame("MSG_CTL_STATUS"))
        type_of(s)
        print("asked", flush=True)
EOF
hostile() { python3 "$work/hostile.py" "$socket" "$1" "$top/common/message.h" "${2:-}"; }
hostile list | while IFS= read -r case; do echo "$case"; done >"$work/cases"
while IFS= read -r case; do
	wanted=cut
	case $case in half*|silence) wanted=late ;; esac
	is "a client that sends: $case: is cut off" "$wanted" "$(hostile "$case")"
done <"$work/cases"
if [ "$(id -u)" -eq 0 ]; then
	mkdir "$work/mob"
	cp "$work/hostile.py" "$top/common/message.h" "$work/mob/"
	mob() { as 65534 "$gid" /usr/bin/python3 "$work/mob/hostile.py" "$socket" "$1" "$work/mob/message.h" "${2:-}"; }
	# What one of the group may not do fills neither log nor trail, and hides nothing that root does.
	# (auditd stands still, so that nothing is let go of that waits for it.)
	auditd=$(child_pids auditd)
	kill -STOP "$auditd"
	is 'one of the group asks what he may not, over and over' asked "$(mob forbidden 3000)"
	ctl log verbose >"$work/out" 2>&1
	ctl log brief >"$work/out" 2>&1
	kill -CONT "$auditd"
	succeeds 'what root did then is recorded all the same' until_true 5 recorded log_level 4
	number 'it makes a few records' "$(events control_refused | wc -l)" -le 20
	number 'and a few lines of the log' "$(grep -c 'control socket: refused: ctl reload' "$daemon_log")" -le 20
fi
hostile status 2 >"$work/asking" &
asking=$!
until_true 10 test -s "$work/asking"
is 'who asks all the time takes no answer from another' 5 "$(for _ in 1 2 3 4 5; do ctl status -v; done | grep -c '^authd: pid')"
wait "$asking"
is 'a hundred questions at once are answered one by one' 100 "$(hostile 'many questions')"
is 'who asks and does not read is cut off' cut "$(hostile unread)"
[ -n "${ASAN_OPTIONS:-}" ] || grep -q asan <<<"$build" ||
    number 'and little was kept for it (kB)' "$(awk '/^VmHWM/ { print $2 }' "/proc/$daemon/status")" -le 16384
answered() { ctl status -j | jq -e '.metrics.pontifexd_build_info'; }
succeeds 'and root is answered' answered
hostile crowd 8 >"$work/crowd" &
crowd=$!
until_true 10 test -s "$work/crowd"
succeeds 'behind two hundred silent clients root is answered, before long' until_true 20 answered
wait "$crowd"
if [ "$(id -u)" -eq 0 ]; then
	mob crowd 4 >"$work/crowd.out" 2>&1 &
	crowd=$!
	until_true 10 test -s "$work/crowd.out"
	succeeds 'a crowd of the group takes no place from root' answered
	wait "$crowd"
fi
if [ "$(id -u)" -eq 0 ]; then
	succeeds 'all that was refused adds up' until_true 20 told_all 3003
fi
call "$key" order_lookup '{"order_id":1001}'
is 'calls were served all along' none "$(error_code)"
is 'no process died of it' 0 "$(events crash | wc -l)"
like 'audit verify' ok "$(audit_verify | tail -n 1)"
daemon_stop
done_testing
