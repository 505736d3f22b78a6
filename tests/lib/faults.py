# SPDX-License-Identifier: ISC
"""Calls with effects that can be counted, and what must hold afterwards.

usage: faults.py load PORT KEY OUT STOPFILE [FIRST]
       faults.py check JOURNAL OUT EFFECTS [ROWS]

load calls `mark' (it writes its number n, once) and `look' by turns over eight
connections until STOPFILE exists, and writes to OUT what became of each.
check reads the journal's folder, OUT, a file of the numbers that are in the
database, and a file of `seq' that are in the audit table; it prints one line
of counters and then each thing that does not hold.
"""
import collections
import glob
import http.client
import json
import os
import sys
import threading


def load(port, key, out, stop, first):
    lock = threading.Lock()
    state = {"n": first}
    seen = {"write": {}, "reads": collections.Counter()}
    head = {"Authorization": "Bearer " + key, "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}

    def call(conn, tool, arguments):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                           "params": {"name": tool, "arguments": arguments}})
        conn.request("POST", "/mcp", body, head)
        answer = conn.getresponse()
        j = json.loads(answer.read())
        if "result" not in j:
            return j.get("error_code", "error")
        if j["result"].get("isError"):
            text = j["result"]["structuredContent"]
            return "maybe" if "may have" in text["message"] else text["error_code"]
        return "ok"

    def run():
        conn = None
        while not os.path.exists(stop):
            with lock:
                state["n"] += 1
                n = state["n"]
            for tool in ("mark", "look"):
                try:
                    if conn is None:
                        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=25)
                    word = call(conn, tool, {"n": n})
                except (OSError, http.client.HTTPException, ValueError):
                    word, conn = "lost", None
                with lock:
                    if tool == "mark":
                        seen["write"][n] = word
                    else:
                        seen["reads"][word] += 1
                if word == "lost":
                    threading.Event().wait(0.02)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    with open(out, "w") as f:
        json.dump(seen, f)


def check(journal, out, effects, rows):
    bad = []
    seen = json.load(open(out))
    writes = {int(n): word for n, word in seen["write"].items()}
    effect = collections.Counter(int(line) for line in open(effects) if line.strip())
    lines = []
    for name in sorted(glob.glob(journal + "/*.jsonl")):
        lines += [json.loads(line) for line in open(name)]
    seqs = [r["seq"] for r in lines]
    if seqs != list(range(seqs[0], seqs[0] + len(seqs))):
        bad.append("seq: a gap, a repeat or out of order")
    intents, outcomes = {}, collections.defaultdict(list)
    ok = collections.Counter()
    for r in lines:
        if r["kind"] == "intent":
            if r["request_id"] in intents:
                bad.append("two intents of %s" % r["request_id"])
            intents[r["request_id"]] = (r["tool_params"] or {}).get("n")
        elif r["kind"] == "outcome":
            outcomes[r["request_id"]].append(r)
        if r["kind"] in ("call", "outcome") and r["outcome"] == "ok":
            ok[r["tool_name"]] += r["calls"]
    intended = collections.Counter(intents.values())
    for n, times in effect.items():
        if times > 1:
            bad.append("the effect of %d is there %d times" % (n, times))
        if n in writes and intended[n] < times:
            bad.append("an effect without an intent: %d" % n)
    for request, n in intents.items():
        counted = [r for r in outcomes[request] if r["calls"] > 0]
        if len(counted) != 1:
            bad.append("%d outcomes of the intent of %s" % (len(counted), n))
    said = {intents[q]: r[-1]["outcome"] for q, r in outcomes.items() if q in intents and r}
    for n, word in writes.items():
        if word == "ok" and effect[n] != 1:
            bad.append("%d was answered ok, and is not there" % n)
        if word == "ok" and said.get(n) != "ok":
            bad.append("%d was answered ok, and recorded as %s" % (n, said.get(n)))
        if effect[n] and word not in ("ok", "lost", "maybe"):
            bad.append("%d was answered %s, and is there" % (n, word))
    if seen["reads"].get("ok", 0) > ok["look"]:
        bad.append("%d reads answered, %d recorded" % (seen["reads"]["ok"], ok["look"]))
    if rows is not None:
        stored = sorted(int(line) for line in open(rows) if line.strip())
        if stored != seqs:
            bad.append("%d records, %d rows, or others" % (len(seqs), len(stored)))
    words = collections.Counter(writes.values())
    print("# writes asked %d (%s), reads asked %d, effects %d, intents %d, outcomes %d, records %d" % (
        len(writes), " ".join("%s %d" % w for w in sorted(words.items())), sum(seen["reads"].values()),
        sum(effect.values()), len(intents), sum(map(len, outcomes.values())), len(seqs)))
    if not writes or not words["ok"]:
        bad.append("the control: nothing was answered ok")
    for line in bad[:10]:
        print(line)
    return 1 if bad else 0


if sys.argv[1] == "load":
    load(int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5], int(sys.argv[6]) if len(sys.argv) > 6 else 0)
else:
    sys.exit(check(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5] if len(sys.argv) > 5 else None))
