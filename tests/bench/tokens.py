# SPDX-License-Identifier: ISC
"""Mints the tokens of `make bench' beforehand, on all cores.

usage: tokens.py FOLDER ISSUER AUDIENCE SCOPE COUNT
Writes FOLDER/jwks, and a token a line into RS256 and ES256, COUNT each, and
one into `cached'.
"""
import json
import multiprocessing
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system/oauth"))
from jose import Key, Mint  # noqa: E402

folder, issuer, audience, scope, count = *sys.argv[1:5], int(sys.argv[5])
KEYS = {"RS256": Key("RSA", "rsa"), "ES256": Key("P-256", "p256")}


def mint(job):
    alg, n = job
    m = Mint(issuer, audience, KEYS[alg])
    return m.token({"scope": scope, "sub": "bench", "jti": str(n), "exp": m.payload()["iat"] + 6 * 3600})


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    with open(folder + "/jwks", "w", encoding="ascii") as f:
        json.dump({"keys": [k.jwk() for k in KEYS.values()]}, f)
    with multiprocessing.Pool() as pool:
        for alg in KEYS:
            with open(f"{folder}/{alg}", "w", encoding="ascii") as f:
                for token in pool.imap(mint, ((alg, n) for n in range(count)), 200):
                    f.write(token + "\n")
    with open(folder + "/cached", "w", encoding="ascii") as f:
        f.write(mint(("ES256", -1)) + "\n")
