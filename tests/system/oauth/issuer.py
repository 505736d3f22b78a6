# SPDX-License-Identifier: ISC
"""A hand-made issuer: serves the files of a folder over HTTPS, however often
they change, and writes down who asked for what.  Beside files it knows how to
be hostile, by the first part of a path.

usage: issuer.py PORT CERT KEY FOLDER LOG [ELSEWHERE]
ELSEWHERE is where it redirects to.
"""
import http.server
import os
import socketserver
import ssl
import sys
import time

port, cert, key, folder, log = int(sys.argv[1]), *sys.argv[2:6]
elsewhere = sys.argv[6] if len(sys.argv) > 6 else None
HUGE = 8 * 1024 * 1024


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(log, "a", encoding="ascii") as f:
            f.write(self.path + "\n")
        way = getattr(self, "way_" + self.path.split("/")[1], None)
        if way is not None and self.path.endswith("/jwks"):
            way()
        else:
            self.file()
        self.close_connection = True

    def file(self):
        try:
            with open(os.path.normpath(folder + "/" + self.path), "rb") as f:
                self.whole(f.read())
        except OSError:
            self.whole(b"no such file\n", 404)

    def whole(self, body, status=200, **headers):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=3600")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def way_drip(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b" ")
            time.sleep(0.1)

    # What follows would do, but for the one thing that is wrong with it.
    def good(self):
        with open(folder + "/jwks", "rb") as f:
            return f.read()

    def way_huge(self):
        self.whole(self.good() + b" " * HUGE)

    def way_malformed(self):
        self.whole(self.good()[:-1])

    def way_twice(self):
        self.whole(b'{"keys":[],' + self.good()[1:])

    def way_redirect(self):
        self.whole(b"", 302, Location=elsewhere + "/jwks")

    def way_error(self):
        self.whole(self.good(), 500)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass        # the other end has had enough


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)


class Quiet(Server):
    # The handshake belongs to the connection's thread, not to the one that accepts.
    def get_request(self):
        s, address = self.socket.accept()
        s.settimeout(120)
        return context.wrap_socket(s, server_side=True, do_handshake_on_connect=False), address


server = Quiet(("127.0.0.1", port), Handler)
print("ready", flush=True)
server.serve_forever()
