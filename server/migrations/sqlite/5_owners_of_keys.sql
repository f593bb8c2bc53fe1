-- Whom a key counts as for limits and shares: as who made it, where that one is bound to namespaces; NULL is as itself. Of keys
-- that were made with tokens before, nobody knows whether the token was bound: they count as themselves until somebody rotates
-- them. Keys that were made with keys count as the first of these that is bound.
ALTER TABLE api_keys ADD COLUMN owner TEXT;
WITH RECURSIVE above (id, maker, steps) AS (
    SELECT id, id, 0 FROM api_keys
    UNION ALL
    SELECT above.id, maker.id, above.steps + 1
    FROM above
    JOIN api_keys made ON made.id = above.maker
    JOIN api_keys maker ON maker.id = substr(made.author, length(made.author) - 16, 16)
    WHERE made.author LIKE '% (key ________________)' AND maker.namespaces IS NOT NULL
)
UPDATE api_keys SET owner = (
    SELECT 'key ' || above.maker FROM above WHERE above.id = api_keys.id AND above.steps > 0 ORDER BY above.steps DESC LIMIT 1
);

-- How many keys an owner has.
CREATE INDEX api_keys_by_owner ON api_keys (owner);
CREATE INDEX api_keys_by_author ON api_keys (author);
