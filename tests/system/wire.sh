#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Bad input from the network: every answer is a defined one, nobody exits,
# and what was refused is in the trail.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
key=$(key_add -o alice -s shop:order:read -r 100000)
daemon_start || die 'the daemon starts' ready
before=$(child_pids | sort | paste -sd' ')
lookup='{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":1001}}}'

# raw NAME PATTERN [ANSWERS]: stdin are the bytes; the first answer line must
# fit.  Reads that many answers (one unless told), or to the end where 0 are
# asked for; then our side of the connection is closed after the last byte.
raw() {
	raw_answer=$(python3 -c '
import re, socket, sys
port, wanted = int(sys.argv[1]), int(sys.argv[2])
s = socket.create_connection(("127.0.0.1", port), 5)
s.settimeout(20)
try:
    s.sendall(sys.stdin.buffer.read())
    if wanted == 0:
        s.shutdown(socket.SHUT_WR)
except OSError:
    pass

def answers(data):
    n = 0
    while b"\r\n\r\n" in data:
        head, data = data.split(b"\r\n\r\n", 1)
        found = re.search(rb"(?im)^content-length: *(\d+)", head)
        length = int(found.group(1)) if found else 0
        if len(data) < length:
            break
        data = data[length:]
        n += not head.startswith(b"HTTP/1.1 100")
    return n

out = b""
try:
    while len(out) < 65536 and not (wanted and answers(out) >= wanted):
        part = s.recv(65536)
        if not part:
            break
        out += part
except OSError:
    pass
sys.stdout.write(out.decode("latin-1").replace("\r", ""))' "$port" "${3:-1}")
	if head -n 1 <<<"$raw_answer" | grep -Eq -- "$2"; then
		ok "$1"
	else
		not_ok "$1" "/$2/" "$(head -n 1 <<<"$raw_answer")"
	fi
}
request() { # HEADER... : a request with these, $lookup as the body
	local line
	printf 'POST /mcp HTTP/1.1\r\n'
	for line in "$@"; do printf '%b\r\n' "$line"; done
	printf '\r\n%s' "$lookup"
}
auth="Authorization: Bearer $key"
json='Content-Type: application/json'
len="Content-Length: ${#lookup}"

request 'Host: localhost' "$auth" "$json" "$len" | raw 'the control: the request as it should be' ' 200 '
request "$auth" "$json" "$len" | raw 'no Host' ' 400 '
request 'Host: localhost' 'Host: localhost' "$auth" "$json" "$len" | raw 'Host twice' ' 400 '
request 'Host: evil.example' "$auth" "$json" "$len" | raw 'a foreign Host' ' 4(03|21|00) '
request 'Host: localhost:9' "$auth" "$json" "$len" | raw 'the port of Host is ignored' ' 200 '
request 'Host: localhost' 'Origin: http://evil.example' "$auth" "$json" "$len" | raw 'a foreign Origin' ' 403 '
request 'Host: localhost' 'Origin: http://localhost:3000' "$auth" "$json" "$len" | raw 'our own Origin' ' 200 '
request 'Host: localhost' 'Origin: null' "$auth" "$json" "$len" | raw 'Origin null' ' 403 '
request 'Host: localhost' "$auth" "$json" "$len" 'Transfer-Encoding: chunked' | raw 'Content-Length beside Transfer-Encoding' ' 400 '
request 'Host: localhost' "$auth" "$json" "$len" "Content-Length: 5" | raw 'two Content-Lengths' ' 400 '
request 'Host: localhost' "$auth" "$json" 'Content-Length: +5' | raw 'a Content-Length that is no number' ' 400 '
request 'Host: localhost' "$auth" "$json" 'Content-Length: 99999999999999999999' | raw 'a Content-Length beyond all bounds' ' 4(00|13) '
request 'Host: localhost' "$auth" "$json" 'Content-Length: 2000000' | raw 'a body that is too large' ' 413 '
request 'Host: localhost' "$auth" "$json" 'Transfer-Encoding: gzip' | raw 'a transfer coding we do not know' ' (400|501) '
request 'Host: localhost' "$auth" "$json" 'X-Folded: a\r\n b' "$len" | raw 'a folded header' ' 400 '
request 'Host: localhost' "$auth" "$json" "X Y: 1" "$len" | raw 'a space in a header name' ' 400 '
request 'Host: localhost' "$auth" "$json" "X-Y : 1" "$len" | raw 'a space before the colon' ' 400 '
request 'Host: localhost' "$auth" "$auth" "$json" "$len" | raw 'two credentials' ' 40[01] '
request 'Host: localhost' "$auth" 'Content-Type: text/plain' "$len" | raw 'another media type' ' 415 '
printf 'POST /mcp HTTP/1.1\nHost: localhost\n\n' | raw 'bare LF' ' 400 '
printf 'POST /mcp HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s\r\n%s\r\nX: %s\r\n\r\n%s' "$auth" "$json" "$len" \
    "$(head -c 100000 /dev/zero | tr '\0' x)" "$lookup" | raw 'a header that is too long' ' (400|431) '
printf 'GET / HTTP/3.7\r\nHost: localhost\r\n\r\n' | raw 'a version of HTTP that is none' ' (400|505) '
printf '\026\003\001\002\000\001\000\001\374\003\003' | raw 'a TLS hello' '^$|400' 0
printf 'POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n' | raw 'a path that is not there' ' 404 '
printf 'POST /mcp HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n' \
    "$auth" "$json" ${#lookup} "$lookup" | raw 'a chunked body' ' 200 '
printf 'POST /mcp HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n' \
    "$auth" "$json" | raw 'a chunk size that is none' ' 400 '
{ request 'Host: localhost' "$auth" "$json" "$len"; request 'Host: localhost' "$auth" "$json" "$len"; } |
    raw 'two requests at once' ' 200 ' 2
is 'both are answered' 2 "$(grep -o 'HTTP/1.1 200' <<<"$raw_answer" | wc -l)"
request 'Host: localhost' "$auth" "$json" "$len" 'Expect: 100-continue' | raw 'Expect is met' ' (100|200) '
like 'and answered' '^HTTP/1.1 200' "$(grep -o 'HTTP/1.1 [0-9]*' <<<"$raw_answer" | tail -n 1)"
request 'Host: localhost' "$auth" "$json" "Content-Length: $((${#lookup} + 20))" | raw 'a body that is cut short' '^$| 400 | 408 ' 0
{ request 'Host: localhost' "$auth" "$json" "$len"; } | raw 'a client that has closed its side gets its answer' ' 200 ' 0

# -- JSON
body_is() { # NAME STATUS CODE BODY
	post "$key" "$4"
	is "$1" "$2 $3" "$status $(jqb '.error.code // "none"')"
}
body_is 'no JSON' 400 -32700 '{"jsonrpc":'
body_is 'nothing' 400 -32700 ''
body_is 'an array' 400 -32600 "[$lookup]"
body_is 'a posted response' 400 -32600 '{"jsonrpc":"2.0","id":1}'
body_is 'a null id' 400 -32600 '{"jsonrpc":"2.0","id":null,"method":"ping"}'
body_is 'another version of JSON-RPC' 400 -32600 '{"jsonrpc":"1.0","id":1,"method":"ping"}'
body_is 'a method that is no string' 400 -32600 '{"jsonrpc":"2.0","id":1,"method":1}'
body_is 'a key twice' 400 -32700 '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_lookup","name":"order_cancel","arguments":{"order_id":1}}}'
body_is 'two texts' 400 -32700 "$lookup$lookup"
body_is 'an escaped NUL' 400 -32700 '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order\u0000lookup"}}'
body_is 'half a surrogate pair' 400 -32700 '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\ud800"}}'
body_is 'bytes that are no UTF-8' 400 -32700 "$(printf '{"jsonrpc":"2.0","id":1,"method":"p\377ing"}')"
body_is 'too deep' 400 -32700 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":$(printf '[%.0s' $(seq 5000))$(printf ']%.0s' $(seq 5000))}"

# -- the modern envelope
modern_is() { # NAME STATUS CODE BODY HEADER...
	local name=$1 wanted="$2 $3" data=$4 args=() h
	shift 4
	for h in "$@"; do args+=(-H "$h"); done
	post "$key" "$data" "${args[@]}"
	is "$name" "$wanted" "$status $(jqb '.error.code // "none"')"
}
list="{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{$meta}}"
v='MCP-Protocol-Version: 2026-07-28'
modern_is 'modern, the control' 200 none "$list" "$v" 'Mcp-Method: tools/list'
modern_is 'no version header' 400 -32020 "$list" 'Mcp-Method: tools/list'
modern_is 'another version in the header' 400 -32020 "$list" 'MCP-Protocol-Version: 2025-11-25' 'Mcp-Method: tools/list'
modern_is 'no Mcp-Method' 400 -32020 "$list" "$v"
modern_is 'another method in the header' 400 -32020 "$list" "$v" 'Mcp-Method: tools/call'
modern_is 'no _meta, but a modern header' 400 -32602 '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}' "$v" 'Mcp-Method: tools/list'
modern_is 'no capabilities in _meta' 400 -32602 \
    '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}' "$v" 'Mcp-Method: tools/list'
modern_is 'a version we do not speak' 400 -32022 "${list/2026-07-28/2027-01-01}" 'MCP-Protocol-Version: 2027-01-01' 'Mcp-Method: tools/list'
is 'what we speak is said' '["2026-07-28"]' "$(jqb '.error.data.supported | map(select(. >= "2026"))')"
modern_is 'a legacy version in a header, unknown' 400 -32022 "$lookup" 'MCP-Protocol-Version: 1999-01-01'
modern "$key" tools/call '"name":"order_lookup","arguments":{"order_id":1001}' orders_search
is 'another tool in Mcp-Name' '400 -32020' "$status $(jqb .error.code)"
modern "$key" tools/call '"name":"order_lookup","arguments":{"order_id":1001}'
is 'no Mcp-Name' '400 -32020' "$status $(jqb .error.code)"
modern "$key" tools/call '"name":"order_lookup","arguments":{"order_id":1001}' '=?base64?b3JkZXJfbG9va3Vw?='
is 'Mcp-Name in base64' 200 "$status"
modern "$key" tools/call '"name":"order_lookup","arguments":{"order_id":1001}' '=?base64?b3JkZXJfbG9va3V?='
is 'bad base64 in Mcp-Name' '400 -32020' "$status $(jqb .error.code)"
modern "$key" nosuch/method
is 'an unknown method' '404 -32601' "$status $(jqb .error.code)"
modern "$key" initialize '"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}'
is 'initialize on the modern wire' '404 -32601' "$status $(jqb .error.code)"

# -- a malformed request gets its 400 before any 401, and is recorded
post '' '{"jsonrpc":'
is 'malformed, without a key: 400' 400 "$status"
for reason in bad_framing bad_host bad_origin bad_json; do
	like "the trail knows: $reason" "$reason" "$(journal | jq -r 'select(.outcome == "bad_request") | .reason' | sort -u | paste -sd' ')"
done

# -- HEAD: the same head, and no content, which a gateway would take for the
# -- next answer on that connection
python3 - "$port" >"$work/heads" <<'EOF'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
s.settimeout(10)
for path, status in (("/health/live", 200), ("/health/ready", 200), ("/nowhere", 404), ("/mcp", 405)):
    s.sendall(("HEAD %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
               "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n" % path).encode())
    data = b""
    while not data.endswith(b'{"status":"ok"}'):
        more = s.recv(65536)
        if not more:
            break
        data += more
    first, _, rest = data.partition(b"\r\n\r\n")
    print(path, first.split(b" ")[1].decode() == str(status), rest.startswith(b"HTTP/1.1 200 "),
          b"Content-Length: 0" not in first)
EOF
is 'HEAD has the head of GET and no content, for an error too' \
    '/health/live True True True /health/ready True True True /nowhere True True True /mcp True True True' \
    "$(paste -sd' ' "$work/heads")"

# -- slow clients hold nobody up
python3 - "$port" <<'EOF' &
import socket, sys, time
socks = []
for _ in range(100):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
    s.sendall(b"POST /mcp HTTP/1.1\r\nHost: loc")
    socks.append(s)
time.sleep(4)
EOF
slow=$!
started+=("$slow")
sleep 0.5
call "$key" order_lookup '{"order_id":1001}'
is 'a hundred slow clients hold nobody up' 200 "$status"
wait "$slow"
is 'no process has been replaced in all this' "$before" "$(child_pids | sort | paste -sd' ')"
daemon_stop
is 'SIGTERM: exit 0' 0 "$daemon_status"
like 'audit verify: ok' ok "$(audit_verify | tail -n 1)"
done_testing
