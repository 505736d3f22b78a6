# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# A small Linux of its own for the tests of what `make install' leaves: this
# machine's programs and libraries, read-only, under a root folder with its own
# /etc, /var and /usr/local, and so with its own users.  systemd(1) can be
# started in it, as process 1 of namespaces of its own, to try the unit as it
# would run.  Source after harness.sh and in a mount namespace of the test's
# own, with which all mounts go:
#	[ -n "${IN_HOUSE:-}" ] || exec env IN_HOUSE=1 unshare -m bash "$0"

house=$work/house
manager=			# unshare's pid, where systemd runs in the house
house_group=			# its control group
house_log=/dev/null		# where its daemon logs, as the house sees it

# Whether this machine lets us mount.
house_possible() { [ "$(id -u)" -eq 0 ] && unshare -m mount -t tmpfs house /mnt 2>/dev/null; }

house_build() {
	local name
	mkdir -p "$house" && mount -t tmpfs -o mode=755 house "$house" || return 1
	mkdir -p "$house"/{etc,usr,proc,sys,dev,run,root,src,build,mnt,var/lib,var/log}
	mkdir -m 1777 "$house/tmp" "$house/var/tmp"
	ln -s ../run "$house/var/run"
	mount --bind /usr "$house/usr" && mount -o remount,bind,ro "$house/usr" || return 1
	mount -t tmpfs -o mode=755 local "$house/usr/local" || return 1
	for name in bin sbin lib lib32 lib64 libx32; do
		if [ -L "/$name" ]; then
			ln -s "$(readlink "/$name")" "$house/$name"
		elif [ -d "/$name" ]; then
			mkdir "$house/$name" && mount --bind "/$name" "$house/$name"
		fi
	done
	for name in alternatives ld.so.cache ld.so.conf ld.so.conf.d nsswitch.conf hosts localtime services; do
		[ ! -e "/etc/$name" ] || cp -a "/etc/$name" "$house/etc/"
	done
	mkdir -p "$house/etc/ssl/certs"
	cp /etc/ssl/openssl.cnf "$house/etc/ssl/"
	cp /etc/ssl/certs/ca-certificates.crt "$house/etc/ssl/certs/"
	printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n' >"$house/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$house/etc/group"
	: >"$house/etc/shadow"
	: >"$house/etc/gshadow"
	: >"$house/etc/machine-id"
	# Uids that nobody here has: none of the machine's own processes is meant.
	printf 'SYS_UID_MIN 20000\nSYS_UID_MAX 20999\nSYS_GID_MIN 20000\nSYS_GID_MAX 20999\n' >"$house/etc/login.defs"
	echo house >"$house/etc/hostname"
	for name in null zero full random urandom; do
		: >"$house/dev/$name"
		mount --bind "/dev/$name" "$house/dev/$name" || return 1
	done
	ln -s /proc/self/fd "$house/dev/fd"
	mount -t proc proc "$house/proc" || return 1
	mount --bind "$top" "$house/src" && mount -o remount,bind,ro "$house/src" &&
	    mount --bind "$build" "$house/build"
}

# A sanitized build wants its options wherever it is started.
house_environment() { env | grep -E '^(ASAN|UBSAN)_OPTIONS=' || :; }

inside() { # COMMAND...: in the house, with nothing of our environment
	local -a env
	mapfile -t env < <(house_environment)
	chroot "$house" /usr/bin/env -i PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin "${env[@]}" "$@"
}

# `make install' and its like, of the programs that were built already.
house_make() { inside make -s -C /src -o all BUILD=/build "$@" 2>&1; }

# The configuration that was installed, with the parts in use that it shows
# switched on, the contract's data, and a free port.  Sets $port, $house_conf.
house_configure() {
	house_conf=$house/etc/pontifexd/pontifex.conf port=$(free_port)
	sed -i -E "s/^(listen on .*port) .*/\\1 $port/; s/#(public url|sink file)/\\1/; /^\t#issuer/,/^\t#}/s/#//" "$house_conf"
	mkdir -p "$house/var/lib/pontifexd/shop"
	sqlite3 "$house/var/lib/pontifexd/shop/shop.db" <"$contract/shop.sql"
	inside chown -R _pontwork:_pontwork /var/lib/pontifexd/shop
	key=$(inside pontifexctl key add -F /etc/pontifexd/keys -o alice -s shop:order:read -r 1000000)
}

