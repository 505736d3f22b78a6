#!/bin/bash
# SPDX-License-Identifier: ISC
#
# How fast a backlog reaches Postgres, and how much memory auditd takes for
# it.  DRAIN_ROWS: records of the backlog (1000000).

. "$(dirname "$0")/../lib/harness.sh"

rows=${DRAIN_ROWS:-1000000}
postgres_start 'fsync = on' 'max_wal_size = 4GB' 'shared_buffers = 128MB' || die 'a private Postgres starts' running
out=$(audit_database trail) || die 'the schema loads' 'exit 0' "$out"
sql trail 'ALTER ROLE pontifex_audit LOGIN' >/dev/null
AUDIT_DSN=$(dsn pontifex_audit trail)
export AUDIT_DSN
shop "$work/shop"
key=$(key_add -o alice -s shop:order:read -r 1000000)
daemon_start || die 'the daemon starts' ready
call "$key" order_lookup '{"order_id":1001}'
daemon_stop
# The same call again and again, chained as auditd does.
python3 - "$dir/audit" "$rows" <<'EOF'
import glob, hashlib, json, sys
folder, rows = sys.argv[1], int(sys.argv[2])
name = sorted(glob.glob(folder + "/*.jsonl"))[-1]
lines = open(name).read().splitlines()
model = next(l for l in reversed(lines) if '"kind":"call"' in l)
last = json.loads(lines[-1])
seq, prev = last["seq"], last["hash"]
body = model[model.index(","): model.index(',"prev_hash"')] + "}"
with open(name, "a") as f:
    for n in range(seq + 1, seq + rows + 1):
        text = '{"seq":%d%s' % (n, body)
        prev, before = hashlib.sha256((prev + text).encode()).hexdigest(), prev
        f.write('%s,"prev_hash":"%s","hash":"%s"}\n' % (text[:-1], before, prev))
EOF
sed -i 's/^\tjournal "audit"/&\n\tpostgres from env "AUDIT_DSN"/' "$conf"
daemon_start || die 'it starts with the backlog' ready
begin=$(date +%s%N)
done_now() { [ "$(sql trail 'SELECT coalesce(max(seq), 0) FROM pontifex.audit')" -ge "$rows" ]; }
until_true 600 done_now || die 'the backlog is drained' "$rows" "$(sql trail 'SELECT count(*) FROM pontifex.audit')"
ms=$((($(date +%s%N) - begin) / 1000000))
peak=$(awk '/VmHWM/ { print $2 }' "/proc/$(child_pids auditd)/status")
printf 'drain: %d records in %d ms: %d a second (target 20000), auditd at most %d KiB (target 65536)\n' \
    "$rows" "$ms" $((rows * 1000 / ms)) "$peak"
daemon_stop
[ "$failed" -eq 0 ]
