-- Whoever rotates a key sees its new secret, so that the key speaks for them too. For keys that were rotated before, the
-- audit trail says by whom.
ALTER TABLE api_keys ADD COLUMN rotated_by TEXT NOT NULL DEFAULT '[]';
UPDATE api_keys SET rotated_by = (
    SELECT json_group_array(DISTINCT a.actor) FROM audit a
    WHERE a.action = 'key.rotate' AND a.target = api_keys.id AND a.actor <> api_keys.author
);
