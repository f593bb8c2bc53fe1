//! The printer of a layout: two spaces a level, flow style where it fits into [`WIDTH`] columns.

use super::{Child, Kind, Line, Node};

/// Columns that flow style may reach.
const WIDTH: usize = 120;

pub(super) fn json_value(node: &Node, depth: usize, out: &mut String) {
    let (children, open, close) = match &node.kind {
        Kind::Scalar(text) => return out.push_str(text),
        Kind::Block(..) => return,
        Kind::List(children) => (children, '[', ']'),
        Kind::Map(children) => (children, '{', '}'),
    };
    out.push(open);
    for (i, child) in children.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth + 1));
        if let Some((_, written)) = &child.key {
            out.push_str(written);
            out.push_str(": ");
        }
        json_value(&child.value, depth + 1, out);
    }
    if !children.is_empty() {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    }
    out.push(close);
}

#[derive(Default)]
pub(super) struct Printer {
    pub(super) text: String,
}

impl Printer {
    pub(super) fn line(&mut self, indent: usize, content: &str) {
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(content);
        self.text.push('\n');
    }

    pub(super) fn lines(&mut self, indent: usize, lines: &[Line]) {
        for line in lines {
            match line {
                // One at a time, and none at the top or behind a marker.
                Line::Blank
                    if self.text.is_empty()
                        || self.text.ends_with("\n\n")
                        || self.text.ends_with("---\n") => {}
                Line::Blank => self.text.push('\n'),
                Line::Comment(comment) => self.line(indent, comment),
            }
        }
    }

    pub(super) fn root(&mut self, root: &Child) {
        if root.value.flow && fits(&root.value, 0) && root.comment.is_none() {
            let mut content = String::new();
            flow(&root.value, &mut content);
            self.line(0, &content);
        } else {
            match &root.value.kind {
                Kind::Scalar(text) => self.line(0, text),
                Kind::Block(header, lines) => {
                    self.line(0, header);
                    self.block(2, lines);
                }
                Kind::Map(children) | Kind::List(children) => self.children(0, children),
            }
        }
        self.lines(0, &root.foot);
    }

    /// All children of a collection. No empty line stands before the first.
    fn children(&mut self, indent: usize, children: &[Child]) {
        let Some((first, rest)) = children.split_first() else {
            return;
        };
        let blanks = first.lead.iter().take_while(|line| **line == Line::Blank).count();
        self.lines(indent, first.lead.get(blanks..).unwrap_or(&[]));
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.child(indent, first);
        self.rest(indent, rest);
    }

    /// The children after the first.
    fn rest(&mut self, indent: usize, children: &[Child]) {
        for child in children {
            self.lines(indent, &child.lead);
            self.text.extend(std::iter::repeat_n(' ', indent));
            self.child(indent, child);
        }
    }

    /// A child behind its indentation.
    fn child(&mut self, indent: usize, child: &Child) {
        let mark = match &child.key {
            Some((_, key)) => format!("{key}:"),
            None => "-".to_owned(),
        };
        self.text.push_str(&mark);
        let comment = child
            .comment
            .as_ref()
            .map(|comment| format!(" {comment}"))
            .unwrap_or_default();
        let node = &child.value;
        let inner = indent + 2;
        match &node.kind {
            Kind::Scalar(written) => {
                if !written.is_empty() {
                    self.text.push(' ');
                }
                let mut lines = written.lines();
                self.text.push_str(lines.next().unwrap_or(""));
                for line in lines {
                    self.text.push('\n');
                    let line = line.trim();
                    if !line.is_empty() {
                        self.text.extend(std::iter::repeat_n(' ', inner));
                        self.text.push_str(line);
                    }
                }
                self.text.push_str(&comment);
                self.text.push('\n');
            }
            Kind::Block(header, lines) => {
                self.text.push_str(&format!(" {header}{comment}\n"));
                self.block(inner, lines);
            }
            Kind::Map(children) | Kind::List(children)
                if children.is_empty()
                    || (node.flow
                        && (is_spoken_of(child) || fits(node, indent + mark.chars().count() + 1))) =>
            {
                self.text.push(' ');
                flow(node, &mut self.text);
                self.text.push_str(&comment);
                self.text.push('\n');
            }
            Kind::Map(children) | Kind::List(children) if child.key.is_none() => {
                // The first child stands behind the dash. A comment of the item, which was in flow style, stands there too.
                if let Some((first, rest)) = children.split_first() {
                    self.text.push(' ');
                    let from = self.text.len();
                    self.child(inner, first);
                    let end = self.text.get(from..).and_then(|line| line.find('\n'));
                    self.text.insert_str(from + end.unwrap_or(0), &comment);
                    self.rest(inner, rest);
                }
            }
            Kind::Map(children) | Kind::List(children) => {
                self.text.push_str(&comment);
                self.text.push('\n');
                self.children(inner, children);
            }
        }
        self.lines(inner, &child.foot);
    }

    fn block(&mut self, indent: usize, lines: &[String]) {
        for line in lines {
            if !line.is_empty() {
                self.text.extend(std::iter::repeat_n(' ', indent));
                self.text.push_str(line);
            }
            self.text.push('\n');
        }
    }
}

/// Whether a comment allows a warning in the line of this child, which has to stay one line for that.
fn is_spoken_of(child: &Child) -> bool {
    let lead = match child.lead.last() {
        Some(Line::Comment(comment)) => Some(comment),
        Some(Line::Blank) | None => None,
    };
    child
        .comment
        .iter()
        .chain(lead)
        .any(|comment| crate::document::suppress::is_instruction(comment))
}

/// Whether a node in flow style ends before the margin.
fn fits(node: &Node, column: usize) -> bool {
    let mut text = String::new();
    flow(node, &mut text);
    !text.contains('\n') && column + text.chars().count() <= WIDTH
}

/// A node in flow style on one line, if its scalars are.
fn flow(node: &Node, out: &mut String) {
    match &node.kind {
        Kind::Scalar(text) => out.push_str(text),
        Kind::Block(header, _) => out.push_str(header),
        Kind::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                flow_child(item, out);
            }
            out.push(']');
        }
        Kind::Map(entries) if entries.is_empty() => out.push_str("{}"),
        Kind::Map(entries) => {
            out.push_str("{ ");
            for (i, entry) in entries.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                flow_child(entry, out);
            }
            out.push_str(" }");
        }
    }
}

fn flow_child(child: &Child, out: &mut String) {
    if let Some((_, key)) = &child.key {
        out.push_str(key);
        out.push(':');
        if !matches!(&child.value.kind, Kind::Scalar(text) if text.is_empty()) {
            out.push(' ');
        }
    }
    flow(&child.value, out);
}
