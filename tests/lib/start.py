# SPDX-License-Identifier: ISC
#
# start.py ROUNDS PORT KEY TOOL ARGUMENTS COMMAND...: starts the daemon, asks it
# at once for a call and again until there is an answer, ends it; prints the
# milliseconds from fork to answer and the processor's milliseconds of the whole
# family until its end, a line a round, or what went wrong.

import http.client, json, resource, signal, subprocess, sys, time

rounds, port, key, tool, arguments = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]
body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                   "params": {"name": tool, "arguments": json.loads(arguments)}})
headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json",
           "MCP-Protocol-Version": "2025-11-25"}


def ask(deadline):
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("POST", "/mcp", body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status != 200 or '"isError":true' in text.replace(" ", ""):
                sys.exit("answer %d: %s" % (answer.status, text))
            return
        except (ConnectionError, http.client.HTTPException):
            time.sleep(0.0005)
        finally:
            connection.close()
    sys.exit("no answer")


def spent():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


for _ in range(rounds):
    before = spent()
    began = time.monotonic()
    daemon = subprocess.Popen(sys.argv[6:], stdin=subprocess.DEVNULL)
    ask(began + 20)
    took = time.monotonic() - began
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(30)
    print("%.1f %.1f" % (took * 1000, (spent() - before) * 1000), flush=True)
