# SPDX-License-Identifier: ISC
"""A port on loopback that nobody listens on, for a test that runs beside others.

Taken from below the range that the kernel gives to outgoing connections: one
of those would else sit on it by the time that the test binds it.
"""
import random
import socket

while True:
    port = random.SystemRandom().randrange(10240, 32000)
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
    print(port)
    break
