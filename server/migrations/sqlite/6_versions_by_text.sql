-- Who wrote a text, however many versions have it: for approvals.
CREATE INDEX policy_versions_by_text ON policy_versions (namespace, id, digest, author, version);
