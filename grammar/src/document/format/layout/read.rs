//! From the events of a text to the tree of a layout: scalars as they are written, places of keys and dashes.

use super::comments::attach;
use super::{Child, Document, Kind, Node};
use crate::document::format::events;
use granit_parser::{Event, ScalarStyle, StructureStyle};

struct Open {
    map: bool,
    flow: bool,
    start: usize,
    children: Vec<Child>,
    key: Option<(String, String, usize)>,
}

/// How a scalar is written: from its text, its value and its style.
type Quote = fn(&str, &str, ScalarStyle) -> String;

pub(super) fn documents(text: &str, quote: Quote) -> Option<Vec<Document>> {
    let mut documents: Vec<(bool, usize, Node)> = Vec::new();
    let mut comments: Vec<(usize, String)> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    let mut explicit = (false, 0);
    let mut previous = 0;
    for event in events(text) {
        let (event, at) = event?;
        let mut end = at.end;
        let node = match event {
            Event::Comment(..) => {
                comments.push((at.start, text.get(at.start..at.end)?.trim_end().to_owned()));
                None
            }
            Event::DocumentStart(marked, directives) => {
                if directives.is_some() {
                    return None;
                }
                explicit = (marked, at.start);
                root = None;
                None
            }
            Event::DocumentEnd => {
                // An end marker has no place in this layout.
                if at.start < at.end {
                    return None;
                }
                documents.push((explicit.0, explicit.1, root.take()?));
                None
            }
            Event::Scalar(value, style, anchor, tag) => {
                if anchor != 0 || tag.is_some() {
                    return None;
                }
                let kind = match style {
                    ScalarStyle::Literal | ScalarStyle::Folded => {
                        let (header, lines) = block(text, previous, &at)?;
                        end = lines.1;
                        Kind::Block(header, lines.0)
                    }
                    ScalarStyle::Plain if at.is_empty() => Kind::Scalar(String::new()),
                    ScalarStyle::Plain | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                        let written = text.get(at.clone())?.trim_end();
                        end = at.start + written.len();
                        Kind::Scalar(quote(written, &value, style))
                    }
                };
                Some(Node {
                    kind,
                    flow: false,
                    start: at.start,
                    end,
                })
            }
            Event::SequenceStart(style, anchor, ref tag) | Event::MappingStart(style, anchor, ref tag) => {
                if anchor != 0 || tag.is_some() {
                    return None;
                }
                open.push(Open {
                    map: matches!(event, Event::MappingStart(..)),
                    flow: style == StructureStyle::Flow,
                    start: at.start,
                    children: Vec::new(),
                    key: None,
                });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let closed = open.pop()?;
                let (start, end) = match (closed.flow, closed.children.first(), closed.children.last()) {
                    (false, Some(first), Some(last)) => (first.start, last.value.end),
                    (true, ..) => (closed.start, at.end),
                    (false, ..) => return None,
                };
                Some(Node {
                    kind: if closed.map {
                        Kind::Map(closed.children)
                    } else {
                        Kind::List(closed.children)
                    },
                    flow: closed.flow,
                    start,
                    end,
                })
            }
            Event::Alias(_) => return None,
            _ => None,
        };
        previous = previous.max(at.end);
        let Some(node) = node else { continue };
        let Some(parent) = open.last_mut() else {
            root = Some(node);
            continue;
        };
        if !parent.map {
            let start = if parent.flow {
                node.start
            } else {
                dash(text, node.start)?
            };
            parent.children.push(Child::new(None, start, node));
            continue;
        }
        match parent.key.take() {
            None => {
                let Kind::Scalar(written) = node.kind else {
                    return None;
                };
                // An explicit key has a mark before it.
                let before = text.get(..node.start)?.trim_end_matches(' ');
                if written.is_empty() || before.ends_with('?') {
                    return None;
                }
                let name = written.trim_matches(['"', '\'']).to_owned();
                parent.key = Some((name, written, node.start));
            }
            Some((name, written, start)) => {
                let mut node = node;
                // The place of an empty value is anywhere; that of its key is what counts.
                if matches!(&node.kind, Kind::Scalar(text) if text.is_empty()) {
                    (node.start, node.end) = (start, start);
                }
                parent
                    .children
                    .push(Child::new(Some((name, written)), start, node));
            }
        }
    }
    if documents.is_empty() {
        return None;
    }
    comments.sort();
    comments.dedup();
    attach(text, documents, comments)
}

impl Child {
    pub(super) fn new(key: Option<(String, String)>, start: usize, value: Node) -> Self {
        Self {
            lead: Vec::new(),
            key,
            value,
            start,
            comment: None,
            foot: Vec::new(),
        }
    }
}

/// Where the dash of an item stands.
fn dash(text: &str, start: usize) -> Option<usize> {
    let before = text.get(..start)?.trim_end();
    before.ends_with('-').then(|| before.len() - 1)
}

/// A block scalar: its header, its lines without their indentation, and where it ends.
fn block(text: &str, previous: usize, at: &std::ops::Range<usize>) -> Option<(String, (Vec<String>, usize))> {
    let between = text.get(previous..at.start)?;
    let header_at = previous + between.find(['|', '>'])?;
    let header_line = text.get(header_at..)?.lines().next()?;
    let header = header_line.split('#').next()?.trim_end();
    if header.contains(|c: char| c == '+' || c.is_ascii_digit()) {
        return None;
    }
    let from = header_at + header_line.len() + 1;
    let written = text.get(from..at.end).unwrap_or("").trim_end();
    let first = written.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    let indent = first.len() - first.trim_start_matches(' ').len();
    let mut lines = Vec::new();
    for line in written.lines() {
        let blanks = line.len() - line.trim_start_matches(' ').len();
        if line.trim().is_empty() && blanks < indent {
            lines.push(String::new());
        } else {
            lines.push(line.get(indent..)?.to_owned());
        }
    }
    Some((header.to_owned(), (lines, from + written.len())))
}

/// A scalar in the quotes that fit: double ones, but single ones around what would have to be escaped in them.
pub(super) fn quote(written: &str, value: &str, style: ScalarStyle) -> String {
    let lines = written.contains('\n');
    let plain = |c: char| !c.is_control() && c != '\u{feff}' && !('\u{2028}'..='\u{202e}').contains(&c);
    match style {
        ScalarStyle::SingleQuoted if !lines && !value.contains(['"', '\\']) && value.chars().all(plain) => {
            format!("\"{value}\"")
        }
        ScalarStyle::DoubleQuoted
            if !lines
                && value.contains(['"', '\\'])
                && !value.contains('\'')
                && value.chars().all(plain)
                && written.len() == value.len() + 2 + value.matches(['"', '\\']).count() =>
        {
            format!("'{value}'")
        }
        _ => written.to_owned(),
    }
}
