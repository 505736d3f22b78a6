#!/bin/bash
# SPDX-License-Identifier: ISC
#
# docs/migrate.md: its commands on a table of keys of the old form, after which
# an old key makes a call; and its view over both trails.

. "$(dirname "$0")/../lib/harness.sh"

old=sk_live_abcdefghijklmnopqrstuvwxyz012345
revoked=sk_live_ABCDEFGHIJKLMNOPQRSTUVWXYZ543210
hash() { printf %s "$1" | sha256sum | cut -c1-64; }
mkdir "$work/page"
ln -s "$build" "$work/page/build"
sqlite3 "$work/page/old.db" <<EOF
CREATE TABLE api_keys (key_id TEXT PRIMARY KEY, key_hash TEXT NOT NULL UNIQUE, owner_id TEXT NOT NULL, owner_label TEXT NOT NULL,
	scopes JSON NOT NULL, rate_limit_rpm INTEGER NOT NULL DEFAULT 60, is_active BOOLEAN NOT NULL DEFAULT 1, expires_at TEXT,
	last_used_at TEXT, created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
INSERT INTO api_keys (key_id, key_hash, owner_id, owner_label, scopes) VALUES
	('key_alice', '$(hash $old)', 'alice', 'Alice', '["shop:order:read"]');
INSERT INTO api_keys (key_id, key_hash, owner_id, owner_label, scopes, is_active) VALUES
	('key_bob', '$(hash $revoked)', 'bob', 'Bob', '["shop:order:read"]', 0);
EOF
out=$(python3 "$lib/page.py" "$top/docs/migrate.md" "$work/page" 8080 2>&1)
printf '%s\n' "$out"
passed=$((passed + $(grep -c '^ok ' <<<"$out")))
failed=$((failed + $(grep -c '^not ok ' <<<"$out")))
number 'the page has commands to run' "$(grep -c '^ok ' <<<"$out")" -ge 1

shop "$work/shop"
cp "$work"/page/keys* "$dir/"
postgres_start || die 'Postgres starts' started
audit_database trail >/dev/null
sed -i 's/^	journal .*/&\n	postgres from env "AUDIT_DSN"/' "$conf"
AUDIT_DSN=$(dsn pontifex_audit trail)
export AUDIT_DSN
daemon_start || die 'the daemon starts with the imported keys' ready
call $old order_lookup '{"order_id":1001}'
is 'an old key makes a call as it is' '200 Acme GmbH' "$status $(jqb '.result.structuredContent.rows[0].customer')"
call $revoked order_lookup '{"order_id":1001}'
is 'one that was not active there is none here' 401 "$status"

sql trail 'CREATE SCHEMA pontifex_mcp_core; CREATE TABLE pontifex_mcp_core.audit_log (id bigserial PRIMARY KEY, "timestamp" timestamptz NOT NULL DEFAULT now(),
	namespace text NOT NULL, key_id text NOT NULL, owner_id text NOT NULL, owner_label text NOT NULL, transport text NOT NULL, tool_name text NOT NULL,
	tool_params jsonb NOT NULL, data_source text NOT NULL, cache_hit boolean NOT NULL, response_ms integer NOT NULL, error text, ip_address inet, delegated_audience text)' >/dev/null
sql trail "INSERT INTO pontifex_mcp_core.audit_log (namespace, key_id, owner_id, owner_label, transport, tool_name, tool_params, data_source, cache_hit, response_ms)
	VALUES ('shop', 'key_alice', 'alice', 'Alice', 'http', 'order_lookup', '{\"order_id\": 7}', 'shop', false, 12)" >/dev/null
awk '/^```sql$/ { on = 1; next } /^```$/ { on = 0 } on' "$top/docs/migrate.md" >"$work/view.sql"
is 'the view over both trails is made' '' "$(sql_file trail "$work/view.sql")"
both() { sql trail "SELECT count(*) || ' ' || sum(calls) FROM public.all_calls WHERE error IS NULL AND tool_name = 'order_lookup' AND owner_id = 'alice'"; }
both_there() { [ "$(both)" = '2 2' ]; }
until_true 20 both_there
is 'and shows the calls of both' '2 2' "$(both)"
daemon_stop
done_testing
