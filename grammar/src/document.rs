//! The document parser: text to policies, with every problem found on the way.
//!
//! First step of the compile-time journey. `yaml` and `json` build a generic node tree (`tree`), `walk` with
//! `condition` and `action` turns it into the AST, `dialect` recognises policies written for other engines, `suggest`
//! finds near words. Parsing never fails as a whole: [`parse_source`] returns the policies that have no error, and
//! the diagnostics of all of them. Meaning (fields, types, duplicate ids between files) is checked later.

mod action;
mod condition;
mod data;
mod dialect;
mod doubts;
mod json;
mod kinds;
mod problems;
mod scalar;
mod suggest;
mod tree;
mod walk;
mod yaml;

/// The tables that the JSON Schema is made of.
pub(crate) mod schema_tables {
    pub(crate) use super::action::ACTION_KEYS;
    pub(crate) use super::condition::{CONDITION_KEYS, Logic, Takes};
    pub(crate) use super::walk::{DEFAULT_NAMESPACE, DEFAULT_VERSION, METADATA_KEYS, POLICY_KEYS, RULE_KEYS};
}

pub use data::parse_data;
pub use kinds::{Holds, holds};

use crate::ast::Policy;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::limits::Limits;
use crate::source::{FileId, SourceFile, SourceMap, Span};
use problems::{Ask, Problems};
use std::collections::HashMap;
use std::sync::Arc;
use tree::{Kind, NodeId, Tree};

/// What a source file gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParseOutput {
    /// The policies without errors, in file order.
    pub policies: Vec<Policy>,
    /// All problems of the file, in the order of their places.
    pub diagnostics: Vec<Diagnostic>,
}

impl ParseOutput {
    /// Whether a diagnostic is an error, so that the file must not be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML, several documents allowed.
    Yaml,
    /// JSON: one policy object or an array of them.
    Json,
    /// The text DSL.
    Rego,
}

impl Format {
    /// Format of a file: by the extension of its name, else JSON if its first character is `{` or `[`, else YAML.
    #[must_use]
    pub fn of(file: &SourceFile) -> Self {
        let extension = file
            .name()
            .rsplit(['/', '\\'])
            .next()
            .and_then(|name| name.rsplit_once('.'))
            .map(|(_, extension)| extension.to_ascii_lowercase());
        match extension.as_deref() {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            Some("rego") => Self::Rego,
            Some(_) | None => {
                let text = file.text().trim_start_matches('\u{feff}').trim_start();
                if text.starts_with(['{', '[']) {
                    Self::Json
                } else {
                    Self::Yaml
                }
            }
        }
    }
}

/// Parses a file with the default [`Limits`].
///
/// Takes time linear in the size of the file. Never panics, for any input.
///
/// # Examples
///
/// ```
/// use policy_grammar::{SourceFile, SourceMap, parse_source};
///
/// let mut map = SourceMap::new();
/// let file = map.add(SourceFile::new("p.yaml", "metadata: {id: a, name: A, priorty: 1}\nrules: []\n"));
/// let output = parse_source(&map, file);
/// assert!(output.policies.is_empty());
/// assert_eq!(output.diagnostics[0].help, ["did you mean `priority`?"]);
/// ```
#[must_use]
pub fn parse_source(map: &SourceMap, file: FileId) -> ParseOutput {
    parse_source_with(map, file, &Limits::default())
}

/// Parses a file with chosen limits; see [`parse_source`]. A file of another map gives an empty output.
#[must_use]
pub fn parse_source_with(map: &SourceMap, file: FileId, limits: &Limits) -> ParseOutput {
    parse(map, file, limits, None).unwrap_or_default()
}

/// As [`parse_source_with`], unless `stop` says that nobody waits for it any more: then there is no output. It is asked
/// between documents, between rules, and every thousand keys and values.
pub fn parse_source_until(
    map: &SourceMap,
    file: FileId,
    limits: &Limits,
    stop: impl Fn() -> bool + Send + Sync + 'static,
) -> Option<ParseOutput> {
    parse(map, file, limits, Some(Arc::new(stop)))
}

