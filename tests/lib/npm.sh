# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# npm_folder FOLDER: installs what FOLDER's package-lock.json names, exactly,
# into the build folder (never beside the source), once for each state of the
# lock file; of several tests at once, one.  Sets $modules (a folder with
# package.json and node_modules) and $node, the Node 22 that comes with it.

npm_folder() {
	local from=$1 stamp try lock
	modules=${NPM_CACHE:-$top/build/npm}/$(basename "$from")
	mkdir -p "$(dirname "$modules")"
	exec {lock}>"$modules.lock"
	flock "$lock"
	stamp=$(cat "$from/package.json" "$from/package-lock.json" | sha256sum | cut -c1-32)
	if [ "$(cat "$modules/.stamp" 2>/dev/null)" != "$stamp" ]; then
		rm -rf "$modules"
		mkdir -p "$modules"
		cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$modules/"
		for try in 1 2 3; do
			if (cd "$modules" && timeout 300 npm ci --no-progress </dev/null) >"$modules.log" 2>&1; then
				echo "$stamp" >"$modules/.stamp"
				break
			fi
			[ "$try" -eq 3 ] || sleep 2
		done
	fi
	exec {lock}>&-
	node=
	for try in "$modules"/node_modules/node-linux-*/bin/node; do
		[ -x "$try" ] && node=$try
	done
	if [ ! -f "$modules/.stamp" ] || [ -z "$node" ]; then
		tail -n 5 "$modules.log" >&2
		return 1
	fi
}
