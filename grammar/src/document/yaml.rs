//! YAML text to node trees, one per document.
//!
//! Drives the event parser `granit-parser` directly rather than through serde, because three things are needed that a
//! deserializer does not give: duplicate keys are reported and reading goes on, aliases cost nothing, and a syntax
//! error in one document does not hide the documents after it. Merge keys (`<<`), unknown tags and unknown anchors
//! are problems of their own and do not stop reading.

use super::problems::Problems;
use super::scalar::{self, Scalar};
use super::tree::{Abort, Builder, NodeId, Style, Tree, too_deep};
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::limits::Limits;
use crate::source::Span;
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StructureStyle, Tag};
use std::borrow::Cow;

/// Reads all documents of `text` and hands each complete one to `each`, with the offset at which it begins.
pub(crate) fn read<'s>(
    text: &'s str,
    limits: &Limits,
    problems: &mut Problems,
    mut each: impl FnMut(&Tree<'s>, NodeId, u32, &mut Problems),
) {
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: limits.max_depth,
        block_nesting_limit: limits.max_depth,
    };
    if let Some(diagnostic) = lone_return(text, problems) {
        problems.report(diagnostic);
        return;
    }
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder::new(limits);
    let mut document_start = 0;
    loop {
        if problems.step() {
            return;
        }
        let step = match parser.next_event() {
            None => break,
            Some(Ok((Event::DocumentEnd, _))) => {
                if let (tree, Some(root)) = builder.finish()
                    && !problems.is_stopped()
                {
                    each(&tree, root, document_start, problems);
                }
                continue;
            }
            Some(Ok((event, at))) => {
                let span = place(text, &at, problems);
                if matches!(event, Event::DocumentStart(..)) {
                    document_start = span.start;
                }
                feed(text, event, &at, span, &mut builder, problems)
            }
            Some(Err(error)) => Err(Abort::Document(Box::new(syntax_error(
                text, &error, limits, problems,
            )))),
        };
        match step {
            Ok(()) => {}
            Err(Abort::Document(diagnostic)) => {
                problems.report(*diagnostic);
                builder.abandon();
                match parser.proceed_next_document() {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        problems.report(syntax_error(text, &error, limits, problems));
                        break;
                    }
                }
            }
            Err(Abort::File(diagnostic)) => {
                problems.report(*diagnostic);
                break;
            }
        }
    }
}

/// One event into the builder.
fn feed<'s>(
    text: &'s str,
    event: Event<'s>,
    at: &granit_parser::Span,
    span: Span,
    builder: &mut Builder<'s, '_>,
    problems: &mut Problems,
) -> Result<(), Abort> {
    match event {
        Event::Scalar(value, style, anchor, tag) => {
            let style = match style {
                ScalarStyle::Plain => Style::Plain,
                ScalarStyle::SingleQuoted => Style::Single,
                ScalarStyle::DoubleQuoted => Style::Double,
                ScalarStyle::Literal => Style::Literal,
                ScalarStyle::Folded => Style::Folded,
            };
            // The parser writes `~` for values that are not there.
            let value = if style == Style::Plain && span.start == span.end {
                Cow::Borrowed("")
            } else {
                value
            };
            let what = match &tag {
                Some(tag) => tagged(tag, &value, style, at, text, problems),
                None if style == Style::Plain => scalar::resolve(&value),
                None => Scalar::String,
            };
            builder.scalar(span, style, value, what, anchor)
        }
        Event::SequenceStart(style, anchor, tag) => {
            if let Some(tag) = tag {
                refuse_unless(tag.core_suffix() == Some("seq"), &tag, at, text, problems);
            }
            builder.start(span, collection(style), false, anchor)
        }
        Event::MappingStart(style, anchor, tag) => {
            if let Some(tag) = tag {
                refuse_unless(tag.core_suffix() == Some("map"), &tag, at, text, problems);
            }
            builder.start(span, collection(style), true, anchor)
        }
        Event::SequenceEnd | Event::MappingEnd => builder.end(span, problems),
        Event::Alias(anchor) => builder.alias(span, anchor, problems),
        Event::UnresolvedAlias(name) => {
            problems.report(
                Diagnostic::new(
                    Code::Syntax,
                    span,
                    format!("no anchor `&{name}` stands before this alias"),
                )
                .help("if the text should start with `*`, quote it"),
            );
            builder.broken(span)
        }
        // The event type may grow; what is not content is of no interest here.
        _ => Ok(()),
    }
}

