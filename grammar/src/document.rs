//! The document parser: text to policies, with every problem found on the way.
//!
//! First step of the compile-time journey. `yaml` and `json` build a generic node tree (`tree`), `walk` with
//! `condition` and `action` turns it into the AST (`ast`), `dialect` recognises policies written for other engines, `words`
//! knows their words for ours. `format` lays files out, `print` writes policies, `schema` makes the JSON Schema. Parsing never fails as a whole: [`parse_source`] returns the policies that have no error, and
//! the diagnostics of all of them. Meaning (fields, types, duplicate ids between files) is checked later.

mod action;
pub mod ast;
mod condition;
mod constants;
mod data;
mod dialect;
mod doubts;
mod format;
mod json;
mod kinds;
mod number;
mod print;
mod problems;
mod scalar;
mod schema;
mod spans;
mod suppress;
mod tree;
mod walk;
mod words;
mod yaml;

/// The tables that the JSON Schema is made of.
pub(crate) mod schema_tables {
    pub(crate) use super::action::ACTION_KEYS;
    pub(crate) use super::condition::{CONDITION_KEYS, Logic, Takes};
    pub(crate) use super::constants::{DEFINITIONS, DEFINITIONS_KEYS};
    pub(crate) use super::walk::{DEFAULT_NAMESPACE, DEFAULT_VERSION, METADATA_KEYS, POLICY_KEYS, RULE_KEYS};
}

pub use data::{parse_data, parse_data_with_constants};
pub use format::format_source;
pub use kinds::{Holds, holds};
pub use print::{to_json, to_yaml};
pub use schema::{PATH_PATTERN, SCHEMA_KEY, Vocabulary, json_schema};
pub use suppress::{Reviewed, Suppressed, review};

use crate::ast::Policy;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::limits::Limits;
use crate::source::{FileId, SourceFile, SourceMap, Span};
use constants::{Constant, Files};
use problems::{Ask, Problems};
use std::collections::HashMap;
use std::sync::Arc;
use tree::{Kind, NodeId, Tree};

/// What a source file gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParseOutput {
    /// The policies without errors, in file order. Named constants stand in them as their values.
    pub policies: Vec<Policy>,
    /// Normalised names of the files that documents import, found or not, and of those that these import.
    pub imports: Vec<String>,
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
    parse(map, file, limits, None, false)
        .map(|(output, _)| output)
        .unwrap_or_default()
}

/// As [`parse_source_with`], unless `stop` says that nobody waits for it any more: then there is no output. It is asked
/// between documents, between rules, and every thousand keys and values.
pub fn parse_source_until(
    map: &SourceMap,
    file: FileId,
    limits: &Limits,
    stop: impl Fn() -> bool + Send + Sync + 'static,
) -> Option<ParseOutput> {
    parse(map, file, limits, Some(Arc::new(stop)), false).map(|(output, _)| output)
}

/// The text of a file whose policies import nothing: the constants that they use of other files stand in their `let`. All
/// else is as it was. `None` where the file has errors, or where no text is found that means the same.
#[must_use]
pub fn without_imports(map: &SourceMap, file: FileId) -> Option<String> {
    let source = map.file(file)?;
    let (output, mut edits) = parse(map, file, &Limits::default(), None, true)?;
    if output.has_errors() {
        return None;
    }
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    let mut text = String::with_capacity(source.text().len());
    let mut at = 0;
    for (span, replacement) in edits {
        text.push_str(source.text().get(at..span.start as usize)?);
        text.push_str(&replacement);
        at = span.end as usize;
    }
    text.push_str(source.text().get(at..)?);
    let mut alone = SourceMap::new();
    let file = alone.add(SourceFile::new(source.name(), text.as_str()));
    let again = parse_source(&alone, file);
    let same = !again.has_errors()
        && again.policies.len() == output.policies.len()
        && again
            .policies
            .iter()
            .zip(&output.policies)
            .all(|(now, before)| now.without_spans() == before.without_spans());
    same.then_some(text)
}

