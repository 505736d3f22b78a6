# SPDX-License-Identifier: ISC
"""The rules of tokens as a table: a row for each, whose token breaks that rule
and no other, with the status that it must get and the reason that the trail
must give.  Rows of good tokens stand between them: what is refused next to
them is refused for what it says it is.

usage: table.py prepare FOLDER BASE       keys and documents of the issuers
       table.py tokens FOLDER BASE PUBLIC-URL   a good one, an expired one, a forged one
       table.py run FOLDER BASE PORT JOURNAL PUBLIC-URL BAD-KEY GOOD-KEY
"""
import base64
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives import hashes

import caller
from caller import Caller, check
from jose import ABSENT, Key, Mint, b64, hs256, load, resigned, save, stray, text, unb64

what, folder, base = sys.argv[1:4]
MAIN, SINGLE, OTHER, STRICT = (base + "/" + name for name in ("main", "single", "other", "strict/"))


# ---- what the issuers are ----------------------------------------------------

def put(path, document):
    path = folder + path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text(document))
    os.rename(path + ".new", path)


def prepare():
    k = {name: Key("RSA", name) for name in ("rsa", "rs256", "rsa-enc", "rsa-ops", "rsa-secret", "rsa-es")}
    k["rsa1024"] = Key("RSA", "rsa1024", bits=1024)
    k["rsa-e3"] = Key("RSA", "rsa-e3", exponent=3)
    for name, curve in (("p256", "P-256"), ("p384", "P-384"), ("p521", "P-521"), ("p256-off", "P-256"),
                        ("p256-384", "P-256"), ("k256", "secp256k1"), ("twin-a", "P-256"), ("twin-b", "P-256"),
                        ("unlisted", "P-256"), ("p256-short", "P-256")):
        k[name] = Key(curve, name)
    k["twin-b"].kid = "twin-a"
    k["ed"], k["ed-alg"] = Key("Ed25519", "ed"), Key("Ed25519", "ed-alg")
    k["single-rsa"], k["single-ec"], k["single-ed"] = Key("RSA"), Key("P-256"), Key("Ed25519")
    k["other"], k["other-same"], k["strict"] = Key("P-256", "other"), Key("P-256", "p256"), Key("P-256", "strict")
    save(folder + "/keys.json", k)

    off = k["p256-off"].jwk()
    y = bytearray(unb64(off["y"]))
    y[-1] ^= 1
    off["y"] = b64(bytes(y))
    short = k["p256-short"].jwk()
    short["x"] = b64(b"\0" + unb64(short["x"]))
    put("/main/jwks", {"keys": [
        k["rsa"].jwk(), k["rs256"].jwk(alg="RS256", use="sig", key_ops=["verify"]),
        k["p256"].jwk(), k["p384"].jwk(), k["p521"].jwk(), k["ed"].jwk(), k["ed-alg"].jwk(alg="EdDSA"),
        k["twin-a"].jwk(), k["twin-b"].jwk(),
        # None of these may verify anything.
        k["rsa1024"].jwk(), k["rsa-e3"].jwk(), off, short, k["rsa-enc"].jwk(use="enc"),
        k["rsa-ops"].jwk(key_ops=["sign"]), k["rsa-secret"].jwk(d="AQAB"), k["rsa-es"].jwk(alg="ES256"),
        k["p256-384"].jwk(alg="ES384"), k["k256"].jwk(),
        {"kty": "oct", "kid": "oct", "k": b64("secret"), "alg": "HS256"},
        {"kty": "unheard-of", "kid": "strange"}, "no key at all",
    ]})
    put("/main/.well-known/openid-configuration", {"issuer": MAIN, "jwks_uri": MAIN + "/jwks"})
    put("/single/jwks", {"keys": [k["single-rsa"].jwk(), k["single-ec"].jwk(), k["single-ed"].jwk()]})
    # Found by RFC 8414, whose path goes behind the well-known part.
    put("/.well-known/oauth-authorization-server/other", {"issuer": OTHER, "jwks_uri": OTHER + "/jwks"})
    put("/other/jwks", {"keys": [k["other"].jwk(), k["other-same"].jwk()]})
    put("/strict/.well-known/openid-configuration", {"issuer": STRICT, "jwks_uri": STRICT + "jwks"})
    put("/strict/jwks", {"keys": [k["strict"].jwk()]})


