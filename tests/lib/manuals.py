#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
#
# What manuals.sh asks of the documentation: that the words of the grammar and
# those of pontifex.conf(5) are the same, block by block; that the options of
# the programs and of their manuals are the same; that each example loads and
# each file, link, metric and page that a text names is there.  The truth is
# the source (parse.y, getopt's strings) and the programs as they run.
#
# usage: manuals.py TOP BUILD WORK; prints a line a check, as the harness does.

import glob
import json
import os
import re
import subprocess
import sys

# Which section of pontifex.conf(5) has the statements of which rule.  A rule
# that is not here may be documented in any section.
SECTIONS = {
    'main': 'Global statements', 'auth_line': 'Authentication',
    'issuer_line': 'Issuers', 'audit_line': 'Audit',
    'source_line': 'Sources',
    'tool_line': 'Tools', 'type': 'Parameters', 'param_need': 'Parameters',
    'option': 'Parameters',
}
# Rules whose alternatives are statements, beside all that end in _line.
STATEMENTS = ('main', 'option', 'type', 'param_need', 'secret')
MACROS = set('Ar Cm Ic Op Oo Oc No Ns Bro Brc Brq Bo Bc Pq Po Pc Fl Li Ql Dq Sq Sx Xr Pa Em Ev Dv Nm Sy'.split())

top, build, work = sys.argv[1:4]
os.chdir(top)


def ok(name):
    print('ok - ' + name)


def not_ok(name, wanted, got):
    got = str(got).strip().replace('\n', ';')[:1500]
    print('not ok - %s: wanted %s, got: %s' % (name, wanted, got))


def check(name, wrong, wanted='none'):
    """One check over many things: good where nothing is wrong."""
    wrong = sorted(set(wrong))
    not_ok(name, wanted, ' | '.join(wrong)) if wrong else ok(name)


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


# ---- the grammar -----------------------------------------------------------

def keywords(source):
    table = source[source.index('keywords[] = {'):]
    table = table[:table.index('\n};')]
    return {token: word for word, token in re.findall(r'\{ "(\w+)", (\w+) \}', table)}


def without_actions(rules):
    """The rules without comments, actions and the marks of bison."""
    rules = re.sub(r'/\*.*?\*/', ' ', rules, flags=re.S)
    out, depth, i = [], 0, 0
    while i < len(rules):
        c = rules[i]
        if c in '\'"':
            end = i + 1
            while rules[end] != c:
                end += 2 if rules[end] == '\\' else 1
            if depth == 0:
                out.append(' %s ' % rules[i:end + 1].replace(' ', ''))
            i = end
        elif c == '{':
            depth += 1
        elif c == '}':
            depth -= 1
        elif depth == 0:
            out.append(c)
        i += 1
    return ''.join(out)


def grammar(source):
    """rule -> alternatives, each a list of symbols."""
    rules = source.split('\n%%\n')[1]
    found, rule, alternative = {}, None, None
    for word in without_actions(rules).replace('\n', ' ').split():
        if word == ';':
            rule = None
        elif rule is None:
            rule = word.rstrip(':')
            alternative = []
            found[rule] = [alternative]
        elif word == ':':
            pass
        elif word == '|':
            alternative = []
            found[rule].append(alternative)
        else:
            alternative.append(word)
    return found


def statements(rules, words):
    """rule -> the keywords that each of its alternatives begins with."""
    found = {}
    for rule, alternatives in rules.items():
        if not rule.endswith('_line') and rule not in STATEMENTS:
            continue
        for symbols in alternatives:
            symbols = list(symbols)
            while symbols and symbols[0].endswith('_head'):
                symbols = rules[symbols[0]][0] + symbols[1:]
            begin = []
            for symbol in symbols:
                if symbol not in words:
                    break
                begin.append(words[symbol])
            if begin:
                # The head of a block may stand in the section of the block.
                rule_of = 'block' if "'{'" in symbols or symbols[0] == 'SOURCE' and rule == 'main' else rule
                found.setdefault(rule_of, set()).add(tuple(begin))
    return found


