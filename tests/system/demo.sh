#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The demo shows what it promises, leaves nothing running, and finds another
# port where its own is taken.

. "$(dirname "$0")/../lib/harness.sh"

out=$(BUILD=$build TMPDIR=$work timeout 120 bash "$top/rc/demo/demo.sh" 2>&1 </dev/null)
is 'make demo succeeds' 0 "$?"
like 'an allowed call' 'Bauer & Söhne' "$out"
like 'a 401 with its challenge' 'HTTP/1.1 401' "$out"
like 'its challenge' '[Ww][Ww][Ww]-[Aa]uthenticate: Bearer' "$out"
like 'a 403' 'HTTP/1.1 403' "$out"
like 'the trail names the caller' 'alice' "$(sed -n '/The audit trail/,$p' <<<"$out")"
like 'the trail verifies' '^audit verify: ok|^ok' "$out"
like 'the lines for a client' '"Authorization": "Bearer sk_live_' "$out"
printf '%s\n' "$out" >"$work/demo.out"
succeeds 'README.md shows what it prints' bash -c 'python3 "$1" fits "$2" 1 <"$3"' - "$lib/page.py" "$top/README.md" "$work/demo.out"
is 'nothing is left of it' '' "$(find "$work" -name 'pontifexd-demo.*')"

# With its port taken (by us, unless somebody already has it).
python3 -c 'import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    s.bind(("127.0.0.1", 8080)); s.listen(16)
except OSError:
    pass
time.sleep(120)' &
holder=$!
started+=("$holder")
until_true 10 eval '(: </dev/tcp/127.0.0.1/8080)'
out=$(BUILD=$build TMPDIR=$work timeout 120 bash "$top/rc/demo/demo.sh" 2>&1 </dev/null)
is 'with port 8080 taken it succeeds too' 0 "$?"
like 'and says which port it uses' 'port 8080 is taken; this demo uses [0-9]+' "$out"
kill "$holder"
done_testing
