//! Actions: decision, reason, metadata, and modifications with their verbs.
//!
//! Which fields may be modified and which type names `$redact` knows is the business of the compiler.

use super::scalar::Scalar;
use super::tree::{Kind, NodeId};
use super::walk::{Entry, Walk, list, requote, shorten};
use super::words::{Words, suggest};
use crate::ast::{Action, Decision, FieldPath, Literal, Modification, Number, Verb};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{Span, Spanned};
use std::collections::HashMap;

/// Keys of an action.
pub(crate) const ACTION_KEYS: [&str; 4] = ["decision", "reason", "metadata", "modifications"];

impl Walk<'_, '_> {
    /// The action of a rule.
    pub(crate) fn action(&mut self, id: NodeId) -> Option<Action> {
        let children = match self.tree.node(id).kind {
            Kind::Mapping(children) => children,
            Kind::Sequence(_) => {
                if let Some(diagnostic) = self.wrong_type(id, "`action`", "a mapping") {
                    self.report(
                        diagnostic.help("a rule has one action; write further ones as rules of their own"),
                    );
                }
                return None;
            }
            Kind::Scalar(..) | Kind::Broken => {
                if let Some(diagnostic) = self.wrong_type(id, "`action`", "a mapping") {
                    self.report(diagnostic.help("write `action: {decision: deny, reason: …}`"));
                }
                return None;
            }
        };
        let [decision, reason, metadata, modifications] =
            self.fields(children, "an action", &ACTION_KEYS, |_| None);
        let decision = match decision {
            Some(entry) => {
                let all: Vec<_> = Decision::ALL.iter().map(|d| (d.as_str(), *d)).collect();
                self.word(entry.value, "`decision`", Words::Decision, &all)
            }
            None => {
                let missing = self.missing(self.head(id), "the action", "decision");
                let all: Vec<_> = Decision::ALL.iter().map(|d| d.as_str()).collect();
                self.report(missing.help(format!("it is one of {}", list(&all))));
                None
            }
        };
        let mut whole = true;
        let reason = self.present(reason).and_then(|entry| {
            let reason = self.template(entry.value, "`reason`");
            self.doubt_comment(entry.value);
            whole &= reason.is_some();
            reason
        });
        let metadata = match self.present(metadata) {
            None => Some(Vec::new()),
            Some(entry) => match self.tree.node(entry.value).kind {
                Kind::Mapping(children) => self.object(children, true),
                Kind::Sequence(_) | Kind::Scalar(..) | Kind::Broken => {
                    self.report_wrong_type(entry.value, "an action's `metadata`", "a mapping");
                    None
                }
            },
        };
        let changes = self
            .present(modifications)
            .map(|entry| (entry, self.modifications(entry)));
        if let Some(decision) = &decision {
            match (decision.value, &changes) {
                (Decision::Modify, None) => {
                    self.report(
                        Diagnostic::new(
                            Code::MissingModifications,
                            decision.span,
                            "a `modify` action needs `modifications`",
                        )
                        .help("add `modifications:` with a field path and its new value, as in `llm.maxTokens: 4096`"),
                    );
                    whole = false;
                }
                (Decision::Allow | Decision::Deny | Decision::Warn, Some((entry, _))) => {
                    self.report(
                        Diagnostic::new(
                            Code::UnexpectedModifications,
                            self.head(entry.key),
                            "only a `modify` action takes `modifications`",
                        )
                        .also(decision.span, "the decision is here")
                        .help("use `decision: modify`, or put the rule in two"),
                    );
                    whole = false;
                }
                (Decision::Modify, Some(_)) | (Decision::Allow | Decision::Deny | Decision::Warn, None) => {}
            }
        }
        let modifications = match changes {
            Some((_, changes)) => changes?,
            None => Vec::new(),
        };
        if !whole {
            return None;
        }
        Some(Action {
            span: self.head(id),
            decision: decision?,
            reason,
            metadata: metadata?,
            modifications,
        })
    }