# ---- a manual --------------------------------------------------------------

def split_line(line):
    return re.findall(r'"(?:[^"])*"|\S+', line)


class Tag:
    """One .It, or the head of a block: its literal words."""

    def __init__(self, line, section):
        self.section = section
        self.words = []        # all that are literal
        self.begin = []        # those before the first that is not
        self.options = []
        at, begun = line[1:3], False
        for word in split_line(line)[1:]:
            if word in MACROS:
                if at in ('Ic', 'Cm') and word not in ('Ic', 'Cm') and self.words:
                    begun = True
                at = word
            elif at in ('Ic', 'Cm'):
                if word in ('|', '{', '}', ',', '...'):
                    continue
                self.words.append(word)
                if not begun:
                    self.begin.append(word)
            elif at == 'Fl':
                self.options.append(word)
                at = 'Ar'

    def fits(self, statement):
        if not self.words or self.words[0] != statement[0]:
            return False
        if len(statement) == 1:
            return self.begin == list(statement)
        return all(word in self.words for word in statement)


def tags(page):
    section, found = None, []
    for line in page.split('\n'):
        if re.match(r'\.S[hs] ', line):
            section = line[4:].strip('"')
        elif line.startswith('.It ') or re.match(r'\.Ic .*No \{$', line):
            found.append(Tag(line, section))
    return found


def literal_words(page):
    """Words of .Ic and .Cm anywhere."""
    found = []
    for line in page.split('\n'):
        if not line.startswith('.') or line.startswith('.\\"'):
            continue
        at = None
        for word in split_line(line[1:]):
            if word in MACROS or word == 'It':
                at = word
            elif at in ('Ic', 'Cm'):
                found.append(word.strip(',.;:()|{}'))
    return [word for word in found if word]


def check_grammar():
    source = read('daemon/parse.y')
    page = read('docs/pontifex.conf.5')
    words = keywords(source)
    rules = grammar(source)
    said = statements(rules, words)
    known = set(words.values())
    found = tags(page)
    tagged = {word for tag in found for word in tag.words}
    if len(known) < 80 or sum(map(len, said.values())) < 70:
        not_ok('the grammar is understood', '80 words and 70 statements at least',
               '%d and %d' % (len(known), sum(map(len, said.values()))))
    check('every keyword of the grammar is in a tag of pontifex.conf(5)', known - tagged)
    check('every word that pontifex.conf(5) shows as one is in the grammar',
          {w for w in literal_words(page) if w not in known and not re.match(r'caller\.|\$$', w)})
    missing, stray = [], []
    for rule, begins in said.items():
        section = SECTIONS.get(rule)
        for begin in begins:
            if not any(tag.fits(begin) and section in (None, tag.section) for tag in found):
                missing.append('%s (%s)' % (' '.join(begin), section or rule))
    check('every statement of the grammar is a tag in the section of its block', missing)
    for tag in found:
        rules_here = [r for r in said if SECTIONS.get(r) == tag.section]
        if not rules_here or not tag.words:
            continue
        begins = [b for r in said if SECTIONS.get(r) in (tag.section, None) for b in said[r]]
        if not any(tag.fits(b) for b in begins):
            stray.append('%s (%s)' % (' '.join(tag.words), tag.section))
    check('every tag of a block is a statement of it in the grammar', stray)


# ---- options ---------------------------------------------------------------

def letters(text):
    """The options of a line of usage or SYNOPSIS."""
    found = set()
    for run in re.findall(r'(?<![\w-])-([A-Za-z]+)', text):
        found |= set(run)
    return found


def run(*command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30, **more)


def rendered(page):
    text = run('mandoc', '-Tutf8', '-O', 'width=900', page).stdout
    return re.sub('.\b', '', text).replace('\u2010', '-').replace('\u2212', '-')


