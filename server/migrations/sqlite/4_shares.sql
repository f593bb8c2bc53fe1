-- What a namespace holds: policies, bytes of their newest versions, bytes of all versions. Kept up to date by every write, so
-- that no write has to count.
CREATE TABLE namespace_usage (
    namespace TEXT   NOT NULL PRIMARY KEY,
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
CREATE TABLE decisions_with_ids (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    id               BLOB    NOT NULL,
    request_id       TEXT    NOT NULL,
    at_ms            BIGINT  NOT NULL,
    namespace        TEXT    NOT NULL,
    subject          TEXT    NOT NULL,
    decision         TEXT    NOT NULL,
    reason           TEXT,
    matched_rules    TEXT    NOT NULL,
    matched_policies TEXT    NOT NULL,
    errors           BIGINT  NOT NULL,
    revision         TEXT    NOT NULL,
    duration_ns      BIGINT  NOT NULL,
    cached           BOOLEAN NOT NULL,
    context          TEXT,
    UNIQUE (request_id, id)
);
INSERT INTO decisions_with_ids (seq, id, request_id, at_ms, namespace, subject, decision, reason, matched_rules,
    matched_policies, errors, revision, duration_ns, cached, context)
SELECT seq, unhex(printf('%012x', at_ms) || '00000000000000000000'), request_id, at_ms, namespace, subject, decision, reason,
    matched_rules, matched_policies, errors, revision, duration_ns, cached, context
FROM decisions ORDER BY seq;
-- Numbers are never given twice, also where the newest decisions were pruned.
DELETE FROM sqlite_sequence WHERE name = 'decisions_with_ids';
INSERT INTO sqlite_sequence (name, seq) SELECT 'decisions_with_ids', seq FROM sqlite_sequence WHERE name = 'decisions';
DROP TABLE decisions;
ALTER TABLE decisions_with_ids RENAME TO decisions;
CREATE INDEX decisions_by_time ON decisions (at_ms);
CREATE INDEX decisions_by_outcome ON decisions (decision, seq);
CREATE INDEX decisions_by_namespace ON decisions (namespace, seq);