fn collection(style: StructureStyle) -> Style {
    match style {
        StructureStyle::Block => Style::Block,
        StructureStyle::Flow => Style::Flow,
    }
}

/// Byte range of an event, without the line breaks that end block scalars.
fn place(text: &str, at: &granit_parser::Span, problems: &Problems) -> Span {
    let range = at.byte_range().unwrap_or(0..0);
    let trimmed = text
        .get(range.clone())
        .map_or(range.len(), |written| written.trim_end().len());
    problems.span(offset(range.start), offset(range.start + trimmed))
}

fn tagged(
    tag: &Tag,
    value: &str,
    style: Style,
    at: &granit_parser::Span,
    text: &str,
    problems: &mut Problems,
) -> Scalar {
    let resolved = scalar::resolve(value);
    let (known, what) = match (tag.core_suffix(), &resolved) {
        (Some("str"), _) => (true, Scalar::String),
        (Some("null"), Scalar::Null)
        | (Some("bool"), Scalar::Bool(_))
        | (Some("int" | "float"), Scalar::Number(_))
        | (Some("float"), Scalar::NotFinite) => (true, resolved),
        // `!` alone asks for a string.
        _ if tag.handle().is_empty() && tag.suffix() == "!" => (true, Scalar::String),
        _ if style == Style::Plain => (false, resolved),
        _ => (false, Scalar::String),
    };
    refuse_unless(known, tag, at, text, problems);
    what
}

fn refuse_unless(known: bool, tag: &Tag, at: &granit_parser::Span, text: &str, problems: &mut Problems) {
    if known {
        return;
    }
    let span = at.tag_span().unwrap_or(*at);
    let span = place(text, &span, problems);
    problems.report(
        Diagnostic::new(
            Code::Syntax,
            span,
            format!("the tag `{}` cannot be used here", tag.original()),
        )
        .help("leave the tag out; quotes make a string, and plain `true`, `null` and numbers need none"),
    );
}

/// The diagnostic of an error of the event parser.
fn syntax_error(text: &str, error: &ScanError, limits: &Limits, problems: &Problems) -> Diagnostic {
    let start = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let start = (0..=start).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    // After a tab that is in the way, the marker stands behind it.
    let behind_tab = matches!(
        error.kind(),
        ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation | ErrorKind::TabNotAllowed
    ) && text.get(..start).is_some_and(|before| before.ends_with('\t'));
    let start = if behind_tab { start - 1 } else { start };
    let width = text
        .get(start..)
        .and_then(|rest| rest.chars().next())
        .filter(|c| *c != '\n' && *c != '\r')
        .map_or(0, char::len_utf8);
    let span = problems.span(offset(start), offset(start + width));
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return too_deep(span, limits);
    }
    if let Some(diagnostic) = placeholder(text, start, problems) {
        return diagnostic;
    }
    let (message, help) = explain(error.kind());
    let diagnostic = Diagnostic::new(
        Code::Syntax,
        span,
        message.map_or_else(|| error.kind().to_string(), str::to_owned),
    );
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// A carriage return that no line feed follows. YAML takes it for the end of a line where editors and reviews show none,
/// so that what looks like the rest of a comment would be in force.
fn lone_return(text: &str, problems: &Problems) -> Option<Diagnostic> {
    let bytes = text.as_bytes();
    let at = text
        .match_indices('\r')
        .map(|(at, _)| at)
        .find(|at| bytes.get(at + 1) != Some(&b'\n'))?;
    let span = problems.span(offset(at), offset(at + 1));
    Some(
        Diagnostic::new(
            Code::Syntax,
            span,
            "a carriage return alone cannot be used to end a line",
        )
        .help("save the file with line feeds, or with carriage returns and line feeds, at the ends of lines"),
    )
}

