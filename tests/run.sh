#!/bin/bash
# SPDX-License-Identifier: ISC
#
# `make check': builds, then runs every test there is, first in the plain
# build and then, the unit, system and hostile tests, in one with the address
# and undefined-behaviour sanitizers.  Ends with `N passed, N failed', and
# succeeds only where nothing failed and nothing was left out for want of a
# part.  Arguments choose parts, for trying: `bash tests/run.sh unit system`;
# `ONLY=word' chooses among scripts by name, `SANITIZED=no' leaves that out.
#
# Most scripts wait more than they compute: JOBS of them run side by side, each
# with ports and a folder of its own, and what lint computes beside them.  One
# that says `# runs alone: WHY' among its first lines has the machine to itself;
# `# runs once: WHY' keeps it out of the sanitized build.

set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
build=${BUILD:-build}
parts=${*:-lint unit fuzz system hostile clients}
log_dir=$build/check
passed=0 failed=0 skipped=0
failures=()
begun=$SECONDS

# The whole run is bounded, and so is each script.
TOTAL=${CHECK_SECONDS:-1170}
EACH=${CHECK_EACH:-300}
JOBS=${JOBS:-3}

wants() { case " $parts " in *" $1 "*) ;; *) return 1 ;; esac; }

remember() { # NAME
	failed=$((failed + 1))
	failures+=("$1")
	echo "not ok - $1"
}

# settle LABEL FILE RC SECONDS LIMIT: counts the lines of a program that ended.
settle() {
	local label=$1 out=$2 rc=$3 took=$4 limit=$5 p f s line
	p=$(grep -aEc '^ok( |$)' "$out")
	f=$(grep -aEc '^not ok( |$)' "$out")
	s=$(grep -aEic '^ok .*# SKIP' "$out")
	passed=$((passed + p - s))
	skipped=$((skipped + s))
	failed=$((failed + f))
	[ "$p" -eq 0 ] && [ "$f" -eq 0 ] && [ "$rc" -eq 0 ] &&
	    remember "$label: wanted at least one test, got none"
	while IFS= read -r line; do
		[ -n "$line" ] && failures+=("$label: ${line#not ok}")
	done < <(grep -aE '^not ok' "$out")
	if [ "$rc" -eq 124 ] || [ "$rc" -eq 137 ]; then
		remember "$label: wanted an end within $limit s, got none"
	elif [ "$rc" -ne 0 ] && [ "$f" -eq 0 ]; then
		remember "$label: wanted exit 0, got $rc"
	fi
	printf '%-44s %4d passed %3d failed%s  (%d s)\n' "$label" "$((p - s))" \
	    "$f" "$([ "$s" -gt 0 ] && echo ", $s skipped")" "$took"
	grep -aE '^ok .*# SKIP' "$out" | sed 's/^ok/  skipped/'
	grep -aE '^not ok' "$out" | sed 's/^/  /'
	if [ "$rc" -ne 0 ] && [ "$f" -eq 0 ]; then
		tail -n 15 "$out" | sed 's/^/  | /'
	fi
}

# Those that run now, by pid: what settle() will want to know.
declare -A label_of=() out_of=() begin_of=() limit_of=()

# Waits for one of them to end.
reap() {
	local pid rc
	wait -n -p pid "${!label_of[@]}"
	rc=$?
	settle "${label_of[$pid]}" "${out_of[$pid]}" "$rc" \
	    $((SECONDS - begin_of[$pid])) "${limit_of[$pid]}"
	unset "label_of[$pid]" "out_of[$pid]" "begin_of[$pid]" "limit_of[$pid]"
}

