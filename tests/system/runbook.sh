#!/bin/bash
# SPDX-License-Identifier: ISC
#
# docs/runbook.md: each fault is caused, and the page's commands for it are run
# and print what it says; so is the reload of docs/deploy.md.  The commands are
# those of an installed daemon: wrappers lead them to the one of this test.
# And each line that status can print as `!!' is on the page.
# runs once: what it runs is run with the sanitizers by the tests of each part

. "$(dirname "$0")/../lib/harness.sh"

page=$top/docs/runbook.md
mkdir "$work/bin"
cat >"$work/bin/pontifexctl" <<'EOF'
#!/bin/sh
# Where the installed daemon has its things, this one has its own.
case $1 in
audit) command=$2; shift 2; set -- audit "$command" -j "$RUN_DIR/audit" "$@" ;;
key) command=$2; shift 2; set -- key "$command" -F "$RUN_DIR/keys" "$@" ;;
esac
exec "$RUN_BUILD/pontifexctl" -s "$RUN_DIR/run/control.sock" "$@"
EOF
printf '#!/bin/sh\nexec "$RUN_BUILD/pontifexd" -f "$RUN_DIR/pontifex.conf" "$@"\n' >"$work/bin/pontifexd"
printf '#!/bin/sh\nexec /bin/df "$1" "$RUN_DIR/audit"\n' >"$work/bin/df"
chmod 755 "$work"/bin/*

# does WORD [PAGE]: the page's commands for this fault.
does() {
	local out
	rm -rf "$work/page" "$work/page.results"
	out=$(RUN_BUILD=$build RUN_DIR=$dir PATH=$work/bin:$PATH python3 "$lib/page.py" "${2:-$page}" "$work/page" "$port" "$1" 2>&1)
	printf '%s\n' "$out" | sed "s/^\(not \)\{0,1\}ok - /&$1: /"
	passed=$((passed + $(grep -c '^ok ' <<<"$out")))
	failed=$((failed + $(grep -c '^not ok ' <<<"$out")))
	[ -n "$out" ] || not_ok "the page has commands for $1" 'a block' none
}
answers() { call "$key" order_lookup '{"order_id":1001}'; [ "$status" = 200 ] && [ "$(error_code)" = "${1:-none}" ]; }
# Not a pipe: status exits 3 where something is wrong.
status_has() { grep -q -- "$1" <<<"$(ctl status)"; }

# -- all well; a process that is killed; a key that leaked
shop "$work/shop"
key=$(key_add -o alice -s shop:order:read -i alice1 -r 1000000)
daemon_start || die 'the daemon starts' ready
answers || die 'a call is served' 200 "$status"
like 'all is well to begin with' 'all well' "$(ctl status | head -n 1)"
cp "$conf" "$work/good.conf"
echo 'tool broken {' >>"$conf"
fails 'a bad file is refused' ctl reload
like 'status says so' '^!! the last reload was refused' "$(ctl status | sed -n 2p)"
does reload-refused
cp "$work/good.conf" "$conf"
for word in status verify keys refused; do does $word; done
cat >>"$conf" <<'EOF'
tool order_count {
	description "How many orders there are."
	scope "shop:order:read"
	source shop
	sql "SELECT count(*) AS orders FROM orders"
}
EOF
does reload "$top/docs/deploy.md"
call "$key" order_count '{}'
is 'the new tool is in force' 200 "$status"
kill -9 "$(child_pids handler | head -n 1)"
until_true 20 status_has '!! handler'
does killed
does leak
refused() { answers; [ "$status" = 401 ]; }
succeeds 'the revoked key is refused' until_true 10 refused

# -- a journal that cannot be written
segment=$(ls "$dir"/audit/*.jsonl)
mv "$segment" "$work/away"
call '' order_lookup '{"order_id":1001}'
until_true 20 status_has 'cannot be written'
does unwritable
mv "$work/away" "$segment"
daemon_stop
does stopped

# -- Postgres of the trail is away, then what waits is too much
shop "$work/drain"
AUDIT_DSN="host=$work user=nobody dbname=none"
export AUDIT_DSN
sed -i 's|^\tjournal "audit".*|\tjournal "audit" limit 32K\n\tpostgres from env "AUDIT_DSN"|' "$conf"
key=$(key_add -o alice -s shop:order:read -r 1000000)
daemon_start || die 'the daemon starts without its audit database' ready
answers
until_true 20 status_has 'not connected'
does postgres-down
n=0
while answers && [ "$n" -lt 200 ]; do n=$((n + 1)); done
is 'calls are refused at the limit' overloaded "$(error_code)"
until_true 20 status_has 'over its limit'
does full
daemon_stop

# -- a source and an issuer that are not there
shop "$work/source"
SHOP_DSN="host=$work user=nobody dbname=none"
export SHOP_DSN
sed -i -e 's|^source shop .*|source shop postgres {\n\tdsn from env "SHOP_DSN"\n}|' -e "s|^auth {|public url \"http://127.0.0.1:$port/mcp\"\n&\n\tissuer \"https://127.0.0.1:$(free_port)\" {\n\t\taudience \"x\"\n\t\tallow private\n\t}|" "$conf"
key=$(key_add -o alice -s shop:order:read -r 1000000)
# Without a source it never becomes ready: that it lives is waited for.
daemon_ready() { [ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/health/live")" = 200 ]; }
daemon_start || die 'the daemon starts without its source and its issuer' alive
succeeds 'a source that is down is told of, though nobody has called' until_true 20 status_has '^!! source shop has no connection that is up'
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do call "$key" order_lookup '{"order_id":1001}'; done
is 'a call says that its source is down' source_unavailable "$(error_code)"
until_true 20 status_has '!! source'
does source-down
until_true 20 status_has '!! issuer'
does issuer-down
daemon_stop

# -- a Redis that is not there
shop "$work/redis"
REDIS_URL=redis://127.0.0.1:$(free_port)
export REDIS_URL
sed -i 's|^auth {|redis from env "REDIS_URL"\n&|' "$conf"
key=$(key_add -o alice -s shop:order:read -r 1000000)
daemon_start || die 'the daemon starts without its Redis' ready
succeeds 'a call is served without Redis' answers
until_true 20 status_has 'Redis is away'
does redis-down
daemon_stop

# -- nothing that status says is missing on the page
python3 - "$top/daemon/ctl_judge.c" "$page" >"$work/missing" <<'EOF'
import re, sys
source, page = (open(p, encoding="utf-8").read() for p in sys.argv[1:])
page = re.sub(r"\s+", " ", page)
texts = re.findall(r'\{ STAT_\w+, (?:IS|ABOVE), \w+, [01], ((?:"[^"]*"\s*)+)\}', source) + re.findall(r'add\(l, 1, ((?:"[^"]*"\s*)+)', source)
print(len(texts))
for text in texts:
    text = "".join(re.findall(r'"([^"]*)"', text)).replace("audit: ", "")
    pieces = [p.strip() for p in re.split(r"%\w+|[:;,(]", text)]
    if not any(len(p) > 8 and p in page for p in pieces):
        print("missing: " + text)
EOF
number 'the lines of status are found in its source' "$(head -n 1 "$work/missing")" -ge 20
is 'each line that status can print is on the page' '' "$(sed 1d "$work/missing")"
done_testing
