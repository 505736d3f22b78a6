#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Each executable links what its role needs and nothing else: the dynamic
# section of each is read and compared with a list of what it may name.
# runs once: it reads the plain executables

. "$(dirname "$0")/../lib/harness.sh"

basic='libc.so libevent_core libcrypto libbsd libmd'
check() { # FILE LIBRARY...
	local file=$1 needed library extra= allowed found
	shift
	needed=$(readelf -d "$build/$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
	[ -n "$needed" ] || { not_ok "$file: has a dynamic section" libraries none; return; }
	for library in $needed; do
		found=
		# The sanitizers' own, in the build that has them.
		for allowed in $basic "$@" libasan libubsan ld-linux libgcc_s libm.so; do
			case $library in "$allowed"*) found=yes ;; esac
		done
		case $library in
		libasan* | libubsan* | libm.so* | libgcc_s*)
			readelf -d "$build/$file" | grep -q libasan || found= ;;
		esac
		[ -n "$found" ] || extra="$extra $library"
	done
	is "$file links nothing that its role does not need" '' "$extra"
}
check pontifexd libseccomp
check pontifexctl libpq
check libexec/listener libseccomp
check libexec/authd libseccomp
check libexec/handler libseccomp libpq libsqlite3 libhiredis libssl libcares
check libexec/auditd libseccomp libpq libssl
check libexec/fetcher libseccomp libcurl libcares

for file in pontifexd pontifexctl libexec/listener libexec/authd libexec/handler libexec/auditd \
    libexec/fetcher; do
	dynamic=$(readelf -dlW "$build/$file")
	like "$file: relocations are read-only from the start" 'BIND_NOW|FLAGS_1.*NOW' "$dynamic"
	like "$file: GNU_RELRO" GNU_RELRO "$dynamic"
	like "$file: position-independent" 'PIE|DYN' "$(readelf -hW "$build/$file")$dynamic"
	unlike "$file: no executable stack" 'GNU_STACK.*RWE' "$dynamic"
	unlike "$file: no library path of its own" 'RPATH|RUNPATH' "$dynamic"
done
done_testing
