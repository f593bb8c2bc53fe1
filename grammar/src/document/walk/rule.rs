//! The rules of a policy.
//!
//! A rule that cannot be understood does not hide the next one. Conditions and actions have files of their own,
//! `document/condition.rs` and `document/action.rs`.

use super::{Entry, Walk, shorten};
use crate::ast::Rule;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::document::dialect;
use crate::document::tree::{Kind, NodeId};
use crate::source::{Span, Spanned};
use std::collections::HashMap;

/// Keys of a rule.
pub(crate) const RULE_KEYS: [&str; 7] = [
    "id",
    "name",
    "description",
    "enabled",
    "condition",
    "when",
    "action",
];

impl<'a, 's> Walk<'a, 's> {
    pub(super) fn rules(&mut self, id: NodeId) -> Option<Vec<Rule>> {
        let children = match self.tree.node(id).kind {
            Kind::Sequence(children) => children,
            Kind::Mapping(_) => {
                if let Some(diagnostic) = self.wrong_type(id, "`rules`", "a list") {
                    self.report(diagnostic.help("start each rule with `- id: …`; the order of rules counts"));
                }
                return None;
            }
            Kind::Scalar(..) | Kind::Broken => {
                if let Some(diagnostic) = self.wrong_type(id, "`rules`", "a list") {
                    self.report(diagnostic.help("a policy without rules says so with `rules: []`"));
                }
                return None;
            }
        };
        let tree = self.tree;
        let items = tree.children(children);
        let mut rules = Vec::with_capacity(items.len());
        // Ids are looked at even of rules that are broken otherwise.
        let mut ids: HashMap<String, Span> = HashMap::with_capacity(items.len());
        for item in items {
            if self.problems.is_stopped() {
                return None;
            }
            let (rule_id, rule) = self.rule(*item);
            if let Some(rule_id) = rule_id {
                match ids.get(&rule_id.value) {
                    Some(first) => {
                        let first = *first;
                        self.report(
                            Diagnostic::new(
                                Code::DuplicateRuleId,
                                rule_id.span,
                                format!(
                                    "the rule id `{}` is used twice in this policy",
                                    shorten(&rule_id.value)
                                ),
                            )
                            .label("again here")
                            .also(first, "first here")
                            .help("give each rule an id of its own"),
                        );
                    }
                    None => {
                        ids.insert(rule_id.value, rule_id.span);
                    }
                }
            }
            rules.extend(rule);
        }
        Some(rules)
    }

    /// One rule, and its id even when the rule cannot be used.
    fn rule(&mut self, item: NodeId) -> (Option<Spanned<String>>, Option<Rule>) {
        let Kind::Mapping(children) = self.tree.node(item).kind else {
            self.report_wrong_type(item, "a rule", "a mapping");
            return (None, None);
        };
        let span = self.head(item);
        let foreign = dialect::look_at_rule(self, children);
        let [id, name, description, enabled, condition, when, action] =
            self.fields(children, "a rule", &RULE_KEYS, |key| foreign.advise(key));
        let id = match id {
            Some(entry) => self.name(entry.value, "a rule's `id`"),
            None => {
                let missing = self.missing(span, "the rule", "id");
                self.report(missing);
                None
            }
        };
        let mut whole = id.is_some();
        let mut optional = |walk: &mut Self, entry: Option<Entry>, what: &str| {
            let entry = walk.present(entry)?;
            let text = walk.string(entry.value, what);
            whole &= text.is_some();
            text
        };
        let name = optional(self, name, "a rule's `name`");
        let description = optional(self, description, "a rule's `description`");
        let enabled = match self.present(enabled) {
            Some(entry) => self.boolean(entry.value, "a rule's `enabled`").map(|b| b.value),
            None => Some(true),
        };
        let when = self.present(when);
        if let Some(when) = when {
            self.report(
                Diagnostic::new(
                    Code::NotSupportedYet,
                    self.head(when.key),
                    "`when` is not supported by this version",
                )
                .help("write the rule with `condition:`"),
            );
        }
        if let (Some(condition), Some(when)) = (condition, when) {
            self.report(
                Diagnostic::new(
                    Code::ConflictingKeys,
                    self.head(when.key),
                    "a rule has either `condition` or `when`",
                )
                .also(self.head(condition.key), "`condition` is here")
                .help("keep one of the two"),
            );
        }
        let condition = match (condition, when) {
            (Some(entry), _) => self.condition(entry.value),
            (None, Some(_)) => None,
            (None, None) => {
                if !foreign.condition {
                    let missing = self.missing(span, "the rule", "condition");
                    self.report(missing.help("a rule without condition would fire for every request; `operator: exists` on a field that is always there says so"));
                }
                None
            }
        };
        let action = match action {
            Some(entry) => self.action(entry.value),
            None => {
                if !foreign.action {
                    let missing = self.missing(span, "the rule", "action");
                    self.report(missing.help("add `action:` with a `decision`"));
                }
                None
            }
        };
        let rule = match (&id, enabled, condition, action) {
            (Some(id), Some(enabled), Some(condition), Some(action)) if whole => Some(Rule {
                span,
                id: id.clone(),
                name,
                description,
                enabled,
                condition,
                action,
            }),
            _ => None,
        };
        (id, rule)
    }
}
