//! Where constants are named: a constant is replaced by its value, with the place of its name.
//!
//! # Invariants
//!
//! - What is put in place of names is counted for a whole file, and ends at [`Limits::max_constant_nodes`] values and
//!   [`Limits::max_constant_bytes`] bytes of text.
//! - A near name is looked for at most [`SUGGESTIONS`] times a file.

use crate::ast::{FieldPath, LET, Literal, Segment, Template, TemplatePart};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::document::print::plain_text;
use crate::document::tree::{Kind, NodeId};
use crate::document::walk::{Walk, shorten};
use crate::limits::Limits;
use crate::source::{Span, Spanned};
use crate::suggest::near;
use std::sync::Arc;

/// Unknown names of one file for which a near one is looked for: looking takes as long as there are constants.
const SUGGESTIONS: usize = 100;

impl Walk<'_, '_> {
    /// Refuses a path of a constant where only a place in the request can stand.
    pub(crate) fn place_in_request(
        &mut self,
        path: Option<Spanned<FieldPath>>,
        what: &str,
    ) -> Option<Spanned<FieldPath>> {
        let path = path?;
        if !path.value.is_constant() {
            return Some(path);
        }
        self.report(
            Diagnostic::new(
                Code::UnknownConstant,
                path.span,
                format!(
                    "{what} is a place in the request, and `{}` is a constant",
                    path.value
                ),
            )
            .help("a constant is what a field is compared with: `valueFrom: let.name`"),
        );
        None
    }

    /// The value of the constant that `path` names, as if it were written at `at`.
    pub(crate) fn constant(&mut self, path: &FieldPath, at: Span, fix: Option<Span>) -> Option<Literal> {
        let value = self.lookup(path, at, fix)?;
        let (nodes, bytes) = size(&value);
        self.problems.spent.nodes = self.problems.spent.nodes.saturating_add(nodes);
        self.problems.spent.bytes = self.problems.spent.bytes.saturating_add(bytes);
        let default = Limits::default();
        let limits = self.files.map_or(&default, |files| files.limits);
        for (spent, limit, what) in [
            (self.problems.spent.nodes, limits.max_constant_nodes, "values"),
            (
                self.problems.spent.bytes,
                limits.max_constant_bytes,
                "bytes of text",
            ),
        ] {
            if spent > limit {
                self.report(
                    Diagnostic::new(
                        Code::Limit,
                        at,
                        format!("the constants of this file stand for more than {limit} {what}"),
                    )
                    .help("use a long list in fewer places, or split the file"),
                );
                return None;
            }
        }
        Some(moved(&value, at))
    }

    /// The part of a constant that `path` leads to.
    fn lookup(&mut self, path: &FieldPath, at: Span, fix: Option<Span>) -> Option<Literal> {
        let mut steps = path.segments.iter().skip(1);
        let name = match steps.next() {
            Some(Segment::Key(name)) => name,
            Some(Segment::Index(_) | Segment::FromEnd(_)) | None => {
                self.report(
                    Diagnostic::new(
                        Code::UnknownConstant,
                        at,
                        format!("`{path}` is no constant: `let.` and its name is"),
                    )
                    .help("write `let.name`"),
                );
                return None;
            }
        };
        let Some(known) = self.scope.known.get_mut(name) else {
            self.unknown(name, path, at, fix);
            return None;
        };
        known.used = true;
        let value = Arc::clone(&known.value);
        let mut here: &Literal = &value;
        let mut shown = FieldPath {
            segments: path.segments.iter().take(2).cloned().collect(),
        };
        for step in steps {
            let next = match (here, step) {
                (Literal::Object(entries), Segment::Key(key)) => entries
                    .iter()
                    .find(|(known, _)| known.value == *key)
                    .map(|(_, value)| &value.value),
                (Literal::Object(entries), Segment::Index(n)) => {
                    let key = n.to_string();
                    entries
                        .iter()
                        .find(|(known, _)| known.value == key)
                        .map(|(_, value)| &value.value)
                }
                (Literal::Array(items), Segment::Index(n)) => items.get(*n as usize).map(|item| &item.value),
                (Literal::Array(items), Segment::FromEnd(n)) => items
                    .len()
                    .checked_sub(*n as usize)
                    .and_then(|at| items.get(at))
                    .map(|item| &item.value),
                (_, Segment::Key(_) | Segment::Index(_) | Segment::FromEnd(_)) => None,
            };
            let Some(next) = next else {
                let mut whole = shown.clone();
                whole.segments.push(step.clone());
                let mut diagnostic = Diagnostic::new(
                    Code::UnknownConstant,
                    at,
                    format!("the constant `{shown}` has nothing at `{whole}`"),
                );
                if let (Literal::Object(entries), Segment::Key(key)) = (here, step)
                    && let Some(near) = near(key, entries.iter().map(|(known, _)| known.value.as_str()))
                {
                    diagnostic = diagnostic.help(format!("did you mean `{shown}.{near}`?"));
                }
                self.report(diagnostic);
                return None;
            };
            here = next;
            shown.segments.push(step.clone());
        }
        Some(here.clone())
    }

