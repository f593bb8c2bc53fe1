//! Named constants: `let` of a policy, and of the documents of `kind: definitions` that it imports.
//!
//! A constant is put where it is named while the document is read, so that everything behind the parser sees a policy as
//! if the value were written there. The places of such a value are those of its name: every span of a policy lies in the
//! policy's own file.
//!
//! # Invariants
//!
//! - A path that starts with `let` never reaches the AST: what names no constant is an error.
//! - Imported files are found among the files of the [`SourceMap`](crate::SourceMap). Nothing here reads a disk; whoever
//!   collects the files asks [`imports`](super::imports) which others they need.

use super::suggest::near;
use super::tree::{Children, Kind, NodeId, Style, Tree};
use super::walk::{Entry, Walk, shorten};
use super::{Definitions, Format, json, problems::Problems, yaml};
use crate::ast::{FieldPath, LET, Literal, Segment, Template, TemplatePart, is_plain_key};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::limits::Limits;
use crate::names::ENDINGS;
use crate::print::{json_text, plain_text};
use crate::source::{FileId, SourceFile, SourceMap, Span, Spanned, beside};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The word of `kind` that says that a document defines constants for others.
pub(crate) const DEFINITIONS: &str = "definitions";
/// What such a document is called in messages.
pub(crate) const DEFINITIONS_OWNER: &str = "a document of definitions";
/// Keys of a document of definitions.
pub(crate) const DEFINITIONS_KEYS: [&str; 4] = ["kind", "description", "import", "let"];

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

/// Unknown names of one file for which a near one is looked for: looking takes as long as there are constants.
const SUGGESTIONS: usize = 100;

impl Walk<'_, '_> {
    // ----- definitions ----------------------------------------------------------------------------------------

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

    /// The items of `import`.
    fn paths(&mut self, entry: Option<Entry>) -> Vec<Spanned<String>> {
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
    fn import(&mut self, index: usize, path: &Spanned<String>, chain: &[String], gathered: &mut Gathered) {
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

    /// Notes the edits after which the constants that are imported and used stand in `let`, and nothing is imported.
    pub(crate) fn write_imports(&mut self, root: Children, import: Entry, constants: Option<Entry>) {
        let used: Vec<(&String, &Known)> = self
            .scope
            .known
            .iter()
            .filter(|(_, known)| known.used && matches!(known.origin, Origin::Imported(..)))
            .collect();
        let written: Vec<(String, String)> = used
            .into_iter()
            .map(|(name, known)| (name.clone(), json_text(&known.value)))
            .collect();
        let flow: Vec<String> = written
            .iter()
            .map(|(name, value)| format!("\"{name}\": {value}"))
            .collect();
        let mut edits = Vec::new();
        let tree = self.tree;
        let key = tree.node(import.key);
        let last = match tree.node(import.value).kind {
            Kind::Sequence(items) if tree.node(import.value).style == Style::Block => {
                tree.children(items).last().copied().unwrap_or(import.value)
            }
            Kind::Scalar(..) | Kind::Sequence(_) | Kind::Mapping(_) | Kind::Broken => import.value,
        };
        let end = tree.node(last).end;
        match self.present(constants) {
            None if !written.is_empty() => {
                let name = if key.style == Style::Double {
                    "\"let\""
                } else {
                    LET
                };
                let text = format!("{name}: {{{}}}", flow.join(", "));
                edits.push((self.problems.span(key.start, end), text));
                // A `let:` without anything would be a second one.
                if let Some(empty) = constants {
                    edits.push((
                        self.whole_entry(root, empty, tree.node(empty.value).end),
                        String::new(),
                    ));
                }
            }
            None => edits.push((self.whole_entry(root, import, end), String::new())),
            Some(own) => {
                edits.push((self.whole_entry(root, import, end), String::new()));
                let value = tree.node(own.value);
                let first = match value.kind {
                    Kind::Mapping(children) => {
                        tree.pairs(children).next().map(|(key, _)| tree.node(key).start)
                    }
                    Kind::Scalar(..) | Kind::Sequence(_) | Kind::Broken => None,
                };
                let (at, text) = match (value.style, first) {
                    (Style::Block, Some(first)) => {
                        let line = self.text.get(..first as usize).unwrap_or("");
                        let indent = line.rsplit('\n').next().unwrap_or("");
                        let lines = written
                            .iter()
                            .map(|(name, value)| format!("{name}: {value}\n{indent}"));
                        (first, lines.collect::<String>())
                    }
                    (_, Some(first)) => (
                        first,
                        flow.iter().map(|entry| format!("{entry}, ")).collect::<String>(),
                    ),
                    // `{}`: behind its bracket.
                    (_, None) => (value.head, flow.join(", ")),
                };
                edits.push((self.problems.span(at, at), text));
            }
        }
        if let Some(all) = &mut self.problems.edits {
            all.extend(edits);
        }
    }

    /// An entry of the document with what separates it from its neighbours; its value ends at `end`.
    fn whole_entry(&self, root: Children, entry: Entry, end: u32) -> Span {
        let start = self.tree.node(entry.key).start;
        let pairs: Vec<(NodeId, NodeId)> = self.tree.pairs(root).collect();
        let at = pairs.iter().position(|(key, _)| *key == entry.key);
        // In a flow mapping a comma stands before the next entry, or behind the one before.
        let rest = self.text.get(end as usize..).unwrap_or("");
        let line = rest.split_inclusive('\n').next().unwrap_or("");
        let alone = line.trim_start().is_empty() || line.trim_start().starts_with('#');
        let before = self.text.get(..start as usize).unwrap_or("");
        if alone
            && before
                .rsplit('\n')
                .next()
                .is_some_and(|head| head.trim().is_empty())
        {
            let length = u32::try_from(line.len()).unwrap_or(0);
            return self.problems.span(start, end.saturating_add(length));
        }
        match at {
            Some(at) => match (pairs.get(at + 1), at.checked_sub(1).and_then(|at| pairs.get(at))) {
                (Some((next, _)), _) => self.problems.span(start, self.tree.node(*next).start),
                (None, Some((_, previous))) => self.problems.span(self.tree.node(*previous).end, end),
                (None, None) => self.problems.span(start, end),
            },
            None => self.problems.span(start, end),
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

    // ----- uses -----------------------------------------------------------------------------------------------

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
}

/// Files that were reached from one document.
#[derive(Default)]
struct Gathered {
    /// Looked for, found or not.
    reached: HashSet<String>,
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
