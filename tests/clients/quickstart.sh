#!/bin/bash
# SPDX-License-Identifier: ISC
#
# docs/quickstart.md in the clients that it names: the Inspector's block as it
# stands, and Claude Desktop's configuration, read from the page, whose program
# (mcp-remote) is started and spoken to as that host would (desktop.mjs).

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/harness.sh"
. "$lib/npm.sh"

npm_folder "$here" || die 'the npm packages are there' 'npm ci to succeed' "$(tail -n 5 "$modules.log")"
# npx finds what is installed, and in the version that the page names.
for package in @modelcontextprotocol/inspector mcp-remote; do
	version=$(jq -r .version "$modules/node_modules/$package/package.json")
	like "the page names the version of $package that is tested" "$package@$version" "$(cat "$top/docs/quickstart.md")"
done
mkdir "$work/page"
chmod 755 "$work/page"
ln -s "$build" "$work/page/build"
ln -s "$modules/node_modules" "$work/page/node_modules"
cp "$modules/package.json" "$work/page/"
out=$(HOME=$work/page PATH=$(dirname "$node"):$PATH npm_config_offline=true \
    python3 "$lib/page.py" "$top/docs/quickstart.md" "$work/page" "$(free_port)" inspector 2>&1)
printf '%s\n' "$out"
passed=$((passed + $(grep -c '^ok ' <<<"$out")))
failed=$((failed + $(grep -c '^not ok ' <<<"$out")))
like 'the Inspector is among them' 'npx -y @modelcontextprotocol/inspector' "$out"
is 'its call is in the trail, behind that of curl' 2 "$(cat "$work"/page/crm/audit/*.jsonl |
    jq -s '[.[] | select(.tool_name == "customer_by_email" and .outcome == "ok")] | length')"

shop "$work/shop"
key=$(key_add -o alice -s shop:order:read)
daemon_start || die 'the daemon starts' ready
awk '/^```json$/ { on = 1; next } /^```$/ { if (on) exit } on' "$top/docs/quickstart.md" |
    sed -e "s/8080/$port/" -e "s/sk_live_…/$key/" >"$work/desktop.json"
like 'the page has the block of Claude Desktop' mcp-remote "$(jq -r '.mcpServers.crm.args[]' "$work/desktop.json" | paste -sd' ')"
mkdir -p "$work/home"
out=$(cd "$work/page" && HOME=$work/home PATH=$(dirname "$node"):$PATH npm_config_offline=true timeout 60 \
    "$node" "$here/desktop.mjs" "$work/desktop.json" crm order_lookup '{"order_id":1001}' 2>"$work/err")
like 'a desktop client lists the tool through mcp-remote' '^tools .*order_lookup' "$out"
like 'and calls it' '^result .*Acme GmbH' "$out"
is 'and its call is in the trail' 1 "$(journal_count '.tool_name == "order_lookup" and .outcome == "ok" and .owner_id == "alice"')"
[ "$failed" -eq 0 ] || note "$(tail -n 5 "$work/err")"
done_testing
