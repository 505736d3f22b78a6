# SPDX-License-Identifier: ISC
"""The table of pledge/calls_linux.h against what was seen (calls.seen) and what
is there for another reason (calls.kept).

Prints `ok - ' or `not ok - ' for each call of a role.
"""
import re
import sys

table_file, seen_file, kept_file = sys.argv[1:4]
NAMES = {"L": "listener", "A": "authd", "H": "handler", "J": "auditd", "F": "fetcher"}
ALL = "LAHJF"


def lines(path):
    with open(path, encoding="ascii") as f:
        return [x.rstrip("\n") for x in f if x.strip() and not x.startswith("#")]


with open(table_file, encoding="ascii") as f:
    text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
text = text[:text.index("sanitizer_calls[]")]
listed = set()
for call, roles in re.findall(r"\{ SCMP_SYS\((\w+)\), ([A-Z |]+),", text):
    for role in (ALL if roles.strip() == "ALL" else roles.replace("|", " ").split()):
        listed.add((NAMES[role], call))
seen = {tuple(x.split()) for x in lines(seen_file)}
kept = {}
for line in lines(kept_file):
    call, reason = line.split(None, 1)
    kept[call] = reason
used = set()
for role, call in sorted(listed):
    if (role, call) in seen:
        print("ok - %s: %s was seen" % (role, call))
    elif call in kept:
        used.add(call)
        print("ok - %s: %s: %s" % (role, call, kept[call]))
    else:
        print("not ok - %s: %s: wanted a need for it, got: none seen and none told" % (role, call))
for call in sorted(set(kept) - used):
    print("not ok - %s: wanted a call of the table that was not seen, got: a reason that nothing needs" % call)
for role, call in sorted(seen - listed):
    print("not ok - %s: %s: wanted a call of the table, got: one that was seen and is not in it" % (role, call))
