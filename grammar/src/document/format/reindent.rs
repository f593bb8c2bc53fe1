//! Re-indents YAML line by line: for texts that hold what [`super::layout`] does not know.

use super::events;
use granit_parser::{Event, ScalarStyle, StructureStyle};
use std::collections::HashSet;

/// What the events say about the lines of a text.
pub(super) struct Layout {
    /// Byte offset of each line.
    starts: Vec<usize>,
    /// For lines inside a scalar or flow collection that began on an earlier line: that line.
    inside_of: Vec<Option<usize>>,
    /// Offsets of the keys of block mappings.
    keys: HashSet<usize>,
}

impl Layout {
    /// `None` for constructs that are left alone: directives and keys that are not scalars.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(i, _)| i + 1));
        let line_of = |offset: usize| starts.partition_point(|s| *s <= offset).saturating_sub(1);
        let mut inside_of = vec![None; starts.len()];
        let mut keys = HashSet::new();
        // Open collections: whether a mapping in block style, whether its next node is a key, and where it began.
        struct Open {
            mapping: bool,
            flow: bool,
            key_next: bool,
            start: usize,
        }
        let mut open: Vec<Open> = Vec::new();
        let mut cover = |first: usize, last: usize| {
            for line in inside_of.iter_mut().take(last + 1).skip(first + 1) {
                *line = Some(first);
            }
        };
        let mut previous_end = 0;
        for event in events(text) {
            let (event, at) = event?;
            let is_key = match &event {
                Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                    match open.last_mut() {
                        Some(parent) if parent.mapping => {
                            let is_key = parent.key_next;
                            parent.key_next = !is_key;
                            is_key && !parent.flow
                        }
                        Some(_) | None => false,
                    }
                }
                _ => false,
            };
            match event {
                Event::Scalar(_, style, ..) => {
                    if is_key {
                        keys.insert(at.start);
                    }
                    let written = text.get(at.clone()).unwrap_or("");
                    match style {
                        ScalarStyle::Literal | ScalarStyle::Folded => {
                            let between = text.get(previous_end..at.start).unwrap_or("");
                            let header = previous_end + between.find(['|', '>'])?;
                            let keep = text
                                .get(header..at.start)
                                .and_then(|h| h.lines().next())
                                .is_some_and(|h| h.contains('+'));
                            let last = if keep {
                                at.end.max(1) - 1
                            } else {
                                at.start + written.trim_end().len()
                            };
                            cover(line_of(header), line_of(last));
                        }
                        ScalarStyle::Plain | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                            cover(line_of(at.start), line_of(at.start + written.trim_end().len()));
                        }
                    }
                }
                Event::Alias(_) if is_key => {
                    keys.insert(at.start);
                }
                Event::SequenceStart(style, ..) | Event::MappingStart(style, ..) => {
                    if is_key {
                        return None;
                    }
                    open.push(Open {
                        mapping: matches!(event, Event::MappingStart(..)),
                        flow: style == StructureStyle::Flow,
                        key_next: true,
                        start: at.start,
                    });
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(closed) = open.pop()
                        && closed.flow
                        && !open.iter().any(|o| o.flow)
                    {
                        cover(line_of(closed.start), line_of(at.end.max(1) - 1));
                    }
                }
                Event::DocumentStart(_, Some(_)) => return None,
                _ => {}
            }
            previous_end = previous_end.max(at.end);
        }
        Some(Self {
            starts,
            inside_of,
            keys,
        })
    }
}

/// Trailing blanks, runs of empty lines and the end of the file.
pub(super) fn trim(text: &str, layout: &Layout) -> String {
    let mut out = Out::default();
    for (line, content) in text.split('\n').enumerate() {
        match layout.inside_of.get(line).copied().flatten() {
            Some(_) => out.verbatim(content),
            None => out.line(0, content.trim_end()),
        }
    }
    out.finish()
}

/// Lines of the result.
#[derive(Default)]
struct Out {
    text: String,
    blank: bool,
}

impl Out {
    /// A line of content, or an empty one: runs of these become one.
    fn line(&mut self, indent: usize, content: &str) {
        if content.is_empty() {
            self.blank = !self.text.is_empty();
            return;
        }
        if std::mem::take(&mut self.blank) {
            self.text.push('\n');
        }
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(content);
        self.text.push('\n');
    }

    /// A line of a scalar.
    fn verbatim(&mut self, content: &str) {
        if std::mem::take(&mut self.blank) {
            self.text.push('\n');
        }
        self.text.push_str(content);
        self.text.push('\n');
    }

    fn finish(self) -> String {
        self.text
    }
}

/// An open block collection.
#[derive(Clone, Copy)]
struct Level {
    old: usize,
    new: usize,
    list: bool,
}

