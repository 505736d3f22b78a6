#!/bin/sh
# SPDX-License-Identifier: ISC
#
# What `make install' does, with BUILD DESTDIR SBINDIR LIBEXECDIR MANDIR
# SYSCONFDIR in the environment.  Without DESTDIR, as root, it also makes the
# users that the roles run as.  With DESTDIR (for a package) it makes no user
# and changes no owner.  A configuration that is there is never touched.
set -eu
umask 022

: "${BUILD:?}" "${SBINDIR:?}" "${LIBEXECDIR:?}" "${MANDIR:?}" "${SYSCONFDIR:?}"
DESTDIR=${DESTDIR:-}
SHAREDIR=${SHAREDIR:-${MANDIR%/man}/pontifexd}
UNITDIR=${UNITDIR:-${MANDIR%/share/man}/lib/systemd/system}
STATEDIR=${STATEDIR:-/var/lib/pontifexd}
USERS="_pontifexd _pontauth _pontwork _pontaudit _pontfetch"
system=$(uname -s)
cd "$(dirname "$0")/.."

put() { # MODE FILE TARGET
	mkdir -p "$DESTDIR$(dirname "$3")"
	# Beside it first: what runs now keeps its file.
	cp "$2" "$DESTDIR$3.new"
	chmod "$1" "$DESTDIR$3.new"
	mv -f "$DESTDIR$3.new" "$DESTDIR$3"
}

filled() { # FILE: with the paths of this installation
	sed -e "s,@SBINDIR@,$SBINDIR,g" -e "s,@SYSCONFDIR@,$SYSCONFDIR,g" \
	    -e "s,@STATEDIR@,$STATEDIR,g" "$1" >"$scratch"
}

folder() { # MODE PATH
	[ -d "$DESTDIR$2" ] || mkdir -p "$DESTDIR$2"
	chmod "$1" "$DESTDIR$2"
}

make_user() { # NAME
	id "$1" >/dev/null 2>&1 && return 0
	echo "making the user $1"
	case $system in
	OpenBSD)
		groupinfo -e "$1" || groupadd "$1"
		useradd -g "$1" -c "pontifexd" -d /var/empty \
		    -s /sbin/nologin "$1" ;;
	*)
		useradd --system --user-group --no-create-home \
		    --home-dir /nonexistent --shell /usr/sbin/nologin \
		    --comment pontifexd "$1" ;;
	esac
}

scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT

for program in pontifexd pontifexctl; do
	put 755 "$BUILD/$program" "$SBINDIR/$program"
done
for program in "$BUILD"/libexec/*; do
	put 755 "$program" "$LIBEXECDIR/$(basename "$program")"
done
for page in docs/*.[58]; do
	[ -f "$page" ] || continue
	section=${page##*.}
	put 644 "$page" "$MANDIR/man$section/$(basename "$page")"
done
put 644 auditd/schema.sql "$SHAREDIR/schema.sql"
for file in auditd/schema/*.sql; do
	put 644 "$file" "$SHAREDIR/schema/$(basename "$file")"
done

if [ ! -f rc/pontifex.conf ]; then
	echo 'rc/pontifex.conf, the annotated configuration, is not there: write one by pontifex.conf(5)' >&2
elif [ -e "$DESTDIR$SYSCONFDIR/pontifex.conf" ]; then
	put 644 rc/pontifex.conf "$SHAREDIR/pontifex.conf"
	echo "$SYSCONFDIR/pontifex.conf is there and stays; the annotated one is $SHAREDIR/pontifex.conf"
else
	put 644 rc/pontifex.conf "$SHAREDIR/pontifex.conf"
	put 600 rc/pontifex.conf "$SYSCONFDIR/pontifex.conf"
fi

if [ "$system" = OpenBSD ]; then
	filled rc/pontifexd.rc
	put 755 "$scratch" /etc/rc.d/pontifexd
else
	filled rc/pontifexd.service
	put 644 "$scratch" "$UNITDIR/pontifexd.service"
fi

folder 755 "$STATEDIR"
folder 555 "$STATEDIR/empty"

if [ -z "$DESTDIR" ] && [ "$(id -u)" -eq 0 ]; then
	for user in $USERS; do
		make_user "$user"
	done
	chown 0:0 "$STATEDIR" "$STATEDIR/empty"
elif [ -z "$DESTDIR" ]; then
	echo "not root: make these users as root: $USERS" >&2
fi
echo "installed: $DESTDIR$SBINDIR/pontifexd; configuration: $SYSCONFDIR/pontifex.conf"
