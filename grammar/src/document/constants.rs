//! Named constants: `let` of a policy, and of the documents of `kind: definitions` that it imports.
//!
//! A constant is put where it is named while the document is read, so that everything behind the parser sees a policy as
//! if the value were written there. The places of such a value are those of its name: every span of a policy lies in the
//! policy's own file.
//!
//! `definitions` reads what a file defines for others, `import` finds it, `uses` puts values in place of names, `inline` makes a
//! text that imports nothing.
//!
//! # Invariants
//!
//! - A path that starts with `let` never reaches the AST: what names no constant is an error.
//! - Imported files are found among the files of the [`SourceMap`](crate::SourceMap). Nothing here reads a disk; whoever
//!   collects the files asks [`imports`](super::imports) which others they need.

mod definitions;
mod import;
mod inline;
mod uses;

use super::tree::{Children, Kind};
use super::walk::{Entry, Walk, shorten};
use crate::ast::{Literal, is_plain_key};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::limits::Limits;
use crate::source::{FileId, SourceMap, Span};
pub(crate) use definitions::{DEFINITIONS, DEFINITIONS_KEYS, DEFINITIONS_OWNER, twice};
use import::Gathered;
pub(crate) use import::{definitions, imports};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// A named value.
#[derive(Debug, Clone)]
pub(crate) struct Constant {
    name: String,
    /// In the file that defines it.
    span: Span,
    value: Arc<Literal>,
}

/// Where files are found.
#[derive(Clone, Copy)]
pub(crate) struct Files<'a> {
    pub(crate) map: &'a SourceMap,
    pub(crate) file: FileId,
    pub(crate) limits: &'a Limits,
}

impl<'a> Files<'a> {
    fn name(&self) -> &'a str {
        self.map.file(self.file).map_or("", |file| file.name())
    }
}

/// Where a constant comes from.
#[derive(Debug, Clone)]
enum Origin {
    /// `let` of the document itself.
    Own,
    /// The item of `import` with this number, and where it leads, as `file:line`.
    Imported(usize, String),
}

#[derive(Debug, Clone)]
struct Known {
    value: Arc<Literal>,
    /// Where it is defined.
    span: Span,
    origin: Origin,
    used: bool,
}

/// What one document can name.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    known: BTreeMap<String, Known>,
    /// The document has `let` or `import`.
    declared: bool,
    /// Something in them is an error, so that an unknown name may be the fault of that.
    broken: bool,
    /// The items of `import`.
    imports: Vec<Span>,
}

/// What all documents of a file have put in place of names.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    nodes: usize,
    bytes: usize,
    /// Unknown names for which a near one was looked for.
    suggestions: usize,
}

impl Walk<'_, '_> {
    // ----- definitions ----------------------------------------------------------------------------------------

    fn entry(&self, children: Children, wanted: &str) -> Option<Entry> {
        self.tree
            .pairs(children)
            .find_map(|(key, value)| match &self.tree.node(key).kind {
                Kind::Scalar(text, _) if text == wanted => Some(Entry { key, value }),
                Kind::Scalar(..) | Kind::Sequence(_) | Kind::Mapping(_) | Kind::Broken => None,
            })
    }

    // ----- what a document declares ---------------------------------------------------------------------------

    /// Makes the constants of `let` and `import` known. `chain` has the files that are being read already.
    pub(crate) fn declare(&mut self, import: Option<Entry>, constants: Option<Entry>, chain: Vec<String>) {
        self.scope = Scope {
            declared: import.is_some() || constants.is_some(),
            ..Scope::default()
        };
        let before = self.problems.errors();
        if let Some(entry) = self.present(constants) {
            for constant in self.constants(entry) {
                self.scope.known.insert(
                    constant.name,
                    Known {
                        value: constant.value,
                        span: constant.span,
                        origin: Origin::Own,
                        used: false,
                    },
                );
            }
        }
        let mut gathered = Gathered::default();
        for (index, path) in self.paths(self.present(import)).into_iter().enumerate() {
            self.scope.imports.push(path.span);
            self.import(index, &path, &chain, &mut gathered);
        }
        self.problems.reached.extend(gathered.reached);
        self.scope.broken = self.problems.errors() > before;
    }

    /// The entries of `let`.
    fn constants(&mut self, entry: Entry) -> Vec<Constant> {
        let Kind::Mapping(children) = self.tree.node(entry.value).kind else {
            if let Some(diagnostic) = self.wrong_type(entry.value, "`let`", "a mapping of names and values") {
                self.report(diagnostic.help("write each constant as `name: value`, as in `limit: 2.5`"));
            }
            return Vec::new();
        };
        let tree = self.tree;
        let mut out: Vec<Constant> = Vec::new();
        for (key, value) in tree.pairs(children) {
            let name = self.free_key(key);
            let literal = self.literal(value, false);
            let Some(name) = name else { continue };
            if !is_plain_key(&name.value) {
                self.report(
                    Diagnostic::new(
                        Code::InvalidValue,
                        name.span,
                        format!("`{}` cannot be the name of a constant", shorten(&name.value)),
                    )
                    .help("a name starts with a letter or `_`; letters, digits, `_` and `-` follow"),
                );
                continue;
            }
            if let Some(literal) = literal {
                out.push(Constant {
                    name: name.value,
                    span: name.span,
                    value: Arc::new(literal.value),
                });
            }
        }
        out
    }

    /// Warns of constants that nothing uses.
    pub(crate) fn doubt_unused(&mut self) {
        let mut used_imports = HashSet::new();
        let mut unused = Vec::new();
        for (name, known) in &self.scope.known {
            match &known.origin {
                Origin::Own if !known.used => unused.push(
                    Diagnostic::new(
                        Code::UnusedConstant,
                        known.span,
                        format!("nothing uses the constant `{}`", shorten(name)),
                    )
                    .help(format!(
                        "use it as `valueFrom: let.{name}` or `{{{{ let.{name} }}}}`, or remove it"
                    )),
                ),
                Origin::Imported(index, _) if known.used => {
                    used_imports.insert(*index);
                }
                Origin::Own | Origin::Imported(..) => {}
            }
        }
        for (index, span) in self.scope.imports.iter().enumerate() {
            if !used_imports.contains(&index) {
                unused.push(
                    Diagnostic::new(
                        Code::UnusedConstant,
                        *span,
                        "nothing uses a constant of this file",
                    )
                    .help("remove it from `import`"),
                );
            }
        }
        for diagnostic in unused {
            self.report(diagnostic);
        }
    }
}
