# SPDX-License-Identifier: ISC
"""Every protocol revision x route x credential x tool, against one rule.

usage: matrix.py PORT CREDENTIALS

CREDENTIALS is a file of lines `state TAB Authorization value'.  The rule knows
the route, then whether the revision is one, then the credential, then the
scope; it does not know revisions apart, which is the point.  Prints `ok - ' and
`not ok - ' lines, one for each credential and route, and the first exceptions.
"""
import collections
import json
import re
import socket
import sys
import threading

PORT = int(sys.argv[1])
CREDENTIALS = [line.rstrip("\n").split("\t") for line in open(sys.argv[2], encoding="ascii")]
REVISIONS = ["2025-03-26", "2025-06-18", "2025-11-25", "", "2026-07-28", "1999-01-01", "2099-01-01"]
KNOWN = REVISIONS[:5]
TOOLS = ["order_lookup", "order_cancel", "no_such_tool", "Order_Lookup", "order_lookup\\u0000"]
ROUTES = [("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/mcp"), ("POST", "/"), ("POST", "/mcp/"), ("POST", "/mcp?x=1"),
          ("POST", "//mcp"), ("POST", "/MCP"), ("POST", "/mcp/../mcp"), ("POST", "/%6dcp"), ("POST", "/health/live"),
          ("GET", "/health/live"), ("GET", "/health/ready"), ("GET", "/.well-known/oauth-protected-resource")]
META = ('"_meta":{"io.modelcontextprotocol/protocolVersion":"%s","io.modelcontextprotocol/clientCapabilities":{},'
        '"io.modelcontextprotocol/clientInfo":{"name":"m","version":"1"}}')


def body_of(revision, tool):
    params = '"name":"%s","arguments":{"order_id":1001}' % tool
    if revision >= "2026":
        params += "," + META % revision
    return '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{%s}}' % params


class Client:
    def __init__(self):
        self.sock = None

    def ask(self, method, target, fields, body):
        head = "%s %s HTTP/1.1\r\nHost: localhost\r\n" % (method, target)
        head += "".join("%s: %s\r\n" % f for f in fields)
        if method == "POST":
            head += "Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        for attempt in range(2):
            try:
                if self.sock is None:
                    self.sock = socket.create_connection(("127.0.0.1", PORT), 20)
                    self.data = b""
                self.sock.sendall((head + "\r\n" + (body if method == "POST" else "")).encode())
                return self.answer()
            except (ConnectionError, OSError):
                self.sock = None
                if attempt:
                    raise

    def answer(self):
        while b"\r\n\r\n" not in self.data:
            self.more()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        length = int((re.search(rb"(?i)content-length: *(\d+)", head) or [b"", b"0"])[1])
        while len(self.data) < length:
            self.more()
        body, self.data = self.data[:length], self.data[length:]
        if re.search(rb"(?i)connection: *close", head):
            self.sock.close()
            self.sock = None
        return int(head.split()[1]), head, body

    def more(self):
        part = self.sock.recv(65536)
        if not part:
            raise ConnectionError
        self.data += part


def rule(method, path, revision, state, tool):
    """What must come: the status and the word for the outcome."""
    if path in ("/health/live", "/health/ready"):
        return (200, "health") if method == "GET" else (405, "-")
    if path != "/mcp":
        return 404, "-"
    if method != "POST":
        return 405, "-"
    # What is no request gets its 400 before anybody is asked; that a revision
    # is none of ours is told to those with a credential alone.
    if "\\u0000" in tool:
        return 400, "-"
    if not state.startswith("good"):
        return 401, "auth_failed"
    if revision not in KNOWN:
        return 400, "-"
    if tool == "order_lookup" and state == "good-scope":
        return 200, "rows"
    if tool in ("order_lookup", "order_cancel"):
        return 403, "scope_denied"
    return 200, "-32602"


def word(status, body):
    try:
        answer = json.loads(body)
    except ValueError:
        return "health" if status == 200 else "-"
    if status == 200:
        if "error" in answer:
            return str(answer["error"]["code"])
        if "rows" in json.dumps(answer.get("result", {}).get("structuredContent", {})):
            return "rows"
        return "health"
    return answer.get("error_code", "-")


def expectation(wanted, got_status, got_word):
    status, name = wanted
    return got_status == status and name in ("-", "health", got_word)


def say(line):
    sys.stdout.write(line + "\n")


def run(state, value, base, routes, revisions):
    client = Client()
    source = base << 8
    for method, path in routes:
        wrong = []
        refusals = collections.Counter()
        count = 0
        for revision in revisions:
            for tool in TOOLS:
                # A source of its own for each, so that no penalty slows us down.
                source += 1
                fields = [("X-Forwarded-For", "10.%d.%d.%d" % (source >> 16 & 255, source >> 8 & 255, source & 255))]
                fields += [("Authorization", value)] if value else []
                if revision:
                    fields.append(("MCP-Protocol-Version", revision))
                if revision >= "2026":
                    fields += [("Mcp-Method", "tools/call"), ("Mcp-Name", tool)]
                if "\\u0000" in tool and revision >= "2026":
                    continue
                status, head, body = client.ask(method, path, fields, body_of(revision, tool))
                count += 1
                wanted = rule(method, path, revision, state, tool)
                if not expectation(wanted, status, word(status, body)):
                    wrong.append("%s %r %s: wanted %s, got %d %s" % (revision or "no revision", tool, path, wanted, status, word(status, body)))
                if status == 401:
                    refusals[re.sub(rb'"request_id":"[0-9a-f]*"', b"", body) +
                             re.sub(rb"(?i)\r\n(date|x-request-id|retry-after)[^\r]*", b"", head)] += 1
        name = "%s, %s %s%s: %d combinations" % (state, method, path, ", revision " + (revisions[0] or "none") if len(revisions) == 1 else "", count)
        if wrong:
            say("not ok - %s: wanted the rule, got: %d others: %s" % (name, len(wrong), "; ".join(wrong[:3])))
        elif len(refusals) > 1:
            say("not ok - %s: wanted one refusal, got: %d texts: %s" % (name, len(refusals), list(refusals)[:2]))
        else:
            say("ok - " + name)


# A refusal waits for a record of its kind, up to a second: side by side, then.
jobs = []
for state, value in CREDENTIALS:
    for route in ROUTES:
        jobs += [(state, value, len(jobs) + n, [route], [revision]) for n, revision in enumerate(REVISIONS)]
threads = [threading.Thread(target=run, args=job) for job in jobs]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
