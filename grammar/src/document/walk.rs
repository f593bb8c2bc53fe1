//! The walk from a node tree to a policy: its state, places, shapes of nodes, and the keys of mappings.
//!
//! Recovers at every step: a key that is misspelt is taken for the key it most likely stands for, a rule that cannot
//! be understood does not hide the next one, and nothing is reported as missing that is there under a wrong name.
//! `values` reads single values, `policy` a document with its `metadata`, `rule` the rules. Conditions and actions have
//! files of their own.

mod policy;
mod rule;
mod values;

use super::constants::{DEFINITIONS_OWNER, Files, Scope};
use super::problems::Problems;
use super::scalar::{self, Scalar};
use super::tree::{Children, Kind, NodeId, Style, Tree};
use super::words::{Words, suggest};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
pub(crate) use policy::{DEFAULT_NAMESPACE, DEFAULT_VERSION, METADATA_KEYS, POLICY_KEYS};
pub(crate) use rule::RULE_KEYS;

/// What a document is called in messages.
const POLICY: &str = "a policy";
/// Names the schema of a document for editors; a text, which nothing here reads.
const SCHEMA_KEY: &str = "$schema";

/// A key with its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) key: NodeId,
    pub(crate) value: NodeId,
}

/// State of the walk over one document.
pub(crate) struct Walk<'a, 's> {
    pub(crate) tree: &'a Tree<'s>,
    pub(crate) text: &'a str,
    pub(crate) problems: &'a mut Problems,
    /// `None` for plain data, which imports nothing.
    pub(crate) files: Option<Files<'a>>,
    /// The constants of the document.
    pub(crate) scope: Scope,
}

impl<'a, 's> Walk<'a, 's> {
    /// A walk over a document that has not declared anything yet.
    pub(crate) fn new(
        tree: &'a Tree<'s>,
        text: &'a str,
        problems: &'a mut Problems,
        files: Option<Files<'a>>,
    ) -> Self {
        Self {
            tree,
            text,
            problems,
            files,
            scope: Scope::default(),
        }
    }

    // ----- places ---------------------------------------------------------------------------------------------

    /// First token of a node; the whole of a scalar.
    pub(crate) fn head(&self, id: NodeId) -> Span {
        let node = self.tree.node(id);
        self.problems.span(node.start, node.head)
    }

    /// The whole of a node.
    pub(crate) fn extent(&self, id: NodeId) -> Span {
        let node = self.tree.node(id);
        self.problems.span(node.start, node.end)
    }

    /// The place of bytes `start..end` of a scalar's value; the whole scalar where that cannot be told.
    pub(crate) fn inside(&self, id: NodeId, start: usize, end: usize) -> Span {
        let node = self.tree.node(id);
        let whole = self.extent(id);
        let Kind::Scalar(value, _) = &node.kind else {
            return whole;
        };
        let Some(raw) = self.text.get(node.start as usize..node.end as usize) else {
            return whole;
        };
        let find = |offset| {
            scalar::offset_in_source(raw, value, node.style, offset)
                .and_then(|at| u32::try_from(at).ok())
                .map(|at| node.start.saturating_add(at))
        };
        match (find(start), find(end)) {
            (Some(start), Some(end)) => self.problems.span(start, end.min(node.end).max(start)),
            _ => whole,
        }
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.problems.report(diagnostic);
    }

    // ----- shapes ---------------------------------------------------------------------------------------------