def synopsis(page):
    text = rendered(page)
    return text[text.index('SYNOPSIS'):text.index('DESCRIPTION')]


def joined(usage):
    """One line a form: those that are continued begin with white space."""
    text = re.sub(r'^usage: ', '', usage, flags=re.M)
    lines = []
    for line in text.split('\n'):
        if re.match(r'\s*(pontifexd|pontifexctl)\b', line):
            lines.append(line.strip())
        elif lines and line.strip() and re.match(r'\s', line):
            lines[-1] += ' ' + line.strip()
    return lines


def form(line):
    """The command of a line of usage: `key add', `audit verify', `'."""
    line = re.sub(r'^pontifex(ctl|d)\s*', '', line)
    line = re.sub(r'^\[-s socket\]\s*', '', line)
    found = re.match(r'((?:key|audit|token|log)\s+[\w-]+(?:\s*\|\s*[\w-]+)*|[\w-]+(?:\s*\|\s*[\w-]+)*)?', line).group(0)
    return found.strip()


# What the SYNOPSIS of pontifexctl(8) says with one word.
WORDS = {'place': set('jpf'), 'filter': set('otOrNsuq')}


def by_form(lines):
    found = {}
    for line in lines:
        command = form(line)
        options = letters(re.sub(r'^pontifex(ctl|d)\s*(\[-s socket\])?', '', line))
        for word in WORDS:
            if re.search(r'\[%s( \.\.\.)?\]' % word, line):
                options |= {word}
        parts = re.match(r'(key|audit|token|log) (.*)', command)
        names = (['%s %s' % (parts.group(1), n.strip()) for n in re.split(r'\|', parts.group(2))]
                 if parts else [n.strip() for n in command.split('|')])
        for name in names:
            found.setdefault(name, set()).update(options)
    return found


def check_daemon_options():
    usage = run(build + '/pontifexd', '-?').stdout
    line = [l for l in joined(usage) if l.startswith('pontifexd')][0]
    source = re.search(r'getopt\(argc, argv, "([^"]*)"', read('daemon/pontifexd.c')).group(1)
    page = read('docs/pontifexd.8')
    tagged = {o for tag in tags(page) for o in tag.options}
    wanted = set(source.replace(':', ''))
    for name, got in (('usage()', letters(line)), ('the SYNOPSIS of pontifexd(8)', letters(synopsis('docs/pontifexd.8'))),
                      ('the list of pontifexd(8)', set(''.join(tagged)))):
        if got == wanted:
            ok('the options of pontifexd are those of ' + name)
        else:
            not_ok('the options of pontifexd are those of ' + name, ''.join(sorted(wanted)), ''.join(sorted(got)))


def check_ctl_options():
    """What usage() says of each command, and the manual's SYNOPSIS."""
    text = run(build + '/pontifexctl').stdout
    for command in ('key', 'audit'):
        text += run(build + '/pontifexctl', command).stdout
    usage = by_form(joined(text))
    page = by_form(joined(synopsis('docs/pontifexctl.8')))
    # `pontifexctl key' names its commands, without their options.
    for group in ('audit', 'key'):
        usage = {n: o for n, o in usage.items() if not (n.startswith(group + ' ') and '[' in n)}
    usage.pop('', None)
    page.pop('', None)
    check('every command of pontifexctl is in the SYNOPSIS of its manual', set(usage) - set(page))
    check('every command of the SYNOPSIS of pontifexctl(8) is in usage()', set(page) - set(usage))
    wrong = []
    for name in set(usage) & set(page):
        exact = {o for o in page[name] if o not in WORDS}
        most = exact.union(*(WORDS[w] for w in page[name] if w in WORDS))
        if not exact <= usage[name] <= most:
            wrong.append('%s: usage -%s, manual -%s' % (name, ''.join(sorted(usage[name])), ''.join(sorted(most))))
    check('and their options are the same', wrong)
    source = set()
    for path in glob.glob('daemon/ctl_*.c') + ['daemon/pontifexctl.c']:
        for string in re.findall(r'getopt(?:_long)?\(\w+, \w+,\s*"([^"]*)"', read(path)):
            source |= set(re.sub(r'[+:]', '', string))
    listed = set(''.join(o for tag in tags(read('docs/pontifexctl.8')) for o in tag.options))
    known = source | {o for options in usage.values() for o in options}
    check('every option of pontifexctl is explained in its manual', known - listed)
    check('every option that pontifexctl(8) explains is one', listed - known)


