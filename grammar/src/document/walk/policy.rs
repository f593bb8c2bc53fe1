//! A policy document: its keys, `metadata`, `status` and `onError`.
//!
//! A policy is returned only when nothing in it was an error. Its rules are the business of [`super::rule`].

use super::{Entry, POLICY, Walk, requote, shorten};
use crate::ast::{Metadata, Number, OnError, Policy, Status};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::document::constants::DEFINITIONS;
use crate::document::dialect;
use crate::document::scalar::Scalar;
use crate::document::tree::{Children, Kind, NodeId};
use crate::document::words::Words;
use crate::source::Spanned;
use crate::suggest::near;

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

/// Default of `metadata.version`.
pub(crate) const DEFAULT_VERSION: &str = "1.0.0";
/// Default of `metadata.namespace`.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

impl<'a, 's> Walk<'a, 's> {
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
}
