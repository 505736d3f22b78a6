# SPDX-License-Identifier: ISC
"""Calls to the daemon from as many addresses as a test wants (all of 127/8 is
ours), what comes back, and what the trail says of it."""
import glob
import http.client
import json
import re
import threading
import time

CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "order_lookup", "arguments": {"order_id": 1003}}}


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = {}
        found = re.search(rb'"request_id":"([0-9a-f]{32})"', body)
        self.request_id = found.group(1).decode() if found else None

    def header(self, name):
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def same(self):
        """What must not differ between two refusals."""
        body = re.sub(rb'"request_id":"[0-9a-f]{32}"', b'"request_id":""', self.body)
        return self.status, [h for h in self.headers if h[0].lower() != "date"], body

    def rows(self):
        return self.json.get("result", {}).get("structuredContent", {}).get("rows")


class Caller:
    def __init__(self, port, journal):
        self.port, self.journal, self.count, self.lock = port, journal, 0, threading.Lock()

    def address(self):
        """One that nobody has called from: a penalty is for another."""
        with self.lock:
            self.count += 1
            return f"127.77.{self.count // 250}.{self.count % 250 + 1}"

    def call(self, token, tool="order_lookup", arguments=None, peer=None, headers=None, path="/mcp", connection=None):
        body = dict(CALL, params={"name": tool, "arguments": arguments or {"order_id": 1003}})
        c = connection or self.connect(peer)
        send = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": "2025-11-25", **(headers or {})}
        if token is not None:
            send["Authorization"] = "Bearer " + token
        c.request("POST", path, json.dumps(body), send)
        r = c.getresponse()
        answer = Answer(r.status, r.getheaders(), r.read())
        if connection is None:
            c.close()
        return answer

    def connect(self, peer=None):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30,
                                          source_address=(peer or self.address(), 0))

    def records(self):
        out = []
        for path in sorted(glob.glob(self.journal + "/*.jsonl")):
            with open(path, encoding="utf-8") as f:
                out += [json.loads(line) for line in f if line.endswith("\n")]
        return out

    def trail(self):
        return {r["request_id"]: r for r in self.records() if r["request_id"]}

    def until(self, status, token, seconds=30, **how):
        """Calls until the answer has this status; the last answer."""
        end = time.monotonic() + seconds
        while True:
            answer = self.call(token, **how)
            if answer.status == status or time.monotonic() > end:
                return answer
            time.sleep(0.1)


failed = 0


def check(name, wanted, got):
    global failed
    if wanted == got:
        print(f"ok - {name}", flush=True)
    else:
        failed += 1
        print(f"not ok - {name}: wanted {str(wanted)[:500]}, got: {str(got)[:1000]}".replace("\n", ";"), flush=True)
    return wanted == got