# ---- examples --------------------------------------------------------------

def outer(text):
    """The first words of what stands outside of all braces."""
    depth, found, quoted = 0, [], False
    for line in text.split('\n'):
        bare = line.strip()
        if depth == 0 and not quoted and bare and not bare.startswith('#'):
            found.append(bare)
        for c in re.sub(r'\\.', '', line):
            if c == '"':
                quoted = not quoted
            elif c == '#' and not quoted:
                break
            elif not quoted:
                depth += (c == '{') - (c == '}')
    return found


HOLD = {   # a statement that stands in a block, and the block to put round it
    'rate': 'auth', 'keys': 'auth', 'issuer': 'auth', 'postgres': 'audit', 'journal': 'audit',
    'sink': 'audit', 'checkpoint': 'audit', 'param': 'tool', 'sql': 'tool', 'cache': 'tool',
    'writes': 'tool', 'dsn': 'source', 'session': 'source',
}


def whole(text):
    """A fragment with what it lacks to be a configuration."""
    first = [line.split()[0] for line in outer(text)]
    blocks = {HOLD[w] for w in first if w in HOLD}
    extra = []
    if len(blocks) == 1:
        block = blocks.pop()
        inside = {'auth': '', 'audit': '' if 'journal' in first else 'journal "audit"\n',
                  'source': '' if 'dsn' in first else 'dsn from env "DSN"\n',
                  'tool': '' if 'sql' in first else ''}[block]
        head = {'auth': 'auth', 'audit': 'audit', 'source': 'source held postgres', 'tool': 'tool held'}[block]
        if block == 'tool':
            given = {l.split()[0] for l in outer(text)}
            for word, line in (('description', 'description "d"'), ('scope', 'scope "a:b:c"'), ('source', 'source any')):
                if word not in given:
                    inside += line + '\n'
            if 'sql' not in given:
                names = [l.split()[1] for l in outer(text) if l.split()[0] == 'param']
                inside += 'sql "SELECT 1 %s"\n' % ' '.join(', :' + n for n in names)
        text = '%s {\n%s%s\n}\n' % (head, inside, text)
        first = [line.split()[0] for line in outer(text)]
    if 'namespace' not in first:
        extra.append('namespace "shop"')
    if 'listen' not in first:
        extra.append('listen on 127.0.0.1 port 8080')
    if 'auth' not in first:
        extra.append('auth {\n\tkeys "keys"\n}')
    if 'audit' not in first:
        extra.append('audit {\n\tjournal "audit"\n}')
    if 'public' not in first and re.search(r'^\s*issuer "', text, re.M):
        extra.append('public url "https://mcp.example.com/mcp"')
    if 'tool' not in first:
        extra.append('tool any_tool {\n\tdescription "d"\n\tscope "a:b:c"\n\tsource any\n\tsql "SELECT 1 AS one"\n}')
    declared = set(re.findall(r'^source (\S+)', text, re.M))
    used = set(re.findall(r'^\s+source (\S+)', text, re.M)) | {'any'}
    for name in sorted(used - declared):
        extra.append('source %s sqlite "%s/x.db"' % (name, name))
    for name in sorted(set(re.findall(r'^\s+fallback (\S+)', text, re.M)) - declared):
        extra.append('source %s postgres {\n\tdsn from env "X"\n}' % name)
    return text + '\n' + '\n'.join(extra) + '\n'