/// Says to quote a value that begins with `{{`, where that is what broke the document: to YAML the braces are mappings,
/// and text after them, at `start`, is a mistake.
fn placeholder(text: &str, start: usize, problems: &Problems) -> Option<Diagnostic> {
    let before = text.get(..start)?.trim_end();
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let open = line + before.get(line..)?.find("{{")?;
    let lead = text.get(line..open)?.trim_end();
    let quoted = |mark: char| lead.matches(mark).count() % 2 == 1;
    let comment = lead.starts_with('#') || lead.contains(" #");
    if quoted('"') || quoted('\'') || comment || !text.get(open..start)?.contains("}}") {
        return None;
    }
    // After `key:` or `-` outside brackets, the value is the rest of the line but for a comment.
    let block = !lead.contains(['[', '{']) && (lead.ends_with(':') || lead.ends_with('-'));
    if !block && !lead.ends_with([':', '[', '{', ',']) {
        return None;
    }
    let rest = text.get(open..)?.lines().next()?;
    let value = rest.split(" #").next()?.trim_end();
    let shown = if block {
        value.len()
    } else {
        value.find("}}").map_or(value.len(), |at| at + 2)
    };
    let span = problems.span(offset(open), offset(open + shown));
    let diagnostic = Diagnostic::new(
        Code::Syntax,
        span,
        "a value that begins with `{{` must be quoted: to YAML it is a mapping",
    )
    .help("put the text in quotes");
    Some(if block {
        diagnostic.fix(span, serde_json::Value::from(value).to_string())
    } else {
        diagnostic
    })
}

/// Clearer words for the errors that people make, and advice.
fn explain(kind: &ErrorKind) -> (Option<&'static str>, Option<&'static str>) {
    match kind {
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            (Some("this quote is never closed"), None)
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            (None, Some("close every `[` with `]` and every `{` with `}`"))
        }
        ErrorKind::ExpectedFlowMappingSeparator => (
            Some("expected `,` or `}`"),
            Some(
                "a `}` may be missing above; or quote text that holds brackets, a comma or `: `, as in `\"Budget: spent\"`",
            ),
        ),
        ErrorKind::ExpectedFlowSequenceSeparator => (
            Some("expected `,` or `]`"),
            Some(
                "a `]` may be missing above; or quote text that holds brackets, a comma or `: `, as in `\"list[0].id\"`",
            ),
        ),
        ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation | ErrorKind::TabNotAllowed => (
            Some("a tab cannot be used for indentation"),
            Some("indent with spaces"),
        ),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => (
            Some("a `:` cannot stand here"),
            Some("quote text that contains `: `, and check the indentation"),
        ),
        ErrorKind::UnknownQuotedScalarEscape => (
            Some("this string in double quotes has an unknown escape"),
            Some("in double quotes `\\` starts an escape: write patterns in single quotes, as in '\\d+'"),
        ),
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::SimpleKeyExpected => (
            Some("expected `key: value` at this indentation"),
            Some("keys of one mapping must be indented alike, each followed by `: `"),
        ),
        ErrorKind::ExpectedBlockSequenceEntry => (
            Some("expected `- ` at this indentation"),
            Some("items of one list must be indented alike, and so must the keys of one item"),
        ),
        ErrorKind::UnexpectedCharacter { .. } => {
            (None, Some("quote text that starts with `@`, `` ` `` or `%`"))
        }
        ErrorKind::InvalidTrailingDoubleQuotedScalar | ErrorKind::InvalidTrailingSingleQuotedScalar => (
            Some("text after the closing quote"),
            Some("quote the whole value; in single quotes write `''` for a quote, in double quotes `\\\"`"),
        ),
        // A foreign enum that may grow: the parser's own words do for the rest.
        _ => (None, None),
    }
}

/// Offsets fit 32 bits: larger files are refused before they are read.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