# ---- rows ----------------------------------------------------------------------

rows = []


def ok(name, token, **how):
    rows.append((name, 200, None, token, how))


def bad(name, reason, token):
    rows.append((name, 401, reason, token, {}))


def denied(name, reason, token, **how):
    rows.append((name, 403, reason, token, how))


def forms(m, k):
    head, body, sig = m.parts()
    ok("a good token", m.token())
    bad("two parts", "malformed_token", head + "." + body)
    bad("no signature", "malformed_token", head + "." + body + ".")
    bad("no payload", "malformed_token", head + ".." + sig)
    bad("no header", "malformed_token", "." + body + "." + sig)
    bad("four parts", "malformed_token", head + "." + body + "." + sig + "." + sig)
    bad("five parts, as a JWE has", "malformed_token", ".".join([head, body, sig, sig, sig]))
    bad("a dot behind it", "malformed_token", head + "." + body + "." + sig + ".")
    bad("dots alone", "malformed_token", "..")
    bad("padding at the end", "malformed_token", m.token() + "==")
    bad("padding in the header", ("malformed_token", "malformed_credential"), head + "=." + body + "." + sig)
    bad("stray bits in the signature", "malformed_token", head + "." + body + "." + stray(sig))
    for pad in range(3):
        part = b64(text(m.payload(x="x" * pad)))
        if len(part) % 4:
            bad(f"stray bits in the payload, {len(part) % 4} characters over", "malformed_token",
                m.signed(head, stray(part)))
        ok(f"no stray bits in the payload, {len(part) % 4} characters over", m.signed(head, part))
        part = b64(text(m.header()) + " " * pad)
        if len(part) % 4:
            bad(f"stray bits in the header, {len(part) % 4} characters over", "malformed_token",
                m.signed(stray(part), body))
        ok(f"white space in the header's JSON, {len(part) % 4} characters over", m.signed(part, body))
    bad("a length that no base64 has", "malformed_token", m.signed(head, body[:len(body) // 4 * 4] + "A"))
    plus = base64.b64encode(text(m.payload(x="\u07ff\u07fe??>>" * 3)).encode()).decode().rstrip("=")
    while "+" not in plus and "/" not in plus:
        plus = base64.b64encode(text(m.payload(x=os.urandom(9).hex() + "?>~\u07ff")).encode()).decode().rstrip("=")
    bad("the other alphabet of base64", "malformed_token", m.signed(head, plus))
    bad("white space within", "malformed_credential", head + ". " + body + "." + sig)
    bad("a tab within", "malformed_credential", head + ".\t" + body + "." + sig)
    bad("a comma within", "malformed_credential", head + "." + body + "," + sig)
    bad("percent encoding", "malformed_credential", head + "." + body + "." + sig[:-1] + "%41")
    ec = Mint(m.issuer, m.audience, k["p256"])
    bad("one byte more than 16 KiB", "malformed_credential", of_length(ec, 16 * 1024 + 1))
    ok("16 KiB", of_length(ec, 16 * 1024))


def of_length(m, length):
    for extra in range(8):
        for pad in range(length * 3 // 4 - 600, length * 3 // 4):
            header, claims = {"x": "x" * extra}, {"pad": "p" * pad}
            size = len(b64(text(m.header(**header)))) + len(b64(text(m.payload(**claims)))) + 2 + 86
            if size == length:
                return m.token(claims, header)
            if size > length:
                break
    raise ValueError("no token has that length")


def json_rules(m):
    def header(raw):
        return m.token(raw_header=raw)

    def payload(raw):
        return m.token(raw_payload=raw)
    h, p = text(m.header()), text(m.payload())
    bad("a name twice in the header", "malformed_token", header(h[:-1] + ',"alg":"RS256"}'))
    bad("a name twice in the header, once in escapes", "malformed_token", header(h[:-1] + ',"\\u0061lg":"RS256"}'))
    bad("a name twice in the payload", "malformed_token", payload(p[:-1] + ',"sub":"alice"}'))
    bad("a name twice in the payload, once in escapes", "malformed_token", payload(p[:-1] + ',"\\u0073ub":"alice"}'))
    bad("a name twice deep in the payload", "malformed_token", payload(p[:-1] + ',"x":[{"a":1,"a":1}]}'))
    bad("something behind the header", "malformed_token", header(h + "x"))
    bad("something behind the payload", "malformed_token", payload(p + "{}"))
    bad("a NUL behind the payload", "malformed_token", payload(p + "\0"))
    bad("a comma too many", "malformed_token", payload(p[:-1] + ",}"))
    bad("a comment", "malformed_token", payload("/**/" + p))
    bad("a byte order mark", "malformed_token", payload("\ufeff" + p))
    bad("no UTF-8", "malformed_token", payload(p[:-1].encode() + b',"x":"\xff"}'))
    bad("half a surrogate", "malformed_token", payload(p[:-1] + ',"x":"\\ud800"}'))
    bad("UTF-16", "malformed_token", payload(p.encode("utf-16-le")))
    bad("NaN", "malformed_token", payload(p[:-1] + ',"x":NaN}'))
    bad("a number with a zero before", "malformed_token", payload(p[:-1] + ',"x":01}'))
    bad("single quotes", "malformed_token", payload(p.replace('"', "'")))
    bad("very deep", "malformed_token", payload(p[:-1] + ',"x":' + "[" * 2000 + "]" * 2000 + "}"))
    bad("a header that is a list", "malformed_token", header("[" + h + "]"))
    bad("a payload that is a list", "malformed_token", payload("[" + p + "]"))
    bad("a payload that is a string", "malformed_token", payload('"' + "x" * 40 + '"'))
    bad("a payload that is empty", "malformed_token", payload(" "))
    ok("white space and escapes where JSON has them", payload(p.replace('"sub"', ' "\\u0073ub" ').replace(",", " ,\n")))


def header_rules(m, k):
    def header(**members):
        return m.token(header=members)
    for name in ("none", "None", "nOnE", "NONE"):
        bad(f"alg {name}", "bad_algorithm", m.signed(b64(text(m.header(alg=name))), b64(text(m.payload()))))
    bad("alg none without a signature", "malformed_token",
        b64(text(m.header(alg="none"))) + "." + b64(text(m.payload())) + ".")
    for alg in ("HS256", "HS384", "HS512"):
        bad(f"{alg} with the public key as its secret", "bad_algorithm",
            hs256(m.header(alg=alg), m.payload(), k["rsa"].pem()))
    bad("HS256 with the modulus as its secret", "bad_algorithm",
        hs256(m.header(alg="HS256"), m.payload(), unb64(k["rsa"].jwk()["n"])))
    bad("HS256 with a secret that the issuer shows", "bad_algorithm",
        hs256(m.header(alg="HS256", kid="oct"), m.payload(), b"secret"))
    bad("alg in lower case", "bad_algorithm", m.signed(b64(text(m.header(alg="rs256"))), b64(text(m.payload()))))
    bad("alg of no standard", "bad_algorithm", m.signed(b64(text(m.header(alg="RS1"))), b64(text(m.payload()))))
    bad("alg is missing", "bad_algorithm", m.signed(b64(text(m.header(alg=ABSENT))), b64(text(m.payload()))))
    for thing in (256, None, ["RS256"], {"alg": "RS256"}, True, ""):
        bad(f"alg is {json.dumps(thing)}", "bad_algorithm",
            m.signed(b64(text(m.header(alg=thing))), b64(text(m.payload()))))
    for name, thing in (("crit", ["exp"]), ("crit", []), ("crit", None), ("b64", True), ("b64", False), ("zip", "DEF"),
                        ("jwk", k["rsa"].jwk()), ("jku", m.issuer + "/jwks"), ("x5c", ["MIIB"]),
                        ("x5u", m.issuer + "/cert"), ("jwk", None)):
        bad(f"{name} in the header: {json.dumps(thing)[:20]}", "bad_header", header(**{name: thing}))
    ok("a member that nobody knows", header(colour="blue"))
    for thing in ("JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", ABSENT):
        ok(f"typ {'absent' if thing is ABSENT else thing}", header(typ=thing))
    for thing in ("dpop+jwt", "logout+jwt", "secevent+jwt", "JWS", "JOSE", "at+jwt2", "jwt ", "application/json"):
        bad(f"typ {thing}", "bad_type", header(typ=thing))
    for thing in (1, None, ["JWT"], "x" * 200):
        bad(f"typ {json.dumps(thing)[:20]}", "bad_header", header(typ=thing))


def key_rules(m, k):
    def by(name, alg=None, **header):
        if alg:
            header["alg"] = alg
        return m.token(key=k[name], header=header)
    for name, algs in (("rsa", "RS256 RS384 RS512 PS256 PS384 PS512"), ("p256", "ES256"), ("p384", "ES384"),
                       ("p521", "ES512"), ("ed", "EdDSA"), ("ed-alg", "EdDSA"), ("rs256", "RS256")):
        for alg in algs.split():
            ok(f"{alg} by the key {name}", by(name, alg))
    # The key says RS256, and could do the others.
    for alg in ("RS384", "RS512", "PS256", "PS384", "PS512"):
        bad(f"{alg} by a key for RS256", "bad_algorithm", by("rs256", alg))
    bad("RS256 by the name of an EC key", "bad_algorithm", by("rsa", kid="p256"))
    bad("ES256 by the name of an RSA key", "bad_algorithm", by("p256", kid="rsa"))
    bad("ES384 by the name of a key on P-256", "bad_algorithm", by("p384", kid="p256"))
    bad("ES256 by a key on P-384", "bad_algorithm", by("p384", "ES256"))
    bad("EdDSA by the name of an EC key", "bad_algorithm", by("ed", kid="p256"))
    bad("a kid that nobody has", "unknown_kid", by("unlisted"))
    bad("a kid in another case", "unknown_kid", by("rsa", kid="RSA"))
    bad("a kid that begins as one does", "unknown_kid", by("rsa", kid="rs"))
    bad("no kid where two keys fit", "unknown_kid", by("rsa", kid=ABSENT))
    bad("a kid of two keys that both fit", "unknown_kid", by("twin-a"))
    for thing in (1, None, ["rsa"], "", "k" * 300):
        bad(f"kid is {json.dumps(thing)[:20]}", "bad_header", by("rsa", kid=thing))
    for name, why in (("rsa1024", "RSA of 1024 bits"), ("rsa-e3", "exponent 3"), ("rsa-enc", "use enc"),
                      ("rsa-ops", "key_ops without verify"), ("rsa-secret", "a private part in the set"),
                      ("rsa-es", "alg ES256 on an RSA key"), ("p256-off", "a point off the curve"),
                      ("p256-short", "a coordinate of another length"), ("p256-384", "alg ES384 on P-256")):
        bad(f"a key that may not verify: {why}", "unknown_kid", by(name))
    bad("a key on a curve that JOSE has not for us", "bad_algorithm", by("k256", "ES256K"))
    bad("the same with an alg that we have", "unknown_kid", by("k256", "ES256"))


def no_kid(s, k):
    """An issuer with one key of each kind, and no kid at all."""
    ok("no kid, and one RSA key", s.token())
    ok("no kid, and one EC key", s.token(key=k["single-ec"]))
    ok("no kid, and one Ed25519 key", s.token(key=k["single-ed"]))
    ok("no kid, and PS256", s.token(header={"alg": "PS256"}))
    bad("a kid where the keys have none", "unknown_kid", s.token(header={"kid": "rsa"}))
    bad("no kid, and no key for ES384", "unknown_kid", s.token(key=k["p384"], header={"kid": ABSENT}))


def signature_rules(m, k):
    ec = Mint(m.issuer, m.audience, k["p256"])
    ed = Mint(m.issuer, m.audience, k["ed"])

    def flip(at):
        def change(sig):
            s = bytearray(sig)
            s[at] ^= 1
            return bytes(s)
        return change
    for name, mint in (("RS256", m), ("ES256", ec), ("EdDSA", ed)):
        for where, at in (("first", 0), ("middle", 30), ("last", -1)):
            bad(f"{name}: a bit of the {where} byte is turned", "bad_signature", resigned(mint.token(), flip(at)))
        bad(f"{name}: a byte less", "bad_signature", resigned(mint.token(), lambda s: s[:-1]))
        bad(f"{name}: a byte more", "bad_signature", resigned(mint.token(), lambda s: s + b"\0"))
        bad(f"{name}: a zero before", "bad_signature", resigned(mint.token(), lambda s: b"\0" + s))
        bad(f"{name}: nothing but zeros", "bad_signature", resigned(mint.token(), lambda s: b"\0" * len(s)))
        bad(f"{name}: one byte", "bad_signature", resigned(mint.token(), lambda s: b"\1"))
        head, body, sig = mint.parts()
        bad(f"{name}: another payload", "bad_signature",
            head + "." + b64(text(mint.payload(sub="mallory"))) + "." + sig)
        bad(f"{name}: another header", "bad_signature",
            b64(text(mint.header(x=1))) + "." + body + "." + sig)
    from cryptography.hazmat.primitives.asymmetric import utils

    def der(sig):
        return utils.encode_dss_signature(int.from_bytes(sig[:32], "big"), int.from_bytes(sig[32:], "big"))
    order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
    zero, top = b"\0" * 32, order.to_bytes(32, "big")
    bad("ES256: as DER", "bad_signature", resigned(ec.token(), der))
    bad("ES256: r is 0", "bad_signature", resigned(ec.token(), lambda s: zero + s[32:]))
    bad("ES256: s is 0", "bad_signature", resigned(ec.token(), lambda s: s[:32] + zero))
    bad("ES256: r is the order", "bad_signature", resigned(ec.token(), lambda s: top + s[32:]))
    bad("ES256: s is the order", "bad_signature", resigned(ec.token(), lambda s: s[:32] + top))
    bad("ES256: r and s change places", "bad_signature", resigned(ec.token(), lambda s: s[32:] + s[:32]))
    bad("ES256: as long as one of ES384", "bad_signature",
        resigned(ec.token(), lambda s: b"\0" * 16 + s[:32] + b"\0" * 16 + s[32:]))
    bad("EdDSA: S with the order added", "bad_signature", resigned(ed.token(), lambda s: s[:32] + (
        int.from_bytes(s[32:], "little") + 2**252 + 27742317777372353535851937790883648493).to_bytes(32, "little")))
    body = b64(text(m.payload()))
    for name, alg, how in (("RS256 over SHA-512", "RS256", {"digest": hashes.SHA512}),
                           ("RS512 over SHA-256", "RS512", {"digest": hashes.SHA256}),
                           ("RS256 with the padding of PS256", "RS256", {"alg": "PS256"}),
                           ("PS256 with the padding of RS256", "PS256", {"alg": "RS256"}),
                           ("PS256 with a salt of another length", "PS256", {"alg": "PS256", "salt": 20}),
                           ("PS256 without a salt", "PS256", {"alg": "PS256", "salt": 0}),
                           ("PS256 with another mask", "PS256", {"alg": "PS256", "mgf": hashes.SHA384})):
        bad(name, "bad_signature", m.signed(b64(text(m.header(alg=alg))), body, **{"alg": alg, **how}))
    bad("by a key of another issuer under a kid of this one", "bad_signature",
        m.token(key=k["other-same"]))
    bad("by another key of the same issuer", "bad_signature",
        m.signed(b64(text(m.header(kid="rs256"))), body))


def claim_rules(m, k):
    now = int(time.time())

    def claims(**changes):
        return m.token(changes)
    bad("iss is missing", "bad_claim", claims(iss=ABSENT))
    for thing in (1, None, [m.issuer], "x" * 2000):
        bad(f"iss is {json.dumps(thing)[:20]}", "bad_claim", claims(iss=thing))
    for name, thing in (("nobody that we know", "https://issuer.test"), ("with a slash behind", m.issuer + "/"),
                        ("in capitals", m.issuer.upper()), ("cut short", m.issuer[:-1]), ("empty", ""),
                        ("plain http", m.issuer.replace("https", "http")), ("with a line break behind", m.issuer + "\n")):
        bad(f"iss is {name}", "unknown_issuer", claims(iss=thing))
    bad("iss is another issuer of ours", "unknown_kid", claims(iss=SINGLE))
    bad("a NUL in iss", "malformed_token", claims(iss=m.issuer + "\0"))
    bad("aud is missing", "bad_claim", claims(aud=ABSENT))
    for thing in (1, None, {}, [], [1], [m.audience, 1], True):
        bad(f"aud is {json.dumps(thing)[-20:]}", "bad_claim", claims(aud=thing))
    for name, thing in (("another", "https://elsewhere.test/mcp"), ("with a slash behind", m.audience + "/"),
                        ("the beginning of ours", m.audience[:-4]), ("in capitals", m.audience.upper()),
                        ("a list without ours", ["https://a.test", "https://b.test"]), ("empty", ""),
                        ("of another issuer's configuration", "single"), ("a text with ours in it", "x " + m.audience)):
        bad(f"aud is {name}", "wrong_audience", claims(aud=thing))
    ok("aud is a list with ours", claims(aud=["https://a.test", m.audience]))
    ok("aud is a list of ours", claims(aud=[m.audience]))
    bad("exp is missing", "bad_claim", claims(exp=ABSENT))
    for thing in (str(now + 600), None, True, [now + 600], -1, 1e300):
        bad(f"exp is {json.dumps(thing)}", "bad_claim", claims(exp=thing))
    bad("exp is past the leeway", "expired", claims(iat=now - 600, exp=now - 40))
    bad("exp is 0", "expired", claims(iat=ABSENT, exp=0))
    ok("exp is past, within the leeway", claims(iat=now - 600, exp=now - 5))
    ok("exp has a fraction", claims(exp=now + 600.5))
    for thing in (str(now), None, [now], -1):
        bad(f"nbf is {json.dumps(thing)[:8]}", "bad_claim", claims(nbf=thing))
        bad(f"iat is {json.dumps(thing)[:8]}", "bad_claim", claims(iat=thing))
    bad("nbf is to come", "not_yet_valid", claims(nbf=now + 120))
    bad("iat is to come", "not_yet_valid", claims(iat=now + 120))
    ok("nbf is to come, within the leeway", claims(nbf=now + 5))
    ok("iat is to come, within the leeway", claims(iat=now + 5))
    ok("nbf is past", claims(nbf=now - 5))
    ok("no iat", claims(iat=ABSENT))
    bad("25 hours from iat to exp", "lifetime", claims(iat=now - 3600, exp=now + 24 * 3600))
    bad("no iat, and 25 hours to go", "lifetime", claims(iat=ABSENT, exp=now + 25 * 3600))
    ok("almost 24 hours", claims(iat=now - 3600, exp=now + 23 * 3600 - 60))
    bad("sub is missing", "bad_claim", claims(sub=ABSENT))
    for thing in ("", 7, None, ["alice"], {"a": 1}, "a\nb", "s" * 600):
        bad(f"sub is {json.dumps(thing)[:20]}", "bad_claim", claims(sub=thing))
    bad("a NUL in sub", "malformed_token", claims(sub="a\0b"))
    ok("sub has other letters", claims(sub="Käthe 字"))
    for name in ("nonce", "at_hash", "c_hash", "s_hash"):
        bad(f"{name}: an ID token", "id_token", claims(**{name: "x"}))
        bad(f"{name} is null: an ID token", "id_token", claims(**{name: None}))


def strict_rules(t):
    """leeway 0s, lifetime 48h, typ "at+jwt"; its URL ends with a slash."""
    now = int(time.time())
    ok("another issuer: 47 hours, where 48 may be", t.token({"iat": now, "exp": now + 47 * 3600}))
    bad("another issuer: 49 hours", "lifetime", t.token({"iat": now, "exp": now + 49 * 3600}))
    bad("another issuer: past by 5 s, where there is no leeway", "expired", t.token({"iat": now - 60, "exp": now - 5}))
    bad("another issuer: typ JWT where at+jwt must be", "bad_type", t.token(header={"typ": "JWT"}))
    bad("another issuer: typ absent where at+jwt must be", "bad_type", t.token(header={"typ": ABSENT}))
    bad("another issuer: iss without the slash behind", "unknown_issuer", t.token({"iss": STRICT[:-1]}))


def scope_rules(m, s, o):
    def scope(thing, **more):
        return m.token({"scope": thing, **more})
    cancel = {"tool": "order_cancel", "arguments": {"order_id": 1004}}
    denied("no scope", "missing_scope", scope(ABSENT))
    for thing in ("", "shop:order", "shop:order:rea", "SHOP:ORDER:READ", "*", "*:*:*", "shop:order:read2", 7, None,
                  {"shop:order:read": True}, [["shop:order:read"]], "shop:order:write,shop:order:read",
                  "x\tshop:order:read", "shop:*"):
        denied(f"scope is {json.dumps(thing)}", "missing_scope", scope(thing))
    ok("scope among others", scope("openid shop:order:read profile"))
    ok("scope as a list", scope(["openid", "shop:order:read"]))
    ok("scope with a star of its own", scope("shop:*:read"))
    denied("the scope in claims that nobody named", "missing_scope",
           scope("openid", scp="shop:order:read", permissions=["shop:order:read"], roles=["analyst"],
                 realm_access={"roles": ["analyst"]}, groups=["shop:order:read"], scopes="shop:order:read"))
    denied("to read is not to write", "missing_scope", scope("shop:order:read"), **cancel)
    ok("to write is to write", scope("shop:order:write"), **cancel)
    ok("a role grants", scope("analyst"))
    denied("a role grants what it grants and no more", "missing_scope", scope("analyst"), **cancel)
    denied("another role", "missing_scope", scope("analysts"))
    denied("a role in capitals", "missing_scope", scope("Analyst"))
    # Dotted: realm_access.roles.
    roles = "realm_access"
    ok("a claim by its path, a list", s.token({"scope": ABSENT, roles: {"roles": ["x", "clerk"]}}))
    ok("a claim by its path, a string", s.token({"scope": ABSENT, roles: {"roles": "x clerk"}}))
    ok("a claim whose name has the dot", s.token({"scope": ABSENT, roles + ".roles": ["clerk"]}))
    ok("two grants of a role", s.token({"scope": ABSENT, roles: {"roles": ["clerk"]}}), **cancel)
    denied("a claim by its path, that is not there", "missing_scope", s.token({roles: {"role": ["clerk"]}}))
    denied("a claim by its path, through a string", "missing_scope", s.token({roles: "clerk"}))
    denied("a claim by its path, through a list", "missing_scope", s.token({roles: [{"roles": ["clerk"]}]}))
    denied("the plain scope, where another claim is configured", "missing_scope", s.token({roles: {}}))
    denied("a role of another issuer's configuration", "missing_scope", s.token({roles: {"roles": ["analyst"]}}))
    # A claim that a tool binds.
    mine = {"tool": "my_orders", "arguments": {"count": 5}}
    ok("a tool that binds a claim", m.token({"tenant": "oneill"}), **mine)
    denied("a tool that binds a claim that is not there", "missing_claim", m.token(), **mine)
    for thing in (None, ["oneill"], {"a": "oneill"}):
        denied(f"a tool that binds a claim that is {json.dumps(thing)}", "missing_claim",
               m.token({"tenant": thing}), **mine)
    denied("a tool that binds a claim that this issuer's configuration does not name", "missing_claim",
           o.token({"tenant": "oneill", "permissions": ["shop:order:read"]}), **mine)


# ---- judging ---------------------------------------------------------------------

def judge(c, bad_key):
    refused = c.call(bad_key)
    check("a bad key is refused", 401, refused.status)
    challenge = refused.header("WWW-Authenticate") or ""
    check("with a challenge that says so and where to go", [True, True],
          ['error="invalid_token"' in challenge, "resource_metadata=" in challenge])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda r: c.call(r[3], **r[4]), rows))
    trail = c.trail()
    for (name, status, reason, _, _), a in zip(rows, answers):
        record = trail.get(a.request_id, {})
        if status == 200:
            check(f"taken: {name}", [200, True], [a.status, a.rows() is not None or a.body[:300]])
        elif status == 401 and a.same() != refused.same():
            check(f"refused: {name}: the same answer, byte for byte", refused.same(), a.same())
        else:
            reasons = reason if isinstance(reason, tuple) else (reason,)
            got = record.get("reason")
            check(f"refused: {name}", [status, got if got in reasons else reasons], [a.status, got])
    bare = c.call(None)
    check("without a credential: no error is named", [401, False, True],
          [bare.status, "error" in bare.header("WWW-Authenticate"), "resource_metadata=" in bare.header("WWW-Authenticate")])
    check("a token in the URL is not looked at", True, c.call(None, path="/mcp?access_token=" + rows[0][3]).status != 200)


def identities(c, m, o, good_key):
    """Who they are, and how often they may."""
    def owner(token):
        peer = c.address()
        a = c.call(token, peer=peer)
        found = [r for r in c.records() if r["ip_address"] == peer]
        return a.status, [(r["credential"], r["owner_id"], r["key_id"], r["owner_label"]) for r in found]
    same = {"sub": "same", "client_id": "app", "preferred_username": "Same Person", "permissions": ["shop:order:read"]}
    check("the trail says whose token it is", (200, [("token", MAIN + "#same", "app", "Same Person")]),
          owner(m.token(same)))
    check("an equal sub of another issuer is another owner", (200, [("token", OTHER + "#same", "app", "Same Person")]),
          owner(o.token(same)))
    status, found = owner(good_key)
    check("and a key's owner of that name a third", (200, "key", "same"), (status, *found[0][:2]))

    three = [c.call(o.token({"sub": "busy", "jti": str(n), "rate_limit": 1000, "permissions": ["shop:order:read"]})).status
             for n in range(4)]
    check("the configured rate holds over all tokens of a subject", [200, 200, 200, 429], three)
    limited = c.call(o.token({"sub": "busy", "permissions": ["shop:order:read"]}))
    check("a claim does not lift it, and the answer says when to come again", [429, True],
          [limited.status, int(limited.header("Retry-After") or 0) >= 1])
    check("another subject of that issuer has its own", 200,
          c.call(o.token({"sub": "idle", "permissions": ["shop:order:read"]})).status)
    check("an equal sub of another issuer has its own", 200, c.call(m.token({"sub": "busy"})).status)
    check("a claim does not lower it either", [200] * 3,
          [c.call(m.token({"sub": "slow", "rate_limit": 1, "rate": "1"})).status for _ in range(3)])
    token = m.token({"sub": "again"})
    check("a token is good more than once", [200] * 3, [c.call(token).status for _ in range(3)])


def run():
    port, journal, public, bad_key, good_key = sys.argv[4:9]
    k = load(folder + "/keys.json")
    c = Caller(int(port), journal)
    m = Mint(MAIN, public, k["rsa"])
    s = Mint(SINGLE, "single", k["single-rsa"], realm_access={"roles": ["clerk"]})
    o = Mint(OTHER, public, k["other"])
    t = Mint(STRICT, public, k["strict"])
    for mint in (m, s, o, t):
        token = mint.token({"sub": "first", "permissions": ["shop:order:read"]})
        check(f"the keys of {mint.issuer[len(base):]} come", 200, c.until(200, token).status)
    forms(m, k)
    json_rules(m)
    header_rules(m, k)
    key_rules(m, k)
    no_kid(s, k)
    signature_rules(m, k)
    claim_rules(m, k)
    strict_rules(t)
    scope_rules(m, s, o)
    judge(c, bad_key)
    identities(c, m, o, good_key)


def tokens():
    k = load(folder + "/keys.json")
    m = Mint(MAIN, sys.argv[4], k["p256"], tenant="acme")
    now = int(time.time())
    for token in (m.token(), m.token({"iat": now - 600, "exp": now - 60}),
                  resigned(m.token(), lambda sig: sig[32:] + sig[:32])):
        print(token)


{"prepare": prepare, "tokens": tokens, "run": run}[what]()
sys.exit(1 if caller.failed else 0)
