//! Spellings of paths, numbers, texts and patterns, as the assembler reads them.

use crate::module::{DecisionRule, Field, PathSegment};
use crate::number::Number;
use crate::predicate::PredOperand;
use crate::quantifier::{ItemOperand, Node, Subject};
use std::fmt::Write as _;

/// The first `chars` characters of a text.
pub(super) fn head(text: &str, chars: usize) -> &str {
    text.char_indices()
        .nth(chars)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

pub(super) fn separate(line: &mut String, position: usize) {
    if position > 0 {
        line.push_str(", ");
    }
}

/// Whether a key may stand in a path without quotes.
pub(crate) fn is_bare_key(key: &str) -> bool {
    let mut chars = key.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

pub(super) fn key(out: &mut String, text: &str) {
    if is_bare_key(text) {
        out.push_str(text);
    } else {
        quote(out, text);
    }
}

/// One key of a path, with the dot before it where it is not the first.
pub(super) fn step(out: &mut String, position: usize, name: &str) {
    if position > 0 {
        out.push('.');
    }
    key(out, name);
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Aliases {
    Left,
    Written,
}

pub(super) fn path(out: &mut String, field: &Field, aliases: Aliases) {
    if field.path.is_empty() {
        out.push_str("()");
    }
    steps(out, &field.path, aliases, 0);
}

/// Steps of a path, the first of which stands at `position`.
pub(super) fn steps(out: &mut String, segments: &[PathSegment], aliases: Aliases, position: usize) {
    for (i, segment) in segments.iter().enumerate() {
        match segment {
            PathSegment::Key {
                name,
                aliases: others,
            } => {
                step(out, position + i, name);
                if aliases == Aliases::Written {
                    for alias in others {
                        out.push('|');
                        key(out, alias);
                    }
                }
            }
            PathSegment::Index(n) => out.push_str(&format!("[{n}]")),
            PathSegment::FromEnd(n) => out.push_str(&format!("[-{n}]")),
        }
    }
}

/// A number so that reading it gives the same variant and bits, canonical or not.
pub(super) fn number(out: &mut String, value: Number) {
    let spelled = match value {
        Number::Int(n) => n.to_string(),
        Number::UInt(n) if i64::try_from(n).is_ok() => format!("{n}u"),
        Number::UInt(n) => n.to_string(),
        Number::Float(x) if x.is_nan() => format!("nan:{:016x}", x.to_bits()),
        Number::Float(x) => format!("{x:?}"),
    };
    out.push_str(&spelled);
}

/// A text in double quotes, on one line; characters that do not show are escaped.
pub(crate) fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        if c == '\'' {
            out.push(c);
        } else {
            out.extend(c.escape_debug());
        }
    }
    out.push('"');
}

/// A pattern between slashes where it has none and every character of it shows, else in quotes.
pub(super) fn regex(out: &mut String, source: &str) {
    let plain = |c: char| matches!(c, '\\' | '"' | '\'') || c.escape_debug().len() == 1;
    if !source.contains('/') && source.chars().all(plain) {
        let _infallible = write!(out, "/{source}/");
    } else {
        quote(out, source);
    }
}

/// A node as the assembler reads it.
pub(super) fn node_line(node: &Node) -> String {
    let list = |word: &str, nodes: &[u32]| {
        let mut line = word.to_owned();
        for n in nodes {
            line.push_str(&format!(" n{n}"));
        }
        line
    };
    let not = |negated: bool| if negated { "not " } else { "" };
    match node {
        Node::And(nodes) => list("and", nodes),
        Node::Or(nodes) => list("or", nodes),
        Node::Not(n) => format!("not n{n}"),
        Node::Pred { pred, negated } => format!("pred {}{pred}", not(*negated)),
        Node::Test(test) => {
            let mut line = format!("test {}", not(test.negated));
            match &test.subject {
                Subject::Item(steps) => item_path(&mut line, steps, Aliases::Written),
                Subject::Field(f) => line.push_str(&f.to_string()),
            }
            line.push(' ');
            line.push_str(test.op.as_str());
            match &test.operand {
                ItemOperand::Item(steps) => {
                    line.push(' ');
                    item_path(&mut line, steps, Aliases::Written);
                }
                ItemOperand::Plain(PredOperand::None) => {}
                ItemOperand::Plain(PredOperand::Const(k)) => line.push_str(&format!(" {k}")),
                ItemOperand::Plain(PredOperand::Pattern(x)) => line.push_str(&format!(" {x}")),
                ItemOperand::Plain(PredOperand::Field(f)) => line.push_str(&format!(" {f}")),
                ItemOperand::Plain(PredOperand::Body(q)) => line.push_str(&format!(" {q}")),
            }
            line
        }
    }
}

/// The path of what lies in an element.
pub(super) fn item_path(out: &mut String, segments: &[PathSegment], aliases: Aliases) {
    out.push_str("item");
    steps(out, segments, aliases, 1);
}

pub(super) fn rule_line(index: usize, rule: &DecisionRule) -> String {
    let tail = if rule.fires_on_error {
        " fires_on_error"
    } else {
        ""
    };
    format!(
        "  rule{index}: {} {} {}{tail}",
        rule.policy,
        rule.decision.as_str(),
        rule.condition
    )
}
