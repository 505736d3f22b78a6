#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
#
# Runs a page of the documentation as it stands: its blocks ```sh, one after
# the other in one bash; a block ```text right behind one is what it prints,
# where `…' stands for anything.  Another word behind sh (```sh inspector)
# says who can run it; the block runs where that word is asked for.  The only
# thing that is changed is the port 8080.
#
# usage: page.py PAGE FOLDER PORT [WORD...]; prints a line a block.
#        page.py fits PAGE N: exit 0 where standard input holds the Nth ```text.

import os
import re
import signal
import subprocess
import sys



def pattern_of(text):
    return '.*?'.join(re.escape(part) for part in text.strip('\n').split('…'))


if sys.argv[1] == 'fits':
    with open(sys.argv[2], encoding='utf-8') as f:
        shown = re.findall(r'^```text\n(.*?)^```$', f.read(), flags=re.S | re.M)
    sys.exit(0 if re.search(pattern_of(shown[int(sys.argv[3]) - 1]), sys.stdin.read(), flags=re.S) else 1)

page, folder, port = sys.argv[1:4]
wanted = set(sys.argv[4:])


def blocks():
    """(number, kind, words, text, what it prints or None)."""
    with open(page, encoding='utf-8') as f:
        found = re.findall(r'^```([^\n`]*)\n(.*?)^```$\n*', f.read(), flags=re.S | re.M)
    for n, (info, text) in enumerate(found):
        kind, *words = info.split() or ['']
        after = found[n + 1] if n + 1 < len(found) else ('', '')
        yield n + 1, kind, words, text, after[1] if after[0].split() == ['text'] else None


def fits(pattern, text):
    return re.fullmatch(pattern_of(pattern), text.strip('\n'), flags=re.S)


runs = [b for b in blocks() if b[1] == 'sh' and (not b[2] or wanted & set(b[2]))]
script = ['exec </dev/null', 'cd "$1"', 'umask 022']
for n, kind, words, text, prints in runs:
    # In the shell itself: what one block sets, the next one has.
    script.append('{\n%s\n} >"$2/%d.out" 2>&1\necho "$?" >"$2/%d.rc"' % (text.replace('8080', port), n, n))
results = folder + '.results'
os.makedirs(results, exist_ok=True)
os.makedirs(folder, exist_ok=True)
shell = subprocess.Popen(['bash', '-c', '\n'.join(script), 'bash', folder, results],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
try:
    shell.wait(timeout=90)
except subprocess.TimeoutExpired:
    print('not ok - %s runs to its end: wanted an end within 90 s, got none' % page)
try:    # what the page left running, in the session that is its own
    os.killpg(shell.pid, signal.SIGTERM)
except ProcessLookupError:
    pass


def read(name):
    try:
        with open('%s/%s' % (results, name), encoding='utf-8', errors='replace') as f:
            return f.read()
    except FileNotFoundError:
        return ''


for n, kind, words, text, prints in runs:
    name = '%s, block %d: %s' % (os.path.basename(page), n, text.strip().split('\n')[0][:60])
    out, rc = read('%d.out' % n).replace(port, '8080'), read('%d.rc' % n).strip()
    if rc != '0':
        print('not ok - %s: wanted exit 0, got: %s: %s' % (name, rc or 'nothing', out[-800:].replace('\n', ';')))
    elif prints is not None and not fits(prints, out):
        print('not ok - %s: wanted %s, got: %s' % (name, prints.strip().replace('\n', ';'), out[-1500:].replace('\n', ';')))
    else:
        print('ok - ' + name)
