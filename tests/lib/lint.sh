#!/bin/bash
# SPDX-License-Identifier: ISC
#
# `make lint': what no compiler says.  Each check prints one line; the exit
# code is 1 where one of them found something.

set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
bad=0

# check NAME COMMAND...: good where the command succeeds.
check() {
	local name=$1
	shift
	if "$@" >"$out" 2>&1; then
		echo "ok - lint: $name"
	else
		echo "not ok - lint: $name"
		sed 's/^/  | /' "$out" | head -n 40
		bad=1
	fi
}

sources() { git ls-files 'common/*.c' 'daemon/*.c' 'authd/*.c' 'auditd/*.c' 'pledge/sandbox_linux.c'; }

flags=(-D_GNU_SOURCE '-DLIBEXECDIR="/"' -std=gnu11
	-isystem /usr/include/postgresql)

# Only what it finds, not what it counts.  Its analyzer goes as far into a
# function as NODES allows (clang's own bound, 225000, takes three times as long,
# and is for a night: `NODES=225000 make lint').
tidy() {
	sources | xargs -P 2 -n 3 sh -c 'clang-tidy --quiet "$@" -- '"$(printf '%q ' \
	    "${flags[@]}" -Xclang -analyzer-config -Xclang max-nodes="${NODES:-40000}")"' 2>/dev/null || exit 1' sh
}

# gcc's own analyzer, of the version whose findings were judged.  Leaks are left
# to the sanitizers: it does not follow what is put into a list.
analyzer() {
	sources | xargs -P 2 -I{} gcc "${flags[@]}" -O1 -Wall -fanalyzer -Wno-analyzer-malloc-leak -Werror -c -o /dev/null {}
}

# It does not read <sys/queue.h>: what it says of lists is not so.
cppcheck_all() {
	sources | cppcheck --file-list=- --enable=warning,portability \
	    --error-exitcode=1 --inline-suppr --quiet -j 2 --std=c11 \
	    -D_GNU_SOURCE -DLIBEXECDIR='"/"' -D__linux__ \
	    --suppress=missingIncludeSystem --suppress=unknownMacro \
	    --suppress=normalCheckLevelMaxBranches --suppress=nullPointerOutOfMemory \
	    --suppress=uninitvar --suppress=syntaxError
}

manuals() {
	local found
	# Errors and warnings; what the reader's own mandoc finds to style is his.
	found=$(mandoc -Tlint -W warning docs/*.[1-9] 2>&1 |
	    grep -v 'referenced manual not found' || :)
	[ -z "$found" ] || { echo "$found"; return 1; }
}

scripts() {
	local rc=0 file
	for file in $(git ls-files '*.sh') .ci/run; do
		case $(head -n 1 "$file") in
		'#!/bin/sh') sh -n "$file" || rc=1 ;;
		*) bash -n "$file" || rc=1 ;;
		esac
	done
	return $rc
}

# A role shares messages with another, in common/, and nothing else.
rooms() {
	local found
	found=$(
		grep -nE '#include "(\.\./)*(daemon|authd|auditd)/' daemon/listener/*.[ch] \
		    daemon/handler/*.[ch] authd/*.[ch] auditd/*.[ch] common/*.[ch] pledge/*.[ch]
		grep -nE '#include "\.\./(config|parent|configure|ctl|listener|handler|authd|auditd)[./]' \
		    daemon/listener/*.[ch] daemon/handler/*.[ch] authd/*.[ch] auditd/*.[ch]
		grep -nE '^#[[:space:]]*if.*(__linux__|__OpenBSD__)' \
		    $(git ls-files '*.[chy]' | grep -vE '^(pledge/|common/compat)')
	)
	[ -z "$found" ] || { echo "$found"; return 1; }
}

banned() {
	local found
	found=$(grep -nE '\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|strtok|alloca|system|popen|tmpnam)[[:space:]]*\(' \
	    $(git ls-files '*.[chy]'))
	[ -z "$found" ] || { echo "$found"; return 1; }
}

# An assertion that says nothing where it does not hold.
silent() {
	local found
	found=$(grep -nE "&& ok ['\"]" $(git ls-files 'tests/*.sh') | grep -vE 'lint.sh|\|\|')
	[ -z "$found" ] || { echo "$found"; return 1; }
}

check 'clang-tidy' tidy
check 'cppcheck' cppcheck_all
if [ "$(gcc -dumpversion 2>/dev/null)" = 12 ]; then
	check 'gcc -fanalyzer' analyzer
else
	echo "ok - lint: gcc -fanalyzer # SKIP judged with gcc 12, this is $(gcc -dumpversion 2>/dev/null || echo none)"
fi
check 'manual pages' manuals
check 'scripts parse' scripts
check 'rooms share messages only, platforms are told apart in their place' rooms
check 'no banned function' banned
check 'every assertion can fail' silent
exit $bad
