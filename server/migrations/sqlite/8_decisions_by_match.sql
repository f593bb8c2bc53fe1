-- Decisions by the rules and policies that fired: `kind` is 0 for a rule, 1 for a policy. Kept by triggers, so that whoever looks
-- for one reads the decisions that it fired in, newest first, and not the whole log.
CREATE TABLE decision_matches (
    kind BIGINT NOT NULL,
    name TEXT   NOT NULL,
    seq  BIGINT NOT NULL,
    PRIMARY KEY (kind, name, seq)
) WITHOUT ROWID;
INSERT INTO decision_matches (kind, name, seq)
SELECT DISTINCT 0, m.value, d.seq FROM decisions d, json_each(d.matched_rules) m
UNION ALL
SELECT DISTINCT 1, m.value, d.seq FROM decisions d, json_each(d.matched_policies) m;
CREATE TRIGGER decisions_match AFTER INSERT ON decisions
WHEN NEW.matched_rules <> '[]' OR NEW.matched_policies <> '[]' BEGIN
    INSERT OR IGNORE INTO decision_matches (kind, name, seq)
    SELECT 0, m.value, NEW.seq FROM json_each(NEW.matched_rules) m;
    INSERT OR IGNORE INTO decision_matches (kind, name, seq)
    SELECT 1, m.value, NEW.seq FROM json_each(NEW.matched_policies) m;
END;
CREATE TRIGGER decisions_unmatch AFTER DELETE ON decisions
WHEN OLD.matched_rules <> '[]' OR OLD.matched_policies <> '[]' BEGIN
    DELETE FROM decision_matches
    WHERE kind = 0 AND seq = OLD.seq AND name IN (SELECT m.value FROM json_each(OLD.matched_rules) m);
    DELETE FROM decision_matches
    WHERE kind = 1 AND seq = OLD.seq AND name IN (SELECT m.value FROM json_each(OLD.matched_policies) m);
END;
