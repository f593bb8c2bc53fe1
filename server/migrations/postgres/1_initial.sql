-- What a server holds. Times are milliseconds since the epoch. The same tables as migrations/sqlite. Ids are ordered by
-- their bytes, as there, whatever the locale of the database.

-- Bundles. `deployed` is the audit sequence number of the last deployment: the order of the history.
CREATE TABLE bundles (
    digest       TEXT    COLLATE "C" NOT NULL PRIMARY KEY,
    revision     TEXT    NOT NULL,
    policies     BIGINT  NOT NULL,
    rules        BIGINT  NOT NULL,
    author       TEXT    NOT NULL,
    created_ms   BIGINT  NOT NULL,
    activated_ms BIGINT,
    deployed     BIGINT  NOT NULL UNIQUE,
    bytes        BYTEA   NOT NULL
);

-- One row, locked by every write: the revision and the end of the audit chain. `bundle` is the active one, if any.
CREATE TABLE state (
    id         BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    revision   BIGINT NOT NULL,
    audit_seq  BIGINT NOT NULL,
    audit_hash BYTEA  NOT NULL,
    bundle     TEXT   COLLATE "C" REFERENCES bundles (digest),
    changed_ms BIGINT NOT NULL
);
INSERT INTO state VALUES (1, 0, 0, decode(repeat('00', 32), 'hex'), NULL, 0);

-- Every version of every policy. Rows never change and outlive the policy.
CREATE TABLE policy_versions (
    id               TEXT   COLLATE "C" NOT NULL,
    version          BIGINT NOT NULL,
    namespace        TEXT   NOT NULL,
    name             TEXT   NOT NULL,
    document_version TEXT   NOT NULL,
    status           TEXT   NOT NULL,
    source           TEXT   NOT NULL,
    format           TEXT   NOT NULL,
    digest           TEXT   NOT NULL,
    author           TEXT   NOT NULL,
    created_ms       BIGINT NOT NULL,
    PRIMARY KEY (id, version)
);

-- The policies that exist: their newest version, and the one that decides.
CREATE TABLE policies (
    id          TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    latest      BIGINT NOT NULL,
    active      BIGINT,
    approved_by TEXT,
    created_ms  BIGINT NOT NULL,
    updated_ms  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    FOREIGN KEY (id, latest) REFERENCES policy_versions (id, version),
    FOREIGN KEY (id, active) REFERENCES policy_versions (id, version)
);

CREATE TABLE api_keys (
    id                TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    name              TEXT   NOT NULL,
    hash              BYTEA  NOT NULL,
    previous_hash     BYTEA,
    previous_until_ms BIGINT,
    scopes            TEXT   NOT NULL,
    namespaces        TEXT,
    author            TEXT   NOT NULL,
    created_ms        BIGINT NOT NULL,
    expires_ms        BIGINT,
    revoked_ms        BIGINT
);

-- The decision log. Numbers are never given twice, also after old rows are pruned: they are cursors.
CREATE TABLE decisions (
    seq              BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
    UNIQUE (request_id, at_ms)
);
CREATE INDEX decisions_by_time ON decisions (at_ms);
CREATE INDEX decisions_by_outcome ON decisions (decision, seq);
CREATE INDEX decisions_by_namespace ON decisions (namespace, seq);
CREATE INDEX decisions_by_rule ON decisions USING gin ((matched_rules::jsonb) jsonb_path_ops);

-- The audit trail: a chain of hashes, without gaps.
CREATE TABLE audit (
    seq        BIGINT NOT NULL PRIMARY KEY,
    at_ms      BIGINT NOT NULL,
    actor      TEXT   NOT NULL,
    action     TEXT   NOT NULL,
    target     TEXT   NOT NULL,
    namespace  TEXT   NOT NULL,
    request_id TEXT   NOT NULL,
    detail     TEXT   NOT NULL,
    revision   BIGINT NOT NULL,
    previous   BYTEA  NOT NULL,
    hash       BYTEA  NOT NULL
);
