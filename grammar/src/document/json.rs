//! JSON text to a node tree.
//!
//! `serde_json` decides whether the text is JSON and words the errors; this reader then only has to find the places of
//! keys and values. It refuses the one thing that `serde_json` lets pass where a value is skipped: escapes of lone
//! surrogates. Numbers become what they become in YAML: exactly what they say.

use super::problems::Problems;
use super::scalar::{self, Scalar};
use super::tree::{Abort, Builder, NodeId, Style, Tree};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::limits::Limits;
use std::borrow::Cow;

/// Reads the one value of `text` and hands it to `each`.
pub(crate) fn read<'s>(
    text: &'s str,
    limits: &Limits,
    problems: &mut Problems,
    each: impl FnOnce(&Tree<'s>, NodeId, &mut Problems),
) {
    let mark = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let body = text.get(mark..).unwrap_or("");
    if body.trim().is_empty() {
        return;
    }
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(body) {
        let span = place_of(body, mark, &error, problems);
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or("not JSON").to_owned();
        let before = text.get(..span.start as usize).unwrap_or("").trim_end();
        let closes = text
            .get(span.start as usize..)
            .is_some_and(|rest| rest.starts_with(['}', ']']));
        let message = if closes && before.ends_with(',') {
            "a comma stands before the closing bracket".to_owned()
        } else {
            message
        };
        let diagnostic = Diagnostic::new(Code::Syntax, span, message);
        problems.report(match error.classify() {
            serde_json::error::Category::Eof => {
                diagnostic.help("the text ends too early: close every string, list and object")
            }
            serde_json::error::Category::Syntax
            | serde_json::error::Category::Data
            | serde_json::error::Category::Io => diagnostic
                .help("JSON has no comments, no trailing commas and no single quotes; YAML has all three"),
        });
        return;
    }
    let mut reader = Reader {
        text,
        at: mark,
        builder: Builder::new(limits),
    };
    match reader.value(problems) {
        Ok(()) if problems.is_stopped() => {}
        Ok(()) => {
            if let (tree, Some(root)) = reader.builder.finish() {
                each(&tree, root, problems);
            }
        }
        Err(Abort::Document(diagnostic) | Abort::File(diagnostic)) => problems.report(*diagnostic),
    }
}

/// The place that an error of `serde_json` names: 1-based line, column in bytes.
fn place_of(body: &str, mark: usize, error: &serde_json::Error, problems: &Problems) -> crate::source::Span {
    let line_start = match error.line() {
        0 | 1 => 0,
        line => body
            .match_indices('\n')
            .nth(line - 2)
            .map_or(body.len(), |(i, _)| i + 1),
    };
    let at = (line_start + error.column().saturating_sub(1)).min(body.len());
    let at = (0..=at).rev().find(|i| body.is_char_boundary(*i)).unwrap_or(0);
    let width = body
        .get(at..)
        .and_then(|rest| rest.chars().next())
        .map_or(0, char::len_utf8);
    problems.span(offset(mark + at), offset(mark + at + width))
}

struct Reader<'s, 'l> {
    text: &'s str,
    at: usize,
    builder: Builder<'s, 'l>,
}

impl Reader<'_, '_> {
    /// Reads one value; loops rather than recurses, the builder holds the stack.
    fn value(&mut self, problems: &mut Problems) -> Result<(), Abort> {
        let mut depth = 0usize;
        loop {
            if problems.step() {
                return Ok(());
            }
            let Some(b) = self.peek() else {
                return Ok(());
            };
            match b {
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' => self.at += 1,
                b'{' | b'[' => {
                    let span = problems.span(offset(self.at), offset(self.at + 1));
                    self.builder.start(span, Style::Flow, b == b'{', 0)?;
                    self.at += 1;
                    depth += 1;
                }
                b'}' | b']' => {
                    let span = problems.span(offset(self.at), offset(self.at + 1));
                    self.builder.end(span, problems)?;
                    self.at += 1;
                    depth = depth.saturating_sub(1);
                }
                b'"' => self.string(problems)?,
                _ => self.word(problems)?,
            }
            if depth == 0 && !matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
                return Ok(());
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn string(&mut self, problems: &mut Problems) -> Result<(), Abort> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        let mut escaped = false;
        while let Some(b) = bytes.get(end) {
            match b {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    end += 2;
                }
                _ => end += 1,
            }
        }
        let end = (end + 1).min(self.text.len());
        self.at = end;
        let span = problems.span(offset(start), offset(end));
        let raw = self.text.get(start..end).unwrap_or("\"\"");
        let value = if escaped {
            match serde_json::from_str::<String>(raw) {
                Ok(value) => Cow::Owned(value),
                Err(error) => {
                    let message = error.to_string();
                    let message = message.split(" at line ").next().unwrap_or("").to_owned();
                    problems.report(Diagnostic::new(Code::Syntax, span, message).help(
                        "write characters beyond `\\uffff` as a pair of surrogate escapes, or as they are",
                    ));
                    return self.builder.broken(span);
                }
            }
        } else {
            Cow::Borrowed(raw.get(1..raw.len().saturating_sub(1)).unwrap_or(""))
        };
        self.builder.scalar(span, Style::Double, value, Scalar::String, 0)
    }

    /// `true`, `false`, `null` or a number.
    fn word(&mut self, problems: &mut Problems) -> Result<(), Abort> {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or("");
        let length = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'))
            .unwrap_or(rest.len())
            .max(1);
        let word = rest.get(..length).unwrap_or("");
        self.at = start + length;
        let what = match word {
            "true" => Scalar::Bool(true),
            "false" => Scalar::Bool(false),
            "null" => Scalar::Null,
            number => scalar::decimal(number),
        };
        let span = problems.span(offset(start), offset(self.at));
        self.builder
            .scalar(span, Style::Plain, Cow::Borrowed(word), what, 0)
    }
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