/// Edits of a text: places, and what is to stand there.
type Edits = Vec<(Span, String)>;

/// `None` when stopped. The edits are those of [`without_imports`], where they are wanted.
fn parse(
    map: &SourceMap,
    file: FileId,
    limits: &Limits,
    stop: Option<Ask>,
    edits: bool,
) -> Option<(ParseOutput, Edits)> {
    let Some(source) = map.file(file) else {
        return Some(Default::default());
    };
    let text = source.text();
    let mut problems = Problems::new(file, limits, stop);
    problems.edits = edits.then(Vec::new);
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
        return Some((nothing(problems), Vec::new()));
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
        return Some((nothing(problems), Vec::new()));
    }
    let mut policies = Vec::new();
    let mut documents = 0usize;
    let mut constants = Vec::new();
    let files = Files { map, file, limits };
    match format {
        Format::Json => json::read(text, limits, &mut problems, |tree, root, problems| {
            if let Kind::Sequence(items) = tree.node(root).kind {
                for item in tree.children(items) {
                    if problems.is_stopped() {
                        return;
                    }
                    documents += 1;
                    let from = tree.node(*item).start;
                    policies.extend(walk_document(
                        tree,
                        *item,
                        text,
                        from,
                        problems,
                        files,
                        &mut constants,
                    ));
                }
            } else {
                documents += 1;
                policies.extend(walk_document(
                    tree,
                    root,
                    text,
                    0,
                    problems,
                    files,
                    &mut constants,
                ));
            }
        }),
        Format::Yaml | Format::Rego => {
            yaml::read(text, limits, &mut problems, |tree, root, from, problems| {
                if matches!(tree.node(root).kind, Kind::Scalar(_, scalar::Scalar::Null)) {
                    return;
                }
                documents += 1;
                policies.extend(walk_document(
                    tree,
                    root,
                    text,
                    from,
                    problems,
                    files,
                    &mut constants,
                ));
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
    for diagnostic in constants::twice(&constants) {
        problems.report(diagnostic);
    }
    let edits = problems.edits.take().unwrap_or_default();
    let output = ParseOutput {
        policies,
        imports: problems.reached.iter().cloned().collect(),
        diagnostics: problems.into_sorted(),
    };
    Some((output, edits))
}

/// A file of which nothing is read.
fn nothing(problems: Problems) -> ParseOutput {
    ParseOutput {
        policies: Vec::new(),
        imports: Vec::new(),
        diagnostics: problems.into_sorted(),
    }
}

/// What the documents of `kind: definitions` of one file hold for others, and the paths that they import.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    constants: Vec<Constant>,
    imports: Vec<String>,
    documents: usize,
    /// Something in them is an error.
    broken: bool,
}

/// The files that the documents of a file import, as normalised names; those that are read next to it. Whoever collects
/// files asks this of each, those included that it leads to, and adds what is missing to the map before anything is parsed.
/// Empty for most files, which is told without reading them.
#[must_use]
pub fn imports(map: &SourceMap, file: FileId) -> Vec<String> {
    constants::imports(map, file, &Limits::default())
}

/// What a file defines for others, each constant and each import as text; two files that define the same give the same.
pub(crate) fn definitions(map: &SourceMap, file: FileId) -> Vec<String> {
    constants::definitions(map, file, &Limits::default())
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
    files: Files<'_>,
    constants: &mut Vec<Constant>,
) -> Option<Policy> {
    let mut walk = walk::Walk::new(tree, text, problems, Some(files));
    if let Kind::Mapping(children) = tree.node(root).kind
        && walk.is_definitions(children)
    {
        constants.extend(walk.definitions(root, children).0);
        walk.check_definitions(children);
        return None;
    }
    let policy = walk.policy(root)?;
    let end = tree.node(root).end;
    (!problems.has_error_in(from, end)).then_some(policy)
}
