# SPDX-License-Identifier: ISC
#
# Between a handler and Redis, or in its place, whatever nobody wants there:
#   redis_fake.py PORT proxy UPSTREAM-PORT DELAY-FILE
#	hands everything on; answers wait as many milliseconds as the file says
#   redis_fake.py PORT liar
#	greets well, then misbehaves, each connection in another way
# Runs until it is killed.

import socket, sys, threading, time

ENORMOUS = b'$' + b'9' * 18 + b'\r\n'



LIES = [
    b'hello, this is not redis\r\n',
    b'*1000000000\r\n' + b'$1\r\nx\r\n' * 10,
    b'*-7\r\n',
    ENORMOUS + b'x' * 100000,
    b'*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n:1\r\n',
    b'*2\r\n:1\r\n:999999999999\r\n',
    b'*2\r\n:2\r\n:-5\r\n',
    b'*2\r\n:77\r\n:1\r\n',
    b'*2\r\n$1\r\nx\r\n:1\r\n',
    b'*1\r\n$22\r\n' + b'A' * 22 + b'\r\n',
    b'*2\r\n$22\r\n' + b'A' * 22 + b'\r\n$40\r\n' + b'B' * 40 + b'\r\n',
    b'*2\r\n$22\r\n' + b'\r' * 22 + b'\r\n$-1\r\n',
    b':5\r\n',
    b'$-1\r\n',
    b'+OK\r\n',
    b'+OK\r\n' * 50,
    b'%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n',
    b'#t\r\n',
    b',1.5\r\n',
    b'>2\r\n+a\r\n+b\r\n',
    b'-ERR ' + b'e' * 20000 + b'\r\n',
    b'-ERR \x1b[31m\x00 not for your terminal\r\n',
    b'-NOSCRIPT not here\r\n' * 2,
    b'-MOVED 1 10.0.0.1:6379\r\n',
    b'-READONLY no\r\n',
    b'\r\n\r\n\r\n',
    b'',            # closes
    None,           # says nothing more
    b':' + b'1' * 100000,
    b'+' + b'x' * 3000000,
]


def liar(conn, lie):
    try:
        while True:
            got = conn.recv(65536)
            if not got:
                return
            if b'PING' in got:
                conn.sendall(b'+PONG\r\n')
            elif lie is None:
                time.sleep(30)
            else:
                conn.sendall(lie)
                if lie == b'':
                    return
    except OSError:
        pass
    finally:
        conn.close()


def pump(a, b, delay):
    try:
        while True:
            got = a.recv(65536)
            if not got:
                break
            if delay:
                with open(delay) as f:
                    time.sleep(int(f.read().strip() or 0) / 1000)
            b.sendall(got)
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def start(target, *args):
    threading.Thread(target=target, args=args, daemon=True).start()


def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(('127.0.0.1', int(sys.argv[1])))
    listener.listen(64)
    turn = 0
    while True:
        conn, _ = listener.accept()
        if sys.argv[2] == 'liar':
            start(liar, conn, LIES[turn % len(LIES)])
            turn += 1
            print(turn, flush=True)
            continue
        try:
            up = socket.create_connection(('127.0.0.1', int(sys.argv[3])))
        except OSError:
            conn.close()
            continue
        start(pump, conn, up, None)
        start(pump, up, conn, sys.argv[4])


main()
