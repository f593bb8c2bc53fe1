//! Documents of `kind: definitions`: constants that other files import.

use super::Constant;
use crate::ast::LET;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::document::tree::{Children, Kind, NodeId};
use crate::document::walk::{Walk, shorten};
use crate::source::Span;
use std::collections::HashMap;

/// The word of `kind` that says that a document defines constants for others.
pub(crate) const DEFINITIONS: &str = "definitions";
/// What such a document is called in messages.
pub(crate) const DEFINITIONS_OWNER: &str = "a document of definitions";
/// Keys of a document of definitions.
pub(crate) const DEFINITIONS_KEYS: [&str; 4] = ["kind", "description", "import", "let"];

/// Names twice over all documents of definitions of one file.
pub(crate) fn twice(constants: &[Constant]) -> Vec<Diagnostic> {
    let mut first: HashMap<&str, Span> = HashMap::new();
    let mut out = Vec::new();
    for constant in constants {
        match first.get(constant.name.as_str()) {
            Some(place) => out.push(
                Diagnostic::new(
                    Code::DuplicateConstant,
                    constant.span,
                    format!("`{}` is defined twice in this file", shorten(&constant.name)),
                )
                .label("again here")
                .also(*place, "first here")
                .help("give each constant a name of its own"),
            ),
            None => {
                first.insert(&constant.name, constant.span);
            }
        }
    }
    out
}

impl Walk<'_, '_> {
    /// Whether the document says that it defines constants for others.
    pub(crate) fn is_definitions(&self, children: Children) -> bool {
        self.tree.pairs(children).any(|(key, value)| {
            let text = |id: NodeId| match &self.tree.node(id).kind {
                Kind::Scalar(text, _) => Some(text.as_ref()),
                Kind::Sequence(_) | Kind::Mapping(_) | Kind::Broken => None,
            };
            text(key) == Some("kind") && text(value) == Some(DEFINITIONS)
        })
    }

    /// A document of definitions: its constants and what it imports.
    pub(crate) fn definitions(&mut self, root: NodeId, children: Children) -> (Vec<Constant>, Vec<String>) {
        let [_, description, import, constants] = self.fields(
            children,
            "a document of definitions",
            &DEFINITIONS_KEYS,
            |key| match key {
                "metadata" | "rules" | "status" | "onError" => Some((
                    Code::UnknownKey,
                    format!("`{key}` belongs to a policy, which is a document of its own without `kind`"),
                )),
                _ => None,
            },
        );
        if let Some(entry) = self.present(description) {
            self.string(entry.value, "`description`");
        }
        if constants.is_none() && import.is_none() {
            let missing = self.missing(self.head(root), "the document of definitions", LET);
            self.report(missing.help("add `let:` with names and values, as in `let: {limit: 2.5}`"));
        }
        let written = self.paths(self.present(import));
        let own = match self.present(constants) {
            Some(entry) => self.constants(entry),
            None => Vec::new(),
        };
        (own, written.into_iter().map(|path| path.value).collect())
    }

    /// Looks at what a document of definitions imports, as a document that uses it would.
    pub(crate) fn check_definitions(&mut self, children: Children) {
        let import = self.entry(children, "import");
        let constants = self.entry(children, LET);
        let name = self.files.map(|files| crate::source::normalised(files.name()));
        self.declare(import, constants, name.into_iter().collect());
    }
}