# house_boot: systemd in the house; `managed' runs commands beside it.
house_boot() {
	local unit mounted
	[ -x /lib/systemd/systemd ] || return 1
	# What boots a machine is not needed to start one service.
	for unit in house sysinit basic network-online nss-lookup; do
		mkdir -p "$house/etc/systemd/system"
		printf '[Unit]\nDefaultDependencies=no\n' >"$house/etc/systemd/system/$unit.target"
	done
	# A control group of its own; it makes others below.
	mounted=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$mounted" ] && mkdir "$mounted/pontifexd-house.$$" 2>/dev/null || return 1
	house_group=$mounted/pontifexd-house.$$
	trap 'house_leave; cleanup' EXIT
	(
		echo "$BASHPID" >"$house_group/cgroup.procs" || exit 1
		exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child=KILL \
		    bash "$lib/house_init.sh" "$house"
	) >"$work/manager.log" 2>&1 </dev/null &
	manager=$!
	until_true 15 managed systemctl list-units
}
house_leave() {
	[ -z "$manager" ] || kill -KILL "$manager" 2>/dev/null
	[ -z "$house_group" ] || until_true 10 house_group_gone
}
house_group_gone() { find "$house_group" -depth -type d -exec rmdir {} + 2>/dev/null; [ ! -d "$house_group" ]; }
managed_init() { pgrep -P "$manager"; }
managed() { # COMMAND...
	local init
	init=$(managed_init)
	[ -n "$init" ] && nsenter -t "$init" -m -p -u -i -C -r -w /usr/bin/env -i \
	    PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# ---- who is who ------------------------------------------------------------

house_uid() { sed -n "s/^$1:[^:]*:\([0-9]*\):.*/\1/p" "$house/etc/passwd"; }
house_gid() { sed -n "s/^$1:[^:]*:\([0-9]*\):.*/\1/p" "$house/etc/group"; }

# house_family PID: asserts what every process of the daemon is and has.
#	role, user, root (empty or whole), what it may have open beside sockets,
#	pipes, /dev/null and the event loop
house_family() { # PARENT
	local parent=$1 role user root open pid n uid gid name found status
	while read -r role user root open; do
		n=0
		for pid in "$parent" $(ps -o pid= --ppid "$parent"); do
			name=$(cat "/proc/$pid/comm")
			[ "$name" = "$role" ] || continue
			n=$((n + 1)) status=/proc/$pid/status
			uid=$(house_uid "$user") gid=$(house_gid "$user")
			is "$role: $user, real, effective, saved, for files" "$uid $uid $uid $uid / $gid $gid $gid $gid" \
			    "$(awk '$1 == "Uid:" { u = $2 " " $3 " " $4 " " $5 } $1 == "Gid:" { print u " / " $2 " " $3 " " $4 " " $5 }' $status)"
			is "$role: its root is $root" "$root" "$(house_root "$pid")"
			found=$(for fd in "/proc/$pid/fd"/*; do readlink "$fd"; done |
			    grep -Ev '^(socket:|pipe:|anon_inode:\[(eventpoll|eventfd)\]|/dev/null$|/dev/urandom$)' |
			    sed "s,^$house,," | grep -Ev "^($open)\$")
			is "$role: nothing else is open" '' "$found"
			[ "$role" != pontifexd ] || continue
			is "$role: no group but its own" "$gid" "$(awk '$1 == "Groups:" { $1 = ""; print $0 + 0 }' $status)"
			is "$role: no capability, no new privileges, a filter" '0000000000000000 1 2' \
			    "$(awk '$1 == "CapEff:" || $1 == "CapPrm:" { c = c > $2 ? c : $2 } $1 == "NoNewPrivs:" { n = $2 }
				$1 == "Seccomp:" { print c, n, $2 }' $status)"
		done
		isnt "$role: runs" 0 "$n"
	done <<-EOF
		pontifexd root whole anon_inode:inotify|/memfd:pontifexd.*|$house_log
		listener _pontifexd empty $house_log
		authd _pontauth empty $house_log
		handler _pontwork whole /memfd:pontifexd.*|/var/lib/pontifexd/shop/shop.db.*|$house_log
		auditd _pontaudit whole anon_inode:inotify|/var/lib/pontifexd/audit(/.*)?|/var/log/pontifexd/.*|$house_log
		fetcher _pontfetch whole $house_log
	EOF
}
house_root() { # PID
	local names
	names=$(ls -A "/proc/$1/root/" 2>/dev/null)
	case $names in
	'') echo empty ;;
	*etc*) echo whole ;;
	*) echo "$names" ;;
	esac
}
