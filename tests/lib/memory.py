# SPDX-License-Identifier: ISC
"""Looks for secrets in the memory of processes, as root.

usage: memory.py SECRETS PID:NAME...

SECRETS is a file of lines `name hex [hex…]': any of the byte strings is the
secret.  Each process is stopped while it is read.  Prints a line `secret TAB
process TAB count TAB where' for each that is found.
"""
import os
import signal
import sys


def maps(pid):
    with open("/proc/%d/maps" % pid, encoding="utf-8", errors="replace") as f:
        for line in f:
            part = line.split(None, 5)
            start, end = (int(x, 16) for x in part[0].split("-"))
            name = part[5].strip() if len(part) > 5 else "anonymous"
            # A sanitizer's shadow is terabytes, and holds no byte of anybody's.
            if end - start > 1 << 30 and "ASAN_OPTIONS" in os.environ:
                continue
            if part[1].startswith("r") and not name.startswith(("[vvar", "[vsyscall", "[vdso")):
                yield start, end, name


def scan(pid, needles):
    found = {}
    os.kill(pid, signal.SIGSTOP)
    try:
        with open("/proc/%d/mem" % pid, "rb", 0) as mem:
            for start, end, name in maps(pid):
                try:
                    mem.seek(start)
                    data = mem.read(end - start)
                except (OSError, ValueError, OverflowError):
                    continue
                for secret, byte_strings in needles.items():
                    n = sum(data.count(b) for b in byte_strings)
                    if n:
                        was, where = found.get(secret, (0, set()))
                        found[secret] = (was + n, where | {os.path.basename(name)})
    finally:
        os.kill(pid, signal.SIGCONT)
    return found


secrets = {}
with open(sys.argv[1], encoding="ascii") as f:
    for line in f:
        name, *rest = line.split()
        secrets[name] = [bytes.fromhex(x) for x in rest]
for target in sys.argv[2:]:
    number, role = target.split(":")
    for secret, (count, where) in sorted(scan(int(number), secrets).items()):
        print("%s\t%s\t%d\t%s" % (secret, role, count, ",".join(sorted(where))))
