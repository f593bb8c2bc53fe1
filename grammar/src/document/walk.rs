//! The walk from a node tree to a policy: documents, `metadata` and rules, and the helpers that every level uses.
//!
//! Recovers at every step: a key that is misspelt is taken for the key it most likely stands for, a rule that cannot
//! be understood does not hide the next one, and nothing is reported as missing that is there under a wrong name.
//! A policy is returned only when nothing in it was an error. Conditions and actions have files of their own.

use super::constants::{DEFINITIONS, DEFINITIONS_OWNER, Files, Scope};
use super::dialect;
use super::problems::Problems;
use super::scalar::{self, Scalar};
use super::suggest::{Words, near, suggest};
use super::tree::{Children, Kind, NodeId, Style, Tree};
use crate::ast::{FieldPath, Literal, Metadata, Number, OnError, Policy, Rule, Status, Template};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::source::{Span, Spanned};
use std::collections::HashMap;

/// Keys of a policy document.
pub(crate) const POLICY_KEYS: [&str; 6] = ["metadata", "import", "let", "rules", "status", "onError"];
/// Keys of `metadata`.
pub(crate) const METADATA_KEYS: [&str; 7] = [
    "id",
    "name",
    "version",
    "namespace",
    "description",
    "tags",
    "priority",
];
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

/// What a document is called in messages.
const POLICY: &str = "a policy";
/// Names the schema of a document for editors; a text, which nothing here reads.
const SCHEMA_KEY: &str = "$schema";

