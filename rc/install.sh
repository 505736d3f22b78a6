#!/bin/sh
# SPDX-License-Identifier: ISC
#
# What `make install' and `make uninstall' do, with their paths in the
# environment.  Without DESTDIR, as root, the users that the roles run as and
# the folders that belong to them are made, too.  With DESTDIR (for a package)
# no user is made and no owner changed: sysusers.d(5) and tmpfiles.d(5) do that
# where the package is installed.  A configuration that is there is never
# touched; uninstall leaves it, the keys, the journal and the users.
set -eu
umask 022

: "${BUILD:?}" "${SBINDIR:?}" "${LIBEXECDIR:?}" "${MANDIR:?}" "${SHAREDIR:?}" "${SYSCONFDIR:?}"
DESTDIR=${DESTDIR:-}
LIBDIR=${LIBDIR:-${SHAREDIR%/share/*}/lib}
STATEDIR=/var/lib/pontifexd
LOGDIR=/var/log/pontifexd
users="_pontifexd _pontauth _pontwork _pontaudit _pontfetch"
system=$(uname -s)
action=${1:-install}
cd "$(dirname "$0")/.."

scratch=$(mktemp)
trap 'rm -f "$scratch"' EXIT

# What is named here is installed by install, and removed by uninstall.
put() { # MODE FILE TARGET
	if [ "$action" = uninstall ]; then
		rm -f "$DESTDIR$3"
		return
	fi
	mkdir -p "$DESTDIR$(dirname "$3")"
	# Beside it first: what runs now keeps its file.
	cp "$2" "$DESTDIR$3.new"
	chmod "$1" "$DESTDIR$3.new"
	mv -f "$DESTDIR$3.new" "$DESTDIR$3"
}

put_filled() { # MODE FILE TARGET: with the paths of this installation
	sed -e "s,@SBINDIR@,$SBINDIR,g" -e "s,@LIBEXECDIR@,$LIBEXECDIR,g" \
	    -e "s,@SYSCONFDIR@,$SYSCONFDIR,g" -e "s,@STATEDIR@,$STATEDIR,g" \
	    -e "s,@LOGDIR@,$LOGDIR,g" "$2" >"$scratch"
	put "$1" "$scratch" "$3"
}

put_page() { # FILE: a manual page, which names the usual paths
	section=${1##*.}
	sed -e "s,/etc/pontifexd,$SYSCONFDIR,g" \
	    -e "s,/usr/local/libexec/pontifexd,$LIBEXECDIR,g" "$1" >"$scratch"
	put 644 "$scratch" "$MANDIR/man$section/$(basename "$1")"
}

everything() {
	for program in pontifexd pontifexctl; do
		put 755 "$BUILD/$program" "$SBINDIR/$program"
	done
	for role in listener handler authd auditd fetcher; do
		put 755 "$BUILD/libexec/$role" "$LIBEXECDIR/$role"
	done
	for page in docs/*.[58]; do
		put_page "$page"
	done
	put 644 auditd/schema.sql "$SHAREDIR/schema.sql"
	for file in auditd/schema/*.sql; do
		put 644 "$file" "$SHAREDIR/schema/$(basename "$file")"
	done
	put 644 rc/pontifex.conf "$SHAREDIR/pontifex.conf"
	put 644 rc/alerts.yml "$SHAREDIR/alerts.yml"
	put 644 rc/dashboard.json "$SHAREDIR/dashboard.json"
	if [ "$system" = OpenBSD ]; then
		put_filled 755 rc/pontifexd.rc /etc/rc.d/pontifexd
		return
	fi
	put_filled 644 rc/pontifexd.service "$LIBDIR/systemd/system/pontifexd.service"
	put_filled 644 rc/pontifexd.sysusers "$LIBDIR/sysusers.d/pontifexd.conf"
	put_filled 644 rc/pontifexd.tmpfiles "$LIBDIR/tmpfiles.d/pontifexd.conf"
	put_filled 644 rc/pontifexd.logrotate "$(dirname "$SYSCONFDIR")/logrotate.d/pontifexd"
}

folder() { # MODE PATH [OWNER]
	# Where others may write beside it (/var/log is a group's in places) it
	# could be theirs, and lead to what is to stay root's.
	if [ -n "$(find "$DESTDIR$2" -prune -type l ! -user "$(id -un)" 2>/dev/null)" ]; then
		echo "$2: a link, and not ours: nothing is given away there" >&2
		exit 1
	fi
	mkdir -p "$DESTDIR$2"
	chmod "$1" "$DESTDIR$2"
	[ -z "${3:-}" ] || chown "$3" "$DESTDIR$2"
}

make_user() { # NAME
	id "$1" >/dev/null 2>&1 && return 0
	echo "making the user $1"
	case $system in
	OpenBSD)
		groupinfo -e "$1" || groupadd "$1"
		useradd -g "$1" -L daemon -c pontifexd -d /var/empty \
		    -s /sbin/nologin "$1" ;;
	*)
		useradd --system --user-group --no-create-home \
		    --home-dir /nonexistent --shell /usr/sbin/nologin \
		    --comment pontifexd "$1" ;;
	esac
}

install_all() {
	everything
	if [ -e "$DESTDIR$SYSCONFDIR/pontifex.conf" ]; then
		echo "$SYSCONFDIR/pontifex.conf is there and stays; the annotated one is $SHAREDIR/pontifex.conf"
	else
		folder 755 "$SYSCONFDIR"
		put 600 rc/pontifex.conf "$SYSCONFDIR/pontifex.conf"
	fi
	if [ -n "$DESTDIR" ]; then
		folder 755 "$STATEDIR"
		folder 555 "$STATEDIR/empty"
	elif [ "$(id -u)" -eq 0 ]; then
		for user in $users; do
			make_user "$user"
		done
		folder 755 "$STATEDIR" 0:0
		folder 555 "$STATEDIR/empty" 0:0
		folder 700 "$STATEDIR/audit" _pontaudit:_pontaudit
		folder 750 "$LOGDIR" _pontaudit:_pontaudit
	else
		echo "not root: the users $users and the folders of $STATEDIR are still to be made, as root" >&2
	fi
	echo "installed: $DESTDIR$SBINDIR/pontifexd; configuration: $SYSCONFDIR/pontifex.conf"
}

uninstall_all() {
	everything
	for path in "$LIBEXECDIR" "$SHAREDIR/schema" "$SHAREDIR"; do
		rmdir "$DESTDIR$path" 2>/dev/null || :
	done
	# Empty, unless somebody put something there.
	rmdir "$DESTDIR$STATEDIR/empty" 2>/dev/null || :
	echo "removed: $DESTDIR$SBINDIR/pontifexd and what came with it"
	for path in "$SYSCONFDIR" "$STATEDIR" "$LOGDIR"; do
		[ ! -d "$DESTDIR$path" ] || echo "left: $DESTDIR$path"
	done
	[ -n "$DESTDIR" ] || ! id _pontifexd >/dev/null 2>&1 || echo "left: the users $users"
	echo 'What is left is configuration, keys, the audit journal and data: yours to keep or to remove.'
}

case $action in
install) install_all ;;
uninstall) uninstall_all ;;
*) echo 'usage: install.sh [install|uninstall]' >&2; exit 2 ;;
esac
