-- SPDX-License-Identifier: ISC
--
-- The audit table of pontifexd.  Load it with psql as a superuser, into the database that the audit DSN names;
-- loading it again changes nothing, and loading it over an older one brings that up to date.  It makes
--   pontifex.audit         the records, one a row, as they stand in the journal; a partition a month
--   pontifex.audit_calls   a view: one row a call or refusal
--   pontifex_audit         the role of auditd: may INSERT and make the months ahead, nothing else (give it a
--                          password, or let pg_hba.conf admit it by `peer' or a certificate)
--   pontifex_auditor       a role without login that may read both: GRANT pontifex_auditor TO somebody
-- `pontifexctl audit schema' prints the same, or what of it a database lacks, for any client.

\ir schema/0001_records.sql
\ir schema/0002_months.sql
