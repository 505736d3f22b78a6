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

# An upgrade in the background; its words are in $work/said.
in_back() { "$pontifexctl" -s "$dir/run/control.sock" upgrade >"$work/said" 2>&1 & asker=$!; }

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
# A tool that takes until it is let go, without work for a processor: it waits
# for an advisory lock of a Postgres, by its number.  Added to $conf.
add_wait() {
	[ -n "$pg_dir" ] || postgres_start || die 'a private Postgres starts' running "$(tail -n 5 "$work/initdb.log" 2>&1)"
	WAIT_DSN=$(dsn postgres postgres)
	export WAIT_DSN
	cat >>"$conf" <<'EOT'
source waits postgres {
	dsn from env "WAIT_DSN"
	connections 2
}
tool wait {
	description "Waits."
	scope "shop:order:read"
	source waits
	timeout 30s
	param n integer required { maximum 100 }
	sql "SELECT :n + length(pg_advisory_xact_lock(:n)::text) AS n"
}
EOT
}
locks() { sql postgres "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND granted = $2"; } # NUMBER GRANTED
declare -A slow_pid=()
# slow NAME NUMBER: a call in the background that goes on until slow_end.
slow() {
	(sql postgres "SELECT pg_advisory_lock($2), pg_sleep(600)" >/dev/null 2>&1) &
	until_true 20 eval '[ "$(locks '"$2"' true)" = 1 ]'
	# What it hears goes to a folder of its own.
	(
		out=$work/slow.$1
		work=$work/of.$1
		call_timeout=40
		mkdir -p "$work"
		call "$key" wait "{\"n\":$2}"
		echo "$status $(jqb '.result.structuredContent.rows[0].n')" >"$out"
	) &
	slow_pid[$1]=$!
	until_true 20 eval '[ "$(locks '"$2"' false)" = 1 ]' || not_ok "the call $1 is in flight" waiting "$(tail -n 3 "$daemon_log")"
}
slow_end() { # NAME NUMBER
	sql postgres "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = $2 AND granted" >/dev/null
	wait "${slow_pid[$1]}"
}
