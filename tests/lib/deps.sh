#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Installs the Debian packages that a target needs, as root or with sudo, and
# does nothing where they are there.  `--name-missing SET' only names them.
# Sets: build (compile and run), all (build, and every test, lint and bench).
set -eu

build="gcc libc6-dev make pkg-config bison libevent-dev libssl-dev libpq-dev libbsd-dev
	libseccomp-dev libsqlite3-dev libcurl4-openssl-dev libc-ares-dev libhiredis-dev
	ca-certificates curl sqlite3"
all="$build libcmocka-dev postgresql clang libclang-rt-dev clang-tidy cppcheck mandoc jq nodejs npm wrk python3
	procps binutils iproute2 python3-cryptography pgbouncer rsyslog xxd openssl
	strace nginx-light haproxy systemd logrotate redis-server
	python3-prometheus-client prometheus"

name_only=no
[ "${1:-}" = --name-missing ] && { name_only=yes; shift; }
case "${1:-}" in
build) want=$build ;;
all) want=$all ;;
*) echo "usage: deps.sh [--name-missing] build|all" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
	[ "$name_only" = yes ] && exit 0
	echo "not a Debian system: install by hand what stands for: $want" >&2
	exit 1
fi

missing=
for package in $want; do
	# A program that is there in another way (a newer node, say) will do.
	case $package in
	nodejs) command -v node >/dev/null 2>&1 && continue ;;
	npm) command -v npm >/dev/null 2>&1 && continue ;;
	gcc) command -v cc >/dev/null 2>&1 && continue ;;
	esac
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
	    grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$name_only" = yes ]; then
	echo "missing packages:$missing (\`make deps' installs them)" >&2
	exit 1
fi

sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
echo "installing:$missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# RUNLEVEL: what brings a service is installed, not started.
# Two tries: a registry that is slow to answer is no reason to fail.
for try in 1 2; do
	if $sudo apt-get update >"$log" 2>&1 &&
	    $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y \
	    --no-install-recommends $missing >>"$log" 2>&1; then
		exit 0
	fi
	[ $try = 1 ] && sleep 2
done
tail -n 20 "$log" >&2
echo "could not install:$missing" >&2
exit 1