/// `None` when stopped.
fn parse(map: &SourceMap, file: FileId, limits: &Limits, stop: Option<Ask>) -> Option<ParseOutput> {
    let Some(source) = map.file(file) else {
        return Some(ParseOutput::default());
    };
    let text = source.text();
    let mut problems = Problems::new(file, limits, stop);
    let start = problems.span(0, 0);
    let format = Format::of(source);
    if format == Format::Rego {
        problems.report(
            Diagnostic::new(
                Code::NotSupportedYet,
                start,
                "`.rego` files are not supported by this version",
            )
            .help("write the policy in YAML or JSON"),
        );
        return Some(ParseOutput {
            policies: Vec::new(),
            diagnostics: problems.into_sorted(),
        });
    }
    if text.len() > limits.max_bytes.min(u32::MAX as usize) {
        problems.report(
            Diagnostic::new(
                Code::Limit,
                start,
                format!(
                    "the file has {} bytes, more than the {} allowed",
                    text.len(),
                    limits.max_bytes
                ),
            )
            .help("split the policies over several files"),
        );
        return Some(ParseOutput {
            policies: Vec::new(),
            diagnostics: problems.into_sorted(),
        });
    }
    let mut policies = Vec::new();
    let mut documents = 0usize;
    match format {
        Format::Json => json::read(text, limits, &mut problems, |tree, root, problems| {
            if let Kind::Sequence(items) = tree.node(root).kind {
                for item in tree.children(items) {
                    if problems.is_stopped() {
                        return;
                    }
                    documents += 1;
                    policies.extend(walk_document(tree, *item, text, tree.node(*item).start, problems));
                }
            } else {
                documents += 1;
                policies.extend(walk_document(tree, root, text, 0, problems));
            }
        }),
        Format::Yaml | Format::Rego => {
            yaml::read(text, limits, &mut problems, |tree, root, from, problems| {
                if matches!(tree.node(root).kind, Kind::Scalar(_, scalar::Scalar::Null)) {
                    return;
                }
                documents += 1;
                policies.extend(walk_document(tree, root, text, from, problems));
            })
        }
    }
    if problems.is_stopped() {
        return None;
    }
    if documents == 0 && problems.errors() == 0 {
        problems.report(
            Diagnostic::new(Code::EmptyDocument, start, "the file holds no policy")
                .help("a policy starts with `metadata:` and has `rules:`"),
        );
    }
    Some(ParseOutput {
        policies,
        diagnostics: problems.into_sorted(),
    })
}

/// Reports policies of one namespace that share an id, over any number of files.
///
/// [`parse_source`] does not do this itself: whoever collects the policies of a bundle calls it once for all of them.
/// Each policy after the first with an id in its namespace gives one diagnostic that also points at the first.
#[must_use]
pub fn duplicate_policy_ids(policies: &[Policy]) -> Vec<Diagnostic> {
    let mut first: HashMap<(&str, &str), Span> = HashMap::with_capacity(policies.len());
    let mut diagnostics = Vec::new();
    for policy in policies {
        let id = &policy.metadata.id;
        let key = (policy.metadata.namespace.value.as_str(), id.value.as_str());
        match first.get(&key) {
            Some(place) => diagnostics.push(
                Diagnostic::new(
                    Code::DuplicatePolicyId,
                    id.span,
                    format!("the policy id `{}` is used twice", walk::shorten(&id.value)),
                )
                .label("again here")
                .also(*place, "first here")
                .help("give each policy an id of its own"),
            ),
            None => {
                first.insert(key, id.span);
            }
        }
    }
    diagnostics
}

/// Whether a plain scalar of this text is a string.
pub(crate) fn plain_scalar_is_string(text: &str) -> bool {
    scalar::resolve(text) == scalar::Scalar::String
}

/// One document, unless the walk or the reader before it found an error between `from` and its end.
fn walk_document(
    tree: &Tree<'_>,
    root: NodeId,
    text: &str,
    from: u32,
    problems: &mut Problems,
) -> Option<Policy> {
    let policy = walk::Walk { tree, text, problems }.policy(root)?;
    let end = tree.node(root).end;
    (!problems.has_error_in(from, end)).then_some(policy)
}
