# SPDX-License-Identifier: ISC
"""Trails for the tests of `audit verify': made, signed, forged and loaded.

Written from docs/audit-format.md and not from our C.  A record of a real
daemon is the pattern of all others, so that the members are the daemon's.

  trail.py make PATTERN-FILE KEY-FILE COUNT EVERY [NODE]   lines to stdout
  trail.py attack NAME KEY-FILE < lines                    lines to stdout
  trail.py journal FOLDER EACH < lines                     segments
  trail.py load [positions] < lines                        SQL to stdout
  trail.py saved SEQ... < lines                            their checkpoints
  trail.py key KEY-FILE                                    its public half
"""
import hashlib
import json
import os
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

ZERO = '0' * 64


def key_of(name):
    """The private key of a file of 64 hex digits, made where it is not."""
    if not os.path.exists(name):
        with open(name, 'w') as f:
            f.write(os.urandom(32).hex() + '\n')
    with open(name) as f:
        return ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(f.read().strip()))


def public(key):
    return key.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()


def dump(value):
    return json.dumps(value, separators=(',', ':'), ensure_ascii=False)


def line_of(record, prev):
    """The record's line, chained to prev; and its hash."""
    record = {k: v for k, v in record.items() if k not in ('prev_hash', 'hash')}
    text = dump(record)
    digest = hashlib.sha256((prev + text).encode()).hexdigest()
    return text[:-1] + ',"prev_hash":"%s","hash":"%s"}' % (prev, digest), digest


def checkpoint(key, node, seq, digest, when):
    text = dump({'checkpoint': 1, 'node': node, 'seq': seq, 'hash': digest, 'time': when,
                 'key': public(key)})
    return text[:-1] + ',"signature":"%s"}' % key.sign(text.encode()).hex()


