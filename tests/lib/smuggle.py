# SPDX-License-Identifier: ISC
"""Requests that two readers could understand differently, each followed by a
victim's over another connection through the same front.

usage: smuggle.py FRONT PORT ATTACKER-KEY VICTIM-KEY

The attacker's bytes hide a request for order 1002; the victim asks for order
1001 and must get that, under its own id, every time: with the answer of
another, a front and we would have counted different requests.  FRONT is bare,
nginx or haproxy.  Prints `ok - ' and `not ok - ' lines.
"""
import json
import socket
import sys

FRONT, PORT, KEY, VICTIM = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode(), sys.argv[4].encode()


def body(order, number):
    return (b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"order_lookup","arguments":{"order_id":%d}}}'
            % (number, order))


def post(key, order, number, extra=b"", length=None):
    b = body(order, number)
    return (b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key + b"\r\nContent-Type: application/json\r\n"
            + extra + b"Content-Length: %d\r\n\r\n" % (len(b) if length is None else length) + b)


HIDDEN = post(KEY, 1002, 2)
HEAD = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + KEY + b"\r\nContent-Type: application/json\r\n"
B = body(1001, 1)
CHUNK = b"%x\r\n" % len(B) + B + b"\r\n0\r\n\r\n"
WHOLE = b"%x\r\n" % len(B + HIDDEN) + B + HIDDEN + b"\r\n0\r\n\r\n"