    /// Whether a path is the name of a constant of the document, and no more.
    pub(crate) fn is_known(&self, path: &FieldPath) -> bool {
        match path.segments.as_slice() {
            [_, Segment::Key(name)] => path.is_constant() && self.scope.known.contains_key(name),
            _ => false,
        }
    }

    fn unknown(&mut self, name: &str, path: &FieldPath, at: Span, fix: Option<Span>) {
        // What is missing may be what could not be read.
        if self.scope.broken {
            return;
        }
        let mut diagnostic = Diagnostic::new(
            Code::UnknownConstant,
            at,
            format!("there is no constant `{}`", shorten(name)),
        );
        self.problems.spent.suggestions += 1;
        if self.problems.spent.suggestions > SUGGESTIONS {
            self.report(diagnostic);
            return;
        }
        let names: Vec<&str> = self.scope.known.keys().map(String::as_str).collect();
        let near = near(name, names.iter().copied());
        diagnostic = match near {
            Some(near) => {
                let mut meant = path.clone();
                if let Some(segment) = meant.segments.get_mut(1) {
                    *segment = Segment::Key(near.to_owned());
                }
                let diagnostic = diagnostic.help(format!("did you mean `{meant}`?"));
                match fix {
                    Some(span) => diagnostic.fix(span, meant.to_string()),
                    None => diagnostic,
                }
            }
            None if !self.scope.declared => diagnostic.help(format!(
                "define it at the top of the file, as in `let: {{{}: …}}`, or `import` the file that does",
                shorten(name)
            )),
            None => {
                let shown: Vec<String> = names.iter().take(20).map(|name| format!("`{name}`")).collect();
                let more = if names.len() > shown.len() { ", …" } else { "" };
                diagnostic.help(format!("constants are {}{more}", shown.join(", ")))
            }
        };
        self.report(diagnostic);
    }

    /// A text whose placeholders of constants are replaced; as it is where it has none.
    pub(crate) fn fold(&mut self, id: NodeId, text: String, template: Template) -> Option<String> {
        let named = |part: &TemplatePart| matches!(part, TemplatePart::Path(path) if path.is_constant());
        if !template.parts.iter().any(named) {
            return Some(text);
        }
        let mut parts = Vec::with_capacity(template.parts.len());
        let mut whole = true;
        for part in template.parts {
            match part {
                TemplatePart::Path(path) if path.is_constant() => {
                    let at = self.placeholder(id, &text, &path);
                    match self.constant(&path, at, None) {
                        Some(value) => parts.push(TemplatePart::Text(plain_text(&value))),
                        None => whole = false,
                    }
                }
                TemplatePart::Path(_) | TemplatePart::Text(_) => parts.push(part),
            }
        }
        whole.then(|| Template { parts }.to_string())
    }

    /// The constant that a text is the one placeholder of: it stands for the value, not for its text.
    pub(crate) fn whole_constant(&mut self, id: NodeId, text: &str) -> Option<Option<Literal>> {
        let template = Template::parse(text).ok()?;
        let [TemplatePart::Path(path)] = template.parts.as_slice() else {
            return None;
        };
        if !path.is_constant() {
            return None;
        }
        let at = self.placeholder(id, text, path);
        Some(self.constant(path, at, None))
    }

