//! Values of every level: strings, templates, words, paths, constants and free keys.
//!
//! Each function takes a node, returns what stands there with its place, and reports what cannot stand there. `what` is
//! the name of the value in messages, such as `` `metadata.id` ``.

use super::{Walk, list, requote, shorten};
use crate::ast::{FieldPath, Literal, Template};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::document::scalar::Scalar;
use crate::document::tree::{Children, Kind, NodeId, Style};
use crate::document::words::{Words, suggest};
use crate::source::Spanned;

impl<'a, 's> Walk<'a, 's> {
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
}
