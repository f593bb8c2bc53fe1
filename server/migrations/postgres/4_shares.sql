-- What a namespace holds: policies, bytes of their newest versions, bytes of all versions. Kept up to date by every write, so
-- that no write has to count.
CREATE TABLE namespace_usage (
    namespace TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    policies  BIGINT NOT NULL,
    bytes     BIGINT NOT NULL,
    history   BIGINT NOT NULL
);
INSERT INTO namespace_usage (namespace, policies, bytes, history)
SELECT namespace, 0, 0, SUM(octet_length(source)) FROM policy_versions GROUP BY namespace;
UPDATE namespace_usage SET (policies, bytes) = (
    SELECT COUNT(*), COALESCE(SUM(octet_length(v.source)), 0)
    FROM policies p JOIN policy_versions v ON v.namespace = p.namespace AND v.id = p.id AND v.version = p.latest
    WHERE v.namespace = namespace_usage.namespace
);

-- Decisions are told apart by an id of their own, no longer by the time at which they were made: that stays what it was,
-- however often a caller uses a request id. Ids begin with a time; those of earlier decisions are made of theirs.
ALTER TABLE decisions ADD COLUMN id BYTEA;
UPDATE decisions SET id = decode(lpad(to_hex(at_ms), 12, '0') || repeat('0', 20), 'hex');
ALTER TABLE decisions ALTER COLUMN id SET NOT NULL;
ALTER TABLE decisions DROP CONSTRAINT decisions_request_id_at_ms_key;
ALTER TABLE decisions ADD CONSTRAINT decisions_request_id_id_key UNIQUE (request_id, id);