    /// What a node is, in words.
    pub(crate) fn found(&self, id: NodeId) -> &'static str {
        match &self.tree.node(id).kind {
            Kind::Scalar(_, Scalar::Null) => "nothing",
            Kind::Scalar(_, Scalar::Bool(_)) => "a boolean",
            Kind::Scalar(_, Scalar::Number(_) | Scalar::NotFinite) => "a number",
            Kind::Scalar(_, Scalar::String) => "a string",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
            Kind::Broken => "something broken",
        }
    }

    pub(crate) fn is_null(&self, id: NodeId) -> bool {
        matches!(&self.tree.node(id).kind, Kind::Scalar(_, Scalar::Null))
    }

    /// The entry unless its value is null.
    pub(crate) fn present(&self, entry: Option<Entry>) -> Option<Entry> {
        entry.filter(|e| !self.is_null(e.value))
    }

    /// Reports that `what` takes something else. Broken nodes were reported before.
    pub(crate) fn wrong_type(&mut self, id: NodeId, what: &str, takes: &str) -> Option<Diagnostic> {
        if matches!(self.tree.node(id).kind, Kind::Broken) {
            return None;
        }
        if let Some(diagnostic) = self.unquoted_template(id) {
            return Some(diagnostic);
        }
        let found = self.found(id);
        let mut diagnostic = Diagnostic::new(
            Code::WrongType,
            self.head(id),
            format!("{what} takes {takes}, found {found}"),
        );
        if self.is_null(id) && self.tree.node(id).start == self.tree.node(id).end {
            diagnostic = diagnostic.label("the value is missing here");
        }
        Some(diagnostic)
    }

    pub(crate) fn report_wrong_type(&mut self, id: NodeId, what: &str, takes: &str) {
        if let Some(diagnostic) = self.wrong_type(id, what, takes) {
            self.report(diagnostic);
        }
    }

    /// `{{ path }}` without quotes is a mapping in YAML; says so.
    fn unquoted_template(&self, id: NodeId) -> Option<Diagnostic> {
        let node = self.tree.node(id);
        let rest = self.text.get(node.start as usize..)?;
        if node.style != Style::Flow || !rest.starts_with("{{") {
            return None;
        }
        let whole = self.extent(id);
        let written = self.text.get(whole.start as usize..whole.end as usize)?;
        Some(
            Diagnostic::new(
                Code::WrongType,
                whole,
                "a placeholder outside quotes is a mapping in YAML",
            )
            .help("put the text in quotes")
            .fix(whole, serde_json::Value::from(written).to_string()),
        )
    }

    /// Assigns the keys of a mapping to `keys` and reports unknown ones.
    ///
    /// An unknown key that most likely stands for an absent known one takes its place, so that what it holds is
    /// looked at as well. `advice` has the word on keys that deserve more than a suggestion.
    pub(crate) fn fields<const N: usize>(
        &mut self,
        children: Children,
        owner: &str,
        keys: &[&'static str; N],
        advice: impl Fn(&str) -> Option<(Code, String)>,
    ) -> [Option<Entry>; N] {
        let mut slots = [None; N];
        let mut unknown = Vec::new();
        for (key, value) in self.tree.pairs(children) {
            let entry = Entry { key, value };
            let Kind::Scalar(text, what) = &self.tree.node(key).kind else {
                if let Some(diagnostic) = self.unquoted_template(key).or_else(|| {
                    (!matches!(self.tree.node(key).kind, Kind::Broken)).then(|| {
                        Diagnostic::new(
                            Code::WrongType,
                            self.head(key),
                            format!("a key of {owner} must be a string"),
                        )
                    })
                }) {
                    self.problems.report(diagnostic);
                }
                continue;
            };
            match keys.iter().position(|k| *k == text) {
                Some(i) if *what == Scalar::String => {
                    // The second of two equal keys has been reported when the tree was built.
                    if let Some(slot) = slots.get_mut(i).filter(|slot| slot.is_none()) {
                        *slot = Some(entry);
                    }
                }
                Some(_) | None => unknown.push((entry, text.clone())),
            }
        }
        for (entry, text) in unknown {
            if matches!(owner, POLICY | DEFINITIONS_OWNER) && text == SCHEMA_KEY {
                self.string(entry.value, "`$schema`");
                continue;
            }
            let span = self.head(entry.key);
            let style = self.tree.node(entry.key).style;
            if text == "<<" && style == Style::Plain {
                self.problems.report(
                    Diagnostic::new(Code::UnknownKey, span, "merge keys (`<<`) cannot be used")
                        .help("write the keys out; an alias may stand for a whole value"),
                );
                continue;
            }
            let shown = shorten(&text);
            let mut diagnostic = Diagnostic::new(
                Code::UnknownKey,
                span,
                format!("unknown key `{shown}` in {owner}"),
            );
            if let Some((code, help)) = advice(&text) {
                diagnostic.code = code;
                self.problems.report(diagnostic.help(help));
                continue;
            }
            match suggest(&text, Words::Key, keys) {
                Some(near) => {
                    diagnostic = diagnostic
                        .help(format!("did you mean `{near}`?"))
                        .fix(span, requote(near, style));
                    let slot = keys
                        .iter()
                        .position(|k| *k == near)
                        .and_then(|i| slots.get_mut(i));
                    match slot {
                        Some(slot @ None) => *slot = Some(entry),
                        Some(Some(_)) => {
                            diagnostic.help = vec![format!("`{near}` is there already; remove this key")];
                            diagnostic.fix = None;
                        }
                        None => {}
                    }
                }
                None => diagnostic = diagnostic.help(format!("{owner} takes {}", list(keys))),
            }
            self.problems.report(diagnostic);
        }
        slots
    }

    /// Reports that `owner`, whose place is `at`, lacks `key`.
    pub(crate) fn missing(&mut self, at: Span, owner: &str, key: &str) -> Diagnostic {
        Diagnostic::new(Code::MissingKey, at, format!("{owner} lacks `{key}`"))
    }

    // ----- documents ------------------------------------------------------------------------------------------
}

/// `` `a`, `b` or `c` ``.
pub(crate) fn list(words: &[&str]) -> String {
    let mut text = String::new();
    for (i, word) in words.iter().enumerate() {
        if i > 0 {
            text.push_str(if i + 1 == words.len() { " or " } else { ", " });
        }
        text.push('`');
        text.push_str(word);
        text.push('`');
    }
    text
}

/// User text for a message: one line of bounded length.
pub(crate) fn shorten(text: &str) -> String {
    let mut short = String::new();
    for c in text.chars().take(60) {
        if c.is_control() {
            short.extend(c.escape_default());
        } else {
            short.push(c);
        }
    }
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}

/// A word in the quotes of the scalar that it replaces.
pub(crate) fn requote(word: &str, style: Style) -> String {
    match style {
        Style::Single => format!("'{word}'"),
        Style::Double => format!("\"{word}\""),
        Style::Plain | Style::Literal | Style::Folded | Style::Block | Style::Flow | Style::Alias => {
            word.to_owned()
        }
    }
}
