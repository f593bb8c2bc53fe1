//! Parser of templates: text with `{{ path }}` placeholders, as in `reason` and in the strings of action values.
//!
//! Called by the document parser to check them and by the compiler to turn them into instructions. A literal `{{` is
//! written `{{{{`; `}}` outside a placeholder is plain text. What stands in a placeholder is a field path and nothing
//! else: no filters, no expressions.

use crate::ast::{FieldPath, Template, TemplatePart};
use std::fmt;

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Byte offset into the text at which the problem begins.
    pub offset: usize,
    /// Bytes that belong to it; at least one unless the text ends there.
    pub length: usize,
    /// One sentence in the style of diagnostics.
    pub message: String,
}

impl Template {
    /// Parses a template. A text without `{{` is one text part; the empty text has no parts.
    ///
    /// # Errors
    ///
    /// [`TemplateError`] for a `{{` without its `}}`, an empty placeholder, or one that holds no field path.
    ///
    /// # Examples
    ///
    /// ```
    /// use policy_grammar::ast::Template;
    ///
    /// let template = Template::parse("team {{ team.id }} is over").unwrap();
    /// assert_eq!(template.parts.len(), 3);
    /// assert_eq!(Template::parse("{{{{ literal }}").unwrap().parts.len(), 1);
    /// ```
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(found) = text.get(at..).and_then(|rest| rest.find("{{")) {
            let open = at + found;
            literal.push_str(text.get(at..open).unwrap_or(""));
            if text.get(open..).is_some_and(|rest| rest.starts_with("{{{{")) {
                literal.push_str("{{");
                at = open + 4;
                continue;
            }
            let inside = open + 2;
            let Some(length) = end_of_placeholder(text.get(inside..).unwrap_or("")) else {
                return Err(TemplateError {
                    offset: open,
                    length: 2,
                    message: "`{{` is not closed by `}}`".to_owned(),
                });
            };
            let body = text.get(inside..inside + length).unwrap_or("");
            let path = body.trim();
            if path.is_empty() {
                return Err(TemplateError {
                    offset: open,
                    length: length + 4,
                    message: "a placeholder must hold a field path".to_owned(),
                });
            }
            let lead = body.len() - body.trim_start().len();
            let path = FieldPath::parse(path).map_err(|error| {
                let error_at = error.offset.min(path.len());
                TemplateError {
                    offset: inside + lead + error_at,
                    length: path.get(error_at..).map_or(1, |rest| rest.len().max(1)),
                    message: format!(
                        "a placeholder holds a field path and nothing else: {}",
                        error.message
                    ),
                }
            })?;
            if !literal.is_empty() {
                parts.push(TemplatePart::Text(std::mem::take(&mut literal)));
            }
            parts.push(TemplatePart::Path(path));
            at = inside + length + 2;
        }
        literal.push_str(text.get(at..).unwrap_or(""));
        if !literal.is_empty() {
            parts.push(TemplatePart::Text(literal));
        }
        Ok(Self { parts })
    }
}

impl fmt::Display for Template {
    /// A text that parses to this template.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                TemplatePart::Text(text) => f.write_str(&text.replace("{{", "{{{{"))?,
                TemplatePart::Path(path) => write!(f, "{{{{ {path} }}}}")?,
            }
        }
        Ok(())
    }
}

/// Offset of the `}}` that closes a placeholder; quoted keys may hold `}}`.
fn end_of_placeholder(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut i = 0;
    while let Some(&b) = bytes.get(i) {
        match quote {
            Some(q) => {
                if b == b'\\' {
                    i += 1;
                } else if b == q {
                    quote = None;
                }
            }
            None => match b {
                b'}' if bytes.get(i + 1) == Some(&b'}') => return Some(i),
                // A quote opens a key only inside brackets; elsewhere it is an error that the path parser reports.
                b'"' | b'\'' if i > 0 && bytes.get(i - 1) == Some(&b'[') => quote = Some(b),
                _ => {}
            },
        }
        i += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> TemplatePart {
        TemplatePart::Text(s.to_owned())
    }

    fn path(s: &str) -> TemplatePart {
        TemplatePart::Path(FieldPath::parse(s).unwrap())
    }

    #[test]
    fn parts() {
        let parts = |s: &str| Template::parse(s).unwrap().parts;
        assert_eq!(parts(""), []);
        assert_eq!(parts("plain } text }}"), [text("plain } text }}")]);
        assert_eq!(parts("a {{b.c}} d"), [text("a "), path("b.c"), text(" d")]);
        assert_eq!(parts("{{ a }}{{ b }}"), [path("a"), path("b")]);
        assert_eq!(parts(r#"{{ m["}}"] }}"#), [path(r#"m["}}"]"#)]);
        assert_eq!(parts("{{{{ x }}"), [text("{{ x }}")]);
        assert_eq!(parts("€ {{ a }}"), [text("€ "), path("a")]);
    }

    #[test]
    fn errors_carry_the_place() {
        let at = |s: &str| {
            let error = Template::parse(s).unwrap_err();
            (error.offset, error.length)
        };
        assert_eq!(at("a {{ b"), (2, 2));
        assert_eq!(at("a {{ }}"), (2, 5));
        assert_eq!(at("{{ a b }}"), (4, 2));
        assert_eq!(at("{{ a | upper }}"), (4, 8));
        assert_eq!(at("{{{ a }}"), (2, 3));
    }

    #[test]
    fn printing_parses_back() {
        for s in [
            "a {{ b.c }} d",
            "{{{{",
            "x {{{{ y }} {{ z[0] }}",
            "{ {",
            "{{{{{{ a }}",
        ] {
            let template = Template::parse(s).unwrap();
            assert_eq!(Template::parse(&template.to_string()).unwrap(), template, "{s}");
        }
    }
}
