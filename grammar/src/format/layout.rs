//! The layout of a whole document: canonical order of keys, one style of quotes, two spaces a level, long flow style
//! turned into block style; comments stay with what they stand at.
//!
//! Reads the events of a text into a tree that keeps how scalars were written and where comments stood, and prints it anew.
//! Knows nothing of meaning but the names of keys. Where a text holds what this tree does not (anchors, tags, explicit
//! keys, comments inside flow style, …), there is no layout, and the caller falls back to re-indenting. The caller also
//! compares what both texts mean.

use super::{Event, ScalarStyle, StructureStyle, events};
use crate::document::schema_tables::{
    ACTION_KEYS, CONDITION_KEYS, DEFINITIONS_KEYS, METADATA_KEYS, POLICY_KEYS, RULE_KEYS,
};

/// Columns that flow style may reach.
const WIDTH: usize = 120;

/// A line that belongs to what follows it, or to the end of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Blank,
    Comment(String),
}

#[derive(Debug)]
enum Kind {
    /// As written; of a block scalar the header and its lines without their indentation.
    Scalar(String),
    Block(String, Vec<String>),
    List(Vec<Child>),
    Map(Vec<Child>),
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    flow: bool,
    /// First byte; of a list in block style its first dash.
    start: usize,
    end: usize,
}

/// An item of a list or an entry of a mapping.
#[derive(Debug)]
struct Child {
    lead: Vec<Line>,
    /// Of an entry.
    key: Option<(String, String)>,
    value: Node,
    /// Where the key or the dash stands.
    start: usize,
    /// At the end of its first line, or of the line where a scalar ends.
    comment: Option<String>,
    /// Lines behind its last child.
    foot: Vec<Line>,
}

/// What a mapping describes, which decides on the order of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Definitions,
    Policy,
    Metadata,
    Rules,
    Rule,
    Conditions,
    Condition,
    Action,
    /// Data of people's own: its order stays.
    Data,
}

impl Role {
    /// Of the root of a document.
    fn of_document(root: &Node) -> Self {
        let is_kind = |child: &Child| child.key.as_ref().is_some_and(|(key, _)| key == "kind");
        match &root.kind {
            Kind::Map(children) if children.iter().any(is_kind) => Self::Definitions,
            _ => Self::Policy,
        }
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Definitions => &DEFINITIONS_KEYS,
            Self::Policy => &POLICY_KEYS,
            Self::Metadata => &METADATA_KEYS,
            Self::Rule => &RULE_KEYS,
            Self::Condition => &CONDITION_KEYS,
            Self::Action => &ACTION_KEYS,
            Self::Rules | Self::Conditions | Self::Data => &[],
        }
    }

    fn of(self, key: &str) -> Self {
        match (self, key) {
            (Self::Policy, "metadata") => Self::Metadata,
            (Self::Policy, "rules") => Self::Rules,
            (Self::Rule | Self::Condition, "condition") => Self::Condition,
            (Self::Rule, "action") => Self::Action,
            (Self::Condition, "conditions") => Self::Conditions,
            _ => Self::Data,
        }
    }

    fn item(self) -> Self {
        match self {
            Self::Rules => Self::Rule,
            Self::Conditions => Self::Condition,
            _ => Self::Data,
        }
    }
}

struct Document {
    head: Vec<Line>,
    explicit: bool,
    /// Holds the root; has no key and no dash.
    root: Child,
}

/// The text in canonical layout; `None` where it holds what this layout cannot.
pub(super) fn yaml(text: &str) -> Option<String> {
    let mut out = Printer::default();
    let documents = documents(text, quote)?;
    for (i, mut document) in documents.into_iter().enumerate() {
        let role = Role::of_document(&document.root.value);
        order(&mut document.root.value, role);
        if i > 0 || document.explicit {
            out.line(0, "---");
        }
        out.lines(0, &document.head);
        out.root(&document.root);
    }
    Some(out.text)
}

