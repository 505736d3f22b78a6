# SPDX-License-Identifier: ISC
"""What becomes of calls while the issuers are down, killed, stalled, slow,
started anew, changing their keys, or lying.

usage: faults.py prepare FOLDER BASE HOSTILE ELSEWHERE
       faults.py run FOLDER BASE HOSTILE ELSEWHERE CERT KEY PORT JOURNAL PUBLIC-URL API-KEY DAEMON-PID OTHERS
FOLDER has the issuers' folders good, hostile and elsewhere; the one of BASE is
ours to start and to end, the others run.  OTHERS are issuers that cannot be
believed for who they are, names and URLs as `name=url,name=url'.
"""
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import caller
from caller import Caller, check
from jose import Key, Mint, load, save, text

what, folder, base, hostile, elsewhere = sys.argv[1:6]
HERE = os.path.dirname(os.path.abspath(__file__))
GOOD = ("adds", "drops", "stalls")
# How an issuer is wrong, by the path that issuer.py serves it under.
HOSTILE = ("drip", "huge", "malformed", "twice", "redirect", "error", "lying", "moved", "gone", "keyless", "private")


def put(path, document):
    path = folder + path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text(document))
    os.rename(path + ".new", path)


def keys_of(name, *keys):
    put(f"/good/{name}/jwks", {"keys": [k.jwk() for k in keys]})


def prepare():
    k = {name: Key("P-256", name) for name in ("old", "new", "nobody")}
    save(folder + "/faults.json", k)
    good = {"keys": [k["old"].jwk()]}
    for name in GOOD:
        put(f"/good/{name}/.well-known/openid-configuration",
            {"issuer": f"{base}/{name}", "jwks_uri": f"{base}/{name}/jwks"})
        keys_of(name, k["old"])
    put("/hostile/jwks", good)
    put("/elsewhere/jwks", good)
    for name in HOSTILE:
        put(f"/hostile/{name}/jwks", good)
    put("/hostile/keyless/jwks", {"keys": [k["old"].jwk(use="enc"), {"kty": "oct", "kid": "old", "k": "c2VjcmV0"}]})
    os.unlink(folder + "/hostile/gone/jwks")
    put("/hostile/lying/.well-known/openid-configuration", {"issuer": hostile, "jwks_uri": hostile + "/lying/jwks"})
    put("/hostile/moved/.well-known/openid-configuration",
        {"issuer": hostile + "/moved", "jwks_uri": elsewhere + "/jwks"})