# name, bytes, whether the first request may be answered with 200
ATTACKS = [
    ("length and coding", HEAD + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % (len(CHUNK) + len(HIDDEN)) + CHUNK + HIDDEN),
    ("coding and length", HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + CHUNK + HIDDEN),
    ("two lengths", HEAD + b"Content-Length: %d\r\nContent-Length: %d\r\n\r\n" % (len(B), len(B) + len(HIDDEN)) + B + HIDDEN),
    ("two lengths, the long one first", HEAD + b"Content-Length: %d\r\nContent-Length: %d\r\n\r\n" % (len(B) + len(HIDDEN), len(B)) + B + HIDDEN),
    ("a list of lengths", HEAD + b"Content-Length: %d, %d\r\n\r\n" % (len(B), len(B) + len(HIDDEN)) + B + HIDDEN),
    ("a length with a plus", HEAD + b"Content-Length: +%d\r\n\r\n" % len(B) + B + HIDDEN),
    ("a length with a blank", HEAD + b"Content-Length: %d 0\r\n\r\n" % len(B) + B + HIDDEN),
    ("a length in hex", HEAD + b"Content-Length: 0x%x\r\n\r\n" % len(B) + B + HIDDEN),
    ("a blank before the colon", HEAD + b"Content-Length : %d\r\n\r\n" % len(B) + B + HIDDEN),
    ("a folded coding", HEAD + b"Transfer-Encoding:\r\n chunked\r\nContent-Length: %d\r\n\r\n" % len(B) + B + HIDDEN),
    ("a coding behind a tab", HEAD + b"Transfer-Encoding:\tchunked\r\nContent-Length: %d\r\n\r\n" % len(B) + B + HIDDEN),
    ("an unknown coding", HEAD + b"Transfer-Encoding: xchunked\r\nContent-Length: %d\r\n\r\n" % len(B) + B + HIDDEN),
    ("chunked, identity", HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNK + HIDDEN),
    ("chunked twice", HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK + HIDDEN),
    ("identity and chunked", HEAD + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK + HIDDEN),
    ("a coding with a NUL", HEAD + b"Transfer-Encoding: chunked\0\r\nContent-Length: %d\r\n\r\n" % len(B) + B + HIDDEN),
    ("a coding with a form feed", HEAD + b"Transfer-Encoding: \x0cchunked\r\nContent-Length: %d\r\n\r\n" % len(B) + B + HIDDEN),
    ("a bare LF before the coding", HEAD + b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % len(B) + B + HIDDEN),
    ("a bare CR before the coding", HEAD + b"X: y\rTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % len(B) + B + HIDDEN),
    ("lines that end in LF", HEAD.replace(b"\r\n", b"\n") + b"Content-Length: %d\n\n" % len(B) + B + HIDDEN),
    ("a chunk size with 0x", HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x%x\r\n" % len(B) + B + b"\r\n0\r\n\r\n" + HIDDEN),
    ("a chunk size with a minus", HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + HIDDEN),
    ("a chunk size of 2^64", HEAD + b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n" + HIDDEN),
    ("a chunk size with an underscore", HEAD + b"Transfer-Encoding: chunked\r\n\r\n1_0\r\n" + HIDDEN),
    ("a chunk that ends in LF", HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\n" % len(B) + B + b"\n0\n\n" + HIDDEN),
    ("a chunk longer than its size", HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + B + b"\r\n0\r\n\r\n" + HIDDEN),
    ("an extension with a line feed", HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x;a\nb\r\n" % len(B) + B + b"\r\n0\r\n\r\n" + HIDDEN),
    ("an extension with quoted CRLF", HEAD + b'Transfer-Encoding: chunked\r\n\r\n%x;a="\r\n' % len(B) + B + b"\r\n0\r\n\r\n" + HIDDEN),
    ("a trailer that is a length", HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(B) + B + b"\r\n0\r\nContent-Length: 500\r\n\r\n" + HIDDEN[:40]),
    ("a trailer that is a credential", HEAD.replace(KEY, b"x") + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(B) + B
     + b"\r\n0\r\nAuthorization: Bearer " + KEY + b"\r\n\r\n"),
    ("a body within chunks", HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + WHOLE),
    ("a GET with a body", b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN),
    ("a GET with chunks", b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n"),
    ("HTTP/1.0 with chunks", HEAD.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK + HIDDEN),
    ("an Upgrade", HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nContent-Length: %d\r\n\r\n" % len(B) + B),
    ("Connection names the length", HEAD + b"Connection: close, Content-Length\r\nContent-Length: %d\r\n\r\n" % len(B) + B + HIDDEN),
    ("Expect and a body at once", HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(B) + B + HIDDEN[:30]),
    ("two hosts", HEAD + b"Host: evil.example\r\nContent-Length: %d\r\n\r\n" % len(B) + B),
    ("another host in the target", HEAD.replace(b"POST /mcp", b"POST http://evil.example/mcp") + b"Content-Length: %d\r\n\r\n" % len(B) + B),
    ("a request line with two blanks", HEAD.replace(b"POST /mcp", b"POST  /mcp") + b"Content-Length: %d\r\n\r\n" % len(B) + B + HIDDEN),
    ("CRLF in the target", HEAD.replace(b"/mcp", b"/mcp?%0d%0aHost:%20x") + b"Content-Length: %d\r\n\r\n" % len(B) + B),
    ("a method override", HEAD.replace(b"POST", b"GET", 1) + b"X-HTTP-Method-Override: POST\r\nContent-Length: %d\r\n\r\n" % len(B) + B),
    ("an original URL", HEAD.replace(b"/mcp", b"/health/live") + b"X-Original-URL: /mcp\r\nX-Rewrite-URL: /mcp\r\nContent-Length: %d\r\n\r\n" % len(B) + B),
]


def read_one(s, data=b""):
    """(status, body, rest), or None at the end."""
    try:
        while b"\r\n\r\n" not in data:
            part = s.recv(65536)
            if not part:
                return None
            data += part
        head, data = data.split(b"\r\n\r\n", 1)
        lines = head.split(b"\r\n")
        want = 0
        for line in lines[1:]:
            if line.lower().startswith(b"content-length:"):
                want = int(line.split(b":")[1])
        while len(data) < want:
            part = s.recv(65536)
            if not part:
                return None
            data += part
        return int(lines[0].split()[1]), data[:want], data[want:]
    except (OSError, IndexError, ValueError):
        return None


def customer(answer):
    if answer is None:
        return "nothing"
    try:
        got = json.loads(answer[1])
        return "%s %s" % (got.get("id"), got["result"]["structuredContent"]["rows"][0]["id"])
    except (ValueError, KeyError, IndexError, TypeError):
        return str(answer[0])


def victim(number):
    """The victim's call over a connection of its own."""
    s = socket.create_connection(("127.0.0.1", PORT), 20)
    s.settimeout(20)
    s.sendall(post(VICTIM, 1001, number))
    answer = read_one(s)
    s.close()
    return customer(answer)


def attack(bytes_sent):
    s = socket.create_connection(("127.0.0.1", PORT), 20)
    s.settimeout(0.4)
    got = []
    try:
        s.sendall(bytes_sent)
        rest = b""
        while True:
            answer = read_one(s, rest)
            if answer is None:
                break
            got.append(customer(answer))
            rest = answer[2]
    except OSError:
        pass
    s.close()
    return got


def say(ok, name, wanted="", got=""):
    print(("ok - %s" if ok else "not ok - %s: wanted %s, got: %s") % ((name,) if ok else (name, wanted, got)))


got = attack(post(KEY, 1001, 1))
say(got == ["1 1001"], "%s: control: a request is answered" % FRONT, "1 1001", got)
got = attack(post(KEY, 1001, 1) + HIDDEN)
say(got == ["1 1001", "2 1002"], "%s: control: two that follow each other are answered" % FRONT, "both", got)
for n, (name, sent) in enumerate(ATTACKS):
    got = attack(sent)
    # Whatever the front makes of it, an answer belongs to a request of this
    # connection; bare, a hidden request is never one.
    if FRONT == "bare":
        say("2 1002" not in got, "bare: %s: what is hidden is not run" % name, "no answer to it", got)
    numbers = [victim(100 + 3 * n + k) for k in range(3)]
    wanted = ["%d 1001" % (100 + 3 * n + k) for k in range(3)]
    say(numbers == wanted, "%s: %s: the next caller gets its own answer" % (FRONT, name), wanted, numbers)
