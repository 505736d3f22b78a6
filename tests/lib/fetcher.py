#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""
What tests/system/fetcher.sh runs in a network and mount namespace of its own:
the real fetcher in its real sandbox, with us as its parent and its authd over
descriptor 3, a hostile HTTPS server and a lying name server.  Prints `ok -'
and `not ok -' lines.

Arguments: the build folder, a folder with the certificates.
"""

import array
import os
import re
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

build, work = sys.argv[1], sys.argv[2]
top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

GLOBAL, NOWHERE = "11.0.0.1", "11.99.0.1"      # ours, in this namespace
PORT, WRONG, UNKNOWN, EXPIRED, MUTE, PLAIN, OLD = range(8443, 8450)
NAME_SERVER = "127.0.0.9"                      # not where a resolver looks by itself
SLOW_LIMIT = 4.9                               # seconds; the fetcher says 4
FETCH_MAX = 256 * 1024
# In a name space that another user than root made there is nobody else to be.
MANY_USERS = open("/proc/self/uid_map", encoding="ascii").read().split()[2] != "1"
SANITIZED = "asan" in build
JWKS, OIDC, OAUTH = 0, 1, 2


def names_of(file, enum):
    text = open(os.path.join(top, file), encoding="utf-8").read()
    body = re.search(r"enum %s \{(.*?)\};" % enum, text, re.S).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    words = [w.strip() for w in body.split(",") if w.strip()]
    return {word: number for number, word in enumerate(words)}


MSG = names_of("common/message.h", "message_type")
ROLE = names_of("common/proc.h", "role")
VERSION = re.search(r"^VERSION\s*:=\s*(\S+)",
                    open(os.path.join(top, "GNUmakefile")).read(), re.M).group(1)


# ---- assertions -------------------------------------------------------------

def check(name, good, got=""):
    if good:
        print("ok - " + name)
    else:
        print("not ok - %s: got: %s" % (name, str(got)[:400].replace("\n", ";")))
    sys.stdout.flush()


# ---- the hostile server -----------------------------------------------------

requests = []                   # (port, request line, headers)
ways = {}                       # path -> function(socket, request)


def way(path):
    def add(function):
        ways[path] = function
        return function
    return add


def answer(s, body=b'{"keys":[]}', status="200 OK", headers=()):
    head = ["HTTP/1.1 " + status, "Content-Length: %d" % len(body), *headers]
    s.sendall("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)


def headers_way(path, *headers, body=b"x", status="200 OK"):
    ways[path] = lambda s, r: answer(s, body, status, headers)


headers_way("/good", "Cache-Control: max-age=600", body=b'{"keys":[1]}')
headers_way("/.well-known/openid-configuration", body=b"oidc at the root")
headers_way("/realms/one/.well-known/openid-configuration", body=b"oidc of one")
headers_way("/.well-known/oauth-authorization-server", body=b"oauth at the root")
headers_way("/.well-known/oauth-authorization-server/realms/one", body=b"oauth of one")
headers_way("/keys?tenant=1", body=b"with a query")
headers_way("/empty", body=b"")
headers_way("/exact", body=b"e" * FETCH_MAX)
headers_way("/large", body=b"l" * (FETCH_MAX + 1))
for code in ("404 Not Found", "500 Oops", "204 No Content", "304 Not Modified",
             "206 Partial Content", "401 Unauthorized", "300 Multiple Choices"):
    headers_way("/status/" + code[:3], status=code, body=b"")
headers_way("/aged", "Cache-Control: public, max-age=600", "Age: 100")
headers_way("/no-store", "Cache-Control: max-age=600, no-store")
headers_way("/s-maxage", "Cache-Control: s-maxage=600")
headers_way("/two-lines", "Cache-Control: private", "cache-control: max-age=7")
headers_way("/twice", "Cache-Control: max-age=6", "Cache-Control: max-age=7")
headers_way("/no-number", "Cache-Control: max-age=6x")
headers_way("/gzip", "Content-Encoding: gzip")
headers_way("/cookie", "Set-Cookie: a=b; Path=/", body=b"cookie")
headers_way("/basic", 'WWW-Authenticate: Basic realm="x"', status="401 Unauthorized")
headers_way("/redirect/0", "Location: /redirect/1", status="302 Found")
headers_way("/redirect/1", "Location: 2", status="301 Moved")
headers_way("/redirect/2", "Location: https://127.0.0.1:%d/good" % PORT, status="308 Moved")
headers_way("/redirect/more", "Location: /redirect/0", status="307 Again")
headers_way("/redirect/loop", "Location: /redirect/loop", status="302 Found")
headers_way("/redirect/host", "Location: https://localhost:%d/good" % PORT, status="302 Found")
headers_way("/redirect/port", "Location: https://127.0.0.1:%d/good" % OLD, status="302 Found")
headers_way("/redirect/http", "Location: http://127.0.0.1:%d/good" % PORT, status="302 Found")
headers_way("/redirect/file", "Location: file:///etc/passwd", status="302 Found")
headers_way("/redirect/two", "Location: /good", "Location: /good", status="302 Found")
headers_way("/redirect/none", status="302 Found")
headers_way("/redirect/slashes", "Location: //127.0.0.1:%d/good" % PORT, status="302 Found")
headers_way("/redirect/user", "Location: https://u@127.0.0.1:%d/good" % PORT, status="302 Found")
headers_way("/redirect/dots", "Location: /a/../good", status="302 Found")
headers_way("/redirect/body", "Location: /good", status="302 Found", body=b"b" * 65536)
headers_way("/many-headers", *["X-%d: %s" % (n, "y" * 1000) for n in range(40)])
headers_way("/long-header", "X: " + "y" * 60000)


@way("/chunked")
def chunked(s, _):
    s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
              b"Cache-Control: max-age=5\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n"
              b"Cache-Control: max-age=9\r\n\r\n")


@way("/early-hints")
def early_hints(s, _):
    s.sendall(b"HTTP/1.1 103 Early Hints\r\nCache-Control: max-age=99\r\n"
              b"Location: /nowhere\r\n\r\n")
    answer(s, b"after 103")


@way("/chunked-large")
def chunked_large(s, _):
    s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(10000):
        s.sendall(b"10000\r\n" + b"c" * 65536 + b"\r\n")


@way("/chunked-gzip")
def chunked_gzip(s, _):
    s.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
              b"1\r\na\r\n0\r\n\r\n")


@way("/endless")
def endless(s, _):
    s.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(10000):
        s.sendall(b"e" * 65536)


@way("/endless-headers")
def endless_headers(s, _):
    s.sendall(b"HTTP/1.1 200 OK\r\n")
    for n in range(100000):
        s.sendall(b"X-%d: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" % n)


@way("/endless-1xx")
def endless_1xx(s, _):
    for _ in range(100000):
        s.sendall(b"HTTP/1.1 102 Wait\r\nX: y\r\n\r\n")


@way("/short")
def short(s, _):
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")


@way("/cut")
def cut(s, _):
    s.sendall(b"HTTP/1.1 200 OK\r\n\r\nno end is told")
    raise ConnectionAbortedError      # the socket is closed without TLS's word


@way("/two-lengths")
def two_lengths(s, _):
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 1\r\n\r\nabcde")


@way("/http09")
def http09(s, _):
    s.sendall(b'{"keys":[]}')


@way("/silent")
def silent(_, __):
    time.sleep(8)


@way("/drip")
def drip(s, _):
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(80):
        s.sendall(b"d")
        time.sleep(0.1)


@way("/redirect/slow")
def slow_redirect(s, _):
    time.sleep(1.5)
    answer(s, b"", "302 Found", ["Location: /redirect/slow"])


@way("/pause")
def pause(s, _):
    time.sleep(1.5)
    answer(s, b"paused")


def serve_one(raw, port, context):
    s = raw
    try:
        raw.settimeout(10)
        if context is not None:
            s = context.wrap_socket(raw, server_side=True)
        data = b""
        while b"\r\n\r\n" not in data and len(data) < 65536:
            part = s.recv(4096)
            if not part:
                return
            data += part
        lines = data.decode("latin-1").split("\r\n")
        requests.append((port, lines[0], lines[1:]))
        path = lines[0].split(" ")[1]
        function = ways.get(path)
        if function is None:
            answer(s, b"", "404 Not Found")
        else:
            function(s, data)
        if context is not None:
            s.unwrap()
    except OSError:
        pass
    finally:
        s.close()


def accept_all(listener, port, context):
    while True:
        raw, _ = listener.accept()
        if port == MUTE:
            threading.Timer(8, raw.close).start()
            continue
        threading.Thread(target=serve_one, args=(raw, port, context),
                         daemon=True).start()


def serve(port, cert):
    context = None
    if cert is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("%s/%s.pem" % (work, cert), "%s/%s.key" % (work, cert))
        context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    if port == OLD:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    listener = socket.socket(socket.AF_INET6)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", port))
    listener.listen(64)
    threading.Thread(target=accept_all, args=(listener, port, context),
                     daemon=True).start()


# ---- the lying name server --------------------------------------------------

asked = []                      # names
A, AAAA = 1, 28
zone = {
    "global.test": [GLOBAL], "private.test": ["127.0.0.1"],
    "mixed.test": ["127.0.0.1", GLOBAL], "six.test": ["::1"],
    "mapped.test": ["::ffff:127.0.0.1"], "nat64.test": ["64:ff9b::7f00:1"],
    "metadata.test": ["169.254.169.254"], "zero.test": ["0.0.0.0"],
    "none.test": [], "big.test": ["127.0.0.%d" % n for n in range(1, 60)] + [GLOBAL],
    "other.test": [GLOBAL],
}


def dns_answer(query, udp):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
        at += query[at] + 1
    kind = struct.unpack(">H", query[at + 1:at + 3])[0]
    name = ".".join(labels).lower()
    question = query[12:at + 5]
    asked.append(name)
    if name == "slow.test":
        return None
    if name == "rebind.test":
        found = [GLOBAL] if asked.count(name) <= 2 else ["127.0.0.1"]
    else:
        found = zone.get(name)
    if found is None:
        return query[:2] + struct.pack(">HHHHH", 0x8183, 1, 0, 0, 0) + question
    if name == "big.test" and udp:
        return query[:2] + struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0) + question
    records = []
    for text in found:
        six = ":" in text
        if (kind == AAAA) != six or kind not in (A, AAAA):
            continue
        data = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, text)
        records.append(struct.pack(">HHHIH", 0xc00c, kind, 1, 1, len(data)) + data)
    return query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(records), 0, 0) + \
        question + b"".join(records)


def dns_udp(s):
    while True:
        query, sender = s.recvfrom(4096)
        reply = dns_answer(query, True)
        if reply is not None:
            s.sendto(reply, sender)


def dns_tcp(listener):
    while True:
        s, _ = listener.accept()
        with s:
            s.settimeout(5)
            try:
                while True:
                    length = s.recv(2, socket.MSG_WAITALL)
                    if len(length) < 2:
                        break
                    query = s.recv(struct.unpack(">H", length)[0], socket.MSG_WAITALL)
                    reply = dns_answer(query, False)
                    s.sendall(struct.pack(">H", len(reply)) + reply)
            except OSError:
                pass


def name_server():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((NAME_SERVER, 53))
    threading.Thread(target=dns_udp, args=(udp,), daemon=True).start()
    tcp = socket.socket()
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind((NAME_SERVER, 53))
    tcp.listen(16)
    threading.Thread(target=dns_tcp, args=(tcp,), daemon=True).start()


# ---- the fetcher, and we as its parent and its authd ------------------------

def text(s):
    data = s if isinstance(s, bytes) else s.encode("latin-1")
    return struct.pack("=I", len(data)) + data


def receive(s, deadline):
    """One frame as (type, id, payload); None at the end or too late."""
    data = b""
    need = 16
    while len(data) < need:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([s], [], [], left)[0]:
            return None
        try:
            part = s.recv(need - len(data))
        except OSError:
            return None
        if not part:
            return None
        data += part
        if len(data) == 16:
            need = 16 + struct.unpack("=I", data[:4])[0]
    kind, _, number = struct.unpack("=HHQ", data[4:16])
    return kind, number, data[16:]


class Fetcher:
    def __init__(self, *issuers, environment=None):
        self.log_file = open("%s/log" % work, "w+", encoding="latin-1")
        ours, theirs = socket.socketpair()
        self.control, self.number = ours, 0
        env = dict(os.environ, **(environment or {}))

        def place():
            os.dup2(theirs.fileno(), 3)
            os.set_inheritable(3, True)
        self.process = subprocess.Popen(
            [build + "/libexec/fetcher"], close_fds=False, pass_fds=(),
            preexec_fn=place, env=env, stdin=subprocess.DEVNULL,
            stdout=self.log_file, stderr=self.log_file)
        theirs.close()
        self.send("MSG_START", struct.pack(
            "=BIIQ???II", ROLE["ROLE_FETCHER"], 0, 7, 99, True, True, MANY_USERS,
            65534, 65534) + text("") + text(VERSION))
        for url, jwks, ca, private in issuers:
            self.send("MSG_CONF_FETCH",
                      text(url) + text(jwks) + text(ca) + struct.pack("=?", private))
        self.send("MSG_CONFIG_END", b"")
        first = receive(self.control, time.monotonic() + 10)
        self.ready = first is not None and first[0] == MSG["MSG_READY"]
        self.authd = None
        if self.ready:
            self.wire()

    def wire(self):
        ours, theirs = socket.socketpair()
        payload = struct.pack("=BIII", ROLE["ROLE_AUTHD"], 0, 3, 1)
        header = struct.pack("=IHHQ", len(payload), MSG["MSG_PEER"], 1, 0)
        self.control.sendmsg([header + payload], [(
            socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))])
        theirs.close()
        self.authd = ours

    def send(self, kind, payload, number=0, to=None):
        data = struct.pack("=IHHQ", len(payload), MSG[kind], 0, number) + payload
        try:
            (to or self.control).sendall(data)
        except OSError:
            pass

    def ask(self, what=JWKS, url="", issuer=0):
        self.number += 1
        self.send("MSG_FETCH", struct.pack("=IB", issuer, what) + text(url),
                  self.number, self.authd)
        return self.number

    def hear(self, seconds=12):
        """(number, issuer, what, ok, max-age, bytes) or None."""
        frame = receive(self.authd, time.monotonic() + seconds)
        if frame is None or frame[0] != MSG["MSG_FETCHED"]:
            return None
        issuer, what, good, age, length = struct.unpack("=IB?II", frame[2][:14])
        data = frame[2][14:]
        return (frame[1], issuer, what, good, age, data) if len(data) == length else None

    def fetch(self, what=JWKS, url="", issuer=0):
        self.begun = time.monotonic()
        number = self.ask(what, url, issuer)
        got = self.hear()
        self.took = time.monotonic() - self.begun
        if got is None or got[0] != number or got[1] != issuer or got[2] != what:
            return False, 0, b"(no answer: %s)" % repr(got).encode()
        return got[3:]

    def status(self):
        self.send("MSG_STATUS_ASK", b"", 5)
        frame = receive(self.control, time.monotonic() + 2)
        if not frame or frame[0] != MSG["MSG_STATUS"]:
            return repr(frame)
        return frame[2].decode()

    def proc(self):
        return open("/proc/%d/status" % self.process.pid).read()

    def log(self):
        self.log_file.seek(0)
        return self.log_file.read()

    def end(self):
        """Exit code; what came from it beside its last figures, a violation above all."""
        self.send("MSG_SHUTDOWN", b"")
        left = []
        while True:
            frame = receive(self.control, time.monotonic() + 3)
            if frame is None:
                break
            left.append(frame)
        if left and left[0][:2] == (MSG["MSG_STATS"], 0):
            left.pop(0)
        try:
            code = self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "it did not end"
        self.control.close()
        if self.authd:
            self.authd.close()
        return code, left


def here(path="", port=PORT):
    return "https://127.0.0.1:%d%s" % (port, path)


ca, other_ca = work + "/ca.pem", work + "/other-ca.pem"


def fetches(f, name, path, wanted, age=None, what=JWKS):
    good, max_age, data = f.fetch(what, here(path) if path else "")
    check(name, good and data == wanted and (age is None or age == max_age),
          (good, max_age, data[:200]))


def refuses(f, name, url, why, issuer=0, what=JWKS, within=SLOW_LIMIT):
    good, _, data = f.fetch(what, url, issuer)
    check(name, not good and re.search(why, data.decode("latin-1")) and
          data == re.sub(rb"[^ -~]", b"", data) and len(data) < 256 and
          f.took < within, (good, data[:200], "%.1f s" % f.took))


def ends_well(f, name):
    code, left = f.end()
    check(name, code == 0 and not left, (code, left, f.log()[-600:]))


# ---- what is tested ---------------------------------------------------------

def documents():
    key_log = work + "/public/keylog"
    f = Fetcher((here("/"), here("/good"), ca, True),
                (here("/realms/one/"), "", ca, True), environment={
                    "https_proxy": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9",
                    "SSLKEYLOGFILE": key_log, "RES_OPTIONS": "timeout:30",
                    "SSL_CERT_FILE": "/nonexistent"})
    check("it starts, confined, and is ready", f.ready, f.log())
    if not f.ready:
        return
    proc = f.proc()
    check("its system calls are filtered", "Seccomp:\t2" in proc, proc)
    check("it gains no privileges", "NoNewPrivs:\t1" in proc, proc)
    if MANY_USERS:
        check("it is not root", "Uid:\t65534\t65534\t65534\t65534" in proc, proc)
        check("it has no capability", "CapEff:\t0000000000000000" in proc, proc)
    fetches(f, "the configured JWKS", "", b'{"keys":[1]}', 600)
    line, headers = requests[-1][1], requests[-1][2]
    check("the request is a GET by HTTP/1.1", line == "GET /good HTTP/1.1", line)
    names = sorted(h.split(":")[0].lower() for h in headers if h)
    check("it says no more than it must", names == ["accept", "host", "user-agent"], headers)
    check("it says who asks", "User-Agent: pontifexd/" + VERSION in headers, headers)
    fetches(f, "OpenID metadata of an issuer with a slash at its end", "",
            b"oidc at the root", what=OIDC)
    fetches(f, "RFC 8414 metadata of an issuer without a path", "",
            b"oauth at the root", what=OAUTH)
    got = f.fetch(OIDC, issuer=1)
    check("OpenID metadata stands behind the path", got[2] == b"oidc of one", got)
    got = f.fetch(OAUTH, issuer=1)
    check("RFC 8414 metadata stands before the path", got[2] == b"oauth of one", got)
    fetches(f, "a JWKS that the metadata named", "/keys?tenant=1", b"with a query")
    fetches(f, "an empty document", "/empty", b"")
    fetches(f, "a document of the largest size", "/exact", b"e" * FETCH_MAX)
    fetches(f, "chunks; a trailer is no header", "/chunked", b"abcde", 5)
    fetches(f, "what an early answer says does not count", "/early-hints", b"after 103", 0)
    fetches(f, "max-age less Age", "/aged", b"x", 500)
    for path in ("/no-store", "/s-maxage", "/twice", "/no-number"):
        fetches(f, "no max-age: " + path[1:], path, b"x", 0)
    fetches(f, "Cache-Control on two lines", "/two-lines", b"x", 7)
    fetches(f, "a cookie is taken …", "/cookie", b"cookie")
    fetches(f, "… for nothing", "/good", b'{"keys":[1]}')
    check("no cookie is sent back", not any("cookie" in h.lower() for h in requests[-1][2]),
          requests[-1])
    fetches(f, "three redirects on the same origin", "/redirect/0", b'{"keys":[1]}')
    fetches(f, "a redirect's own body is not the document", "/redirect/body", b'{"keys":[1]}')
    check("the environment steers nothing", not os.path.exists(key_log), key_log)
    check("it stayed one thread", "Threads:\t1\n" in f.proc() or SANITIZED, f.proc())
    got = f.status()
    check("its status counts", re.match(r"issuers 2, fetches \d+, active 0, failed 0, "
                                        r"refused 0, authd connected", got), got)
    check("its log has no document", "keys" not in f.log(), f.log())
    ends_well(f, "it ends when told, and its sandbox refused nothing")


def hostile_answers():
    f = Fetcher((here(), here("/good"), ca, True))
    for code in ("404", "500", "204", "304", "206", "401", "300"):
        refuses(f, "status " + code, here("/status/" + code), "HTTP status: " + code)
    refuses(f, "a demand for a password", here("/basic"), "HTTP status: 401")
    refuses(f, "a byte too many, told before", here("/large"), "too large", within=2)
    refuses(f, "chunks without end", here("/chunked-large"), "too large", within=3)
    refuses(f, "a body without end", here("/endless"), "length", within=3)
    refuses(f, "headers without end", here("/endless-headers"), "headers are too large", within=3)
    refuses(f, "40 kB of headers", here("/many-headers"), "headers are too large", within=2)
    refuses(f, "a header of 60 kB", here("/long-header"), "headers are too large", within=2)
    refuses(f, "early answers without end", here("/endless-1xx"), "headers are too large", within=3)
    refuses(f, "less than was told", here("/short"), ".")
    refuses(f, "a length that is not told", here("/cut"), "length")
    refuses(f, "no HTTP at all", here("/http09"), ".")
    refuses(f, "a packed answer", here("/gzip"), "encoding")
    refuses(f, "a packed transfer", here("/chunked-gzip"), "[Ee]ncoding")
    refuses(f, "a server that says nothing", here("/silent"), "in time|[Tt]imeout")
    check("… for 4 s", f.took > 3.5, f.took)
    refuses(f, "a body byte by byte", here("/drip"), "in time|[Tt]imeout")
    refuses(f, "redirects that are slow", here("/redirect/slow"), "in time|[Tt]imeout")
    for path, why in (("more", "too many redirects"), ("loop", "too many redirects"),
                      ("host", "leaves the origin"), ("port", "leaves the origin"),
                      ("http", "not an https URL"), ("file", "not an https URL"),
                      ("two", "malformed"), ("none", "nowhere"),
                      ("slashes", "without a scheme"), ("user", "a user in"),
                      ("dots", "segment")):
        before = len(requests)
        refuses(f, "redirect: " + path, here("/redirect/" + path), why)
        if path not in ("more", "loop"):
            check("… which is not followed", len(requests) == before + 1, requests[before:])
    fetches(f, "after all that it serves", "/good", b'{"keys":[1]}')
    ends_well(f, "hostile answers: the sandbox refused nothing")


def steering():
    f = Fetcher((here("/issuer"), "", ca, True),
                (here("/issuer"), "https://[::1]:%d/good" % PORT, ca, True))
    before = len(requests)
    for url in ("https://127.0.0.1:%d/good" % OLD, "https://127.0.0.1/good",
                "https://localhost:%d/good" % PORT, "https://[::1]:%d/good" % PORT,
                "https://127.0.0.2:%d/good" % PORT, "https://global.test:%d/good" % PORT):
        refuses(f, "authd steers elsewhere: " + url, url, "not on the issuer's origin", within=1)
    for url in ("http://127.0.0.1:%d/good" % PORT, "file:///etc/passwd", "gopher://127.0.0.1/",
                "https://127.0.0.1:%d@evil.test/" % PORT, "https://u:p@127.0.0.1:%d/good" % PORT,
                "https://2130706433:%d/good" % PORT, "https://127.1:%d/good" % PORT,
                "https://0x7f.0.0.1:%d/good" % PORT,
                here("/../good"), here("/good#x"), here("/a b"), here("/\r\nX: y"), "x" * 1024):
        refuses(f, "authd sends a bad URL: " + url[:40].replace("\r\n", "\\r\\n"), url, ".",
                within=1)
    refuses(f, "no jwks is configured", "", "no jwks", within=1)
    refuses(f, "a metadata question with a URL", here("/good"), "metadata", what=OIDC, within=1)
    refuses(f, "an issuer that there is not", "", "no such issuer", issuer=5, within=1)
    check("none of these reached the server", len(requests) == before, requests[before:])
    good, _, data = f.fetch(issuer=1)
    check("the configured jwks may be on another origin", good and data == b'{"keys":[1]}', data)
    good, _, data = f.fetch(url="https://[::1]:%d/keys?tenant=1" % PORT, issuer=1)
    check("and so may what authd asks for", good, data)

    first = f.ask(url=here("/pause"))
    second = f.ask(url=here("/good"))
    third = f.ask(issuer=1)
    busy, other = f.hear(1), f.hear(1)
    check("one fetch an issuer: the next is refused at once",
          busy and busy[0] == second and not busy[3] and b"under way" in busy[5], busy)
    check("another issuer does not wait", other and other[0] == third and other[3], other)
    begun = time.monotonic()
    status = f.status()
    check("the loop does not block while it waits",
          "active 1" in status and time.monotonic() - begun < 0.5, status)
    got = f.hear()
    check("and the first is answered", got and got[0] == first and got[5] == b"paused", got)

    f.ask(url=here("/pause"))
    old = f.authd
    f.wire()
    good, _, data = f.fetch()
    check("a new authd finds no question of the old one's",
          not good and b"no jwks" in data and "active 0" in f.status(), (data, f.status()))
    check("and the old connection is ended", receive(old, time.monotonic() + 1) is None)
    f.send("MSG_FETCH", b"\0", 1, f.authd)
    check("a malformed question ends the connection",
          f.authd.recv(1) == b"" and "authd away" in f.status(), f.status())
    f.wire()
    good, _, data = f.fetch(issuer=1)
    check("and authd may come back", good, data)
    ends_well(f, "steering: the sandbox refused nothing")


def certificates():
    f = Fetcher(*[(here(port=port), here("/good", port), ca, True)
                  for port in (WRONG, UNKNOWN, EXPIRED, MUTE, PLAIN, OLD)],
                (here(), here("/good"), "", True), (here(), here("/good"), other_ca, True),
                ("https://%s:%d" % (NOWHERE, PORT), here("/good", 8499), ca, True))
    check("it starts with nine issuers", f.ready, f.log())
    before = len(requests)
    refuses(f, "a certificate for another name", "", "certificate", 0)
    refuses(f, "a certificate of an unknown CA", "", "certificate", 1)
    refuses(f, "a certificate that is over", "", "certificate", 2)
    refuses(f, "no TLS answer", "", "[Tt]imeout", 3, within=2.9)
    refuses(f, "no TLS", "", ".", 4)
    refuses(f, "TLS 1.1", "", ".", 5)
    refuses(f, "the system's CAs are not ours", "", "certificate", 6)
    refuses(f, "the issuer's CA is not the server's", "", "certificate", 7)
    refuses(f, "no server", "", "[Cc]onnect", 8)
    refuses(f, "no way there", "https://%s:%d/" % (NOWHERE, PORT), "[Tt]imeout", 8, within=2.9)
    check("no request was sent to any", len(requests) == before, requests[before:])
    ends_well(f, "certificates: the sandbox refused nothing")

    subprocess.run(["mount", "--bind", ca, "/etc/ssl/certs/ca-certificates.crt"], check=True)
    try:
        f = Fetcher((here(), here("/good"), "", True), (here(), here("/good"), other_ca, True))
        fetches(f, "the system's CAs, where no other is named", "", b'{"keys":[1]}')
        refuses(f, "but not beside the one that is", "", "certificate", 1)
        ends_well(f, "system's CAs: the sandbox refused nothing")
    finally:
        subprocess.run(["umount", "/etc/ssl/certs/ca-certificates.crt"], check=True)

    for name, file in (("missing", work + "/nothing"), ("empty", "/dev/null"),
                       ("no certificate", "/etc/hosts")):
        f = Fetcher((here(), "", file, True))
        check("CA file: %s: it does not start" % name, not f.ready and "ca \"" in f.log(), f.log())
        f.end()


def bad_configuration():
    for url, jwks in (("http://127.0.0.1/", ""), ("ftp://127.0.0.1/", ""), ("", ""),
                      (here("/?q"), ""), (here("/#f"), ""), (here(), "http://127.0.0.1/k"),
                      (here(), "file:///etc/passwd"), ("https://u@127.0.0.1/", ""),
                      ("https://127.0.0.1:0/", "")):
        f = Fetcher((url, jwks, ca, True))
        check("configuration refused: \"%s\" \"%s\"" % (url, jwks),
              not f.ready and "issuer: " in f.log(), f.log())
        f.end()
    f = Fetcher()
    check("no issuer at all is a configuration", f.ready, f.log())
    ends_well(f, "and it ends")


def url_of(host, path="/good"):
    return "https://%s:%d%s" % (host, PORT, path)


def addresses():
    hosts = ["private.test", "six.test", "mapped.test", "nat64.test", "metadata.test",
             "zero.test", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "10.1.2.3",
             "localhost"]
    f = Fetcher(*[(url_of(h, ""), url_of(h), ca, False) for h in hosts])
    check("it starts with names", f.ready, f.log())
    before = len(requests)
    for number, host in enumerate(hosts):
        refuses(f, "not a global address: " + host, "", "address refused", number, within=2)
    check("no request was sent to any", len(requests) == before, requests[before:])
    ends_well(f, "addresses: the sandbox refused nothing")

    hosts = ["global.test", "mixed.test", "big.test", "rebind.test", "none.test",
             "missing.test", "slow.test", "other.test", "GLOBAL.test"]
    f = Fetcher(*[(url_of(h, ""), url_of(h), ca, False) for h in hosts],
                (url_of("private.test", ""), url_of("private.test"), ca, True),
                (url_of("localhost", ""), url_of("localhost"), ca, True))
    good, _, data = f.fetch()
    check("a global address is asked", good, data)
    check("by its name", "Host: global.test:%d" % PORT in requests[-1][2], requests[-1])
    good, _, data = f.fetch(issuer=1)
    check("of several addresses the global one is asked", good, data)
    refuses(f, "an answer too long for UDP comes by TCP", "", "address refused", 2)
    good, _, data = f.fetch(issuer=3)
    check("before it is bound anew", good, data)
    refuses(f, "a name that is bound anew", "", "address refused", 3)
    refuses(f, "a name without an address", "", "cannot be resolved", 4)
    asked.clear()
    refuses(f, "a name that there is not", "", "cannot be resolved", 5)
    check("no search list is tried", set(asked) == {"missing.test"}, asked)
    number = f.ask(issuer=6)
    begun = time.monotonic()
    other = f.ask(issuer=0)
    got = f.hear(1)
    check("a slow name server holds nobody else up", got and got[0] == other and got[3], got)
    got = f.hear(4)
    check("and is given up", got and got[0] == number and b"resolved" in got[5] and
          time.monotonic() - begun < 2.5, got)
    refuses(f, "the certificate must be for the name", "", "certificate", 7)
    good, _, data = f.fetch(issuer=8)
    check("capitals in a name are small", good, data)
    good, _, data = f.fetch(issuer=9)
    check("a private address where that is allowed", good, data)
    good, _, data = f.fetch(issuer=10)
    check("a name of /etc/hosts", good, data)
    check("it stayed one thread", "Threads:\t1\n" in f.proc() or SANITIZED, f.proc())

    # Now another file is there, which the sandbox does not show.
    subprocess.run(["umount", "/etc/resolv.conf"], check=True)
    good, _, data = f.fetch()
    check("the name servers of the start are asked when their file is gone", good, data)
    ends_well(f, "names: the sandbox refused nothing")


def main():
    subprocess.run("ip link set lo up && ip addr add %s/32 dev lo &&"
                   " ip link add nowhere type veth peer name end && ip link set end up &&"
                   " ip link set nowhere up && ip route add %s/32 dev nowhere &&"
                   " ip neigh add %s lladdr 02:00:00:00:00:01 dev nowhere"
                   % (GLOBAL, NOWHERE, NOWHERE), shell=True, check=True)
    with open(work + "/resolv.conf", "w", encoding="ascii") as out:
        out.write("nameserver %s\nsearch evil.test\n" % NAME_SERVER)
    subprocess.run(["mount", "--bind", work + "/resolv.conf", "/etc/resolv.conf"], check=True)
    for port, cert in ((PORT, "server"), (WRONG, "wrong"), (UNKNOWN, "unknown"),
                       (EXPIRED, "expired"), (MUTE, None), (PLAIN, None), (OLD, "server")):
        serve(port, cert)
    name_server()
    for part in (documents, hostile_answers, steering, certificates, bad_configuration,
                 addresses):
        part()
    print("# the end")


main()