    /// The place of a path in a text; the whole text where it is spelt in another way.
    fn placeholder(&self, id: NodeId, text: &str, path: &FieldPath) -> Span {
        let written = path.to_string();
        match text.find(&written) {
            Some(at) => self.inside(id, at, at + written.len()),
            None => self.extent(id),
        }
    }

    /// Plain data whose texts may name constants, see [`super::parse_data_with_constants`].
    pub(crate) fn data_with_constants(&mut self, root: NodeId) -> Option<Spanned<Literal>> {
        let Kind::Mapping(children) = self.tree.node(root).kind else {
            return self.literal(root, false);
        };
        let import = self.entry(children, "import");
        let constants = self.entry(children, LET);
        self.declare(import, constants, Vec::new());
        let mut value = self.literal(root, false)?;
        if let Literal::Object(entries) = &mut value.value {
            entries.retain(|(key, _)| key.value != "import" && key.value != LET);
            for (_, entry) in entries {
                self.name_constants(entry);
            }
        }
        if self.problems.errors() == 0 {
            self.doubt_unused();
        }
        Some(value)
    }

    /// Replaces the placeholders of constants in all texts of some data. Everything else that looks like a placeholder is
    /// left alone. Recursion is bounded by [`Limits::max_depth`].
    fn name_constants(&mut self, value: &mut Spanned<Literal>) {
        match &mut value.value {
            Literal::String(text) => {
                let mut out = String::new();
                let mut rest = text.as_str();
                while let Some(open) = rest.find("{{") {
                    let (before, behind) = rest.split_at(open);
                    out.push_str(before);
                    let named = behind.find("}}").and_then(|close| {
                        let path = FieldPath::parse(behind.get(2..close)?.trim()).ok()?;
                        // Texts of a file without constants may hold the word alone.
                        let named = path.is_constant() && (self.scope.declared || path.segments.len() > 1);
                        named.then_some((path, close + 2))
                    });
                    let Some((path, end)) = named else {
                        out.push_str("{{");
                        rest = behind.get(2..).unwrap_or("");
                        continue;
                    };
                    let constant = self.constant(&path, value.span, None);
                    if before.is_empty() && out.is_empty() && end == behind.len() {
                        value.value = constant.unwrap_or(Literal::Null);
                        return;
                    }
                    out.push_str(&constant.as_ref().map(plain_text).unwrap_or_default());
                    rest = behind.get(end..).unwrap_or("");
                }
                out.push_str(rest);
                *text = out;
            }
            Literal::Array(items) => items.iter_mut().for_each(|item| self.name_constants(item)),
            Literal::Object(entries) => {
                entries
                    .iter_mut()
                    .for_each(|(_, entry)| self.name_constants(entry));
            }
            Literal::Null | Literal::Bool(_) | Literal::Number(_) => {}
        }
    }
}

/// Values in a literal, itself included, and bytes of their texts and keys. Recursion is bounded by [`Limits::max_depth`].
fn size(value: &Literal) -> (usize, usize) {
    let add = |(nodes, bytes): (usize, usize), more: (usize, usize)| (nodes + more.0, bytes + more.1);
    match value {
        Literal::Null | Literal::Bool(_) | Literal::Number(_) => (1, 0),
        Literal::String(text) => (1, text.len()),
        Literal::Array(items) => items.iter().map(|item| size(&item.value)).fold((1, 0), add),
        Literal::Object(entries) => entries
            .iter()
            .map(|(key, value)| add(size(&value.value), (0, key.value.len())))
            .fold((1, 0), add),
    }
}

/// A literal all of whose places are `at`.
fn moved(value: &Literal, at: Span) -> Literal {
    match value {
        Literal::Null => Literal::Null,
        Literal::Bool(b) => Literal::Bool(*b),
        Literal::Number(n) => Literal::Number(n.clone()),
        Literal::String(text) => Literal::String(text.clone()),
        Literal::Array(items) => Literal::Array(
            items
                .iter()
                .map(|item| Spanned::new(moved(&item.value, at), at))
                .collect(),
        ),
        Literal::Object(entries) => Literal::Object(
            entries
                .iter()
                .map(|(key, value)| {
                    (
                        Spanned::new(key.value.clone(), at),
                        Spanned::new(moved(&value.value, at), at),
                    )
                })
                .collect(),
        ),
    }
}
