#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The alert rules and the dashboard: promtool takes the rules and they ring
# when they should; each metric that either names is one of the table.
# runs once: it reads texts

. "$(dirname "$0")/../lib/harness.sh"

succeeds 'promtool takes the rules' promtool check rules "$top/rc/alerts.yml"
sed "s|RULES|$top/rc/alerts.yml|" "$top/tests/lib/alerts_test.yml" >"$work/test.yml"
succeeds 'they ring when they should, and not else' promtool test rules "$work/test.yml"
succeeds 'the dashboard is JSON' jq -e '.panels | length > 5' "$top/rc/dashboard.json"
grep -oE '"[a-z_]{3,}"' "$top/common/stats.c" | tr -d '"' | sed 's/^pontifexd_//' | sort -u >"$work/words"
for file in alerts.yml dashboard.json; do
	wrong=
	for name in $(grep -ohE '\bpontifexd_[a-z_]+\b' "$top/rc/$file" | sort -u); do
		base=$(sed -E 's/_(bucket|sum|count)$//' <<<"$name")
		grep -qx "${name#pontifexd_}\|${base#pontifexd_}" "$work/words" || wrong="$wrong $name"
	done
	is "every metric that $file names is one of the table" '' "$wrong"
done
# Each row of the table has its line in docs/watch.md.
is 'docs/watch.md has every metric' '' "$(awk '/^\t\[STAT_/ { row = $0; getline more; print row more }' "$top/common/stats.c" | grep -oE '"(pontifexd_)?[a-z_]{3,}"' | tr -d '"' | sed 's/^pontifexd_//; s/^/pontifexd_/' | sort -u | while IFS= read -r name; do
	grep -q "^| \`$name\`" "$top/docs/watch.md" || echo "$name"
done)"
isnt 'the table was read' 0 "$(wc -l <"$work/words")"
done_testing