/// The new column of a collection whose items stand at column `old`.
fn column(levels: &mut Vec<Level>, old: usize, list: bool, forced: Option<usize>) -> usize {
    while let Some(top) = levels.last() {
        if top.old > old || (top.old == old && top.list && !list) {
            levels.pop();
        } else if top.old == old && top.list == list {
            return top.new;
        } else {
            // Deeper than the innermost one, or a list that is not indented under its key.
            break;
        }
    }
    let new = forced.unwrap_or_else(|| levels.last().map_or(0, |top| top.new + 2));
    levels.push(Level { old, new, list });
    new
}

/// Lines that wait for the next content line, which decides on their column.
enum Waiting<'t> {
    Comment(usize, &'t str),
    Empty,
}

fn flush(waiting: &mut Vec<Waiting<'_>>, levels: &[Level], next: Option<(usize, usize)>, out: &mut Out) {
    for line in waiting.drain(..) {
        match line {
            Waiting::Empty => out.line(0, ""),
            Waiting::Comment(old, text) => {
                let of_level = levels.iter().rev().find(|l| l.old == old).map(|l| l.new);
                let indent = match next {
                    Some((next_old, next_new)) if next_old == old => next_new,
                    Some((_, next_new)) => of_level.unwrap_or(next_new),
                    // At the end, a list that is not indented under its key stands where the key does.
                    None => levels
                        .iter()
                        .find(|l| l.old == old)
                        .map(|l| l.new)
                        .or_else(|| levels.iter().rev().find(|l| l.old <= old).map(|l| l.new))
                        .unwrap_or(0),
                };
                out.line(indent, text);
            }
        }
    }
}

/// The whole text with two spaces a level; `None` where that is not safe.
pub(super) fn reindent(text: &str, layout: &Layout) -> Option<String> {
    let mut out = Out::default();
    let mut levels: Vec<Level> = Vec::new();
    let mut waiting = Vec::new();
    // How far each line moved, for the lines inside of what it began.
    let mut shifts = vec![0isize; layout.starts.len()];
    for (line, content) in text.split('\n').enumerate() {
        let start = layout.starts.get(line).copied()?;
        if let Some(owner) = layout.inside_of.get(line).copied().flatten() {
            out.verbatim(&shifted(content, shifts.get(owner).copied().unwrap_or(0)));
            continue;
        }
        let content = content.trim_end();
        let body = content.trim_start_matches(' ');
        let old = content.len() - body.len();
        if body.is_empty() {
            waiting.push(Waiting::Empty);
            continue;
        }
        if body.starts_with('#') {
            waiting.push(Waiting::Comment(old, body));
            continue;
        }
        if old == 0
            && (body.starts_with("---") || body.starts_with("..."))
            && body.get(3..4).is_none_or(|c| c == " ")
        {
            flush(&mut waiting, &levels, None, &mut out);
            levels.clear();
            out.line(0, body);
            continue;
        }
        if body.starts_with(['%', '?', '\t']) || body.starts_with(": ") {
            return None;
        }
        let before = levels.clone();
        let mut at = old;
        let mut forced = None;
        let mut first = None;
        let mut rebuilt = String::new();
        let shift;
        loop {
            let rest = content.get(at..)?;
            let dash = rest.starts_with('-') && matches!(rest.get(1..2), None | Some(" "));
            if dash {
                let new = column(&mut levels, at, true, forced);
                first.get_or_insert(new);
                rebuilt.push('-');
                let behind = rest.get(1..)?.trim_start_matches(' ');
                if behind.is_empty() {
                    shift = signed(new)? - signed(at)?;
                    break;
                }
                rebuilt.push(' ');
                at = content.len() - behind.len();
                forced = Some(new + 2);
                continue;
            }
            let new = if layout.keys.contains(&(start + at)) {
                column(&mut levels, at, false, forced)
            } else {
                forced.unwrap_or_else(|| levels.last().map_or(0, |top| top.new + 2))
            };
            first.get_or_insert(new);
            rebuilt.push_str(rest);
            shift = signed(new)? - signed(at)?;
            break;
        }
        let indent = first.unwrap_or(0);
        flush(&mut waiting, &before, Some((old, indent)), &mut out);
        out.line(indent, &rebuilt);
        *shifts.get_mut(line)? = shift;
    }
    flush(&mut waiting, &levels, None, &mut out);
    Some(out.finish())
}

fn signed(column: usize) -> Option<isize> {
    isize::try_from(column).ok()
}

/// A line moved to the right, or to the left as far as its blanks allow.
fn shifted(line: &str, shift: isize) -> String {
    if line.trim().is_empty() && shift > 0 {
        return line.to_owned();
    }
    if shift >= 0 {
        return " ".repeat(shift.unsigned_abs()) + line;
    }
    let blanks = line.len() - line.trim_start_matches(' ').len();
    line.get(blanks.min(shift.unsigned_abs())..)
        .unwrap_or(line)
        .to_owned()
}
