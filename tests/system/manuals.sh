#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The documentation is true to the programs (lib/manuals.py): each word of the
# grammar and each option is in the manuals and the other way round, each
# example loads, each link, file and metric is there.  Then texts are spoilt on
# purpose, each of which must be found.
# runs once: it reads texts

. "$(dirname "$0")/../lib/harness.sh"

command -v mandoc >/dev/null || die 'mandoc is there' mandoc none
manuals() { python3 "$lib/manuals.py" "$1" "$build" "$work/manuals" 2>&1; }
out=$(manuals "$top") || not_ok 'the checks run to their end' 'exit 0' "$out"
printf '%s\n' "$out" | grep -E '^(not )?ok'
passed=$((passed + $(grep -c '^ok ' <<<"$out")))
failed=$((failed + $(grep -c '^not ok ' <<<"$out")))
number 'there is something to check' "$(grep -c '^ok ' <<<"$out")" -ge 25

# spoilt NAME FILE SED-EXPRESSION PATTERN: what the checks say of it.
spoilt() {
	local tree=$work/tree found
	rm -rf "$tree"
	mkdir "$tree"
	cp -r "$top/README.md" "$top/docs" "$top/rc" "$tree"
	ln -s "$top/common" "$top/auditd" "$top/authd" "$top/pledge" "$top/tests" "$tree"
	mkdir "$tree/daemon"
	cp "$top/daemon/parse.y" "$top"/daemon/*.c "$tree/daemon"
	ln -s "$top/daemon/listener" "$top/daemon/handler" "$tree/daemon"
	sed -i "$3" "$tree/$2"
	if cmp -s "$top/$2" "$tree/$2"; then
		not_ok "$1" "a change of $2" none
		return
	fi
	found=$(manuals "$tree")
	like "$1" "^not ok - .*$4" "$(grep '^not ok' <<<"$found" || echo none)"
}
spoilt 'a keyword that the manual forgets is missed' docs/pontifex.conf.5 's/^\.It Cm uuid$/.It uuid/' 'every keyword of the grammar.*uuid'
spoilt 'a keyword in prose alone is missed' docs/pontifex.conf.5 's/^\.It Ic sandbox require/.Ic sandbox require/' 'every keyword of the grammar.*sandbox'
spoilt 'a statement that one block forgets is missed, though others have the word' docs/pontifex.conf.5 '/^\.Ss Tools/,$s/^\.It Ic timeout Ar duration/.It timeout/' 'every statement of the grammar.*timeout .Tools.'
spoilt 'a keyword that the grammar gets is missed' daemon/parse.y 's/{ "uuid", UUID }/&, { "frobnicate", FROBNICATE }/' 'every keyword of the grammar.*frobnicate'
spoilt 'a keyword that the grammar lacks is found' docs/pontifex.conf.5 's/^\.It Ic title Ar string/&\n.It Ic frobnicate/' 'shows as one.*frobnicate'
spoilt 'a statement that its block lacks is found' docs/pontifex.conf.5 's/^\.It Ic title Ar string/&\n.It Ic journal Ar string/' 'every tag of a block.*journal'
spoilt 'an example that does not load is found' docs/pontifex.conf.5 's/^	rate 60 per minute$/	rate 60 per fortnight/' 'example 1 of pontifex.conf.5. loads'
spoilt 'an option that the manual forgets is missed' docs/pontifexd.8 's/^\.It Fl v$/.It v/' 'the list of pontifexd'
spoilt 'a command that the manual forgets is missed' docs/pontifexctl.8 's/^\.Cm audit report$/.Cm audit retort/' 'every command of pontifexctl.*audit report'
spoilt 'an option of a command that the manual invents is found' docs/pontifexctl.8 '/^\.Cm key list/s/$/\n.Op Fl z/' 'their options are the same.*key list'
spoilt 'a reason that the manual forgets is missed' docs/pontifexd.8 's/^\.It Li penalty$/.It penalty/' 'explains each reason.*penalty'
spoilt 'a link that leads nowhere is found' README.md 's/docs\/oauth.md)/docs\/oath.md)/' 'links between.*oath'
spoilt 'a file that is not there is found' docs/security.md 's/tests\/system\/oauth.sh/tests\/system\/oath.sh/' 'every file that a text names.*oath'
spoilt 'a metric that there is none of is found' README.md 's/^Both work/`pontifexd_frobnications_total`\n&/' 'every metric.*frobnications'
done_testing
