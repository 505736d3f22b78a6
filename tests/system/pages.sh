#!/bin/bash
# SPDX-License-Identifier: ISC
#
# docs/quickstart.md does what it says: every block of it is run as it stands
# and prints what stands there (lib/page.py).  The Inspector's is run by
# tests/clients/quickstart.sh.

. "$(dirname "$0")/../lib/harness.sh"

mkdir "$work/page"
chmod 755 "$work/page"
ln -s "$build" "$work/page/build"
out=$(python3 "$lib/page.py" "$top/docs/quickstart.md" "$work/page" "$(free_port)" 2>&1)
printf '%s\n' "$out"
passed=$((passed + $(grep -c '^ok ' <<<"$out")))
failed=$((failed + $(grep -c '^not ok ' <<<"$out")))
number 'the page has blocks to run' "$(grep -c '^ok ' <<<"$out")" -ge 8
daemon_log=$work/page/crm/log
sanitizer_silent
like 'audit verify: ok' ok "$("$build/pontifexctl" audit verify -j "$work/page/crm/audit" | tail -n 1)"

# What the page promises is looked at: a block that fails, and one that prints
# something else, are found.
for change in 's/"buy@acme.test" } } }/"nobody@acme.test" } } }/' 's/^configuration ok$/configuration fine/' 's/-o alice -s crm/-o alice -z crm/'; do
	sed "$change" "$top/docs/quickstart.md" >"$work/spoilt.md"
	rm -rf "$work/page2" "$work/page2.results"
	mkdir "$work/page2"
	chmod 755 "$work/page2"
	ln -s "$build" "$work/page2/build"
	like "a page that is not so fails: $change" '^not ok' \
	    "$(python3 "$lib/page.py" "$work/spoilt.md" "$work/page2" "$(free_port)" 2>&1 | grep '^not ok' || echo 'nothing found')"
done
done_testing
