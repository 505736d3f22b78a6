#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Sinks: every record at every one of them at least once and in order; one
# that hangs, dies or is not there delays no other and no call.

. "$(dirname "$0")/../lib/harness.sh"

# A program that keeps what it reads; one that hangs; one that dies.
for name in keep hang; do mkdir -p "$work/$name"; done
chmod 777 "$work/keep" "$work/hang"
chmod 755 "$work"
cat >"$work/keep.sh" <<EOF
#!/bin/sh
exec cat >>$work/keep/lines
EOF
cat >"$work/hang.sh" <<EOF
#!/bin/sh
echo \$\$ >$work/hang/pid
exec sleep 600
EOF
cat >"$work/die.sh" <<EOF
#!/bin/sh
head -n 3 >>$work/keep/three
EOF
chmod 755 "$work"/*.sh

# A certificate of our own authority, and one of another.
ca() { # NAME
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
	    -keyout "$work/$1.key" -out "$work/$1.pem" >/dev/null 2>&1
}
ca ours
ca theirs
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout "$work/server.key" \
    -out "$work/server.csr" >/dev/null 2>&1
printf 'subjectAltName=DNS:localhost\n' >"$work/san"
openssl x509 -req -in "$work/server.csr" -CA "$work/ours.pem" -CAkey "$work/ours.key" -days 2 -extfile "$work/san" \
    -out "$work/server.pem" >/dev/null 2>&1

# Real syslog daemons: octet counting over TCP, over TLS, and a local socket.
rsyslog=$(command -v rsyslogd || echo /usr/sbin/rsyslogd)
tcp=$(free_port)
mkdir -p "$work/rs"
cat >"$work/rsyslog.conf" <<EOF
global(workDirectory="$work/rs" maxMessageSize="256k")
module(load="imptcp")
module(load="imuxsock" SysSock.Use="off")
input(type="imptcp" port="$tcp" address="127.0.0.1" ruleset="tcp")
input(type="imuxsock" Socket="$work/rs/log" CreatePath="off" RateLimit.Interval="0" UseSpecialParser="off" ruleset="local")
template(name="plain" type="string" string="%msg:::drop-last-lf%\n")
template(name="full" type="string" string="%pri% %timestamp% %hostname% %app-name% %msgid% %structured-data%\n")
ruleset(name="tcp") {
	action(type="omfile" file="$work/rs/tcp" template="plain")
	action(type="omfile" file="$work/rs/tcp.head" template="full")
}
ruleset(name="local") {
	action(type="omfile" file="$work/rs/local" template="plain")
}
EOF
chmod 777 "$work/rs"
rs_start() {
	rm -f "$work/rs/pid"
	"$rsyslog" -n -f "$work/rsyslog.conf" -i "$work/rs/pid" </dev/null >"$work/rs/out" 2>&1 &
	rs=$!
	started+=("$rs")
	until_true 10 test -S "$work/rs/log" && chmod 666 "$work/rs/log"
}
rs_stop() { kill "$rs"; wait "$rs" 2>/dev/null; }
rs_start || die 'rsyslog starts' running "$(cat "$work/rs/out")"
# TLS: a server of a few lines keeps what it gets, octets counted.
cat >"$work/tls.py" <<'EOF'
import socket, ssl, sys, threading
cert, key, port, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
listener = socket.create_server(("127.0.0.1", port))
def serve(conn):
    try:
        with context.wrap_socket(conn, server_side=True) as s, open(out, "ab", buffering=0) as f:
            data = b""
            while True:
                got = s.recv(65536)
                if not got:
                    return
                data += got
                while b" " in data:
                    n, rest = data.split(b" ", 1)
                    if len(rest) < int(n):
                        break
                    f.write(rest[: int(n)].split(b"] ", 1)[1] + b"\n")
                    data = rest[int(n):]
    except (ssl.SSLError, OSError, ValueError) as e:
        print(e, flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
EOF
tls=$(free_port) wrong=$(free_port)
python3 "$work/tls.py" "$work/server.pem" "$work/server.key" "$tls" "$work/tls" </dev/null >"$work/tls.log" 2>&1 &
started+=($!)
python3 "$work/tls.py" "$work/server.pem" "$work/server.key" "$wrong" "$work/wrong" </dev/null >"$work/wrong.log" 2>&1 &
started+=($!)

shop "$work/shop"
mkdir -p "$dir/out"
[ "$(id -u)" -ne 0 ] || chown "$(role_user auditd)" "$dir/out"
sed -i "s|^\tjournal \"audit\".*|&\n\tsink file \"out/records\"\n\tsink syslog \"tcp://127.0.0.1:$tcp\"\n\tsink syslog \"unix:$work/rs/log\"\n\tsink syslog \"tls://localhost:$tls\" ca \"$work/ours.pem\"\n\tsink syslog \"tls://localhost:$wrong\" ca \"$work/theirs.pem\"\n\tsink pipe \"$work/keep.sh\"\n\tsink pipe \"$work/hang.sh\"\n\tsink pipe \"$work/die.sh\"|" "$conf"
key=$(key_add -o alice -s shop:order:read,shop:order:write -r 1000000)
daemon_start || die 'the daemon starts' ready
load() { python3 "$lib/load.py" "$port" "$key" order_lookup '{"order_id":1001}' 8 "$@"; }
# complete FILE: every record is in it, the first time in order; repeats are the same.
complete() {
	python3 - "$1" "$dir/audit" <<'EOF'
import glob, json, sys
want = [l.rstrip("\n") for f in sorted(glob.glob(sys.argv[2] + "/*.jsonl")) for l in open(f)]
seen, last = {}, 0
for line in open(sys.argv[1]):
    line = line.strip()
    seq = json.loads(line)["seq"]
    if seq in seen:
        assert seen[seq] == line, seq
        continue
    assert seq == last + 1, (seq, last)
    seen[seq], last = line, seq
assert last == len(want) and all(seen[n + 1] == l for n, l in enumerate(want)), (last, len(want))
EOF
}
arrives() { # NAME FILE
	until_true 30 complete "$2" 2>/dev/null
	succeeds "$1" complete "$2"
}
out=$(load 20 2000)
is 'every call is served' '{"ok":2000}' "$(jq -c .kinds <<<"$out")"
call "$key" order_cancel '{"order_id":1002,"reason":"sentinel-of-the-sinks"}'
call '' order_lookup '{"order_id":1001}'
arrives 'file' "$dir/out/records"
arrives 'syslog over TCP' "$work/rs/tcp"
arrives 'syslog over a local socket' "$work/rs/local"
arrives 'syslog over TLS' "$work/tls"
arrives 'a program' "$work/keep/lines"
is 'whom another authority vouches for gets nothing' '' "$(cat "$work/wrong" 2>/dev/null)"
like 'and it is said' 'sink syslog-4: failed: TLS' "$(cat "$daemon_log")"
like 'RFC 5424: who, what, which' "^86 .* $(journal | jq -r .node | head -n 1) pontifexd audit \[meta sequenceId=\"1\"\]$" "$(head -n 1 "$work/rs/tcp.head")"
like 'a refusal is a notice' '^85 ' "$(grep -m 1 '^85 ' "$work/rs/tcp.head")"
is 'what is redacted stands in none of them' '' "$(grep -l sentinel-of-the-sinks "$dir/out/records" "$work/rs/tcp" "$work/rs/local" "$work/tls" "$work/keep/lines")"
number 'a program that ends is started anew' "$(wc -l <"$work/keep/three")" -ge 3
like 'which is said' 'die.sh: ended with 0: started anew' "$(cat "$daemon_log")"

# Fill what the hanging one can hold; it is told, the others go on.
load 30 3000 >/dev/null
hung() { grep -q 'sink pipe-2 failed' <<<"$(ctl status -v)"; }
until_true 40 hung
succeeds 'one that hangs counts as failed' hung
arrives 'while the others go on: TCP' "$work/rs/tcp"
arrives 'and the program' "$work/keep/lines"
like 'status says how far each is' 'sink syslog-1 ok, record [0-9]+, 0 bytes behind' "$(ctl status -v)"

# The file is rotated; the receivers go away and come back.
mv "$dir/out/records" "$work/records.1"
rs_stop
out=$(load 20 500)
is 'without a receiver calls are served' '{"ok":500}' "$(jq -c .kinds <<<"$out")"
rs_start
load 20 100 >/dev/null
arrives 'TCP: all, after it came back' "$work/rs/tcp"
both() { cat "$work/records.1" "$dir/out/records" >"$work/both" 2>/dev/null && complete "$work/both"; }
until_true 20 both
succeeds 'the file goes on under its name' both
is 'each record once' "$(journal | wc -l)" "$(wc -l <"$work/both")"

# auditd dies in the middle.
load 30 100000 "$work/stop" >"$work/load" &
loader=$!
for _ in 1 2; do
	sleep 0.5
	pid=$(child_pids auditd)
	kill -9 "$pid"
	until_true 10 process_gone "$pid"
	until_true 10 daemon_ready
done
touch "$work/stop"
wait "$loader"
is 'its death loses no call' "$(jq .sent "$work/load")" "$(jq .answered "$work/load")"
arrives 'nor a record: TCP' "$work/rs/tcp"
arrives 'TLS' "$work/tls"
arrives 'a program' "$work/keep/lines"
until_true 20 both
succeeds 'a file' both
daemon_stop
arrives 'at the end they have it all: TLS' "$work/tls"
is 'no program stays behind' '' "$(pgrep -f "$work/keep.sh|cat >>$work/keep")"

# One that is too far behind skips, and that is told.
sed -i "/^\tsink/d; s|^\tjournal \"audit\".*|\tjournal \"audit2\" limit 64K\n\tsink syslog \"tcp://127.0.0.1:$(free_port)\"|" "$conf"
daemon_start || die 'it starts with a receiver that is not there' ready
load 20 500 >/dev/null
gap() { [ -n "$(cat "$dir"/audit2/*.jsonl | jq -c 'select(.event == "sink_gap")')" ]; }
until_true 10 gap
succeeds 'one that is too far behind skips, and a record says so' gap
is 'it names what is missing' true "$(cat "$dir"/audit2/*.jsonl | jq -c 'select(.event == "sink_gap") | .detail | .sink == "syslog-1" and .first >= 1 and .last >= .first' | sort -u)"
is 'calls are served' none "$(call "$key" order_lookup '{"order_id":1001}'; error_code)"
daemon_stop
done_testing