/// Default of `metadata.version`.
pub(crate) const DEFAULT_VERSION: &str = "1.0.0";
/// Default of `metadata.namespace`.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

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

    // ----- values ---------------------------------------------------------------------------------------------

    /// A string; numbers and booleans get the advice to quote them.
    pub(crate) fn string(&mut self, id: NodeId, what: &str) -> Option<Spanned<String>> {
        let span = self.extent(id);
        match &self.tree.node(id).kind {
            Kind::Scalar(text, Scalar::String) => return Some(Spanned::new(text.clone().into_owned(), span)),
            Kind::Scalar(text, Scalar::Bool(_) | Scalar::Number(_) | Scalar::NotFinite) => {
                let quoted = serde_json::Value::from(text.as_ref()).to_string();
                if let Some(diagnostic) = self.wrong_type(id, what, "a string") {
                    self.report(diagnostic.help("put it in quotes").fix(span, quoted));
                }
            }
            Kind::Scalar(_, Scalar::Null) | Kind::Sequence(_) | Kind::Mapping(_) | Kind::Broken => {
                self.report_wrong_type(id, what, "a string");
            }
        }
        None
    }

    /// A string with something in it.
    pub(crate) fn name(&mut self, id: NodeId, what: &str) -> Option<Spanned<String>> {
        let name = self.string(id, what)?;
        if name.value.trim().is_empty() {
            self.report(Diagnostic::new(
                Code::InvalidValue,
                name.span,
                format!("{what} must not be empty"),
            ));
            return None;
        }
        Some(name)
    }

    /// A string whose placeholders are well-formed, with those of constants replaced.
    pub(crate) fn template(&mut self, id: NodeId, what: &str) -> Option<Spanned<String>> {
        let text = self.string(id, what)?;
        let value = self.folded(id, text.value)?;
        Some(Spanned::new(value, text.span))
    }

    /// A text with the placeholders of constants replaced, if all placeholders are well-formed.
    fn folded(&mut self, id: NodeId, text: String) -> Option<String> {
        match Template::parse(&text) {
            Ok(template) => self.fold(id, text, template),
            Err(error) => {
                let span = self.inside(id, error.offset, error.offset + error.length);
                self.report(
                    Diagnostic::new(Code::InvalidTemplate, span, error.message)
                        .help("write `{{ path.to.field }}`; a literal `{{` is written `{{{{`"),
                );
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, id: NodeId, what: &str) -> Option<Spanned<bool>> {
        let span = self.extent(id);
        match &self.tree.node(id).kind {
            Kind::Scalar(_, Scalar::Bool(b)) => return Some(Spanned::new(*b, span)),
            Kind::Scalar(text, Scalar::String) => {
                let meant = match text.to_ascii_lowercase().as_str() {
                    "yes" | "on" | "y" | "true" => Some("true"),
                    "no" | "off" | "n" | "false" => Some("false"),
                    _ => None,
                };
                if let Some(diagnostic) = self.wrong_type(id, what, "`true` or `false`") {
                    self.report(match meant {
                        Some(meant) => diagnostic.help(format!("write `{meant}`")).fix(span, meant),
                        None => diagnostic,
                    });
                }
            }
            Kind::Scalar(_, Scalar::Null | Scalar::Number(_) | Scalar::NotFinite)
            | Kind::Sequence(_)
            | Kind::Mapping(_)
            | Kind::Broken => self.report_wrong_type(id, what, "`true` or `false`"),
        }
        None
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        id: NodeId,
        what: &str,
        words: Words,
        all: &[(&'static str, T)],
    ) -> Option<Spanned<T>> {
        let text = self.string(id, what)?;
        if let Some((_, value)) = all.iter().find(|(word, _)| *word == text.value) {
            return Some(Spanned::new(*value, text.span));
        }
        let known: Vec<&'static str> = all.iter().map(|(word, _)| *word).collect();
        let diagnostic = Diagnostic::new(
            Code::InvalidValue,
            text.span,
            format!("{what} cannot be `{}`", shorten(&text.value)),
        );
        self.report(match suggest(&text.value, words, &known) {
            Some(near) => diagnostic
                .help(format!("did you mean `{near}`?"))
                .help(format!("it is one of {}", list(&known)))
                .fix(text.span, requote(near, self.tree.node(id).style)),
            None => diagnostic.help(format!("it is one of {}", list(&known))),
        });
        None
    }

    /// A field path.
    pub(crate) fn path(&mut self, id: NodeId, what: &str) -> Option<Spanned<FieldPath>> {
        let text = self.string(id, what)?;
        match FieldPath::parse(&text.value) {
            Ok(path) => Some(Spanned::new(path, text.span)),
            Err(error) => {
                let next = text
                    .value
                    .get(error.offset..)
                    .and_then(|rest| rest.chars().next())
                    .map_or(0, char::len_utf8);
                let span = self.inside(id, error.offset, error.offset + next);
                let inner = text.value.trim();
                let mut diagnostic = Diagnostic::new(Code::InvalidPath, span, error.message);
                if let Some(path) = inner.strip_prefix("{{").and_then(|p| p.strip_suffix("}}")) {
                    diagnostic =
                        diagnostic.help(format!("{what} is a path as it is: write `{}`", path.trim()));
                }
                self.report(diagnostic);
                None
            }
        }
    }

    /// Any constant. `templates` says whether strings in it may hold placeholders.
    pub(crate) fn literal(&mut self, id: NodeId, templates: bool) -> Option<Spanned<Literal>> {
        let span = self.extent(id);
        let value = match &self.tree.node(id).kind {
            Kind::Broken => return None,
            Kind::Scalar(text, what) => match what {
                Scalar::Null => Literal::Null,
                Scalar::Bool(b) => Literal::Bool(*b),
                Scalar::Number(n) => Literal::Number(n.clone()),
                Scalar::NotFinite => {
                    self.report(Diagnostic::new(
                        Code::InvalidValue,
                        span,
                        if text.contains(['f', 'F', 'a', 'A']) && !text.starts_with("0x") {
                            format!("`{text}` is not a finite number")
                        } else {
                            format!(
                                "the number `{}` is too long, or its exponent too large",
                                shorten(text)
                            )
                        },
                    ));
                    return None;
                }
                Scalar::String => {
                    let text = text.clone().into_owned();
                    if !templates {
                        Literal::String(text)
                    } else if let Some(constant) = self.whole_constant(id, &text) {
                        constant?
                    } else {
                        Literal::String(self.folded(id, text)?)
                    }
                }
            },
            Kind::Sequence(children) => {
                let mut items = Vec::new();
                let mut whole = true;
                for item in self.tree.children(*children) {
                    match self.literal(*item, templates) {
                        Some(item) => items.push(item),
                        None => whole = false,
                    }
                }
                if !whole {
                    return None;
                }
                Literal::Array(items)
            }
            Kind::Mapping(children) => {
                if let Some(diagnostic) = self.unquoted_template(id) {
                    self.report(diagnostic);
                    return None;
                }
                Literal::Object(self.object(*children, templates)?)
            }
        };
        Some(Spanned::new(value, span))
    }

    /// The entries of a mapping of constants.
    pub(crate) fn object(
        &mut self,
        children: Children,
        templates: bool,
    ) -> Option<Vec<(Spanned<String>, Spanned<Literal>)>> {
        let mut entries = Vec::new();
        let mut whole = true;
        for (key, value) in self.tree.pairs(children) {
            let key = self.free_key(key);
            let value = self.literal(value, templates);
            match (key, value) {
                (Some(key), Some(value)) => entries.push((key, value)),
                _ => whole = false,
            }
        }
        // Duplicate keys were reported when the tree was built, and the document is refused for them.
        whole.then_some(entries)
    }

    /// A key of a mapping with free keys: any scalar as it was written.
    pub(crate) fn free_key(&mut self, key: NodeId) -> Option<Spanned<String>> {
        let span = self.extent(key);
        let node = self.tree.node(key);
        match &node.kind {
            Kind::Scalar(text, _) if text == "<<" && node.style == Style::Plain => {
                self.report(
                    Diagnostic::new(Code::UnknownKey, span, "merge keys (`<<`) cannot be used")
                        .help("write the keys out; an alias may stand for a whole value"),
                );
                None
            }
            Kind::Scalar(_, Scalar::Null) if node.style == Style::Plain => {
                self.report(Diagnostic::new(
                    Code::WrongType,
                    span,
                    "a key must be a string, found nothing",
                ));
                None
            }
            Kind::Scalar(text, _) => Some(Spanned::new(text.clone().into_owned(), span)),
            Kind::Sequence(_) | Kind::Mapping(_) => {
                let diagnostic = self.unquoted_template(key).unwrap_or_else(|| {
                    Diagnostic::new(Code::WrongType, self.head(key), "a key must be a string")
                });
                self.report(diagnostic);
                None
            }
            Kind::Broken => None,
        }
    }

    // ----- documents ------------------------------------------------------------------------------------------

    /// One policy document.
    pub(crate) fn policy(&mut self, root: NodeId) -> Option<Policy> {
        let before = self.problems.errors();
        let Kind::Mapping(children) = self.tree.node(root).kind else {
            if let Some(mut diagnostic) = self.wrong_type(root, "a policy document", "a mapping") {
                diagnostic = match self.tree.node(root).kind {
                    Kind::Sequence(_) => diagnostic
                        .help("write each policy as a document of its own, separated by a line `---`"),
                    Kind::Scalar(..) | Kind::Mapping(_) | Kind::Broken => diagnostic.help(
                        "a policy has the keys `metadata`, `rules`, `status`, `onError`, `let` and `import`",
                    ),
                };
                self.report(diagnostic);
            }
            return None;
        };
        if self.is_nearly_definitions(children) || dialect::refuse_document(self, root, children) {
            return None;
        }
        let [metadata, import, constants, rules, status, on_error] =
            self.fields(children, POLICY, &POLICY_KEYS, dialect::policy_key);
        self.declare(import, constants, Vec::new());
        let metadata = match metadata {
            Some(entry) => self.metadata(entry),
            None => {
                let missing = self.missing(self.head(root), "the policy", "metadata");
                self.report(missing.help("add `metadata:` with at least `id` and `name`"));
                None
            }
        };
        let rules = match rules {
            Some(entry) => self.rules(entry.value),
            None => {
                let missing = self.missing(self.head(root), "the policy", "rules");
                self.report(missing.help("add `rules:` with a list of rules"));
                None
            }
        };
        let status = match self.present(status) {
            Some(entry) => {
                let all: Vec<_> = Status::ALL.iter().map(|s| (s.as_str(), *s)).collect();
                self.word(entry.value, "`status`", Words::Status, &all)
                    .map(|s| s.value)
            }
            None => Some(Status::Active),
        };
        let on_error = match self.present(on_error) {
            Some(entry) => {
                let all: Vec<_> = OnError::ALL.iter().map(|s| (s.as_str(), *s)).collect();
                self.word(entry.value, "`onError`", Words::OnError, &all)
                    .map(|s| s.value)
            }
            None => Some(OnError::Match),
        };
        if self.problems.errors() > before {
            return None;
        }
        self.doubt_unused();
        if let (Some(import), true) = (import, self.problems.edits.is_some()) {
            self.write_imports(children, import, constants);
        }
        Some(Policy {
            span: self.head(root),
            metadata: metadata?,
            rules: rules?,
            status: status?,
            on_error: on_error?,
        })
    }

    /// Reports a `kind` that is misspelt.
    fn is_nearly_definitions(&mut self, children: Children) -> bool {
        let tree = self.tree;
        let found = tree.pairs(children).find_map(|(key, value)| {
            let (Kind::Scalar(key, _), Kind::Scalar(text, _)) =
                (&tree.node(key).kind, &tree.node(value).kind)
            else {
                return None;
            };
            (key == "kind").then_some((value, text))
        });
        let Some((value, text)) = found else { return false };
        if near(&text.to_lowercase(), [DEFINITIONS].into_iter()).is_none() {
            return false;
        }
        let span = self.extent(value);
        self.report(
            Diagnostic::new(
                Code::InvalidValue,
                span,
                format!("`kind` cannot be `{}`", shorten(text)),
            )
            .help(format!("did you mean `{DEFINITIONS}`?"))
            .fix(span, requote(DEFINITIONS, tree.node(value).style)),
        );
        true
    }

    fn metadata(&mut self, entry: Entry) -> Option<Metadata> {
        let Kind::Mapping(children) = self.tree.node(entry.value).kind else {
            self.report_wrong_type(entry.value, "`metadata`", "a mapping");
            return None;
        };
        let owner = self.head(entry.key);
        let [id, name, version, namespace, description, tags, priority] =
            self.fields(children, "`metadata`", &METADATA_KEYS, dialect::metadata_key);
        let required = |walk: &mut Self, entry: Option<Entry>, key: &str| match entry {
            Some(entry) => walk.name(entry.value, &format!("`metadata.{key}`")),
            None => {
                let missing = walk.missing(owner, "`metadata`", key);
                walk.report(missing);
                None
            }
        };
        let id = required(self, id, "id");
        let name = required(self, name, "name");
        let version = match self.present(version) {
            Some(entry) => self.version(entry.value),
            None => Some(Spanned::new(DEFAULT_VERSION.to_owned(), owner)),
        };
        let namespace = match self.present(namespace) {
            Some(entry) => self.name(entry.value, "`metadata.namespace`"),
            None => Some(Spanned::new(DEFAULT_NAMESPACE.to_owned(), owner)),
        };
        let description = match self.present(description) {
            Some(entry) => self.string(entry.value, "`metadata.description`").map(Some),
            None => Some(None),
        };
        let tags = match self.present(tags) {
            Some(entry) => self.tags(entry.value),
            None => Some(Vec::new()),
        };
        let priority = match self.present(priority) {
            Some(entry) => self.priority(entry.value),
            None => Some(Spanned::new(0, owner)),
        };
        Some(Metadata {
            id: id?,
            name: name?,
            version: version?,
            namespace: namespace?,
            description: description?,
            tags: tags?,
            priority: priority?,
        })
    }

    fn version(&mut self, id: NodeId) -> Option<Spanned<String>> {
        if let Kind::Scalar(text, Scalar::Number(_)) = &self.tree.node(id).kind {
            // `1.10` is the number 1.1; what was written still tells what was meant.
            let dots = text.matches('.').count();
            let full = format!("\"{text}{}\"", if dots == 0 { ".0.0" } else { ".0" });
            let span = self.extent(id);
            if let Some(diagnostic) = self.wrong_type(id, "`metadata.version`", "a string") {
                self.report(
                    diagnostic
                        .help("write a semantic version such as `1.0.0`, or put it in quotes")
                        .fix(span, full),
                );
            }
            return None;
        }
        let version = self.name(id, "`metadata.version`")?;
        if semver::Version::parse(&version.value).is_err() {
            self.report(
                Diagnostic::new(
                    Code::NotSemver,
                    version.span,
                    format!("version `{}` is not a semantic version", shorten(&version.value)),
                )
                .help("write three numbers such as `1.0.0`, so that tools can order versions"),
            );
        }
        Some(version)
    }

    fn tags(&mut self, id: NodeId) -> Option<Vec<Spanned<String>>> {
        let Kind::Sequence(children) = self.tree.node(id).kind else {
            self.report_wrong_type(id, "`metadata.tags`", "a list of strings");
            return None;
        };
        let tree = self.tree;
        let items = tree.children(children);
        let tags: Vec<_> = items
            .iter()
            .filter_map(|item| self.string(*item, "a tag"))
            .collect();
        (tags.len() == items.len()).then_some(tags)
    }

    fn priority(&mut self, id: NodeId) -> Option<Spanned<i64>> {
        let span = self.extent(id);
        match &self.tree.node(id).kind {
            Kind::Scalar(_, Scalar::Number(Number::Int(n))) => return Some(Spanned::new(*n, span)),
            Kind::Scalar(text, Scalar::Number(Number::UInt(_) | Number::Decimal(_)) | Scalar::NotFinite) => {
                let message =
                    format!("`metadata.priority` cannot be `{text}`: it must fit 64 bits with a sign");
                self.report(Diagnostic::new(Code::InvalidValue, span, message));
            }
            Kind::Scalar(_, Scalar::Number(Number::Float(_))) => {
                self.report(Diagnostic::new(
                    Code::WrongType,
                    span,
                    "`metadata.priority` takes an integer, found a number with a fraction",
                ));
            }
            Kind::Scalar(_, Scalar::Null | Scalar::Bool(_) | Scalar::String)
            | Kind::Sequence(_)
            | Kind::Mapping(_)
            | Kind::Broken => self.report_wrong_type(id, "`metadata.priority`", "an integer"),
        }
        None
    }

    fn rules(&mut self, id: NodeId) -> Option<Vec<Rule>> {
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
