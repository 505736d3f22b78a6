# SPDX-License-Identifier: ISC
"""A crowd of connections that want room, and a caller among them.

usage: crowd.py PORT KEY CASE [STATUS COMMAND...]

Prints one line of JSON that says what became of whom.
  source   600 silent connections of one address, where 512 may be
  all      2300 silent ones of many addresses, where 2048 may be
  idle     600 connections of one caller that called once each, of one address
  asking   100 that wait for their 401, then as many silent ones as `all'
  leavers  12000 that send a wrong credential and leave at once
  mixed    1500 small beginnings, then the bodies
  bodies   300 bodies of which 900 kB have come, of many addresses
Before the crowd comes, a caller of another address has called over a
connection that it keeps; afterwards it calls over it again, and over a new one.
"""
import json
import re
import resource
import select
import socket
import struct
import subprocess
import sys

PORT, KEY, CASE, STATUS = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
BODY = (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
        b'{"name":"order_lookup","arguments":{"order_id":1001}}}')
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def connect(address):
    s = socket.socket()
    s.settimeout(20)
    s.bind((address, 0))
    s.connect(("127.0.0.1", PORT))
    return s


def call(s):
    """The status of one call, 0 where the connection is gone."""
    try:
        s.sendall(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + KEY.encode() +
                  b"\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2025-11-25\r\nContent-Length: %d\r\n\r\n"
                  % len(BODY) + BODY)
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = s.recv(65536)
            if not part:
                return 0
            answer += part
        head, rest = answer.split(b"\r\n\r\n", 1)
        want = int([x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length")][0].split(b":")[1])
        while len(rest) < want:
            rest += s.recv(65536)
        return int(head.split()[1])
    except OSError:
        return 0


def gone(s):
    try:
        poll = select.poll()
        poll.register(s, select.POLLIN)
        return bool(poll.poll(0)) and s.recv(1) == b""
    except OSError:
        return True


def address(n):
    return "127.%d.%d.2" % (1 + n // 200, 1 + n % 200)


caller = connect("127.0.0.1")
first = call(caller)
crowd = []
if CASE == "source":
    for _ in range(600):
        crowd.append(connect("127.0.0.2"))
elif CASE == "all":
    for n in range(2300):
        crowd.append(connect(address(n)))
elif CASE == "idle":
    for _ in range(600):
        s = connect("127.0.0.2")
        call(s)
        crowd.append(s)
elif CASE == "leavers":
    # They are not waited for: only what is asked on their behalf is left of them.
    request = (b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk_live_nobody_x\r\n"
               b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)
    leaving = []
    for n in range(12000):
        s = connect("127.0.0.4")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.sendall(request)
        leaving.append(s)
        # Read and asked by now, if not answered: then the connection is reset.
        if len(leaving) > 100:
            leaving.pop(0).close()
elif CASE == "asking":
    # The oldest of all, and none of them may go while it is answered.
    for n in range(100):
        crowd.append(connect("127.0.0.3"))
        crowd[-1].sendall(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk_live_nobody_x\r\n"
                          b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)
    for n in range(2300):
        crowd.append(connect(address(n)))
elif CASE in ("bodies", "mixed"):
    for n in range(1500 if CASE == "mixed" else 0):
        crowd.append(connect(address(1000 + n)))
        crowd[-1].sendall(b"POST /mcp HT")
    piece = b"x" * 900000
    for n in range(300):
        s = connect(address(n))
        s.settimeout(5)
        try:
            s.sendall(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                      b"Content-Length: 1000000\r\n\r\n" + piece)
        except OSError:
            pass
        crowd.append(s)
kept = call(caller)
fresh = call(connect("127.0.0.1"))
held = 0
if STATUS:
    told = subprocess.run(STATUS, capture_output=True, text=True, check=False, timeout=20).stdout
    held = sum(int(n) for n in re.findall(r"strangers (\d+) KiB", told))
print(json.dumps({"first": first, "kept": kept, "fresh": fresh,
                  "strangers": held, "crowd": len(crowd), "left": sum(not gone(s) for s in crowd),
                  "oldest_gone": sum(gone(s) for s in crowd[:50]), "newest_gone": sum(gone(s) for s in crowd[-50:])}))
