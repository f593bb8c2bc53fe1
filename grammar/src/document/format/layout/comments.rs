//! Comments and empty lines: what each belongs to.
//!
//! A comment behind something belongs to the line that it ends; one on a line of its own to what follows it, or to the end
//! of the collection whose column it has.

use super::{Child, Document, Kind, Line, Node};

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
pub(super) fn attach(
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
