# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# What the tests of an upgrade share, behind harness.sh: an installation of
# their own that is replaced while its daemon runs, and other versions of it.
# $programs has the executables as they were built.

# An installation of its own, to be replaced.
opt=$work/opt
mkdir -p "$opt/libexec"
put() { cp "$1" "$2.new" && mv "$2.new" "$2"; } # FROM TO: as a package manager does
install_from() { # FOLDER: that version, all of it
	local role
	put "$1/pontifexd" "$opt/pontifexd"
	for role in listener handler authd auditd fetcher; do put "$1/libexec/$role" "$opt/libexec/$role"; done
}
# next_version FOLDER FROM TO: a copy with another text of the same length in its executables.
next_version() {
	mkdir -p "$1/libexec"
	python3 - "$build" "$@" <<'EOT'
import os, shutil, sys
build, to, a, b = sys.argv[1:]
assert len(a) == len(b)
for name in ["pontifexd"] + ["libexec/" + r for r in ("listener", "handler", "authd", "auditd", "fetcher")]:
    d = open(os.path.join(build, name), "rb").read()
    d = d.replace(b"\0" + a.encode() + b"\0", b"\0" + b.encode() + b"\0")
    open(os.path.join(to, name), "wb").write(d)
    os.chmod(os.path.join(to, name), 0o755)
EOT
}
version=$("$build/pontifexd" -V | cut -d' ' -f2)
messages=$("$build/pontifexd" -V | cut -d' ' -f4)
later=${version//[0-9]/9}
others=${messages//[0-9]/7}

serving() { ctl status -v | sed -n 's/^pontifexd: version \([^,]*\), pid \([0-9]*\),.*/\1 \2/p'; }
now_serves() { # after an upgrade: $daemon is the one that serves
	local pid
	pid=$(serving | cut -d' ' -f2)
	[ -n "$pid" ] || return 1
	[ "$pid" = "$daemon" ] || started+=("$pid")
	daemon=$pid
}
upgrade() { upgrade_said=$(ctl upgrade 2>&1); upgrade_status=$?; before=$daemon; now_serves; }

programs=$build
pontifexctl=$programs/pontifexctl
ctl() { "$pontifexctl" -s "$dir/run/control.sock" "$@"; }
# As daemon_start, of the installation.
opt_start() {
	local rc
	build=$opt
	daemon_start "$@"
	rc=$?
	build=$programs
	return "$rc"
}
printf '#!/bin/sh\nexec sleep 97\n' >"$work/stuck"
chmod 755 "$work/stuck"
successor() { pgrep -f "^$opt/pontifexd " | grep -vx "$daemon"; }
is_stuck() { # the new daemon waits for the one that is
	local pid
	pid=$(successor)
	[ -n "$pid" ] && ps -o args= --ppid "$pid" | grep -q '^sleep 97'
}
printf '#!/bin/sh\nexit 1\n' >"$work/false"
chmod 755 "$work/false"
install_from "$programs"
# A tool that takes its time; added to $conf.
add_count() {
	cat >>"$conf" <<'EOT'
tool count {
	description "Counts as far as it is told."
	scope "shop:order:read"
	source shop
	timeout 30s
	param n integer required { maximum 1000000000 }
	sql "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < :n) SELECT count(*) AS n FROM c"
}
EOT
}
