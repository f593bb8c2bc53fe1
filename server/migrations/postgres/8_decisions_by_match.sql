-- Decisions by the policies that fired, as there is one for rules: whoever looks for one does not read the whole log.
CREATE INDEX decisions_by_policy ON decisions USING gin ((matched_policies::jsonb) jsonb_path_ops);
