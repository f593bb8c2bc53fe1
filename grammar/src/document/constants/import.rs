//! `import`: the files that a document names, those that these name, and what they define.
//!
//! # Invariants
//!
//! - Files are found in the [`SourceMap`] alone; nothing here reads a disk.
//! - A file is read once for a map, whoever imports it; files that import each other are an error.
//! - A document reaches at most [`Limits::max_imports`] files.

use super::{Constant, Files, Known, Origin};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::document::print::json_text;
use crate::document::problems::Problems;
use crate::document::tree::{Kind, NodeId, Tree};
use crate::document::walk::{Entry, Walk, shorten};
use crate::document::{Definitions, Format, json, yaml};
use crate::limits::Limits;
use crate::names::ENDINGS;
use crate::source::{FileId, SourceFile, SourceMap, Span, Spanned, beside};
use std::collections::HashSet;
use std::sync::Arc;

/// Files that were reached from one document.
#[derive(Default)]
pub(super) struct Gathered {
    /// Looked for, found or not.
    pub(super) reached: HashSet<String>,
}

struct Refusal {
    message: String,
    help: Option<String>,
}

impl Refusal {
    fn new(message: String) -> Self {
        Self { message, help: None }
    }
}

impl Gathered {
    /// Collects the definitions of a file and of those that it imports, these first. Recursion is bounded by
    /// [`Limits::max_imports`].
    fn visit(
        &mut self,
        files: Files<'_>,
        name: String,
        chain: &mut Vec<String>,
        found: &mut Vec<(FileId, Arc<Definitions>)>,
    ) -> Result<(), Refusal> {
        if chain.contains(&name) {
            let steps: Vec<String> = chain
                .iter()
                .chain([&name])
                .map(|step| format!("`{}`", shorten(step)))
                .collect();
            return Err(Refusal::new(format!(
                "files import each other: {}",
                steps.join(" imports ")
            )));
        }
        if !self.reached.insert(name.clone()) {
            // Reached before, by another way or for another item: what it holds is known.
            if let Some(id) = files.map.named(&name)
                && let Some(file) = files.map.file(id)
                && let Some(definitions) = file.definitions.get()
            {
                found.push((id, Arc::clone(definitions)));
            }
            return Ok(());
        }
        let shown = shorten(&name);
        if self.reached.len() > files.limits.max_imports {
            return Err(Refusal::new(format!(
                "the document imports more than {} files, counting what these import",
                files.limits.max_imports
            )));
        }
        let Some((id, file)) = files
            .map
            .named(&name)
            .and_then(|id| Some((id, files.map.file(id)?)))
        else {
            return Err(Refusal {
                message: format!("the imported file `{shown}` is not there"),
                help: Some(
                    "paths are relative to the file that imports; `policyc push` writes imported constants into what it sends"
                        .to_owned(),
                ),
            });
        };
        let definitions = file
            .definitions
            .get_or_init(|| Arc::new(read(files.map, id, files.limits)));
        if definitions.broken {
            return Err(Refusal::new(format!("the imported file `{shown}` has errors")));
        }
        if definitions.documents == 0 {
            return Err(Refusal {
                message: format!("the imported file `{shown}` defines nothing"),
                help: Some(
                    "what is imported is the `let` of documents that say `kind: definitions`".to_owned(),
                ),
            });
        }
        chain.push(name);
        for path in &definitions.imports {
            let next = beside(file.name(), path);
            self.visit(files, next, chain, found)?;
        }
        chain.pop();
        found.push((id, Arc::clone(definitions)));
        Ok(())
    }
}

/// See [`imports`](super::imports).
pub(crate) fn imports(map: &SourceMap, file: FileId, limits: &Limits) -> Vec<String> {
    let Some(source) = map.file(file) else {
        return Vec::new();
    };
    let text = source.text();
    if !text.contains("import") || text.len() > limits.max_bytes.min(u32::MAX as usize) {
        return Vec::new();
    }
    let mut problems = Problems::new(file, limits, None);
    let mut out = Vec::new();
    documents(source, limits, &mut problems, |tree, root, problems| {
        let mut walk = Walk::new(tree, text, problems, None);
        if let Kind::Mapping(children) = tree.node(root).kind {
            let entry = walk.entry(children, "import");
            out.extend(
                walk.paths(entry)
                    .into_iter()
                    .map(|path| beside(source.name(), &path.value)),
            );
        }
    });
    out
}