# Lint has a place of its own: it is nice, and takes no turn of a script's.
lint=
counted() { local n=${#label_of[@]}; [ -z "$lint" ] || [ -z "${label_of[$lint]:-}" ] || n=$((n - 1)); echo "$n"; }

# room N: waits until fewer than N run, lint not counted.
room() { while [ "$(counted)" -ge "$1" ]; do reap; done; }

# run WIDTH LABEL FILE COMMAND...: starts a test program when there is room; it is
# alone where WIDTH is 1.
run() {
	local width=$1 label=$2 out=$3 limit=${LIMIT:-$EACH} left
	shift 3
	room "$width"
	left=$((TOTAL - (SECONDS - begun)))
	if [ "$left" -le 5 ]; then
		remember "$label: no time left (the whole run takes $TOTAL s at most)"
		return
	fi
	[ "$left" -lt "$limit" ] && limit=$left
	timeout -k 10 "$limit" "$@" >"$out" 2>&1 </dev/null &
	label_of[$!]=$label out_of[$!]=$out begin_of[$!]=$SECONDS limit_of[$!]=$limit
	[ "$width" -gt 1 ] || room 1
}

# Whether a script is for the plain build alone.
once() { head -n 30 "$1" | grep -q '^# runs once: '; }

# How many may run beside this script.
width_of() { if head -n 30 "$1" | grep -q '^# runs alone: '; then echo 1; else echo "$JOBS"; fi; }

# One build, with everything that it tests.
build_all() { # LABEL ARGUMENT...
	local label=$1 out
	shift
	out=$log_dir/$label.log
	# A fresh make: nothing of the one that may have called us.
	if env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u BUILD -u SANITIZE \
	    make -s -j2 "$@" all tests >"$out" 2>&1 </dev/null; then
		echo "built: $label"
		return 0
	fi
	tail -n 30 "$out"
	remember "$label: wanted a build, got errors ($out)"
	return 1
}

chosen() { case $1 in *"${ONLY:-}"*) ;; *) return 1 ;; esac; }

# run_parts LABEL-SUFFIX BUILD PART...
run_parts() {
	local suffix=$1 where=$2 part program name
	shift 2
	for part in "$@"; do
		wants "$part" || continue
		case $part in
		unit)
			for program in tests/unit/test_*.c; do
				name=$(basename "$program" .c)
				[ -f "$program" ] && chosen "$name" || continue
				run "$JOBS" "unit/$name$suffix" "$log_dir/$name$suffix.log" \
				    env CMOCKA_MESSAGE_OUTPUT=TAP "$where/tests/unit/$name"
			done ;;
		*)
			for program in tests/"$part"/*.sh; do
				name=$(basename "$program" .sh)
				[ -f "$program" ] && chosen "$name" || continue
				[ -n "$suffix" ] && once "$program" && continue
				run "$(width_of "$program")" "$part/$name$suffix" \
				    "$log_dir/$part-$name$suffix.log" \
				    env BUILD="$where" bash "$program"
			done ;;
		esac
	done
	room 1
}

mkdir -p "$log_dir" || exit 1
case $build in /*) plain=$build ;; *) plain=$top/$build ;; esac
sanitized=$plain-asan

if build_all plain BUILD="$build"; then
	if wants lint; then
		LIMIT=1100 run "$JOBS" lint "$log_dir/lint.log" nice env BUILD="$plain" bash tests/lib/lint.sh
		lint=$!
	fi
	run_parts '' "$plain" unit fuzz system hostile clients
fi

if [ "${SANITIZED:-yes}" = yes ] && { wants unit || wants system || wants hostile; }; then
	# A report ends the process at once, and with another status than 0.
	# Leaks: a child that its parent ends does not get to count them.
	export ASAN_OPTIONS="abort_on_error=1:detect_leaks=0:detect_stack_use_after_return=0"
	export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
	if build_all sanitized BUILD="$build-asan" SANITIZE=1; then
		run_parts ' (sanitized)' "$sanitized" unit system hostile
	fi
fi

while [ "${#label_of[@]}" -gt 0 ]; do reap; done

if [ "${#failures[@]}" -gt 0 ]; then
	echo
	echo 'What failed:'
	printf '  %s\n' "${failures[@]}"
fi
echo
tail=
[ "$skipped" -gt 0 ] && tail=", $skipped skipped"
echo "took $((SECONDS - begun)) s; each test's own output: $log_dir/"
echo "$passed passed, $failed failed$tail"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