def load(name, text):
    path = '%s/example.conf' % work
    with open(path, 'w', encoding='utf-8') as f:
        f.write(whole(text))
    done = run(build + '/pontifexd', '-n', '-f', path)
    if done.returncode == 0:
        ok(name + ' loads')
    else:
        not_ok(name + ' loads', 'exit 0', done.stdout.replace(path, 'example.conf') + text)


def roff_text(lines):
    return '\n'.join(l.replace('\\e', '\\').replace('\\(dq', '"').replace('\\&', '').replace('\\-', '-')
                     for l in lines)


def literal_blocks(page):
    found, lines = [], None
    for line in page.split('\n'):
        if line.startswith('.Bd -literal'):
            lines = []
        elif line.startswith('.Ed'):
            if lines is not None:
                found.append(roff_text(lines))
            lines = None
        elif lines is not None:
            lines.append(line)
    return found


def check_examples():
    blocks = literal_blocks(read('docs/pontifex.conf.5'))
    if len(blocks) < 3:
        not_ok('pontifex.conf(5) has examples', '3 at least', len(blocks))
    for n, text in enumerate(blocks, 1):
        load('example %d of pontifex.conf(5)' % n, text)
    # Which option there is, each example of the others knows.
    for page in ('docs/pontifexctl.8', 'docs/pontifexd.8'):
        wrong, name = [], os.path.basename(page)[:-2]
        forms = by_form(joined(synopsis(page)))
        text = '\n'.join(literal_blocks(read(page)))
        for command in re.findall(r'\b%s [^|<>\n]*' % name, text):
            asked = form(command)
            names = [n for n in forms if n and re.match(re.escape(n) + r'\b', asked)]
            if asked and not names and name == 'pontifexctl':
                wrong.append(command)
                continue
            allowed = set('s').union(*(forms[n] for n in names or forms))
            allowed = allowed.union(*(WORDS[w] for w in allowed if w in WORDS))
            if not letters(re.sub(r"'[^']*'", "''", command)) <= allowed:
                wrong.append(command)
        check('the examples of %s(8) use commands and options that there are' % name, wrong)


# ---- texts -----------------------------------------------------------------

def fences(path):
    """(info, text) of each fenced block."""
    return re.findall(r'^```([^\n`]*)\n(.*?)^```$', read(path), flags=re.S | re.M)


def anchors(path):
    found = set()
    text = re.sub(r'^```.*?^```$', '', read(path), flags=re.S | re.M)
    for heading in re.findall(r'^#+ +(.*)$', text, re.M):
        heading = re.sub(r'[`*]', '', heading).strip().lower()
        found.add(re.sub(r'[^\w\- ]', '', heading).replace(' ', '-'))
    return found


