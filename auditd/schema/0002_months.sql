-- SPDX-License-Identifier: ISC
--
-- 2: the table by months, with queue_us and via.  A table that is one piece is
-- taken over with all its rows; that takes as long as copying them does, and
-- auditd waits meanwhile.

BEGIN;
SET LOCAL client_min_messages = warning;

-- One partition.  What the default one has of its months stays there, and so does what follows.
CREATE OR REPLACE FUNCTION pontifex.audit_partition(month date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
	name text := 'audit_' || to_char(month, 'YYYY_MM');
BEGIN
	IF to_regclass('pontifex.' || quote_ident(name)) IS NOT NULL THEN
		RETURN false;
	END IF;
	EXECUTE format('CREATE TABLE pontifex.%I PARTITION OF pontifex.audit FOR VALUES FROM (%L) TO (%L)', name,
		to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00',
		to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
	EXECUTE format('CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON pontifex.%I '
		'FOR EACH STATEMENT EXECUTE FUNCTION pontifex.audit_is_append_only()', name);
	EXECUTE format('REVOKE ALL ON pontifex.%I FROM PUBLIC', name);
	RETURN true;
EXCEPTION WHEN check_violation THEN
	RETURN false;
END
$$;

-- This month's and those ahead; auditd calls it when it connects and once a day.
CREATE OR REPLACE FUNCTION pontifex.audit_partitions(ahead integer DEFAULT 3) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
	made integer := 0;
	this date := date_trunc('month', now() AT TIME ZONE 'UTC')::date;
BEGIN
	IF ahead IS NULL OR ahead NOT BETWEEN 0 AND 24 THEN
		RAISE EXCEPTION 'months ahead: 0 to 24';
	END IF;
	-- Several nodes ask at once.
	PERFORM pg_advisory_xact_lock(hashtextextended('pontifex.audit_partitions', 0));
	FOR n IN 0 .. ahead LOOP
		IF pontifex.audit_partition((this + n * interval '1 month')::date) THEN
			made := made + 1;
		END IF;
	END LOOP;
	RETURN made;
END
$$;
REVOKE ALL ON FUNCTION pontifex.audit_partition(date), pontifex.audit_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pontifex.audit_partitions(integer) TO pontifex_audit;

DO $$
DECLARE
	month date;
	before bigint;
	after bigint;
BEGIN
	IF (SELECT relkind FROM pg_class WHERE oid = 'pontifex.audit'::regclass) = 'p' THEN
		RETURN;
	END IF;
	LOCK TABLE pontifex.audit IN ACCESS EXCLUSIVE MODE;
	DROP VIEW IF EXISTS pontifex.audit_calls;
	ALTER TABLE pontifex.audit RENAME TO audit_one_piece;
	ALTER TABLE pontifex.audit_one_piece DROP CONSTRAINT audit_pkey;
	DROP INDEX IF EXISTS pontifex.audit_timestamp, pontifex.audit_owner, pontifex.audit_tool, pontifex.audit_key,
		pontifex.audit_request;
	CREATE TABLE pontifex.audit (LIKE pontifex.audit_one_piece INCLUDING DEFAULTS INCLUDING CONSTRAINTS
		INCLUDING COMMENTS) PARTITION BY RANGE ("timestamp");
	ALTER TABLE pontifex.audit ADD COLUMN IF NOT EXISTS queue_us bigint, ADD COLUMN IF NOT EXISTS via inet;
	ALTER TABLE pontifex.audit ADD PRIMARY KEY (node, seq, "timestamp");
	FOR month IN SELECT DISTINCT date_trunc('month', "timestamp" AT TIME ZONE 'UTC')::date
		FROM pontifex.audit_one_piece WHERE "timestamp" BETWEEN '2000-01-01' AND '2100-01-01' LOOP
		PERFORM pontifex.audit_partition(month);
	END LOOP;
	CREATE TABLE pontifex.audit_rest PARTITION OF pontifex.audit DEFAULT;
	INSERT INTO pontifex.audit SELECT * FROM pontifex.audit_one_piece;
	SELECT count(*) INTO before FROM pontifex.audit_one_piece;
	SELECT count(*) INTO after FROM pontifex.audit;
	IF before <> after THEN
		RAISE EXCEPTION 'records before %, after %', before, after;
	END IF;
	DROP TABLE pontifex.audit_one_piece;
END
$$;

CREATE INDEX IF NOT EXISTS audit_timestamp ON pontifex.audit USING brin ("timestamp");
CREATE INDEX IF NOT EXISTS audit_owner ON pontifex.audit (owner_id, "timestamp");
CREATE INDEX IF NOT EXISTS audit_tool ON pontifex.audit (tool_name, "timestamp");
CREATE INDEX IF NOT EXISTS audit_key ON pontifex.audit (key_id, "timestamp");
CREATE INDEX IF NOT EXISTS audit_request ON pontifex.audit (request_id);
CREATE OR REPLACE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON pontifex.audit
	FOR EACH ROW EXECUTE FUNCTION pontifex.audit_is_append_only();
CREATE OR REPLACE TRIGGER audit_no_truncate BEFORE TRUNCATE ON pontifex.audit
	FOR EACH STATEMENT EXECUTE FUNCTION pontifex.audit_is_append_only();
CREATE OR REPLACE TRIGGER audit_no_truncate BEFORE TRUNCATE ON pontifex.audit_rest
	FOR EACH STATEMENT EXECUTE FUNCTION pontifex.audit_is_append_only();
SELECT pontifex.audit_partitions();

-- One row a call.  Of a call that writes, the outcome's row tells what the intent said before it ran
-- (who, what, with which arguments) and when; an intent that has no outcome yet is a row of its own, `pending'.
-- A decision that was superseded, and what came after a call was counted, are no calls.
CREATE OR REPLACE VIEW pontifex.audit_calls AS
SELECT r.node, r.seq, COALESCE(i."timestamp", r."timestamp") AS "timestamp", r.kind, r.request_id, r.calls,
	CASE WHEN r.kind = 'intent' THEN 'pending' ELSE r.outcome END AS outcome, r.reason,
	r.namespace, r.credential, COALESCE(r.key_id, i.key_id) AS key_id, COALESCE(r.owner_id, i.owner_id) AS owner_id,
	COALESCE(r.owner_label, i.owner_label) AS owner_label, r.transport, COALESCE(r.method, i.method) AS method,
	COALESCE(r.tool_name, i.tool_name) AS tool_name, COALESCE(r.tool_params, i.tool_params) AS tool_params,
	COALESCE(r.data_source, i.data_source) AS data_source, r.cache_hit, r.response_ms, r.response_us, r.source_us,
	r.rows_returned, r.bytes_returned, r.truncated, r.error, COALESCE(r.ip_address, i.ip_address) AS ip_address,
	r.delegated_audience, COALESCE(r.revision, i.revision) AS revision, COALESCE(r.client, i.client) AS client,
	COALESCE(r.traceparent, i.traceparent) AS traceparent, COALESCE(r.tool_digest, i.tool_digest) AS tool_digest,
	COALESCE(i.config_digest, r.config_digest) AS config_digest, r.undecided,
	i.seq AS intent_seq, i."timestamp" AS intended_at, r."timestamp" AS recorded_at,
	r.queue_us, COALESCE(r.via, i.via) AS via
FROM pontifex.audit AS r
LEFT JOIN LATERAL (
	SELECT * FROM pontifex.audit AS x
	WHERE r.kind = 'outcome' AND x.kind = 'intent' AND x.request_id = r.request_id AND x.node = r.node
	ORDER BY x.seq LIMIT 1
) AS i ON true
WHERE r.kind <> 'event' AND (r.calls > 0 OR (r.kind = 'intent' AND NOT EXISTS (
	SELECT FROM pontifex.audit AS o
	WHERE o.kind = 'outcome' AND o.request_id = r.request_id AND o.node = r.node)));

COMMENT ON TABLE pontifex.audit IS 'Audit records of pontifexd; (node, seq) has no gap, hash chains each to the one before';
COMMENT ON COLUMN pontifex.audit.calls IS 'How many calls this record stands for; over all records the sum is what was asked';
COMMENT ON COLUMN pontifex.audit.record IS 'The text that was hashed: hash = SHA-256(prev_hash || record)';
REVOKE ALL ON pontifex.audit, pontifex.audit_rest, pontifex.audit_calls FROM PUBLIC, pontifex_audit, pontifex_auditor;
GRANT INSERT ON pontifex.audit TO pontifex_audit;
GRANT SELECT ON pontifex.audit, pontifex.audit_calls TO pontifex_auditor;

INSERT INTO pontifex.schema_version (version) VALUES (2) ON CONFLICT DO NOTHING;
COMMIT;