    fn modifications(&mut self, entry: Entry) -> Option<Vec<Modification>> {
        let Kind::Mapping(children) = self.tree.node(entry.value).kind else {
            if let Some(diagnostic) = self.wrong_type(entry.value, "`modifications`", "a mapping") {
                self.report(
                    diagnostic.help("write each change as `path: value`, as in `llm.maxTokens: 4096`"),
                );
            }
            return None;
        };
        let tree = self.tree;
        let mut changes = Vec::new();
        let mut places: HashMap<FieldPath, Span> = HashMap::new();
        let mut whole = true;
        for (key, value) in tree.pairs(children) {
            let path = self
                .free_key(key)
                .and_then(|_| self.path(key, "a key of `modifications`"));
            let path = self.place_in_request(path, "what is modified");
            if let Some(path) = &path {
                match places.get(&path.value) {
                    // The same spelling twice was reported when the tree was built.
                    Some(first) if !self.same_text(*first, path.span) => {
                        let first = *first;
                        self.report(
                            Diagnostic::new(
                                Code::DuplicateKey,
                                path.span,
                                format!("`{}` is modified twice", path.value),
                            )
                            .label("again here")
                            .also(first, "first here")
                            .help("keep one of the two"),
                        );
                    }
                    Some(_) => {}
                    None => {
                        places.insert(path.value.clone(), path.span);
                    }
                }
            }
            let verb = self.verb(value);
            match (path, verb) {
                (Some(path), Some(verb)) => changes.push(Modification {
                    path,
                    verb,
                    span: self.extent(value),
                }),
                _ => whole = false,
            }
        }
        if changes.is_empty() && whole {
            self.report(
                Diagnostic::new(
                    Code::MissingModifications,
                    self.head(entry.key),
                    "`modifications` must not be empty",
                )
                .help("add a field path and its new value, as in `llm.maxTokens: 4096`"),
            );
            return None;
        }
        whole.then_some(changes)
    }

    fn same_text(&self, a: Span, b: Span) -> bool {
        self.text.get(a.start as usize..a.end as usize) == self.text.get(b.start as usize..b.end as usize)
    }

    /// The value of a modification: a verb, or a constant to set.
    fn verb(&mut self, id: NodeId) -> Option<Verb> {
        if let Kind::Mapping(children) = self.tree.node(id).kind {
            let tree = self.tree;
            let pairs: Vec<_> = tree.pairs(children).collect();
            let verb = pairs.iter().find_map(|(key, value)| match &tree.node(*key).kind {
                Kind::Scalar(text, _) if text.starts_with('$') => Some((*key, text.as_ref(), *value)),
                Kind::Scalar(..) | Kind::Sequence(_) | Kind::Mapping(_) | Kind::Broken => None,
            });
            if let Some((key, name, value)) = verb {
                if pairs.len() > 1 {
                    let other = pairs.iter().map(|(k, _)| *k).find(|k| *k != key).unwrap_or(key);
                    self.report(
                        Diagnostic::new(
                            Code::InvalidVerb,
                            self.head(key),
                            format!("`{}` must be the only key of its mapping", shorten(name)),
                        )
                        .also(self.head(other), "another key is here")
                        .help("a modification does one thing; a later rule can do another"),
                    );
                    return None;
                }
                return self.named_verb(key, name, value);
            }
        }
        self.literal(id, true).map(|literal| Verb::Set(literal.value))
    }