def check_texts():
    texts = ['README.md'] + sorted(glob.glob('docs/*.md'))
    links, files, pages = [], [], []
    folders = [f for f in os.listdir('.') if os.path.isdir(f) and not f.startswith(('.', 'build'))]
    for path in texts:
        text = read(path)
        prose = re.sub(r'^```.*?^```$', '', text, flags=re.S | re.M)
        for target in re.findall(r'\]\(([^)\s]+)\)', prose):
            if re.match(r'[a-z]+:', target):
                continue
            where, _, anchor = target.partition('#')
            file = os.path.normpath(os.path.join(os.path.dirname(path), where)) if where else path
            if not os.path.exists(file):
                links.append('%s: %s' % (path, target))
            elif anchor and anchor not in anchors(file):
                links.append('%s: %s has no heading of that name' % (path, target))
        for named in re.findall(r'`([^`\n]+)`', prose):
            for word in named.split():
                word = word.rstrip(',.;:')
                if re.match(r'(?:%s)/[\w./*{},-]+$' % '|'.join(folders), word):
                    shell = run('bash', '-c', 'compgen -G "$1" || ls -d $(eval "echo $1")', '-', word)
                    if shell.returncode != 0:
                        files.append('%s: %s' % (path, word))
    check('links between the texts lead somewhere', links)
    check('every file that a text names is there', files)
    for page in sorted(glob.glob('docs/*.[58]')):
        for target, section in re.findall(r'^\.Xr (pontif\S+) (\d)', read(page), re.M):
            if not os.path.exists('docs/%s.%s' % (target, section)):
                pages.append('%s: %s(%s)' % (page, target, section))
        found = [l for l in run('mandoc', '-Tlint', '-W', 'warning', page).stdout.split('\n')
                 if l and 'referenced manual not found' not in l]
        check('mandoc finds nothing to warn of in ' + os.path.basename(page), found)
    check('a manual refers to manuals that there are', pages)
    for path in texts:
        n = 0
        for info, text in fences(path):
            n += 1
            kind = info.split(' ')[0]
            name = 'configuration %d of %s' % (n, path)
            if kind in ('', 'conf') and re.search(r'^\s*(tool|source|auth|audit|issuer|sink|public url|trust|listen on)\b', text, re.M):
                load(name, text)
            elif kind == 'json':
                try:
                    json.loads(text)
                    ok(name + ' is JSON')
                except ValueError as problem:
                    not_ok(name + ' is JSON', 'JSON', problem)


def check_metrics():
    """A metric that a text, a rule or a dashboard names is one of the table."""
    named = set()
    for path in ['README.md'] + glob.glob('docs/*') + glob.glob('rc/*'):
        if os.path.isfile(path):
            named |= {(path, m) for m in re.findall(r'\bpontifexd_[a-z0-9_]*[a-z0-9]\b', read(path))}
    known = {'pontifexd_' + name for name in re.findall(r'"([a-z0-9_]+)"', read('common/stats.c'))}
    for path in ['common/stats.c'] + glob.glob('daemon/*.c'):
        known |= set(re.findall(r'\b(pontifexd_[a-z0-9_]*[a-z0-9])', read(path)))
    check('every metric that is named is one of the daemon', {
        '%s: %s' % (path, m) for path, m in named
        if m not in known and re.sub(r'_(bucket|sum|count)$', '', m) not in known})


def check_words():
    """Names of outcomes and reasons are those of common/outcome.c."""
    source = read('common/outcome.c')
    outcomes = set(re.findall(r'\[OUTCOME_\w+\] = \{ "(\w+)"', source)) - {'ok', 'unknown', 'superseded', 'cancelled'}
    told = set(re.findall(r'^\.It Li (\w+) Ta', read('docs/pontifexd.8'), re.M))
    check('pontifexd(8) has each name that an answer can have, and no other', outcomes ^ told)
    reasons = set(re.findall(r'\[REASON_\w+\] = "(\w+)"', source))
    prose = read('docs/pontifexd.8').split('have one of these reasons')[1].split('.Ss')[0].replace('\\\n', '')
    explained = {w for line in re.findall(r'^\.It Li (.*)$', prose, re.M) for w in re.findall(r'\w+', line)}
    check('pontifexd(8) explains each reason that a record can have, and no other', explained ^ (reasons - {'none'}))
    table = read('docs/oauth.md').split('| reason | usually |')[1].split('\n\n')[0]
    named = {w for row in table.split('\n') for w in re.findall(r'`(\w+)`', row.split('|')[1] if '|' in row else '')}
    check('oauth.md names reasons that there are', named - reasons)
    if len(outcomes) < 9 or len(named) < 10:
        not_ok('outcomes and reasons are found', '9 and 10 at least', '%d and %d' % (len(outcomes), len(named)))


os.makedirs(work, exist_ok=True)
check_grammar()
check_daemon_options()
check_ctl_options()
check_examples()
check_texts()
check_metrics()
check_words()
