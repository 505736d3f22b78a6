-- SPDX-License-Identifier: ISC
-- What the benchmark reads (one row of 100,000, by its key), and the table
-- that the SDK peer writes its trail to.
CREATE TABLE items (
	id          integer PRIMARY KEY,
	name        text NOT NULL,
	price_cents integer NOT NULL,
	quantity    integer NOT NULL,
	note        text
);
INSERT INTO items SELECT i, 'item number ' || i, (i * 37) % 100000, i % 500, 'a note on item ' || i
  FROM generate_series(1, 100000) AS i;
CREATE TABLE sdk_audit (
	id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	key_id      text, owner_id text, tool_name text, tool_params jsonb, outcome text,
	response_ms integer, ip_address inet, timestamp timestamptz NOT NULL DEFAULT now()
);
CREATE ROLE bench LOGIN;
GRANT SELECT ON items TO bench;
GRANT INSERT ON sdk_audit TO bench;
VACUUM ANALYZE items;