    fn named_verb(&mut self, key: NodeId, name: &str, value: NodeId) -> Option<Verb> {
        match name {
            "$cap" => self.number(name, value).map(Verb::Cap),
            "$floor" => self.number(name, value).map(Verb::Floor),
            "$default" => self.literal(value, true).map(|v| Verb::Default(v.value)),
            "$append" => self.literal(value, true).map(|v| Verb::Append(v.value)),
            "$remove" => {
                if let Kind::Scalar(_, Scalar::Bool(true)) = self.tree.node(value).kind {
                    return Some(Verb::Remove);
                }
                self.invalid_verb(name, value, "`true`");
                None
            }
            "$redact" => self.redact(name, value).map(Verb::Redact),
            _ => {
                let span = self.extent(key);
                let diagnostic = Diagnostic::new(
                    Code::UnknownVerb,
                    span,
                    format!("unknown modification verb `{}`", shorten(name)),
                );
                self.report(if name == "$set" {
                    diagnostic.help("a plain value sets: write it without a verb")
                } else {
                    match suggest(name, Words::Verb, Verb::NAMES) {
                        Some(near) => diagnostic
                            .help(format!("did you mean `{near}`?"))
                            .fix(span, requote(near, self.tree.node(key).style)),
                        None => diagnostic.help(format!("verbs are {}", list(Verb::NAMES))),
                    }
                });
                None
            }
        }
    }

    fn number(&mut self, verb: &str, id: NodeId) -> Option<Number> {
        let tree = self.tree;
        match &tree.node(id).kind {
            Kind::Scalar(_, Scalar::Number(n)) => return Some(n.clone()),
            Kind::Scalar(text, Scalar::String) => match self.whole_constant(id, text) {
                Some(Some(Literal::Number(n))) => return Some(n),
                // Reported.
                Some(None) => return None,
                Some(Some(_)) | None => {}
            },
            Kind::Scalar(..) | Kind::Sequence(_) | Kind::Mapping(_) | Kind::Broken => {}
        }
        self.invalid_verb(verb, id, "a finite number");
        None
    }

    fn redact(&mut self, verb: &str, id: NodeId) -> Option<Vec<Spanned<String>>> {
        let tree = self.tree;
        match &tree.node(id).kind {
            Kind::Scalar(text, Scalar::String) if text == "all" => Some(Vec::new()),
            Kind::Scalar(text, Scalar::String) => {
                let at = self.extent(id);
                let names = match self.whole_constant(id, text) {
                    Some(Some(Literal::Array(items))) if !items.is_empty() => items
                        .into_iter()
                        .map(|item| match item.value {
                            Literal::String(name) => Some(Spanned::new(name, at)),
                            Literal::Null
                            | Literal::Bool(_)
                            | Literal::Number(_)
                            | Literal::Array(_)
                            | Literal::Object(_) => None,
                        })
                        .collect(),
                    // Reported.
                    Some(None) => return None,
                    Some(Some(_)) | None => None,
                };
                if names.is_none() {
                    self.invalid_verb(verb, id, "`all` or a list of type names");
                }
                names
            }
            Kind::Sequence(items) => {
                let items = tree.children(*items);
                if items.is_empty() {
                    self.invalid_verb(verb, id, "`all` or a list with at least one type name");
                    return None;
                }
                let names: Vec<_> = items
                    .iter()
                    .filter_map(|item| self.name(*item, "a type name of `$redact`"))
                    .collect();
                (names.len() == items.len()).then_some(names)
            }
            Kind::Scalar(..) | Kind::Mapping(_) | Kind::Broken => {
                self.invalid_verb(verb, id, "`all` or a list of type names");
                None
            }
        }
    }

    fn invalid_verb(&mut self, verb: &str, id: NodeId, takes: &str) {
        if matches!(self.tree.node(id).kind, Kind::Broken) {
            return;
        }
        let found = match &self.tree.node(id).kind {
            Kind::Scalar(text, Scalar::String | Scalar::Bool(_) | Scalar::NotFinite) => {
                format!("`{}`", shorten(text))
            }
            Kind::Sequence(items) if self.tree.children(*items).is_empty() => "an empty list".to_owned(),
            Kind::Scalar(..) | Kind::Sequence(_) | Kind::Mapping(_) | Kind::Broken => {
                self.found(id).to_owned()
            }
        };
        self.report(Diagnostic::new(
            Code::InvalidVerb,
            self.head(id),
            format!("`{verb}` takes {takes}, found {found}"),
        ));
    }
}
