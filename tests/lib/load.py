# SPDX-License-Identifier: ISC
"""A bounded load: CONNECTIONS threads call a tool over kept-alive connections
for at most SECONDS and COUNT calls, and report as JSON how many requests were
sent and how each ended.  A lost connection is counted and made anew.

usage: load.py PORT KEY TOOL ARGUMENTS CONNECTIONS SECONDS COUNT [STOPFILE]

Ends when SECONDS are over, COUNT requests are sent or STOPFILE exists.
ARGUMENTS may hold %d, which becomes a running number.  With FRESH in the
environment each call has a connection of its own.  With LOAD_ECHO in it an
answer whose first row has another number there is `wrong'.
"""
import collections
import json
import os
import socket
import sys
import threading
import time

port, key, tool, arguments = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
connections, seconds, limit = int(sys.argv[5]), float(sys.argv[6]), int(sys.argv[7])
fresh = "FRESH" in os.environ
echo = os.environ.get("LOAD_ECHO")
stopfile = sys.argv[8] if len(sys.argv) > 8 else None

rate = float(os.environ.get("LOAD_RATE", 0))
well = open(os.environ["LOAD_OK"], "w") if "LOAD_OK" in os.environ else None
lock = threading.Lock()
count = collections.Counter()
sent = 0
longest = 0.0
start = time.monotonic()
end = start + seconds


def next_number():
    global sent
    with lock:
        if sent >= limit or time.monotonic() > end:
            return None
        if stopfile and sent % 16 == 0 and os.path.exists(stopfile):
            return None
        sent += 1
        return sent


def request(number):
    text = arguments % number if "%d" in arguments else arguments
    body = ('{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":'
            '{"name":"%s","arguments":%s}}' % (number, tool, text)).encode()
    auth = "Authorization: Bearer %s\r\n" % key if key else ""
    return ("POST /mcp HTTP/1.1\r\nHost: localhost\r\n%s"
            "Content-Type: application/json\r\n"
            "Accept: application/json, text/event-stream\r\n"
            "MCP-Protocol-Version: 2025-11-25\r\n"
            "Content-Length: %d\r\n\r\n" % (auth, len(body))).encode() + body


def read_answer(sock, buf):
    """One answer: (status, body, rest); ConnectionError where it is cut."""
    while b"\r\n\r\n" not in buf:
        part = sock.recv(65536)
        if not part:
            raise ConnectionError
        buf += part
    head, buf = buf.split(b"\r\n\r\n", 1)
    status = int(head.split(b" ", 2)[1])
    length = 0
    close = False
    for line in head.split(b"\r\n")[1:]:
        name, value = line.split(b":", 1)
        if name.lower() == b"content-length":
            length = int(value)
        if name.lower() == b"connection" and b"close" in value.lower():
            close = True
    while len(buf) < length:
        part = sock.recv(65536)
        if not part:
            raise ConnectionError
        buf += part
    return status, buf[:length], buf[length:], close


def kind(status, body, number):
    if status != 200:
        return "http_%d" % status
    answer = json.loads(body)
    if "error" in answer:
        return "rpc_error"
    result = answer["result"]
    if result.get("isError"):
        return result.get("structuredContent", {}).get("error_code", "is_error")
    if echo and result["structuredContent"]["rows"][0][echo] != number:
        return "wrong"
    return "ok"


def work():
    global longest
    sock, buf = None, b""
    while True:
        number = next_number()
        if number is None:
            break
        if rate:
            time.sleep(max(0, start + number / rate - time.monotonic()))
        begun = time.monotonic()
        try:
            if sock is None:
                sock = socket.create_connection(("127.0.0.1", port), 15)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                buf = b""
            sock.sendall(request(number))
            status, body, buf, close = read_answer(sock, buf)
            what = kind(status, body, number)
            if close or fresh:
                sock.close()
                sock = None
        except TimeoutError:
            what = "no_answer"
        except OSError:
            what = "lost"
        with lock:
            count[what] += 1
            if well and what == "ok":
                well.write("%d\n" % number)
            longest = max(longest, time.monotonic() - begun)
        if what in ("lost", "no_answer"):
            if sock is not None:
                sock.close()
            sock = None
            time.sleep(0.02)
    if sock is not None:
        sock.close()


threads = [threading.Thread(target=work) for _ in range(connections)]
for t in threads:
    t.start()
for t in threads:
    t.join()
if well:
    well.close()
unanswered = count["lost"] + count["no_answer"]
print(json.dumps({"sent": sent, "answered": sent - unanswered, "unanswered": unanswered,
                  "longest_ms": round(longest * 1000), "kinds": dict(sorted(count.items()))}))
