//! Texts that are well-formed but hardly what was meant: control characters in patterns, and reasons that a comment cuts.

use super::scalar::Scalar;
use super::tree::{Kind, NodeId, Style};
use super::walk::Walk;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;

impl Walk<'_, '_> {
    /// Warns of a pattern that holds a control character: `"\b"` in double quotes is a backspace, not the edge of a word.
    /// Tabs and line breaks mean in patterns what they are; but a line break at the end comes from how the block was
    /// written. `named`: it is the value of a constant, and stands elsewhere.
    pub(crate) fn doubt_pattern(&mut self, id: NodeId, pattern: &str, named: bool) {
        let odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
        let Some((at, c)) = pattern.char_indices().find(|(_, c)| odd(*c)) else {
            if named {
                self.doubt_last_break(id, pattern);
            } else {
                self.doubt_last_line(id, pattern);
            }
            return;
        };
        let span = match named {
            true => self.extent(id),
            false => self.inside(id, at, at + c.len_utf8()),
        };
        let mut mended = String::with_capacity(pattern.len() + 8);
        for c in pattern.chars() {
            match c {
                '\u{8}' => mended.push_str("\\b"),
                c if odd(c) => mended.push_str(&format!("\\x{:02x}", c as u32)),
                c => mended.push(c),
            }
        }
        let (what, help) = if c == '\u{8}' {
            (
                "a backspace, which texts never hold".to_owned(),
                "in double quotes `\\b` is a backspace; write `\\\\b` for the edge of a word, or the pattern in single quotes",
            )
        } else {
            (
                format!("the control character U+{:04X}", c as u32),
                "in double quotes `\\` starts an escape; write `\\\\` for one that the pattern is to have, or the pattern in single quotes",
            )
        };
        let diagnostic =
            Diagnostic::new(Code::ControlInPattern, span, format!("the pattern holds {what}")).help(help);
        self.report(match named {
            true => diagnostic,
            false => diagnostic.fix(self.extent(id), serde_json::Value::from(mended).to_string()),
        });
    }

    fn doubt_last_break(&mut self, id: NodeId, pattern: &str) {
        if pattern.ends_with('\n') {
            self.report(
                Diagnostic::new(
                    Code::ControlInPattern,
                    self.head(id),
                    "the pattern of the constant ends in a line break, which the text would have to hold too",
                )
                .help("write the constant in quotes, or as a block with `|-`"),
            );
        }
    }

    fn doubt_last_line(&mut self, id: NodeId, pattern: &str) {
        let mark = match self.tree.node(id).style {
            Style::Literal => '|',
            Style::Folded => '>',
            Style::Plain | Style::Single | Style::Double | Style::Block | Style::Flow | Style::Alias => {
                return;
            }
        };
        if pattern.ends_with('\n') {
            self.report(
                Diagnostic::new(
                    Code::ControlInPattern,
                    self.head(id),
                    "the pattern ends in a line break, which the text would have to hold too",
                )
                .help(format!("write `{mark}-` instead of `{mark}`")),
            );
        }
    }

    /// Warns of a text without quotes that a `#` cuts, where what follows reads like the rest of it.
    pub(crate) fn doubt_comment(&mut self, id: NodeId) {
        let node = self.tree.node(id);
        if node.style != Style::Plain || !matches!(node.kind, Kind::Scalar(_, Scalar::String)) {
            return;
        }
        let (start, end) = (node.start as usize, node.end as usize);
        // What most texts are followed by is told without a look for the end of the line, which may be far.
        let behind = self.text.get(end..).unwrap_or("");
        if !behind.trim_start_matches([' ', '\t']).starts_with('#') {
            return;
        }
        let Some(rest) = behind.lines().next() else {
            return;
        };
        let Some(comment) = rest.trim_start_matches([' ', '\t']).strip_prefix('#') else {
            return;
        };
        if comment.contains("{{") || comment.starts_with(|c: char| c.is_ascii_digit()) {
            let whole = end + rest.trim_end().len();
            let hash = self
                .problems
                .span(offset(end + rest.len() - comment.len() - 1), offset(whole));
            let written = self.text.get(start..whole).unwrap_or("");
            let fix = serde_json::Value::from(written).to_string();
            self.report(
                Diagnostic::new(
                    Code::CutText,
                    hash,
                    "a `#` after a blank starts a comment: the text ends before it",
                )
                .help("put the text in quotes, or the comment on a line of its own")
                .fix(self.problems.span(offset(start), offset(whole)), fix),
            );
        }
    }
}

/// Offsets fit 32 bits: larger files are refused before they are read.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