/// JSON with its keys in canonical order; tokens as written.
pub(super) fn json(text: &str) -> Option<String> {
    // JSON has one kind of quotes.
    let mut documents = documents(text, |written, _, _| written.to_owned())?;
    let mut document = documents.pop().filter(|_| documents.is_empty())?;
    match &mut document.root.value.kind {
        Kind::List(items) => items.iter_mut().for_each(|item| {
            let role = Role::of_document(&item.value);
            order(&mut item.value, role);
        }),
        _ => {
            let role = Role::of_document(&document.root.value);
            order(&mut document.root.value, role);
        }
    }
    let mut out = String::with_capacity(text.len() * 2);
    json_value(&document.root.value, 0, &mut out);
    out.push('\n');
    Some(out)
}

fn json_value(node: &Node, depth: usize, out: &mut String) {
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

// ----- reading --------------------------------------------------------------------------------------------------

struct Open {
    map: bool,
    flow: bool,
    start: usize,
    children: Vec<Child>,
    key: Option<(String, String, usize)>,
}

/// How a scalar is written: from its text, its value and its style.
type Quote = fn(&str, &str, ScalarStyle) -> String;

fn documents(text: &str, quote: Quote) -> Option<Vec<Document>> {
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
    fn new(key: Option<(String, String)>, start: usize, value: Node) -> Self {
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
fn quote(written: &str, value: &str, style: ScalarStyle) -> String {
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

// ----- comments -------------------------------------------------------------------------------------------------

fn column(text: &str, at: usize) -> usize {
    let start = text
        .get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |i| i + 1);
    at - start
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let behind = text.match_indices('\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(behind).collect())
    }

    fn line(&self, at: usize) -> usize {
        self.0.partition_point(|start| *start <= at)
    }
}

/// The documents with comments and empty lines where they belong.
fn attach(
    text: &str,
    parsed: Vec<(bool, usize, Node)>,
    comments: Vec<(usize, String)>,
) -> Option<Vec<Document>> {
    let starts: Vec<(bool, usize)> = parsed.iter().map(|(marked, at, _)| (*marked, *at)).collect();
    let mut documents: Vec<Document> = parsed
        .into_iter()
        .map(|(explicit, _, root)| Document {
            head: Vec::new(),
            explicit,
            root: Child::new(None, root.start, root),
        })
        .collect();
    for document in &mut documents {
        blanks(text, &mut document.root.value)?;
    }
    let lines = Lines::of(text);
    let mut i = 0;
    for (at, comment) in comments {
        let line_start = text.get(..at)?.rfind('\n').map_or(0, |i| i + 1);
        let own = text.get(line_start..at)?.trim().is_empty();
        // Both are in order: the last document with a marker before it, else the first.
        while starts
            .get(i + 1)
            .is_some_and(|(marked, start)| *marked && *start <= at)
        {
            i += 1;
        }
        let document = documents.get_mut(i)?;
        if !own {
            trailing(&lines, &mut document.root, at, comment)?;
            continue;
        }
        let blank = text.get(..line_start)?.ends_with("\n\n") || {
            let before = text.get(..line_start)?.trim_end_matches([' ', '\t', '\n']);
            text.get(before.len()..line_start)?.matches('\n').count() > 1
        };
        let column = column(text, at);
        own_line(text, document, at, column, blank, comment)?;
    }
    for document in &mut documents {
        hoist(&mut document.root.value);
        if let Kind::Map(children) | Kind::List(children) = &mut document.root.value.kind
            && let Some(first) = children.first_mut()
        {
            // What an empty line parts from the first key is about the whole document.
            if let Some(gap) = first.lead.iter().rposition(|line| *line == Line::Blank) {
                document.head = first.lead.drain(..=gap).collect();
            }
        }
    }
    Some(documents)
}

/// Puts an empty line before every child of a block collection that had some.
fn blanks(text: &str, node: &mut Node) -> Option<()> {
    let flow = node.flow;
    if let Kind::Map(children) | Kind::List(children) = &mut node.kind {
        for (i, child) in children.iter_mut().enumerate() {
            if !flow {
                let before = text.get(..child.start)?;
                let trimmed = before.trim_end();
                let gap = before.get(trimmed.len()..)?.matches('\n').count();
                let last = trimmed.lines().next_back().unwrap_or("");
                // Before the first child, only what parts it from a comment counts.
                if gap > 1 && (i > 0 || last.trim_start().starts_with('#')) {
                    child.lead.push(Line::Blank);
                }
            }
            blanks(text, &mut child.value)?;
        }
    }
    Some(())
}

/// A comment behind something in its line.
fn trailing(lines: &Lines, root: &mut Child, at: usize, comment: String) -> Option<()> {
    let line = lines.line(at);
    // The innermost child that begins before the comment and of which this line is the one that takes a comment.
    let mut found: Option<&mut Child> = None;
    let mut here = root;
    loop {
        let Child { value, .. } = here;
        if value.flow {
            break;
        }
        let (Kind::Map(children) | Kind::List(children)) = &mut value.kind else {
            break;
        };
        let index = children
            .partition_point(|child| child.start < at)
            .checked_sub(1)?;
        let child = children.get_mut(index)?;
        let takes = match (&child.value.kind, child.value.flow) {
            (Kind::Scalar(written), _) if !written.is_empty() => lines.line(child.value.end),
            (Kind::Map(_) | Kind::List(_), true) => lines.line(child.value.end),
            _ => lines.line(child.start),
        };
        let inside = child.value.flow && child.value.start < at && at < child.value.end;
        if inside {
            return None;
        }
        if takes == line && !matches!(&child.value.kind, Kind::Map(_) | Kind::List(_) if !child.value.flow) {
            found = Some(child);
            break;
        }
        // A key whose value stands below it takes the comment of its own line.
        let below = !child.value.flow
            && matches!(child.value.kind, Kind::Map(_) | Kind::List(_))
            && child.value.start > at;
        if below {
            if takes == line && child.key.is_some() {
                found = Some(child);
            }
            break;
        }
        here = child;
    }
    let child = found?;
    if child.comment.is_some() {
        return None;
    }
    child.comment = Some(comment);
    Some(())
}

/// A comment on a line of its own.
fn own_line(
    text: &str,
    document: &mut Document,
    at: usize,
    column_of_comment: usize,
    blank: bool,
    comment: String,
) -> Option<()> {
    let root_start = document.root.value.start;
    let is_collection =
        matches!(document.root.value.kind, Kind::Map(_) | Kind::List(_)) && !document.root.value.flow;
    if !is_collection {
        let whole = document.root.value.start..document.root.value.end;
        if whole.contains(&at) {
            return None;
        }
        let lines = if at < root_start {
            &mut document.head
        } else {
            &mut document.root.foot
        };
        if blank && !lines.is_empty() {
            lines.push(Line::Blank);
        }
        lines.push(Line::Comment(comment));
        return Some(());
    }
    // Down through the children that hold the comment, or whose end is its place, to what it stands before.
    let mut here = &mut document.root;
    loop {
        let (Kind::Map(children) | Kind::List(children)) = &here.value.kind else {
            return None;
        };
        if here.value.flow {
            return None;
        }
        let own_column = column(text, children.first()?.start);
        let behind = children.partition_point(|child| child.start <= at);
        let next = (behind < children.len()).then_some(behind);
        let previous = behind.checked_sub(1);
        if let Some(index) = previous {
            let child = children.get(index)?;
            let deeper = column_of_comment > own_column && takes_foot(text, child, column_of_comment);
            if child.value.end > at || deeper {
                here = child_mut(here, index)?;
                continue;
            }
        }
        match next {
            Some(index) => insert(&mut child_mut(here, index)?.lead, blank, comment),
            None => insert(&mut here.foot, blank, comment),
        }
        return Some(());
    }
}

fn child_mut(child: &mut Child, index: usize) -> Option<&mut Child> {
    match &mut child.value.kind {
        Kind::Map(children) | Kind::List(children) => children.get_mut(index),
        Kind::Scalar(_) | Kind::Block(..) => None,
    }
}

/// Whether the end of a child is the place of a comment in this column: it is a block collection that stands there or
/// further left.
fn takes_foot(text: &str, child: &Child, column_of_comment: usize) -> bool {
    if child.value.flow {
        return false;
    }
    match &child.value.kind {
        Kind::Map(children) | Kind::List(children) => children
            .first()
            .is_some_and(|first| column(text, first.start) <= column_of_comment),
        Kind::Scalar(_) | Kind::Block(..) => false,
    }
}

/// Adds a comment to the lines before something. An empty line that was noted before stands between the comments and it, or
/// before them.
fn insert(lines: &mut Vec<Line>, blank: bool, comment: String) {
    let gap = lines.last() == Some(&Line::Blank);
    let at = if gap { lines.len() - 1 } else { lines.len() };
    if blank {
        lines.insert(at, Line::Blank);
        lines.insert(at + 1, Line::Comment(comment));
    } else {
        lines.insert(at, Line::Comment(comment));
    }
}

/// Lines before the first key of an item stand before its dash.
fn hoist(node: &mut Node) {
    let is_list = matches!(node.kind, Kind::List(_));
    let (Kind::Map(children) | Kind::List(children)) = &mut node.kind else {
        return;
    };
    for child in children {
        hoist(&mut child.value);
        if is_list
            && !child.value.flow
            && let Kind::Map(inner) | Kind::List(inner) = &mut child.value.kind
            && let Some(first) = inner.first_mut()
        {
            child.lead.append(&mut first.lead);
        }
    }
}

// ----- order ----------------------------------------------------------------------------------------------------

fn order(node: &mut Node, role: Role) {
    let flow = node.flow;
    match &mut node.kind {
        Kind::Scalar(_) | Kind::Block(..) => {}
        Kind::List(items) => items
            .iter_mut()
            .for_each(|item| order(&mut item.value, role.item())),
        Kind::Map(entries) => {
            let keys = role.keys();
            let place = |child: &Child| {
                let name = child.key.as_ref().map_or("", |(name, _)| name.as_str());
                keys.iter().position(|key| *key == name).unwrap_or(keys.len())
            };
            let sorted = entries.is_sorted_by_key(place);
            if !sorted {
                entries.sort_by_key(place);
                if let Some(first) = entries.first_mut().filter(|_| !flow)
                    && first.lead.first() == Some(&Line::Blank)
                {
                    first.lead.remove(0);
                }
            }
            for entry in entries.iter_mut() {
                let name = entry.key.as_ref().map_or("", |(name, _)| name.as_str());
                let role = role.of(name);
                order(&mut entry.value, role);
            }
        }
    }
    if let Kind::List(items) = &mut node.kind {
        for item in items {
            // What moved to the front of an item takes its comments before the dash.
            if !item.value.flow
                && let Kind::Map(inner) = &mut item.value.kind
                && let Some(first) = inner.first_mut()
            {
                item.lead.append(&mut first.lead);
            }
        }
    }
}

// ----- printing -------------------------------------------------------------------------------------------------

#[derive(Default)]
struct Printer {
    text: String,
}

impl Printer {
    fn line(&mut self, indent: usize, content: &str) {
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(content);
        self.text.push('\n');
    }

    fn lines(&mut self, indent: usize, lines: &[Line]) {
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

    fn root(&mut self, root: &Child) {
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
        .any(|comment| crate::suppress::is_instruction(comment))
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