def when(seq):
    """A tenth of a second from one to the next."""
    return '2026-11-24T%02d:%02d:%02d.%06dZ' % (
        10 + seq // 36000, seq // 600 % 60, seq // 10 % 60, seq % 10 * 100000)


def event(pattern, name, detail):
    record = dict.fromkeys(pattern)
    for member in ('node', 'outcome', 'calls', 'cache_hit', 'truncated', 'undecided', 'namespace'):
        record[member] = pattern[member]
    record.update(kind='event', calls=0, outcome='ok', event=name, detail=detail)
    return record


class Trail:
    """Lines that grow; each knows the one before."""

    def __init__(self, prev=ZERO, seq=0):
        self.prev, self.seq, self.lines = prev, seq, []

    def add(self, record):
        self.seq += 1
        record = dict(record, seq=self.seq, timestamp=when(self.seq))
        line, self.prev = line_of(record, self.prev)
        self.lines.append(line)

    def sign(self, pattern, key):
        text = checkpoint(key, pattern['node'], self.seq, self.prev, when(self.seq))
        self.add(event(pattern, 'checkpoint', json.loads(text)))


def make(pattern_file, key_file, count, every, node=None):
    with open(pattern_file) as f:
        pattern = json.loads(f.readline())
    if node:
        pattern['node'] = node
    key, trail = key_of(key_file), Trail()
    trail.add(event(pattern, 'start', None))
    while trail.seq < count:
        if trail.seq % every == 0:
            trail.sign(pattern, key)
        else:
            trail.add(dict(pattern, request_id='%032x' % trail.seq))
    return trail.lines


def rechain(records):
    """What somebody does who can compute every hash and sign nothing."""
    prev, lines = ZERO, []
    for record in records:
        line, prev = line_of(record, prev)
        lines.append(line)
    return lines


def edited(line):
    return line.replace('"http"', '"HTTP"', 1)


def is_checkpoint(record):
    return record['event'] == 'checkpoint'


def forge(lines):
    records = [json.loads(line) for line in lines]
    records[13]['owner_id'] = 'mallory'
    return records


def renumber(records):
    return [dict(r, seq=i + 1, timestamp=when(i + 1)) for i, r in enumerate(records)]


def signed_anew(lines, key, first):
    """All checkpoints from record first on are of another key, over other records."""
    trail = Trail()
    for record in forge(lines):
        if is_checkpoint(record) and record['seq'] >= first:
            trail.sign(record, key)
        else:
            trail.add(record)
    return trail.lines


def attack(name, key_file, lines):
    records = [json.loads(line) for line in lines]
    if name == 'none':
        return lines
    if name == 'edit':
        return lines[:13] + [edited(lines[13])] + lines[14:]
    if name == 'edit_with_hash':
        return lines[:13] + [line_of(forge(lines)[13], records[13]['prev_hash'])[0]] + lines[14:]
    if name == 'delete':
        return lines[:13] + lines[14:]
    if name == 'insert':
        return lines[:14] + [lines[13]] + lines[14:]
    if name == 'reorder':
        return lines[:13] + [lines[14], lines[13]] + lines[15:]
    if name == 'cut':
        return lines[:25]
    if name == 'swapped_key':
        return signed_anew(lines, key_of(key_file), 1)
    if name == 'swapped_key_later':
        return signed_anew(lines, key_of(key_file), 21)
    if name == 'rechained':
        return rechain(forge(lines))
    if name == 'rechained_stripped':
        kept = [r for r in forge(lines) if not is_checkpoint(r) or r['seq'] <= 11]
        return rechain(renumber(kept))
    if name == 'replayed_checkpoints':
        # The first checkpoint, which is good, again and again.
        first = next(r for r in records if is_checkpoint(r))
        return rechain([dict(first, seq=r['seq'], timestamp=r['timestamp'])
                        if is_checkpoint(r) else r for r in forge(lines)])
    if name == 'signature':
        records[20]['detail']['signature'] = records[10]['detail']['signature']
        return rechain(records)
    if name == 'front':
        return lines[16:]
    if name in ('removed', 'removed_wrong', 'removed_uncovered'):
        trail = Trail(records[-1]['hash'], records[-1]['seq'])
        at = 15 if name == 'removed' else 14 if name == 'removed_wrong' else 15
        trail.add(event(records[0], 'removed', {'first': 1, 'last': records[at]['seq'],
                                                'hash': records[at]['hash']}))
        if name != 'removed_uncovered':
            trail.sign(records[0], key_of(key_file))
        return lines[16:] + trail.lines
    raise SystemExit('no such attack: ' + name)


def journal(folder, each, lines):
    """Segments of so many records."""
    os.makedirs(folder)
    out, begun = None, None
    for line in lines:
        seq = json.loads(line)['seq']
        if out is None or ((seq - 1) // each != begun and (seq - 1) % each == 0):
            out = open('%s/%020d.jsonl' % (folder, seq), 'x')
            begun = (seq - 1) // each
        out.write(line + '\n')


def load(lines, positions):
    """SQL for a superuser; `positions' numbers the rows as they come."""
    print('SET session_replication_role = replica;')
    print('CREATE TEMP TABLE staging (seq bigint, line text);')
    print('COPY staging FROM stdin;')
    for i, line in enumerate(lines):
        seq = i + 1 if positions else json.loads(line)['seq']
        print('%d\t%s' % (seq, line.replace('\\', '\\\\')))
    print('\\.')
    print("""INSERT INTO pontifex.audit SELECT (jsonb_populate_record(NULL::pontifex.audit,
        line::jsonb || jsonb_build_object('seq', seq, 'rows_returned', line::jsonb -> 'rows',
        'bytes_returned', line::jsonb -> 'bytes',
        'record', left(line, -154) || '}'))).* FROM staging;""")


def main():
    command, args = sys.argv[1], sys.argv[2:]
    if command == 'key':
        print(public(key_of(args[0])))
        return
    if command == 'make':
        lines = make(args[0], args[1], int(args[2]), int(args[3]), *args[4:])
    else:
        lines = sys.stdin.read().splitlines()
    if command == 'attack':
        lines = attack(args[0], args[1], lines)
    if command == 'journal':
        journal(args[0], int(args[1]), lines)
    elif command == 'load':
        load(lines, args == ['positions'])
    elif command == 'saved':
        for line in lines:
            record = json.loads(line)
            if is_checkpoint(record) and str(record['seq']) in args:
                print(dump(record['detail']))
    else:
        print('\n'.join(lines))


main()