/// Hands each document of a file to `each`.
fn documents(
    source: &SourceFile,
    limits: &Limits,
    problems: &mut Problems,
    mut each: impl FnMut(&Tree<'_>, NodeId, &mut Problems),
) {
    match Format::of(source) {
        Format::Json => json::read(source.text(), limits, problems, |tree, root, problems| {
            if let Kind::Sequence(items) = tree.node(root).kind {
                for item in tree.children(items) {
                    each(tree, *item, problems);
                }
            } else {
                each(tree, root, problems);
            }
        }),
        Format::Yaml => yaml::read(source.text(), limits, problems, |tree, root, _, problems| {
            each(tree, root, problems);
        }),
        Format::Rego => {}
    }
}

/// See [`definitions`](super::definitions).
pub(crate) fn definitions(map: &SourceMap, file: FileId, limits: &Limits) -> Vec<String> {
    let Definitions {
        constants, imports, ..
    } = read(map, file, limits);
    let constant = |constant: Constant| format!("{}: {}", constant.name, json_text(&constant.value));
    let import = |path: String| format!("import {path}");
    constants
        .into_iter()
        .map(constant)
        .chain(imports.into_iter().map(import))
        .collect()
}

/// What a file defines for others. What it imports is not looked at here: that does not depend on its text alone.
fn read(map: &SourceMap, id: FileId, limits: &Limits) -> Definitions {
    let mut problems = Problems::new(id, limits, None);
    let mut out = Definitions::default();
    let Some(source) = map.file(id) else {
        return out;
    };
    let text = source.text();
    if text.len() > limits.max_bytes.min(u32::MAX as usize) {
        out.broken = true;
        return out;
    }
    documents(source, limits, &mut problems, |tree, root, problems| {
        let mut walk = Walk::new(tree, text, problems, None);
        let Kind::Mapping(children) = tree.node(root).kind else {
            return;
        };
        if !walk.is_definitions(children) {
            return;
        }
        let (constants, imports) = walk.definitions(root, children);
        out.documents += 1;
        out.constants.extend(constants);
        out.imports.extend(imports);
    });
    let mut names = HashSet::new();
    // Also where the text itself cannot be read to its end.
    out.broken = problems.errors() > 0
        || !out
            .constants
            .iter()
            .all(|constant| names.insert(constant.name.as_str()));
    out
}

/// Why a path cannot be imported, whatever stands there.
fn refused(path: &str) -> Option<&'static str> {
    let lower = path.to_ascii_lowercase();
    if path.starts_with(['/', '\\']) || path.contains("://") || path.as_bytes().get(1) == Some(&b':') {
        return Some("a path is relative to the file that imports it");
    }
    if path.contains('\\') || path.contains(char::is_control) {
        return Some("directories in a path are separated by `/`");
    }
    if !ENDINGS.iter().any(|ending| lower.ends_with(ending)) {
        return Some("its name does not end in .yaml, .yml or .json");
    }
    None
}

/// A place as text, for what stands in another file.
fn place(map: &SourceMap, file: FileId, span: Span) -> String {
    match map.file(file) {
        Some(source) => {
            let (line, _) = source.line_column(span.start);
            format!("{}:{line}", shorten(source.name()))
        }
        None => "another file".to_owned(),
    }
}

impl Walk<'_, '_> {
    /// The items of `import`.
    pub(super) fn paths(&mut self, entry: Option<Entry>) -> Vec<Spanned<String>> {
        let Some(entry) = entry else {
            return Vec::new();
        };
        let Kind::Sequence(children) = self.tree.node(entry.value).kind else {
            if let Some(diagnostic) = self.wrong_type(entry.value, "`import`", "a list of files") {
                self.report(diagnostic.help("write `import: [shared.yaml]`"));
            }
            return Vec::new();
        };
        let tree = self.tree;
        let mut out = Vec::new();
        for item in tree.children(children) {
            let Some(path) = self.name(*item, "an item of `import`") else {
                continue;
            };
            match refused(&path.value) {
                Some(why) => self.report(Diagnostic::new(
                    Code::Import,
                    path.span,
                    format!("`{}` cannot be imported: {why}", shorten(&path.value)),
                )),
                None => out.push(path),
            }
        }
        out
    }

    /// Makes known what one item of `import` leads to.
    pub(super) fn import(
        &mut self,
        index: usize,
        path: &Spanned<String>,
        chain: &[String],
        gathered: &mut Gathered,
    ) {
        let Some(files) = self.files else {
            self.report(Diagnostic::new(
                Code::Import,
                path.span,
                "`import` cannot be used here",
            ));
            return;
        };
        let mut chain = chain.to_vec();
        let mut found = Vec::new();
        let name = beside(files.name(), &path.value);
        if let Err(refusal) = gathered.visit(files, name, &mut chain, &mut found) {
            let mut diagnostic = Diagnostic::new(Code::Import, path.span, refusal.message);
            diagnostic.help.extend(refusal.help);
            self.report(diagnostic);
            return;
        }
        let direct = found.last().map(|(file, _)| *file);
        for (file, definitions) in found {
            for constant in &definitions.constants {
                let place = || place(files.map, file, constant.span);
                match self.scope.known.get_mut(&constant.name) {
                    // One definition that two ways lead to: the direct one counts as used.
                    Some(known)
                        if known.span
                            == (Span {
                                file,
                                ..constant.span
                            }) =>
                    {
                        if direct == Some(file) {
                            known.origin = Origin::Imported(index, place());
                        }
                    }
                    Some(known) => {
                        let shown = shorten(&constant.name);
                        let diagnostic = match &known.origin {
                            Origin::Own => Diagnostic::new(
                                Code::DuplicateConstant,
                                known.span,
                                format!("`{shown}` is defined here and in {}", place()),
                            )
                            .also(path.span, "imported here"),
                            Origin::Imported(_, other) => Diagnostic::new(
                                Code::DuplicateConstant,
                                path.span,
                                format!("`{shown}` is defined in {other} and in {}", place()),
                            ),
                        };
                        self.report(diagnostic.help("give each constant a name of its own"));
                    }
                    None => {
                        self.scope.known.insert(
                            constant.name.clone(),
                            Known {
                                value: Arc::clone(&constant.value),
                                span: Span {
                                    file,
                                    ..constant.span
                                },
                                origin: Origin::Imported(index, place()),
                                used: false,
                            },
                        );
                    }
                }
            }
        }
    }
}
