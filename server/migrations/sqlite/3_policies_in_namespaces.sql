-- Ids of policies live in their namespace: nobody can take one from somebody else, nor learn of it. A policy that moved from
-- one namespace to another becomes one in each: its versions stay where they were written, what decides goes on deciding,
-- and what waited there for approval waits in its own namespace.
ALTER TABLE policies RENAME TO old_policies;
ALTER TABLE policy_versions RENAME TO old_policy_versions;

-- Every version of every policy. Rows never change and outlive the policy.
CREATE TABLE policy_versions (
    namespace        TEXT   NOT NULL,
    id               TEXT   NOT NULL,
    version          BIGINT NOT NULL,
    name             TEXT   NOT NULL,
    document_version TEXT   NOT NULL,
    status           TEXT   NOT NULL,
    source           TEXT   NOT NULL,
    format           TEXT   NOT NULL,
    digest           TEXT   NOT NULL,
    author           TEXT   NOT NULL,
    created_ms       BIGINT NOT NULL,
    PRIMARY KEY (namespace, id, version)
);
INSERT INTO policy_versions
SELECT namespace, id, version, name, document_version, status, source, format, digest, author, created_ms
FROM old_policy_versions;

-- The policies that exist: their newest version, and the one that decides.
CREATE TABLE policies (
    namespace   TEXT   NOT NULL,
    id          TEXT   NOT NULL,
    latest      BIGINT NOT NULL,
    active      BIGINT,
    approved_by TEXT,
    created_ms  BIGINT NOT NULL,
    updated_ms  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    PRIMARY KEY (namespace, id),
    FOREIGN KEY (namespace, id, latest) REFERENCES policy_versions (namespace, id, version),
    FOREIGN KEY (namespace, id, active) REFERENCES policy_versions (namespace, id, version)
);
INSERT INTO policies
SELECT l.namespace, p.id, p.latest,
    CASE WHEN a.namespace = l.namespace THEN p.active END,
    CASE WHEN a.namespace = l.namespace THEN p.approved_by END,
    p.created_ms, p.updated_ms, p.revision
FROM old_policies p
JOIN old_policy_versions l ON l.id = p.id AND l.version = p.latest
LEFT JOIN old_policy_versions a ON a.id = p.id AND a.version = p.active;
INSERT INTO policies
SELECT a.namespace, p.id,
    (SELECT MAX(v.version) FROM old_policy_versions v WHERE v.id = p.id AND v.namespace = a.namespace),
    p.active, p.approved_by, p.created_ms, p.updated_ms, p.revision
FROM old_policies p
JOIN old_policy_versions l ON l.id = p.id AND l.version = p.latest
JOIN old_policy_versions a ON a.id = p.id AND a.version = p.active
WHERE a.namespace <> l.namespace;

DROP TABLE old_policies;
DROP TABLE old_policy_versions;

-- Where an id occurs, and lists in the order of ids.
CREATE INDEX policy_versions_by_id ON policy_versions (id, namespace);
CREATE INDEX policies_by_id ON policies (id, namespace);
