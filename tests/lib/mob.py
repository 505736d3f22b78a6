# SPDX-License-Identifier: ISC
"""A mob: COUNT connections at once for SECONDS that want nothing but room.
Four of ten send a header slowly, four a body, two garbage; one that is closed
comes again, at most REOPEN a second.  They come from 200 addresses.

usage: mob.py PORT COUNT SECONDS REOPEN

Says `here' once all have come, and how often they came at the end.
"""
import random
import resource
import select
import socket
import sys
import time

PORT, COUNT, SECONDS, REOPEN = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, COUNT + 100), hard))
HEAD = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
rng = random.Random(1)
epoll = select.epoll()
sockets = {}
came = 0


def come():
    global came
    s = socket.socket()
    s.setblocking(False)
    kind = rng.choice("hhhhbbbbgg")
    s.bind(("127.9.0.%d" % (1 + came % 200), 0))
    try:
        s.connect(("127.0.0.1", PORT))
    except BlockingIOError:
        pass
    came += 1
    sockets[s.fileno()] = [s, kind, 0]
    epoll.register(s.fileno(), select.EPOLLIN | select.EPOLLHUP)


def leave(fd):
    epoll.unregister(fd)
    sockets.pop(fd)[0].close()


def say(entry):
    s, kind, said = entry
    try:
        if kind == "g":
            s.send(rng.randbytes(200) + b"\r\n")
        elif kind == "h":
            s.send(HEAD[:20] if said == 0 else b"X")
        else:
            s.send(HEAD + b"Content-Length: 100000\r\n\r\n" if said == 0 else b" ")
        entry[2] += 1
    except OSError:
        pass


announced = False
end = None
allowance, last = 0.0, time.monotonic()
order = []
while end is None or time.monotonic() < end:
    now = time.monotonic()
    allowance = min(allowance + (now - last) * REOPEN, REOPEN)
    last = now
    while len(sockets) < COUNT and (not announced or allowance >= 1):
        come()
        allowance -= 1
        if not announced and came % 100 == 0:
            break
    if not announced and came >= COUNT:
        announced, allowance = True, 0.0
        end = now + SECONDS
        print("here", flush=True)
    # Each says something every five seconds or so.
    for fd in order[:20]:
        if fd in sockets:
            say(sockets[fd])
    order = order[20:] or list(sockets)
    for fd, _ in epoll.poll(0.01, 200):
        try:
            if not sockets[fd][0].recv(4096):
                leave(fd)
        except BlockingIOError:
            pass
        except OSError:
            leave(fd)
print("came %d times" % came, flush=True)