def ends_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Provider:
    """The issuer of BASE, as a process."""

    def __init__(self, cert, key):
        self.words = [sys.executable, "-B", HERE + "/issuer.py", base.rsplit(":", 1)[1], cert, key,
                      folder + "/good", folder + "/good.log"]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, preexec_fn=ends_with_us)
        return self.process.stdout.readline() == b"ready\n"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stall(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def asked(self, path):
        try:
            with open(folder + "/good.log", encoding="ascii") as f:
                return sum(line.strip() == path for line in f)
        except FileNotFoundError:
            return 0


class Load:
    """Calls with tokens that are cached, over and over, until told to stop."""

    def __init__(self, c, tokens):
        self.c, self.tokens, self.over = c, tokens, threading.Event()
        self.calls, self.refused, self.threads = 0, [], []

    def __enter__(self):
        for n in range(3):
            self.threads.append(threading.Thread(target=self.work, args=(n,)))
            self.threads[-1].start()
        return self

    def work(self, n):
        peer = self.c.address()
        while not self.over.is_set():
            for token in self.tokens[n::3]:
                a = self.c.call(token, peer=peer)
                self.calls += 1
                if a.status != 200:
                    self.refused.append((a.status, a.body))
                time.sleep(0.005)

    def moment(self, calls=150):
        """Lets so many calls pass."""
        until = self.calls + calls
        while self.calls < until and any(t.is_alive() for t in self.threads):
            time.sleep(0.01)

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()


def children(pid, name):
    out = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as f:
                    head, tail = f.read().rsplit(")", 1)
            except OSError:
                continue
            if head.split("(", 1)[1] == name and tail.split()[1] == str(pid):
                out.append(int(entry))
    return out


def down(c, k, mints, api_key, others):
    """The first documents are not there yet, or are worth nothing."""
    check("the provider is down: an API key works", 200, c.call(api_key).status)
    untrusted = {name: Mint(f"{hostile}/{name}", mints["adds"].audience, k["old"]) for name in HOSTILE}
    untrusted.update({name: Mint(url, mints["adds"].audience, k["old"]) for name, url in others.items()})
    everyone = {"down": mints["adds"], **untrusted}
    with ThreadPoolExecutor(len(everyone)) as pool:
        answers = dict(zip(everyone, pool.map(lambda m: c.call(m.token()), everyone.values())))
    trail = c.trail()
    for name, a in answers.items():
        check(f"no keys of the issuer that is {name}: come again later", [503, True, "no_keys_yet"],
              [a.status, int(a.header("Retry-After") or 0) >= 1, trail.get(a.request_id, {}).get("reason")])
    now = int(time.time())
    m = mints["adds"]
    refused = c.call("sk_live_nobody_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    for name, token in (("expired", m.token({"exp": now - 60, "iat": now - 120})),
                        ("for somebody else", m.token({"aud": "x"})),
                        ("malformed", m.token() + "="), ("without a signature", m.token(header={"alg": "none"})),
                        ("an ID token", m.token({"nonce": "x"}))):
        check(f"no keys yet, and {name}: the usual refusal", refused.same(), c.call(token).same())
    return untrusted


def believed(c, untrusted):
    """Much later, still."""
    with ThreadPoolExecutor(len(untrusted)) as pool:
        answers = dict(zip(untrusted, pool.map(lambda m: c.call(m.token()).status, untrusted.values())))
    check("none of the others was believed", dict.fromkeys(untrusted, 503), answers)
    with open(folder + "/elsewhere.log", encoding="ascii") as f:
        check("and nobody was sent elsewhere", "", f.read())


def run():
    cert, key, port, journal, public, api_key, daemon, others = sys.argv[6:14]
    k = load(folder + "/faults.json")
    c = Caller(int(port), journal)
    provider = Provider(cert, key)
    mints = {name: Mint(f"{base}/{name}", public, k["old"]) for name in GOOD}
    new = {name: Mint(f"{base}/{name}", public, k["new"]) for name in GOOD}
    nobody = {name: Mint(f"{base}/{name}", public, k["nobody"]) for name in GOOD}
    began = time.monotonic()
    untrusted = down(c, k, mints, api_key, dict(pair.split("=") for pair in others.split(",")))

    check("the provider starts", True, provider.start())
    for name in GOOD:
        check(f"and without a word its tokens are taken: {name}", 200, c.until(200, mints[name].token()).status)
    asked = provider.asked("/adds/jwks")
    cached = [mints[name].token({"sub": f"u{n}"}) for n in range(5) for name in ("adds", "stalls")]
    check("tokens are taken", [200] * len(cached), [c.call(t).status for t in cached])

    with Load(c, cached) as load_:
        keys_of("adds", k["new"], k["old"])
        check("a key is added: its first token is taken", 200, c.call(new["adds"].token()).status)
        check("for one question to the provider", asked + 1, provider.asked("/adds/jwks"))
        load_.moment()
        flood = ThreadPoolExecutor(8)
        forged = list(flood.map(lambda n: c.call(nobody["adds"].token({"n": n})).status, range(200)))
        forged += flood.map(lambda n: c.call(nobody["adds"].token({"n": n}, {"kid": "old"})).status, range(100))
        check("300 forged tokens are refused", {401}, set(forged))
        allowed = asked + 1 + int((time.monotonic() - began) / 30)
        check("and cost no question beyond one in 30 s", True, provider.asked("/adds/jwks") <= allowed)

        gone = mints["drops"].token({"sub": "gone"})
        check("before a key is withdrawn", 200, c.call(gone).status)
        keys_of("drops", k["new"])
        check("a key takes the place of another: its first token is taken", 200, c.call(new["drops"].token()).status)
        a = c.call(gone)
        check("and what the old one verified is forgotten", [401, "unknown_kid"],
              [a.status, c.trail().get(a.request_id, {}).get("reason")])

        provider.stall()
        load_.moment()
        a = c.call(nobody["stalls"].token())
        check("the provider stalls: a kid that nobody knows is refused all the same", 401, a.status)
        load_.moment()
        check("a token that was never seen is taken", 200, c.call(mints["stalls"].token({"sub": "new"})).status)
        provider.go_on()
        load_.moment()
        provider.kill()
        load_.moment()
        check("the provider is killed: a token that was never seen is taken", 200,
              c.call(mints["adds"].token({"sub": "newer"})).status)
        fetchers = children(int(daemon), "fetcher")
        check("there is a fetcher", 1, len(fetchers))
        os.kill(fetchers[0], signal.SIGKILL)
        load_.moment()
        check("the provider starts anew", True, provider.start())
        load_.moment()
    check("meanwhile calls went on", True, load_.calls > 900)
    check("and no valid cached token was refused", [], load_.refused[:3])
    believed(c, untrusted)
    check("an API key works", 200, c.call(api_key).status)
    check("there is a fetcher again", 1, len(children(int(daemon), "fetcher")))
    provider.kill()


prepare() if what == "prepare" else run()
sys.exit(1 if caller.failed else 0)
