# SPDX-License-Identifier: ISC
"""Keys and tokens for the tests of authd, made so that each part of a token
can be wrong by itself.  It needs the package `cryptography' for the
arithmetic alone; what it signs is put together here, by hand."""
import base64
import hashlib
import hmac
import json
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"P-256": (ec.SECP256R1, 32), "P-384": (ec.SECP384R1, 48), "P-521": (ec.SECP521R1, 66),
          "secp256k1": (ec.SECP256K1, 32)}
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def b64(data):
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(n, length=None):
    return b64(n.to_bytes(length or (n.bit_length() + 7) // 8, "big"))


class Key:
    """A private key; jwk() is its public half, as an issuer would show it."""

    def __init__(self, kind, kid=None, bits=2048, exponent=65537, private=None):
        self.kid, self.kind = kid, kind
        if private is not None:
            self.private = private
        elif kind == "RSA":
            self.private = rsa.generate_private_key(public_exponent=exponent, key_size=bits)
        elif kind == "Ed25519":
            self.private = ed25519.Ed25519PrivateKey.generate()
        else:
            self.private = ec.generate_private_key(CURVES[kind][0]())

    def jwk(self, **more):
        public = self.private.public_key()
        if self.kind == "RSA":
            n = public.public_numbers()
            j = {"kty": "RSA", "n": number(n.n), "e": number(n.e)}
        elif self.kind == "Ed25519":
            raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            j = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
        else:
            n, size = public.public_numbers(), CURVES[self.kind][1]
            j = {"kty": "EC", "crv": self.kind, "x": number(n.x, size), "y": number(n.y, size)}
        if self.kid is not None:
            j["kid"] = self.kid
        j.update(more)
        return {k: v for k, v in j.items() if v is not None}

    def pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def alg(self):
        return {"RSA": "RS256", "Ed25519": "EdDSA", "P-256": "ES256", "P-384": "ES384", "P-521": "ES512",
                "secp256k1": "ES256K"}[self.kind]

    def sign(self, data, alg, salt=None, digest=None, mgf=None):
        h = digest or HASHES.get(alg[2:], hashes.SHA256)
        if self.kind == "Ed25519":
            return self.private.sign(data)
        if self.kind != "RSA":
            r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(h())))
            size = CURVES[self.kind][1]
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        if alg.startswith("PS"):
            pad = padding.PSS(padding.MGF1((mgf or h)()), h().digest_size if salt is None else salt)
        else:
            pad = padding.PKCS1v15()
        return self.private.sign(data, pad, h())


def save(path, keys):
    """Names to keys, for another program of the same test."""
    out = {name: [k.kind, k.kid, k.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()).decode()] for name, k in keys.items()}
    with open(path, "w", encoding="ascii") as f:
        json.dump(out, f)


def load(path):
    with open(path, encoding="ascii") as f:
        return {name: Key(kind, kid, private=serialization.load_pem_private_key(pem.encode(), None))
                for name, (kind, kid, pem) in json.load(f).items()}


ABSENT = object()


def text(thing):
    """JSON, or text or bytes as they stand."""
    return thing if isinstance(thing, (str, bytes)) else json.dumps(thing, separators=(",", ":"))


def changed(base, changes):
    out = dict(base)
    for name, value in changes.items():
        if value is ABSENT:
            out.pop(name, None)
        else:
            out[name] = value
    return out


class Mint:
    """What a good token of an issuer is, and how to break one thing of it."""

    def __init__(self, issuer, audience, key, subject="alice", **claims):
        self.issuer, self.audience, self.key, self.subject, self.claims = issuer, audience, key, subject, claims

    def payload(self, **claims):
        now = int(time.time())
        good = {"iss": self.issuer, "aud": self.audience, "sub": self.subject, "iat": now, "exp": now + 600,
                "client_id": "tests", "scope": "shop:order:read", **self.claims}
        return changed(good, claims)

    def header(self, key=None, **members):
        key = key or self.key
        good = {"alg": key.alg(), "typ": "at+jwt"}
        if key.kid is not None:
            good["kid"] = key.kid
        return changed(good, members)

    def token(self, claims=None, header=None, key=None, raw_header=None, raw_payload=None, **how):
        """The parts are replaced before the token is signed, so that its
        signature is good whatever else is wrong with it."""
        key = key or self.key
        head = text(self.header(key, **(header or {})) if raw_header is None else raw_header)
        body = text(self.payload(**(claims or {})) if raw_payload is None else raw_payload)
        return self.signed(b64(head), b64(body), key, (header or {}).get("alg", key.alg()), **how)

    def signed(self, head, body, key=None, alg=None, **how):
        """Of parts that are coded already."""
        key = key or self.key
        data = (head + "." + body).encode()
        return head + "." + body + "." + b64(key.sign(data, alg or key.alg(), **how))

    def parts(self, **how):
        return self.token(**how).split(".")


def hs256(head, body, secret):
    data = b64(text(head)) + "." + b64(text(body))
    return data + "." + b64(hmac.new(secret, data.encode(), hashlib.sha256).digest())


def resigned(token, change):
    """The token with another signature: change(bytes) is what comes instead."""
    head, body, sig = token.split(".")
    return head + "." + body + "." + b64(change(unb64(sig)))


def stray(part):
    """The last character with bits set that no byte needs: a lenient decoder
    gives the same bytes."""
    if len(part) % 4 == 0:
        raise ValueError("no stray bits in " + part)
    i = ALPHABET.index(part[-1])
    return part[:-1] + ALPHABET[i + 1]
