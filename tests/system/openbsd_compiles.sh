#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The OpenBSD branches compile: pledge/sandbox_openbsd.c, and all other C
# files as OpenBSD's preprocessor would show them, against the declarations in
# pledge/openbsd/ and with our own warnings.  This shows that they are C and
# that the prototypes fit, no more: nothing here runs on OpenBSD.
# runs once: it builds what no sanitizer sees

set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top" || exit 1
cc=${CC:-cc}
passed=0 failed=0

ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() {
	failed=$((failed + 1))
	printf 'not ok - %s: wanted %s, got: %s\n' "$1" "$2" \
	    "$(printf %s "$3" | head -c 1500 | tr '\n' ';')"
}

# The warnings are the build's own.
warnings=$(sed -n '/^WARN/,/[^\\]$/p' GNUmakefile | sed 's/^WARN[^-]*//; s/\\$//' | tr '\n\t' '  ')
case $warnings in
*-Werror*) ok 'the flags are those of GNUmakefile' ;;
*) not_ok 'the flags are those of GNUmakefile' 'WARN with -Werror' "$warnings" ;;
esac

compile() { # FILE [ARGUMENT...]
	# shellcheck disable=SC2086
	$cc -std=gnu11 -O2 $warnings -fsyntax-only -U__linux__ -D__OpenBSD__ \
	    -D_GNU_SOURCE -DLIBEXECDIR='"/usr/local/libexec/pontifexd"' \
	    -Ipledge/openbsd/include -isystem /usr/include/postgresql "$@" 2>&1
}

# Control: what does not fit the declarations is found.
bad=$(mktemp "${TMPDIR:-/tmp}/pontifexd-openbsd.XXXXXX")
trap 'rm -f "$bad"' EXIT
printf '#include <unistd.h>\nint x(void);\nint x(void) { return pledge(1); }\n' >"$bad"
if out=$(compile -x c "$bad"); then
	not_ok 'control: a wrong call of pledge is an error' 'an error' none
else
	ok 'control: a wrong call of pledge is an error'
fi
printf '#ifdef __linux__\nint x(void) { return 0; }\n#endif\n#ifndef __OpenBSD__\n#error not OpenBSD\n#endif\nextern int y;\n' >"$bad"
if out=$(compile -x c "$bad"); then
	ok 'control: it is the OpenBSD branch that is compiled'
else
	not_ok 'control: it is the OpenBSD branch that is compiled' 'no error' "$out"
fi

for file in pledge/sandbox_openbsd.c common/*.c daemon/*.c daemon/listener/*.c \
    daemon/handler/*.c authd/*.c authd/fetcher/*.c auditd/*.c; do
	[ -f "$file" ] || continue
	if out=$(compile "$file"); then
		ok "compiles for OpenBSD: $file"
	else
		not_ok "compiles for OpenBSD: $file" 'no error' "$out"
	fi
done

# Linux's own headers and words stay where the platforms are told apart.
out=$(grep -rnE '^#[[:space:]]*include[[:space:]]*<(linux/|sys/(epoll|inotify|prctl|eventfd|signalfd|timerfd|sendfile|syscall)\.h|seccomp\.h|bsd/)|__linux__|__OpenBSD__' \
    common daemon authd auditd --include='*.[chy]' |
    grep -Ev '^common/compat\.[ch]:')
if [ -z "$out" ]; then
	ok 'platforms are told apart in pledge/ and common/compat.* only'
else
	not_ok 'platforms are told apart in pledge/ and common/compat.* only' 'no line' "$out"
fi
# The promises stand in the documentation as they stand in the source.
for role in PARENT LISTENER AUTHD HANDLER AUDITD FETCHER; do
	always=$(tr '\n\t' '  ' <pledge/sandbox_openbsd.c | grep -o "\[ROLE_$role\] = { *\"[^\"]*\"" | sed 's/.*"\([^"]*\)"/\1/')
	name=$(echo $role | tr 'A-Z' 'a-z')
	if [ -n "$always" ] && grep -Eq "^\| $name \| \`$always\`" docs/security.md; then
		ok "docs/security.md has the promises of $name"
	else
		not_ok "docs/security.md has the promises of $name" "\`$always\`" "$(grep "^| $name | .stdio" docs/security.md)"
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
