-- SPDX-License-Identifier: ISC
--
-- The audit table of pontifexd.  Load it as a superuser, into the database that the audit DSN names;
-- loading it again changes nothing.  It makes
--   pontifex.audit         the records, one a row, as they stand in the journal
--   pontifex.audit_calls   a view: one row a call or refusal
--   pontifex_audit         the role of auditd: may INSERT and nothing else (give it a password, or
--                          let pg_hba.conf admit it by `peer' or a certificate)
--   pontifex_auditor       a role without login that may read both: GRANT pontifex_auditor TO somebody

BEGIN;
SET LOCAL client_min_messages = warning;

DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pontifex_audit') THEN
		CREATE ROLE pontifex_audit LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION;
	END IF;
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pontifex_auditor') THEN
		CREATE ROLE pontifex_auditor NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
	END IF;
END
$$;
ALTER ROLE pontifex_audit SET statement_timeout = '9s';
ALTER ROLE pontifex_audit SET synchronous_commit = 'on';

CREATE SCHEMA IF NOT EXISTS pontifex;
REVOKE ALL ON SCHEMA pontifex FROM PUBLIC;

CREATE TABLE IF NOT EXISTS pontifex.audit (
	node                text        NOT NULL,
	seq                 bigint      NOT NULL,
	"timestamp"         timestamptz NOT NULL,
	kind                text        NOT NULL CHECK (kind IN ('call', 'refusal', 'intent', 'outcome', 'event')),
	event               text,
	request_id          text,
	calls               bigint      NOT NULL,
	outcome             text,
	reason              text,
	namespace           text,
	credential          text,
	key_id              text,
	owner_id            text,
	owner_label         text,
	transport           text,
	method              text,
	tool_name           text,
	tool_params         jsonb,
	data_source         text,
	cache_hit           boolean,
	response_ms         bigint,
	response_us         bigint,
	queue_us            bigint,
	source_us           bigint,
	rows_returned       numeric(20),
	bytes_returned      numeric(20),
	truncated           boolean,
	error               text,
	ip_address          inet,
	via                 inet,
	delegated_audience  text,
	revision            text,
	client              text,
	traceparent         text,
	tool_digest         text,
	config_digest       text,
	undecided           boolean     NOT NULL DEFAULT false,
	detail              jsonb,
	prev_hash           text        NOT NULL,
	hash                text        NOT NULL,
	record              text        NOT NULL,
	PRIMARY KEY (node, seq)
);

COMMENT ON TABLE pontifex.audit IS 'Audit records of pontifexd; (node, seq) has no gap, hash chains each to the one before';
COMMENT ON COLUMN pontifex.audit.calls IS 'How many calls this record stands for; over all records the sum is what was asked';
COMMENT ON COLUMN pontifex.audit.record IS 'The text that was hashed: hash = SHA-256(prev_hash || record)';

CREATE INDEX IF NOT EXISTS audit_timestamp ON pontifex.audit USING brin ("timestamp");
CREATE INDEX IF NOT EXISTS audit_owner ON pontifex.audit (owner_id, "timestamp");
CREATE INDEX IF NOT EXISTS audit_tool ON pontifex.audit (tool_name, "timestamp");
CREATE INDEX IF NOT EXISTS audit_key ON pontifex.audit (key_id, "timestamp");
CREATE INDEX IF NOT EXISTS audit_request ON pontifex.audit (request_id);

-- The second wall behind the grants: not even the owner changes a record by accident.
CREATE OR REPLACE FUNCTION pontifex.audit_is_append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	RAISE EXCEPTION 'pontifex.audit is append-only: % refused', TG_OP
		USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE OR REPLACE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON pontifex.audit
	FOR EACH ROW EXECUTE FUNCTION pontifex.audit_is_append_only();
CREATE OR REPLACE TRIGGER audit_no_truncate BEFORE TRUNCATE ON pontifex.audit
	FOR EACH STATEMENT EXECUTE FUNCTION pontifex.audit_is_append_only();

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
	i.seq AS intent_seq, i."timestamp" AS intended_at, r."timestamp" AS recorded_at
FROM pontifex.audit AS r
LEFT JOIN LATERAL (
	SELECT * FROM pontifex.audit AS x
	WHERE r.kind = 'outcome' AND x.kind = 'intent' AND x.request_id = r.request_id AND x.node = r.node
	ORDER BY x.seq LIMIT 1
) AS i ON true
WHERE r.kind <> 'event' AND (r.calls > 0 OR (r.kind = 'intent' AND NOT EXISTS (
	SELECT FROM pontifex.audit AS o
	WHERE o.kind = 'outcome' AND o.request_id = r.request_id AND o.node = r.node)));

REVOKE ALL ON pontifex.audit, pontifex.audit_calls FROM PUBLIC, pontifex_audit, pontifex_auditor;
REVOKE ALL ON FUNCTION pontifex.audit_is_append_only() FROM PUBLIC;
REVOKE ALL ON SCHEMA pontifex FROM pontifex_audit, pontifex_auditor;
GRANT USAGE ON SCHEMA pontifex TO pontifex_audit, pontifex_auditor;
GRANT INSERT ON pontifex.audit TO pontifex_audit;
GRANT SELECT ON pontifex.audit, pontifex.audit_calls TO pontifex_auditor;

COMMIT;
