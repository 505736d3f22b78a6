#!/bin/bash
# SPDX-License-Identifier: ISC
#
# pontifexctl diff: what a reload would change, by field, before it does; for
# people, as JSON, and by the exit status.  No secret is in it.

. "$(dirname "$0")/../lib/harness.sh"

shop "$work/shop"
postgres_secret='host=/nowhere user=u password=sentinel-of-the-dsn'
printf '%s\n' "$postgres_secret" >"$dir/dsn"
chmod 600 "$dir/dsn"
cat >>"$conf" <<'EOF'
source far postgres {
	dsn from file "dsn"
}
EOF
key=$(key_add -o alice -s shop:order:read)
daemon_start || die 'the daemon starts'
cp "$conf" "$work/good"
before=$(child_pids | tr '\n' ' ')
diff_of() { said=$(ctl diff "$@" 2>&1); code=$?; }

diff_of
is 'nothing differs' '0 nothing differs' "$code $said"
echo '# a remark' >>"$conf"
diff_of
is 'a remark is no difference' '0 the text differs, and nothing that it says' "$code $said"

sed -e 's/limit rows 100/limit rows 50/' -e '/^tool order_lookup/,/^}/s/shop:order:read/shop:order:see/' \
    -e 's/ORDER BY placed_on DESC/ORDER BY placed_on/' -e 's/^tool order_cancel/tool order_annul/' \
    -e 's/dsn from file "dsn"/dsn from file "other"\n\tconnections 9/' \
    -e 's/rate 600/rate 60/' "$work/good" >"$conf"
cat >>"$conf" <<'EOF'
listen on 127.0.0.1 port 1
EOF
sed -i 's,^auth {,&\n\tissuer "https://id.example" {\n\t\taudience "https://mcp.example"\n\t\tscopes from "scope"\n\t},' "$conf"
echo 'public url "https://mcp.example/mcp"' >>"$conf"
diff_of
is 'differences' 1 "$code"
for line in '^tool order_lookup: changed$' '^  scope: shop:order:read -> shop:order:see$' '^  limit rows: 100 -> 50$' \
    '^    - .*ORDER BY placed_on DESC LIMIT' '^    \+ .*ORDER BY placed_on LIMIT' '^tool order_cancel: removed$' \
    '^tool order_annul: added$' '^source far: changed$' '^  connections: 4 -> 9$' '^    \+ from file ".*/other"$' \
    '^issuer https://id.example: added$' '^daemon: changed$' '^  auth rate: 600 per 60s burst 600 -> 60 per 60s burst 60$' \
    "127.0.0.1 port 1\$"; do
	like "for people: $line" "$line" "$said"
done
diff_of -j
is 'JSON exits alike' 1 "$code"
is 'and is one object' object "$(jq -r type <<<"$said")"
is 'what of which tool' '["limit rows","sql"]' \
    "$(jq -c '[.changes[] | select(.kind == "tool" and .name == "orders_search") | .fields[].field] | sort' <<<"$said")"
is 'with both values' '["100","50"]' \
    "$(jq -c '.changes[] | select(.name == "orders_search") | .fields[] | select(.field == "limit rows") | [.old, .new]' <<<"$said")"
is 'nothing needs a restart' null "$(jq -c .needs_restart <<<"$said")"
unlike 'no secret is in it' 'sentinel-of-the-dsn' "$said"
call "$key" order_lookup '{"order_id":1001}'
is 'and nothing has changed' "200 $before" "$status $(child_pids | tr '\n' ' ')"

sed 's,journal "audit",journal "elsewhere",' "$work/good" >"$conf"
diff_of
like 'what needs a restart is said' 'a reload is refused: audit journal cannot change while the daemon runs' "$said"
is 'also in JSON' '"audit journal"' "$(ctl diff -j | jq -c .needs_restart)"
echo 'tool x {' >>"$conf"
diff_of
is 'a file with errors is trouble' 2 "$code"
like 'which are told' "^$conf:[0-9]+: " "$said"
ctl diff -x >/dev/null 2>&1
is 'as is wrong usage' 2 "$?"
"$build/pontifexctl" -s "$dir/nobody.sock" diff >/dev/null 2>&1
is 'and no answer' 2 "$?"
done_testing
