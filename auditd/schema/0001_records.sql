-- SPDX-License-Identifier: ISC
--
-- 1: the roles, the schema and the table of records.

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

CREATE TABLE IF NOT EXISTS pontifex.schema_version (
	version  integer     PRIMARY KEY,
	applied  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE pontifex.schema_version IS 'Which files of auditd/schema have been loaded';

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
	source_us           bigint,
	rows_returned       numeric(20),
	bytes_returned      numeric(20),
	truncated           boolean,
	error               text,
	ip_address          inet,
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

REVOKE ALL ON pontifex.audit, pontifex.schema_version FROM PUBLIC, pontifex_audit, pontifex_auditor;
REVOKE ALL ON FUNCTION pontifex.audit_is_append_only() FROM PUBLIC;
REVOKE ALL ON SCHEMA pontifex FROM pontifex_audit, pontifex_auditor;
GRANT USAGE ON SCHEMA pontifex TO pontifex_audit, pontifex_auditor;
GRANT INSERT ON pontifex.audit TO pontifex_audit;
GRANT SELECT ON pontifex.schema_version TO pontifex_audit;
GRANT SELECT ON pontifex.audit, pontifex.schema_version TO pontifex_auditor;

INSERT INTO pontifex.schema_version (version) VALUES (1) ON CONFLICT DO NOTHING;
COMMIT;
