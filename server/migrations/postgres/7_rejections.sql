-- Versions that somebody rejected instead of approving them: who, why, when. Rows never change and outlive the policy.
CREATE TABLE policy_rejections (
    namespace TEXT   COLLATE "C" NOT NULL,
    id        TEXT   COLLATE "C" NOT NULL,
    version   BIGINT NOT NULL,
    author    TEXT   NOT NULL,
    comment   TEXT   NOT NULL,
    at_ms     BIGINT NOT NULL,
    PRIMARY KEY (namespace, id, version),
    FOREIGN KEY (namespace, id, version) REFERENCES policy_versions (namespace, id, version)
);
